// SPDX-License-Identifier: Apache-2.0
/*
 * What the live service decides, as a machine without clock, socket, thread or heap: an event goes in,
 * actions come out. live/serve tells it what happened and does what it says; a test explores every state it
 * can reach.
 *
 * It knows frames by number alone. It holds the source link, the mailbox, what is in the engine, whether what
 * is shown can be believed, and the counters. Its promises, each of them checked by the explorer
 * (tests/session/test_explore.c):
 * - no stale mask: a result is sent only for a frame of this service's life that is in the engine, once, in
 *   order, and not later than the limit; whatever breaks, an empty mask with a reason replaces the last one
 *   that was sent;
 * - received = processed + dropped + in flight after every step, and no frame is counted twice;
 * - from every fault a path leads back to serving, without a restart.
 *
 * What happens to frames under way when a fault begins. The device, results too late: they go on, and the
 * first good result in time ends the fault. The source (cut, stalled, refused) and PAUSE: the mask is emptied
 * at once, and no frame that came before is shown any more, even after the fault; waiting frames are dropped,
 * results are discarded. In in-order mode, which is for recordings, faults of the source wait instead until
 * the frames that came before them are through: the end of a recording is not cut off. The engine closes: its
 * frames and those that wait, which lie in its memory, are dropped; while it is not open no frame waits for
 * it.
 *
 * Times are nanoseconds on one monotonic clock; the caller passes them in. Thread-safety: one thread.
 */
#ifndef SONO_SESSION_SESSION_H
#define SONO_SESSION_SESSION_H

#include <stddef.h>
#include <stdint.h>

#define SONO_SESSION_MAX_DEPTH   16  /* frames in the engine */
#define SONO_SESSION_MAX_WAITING 64  /* frames in the mailbox (in-order mode) */
#define SONO_SESSION_MAX_ACTIONS 128 /* of one step */

/* ---- configuration ------------------------------------------------------------------------------------- */

typedef struct sono_session_limits {
    int32_t depth;     /* frames in the engine at once; [1, MAX_DEPTH]. 1 = the lowest latency */
    int32_t n_waiting; /* in-order mode: frames that may wait; [1, MAX_WAITING]. Newest-wins mode: always 1 */
    int32_t in_order; /* 1 = nothing is dropped for a newer frame: the source is not read while all places are
                         taken. For recordings. 0 = the newest frame wins */
    int64_t max_age_ns;     /* a frame that waited longer when it is taken is dropped; 0 = no limit */
    int64_t max_latency_ns; /* a result that comes later after its frame is not shown; 0 = no limit */
    int64_t stall_ns; /* no image for so long: the source has stalled; 0 = never. Frames count, and those that
                         are a fault by being refused; broken ones do not. This bounds a mask's age */
    int64_t read_ns;  /* nothing at all from the source for so long: the link is cut; 0 = never */
    int64_t connect_ns;                     /* a connection attempt may take so long */
    int64_t backoff_min_ns, backoff_max_ns; /* of connecting and of opening the engine: doubled from
                                             attempt to attempt, until a whole frame, a result */
    int64_t keep_alive_ns;                  /* STATUS to clients at least so often */
    int64_t text_ns;                        /* KPI text so often; 0 = never */
    int64_t engine_ns;         /* a frame in the engine for longer: it hangs and is reopened; 0 = never */
    int64_t open_ns;           /* opening the engine takes longer: it hangs and is closed; 0 = never */
    int64_t close_ns;          /* a hanging engine may take so long to close before the service gives up */
    int64_t drain_ns;          /* at the end frames in the engine are waited for so long; 0 = not at all */
    int32_t frame_error_limit; /* so many device errors in a row reopen the engine; at least 1 */
} sono_session_limits;

/* Sensible defaults, those of the configuration file (live/serve/config_keys.h) on CUDA. */
void sono_session_limits_init(sono_session_limits *limits);

/* ---- what went wrong ------------------------------------------------------------------------------------
 */

/* Why a frame was dropped. NAME, text (metric label). Append only. */
#define SONO_SESSION_DROP_MAP(X)                                                                             \
    X(SUPERSEDED, "superseded")   /* a newer frame came, or was shown, before */                             \
    X(AGE, "age")                 /* it waited longer than the age limit */                                  \
    X(LATE, "late")               /* its result came after the latency limit */                              \
    X(CHECKSUM, "checksum")       /* its CRC did not fit */                                                  \
    X(MALFORMED, "malformed")     /* it was against the protocol */                                          \
    X(UNSUPPORTED, "unsupported") /* pixels of a kind that is not converted */                               \
    X(TOO_LARGE, "too_large")     /* beyond the configured size */                                           \
    X(NO_ENGINE, "no_engine")     /* the engine was not open */                                              \
    X(DEVICE, "device")           /* the engine lost it */                                                   \
    X(PAUSED, "paused")           /* analysis is switched off */                                             \
    X(RATE, "rate")               /* above the configured frame rate */                                      \
    X(STOPPED, "stopped")         /* the service ended, or the source was cut or stalled, before its turn */ \
    X(CUT, "cut")                 /* the link broke within it */

typedef enum sono_session_drop {
#define SONO_SESSION_DROP_ENUM(name, text) SONO_SESSION_DROP_##name,
    SONO_SESSION_DROP_MAP(SONO_SESSION_DROP_ENUM)
#undef SONO_SESSION_DROP_ENUM
        SONO_SESSION_DROP_COUNT
} sono_session_drop;

/* What keeps masks from being shown, worst first; several may hold, the first is told. NAME, STATUS code
 * (live/igtl/messages.h), STATUS name (20 characters at most), text. */
#define SONO_SESSION_FAULT_MAP(X)                                                                            \
    X(STOPPING, 19, "STOPPING", "the service is shutting down")                                              \
    X(ENGINE, 18, "ENGINE_FAILED", "the engine failed and is being reopened")                                \
    X(OPENING, 13, "ENGINE_OPENING", "the models are being loaded")                                          \
    X(PAUSED, 15, "PAUSED", "analysis is switched off")                                                      \
    X(NO_SOURCE, 16, "NO_SOURCE", "no connection to the image source")                                       \
    X(STALLED, 7, "SOURCE_STALLED", "the image source sends no images")                                      \
    X(REFUSED, 10, "IMAGE_REFUSED", "the source's images cannot be used")                                    \
    X(LATE, 6, "TOO_SLOW", "results come later than the limit")

typedef enum sono_session_fault {
#define SONO_SESSION_FAULT_ENUM(name, code, status, text) SONO_SESSION_FAULT_##name,
    SONO_SESSION_FAULT_MAP(SONO_SESSION_FAULT_ENUM)
#undef SONO_SESSION_FAULT_ENUM
        SONO_SESSION_FAULT_COUNT,
    SONO_SESSION_FAULT_NONE = SONO_SESSION_FAULT_COUNT
} sono_session_fault;

const char *sono_session_drop_name(sono_session_drop drop);    /* "superseded"; "" for what is none */
const char *sono_session_fault_name(sono_session_fault fault); /* "SOURCE_STALLED"; "OK" for NONE */
const char *sono_session_fault_text(sono_session_fault fault); /* one line; "" for NONE */
uint16_t sono_session_fault_code(sono_session_fault fault);    /* 7; 1 for NONE */

/* ---- events -------------------------------------------------------------------------------------------- */

typedef enum sono_session_event_kind {
    SONO_SESSION_START = 1,    /* once, first */
    SONO_SESSION_TICK,         /* time passed: at the latest at sono_session_deadline() */
    SONO_SESSION_SOURCE_UP,    /* the connection that CONNECT asked for stands */
    SONO_SESSION_SOURCE_DOWN,  /* it could not be made, or ended, or broke */
    SONO_SESSION_SOURCE_HEARD, /* bytes of a message came: the link lives */
    SONO_SESSION_FRAME,        /* a whole frame lies ready in an input of the engine that is open; frame = its
                                  number, above all before it. Without an input while the engine is open: that
                                  is REFUSED with NO_ENGINE */
    SONO_SESSION_REFUSED,      /* a frame came that cannot be used; frame likewise, drop = why. One that
                                  UNSUPPORTED or TOO_LARGE refuses is a fault until a good one comes. May come
                                  after DISCONNECT, for the frame that was cut by it */
    SONO_SESSION_ENGINE_UP,    /* what OPEN_ENGINE asked for is done */
    SONO_SESSION_ENGINE_DOWN,  /* opening failed, or CLOSE_ENGINE is done */
    SONO_SESSION_RESULT,       /* the engine has the result of frame; state = sono_state */
    SONO_SESSION_LOSS,         /* the engine lost frame: a device error */
    SONO_SESSION_CLIENT,       /* client (>= 0) joined and may be written to */
    SONO_SESSION_PAUSE,        /* by command: analysis off */
    SONO_SESSION_RESUME,       /* and on again */
    SONO_SESSION_STOP,         /* SIGTERM: drain, then EXIT; a second one: EXIT now */
    SONO_SESSION_REOPEN        /* by command: the engine is closed and opened again, for a value that it takes
                                  when it opens */
} sono_session_event_kind;

typedef struct sono_session_event {
    sono_session_event_kind kind;
    int64_t now_ns; /* never before an earlier event's; if so it counts as that */
    uint64_t frame;
    int64_t received_ns; /* FRAME: when its last byte came; one after now_ns counts as now_ns */
    int32_t client;
    int32_t state;          /* RESULT: sono_state */
    sono_session_drop drop; /* REFUSED */
} sono_session_event;

/* ---- actions ------------------------------------------------------------------------------------------- */

typedef enum sono_session_action_kind {
    SONO_SESSION_CONNECT = 1,  /* begin to connect to the source */
    SONO_SESSION_DISCONNECT,   /* close it, attempts too; no SOURCE_DOWN follows */
    SONO_SESSION_OPEN_ENGINE,  /* begin to open: ENGINE_UP or ENGINE_DOWN follows */
    SONO_SESSION_CLOSE_ENGINE, /* begin to close; fault = ENGINE where it hangs, opening or with a frame: one
                                  ENGINE_DOWN follows, also where it was being opened. Its frames were dropped
                                  before: results that come yet are given back without asking */
    SONO_SESSION_SUBMIT,       /* frame goes into the engine */
    SONO_SESSION_DROP, /* frame ends without a result, for `drop`: give its input back unless the engine has
                          it, log it. Comes for REFUSED and LOSS too: every frame ends by one DROP, SHOW or
                          DISCARD */
    SONO_SESSION_SHOW, /* frame's result goes to every client, then is given back */
    SONO_SESSION_DISCARD, /* frame's result is given back unsent; `drop` says why */
    SONO_SESSION_EMPTY,   /* an empty mask for `fault` to client, or to all (-1). Never before the first FRAME
                           */
    SONO_SESSION_STATUS,  /* STATUS to client, or to all (-1): `fault`, or NONE and then `state` */
    SONO_SESSION_TEXT,    /* KPI text to all */
    SONO_SESSION_EXIT     /* the end; status = the process's: 0, or 1 where an engine does not close */
} sono_session_action_kind;

typedef struct sono_session_action {
    sono_session_action_kind kind;
    uint64_t frame;
    int32_t client;
    int32_t state; /* STATUS without a fault: the last shown frame's sono_state, -1 = none was shown since the
                      last fault */
    int32_t status; /* EXIT. 1: the engine was still open, because it does not close or STOP came twice */
    sono_session_drop drop;
    sono_session_fault fault;
} sono_session_action;

typedef struct sono_session_actions {
    int32_t n;
    sono_session_action list[SONO_SESSION_MAX_ACTIONS];
} sono_session_actions;

/* ---- the machine --------------------------------------------------------------------------------------- */

/* All counted since START. received = processed + sum of dropped + waiting + in the engine. */
typedef struct sono_session_counts {
    uint64_t received;  /* frames that came whole, and those that REFUSED told of */
    uint64_t processed; /* results that were shown */
    uint64_t dropped[SONO_SESSION_DROP_COUNT];
    uint32_t waiting; /* in the mailbox */
    uint32_t in_engine;
    uint64_t connects;    /* attempts */
    uint64_t connections; /* of them successful */
    uint64_t engine_opens;
    uint64_t empties; /* empty masks that replaced one */
} sono_session_counts;

typedef struct sono_session sono_session;

/* The struct is here so that callers and the explorer can copy and compare it; fields are the machine's own.
 */
typedef enum sono_session_link {
    SONO_LINK_IDLE,
    SONO_LINK_CONNECTING,
    SONO_LINK_UP,
    SONO_LINK_WAITING
} sono_session_link;
typedef enum sono_session_engine {
    SONO_ENGINE_CLOSED,
    SONO_ENGINE_OPENING,
    SONO_ENGINE_UP,
    SONO_ENGINE_CLOSING
} sono_session_engine;

typedef struct sono_session_frame {
    uint64_t frame;
    int64_t received_ns;
    int64_t submitted_ns; /* 0 while it waits */
} sono_session_frame;

struct sono_session {
    sono_session_limits limits;
    sono_session_counts counts;
    sono_session_link link;
    sono_session_engine engine;
    int32_t is_started, is_stopping, is_over;
    int32_t is_reading;   /* deadlines of reading run */
    int32_t is_reopening; /* the engine closes because REOPEN asked for it */
    int32_t has_frame;    /* a FRAME came: there is a geometry for an empty mask */
    int32_t exit_status;  /* -1 = the service does not end in this step */
    int32_t n_waiting, n_in_engine;
    sono_session_frame waiting[SONO_SESSION_MAX_WAITING]; /* oldest first */
    sono_session_frame in_engine[SONO_SESSION_MAX_DEPTH]; /* in the order of submission */
    uint32_t faults;                                      /* bit per sono_session_fault that holds */
    uint32_t due;            /* in-order mode: those that begin when the frames under way are through */
    sono_session_fault told; /* the last STATUS to all, with told_state */
    int32_t told_state;
    int32_t is_empty_told; /* no client shows a mask but an empty one */
    int32_t state;         /* of the last shown frame, -1 = none since the last fault */
    int32_t losses_in_row;
    uint64_t last_frame;                   /* highest number that came */
    uint64_t hidden_through;               /* results of frames up to this number are discarded, */
    sono_session_drop hidden_why;          /* for this */
    int64_t backoff_ns, engine_backoff_ns; /* the next pause */
    int64_t now_ns;
    /* Deadlines, INT64_MAX = none. Those of frames follow from their times. */
    int64_t connect_at, retry_at, read_at, stall_at, engine_retry_at, open_at, close_at, drain_at, status_at,
        text_at;
};

/* limits: copied. 0, or -1 where one is out of its range: spans are not negative, and above 0 where 0 is not
 * said to mean anything. */
int sono_session_init(sono_session *session, const sono_session_limits *limits);

/* New limits, on SIGHUP; depth, n_waiting and in_order stay. Reading, STATUS and text begin their spans anew;
 * what else is under way keeps its deadline. 0, or -1 and nothing is changed. */
int sono_session_reload(sono_session *session, const sono_session_limits *limits);

/* One event. out: what to do, in this order, before the next event. An event that cannot be (a result of a
 * frame that is not in the engine, a frame number that is not new) is no more than a TICK; whoever told it
 * keeps what belongs to it. A FRAME while there is no connection is dropped as STOPPED. After EXIT and before
 * START nothing happens, but that STOP ends. */
void sono_session_step(sono_session *session, const sono_session_event *event, sono_session_actions *out);

/* When TICK is due at the latest; INT64_MAX = never. */
int64_t sono_session_deadline(const sono_session *session);

/* 1 = the source is to be read; 0 while not connected, and in in-order mode while every place is taken or the
 * engine is not open. To be asked after each step; while it is 0 the source cannot stall. */
int sono_session_wants_frames(const sono_session *session);

/* The worst fault that holds, NONE = masks are shown. */
sono_session_fault sono_session_worst(const sono_session *session);

#endif
