// SPDX-License-Identifier: Apache-2.0
/* FDR_BOX and LQE_STAT against double precision, and against numbers of the official code. */
#include "op_test.h"

#include <math.h>
#include <stdlib.h>

#define MAX_BINS 40

static void softmax(const sono_op_test *t, sono_tid corners, int32_t n, int32_t q, int32_t side,
                    int32_t n_bins, double *out)
{
    double largest = -INFINITY, sum = 0;
    for (int32_t i = 0; i < n_bins; i++)
        largest = fmax(largest, sono_op_test_at(t, corners, n, 0, q, side * n_bins + i));
    for (int32_t i = 0; i < n_bins; i++) {
        out[i] = exp(sono_op_test_at(t, corners, n, 0, q, side * n_bins + i) - largest);
        sum += out[i];
    }
    for (int32_t i = 0; i < n_bins; i++)
        out[i] /= sum;
}

static void want_box(const sono_op_test *t, sono_tid corners, sono_tid boxes, sono_tid project,
                     const sono_bins_args *args, int32_t n, int32_t q, double *out)
{
    const double scale = fabs(args->reg_scale);
    double edges[4];
    for (int32_t side = 0; side < 4; side++) {
        double p[MAX_BINS], distance = 0;
        softmax(t, corners, n, q, side, args->reg_max + 1, p);
        for (int32_t i = 0; i <= args->reg_max; i++)
            distance += p[i] * sono_op_test_at(t, project, 0, 0, 0, i);
        edges[side] = sono_op_test_at(t, boxes, n, 0, q, side % 2) +
                      (side < 2 ? -1 : 1) * (0.5 * scale + distance) *
                          sono_op_test_at(t, boxes, n, 0, q, 2 + side % 2) / scale;
    }
    for (int a = 0; a < 2; a++) {
        out[a] = (edges[a] + edges[2 + a]) / 2;
        out[2 + a] = edges[2 + a] - edges[a];
    }
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void want_stat(const sono_op_test *t, sono_tid corners, const sono_bins_args *args, int32_t n,
                      int32_t q, double *out)
{
    for (int32_t side = 0; side < 4; side++, out += args->top_k + 1) {
        double p[MAX_BINS];
        softmax(t, corners, n, q, side, args->reg_max + 1, p);
        qsort(p, (size_t)args->reg_max + 1, sizeof p[0], descending);
        out[args->top_k] = 0;
        for (int32_t i = 0; i < args->top_k; i++) {
            out[i] = p[i];
            out[args->top_k] += p[i] / args->top_k;
        }
    }
}

/* In the networks corners and boxes are precise; with views they are not. */
static void check(const sono_bins_args *args, int32_t n, int32_t n_queries, double spread, int views,
                  uint64_t seed)
{
    static const sono_op_test_layout layout = {.channels_before = 2, .channels_after = 1, .rows_after = 3};
    const sono_op_test_layout *beside = views ? &layout : NULL;
    sono_op_test t;
    sono_op_test_open(&t, seed);
    t.rec.precise = !views;
    const sono_tid corners = sono_op_test_input(&t, n, 1, n_queries, 4 * (args->reg_max + 1), beside);
    const sono_tid boxes = sono_op_test_input(&t, n, 1, n_queries, 4, beside);
    const sono_tid project = sono_op_test_param(&t, 1, 1, 1, args->reg_max + 1, 4);
    for (int32_t i = 0; i < n; i++)
        for (int32_t q = 0; q < n_queries; q++)
            for (int32_t c = 0; c < 4 * (args->reg_max + 1); c++)
                sono_op_test_set(&t, corners, i, 0, q, c, (float)sono_op_test_uniform(&t, -spread, spread));
    if (n_queries > 2) { /* equal bins, and a distribution that excludes some */
        for (int32_t c = 0; c < 4 * (args->reg_max + 1); c++) {
            sono_op_test_set(&t, corners, 0, 0, 1, c, 0.25f);
            sono_op_test_set(&t, corners, 0, 0, 2, c, c % 2 ? -INFINITY : (float)(c % 5));
        }
    }
    const sono_tid box = sono_record_fdr_box(&t.rec, "box", corners, boxes, project, args);
    const sono_tid stat = sono_record_lqe_stat(&t.rec, "stat", corners, args);
    sono_op_test_finish(&t);
    double *boxes_out = sono_op_test_want(&t, box, sono_op_test_tolerance(SONO_OP_FDR_BOX));
    double *stats_out = sono_op_test_want(&t, stat, sono_op_test_tolerance(SONO_OP_LQE_STAT));
    for (int32_t i = 0; i < n; i++)
        for (int32_t q = 0; q < n_queries; q++) {
            want_box(&t, corners, boxes, project, args, i, q, boxes_out);
            want_stat(&t, corners, args, i, q, stats_out);
            boxes_out += 4;
            stats_out += 4 * (args->top_k + 1);
        }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void every_case_agrees(void **state)
{
    static const sono_bins_args official = {.reg_max = 32, .reg_scale = 4.0f, .top_k = 4};
    static const sono_bins_args negative = {.reg_max = 15, .reg_scale = -8.0f, .top_k = 1};
    static const sono_bins_args all_bins = {.reg_max = 1, .reg_scale = 0.5f, .top_k = 2};
    (void)state;
    check(&official, 1, 300, 6, 0, 1);
    check(&official, 2, 33, 60, 1, 2);
    check(&negative, 1, 5, 3, 0, 3);
    check(&all_bins, 3, 1, 3, 0, 4);
}

/* A NaN in one side's logits spoils that side only where sides do not mix. */
static void nan_is_not_hidden(void **state)
{
    static const sono_bins_args args = {.reg_max = 3, .reg_scale = 4.0f, .top_k = 2};
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 5);
    const sono_tid corners = sono_op_test_input(&t, 1, 1, 2, 16, NULL);
    sono_op_test_set(&t, corners, 0, 0, 1, 6, NAN);
    const sono_tid stat = sono_record_lqe_stat(&t.rec, "stat", corners, &args);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, stat, sono_op_test_tolerance(SONO_OP_LQE_STAT));
    want_stat(&t, corners, &args, 0, 0, want);
    want_stat(&t, corners, &args, 0, 1, want + 12);
    for (int i = 0; i < 3; i++)
        want[12 + 3 + i] = NAN;
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

/* Official code in double precision: F.softmax(c, -1) with
 * c = torch.tensor([((i*41) % 23)/5 - 2 for i in range(20)]).reshape(4, 5); Integral's dot product with
 * [-.5, -.2, 0, .3, .9], distance2bbox([.5, .4, .2, .3], ., 4.0) (D-FINE src/zoo/dfine/dfine_utils.py @
 * 4a1f73a); LQE's topk(3) and mean. */
static void official_code_agrees(void **state)
{
    static const sono_bins_args args = {.reg_max = 4, .reg_scale = 4.0f, .top_k = 3};
    static const float box[4] = {.5f, .4f, .2f, .3f}, project[5] = {-.5f, -.2f, 0, .3f, .9f};
    static const double box_golden[4] = {0.510038, 0.424952372, 0.2119604, 0.298149858};
    static const double stat_golden[16] = {0.632781025, 0.23278713,  0.0856375993, 0.317068585,
                                           0.636408647, 0.234121657, 0.0861285444, 0.318886283,
                                           0.539867762, 0.29628571,  0.108997421,  0.315050298,
                                           0.539867762, 0.29628571,  0.108997421,  0.315050298};
    float logits[20];
    sono_op_test t;
    (void)state;
    for (int i = 0; i < 20; i++)
        logits[i] = (float)(i * 41 % 23) / 5 - 2;
    sono_op_test_open(&t, 1);
    t.rec.precise = 1;
    const sono_tid corners = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 20, logits);
    const sono_tid boxes = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 4, box);
    const sono_tid bins = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 5, project);
    const sono_tid got_box = sono_record_fdr_box(&t.rec, "box", corners, boxes, bins, &args);
    const sono_tid got_stat = sono_record_lqe_stat(&t.rec, "stat", corners, &args);
    sono_op_test_finish(&t);
    double *want_boxes = sono_op_test_want(&t, got_box, 1e-6);
    double *want_stats = sono_op_test_want(&t, got_stat, 1e-6);
    for (int i = 0; i < 4; i++)
        want_boxes[i] = box_golden[i];
    for (int i = 0; i < 16; i++)
        want_stats[i] = stat_golden[i];
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_agrees),
        cmocka_unit_test(nan_is_not_hidden),
        cmocka_unit_test(official_code_agrees),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        static const sono_bins_args args = {.reg_max = 32, .reg_scale = 4.0f, .top_k = 4};
        sono_op_test t;
        sono_op_test_open(&t, 3);
        t.rec.precise = 1;
        const sono_tid corners = sono_op_test_input(&t, 1, 1, 300, 132, NULL);
        sono_record_fdr_box(&t.rec, "box", corners, sono_op_test_input(&t, 1, 1, 300, 4, NULL),
                            sono_op_test_param(&t, 1, 1, 1, 33, 1), &args);
        sono_record_lqe_stat(&t.rec, "stat", corners, &args);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, "fdr_box and lqe_stat, 300 queries");
        sono_op_test_close(&t);
        return 0;
    }
    return sono_test_run("ops/boxes", tests, sizeof tests / sizeof tests[0]);
}
