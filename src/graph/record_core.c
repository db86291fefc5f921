// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

sono_tid sono_record_preprocess(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                const sono_preprocess_args *args)
{
    sono_op op = {.kind = SONO_OP_PREPROCESS, .in = {pixels, header}, .args.preprocess = *args};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    if (args->width_px < 1 || args->height_px < 1 || args->max_width_px < 1 || args->max_height_px < 1)
        return RECORD_FAIL(rec, "%s: sizes must be positive", name);
    if (args->fit == SONO_FIT_LETTERBOX && args->width_px != args->height_px)
        return RECORD_FAIL(rec, "%s: a letterbox is square, not %d x %d", name, args->width_px,
                           args->height_px);
    const sono_tensor h = sono_record_shape(rec, header);
    const int32_t n = sono_header_frames(&h);
    if (!n || !sono_is_dense(&rec->program->tensors[pixels]))
        return RECORD_FAIL(rec, "%s: pixels or headers do not fit", name);
    const int32_t n_channels = args->is_luma ? 1 : 3;
    op.out[0] =
        sono_record_target(rec, name, 0, SONO_DTYPE_F32, n, args->height_px, args->width_px, n_channels);
    op.flops = 4.0 * n_channels * n * args->width_px * args->height_px;
    return sono_record_op(rec, &op);
}

sono_tid sono_record_max_pool(sono_recorder *rec, const char *name, sono_tid x, const sono_pool_args *args,
                              sono_tid out)
{
    sono_op op = {.kind = SONO_OP_MAX_POOL, .in = {x}, .args.pool = *args};
    if (!sono_record_needs(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x);
    const sono_conv_args as_conv = {.kernel_h = args->kernel,
                                    .kernel_w = args->kernel,
                                    .stride = args->stride,
                                    .pad_bottom = args->pad_bottom,
                                    .pad_right = args->pad_right};
    sono_tensor y;
    if (!sono_record_conv_shape(rec, name, &in, &as_conv, in.c, &y))
        return 0;
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_upsample2(sono_recorder *rec, const char *name, sono_tid x, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_UPSAMPLE2, .in = {x}};
    if (!sono_record_needs(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, in.n, 2 * in.h, 2 * in.w, in.c);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_layer_norm(sono_recorder *rec, const char *name, sono_tid x, sono_tid gamma,
                                sono_tid beta, sono_tid residual, const sono_norm_args *args, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_LAYER_NORM, .in = {x, gamma, beta, residual}, .args.norm = *args};
    if (!sono_record_needs(rec, name, op.in, 3))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x), g = sono_record_shape(rec, gamma),
                      b = sono_record_shape(rec, beta);
    const sono_tensor r = sono_record_shape(rec, residual);
    if (!sono_is_vector(&g, in.c) || !sono_is_vector(&b, in.c) || (residual && !sono_is_same_map(&r, &in)))
        return RECORD_FAIL(rec, "%s: gamma, beta or residual does not fit [%d, %d, %d, %d]", name, in.n, in.h,
                           in.w, in.c);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = 8.0 * (double)sono_tensor_count(&in);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_gated_norm(sono_recorder *rec, const char *name, sono_tid gates, sono_tid x1,
                                sono_tid x2, sono_tid gamma, sono_tid beta, float eps, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_GATED_NORM, .in = {gates, x1, x2, gamma, beta}, .args.norm = {.eps = eps}};
    if (!sono_record_needs(rec, name, op.in, 5))
        return 0;
    const sono_tensor g = sono_record_shape(rec, gates), a = sono_record_shape(rec, x1),
                      b = sono_record_shape(rec, x2);
    const sono_tensor ga = sono_record_shape(rec, gamma), be = sono_record_shape(rec, beta);
    if (!sono_is_same_map(&a, &b) || g.c != 2 * a.c || g.w != a.w || g.h != a.h || g.n != a.n ||
        !sono_is_vector(&ga, a.c) || !sono_is_vector(&be, a.c))
        return RECORD_FAIL(rec, "%s: gates of %d channels for %d", name, g.c, a.c);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, a.n, a.h, a.w, a.c);
    op.flops = 14.0 * (double)sono_tensor_count(&a);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_add(sono_recorder *rec, const char *name, sono_tid a, sono_tid b, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_ADD, .in = {a, b}};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor x = sono_record_shape(rec, a);
    sono_tensor y = sono_record_shape(rec, b);
    if (y.c == 1)
        y.c = x.c;
    if (!sono_is_same_map(&x, &y))
        return RECORD_FAIL(rec, "%s: [%d, %d, %d, %d] + [%d, %d, %d, %d]", name, x.n, x.h, x.w, x.c, y.n, y.h,
                           y.w, y.c);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, x.n, x.h, x.w, x.c);
    op.flops = (double)sono_tensor_count(&x);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_scale_rows(sono_recorder *rec, const char *name, sono_tid x, sono_tid scale,
                                sono_tid out)
{
    sono_op op = {.kind = SONO_OP_SCALE_ROWS, .in = {x, scale}};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x), s = sono_record_shape(rec, scale);
    if (s.n != 1 || s.c != 1 || (int64_t)s.h * s.w != (int64_t)in.h * in.w)
        return RECORD_FAIL(rec, "%s: %d x %d scales for %d x %d positions", name, s.h, s.w, in.h, in.w);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = (double)sono_tensor_count(&in);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_unary(sono_recorder *rec, const char *name, sono_tid x, sono_unary_fn fn, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_UNARY, .in = {x}, .args.unary = {fn}};
    if (!sono_record_needs(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = 8.0 * (double)sono_tensor_count(&in);
    return sono_record_op(rec, &op);
}
