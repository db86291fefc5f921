// SPDX-License-Identifier: Apache-2.0
/* The figures of `sonoseg evaluate --sequence` on sequences whose answers are worked by hand. Frames are 40
 * ms apart.
 */
#include "sequence.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define STEP_MS    40
#define MAX_FRAMES 400
#define V          SONO_STATE_VISIBLE
#define L          SONO_STATE_LOST
#define R          SONO_STATE_RELOCALIZING

typedef struct story {
    sequence_frame frames[MAX_FRAMES];
    uint8_t states[MAX_FRAMES];
    size_t n;
    int32_t sweep;
} story;

typedef enum truth { HIDDEN, SHOWN, BORDERLINE, UNKNOWN } truth_kind;

/* n more frames of one truth and one state. */
static void tell(story *self, int n, truth_kind truth, sono_state state)
{
    for (int i = 0; i < n; i++) {
        assert_in_range(self->n, 0, MAX_FRAMES - 1);
        self->frames[self->n] = (sequence_frame){
            .sweep = self->sweep,
            .time_ns = (int64_t)(self->n + 1) * STEP_MS * 1000000,
            .has_truth = truth != UNKNOWN,
            .is_visible = truth == SHOWN,
            .is_borderline = truth == BORDERLINE,
            .surface_jitter_mm = (double)NAN,
        };
        self->states[self->n++] = (uint8_t)state;
    }
}

static sequence_figures summarise(const story *self, int32_t kind)
{
    sequence_figures figures;
    assert_int_equal(sequence_summarise(self->frames, self->states, self->n, kind, &figures), 0);
    return figures;
}

static void expect(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-9) && !(isnan(actual) && isnan(expected)))
        fail_msg("%.12f is not %.12f", actual, expected);
}

/* Shown for 25 frames, gone for 10, back for 25. Truth settles 13 frames into a run: frames 13 to 24, none,
 * and 48 to 59. */
static void test_loss_and_return(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 5, SHOWN, R);
    tell(&self, 20, SHOWN, V);
    tell(&self, 2, HIDDEN, V);
    tell(&self, 2, HIDDEN, R);
    tell(&self, 6, HIDDEN, L);
    tell(&self, 3, SHOWN, L);
    tell(&self, 4, SHOWN, R);
    tell(&self, 10, SHOWN, V);
    tell(&self, 1, SHOWN, R); /* frame 52 */
    tell(&self, 7, SHOWN, V);
    const sequence_figures figures = summarise(&self, SEQUENCE_ALL_KINDS);
    assert_int_equal(figures.n_frames, 60);
    assert_int_equal(figures.n_sweeps, 1);
    assert_int_equal(figures.n_wanted, 50);
    assert_int_equal(figures.n_unwanted, 10);
    expect(figures.false_share, 2.0 / 10);
    expect(figures.missed_share, 13.0 / 50);
    expect(figures.missed_settled_share, 1.0 / 24);
    expect(figures.false_settled_share, (double)NAN);
    assert_int_equal(figures.to_hidden.n, 1);
    expect(figures.to_hidden.median_ms, 2 * STEP_MS);
    expect(figures.to_lost.worst_ms, 4 * STEP_MS);
    assert_int_equal(figures.to_visible.n, 1); /* the sweep's start is no return */
    expect(figures.to_visible.p95_ms, 7 * STEP_MS);
    expect(figures.settled_min, 24 * STEP_MS / 60e3);
    expect(figures.flicker_per_min, 2 / (24 * STEP_MS / 60e3));
    expect(figures.visible_flicker_per_min, figures.flicker_per_min);
    expect(figures.state_share[L], 9.0 / 60);
    expect(figures.state_share[R], 12.0 / 60);
}

/* What is never reached counts as long as the run lasts: to the next run's first frame, or one step behind
 * the sweep's last. Another sweep's frames do not help. */
static void test_unresolved(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 5, SHOWN, V);
    tell(&self, 3, HIDDEN, V);
    tell(&self, 4, SHOWN, R);
    tell(&self, 6, HIDDEN, R);
    self.sweep = 1;
    tell(&self, 4, HIDDEN, L);
    const sequence_figures figures = summarise(&self, SEQUENCE_ALL_KINDS);
    assert_int_equal(figures.n_sweeps, 2);
    assert_int_equal(figures.to_hidden.n, 2);
    assert_int_equal(figures.to_hidden.n_unresolved, 1);
    expect(figures.to_hidden.worst_ms, 3 * STEP_MS);
    expect(figures.to_hidden.median_ms, 1.5 * STEP_MS);
    assert_int_equal(figures.to_lost.n_unresolved, 2);
    expect(figures.to_lost.worst_ms, 6 * STEP_MS);
    assert_int_equal(figures.to_visible.n_unresolved, 1);
    expect(figures.to_visible.worst_ms, 4 * STEP_MS);
}

/* Borderline frames are in no share, end no run, and the truth behind them has to settle again. */
static void test_borderline(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 14, SHOWN, V); /* the last one has settled */
    tell(&self, 3, BORDERLINE, R);
    tell(&self, 13, SHOWN, V); /* none has */
    tell(&self, 2, BORDERLINE, V);
    tell(&self, 20, HIDDEN, L);
    const sequence_figures figures = summarise(&self, SEQUENCE_ALL_KINDS);
    assert_int_equal(figures.n_borderline, 5);
    assert_int_equal(figures.n_wanted, 27);
    expect(figures.missed_share, 0);
    expect(figures.false_share, 0);
    assert_int_equal(figures.to_hidden.n, 1);
    expect(figures.to_hidden.worst_ms, 0);
    assert_int_equal(figures.to_visible.n, 0);
    expect(figures.to_visible.median_ms, (double)NAN);
    expect(figures.settled_min, 8 * STEP_MS / 60e3);
    expect(figures.flicker_per_min, 0);
}

/* A frozen image may be VISIBLE for 250 ms; what follows is a loss that asks for no LOST, and thawing a
 * return. */
static void test_frozen(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 10, SHOWN, V);
    tell(&self, 12, SHOWN, V);
    tell(&self, 10, SHOWN, V);
    for (int i = 0; i < 12; i++) {
        self.frames[10 + i].stale_ms = i * STEP_MS; /* above 250 from the 7th on */
        self.frames[10 + i].kind = 3;
        self.states[10 + i] = i >= 8 ? R : V;
    }
    self.states[22] = self.states[23] = R;
    const sequence_figures all = summarise(&self, SEQUENCE_ALL_KINDS), frozen = summarise(&self, 3);
    assert_int_equal(all.n_stale, 5);
    assert_int_equal(all.n_unwanted, 5);
    expect(all.stale_share, 1.0 / 5);
    expect(all.false_share, 1.0 / 5);
    expect(all.missed_share, 2.0 / 27);
    assert_int_equal(all.to_hidden.n, 1);
    expect(all.to_hidden.worst_ms, STEP_MS);
    assert_int_equal(all.to_lost.n, 0);
    expect(all.to_visible.worst_ms, 2 * STEP_MS);
    /* By kind: the event's 12 frames and all 10 behind it, which are within 500 ms. */
    assert_int_equal(frozen.n_frames, 22);
    assert_int_equal(frozen.to_visible.n, 1);
    assert_int_equal(summarise(&self, 0).n_frames, 10);
    assert_int_equal(summarise(&self, 0).to_hidden.n, 0);
    assert_int_equal(summarise(&self, 2).n_frames, 0);
}

/* Without truth every frame counts as settled, and only states and jitter are there. */
static void test_without_truth(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 4, UNKNOWN, V);
    tell(&self, 1, UNKNOWN, L);
    tell(&self, 6, UNKNOWN, V);
    for (size_t i = 0; i < self.n; i++) {
        self.frames[i].has_box = self.states[i] == V;
        self.frames[i].is_still = 1;
        self.frames[i].bbox_xyxy_px[2] = i % 2 ? 10.5f : 10;
    }
    self.frames[9].is_still = 0;
    self.frames[9].bbox_xyxy_px[0] = 40;
    self.frames[10].bbox_xyxy_px[0] = 40;
    const sequence_figures figures = summarise(&self, SEQUENCE_ALL_KINDS);
    expect(figures.flicker_per_min, 2 / (10 * STEP_MS / 60e3));
    expect(figures.false_share, (double)NAN);
    expect(figures.missed_share, (double)NAN);
    expect(figures.box_jitter_px, 0.5);
    expect(figures.box_jitter95_px, 0.5);
    expect(figures.surface_jitter_mm, (double)NAN);
}

/* The box's jitter is against the truth's own motion; the surface's error is pooled over the columns of
 * VISIBLE frames that want it. */
static void test_box_and_surface(void **state)
{
    (void)state;
    story self = {0};
    tell(&self, 3, SHOWN, V);
    tell(&self, 1, SHOWN, L);
    for (size_t i = 0; i < 4; i++) {
        sequence_frame *frame = &self.frames[i];
        frame->has_box = 1;
        for (int k = 0; k < 4; k++) {
            frame->true_bbox_xyxy_px[k] = (float)(10 * i);
            frame->bbox_xyxy_px[k] = (float)(10 * i) + (i == 2 ? 3 : 1);
        }
        frame->n_true_columns = 100;
        frame->surface_jitter_mm = 0.5 * (double)i;
        frame->surface_bins[0] = i < 3 ? 30 : 0; /* [0, 0.02) mm */
        frame->surface_bins[10] = 20;            /* [0.2, 0.22) mm */
        frame->surface_bins[50] = i == 3 ? 40 : 0;
    }
    const sequence_figures figures = summarise(&self, SEQUENCE_ALL_KINDS);
    expect(figures.box_jitter_px, 1); /* of 0 and 2 */
    expect(figures.surface_jitter_mm, 0.75);
    assert_int_equal(figures.n_columns, 150);
    expect(figures.surface_coverage, 0.5);
    expect(figures.surface_median_mm, 75.0 / 90 * 0.02);
    expect(figures.surface95_mm, 0.2 + 52.5 / 60 * 0.02);
}

/* Values 0.9 0.8 0.8 0.3 wanted, 0.8 0.2 0.1 not: of 12 pairs 3 + 2.5 + 2.5 + 2 are the right way round. */
static void test_roc(void **state)
{
    (void)state;
    static const double wanted[] = {0.9, 0.8, 0.8, 0.3}, unwanted[] = {0.8, 0.2, 0.1};
    story self = {0};
    sequence_roc roc;
    tell(&self, 4, SHOWN, V);
    tell(&self, 3, HIDDEN, L);
    tell(&self, 1, SHOWN, V);
    tell(&self, 1, BORDERLINE, V);
    for (size_t i = 0; i < 4; i++)
        self.frames[i].score = wanted[i];
    for (size_t i = 0; i < 3; i++)
        self.frames[4 + i].score = unwanted[i];
    self.frames[7].stale_ms = SEQUENCE_STALE_MS + 1; /* no single frame tells */
    self.frames[8].score = 0.5;
    assert_int_equal(sequence_rate(self.frames, self.n, 0, &roc), 0);
    assert_int_equal(roc.n_wanted, 4);
    assert_int_equal(roc.n_unwanted, 3);
    expect(roc.area, 10.0 / 12);
    expect(roc.points[0].false_share, 1);
    expect(roc.points[80].threshold, 0.8);
    expect(roc.points[80].true_share, 0.75);
    expect(roc.points[80].false_share, 1.0 / 3);
    expect(roc.points[100].true_share, 0);
    assert_int_equal(sequence_rate(self.frames, self.n, 1, &roc), 0);
    expect(roc.area, 0.5); /* all qualities are 0 */
    assert_int_equal(sequence_rate(self.frames, 4, 0, &roc), 0);
    expect(roc.area, (double)NAN);
}

static void test_threshold(void **state)
{
    (void)state;
    story self = {0};
    uint8_t states[3];
    tell(&self, 3, SHOWN, R);
    self.frames[0].score = 0.29;
    self.frames[1].score = 0.3;
    self.frames[2].score = 1;
    sequence_states_by_score(self.frames, 3, 0.3, states);
    assert_int_equal(states[0], L);
    assert_int_equal(states[1], V);
    assert_int_equal(states[2], V);
}

static void test_nothing(void **state)
{
    (void)state;
    sequence_figures figures;
    assert_int_equal(sequence_summarise(NULL, NULL, 0, SEQUENCE_ALL_KINDS, &figures), 0);
    assert_int_equal(figures.n_frames, 0);
    expect(figures.false_share, (double)NAN);
    expect(figures.flicker_per_min, (double)NAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_and_return),
        cmocka_unit_test(test_unresolved),
        cmocka_unit_test(test_borderline),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_without_truth),
        cmocka_unit_test(test_box_and_surface),
        cmocka_unit_test(test_roc),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_nothing),
    };
    return sono_test_run("tools/sequence", tests, sizeof tests / sizeof tests[0]);
}
