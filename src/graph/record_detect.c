// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

#include <stdio.h>
#include <string.h>

void sono_record_topk_rows(sono_recorder *rec, const char *name, sono_tid logits, sono_tid memory,
                           sono_tid anchors, int32_t k, sono_tid outs[3])
{
    sono_op op = {.kind = SONO_OP_TOPK_ROWS, .in = {logits, memory, anchors}, .args.topk = {k}};
    memset(outs, 0, 3 * sizeof *outs);
    if (!sono_record_needs(rec, name, op.in, 3))
        return;
    const sono_tensor l = sono_record_shape(rec, logits), m = sono_record_shape(rec, memory),
                      a = sono_record_shape(rec, anchors);
    const int64_t n_rows = (int64_t)l.h * l.w;
    if (k < 1 || k > n_rows || (int64_t)m.h * m.w != n_rows || (int64_t)a.h * a.w != n_rows || a.c != 4 ||
        m.n != l.n) {
        RECORD_FAIL(rec, "%s: the best %d of %lld rows", name, k, (long long)n_rows);
        return;
    }
    char path[96];
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_F32, m.n, 1, k, m.c);
    snprintf(path, sizeof path, "%.80s.anchors", name);
    op.out[1] = sono_record_target(rec, path, 0, SONO_DTYPE_F32, m.n, 1, k, 4);
    snprintf(path, sizeof path, "%.80s.indices", name);
    op.out[2] = sono_record_target(rec, path, 0, SONO_DTYPE_I32, m.n, 1, k, 1);
    if (sono_record_op(rec, &op))
        memcpy(outs, op.out, 3 * sizeof *outs);
}

static int bins_fit(const sono_tensor *corners, const sono_bins_args *args)
{
    return args->reg_max >= 1 && corners->c == 4 * (args->reg_max + 1);
}

sono_tid sono_record_fdr_box(sono_recorder *rec, const char *name, sono_tid corners, sono_tid boxes,
                             sono_tid project, const sono_bins_args *args)
{
    sono_op op = {.kind = SONO_OP_FDR_BOX, .in = {corners, boxes, project}, .args.bins = *args};
    if (!sono_record_needs(rec, name, op.in, 3))
        return 0;
    const sono_tensor c = sono_record_shape(rec, corners), b = sono_record_shape(rec, boxes),
                      p = sono_record_shape(rec, project);
    if (!bins_fit(&c, args) || b.c != 4 || b.w != c.w || b.n != c.n || !sono_is_vector(&p, args->reg_max + 1))
        return RECORD_FAIL(rec, "%s: %d channels for %d bins", name, c.c, args->reg_max + 1);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_F32, b.n, b.h, b.w, 4);
    op.flops = 6.0 * (double)sono_tensor_count(&c);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_lqe_stat(sono_recorder *rec, const char *name, sono_tid corners,
                              const sono_bins_args *args)
{
    sono_op op = {.kind = SONO_OP_LQE_STAT, .in = {corners}, .args.bins = *args};
    if (!sono_record_needs(rec, name, op.in, 1))
        return 0;
    const sono_tensor c = sono_record_shape(rec, corners);
    if (!bins_fit(&c, args) || args->top_k < 1 || args->top_k > args->reg_max + 1)
        return RECORD_FAIL(rec, "%s: the best %d of %d bins in %d channels", name, args->top_k,
                           args->reg_max + 1, c.c);
    op.out[0] = sono_record_target(rec, name, 0, SONO_DTYPE_F32, c.n, c.h, c.w, 4 * (args->top_k + 1));
    op.flops = 6.0 * (double)sono_tensor_count(&c);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_select(sono_recorder *rec, const char *name, sono_tid logits, sono_tid boxes,
                            sono_tid header, int32_t max_objects, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_SELECT_BOXES, .in = {logits, boxes, header}, .args.select = {max_objects}};
    if (!sono_record_needs(rec, name, op.in, 3))
        return 0;
    const sono_tensor l = sono_record_shape(rec, logits), b = sono_record_shape(rec, boxes),
                      h = sono_record_shape(rec, header);
    if (sono_header_frames(&h) != l.n || b.n != l.n || b.c != 4 || l.w != b.w || max_objects < 1 ||
        max_objects > l.w)
        return RECORD_FAIL(rec, "%s: the best %d of %d queries of %d frames", name, max_objects, l.w, h.n);
    op.out[0] =
        sono_record_target(rec, name, out, SONO_DTYPE_F32, l.n, 1, max_objects, SONO_DETECTION_FLOATS);
    return sono_record_op(rec, &op);
}

static int is_bytes(const sono_tensor *t, int32_t n, int32_t c)
{
    return t->dtype == SONO_DTYPE_U8 && t->n == n && t->h == 1 && t->w == 1 && t->c == c;
}

void sono_record_follow(sono_recorder *rec, const char *name, sono_tid logits, sono_tid boxes,
                        sono_tid header, sono_tid detections, sono_tid followed,
                        const sono_machine_rules *rules)
{
    const sono_op op = {.kind = SONO_OP_FOLLOW_BOX,
                        .in = {logits, boxes, header, detections, followed},
                        .out = {detections, followed},
                        .args.state = *rules};
    if (!sono_record_needs(rec, name, op.in, 5))
        return;
    const sono_tensor l = sono_record_shape(rec, logits), b = sono_record_shape(rec, boxes),
                      h = sono_record_shape(rec, header), d = sono_record_shape(rec, detections),
                      f = sono_record_shape(rec, followed);
    if (rules->mode != SONO_STATE_BY_STREAM)
        RECORD_FAIL(rec, "%s: boxes are followed through a stream: the state must be BY_STREAM", name);
    else if (sono_header_frames(&h) != l.n || b.n != l.n || b.c != 4 || l.w != b.w || d.n != l.n ||
             d.w > l.w || d.c != SONO_DETECTION_FLOATS || d.dtype != SONO_DTYPE_F32 ||
             !is_bytes(&f, 1, SONO_FOLLOWED_BYTES))
        RECORD_FAIL(rec, "%s: logits, boxes, header, detections and followed do not fit", name);
    else
        sono_record_op(rec, &op);
}
