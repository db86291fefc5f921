// SPDX-License-Identifier: Apache-2.0
/*
 * MAX_POOL: the largest value of each kernel x kernel window, padding (right and below) counts as 0, NaN
 * wins. UPSAMPLE2: every position four times.
 *
 * x [n, h, w, c] -> y [n, (h + pad - kernel) / stride + 1, ..., c] or [n, 2h, 2w, c]; semantics:
 * src/engine/cpu/kernels/pool.c. One thread for 8 neighbouring channels of an output position (for one where
 * pitches or offsets allow no 16-byte access), one map a blockIdx.y; a position's neighbours come from the
 * caches. Memory-bound: 320 x 320 x 16 in F16 moves 7 MB, about 2 us. Test: tests/ops/test_pool.c.
 */
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK 256

typedef struct pool_args {
    sono_rows x, y;
    int32_t h, w;           /* of x */
    uint32_t out_w;         /* of y */
    uint32_t n_vectors;     /* of a map of y */
    uint32_t per_row;       /* vectors of a row */
    int32_t kernel, stride; /* MAX_POOL; 0 = UPSAMPLE2 */
} pool_args;

template <int V>
static __device__ __forceinline__ void largest(const pool_args &args, int64_t from, int32_t y0, int32_t x0,
                                               float v[V])
{
    int is_padded = 0;
#pragma unroll
    for (int j = 0; j < V; j++)
        v[j] = -INFINITY;
    for (int32_t y = y0; y < y0 + args.kernel; y++)
        for (int32_t x = x0; x < x0 + args.kernel; x++) {
            if (y >= args.h || x >= args.w) {
                is_padded = 1;
                continue;
            }
            float tap[V];
            sono_rows_load<V>(args.x, from + ((int64_t)y * args.w + x) * args.x.pitch, tap);
#pragma unroll
            for (int j = 0; j < V; j++)
                v[j] = tap[j] > v[j] || tap[j] != tap[j] ? tap[j] : v[j];
        }
#pragma unroll
    for (int j = 0; j < V; j++)
        v[j] = is_padded && v[j] < 0.0f ? 0.0f : v[j];
}

template <int V> static __global__ void __launch_bounds__(BLOCK) pool_kernel(const pool_args args)
{
    const uint32_t i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= args.n_vectors)
        return;
    const uint32_t row = i / args.per_row, c = (i - row * args.per_row) * V;
    const uint32_t oy = row / args.out_w, ox = row - oy * args.out_w;
    const int64_t from = sono_rows_at(args.x, blockIdx.y, 0) + c;
    float v[V];
    if (args.kernel)
        largest<V>(args, from, (int32_t)oy * args.stride, (int32_t)ox * args.stride, v);
    else
        sono_rows_load<V>(args.x, from + ((int64_t)(oy / 2) * args.w + ox / 2) * args.x.pitch, v);
    sono_rows_store<V>(args.y, sono_rows_at(args.y, blockIdx.y, row) + c, v);
}

static cudaError_t run(const sono_cuda_call *call, int32_t kernel, int32_t stride)
{
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    pool_args args = {};
    args.x = sono_rows_make(x);
    args.y = sono_rows_make(y);
    args.h = x->h;
    args.w = x->w;
    args.out_w = (uint32_t)y->w;
    args.kernel = kernel;
    args.stride = stride;
    const int wide = sono_rows_fit(&args.x, y->c, 8) && sono_rows_fit(&args.y, y->c, 8);
    const sono_rows_launch launch = sono_rows_launch_of(y, wide ? 8 : 1, BLOCK);
    args.n_vectors = launch.n_vectors;
    args.per_row = launch.per_row;
    if (wide)
        pool_kernel<8><<<launch.grid, BLOCK, 0, call->stream>>>(args);
    else
        pool_kernel<1><<<launch.grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_max_pool(const sono_cuda_call *call)
{
    return run(call, call->op->args.pool.kernel, call->op->args.pool.stride);
}

extern "C" cudaError_t sono_cuda_upsample2(const sono_cuda_call *call)
{
    return run(call, 0, 1);
}
