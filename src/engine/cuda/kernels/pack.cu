// SPDX-License-Identifier: Apache-2.0
/*
 * Parameters and tensors between float32 and the forms the kernels want.
 *
 * pack_weight: float32 [k][c_out] -> F16 [c_out padded to SONO_CUDA_PACK_N][k padded to SONO_CUDA_PACK_K],
 * zero-filled. One thread an output element; runs at open only, so reading a column per row is no matter.
 * convert: element by element. Test: every op test on CUDA goes through both.
 */
#include "engine/cuda/kernels/device.cuh"
#include "engine/cuda/kernels/pack.h"

#define THREADS 256

static int64_t round_up(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

size_t sono_cuda_packed_bytes(int64_t k, int32_t c_out)
{
    return (size_t)(round_up(k, SONO_CUDA_PACK_K) * round_up(c_out, SONO_CUDA_PACK_N)) * sizeof(__half);
}

static __global__ void pack_weight(const float *from, int64_t k, int32_t c_out, __half *to, int64_t k_padded,
                                   int64_t count)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count)
        return;
    const int64_t row = i / k_padded, column = i % k_padded;
    sono_store(to + i, row < c_out && column < k ? from[column * c_out + row] : 0.0f);
}

cudaError_t sono_cuda_pack_weight(const float *from, int64_t k, int32_t c_out, void *to, cudaStream_t stream)
{
    const int64_t k_padded = round_up(k, SONO_CUDA_PACK_K);
    const int64_t count = k_padded * round_up(c_out, SONO_CUDA_PACK_N);
    pack_weight<<<(unsigned)sono_ceil_div(count, THREADS), THREADS, 0, stream>>>(
        from, k, c_out, static_cast<__half *>(to), k_padded, count);
    return cudaGetLastError();
}

template <typename From, typename To> static __global__ void convert(const From *from, To *to, int64_t count)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        sono_store(to + i, sono_load(from + i));
}

cudaError_t sono_cuda_convert(const void *from, sono_dtype from_type, void *to, sono_dtype to_type,
                              int64_t count, cudaStream_t stream)
{
    const unsigned blocks = (unsigned)sono_ceil_div(count, THREADS);
    if (count == 0)
        return cudaSuccess;
    if (from_type == SONO_DTYPE_F32 && to_type == SONO_DTYPE_F16)
        convert<<<blocks, THREADS, 0, stream>>>(static_cast<const float *>(from), static_cast<__half *>(to),
                                                count);
    else if (from_type == SONO_DTYPE_F16 && to_type == SONO_DTYPE_F32)
        convert<<<blocks, THREADS, 0, stream>>>(static_cast<const __half *>(from), static_cast<float *>(to),
                                                count);
    else
        return cudaErrorInvalidValue;
    return cudaGetLastError();
}
