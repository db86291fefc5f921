// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "frame_loop.h"
#include "gaps.h"
#include "json.h"
#include "output_check.h"
#include "output_file.h"
#include "pipeline_args.h"
#include "trace_file.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024

enum { ID_FRAMES = ID_OWN, ID_JSON, ID_TRACE, ID_TRACE_FILE };

typedef enum verdict { VERDICT_NONE, VERDICT_AGREES, VERDICT_DIFFERS } verdict;

typedef struct audit {
    pipeline_args args;
    int32_t n_frames;
    const char *json_path;
    const char *trace_path;
    int wants_trace;
    frame_loop frames;
    sono_pipeline *pipeline;
    sono_pipeline_info info;
    sono_trace *trace;
    sono_trace_totals seen;
    gaps gaps;
    verdict trace_verdict;
    char trace_text[TEXT_BYTES]; /* why there is no verdict, or what differs */
    sono_audit_counts counts;    /* after the frames */
    sono_audit result;
    int is_within;
    int32_t width_px; /* of the last frame */
    int32_t height_px;
} audit;

static int take(void *user, int id, const char *value)
{
    audit *self = user;
    switch (id) {
    case ID_FRAMES:
        return args_integer("frames", value, 1, 1000000, &self->n_frames);
    case ID_JSON:
        self->json_path = value;
        return 0;
    case ID_TRACE_FILE:
        self->trace_path = value;
        self->wants_trace = 1;
        return 0;
    case ID_TRACE:
        self->wants_trace = 1;
        return 0;
    default:
        return pipeline_args_take(&self->args, id, value);
    }
}

static const args_option options[] = {
    {"input", ID_INPUT, "PATH...",
     "image files or folders, taken round and round; default: a\nbuilt-in synthetic frame of 640 x 480"},
    {"frames", ID_FRAMES, "N", "frames to audit; default 20"},
    {"trace", ID_TRACE, NULL,
     "check the ledger against what CUPTI sees; any difference fails.\nAlso shows the gaps between kernels"},
    {"trace-file", ID_TRACE_FILE, "FILE", "--trace, and write it for Chrome's or Perfetto's viewer"},
    {"json", ID_JSON, "FILE", "also write the figures as JSON"},
    PIPELINE_OPTIONS,
    STATE_OPTIONS,
    {"weights", ID_WEIGHTS, NULL, "also compute the weight maps"},
    PROFILER_OPTION,
};

static const args_spec spec = {
    .command = "audit",
    .usage = "audit [--input PATH...] [--frames N] [--trace] [options]",
    .intro =
        "Runs the pipeline on a GPU (--device cuda by default) and checks what crossed between host and "
        "device: a\n"
        "frame may have no allocation, 1 copy to the device, 1 graph launch, 1 copy back and 1 wait.\n"
        "  critical   crossings within a frame beyond these        medium   crossings between frames\n"
        "  chains     downloads that were uploaded again           minor    crossings at open (allowed)\n"
        "  residency  ops whose inputs and outputs all lie in device memory",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg audit --detector dfine_s.pth --segmenter mobile_sam.pt --trace\n"
                "  sonoseg audit --frames 100 --trace-file trace.json --json audit.json\n\n"
                "exit status\n"
                "  0 within the budget   1 beyond it, or no GPU, or the trace differs   2 usage",
    .take = take,
};

/* ---- running ---- */

static int run_frames(audit *self)
{
    sono_error error;
    for (int32_t i = 0; i < self->n_frames; i++) {
        sono_image image;
        const sono_packet *packet = NULL;
        if (frame_loop_next(&self->frames, &image))
            return STATUS_FAILED;
        if (sono_pipeline_submit(self->pipeline, &image, NULL, &error) ||
            sono_pipeline_receive(self->pipeline, &packet, &error)) {
            report_error("%s", error.text);
            return STATUS_FAILED;
        }
        sono_audit_frame(&self->result, &packet->ledger);
        self->width_px = packet->width_px;
        self->height_px = packet->height_px;
        sono_packet_release(self->pipeline, packet);
    }
    return STATUS_DONE;
}

static void open_trace(audit *self)
{
    sono_error error;
    if (self->wants_trace && sono_trace_open(&self->trace, &error))
        snprintf(self->trace_text, sizeof self->trace_text, "%s\n", error.text);
}

static void drop_trace(audit *self, const sono_error *error)
{
    snprintf(self->trace_text, sizeof self->trace_text, "%s\n", error->text);
    sono_trace_close(self->trace);
    self->trace = NULL;
}

static void find_gaps(audit *self)
{
    int64_t n_records = 0;
    if (!self->trace)
        return;
    const sono_trace_record *records = sono_trace_records(self->trace, &n_records);
    gaps_of(records, n_records, &self->gaps);
}

static int run(audit *self)
{
    sono_error error;
    sono_audit_counts before;
    if (sono_pipeline_audit(self->pipeline, &before))
        return STATUS_FAILED;
    if (self->trace && sono_trace_start(self->trace, &error))
        drop_trace(self, &error);
    sono_audit_start(&self->result, &before);
    const int status = run_frames(self);
    if (self->trace && sono_trace_stop(self->trace, &self->seen, &error))
        drop_trace(self, &error);
    if (status || sono_pipeline_audit(self->pipeline, &self->counts))
        return STATUS_FAILED;
    self->is_within = sono_audit_finish(&self->result, &self->counts);
    find_gaps(self);
    if (self->trace)
        self->trace_verdict =
            sono_trace_compare(&self->seen, &before, &self->counts, self->trace_text, sizeof self->trace_text)
                ? VERDICT_DIFFERS
                : VERDICT_AGREES;
    return STATUS_DONE;
}

/* ---- saying ---- */

static void print_class(const char *name, int64_t n, const char *allowed, const char *meaning)
{
    printf("%-11s %9lld %8s   %s\n", name, (long long)n, allowed, meaning);
}

static void print_frame_figure(const char *name, int32_t most, int allowed, int64_t bytes)
{
    printf("%-11s %9d %8d", name, most, allowed);
    if (bytes)
        printf(" %12lld\n", (long long)bytes);
    else
        printf(" %12s\n", "-");
}

static int64_t bytes_at(const sono_audit *r, int place)
{
    return r->bytes_at[place][SONO_CROSSING_H2D] + r->bytes_at[place][SONO_CROSSING_D2H];
}

/* Of all frames together. */
static void print_places(const sono_audit *r)
{
    printf("\n%-11s %9s %8s %8s %8s %8s %12s\n", "all frames", "allocated", "h2d", "launches", "d2h", "waits",
           "bytes");
    for (int place = 0; place < SONO_PLACE_COUNT; place++) {
        int64_t n = 0;
        for (int i = 0; i < SONO_CROSSING_COUNT; i++)
            n += r->n_at[place][i];
        if (!n)
            continue;
        printf("%-11s %9lld", sono_place_name((sono_place)place),
               (long long)r->n_at[place][SONO_CROSSING_ALLOCATION]);
        for (int i = SONO_CROSSING_H2D; i < SONO_CROSSING_COUNT; i++)
            printf(" %8lld", (long long)r->n_at[place][i]);
        printf(" %12lld\n", (long long)bytes_at(r, place));
    }
}

static void print_table(const audit *self)
{
    const sono_audit *r = &self->result;
    printf("%s + %s, %s %s: %lld frame%s, the last of %d x %d\n\n", self->info.detector, self->info.segmenter,
           sono_backend_name(self->info.backend), sono_precision_name(self->info.precision),
           (long long)r->n_frames, r->n_frames == 1 ? "" : "s", self->width_px, self->height_px);
    printf("%-11s %9s %8s\n", "class", "found", "allowed");
    print_class("critical", r->n_critical, "0", "crossings within a frame beyond the rule below");
    print_class("medium", r->n_medium, "0", "crossings between frames, launches beyond the rule");
    print_class("minor", r->n_minor, "-", "crossings at open");
    print_class("chains", r->n_chains, "0", "downloaded and uploaded again within a frame");
    printf("\n%-11s %9s %8s %12s\n", "a frame", "most", "allowed", "bytes");
    print_frame_figure("allocations", r->most.n_allocations, 0, 0);
    print_frame_figure("h2d", r->most.n_h2d, 1, r->most.bytes_h2d);
    print_frame_figure("launches", r->most.n_launches, 1, 0);
    print_frame_figure("d2h", r->most.n_d2h, 1, r->most.bytes_d2h);
    print_frame_figure("waits", r->most.n_waits, 1, 0);
    if (self->info.backend == SONO_BACKEND_CPU) {
        puts("\nThis is the CPU: host memory is the only memory, nothing can cross.");
        return;
    }
    print_places(r);
    printf("\n%-11s %9s %9s\n", "stage", "ops", "resident");
    for (int i = 0; i < sono_stage_count(); i++)
        printf("%-11s %9d %7.1f %%\n", sono_stage_name((sono_stage)i), self->counts.n_ops[i],
               100 * r->residency[i]);
    printf("%-11s %9s %7.1f %%\n", "all", "", 100 * r->residency_all);
}

static void print_trace(const audit *self)
{
    if (self->trace_verdict == VERDICT_AGREES)
        printf("\ntrace: CUPTI %d saw the same: %lld h2d, %lld launches, %lld d2h, %lld waits; %lld kernels, "
               "%.1f a frame\n",
               self->seen.version, (long long)self->seen.n[SONO_CROSSING_H2D],
               (long long)self->seen.n[SONO_CROSSING_LAUNCH], (long long)self->seen.n[SONO_CROSSING_D2H],
               (long long)self->seen.n[SONO_CROSSING_WAIT], (long long)self->seen.n_kernels,
               (double)self->seen.n_kernels / (double)self->result.n_frames);
    if (self->gaps.n_frames)
        gaps_print(&self->gaps, stdout);
}

static void write_json_trace(const audit *self, FILE *stream)
{
    static const char *const verdicts[] = {"null", "true", "false"};
    fprintf(stream, "  \"trace_agrees\": %s,\n  \"trace\": ", verdicts[self->trace_verdict]);
    if (!self->trace) {
        fputs("null\n}\n", stream);
        return;
    }
    fprintf(stream, "{\"cupti\": %d, \"kernels\": %lld, \"dropped\": %lld", self->seen.version,
            (long long)self->seen.n_kernels, (long long)self->seen.n_dropped);
    for (int i = 0; i < SONO_CROSSING_COUNT; i++)
        fprintf(stream, ", \"%s\": %lld", sono_crossing_name((sono_crossing)i), (long long)self->seen.n[i]);
    fputs(", \"text\": ", stream);
    json_string(stream, self->trace_text);
    fputs("}\n}\n", stream);
}

static void write_json_places(const sono_audit *r, FILE *stream)
{
    fputs("  \"all_frames\": {", stream);
    for (int place = 0; place < SONO_PLACE_COUNT; place++) {
        fprintf(stream, "%s\n    \"%s\": {", place ? "," : "", sono_place_name((sono_place)place));
        for (int i = 0; i < SONO_CROSSING_COUNT; i++)
            fprintf(stream, "\"%s\": %lld, ", sono_crossing_name((sono_crossing)i),
                    (long long)r->n_at[place][i]);
        fprintf(stream, "\"bytes\": %lld}", (long long)bytes_at(r, place));
    }
    fputs("\n  },\n", stream);
}

static void write_json_figures(const audit *self, FILE *stream)
{
    const sono_audit *r = &self->result;
    json_begin_report(stream, &self->info);
    fprintf(stream, "  \"frames\": %lld,\n  \"width_px\": %d,\n  \"height_px\": %d,\n",
            (long long)r->n_frames, self->width_px, self->height_px);
    fprintf(stream,
            "  \"critical\": %lld,\n  \"medium\": %lld,\n  \"minor\": %lld,\n  \"chains\": %lld,\n"
            "  \"residency\": %.6f,\n  \"residency_by_stage\": {",
            (long long)r->n_critical, (long long)r->n_medium, (long long)r->n_minor, (long long)r->n_chains,
            r->residency_all);
    for (int i = 0; i < sono_stage_count(); i++)
        fprintf(stream, "%s\"%s\": %.6f", i ? ", " : "", sono_stage_name((sono_stage)i), r->residency[i]);
    fprintf(stream,
            "},\n  \"per_frame\": {\"allocations\": %d, \"h2d\": %d, \"launches\": %d, \"d2h\": %d, "
            "\"waits\": %d, \"bytes_h2d\": %lld, \"bytes_d2h\": %lld},\n",
            r->most.n_allocations, r->most.n_h2d, r->most.n_launches, r->most.n_d2h, r->most.n_waits,
            (long long)r->most.bytes_h2d, (long long)r->most.bytes_d2h);
    write_json_places(r, stream);
    fprintf(stream, "  \"within_budget\": %s,\n", self->is_within ? "true" : "false");
}

static int write_json(const audit *self)
{
    FILE *stream = output_file_open(self->json_path);
    if (!stream)
        return STATUS_FAILED;
    write_json_figures(self, stream);
    if (self->gaps.n_frames) {
        gaps_write_json(&self->gaps, stream);
        fputs(",\n", stream);
    }
    write_json_trace(self, stream);
    return output_file_close(stream, self->json_path) ? STATUS_FAILED : STATUS_DONE;
}

/* One error line for each way in which it failed. */
static int judge(const audit *self)
{
    int status = STATUS_DONE;
    if (!self->is_within) {
        report_error("beyond the budget: critical %lld, medium %lld, chains %lld, residency %.1f %%",
                     (long long)self->result.n_critical, (long long)self->result.n_medium,
                     (long long)self->result.n_chains, 100 * self->result.residency_all);
        status = STATUS_FAILED;
    }
    if (!self->wants_trace || self->trace_verdict == VERDICT_AGREES)
        return status;
    for (const char *line = self->trace_text; *line;) {
        const int n = (int)strcspn(line, "\n");
        report_error("trace: %.*s", n, line);
        line += n + (line[n] == '\n');
    }
    return STATUS_FAILED;
}

static int open_and_audit(audit *self)
{
    const sono_output outputs[] = {{self->json_path, SONO_OUTPUT_FILE}, {self->trace_path, SONO_OUTPUT_FILE}};
    int status = output_check(&self->args, self->args.inputs, self->args.n_inputs, outputs, 2);
    if (status)
        return status;
    open_trace(self);
    status = pipeline_args_open(&self->args, &self->pipeline);
    if (!status)
        status = run(self);
    if (status)
        return status;
    sono_pipeline_info_init(&self->info);
    sono_pipeline_query(self->pipeline, &self->info);
    print_table(self);
    print_trace(self);
    if (self->json_path && write_json(self))
        status = STATUS_FAILED;
    if (self->trace_path && self->trace) {
        int64_t n_records = 0;
        const sono_trace_record *records = sono_trace_records(self->trace, &n_records);
        if (trace_file_write(self->trace_path, records, n_records))
            status = STATUS_FAILED;
    }
    const int judged = judge(self);
    return status ? status : judged;
}

static int check_usage(audit *self)
{
    if (self->wants_trace && !strcmp(self->args.config.device, "cpu")) {
        report_error("there is nothing to trace on the CPU");
        report_see_help("audit");
        return STATUS_USAGE;
    }
    if (self->wants_trace && self->args.config.without_graph) {
        report_error("--trace counts launches of graphs: leave --no-graph out");
        report_see_help("audit");
        return STATUS_USAGE;
    }
    return pipeline_args_find_checkpoints(&self->args);
}

int cmd_audit(int argc, char **argv)
{
    audit self = {.n_frames = 20};
    pipeline_args_init(&self.args);
    self.args.config.device = "cuda";
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO)
        status = check_usage(&self);
    if (parsed == ARGS_GO && !status) {
        frame_loop_init(&self.frames, &self.args);
        status = open_and_audit(&self);
    }
    sono_pipeline_close(self.pipeline);
    sono_trace_close(self.trace);
    frame_loop_close(&self.frames);
    const int closed = pipeline_args_close(&self.args);
    return status ? status : closed;
}
