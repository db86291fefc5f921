// SPDX-License-Identifier: Apache-2.0
/*
 * The PTX that CONV, LINEAR and ATTENTION are built from: copies from global to shared memory that do not
 * pass through registers (cp.async, from compute capability 8.0; plain loads and stores before), ldmatrix,
 * and the float16 product of one warp with float32 sums. `shared` arguments are 32-bit shared-memory
 * addresses.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_MMA_CUH
#define SONO_ENGINE_CUDA_KERNELS_MMA_CUH

#include "engine/cuda/kernels/device.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define SONO_HAS_ASYNC 0
#else
#define SONO_HAS_ASYNC 1
#endif

/* By asm, so that the compiler keeps it in a register instead of working it out again every step. */
static __device__ __forceinline__ uint32_t sono_shared_address(const void *p)
{
    uint32_t address;
    asm volatile("{ .reg .u64 a; cvta.to.shared.u64 a, %1; cvt.u32.u64 %0, a; }" : "=r"(address) : "l"(p));
    return address;
}

/* 16 bytes, or 16 zero bytes; from: 16-byte aligned, readable either way. */
static __device__ __forceinline__ void sono_copy16(uint32_t shared, const void *from, bool take)
{
#if SONO_HAS_ASYNC
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(take ? 16 : 0)
                 : "memory");
#else
    uint4 v = make_uint4(0, 0, 0, 0);
    if (take)
        v = *(const uint4 *)from;
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(v.x), "r"(v.y), "r"(v.z),
                 "r"(v.w)
                 : "memory");
#endif
}

static __device__ __forceinline__ void sono_copy4(uint32_t shared, const void *from, bool take)
{
#if SONO_HAS_ASYNC
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(from), "r"(take ? 4 : 0)
                 : "memory");
#else
    const uint32_t v = take ? *(const uint32_t *)from : 0;
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(shared), "r"(v) : "memory");
#endif
}

static __device__ __forceinline__ void sono_put16(uint32_t shared, const uint32_t v[4])
{
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(v[0]), "r"(v[1]), "r"(v[2]),
                 "r"(v[3])
                 : "memory");
}

/* Ends a group of copies. */
static __device__ __forceinline__ void sono_copies_commit(void)
{
#if SONO_HAS_ASYNC
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits until all groups of this thread but the last N have arrived. */
template <int N> static __device__ __forceinline__ void sono_copies_wait(void)
{
#if SONO_HAS_ASYNC
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

/* Four 8 x 8 matrices of halves: lane i gives the address of row i % 8 of matrix i / 8; register j of lane i
 * gets elements 2 * (i % 4) and the next of row i / 4 of matrix j. */
static __device__ __forceinline__ void sono_ldmatrix(uint32_t v[4], uint32_t shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(shared)
                 : "memory");
}

/* The same with each matrix transposed: two elements of one column. */
static __device__ __forceinline__ void sono_ldmatrix_transposed(uint32_t v[4], uint32_t shared)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(shared)
                 : "memory");
}

/* sum [16, 8] += a [16, 16] x b [16, 8]. Lane i = 4 g + t holds rows g and g + 8: sum columns 2t, 2t + 1 of
 * row g, then of row g + 8; a[0], a[1]: k 2t, 2t + 1 of the two rows, a[2], a[3]: k + 8; b0, b1: k and k + 8
 * of column g. */
static __device__ __forceinline__ void sono_mma(float sum[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
#if SONO_HAS_ASYNC
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

#endif
