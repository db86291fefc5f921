// SPDX-License-Identifier: Apache-2.0
#include "serve/service.h"

#include <stdio.h>
#include <string.h>

/* An engine that closes takes its memory along. */
static void close_engine(sono_service *service)
{
    for (int32_t i = 0; i < SONO_SERVE_MAX_FRAMES; ++i) {
        service->frames.list[i].input = NULL;
    }
    sono_serve_source_forget_input(service->source);
    if (service->result) {
        sono_serve_engine_release(service->engine, service->result);
        service->result = NULL;
    }
    sono_serve_engine_close(service->engine);
}

static void submit(sono_service *service, uint64_t id)
{
    sono_serve_frame *frame = sono_serve_frames_find(&service->frames, id);
    sono_error error = {.status = SONO_STATUS_STATE};
    sono_status status = SONO_STATUS_STATE;
    if (frame && frame->input) {
        void *input = frame->input;
        frame->input = NULL;
        frame->submitted_ns = sono_serve_now_ns();
        status = sono_serve_engine_submit(service->engine, input, &frame->pixels, &frame->info, &error);
    }
    if (status != SONO_STATUS_OK) {
        sono_session_event event = {.kind = SONO_SESSION_LOSS, .frame = id};
        sono_serve_log_format(&service->log, "submit_failed", "frame=%llu status=%s text=\"%s\"",
                              (unsigned long long)id, sono_status_name(status), error.text);
        sono_service_post(service, &event);
    }
}

static void end_frame(sono_service *service, uint64_t id, sono_session_drop why)
{
    sono_serve_frame *frame = sono_serve_frames_find(&service->frames, id);
    if (frame) {
        if (frame->input) {
            sono_serve_engine_return(service->engine, frame->input);
        }
        if (service->recording) {
            const sono_serve_result *result = service->result;
            sono_serve_recording_mask(service->recording, frame,
                                      result && result->frame == id ? result : NULL,
                                      sono_session_drop_name(why));
        }
        sono_serve_frames_remove(frame);
    }
}

static void give_back_result(sono_service *service)
{
    if (service->result) {
        sono_serve_engine_release(service->engine, service->result);
        service->result = NULL;
    }
}

static void log_drop(sono_service *service, const sono_session_action *action)
{
    const char *why = action->frame == service->refused_id ? service->refused_text : "";
    sono_serve_log_format(&service->log, "drop", "frame=%llu reason=%s%s%s%s",
                          (unsigned long long)action->frame, sono_session_drop_name(action->drop),
                          *why ? " text=\"" : "", why, *why ? "\"" : "");
}

static void show(sono_service *service, uint64_t id)
{
    sono_serve_frame *frame = sono_serve_frames_find(&service->frames, id);
    const sono_serve_result *result = service->result;
    if (!frame || !result || result->frame != id) {
        return;
    }
    sono_service_shown(service, frame, result);
    const int64_t shown_ns = sono_serve_sink_show(service->sink, frame, result);
    if (service->recording) {
        sono_serve_recording_mask(service->recording, frame, result, NULL);
    }
    sono_serve_recent_add(&service->kpi.latency_ms, (double)(shown_ns - frame->received_ns) * 1e-6);
    sono_service_web_shown(service, frame, result, shown_ns);
    sono_serve_frames_remove(frame);
    give_back_result(service);
}

/* Without a fault: the state of what is shown. */
static const char *state_text(int32_t state)
{
    switch (state) {
    case SONO_STATE_VISIBLE:
        return "VISIBLE: masks are shown";
    case SONO_STATE_LOST:
        return "LOST: nothing was found in the last image";
    case SONO_STATE_RELOCALIZING:
        return "RELOCALIZING: masks are shown";
    default:
        return "ready: no image was analysed yet";
    }
}

static void tell_status(sono_service *service, const sono_session_action *action)
{
    int is_fault = action->fault != SONO_SESSION_FAULT_NONE;
    const char *name = sono_session_fault_name(action->fault);
    const char *text = is_fault ? sono_session_fault_text(action->fault) : state_text(action->state);
    sono_serve_sink_status(service->sink, action->client, sono_session_fault_code(action->fault), name, text);
    if (action->client < 0) {
        sono_service_web_state(service,
                               action->state < 0 ? "NONE" : sono_state_name((sono_state)action->state), name,
                               is_fault ? text : "");
    }
    if (action->client < 0 && strcmp(service->snapshot.fault, name) != 0) {
        char line[256];
        snprintf(service->snapshot.fault, sizeof service->snapshot.fault, "%s", name);
        snprintf(line, sizeof line, "STATUS=%s: %s", name, text);
        sono_serve_notify_send(&service->notify, line);
        sono_serve_log_format(&service->log, "state", "fault=%s text=\"%s\"", service->snapshot.fault, text);
    }
}

void sono_service_act(sono_service *service, const sono_session_action *action)
{
    switch (action->kind) {
    case SONO_SESSION_CONNECT:
        sono_serve_source_connect(service->source);
        break;
    case SONO_SESSION_DISCONNECT:
        sono_serve_log_put(&service->log, "source_cut", "");
        sono_serve_source_disconnect(service->source);
        sono_service_tell_held(service);
        break;
    case SONO_SESSION_OPEN_ENGINE:
        sono_serve_engine_open(service->engine);
        break;
    case SONO_SESSION_CLOSE_ENGINE:
        if (action->fault == SONO_SESSION_FAULT_ENGINE) {
            sono_serve_log_format(&service->log, "engine_hangs", "text=\"%s\"",
                                  sono_serve_engine_is_opening(service->engine)
                                      ? "loading the models takes longer than engine.open_ms"
                                      : "an image is in it for longer than engine.hang_ms");
        }
        close_engine(service);
        break;
    case SONO_SESSION_SUBMIT:
        submit(service, action->frame);
        break;
    case SONO_SESSION_DROP:
        log_drop(service, action);
        end_frame(service, action->frame, action->drop);
        break;
    case SONO_SESSION_SHOW:
        show(service, action->frame);
        break;
    case SONO_SESSION_DISCARD:
        log_drop(service, action);
        end_frame(service, action->frame, action->drop);
        give_back_result(service);
        break;
    case SONO_SESSION_EMPTY:
        sono_serve_sink_empty(service->sink, action->client, sono_session_fault_name(action->fault),
                              sono_session_fault_text(action->fault));
        if (service->web && action->client < 0) {
            sono_web_emptied(service->web, service->kpi.last_frame, sono_session_fault_name(action->fault),
                             sono_session_fault_text(action->fault));
        }
        break;
    case SONO_SESSION_STATUS:
        tell_status(service, action);
        break;
    case SONO_SESSION_TEXT:
        sono_service_text(service);
        break;
    case SONO_SESSION_EXIT:
        service->is_over = 1;
        service->exit_status = action->status;
        break;
    }
}
