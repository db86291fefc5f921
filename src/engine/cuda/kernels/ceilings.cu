// SPDX-License-Identifier: Apache-2.0
/*
 * What the device does at best, for `bench --roofline`. Copy: 16 bytes a thread and step, grid-stride, as
 * often in one launch as its own time needs to be lost in it.
 * Products: 8 warps a block and 4 blocks a multiprocessor; each warp keeps N_CHAINS independent sums,
 * so that the latency of one instruction hides behind the others. The numbers do not matter and are read
 * from memory, so that nothing is worked out when compiling. Matrix products are mma.sync's: what wgmma adds
 * on Hopper is not in this ceiling, as no kernel here uses it.
 */
#include "engine/cuda/kernels/ceilings.h"
#include "engine/cuda/kernels/mma.cuh"

namespace
{

constexpr int N_THREADS = 256;
constexpr int N_CHAINS = 8;
constexpr int N_ROUNDS = 4096;
constexpr int BLOCKS_PER_MULTIPROCESSOR = SONO_CUDA_CEILING_THREADS / N_THREADS;

/* Past the first-level cache. */
__global__ void copy_kernel(const uint4 *from, uint4 *to, size_t n, int n_rounds)
{
    const size_t step = (size_t)gridDim.x * blockDim.x;
    for (int round = 0; round < n_rounds; round++)
        for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
            to[i] = __ldcg(&from[i]);
}

__global__ void __launch_bounds__(N_THREADS, BLOCKS_PER_MULTIPROCESSOR) half_kernel(float *out)
{
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    const uint32_t seed = __float_as_uint(out[at]);
    const uint32_t a[4] = {seed, seed + 1, seed + 2, seed + 3};
    float sums[N_CHAINS][4] = {};
    for (int round = 0; round < N_ROUNDS; round++)
#pragma unroll
        for (int k = 0; k < N_CHAINS; k++)
            sono_mma(sums[k], a, seed, seed + k);
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < N_CHAINS; k++)
        sum += sums[k][0] + sums[k][1] + sums[k][2] + sums[k][3];
    out[at] = sum;
}

__global__ void __launch_bounds__(N_THREADS, BLOCKS_PER_MULTIPROCESSOR) float_kernel(float *out)
{
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    const float x = out[at];
    float sums[N_CHAINS] = {};
    for (int round = 0; round < N_ROUNDS; round++)
#pragma unroll
        for (int k = 0; k < N_CHAINS; k++)
            sums[k] = fmaf(sums[k], x, x);
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < N_CHAINS; k++)
        sum += sums[k];
    out[at] = sum;
}

} // namespace

cudaError_t sono_cuda_ceiling_copy(const void *from, void *to, size_t n_bytes, int n_rounds,
                                   cudaStream_t stream)
{
    const size_t n = n_bytes / sizeof(uint4);
    const size_t n_blocks = (n + N_THREADS - 1) / N_THREADS;
    copy_kernel<<<(unsigned)(n_blocks < 4096 ? n_blocks : 4096), N_THREADS, 0, stream>>>(
        (const uint4 *)from, (uint4 *)to, n, n_rounds);
    return cudaGetLastError();
}

cudaError_t sono_cuda_ceiling_half(float *out, int n_multiprocessors, double *flops, cudaStream_t stream)
{
    const int n_blocks = n_multiprocessors * BLOCKS_PER_MULTIPROCESSOR;
    half_kernel<<<n_blocks, N_THREADS, 0, stream>>>(out);
    *flops = 2.0 * 16 * 8 * 16 * N_CHAINS * N_ROUNDS * n_blocks * (N_THREADS / 32);
    return cudaGetLastError();
}

cudaError_t sono_cuda_ceiling_float(float *out, int n_multiprocessors, double *flops, cudaStream_t stream)
{
    const int n_blocks = n_multiprocessors * BLOCKS_PER_MULTIPROCESSOR;
    float_kernel<<<n_blocks, N_THREADS, 0, stream>>>(out);
    *flops = 2.0 * N_CHAINS * N_ROUNDS * n_blocks * N_THREADS;
    return cudaGetLastError();
}
