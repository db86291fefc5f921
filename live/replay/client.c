// SPDX-License-Identifier: Apache-2.0
#include "replay/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH_BYTES  65536
#define MAX_BODY_BYTES (16 << 20)
#define READS_A_TURN   64

int sono_replay_client_open(sono_replay_client *client, int fd, const char *address, int32_t queue_frames,
                            int64_t now_ns)
{
    const sono_igtl_limits limits = {.max_body_bytes = MAX_BODY_BYTES, .max_metadata_bytes = SCRATCH_BYTES};
    *client = (sono_replay_client){.fd = fd,
                                   .version = 1,
                                   .wants_images = 1,
                                   .wants_transforms = 1,
                                   .capacity = queue_frames + SONO_REPLAY_REPLIES,
                                   .joined_ns = now_ns,
                                   .moved_ns = now_ns};
    snprintf(client->address, sizeof client->address, "%s", address);
    client->queue = calloc((size_t)client->capacity, sizeof *client->queue);
    client->scratch = malloc(SCRATCH_BYTES);
    if (!client->queue || !client->scratch) {
        sono_replay_client_close(client);
        return -1;
    }
    sono_igtl_reader_init(&client->reader, &limits, client->scratch, SCRATCH_BYTES);
    return 0;
}

static void pop(sono_replay_client *client)
{
    sono_replay_packet *packet = client->queue[client->first];
    client->first = (client->first + 1) % client->capacity;
    client->n_queued--;
    client->n_frames -= packet->is_frame;
    client->part = 0;
    client->at = 0;
    sono_replay_packet_release(packet);
}

void sono_replay_client_close(sono_replay_client *client)
{
    while (client->n_queued)
        pop(client);
    free(client->queue);
    free(client->scratch);
    client->queue = NULL;
    client->scratch = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

int sono_replay_client_push(sono_replay_client *client, sono_replay_packet *packet)
{
    const int32_t max_frames = client->capacity - SONO_REPLAY_REPLIES;
    if (client->n_queued == client->capacity || (packet->is_frame && client->n_frames >= max_frames))
        return -1;
    client->queue[(client->first + client->n_queued++) % client->capacity] = packet;
    client->n_frames += packet->is_frame;
    packet->n_users++;
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------------------- */

static int wants(const sono_replay_client *client, const sono_replay_part *part)
{
    if (part->is_image)
        return client->wants_images;
    if (!part->is_transform)
        return 1;
    if (!client->wants_transforms)
        return 0;
    for (int32_t i = 0; i < client->n_wanted; i++)
        if (!strcmp(client->wanted[i], part->device))
            return 1;
    return !client->n_wanted;
}

/* The end of what is sent next, a run of wanted parts; `at` is put on its begin. 0 = nothing is left. A part
 * that was begun is ended whatever the client wants by now. */
static size_t next_run(sono_replay_client *client, const sono_replay_packet *packet)
{
    size_t end = 0;
    for (; client->part < packet->n_parts; client->part++) {
        const sono_replay_part *part = &packet->parts[client->part];
        const size_t begin = client->part ? part[-1].end : 0;
        if (client->at > begin || wants(client, part))
            break;
        client->at = part->end;
    }
    for (int32_t i = client->part; i < packet->n_parts; i++) {
        if (i > client->part && !wants(client, &packet->parts[i]))
            break;
        end = packet->parts[i].end;
    }
    return end;
}

static void advance(sono_replay_client *client, const sono_replay_packet *packet, size_t n_bytes)
{
    client->at += n_bytes;
    client->n_bytes += n_bytes;
    while (client->part < packet->n_parts && packet->parts[client->part].end <= client->at)
        client->part++;
}

int sono_replay_client_send(sono_replay_client *client, int64_t now_ns)
{
    while (client->n_queued) {
        const sono_replay_packet *packet = client->queue[client->first];
        const size_t end = next_run(client, packet);
        if (end <= client->at) {
            pop(client);
            continue;
        }
        const ssize_t n = send(client->fd, packet->bytes + client->at, end - client->at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        advance(client, packet, (size_t)n);
        client->moved_ns = now_ns;
    }
    return 0;
}

/* ---- receiving ----------------------------------------------------------------------------------------- */

/* The value of the attribute `name` in [from, end), cut to fit; 0 = it is not there. */
static int attribute(const char *from, const char *end, const char *name, char *out, size_t n_bytes)
{
    const size_t n_name = strlen(name);
    for (const char *at = from; at + n_name + 2 < end; at++) {
        if (strncmp(at, name, n_name) != 0 || at[n_name] != '=' || at[n_name + 1] != '"')
            continue;
        const char *value = at + n_name + 2;
        const char *quote = memchr(value, '"', (size_t)(end - value));
        if (!quote)
            return 0;
        snprintf(out, n_bytes, "%.*s", (int)(quote - value), value);
        return 1;
    }
    return 0;
}

static void take_element(sono_replay_client *client, const char *from, const char *end)
{
    char value[SONO_IGTL_DEVICE_CHARS + 1];
    const size_t n = (size_t)(end - from);
    if (n > 8 && !strncmp(from, "Message ", 8) && attribute(from, end, "Type", value, sizeof value)) {
        client->wants_images |= !strcmp(value, "IMAGE");
        client->wants_transforms |= !strcmp(value, "TRANSFORM");
    }
    if (n > 10 && !strncmp(from, "Transform ", 10) && client->n_wanted < SONO_REPLAY_MAX_WANTED &&
        attribute(from, end, "Name", value, sizeof value))
        memcpy(client->wanted[client->n_wanted++], value, sizeof value);
}

void sono_replay_client_narrow(sono_replay_client *client, const char *xml, size_t n_bytes)
{
    const char *end = xml + n_bytes;
    client->is_narrow = 1;
    client->wants_images = client->wants_transforms = 0;
    client->n_wanted = 0;
    for (const char *at = xml; (at = memchr(at, '<', (size_t)(end - at)));) {
        const char *close = memchr(at, '>', (size_t)(end - at));
        if (!close)
            return;
        take_element(client, at + 1, close);
        at = close;
    }
}

static void answer(sono_replay_client *client, uint64_t timestamp)
{
    const sono_igtl_reader *reader = &client->reader;
    const char *type = reader->header.type;
    sono_igtl_string string;
    sono_igtl_command command;
    sono_replay_packet *reply = NULL;
    if (!strcmp(type, "GET_CAPABIL"))
        reply = sono_replay_packet_capability(client->version, timestamp);
    else if (!strcmp(type, "GET_STATUS"))
        reply = sono_replay_packet_status(client->version, timestamp);
    else if (!strcmp(type, "CLIENTINFO") &&
             !sono_igtl_string_decode(reader->body.content, reader->body.content_bytes, &string, NULL))
        sono_replay_client_narrow(client, string.text, string.n_bytes);
    else if (!strcmp(type, "COMMAND") &&
             !sono_igtl_command_decode(reader->body.content, reader->body.content_bytes, &command, NULL))
        reply = sono_replay_packet_refusal(client->version, timestamp, &command);
    if (reply)
        sono_replay_client_push(client, reply); /* one that asks faster than it reads goes without */
    sono_replay_packet_release(reply);
}

/* What the reader told. 0, or -1 when the stream cannot be followed any more. */
static int heed(sono_replay_client *client, sono_igtl_read told, uint64_t timestamp)
{
    if (told == SONO_IGTL_READ_BROKEN)
        return -1;
    if (told == SONO_IGTL_READ_MORE || told == SONO_IGTL_READ_IMAGE)
        return 0;
    client->has_spoken = 1;
    if (client->reader.header.version >= 2)
        client->version = 2;
    if (told == SONO_IGTL_READ_MESSAGE && client->reader.body.content)
        answer(client, timestamp);
    return 0;
}

int sono_replay_client_receive(sono_replay_client *client, uint64_t timestamp, const char **reason)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        uint8_t *where = NULL;
        const size_t room = sono_igtl_reader_want(&client->reader, &where);
        const ssize_t n = recv(client->fd, where, room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        *reason = n ? strerrordesc_np(errno) : "it left";
        if (n <= 0)
            return -1;
        if (heed(client, sono_igtl_reader_take(&client->reader, (size_t)n), timestamp)) {
            *reason = "what it sent is no OpenIGTLink";
            return -1;
        }
    }
    return 0;
}
