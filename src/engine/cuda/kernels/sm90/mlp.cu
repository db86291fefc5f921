// SPDX-License-Identifier: Apache-2.0
/*
 * A transformer's MLP in one launch (choice/normed.h): y = W2 gelu(W1 norm(x) + b1) + b2 + x, norm over the C
 * channels of each row; semantics those of LAYER_NORM and LINEAR. x, y [rows, C] F16, W1 [E, C], W2 [C, E]
 * F16 packed (kernels.h), gamma, beta, b1, b2 F32; C is 128, 160 or 320.
 *
 * What lies between, 2 (C + E) bytes a row written and read again, never leaves the multiprocessor. A block
 * of two warpgroups has 64 rows (128 where C = 128) normalised in shared memory, and 64 of the E hidden
 * channels pass through at a time, their weights on the way while the 64 before are worked on: W1 by products
 * on shared memory, GELU in the registers of the sums, which then are the left operand of the products with
 * W2 (wgmma.cuh). With 128 rows a warpgroup has 64 of them; with 64 both have all of them, each with half of
 * the hidden channels, and the two sums are added at the end. Numbers: float32 sums, what LAYER_NORM and GELU
 * make rounded to half as when it is stored. 4096 rows: 64 blocks; 16384 rows of C = 128: 128. Test:
 * tests/gpu/test_fused.c.
 */
#include "engine/cuda/kernels/sm90/normed.cuh"

template <int CHANNELS, int HALVES> struct mlp_tile : normed_tile<CHANNELS, HALVES> {
    typedef normed_tile<CHANNELS, HALVES> base;
    static constexpr int C = CHANNELS;
    static constexpr int WIDTH = C > 160 ? C / 2 : C; /* columns of one product with W2 */
    static constexpr int SUMS = C / 2;                /* of a thread */
    static constexpr int STAGE_BYTES = base::UP_BYTES + C * ROW_BYTES;
    static constexpr int RING_AT = base::X_BYTES, BIAS_AT = RING_AT + 2 * STAGE_BYTES;
    static constexpr int BYTES = MIN_ALIGN + BIAS_AT + SONO_NORMED_MAX_HIDDEN * 4;
    static_assert(base::IS_TALL || SUMS * GROUP * 4 <= 2 * STAGE_BYTES, "sums are handed over in the ring");
};

typedef struct mlp_args {
    normed_rows rows;
    const __half *up, *down; /* W1 [E][C], W2 [C][E] */
    const float *up_bias, *down_bias;
    __half *y;
    int32_t y_pitch, up_pitch, down_pitch, n_slices;
} mlp_args;

/* Slice s of both weights is on its way into buffer s mod 2. */
template <class T>
static __device__ __forceinline__ void load_weights(const mlp_args &p, const normed_block &b, int s)
{
    const uint32_t up = b.shared + T::RING_AT + s % 2 * T::STAGE_BYTES, down = up + T::UP_BYTES;
    const int chunk = (int)threadIdx.x % 8;
    normed_load_weight<T>(p.up, p.up_pitch, s * SLICE, up);
#pragma unroll
    for (int row = (int)threadIdx.x / 8; row < T::C; row += THREADS / 8)
        sono_copy16(down + normed_place(row, chunk),
                    p.down + (int64_t)row * p.down_pitch + s * SLICE + chunk * 8, true);
}

static __device__ __forceinline__ void load_bias(const mlp_args &p, uint32_t to)
{
    for (int i = (int)threadIdx.x; i < p.n_slices * (SLICE / 4); i += THREADS)
        sono_copy16(to + i * 16, p.up_bias + i * 4, true);
}

/* Bias and GELU of slice s: the left operand of the products with W2. */
template <class T>
static __device__ __forceinline__ void activate(const normed_block &b, int s,
                                                const float (&hidden)[T::DEPTH / 2],
                                                uint32_t (&left)[T::DEPTH / 16][4])
{
    const float *biases =
        reinterpret_cast<const float *>(b.area + T::BIAS_AT) + s * SLICE + normed_column_of<T>(b);
#pragma unroll
    for (int j = 0; j < T::DEPTH / 8; j++) {
        const float2 bias = *reinterpret_cast<const float2 *>(biases + j * 8);
#pragma unroll
        for (int r = 0; r < 2; r++)
            left[j / 2][j % 2 * 2 + r] = sono_pack(sono_gelu_of_halves(hidden[4 * j + 2 * r] + bias.x),
                                                   sono_gelu_of_halves(hidden[4 * j + 2 * r + 1] + bias.y));
    }
}

/* The products of slice s with W2. */
template <class T>
static __device__ __forceinline__ void contract(const normed_block &b, int s, float (&sum)[T::SUMS],
                                                const uint32_t (&left)[T::DEPTH / 16][4])
{
    const uint32_t down = b.shared + T::RING_AT + s % 2 * T::STAGE_BYTES + T::UP_BYTES +
                          (T::IS_TALL ? 0 : b.group * T::DEPTH * 2);
    sono_wgmma_begin();
#pragma unroll
    for (int k = 0; k < T::DEPTH / 16; k++) {
        sono_wgmma_registers<T::WIDTH, 0>(sum, left[k], sono_wgmma_matrix(down + k * 32));
        if constexpr (T::WIDTH < T::C)
            sono_wgmma_registers<T::WIDTH, T::WIDTH / 2>(
                sum, left[k], sono_wgmma_matrix(down + T::WIDTH * ROW_BYTES + k * 32));
    }
    sono_wgmma_end();
}

/* ---- the end ---- */

/* The tile's rows of x once more, in the place of the normalised ones; 0 past the last row. */
template <class T> static __device__ __forceinline__ void load_x(const mlp_args &p, const normed_block &b)
{
    for (int i = (int)threadIdx.x; i < T::ROWS * (T::C / 8); i += THREADS) {
        const int row = i / (T::C / 8), chunk = i % (T::C / 8);
        const bool take = b.first_row + row < p.rows.n_rows;
        const __half *from =
            take ? p.rows.x + (int64_t)(b.first_row + row) * p.rows.pitch + chunk * 8 : p.rows.x;
        sono_copy16(b.shared + normed_x_place<T>(row, chunk), from, take);
    }
}

/* Sums [FIRST, FIRST + SUMS / 2) of a group's threads to the other group, or from it. */
template <class T, int FIRST>
static __device__ __forceinline__ void hand_over(const normed_block &b, const float (&sum)[T::SUMS])
{
    float *to = reinterpret_cast<float *>(b.area + T::RING_AT) + b.group * (T::SUMS / 2) * GROUP;
#pragma unroll
    for (int i = 0; i < T::SUMS / 2; i++)
        to[i * GROUP + threadIdx.x % GROUP] = sum[FIRST + i];
}

template <class T, int FIRST>
static __device__ __forceinline__ void take_over(const normed_block &b, float (&sum)[T::SUMS])
{
    const float *from =
        reinterpret_cast<const float *>(b.area + T::RING_AT) + (1 - b.group) * (T::SUMS / 2) * GROUP;
#pragma unroll
    for (int i = 0; i < T::SUMS / 2; i++)
        sum[FIRST + i] += from[i * GROUP + threadIdx.x % GROUP];
}

/* b2 and x on top of sums [FIRST, FIRST + N), into the place of x. */
template <class T, int FIRST, int N>
static __device__ __forceinline__ void finish(const mlp_args &p, const normed_block &b,
                                              const float (&sum)[T::SUMS])
{
    const int first_row = normed_row_of<T>(b);
#pragma unroll
    for (int i = FIRST; i < FIRST + N; i += 4) {
        const int chunk = i / 4, column = chunk * 8 + 2 * (b.lane % 4);
        const float2 bias = __ldg(reinterpret_cast<const float2 *>(p.down_bias + column));
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint32_t *at = reinterpret_cast<uint32_t *>(b.area + normed_x_place<T>(first_row + r * 8, chunk) +
                                                        b.lane % 4 * 4);
            const float2 x = __half22float2(*reinterpret_cast<const __half2 *>(at));
            *at = sono_pack(sum[i + 2 * r] + bias.x + x.x, sum[i + 2 * r + 1] + bias.y + x.y);
        }
    }
}

template <class T> static __device__ __forceinline__ void store_y(const mlp_args &p, const normed_block &b)
{
    for (int i = (int)threadIdx.x; i < T::ROWS * (T::C / 8); i += THREADS) {
        const int row = i / (T::C / 8), chunk = i % (T::C / 8);
        if (b.first_row + row < p.rows.n_rows)
            *reinterpret_cast<uint4 *>(p.y + (int64_t)(b.first_row + row) * p.y_pitch + chunk * 8) =
                *reinterpret_cast<const uint4 *>(b.area + normed_x_place<T>(row, chunk));
    }
}

/* Each group finishes what it has summed, or half of what both have. */
template <class T>
static __device__ __forceinline__ void deliver(const mlp_args &p, const normed_block &b,
                                               float (&sum)[T::SUMS])
{
    constexpr int HALF = T::SUMS / 2;
    __syncthreads(); /* weights and x have been read: their places are free */
    load_x<T>(p, b);
    sono_copies_commit();
    if constexpr (T::IS_TALL) {
        sono_copies_wait<0>();
        __syncthreads(); /* x is there */
        finish<T, 0, T::SUMS>(p, b, sum);
    } else {
        b.group ? hand_over<T, 0>(b, sum) : hand_over<T, HALF>(b, sum);
        sono_copies_wait<0>();
        __syncthreads(); /* x is there, and what the other group has summed */
        if (b.group) {
            take_over<T, HALF>(b, sum);
            finish<T, HALF, HALF>(p, b, sum);
        } else {
            take_over<T, 0>(b, sum);
            finish<T, 0, HALF>(p, b, sum);
        }
    }
    __syncthreads(); /* the tile is complete */
    store_y<T>(p, b);
}

template <class T>
static __global__ void __launch_bounds__(THREADS, 1) mlp_kernel(const __grid_constant__ mlp_args p)
{
    extern __shared__ unsigned char mlp_shared[];
    const normed_block b = normed_start<T>(mlp_shared);
    float sum[T::SUMS];
#pragma unroll
    for (int i = 0; i < T::SUMS; i++)
        sum[i] = 0.0f;
    load_weights<T>(p, b, 0);
    load_bias(p, b.shared + T::BIAS_AT);
    sono_copies_commit();
    normed_fill<T>(p.rows, b);
#pragma unroll 1
    for (int s = 0; s < p.n_slices; s++) {
        float hidden[T::DEPTH / 2];
        uint32_t left[T::DEPTH / 16][4];
        sono_copies_wait<0>();
        sono_wgmma_publish();
        __syncthreads(); /* x and slice s are there; the slice before is done */
        if (s + 1 < p.n_slices)
            load_weights<T>(p, b, s + 1);
        sono_copies_commit();
        normed_multiply<T>(b, b.shared + T::RING_AT + s % 2 * T::STAGE_BYTES, hidden);
        activate<T>(b, s, hidden, left);
        contract<T>(b, s, sum, left);
    }
    deliver<T>(p, b, sum);
}

template <class T> static cudaError_t launch(const mlp_args &p, cudaStream_t stream)
{
    mlp_kernel<T><<<(unsigned)sono_ceil_div(p.rows.n_rows, T::ROWS), THREADS, T::BYTES, stream>>>(p);
    return cudaGetLastError();
}

template <class T> static cudaError_t allow(void)
{
    return cudaFuncSetAttribute(mlp_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::BYTES);
}

extern "C" cudaError_t sono_cuda_mlp_prepare(const sono_cuda_call *call)
{
    switch (call->out[0].c) {
    case 128:
        return allow<mlp_tile<128, 1>>();
    case 160:
        return allow<mlp_tile<160, 2>>();
    default:
        return allow<mlp_tile<320, 2>>();
    }
}

extern "C" cudaError_t sono_cuda_mlp(const sono_cuda_call *call)
{
    const sono_cuda_call *norm = &call->members[0], *up = &call->members[1], *down = &call->members[2];
    const sono_cuda_tensor *x = &norm->in[0], *y = &down->out[0];
    mlp_args p = {};
    p.rows.x = (const __half *)x->data;
    p.y = (__half *)y->data;
    p.rows.gamma = (const float *)norm->in[1].data;
    p.rows.beta = (const float *)norm->in[2].data;
    p.up = (const __half *)up->in[1].data;
    p.up_bias = (const float *)up->in[2].data;
    p.down = (const __half *)down->in[1].data;
    p.down_bias = (const float *)down->in[2].data;
    p.rows.pitch = (int32_t)x->pitch;
    p.y_pitch = (int32_t)y->pitch;
    p.up_pitch = (int32_t)up->in[1].pitch;
    p.down_pitch = (int32_t)down->in[1].pitch;
    p.rows.n_rows = y->n * y->h * y->w;
    p.n_slices = up->out[0].c / SLICE;
    p.rows.eps = norm->op->args.norm.eps;
    switch (y->c) {
    case 128:
        return launch<mlp_tile<128, 1>>(p, call->stream);
    case 160:
        return launch<mlp_tile<160, 2>>(p, call->stream);
    default:
        return launch<mlp_tile<320, 2>>(p, call->stream);
    }
}
