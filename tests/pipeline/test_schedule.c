// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=900 cost=40
/*
 * detect_every, from the shipped models on a phantom's frames: while VISIBLE the detector is left out, in the
 * frame in which the bone is elsewhere or gone it runs after all, and the masks stay those of a pipeline that
 * has it in every frame. SONO_TEST_DEVICE names the device (default cpu).
 */
#include "sonoseg/diagnostics.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "phantom_stream.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N_PIXELS PHANTOM_STREAM_PIXELS
#define N_FRAMES 8
#define MIRRORED 7 /* of these frames */
#define EVERY    3

/* In which frames the detector is left out: behind the first VISIBLE one two of three; in the mirrored one it
 * is tried. */
static const int is_recalled[N_FRAMES] = {0, 0, 0, 1, 1, 0, 1, 0};

typedef struct result {
    sono_state state;
    sono_parts parts;
    sono_state_report report;
    float bbox_xyxy_px[4];
    double detect_ms;
    int64_t mask_area_px;
    uint8_t mask[N_PIXELS];
} result;

static uint8_t pictures[N_FRAMES][N_PIXELS], black[N_PIXELS], tissue[N_PIXELS];
static sono_frame frames[N_FRAMES];
static result always[N_FRAMES], sometimes[N_FRAMES];

static int make_frames(void **state)
{
    (void)state;
    sono_frame empty;
    phantom_stream_read(SONO_PHANTOM_ARCHED, N_FRAMES, pictures, frames);
    phantom_stream_mirror(pictures[MIRRORED]);
    phantom_stream_read(SONO_PHANTOM_EMPTY, 1, &tissue, &empty);
    return 0;
}

static sono_state_rules rules_of_test(void)
{
    sono_state_rules rules;
    sono_state_rules_init(&rules);
    rules.found_after_ms = 0;
    rules.visible_after_ms = 120; /* 100 ms a frame: VISIBLE comes with the third */
    return rules;
}

static sono_pipeline *open_with(int32_t every)
{
    sono_pipeline_config config;
    const sono_state_rules rules = rules_of_test();
    pipeline_fixture_shipped_half(&config);
    config.state_mode = SONO_STATE_BY_STREAM;
    config.state_rules = &rules;
    config.detect_every = every;
    return pipeline_fixture_open(&config);
}

static void run(sono_pipeline *pipeline, const sono_frame *frame, result *out)
{
    const sono_packet *packet = pipeline_fixture_run(pipeline, frame);
    const sono_object *object = sono_packet_object(packet, 0);
    memset(out, 0, sizeof *out);
    out->state = packet->state;
    out->parts = *sono_packet_parts(packet);
    out->report = *sono_packet_report(packet);
    out->detect_ms = sono_packet_stage_ms(packet, SONO_STAGE_DETECT);
    out->mask_area_px = object->mask_area_px;
    memcpy(out->bbox_xyxy_px, object->bbox_xyxy_px, sizeof out->bbox_xyxy_px);
    memcpy(out->mask, packet_mask(packet, 0), sizeof out->mask);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* What the detector found is the same, and so is its mask: to the bit on the CPU. The second run of an op on
 * CUDA may share a kernel with others than the first, and round elsewhere. */
static void assert_same_find(const result *a, const result *b)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    if (device && strncmp(device, "cuda", 4) == 0) {
        assert_true(phantom_stream_iou(a->mask, b->mask) > 0.99);
        assert_in_range(a->parts.score - b->parts.score + 2, 0, 4);
        return;
    }
    assert_int_equal(a->parts.score, b->parts.score);
    assert_memory_equal(a->bbox_xyxy_px, b->bbox_xyxy_px, sizeof a->bbox_xyxy_px);
    assert_memory_equal(a->mask, b->mask, sizeof a->mask);
    assert_int_equal(a->mask_area_px, b->mask_area_px);
    assert_int_equal(a->parts.iou, b->parts.iou);
    assert_int_equal(a->parts.continuity, b->parts.continuity);
}

static void test_detector_is_left_out(void **state)
{
    (void)state;
    sono_pipeline *pipeline = open_with(1);
    for (int i = 0; i < N_FRAMES; i++)
        run(pipeline, &frames[i], &always[i]);
    sono_pipeline_close(pipeline);
    pipeline = open_with(EVERY);
    for (int i = 0; i < N_FRAMES; i++)
        run(pipeline, &frames[i], &sometimes[i]);
    sono_pipeline_close(pipeline);
    for (int i = 0; i < N_FRAMES; i++) {
        const result *a = &always[i], *s = &sometimes[i];
        const double overlap = phantom_stream_iou(a->mask, s->mask);
        print_message("frame %d: %s and %s, recalled %d, detect %.1f and %.1f ms, agreement %d and %d, IoU "
                      "%.3f, box %.1f %.1f %.1f %.1f and %.1f %.1f %.1f %.1f\n",
                      i, sono_state_name(a->state), sono_state_name(s->state), s->parts.is_recalled,
                      a->detect_ms, s->detect_ms, a->report.agreement, s->report.agreement, overlap,
                      (double)a->bbox_xyxy_px[0], (double)a->bbox_xyxy_px[1], (double)a->bbox_xyxy_px[2],
                      (double)a->bbox_xyxy_px[3], (double)s->bbox_xyxy_px[0], (double)s->bbox_xyxy_px[1],
                      (double)s->bbox_xyxy_px[2], (double)s->bbox_xyxy_px[3]);
    }
    for (int i = 0; i < N_FRAMES; i++) {
        const result *a = &always[i], *s = &sometimes[i];
        assert_int_equal(a->parts.is_recalled, 0);
        assert_int_equal(s->parts.is_recalled, is_recalled[i]);
        assert_int_equal(s->state, a->state);
        assert_true(phantom_stream_iou(a->mask, s->mask) > 0.9);
        assert_true(a->mask_area_px > 0);
        if (!is_recalled[i])
            assert_same_find(a, s);
        else
            assert_true(s->detect_ms < 0.1 * a->detect_ms);
    }
    assert_true(always[MIRRORED].report.agreement < 300); /* it was doubtful, else nothing was shown */
}

/* Behind a VISIBLE frame one without a bone: the detector says so in that very frame. */
static void check_gone(const uint8_t *pixels)
{
    static result r;
    sono_frame nothing = frames[3];
    nothing.image.pixels = pixels;
    sono_pipeline *pipeline = open_with(EVERY);
    for (int i = 0; i < 3; i++)
        run(pipeline, &frames[i], &r);
    assert_int_equal(r.state, SONO_STATE_VISIBLE);
    run(pipeline, &nothing, &r);
    print_message("without a bone: %s, recalled %d, score %d\n", sono_state_name(r.state),
                  r.parts.is_recalled, r.parts.score);
    assert_int_not_equal(r.state, SONO_STATE_VISIBLE);
    assert_int_equal(r.parts.is_recalled, 0);
    assert_true(r.detect_ms > 0);
    sono_pipeline_close(pipeline);
}

static void test_bone_is_gone(void **state)
{
    (void)state;
    check_gone(black);
    check_gone(tissue);
}

static void test_replay(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_shipped_half(&config); /* without models nothing was run: skipped */
    sono_state_machine *machine = NULL;
    sono_state_report report;
    sono_error error = {0};
    const sono_state_rules rules = rules_of_test();
    sono_state_report_init(&report);
    assert_ok(sono_state_machine_open(&rules, SONO_STATE_BY_STREAM, &machine, &error), &error);
    for (int i = 0; i < N_FRAMES; i++) {
        assert_ok(sono_state_machine_step(machine, &sometimes[i].parts, frames[i].info.timestamp_ns,
                                          PHANTOM_STREAM_WIDTH_PX, PHANTOM_STREAM_HEIGHT_PX, &report, &error),
                  &error);
        assert_memory_equal(&report, &sometimes[i].report, sizeof report);
    }
    sono_state_machine_close(machine);
}

static void refuse(const sono_pipeline_config *config, const char *word)
{
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    assert_int_equal(sono_pipeline_open(config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, word));
    assert_null(pipeline);
}

static void test_refused(void **state)
{
    (void)state;
    sono_pipeline_config config, good;
    pipeline_fixture_shipped_half(&good);
    good.state_mode = SONO_STATE_BY_STREAM;
    good.detect_every = 2;
    config = good;
    config.state_mode = SONO_STATE_BY_FRAME;
    refuse(&config, "detect_every is 2");
    config = good;
    config.batch = 2;
    refuse(&config, "detect_every is 2");
    config = good;
    config.max_objects = 2;
    refuse(&config, "detect_every is 2");
    config.detect_every = 0;
    refuse(&config, "detect_every is 0");
    config.detect_every = 101;
    refuse(&config, "detect_every is 101");
}

/* Single ops cannot be timed where not all of them run. */
static void test_profile_is_refused(void **state)
{
    (void)state;
    sono_profile profile = {0};
    sono_error error = {0};
    sono_pipeline *pipeline = open_with(2);
    assert_int_equal(sono_pipeline_profile(pipeline, &profile, &error), SONO_STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.text, "detect_every"));
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detector_is_left_out),
        cmocka_unit_test(test_bone_is_gone),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_profile_is_refused),
    };
    return sono_test_run_with("pipeline/schedule", tests, sizeof tests / sizeof tests[0], make_frames, NULL);
}
