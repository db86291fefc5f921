// SPDX-License-Identifier: Apache-2.0
/*
 * A session in a test: events at given milliseconds, and what it answers as text, e.g.
 * "DROP 2 superseded, SUBMIT 3, STATUS all OK 1". Every step is watched by session_model.h too.
 */
#ifndef SONO_TESTS_SESSION_PLAY_H
#define SONO_TESTS_SESSION_PLAY_H

#include "session_model.h"

typedef struct session_play {
    sono_session session;
    session_model model;
    sono_session_actions out; /* of the last step */
    char text[4096];
} session_play;

/* Default limits without STATUS as keep-alive and without text; then change what the test is about. */
void session_play_limits(sono_session_limits *limits);

/* A session that was not started; fails the test where a limit is out of range. */
void session_play_new(session_play *play, const sono_session_limits *limits);

/* The same, started at 0 ms, with source and engine up: the next frame is analysed. */
void session_play_serve(session_play *play, const sono_session_limits *limits);

/* Steps and returns the answer's text. number: the frame, or CLIENT's client; a FRAME was received just now.
 */
const char *session_play_step(session_play *play, int64_t at_ms, sono_session_event_kind kind,
                              uint64_t number);
const char *session_play_event(session_play *play, const sono_session_event *event);

/* Steps and compares. */
#define PLAY(play, at_ms, kind, number, expected)                                                            \
    assert_string_equal((expected), session_play_step((play), (at_ms), SONO_SESSION_##kind, (number)))

/* REFUSED for a reason, RESULT of a state, FRAME that was received earlier: */
const char *session_play_refused(session_play *play, int64_t at_ms, uint64_t frame, sono_session_drop why);
const char *session_play_result(session_play *play, int64_t at_ms, uint64_t frame, int32_t state);
const char *session_play_old_frame(session_play *play, int64_t at_ms, uint64_t frame, int64_t received_ms);

/* The deadline in ms; -1 = never. */
int64_t session_play_deadline(const session_play *play);

#endif
