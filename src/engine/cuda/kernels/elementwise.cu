// SPDX-License-Identifier: Apache-2.0
/*
 * ADD: y = a + b, b with the channels of a or one channel for all of them, broadcast over n where its
 * batch_stride is 0. SCALE_ROWS: y = a * b, b one value a position, the same for every map. UNARY: y = fn(a).
 *
 * a, y [n, h, w, c], b [n, h, w, c or 1]; semantics: src/engine/cpu/kernels/elementwise.c. One thread for 8
 * neighbouring channels of a position (for one where pitches or offsets allow no 16-byte access), one map a
 * blockIdx.y. Memory-bound: 4096 x 256 in F16 moves 6 MB, about 2 us. Test: tests/ops/test_elementwise.c.
 */
#include "engine/cuda/kernels/rows.cuh"

#define BLOCK 256

typedef enum elementwise_fn { FN_ADD, FN_SCALE, FN_INVERSE_SIGMOID, FN_GELU } elementwise_fn;

typedef struct elementwise_args {
    sono_rows a, b, y;
    uint32_t n_vectors; /* of a map */
    uint32_t per_row;   /* vectors of a row */
    int32_t b_is_row;   /* b has one value a row */
    elementwise_fn fn;
} elementwise_args;

static __device__ __forceinline__ float inverse_sigmoid(float x)
{
    const float low = x < 0.0f ? 0.0f : x; /* so that NaN stays NaN */
    const float p = low > 1.0f ? 1.0f : low;
    const float odds = p < 1e-5f ? 1e-5f : p, against = 1.0f - p;
    return logf(odds / (against < 1e-5f ? 1e-5f : against));
}

template <int V>
static __global__ void __launch_bounds__(BLOCK) elementwise_kernel(const elementwise_args args)
{
    const uint32_t i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= args.n_vectors)
        return;
    const uint32_t row = i / args.per_row, c = (i - row * args.per_row) * V;
    const int64_t b_at = sono_rows_at(args.b, blockIdx.y, row);
    sono_raw<V> raw_a, raw_b;
    float a[V], b[V];
    sono_fetch<V>(args.a.data, args.a.is_half, sono_rows_at(args.a, blockIdx.y, row) + c, &raw_a);
    if (args.b.data && !args.b_is_row)
        sono_fetch<V>(args.b.data, args.b.is_half, b_at + c, &raw_b);
    const float b_row = args.b_is_row ? sono_rows_value(args.b, b_at) : 0.0f;
    sono_unpack<V>(raw_a, args.a.is_half, a);
    if (args.b.data && !args.b_is_row)
        sono_unpack<V>(raw_b, args.b.is_half, b);
#pragma unroll
    for (int j = 0; j < V; j++) {
        const float right = args.b_is_row ? b_row : b[j];
        if (args.fn == FN_ADD)
            a[j] += right;
        else if (args.fn == FN_SCALE)
            a[j] *= right;
        else if (args.fn == FN_GELU)
            a[j] = sono_activate(SONO_ACT_GELU, a[j]);
        else
            a[j] = inverse_sigmoid(a[j]);
    }
    sono_rows_store<V>(args.y, sono_rows_at(args.y, blockIdx.y, row) + c, a);
}

static cudaError_t run(const sono_cuda_call *call, elementwise_fn fn)
{
    const sono_cuda_tensor *y = &call->out[0];
    elementwise_args args = {};
    args.a = sono_rows_make(&call->in[0]);
    if (fn == FN_ADD || fn == FN_SCALE)
        args.b = sono_rows_make(&call->in[1]);
    args.y = sono_rows_make(y);
    args.fn = fn;
    args.b_is_row = args.b.data && call->in[1].c == 1 && y->c > 1;
    const int wide = sono_rows_fit(&args.a, y->c, 8) && (args.b_is_row || sono_rows_fit(&args.b, y->c, 8)) &&
                     sono_rows_fit(&args.y, y->c, 8);
    const sono_rows_launch launch = sono_rows_launch_of(y, wide ? 8 : 1, BLOCK);
    args.n_vectors = launch.n_vectors;
    args.per_row = launch.per_row;
    if (wide)
        elementwise_kernel<8><<<launch.grid, BLOCK, 0, call->stream>>>(args);
    else
        elementwise_kernel<1><<<launch.grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}

extern "C" cudaError_t sono_cuda_add(const sono_cuda_call *call)
{
    return run(call, FN_ADD);
}

extern "C" cudaError_t sono_cuda_scale_rows(const sono_cuda_call *call)
{
    return run(call, FN_SCALE);
}

extern "C" cudaError_t sono_cuda_unary(const sono_cuda_call *call)
{
    return run(call, call->op->args.unary.fn == SONO_UNARY_GELU ? FN_GELU : FN_INVERSE_SIGMOID);
}
