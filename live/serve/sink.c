// SPDX-License-Identifier: Apache-2.0
/* The server: its clients, and what goes to all of them. */
#include "serve/listen.h"
#include "error/error.h"
#include "serve/sink_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_NS         1000000000
#define MESSAGES_A_ROUND  32
#define ACCEPTS_A_ROUND   16
#define MAX_MESSAGE_BYTES ((uint64_t)2 << 30) /* in memory, of all clients together */

static void log_client(const sono_serve_sink *sink, const char *event, const sono_serve_client *client,
                       const char *reason)
{
    char line[320];
    snprintf(line, sizeof line, "client=%d address=%s%s%s%s", client->number, client->address,
             reason ? " reason=\"" : "", reason ? reason : "", reason ? "\"" : "");
    sink->listener.log(sink->listener.user, event, line);
}

/* ---- open, close ----------------------------------------------------------------------------------------
 */

/* All that clients may hold at once: each one's set under way, and those that wait, which they share. A set
 * is a mask (twice its size, as capacities are doubled), three maps, an overlay, an outline, in two versions.
 */
static uint64_t memory_limit(const sono_serve_config *config)
{
    const uint64_t n_pixels = (uint64_t)config->engine_max_width_px * (uint64_t)config->engine_max_height_px;
    const uint64_t set_bytes = 2 * ((config->sink_maps ? 14 : 8) * n_pixels + (4 << 20));
    const uint64_t n_sets = (uint64_t)config->sink_max_clients + (uint64_t)config->sink_queue_frames + 2;
    return n_sets * set_bytes < MAX_MESSAGE_BYTES ? n_sets * set_bytes : MAX_MESSAGE_BYTES;
}

static void listening_ready(void *user, uint32_t events);

sono_status sono_serve_sink_open(const sono_serve_config *config, sono_serve_loop *loop,
                                 const sono_serve_sink_listener *listener, sono_serve_sink **out,
                                 sono_error *error)
{
    sono_serve_sink *sink = calloc(1, sizeof *sink);
    const int32_t n_slots = config->sink_max_clients + SONO_SERVE_PARTING_CLIENTS;
    sono_serve_client *clients = calloc((size_t)n_slots, sizeof *clients);
    if (!sink || !clients) {
        free(sink);
        free(clients);
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "sink", "out of memory for clients");
    }
    sink->config = *config;
    sink->loop = loop;
    sink->listener = *listener;
    sink->fd = sink->listening.fd = -1;
    sink->listen_again_at = INT64_MAX;
    sink->clients = clients;
    sink->n_slots = n_slots;
    sink->status.code = SONO_IGTL_CODE_NOT_READY;
    snprintf(sink->status.name, sizeof sink->status.name, "STARTING");
    for (int32_t i = 0; i < n_slots; i++) {
        clients[i].number = i;
        clients[i].watch.fd = -1;
    }
    sono_serve_blobs_init(&sink->blobs, memory_limit(config));
    sono_status status = SONO_STATUS_OK;
    if (sono_serve_masks_open(&sink->masks, config, &sink->blobs))
        status = sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "sink", "out of memory for outlines");
    if (status == SONO_STATUS_OK && config->control_token_file[0])
        status = sono_web_token_read(config->control_token_file, sink->token, error);
    if (status == SONO_STATUS_OK)
        status = sono_serve_listen(config->sink_listen, &sink->fd, &sink->port, error);
    if (status == SONO_STATUS_OK &&
        sono_serve_loop_add(loop, &sink->listening, sink->fd, EPOLLIN, listening_ready, sink))
        status = sono_live_fail(error, SONO_STATUS_IO, errno, "sink", "cannot watch the listening socket");
    if (status != SONO_STATUS_OK) {
        sono_serve_sink_close(sink);
        return status;
    }
    *out = sink;
    return SONO_STATUS_OK;
}

void sono_serve_sink_close(sono_serve_sink *sink)
{
    if (!sink)
        return;
    for (int32_t i = 0; i < sink->n_slots; i++)
        sono_serve_client_close(&sink->clients[i]);
    if (sink->listening.fd >= 0)
        sono_serve_loop_remove(sink->loop, &sink->listening);
    if (sink->fd >= 0)
        close(sink->fd);
    sono_serve_masks_close(&sink->masks);
    sono_serve_blobs_trim(&sink->blobs);
    free(sink->clients);
    free(sink);
}

int32_t sono_serve_sink_port(const sono_serve_sink *sink)
{
    return sink->port;
}

void sono_serve_sink_reload(sono_serve_sink *sink, const sono_serve_config *config)
{
    sink->config = *config;
    sono_serve_masks_reload(&sink->masks, config);
    for (int32_t i = 0; i < sink->n_slots; i++)
        sono_serve_client_limit(&sink->clients[i], config->sink_stuck_ms);
}

void sono_serve_sink_describe(sono_serve_sink *sink, const sono_serve_engine_info *info)
{
    sink->masks.info = *info;
}

/* ---- clients --------------------------------------------------------------------------------------------
 */

void sono_serve_sink_drop(sono_serve_sink *sink, sono_serve_client *client, const char *reason)
{
    if (client->watch.fd < 0)
        return;
    sono_serve_client_close(client);
    if (client->is_parting)
        return;
    sink->listener.left(sink->listener.user, client->number, reason);
}

typedef struct sending {
    sono_serve_sink *sink;
    sono_serve_client *client;
} sending;

static void message_done(void *user, const sono_serve_entry *entry, int64_t first_ns, int64_t last_ns)
{
    const sending *at = user;
    if (entry->frame)
        at->sink->listener.sent(at->sink->listener.user, at->client->number, entry->frame, first_ns, last_ns);
}

/* 0, or -1: client is gone. */
static int flush(sono_serve_sink *sink, sono_serve_client *client)
{
    sending at = {sink, client};
    if (sono_serve_client_flush(client, message_done, &at)) {
        sono_serve_sink_drop(sink, client, client->reason);
        return -1;
    }
    if (client->is_parting && client->queue.n == 0)
        shutdown(client->watch.fd, SHUT_WR);
    return 0;
}

int sono_serve_sink_send(sono_serve_sink *sink, sono_serve_client *client, sono_serve_queue_kind kind,
                         sono_serve_blob *blob)
{
    if (!blob)
        return 0;
    const sono_serve_entry entry = {.blob = blob, .kind = kind, .queued_ns = sono_serve_now_ns()};
    const int failed = sono_serve_client_queue(client, &entry);
    sono_serve_blobs_give(&sink->blobs, blob);
    if (failed) {
        sono_serve_sink_drop(sink, client, "its queue is full");
        return -1;
    }
    return flush(sink, client);
}

static void client_ready(void *user, uint32_t events)
{
    sono_serve_client *client = user;
    sono_serve_sink *sink = client->owner;
    if ((events & EPOLLOUT) && flush(sink, client))
        return;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        sono_igtl_read news;
        if (sono_serve_client_read(client, &news)) {
            sono_serve_sink_drop(sink, client, client->reason);
            return;
        }
        if (news == SONO_IGTL_READ_MORE)
            break;
        if (!client->is_parting && sono_serve_sink_heard(sink, client, news))
            return;
    }
    if (events & (EPOLLERR | EPOLLHUP))
        sono_serve_sink_drop(sink, client, "the connection broke");
}

/* A place for a client, or for one too many to be told so; NULL: neither. */
static sono_serve_client *free_slot(sono_serve_sink *sink)
{
    for (int32_t i = 0; i < sink->n_slots; i++)
        if (sink->clients[i].watch.fd < 0)
            return &sink->clients[i];
    return NULL;
}

static void part(sono_serve_sink *sink, sono_serve_client *client)
{
    client->is_parting = 1;
    client->close_at = sono_serve_now_ns() + SECOND_NS;
    log_client(sink, "client_refused", client, "sink.max_clients are connected");
    sono_serve_sink_send(sink, client, SONO_SERVE_QUEUE_ANSWER,
                         sono_serve_note_status(sink, 1, sink->config.sink_status_name, SONO_IGTL_CODE_BUSY,
                                                "TOO_MANY_CLIENTS", "all places for clients are taken"));
}

void sono_serve_sink_adopt(sono_serve_sink *sink, int fd)
{
    sono_serve_client *client = free_slot(sink);
    if (!client || sono_serve_client_open(client, sink->loop, &sink->blobs, fd, sink->config.sink_stuck_ms,
                                          client_ready, client)) {
        close(fd);
        return;
    }
    client->owner = sink;
    if (client->number >= sink->config.sink_max_clients) {
        part(sink, client);
        return;
    }
    log_client(sink, "client_joined", client, NULL);
    sink->listener.joined(sink->listener.user, client->number);
}

static void listening_ready(void *user, uint32_t events)
{
    sono_serve_sink *sink = user;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
        const int fd = accept4(sink->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            sono_serve_sink_adopt(sink, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            sono_serve_loop_remove(sink->loop, &sink->listening);
            sink->listen_again_at = sono_serve_now_ns() + SECOND_NS;
            sink->listener.log(sink->listener.user, "accept_failed", strerror(errno));
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* ---- masks ----------------------------------------------------------------------------------------------
 */

static int wants(const sono_serve_sink *sink, const sono_serve_client *client, sono_serve_output output)
{
    const uint32_t maps =
        1u << SONO_SERVE_OUTPUT_EDGE | 1u << SONO_SERVE_OUTPUT_INSIDE | 1u << SONO_SERVE_OUTPUT_OUTSIDE;
    const uint32_t configured =
        1u << SONO_SERVE_OUTPUT_MASK | (sink->config.sink_outline ? 1u << SONO_SERVE_OUTPUT_OUTLINE : 0) |
        (sink->config.engine_surface == SONO_SERVE_SURFACE_ON ? 1u << SONO_SERVE_OUTPUT_SURFACE : 0) |
        (sink->config.sink_maps ? maps : 0) |
        (sink->config.sink_overlay ? 1u << SONO_SERVE_OUTPUT_OVERLAY : 0);
    return (((configured | client->asked) & ~client->stopped) | client->once) >> output & 1;
}

static int is_joined(const sono_serve_client *client)
{
    return client->watch.fd >= 0 && !client->is_parting;
}

/* Once in a second at most: masks that could not be sent. */
static void complain(sono_serve_sink *sink)
{
    const int64_t now_ns = sono_serve_now_ns();
    if (sink->masks.n_unsent == sink->complained || now_ns - sink->complained_ns < SECOND_NS)
        return;
    char line[160];
    snprintf(line, sizeof line,
             "messages=%llu held_bytes=%llu reason=\"no memory, or a size that does not fit\"",
             (unsigned long long)(sink->masks.n_unsent - sink->complained),
             (unsigned long long)sink->blobs.held_bytes);
    sink->listener.log(sink->listener.user, "masks_unsent", line);
    sink->complained = sink->masks.n_unsent;
    sink->complained_ns = now_ns;
}

/* One output of a set to one client; nothing of it leaves yet. */
static void queue_output(sono_serve_sink *sink, sono_serve_client *client, sono_serve_set *set,
                         sono_serve_output output)
{
    if (!is_joined(client) || !wants(sink, client, output))
        return;
    sono_serve_blob *blob = sono_serve_masks_message(&sink->masks, set, output, client->version);
    if (!blob)
        return;
    const sono_serve_entry entry = {.blob = blob,
                                    .kind = SONO_SERVE_QUEUE_SET,
                                    .set = sink->set,
                                    .frame =
                                        set->frame && output == SONO_SERVE_OUTPUT_MASK ? set->frame->id : 0,
                                    .queued_ns = sono_serve_now_ns()};
    client->once &= ~(1u << output);
    if (client->set != sink->set) {
        /* Nothing older may come behind an empty mask's order to leave, or be shown after it. */
        const int32_t max_sets = set->frame ? sink->config.sink_queue_frames : 0;
        client->dropped += (uint64_t)sono_serve_queue_make_room(&client->queue, &sink->blobs, max_sets);
        client->set = sink->set;
    }
    if (sono_serve_client_queue(client, &entry))
        sono_serve_sink_drop(sink, client, "its queue is full");
}

/* The mask leaves before anything else is encoded. Returns when it began to. */
static int64_t send_set(sono_serve_sink *sink, sono_serve_set *set, int32_t only)
{
    const int32_t first = only < 0 ? 0 : only, last = only < 0 ? sink->n_slots : only + 1;
    int64_t queued_ns = 0;
    sink->set++;
    for (int output = 0; output < SONO_SERVE_OUTPUT_COUNT; output++) {
        for (int32_t i = first; i < last; i++)
            queue_output(sink, &sink->clients[i], set, (sono_serve_output)output);
        if (output != SONO_SERVE_OUTPUT_MASK && output != SONO_SERVE_OUTPUT_COUNT - 1)
            continue;
        if (output == SONO_SERVE_OUTPUT_MASK)
            queued_ns = sono_serve_now_ns();
        for (int32_t i = first; i < last; i++)
            if (is_joined(&sink->clients[i]))
                flush(sink, &sink->clients[i]);
    }
    sono_serve_masks_end(&sink->masks, set);
    complain(sink);
    return queued_ns;
}

int64_t sono_serve_sink_show(sono_serve_sink *sink, const sono_serve_frame *frame,
                             const sono_serve_result *result)
{
    sono_serve_set set;
    sono_serve_masks_begin(&sink->masks, &set, frame, result, sono_serve_now_ns());
    return send_set(sink, &set, -1);
}

void sono_serve_sink_empty(sono_serve_sink *sink, int32_t client, const char *reason, const char *text)
{
    sono_serve_set set;
    if (client >= sink->n_slots)
        return;
    if (sono_serve_masks_begin_empty(&sink->masks, &set, reason, text, sono_serve_utc_ns()) == 0)
        send_set(sink, &set, client);
}

/* ---- STATUS, text ---------------------------------------------------------------------------------------
 */

/* The same message to one client or to all: encoded once for each version. */
static void send_note(sono_serve_sink *sink, int32_t only, sono_serve_queue_kind kind, const char *json)
{
    sono_serve_blob *notes[2] = {NULL, NULL};
    const int32_t first = only < 0 ? 0 : only, last = only < 0 ? sink->n_slots : only + 1;
    for (int32_t i = first; i < last; i++) {
        sono_serve_client *client = &sink->clients[i];
        if (!is_joined(client))
            continue;
        sono_serve_blob **note = &notes[client->version - 1];
        if (!*note)
            *note = kind == SONO_SERVE_QUEUE_TEXT
                        ? sono_serve_note_text(sink, client->version, json)
                        : sono_serve_note_status(sink, client->version, sink->config.sink_status_name,
                                                 sink->status.code, sink->status.name, sink->status.text);
        if (*note)
            sono_serve_sink_send(sink, client, kind, sono_serve_blob_share(*note));
    }
    sono_serve_blobs_give(&sink->blobs, notes[0]);
    sono_serve_blobs_give(&sink->blobs, notes[1]);
}

void sono_serve_sink_status(sono_serve_sink *sink, int32_t client, uint16_t code, const char *name,
                            const char *text)
{
    if (client >= sink->n_slots)
        return;
    sink->status.code = code;
    snprintf(sink->status.name, sizeof sink->status.name, "%s", name);
    snprintf(sink->status.text, sizeof sink->status.text, "%s", text);
    send_note(sink, client, SONO_SERVE_QUEUE_STATUS, NULL);
}

void sono_serve_sink_text(sono_serve_sink *sink, const char *json)
{
    send_note(sink, -1, SONO_SERVE_QUEUE_TEXT, json);
}

/* ---- time -----------------------------------------------------------------------------------------------
 */

int64_t sono_serve_sink_deadline(const sono_serve_sink *sink)
{
    int64_t deadline = sink->listen_again_at;
    for (int32_t i = 0; i < sink->n_slots; i++) {
        const sono_serve_client *client = &sink->clients[i];
        const int64_t at =
            client->watch.fd < 0 ? INT64_MAX : sono_serve_client_deadline(client, sink->config.sink_stuck_ms);
        deadline = at < deadline ? at : deadline;
    }
    return deadline;
}

void sono_serve_sink_tick(sono_serve_sink *sink, int64_t now_ns)
{
    if (now_ns >= sink->listen_again_at) {
        const int failed =
            sono_serve_loop_add(sink->loop, &sink->listening, sink->fd, EPOLLIN, listening_ready, sink);
        sink->listen_again_at = failed ? now_ns + SECOND_NS : INT64_MAX;
    }
    for (int32_t i = 0; i < sink->n_slots; i++) {
        sono_serve_client *client = &sink->clients[i];
        if (client->watch.fd >= 0 && now_ns >= sono_serve_client_deadline(client, sink->config.sink_stuck_ms))
            sono_serve_sink_drop(sink, client, "it takes nothing for longer than sink.stuck_ms");
    }
}

/* ---- facts ----------------------------------------------------------------------------------------------
 */

uint64_t sono_serve_sink_queued_bytes(const sono_serve_sink *sink)
{
    uint64_t sum = 0;
    for (int32_t i = 0; i < sink->n_slots; i++)
        sum += sink->clients[i].watch.fd < 0 ? 0 : sink->clients[i].queue.n_bytes;
    return sum;
}

void sono_serve_sink_snapshot(const sono_serve_sink *sink, sono_serve_snapshot *out)
{
    const int64_t now_ns = sono_serve_now_ns();
    out->n_clients = 0;
    for (int32_t i = 0; i < sink->n_slots && out->n_clients < SONO_SERVE_SNAPSHOT_CLIENTS; i++) {
        const sono_serve_client *client = &sink->clients[i];
        if (!is_joined(client))
            continue;
        const int64_t oldest_ns = sono_serve_queue_oldest_ns(&client->queue);
        sono_serve_snapshot_client *fact = &out->clients[out->n_clients++];
        *fact = (sono_serve_snapshot_client){.version = client->version,
                                             .messages = client->messages,
                                             .bytes = client->bytes,
                                             .dropped = client->dropped,
                                             .queued_bytes = client->queue.n_bytes,
                                             .lag_ns = oldest_ns == INT64_MAX ? 0 : now_ns - oldest_ns,
                                             .since_utc_ns = client->since_utc_ns};
        snprintf(fact->address, sizeof fact->address, "%s", client->address);
    }
}
