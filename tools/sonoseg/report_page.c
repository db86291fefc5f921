// SPDX-License-Identifier: Apache-2.0
#include "report_page.h"

#include "report_charts.h"
#include "report_html.h"

#include "web/assets.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

extern const sono_web_asset_file report_assets[];
extern const size_t report_n_assets;

static const sono_web_asset_file *own_asset(const char *name)
{
    for (size_t i = 0; i < report_n_assets; i++)
        if (!strcmp(report_assets[i].name, name))
            return &report_assets[i];
    return NULL;
}

/* 'sha256-...' as a Content-Security-Policy names what stands in the page itself. */
static void write_hash(FILE *stream, const sono_web_asset_file *file)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int n_bits = 0;
    fputs(" 'sha256-", stream);
    for (const char *c = file->sha256; *c; c++) {
        bits = bits << 4 | (uint32_t)(isdigit((unsigned char)*c) ? *c - '0' : *c - 'a' + 10);
        n_bits += 4;
        if (n_bits >= 6) {
            n_bits -= 6;
            fputc(digits[bits >> n_bits & 63], stream);
        }
    }
    fputc(digits[bits << (6 - n_bits) & 63], stream); /* 256 bits: 4 are left */
    fputs("='", stream);
}

static void write_element(FILE *stream, const char *name, const sono_web_asset_file *file)
{
    fprintf(stream, "<%s>", name);
    fwrite(file->bytes, 1, file->n_bytes, stream);
    fprintf(stream, "</%s>\n", name);
}

static void write_head(FILE *stream, const char *title, const sono_web_asset_file *chart)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
          "base-uri 'none'; "
          "form-action 'none'; style-src",
          stream);
    write_hash(stream, own_asset("report.css"));
    fputs("; script-src", stream);
    write_hash(stream, own_asset("report.js"));
    if (chart)
        write_hash(stream, chart);
    fputs("\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>", stream);
    html_text(stream, title);
    fputs(" - sonoseg report</title>\n", stream);
    write_element(stream, "style", own_asset("report.css"));
    fputs("</head>\n<body>\n", stream);
}

/* ---- what is known of the folder ----------------------------------------------------------------------- */

static void write_list(FILE *stream, const char *heading, const char *class, const report_texts *list)
{
    if (!list->n)
        return;
    fprintf(stream, "<h3>%s</h3>\n<ul class=\"%s\">\n", heading, class);
    for (size_t i = 0; i < list->n; i++) {
        fputs("<li>", stream);
        html_text(stream, list->items[i].key);
        fputs(*list->items[i].key ? ": " : "", stream);
        html_text(stream, list->items[i].value);
        fputs("</li>\n", stream);
    }
    if (list->n_beyond)
        fprintf(stream, "<li>and %zu more</li>\n", list->n_beyond);
    fputs("</ul>\n", stream);
}

/* "name\tvalue" by file: models, device, settings, figures. */
static void write_facts(FILE *stream, const report_texts *facts)
{
    fputs("<h3>Models, device and settings</h3>\n", stream);
    if (!facts->n)
        fputs("<p>" HTML_ABSENT ": no file of the folder says them. Events do (<code>--events</code>).</p>\n",
              stream);
    for (size_t i = 0; i < facts->n; i++) {
        const char *file = facts->items[i].key, *tab = strchr(facts->items[i].value, '\t');
        if (!i || strcmp(file, facts->items[i - 1].key) != 0) {
            fputs(i ? "</dl>\n<p class=\"soft\">" : "<p class=\"soft\">", stream);
            html_text(stream, file);
            fputs(" says</p>\n<dl class=\"facts\">\n", stream);
        }
        fputs("<dt>", stream);
        html_format(stream, "%.*s", tab ? (int)(tab - facts->items[i].value) : 0, facts->items[i].value);
        fputs("</dt><dd>", stream);
        html_text(stream, tab ? tab + 1 : facts->items[i].value);
        fputs("</dd>\n", stream);
    }
    fputs(facts->n ? "</dl>\n" : "", stream);
    if (facts->n_beyond)
        fprintf(stream, "<p class=\"soft\">and %zu more</p>\n", facts->n_beyond);
}

static void write_overview(FILE *stream, const report *self, const char *title)
{
    fputs("<header>\n<h1>", stream);
    html_text(stream, title);
    fputs("</h1>\n<p class=\"soft\">A report of ", stream);
    html_text(stream, self->folder);
    fprintf(stream, ", made by sonoseg %s at ", sono_version());
    html_time(stream, (double)time(NULL));
    fputs(". For research, not a medical device. Pictures may show "
          "patients.</p>\n</header>\n<main>\n<section>\n<h2>What there "
          "is</h2>\n",
          stream);
    if (!self->n_series && !self->events.has_any)
        fputs("<p><strong>Nothing to report.</strong> There are no results (results.jsonl, frames.jsonl), "
              "recordings (.igs.mha, "
              ".igs.mhd) or events here.</p>\n",
              stream);
    write_list(stream, "Damaged or missing", "notes", &self->notes);
    write_facts(stream, &self->facts);
    write_list(stream, "Files that are not in this report", "soft", &self->left_out);
    fputs("</section>\n", stream);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void write_counts(FILE *stream, const char *heading, const char *key, const report_counts *counts)
{
    if (!counts->n)
        return;
    fprintf(stream, "<h3>%s</h3>\n<dl data-counts=\"%s\">\n", heading, key);
    for (int i = 0; i < counts->n; i++) {
        fputs("<dt>", stream);
        html_text(stream, counts->items[i].name);
        fprintf(stream, "</dt><dd>%llu</dd>\n", (unsigned long long)counts->items[i].n);
    }
    fputs("</dl>\n", stream);
}

static void write_event(FILE *stream, const report_event *event)
{
    fprintf(stream, "<tr data-ts=\"%.6f\"><td>", event->time_s);
    html_time(stream, event->time_s);
    fprintf(stream, "</td><td>%s</td><td>", event->level ? "warning" : "error");
    html_text(stream, event->name);
    fputs("</td><td>", stream);
    html_text(stream, event->text);
    fputs("</td></tr>\n", stream);
}

static void write_events(FILE *stream, const report_events *events)
{
    fputs("<section>\n<h2>Events</h2>\n", stream);
    if (!events->has_any) {
        fputs("<p>" HTML_ABSENT
              ": there is no file of events in the folder (<code>--events</code>).</p>\n</section>\n",
              stream);
        return;
    }
    const uint64_t n = events->n_errors + events->n_warnings;
    fprintf(stream,
            "<p>%llu events, of which <span class=\"errors\">%llu</span> errors and <span "
            "class=\"warnings\">%llu</span> "
            "warnings.%s</p>\n",
            (unsigned long long)events->n_lines, (unsigned long long)events->n_errors,
            (unsigned long long)events->n_warnings, n > (uint64_t)events->n ? " The first of them:" : "");
    if (events->n) {
        fputs("<div class=\"table\"><table class=\"words events\"><thead><tr><th scope=\"col\">When</th><th "
              "scope=\"col\">Level</th><th scope=\"col\">Event</th><th scope=\"col\">What it "
              "says</th></tr></thead><tbody>\n",
              stream);
        for (int i = 0; i < events->n; i++)
            write_event(stream, &events->list[i]);
        fputs("</tbody></table></div>\n", stream);
    }
    write_counts(stream, "Dropped, by reason", "drops", &events->drops);
    write_counts(stream, "All events, by name", "names", &events->names);
    fputs("</section>\n", stream);
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void write_commands(FILE *stream, const report *self, const char *own)
{
    fputs("<section>\n<h2>Doing it again</h2>\n", stream);
    for (size_t i = 0; i < self->commands.n; i++) {
        fputs("<h3>", stream);
        html_text(stream, self->commands.items[i].key);
        fputs("</h3>\n<pre class=\"command\">", stream);
        html_text(stream, self->commands.items[i].value);
        fputs("</pre>\n", stream);
    }
    if (!self->commands.n)
        fputs("<p>" HTML_ABSENT ": no file of the folder says by which command it was made.</p>\n", stream);
    fputs("<h3>This report</h3>\n<pre class=\"command\">", stream);
    html_text(stream, own);
    fputs("</pre>\n</section>\n", stream);
}

static void write_licences(FILE *stream, const sono_web_asset_file *chart)
{
    const sono_web_asset_file *licences = sono_web_asset_find("licences.txt");
    fputs("</main>\n<footer class=\"soft\">\n", stream);
    if (chart)
        fputs("<p>Plots are drawn by Chart.js (MIT licence), which is in this file.</p>\n", stream);
    else
        fputs("<p class=\"no-plots\">This build of sonoseg has no Chart.js: there are no plots, only their "
              "numbers.</p>\n",
              stream);
    if (chart && licences) {
        fputs("<details><summary>Licences</summary><pre>", stream);
        for (size_t i = 0; i < licences->n_bytes; i++)
            if (licences->bytes[i] == '<' || licences->bytes[i] == '&')
                fprintf(stream, "&#%d;", licences->bytes[i]);
            else
                fputc(licences->bytes[i], stream);
        fputs("</pre></details>\n", stream);
    }
    fputs("</footer>\n", stream);
}

int report_write_page(FILE *stream, const report *self, const report_options *options)
{
    const sono_web_asset_file *chart = sono_web_asset_find("chart.min.js");
    const char *slash = strrchr(self->folder, '/');
    const char *title = options->title ? options->title : slash && slash[1] ? slash + 1 : self->folder;
    int status = 0;
    write_head(stream, title, chart);
    write_overview(stream, self, title);
    for (int i = 0; i < self->n_series && !status; i++)
        status = report_write_section(stream, self, i, options);
    write_events(stream, &self->events);
    write_commands(stream, self, options->command);
    write_licences(stream, chart);
    fputs("<script type=\"application/json\" id=\"data\">",
          stream); /* numbers and names of ours alone: no '<' in it */
    report_write_chart_data(stream, self);
    fputs("</script>\n", stream);
    if (chart)
        write_element(stream, "script", chart);
    write_element(stream, "script", own_asset("report.js"));
    fputs("</body>\n</html>\n", stream);
    return status;
}
