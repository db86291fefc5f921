// SPDX-License-Identifier: Apache-2.0
/* SELECT_BOXES: order, gate, clamping and values that are no numbers. */
#include "op_frame.h"

#include <math.h>

#define MAX_QUERIES 300

typedef struct candidate {
    double logit; /* of the best class; NaN when there is none */
    int32_t class_id, query;
} candidate;

static candidate best_class(const sono_op_test *t, sono_tid logits, int32_t q, int32_t n_classes)
{
    candidate best = {NAN, 0, q};
    for (int32_t c = 0; c < n_classes; c++) {
        const double logit = sono_op_test_at(t, logits, 0, 0, q, c);
        if (logit > best.logit || (isnan(best.logit) && !isnan(logit)))
            best = (candidate){logit, c, q};
    }
    return best;
}

static int goes_before(const candidate *a, const candidate *b)
{
    if (isnan(a->logit) != isnan(b->logit))
        return isnan(b->logit);
    if (!isnan(a->logit) && a->logit != b->logit)
        return a->logit > b->logit;
    return a->query < b->query;
}

static double clamped(double value, double high)
{
    return fmin(fmax(value, 0), high);
}

static void want_detection(const sono_op_test *t, sono_tid boxes, const candidate *c, int32_t width,
                           int32_t height, double threshold, double *out)
{
    const double score = isnan(c->logit) ? 0 : 1 / (1 + exp(-c->logit));
    double box[4], sum = 0;
    for (int i = 0; i < 4; i++) {
        box[i] = sono_op_test_at(t, boxes, 0, 0, c->query, i);
        sum += fabs(box[i]);
    }
    out[4] = score;
    out[5] = c->class_id;
    out[6] = c->query;
    out[7] = !isnan(c->logit) && score >= threshold && isfinite(sum);
    for (int i = 0; i < 4; i++) {
        const double size = i % 2 ? height : width, edge = box[i % 2] + (i < 2 ? -0.5 : 0.5) * box[2 + i % 2];
        out[i] = out[7] != 0 ? clamped(edge * size, size - 1) : 0;
    }
}

/* The op's answer for logits and boxes as they are now, by insertion into a sorted list. */
static void check(sono_op_test *t, sono_tid logits, sono_tid boxes, int32_t n_queries, int32_t n_classes,
                  int32_t k, int32_t width, int32_t height, float threshold)
{
    candidate sorted[MAX_QUERIES];
    const sono_tid header = op_frame_header(t, width, height, threshold);
    const sono_tid found = sono_record_select(&t->rec, "detections", logits, boxes, header, k, 0);
    sono_op_test_finish(t);
    for (int32_t q = 0; q < n_queries; q++) {
        const candidate c = best_class(t, logits, q, n_classes);
        int32_t at = q;
        for (; at > 0 && goes_before(&c, &sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = c;
    }
    double *want = sono_op_test_want(t, found, sono_op_test_tolerance(SONO_OP_SELECT_BOXES));
    for (int32_t i = 0; i < k; i++)
        want_detection(t, boxes, &sorted[i], width, height, threshold, want + 8 * i);
    sono_op_test_run(t);
    sono_op_test_close(t);
}

static void random_boxes(sono_op_test *t, sono_tid boxes, int32_t n_queries)
{
    for (int32_t q = 0; q < n_queries; q++)
        for (int32_t i = 0; i < 4; i++)
            sono_op_test_set(t, boxes, 0, 0, q, i, (float)sono_op_test_uniform(t, -0.2, 1.2));
}

static void random_ones_agree(void **state)
{
    static const struct {
        int32_t n_queries, n_classes, k, width, height;
        float threshold;
        int views;
    } cases[] = {
        {300, 1, 1, 422, 558, 0.3f, 0}, {300, 80, 16, 1920, 1200, 0.8f, 0}, {7, 3, 7, 1, 1, 0.5f, 1},
        {1, 1, 1, 640, 480, 0.0f, 0},   {50, 9, 4, 33, 4000, 1.0f, 1},
    };
    static const sono_op_test_layout layout = {.channels_before = 1, .channels_after = 2, .rows_before = 2};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sono_op_test_layout *beside = cases[i].views ? &layout : NULL;
        sono_op_test t;
        sono_op_test_open(&t, 20 + i);
        t.rec.precise = !cases[i].views; /* as in the networks */
        const sono_tid logits = sono_op_test_input(&t, 1, 1, cases[i].n_queries, cases[i].n_classes, beside);
        const sono_tid boxes = sono_op_test_input(&t, 1, 1, cases[i].n_queries, 4, beside);
        random_boxes(&t, boxes, cases[i].n_queries);
        check(&t, logits, boxes, cases[i].n_queries, cases[i].n_classes, cases[i].k, cases[i].width,
              cases[i].height, cases[i].threshold);
    }
}

/* Equal logits, also -0 and +0: the lower query and the lower class; large ones keep their order although the
 * sigmoid of all of them is 1. */
static void ties_go_to_the_lower_query(void **state)
{
    static const float values[6][2] = {{-0.0f, 0.0f}, {0.0f, -1}, {40, 50}, {60, 60}, {50, 3}, {-2, -0.0f}};
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 31);
    t.rec.precise = 1;
    const sono_tid logits = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 6, 2, values);
    const sono_tid boxes = sono_op_test_input(&t, 1, 1, 6, 4, NULL);
    random_boxes(&t, boxes, 6);
    check(&t, logits, boxes, 6, 2, 6, 100, 80, 0.5f);
}

/* Numbers come first, even -infinity; what has no number at all has score 0 and is not valid at any
 * threshold. */
static void nan_logits_come_last(void **state)
{
    static const float values[6][2] = {{NAN, NAN}, {NAN, -3}, {2, NAN}, {-INFINITY, -INFINITY},
                                       {NAN, NAN}, {-1, 1}};
    (void)state;
    for (int32_t k = 1; k <= 6; k++) {
        sono_op_test t;
        sono_op_test_open(&t, 32);
        t.rec.precise = 1;
        const sono_tid logits = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 6, 2, values);
        const sono_tid boxes = sono_op_test_input(&t, 1, 1, 6, 4, NULL);
        random_boxes(&t, boxes, 6);
        check(&t, logits, boxes, 6, 2, k, 100, 80, 0.0f);
    }
}

/* Inside, on and beyond each border, turned inside out, not finite. */
static void boxes_end_at_the_border(void **state)
{
    static const float values[][4] = {{.5f, .5f, 1, 1},     {.5f, .5f, 2, 2},       {0, 0, .1f, .1f},
                                      {1, 1, .1f, .1f},     {-1, -1, .5f, .5f},     {3, 3, .5f, .5f},
                                      {.5f, .5f, 0, 0},     {.5f, .5f, -.2f, -.2f}, {NAN, .5f, .1f, .1f},
                                      {.5f, .5f, .1f, NAN}, {.5f, INFINITY, 1, 1},  {.5f, .5f, -INFINITY, 1}};
    const int32_t n = (int32_t)(sizeof values / sizeof values[0]);
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 33);
    t.rec.precise = 1;
    const sono_tid logits = sono_op_test_input(&t, 1, 1, n, 1, NULL);
    const sono_tid boxes = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, n, 4, values);
    check(&t, logits, boxes, n, 1, n, 422, 558, 0.0f);
}

/* A score equal to the threshold is enough: sigmoid(0) is exactly 0.5. */
static void threshold_is_included(void **state)
{
    static const float values[3] = {0, -1e-3f, 1e-3f};
    (void)state;
    sono_op_test t;
    sono_op_test_open(&t, 34);
    t.rec.precise = 1;
    const sono_tid logits = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 3, 1, values);
    const sono_tid boxes = sono_op_test_input(&t, 1, 1, 3, 4, NULL);
    random_boxes(&t, boxes, 3);
    check(&t, logits, boxes, 3, 1, 3, 10, 10, 0.5f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones_agree),     cmocka_unit_test(ties_go_to_the_lower_query),
        cmocka_unit_test(nan_logits_come_last),  cmocka_unit_test(boxes_end_at_the_border),
        cmocka_unit_test(threshold_is_included),
    };
    return sono_test_run("ops/select", tests, sizeof tests / sizeof tests[0]);
}
