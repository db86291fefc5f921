// SPDX-License-Identifier: Apache-2.0
/*
 * SELECT_BOXES: the K best queries, their boxes in source pixels, and the gate.
 *
 * logits [N, 1, Q, classes], boxes [N, 1, Q, 4] cx cy w h in 0..1, headers -> detections [N, 1, K, 8], best
 * first. Queries are ordered by their best logit, equal ones by lower query, equal classes by lower class.
 * Not valid are: a score below the threshold, a score that is NaN, a box that is not finite. Semantics:
 * src/engine/cpu/kernels/select.c. One block a frame: every query's best class as an ordered number in
 * shared memory (1 to 32 lanes a query), then K rounds, each of which finds the best key below the last; the
 * warps take turns in writing the boxes. 300 queries, 1 object: about 2 us, all of it latency. Test:
 * tests/ops/test_select.c.
 */
#include "engine/cuda/kernels/rank.cuh"
#include "engine/detection.h"

#define BLOCK   512
#define N_WARPS (BLOCK / SONO_WARP)
#define ALL     0xffffffffu

typedef struct select_args {
    sono_rows logits, boxes, out;
    const sono_frame_header *headers;
    int32_t n_queries, n_classes, max_objects, lanes;
} select_args;

static __device__ __forceinline__ uint64_t warp_best(uint64_t key)
{
#pragma unroll
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2) {
        const uint64_t other = __shfl_xor_sync(ALL, key, offset);
        key = other > key ? other : key;
    }
    return key;
}

/* The first class of that rank; 0 where no logit is a number. Whole warp. */
static __device__ __forceinline__ int32_t class_of(const select_args &args, int64_t at, uint32_t bits,
                                                   int lane)
{
    int32_t first = args.n_classes;
    for (int32_t c = lane; c < args.n_classes && first == args.n_classes; c += SONO_WARP)
        if (sono_rank_bits(sono_rows_value(args.logits, at + c)) == bits)
            first = c;
#pragma unroll
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2) {
        const int32_t other = __shfl_xor_sync(ALL, first, offset);
        first = other < first ? other : first;
    }
    return first;
}

/* Detection number `object`, as sono_detection. Whole warp. */
static __device__ __forceinline__ void write_detection(const select_args &args, int32_t object, uint64_t key,
                                                       int lane)
{
    const int32_t query = (int32_t)sono_rank_index(key);
    const uint32_t bits = (uint32_t)(key >> 32);
    const int32_t class_id = class_of(args, sono_rows_at(args.logits, blockIdx.x, query), bits, lane);
    if (lane != 0)
        return;
    float box[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        box[i] = sono_rows_value(args.boxes, sono_rows_at(args.boxes, blockIdx.x, query) + i);
    const sono_detection found =
        detection_make(sono_rank_value(bits), class_id, query, box, args.headers + blockIdx.x);
    const float out[SONO_DETECTION_FLOATS] = {found.x1,    found.y1,       found.x2,    found.y2,
                                              found.score, found.class_id, found.query, found.valid};
#pragma unroll
    for (int i = 0; i < SONO_DETECTION_FLOATS; i++)
        sono_rows_store<1>(args.out, sono_rows_at(args.out, blockIdx.x, object) + i, &out[i]);
}

/* Dynamic shared memory: n_queries scores. */
static __global__ void __launch_bounds__(BLOCK) select_kernel(const select_args args)
{
    extern __shared__ uint32_t scores[];
    __shared__ uint64_t best_of_warp[2][N_WARPS];
    const int lane = (int)threadIdx.x % SONO_WARP, warp = (int)threadIdx.x / SONO_WARP;
    const int per_block = BLOCK / args.lanes, own = (int)threadIdx.x / args.lanes;
    for (int32_t first = 0; first < args.n_queries; first += per_block) { /* the same rounds for all lanes */
        const int32_t q = first + own, query = q < args.n_queries ? q : args.n_queries - 1;
        const int64_t at = sono_rows_at(args.logits, blockIdx.x, query);
        const int row_lane = (int)threadIdx.x % args.lanes;
        const uint32_t bits = sono_rank_row(args.logits, at, args.n_classes, row_lane, args.lanes);
        if (row_lane == 0 && q < args.n_queries)
            scores[q] = bits;
    }
    __syncthreads(); /* scores are written */
    uint64_t last = ~(uint64_t)0;
    for (int32_t object = 0; object < args.max_objects; object++) {
        uint64_t best = 0;
        for (int32_t q = (int32_t)threadIdx.x; q < args.n_queries; q += BLOCK) {
            const uint64_t key = sono_rank_key(scores[q], (uint32_t)q);
            best = key < last && key > best ? key : best;
        }
        best = warp_best(best);
        if (lane == 0)
            best_of_warp[object % 2][warp] = best;
        __syncthreads(); /* all warps' best are there; the other half is read no more */
        last = warp_best(best_of_warp[object % 2][lane % N_WARPS]);
        if (warp == object % N_WARPS)
            write_detection(args, object, last, lane);
    }
}

extern "C" cudaError_t sono_cuda_select(const sono_cuda_call *call)
{
    const sono_cuda_tensor *logits = &call->in[0];
    select_args args = {};
    args.logits = sono_rows_make(logits);
    args.boxes = sono_rows_make(&call->in[1]);
    args.headers = (const sono_frame_header *)call->in[2].data;
    args.out = sono_rows_make(&call->out[0]);
    args.n_queries = logits->h * logits->w;
    args.n_classes = logits->c;
    args.max_objects = call->op->args.select.max_objects;
    args.lanes = sono_rank_lanes(args.n_classes);
    const size_t scores_bytes = (size_t)args.n_queries * sizeof(uint32_t);
    select_kernel<<<(unsigned)logits->n, BLOCK, scores_bytes, call->stream>>>(args);
    return cudaGetLastError();
}
