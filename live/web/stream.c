// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that stay: WebSockets and server-sent events. civetweb has read the request's head; from then
 * on the connection's thread reads and writes the socket itself, because civetweb's own WebSockets take
 * messages of any length into memory and cannot give up a client that reads nothing.
 */
#include "web/frame_wire.h"
#include "web/parts.h"
#include "web/pictures.h"
#include "web/request.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECOND_NS   INT64_C(1000000000)
#define SEND_NS     (2 * SECOND_NS) /* a client that takes nothing for so long is given up */
#define COMMENT_NS  (5 * SECOND_NS)
#define USUAL_HZ    25.0
#define SEND_BUFFER 262144 /* the kernel's, so that a slow client sees new pictures, not many old ones */

typedef enum stream_kind { METRICS, FRAMES, EVENTS } stream_kind;

typedef struct stream {
    const sono_web_call *call;
    stream_kind kind;
    int fd, wake;
    double hz;
    int64_t next_ns, alive_ns; /* when the next picture may go, when a sign of life is due */
    sono_web_place place;
    sono_web_reader reader;
    sono_web_head last; /* what was sent last */
    int has_last;
} stream;

/* ---- the socket ------------------------------------------------------------------------------------------
 */

static int is_peer(int fd, const struct mg_request_info *info)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    int port = 0;
    if (getpeername(fd, (struct sockaddr *)&address, &n)) {
        return 0;
    }
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        port = ntohs(four->sin_port);
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        port = ntohs(six->sin6_port);
    }
    return port == info->remote_port && !strcmp(text, info->remote_addr);
}

static int has_port(int fd, int32_t port)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n)) {
        return 0;
    }
    return port == ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                                       : ((const struct sockaddr_in *)&address)->sin_port);
}

/* The connection's descriptor, which civetweb does not tell: the one with its two ends. -1 = not found. */
static int find_socket(const sono_web_call *call)
{
    const struct mg_request_info *info = mg_get_request_info(call->connection);
    int found = -1;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return -1;
    }
    for (struct dirent *entry; found < 0 && (entry = readdir(folder)) != NULL;) {
        long fd;
        if (!sono_web_take_count(entry->d_name, 0, 1 << 20, &fd) && is_peer((int)fd, info) &&
            has_port((int)fd, call->web->port)) {
            found = (int)fd;
        }
    }
    closedir(folder);
    return found;
}

/* All of it, or -1: the client is gone, or takes nothing. */
static int send_all(int fd, struct iovec *parts, int n_parts)
{
    const int64_t until_ns = sono_web_now_ns() + SEND_NS;
    while (n_parts) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n_parts};
        ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return -1;
        }
        for (; n >= 0 && n_parts && (size_t)n >= parts->iov_len; n_parts--) { /* also those without bytes */
            n -= (ssize_t)(parts++)->iov_len;
        }
        if (n > 0 && n_parts) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
        const int64_t left_ns = until_ns - sono_web_now_ns();
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        if (n_parts && (left_ns <= 0 || poll(&room, 1, (int)(left_ns / 1000000) + 1) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int send_frame(const stream *s, int opcode, const void *head, size_t n_head, const void *rest,
                      size_t n_rest, const void *last, size_t n_last)
{
    uint8_t frame[SONO_WEB_HEAD_BYTES];
    struct iovec parts[4] = {{frame, sono_web_frame_head(opcode, n_head + n_rest + n_last, frame)},
                             {(void *)(uintptr_t)head, n_head},
                             {(void *)(uintptr_t)rest, n_rest},
                             {(void *)(uintptr_t)last, n_last}};
    return send_all(s->fd, parts, 4);
}

static int send_text(const stream *s, const char *text, size_t n_bytes)
{
    return send_frame(s, SONO_WEB_TEXT_FRAME, text, n_bytes, "", 0, "", 0);
}

/* ---- what is sent: 0, or -1 where the connection is at its end ------------------------------------------
 */

static int send_picture(stream *s, const char *kind, const sono_web_head *head, const void *jpeg,
                        size_t n_jpeg)
{
    sono_web_text text = {0};
    uint8_t pack[SONO_WEB_PACK_BYTES];
    sono_web_write_head(&text, kind, head, sono_web_now_ns());
    sono_web_pack((uint32_t)text.n_bytes, (uint32_t)n_jpeg, pack);
    const int failed = text.is_failed || send_frame(s, SONO_WEB_BINARY_FRAME, pack, sizeof pack, text.bytes,
                                                    text.n_bytes, jpeg, n_jpeg);
    sono_web_text_free(&text);
    s->alive_ns = sono_web_now_ns() + SECOND_NS;
    return failed ? -1 : 0;
}

/* At its pace: what comes too early stays in the hub, where a newer one may replace it. An emptied mask does
 * not wait. */
static int send_frames(stream *s, int64_t now_ns)
{
    sono_web_picture *picture;
    if (sono_web_hub_next_picture(&s->call->web->hub, &s->place, now_ns < s->next_ns, &picture)) {
        const int64_t interval_ns = (int64_t)(1e9 / s->hz);
        s->next_ns = s->next_ns + interval_ns > now_ns ? s->next_ns + interval_ns : now_ns + interval_ns / 2;
        s->last = picture->head;
        s->has_last = 1;
        const int failed = send_picture(s, picture->head.is_empty ? "empty" : "frame", &picture->head,
                                        picture->bytes, picture->n_jpeg);
        sono_web_picture_drop(picture);
        return failed;
    }
    if (now_ns >= s->alive_ns) {
        s->alive_ns = now_ns + SECOND_NS;
        return s->has_last ? send_picture(s, "alive", &s->last, "", 0)
                           : send_frame(s, SONO_WEB_PING, "", 0, "", 0, "", 0);
    }
    return 0;
}

/* An event as a message: `"type":"event"` in front of its members. */
static int send_event(const stream *s, const sono_web_event *event)
{
    static const char head[] = "{\"type\":\"event\",";
    return send_frame(s, SONO_WEB_TEXT_FRAME, head, sizeof head - 1, event->json->bytes + 1,
                      event->json->n_bytes - 1, "", 0);
}

static int send_metrics(stream *s, int64_t now_ns)
{
    sono_web_event event;
    sono_web_blob *blob;
    int failed = 0;
    while (!failed && sono_web_hub_next_event(&s->call->web->hub, &s->place, &event)) {
        failed = send_event(s, &event);
        sono_web_blob_drop(event.json);
    }
    if (!failed && sono_web_hub_next_metrics(&s->call->web->hub, &s->place, &blob)) {
        const char *line_end = memchr(blob->bytes, '\n', blob->n_bytes); /* two messages in one */
        const size_t n = line_end ? (size_t)(line_end - blob->bytes) : blob->n_bytes;
        failed =
            send_text(s, blob->bytes, n) || (line_end && send_text(s, line_end + 1, blob->n_bytes - n - 1));
        sono_web_blob_drop(blob);
        s->alive_ns = now_ns + 2 * SECOND_NS;
    }
    if (!failed && now_ns >= s->alive_ns) {
        s->alive_ns = now_ns + 2 * SECOND_NS;
        failed = send_frame(s, SONO_WEB_PING, "", 0, "", 0, "", 0);
    }
    return failed;
}

static int send_events(stream *s, int64_t now_ns)
{
    sono_web_event event;
    char head[80];
    int failed = 0;
    while (!failed && sono_web_hub_next_event(&s->call->web->hub, &s->place, &event)) {
        const int n = snprintf(head, sizeof head,
                               "id: %llu\nevent: %s\ndata: ", (unsigned long long)event.seq, event.name);
        struct iovec parts[3] = {
            {head, (size_t)n}, {event.json->bytes, event.json->n_bytes}, {(char[]){"\n\n"}, 2}};
        failed = send_all(s->fd, parts, 3);
        sono_web_blob_drop(event.json);
        s->alive_ns = now_ns + COMMENT_NS;
    }
    if (!failed && now_ns >= s->alive_ns) {
        struct iovec comment = {(char[]){":\n\n"}, 3};
        s->alive_ns = now_ns + COMMENT_NS;
        failed = send_all(s->fd, &comment, 1);
    }
    return failed;
}

/* ---- what comes -----------------------------------------------------------------------------------------
 */

static int answer_frame(stream *s)
{
    const sono_web_reader *reader = &s->reader;
    if (reader->opcode == SONO_WEB_PING) {
        return send_frame(s, SONO_WEB_PONG, reader->payload, (size_t)reader->n_payload, "", 0, "", 0);
    }
    if (reader->opcode == SONO_WEB_CLOSE) {
        send_frame(s, SONO_WEB_CLOSE, reader->payload, reader->n_payload < 2 ? 0 : 2, "", 0, "", 0);
        return -1;
    }
    return 0;
}

static void send_close(const stream *s, uint16_t code)
{
    const uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (s->kind != EVENTS) {
        send_frame(s, SONO_WEB_CLOSE, bytes, sizeof bytes, "", 0, "", 0);
    }
}

static int read_some(stream *s)
{
    uint8_t bytes[512];
    const ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    if (s->kind == EVENTS) { /* nothing is expected; it is thrown away */
        return 0;
    }
    for (size_t at = 0, n_used; at < (size_t)n; at += n_used) {
        const sono_web_read news = sono_web_reader_feed(&s->reader, bytes + at, (size_t)n - at, &n_used);
        if (news == SONO_WEB_READ_BROKEN) {
            send_close(s, s->reader.n_payload > SONO_WEB_CONTROL_BYTES ? 1009 : 1002);
            return -1;
        }
        if (news == SONO_WEB_READ_FRAME && answer_frame(s)) {
            return -1;
        }
    }
    return 0;
}

static int wait_ms(const stream *s, int64_t now_ns)
{
    int64_t until_ns = s->alive_ns;
    if (s->kind == FRAMES && s->next_ns > now_ns && s->next_ns < until_ns) {
        until_ns = s->next_ns;
    }
    return until_ns > now_ns ? (int)((until_ns - now_ns + 999999) / 1000000) : 0;
}

static void run(stream *s)
{
    uint64_t n;
    for (;;) {
        int64_t now_ns = sono_web_now_ns();
        struct pollfd news[2] = {{.fd = s->fd, .events = POLLIN | POLLRDHUP},
                                 {.fd = s->wake, .events = POLLIN}};
        if (poll(news, 2, wait_ms(s, now_ns)) < 0 && errno != EINTR) {
            return;
        }
        if (news[1].revents && read(s->wake, &n, sizeof n) < 0 && errno != EAGAIN) {
            return;
        }
        if (sono_web_hub_is_over(&s->call->web->hub)) {
            send_close(s, 1001);
            return;
        }
        if (news[0].revents && read_some(s)) {
            return;
        }
        now_ns = sono_web_now_ns();
        if (s->kind == FRAMES    ? send_frames(s, now_ns)
            : s->kind == METRICS ? send_metrics(s, now_ns)
                                 : send_events(s, now_ns)) {
            return;
        }
    }
}

/* ---- begun ----------------------------------------------------------------------------------------------
 */

static int begin_websocket(const stream *s)
{
    char text[256], accept[SONO_WEB_ACCEPT_BYTES];
    sono_web_accept(sono_web_header(s->call, "Sec-WebSocket-Key"), accept);
    const int n = snprintf(text, sizeof text,
                           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: %s\r\n\r\n",
                           accept);
    struct iovec part = {text, (size_t)n};
    return send_all(s->fd, &part, 1);
}

/* Of the last event that the client has: what came since is sent first. */
static int begin_events(stream *s)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 1000\n\n";
    struct iovec part = {(void *)(uintptr_t)head, sizeof head - 1};
    const char *last = sono_web_header(s->call, "Last-Event-ID");
    long seq;
    if (last && !sono_web_take_count(last, 0, 999999999, &seq) && (uint64_t)seq <= s->place.event) {
        s->place.event = (uint64_t)seq;
    }
    return send_all(s->fd, &part, 1);
}

static void serve(const sono_web_call *call, stream_kind kind, double hz)
{
    stream s = {.call = call, .kind = kind, .hz = hz, .wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    const int one = 1, buffer = SEND_BUFFER;
    s.fd = find_socket(call);
    if (s.fd < 0 || s.wake < 0 || sono_web_hub_join(&call->web->hub, s.wake, kind == FRAMES ? hz : 0)) {
        sono_web_answer_error(call, 503, "busy", "no more streams");
    } else {
        setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        sono_web_hub_now(&call->web->hub, &s.place);
        s.alive_ns = sono_web_now_ns() + SECOND_NS;
        if (kind == FRAMES) {
            sono_web_painter_ask(call->web->painter, 0, sono_web_now_ns());
        }
        if (!(kind == EVENTS ? begin_events(&s) : begin_websocket(&s))) {
            run(&s);
        }
        sono_web_hub_leave(&call->web->hub, s.wake);
        shutdown(s.fd, SHUT_WR);
    }
    if (s.wake >= 0) {
        close(s.wake);
    }
}

/* 0, or -1 after an error was answered. */
static int check_upgrade(const sono_web_call *call)
{
    const char *upgrade = sono_web_header(call, "Upgrade"),
               *version = sono_web_header(call, "Sec-WebSocket-Version");
    if (strcmp(call->method, "GET") != 0 || !upgrade || strcasecmp(upgrade, "websocket") != 0 ||
        !sono_web_has_word(sono_web_header(call, "Connection"), "upgrade")) {
        sono_web_answer_error(call, 426, "websocket", "this is a WebSocket");
    } else if (!version || strcmp(version, "13") != 0 ||
               !sono_web_key_is_good(sono_web_header(call, "Sec-WebSocket-Key"))) {
        sono_web_answer_error(call, 400, "websocket", "the handshake is none of RFC 6455, version 13");
    } else {
        return 0;
    }
    return -1;
}

static void serve_frames(const sono_web_call *call)
{
    char value[16];
    double hz = USUAL_HZ;
    const int found = sono_web_query_get(call->query, "max_hz", value, sizeof value);
    if (found < 0 || (!found && sono_web_take_number(value, 0.1, 60, &hz))) {
        sono_web_answer_error(call, 400, "max_hz", "max_hz is a number from 0.1 to 60");
    } else if (!check_upgrade(call)) {
        serve(call, FRAMES, hz);
    }
}

int sono_web_stream(const sono_web_call *call)
{
    const int is_frames = !strcmp(call->path, "/ws/frames"), is_metrics = !strcmp(call->path, "/ws/metrics"),
              is_events = !strcmp(call->path, "/api/events");
    if (!is_frames && !is_metrics && !is_events) {
        return 0;
    }
    if (!sono_web_query_is_known(call->query, is_frames ? "max_hz" : "")) {
        sono_web_answer_error(call, 400, "query", "the address has a query that is not known here");
    } else if (is_frames) {
        serve_frames(call);
    } else if (is_events && call->is_head) {
        sono_web_answer_bytes(call, 200, "text/event-stream", "", "", 0);
    } else if (is_events || !check_upgrade(call)) {
        serve(call, is_events ? EVENTS : METRICS, 0);
    }
    return 1;
}
