// SPDX-License-Identifier: Apache-2.0
#include "sequence.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>

#define NS_PER_MS  1e6
#define NS_PER_MIN 60e9
#define MEDIAN     50
#define HIGH       95

/* What the truth says of a frame in its place of the sweep. */
typedef struct moment {
    int8_t want;       /* 1: VISIBLE, 0: not VISIBLE, -1: nothing */
    int8_t is_settled; /* for SEQUENCE_SETTLE_MS; without truth always, but for a sweep's first frame */
    int8_t is_first;   /* of its sweep */
    int32_t kind;      /* the event that it belongs to, 0 = none */
} moment;

typedef struct evaluation {
    const sequence_frame *frames;
    const uint8_t *states;
    size_t n_frames;
    int32_t kind;
    moment *moments;
    samples to_hidden, to_lost, to_visible, box_jitter, surface_jitter;
    int64_t bins[SEQUENCE_SURFACE_BINS];
    int has_failed; /* out of memory */
} evaluation;

static int is_stale(const sequence_frame *frame)
{
    return frame->has_truth && frame->is_visible && !frame->is_borderline &&
           frame->stale_ms > SEQUENCE_STALE_MS;
}

static int8_t want_of(const sequence_frame *frame)
{
    if (!frame->has_truth || frame->is_borderline)
        return -1;
    return frame->is_visible && frame->stale_ms <= SEQUENCE_STALE_MS;
}

/* Fills in the moments of frames [begin, end), one sweep. */
static void place_sweep(evaluation *self, size_t begin, size_t end)
{
    int8_t want = -1;
    int64_t changed_ns = 0, event_ns = 0;
    int32_t kind = 0;
    for (size_t i = begin; i < end; i++) {
        const sequence_frame *frame = &self->frames[i];
        moment *now = &self->moments[i];
        *now = (moment){.want = want_of(frame), .is_first = i == begin};
        if (now->want < 0 || now->want != want || i == begin)
            changed_ns = frame->time_ns;
        want = now->want;
        now->is_settled = frame->has_truth ? want >= 0 && (double)(frame->time_ns - changed_ns) >=
                                                              SEQUENCE_SETTLE_MS * NS_PER_MS
                                           : i > begin;
        if (frame->kind) {
            kind = frame->kind;
            event_ns = frame->time_ns;
        } else if (kind && (double)(frame->time_ns - event_ns) > SEQUENCE_SETTLE_MS * NS_PER_MS) {
            kind = 0;
        }
        now->kind = kind;
    }
}

static size_t sweep_end(const evaluation *self, size_t begin)
{
    size_t end = begin;
    while (end < self->n_frames && self->frames[end].sweep == self->frames[begin].sweep)
        end++;
    return end;
}

static int counts(const evaluation *self, int32_t kind)
{
    return self->kind == SEQUENCE_ALL_KINDS || self->kind == kind;
}

static void add(evaluation *self, samples *list, double value)
{
    self->has_failed |= samples_add(list, value) != 0;
}

/* When frame `index` of a sweep that ends before `end` is: behind the last one, one step later. */
static double time_ms(const evaluation *self, size_t index, size_t begin, size_t end)
{
    const sequence_frame *frames = self->frames;
    if (index < end)
        return (double)frames[index].time_ns / NS_PER_MS;
    const int64_t step_ns = end - begin > 1 ? frames[end - 1].time_ns - frames[end - 2].time_ns : 0;
    return (double)(frames[end - 1].time_ns + step_ns) / NS_PER_MS;
}

/* The first frame of [from, run_end) whose state is `state`, or is not; run_end where there is none. */
static size_t find_state(const evaluation *self, size_t from, size_t run_end, sono_state state, int is_it)
{
    size_t i = from;
    while (i < run_end && (self->states[i] == (uint8_t)state) != is_it)
        i++;
    return i;
}

/* Adds the times of the run that begins at `at`, in the sweep [begin, end). */
static void measure_run(evaluation *self, size_t at, size_t run_end, size_t begin, size_t end,
                        sequence_figures *out)
{
    const double start_ms = time_ms(self, at, begin, end);
    if (self->moments[at].want) {
        const size_t found = find_state(self, at, run_end, SONO_STATE_VISIBLE, 1);
        add(self, &self->to_visible, time_ms(self, found, begin, end) - start_ms);
        out->to_visible.n_unresolved += found == run_end;
        return;
    }
    const size_t hidden = find_state(self, at, run_end, SONO_STATE_VISIBLE, 0);
    add(self, &self->to_hidden, time_ms(self, hidden, begin, end) - start_ms);
    out->to_hidden.n_unresolved += hidden == run_end;
    if (is_stale(&self->frames[at]))
        return;
    const size_t lost = find_state(self, at, run_end, SONO_STATE_LOST, 1);
    add(self, &self->to_lost, time_ms(self, lost, begin, end) - start_ms);
    out->to_lost.n_unresolved += lost == run_end;
}

static size_t next_run(const evaluation *self, size_t at, size_t end)
{
    size_t i = at;
    while (i < end && (self->moments[i].want < 0 || self->moments[i].want == self->moments[at].want))
        i++;
    return i;
}

static void measure_delays(evaluation *self, size_t begin, size_t end, sequence_figures *out)
{
    size_t at = begin;
    while (at < end && self->moments[at].want < 0)
        at++;
    int32_t loss_kind = 0;
    for (int is_change = 0; at < end; is_change = 1) {
        const size_t run_end = next_run(self, at, end);
        const int is_loss = !self->moments[at].want;
        if (is_loss)
            loss_kind = self->moments[at].kind;
        if (is_change && counts(self, loss_kind))
            measure_run(self, at, run_end, begin, end, out);
        at = run_end;
    }
}

/* Sums: shares are divided later. */
static void count_frame(evaluation *self, size_t i, sequence_figures *out)
{
    const sequence_frame *frame = &self->frames[i];
    const moment *now = &self->moments[i];
    const int is_shown = self->states[i] == SONO_STATE_VISIBLE;
    out->n_frames++;
    out->state_share[self->states[i] % 3]++;
    out->n_borderline += frame->has_truth && frame->is_borderline;
    out->n_wanted += now->want == 1;
    out->n_unwanted += now->want == 0;
    out->false_share += now->want == 0 && is_shown;
    out->missed_share += now->want == 1 && !is_shown;
    out->n_stale += is_stale(frame);
    out->stale_share += is_stale(frame) && is_shown;
    if (!now->is_settled || now->is_first)
        return;
    const uint8_t before = self->states[i - 1];
    const int was_shown = before == SONO_STATE_VISIBLE;
    out->settled_min += (double)(frame->time_ns - self->frames[i - 1].time_ns) / NS_PER_MIN;
    out->flicker_per_min += before != self->states[i];
    out->visible_flicker_per_min += was_shown != is_shown;
}

/* How far the worst edge moved against the truth's, or without truth, on a still pair, at all; NAN elsewhere.
 */
static double box_jitter(const sequence_frame *last, const sequence_frame *frame, const moment *moments)
{
    if (!last->has_box || !frame->has_box ||
        (frame->has_truth ? moments[0].want != 1 || moments[1].want != 1 : !frame->is_still))
        return NAN;
    double worst = 0;
    for (int k = 0; k < 4; k++) {
        const double moved = (double)(frame->bbox_xyxy_px[k] - last->bbox_xyxy_px[k]);
        const double should = (double)(frame->true_bbox_xyxy_px[k] - last->true_bbox_xyxy_px[k]);
        worst = fmax(worst, fabs(frame->has_truth ? moved - should : moved));
    }
    return worst;
}

static void measure_jitter(evaluation *self, size_t i)
{
    const sequence_frame *frame = &self->frames[i];
    if (self->moments[i].is_first || self->states[i] != SONO_STATE_VISIBLE ||
        self->states[i - 1] != SONO_STATE_VISIBLE)
        return;
    const double box_px = box_jitter(frame - 1, frame, &self->moments[i - 1]);
    if (!isnan(box_px))
        add(self, &self->box_jitter, box_px);
    if (!isnan(frame->surface_jitter_mm))
        add(self, &self->surface_jitter, frame->surface_jitter_mm);
}

static void measure_surface(evaluation *self, size_t i, sequence_figures *out)
{
    const sequence_frame *frame = &self->frames[i];
    if (self->states[i] != SONO_STATE_VISIBLE || self->moments[i].want != 1)
        return;
    out->surface_coverage += frame->n_true_columns;
    for (int k = 0; k < SEQUENCE_SURFACE_BINS; k++) {
        self->bins[k] += frame->surface_bins[k];
        out->n_columns += frame->surface_bins[k];
    }
}

/* The place where `percent` of the counts are passed, interpolated within its bin. */
static double bins_percentile(const int64_t *bins, int64_t n, double percent)
{
    const double wanted = percent / 100 * (double)n;
    double passed = 0;
    for (int k = 0; k < SEQUENCE_SURFACE_BINS; k++) {
        if (bins[k] && passed + (double)bins[k] >= wanted)
            return (k + (wanted - passed) / (double)bins[k]) * SEQUENCE_BIN_MM;
        passed += (double)bins[k];
    }
    return NAN;
}

static double percentile(samples *list, double percent)
{
    return list->count ? samples_percentile(list, percent) : (double)NAN;
}

static void finish_delays(samples *list, sequence_delays *out)
{
    out->n = (int64_t)list->count;
    out->median_ms = percentile(list, MEDIAN);
    out->p95_ms = percentile(list, HIGH);
    out->worst_ms = percentile(list, 100);
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

/* Sums become shares, lists percentiles. */
static void finish(evaluation *self, double n_wanted_settled, double n_unwanted_settled,
                   sequence_figures *out)
{
    for (int i = 0; i < 3; i++)
        out->state_share[i] = ratio(out->state_share[i], (double)out->n_frames);
    out->false_share = ratio(out->false_share, (double)out->n_unwanted);
    out->missed_share = ratio(out->missed_share, (double)out->n_wanted);
    out->false_settled_share = ratio(out->false_settled_share, n_unwanted_settled);
    out->missed_settled_share = ratio(out->missed_settled_share, n_wanted_settled);
    out->stale_share = ratio(out->stale_share, (double)out->n_stale);
    out->flicker_per_min = ratio(out->flicker_per_min, out->settled_min);
    out->visible_flicker_per_min = ratio(out->visible_flicker_per_min, out->settled_min);
    out->surface_coverage = ratio((double)out->n_columns, out->surface_coverage);
    out->surface_median_mm = bins_percentile(self->bins, out->n_columns, MEDIAN);
    out->surface95_mm = bins_percentile(self->bins, out->n_columns, HIGH);
    out->box_jitter_px = percentile(&self->box_jitter, MEDIAN);
    out->box_jitter95_px = percentile(&self->box_jitter, HIGH);
    out->surface_jitter_mm = percentile(&self->surface_jitter, MEDIAN);
    out->surface_jitter95_mm = percentile(&self->surface_jitter, HIGH);
    finish_delays(&self->to_hidden, &out->to_hidden);
    finish_delays(&self->to_lost, &out->to_lost);
    finish_delays(&self->to_visible, &out->to_visible);
}

static void evaluate_frames(evaluation *self, sequence_figures *out)
{
    double n_wanted = 0, n_unwanted = 0; /* settled */
    for (size_t begin = 0, end; begin < self->n_frames; begin = end) {
        end = sweep_end(self, begin);
        place_sweep(self, begin, end);
        measure_delays(self, begin, end, out);
        out->n_sweeps++;
    }
    for (size_t i = 0; i < self->n_frames; i++) {
        const moment *now = &self->moments[i];
        const int is_shown = self->states[i] == SONO_STATE_VISIBLE;
        if (!counts(self, now->kind))
            continue;
        count_frame(self, i, out);
        measure_jitter(self, i);
        measure_surface(self, i, out);
        n_wanted += now->is_settled && now->want == 1;
        n_unwanted += now->is_settled && now->want == 0;
        out->missed_settled_share += now->is_settled && now->want == 1 && !is_shown;
        out->false_settled_share += now->is_settled && now->want == 0 && is_shown;
    }
    finish(self, n_wanted, n_unwanted, out);
}

int sequence_summarise(const sequence_frame *frames, const uint8_t *states, size_t n_frames, int32_t kind,
                       sequence_figures *out)
{
    evaluation self = {.frames = frames, .states = states, .n_frames = n_frames, .kind = kind};
    *out = (sequence_figures){0};
    self.moments = malloc((n_frames + 1) * sizeof *self.moments);
    if (self.moments)
        evaluate_frames(&self, out);
    const int has_failed = !self.moments || self.has_failed;
    samples *const lists[] = {&self.to_hidden, &self.to_lost, &self.to_visible, &self.box_jitter,
                              &self.surface_jitter};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        samples_free(lists[i]);
    free(self.moments);
    return has_failed ? -1 : 0;
}

typedef struct rated {
    double value;
    int8_t is_wanted;
} rated;

static int compare_rated(const void *left, const void *right)
{
    const rated *a = left, *b = right;
    return (a->value > b->value) - (a->value < b->value);
}

/* list: by rising value. */
static void rate(const rated *list, size_t n, sequence_roc *out)
{
    double pairs = 0, below = 0; /* unwanted frames below the value at hand */
    for (size_t i = 0, next; i < n; i = next) {
        double wanted = 0, unwanted = 0;
        for (next = i; next < n && list[next].value == list[i].value; next++) {
            wanted += list[next].is_wanted;
            unwanted += !list[next].is_wanted;
        }
        pairs += wanted * (below + unwanted / 2);
        below += unwanted;
    }
    out->area = ratio(pairs, (double)out->n_wanted * (double)out->n_unwanted);
    double wanted = (double)out->n_wanted, unwanted = (double)out->n_unwanted;
    size_t i = 0;
    for (int k = 0; k < SEQUENCE_ROC_POINTS; k++) {
        const double threshold = (double)k / (SEQUENCE_ROC_POINTS - 1);
        for (; i < n && list[i].value < threshold; i++) {
            wanted -= list[i].is_wanted;
            unwanted -= !list[i].is_wanted;
        }
        out->points[k].threshold = threshold;
        out->points[k].true_share = ratio(wanted, (double)out->n_wanted);
        out->points[k].false_share = ratio(unwanted, (double)out->n_unwanted);
    }
}

int sequence_rate(const sequence_frame *frames, size_t n_frames, int by_quality, sequence_roc *out)
{
    *out = (sequence_roc){0};
    rated *list = malloc((n_frames + 1) * sizeof *list);
    if (!list)
        return -1;
    size_t n = 0;
    for (size_t i = 0; i < n_frames; i++) {
        const int8_t want = want_of(&frames[i]);
        if (want < 0 || is_stale(&frames[i]))
            continue;
        list[n++] = (rated){by_quality ? frames[i].quality : frames[i].score, want};
        out->n_wanted += want;
        out->n_unwanted += !want;
    }
    qsort(list, n, sizeof *list, compare_rated);
    rate(list, n, out);
    free(list);
    return 0;
}

void sequence_states_by_score(const sequence_frame *frames, size_t n_frames, double threshold,
                              uint8_t *states)
{
    for (size_t i = 0; i < n_frames; i++)
        states[i] = frames[i].score >= threshold ? SONO_STATE_VISIBLE : SONO_STATE_LOST;
}
