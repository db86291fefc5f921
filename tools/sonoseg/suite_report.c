// SPDX-License-Identifier: Apache-2.0
#include "suite_report.h"

#include "json.h"
#include "metrics_report.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A figure of a phantom set. */
typedef struct column {
    const char *title, *key;
    int width, n_decimals;
    double factor;
    size_t offset; /* of the double in the summary */
} column;

static const column columns[] = {
    {"AP50", "ap50", 8, 3, 1, offsetof(metrics_summary, ap50)},
    {"AP50-95", "ap50_95", 8, 3, 1, offsetof(metrics_summary, ap50_95)},
    {"IoU", "iou_mean", 7, 3, 1, offsetof(metrics_summary, iou_mean)},
    {"Dice", "dice_mean", 7, 3, 1, offsetof(metrics_summary, dice_mean)},
    {"surface px", "surface95_px", 11, 2, 1, offsetof(metrics_summary, surface95_px)},
    {"found %", "found_share", 8, 1, 100, offsetof(metrics_summary, found_share)},
    {"alarms %", "false_alarm_share", 9, 1, 100, offsetof(metrics_summary, false_alarm_share)},
    {"ECE", "ece", 7, 3, 1, offsetof(metrics_summary, ece)},
    {"ECE right", "ece_right", 10, 3, 1, offsetof(metrics_summary, ece_right)},
};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* ---- real frames */

static int compare_scores(const void *left, const void *right)
{
    const suite_frame *a = left, *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

static int summarise_flanks(const suite_frame *frames, size_t n_frames, suite_real *out)
{
    samples off_px = {0};
    int has_failed = 0;
    for (size_t i = 0; i < n_frames; i++) {
        int is_far = 0;
        for (int side = 0; frames[i].has_marks && side < FLANK_COUNT; side++) {
            const double off = fabs(frames[i].flank_px[side]);
            has_failed |= samples_add(&off_px, off);
            is_far |= off > SUITE_FLANK_PX;
        }
        out->n_far += is_far;
    }
    out->n_flanks = (int64_t)off_px.count;
    out->flank_median_px = off_px.count ? samples_percentile(&off_px, 50) : (double)NAN;
    out->flank_worst_px = off_px.count ? samples_percentile(&off_px, 100) : (double)NAN;
    samples_free(&off_px);
    return has_failed;
}

int suite_real_summarise(suite_frame *frames, size_t n_frames, int has_bone, suite_real *out)
{
    *out = (suite_real){.n_frames = (int64_t)n_frames};
    if (!n_frames)
        return 0;
    qsort(frames, n_frames, sizeof *frames, compare_scores);
    for (size_t i = 0; i < n_frames; i++)
        out->n_visible += frames[i].is_visible;
    out->score_high = frames[0].score;
    out->score_low = frames[n_frames - 1].score;
    out->score_median = (frames[n_frames / 2].score + frames[(n_frames - 1) / 2].score) / 2;
    while (out->n_worst < SUITE_WORST && (size_t)out->n_worst < n_frames) {
        const size_t k = (size_t)out->n_worst;
        out->worst[out->n_worst++] = frames[has_bone ? n_frames - 1 - k : k];
    }
    return summarise_flanks(frames, n_frames, out);
}

/* ---- the table */

static double figure_of(const metrics_summary *summary, const column *which)
{
    double value;
    memcpy(&value, (const char *)summary + which->offset, sizeof value);
    return value;
}

static void print_cell(FILE *stream, int width, int n_decimals, double value)
{
    if (isnan(value))
        fprintf(stream, "%*s", width, "-");
    else
        fprintf(stream, "%*.*f", width, n_decimals, value);
}

/* The second precision's figures less the first's. */
static void print_difference(FILE *stream, const suite_result *result)
{
    fprintf(stream, "%-16s%7s%11s", "", "", "difference");
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const double off =
            figure_of(&result->phantom[1], &columns[i]) - figure_of(&result->phantom[0], &columns[i]);
        print_cell(stream, columns[i].width, columns[i].n_decimals + 1, columns[i].factor * off);
    }
    fputc('\n', stream);
}

static void print_phantom(FILE *stream, const suite_report *report, suite_set set)
{
    const suite_result *result = &report->results[set];
    for (int p = 0; p < report->n_precisions; p++) {
        const metrics_summary *summary = &result->phantom[p];
        fprintf(stream, "%-16s%7lld%11s", p ? "" : suite_set_name(set), (long long)summary->n_frames,
                sono_precision_name(report->precisions[p]));
        for (size_t i = 0; i < N_COLUMNS; i++)
            print_cell(stream, columns[i].width, columns[i].n_decimals,
                       columns[i].factor * figure_of(summary, &columns[i]));
        fputc('\n', stream);
    }
    if (report->n_precisions == SUITE_PRECISIONS)
        print_difference(stream, result);
}

static void print_real(FILE *stream, const suite_report *report, suite_set set)
{
    const suite_result *result = &report->results[set];
    for (int p = 0; p < report->n_precisions; p++) {
        const suite_real *real = &result->real[p];
        fprintf(stream, "%-16s%7lld%11s%8lld%8.1f%9.3f%9.3f%9.3f", p ? "" : suite_set_name(set),
                (long long)real->n_frames, sono_precision_name(report->precisions[p]),
                (long long)real->n_visible, 100 * (double)real->n_visible / (double)real->n_frames,
                real->score_low, real->score_median, real->score_high);
        print_cell(stream, 11, 1, real->flank_median_px);
        print_cell(stream, 9, 1, real->flank_worst_px);
        print_cell(stream, 7, 0, real->n_flanks ? (double)real->n_far : (double)NAN);
        fputc('\n', stream);
    }
}

static int has_measured(const suite_report *report, int is_real)
{
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        if (report->results[set].is_measured && suite_set_is_real((suite_set)set) == is_real)
            return 1;
    return 0;
}

static void print_sets(FILE *stream, const suite_report *report, int is_real)
{
    for (int set = 0; set < SUITE_SET_COUNT; set++) {
        if (!report->results[set].is_measured || suite_set_is_real((suite_set)set) != is_real)
            continue;
        if (is_real)
            print_real(stream, report, (suite_set)set);
        else
            print_phantom(stream, report, (suite_set)set);
    }
}

static void print_worst(FILE *stream, const suite_report *report, suite_set set)
{
    const suite_real *real = &report->results[set].real[0];
    if (!report->results[set].is_measured)
        return;
    fprintf(stream, "\n%s: %s scores (%s)\n", suite_set_name(set),
            set == SUITE_REAL_BONE ? "lowest" : "highest", sono_precision_name(report->precisions[0]));
    for (int i = 0; i < real->n_worst; i++)
        fprintf(stream, "  %.3f %-12s %s\n", real->worst[i].score,
                real->worst[i].is_visible ? "VISIBLE" : "not visible", real->worst[i].name);
}

void suite_report_table(FILE *stream, const suite_report *report)
{
    fprintf(stream, "%s + %s, %s; found = score of %.2f or more; VISIBLE by %s\n", report->info.detector,
            report->info.segmenter, sono_backend_name(report->info.backend), report->threshold,
            report->state_mode);
    if (report->only_one)
        fprintf(stream, "fp32 alone: %s\n", report->only_one);
    if (has_measured(report, 0)) {
        fprintf(stream, "\n%-16s%7s%11s", "phantoms", "frames", "precision");
        for (size_t i = 0; i < N_COLUMNS; i++)
            fprintf(stream, "%*s", columns[i].width, columns[i].title);
        fputc('\n', stream);
        print_sets(stream, report, 0);
    }
    if (has_measured(report, 1)) {
        fprintf(stream, "\n%-16s%7s%11s%8s%8s%9s%9s%9s%11s%9s%7s\n", "real frames", "frames", "precision",
                "VISIBLE", "%", "lowest", "median", "highest", "flanks px", "worst", "> 10");
        print_sets(stream, report, 1);
        print_worst(stream, report, SUITE_REAL_BONE);
        print_worst(stream, report, SUITE_REAL_NO_BONE);
    }
}

/* ---- JSON */

static void write_number(FILE *stream, const char *key, double value)
{
    fprintf(stream, "  \"%s\": ", key);
    if (isnan(value))
        fputs("null,\n", stream);
    else
        fprintf(stream, "%.6f,\n", value);
}

static void write_frame(FILE *stream, const suite_frame *frame)
{
    fputs("\n    {\"source\": ", stream);
    json_string(stream, frame->name);
    fprintf(stream, ", \"score\": %.6f, \"visible\": %s}", frame->score,
            frame->is_visible ? "true" : "false");
}

static void write_real(FILE *stream, const suite_real *real)
{
    fprintf(stream, "  \"n_frames\": %lld,\n  \"n_visible\": %lld,\n", (long long)real->n_frames,
            (long long)real->n_visible);
    write_number(stream, "visible_share", (double)real->n_visible / (double)real->n_frames);
    write_number(stream, "score_low", real->score_low);
    write_number(stream, "score_median", real->score_median);
    write_number(stream, "score_high", real->score_high);
    fprintf(stream, "  \"n_flanks\": %lld,\n", (long long)real->n_flanks);
    write_number(stream, "flank_median_px", real->flank_median_px);
    write_number(stream, "flank_worst_px", real->flank_worst_px);
    fprintf(stream, "  \"n_far\": %lld,\n  \"worst\": [", (long long)real->n_far);
    for (int i = 0; i < real->n_worst; i++) {
        fputs(i ? "," : "", stream);
        write_frame(stream, &real->worst[i]);
    }
    fputs("\n  ]\n", stream);
}

static void write_difference(FILE *stream, const suite_result *result)
{
    fputs(",\n\"difference\": {", stream);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const double off =
            figure_of(&result->phantom[1], &columns[i]) - figure_of(&result->phantom[0], &columns[i]);
        fprintf(stream, "%s\"%s\": ", i ? ", " : "", columns[i].key);
        if (isnan(off))
            fputs("null", stream);
        else
            fprintf(stream, "%.6f", off);
    }
    fputc('}', stream);
}

static void write_inputs(FILE *stream, suite_set set)
{
    fputs(", \"inputs\": [", stream);
    for (int part = 0; suite_set_part(set, part); part++) {
        fputs(part ? ", " : "", stream);
        json_string(stream, suite_set_part(set, part));
    }
    fputc(']', stream);
}

static void write_set(FILE *stream, const suite_report *report, suite_set set)
{
    const suite_result *result = &report->results[set];
    fputs("{\"name\": ", stream);
    json_string(stream, suite_set_name(set));
    write_inputs(stream, set);
    if (!result->is_measured) {
        fputs(", \"not_measured\": ", stream);
        json_string(stream, result->reason);
        fputc('}', stream);
        return;
    }
    for (int p = 0; p < report->n_precisions; p++) {
        fprintf(stream, ",\n\"%s\": {\n", sono_precision_name(report->precisions[p]));
        if (suite_set_is_real(set))
            write_real(stream, &result->real[p]);
        else
            metrics_report_json(stream, &result->phantom[p]);
        fputc('}', stream);
    }
    if (report->n_precisions == SUITE_PRECISIONS && !suite_set_is_real(set))
        write_difference(stream, result);
    fputc('}', stream);
}

void suite_report_json(FILE *stream, const suite_report *report)
{
    fprintf(stream, "  \"threshold\": %.6f,\n  \"fold\": %d,\n  \"state\": \"%s\",\n  \"sets\": [\n",
            report->threshold, (int)report->fold, report->state_mode);
    for (int set = 0, n = 0; set < SUITE_SET_COUNT; set++)
        if (report->sets >> set & 1) {
            fputs(n++ ? ",\n" : "", stream);
            write_set(stream, report, (suite_set)set);
        }
    fputs("\n  ]\n", stream);
}
