// SPDX-License-Identifier: Apache-2.0
// labels: threads timeout=60
/* The Plus-like server as a client sees it: order, versions, timestamps, pixels, answers, slow readers. */
#include "igtl/reader.h"
#include "replay/client.h"
#include "replay/replay.h"
#include "replay/schedule.h"
#include "test.h"

#include "sonoseg/phantom.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIDE_PX  48
#define N_PIXELS (SIDE_PX * SIDE_PX)

/* ---- a server in a thread, a client -------------------------------------------------------------------- */

typedef struct server {
    sono_replay_options options;
    sono_replay_summary sum;
    sono_error error;
    sono_status status;
    int32_t n_frames;
    double rate_hz;
    atomic_int port, is_stopped;
    pthread_t thread;
} server;

static sono_status open_phantom(void *user, sono_source **out, sono_error *error)
{
    const server *self = user;
    sono_phantom_options phantom;
    sono_phantom_options_init(&phantom);
    phantom.width_px = phantom.height_px = SIDE_PX;
    phantom.n_frames = self->n_frames;
    phantom.rate_hz = self->rate_hz;
    return sono_source_open_phantom(&phantom, out, error);
}

static int is_stopped(void *user)
{
    return atomic_load(&((server *)user)->is_stopped);
}

static void on_ready(void *user, int32_t port)
{
    atomic_store(&((server *)user)->port, port);
}

static void *serve(void *user)
{
    server *self = user;
    self->status = sono_replay_run(&self->options, &self->sum, &self->error);
    atomic_store(&self->port, -1);
    return NULL;
}

static void server_init(server *self, int32_t n_frames)
{
    memset(self, 0, sizeof *self);
    sono_replay_options_init(&self->options);
    self->options.open_source = open_phantom;
    self->options.is_stopped = is_stopped;
    self->options.ready = on_ready;
    self->options.user = self;
    self->options.port = 0;
    self->options.is_preloaded = 1;
    self->n_frames = n_frames;
    self->rate_hz = 200;
}

static void server_start(server *self)
{
    assert_int_equal(0, pthread_create(&self->thread, NULL, serve, self));
    while (!atomic_load(&self->port))
        usleep(1000);
    assert_true(atomic_load(&self->port) > 0);
}

static void server_join(server *self)
{
    pthread_join(self->thread, NULL);
    assert_ok(self->status, &self->error);
}

static void server_stop(server *self)
{
    atomic_store(&self->is_stopped, 1);
    server_join(self);
}

typedef struct client {
    int fd;
    sono_igtl_reader reader;
    uint8_t scratch[65536], pixels[N_PIXELS];
} client;

static void client_open(client *self, const server *of)
{
    const sono_igtl_limits limits = {1 << 20, 65536};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)atomic_load(&of->port)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = 10};
    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(0, connect(self->fd, (const void *)&address, sizeof address));
    sono_igtl_reader_init(&self->reader, &limits, self->scratch, sizeof self->scratch);
}

/* The next whole message; 0 = the end. */
static int client_next(client *self)
{
    for (;;) {
        uint8_t *where = NULL;
        const size_t room = sono_igtl_reader_want(&self->reader, &where);
        const ssize_t n = recv(self->fd, where, room, 0);
        if (n <= 0 && (!n || errno == ECONNRESET))
            return 0;
        assert_true(n > 0);
        const sono_igtl_read told = sono_igtl_reader_take(&self->reader, (size_t)n);
        if (told == SONO_IGTL_READ_IMAGE) {
            assert_true(sono_igtl_image_pixel_bytes(&self->reader.image) == N_PIXELS);
            sono_igtl_reader_place(&self->reader, self->pixels);
        }
        if (told == SONO_IGTL_READ_MESSAGE)
            return 1;
        assert_true(told == SONO_IGTL_READ_MORE || told == SONO_IGTL_READ_IMAGE);
    }
}

static int client_is_at(const client *self, const char *type, uint16_t version)
{
    return !strcmp(self->reader.header.type, type) && self->reader.header.version == version;
}

/* Passes over messages until one of that type. */
static void client_find(client *self, const char *type)
{
    do
        assert_true(client_next(self));
    while (strcmp(self->reader.header.type, type) != 0);
}

static void client_say(const client *self, uint16_t version, const char *type, const void *content,
                       size_t n_bytes)
{
    uint8_t bytes[1024];
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, bytes, sizeof bytes);
    sono_igtl_message_begin(&writer, version, type, "test", 0);
    sono_igtl_write(&writer, content, n_bytes);
    assert_int_equal(SONO_IGTL_OK, sono_igtl_message_end(&writer, 1, NULL, 0));
    assert_true(send(self->fd, bytes, writer.n_bytes, MSG_NOSIGNAL) == (ssize_t)writer.n_bytes);
}

static void say_status(const client *self, uint16_t version)
{
    uint8_t status[31] = {0, 1};
    client_say(self, version, "STATUS", status, sizeof status);
}

static int metadata_is(const client *self, const char *key, const char *value)
{
    sono_igtl_metadata found;
    return sono_igtl_metadata_find(&self->reader.body, key, &found) && found.value_bytes == strlen(value) &&
           !memcmp(found.value, value, found.value_bytes);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void test_schedule(void **state)
{
    (void)state;
    sono_replay_schedule schedule;
    sono_replay_schedule_init(&schedule, SONO_REPLAY_FIXED, 60, 1, 1000);
    for (int64_t i = 0; i <= 6000000; i++) {
        const int64_t due = sono_replay_schedule_next(&schedule, 0, 0);
        if (i % 60 == 0 && due != 1000 + i / 60 * 1000000000)
            fail_msg("frame %lld is due at %lld", (long long)i, (long long)due);
    }
    sono_replay_schedule_init(&schedule, SONO_REPLAY_FIXED, 10, 4, 0);
    for (int64_t i = 0; i < 12; i++)
        assert_true(sono_replay_schedule_next(&schedule, 0, 0) == i / 4 * 400000000);
    sono_replay_schedule_init(&schedule, SONO_REPLAY_ORIGINAL, 0, 1, 7);
    static const int64_t times[][3] = {/* own time, pass, due */
                                       {500, 0, 7},   {600, 0, 107}, {550, 0, 107},
                                       {900, 0, 407}, {500, 1, 707}, {600, 1, 807}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_true(sono_replay_schedule_next(&schedule, times[i][0], (int32_t)times[i][1]) == times[i][2]);
    sono_replay_schedule_shift(&schedule, 1000);
    assert_true(sono_replay_schedule_next(&schedule, 650, 1) == 1857);
}

static void test_matrix(void **state)
{
    (void)state;
    float m[12];
    static const float pose[12] = {0, -1, 0, 10, 1, 0, 0, 20, 0, 0, 1, 30};
    static const float posed[12] = {0, 0.5f, 0, -0.25f, 0, 0, 0, 0, 1, 10 - 0.25f * 1, 20 + 0.5f * 2, 30};
    static const float plain[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 1, 0};
    sono_replay_image_matrix(pose, (const double[2]){0.5, 0.25}, 5, 3, m);
    assert_memory_equal(posed, m, sizeof m);
    sono_replay_image_matrix(NULL, (const double[2]){0, 0}, 5, 3, m);
    assert_memory_equal(plain, m, sizeof m);
    static const float columns[12] = {1, 5, 9, 2, 6, 10, 3, 7, 11, 4.5f, 8, 1.2e-3f};
    assert_int_equal(0, sono_replay_transform_parse(" 1 2 3 4.5 5 6 7 8 9 10 11 1.2e-3 0 0 0 1 ", m));
    assert_memory_equal(columns, m, sizeof m);
    assert_int_equal(-1, sono_replay_transform_parse("1 2 3 4 5 6 7 8 9 10 11 12 0 0 0", m));
    assert_int_equal(-1, sono_replay_transform_parse("1 2 3 4 5 6 7 8 9 10 11 12 0 0 0 1 x", m));
    assert_int_equal(-1, sono_replay_transform_parse("1 2 3 nan 5 6 7 8 9 10 11 12 0 0 0 1", m));
}

/* Who has spoken version 2 gets all frames with metadata; pixels, matrix, times are those of the phantom. */
static void test_frames(void **state)
{
    (void)state;
    server of;
    client peer;
    sono_source *phantom = NULL;
    uint64_t begin = 0;
    server_init(&of, 30);
    server_start(&of);
    client_open(&peer, &of);
    say_status(&peer, 2);
    assert_ok(open_phantom(&of, &phantom, NULL), NULL);
    for (int i = 0; i < of.n_frames; i++) {
        sono_image image;
        sono_frame_info info;
        float matrix[12];
        char number[16];
        const char *name = NULL;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        assert_ok(sono_source_next(phantom, &image, &info, &name, NULL), NULL);
        assert_true(client_next(&peer) && client_is_at(&peer, "TRANSFORM", 2));
        assert_string_equal("ImageToReference", peer.reader.header.device);
        const uint64_t timestamp = peer.reader.header.timestamp;
        assert_true(client_next(&peer) && client_is_at(&peer, "IMAGE", 2));
        assert_string_equal("Image_Reference", peer.reader.header.device);
        assert_memory_equal(image.pixels, peer.pixels, N_PIXELS);
        sono_replay_image_matrix(info.image_to_reference, info.spacing_mm, SIDE_PX, SIDE_PX, matrix);
        assert_memory_equal(matrix, peer.reader.image.matrix, sizeof matrix);
        snprintf(number, sizeof number, "%d", i);
        assert_true(metadata_is(&peer, "FrameNumber", number));
        assert_true(metadata_is(&peer, "ImageToReferenceTransformStatus", "OK"));
        assert_true(peer.reader.header.timestamp == timestamp);
        begin = i ? begin : timestamp;
        const int64_t since = sono_igtl_timestamp_ns(timestamp) - sono_igtl_timestamp_ns(begin);
        assert_true(llabs(since - i * INT64_C(5000000)) <= 1); /* the schedule's, whatever the delay */
    }
    assert_false(client_next(&peer));
    close(peer.fd);
    sono_source_close(phantom);
    server_join(&of);
    assert_true(of.sum.n_frames == 30 && of.sum.n_clients == 1 && !of.sum.n_slow);
}

/* Version 1 until the client speaks 2; who never does is served all the same; keep-alives between frames. */
static void test_versions(void **state)
{
    (void)state;
    server of;
    client old, young;
    server_init(&of, 4);
    of.rate_hz = 2;
    of.options.is_loop = 1;
    server_start(&of);
    client_open(&old, &of);
    client_open(&young, &of);
    client_find(&young, "IMAGE");
    assert_true(client_is_at(&young, "IMAGE", 1));
    say_status(&young, 2);
    do
        client_find(&young, "STATUS");
    while (young.reader.header.version == 1);
    client_find(&young, "IMAGE");
    assert_true(client_is_at(&young, "IMAGE", 2) && metadata_is(&young, "FrameNumber", "1"));
    client_find(&old, "IMAGE");
    client_find(&old, "STATUS");
    client_find(&old, "IMAGE");
    assert_true(client_is_at(&old, "IMAGE", 1));
    close(old.fd);
    close(young.fd);
    server_stop(&of);
}

static void test_answers(void **state)
{
    (void)state;
    server of;
    client peer;
    sono_igtl_capability capability;
    sono_igtl_command command = {
        .id = 77, .name = "StartRecording", .encoding = 3, .text = "<x/>", .n_bytes = 4};
    uint8_t bytes[256];
    sono_igtl_writer writer;
    char type[SONO_IGTL_TYPE_CHARS + 1];
    server_init(&of, 4);
    of.rate_hz = 20;
    of.options.is_loop = 1;
    server_start(&of);
    client_open(&peer, &of);
    client_say(&peer, 1, "GET_CAPABIL", NULL, 0);
    client_find(&peer, "CAPABILITY");
    assert_int_equal(SONO_IGTL_OK,
                     sono_igtl_capability_decode(peer.reader.body.content, peer.reader.body.content_bytes,
                                                 &capability, NULL));
    assert_true(sono_igtl_capability_at(&capability, 0, type));
    assert_string_equal("IMAGE", type);
    sono_igtl_writer_init(&writer, bytes, sizeof bytes);
    sono_igtl_command_encode(&writer, &command);
    client_say(&peer, 2, "COMMAND", bytes, writer.n_bytes);
    client_find(&peer, "RTS_COMMAND");
    assert_int_equal(SONO_IGTL_OK, sono_igtl_command_decode(peer.reader.body.content,
                                                            peer.reader.body.content_bytes, &command, NULL));
    assert_true(command.id == 77 && peer.reader.header.version == 2 &&
                memmem(command.text, command.n_bytes, "FAIL", 4));
    client_say(&peer, 2, "NEVERHEARDOF", "abc", 3);
    client_find(&peer, "IMAGE");
    assert_true(send(peer.fd, "this is no header and says nothing of any use to a server....", 61, 0) == 61);
    while (client_next(&peer))
        ;
    close(peer.fd);
    server_stop(&of);
}

static void test_client_info(void **state)
{
    (void)state;
    static const char xml[] =
        "<ClientInfo><MessageTypes><Message Type=\"IMAGE\"/></MessageTypes>"
        "<TransformNames><Transform Name=\"ProbeToTracker\"/></TransformNames></ClientInfo>";
    server of;
    client peer;
    sono_replay_client parsed = {0};
    sono_replay_client_narrow(&parsed, xml, sizeof xml - 1);
    assert_true(parsed.wants_images && !parsed.wants_transforms && parsed.n_wanted == 1);
    assert_string_equal("ProbeToTracker", parsed.wanted[0]);
    for (size_t i = 0; i < sizeof xml; i++) /* cut anywhere */
        sono_replay_client_narrow(&parsed, xml, i);
    uint8_t bytes[512];
    sono_igtl_writer writer;
    const sono_igtl_string string = {.encoding = 3, .text = xml, .n_bytes = sizeof xml - 1};
    server_init(&of, 10);
    server_start(&of);
    client_open(&peer, &of);
    sono_igtl_writer_init(&writer, bytes, sizeof bytes);
    sono_igtl_string_encode(&writer, &string);
    client_say(&peer, 2, "CLIENTINFO", bytes, writer.n_bytes);
    for (int i = 0; i < 10; i++)
        assert_true(client_next(&peer) && client_is_at(&peer, "IMAGE", 2));
    assert_false(client_next(&peer));
    close(peer.fd);
    server_join(&of);
}

/* A reader that stops loses its connection; the other one loses nothing. */
static void test_slow_reader(void **state)
{
    (void)state;
    server of;
    client slow, good;
    const int little = 4096;
    server_init(&of, 4000);
    of.options.queue_frames = 20;
    of.options.pace = SONO_REPLAY_FIXED;
    of.options.rate_hz = 4000;
    server_start(&of);
    client_open(&slow, &of);
    setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    client_open(&good, &of);
    say_status(&good, 2);
    int n_images = 0;
    while (client_next(&good))
        n_images += client_is_at(&good, "IMAGE", 2);
    close(good.fd);
    close(slow.fd);
    server_join(&of);
    assert_int_equal(4000, n_images);
    assert_true(of.sum.n_slow == 1 && of.sum.n_frames == 4000);
}

/* At the maximum rate nothing is lost, however small the queue, and passes follow each other uncached. */
static void test_maximum(void **state)
{
    (void)state;
    server of;
    client peer;
    server_init(&of, 7);
    of.options.pace = SONO_REPLAY_MAXIMUM;
    of.options.is_loop = 1;
    of.options.is_preloaded = 0;
    of.options.cache_bytes = 3 * N_PIXELS;
    of.options.queue_frames = 1;
    server_start(&of);
    client_open(&peer, &of);
    say_status(&peer, 2);
    for (int i = 0; i < 50; i++) {
        char number[16];
        client_find(&peer, "IMAGE");
        snprintf(number, sizeof number, "%d", i % 7);
        assert_true(metadata_is(&peer, "FrameNumber", number));
    }
    server_stop(&of);
    close(peer.fd);
}

static void expect_refusal(server *of, sono_status status, const char *text)
{
    sono_error error = {0};
    assert_status(status, sono_replay_run(&of->options, &of->sum, &error), &error);
    if (!strstr(error.text, text))
        fail_msg("'%s' does not say '%s'", error.text, text);
}

static void test_refusals(void **state)
{
    (void)state;
    server of, other;
    server_init(&other, 4);
    server_start(&other);
    server_init(&of, 4);
    of.options.port = atomic_load(&other.port);
    expect_refusal(&of, SONO_STATUS_IO, "another server");
    server_stop(&other);
    server_init(&of, 4);
    of.options.host = "no.such.host.invalid";
    expect_refusal(&of, SONO_STATUS_IO, "no.such.host.invalid");
    server_init(&of, 4);
    of.options.device = "a name that is longer than twenty";
    expect_refusal(&of, SONO_STATUS_INVALID_ARGUMENT, "20");
    server_init(&of, 4);
    of.options.pace = SONO_REPLAY_FIXED;
    expect_refusal(&of, SONO_STATUS_INVALID_ARGUMENT, "rate");
    server_init(&of, 400);
    of.options.cache_bytes = 100000;
    expect_refusal(&of, SONO_STATUS_LIMIT, "memory");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),    cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_frames),      cmocka_unit_test(test_versions),
        cmocka_unit_test(test_answers),     cmocka_unit_test(test_client_info),
        cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_refusals),
    };
    return sono_test_run("replay/replay", tests, sizeof(tests) / sizeof(tests[0]));
}
