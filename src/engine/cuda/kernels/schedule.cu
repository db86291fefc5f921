// SPDX-License-Identifier: Apache-2.0
/*
 * SCHEDULE: memory U8 [1, 1, 1, 256], kept U8 [1, 1, 1, n] (graph/kept_layout.h), header -> step I32
 * [1, 1, 1, 4], detection F32 [1, 1, 1, 8], and the memory and followed U8
 * [1, 1, 1, 64], in place. One block; the kept profile is looked
 * through only where the frame may go without the detector. DOUBT: detections F32 [1, 1, 1, 8], predicted
 * IoU? F32 [1, 1, 1, 4], echo I32 [1, 1, 1, 16], agreement? I32 [1, 1, 1, 8], header, memory -> step. One
 * thread. By engine/schedule.h; the steps are read by kernels/gate.cu. Test: tests/ops/test_schedule.c.
 */
#include "engine/cuda/kernels/kernels.h"
#include "engine/schedule.h"
#include "graph/kept_layout.h"

#define THREADS 256

typedef struct schedule_args {
    sono_stream_memory *memory;
    sono_followed *followed;
    const uint8_t *kept;
    const sono_frame_header *header;
    int32_t *step;
    sono_detection *found;
    sono_schedule_args op;
} schedule_args;

/* Widens [*first, *end), in shared memory, to all of n counts that are not 0. */
static __device__ void find_ends(const int32_t *counts, int32_t n, int32_t *first, int32_t *end)
{
    for (int32_t i = (int32_t)threadIdx.x; i < n; i += THREADS)
        if (counts[i]) {
            atomicMin(first, i);
            atomicMax(end, i + 1);
        }
}

static __device__ void write_step(int32_t *step, int32_t runs)
{
    step[0] = runs;
    for (int32_t i = 1; i < SONO_STEP_INTS; i++)
        step[i] = 0;
}

static __global__ void __launch_bounds__(THREADS) schedule_kernel(const schedule_args p)
{
    __shared__ sono_extent mask;
    __shared__ int32_t trusts;
    const int32_t *profile = reinterpret_cast<const int32_t *>(p.kept + SONO_KEPT_PROFILE);
    if (threadIdx.x == 0) {
        trusts = schedule_trusts(&p.op, p.memory, p.header);
        mask.x1 = mask.y1 = INT32_MAX;
        mask.x2 = mask.y2 = 0;
    }
    __syncthreads();
    if (trusts) {
        find_ends(profile + SONO_PROFILE_COLUMNS * p.op.side, p.header->width_px, &mask.x1, &mask.x2);
        find_ends(profile + SONO_PROFILE_ROWS * p.op.side, p.header->height_px, &mask.y1, &mask.y2);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        const sono_detection none = {0, 0, 0, 0, 0, 0, 0, 0};
        const sono_detection found = trusts ? schedule_recall(p.memory, p.followed, p.header, &mask) : none;
        write_step(p.step, found.valid == 0.0f);
        *p.found = found;
    }
}

extern "C" cudaError_t sono_cuda_schedule(const sono_cuda_call *call)
{
    const schedule_args p = {(sono_stream_memory *)call->out[2].data,
                             (sono_followed *)call->out[3].data,
                             (const uint8_t *)call->in[1].data,
                             (const sono_frame_header *)call->in[2].data,
                             (int32_t *)call->out[0].data,
                             (sono_detection *)call->out[1].data,
                             call->op->args.schedule};
    schedule_kernel<<<1, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}

typedef struct doubt_args {
    sono_state_rows rows;
    const sono_stream_memory *memory;
    int32_t *step;
    sono_machine_rules rules;
} doubt_args;

static __global__ void __launch_bounds__(1) doubt_kernel(const doubt_args p)
{
    write_step(p.step, schedule_doubts(&p.rules, &p.rows, p.memory));
}

extern "C" cudaError_t sono_cuda_doubt(const sono_cuda_call *call)
{
    const doubt_args p = {{(const sono_frame_header *)call->in[4].data, (const float *)call->in[0].data,
                           (const float *)call->in[1].data, (const int32_t *)call->in[2].data,
                           (const int32_t *)call->in[3].data},
                          (const sono_stream_memory *)call->in[5].data,
                          (int32_t *)call->out[0].data,
                          call->op->args.state};
    doubt_kernel<<<1, 1, 0, call->stream>>>(p);
    return cudaGetLastError();
}
