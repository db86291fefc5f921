// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "made_by.h"
#include "output_file.h"
#include "report_page.h"
#include "report_pick.h"

#include "sonoseg/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ID_OUTPUT = 'o', ID_WORST = 'n', ID_FRAMES = 'f', ID_QUIET = 'q', ID_TITLE = 256, ID_FORCE };

typedef struct report_run {
    const char *folder, *output;
    report_options options;
    int is_forced, is_quiet;
} report_run;

static int take(void *user, int id, const char *value)
{
    report_run *self = user;
    switch (id) {
    case ID_OUTPUT:
        self->output = value;
        return 0;
    case ID_WORST:
        return args_integer("worst", value, 0, REPORT_MAX_PICKS, &self->options.n_worst);
    case ID_FRAMES:
        return args_integer("frames", value, 0, REPORT_MAX_PICKS, &self->options.n_strip);
    case ID_TITLE:
        self->options.title = value;
        return 0;
    case ID_FORCE:
        self->is_forced = 1;
        return 0;
    case ID_QUIET:
        self->is_quiet = 1;
        return 0;
    default:
        if (self->folder) {
            report_error("one folder at a time: '%s' is too many", value);
            return -1;
        }
        self->folder = value;
        return 0;
    }
}

static const args_option options[] = {
    {"output", ID_OUTPUT, "FILE", "the page; default DIR/report.html; '-' = standard output"},
    {"worst", ID_WORST, "N",
     "pictures of each kind of worst frames: the lowest scores, the shortest\nstates, the slowest; "
     "0 to 200, default 6"},
    {"frames", ID_FRAMES, "N", "pictures in the film strip, 0 to 200, default 24"},
    {"title", ID_TITLE, "TEXT", "at the top; default the folder's name"},
    {"force", ID_FORCE, NULL, "write over FILE where it is no report, too"},
    {"quiet", ID_QUIET, NULL, "no summary; errors only"},
};

static const args_spec spec = {
    .command = "report",
    .usage = "report DIR [options]",
    .intro = "Makes one page of HTML of what 'sonoseg run', 'evaluate', 'record' or 'serve' left in a "
             "folder: frames, states,\n"
             "scores, latency, events, the worst frames and a film strip. It needs nothing from elsewhere, "
             "can be printed and\n"
             "sent. Pictures may show patients: it is readable by you alone. What is damaged or missing is "
             "named in it.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg report out\n"
        "  sonoseg report recordings --output knee.html --title \"Study 12\"\n\n"
        "exit status\n"
        "  0 written, whatever it says   1 the folder cannot be read, or the page not written   2 usage\n",
    .take = take,
};

/* ---- commands ------------------------------------------------------------------------------------------ */

/* "sonoseg WORD ... FOLDER/NAME ..."; to be freed. */
static char *make_command(const char *before, const char *folder, const char *name, const char *behind)
{
    char *out = NULL, *path = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&out, &n);
    if (!stream || asprintf(&path, "%s%s%s", folder, name ? "/" : "", name ? name : "") < 0)
        path = NULL;
    if (stream && path) {
        fprintf(stream, "sonoseg %s ", before);
        made_by_put_word(stream, path);
        fputs(behind, stream);
    }
    if (stream)
        fclose(stream);
    free(path);
    return out;
}

static void add_command(report *self, const char *what, char *command)
{
    if (command)
        report_texts_add(&self->commands, what, "%s", command);
    free(command);
}

static void add_commands(report *self)
{
    for (size_t i = 0; i < self->facts.n; i++) /* where run wrote down how it was called */
        if (!strncmp(self->facts.items[i].value, "command\t", 8))
            report_texts_add(&self->commands, "The results", "%s", self->facts.items[i].value + 8);
    for (int i = 0; i < self->n_series; i++) {
        const report_series *series = &self->series[i];
        if (series->kind != REPORT_RECORDING || !series->files.n || !*series->files.items[0].key)
            continue;
        const char *file = series->files.items[0].key;
        add_command(self, "Analysing the recording's images",
                    make_command("run --input", self->folder, file, " --output out"));
        add_command(self, "Sending them as PlusServer does", make_command("replay", self->folder, file, ""));
    }
}

static char *own_command(const report_run *self)
{
    char *out = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&out, &n);
    if (!stream)
        return NULL;
    fputs("sonoseg report ", stream);
    made_by_put_word(stream, self->folder);
    fprintf(stream, " --worst %d --frames %d", self->options.n_worst, self->options.n_strip);
    if (self->options.title) {
        fputs(" --title ", stream);
        made_by_put_word(stream, self->options.title);
    }
    if (self->output) {
        fputs(" --output ", stream);
        made_by_put_word(stream, self->output);
    }
    fclose(stream);
    return out;
}

/* ---- the page ------------------------------------------------------------------------------------------ */

/* Whether a file of that name is a report, or holds nothing. */
static int is_report(const char *path)
{
    char head[2048];
    FILE *stream = fopen(path, "re");
    if (!stream)
        return 0;
    const size_t n = fread(head, 1, sizeof head - 1, stream);
    fclose(stream);
    head[n] = 0;
    return !n || (!strncmp(head, "<!DOCTYPE html>", 15) && strstr(head, "- sonoseg report</title>"));
}

/* A report may be made again; anything else is not written over unasked. */
static int check_output(const report_run *self, const char *path)
{
    sono_error error;
    struct stat facts;
    const sono_output output = {path, SONO_OUTPUT_FILE};
    if (!lstat(path, &facts) && !self->is_forced && S_ISREG(facts.st_mode) && !is_report(path)) {
        report_error("%s: is there, and is no report: choose another path, or write over it with --force",
                     path);
        return STATUS_FAILED;
    }
    if (!sono_output_check(NULL, 0, &output, 1, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return STATUS_FAILED;
}

/* Written beside its place and renamed: who looks sees a whole page. */
static int write_file(report_run *self, const report *found, const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s.part", path) >= PATH_MAX) {
        report_error("%s: the path is too long", path);
        return STATUS_FAILED;
    }
    FILE *stream = output_file_open(part);
    if (!stream)
        return STATUS_FAILED;
    int failed = report_write_page(stream, found, &self->options);
    if (failed)
        report_error("out of memory");
    failed |= output_file_close(stream, part);
    if (!failed && rename(part, path)) {
        report_error("%s: cannot be written: %s", path, strerror(errno));
        failed = -1;
    }
    if (failed)
        unlink(part);
    return failed ? STATUS_FAILED : STATUS_DONE;
}

static void print_summary(const report *found, const char *path)
{
    uint64_t n_frames = 0;
    for (int i = 0; i < found->n_series; i++)
        n_frames += found->series[i].n_frames;
    printf("%d series, %llu frames, %llu events; %zu notes on what is damaged or missing; report in %s\n",
           found->n_series, (unsigned long long)n_frames, (unsigned long long)found->events.n_lines,
           found->notes.n, path);
}

static int make(report_run *self, report *found)
{
    char usual[PATH_MAX];
    const char *path = self->output ? self->output : usual;
    if (!self->output && snprintf(usual, sizeof usual, "%s/report.html", self->folder) >= PATH_MAX) {
        report_error("%s: the path is too long", self->folder);
        return STATUS_FAILED;
    }
    const int is_stream = self->output && !strcmp(self->output, "-");
    found->folder = self->folder;
    if (report_read(found) || (!is_stream && check_output(self, path)))
        return STATUS_FAILED;
    add_commands(found);
    if (is_stream)
        return report_write_page(stdout, found, &self->options) ? STATUS_FAILED : STATUS_DONE;
    const int status = write_file(self, found, path);
    if (!status && !self->is_quiet)
        print_summary(found, path);
    return status;
}

int cmd_report(int argc, char **argv)
{
    report_run self = {.options = {.n_worst = 6, .n_strip = 24}};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    umask(077); /* patients may be seen in it */
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (!self.folder) {
        report_error("no folder: which one is the report to be of?");
        report_see_help("report");
        return STATUS_USAGE;
    }
    char *folder = strdup(self.folder), *command;
    report *found = calloc(1, sizeof *found);
    if (!found || !folder) {
        report_error("out of memory");
        free(folder);
        free(found);
        return STATUS_FAILED;
    }
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--)
        folder[n - 1] = 0;
    self.folder = folder;
    self.options.command = command = own_command(&self);
    const int status = command ? make(&self, found) : STATUS_FAILED;
    report_free(found);
    free(found);
    free(command);
    free(folder);
    return status;
}
