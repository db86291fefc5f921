// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

static int check_epilogue(sono_recorder *rec, const char *name, const sono_epilogue *epilogue,
                          sono_tid residual, const sono_tensor *y)
{
    const int adds = epilogue->add_before_act + epilogue->add_after_act;
    if (adds != (residual ? 1 : 0)) {
        RECORD_FAIL(rec, "%s: a residual and where to add it go together", name);
        return 0;
    }
    const sono_tensor r = sono_record_shape(rec, residual);
    if (residual && !sono_is_same_map(&r, y)) {
        RECORD_FAIL(rec, "%s: residual [%d, %d, %d, %d] for a result of [%d, %d, %d, %d]", name, r.n, r.h,
                    r.w, r.c, y->n, y->h, y->w, y->c);
        return 0;
    }
    return 1;
}

int sono_record_conv_shape(sono_recorder *rec, const char *name, const sono_tensor *x,
                           const sono_conv_args *a, int32_t c_out, sono_tensor *y)
{
    if (a->kernel_h < 1 || a->kernel_w < 1 || a->stride < 1 || a->pad_top < 0 || a->pad_left < 0 ||
        a->pad_bottom < 0 || a->pad_right < 0) {
        RECORD_FAIL(rec, "%s: kernel, stride or padding out of range", name);
        return 0;
    }
    const int32_t span_h = x->h + a->pad_top + a->pad_bottom - a->kernel_h;
    const int32_t span_w = x->w + a->pad_left + a->pad_right - a->kernel_w;
    if (span_h < 0 || span_w < 0) {
        RECORD_FAIL(rec, "%s: kernel %d x %d does not fit into %d x %d", name, a->kernel_h, a->kernel_w, x->h,
                    x->w);
        return 0;
    }
    *y = (sono_tensor){.n = x->n, .h = span_h / a->stride + 1, .w = span_w / a->stride + 1, .c = c_out};
    return 1;
}

sono_tid sono_record_conv(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                          sono_tid residual, const sono_conv_args *args, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_CONV, .in = {x, weight, bias, residual}, .args.conv = *args};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x), k = sono_record_shape(rec, weight),
                      b = sono_record_shape(rec, bias);
    if (k.n != args->kernel_h || k.h != args->kernel_w || k.w != in.c || (bias && !sono_is_vector(&b, k.c)))
        return RECORD_FAIL(rec, "%s: weight [%d, %d, %d, %d] for %d channels and a %d x %d kernel", name, k.n,
                           k.h, k.w, k.c, in.c, args->kernel_h, args->kernel_w);
    sono_tensor y;
    if (!sono_record_conv_shape(rec, name, &in, args, k.c, &y) ||
        !check_epilogue(rec, name, &args->epilogue, residual, &y))
        return 0;
    if (args->kernel_h == 1 && args->kernel_w == 1 && args->stride == 1 && y.h == in.h && y.w == in.w)
        op.kind = SONO_OP_LINEAR;
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    op.flops = 2.0 * (double)sono_tensor_count(&y) * k.n * k.h * k.w;
    return sono_record_op(rec, &op);
}

sono_tid sono_record_linear(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                            sono_tid residual, const sono_epilogue *epilogue, sono_tid out)
{
    const sono_conv_args args = {.kernel_h = 1, .kernel_w = 1, .stride = 1, .epilogue = *epilogue};
    return sono_record_conv(rec, name, x, weight, bias, residual, &args, out);
}

sono_tid sono_record_dwconv(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                            sono_tid residual, const sono_conv_args *args, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_DWCONV, .in = {x, weight, bias, residual}, .args.conv = *args};
    if (!sono_record_needs(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = sono_record_shape(rec, x), k = sono_record_shape(rec, weight),
                      b = sono_record_shape(rec, bias);
    if (k.n != 1 || k.h != args->kernel_h || k.w != args->kernel_w || k.c != in.c ||
        (bias && !sono_is_vector(&b, in.c)))
        return RECORD_FAIL(rec, "%s: depthwise weight [%d, %d, %d, %d] for %d channels and a %d x %d kernel",
                           name, k.n, k.h, k.w, k.c, in.c, args->kernel_h, args->kernel_w);
    sono_tensor y;
    if (!sono_record_conv_shape(rec, name, &in, args, in.c, &y) ||
        !check_epilogue(rec, name, &args->epilogue, residual, &y))
        return 0;
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    op.flops = 2.0 * (double)sono_tensor_count(&y) * k.h * k.w;
    return sono_record_op(rec, &op);
}
