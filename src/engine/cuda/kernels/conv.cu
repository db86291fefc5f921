// SPDX-License-Identifier: Apache-2.0
/*
 * CONV and LINEAR: y = epilogue(A x weight), A gathered from x on the way; semantics as
 * src/engine/cpu/kernels/conv.c. x [n, h, w, c_in] F16 or F32, weight F16 K-major and padded (kernels.h) or
 * F32 [kh, kw, c_in, c_out], bias? [c_out] F32, residual? and y [n, out_h, out_w, c_out] F16 or F32, each
 * with its own strides. This file chooses: conv_half.cuh for F16 x, conv_float.cuh for F32 x; the tile shape
 * and the number of splits of K by an estimate of the time on this many multiprocessors; the gathering
 * variant by alignment. Splits leave float32 partial sums in the scratch, [split][M][N rounded up to 8], and
 * conv_sum adds them in order: the result never depends on the run. Numbers: float32 sums, one order a tile
 * shape. Test: tests/ops/test_conv.c.
 */
#include "engine/cuda/kernels/conv_float.cuh"
#include "engine/cuda/kernels/conv_half.cuh"

#define THIN_ROWS   16 /* LINEAR with at most this many rows: conv_thin */
#define SUM_THREADS 128
#define SUM_CLOCKS                                                                                           \
    4000.0f /* a second kernel: its launch in a graph and one trip through the second-level cache */
#define MAX_SPLITS   8
#define BLOCK_CLOCKS 1500.0f /* of a block, beside its steps: launch, first loads, epilogue's latency */

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

typedef struct tile {
    int32_t bm, bn, bk, threads, max_stages, stage_bytes, sum_bytes;
    int32_t blocks;     /* a multiprocessor, by registers */
    float rate;         /* multiply-adds a clock and multiprocessor, when it is full */
    float latency;      /* clocks of a step of one block alone, at least */
    conv_kernel vector; /* NULL: this tile has no such variant */
    conv_kernel scalar;
} tile;

#define TILE(T, rate, latency, vector, scalar)                                                               \
    {                                                                                                        \
        T::BM, T::BN, T::BK, T::THREADS, T::MAX_STAGES, T::STAGE_BYTES, T::SUM_BYTES, T::BLOCKS, rate,       \
            latency, vector, scalar                                                                          \
    }

/*                     BM   BN  BK  WM  WN WK stages blocks */
typedef conv_half_tile<128, 128, 64, 64, 32, 1, 3, 2> half_128x128;
typedef conv_half_tile<128, 64, 64, 64, 32, 1, 3, 3> half_128x64;
typedef conv_half_tile<128, 32, 64, 32, 32, 1, 3, 3> half_128x32;
typedef conv_half_tile<64, 64, 64, 32, 32, 1, 4, 3> half_64x64;
typedef conv_half_tile<64, 32, 64, 32, 32, 2, 4, 4> half_64x32;
typedef conv_half_tile<32, 32, 64, 32, 32, 4, 4, 4> half_32x32;
typedef conv_half_tile<128, 32, 32, 32, 32, 1, 2, 4> half_128x32_scalar; /* stems: K = 27 is one step of 32 */
typedef conv_half_tile<64, 64, 32, 32, 32, 1, 2, 4> half_64x64_scalar;

/*                      TM TN  TY  TX S  BK stages blocks */
typedef conv_float_tile<8, 8, 16, 16, 1, 16, 3, 2> float_128x128;
typedef conv_float_tile<8, 4, 8, 16, 2, 32, 3, 2> float_64x64;
typedef conv_float_tile<8, 4, 4, 8, 8, 64, 3, 2> float_32x32;
typedef conv_float_tile<6, 4, 4, 8, 8, 64, 3, 2> float_24x32;
typedef conv_float_tile<4, 4, 4, 8, 8, 64, 3, 3> float_16x32;

static const tile half_tiles[] = {
    TILE(half_128x128, 600, 1950, (conv_half<half_128x128, true>), NULL),
    TILE(half_128x64, 540, 1300, (conv_half<half_128x64, true>), NULL),
    TILE(half_128x32, 420, 750, (conv_half<half_128x32, true>), NULL),
    TILE(half_64x64, 450, 750, (conv_half<half_64x64, true>), NULL),
    TILE(half_64x32, 360, 430, (conv_half<half_64x32, true>), NULL),
    TILE(half_32x32, 260, 290, (conv_half<half_32x32, true>), NULL),
    TILE(half_128x32_scalar, 120, 700, NULL, (conv_half<half_128x32_scalar, false>)),
    TILE(half_64x64_scalar, 100, 700, NULL, (conv_half<half_64x64_scalar, false>)),
};

static const tile float_tiles[] = {
    TILE(float_128x128, 110, 1100, (conv_float<float_128x128, true>), NULL),
    TILE(float_64x64, 95, 700, (conv_float<float_64x64, true>), (conv_float<float_64x64, false>)),
    TILE(float_32x32, 85, 500, (conv_float<float_32x32, true>), (conv_float<float_32x32, false>)),
    TILE(float_24x32, 80, 450, (conv_float<float_24x32, true>), NULL),
    TILE(float_16x32, 65, 400, (conv_float<float_16x32, true>), NULL),
};

typedef struct product {
    int64_t m, n, k;
    int32_t is_half; /* x and weight */
    int32_t is_thin;
} product;

typedef struct plan {
    const tile *shape;
    int32_t steps, n_splits;
    float clocks;
} plan;

/* Shared memory of one multiprocessor. */
static int32_t shared_bytes(int32_t compute_capability)
{
    switch (compute_capability) {
    case 75:
        return 64 << 10;
    case 80:
        return 164 << 10;
    case 86:
    case 89:
    case 120:
        return 100 << 10;
    default:
        return compute_capability < 80 ? 64 << 10 : compute_capability < 90 ? 100 << 10 : 228 << 10;
    }
}

static int32_t block_bytes(const tile *t, int32_t steps, int32_t compute_capability)
{
    const int32_t ring = compute_capability < 80 ? 2 : t->max_stages;
    const int32_t stages = (steps < ring ? steps : ring) * t->stage_bytes;
    return stages > t->sum_bytes ? stages : t->sum_bytes;
}

/* Blocks that are on a multiprocessor together; 0: not even one. From compute capability 8.0 each costs 1 KB
 * more. */
static int32_t resident_blocks(const sono_cuda_call *call, const tile *t, int32_t steps)
{
    const int32_t cc = call->compute_capability;
    const int32_t fit = shared_bytes(cc) / (block_bytes(t, steps, cc) + (cc < 80 ? 0 : 1024));
    return fit < t->blocks ? fit : t->blocks;
}

/* Clocks from launch to end, roughly: the fuller multiprocessors' work, or their blocks' latency one after
 * another. */
static float estimate(const sono_cuda_call *call, const product *g, const tile *t, int32_t steps,
                      int32_t n_splits, int32_t together)
{
    const int64_t tiles = sono_ceil_div(g->m, t->bm) * sono_ceil_div(g->n, t->bn) * n_splits;
    const int64_t blocks = sono_ceil_div(tiles, call->n_multiprocessors);
    const float rounds = (float)sono_ceil_div(blocks, together), area = (float)(t->bm * t->bn);
    const float work = (float)blocks * area * ((float)(steps * t->bk) / t->rate + 0.12f);
    const float latency = rounds * (float)steps * t->latency;
    const float traffic = (float)(g->m * g->n) * 4.0f * (float)(n_splits + 1);
    const float sums = n_splits == 1 ? 0.0f : SUM_CLOCKS + traffic / (20.0f * (float)call->n_multiprocessors);
    return (work > latency ? work : latency) + rounds * BLOCK_CLOCKS + sums;
}

static plan choose(const sono_cuda_call *call, const product *g, int is_vector, int32_t max_splits)
{
    const tile *tiles = g->is_half ? half_tiles : float_tiles;
    const size_t n_tiles =
        g->is_half ? sizeof half_tiles / sizeof *tiles : sizeof float_tiles / sizeof *tiles;
    plan best = {NULL, 0, 0, 0.0f};
    for (size_t i = 0; i < n_tiles; i++) {
        const tile *t = &tiles[i];
        if (!(is_vector ? t->vector : t->scalar))
            continue;
        const int32_t steps = (int32_t)sono_ceil_div(g->k, t->bk);
        for (int32_t wanted = 1; wanted <= max_splits && wanted <= steps; wanted *= 2) {
            const int32_t each = (int32_t)sono_ceil_div(steps, wanted);
            const int32_t n_splits = (int32_t)sono_ceil_div(steps, each);
            const int32_t together = resident_blocks(call, t, each);
            if (together < 1)
                continue;
            const float clocks = estimate(call, g, t, each, n_splits, together);
            if (!best.shape || clocks < best.clocks)
                best = {t, each, n_splits, clocks};
        }
    }
    return best;
}

static product product_of(const sono_cuda_call *call)
{
    const sono_conv_args *conv = &call->op->args.conv;
    const int is_linear = call->op->kind == SONO_OP_LINEAR;
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    product g;
    g.m = (int64_t)y->n * y->h * y->w;
    g.n = y->c;
    g.k = is_linear ? x->c : (int64_t)conv->kernel_h * conv->kernel_w * x->c;
    g.is_half = x->dtype == SONO_DTYPE_F16;
    g.is_thin = is_linear && !g.is_half && g.m <= THIN_ROWS;
    return g;
}

static int64_t round_up(int64_t value, int64_t unit)
{
    return sono_ceil_div(value, unit) * unit;
}

static int64_t partial_bytes(const product *g, int32_t n_splits)
{
    return n_splits > 1 ? (int64_t)sizeof(float) * n_splits * g->m * round_up(g->n, 8) : 0;
}

/* Only a vector variant may split: whether one can run is not known before the tensors have addresses. */
extern "C" size_t sono_cuda_conv_scratch(const sono_cuda_call *call)
{
    const product g = product_of(call);
    return g.is_thin ? 0 : (size_t)partial_bytes(&g, choose(call, &g, 1, MAX_SPLITS).n_splits);
}

/* Whether every row of t starts at a multiple of `elements` elements, at most 16 bytes at a time. */
static int is_aligned(const sono_cuda_tensor *t, int32_t elements)
{
    const int64_t size = t->dtype == SONO_DTYPE_F16 ? 2 : 4;
    const int64_t bytes = elements * size < 16 ? elements * size : 16, unit = bytes / size;
    return !t->data || ((uintptr_t)t->data % (uintptr_t)bytes == 0 && t->pitch % unit == 0 &&
                        (t->n <= 1 || t->batch_stride % unit == 0));
}

static conv_rows rows_of(const sono_cuda_tensor *t)
{
    const int64_t per_map = (int64_t)t->h * t->w;
    conv_rows rows = {t->pitch, t->batch_stride, (int32_t)per_map};
    if (t->n <= 1 || t->batch_stride == per_map * t->pitch)
        rows.per_map = INT32_MAX;
    return rows;
}

static int is_float(const sono_cuda_tensor *t)
{
    return !t->data || t->dtype == SONO_DTYPE_F32 || t->dtype == SONO_DTYPE_F16;
}

/* The kernels' 32-bit arithmetic and their types; what the networks need is far inside. */
static int is_supported(const sono_cuda_call *call, const product *g)
{
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    const int64_t extent = (x->n - 1) * x->batch_stride + ((int64_t)x->h * x->w + 2 * x->w + 2) * x->pitch;
    if (extent > INT32_MAX || g->m > INT32_MAX || g->k >= CONV_MAX_DEPTH)
        return 0;
    if (call->op->kind == SONO_OP_CONV &&
        (x->h > CONV_MAX_SIDE / 2 || x->w > CONV_MAX_SIDE / 2 || (int64_t)y->h * y->w * y->w > UINT32_MAX))
        return 0;
    return is_float(x) && is_float(&call->in[3]) && is_float(y) && call->in[1].dtype == x->dtype &&
           (!call->in[2].data || call->in[2].dtype == SONO_DTYPE_F32);
}

static conv_args make_args(const sono_cuda_call *call, const product *g)
{
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
    p.m = (int32_t)g->m;
    p.n = (int32_t)g->n;
    p.k = (int32_t)g->k;
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
    p.weight_vector = y->c % 4 == 0 && is_aligned(weight, 4);
    const int32_t width = g->is_half ? 8 : 4;
    p.vector = (uintptr_t)p.bias % 16 == 0 && is_aligned(residual, width) && is_aligned(y, width);
    p.residual_is_half = residual->dtype == SONO_DTYPE_F16;
    p.y_is_half = y->dtype == SONO_DTYPE_F16;
    p.epilogue = conv->epilogue;
    return p;
}

static cudaError_t run_tile(const sono_cuda_call *call, const product *g, const plan *chosen,
                            conv_kernel kernel, conv_args *p)
{
    const tile *t = chosen->shape;
    const int32_t bytes = block_bytes(t, chosen->steps, call->compute_capability);
    p->n_tiles = (int32_t)sono_ceil_div(g->n, t->bn);
    p->n_tiles_inverse = conv_inverse(p->n_tiles);
    p->steps = chosen->steps;
    p->n_splits = chosen->n_splits;
    p->partial = (float *)call->scratch;
    p->partial_pitch = (int32_t)round_up(g->n, 8);
    if (bytes > 48 << 10) {
        const cudaError_t status =
            cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
        if (status != cudaSuccess)
            return status;
    }
    const int64_t tiles = sono_ceil_div(g->m, t->bm) * p->n_tiles;
    if (tiles * p->n_tiles > UINT32_MAX)
        return cudaErrorInvalidValue;
    const dim3 grid((uint32_t)tiles, (uint32_t)p->n_splits);
    kernel<<<grid, t->threads, bytes, call->stream>>>(*p);
    if (p->n_splits == 1)
        return cudaGetLastError();
    const uint32_t blocks = (uint32_t)sono_ceil_div(g->m * (p->partial_pitch / 4), SUM_THREADS);
    if (g->is_half)
        conv_sum<false><<<blocks, SUM_THREADS, 0, call->stream>>>(*p);
    else
        conv_sum<true><<<blocks, SUM_THREADS, 0, call->stream>>>(*p);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_conv(const sono_cuda_call *call)
{
    const product g = product_of(call);
    if (!is_supported(call, &g))
        return cudaErrorInvalidValue;
    conv_args p = make_args(call, &g);
    if (g.is_thin) {
        const dim3 grid((uint32_t)sono_ceil_div(g.n, CONV_THIN_COLUMNS),
                        (uint32_t)sono_ceil_div(g.m, CONV_THIN_ROWS));
        conv_thin<<<grid, CONV_THIN_THREADS, 0, call->stream>>>(p);
        return cudaGetLastError();
    }
    const int32_t chunk = g.is_half ? 8 : 4;
    const int is_vector = call->in[0].c % chunk == 0 && is_aligned(&call->in[0], chunk);
    plan chosen = choose(call, &g, is_vector, is_vector ? MAX_SPLITS : 1);
    if (partial_bytes(&g, chosen.n_splits) > (int64_t)call->scratch_bytes)
        chosen = choose(call, &g, is_vector, 1);
    return run_tile(call, &g, &chosen, is_vector ? chosen.shape->vector : chosen.shape->scalar, &p);
}
