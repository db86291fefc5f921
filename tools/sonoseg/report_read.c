// SPDX-License-Identifier: Apache-2.0
/* What lies in the folder, and who reads it. */
#include "args.h"
#include "report.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILES 4096

typedef struct listing {
    char **names;
    int n, n_beyond;
} listing;

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Regular files that are not hidden, sorted. */
static int list_files(const char *folder, listing *out)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return -1;
    out->names = calloc(MAX_FILES, sizeof *out->names);
    for (const struct dirent *entry; out->names && (entry = readdir(stream));) {
        char path[PATH_MAX];
        struct stat facts;
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= PATH_MAX || stat(path, &facts) ||
            !S_ISREG(facts.st_mode))
            continue;
        if (out->n == MAX_FILES || !(out->names[out->n] = strdup(entry->d_name)))
            out->n_beyond++;
        else
            out->n++;
    }
    closedir(stream);
    if (out->names)
        qsort(out->names, (size_t)out->n, sizeof *out->names, compare);
    return out->names ? 0 : -1;
}

static int ends_with(const char *name, const char *ending)
{
    const size_t n = strlen(name), n_ending = strlen(ending);
    return n > n_ending && !strcmp(name + n - n_ending, ending);
}

/* ---- recordings ---------------------------------------------------------------------------------------- */

typedef struct recording_name {
    char base[256]; /* without number, ending and "_masks" */
    int64_t number; /* -1 = none */
    int is_mask;
} recording_name;

/* 0 = a sequence's file. */
static int parse_recording(const char *name, recording_name *out)
{
    static const char *const endings[] = {".igs.mha", ".igs.mhd", ".mha", ".mhd", ".nrrd", ".nhdr"};
    *out = (recording_name){.number = -1};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (!ends_with(name, endings[i]))
            continue;
        size_t n = strlen(name) - strlen(endings[i]), n_digits = 0;
        while (n_digits < n && isdigit((unsigned char)name[n - n_digits - 1]))
            n_digits++;
        if (n_digits >= 4 && n_digits < 10 && n > n_digits + 1 && name[n - n_digits - 1] == '_') {
            out->number = strtoll(name + n - n_digits, NULL, 10);
            n -= n_digits + 1;
        }
        if (n > 6 && out->number >= 0 && !memcmp(name + n - 6, "_masks", 6)) {
            out->is_mask = 1;
            n -= 6;
        }
        snprintf(out->base, sizeof out->base, "%.*s", (int)n, name);
        return 0;
    }
    return -1;
}

/* The masks' file of a number, or the images', the joined one first. */
static const char *find_part(const listing *files, const recording_name *wanted, int is_mask)
{
    const char *found = NULL;
    for (int i = 0; i < files->n; i++) {
        recording_name name;
        if (!parse_recording(files->names[i], &name) && name.number == wanted->number &&
            name.is_mask == is_mask && !strcmp(name.base, wanted->base) &&
            (!found || ends_with(files->names[i], ".mha")))
            found = files->names[i];
    }
    return found;
}

static report_series *series_of(report *self, const char *base)
{
    for (int i = 0; i < self->n_series; i++)
        if (self->series[i].kind == REPORT_RECORDING && !strcmp(self->series[i].name, base))
            return &self->series[i];
    if (self->n_series == REPORT_MAX_SERIES)
        return NULL;
    report_series *series = &self->series[self->n_series++];
    series->kind = REPORT_RECORDING;
    snprintf(series->name, sizeof series->name, "%s", base);
    return series;
}

static int has_file(const report_series *series, const char *name)
{
    for (size_t i = 0; i < series->files.n; i++)
        if (!strcmp(series->files.items[i].key, name) || !strcmp(series->files.items[i].value, name))
            return 1;
    return 0;
}

/* The numbers of images and masks need not go together (colour images fill a file sooner): the walk reads
 * each row of files one behind the other. */
static void add_recording(report *self, const listing *files, const char *name)
{
    recording_name parts;
    if (parse_recording(name, &parts))
        return;
    report_series *series = series_of(self, parts.base);
    if (!series) {
        report_texts_add(&self->left_out, name, "more than %d recordings", REPORT_MAX_SERIES);
        return;
    }
    if (has_file(series, name))
        return;
    const char *images = find_part(files, &parts, 0);
    const char *masks = parts.number < 0 ? NULL : find_part(files, &parts, 1);
    if ((images && has_file(series, images)) || (masks && has_file(series, masks)))
        return; /* a pair whose joined file is there, too */
    report_texts_add(&series->files, images ? images : "", "%s", masks ? masks : "");
    if (!images)
        report_texts_add(&self->notes, masks ? masks : name, "masks whose images are not here");
}

/* ---- other files --------------------------------------------------------------------------------------- */

static int is_events(const report *self, const char *name)
{
    report_lines lines;
    int is_so = 0;
    if (report_lines_open(&lines, self->folder, name))
        return 0;
    if (report_lines_next(&lines))
        is_so = (!strncmp(lines.text, "ts=", 3) && strstr(lines.text, " event=")) ||
                (lines.text[0] == '{' && strstr(lines.text, "\"ts\":") && strstr(lines.text, "\"event\":"));
    report_lines_close(&lines);
    return is_so;
}

static void read_other(report *self, const char *name)
{
    recording_name parts;
    if (!parse_recording(name, &parts) || ends_with(name, ".raw") || ends_with(name, ".zraw"))
        return;
    if (ends_with(name, ".json"))
        report_read_facts(self, name);
    else if (ends_with(name, ".html"))
        report_texts_add(&self->left_out, name, "a page");
    else if (ends_with(name, ".gz"))
        report_texts_add(&self->left_out, name, "compressed: unpack it to see what it says");
    else if (is_events(self, name))
        report_read_events(self, name);
    else
        report_texts_add(&self->left_out, name, "nothing that a report reads");
}

static void read_all(report *self, const listing *files)
{
    for (int i = 0; i < files->n; i++)
        if (!strcmp(files->names[i], "results.jsonl"))
            report_read_results(self, files->names[i], REPORT_RESULTS);
        else if (!strcmp(files->names[i], "frames.jsonl"))
            report_read_results(self, files->names[i], REPORT_EVALUATION);
        else
            read_other(self, files->names[i]);
    for (int i = 0; i < files->n; i++)
        add_recording(self, files, files->names[i]);
    for (int i = 0; i < self->n_series; i++)
        if (self->series[i].kind == REPORT_RECORDING)
            report_read_recording(self, &self->series[i]);
}

int report_read(report *self)
{
    listing files = {0};
    if (list_files(self->folder, &files)) {
        report_error("%s: cannot be read as a folder: %s", self->folder, strerror(errno));
        free(files.names);
        return -1;
    }
    if (files.n_beyond)
        report_texts_add(&self->left_out, "", "%d more files: a report reads %d", files.n_beyond, MAX_FILES);
    read_all(self, &files);
    for (int i = 0; i < files.n; i++)
        free(files.names[i]);
    free(files.names);
    return 0;
}
