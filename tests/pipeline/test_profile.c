// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300
/* The profile of a pipeline's ops: complete, and without a trace in later frames. SONO_TEST_DEVICE names the
 * device (default cpu). */
#include "sonoseg/diagnostics.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <math.h>
#include <string.h>

/* All the arithmetic of the program, each op with a time, and a shape and bytes that belong to it. On a
 * device an op may have its time in that of another one of its stage behind it, with which it is run. */
static void expect_whole(const sono_profile *profile, const sono_pipeline *pipeline,
                         const sono_pipeline_info *info)
{
    double flops[SONO_MAX_STAGES] = {0};
    const int may_join = info->backend != SONO_BACKEND_CPU;
    for (int32_t i = 0; i < profile->n_ops; i++) {
        const sono_op_profile *op = &profile->ops[i];
        const int is_joined = may_join && op->ns == 0 && i + 1 < profile->n_ops && op[1].stage == op->stage;
        if (!(op->ns > 0 || is_joined) || !(op->bytes > 0) || !op->name[0] || !op->kind[0] ||
            !strstr(op->shape, "] -> ["))
            fail_msg("op %d (%s %s %s): %.1f ns, %.0f bytes", i, op->kind, op->name, op->shape, op->ns,
                     op->bytes);
        assert_int_equal(op->is_half && info->precision == SONO_PRECISION_FP32, 0);
        flops[op->stage] += op->flops;
    }
    for (int i = 0; i < sono_stage_count(); i++)
        assert_true(fabs(flops[i] - sono_pipeline_stage_flops(pipeline, (sono_stage)i)) <= 1e-9 * flops[i]);
}

/* On a device the parts and the ceilings are there, and no op is faster than what the device does at best. */
static void expect_ceilings(const sono_profile *profile, const sono_pipeline_info *info)
{
    if (info->backend == SONO_BACKEND_CPU) {
        assert_true(profile->lane_ms[0] == 0 && profile->half_flops_per_s == 0);
        return;
    }
    assert_true(profile->lane_ms[0] > 0 && profile->lane_ms[1] > 0 && profile->tail_ms > 0);
    assert_true(profile->memory_bytes_per_s > 0 && profile->cache_bytes_per_s > profile->memory_bytes_per_s);
    assert_true(profile->float_flops_per_s > 0 && profile->half_flops_per_s > profile->float_flops_per_s);
    for (int32_t i = 0; i < profile->n_ops; i++) {
        const sono_op_profile *op = &profile->ops[i];
        const double best = op->is_half ? profile->half_flops_per_s : profile->float_flops_per_s;
        if (op->ns > 0 && op->flops > 1e-9 * op->ns * best)
            fail_msg("%s is faster than the device: %.3g FLOP in %.0f ns", op->name, op->flops, op->ns);
    }
}

static void test_profile(void **state)
{
    (void)state;
    static uint8_t mask[320 * 240];
    sono_pipeline_config config;
    sono_pipeline_info info;
    sono_profile profile;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.n_slots = 1;
    config.want_weight_maps = 1;
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const float score = sono_packet_object(packet, 0)->score;
    memcpy(mask, packet_mask(packet, 0), sizeof mask);
    assert_ok(sono_packet_release(pipeline, packet), NULL);

    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_profile(NULL, &profile, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_profile(pipeline, NULL, &error), &error);
    assert_ok(sono_pipeline_profile(pipeline, &profile, &error), &error);
    sono_pipeline_info_init(&info);
    assert_ok(sono_pipeline_query(pipeline, &info), NULL);
    assert_int_equal(profile.width_px, 320);
    assert_int_equal(profile.height_px, 240);
    expect_whole(&profile, pipeline, &info);
    expect_ceilings(&profile, &info);

    packet = pipeline_fixture_run(pipeline, &frame);
    assert_true(sono_packet_object(packet, 0)->score == score);
    assert_memory_equal(packet_mask(packet, 0), mask, sizeof mask);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_profile_free(&profile);
    assert_null(profile.ops);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_profile)};
    return sono_test_run("pipeline/profile", tests, sizeof tests / sizeof tests[0]);
}
