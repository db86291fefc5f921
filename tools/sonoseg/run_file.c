// SPDX-License-Identifier: Apache-2.0
#include "run_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME        "/run.json"
#define PART        "/.sonoseg-part-run" /* swept by whoever locks the folder next */
#define SHARD       "  \"shard\": "
#define N_BLOCKS    64
#define BLOCK_BYTES 4096
#define LINE_BYTES  8192

/* FNV-1a over blocks spread evenly over a file: training changes every tensor, so some of them differ. */
static uint64_t mark_of(FILE *file, int64_t n_bytes)
{
    static const uint64_t prime = 0x100000001b3u;
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < N_BLOCKS; i++) {
        uint8_t block[BLOCK_BYTES];
        if (fseeko(file, (off_t)(i * (n_bytes / N_BLOCKS)), SEEK_SET))
            break;
        const size_t n = fread(block, 1, sizeof block, file);
        for (size_t k = 0; k < n; k++)
            hash = (hash ^ block[k]) * prime;
    }
    return hash;
}

/* Not the path: a checkpoint may lie elsewhere the next time. */
static void write_checkpoint(FILE *out, const char *key, const char *path)
{
    struct stat facts;
    FILE *file = path ? fopen(path, "rbe") : NULL;
    if (!file || fstat(fileno(file), &facts)) {
        fprintf(out, "  \"%s\": \"none\",\n", key);
    } else {
        const int64_t n_bytes = facts.st_size;
        fprintf(out, "  \"%s\": \"%" PRId64 " bytes, mark %016" PRIx64 "\",\n", key, n_bytes,
                mark_of(file, n_bytes));
    }
    if (file)
        fclose(file);
}

static void write_prompts(FILE *out, const sono_prompt *prompts)
{
    fputs("  \"prompt\": \"", out);
    if (!prompts)
        fputs("none", out);
    for (int i = 0; prompts && i < 4; i++)
        fprintf(out, "%s%.9g", i ? "," : "", (double)prompts->bbox_xyxy_px[i]);
    for (int32_t i = 0; prompts && i < prompts->n_points; i++)
        fprintf(out, ";%.9g,%.9g,%d", (double)prompts->points[i].x_px, (double)prompts->points[i].y_px,
                (int)prompts->points[i].label);
    fputs("\",\n", out);
}

static void write_rules(FILE *out, const sono_pipeline_config *config)
{
    static const char *const modes[] = {"score", "frame", "stream"};
    const char *mode = config->state_mode <= SONO_STATE_BY_STREAM ? modes[config->state_mode] : "?";
    fprintf(out, "  \"state\": \"%s", mode);
    /* Whole numbers, one after the other, in the header's order. */
    const int32_t *rules = config->state_rules ? &config->state_rules->on : NULL;
    for (int32_t i = 0; rules && config->state_mode != SONO_STATE_BY_SCORE && sono_state_rule_name(i); i++)
        fprintf(out, " %d", rules[i]);
    fputs("\",\n", out);
}

static void write_networks(FILE *out, const pipeline_args *args, const sono_pipeline_info *info)
{
    const sono_pipeline_config *c = &args->config;
    write_checkpoint(out, "detector", c->detector_path);
    write_checkpoint(out, "segmenter", c->segmenter_path);
    fprintf(out, "  \"networks\": \"%s + %s\",\n", info->detector, info->segmenter);
    fprintf(out, "  \"inputs_px\": \"%dx%d %d\",\n", c->detector_width_px, c->detector_height_px,
            c->segmenter_size_px);
    fprintf(out, "  \"family\": \"%s\",\n", sono_detector_family_name(c->detector_family));
    fprintf(out, "  \"backend\": \"%s %s\",\n", sono_backend_name(info->backend),
            sono_precision_name(info->precision));
}

static void write_settings(FILE *out, const run_facts *facts)
{
    const pipeline_args *args = facts->args;
    const sono_pipeline_config *c = &args->config;
    const sono_sink_options *sink = facts->sink;
    fprintf(out, "  \"threshold\": %.9g,\n  \"max_objects\": %d,\n", (double)c->threshold, c->max_objects);
    fprintf(out, "  \"min_piece\": %.9g,\n  \"bridge\": %.9g,\n", (double)c->min_piece_share,
            (double)c->bridge_share);
    fprintf(out, "  \"surface\": %d,\n  \"detect_every\": %d,\n", c->want_surface, c->detect_every);
    fprintf(out, "  \"region\": \"%d %d,%d,%d,%d\",\n", c->find_region, c->region.x_px, c->region.y_px,
            c->region.width_px, c->region.height_px);
    fprintf(out, "  \"region_of_file\": %d,\n  \"keep_burned_in\": %d,\n", args->wants_file_region,
            args->burned_in == SONO_BURNED_IN_KEEP);
    fprintf(out, "  \"max_size_px\": \"%dx%d\",\n", c->max_width_px, c->max_height_px);
    fprintf(out, "  \"color\": %d,\n  \"gray16_white\": %d,\n", args->keep_colour, args->gray16_white);
    fprintf(out, "  \"float_range\": \"%.17g,%.17g\",\n", args->float_low, args->float_high);
    write_rules(out, c);
    write_prompts(out, facts->prompts);
    fprintf(out, "  \"masks\": \"%s\",\n", sink->write_masks ? "png" : sink->write_rle ? "rle" : "none");
    fprintf(out, "  \"overlays\": \"%s\",\n", facts->overlays);
    if (facts->part.n)
        fprintf(out, SHARD "\"%d/%d\",\n", facts->part.number, facts->part.n);
    fprintf(out, "  \"weights\": %d,\n  \"times\": %d\n}\n", sink->write_weights, !sink->without_times);
}

char *run_file_text(const run_facts *facts, const sono_pipeline *pipeline)
{
    char *text = NULL;
    size_t n_bytes = 0;
    sono_pipeline_info info;
    FILE *out = open_memstream(&text, &n_bytes);
    sono_pipeline_info_init(&info);
    if (out && sono_pipeline_query(pipeline, &info) == SONO_STATUS_OK) {
        fprintf(out, "{\n  \"schema\": 1,\n  \"sonoseg\": \"%s\",\n", sono_version());
        write_networks(out, facts->args, &info);
        write_settings(out, facts);
    }
    if (out && !fclose(out) && n_bytes)
        return text;
    free(text);
    report_error("out of memory for the settings of a run");
    return NULL;
}

int run_file_write(const char *folder, const char *text)
{
    char path[PATH_MAX], part[PATH_MAX];
    const int fits = snprintf(path, sizeof path, "%s" NAME, folder) < (int)sizeof path &&
                     snprintf(part, sizeof part, "%s" PART, folder) < (int)sizeof part;
    FILE *out = fits ? fopen(part, "we") : NULL;
    int status = !out || fputs(text, out) < 0 ? -1 : 0;
    if (out && fclose(out))
        status = -1;
    if (!status)
        status = rename(part, path);
    if (status)
        report_error("%s" NAME ": cannot be written: %s", folder, fits ? strerror(errno) : "too long a path");
    return status;
}

/* The first line that differs, without blanks in front and the comma behind. */
static void say_difference(const char *path, const char *was, const char *is)
{
    while (*was && *is) {
        const int n_was = (int)strcspn(was, "\n"), n_is = (int)strcspn(is, "\n");
        if (n_was != n_is || strncmp(was, is, (size_t)n_was)) {
            was += strspn(was, " ");
            is += strspn(is, " ");
            report_error("%s: was made with %.*s, and this run has %.*s: resume it with the same settings, "
                         "leave --resume out, or choose another folder",
                         path, (int)strcspn(was, ",\n"), was, (int)strcspn(is, ",\n"), is);
            return;
        }
        was += n_was + (was[n_was] == '\n');
        is += n_is + (is[n_is] == '\n');
    }
    report_error("%s: is no file of this release's settings: leave --resume out, or choose another folder",
                 path);
}

/* The folder's text; "" = there is none. */
static void read_text(const char *folder, char path[PATH_MAX], char text[LINE_BYTES])
{
    FILE *file = snprintf(path, PATH_MAX, "%s" NAME, folder) < PATH_MAX ? fopen(path, "re") : NULL;
    const size_t n = file ? fread(text, 1, LINE_BYTES - 1, file) : 0;
    text[n] = 0;
    if (file)
        fclose(file);
}

int run_file_compare(const char *folder, const char *text)
{
    char path[PATH_MAX], was[LINE_BYTES];
    read_text(folder, path, was);
    if (!*was || !strcmp(was, text))
        return 0;
    say_difference(path, was, text);
    return -1;
}

static void take_shard_out(char *text)
{
    char *line = strstr(text, SHARD);
    const char *next = line ? strchr(line, '\n') : NULL;
    if (next)
        memmove(line, next + 1, strlen(next + 1) + 1);
}

int run_file_same(const char *const *folders, int32_t n)
{
    char path[PATH_MAX], first[LINE_BYTES], other[LINE_BYTES];
    read_text(folders[0], path, first);
    take_shard_out(first);
    for (int32_t i = 1; i < n; i++) {
        read_text(folders[i], path, other);
        take_shard_out(other);
        if (!strcmp(first, other))
            continue;
        report_error("%s: its settings are not those of %s: run all shards with the same ones", path,
                     folders[0]);
        return -1;
    }
    return 0;
}

int run_file_copy(const char *from, const char *to)
{
    char path[PATH_MAX], text[LINE_BYTES];
    read_text(from, path, text);
    take_shard_out(text);
    return *text ? run_file_write(to, text) : 0;
}
