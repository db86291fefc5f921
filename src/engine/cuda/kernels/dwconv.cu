// SPDX-License-Identifier: Apache-2.0
/*
 * DWCONV: y[p][c] = sum over taps of weight[tap][c] * x[p * stride + tap][c], then the epilogue.
 *
 * x [n, h, w, c], weight [1, kh, kw, c] and bias [1, 1, 1, c] F32, residual and y [n, out_h, out_w, c];
 * semantics: src/engine/cpu/kernels/dwconv.c and finish.c. Neighbouring threads take neighbouring channels,
 * then positions; one map a blockIdx.y.
 *
 * strip_kernel, 3 x 3 with stride 1 and no residual, x and y of one type, on maps that fill the GPU: a thread
 * slides down 4 columns of 2 channels. Its 18 weights stay in registers, each line of x is loaded once (6
 * vectors for 4 outputs, the next line's while this one's are used) and added to the three lines of sums that
 * are open. Loads need no predicates: they go to the nearest place inside of the map, and what lies outside
 * is zeroed where there is any.
 *
 * direct_kernel, the rest: a thread makes one output position; with 3 x 3 and 5 x 5 kernels 4 channels, all
 * taps requested at once; with any other kernel, or where no vector access is possible, one channel, tap by
 * tap.
 *
 * Where x is F16, GELU is the shorter polynomial. 256 x 256 x 256 in F16 moves 67 MB (14 us at 4.8 TB/s); the
 * strip's instructions bound it: about 38 an output, 13 of them GELU. Test: tests/ops/test_dwconv.c.
 */
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/rows.cuh"

#define STRIP_BLOCK   128
#define STRIP_VECTOR  SONO_DWCONV_STRIP_VECTOR
#define STRIP_COLUMNS SONO_DWCONV_STRIP_COLUMNS
#define STRIP_TAPS    (STRIP_COLUMNS + 2) /* columns of x for them */
#define STRIP_SUMS    (STRIP_COLUMNS * STRIP_VECTOR)
#define DIRECT_BLOCK  128
#define VECTOR        SONO_DWCONV_VECTOR

typedef struct dwconv_args {
    sono_rows x, residual, y;
    const float *weight, *bias; /* bias may be NULL */
    int64_t weight_pitch;
    int32_t h, w;         /* of x */
    int32_t out_h, out_w; /* of y */
    int32_t kernel_h, kernel_w, stride, pad_top, pad_left;
    uint32_t n_threads;                     /* of a map */
    uint32_t per_row;                       /* vectors of a row */
    uint32_t strips;                        /* strip_kernel: STRIP_COLUMNS each */
    int32_t strip_height;                   /* strip_kernel: outputs */
    int32_t x_step, x_line, y_step, y_line; /* strip_kernel: bytes between positions, between lines */
    sono_epilogue epilogue;
} dwconv_args;

/* Which of N neighbouring columns from x on lie inside of a map `width` wide, one bit each. */
template <int N> static __device__ __forceinline__ uint32_t columns_inside(int32_t x, int32_t width)
{
    uint32_t mask = 0;
#pragma unroll
    for (int j = 0; j < N; j++)
        mask |= (uint32_t)(x + j) < (uint32_t)width ? 1u << j : 0u;
    return mask;
}

/* V channels of N neighbouring positions, step bytes apart; zero where the mask has no bit. */
template <int HALF, int V, int N>
static __device__ __forceinline__ void fetch_line(const char *line, int64_t step, uint32_t mask,
                                                  sono_raw<V> raw[N])
{
#pragma unroll
    for (int j = 0; j < N; j++) {
#pragma unroll
        for (int i = 0; i < V; i++)
            raw[j].word[i] = 0;
        if (mask >> j & 1)
            sono_fetch<V>(line + j * step, HALF, 0, &raw[j]);
    }
}

/* Where channel c of position (y, x) of this block's map lies, which may be outside of it. */
template <int HALF>
static __device__ __forceinline__ const char *address_of(const dwconv_args &args, int32_t y, int32_t x,
                                                         int32_t c)
{
    const int64_t at = sono_rows_at(args.x, blockIdx.y, (int64_t)y * args.w + x) + c;
    return args.x.data + at * (HALF ? 2 : 4);
}

template <int V> static __device__ __forceinline__ void load_parameters(const float *from, float v[V])
{
    if (V == 4) {
        const float4 f = *(const float4 *)from;
        v[0] = f.x;
        v[1 % V] = f.y;
        v[2 % V] = f.z;
        v[3 % V] = f.w;
    } else if (V == 2) {
        const float2 f = *(const float2 *)from;
        v[0] = f.x;
        v[1 % V] = f.y;
    } else {
        v[0] = *from;
    }
}

/* Line y of a thread's columns, or the nearest there is: offsets lead from a line's start to the columns. */
template <int HALF>
static __device__ __forceinline__ void fetch_strip(const dwconv_args &args, const char *map, int32_t y,
                                                   const uint32_t offsets[STRIP_TAPS],
                                                   sono_raw<STRIP_VECTOR> raw[STRIP_TAPS])
{
    const char *line = map + (int64_t)min(max(y, 0), args.h - 1) * args.x_line;
#pragma unroll
    for (int j = 0; j < STRIP_TAPS; j++)
        sono_fetch<STRIP_VECTOR>(line + offsets[j], HALF, 0, &raw[j]);
}

/* One line of x, taken up by the three lines of outputs it is part of: v becomes the uppermost, complete;
 * open[0] and open[1] the next two. */
static __device__ __forceinline__ void add_line(const float x[STRIP_TAPS][STRIP_VECTOR],
                                                const float weight[9][STRIP_VECTOR],
                                                const float bias[STRIP_VECTOR], float open[2][STRIP_SUMS],
                                                float v[STRIP_SUMS])
{
#pragma unroll
    for (int i = 0; i < STRIP_SUMS; i++) {
        const int j = i / STRIP_VECTOR, c = i % STRIP_VECTOR;
        float sums[3] = {bias[c], open[1][i], open[0][i]};
#pragma unroll
        for (int tap = 0; tap < 9; tap++)
            sums[tap / 3] += weight[tap][c] * x[j + tap % 3][c];
        v[i] = sums[2];
        open[0][i] = sums[1];
        open[1][i] = sums[0];
    }
}

/* The epilogue of a line of outputs from column x on, as far as y has them. */
template <int HALF>
static __device__ __forceinline__ void store_strip(const dwconv_args &args, char *line, int32_t x,
                                                   float v[STRIP_SUMS])
{
    const float residual[STRIP_SUMS] = {};
    sono_epilogue epilogue = args.epilogue;
    epilogue.add_before_act = epilogue.add_after_act = 0;
    sono_finish_all<!HALF, STRIP_SUMS>(epilogue, v, residual);
#pragma unroll
    for (int j = 0; j < STRIP_COLUMNS; j++)
        if (x + j < args.out_w)
            sono_put<STRIP_VECTOR>(line + j * args.y_step, HALF, 0, v + j * STRIP_VECTOR);
}

template <int HALF>
static __global__ void __launch_bounds__(STRIP_BLOCK, HALF ? 6 : 5) strip_kernel(const dwconv_args args)
{
    const uint32_t i = blockIdx.x * STRIP_BLOCK + threadIdx.x;
    if (i >= args.n_threads)
        return;
    const uint32_t place = i / args.per_row, line = place / args.strips;
    const int32_t c = (int32_t)(i - place * args.per_row) * STRIP_VECTOR;
    const int32_t x0 = (int32_t)(place - line * args.strips) * STRIP_COLUMNS,
                  y0 = (int32_t)line * args.strip_height;
    const int32_t y_end = min(y0 + args.strip_height, args.out_h);
    const char *map = address_of<HALF>(args, 0, 0, c);
    char *line_out = args.y.data + (blockIdx.y * args.y.batch_stride + c) * (HALF ? 2 : 4) +
                     (int64_t)y0 * args.y_line + (int64_t)x0 * args.y_step;
    const uint32_t inside = columns_inside<STRIP_TAPS>(x0 - args.pad_left, args.w);
    uint32_t offsets[STRIP_TAPS];
    float weight[9][STRIP_VECTOR], bias[STRIP_VECTOR] = {}, open[2][STRIP_SUMS] = {};
    sono_raw<STRIP_VECTOR> raw[STRIP_TAPS];
#pragma unroll
    for (int j = 0; j < STRIP_TAPS; j++)
        offsets[j] = (uint32_t)(min(max(x0 - args.pad_left + j, 0), args.w - 1) * args.x_step);
    fetch_strip<HALF>(args, map, y0 - args.pad_top, offsets, raw);
#pragma unroll
    for (int tap = 0; tap < 9; tap++)
        load_parameters<STRIP_VECTOR>(args.weight + tap * args.weight_pitch + c, weight[tap]);
    if (args.bias)
        load_parameters<STRIP_VECTOR>(args.bias + c, bias);
#pragma unroll 1
    for (int32_t y_out = y0 - 2; y_out < y_end; y_out++) {
        const int32_t y = y_out + 2 - args.pad_top; /* the line of x that completes y_out */
        const uint32_t given = (uint32_t)y < (uint32_t)args.h ? inside : 0;
        float x[STRIP_TAPS][STRIP_VECTOR], v[STRIP_SUMS];
#pragma unroll
        for (int j = 0; j < STRIP_TAPS; j++)
            sono_unpack<STRIP_VECTOR>(raw[j], HALF, x[j]);
        if (given != (1u << STRIP_TAPS) - 1) {
#pragma unroll
            for (int j = 0; j < STRIP_SUMS + 2 * STRIP_VECTOR; j++)
                if (!(given >> j / STRIP_VECTOR & 1))
                    x[j / STRIP_VECTOR][j % STRIP_VECTOR] = 0.0f;
        }
        if (y_out + 1 < y_end)
            fetch_strip<HALF>(args, map, y + 1, offsets, raw);
        add_line(x, weight, bias, open, v);
        if (y_out >= y0) {
            store_strip<HALF>(args, line_out, x0, v);
            line_out += args.y_line;
        }
    }
}

/* K: size of the square kernel, 0 = kernel_h x kernel_w, then V is 1. */
template <int HALF, int K, int V>
static __global__ void __launch_bounds__(DIRECT_BLOCK) direct_kernel(const dwconv_args args)
{
    const uint32_t i = blockIdx.x * DIRECT_BLOCK + threadIdx.x;
    if (i >= args.n_threads)
        return;
    const uint32_t place = i / args.per_row;
    const int32_t c = (int32_t)(i - place * args.per_row) * V;
    const int32_t oy = (int32_t)(place / (uint32_t)args.out_w), ox = (int32_t)place - oy * args.out_w;
    const int32_t y0 = oy * args.stride - args.pad_top, x0 = ox * args.stride - args.pad_left;
    const int64_t step = args.x.pitch * (HALF ? 2 : 4), line_step = args.w * step;
    const char *from = address_of<HALF>(args, y0, x0, c);
    float sum[V] = {};
    if (args.bias)
        load_parameters<V>(args.bias + c, sum);
    if (K > 0) {
        constexpr int SIDE = K > 0 ? K : 1;
        const uint32_t inside = columns_inside<SIDE>(x0, args.w);
        sono_raw<V> raw[SIDE][SIDE];
#pragma unroll
        for (int ky = 0; ky < SIDE; ky++)
            fetch_line<HALF, V, SIDE>(from + ky * line_step, step,
                                      (uint32_t)(y0 + ky) < (uint32_t)args.h ? inside : 0, raw[ky]);
#pragma unroll
        for (int tap = 0; tap < SIDE * SIDE; tap++) {
            float x[V], weight[V];
            load_parameters<V>(args.weight + tap * args.weight_pitch + c, weight);
            sono_unpack<V>(raw[tap / SIDE][tap % SIDE], HALF, x);
#pragma unroll
            for (int j = 0; j < V; j++)
                sum[j] += weight[j] * x[j];
        }
    } else {
        for (int32_t ky = 0; ky < args.kernel_h; ky++)
            for (int32_t kx = 0; kx < args.kernel_w; kx++) {
                const int is_inside =
                    (uint32_t)(y0 + ky) < (uint32_t)args.h && (uint32_t)(x0 + kx) < (uint32_t)args.w;
                sono_raw<V> raw[1];
                float x[V];
                fetch_line<HALF, V, 1>(from + ky * line_step + kx * step, step, (uint32_t)is_inside, raw);
                sono_unpack<V>(raw[0], HALF, x);
                sum[0] += args.weight[(ky * args.kernel_w + kx) * args.weight_pitch + c] * x[0];
            }
    }
    float residual[V] = {};
    if (args.residual.data)
        sono_rows_load<V>(args.residual, sono_rows_at(args.residual, blockIdx.y, place) + c, residual);
    sono_finish_all<!HALF, V>(args.epilogue, sum, residual);
    sono_rows_store<V>(args.y, sono_rows_at(args.y, blockIdx.y, place) + c, sum);
}

template <int HALF>
static void launch_direct(const dwconv_args *args, int32_t kernel, dim3 grid, cudaStream_t stream)
{
    if (kernel == 3)
        direct_kernel<HALF, 3, VECTOR><<<grid, DIRECT_BLOCK, 0, stream>>>(*args);
    else if (kernel == 5)
        direct_kernel<HALF, 5, VECTOR><<<grid, DIRECT_BLOCK, 0, stream>>>(*args);
    else
        direct_kernel<HALF, 0, 1><<<grid, DIRECT_BLOCK, 0, stream>>>(*args);
}

static dwconv_args args_of(const sono_cuda_call *call)
{
    const sono_conv_args *op = &call->op->args.conv;
    dwconv_args args = {};
    args.x = sono_rows_make(&call->in[0]);
    args.weight = (const float *)call->in[1].data;
    args.weight_pitch = call->in[1].pitch;
    args.bias = (const float *)call->in[2].data;
    if (call->in[3].data)
        args.residual = sono_rows_make(&call->in[3]);
    args.y = sono_rows_make(&call->out[0]);
    args.h = call->in[0].h;
    args.w = call->in[0].w;
    args.out_h = call->out[0].h;
    args.out_w = call->out[0].w;
    args.kernel_h = op->kernel_h;
    args.kernel_w = op->kernel_w;
    args.stride = op->stride;
    args.pad_top = op->pad_top;
    args.pad_left = op->pad_left;
    args.epilogue = op->epilogue;
    return args;
}

extern "C" cudaError_t sono_cuda_dwconv(const sono_cuda_call *call)
{
    const sono_cuda_tensor *y = &call->out[0];
    const sono_cuda_candidate_id id = call->choice->candidate->id;
    const int is_strip = id == SONO_CUDA_DWCONV_STRIP, is_vector = id == SONO_CUDA_DWCONV_VECTOR;
    dwconv_args args = args_of(call);
    const int64_t strips = sono_ceil_div(y->w, STRIP_COLUMNS);
    const int64_t per_row = y->c / (is_strip ? STRIP_VECTOR : is_vector ? VECTOR : 1);
    int64_t n_threads = per_row * y->h * y->w;
    if (is_strip) {
        const int64_t bytes = args.x.is_half ? 2 : 4;
        args.strip_height = call->choice->strip_height;
        args.x_step = (int32_t)(args.x.pitch * bytes);
        args.y_step = (int32_t)(args.y.pitch * bytes);
        args.x_line = args.w * args.x_step;
        args.y_line = args.out_w * args.y_step;
        n_threads = per_row * strips * sono_ceil_div(y->h, args.strip_height);
    }
    args.per_row = (uint32_t)per_row;
    args.strips = (uint32_t)strips;
    args.n_threads = (uint32_t)n_threads;
    const dim3 grid((unsigned)sono_ceil_div(n_threads, is_strip ? STRIP_BLOCK : DIRECT_BLOCK),
                    (unsigned)y->n);
    if (is_strip && args.x.is_half)
        strip_kernel<1><<<grid, STRIP_BLOCK, 0, call->stream>>>(args);
    else if (is_strip)
        strip_kernel<0><<<grid, STRIP_BLOCK, 0, call->stream>>>(args);
    else if (args.x.is_half)
        launch_direct<1>(&args, is_vector ? args.kernel_h : 0, grid, call->stream);
    else
        launch_direct<0>(&args, is_vector ? args.kernel_h : 0, grid, call->stream);
    return cudaGetLastError();
}
