// SPDX-License-Identifier: Apache-2.0
/*
 * Elements whose type is known when the kernel is launched, not when it is compiled: the choice, the same for
 * all threads, is a value, so that one kernel serves every mixture of F16 and F32. Where `is_half` is a
 * constant nothing is left of it. Single elements first, then rows (the channels of one position): a fetch
 * only loads, unpacking waits for the data: fetch everything first, then unpack.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_ROWS_CUH
#define SONO_ENGINE_CUDA_KERNELS_ROWS_CUH

#include "engine/cuda/kernels/device.cuh"

static __device__ __forceinline__ float sono_load_either(const void *data, int64_t at, int32_t is_half)
{
    return is_half ? sono_load((const __half *)data + at) : sono_load((const float *)data + at);
}

static __device__ __forceinline__ void sono_store_either(void *data, int64_t at, float v, int32_t is_half)
{
    if (is_half)
        sono_store((__half *)data + at, v);
    else
        sono_store((float *)data + at, v);
}

/* 1 for F16, 0 for F32, -1 for what no kernel takes. */
static inline int32_t sono_is_half(const sono_cuda_tensor *tensor)
{
    return tensor->dtype == SONO_DTYPE_F16 ? 1 : tensor->dtype == SONO_DTYPE_F32 ? 0 : -1;
}

/* Element (n, i, c), i the position, is element n * batch_stride + i * pitch + c of data. */
typedef struct sono_rows {
    char *data; /* NULL = not given */
    int64_t pitch, batch_stride;
    int32_t is_half;
} sono_rows;

static inline sono_rows sono_rows_make(const sono_cuda_tensor *tensor)
{
    sono_rows rows;
    rows.data = (char *)tensor->data;
    rows.pitch = tensor->pitch;
    rows.batch_stride = tensor->n == 1 ? 0 : tensor->batch_stride;
    rows.is_half = tensor->dtype == SONO_DTYPE_F16;
    return rows;
}

/* 1 when every row's channels can be read and written `wide` at a time; a tensor that is not given always
 * can. */
static inline int sono_rows_fit(const sono_rows *rows, int32_t n_channels, int32_t wide)
{
    return !rows->data || sono_rows_are_wide(rows->data, rows->is_half ? 2 : 4, rows->pitch,
                                             rows->batch_stride, n_channels, wide);
}

/* Every row of the tensor starts on a multiple of 16 bytes. */
static inline int sono_is_aligned16(const sono_cuda_tensor *tensor)
{
    const sono_rows rows = sono_rows_make(tensor);
    return sono_rows_fit(&rows, 8, 8);
}

/* A launch with a thread for `wide` channels of each position of y, one map a blockIdx.y. */
typedef struct sono_rows_launch {
    uint32_t n_vectors, per_row; /* of a map, of a row */
    dim3 grid;
} sono_rows_launch;

static inline sono_rows_launch sono_rows_launch_of(const sono_cuda_tensor *y, int32_t wide, int32_t block)
{
    const int64_t per_row = y->c / wide, n_vectors = (int64_t)y->h * y->w * per_row;
    const sono_rows_launch launch = {(uint32_t)n_vectors, (uint32_t)per_row,
                                     dim3((unsigned)sono_ceil_div(n_vectors, block), (unsigned)y->n)};
    return launch;
}

static __device__ __forceinline__ int64_t sono_rows_at(const sono_rows &rows, int64_t n, int64_t i)
{
    return n * rows.batch_stride + i * rows.pitch;
}

/* V elements as they lie in memory, V = 1, 2, 4 or 8. */
template <int V> struct __align__(V == 1 ? 4 : V == 2 ? 8 : 16) sono_raw
{
    uint32_t word[V];
};

template <int V>
static __device__ __forceinline__ void sono_fetch(const char *data, int is_half, int64_t at, sono_raw<V> *raw)
{
    const char *p = data + (at << (is_half ? 1 : 2));
    if (V == 1) {
        raw->word[0] = is_half ? *(const uint16_t *)p : *(const uint32_t *)p;
    } else if (V == 2 && is_half) {
        raw->word[0] = *(const uint32_t *)p;
    } else if (V == 2 || (V == 4 && is_half)) {
        *(uint2 *)raw->word = *(const uint2 *)p;
    } else {
        *(uint4 *)raw->word = *(const uint4 *)p;
        if (V == 8 && !is_half)
            *(uint4 *)(raw->word + V / 2) = *(const uint4 *)(p + 16);
    }
}

template <int V>
static __device__ __forceinline__ void sono_unpack(const sono_raw<V> &raw, int is_half, float v[V])
{
    if (!is_half) {
#pragma unroll
        for (int i = 0; i < V; i++)
            v[i] = __uint_as_float(raw.word[i]);
    } else if (V == 1) {
        v[0] = __half2float(__ushort_as_half((unsigned short)raw.word[0]));
    } else {
#pragma unroll
        for (int i = 0; i < V / 2; i++) {
            const float2 pair = __half22float2(*(const __half2 *)(raw.word + i));
            v[2 * i] = pair.x;
            v[2 * i + 1] = pair.y;
        }
    }
}

/* at: of the first of the V elements. */
template <int V>
static __device__ __forceinline__ void sono_put(char *data, int is_half, int64_t at, const float v[V])
{
    char *p = data + (at << (is_half ? 1 : 2));
    if (V == 1) {
        sono_store_either(data, at, v[0], is_half);
    } else if (is_half) {
        uint32_t word[V];
#pragma unroll
        for (int i = 0; i < V; i += 2)
            word[i / 2] = sono_pack(v[i], v[(i + 1) % V]);
        if (V == 2)
            *(uint32_t *)p = word[0];
        else if (V == 4)
            *(uint2 *)p = make_uint2(word[0], word[1 % V]);
        else
            *(uint4 *)p = make_uint4(word[0], word[1 % V], word[2 % V], word[3 % V]);
    } else if (V == 2) {
        *(float2 *)p = make_float2(v[0], v[1 % V]);
    } else {
#pragma unroll
        for (int i = 0; i < V / 4; i++)
            ((float4 *)p)[i] = make_float4(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
    }
}

template <int V>
static __device__ __forceinline__ void sono_rows_load(const sono_rows &rows, int64_t at, float v[V])
{
    sono_raw<V> raw;
    sono_fetch<V>(rows.data, rows.is_half, at, &raw);
    sono_unpack<V>(raw, rows.is_half, v);
}

template <int V>
static __device__ __forceinline__ void sono_rows_store(const sono_rows &rows, int64_t at, const float v[V])
{
    sono_put<V>(rows.data, rows.is_half, at, v);
}

static __device__ __forceinline__ float sono_rows_value(const sono_rows &rows, int64_t at)
{
    return sono_load_either(rows.data, at, rows.is_half);
}

#endif
