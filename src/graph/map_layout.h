// SPDX-License-Identifier: Apache-2.0
/*
 * Where masks and weight maps lie, on every backend: one U8 tensor [NK, 1, P, room of a plane], of which a
 * frame uses what its own size needs, so that what a batch has is one piece from the start on. A frame's maps
 * begin where its header says (maps_at_bytes); its objects follow one another, each with its mask (a byte a
 * pixel), then edge, inside and outside where they are recorded. Rows are contiguous. P = 1 + 3 times the
 * bytes of a weight map's element. C and CUDA C.
 */
#ifndef SONO_GRAPH_MAP_LAYOUT_H
#define SONO_GRAPH_MAP_LAYOUT_H

#include <stdint.h>

#ifdef __CUDACC__
#define SONO_MAPS_FN static inline __host__ __device__
#else
#define SONO_MAPS_FN static inline
#endif

#define SONO_MAP_ALIGN_BYTES 16 /* of every map's first byte: kernels may store that many at once */

/* From one map's first byte to the next one's. */
SONO_MAPS_FN int64_t map_bytes(int64_t n_pixels, int32_t element_bytes)
{
    return (n_pixels * element_bytes + SONO_MAP_ALIGN_BYTES - 1) / SONO_MAP_ALIGN_BYTES *
           SONO_MAP_ALIGN_BYTES;
}

/* From one object's mask to the next one's. element_bytes: of its weight maps; 0 = there are none. */
SONO_MAPS_FN int64_t object_maps_bytes(int64_t n_pixels, int32_t element_bytes)
{
    return map_bytes(n_pixels, 1) + 3 * map_bytes(n_pixels, element_bytes);
}

/* Where an object's weight map (0 = edge, 1 = inside, 2 = outside) begins, from its mask on. */
SONO_MAPS_FN int64_t weight_map_at(int64_t n_pixels, int32_t element_bytes, int32_t map)
{
    return map_bytes(n_pixels, 1) + map * map_bytes(n_pixels, element_bytes);
}

#endif
