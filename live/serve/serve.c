// SPDX-License-Identifier: Apache-2.0
#include "serve/serve.h"
#include "error/error.h"
#include "serve/service.h"
#include "serve/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MS              INT64_C(1000000)
#define CUDA_MAX_AGE_MS 500
#define CUDA_HANG_MS    10000
#define CPU_HANG_MS     120000
#define TWICE_NS        (500 * MS) /* a signal that comes to a process and to its group is one */
#define FLUSH_NS        (500 * MS)
#define LAST_RESORT_S   3
#define STILL_NS        (60000 * MS) /* an engine without a limit may be still for so long */
#define NULL_ENGINE_WARN                                                                                     \
    "text=\"engine.kind is null: nothing is analysed, masks mark pixels of 128 and above\""

/* ---- limits ---------------------------------------------------------------------------------------------
 */

static int is_on_cuda(const sono_service *service)
{
    return !strcmp(service->info.backend, "cuda");
}

static int64_t max_age_ns(const sono_service *service)
{
    int32_t ms = service->config.mailbox_max_age_ms;
    if (ms < 0) {
        ms = is_on_cuda(service) ? CUDA_MAX_AGE_MS : 0;
    }
    return ms * MS;
}

static int64_t hang_ns(const sono_service *service)
{
    int32_t ms = service->config.engine_hang_ms;
    if (ms < 0) {
        ms = is_on_cuda(service) ? CUDA_HANG_MS : CPU_HANG_MS;
    }
    return ms * MS;
}

void sono_service_limits(const sono_service *service, sono_session_limits *out)
{
    const sono_serve_config *config = &service->config;
    sono_session_limits_init(out);
    out->depth = config->engine_depth;
    out->n_waiting = config->mailbox_n_waiting;
    out->in_order = config->source_order;
    out->max_age_ns = max_age_ns(service);
    out->max_latency_ns = config->engine_max_latency_ms * MS;
    out->stall_ns = config->source_stall_ms * MS;
    out->read_ns = config->source_read_ms * MS;
    out->connect_ns = config->source_connect_ms * MS;
    out->backoff_min_ns = config->source_backoff_min_ms * MS;
    out->backoff_max_ns = config->source_backoff_max_ms * MS;
    out->keep_alive_ns = config->sink_keep_alive_ms * MS;
    out->text_ns = 1000 * MS;
    out->engine_ns = hang_ns(service);
    out->open_ns = config->engine_open_ms * MS;
    out->close_ns = config->engine_close_ms * MS;
    out->drain_ns = config->service_drain_ms * MS;
    out->frame_error_limit = config->engine_error_limit;
}

void sono_service_give_up(sono_service *service, const sono_error *error)
{
    service->is_over = 1;
    service->exit_status = 1;
    service->error = *error;
}

/* ---- signals --------------------------------------------------------------------------------------------
 */

static void on_signals(void *user, uint32_t events)
{
    sono_service *service = user;
    (void)events;
    for (int number; (number = sono_serve_signals_next(service->signals)) != 0;) {
        if (number == SIGHUP) {
            sono_service_reload(service);
        } else if (!service->stop_ns || sono_serve_now_ns() - service->stop_ns >= TWICE_NS) {
            service->stop_ns = sono_serve_now_ns();
            sono_serve_log_format(&service->log, "stopping", "signal=%d", number);
            sono_serve_notify_send(&service->notify, "STOPPING=1");
            sono_service_post_kind(service, SONO_SESSION_STOP);
        }
    }
    sono_service_pump(service);
}

/* ---- made -----------------------------------------------------------------------------------------------
 */

/* Which lines are kept, and for how long. Of the audit log no file is removed, and each line is on the disk
 * before the next is written. */
static void set_logs(sono_service *service)
{
    const sono_serve_config *config = &service->config;
    const sono_serve_rotation rotation = {.max_bytes = (int64_t)config->log_max_mb << 20,
                                          .max_age_s = (int64_t)config->log_max_age_h * 3600,
                                          .n_kept = config->log_keep};
    char why[256];
    service->log.has_levels =
        !sono_serve_levels_parse(config->log_levels, &service->log.levels, why, sizeof why);
    sono_serve_lines_rotate(service->log.lines, &rotation);
    sono_serve_lines_rotate(service->log.errors, &rotation);
    sono_serve_lines_rotate(service->latency, &rotation);
    sono_serve_rotation all = rotation;
    all.n_kept = rotation.n_kept ? SONO_SERVE_ROTATE_MOST : 0;
    sono_serve_lines_rotate(service->audit, &all);
    sono_serve_lines_sync(service->audit);
}

static sono_status open_logs(sono_service *service, sono_error *error)
{
    const sono_serve_config *config = &service->config;
    sono_status status = sono_serve_log_open(&service->log, config->log_events, config->log_format, error);
    if (status == SONO_STATUS_OK && config->log_latency[0]) {
        status =
            sono_serve_lines_open(config->log_latency, sono_service_latency_head, &service->latency, error);
    }
    if (status == SONO_STATUS_OK && config->log_audit[0]) {
        status = sono_serve_lines_open(config->log_audit, NULL, &service->audit, error);
    }
    if (status == SONO_STATUS_OK && config->log_errors[0]) {
        status = sono_serve_lines_open(config->log_errors, NULL, &service->log.errors, error);
    }
    if (status == SONO_STATUS_OK && config->log_snapshot[0]) {
        status = sono_serve_snapshot_file_open(config->log_snapshot, &service->snapshot_file, error);
    }
    if (status == SONO_STATUS_OK) {
        set_logs(service);
    }
    return status;
}

static sono_status open_loop(sono_service *service, sono_error *error)
{
    service->board = sono_serve_board_new();
    if (!service->board) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "serve", "out of memory");
    }
    if (sono_serve_loop_open(&service->loop) ||
        sono_serve_loop_add(&service->loop, &service->signals_watch, service->signals, EPOLLIN, on_signals,
                            service)) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "serve", "the event loop");
    }
    if (sono_serve_notify_open(&service->notify)) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "serve", "NOTIFY_SOCKET");
    }
    return SONO_STATUS_OK;
}

static sono_status open_engine(sono_service *service, sono_error *error)
{
    sono_service_bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "serve", "out of memory");
    }
    pthread_mutex_init(&bridge->mutex, NULL);
    bridge->log = &service->log;
    service->bridge = bridge;
    sono_status status =
        sono_serve_engine_new(&service->config, sono_service_on_event, bridge, &service->engine, error);
    if (status != SONO_STATUS_OK) {
        return status;
    }
    if (sono_serve_loop_add(&service->loop, &service->engine_watch, sono_serve_engine_fd(service->engine),
                            EPOLLIN, sono_service_on_engine, service)) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "serve", "the engine's descriptor");
    }
    sono_serve_engine_query(service->engine, &service->info);
    return SONO_STATUS_OK;
}

static sono_status open_recording(sono_service *service, sono_error *error)
{
    if (!service->config.record_folder[0]) {
        return SONO_STATUS_OK;
    }
    sono_status status = sono_serve_recording_open(&service->config, &service->recording, error);
    if (status == SONO_STATUS_OK && sono_serve_loop_add(&service->loop, &service->recording_watch,
                                                        sono_serve_recording_fd(service->recording), EPOLLIN,
                                                        sono_service_on_recording, service)) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "serve", "the recording's descriptor");
    }
    return status;
}

static sono_status open_all(sono_service *service, sono_error *error)
{
    sono_session_limits limits;
    sono_serve_source_listener source = sono_service_source_listener(service);
    sono_serve_sink_listener sink = sono_service_sink_listener(service);
    sono_status status = open_logs(service, error);
    if (status == SONO_STATUS_OK) {
        status = open_loop(service, error);
    }
    if (status == SONO_STATUS_OK) {
        status = open_engine(service, error);
    }
    if (status == SONO_STATUS_OK) {
        status = open_recording(service, error);
    }
    if (status == SONO_STATUS_OK) {
        status = sono_service_web_open(service, error);
    }
    if (status == SONO_STATUS_OK) {
        status = sono_serve_source_open(&service->config, &service->loop, service->engine, &source,
                                        &service->source, error);
    }
    if (status == SONO_STATUS_OK) {
        status = sono_serve_sink_open(&service->config, &service->loop, &sink, &service->sink, error);
    }
    sono_service_limits(service, &limits);
    if (status == SONO_STATUS_OK && sono_session_init(&service->session, &limits)) {
        status = sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "serve",
                                "the limits contradict each other: source.backoff_max_ms %d is below "
                                "source.backoff_min_ms %d",
                                service->config.source_backoff_max_ms, service->config.source_backoff_min_ms);
    }
    return status;
}

/* ---- run ------------------------------------------------------------------------------------------------
 */

/* Fed while the loop turns and, where frames are in the engine, it tells of them. */
static void feed_watchdog(sono_service *service, int64_t now_ns)
{
    int64_t hang = hang_ns(service);
    int64_t still_ns = hang ? 2 * (hang + service->config.engine_close_ms * MS) : STILL_NS;
    if (!service->notify.watchdog_ns || now_ns < service->watchdog_at_ns) {
        return;
    }
    service->watchdog_at_ns = now_ns + service->notify.watchdog_ns / 2;
    if (!service->session.counts.in_engine) {
        service->kpi.last_news_ns = now_ns;
    }
    if (now_ns - service->kpi.last_news_ns < still_ns) {
        sono_serve_notify_send(&service->notify, "WATCHDOG=1");
    }
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int turn(sono_service *service)
{
    int64_t deadline =
        earliest(sono_session_deadline(&service->session), sono_serve_sink_deadline(service->sink));
    if (service->notify.watchdog_ns) {
        deadline = earliest(deadline, service->watchdog_at_ns);
    }
    if (sono_serve_loop_round(&service->loop, deadline)) {
        return -1;
    }
    int64_t now_ns = sono_serve_now_ns();
    if (now_ns >= sono_serve_sink_deadline(service->sink)) {
        sono_serve_sink_tick(service->sink, now_ns);
    }
    if (now_ns >= sono_session_deadline(&service->session)) {
        sono_service_post_kind(service, SONO_SESSION_TICK);
    }
    sono_service_pump(service);
    feed_watchdog(service, now_ns);
    return 0;
}

static void run_loop(sono_service *service)
{
    service->kpi.started_ns = service->kpi.last_at_ns = service->kpi.last_news_ns = sono_serve_now_ns();
    sono_service_post_kind(service, SONO_SESSION_START);
    sono_service_pump(service);
    while (!service->is_over) {
        if (turn(service)) {
            sono_error error;
            sono_live_fail(&error, SONO_STATUS_IO, errno, "serve", "epoll");
            sono_service_give_up(service, &error);
        }
    }
}

/* ---- ended ----------------------------------------------------------------------------------------------
 */

/* Clients get what is queued for them, the last STATUS among it. */
static void flush_sink(sono_service *service)
{
    int64_t until = sono_serve_now_ns() + FLUSH_NS;
    while (sono_serve_sink_queued_bytes(service->sink) && sono_serve_now_ns() < until) {
        if (sono_serve_loop_round(&service->loop, until)) {
            return;
        }
    }
}

/* The process ends for certain, even where a device's library waits for what hangs. */
static void *last_resort(void *user)
{
    struct timespec span = {.tv_sec = LAST_RESORT_S};
    (void)user;
    nanosleep(&span, NULL);
    _exit(1);
}

static void close_bridge(sono_service_bridge *bridge, int is_unused)
{
    if (!bridge) {
        return;
    }
    pthread_mutex_lock(&bridge->mutex);
    bridge->log = NULL;
    pthread_mutex_unlock(&bridge->mutex);
    if (is_unused) {
        pthread_mutex_destroy(&bridge->mutex);
        free(bridge);
    }
}

static void close_engine(sono_service *service)
{
    pthread_t thread;
    if (service->engine_watch.fd >= 0) {
        sono_serve_loop_remove(&service->loop, &service->engine_watch);
    }
    if (service->exit_status && service->session.engine != SONO_ENGINE_CLOSED &&
        (service->has_been_up || sono_serve_engine_is_opening(service->engine))) {
        if (!pthread_create(&thread, NULL, last_resort, NULL)) {
            pthread_detach(thread);
        }
        close_bridge(service->bridge, 0);
        return; /* it does not close, so its memory stays */
    }
    sono_serve_engine_free(service->engine);
    close_bridge(service->bridge, 1);
}

static void close_all(sono_service *service)
{
    sono_error error;
    if (service->sink) {
        flush_sink(service);
    }
    sono_serve_source_close(service->source);
    if (service->sink) {
        sono_serve_sink_close(service->sink);
    }
    if (service->recording) { /* joining takes as long as copying it all */
        sono_serve_notify_send(&service->notify, "EXTEND_TIMEOUT_USEC=1800000000");
    }
    if (sono_serve_recording_close(service->recording, &error) != SONO_STATUS_OK) {
        sono_serve_log_format(&service->log, "recording_failed", "text=\"%s\"", error.text);
    }
    close_engine(service);
    sono_service_web_close(service);
    sono_serve_notify_close(&service->notify);
    sono_serve_loop_close(&service->loop);
    sono_serve_board_free(service->board);
    sono_serve_log_format(&service->log, "stopped", "status=%d", service->exit_status);
    sono_serve_snapshot_file_close(service->snapshot_file);
    sono_serve_lines_close(service->latency);
    sono_serve_lines_close(service->audit);
    sono_serve_lines_close(service->log.errors);
    sono_serve_log_close(&service->log);
}

static void begin(sono_service *service, void (*ready)(void *user, int32_t port, int32_t web_port),
                  void *user)
{
    int32_t port = sono_serve_sink_port(service->sink);
    sono_serve_log_format(&service->log, "started", "version=%s port=%d source=%s engine=%s", sono_version(),
                          port, service->config.source_address, service->info.kind);
    if (service->config.engine_kind) {
        sono_serve_log_put(&service->log, "warning", NULL_ENGINE_WARN);
    }
    sono_serve_sink_describe(service->sink, &service->info);
    if (ready) {
        ready(user, port, service->web ? sono_web_port(service->web) : 0);
    }
    sono_serve_notify_send(&service->notify, "READY=1");
}

int sono_serve_has_web(void)
{
    return sono_web_is_there();
}

int sono_serve_run(const sono_serve_config *config, void (*ready)(void *user, int32_t port, int32_t web_port),
                   void *user, sono_error *error)
{
    sono_service *service = calloc(1, sizeof *service);
    if (!service) {
        sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "serve", "out of memory");
        return 1;
    }
    service->config = *config;
    service->loop.epoll = service->notify.fd = -1;
    service->signals_watch.fd = service->engine_watch.fd = service->recording_watch.fd =
        service->web_watch.fd = -1;
    service->signals = sono_serve_signals_open();
    if (service->signals < 0) {
        sono_live_fail(&service->error, SONO_STATUS_IO, errno, "serve", "signals");
        service->exit_status = 1;
    } else if (open_all(service, &service->error) != SONO_STATUS_OK) {
        service->exit_status = 1;
    } else {
        begin(service, ready, user);
        run_loop(service);
        if (service->exit_status && service->error.status == SONO_STATUS_OK) {
            sono_live_fail(&service->error, SONO_STATUS_DEVICE, 0, "serve",
                           "the engine was still open: it did not close in time, or a second signal came");
        }
    }
    close_all(service);
    sono_serve_signals_close(service->signals);
    int status = service->exit_status;
    if (status && error) {
        *error = service->error;
    }
    free(service);
    return status;
}
