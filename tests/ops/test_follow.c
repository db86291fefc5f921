// SPDX-License-Identifier: Apache-2.0
/* FOLLOW_BOX behind SELECT_BOXES: bones that take turns, vanish and come, streams that begin anew, and random
 * streams cut into batches, against a reference in double precision. */
#include "op_test.h"

#include "engine/follow.h"

#include <math.h>
#include <string.h>

#define MAX_FRAMES 64
#define N_QUERIES  9
#define N_CLASSES  2
#define MAX_ROWS   3
#define START_NS   INT64_C(1700000000000000000)
#define STEP_NS    INT64_C(40000000)
#define THRESHOLD  0.3f
#define GAP_MS     500

static const sono_machine_rules rules = {
    .mode = SONO_STATE_BY_STREAM, .gap_ms = GAP_MS, .default_dt_ms = 2 * GAP_MS};

/* Boxes are multiples of 1/64 (their sides of 1/32) of sizes below 1024 px, so that float32 holds their
 * corners. */
typedef struct frame {
    float logits[N_QUERIES][N_CLASSES], boxes[N_QUERIES][4];
    sono_frame_header header;
} frame;

/* What the reference remembers. */
typedef struct memory {
    int has_frame, has_box;
    int64_t frame_ns, box_ns;
    int32_t width, height, class_id;
    double box[4];
} memory;

/* ---- reference ---- */

typedef struct found {
    double logit, row[SONO_DETECTION_FLOATS]; /* logit: NaN when there is none */
} found;

static found found_of(const frame *f, int32_t q)
{
    found x = {.logit = NAN, .row = {[6] = q}};
    double size[2] = {f->header.width_px, f->header.height_px}, sum = 0;
    for (int32_t c = 0; c < N_CLASSES; c++) {
        if (f->logits[q][c] > x.logit || (isnan(x.logit) && !isnan(f->logits[q][c]))) {
            x.logit = f->logits[q][c];
            x.row[5] = c;
        }
    }
    x.row[4] = isnan(x.logit) ? 0 : 1 / (1 + exp(-x.logit));
    for (int i = 0; i < 4; i++)
        sum += fabs((double)f->boxes[q][i]);
    if (isnan(x.logit) || x.row[4] < (double)f->header.threshold || !isfinite(sum))
        return x;
    x.row[7] = 1;
    for (int i = 0; i < 4; i++) {
        const double side = f->boxes[q][2 + i % 2];
        const double edge = (f->boxes[q][i % 2] + (i < 2 ? -0.5 : 0.5) * side) * size[i % 2];
        x.row[i] = fmin(fmax(edge, 0), size[i % 2] - 1);
    }
    return x;
}

static int goes_before(const found *a, const found *b)
{
    if (isnan(a->logit) != isnan(b->logit))
        return isnan(b->logit);
    if (!isnan(a->logit) && a->logit != b->logit)
        return a->logit > b->logit;
    return a->row[6] < b->row[6];
}

static double area_of(const double box[4])
{
    return fmax(box[2] - box[0], 0) * fmax(box[3] - box[1], 0);
}

static int overlaps(const double a[4], const double b[4])
{
    const double both[4] = {fmax(a[0], b[0]), fmax(a[1], b[1]), fmin(a[2], b[2]), fmin(a[3], b[3])};
    return area_of(both) > 0 && 10 * area_of(both) >= 3 * (area_of(a) + area_of(b) - area_of(both));
}

static int goes_on(const memory *m, int64_t then_ns, const sono_frame_header *h)
{
    if (!m->has_frame || h->stream == SONO_STREAM_BEGINS || h->width_px != m->width ||
        h->height_px != m->height)
        return 0;
    return !then_ns || !h->timestamp_ns ||
           (h->timestamp_ns >= then_ns && h->timestamp_ns - then_ns <= GAP_MS * INT64_C(1000000));
}

/* The frame's rows: all queries in order, then one of them moved to the front. */
static void reference(memory *m, const frame *f, found sorted[N_QUERIES])
{
    int32_t first = 0;
    for (int32_t q = 0; q < N_QUERIES; q++) {
        const found x = found_of(f, q);
        int32_t at = q;
        for (; at > 0 && goes_before(&x, &sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = x;
    }
    if (f->header.stream == SONO_STREAM_NO_FRAME)
        return;
    m->has_box = m->has_box && goes_on(m, m->frame_ns, &f->header) && goes_on(m, m->box_ns, &f->header);
    for (int32_t i = N_QUERIES - 1; m->has_box && i >= 0; i--) {
        const double *row = sorted[i].row;
        if (row[7] != 0 && row[5] == m->class_id && row[4] >= 0.6 * sorted[0].row[4] && overlaps(m->box, row))
            first = i;
    }
    const found x = sorted[first];
    memmove(sorted + 1, sorted, (size_t)first * sizeof *sorted);
    sorted[0] = x;
    m->has_frame = 1;
    m->frame_ns = f->header.timestamp_ns;
    m->width = f->header.width_px;
    m->height = f->header.height_px;
    if (x.row[7] == 0)
        return;
    m->has_box = 1;
    m->box_ns = m->frame_ns;
    m->class_id = (int32_t)x.row[5];
    memcpy(m->box, x.row, sizeof m->box);
}

/* ---- running ---- */

static void want_followed(sono_op_test *t, sono_tid tensor, const memory *m)
{
    double *want = sono_op_test_want(t, tensor, 0);
    const sono_followed kept = {.timestamp_ns = m->frame_ns,
                                .box_ns = m->box_ns,
                                .x1 = (float)m->box[0],
                                .y1 = (float)m->box[1],
                                .x2 = (float)m->box[2],
                                .y2 = (float)m->box[3],
                                .class_id = m->class_id,
                                .width_px = m->width,
                                .height_px = m->height,
                                .has_box = m->has_box};
    for (size_t i = 0; i < sizeof kept; i++)
        want[i] = ((const uint8_t *)&kept)[i];
}

typedef struct tensors {
    sono_tid detections, followed;
} tensors;

static tensors record(sono_op_test *t, const frame *frames, int32_t n, int32_t n_rows,
                      const sono_followed *kept)
{
    static float logits[MAX_FRAMES][N_QUERIES][N_CLASSES], boxes[MAX_FRAMES][N_QUERIES][4];
    static sono_frame_header headers[MAX_FRAMES];
    for (int32_t i = 0; i < n; i++) {
        memcpy(logits[i], frames[i].logits, sizeof logits[i]);
        memcpy(boxes[i], frames[i].boxes, sizeof boxes[i]);
        headers[i] = frames[i].header;
    }
    const sono_tid l = sono_op_test_input_values(t, SONO_DTYPE_F32, n, 1, N_QUERIES, N_CLASSES, logits);
    const sono_tid b = sono_op_test_input_values(t, SONO_DTYPE_F32, n, 1, N_QUERIES, 4, boxes);
    const sono_tid header =
        sono_op_test_input_values(t, SONO_DTYPE_U8, n, 1, 1, (int32_t)sizeof *headers, headers);
    tensors x;
    t->rec.precise = 1;
    x.followed = sono_op_test_inout_values(t, SONO_DTYPE_U8, 1, 1, 1, SONO_FOLLOWED_BYTES, kept);
    x.detections = sono_record_select(&t->rec, "detections", l, b, header, n_rows, 0);
    sono_record_follow(&t->rec, "follow", l, b, header, x.detections, x.followed, &rules);
    sono_record_output(&t->rec, x.detections);
    sono_op_test_finish(t);
    return x;
}

/* One batch; kept: what it finds, then what it leaves. first: the query that comes first in each frame. */
static void run_batch(const frame *frames, int32_t n, int32_t n_rows, memory *m, sono_followed *kept,
                      int32_t *first)
{
    uint8_t left[SONO_FOLLOWED_BYTES];
    sono_op_test t;
    sono_op_test_open(&t, 1);
    const tensors x = record(&t, frames, n, n_rows, kept);
    double *want = sono_op_test_want(&t, x.detections, sono_op_test_tolerance(SONO_OP_FOLLOW_BOX));
    for (int32_t i = 0; i < n; i++) {
        found sorted[N_QUERIES];
        reference(m, &frames[i], sorted);
        first[i] = (int32_t)sorted[0].row[6];
        for (int32_t k = 0; k < n_rows; k++, want += SONO_DETECTION_FLOATS)
            memcpy(want, sorted[k].row, sizeof sorted[k].row);
    }
    want_followed(&t, x.followed, m);
    sono_op_test_run(&t);
    for (int32_t i = 0; i < SONO_FOLLOWED_BYTES; i++)
        left[i] = (uint8_t)sono_op_test_at(&t, x.followed, 0, 0, 0, i);
    memcpy(kept, left, sizeof left);
    sono_op_test_close(&t);
}

/* The whole stream, in batches. */
static void run_stream(const frame *frames, int32_t n, int32_t batch, int32_t n_rows, int32_t *first)
{
    memory m = {0};
    sono_followed kept = {0};
    for (int32_t i = 0; i < n; i += batch)
        run_batch(frames + i, n - i < batch ? n - i : batch, n_rows, &m, &kept, first + i);
}

/* ---- scenes ---- */

static void put_box(frame *f, int32_t q, int32_t cx, int32_t cy, int32_t w, int32_t h)
{
    const float box[4] = {(float)cx / 64, (float)cy / 64, (float)w / 32, (float)h / 32};
    memcpy(f->boxes[q], box, sizeof box);
}

/* Queries 0 and 1: bones beside one another, classes 0. The others: nothing, far from both. */
static frame scene(int32_t i, float logit_0, float logit_1)
{
    frame f = {.header = {.width_px = 640,
                          .height_px = 480,
                          .threshold = THRESHOLD,
                          .timestamp_ns = START_NS + i * STEP_NS}};
    for (int32_t q = 0; q < N_QUERIES; q++) {
        put_box(&f, q, 32, 60, 1, 1);
        f.logits[q][0] = f.logits[q][1] = -9;
    }
    put_box(&f, 0, 16, 20, 8, 4);
    put_box(&f, 1, 48, 24, 8, 4);
    f.logits[0][0] = logit_0;
    f.logits[1][0] = logit_1;
    return f;
}

/* wanted: the first query of each frame; 9 = no matter. */
static void expect(const frame *frames, int32_t n, const char *wanted)
{
    static const int32_t rows[] = {1, MAX_ROWS};
    assert_int_equal(strlen(wanted), n);
    for (int k = 0; k < 2; k++) {
        for (int32_t batch = 1; batch <= n; batch += n - 1) {
            int32_t first[MAX_FRAMES];
            run_stream(frames, n, batch, rows[k], first);
            for (int32_t i = 0; i < n; i++)
                if (wanted[i] != '9' && first[i] != wanted[i] - '0')
                    fail_msg("%s, batches of %d: frame %d begins with query %d", wanted, batch, i, first[i]);
        }
    }
}

/* Scores 0.73 and 0.75, in turns. */
static void bones_that_flip(void **state)
{
    frame frames[6];
    (void)state;
    for (int32_t i = 0; i < 6; i++)
        frames[i] = scene(i, i % 2 ? 1 : 1.1f, i % 2 ? 1.1f : 1);
    expect(frames, 6, "000000");
}

/* The one that was followed goes: the other one is, and stays so. */
static void a_bone_that_vanishes(void **state)
{
    const frame frames[] = {scene(0, 2, 1), scene(1, 1, 2), scene(2, -9, 1), scene(3, 3, 2), scene(4, 3, 2)};
    (void)state;
    expect(frames, 5, "00111");
}

/* sigmoid(0) is 0.5: 0.6 of 0.83, not of 0.84. */
static void a_stronger_newcomer(void **state)
{
    const float below = logf(0.83f / 0.17f), above = logf(0.84f / 0.16f);
    const frame frames[] = {scene(0, 0, -1), scene(1, 0, below), scene(2, 0, above), scene(3, 1, below)};
    (void)state;
    expect(frames, 4, "0011");
}

/* A frame without a box keeps it, until it is gap_ms old. */
static void frames_without_a_box(void **state)
{
    frame frames[] = {scene(0, 2, 1),    scene(1, -9, -9),  scene(12, 1, 2),
                      scene(13, -9, -9), scene(24, -9, -9), scene(25, 1, 2)};
    (void)state;
    expect(frames, 6, "090991");
    frames[0] = scene(0, 2, 1);
    frames[1].header.timestamp_ns = 0;
    frames[2].header.timestamp_ns = START_NS + GAP_MS * INT64_C(1000000);
    expect(frames, 3, "090");
    frames[2].header.timestamp_ns++;
    expect(frames, 3, "091");
}

/* Whatever ends a stream ends following. */
static void streams_that_begin(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        frame frames[] = {scene(0, 2, 1), scene(1, 1, 2), scene(2, 1, 2)};
        sono_frame_header *h = &frames[2].header;
        h->width_px += i == 1;
        h->height_px -= i == 2;
        h->stream = i == 3 ? SONO_STREAM_BEGINS : SONO_STREAM_GOES_ON;
        h->timestamp_ns += i == 4 ? 13 * STEP_NS : i == 5 ? -STEP_NS - 1 : 0;
        expect(frames, 3, i ? "001" : "000");
    }
}

/* Unknown timestamps go on, equal ones too. */
static void streams_without_time(void **state)
{
    frame frames[] = {scene(0, 2, 1), scene(1, 1, 2), scene(2, 1, 2), scene(100, 1, 2)};
    (void)state;
    frames[1].header.timestamp_ns = frames[0].header.timestamp_ns;
    frames[2].header.timestamp_ns = 0;
    expect(frames, 4, "0000");
}

/* Neither reordered nor remembered, whatever it holds. */
static void placeholders_change_nothing(void **state)
{
    frame frames[] = {scene(0, 2, 1), scene(1, 1, 2), scene(50, 1, 2), scene(2, 1, 2)};
    (void)state;
    frames[1].header.stream = frames[2].header.stream = SONO_STREAM_NO_FRAME;
    frames[2].header.width_px = 7;
    expect(frames, 4, "0110");
}

/* Scores below the threshold and not a number, another class, a box that is not finite or has no area. */
static void queries_that_cannot_be_first(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        frame frames[] = {scene(0, 2, 1), scene(1, 1, 1.1f)};
        frame *f = &frames[1];
        if (i == 1) {
            f->logits[0][0] = -1;
            f->logits[1][0] = -0.84f; /* the threshold is at -0.847 */
        } else if (i == 2) {
            f->logits[0][0] = f->logits[0][1] = NAN;
        } else if (i == 3) {
            f->logits[0][1] = 1.05f;
        } else if (i == 4) {
            f->boxes[0][1] = NAN;
        } else if (i == 5) {
            f->boxes[0][2] = INFINITY;
        } else if (i == 6) {
            f->boxes[0][3] = 0;
        }
        expect(frames, 2, i ? "01" : "00");
    }
}

/* The best query has an infinite logit and no box: what is followed comes first, if it is good enough. */
static void a_best_query_without_a_box(void **state)
{
    frame frames[] = {scene(0, 2, 1), scene(1, 1, 2), scene(2, 0, 2)};
    (void)state;
    for (int i = 1; i < 3; i++) {
        frames[i].logits[5][0] = INFINITY;
        frames[i].boxes[5][0] = NAN;
    }
    expect(frames, 3, "005");
}

/* Of several that overlap: the best one, of equal ones the lower query. IoU 3 / 10 is enough, less is not. */
static void several_that_overlap(void **state)
{
    frame frames[] = {scene(0, 2, 1), scene(1, 1, 1.4f), scene(1, 1, 2)};
    (void)state;
    frames[1].logits[7][0] = frames[1].logits[4][0] = 1.2f;
    put_box(&frames[1], 7, 17, 20, 8, 4);
    put_box(&frames[1], 4, 16, 21, 8, 4);
    put_box(&frames[2], 0, 16, 20, 13, 4);
    put_box(&frames[2], 6, 16, 21, 7, 3);
    frames[2].logits[6][0] = 0.9f;
    expect(frames, 2, "04");
    expect(frames, 3, "040");
    frame pair[] = {scene(0, 2, 1), scene(1, 1, 2)};
    put_box(&pair[0], 0, 20, 20, 10, 4);
    put_box(&pair[1], 0, 20, 20, 3, 4); /* 3 of 10 */
    expect(pair, 2, "00");
    put_box(&pair[0], 0, 20, 20, 11, 4);
    expect(pair, 2, "01");
    put_box(&pair[0], 0, 20, 20, 10, 0); /* valid, but nothing overlaps it */
    put_box(&pair[1], 0, 20, 20, 10, 0);
    expect(pair, 2, "01");
}

static int odds(sono_op_test *t, int32_t one_in)
{
    return sono_op_test_int(t, 1, one_in) == 1;
}

/* Three bones that move, and copies of them beside them. */
static frame any_frame(sono_op_test *t, int64_t *now)
{
    static const float strange[] = {NAN, INFINITY, -INFINITY, -9};
    frame f = scene(0, 0, 0);
    *now += odds(t, 12) ? sono_op_test_int(t, -2, 14) * STEP_NS : STEP_NS;
    f.header.timestamp_ns = odds(t, 12) ? 0 : *now;
    f.header.width_px += odds(t, 25);
    f.header.stream = odds(t, 25)  ? SONO_STREAM_BEGINS
                      : odds(t, 8) ? SONO_STREAM_NO_FRAME
                                   : SONO_STREAM_GOES_ON;
    f.header.threshold = odds(t, 20) ? 1 : THRESHOLD;
    for (int32_t q = 0; q < N_QUERIES; q++) {
        const int32_t bone = q % 3;
        put_box(&f, q, 10 + 14 * bone + sono_op_test_int(t, -2, 2), 20 + sono_op_test_int(t, -2, 2),
                sono_op_test_int(t, 5, 9), sono_op_test_int(t, 3, 5));
        for (int32_t c = 0; c < N_CLASSES; c++)
            f.logits[q][c] = odds(t, 30)  ? strange[sono_op_test_int(t, 0, 3)]
                             : odds(t, 4) ? 0.5f
                                          : (float)sono_op_test_uniform(t, -2.5, 2);
        if (odds(t, 20))
            f.boxes[q][sono_op_test_int(t, 0, 3)] = strange[sono_op_test_int(t, 0, 2)];
    }
    return f;
}

static void random_streams_agree(void **state)
{
    static const int32_t batches[] = {1, 3, 8, MAX_FRAMES};
    int32_t n_followed = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static frame frames[MAX_FRAMES];
        int32_t first[MAX_FRAMES];
        int64_t now = START_NS;
        sono_op_test random;
        sono_op_test_open(&random, seed);
        for (int32_t i = 0; i < MAX_FRAMES; i++)
            frames[i] = any_frame(&random, &now);
        sono_op_test_close(&random);
        run_stream(frames, MAX_FRAMES, batches[seed % 4], seed % 3 ? MAX_ROWS : 1, first);
        for (int32_t i = 0; i < MAX_FRAMES; i++) {
            found best = found_of(&frames[i], 0);
            for (int32_t q = 1; q < N_QUERIES; q++) {
                const found x = found_of(&frames[i], q);
                best = goes_before(&x, &best) ? x : best;
            }
            n_followed += first[i] != (int32_t)best.row[6];
        }
    }
    assert_true(n_followed > 12 * MAX_FRAMES / 10); /* the streams try what they are for */
}

static void bench(void)
{
    const frame frames[] = {scene(0, 2, 1), scene(1, 1, 2)};
    const sono_followed kept = {0};
    for (int32_t n = 1; n <= 2; n++) {
        sono_op_test t;
        sono_op_test_open(&t, 1);
        record(&t, frames, n, MAX_ROWS, &kept);
        sono_op_test_bench(&t, n == 1 ? "select and follow, 1 frame" : "select and follow, 2 frames");
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bones_that_flip),
        cmocka_unit_test(a_bone_that_vanishes),
        cmocka_unit_test(a_stronger_newcomer),
        cmocka_unit_test(frames_without_a_box),
        cmocka_unit_test(streams_that_begin),
        cmocka_unit_test(streams_without_time),
        cmocka_unit_test(placeholders_change_nothing),
        cmocka_unit_test(queries_that_cannot_be_first),
        cmocka_unit_test(a_best_query_without_a_box),
        cmocka_unit_test(several_that_overlap),
        cmocka_unit_test(random_streams_agree),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/follow", tests, sizeof tests / sizeof tests[0]);
}
