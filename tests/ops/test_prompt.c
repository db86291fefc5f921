// SPDX-License-Identifier: Apache-2.0
/* PROMPT against double precision and against numbers of the official code. */
#include "op_frame.h"

#include <math.h>

static const sono_segment_args segment = {.image_size = 1024,
                                          .max_width_px = 1920,
                                          .max_height_px = 1200,
                                          .edge_width_px = 3,
                                          .outside_width_px = 5};

#define MAX_OBJECTS 16

static void check(int32_t k, int32_t width, int32_t height, int32_t half, int precise, uint64_t seed)
{
    float found[MAX_OBJECTS][8] = {{0}};
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const int32_t n_tokens = 5, c = 2 * half;
    assert_true(k <= MAX_OBJECTS);
    for (int32_t i = 0; i < (k > 1 ? k - 1 : k); i++) /* the last one is not valid: its box is all zero */
        for (int32_t j = 0; j < 4; j++)
            found[i][j] = (float)sono_op_test_uniform(&t, 0, j % 2 ? height - 1 : width - 1);
    t.rec.precise = precise;
    const sono_tid detections = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, k, 8, found);
    const sono_tid header = op_frame_header(&t, width, height, 0.3f);
    const sono_tid gaussian = sono_op_test_param(&t, 1, 1, 2, half, 1);
    const sono_tid corners = sono_op_test_param(&t, 1, 1, 2, c, 1);
    const sono_tid tokens = sono_op_test_param(&t, 1, 1, n_tokens, c, 1);
    const sono_tid out =
        sono_record_prompt(&t.rec, "tokens", detections, header, gaussian, corners, tokens, 0, &segment);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, out, sono_op_test_tolerance(SONO_OP_PROMPT));
    for (int32_t i = 0; i < k; i++) {
        for (int32_t j = 0; j < n_tokens * c; j++)
            *want++ = sono_op_test_at(&t, tokens, 0, 0, j / c, j % c);
        for (int32_t j = 0; j < 2 * c; j++) {
            const int32_t corner = j / c, channel = j % c;
            double angle = 0;
            for (int32_t a = 0; a < 2; a++) {
                const double px = sono_op_test_at(&t, detections, 0, 0, i, 2 * corner + a);
                const double at = (px * 1024 / fmax(width, height) + 0.5) / 1024 * 2 - 1;
                angle += at * sono_op_test_at(&t, gaussian, 0, 0, a, channel % half);
            }
            angle *= 2 * acos(-1);
            *want++ = (channel < half ? sin(angle) : cos(angle)) +
                      sono_op_test_at(&t, corners, 0, 0, corner, channel);
        }
    }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void random_ones_agree(void **state)
{
    (void)state;
    check(1, 422, 558, 128, 1, 1);
    check(16, 1920, 1200, 128, 0, 2);
    check(3, 1, 1, 4, 1, 3);
    check(2, 1, 1200, 7, 0, 4);
}

/* One row: the embedding with the position's sines and cosines, in double precision. */
static double *want_position(sono_op_test *t, double *want, sono_tid gaussian, sono_tid embeddings,
                             int32_t embedding, const double at[2])
{
    const int32_t half = sono_program_tensor(t->program, gaussian)->c;
    for (int32_t channel = 0; channel < 2 * half; channel++) {
        double angle = 0;
        for (int32_t a = 0; a < 2; a++)
            angle += at[a] * sono_op_test_at(t, gaussian, 0, 0, a, channel % half);
        angle *= 2 * acos(-1);
        *want++ = (channel < half ? sin(angle) : cos(angle)) +
                  sono_op_test_at(t, embeddings, 0, 0, embedding, channel);
    }
    return want;
}

/* Two frames of one object, or one of several, each with n_points; labels in turn: object, none, background.
 */
static void check_points(int32_t n_frames, int32_t k, int32_t n_points, int has_box, uint64_t seed)
{
    enum { HALF = 8, C = 2 * HALF, MOST = 32 };
    static const int32_t labels[3] = {1, -1, 0};
    static float found[MOST][8], rows[MOST][4];
    const int32_t width = 300, height = 200, n = n_frames * k;
    sono_frame_header headers[2];
    sono_op_test t;
    sono_op_test_open(&t, seed);
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < 4; j++)
            found[i][j] = (float)sono_op_test_uniform(&t, 0, j % 2 ? height - 1 : width - 1);
    for (int32_t i = 0; i < n * n_points; i++) {
        rows[i][0] = (float)sono_op_test_uniform(&t, 0, width);
        rows[i][1] = (float)sono_op_test_uniform(&t, 0, height);
        rows[i][2] = (float)labels[i % 3];
    }
    for (int32_t i = 0; i < n_frames; i++)
        headers[i] = (sono_frame_header){.width_px = width, .height_px = height};
    t.rec.precise = 1;
    const sono_tid detections = sono_op_test_input_values(&t, SONO_DTYPE_F32, n_frames, 1, k, 8, found);
    const sono_tid header =
        sono_op_test_input_values(&t, SONO_DTYPE_U8, n_frames, 1, 1, (int32_t)sizeof headers[0], headers);
    const sono_tid points = sono_op_test_input_values(&t, SONO_DTYPE_F32, n_frames, 1, k * n_points, 4, rows);
    const sono_tid gaussian = sono_op_test_param(&t, 1, 1, 2, HALF, 1);
    const sono_tid embeddings = sono_op_test_param(&t, 1, 1, has_box ? 5 : 3, C, 1);
    const sono_tid tokens = sono_op_test_param(&t, 1, 1, 5, C, 1);
    const sono_tid out = sono_record_prompt(&t.rec, "tokens", detections, header, gaussian, embeddings,
                                            tokens, points, &segment);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, out, sono_op_test_tolerance(SONO_OP_PROMPT));
    const int32_t none = has_box ? 2 : 0;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t j = 0; j < 5 * C; j++)
            *want++ = sono_op_test_at(&t, tokens, 0, 0, j / C, j % C);
        for (int32_t p = 0; p < n_points + 2 * has_box; p++) {
            const float *row = rows[i * n_points + (p < n_points ? p : 0)];
            const float *xy = p < n_points ? row : found[i] + 2 * (p - n_points);
            const double at[2] = {((double)xy[0] * 1024 / width + 0.5) / 1024 * 2 - 1,
                                  ((double)xy[1] * 1024 / width + 0.5) / 1024 * 2 - 1};
            const int32_t label = (int32_t)row[2];
            if (p >= n_points)
                want = want_position(&t, want, gaussian, embeddings, p - n_points, at);
            else if (label >= 0)
                want = want_position(&t, want, gaussian, embeddings, none + 1 + label, at);
            for (int32_t c = 0; c < C && p < n_points && label < 0; c++)
                *want++ = sono_op_test_at(&t, embeddings, 0, 0, none, c);
        }
        for (int32_t c = 0; c < C && !has_box; c++)
            *want++ = sono_op_test_at(&t, embeddings, 0, 0, 0, c);
    }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void points_agree(void **state)
{
    (void)state;
    check_points(1, 1, 1, 0, 11);
    check_points(1, 3, 4, 0, 12);
    check_points(1, 3, 4, 1, 13);
    check_points(2, 1, 3, 0, 14);
    check_points(2, 1, 16, 1, 15);
}

/* MobileSAM mobile_sam/modeling/prompt_encoder.py @ 34bbbfd, PromptEncoder(8, (4, 4), (1024, 1024), 1) with
 * the gaussian matrix below and corner embeddings arange(8) * 0.1 and arange(8) * 0.2:
 * _embed_boxes(torch.tensor([[10.25, 20.5, 300.75, 421.]]) * (1024 / 558)) */
static void official_code_agrees(void **state)
{
    static const float detection[8] = {10.25f, 20.5f, 300.75f, 421, 1, 0, 0, 1};
    static const float gaussian[8] = {.3f, -1.1f, .7f, 2.2f, -.4f, .9f, 1.6f, -2.8f};
    static const double golden[16] = {0.490172893,  1.08819568,  -0.62522018,  0.459514052,
                                      1.27162528,   0.653196812, 1.16481113,   -0.287195683,
                                      -0.905614138, 0.919801116, -0.323990375, -0.399656713,
                                      1.22410262,   0.30581969,  1.88981009,   1.37380087};
    float corners[16], tokens[8] = {0};
    sono_op_test t;
    (void)state;
    for (int i = 0; i < 16; i++)
        corners[i] = (float)(i % 8) * (i < 8 ? 0.1f : 0.2f);
    sono_op_test_open(&t, 1);
    t.rec.precise = 1;
    const sono_tid d = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 8, detection);
    const sono_tid header = op_frame_header(&t, 422, 558, 0.3f);
    const sono_tid g = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 2, 4, gaussian);
    const sono_tid c = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 2, 8, corners);
    const sono_tid o = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 8, tokens);
    const sono_tid out = sono_record_prompt(&t.rec, "tokens", d, header, g, c, o, 0, &segment);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, out, 2e-6);
    for (int i = 0; i < 16; i++)
        want[8 + i] = golden[i];
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones_agree),
        cmocka_unit_test(points_agree),
        cmocka_unit_test(official_code_agrees),
    };
    return sono_test_run("ops/prompt", tests, sizeof tests / sizeof tests[0]);
}
