// SPDX-License-Identifier: Apache-2.0
/*
 * CLEAN_MASK: mask U8 (H rows of W bytes, 0 / 255, packed: graph/map_layout.h), detections [N, 1, K, 8],
 * headers -> the same mask without the pieces that do not belong to the structure, area I32 [NK, 1, 1, 1],
 * pieces I32 [NK, 1, 2, room]: working memory.
 *
 * A piece is a set of pixels that touch along sides or corners. A piece is within reach when it has a pixel
 * in the object's box, grown by a quarter of its width and of its height on either side and rounded outwards;
 * where the box is all zero, which is no box, every piece is. What is out of reach goes, and of the rest what
 * has fewer pixels than min_piece_permille / 1000 of the largest. Whole numbers only, so that backends agree
 * to the bit.
 *
 * Pieces are found by union and find over pixels in raster order: parent[i] <= i, roots point to themselves.
 * One object after the other; one thread each. Test: tests/ops/test_clean.c.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/frames.h"
#include "engine/reach.h"
#include "graph/map_layout.h"

#include <string.h>

typedef struct job {
    int32_t width, height, permille;
    uint8_t *mask;
    int32_t *parent; /* [width * height], where the mask is set */
    int32_t *count;  /* of roots: pixels */
    sono_reach reach;
} job;

static int32_t find(int32_t *parent, int32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

static void unite(int32_t *parent, int32_t a, int32_t b)
{
    a = find(parent, a);
    b = find(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

static void label(const job *j)
{
    for (int32_t y = 0; y < j->height; y++)
        for (int32_t x = 0; x < j->width; x++) {
            const int32_t i = y * j->width + x, above = i - j->width;
            if (!j->mask[i])
                continue;
            j->parent[i] = i;
            j->count[i] = 0;
            if (x > 0 && j->mask[i - 1])
                unite(j->parent, i, i - 1);
            for (int32_t dx = -1; y > 0 && dx <= 1; dx++)
                if (x + dx >= 0 && x + dx < j->width && j->mask[above + dx])
                    unite(j->parent, i, above + dx);
        }
}

/* Pixels of every root, with the mark where one is within reach. Returns the largest such piece's. */
static int32_t measure(const job *j)
{
    const int32_t n_pixels = j->width * j->height;
    int32_t largest = 0;
    for (int32_t i = 0; i < n_pixels; i++) {
        if (!j->mask[i])
            continue;
        int32_t *count = &j->count[find(j->parent, i)];
        *count += 1;
        if (is_in_reach(&j->reach, i % j->width, i / j->width))
            *count |= SONO_PIECE_IN_REACH;
    }
    for (int32_t i = 0; i < n_pixels; i++)
        if (j->mask[i] && j->parent[i] == i && piece_area(j->count[i]) > largest)
            largest = piece_area(j->count[i]);
    return largest;
}

static int32_t remove_pieces(const job *j, int32_t largest)
{
    const int32_t n_pixels = j->width * j->height;
    int32_t area = 0;
    for (int32_t i = 0; i < n_pixels; i++) {
        if (!j->mask[i])
            continue;
        const int stays = piece_stays(j->count[find(j->parent, i)], largest, j->permille);
        j->mask[i] = stays ? 255 : 0;
        area += stays;
    }
    return area;
}

static void run_object(void *context, int64_t task, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *detections = &call->in[1], *areas = &call->out[1], *pieces = &call->out[2];
    const sono_segment_args *args = &call->op->args.segment;
    const int32_t k = (int32_t)task, frame = frame_of_object(k, detections->w);
    sono_frame_header header;
    sono_detection detection;
    (void)thread;
    memcpy(&header, (const sono_frame_header *)call->in[2].data + frame, sizeof header);
    memcpy(&detection,
           (const float *)detections->data +
               detection_at(k, detections->w, detections->pitch, detections->batch_stride),
           sizeof detection);
    const int64_t n_pixels = (int64_t)header.width_px * header.height_px;
    int32_t *parent = (int32_t *)pieces->data + k * pieces->batch_stride;
    const job j = {.width = header.width_px,
                   .height = header.height_px,
                   .permille = args->min_piece_permille,
                   .mask = (uint8_t *)call->out[0].data + header.maps_at_bytes +
                           (k - frame * detections->w) * object_maps_bytes(n_pixels, args->map_element_bytes),
                   .parent = parent,
                   .count = parent + pieces->pitch,
                   .reach = reach_of(&detection, header.width_px, header.height_px)};
    label(&j);
    ((int32_t *)areas->data)[k * areas->batch_stride] = remove_pieces(&j, measure(&j));
}

void SONO_KERNEL(sono_cpu_clean_mask)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_object, (void *)call, call->out[1].n);
}
