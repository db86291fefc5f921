// SPDX-License-Identifier: Apache-2.0
/* STATE: streams cut into batches, with placeholders, against a reference that looks back through the whole
 * stream; what is left in the memory; frames without one. */
#include "op_test.h"
#include "state_reference.h"

#include "engine/state_rows.h"

#include <math.h>
#include <string.h>

#define MAX_BATCH 8
#define N_FRAMES  64
#define N_OBJECTS 2
#define START_NS  INT64_C(1700000000000000000)
#define NOT_THESE -7 /* what other objects and spare columns hold */

/* Rows of a batch, as the ops before STATE write them. */
typedef struct batch {
    int32_t n;
    sono_frame_header headers[MAX_BATCH];
    float detections[MAX_BATCH * N_OBJECTS][SONO_DETECTION_FLOATS];
    float iou[MAX_BATCH * N_OBJECTS][4];
    int32_t echo[MAX_BATCH][SONO_ECHO_INTS];
    int32_t agreement[MAX_BATCH][SONO_AGREEMENT_INTS];
} batch;

/* A frame of the stream: what the parts must become, and its rows' other facts. */
typedef struct frame {
    state_reference_frame is;
    uint64_t fingerprint;
} frame;

static int32_t permille(sono_op_test *t, int32_t mood)
{
    return sono_op_test_int(t, 0, 11) ? sono_op_test_int(t, mood, 1000) : -1;
}

static frame any_frame(sono_op_test *t, const frame *last, int64_t *now, int32_t mood)
{
    frame f = {.is.when = {.width_px = 320, .height_px = 200}};
    sono_frame_parts *parts = &f.is.parts;
    *now += sono_op_test_int(t, 0, 30) ? 40000000 : sono_op_test_int(t, -2, 20) * INT64_C(40000000);
    f.is.when.timestamp_ns = sono_op_test_int(t, 0, 20) ? *now : 0;
    f.is.when.begins = sono_op_test_int(t, 0, 30) == 0;
    f.is.when.width_px += sono_op_test_int(t, 0, 30) == 0;
    parts->has_box = sono_op_test_int(t, 0, 999) < 200 + 2 * mood;
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        parts->permille[k] = permille(t, mood);
    if (parts->permille[SONO_QUALITY_SCORE] < 0)
        parts->permille[SONO_QUALITY_SCORE] = 0;
    if (parts->permille[SONO_QUALITY_IOU] < 0 || !parts->has_box)
        parts->permille[SONO_QUALITY_IOU] = parts->has_box ? 0 : -1;
    parts->is_recalled = parts->has_box && sono_op_test_int(t, 0, 2) == 0;
    parts->moved_x = sono_op_test_int(t, -50, 50);
    parts->moved_y = sono_op_test_int(t, -50, 50);
    parts->is_repeat = last && sono_op_test_int(t, 0, 2) == 0;
    f.fingerprint = parts->is_repeat ? last->fingerprint
                                     : (uint64_t)sono_op_test_int(t, 0, INT32_MAX - 1) << 33 |
                                           (uint64_t)sono_op_test_int(t, 0, INT32_MAX - 1);
    return f;
}

static float
middle_of(int32_t permille) /* a float32 whose thousandths are these, whatever way it is rounded */
{
    return ((float)permille + 0.5f) / 1000.0f;
}

static void write_rows(const frame *f, batch *b)
{
    const sono_frame_parts *parts = &f->is.parts;
    const int32_t n = b->n++;
    float *detection = b->detections[n * N_OBJECTS];
    b->headers[n] =
        (sono_frame_header){.width_px = f->is.when.width_px,
                            .height_px = f->is.when.height_px,
                            .timestamp_ns = f->is.when.timestamp_ns,
                            .stream = f->is.when.begins ? SONO_STREAM_BEGINS : SONO_STREAM_GOES_ON};
    detection[4] = middle_of(parts->permille[SONO_QUALITY_SCORE]);
    detection[6] = parts->is_recalled ? -1.0f : (float)n;
    detection[7] = (float)parts->has_box;
    for (int i = 0; i < 4; i++)
        detection[i] = (float)(10 * n + i);
    b->iou[n * N_OBJECTS][0] = middle_of(parts->permille[SONO_QUALITY_IOU]);
    b->echo[n][0] = parts->permille[SONO_QUALITY_SHARPNESS];
    b->echo[n][1] = parts->permille[SONO_QUALITY_CONTRAST];
    b->echo[n][2] = parts->permille[SONO_QUALITY_SHADOW];
    b->echo[n][3] = parts->permille[SONO_QUALITY_CONTINUITY];
    b->echo[n][4] = (int32_t)(uint32_t)f->fingerprint;
    b->echo[n][5] = (int32_t)(uint32_t)(f->fingerprint >> 32);
    b->agreement[n][0] = parts->permille[SONO_QUALITY_AGREEMENT];
    b->agreement[n][1] = parts->permille[SONO_QUALITY_SURFACE];
    b->agreement[n][2] = parts->moved_x;
    b->agreement[n][3] = parts->moved_y;
}

static void clear(batch *b)
{
    memset(b, 0, sizeof *b);
    for (int32_t i = 0; i < MAX_BATCH * N_OBJECTS; i++) {
        for (int k = 0; k < SONO_DETECTION_FLOATS; k++)
            b->detections[i][k] = NOT_THESE;
        for (int k = 0; k < 4; k++)
            b->iou[i][k] = NOT_THESE;
    }
    for (int32_t i = 0; i < MAX_BATCH; i++) {
        for (int k = 0; k < SONO_ECHO_INTS; k++)
            b->echo[i][k] = NOT_THESE;
        for (int k = 0; k < SONO_AGREEMENT_INTS; k++)
            b->agreement[i][k] = NOT_THESE;
    }
}

/* A frame that the batch lacks; all else about it is made to look like a good one. */
static void write_placeholder(batch *b)
{
    const int32_t n = b->n;
    sono_frame_parts good = {.has_box = 1};
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        good.permille[k] = 1000;
    write_rows(&(frame){.is = {good, {START_NS, 320, 200, 0}}, .fingerprint = 5}, b);
    b->headers[n].stream = SONO_STREAM_NO_FRAME;
}

static const sono_verdict of_placeholder = {
    .agreement = -1, .reasons = SONO_STATE_NO_BOX, .parts = {.permille = {-1, -1, -1, -1, -1, -1, -1, -1}}};

typedef struct tensors {
    sono_tid verdict, memory;
} tensors;

static tensors record(sono_op_test *t, const batch *b, const sono_machine_rules *rules,
                      const sono_stream_memory *memory)
{
    const sono_tid detections = sono_op_test_input_values(t, SONO_DTYPE_F32, b->n, 1, N_OBJECTS,
                                                          SONO_DETECTION_FLOATS, b->detections);
    const sono_tid iou = sono_op_test_input_values(t, SONO_DTYPE_F32, b->n * N_OBJECTS, 1, 1, 4, b->iou);
    const sono_tid echo = sono_op_test_input_values(t, SONO_DTYPE_I32, b->n, 1, 1, SONO_ECHO_INTS, b->echo);
    const sono_tid agreement =
        memory ? sono_op_test_input_values(t, SONO_DTYPE_I32, b->n, 1, 1, SONO_AGREEMENT_INTS, b->agreement)
               : 0;
    const sono_tid header = sono_op_test_input_values(t, SONO_DTYPE_U8, b->n, 1, 1,
                                                      (int32_t)sizeof(sono_frame_header), b->headers);
    tensors x = {0};
    if (memory)
        x.memory = sono_op_test_inout_values(t, SONO_DTYPE_U8, 1, 1, 1, SONO_MEMORY_BYTES, memory);
    x.verdict =
        sono_record_state(&t->rec, "state", detections, iou, echo, agreement, header, x.memory, rules, 0);
    sono_record_output(&t->rec, x.verdict);
    return x;
}

static void want_verdicts(sono_op_test *t, sono_tid verdict, const sono_verdict *verdicts, int32_t n)
{
    double *want = sono_op_test_want(t, verdict, sono_op_test_tolerance(SONO_OP_STATE));
    for (int32_t i = 0; i < n * SONO_VERDICT_INTS; i++)
        want[i] = ((const int32_t *)verdicts)[i];
}

/* The memory that a batch leaves, by the machine itself: what is in it shows in the verdicts on later frames,
 * and in check_memory(). */
static void want_memory(sono_op_test *t, sono_tid tensor, const batch *b, const sono_machine_rules *rules,
                        sono_stream_memory memory)
{
    double *want = sono_op_test_want(t, tensor, sono_op_test_tolerance(SONO_OP_STATE));
    sono_verdict verdict;
    for (int32_t n = 0; n < b->n; n++) {
        const sono_state_rows rows = {&b->headers[n], b->detections[n * N_OBJECTS], b->iou[n * N_OBJECTS],
                                      b->echo[n], b->agreement[n]};
        state_judge(rules, &rows, &memory, &verdict);
    }
    for (int32_t i = 0; i < SONO_MEMORY_BYTES; i++)
        want[i] = ((const uint8_t *)&memory)[i];
}

/* Runs one batch; memory: what it finds, then what it leaves. */
static void run_batch(const batch *b, const sono_machine_rules *rules, const sono_verdict *verdicts,
                      sono_stream_memory *memory)
{
    uint8_t left[SONO_MEMORY_BYTES];
    sono_op_test t;
    sono_op_test_open(&t, 1);
    const tensors x = record(&t, b, rules, memory);
    sono_op_test_finish(&t);
    want_verdicts(&t, x.verdict, verdicts, b->n);
    want_memory(&t, x.memory, b, rules, *memory);
    sono_op_test_run(&t);
    for (int32_t i = 0; i < SONO_MEMORY_BYTES; i++)
        left[i] = (uint8_t)sono_op_test_at(&t, x.memory, 0, 0, 0, i);
    memcpy(memory, left, sizeof left);
    sono_op_test_close(&t);
}

/* What AGREEMENT, SHOW_MASK and the next STATE find in the memory after a frame. */
static void check_memory(const sono_stream_memory *memory, const frame *f, int32_t row,
                         const sono_verdict *verdict)
{
    assert_int_equal(memory->state, verdict->state);
    assert_true(memory->fingerprint == f->fingerprint);
    assert_int_equal(memory->has_frame, 1);
    assert_int_equal(memory->width_px, f->is.when.width_px);
    assert_int_equal(memory->height_px, f->is.when.height_px);
    assert_true(memory->timestamp_ns == f->is.when.timestamp_ns);
    assert_int_equal(memory->has_mask, verdict->state != SONO_STATE_LOST && f->is.parts.has_box &&
                                           f->is.parts.permille[SONO_QUALITY_CONTINUITY] >= 0);
    assert_int_equal(memory->n_recalled > 0, f->is.parts.is_recalled);
    assert_float_equal(memory->box[3], 10 * row + 3, 0);
    assert_float_equal(memory->score, middle_of(f->is.parts.permille[SONO_QUALITY_SCORE]), 0);
}

static void check_stream(uint64_t seed, int32_t batch_size)
{
    static frame frames[N_FRAMES];
    static state_reference_frame told[N_FRAMES];
    static sono_verdict verdicts[N_FRAMES];
    const sono_machine_rules rules = state_reference_rules();
    sono_stream_memory memory = {0};
    sono_op_test random;
    int64_t now = START_NS;
    sono_op_test_open(&random, seed);
    for (int32_t i = 0, mood = 400; i < N_FRAMES; i++) {
        mood = sono_op_test_int(&random, 0, 9) ? mood : sono_op_test_int(&random, 0, 2) * 200;
        frames[i] = any_frame(&random, i ? &frames[i - 1] : NULL, &now, mood);
        told[i] = frames[i].is;
    }
    state_reference(&rules, told, N_FRAMES, verdicts);
    for (int32_t i = 0; i < N_FRAMES;) {
        sono_verdict want[MAX_BATCH];
        batch b;
        int32_t last_row = -1;
        clear(&b);
        while (b.n < batch_size) {
            const int is_frame = i < N_FRAMES && sono_op_test_int(&random, 0, 5) > 0;
            want[b.n] = is_frame ? verdicts[i] : of_placeholder;
            if (is_frame) {
                last_row = b.n;
                write_rows(&frames[i++], &b);
            } else {
                write_placeholder(&b);
            }
        }
        run_batch(&b, &rules, want, &memory);
        if (last_row >= 0)
            check_memory(&memory, &frames[i - 1], last_row, &verdicts[i - 1]);
    }
    sono_op_test_close(&random);
}

static void streams_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        check_stream(seed, 1);
        check_stream(seed, 3);
        check_stream(seed, MAX_BATCH);
    }
}

/* One frame a row, and no memory; scores beyond their range, too. */
static void frames_alone_agree(void **state)
{
    static const float scores[MAX_BATCH] = {0.9994f, 1.0f, 1.5f, -0.5f, NAN, INFINITY, 0.5f, 0.0004f};
    static const int32_t permille_of[MAX_BATCH] = {999, 1000, 1000, 0, 0, 1000, 500, 0};
    static const int32_t weights[SONO_QUALITY_PARTS] = {300, 100, 100, 200, 100, 200};
    sono_machine_rules rules = state_reference_rules();
    sono_verdict want[MAX_BATCH];
    sono_frame_parts parts = {.has_box = 1};
    batch b;
    sono_op_test t;
    (void)state;
    clear(&b);
    rules.mode = SONO_STATE_BY_FRAME;
    rules.on = 600;
    rules.off = 400;
    rules.bias = 0;
    memcpy(rules.weight, weights, sizeof weights);
    const int32_t varied = rules.weight[SONO_QUALITY_SCORE] + rules.weight[SONO_QUALITY_IOU];
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        parts.permille[k] = k >= SONO_QUALITY_AGREEMENT ? -1 : 700;
    for (int32_t i = 0; i < MAX_BATCH; i++) {
        write_rows(&(frame){.is = {parts, {START_NS, 320, 200, 0}}}, &b);
        b.detections[i * N_OBJECTS][4] = b.iou[i * N_OBJECTS][0] = scores[i];
        const int32_t quality = (varied * permille_of[i] + (1000 - varied) * 700) / 1000;
        want[i] = (sono_verdict){.state = quality >= rules.on    ? SONO_STATE_VISIBLE
                                          : quality >= rules.off ? SONO_STATE_RELOCALIZING
                                                                 : SONO_STATE_LOST,
                                 .quality = quality,
                                 .agreement = -1,
                                 .reasons = quality >= rules.on ? 0 : SONO_STATE_LOW_QUALITY,
                                 .parts = parts};
        want[i].parts.permille[SONO_QUALITY_SCORE] = want[i].parts.permille[SONO_QUALITY_IOU] =
            permille_of[i];
    }
    sono_op_test_open(&t, 1);
    const tensors x = record(&t, &b, &rules, NULL);
    sono_op_test_finish(&t);
    want_verdicts(&t, x.verdict, want, b.n);
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void bench(void)
{
    static const int32_t sizes[] = {1, MAX_BATCH};
    const sono_machine_rules rules = state_reference_rules();
    const sono_stream_memory memory = {0};
    for (int i = 0; i < 2; i++) {
        sono_op_test t;
        batch b;
        clear(&b);
        while (b.n < sizes[i]) {
            write_placeholder(&b);
            b.headers[b.n - 1].stream = SONO_STREAM_GOES_ON;
        }
        sono_op_test_open(&t, 1);
        record(&t, &b, &rules, &memory);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "state, 8 frames" : "state, 1 frame");
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(streams_agree), cmocka_unit_test(frames_alone_agree)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/state", tests, sizeof tests / sizeof tests[0]);
}
