// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* The ledger: its arithmetic, the audit's judgement, and the golden totals of a frame on a GPU (on the
 * synthetic checkpoints, SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER). */
#include "telemetry/ledger.h"
#include "support/gpu_fixture.h"
#include "support/null_engine.h"
#include "test.h"

#include <string.h>

#ifndef SONO_HAVE_CUDA
/* The gpu room is not in this build, but its arithmetic needs no GPU. */
#include "telemetry/ledger.c"
#endif

static void assert_totals(const sono_ledger_totals *found, const sono_ledger_totals *wanted)
{
    assert_int_equal(found->n_allocations, wanted->n_allocations);
    assert_int_equal(found->n_h2d, wanted->n_h2d);
    assert_int_equal(found->n_launches, wanted->n_launches);
    assert_int_equal(found->n_d2h, wanted->n_d2h);
    assert_int_equal(found->n_waits, wanted->n_waits);
    assert_int_equal(found->bytes_h2d, wanted->bytes_h2d);
    assert_int_equal(found->bytes_d2h, wanted->bytes_d2h);
}

/* ---- booking ---- */

static void test_phases(void **state)
{
    (void)state;
    sono_ledger ledger = {0};
    sono_ledger_account frame = {0};
    sono_audit_counts counts = {0};
    sono_ledger_book(&ledger, NULL, SONO_PLACE_OPEN, SONO_CROSSING_ALLOCATION, 1000);
    sono_ledger_book(&ledger, &frame, SONO_PLACE_UPLOAD, SONO_CROSSING_H2D, 10); /* a trial frame */
    ledger.phase = SONO_PHASE_LOOP;
    frame = (sono_ledger_account){0};
    sono_ledger_book(&ledger, NULL, SONO_PLACE_DOWNLOAD, SONO_CROSSING_WAIT, 0);
    sono_ledger_book(&ledger, &frame, SONO_PLACE_DOWNLOAD, SONO_CROSSING_D2H, 20);
    ledger.phase = SONO_PHASE_CLOSE;
    sono_ledger_book(&ledger, NULL, SONO_PLACE_DOWNLOAD, SONO_CROSSING_WAIT, 0);
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n[SONO_PHASE_OPEN][SONO_CROSSING_ALLOCATION], 1);
    assert_int_equal(counts.bytes[SONO_PHASE_OPEN][SONO_CROSSING_ALLOCATION], 1000);
    assert_int_equal(counts.n[SONO_PHASE_OPEN][SONO_CROSSING_H2D], 1);
    assert_int_equal(counts.n[SONO_PHASE_LOOP][SONO_CROSSING_WAIT], 1);
    assert_int_equal(counts.n[SONO_PHASE_FRAME][SONO_CROSSING_D2H], 1);
    assert_int_equal(counts.bytes[SONO_PHASE_FRAME][SONO_CROSSING_D2H], 20);
    assert_int_equal(counts.n[SONO_PHASE_CLOSE][SONO_CROSSING_WAIT], 1);
    assert_int_equal(counts.n_chains, 0);
    assert_int_equal(counts.n_at[SONO_PLACE_OPEN][SONO_CROSSING_ALLOCATION], 1);
    assert_int_equal(counts.bytes_at[SONO_PLACE_OPEN][SONO_CROSSING_ALLOCATION], 1000);
    assert_int_equal(counts.bytes_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D], 10);
    assert_int_equal(counts.n_at[SONO_PLACE_DOWNLOAD][SONO_CROSSING_WAIT], 2);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(sono_place_name(SONO_PLACE_OPEN), "open");
    assert_string_equal(sono_place_name(SONO_PLACE_OTHER), "other");
    assert_string_equal(sono_place_name(SONO_PLACE_COUNT), "unknown");
}

/* What a capture books is charged to each launch, not to the capture. */
static void test_graphs(void **state)
{
    (void)state;
    sono_ledger ledger = {.phase = SONO_PHASE_LOOP};
    sono_ledger_account graph = {0}, frame = {0};
    sono_audit_counts counts = {0};
    sono_ledger_totals totals;
    ledger.capture = &graph;
    sono_ledger_book(&ledger, NULL, SONO_PLACE_UPLOAD, SONO_CROSSING_H2D, 100);
    sono_ledger_book(&ledger, NULL, SONO_PLACE_DOWNLOAD, SONO_CROSSING_D2H, 30);
    ledger.capture = NULL;
    sono_ledger_counts(&ledger, &counts);
    for (int phase = 0; phase < SONO_PHASE_COUNT; phase++)
        for (int i = 0; i < SONO_CROSSING_COUNT; i++)
            assert_int_equal(counts.n[phase][i], 0);
    for (int i = 0; i < 3; i++) {
        frame = (sono_ledger_account){0};
        sono_ledger_book_graph(&ledger, &frame, &graph);
        sono_ledger_book(&ledger, &frame, SONO_PLACE_DOWNLOAD, SONO_CROSSING_WAIT, 0);
    }
    sono_ledger_totals_of(&frame, &totals);
    const sono_ledger_totals wanted = {
        .n_h2d = 1, .n_launches = 1, .n_d2h = 1, .n_waits = 1, .bytes_h2d = 100, .bytes_d2h = 30};
    assert_totals(&totals, &wanted);
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n[SONO_PHASE_FRAME][SONO_CROSSING_LAUNCH], 3);
    assert_int_equal(counts.bytes[SONO_PHASE_FRAME][SONO_CROSSING_H2D], 300);
    assert_int_equal(counts.n_at[SONO_PLACE_LAUNCH][SONO_CROSSING_LAUNCH], 3);
    assert_int_equal(counts.bytes_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D], 300);
    assert_int_equal(counts.bytes_at[SONO_PLACE_DOWNLOAD][SONO_CROSSING_D2H], 90);
    assert_int_equal(counts.n_at[SONO_PLACE_DOWNLOAD][SONO_CROSSING_WAIT], 3);
    assert_int_equal(counts.n_chains, 0);
}

static void test_chains(void **state)
{
    (void)state;
    sono_ledger ledger = {.phase = SONO_PHASE_LOOP};
    sono_ledger_account graph = {0}, frame = {0}, other = {0};
    sono_audit_counts counts = {0};
    sono_ledger_book(&ledger, &frame, SONO_PLACE_DOWNLOAD, SONO_CROSSING_D2H, 4);
    sono_ledger_book(&ledger, &other, SONO_PLACE_UPLOAD, SONO_CROSSING_H2D, 4); /* of another frame */
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n_chains, 0);
    sono_ledger_book(&ledger, &frame, SONO_PLACE_UPLOAD, SONO_CROSSING_H2D, 4);
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n_chains, 1);
    ledger.capture = &graph; /* one in every launch */
    sono_ledger_book(&ledger, NULL, SONO_PLACE_DOWNLOAD, SONO_CROSSING_D2H, 4);
    sono_ledger_book(&ledger, NULL, SONO_PLACE_UPLOAD, SONO_CROSSING_H2D, 4);
    ledger.capture = NULL;
    other = (sono_ledger_account){0};
    sono_ledger_book_graph(&ledger, &other, &graph);
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n_chains, 2);
    sono_ledger_book_graph(&ledger, &other, &graph); /* and one between the launches */
    sono_ledger_counts(&ledger, &counts);
    assert_int_equal(counts.n_chains, 4);
}

/* ---- judging ---- */

static const sono_ledger_totals good_frame = {
    .n_h2d = 1, .n_launches = 1, .n_d2h = 1, .n_waits = 1, .bytes_h2d = 50, .bytes_d2h = 70};

static void count_frame(sono_audit_counts *counts, const sono_ledger_totals *frame)
{
    int64_t *n = counts->n[SONO_PHASE_FRAME];
    n[SONO_CROSSING_ALLOCATION] += frame->n_allocations;
    n[SONO_CROSSING_H2D] += frame->n_h2d;
    n[SONO_CROSSING_LAUNCH] += frame->n_launches;
    n[SONO_CROSSING_D2H] += frame->n_d2h;
    n[SONO_CROSSING_WAIT] += frame->n_waits;
    counts->bytes[SONO_PHASE_FRAME][SONO_CROSSING_H2D] += frame->bytes_h2d;
    counts->bytes[SONO_PHASE_FRAME][SONO_CROSSING_D2H] += frame->bytes_d2h;
}

/* Two good frames and this one; n_more crossings on its account that its packet does not show. */
static int32_t judge(const sono_ledger_totals *third, sono_audit_counts after, int64_t n_more,
                     sono_audit *audit)
{
    static const sono_audit_counts before;
    sono_audit_start(audit, &before);
    for (int i = 0; i < 3; i++) {
        const sono_ledger_totals *frame = i < 2 ? &good_frame : third;
        sono_audit_frame(audit, frame);
        count_frame(&after, frame);
    }
    after.n[SONO_PHASE_FRAME][SONO_CROSSING_D2H] += n_more;
    return sono_audit_finish(audit, &after);
}

static void test_judgement(void **state)
{
    (void)state;
    const sono_audit_counts none = {.n_ops = {4, 10}, .n_resident = {4, 10}};
    sono_audit audit;
    assert_int_equal(judge(&good_frame, none, 0, &audit), 1);
    assert_int_equal(audit.n_frames, 3);
    assert_int_equal(audit.n[SONO_CROSSING_H2D], 3);
    assert_int_equal(audit.bytes[SONO_CROSSING_D2H], 210);
    assert_true(audit.residency_all == 1.0);

    sono_ledger_totals bad = good_frame;
    bad.n_d2h = 3;
    assert_int_equal(judge(&bad, none, 0, &audit), 0);
    assert_int_equal(audit.n_critical, 2);
    assert_int_equal(audit.most.n_d2h, 3);
    bad = good_frame;
    bad.n_waits = 2;
    bad.n_allocations = 1;
    assert_int_equal(judge(&bad, none, 0, &audit), 0);
    assert_int_equal(audit.n_critical, 2);
    bad = good_frame;
    bad.n_launches = 2;
    assert_int_equal(judge(&bad, none, 0, &audit), 0);
    assert_int_equal(audit.n_critical, 0);
    assert_int_equal(audit.n_medium, 1);
    bad = (sono_ledger_totals){.n_launches = 1, .n_waits = 1}; /* the frame was on the device already */
    assert_int_equal(judge(&bad, none, 0, &audit), 1);

    assert_int_equal(judge(&good_frame, none, 1, &audit), 0);
    assert_int_equal(audit.n_critical, 1);
}

static void test_judgement_of_counts(void **state)
{
    (void)state;
    sono_audit audit;
    sono_audit_counts after = {.n_ops = {4, 10}, .n_resident = {4, 10}};
    after.n[SONO_PHASE_OPEN][SONO_CROSSING_H2D] = 600;
    after.n[SONO_PHASE_OPEN][SONO_CROSSING_LAUNCH] = 9;
    assert_int_equal(judge(&good_frame, after, 0, &audit), 1);
    assert_int_equal(audit.n_minor, 600);
    after.n[SONO_PHASE_LOOP][SONO_CROSSING_WAIT] = 1;
    assert_int_equal(judge(&good_frame, after, 0, &audit), 0);
    assert_int_equal(audit.n_medium, 1);
    after.n[SONO_PHASE_LOOP][SONO_CROSSING_WAIT] = 0;
    after.n_chains = 1;
    assert_int_equal(judge(&good_frame, after, 0, &audit), 0);
    assert_int_equal(audit.n_chains, 1);
    after.n_chains = 0;
    after.n_resident[1] = 9;
    assert_int_equal(judge(&good_frame, after, 0, &audit), 0);
    assert_true(audit.residency[0] == 1.0 && audit.residency[1] == 0.9);
    assert_true(audit.residency_all == 13.0 / 14.0);
    sono_audit_start(&audit, &after);
    after.n_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D] += 3;
    after.bytes_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D] += 70;
    assert_int_equal(sono_audit_finish(&audit, &after), 0); /* no frame proves nothing */
    assert_int_equal(audit.n_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D], 3);
    assert_int_equal(audit.bytes_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D], 70);
}

static void test_comparison(void **state)
{
    (void)state;
    char text[256];
    sono_audit_counts before = {0}, after = {0};
    sono_trace_totals seen = {.version = 130001};
    before.n[SONO_PHASE_OPEN][SONO_CROSSING_H2D] = after.n[SONO_PHASE_OPEN][SONO_CROSSING_H2D] = 77;
    for (int i = 0; i < 5; i++)
        count_frame(&after, &good_frame);
    for (int i = SONO_CROSSING_H2D; i < SONO_CROSSING_COUNT; i++)
        seen.n[i] = 5;
    seen.bytes[SONO_CROSSING_H2D] = 250;
    seen.bytes[SONO_CROSSING_D2H] = 350;
    assert_int_equal(sono_trace_compare(&seen, &before, &after, text, sizeof text), 0);
    assert_string_equal(text, "");
    seen.n[SONO_CROSSING_WAIT] = 6;
    seen.bytes[SONO_CROSSING_D2H] = 354;
    seen.n_dropped = 2;
    assert_int_equal(sono_trace_compare(&seen, &before, &after, text, sizeof text), 3);
    assert_string_equal(text, "2 trace records were lost\nd2h: 350 bytes booked, 354 seen\n"
                              "wait: 5 booked, 6 seen\n");
    char little[8];
    assert_int_equal(sono_trace_compare(&seen, &before, &after, little, sizeof little), 3);
    assert_string_equal(little, "2 trace");
}

/* ---- what is downloaded ---- */

static void submit(sono_pipeline *pipeline, int32_t width_px, int32_t height_px)
{
    sono_error error = {0};
    sono_frame frame = null_engine_frame(1, 200);
    frame.image.width_px = width_px;
    frame.image.height_px = height_px;
    assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
}

static void drain(sono_pipeline *pipeline)
{
    const sono_packet *packet = NULL;
    while (sono_pipeline_receive(pipeline, &packet, NULL) == SONO_STATUS_OK)
        assert_ok(sono_packet_release(pipeline, packet), NULL);
}

/* The maps that a batch's frames have, each rounded up to 16 bytes: not room for the largest frame, and
 * nothing for frames that are not there. */
static void test_packed_download(void **state)
{
    (void)state;
    sono_error error = {0};
    null_engine_set_maps(1, 0);
    sono_pipeline *pipeline = null_engine_open(2, 3, 0, NULL, NULL);
    submit(pipeline, 5, 7); /* 35 pixels: 48 bytes */
    submit(pipeline, 16, 16);
    submit(pipeline, 3, 2);
    assert_int_equal(null_engine_maps_bytes(), 48 + 256 + 16);
    drain(pipeline);
    submit(pipeline, 5, 7);
    assert_ok(sono_pipeline_flush(pipeline, &error), &error);
    assert_int_equal(null_engine_maps_bytes(), 48);
    drain(pipeline);
    sono_pipeline_close(pipeline);
    null_engine_set_maps(4, 0); /* masks of four objects */
    pipeline = null_engine_open(1, 1, 0, NULL, NULL);
    submit(pipeline, 5, 7);
    assert_int_equal(null_engine_maps_bytes(), 4 * 48);
    drain(pipeline);
    sono_pipeline_close(pipeline);
    null_engine_set_maps(2, 1); /* and weight maps of bytes */
    pipeline = null_engine_open(1, 1, 0, NULL, NULL);
    submit(pipeline, 5, 7);
    assert_int_equal(null_engine_maps_bytes(), 2 * 4 * 48);
    drain(pipeline);
    sono_pipeline_close(pipeline);
    null_engine_set_maps(1, 4); /* or of float32 */
    pipeline = null_engine_open(1, 1, 0, NULL, NULL);
    submit(pipeline, 5, 7);
    assert_int_equal(null_engine_maps_bytes(), 48 + 3 * 144);
    drain(pipeline);
    sono_pipeline_close(pipeline);
    null_engine_set_maps(1, 0);
}

/* ---- golden totals ---- */

/* 320 x 240 grey pixels behind a header of 48 bytes at the next multiple of 256; detections, predicted IoU
 * and area (256 bytes each) in front of the mask. */
#define GOLDEN_BYTES_H2D (256 + 320 * 240)
#define GOLDEN_BYTES_D2H (3 * 256 + 320 * 240)

static void test_golden_frame(void **state)
{
    (void)state;
    sono_pipeline_config config;
    gpu_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_ledger_totals golden = {.n_h2d = 1,
                                       .n_launches = 1,
                                       .n_d2h = 1,
                                       .n_waits = 1,
                                       .bytes_h2d = GOLDEN_BYTES_H2D,
                                       .bytes_d2h = GOLDEN_BYTES_D2H};
    sono_audit_counts before, after;
    sono_audit audit;
    assert_ok(sono_pipeline_audit(pipeline, &before), NULL);
    assert_int_equal(before.n[SONO_PHASE_FRAME][SONO_CROSSING_LAUNCH], 0);
    sono_audit_start(&audit, &before);
    for (int i = 0; i < 10; i++) {
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        assert_totals(&packet->ledger, &golden);
        sono_audit_frame(&audit, &packet->ledger);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    assert_ok(sono_pipeline_audit(pipeline, &after), NULL);
    assert_int_equal(sono_audit_finish(&audit, &after), 1);
    for (int i = 0; i < SONO_CROSSING_COUNT; i++)
        assert_int_equal(after.n[SONO_PHASE_LOOP][i], 0);
    /* Each crossing at its place and nowhere else. */
    static const sono_place places[SONO_CROSSING_COUNT] = {
        SONO_PLACE_OPEN, SONO_PLACE_UPLOAD, SONO_PLACE_LAUNCH, SONO_PLACE_DOWNLOAD, SONO_PLACE_DOWNLOAD};
    for (int place = 0; place < SONO_PLACE_COUNT; place++)
        for (int i = 0; i < SONO_CROSSING_COUNT; i++)
            assert_int_equal(audit.n_at[place][i],
                             i != SONO_CROSSING_ALLOCATION && places[i] == (sono_place)place ? 10 : 0);
    assert_int_equal(audit.bytes_at[SONO_PLACE_UPLOAD][SONO_CROSSING_H2D], 10 * GOLDEN_BYTES_H2D);
    assert_int_equal(audit.bytes_at[SONO_PLACE_DOWNLOAD][SONO_CROSSING_D2H], 10 * GOLDEN_BYTES_D2H);
    for (int i = 0; i < SONO_STAGE_WEIGHTS; i++)
        assert_true(after.n_ops[i] > 0 && after.n_resident[i] == after.n_ops[i]);
    sono_pipeline_close(pipeline);
}

/* Frames with maps, and batches of frames of different sizes. */
static void test_maps_are_packed(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_error error = {0};
    const sono_packet *packet = NULL;
    gpu_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = pipeline_fixture_frame();
    packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->ledger.n_d2h, 1);
    assert_int_equal(packet->ledger.bytes_d2h, 3 * 256 + 4 * 320 * 240);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);

    config.map_dtype = SONO_MAP_DTYPE_F32;
    pipeline = pipeline_fixture_open(&config);
    packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->ledger.bytes_d2h, 3 * 256 + 13 * 320 * 240);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);

    config.want_weight_maps = 0;
    config.max_objects = 3;
    pipeline = pipeline_fixture_open(&config);
    packet = pipeline_fixture_run(pipeline, &frame);
    assert_int_equal(packet->ledger.bytes_d2h, 3 * 256 + 3 * 320 * 240);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);

    config.max_objects = 1;
    config.batch = 3;
    pipeline = pipeline_fixture_open(&config);
    for (int i = 0; i < 3; i++, frame.image.width_px -= 99, frame.image.pitch_bytes = 320)
        assert_ok(sono_pipeline_submit(pipeline, &frame.image, &frame.info, &error), &error);
    for (int i = 0; i < 3; i++) {
        assert_ok(sono_pipeline_receive(pipeline, &packet, &error), &error);
        assert_int_equal(packet->ledger.bytes_d2h, i ? 0 : 3 * 256 + (320 + 221 + 122) * 240);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

/* On the CPU nothing crosses. */
static void test_cpu(void **state)
{
    (void)state;
    sono_pipeline_config config;
    sono_audit_counts counts;
    static const sono_audit_counts zero;
    static const sono_ledger_totals nothing;
    pipeline_fixture_synthetic(&config);
    config.device = "cpu";
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    const sono_frame frame = pipeline_fixture_frame();
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    assert_totals(&packet->ledger, &nothing);
    memset(&counts, 0xff, sizeof counts);
    assert_ok(sono_pipeline_audit(pipeline, &counts), NULL);
    assert_memory_equal(&counts, &zero, sizeof zero);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_audit(NULL, &counts), NULL);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_judgement_of_counts),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_packed_download),
        cmocka_unit_test(test_golden_frame),
        cmocka_unit_test(test_maps_are_packed),
    };
    return sono_test_run("budget/ledger", tests, sizeof tests / sizeof tests[0]);
}
