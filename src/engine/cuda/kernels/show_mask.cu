// SPDX-License-Identifier: Apache-2.0
/*
 * SHOW_MASK: verdict I32 [N, 1, 1, 24], profile I32 [N, 1, 3, side], headers, mask U8 (packed), area I32
 * [NK, 1, 1, 1], detections [N, 1, K, 8], kept? U8 [1, 1, 1, n] -> mask, area and detections where they lie,
 * emptied in LOST frames; kept: the last frame as it was found. Semantics: the CPU twin.
 *
 * One launch; a thread has 8 pixels of the mask, which is a byte of those kept: it reads them only where they
 * are kept or hidden, and writes only those that are set. A frame that is shown and not the last costs a look
 * at its verdict. Test: tests/ops/test_show_mask.c.
 */
#include "engine/cuda/kernels/device.cuh"
#include "graph/kept_layout.h"
#include "graph/map_layout.h"

#define THREADS       256
#define BLOCKS_PER_SM 4

typedef struct show_args {
    const int32_t *verdict, *profile;
    const sono_frame_header *headers;
    uint8_t *maps;
    int32_t *area;
    float *detections;
    uint8_t *kept; /* NULL = nothing is kept */
    int64_t verdict_stride, profile_stride, area_stride, detections_pitch, detections_stride;
    int32_t side, n_frames, n_objects, map_element_bytes;
} show_args;

/* The last frame of the batch that is no placeholder. */
static __device__ __forceinline__ bool is_last(const show_args &p, int32_t frame)
{
    if (p.headers[frame].stream == SONO_STREAM_NO_FRAME)
        return false;
    for (int32_t i = frame + 1; i < p.n_frames; i++)
        if (p.headers[i].stream != SONO_STREAM_NO_FRAME)
            return false;
    return true;
}

/* Header and profile, by one block. */
static __device__ void keep_profile(const show_args &p, int32_t frame)
{
    const int32_t *header = (const int32_t *)&p.headers[frame];
    const int32_t *profile = p.profile + frame * p.profile_stride;
    int32_t *kept_header = (int32_t *)p.kept, *kept_profile = (int32_t *)(p.kept + SONO_KEPT_PROFILE);
    for (int32_t i = threadIdx.x; i < (int32_t)(sizeof(sono_frame_header) / sizeof(int32_t)); i += THREADS)
        kept_header[i] = header[i];
    for (int32_t i = threadIdx.x; i < SONO_PROFILE_COUNT * p.side; i += THREADS)
        kept_profile[i] = profile[i];
}

static __device__ void hide_detections(const show_args &p, int32_t frame)
{
    for (int32_t k = threadIdx.x; k < p.n_objects; k += THREADS) {
        sono_detection *found =
            (sono_detection *)(p.detections + frame * p.detections_stride + k * p.detections_pitch);
        found->x1 = found->y1 = found->x2 = found->y2 = found->valid = 0.0f;
        p.area[(frame * p.n_objects + k) * p.area_stride] = 0;
    }
}

/* Pixels [8 group, 8 group + 8) of a mask, which ends behind n_pixels: as bits, and away if they are to be
 * hidden. Masks begin at multiples of 16 bytes. */
static __device__ __forceinline__ uint32_t take_group(uint8_t *mask, int64_t n_pixels, int64_t group,
                                                      bool hides)
{
    uint8_t *at = mask + 8 * group;
    uint32_t bits = 0;
    if (8 * group + 8 <= n_pixels) {
        const uint64_t bytes = *(const uint64_t *)at;
#pragma unroll
        for (int32_t i = 0; i < 8; i++)
            bits |= (uint32_t)((bytes >> (8 * i) & 0xff) != 0) << i;
        if (hides && bits)
            *(uint64_t *)at = 0;
        return bits;
    }
    for (int32_t i = 0; 8 * group + i < n_pixels; i++) {
        bits |= (uint32_t)(at[i] != 0) << i;
        if (hides && at[i])
            at[i] = 0;
    }
    return bits;
}

static __global__ void __launch_bounds__(THREADS) show_kernel(show_args p)
{
    const int32_t frame = blockIdx.y;
    const sono_frame_header *header = &p.headers[frame];
    const bool hides =
        header->stream != SONO_STREAM_NO_FRAME && p.verdict[frame * p.verdict_stride] == SONO_STATE_LOST;
    const bool keeps = p.kept && is_last(p, frame);
    const int64_t n_pixels = (int64_t)header->width_px * header->height_px;
    uint8_t *bits = p.kept + kept_bits_at(p.side);
    if (blockIdx.x == 0 && keeps)
        keep_profile(p, frame);
    if (blockIdx.x == 0 && hides)
        hide_detections(p, frame);
    for (int32_t k = 0; k < p.n_objects && (hides || (keeps && k == 0)); k++) {
        uint8_t *mask = p.maps + header->maps_at_bytes + k * object_maps_bytes(n_pixels, p.map_element_bytes);
        for (int64_t group = blockIdx.x * THREADS + threadIdx.x; 8 * group < n_pixels;
             group += gridDim.x * THREADS) {
            const uint32_t taken = take_group(mask, n_pixels, group, hides);
            if (keeps && k == 0)
                bits[group] = (uint8_t)taken;
        }
    }
}

extern "C" cudaError_t sono_cuda_show_mask(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *verdict = &call->in[0], *profile = &call->in[1], *area = &call->out[1],
                           *detections = &call->out[2];
    const show_args p = {(const int32_t *)verdict->data,
                         (const int32_t *)profile->data,
                         (const sono_frame_header *)call->in[2].data,
                         (uint8_t *)call->out[0].data,
                         (int32_t *)area->data,
                         (float *)detections->data,
                         (uint8_t *)call->out[3].data,
                         verdict->batch_stride,
                         profile->batch_stride,
                         area->batch_stride,
                         detections->pitch,
                         detections->batch_stride,
                         profile->c,
                         verdict->n,
                         detections->w,
                         op->map_element_bytes};
    const int64_t needed = sono_ceil_div((int64_t)op->max_width_px * op->max_height_px, 8 * THREADS);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(needed < most ? needed : most), (unsigned)verdict->n);
    show_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
