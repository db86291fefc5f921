// SPDX-License-Identifier: Apache-2.0
/*
 * The server that 3D Slicer and others connect to. Messages are encoded once for each header version that is
 * in use, shared by all clients and counted; a client that is slow loses its oldest frames and delays nobody.
 * The loop's thread's alone.
 */
#ifndef SONO_SERVE_SINK_H
#define SONO_SERVE_SINK_H

#include "serve/config.h"
#include "serve/engine.h"
#include "serve/frame.h"
#include "serve/loop.h"
#include "serve/snapshot.h"

typedef struct sono_serve_sink sono_serve_sink;

/* What a client asked for that the service decides. */
typedef enum sono_serve_request {
    SONO_SERVE_REQUEST_STATUS = 1, /* KPI JSON comes back */
    SONO_SERVE_REQUEST_START,
    SONO_SERVE_REQUEST_STOP,
    SONO_SERVE_REQUEST_THRESHOLD, /* value */
    SONO_SERVE_REQUEST_SNAPSHOT,  /* the next frame is kept as pictures; `why` says where */
    SONO_SERVE_REQUEST_RECORD     /* value 1: recording goes on, 0: it pauses */
} sono_serve_request;

/* joined and request may call the sink; left, sent and log must not. */
typedef struct sono_serve_sink_listener {
    void *user;
    void (*joined)(void *user, int32_t client);
    void (*left)(void *user, int32_t client, const char *reason);
    /* A permitted request, to be done now. 0 = done; else `why` is the refusal that the client gets. STATUS:
     * `why` takes the KPI JSON. */
    int (*request)(void *user, sono_serve_request request, double value, char *why, size_t n_bytes);
    /* A frame's mask went to a client: the kernel took its first and its last byte at these monotonic times.
     */
    void (*sent)(void *user, int32_t client, uint64_t frame, int64_t first_ns, int64_t last_ns);
    /* A line for the log: event name, "key=value ..."; of event "audit", who asked for a change and what
     * became of it. */
    void (*log)(void *user, const char *event, const char *text);
} sono_serve_sink_listener;

/* Errors: IO (the address cannot be bound; says which and by whom), INVALID_ARGUMENT, OUT_OF_MEMORY. */
sono_status sono_serve_sink_open(const sono_serve_config *config, sono_serve_loop *loop,
                                 const sono_serve_sink_listener *listener, sono_serve_sink **out,
                                 sono_error *error);
int32_t sono_serve_sink_port(const sono_serve_sink *sink); /* that was bound (listen on port 0) */
void sono_serve_sink_reload(sono_serve_sink *sink, const sono_serve_config *config);
/* The models of masks' metadata. */
void sono_serve_sink_describe(sono_serve_sink *sink, const sono_serve_engine_info *info);
/* Mask, outline and what else is on, to every client. The result may be released when it returns. Returns
 * when the mask was in every client's queue and nothing of it had left: monotonic. */
int64_t sono_serve_sink_show(sono_serve_sink *sink, const sono_serve_frame *frame,
                             const sono_serve_result *result);
/* An empty mask and outline (and whatever else the client gets) with the geometry of the last frame that was
 * shown, their own later time and a reason; nothing where none was shown yet. Frames that wait for the client
 * are dropped: it comes next. client: -1 = all. */
void sono_serve_sink_empty(sono_serve_sink *sink, int32_t client, const char *reason, const char *text);
void sono_serve_sink_status(sono_serve_sink *sink, int32_t client, uint16_t code, const char *name,
                            const char *text);
void sono_serve_sink_text(sono_serve_sink *sink, const char *json);
/* When it wants to be called by _tick() (stuck clients, places to close, accepting again); INT64_MAX = never.
 */
int64_t sono_serve_sink_deadline(const sono_serve_sink *sink);
void sono_serve_sink_tick(sono_serve_sink *sink, int64_t now_ns);
/* Bytes that are still queued: at the end the service waits a moment for them. */
uint64_t sono_serve_sink_queued_bytes(const sono_serve_sink *sink);
void sono_serve_sink_snapshot(const sono_serve_sink *sink, sono_serve_snapshot *out);
void sono_serve_sink_close(sono_serve_sink *sink);

#endif
