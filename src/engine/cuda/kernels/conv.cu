// SPDX-License-Identifier: Apache-2.0
/*
 * CONV and LINEAR: y = epilogue(A x weight), A gathered from x on the way; semantics as
 * src/engine/cpu/kernels/conv.c. x [n, h, w, c_in] F16 or F32, weight F16 K-major and padded (kernels.h) or
 * F32 [kh, kw, c_in, c_out], bias? [c_out] F32, residual? and y [n, out_h, out_w, c_out] F16 or F32, each
 * with its own strides. conv_half.cuh for F16 x, conv_float.cuh for F32 x; choice/conv.c chooses the tile
 * and the number of splits of K. Splits leave float32 partial sums in the scratch, [split][M][N rounded up to
 * 8], and conv_sum adds them in order: the result never depends on the run. Numbers: float32 sums, one order
 * a tile shape. Test: tests/ops/test_conv.c.
 */
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/conv_float.cuh"
#include "engine/cuda/kernels/conv_half.cuh"

#define SUM_THREADS 128

/* One thread: 4 columns of a row, over all splits. EXACT as in conv_finish.cuh. */
template <bool EXACT> static __global__ void __launch_bounds__(SUM_THREADS) conv_sum(conv_args p)
{
    const int32_t groups = p.partial_pitch / 4;
    const int64_t i = (int64_t)blockIdx.x * SUM_THREADS + threadIdx.x;
    const int32_t m = (int32_t)(i / groups), col = (int32_t)(i % groups) * 4;
    if (m >= p.m || col >= p.n)
        return;
    float v[4], bias[4], residual[4];
    conv_residual<4>(p, m, col, residual);
    conv_load<4>(p.partial + (int64_t)m * p.partial_pitch + col, v);
    for (int32_t s = 1; s < p.n_splits; s++) {
        float part[4];
        conv_load<4>(p.partial + ((int64_t)s * p.m + m) * p.partial_pitch + col, part);
#pragma unroll
        for (int j = 0; j < 4; j++)
            v[j] += part[j];
    }
    conv_bias<4>(p, col, bias);
    conv_finish<EXACT, 4>(p, m, col, v, bias, residual);
}

typedef void (*conv_kernel)(conv_args);

#define HALF_TYPE(id, text, BM, BN, BK, WM, WN, WK, stages, blocks, rate, latency, vector)                   \
    typedef conv_half_tile<BM, BN, BK, WM, WN, WK, stages, blocks> id;                                       \
    static_assert(id::THREADS == SONO_CONV_HALF_THREADS(BM, BN, WM, WN, WK) &&                               \
                      id::STAGE_BYTES == SONO_CONV_HALF_STAGE(BM, BN, BK) &&                                 \
                      id::SUM_BYTES == SONO_CONV_HALF_SUMS(BM, BN, WM, WN, WK),                              \
                  "the choice knows another tile");
#define FLOAT_TYPE(id, text, TM, TN, TY, TX, slices, BK, stages, blocks, rate, latency, vector)              \
    typedef conv_float_tile<TM, TN, TY, TX, slices, BK, stages, blocks> id;                                  \
    static_assert(id::THREADS == (TY) * (TX) * (slices) &&                                                   \
                      id::STAGE_BYTES == SONO_CONV_FLOAT_STAGE((TM) * (TY), (TN) * (TX), BK) &&              \
                      id::SUM_BYTES == SONO_CONV_FLOAT_SUMS((TM) * (TY), (TN) * (TX), slices),               \
                  "the choice knows another tile");
SONO_CONV_HALF_TILES(HALF_TYPE)
SONO_CONV_FLOAT_TILES(FLOAT_TYPE)

/* By sono_conv_tile_id. */
#define HALF_KERNEL(id, text, BM, BN, BK, WM, WN, WK, stages, blocks, rate, latency, vector)                 \
    conv_half<id, vector != 0>,
#define FLOAT_KERNEL(id, text, TM, TN, TY, TX, slices, BK, stages, blocks, rate, latency, vector)            \
    conv_float<id, vector != 0>,
/* clang-format off */
static const conv_kernel kernels[SONO_CONV_TILE_COUNT] = {
    SONO_CONV_HALF_TILES(HALF_KERNEL)
    SONO_CONV_FLOAT_TILES(FLOAT_KERNEL)
};
/* clang-format on */

/* Whether every row of t starts at a multiple of `elements` elements, at most 16 bytes at a time. */
static int is_aligned(const sono_cuda_tensor *t, int32_t elements)
{
    return sono_is_wide(t, elements, elements);
}

static conv_rows rows_of(const sono_cuda_tensor *t)
{
    const int64_t per_map = (int64_t)t->h * t->w;
    conv_rows rows = {t->pitch, t->batch_stride, (int32_t)per_map};
    if (t->n <= 1 || t->batch_stride == per_map * t->pitch)
        rows.per_map = INT32_MAX;
    return rows;
}

static conv_args make_args(const sono_cuda_call *call)
{
    const sono_conv_product g = sono_conv_product_of(call);
    const sono_conv_args *conv = &call->op->args.conv;
    const sono_cuda_tensor *x = &call->in[0], *weight = &call->in[1], *residual = &call->in[3],
                           *y = &call->out[0];
    conv_args p = {};
    p.x = x->data;
    p.weight = weight->data;
    p.bias = (const float *)call->in[2].data;
    p.residual = residual->data;
    p.y = y->data;
    p.x_rows = rows_of(x);
    p.residual_rows = rows_of(residual);
    p.y_rows = rows_of(y);
    p.m = (int32_t)g.m;
    p.n = (int32_t)g.n;
    p.k = (int32_t)g.k;
    p.n_splits = 1;
    p.weight_pitch = (int32_t)weight->pitch;
    p.is_linear = call->op->kind == SONO_OP_LINEAR;
    p.c_in = x->c;
    p.kernel_w = p.is_linear ? 1 : conv->kernel_w;
    p.x_h = p.is_linear ? 1 : x->h;
    p.x_w = p.is_linear ? 1 : x->w;
    p.out_w = y->w;
    p.out_per_map = y->h * y->w;
    p.stride = conv->stride;
    p.pad_top = conv->pad_top;
    p.pad_left = conv->pad_left;
    p.c_in_inverse = conv_inverse(x->c);
    p.out_w_inverse = conv_inverse(y->w);
    p.kernel_w_inverse = 65536u / (uint32_t)p.kernel_w + 1;
    p.weight_vector = sono_is_wide(weight, y->c, 4);
    const int32_t width = x->dtype == SONO_DTYPE_F16 ? 8 : 4;
    p.vector = (uintptr_t)p.bias % 16 == 0 && is_aligned(residual, width) && is_aligned(y, width);
    p.residual_is_half = residual->dtype == SONO_DTYPE_F16;
    p.y_is_half = y->dtype == SONO_DTYPE_F16;
    p.epilogue = conv->epilogue;
    return p;
}

extern "C" cudaError_t sono_cuda_conv_thin(const sono_cuda_call *call)
{
    const conv_args p = make_args(call);
    const dim3 grid((uint32_t)sono_ceil_div(p.n, CONV_THIN_COLUMNS),
                    (uint32_t)sono_ceil_div(p.m, CONV_THIN_ROWS));
    conv_thin<<<grid, CONV_THIN_THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}

/* Lets the kernel have as much shared memory as any op needs that chooses it, so that the order of ops, and
 * other engines of the process, do not matter. */
extern "C" cudaError_t sono_cuda_conv_tile_prepare(const sono_cuda_call *call)
{
    const sono_conv_tile *t = call->choice->candidate->tile;
    const int32_t cc = call->compute_capability, most = sono_shared_bytes(cc) - (cc < 80 ? 0 : 1024);
    const int32_t whole = sono_conv_block_bytes(t, t->max_stages, cc), bytes = whole < most ? whole : most;
    if (bytes <= 48 << 10)
        return cudaSuccess;
    return cudaFuncSetAttribute((const void *)kernels[t - sono_conv_tiles],
                                cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

extern "C" cudaError_t sono_cuda_conv_tile(const sono_cuda_call *call)
{
    const sono_conv_tile *t = call->choice->candidate->tile;
    conv_args p = make_args(call);
    p.n_tiles = (int32_t)sono_ceil_div(p.n, t->bn);
    p.n_tiles_inverse = conv_inverse(p.n_tiles);
    p.steps = call->choice->steps;
    p.n_splits = call->choice->n_splits;
    p.partial = (float *)call->scratch;
    p.partial_pitch = (int32_t)sono_conv_partial_pitch(p.n);
    const dim3 grid((uint32_t)(sono_ceil_div(p.m, t->bm) * p.n_tiles), (uint32_t)p.n_splits);
    const int32_t bytes = sono_conv_block_bytes(t, p.steps, call->compute_capability);
    kernels[t - sono_conv_tiles]<<<grid, t->threads, bytes, call->stream>>>(p);
    if (p.n_splits == 1)
        return cudaGetLastError();
    const uint32_t blocks = (uint32_t)sono_ceil_div((int64_t)p.m * (p.partial_pitch / 4), SUM_THREADS);
    if (t->is_half)
        conv_sum<false><<<blocks, SUM_THREADS, 0, call->stream>>>(p);
    else
        conv_sum<true><<<blocks, SUM_THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
