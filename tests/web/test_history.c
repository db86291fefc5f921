// SPDX-License-Identifier: Apache-2.0
/* Quantiles, windows, trips and spans of the last ten minutes; what the limits say of them. */
#include "web/facts.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)

static sono_web_history history;

/* A frame that took so long in the engine, and 1 ms in all else. */
static void add_trip(uint64_t frame, int64_t engine_ms)
{
    const int64_t begin = (int64_t)frame * 1000 * MS;
    const sono_web_trip trip = {.frame = frame,
                                .received_ns = begin,
                                .submitted_ns = begin + MS / 2,
                                .done_ns = begin + MS / 2 + engine_ms * MS,
                                .shown_ns = begin + MS + engine_ms * MS};
    sono_web_history_trip(&history, &trip);
}

static void assert_near(double is, double wanted)
{
    if (!(fabs(is / wanted - 1) < 0.046)) {
        fail_msg("%g is not within 4.6 %% of %g", is, wanted);
    }
}

static void every_span_is_near_its_bucket(void **state)
{
    (void)state;
    for (double ns = 1200; ns < 6e10; ns *= 1.013) {
        assert_near(sono_web_bucket_ms(sono_web_bucket((int64_t)ns)), ns * 1e-6);
    }
    assert_int_equal(sono_web_bucket(-5), 0);
    assert_int_equal(sono_web_bucket(INT64_MAX), SONO_WEB_BUCKETS - 1);
}

static void quantiles_are_those_of_the_values(void **state)
{
    (void)state;
    sono_web_history_init(&history);
    assert_true(isnan(sono_web_window_quantiles(&history.all[SONO_WEB_STAGE_ENGINE]).p50));
    for (int i = 1; i <= 1000; ++i) { /* 1 to 1000 ms */
        add_trip((uint64_t)i, i);
    }
    const sono_web_quantiles q = sono_web_window_quantiles(&history.minute[SONO_WEB_STAGE_ENGINE]);
    assert_int_equal(q.n, 1000);
    assert_near(q.p50, 500);
    assert_near(q.p95, 950);
    assert_near(q.p99, 990);
    assert_near(q.max, 1000);
    assert_near(sono_web_window_ms(&history.all[SONO_WEB_STAGE_WAITING], 0.5), 0.5);
}

static void windows_forget(void **state)
{
    const sono_web_point point = {.utc_ns = 1};
    (void)state;
    sono_web_history_init(&history);
    add_trip(1, 100);
    for (int second = 0; second < SONO_WEB_SECONDS; ++second) {
        const int in_minute = second < SONO_WEB_MINUTE;
        assert_int_equal(history.minute[SONO_WEB_STAGE_ENGINE].n_all, in_minute);
        assert_int_equal(history.all[SONO_WEB_STAGE_ENGINE].n_all, 1);
        sono_web_history_second(&history, &point);
    }
    assert_int_equal(history.all[SONO_WEB_STAGE_ENGINE].n_all, 0);
    assert_int_equal(history.totals[SONO_WEB_STAGE_ENGINE].n[8],
                     1); /* (0.05 s, 0.1 s]: totals never forget */
    assert_near(sono_web_history_point(&history, SONO_WEB_SECONDS - 1)->p95_ms[SONO_WEB_STAGE_ENGINE], 100);
    assert_true(isnan(sono_web_history_point(&history, 0)->p95_ms[SONO_WEB_STAGE_ENGINE]));
    assert_null(sono_web_history_point(&history, SONO_WEB_SECONDS));
    for (int bucket = 0; bucket < SONO_WEB_BUCKETS; ++bucket) {
        assert_int_equal(history.all[SONO_WEB_STAGE_ENGINE].n[bucket], 0);
    }
}

/* What is sent may be told before the trip itself: a client takes its bytes while the frame is being queued.
 */
static void sent_finds_its_trip(void **state)
{
    (void)state;
    sono_web_history_init(&history);
    sono_web_history_sent(&history, 1, 1000 * MS + 9 * MS);
    add_trip(1, 5);
    assert_int_equal(sono_web_history_trip_at(&history, 0)->sent_ns, 1009 * MS);
    sono_web_history_sent(&history, 1, 1012 * MS); /* a second client: counted, not first */
    assert_int_equal(sono_web_history_trip_at(&history, 0)->sent_ns, 1009 * MS);
    assert_int_equal(history.all[SONO_WEB_STAGE_SENDING].n_all, 2);
    sono_web_history_sent(&history, 77, 5); /* of a frame that never comes */
    add_trip(2, 5);
    assert_int_equal(sono_web_history_trip_at(&history, 0)->sent_ns, 0);
    for (uint64_t frame = 3; frame < 3 + SONO_WEB_TRIPS; ++frame) {
        add_trip(frame, 5);
    }
    sono_web_history_sent(&history, 1, 5); /* long gone */
    assert_int_equal(history.all[SONO_WEB_STAGE_SENDING].n_all, 2);
    assert_null(sono_web_history_trip_at(&history, SONO_WEB_TRIPS));
}

static void spans_begin_with_changes(void **state)
{
    (void)state;
    sono_web_history_init(&history);
    assert_true(sono_web_history_state(&history, 1, "NONE", "OK"));
    assert_false(sono_web_history_state(&history, 2, "NONE", "OK"));
    assert_true(sono_web_history_state(&history, 3, "NONE", "NO_SOURCE"));
    assert_true(sono_web_history_state(&history, 4, "LOST", "OK"));
    assert_int_equal(sono_web_history_span(&history, 2)->from_utc_ns, 1);
    assert_null(sono_web_history_span(&history, 3));
    for (int i = 0; i < 2 * SONO_WEB_SPANS; ++i) {
        sono_web_history_state(&history, 10 + i, i % 2 ? "LOST" : "VISIBLE", "OK");
    }
    assert_non_null(sono_web_history_span(&history, SONO_WEB_SPANS - 1));
    assert_null(sono_web_history_span(&history, SONO_WEB_SPANS));
}

/* ---- verdicts ---- */

static sono_web_verdict judge(const sono_web_findings *changed, const sono_web_limits *limits)
{
    sono_web_verdict verdict;
    sono_web_judge(changed, limits, &verdict);
    return verdict;
}

static const sono_web_findings well = {.has_snapshot = 1,
                                       .fault = "OK",
                                       .fault_text = "",
                                       .received = 100,
                                       .processed = 98,
                                       .dropped = 1,
                                       .in_flight = 1,
                                       .is_on_cuda = 1,
                                       .rate_in_hz = 25,
                                       .rate_out_hz = 25,
                                       .p95_ms = 10,
                                       .drop_percent = 0,
                                       .gpu_use_percent = 50,
                                       .gpu_memory_percent = 50,
                                       .gpu_temperature_celsius = 50,
                                       .record_error = ""};
static const sono_web_limits usual = {.rate_hz = {20, 10},
                                      .latency_ms = {-1, -1},
                                      .drop_percent = {1, 10},
                                      .gpu_use_percent = {90, 95},
                                      .gpu_memory_percent = {90, 97},
                                      .gpu_temperature_celsius = {85, 92}};

static void assert_verdict(sono_web_findings found, sono_web_level level, const char *code, const char *words)
{
    const sono_web_verdict verdict = judge(&found, &usual);
    assert_int_equal(verdict.level, level);
    assert_int_equal(verdict.n, code ? 1 : 0);
    if (code) {
        assert_string_equal(verdict.reasons[0].code, code);
        assert_non_null(strstr(verdict.reasons[0].text, words));
    }
}

static sono_web_findings with(size_t offset, double value)
{
    sono_web_findings changed = well;
    memcpy((char *)&changed + offset, &value, sizeof value);
    return changed;
}

#define WITH(field, value) with(offsetof(sono_web_findings, field), value)

static void limits_make_verdicts(void **state)
{
    (void)state;
    assert_verdict(well, SONO_WEB_OK, NULL, "");
    assert_verdict(WITH(p95_ms, 50), SONO_WEB_OK, NULL, "");
    assert_verdict(WITH(p95_ms, 51), SONO_WEB_WARNING, "latency", "51.0 ms or longer, more than 50 ms");
    assert_verdict(WITH(p95_ms, 101), SONO_WEB_CRITICAL, "latency", "more than 100 ms");
    assert_verdict(WITH(p95_ms, (double)NAN), SONO_WEB_OK, NULL, "");
    assert_verdict(WITH(rate_out_hz, 19), SONO_WEB_WARNING, "rate", "19.0 masks a second, fewer than 20");
    assert_verdict(WITH(rate_out_hz, 9), SONO_WEB_CRITICAL, "rate", "fewer than 10");
    assert_verdict(WITH(drop_percent, 2), SONO_WEB_WARNING, "drops", "2.0 %");
    assert_verdict(WITH(gpu_use_percent, 96), SONO_WEB_CRITICAL, "gpu_use", "96 %");
    assert_verdict(WITH(gpu_memory_percent, 91), SONO_WEB_WARNING, "gpu_memory", "91 %");
    assert_verdict(WITH(gpu_temperature_celsius, 93), SONO_WEB_CRITICAL, "gpu_temperature", "93 degrees");
    sono_web_findings found = well;
    found.rate_in_hz = found.rate_out_hz = 0; /* nothing is asked for */
    assert_verdict(found, SONO_WEB_OK, NULL, "");
    found = well;
    found.is_on_cuda = 0;
    found.p95_ms = 900;
    assert_verdict(found, SONO_WEB_OK, NULL, "");
}

static void faults_make_verdicts(void **state)
{
    sono_web_findings found = well;
    (void)state;
    found.fault = "NO_SOURCE";
    found.fault_text = "no connection";
    assert_verdict(found, SONO_WEB_CRITICAL, "fault", "NO_SOURCE: no connection");
    found.fault = "PAUSED";
    assert_verdict(found, SONO_WEB_WARNING, "fault", "PAUSED");
    found = well;
    found.received = 101;
    assert_verdict(found, SONO_WEB_CRITICAL, "counts", "do not add up");
    found = well;
    found.silent_ns = 4000 * MS;
    assert_verdict(found, SONO_WEB_CRITICAL, "loop", "for 4 s");
    found = well;
    found.has_snapshot = 0;
    assert_verdict(found, SONO_WEB_WARNING, "starting", "not told");
    found = well;
    found.is_over_budget = 1;
    assert_verdict(found, SONO_WEB_WARNING, "ledger", "crossed");
    found = well;
    found.record_error = "disk full";
    assert_verdict(found, SONO_WEB_WARNING, "recording", "disk full");
    found.fault = "SOURCE_STALLED";
    const sono_web_verdict verdict = judge(&found, &usual); /* the worst first */
    assert_int_equal(verdict.n, 2);
    assert_int_equal(verdict.reasons[0].level, SONO_WEB_CRITICAL);
    assert_string_equal(verdict.reasons[1].code, "recording");
}

static void losses_are_not_what_was_wished(void **state)
{
    sono_web_facts *facts = calloc(1, sizeof *facts);
    sono_web_findings found;
    (void)state;
    assert_non_null(facts);
    sono_web_history_init(&history);
    facts->has_snapshot = 1;
    facts->snapshot.n_drops = SONO_SERVE_SNAPSHOT_DROPS;
    facts->snapshot.received = 200;
    for (int i = 0; i < SONO_SERVE_SNAPSHOT_DROPS; ++i) {
        facts->snapshot.dropped[i] = 1;
    }
    assert_int_equal(sono_web_dropped(&facts->snapshot), SONO_SERVE_SNAPSHOT_DROPS);
    assert_int_equal(sono_web_lost(&facts->snapshot), SONO_SERVE_SNAPSHOT_DROPS - 5);
    sono_web_find(facts, &history, 0, &found);
    assert_near(found.drop_percent, 100.0 * (SONO_SERVE_SNAPSHOT_DROPS - 5) / 200);
    const sono_web_point then = {.received = 100, .lost = SONO_SERVE_SNAPSHOT_DROPS - 6};
    sono_web_history_second(&history, &then);
    sono_web_find(facts, &history, 0, &found);
    assert_near(found.drop_percent, 1);
    sono_web_ledger_add(&facts->ledger,
                        &(sono_ledger_totals){.n_h2d = 1, .n_launches = 1, .n_d2h = 1, .n_waits = 1});
    assert_int_equal(facts->ledger.n_offending, 0);
    sono_web_ledger_add(&facts->ledger, &(sono_ledger_totals){.n_h2d = 2, .n_launches = 1});
    assert_int_equal(facts->ledger.n_offending, 1);
    assert_int_equal(facts->ledger.worst.n_h2d, 2);
    assert_int_equal(facts->ledger.worst.n_d2h, 1);
    free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_span_is_near_its_bucket),
        cmocka_unit_test(quantiles_are_those_of_the_values),
        cmocka_unit_test(windows_forget),
        cmocka_unit_test(sent_finds_its_trip),
        cmocka_unit_test(spans_begin_with_changes),
        cmocka_unit_test(limits_make_verdicts),
        cmocka_unit_test(faults_make_verdicts),
        cmocka_unit_test(losses_are_not_what_was_wished),
    };
    return sono_test_run("web/history", tests, sizeof(tests) / sizeof(tests[0]));
}
