// SPDX-License-Identifier: Apache-2.0
/*
 * Frames in, and results out, in a GPU's memory: for programs that already hold images there. No CUDA header
 * is needed: a cudaStream_t is a pointer to struct CUstream_st, which is only declared here. Conventions
 * (ownership, errors) are those of sonoseg.h. On a pipeline that runs on the CPU, and in builds without CUDA,
 * these functions are there and return SONO_STATUS_UNSUPPORTED.
 */
#ifndef SONOSEG_CUDA_H
#define SONOSEG_CUDA_H

#include "sonoseg/dlpack.h"
#include "sonoseg/sonoseg.h"

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st; /* cudaStream_t and CUstream point to one */

/* ---- frames in ----------------------------------------------------------------------------------------- */

/* sono_pipeline_submit() for a frame whose pixels are in the memory of the pipeline's GPU (device or managed
 * memory): nothing is copied, the networks read them where they are. They are complete after the work that is
 * on `stream` (NULL = the default stream) when this is called: the pipeline's work waits for that on the GPU,
 * the host does not. They stay the caller's and must not change until the frame's packet was received.
 * Thread-safety: the submitting thread's. Errors: those of sono_pipeline_submit(); UNSUPPORTED (a CPU
 * pipeline), INVALID_ARGUMENT (not memory of that GPU, or no stream of it that can be waited for). */
SONO_API sono_status sono_pipeline_submit_cuda(sono_pipeline *pipeline, const sono_image *image,
                                               const sono_frame_info *info, struct CUstream_st *stream,
                                               sono_error *error);

/* The same with a DLPack tensor: uint8 [H, W], [1, H, W], [H, W, 1], [H, W, 3] (RGB), [H, W, 4] (alpha
 * ignored), uint16 [H, W], [1, H, W], [H, W, 1]; rows may be apart, a row's pixels must be contiguous. A
 * tensor in host memory is copied as sono_pipeline_submit() does, on CPU pipelines too; stream is not looked
 * at then. metadata: frame_id, timestamp, gray16_white and so on; its pixels, sizes and format are not looked
 * at; NULL = all zero. tensor: on success it belongs to the pipeline, which calls its deleter once, on the
 * thread that receives the frame's packet or closes the pipeline (host memory: before this returns). On
 * failure it stays the caller's. Errors: as above; UNSUPPORTED, INVALID_ARGUMENT (the tensor is no image of
 * these kinds; the text says why). */
SONO_API sono_status sono_pipeline_submit_dlpack(sono_pipeline *pipeline, DLManagedTensor *tensor,
                                                 const sono_frame_info *info, struct CUstream_st *stream,
                                                 sono_error *error);
SONO_API sono_status sono_pipeline_submit_dlpack_versioned(sono_pipeline *pipeline,
                                                           DLManagedTensorVersioned *tensor,
                                                           const sono_frame_info *info,
                                                           struct CUstream_st *stream, sono_error *error);

/* ---- results out --------------------------------------------------------------------------------------- */

/* One object's maps in device memory: height_px rows of width_px elements, 0 / 255 and 0 / 1 as in a packet.
 * This struct never changes. */
typedef struct sono_device_maps {
    int32_t device; /* CUDA ordinal */
    int32_t width_px;
    int32_t height_px;
    sono_map_dtype map_dtype; /* of edge, inside and outside; the mask is of bytes */
    size_t mask_pitch_bytes;  /* from one row to the next */
    size_t map_pitch_bytes;   /* of edge, inside and outside */
    const uint8_t *mask;
    const void *edge;    /* NULL unless weight maps were asked for at open */
    const void *inside;  /* likewise */
    const void *outside; /* likewise */
} sono_device_maps;

/* Lends the maps of a lent packet's object where the GPU has them: nothing is copied. They are complete: a
 * packet is received when its frame is done, so work on any stream may read them at once. Valid, and not to
 * be written, until the packet is given back; work that still reads them then is kept safe by
 * sono_packet_release_after(). With the configuration's host_maps = 0 they are not downloaded at all. object:
 * [0, n_objects). Thread-safety: the receiving thread's. Errors: INVALID_ARGUMENT (not lent, no such object),
 * UNSUPPORTED (a CPU pipeline). */
SONO_API sono_status sono_packet_device_maps(sono_pipeline *pipeline, const sono_packet *packet,
                                             int32_t object, sono_device_maps *out, sono_error *error);

/* sono_packet_release() at once, without waiting for the work on `stream` (NULL = the default stream) that
 * reads the maps: frames submitted from now on start after it, on the GPU. Errors: INVALID_ARGUMENT (not
 * lent; no stream of that GPU that can be waited for: then it stays lent), UNSUPPORTED (a CPU pipeline),
 * DEVICE. */
SONO_API sono_status sono_packet_release_after(sono_pipeline *pipeline, const sono_packet *packet,
                                               struct CUstream_st *stream, sono_error *error);

/* One map of a lent packet as a DLPack tensor [height_px, width_px] on the pipeline's GPU, read-only: kDLUInt
 * of 8 bits, or kDLFloat of 32 for edge, inside and outside where map_dtype said so at open. It counts as a
 * use of the packet: the slot is free when the packet was given back and the tensor's deleter was called. The
 * deleter may be called on any thread; frames submitted after that start after the work that is on `stream`
 * then (NULL = the default stream). out: the caller's, to be deleted by its deleter before the pipeline is
 * closed; each is one small allocation. Thread-safety: the receiving thread's. Errors: INVALID_ARGUMENT (not
 * lent, no such object, a weight map that was not asked for at open), UNSUPPORTED (a CPU pipeline),
 * OUT_OF_MEMORY. */
SONO_API sono_status sono_packet_map_dlpack(sono_pipeline *pipeline, const sono_packet *packet,
                                            int32_t object, sono_map map, struct CUstream_st *stream,
                                            DLManagedTensor **out, sono_error *error);
SONO_API sono_status sono_packet_map_dlpack_versioned(sono_pipeline *pipeline, const sono_packet *packet,
                                                      int32_t object, sono_map map,
                                                      struct CUstream_st *stream,
                                                      DLManagedTensorVersioned **out, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
