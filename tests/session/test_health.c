// SPDX-License-Identifier: Apache-2.0
/* What clients are told; pause, stop, in-order mode, limits. */
#include "session_play.h"
#include "test.h"

#include <string.h>

static session_play p;
static sono_session_limits limits;

static int begin(void **state)
{
    (void)state;
    session_play_limits(&limits);
    return 0;
}

static void a_client_that_joins_is_told(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    PLAY(&p, 0, CLIENT, 3, "STATUS 3 ENGINE_OPENING");
    PLAY(&p, 0, SOURCE_UP, 0, "");
    /* Now there is a geometry: what a client shows of the time before the service goes. */
    PLAY(&p, 1, FRAME, 1, "DROP 1 no_engine, EMPTY all ENGINE_OPENING");
    PLAY(&p, 2, FRAME, 2, "DROP 2 no_engine");
    PLAY(&p, 3, CLIENT, 4, "EMPTY 4 ENGINE_OPENING, STATUS 4 ENGINE_OPENING");
    PLAY(&p, 4, ENGINE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 5, CLIENT, 5, "STATUS 5 OK -1");
    /* It may show a mask of before, so the next fault empties it, though no mask was sent. */
    PLAY(&p, 6, SOURCE_DOWN, 0, "EMPTY all NO_SOURCE, STATUS all NO_SOURCE");
    PLAY(&p, 7, CLIENT, (uint64_t)-1, "");
}

static void status_is_kept_alive(void **state)
{
    (void)state;
    limits.keep_alive_ns = 300000000;
    limits.text_ns = 500000000;
    session_play_serve(&p, &limits);
    assert_int_equal(300, session_play_deadline(&p));
    PLAY(&p, 300, TICK, 0, "STATUS all OK -1");
    PLAY(&p, 500, FRAME, 1, "SUBMIT 1, TEXT");
    PLAY(&p, 550, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 849, TICK, 0, "");
    PLAY(&p, 850, TICK, 0, "STATUS all OK 0");
    PLAY(&p, 1000, TICK, 0, "TEXT");
}

static void the_worst_fault_is_told(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, SOURCE_DOWN, 0, "EMPTY all NO_SOURCE, STATUS all NO_SOURCE");
    PLAY(&p, 30, PAUSE, 0, "STATUS all PAUSED");
    PLAY(&p, 40, RESUME, 0, "STATUS all NO_SOURCE");
    assert_int_equal(SONO_SESSION_FAULT_NO_SOURCE, sono_session_worst(&p.session));
    assert_int_equal(1, p.session.counts.empties);
}

static void a_pause_empties_and_drops(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 21, FRAME, 3, "");
    PLAY(&p, 30, PAUSE, 0, "DROP 3 paused, EMPTY all PAUSED, STATUS all PAUSED");
    PLAY(&p, 31, PAUSE, 0, "");
    PLAY(&p, 40, FRAME, 4, "DROP 4 paused");
    PLAY(&p, 50, RESUME, 0, "STATUS all OK -1");
    PLAY(&p, 51, RESUME, 0, "");
    PLAY(&p, 60, RESULT, 2, "DISCARD 2 paused");
    PLAY(&p, 70, FRAME, 5, "SUBMIT 5");
    PLAY(&p, 80, RESULT, 5, "SHOW 5, STATUS all OK 0");
}

/* ---- stop ---- */

static void stop_drains(void **state)
{
    (void)state;
    limits.depth = 2;
    session_play_serve(&p, &limits);
    for (uint64_t frame = 1; frame <= 3; frame++)
        session_play_step(&p, 0, SONO_SESSION_FRAME, frame);
    PLAY(&p, 5, STOP, 0, "DISCONNECT, DROP 3 stopped");
    PLAY(&p, 6, FRAME, 4, "DROP 4 stopped");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, RESULT, 2, "SHOW 2, EMPTY all STOPPING, STATUS all STOPPING, CLOSE_ENGINE");
    PLAY(&p, 30, ENGINE_DOWN, 0, "EXIT 0");
}

static void a_drain_has_a_limit(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 5, STOP, 0, "DISCONNECT");
    assert_int_equal(2005, session_play_deadline(&p));
    PLAY(&p, 2005, TICK, 0, "DROP 1 stopped, STATUS all STOPPING, CLOSE_ENGINE");
    PLAY(&p, 2006, RESULT, 1, "");
    PLAY(&p, 12004, TICK, 0, "");
    PLAY(&p, 12005, TICK, 0, "EXIT 1");
}

static void what_would_not_be_shown_is_not_waited_for(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 1, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 5, STOP, 0, "DROP 1 stopped, STATUS all STOPPING, CLOSE_ENGINE");
    PLAY(&p, 6, ENGINE_DOWN, 0, "EXIT 0");
}

static void a_second_stop_ends_at_once(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 5, STOP, 0, "DISCONNECT");
    PLAY(&p, 6, STOP, 0, "DROP 1 stopped, STATUS all STOPPING, EXIT 1");
    PLAY(&p, 7, STOP, 0, "");
}

static void stop_at_any_time(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    PLAY(&p, 0, STOP, 0, "STATUS all STOPPING, EXIT 0"); /* before START */
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    PLAY(&p, 1, STOP, 0, "DISCONNECT, STATUS all STOPPING, CLOSE_ENGINE"); /* while opening */
    PLAY(&p, 2, ENGINE_UP, 0, "");
    PLAY(&p, 3, ENGINE_DOWN, 0, "EXIT 0");
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    session_play_step(&p, 0, SONO_SESSION_ENGINE_DOWN, 0);
    PLAY(&p, 200, STOP, 0, "DISCONNECT, STATUS all STOPPING, EXIT 0"); /* closed, to be opened just now */
}

/* ---- in-order mode ---- */

static void in_order_nothing_is_dropped(void **state)
{
    (void)state;
    limits.in_order = 1;
    limits.n_waiting = 2;
    limits.max_age_ns = 0;
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    session_play_step(&p, 0, SONO_SESSION_SOURCE_UP, 0);
    assert_false(sono_session_wants_frames(&p.session)); /* frames would be lost */
    PLAY(&p, 5000, TICK, 0, "");                         /* what is not read is not missed */
    PLAY(&p, 5000, ENGINE_UP, 0, "STATUS all OK -1");
    assert_true(sono_session_wants_frames(&p.session));
    PLAY(&p, 5000, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 5000, FRAME, 2, "");
    PLAY(&p, 5000, FRAME, 3, "");
    assert_false(sono_session_wants_frames(&p.session));
    PLAY(&p, 9000, RESULT, 1, "SHOW 1, SUBMIT 2, STATUS all OK 0");
    assert_true(sono_session_wants_frames(&p.session));
    assert_int_equal(10000, session_play_deadline(&p)); /* the stall, counted from now */
}

static void in_order_the_end_is_not_cut_off(void **state)
{
    (void)state;
    limits.in_order = 1;
    session_play_serve(&p, &limits);
    for (uint64_t frame = 1; frame <= 3; frame++)
        session_play_step(&p, 0, SONO_SESSION_FRAME, frame);
    PLAY(&p, 1, SOURCE_DOWN, 0, "");
    PLAY(&p, 2, RESULT, 1, "SHOW 1, SUBMIT 2, STATUS all OK 0");
    PLAY(&p, 3, RESULT, 2, "SHOW 2, SUBMIT 3");
    PLAY(&p, 4, RESULT, 3, "SHOW 3, EMPTY all NO_SOURCE, STATUS all NO_SOURCE");
    assert_int_equal(3, p.session.counts.processed);
}

static void in_order_a_refused_frame_takes_its_turn(void **state)
{
    (void)state;
    limits.in_order = 1;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 0, FRAME, 2, "");
    assert_string_equal("DROP 3 unsupported", session_play_refused(&p, 0, 3, SONO_SESSION_DROP_UNSUPPORTED));
    PLAY(&p, 1, RESULT, 1, "SHOW 1, SUBMIT 2, STATUS all OK 0");
    PLAY(&p, 2, RESULT, 2, "SHOW 2, EMPTY all IMAGE_REFUSED, STATUS all IMAGE_REFUSED");
}

/* ---- limits and names ---- */

static void limits_are_checked(void **state)
{
    (void)state;
    static sono_session s;
    sono_session_limits bad;
#define BAD(field, value)                                                                                    \
    do {                                                                                                     \
        bad = limits;                                                                                        \
        bad.field = (value);                                                                                 \
        assert_int_equal(-1, sono_session_init(&s, &bad));                                                   \
    } while (0)
    BAD(depth, 0);
    BAD(depth, SONO_SESSION_MAX_DEPTH + 1);
    BAD(n_waiting, 0);
    BAD(n_waiting, SONO_SESSION_MAX_WAITING + 1);
    BAD(in_order, 2);
    BAD(max_age_ns, -1);
    BAD(max_latency_ns, -1);
    BAD(stall_ns, -1);
    BAD(read_ns, -1);
    BAD(connect_ns, 0);
    BAD(backoff_min_ns, 0);
    BAD(backoff_max_ns, limits.backoff_min_ns - 1);
    BAD(keep_alive_ns, 0);
    BAD(text_ns, -1);
    BAD(engine_ns, -1);
    BAD(close_ns, 0);
    BAD(drain_ns, -1);
    BAD(frame_error_limit, 0);
#undef BAD
    assert_int_equal(0, sono_session_init(&s, &limits));
}

static void a_reload_changes_what_runs(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    sono_session_limits other = limits;
    other.stall_ns = 200000000;
    other.max_latency_ns = 30000000;
    other.depth = 5;
    other.connect_ns = 0;
    const sono_session before = p.session;
    assert_int_equal(-1, sono_session_reload(&p.session, &other));
    assert_memory_equal(&before, &p.session, sizeof before);
    other.connect_ns = limits.connect_ns;
    PLAY(&p, 900, FRAME, 1, "SUBMIT 1");
    assert_int_equal(0, sono_session_reload(&p.session, &other));
    p.model.limits.stall_ns = other.stall_ns;
    p.model.limits.max_latency_ns = other.max_latency_ns;
    assert_int_equal(930, session_play_deadline(&p));
    PLAY(&p, 905, FRAME, 2, ""); /* the depth stays */
    PLAY(&p, 931, TICK, 0, "STATUS all TOO_SLOW");
    PLAY(&p, 1105, TICK, 0, "DROP 2 stopped, STATUS all SOURCE_STALLED");
}

static void time_may_be_far(void **state)
{
    (void)state;
    limits.engine_ns = limits.stall_ns = limits.read_ns = limits.max_latency_ns = limits.max_age_ns =
        INT64_MAX;
    session_play_new(&p, &limits);
    const int64_t far_ms = INT64_MAX / 1000000 - 1;
    session_play_step(&p, far_ms, SONO_SESSION_START, 0);
    session_play_step(&p, far_ms, SONO_SESSION_SOURCE_UP, 0);
    session_play_step(&p, far_ms, SONO_SESSION_ENGINE_UP, 0);
    PLAY(&p, far_ms, FRAME, 1, "SUBMIT 1");
    assert_int_equal(-1, session_play_deadline(&p));
    PLAY(&p, far_ms, RESULT, 1, "SHOW 1, STATUS all OK 0");
}

static void names_are_told(void **state)
{
    (void)state;
    assert_string_equal("superseded", sono_session_drop_name(SONO_SESSION_DROP_SUPERSEDED));
    assert_string_equal("cut", sono_session_drop_name(SONO_SESSION_DROP_CUT));
    assert_string_equal("", sono_session_drop_name(SONO_SESSION_DROP_COUNT));
    assert_string_equal("SOURCE_STALLED", sono_session_fault_name(SONO_SESSION_FAULT_STALLED));
    assert_string_equal("OK", sono_session_fault_name(SONO_SESSION_FAULT_NONE));
    assert_string_equal("", sono_session_fault_text(SONO_SESSION_FAULT_NONE));
    assert_int_equal(7, sono_session_fault_code(SONO_SESSION_FAULT_STALLED));
    assert_int_equal(1, sono_session_fault_code(SONO_SESSION_FAULT_NONE));
    for (int i = 0; i < SONO_SESSION_FAULT_COUNT; i++) {
        assert_in_range(strlen(sono_session_fault_name((sono_session_fault)i)), 1, 20);
        assert_true(strlen(sono_session_fault_text((sono_session_fault)i)) > 0);
        /* LOST is no fault, and no fault is a device error but the engine's. */
        assert_int_equal(i == SONO_SESSION_FAULT_ENGINE,
                         sono_session_fault_code((sono_session_fault)i) == 18);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_client_that_joins_is_told, begin),
        cmocka_unit_test_setup(status_is_kept_alive, begin),
        cmocka_unit_test_setup(the_worst_fault_is_told, begin),
        cmocka_unit_test_setup(a_pause_empties_and_drops, begin),
        cmocka_unit_test_setup(stop_drains, begin),
        cmocka_unit_test_setup(a_drain_has_a_limit, begin),
        cmocka_unit_test_setup(what_would_not_be_shown_is_not_waited_for, begin),
        cmocka_unit_test_setup(a_second_stop_ends_at_once, begin),
        cmocka_unit_test_setup(stop_at_any_time, begin),
        cmocka_unit_test_setup(in_order_nothing_is_dropped, begin),
        cmocka_unit_test_setup(in_order_the_end_is_not_cut_off, begin),
        cmocka_unit_test_setup(in_order_a_refused_frame_takes_its_turn, begin),
        cmocka_unit_test_setup(limits_are_checked, begin),
        cmocka_unit_test_setup(a_reload_changes_what_runs, begin),
        cmocka_unit_test_setup(time_may_be_far, begin),
        cmocka_unit_test_setup(names_are_told, begin),
    };
    return sono_test_run("session/health", tests, sizeof(tests) / sizeof(tests[0]));
}
