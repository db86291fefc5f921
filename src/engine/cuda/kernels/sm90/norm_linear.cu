// SPDX-License-Identifier: Apache-2.0
/*
 * LAYER_NORM and the LINEAR behind it in one launch (choice/normed.h): y = W norm(x) + b; semantics those of
 * both. x [rows, C] F16, W [N, C] F16 packed (kernels.h), gamma, beta, b F32, y [rows, N] F16; C is 128, 160
 * or 320.
 *
 * A block of two warpgroups normalises its rows in shared memory, then makes 64 columns of y at a time by
 * products (normed.cuh), the weights of the next 64 on their way meanwhile. Where rows are too few for the
 * device, several blocks have the same rows and each a share of the columns. A warp passes its part of the
 * result through shared memory, for stores of 16 bytes. Numbers: float32 sums, the normalised rows rounded to
 * half as when stored. Test: tests/gpu/test_fused.c.
 */
#include "engine/cuda/kernels/sm90/normed.cuh"

template <int CHANNELS, int HALVES> struct norm_linear_tile : normed_tile<CHANNELS, HALVES> {
    typedef normed_tile<CHANNELS, HALVES> base;
    static constexpr int RING_AT = base::X_BYTES, OUT_AT = RING_AT + 2 * base::UP_BYTES;
    static constexpr int OUT_PITCH = base::DEPTH * 2 + 16; /* bytes: rows begin 4 banks apart */
    static constexpr int OUT_BYTES = 16 * OUT_PITCH;       /* of a warp: 16 rows */
    static constexpr int BYTES = MIN_ALIGN + OUT_AT + WARPS * OUT_BYTES;
};

typedef struct norm_linear_args {
    normed_rows rows;
    const __half *weight;
    const float *bias;
    __half *y;
    int32_t n, y_pitch, weight_pitch;
    int32_t n_slices; /* of a block */
} norm_linear_args;

/* Bias, and to memory: columns of slice s that the warp has, of its 16 rows. */
template <class T>
static __device__ __forceinline__ void deliver(const norm_linear_args &p, const normed_block &b, int s,
                                               const float (&sum)[T::DEPTH / 2])
{
    constexpr int CHUNKS = T::DEPTH / 8;
    unsigned char *out = b.area + T::OUT_AT + b.warp * T::OUT_BYTES;
    const int first = s * SLICE + normed_column_of<T>(b), warp_column = first - 2 * (b.lane % 4);
#pragma unroll
    for (int j = 0; j < CHUNKS; j++) {
        const int column = first + j * 8;
        const float2 bias =
            column < p.n ? __ldg(reinterpret_cast<const float2 *>(p.bias + column)) : make_float2(0.0f, 0.0f);
#pragma unroll
        for (int r = 0; r < 2; r++)
            *reinterpret_cast<uint32_t *>(out + (b.lane / 4 + r * 8) * T::OUT_PITCH + j * 16 +
                                          b.lane % 4 * 4) =
                sono_pack(sum[4 * j + 2 * r] + bias.x, sum[4 * j + 2 * r + 1] + bias.y);
    }
    __syncwarp(); /* the warp's part is there */
#pragma unroll
    for (int i = b.lane; i < 16 * CHUNKS; i += SONO_WARP) {
        const int row = i / CHUNKS, column = warp_column + i % CHUNKS * 8;
        const int place = b.first_row + normed_row_of<T>(b) - b.lane / 4 + row;
        if (place < p.rows.n_rows && column < p.n)
            *reinterpret_cast<uint4 *>(p.y + (int64_t)place * p.y_pitch + column) =
                *reinterpret_cast<const uint4 *>(out + row * T::OUT_PITCH + i % CHUNKS * 16);
    }
    __syncwarp(); /* it has been read */
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    norm_linear_kernel(const __grid_constant__ norm_linear_args p)
{
    extern __shared__ unsigned char norm_linear_shared[];
    const normed_block b = normed_start<T>(norm_linear_shared);
    const int first = (int)blockIdx.y * p.n_slices, end = min(first + p.n_slices, (p.n + SLICE - 1) / SLICE);
    normed_load_weight<T>(p.weight, p.weight_pitch, first * SLICE, b.shared + T::RING_AT);
    sono_copies_commit();
    normed_fill<T>(p.rows, b);
    for (int s = first; s < end; s++) {
        float sum[T::DEPTH / 2];
        const uint32_t here = b.shared + T::RING_AT + (s - first) % 2 * T::UP_BYTES,
                       next = b.shared + T::RING_AT + (s + 1 - first) % 2 * T::UP_BYTES;
        sono_copies_wait<0>();
        sono_wgmma_publish();
        __syncthreads(); /* x and slice s are there; the slice before is done */
        if (s + 1 < end)
            normed_load_weight<T>(p.weight, p.weight_pitch, (s + 1) * SLICE, next);
        sono_copies_commit();
        normed_multiply<T>(b, here, sum);
        deliver<T>(p, b, s, sum);
    }
}

template <class T> static cudaError_t launch(norm_linear_args p, const sono_cuda_call *call)
{
    const int64_t tiles = sono_ceil_div(p.rows.n_rows, T::ROWS), slices = sono_ceil_div(p.n, SLICE);
    const int64_t wanted = tiles < call->n_multiprocessors ? call->n_multiprocessors / tiles : 1;
    p.n_slices = (int32_t)sono_ceil_div(slices, wanted < slices ? wanted : slices);
    const dim3 grid((unsigned)tiles, (unsigned)sono_ceil_div(slices, p.n_slices));
    norm_linear_kernel<T><<<grid, THREADS, T::BYTES, call->stream>>>(p);
    return cudaGetLastError();
}

template <class T> static cudaError_t allow(void)
{
    return cudaFuncSetAttribute(norm_linear_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::BYTES);
}

extern "C" cudaError_t sono_cuda_norm_linear_prepare(const sono_cuda_call *call)
{
    switch (call->in[0].c) {
    case 128:
        return allow<norm_linear_tile<128, 1>>();
    case 160:
        return allow<norm_linear_tile<160, 2>>();
    default:
        return allow<norm_linear_tile<320, 2>>();
    }
}

extern "C" cudaError_t sono_cuda_norm_linear(const sono_cuda_call *call)
{
    const sono_cuda_call *norm = &call->members[0], *linear = &call->members[1];
    const sono_cuda_tensor *x = &norm->in[0], *y = &linear->out[0];
    norm_linear_args p = {};
    p.rows.x = (const __half *)x->data;
    p.rows.gamma = (const float *)norm->in[1].data;
    p.rows.beta = (const float *)norm->in[2].data;
    p.rows.pitch = (int32_t)x->pitch;
    p.rows.n_rows = y->n * y->h * y->w;
    p.rows.eps = norm->op->args.norm.eps;
    p.weight = (const __half *)linear->in[1].data;
    p.weight_pitch = (int32_t)linear->in[1].pitch;
    p.bias = (const float *)linear->in[2].data;
    p.y = (__half *)y->data;
    p.y_pitch = (int32_t)y->pitch;
    p.n = y->c;
    switch (x->c) {
    case 128:
        return launch<norm_linear_tile<128, 1>>(p, call);
    case 160:
        return launch<norm_linear_tile<160, 2>>(p, call);
    default:
        return launch<norm_linear_tile<320, 2>>(p, call);
    }
}
