// SPDX-License-Identifier: Apache-2.0
#include "serve/recorder.h"
#include "error/error.h"

#include "serve/loop.h"
#include "serve/recording.h"
#include "serve/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MILLISECOND_NS 1000000
#define TICK_NS        (100 * MILLISECOND_NS)

typedef struct recorder {
    const sono_serve_config *config;
    const sono_serve_recorder_options *options;
    sono_serve_recorder_facts *facts;
    sono_serve_loop loop;
    sono_serve_engine *engine; /* never opened: it lends nothing, images come in the source's own memory */
    sono_serve_source *source;
    sono_serve_recording *recording;
    int64_t first_ns, heard_ns, connect_at_ns, backoff_ns; /* connect_at: INT64_MAX = connected or trying */
    int is_over;
} recorder;

static void tell(recorder *self, const char *text)
{
    snprintf(self->facts->text, sizeof self->facts->text, "%s", text);
}

static void on_up(void *user)
{
    recorder *self = user;
    self->facts->is_connected = 1;
    self->facts->connections++;
    self->heard_ns = sono_serve_now_ns();
    self->backoff_ns = (int64_t)self->config->source_backoff_min_ms * MILLISECOND_NS;
    tell(self, "");
}

/* Tries again after a pause that doubles; one that was connected once may be all that is wanted. */
static void retry(recorder *self)
{
    const int64_t longest_ns = (int64_t)self->config->source_backoff_max_ms * MILLISECOND_NS;
    self->is_over |= self->options->is_once && self->facts->is_connected;
    self->facts->is_connected = 0;
    self->connect_at_ns = sono_serve_now_ns() + self->backoff_ns;
    self->backoff_ns = 2 * self->backoff_ns < longest_ns ? 2 * self->backoff_ns : longest_ns;
}

static void on_down(void *user, const char *reason)
{
    recorder *self = user;
    tell(self, reason);
    retry(self);
}

static void on_heard(void *user)
{
    ((recorder *)user)->heard_ns = sono_serve_now_ns();
}

static void on_frame(void *user, const sono_serve_frame *frame)
{
    recorder *self = user;
    sono_serve_recorder_facts *facts = self->facts;
    self->heard_ns = frame->received_ns;
    if (self->is_over)
        return;
    if (!facts->recorded++)
        self->first_ns = frame->received_ns;
    facts->duration_ns = frame->received_ns - self->first_ns;
    facts->n_bytes += sono_igtl_image_pixel_bytes(&frame->image);
    sono_serve_recording_image(self->recording, frame);
    self->is_over |= self->options->max_frames && facts->recorded >= self->options->max_frames;
}

static void on_settled(void *user)
{
    (void)user;
}

static void on_refused(void *user, uint64_t frame, sono_session_drop why, const char *text)
{
    recorder *self = user;
    (void)frame;
    (void)why;
    self->heard_ns = sono_serve_now_ns();
    self->facts->refused++;
    tell(self, text);
}

static void on_log(void *user, const char *event, const char *text)
{
    (void)user;
    (void)event;
    (void)text;
}

/* A source that says nothing for too long, or does not answer a connection, is given up and tried again. */
static void look_after(recorder *self, int64_t now_ns)
{
    const int32_t patience_ms =
        self->facts->is_connected ? self->config->source_read_ms : self->config->source_connect_ms;
    if (now_ns >= self->connect_at_ns) {
        self->connect_at_ns = INT64_MAX;
        self->heard_ns = now_ns;
        sono_serve_source_connect(self->source);
    } else if (self->connect_at_ns == INT64_MAX && patience_ms &&
               now_ns - self->heard_ns > (int64_t)patience_ms * MILLISECOND_NS) {
        sono_serve_source_disconnect(self->source);
        tell(self, "the source says nothing");
        retry(self);
    }
    if (self->facts->recorded && self->options->max_ns && now_ns - self->first_ns >= self->options->max_ns)
        self->is_over = 1;
}

static sono_status run(recorder *self, sono_error *error)
{
    sono_serve_recording_facts facts = {.is_on = 1};
    while (!self->is_over && facts.is_on) {
        const int64_t now_ns = sono_serve_now_ns();
        look_after(self, now_ns);
        if (sono_serve_loop_round(&self->loop, now_ns + TICK_NS))
            return sono_live_fail(error, SONO_STATUS_IO, errno, "record", "the event loop");
        sono_serve_recording_query(self->recording, &facts);
        if (self->options->progress && self->options->progress(self->options->user, self->facts))
            self->is_over = 1;
    }
    return SONO_STATUS_OK;
}

static sono_status open_all(recorder *self, sono_error *error)
{
    const sono_serve_source_listener listener = {.user = self,
                                                 .up = on_up,
                                                 .down = on_down,
                                                 .heard = on_heard,
                                                 .frame = on_frame,
                                                 .settled = on_settled,
                                                 .refused = on_refused,
                                                 .log = on_log};
    if (sono_serve_loop_open(&self->loop))
        return sono_live_fail(error, SONO_STATUS_IO, errno, "record", "the event loop");
    sono_status status = sono_serve_recording_open(self->config, &self->recording, error);
    if (status == SONO_STATUS_OK)
        status = sono_serve_engine_new(self->config, NULL, NULL, &self->engine, error);
    if (status == SONO_STATUS_OK)
        status =
            sono_serve_source_open(self->config, &self->loop, self->engine, &listener, &self->source, error);
    return status;
}

sono_status sono_serve_recorder_run(const sono_serve_config *config,
                                    const sono_serve_recorder_options *options,
                                    sono_serve_recorder_facts *out, sono_error *error)
{
    recorder self = {.config = config, .options = options, .facts = out, .loop = {.epoll = -1}};
    sono_error closing = {0};
    *out = (sono_serve_recorder_facts){0};
    self.backoff_ns = (int64_t)config->source_backoff_min_ms * MILLISECOND_NS;
    sono_status status = open_all(&self, error);
    if (status == SONO_STATUS_OK)
        status = run(&self, error);
    if (self.source)
        sono_serve_source_close(self.source);
    sono_serve_engine_free(self.engine);
    const sono_status closed = sono_serve_recording_close(self.recording, &closing);
    if (self.loop.epoll >= 0)
        sono_serve_loop_close(&self.loop);
    if (status == SONO_STATUS_OK && closed != SONO_STATUS_OK && error)
        *error = closing;
    return status == SONO_STATUS_OK ? closed : status;
}
