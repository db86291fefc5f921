// SPDX-License-Identifier: Apache-2.0
/* What the files of the sink share: sink.c (listener, clients, sets), commands.c (what clients ask for),
 * notes.c (messages but masks). Not for others. */
#ifndef SONO_SERVE_SINK_PARTS_H
#define SONO_SERVE_SINK_PARTS_H

#include "serve/client.h"
#include "serve/masks.h"
#include "serve/sink.h"
#include "web/token.h"

#define SONO_SERVE_PARTING_CLIENTS 4 /* one too many, being told so */
#define SONO_SERVE_JSON_BYTES      65536

struct sono_serve_sink {
    sono_serve_config config;
    sono_serve_loop *loop;
    sono_serve_sink_listener listener;
    sono_serve_watch listening;
    int fd;                  /* that listens */
    int64_t listen_again_at; /* after the system had no descriptor; INT64_MAX = it listens */
    int64_t complained_ns;   /* of unsent masks */
    uint64_t complained;
    int32_t port;
    sono_serve_blobs blobs;
    sono_serve_masks masks;
    uint64_t set; /* number of the last one */
    struct {
        uint16_t code;
        char name[SONO_IGTL_DEVICE_CHARS + 1];
        char text[512];
    } status;                         /* the last that went to all */
    char token[SONO_WEB_TOKEN_BYTES]; /* "" = commands need none */
    sono_web_tries tries;
    char json[SONO_SERVE_JSON_BYTES];
    int32_t n_slots;
    sono_serve_client *clients; /* max_clients, then parting ones */
};

/* ---- sink.c ---- */

/* A connection that does not block becomes a client, or is told that there are too many; fd is the sink's. */
void sono_serve_sink_adopt(sono_serve_sink *sink, int fd);
/* A client's connection ends; listener->left is told. */
void sono_serve_sink_drop(sono_serve_sink *sink, sono_serve_client *client, const char *reason);
/* Queues a message of that kind, gives it back (NULL: does nothing), and sends. 0, or -1: client is gone. */
int sono_serve_sink_send(sono_serve_sink *sink, sono_serve_client *client, sono_serve_queue_kind kind,
                         sono_serve_blob *blob);

/* ---- notes.c: one message each, lent once; NULL: no memory, or a text beyond the protocol's limit ---- */

sono_serve_blob *sono_serve_note_status(sono_serve_sink *sink, int32_t version, const char *device,
                                        uint16_t code, const char *name, const char *text);
sono_serve_blob *sono_serve_note_text(sono_serve_sink *sink, int32_t version, const char *text);
sono_serve_blob *sono_serve_note_capability(sono_serve_sink *sink, int32_t version, const char *device);
/* What the mask's value means; its size is 0 until a frame was shown. */
sono_serve_blob *sono_serve_note_labels(sono_serve_sink *sink, int32_t version, const char *device);
/* The answer to a command: RTS_COMMAND with its id and name. */
sono_serve_blob *sono_serve_note_answer(sono_serve_sink *sink, int32_t version, const char *device,
                                        const sono_igtl_command *command, int is_done, const char *text);

/* ---- commands.c ---- */

/* What the client's reader has just told. 0, or -1: client is gone. */
int sono_serve_sink_heard(sono_serve_sink *sink, sono_serve_client *client, sono_igtl_read news);

#endif
