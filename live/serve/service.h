// SPDX-License-Identifier: Apache-2.0
/*
 * Private to the service: what its parts share. All of it is the loop's thread's.
 *
 *     serve.c             made, run, ended
 *     service_events.c    what happened: callbacks to events of the session machine
 *     service_actions.c   what the session machine says is done
 *     service_kpi.c       counters to snapshots, latencies to the CSV file
 *     service_reload.c    SIGHUP, and what COMMANDs and the web page ask for
 *     service_web.c       what the web service is told, and what it asks for
 */
#ifndef SONO_SERVE_SERVICE_H
#define SONO_SERVE_SERVICE_H

#include "serve/frames.h"
#include "serve/log.h"
#include "serve/notify.h"
#include "serve/recording.h"
#include "serve/serve.h"
#include "serve/sink.h"
#include "serve/snapshot_file.h"
#include "serve/source.h"
#include "session/session.h"
#include "web/web.h"

#include <pthread.h>

#define SONO_SERVE_MAX_POSTED 128
#define SONO_SERVE_SHOWN      256 /* frames whose times are kept for clients that are behind */
#define SONO_SERVE_JSON_BYTES 65000

/* Times of a frame that was shown. */
typedef struct sono_serve_shown {
    uint64_t id, timestamp;
    int64_t received_utc_ns, received_ns, submitted_ns, done_ns;
} sono_serve_shown;

typedef struct sono_serve_kpi {
    int64_t started_ns, last_at_ns, last_shown_ns; /* 0 = none was shown */
    uint64_t last_received, last_processed;
    uint64_t last_frame;
    int64_t last_news_ns; /* when the engine last told of a frame, or had none */
    sono_serve_recent latency_ms, engine_ms;
    sono_serve_shown shown[SONO_SERVE_SHOWN];
    uint64_t n_shown;
} sono_serve_kpi;

/* Between the engine's event thread and the log. An engine that does not close may outlive the service. */
typedef struct sono_service_bridge {
    pthread_mutex_t mutex;
    sono_serve_log *log; /* NULL = the service is gone */
} sono_service_bridge;

typedef struct sono_service {
    sono_serve_config config;
    sono_serve_loop loop;
    sono_serve_watch signals_watch, engine_watch, recording_watch, web_watch;
    int signals; /* -1 = none */
    /* The session machine and what it was not told yet. */
    sono_session session;
    sono_session_actions actions;
    sono_session_event posted[SONO_SERVE_MAX_POSTED];
    int32_t n_posted, posted_at;
    int is_pumping;
    /* Rooms. */
    sono_serve_engine *engine;
    sono_serve_source *source;
    sono_serve_sink *sink;
    sono_serve_recording *recording; /* NULL = there is none */
    int recording_is_paused;
    sono_web *web; /* NULL = there is none */
    sono_serve_log log;
    sono_service_bridge *bridge;
    sono_serve_lines *audit, *latency;       /* NULL = there is none */
    sono_serve_snapshot_file *snapshot_file; /* likewise */
    sono_serve_board *board;
    sono_serve_notify notify;
    int64_t watchdog_at_ns;
    /* Frames. */
    sono_serve_frames frames;
    sono_serve_frame *held;          /* whole, not told yet: a newer one may lie in the socket. NULL = none */
    const sono_serve_result *result; /* of the step under way; NULL = none, or given back */
    uint64_t refused_id;             /* whose reason is refused_text */
    char refused_text[160];
    /* Facts. */
    sono_serve_engine_info info;
    sono_serve_snapshot snapshot;
    sono_serve_kpi kpi;
    int has_been_up; /* the engine, once */
    int is_over;
    int64_t stop_ns; /* when it was last asked to stop; 0 = never */
    int exit_status;
    sono_error error; /* of exit_status 1 */
    char json[SONO_SERVE_JSON_BYTES];
} sono_service;

/* ---- serve.c ---- */

/* Limits of the session: the configuration in nanoseconds; the age limit depends on what the engine runs on.
 */
void sono_service_limits(const sono_service *service, sono_session_limits *out);
/* Ends the service with status 1 and error. */
void sono_service_give_up(sono_service *service, const sono_error *error);

/* ---- service_events.c ---- */

/* Says what happened; now, or behind what is being done. */
void sono_service_post(sono_service *service, const sono_session_event *event);
void sono_service_post_kind(sono_service *service, sono_session_event_kind kind);
/* Every event that is posted, through the machine. */
void sono_service_pump(sono_service *service);
/* Tells of the frame that was held back. */
void sono_service_tell_held(sono_service *service);
sono_serve_source_listener sono_service_source_listener(sono_service *service);
sono_serve_sink_listener sono_service_sink_listener(sono_service *service);
void sono_service_on_engine(void *service, uint32_t events);
void sono_service_on_recording(void *service, uint32_t events);
void sono_service_on_event(void *bridge, const sono_event *event); /* from another thread */

/* ---- service_actions.c ---- */

void sono_service_act(sono_service *service, const sono_session_action *action);

/* ---- service_kpi.c ---- */

void sono_service_snapshot(
    sono_service *service);                    /* service->snapshot is of now; rates are of the last text */
void sono_service_text(sono_service *service); /* once a second: snapshot, rates, board, text */
void sono_service_shown(sono_service *service, const sono_serve_frame *frame,
                        const sono_serve_result *result);
void sono_service_sent(void *service, int32_t client, uint64_t frame, int64_t first_ns, int64_t last_ns);
extern const char sono_service_latency_head[];

/* ---- service_web.c: each does nothing where there is no web service ---- */

sono_status sono_service_web_open(sono_service *service, sono_error *error);
void sono_service_web_close(sono_service *service);
/* A frame was shown, at shown_ns: after its clients, so that it waits for nothing of this. */
void sono_service_web_shown(sono_service *service, const sono_serve_frame *frame,
                            const sono_serve_result *result, int64_t shown_ns);
void sono_service_web_state(sono_service *service, const char *state, const char *fault,
                            const char *fault_text);
void sono_service_web_engine(sono_service *service); /* it is up */

/* ---- service_reload.c ---- */

void sono_service_reload(sono_service *service);
int sono_service_request(void *service, sono_serve_request request, double value, char *why, size_t n_bytes);

#endif
