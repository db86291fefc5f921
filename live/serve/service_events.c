// SPDX-License-Identifier: Apache-2.0
#include "serve/service.h"

#include <stdio.h>
#include <string.h>

/* ---- the machine ----------------------------------------------------------------------------------------
 */

void sono_service_post(sono_service *service, const sono_session_event *event)
{
    if (service->n_posted == SONO_SERVE_MAX_POSTED) { /* a step posts a few at most */
        sono_serve_log_format(&service->log, "events_lost", "kind=%d", (int)event->kind);
        return;
    }
    int32_t at = (service->posted_at + service->n_posted++) % SONO_SERVE_MAX_POSTED;
    service->posted[at] = *event;
    service->posted[at].now_ns = sono_serve_now_ns();
}

void sono_service_post_kind(sono_service *service, sono_session_event_kind kind)
{
    sono_session_event event = {.kind = kind};
    sono_service_post(service, &event);
}

void sono_service_pump(sono_service *service)
{
    if (service->is_pumping) {
        return;
    }
    service->is_pumping = 1;
    while (service->n_posted) {
        sono_session_event event = service->posted[service->posted_at];
        service->posted_at = (service->posted_at + 1) % SONO_SERVE_MAX_POSTED;
        --service->n_posted;
        sono_session_step(&service->session, &event, &service->actions);
        for (int32_t i = 0; i < service->actions.n; ++i) {
            sono_service_act(service, &service->actions.list[i]);
        }
    }
    service->is_pumping = 0;
    sono_serve_source_pause(service->source, !sono_session_wants_frames(&service->session));
}

/* ---- the source -----------------------------------------------------------------------------------------
 */

static void post_refused(sono_service *service, uint64_t frame, sono_session_drop why)
{
    sono_session_event event = {.kind = SONO_SESSION_REFUSED, .frame = frame, .drop = why};
    sono_service_post(service, &event);
}

void sono_service_tell_held(sono_service *service)
{
    sono_serve_frame *frame = service->held;
    if (!frame) {
        return;
    }
    service->held = NULL;
    if (frame->input) {
        sono_session_event event = {
            .kind = SONO_SESSION_FRAME, .frame = frame->id, .received_ns = frame->received_ns};
        sono_service_post(service, &event);
    } else { /* the engine closed meanwhile */
        post_refused(service, frame->id, SONO_SESSION_DROP_NO_ENGINE);
    }
}

static void on_up(void *user)
{
    sono_service *service = user;
    sono_serve_source_snapshot(service->source, &service->snapshot);
    sono_serve_log_format(&service->log, "source_up", "address=%s", service->snapshot.source_address);
    sono_service_post_kind(service, SONO_SESSION_SOURCE_UP);
    sono_service_pump(service);
}

static void on_down(void *user, const char *reason)
{
    sono_service *service = user;
    sono_serve_log_format(&service->log, "source_down", "reason=\"%s\"", reason);
    sono_service_tell_held(service);
    sono_service_post_kind(service, SONO_SESSION_SOURCE_DOWN);
    sono_service_pump(service);
}

static void on_heard(void *user)
{
    sono_service_post_kind(user, SONO_SESSION_SOURCE_HEARD);
    sono_service_pump(user);
}

/* A whole frame that cannot go into the engine. */
static void lose(sono_service *service, const sono_serve_frame *frame)
{
    if (frame->input) {
        sono_serve_engine_return(service->engine, frame->input);
    }
    if (service->recording) {
        sono_serve_recording_mask(service->recording, frame, NULL,
                                  sono_session_drop_name(SONO_SESSION_DROP_NO_ENGINE));
    }
    sono_service_tell_held(service);
    post_refused(service, frame->id, SONO_SESSION_DROP_NO_ENGINE);
}

static void on_frame(void *user, const sono_serve_frame *frame)
{
    sono_service *service = user;
    if (service->recording && !service->recording_is_paused) {
        sono_serve_recording_image(service->recording, frame);
    }
    sono_serve_frame *kept = frame->input ? sono_serve_frames_add(&service->frames, frame) : NULL;
    if (!kept) {
        lose(service, frame);
    } else {
        if (service->held && !service->config.source_order) { /* a newer one lay behind it in the socket */
            post_refused(service, service->held->id, SONO_SESSION_DROP_SUPERSEDED);
        }
        service->held = kept;
        if (service->config.source_order) {
            sono_service_tell_held(service);
        }
    }
    sono_service_pump(service);
}

static void on_settled(void *user)
{
    sono_service_tell_held(user);
    sono_service_pump(user);
}

static void on_refused(void *user, uint64_t frame, sono_session_drop why, const char *text)
{
    sono_service *service = user;
    sono_service_tell_held(service);
    service->refused_id = frame;
    snprintf(service->refused_text, sizeof service->refused_text, "%s", text);
    post_refused(service, frame, why);
    sono_service_pump(service);
}

static void on_log(void *user, const char *event, const char *text)
{
    sono_service *service = user;
    if (service->audit && !strcmp(event, "audit")) {
        sono_serve_log audit = {.lines = service->audit, .is_json = service->log.is_json};
        sono_serve_log_put(&audit, event, text);
    } else {
        sono_serve_log_put(&service->log, event, text);
    }
}

sono_serve_source_listener sono_service_source_listener(sono_service *service)
{
    return (sono_serve_source_listener){.user = service,
                                        .up = on_up,
                                        .down = on_down,
                                        .heard = on_heard,
                                        .frame = on_frame,
                                        .settled = on_settled,
                                        .refused = on_refused,
                                        .log = on_log};
}

/* ---- clients --------------------------------------------------------------------------------------------
 */

static void on_joined(void *user, int32_t client)
{
    sono_session_event event = {.kind = SONO_SESSION_CLIENT, .client = client};
    sono_service_post(user, &event);
    sono_service_pump(user);
}

static void on_left(void *user, int32_t client, const char *reason)
{
    sono_service *service = user;
    sono_serve_log_format(&service->log, "client_left", "client=%d reason=\"%s\"", client, reason);
}

sono_serve_sink_listener sono_service_sink_listener(sono_service *service)
{
    return (sono_serve_sink_listener){.user = service,
                                      .joined = on_joined,
                                      .left = on_left,
                                      .request = sono_service_request,
                                      .sent = sono_service_sent,
                                      .log = on_log};
}

/* ---- the engine -----------------------------------------------------------------------------------------
 */

static void engine_is_up(sono_service *service)
{
    sono_session_limits limits;
    service->has_been_up = 1;
    sono_serve_engine_query(service->engine, &service->info);
    sono_serve_sink_describe(service->sink, &service->info);
    sono_serve_log_format(&service->log, "engine_up", "kind=%s backend=%s precision=%s detector=\"%s\"",
                          service->info.kind, service->info.backend, service->info.precision,
                          service->info.detector);
    sono_service_limits(service, &limits);
    sono_session_reload(&service->session, &limits);
    sono_service_web_engine(service);
    sono_service_post_kind(service, SONO_SESSION_ENGINE_UP);
}

/* What another attempt does not mend: files and values. A device may come back. */
static int is_lasting(sono_status status)
{
    return status == SONO_STATUS_INVALID_ARGUMENT || status == SONO_STATUS_IO ||
           status == SONO_STATUS_FORMAT || status == SONO_STATUS_UNSUPPORTED ||
           status == SONO_STATUS_MODEL_MISMATCH || status == SONO_STATUS_LIMIT;
}

static void engine_is_down(sono_service *service, const sono_error *error)
{
    if (error->status != SONO_STATUS_OK) {
        sono_serve_log_format(&service->log, "engine_failed", "status=%s text=\"%s\"",
                              sono_status_name(error->status), error->text);
        if (!service->has_been_up && is_lasting(error->status)) {
            sono_service_give_up(service, error);
            return;
        }
    } else {
        sono_serve_log_put(&service->log, "engine_down", "");
    }
    sono_service_post_kind(service, SONO_SESSION_ENGINE_DOWN);
}

static void post_of_frame(sono_service *service, sono_session_event_kind kind,
                          const sono_serve_result *result)
{
    sono_session_event event = {.kind = kind, .frame = result->frame, .state = result->state};
    sono_serve_frame *frame = sono_serve_frames_find(&service->frames, result->frame);
    if (frame) {
        frame->done_ns = sono_serve_now_ns();
    }
    sono_service_post(service, &event);
}

void sono_service_on_engine(void *user, uint32_t events)
{
    sono_service *service = user;
    sono_serve_engine_news news;
    (void)events;
    do {
        sono_serve_result result;
        sono_error error = {.status = SONO_STATUS_OK};
        news = sono_serve_engine_next(service->engine, &result, &error);
        service->kpi.last_news_ns = sono_serve_now_ns();
        if (news == SONO_SERVE_ENGINE_UP) {
            engine_is_up(service);
        } else if (news == SONO_SERVE_ENGINE_DOWN) {
            engine_is_down(service, &error);
        } else if (news == SONO_SERVE_ENGINE_RESULT) {
            service->result = &result;
            post_of_frame(service, SONO_SESSION_RESULT, &result);
        } else if (news == SONO_SERVE_ENGINE_LOSS) {
            sono_serve_log_format(&service->log, "engine_loss", "frame=%llu status=%s text=\"%s\"",
                                  (unsigned long long)result.frame, sono_status_name(error.status),
                                  error.text);
            post_of_frame(service, SONO_SESSION_LOSS, &result);
        }
        sono_service_pump(service);
        if (service->result) { /* of a frame that the machine had given up */
            sono_serve_engine_release(service->engine, service->result);
            service->result = NULL;
        }
    } while (news != SONO_SERVE_ENGINE_NOTHING && !service->is_over);
}

/* Events of single frames are the latency file's; the others are told. */
void sono_service_on_event(void *user, const sono_event *event)
{
    sono_service_bridge *bridge = user;
    char text[1024];
    if (event->kind == SONO_EVENT_FRAME_IN || event->kind == SONO_EVENT_SAM_CALL_START ||
        event->kind == SONO_EVENT_SAM_CALL_END || event->kind == SONO_EVENT_INFER_FRAME) {
        return;
    }
    sono_event_format(event, text, sizeof text);
    const char *pairs = strstr(text, " event=");
    pairs = pairs ? strchr(pairs + 1, ' ') : NULL;
    pthread_mutex_lock(&bridge->mutex);
    if (bridge->log) {
        sono_serve_log_put(bridge->log, sono_event_name(event->kind), pairs ? pairs + 1 : "");
    }
    pthread_mutex_unlock(&bridge->mutex);
}

/* ---- the recording --------------------------------------------------------------------------------------
 */

void sono_service_on_recording(void *user, uint32_t events)
{
    sono_service *service = user;
    sono_serve_recording_facts facts;
    (void)events;
    sono_serve_loop_remove(&service->loop, &service->recording_watch);
    sono_serve_recording_query(service->recording, &facts);
    sono_serve_log_format(&service->log, "recording_stopped", "recorded=%llu reason=\"%s\"",
                          (unsigned long long)facts.recorded, facts.error);
    sono_serve_sink_status(service->sink, -1, SONO_IGTL_CODE_RESOURCES, "RECORDING_STOPPED", facts.error);
}
