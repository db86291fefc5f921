// SPDX-License-Identifier: Apache-2.0
/*
 * DWCONV: y[p][c] = sum over taps of weight[tap][c] * x[p * stride + tap][c], then the epilogue.
 *
 * x [n, h, w, c], weight [1, kh, kw, c] and bias [1, 1, 1, c] F32, residual and y [n, out_h, out_w, c];
 * semantics: src/backend/cpu/kernels/dwconv.c and finish.c. Neighbouring threads take neighbouring channels,
 * then positions; one map a blockIdx.y.
 *
 * strip_kernel, 3 x 3 with stride 1 on maps that fill the GPU: a thread slides down 2 columns of 4 channels.
 * Its 36 weights stay in registers, each line of x is loaded once (4 vectors for 2 outputs, the next line's
 * while this one's are used) and added to the three lines of sums that are open.
 *
 * direct_kernel, the rest: a thread makes one output position; with 3 x 3 and 5 x 5 kernels 4 channels, all
 * taps requested at once; with any other kernel, or where no vector access is possible, one channel, tap by
 * tap.
 *
 * 256 x 256 x 256 in F16 moves 67 MB (14 us at 4.8 TB/s); GELU and not memory bounds it: its instructions are
 * about 15 an output and 33 more for the epilogue. Test: tests/ops/test_dwconv.c.
 */
#include "backend/cuda/rows.cuh"

#define STRIP_BLOCK   256
#define DIRECT_BLOCK  128
#define VECTOR        4
#define STRIP_COLUMNS 2
#define STRIP_TAPS    (STRIP_COLUMNS + 2) /* columns of x for them */

typedef struct dwconv_args {
    sono_rows x, residual, y;
    const float *weight, *bias; /* bias may be NULL */
    int64_t weight_pitch;
    int32_t h, w;         /* of x */
    int32_t out_h, out_w; /* of y */
    int32_t kernel_h, kernel_w, stride, pad_top, pad_left;
    uint32_t n_threads;   /* of a map */
    uint32_t per_row;     /* vectors of a row */
    uint32_t strips;      /* strip_kernel: pairs of columns */
    int32_t strip_height; /* strip_kernel: outputs */
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
    } else {
        v[0] = *from;
    }
}

template <int V>
static __device__ __forceinline__ void store_output(const dwconv_args &args, int32_t y, int32_t x, int32_t c,
                                                    const float bias[V], float v[V])
{
    const int64_t at = (int64_t)y * args.out_w + x;
    float residual[V] = {};
    if (args.residual.data)
        sono_rows_load<V>(args.residual, sono_rows_at(args.residual, blockIdx.y, at) + c, residual);
    sono_finish_all<true, V>(args.epilogue, v, bias, residual);
    sono_rows_store<V>(args.y, sono_rows_at(args.y, blockIdx.y, at) + c, v);
}

template <int HALF> static __global__ void __launch_bounds__(STRIP_BLOCK) strip_kernel(const dwconv_args args)
{
    const uint32_t i = blockIdx.x * STRIP_BLOCK + threadIdx.x;
    if (i >= args.n_threads)
        return;
    const uint32_t place = i / args.per_row, line = place / args.strips;
    const int32_t c = (int32_t)(i - place * args.per_row) * VECTOR;
    const int32_t x0 = (int32_t)(place - line * args.strips) * STRIP_COLUMNS,
                  y0 = (int32_t)line * args.strip_height;
    const int32_t y_end = y0 + args.strip_height < args.out_h ? y0 + args.strip_height : args.out_h;
    const int64_t step = args.x.pitch * (HALF ? 2 : 4), line_step = args.w * step;
    const uint32_t inside = columns_inside<STRIP_TAPS>(x0 - args.pad_left, args.w);
    int32_t y = y0 - args.pad_top;
    const char *from = address_of<HALF>(args, y, x0 - args.pad_left, c);
    float weight[9][VECTOR], bias[VECTOR] = {}, sum[3][STRIP_COLUMNS][VECTOR] = {};
    sono_raw<VECTOR> raw[STRIP_TAPS];
    fetch_line<HALF, VECTOR, STRIP_TAPS>(from, step, (uint32_t)y < (uint32_t)args.h ? inside : 0, raw);
#pragma unroll
    for (int tap = 0; tap < 9; tap++)
        load_parameters<VECTOR>(args.weight + tap * args.weight_pitch + c, weight[tap]);
    if (args.bias)
        load_parameters<VECTOR>(args.bias + c, bias);
        /* A line of x is the last of output line y_out, sum[0]; sum[1] and sum[2] belong to the next two. */
#pragma unroll 1
    for (int32_t y_out = y0 - 2; y_out < y_end; y_out++) {
        float x[STRIP_TAPS][VECTOR];
#pragma unroll
        for (int j = 0; j < STRIP_TAPS; j++)
            sono_unpack<VECTOR>(raw[j], HALF, x[j]);
        y++;
        from += line_step;
        fetch_line<HALF, VECTOR, STRIP_TAPS>(
            from, step, (uint32_t)y < (uint32_t)args.h && y_out + 1 < y_end ? inside : 0, raw);
#pragma unroll
        for (int k = 0; k < 9; k++)
#pragma unroll
            for (int j = 0; j < STRIP_COLUMNS * VECTOR; j++)
                sum[2 - k / 3][j / VECTOR][j % VECTOR] +=
                    weight[k][j % VECTOR] * x[j / VECTOR + k % 3][j % VECTOR];
#pragma unroll
        for (int j = 0; j < STRIP_COLUMNS; j++) {
            if (y_out >= y0 && x0 + j < args.out_w)
                store_output<VECTOR>(args, y_out, x0 + j, c, bias, sum[0][j]);
#pragma unroll
            for (int k = 0; k < VECTOR; k++) {
                sum[0][j][k] = sum[1][j][k];
                sum[1][j][k] = sum[2][j][k];
                sum[2][j][k] = 0.0f;
            }
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
    float bias[V] = {}, sum[V] = {};
    if (args.bias)
        load_parameters<V>(args.bias + c, bias);
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
    store_output<V>(args, oy, ox, c, bias, sum);
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

static int is_wide(const dwconv_args *args, int32_t c)
{
    const int64_t parameters = (int64_t)((uintptr_t)args->weight | (uintptr_t)args->bias);
    return parameters % 16 == 0 && args->weight_pitch % VECTOR == 0 && sono_rows_fit(&args->x, c, VECTOR) &&
           sono_rows_fit(&args->residual, c, VECTOR) && sono_rows_fit(&args->y, c, VECTOR);
}

extern "C" cudaError_t sono_cuda_dwconv(const sono_cuda_call *call)
{
    const sono_cuda_tensor *y = &call->out[0];
    const int64_t gpu_threads = (int64_t)call->n_multiprocessors * 512;
    dwconv_args args = args_of(call);
    const int has_loop = args.kernel_h == args.kernel_w && (args.kernel_h == 3 || args.kernel_h == 5);
    const int wide = has_loop && is_wide(&args, y->c);
    const int64_t per_row = wide ? y->c / VECTOR : y->c;
    const int64_t strips = sono_ceil_div(y->w, STRIP_COLUMNS);
    const int64_t all_strips = per_row * strips * y->n; /* as high as the map */
    int64_t n_threads = per_row * y->h * y->w;
    args.strip_height = all_strips * sono_ceil_div(y->h, 8) >= 3 * gpu_threads ? 8 : 4;
    const int64_t n_lines = sono_ceil_div(y->h, args.strip_height);
    const int is_strip =
        wide && args.kernel_h == 3 && args.stride == 1 && all_strips * n_lines >= gpu_threads;
    if (is_strip)
        n_threads = per_row * strips * n_lines;
    if (n_threads > INT32_MAX || y->n > SONO_MAX_GRID_Y)
        return cudaErrorInvalidValue;
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
        launch_direct<1>(&args, wide ? args.kernel_h : 0, grid, call->stream);
    else
        launch_direct<0>(&args, wide ? args.kernel_h : 0, grid, call->stream);
    return cudaGetLastError();
}
