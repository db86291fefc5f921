// SPDX-License-Identifier: Apache-2.0
// labels: slow serial timeout=300
/* without_graph: packets are the same by the bit, and their ledger says what it costs: a launch an op, or for
 * ops that one kernel does, nothing else. Needs the synthetic checkpoints (SONO_TEST_DETECTOR,
 * SONO_TEST_SEGMENTER). */
#include "engine/cuda/choice/candidates.h"
#include "graph/lower.h"
#include "pipeline/pipeline_private.h"
#include "support/gpu_fixture.h"
#include "support/packet_maps.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N_FRAMES 5

static void open_both(const sono_pipeline_config *config, sono_pipeline **graph, sono_pipeline **plain)
{
    sono_pipeline_config without = *config;
    without.without_graph = 1;
    *graph = pipeline_fixture_open(config);
    *plain = pipeline_fixture_open(&without);
}

static void expect_same(const sono_packet *a, const sono_packet *b, size_t n_pixels)
{
    const sono_object *x = sono_packet_object(a, 0), *y = sono_packet_object(b, 0);
    assert_int_equal(a->state, b->state);
    assert_memory_equal(x->bbox_xyxy_px, y->bbox_xyxy_px, sizeof x->bbox_xyxy_px);
    assert_memory_equal(&x->score, &y->score, sizeof x->score);
    assert_memory_equal(&x->iou_predicted, &y->iou_predicted, sizeof x->iou_predicted);
    assert_int_equal(x->mask_area_px, y->mask_area_px);
    for (int m = SONO_MAP_MASK; m <= SONO_MAP_OUTSIDE; m++)
        assert_memory_equal(packet_map(a, 0, (sono_map)m), packet_map(b, 0, (sono_map)m), n_pixels);
}

#ifdef SONO_HAVE_CUDA
/* Ops that have a launch of their own, or share one. */
static int32_t count_launches(const sono_program *program)
{
    sono_program lowered;
    sono_cuda_facts facts;
    sono_error error = {0};
    int32_t n = 0;
    assert_ok(sono_cuda_facts_of(0, &facts, &error), &error);
    assert_ok(sono_lower(program, NULL, 0, &lowered, &error), &error);
    sono_cuda_fuse(&lowered, SONO_PRECISION_FP16, &facts, 0);
    for (int32_t i = 0; i < (int32_t)lowered.n_ops; i++)
        n += sono_lower_is_run(&lowered, i);
    sono_lower_free(&lowered);
    return n;
}
#else
static int32_t count_launches(const sono_program *program)
{
    return (int32_t)program->n_ops; /* nothing gets here: there is no GPU to test */
}
#endif

static void test_packets(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *graph = NULL, *plain = NULL;
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    open_both(&config, &graph, &plain);
    const sono_frame frame = pipeline_fixture_frame();
    const int32_t n_launches = count_launches(plain->flow.program);
    const size_t n_pixels = (size_t)frame.image.width_px * (size_t)frame.image.height_px;
    for (int i = 0; i < N_FRAMES; i++) {
        const sono_packet *a = pipeline_fixture_run(graph, &frame), *b = pipeline_fixture_run(plain, &frame);
        expect_same(a, b, n_pixels);
        assert_int_equal(a->ledger.n_launches, 1);
        assert_int_equal(b->ledger.n_launches, n_launches);
        assert_int_equal(b->ledger.n_h2d, a->ledger.n_h2d);
        assert_int_equal(b->ledger.n_d2h, a->ledger.n_d2h);
        assert_int_equal(b->ledger.n_waits, a->ledger.n_waits);
        assert_int_equal(b->ledger.n_allocations, 0);
        assert_int_equal(b->ledger.bytes_h2d, a->ledger.bytes_h2d);
        assert_int_equal(b->ledger.bytes_d2h, a->ledger.bytes_d2h);
        assert_true(sono_packet_stage_ms(b, SONO_STAGE_ENCODE) > 0);
        assert_ok(sono_packet_release(graph, a), NULL);
        assert_ok(sono_packet_release(plain, b), NULL);
    }
    sono_pipeline_close(plain);
    sono_pipeline_close(graph);
}

/* The condition that leaves the decoder out is a node of a graph. */
static void test_no_condition(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    gpu_fixture_synthetic(&config);
    config.without_graph = 1;
    config.skip_decoder_when_lost = 1;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.text, "set only one of them"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_no_condition),
    };
    return sono_test_run("gpu/without_graph", tests, sizeof tests / sizeof tests[0]);
}
