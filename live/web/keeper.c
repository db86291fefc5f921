// SPDX-License-Identifier: Apache-2.0
/* The keeper's thread: takes the loop's notes, keeps the history, judges, and tells streams. */
#include "web/parts.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MS 100 /* notes that wake nobody wait so long at most */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sono_web_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t sono_web_utc_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void sono_web_refresh(sono_web *web, int64_t now_ns)
{
    sono_web_findings findings;
    sono_web_facts *facts = &web->facts;
    facts->n_sockets = (uint64_t)atomic_load(&web->n_sockets);
    facts->n_refused = atomic_load(&web->n_refused);
    facts->n_painted = web->painter ? sono_web_painter_count(web->painter) : 0;
    facts->n_feed_dropped = atomic_load(&web->feed.n_dropped);
    facts->n_frame_streams = (uint64_t)atomic_load(&web->hub.n_frame_streams);
    sono_web_find(facts, &web->history, now_ns, &findings);
    sono_web_judge(&findings, &web->setup.limits, &facts->verdict);
}

/* ---- events ---------------------------------------------------------------------------------------------
 */

/* name, text and, with the mutex, what is shown. */
static void tell(sono_web *web, const char *name, int64_t utc_ns, const char *event_text)
{
    sono_web_text text = {0};
    sono_web_json_number(&text, "time", (double)utc_ns * 1e-9, 6);
    sono_web_json_string(&text, "name", name);
    sono_web_json_string(&text, "text", event_text);
    sono_web_json_string(&text, "state", web->facts.state);
    sono_web_json_string(&text, "fault", web->facts.fault);
    sono_web_json_string(&text, "level", sono_web_level_name(web->facts.verdict.level));
    sono_web_json_close(&text, '}', 0);
    if (!text.is_failed) {
        sono_web_hub_event(&web->hub, name, text.bytes);
    }
    sono_web_text_free(&text);
}

/* A verdict of another level is an event. */
static void judge(sono_web *web, int64_t now_ns)
{
    const sono_web_level before = web->facts.verdict.level;
    sono_web_refresh(web, now_ns);
    const sono_web_verdict *verdict = &web->facts.verdict;
    if (verdict->level != before) {
        tell(web, "verdict", sono_web_utc_ns(), verdict->n ? verdict->reasons[0].text : "all is well");
    }
}

static void take_lines(sono_web *web)
{
    char event[32], line[SONO_WEB_LINE_BYTES + 40];
    for (;;) {
        pthread_mutex_lock(&web->lines.mutex);
        const int is_there = web->lines.n_read < web->lines.n_written;
        const uint64_t at = web->lines.n_read % SONO_WEB_LINES;
        int64_t utc_ns = 0;
        if (is_there) {
            utc_ns = web->lines.list[at].utc_ns;
            memcpy(event, web->lines.list[at].event, sizeof event);
            snprintf(line, sizeof line, "%s%s%s", event, web->lines.list[at].text[0] ? " " : "",
                     web->lines.list[at].text);
            web->lines.n_read++;
        }
        pthread_mutex_unlock(&web->lines.mutex);
        if (!is_there) {
            return;
        }
        tell(web, !strcmp(event, "audit") ? "control" : "log", utc_ns, line);
    }
}

/* ---- notes ----------------------------------------------------------------------------------------------
 */

static void make_point(const sono_web_facts *facts, sono_web_point *out)
{
    const sono_serve_snapshot *s = &facts->snapshot;
    const sono_web_gpu_facts *gpu = &facts->gpu;
    *out = (sono_web_point){
        .utc_ns = s->utc_ns,
        .level = facts->verdict.level,
        .rate_in_hz = s->rate_in_hz,
        .rate_out_hz = s->rate_out_hz,
        .received = s->received,
        .processed = s->processed,
        .dropped = sono_web_dropped(s),
        .lost = sono_web_lost(s),
        .waiting = s->waiting,
        .in_engine = s->in_engine,
        .n_clients = (uint32_t)s->n_clients,
        .gpu_use_percent = gpu->is_known ? gpu->use_percent : NAN,
        .gpu_memory_percent = gpu->memory_total_bytes
                                  ? 100.0 * (double)gpu->memory_used_bytes / (double)gpu->memory_total_bytes
                                  : NAN,
        .gpu_temperature_celsius = gpu->is_known ? gpu->temperature_celsius : NAN,
        .gpu_power_watts = gpu->is_known ? gpu->power_watts : NAN,
    };
    snprintf(out->state, sizeof out->state, "%s", facts->state);
    snprintf(out->fault, sizeof out->fault, "%s", facts->fault);
}

static sono_web_blob *message_of(const sono_web_text *text)
{
    return text->is_failed ? NULL : sono_web_blob_new(text->bytes, text->n_bytes);
}

/* The newest trips, and everything else. Two messages in one blob, with a line end between. */
static void publish(sono_web *web)
{
    sono_web_text text = {0};
    sono_web_write_latest(&text, "metrics", &web->facts, &web->history);
    sono_web_text_put(&text, "\n", 1);
    sono_web_write_trips(&text, "trips", &web->history, web->told_trips, SONO_WEB_TRIPS);
    web->told_trips = web->history.n_trips;
    sono_web_blob *blob = message_of(&text);
    if (blob) {
        sono_web_hub_metrics(&web->hub, blob);
    }
    sono_web_text_free(&text);
}

/* What takes a while is asked for before the mutex is taken. */
static void take_second(sono_web *web)
{
    sono_web_point point;
    sono_serve_snapshot snapshot;
    sono_web_gpu_facts gpu = {0};
    sono_web_process process = web->facts.process;
    const int64_t now_ns = sono_web_now_ns();
    sono_serve_snapshot_read(web->setup.board, &snapshot);
    sono_web_process_sample(&process, now_ns);
    if (!strcmp(snapshot.backend, "cuda")) {
        sono_web_gpu_sample(&web->gpu, web->setup.gpu_index, &gpu);
    }
    pthread_mutex_lock(&web->mutex);
    web->facts.snapshot = snapshot;
    web->facts.has_snapshot = 1;
    web->facts.told_ns = now_ns;
    web->facts.process = process;
    web->facts.gpu = gpu;
    judge(web, now_ns);
    make_point(&web->facts, &point);
    sono_web_history_second(&web->history, &point);
    publish(web);
    pthread_mutex_unlock(&web->mutex);
}

/* With the mutex. */
static void take_state(sono_web *web, const sono_web_note *note)
{
    sono_web_facts *facts = &web->facts;
    char line[256];
    snprintf(facts->state, sizeof facts->state, "%s", note->state.state);
    snprintf(facts->fault, sizeof facts->fault, "%s", note->state.fault);
    snprintf(facts->fault_text, sizeof facts->fault_text, "%s", note->state.text);
    if (sono_web_history_state(&web->history, note->utc_ns, facts->state, facts->fault)) {
        const int is_fault = strcmp(facts->fault, "OK") != 0;
        snprintf(line, sizeof line, "%s%s%s", is_fault ? facts->fault : facts->state, is_fault ? ": " : "",
                 is_fault ? facts->fault_text : "");
        judge(web, sono_web_now_ns());
        tell(web, "state", note->utc_ns, line);
    }
}

static void take_emptied(sono_web *web, const sono_web_note *note)
{
    sono_web_picture *picture = sono_web_picture_new(0, 0);
    if (!picture) {
        return;
    }
    picture->head.frame = note->state.frame;
    picture->head.is_empty = 1;
    snprintf(picture->head.state, sizeof picture->head.state, "NONE");
    snprintf(picture->head.fault, sizeof picture->head.fault, "%s", note->state.fault);
    snprintf(picture->head.fault_text, sizeof picture->head.fault_text, "%s", note->state.text);
    picture->head.shown_utc_ns = note->utc_ns;
    picture->head.shown_ns = sono_web_now_ns();
    sono_web_hub_picture(&web->hub, picture);
}

static void take_note(sono_web *web, const sono_web_note *note)
{
    if (note->kind == SONO_WEB_NOTE_SECOND) {
        take_second(web);
        return;
    }
    pthread_mutex_lock(&web->mutex);
    switch (note->kind) {
    case SONO_WEB_NOTE_TRIP:
        sono_web_history_trip(&web->history, &note->trip);
        break;
    case SONO_WEB_NOTE_SENT:
        sono_web_history_sent(&web->history, note->trip.frame, note->trip.sent_ns);
        break;
    case SONO_WEB_NOTE_STATE:
        take_state(web, note);
        break;
    case SONO_WEB_NOTE_EMPTIED:
        take_emptied(web, note);
        break;
    case SONO_WEB_NOTE_LEDGER:
        sono_web_ledger_add(&web->facts.ledger, &note->ledger);
        break;
    case SONO_WEB_NOTE_RESIDENCY:
        web->facts.ledger.residency_percent = note->number;
        break;
    case SONO_WEB_NOTE_THRESHOLD:
        web->facts.threshold = note->number;
        break;
    case SONO_WEB_NOTE_SECOND:
        break;
    }
    pthread_mutex_unlock(&web->mutex);
}

void *sono_web_keep(void *user)
{
    sono_web *web = user;
    struct pollfd wake = {.fd = web->wake, .events = POLLIN};
    sono_web_note note;
    uint64_t n;
    while (!atomic_load(&web->is_over)) {
        if (poll(&wake, 1, ROUND_MS) < 0 && errno != EINTR) {
            break;
        }
        while (read(web->wake, &n, sizeof n) > 0) {
        }
        while (sono_web_feed_take(&web->feed, &note)) {
            take_note(web, &note);
        }
        take_lines(web);
        pthread_mutex_lock(&web->mutex);
        judge(web, sono_web_now_ns()); /* a loop that hangs tells nothing */
        pthread_mutex_unlock(&web->mutex);
    }
    sono_web_gpu_close(&web->gpu);
    return NULL;
}
