// SPDX-License-Identifier: Apache-2.0
/* What the files of the web service share among themselves. */
#ifndef SONO_WEB_PARTS_H
#define SONO_WEB_PARTS_H

#include "web/facts.h"
#include "web/feed.h"
#include "web/guard.h"
#include "web/hub.h"
#include "web/painter.h"
#include "web/web.h"

#define SONO_WEB_LINES      64
#define SONO_WEB_LINE_BYTES 400
#define SONO_WEB_REQUESTS   16

/* ---- the keeper: keeper.c --------------------------------------------------------------------------------
 */

/* Lines of the service's log on their way to the keeper; from any thread. */
typedef struct sono_web_lines {
    pthread_mutex_t mutex;
    uint64_t n_written, n_read;
    struct {
        int64_t utc_ns;
        char event[32], text[SONO_WEB_LINE_BYTES];
    } list[SONO_WEB_LINES];
} sono_web_lines;

/* ---- control: mailbox.c ----------------------------------------------------------------------------------
 */

typedef enum sono_web_reply {
    SONO_WEB_DONE,
    SONO_WEB_REFUSED,
    SONO_WEB_NO_REPLY,
    SONO_WEB_FULL
} sono_web_reply;

/* Requests on their way to the loop's thread, bounded; each has somebody who waits for the answer. */
typedef struct sono_web_mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    int fd; /* readable while one is untaken */
    uint64_t last_ticket;
    int is_over;
    struct {
        uint64_t ticket; /* 0 = free */
        int is_taken, is_answered, is_done;
        sono_web_request request;
        char text[SONO_WEB_ANSWER_BYTES];
    } list[SONO_WEB_REQUESTS];
} sono_web_mailbox;

int sono_web_mailbox_open(sono_web_mailbox *box); /* 0, or -1 with errno */
void sono_web_mailbox_close(sono_web_mailbox *box);
void sono_web_mailbox_end(sono_web_mailbox *box); /* who waits is told NO_REPLY */
/* Waits for the loop's answer. */
sono_web_reply sono_web_mailbox_ask(sono_web_mailbox *box, sono_web_action action, double value,
                                    char text[SONO_WEB_ANSWER_BYTES]);
int sono_web_mailbox_take(sono_web_mailbox *box, sono_web_request *out);
void sono_web_mailbox_answer(sono_web_mailbox *box, uint64_t ticket, int is_done, const char *text);

/* ---- all of it -------------------------------------------------------------------------------------------
 */

struct sono_web {
    sono_web_setup setup; /* its texts are not kept */
    sono_web_feed feed;
    int wake; /* eventfd: the keeper has something to do */
    sono_web_lines lines;
    pthread_t keeper;
    int has_keeper;
    atomic_int is_over;
    pthread_mutex_t mutex; /* of facts and history */
    sono_web_facts facts;
    sono_web_history history;
    sono_web_gpu gpu; /* the keeper's alone */
    uint64_t told_trips;
    sono_web_hub hub;
    sono_web_painter *painter;
    sono_web_guard guard;
    sono_web_mailbox mailbox;
    void *server; /* civetweb's */
    int32_t port;
    atomic_int n_sockets, n_streams;
    _Atomic uint64_t n_refused;
    _Atomic int64_t logged_ns; /* when a refusal was last logged */
    atomic_int n_unlogged;
};

int64_t sono_web_now_ns(void); /* monotonic */
int64_t sono_web_utc_ns(void);

void *sono_web_keep(void *web); /* the keeper's thread */
/* Counts of the moment, and the verdict, into facts; with the mutex. */
void sono_web_refresh(sono_web *web, int64_t now_ns);

/* ---- requests: server.c, api.c, stream.c -----------------------------------------------------------------
 */

struct mg_connection;

typedef struct sono_web_call {
    sono_web *web;
    struct mg_connection *connection;
    const char *method, *path, *query;
    sono_web_claims claims;
    int is_head; /* HEAD: the answer without its body */
    char path_text[128];
} sono_web_call;

/* An answer with the headers that all have. extra: more header lines, "" = none. */
void sono_web_answer_bytes(const sono_web_call *call, int status, const char *type, const char *extra,
                           const void *bytes, size_t n_bytes);
void sono_web_answer_error(const sono_web_call *call, int status, const char *code, const char *text);
/* Takes the text along. */
void sono_web_answer_json(const sono_web_call *call, int status, sono_web_text *text);
const char *sono_web_header(const sono_web_call *call, const char *name);
/* A line for the log about a request that was refused, one a second at most. */
void sono_web_log_refused(sono_web *web, const sono_web_call *call, const char *why);

/* Each answers the call if the path is one of theirs: 1, or 0. */
int sono_web_api(const sono_web_call *call);     /* api.c: /api/, /metrics */
int sono_web_control(const sono_web_call *call); /* control.c: what is POSTed */
int sono_web_stream(const sono_web_call *call);  /* stream.c: /ws/, /api/events */
int sono_web_asset(const sono_web_call *call);   /* assets.c: / */

#endif
