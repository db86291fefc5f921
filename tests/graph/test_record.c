// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "graph/record.h"
#include "test.h"

#include <string.h>

typedef struct fixture {
    sono_program *program;
    sono_recorder rec;
    sono_error error;
} fixture;

static void open_fixture(fixture *f)
{
    memset(f, 0, sizeof *f);
    assert_ok(sono_program_open(&f->program, &f->error), &f->error);
    sono_record_start(&f->rec, f->program, NULL, &f->error);
}

static int set_up(void **state)
{
    fixture *f = sono_alloc(sizeof *f);
    assert_non_null(f);
    open_fixture(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sono_program_close(f->program);
    sono_free(f);
    return 0;
}

static sono_tid input(fixture *f, int32_t n, int32_t h, int32_t w, int32_t c)
{
    return sono_record_input(&f->rec, "x", SONO_DTYPE_F32, n, h, w, c);
}

static sono_tid param(fixture *f, int32_t n, int32_t h, int32_t w, int32_t c)
{
    float *values;
    return sono_record_param(&f->rec, "p", n, h, w, c, &values);
}

static void assert_shape(const fixture *f, sono_tid id, int32_t n, int32_t h, int32_t w, int32_t c)
{
    const sono_tensor t = sono_record_shape(&f->rec, id);
    assert_ok(f->rec.status, &f->error);
    assert_true(id > 0);
    assert_int_equal(t.n, n);
    assert_int_equal(t.h, h);
    assert_int_equal(t.w, w);
    assert_int_equal(t.c, c);
}

static const sono_op *last_op(const fixture *f)
{
    assert_true(f->program->n_ops > 0);
    return &f->program->ops[f->program->n_ops - 1];
}

/* ---- tensors and views ---- */

static void test_tensors(void **state)
{
    fixture *f = *state;
    float *values = NULL;
    const sono_tid x = sono_record_tensor(&f->rec, "block.0", SONO_DTYPE_I32, 2, 3, 4, 5);
    const sono_tid p = sono_record_param(&f->rec, "weight", 1, 1, 2, 3, &values);
    assert_shape(f, x, 2, 3, 4, 5);
    const sono_tensor *t = sono_program_tensor(f->program, x);
    assert_int_equal(t->kind, SONO_TENSOR_ACTIVATION);
    assert_int_equal(t->dtype, SONO_DTYPE_I32);
    assert_int_equal(t->pitch, 5);
    assert_int_equal(t->batch_stride, 60);
    assert_int_equal(t->root, x);
    assert_int_equal(sono_tensor_count(t), 120);
    assert_non_null(values);
    for (int i = 0; i < 6; i++)
        assert_true(values[i] == 0);
    assert_int_equal(f->program->params_bytes, 24);
    assert_int_equal(sono_program_find(f->program, "weight"), p);
    assert_int_equal(sono_program_find(f->program, "block.1"), 0);
}

static void test_names_are_cut_not_overrun(void **state)
{
    fixture *f = *state;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const sono_tid x = sono_record_input(&f->rec, name, SONO_DTYPE_F32, 1, 1, 1, 1);
    assert_int_equal(strlen(sono_program_tensor(f->program, x)->name),
                     sizeof sono_program_tensor(f->program, x)->name - 1);
}

static void test_views_of_channels_and_rows(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_tensor(&f->rec, "x", SONO_DTYPE_F32, 2, 4, 6, 10);
    const sono_tid c = sono_view_channels(&f->rec, x, 3, 4);
    assert_shape(f, c, 2, 4, 6, 4);
    sono_tensor t = sono_record_shape(&f->rec, c);
    assert_int_equal(t.root, x);
    assert_int_equal(t.offset, 3);
    assert_int_equal(t.pitch, 10);
    assert_int_equal(t.batch_stride, 240);
    const sono_tid r = sono_view_rows(&f->rec, c, 5, 2, 3);
    assert_shape(f, r, 2, 2, 3, 4);
    t = sono_record_shape(&f->rec, r);
    assert_int_equal(t.root, x);
    assert_int_equal(t.offset, 53);
    assert_int_equal(t.pitch, 10);
    assert_int_equal(t.batch_stride, 240);
}

static void test_views_of_other_shape(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_tensor(&f->rec, "x", SONO_DTYPE_F32, 1, 8, 8, 12);
    const sono_tid up = sono_view_reshape(&f->rec, x, 1, 1, 256, 3);
    assert_shape(f, up, 1, 1, 256, 3);
    assert_int_equal(sono_record_shape(&f->rec, up).pitch, 3);
    const sono_tid maps = sono_view_reshape(&f->rec, x, 64, 1, 1, 12);
    assert_shape(f, maps, 64, 1, 1, 12);
    assert_int_equal(sono_record_shape(&f->rec, maps).batch_stride, 12);
    /* A view between others keeps its strides where only the map's sides change. */
    const sono_tid c = sono_view_channels(&f->rec, x, 4, 4);
    const sono_tid tokens = sono_view_reshape(&f->rec, c, 1, 1, 64, 4);
    assert_shape(f, tokens, 1, 1, 64, 4);
    assert_int_equal(sono_record_shape(&f->rec, tokens).pitch, 12);
    const sono_tid many = sono_view_broadcast(&f->rec, c, 5);
    assert_shape(f, many, 5, 8, 8, 4);
    assert_int_equal(sono_record_shape(&f->rec, many).batch_stride, 0);
    /* One vector at every position. */
    const sono_tid vector = sono_view_rows(&f->rec, c, 3, 1, 1);
    const sono_tid spread = sono_view_spread(&f->rec, vector, 2, 5, 6);
    assert_shape(f, spread, 2, 5, 6, 4);
    assert_int_equal(sono_record_shape(&f->rec, spread).pitch, 0);
    assert_int_equal(sono_record_shape(&f->rec, spread).batch_stride, 0);
    assert_shape(f, sono_record_add(&f->rec, "sum", input(f, 2, 5, 6, 4), spread, 0), 2, 5, 6, 4);
}

static void test_impossible_views(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        fixture f;
        open_fixture(&f);
        const sono_tid x = sono_record_tensor(&f.rec, "x", SONO_DTYPE_F32, 2, 4, 6, 10);
        const sono_tid c = sono_view_channels(&f.rec, x, 0, 5);
        assert_ok(f.rec.status, &f.error);
        sono_tid view = 1;
        switch (i) {
        case 0:
            view = sono_view_channels(&f.rec, x, 8, 3);
            break;
        case 1:
            view = sono_view_channels(&f.rec, x, -1, 3);
            break;
        case 2:
            view = sono_view_channels(&f.rec, x, 0, 0);
            break;
        case 3:
            view = sono_view_rows(&f.rec, x, 20, 1, 5);
            break;
        case 4:
            view = sono_view_rows(&f.rec, x, -1, 1, 1);
            break;
        case 5:
            view = sono_view_reshape(&f.rec, x, 2, 4, 6, 9);
            break;
        case 6:
            view = sono_view_reshape(&f.rec, c, 2, 1, 12, 10);
            break;
        case 7:
            view = sono_view_broadcast(&f.rec, x, 3);
            break;
        case 8:
            view = sono_view_broadcast(&f.rec, sono_view_rows(&f.rec, x, 0, 1, 1), 0);
            break;
        case 9:
            view = sono_view_spread(&f.rec, x, 1, 4, 6);
            break;
        case 10:
            view = sono_view_spread(&f.rec, param(&f, 1, 1, 1, 3), 1, 0, 6);
            break;
        case 11: /* written into: every position is the same one */
            view = sono_record_add(
                &f.rec, "sum", c, c,
                sono_view_spread(&f.rec, sono_record_tensor(&f.rec, "y", SONO_DTYPE_F32, 1, 1, 1, 5), 2, 4,
                                 6));
            break;
        }
        assert_int_equal(view, 0);
        assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_finish(&f.rec), &f.error);
        assert_true(f.error.text[0] != '\0');
        sono_program_close(f.program);
    }
}

static void test_impossible_shapes(void **state)
{
    (void)state;
    static const int32_t shapes[][4] = {
        {0, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, -3, 1}, {1, 1, 1, 0}, {1, 1 << 16, 1 << 16, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fixture f;
        open_fixture(&f);
        assert_int_equal(input(&f, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]), 0);
        assert_int_equal(sono_record_finish(&f.rec), SONO_STATUS_INVALID_ARGUMENT);
        sono_program_close(f.program);
    }
}

static void test_outputs_mark_the_root(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_tensor(&f->rec, "x", SONO_DTYPE_F32, 1, 2, 2, 8);
    sono_record_output(&f->rec, sono_view_channels(&f->rec, x, 0, 4));
    assert_int_equal(sono_program_tensor(f->program, x)->kind, SONO_TENSOR_OUTPUT);
}

/* ---- latching ---- */

static void test_the_first_failure_stays(void **state)
{
    fixture *f = *state;
    const sono_tid x = input(f, 1, 4, 4, 8);
    assert_int_equal(sono_record_upsample2(&f->rec, "first", 0, 0), 0);
    char text[sizeof f->error.text];
    memcpy(text, f->error.text, sizeof text);
    assert_non_null(strstr(text, "first"));
    const size_t n_tensors = f->program->n_tensors, n_ops = f->program->n_ops;
    float *values = (float *)&text;
    assert_int_equal(sono_record_upsample2(&f->rec, "second", x, 0), 0);
    assert_int_equal(sono_view_channels(&f->rec, x, 0, 100), 0);
    assert_int_equal(sono_record_param(&f->rec, "p", 1, 1, 1, 1, &values), 0);
    assert_null(values);
    sono_record_output(&f->rec, x);
    assert_int_equal(sono_record_latch(&f->rec, SONO_STATUS_IO), 0);
    assert_int_equal(f->program->n_tensors, n_tensors);
    assert_int_equal(f->program->n_ops, n_ops);
    assert_int_equal(sono_program_tensor(f->program, x)->kind, SONO_TENSOR_INPUT);
    assert_string_equal(f->error.text, text);
    assert_int_equal(sono_record_finish(&f->rec), SONO_STATUS_INVALID_ARGUMENT);
    assert_int_equal(sono_record_shape(&f->rec, 0).c, 0);
}

static void record_small_network(sono_recorder *rec)
{
    float *values;
    const sono_epilogue relu = sono_epilogue_act(SONO_ACT_RELU);
    sono_tid x = sono_record_input(rec, "x", SONO_DTYPE_F32, 1, 8, 8, 4);
    for (int i = 0; i < 12; i++) {
        const sono_tid w = sono_record_param(rec, "w", 1, 1, 4, 4, &values);
        const sono_tid y = sono_record_linear(rec, "linear", x, w, 0, 0, &relu, 0);
        x = sono_record_add(rec, "add", x, sono_view_channels(rec, y, 0, 4), 0);
    }
    sono_record_output(rec, x);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        sono_program *program = NULL;
        sono_recorder rec;
        sono_error error = {0};
        sono_alloc_fail_from(n);
        sono_status status = sono_program_open(&program, &error);
        if (status == SONO_STATUS_OK) {
            sono_record_start(&rec, program, NULL, &error);
            record_small_network(&rec);
            status = sono_record_finish(&rec);
        }
        sono_alloc_fail_from(0);
        sono_program_close(program);
        if (status == SONO_STATUS_OK) {
            assert_true(n > 12);
            return;
        }
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
    }
}

/* ---- products ---- */

static void test_convolution_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid x = input(f, 2, 9, 7, 3), w = param(f, 3, 3, 3, 16), b = param(f, 1, 1, 1, 16);
    f->rec.stage = SONO_STAGE_ENCODE;
    const sono_conv_args same = {3, 3, 1, 1, 1, 1, 1, sono_epilogue_none()};
    assert_shape(f, sono_record_conv(&f->rec, "same", x, w, b, 0, &same, 0), 2, 9, 7, 16);
    assert_int_equal(last_op(f)->kind, SONO_OP_CONV);
    assert_int_equal(last_op(f)->stage, SONO_STAGE_ENCODE);
    assert_true(last_op(f)->flops == 2.0 * 2 * 9 * 7 * 16 * 27);
    const sono_conv_args half = {3, 3, 2, 1, 1, 1, 1, sono_epilogue_act(SONO_ACT_GELU)};
    assert_shape(f, sono_record_conv(&f->rec, "half", x, w, 0, 0, &half, 0), 2, 5, 4, 16);
    const sono_conv_args right = {2, 2, 1, 0, 0, 1, 1, sono_epilogue_none()};
    assert_shape(f, sono_record_conv(&f->rec, "right", x, param(f, 2, 2, 3, 5), 0, 0, &right, 0), 2, 9, 7, 5);
    const sono_conv_args each = {3, 3, 2, 1, 1, 1, 1, sono_epilogue_none()};
    assert_shape(
        f, sono_record_dwconv(&f->rec, "each", x, param(f, 1, 3, 3, 3), param(f, 1, 1, 1, 3), 0, &each, 0), 2,
        5, 4, 3);
    assert_true(last_op(f)->flops == 2.0 * 2 * 5 * 4 * 3 * 9);
}

static void test_a_pointwise_convolution_is_linear(void **state)
{
    fixture *f = *state;
    const sono_tid x = input(f, 1, 8, 8, 4), w = param(f, 1, 1, 4, 6);
    const sono_conv_args one = {1, 1, 1, 0, 0, 0, 0, sono_epilogue_none()};
    const sono_conv_args strided = {1, 1, 2, 0, 0, 0, 0, sono_epilogue_none()};
    assert_shape(f, sono_record_conv(&f->rec, "one", x, w, 0, 0, &one, 0), 1, 8, 8, 6);
    assert_int_equal(last_op(f)->kind, SONO_OP_LINEAR);
    assert_shape(f, sono_record_conv(&f->rec, "strided", x, w, 0, 0, &strided, 0), 1, 4, 4, 6);
    assert_int_equal(last_op(f)->kind, SONO_OP_CONV);
}

static void test_given_outputs(void **state)
{
    fixture *f = *state;
    const sono_tid x = input(f, 1, 8, 8, 4), w = param(f, 1, 1, 4, 6);
    const sono_epilogue none = sono_epilogue_none();
    const sono_tid cat = sono_record_tensor(&f->rec, "cat", SONO_DTYPE_F32, 1, 8, 8, 16);
    const sono_tid slice = sono_view_channels(&f->rec, cat, 10, 6);
    assert_int_equal(sono_record_linear(&f->rec, "into", x, w, 0, 0, &none, slice), slice);
    assert_int_equal(last_op(f)->out[0], slice);
    assert_int_equal(sono_program_find(f->program, "into"), slice);
    assert_int_equal(sono_program_find(f->program, "cat"), cat);
}

/* Each case records one op that must be refused. */
static void record_bad_product(fixture *f, int i)
{
    const sono_tid x = input(f, 1, 8, 8, 4), w = param(f, 1, 1, 4, 6), w3 = param(f, 3, 3, 4, 6);
    const sono_tid other = input(f, 1, 8, 8, 5), many = sono_view_broadcast(&f->rec, input(f, 1, 8, 8, 6), 3);
    const sono_epilogue none = sono_epilogue_none();
    sono_epilogue add = none;
    add.add_before_act = 1;
    sono_conv_args conv = {3, 3, 1, 0, 0, 0, 0, none};
    switch (i) {
    case 0:
        sono_record_linear(&f->rec, "bad", x, 0, 0, 0, &none, 0);
        break;
    case 1:
        sono_record_linear(&f->rec, "bad", 0, w, 0, 0, &none, 0);
        break;
    case 2:
        sono_record_linear(&f->rec, "bad", other, w, 0, 0, &none, 0);
        break;
    case 3:
        sono_record_linear(&f->rec, "bad", x, w, param(f, 1, 1, 1, 5), 0, &none, 0);
        break;
    case 4:
        sono_record_linear(&f->rec, "bad", x, w, 0, x, &add, 0);
        break;
    case 5:
        sono_record_linear(&f->rec, "bad", x, w, 0, 0, &add, 0);
        break;
    case 6:
        sono_record_linear(&f->rec, "bad", x, w, 0, input(f, 1, 8, 8, 6), &none, 0);
        break;
    case 7:
        sono_record_linear(&f->rec, "bad", x, w, 0, 0, &none, other);
        break;
    case 8:
        sono_record_linear(&f->rec, "bad", x, w, 0, 0, &none, param(f, 1, 8, 8, 6));
        break;
    case 9:
        sono_record_linear(&f->rec, "bad", input(f, 3, 8, 8, 4), w, 0, 0, &none, many);
        break;
    case 10:
        sono_record_conv(&f->rec, "bad", x, w, 0, 0, &conv, 0);
        break;
    case 11:
        sono_record_conv(&f->rec, "bad", input(f, 1, 2, 8, 4), w3, 0, 0, &conv, 0);
        break;
    case 12:
        conv.stride = 0;
        sono_record_conv(&f->rec, "bad", x, w3, 0, 0, &conv, 0);
        break;
    case 13:
        conv.pad_left = -1;
        sono_record_conv(&f->rec, "bad", x, w3, 0, 0, &conv, 0);
        break;
    case 14:
        sono_record_dwconv(&f->rec, "bad", x, param(f, 1, 3, 3, 5), 0, 0, &conv, 0);
        break;
    case 15:
        sono_record_dwconv(&f->rec, "bad", x, w3, 0, 0, &conv, 0);
        break;
    default:
        fail();
    }
}

static void test_bad_products(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        fixture f;
        open_fixture(&f);
        record_bad_product(&f, i);
        if (f.rec.status != SONO_STATUS_INVALID_ARGUMENT || !strstr(f.error.text, "bad"))
            fail_msg("case %d: %s: %s", i, sono_status_name(f.rec.status), f.error.text);
        assert_int_equal(f.program->n_ops, 0);
        sono_program_close(f.program);
    }
}

/* ---- maps and tokens ---- */

static void test_map_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid x = input(f, 1, 5, 6, 8), g = param(f, 1, 1, 1, 8);
    const sono_norm_args norm = {.eps = 1e-5f};
    const sono_pool_args pool = {2, 1, 1, 1};
    assert_shape(f, sono_record_max_pool(&f->rec, "pool", x, &pool, 0), 1, 5, 6, 8);
    assert_shape(f, sono_record_upsample2(&f->rec, "up", x, 0), 1, 10, 12, 8);
    assert_shape(f, sono_record_layer_norm(&f->rec, "norm", x, g, g, x, &norm, 0), 1, 5, 6, 8);
    assert_shape(f, sono_record_add(&f->rec, "add", x, input(f, 1, 1, 30, 8), 0), 1, 5, 6, 8);
    assert_shape(f, sono_record_add(&f->rec, "add1", x, input(f, 1, 5, 6, 1), 0), 1, 5, 6, 8);
    assert_shape(f, sono_record_scale_rows(&f->rec, "scale", x, param(f, 1, 5, 6, 1), 0), 1, 5, 6, 8);
    assert_shape(f, sono_record_unary(&f->rec, "unary", x, SONO_UNARY_GELU, 0), 1, 5, 6, 8);
    const sono_tid gates = input(f, 1, 5, 6, 16);
    assert_shape(f, sono_record_gated_norm(&f->rec, "gate", gates, x, x, g, g, 1e-5f, 0), 1, 5, 6, 8);
}

static void test_attention_shapes(void **state)
{
    fixture *f = *state;
    const sono_attention_args all = {2, 4, 0.5f, 0}, windows = {2, 4, 0.5f, 3};
    const sono_tid q = input(f, 3, 1, 7, 8), k = sono_view_broadcast(&f->rec, input(f, 1, 4, 5, 8), 3);
    assert_shape(f, sono_record_attention(&f->rec, "cross", q, k, k, 0, 0, 0, &all, 0), 3, 1, 7, 8);
    assert_true(last_op(f)->flops == 4.0 * 3 * 8 * 7 * 20);
    const sono_tid qkv = input(f, 1, 6, 9, 24);
    const sono_tid part[3] = {sono_view_channels(&f->rec, qkv, 0, 8), sono_view_channels(&f->rec, qkv, 8, 8),
                              sono_view_channels(&f->rec, qkv, 16, 8)};
    const sono_tid bias = param(f, 1, 1, 2, 9);
    assert_shape(f,
                 sono_record_attention(&f->rec, "even", part[0], part[1], part[2], bias, 0, 0, &windows, 0),
                 1, 6, 9, 8);
    const sono_tid ragged = input(f, 1, 7, 9, 8), pad = param(f, 1, 1, 1, 8);
    assert_shape(
        f, sono_record_attention(&f->rec, "ragged", ragged, ragged, ragged, bias, pad, pad, &windows, 0), 1,
        7, 9, 8);
}

static void record_bad_token_op(fixture *f, int i)
{
    const sono_tid x = input(f, 1, 7, 9, 8), g = param(f, 1, 1, 1, 8), bias = param(f, 1, 1, 2, 9);
    const sono_attention_args all = {2, 4, 1, 0}, windows = {2, 4, 1, 3}, three = {3, 4, 1, 0};
    const sono_norm_args norm = {.eps = 1e-5f};
    sono_tid outs[3];
    switch (i) {
    case 0:
        sono_record_attention(&f->rec, "bad", x, x, x, bias, g, 0, &windows, 0);
        break;
    case 1:
        sono_record_attention(&f->rec, "bad", x, x, x, param(f, 1, 1, 2, 7), g, g, &windows, 0);
        break;
    case 2:
        sono_record_attention(&f->rec, "bad", x, x, x, bias, 0, 0, &all, 0);
        break;
    case 3:
        sono_record_attention(&f->rec, "bad", x, x, x, 0, 0, 0, &three, 0);
        break;
    case 4:
        sono_record_attention(&f->rec, "bad", x, x, input(f, 1, 7, 8, 8), 0, 0, 0, &all, 0);
        break;
    case 5:
        sono_record_attention(&f->rec, "bad", x, x, 0, 0, 0, 0, &all, 0);
        break;
    case 6:
        sono_record_attention(&f->rec, "bad", input(f, 2, 7, 9, 8), x, x, 0, 0, 0, &all, 0);
        break;
    case 7:
        sono_record_layer_norm(&f->rec, "bad", x, g, param(f, 1, 1, 1, 7), 0, &norm, 0);
        break;
    case 8:
        sono_record_layer_norm(&f->rec, "bad", x, g, g, input(f, 1, 7, 9, 4), &norm, 0);
        break;
    case 9:
        sono_record_add(&f->rec, "bad", x, input(f, 1, 7, 9, 2), 0);
        break;
    case 10:
        sono_record_scale_rows(&f->rec, "bad", x, param(f, 1, 7, 8, 1), 0);
        break;
    case 11:
        sono_record_gated_norm(&f->rec, "bad", x, x, x, g, g, 1e-5f, 0);
        break;
    case 12:
        sono_record_topk_rows(&f->rec, "bad", x, x, param(f, 1, 1, 63, 4), 64, outs);
        break;
    case 13:
        sono_record_topk_rows(&f->rec, "bad", x, x, param(f, 1, 1, 62, 4), 5, outs);
        break;
    case 14:
        sono_record_upsample2(&f->rec, "bad", x, x);
        break;
    default:
        fail();
    }
}

static void test_bad_token_ops(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) {
        fixture f;
        open_fixture(&f);
        record_bad_token_op(&f, i);
        if (f.rec.status != SONO_STATUS_INVALID_ARGUMENT || !strstr(f.error.text, "bad"))
            fail_msg("case %d: %s: %s", i, sono_status_name(f.rec.status), f.error.text);
        assert_int_equal(f.program->n_ops, 0);
        sono_program_close(f.program);
    }
}

/* ---- detector's and segmenter's ends ---- */

static void test_detector_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid logits = input(f, 1, 1, 50, 3), memory = input(f, 1, 1, 50, 16);
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    sono_tid outs[3];
    sono_record_topk_rows(&f->rec, "topk", logits, memory, param(f, 1, 1, 50, 4), 10, outs);
    assert_shape(f, outs[0], 1, 1, 10, 16);
    assert_shape(f, outs[1], 1, 1, 10, 4);
    assert_shape(f, outs[2], 1, 1, 10, 1);
    assert_int_equal(sono_record_shape(&f->rec, outs[2]).dtype, SONO_DTYPE_I32);
    const sono_bins_args bins = {.reg_max = 32, .reg_scale = 4, .top_k = 4};
    const sono_tid corners = input(f, 1, 1, 10, 132);
    assert_shape(f, sono_record_fdr_box(&f->rec, "box", corners, outs[1], param(f, 1, 1, 1, 33), &bins), 1, 1,
                 10, 4);
    assert_shape(f, sono_record_lqe_stat(&f->rec, "lqe", corners, &bins), 1, 1, 10, 20);
    assert_shape(f, sono_record_select(&f->rec, "select", logits, input(f, 1, 1, 50, 4), header, 16, 0), 1, 1,
                 16, 8);
    const sono_deform_args deform = {.n_heads = 2,
                                     .head_dim = 8,
                                     .n_levels = 2,
                                     .level_h = {5, 5},
                                     .level_w = {6, 4},
                                     .level_points = {3, 2},
                                     .offset_scale = 0.5f};
    assert_shape(f,
                 sono_record_deform(&f->rec, "deform", memory, input(f, 1, 1, 10, 20), input(f, 1, 1, 10, 10),
                                    outs[1], &deform, 0),
                 1, 1, 10, 16);
}

static void test_segmenter_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 1, 1, 3, 8);
    const sono_segment_args args = {1024, 40, 30, 3, 5, 0, 0, 0};
    const sono_tid tokens = sono_record_prompt(&f->rec, "prompt", found, header, param(f, 1, 1, 2, 8),
                                               param(f, 1, 1, 2, 16), param(f, 1, 1, 5, 16), 0, &args);
    assert_shape(f, tokens, 3, 1, 7, 16);
    const sono_tid up = input(f, 3, 1, 4096, 16);
    const sono_tid low = sono_record_hyper_mask(&f->rec, "low", up, sono_view_rows(&f->rec, tokens, 1, 1, 1));
    assert_shape(f, low, 3, 64, 64, 1);
    const sono_segment_args odd = {1024, 41, 30, 3, 5, 0, 0, 0};
    sono_tid mask[3];
    sono_record_upsample_mask(&f->rec, "mask", low, found, header, &odd, 1, mask);
    assert_shape(f, mask[0], 3, 1, 1, 1232); /* the next multiple of 16 */
    assert_shape(f, mask[1], 3, 1, 1, 1);
    assert_shape(f, mask[2], 3, 1, 1, 1230);
    sono_record_upsample_mask(&f->rec, "mask", low, found, header, &odd, 0, mask);
    assert_int_equal(mask[2], 0);
}

/* Mask and weight maps of an object are planes of one tensor: 1 and 3 of bytes, or 1 and 12 for float32. */
static void test_weight_map_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 1, 1, 3, 8), low = input(f, 3, 64, 64, 1);
    for (int32_t element_bytes = 1; element_bytes <= 4; element_bytes += 3) {
        const sono_segment_args args = {1024, 40, 30, 3, 5, element_bytes, 0, 0};
        sono_tid mask[3];
        sono_record_upsample_mask(&f->rec, "mask", low, found, header, &args, 0, mask);
        assert_shape(f, mask[0], 3, 1, 1, 1200);
        const sono_tid root = sono_record_shape(&f->rec, mask[0]).root;
        assert_shape(f, root, 3, 1, 1 + 3 * element_bytes, 1200);
        const sono_tid maps = sono_record_weight_maps(&f->rec, "maps", mask[0], header, &args);
        assert_shape(f, maps, 3, 1, 3 * element_bytes, 1200);
        assert_int_equal(sono_record_shape(&f->rec, maps).root, root);
        assert_int_equal(sono_record_shape(&f->rec, maps).offset, 1200);
    }
}

/* Three frames: a header each, maps of one frame together. */
static void test_batch_shapes(void **state)
{
    fixture *f = *state;
    const sono_tid headers =
        sono_record_input(&f->rec, "headers", SONO_DTYPE_U8, 3, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid pixels = sono_record_input(&f->rec, "pixels", SONO_DTYPE_U8, 3, 1, 1, 4800);
    const sono_preprocess_args preprocess = {
        .fit = SONO_FIT_STRETCH, .width_px = 64, .height_px = 64, .max_width_px = 40, .max_height_px = 30};
    const sono_segment_args args = {1024, 40, 30, 3, 5, 1, 0, 0};
    sono_tid mask[3];
    assert_shape(f, sono_record_preprocess(&f->rec, "image", pixels, headers, &preprocess), 3, 64, 64, 3);
    const sono_tid found =
        sono_record_select(&f->rec, "found", input(f, 3, 1, 50, 2), input(f, 3, 1, 50, 4), headers, 2, 0);
    assert_shape(f, found, 3, 1, 2, 8);
    assert_shape(f,
                 sono_record_prompt(&f->rec, "prompt", found, headers, param(f, 1, 1, 2, 8),
                                    param(f, 1, 1, 2, 16), param(f, 1, 1, 5, 16), 0, &args),
                 6, 1, 7, 16);
    sono_record_upsample_mask(&f->rec, "mask", input(f, 6, 64, 64, 1), found, headers, &args, 0, mask);
    assert_shape(f, mask[0], 6, 1, 1, 1200);
    assert_shape(f, mask[1], 6, 1, 1, 1);
    assert_shape(f, sono_record_weight_maps(&f->rec, "maps", mask[0], headers, &args), 6, 1, 3, 1200);
}

static void record_bad_segmenter_op(fixture *f, int i)
{
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 1, 1, 3, 8), low = input(f, 3, 64, 64, 1);
    const sono_tid maps = sono_record_input(&f->rec, "maps", SONO_DTYPE_U8, 3, 1, 4, 1200);
    const sono_tid mask = sono_view_rows(&f->rec, maps, 0, 1, 1);
    const sono_tid hyper = input(f, 3, 1, 1, 16);
    const sono_segment_args args = {1024, 40, 30, 3, 5, 1, 0, 0}, even = {1024, 40, 30, 4, 5, 1, 0, 0},
                            huge = {1024, 1 << 20, 1 << 20, 3, 5, 1, 0, 0},
                            wide = {1024, 40, 30, 3, 5, 4, 0, 0}, half = {1024, 40, 30, 3, 5, 2, 0, 0},
                            none = {1024, 40, 30, 3, 5, 0, 0, 0};
    sono_tid outs[3];
    switch (i) {
    case 0:
        sono_record_prompt(&f->rec, "bad", found, header, param(f, 1, 1, 2, 7), param(f, 1, 1, 2, 16),
                           param(f, 1, 1, 5, 16), 0, &args);
        break;
    case 1:
        sono_record_hyper_mask(&f->rec, "bad", input(f, 3, 1, 4095, 16), hyper);
        break;
    case 2:
        sono_record_hyper_mask(&f->rec, "bad", input(f, 2, 1, 4096, 16), hyper);
        break;
    case 3:
        sono_record_upsample_mask(&f->rec, "bad", low, input(f, 1, 1, 2, 8), header, &args, 0, outs);
        break;
    case 4:
        sono_record_upsample_mask(&f->rec, "bad", low, found, header, &huge, 0, outs);
        break;
    case 5:
        sono_record_weight_maps(&f->rec, "bad", mask, header, &even);
        break;
    case 6:
        sono_record_weight_maps(&f->rec, "bad", low, header, &args);
        break;
    case 7:
        sono_record_select(&f->rec, "bad", input(f, 1, 1, 9, 1), input(f, 1, 1, 9, 4), header, 10, 0);
        break;
    case 8:
        assert_int_equal(sono_record_weight_maps(&f->rec, "bad", 0, header, &args), 0);
        break;
    case 9: /* two frames' boxes, one header */
        sono_record_select(&f->rec, "bad", input(f, 2, 1, 9, 1), input(f, 2, 1, 9, 4), header, 1, 0);
        break;
    case 10:
        sono_record_prompt(&f->rec, "bad", input(f, 2, 1, 3, 8), header, param(f, 1, 1, 2, 8),
                           param(f, 1, 1, 2, 16), param(f, 1, 1, 5, 16), 0, &args);
        break;
    case 11:
        sono_record_upsample_mask(&f->rec, "bad", low, input(f, 3, 1, 1, 8), header, &args, 0, outs);
        break;
    case 12: /* three masks of two frames */
        sono_record_weight_maps(
            &f->rec, "bad", mask,
            sono_record_input(&f->rec, "headers", SONO_DTYPE_U8, 2, 1, 1, (int32_t)sizeof(sono_frame_header)),
            &args);
        break;
    case 13: /* that is no header */
        sono_record_weight_maps(&f->rec, "bad", mask,
                                sono_record_input(&f->rec, "headers", SONO_DTYPE_U8, 1, 1, 1, 31), &args);
        break;
    case 14: /* no room for float32 */
        sono_record_weight_maps(&f->rec, "bad", mask, header, &wide);
        break;
    case 15: /* a map, not the mask */
        sono_record_weight_maps(&f->rec, "bad", sono_view_rows(&f->rec, maps, 1, 1, 1), header, &args);
        break;
    case 16:
        sono_record_upsample_mask(&f->rec, "bad", low, found, header, &half, 0, outs);
        break;
    case 17:
        sono_record_weight_maps(&f->rec, "bad", mask, header, &none);
        break;
    default:
        fail();
    }
}

/* No area, a share of more than all, a map for the mask, two frames' boxes. */
static void record_bad_clean_mask(fixture *f, int i)
{
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 1, 1, 3, 8), low = input(f, 3, 64, 64, 1);
    const sono_tid maps = sono_record_input(&f->rec, "maps", SONO_DTYPE_U8, 3, 1, 4, 1200);
    const sono_tid mask = sono_view_rows(&f->rec, maps, 0, 1, 1);
    const sono_tid area = sono_record_input(&f->rec, "area", SONO_DTYPE_I32, 3, 1, 1, 1);
    const sono_segment_args args = {1024, 40, 30, 3, 5, 1, i == 1 ? 1001 : 20, 0};
    sono_record_clean_mask(&f->rec, "bad", i == 2 ? sono_view_rows(&f->rec, maps, 1, 1, 1) : mask,
                           i == 0 ? low : area, i == 3 ? input(f, 2, 1, 3, 8) : found, header, &args);
}

/* No area, a share of more than all, a map for the mask, two frames' boxes, two frames' pixels. */
static void record_bad_bridge_mask(fixture *f, int i)
{
    const sono_tid header =
        sono_record_input(&f->rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 1, 1, 3, 8), low = input(f, 3, 64, 64, 1);
    const sono_tid maps = sono_record_input(&f->rec, "maps", SONO_DTYPE_U8, 3, 1, 4, 1200);
    const sono_tid pixels = sono_record_input(&f->rec, "pixels", SONO_DTYPE_U8, i == 4 ? 2 : 1, 1, 1, 4800);
    const sono_tid area = sono_record_input(&f->rec, "area", SONO_DTYPE_I32, 3, 1, 1, 1);
    const sono_segment_args args = {1024, 40, 30, 3, 5, 1, 0, i == 1 ? 1001 : 150};
    sono_record_bridge_mask(&f->rec, "bad", sono_view_rows(&f->rec, maps, i == 2, 1, 1), i == 0 ? low : area,
                            pixels, header, i == 3 ? input(f, 2, 1, 3, 8) : found, &args);
}

/* No mask, a map for the mask, pixels of two frames, three masks of two frames, a row too short. */
static void record_bad_surface(fixture *f, int i)
{
    const sono_tid header = sono_record_input(&f->rec, "header", SONO_DTYPE_U8, i == 3 ? 2 : 1, 1, 1,
                                              (int32_t)sizeof(sono_frame_header));
    const sono_tid maps = sono_record_input(&f->rec, "maps", SONO_DTYPE_U8, 3, 1, 4, 1200);
    const sono_tid pixels =
        sono_record_input(&f->rec, "pixels", SONO_DTYPE_U8, i > 1 && i < 4 ? 2 : 1, 1, 1, 4800);
    const sono_tid rows = sono_record_tensor(&f->rec, "rows", SONO_DTYPE_I32, 1, 1, 1, 1023);
    const sono_segment_args args = {1024, 40, 30, 3, 5, 1, 0, 0};
    sono_record_surface(&f->rec, "bad", pixels, header,
                        i == 0 ? 0 : sono_view_rows(&f->rec, maps, i == 1, 1, 1), &args, i == 4 ? rows : 0);
}

/* No echo, two frames' echo, half an agreement, no memory, a memory without a stream, an agreement without
 * one, a memory too short, an IoU a frame, one frame's header. */
static void record_bad_state(fixture *f, int i)
{
    const sono_machine_rules rules = {.mode = i == 4 || i == 5 ? SONO_STATE_BY_FRAME : SONO_STATE_BY_STREAM};
    const sono_tid found = input(f, 3, 1, 2, 8), iou = input(f, i == 7 ? 3 : 6, 1, 1, 4);
    const sono_tid header = sono_record_input(&f->rec, "header", SONO_DTYPE_U8, i == 8 ? 1 : 3, 1, 1,
                                              (int32_t)sizeof(sono_frame_header));
    const sono_tid echo = sono_record_input(&f->rec, "echo", SONO_DTYPE_I32, i == 1 ? 2 : 3, 1, 1, 16);
    const sono_tid agreement =
        sono_record_input(&f->rec, "agreement", SONO_DTYPE_I32, 3, 1, 1, i == 2 ? 4 : 8);
    const sono_tid memory = sono_record_kept(&f->rec, "memory", SONO_DTYPE_U8, 1, 1, 1, i == 6 ? 255 : 256);
    sono_record_state(&f->rec, "bad", found, iou, i == 0 ? 0 : echo, i == 4 ? 0 : agreement, header,
                      i == 3 || i == 5 ? 0 : memory, &rules, 0);
}

/* No logits, another number of boxes, one frame's header, as many rows as there are no queries for, rows too
 * short, a memory too short, a state without a stream. */
static void record_bad_follow(fixture *f, int i)
{
    const sono_machine_rules rules = {.mode = i == 6 ? SONO_STATE_BY_FRAME : SONO_STATE_BY_STREAM};
    const sono_tid logits = input(f, 3, 1, 9, 2), boxes = input(f, 3, 1, i == 1 ? 8 : 9, 4);
    const sono_tid header = sono_record_input(&f->rec, "header", SONO_DTYPE_U8, i == 2 ? 1 : 3, 1, 1,
                                              (int32_t)sizeof(sono_frame_header));
    const sono_tid found = input(f, 3, 1, i == 3 ? 10 : 2, i == 4 ? 7 : 8);
    const sono_tid followed = sono_record_kept(&f->rec, "followed", SONO_DTYPE_U8, 1, 1, 1, i == 5 ? 63 : 64);
    sono_record_follow(&f->rec, "bad", i == 0 ? 0 : logits, boxes, header, found, followed, &rules);
}

static void test_bad_follow(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        fixture f;
        open_fixture(&f);
        record_bad_follow(&f, i);
        if (f.rec.status != SONO_STATUS_INVALID_ARGUMENT || !strstr(f.error.text, "bad"))
            fail_msg("case %d: %s: %s", i, sono_status_name(f.rec.status), f.error.text);
        assert_int_equal(f.program->n_ops, 0);
        sono_program_close(f.program);
    }
}

static void test_bad_state(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        fixture f;
        open_fixture(&f);
        record_bad_state(&f, i);
        if (f.rec.status != SONO_STATUS_INVALID_ARGUMENT || !strstr(f.error.text, "bad"))
            fail_msg("case %d: %s: %s", i, sono_status_name(f.rec.status), f.error.text);
        assert_int_equal(f.program->n_ops, 0);
        sono_program_close(f.program);
    }
}

static void test_bad_segmenter_ops(void **state)
{
    (void)state;
    for (int i = 0; i < 18 + 4 + 5 + 5; i++) {
        fixture f;
        open_fixture(&f);
        if (i < 18)
            record_bad_segmenter_op(&f, i);
        else if (i < 22)
            record_bad_clean_mask(&f, i - 18);
        else if (i < 27)
            record_bad_bridge_mask(&f, i - 22);
        else
            record_bad_surface(&f, i - 27);
        if (f.rec.status != SONO_STATUS_INVALID_ARGUMENT || !strstr(f.error.text, "bad"))
            fail_msg("case %d: %s: %s", i, sono_status_name(f.rec.status), f.error.text);
        assert_int_equal(f.program->n_ops, 0);
        sono_program_close(f.program);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tensors),
        TEST(test_names_are_cut_not_overrun),
        TEST(test_views_of_channels_and_rows),
        TEST(test_views_of_other_shape),
        cmocka_unit_test(test_impossible_views),
        cmocka_unit_test(test_impossible_shapes),
        TEST(test_outputs_mark_the_root),
        TEST(test_the_first_failure_stays),
        cmocka_unit_test(test_every_allocation_may_fail),
        TEST(test_convolution_shapes),
        TEST(test_a_pointwise_convolution_is_linear),
        TEST(test_given_outputs),
        cmocka_unit_test(test_bad_products),
        TEST(test_map_shapes),
        TEST(test_attention_shapes),
        cmocka_unit_test(test_bad_token_ops),
        TEST(test_detector_shapes),
        TEST(test_segmenter_shapes),
        TEST(test_weight_map_shapes),
        TEST(test_batch_shapes),
        cmocka_unit_test(test_bad_follow),
        cmocka_unit_test(test_bad_state),
        cmocka_unit_test(test_bad_segmenter_ops),
    };
    return sono_test_run("program/record", tests, sizeof(tests) / sizeof(tests[0]));
}
