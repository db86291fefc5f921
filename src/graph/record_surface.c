// SPDX-License-Identifier: Apache-2.0
/* What is made of a mask and the frame below it: bridged gaps, the surface. */
#include "graph/record_private.h"

#include <stdio.h>

/* Whether pixels and headers of frames and the masks of what is in them fit together. */
static int frames_fit(const sono_recorder *rec, sono_tid pixels, sono_tid header, const sono_tensor *mask,
                      const sono_segment_args *args)
{
    const sono_tensor p = sono_record_shape(rec, pixels), h = sono_record_shape(rec, header);
    const int32_t n_frames = sono_header_frames(&h);
    return n_frames && p.dtype == SONO_DTYPE_U8 && p.n == n_frames && mask->dtype == SONO_DTYPE_U8 &&
           mask->offset == 0 && mask->c == sono_plane_bytes(args) && mask->n % n_frames == 0;
}

void sono_record_bridge_mask(sono_recorder *rec, const char *name, sono_tid mask, sono_tid area,
                             sono_tid pixels, sono_tid header, sono_tid detections,
                             const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_BRIDGE_MASK, .in = {pixels, header, detections, mask}};
    op.args.segment = *args;
    if (!area || !sono_record_needs(rec, name, op.in, 4) || !sono_segment_sizes_fit(rec, name, args))
        return;
    const sono_tensor m = sono_record_shape(rec, mask), a = sono_record_shape(rec, area),
                      d = sono_record_shape(rec, detections), h = sono_record_shape(rec, header);
    const int32_t side = args->max_width_px > args->max_height_px ? args->max_width_px : args->max_height_px;
    if (!frames_fit(rec, pixels, header, &m, args) || a.dtype != SONO_DTYPE_I32 || a.n != m.n ||
        d.c != SONO_DETECTION_FLOATS || sono_header_frames(&h) != d.n || d.n * d.w != m.n ||
        args->bridge_permille < 0 || args->bridge_permille > 1000) {
        RECORD_FAIL(rec, "%s: mask, area, pixels, header, detections and sizes do not fit", name);
        return;
    }
    op.out[0] = mask;
    op.out[1] = area;
    op.out[2] = sono_record_target(rec, name, 0, SONO_DTYPE_I32, m.n, 1, 2, side);
    sono_record_op(rec, &op);
}

sono_tid sono_record_surface(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                             sono_tid mask, const sono_segment_args *args, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_SURFACE, .in = {pixels, header, mask}, .args.segment = *args};
    if (!sono_record_needs(rec, name, op.in, 3) || !sono_segment_sizes_fit(rec, name, args))
        return 0;
    const sono_tensor m = sono_record_shape(rec, mask), h = sono_record_shape(rec, header);
    if (!frames_fit(rec, pixels, header, &m, args))
        return RECORD_FAIL(rec, "%s: pixels, header, mask and sizes do not fit", name);
    char runs[96];
    snprintf(runs, sizeof runs, "%.80s.runs", name);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_I32, h.n, 1, 1, SONO_SURFACE_COLUMNS);
    op.out[1] =
        sono_record_target(rec, runs, 0, SONO_DTYPE_I32, h.n, 1, SONO_SURFACE_RUNS, SONO_SURFACE_COLUMNS);
    return sono_record_op(rec, &op);
}
