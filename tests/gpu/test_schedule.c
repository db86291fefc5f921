// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=600
/* detect_every on a GPU, counted in kernels that CUPTI saw: a frame without the detector runs fewer, one that
 * was doubtful runs more than any, and each is one launch, one copy in, one out, one wait. In float32 states,
 * boxes and masks go with the CPU's, frame by frame. That the same frames are left out, and which:
 * tests/pipeline/test_schedule.c. Needs the shipped models. */
#include "sonoseg/diagnostics.h"
#include "packet_maps.h"
#include "phantom_stream.h"
#include "support/gpu_fixture.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define N_PIXELS PHANTOM_STREAM_PIXELS
#define N_FRAMES 6
#define MIRRORED 5 /* the bone is elsewhere: doubtful */
#define EVERY    4

typedef struct result {
    sono_state state;
    sono_parts parts;
    float bbox_xyxy_px[4];
    int64_t n_kernels;
    uint8_t mask[N_PIXELS];
} result;

static uint8_t pictures[N_FRAMES][N_PIXELS];
static sono_frame frames[N_FRAMES];
static result on_gpu[N_FRAMES], on_cpu[N_FRAMES];

static int make_frames(void **state)
{
    (void)state;
    phantom_stream_read(SONO_PHANTOM_ARCHED, N_FRAMES, pictures, frames);
    phantom_stream_mirror(pictures[MIRRORED]);
    return 0;
}

static void configure(sono_pipeline_config *config, sono_state_rules *rules, const char *device,
                      int32_t every)
{
    sono_state_rules_init(rules);
    rules->found_after_ms = 0;
    rules->visible_after_ms = 120; /* VISIBLE comes with the third frame */
    pipeline_fixture_shipped(config);
    config->state_rules = rules;
    config->device = device;
    config->precision = SONO_PRECISION_FP32;
    config->state_mode = SONO_STATE_BY_STREAM;
    config->detect_every = every;
}

static sono_pipeline *open_on(const char *device, int32_t every)
{
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    sono_state_rules rules;
    configure(&config, &rules, device, every);
    const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
    if (status == SONO_STATUS_UNSUPPORTED)
        sono_test_skip(error.text);
    assert_ok(status, &error);
    return pipeline;
}

static void run_frame(sono_pipeline *pipeline, int i, result *out)
{
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frames[i]);
    out->state = packet->state;
    out->parts = *sono_packet_parts(packet);
    memcpy(out->bbox_xyxy_px, sono_packet_object(packet, 0)->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    memcpy(out->mask, packet_mask(packet, 0), sizeof out->mask);
    if (packet->backend == SONO_BACKEND_CUDA) {
        assert_int_equal(packet->ledger.n_launches, 1);
        assert_int_equal(packet->ledger.n_h2d, 1);
        assert_int_equal(packet->ledger.n_d2h, 1);
        assert_int_equal(packet->ledger.n_waits, 1);
        assert_int_equal(packet->ledger.n_allocations, 0);
    }
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

static void test_goes_with_the_cpu(void **state)
{
    (void)state;
    gpu_fixture_need();
    sono_pipeline *gpu = open_on("cuda", EVERY), *cpu = open_on("cpu", EVERY);
    for (int i = 0; i < N_FRAMES; i++) {
        run_frame(gpu, i, &on_gpu[i]);
        run_frame(cpu, i, &on_cpu[i]);
    }
    sono_pipeline_close(gpu);
    sono_pipeline_close(cpu);
    for (int i = 0; i < N_FRAMES; i++) {
        const result *g = &on_gpu[i], *c = &on_cpu[i];
        print_message("frame %d: %s and %s, recalled %d and %d, IoU %.4f\n", i, sono_state_name(g->state),
                      sono_state_name(c->state), g->parts.is_recalled, c->parts.is_recalled,
                      phantom_stream_iou(g->mask, c->mask));
        assert_int_equal(g->state, c->state);
        assert_int_equal(g->parts.is_recalled, c->parts.is_recalled);
        assert_true(phantom_stream_iou(g->mask, c->mask) > 0.99);
        for (int k = 0; k < 4; k++)
            assert_true(fabsf(g->bbox_xyxy_px[k] - c->bbox_xyxy_px[k]) <= 1.0f);
    }
    assert_int_equal(on_gpu[3].parts.is_recalled, 1);
    assert_int_equal(on_gpu[4].parts.is_recalled, 1);
    assert_int_equal(on_gpu[MIRRORED].parts.is_recalled, 0);
}

/* Kernels of frame i alone. */
static int64_t count_frame(sono_trace *trace, sono_pipeline *pipeline, int i)
{
    static result r;
    sono_trace_totals seen;
    sono_error error = {0};
    assert_ok(sono_trace_start(trace, &error), &error);
    run_frame(pipeline, i, &r);
    assert_ok(sono_trace_stop(trace, &seen, &error), &error);
    assert_int_equal(seen.n_dropped, 0);
    return seen.n_kernels;
}

static void count_all(int32_t every, int64_t *n)
{
    sono_trace *trace = NULL;
    sono_error error = {0};
    gpu_fixture_need();
    if (sono_trace_open(&trace, &error) != SONO_STATUS_OK)
        sono_test_skip(error.text);
    sono_pipeline *pipeline = open_on("cuda", every);
    for (int i = 0; i < N_FRAMES; i++)
        n[i] = count_frame(trace, pipeline, i);
    sono_pipeline_close(pipeline);
    sono_trace_close(trace);
}

static void test_kernels(void **state)
{
    (void)state;
    int64_t always[N_FRAMES], sometimes[N_FRAMES];
    count_all(1, always);
    count_all(EVERY, sometimes);
    for (int i = 0; i < N_FRAMES; i++)
        print_message("frame %d: %lld kernels, with detect_every %d %lld\n", i, (long long)always[i], EVERY,
                      (long long)sometimes[i]);
    for (int i = 0; i < 3; i++) /* SCHEDULE, DOUBT, and the two that decide */
        assert_int_equal(sometimes[i], always[i] + 4);
    assert_true(sometimes[3] < always[3] - 50);
    assert_int_equal(sometimes[4], sometimes[3]);
    assert_true(sometimes[MIRRORED] > always[MIRRORED] + 20);
}

static void test_without_graph_is_refused(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    gpu_fixture_need();
    sono_state_rules rules;
    configure(&config, &rules, "cuda", EVERY);
    config.without_graph = 1;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.text, "detect_every"));
}

/* Behind frames of all kinds the next ones cost what they cost, and the audit finds nothing. */
static void test_audit(void **state)
{
    (void)state;
    static result r;
    sono_audit_counts facts;
    gpu_fixture_need();
    sono_pipeline *pipeline = open_on("cuda", EVERY);
    for (int i = 0; i < 2 * N_FRAMES; i++)
        run_frame(pipeline, i % N_FRAMES, &r);
    assert_ok(sono_pipeline_audit(pipeline, &facts), NULL);
    for (int i = 0; i < sono_stage_count(); i++)
        assert_int_equal(facts.n_resident[i], facts.n_ops[i]);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_with_the_cpu), cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_without_graph_is_refused), cmocka_unit_test(test_audit)};
    return sono_test_run_with("gpu/schedule", tests, sizeof tests / sizeof tests[0], make_frames, NULL);
}
