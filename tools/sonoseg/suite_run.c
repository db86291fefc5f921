// SPDX-License-Identifier: Apache-2.0
#include "suite_run.h"

#include "commands.h"
#include "phantom_input.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FOLD_SEEDS      1000000
#define SPEC_BYTES      256
#define SUITE_MAX_FILES 64
#define AHEAD_BYTES     (INT64_C(512) << 20) /* of one part of a set, beside a GPU */

static sono_status fail(sono_error *error, sono_status status, const char *text)
{
    *error = (sono_error){.status = status, .offset_bytes = -1};
    snprintf(error->text, sizeof error->text, "%s", text);
    return status;
}

static sono_status keep(suite *self, int p, const flight *current, const sono_packet *packet,
                        sono_error *error)
{
    if (suite_frames_add(&self->frames, p, current, packet))
        return fail(error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    if (suite_frames_written(&self->frames, p))
        return SONO_STATUS_OK;
    return fail(error, SONO_STATUS_IO, "its line cannot be written to the output folder");
}

/* The frame through the second pipeline, too, while it is at hand: it is drawn once. */
static sono_status take_result(void *user, const flight *current, const sono_packet *packet,
                               sono_error *error)
{
    suite *self = user;
    sono_status status = keep(self, 0, current, packet, error);
    if (status || !self->pipelines[1])
        return status;
    const sono_packet *second = NULL;
    status = sono_pipeline_submit(self->pipelines[1], &current->image, &current->info, error);
    if (!status)
        status = sono_pipeline_receive(self->pipelines[1], &second, error);
    if (status)
        return status;
    status = keep(self, 1, current, second, error);
    sono_packet_release(self->pipelines[1], second);
    return status;
}

static sono_status read_feed(void *user, flight *out, sono_error *error)
{
    suite *self = user;
    return feed_next(self->feed, out, error);
}

/* source: NULL = the feed gives n_to_read frames. */
static int run_frames(suite *self, sono_source *source, int64_t n_to_read)
{
    flights run = {
        .source = source,
        .pipeline = self->pipelines[0],
        .has_no_hints = 1,
        .is_quiet = self->args->is_quiet || self->args->events.stream == stderr,
        .read = source ? NULL : read_feed,
        .n_to_read = n_to_read,
        .take = take_result,
        .user = self,
    };
    for (int p = 0; p < self->report.n_precisions; p++)
        sono_pipeline_reset_stream(self->pipelines[p]);
    const int status = flights_run(&run);
    flights_free(&run);
    return status;
}

static int open_feed(suite *self, suite_set set, int part, int says_why)
{
    char spec[SPEC_BYTES];
    sono_phantom_options phantom;
    sono_error error;
    const int64_t ahead_bytes = self->report.info.backend == SONO_BACKEND_CUDA ? AHEAD_BYTES : 0;
    if (self->feeds[set][part])
        return STATUS_DONE;
    snprintf(spec, sizeof spec, "%s,frames=%d", suite_set_part(set, part),
             (int)suite_set_share(set, part, self->n_frames));
    if (phantom_input_parse(spec, &phantom))
        return STATUS_USAGE;
    phantom.seed += FOLD_SEEDS * (uint64_t)self->options->fold;
    if (!feed_open(&phantom, ahead_bytes, &self->feeds[set][part], &error))
        return STATUS_DONE;
    if (says_why)
        report_error("%s: %s", spec, error.text);
    return STATUS_FAILED;
}

void suite_open_feeds(suite *self)
{
    if (self->report.info.backend != SONO_BACKEND_CUDA)
        return;
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        for (int part = 0; self->options->sets >> set & 1 && suite_set_part((suite_set)set, part); part++)
            if (suite_set_share((suite_set)set, part, self->n_frames))
                open_feed(self, (suite_set)set, part, 0);
}

void suite_close_feeds(suite *self)
{
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        for (int part = 0; part < SUITE_MAX_PARTS; part++) {
            feed_close(self->feeds[set][part]);
            self->feeds[set][part] = NULL;
        }
}

static int run_phantoms(suite *self, suite_set set)
{
    int status = STATUS_DONE;
    for (int part = 0; !status && suite_set_part(set, part); part++) {
        const int32_t n_frames = suite_set_share(set, part, self->n_frames);
        if (!n_frames)
            continue;
        status = open_feed(self, set, part, 1);
        self->feed = self->feeds[set][part];
        if (!status)
            status = run_frames(self, NULL, n_frames);
        feed_close(self->feed);
        self->feeds[set][part] = self->feed = NULL;
    }
    return status;
}

/* Files of a folder of the real frames, as one stream. */
static int run_real(suite *self, const char *const *paths, int32_t n_paths)
{
    pipeline_args images = *self->args;
    const char *inputs[SUITE_MAX_FILES];
    sono_source *source = NULL;
    for (int32_t i = 0; i < n_paths; i++)
        inputs[i] = paths[i];
    images.inputs = inputs;
    images.n_inputs = n_paths;
    int status = pipeline_args_open_source(&images, FLIGHTS_HELD, &source);
    if (!status)
        status = run_frames(self, source, 0);
    sono_source_close(source);
    return status;
}

static char *path_of(const suite *self, const char *folder, const char *file)
{
    const size_t n = strlen(self->real) + strlen(folder) + strlen(file) + 3;
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s/%s/%s", self->real, folder, file);
    else
        report_error("out of memory");
    return path;
}

/* The frames over a bone are of one sweep. */
static int run_bone(suite *self)
{
    char *paths[SUITE_MAX_FILES] = {0};
    int32_t n = 0;
    int status = STATUS_DONE;
    for (size_t i = 0; !status && i < real_mark_count && n < SUITE_MAX_FILES && n < self->n_frames; i++) {
        paths[n] = path_of(self, "frames", real_marks[i].file);
        status = paths[n++] ? STATUS_DONE : STATUS_FAILED;
    }
    if (!status)
        status = run_real(self, (const char *const *)paths, n);
    for (int32_t i = 0; i < n; i++)
        free(paths[i]);
    return status;
}

/* Each recording is a stream; a file that fails is named, and the others are run. */
static int run_no_bone(suite *self)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < real_sequence_count && status <= STATUS_USAGE; i++) {
        if (suite_frames_count(&self->frames) >= (size_t)self->n_frames)
            break;
        char *path = path_of(self, "sequences", real_sequences[i].file);
        const int ran = path ? run_real(self, (const char *const *)&path, 1) : STATUS_FAILED;
        free(path);
        status = ran ? ran : status;
    }
    return status;
}

static int open_lines(suite *self, suite_set set)
{
    for (int p = 0; self->output && p < self->report.n_precisions; p++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s.%s.jsonl", self->output, suite_set_name(set),
                     sono_precision_name(self->report.precisions[p])) >= (int)sizeof path) {
            report_error("%s: the path is too long", self->output);
            return STATUS_FAILED;
        }
        if (suite_frames_open_lines(&self->frames, p, path))
            return STATUS_FAILED;
    }
    return STATUS_DONE;
}

int suite_run_set(suite *self, suite_set set)
{
    suite_result *result = &self->report.results[set];
    if (!self->args->is_quiet)
        fprintf(stderr, "sonoseg: %s\n", suite_set_name(set));
    self->frames = (suite_frames){.is_real = suite_set_is_real(set),
                                  .has_bone = set == SUITE_REAL_BONE,
                                  .threshold = self->threshold,
                                  .n_most = (size_t)self->n_frames};
    int status = open_lines(self, set);
    if (!status)
        status = set == SUITE_REAL_BONE      ? run_bone(self)
                 : set == SUITE_REAL_NO_BONE ? run_no_bone(self)
                                             : run_phantoms(self, set);
    if (suite_frames_close_lines(&self->frames))
        status = STATUS_FAILED;
    if (!suite_frames_count(&self->frames)) {
        snprintf(result->reason, sizeof result->reason, "no frame could be evaluated");
        status = status ? status : STATUS_FAILED;
    } else if (suite_frames_summarise(&self->frames, self->report.n_precisions, result)) {
        report_error("out of memory");
        status = STATUS_FAILED;
    }
    suite_frames_free(&self->frames);
    return status;
}
