// SPDX-License-Identifier: Apache-2.0
// labels: threads
/*
 * The client of a Plus-like server (live/serve/source.h) against a server that is this test: what the socket
 * does is played step by step, in one thread, with the loop turned in between.
 */
#include "serve/source.h"
#include "igtl/bind.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_HEARD  256
#define WAIT_NS    5000000000
#define WIRE_BYTES (1 << 20)

typedef struct frame_heard {
    uint64_t id;
    int is_refused;
    sono_session_drop why;
    char text[160];
    uint8_t first;
    sono_pixel_format format;
    int32_t width_px, height_px;
} frame_heard;

static sono_serve_config config;
static sono_serve_loop loop;
static sono_serve_engine *engine;
static sono_serve_source *source;
static sono_serve_snapshot snapshot;
static sono_serve_frame newest; /* the last whole frame */
static frame_heard heard[MAX_HEARD];
static int n_heard, n_up, n_down, n_settled, keeps_inputs, pauses_after_each;
static char reason[256], logged[64];
static int listening = -1, peer = -1;
static uint8_t wire[WIRE_BYTES];
static sono_igtl_writer writer;

/* ---- what it tells --------------------------------------------------------------------------------------
 */

static void on_up(void *user)
{
    (void)user;
    ++n_up;
}

static void on_down(void *user, const char *why)
{
    (void)user;
    ++n_down;
    snprintf(reason, sizeof reason, "%s", why);
}

static void on_heard(void *user)
{
    (void)user;
}

static void on_frame(void *user, const sono_serve_frame *frame)
{
    (void)user;
    assert_true(n_heard < MAX_HEARD);
    heard[n_heard++] = (frame_heard){.id = frame->id,
                                     .first = ((const uint8_t *)frame->pixels.pixels)[0],
                                     .format = frame->pixels.format,
                                     .width_px = frame->pixels.width_px,
                                     .height_px = frame->pixels.height_px};
    memcpy(&newest, frame, sizeof newest);
    if (frame->input && !keeps_inputs) {
        sono_serve_engine_return(engine, frame->input);
    }
    if (pauses_after_each) {
        sono_serve_source_pause(source, 1);
    }
}

static void on_settled(void *user)
{
    (void)user;
    ++n_settled;
}

static void on_refused(void *user, uint64_t frame, sono_session_drop why, const char *text)
{
    (void)user;
    assert_true(n_heard < MAX_HEARD);
    heard[n_heard] = (frame_heard){.id = frame, .is_refused = 1, .why = why};
    snprintf(heard[n_heard++].text, sizeof heard[0].text, "%s", text);
}

static void on_log(void *user, const char *event, const char *text)
{
    (void)user;
    (void)text;
    snprintf(logged, sizeof logged, "%s", event);
}

/* ---- the stage ------------------------------------------------------------------------------------------
 */

static void listen_on_a_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &n), 0);
    snprintf(config.source_address, sizeof config.source_address, "127.0.0.1:%u", ntohs(address.sin_port));
}

static int begin(void **state)
{
    (void)state;
    sono_serve_config_init(&config);
    config.engine_kind = 1;
    config.engine_max_width_px = config.engine_max_height_px = 256;
    n_heard = n_up = n_down = n_settled = keeps_inputs = pauses_after_each = 0;
    reason[0] = logged[0] = 0;
    memset(&newest, 0, sizeof newest);
    memset(&snapshot, 0, sizeof snapshot);
    listen_on_a_port();
    assert_int_equal(sono_serve_loop_open(&loop), 0);
    return 0;
}

/* What it was sent is read before, so that the end is no reset. */
static void close_peer(void)
{
    uint8_t bytes[4096];
    if (peer >= 0) {
        while (recv(peer, bytes, sizeof bytes, 0) > 0) {
        }
        close(peer);
    }
    peer = -1;
}

static int end(void **state)
{
    (void)state;
    sono_serve_source_close(source);
    sono_serve_engine_free(engine);
    source = NULL;
    engine = NULL;
    sono_serve_loop_close(&loop);
    close_peer();
    close(listening);
    return 0;
}

/* Turns the loop until the counter has reached a value. */
static void turn_until(const int *counter, int value)
{
    int64_t until = sono_serve_now_ns() + WAIT_NS;
    while (*counter < value) {
        assert_int_equal(sono_serve_loop_round(&loop, until), 0);
        assert_true(sono_serve_now_ns() < until);
    }
}

static void open_engine(void)
{
    sono_error error;
    sono_serve_result result;
    struct pollfd poll_fd = {.events = POLLIN};
    assert_ok(sono_serve_engine_new(&config, NULL, NULL, &engine, &error), &error);
    sono_serve_engine_open(engine);
    poll_fd.fd = sono_serve_engine_fd(engine);
    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    assert_int_equal(sono_serve_engine_next(engine, &result, &error), SONO_SERVE_ENGINE_UP);
}

static void open_source(void)
{
    static const sono_serve_source_listener listener = {.up = on_up,
                                                        .down = on_down,
                                                        .heard = on_heard,
                                                        .frame = on_frame,
                                                        .settled = on_settled,
                                                        .refused = on_refused,
                                                        .log = on_log};
    sono_error error;
    assert_ok(sono_serve_source_open(&config, &loop, engine, &listener, &source, &error), &error);
}

static void take_connection(void)
{
    struct pollfd poll_fd = {.fd = listening, .events = POLLIN};
    int up = n_up + 1;
    sono_serve_source_connect(source);
    turn_until(&n_up, up);
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    peer = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    assert_true(peer >= 0);
}

static void open_all(void)
{
    open_engine();
    open_source();
    take_connection();
}

/* What fits into the socket goes out, then the loop is turned, and so on. */
static void send_bytes(const uint8_t *bytes, size_t n_bytes)
{
    int64_t until = sono_serve_now_ns() + WAIT_NS;
    while (n_bytes) {
        ssize_t n = send(peer, bytes, n_bytes, MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_int_equal(sono_serve_loop_round(&loop, sono_serve_now_ns() + 1000000), 0);
            assert_true(sono_serve_now_ns() < until);
            continue;
        }
        bytes += n;
        n_bytes -= (size_t)n;
    }
}

/* ---- messages -------------------------------------------------------------------------------------------
 */

static sono_igtl_image grey(int width, int height)
{
    return (sono_igtl_image){.version = 1,
                             .n_components = 1,
                             .scalar = SONO_IGTL_UINT8,
                             .endian = 2,
                             .coordinates = 1,
                             .size = {(uint16_t)width, (uint16_t)height, 1},
                             .matrix = {0, 0.5f, 0, 0.25f, 0, 0, 0, 0, 1, 10, 20, 30},
                             .subsize = {(uint16_t)width, (uint16_t)height, 1}};
}

static void start(void)
{
    sono_igtl_writer_init(&writer, wire, sizeof wire);
}

/* An IMAGE whose pixels are all `value`, behind what is in `wire`. */
static void add_image(const char *device, uint64_t timestamp, const sono_igtl_image *image, uint8_t value)
{
    static const char numbers[] = "1 0 0 7 0 1 0 8 0 0 1 9 0 0 0 1";
    const sono_igtl_metadata pose = {.key = "ImageToReferenceTransform",
                                     .key_bytes = 25,
                                     .value = numbers,
                                     .value_bytes = sizeof numbers - 1,
                                     .encoding = 3};
    size_t n = (size_t)sono_igtl_image_pixel_bytes(image);
    sono_igtl_message_begin(&writer, 2, "IMAGE", device, timestamp);
    sono_igtl_image_head_encode(&writer, image);
    uint8_t *pixels = sono_igtl_write_room(&writer, n);
    assert_non_null(pixels);
    memset(pixels, value, n);
    assert_int_equal(sono_igtl_message_end(&writer, 77, &pose, 1), SONO_IGTL_OK);
}

static void send_image(const char *device, const sono_igtl_image *image, uint8_t value)
{
    start();
    add_image(device, 0x123456789abcdef0, image, value);
    send_bytes(wire, writer.n_bytes);
}

static void send_grey(uint8_t value)
{
    sono_igtl_image image = grey(32, 16);
    send_image("Image_Reference", &image, value);
}

static void is_frame(int i, uint64_t id, uint8_t first)
{
    turn_until(&n_heard, i + 1);
    assert_int_equal(heard[i].id, id);
    assert_false(heard[i].is_refused);
    assert_int_equal(heard[i].first, first);
}

static void is_refusal(int i, uint64_t id, sono_session_drop why, const char *part)
{
    turn_until(&n_heard, i + 1);
    assert_int_equal(heard[i].id, id);
    assert_true(heard[i].is_refused);
    assert_string_equal(sono_session_drop_name(heard[i].why), sono_session_drop_name(why));
    assert_non_null(strstr(heard[i].text, part));
}

static int n_places(void)
{
    void *inputs[16];
    size_t room;
    int n = 0;
    while (n < 16 && sono_serve_engine_lend(engine, &room, &inputs[n])) {
        ++n;
    }
    for (int i = 0; i < n; ++i) {
        sono_serve_engine_return(engine, inputs[i]);
    }
    return n;
}

/* ---- frames ---------------------------------------------------------------------------------------------
 */

static void test_a_frame(void **state)
{
    (void)state;
    open_all();
    send_grey(200);
    is_frame(0, 1, 200);
    assert_true(newest.timestamp == 0x123456789abcdef0 && newest.info.user == newest.timestamp);
    assert_true(newest.info.timestamp_ns == sono_igtl_timestamp_ns(newest.timestamp));
    assert_int_equal(newest.message_id, 77);
    assert_string_equal(newest.device, "Image_Reference");
    assert_string_equal(newest.info.device_name, "Image_Reference");
    assert_true(newest.info.spacing_mm[0] == 0.5 && newest.info.spacing_mm[1] == 0.25);
    assert_int_equal(newest.info.has_pose, 1);
    assert_true(newest.info.image_to_reference[3] == 7 && newest.info.image_to_reference[11] == 9);
    assert_int_equal(newest.info.frame_id, 1);
    assert_memory_equal(newest.image_head, wire + SONO_IGTL_HEADER_BYTES + SONO_IGTL_EXTENDED_BYTES,
                        SONO_IGTL_IMAGE_HEAD_BYTES);
    assert_true(newest.received_ns > 0 && newest.received_ns <= sono_serve_now_ns());
    turn_until(&n_settled, 1);
    sono_serve_source_snapshot(source, &snapshot);
    assert_true(snapshot.source_is_up && snapshot.source_messages == 1);
    assert_string_equal(snapshot.source_device, "Image_Reference");
}

/* Plus sends metadata only to who has sent a version-2 message. */
static void test_it_speaks_first(void **state)
{
    uint8_t bytes[8192];
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_string string;
    (void)state;
    config.source_ask_plus = 1;
    snprintf(config.source_device, sizeof config.source_device, "%s", "Probe_Track<er");
    open_all();
    struct pollfd poll_fd = {.fd = peer, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    ssize_t n = recv(peer, bytes, sizeof bytes, 0);
    assert_int_equal(sono_igtl_header_decode(bytes, (size_t)n, 65536, &header, NULL), SONO_IGTL_OK);
    assert_int_equal(header.version, 2);
    assert_string_equal(header.type, "STATUS");
    const uint8_t *next = bytes + SONO_IGTL_HEADER_BYTES + header.body_bytes;
    size_t left = (size_t)(bytes + n - next);
    assert_int_equal(sono_igtl_body_decode(&header, bytes + SONO_IGTL_HEADER_BYTES,
                                           (size_t)n - SONO_IGTL_HEADER_BYTES, &body, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(body.n_metadata, 1);
    assert_int_equal(sono_igtl_header_decode(next, left, 65536, &header, NULL), SONO_IGTL_OK);
    assert_string_equal(header.type, "CLIENTINFO");
    assert_int_equal(sono_igtl_body_decode(&header, next + SONO_IGTL_HEADER_BYTES,
                                           left - SONO_IGTL_HEADER_BYTES, &body, NULL),
                     SONO_IGTL_OK);
    assert_int_equal(sono_igtl_string_decode(body.content, body.content_bytes, &string, NULL), SONO_IGTL_OK);
    assert_non_null(memmem(string.text, string.n_bytes, "<Message Type=\"IMAGE\"/>", 23));
    assert_non_null(memmem(string.text, string.n_bytes, "<Transform Name=\"ImageToReference\"/>", 36));
    const char *image = "<Image Name=\"Probe\" EmbeddedTransformToFrame=\"Track&lt;er\"/>";
    assert_non_null(memmem(string.text, string.n_bytes, image, strlen(image)));
}

static void test_bytes_one_by_one(void **state)
{
    sono_igtl_image image = grey(4, 2);
    (void)state;
    open_all();
    start();
    add_image("Image", 1, &image, 9);
    add_image("Image", 2, &image, 10);
    for (size_t i = 0; i < writer.n_bytes; ++i) {
        send_bytes(wire + i, 1);
        assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
    }
    is_frame(0, 1, 9);
    is_frame(1, 2, 10);
    assert_int_equal(n_down, 0);
}

static void test_size_and_type_change(void **state)
{
    sono_igtl_image image = grey(32, 16);
    (void)state;
    config.engine_depth = 1;
    open_all();
    send_image("Image", &image, 1);
    is_frame(0, 1, 1);
    image = grey(100, 50);
    image.n_components = 3;
    send_image("Image", &image, 2);
    is_frame(1, 2, 2);
    assert_int_equal(heard[1].format, SONO_PIXEL_RGB8);
    assert_int_equal(heard[1].width_px, 100);
    image = grey(7, 5);
    image.scalar = SONO_IGTL_UINT16;
    image.endian = 1;
    send_image("Image", &image, 3);
    is_frame(2, 3, 3);
    assert_int_equal(heard[2].format, SONO_PIXEL_GRAY16);
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
}

static void test_what_cannot_be_used(void **state)
{
    sono_igtl_image image = grey(32, 16);
    (void)state;
    open_all();
    image.scalar = SONO_IGTL_FLOAT32;
    send_image("Image", &image, 0);
    is_refusal(0, 1, SONO_SESSION_DROP_UNSUPPORTED, "source.window");
    image = grey(257, 16);
    send_image("Image", &image, 0);
    is_refusal(1, 2, SONO_SESSION_DROP_TOO_LARGE, "engine.max_width_px");
    send_grey(5); /* the next good one is taken; its device is another */
    send_image("Image", &(sono_igtl_image){0}, 0);
    is_refusal(2, 3, SONO_SESSION_DROP_MALFORMED, "");
    image = grey(32, 16);
    send_image("Image", &image, 6);
    is_frame(3, 4, 6);
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
    assert_int_equal(n_down, 0);
}

static void test_wide_samples_within_a_window(void **state)
{
    sono_igtl_image image = grey(256, 256);
    (void)state;
    snprintf(config.source_window, sizeof config.source_window, "%s", "0,1");
    open_all();
    image.scalar = SONO_IGTL_FLOAT64; /* 512 KiB: twice the memory of an input */
    send_image("Image", &image, 0);
    is_refusal(0, 1, SONO_SESSION_DROP_TOO_LARGE, "engine.max_width_px");
    image = grey(64, 64);
    image.scalar = SONO_IGTL_FLOAT64;
    send_image("Image", &image, 0x3f); /* 0x3f3f...: 0.000477 */
    is_frame(1, 2, 0);
    assert_int_equal(heard[1].format, SONO_PIXEL_GRAY8);
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
}

static void send_damaged(void)
{
    sono_igtl_image image = grey(32, 16);
    start();
    add_image("Image_Reference", 1, &image, 50);
    wire[writer.n_bytes - 200] ^= 0xff; /* a pixel */
    send_bytes(wire, writer.n_bytes);
}

static void test_bad_checksum(void **state)
{
    (void)state;
    open_all();
    send_damaged();
    is_refusal(0, 1, SONO_SESSION_DROP_CHECKSUM, "checksum");
    send_grey(4);
    is_frame(1, 2, 4);
    sono_serve_source_snapshot(source, &snapshot);
    assert_int_equal(snapshot.source_bad_crc, 1);
    config.source_checksum = 1; /* accept, from now on */
    sono_serve_source_reload(source, &config);
    send_damaged();
    is_frame(2, 3, 50);
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
}

static void test_devices(void **state)
{
    sono_igtl_image image = grey(32, 16);
    (void)state;
    open_all();
    send_image("B", &image, 1);
    is_frame(0, 1, 1);
    send_image("A", &image, 2); /* not the first that came: not even counted */
    send_image("B", &image, 3);
    is_frame(1, 2, 3);
    snprintf(config.source_device, sizeof config.source_device, "%s", "A");
    sono_serve_source_reload(source, &config);
    send_image("B", &image, 4);
    send_image("A", &image, 5);
    is_frame(2, 3, 5);
}

static void test_unknown_types_are_skipped(void **state)
{
    (void)state;
    open_all();
    start();
    sono_igtl_message_begin(&writer, 2, "NDARRAY", "x", 0);
    sono_igtl_write(&writer, "0123456789", 10);
    sono_igtl_message_end(&writer, 1, NULL, 0);
    sono_igtl_message_begin(&writer, 1, "MYSTERY", "x", 0);
    sono_igtl_message_end(&writer, 1, NULL, 0);
    send_bytes(wire, writer.n_bytes);
    send_grey(1);
    is_frame(0, 1, 1);
    sono_serve_source_snapshot(source, &snapshot);
    assert_int_equal(snapshot.source_unknown, 2);
    assert_int_equal(snapshot.source_messages, 3);
}

/* A BIND's image is a frame like any other, with the BIND's TRANSFORM. */
static void test_bind(void **state)
{
    static uint8_t image_bytes[2048], pose_bytes[64];
    sono_igtl_image image = grey(32, 16);
    const sono_igtl_transform pose = {.matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1, 4, 5, 6}};
    sono_igtl_child children[3] = {{.type = "IMAGE", .device = "Image", .content = image_bytes},
                                   {.type = "TRANSFORM", .device = "ImageToReference", .content = pose_bytes},
                                   {.type = "IMAGE", .device = "Image", .content = image_bytes}};
    (void)state;
    open_all();
    sono_igtl_writer_init(&writer, image_bytes, sizeof image_bytes);
    sono_igtl_image_head_encode(&writer, &image);
    memset(sono_igtl_write_room(&writer, 32 * 16), 99, 32 * 16);
    children[0].content_bytes = writer.n_bytes;
    children[2].content_bytes = writer.n_bytes - 2; /* malformed */
    sono_igtl_writer_init(&writer, pose_bytes, sizeof pose_bytes);
    sono_igtl_transform_encode(&writer, &pose);
    children[1].content_bytes = writer.n_bytes;
    start();
    sono_igtl_message_begin(&writer, 2, "BIND", "All", 55);
    sono_igtl_bind_encode(&writer, children, 3);
    assert_int_equal(sono_igtl_message_end(&writer, 5, NULL, 0), SONO_IGTL_OK);
    send_bytes(wire, writer.n_bytes);
    is_frame(0, 1, 99);
    assert_string_equal(newest.device, "Image");
    assert_true(newest.timestamp == 55 && newest.message_id == 5);
    assert_true(newest.info.has_pose && newest.info.image_to_reference[3] == 4);
    assert_memory_equal(newest.image_head, image_bytes, SONO_IGTL_IMAGE_HEAD_BYTES);
    is_refusal(1, 2, SONO_SESSION_DROP_MALFORMED, "");
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
}

static void test_no_engine(void **state)
{
    (void)state;
    open_all();
    sono_serve_engine_close(engine);
    send_grey(1);
    is_refusal(0, 1, SONO_SESSION_DROP_NO_ENGINE, "engine");
}

/* The engine closes while an image is on its way into its memory. */
static void test_the_engine_closes_within_an_image(void **state)
{
    sono_igtl_image image = grey(200, 200);
    (void)state;
    open_all();
    start();
    add_image("Image", 1, &image, 1);
    send_bytes(wire, 20000);
    for (int i = 0; i < 20; ++i) {
        assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
    }
    sono_serve_source_forget_input(source);
    sono_serve_engine_close(engine);
    send_bytes(wire + 20000, writer.n_bytes - 20000);
    is_refusal(0, 1, SONO_SESSION_DROP_NO_ENGINE, "engine");
    assert_int_equal(n_down, 0);
}

/* A recording goes on without an engine: the pixels are there during the call. */
static void test_pixels_without_an_engine(void **state)
{
    (void)state;
    snprintf(config.record_folder, sizeof config.record_folder, "%s", "somewhere");
    open_all();
    sono_serve_engine_close(engine);
    send_grey(77);
    is_frame(0, 1, 77);
    assert_null(newest.input);
}

static void test_rate(void **state)
{
    (void)state;
    config.source_max_rate_hz = 0.001;
    open_all();
    send_grey(1);
    send_grey(2);
    is_frame(0, 1, 1);
    is_refusal(1, 2, SONO_SESSION_DROP_RATE, "max_rate_hz");
}

/* ---- the link -------------------------------------------------------------------------------------------
 */

static void test_cut_within_an_image(void **state)
{
    sono_igtl_image image = grey(200, 200);
    (void)state;
    open_all();
    start();
    add_image("Image", 1, &image, 1);
    send_bytes(wire, 20000);
    close_peer();
    is_refusal(0, 1, SONO_SESSION_DROP_CUT, "link");
    turn_until(&n_down, 1);
    assert_non_null(strstr(reason, "closed by the source"));
    assert_int_equal(n_places(), sono_serve_engine_slots(&config));
    take_connection(); /* and again, from the first byte on */
    send_grey(8);
    is_frame(1, 2, 8);
}

static void test_reset(void **state)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)state;
    open_all();
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close_peer();
    turn_until(&n_down, 1);
    assert_int_equal(n_heard, 0);
}

static void test_garbage(void **state)
{
    uint8_t garbage[256];
    (void)state;
    open_all();
    memset(garbage, 0xee, sizeof garbage);
    send_bytes(garbage, sizeof garbage);
    turn_until(&n_down, 1);
    assert_non_null(strstr(reason, "not OpenIGTLink"));
}

static void test_a_size_beyond_the_limit(void **state)
{
    (void)state;
    config.source_max_message_mb = 1;
    open_all();
    start();
    sono_igtl_message_begin(&writer, 1, "IMAGE", "x", 0);
    sono_igtl_message_end(&writer, 0, NULL, 0);
    memset(wire + 42, 0x7f, 8); /* the body's size */
    send_bytes(wire, SONO_IGTL_HEADER_BYTES);
    turn_until(&n_down, 1);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    open_engine();
    open_source();
    close(listening);
    for (int i = 1; i <= 3; ++i) {
        sono_serve_source_connect(source);
        turn_until(&n_down, i);
        assert_non_null(strstr(reason, "127.0.0.1:"));
    }
    assert_int_equal(n_up, 0);
    listening = -1;
}

static void test_no_descriptors(void **state)
{
    struct rlimit before, none;
    (void)state;
    open_engine();
    open_source();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    sono_serve_source_connect(source);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turn_until(&n_down, 1);
    assert_non_null(strstr(reason, strerror(EMFILE)));
    take_connection(); /* later there are some */
    send_grey(1);
    is_frame(0, 1, 1);
}

static void test_disconnect(void **state)
{
    (void)state;
    open_all();
    sono_serve_source_disconnect(source);
    assert_int_equal(n_down, 0); /* who asked is not told */
    char byte;
    uint8_t bytes[4096];
    struct pollfd poll_fd = {.fd = peer, .events = POLLIN};
    while (recv(peer, bytes, sizeof bytes, 0) > 0) {
    }
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    assert_true(recv(peer, &byte, 1, 0) <= 0);
    sono_serve_source_connect(source);
    sono_serve_source_disconnect(source); /* within an attempt */
    close_peer();
    peer = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    close_peer();
    take_connection();
    send_grey(1);
    is_frame(0, 1, 1);
}

/* "localhost" may be [::1] first, where nobody listens: the next address is tried. */
static void test_a_name(void **state)
{
    char port[16];
    (void)state;
    snprintf(port, sizeof port, "%s", strchr(config.source_address, ':'));
    snprintf(config.source_address, sizeof config.source_address, "localhost%s", port);
    open_all();
    send_grey(3);
    is_frame(0, 1, 3);
}

static void test_a_name_that_is_none(void **state)
{
    (void)state;
    snprintf(config.source_address, sizeof config.source_address, "%s", "no-such-host.invalid:1");
    open_engine();
    open_source();
    sono_serve_source_connect(source);
    turn_until(&n_down, 1);
    assert_non_null(strstr(reason, "no-such-host.invalid"));
}

/* ---- bursts ---------------------------------------------------------------------------------------------
 */

/* All that lies in the socket is read, in rounds of 1 MiB, before it settles: who waits for that gets the
 * newest. */
static void test_a_burst(void **state)
{
    sono_igtl_image image = grey(32, 16);
    (void)state;
    open_all();
    start();
    for (int i = 0; i < 100; ++i) {
        add_image("Image", (uint64_t)i + 1, &image, (uint8_t)i);
    }
    ssize_t n = send(peer, wire, writer.n_bytes, MSG_NOSIGNAL); /* 70 kB fit at once */
    assert_int_equal(n, writer.n_bytes);
    turn_until(&n_settled, 1);
    assert_int_equal(n_heard, 100);
    assert_int_equal(heard[99].first, 99);
    assert_int_equal(newest.timestamp, 100);
}

static void test_pause_within_a_burst(void **state)
{
    sono_igtl_image image = grey(32, 16);
    (void)state;
    open_all();
    pauses_after_each = 1;
    start();
    for (int i = 0; i < 10; ++i) {
        add_image("Image", (uint64_t)i + 1, &image, (uint8_t)i);
    }
    send_bytes(wire, writer.n_bytes);
    for (int i = 0; i < 10; ++i) {
        is_frame(i, (uint64_t)i + 1, (uint8_t)i);
        assert_int_equal(sono_serve_loop_round(&loop, 0), 0);
        assert_int_equal(n_heard, i + 1); /* nothing is read while it is paused */
        sono_serve_source_pause(source, 0);
    }
    sono_serve_source_pause(source, 1);
    close_peer(); /* the end is seen when it is read again, and the loop does not spin until then */
    int64_t begun = sono_serve_now_ns();
    assert_int_equal(sono_serve_loop_round(&loop, begun + 5000000), 0);
    assert_true(sono_serve_now_ns() >= begun + 5000000);
    sono_serve_source_pause(source, 0);
    turn_until(&n_down, 1);
}

static void test_bad_configuration(void **state)
{
    static const sono_serve_source_listener listener = {.log = on_log};
    sono_error error;
    (void)state;
    open_engine();
    snprintf(config.source_window, sizeof config.source_window, "%s", "5");
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_serve_source_open(&config, &loop, engine, &listener, &source, &error), &error);
    assert_non_null(strstr(error.text, "source.window"));
    config.source_window[0] = 0;
    snprintf(config.source_address, sizeof config.source_address, "%s", "host:99999");
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_serve_source_open(&config, &loop, engine, &listener, &source, &error), &error);
    assert_non_null(strstr(error.text, "source.address"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_frame),
        TEST(test_it_speaks_first),
        TEST(test_bytes_one_by_one),
        TEST(test_size_and_type_change),
        TEST(test_what_cannot_be_used),
        TEST(test_wide_samples_within_a_window),
        TEST(test_bad_checksum),
        TEST(test_devices),
        TEST(test_unknown_types_are_skipped),
        TEST(test_bind),
        TEST(test_no_engine),
        TEST(test_the_engine_closes_within_an_image),
        TEST(test_pixels_without_an_engine),
        TEST(test_rate),
        TEST(test_cut_within_an_image),
        TEST(test_reset),
        TEST(test_garbage),
        TEST(test_a_size_beyond_the_limit),
        TEST(test_nobody_listens),
        TEST(test_no_descriptors),
        TEST(test_disconnect),
        TEST(test_a_name),
        TEST(test_a_name_that_is_none),
        TEST(test_a_burst),
        TEST(test_pause_within_a_burst),
        TEST(test_bad_configuration),
    };
    return sono_test_run("live/source", tests, sizeof(tests) / sizeof(tests[0]));
}
