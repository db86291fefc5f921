// SPDX-License-Identifier: Apache-2.0
/*
 * LAYER_NORM: y = act((v - mean(v)) / sqrt(var(v) + eps) * gamma + beta), v = clamp(x + residual), over the
 * channels of each position; var is the biased one. GATED_NORM: the same of v = sigmoid(g1) * x1 +
 * sigmoid(g2) * x2.
 *
 * x, residual, y [n, h, w, c], gates [n, h, w, 2c], gamma, beta [1, 1, 1, c]; semantics:
 * src/engine/cpu/kernels/norm.c. 8, 16 or 32 lanes of a warp for a row, each with up to 4 vectors of 8
 * channels that stay in registers from load to store; everything is requested before the first sum. The mean
 * is subtracted before squaring, all in float32. Rows that are wider than 1024 channels or allow no 16-byte
 * access go channel by channel and are read three times. 4 warps a block, one map a blockIdx.y. Memory-bound:
 * 16384 x 128 in F16 moves 8 MB, about 3 us. Test: tests/ops/test_norm.c.
 */
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK  128
#define VECTOR 8 /* channels */

typedef struct norm_args {
    sono_rows x, other, gates; /* LAYER_NORM: other = residual or none; GATED_NORM: x1, x2 */
    sono_rows y;
    const float *gamma, *beta;
    uint32_t n_rows; /* of a map */
    int32_t c;
    sono_act act;
    float eps, clamp;
} norm_args;

static __device__ __forceinline__ float clamp_value(float v, float limit)
{
    return limit > 0.0f ? sono_clamp(v, limit) : v;
}

static __device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x)); /* a gate is not the place to save: 300 rows a frame */
}

/* What goes into the norm: vectors j * LANES + lane of row `row`, zero behind the last channel. */
template <bool GATED, int LANES, int N>
static __device__ __forceinline__ void load_row(const norm_args &args, uint32_t row, int lane,
                                                float v[N][VECTOR])
{
    const int64_t x_at = sono_rows_at(args.x, blockIdx.y, row),
                  other_at = sono_rows_at(args.other, blockIdx.y, row);
    const int64_t gates_at = sono_rows_at(args.gates, blockIdx.y, row);
    sono_raw<VECTOR> x[N], other[N], gate_x[N], gate_other[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int c = (j * LANES + lane) * VECTOR;
        if (c >= args.c)
            continue;
        sono_fetch<VECTOR>(args.x.data, args.x.is_half, x_at + c, &x[j]);
        if (args.other.data)
            sono_fetch<VECTOR>(args.other.data, args.other.is_half, other_at + c, &other[j]);
        if (GATED) {
            sono_fetch<VECTOR>(args.gates.data, args.gates.is_half, gates_at + c, &gate_x[j]);
            sono_fetch<VECTOR>(args.gates.data, args.gates.is_half, gates_at + args.c + c, &gate_other[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int is_inside = (j * LANES + lane) * VECTOR < args.c;
        float a[VECTOR], b[VECTOR], ga[VECTOR], gb[VECTOR];
        sono_unpack<VECTOR>(x[j], args.x.is_half, a);
        sono_unpack<VECTOR>(other[j], args.other.is_half, b);
        if (GATED) {
            sono_unpack<VECTOR>(gate_x[j], args.gates.is_half, ga);
            sono_unpack<VECTOR>(gate_other[j], args.gates.is_half, gb);
        }
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            if (GATED)
                a[i] = sigmoid(ga[i]) * a[i] + sigmoid(gb[i]) * b[i];
            else if (args.other.data)
                a[i] += b[i];
            v[j][i] = is_inside ? (GATED ? a[i] : clamp_value(a[i], args.clamp)) : 0.0f;
        }
    }
}

template <bool GATED, int LANES, int N>
static __global__ void __launch_bounds__(BLOCK) norm_kernel(const norm_args args)
{
    const int lane = threadIdx.x % LANES;
    const uint32_t own = blockIdx.x * (BLOCK / LANES) + threadIdx.x / LANES;
    const uint32_t row = own < args.n_rows ? own : args.n_rows - 1; /* all lanes take part in the sums */
    float v[N][VECTOR], gamma[N][VECTOR], beta[N][VECTOR];
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int c = (j * LANES + lane) * VECTOR;
        if (c >= args.c)
            continue;
        sono_load8(args.gamma + c, gamma[j]);
        sono_load8(args.beta + c, beta[j]);
    }
    load_row<GATED, LANES, N>(args, row, lane, v);
    float sum = 0.0f, squares = 0.0f;
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            sum += v[j][i];
    const float mean = sono_lanes_sum<LANES>(sum) / (float)args.c;
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int is_inside = (j * LANES + lane) * VECTOR < args.c;
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            v[j][i] -= mean;
            squares += is_inside ? v[j][i] * v[j][i] : 0.0f;
        }
    }
    const float inv_std = 1.0f / sqrtf(sono_lanes_sum<LANES>(squares) / (float)args.c + args.eps);
    const int64_t y_at = sono_rows_at(args.y, blockIdx.y, row);
#pragma unroll
    for (int j = 0; j < N; j++) {
        const int c = (j * LANES + lane) * VECTOR;
        if (c >= args.c || own >= args.n_rows)
            continue;
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            v[j][i] = v[j][i] * inv_std * gamma[j][i] + beta[j][i];
        sono_activate_all<true, VECTOR>(args.act, v[j]);
        sono_rows_store<VECTOR>(args.y, y_at + c, v[j]);
    }
}

template <bool GATED>
static __device__ __forceinline__ float value_at(const norm_args &args, uint32_t row, int32_t c)
{
    const float x = sono_rows_value(args.x, sono_rows_at(args.x, blockIdx.y, row) + c);
    const float other =
        args.other.data ? sono_rows_value(args.other, sono_rows_at(args.other, blockIdx.y, row) + c) : 0.0f;
    if (!GATED)
        return clamp_value(args.other.data ? x + other : x, args.clamp);
    const int64_t at = sono_rows_at(args.gates, blockIdx.y, row) + c;
    return sigmoid(sono_rows_value(args.gates, at)) * x +
           sigmoid(sono_rows_value(args.gates, at + args.c)) * other;
}

/* Any number of channels at any place: a warp a row. */
template <bool GATED> static __global__ void __launch_bounds__(BLOCK) norm_any_kernel(const norm_args args)
{
    const int lane = threadIdx.x % SONO_WARP;
    const uint32_t row = blockIdx.x * (BLOCK / SONO_WARP) + threadIdx.x / SONO_WARP;
    if (row >= args.n_rows) /* the whole warp */
        return;
    float sum = 0.0f, squares = 0.0f;
    for (int32_t c = lane; c < args.c; c += SONO_WARP)
        sum += value_at<GATED>(args, row, c);
    const float mean = sono_warp_sum(sum) / (float)args.c;
    for (int32_t c = lane; c < args.c; c += SONO_WARP) {
        const float d = value_at<GATED>(args, row, c) - mean;
        squares += d * d;
    }
    const float inv_std = 1.0f / sqrtf(sono_warp_sum(squares) / (float)args.c + args.eps);
    const int64_t y_at = sono_rows_at(args.y, blockIdx.y, row);
    for (int32_t c = lane; c < args.c; c += SONO_WARP) {
        const float d = value_at<GATED>(args, row, c) - mean;
        const float v = sono_activate(args.act, d * inv_std * args.gamma[c] + args.beta[c]);
        sono_rows_store<1>(args.y, y_at + c, &v);
    }
}

static int is_wide(const norm_args *args)
{
    const int64_t parameters = (int64_t)((uintptr_t)args->gamma | (uintptr_t)args->beta);
    return args->c <= 4 * SONO_WARP * VECTOR && parameters % 16 == 0 &&
           sono_rows_fit(&args->x, args->c, VECTOR) && sono_rows_fit(&args->other, args->c, VECTOR) &&
           sono_rows_fit(&args->gates, args->c, VECTOR) && sono_rows_fit(&args->y, args->c, VECTOR);
}

/* y, the common arguments and the launch; the caller has set what goes in. */
template <bool GATED> static cudaError_t launch(const sono_cuda_call *call, norm_args args, int gamma)
{
    const sono_cuda_tensor *y = &call->out[0];
    const sono_norm_args *op = &call->op->args.norm;
    const int64_t n_rows = (int64_t)y->h * y->w;
    args.y = sono_rows_make(y);
    args.gamma = (const float *)call->in[gamma].data;
    args.beta = (const float *)call->in[gamma + 1].data;
    args.n_rows = (uint32_t)n_rows;
    args.c = y->c;
    args.act = op->act;
    args.eps = op->eps;
    args.clamp = op->clamp;
    const int wide = is_wide(&args), lanes = wide && y->c <= 64 ? 8 : wide && y->c <= 128 ? 16 : SONO_WARP;
    const dim3 grid((unsigned)sono_ceil_div(n_rows, BLOCK / lanes), (unsigned)y->n);
    if (!wide)
        norm_any_kernel<GATED><<<grid, BLOCK, 0, call->stream>>>(args);
    else if (lanes == 8)
        norm_kernel<GATED, 8, 1><<<grid, BLOCK, 0, call->stream>>>(args);
    else if (lanes == 16)
        norm_kernel<GATED, 16, 1><<<grid, BLOCK, 0, call->stream>>>(args);
    else if (y->c <= SONO_WARP * VECTOR)
        norm_kernel<GATED, SONO_WARP, 1><<<grid, BLOCK, 0, call->stream>>>(args);
    else if (y->c <= 2 * SONO_WARP * VECTOR)
        norm_kernel<GATED, SONO_WARP, 2><<<grid, BLOCK, 0, call->stream>>>(args);
    else
        norm_kernel<GATED, SONO_WARP, 4><<<grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_layer_norm(const sono_cuda_call *call)
{
    norm_args args = {};
    args.x = sono_rows_make(&call->in[0]);
    if (call->in[3].data)
        args.other = sono_rows_make(&call->in[3]);
    return launch<false>(call, args, 1);
}

extern "C" cudaError_t sono_cuda_gated_norm(const sono_cuda_call *call)
{
    norm_args args = {};
    args.gates = sono_rows_make(&call->in[0]);
    args.x = sono_rows_make(&call->in[1]);
    args.other = sono_rows_make(&call->in[2]);
    return launch<true>(call, args, 3);
}
