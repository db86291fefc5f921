// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=15
/* want_surface and bridge_share through the whole pipeline: the shipped models' surface of phantoms against
 * the true one, the same in a batch, none when LOST; what cannot be had is refused. SONO_TEST_DEVICE names
 * the device (default cpu). */
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "sonoseg/phantom.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_FRAMES   4
#define MAX_POINTS 1024
#define SEED       906

typedef struct result {
    int32_t n_points, n_lines;
    float points_px[MAX_POINTS][2];
    int32_t line_starts[MAX_POINTS + 1];
} result;

static sono_pipeline *open_shipped(int32_t batch)
{
    sono_pipeline_config config;
    pipeline_fixture_shipped_half(&config);
    config.max_width_px = 422;
    config.max_height_px = 558;
    config.batch = batch;
    config.want_surface = 1;
    config.bridge_share = 0.15f;
    return pipeline_fixture_open(&config);
}

static sono_source *open_phantom(void)
{
    sono_phantom_options options;
    sono_source *source = NULL;
    sono_error error = {0};
    sono_phantom_options_init(&options);
    options.seed = SEED;
    options.n_frames = N_FRAMES;
    options.n_sweep_frames = 1;
    options.empty_share = 0;
    options.n_held = 2;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    return source;
}

static sono_frame next_frame(sono_source *source)
{
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error = {0};
    const char *name = NULL;
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    return frame;
}

static void take(const sono_packet *packet, result *out)
{
    sono_surface_view view;
    assert_ok(sono_packet_surface(packet, &view), NULL);
    assert_in_range(view.n_points, 0, MAX_POINTS);
    assert_in_range(view.n_lines, 0, view.n_points);
    assert_int_equal(view.line_starts[0], 0);
    assert_int_equal(view.line_starts[view.n_lines], view.n_points);
    *out = (result){.n_points = view.n_points, .n_lines = view.n_lines};
    memcpy(out->points_px, view.points_px, (size_t)view.n_points * sizeof out->points_px[0]);
    memcpy(out->line_starts, view.line_starts, ((size_t)view.n_lines + 1) * sizeof(int32_t));
}

/* From left to right, in columns that have mask. */
static void check_points(const sono_packet *packet, const result *r)
{
    const uint8_t *mask = packet_mask(packet, 0);
    for (int32_t i = 0; i < r->n_points; i++) {
        const int32_t x = (int32_t)r->points_px[i][0];
        int32_t n_set = 0;
        for (int32_t y = 0; y < packet->height_px; y++)
            n_set += mask[y * packet->width_px + x] != 0;
        assert_true((float)x == r->points_px[i][0] &&
                    (i == 0 || r->points_px[i][0] > r->points_px[i - 1][0]));
        assert_true(n_set > 0 && r->points_px[i][1] >= 0 &&
                    r->points_px[i][1] <= (float)(packet->height_px - 1));
    }
}

/* Adds each point's distance along the beam to the nearer true surface, where there is one, in mm. */
static int32_t add_errors(const result *r, const sono_truth *truth, double spacing_mm, double *errors)
{
    int32_t n = 0;
    for (int32_t i = 0; i < r->n_points; i++) {
        double best = INFINITY;
        for (int32_t k = 0; k < truth->n_structures; k++) {
            const double y = (double)truth->surface_px[k][(int32_t)r->points_px[i][0]];
            if (y >= 0)
                best = fmin(best, spacing_mm * fabs((double)r->points_px[i][1] - y));
        }
        if (isfinite(best))
            errors[n++] = best;
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static result alone[N_FRAMES];

static void test_phantoms(void **state)
{
    static double errors[N_FRAMES * MAX_POINTS];
    int32_t n = 0;
    (void)state;
    sono_pipeline *pipeline = open_shipped(1);
    sono_source *source = open_phantom();
    for (int32_t i = 0; i < N_FRAMES; i++) {
        sono_truth truth;
        sono_error error = {0};
        const sono_frame frame = next_frame(source);
        assert_ok(sono_source_truth(source, &truth, &error), &error);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        take(packet, &alone[i]);
        check_points(packet, &alone[i]);
        n += add_errors(&alone[i], &truth, frame.info.spacing_mm[1], errors + n);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
    assert_true(n > 100 * N_FRAMES / 2);
    qsort(errors, (size_t)n, sizeof *errors, ascending);
    print_message("%d points, distance to the surface: median %.3f mm, 95 %% %.3f mm\n", n, errors[n / 2],
                  errors[n * 95 / 100]);
    assert_true(errors[n / 2] <= 0.25 && errors[n * 95 / 100] <= 1.0);
}

/* Two at once: masks may differ by a few pixels at their rims (sums are split up differently), so that most
 * points are the same, and none is elsewhere. */
static void test_batch(void **state)
{
    sono_error error = {0};
    static result r;
    (void)state;
    sono_pipeline *pipeline = open_shipped(2);
    sono_source *source = open_phantom();
    for (int32_t i = 0; i < 2; i++) {
        const sono_frame frame = next_frame(source);
        assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
    }
    for (int32_t i = 0; i < 2; i++) {
        const sono_packet *packet = NULL;
        int32_t n_same = 0;
        assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
        take(packet, &r);
        check_points(packet, &r);
        for (int32_t a = 0, b = 0; a < r.n_points && b < alone[i].n_points;) {
            const float dx = r.points_px[a][0] - alone[i].points_px[b][0];
            n_same += dx == 0 && fabsf(r.points_px[a][1] - alone[i].points_px[b][1]) < 0.5f;
            a += dx <= 0;
            b += dx >= 0;
        }
        assert_true(alone[i].n_points > 20 && n_same >= alone[i].n_points * 95 / 100);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
}

static void test_lost(void **state)
{
    sono_pipeline_config config;
    sono_surface_view view;
    (void)state;
    pipeline_fixture_synthetic(&config);
    config.threshold = 1; /* no score is above */
    config.max_width_px = 320;
    config.max_height_px = 240;
    config.want_surface = 1;
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->state, SONO_STATE_LOST);
    assert_ok(sono_packet_surface(packet, &view), NULL);
    assert_int_equal(view.n_points, 0);
    assert_int_equal(view.n_lines, 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

static void test_refused(void **state)
{
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    (void)state;
    pipeline_fixture_synthetic(&config);
    config.segmenter_path = NULL;
    config.want_surface = 1;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "surface"));
    config.want_surface = 0;
    config.bridge_share = 0.1f;
    assert_int_equal(sono_pipeline_open(&config, &pipeline, &error), SONO_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "bridge_share"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lost), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_phantoms), cmocka_unit_test(test_batch)};
    return sono_test_run("pipeline/surface", tests, sizeof tests / sizeof tests[0]);
}
