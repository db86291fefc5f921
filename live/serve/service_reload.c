// SPDX-License-Identifier: Apache-2.0
#include "serve/service.h"

#include <inttypes.h>
#include <stdio.h>

/* The file, over what runs. A file with a fault changes nothing. */
static int read_again(sono_service *service, char *changed, size_t n_bytes)
{
    sono_serve_config fresh, merged = service->config;
    sono_error error;
    sono_serve_config_init(&fresh);
    sono_status status = sono_serve_config_read(&fresh, service->config.path, &error);
    if (status == SONO_STATUS_OK) {
        sono_serve_config_reload(&merged, &fresh, changed, n_bytes);
        status = sono_serve_config_check(&merged, &error);
    }
    if (status != SONO_STATUS_OK) {
        sono_serve_log_format(&service->log, "reload_refused", "text=\"%s\"", error.text);
        return -1;
    }
    service->config = merged;
    return 0;
}

static void apply(sono_service *service)
{
    sono_session_limits limits;
    sono_service_limits(service, &limits);
    sono_session_reload(&service->session, &limits);
    sono_serve_source_reload(service->source, &service->config);
    sono_serve_sink_reload(service->sink, &service->config);
}

void sono_service_reload(sono_service *service)
{
    char line[64], changed[512] = "";
    snprintf(line, sizeof line, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, sono_serve_now_ns() / 1000);
    sono_serve_notify_send(&service->notify, line);
    sono_serve_lines_reopen(service->log.lines);
    sono_serve_lines_reopen(service->log.errors);
    sono_serve_lines_reopen(service->audit);
    sono_serve_lines_reopen(service->latency);
    if (service->config.path[0] && !read_again(service, changed, sizeof changed)) {
        apply(service);
        sono_serve_log_format(&service->log, "reloaded", "file=\"%s\" restart_for=\"%s\"",
                              service->config.path, changed);
    }
    sono_serve_notify_send(&service->notify, "READY=1");
}

static int keep_frame(sono_service *service, char *why, size_t n_bytes)
{
    const char *folder = service->config.record_folder;
    if (!service->web || !*folder) {
        snprintf(why, n_bytes, "%s",
                 *folder ? "there is no web service, which makes pictures: see web.listen"
                         : "there is no place for pictures: see record.folder");
        return -1;
    }
    return sono_web_keep_frame(service->web, folder, service->config.record_name, why, n_bytes);
}

/* Files stay open, and readable. */
static int pause_recording(sono_service *service, int is_paused, char *why, size_t n_bytes)
{
    if (!service->recording) {
        snprintf(why, n_bytes, "nothing is recorded here: see record.folder");
        return -1;
    }
    service->recording_is_paused = is_paused;
    sono_serve_log_format(&service->log, "recording", "paused=%d", is_paused);
    return 0;
}

int sono_service_request(void *user, sono_serve_request request, double value, char *why, size_t n_bytes)
{
    sono_service *service = user;
    switch (request) {
    case SONO_SERVE_REQUEST_SNAPSHOT:
        return keep_frame(service, why, n_bytes);
    case SONO_SERVE_REQUEST_RECORD:
        return pause_recording(service, value == 0, why, n_bytes);
    case SONO_SERVE_REQUEST_STATUS:
        sono_service_snapshot(service);
        return sono_serve_snapshot_json(&service->snapshot, why, n_bytes) < n_bytes ? 0 : -1;
    case SONO_SERVE_REQUEST_START:
        sono_service_post_kind(service, SONO_SESSION_RESUME);
        break;
    case SONO_SERVE_REQUEST_STOP:
        sono_service_post_kind(service, SONO_SESSION_PAUSE);
        break;
    case SONO_SERVE_REQUEST_THRESHOLD:
        if (!(value >= 0 && value <= 1)) {
            snprintf(why, n_bytes, "the threshold is in [0, 1]");
            return -1;
        }
        service->config.engine_threshold = value;
        sono_serve_engine_set_threshold(service->engine, value);
        if (service->web) {
            sono_web_threshold(service->web, value);
        }
        sono_service_post_kind(service, SONO_SESSION_REOPEN);
        break;
    }
    sono_service_pump(service);
    return 0;
}
