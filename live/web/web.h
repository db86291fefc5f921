// SPDX-License-Identifier: Apache-2.0
/*
 * The web service beside the live service: a page, an API, metrics, health and control over HTTP. It has
 * threads of its own: civetweb's, one a connection; one that keeps the history; one that paints pictures.
 * They read the board and what the feeding calls below leave for them. Nothing of theirs holds up the event
 * loop: what it tells goes through a ring without locks and is dropped, and counted, where that is full;
 * pictures go through three buffers, the newest wins.
 *
 * Thread-safety: open, close, the feeding calls, _next() and _answer() are the loop's thread's; _log() is
 * anybody's between open and close.
 */
#ifndef SONO_WEB_WEB_H
#define SONO_WEB_WEB_H

#include "serve/snapshot.h"
#include "web/history.h"
#include "web/verdict.h"

#include "sonoseg/sonoseg.h"

#define SONO_WEB_ANSWER_BYTES 256

typedef struct sono_web sono_web;

typedef struct sono_web_setup {
    const char *listen;        /* "127.0.0.1:8080", "[::1]:0" */
    const char *allowed_hosts; /* names beside loopback's and the address itself, with commas */
    const char *token_file;    /* "" = control is off, and reading from elsewhere than loopback refused */
    int32_t max_sockets;       /* further ones get 503 */
    sono_web_limits limits;
    int64_t max_px; /* of a frame; larger ones are not painted */
    int32_t gray16_white;
    int32_t gpu_index; /* as CUDA counts */
    double threshold;
    const sono_serve_board *board;
    /* Draws a frame with the outline of its mask as RGB: sono_serve_overlay_draw(). */
    void (*draw)(const sono_image *image, int32_t gray16_white, const uint8_t *mask, uint8_t *out);
    /* A line for the log, from any thread: event and "key=value ..."; of event "audit", who changed what. */
    void (*log)(void *user, const char *event, const char *text);
    void *user;
} sono_web_setup;

/* 1 = this build has it; 0 = built without civetweb: _open() says so. */
int sono_web_is_there(void);
/* setup: copied, but for the board. Errors: UNSUPPORTED (built without), INVALID_ARGUMENT (the token file),
 * IO (the address, threads), OUT_OF_MEMORY. */
sono_status sono_web_open(const sono_web_setup *setup, sono_web **out, sono_error *error);
int32_t sono_web_port(const sono_web *web);
/* Ends every connection. NULL is allowed. */
void sono_web_close(sono_web *web);

/* ---- feeding --------------------------------------------------------------------------------------------
 */

/* The board has a snapshot of this second. */
void sono_web_second(sono_web *web);
/* A frame was shown. */
void sono_web_trip_shown(sono_web *web, const sono_web_trip *trip);
/* A client has all of a frame. */
void sono_web_sent(sono_web *web, uint64_t frame, int64_t last_ns);
/* What is shown, by words: sono_state_name() or "NONE", and a fault's name or "OK" with its text. */
void sono_web_state(sono_web *web, const char *state, const char *fault, const char *fault_text);
void sono_web_ledger(sono_web *web, const sono_ledger_totals *frame);
/* Share of operations in device memory, percent; NaN = unknown. */
void sono_web_residency(sono_web *web, double percent);
void sono_web_threshold(sono_web *web, double threshold);
void sono_web_log(sono_web *web, const char *event, const char *text);

/* A frame that was shown, with its picture. Everything is copied. */
typedef struct sono_web_frame {
    sono_web_trip trip;
    uint64_t timestamp; /* the source's, seconds << 32 | fraction */
    sono_image image;
    const uint8_t *mask; /* as large as the image, 0 / 255 */
    char device[24];
    float score, iou_predicted, bbox_xyxy_px[4];
    int64_t mask_area_px;
    int32_t is_judged, quality, agreement, reasons; /* as of sono_serve_result */
    const sono_surface_view *surface;               /* NULL = none */
    double engine_ms;
} sono_web_frame;

/* 1 = somebody wants to see a frame, and one is due. */
int sono_web_wants_frame(const sono_web *web, int64_t now_ns);
void sono_web_frame_shown(sono_web *web, const sono_web_frame *frame);
/* The next frame is kept in a folder: <name>_<date>_<frame>.png, _mask.png, _outline.png. 0; out says where.
 * Or -1: out says why not. */
int sono_web_keep_frame(sono_web *web, const char *folder, const char *name, char *out, size_t n_bytes);
/* A fault: no mask is shown any more; those of frames up to last_frame stay away. */
void sono_web_emptied(sono_web *web, uint64_t last_frame, const char *fault, const char *fault_text);

/* ---- control --------------------------------------------------------------------------------------------
 */

typedef enum sono_web_action {
    SONO_WEB_START = 1,
    SONO_WEB_STOP,
    SONO_WEB_THRESHOLD, /* value [0, 1] */
    SONO_WEB_SNAPSHOT,
    SONO_WEB_RECORD /* value 0 or 1 */
} sono_web_action;

typedef struct sono_web_request {
    uint64_t ticket;
    sono_web_action action;
    double value;
} sono_web_request;

/* Readable while _next() has something. The web's own. */
int sono_web_fd(const sono_web *web);
/* 1 = a permitted request that waits to be done, and answered. */
int sono_web_next(sono_web *web, sono_web_request *out);
/* text: what was done, or why not; whoever asked may have gone. */
void sono_web_answer(sono_web *web, uint64_t ticket, int is_done, const char *text);

#endif
