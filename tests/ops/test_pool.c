// SPDX-License-Identifier: Apache-2.0
/* MAX_POOL and UPSAMPLE2 against nested loops: exact. `--bench`: the networks' shapes. */
#include "op_test.h"

#include <math.h>

typedef struct pool_case {
    const char *label;
    int32_t n, h, w, c;
    sono_pool_args args; /* kernel 0: UPSAMPLE2 */
    sono_op_test_layout x_layout, y_layout;
    int32_t negative; /* all values below 0: padding must win */
} pool_case;

static const pool_case cases[] = {
    {"2x2 stride 1, pad right and bottom", 1, 5, 6, 8, {2, 1, 1, 1}, .negative = 0},
    {"the same below zero", 1, 5, 6, 8, {2, 1, 1, 1}, .negative = 1},
    {"2x2 stride 2", 2, 6, 8, 5, {2, 2, 0, 0}, .negative = 1},
    {"3x3 stride 2", 1, 9, 7, 5, {3, 2, 0, 0}, .negative = 0},
    {"pad bottom only", 1, 4, 4, 3, {2, 1, 1, 0}, .negative = 1},
    {"views", 3, 5, 6, 8, {2, 1, 1, 1}, {2, 3, 1, 4}, {1, 0, 0, 5}, 0},
    {"1x1 map", 1, 1, 1, 4, {2, 1, 1, 1}, .negative = 1},
    {"up", 1, 3, 5, 8, {0}, .negative = 0},
    {"up, n 3", 3, 4, 2, 7, {0}, .negative = 0},
    {"up, views", 2, 4, 3, 6, {0}, {1, 2, 3, 0}, {4, 5, 6, 7}, 0},
    {"up, many tasks", 1, 40, 30, 33, {0}, .negative = 0},
    {"pool, many tasks", 1, 60, 50, 17, {2, 1, 1, 1}, .negative = 0},
};

typedef struct recorded {
    sono_tid x, y;
    int32_t h, w;
} recorded;

static recorded record(sono_op_test *t, const pool_case *k)
{
    recorded r = {.h = 2 * k->h, .w = 2 * k->w};
    r.x = sono_op_test_input(t, k->n, k->h, k->w, k->c, &k->x_layout);
    if (k->args.kernel) {
        r.h = (k->h + k->args.pad_bottom - k->args.kernel) / k->args.stride + 1;
        r.w = (k->w + k->args.pad_right - k->args.kernel) / k->args.stride + 1;
    }
    const sono_tid out = sono_op_test_output(t, k->n, r.h, r.w, k->c, &k->y_layout);
    r.y = k->args.kernel ? sono_record_max_pool(&t->rec, k->label, r.x, &k->args, out)
                         : sono_record_upsample2(&t->rec, k->label, r.x, out);
    sono_op_test_finish(t);
    return r;
}

static double pooled(const sono_op_test *t, const pool_case *k, sono_tid x, int32_t n, int32_t oy, int32_t ox,
                     int32_t c)
{
    double largest = -HUGE_VAL;
    for (int32_t ky = 0; ky < k->args.kernel; ky++)
        for (int32_t kx = 0; kx < k->args.kernel; kx++) {
            const int32_t iy = oy * k->args.stride + ky, ix = ox * k->args.stride + kx;
            const double v = iy < k->h && ix < k->w ? sono_op_test_at(t, x, n, iy, ix, c) : 0;
            if (v > largest || isnan(v))
                largest = v;
            if (isnan(v))
                return v;
        }
    return largest;
}

static void check(const pool_case *k, uint64_t seed, int has_nan)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    for (int32_t n = 0; k->negative && n < k->n; n++)
        for (int32_t i = 0; i < k->h * k->w * k->c; i++)
            sono_op_test_set(&t, r.x, n, 0, i / k->c, i % k->c, (float)sono_op_test_uniform(&t, -2, -1));
    if (has_nan)
        sono_op_test_set(&t, r.x, 0, k->h / 2, k->w / 2, k->c - 1, NAN);
    double *want = sono_op_test_want(&t, r.y, 0);
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t y = 0; y < r.h; y++)
            for (int32_t x = 0; x < r.w; x++)
                for (int32_t c = 0; c < k->c; c++)
                    *want++ = k->args.kernel ? pooled(&t, k, r.x, n, y, x, c)
                                             : sono_op_test_at(&t, r.x, n, y / 2, x / 2, c);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i], 100 + i, 0);
        check(&cases[i], 200 + i, 1);
    }
}

static int bench(void)
{
    static const pool_case shapes[] = {
        {"D-FINE stem pool 2x2 320^2 x16", 1, 320, 320, 16, {2, 1, 1, 1}, .negative = 0},
        {"D-FINE up 40^2 x256", 1, 40, 40, 256, {0}, .negative = 0},
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
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    if (sono_op_test_wants_bench(argc, argv))
        return bench();
    return sono_test_run("ops/pool", tests, sizeof tests / sizeof tests[0]);
}
