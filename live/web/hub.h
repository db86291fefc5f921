// SPDX-License-Identifier: Apache-2.0
/*
 * Where streams (WebSockets, server-sent events) wait for news. The hub keeps the newest picture, the newest
 * metrics and the last events; each stream remembers how far it is and takes what is newest when it has time.
 * So a stream has a queue of one place, holds one picture at most, and delays nobody. Thread-safe.
 */
#ifndef SONO_WEB_HUB_H
#define SONO_WEB_HUB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SONO_WEB_EVENTS  256
#define SONO_WEB_STREAMS 256

/* Bytes that are shared; whoever holds one gives it back by sono_web_blob_drop(). */
typedef struct sono_web_blob {
    atomic_int n_users;
    size_t n_bytes;
    char bytes[];
} sono_web_blob;

/* Lent once; NULL: out of memory. */
sono_web_blob *sono_web_blob_new(const void *bytes, size_t n_bytes);
void sono_web_blob_drop(sono_web_blob *blob); /* NULL is allowed */

#define SONO_WEB_SURFACE_POINTS 2048
#define SONO_WEB_SURFACE_LINES  128

/* What is told of a frame that was shown, or of the mask that a fault has emptied. */
typedef struct sono_web_head {
    uint64_t frame, timestamp;
    int32_t is_empty; /* 1: no mask is shown */
    char state[16], fault[24], fault_text[128], device[24];
    int32_t width_px, height_px;
    int64_t received_utc_ns, shown_utc_ns, received_ns, shown_ns;
    float score, iou_predicted, bbox_xyxy_px[4];
    int32_t has_box;
    int64_t area_px;
    int32_t is_judged, quality, agreement, reasons;
    double latency_ms, engine_ms;
    int32_t has_surface, n_points, n_lines;
    float points_px[SONO_WEB_SURFACE_POINTS][2];
    int32_t line_starts[SONO_WEB_SURFACE_LINES + 1];
} sono_web_head;

/* A picture: a head (sono_web_head) and behind it the JPEG, 0 bytes for an emptied mask. */
typedef struct sono_web_picture {
    atomic_int n_users;
    sono_web_head head;
    size_t n_jpeg, n_png; /* one behind the other */
    uint8_t bytes[];
} sono_web_picture;

sono_web_picture *sono_web_picture_new(size_t n_jpeg, size_t n_png); /* as a blob's */
void sono_web_picture_drop(sono_web_picture *picture);

typedef struct sono_web_event {
    uint64_t seq; /* from 1 */
    char name[16];
    sono_web_blob *json; /* the object */
} sono_web_event;

typedef struct sono_web_hub {
    pthread_mutex_t mutex;
    pthread_cond_t painted; /* a picture came; CLOCK_MONOTONIC */
    int is_over;
    sono_web_event events[SONO_WEB_EVENTS];
    uint64_t n_events;
    sono_web_blob *metrics; /* the whole message */
    uint64_t n_metrics;
    sono_web_picture *picture;
    uint64_t n_pictures;
    uint64_t emptied_through; /* frames up to it are not shown any more */
    int waiters[SONO_WEB_STREAMS];
    double hz[SONO_WEB_STREAMS]; /* pictures a second that it wants; 0 = none */
    int32_t n_waiters;
    _Atomic int64_t interval_ns; /* between pictures, of the most eager stream; 0 = nobody wants any */
    _Atomic int32_t n_frame_streams;
} sono_web_hub;

int sono_web_hub_init(sono_web_hub *hub); /* 0, or -1 */
void sono_web_hub_free(sono_web_hub *hub);
/* Every stream is woken and finds is_over. */
void sono_web_hub_end(sono_web_hub *hub);
/* fd: an eventfd that is written to at news. 0, or -1: too many. hz: pictures a second, 0 = none. */
int sono_web_hub_join(sono_web_hub *hub, int fd, double hz);
void sono_web_hub_leave(sono_web_hub *hub, int fd);

/* json: without "seq", which is put in front: `"name":...}`. */
void sono_web_hub_event(sono_web_hub *hub, const char *name, const char *members);
/* message: handed over. */
void sono_web_hub_metrics(sono_web_hub *hub, sono_web_blob *message);
/* picture: handed over; passed over where its frame is not shown any more. An emptied one ends all frames up
 * to its own. */
void sono_web_hub_picture(sono_web_hub *hub, sono_web_picture *picture);

/* Where a stream is. */
typedef struct sono_web_place {
    uint64_t event, metrics, picture;
} sono_web_place;

/* Behind everything that has been, but for the newest metrics and the newest picture. */
void sono_web_hub_now(sono_web_hub *hub, sono_web_place *place);
/* 1 = there is something newer than the place, which moves on; what was taken is to be given back. is_over is
 * told as 0. */
int sono_web_hub_next_event(sono_web_hub *hub, sono_web_place *place, sono_web_event *out);
int sono_web_hub_next_metrics(sono_web_hub *hub, sono_web_place *place, sono_web_blob **out);
/* only_empty: only one that says that no mask is shown. */
int sono_web_hub_next_picture(sono_web_hub *hub, sono_web_place *place, int only_empty,
                              sono_web_picture **out);
/* The newest picture, NULL = there is none. Waits until deadline_ns (monotonic) for one of a frame that was
 * shown after since_ns, with a PNG where asked for, or for an emptied one. */
sono_web_picture *sono_web_hub_wait_picture(sono_web_hub *hub, int64_t since_ns, int wants_png,
                                            int64_t deadline_ns);
int sono_web_hub_is_over(sono_web_hub *hub);

#endif
