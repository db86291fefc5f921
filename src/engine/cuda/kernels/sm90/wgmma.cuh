// SPDX-License-Identifier: Apache-2.0
/*
 * wgmma (compute capability 9.0a): products of a warpgroup, 4 warps that start at a multiple of 4, on
 * operands in shared memory or, on the left, in registers; float16 in, float32 sums. PTX ISA 8.0,
 * "Asynchronous Warpgroup Level Matrix Instructions".
 *
 * A matrix in shared memory has 64 halves of the depth a row, 128 bytes: chunk c of 16 bytes of row r at
 * place c ^ (r mod 8) (conv_half.cuh), and begins at a multiple of 1024 bytes. 16 of the depth further on are
 * 32 bytes further on. Sums [64, N]: lane 4 g + t of warp w holds of rows 16 w + g and 16 w + g + 8 columns 8
 * j + 2 t and the next, as elements 4 j, 4 j + 1 and 4 j + 2, 4 j + 3. Two neighbours j are, as halves, 16 of
 * the depth of a left operand: so the sums of one product are the left operand of the next.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_SM90_WGMMA_CUH
#define SONO_ENGINE_CUDA_KERNELS_SM90_WGMMA_CUH

#include <stdint.h>

#define SONO_WGMMA_ROWS 64

/* The matrix that begins at a shared-memory address, as the instruction wants it: 8 rows are 1024 bytes. */
static __device__ __forceinline__ uint64_t sono_wgmma_matrix(uint32_t shared)
{
    return (uint64_t)(shared >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}

/* Before the first product after registers were written. */
static __device__ __forceinline__ void sono_wgmma_begin(void)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* Waits for all products since. */
static __device__ __forceinline__ void sono_wgmma_end(void)
{
    asm volatile("wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;" ::: "memory");
}

/* What this thread has written to shared memory, copies that have arrived included, is seen by products
 * behind the next barrier. */
static __device__ __forceinline__ void sono_wgmma_publish(void)
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* The registers of the sums, 16 at a time: in the instruction's text, and as operands. */
#define WGMMA_TEXT_0       "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define WGMMA_TEXT_1       "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_TEXT_2       "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define WGMMA_TEXT_3       "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WGMMA_TEXT_4       "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define WGMMA_SUMS_4(v, i) "+f"((v)[i]), "+f"((v)[(i) + 1]), "+f"((v)[(i) + 2]), "+f"((v)[(i) + 3])
#define WGMMA_SUMS_16(v, i)                                                                                  \
    WGMMA_SUMS_4(v, i), WGMMA_SUMS_4(v, (i) + 4), WGMMA_SUMS_4(v, (i) + 8), WGMMA_SUMS_4(v, (i) + 12)
#define WGMMA_BOTH_SHARED(N, TEXT, A, B, ADDS)                                                               \
    "{.reg .pred p; setp.ne.b32 p, %" ADDS ", 0; wgmma.mma_async.sync.aligned.m64n" N                        \
    "k16.f32.f16.f16 {" TEXT "}, %" A ", %" B ", p, 1, 1, 0, 0;}"
#define WGMMA_LEFT_REGISTERS(N, TEXT, A0, A1, A2, A3, B)                                                     \
    "{.reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" N "k16.f32.f16.f16 {" TEXT       \
    "}, {%" A0 ", %" A1 ", %" A2 ", %" A3 "}, %" B ", p, 1, 1, 0;}"

/* sum [64, N] = a [64, 16] x b [N, 16]^T, plus what sum was if adds. */
template <int N>
static __device__ __forceinline__ void sono_wgmma_shared(float (&sum)[N / 2], uint64_t a, uint64_t b,
                                                         int adds)
{
    static_assert(N == 32 || N == 64, "write it down for this N too");
    if constexpr (N == 32)
        asm volatile(WGMMA_BOTH_SHARED("32", WGMMA_TEXT_0, "16", "17", "18")
                     : WGMMA_SUMS_16(sum, 0)
                     : "l"(a), "l"(b), "r"(adds));
    else
        asm volatile(WGMMA_BOTH_SHARED("64", WGMMA_TEXT_0 ", " WGMMA_TEXT_1, "32", "33", "34")
                     : WGMMA_SUMS_16(sum, 0), WGMMA_SUMS_16(sum, 16)
                     : "l"(a), "l"(b), "r"(adds));
}

/* sum [64, N], from element FIRST on, += a [64, 16] x b [N, 16]^T. */
template <int N, int FIRST, int ALL>
static __device__ __forceinline__ void sono_wgmma_registers(float (&sum)[ALL], const uint32_t (&a)[4],
                                                            uint64_t b)
{
    static_assert(N == 128 || N == 160, "write it down for this N too");
    if constexpr (N == 128)
        asm volatile(WGMMA_LEFT_REGISTERS("128",
                                          WGMMA_TEXT_0 ", " WGMMA_TEXT_1 ", " WGMMA_TEXT_2 ", " WGMMA_TEXT_3,
                                          "64", "65", "66", "67", "68")
                     : WGMMA_SUMS_16(sum, FIRST), WGMMA_SUMS_16(sum, FIRST + 16),
                       WGMMA_SUMS_16(sum, FIRST + 32), WGMMA_SUMS_16(sum, FIRST + 48)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
    else
        asm volatile(WGMMA_LEFT_REGISTERS("160",
                                          WGMMA_TEXT_0 ", " WGMMA_TEXT_1 ", " WGMMA_TEXT_2 ", " WGMMA_TEXT_3
                                                       ", " WGMMA_TEXT_4,
                                          "80", "81", "82", "83", "84")
                     : WGMMA_SUMS_16(sum, FIRST), WGMMA_SUMS_16(sum, FIRST + 16),
                       WGMMA_SUMS_16(sum, FIRST + 32), WGMMA_SUMS_16(sum, FIRST + 48),
                       WGMMA_SUMS_16(sum, FIRST + 64)
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#endif
