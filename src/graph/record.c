// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

#include "base/alloc.h"
#include "graph/params.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(sono_point_row) == SONO_POINT_FLOATS * sizeof(float), "a point is a row of floats");

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

sono_tensor sono_record_shape(const sono_recorder *rec, sono_tid tensor)
{
    return rec->program->tensors[tensor];
}

static sono_tid add_tensor(sono_recorder *rec, const sono_tensor *tensor)
{
    sono_program *program = rec->program;
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (sono_alloc_grow((void **)&program->tensors, &program->tensors_capacity, program->n_tensors + 1,
                        sizeof(sono_tensor)) != 0)
        return sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for the program"));
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

sono_tid sono_record_copy(sono_recorder *rec, const sono_tensor *tensor)
{
    return add_tensor(rec, tensor);
}

sono_tid sono_record_tensor(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                            int32_t w, int32_t c)
{
    return add_root(rec, name, SONO_TENSOR_ACTIVATION, dtype, n, h, w, c);
}

sono_tid sono_record_kept(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                          int32_t w, int32_t c)
{
    return add_root(rec, name, SONO_TENSOR_KEPT, dtype, n, h, w, c);
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

int sono_is_dense(const sono_tensor *x)
{
    return x->pitch == x->c && (x->n == 1 || x->batch_stride == (int64_t)x->h * x->w * x->c);
}

sono_tid sono_view_channels(sono_recorder *rec, sono_tid x, int32_t first, int32_t count)
{
    if (rec->status != SONO_STATUS_OK)
        return 0;
    sono_tensor view = sono_record_shape(rec, x);
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
    sono_tensor view = sono_record_shape(rec, x);
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
    sono_tensor view = sono_record_shape(rec, x);
    const int same_maps = view.n == n && view.c == c && (int64_t)view.h * view.w == (int64_t)h * w;
    if (sono_tensor_count(&view) != (int64_t)n * h * w * c || (!same_maps && !sono_is_dense(&view)))
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
    sono_tensor view = sono_record_shape(rec, x);
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
    sono_tensor view = sono_record_shape(rec, x);
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

sono_tid sono_record_target(sono_recorder *rec, const char *name, sono_tid out, sono_dtype dtype, int32_t n,
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
static void inherit_precision(sono_program *program, const sono_op *op, int32_t coarse)
{
    if (coarse || !program->tensors[program->tensors[op->in[0]].root].precise)
        return;
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        if (op->out[i])
            program->tensors[program->tensors[op->out[i]].root].precise = 1;
}

sono_tid sono_record_op(sono_recorder *rec, const sono_op *op)
{
    sono_program *program = rec->program;
    if (rec->status != SONO_STATUS_OK)
        return 0;
    if (sono_alloc_grow((void **)&program->ops, &program->ops_capacity, program->n_ops + 1,
                        sizeof(sono_op)) != 0)
        return sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "out of memory for the program"));
    program->ops[program->n_ops] = *op;
    program->ops[program->n_ops].stage = rec->stage;
    program->ops[program->n_ops].lane = rec->lane;
    program->ops[program->n_ops].strand = rec->strand;
    program->n_ops++;
    inherit_precision(program, op, rec->coarse);
    return op->out[0];
}

int sono_is_same_map(const sono_tensor *a, const sono_tensor *b)
{
    return a->n == b->n && (int64_t)a->h * a->w == (int64_t)b->h * b->w && a->c == b->c;
}

int sono_is_vector(const sono_tensor *v, int32_t c)
{
    return v->n == 1 && v->h == 1 && v->w == 1 && v->c == c;
}

int sono_record_needs(sono_recorder *rec, const char *name, const sono_tid *in, int n_in)
{
    for (int i = 0; i < n_in && rec->status == SONO_STATUS_OK; i++)
        if (!in[i])
            RECORD_FAIL(rec, "%s: input %d is missing", name, i);
    return rec->status == SONO_STATUS_OK;
}

int32_t sono_header_frames(const sono_tensor *header)
{
    const int is_header = header->dtype == SONO_DTYPE_U8 && header->h == 1 && header->w == 1 &&
                          header->c == (int32_t)sizeof(sono_frame_header) && sono_is_dense(header);
    return is_header ? header->n : 0;
}
