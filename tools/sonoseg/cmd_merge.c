// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "output_folder.h"
#include "resume.h"
#include "run_file.h"
#include "shard.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART       "/.sonoseg-part-merged"
#define COPY_BYTES 65536

enum { ID_OUTPUT = 'o', ID_QUIET = 'q' };

typedef struct merging {
    const char **folders; /* array owned, texts borrowed from argv */
    int32_t n_folders;
    const char *output;
    int is_quiet;
    shard_report *reports; /* of each folder */
    resume *lines;         /* likewise */
    int32_t *folder_of;    /* [of]: of each shard; -1 = none */
    int64_t n_lines, n_pictures;
} merging;

static int take(void *user, int id, const char *value)
{
    merging *self = user;
    if (id == ID_OUTPUT) {
        self->output = value;
        return 0;
    }
    if (id == ID_QUIET) {
        self->is_quiet = 1;
        return 0;
    }
    const char **folders = realloc(self->folders, ((size_t)self->n_folders + 1) * sizeof *folders);
    if (!folders) {
        report_error("out of memory");
        return -1;
    }
    folders[self->n_folders++] = value;
    self->folders = folders;
    return 0;
}

static const args_option options[] = {
    {"output", ID_OUTPUT, "DIR", "folder for the results, made when missing; there may be none in it"},
    {"quiet", ID_QUIET, NULL, "no summary; errors only"},
};

static const args_spec spec = {
    .command = "merge",
    .usage = "merge DIR... --output DIR",
    .intro =
        "Puts what the shards of a run wrote (run --shard 1/4 ... 4/4) into one folder, the same as a run "
        "over all inputs\nwrites. Every shard must be there once, have come to its end, and have been made "
        "by the same settings;\nelse nothing is written. Pictures are linked where the file system can, "
        "else copied.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "example\n"
                "  sonoseg merge shard1 shard2 shard3 shard4 --output out\n\n"
                "exit status\n"
                "  0 all done   1 a shard is missing or incomplete, or the output failed   2 usage",
    .take = take,
};

/* Each shard once, all of one run. */
static int check_shards(merging *self)
{
    for (int32_t i = 0; i < self->n_folders; i++)
        if (shard_read(&self->reports[i], self->folders[i]))
            return -1;
    const shard_report *first = &self->reports[0];
    self->folder_of = malloc((size_t)first->part.n * sizeof *self->folder_of);
    if (!self->folder_of) {
        report_error("out of memory");
        return -1;
    }
    for (int32_t k = 0; k < first->part.n; k++)
        self->folder_of[k] = -1;
    for (int32_t i = 0; i < self->n_folders; i++) {
        const shard_report *at = &self->reports[i];
        if (at->part.n != first->part.n || at->n_inputs != first->n_inputs) {
            report_error("%s is shard %d/%d of %lld inputs, and %s one of /%d of %lld", self->folders[i],
                         at->part.number, at->part.n, (long long)at->n_inputs, self->folders[0],
                         first->part.n, (long long)first->n_inputs);
            return -1;
        }
        int32_t *place = &self->folder_of[at->part.number - 1];
        if (*place >= 0) {
            report_error("%s and %s are both shard %d/%d", self->folders[*place], self->folders[i],
                         at->part.number, at->part.n);
            return -1;
        }
        *place = i;
    }
    for (int32_t k = 0; k < first->part.n; k++)
        if (self->folder_of[k] < 0) {
            report_error("shard %d/%d is missing", k + 1, first->part.n);
            return -1;
        }
    return 0;
}

static int check_lines(merging *self)
{
    for (int32_t i = 0; i < self->n_folders; i++) {
        const shard_report *at = &self->reports[i];
        if (resume_open(&self->lines[i], self->folders[i]))
            return -1;
        const resume *lines = &self->lines[i];
        for (size_t k = 0; k < lines->n_lines; k++)
            if (!shard_has(&at->part, lines->lines[k].frame_id)) {
                report_error("%s/results.jsonl: frame %llu is none of shard %d/%d", self->folders[i],
                             (unsigned long long)lines->lines[k].frame_id, at->part.number, at->part.n);
                return -1;
            }
        const int64_t n_wanted = shard_count(&at->part, at->n_inputs) - at->n_failed;
        if ((int64_t)lines->n_lines != n_wanted) {
            report_error("%s/results.jsonl: has %zu frames of %lld: run the shard again with --resume",
                         self->folders[i], lines->n_lines, (long long)n_wanted);
            return -1;
        }
    }
    return 0;
}

static int copy_file(const char *from, const char *to)
{
    char bytes[COPY_BYTES];
    FILE *in = fopen(from, "re"), *out = in ? fopen(to, "wxe") : NULL;
    int status = out ? 0 : -1;
    for (size_t n; !status && (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        status = fwrite(bytes, 1, n, out) == n ? 0 : -1;
    if (in)
        status |= ferror(in) ? -1 : 0;
    if (out && fclose(out))
        status = -1;
    if (in)
        fclose(in);
    return status;
}

/* One folder of pictures of one shard. */
static int add_pictures(merging *self, const char *folder, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    int status = 0;
    if (snprintf(from, sizeof from, "%s/%s", folder, name) >= (int)sizeof from ||
        snprintf(to, sizeof to, "%s/%s", self->output, name) >= (int)sizeof to)
        return -1;
    DIR *stream = opendir(from);
    if (!stream)
        return 0;
    if (output_folder_make(to))
        status = -1;
    for (const struct dirent *entry; !status && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        status = snprintf(from, sizeof from, "%s/%s/%s", folder, name, entry->d_name) >= (int)sizeof from ||
                 snprintf(to, sizeof to, "%s/%s/%s", self->output, name, entry->d_name) >= (int)sizeof to;
        if (!status && link(from, to) && (errno == EEXIST || copy_file(from, to))) {
            report_error("%s: cannot be put in its place: %s", to, strerror(errno));
            status = -1;
        }
        self->n_pictures += !status;
    }
    closedir(stream);
    return status;
}

/* By their numbers: the shards take turns. */
static int write_lines(merging *self)
{
    char part[PATH_MAX], path[PATH_MAX];
    const int32_t n = self->reports[0].part.n;
    if (snprintf(part, sizeof part, "%s" PART, self->output) >= (int)sizeof part ||
        snprintf(path, sizeof path, "%s/results.jsonl", self->output) >= (int)sizeof path)
        return -1;
    FILE *out = fopen(part, "we");
    int status = out ? 0 : -1;
    for (int64_t id = 0; !status && id < self->reports[0].n_inputs; id++) {
        char *text = resume_text(&self->lines[self->folder_of[id % n]], (uint64_t)id);
        if (text && fputs(text, out) < 0)
            status = -1;
        self->n_lines += text != NULL;
        free(text);
    }
    if (out && fclose(out))
        status = -1;
    if (!status && rename(part, path))
        status = -1;
    if (status)
        report_error("%s: cannot be written: %s", path, strerror(errno));
    return status;
}

static int write_all(merging *self)
{
    static const char *const names[] = {"masks", "overlays", "weights"};
    for (int32_t i = 0; i < self->n_folders; i++)
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (add_pictures(self, self->folders[i], names[k]))
                return -1;
    return run_file_copy(self->folders[0], self->output) || write_lines(self) ? -1 : 0;
}

static int open_and_write(merging *self)
{
    sono_error error;
    char path[PATH_MAX];
    int32_t lock = -1;
    if (snprintf(path, sizeof path, "%s/results.jsonl", self->output) < (int)sizeof path &&
        !access(path, F_OK)) {
        report_error("%s is there: choose another folder", path);
        return STATUS_FAILED;
    }
    const sono_output output = {self->output, SONO_OUTPUT_RESULTS};
    if (sono_output_check(NULL, 0, &output, 1, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    if (output_folder_make(self->output))
        return STATUS_FAILED;
    if (sono_folder_lock(self->output, &lock, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    const int status = write_all(self) ? STATUS_FAILED : STATUS_DONE;
    sono_folder_unlock(lock);
    return status;
}

static int merge(merging *self)
{
    if (!self->n_folders || !self->output) {
        report_error(self->output ? "no shard: pass the folders of all of them"
                                  : "no output folder: pass --output DIR");
        report_see_help("merge");
        return STATUS_USAGE;
    }
    self->reports = calloc((size_t)self->n_folders, sizeof *self->reports);
    self->lines = calloc((size_t)self->n_folders, sizeof *self->lines);
    if (!self->reports || !self->lines) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    for (int32_t i = 0; i < self->n_folders; i++)
        self->lines[i].file = -1;
    if (check_shards(self) || run_file_same(self->folders, self->n_folders) || check_lines(self))
        return STATUS_FAILED;
    const int status = open_and_write(self);
    if (!status && !self->is_quiet)
        printf("%lld frames and %lld pictures of %d shards in %s\n", (long long)self->n_lines,
               (long long)self->n_pictures, self->n_folders, self->output);
    return status;
}

int cmd_merge(int argc, char **argv)
{
    merging self = {0};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    const int status = parsed == ARGS_WRONG ? STATUS_USAGE : parsed == ARGS_GO ? merge(&self) : STATUS_DONE;
    for (int32_t i = 0; self.lines && i < self.n_folders; i++)
        resume_close(&self.lines[i]);
    free(self.lines);
    free(self.reports);
    free(self.folder_of);
    free(self.folders);
    return status;
}
