// SPDX-License-Identifier: Apache-2.0
/* Mailbox, engine's frames, results: what is analysed, what is shown, what is dropped and why. */
#include "session_play.h"
#include "test.h"

#include "sonoseg/sonoseg.h"

#include <stdio.h>
#include <string.h>

static session_play p;
static sono_session_limits limits;

static int begin(void **state)
{
    (void)state;
    session_play_limits(&limits);
    return 0;
}

static void the_newest_wins(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 1, FRAME, 2, "");
    PLAY(&p, 2, FRAME, 3, "DROP 2 superseded");
    PLAY(&p, 3, FRAME, 7, "DROP 3 superseded");
    PLAY(&p, 4, RESULT, 1, "SHOW 1, SUBMIT 7, STATUS all OK 0");
    PLAY(&p, 5, RESULT, 7, "SHOW 7");
    assert_int_equal(4, p.session.counts.received);
    assert_int_equal(2, p.session.counts.processed);
    assert_int_equal(2, p.session.counts.dropped[SONO_SESSION_DROP_SUPERSEDED]);
}

static void a_burst_of_100_is_answered_by_its_newest(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    for (uint64_t frame = 1; frame <= 100; frame++)
        session_play_step(&p, 0, SONO_SESSION_FRAME, frame);
    PLAY(&p, 5, RESULT, 1, "SHOW 1, SUBMIT 100, STATUS all OK 0");
    PLAY(&p, 10, RESULT, 100, "SHOW 100");
    assert_int_equal(98, p.session.counts.dropped[SONO_SESSION_DROP_SUPERSEDED]);
}

/* sam2 16, 90, 388, yolact 378: at twice the rate that can be computed latency stays bounded. */
static void twice_the_rate_is_two_frame_times_late(void **state)
{
    (void)state;
    enum { FRAME_MS = 10, ENGINE_MS = 20, N_FRAMES = 1000 };
    int64_t worst_ms = 0;
    session_play_serve(&p, &limits);
    for (int64_t now_ms = 0; now_ms < N_FRAMES * FRAME_MS; now_ms++) {
        const sono_session_frame frame = p.session.in_engine[0];
        if (p.session.n_in_engine && now_ms * 1000000 - frame.submitted_ns == ENGINE_MS * 1000000) {
            const char *text = session_play_step(&p, now_ms, SONO_SESSION_RESULT, frame.frame);
            assert_ptr_equal(text, strstr(text, "SHOW"));
            if (now_ms - frame.received_ns / 1000000 > worst_ms)
                worst_ms = now_ms - frame.received_ns / 1000000;
        }
        if (now_ms % FRAME_MS == 5)
            session_play_step(&p, now_ms, SONO_SESSION_FRAME, (uint64_t)(now_ms / FRAME_MS) + 1);
    }
    const sono_session_counts *counts = &p.session.counts;
    assert_in_range(worst_ms, ENGINE_MS, 2 * ENGINE_MS);
    assert_in_range(counts->processed, N_FRAMES / 2 - 2, N_FRAMES / 2 + 1);
    assert_int_equal(N_FRAMES, counts->processed + counts->dropped[SONO_SESSION_DROP_SUPERSEDED] +
                                   counts->waiting + counts->in_engine);
}

static void depth_is_used(void **state)
{
    (void)state;
    limits.depth = 3;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 0, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 0, FRAME, 3, "SUBMIT 3");
    PLAY(&p, 0, FRAME, 4, "");
    PLAY(&p, 1, RESULT, 1, "SHOW 1, SUBMIT 4, STATUS all OK 0");
}

static void a_result_behind_a_newer_one_is_not_shown(void **state)
{
    (void)state;
    limits.depth = 3;
    session_play_serve(&p, &limits);
    for (uint64_t frame = 1; frame <= 3; frame++)
        session_play_step(&p, 0, SONO_SESSION_FRAME, frame);
    PLAY(&p, 1, RESULT, 2, "SHOW 2, STATUS all OK 0");
    PLAY(&p, 2, RESULT, 1, "DISCARD 1 superseded");
    PLAY(&p, 3, RESULT, 2, ""); /* it has ended */
    PLAY(&p, 4, RESULT, 3, "SHOW 3");
}

static void age_is_judged_when_a_frame_is_taken(void **state)
{
    (void)state;
    limits.stall_ns = 0;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 100, FRAME, 2, "");
    PLAY(&p, 600, RESULT, 1, "SHOW 1, SUBMIT 2, STATUS all OK 0"); /* exactly 500 ms */
    PLAY(&p, 700, FRAME, 3, "");
    /* Nothing else is under way: what is shown is older than what was just called too old. */
    PLAY(&p, 1201, RESULT, 2, "SHOW 2, DROP 3 age, EMPTY all TOO_SLOW, STATUS all TOO_SLOW");
    PLAY(&p, 1300, FRAME, 4, "SUBMIT 4");
    PLAY(&p, 1310, RESULT, 4, "SHOW 4, STATUS all OK 0");
}

static void frames_that_come_late_empty_the_mask(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    assert_string_equal("DROP 2 age, EMPTY all TOO_SLOW, STATUS all TOO_SLOW",
                        session_play_old_frame(&p, 700, 2, 100));
    assert_string_equal("SUBMIT 3", session_play_old_frame(&p, 800, 3, 300));
}

static void a_late_result_is_not_shown(void **state)
{
    (void)state;
    limits.max_latency_ns = 50000000;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 50, RESULT, 1, "SHOW 1, STATUS all OK 0"); /* exactly the limit */
    PLAY(&p, 100, FRAME, 2, "SUBMIT 2");
    assert_int_equal(150, session_play_deadline(&p));
    PLAY(&p, 150, TICK, 0, "");
    PLAY(&p, 151, TICK, 0, "EMPTY all TOO_SLOW, STATUS all TOO_SLOW"); /* without waiting for the result */
    PLAY(&p, 160, FRAME, 3, "");
    PLAY(&p, 170, RESULT, 2, "DISCARD 2 late, SUBMIT 3");
    PLAY(&p, 200, RESULT, 3, "SHOW 3, STATUS all OK 0");
}

static void refused_frames_are_counted(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    for (int why = 0; why < SONO_SESSION_DROP_COUNT; why++) {
        const char *text = session_play_refused(&p, 0, (uint64_t)why + 1, (sono_session_drop)why);
        assert_ptr_equal(text, strstr(text, "DROP"));
        assert_int_equal(1, p.session.counts.dropped[why]);
    }
    assert_string_equal("", session_play_refused(&p, 0, 100, SONO_SESSION_DROP_COUNT));
    assert_string_equal("", session_play_refused(&p, 0, 1, SONO_SESSION_DROP_RATE)); /* not new */
    assert_int_equal(SONO_SESSION_DROP_COUNT, p.session.counts.received);
}

/* Size, depth and type change in mid-stream; some of them cannot be used. */
static void unusable_images_are_a_fault_until_a_good_one(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, FRAME, 2, "SUBMIT 2");
    assert_string_equal("DROP 3 too_large, EMPTY all IMAGE_REFUSED, STATUS all IMAGE_REFUSED",
                        session_play_refused(&p, 30, 3, SONO_SESSION_DROP_TOO_LARGE));
    PLAY(&p, 40, RESULT, 2, "DISCARD 2 superseded");
    assert_string_equal("DROP 4 unsupported",
                        session_play_refused(&p, 900, 4, SONO_SESSION_DROP_UNSUPPORTED));
    /* They are images: that is no stall. */
    PLAY(&p, 1800, TICK, 0, "");
    PLAY(&p, 1850, FRAME, 5, "SUBMIT 5, STATUS all OK -1");
    PLAY(&p, 1860, RESULT, 5, "SHOW 5, STATUS all OK 0");
}

static void a_cut_frame_may_be_told_after_the_cut(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 3000, TICK, 0, "DISCONNECT, STATUS all NO_SOURCE");
    assert_string_equal("DROP 1 cut", session_play_refused(&p, 3000, 1, SONO_SESSION_DROP_CUT));
    PLAY(&p, 3000, FRAME, 2, "DROP 2 stopped");
    assert_int_equal(2, p.session.counts.received);
}

static void a_cut_hides_what_is_under_way(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 20, FRAME, 2, "SUBMIT 2");
    PLAY(&p, 30, FRAME, 3, "");
    PLAY(&p, 40, SOURCE_DOWN, 0, "DROP 3 stopped, EMPTY all NO_SOURCE, STATUS all NO_SOURCE");
    PLAY(&p, 140, TICK, 0, "CONNECT");
    PLAY(&p, 140, SOURCE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 150, RESULT, 2, "DISCARD 2 stopped"); /* the fault is over, the frame is from before */
    PLAY(&p, 160, FRAME, 4, "SUBMIT 4");
    PLAY(&p, 170, RESULT, 4, "SHOW 4, STATUS all OK 0");
}

/* REALTIME_SAM2 4: what is lost and comes back needs no restart; every state is told. */
static void an_object_comes_back(void **state)
{
    (void)state;
    static const sono_state states[] = {SONO_STATE_VISIBLE, SONO_STATE_LOST, SONO_STATE_LOST,
                                        SONO_STATE_RELOCALIZING, SONO_STATE_VISIBLE};
    session_play_serve(&p, &limits);
    int32_t told = -1;
    for (uint64_t i = 0; i < sizeof states / sizeof *states; i++) {
        char expected[64];
        session_play_step(&p, (int64_t)i * 16, SONO_SESSION_FRAME, i + 1);
        (void)snprintf(expected, sizeof expected, "SHOW %d", (int)i + 1);
        if ((int32_t)states[i] != told)
            (void)snprintf(expected, sizeof expected, "SHOW %d, STATUS all OK %d", (int)i + 1,
                           (int)states[i]);
        assert_string_equal(expected,
                            session_play_result(&p, (int64_t)i * 16 + 8, i + 1, (int32_t)states[i]));
        told = (int32_t)states[i];
    }
    assert_int_equal(0, p.session.counts.empties); /* LOST is a result, not a fault */
}

static void times_that_cannot_be_are_mended(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    assert_string_equal("SUBMIT 1", session_play_old_frame(&p, 10, 1, 500)); /* received later than told */
    assert_int_equal(10000000, p.session.in_engine[0].received_ns);
    PLAY(&p, 5, RESULT, 1, "SHOW 1, STATUS all OK 0"); /* time went back */
    assert_int_equal(10000000, p.session.now_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_newest_wins, begin),
        cmocka_unit_test_setup(a_burst_of_100_is_answered_by_its_newest, begin),
        cmocka_unit_test_setup(twice_the_rate_is_two_frame_times_late, begin),
        cmocka_unit_test_setup(depth_is_used, begin),
        cmocka_unit_test_setup(a_result_behind_a_newer_one_is_not_shown, begin),
        cmocka_unit_test_setup(age_is_judged_when_a_frame_is_taken, begin),
        cmocka_unit_test_setup(frames_that_come_late_empty_the_mask, begin),
        cmocka_unit_test_setup(a_late_result_is_not_shown, begin),
        cmocka_unit_test_setup(refused_frames_are_counted, begin),
        cmocka_unit_test_setup(unusable_images_are_a_fault_until_a_good_one, begin),
        cmocka_unit_test_setup(a_cut_frame_may_be_told_after_the_cut, begin),
        cmocka_unit_test_setup(a_cut_hides_what_is_under_way, begin),
        cmocka_unit_test_setup(an_object_comes_back, begin),
        cmocka_unit_test_setup(times_that_cannot_be_are_mended, begin),
    };
    return sono_test_run("session/frames", tests, sizeof(tests) / sizeof(tests[0]));
}
