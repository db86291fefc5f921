// SPDX-License-Identifier: Apache-2.0
/* The sink over real sockets: what clients get, when, in which header version, and what they cannot do to it
 * or to each other. The loop and the clients run in one thread, step by step. */
#include "igtl/lists.h"
#include "serve/sink_parts.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIDTH       640
#define HEIGHT      480
#define MAX_EVENTS  400
#define PATIENCE_NS 10000000000

typedef struct bench {
    sono_serve_config config;
    sono_serve_loop loop;
    sono_serve_sink *sink;
    sono_serve_frame frame;
    sono_serve_result result;
    uint8_t mask[WIDTH * HEIGHT];
    uint8_t pixels[WIDTH * HEIGHT];
    /* What the listener was told. */
    int n_joined, n_left, n_requests, n_sent, n_audits;
    char last_event[40];
    int32_t last_joined;
    char left_reason[200];
    char audit[600];
    sono_serve_request request;
    double value;
    int refuse;
    uint64_t sent_frames[MAX_EVENTS];
    int status_on_join;
} bench;

/* ---- the service's side ---- */

static void on_joined(void *user, int32_t client)
{
    bench *self = user;
    self->n_joined++;
    self->last_joined = client;
    if (self->status_on_join)
        sono_serve_sink_status(self->sink, client, 1, "OK", "hello");
}

static void on_left(void *user, int32_t client, const char *reason)
{
    bench *self = user;
    (void)client;
    self->n_left++;
    snprintf(self->left_reason, sizeof self->left_reason, "%s", reason);
}

static int on_request(void *user, sono_serve_request request, double value, char *why, size_t n_bytes)
{
    bench *self = user;
    self->n_requests++;
    self->request = request;
    self->value = value;
    snprintf(why, n_bytes, request == SONO_SERVE_REQUEST_STATUS ? "{\"schema\": 1}" : "the test says no");
    return self->refuse;
}

static void on_sent(void *user, int32_t client, uint64_t frame, int64_t first_ns, int64_t last_ns)
{
    bench *self = user;
    (void)client;
    assert_true(first_ns <= last_ns);
    assert_true(last_ns <= sono_serve_now_ns());
    if (self->n_sent < MAX_EVENTS)
        self->sent_frames[self->n_sent++] = frame;
}

static void on_log(void *user, const char *event, const char *text)
{
    bench *self = user;
    snprintf(self->last_event, sizeof self->last_event, "%s", event);
    if (strcmp(event, "audit") != 0)
        return;
    self->n_audits++;
    snprintf(self->audit, sizeof self->audit, "%s", text);
}

static void open_sink(bench *self)
{
    const sono_serve_sink_listener listener = {self, on_joined, on_left, on_request, on_sent, on_log};
    sono_error error;
    assert_ok(sono_serve_sink_open(&self->config, &self->loop, &listener, &self->sink, &error), &error);
}

static int setup(void **state)
{
    bench *self = calloc(1, sizeof *self);
    if (!self || sono_serve_loop_open(&self->loop))
        return -1;
    sono_serve_config_init(&self->config);
    snprintf(self->config.sink_listen, sizeof self->config.sink_listen, "127.0.0.1:0");
    self->config.sink_stuck_ms = 600000; /* on a slow machine nobody is stuck before the test says so */
    sono_serve_frame *frame = &self->frame;
    const uint8_t fields[12] = {0,          1,           1,           SONO_IGTL_UINT8, 2, 1,
                                WIDTH >> 8, WIDTH & 255, HEIGHT >> 8, HEIGHT & 255,    0, 1};
    memcpy(frame->image_head, fields, sizeof fields);
    memcpy(frame->image_head + 66, fields + 6, 6);
    frame->image_head[12] = 0x3f; /* some column */
    if (sono_igtl_image_head_decode(frame->image_head, sizeof frame->image_head, &frame->image, NULL))
        return -1;
    for (int y = 100; y < 300; y++)
        memset(self->mask + y * WIDTH + 50, 255, 200);
    sono_image_init(&frame->pixels);
    frame->pixels.pixels = self->pixels;
    frame->pixels.width_px = WIDTH;
    frame->pixels.height_px = HEIGHT;
    frame->pixels.format = SONO_PIXEL_GRAY8;
    self->result = (sono_serve_result){.state = SONO_STATE_VISIBLE,
                                       .mask_area_px = 200 * 200,
                                       .width_px = WIDTH,
                                       .height_px = HEIGHT,
                                       .mask = self->mask};
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    bench *self = *state;
    sono_serve_sink_close(self->sink);
    sono_serve_loop_close(&self->loop);
    free(self);
    return 0;
}

static void show(bench *self, uint64_t id)
{
    self->frame.id = self->result.frame = id;
    self->frame.timestamp = ((uint64_t)1700000000 << 32) + id;
    self->frame.received_ns = sono_serve_now_ns();
    sono_serve_sink_show(self->sink, &self->frame, &self->result);
}

/* Rounds of the loop until nothing is ready. */
static void pump(bench *self)
{
    for (int i = 0; i < 20; i++)
        assert_int_equal(sono_serve_loop_round(&self->loop, 0), 0);
}

/* ---- a client's side ---- */

typedef struct peer {
    int fd;
    size_t n, at; /* bytes read, and those of messages that were taken */
    uint8_t *bytes;
    size_t capacity;
    int is_over;
    int32_t number;      /* the sink's, of the client that it is */
    uint64_t sent_bytes; /* to the sink */
} peer;

typedef struct message {
    sono_igtl_header header;
    sono_igtl_body body;
} message;

/* The sink runs until that is so. */
#define wait_until(self, condition)                                                                          \
    do {                                                                                                     \
        const int64_t until_ns = sono_serve_now_ns() + PATIENCE_NS;                                          \
        while (!(condition)) {                                                                               \
            assert_int_equal(sono_serve_loop_round(&(self)->loop, sono_serve_now_ns() + 1000000), 0);        \
            if (sono_serve_now_ns() > until_ns)                                                              \
                fail_msg("in vain: " #condition);                                                            \
        }                                                                                                    \
    } while (0)

/* Connects; small buffers where room is not 0. Does not wait for the sink. */
static void call(bench *self, peer *out, int room_bytes)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)sono_serve_sink_port(self->sink)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    *out = (peer){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_true(out->fd >= 0);
    setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (room_bytes) {
        setsockopt(out->fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof room_bytes);
        setsockopt(out->fd, SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes);
    }
    assert_int_equal(connect(out->fd, (const struct sockaddr *)&to, sizeof to), 0);
}

static void join_as(bench *self, peer *out, int room_bytes)
{
    const int n_joined = self->n_joined;
    call(self, out, room_bytes);
    wait_until(self, self->n_joined > n_joined);
    out->number = self->last_joined;
}

/* The sink has read all that the client sent. */
static void settle(bench *self, const peer *client)
{
    wait_until(self, self->sink->clients[client->number].reader.n_bytes == client->sent_bytes);
}

static void leave(peer *client)
{
    close(client->fd);
    free(client->bytes);
}

/* Reads what is there. */
static void read_some(peer *client)
{
    for (;;) {
        if (client->capacity - client->n < 65536) {
            if (client->n > client->at)
                memmove(client->bytes, client->bytes + client->at, client->n - client->at);
            client->n -= client->at;
            client->at = 0;
            client->capacity = 2 * client->n + 262144;
            client->bytes = realloc(client->bytes, client->capacity);
            assert_non_null(client->bytes);
        }
        const ssize_t n =
            recv(client->fd, client->bytes + client->n, client->capacity - client->n, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            client->is_over = 1;
        if (n <= 0)
            return;
        client->n += (size_t)n;
    }
}

/* 1 = a whole message with the right checksum, valid until the next call; 0 = there is none. */
static int take(peer *client, message *out)
{
    const uint8_t *bytes = client->bytes + client->at;
    const size_t n = client->n - client->at;
    if (n < SONO_IGTL_HEADER_BYTES)
        return 0;
    assert_int_equal(sono_igtl_header_decode(bytes, n, 1 << 30, &out->header, NULL), SONO_IGTL_OK);
    const size_t n_bytes = SONO_IGTL_HEADER_BYTES + (size_t)out->header.body_bytes;
    if (n < n_bytes)
        return 0;
    const uint8_t *body = bytes + SONO_IGTL_HEADER_BYTES;
    assert_true(sono_igtl_crc64(0, body, out->header.body_bytes) == out->header.crc);
    assert_int_equal(
        sono_igtl_body_decode(&out->header, body, (size_t)out->header.body_bytes, &out->body, NULL),
        SONO_IGTL_OK);
    client->at += n_bytes;
    return 1;
}

/* The next message, for which the sink runs as long as it takes. */
static message next(bench *self, peer *client)
{
    message out;
    const int64_t until = sono_serve_now_ns() + PATIENCE_NS;
    while (!take(client, &out)) {
        assert_int_equal(sono_serve_loop_round(&self->loop, sono_serve_now_ns() + 1000000), 0);
        read_some(client);
        if (client->is_over && client->n == client->at)
            fail_msg("the sink closed the connection");
        if (sono_serve_now_ns() > until)
            fail_msg("no message came");
    }
    return out;
}

static message next_is(bench *self, peer *client, const char *type, const char *device)
{
    const message out = next(self, client);
    assert_string_equal(out.header.type, type);
    assert_string_equal(out.header.device, device);
    return out;
}

/* Nothing at all comes. */
static void assert_quiet(bench *self, peer *client)
{
    message out;
    pump(self);
    read_some(client);
    if (take(client, &out))
        fail_msg("%s %s came", out.header.type, out.header.device);
    assert_int_equal(client->n, client->at);
}

static void assert_closed(bench *self, peer *client)
{
    const int64_t until = sono_serve_now_ns() + PATIENCE_NS;
    while (!client->is_over && sono_serve_now_ns() < until) {
        assert_int_equal(sono_serve_loop_round(&self->loop, sono_serve_now_ns() + 1000000), 0);
        read_some(client);
    }
    assert_true(client->is_over);
}

static void send_bytes(peer *client, const void *bytes, size_t n_bytes)
{
    assert_int_equal(send(client->fd, bytes, n_bytes, MSG_NOSIGNAL), n_bytes);
    client->sent_bytes += n_bytes;
}

static size_t pack(uint8_t *bytes, size_t room, uint16_t version, const char *type, const char *device,
                   const void *content, size_t n_bytes)
{
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, bytes, room);
    sono_igtl_message_begin(&writer, version, type, device, 1);
    sono_igtl_write(&writer, content, n_bytes);
    assert_int_equal(sono_igtl_message_end(&writer, 1, NULL, 0), SONO_IGTL_OK);
    return writer.n_bytes;
}

/* A message without content. */
static void ask(peer *client, uint16_t version, const char *type, const char *device)
{
    uint8_t bytes[128];
    send_bytes(client, bytes, pack(bytes, sizeof bytes, version, type, device, NULL, 0));
}

static sono_igtl_state status_of(const message *in)
{
    sono_igtl_state out;
    assert_string_equal(in->header.type, "STATUS");
    assert_int_equal(sono_igtl_status_decode(in->body.content, in->body.content_bytes, &out, NULL),
                     SONO_IGTL_OK);
    return out;
}

static void assert_status_comes(bench *self, peer *client, uint16_t code, const char *name)
{
    const message in = next(self, client);
    const sono_igtl_state state = status_of(&in);
    assert_int_equal(state.code, code);
    assert_string_equal(state.name, name);
}

/* Sends a command; the answer's text must begin with `text` and its Status be that. */
static void command(bench *self, peer *client, const char *name, const char *value, const char *status,
                    const char *text)
{
    uint8_t bytes[1024];
    sono_igtl_writer writer;
    sono_igtl_command out = {.id = 77, .encoding = 3, .text = value, .n_bytes = (uint32_t)strlen(value)};
    snprintf(out.name, sizeof out.name, "%s", name);
    sono_igtl_writer_init(&writer, bytes, sizeof bytes);
    sono_igtl_message_begin(&writer, 2, "COMMAND", "Me", 1);
    sono_igtl_command_encode(&writer, &out);
    assert_int_equal(sono_igtl_message_end(&writer, 1, NULL, 0), SONO_IGTL_OK);
    send_bytes(client, bytes, writer.n_bytes);
    const message in = next_is(self, client, "RTS_COMMAND", "Me");
    sono_igtl_command answer;
    sono_igtl_metadata fact;
    assert_int_equal(sono_igtl_command_decode(in.body.content, in.body.content_bytes, &answer, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(answer.id, 77);
    assert_string_equal(answer.name, name);
    assert_true(sono_igtl_metadata_find(&in.body, "Status", &fact));
    assert_int_equal(fact.value_bytes, strlen(status));
    assert_memory_equal(fact.value, status, fact.value_bytes);
    if (answer.n_bytes < strlen(text) || memcmp(answer.text, text, strlen(text)) != 0)
        fail_msg("the answer is %.*s", (int)answer.n_bytes, answer.text);
}

/* ---- masks ---- */

static void masks_go_to_everybody_and_nothing_else_does(void **state)
{
    bench *self = *state;
    peer one, two;
    open_sink(self);
    join_as(self, &one, 0);
    join_as(self, &two, 0);
    assert_int_equal(self->n_joined, 2);
    assert_quiet(self, &one);
    for (uint64_t id = 1; id <= 5; id++) {
        show(self, id);
        for (int i = 0; i < 2; i++) {
            peer *client = i ? &two : &one;
            const message mask = next_is(self, client, "IMAGE", "BoneMask");
            assert_int_equal(mask.header.version, 1);
            assert_true(mask.header.timestamp == self->frame.timestamp);
            assert_memory_equal(mask.body.content, self->frame.image_head, 72);
            assert_int_equal(mask.body.content[72 + 100 * WIDTH + 50], 1);
            const message outline = next_is(self, client, "POLYDATA", "BoneOutline");
            assert_true(outline.header.timestamp == self->frame.timestamp);
            assert_quiet(self, client);
        }
    }
    assert_int_equal(self->n_sent, 10);
    assert_int_equal(self->sent_frames[9], 5);
    /* Two messages a frame, shared, given back, used again. */
    assert_int_equal(self->sink->blobs.n_lent, 0);
    assert_int_equal(self->sink->blobs.n_allocations, 2);
    leave(&one);
    leave(&two);
    wait_until(self, self->n_left == 2);
}

static void version_2_follows_the_client(void **state)
{
    bench *self = *state;
    peer old, new;
    open_sink(self);
    join_as(self, &old, 0);
    join_as(self, &new, 0);
    ask(&new, 2, "STATUS", "Slicer");
    settle(self, &new);
    show(self, 1);
    message in = next_is(self, &new, "IMAGE", "BoneMask");
    assert_int_equal(in.header.version, 2);
    sono_igtl_metadata fact;
    assert_true(sono_igtl_metadata_find(&in.body, "FrameId", &fact));
    assert_int_equal(next_is(self, &new, "POLYDATA", "BoneOutline").header.version, 2);
    in = next_is(self, &old, "IMAGE", "BoneMask");
    assert_int_equal(in.header.version, 1);
    sono_serve_sink_status(self->sink, -1, 7, "SOURCE_STALLED", "why");
    sono_serve_sink_text(self->sink, "{}");
    assert_int_equal(next_is(self, &new, "STATUS", "sonoseg").header.version, 2);
    in = next_is(self, &new, "STRING", "sonosegKPI");
    assert_int_equal(in.header.version, 2);
    sono_igtl_string text;
    assert_int_equal(sono_igtl_string_decode(in.body.content, in.body.content_bytes, &text, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(text.n_bytes, 2);
    next_is(self, &old, "POLYDATA", "BoneOutline");
    in = next_is(self, &old, "STATUS", "sonoseg");
    assert_int_equal(in.header.version, 1);
    const sono_igtl_state said = status_of(&in);
    assert_int_equal(said.code, 7);
    assert_string_equal(said.name, "SOURCE_STALLED");
    /* It stays 2, whatever comes then. */
    ask(&new, 1, "STATUS", "Slicer");
    settle(self, &new);
    sono_serve_sink_status(self->sink, -1, 1, "OK", "");
    assert_int_equal(next_is(self, &new, "STATUS", "sonoseg").header.version, 2);
    leave(&old);
    leave(&new);
}

/* One does not read, the other misses nothing; the first one then finds whole messages, in order, up to the
 * newest, and what is missing is counted. */
static void a_slow_client_loses_frames_and_delays_nobody(void **state)
{
    enum { N_FRAMES = 120 };
    bench *self = *state;
    peer slow, quick;
    sono_serve_snapshot facts = {0};
    open_sink(self);
    join_as(self, &slow, 65536);
    join_as(self, &quick, 0);
    uint64_t allocations = 0;
    for (uint64_t id = 1; id <= N_FRAMES; id++) {
        show(self, id);
        assert_int_equal(next_is(self, &quick, "IMAGE", "BoneMask").header.timestamp & 0xffffffff, id);
        next_is(self, &quick, "POLYDATA", "BoneOutline");
        sono_serve_sink_snapshot(self->sink, &facts);
        assert_true(facts.clients[0].queued_bytes < 4 * (WIDTH * HEIGHT + 2000));
        if (id == 20)
            allocations = self->sink->blobs.n_allocations;
    }
    assert_int_equal(self->sink->blobs.n_allocations, allocations);
    assert_int_equal(facts.n_clients, 2);
    assert_int_equal(facts.clients[1].dropped, 0);
    assert_int_equal(facts.clients[1].messages, 2 * N_FRAMES);
    assert_true(facts.clients[0].dropped > 0);
    assert_true(facts.clients[0].lag_ns > 0);
    uint64_t last = 0, n = 0;
    while (last < N_FRAMES) {
        const message in = next_is(self, &slow, "IMAGE", "BoneMask");
        const uint64_t id = in.header.timestamp & 0xffffffff;
        assert_true(id > last);
        last = id;
        n++;
        assert_true(next_is(self, &slow, "POLYDATA", "BoneOutline").header.timestamp == in.header.timestamp);
    }
    assert_int_equal(n + facts.clients[0].dropped, N_FRAMES);
    assert_quiet(self, &slow);
    assert_int_equal(self->n_sent, (int)n + N_FRAMES);
    assert_int_equal(sono_serve_sink_queued_bytes(self->sink), 0);
    leave(&slow);
    leave(&quick);
}

static void an_empty_mask_goes_before_what_waits(void **state)
{
    bench *self = *state;
    peer slow;
    open_sink(self);
    join_as(self, &slow, 65536);
    sono_serve_sink_empty(self->sink, -1, "SOURCE_STALLED", "why"); /* nothing was shown: nothing to empty */
    assert_quiet(self, &slow);
    ask(&slow, 2, "STATUS", "");
    settle(self, &slow);
    for (uint64_t id = 1; id <= 40; id++)
        show(self, id);
    sono_serve_sink_empty(self->sink, -1, "SOURCE_STALLED", "why");
    sono_serve_snapshot facts;
    sono_serve_sink_snapshot(self->sink, &facts);
    message in;
    uint64_t n = 0, last = 0;
    for (;;) {
        in = next_is(self, &slow, "IMAGE", "BoneMask");
        assert_true(in.header.timestamp > last);
        last = in.header.timestamp;
        sono_igtl_metadata fact;
        if (!sono_igtl_metadata_find(&in.body, "FrameId", &fact))
            break;
        n++;
        assert_true((last & 0xffffffff) < 39); /* the two newest were waiting */
        next_is(self, &slow, "POLYDATA", "BoneOutline");
    }
    assert_int_equal(n + facts.clients[0].dropped, 40);
    for (size_t i = SONO_IGTL_IMAGE_HEAD_BYTES; i < in.body.content_bytes; i++)
        assert_int_equal(in.body.content[i], 0);
    assert_int_equal(next_is(self, &slow, "POLYDATA", "BoneOutline").body.content_bytes, 40);
    assert_quiet(self, &slow);
    assert_int_equal(self->n_sent, (int)n); /* an empty mask is no frame's */
    /* To one alone, and the next frame comes as ever. */
    sono_serve_sink_empty(self->sink, self->last_joined, "TOO_SLOW", "");
    next_is(self, &slow, "IMAGE", "BoneMask");
    next_is(self, &slow, "POLYDATA", "BoneOutline");
    show(self, 41);
    in = next_is(self, &slow, "IMAGE", "BoneMask");
    assert_int_equal(in.header.timestamp & 0xffffffff, 41);
    leave(&slow);
}

/* An unsent STATUS or text is replaced by the next. */
static void the_newest_status_is_enough(void **state)
{
    bench *self = *state;
    peer slow;
    open_sink(self);
    join_as(self, &slow, 65536);
    for (uint64_t id = 1; id <= 30; id++)
        show(self, id);
    sono_serve_snapshot before, after;
    sono_serve_sink_status(self->sink, -1, 1, "OK", "0");
    sono_serve_sink_text(self->sink, "0");
    sono_serve_sink_snapshot(self->sink, &before);
    for (int i = 1; i < 10; i++) {
        const char text[2] = {(char)('0' + i), 0};
        sono_serve_sink_status(self->sink, -1, 1, "OK", text);
        sono_serve_sink_text(self->sink, text);
    }
    sono_serve_sink_snapshot(self->sink, &after);
    assert_int_equal(before.clients[0].queued_bytes, after.clients[0].queued_bytes);
    message in = next(self, &slow);
    while (strcmp(in.header.type, "STATUS") != 0)
        in = next(self, &slow);
    assert_int_equal(status_of(&in).text[0], '9');
    next_is(self, &slow, "STRING", "sonosegKPI");
    assert_quiet(self, &slow);
    leave(&slow);
}

static void who_takes_nothing_is_disconnected(void **state)
{
    bench *self = *state;
    peer stuck, other;
    open_sink(self);
    join_as(self, &stuck, 4096);
    join_as(self, &other, 0);
    assert_true(sono_serve_sink_deadline(self->sink) == INT64_MAX);
    for (uint64_t id = 1; id <= 40; id++) {
        show(self, id);
        next_is(self, &other, "IMAGE", "BoneMask");
        next_is(self, &other, "POLYDATA", "BoneOutline");
    }
    const int64_t deadline = sono_serve_sink_deadline(self->sink);
    assert_true(deadline < INT64_MAX);
    sono_serve_sink_tick(self->sink, deadline - 1);
    assert_int_equal(self->n_left, 0);
    sono_serve_sink_tick(self->sink, deadline);
    assert_int_equal(self->n_left, 1);
    assert_non_null(strstr(self->left_reason, "stuck_ms"));
    assert_int_equal(self->sink->blobs.n_lent, 0);
    assert_true(sono_serve_sink_deadline(self->sink) == INT64_MAX);
    leave(&stuck);
    leave(&other);
}

/* ---- clients come and go ---- */

static void one_too_many_is_told_so(void **state)
{
    bench *self = *state;
    peer clients[3], more[SONO_SERVE_PARTING_CLIENTS + 2];
    self->config.sink_max_clients = 3;
    self->status_on_join = 1;
    open_sink(self);
    for (int i = 0; i < 3; i++) {
        join_as(self, &clients[i], 0);
        assert_status_comes(self, &clients[i], 1, "OK");
    }
    for (int i = 0; i < SONO_SERVE_PARTING_CLIENTS + 2; i++) {
        call(self, &more[i], 0);
        if (i < SONO_SERVE_PARTING_CLIENTS)
            assert_status_comes(self, &more[i], SONO_IGTL_CODE_BUSY, "TOO_MANY_CLIENTS");
        assert_closed(self, &more[i]);
    }
    assert_int_equal(self->n_joined, 3);
    show(self, 1);
    next_is(self, &clients[2], "IMAGE", "BoneMask");
    /* They are gone when they leave, or after a second. */
    leave(&more[0]);
    pump(self);
    sono_serve_sink_tick(self->sink, sono_serve_sink_deadline(self->sink) + 1000000000);
    assert_true(sono_serve_sink_deadline(self->sink) == INT64_MAX);
    assert_int_equal(self->n_left, 0);
    /* A place that is free again is given again. */
    leave(&clients[1]);
    wait_until(self, self->n_left == 1);
    join_as(self, &clients[1], 0);
    assert_status_comes(self, &clients[1], 1, "OK");
    for (int i = 1; i < SONO_SERVE_PARTING_CLIENTS + 2; i++)
        leave(&more[i]);
    for (int i = 0; i < 3; i++)
        leave(&clients[i]);
}

static void two_hundred_reconnects_leave_nothing_behind(void **state)
{
    bench *self = *state;
    open_sink(self);
    uint64_t allocations = 0;
    for (int i = 0; i < 200; i++) {
        peer client;
        join_as(self, &client, 4096);
        ask(&client, (uint16_t)(1 + i % 2), "GET_CAPABIL", "");
        for (uint64_t id = 1; id <= 3; id++)
            show(self, id);
        settle(self, &client);
        if (i % 3 == 0) { /* a reset instead of an end */
            const struct linger hard = {1, 0};
            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        leave(&client);
        wait_until(self, self->n_left == i + 1);
        show(self, 9);
        assert_int_equal(self->sink->blobs.n_lent, 0);
        if (i == 20)
            allocations = self->sink->blobs.n_allocations;
    }
    assert_int_equal(self->sink->blobs.n_allocations, allocations);
    assert_int_equal(self->last_joined, 0);
}

static void garbage_ends_a_connection(void **state)
{
    bench *self = *state;
    peer client;
    uint8_t bytes[SONO_IGTL_HEADER_BYTES];
    open_sink(self);
    join_as(self, &client, 0);
    memset(bytes, 0xa5, sizeof bytes);
    send_bytes(&client, bytes, sizeof bytes);
    assert_closed(self, &client);
    assert_non_null(strstr(self->left_reason, "no OpenIGTLink"));
    leave(&client);
    /* A body beyond the limit is refused by its header. */
    join_as(self, &client, 0);
    sono_igtl_header header = {.version = 1, .type = "STRING", .body_bytes = SONO_SERVE_CLIENT_MAX_BYTES + 1};
    sono_igtl_header_encode(&header, bytes);
    send_bytes(&client, bytes, sizeof bytes);
    assert_closed(self, &client);
    leave(&client);
    assert_int_equal(self->n_left, 2);
}

static void messages_may_come_in_pieces(void **state)
{
    bench *self = *state;
    peer client;
    uint8_t bytes[256];
    open_sink(self);
    join_as(self, &client, 0);
    const size_t n = pack(bytes, sizeof bytes, 2, "GET_STATUS", "", NULL, 0);
    for (size_t i = 0; i < n; i++) {
        assert_quiet(self, &client);
        send_bytes(&client, bytes + i, 1);
    }
    assert_status_comes(self, &client, SONO_IGTL_CODE_NOT_READY, "STARTING");
    /* What clients send unasked is read and left alone: an IMAGE, a TRANSFORM. */
    uint8_t image[72 + 100] = {0, 1, 1, 3, 1, 1, 0, 10, 0, 10, 0, 1};
    memcpy(image + 66, image + 6, 6);
    uint8_t message_bytes[400];
    send_bytes(&client, message_bytes,
               pack(message_bytes, sizeof message_bytes, 1, "IMAGE", "x", image, sizeof image));
    send_bytes(&client, message_bytes,
               pack(message_bytes, sizeof message_bytes, 1, "TRANSFORM", "x", image, 48));
    assert_quiet(self, &client);
    /* A damaged one is told and passed over. */
    const size_t n_bytes = pack(message_bytes, sizeof message_bytes, 1, "STRING", "x", "\0\3\0\1a", 5);
    message_bytes[n_bytes - 1] ^= 1;
    send_bytes(&client, message_bytes, n_bytes);
    assert_status_comes(self, &client, SONO_IGTL_CODE_CHECKSUM, "BAD_CHECKSUM");
    assert_int_equal(self->n_left, 0);
    leave(&client);
}

/* Without a descriptor it does not spin, and accepts again a second later. */
static void it_outlives_a_lack_of_descriptors(void **state)
{
    bench *self = *state;
    peer client;
    struct rlimit before, few;
    open_sink(self);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next_fd = dup(0);
    assert_true(next_fd >= 0);
    close(next_fd);
    few = before;
    few.rlim_cur = (rlim_t)next_fd + 1; /* the client's own, and none for the sink */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    call(self, &client, 0);
    wait_until(self, strcmp(self->last_event, "accept_failed") == 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    const int64_t deadline = sono_serve_sink_deadline(self->sink);
    assert_true(deadline < INT64_MAX);
    pump(self);
    assert_int_equal(self->n_joined, 0);
    sono_serve_sink_tick(self->sink, deadline);
    wait_until(self, self->n_joined == 1);
    assert_true(sono_serve_sink_deadline(self->sink) == INT64_MAX);
    leave(&client);
}

/* What cannot be sent for lack of memory is logged, once a second at most, and later frames come. */
static void it_outlives_a_lack_of_memory(void **state)
{
    bench *self = *state;
    peer client;
    open_sink(self);
    join_as(self, &client, 0);
    const uint64_t max_bytes = self->sink->blobs.max_bytes;
    self->sink->blobs.max_bytes = 100000;
    show(self, 1);
    assert_string_equal(self->last_event, "masks_unsent");
    self->last_event[0] = 0;
    show(self, 2);
    assert_string_equal(self->last_event, "");
    self->sink->blobs.max_bytes = max_bytes;
    show(self, 3);
    message in = next(self, &client);
    while (strcmp(in.header.type, "IMAGE") != 0)
        in = next(self, &client);
    assert_int_equal(in.header.timestamp & 0xffffffff, 3);
    leave(&client);
}

/* ---- queries ---- */

static void queries_are_answered(void **state)
{
    bench *self = *state;
    peer client;
    open_sink(self);
    join_as(self, &client, 0);
    sono_serve_sink_status(self->sink, -1, 16, "NO_SOURCE", "none");
    assert_status_comes(self, &client, 16, "NO_SOURCE");
    ask(&client, 1, "GET_STATUS", "sonoseg");
    assert_status_comes(self, &client, 16, "NO_SOURCE");
    ask(&client, 1, "GET_STRING", "");
    next_is(self, &client, "STRING", "sonosegKPI");
    ask(&client, 1, "GET_CAPABIL", "");
    const message in = next_is(self, &client, "CAPABILITY", "sonoseg");
    sono_igtl_capability types;
    char type[SONO_IGTL_TYPE_CHARS + 1];
    assert_int_equal(sono_igtl_capability_decode(in.body.content, in.body.content_bytes, &types, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(types.n_types, 18);
    assert_true(sono_igtl_capability_at(&types, 12, type));
    assert_string_equal(type, "STP_POLYDATA");
    ask(&client, 1, "GET_LBMETA", "");
    const message meta = next_is(self, &client, "LBMETA", "BoneMask");
    sono_igtl_list labels;
    sono_igtl_label label;
    assert_int_equal(sono_igtl_labels_decode(meta.body.content, meta.body.content_bytes, &labels, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(labels.n, 1);
    assert_true(sono_igtl_label_at(&labels, 0, &label));
    assert_string_equal(label.device, "BoneMask");
    assert_int_equal(label.label, self->config.sink_mask_value);
    ask(&client, 1, "GET_IMAGE", "Other");
    assert_status_comes(self, &client, SONO_IGTL_CODE_NOT_FOUND, "NO_SUCH_DEVICE");
    ask(&client, 1, "GET_POLYDATA", "BoneMask");
    assert_status_comes(self, &client, SONO_IGTL_CODE_NOT_FOUND, "NO_SUCH_DEVICE");
    ask(&client, 1, "STT_IMAGE", "BoneMaskEdge");
    assert_status_comes(self, &client, SONO_IGTL_CODE_DISABLED, "NOT_MADE");
    ask(&client, 1, "STT_POLYDATA", "BoneMaskSurface");
    assert_status_comes(self, &client, SONO_IGTL_CODE_DISABLED, "NOT_MADE");
    ask(&client, 1, "STT_TDATA", "Tracker");
    assert_status_comes(self, &client, SONO_IGTL_CODE_UNKNOWN_INSTRUCTION, "UNKNOWN_QUERY");
    ask(&client, 1, "RTS_TDATA", "Tracker");
    assert_quiet(self, &client);
    leave(&client);
}

static void outputs_are_started_and_stopped_for_one_client(void **state)
{
    bench *self = *state;
    peer client, other;
    open_sink(self);
    join_as(self, &client, 0);
    join_as(self, &other, 0);
    ask(&client, 1, "STT_IMAGE", "BoneMaskOverlay");
    ask(&client, 1, "STP_POLYDATA", "");
    settle(self, &client);
    show(self, 1);
    next_is(self, &client, "IMAGE", "BoneMask");
    next_is(self, &client, "IMAGE", "BoneMaskOverlay");
    assert_quiet(self, &client);
    next_is(self, &other, "IMAGE", "BoneMask");
    next_is(self, &other, "POLYDATA", "BoneOutline");
    assert_quiet(self, &other);
    sono_serve_sink_empty(self->sink, -1, "PAUSED", "");
    next_is(self, &client, "IMAGE", "BoneMask");
    const message overlay = next_is(self, &client, "IMAGE", "BoneMaskOverlay");
    assert_int_equal(overlay.body.content_bytes, 72 + 3 * WIDTH * HEIGHT);
    ask(&client, 1, "STP_IMAGE", "BoneMaskOverlay");
    ask(&client, 1, "STP_IMAGE", "BoneMask");
    ask(&client, 1, "GET_POLYDATA", "BoneOutline"); /* once */
    settle(self, &client);
    show(self, 2);
    next_is(self, &client, "POLYDATA", "BoneOutline");
    show(self, 3);
    assert_quiet(self, &client);
    ask(&client, 1, "STT_IMAGE", "");
    settle(self, &client);
    show(self, 4);
    next_is(self, &client, "IMAGE", "BoneMask");
    assert_quiet(self, &client);
    leave(&client);
    leave(&other);
}

static void a_flood_of_refused_queries_is_not_answered_one_by_one(void **state)
{
    bench *self = *state;
    peer client;
    open_sink(self);
    join_as(self, &client, 0);
    for (int i = 0; i < 500; i++)
        ask(&client, 1, "GET_WHATEVER", "x");
    settle(self, &client);
    int n = 0;
    for (; n < 8; n++)
        assert_status_comes(self, &client, SONO_IGTL_CODE_UNKNOWN_INSTRUCTION, "UNKNOWN_QUERY");
    message in;
    pump(self);
    read_some(&client);
    while (take(&client, &in))
        n++;
    assert_in_range(n, 8, 12); /* eight at once, and one for each second this took */
    leave(&client);
}

/* A client that asks and does not read is not read either: nothing piles up. */
static void answers_do_not_pile_up(void **state)
{
    enum { N_QUERIES = 30000 };
    bench *self = *state;
    peer client;
    open_sink(self);
    join_as(self, &client, 4096);
    uint8_t query[128];
    const size_t n_bytes = pack(query, sizeof query, 1, "GET_CAPABIL", "", NULL, 0);
    int n_sent = 0;
    size_t at = 0;
    while (n_sent < N_QUERIES) {
        const ssize_t n = send(client.fd, query + at, n_bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            const uint64_t before = self->sink->clients[0].reader.n_bytes;
            pump(self);
            if (before == self->sink->clients[0].reader.n_bytes)
                break; /* full at both ends */
            continue;
        }
        at = (at + (size_t)n) % n_bytes;
        n_sent += at == 0;
    }
    assert_in_range(n_sent, 1, N_QUERIES - 1);
    assert_true(self->sink->clients[0].queue.n_answers <= SONO_SERVE_QUEUE_ANSWERS);
    assert_true(self->sink->blobs.n_lent <= SONO_SERVE_QUEUE_ANSWERS);
    for (int i = 0; i < n_sent; i++)
        next_is(self, &client, "CAPABILITY", "sonoseg");
    leave(&client);
}

/* ---- commands ---- */

static void commands_need_permission(void **state)
{
    bench *self = *state;
    peer client;
    open_sink(self);
    join_as(self, &client, 0);
    command(self, &client, "status", "", "TRUE", "{\"schema\": 1}");
    assert_int_equal(self->n_requests, 1);
    assert_int_equal(self->n_audits, 0);
    command(self, &client, "stop", "", "FALSE", "commands are switched off");
    assert_int_equal(self->n_requests, 1);
    assert_int_equal(self->n_audits, 1);
    assert_non_null(strstr(self->audit, "peer=127.0.0.1:"));
    assert_non_null(strstr(self->audit, " command=stop value=\"\" result=refused reason=\"commands are"));
    self->config.control_commands = 1;
    snprintf(self->config.control_peers, sizeof self->config.control_peers, "10.0.0.7, ::1,nonsense");
    sono_serve_sink_reload(self->sink, &self->config);
    command(self, &client, "stop", "", "FALSE", "this address may not");
    assert_int_equal(self->n_requests, 1);
    assert_int_equal(self->n_audits, 2);
    snprintf(self->config.control_peers, sizeof self->config.control_peers, "10.0.0.7, 127.0.0.1");
    sono_serve_sink_reload(self->sink, &self->config);
    command(self, &client, "Stop", "", "TRUE", "OK");
    assert_int_equal(self->request, SONO_SERVE_REQUEST_STOP);
    assert_non_null(strstr(self->audit, "result=granted"));
    command(self, &client, "start", "x", "TRUE", "OK");
    assert_int_equal(self->request, SONO_SERVE_REQUEST_START);
    self->refuse = 1;
    command(self, &client, "start", "", "FALSE", "the test says no");
    assert_non_null(strstr(self->audit, "result=refused reason=\"the test says no\""));
    command(self, &client, "reboot\"\n", "a b=\"c\"", "FALSE", "no such command");
    assert_non_null(strstr(self->audit, "command=reboot%22%0A value=\"a%20b%3D%22c%22\" result=refused"));
    assert_int_equal(self->n_audits, 6);
    leave(&client);
}

static void a_threshold_is_a_number_from_0_to_1(void **state)
{
    static const struct {
        const char *text;
        double value; /* below 0: refused */
    } cases[] = {
        {"0.4", 0.4},
        {" 1\n", 1},
        {"<Command threshold=\"0.25\"/>", 0.25},
        {"<Command Name=\"threshold\" threshold=\"0\"></Command>", 0},
        {"", -1},
        {"0.4x", -1},
        {"1.01", -1},
        {"-0.1", -1},
        {"nan", -1},
        {"<Command/>", -1},
        {"<Command threshold=\"\"/>", -1},
        {"<Command threshold=\"0.5", -1},
    };
    bench *self = *state;
    peer client;
    self->config.control_commands = 1;
    open_sink(self);
    join_as(self, &client, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        self->value = -1;
        const int is_good = cases[i].value >= 0;
        command(self, &client, "threshold", cases[i].text, is_good ? "TRUE" : "FALSE",
                is_good ? "OK" : "a threshold is a number");
        assert_true(self->value == cases[i].value);
    }
    leave(&client);
}

/* With a token file a command needs the token, which no log keeps. */
static void commands_carry_the_token(void **state)
{
    static const char right[] = "<Command token=\"0123456789abcdef\" threshold=\"0.25\"/>";
    bench *self = *state;
    peer client;
    char path[SONO_TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/token", sono_test_folder());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("0123456789abcdef\n", file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    self->config.control_commands = 1;
    snprintf(self->config.control_token_file, sizeof self->config.control_token_file, "%.511s", path);
    open_sink(self);
    join_as(self, &client, 0);
    command(self, &client, "threshold", right, "TRUE", "OK");
    assert_true(self->value == 0.25);
    assert_null(strstr(self->audit, "0123456789abcdef"));
    assert_non_null(strstr(self->audit, "****************"));
    command(self, &client, "status", "", "TRUE", "{\"schema\": 1}");
    command(self, &client, "record", "<Command token=\"0123456789abcdef\" record=\"off\"/>", "TRUE", "OK");
    assert_int_equal(self->request, SONO_SERVE_REQUEST_RECORD);
    assert_true(self->value == 0);
    self->request = 0;
    command(self, &client, "threshold", "0.3", "FALSE", "the token is needed");
    command(self, &client, "stop", "<Command token=\"0123456789abcdee\"/>", "FALSE", "the token is needed");
    command(self, &client, "stop", "<Command token=\"0123456789abcdef", "FALSE", "the token is needed");
    command(self, &client, "stop", "<Command token=\"\"/>", "FALSE", "the token is needed");
    command(self, &client, "stop", "0123456789abcdef", "FALSE", "the token is needed");
    command(self, &client, "threshold", right, "FALSE", "the token is needed"); /* five at once were enough */
    assert_int_equal(self->request, 0);
    leave(&client);
}

/* ---- addresses ---- */

static void a_taken_port_is_named(void **state)
{
    bench *self = *state;
    open_sink(self);
    sono_serve_config config = self->config;
    const sono_serve_sink_listener listener = {self, on_joined, on_left, on_request, on_sent, on_log};
    sono_serve_sink *second = NULL;
    sono_error error;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", (int)sono_serve_sink_port(self->sink));
    snprintf(config.sink_listen, sizeof config.sink_listen, "%s", address);
    assert_status(SONO_STATUS_IO, sono_serve_sink_open(&config, &self->loop, &listener, &second, &error),
                  &error);
    assert_null(second);
    assert_int_equal(error.native_code, EADDRINUSE);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, "another program has this port"));
    assert_non_null(strstr(error.text, "--sink-listen"));
    snprintf(config.sink_listen, sizeof config.sink_listen, "192.0.2.1:0"); /* for documentation: nobody's */
    assert_status(SONO_STATUS_IO, sono_serve_sink_open(&config, &self->loop, &listener, &second, &error),
                  &error);
    assert_non_null(strstr(error.text, "no such address"));
}

static void ipv6_works(void **state)
{
    bench *self = *state;
    const int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (probe < 0 || bind(probe, (const struct sockaddr *)&to, sizeof to)) {
        close(probe);
        sono_test_skip("there is no IPv6 here");
    }
    close(probe);
    snprintf(self->config.sink_listen, sizeof self->config.sink_listen, "[::1]:0");
    self->config.control_commands = 1;
    snprintf(self->config.control_peers, sizeof self->config.control_peers, "::1");
    open_sink(self);
    to.sin6_port = htons((uint16_t)sono_serve_sink_port(self->sink));
    peer client = {.fd = socket(AF_INET6, SOCK_STREAM, 0)};
    assert_int_equal(connect(client.fd, (const struct sockaddr *)&to, sizeof to), 0);
    command(self, &client, "stop", "", "TRUE", "OK");
    assert_non_null(strstr(self->audit, "peer=[::1]:"));
    leave(&client);
}

int main(void)
{
#define ON_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON_BENCH(masks_go_to_everybody_and_nothing_else_does),
        ON_BENCH(version_2_follows_the_client),
        ON_BENCH(a_slow_client_loses_frames_and_delays_nobody),
        ON_BENCH(an_empty_mask_goes_before_what_waits),
        ON_BENCH(the_newest_status_is_enough),
        ON_BENCH(who_takes_nothing_is_disconnected),
        ON_BENCH(one_too_many_is_told_so),
        ON_BENCH(two_hundred_reconnects_leave_nothing_behind),
        ON_BENCH(garbage_ends_a_connection),
        ON_BENCH(messages_may_come_in_pieces),
        ON_BENCH(it_outlives_a_lack_of_descriptors),
        ON_BENCH(it_outlives_a_lack_of_memory),
        ON_BENCH(queries_are_answered),
        ON_BENCH(outputs_are_started_and_stopped_for_one_client),
        ON_BENCH(a_flood_of_refused_queries_is_not_answered_one_by_one),
        ON_BENCH(answers_do_not_pile_up),
        ON_BENCH(commands_need_permission),
        ON_BENCH(a_threshold_is_a_number_from_0_to_1),
        ON_BENCH(commands_carry_the_token),
        ON_BENCH(a_taken_port_is_named),
        ON_BENCH(ipv6_works),
    };
    return sono_test_run("live/sink", tests, sizeof(tests) / sizeof(tests[0]));
}
