// SPDX-License-Identifier: Apache-2.0
/* One series: its frames, states, numbers, plots and pictures. */
#include "report_charts.h"
#include "report_html.h"
#include "report_page.h"
#include "report_pictures.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_row(FILE *stream, const char *name, uint64_t n)
{
    fputs("<dt>", stream);
    html_text(stream, name);
    fprintf(stream, "</dt><dd data-n=\"%llu\">", (unsigned long long)n);
    html_count(stream, n);
    fputs("</dd>\n", stream);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

/* Numbers between the smallest and the largest that no frame has; 0 where numbers are given twice, too. */
static uint64_t missing_ids(const report_series *series)
{
    uint64_t low = series->frames[0].id, high = low;
    for (size_t i = 1; i < series->n_frames; i++) {
        low = series->frames[i].id < low ? series->frames[i].id : low;
        high = series->frames[i].id > high ? series->frames[i].id : high;
    }
    return high - low >= series->n_frames ? high - low + 1 - series->n_frames : 0;
}

static void write_recorded(FILE *stream, const report_series *series)
{
    uint64_t n_processed = 0, n_not = 0, by_reason[REPORT_MAX_REASONS] = {0};
    for (size_t i = 0; i < series->n_frames; i++) {
        const report_frame *frame = &series->frames[i];
        n_processed += frame->is_processed == 1;
        n_not += frame->is_processed == 0;
        if (frame->reason != REPORT_UNKNOWN)
            by_reason[frame->reason]++;
    }
    if (!n_processed && !n_not) {
        fputs("<dt>Analysed</dt><dd>" HTML_ABSENT " (no masks and states beside the images)</dd>\n", stream);
        return;
    }
    write_row(stream, "Analysed", n_processed);
    write_row(stream, "Not analysed", n_not);
    if (series->n_frames > n_processed + n_not)
        write_row(stream, "Of which nothing is said", series->n_frames - n_processed - n_not);
    for (int i = 0; i < series->n_reasons; i++) {
        char name[80];
        snprintf(name, sizeof name, "Mask not shown: %s", series->reasons[i]);
        write_row(stream, name, by_reason[i]);
    }
}

static void write_frames(FILE *stream, const report_series *series)
{
    const report_axis axis = report_axis_of(series);
    const size_t n = series->n_frames;
    fputs("<h3>Frames</h3>\n<dl>\n", stream);
    write_row(stream, series->kind == REPORT_RECORDING ? "Images recorded" : "Frames with a result", n);
    if (series->n_beyond)
        write_row(stream,
                  series->is_out_of_memory
                      ? "Further frames, for which memory was missing: not in this report"
                      : "Further frames, not in this report",
                  series->n_beyond);
    if (series->n_damaged)
        write_row(stream, "Damaged lines", series->n_damaged);
    if (n && series->kind == REPORT_RECORDING)
        write_recorded(stream, series);
    if (n && missing_ids(series))
        write_row(stream, "Frame numbers without a frame (failed, dropped, or not kept)",
                  missing_ids(series));
    if (axis.is_time) {
        const double span_s = series->frames[n - 1].time_s - axis.start_s;
        fputs("<dt>First frame</dt><dd>", stream);
        html_time(stream, axis.start_s);
        fprintf(stream, "</dd>\n<dt>Span</dt><dd>%.3f s, %.2f frames/s</dd>\n", span_s,
                (double)(n - 1) / span_s);
    } else {
        fputs("<dt>Span</dt><dd>" HTML_ABSENT " (frames without times)</dd>\n", stream);
    }
    fputs("</dl>\n", stream);
}

/* ---- states -------------------------------------------------------------------------------------------- */

static void write_states(FILE *stream, const report_series *series, const report_picks *picks)
{
    static const int order[] = {SONO_STATE_VISIBLE, SONO_STATE_RELOCALIZING, SONO_STATE_LOST, REPORT_UNKNOWN};
    uint64_t counts[4] = {0};
    for (size_t i = 0; i < series->n_frames; i++)
        counts[series->frames[i].state + 1]++;
    fputs("<h3>States</h3>\n", stream);
    if (counts[0] == series->n_frames) {
        fputs("<p>" HTML_ABSENT "</p>\n", stream);
        return;
    }
    report_write_timeline(stream, series);
    fputs("<p class=\"soft\">A thousand columns; one is filled where a frame had the state.</p>\n"
          "<div class=\"table\"><table class=\"states\"><thead><tr><th scope=\"col\">State</th><th "
          "scope=\"col\">Frames</th>"
          "<th scope=\"col\">Share</th></tr></thead><tbody>\n",
          stream);
    for (int i = 0; i < 4; i++) {
        const uint64_t n = counts[order[i] + 1];
        if (order[i] == REPORT_UNKNOWN && !n)
            continue;
        fprintf(stream, "<tr><th scope=\"row\">%s</th><td data-n=\"%llu\">",
                order[i] == REPORT_UNKNOWN ? "not known" : sono_state_name((sono_state)order[i]),
                (unsigned long long)n);
        html_count(stream, n);
        fprintf(stream, "</td><td>%.2f %%</td></tr>\n", 100 * (double)n / (double)series->n_frames);
    }
    fprintf(stream,
            "</tbody></table></div>\n<p>Changes of the state: <span class=\"flips\">%llu</span></p>\n",
            (unsigned long long)picks->n_flips);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static int write_numbers_row(FILE *stream, const report_series *series, int value)
{
    static const double percents[] = {0, 50, 95, 99, 100};
    const int n_decimals = report_value_decimals(value);
    samples list = {0};
    double sum = 0;
    int status = 0;
    for (size_t i = 0; i < series->n_frames && !status; i++) {
        const double number = (double)series->frames[i].values[value];
        status = isnan(number) ? 0 : samples_add(&list, number);
        sum += isnan(number) ? 0 : number;
    }
    if (list.count && !status) {
        const char *unit = report_value_unit(value);
        fprintf(stream, "<tr data-value=\"%s\"><th scope=\"row\">%s%s%s</th><td>%zu</td><td>%.*f</td>",
                report_value_heading(value), report_value_heading(value), *unit ? ", " : "", unit, list.count,
                n_decimals + (n_decimals == 0), sum / (double)list.count);
        for (int i = 0; i < 5; i++)
            fprintf(stream, "<td>%.*f</td>", n_decimals, samples_percentile(&list, percents[i]));
        fputs("</tr>\n", stream);
    }
    samples_free(&list);
    return status;
}

static int write_numbers(FILE *stream, const report_series *series)
{
    int status = 0;
    fputs("<h3>Numbers</h3>\n<div class=\"table\"><table class=\"numbers\"><thead><tr><th "
          "scope=\"col\">What</th><th "
          "scope=\"col\">Frames</th><th scope=\"col\">Mean</th><th scope=\"col\">Least</th><th "
          "scope=\"col\">p50</th><th "
          "scope=\"col\">p95</th><th scope=\"col\">p99</th><th scope=\"col\">Most</th></tr></thead><tbody>\n",
          stream);
    for (int i = 0; i < REPORT_N_VALUES && !status; i++)
        status = write_numbers_row(stream, series, i);
    fputs("</tbody></table></div>\n<p class=\"soft\">Over the frames that have the value. ", stream);
    if (report_has(series, REPORT_LATENCY))
        fputs(series->kind == REPORT_RECORDING
                  ? "Latency is the engine's time for a frame. "
                  : "Latency is from a frame's submission to its result; stages are named as in "
                    "results.jsonl. ",
              stream);
    fputs("Absent in all frames: ", stream);
    int n = 0;
    for (int i = 0; i < REPORT_STAGE; i++)
        if (!report_has(series, i))
            fprintf(stream, "%s%s", n++ ? ", " : "", report_value_heading(i));
    fputs(n ? ".</p>\n" : "none.</p>\n", stream);
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------------------ */

static void write_caption(FILE *stream, const report_series *series, const report_picture *picture,
                          int is_short)
{
    const report_frame *frame = &series->frames[picture->frame];
    fprintf(stream, "%llu", (unsigned long long)frame->id);
    if (!is_short && picture->name)
        html_format(stream, " · %s", picture->name);
    fprintf(stream, "%s%s", frame->state == REPORT_UNKNOWN ? "" : " · ",
            frame->state == REPORT_UNKNOWN ? "" : sono_state_name((sono_state)frame->state));
    if (!isnan(frame->values[REPORT_SCORE]))
        fprintf(stream, " · %.3f", (double)frame->values[REPORT_SCORE]);
    if (!is_short && !isnan(frame->values[REPORT_LATENCY]))
        fprintf(stream, " · %.2f ms", (double)frame->values[REPORT_LATENCY]);
    if (!is_short && frame->reason != REPORT_UNKNOWN)
        html_format(stream, " · %s", series->reasons[frame->reason]);
}

static void write_picture(FILE *stream, const report_series *series, const report_picture *picture,
                          int is_short)
{
    const char *url = is_short ? picture->small : picture->large;
    fprintf(stream, "<figure data-frame=\"%llu\">", (unsigned long long)series->frames[picture->frame].id);
    if (url)
        fprintf(stream, "<img src=\"%s\" alt=\"Frame %llu with its outline\"/>", url,
                (unsigned long long)series->frames[picture->frame].id);
    else
        fprintf(stream, "<div class=\"empty\">No picture: %s</div>",
                picture->why ? picture->why : "out of memory");
    fputs("<figcaption>", stream);
    write_caption(stream, series, picture, is_short);
    fputs("</figcaption></figure>\n", stream);
}

static void write_pictures(FILE *stream, const report_series *series, const report_picks *picks,
                           const report_pictures *pictures)
{
    static const struct {
        const char *key, *heading;
    } groups[] = {{"lowest", "Lowest scores"},
                  {"flips", "Changes of the state, those first after which the next one came soonest"},
                  {"slowest", "Slowest frames"},
                  {"strip", "Film strip: evenly over all frames"}};
    for (int i = 0; i < REPORT_N_CRITERIA; i++) {
        if (!picks->n[i])
            continue;
        fprintf(stream, "<h3>%s</h3>\n<div class=\"pictures%s\" data-group=\"%s\">\n", groups[i].heading,
                i == REPORT_STRIP ? " strip" : "", groups[i].key);
        for (int k = 0; k < picks->n[i]; k++)
            write_picture(stream, series, report_pictures_find(pictures, picks->frames[i][k]),
                          i == REPORT_STRIP);
        fputs("</div>\n", stream);
    }
    fputs("<p class=\"soft\">Below a picture: the frame's number, what it is called, state, score, latency, "
          "and why its mask was "
          "not shown, as far as they are known.</p>\n",
          stream);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static void write_texts(FILE *stream, const report_texts *list)
{
    if (!list->n)
        return;
    fputs("<dl>\n", stream);
    for (size_t i = 0; i < list->n; i++) {
        fputs("<dt>", stream);
        html_text(stream, list->items[i].key);
        fputs("</dt><dd>", stream);
        html_text(stream, list->items[i].value);
        fputs("</dd>\n", stream);
    }
    fputs("</dl>\n", stream);
}

static void write_heading(FILE *stream, const report_series *series)
{
    static const char *const kinds[] = {"Results", "Evaluation", "Recording"};
    fprintf(stream, "<h2>%s: ", kinds[series->kind]);
    html_text(stream, series->name);
    fputs("</h2>\n", stream);
    write_texts(stream, &series->facts);
    if (!series->damages.n)
        return;
    fputs("<ul class=\"notes\">\n", stream);
    for (size_t i = 0; i < series->damages.n; i++) {
        fputs("<li>", stream);
        html_text(stream, series->damages.items[i].value);
        fputs("</li>\n", stream);
    }
    if (series->n_damaged > series->damages.n)
        fprintf(stream, "<li>and %llu more damaged lines</li>\n",
                (unsigned long long)(series->n_damaged - series->damages.n));
    fputs("</ul>\n", stream);
}

int report_write_section(FILE *stream, const report *self, int number, const report_options *options)
{
    const report_series *series = &self->series[number];
    report_pictures pictures;
    report_picks *picks = malloc(sizeof *picks);
    if (!picks)
        return -1;
    report_pick(series, options->n_worst, options->n_strip, picks);
    fprintf(stream, "<section data-series=\"%d\">\n", number);
    write_heading(stream, series);
    write_frames(stream, series);
    int status = 0;
    if (series->n_frames) {
        write_states(stream, series, picks);
        status = write_numbers(stream, series);
        fputs("<h3>Over time</h3>\n", stream);
        if (series->n_frames > REPORT_POINTS)
            fprintf(stream,
                    "<p class=\"soft downsampled\">%zu frames in %d steps: each shows the smallest and the "
                    "largest value of "
                    "its frames, none between them.</p>\n",
                    series->n_frames, REPORT_POINTS / 2);
        report_write_charts(stream, series, number);
        status = status ? status : report_pictures_make(self, series, picks, &pictures);
        if (!status) {
            write_pictures(stream, series, picks, &pictures);
            report_pictures_free(&pictures);
        }
    }
    fputs("</section>\n", stream);
    free(picks);
    return status;
}
