// SPDX-License-Identifier: Apache-2.0
/* CONV and LINEAR against nested loops in double precision. `--bench`: the networks' shapes. */
#include "op_test.h"

typedef enum residual_kind { NO_RESIDUAL, BEFORE_ACT, AFTER_ACT, BROADCAST } residual_kind;

typedef struct conv_case {
    const char *label;
    int32_t n, h, w, c_in, c_out;
    sono_conv_args args; /* post_scale 0 stands for 1 */
    int32_t has_bias;
    residual_kind residual;
    sono_op_test_layout x_layout, y_layout, residual_layout;
} conv_case;

#define SQUARE(k, s, pad)                                                                                    \
    .kernel_h = (k), .kernel_w = (k), .stride = (s), .pad_top = (pad), .pad_left = (pad),                    \
    .pad_bottom = (pad), .pad_right = (pad)

/* clang-format off */
static const conv_case cases[] = {
    {"1x1, bias", 1, 5, 7, 16, 24, {SQUARE(1, 1, 0)}, .has_bias = 1},
    {"1x1 on one channel", 1, 3, 3, 1, 1, {SQUARE(1, 1, 0)}, .has_bias = 0},
    {"3x3 pad 1, relu", 1, 9, 11, 8, 12, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
    {"stem: 3 channels, stride 2", 1, 16, 18, 3, 32, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
    {"stem: 1 channel, stride 2", 2, 16, 18, 1, 32, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
    {"2x2, pad right and bottom", 1, 6, 5, 4, 8, {.kernel_h = 2, .kernel_w = 2, .stride = 1, .pad_bottom = 1, .pad_right = 1}, .has_bias = 1},
    {"2x2, pad left and top", 1, 6, 5, 4, 8, {.kernel_h = 2, .kernel_w = 2, .stride = 1, .pad_top = 1, .pad_left = 1}, .has_bias = 1},
    {"5x1 kernel", 1, 9, 4, 5, 6, {.kernel_h = 5, .kernel_w = 1, .stride = 1, .pad_top = 2, .pad_bottom = 2}, .has_bias = 0},
    {"1x1 stride 2", 2, 8, 6, 8, 4, {SQUARE(1, 2, 0)}, .has_bias = 1},
    {"1x1 with padding", 1, 3, 4, 8, 4, {SQUARE(1, 1, 1)}, .has_bias = 1},
    {"kernel as large as the map", 1, 7, 7, 3, 5, {SQUARE(7, 1, 0)}, .has_bias = 1},
    {"map smaller than the padding", 1, 1, 1, 6, 3, {SQUARE(5, 1, 2)}, .has_bias = 1},
    {"4 outputs", 1, 1, 300, 256, 4, {SQUARE(1, 1, 0)}, .has_bias = 1},
    {"1 output", 1, 1, 300, 64, 1, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_SIGMOID}, .has_bias = 1},
    {"n 3, silu", 3, 4, 5, 8, 8, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
    {"affine after gelu", 1, 4, 6, 8, 9, {SQUARE(1, 1, 0), .epilogue = {.act = SONO_ACT_GELU, .post_scale = 1.5f, .post_bias = -0.25f}}, .has_bias = 1},
    {"clamp", 1, 4, 6, 8, 9, {SQUARE(1, 1, 0), .epilogue.clamp = 0.5f}, .has_bias = 1},
    {"residual before relu", 1, 4, 6, 8, 17, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1, .residual = BEFORE_ACT},
    {"residual after gelu, affine, clamp", 2, 4, 6, 8, 33, {SQUARE(3, 1, 1), .epilogue = {.act = SONO_ACT_GELU, .post_scale = 0.7f, .post_bias = 0.1f, .clamp = 1.0f}}, .residual = AFTER_ACT},
    {"residual view", 2, 4, 6, 8, 16, {SQUARE(1, 1, 0)}, .has_bias = 1, .residual = AFTER_ACT, .residual_layout = {3, 5, 2, 1}},
    {"residual broadcast, linear", 3, 4, 6, 8, 16, {SQUARE(1, 1, 0)}, .has_bias = 1, .residual = BROADCAST},
    {"residual broadcast, conv", 3, 4, 6, 8, 16, {SQUARE(3, 1, 1)}, .residual = BROADCAST},
    {"channel view in", 2, 5, 5, 6, 10, {SQUARE(3, 1, 1)}, .has_bias = 1, .x_layout = {2, 3, 0, 0}},
    {"channel view out", 2, 5, 5, 6, 10, {SQUARE(3, 1, 1)}, .has_bias = 1, .y_layout = {4, 1, 0, 0}},
    {"row views", 2, 5, 4, 6, 10, {SQUARE(1, 1, 0)}, .has_bias = 1, .x_layout = {0, 0, 3, 2}, .y_layout = {0, 0, 7, 1}},
    {"all views", 3, 5, 4, 6, 10, {SQUARE(2, 1, 0)}, .has_bias = 1, .residual = BEFORE_ACT, .x_layout = {1, 2, 3, 2}, .y_layout = {5, 0, 0, 4}, .residual_layout = {0, 7, 1, 0}},
    {"many tasks, linear", 1, 50, 61, 16, 40, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1, .residual = AFTER_ACT},
    {"many tasks, conv", 2, 41, 43, 12, 20, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1, .residual = BEFORE_ACT},
    {"deep", 1, 6, 6, 256, 32, {SQUARE(3, 1, 1)}, .has_bias = 1},
    {"7 rows", 1, 1, 7, 256, 100, {SQUARE(1, 1, 0)}, .has_bias = 1, .residual = AFTER_ACT},
    {"7 rows, 2048 deep", 1, 1, 7, 2048, 19, {SQUARE(1, 1, 0)}, .has_bias = 1},
    {"10 rows in 2 maps", 2, 1, 5, 36, 24, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1,
     .residual = BROADCAST, .x_layout = {0, 0, 2, 1}, .y_layout = {8, 0, 0, 3}},
    {"300 rows, 1024 deep", 1, 1, 300, 1024, 36, {SQUARE(1, 1, 0)}, .has_bias = 1},
    {"aligned views, tails", 2, 13, 17, 72, 136, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_GELU},
     .has_bias = 1, .residual = BEFORE_ACT, .x_layout = {8, 16, 3, 2}, .y_layout = {16, 8, 1, 0},
     .residual_layout = {8, 0, 0, 2}},
    {"21 channels of 64", 1, 12, 11, 21, 21, {SQUARE(3, 1, 1)}, .has_bias = 1, .x_layout = {21, 22, 0, 0}},
    {"wide and flat", 1, 1, 40, 160, 480, {SQUARE(1, 1, 0)}, .has_bias = 1},
};
/* clang-format on */

static sono_conv_args completed(const conv_case *k)
{
    sono_conv_args args = k->args;
    if (args.epilogue.post_scale == 0)
        args.epilogue.post_scale = 1;
    args.epilogue.add_before_act = k->residual == BEFORE_ACT || k->residual == BROADCAST;
    args.epilogue.add_after_act = k->residual == AFTER_ACT;
    return args;
}

typedef struct recorded {
    sono_tid x, weight, bias, residual, y;
    int32_t h, w;
} recorded;

static recorded record(sono_op_test *t, const conv_case *k)
{
    const sono_conv_args args = completed(k);
    recorded r = {0};
    r.h = (k->h + args.pad_top + args.pad_bottom - args.kernel_h) / args.stride + 1;
    r.w = (k->w + args.pad_left + args.pad_right - args.kernel_w) / args.stride + 1;
    r.x = sono_op_test_input(t, k->n, k->h, k->w, k->c_in, &k->x_layout);
    r.weight = sono_op_test_param(t, args.kernel_h, args.kernel_w, k->c_in, k->c_out, 0.5);
    if (k->has_bias)
        r.bias = sono_op_test_param(t, 1, 1, 1, k->c_out, 1);
    if (k->residual == BROADCAST)
        r.residual = sono_view_broadcast(&t->rec, sono_op_test_input(t, 1, r.h, r.w, k->c_out, NULL), k->n);
    else if (k->residual)
        r.residual = sono_op_test_input(t, k->n, r.h, r.w, k->c_out, &k->residual_layout);
    const sono_tid out = sono_op_test_output(t, k->n, r.h, r.w, k->c_out, &k->y_layout);
    r.y = sono_record_conv(&t->rec, k->label, r.x, r.weight, r.bias, r.residual, &args, out);
    sono_op_test_finish(t);
    return r;
}

static double sum_at(const sono_op_test *t, const conv_case *k, const recorded *r, int32_t n, int32_t oy,
                     int32_t ox, int32_t c)
{
    double sum = r->bias ? sono_op_test_at(t, r->bias, 0, 0, 0, c) : 0;
    for (int32_t ky = 0; ky < k->args.kernel_h; ky++)
        for (int32_t kx = 0; kx < k->args.kernel_w; kx++) {
            const int32_t y = oy * k->args.stride - k->args.pad_top + ky;
            const int32_t x = ox * k->args.stride - k->args.pad_left + kx;
            if (y < 0 || y >= k->h || x < 0 || x >= k->w)
                continue;
            for (int32_t i = 0; i < k->c_in; i++)
                sum += sono_op_test_at(t, r->x, n, y, x, i) * sono_op_test_at(t, r->weight, ky, kx, i, c);
        }
    return sum;
}

static void check(const conv_case *k, uint64_t seed)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    const sono_conv_args args = completed(k);
    double *want = sono_op_test_want(&t, r.y, sono_op_test_tolerance(t.program->ops[0].kind));
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t y = 0; y < r.h; y++)
            for (int32_t x = 0; x < r.w; x++)
                for (int32_t c = 0; c < k->c_out; c++) {
                    const double residual = r.residual ? sono_op_test_at(&t, r.residual, n, y, x, c) : 0;
                    *want++ = sono_op_test_epilogue(&args.epilogue, sum_at(&t, k, &r, n, y, x, c), residual);
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
    sono_op_test_open(&r, 7);
    for (int i = 0; i < 40; i++) {
        conv_case k = {.label = "random", .n = sono_op_test_int(&r, 1, 3), .h = sono_op_test_int(&r, 1, 12)};
        k.w = sono_op_test_int(&r, 1, 12);
        k.c_in = sono_op_test_int(&r, 1, 20);
        k.c_out = sono_op_test_int(&r, 1, 40);
        k.args.kernel_h = sono_op_test_int(&r, 1, k.h < 4 ? k.h : 4);
        k.args.kernel_w = sono_op_test_int(&r, 1, k.w < 4 ? k.w : 4);
        k.args.stride = sono_op_test_int(&r, 1, 3);
        k.args.pad_top = sono_op_test_int(&r, 0, 2);
        k.args.pad_left = sono_op_test_int(&r, 0, 2);
        k.args.pad_bottom = sono_op_test_int(&r, 0, 2);
        k.args.pad_right = sono_op_test_int(&r, 0, 2);
        k.args.epilogue.act = (sono_act)sono_op_test_int(&r, 0, SONO_ACT_SIGMOID);
        k.has_bias = sono_op_test_int(&r, 0, 1);
        k.residual = (residual_kind)sono_op_test_int(&r, 0, 3);
        k.x_layout.channels_before = sono_op_test_int(&r, 0, 3);
        k.y_layout.channels_after = sono_op_test_int(&r, 0, 3);
        k.y_layout.rows_before = sono_op_test_int(&r, 0, 3);
        check(&k, 1000 + (uint64_t)i);
    }
    sono_op_test_close(&r);
}

static int bench(void)
{
    /* clang-format off */
    static const conv_case shapes[] = {
        {"TinyViT stem 1024^2 x3 -> 512^2 x32 s2", 1, 1024, 1024, 3, 32, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT stem 512^2 x32 -> 256^2 x64 s2", 1, 512, 512, 32, 64, {SQUARE(3, 2, 1)}, .has_bias = 1},
        {"TinyViT MBConv 256^2 64 -> 256 gelu", 1, 256, 256, 64, 256, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT MBConv 256^2 256 -> 64 + res, gelu", 1, 256, 256, 256, 64, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1, .residual = BEFORE_ACT},
        {"TinyViT qkv 128^2 128 -> 384", 1, 128, 128, 128, 384, {SQUARE(1, 1, 0)}, .has_bias = 1},
        {"TinyViT fc1 128^2 128 -> 512 gelu", 1, 128, 128, 128, 512, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT fc2 128^2 512 -> 128 + res", 1, 128, 128, 512, 128, {SQUARE(1, 1, 0)}, .has_bias = 1, .residual = AFTER_ACT},
        {"TinyViT fc1 64^2 160 -> 640 gelu", 1, 64, 64, 160, 640, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT fc2 64^2 640 -> 160 + res", 1, 64, 64, 640, 160, {SQUARE(1, 1, 0)}, .has_bias = 1, .residual = AFTER_ACT},
        {"TinyViT fc1 64^2 320 -> 1280 gelu", 1, 64, 64, 320, 1280, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_GELU}, .has_bias = 1},
        {"TinyViT neck 3x3 64^2 256 -> 256", 1, 64, 64, 256, 256, {SQUARE(3, 1, 1)}, .has_bias = 0},
        {"D-FINE stem 640^2 x3 -> 320^2 x16 s2", 1, 640, 640, 3, 16, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE stem 2x2 320^2 16 -> 8", 1, 320, 320, 16, 8, {.kernel_h = 2, .kernel_w = 2, .stride = 1, .pad_bottom = 1, .pad_right = 1, .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE stem3 320^2 32 -> 16 s2", 1, 320, 320, 32, 16, {SQUARE(3, 2, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE 3x3 160^2 16 -> 16", 1, 160, 160, 16, 16, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE 3x3 80^2 64 -> 64 silu", 1, 80, 80, 64, 64, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
        {"D-FINE 3x3 40^2 128 -> 128 silu", 1, 40, 40, 128, 128, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
        {"D-FINE 3x3 20^2 128 -> 128 silu", 1, 20, 20, 128, 128, {SQUARE(3, 1, 1), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
        {"D-FINE 1x1 80^2 512 -> 256 silu", 1, 80, 80, 512, 256, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_SILU}, .has_bias = 1},
        {"D-FINE value 8400 256 -> 256", 1, 1, 8400, 256, 256, {SQUARE(1, 1, 0)}, .has_bias = 1},
        {"D-FINE decoder ffn 300 256 -> 1024 relu", 1, 1, 300, 256, 1024, {SQUARE(1, 1, 0), .epilogue.act = SONO_ACT_RELU}, .has_bias = 1},
        {"D-FINE score 8400 256 -> 1", 1, 1, 8400, 256, 1, {SQUARE(1, 1, 0)}, .has_bias = 1},
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
    return sono_test_run("ops/conv", tests, sizeof tests / sizeof tests[0]);
}
