// SPDX-License-Identifier: Apache-2.0
/*
 * One client's messages that were not sent yet, oldest first. Pure but for the memory of messages.
 *
 * Messages of one frame are a set, and only whole sets of which nothing was sent are dropped, oldest first.
 * A STATUS or a text takes the place of an older one of its kind that nothing was sent of. Whatever was begun
 * is sent to its end.
 */
#ifndef SONO_SERVE_QUEUE_H
#define SONO_SERVE_QUEUE_H

#include "serve/blobs.h"

#include <sys/uio.h>

#define SONO_SERVE_QUEUE_SETS    64 /* that may wait */
#define SONO_SERVE_QUEUE_ANSWERS 16 /* the client is not read while so many wait */
#define SONO_SERVE_QUEUE_ENTRIES (6 * (SONO_SERVE_QUEUE_SETS + 1) + SONO_SERVE_QUEUE_ANSWERS + 8)

typedef enum sono_serve_queue_kind {
    SONO_SERVE_QUEUE_SET = 1, /* of a frame, or an empty mask */
    SONO_SERVE_QUEUE_STATUS,
    SONO_SERVE_QUEUE_TEXT,
    SONO_SERVE_QUEUE_ANSWER /* to a query: neither dropped nor replaced */
} sono_serve_queue_kind;

typedef struct sono_serve_entry {
    sono_serve_blob *blob;
    sono_serve_queue_kind kind;
    uint64_t set;   /* number of its set, 0 = none */
    uint64_t frame; /* whose mask this is, 0 = none */
    int64_t queued_ns;
} sono_serve_entry;

typedef struct sono_serve_queue {
    int32_t n;
    int32_t n_answers;
    size_t sent_bytes;  /* of the first entry */
    int64_t first_ns;   /* when the first byte of it was sent */
    uint64_t begun_set; /* of the last entry of which a byte was sent */
    uint64_t n_bytes;   /* to be sent */
    sono_serve_entry entries[SONO_SERVE_QUEUE_ENTRIES];
} sono_serve_queue;

/* Makes room for one more set where at most max_sets (above 0) may wait with it, 0 = no other one. Returns
 * the number of sets that were dropped. */
int32_t sono_serve_queue_make_room(sono_serve_queue *queue, sono_serve_blobs *blobs, int32_t max_sets);

/* Appends, or replaces. Shares entry->blob. Returns 0, or -1: full, and nothing is changed. */
int sono_serve_queue_add(sono_serve_queue *queue, sono_serve_blobs *blobs, const sono_serve_entry *entry);

/* What to send next; returns how many of `max` parts are filled in. */
int32_t sono_serve_queue_parts(const sono_serve_queue *queue, struct iovec *parts, int32_t max);

/* n_bytes of that were taken at now_ns; done: told of each message whose last byte was among them. Returns
 * how many those were. */
typedef void (*sono_serve_done_fn)(void *user, const sono_serve_entry *entry, int64_t first_ns,
                                   int64_t last_ns);
int32_t sono_serve_queue_advance(sono_serve_queue *queue, sono_serve_blobs *blobs, size_t n_bytes,
                                 int64_t now_ns, sono_serve_done_fn done, void *user);

/* When the oldest message of a set was queued; INT64_MAX = none. */
int64_t sono_serve_queue_oldest_ns(const sono_serve_queue *queue);

void sono_serve_queue_clear(sono_serve_queue *queue, sono_serve_blobs *blobs);

#endif
