// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* SCHEDULE: each reason for the detector, and the box that stands for its own. DOUBT: each reason to run it
 * after all. What is expected is written out here, case by case. */
#include "op_test.h"
#include "state_reference.h"

#include "base/alloc.h"
#include "engine/schedule.h"
#include "graph/kept_layout.h"

#include <string.h>

#define WIDTH_PX   320
#define HEIGHT_PX  200
#define MAX_SIDE   400
#define EVERY      4
#define NOW_NS     INT64_C(1700000000000000000)
#define FRAME_NS   INT64_C(40000000)
#define N_KEPT     (SONO_KEPT_PROFILE + SONO_PROFILE_COUNT * MAX_SIDE * 4 + (MAX_SIDE * MAX_SIDE + 7) / 8)
#define FINGER_LOW 77

/* What SCHEDULE sees. The mask's pixels: [60, 200) x [50, 90); the detector's box: 5 px around them, but 7
 * below. */
typedef struct scene {
    sono_stream_memory memory;
    sono_frame_header header;
    uint8_t kept[N_KEPT];
} scene;

static void set_counts(scene *s, int32_t row, int32_t first, int32_t end)
{
    int32_t counts[MAX_SIDE] = {0};
    for (int32_t i = first; i < end; i++)
        counts[i] = 1 + i % 3;
    memcpy(s->kept + SONO_KEPT_PROFILE + (size_t)row * sizeof counts, counts, sizeof counts);
}

static void set_mask(scene *s, int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
    set_counts(s, SONO_PROFILE_COLUMNS, x1, x2);
    set_counts(s, SONO_PROFILE_ROWS, y1, y2);
}

static void set_box(scene *s, float x1, float y1, float x2, float y2)
{
    const float box[4] = {x1, y1, x2, y2};
    memcpy(s->memory.box, box, sizeof box);
}

static void make_scene(scene *s)
{
    memset(s, 0, sizeof *s);
    memset(s->kept, 0x55, sizeof s->kept);
    s->memory = (sono_stream_memory){.timestamp_ns = NOW_NS,
                                     .width_px = WIDTH_PX,
                                     .height_px = HEIGHT_PX,
                                     .state = SONO_STATE_VISIBLE,
                                     .grade = SONO_GRADE_GOOD,
                                     .has_frame = 1,
                                     .is_trusted = 1,
                                     .has_agreed = 1,
                                     .has_mask = 1,
                                     .trust_ns = 3 * FRAME_NS,
                                     .fingerprint = 5,
                                     .score = 0.9f,
                                     .class_id = 2.0f};
    s->header = (sono_frame_header){.width_px = WIDTH_PX,
                                    .height_px = HEIGHT_PX,
                                    .threshold = 0.3f,
                                    .timestamp_ns = NOW_NS + FRAME_NS,
                                    .stream = SONO_STREAM_GOES_ON};
    set_mask(s, 60, 50, 200, 90);
    set_box(s, 55.0f, 45.0f, 205.0f, 97.25f);
}

/* What the next detection is to follow: a recalled box, else what it was. */
static void want_followed(sono_op_test *t, sono_tid tensor, const scene *s, const float *box)
{
    double *want = sono_op_test_want(t, tensor, sono_op_test_tolerance(SONO_OP_SCHEDULE));
    sono_followed followed = {0};
    if (box)
        followed = (sono_followed){s->header.timestamp_ns,
                                   s->header.timestamp_ns,
                                   box[0],
                                   box[1],
                                   box[2],
                                   box[3],
                                   2,
                                   WIDTH_PX,
                                   HEIGHT_PX,
                                   1,
                                   {0}};
    for (int i = 0; i < SONO_FOLLOWED_BYTES; i++)
        want[i] = ((const uint8_t *)&followed)[i];
}

/* want: the box; NULL = the detector runs. */
static void check(const scene *s, int32_t every, const float *want)
{
    const sono_segment_args sizes = {.max_width_px = MAX_SIDE, .max_height_px = MAX_SIDE};
    const sono_schedule_args args = {.rules = state_reference_rules(), .detect_every = every};
    sono_op_test t;
    sono_tid outs[2];
    sono_op_test_open(&t, 1);
    const sono_tid memory =
        sono_op_test_inout_values(&t, SONO_DTYPE_U8, 1, 1, 1, SONO_MEMORY_BYTES, &s->memory);
    const sono_tid kept = sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, N_KEPT, s->kept);
    const sono_tid header =
        sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof s->header, &s->header);
    const sono_tid followed =
        sono_op_test_inout_values(&t, SONO_DTYPE_U8, 1, 1, 1, SONO_FOLLOWED_BYTES, &(sono_followed){0});
    sono_record_schedule(&t.rec, "schedule", memory, kept, header, followed, &sizes, &args, outs);
    sono_record_output(&t.rec, outs[0]);
    sono_record_output(&t.rec, outs[1]);
    sono_op_test_finish(&t);
    double *step = sono_op_test_want(&t, outs[0], sono_op_test_tolerance(SONO_OP_SCHEDULE));
    double *found = sono_op_test_want(&t, outs[1], sono_op_test_tolerance(SONO_OP_SCHEDULE));
    step[0] = want == NULL;
    want_followed(&t, followed, s, want);
    for (int i = 0; want && i < 4; i++)
        found[i] = (double)want[i];
    if (want) {
        found[SONO_DETECTION_SCORE] = (double)s->memory.score;
        found[SONO_DETECTION_CLASS] = 2;
        found[SONO_DETECTION_QUERY] = -1;
        found[SONO_DETECTION_VALID] = 1;
    }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void box_is_recalled(void **state)
{
    static const float box[4] = {55.0f, 45.0f, 205.0f, 97.25f}, moved[4] = {65.0f, 40.0f, 215.0f, 92.25f},
                       cut[4] = {0.0f, 0.0f, WIDTH_PX - 1, HEIGHT_PX - 1};
    static const float margin[4] = {-5.0f, -5.0f, 5.0f, 7.25f};
    static scene s;
    (void)state;
    make_scene(&s);
    check(&s, EVERY, box);
    check(&s, 2, box);
    s.header.timestamp_ns = 0;
    check(&s, EVERY, box);
    /* Behind the first such frame it is the mask that the box goes with. */
    make_scene(&s);
    s.memory.n_recalled = 1;
    memcpy(s.memory.margin, margin, sizeof margin);
    set_mask(&s, 70, 45, 210, 85);
    check(&s, EVERY, moved);
    set_mask(&s, 3, 2, WIDTH_PX, HEIGHT_PX);
    check(&s, EVERY, cut);
    set_mask(&s, 319, 199, 320, 200); /* one pixel, in the corner */
    check(&s, EVERY, (float[4]){314.0f, 194.0f, 319.0f, 199.0f});
}

/* One thing at a time that calls for the detector. */
static void detector_runs(void **state)
{
    static scene s;
    (void)state;
    make_scene(&s);
    check(&s, 1, NULL);
    s.memory.n_recalled = EVERY - 1;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.memory.state = SONO_STATE_RELOCALIZING;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.memory.grade = SONO_GRADE_FAIR;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.memory.has_mask = 0;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.header.threshold = 0.95f; /* raised above the score that would stand for this frame's */
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.header.stream = SONO_STREAM_BEGINS;
    check(&s, EVERY, NULL);
    s.header.stream = SONO_STREAM_NO_FRAME;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.header.width_px--;
    check(&s, EVERY, NULL);
    make_scene(&s);
    s.header.timestamp_ns = NOW_NS - 1;
    check(&s, EVERY, NULL);
    s.header.timestamp_ns = NOW_NS + INT64_C(100000000000);
    check(&s, EVERY, NULL);
    make_scene(&s);
    set_mask(&s, 0, 0, 0, 0);
    check(&s, EVERY, NULL);
    memset(&s.memory, 0, sizeof s.memory); /* as it is when a pipeline opens */
    check(&s, EVERY, NULL);
}

/* A box that lay within its mask may have nothing left when the mask shrinks. */
static void box_without_extent(void **state)
{
    static const float margin[4] = {20.0f, 0.0f, -20.0f, 0.0f};
    static scene s;
    (void)state;
    make_scene(&s);
    s.memory.n_recalled = 1;
    memcpy(s.memory.margin, margin, sizeof margin);
    check(&s, EVERY, (float[4]){80.0f, 50.0f, 180.0f, 90.0f});
    set_mask(&s, 100, 50, 140, 90);
    check(&s, EVERY, NULL);
}

/* The margins are those of the frame in which the detector ran. */
static void margins_are_kept(void **state)
{
    static scene s;
    (void)state;
    make_scene(&s);
    const sono_extent mask = {60, 50, 200, 90}, later = {80, 40, 210, 80};
    sono_stream_memory memory = s.memory;
    sono_followed followed = {0};
    assert_float_equal(schedule_recall(&memory, &followed, &s.header, &mask).x2, 205, 0);
    assert_float_equal(memory.margin[0], -5, 0);
    assert_float_equal(memory.margin[3], 7.25, 0);
    memory.n_recalled = 1;
    set_box(&s, 1, 2, 3, 4);
    assert_float_equal(schedule_recall(&memory, &followed, &s.header, &later).x2, 215, 0);
    assert_float_equal(memory.margin[3], 7.25, 0);
}

/* What DOUBT sees: a good frame with a recalled box. */
typedef struct judged {
    sono_stream_memory memory;
    sono_frame_header header;
    float detection[SONO_DETECTION_FLOATS], iou[4];
    int32_t echo[SONO_ECHO_INTS], agreement[SONO_AGREEMENT_INTS];
} judged;

static void make_judged(judged *j)
{
    static scene s;
    make_scene(&s);
    *j = (judged){.memory = s.memory,
                  .header = s.header,
                  .detection = {55, 45, 205, 97, 0.9005f, 2, -1, 1},
                  .iou = {0.9005f},
                  .echo = {900, 900, 900, 900, FINGER_LOW},
                  .agreement = {900, 900}};
}

static void check_doubt(const judged *j, int32_t want)
{
    const sono_machine_rules rules = state_reference_rules();
    sono_op_test t;
    sono_op_test_open(&t, 1);
    const sono_tid detections =
        sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, SONO_DETECTION_FLOATS, j->detection);
    const sono_tid iou = sono_op_test_input_values(&t, SONO_DTYPE_F32, 1, 1, 1, 4, j->iou);
    const sono_tid echo = sono_op_test_input_values(&t, SONO_DTYPE_I32, 1, 1, 1, SONO_ECHO_INTS, j->echo);
    const sono_tid agreement =
        sono_op_test_input_values(&t, SONO_DTYPE_I32, 1, 1, 1, SONO_AGREEMENT_INTS, j->agreement);
    const sono_tid header =
        sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof j->header, &j->header);
    const sono_tid memory =
        sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, SONO_MEMORY_BYTES, &j->memory);
    const sono_tid step =
        sono_record_doubt(&t.rec, "doubt", detections, iou, echo, agreement, header, memory, &rules);
    sono_record_output(&t.rec, step);
    sono_op_test_finish(&t);
    sono_op_test_want(&t, step, sono_op_test_tolerance(SONO_OP_DOUBT))[0] = want;
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void doubts(void **state)
{
    const sono_machine_rules rules = state_reference_rules();
    judged j;
    (void)state;
    make_judged(&j);
    check_doubt(&j, 0);
    j.agreement[0] = j.agreement[1] = 600; /* just steady enough */
    check_doubt(&j, 0);
    j.agreement[0] = j.agreement[1] = 599; /* still good */
    check_doubt(&j, 1);
    j.agreement[0] = j.agreement[1] = -1;
    check_doubt(&j, 0);
    make_judged(&j);
    j.memory.detected_quality = 930; /* all parts are 900, and so is the quality */
    check_doubt(&j, 0);
    j.memory.detected_quality = 931;
    check_doubt(&j, 1);
    make_judged(&j);
    for (int i = 0; i < 4; i++)
        j.echo[i] = 0; /* of little quality: the old score alone may hold it up */
    j.memory.detected_quality = 900;
    check_doubt(&j, 1);
    j.memory.detected_quality = 0;
    j.iou[0] = 0;
    check_doubt(&j, 1);
    make_judged(&j);
    j.echo[SONO_ECHO_CONTINUITY] = -1; /* an empty mask */
    check_doubt(&j, 1);
    make_judged(&j);
    j.memory.fingerprint = FINGER_LOW; /* frozen */
    j.memory.repeat_ns = state_ns(rules.frozen_after_ms);
    check_doubt(&j, 1);
}

/* What the detector found itself is not doubted, whatever it looks like. */
static void detector_is_not_doubted(void **state)
{
    judged j;
    (void)state;
    make_judged(&j);
    j.echo[SONO_ECHO_CONTINUITY] = -1;
    j.detection[SONO_DETECTION_QUERY] = 0;
    check_doubt(&j, 0);
    memset(j.detection, 0, sizeof j.detection);
    check_doubt(&j, 0);
}

static void bench(void)
{
    static scene s;
    sono_op_test t;
    sono_tid outs[2];
    const sono_segment_args sizes = {.max_width_px = MAX_SIDE, .max_height_px = MAX_SIDE};
    const sono_schedule_args args = {.rules = state_reference_rules(), .detect_every = EVERY};
    make_scene(&s);
    sono_op_test_open(&t, 1);
    const sono_tid memory =
        sono_op_test_inout_values(&t, SONO_DTYPE_U8, 1, 1, 1, SONO_MEMORY_BYTES, &s.memory);
    const sono_tid kept = sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, N_KEPT, s.kept);
    const sono_tid header =
        sono_op_test_input_values(&t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof s.header, &s.header);
    const sono_tid followed =
        sono_op_test_inout_values(&t, SONO_DTYPE_U8, 1, 1, 1, SONO_FOLLOWED_BYTES, &(sono_followed){0});
    sono_record_schedule(&t.rec, "schedule", memory, kept, header, followed, &sizes, &args, outs);
    sono_op_test_finish(&t);
    sono_op_test_bench(&t, "schedule");
    sono_op_test_close(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(box_is_recalled),
                                       cmocka_unit_test(detector_runs),
                                       cmocka_unit_test(box_without_extent),
                                       cmocka_unit_test(margins_are_kept),
                                       cmocka_unit_test(doubts),
                                       cmocka_unit_test(detector_is_not_doubted)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/schedule", tests, sizeof tests / sizeof tests[0]);
}
