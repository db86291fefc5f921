// SPDX-License-Identifier: Apache-2.0
/* One client's connection: reads small messages, sends what is queued as far as the kernel takes it, never
 * waits. A client that sends garbage or takes nothing for too long is at its end: `reason` says why, the sink
 * closes it. */
#ifndef SONO_SERVE_CLIENT_H
#define SONO_SERVE_CLIENT_H

#include "igtl/reader.h"
#include "serve/loop.h"
#include "serve/queue.h"

#include <netinet/in.h>

#define SONO_SERVE_CLIENT_MAX_BYTES 65536 /* of a message from a client */

typedef struct sono_serve_client {
    int32_t number;
    void *owner;            /* the sink */
    uint64_t set;           /* the sink's last that it got something of */
    sono_serve_watch watch; /* watch.fd < 0: nobody */
    sono_serve_loop *loop;
    sono_serve_blobs *blobs;
    char address[64];     /* "127.0.0.1:51000", "[::1]:51000" */
    struct in6_addr host; /* IPv4 as ::ffff:a.b.c.d */
    int32_t version;      /* of headers sent to it: 1 until it has sent a 2 */
    /* Bits by sono_serve_output: asked for beyond the configuration, stopped against it, wanted once. */
    uint32_t asked, stopped, once;
    int32_t is_parting;  /* one too many: gets a STATUS and is closed at close_at */
    int64_t close_at;    /* INT64_MAX = not parting */
    int64_t progress_ns; /* bytes left, or the queue was empty */
    int64_t since_utc_ns;
    int64_t refused_ns;                /* the time that its refusals are paid up to */
    uint64_t messages, bytes, dropped; /* sent; sets lost to slowness */
    char reason[160];
    sono_serve_queue queue;
    sono_igtl_reader reader;
    uint8_t scratch[SONO_SERVE_CLIENT_MAX_BYTES];
} sono_serve_client;

/* Takes over fd, which does not block. Returns 0, or -1 with errno: fd is the caller's then. */
int sono_serve_client_open(sono_serve_client *client, sono_serve_loop *loop, sono_serve_blobs *blobs, int fd,
                           int32_t stuck_ms, sono_serve_ready_fn ready, void *user);

/* A new stuck_ms for the connection. */
void sono_serve_client_limit(sono_serve_client *client, int32_t stuck_ms);

/* Queues; what is sent follows by _flush(). Returns 0, or -1 when the queue is full. */
int sono_serve_client_queue(sono_serve_client *client, const sono_serve_entry *entry);

/* Sends what the kernel takes. done: as of sono_serve_queue_advance(). Returns 0, or -1: `reason`. */
int sono_serve_client_flush(sono_serve_client *client, sono_serve_done_fn done, void *user);

/* Reads at most to the end of one message. MORE: nothing more for now; else what the reader tells. Returns 0,
 * or -1: `reason`. */
int sono_serve_client_read(sono_serve_client *client, sono_igtl_read *news);

/* 1 while its answers are not taken: it is not read. */
int sono_serve_client_is_full(const sono_serve_client *client);

/* When it is at its end if nothing happens; INT64_MAX = never. */
int64_t sono_serve_client_deadline(const sono_serve_client *client, int32_t stuck_ms);

void sono_serve_client_close(sono_serve_client *client);

#endif
