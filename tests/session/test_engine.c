// SPDX-License-Identifier: Apache-2.0
/* The engine: opening beside connecting, device errors, the watchdog, closing. */
#include "session_play.h"
#include "test.h"

static session_play p;
static sono_session_limits limits;

static int begin(void **state)
{
    (void)state;
    session_play_limits(&limits);
    return 0;
}

static void opens_beside_connecting(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    PLAY(&p, 0, START, 0, "CONNECT, OPEN_ENGINE, STATUS all ENGINE_OPENING");
    PLAY(&p, 5, SOURCE_UP, 0, "");
    /* No frame waits for an engine that is not open. */
    PLAY(&p, 20, FRAME, 1, "DROP 1 no_engine");
    PLAY(&p, 40, ENGINE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 60, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 70, RESULT, 2, "SHOW 2, STATUS all OK 0");
    assert_int_equal(1, p.session.counts.engine_opens);
}

static void opening_is_tried_again(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    session_play_step(&p, 0, SONO_SESSION_SOURCE_UP, 0);
    PLAY(&p, 1000, ENGINE_DOWN, 0, "STATUS all ENGINE_FAILED");
    PLAY(&p, 1099, SOURCE_HEARD, 0, "");
    PLAY(&p, 1100, SOURCE_HEARD, 0, "OPEN_ENGINE");
    PLAY(&p, 1200, ENGINE_DOWN, 0, "");
    PLAY(&p, 1400, SOURCE_HEARD, 0, "OPEN_ENGINE");
    PLAY(&p, 1500, ENGINE_UP, 0, "STATUS all SOURCE_STALLED");
}

static void a_loss_empties_the_mask_until_a_good_result(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 25, FRAME, 3, "");
    PLAY(&p, 30, LOSS, 2, "DROP 2 device, SUBMIT 3, EMPTY all ENGINE_FAILED, STATUS all ENGINE_FAILED");
    PLAY(&p, 40, RESULT, 3, "SHOW 3, STATUS all OK 0");
    assert_int_equal(1, p.session.counts.empties);
    assert_int_equal(1, p.session.counts.engine_opens);
}

static void losses_in_a_row_reopen_it(void **state)
{
    (void)state;
    limits.depth = 2;
    limits.frame_error_limit = 2;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 1, LOSS, 1, "DROP 1 device, STATUS all ENGINE_FAILED"); /* no mask was shown yet */
    PLAY(&p, 2, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 3, RESULT, 2, "SHOW 2, STATUS all OK 0"); /* no longer in a row */
    for (uint64_t frame = 3; frame <= 5; frame++)
        session_play_step(&p, 4, SONO_SESSION_FRAME, frame);
    PLAY(&p, 5, LOSS, 3, "DROP 3 device, SUBMIT 5, EMPTY all ENGINE_FAILED, STATUS all ENGINE_FAILED");
    PLAY(&p, 6, FRAME, 6, "");
    PLAY(&p, 7, LOSS, 4, "DROP 4 device, DROP 6 no_engine, DROP 5 device, CLOSE_ENGINE");
    PLAY(&p, 8, RESULT, 5, ""); /* came while it was closed */
    PLAY(&p, 9, FRAME, 7, "DROP 7 no_engine");
    PLAY(&p, 10, ENGINE_DOWN, 0, "");
    PLAY(&p, 110, TICK, 0, "OPEN_ENGINE");
    PLAY(&p, 150, ENGINE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 160, FRAME, 8, "SUBMIT 8");
    PLAY(&p, 170, RESULT, 8, "SHOW 8, STATUS all OK 0");
    assert_int_equal(4, p.session.counts.dropped[SONO_SESSION_DROP_DEVICE]);
}

static void a_hanging_engine_is_reopened(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, FRAME, 2, "SUBMIT 2");
    for (int64_t at_ms = 100; at_ms < 10000; at_ms += 900)
        session_play_step(&p, at_ms, SONO_SESSION_FRAME, (uint64_t)at_ms);
    PLAY(&p, 10019, TICK, 0, "");
    PLAY(&p, 10020, TICK, 0,
         "DROP 9100 no_engine, DROP 2 device, CLOSE_ENGINE, EMPTY all ENGINE_FAILED, STATUS all "
         "ENGINE_FAILED");
    PLAY(&p, 10500, ENGINE_DOWN, 0, "");
    PLAY(&p, 10600, FRAME, 10000, "DROP 10000 no_engine, OPEN_ENGINE");
    PLAY(&p, 10700, ENGINE_UP, 0, "STATUS all OK -1");
}

/* A session whose engine has until 3,000 ms to open. */
static void open_within_3_s(void)
{
    limits.open_ns = INT64_C(3000000000);
    limits.stall_ns = limits.read_ns = 0;
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    session_play_step(&p, 5, SONO_SESSION_SOURCE_UP, 0);
}

static void an_engine_that_does_not_open_is_closed(void **state)
{
    (void)state;
    open_within_3_s();
    PLAY(&p, 2999, TICK, 0, "");
    PLAY(&p, 3000, TICK, 0, "CLOSE_ENGINE, STATUS all ENGINE_FAILED");
    PLAY(&p, 3001, ENGINE_UP, 0, ""); /* too late */
    PLAY(&p, 4000, ENGINE_DOWN, 0, "");
    PLAY(&p, 4100, TICK, 0, "OPEN_ENGINE");
    PLAY(&p, 7099, TICK, 0, "");
    PLAY(&p, 7100, TICK, 0, "CLOSE_ENGINE");
    /* It does not close, either. */
    PLAY(&p, 17100, TICK, 0, "STATUS all STOPPING, DISCONNECT, EXIT 1");
}

/* Opened in time: the deadline is gone. */
static void an_engine_that_opens_has_no_deadline(void **state)
{
    (void)state;
    open_within_3_s();
    PLAY(&p, 2999, ENGINE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 9000, TICK, 0, "");
    PLAY(&p, 9010, FRAME, 1, "SUBMIT 1");
}

/* Every frame that can be under way ends in one step, and all else is due, too. */
static void the_longest_step_fits(void **state)
{
    (void)state;
    limits.in_order = 1;
    limits.depth = SONO_SESSION_MAX_DEPTH;
    limits.n_waiting = SONO_SESSION_MAX_WAITING;
    limits.max_age_ns = 0;
    limits.keep_alive_ns = limits.text_ns = limits.engine_ns;
    session_play_serve(&p, &limits);
    const uint64_t n_frames = SONO_SESSION_MAX_DEPTH + SONO_SESSION_MAX_WAITING;
    for (uint64_t frame = 1; frame <= n_frames + 1; frame++) {
        session_play_step(&p, 0, SONO_SESSION_FRAME, frame);
        if (frame == 1)
            PLAY(&p, 0, RESULT, 1, "SHOW 1, STATUS all OK 0");
    }
    session_play_step(&p, 10000, SONO_SESSION_CLIENT, 1);
    /* Of the client, the engine, all clients; text. */
    assert_int_equal(n_frames + 1 + 1 + 2 + 1, p.out.n);
    assert_int_equal(SONO_SESSION_EMPTY, p.out.list[n_frames + 2].kind);
}

static void one_that_does_not_close_ends_the_service(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    for (int64_t at_ms = 100; at_ms < 20000; at_ms += 100)
        session_play_step(&p, at_ms, SONO_SESSION_SOURCE_HEARD, 0);
    PLAY(&p, 20000, TICK, 0, "STATUS all STOPPING, DISCONNECT, EXIT 1");
    PLAY(&p, 20001, TICK, 0, "");
    PLAY(&p, 20001, FRAME, 2, "");
    assert_int_equal(-1, session_play_deadline(&p));
}

static void reopening_on_request_is_no_failure(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 1, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 2, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 3, FRAME, 3, "");
    PLAY(&p, 4, REOPEN, 0,
         "DROP 3 no_engine, DROP 2 no_engine, CLOSE_ENGINE, EMPTY all ENGINE_OPENING, STATUS all "
         "ENGINE_OPENING");
    PLAY(&p, 5, REOPEN, 0, "");
    PLAY(&p, 50, ENGINE_DOWN, 0, "OPEN_ENGINE");
    PLAY(&p, 51, REOPEN, 0, "CLOSE_ENGINE"); /* another value while it opens */
    PLAY(&p, 52, ENGINE_DOWN, 0, "OPEN_ENGINE");
    PLAY(&p, 90, ENGINE_UP, 0, "STATUS all OK -1");
}

static void a_loss_of_what_is_hidden_is_no_fault(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 5, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 6, LOSS, 1, "DROP 1 device");
    assert_int_equal(1, p.session.losses_in_row);
}

static void faults_of_frames_do_not_outlive_their_source(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 1, LOSS, 1, "DROP 1 device, STATUS all ENGINE_FAILED");
    PLAY(&p, 2, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(opens_beside_connecting, begin),
        cmocka_unit_test_setup(opening_is_tried_again, begin),
        cmocka_unit_test_setup(a_loss_empties_the_mask_until_a_good_result, begin),
        cmocka_unit_test_setup(losses_in_a_row_reopen_it, begin),
        cmocka_unit_test_setup(a_hanging_engine_is_reopened, begin),
        cmocka_unit_test_setup(an_engine_that_does_not_open_is_closed, begin),
        cmocka_unit_test_setup(an_engine_that_opens_has_no_deadline, begin),
        cmocka_unit_test_setup(the_longest_step_fits, begin),
        cmocka_unit_test_setup(one_that_does_not_close_ends_the_service, begin),
        cmocka_unit_test_setup(reopening_on_request_is_no_failure, begin),
        cmocka_unit_test_setup(a_loss_of_what_is_hidden_is_no_fault, begin),
        cmocka_unit_test_setup(faults_of_frames_do_not_outlive_their_source, begin),
    };
    return sono_test_run("session/engine", tests, sizeof(tests) / sizeof(tests[0]));
}
