// SPDX-License-Identifier: Apache-2.0
/* Where on a screen the image is. */
#include "graph/record_private.h"

#include <stdio.h>

/* Ints of one frame's counts: engine/find_region.h lays them out. */
static int64_t counts_of(const sono_region_args *args)
{
    const int32_t longest =
        args->max_width_px > args->max_height_px ? args->max_width_px : args->max_height_px;
    return SONO_REGION_COUNTS * SONO_REGION_CELLS * SONO_REGION_CELLS +
           2 * SONO_REGION_CELLS * ((longest + (int64_t)3) / 4);
}

static int is_kept(const sono_tensor *t)
{
    return t->kind == SONO_TENSOR_KEPT && t->dtype == SONO_DTYPE_U8 && t->n == 1 && t->h == 1 && t->w == 1 &&
           t->c == SONO_REGION_BYTES;
}

sono_tid sono_record_find_region(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                 sono_tid kept, const sono_region_args *args, sono_tid region)
{
    sono_op op = {.kind = SONO_OP_FIND_REGION, .in = {pixels, header, kept}, .args.region = *args};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor p = sono_record_shape(rec, pixels), h = sono_record_shape(rec, header),
                      k = sono_record_shape(rec, kept);
    const int32_t n = sono_header_frames(&h);
    if (!n || p.dtype != SONO_DTYPE_U8 || !sono_is_dense(&p) || (kept && !is_kept(&k)))
        return RECORD_FAIL(rec, "%s: pixels, headers and what is kept do not fit", name);
    if (args->max_width_px < 1 || args->max_height_px < 1 || args->max_width_px > SONO_REGION_MAX_SIDE_PX ||
        args->max_height_px > SONO_REGION_MAX_SIDE_PX)
        return RECORD_FAIL(rec, "%s: frames of %d x %d are not possible", name, args->max_width_px,
                           args->max_height_px);
    char path[96];
    snprintf(path, sizeof path, "%.80s.header", name);
    op.out[0] = sono_record_target(rec, path, 0, SONO_DTYPE_U8, n, 1, 1, h.c);
    op.out[1] = sono_record_target(rec, name, region, SONO_DTYPE_I32, n, 1, 1, SONO_REGION_INTS);
    snprintf(path, sizeof path, "%.80s.counts", name);
    op.out[2] = sono_record_target(rec, path, 0, SONO_DTYPE_I32, n, 1, 1, (int32_t)counts_of(args));
    op.out[3] = kept;
    return sono_record_op(rec, &op);
}
