// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "energy.h"
#include "frame_loop.h"
#include "json.h"
#include "output_check.h"
#include "output_file.h"
#include "pipeline_args.h"
#include "roofline.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CACHE_BYTES  16e6 /* what a kernel of ours finds in the second-level cache for sure */
#define ROWS_PRINTED 25
#define ROWS_JSON    10

enum { ID_FRAMES = ID_OWN, ID_WARMUP, ID_BATCH, ID_JSON, ID_PACE, ID_ROOFLINE };

typedef struct bench {
    pipeline_args args;
    int32_t n_frames;
    int32_t n_warmup;
    const char *json_path;
    float pace_hz; /* 0 = as fast as it goes */
    int wants_roofline;
    sono_pipeline *pipeline;
    sono_pipeline_info info;
    frame_loop frames;
    double stage_flops[SONO_MAX_STAGES];
    samples stages_ms[SONO_MAX_STAGES];
    samples device_ms; /* CUDA only */
    samples total_ms;
    double open_s;
    double frames_per_s;
    int32_t width_px; /* of the last frame */
    int32_t height_px;
    int32_t n_lost;
    int32_t n_recalled; /* frames without the detector */
    double frame_j;     /* the GPU's energy; below 0 = it is not known */
    sono_profile profile;
    roofline roofline;
} bench;

static int take(void *user, int id, const char *value)
{
    bench *self = user;
    switch (id) {
    case ID_FRAMES:
        return args_integer("frames", value, 1, 1000000, &self->n_frames);
    case ID_WARMUP:
        return args_integer("warmup", value, 0, 1000000, &self->n_warmup);
    case ID_BATCH:
        return args_integer("batch", value, 1, 32, &self->args.config.batch);
    case ID_JSON:
        self->json_path = value;
        return 0;
    case ID_PACE:
        return args_fraction("pace", value, 0.01, 100000, &self->pace_hz);
    case ID_ROOFLINE:
        self->wants_roofline = 1;
        return 0;
    default:
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH...",
     "image files or folders, taken round and round; default: a\nbuilt-in synthetic frame of 640 x 480"},
    {"frames", ID_FRAMES, "N", "frames to time; default 20"},
    {"warmup", ID_WARMUP, "N", "frames before the timed ones; default 2"},
    {"batch", ID_BATCH, "N",
     "frames computed at once, 1..32; default 1. Above 1 the next batch is\nfilled while one is computed"},
    {"pace", ID_PACE, "HZ",
     "start a frame every 1/HZ seconds, as a scanner does, instead of\nwhen the one before is done; batch 1 "
     "only"},
    {"roofline", ID_ROOFLINE, NULL,
     "also time every op by itself, against the least that its\narithmetic and its bytes take; the largest "
     "losses first"},
    {"json", ID_JSON, "FILE", "also write the figures as JSON"},
    PIPELINE_OPTIONS,
    STATE_OPTIONS,
    {"weights", ID_WEIGHTS, NULL, "also compute the weight maps"},
    PROFILER_OPTION,
};

static const args_spec spec = {
    .command = "bench",
    .usage = "bench [--input PATH...] [--frames N] [--warmup N] [options]",
    .intro = "Times the pipeline one frame (or batch) at a time, without reading and writing files, and "
             "prints the median,\n"
             "the 90th percentile and the arithmetic rate of each stage, and the frames a second, reading "
             "included.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg bench --detector dfine_s.pth --segmenter mobile_sam.pt\n"
                "  sonoseg bench --input sweep/ --frames 100 --threads 2 --json bench.json\n"
                "  sonoseg bench --device cuda --frames 7200 --pace 30\n"
                "  sonoseg bench --device cuda --roofline",
    .take = take,
};

static void record(bench *self, const sono_packet *packet)
{
    for (int i = 0; i < sono_stage_count(); i++)
        samples_add(&self->stages_ms[i], sono_packet_stage_ms(packet, (sono_stage)i));
    samples_add(&self->total_ms, packet->latency_ms);
    if (packet->backend == SONO_BACKEND_CUDA)
        samples_add(&self->device_ms, packet->device_ms);
    self->width_px = packet->width_px;
    self->height_px = packet->height_px;
    self->n_lost += packet->state == SONO_STATE_LOST;
    const sono_parts *parts = sono_packet_parts(packet);
    self->n_recalled += parts && parts->is_recalled;
}

/* Takes n_frames packets. */
static int receive_frames(bench *self, int32_t n_frames, int is_timed)
{
    sono_error error;
    for (int32_t i = 0; i < n_frames; i++) {
        const sono_packet *packet = NULL;
        if (sono_pipeline_receive(self->pipeline, &packet, &error)) {
            report_error("%s", error.text);
            return STATUS_FAILED;
        }
        if (is_timed)
            record(self, packet);
        sono_packet_release(self->pipeline, packet);
    }
    return STATUS_DONE;
}

/* Runs n_frames frames; a single one is received at once, a batch when all slots are full. */
static int run_frames(bench *self, int32_t n_frames, int is_timed)
{
    sono_error error;
    const int32_t batch = self->args.config.batch;
    const int32_t most = batch == 1 ? 1 : batch * self->args.config.n_slots;
    int32_t n_inside = 0;
    const double start_s = now_s();
    for (int32_t i = 0; i < n_frames; i++) {
        sono_image image;
        if (frame_loop_next(&self->frames, &image))
            return STATUS_FAILED;
        if (self->pace_hz > 0)
            sleep_until_s(start_s + i / (double)self->pace_hz);
        if (sono_pipeline_submit(self->pipeline, &image, NULL, &error)) {
            report_error("%s", error.text);
            return STATUS_FAILED;
        }
        if (++n_inside < most)
            continue;
        if (receive_frames(self, batch, is_timed))
            return STATUS_FAILED;
        n_inside -= batch;
    }
    if (sono_pipeline_flush(self->pipeline, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    return receive_frames(self, n_inside, is_timed);
}

/* Before the first frame: what is booked must not look like growth of the pipeline's memory. */
static int reserve(bench *self)
{
    const size_t n = (size_t)self->n_frames;
    int failed = samples_reserve(&self->total_ms, n) || samples_reserve(&self->device_ms, n);
    for (int i = 0; i < sono_stage_count(); i++)
        failed = failed || samples_reserve(&self->stages_ms[i], n);
    if (failed)
        report_error("out of memory for the times of %d frames", self->n_frames);
    return failed ? STATUS_FAILED : STATUS_DONE;
}

/* By the GPU so far; below 0 = it is not known. */
static double energy_used(const bench *self)
{
    const char *device = self->args.config.device;
    if (self->info.backend != SONO_BACKEND_CUDA)
        return -1;
    return energy_j(device && !strncmp(device, "cuda:", 5) ? (int)strtol(device + 5, NULL, 10) : 0);
}

static int time_frames(bench *self)
{
    if (reserve(self))
        return STATUS_FAILED;
    if (run_frames(self, self->n_warmup, 0))
        return STATUS_FAILED;
    const double start_j = energy_used(self), start_s = now_s();
    if (run_frames(self, self->n_frames, 1))
        return STATUS_FAILED;
    self->frames_per_s = self->n_frames / (now_s() - start_s);
    const double end_j = energy_used(self);
    self->frame_j = start_j >= 0 && end_j > start_j ? (end_j - start_j) / self->n_frames : -1;
    return STATUS_DONE;
}

static double peak_rss_mb(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (double)usage.ru_maxrss / 1024;
}

static void print_row(const char *name, samples *times_ms, double flops, double whole_ms)
{
    const double median_ms = samples_percentile(times_ms, 50);
    printf("%-12s %9.2f %9.2f %6.1f", name, median_ms, samples_percentile(times_ms, 90),
           whole_ms > 0 ? 100 * median_ms / whole_ms : 0.0);
    if (flops > 0 && median_ms > 0)
        printf(" %8.2f %9.1f\n", flops * 1e-9, flops * 1e-6 / median_ms);
    else
        printf(" %8s %9s\n", "-", "-");
}

static void print_table(bench *self)
{
    const double whole_ms = samples_percentile(&self->total_ms, 50);
    const int32_t batch = self->args.config.batch;
    double flops = 0;
    printf("%s + %s, %s %s, %d thread%s\n", self->info.detector, self->info.segmenter,
           sono_backend_name(self->info.backend), sono_precision_name(self->info.precision),
           self->info.n_threads, self->info.n_threads == 1 ? "" : "s");
    printf("%d frames of %d x %d (%d LOST) in batches of %d after %d to warm up\n\n", self->n_frames,
           self->width_px, self->height_px, self->n_lost, batch, self->n_warmup);
    printf("%-12s %9s %9s %6s %8s %9s\n", "stage", "p50 ms", "p90 ms", "%", "GFLOP", "GFLOP/s");
    for (int i = 0; i < sono_stage_count(); i++) {
        const double stage_flops = batch * self->stage_flops[i];
        print_row(sono_stage_name((sono_stage)i), &self->stages_ms[i], stage_flops, whole_ms);
        flops += stage_flops;
    }
    print_row("total", &self->total_ms, flops, whole_ms);
    printf("\ntotal p99 %.2f ms, p99.9 %.2f ms, max %.2f ms, %.1f frames/s\n",
           samples_percentile(&self->total_ms, 99), samples_percentile(&self->total_ms, 99.9),
           samples_percentile(&self->total_ms, 100), self->frames_per_s);
    if (self->device_ms.count)
        printf("GPU p50 %.3f ms, from before the upload to after the download\n",
               samples_percentile(&self->device_ms, 50));
    if (self->frame_j >= 0)
        printf("GPU energy %.3f J a frame, what it does between frames included\n", self->frame_j);
    if (self->args.config.detect_every > 1)
        printf("the detector ran in %d of %d frames\n", self->n_frames - self->n_recalled, self->n_frames);
    if (self->pace_hz > 0)
        printf("paced at %g Hz\n", (double)self->pace_hz);
    printf("open %.2f s, peak memory %.0f MB (params %.0f MB, activations %.0f MB, slots %.0f MB)\n",
           self->open_s, peak_rss_mb(), (double)self->info.params_bytes / 1048576,
           (double)self->info.planned_bytes / 1048576, (double)self->info.slot_bytes / 1048576);
}

static void write_json_stages(bench *self, FILE *stream)
{
    fputs("  \"stages\": {", stream);
    for (int i = 0; i < sono_stage_count(); i++) {
        const double median_ms = samples_percentile(&self->stages_ms[i], 50);
        fprintf(
            stream,
            "%s\n    \"%s\": {\"p50_ms\": %.4f, \"p90_ms\": %.4f, \"gflop\": %.4f, \"gflop_per_s\": %.2f}",
            i ? "," : "", sono_stage_name((sono_stage)i), median_ms,
            samples_percentile(&self->stages_ms[i], 90), self->stage_flops[i] * 1e-9,
            median_ms > 0 ? self->args.config.batch * self->stage_flops[i] * 1e-6 / median_ms : 0.0);
    }
    fputs("\n  }\n}\n", stream);
}

static void write_json_latency(bench *self, FILE *stream)
{
    static const struct {
        const char *name;
        double percent;
    } rows[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"max", 100}};
    fputs("  \"latency_ms\": {", stream);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fprintf(stream, "%s\"%s\": %.4f", i ? ", " : "", rows[i].name,
                samples_percentile(&self->total_ms, rows[i].percent));
    fputs("},\n", stream);
    if (self->device_ms.count)
        fprintf(stream, "  \"gpu_ms\": {\"p50\": %.4f},\n", samples_percentile(&self->device_ms, 50));
}

static int write_json(bench *self)
{
    FILE *stream = output_file_open(self->json_path);
    if (!stream)
        return STATUS_FAILED;
    json_begin_report(stream, &self->info);
    fprintf(stream, "  \"threads\": %d,\n", self->info.n_threads);
    fprintf(stream, "  \"frames\": %d,\n  \"warmup\": %d,\n  \"width_px\": %d,\n  \"height_px\": %d,\n",
            self->n_frames, self->n_warmup, self->width_px, self->height_px);
    fprintf(stream, "  \"batch\": %d,\n  \"frames_per_s\": %.4f,\n  \"pace_hz\": %g,\n",
            self->args.config.batch, self->frames_per_s, (double)self->pace_hz);
    fprintf(stream, "  \"skip_decoder\": %s,\n  \"lost\": %d,\n",
            self->args.config.skip_decoder_when_lost ? "true" : "false", self->n_lost);
    fprintf(stream, "  \"detect_every\": %d,\n  \"detector_frames\": %d,\n", self->args.config.detect_every,
            self->n_frames - self->n_recalled);
    if (self->frame_j >= 0)
        fprintf(stream, "  \"gpu_frame_j\": %.5f,\n", self->frame_j);
    write_json_latency(self, stream);
    if (self->wants_roofline) {
        roofline_write_json(&self->roofline, stream, ROWS_JSON);
        fputs(",\n", stream);
    }
    fprintf(stream, "  \"open_s\": %.4f,\n  \"peak_rss_mb\": %.1f,\n", self->open_s, peak_rss_mb());
    write_json_stages(self, stream);
    return output_file_close(stream, self->json_path) ? STATUS_FAILED : STATUS_DONE;
}

static int profile_ops(bench *self)
{
    sono_error error;
    if (sono_pipeline_profile(self->pipeline, &self->profile, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    if (roofline_make(&self->roofline, &self->profile, CACHE_BYTES)) {
        report_error("out of memory for %d ops", self->profile.n_ops);
        return STATUS_FAILED;
    }
    roofline_print(&self->roofline, stdout, ROWS_PRINTED);
    return STATUS_DONE;
}

static int open_and_time(bench *self)
{
    int status = output_check(&self->args, self->args.inputs, self->args.n_inputs,
                              &(sono_output){self->json_path, SONO_OUTPUT_FILE}, 1);
    if (status)
        return status;
    const double start_s = now_s();
    status = pipeline_args_open(&self->args, &self->pipeline);
    self->open_s = now_s() - start_s;
    if (status)
        return status;
    sono_pipeline_info_init(&self->info);
    sono_pipeline_query(self->pipeline, &self->info);
    status = time_frames(self);
    if (status)
        return status;
    for (int i = 0; i < sono_stage_count(); i++)
        self->stage_flops[i] = sono_pipeline_stage_flops(self->pipeline, (sono_stage)i);
    print_table(self);
    if (self->wants_roofline && profile_ops(self))
        return STATUS_FAILED;
    return self->json_path ? write_json(self) : STATUS_DONE;
}

int cmd_bench(int argc, char **argv)
{
    bench self = {.n_frames = 20, .n_warmup = 2};
    pipeline_args_init(&self.args);
    self.args.config.time_device = 1;
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO && self.pace_hz > 0 && self.args.config.batch > 1) {
        report_error("--pace goes with --batch 1: a frame of a batch waits for the others");
        report_see_help(spec.command);
        status = STATUS_USAGE;
    }
    if (parsed == ARGS_GO && !status)
        status = pipeline_args_find_checkpoints(&self.args);
    if (parsed == ARGS_GO && !status) {
        frame_loop_init(&self.frames, &self.args);
        status = open_and_time(&self);
    }
    sono_pipeline_close(self.pipeline);
    frame_loop_close(&self.frames);
    for (int i = 0; i < sono_stage_count(); i++)
        samples_free(&self.stages_ms[i]);
    samples_free(&self.device_ms);
    samples_free(&self.total_ms);
    roofline_free(&self.roofline);
    sono_profile_free(&self.profile);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
