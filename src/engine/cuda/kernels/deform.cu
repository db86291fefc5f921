// SPDX-License-Identifier: Apache-2.0
/*
 * DEFORM_ATTENTION: each head of each query mixes a few bilinear samples of the value maps.
 *
 * value [n, 1, T, heads * head_dim], T = the levels' maps one after the other, row-major; offsets [n, 1, Q,
 * heads, points, 2]; logits [n, 1, Q, heads, points]; boxes [n, 1, Q, 4] cx cy w h in 0..1 -> out [n, 1, Q,
 * heads * head_dim]. location = box.xy + offset / (points of its level) * box.wh * offset_scale; weights =
 * softmax of a head's logits; samples as grid_sample(bilinear, zeros, align_corners=False). Semantics:
 * src/engine/cpu/kernels/deform.c. A warp for a head of a query, 4 warps a block, one map a blockIdx.y.
 * First a lane is a point and works out where it samples and with which weight, then a lane is a channel and
 * takes those numbers from the other lanes: the corners of 4 points are requested together. 300 queries x 8
 * heads x 12 points: 2400 warps, about 3 us, bound by latency. Test: tests/ops/test_deform.c.
 */
#include "engine/cuda/kernels/deform_sample.cuh"
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK 128
#define ALL   0xffffffffu

typedef struct deform_args {
    sono_rows value, offsets, logits, boxes, out;
    sono_deform_args op;
    int32_t n_points; /* of a head */
    uint32_t n_warps; /* of a map: queries * heads */
} deform_args;

template <typename T> static __global__ void __launch_bounds__(BLOCK) deform_kernel(const deform_args args)
{
    const int lane = threadIdx.x % SONO_WARP, n_points = args.n_points;
    const uint32_t warp = blockIdx.x * (BLOCK / SONO_WARP) + threadIdx.x / SONO_WARP;
    if (warp >= args.n_warps) /* the whole warp */
        return;
    const uint32_t query = warp / (uint32_t)args.op.n_heads, head = warp - query * (uint32_t)args.op.n_heads;
    const int64_t box_at = sono_rows_at(args.boxes, blockIdx.y, query);
    const int64_t logits_at = sono_rows_at(args.logits, blockIdx.y, query) + (int64_t)head * n_points;
    const int64_t offsets_at = sono_rows_at(args.offsets, blockIdx.y, query) + (int64_t)head * n_points * 2;
    const int64_t out_at = sono_rows_at(args.out, blockIdx.y, query) + (int64_t)head * args.op.head_dim;
    const T *value = (const T *)args.value.data + sono_rows_at(args.value, blockIdx.y, 0) +
                     (int64_t)head * args.op.head_dim;
    float box[4], largest = -INFINITY;
#pragma unroll
    for (int i = 0; i < 4; i++)
        box[i] = sono_rows_value(args.boxes, box_at + i);
    for (int p = lane; p < n_points; p += SONO_WARP)
        largest = fmaxf(largest, sono_rows_value(args.logits, logits_at + p));
    largest = sono_warp_max(largest);
    for (int first_channel = 0; first_channel < args.op.head_dim; first_channel += SONO_WARP) {
        const int channel = first_channel + lane, is_channel = channel < args.op.head_dim;
        float sum = 0.0f, weights = 0.0f;
        for (int first = 0; first < n_points; first += SONO_WARP) {
            const int p = first + lane, n = n_points - first < SONO_WARP ? n_points - first : SONO_WARP;
            sample own = {0.0f, 0.0f, 0.0f, 0, 0};
            int is_nan = 0;
            if (p < n_points) {
                const float x = sono_rows_value(args.offsets, offsets_at + 2 * p);
                const float y = sono_rows_value(args.offsets, offsets_at + 2 * p + 1);
                const float weight = expf(sono_rows_value(args.logits, logits_at + p) - largest);
                own = sample_of(args.op, p, x, y, weight, box, &is_nan);
            }
            weights += own.weight;
            sum += add_samples<T>(own, n, value + channel, args.value.pitch, is_channel);
            if (__any_sync(ALL, is_nan)) /* a location that is no number spoils the head */
                sum = NAN;
        }
        weights = sono_warp_sum(weights);
        if (is_channel) {
            const float mean = sum / weights;
            sono_rows_store<1>(args.out, out_at + channel, &mean);
        }
    }
}

extern "C" cudaError_t sono_cuda_deform(const sono_cuda_call *call)
{
    const sono_cuda_tensor *out = &call->out[0];
    deform_args args = {};
    args.value = sono_rows_make(&call->in[0]);
    args.offsets = sono_rows_make(&call->in[1]);
    args.logits = sono_rows_make(&call->in[2]);
    args.boxes = sono_rows_make(&call->in[3]);
    args.out = sono_rows_make(out);
    args.op = call->op->args.deform;
    for (int32_t l = 0; l < args.op.n_levels; l++)
        args.n_points += args.op.level_points[l];
    const int64_t n_warps = (int64_t)out->h * out->w * args.op.n_heads;
    args.n_warps = (uint32_t)n_warps;
    const dim3 grid((unsigned)sono_ceil_div(n_warps, BLOCK / SONO_WARP), (unsigned)out->n);
    if (args.value.is_half)
        deform_kernel<__half><<<grid, BLOCK, 0, call->stream>>>(args);
    else
        deform_kernel<float><<<grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}
