// SPDX-License-Identifier: Apache-2.0
/*
 * CLEAN_MASK: mask U8 (H rows of W bytes, 0 / 255, packed), detections [N, 1, K, 8], headers -> the same mask
 * without the pieces that are out of reach or small, area I32 [NK, 1, 1, 1], pieces I32 [NK, 1, 2, room].
 * Semantics: the CPU twin. Exact: a piece is a set and its pixels a count, whatever the order of the threads.
 *
 * Four launches over the frame's pixels, a grid line an object: every pixel points to the first of its run
 * within its warp; neighbours are united, the smaller number always the parent (atomicMin); pixels are
 * counted at their roots, a warp's pixels of one root together, and the largest count is kept up; pieces are
 * removed. The largest count lies behind the counts.
 *
 * Test: tests/ops/test_clean.c.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/frames.h"
#include "engine/reach.h"
#include "graph/map_layout.h"

#define THREADS       256
#define BLOCKS_PER_SM 8

typedef struct clean_args {
    const float *detections;
    const sono_frame_header *headers;
    uint8_t *maps;
    int32_t *area;
    int32_t *pieces;
    int64_t detections_pitch, detections_stride, area_stride, pieces_pitch, pieces_stride;
    int32_t n_objects; /* of a frame */
    int32_t map_element_bytes, permille;
} clean_args;

/* One object, as every kernel here sees it. */
struct object {
    int32_t width, height, n_pixels;
    uint8_t *mask;
    int32_t *parent, *count, *largest;
};

static __device__ __forceinline__ object object_of(const clean_args &p)
{
    const sono_frame_header *header = &p.headers[frame_of_object(blockIdx.y, p.n_objects)];
    object o;
    o.width = header->width_px;
    o.height = header->height_px;
    o.n_pixels = o.width * o.height;
    o.mask = p.maps + header->maps_at_bytes +
             blockIdx.y % p.n_objects * object_maps_bytes(o.n_pixels, p.map_element_bytes);
    o.parent = p.pieces + blockIdx.y * p.pieces_stride;
    o.count = o.parent + p.pieces_pitch;
    o.largest = o.count + p.pieces_pitch - 1;
    return o;
}

/* Steps of whole warps, so that the lanes of one stay together: i may lie behind the last pixel. */
#define FOR_PIXELS(i, n)                                                                                     \
    for (int32_t i = blockIdx.x * THREADS + threadIdx.x; i - (int32_t)(threadIdx.x % SONO_WARP) < (n);       \
         i += gridDim.x * THREADS)

static __device__ __forceinline__ int32_t find(const int32_t *parent, int32_t i)
{
    for (int32_t up = ((const volatile int32_t *)parent)[i]; up != i;
         up = ((const volatile int32_t *)parent)[i])
        i = up;
    return i;
}

/* The same; on the way every pixel is pointed to its parent's parent, so that the next one's way is shorter.
 * Should that replace what another thread's atomicMin() has put there meanwhile, nothing is lost: that thread
 * still unites it with the parent that it got back (Jaiganesh and Burtscher, A high-performance connected
 * components implementation for GPUs, HPDC 2018). */
static __device__ __forceinline__ int32_t find_and_shorten(int32_t *parent, int32_t i)
{
    volatile int32_t *up = parent;
    int32_t above = up[i];
    while (above != i) {
        const int32_t next = up[above];
        if (next != above)
            up[i] = next;
        i = above;
        above = next;
    }
    return i;
}

/* Roots only ever get smaller parents, so that every step of the loop gets nearer to the end. */
static __device__ void unite(int32_t *parent, int32_t a, int32_t b)
{
    for (;;) {
        a = find_and_shorten(parent, a);
        b = find_and_shorten(parent, b);
        if (a == b)
            return;
        const int32_t low = min(a, b), high = max(a, b), before = atomicMin(&parent[high], low);
        if (before == high)
            return;
        a = low;
        b = before;
    }
}

static __global__ void __launch_bounds__(THREADS) runs_kernel(clean_args p)
{
    const object o = object_of(p);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        *o.largest = 0;
        p.area[blockIdx.y * p.area_stride] = 0;
    }
    FOR_PIXELS(i, o.n_pixels)
    {
        const bool set = i < o.n_pixels && o.mask[i];
        /* A run ends at the frame's left border, too. */
        const bool joins = set && threadIdx.x % SONO_WARP > 0 && i % o.width > 0 && o.mask[i - 1];
        const uint32_t heads = __ballot_sync(0xffffffffu, !joins);
        const int32_t lane = threadIdx.x % SONO_WARP;
        if (!set)
            continue;
        o.parent[i] = i - lane + (31 - __clz(heads & (0xffffffffu >> (31 - lane))));
        o.count[i] = 0;
    }
}

static __global__ void __launch_bounds__(THREADS) unite_kernel(clean_args p)
{
    const object o = object_of(p);
    FOR_PIXELS(i, o.n_pixels)
    {
        if (i >= o.n_pixels || !o.mask[i])
            continue;
        const int32_t x = i % o.width, above = i - o.width;
        const bool has_up = above >= 0, has_left = x > 0, has_right = x + 1 < o.width;
        const bool left = has_left && o.mask[i - 1], up = has_up && o.mask[above];
        const bool up_left = has_up && has_left && o.mask[above - 1];
        const bool up_right = has_up && has_right && o.mask[above + 1];
        if (left && i % SONO_WARP == 0)
            unite(o.parent, i, i - 1);
        if (up && !(left && up_left))
            unite(o.parent, i, above);
        if (up)
            continue; /* the corners touch the pixel between them */
        if (up_left && !left)
            unite(o.parent, i, above - 1);
        if (up_right)
            unite(o.parent, i, above + 1);
    }
}

/* Adds n pixels of a root. Whatever is done to a root's count last gets the whole count back, so that the
 * largest of all that came back is the largest whole one: what came back before is no more than that. */
static __device__ __forceinline__ void add_pixels(const object &o, int32_t root, int32_t n, bool is_reached)
{
    int32_t count = atomicAdd(&o.count[root], n) + n;
    if (is_reached && !(count & SONO_PIECE_IN_REACH))
        count = atomicOr(&o.count[root], SONO_PIECE_IN_REACH) | SONO_PIECE_IN_REACH;
    if (piece_area(count) > *(volatile int32_t *)o.largest)
        atomicMax(o.largest, piece_area(count));
}

static __global__ void __launch_bounds__(THREADS) count_kernel(clean_args p)
{
    const object o = object_of(p);
    const sono_detection *box =
        (const sono_detection *)(p.detections + detection_at(blockIdx.y, p.n_objects, p.detections_pitch,
                                                             p.detections_stride));
    const sono_reach reach = reach_of(box, o.width, o.height);
    FOR_PIXELS(i, o.n_pixels)
    {
        const bool set = i < o.n_pixels && o.mask[i];
        const int32_t root = set ? find(o.parent, i) : -1;
        const bool near = set && is_in_reach(&reach, i % o.width, i / o.width);
        uint32_t todo = __ballot_sync(0xffffffffu, set);
        while (todo) { /* the same for all lanes: one root of the warp after the other */
            const int32_t first = __ffs(todo) - 1, one = __shfl_sync(0xffffffffu, root, first);
            const uint32_t same = __ballot_sync(0xffffffffu, root == one);
            const uint32_t reached = __ballot_sync(0xffffffffu, root == one && near);
            if ((int32_t)(threadIdx.x % SONO_WARP) == first)
                add_pixels(o, one, __popc(same), reached != 0);
            todo &= ~same;
        }
        if (set)
            o.parent[i] = root;
    }
}

static __global__ void __launch_bounds__(THREADS) remove_kernel(clean_args p)
{
    __shared__ int32_t kept;
    const object o = object_of(p);
    const int32_t largest = *o.largest;
    int32_t n = 0;
    if (threadIdx.x == 0)
        kept = 0;
    __syncthreads(); /* kept is 0 */
    FOR_PIXELS(i, o.n_pixels)
    {
        if (i >= o.n_pixels || !o.mask[i])
            continue;
        const bool stays = piece_stays(o.count[o.parent[i]], largest, p.permille);
        if (!stays)
            o.mask[i] = 0;
        n += stays;
    }
    for (int offset = SONO_WARP / 2; offset > 0; offset /= 2)
        n += __shfl_xor_sync(0xffffffffu, n, offset);
    if (threadIdx.x % SONO_WARP == 0 && n > 0)
        atomicAdd(&kept, n);
    __syncthreads(); /* all warps have added theirs */
    if (threadIdx.x == 0 && kept > 0)
        atomicAdd(p.area + blockIdx.y * p.area_stride, kept);
}

extern "C" cudaError_t sono_cuda_clean_mask(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *detections = &call->in[1], *area = &call->out[1], *pieces = &call->out[2];
    const clean_args p = {(const float *)detections->data,
                          (const sono_frame_header *)call->in[2].data,
                          (uint8_t *)call->out[0].data,
                          (int32_t *)area->data,
                          (int32_t *)pieces->data,
                          detections->pitch,
                          detections->batch_stride,
                          area->batch_stride,
                          pieces->pitch,
                          pieces->batch_stride,
                          detections->w,
                          op->map_element_bytes,
                          op->min_piece_permille};
    const int64_t needed = sono_ceil_div((int64_t)op->max_width_px * op->max_height_px, THREADS);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(needed < most ? needed : most), (unsigned)area->n);
    runs_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    unite_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    count_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    remove_kernel<<<grid, THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
