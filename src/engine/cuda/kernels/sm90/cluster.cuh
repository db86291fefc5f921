// SPDX-License-Identifier: Apache-2.0
/* Clusters of blocks (compute capability 9.0): their barrier, and shared memory of one another. Addresses are
 * 32-bit shared-memory addresses. */
#ifndef SONO_ENGINE_CUDA_KERNELS_SM90_CLUSTER_CUH
#define SONO_ENGINE_CUDA_KERNELS_SM90_CLUSTER_CUH

#include <cuda_runtime.h>
#include <stdint.h>

static __device__ __forceinline__ int sono_cluster_rank(void)
{
    uint32_t rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return (int)rank;
}

static __device__ __forceinline__ int sono_cluster_id(void)
{
    uint32_t id;
    asm("mov.u32 %0, %%clusterid.x;" : "=r"(id));
    return (int)id;
}

/* All threads of all blocks: what was written before arrive is seen after wait. */
static __device__ __forceinline__ void sono_cluster_arrive(void)
{
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

static __device__ __forceinline__ void sono_cluster_wait(void)
{
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

static __device__ __forceinline__ uint32_t sono_shared_address_of(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* Where a block of the cluster has what this one has at an address. */
static __device__ __forceinline__ uint32_t sono_cluster_address(uint32_t address, int rank)
{
    uint32_t there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    return there;
}

static __device__ __forceinline__ float sono_cluster_get(uint32_t address)
{
    float v;
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(v) : "r"(address) : "memory");
    return v;
}

static __device__ __forceinline__ void sono_cluster_get4(uint32_t address, float v[4])
{
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3])
                 : "r"(address)
                 : "memory");
}

static __device__ __forceinline__ void sono_cluster_put4(uint32_t address, const float v[4])
{
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v[0]), "f"(v[1]),
                 "f"(v[2]), "f"(v[3])
                 : "memory");
}

#endif
