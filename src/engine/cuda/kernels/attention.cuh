// SPDX-License-Identifier: Apache-2.0
/* What the three ATTENTION kernels share: arguments, where queries and keys lie, loads of rows. A group is
 * what one softmax sees: a whole map, or one window of one map. Semantics:
 * src/engine/cpu/kernels/attention.c. */
#ifndef SONO_ENGINE_CUDA_KERNELS_ATTENTION_CUH
#define SONO_ENGINE_CUDA_KERNELS_ATTENTION_CUH

#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/rows.cuh"

typedef struct attention_tensor {
    void *data;
    int64_t batch_stride; /* elements */
    int32_t pitch;
    int32_t is_half;
    int32_t aligned; /* 16-byte accesses to any head's row are allowed */
} attention_tensor;

typedef struct attention_args {
    attention_tensor q, k, v, out;
    const float *bias, *pad_k, *pad_v; /* NULL = not given */
    int64_t bias_pitch;
    int32_t n_heads, head_dim;
    int32_t n_maps, n_groups, n_queries, n_keys; /* the last two of one group */
    int32_t window, h, w;                        /* window 0: global; h, w of the map */
    int32_t windows_across, groups_per_map;
    float scale;
} attention_args;

/* Which map a group belongs to, and its first position. */
typedef struct attention_group {
    int32_t map, y, x;
} attention_group;

static __device__ __forceinline__ attention_group attention_group_of(const attention_args &a, int32_t group)
{
    attention_group g = {group, 0, 0};
    if (a.window) {
        const int32_t index = group % a.groups_per_map;
        g.map = group / a.groups_per_map;
        g.y = index / a.windows_across * a.window;
        g.x = index % a.windows_across * a.window;
    }
    return g;
}

/* Position in the map of (y, x) of a window, -1 past the border. */
static __device__ __forceinline__ int32_t attention_place(const attention_args &a, const attention_group &g,
                                                          int32_t y, int32_t x)
{
    return g.y + y < a.h && g.x + x < a.w ? (g.y + y) * a.w + g.x + x : -1;
}

/* Position in the map of query or key i of a group, -1 past the border. */
static __device__ __forceinline__ int32_t attention_position(const attention_args &a,
                                                             const attention_group &g, int32_t i)
{
    return a.window ? attention_place(a, g, i / a.window, i % a.window) : i;
}

/* Elements from a tensor's first to a head's row of one position. */
static __device__ __forceinline__ int64_t attention_row(const attention_args &a, const attention_tensor &t,
                                                        int32_t map, int32_t position, int32_t head)
{
    return map * t.batch_stride + (int64_t)position * t.pitch + head * a.head_dim;
}

/* The first n of DIM channels, zeroes behind; wide: n = DIM and 16-byte loads are allowed. */
template <int DIM, typename T>
static __device__ __forceinline__ void attention_load_row(const T *from, int32_t n, int32_t wide,
                                                          float (&to)[DIM])
{
    if (wide) {
#pragma unroll
        for (int c = 0; c < DIM; c += 8)
            sono_load8(from + c, to + c);
    } else {
#pragma unroll
        for (int c = 0; c < DIM; c++)
            to[c] = c < n ? sono_load(from + c) : 0.0f;
    }
}

#endif
