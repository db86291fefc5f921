// SPDX-License-Identifier: Apache-2.0
// labels: threads
/*
 * The whole service with the null engine (live/serve/serve.h), in a thread: this test is the PlusServer
 * before it and the 3D Slicer behind it.
 */
#include "serve/loop.h"
#include "serve/serve.h"
#include "base/alloc.h"
#include "igtl/messages.h"
#include "test.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECOND     1000000000ll
#define WIRE_BYTES (1 << 20)
#define SIDE       64

/* ---- counting the heap ----------------------------------------------------------------------------------
 */

#ifndef SONO_SANITIZED
/* Under sanitizers malloc() is theirs. */
extern void *__libc_malloc(size_t n_bytes);
extern void *__libc_calloc(size_t n, size_t n_bytes);
extern void *__libc_realloc(void *old, size_t n_bytes);
static atomic_int n_allocations, fails_at; /* the one of that number fails; 0 = none */

static int is_failing(void)
{
    int is_this = atomic_fetch_add(&n_allocations, 1) + 1 == atomic_load(&fails_at);
    errno = is_this ? ENOMEM : errno;
    return is_this;
}

void *malloc(size_t n_bytes)
{
    return is_failing() ? NULL : __libc_malloc(n_bytes);
}

void *calloc(size_t n, size_t n_bytes)
{
    return is_failing() ? NULL : __libc_calloc(n, n_bytes);
}

void *realloc(void *old, size_t n_bytes)
{
    return is_failing() ? NULL : __libc_realloc(old, n_bytes);
}
#endif

/* ---- the service ----------------------------------------------------------------------------------------
 */

static sono_serve_config config;
static pthread_t thread;
static sem_t is_ready;
static int32_t port;
static int exit_status;
static atomic_int has_ended;
static sono_error error;

static void on_ready(void *user, int32_t bound, int32_t web_port)
{
    (void)web_port;
    (void)user;
    port = bound;
    sem_post(&is_ready);
}

static void *run(void *user)
{
    (void)user;
    exit_status = sono_serve_run(&config, on_ready, NULL, &error);
    atomic_store(&has_ended, 1);
    sem_post(&is_ready);
    return NULL;
}

static void start_service(void)
{
    sem_init(&is_ready, 0, 0);
    atomic_store(&has_ended, 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    sem_wait(&is_ready);
}

/* To the process, of which this thread blocks nothing: so it is where CUDA's driver has threads of its own.
 */
static void stop_service(int expected)
{
    kill(getpid(), SIGTERM);
    pthread_join(thread, NULL);
    if (exit_status != expected) {
        print_error("%s\n", error.text);
    }
    assert_int_equal(exit_status, expected);
}

/* ---- the source -----------------------------------------------------------------------------------------
 */

static int listening = -1, plus = -1;
static uint8_t wire[WIRE_BYTES];
static sono_igtl_writer writer;

static void listen_on_a_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &n), 0);
    snprintf(config.source_address, sizeof config.source_address, "127.0.0.1:%u", ntohs(address.sin_port));
}

static void take_source(void)
{
    struct pollfd poll_fd = {.fd = listening, .events = POLLIN};
    int on = 1;
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    plus = accept(listening, NULL, NULL);
    assert_true(plus >= 0);
    setsockopt(plus, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void add_image(uint64_t timestamp, uint8_t value)
{
    const sono_igtl_image image = {
        .version = 1,
        .n_components = 1,
        .scalar = SONO_IGTL_UINT8,
        .endian = 2,
        .coordinates = 1,
        .size = {SIDE, SIDE, 1},
        .subsize = {SIDE, SIDE, 1},
        .matrix = {0.1f, 0, 0, 0, 0.3f, 0, 0, 0, 1, 1.0f / 3, 0.7f, (float)timestamp}};
    sono_igtl_message_begin(&writer, 2, "IMAGE", "Image_Reference", timestamp);
    sono_igtl_image_head_encode(&writer, &image);
    memset(sono_igtl_write_room(&writer, SIDE * SIDE), value, SIDE * SIDE);
    assert_int_equal(sono_igtl_message_end(&writer, 1, NULL, 0), SONO_IGTL_OK);
}

static void start_wire(void)
{
    sono_igtl_writer_init(&writer, wire, sizeof wire);
}

static void send_wire(void)
{
    for (size_t at = 0; at < writer.n_bytes;) {
        ssize_t n = send(plus, wire + at, writer.n_bytes - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

static void send_image(uint64_t timestamp, uint8_t value)
{
    start_wire();
    add_image(timestamp, value);
    send_wire();
}

/* ---- a client -------------------------------------------------------------------------------------------
 */

static int slicer = -1;
static uint8_t body_bytes[WIRE_BYTES];
static sono_igtl_header header;
static sono_igtl_body body;

static void join(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval timeout = {.tv_sec = 10};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    slicer = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(slicer, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(slicer, (struct sockaddr *)&address, sizeof address), 0);
}

static void read_all(uint8_t *out, size_t n_bytes)
{
    while (n_bytes) {
        ssize_t n = recv(slicer, out, n_bytes, 0);
        assert_true(n > 0);
        out += n;
        n_bytes -= (size_t)n;
    }
}

static void next_message(void)
{
    uint8_t head[SONO_IGTL_HEADER_BYTES];
    read_all(head, sizeof head);
    assert_int_equal(sono_igtl_header_decode(head, sizeof head, sizeof body_bytes, &header, NULL),
                     SONO_IGTL_OK);
    read_all(body_bytes, (size_t)header.body_bytes);
    assert_true(sono_igtl_crc64(0, body_bytes, (size_t)header.body_bytes) == header.crc);
    assert_int_equal(sono_igtl_body_decode(&header, body_bytes, (size_t)header.body_bytes, &body, NULL),
                     SONO_IGTL_OK);
}

/* The next message of that type; STATUS alone comes for ever. */
static void next_of(const char *type)
{
    int64_t until = sono_serve_now_ns() + 20 * SECOND;
    do {
        next_message();
        assert_true(sono_serve_now_ns() < until);
    } while (strcmp(header.type, type) != 0);
}

static sono_igtl_image mask_head;
static const uint8_t *mask;

/* The next mask. Returns how many of its pixels are set. */
static int next_mask(void)
{
    int n = 0;
    next_of("IMAGE");
    assert_string_equal(header.device, "BoneMask");
    assert_int_equal(sono_igtl_image_decode(body.content, body.content_bytes, &mask_head, &mask, NULL),
                     SONO_IGTL_OK);
    for (int i = 0; i < SIDE * SIDE; ++i) {
        n += mask[i] != 0;
    }
    return n;
}

static void next_status(const char *name)
{
    int64_t until = sono_serve_now_ns() + 20 * SECOND;
    sono_igtl_state state;
    do {
        assert_true(sono_serve_now_ns() < until);
        next_of("STATUS");
        assert_int_equal(sono_igtl_status_decode(body.content, body.content_bytes, &state, NULL),
                         SONO_IGTL_OK);
    } while (strcmp(state.name, name) != 0);
}

static double next_kpi(const char *key)
{
    sono_igtl_string string;
    next_of("STRING");
    assert_int_equal(sono_igtl_string_decode(body.content, body.content_bytes, &string, NULL), SONO_IGTL_OK);
    cJSON *root = cJSON_ParseWithLength(string.text, string.n_bytes);
    assert_non_null(root);
    double value = cJSON_GetObjectItem(root, key)->valuedouble;
    double sum = cJSON_GetObjectItem(root, "processed")->valuedouble +
                 cJSON_GetObjectItem(root, "dropped")->valuedouble +
                 cJSON_GetObjectItem(root, "waiting")->valuedouble +
                 cJSON_GetObjectItem(root, "in_engine")->valuedouble;
    assert_true(cJSON_GetObjectItem(root, "received")->valuedouble == sum);
    cJSON_Delete(root);
    return value;
}

/* ---- the stage ------------------------------------------------------------------------------------------
 */

static int begin(void **state)
{
    (void)state;
    sono_serve_config_init(&config);
    config.engine_kind = 1;
    config.engine_max_width_px = config.engine_max_height_px = SIDE;
    snprintf(config.sink_listen, sizeof config.sink_listen, "127.0.0.1:0");
    sono_test_path(config.log_events, sizeof config.log_events, "events.log");
    listen_on_a_port();
    return 0;
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static int end(void **state)
{
    (void)state;
    close_one(&plus);
    close_one(&slicer);
    close_one(&listening);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return 0;
}

static void start_all(void)
{
    start_service();
    take_source();
    join();
    next_status("OK"); /* engine and source are there */
}

/* ---- tests ----------------------------------------------------------------------------------------------
 */

static void test_each_mask_is_its_frames(void **state)
{
    (void)state;
    start_all();
    for (uint64_t i = 1; i <= 20; ++i) {
        uint64_t timestamp = i * 0x123456789abcdefull;
        send_image(timestamp, i % 2 ? 200 : 20);
        assert_int_equal(next_mask(), i % 2 ? SIDE * SIDE : 0);
        assert_true(header.timestamp == timestamp);
        assert_true(mask_head.matrix[11] == (float)timestamp && mask_head.matrix[0] == 0.1f &&
                    mask_head.matrix[9] == 1.0f / 3);
        assert_int_equal(mask[0], i % 2); /* a label map */
    }
    stop_service(0);
    next_status("STOPPING"); /* clients are told before the end */
}

/* 100 frames at once: the newest is answered, within two frames' time of a slow engine; what is dropped is
 * counted. */
static void test_the_newest_of_a_burst(void **state)
{
    int n_masks = 0;
    (void)state;
    config.engine_null_delay_ms = 30;
    start_all();
    start_wire();
    for (uint64_t i = 1; i <= 100; ++i) {
        add_image(i, 200);
    }
    int64_t begun = sono_serve_now_ns();
    send_wire();
    do {
        next_mask();
        ++n_masks;
    } while (header.timestamp != 100);
    assert_true(n_masks <= 4);
#ifndef SONO_SANITIZED
    assert_true(sono_serve_now_ns() - begun < SECOND / 2);
#endif
    (void)begun;
    assert_true(next_kpi("received") == 100);
    stop_service(0);
}

/* In order, nothing is dropped: the source has to wait. */
static void test_all_in_order(void **state)
{
    (void)state;
    config.source_order = 1;
    config.engine_depth = 2;
    config.sink_queue_frames = 64;
    start_all();
    for (uint64_t i = 1; i <= 200; i += 20) { /* more than wait and are in the engine together */
        start_wire();
        for (uint64_t j = i; j < i + 20; ++j) {
            add_image(j, 200);
        }
        send_wire();
        for (uint64_t j = i; j < i + 20; ++j) {
            next_mask();
            assert_int_equal(header.timestamp, j);
        }
    }
    stop_service(0);
}

static void test_the_source_comes_back(void **state)
{
    (void)state;
    start_all();
    for (uint64_t i = 1; i <= 5; ++i) {
        send_image(i, 200);
        assert_int_equal(next_mask(), SIDE * SIDE);
        assert_int_equal(header.timestamp, i);
        close_one(&plus);
        assert_int_equal(next_mask(), 0); /* an empty mask, of its own time, where the last one was */
        assert_true(header.timestamp != i);
        assert_true(mask_head.matrix[11] == (float)i);
        next_status("NO_SOURCE");
        take_source();
    }
    stop_service(0);
}

static void test_a_source_that_stalls(void **state)
{
    (void)state;
    config.source_stall_ms = 50;
    start_all();
    send_image(1, 200);
    assert_int_equal(next_mask(), SIDE * SIDE);
    assert_int_equal(next_mask(), 0);
    next_status("SOURCE_STALLED");
    send_image(2, 200);
    assert_int_equal(next_mask(), SIDE * SIDE);
    stop_service(0);
}

static void test_lost_frames_reopen_the_engine(void **state)
{
    int n_shown = 0;
    (void)state;
    config.engine_null_fail_every = 3;
    config.engine_error_limit = 1;
    config.source_backoff_min_ms = 10;
    start_all();
    for (uint64_t i = 1; n_shown < 6; ++i) { /* two between any two losses */
        assert_true(i < 2000);
        send_image(i, 200);
        struct pollfd poll_fd = {.fd = slicer, .events = POLLIN};
        while (poll(&poll_fd, 1, 5) == 1) {
            next_message();
            if (!strcmp(header.type, "IMAGE") && header.timestamp == i) {
                ++n_shown;
                break;
            }
        }
    }
    assert_true(next_kpi("processed") >= 6);
    stop_service(0);
}

static void test_a_hanging_engine_is_reopened(void **state)
{
    (void)state;
    config.engine_null_delay_ms = 60000;
    config.engine_hang_ms = 50;
    start_all();
    send_image(1, 200);
    next_status("ENGINE_FAILED");
    next_status("OK");
    stop_service(0);
}

/* As when a terminal's whole group is asked, or `timeout` asks twice: the frame in the engine is still shown.
 */
static void test_asked_twice_at_once(void **state)
{
    (void)state;
    config.engine_null_delay_ms = 500;
    start_all();
    send_image(1, 200);
    usleep(100000); /* the frame is in the engine */
    kill(getpid(), SIGINT);
    usleep(1000);
    kill(getpid(), SIGTERM);
    assert_int_equal(next_mask(), SIDE * SIDE);
    pthread_join(thread, NULL);
    assert_int_equal(exit_status, 0);
}

static void send_command(const char *name, const char *text)
{
    sono_igtl_command command = {.id = 1, .encoding = 3, .text = text, .n_bytes = (uint32_t)strlen(text)};
    snprintf(command.name, sizeof command.name, "%s", name);
    start_wire();
    sono_igtl_message_begin(&writer, 2, "COMMAND", "test", 0);
    sono_igtl_command_encode(&writer, &command);
    assert_int_equal(sono_igtl_message_end(&writer, 1, NULL, 0), SONO_IGTL_OK);
    assert_int_equal(send(slicer, wire, writer.n_bytes, MSG_NOSIGNAL), writer.n_bytes);
}

static void test_commands(void **state)
{
    (void)state;
    config.control_commands = 1;
    config.source_backoff_min_ms = 10;
    start_all();
    send_image(1, 200);
    assert_int_equal(next_mask(), SIDE * SIDE);
    send_command("stop", "");
    assert_int_equal(next_mask(), 0);
    next_status("PAUSED");
    send_command("start", "");
    next_status("OK");
    send_image(2, 200);
    assert_int_equal(next_mask(), SIDE * SIDE);
    send_command("threshold", "0.75"); /* taken when the engine opens: it does so again */
    next_status("ENGINE_OPENING");
    next_status("OK");
    send_image(3, 200);
    while (next_mask() != SIDE * SIDE) {
    }
    assert_int_equal(header.timestamp, 3);
    stop_service(0);
}

static void test_no_model(void **state)
{
    (void)state;
    config.engine_kind = 0;
    snprintf(config.engine_detector, sizeof config.engine_detector, "/nowhere/detector.pth");
    snprintf(config.engine_segmenter, sizeof config.engine_segmenter, "/nowhere/segmenter.pt");
    start_service();
    pthread_join(thread, NULL);
    assert_int_equal(exit_status, 1);
    assert_non_null(strstr(error.text, "/nowhere/detector.pth"));
}

static void test_an_address_that_is_taken(void **state)
{
    (void)state;
    snprintf(config.sink_listen, sizeof config.sink_listen, "%s", config.source_address);
    start_service();
    pthread_join(thread, NULL);
    assert_int_equal(exit_status, 1);
    assert_non_null(strstr(error.text, config.source_address));
}

/* ---- systemd --------------------------------------------------------------------------------------------
 */

static int listen_to_notifications(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = 10};
    char name[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(name, sizeof name, "@sonoseg-serve-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

/* Until one begins with that. */
static void is_notified(int fd, const char *what)
{
    char text[512];
    do {
        ssize_t n = recv(fd, text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = 0;
    } while (strncmp(text, what, strlen(what)) != 0);
}

static void write_config(const char *path, const char *text)
{
    sono_test_write_file(path, text, strlen(text));
}

static void test_systemd_and_reload(void **state)
{
    char path[SONO_TEST_PATH_BYTES];
    int fd = listen_to_notifications();
    (void)state;
    sono_test_path(path, sizeof path, "serve.yaml");
    setenv("WATCHDOG_USEC", "20000", 1);
    write_config(path, "sink:\n  mask_value: 7\n");
    assert_ok(sono_serve_config_read(&config, path, &error), &error);
    start_all();
    is_notified(fd, "READY=1");
    is_notified(fd, "WATCHDOG=1");
    send_image(1, 200);
    next_mask();
    assert_int_equal(mask[0], 7);
    write_config(path, "sink:\n  mask_value: 9\n");
    pthread_kill(thread, SIGHUP);
    is_notified(fd, "RELOADING=1\nMONOTONIC_USEC=");
    is_notified(fd, "READY=1");
    send_image(2, 200);
    next_mask();
    assert_int_equal(mask[0], 9);
    write_config(path, "sink:\n  mask_valeu: 9\n"); /* a fault changes nothing */
    pthread_kill(thread, SIGHUP);
    is_notified(fd, "READY=1");
    send_image(3, 200);
    next_mask();
    assert_int_equal(mask[0], 9);
    is_notified(fd, "WATCHDOG=1");
    stop_service(0);
    is_notified(fd, "STOPPING=1");
    close(fd);
    uint8_t *log = sono_test_read_file(config.log_events, NULL);
    assert_non_null(strstr((char *)log, "event=warning text=\"engine.kind is null"));
    assert_non_null(strstr((char *)log, "event=reload_refused"));
    assert_non_null(strstr((char *)log, "mask_value")); /* the nearest key */
    sono_free(log);
}

/* ---- what it costs --------------------------------------------------------------------------------------
 */

static void test_latency_file(void **state)
{
    (void)state;
    sono_test_path(config.log_latency, sizeof config.log_latency, "latency.csv");
    start_all();
    for (uint64_t i = 1; i <= 10; ++i) {
        send_image(i, 200);
        next_mask();
    }
    stop_service(0);
    char *at = (char *)sono_test_read_file(config.log_latency, NULL), *line = strchr(at, '\n');
    for (unsigned long long i = 1; i <= 10; ++i) {
        unsigned long long frame, raw;
        long long utc, received, submitted, done, first, last;
        int client;
        assert_non_null(line);
        assert_int_equal(sscanf(line + 1, "%llu,%16llx,%lld,%lld,%lld,%lld,%lld,%lld,%d", &frame, &raw, &utc,
                                &received, &submitted, &done, &first, &last, &client),
                         9);
        assert_true(frame == i && raw == i && client == 0 && utc > SECOND);
        assert_true(received <= submitted && submitted <= done && done <= first && first <= last);
        line = strchr(line + 1, '\n');
    }
    sono_free(at);
}

static void test_nothing_is_allocated(void **state)
{
    (void)state;
#ifdef SONO_SANITIZED
    sono_test_skip("under sanitizers malloc() is theirs");
#else
    start_all();
    for (uint64_t i = 1; i <= 20; ++i) {
        send_image(i, 200);
        next_mask();
    }
    int before = atomic_load(&n_allocations);
    for (uint64_t i = 21; i <= 1000; ++i) {
        send_image(i, 200);
        next_mask();
    }
    assert_int_equal(atomic_load(&n_allocations), before);
    stop_service(0);
#endif
}

/* Whichever request for memory fails at the start: it says so and ends, or goes on without harm. */
static void test_memory_fails_at_the_start(void **state)
{
    (void)state;
#ifdef SONO_SANITIZED
    sono_test_skip("under sanitizers malloc() is theirs");
#else
    int n_ended = 0, is_through = 0;
    for (int n = 1; !is_through; ++n) {
        memset(&error, 0, sizeof error);
        atomic_store(&fails_at, atomic_load(&n_allocations) + n);
        start_service();
        is_through = atomic_load(&n_allocations) < atomic_load(&fails_at);
        atomic_store(&fails_at, 0);
        if (atomic_load(&has_ended)) {
            pthread_join(thread, NULL);
            assert_int_equal(exit_status, 1);
            assert_true(error.status == SONO_STATUS_OUT_OF_MEMORY || error.status == SONO_STATUS_IO);
            assert_true(error.text[0] != 0);
            ++n_ended;
        } else {
            stop_service(0);
        }
        assert_true(n < 500);
    }
    assert_true(n_ended >= 8); /* service, board, logs, engine, source, sink, ... */
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_mask_is_its_frames),
        TEST(test_the_newest_of_a_burst),
        TEST(test_all_in_order),
        TEST(test_the_source_comes_back),
        TEST(test_a_source_that_stalls),
        TEST(test_lost_frames_reopen_the_engine),
        TEST(test_a_hanging_engine_is_reopened),
        TEST(test_asked_twice_at_once),
        TEST(test_commands),
        TEST(test_no_model),
        TEST(test_an_address_that_is_taken),
        TEST(test_systemd_and_reload),
        TEST(test_latency_file),
        TEST(test_nothing_is_allocated),
        TEST(test_memory_fails_at_the_start),
    };
    return sono_test_run("live/serve", tests, sizeof(tests) / sizeof(tests[0]));
}
