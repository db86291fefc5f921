// SPDX-License-Identifier: Apache-2.0
/* The server's loop: a timer for what is due, sockets, and nothing that blocks but reading the source. */
#include "replay/replay.h"

#include "replay/client.h"
#include "error/error.h"
#include "replay/listen.h"
#include "replay/schedule.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS     1000000000
#define KEEP_ALIVE_NS 250000000  /* PlusServer's */
#define GREETING_NS   250000000  /* a client that speaks version 2 says so at once: its first frame waits */
#define LATE_NS       1000000    /* counted as late */
#define BEHIND_NS     SECOND_NS  /* the schedule begins anew */
#define STUCK_NS      5000000000 /* at the end, and at the maximum rate: a client that takes nothing */
#define LINGER_NS     2000000000 /* a client may take so long to close after the end */
#define FRAMES_A_TURN 128
#define TAG_LISTENER  1000
#define TAG_TIMER     1001

typedef struct replay {
    const sono_replay_options *options;
    sono_replay_summary *sum;
    sono_replay_frames *frames;
    sono_replay_schedule schedule;
    int epoll, listener, timer;
    sono_replay_client clients[SONO_REPLAY_MAX_CLIENTS];
    const sono_replay_frame *next; /* read ahead; NULL = the frames have ended */
    int32_t pass;                  /* of next */
    int64_t due_ns;                /* of next */
    int64_t utc_offset_ns;         /* UTC less the monotonic clock when the schedule began */
    int64_t first_ns, last_ns;     /* when the first and the last frame were sent */
    int is_running, is_ended, is_over;
} replay;

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

__attribute__((format(printf, 2, 3))) static void say(const replay *self, const char *format, ...)
{
    char text[256];
    va_list args;
    if (!self->options->log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    self->options->log(self->options->user, text);
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static void lose(replay *self, sono_replay_client *client, const char *reason)
{
    say(self, "client %s: %s, %.1f MB sent", client->address, reason, (double)client->n_bytes * 1e-6);
    self->sum->n_bytes += client->n_bytes;
    sono_replay_client_close(client);
}

static void watch(replay *self, const sono_replay_client *client, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (client->n_queued ? (uint32_t)EPOLLOUT : 0)};
    event.data.u32 = (uint32_t)(client - self->clients);
    epoll_ctl(self->epoll, operation, client->fd, &event);
}

/* Sends what can be sent; waits for room only while something is left. */
static void push_out(replay *self, sono_replay_client *client)
{
    if (sono_replay_client_send(client, now_ns()))
        lose(self, client, strerrordesc_np(errno));
    else
        watch(self, client, EPOLL_CTL_MOD);
}

static void let_in(replay *self)
{
    char address[64];
    for (int fd; (fd = sono_replay_accept(self->listener, address, sizeof address)) >= 0;) {
        sono_replay_client *client = NULL;
        for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS && !client; i++)
            if (self->clients[i].fd < 0)
                client = &self->clients[i];
        if (!client || self->is_ended) {
            say(self, "client %s: turned away, %s", address, client ? "it is over" : "there are too many");
            close(fd);
            continue;
        }
        if (sono_replay_client_open(client, fd, address, self->options->queue_frames, now_ns()))
            continue;
        self->sum->n_clients++;
        watch(self, client, EPOLL_CTL_ADD);
        say(self, "client %s: connected", address);
    }
}

static uint64_t utc_raw(void)
{
    return sono_igtl_timestamp_raw(read_clock(CLOCK_REALTIME));
}

static void serve_client(replay *self, sono_replay_client *client, uint32_t events)
{
    const char *reason = "it left";
    if (client->fd < 0)
        return;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && sono_replay_client_receive(client, utc_raw(), &reason))
        lose(self, client, reason);
    else
        push_out(self, client);
}

/* Keep-alives, and who takes nothing. Only where all wait for the slowest may one be stuck for long: else its
 * queue fills. */
static void look_after(replay *self, sono_replay_client *client, int64_t now)
{
    const int must_move = self->is_ended || self->options->pace == SONO_REPLAY_MAXIMUM;
    if (client->is_closing) {
        if (now - client->moved_ns > LINGER_NS)
            lose(self, client, "served to the end");
    } else if (client->n_queued) {
        if (must_move && now - client->moved_ns > STUCK_NS) {
            self->sum->n_slow++;
            lose(self, client, "disconnected, it takes nothing");
        }
    } else if (self->is_ended) {
        shutdown(client->fd, SHUT_WR);
        client->is_closing = 1;
        client->moved_ns = now;
    } else if (now - client->moved_ns >= KEEP_ALIVE_NS) {
        sono_replay_packet *packet = sono_replay_packet_status(client->version, utc_raw());
        if (packet && !sono_replay_client_push(client, packet))
            push_out(self, client);
        sono_replay_packet_release(packet);
    }
}

static void look_after_all(replay *self)
{
    const int64_t now = now_ns();
    int n_left = 0;
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++)
        if (self->clients[i].fd >= 0) {
            look_after(self, &self->clients[i], now);
            n_left += self->clients[i].fd >= 0;
        }
    self->is_over = self->is_ended && !n_left;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

/* Reads the next frame. Without one it has ended. */
static sono_status read_ahead(replay *self, sono_error *error)
{
    const sono_status status = sono_replay_frames_next(self->frames, &self->next, &self->pass, error);
    if (status == SONO_STATUS_END) {
        self->next = NULL;
        self->is_ended = 1;
        return SONO_STATUS_OK;
    }
    if (status == SONO_STATUS_OK && self->options->pace == SONO_REPLAY_ORIGINAL && !self->next->has_time)
        return sono_live_fail(error, SONO_STATUS_FORMAT, 0, "replay",
                              "the frames do not say when they were made: name a rate");
    return status;
}

static void plan(replay *self)
{
    if (self->next)
        self->due_ns = sono_replay_schedule_next(&self->schedule, self->next->time_ns, self->pass);
}

/* A client is there, and has spoken or had the time to. */
static int is_awaited(const replay *self, int64_t now)
{
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++) {
        const sono_replay_client *client = &self->clients[i];
        if (client->fd >= 0 && (client->has_spoken || now - client->joined_ns >= GREETING_NS))
            return 1;
    }
    return 0;
}

static void start(replay *self)
{
    const int64_t now = now_ns();
    if (!is_awaited(self, now))
        return;
    self->is_running = 1;
    self->utc_offset_ns = read_clock(CLOCK_REALTIME) - now;
    sono_replay_schedule_init(&self->schedule, self->options->pace, self->options->rate_hz,
                              self->options->burst, now);
    plan(self);
}

static int is_due(const replay *self, int64_t now)
{
    if (!self->is_running || !self->next)
        return 0;
    if (self->options->pace != SONO_REPLAY_MAXIMUM)
        return now >= self->due_ns;
    int n_clients = 0;
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++) {
        if (self->clients[i].fd >= 0 && self->clients[i].n_queued)
            return 0;
        n_clients += self->clients[i].fd >= 0;
    }
    return n_clients > 0;
}

static uint64_t timestamp_of(const replay *self, int64_t now)
{
    const sono_replay_frame *frame = self->next;
    const int64_t due_ns = self->options->pace == SONO_REPLAY_MAXIMUM ? now : self->due_ns;
    if (self->options->keeps_timestamps && frame->raw_time)
        return frame->raw_time;
    if (self->options->keeps_timestamps && frame->has_time)
        return sono_igtl_timestamp_raw(frame->time_ns);
    return sono_igtl_timestamp_raw(due_ns + self->utc_offset_ns);
}

static void count(replay *self, int64_t now)
{
    const int64_t late_ns = self->options->pace == SONO_REPLAY_MAXIMUM ? 0 : now - self->due_ns;
    if (!self->sum->n_frames++)
        self->first_ns = now;
    self->last_ns = now;
    self->sum->n_late += late_ns > LATE_NS;
    if (late_ns > self->sum->worst_late_ns)
        self->sum->worst_late_ns = late_ns;
    if (late_ns > BEHIND_NS) {
        sono_replay_schedule_shift(&self->schedule, late_ns);
        self->sum->n_shifts++;
    }
}

static sono_status publish(replay *self, int64_t now, sono_error *error)
{
    sono_replay_packet *packets[3] = {NULL};
    const uint64_t timestamp = timestamp_of(self, now);
    const uint32_t message_id = (uint32_t)(self->sum->n_frames + 1);
    count(self, now);
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++) {
        sono_replay_client *client = &self->clients[i];
        if (client->fd < 0)
            continue;
        sono_replay_packet **packet = &packets[client->version];
        if (!*packet)
            *packet = sono_replay_packet_frame(self->next, self->options->device, client->version, timestamp,
                                               message_id);
        if (!*packet) {
            sono_replay_packet_release(packets[1]);
            sono_replay_packet_release(packets[2]);
            return sono_live_fail(error, SONO_STATUS_LIMIT, 0, "replay",
                                  "a frame could not be made into a message: out of memory, or its fields "
                                  "are beyond the protocol's limits");
        }
        if (!sono_replay_client_push(client, *packet)) {
            push_out(self, client);
            continue;
        }
        self->sum->n_slow++;
        lose(self, client, "disconnected, it is too slow");
    }
    sono_replay_packet_release(packets[1]);
    sono_replay_packet_release(packets[2]);
    return SONO_STATUS_OK;
}

static sono_status send_due(replay *self, sono_error *error)
{
    if (!self->is_running)
        start(self);
    const int most = self->options->pace == SONO_REPLAY_MAXIMUM ? 1 : FRAMES_A_TURN;
    for (int i = 0; i < most; i++) {
        const int64_t now = now_ns();
        if (!is_due(self, now))
            return SONO_STATUS_OK;
        sono_status status = publish(self, now, error);
        if (status == SONO_STATUS_OK)
            status = read_ahead(self, error);
        if (status != SONO_STATUS_OK)
            return status;
        plan(self);
    }
    return SONO_STATUS_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

/* The next frame, or a keep-alive. */
static void set_timer(const replay *self)
{
    int64_t at_ns = now_ns() + KEEP_ALIVE_NS;
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++) {
        const sono_replay_client *client = &self->clients[i];
        const int is_idle = client->fd >= 0 && !client->n_queued && !client->is_closing;
        if (is_idle && client->moved_ns + KEEP_ALIVE_NS < at_ns)
            at_ns = client->moved_ns + KEEP_ALIVE_NS;
    }
    if (self->options->pace == SONO_REPLAY_MAXIMUM)
        at_ns = is_due(self, 0) ? 1 : at_ns;
    else if (self->is_running && self->next && self->due_ns < at_ns)
        at_ns = self->due_ns;
    const struct itimerspec when = {.it_value = {.tv_sec = at_ns / SECOND_NS, .tv_nsec = at_ns % SECOND_NS}};
    timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void round_once(replay *self)
{
    struct epoll_event events[SONO_REPLAY_MAX_CLIENTS + 2];
    uint64_t n_expired = 0;
    set_timer(self);
    const int n = epoll_wait(self->epoll, events, SONO_REPLAY_MAX_CLIENTS + 2, -1);
    for (int i = 0; i < n; i++) {
        const uint32_t tag = events[i].data.u32;
        if (tag == TAG_LISTENER)
            let_in(self);
        else if (tag == TAG_TIMER && read(self->timer, &n_expired, sizeof n_expired) < 0)
            continue; /* it was set anew */
        else if (tag < SONO_REPLAY_MAX_CLIENTS)
            serve_client(self, &self->clients[tag], events[i].events);
    }
}

static sono_status run(replay *self, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    while (status == SONO_STATUS_OK && !self->is_over) {
        if (self->options->is_stopped && self->options->is_stopped(self->options->user))
            break;
        round_once(self);
        status = send_due(self, error);
        look_after_all(self);
    }
    return status;
}

static sono_status open_all(replay *self, sono_error *error)
{
    int32_t port = self->options->port;
    sono_status status = sono_replay_listen(self->options->host, &port, &self->listener, error);
    if (status == SONO_STATUS_OK)
        status = sono_replay_frames_open(self->options, &self->frames, error);
    if (status == SONO_STATUS_OK)
        status = read_ahead(self, error);
    if (status != SONO_STATUS_OK)
        return status;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event listener = {.events = EPOLLIN, .data = {.u32 = TAG_LISTENER}};
    struct epoll_event timer = {.events = EPOLLIN, .data = {.u32 = TAG_TIMER}};
    if (self->epoll < 0 || self->timer < 0 ||
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->listener, &listener) ||
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->timer, &timer))
        return sono_live_fail(error, SONO_STATUS_IO, errno, "replay", "no event loop");
    if (self->options->ready)
        self->options->ready(self->options->user, port);
    return SONO_STATUS_OK;
}

static void close_all(replay *self)
{
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++)
        if (self->clients[i].fd >= 0)
            lose(self, &self->clients[i], "the replay ends");
    const int descriptors[] = {self->epoll, self->timer, self->listener};
    for (int i = 0; i < 3; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    if (self->frames)
        self->sum->n_unreadable = sono_replay_frames_unreadable(self->frames);
    sono_replay_frames_close(self->frames);
    self->sum->duration_ns = self->last_ns - self->first_ns;
    if (self->sum->n_frames > 1 && self->sum->duration_ns > 0)
        self->sum->rate_hz = (double)(self->sum->n_frames - 1) * 1e9 / (double)self->sum->duration_ns;
}

void sono_replay_options_init(sono_replay_options *options)
{
    *options = (sono_replay_options){.pose = "ImageToReference",
                                     .host = "127.0.0.1",
                                     .port = 18944,
                                     .device = "Image_Reference",
                                     .burst = 1,
                                     .queue_frames = 100,
                                     .cache_bytes = (int64_t)512 << 20};
}

static sono_status check(const sono_replay_options *options, sono_error *error)
{
    const size_t n_device = strlen(options->device);
    if (!n_device || n_device > SONO_IGTL_DEVICE_CHARS)
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "replay",
                              "the device name '%s' has not 1 to %d characters", options->device,
                              SONO_IGTL_DEVICE_CHARS);
    if (options->pace == SONO_REPLAY_FIXED && !(options->rate_hz >= 0.001 && options->rate_hz <= 10000))
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "replay",
                              "a rate of %g frames a second is not within 0.001..10000", options->rate_hz);
    if (options->burst < 1 || options->burst > FRAMES_A_TURN || options->queue_frames < 1 ||
        options->queue_frames > 100000)
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "replay",
                              "a burst is 1 to %d frames, a queue 1 to 100000", FRAMES_A_TURN);
    return SONO_STATUS_OK;
}

sono_status sono_replay_run(const sono_replay_options *options, sono_replay_summary *out, sono_error *error)
{
    *out = (sono_replay_summary){0};
    sono_status status = check(options, error);
    if (status != SONO_STATUS_OK)
        return status;
    replay *self = calloc(1, sizeof *self);
    if (!self)
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "replay", "out of memory");
    self->options = options;
    self->sum = out;
    self->epoll = self->listener = self->timer = -1;
    for (int i = 0; i < SONO_REPLAY_MAX_CLIENTS; i++)
        self->clients[i].fd = -1;
    status = open_all(self, error);
    if (status == SONO_STATUS_OK)
        status = run(self, error);
    close_all(self);
    free(self);
    return status == SONO_STATUS_END ? SONO_STATUS_OK : status;
}
