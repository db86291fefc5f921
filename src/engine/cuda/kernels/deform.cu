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
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK 128
#define ALL   0xffffffffu

#define TOP_LEFT     1
#define TOP_RIGHT    2
#define BOTTOM_LEFT  4
#define BOTTOM_RIGHT 8
#define FLAG_BITS    4

typedef struct deform_args {
    sono_rows value, offsets, logits, boxes, out;
    sono_deform_args op;
    int32_t n_points; /* of a head */
    uint32_t n_warps; /* of a map: queries * heads */
} deform_args;

/* Where a point samples. flags: the corners inside of the map, above them the map's width. */
typedef struct sample {
    float weight, right, bottom; /* softmax numerator; parts of the right and the bottom pixels */
    int32_t position, flags;     /* position: of the top left corner, from the first level's start */
} sample;

static __device__ __forceinline__ sample sample_of(const deform_args &args, int32_t point, float x, float y,
                                                   float weight, const float box[4], int *is_nan)
{
    sample s = {weight, 0.0f, 0.0f, 0, 0};
    int32_t start = 0, h = 0, w = 0, n_points = 1, first = 0;
#pragma unroll
    for (int l = 0; l < SONO_MAX_LEVELS; l++) { /* the point's level, by constant indices */
        if (l < args.op.n_levels && point >= first) {
            start += h * w;
            h = args.op.level_h[l];
            w = args.op.level_w[l];
            n_points = args.op.level_points[l];
            first += n_points;
        }
    }
    const float scale = args.op.offset_scale / (float)n_points;
    x = (box[0] + x * scale * box[2]) * (float)w - 0.5f; /* pixels, their centres at whole numbers */
    y = (box[1] + y * scale * box[3]) * (float)h - 0.5f;
    *is_nan = x != x || y != y;
    if (*is_nan || x <= -1.0f || y <= -1.0f || x >= (float)w || y >= (float)h)
        return s;
    const int32_t x0 = (int32_t)floorf(x), y0 = (int32_t)floorf(y);
    s.right = x - floorf(x);
    s.bottom = y - floorf(y);
    s.position = start + y0 * w + x0;
    s.flags = (y0 >= 0 && x0 >= 0 ? TOP_LEFT : 0) | (y0 >= 0 && x0 + 1 < w ? TOP_RIGHT : 0) |
              (y0 + 1 < h && x0 >= 0 ? BOTTOM_LEFT : 0) | (y0 + 1 < h && x0 + 1 < w ? BOTTOM_RIGHT : 0) |
              w << FLAG_BITS;
    return s;
}

/* The sum of up to 32 points' samples of one channel; lane p holds point p. value: the channel at the first
 * position. */
template <typename T>
static __device__ __forceinline__ float add_samples(const sample &own, int32_t n_points, const T *value,
                                                    int64_t pitch, int is_channel)
{
    float sum = 0.0f;
#pragma unroll 4
    for (int p = 0; p < n_points; p++) {
        const float weight = __shfl_sync(ALL, own.weight, p), right = __shfl_sync(ALL, own.right, p);
        const float bottom = __shfl_sync(ALL, own.bottom, p);
        const int32_t position = __shfl_sync(ALL, own.position, p), flags = __shfl_sync(ALL, own.flags, p);
        const int corners = is_channel ? flags : 0;
        const T *corner = value + position * pitch, *below = corner + (flags >> FLAG_BITS) * pitch;
        float top_left = 0.0f, top_right = 0.0f, bottom_left = 0.0f, bottom_right = 0.0f;
        if (corners & TOP_LEFT)
            top_left = sono_load(corner);
        if (corners & TOP_RIGHT)
            top_right = sono_load(corner + pitch);
        if (corners & BOTTOM_LEFT)
            bottom_left = sono_load(below);
        if (corners & BOTTOM_RIGHT)
            bottom_right = sono_load(below + pitch);
        sum += weight * ((1.0f - bottom) * ((1.0f - right) * top_left + right * top_right) +
                         bottom * ((1.0f - right) * bottom_left + right * bottom_right));
    }
    return sum;
}

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
                own = sample_of(args, p, x, y, weight, box, &is_nan);
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
