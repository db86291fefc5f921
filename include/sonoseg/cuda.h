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
SONO_API sono_status sono_pipeline_submit_cuda(sono_pipeline *pipeline, const sono_frame *frame,
                                               struct CUstream_st *stream, sono_error *error);

/* The same with a DLPack tensor: uint8 [H, W], [1, H, W], [H, W, 1], [H, W, 3] (RGB), [H, W, 4] (alpha
 * ignored), uint16 [H, W], [1, H, W], [H, W, 1]; rows may be apart, a row's pixels must be contiguous. A
 * tensor in host memory is copied as sono_pipeline_submit() does, on CPU pipelines too; stream is not looked
 * at then. metadata: frame_id, timestamp and so on; its pixels, sizes and format are not looked at; NULL =
 * all zero. tensor: on success it belongs to the pipeline, which calls its deleter once, on the thread that
 * receives the frame's packet or closes the pipeline (host memory: before this returns). On failure it stays
 * the caller's. Errors: as above; UNSUPPORTED, INVALID_ARGUMENT (the tensor is no image of these kinds; the
 * text says why). */
SONO_API sono_status sono_pipeline_submit_dlpack(sono_pipeline *pipeline, DLManagedTensor *tensor,
                                                 const sono_frame *metadata, struct CUstream_st *stream,
                                                 sono_error *error);
SONO_API sono_status sono_pipeline_submit_dlpack_versioned(sono_pipeline *pipeline,
                                                           DLManagedTensorVersioned *tensor,
                                                           const sono_frame *metadata,
                                                           struct CUstream_st *stream, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
