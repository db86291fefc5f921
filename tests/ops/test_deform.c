// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* DEFORM_ATTENTION against a sum over all pixels in double precision, and against numbers of the official
 * code. */
#include "op_test.h"

#include <math.h>

static const sono_deform_args small = {.n_heads = 2,
                                       .head_dim = 5,
                                       .n_levels = 3,
                                       .level_h = {6, 3, 1},
                                       .level_w = {8, 5, 1},
                                       .level_points = {3, 6, 1},
                                       .offset_scale = 0.5f};

static const sono_deform_args dfine_s = {.n_heads = 8,
                                         .head_dim = 32,
                                         .n_levels = 3,
                                         .level_h = {80, 40, 20},
                                         .level_w = {80, 40, 20},
                                         .level_points = {3, 6, 3},
                                         .offset_scale = 0.5f};

typedef struct tensors {
    sono_tid value, offsets, logits, boxes, out;
} tensors;

static int32_t sum_points(const sono_deform_args *args)
{
    int32_t n = 0;
    for (int32_t l = 0; l < args->n_levels; l++)
        n += args->level_points[l];
    return n;
}

static int32_t sum_positions(const sono_deform_args *args)
{
    int32_t n = 0;
    for (int32_t l = 0; l < args->n_levels; l++)
        n += args->level_h[l] * args->level_w[l];
    return n;
}

/* Bilinear with zeroes outside: every pixel weighs max(0, 1 - distance) along each axis. */
static double sample(const sono_op_test *t, sono_tid value, int32_t n, int32_t first, int32_t h, int32_t w,
                     double x, double y, int32_t c)
{
    double sum = 0;
    if (isnan(x) || isnan(y))
        return NAN;
    for (int32_t j = (int32_t)fmin(h, fmax(0, floor(y))); j < h && j <= floor(y) + 1; j++)
        for (int32_t i = (int32_t)fmin(w, fmax(0, floor(x))); i < w && i <= floor(x) + 1; i++)
            sum += fmax(0, 1 - fabs(x - i)) * fmax(0, 1 - fabs(y - j)) *
                   sono_op_test_at(t, value, n, 0, first + j * w + i, c);
    return sum;
}

static double reference(const sono_op_test *t, const sono_deform_args *args, const tensors *in, int32_t n,
                        int32_t q, int32_t head, int32_t channel)
{
    const int32_t n_points = sum_points(args);
    double total = 0, sum = 0;
    int32_t p = 0, first = 0;
    for (int32_t l = 0; l < args->n_levels; l++) {
        const int32_t h = args->level_h[l], w = args->level_w[l];
        for (int32_t i = 0; i < args->level_points[l]; i++, p++) {
            const int32_t at = head * n_points + p;
            const double weight = exp(sono_op_test_at(t, in->logits, n, 0, q, at));
            double xy[2];
            for (int32_t a = 0; a < 2; a++)
                xy[a] = sono_op_test_at(t, in->boxes, n, 0, q, a) +
                        sono_op_test_at(t, in->offsets, n, 0, q, 2 * at + a) / args->level_points[l] *
                            sono_op_test_at(t, in->boxes, n, 0, q, 2 + a) * args->offset_scale;
            total += weight;
            sum += weight * sample(t, in->value, n, first, h, w, xy[0] * w - 0.5, xy[1] * h - 0.5,
                                   head * args->head_dim + channel);
        }
        first += h * w;
    }
    return sum / total;
}

/* As in the networks offsets, logits and boxes are precise and value and result are not; with views all are
 * alike. */
static tensors record(sono_op_test *t, const sono_deform_args *args, int32_t n, int32_t n_queries, int views)
{
    static const sono_op_test_layout layout = {.channels_before = 3, .channels_after = 2, .rows_before = 1};
    const sono_op_test_layout *beside = views ? &layout : NULL;
    const int32_t per_query = args->n_heads * sum_points(args), c = args->n_heads * args->head_dim;
    tensors in = {.value = sono_op_test_input(t, n, 1, sum_positions(args), c, beside)};
    t->rec.precise = !views;
    in.offsets = sono_op_test_input(t, n, 1, n_queries, 2 * per_query, beside);
    in.logits = sono_op_test_input(t, n, 1, n_queries, per_query, beside);
    in.boxes = sono_op_test_input(t, n, 1, n_queries, 4, beside);
    t->rec.precise = 0;
    for (int32_t i = 0; i < n; i++)
        for (int32_t q = 0; q < n_queries; q++)
            for (int32_t k = 0; k < 4; k++)
                sono_op_test_set(t, in.boxes, i, 0, q, k,
                                 (float)sono_op_test_uniform(t, k < 2 ? -0.1 : 0.0, 1.1));
    const sono_tid out = views ? sono_op_test_output(t, n, 1, n_queries, c, beside) : 0;
    in.out = sono_record_deform(&t->rec, "deform", in.value, in.offsets, in.logits, in.boxes, args, out);
    sono_op_test_finish(t);
    return in;
}

static void check(sono_op_test *t, const sono_deform_args *args, const tensors *in, int32_t n,
                  int32_t n_queries)
{
    double *want = sono_op_test_want(t, in->out, sono_op_test_tolerance(SONO_OP_DEFORM_ATTENTION));
    for (int32_t i = 0; i < n; i++)
        for (int32_t q = 0; q < n_queries; q++)
            for (int32_t h = 0; h < args->n_heads; h++)
                for (int32_t c = 0; c < args->head_dim; c++)
                    *want++ = reference(t, args, in, i, q, h, c);
    sono_op_test_run(t);
    sono_op_test_close(t);
}

static void random_ones_agree(void **state)
{
    (void)state;
    for (int views = 0; views < 2; views++) {
        sono_op_test t;
        sono_op_test_open(&t, 7 + (uint64_t)views);
        const tensors in = record(&t, &small, 2, 37, views);
        check(&t, &small, &in, 2, 37);
    }
}

static void real_size_agrees(void **state)
{
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 9);
    const tensors in = record(&t, &dfine_s, 1, 50, 0);
    check(&t, &dfine_s, &in, 1, 50);
}

/* On the border, half outside, far outside, at infinity, not a number. */
static void borders_agree(void **state)
{
    static const float centres[][2] = {
        {0, 0},      {1, 1},          {0, 1},        {-0.0625f, 0.5f},  {1.0625f, 0.5f},
        {0.5f, -9},  {1e30f, 0.5f},   {INFINITY, 0}, {0.5f, -INFINITY}, {NAN, 0.5f},
        {0.5f, NAN}, {0.9375f, 0.9f}, {0.0625f, 1}};
    const int32_t n = (int32_t)(sizeof centres / sizeof centres[0]);
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 11);
    const tensors in = record(&t, &small, 1, n, 0);
    for (int32_t q = 0; q < n; q++)
        for (int32_t k = 0; k < 4; k++)
            sono_op_test_set(&t, in.boxes, 0, 0, q, k, k < 2 ? centres[q][k] : 0.0f);
    check(&t, &small, &in, 1, n);
}

/* Large logits overflow no exponential, and a NaN among them is not hidden. */
static void extreme_logits_agree(void **state)
{
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 13);
    const tensors in = record(&t, &small, 1, 3, 0);
    sono_op_test_set(&t, in.logits, 0, 0, 1, 4, 600.0f);
    sono_op_test_set(&t, in.logits, 0, 0, 1, 15, 650.0f);
    sono_op_test_set(&t, in.logits, 0, 0, 2, 7, NAN);
    check(&t, &small, &in, 1, 3);
}

/* deformable_attention_core_func_v2 of D-FINE src/zoo/dfine/utils.py @ 4a1f73a, in double precision, with
 * val = torch.tensor([((i*37) % 101)/50 - 1 for i in range(16*2*3)]).reshape(1, 16, 2, 3), levels (3, 4) and
 * (2, 2), off = torch.tensor([((i*53) % 97)/16 - 3 for i in range(2*2*3*2)]).reshape(1, 2, 2, 3, 2), lg =
 * torch.tensor([((i*29) % 31)/10 - 1.5 for i in range(2*2*3)]).reshape(1, 2, 2, 3), points [2, 1], loc =
 * box.xy + off * [1/2, 1/2, 1] * box.wh * 0.5, weights F.softmax(lg, -1). */
static void official_code_agrees(void **state)
{
    static const sono_deform_args args = {.n_heads = 2,
                                          .head_dim = 3,
                                          .n_levels = 2,
                                          .level_h = {3, 2},
                                          .level_w = {4, 2},
                                          .level_points = {2, 1},
                                          .offset_scale = 0.5f};
    static const float boxes[8] = {.5f, .4f, .6f, .5f, .05f, .95f, .2f, .3f};
    static const double golden[12] = {0.418273138,  -0.460186709, 0.0397496945, 0.104691135,
                                      -0.265321377, 0.264126663,  0.272129801,  0.266024212,
                                      -0.181259044, 0.244634247,  -0.458731508, -0.052098181};
    float value[96], offsets[24], logits[12];
    sono_op_test t;
    (void)state;
    for (int i = 0; i < 96; i++)
        value[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int i = 0; i < 24; i++)
        offsets[i] = (float)(i * 53 % 97) / 16 - 3;
    for (int i = 0; i < 12; i++)
        logits[i] = (float)(i * 29 % 31) / 10 - 1.5f;
    sono_op_test_open(&t, 1);
    t.rec.precise = 1;
    const sono_tid v = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 16, 6, value);
    const sono_tid o = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 2, 12, offsets);
    const sono_tid l = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 2, 6, logits);
    const sono_tid b = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 2, 4, boxes);
    const sono_tid out = sono_record_deform(&t.rec, "deform", v, o, l, b, &args, 0);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, out, 1e-6);
    for (int i = 0; i < 12; i++)
        want[i] = golden[i];
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones_agree),    cmocka_unit_test(real_size_agrees),
        cmocka_unit_test(borders_agree),        cmocka_unit_test(extreme_logits_agree),
        cmocka_unit_test(official_code_agrees),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        sono_op_test t;
        sono_op_test_open(&t, 3);
        record(&t, &dfine_s, 1, 300, 0);
        sono_op_test_bench(&t, "deform 300 queries, 8400 tokens");
        sono_op_test_close(&t);
        return 0;
    }
    return sono_test_run("ops/deform", tests, sizeof tests / sizeof tests[0]);
}
