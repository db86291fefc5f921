// SPDX-License-Identifier: Apache-2.0
#include "graph/record.h"

#include "base/alloc.h"
#include "graph/map_layout.h"
#include "graph/params.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(sono_detection) == SONO_DETECTION_FLOATS * sizeof(float),
               "a detection is a row of floats");
_Static_assert(sizeof(sono_point_row) == SONO_POINT_FLOATS * sizeof(float), "a point is a row of floats");

/* Fails recording with a text that names the op. Returns 0. */
#define RECORD_FAIL(rec, ...)                                                                                \
    sono_record_latch(                                                                                       \
        (rec), sono_error_set((rec)->error, SONO_STATUS_INVALID_ARGUMENT, 0, -1, __func__, __VA_ARGS__))

void sono_record_start(sono_recorder *rec, sono_program *program, struct sono_binder *binder,
                       sono_error *error)
{
    memset(rec, 0, sizeof *rec);
    rec->program = program;
    rec->binder = binder;
    rec->error = error;
}

sono_status sono_record_finish(sono_recorder *rec)
{
    return rec->status;
}

sono_tid sono_record_latch(sono_recorder *rec, sono_status status)
{
    if (rec->status == SONO_STATUS_OK)
        rec->status = status;
    return 0;
}

/* ---- tensors ---- */

/* The copy is the caller's; ids from a failed call are 0, whose tensor is all zero. */
static sono_tensor shape_of(const sono_recorder *rec, sono_tid id)
{
    return rec->program->tensors[id];
}

sono_tensor sono_record_shape(const sono_recorder *rec, sono_tid tensor)
{
    return shape_of(rec, tensor);
}

static sono_tid add_tensor(sono_recorder *rec, const sono_tensor *tensor)
{
    sono_program *program = rec->program;
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (sono_alloc_grow((void **)&program->tensors, &program->tensors_capacity, program->n_tensors + 1,
                        sizeof(sono_tensor)) != 0)
        return sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for the op list"));
    const sono_tid id = (sono_tid)program->n_tensors++;
    program->tensors[id] = *tensor;
    if (!tensor->root)
        program->tensors[id].root = id;
    return id;
}

static sono_tid add_root(sono_recorder *rec, const char *name, sono_tensor_kind kind, sono_dtype dtype,
                         int32_t n, int32_t h, int32_t w, int32_t c)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (n < 1 || h < 1 || w < 1 || c < 1 || (int64_t)h * w > INT32_MAX ||
        (int64_t)h * w * c > (INT64_C(1) << 40) / n)
        return RECORD_FAIL(rec, "%s: shape [%d, %d, %d, %d] is not possible", name, n, h, w, c);
    sono_tensor tensor = {
        .kind = kind, .dtype = dtype, .n = n, .h = h, .w = w, .c = c, .precise = rec->precise};
    tensor.pitch = c;
    tensor.batch_stride = (int64_t)h * w * c;
    snprintf(tensor.name, sizeof tensor.name, "%s", name);
    return add_tensor(rec, &tensor);
}

sono_tid sono_record_input(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                           int32_t w, int32_t c)
{
    return add_root(rec, name, SONO_TENSOR_INPUT, dtype, n, h, w, c);
}

sono_tid sono_record_tensor(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                            int32_t w, int32_t c)
{
    return add_root(rec, name, SONO_TENSOR_ACTIVATION, dtype, n, h, w, c);
}

int sono_record_adopts(const sono_recorder *rec)
{
    return rec->program->params->complete;
}

/* The next of the params that are there already; 0 unless it is the one that is meant. */
static int adopt_param(sono_program *program, sono_tensor *tensor)
{
    if (program->n_params >= program->params->n)
        return 0;
    const sono_param *param = &program->params->list[program->n_params];
    tensor->param = param->values;
    return strcmp(param->name, tensor->name) == 0 && param->n == tensor->n && param->h == tensor->h &&
           param->w == tensor->w && param->c == tensor->c;
}

sono_tid sono_record_param(sono_recorder *rec, const char *name, int32_t n, int32_t h, int32_t w, int32_t c,
                           float **values)
{
    *values = NULL;
    const sono_tid id = add_root(rec, name, SONO_TENSOR_PARAM, SONO_DTYPE_F32, n, h, w, c);
    if (!id)
        return 0;
    sono_program *program = rec->program;
    sono_tensor *tensor = &program->tensors[id];
    if (sono_record_adopts(rec)) {
        if (!adopt_param(program, tensor))
            return RECORD_FAIL(rec, "%s: these networks have other parameters", tensor->name);
    } else {
        tensor->param = *values = sono_params_add(program->params, tensor->name, n, h, w, c);
        if (!*values)
            return sono_record_latch(
                rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for parameter %s", name));
    }
    tensor->param_index = (int32_t)program->n_params++;
    program->params_bytes += sono_tensor_count(tensor) * (int64_t)sizeof(float);
    return id;
}

void sono_record_output(sono_recorder *rec, sono_tid tensor)
{
    if (rec->status == SONO_STATUS_OK)
        rec->program->tensors[rec->program->tensors[tensor].root].kind = SONO_TENSOR_OUTPUT;
}

/* ---- views ---- */

static sono_tid add_view(sono_recorder *rec, sono_tensor view)
{
    view.param = NULL;
    return add_tensor(rec, &view);
}

static int is_dense(const sono_tensor *x)
{
    return x->pitch == x->c && (x->n == 1 || x->batch_stride == (int64_t)x->h * x->w * x->c);
}

sono_tid sono_view_channels(sono_recorder *rec, sono_tid x, int32_t first, int32_t count)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = shape_of(rec, x);
    if (first < 0 || count < 1 || first > view.c - count)
        return RECORD_FAIL(rec, "%s: channels [%d, %d) of %d", view.name, first, first + count, view.c);
    view.offset += first;
    view.c = count;
    return add_view(rec, view);
}

sono_tid sono_view_rows(sono_recorder *rec, sono_tid x, int32_t first, int32_t h, int32_t w)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = shape_of(rec, x);
    if (first < 0 || h < 1 || w < 1 || first > (int64_t)view.h * view.w - (int64_t)h * w)
        return RECORD_FAIL(rec, "%s: positions from %d as %d x %d of %d x %d", view.name, first, h, w, view.h,
                           view.w);
    view.offset += first * view.pitch;
    view.h = h;
    view.w = w;
    return add_view(rec, view);
}

sono_tid sono_view_reshape(sono_recorder *rec, sono_tid x, int32_t n, int32_t h, int32_t w, int32_t c)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = shape_of(rec, x);
    const int same_maps = view.n == n && view.c == c && (int64_t)view.h * view.w == (int64_t)h * w;
    if (sono_tensor_count(&view) != (int64_t)n * h * w * c || (!same_maps && !is_dense(&view)))
        return RECORD_FAIL(rec, "%s: [%d, %d, %d, %d] cannot be seen as [%d, %d, %d, %d]", view.name, view.n,
                           view.h, view.w, view.c, n, h, w, c);
    if (!same_maps) {
        view.pitch = c;
        view.batch_stride = (int64_t)h * w * c;
    }
    view.n = n;
    view.h = h;
    view.w = w;
    view.c = c;
    return add_view(rec, view);
}

sono_tid sono_view_broadcast(sono_recorder *rec, sono_tid x, int32_t n)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = shape_of(rec, x);
    if (view.n != 1 || n < 1)
        return RECORD_FAIL(rec, "%s: n = %d cannot be broadcast to %d", view.name, view.n, n);
    view.n = n;
    view.batch_stride = n == 1 ? view.batch_stride : 0;
    return add_view(rec, view);
}

sono_tid sono_view_spread(sono_recorder *rec, sono_tid x, int32_t n, int32_t h, int32_t w)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = shape_of(rec, x);
    if (view.n != 1 || view.h != 1 || view.w != 1 || n < 1 || h < 1 || w < 1 || (int64_t)h * w > INT32_MAX)
        return RECORD_FAIL(rec, "%s: [%d, %d, %d, %d] cannot be spread over [%d, %d, %d]", view.name, view.n,
                           view.h, view.w, view.c, n, h, w);
    view.n = n;
    view.h = h;
    view.w = w;
    view.pitch = view.batch_stride = 0;
    return add_view(rec, view);
}

/* ---- op plumbing ---- */

sono_epilogue sono_epilogue_act(sono_act act)
{
    return (sono_epilogue){.act = act, .post_scale = 1.0f};
}

sono_epilogue sono_epilogue_none(void)
{
    return sono_epilogue_act(SONO_ACT_NONE);
}

/* The tensor an op writes: `out` when given and of that shape, else a new one. */
static sono_tid output_of(sono_recorder *rec, const char *name, sono_tid out, sono_dtype dtype, int32_t n,
                          int32_t h, int32_t w, int32_t c)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (!out)
        return sono_record_tensor(rec, name, dtype, n, h, w, c);
    sono_tensor *given = &rec->program->tensors[out];
    if (given->n != n || given->h != h || given->w != w || given->c != c || given->dtype != dtype)
        return RECORD_FAIL(rec, "%s: output is [%d, %d, %d, %d], the tensor given for it [%d, %d, %d, %d]",
                           name, n, h, w, c, given->n, given->h, given->w, given->c);
    if ((given->n > 1 && given->batch_stride == 0) || given->pitch == 0)
        return RECORD_FAIL(rec, "%s: a broadcast tensor cannot be written", name);
    if (rec->program->tensors[given->root].kind == SONO_TENSOR_PARAM)
        return RECORD_FAIL(rec, "%s: a parameter cannot be written", name);
    if (given->root != out)
        snprintf(given->name, sizeof given->name, "%s", name);
    return out;
}

/* What is made from a precise tensor is precise too. */
static void inherit_precision(sono_program *program, const sono_op *op)
{
    if (!program->tensors[program->tensors[op->in[0]].root].precise)
        return;
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        if (op->out[i])
            program->tensors[program->tensors[op->out[i]].root].precise = 1;
}

/* Appends an op whose inputs and outputs are filled in. */
static sono_tid add_op(sono_recorder *rec, const sono_op *op)
{
    sono_program *program = rec->program;
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (sono_alloc_grow((void **)&program->ops, &program->ops_capacity, program->n_ops + 1,
                        sizeof(sono_op)) != 0)
        return sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for the op list"));
    program->ops[program->n_ops] = *op;
    program->ops[program->n_ops].stage = rec->stage;
    program->ops[program->n_ops].lane = rec->lane;
    program->n_ops++;
    inherit_precision(program, op);
    return op->out[0];
}

static int same_map(const sono_tensor *a, const sono_tensor *b)
{
    return a->n == b->n && (int64_t)a->h * a->w == (int64_t)b->h * b->w && a->c == b->c;
}

/* A vector of c floats: [1, 1, 1, c]. */
static int is_vector(const sono_tensor *v, int32_t c)
{
    return v->n == 1 && v->h == 1 && v->w == 1 && v->c == c;
}

/* Latches a failure when an input that must be there is not (an earlier layer's 0 has latched already). */
static int inputs_given(sono_recorder *rec, const char *name, const sono_tid *in, int n_in)
{
    for (int i = 0; i < n_in && rec->status == SONO_STATUS_OK; i++)
        if (!in[i])
            RECORD_FAIL(rec, "%s: input %d is missing", name, i);
    return rec->status == SONO_STATUS_OK;
}

/* ---- frames ---- */

/* How many frames a header tensor describes; 0 when it is another tensor. */
static int32_t n_frames_in(const sono_tensor *header)
{
    const int is_header = header->dtype == SONO_DTYPE_U8 && header->h == 1 && header->w == 1 &&
                          header->c == (int32_t)sizeof(sono_frame_header) && is_dense(header);
    return is_header ? header->n : 0;
}

sono_tid sono_record_preprocess(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                const sono_preprocess_args *args)
{
    sono_op op = {.kind = SONO_OP_PREPROCESS, .in = {pixels, header}, .args.preprocess = *args};
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    if (args->width_px < 1 || args->height_px < 1 || args->max_width_px < 1 || args->max_height_px < 1)
        return RECORD_FAIL(rec, "%s: sizes must be positive", name);
    if (args->fit == SONO_FIT_LETTERBOX && args->width_px != args->height_px)
        return RECORD_FAIL(rec, "%s: a letterbox is square, not %d x %d", name, args->width_px,
                           args->height_px);
    const sono_tensor h = shape_of(rec, header);
    const int32_t n = n_frames_in(&h);
    if (!n || !is_dense(&rec->program->tensors[pixels]))
        return RECORD_FAIL(rec, "%s: pixels or headers do not fit", name);
    const int32_t n_channels = args->is_luma ? 1 : 3;
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, n, args->height_px, args->width_px, n_channels);
    op.flops = 4.0 * n_channels * n * args->width_px * args->height_px;
    return add_op(rec, &op);
}

/* ---- products ---- */

static int check_epilogue(sono_recorder *rec, const char *name, const sono_epilogue *epilogue,
                          sono_tid residual, const sono_tensor *y)
{
    const int adds = epilogue->add_before_act + epilogue->add_after_act;
    if (adds != (residual ? 1 : 0)) {
        RECORD_FAIL(rec, "%s: a residual and where to add it go together", name);
        return 0;
    }
    const sono_tensor r = shape_of(rec, residual);
    if (residual && !same_map(&r, y)) {
        RECORD_FAIL(rec, "%s: residual [%d, %d, %d, %d] for a result of [%d, %d, %d, %d]", name, r.n, r.h,
                    r.w, r.c, y->n, y->h, y->w, y->c);
        return 0;
    }
    return 1;
}

/* Shape of a convolution's result; latches when the kernel does not fit. */
static int conv_shape(sono_recorder *rec, const char *name, const sono_tensor *x, const sono_conv_args *a,
                      int32_t c_out, sono_tensor *y)
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
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = shape_of(rec, x), k = shape_of(rec, weight), b = shape_of(rec, bias);
    if (k.n != args->kernel_h || k.h != args->kernel_w || k.w != in.c || (bias && !is_vector(&b, k.c)))
        return RECORD_FAIL(rec, "%s: weight [%d, %d, %d, %d] for %d channels and a %d x %d kernel", name, k.n,
                           k.h, k.w, k.c, in.c, args->kernel_h, args->kernel_w);
    sono_tensor y;
    if (!conv_shape(rec, name, &in, args, k.c, &y) ||
        !check_epilogue(rec, name, &args->epilogue, residual, &y))
        return 0;
    if (args->kernel_h == 1 && args->kernel_w == 1 && args->stride == 1 && y.h == in.h && y.w == in.w)
        op.kind = SONO_OP_LINEAR;
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    op.flops = 2.0 * (double)sono_tensor_count(&y) * k.n * k.h * k.w;
    return add_op(rec, &op);
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
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = shape_of(rec, x), k = shape_of(rec, weight), b = shape_of(rec, bias);
    if (k.n != 1 || k.h != args->kernel_h || k.w != args->kernel_w || k.c != in.c ||
        (bias && !is_vector(&b, in.c)))
        return RECORD_FAIL(rec, "%s: depthwise weight [%d, %d, %d, %d] for %d channels and a %d x %d kernel",
                           name, k.n, k.h, k.w, k.c, in.c, args->kernel_h, args->kernel_w);
    sono_tensor y;
    if (!conv_shape(rec, name, &in, args, in.c, &y) ||
        !check_epilogue(rec, name, &args->epilogue, residual, &y))
        return 0;
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    op.flops = 2.0 * (double)sono_tensor_count(&y) * k.h * k.w;
    return add_op(rec, &op);
}

/* ---- maps ---- */

sono_tid sono_record_max_pool(sono_recorder *rec, const char *name, sono_tid x, const sono_pool_args *args,
                              sono_tid out)
{
    sono_op op = {.kind = SONO_OP_MAX_POOL, .in = {x}, .args.pool = *args};
    if (!inputs_given(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = shape_of(rec, x);
    const sono_conv_args as_conv = {.kernel_h = args->kernel,
                                    .kernel_w = args->kernel,
                                    .stride = args->stride,
                                    .pad_bottom = args->pad_bottom,
                                    .pad_right = args->pad_right};
    sono_tensor y;
    if (!conv_shape(rec, name, &in, &as_conv, in.c, &y))
        return 0;
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, y.n, y.h, y.w, y.c);
    return add_op(rec, &op);
}

sono_tid sono_record_upsample2(sono_recorder *rec, const char *name, sono_tid x, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_UPSAMPLE2, .in = {x}};
    if (!inputs_given(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = shape_of(rec, x);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, in.n, 2 * in.h, 2 * in.w, in.c);
    return add_op(rec, &op);
}

sono_tid sono_record_layer_norm(sono_recorder *rec, const char *name, sono_tid x, sono_tid gamma,
                                sono_tid beta, sono_tid residual, const sono_norm_args *args, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_LAYER_NORM, .in = {x, gamma, beta, residual}, .args.norm = *args};
    if (!inputs_given(rec, name, op.in, 3))
        return 0;
    const sono_tensor in = shape_of(rec, x), g = shape_of(rec, gamma), b = shape_of(rec, beta);
    const sono_tensor r = shape_of(rec, residual);
    if (!is_vector(&g, in.c) || !is_vector(&b, in.c) || (residual && !same_map(&r, &in)))
        return RECORD_FAIL(rec, "%s: gamma, beta or residual does not fit [%d, %d, %d, %d]", name, in.n, in.h,
                           in.w, in.c);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = 8.0 * (double)sono_tensor_count(&in);
    return add_op(rec, &op);
}

sono_tid sono_record_add(sono_recorder *rec, const char *name, sono_tid a, sono_tid b, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_ADD, .in = {a, b}};
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    const sono_tensor x = shape_of(rec, a);
    sono_tensor y = shape_of(rec, b);
    if (y.c == 1)
        y.c = x.c;
    if (!same_map(&x, &y))
        return RECORD_FAIL(rec, "%s: [%d, %d, %d, %d] + [%d, %d, %d, %d]", name, x.n, x.h, x.w, x.c, y.n, y.h,
                           y.w, y.c);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, x.n, x.h, x.w, x.c);
    op.flops = (double)sono_tensor_count(&x);
    return add_op(rec, &op);
}

sono_tid sono_record_scale_rows(sono_recorder *rec, const char *name, sono_tid x, sono_tid scale,
                                sono_tid out)
{
    sono_op op = {.kind = SONO_OP_SCALE_ROWS, .in = {x, scale}};
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    const sono_tensor in = shape_of(rec, x), s = shape_of(rec, scale);
    if (s.n != 1 || s.c != 1 || (int64_t)s.h * s.w != (int64_t)in.h * in.w)
        return RECORD_FAIL(rec, "%s: %d x %d scales for %d x %d positions", name, s.h, s.w, in.h, in.w);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = (double)sono_tensor_count(&in);
    return add_op(rec, &op);
}

sono_tid sono_record_unary(sono_recorder *rec, const char *name, sono_tid x, sono_unary_fn fn, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_UNARY, .in = {x}, .args.unary = {fn}};
    if (!inputs_given(rec, name, op.in, 1))
        return 0;
    const sono_tensor in = shape_of(rec, x);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, in.n, in.h, in.w, in.c);
    op.flops = 8.0 * (double)sono_tensor_count(&in);
    return add_op(rec, &op);
}

/* ---- attention ---- */

/* Keys a query sees, summed over all queries of one map: for the FLOP count. */
static double attention_pairs(const sono_tensor *q, const sono_tensor *k, int32_t window)
{
    const double n_q = (double)q->h * q->w;
    return window ? n_q * window * window : n_q * (double)k->h * k->w;
}

sono_tid sono_record_attention(sono_recorder *rec, const char *name, sono_tid q, sono_tid k, sono_tid v,
                               sono_tid bias, sono_tid pad_k, sono_tid pad_v, const sono_attention_args *args,
                               sono_tid out)
{
    sono_op op = {.kind = SONO_OP_ATTENTION, .in = {q, k, v, bias, pad_k, pad_v}, .args.attention = *args};
    if (!inputs_given(rec, name, op.in, 3))
        return 0;
    const sono_tensor tq = shape_of(rec, q), tk = shape_of(rec, k), tv = shape_of(rec, v);
    const sono_tensor b = shape_of(rec, bias), pk = shape_of(rec, pad_k), pv = shape_of(rec, pad_v);
    const int32_t c = args->n_heads * args->head_dim;
    if (args->n_heads < 1 || args->head_dim < 1 || tq.c != c || !same_map(&tk, &tv) || tk.c != c ||
        tk.n != tq.n)
        return RECORD_FAIL(rec, "%s: q, k, v do not fit %d heads of %d", name, args->n_heads, args->head_dim);
    if (args->window < 0 || (args->window && (tq.h != tk.h || tq.w != tk.w)))
        return RECORD_FAIL(rec, "%s: windows need q, k and v of one size", name);
    const int32_t w = args->window;
    if (bias && (!w || b.n != 1 || b.h != 1 || b.w != args->n_heads || b.c != w * w))
        return RECORD_FAIL(rec, "%s: bias table does not fit window %d", name, w);
    const int ragged = w && (tq.h % w || tq.w % w);
    if ((ragged && (!pad_k || !pad_v)) || (pad_k && !is_vector(&pk, c)) || (pad_v && !is_vector(&pv, c)))
        return RECORD_FAIL(rec, "%s: windows past the border need pad_k and pad_v of %d channels", name, c);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, tq.n, tq.h, tq.w, c);
    op.flops = 4.0 * tq.n * c * attention_pairs(&tq, &tk, w);
    return add_op(rec, &op);
}

sono_tid sono_record_deform(sono_recorder *rec, const char *name, sono_tid value, sono_tid offsets,
                            sono_tid logits, sono_tid boxes, const sono_deform_args *args, sono_tid out)
{
    sono_op op = {
        .kind = SONO_OP_DEFORM_ATTENTION, .in = {value, offsets, logits, boxes}, .args.deform = *args};
    if (!inputs_given(rec, name, op.in, 4))
        return 0;
    if (args->n_levels < 1 || args->n_levels > SONO_MAX_LEVELS)
        return RECORD_FAIL(rec, "%s: %d levels", name, args->n_levels);
    int64_t n_positions = 0;
    int32_t n_points = 0;
    for (int32_t i = 0; i < args->n_levels; i++) {
        n_positions += (int64_t)args->level_h[i] * args->level_w[i];
        n_points += args->level_points[i];
    }
    const sono_tensor v = shape_of(rec, value), o = shape_of(rec, offsets), l = shape_of(rec, logits);
    const sono_tensor b = shape_of(rec, boxes);
    const int32_t per_query = args->n_heads * n_points;
    if ((int64_t)v.h * v.w != n_positions || v.c != args->n_heads * args->head_dim || o.c != 2 * per_query ||
        l.c != per_query || b.c != 4 || o.w != b.w || l.w != b.w || o.n != v.n || l.n != v.n || b.n != v.n)
        return RECORD_FAIL(rec, "%s: value, offsets, logits and boxes do not fit together", name);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, b.n, b.h, b.w, v.c);
    op.flops = 10.0 * (double)b.n * b.h * b.w * n_points * v.c;
    return add_op(rec, &op);
}

sono_tid sono_record_gated_norm(sono_recorder *rec, const char *name, sono_tid gates, sono_tid x1,
                                sono_tid x2, sono_tid gamma, sono_tid beta, float eps, sono_tid out)
{
    sono_op op = {.kind = SONO_OP_GATED_NORM, .in = {gates, x1, x2, gamma, beta}, .args.norm = {.eps = eps}};
    if (!inputs_given(rec, name, op.in, 5))
        return 0;
    const sono_tensor g = shape_of(rec, gates), a = shape_of(rec, x1), b = shape_of(rec, x2);
    const sono_tensor ga = shape_of(rec, gamma), be = shape_of(rec, beta);
    if (!same_map(&a, &b) || g.c != 2 * a.c || g.w != a.w || g.h != a.h || g.n != a.n ||
        !is_vector(&ga, a.c) || !is_vector(&be, a.c))
        return RECORD_FAIL(rec, "%s: gates of %d channels for %d", name, g.c, a.c);
    op.out[0] = output_of(rec, name, out, SONO_DTYPE_F32, a.n, a.h, a.w, a.c);
    op.flops = 14.0 * (double)sono_tensor_count(&a);
    return add_op(rec, &op);
}

/* ---- detector's end ---- */

void sono_record_topk_rows(sono_recorder *rec, const char *name, sono_tid logits, sono_tid memory,
                           sono_tid anchors, int32_t k, sono_tid outs[3])
{
    sono_op op = {.kind = SONO_OP_TOPK_ROWS, .in = {logits, memory, anchors}, .args.topk = {k}};
    memset(outs, 0, 3 * sizeof *outs);
    if (!inputs_given(rec, name, op.in, 3))
        return;
    const sono_tensor l = shape_of(rec, logits), m = shape_of(rec, memory), a = shape_of(rec, anchors);
    const int64_t n_rows = (int64_t)l.h * l.w;
    if (k < 1 || k > n_rows || (int64_t)m.h * m.w != n_rows || (int64_t)a.h * a.w != n_rows || a.c != 4 ||
        m.n != l.n) {
        RECORD_FAIL(rec, "%s: the best %d of %lld rows", name, k, (long long)n_rows);
        return;
    }
    char path[96];
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, m.n, 1, k, m.c);
    snprintf(path, sizeof path, "%.80s.anchors", name);
    op.out[1] = output_of(rec, path, 0, SONO_DTYPE_F32, m.n, 1, k, 4);
    snprintf(path, sizeof path, "%.80s.indices", name);
    op.out[2] = output_of(rec, path, 0, SONO_DTYPE_I32, m.n, 1, k, 1);
    if (add_op(rec, &op))
        memcpy(outs, op.out, sizeof op.out);
}

static int bins_fit(const sono_tensor *corners, const sono_bins_args *args)
{
    return args->reg_max >= 1 && corners->c == 4 * (args->reg_max + 1);
}

sono_tid sono_record_fdr_box(sono_recorder *rec, const char *name, sono_tid corners, sono_tid boxes,
                             sono_tid project, const sono_bins_args *args)
{
    sono_op op = {.kind = SONO_OP_FDR_BOX, .in = {corners, boxes, project}, .args.bins = *args};
    if (!inputs_given(rec, name, op.in, 3))
        return 0;
    const sono_tensor c = shape_of(rec, corners), b = shape_of(rec, boxes), p = shape_of(rec, project);
    if (!bins_fit(&c, args) || b.c != 4 || b.w != c.w || b.n != c.n || !is_vector(&p, args->reg_max + 1))
        return RECORD_FAIL(rec, "%s: %d channels for %d bins", name, c.c, args->reg_max + 1);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, b.n, b.h, b.w, 4);
    op.flops = 6.0 * (double)sono_tensor_count(&c);
    return add_op(rec, &op);
}

sono_tid sono_record_lqe_stat(sono_recorder *rec, const char *name, sono_tid corners,
                              const sono_bins_args *args)
{
    sono_op op = {.kind = SONO_OP_LQE_STAT, .in = {corners}, .args.bins = *args};
    if (!inputs_given(rec, name, op.in, 1))
        return 0;
    const sono_tensor c = shape_of(rec, corners);
    if (!bins_fit(&c, args) || args->top_k < 1 || args->top_k > args->reg_max + 1)
        return RECORD_FAIL(rec, "%s: the best %d of %d bins in %d channels", name, args->top_k,
                           args->reg_max + 1, c.c);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, c.n, c.h, c.w, 4 * (args->top_k + 1));
    op.flops = 6.0 * (double)sono_tensor_count(&c);
    return add_op(rec, &op);
}

sono_tid sono_record_select(sono_recorder *rec, const char *name, sono_tid logits, sono_tid boxes,
                            sono_tid header, int32_t max_objects)
{
    sono_op op = {.kind = SONO_OP_SELECT_BOXES, .in = {logits, boxes, header}, .args.select = {max_objects}};
    if (!inputs_given(rec, name, op.in, 3))
        return 0;
    const sono_tensor l = shape_of(rec, logits), b = shape_of(rec, boxes), h = shape_of(rec, header);
    if (n_frames_in(&h) != l.n || b.n != l.n || b.c != 4 || l.w != b.w || max_objects < 1 ||
        max_objects > l.w)
        return RECORD_FAIL(rec, "%s: the best %d of %d queries of %d frames", name, max_objects, l.w, h.n);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, l.n, 1, max_objects, SONO_DETECTION_FLOATS);
    return add_op(rec, &op);
}

/* ---- segmenter's ends ---- */

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
    if (!inputs_given(rec, name, op.in, 5))
        return 0;
    const sono_tensor d = shape_of(rec, detections), g = shape_of(rec, gaussian);
    const sono_tensor e = shape_of(rec, embeddings), p = shape_of(rec, points);
    const sono_tensor t = shape_of(rec, tokens), h = shape_of(rec, header);
    const int points_fit = !points || (p.n == d.n && p.h == 1 && p.w % d.w == 0 && p.c == SONO_POINT_FLOATS);
    const int32_t n_rows = points_fit ? prompt_rows(e.w, points ? p.w / d.w : 0) : 0;
    if (n_frames_in(&h) != d.n || d.c != SONO_DETECTION_FLOATS || g.w != 2 || !n_rows || e.c != 2 * g.c ||
        t.c != e.c || t.n != 1)
        return RECORD_FAIL(
            rec, "%s: detections, header, gaussian, embeddings, tokens and points do not fit together", name);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, d.n * d.w, 1, t.w + n_rows, t.c);
    return add_op(rec, &op);
}

sono_tid sono_record_hyper_mask(sono_recorder *rec, const char *name, sono_tid up, sono_tid hyper)
{
    sono_op op = {.kind = SONO_OP_HYPER_MASK, .in = {up, hyper}};
    if (!inputs_given(rec, name, op.in, 2))
        return 0;
    const sono_tensor u = shape_of(rec, up), h = shape_of(rec, hyper);
    const int64_t n_rows = (int64_t)u.h * u.w;
    int32_t side = 4;
    while ((int64_t)side * side < n_rows)
        side += 4;
    if ((int64_t)side * side != n_rows || h.n != u.n || h.h != 1 || h.w != 1 || h.c != u.c)
        return RECORD_FAIL(rec, "%s: %lld rows are no square map of 4 x 4 cells", name, (long long)n_rows);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_F32, u.n, side, side, 1);
    op.flops = 2.0 * (double)sono_tensor_count(&u);
    return add_op(rec, &op);
}

static int segment_sizes_fit(sono_recorder *rec, const char *name, const sono_segment_args *args)
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

/* Bytes of a plane of the largest frame. */
static int32_t plane_bytes(const sono_segment_args *args)
{
    return (int32_t)map_bytes((int64_t)args->max_width_px * args->max_height_px, 1);
}

void sono_record_upsample_mask(sono_recorder *rec, const char *name, sono_tid logits, sono_tid detections,
                               sono_tid header, const sono_segment_args *args, int want_logits,
                               sono_tid outs[3])
{
    sono_op op = {.kind = SONO_OP_UPSAMPLE_MASK, .in = {logits, detections, header}, .args.segment = *args};
    memset(outs, 0, 3 * sizeof *outs);
    if (!inputs_given(rec, name, op.in, 3) || !segment_sizes_fit(rec, name, args))
        return;
    const sono_tensor l = shape_of(rec, logits), d = shape_of(rec, detections), h = shape_of(rec, header);
    if (l.c != 1 || l.h != l.w || d.c != SONO_DETECTION_FLOATS || n_frames_in(&h) != d.n ||
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
    op.out[1] = output_of(rec, path, 0, SONO_DTYPE_I32, l.n, 1, 1, 1);
    op.out[0] = output_of(rec, name, 0, SONO_DTYPE_U8, l.n, 1, n_planes, plane_bytes(args));
    if (n_planes > 1)
        op.out[0] = sono_view_rows(rec, op.out[0], 0, 1, 1);
    snprintf(path, sizeof path, "%.80s.logits", name);
    op.out[2] = want_logits ? output_of(rec, path, 0, SONO_DTYPE_F32, l.n, 1, 1, n_pixels) : 0;
    op.flops = 8.0 * l.n * n_pixels;
    if (add_op(rec, &op))
        memcpy(outs, op.out, sizeof op.out);
}

/* Whether a mask is the first plane of a tensor that has room for its weight maps. */
static int has_room_for_maps(const sono_recorder *rec, const sono_tensor *mask, const sono_segment_args *args)
{
    const sono_tensor root = shape_of(rec, mask->root);
    return args->map_element_bytes > 0 && mask->dtype == SONO_DTYPE_U8 && mask->offset == 0 && mask->h == 1 &&
           mask->w == 1 && mask->c == plane_bytes(args) && root.c == mask->c && root.n == mask->n &&
           root.h == 1 && root.w == 1 + 3 * args->map_element_bytes;
}

sono_tid sono_record_weight_maps(sono_recorder *rec, const char *name, sono_tid mask, sono_tid header,
                                 const sono_segment_args *args)
{
    sono_op op = {.kind = SONO_OP_WEIGHT_MAPS, .in = {mask, header}, .args.segment = *args};
    if (!inputs_given(rec, name, op.in, 2) || !segment_sizes_fit(rec, name, args))
        return 0;
    const sono_tensor m = shape_of(rec, mask), h = shape_of(rec, header);
    const int32_t n_frames = n_frames_in(&h), n_planes = 3 * args->map_element_bytes;
    if (!n_frames || m.n % n_frames || !has_room_for_maps(rec, &m, args) || args->edge_width_px < 1 ||
        args->outside_width_px < 1 || args->edge_width_px % 2 == 0 || args->outside_width_px % 2 == 0)
        return RECORD_FAIL(rec, "%s: mask, header or widths do not fit (widths are odd)", name);
    op.out[0] = output_of(rec, name, sono_view_rows(rec, m.root, 1, 1, n_planes), SONO_DTYPE_U8, m.n, 1,
                          n_planes, m.c);
    return add_op(rec, &op);
}
