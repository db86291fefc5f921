// SPDX-License-Identifier: Apache-2.0
/* DWCONV against nested loops in double precision. `--bench`: the networks' shapes. */
#include "op_test.h"

typedef struct dwconv_case {
    const char *label;
    int32_t n, h, w, c;
    sono_conv_args args; /* post_scale 0 stands for 1 */
    int32_t has_bias, has_residual;
    sono_op_test_layout x_layout, y_layout, residual_layout;
} dwconv_case;

#define SQUARE(k, s, pad)                                                                                    \
    .kernel_h = (k), .kernel_w = (k), .stride = (s), .pad_top = (pad), .pad_left = (pad),                    \
    .pad_bottom = (pad), .pad_right = (pad)

/* clang-format off */
static const dwconv_case cases[] = {
    {"3x3", 1, 7, 9, 32, {SQUARE(3, 1, 1)}, .has_bias = 1},
    {"3x3 stride 2", 1, 8, 9, 32, {SQUARE(3, 2, 1)}, .has_bias = 1},
    {"5x5", 1, 9, 11, 16, {SQUARE(5, 1, 2)}, .has_bias = 1},
    {"5x5 stride 2", 1, 12, 9, 16, {SQUARE(5, 2, 2)}, .has_bias = 0},
    {"3x3 without padding", 1, 6, 6, 8, {SQUARE(3, 1, 0)}, .has_bias = 1},
    {"wide: many segments", 1, 5, 67, 24, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
    {"wide, stride 2", 1, 6, 71, 24, {SQUARE(5, 2, 2), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
    {"odd channels", 2, 6, 8, 13, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
    {"1 channel", 1, 6, 8, 1, {SQUARE(3, 1, 1)}, .has_bias = 1},
    {"1x1 map", 1, 1, 1, 5, {SQUARE(5, 1, 2)}, .has_bias = 1},
    {"map narrower than the kernel", 1, 2, 3, 5, {SQUARE(5, 1, 2)}, .has_bias = 1},
    {"1x1 kernel", 1, 3, 4, 5, {SQUARE(1, 1, 0)}, .has_bias = 1},
    {"7x7, a size without a loop of its own", 1, 8, 9, 6, {SQUARE(7, 1, 3)}, .has_bias = 1},
    {"stride 3", 1, 8, 9, 6, {SQUARE(3, 3, 1)}, .has_bias = 1},
    {"3x1", 1, 8, 9, 6, {.kernel_h = 3, .kernel_w = 1, .stride = 1, .pad_top = 1, .pad_bottom = 1}, .has_bias = 1},
    {"pad right and bottom", 1, 6, 7, 6, {.kernel_h = 3, .kernel_w = 3, .stride = 2, .pad_bottom = 1, .pad_right = 1}, .has_bias = 1},
    {"pad 3 of a 3x3", 1, 3, 4, 6, {SQUARE(3, 1, 3)}, .has_bias = 1},
    {"views", 3, 6, 7, 10, {SQUARE(3, 1, 1)}, .has_bias = 1, .x_layout = {3, 2, 1, 5}, .y_layout = {0, 1, 4, 2}},
    {"large: strips of columns", 1, 131, 130, 66, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
    {"large, aligned views, affine, clamp", 2, 94, 81, 80, {SQUARE(3, 1, 1), .epilogue = {.act = SONO_ACT_RELU, .post_scale = 0.5f, .post_bias = -0.25f, .clamp = 1.5f}}, .has_bias = 0, .x_layout = {4, 8, 1, 2}, .y_layout = {8, 4, 3, 0}},
    {"large, padding of one side", 1, 129, 133, 68, {.kernel_h = 3, .kernel_w = 3, .stride = 1, .pad_top = 2, .pad_right = 3, .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
    {"residual before gelu", 2, 6, 7, 10, {SQUARE(3, 1, 1), .epilogue = {.act = SONO_ACT_GELU, .add_before_act = 1}}, .has_bias = 1, .has_residual = 1, .residual_layout = {1, 2, 3, 4}},
    {"residual after, affine, clamp", 1, 6, 7, 10, {SQUARE(5, 1, 2), .epilogue = {.act = SONO_ACT_RELU, .post_scale = 0.5f, .post_bias = 0.25f, .clamp = 1.5f, .add_after_act = 1}}, .has_bias = 0, .has_residual = 1},
};
/* clang-format on */

typedef struct recorded {
    sono_tid x, weight, bias, residual, y;
    int32_t h, w;
    sono_conv_args args;
} recorded;

static recorded record(sono_op_test *t, const dwconv_case *k)
{
    recorded r = {.args = k->args};
    if (r.args.epilogue.post_scale == 0)
        r.args.epilogue.post_scale = 1;
    r.h = (k->h + r.args.pad_top + r.args.pad_bottom - r.args.kernel_h) / r.args.stride + 1;
    r.w = (k->w + r.args.pad_left + r.args.pad_right - r.args.kernel_w) / r.args.stride + 1;
    r.x = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->x_layout);
    r.weight = sono_op_test_param(t, 1, r.args.kernel_h, r.args.kernel_w, k->c, 1);
    if (k->has_bias)
        r.bias = sono_op_test_param(t, 1, 1, 1, k->c, 1);
    if (k->has_residual)
        r.residual = sono_op_test_input(t, k->n, r.h, r.w, k->c, &k->residual_layout);
    const sono_tid out = sono_op_test_output(t, k->n, r.h, r.w, k->c, &k->y_layout);
    r.y = sono_record_dwconv(&t->rec, k->label, r.x, r.weight, r.bias, r.residual, &r.args, out);
    sono_op_test_finish(t);
    return r;
}

static double sum_at(const sono_op_test *t, const dwconv_case *k, const recorded *r, int32_t n, int32_t oy,
                     int32_t ox, int32_t c)
{
    double sum = r->bias ? sono_op_test_at(t, r->bias, 0, 0, 0, c) : 0;
    for (int32_t ky = 0; ky < k->args.kernel_h; ky++)
        for (int32_t kx = 0; kx < k->args.kernel_w; kx++) {
            const int32_t y = oy * k->args.stride - k->args.pad_top + ky;
            const int32_t x = ox * k->args.stride - k->args.pad_left + kx;
            if (y >= 0 && y < k->h && x >= 0 && x < k->w)
                sum += sono_op_test_at(t, r->x, n, y, x, c) * sono_op_test_at(t, r->weight, 0, ky, kx, c);
        }
    return sum;
}

static void check(const dwconv_case *k, uint64_t seed)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    double *want = sono_op_test_want(&t, r.y, sono_op_test_tolerance(SONO_OP_DWCONV));
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t y = 0; y < r.h; y++)
            for (int32_t x = 0; x < r.w; x++)
                for (int32_t c = 0; c < k->c; c++) {
                    const double residual = r.residual ? sono_op_test_at(&t, r.residual, n, y, x, c) : 0;
                    *want++ =
                        sono_op_test_epilogue(&r.args.epilogue, sum_at(&t, k, &r, n, y, x, c), residual);
                }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i], 100 + i);
}

static void test_random(void **state)
{
    (void)state;
    sono_op_test r;
    sono_op_test_open(&r, 11);
    for (int i = 0; i < 40; i++) {
        dwconv_case k = {
            .label = "random", .n = sono_op_test_int(&r, 1, 2), .c = sono_op_test_int(&r, 1, 70)};
        const int32_t kernel = sono_op_test_int(&r, 0, 1) ? 3 : 5;
        k.h = sono_op_test_int(&r, kernel, 14);
        k.w = sono_op_test_int(&r, kernel, 40);
        k.args.kernel_h = k.args.kernel_w = kernel;
        k.args.stride = sono_op_test_int(&r, 1, 2);
        k.args.pad_top = sono_op_test_int(&r, 0, kernel / 2);
        k.args.pad_left = sono_op_test_int(&r, 0, kernel / 2);
        k.args.pad_bottom = sono_op_test_int(&r, 0, kernel / 2);
        k.args.pad_right = sono_op_test_int(&r, 0, kernel / 2);
        k.args.epilogue.act = (sono_act)sono_op_test_int(&r, 0, SONO_ACT_SIGMOID);
        k.has_bias = sono_op_test_int(&r, 0, 1);
        k.x_layout.channels_before = sono_op_test_int(&r, 0, 3);
        k.y_layout.rows_before = sono_op_test_int(&r, 0, 3);
        check(&k, 1000 + (uint64_t)i);
    }
    sono_op_test_close(&r);
}

static int bench(void)
{
    /* clang-format off */
    static const dwconv_case shapes[] = {
        {"TinyViT MBConv 3x3 256^2 x256 gelu", 1, 256, 256, 256, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT merge 3x3 s2 256^2 x128 gelu", 1, 256, 256, 128, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT local 3x3 128^2 x128", 1, 128, 128, 128, {SQUARE(3, 1, 1)}, .has_bias = 1},
        {"TinyViT local 3x3 64^2 x160", 1, 64, 64, 160, {SQUARE(3, 1, 1)}, .has_bias = 1},
        {"D-FINE 5x5 40^2 x192 relu", 1, 40, 40, 192, {SQUARE(5, 1, 2), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE 3x3 s2 80^2 x256", 1, 80, 80, 256, {SQUARE(3, 2, 1)}, .has_bias = 1},
    };
    /* clang-format on */
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
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_random)};
    if (sono_op_test_wants_bench(argc, argv))
        return bench();
    return sono_test_run("ops/dwconv", tests, sizeof tests / sizeof tests[0]);
}
