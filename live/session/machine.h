// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of this room share. A step is: the event, then every deadline that has passed, then frames
 * go into the engine while there is room, then clients are told what has changed (session.c). The parts only
 * change the machine and append actions; none of them looks at the clock.
 *
 *     link.c      the connection to the source
 *     frames.c    mailbox, engine's frames, results
 *     engine.c    opening, closing, device errors, the watchdog
 *     health.c    faults; empty masks, STATUS and KPI text
 */
#ifndef SONO_SESSION_MACHINE_H
#define SONO_SESSION_MACHINE_H

#include "session/session.h"

#define SONO_SESSION_NEVER INT64_MAX

/* now + span, at most NEVER; a span of 0 means never. */
int64_t sono_session_after(const sono_session *s, int64_t span_ns);

/* A new action: for no frame, all clients, no fault. Not NULL: the list is long enough for any step. */
sono_session_action *sono_session_push(sono_session_actions *out, sono_session_action_kind kind);

/* ---- link.c -------------------------------------------------------------------------------------------- */

void sono_session_link_begin(sono_session *s, sono_session_actions *out);
void sono_session_link_up(sono_session *s);
void sono_session_link_down(sono_session *s, sono_session_actions *out);
void sono_session_link_heard(sono_session *s); /* something came */
void sono_session_link_whole(sono_session *s); /* an image came whole: the source does not stall */
void sono_session_link_end(sono_session *s, sono_session_actions *out);
void sono_session_link_deadlines(sono_session *s, sono_session_actions *out);
/* Deadlines of reading run while the source is read. */
void sono_session_link_watch(sono_session *s);

/* ---- frames.c ------------------------------------------------------------------------------------------ */

void sono_session_accept(sono_session *s, sono_session_actions *out, const sono_session_event *event);
void sono_session_refuse(sono_session *s, sono_session_actions *out, const sono_session_event *event);
void sono_session_finish(sono_session *s, sono_session_actions *out, const sono_session_event *event);
/* Takes the frame out of the engine without a result. 1, or 0 where it is not in there; is_hidden: whether
 * its result would not have been shown. */
int sono_session_lose(sono_session *s, sono_session_actions *out, uint64_t frame, int *is_hidden);
/* Into the engine, while it has room; frames that are too old are dropped. */
void sono_session_take(sono_session *s, sono_session_actions *out);
void sono_session_drop_waiting(sono_session *s, sono_session_actions *out, sono_session_drop why);
void sono_session_drop_in_engine(sono_session *s, sono_session_actions *out, sono_session_drop why);
/* Of no frame that came up to now is a result shown any more. */
void sono_session_hide(sono_session *s, sono_session_actions *out, sono_session_drop why);
/* 1 = a frame is in the engine whose result may be shown. */
int sono_session_hopes(const sono_session *s);
int64_t sono_session_late_at(const sono_session *s); /* when the first of them is late; NEVER = not at all */

/* ---- engine.c ------------------------------------------------------------------------------------------ */

void sono_session_engine_begin(sono_session *s, sono_session_actions *out);
void sono_session_engine_up(sono_session *s);
void sono_session_engine_down(sono_session *s, sono_session_actions *out);
void sono_session_engine_loss(sono_session *s, sono_session_actions *out, uint64_t frame);
/* why: ENGINE where it hangs, else NONE. */
void sono_session_engine_close(sono_session *s, sono_session_actions *out, sono_session_fault why);
void sono_session_engine_reopen(sono_session *s, sono_session_actions *out);
void sono_session_engine_deadlines(sono_session *s, sono_session_actions *out);
int64_t sono_session_hang_at(const sono_session *s); /* when the oldest frame is in the engine for too long */

/* ---- health.c ------------------------------------------------------------------------------------------ */

int sono_session_holds(const sono_session *s, sono_session_fault fault);
/* A fault begins: what it says of frames under way happens at once, or, of the source's faults in in-order
 * mode, when the frames that came before it are through. Nothing where it holds already. */
void sono_session_raise(sono_session *s, sono_session_actions *out, sono_session_fault fault);
void sono_session_clear(sono_session *s, sono_session_fault fault);
/* Faults that waited for frames to get through, and lateness. */
void sono_session_health_deadlines(sono_session *s, sono_session_actions *out);
/* What clients have to be told at the end of a step. */
void sono_session_tell(sono_session *s, sono_session_actions *out);
void sono_session_greet(sono_session *s, sono_session_actions *out, int32_t client);

#endif
