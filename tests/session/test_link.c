// SPDX-License-Identifier: Apache-2.0
/* The connection to the source: back-off, deadlines, stalls. */
#include "session_play.h"
#include "test.h"

#include <string.h>

static session_play p;
static sono_session_limits limits;

static int begin(void **state)
{
    (void)state;
    session_play_limits(&limits);
    limits.backoff_max_ns = 400000000;
    return 0;
}

static void backs_off_and_goes_on_for_ever(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    PLAY(&p, 0, START, 0, "CONNECT, OPEN_ENGINE, STATUS all ENGINE_OPENING");
    PLAY(&p, 0, ENGINE_UP, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 0, SOURCE_DOWN, 0, "");
    PLAY(&p, 99, TICK, 0, "");
    PLAY(&p, 100, TICK, 0, "CONNECT");
    PLAY(&p, 100, SOURCE_DOWN, 0, "");
    PLAY(&p, 300, TICK, 0, "CONNECT");
    PLAY(&p, 300, SOURCE_DOWN, 0, "");
    PLAY(&p, 700, TICK, 0, "CONNECT");
    PLAY(&p, 700, SOURCE_DOWN, 0, "");
    PLAY(&p, 1099, TICK, 0, "");
    PLAY(&p, 1100, TICK, 0, "CONNECT");
    assert_int_equal(5, p.session.counts.connects);
    assert_int_equal(0, p.session.counts.connections);
}

/* OpenIGTLinkIO PR 70: while the source is absent the service does nearly nothing. */
static void an_absent_source_costs_little(void **state)
{
    (void)state;
    sono_session_limits_init(&limits);
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    session_play_step(&p, 0, SONO_SESSION_ENGINE_UP, 0);
    int32_t n_steps = 0;
    const int64_t hour_ms = 3600 * 1000;
    for (int64_t at_ms = 0; at_ms < hour_ms; n_steps++) {
        const char *text = session_play_step(&p, at_ms, SONO_SESSION_TICK, 0);
        if (strstr(text, "CONNECT"))
            session_play_step(&p, at_ms, SONO_SESSION_SOURCE_DOWN, 0); /* refused at once */
        at_ms = session_play_deadline(&p);
    }
    /* An attempt each 5 s and STATUS and text each second: some three wake-ups a second. */
    assert_in_range(p.session.counts.connects, 700, 730);
    assert_in_range(n_steps, 3600, 3 * 3600);
}

static void only_a_whole_frame_resets_the_pause(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 100, TICK, 0, "CONNECT");
    PLAY(&p, 100, SOURCE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 100, SOURCE_HEARD, 0, "");
    PLAY(&p, 100, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 299, TICK, 0, "");
    PLAY(&p, 300, TICK, 0, "CONNECT");
    PLAY(&p, 300, SOURCE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 300, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 300, SOURCE_DOWN, 0, "STATUS all NO_SOURCE");
    PLAY(&p, 400, TICK, 0, "CONNECT");
}

static void an_attempt_has_a_deadline(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    PLAY(&p, 1999, TICK, 0, "");
    PLAY(&p, 2000, TICK, 0, "DISCONNECT");
    PLAY(&p, 2000, SOURCE_UP, 0, ""); /* too late: it was given up */
    PLAY(&p, 2100, TICK, 0, "CONNECT");
}

/* OpenIGTLink 216, 173, PlusLib 654: a link that was cut silently is noticed and made again. */
static void a_mute_link_is_cut(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 100, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 110, RESULT, 1, "SHOW 1, STATUS all OK 0");
    PLAY(&p, 1099, TICK, 0, "");
    PLAY(&p, 1100, TICK, 0, "EMPTY all SOURCE_STALLED, STATUS all SOURCE_STALLED");
    PLAY(&p, 3099, TICK, 0, "");
    PLAY(&p, 3100, TICK, 0, "DISCONNECT, STATUS all NO_SOURCE");
    PLAY(&p, 3200, TICK, 0, "CONNECT");
    /* No image came yet: that is still so. */
    PLAY(&p, 3200, SOURCE_UP, 0, "STATUS all SOURCE_STALLED");
    PLAY(&p, 3300, FRAME, 2, "SUBMIT 2, STATUS all OK -1");
    PLAY(&p, 3310, RESULT, 2, "SHOW 2, STATUS all OK 0");
}

/* PlusLib 1124, 955, 1287, OpenIGTLink 242: a source that lives but sends no images. */
static void a_stall_empties_the_mask(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    for (int64_t at_ms = 250; at_ms < 1000; at_ms += 250)
        PLAY(&p, at_ms, SOURCE_HEARD, 0, ""); /* Plus's keep-alive */
    PLAY(&p, 1000, SOURCE_HEARD, 0, "EMPTY all SOURCE_STALLED, STATUS all SOURCE_STALLED");
    for (int64_t at_ms = 1250; at_ms < 10000; at_ms += 250)
        PLAY(&p, at_ms, SOURCE_HEARD, 0, ""); /* connected still */
    PLAY(&p, 10000, FRAME, 2, "SUBMIT 2, STATUS all OK -1");
}

static void broken_frames_do_not_keep_a_mask(void **state)
{
    (void)state;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    assert_string_equal("DROP 2 checksum", session_play_refused(&p, 500, 2, SONO_SESSION_DROP_CHECKSUM));
    assert_string_equal("DROP 3 malformed, EMPTY all SOURCE_STALLED, STATUS all SOURCE_STALLED",
                        session_play_refused(&p, 1000, 3, SONO_SESSION_DROP_MALFORMED));
}

/* Models load for seconds while images come: that is no stall. With the engine up, images that find no place
 * in it do not keep a mask. */
static void images_without_an_engine_are_no_stall(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    PLAY(&p, 0, START, 0, "CONNECT, OPEN_ENGINE, STATUS all ENGINE_OPENING");
    PLAY(&p, 0, SOURCE_UP, 0, "");
    assert_string_equal("DROP 1 no_engine", session_play_refused(&p, 900, 1, SONO_SESSION_DROP_NO_ENGINE));
    assert_string_equal("DROP 2 no_engine", session_play_refused(&p, 1800, 2, SONO_SESSION_DROP_NO_ENGINE));
    PLAY(&p, 1900, ENGINE_UP, 0, "STATUS all OK -1");
    PLAY(&p, 2000, FRAME, 3, "SUBMIT 3");
    PLAY(&p, 2010, RESULT, 3, "SHOW 3, STATUS all OK 0");
    assert_string_equal("DROP 4 no_engine", session_play_refused(&p, 2900, 4, SONO_SESSION_DROP_NO_ENGINE));
    PLAY(&p, 3000, TICK, 0, "EMPTY all SOURCE_STALLED, STATUS all SOURCE_STALLED");
}

static void never_means_never(void **state)
{
    (void)state;
    limits.read_ns = limits.stall_ns = 0;
    session_play_serve(&p, &limits);
    PLAY(&p, 0, FRAME, 1, "SUBMIT 1");
    PLAY(&p, 10, RESULT, 1, "SHOW 1, STATUS all OK 0");
    assert_int_equal(-1, session_play_deadline(&p));
    PLAY(&p, INT64_C(1000000000), TICK, 0, "");
}

static void what_cannot_be_changes_nothing(void **state)
{
    (void)state;
    session_play_new(&p, &limits);
    PLAY(&p, 0, TICK, 0, "");
    PLAY(&p, 0, SOURCE_UP, 0, "");
    session_play_step(&p, 0, SONO_SESSION_START, 0);
    PLAY(&p, 0, START, 0, "");
    PLAY(&p, 0, SOURCE_UP, 0, "");
    PLAY(&p, 0, SOURCE_UP, 0, "");
    PLAY(&p, 0, SOURCE_DOWN, 0, "");
    PLAY(&p, 0, SOURCE_DOWN, 0, "");
    PLAY(&p, 0, SOURCE_HEARD, 0, "");
    assert_int_equal(1, p.session.counts.connects);
    assert_int_equal(1, p.session.counts.connections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(backs_off_and_goes_on_for_ever, begin),
        cmocka_unit_test_setup(an_absent_source_costs_little, begin),
        cmocka_unit_test_setup(only_a_whole_frame_resets_the_pause, begin),
        cmocka_unit_test_setup(an_attempt_has_a_deadline, begin),
        cmocka_unit_test_setup(a_mute_link_is_cut, begin),
        cmocka_unit_test_setup(a_stall_empties_the_mask, begin),
        cmocka_unit_test_setup(broken_frames_do_not_keep_a_mask, begin),
        cmocka_unit_test_setup(images_without_an_engine_are_no_stall, begin),
        cmocka_unit_test_setup(never_means_never, begin),
        cmocka_unit_test_setup(what_cannot_be_changes_nothing, begin),
    };
    return sono_test_run("session/link", tests, sizeof(tests) / sizeof(tests[0]));
}
