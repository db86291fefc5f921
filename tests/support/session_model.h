// SPDX-License-Identifier: Apache-2.0
/*
 * What a session must do, said a second time: a model of its surroundings (source, engine, clients) that
 * carries out what the session says and watches it. Shared by the explorer (tests/session/test_explore.c) and
 * the fuzz target. It sees of the session what its header promises (actions, counts, deadline, worst fault,
 * wants_frames) and the faults that hold.
 */
#ifndef SONO_TESTS_SESSION_MODEL_H
#define SONO_TESTS_SESSION_MODEL_H

#include "session/session.h"

typedef enum session_model_link { MODEL_UNLINKED, MODEL_ATTEMPT, MODEL_LINKED } session_model_link;
typedef enum session_model_engine {
    MODEL_CLOSED,
    MODEL_OPENING,
    MODEL_OPEN,
    MODEL_CLOSING
} session_model_engine;

/* What clients show: nothing of this service, the mask of frame `shown`, or an empty one. */
typedef enum session_model_view { MODEL_NOTHING, MODEL_MASK, MODEL_EMPTY } session_model_view;

typedef struct session_model_frame {
    uint64_t frame;
    int64_t received_ns, submitted_ns;
    int32_t is_in_engine;
    int32_t is_barred; /* came before a fault that empties the mask for good, or before one that is through */
} session_model_frame;

typedef struct session_model {
    sono_session_limits limits;
    session_model_link link;
    session_model_engine engine;
    session_model_view view;
    int32_t is_started, is_stopping, is_over;
    int32_t is_cut, is_stalled, is_refused, is_paused, was_open; /* was_open: the engine was, once */
    int32_t is_reading;
    int32_t is_old; /* a client joined and may still show a mask of the time before */
    int32_t has_image;
    int32_t state; /* of the mask that is shown, -1 = none is */
    sono_session_fault told;
    int32_t told_state;
    uint64_t last, newest, shown; /* highest number; last good image; last mask */
    int64_t now_ns;
    int64_t image_at, heard_at, link_at, engine_at, status_at, text_at; /* when that was, or began */
    int32_t n_frames;
    session_model_frame frames[SONO_SESSION_MAX_WAITING + SONO_SESSION_MAX_DEPTH + 1]; /* by number */
    uint64_t received, processed, dropped[SONO_SESSION_DROP_COUNT];
} session_model;

/* limits: as sono_session_init() took them. */
void session_model_init(session_model *model, const sono_session_limits *limits);

/* Whether the event can happen: the surroundings are in a state for it. Others must be no more than a TICK.
 */
int session_model_can(const session_model *model, const sono_session_event *event);

/* Steps the session, carries its actions out, checks everything. NULL, or what is wrong (static text). */
const char *session_model_step(session_model *model, sono_session *session, const sono_session_event *event,
                               sono_session_actions *out);

/* STOP, then nothing but time: it must end. Works on copies. NULL, or what is wrong. */
const char *session_model_stops(const session_model *model, const sono_session *session);

const char *session_model_event_name(sono_session_event_kind kind);

#endif
