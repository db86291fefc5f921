// SPDX-License-Identifier: Apache-2.0
/* Made, fed and ended. */
#include "web/parts.h"
#include "web/server.h"

#include "error/error.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int sono_web_is_there(void)
{
    return 1;
}

/* The listen address without its port and brackets. */
static void host_of(const char *listen, char *out, size_t n_bytes)
{
    const int is_bracketed = *listen == '[';
    const size_t n = strcspn(listen + is_bracketed, is_bracketed ? "]" : ":");
    snprintf(out, n_bytes, "%.*s", (int)n, listen + is_bracketed);
}

static sono_status open_parts(sono_web *web, const sono_web_setup *setup, sono_error *error)
{
    char host[256];
    host_of(setup->listen, host, sizeof host);
    web->mailbox.fd = -1;
    if (sono_web_hub_init(&web->hub) || sono_web_mailbox_open(&web->mailbox) ||
        (web->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "web", "a descriptor");
    }
    sono_status status =
        sono_web_guard_open(&web->guard, host, setup->allowed_hosts, setup->token_file, error);
    if (status == SONO_STATUS_OK) {
        web->facts.has_control = web->guard.token[0] != 0;
        status = sono_web_painter_open(&web->hub, &web->setup, &web->painter, error);
    }
    if (status == SONO_STATUS_OK) {
        errno = pthread_create(&web->keeper, NULL, sono_web_keep, web);
        web->has_keeper = !errno;
        status = errno ? sono_live_fail(error, SONO_STATUS_IO, errno, "web", "a thread") : SONO_STATUS_OK;
    }
    return status == SONO_STATUS_OK ? sono_web_server_start(web, setup->listen, error) : status;
}

sono_status sono_web_open(const sono_web_setup *setup, sono_web **out, sono_error *error)
{
    sono_web *web = calloc(1, sizeof *web);
    if (!web) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "web", "out of memory");
    }
    web->setup = *setup;
    web->setup.listen = web->setup.allowed_hosts = web->setup.token_file = NULL;
    web->wake = -1;
    web->facts.max_sockets = setup->max_sockets;
    web->facts.threshold = setup->threshold;
    web->facts.ledger.residency_percent = NAN;
    snprintf(web->facts.state, sizeof web->facts.state, "NONE");
    snprintf(web->facts.fault, sizeof web->facts.fault, "OK");
    sono_web_history_init(&web->history);
    pthread_mutex_init(&web->mutex, NULL);
    pthread_mutex_init(&web->lines.mutex, NULL);
    const sono_status status = open_parts(web, setup, error);
    if (status != SONO_STATUS_OK) {
        sono_web_close(web);
        return status;
    }
    *out = web;
    return SONO_STATUS_OK;
}

int32_t sono_web_port(const sono_web *web)
{
    return web->port;
}

static void wake(const sono_web *web)
{
    const uint64_t one = 1;
    const ssize_t n = write(web->wake, &one, sizeof one);
    (void)n;
}

void sono_web_close(sono_web *web)
{
    if (!web) {
        return;
    }
    sono_web_hub_end(&web->hub);
    sono_web_mailbox_end(&web->mailbox);
    sono_web_server_stop(web);
    if (web->has_keeper) {
        atomic_store(&web->is_over, 1);
        wake(web);
        pthread_join(web->keeper, NULL);
    }
    sono_web_painter_close(web->painter);
    sono_web_guard_close(&web->guard);
    sono_web_mailbox_close(&web->mailbox);
    sono_web_hub_free(&web->hub);
    if (web->wake >= 0) {
        close(web->wake);
    }
    pthread_mutex_destroy(&web->lines.mutex);
    pthread_mutex_destroy(&web->mutex);
    free(web);
}

/* ---- feeding --------------------------------------------------------------------------------------------
 */

static void put(sono_web *web, sono_web_note *note, int wakes)
{
    note->utc_ns = sono_web_utc_ns();
    sono_web_feed_put(&web->feed, note);
    if (wakes) {
        wake(web);
    }
}

void sono_web_second(sono_web *web)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_SECOND};
    put(web, &note, 1);
}

void sono_web_trip_shown(sono_web *web, const sono_web_trip *trip)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_TRIP, .trip = *trip};
    put(web, &note, 0);
}

void sono_web_sent(sono_web *web, uint64_t frame, int64_t last_ns)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_SENT, .trip = {.frame = frame, .sent_ns = last_ns}};
    put(web, &note, 0);
}

static void put_words(sono_web *web, sono_web_note_kind kind, uint64_t frame, const char *state,
                      const char *fault, const char *fault_text)
{
    sono_web_note note = {.kind = kind};
    note.state.frame = frame;
    snprintf(note.state.state, sizeof note.state.state, "%s", state);
    snprintf(note.state.fault, sizeof note.state.fault, "%s", fault);
    snprintf(note.state.text, sizeof note.state.text, "%s", fault_text);
    put(web, &note, 1);
}

void sono_web_state(sono_web *web, const char *state, const char *fault, const char *fault_text)
{
    put_words(web, SONO_WEB_NOTE_STATE, 0, state, fault, fault_text);
}

void sono_web_emptied(sono_web *web, uint64_t last_frame, const char *fault, const char *fault_text)
{
    put_words(web, SONO_WEB_NOTE_EMPTIED, last_frame, "NONE", fault, fault_text);
}

void sono_web_ledger(sono_web *web, const sono_ledger_totals *frame)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_LEDGER, .ledger = *frame};
    put(web, &note, 0);
}

void sono_web_residency(sono_web *web, double percent)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_RESIDENCY, .number = percent};
    put(web, &note, 0);
}

void sono_web_threshold(sono_web *web, double threshold)
{
    sono_web_note note = {.kind = SONO_WEB_NOTE_THRESHOLD, .number = threshold};
    put(web, &note, 0);
}

void sono_web_log(sono_web *web, const char *event, const char *text)
{
    pthread_mutex_lock(&web->lines.mutex);
    if (web->lines.n_written - web->lines.n_read < SONO_WEB_LINES) {
        const uint64_t at = web->lines.n_written++ % SONO_WEB_LINES;
        web->lines.list[at].utc_ns = sono_web_utc_ns();
        snprintf(web->lines.list[at].event, sizeof web->lines.list[at].event, "%s", event);
        snprintf(web->lines.list[at].text, sizeof web->lines.list[at].text, "%s", text);
    }
    pthread_mutex_unlock(&web->lines.mutex);
    wake(web);
}

int sono_web_wants_frame(const sono_web *web, int64_t now_ns)
{
    return sono_web_painter_wants(web->painter, now_ns);
}

void sono_web_frame_shown(sono_web *web, const sono_web_frame *frame)
{
    sono_web_painter_give(web->painter, frame, sono_web_utc_ns());
}

/* A frame that was on its way to the painter before is the next one, too. */
int sono_web_keep_frame(sono_web *web, const char *folder, const char *name, char *out, size_t n_bytes)
{
    char prefix[600], date[32];
    struct tm utc;
    const time_t now = (time_t)(sono_web_utc_ns() / 1000000000);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    snprintf(prefix, sizeof prefix, "%s/%s_%s", folder, name, date);
    if (sono_web_painter_keep(web->painter, prefix)) {
        snprintf(out, n_bytes, "a picture is on its way already: it waits for the next image");
        return -1;
    }
    snprintf(out, n_bytes, "the next image goes to %.200s_*.png", prefix);
    return 0;
}

/* ---- control --------------------------------------------------------------------------------------------
 */

int sono_web_fd(const sono_web *web)
{
    return web->mailbox.fd;
}

int sono_web_next(sono_web *web, sono_web_request *out)
{
    return sono_web_mailbox_take(&web->mailbox, out);
}

void sono_web_answer(sono_web *web, uint64_t ticket, int is_done, const char *text)
{
    sono_web_mailbox_answer(&web->mailbox, ticket, is_done, text);
}
