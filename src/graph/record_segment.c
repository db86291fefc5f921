// SPDX-License-Identifier: Apache-2.0
#include "graph/map_layout.h"
#include "graph/record_private.h"

#include <stdio.h>
#include <string.h>

/* Rows of embeddings: those of a box's corners, and those of the points' labels. */
enum { N_CORNERS = 2, N_LABELS = 3 };

/* How many rows a prompt of n_points has behind the output tokens; 0 when n_rows embeddings do not suit it.
 */
static int32_t prompt_rows(int32_t n_rows, int32_t n_points)
{
    if (n_rows == N_CORNERS)
        return n_points ? 0 : N_CORNERS;
    if (n_points < 1)
        return 0;
    return n_rows == N_LABELS ? n_points + 1 : n_rows == N_CORNERS + N_LABELS ? n_points + N_CORNERS : 0;
}

sono_tid sono_record_prompt(sono_recorder *rec, const char *name, sono_tid detections, sono_tid header,
                            sono_tid gaussian, sono_tid embeddings, sono_tid tokens, sono_tid points,
                            const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_PROMPT, .in = {detections, header, gaussian, embeddings, tokens, points}};
    op.args.segment = *args;
    if (!sono_record_needs(rec, name, op.in, 5))
        return 0;
    const sono_tensor d = sono_record_shape(rec, detections), g = sono_record_shape(rec, gaussian);
    const sono_tensor e = sono_record_shape(rec, embeddings), p = sono_record_shape(rec, points);
    const sono_tensor t = sono_record_shape(rec, tokens), h = sono_record_shape(rec, header);
    const int points_fit = !points || (p.n == d.n && p.h == 1 && p.w % d.w == 0 && p.c == SONO_POINT_FLOATS);
    const int32_t n_rows = points_fit ? prompt_rows(e.w, points ? p.w / d.w : 0) : 0;
    if (sono_header_frames(&h) != d.n || d.c != SONO_DETECTION_FLOATS || g.w != 2 || !n_rows ||
        e.c != 2 * g.c || t.c != e.c || t.n != 1)
        return RECORD_FAIL(
            rec, "%s: detections, header, gaussian, embeddings, tokens and points do not fit together", name);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_F32, d.n * d.w, 1, t.w + n_rows, t.c);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_hyper_mask(sono_recorder *rec, const char *name, sono_tid up, sono_tid hyper)
{
    sono_op op = {.kind = SONO_OP_HYPER_MASK, .in = {up, hyper}};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor u = sono_record_shape(rec, up), h = sono_record_shape(rec, hyper);
    const int64_t n_rows = (int64_t)u.h * u.w;
    int32_t side = 4;
    while ((int64_t)side * side < n_rows)
        side += 4;
    if ((int64_t)side * side != n_rows || h.n != u.n || h.h != 1 || h.w != 1 || h.c != u.c)
        return RECORD_FAIL(rec, "%s: %lld rows are no square map of 4 x 4 cells", name, (long long)n_rows);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_F32, u.n, side, side, 1);
    op.flops = 2.0 * (double)sono_tensor_count(&u);
    return sono_record_op(rec, &op);
}

int sono_segment_sizes_fit(sono_recorder *rec, const char *name, const sono_segment_args *args)
{
    if (args->max_width_px < 1 || args->max_height_px < 1 ||
        (int64_t)args->max_width_px * args->max_height_px > INT32_MAX - SONO_MAP_ALIGN_BYTES)
        RECORD_FAIL(rec, "%s: a frame of %d x %d is not possible", name, args->max_width_px,
                    args->max_height_px);
    else if (args->map_element_bytes != 0 && args->map_element_bytes != 1 && args->map_element_bytes != 4)
        RECORD_FAIL(rec, "%s: weight maps of %d bytes a pixel: uint8 or float32", name,
                    args->map_element_bytes);
    return rec->status == SONO_STATUS_OK;
}

int32_t sono_plane_bytes(const sono_segment_args *args)
{
    return (int32_t)map_bytes((int64_t)args->max_width_px * args->max_height_px, 1);
}

void sono_record_upsample_mask(sono_recorder *rec, const char *name, sono_tid logits, sono_tid detections,
                               sono_tid header, const sono_segment_args *args, int want_logits,
                               sono_tid outs[3])
{
    sono_op op = {.kind = SONO_OP_UPSAMPLE_MASK, .in = {logits, detections, header}, .args.segment = *args};
    memset(outs, 0, 3 * sizeof *outs);
    if (!sono_record_needs(rec, name, op.in, 3) || !sono_segment_sizes_fit(rec, name, args))
        return;
    const sono_tensor l = sono_record_shape(rec, logits), d = sono_record_shape(rec, detections),
                      h = sono_record_shape(rec, header);
    if (l.c != 1 || l.h != l.w || d.c != SONO_DETECTION_FLOATS || sono_header_frames(&h) != d.n ||
        d.n * d.w != l.n) {
        RECORD_FAIL(rec, "%s: [%d, %d, %d, %d] logits for %d detections in each of %d frames", name, l.n, l.h,
                    l.w, l.c, d.w, h.n);
        return;
    }
    const int32_t n_pixels = args->max_width_px * args->max_height_px;
    const int32_t n_planes = 1 + 3 * args->map_element_bytes;
    char path[96];
    snprintf(path, sizeof path, "%.80s.area", name);
    /* The area before the maps: what is in front of them is downloaded with any part of them. */
    op.out[1] = sono_record_target(rec, path, 0, SONO_DTYPE_I32, l.n, 1, 1, 1);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_U8, l.n, 1, n_planes, sono_plane_bytes(args));
    if (n_planes > 1)
        op.out[0] = sono_view_rows(rec, op.out[0], 0, 1, 1);
    snprintf(path, sizeof path, "%.80s.logits", name);
    op.out[2] = want_logits ? sono_record_target(rec, path, 0, SONO_DTYPE_F32, l.n, 1, 1, n_pixels) : 0;
    op.flops = 8.0 * l.n * n_pixels;
    if (sono_record_op(rec, &op))
        memcpy(outs, op.out, 3 * sizeof *outs);
}

void sono_record_clean_mask(sono_recorder *rec, const char *name, sono_tid mask, sono_tid area,
                            sono_tid detections, sono_tid header, const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_CLEAN_MASK, .in = {mask, detections, header}, .args.segment = *args};
    if (!area || !sono_record_needs(rec, name, op.in, 3) || !sono_segment_sizes_fit(rec, name, args))
        return;
    const sono_tensor m = sono_record_shape(rec, mask), a = sono_record_shape(rec, area),
                      d = sono_record_shape(rec, detections), h = sono_record_shape(rec, header);
    const int64_t n_pixels = (int64_t)args->max_width_px * args->max_height_px;
    if (m.dtype != SONO_DTYPE_U8 || m.offset != 0 || m.c != sono_plane_bytes(args) ||
        a.dtype != SONO_DTYPE_I32 || a.n != m.n || d.c != SONO_DETECTION_FLOATS ||
        sono_header_frames(&h) != d.n || d.n * d.w != m.n || args->min_piece_permille < 0 ||
        args->min_piece_permille > 1000 || n_pixels >= 1 << 30) {
        RECORD_FAIL(rec, "%s: mask, area, detections, header and sizes do not fit", name);
        return;
    }
    op.out[0] = mask;
    op.out[1] = area;
    /* Parents and counts of all pixels, and one place more. */
    op.out[2] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, m.n, 1, 2, (int32_t)n_pixels + 1);
    sono_record_op(rec, &op);
}

/* Whether a mask is the first plane of a tensor that has room for its weight maps. */
static int has_room_for_maps(const sono_recorder *rec, const sono_tensor *mask, const sono_segment_args *args)
{
    const sono_tensor root = sono_record_shape(rec, mask->root);
    return args->map_element_bytes > 0 && mask->dtype == SONO_DTYPE_U8 && mask->offset == 0 && mask->h == 1 &&
           mask->w == 1 && mask->c == sono_plane_bytes(args) && root.c == mask->c && root.n == mask->n &&
           root.h == 1 && root.w == 1 + 3 * args->map_element_bytes;
}

sono_tid sono_record_weight_maps(sono_recorder *rec, const char *name, sono_tid mask, sono_tid header,
                                 const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_WEIGHT_MAPS, .in = {mask, header}, .args.segment = *args};
    if (!sono_record_needs(rec, name, op.in, 2) || !sono_segment_sizes_fit(rec, name, args))
        return 0;
    const sono_tensor m = sono_record_shape(rec, mask), h = sono_record_shape(rec, header);
    const int32_t n_frames = sono_header_frames(&h), n_planes = 3 * args->map_element_bytes;
    if (!n_frames || m.n % n_frames || !has_room_for_maps(rec, &m, args) || args->edge_width_px < 1 ||
        args->outside_width_px < 1 || args->edge_width_px % 2 == 0 || args->outside_width_px % 2 == 0)
        return RECORD_FAIL(rec, "%s: mask, header or widths do not fit (widths are odd)", name);
    op.out[0] = sono_record_target(rec, name, sono_view_rows(rec, m.root, 1, 1, n_planes), SONO_DTYPE_U8, m.n,
                                   1, n_planes, m.c);
    return sono_record_op(rec, &op);
}
