// SPDX-License-Identifier: Apache-2.0
/* LAYER_NORM and GATED_NORM in double precision. `--bench`: the networks' shapes. */
#include "op_test.h"

#include <math.h>

typedef struct norm_case {
    const char *label;
    int32_t n, h, w, c;
    sono_norm_args args; /* eps 0 stands for 1e-5 */
    int32_t gated, has_residual;
    sono_op_test_layout x_layout, y_layout,
        other_layout; /* other: residual; x1 and gates of the gated norm */
    float shift;      /* added to x: a mean far from 0 */
    int32_t precise;  /* PRECISE_ flags */
} norm_case;

#define PRECISE_X     1 /* the gates of the gated norm; then the result is precise too */
#define PRECISE_OTHER 2
#define PRECISE_Y     4

/* clang-format off */
static const norm_case cases[] = {
    {"128 channels", 1, 5, 7, 128, .shift = 0},
    {"odd channels", 1, 5, 7, 77, .shift = 0},
    {"1 channel", 1, 3, 3, 1, .shift = 0},
    {"n 3, gelu", 3, 4, 5, 64, {.act = SONO_ACT_GELU}, .shift = 0},
    {"relu", 1, 4, 5, 33, {.act = SONO_ACT_RELU}, .shift = 0},
    {"silu", 1, 4, 5, 33, {.act = SONO_ACT_SILU}, .shift = 0},
    {"sigmoid", 1, 4, 5, 33, {.act = SONO_ACT_SIGMOID}, .shift = 0},
    {"eps 1e-6", 1, 4, 5, 256, {.eps = 1e-6f}, .shift = 0},
    {"mean far from 0", 1, 4, 5, 256, .shift = 50},
    {"residual", 2, 4, 5, 96, .has_residual = 1, .other_layout = {2, 1, 3, 0}},
    {"residual, clamp", 2, 4, 5, 96, {.clamp = 1.0f}, .has_residual = 1},
    {"clamp", 2, 4, 5, 96, {.clamp = 0.75f}, .shift = 0},
    {"views", 2, 4, 5, 40, .x_layout = {3, 4, 1, 2}, .y_layout = {0, 7, 2, 0}},
    {"many tasks", 1, 31, 37, 48, .shift = 0},
    {"float32 from float16", 1, 4, 5, 128, .precise = PRECISE_Y},
    {"float32 plus float16", 1, 4, 5, 256, .has_residual = 1, .precise = PRECISE_X},
    {"float16 plus float32", 1, 4, 5, 77, .has_residual = 1, .precise = PRECISE_OTHER},
    {"all float32, mean far from 0", 1, 4, 5, 256, .has_residual = 1, .shift = 50, .precise = PRECISE_X | PRECISE_OTHER},
    {"gated", 1, 1, 30, 256, .gated = 1},
    {"gated, float32", 1, 1, 30, 256, .gated = 1, .precise = PRECISE_X | PRECISE_OTHER},
    {"gated, float32 gates", 1, 1, 30, 256, .gated = 1, .precise = PRECISE_X},
    {"gated, n 3, views", 3, 1, 10, 33, .gated = 1, .x_layout = {1, 2, 0, 3}, .y_layout = {2, 2, 1, 1}, .other_layout = {3, 0, 2, 0}},
};
/* clang-format on */

typedef struct recorded {
    sono_tid x, gamma, beta, residual, gates, x2, y;
    double eps;
} recorded;

static recorded record(sono_op_test *t, const norm_case *k)
{
    sono_norm_args args = k->args;
    if (args.eps == 0)
        args.eps = 1e-5f;
    recorded r = {.eps = (double)args.eps};
    t->rec.precise = !!(k->precise & (k->gated ? PRECISE_OTHER : PRECISE_X));
    r.x = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->x_layout);
    r.gamma = sono_op_test_param(t, 1, 1, 1, k->c, 1);
    r.beta = sono_op_test_param(t, 1, 1, 1, k->c, 1);
    t->rec.precise = !!(k->precise & PRECISE_Y);
    const sono_tid out = sono_op_test_output(t, k->n, k->h, k->w, k->c, &k->y_layout);
    if (k->gated) {
        t->rec.precise = !!(k->precise & PRECISE_X);
        r.gates = sono_op_test_input(t, k->n, k->h, k->w, 2 * k->c, &k->other_layout);
        t->rec.precise = !!(k->precise & PRECISE_OTHER);
        r.x2 = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->other_layout);
        r.y = sono_record_gated_norm(&t->rec, k->label, r.gates, r.x, r.x2, r.gamma, r.beta, args.eps, out);
    } else {
        t->rec.precise = !!(k->precise & PRECISE_OTHER);
        if (k->has_residual)
            r.residual = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->other_layout);
        r.y = sono_record_layer_norm(&t->rec, k->label, r.x, r.gamma, r.beta, r.residual, &args, out);
    }
    sono_op_test_finish(t);
    return r;
}

static double value_at(const sono_op_test *t, const norm_case *k, const recorded *r, int32_t n, int32_t p,
                       int32_t c)
{
    const double x = sono_op_test_at(t, r->x, n, 0, p, c);
    if (k->gated)
        return sono_op_test_act(SONO_ACT_SIGMOID, sono_op_test_at(t, r->gates, n, 0, p, c)) * x +
               sono_op_test_act(SONO_ACT_SIGMOID, sono_op_test_at(t, r->gates, n, 0, p, k->c + c)) *
                   sono_op_test_at(t, r->x2, n, 0, p, c);
    const double v = x + (r->residual ? sono_op_test_at(t, r->residual, n, 0, p, c) : 0),
                 limit = (double)k->args.clamp;
    return limit > 0 ? fmin(fmax(v, -limit), limit) : v;
}

static void want_row(const sono_op_test *t, const norm_case *k, const recorded *r, int32_t n, int32_t p,
                     double *row)
{
    double mean = 0, variance = 0;
    for (int32_t c = 0; c < k->c; c++)
        mean += (row[c] = value_at(t, k, r, n, p, c)) / k->c;
    for (int32_t c = 0; c < k->c; c++)
        variance += (row[c] - mean) * (row[c] - mean) / k->c;
    for (int32_t c = 0; c < k->c; c++)
        row[c] = sono_op_test_act(k->args.act, (row[c] - mean) / sqrt(variance + r->eps) *
                                                       sono_op_test_at(t, r->gamma, 0, 0, 0, c) +
                                                   sono_op_test_at(t, r->beta, 0, 0, 0, c));
}

static void check(const norm_case *k, uint64_t seed)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    for (int32_t i = 0; k->shift != 0 && i < k->h * k->w * k->c; i++) {
        const float x = (float)sono_op_test_at(&t, r.x, 0, 0, i / k->c, i % k->c);
        sono_op_test_set(&t, r.x, 0, 0, i / k->c, i % k->c, x + k->shift);
    }
    double *want = sono_op_test_want(
        &t, r.y, sono_op_test_tolerance(k->gated ? SONO_OP_GATED_NORM : SONO_OP_LAYER_NORM));
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t p = 0; p < k->h * k->w; p++, want += k->c)
            want_row(&t, k, &r, n, p, want);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i], 100 + i);
}

/* Equal values: variance 0, so that only eps keeps the division finite, and the result is beta. */
static void test_constant_row(void **state)
{
    (void)state;
    const norm_case k = {"constant", 1, 1, 2, 48, .shift = 0};
    sono_op_test t;
    sono_op_test_open(&t, 5);
    const recorded r = record(&t, &k);
    for (int32_t i = 0; i < 2 * k.c; i++)
        sono_op_test_set(&t, r.x, 0, 0, i / k.c, i % k.c, 3);
    double *want = sono_op_test_want(&t, r.y, 1e-7);
    for (int32_t i = 0; i < 2 * k.c; i++)
        want[i] = sono_op_test_at(&t, r.beta, 0, 0, 0, i % k.c);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static int bench(void)
{
    static const norm_case shapes[] = {
        {"TinyViT 16384 x 128", 1, 128, 128, 128, .shift = 0},
        {"TinyViT 4096 x 160", 1, 64, 64, 160, .shift = 0},
        {"TinyViT neck 4096 x 256", 1, 64, 64, 256, .shift = 0},
        {"decoder norm + gelu 16384 x 64", 1, 128, 128, 64, {.act = SONO_ACT_GELU}, .shift = 0},
        {"D-FINE 300 x 256 + residual", 1, 1, 300, 256, .has_residual = 1},
        {"D-FINE gated 300 x 256", 1, 1, 300, 256, .gated = 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        sono_op_test t;
        sono_op_test_open(&t, i);
        record(&t, &shapes[i]);
        sono_op_test_bench(&t, shapes[i].label);
        sono_op_test_close(&t);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                              cmocka_unit_test(test_constant_row)};
    if (sono_op_test_wants_bench(argc, argv))
        return bench();
    return sono_test_run("ops/norm", tests, sizeof tests / sizeof tests[0]);
}
