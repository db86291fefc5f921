// SPDX-License-Identifier: Apache-2.0
/*
 * FDR_BOX and LQE_STAT: what D-FINE reads out of the distributions of a box's four sides.
 *
 * corners [n, 1, Q, 4 * bins]: logits of the left, top, right and bottom side. FDR_BOX: boxes [n, 1, Q, 4]
 * (cx cy w h), project [1, 1, 1, bins] -> boxes [n, 1, Q, 4]; the expectation of project under each softmax
 * moves that side. LQE_STAT: -> [n, 1, Q, 4 * (top_k + 1)]; a side's largest probabilities, descending, then
 * their mean. Semantics: src/engine/cpu/kernels/boxes.c. A warp for a query, 8 lanes for a side, each with
 * every 8th bin; 4 warps a block, one map a blockIdx.y. 300 queries x 132 logits: 160 KB, bound by latency,
 * about 2 us. Test: tests/ops/test_boxes.c.
 */
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK 128
#define SIDE  8 /* lanes */
#define ALL   0xffffffffu

typedef struct boxes_args {
    sono_rows corners, out;
    sono_rows boxes, project; /* FDR_BOX */
    uint32_t n_queries;
    int32_t n_bins, top_k;
    float reg_scale;
} boxes_args;

static __device__ __forceinline__ float largest_of(const boxes_args &args, int64_t at, int lane)
{
    float largest = -INFINITY;
    for (int32_t i = lane; i < args.n_bins; i += SIDE)
        largest = fmaxf(largest, sono_rows_value(args.corners, at + i));
    return sono_lanes_max<SIDE>(largest);
}

static __global__ void __launch_bounds__(BLOCK) fdr_box_kernel(const boxes_args args)
{
    const int lane = threadIdx.x % SIDE, side = threadIdx.x % SONO_WARP / SIDE;
    const uint32_t query = blockIdx.x * (BLOCK / SONO_WARP) + threadIdx.x / SONO_WARP;
    if (query >= args.n_queries) /* the whole warp */
        return;
    const int64_t at = sono_rows_at(args.corners, blockIdx.y, query) + side * args.n_bins;
    const int64_t box_at = sono_rows_at(args.boxes, blockIdx.y, query);
    const float centre = sono_rows_value(args.boxes, box_at + side % 2);
    const float size = sono_rows_value(args.boxes, box_at + 2 + side % 2);
    const float largest = largest_of(args, at, lane);
    float sum = 0.0f, moment = 0.0f;
    for (int32_t i = lane; i < args.n_bins; i += SIDE) {
        const float weight = expf(sono_rows_value(args.corners, at + i) - largest);
        sum += weight;
        moment += weight * sono_rows_value(args.project, i);
    }
    const float distance = sono_lanes_sum<SIDE>(moment) / sono_lanes_sum<SIDE>(sum);
    const float reach = (0.5f * args.reg_scale + distance) * (size / args.reg_scale);
    const float edge = side < 2 ? centre - reach : centre + reach;
    const float opposite = __shfl_xor_sync(ALL, edge, 2 * SIDE);
    if (lane == 0) { /* sides 0, 1 write the centre, 2, 3 the size */
        const float v = side < 2 ? (edge + opposite) / 2.0f : edge - opposite;
        sono_rows_store<1>(args.out, sono_rows_at(args.out, blockIdx.y, query) + side, &v);
    }
}

/* The largest of a side's logits that comes after (last, last_bin) in the order of value, then bin; -infinity
 * where there is none. */
static __device__ __forceinline__ void next_largest(const boxes_args &args, int64_t at, int lane, float *last,
                                                    int32_t *last_bin)
{
    float best = -INFINITY;
    int32_t best_bin = args.n_bins;
    for (int32_t i = lane; i < args.n_bins; i += SIDE) {
        const float v = sono_rows_value(args.corners, at + i);
        if ((v < *last || (v == *last && i > *last_bin)) && v > best) {
            best = v;
            best_bin = i;
        }
    }
#pragma unroll
    for (int offset = SIDE / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(ALL, best, offset);
        const int32_t bin = __shfl_xor_sync(ALL, best_bin, offset);
        if (v > best || (v == best && bin < best_bin)) {
            best = v;
            best_bin = bin;
        }
    }
    *last = best;
    *last_bin = best_bin;
}

static __global__ void __launch_bounds__(BLOCK) lqe_stat_kernel(const boxes_args args)
{
    const int lane = threadIdx.x % SIDE, side = threadIdx.x % SONO_WARP / SIDE;
    const uint32_t query = blockIdx.x * (BLOCK / SONO_WARP) + threadIdx.x / SONO_WARP;
    if (query >= args.n_queries) /* the whole warp */
        return;
    const int64_t at = sono_rows_at(args.corners, blockIdx.y, query) + side * args.n_bins;
    const int64_t out_at = sono_rows_at(args.out, blockIdx.y, query) + side * (args.top_k + 1);
    const float largest = largest_of(args, at, lane);
    float sum = 0.0f, mean = 0.0f, last = INFINITY;
    int32_t last_bin = -1;
    for (int32_t i = lane; i < args.n_bins; i += SIDE)
        sum += expf(sono_rows_value(args.corners, at + i) - largest);
    sum = sono_lanes_sum<SIDE>(sum);
    for (int32_t k = 0; k < args.top_k; k++) {
        next_largest(args, at, lane, &last, &last_bin);
        const float probability = expf(last - largest) / sum;
        mean += probability;
        if (lane == 0)
            sono_rows_store<1>(args.out, out_at + k, &probability);
    }
    mean /= (float)args.top_k;
    if (lane == 0)
        sono_rows_store<1>(args.out, out_at + args.top_k, &mean);
}

static boxes_args args_of(const sono_cuda_call *call)
{
    const sono_bins_args *op = &call->op->args.bins;
    boxes_args args = {};
    args.corners = sono_rows_make(&call->in[0]);
    args.out = sono_rows_make(&call->out[0]);
    args.n_queries = (uint32_t)((int64_t)call->out[0].h * call->out[0].w);
    args.n_bins = op->reg_max + 1;
    args.top_k = op->top_k;
    args.reg_scale = fabsf(op->reg_scale);
    return args;
}

static dim3 grid_of(const boxes_args *args, int32_t n)
{
    return dim3((unsigned)sono_ceil_div(args->n_queries, BLOCK / SONO_WARP), (unsigned)n);
}

extern "C" cudaError_t sono_cuda_fdr_box(const sono_cuda_call *call)
{
    boxes_args args = args_of(call);
    args.boxes = sono_rows_make(&call->in[1]);
    args.project = sono_rows_make(&call->in[2]);
    fdr_box_kernel<<<grid_of(&args, call->out[0].n), BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_lqe_stat(const sono_cuda_call *call)
{
    const boxes_args args = args_of(call);
    lqe_stat_kernel<<<grid_of(&args, call->out[0].n), BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}
