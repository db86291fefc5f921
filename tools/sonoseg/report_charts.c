// SPDX-License-Identifier: Apache-2.0
#include "report_charts.h"

#include "report_html.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>

#define COLUMNS     1000 /* of the timeline */
#define LANE_PX     22
#define LONG_TAIL   4 /* medians: what is slower is in the last bin */
#define MAX_OF_LINE 4

report_axis report_axis_of(const report_series *series)
{
    const report_frame *frames = series->frames;
    const size_t n = series->n_frames;
    report_axis axis = {0};
    for (size_t i = 0; i < n; i++)
        if (isnan(frames[i].time_s) || (i && frames[i].time_s < frames[i - 1].time_s))
            return axis;
    axis.is_time = n > 1 && frames[n - 1].time_s > frames[0].time_s;
    axis.start_s = n ? frames[0].time_s : 0;
    return axis;
}

static double place_of(const report_series *series, const report_axis *axis, size_t i)
{
    return axis->is_time ? series->frames[i].time_s - axis->start_s : (double)i + 1;
}

/* ---- states -------------------------------------------------------------------------------------------- */

static void write_lane(FILE *stream, const report_series *series, const report_axis *axis, int lane, int y)
{
    static char has[COLUMNS];
    const size_t n = series->n_frames;
    const double first = place_of(series, axis, 0), last = place_of(series, axis, n - 1);
    const double span = last > first ? last - first : 1;
    for (int c = 0; c < COLUMNS; c++)
        has[c] = 0;
    for (size_t i = 0; i < n; i++) {
        if (series->frames[i].state != lane)
            continue;
        /* From this frame to the next one, within the series. */
        const double from = (place_of(series, axis, i) - first) / span;
        const double to = i + 1 < n ? (place_of(series, axis, i + 1) - first) / span : 1;
        int c = (int)(from * COLUMNS);
        const int end = (int)(to * COLUMNS);
        do
            has[c < COLUMNS ? c : COLUMNS - 1] = 1;
        while (++c < end);
    }
    for (int c = 0, end; c < COLUMNS; c = end) {
        for (end = c + 1; end < COLUMNS && has[end] == has[c]; end++)
            ;
        if (has[c])
            fprintf(stream, "<rect class=\"s%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", lane, c, y,
                    end - c, LANE_PX - 4);
    }
}

void report_write_timeline(FILE *stream, const report_series *series)
{
    static const int lanes[] = {SONO_STATE_VISIBLE, SONO_STATE_RELOCALIZING, SONO_STATE_LOST};
    const report_axis axis = report_axis_of(series);
    fputs("<div class=\"timeline\">\n", stream);
    for (int i = 0; series->n_frames && i < 3; i++) {
        fprintf(stream,
                "<span>%s</span><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
                "aria-label=\"When the "
                "state was %s\"><rect class=\"lane\" width=\"%d\" height=\"%d\"/>",
                sono_state_name((sono_state)lanes[i]), COLUMNS, LANE_PX,
                sono_state_name((sono_state)lanes[i]), COLUMNS, LANE_PX);
        write_lane(stream, series, &axis, lanes[i], 2);
        fputs("</svg>\n", stream);
    }
    fputs("</div>\n", stream);
}

/* ---- places -------------------------------------------------------------------------------------------- */

typedef struct chart {
    const char *key, *title;
    int values[MAX_OF_LINE]; /* REPORT_N_VALUES = none */
    int is_histogram;
} chart;

#define NONE REPORT_N_VALUES

static const chart charts[] = {
    {"score", "Score and predicted IoU", {REPORT_SCORE, REPORT_IOU, NONE, NONE}, 0},
    {"truth", "Against the truth", {REPORT_TRUE_BOX, REPORT_TRUE_MASK, REPORT_DICE, NONE}, 0},
    {"quality", "Quality and agreement, thousandths", {REPORT_QUALITY, REPORT_AGREEMENT, NONE, NONE}, 0},
    {"latency", "Latency, ms", {REPORT_LATENCY, NONE, NONE, NONE}, 0},
    {"histogram", "Latency: how many frames took how long", {REPORT_LATENCY, NONE, NONE, NONE}, 1},
    {"area", "Area of the mask, px", {REPORT_AREA, NONE, NONE, NONE}, 0},
    {"surface", "Length of the surface, mm", {REPORT_SURFACE, NONE, NONE, NONE}, 0},
};
#define N_CHARTS (sizeof charts / sizeof charts[0])

static int is_there(const report_series *series, const chart *one)
{
    for (int i = 0; i < MAX_OF_LINE; i++)
        if (one->values[i] != NONE && report_has(series, one->values[i]))
            return 1;
    return 0;
}

void report_write_charts(FILE *stream, const report_series *series, int number)
{
    fputs("<div class=\"charts\">\n", stream);
    for (size_t i = 0; i < N_CHARTS; i++)
        if (is_there(series, &charts[i]))
            fprintf(
                stream,
                "<figure class=\"chart\"><figcaption>%s</figcaption><div><canvas id=\"c%d-%s\" role=\"img\" "
                "aria-label=\"%s; the table of numbers says the same\"></canvas></div></figure>\n",
                charts[i].title, number, charts[i].key, charts[i].title);
    fputs("</div>\n", stream);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static void write_point(FILE *stream, int *is_first, double x, double y)
{
    fprintf(stream, *is_first ? "" : ",");
    *is_first = 0;
    if (isnan(y))
        fprintf(stream, "[%.9g,null]", x);
    else
        fprintf(stream, "[%.9g,%.7g]", x, y);
}

/* The smallest and the largest of frames [from, to), in their order; a gap where none has the value. */
static void write_step(FILE *stream, const report_series *series, const report_axis *axis, int value,
                       size_t from, size_t to, int *is_first)
{
    size_t low = to, high = to;
    for (size_t i = from; i < to; i++) {
        const float y = series->frames[i].values[value];
        if (isnan(y))
            continue;
        low = low == to || y < series->frames[low].values[value] ? i : low;
        high = high == to || y > series->frames[high].values[value] ? i : high;
    }
    if (low == to) {
        write_point(stream, is_first, place_of(series, axis, from), NAN);
        return;
    }
    const size_t a = low < high ? low : high, b = low < high ? high : low;
    write_point(stream, is_first, place_of(series, axis, a), (double)series->frames[a].values[value]);
    if (a != b)
        write_point(stream, is_first, place_of(series, axis, b), (double)series->frames[b].values[value]);
}

static void write_line(FILE *stream, const report_series *series, const report_axis *axis, int value)
{
    const size_t n = series->n_frames, n_steps = n > REPORT_POINTS ? REPORT_POINTS / 2 : n;
    int is_first = 1;
    fprintf(stream, "{\"label\":\"%s\",\"points\":[", report_value_heading(value));
    for (size_t k = 0; k < n_steps; k++)
        write_step(stream, series, axis, value, k * n / n_steps, (k + 1) * n / n_steps, &is_first);
    fputs("]}", stream);
}

/* From 0 to the longest, or to LONG_TAIL medians with the rest in the last bin. */
static void write_histogram(FILE *stream, const report_series *series, int value)
{
    samples list = {0};
    uint64_t bins[REPORT_BINS] = {0};
    for (size_t i = 0; i < series->n_frames; i++)
        if (!isnan(series->frames[i].values[value]))
            samples_add(&list, (double)series->frames[i].values[value]);
    const double longest = samples_percentile(&list, 100), tail = LONG_TAIL * samples_percentile(&list, 50);
    const int has_tail = longest > tail && tail > 0;
    const double end = has_tail ? tail : longest > 0 ? longest : 1;
    const int n_even = has_tail ? REPORT_BINS - 1 : REPORT_BINS;
    for (size_t i = 0; i < list.count; i++) {
        const int bin = (int)(list.values[i] / end * n_even);
        bins[bin < 0 ? 0 : bin < REPORT_BINS ? bin : REPORT_BINS - 1]++;
    }
    fprintf(stream, "{\"label\":\"frames\",\"step\":%.9g,\"hasTail\":%s,\"bins\":[", end / n_even,
            has_tail ? "true" : "false");
    for (int i = 0; i < REPORT_BINS; i++)
        fprintf(stream, "%s%llu", i ? "," : "", (unsigned long long)bins[i]);
    fputs("]}", stream);
    samples_free(&list);
}

static void write_chart(FILE *stream, const report_series *series, const report_axis *axis, const chart *one,
                        int number)
{
    int n_lines = 0;
    fprintf(stream, "{\"id\":\"c%d-%s\",\"kind\":\"%s\",\"x\":\"%s\",\"lines\":[", number, one->key,
            one->is_histogram ? "bars" : "lines",
            one->is_histogram ? "ms"
            : axis->is_time   ? "s"
                              : "frame");
    for (int i = 0; i < MAX_OF_LINE; i++) {
        if (one->values[i] == NONE || !report_has(series, one->values[i]))
            continue;
        fputs(n_lines++ ? "," : "", stream);
        if (one->is_histogram)
            write_histogram(stream, series, one->values[i]);
        else
            write_line(stream, series, axis, one->values[i]);
    }
    fputs("]}", stream);
}

void report_write_chart_data(FILE *stream, const report *self)
{
    int n = 0;
    fputc('[', stream);
    for (int s = 0; s < self->n_series; s++) {
        const report_series *series = &self->series[s];
        const report_axis axis = report_axis_of(series);
        for (size_t i = 0; i < N_CHARTS; i++)
            if (is_there(series, &charts[i])) {
                fputs(n++ ? ",\n" : "", stream);
                write_chart(stream, series, &axis, &charts[i], s);
            }
    }
    fputc(']', stream);
}
