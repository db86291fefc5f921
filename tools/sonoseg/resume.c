// SPDX-License-Identifier: Apache-2.0
#include "resume.h"

#include "args.h"
#include "json_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART                                                                                                 \
    "/.sonoseg-part-results" /* swept by whoever locks the folder next, where this one was killed            \
                              */
#define MAX_OBJECTS 16

static int add_line(resume *self, size_t *capacity, const resume_line *line)
{
    if (self->n_lines == *capacity) {
        const size_t larger = *capacity ? 2 * *capacity : 1024;
        resume_line *lines = realloc(self->lines, larger * sizeof *lines);
        if (!lines) {
            report_error("out of memory for the lines of %s", self->path);
            return -1;
        }
        self->lines = lines;
        *capacity = larger;
    }
    self->lines[self->n_lines++] = *line;
    return 0;
}

static int compare_lines(const void *left, const void *right)
{
    const resume_line *a = left, *b = right;
    if (a->frame_id != b->frame_id)
        return a->frame_id < b->frame_id ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Sorted, and of the same frame the last that was written. */
static void settle_lines(resume *self)
{
    size_t n = 0;
    for (size_t i = 1; i < self->n_lines; i++)
        self->is_in_order &= self->lines[i - 1].frame_id < self->lines[i].frame_id;
    if (!self->is_in_order)
        qsort(self->lines, self->n_lines, sizeof *self->lines, compare_lines);
    for (size_t i = 0; i < self->n_lines; i++)
        if (i + 1 == self->n_lines || self->lines[i].frame_id != self->lines[i + 1].frame_id)
            self->lines[n++] = self->lines[i];
    self->n_lines = n;
}

/* A line that is no result's is left out, and goes when the lines are put in order. */
static int read_lines(resume *self, FILE *stream)
{
    char *text = NULL;
    size_t text_capacity = 0, capacity = 0;
    ssize_t n;
    int status = 0;
    while (!status && (n = getline(&text, &text_capacity, stream)) > 0 && text[n - 1] == '\n') {
        const double id = json_number(text, "frame_id");
        if (id >= 0 && id < 9e15 && text[n - 2] == '}')
            status = add_line(self, &capacity, &(resume_line){(uint64_t)id, self->n_bytes, (size_t)n});
        else
            self->is_in_order = 0;
        self->n_bytes += n;
    }
    free(text);
    return status;
}

int resume_open(resume *self, const char *folder)
{
    *self = (resume){.file = -1, .is_in_order = 1};
    const size_t n_bytes = strlen(folder) + sizeof "/results.jsonl";
    self->folder = strdup(folder);
    self->path = malloc(n_bytes);
    if (!self->folder || !self->path) {
        report_error("out of memory");
        return -1;
    }
    snprintf(self->path, n_bytes, "%s/results.jsonl", folder);
    FILE *stream = fopen(self->path, "re");
    if (!stream && errno == ENOENT)
        return 0;
    if (stream)
        self->file = open(self->path, O_RDONLY | O_CLOEXEC);
    if (self->file < 0) {
        report_error("%s: cannot be read: %s", self->path, strerror(errno));
        if (stream)
            fclose(stream);
        return -1;
    }
    const int status = read_lines(self, stream);
    fclose(stream);
    if (!status)
        settle_lines(self);
    return status;
}

int resume_cut(const resume *self)
{
    if (self->file < 0 || !truncate(self->path, self->n_bytes))
        return 0;
    report_error("%s: its last line has no end and cannot be cut off: %s", self->path, strerror(errno));
    return -1;
}

static const resume_line *find(const resume *self, uint64_t frame_id)
{
    size_t low = 0, high = self->n_lines;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (self->lines[middle].frame_id < frame_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->n_lines && self->lines[low].frame_id == frame_id ? &self->lines[low] : NULL;
}

char *resume_text(const resume *self, uint64_t frame_id)
{
    const resume_line *line = find(self, frame_id);
    char *text = line ? malloc(line->n_bytes + 1) : NULL;
    if (!text)
        return NULL;
    if (pread(self->file, text, line->n_bytes, line->at) != (ssize_t)line->n_bytes) {
        free(text);
        return NULL;
    }
    text[line->n_bytes] = 0;
    return text;
}

/* Whether the value at key is the name as results have it. */
static int is_name(const char *text, const char *key, const char *name)
{
    char *written = NULL;
    size_t n_bytes = 0;
    const char *value = json_find(text, key);
    FILE *stream = value ? open_memstream(&written, &n_bytes) : NULL;
    if (!stream)
        return 0;
    sono_json_write_name(stream, name);
    const int is_same = !fclose(stream) && !strncmp(value, written, n_bytes);
    free(written);
    return is_same;
}

/* One object is the line's own. */
static int32_t count_objects(const char *text)
{
    const char *objects = json_find(text, "objects");
    int32_t n = 0;
    while (objects && n <= MAX_OBJECTS && json_element(objects, n, NULL, 0))
        n++;
    return n ? n : 1;
}

static int is_whole(const resume *self, const char *folder, const char *stem, const char *suffix,
                    const char *text)
{
    char path[PATH_MAX];
    const double width = json_number(text, "width_px"), height = json_number(text, "height_px");
    if (!(width >= 1 && width < 1e6 && height >= 1 && height < 1e6) ||
        snprintf(path, sizeof path, "%s/%s/%s%s.png", self->folder, folder, stem, suffix) >= (int)sizeof path)
        return 0;
    return sono_png_check(path, (int32_t)width, (int32_t)height, NULL) == SONO_STATUS_OK;
}

static int has_maps(const resume *self, const char *stem, const char *text, int32_t n_objects)
{
    static const char *const maps[] = {"edge", "inside", "outside"};
    for (int32_t k = 0; k < n_objects; k++)
        for (int i = 0; i < 3; i++) {
            char suffix[32];
            snprintf(suffix, sizeof suffix, "_%s", maps[i]);
            if (n_objects > 1)
                snprintf(suffix, sizeof suffix, "_obj%d_%s", k, maps[i]);
            if (!is_whole(self, "weights", stem, suffix, text))
                return 0;
        }
    return 1;
}

static int has_pictures(const resume *self, const char *text)
{
    char stem[RESUME_STEM_BYTES], suffix[16];
    json_text(text, "stem", stem, sizeof stem);
    const int32_t n_objects = count_objects(text);
    if (!*stem || (self->wants_rle && !json_find(text, "mask_rle")) ||
        (self->wants_overlays && !is_whole(self, "overlays", stem, "", text)) ||
        (self->wants_masks && !is_whole(self, "masks", stem, "", text)))
        return 0;
    for (int32_t k = 0; self->wants_masks && n_objects > 1 && k < n_objects; k++) {
        snprintf(suffix, sizeof suffix, "_obj%d", k);
        if (!is_whole(self, "masks", stem, suffix, text))
            return 0;
    }
    return !self->wants_weights || has_maps(self, stem, text, n_objects);
}

int resume_check(const resume *self, uint64_t frame_id, const char *name)
{
    char *text = resume_text(self, frame_id);
    const int is_done = text && is_name(text, "path", name) && has_pictures(self, text);
    free(text);
    return is_done;
}

int resume_recall(resume *self, uint64_t frame_id, archive_done *out)
{
    char state[32];
    char *text = resume_text(self, frame_id);
    if (!text)
        return -1;
    json_text(text, "stem", self->stem, sizeof self->stem);
    json_text(text, "state", state, sizeof state);
    *out = (archive_done){self->stem, count_objects(text), SONO_STATE_LOST};
    for (int i = SONO_STATE_LOST; i <= SONO_STATE_RELOCALIZING; i++)
        if (!strcmp(state, sono_state_name((sono_state)i)))
            out->state = (sono_state)i;
    free(text);
    return 0;
}

static int copy_lines(const resume *self, FILE *out)
{
    for (size_t i = 0; i < self->n_lines; i++) {
        char *text = resume_text(self, self->lines[i].frame_id);
        const int has_failed = !text || fputs(text, out) < 0;
        free(text);
        if (has_failed)
            return -1;
    }
    return fflush(out) || fsync(fileno(out)) ? -1 : 0;
}

int resume_sort(const char *folder)
{
    resume lines;
    char part[PATH_MAX];
    int status = resume_open(&lines, folder);
    if (!status && !lines.is_in_order) {
        const int fits = snprintf(part, sizeof part, "%s" PART, folder) < (int)sizeof part;
        FILE *out = fits ? fopen(part, "we") : NULL;
        status = !out || copy_lines(&lines, out) ? -1 : 0;
        if (out && fclose(out))
            status = -1;
        if (!status)
            status = rename(part, lines.path);
        if (status) {
            report_error("%s: its lines cannot be put in order: %s", lines.path, strerror(errno));
            unlink(part);
        }
    }
    resume_close(&lines);
    return status;
}

void resume_close(resume *self)
{
    if (self->file >= 0)
        close(self->file);
    free(self->lines);
    free(self->folder);
    free(self->path);
    *self = (resume){.file = -1};
}
