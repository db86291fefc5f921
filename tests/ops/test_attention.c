// SPDX-License-Identifier: Apache-2.0
/* ATTENTION in double precision: global (wide, narrow) and windowed. `--bench`: the networks' shapes. */
#include "base/alloc.h"
#include "op_test.h"

#include <math.h>
#include <stdlib.h>

typedef struct attention_case {
    const char *label;
    int32_t n, h, w; /* of the queries */
    int32_t n_keys;  /* 0: windowed */
    int32_t n_heads, head_dim, window;
    int32_t has_bias;
    int32_t keys_broadcast;
    int32_t packed; /* q, k, v are channel slices of one tensor */
    sono_op_test_layout q_layout, k_layout, v_layout, out_layout;
    double magnitude; /* of scale * q k^T, about; 0 = 1 */
    int32_t precise;  /* PRECISE_ flags: the mask decoder's tokens */
} attention_case;

#define PRECISE_Q    1 /* the result is precise too */
#define PRECISE_KEYS 2

/* clang-format off */
static const attention_case cases[] = {
    {"wide, 30 x 30", 1, 1, 30, 30, 4, 32, .window = 0},
    {"wide, 300 x 300", 1, 1, 300, 300, 2, 16, .window = 0},
    {"wide, 17 keys", 1, 1, 5, 17, 1, 8, .window = 0},
    {"wide, 48 a head", 1, 1, 40, 40, 2, 48, .window = 0},
    {"wide, 7 queries of many keys", 1, 1, 7, 500, 8, 16, .window = 0},
    {"wide, 1 query", 1, 1, 1, 100, 2, 16, .window = 0},
    {"wide, several blocks of queries", 1, 30, 40, 64, 2, 16, .window = 0},
    {"wide, n 3, views", 3, 1, 21, 33, 3, 12, .q_layout = {1, 2, 3, 4}, .k_layout = {0, 5, 1, 0}, .v_layout = {2, 0, 0, 3}, .out_layout = {3, 3, 1, 1}},
    {"wide, keys broadcast", 3, 1, 21, 33, 3, 12, .keys_broadcast = 1},
    {"wide, large scores", 1, 1, 20, 40, 2, 16, .magnitude = 60},
    {"narrow, 7 keys", 1, 10, 13, 7, 8, 16, .window = 0},
    {"narrow, 1 key", 1, 1, 9, 1, 2, 8, .window = 0},
    {"narrow, 16 keys", 2, 1, 45, 16, 2, 8, .q_layout = {1, 2, 3, 4}, .k_layout = {0, 5, 1, 0}, .v_layout = {2, 0, 0, 3}, .out_layout = {3, 3, 1, 1}},
    {"narrow, many queries", 2, 40, 40, 7, 8, 16, .keys_broadcast = 1},
    {"wide, float32 queries of float16", 1, 1, 7, 600, 8, 16, .precise = PRECISE_Q},
    {"wide, all float32", 2, 1, 7, 40, 8, 32, .precise = PRECISE_Q | PRECISE_KEYS},
    {"narrow, float16 queries of float32", 1, 10, 13, 7, 8, 16, .precise = PRECISE_KEYS},
    {"narrow, all float32", 1, 1, 7, 7, 8, 32, .precise = PRECISE_Q | PRECISE_KEYS},
    {"narrow, large scores", 1, 1, 20, 7, 2, 16, .magnitude = 60},
    {"window 7, whole", 1, 14, 21, 0, 4, 32, 7, .has_bias = 1},
    {"window 7, ragged", 1, 16, 18, 0, 4, 32, 7, .has_bias = 1},
    {"window 7, ragged by one", 1, 8, 8, 0, 2, 16, 7, .has_bias = 1},
    {"window 14, ragged", 1, 22, 17, 0, 2, 32, 14, .has_bias = 1},
    {"window 7, no bias", 1, 9, 7, 0, 2, 16, 7, .has_bias = 0},
    {"window larger than the map", 1, 3, 5, 0, 2, 16, 7, .has_bias = 1},
    {"window 4: no remainder of keys", 1, 9, 8, 0, 2, 16, 4, .has_bias = 1},
    {"window 1", 1, 3, 4, 0, 2, 8, 1, .has_bias = 1},
    {"window 3, n 2, views", 2, 7, 8, 0, 3, 12, 3, .has_bias = 1, .q_layout = {1, 2, 3, 4}, .k_layout = {0, 5, 1, 0}, .v_layout = {2, 0, 0, 3}, .out_layout = {3, 3, 1, 1}},
    {"window 7, slices of one tensor", 1, 16, 15, 0, 4, 32, 7, .has_bias = 1, .packed = 1},
    {"window 7, large scores", 1, 8, 8, 0, 2, 16, 7, .has_bias = 1, .magnitude = 60},
};
/* clang-format on */

typedef struct recorded {
    sono_tid q, k, v, bias, pad_k, pad_v, out;
    sono_attention_args args;
} recorded;

static void record_inputs(sono_op_test *t, const attention_case *k, recorded *r)
{
    const int32_t c = k->n_heads * k->head_dim, kh = k->n_keys ? 1 : k->h, kw = k->n_keys ? k->n_keys : k->w;
    if (k->packed) {
        const sono_tid all = sono_op_test_input(t, k->n, k->h, k->w, 3 * c, NULL);
        r->q = sono_view_channels(&t->rec, all, 0, c);
        r->k = sono_view_channels(&t->rec, all, c, c);
        r->v = sono_view_channels(&t->rec, all, 2 * c, c);
        return;
    }
    t->rec.precise = !!(k->precise & PRECISE_Q);
    r->q = sono_op_test_input(t, k->n, k->h, k->w, c, &k->q_layout);
    t->rec.precise = !!(k->precise & PRECISE_KEYS);
    r->k = sono_op_test_input(t, k->keys_broadcast ? 1 : k->n, kh, kw, c, &k->k_layout);
    r->v = sono_op_test_input(t, k->keys_broadcast ? 1 : k->n, kh, kw, c, &k->v_layout);
    t->rec.precise = 0;
    if (k->keys_broadcast) {
        r->k = sono_view_broadcast(&t->rec, r->k, k->n);
        r->v = sono_view_broadcast(&t->rec, r->v, k->n);
    }
}

static recorded record(sono_op_test *t, const attention_case *k)
{
    const int32_t c = k->n_heads * k->head_dim;
    recorded r = {.args = {k->n_heads, k->head_dim, 1.0f, k->window}};
    r.args.scale = (float)((k->magnitude > 0 ? k->magnitude : 1) / sqrt(k->head_dim));
    record_inputs(t, k, &r);
    if (k->has_bias)
        r.bias = sono_op_test_param(t, 1, 1, k->n_heads, k->window * k->window, 2);
    if (k->window) {
        r.pad_k = sono_op_test_param(t, 1, 1, 1, c, 1);
        r.pad_v = sono_op_test_param(t, 1, 1, 1, c, 1);
    }
    const sono_tid out = sono_op_test_output(t, k->n, k->h, k->w, c, &k->out_layout);
    r.out = sono_record_attention(&t->rec, k->label, r.q, r.k, r.v, r.bias, r.pad_k, r.pad_v, &r.args, out);
    sono_op_test_finish(t);
    return r;
}

/* Where key j of a query at (y, x) lies: its window's position j, or simply position j. Returns 0 past the
 * border. */
static int key_at(const attention_case *k, int32_t y, int32_t x, int32_t j, int32_t *ky, int32_t *kx)
{
    *ky = k->window ? y / k->window * k->window + j / k->window : 0;
    *kx = k->window ? x / k->window * k->window + j % k->window : j;
    return !k->window || (*ky < k->h && *kx < k->w);
}

/* One query of one head: out[head_dim]. */
static void attend(const sono_op_test *t, const attention_case *k, const recorded *r, int32_t n, int32_t y,
                   int32_t x, int32_t head, double *scores, double *out)
{
    const int32_t n_keys = k->window ? k->window * k->window : k->n_keys, first = head * k->head_dim;
    double largest = -HUGE_VAL, sum = 0;
    for (int32_t j = 0; j < n_keys; j++) {
        int32_t ky, kx;
        const int inside = key_at(k, y, x, j, &ky, &kx);
        scores[j] = 0;
        for (int32_t i = first; i < first + k->head_dim; i++)
            scores[j] +=
                sono_op_test_at(t, r->q, n, y, x, i) * (double)r->args.scale *
                (inside ? sono_op_test_at(t, r->k, n, ky, kx, i) : sono_op_test_at(t, r->pad_k, 0, 0, 0, i));
        if (r->bias)
            scores[j] += sono_op_test_at(t, r->bias, 0, 0, head, abs(ky - y) * k->window + abs(kx - x));
        largest = fmax(largest, scores[j]);
    }
    for (int32_t j = 0; j < n_keys; j++)
        sum += scores[j] = exp(scores[j] - largest);
    for (int32_t i = 0; i < k->head_dim; i++)
        out[i] = 0;
    for (int32_t j = 0; j < n_keys; j++) {
        int32_t ky, kx;
        const int inside = key_at(k, y, x, j, &ky, &kx);
        for (int32_t i = 0; i < k->head_dim; i++)
            out[i] += scores[j] / sum *
                      (inside ? sono_op_test_at(t, r->v, n, ky, kx, first + i)
                              : sono_op_test_at(t, r->pad_v, 0, 0, 0, first + i));
    }
}

static void check(const attention_case *k, uint64_t seed)
{
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const recorded r = record(&t, k);
    const double factor = k->magnitude > 1 ? k->magnitude : 1; /* exp passes the scores' absolute error on */
    double *want = sono_op_test_want(&t, r.out, factor * sono_op_test_tolerance(SONO_OP_ATTENTION));
    double *scores = sono_alloc_array((size_t)(k->n_keys + k->window * k->window), sizeof *scores);
    assert_non_null(scores);
    for (int32_t n = 0; n < k->n; n++)
        for (int32_t y = 0; y < k->h; y++)
            for (int32_t x = 0; x < k->w; x++)
                for (int32_t head = 0; head < k->n_heads; head++, want += k->head_dim)
                    attend(&t, k, &r, n, y, x, head, scores, want);
    sono_free(scores);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i], 100 + i);
}

/* A NaN in one query spoils that query's head and nothing else. */
static void test_nan(void **state)
{
    (void)state;
    static const attention_case shapes[] = {
        {"wide", 1, 1, 20, 30, 2, 8, .window = 0},
        {"narrow", 1, 1, 20, 7, 2, 8, .window = 0},
        {"window", 1, 5, 5, 0, 2, 8, 4, .has_bias = 1},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const attention_case *k = &shapes[s];
        double scores[64];
        sono_op_test t;
        sono_op_test_open(&t, 300 + s);
        const recorded r = record(&t, k);
        sono_op_test_set(&t, r.q, 0, 0, 2, 9, NAN);
        double *want = sono_op_test_want(&t, r.out, sono_op_test_tolerance(SONO_OP_ATTENTION));
        for (int32_t y = 0; y < k->h; y++)
            for (int32_t x = 0; x < k->w; x++)
                for (int32_t head = 0; head < k->n_heads; head++, want += k->head_dim)
                    attend(&t, k, &r, 0, y, x, head, scores, want);
        sono_op_test_run(&t);
        sono_op_test_close(&t);
    }
}

static int bench(void)
{
    static const attention_case shapes[] = {
        {"TinyViT window 7, 128^2, 4 x 32", 1, 128, 128, 0, 4, 32, 7, .has_bias = 1, .packed = 1},
        {"TinyViT window 14, 64^2, 5 x 32", 1, 64, 64, 0, 5, 32, 14, .has_bias = 1, .packed = 1},
        {"TinyViT window 7, 64^2, 10 x 32", 1, 64, 64, 0, 10, 32, 7, .has_bias = 1, .packed = 1},
        {"decoder image to token 4096 x 7, 8 x 16", 1, 64, 64, 7, 8, 16, .window = 0},
        {"decoder token to image 7 x 4096, 8 x 16", 1, 1, 7, 4096, 8, 16, .window = 0},
        {"D-FINE decoder 300 x 300, 8 x 32", 1, 1, 300, 300, 8, 32, .window = 0},
        {"D-FINE encoder 400 x 400, 8 x 32", 1, 1, 400, 400, 8, 32, .window = 0},
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
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_nan)};
    if (sono_op_test_wants_bench(argc, argv))
        return bench();
    return sono_test_run("ops/attention", tests, sizeof tests / sizeof tests[0]);
}
