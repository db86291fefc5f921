// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/*
 * Kernels that do several ops at once against the same ops one by one, on a GPU in float16: rows of a
 * detector's queries, rows of prompt tokens, an MBConv, norms with their products at odd sizes. Where the
 * device has no such kernel both are the same. With SONO_TEST_FEW, for tools that make kernels slow, each
 * kernel runs once on as little as it takes, and is compared with nothing.
 */
#include "base/alloc.h"
#include "engine/engine.h"
#include "graph/record.h"
#include "support/engine_fixture.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N       3 /* maps */
#define C       256
#define HEADS   8
#define BINS    33
#define QUERIES 37
#define FEW     17 /* queries: more than are tokens */
#define TOKENS  7
#define MAX_OUT 8

typedef struct recorded {
    sono_program *program;
    sono_recorder rec;
    sono_error error;
    uint32_t random;
    sono_tid in[8], out[MAX_OUT];
    int n_in, n_out;
} recorded;

static int are_few(void)
{
    return getenv("SONO_TEST_FEW") != NULL;
}

/* In [-1, 1), a multiple of 1/128: a half. */
static float draw(recorded *r)
{
    r->random = r->random * 1664525u + 1013904223u;
    return (float)(int32_t)(r->random >> 24) / 128.0f - 1.0f;
}

static void start(recorded *r)
{
    memset(r, 0, sizeof *r);
    r->random = 7;
    assert_ok(sono_program_open(&r->program, &r->error), &r->error);
    sono_record_start(&r->rec, r->program, NULL, &r->error);
    r->rec.precise = 1;
}

static sono_tid input(recorded *r, int32_t n, int32_t h, int32_t w, int32_t c)
{
    return r->in[r->n_in++] = sono_record_input(&r->rec, "in", SONO_DTYPE_F32, n, h, w, c);
}

static void output(recorded *r, sono_tid tensor)
{
    sono_record_output(&r->rec, tensor);
    r->out[r->n_out++] = tensor;
}

static sono_tid param(recorded *r, int32_t h, int32_t w, int32_t c_in, int32_t c, float size)
{
    float *values = NULL;
    const sono_tid id = sono_record_param(&r->rec, "param", h, w, c_in, c, &values);
    for (int64_t i = 0; values && i < (int64_t)h * w * c_in * c; i++)
        values[i] = draw(r) * size;
    return id;
}

static sono_tid linear(recorded *r, sono_tid x, int32_t c, sono_act act, sono_tid residual)
{
    sono_epilogue epilogue = sono_epilogue_act(act);
    const int32_t c_in = sono_record_shape(&r->rec, x).c;
    epilogue.add_before_act = residual != 0;
    return sono_record_linear(&r->rec, "linear", x, param(r, 1, 1, c_in, c, c_in > 64 ? 0.0625f : 0.25f),
                              param(r, 1, 1, 1, c, 0.5f), residual, &epilogue, 0);
}

static sono_tid norm(recorded *r, sono_tid x, sono_tid residual, float clamp, sono_tid out)
{
    const sono_norm_args args = {.eps = 1e-5f, .clamp = clamp};
    return sono_record_layer_norm(&r->rec, "norm", x, param(r, 1, 1, 1, C, 1), param(r, 1, 1, 1, C, 1),
                                  residual, &args, out);
}

static sono_engine *open_engine(recorded *r, const sono_engine_ops *cuda, int32_t unfused)
{
    const sono_engine_options options = {.precision = SONO_PRECISION_FP16, .unfused = unfused};
    sono_engine *engine = NULL;
    assert_ok(cuda->open(r->program, &options, &engine, &r->error), &r->error);
    return engine;
}

/* Runs on the same inputs, and returns the values of every output in turn. */
static float *run(recorded *r, const sono_engine_ops *cuda, int32_t unfused, size_t *n_values)
{
    sono_engine *engine = open_engine(r, cuda, unfused);
    size_t n = 0;
    for (int i = 0; i < r->n_out; i++)
        n += (size_t)sono_tensor_count(&r->program->tensors[r->out[i]]);
    float *values = sono_alloc_array(n, sizeof *values), *at = values;
    assert_non_null(values);
    r->random = 99;
    for (int i = 0; i < r->n_in; i++) {
        const size_t count = (size_t)sono_tensor_count(&r->program->tensors[r->in[i]]);
        float *given = sono_alloc_array(count, sizeof *given);
        assert_non_null(given);
        for (size_t k = 0; k < count; k++)
            given[k] = draw(r);
        assert_ok(cuda->inspect->write(engine, r->in[i], given, &r->error), &r->error);
        sono_free(given);
    }
    assert_ok(cuda->inspect->run(engine, 0, -1, &r->error), &r->error);
    for (int i = 0; i < r->n_out; i++) {
        assert_ok(cuda->inspect->read(engine, r->out[i], at, &r->error), &r->error);
        at += sono_tensor_count(&r->program->tensors[r->out[i]]);
    }
    cuda->close(engine);
    *n_values = n;
    return values;
}

static void compare(recorded *r, double tolerance)
{
    const sono_engine_ops *cuda = engine_named("cuda");
    size_t n = 0;
    assert_ok(sono_record_finish(&r->rec), &r->error);
    if (are_few()) {
        sono_free(run(r, cuda, 0, &n));
        sono_program_close(r->program);
        return;
    }
    float *want = run(r, cuda, 1, &n), *got = run(r, cuda, 0, &n), *again = run(r, cuda, 0, &n);
    size_t at = 0;
    assert_memory_equal(got, again, n * sizeof *got);
    for (int i = 0; i < r->n_out; i++) {
        const size_t count = (size_t)sono_tensor_count(&r->program->tensors[r->out[i]]);
        double largest = 1, worst = 0;
        for (size_t k = at; k < at + count; k++) {
            assert_false(isnan(got[k]) || isnan(want[k]));
            largest = fmax(largest, fabs((double)want[k]));
            worst = fmax(worst, fabs((double)got[k] - (double)want[k]));
        }
        if (worst > tolerance * largest)
            fail_msg("output %d differs by %g of %g", i, worst, largest);
        at += count;
    }
    sono_free(again);
    sono_free(got);
    sono_free(want);
    sono_program_close(r->program);
}

/* A layer of D-FINE's decoder, everything but its self-attention. */
static void test_queries(void **state)
{
    (void)state;
    recorded r;
    gpu_fixture_need();
    start(&r);
    const sono_deform_args deform = {.n_heads = HEADS,
                                     .head_dim = C / HEADS,
                                     .n_levels = 2,
                                     .level_h = {6, 3},
                                     .level_w = {5, 4},
                                     .level_points = {3, 4},
                                     .offset_scale = 0.5f};
    const sono_bins_args bins = {.reg_max = BINS - 1, .reg_scale = 4, .top_k = 4};
    const int32_t n_points = 7, n = are_few() ? 1 : N, queries = are_few() ? FEW : QUERIES;
    const sono_tid heads = input(&r, n, 1, queries, C), contents = input(&r, n, 1, queries, C);
    const sono_tid position = input(&r, n, 1, queries, C), boxes = input(&r, n, 1, queries, 4);
    const sono_tid image = input(&r, n, 1, 6 * 5 + 3 * 4, 32);
    r.rec.precise = 0;
    const sono_tid value = linear(&r, image, C, SONO_ACT_NONE, 0); /* stored as halves */
    r.rec.precise = 1;
    const sono_tid both = sono_record_tensor(&r.rec, "both", SONO_DTYPE_F32, n, 1, queries, 2 * C);
    const sono_tid attended = linear(&r, heads, C, SONO_ACT_NONE, 0);
    const sono_tid x1 = norm(&r, attended, contents, 0, sono_view_channels(&r.rec, both, 0, C));
    const sono_tid query = sono_record_add(&r.rec, "query", x1, position, 0);
    const sono_tid where = linear(&r, query, 3 * HEADS * n_points, SONO_ACT_NONE, 0);
    const sono_tid x2 = sono_record_deform(
        &r.rec, "deform", value, sono_view_channels(&r.rec, where, 0, 2 * HEADS * n_points),
        sono_view_channels(&r.rec, where, 2 * HEADS * n_points, HEADS * n_points), boxes, &deform,
        sono_view_channels(&r.rec, both, C, C));
    const sono_tid gates = linear(&r, both, 2 * C, SONO_ACT_NONE, 0);
    const sono_tid gated = sono_record_gated_norm(&r.rec, "gated", gates, x1, x2, param(&r, 1, 1, 1, C, 1),
                                                  param(&r, 1, 1, 1, C, 1), 1e-5f, 0);
    const sono_tid hidden = linear(&r, gated, 4 * C, SONO_ACT_RELU, 0);
    const sono_tid fed = norm(&r, linear(&r, hidden, C, SONO_ACT_NONE, 0), gated, 100, 0);
    const sono_tid corners = linear(&r, fed, 4 * BINS, SONO_ACT_NONE, 0);
    const sono_tid moved =
        sono_record_fdr_box(&r.rec, "boxes", corners, boxes, param(&r, 1, 1, 1, BINS, 1), &bins);
    const sono_tid place = linear(&r, moved, 2 * C, SONO_ACT_SILU, 0);
    const sono_tid stat = sono_record_lqe_stat(&r.rec, "stat", corners, &bins);
    const sono_tid quality = linear(&r, linear(&r, stat, 64, SONO_ACT_RELU, 0), 1, SONO_ACT_SIGMOID, 0);
    const sono_tid score = linear(&r, fed, 1, SONO_ACT_NONE, 0);
    output(&r, sono_record_add(&r.rec, "logits", score, quality, 0));
    output(&r, fed);
    output(&r, linear(&r, linear(&r, fed, 2 * C, SONO_ACT_SILU, 0), C / 2, SONO_ACT_NONE, 0));
    output(&r, moved);
    output(&r, linear(&r, place, C, SONO_ACT_GELU, fed));
    compare(&r, 2e-5);
}

/* A layer of the mask decoder's tokens, and a head on one of them. */
static void test_tokens(void **state)
{
    (void)state;
    recorded r;
    gpu_fixture_need();
    start(&r);
    const sono_attention_args attention = {HEADS, C / HEADS, 0.17f, 0};
    const int32_t n = are_few() ? 1 : N;
    const sono_tid tokens = input(&r, n, 1, TOKENS, C), pe = input(&r, n, 1, TOKENS, C);
    const sono_tid x = sono_record_add(&r.rec, "pe", tokens, pe, 0);
    const sono_tid qk = linear(&r, x, 2 * C, SONO_ACT_NONE, 0), v = linear(&r, tokens, C, SONO_ACT_NONE, 0);
    const sono_tid heads =
        sono_record_attention(&r.rec, "heads", sono_view_channels(&r.rec, qk, 0, C),
                              sono_view_channels(&r.rec, qk, C, C), v, 0, 0, 0, &attention, 0);
    const sono_tid one = norm(&r, linear(&r, heads, C, SONO_ACT_NONE, tokens), 0, 0, 0);
    const sono_tid hidden = linear(&r, one, 2048, SONO_ACT_RELU, 0);
    const sono_tid two = norm(&r, linear(&r, hidden, C, SONO_ACT_NONE, one), 0, 0, 0);
    const sono_tid third = sono_view_rows(&r.rec, two, 2, 1, 1);
    output(&r, linear(&r, linear(&r, third, C, SONO_ACT_RELU, 0), 4, SONO_ACT_NONE, 0));
    output(&r, two);
    compare(&r, 2e-5);
}

/* Two of them, one after the other, the map no multiple of a tile. */
static void test_mbconv(void **state)
{
    (void)state;
    recorded r;
    gpu_fixture_need();
    start(&r);
    sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), joined = gelu;
    joined.add_before_act = 1;
    const sono_tid image = input(&r, are_few() ? 1 : 2, are_few() ? 9 : 21, are_few() ? 17 : 35, 8);
    r.rec.precise = 0;
    sono_tid x = linear(&r, image, 64, SONO_ACT_NONE, 0);
    for (int i = 0; i < 2; i++) {
        const sono_conv_args filter = {.kernel_h = 3,
                                       .kernel_w = 3,
                                       .stride = 1,
                                       .pad_top = 1,
                                       .pad_left = 1,
                                       .pad_bottom = 1,
                                       .pad_right = 1,
                                       .epilogue = gelu};
        const sono_tid up = sono_record_linear(&r.rec, "up", x, param(&r, 1, 1, 64, 256, 0.125f),
                                               param(&r, 1, 1, 1, 256, 0.5f), 0, &gelu, 0);
        const sono_tid dw = sono_record_dwconv(&r.rec, "dw", up, param(&r, 1, 3, 3, 256, 0.25f),
                                               param(&r, 1, 1, 1, 256, 0.5f), 0, &filter, 0);
        x = sono_record_linear(&r.rec, "down", dw, param(&r, 1, 1, 256, 64, 0.0625f),
                               param(&r, 1, 1, 1, 64, 0.5f), x, &joined, 0);
    }
    output(&r, linear(&r, x, 8, SONO_ACT_NONE, 0));
    compare(&r, 2e-3);
}

/* A norm with the product behind it, then an MLP, twice, for each width; the rows no multiple of a tile. */
static void test_normed(void **state)
{
    static const int32_t widths[] = {128, 160, 320};
    const sono_norm_args args = {.eps = 1e-5f};
    sono_epilogue add = sono_epilogue_none();
    (void)state;
    gpu_fixture_need();
    add.add_after_act = 1;
    for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
        const int32_t c = widths[k], hidden = are_few() ? 128 : c * (k == 1 ? 2 : 4);
        recorded r;
        start(&r);
        const sono_tid image = are_few() ? input(&r, 1, 7, 13, 8) : input(&r, 2, 47, 91, 8);
        r.rec.precise = 0;
        sono_tid x = linear(&r, image, c, SONO_ACT_NONE, 0);
        for (int i = 0; i < (are_few() ? 1 : 2); i++) {
            const sono_tid one = sono_record_layer_norm(&r.rec, "norm", x, param(&r, 1, 1, 1, c, 1),
                                                        param(&r, 1, 1, 1, c, 1), 0, &args, 0);
            const sono_tid wide = linear(&r, one, are_few() ? c : 3 * c, SONO_ACT_NONE, 0);
            const sono_tid narrow = linear(&r, wide, c, SONO_ACT_NONE, x);
            const sono_tid two = sono_record_layer_norm(&r.rec, "norm", narrow, param(&r, 1, 1, 1, c, 1),
                                                        param(&r, 1, 1, 1, c, 1), 0, &args, 0);
            const sono_tid up = linear(&r, two, hidden, SONO_ACT_GELU, 0);
            x = sono_record_linear(&r.rec, "down", up, param(&r, 1, 1, hidden, c, 0.0625f),
                                   param(&r, 1, 1, 1, c, 0.5f), narrow, &add, 0);
        }
        output(&r, linear(&r, x, 8, SONO_ACT_NONE, 0));
        compare(&r, 2e-3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_queries), cmocka_unit_test(test_tokens),
                                       cmocka_unit_test(test_mbconv), cmocka_unit_test(test_normed)};
    return sono_test_run("gpu/fused", tests, sizeof tests / sizeof tests[0]);
}
