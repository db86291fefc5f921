// SPDX-License-Identifier: Apache-2.0
/* TOPK_ROWS against a full stable sort. */
#include "op_test.h"

#include "base/alloc.h"

#include <math.h>

typedef struct sizes {
    int32_t n, n_tokens, n_classes, k, c;
    int n_levels; /* distinct logits: few make ties; 0 = any */
    int with_nan;
    int views;
} sizes;

/* A number before another: larger, or equal and earlier; NaN after every number. */
static int goes_before(double a, int32_t a_index, double b, int32_t b_index)
{
    if (isnan(a) != isnan(b))
        return isnan(b);
    if (!isnan(a) && a != b)
        return a > b;
    return a_index < b_index;
}

static double best_class(const sono_op_test *t, sono_tid logits, int32_t n, int32_t token, int32_t n_classes)
{
    double best = NAN;
    for (int32_t c = 0; c < n_classes; c++)
        best = fmax(best, sono_op_test_at(t, logits, n, 0, token, c));
    return best;
}

/* order[rank] = token */
static void sort_tokens(const sono_op_test *t, sono_tid logits, int32_t n, const sizes *s, int32_t *order)
{
    double *score = sono_alloc_array((size_t)s->n_tokens, sizeof *score);
    assert_non_null(score);
    for (int32_t i = 0; i < s->n_tokens; i++)
        score[i] = best_class(t, logits, n, i, s->n_classes);
    for (int32_t i = 0; i < s->n_tokens; i++) {
        int32_t rank = 0;
        for (int32_t j = 0; j < s->n_tokens; j++)
            rank += goes_before(score[j], j, score[i], i);
        order[rank] = i;
    }
    sono_free(score);
}

static void set_logits(sono_op_test *t, sono_tid logits, const sizes *s)
{
    for (int32_t n = 0; n < s->n; n++)
        for (int32_t i = 0; i < s->n_tokens; i++)
            for (int32_t c = 0; c < s->n_classes; c++) {
                float value = (float)sono_op_test_uniform(t, -9, 3);
                if (s->n_levels)
                    value = (float)sono_op_test_int(t, -s->n_levels, 0) *
                            (sono_op_test_int(t, 0, 1) ? 1.0f : -1.0f);
                if (s->with_nan && sono_op_test_int(t, 0, 2) == 0)
                    value = sono_op_test_int(t, 0, 1) ? NAN : -INFINITY;
                sono_op_test_set(t, logits, n, 0, i, c, value);
            }
}

/* In the networks logits and anchors are precise and memory is not; with views none is. */
static void check(const sizes *s, uint64_t seed)
{
    static const sono_op_test_layout layout = {.channels_before = 1, .channels_after = 2, .rows_before = 3};
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const sono_op_test_layout *beside = s->views ? &layout : NULL;
    const sono_tid memory = sono_op_test_input(&t, s->n, 1, s->n_tokens, s->c, beside);
    t.rec.precise = !s->views;
    const sono_tid logits = sono_op_test_input(&t, s->n, 1, s->n_tokens, s->n_classes, beside);
    const sono_tid anchors = sono_op_test_input(&t, 1, 1, s->n_tokens, 4, beside);
    sono_tid outs[3];
    set_logits(&t, logits, s);
    sono_record_topk_rows(&t.rec, "topk", logits, memory, anchors, s->k, outs);
    sono_op_test_finish(&t);
    double *want[3];
    for (int i = 0; i < 3; i++)
        want[i] = sono_op_test_want(&t, outs[i], 0);
    int32_t *order = sono_alloc_array((size_t)s->n_tokens, sizeof *order);
    assert_non_null(order);
    for (int32_t n = 0; n < s->n; n++) {
        sort_tokens(&t, logits, n, s, order);
        for (int32_t i = 0; i < s->k; i++) {
            for (int32_t c = 0; c < s->c; c++)
                *want[0]++ = sono_op_test_at(&t, memory, n, 0, order[i], c);
            for (int32_t c = 0; c < 4; c++)
                *want[1]++ = sono_op_test_at(&t, anchors, 0, 0, order[i], c);
            *want[2]++ = order[i];
        }
    }
    sono_op_test_run(&t);
    sono_free(order);
    sono_op_test_close(&t);
}

static void every_case_agrees(void **state)
{
    static const sizes cases[] = {
        {1, 1, 1, 1, 3, 0, 0, 0},      {1, 10, 1, 10, 4, 0, 0, 0},      {2, 333, 5, 40, 8, 0, 0, 1},
        {1, 500, 3, 300, 2, 2, 0, 0},  {1, 400, 1, 200, 2, 1, 0, 1},    {1, 200, 2, 200, 2, 3, 1, 0},
        {1, 100, 17, 100, 2, 9, 1, 0}, {1, 2100, 80, 300, 16, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i], 40 + i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_agrees)};
    if (sono_op_test_wants_bench(argc, argv)) {
        for (int32_t n_classes = 1; n_classes <= 80; n_classes += 79) {
            sono_op_test t;
            sono_tid outs[3];
            sono_op_test_open(&t, 3);
            const sono_tid memory = sono_op_test_input(&t, 1, 1, 8400, 256, NULL);
            t.rec.precise = 1;
            const sono_tid logits = sono_op_test_input(&t, 1, 1, 8400, n_classes, NULL);
            const sono_tid anchors = sono_op_test_input(&t, 1, 1, 8400, 4, NULL);
            sono_record_topk_rows(&t.rec, "topk", logits, memory, anchors, 300, outs);
            sono_op_test_finish(&t);
            sono_op_test_bench(&t,
                               n_classes == 1 ? "topk 300 of 8400, 1 class" : "topk 300 of 8400, 80 classes");
            sono_op_test_close(&t);
        }
        return 0;
    }
    return sono_test_run("ops/topk", tests, sizeof tests / sizeof tests[0]);
}
