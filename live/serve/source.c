// SPDX-License-Identifier: Apache-2.0
#include "serve/source_parts.h"
#include "error/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEFAULT_PORT     18944
#define ROUND_BYTES      (1024 * 1024)
#define MAX_METADATA     (256 * 1024) /* of an image: a value of 70,000 bytes is legal */
#define UNSETTLED_MAX_NS 4000000      /* a source that never pauses: its newest frame is told so often */

static void on_socket(void *user, uint32_t events);
static void try_addresses(sono_serve_source *source);

void sono_serve_source_log(sono_serve_source *source, const char *event, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    source->listener.log(source->listener.user, event, text);
}

/* ---- the link -------------------------------------------------------------------------------------------
 */

static void close_socket(sono_serve_source *source)
{
    sono_serve_loop_remove(source->loop, &source->watch);
    if (source->fd >= 0) {
        close(source->fd);
    }
    source->fd = -1;
    source->phase = SONO_SERVE_SOURCE_IDLE;
    ++source->generation;
    source->unsettled_ns = 0;
}

/* Closes it; an image under way was cut. */
static void cut(sono_serve_source *source)
{
    int is_frame = source->under_way.is_frame;
    close_socket(source);
    if (is_frame) {
        sono_serve_source_image_fail(source, SONO_SESSION_DROP_CUT, "the link ended within it");
    }
}

__attribute__((format(printf, 2, 3))) static void go_down(sono_serve_source *source, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    cut(source);
    source->listener.down(source->listener.user, reason);
}

/* What says that the peer is gone when it cannot say so itself: within 5 s. */
static void set_options(int fd)
{
    int on = 1, idle_s = 2, interval_s = 1, count = 3, unanswered_ms = 5000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

/* 0, or -1 with errno. */
static int send_hello(sono_serve_source *source)
{
    while (source->hello_at < source->hello_bytes) {
        ssize_t n = send(source->fd, source->hello + source->hello_at, source->hello_bytes - source->hello_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        source->hello_at += (size_t)n;
    }
    return 0;
}

static uint32_t wanted_events(const sono_serve_source *source)
{
    return EPOLLIN | (source->hello_at < source->hello_bytes ? EPOLLOUT : 0u);
}

/* A paused socket is out of the loop altogether: the end of the link would be told round after round. */
static int watch_socket(sono_serve_source *source)
{
    if (source->is_paused) {
        sono_serve_loop_remove(source->loop, &source->watch);
        return 0;
    }
    if (source->watch.fd < 0) {
        return sono_serve_loop_add(source->loop, &source->watch, source->fd, wanted_events(source), on_socket,
                                   source);
    }
    return sono_serve_loop_change(source->loop, &source->watch, wanted_events(source));
}

static void connected(sono_serve_source *source)
{
    sono_igtl_limits limits = {.max_body_bytes = (uint64_t)source->config.source_max_message_mb << 20,
                               .max_metadata_bytes = MAX_METADATA};
    source->phase = SONO_SERVE_SOURCE_UP;
    source->is_paused = 0;
    source->is_unknown_told = 0;
    source->device[0] = 0;
    source->transforms = (sono_serve_transforms){0};
    ++source->n_connections;
    set_options(source->fd);
    sono_igtl_reader_init(&source->reader, &limits, source->scratch, source->scratch_bytes);
    sono_serve_source_hello(source);
    if (send_hello(source) || watch_socket(source)) {
        go_down(source, "%s: %s", source->peer, strerror(errno));
        return;
    }
    source->listener.up(source->listener.user);
}

/* Begins with the address at_address. 1 = under way, or it stands; 0 with errno = failed. */
static int try_one(sono_serve_source *source)
{
    const struct sockaddr_storage *address = &source->addresses.list[source->at_address];
    sono_serve_address_text(address, source->peer, sizeof source->peer);
    source->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (source->fd < 0) {
        return 0;
    }
    int code =
        connect(source->fd, (const struct sockaddr *)address, source->addresses.n_bytes[source->at_address]);
    if (code && errno != EINPROGRESS && errno != EINTR) {
        return 0;
    }
    if (sono_serve_loop_add(source->loop, &source->watch, source->fd, EPOLLOUT, on_socket, source)) {
        return 0;
    }
    source->phase = SONO_SERVE_SOURCE_CONNECTING;
    return 1;
}

/* From at_address on, until one is under way. */
static void try_addresses(sono_serve_source *source)
{
    int code = 0;
    for (; source->at_address < source->addresses.n; ++source->at_address) {
        if (try_one(source)) {
            return;
        }
        code = errno;
        close_socket(source);
    }
    go_down(source, "%s: %s", source->peer, strerror(code));
}

static void end_attempt(sono_serve_source *source)
{
    int code = 0;
    socklen_t n = sizeof code;
    if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &code, &n)) {
        code = errno;
    }
    if (!code) {
        connected(source);
        return;
    }
    close_socket(source);
    if (++source->at_address < source->addresses.n) {
        try_addresses(source);
    } else {
        go_down(source, "%s: %s", source->peer, strerror(code));
    }
}

static void on_resolved(void *user, uint32_t events)
{
    sono_serve_source *source = user;
    (void)events;
    if (!sono_serve_resolver_take(source->resolver, &source->addresses) ||
        source->phase != SONO_SERVE_SOURCE_RESOLVING) {
        return;
    }
    source->phase = SONO_SERVE_SOURCE_IDLE;
    source->at_address = 0;
    if (source->addresses.n) {
        try_addresses(source);
    } else {
        go_down(source, "%s: %s", source->config.source_address, source->addresses.error);
    }
}

void sono_serve_source_connect(sono_serve_source *source)
{
    if (source->phase != SONO_SERVE_SOURCE_IDLE) {
        return;
    }
    source->at_address = 0;
    if (source->resolver) {
        source->phase = SONO_SERVE_SOURCE_RESOLVING;
        sono_serve_resolver_ask(source->resolver);
    } else {
        try_addresses(source);
    }
}

void sono_serve_source_disconnect(sono_serve_source *source)
{
    if (source->phase != SONO_SERVE_SOURCE_IDLE) {
        cut(source);
    }
}

/* ---- the stream ------------------------------------------------------------------------------------------
 */

static int is_type(const sono_serve_source *source, const char *type)
{
    return !strcmp(source->reader.header.type, type);
}

static sono_serve_arrival arrived(const sono_serve_source *source)
{
    const sono_igtl_reader *reader = &source->reader;
    return (sono_serve_arrival){.header = &reader->header,
                                .device = reader->header.device,
                                .image = &reader->image,
                                .image_head = reader->image_head,
                                .body = &reader->body};
}

static void begin_image(sono_serve_source *source)
{
    sono_serve_arrival arrival = arrived(source);
    sono_serve_source_image_begin(source, &arrival);
    sono_igtl_reader_place(&source->reader, source->under_way.pixels);
}

static void end_image(sono_serve_source *source, int has_crc)
{
    sono_serve_arrival arrival = arrived(source);
    sono_serve_source_image_end(source, &arrival, has_crc);
}

static void take_message(sono_serve_source *source)
{
    static const char *const silent[] = {"STATUS", "STRING",  "CAPABILITY", "POLYDATA",
                                         "LBMETA", "IMGMETA", "TDATA",      "POSITION"};
    if (is_type(source, "IMAGE")) {
        end_image(source, 1);
        return;
    }
    if (is_type(source, "BIND")) {
        sono_serve_source_bind(source);
        return;
    }
    if (is_type(source, "TRANSFORM")) {
        sono_serve_transforms_message(&source->transforms, &source->reader.header, &source->reader.body);
        return;
    }
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; ++i) {
        if (is_type(source, silent[i])) {
            return;
        }
    }
    ++source->n_unknown;
    if (!source->is_unknown_told) {
        source->is_unknown_told = 1;
        sono_serve_source_log(source, "source_unknown", "type=%s text=\"skipped, as are all after it\"",
                              source->reader.header.type);
    }
}

/* A message that is none: an image of our device is a frame that was refused. */
static void take_refused(sono_serve_source *source)
{
    const sono_igtl_fault *fault = &source->reader.fault;
    sono_session_drop drop = fault->status == SONO_IGTL_CRC     ? SONO_SESSION_DROP_CHECKSUM
                             : fault->status == SONO_IGTL_LIMIT ? SONO_SESSION_DROP_TOO_LARGE
                                                                : SONO_SESSION_DROP_MALFORMED;
    const char *wanted = source->config.source_device[0] ? source->config.source_device : source->device;
    int is_frame =
        source->under_way.is_frame ||
        (is_type(source, "IMAGE") && (!wanted[0] || !strcmp(wanted, source->reader.header.device)));
    ++source->n_refused;
    source->n_bad_crc += fault->status == SONO_IGTL_CRC;
    sono_serve_source_log(source, "source_refused", "type=%s device=\"%s\" offset=%lld reason=\"%s\"",
                          source->reader.header.type, source->reader.header.device,
                          (long long)fault->offset_bytes, fault->reason);
    if (is_frame) {
        sono_serve_source_image_fail(source, drop, fault->reason);
    }
}

static void take(sono_serve_source *source, sono_igtl_read what)
{
    switch (what) {
    case SONO_IGTL_READ_MORE:
        break;
    case SONO_IGTL_READ_IMAGE:
        begin_image(source);
        break;
    case SONO_IGTL_READ_MESSAGE:
        ++source->n_messages;
        take_message(source);
        break;
    case SONO_IGTL_READ_BAD_CRC:
        ++source->n_messages;
        ++source->n_bad_crc;
        if (is_type(source, "IMAGE")) {
            end_image(source, 0);
        }
        break;
    case SONO_IGTL_READ_REFUSED:
        ++source->n_messages;
        take_refused(source);
        break;
    case SONO_IGTL_READ_BROKEN:
        ++source->n_refused;
        go_down(source, "%s: not OpenIGTLink, or damaged: %s", source->peer, source->reader.fault.reason);
        break;
    }
}

static void settle(sono_serve_source *source)
{
    if (source->unsettled_ns) {
        source->unsettled_ns = 0;
        source->listener.settled(source->listener.user);
    }
}

/* Reads ROUND_BYTES at most. A read that gives less than there was room for has emptied the socket. */
static void read_round(sono_serve_source *source)
{
    uint32_t generation = source->generation;
    size_t left = ROUND_BYTES;
    int is_empty = 0;
    while (left && !is_empty && source->generation == generation && !source->is_paused) {
        uint8_t *where;
        size_t room = sono_igtl_reader_want(&source->reader, &where);
        room = room < left ? room : left;
        ssize_t n = recv(source->fd, where, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            int code = errno;
            settle(source);
            if (source->generation == generation) {
                go_down(source, "%s: %s", source->peer, n ? strerror(code) : "closed by the source");
            }
            return;
        }
        is_empty = n < (ssize_t)room;
        if (n > 0) {
            source->n_bytes += (uint64_t)n;
            left -= (size_t)n;
            take(source, sono_igtl_reader_take(&source->reader, (size_t)n));
        }
    }
    if (source->generation != generation) {
        return;
    }
    if (left < ROUND_BYTES) {
        source->listener.heard(source->listener.user);
    }
    if (is_empty || (source->unsettled_ns && sono_serve_now_ns() - source->unsettled_ns > UNSETTLED_MAX_NS)) {
        settle(source);
    }
}

static void on_socket(void *user, uint32_t events)
{
    sono_serve_source *source = user;
    if (source->phase == SONO_SERVE_SOURCE_CONNECTING) {
        end_attempt(source);
        return;
    }
    if (events & EPOLLOUT) {
        if (send_hello(source) || watch_socket(source)) {
            go_down(source, "%s: %s", source->peer, strerror(errno));
            return;
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_round(source);
    }
}

void sono_serve_source_pause(sono_serve_source *source, int is_paused)
{
    if (source->phase != SONO_SERVE_SOURCE_UP || source->is_paused == is_paused) {
        return;
    }
    source->is_paused = is_paused;
    if (watch_socket(source)) {
        go_down(source, "%s: %s", source->peer, strerror(errno));
    }
}

void sono_serve_source_forget_input(sono_serve_source *source)
{
    if (source->under_way.input) {
        source->under_way.input = NULL;
        source->under_way.pixels = NULL;
        source->reader.pixels = NULL;
    }
}

/* ---- made and freed --------------------------------------------------------------------------------------
 */

static sono_status find_address(sono_serve_source *source, sono_error *error)
{
    char host[256];
    int32_t port;
    const char *text = source->config.source_address;
    if (sono_serve_address_split(text, DEFAULT_PORT, host, sizeof host, &port)) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "source",
                              "source.address \"%s\" is no host:port", text);
    }
    if (sono_serve_resolve_numeric(host, port, &source->addresses)) {
        return SONO_STATUS_OK;
    }
    source->resolver = sono_serve_resolver_new(host, port);
    if (!source->resolver ||
        sono_serve_loop_add(source->loop, &source->resolver_watch, sono_serve_resolver_fd(source->resolver),
                            EPOLLIN, on_resolved, source)) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "source", "the thread that resolves \"%s\"",
                              host);
    }
    return SONO_STATUS_OK;
}

static sono_status take_config(sono_serve_source *source, const sono_serve_config *config, sono_error *error)
{
    sono_serve_window window;
    if (sono_serve_window_parse(config->source_window, &window)) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "source",
                              "source.window \"%s\" is not LOW,HIGH with LOW below HIGH",
                              config->source_window);
    }
    source->config = *config;
    source->window = window;
    return SONO_STATUS_OK;
}

static sono_status take_memory(sono_serve_source *source, sono_error *error)
{
    const sono_serve_config *config = &source->config;
    size_t image_bytes = 4 * (size_t)config->engine_max_width_px * (size_t)config->engine_max_height_px;
    source->scratch_bytes = SONO_SERVE_SCRATCH_BYTES + image_bytes;
    source->scratch = malloc(source->scratch_bytes);
    if (config->record_folder[0]) {
        source->staging_bytes = image_bytes;
        source->staging = malloc(source->staging_bytes);
    }
    if (!source->scratch || (source->staging_bytes && !source->staging)) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "source", "out of memory");
    }
    return SONO_STATUS_OK;
}

sono_status sono_serve_source_open(const sono_serve_config *config, sono_serve_loop *loop,
                                   sono_serve_engine *engine, const sono_serve_source_listener *listener,
                                   sono_serve_source **out, sono_error *error)
{
    sono_serve_source *source = calloc(1, sizeof *source);
    if (!source) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "source", "out of memory");
    }
    source->loop = loop;
    source->engine = engine;
    source->listener = *listener;
    source->fd = source->watch.fd = source->resolver_watch.fd = -1;
    sono_status status = take_config(source, config, error);
    if (status == SONO_STATUS_OK) {
        status = take_memory(source, error);
    }
    if (status == SONO_STATUS_OK) {
        status = find_address(source, error);
    }
    if (status != SONO_STATUS_OK) {
        sono_serve_source_close(source);
        return status;
    }
    *out = source;
    return SONO_STATUS_OK;
}

void sono_serve_source_reload(sono_serve_source *source, const sono_serve_config *config)
{
    if (strcmp(source->config.source_device, config->source_device) != 0) {
        source->device[0] = 0;
    }
    if (take_config(source, config, NULL) != SONO_STATUS_OK) {
        sono_serve_source_log(source, "reload_refused", "key=source.window value=\"%s\"",
                              config->source_window);
    }
}

void sono_serve_source_snapshot(const sono_serve_source *source, sono_serve_snapshot *out)
{
    const char *device = source->device[0] ? source->device : source->config.source_device;
    out->source_bytes = source->n_bytes;
    out->source_messages = source->n_messages;
    out->source_refused = source->n_refused;
    out->source_unknown = source->n_unknown;
    out->source_bad_crc = source->n_bad_crc;
    out->source_connections = source->n_connections;
    out->source_is_up = source->phase == SONO_SERVE_SOURCE_UP;
    snprintf(out->source_address, sizeof out->source_address, "%.63s",
             source->peer[0] ? source->peer : source->config.source_address);
    snprintf(out->source_device, sizeof out->source_device, "%.31s", device);
}

void sono_serve_source_close(sono_serve_source *source)
{
    if (!source) {
        return;
    }
    sono_serve_source_image_forget(source);
    close_socket(source);
    if (source->resolver) {
        sono_serve_loop_remove(source->loop, &source->resolver_watch);
    }
    sono_serve_resolver_free(source->resolver);
    free(source->scratch);
    free(source->staging);
    free(source);
}
