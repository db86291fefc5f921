// SPDX-License-Identifier: Apache-2.0
#include "serve/overlay.h"
#include "serve/service.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* ---- what it asks for -----------------------------------------------------------------------------------
 */

static void do_request(sono_service *service, const sono_web_request *request)
{
    static const struct {
        sono_serve_request request;
        const char *done;
    } doors[] = {
        [SONO_WEB_START] = {SONO_SERVE_REQUEST_START, "analysis is on"},
        [SONO_WEB_STOP] = {SONO_SERVE_REQUEST_STOP, "analysis is off"},
        [SONO_WEB_THRESHOLD] = {SONO_SERVE_REQUEST_THRESHOLD,
                                "the engine is opened again with this threshold"},
        [SONO_WEB_SNAPSHOT] = {SONO_SERVE_REQUEST_SNAPSHOT, ""},
        [SONO_WEB_RECORD] = {SONO_SERVE_REQUEST_RECORD, ""},
    };
    char text[SONO_WEB_ANSWER_BYTES] = "";
    const sono_serve_request door = doors[request->action].request;
    const int failed = sono_service_request(service, door, request->value, text, sizeof text);
    const char *done = request->action == SONO_WEB_RECORD
                           ? (request->value != 0 ? "recording" : "recording pauses")
                       : request->action == SONO_WEB_SNAPSHOT ? text
                                                              : doors[request->action].done;
    sono_web_answer(service->web, request->ticket, !failed, failed ? text : done);
}

static void on_request(void *user, uint32_t events)
{
    sono_service *service = user;
    sono_web_request request;
    (void)events;
    while (sono_web_next(service->web, &request)) {
        do_request(service, &request);
    }
}

/* ---- made and ended -------------------------------------------------------------------------------------
 */

/* From any thread. Frames that are dropped are counted; a line each would drown the others. */
static void on_line(void *user, const char *event, const char *text)
{
    if (strcmp(event, "drop") != 0) {
        sono_web_log(((sono_service *)user)->web, event, text);
    }
}

/* Lines of the web service's own, from its threads. */
static void on_web_log(void *user, const char *event, const char *text)
{
    sono_service *service = user;
    if (service->audit && !strcmp(event, "audit")) {
        sono_serve_log audit = {.lines = service->audit, .is_json = service->log.is_json};
        sono_serve_log_put(&audit, event, text);
        if (service->log.listener) {
            on_line(service, event, text);
        }
    } else {
        sono_serve_log_put(&service->log, event, text);
    }
}

static void fill_setup(sono_service *service, sono_web_setup *out)
{
    const sono_serve_config *config = &service->config;
    const char *number = strchr(config->engine_device, ':');
    *out = (sono_web_setup){
        .listen = config->web_listen,
        .allowed_hosts = config->web_allowed_hosts,
        .token_file = config->control_token_file,
        .max_sockets = config->web_max_sockets,
        .limits = {.rate_hz = {config->web_warning_rate_hz, config->web_critical_rate_hz},
                   .latency_ms = {config->web_warning_latency_ms, config->web_critical_latency_ms},
                   .drop_percent = {config->web_warning_drop_percent, config->web_critical_drop_percent},
                   .gpu_use_percent = {config->web_warning_gpu_percent, config->web_critical_gpu_percent},
                   .gpu_memory_percent = {config->web_warning_gpu_memory_percent,
                                          config->web_critical_gpu_memory_percent},
                   .gpu_temperature_celsius = {config->web_warning_gpu_celsius,
                                               config->web_critical_gpu_celsius}},
        .max_px = (int64_t)config->engine_max_width_px * config->engine_max_height_px,
        .gray16_white = config->engine_gray16_white,
        .gpu_index = number ? (int32_t)strtol(number + 1, NULL, 10) : 0,
        .threshold = config->engine_threshold,
        .board = service->board,
        .draw = sono_serve_overlay_draw,
        .log = on_web_log,
        .user = service,
    };
}

sono_status sono_service_web_open(sono_service *service, sono_error *error)
{
    sono_web_setup setup;
    if (!service->config.web_listen[0]) {
        return SONO_STATUS_OK;
    }
    fill_setup(service, &setup);
    const sono_status status = sono_web_open(&setup, &service->web, error);
    if (status != SONO_STATUS_OK) {
        return status;
    }
    service->log.user = service;
    service->log.listener = on_line;
    sono_serve_log_format(&service->log, "web", "port=%d control=%s", sono_web_port(service->web),
                          service->config.control_token_file[0] ? "token" : "off");
    if (sono_serve_loop_add(&service->loop, &service->web_watch, sono_web_fd(service->web), EPOLLIN,
                            on_request, service)) {
        *error =
            (sono_error){.status = SONO_STATUS_IO, .text = "the web service's descriptor", .where = "serve"};
        return SONO_STATUS_IO;
    }
    return SONO_STATUS_OK;
}

void sono_service_web_close(sono_service *service)
{
    if (!service->web) {
        return;
    }
    if (service->web_watch.fd >= 0) {
        sono_serve_loop_remove(&service->loop, &service->web_watch);
    }
    sono_web_close(service->web); /* its threads log until then */
    service->log.listener = NULL;
    service->web = NULL;
}

/* ---- what it is told ------------------------------------------------------------------------------------
 */

static void give_picture(sono_service *service, const sono_serve_frame *frame,
                         const sono_serve_result *result, const sono_web_trip *trip)
{
    sono_web_frame shown = {.trip = *trip,
                            .timestamp = frame->timestamp,
                            .image = frame->pixels,
                            .mask = result->mask,
                            .score = result->score,
                            .iou_predicted = result->iou_predicted,
                            .mask_area_px = result->mask_area_px,
                            .is_judged = result->is_judged,
                            .quality = result->quality,
                            .agreement = result->agreement,
                            .reasons = result->reasons,
                            .surface = result->has_surface ? &result->surface : NULL,
                            .engine_ms = result->latency_ms};
    memcpy(shown.bbox_xyxy_px, result->bbox_xyxy_px, sizeof shown.bbox_xyxy_px);
    snprintf(shown.device, sizeof shown.device, "%s", frame->device);
    sono_web_frame_shown(service->web, &shown);
}

void sono_service_web_shown(sono_service *service, const sono_serve_frame *frame,
                            const sono_serve_result *result, int64_t shown_ns)
{
    const int64_t now_ns = sono_serve_now_ns();
    if (!service->web) {
        return;
    }
    const sono_web_trip trip = {.frame = frame->id,
                                .received_utc_ns = sono_serve_utc_ns() - (now_ns - frame->received_ns),
                                .received_ns = frame->received_ns,
                                .submitted_ns = frame->submitted_ns,
                                .done_ns = frame->done_ns,
                                .shown_ns = shown_ns,
                                .state = result->state};
    sono_web_trip_shown(service->web, &trip);
    if (result->has_ledger) {
        sono_web_ledger(service->web, &result->ledger);
    }
    if (sono_web_wants_frame(service->web, now_ns)) {
        give_picture(service, frame, result, &trip);
    }
}

void sono_service_web_state(sono_service *service, const char *state, const char *fault,
                            const char *fault_text)
{
    if (service->web) {
        sono_web_state(service->web, state, fault, fault_text);
    }
}

void sono_service_web_engine(sono_service *service)
{
    if (service->web) {
        const double percent = service->info.residency_percent;
        sono_web_residency(service->web, percent < 0 ? NAN : percent);
    }
}
