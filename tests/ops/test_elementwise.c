// SPDX-License-Identifier: Apache-2.0
/* ADD, SCALE_ROWS and UNARY in double precision. `--bench`: the networks' shapes. */
#include "op_test.h"

#include <math.h>

typedef struct elementwise_case {
    const char *label;
    sono_op_kind kind;
    int32_t n, h, w, c;
    sono_unary_fn fn;
    int32_t one_channel, broadcast; /* of b */
    sono_op_test_layout a_layout, b_layout, y_layout;
    int32_t precise; /* as boxes are */
} elementwise_case;

static const elementwise_case cases[] = {
    {"add", SONO_OP_ADD, 2, 5, 7, 16, .one_channel = 0},
    {"add one channel", SONO_OP_ADD, 2, 5, 7, 16, .one_channel = 1},
    {"add 1 x 1 x 1", SONO_OP_ADD, 1, 1, 1, 1, .one_channel = 0},
    {"add broadcast", SONO_OP_ADD, 3, 5, 7, 16, .broadcast = 1},
    {"add broadcast, one channel", SONO_OP_ADD, 3, 5, 7, 16, .one_channel = 1, .broadcast = 1},
    {"add views", SONO_OP_ADD, 2, 5, 7, 9, 0, 0, 0, {1, 2, 3, 4}, {5, 0, 1, 0}, {0, 3, 0, 6}, 0},
    {"add row views", SONO_OP_ADD, 2, 5, 7, 9, 0, 0, 0, {0, 0, 3, 4}, {0, 0, 1, 0}, {0, 0, 0, 6}, 0},
    {"add, many tasks", SONO_OP_ADD, 1, 50, 60, 40, .one_channel = 0},
    {"scale", SONO_OP_SCALE_ROWS, 1, 5, 7, 16, .one_channel = 1},
    {"scale, n 2", SONO_OP_SCALE_ROWS, 2, 5, 7, 16, .one_channel = 1, .broadcast = 1},
    {"scale views", SONO_OP_SCALE_ROWS, 1, 5, 7, 16, 0, 1, 0, {1, 2, 3, 4}, {5, 0, 1, 0}, {0, 3, 0, 6}, 0},
    {"gelu", SONO_OP_UNARY, 1, 5, 7, 16, SONO_UNARY_GELU, .one_channel = 0},
    {"gelu views", SONO_OP_UNARY, 2, 5, 7, 13, SONO_UNARY_GELU, 0, 0, {1, 2, 3, 4}, {0}, {0, 3, 0, 6}, 0},
    {"gelu, many tasks", SONO_OP_UNARY, 1, 50, 60, 40, SONO_UNARY_GELU, .one_channel = 0},
    {"inverse sigmoid", SONO_OP_UNARY, 1, 1, 300, 4, SONO_UNARY_INVERSE_SIGMOID, .precise = 1},
    {"inverse sigmoid views",
     SONO_OP_UNARY,
     2,
     1,
     30,
     4,
     SONO_UNARY_INVERSE_SIGMOID,
     0,
     0,
     {1, 2, 3, 4},
     {0},
     {0, 3, 0, 6},
     0},
};

typedef struct recorded {
    sono_tid a, b, y;
} recorded;

static recorded record(sono_op_test *t, const elementwise_case *k)
{
    t->rec.precise = k->precise;
    recorded r = {.a = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->a_layout)};
    const int32_t b_n = k->broadcast ? 1 : k->n, b_c = k->one_channel ? 1 : k->c;
    if (k->kind != SONO_OP_UNARY)
        r.b = sono_op_test_input(t, b_n, k->h, k->w, b_c, &k->b_layout);
    const sono_tid out = sono_op_test_output(t, k->n, k->h, k->w, k->c, &k->y_layout);
    if (k->kind == SONO_OP_UNARY)
        r.y = sono_record_unary(&t->rec, k->label, r.a, k->fn, out);
    else if (k->kind == SONO_OP_SCALE_ROWS)
        r.y = sono_record_scale_rows(&t->rec, k->label, r.a, r.b, out);
    else
        r.y = sono_record_add(&t->rec, k->label, r.a,
                              k->broadcast ? sono_view_broadcast(&t->rec, r.b, k->n) : r.b, out);
    sono_op_test_finish(t);
    return r;
}

static double inverse_sigmoid(double x)
{
    if (isnan(x))
        return x;
    const double p = fmin(fmax(x, 0), 1);
    return log(fmax(p, (double)1e-5f) / fmax(1 - p, (double)1e-5f));
}

static double want_at(const sono_op_test *t, const elementwise_case *k, const recorded *r, int32_t n,
                      int32_t p, int32_t c)
{
    const double a = sono_op_test_at(t, r->a, n, 0, p, c);
    if (k->kind == SONO_OP_UNARY)
        return k->fn == SONO_UNARY_GELU ? sono_op_test_act(SONO_ACT_GELU, a) : inverse_sigmoid(a);
    const double b = sono_op_test_at(t, r->b, k->broadcast ? 0 : n, 0, p, k->one_channel ? 0 : c);
    return k->kind == SONO_OP_ADD ? a + b : a * b;
}

/* `values` (may be NULL) replace the first elements of a. */
static void check(const elementwise_case *k, uint64_t seed, const float *values, int32_t n_values)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    for (int32_t i = 0; i < n_values; i++)
        sono_op_test_set(&t, r.a, 0, 0, i / k->c, i % k->c, values[i]);
    double *want = sono_op_test_want(&t, r.y, sono_op_test_tolerance(k->kind));
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t p = 0; p < k->h * k->w; p++)
            for (int32_t c = 0; c < k->c; c++)
                *want++ = want_at(&t, k, &r, n, p, c);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i], 100 + i, NULL, 0);
}

static void test_inverse_sigmoid_edges(void **state)
{
    (void)state;
    static const float values[] = {0,     1,         -1,        2,         0.5f,     1e-5f,
                                   1e-7f, 1 - 1e-5f, 1 - 1e-7f, -INFINITY, INFINITY, NAN};
    elementwise_case k = {"edges", SONO_OP_UNARY, 1, 1, 3, 4, SONO_UNARY_INVERSE_SIGMOID, .precise = 1};
    check(&k, 3, values, sizeof values / sizeof values[0]);
    k.precise = 0;
    check(&k, 4, values, sizeof values / sizeof values[0]);
}

/* A result that float16 does not reach ends at its largest finite number; what is no number stays so. With
 * one channel, and with vectors of them. */
static void test_beyond_float16(void **state)
{
    static const float values[16] = {60000, -60000, 65504, -65504, NAN, 1, -1, 0,
                                     60000, 60000,  60000, 60000,  NAN, 2, -2, 65472};
    (void)state;
    for (int32_t c = 8; c <= 9; c++) {
        const elementwise_case k = {"beyond", SONO_OP_ADD, 1, 1, 2, c, .one_channel = 0};
        sono_op_test t;
        sono_op_test_open(&t, 7);
        const recorded r = record(&t, &k);
        double *want = sono_op_test_want(&t, r.y, sono_op_test_tolerance(SONO_OP_ADD));
        for (int32_t i = 0; i < 2 * c; i++) {
            sono_op_test_set(&t, r.a, 0, 0, i / c, i % c, values[i % 16]);
            sono_op_test_set(&t, r.b, 0, 0, i / c, i % c, values[i % 16]);
            want[i] = 2 * sono_op_test_at(&t, r.a, 0, 0, i / c, i % c);
        }
        sono_op_test_run(&t);
        sono_op_test_close(&t);
    }
}

/* Every 1/8192 from -8 to 8, where both tails have long become 0 and x, and far beyond. */
static void test_gelu_everywhere(void **state)
{
    (void)state;
    static float values[131072 + 16];
    static const float far[] = {-1e3f, 1e3f, -1e30f, 1e30f, 0.0f, -0.0f, 1e-30f, NAN};
    const int32_t n_grid = 131072, n_far = sizeof far / sizeof far[0];
    for (int32_t i = 0; i < n_grid; i++)
        values[i] = (float)(i - n_grid / 2) / 8192;
    for (int32_t i = 0; i < n_far; i++)
        values[n_grid + i] = far[i];
    const elementwise_case k = {"everywhere", SONO_OP_UNARY,   1,           1, (n_grid + 16) / 16,
                                16,           SONO_UNARY_GELU, .precise = 1};
    sono_op_test t;
    sono_op_test_open(&t, 9);
    const recorded r = record(&t, &k);
    for (int32_t i = 0; i < n_grid + n_far; i++)
        sono_op_test_set(&t, r.a, 0, 0, i / k.c, i % k.c, fabsf(values[i]) > 100 ? 0 : values[i]);
    double *want = sono_op_test_want(&t, r.y, 1.5e-6 / 8);
    for (int32_t i = 0; i < n_grid + 16; i++)
        want[i] = sono_op_test_act(SONO_ACT_GELU, sono_op_test_at(&t, r.a, 0, 0, i / k.c, i % k.c));
    sono_op_test_run(&t);
    sono_op_test_close(&t);
    check(&k, 10, values + n_grid, n_far);
}

static int bench(void)
{
    static const elementwise_case shapes[] = {
        {"gelu 16.7 M", SONO_OP_UNARY, 1, 256, 256, 256, SONO_UNARY_GELU, .one_channel = 0},
        {"gelu 64 K (first-level cache, nearly)", SONO_OP_UNARY, 1, 16, 16, 256, SONO_UNARY_GELU,
         .one_channel = 0},
        {"add 4096 x 256", SONO_OP_ADD, 1, 64, 64, 256, .one_channel = 0},
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
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_inverse_sigmoid_edges),
        cmocka_unit_test(test_beyond_float16), cmocka_unit_test(test_gelu_everywhere)};
    if (sono_op_test_wants_bench(argc, argv))
        return bench();
    return sono_test_run("ops/elementwise", tests, sizeof tests / sizeof tests[0]);
}
