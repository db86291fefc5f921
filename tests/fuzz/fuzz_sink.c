// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer entry: a client of the sink that sends anything, while frames are shown and it reads or does not.
 * What the sink sends must be whole OpenIGTLink with right checksums, never RTS_TDATA; nothing may pile up or
 * stay behind. Input: a script of steps, one byte each and what follows it (step() below).
 */
#include "serve/sink_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIDTH  9
#define HEIGHT 5

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

typedef struct script {
    const uint8_t *bytes;
    size_t n, at;
} script;

typedef struct stage {
    sono_serve_loop loop;
    sono_serve_sink *sink;
    sono_serve_client *client;
    int peer; /* the client's end */
    sono_serve_frame frame;
    sono_serve_result result;
    uint8_t mask[WIDTH * HEIGHT];
    sono_igtl_reader reader; /* of what the sink sends */
    uint8_t scratch[1 << 17];
} stage;

static void demand(int holds)
{
    if (!holds)
        abort();
}

static void on_joined(void *user, int32_t client)
{
    (void)user;
    (void)client;
}

static void on_left(void *user, int32_t client, const char *reason)
{
    (void)user;
    (void)client;
    demand(reason[0] != 0);
}

static int on_request(void *user, sono_serve_request request, double value, char *why, size_t n_bytes)
{
    const stage *self = user;
    demand(value >= 0 && value <= 1);
    memset(why, 'x', n_bytes - 1);
    why[request == SONO_SERVE_REQUEST_STATUS && n_bytes > 1000 ? 1000 : n_bytes - 1] = 0;
    if (request == SONO_SERVE_REQUEST_STOP)
        sono_serve_sink_empty(self->sink, -1, "PAUSED", "by command");
    return request == SONO_SERVE_REQUEST_START ? -1 : 0;
}

static void on_sent(void *user, int32_t client, uint64_t frame, int64_t first_ns, int64_t last_ns)
{
    (void)user;
    (void)client;
    demand(frame > 0 && first_ns <= last_ns);
}

static void on_log(void *user, const char *event, const char *text)
{
    (void)user;
    for (; *text; text++)
        demand((unsigned char)*text >= 0x20 && *text != 0x7f);
    demand(event[0] != 0);
}

static stage *open_stage(void)
{
    static stage self;
    static sono_serve_config config;
    static const uint8_t head[12] = {0, 1, 1, SONO_IGTL_UINT8, 2, 1, 0, WIDTH, 0, HEIGHT, 0, 1};
    const sono_serve_sink_listener listener = {&self, on_joined, on_left, on_request, on_sent, on_log};
    sono_serve_config_init(&config);
    memcpy(config.sink_listen, "127.0.0.1:0", sizeof "127.0.0.1:0");
    config.engine_max_width_px = config.engine_max_height_px = 64;
    config.sink_max_clients = 1;
    config.control_commands = 1;
    demand(sono_serve_loop_open(&self.loop) == 0);
    demand(sono_serve_sink_open(&config, &self.loop, &listener, &self.sink, NULL) == SONO_STATUS_OK);
    self.client = &self.sink->clients[0];
    memcpy(self.frame.image_head, head, sizeof head);
    memcpy(self.frame.image_head + 66, head + 6, 6);
    demand(sono_igtl_image_head_decode(self.frame.image_head, sizeof self.frame.image_head, &self.frame.image,
                                       NULL) == SONO_IGTL_OK);
    memset(self.mask + WIDTH + 2, 255, 4);
    sono_image_init(&self.frame.pixels);
    self.frame.pixels.pixels = self.mask;
    self.frame.pixels.width_px = self.result.width_px = WIDTH;
    self.frame.pixels.height_px = self.result.height_px = HEIGHT;
    self.frame.pixels.format = SONO_PIXEL_GRAY8;
    self.result.mask = self.mask;
    self.result.mask_area_px = 4;
    return &self;
}

/* ---- the script ---- */

static uint8_t next_byte(script *in)
{
    return in->at < in->n ? in->bytes[in->at++] : 0;
}

/* So many bytes as the next one says, or as there are. */
static const uint8_t *next_bytes(script *in, size_t *n)
{
    const uint8_t *bytes = in->bytes + in->at;
    *n = next_byte(in);
    bytes += in->at < in->n || *n == 0;
    *n = *n < in->n - in->at ? *n : in->n - in->at;
    in->at += *n;
    return bytes;
}

static void say(stage *self, const uint8_t *bytes, size_t n_bytes)
{
    if (self->client->watch.fd >= 0 && n_bytes > 0)
        (void)!send(self->peer, bytes, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Any message by type, device, version and content; or a command by name and text. */
static void say_message(stage *self, script *in, int is_command, int is_damaged)
{
    static const char *const types[] = {"GET_IMAGE",    "STT_IMAGE",    "STP_IMAGE",  "GET_POLYDATA",
                                        "STT_POLYDATA", "STP_POLYDATA", "GET_STATUS", "GET_STRING",
                                        "GET_CAPABIL",  "STT_TDATA",    "RTS_TDATA",  "IMAGE",
                                        "STATUS",       "TRANSFORM",    "GET_X",      "COMMAND"};
    static const char *const devices[] = {"", "BoneMask", "BoneOutline", "BoneMaskEdge", "BoneMaskOverlay",
                                          "x"};
    static const char *const names[] = {"status", "start", "STOP", "threshold", "else\n"};
    uint8_t bytes[1024];
    sono_igtl_writer writer;
    size_t n;
    const uint8_t how = next_byte(in), where = next_byte(in);
    sono_igtl_writer_init(&writer, bytes, sizeof bytes);
    sono_igtl_message_begin(&writer, (uint16_t)(1 + (how >> 7)), is_command ? "COMMAND" : types[how % 16],
                            devices[where % 6], 1);
    const uint8_t *content = next_bytes(in, &n);
    sono_igtl_command command = {
        .id = how, .encoding = 3, .text = (const char *)content, .n_bytes = (uint32_t)n};
    memcpy(command.name, names[how % 5], strlen(names[how % 5]));
    if (is_command)
        sono_igtl_command_encode(&writer, &command);
    else
        sono_igtl_write(&writer, content, n);
    demand(sono_igtl_message_end(&writer, 1, NULL, 0) == SONO_IGTL_OK);
    bytes[57] ^= (uint8_t)is_damaged;
    say(self, bytes, writer.n_bytes);
}

/* Everything that came must be messages. */
static void listen_to(stage *self)
{
    for (;;) {
        uint8_t *where;
        const size_t room = sono_igtl_reader_want(&self->reader, &where);
        const ssize_t n = recv(self->peer, where, room, MSG_DONTWAIT);
        if (n <= 0)
            return;
        const sono_igtl_read news = sono_igtl_reader_take(&self->reader, (size_t)n);
        demand(news == SONO_IGTL_READ_MORE || news == SONO_IGTL_READ_IMAGE || news == SONO_IGTL_READ_MESSAGE);
        demand(news != SONO_IGTL_READ_MESSAGE || strcmp(self->reader.header.type, "RTS_TDATA") != 0);
        demand(news != SONO_IGTL_READ_MESSAGE || self->reader.header.version <= self->client->version);
    }
}

static void show(stage *self)
{
    self->frame.id++;
    self->frame.timestamp += 1000;
    self->result.frame = self->frame.id;
    sono_serve_sink_show(self->sink, &self->frame, &self->result);
}

static void step(stage *self, script *in)
{
    size_t n;
    const uint8_t kind = next_byte(in);
    switch (kind % 8) {
    case 0: {
        const uint8_t *bytes = next_bytes(in, &n);
        say(self, bytes, n);
        break;
    }
    case 1:
    case 2:
    case 3:
        say_message(self, in, kind % 8 == 2, kind % 8 == 3);
        break;
    case 4:
        show(self);
        break;
    case 5:
        sono_serve_sink_empty(self->sink, -1, "TOO_SLOW", "");
        break;
    case 6:
        sono_serve_sink_status(self->sink, 0, kind, "OK", "text");
        sono_serve_sink_text(self->sink, "{}");
        break;
    default:
        listen_to(self);
        break;
    }
}

/* What the loop does with a client that is ready. */
static void serve(stage *self)
{
    demand(sono_serve_loop_round(&self->loop, 0) == 0);
    demand(self->client->queue.n_answers <= SONO_SERVE_QUEUE_ANSWERS);
    demand(self->sink->blobs.n_lent <= (uint64_t)self->client->queue.n);
    demand(self->client->version == 1 || self->client->version == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static const sono_igtl_limits limits = {1 << 20, 1 << 16};
    static stage *self;
    script in = {bytes, n_bytes, 0};
    int pair[2];
    if (!self)
        self = open_stage();
    demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    self->peer = pair[1];
    sono_igtl_reader_init(&self->reader, &limits, self->scratch, sizeof self->scratch);
    sono_serve_sink_adopt(self->sink, pair[0]);
    for (int i = 0; in.at < in.n && i < 200; i++) {
        step(self, &in);
        serve(self);
    }
    sono_serve_sink_drop(self->sink, self->client, "the script is over");
    listen_to(self);
    close(self->peer);
    demand(self->sink->blobs.n_lent == 0);
    return 0;
}
