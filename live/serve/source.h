// SPDX-License-Identifier: Apache-2.0
/*
 * The client of a Plus-like server. Reads from its socket straight into the engine's input, converts pixels
 * where that is needed (pixels.h), keeps the newest transforms, and tells of whole frames. The loop's
 * thread's alone. Callbacks come from within the functions below and from the loop; they may call any
 * function here but _close().
 *
 * One round of the loop reads 1 MiB at most, so that a fast source starves nobody. Names are resolved in a
 * thread of their own (resolve.h), numeric addresses at once.
 */
#ifndef SONO_SERVE_SOURCE_H
#define SONO_SERVE_SOURCE_H

#include "serve/config.h"
#include "serve/engine.h"
#include "serve/frame.h"
#include "serve/loop.h"
#include "serve/snapshot.h"
#include "session/session.h"

typedef struct sono_serve_source sono_serve_source;

typedef struct sono_serve_source_listener {
    void *user;
    void (*up)(void *user);
    void (*down)(void *user, const char *reason);
    void (*heard)(void *user);
    /* A whole frame; copy it. frame->input is the receiver's now; NULL when the engine had none: then pixels
     * are there only where the configuration records, and only during the call. Frames have rising numbers,
     * those that are refused included. */
    void (*frame)(void *user, const sono_serve_frame *frame);
    /* Nothing more lies in the socket, or reading it took long enough: the last frame is the newest. */
    void (*settled)(void *user);
    /* A frame that cannot be used: counted, never submitted. */
    void (*refused)(void *user, uint64_t frame, sono_session_drop why, const char *text);
    void (*log)(void *user, const char *event, const char *text);
} sono_serve_source_listener;

/* config: copied. Errors: INVALID_ARGUMENT (address, window), OUT_OF_MEMORY, IO (resolver). */
sono_status sono_serve_source_open(const sono_serve_config *config, sono_serve_loop *loop,
                                   sono_serve_engine *engine, const sono_serve_source_listener *listener,
                                   sono_serve_source **out, sono_error *error);
void sono_serve_source_reload(sono_serve_source *source, const sono_serve_config *config);
void sono_serve_source_connect(sono_serve_source *source); /* begins; up or down follows */
void sono_serve_source_disconnect(sono_serve_source *source);
/* Reads, or leaves bytes in the socket. */
void sono_serve_source_pause(sono_serve_source *source, int is_paused);
/* The engine's inputs are gone (it closes): an image under way goes to nowhere. */
void sono_serve_source_forget_input(sono_serve_source *source);
void sono_serve_source_snapshot(const sono_serve_source *source, sono_serve_snapshot *out);
void sono_serve_source_close(sono_serve_source *source);

#endif
