// SPDX-License-Identifier: Apache-2.0
/*
 * WEIGHT_MAPS: mask U8 (H rows of W bytes, 0 / 255), headers -> edge, inside, outside, 0 / 1 in uint8 or
 * float32, H rows of W behind each mask (graph/map_layout.h):
 * edge = dilate(mask, e) - erode(mask, e); inside = erode(mask, e); outside = dilate(mask, o) minus mask,
 * squares of side e = edge_width_px and o = outside_width_px; pixels beyond the border neither erode nor
 * dilate. Semantics: the CPU twin. Exact. Test: tests/ops/test_weight_maps.c.
 *
 * Blocks walk over tiles of 64 x 16 source pixels; the frame's size is read from the header. A tile and its
 * margin lie in shared memory as two bits a pixel, "set" and "set or beyond the border"; a pass along x
 * leaves the three windows' results as three bits, a pass along y combines those. Cost a pixel: about 2 (e +
 * o) bytes of shared memory; the maps take 3 bytes a pixel, or 12. One tensor holds the mask that is read and
 * the maps that are written: other bytes of it, so nothing here is __restrict__.
 */
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/rows.cuh"
#include "engine/frames.h"
#include "graph/map_layout.h"

#define THREADS        256
#define BLOCKS_PER_SM  4
#define TILE_W         SONO_MAPS_TILE_W
#define TILE_H         SONO_MAPS_TILE_H
#define SET            1 /* of the mask; after the pass along x: one pixel of the edge's window is set */
#define NOT_BACKGROUND 2 /* set or beyond the border; after the pass: all pixels of the edge's window are */
#define WIDE_SET       4 /* after the pass: one pixel of the outer window is set */

typedef struct maps_args {
    uint8_t *maps; /* of all frames */
    const sono_frame_header *headers;
    int32_t n_objects;                           /* of a frame */
    int32_t edge_radius, outside_radius, margin; /* margin: the larger one */
} maps_args;

/* A tile with its margin; pixels: [TILE_H + 2 margin][TILE_W + 2 margin], lines: [TILE_H + 2 margin][TILE_W]
 */
struct tile_areas {
    uint8_t *pixels, *lines;
    int32_t pitch, n_lines;
};

static __device__ __forceinline__ void load_tile(const maps_args &p, const sono_frame_header &header,
                                                 const uint8_t *mask, const tile_areas &t, int32_t first_x,
                                                 int32_t first_y)
{
    for (int32_t i = threadIdx.x; i < t.n_lines * t.pitch; i += THREADS) {
        const int32_t y = first_y - p.margin + i / t.pitch, x = first_x - p.margin + i % t.pitch;
        const bool inside = x >= 0 && y >= 0 && x < header.width_px && y < header.height_px;
        const bool set = inside && mask[(int64_t)y * header.width_px + x] != 0;
        t.pixels[i] = set ? SET | NOT_BACKGROUND : inside ? 0 : NOT_BACKGROUND;
    }
}

static __device__ __forceinline__ void pass_along_x(const maps_args &p, const tile_areas &t)
{
    for (int32_t i = threadIdx.x; i < t.n_lines * TILE_W; i += THREADS) {
        const uint8_t *at = t.pixels + i / TILE_W * t.pitch + i % TILE_W + p.margin;
        uint32_t any = 0, all = NOT_BACKGROUND, wide = 0;
        for (int32_t d = -p.edge_radius; d <= p.edge_radius; d++) {
            any |= at[d];
            all &= at[d];
        }
        for (int32_t d = -p.outside_radius; d <= p.outside_radius; d++)
            wide |= at[d];
        t.lines[i] = (uint8_t)((any & SET) | all | (wide & SET ? WIDE_SET : 0));
    }
}

/* object: its mask's first byte. */
template <typename T>
static __device__ __forceinline__ void store_tile(const maps_args &p, const sono_frame_header &header,
                                                  uint8_t *object, const tile_areas &t, int32_t first_x,
                                                  int32_t first_y)
{
    const int64_t n_pixels = (int64_t)header.width_px * header.height_px;
    for (int32_t i = threadIdx.x; i < TILE_H * TILE_W; i += THREADS) {
        const int32_t x = i % TILE_W, y = i / TILE_W;
        if (first_x + x >= header.width_px || first_y + y >= header.height_px)
            continue;
        const uint8_t *line = t.lines + (y + p.margin) * TILE_W + x;
        uint32_t any = 0, all = NOT_BACKGROUND, wide = 0;
        for (int32_t d = -p.edge_radius; d <= p.edge_radius; d++) {
            any |= line[d * TILE_W];
            all &= line[d * TILE_W];
        }
        for (int32_t d = -p.outside_radius; d <= p.outside_radius; d++)
            wide |= line[d * TILE_W];
        const bool set = t.pixels[(y + p.margin) * t.pitch + x + p.margin] & SET;
        const bool eroded = all != 0;
        const bool values[3] = {(any & SET) && !eroded, eroded, (wide & WIDE_SET) && !set};
        const int64_t at = (int64_t)(first_y + y) * header.width_px + first_x + x;
#pragma unroll
        for (int m = 0; m < 3; m++)
            ((T *)(object + weight_map_at(n_pixels, sizeof(T), m)))[at] = values[m];
    }
}

/* T: of a map's element. */
template <typename T> static __global__ void __launch_bounds__(THREADS) weight_maps_kernel(maps_args p)
{
    extern __shared__ uint8_t shared[];
    const sono_frame_header header = p.headers[frame_of_object(blockIdx.y, p.n_objects)];
    const int64_t n_pixels = (int64_t)header.width_px * header.height_px;
    uint8_t *object =
        p.maps + header.maps_at_bytes + blockIdx.y % p.n_objects * object_maps_bytes(n_pixels, sizeof(T));
    const int32_t pitch = TILE_W + 2 * p.margin, n_lines = TILE_H + 2 * p.margin;
    const tile_areas t = {shared, shared + n_lines * pitch, pitch, n_lines};
    const int32_t tiles_x = (header.width_px + TILE_W - 1) / TILE_W;
    const int32_t n_tiles = tiles_x * ((header.height_px + TILE_H - 1) / TILE_H);
    for (int32_t tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
        const int32_t first_x = tile % tiles_x * TILE_W, first_y = tile / tiles_x * TILE_H;
        __syncthreads(); /* all are done with the tile before */
        load_tile(p, header, object, t, first_x, first_y);
        __syncthreads(); /* windows along x reach pixels that others loaded */
        pass_along_x(p, t);
        __syncthreads(); /* windows along y reach lines that others made */
        store_tile<T>(p, header, object, t, first_x, first_y);
    }
}

extern "C" cudaError_t sono_cuda_weight_maps(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    maps_args p = {(uint8_t *)call->in[0].data, (const sono_frame_header *)call->in[1].data,
                   call->in[0].n / call->in[1].n};
    p.edge_radius = op->edge_width_px / 2;
    p.outside_radius = op->outside_width_px / 2;
    p.margin = p.edge_radius > p.outside_radius ? p.edge_radius : p.outside_radius;
    const size_t bytes = (size_t)sono_maps_bytes(p.margin);
    const int64_t tiles = sono_ceil_div(op->max_width_px, TILE_W) * sono_ceil_div(op->max_height_px, TILE_H);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const dim3 grid((unsigned)(tiles < most ? tiles : most), (unsigned)call->in[0].n);
    if (op->map_element_bytes == 1)
        weight_maps_kernel<uint8_t><<<grid, THREADS, bytes, call->stream>>>(p);
    else
        weight_maps_kernel<float><<<grid, THREADS, bytes, call->stream>>>(p);
    return cudaGetLastError();
}
