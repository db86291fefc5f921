// SPDX-License-Identifier: Apache-2.0
#include "sequence_report.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const char *const way_keys[SEQUENCE_WAYS] = {"states", "single_threshold"};

/* A figure: its key, what the table calls it, and how it is shown. */
typedef struct row {
    const char *key;
    const char *label; /* NULL = not in the table */
    const char *unit;
    double scale;
    int n_decimals;
    size_t offset; /* of a double in sequence_figures */
} row;

#define FIGURE(name) offsetof(sequence_figures, name)

static const row rows[] = {
    {"false_share", "false VISIBLE", "% of frames that want none", 100, 2, FIGURE(false_share)},
    {"false_settled_share", "  truth settled", "%", 100, 2, FIGURE(false_settled_share)},
    {"stale_share", "  frozen for more than 250 ms", "% of these", 100, 2, FIGURE(stale_share)},
    {"missed_share", "missed VISIBLE", "% of frames that want it", 100, 2, FIGURE(missed_share)},
    {"missed_settled_share", "  truth settled", "%", 100, 2, FIGURE(missed_settled_share)},
    {"to_hidden_median_ms", "loss to not VISIBLE, median", "ms", 1, 0, FIGURE(to_hidden.median_ms)},
    {"to_hidden_p95_ms", "  95 %", "ms", 1, 0, FIGURE(to_hidden.p95_ms)},
    {"to_hidden_worst_ms", "  worst", "ms", 1, 0, FIGURE(to_hidden.worst_ms)},
    {"to_lost_median_ms", "loss to LOST, median", "ms", 1, 0, FIGURE(to_lost.median_ms)},
    {"to_lost_p95_ms", "  95 %", "ms", 1, 0, FIGURE(to_lost.p95_ms)},
    {"to_lost_worst_ms", "  worst", "ms", 1, 0, FIGURE(to_lost.worst_ms)},
    {"to_visible_median_ms", "return to VISIBLE, median", "ms", 1, 0, FIGURE(to_visible.median_ms)},
    {"to_visible_p95_ms", "  95 %", "ms", 1, 0, FIGURE(to_visible.p95_ms)},
    {"to_visible_worst_ms", "  worst", "ms", 1, 0, FIGURE(to_visible.worst_ms)},
    {"flicker_per_min", "changes of state, truth settled", "a minute", 1, 2, FIGURE(flicker_per_min)},
    {"visible_flicker_per_min", "  from or to VISIBLE", "a minute", 1, 2, FIGURE(visible_flicker_per_min)},
    {"surface_median_mm", "surface error, median", "mm", 1, 3, FIGURE(surface_median_mm)},
    {"surface95_mm", "  95 %", "mm", 1, 3, FIGURE(surface95_mm)},
    {"surface_coverage", "  columns that have one", "%", 100, 1, FIGURE(surface_coverage)},
    {"box_jitter_px", "jitter of the box, median", "px", 1, 2, FIGURE(box_jitter_px)},
    {"box_jitter95_px", "  95 %", "px", 1, 2, FIGURE(box_jitter95_px)},
    {"surface_jitter_mm", "jitter of the surface, median", "mm", 1, 3, FIGURE(surface_jitter_mm)},
    {"surface_jitter95_mm", "  95 %", "mm", 1, 3, FIGURE(surface_jitter95_mm)},
    {"settled_min", NULL, "", 1, 0, FIGURE(settled_min)},
    {"lost_share", "LOST", "% of frames", 100, 1, FIGURE(state_share[SONO_STATE_LOST])},
    {"visible_share", "VISIBLE", "%", 100, 1, FIGURE(state_share[SONO_STATE_VISIBLE])},
    {"relocalizing_share", "RELOCALIZING", "%", 100, 1, FIGURE(state_share[SONO_STATE_RELOCALIZING])},
};

static const struct {
    const char *key;
    size_t offset; /* of an int64_t in sequence_figures */
} counts[] = {
    {"n_frames", FIGURE(n_frames)},          {"n_sweeps", FIGURE(n_sweeps)},
    {"n_wanted", FIGURE(n_wanted)},          {"n_unwanted", FIGURE(n_unwanted)},
    {"n_borderline", FIGURE(n_borderline)},  {"n_stale", FIGURE(n_stale)},
    {"n_losses", FIGURE(to_hidden.n)},       {"n_losses_not_hidden", FIGURE(to_hidden.n_unresolved)},
    {"n_losses_to_lost", FIGURE(to_lost.n)}, {"n_losses_not_lost", FIGURE(to_lost.n_unresolved)},
    {"n_returns", FIGURE(to_visible.n)},     {"n_returns_not_visible", FIGURE(to_visible.n_unresolved)},
    {"n_columns", FIGURE(n_columns)},
};

#define N_ROWS   (sizeof rows / sizeof rows[0])
#define N_COUNTS (sizeof counts / sizeof counts[0])

static double figure(const sequence_figures *figures, size_t i)
{
    return *(const double *)(const void *)((const char *)figures + rows[i].offset);
}

static int summarise(const sequence_set *set, const uint8_t *by_score, int32_t kind, sequence_figures *out)
{
    return sequence_summarise(set->frames, set->states, set->n, kind, &out[SEQUENCE_BY_MACHINE]) ||
           sequence_summarise(set->frames, by_score, set->n, kind, &out[SEQUENCE_BY_THRESHOLD]);
}

int sequence_report_make(const sequence_set *set, const sequence_rules *rules, sequence_report *out)
{
    uint8_t *by_score = malloc(set->n + 1);
    if (!by_score)
        return -1;
    *out = (sequence_report){.threshold = rules->threshold, .rules = *rules};
    sequence_states_by_score(set->frames, set->n, rules->threshold, by_score);
    for (size_t i = 0; i < set->n; i++)
        out->has_truth |= set->frames[i].has_truth;
    int has_failed = summarise(set, by_score, SEQUENCE_ALL_KINDS, out->all) ||
                     sequence_rate(set->frames, set->n, 1, &out->by_quality) ||
                     sequence_rate(set->frames, set->n, 0, &out->by_score);
    for (int32_t kind = 0; !has_failed && kind < SONO_PHANTOM_EVENT_COUNT; kind++)
        has_failed = summarise(set, by_score, kind, out->kinds[kind]);
    free(by_score);
    return has_failed ? -1 : 0;
}

/* ---- table */

static void print_cell(FILE *stream, double value, int width, int n_decimals)
{
    if (isnan(value))
        fprintf(stream, " %*s", width, "-");
    else
        fprintf(stream, " %*.*f", width, n_decimals, value);
}

static void print_kinds(FILE *stream, const sequence_report *report)
{
    fprintf(stream, "\n%-14s %8s %16s %16s %16s %16s %16s\n", "by event", "frames", "false %", "missed %",
            "not VISIBLE ms", "LOST ms", "VISIBLE ms");
    for (int kind = 0; kind < SONO_PHANTOM_EVENT_COUNT; kind++) {
        const sequence_figures *figures = report->kinds[kind];
        if (!figures[0].n_frames)
            continue;
        fprintf(stream, "%-14s %8lld", sono_phantom_event_name((sono_phantom_event)kind),
                (long long)figures[0].n_frames);
        static const size_t offsets[] = {FIGURE(false_share), FIGURE(missed_share), FIGURE(to_hidden.p95_ms),
                                         FIGURE(to_lost.p95_ms), FIGURE(to_visible.p95_ms)};
        for (int i = 0; i < 5; i++)
            for (int way = 0; way < SEQUENCE_WAYS; way++) {
                const char *place = (const char *)&figures[way] + offsets[i];
                const double value = *(const double *)(const void *)place;
                print_cell(stream, i < 2 ? 100 * value : value, way ? 7 : 8, i < 2 ? 2 : 0);
            }
        fputc('\n', stream);
    }
    fputs("Times are 95th percentiles; of each pair the left one is by the state machine.\n", stream);
}

void sequence_report_table(FILE *stream, const sequence_report *report)
{
    const sequence_figures *all = &report->all[SEQUENCE_BY_MACHINE];
    fprintf(stream, "%lld frames of %lld sweep%s", (long long)all->n_frames, (long long)all->n_sweeps,
            all->n_sweeps == 1 ? "" : "s");
    if (report->has_truth)
        fprintf(stream,
                ": %lld want VISIBLE, %lld do not (%lld of these frozen), %lld are borderline; %lld losses, "
                "%lld returns",
                (long long)all->n_wanted, (long long)all->n_unwanted, (long long)all->n_stale,
                (long long)all->n_borderline, (long long)all->to_hidden.n, (long long)all->to_visible.n);
    fprintf(stream, "\n\n%-32s %9s %9s\n%-32s %9s   >= %.2f\n", "", "states", "score", "", "",
            report->threshold);
    for (size_t i = 0; i < N_ROWS; i++) {
        const double left = figure(&report->all[0], i), right = figure(&report->all[1], i);
        if (!rows[i].label || (isnan(left) && isnan(right)))
            continue;
        fprintf(stream, "%-32s", rows[i].label);
        print_cell(stream, rows[i].scale * left, 9, rows[i].n_decimals);
        print_cell(stream, rows[i].scale * right, 9, rows[i].n_decimals);
        fprintf(stream, "  %s\n", rows[i].unit);
    }
    if (!report->has_truth)
        return;
    fprintf(stream, "%-32s", "area under the ROC curve");
    print_cell(stream, report->by_quality.area, 9, 4);
    print_cell(stream, report->by_score.area, 9, 4);
    fputs("  quality, score\n", stream);
    print_kinds(stream, report);
}

/* ---- JSON */

static void json_number(FILE *stream, double value)
{
    if (isnan(value))
        fputs("null", stream);
    else
        fprintf(stream, "%.6f", value);
}

static void write_figures(FILE *stream, const char *indent, const char *key, const sequence_figures *figures)
{
    fprintf(stream, "%s\"%s\": {", indent, key);
    for (size_t i = 0; i < N_COUNTS; i++)
        fprintf(stream, "%s\n%s  \"%s\": %lld", i ? "," : "", indent, counts[i].key,
                (long long)*(const int64_t *)(const void *)((const char *)figures + counts[i].offset));
    for (size_t i = 0; i < N_ROWS; i++) {
        fprintf(stream, ",\n%s  \"%s\": ", indent, rows[i].key);
        json_number(stream, figure(figures, i));
    }
    fprintf(stream, "\n%s}", indent);
}

static void write_roc(FILE *stream, const char *key, const sequence_roc *roc)
{
    fprintf(stream, "    \"%s\": {\n      \"area\": ", key);
    json_number(stream, roc->area);
    fputs(",\n      \"points\": [", stream);
    for (int i = 0; i < SEQUENCE_ROC_POINTS; i++) {
        fprintf(stream, "%s[%.2f, ", i ? ", " : "", roc->points[i].threshold);
        json_number(stream, roc->points[i].true_share);
        fputs(", ", stream);
        json_number(stream, roc->points[i].false_share);
        fputc(']', stream);
    }
    fputs("]\n    }", stream);
}

void sequence_report_json(FILE *stream, const sequence_report *report)
{
    fprintf(stream, "  \"threshold\": %.6f,\n  ", report->threshold);
    sequence_write_rules(stream, &report->rules.rules);
    fputs(",\n", stream);
    for (int way = 0; way < SEQUENCE_WAYS; way++) {
        write_figures(stream, "  ", way_keys[way], &report->all[way]);
        fputs(",\n", stream);
    }
    fputs("  \"by_event\": {", stream);
    int n = 0;
    for (int kind = 0; kind < SONO_PHANTOM_EVENT_COUNT; kind++) {
        const sequence_figures *figures = report->kinds[kind];
        if (!report->has_truth || !figures[0].n_frames)
            continue;
        fprintf(stream, "%s\n    \"%s\": {\n", n++ ? "," : "",
                sono_phantom_event_name((sono_phantom_event)kind));
        for (int way = 0; way < SEQUENCE_WAYS; way++) {
            write_figures(stream, "      ", way_keys[way], &figures[way]);
            fputs(way ? "\n" : ",\n", stream);
        }
        fputs("    }", stream);
    }
    fputs(n ? "\n  },\n  \"roc\": {\n" : "},\n  \"roc\": {\n", stream);
    write_roc(stream, "quality", &report->by_quality);
    fputs(",\n", stream);
    write_roc(stream, "score", &report->by_score);
    fputs("\n  }\n", stream);
}
