// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include "commands.h"
#include "made_by.h"
#include "output_check.h"
#include "run_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPU_BATCH        8  /* beyond it an H200 gains less than 5 % (bench/results/h200.json) */
#define GPU_BATCH_INPUTS 64 /* a run of fewer is over before larger slots have paid for their opening */
#define MAX_WORKERS      256

static int32_t count_cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : (int32_t)n;
}

/* On the CPU a batch is no faster than its frames. */
static int32_t choose_batch(const run *self)
{
    const sono_pipeline_config *config = &self->args.config;
    sono_backend backend = SONO_BACKEND_CPU;
    if (self->batch)
        return self->batch;
    if (config->max_objects > 1 || config->detect_every > 1 || config->without_graph ||
        self->archive.prompts || self->source == NULL)
        return 1;
    sono_device_backend(config->device, &backend, NULL);
    const int64_t n_inputs = sono_source_count(self->source);
    return backend == SONO_BACKEND_CUDA && (n_inputs < 0 || n_inputs >= GPU_BATCH_INPUTS) ? GPU_BATCH : 1;
}

static reel_want wants(void *user, uint64_t frame_id, const char *name)
{
    const run *self = user;
    if (!shard_has(&self->part, frame_id))
        return REEL_ELSEWHERE;
    return self->is_resumed && resume_check(&self->resume, frame_id, name) ? REEL_DONE : REEL_WANTED;
}

static int recall(void *user, uint64_t frame_id, archive_done *out)
{
    run *self = user;
    return resume_recall(&self->resume, frame_id, out);
}

static void note_left_out(void *user, const archive_pipeline *which, int32_t n_again)
{
    run *self = user;
    events_note_left_out(&self->args.events, which->device, n_again);
}

static void describe_archive(run *self)
{
    archive *out = &self->archive;
    out->n_workers = self->n_workers ? self->n_workers : count_cores();
    out->batch = self->args.config.batch;
    out->is_quiet = self->args.is_quiet || self->args.events.stream == stderr;
    out->has_no_hints = self->args.is_quiet;
    out->user = self;
    out->on_left_out = note_left_out;
    out->n_pipelines = self->fleet.n;
    for (int32_t i = 0; i < self->fleet.n; i++)
        out->pipelines[i] =
            (archive_pipeline){.pipeline = self->fleet.pipelines[i], .device = self->fleet.names[i]};
    pipeline_args_source_options(&self->args, &self->source_options);
    out->reel.source = self->source;
    out->reel.options = &self->source_options;
    /* What a 16-bit frame's white is then depends on those before it. */
    out->reel.is_whole = pipeline_args_is_phantom(&self->args) || self->args.gray16_white == SONO_GRAY16_AUTO;
    if (self->is_resumed || self->part.n) {
        out->reel.wants = wants;
        out->reel.user = self;
        out->recall = recall;
    }
}

static const char *overlays_name(archive_overlays overlays)
{
    static const char *const names[] = {"all", "changed", "none"};
    return names[overlays];
}

/* What is in the folder must have been made as this run makes it. */
static int open_resume(run *self, const char *settings)
{
    if (!self->is_resumed)
        return STATUS_DONE;
    if (resume_open(&self->resume, self->output) || run_file_compare(self->output, settings))
        return STATUS_FAILED;
    self->resume.wants_masks = self->sink_options.write_masks;
    self->resume.wants_rle = self->sink_options.write_rle;
    self->resume.wants_weights = self->sink_options.write_weights;
    self->resume.wants_overlays = self->archive.overlays == OVERLAYS_ALL;
    self->sink_options.keep_results = 1;
    return STATUS_DONE;
}

static int open_folder(run *self)
{
    sono_error error;
    const run_facts facts = {&self->args, &self->sink_options, overlays_name(self->archive.overlays),
                             self->archive.prompts, self->part};
    char *settings = run_file_text(&facts, self->fleet.pipelines[0]);
    int status = settings ? open_resume(self, settings) : STATUS_FAILED;
    if (!status && sono_sink_open_folder(self->output, &self->sink_options, &self->archive.sink, &error)) {
        report_error("%s", error.text);
        status = STATUS_FAILED;
    }
    if (!status &&
        (run_file_write(self->output, settings) || (self->is_resumed && resume_cut(&self->resume))))
        status = STATUS_FAILED;
    if (!status && made_by_write(self->output, self->argc, self->argv, &self->args,
                                 self->args.config.threshold, self->fleet.pipelines[0]))
        status = STATUS_FAILED;
    free(settings);
    if (!status)
        shard_forget(self->output);
    return status;
}

static void print_pipelines(const archive *done)
{
    for (int32_t i = 0; done->n_pipelines > 1 && i < done->n_pipelines; i++)
        printf("%s%s: %lld%s", i ? "; " : "frames by pipeline: ", done->pipelines[i].device,
               (long long)done->pipelines[i].n_frames, done->pipelines[i].has_failed ? " (failed)" : "");
    if (done->n_pipelines > 1)
        putchar('\n');
}

static void print_summary(run *self)
{
    archive *done = &self->archive;
    const double rate_hz = done->elapsed_s > 0 ? (double)done->n_frames / done->elapsed_s : 0;
    printf(
        "%lld frame%s: %lld VISIBLE, %lld LOST; %lld failed; median %.1f ms, %.*f frames/s; results in %s\n",
        (long long)done->n_frames, done->n_frames == 1 ? "" : "s", (long long)(done->n_frames - done->n_lost),
        (long long)done->n_lost, (long long)done->n_failed, samples_percentile(&done->latencies_ms, 50),
        rate_hz < 10 ? 4 : 2, rate_hz, self->output);
    if (self->is_resumed)
        printf("%lld frame%s done before, and found whole\n", (long long)done->n_kept,
               done->n_kept == 1 ? " was" : "s were");
    print_pipelines(done);
    const archive_part slowest = archive_slowest(done);
    printf("slowest part: %s, %.0f %% busy (reading %.0f %%, computing %.0f %%, writing %.0f %%)\n",
           archive_part_name(slowest), 100 * done->busy_share[slowest], 100 * done->busy_share[PART_READING],
           100 * done->busy_share[PART_COMPUTING], 100 * done->busy_share[PART_WRITING]);
}

static int process(run *self)
{
    sono_error error;
    int status = archive_run(&self->archive);
    if (self->archive.has_stopped && self->archive.n_frames + self->archive.n_kept)
        report_error("stopped: what was done before is in %s", self->output);
    if (self->is_resumed && resume_sort(self->output))
        status = STATUS_FAILED;
    const int is_at_end = (status == STATUS_DONE || status == STATUS_FAILED) && !self->archive.has_stopped;
    if (self->part.n && is_at_end &&
        shard_write(&self->part, self->output, archive_count(&self->archive), self->archive.n_failed))
        status = STATUS_FAILED;
    if (sono_sink_close(self->archive.sink, &error)) {
        report_error("%s", error.text);
        status = STATUS_FAILED;
    }
    self->archive.sink = NULL;
    if (!self->args.is_quiet)
        print_summary(self);
    return status;
}

static int open_all(run *self)
{
    sono_pipeline_config *config = &self->args.config;
    self->sink_options.write_weights = config->want_weight_maps;
    self->sink_options.write_overlays = self->archive.overlays != OVERLAYS_NONE;
    if (self->sink_options.write_overlays && self->args.burned_in != SONO_BURNED_IN_KEEP)
        self->args.burned_in = SONO_BURNED_IN_REFUSE;
    int status = pipeline_args_open_source(&self->args, 1, &self->source);
    if (!status)
        status = output_check(&self->args, self->args.inputs, self->args.n_inputs,
                              &(sono_output){self->output, SONO_OUTPUT_RESULTS}, 1);
    if (status)
        return status;
    pipeline_args_say_left_out(&self->args, self->source);
    config->batch = choose_batch(self);
    config->n_slots = config->batch > 1 ? 3 : 2; /* one is being copied from (archive_drive.c) */
    status = fleet_open(&self->fleet, &self->args);
    return status ? status : open_folder(self);
}

int run_all(run *self)
{
    self->resume.file = -1;
    int status = open_all(self);
    if (!status) {
        describe_archive(self);
        status = process(self);
    }
    sono_sink_close(self->archive.sink, NULL);
    fleet_close(&self->fleet);
    sono_source_close(self->source);
    resume_close(&self->resume);
    archive_free(&self->archive);
    return status;
}
