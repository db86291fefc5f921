// SPDX-License-Identifier: Apache-2.0
#include "replay/packet.h"

#include <stdlib.h>
#include <string.h>

#define SERVER_NAME "sonoseg"
#define MESSAGE_BYTES                                                                                        \
    (SONO_IGTL_HEADER_BYTES + SONO_IGTL_EXTENDED_BYTES + 16) /* all but content, metadata                    \
                                                              */
#define REPLY_BYTES 1024

static sono_replay_packet *packet_new(int32_t n_parts, size_t n_bytes)
{
    const size_t head = sizeof(sono_replay_packet) + (size_t)n_parts * sizeof(sono_replay_part);
    sono_replay_packet *packet = malloc(head + n_bytes);
    if (!packet)
        return NULL;
    *packet = (sono_replay_packet){.n_users = 1};
    packet->parts = (void *)(packet + 1);
    packet->bytes = (uint8_t *)packet + head;
    return packet;
}

void sono_replay_packet_release(sono_replay_packet *packet)
{
    if (packet && !--packet->n_users)
        free(packet);
}

static sono_replay_part *part_end(sono_replay_packet *packet, const sono_igtl_writer *writer,
                                  const char *device)
{
    sono_replay_part *part = &packet->parts[packet->n_parts++];
    *part = (sono_replay_part){.end = writer->n_bytes};
    strncpy(part->device, device, SONO_IGTL_DEVICE_CHARS);
    return part;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static size_t frame_bytes(const sono_replay_frame *frame, uint16_t version)
{
    size_t n_bytes = MESSAGE_BYTES + SONO_IGTL_IMAGE_HEAD_BYTES + frame->n_bytes;
    n_bytes += (size_t)frame->n_transforms * (MESSAGE_BYTES + sizeof(float[12]));
    for (int32_t i = 0; version > 1 && i < frame->n_fields; i++)
        n_bytes += 8 + strlen(frame->fields[i].name) + strlen(frame->fields[i].value);
    return n_bytes;
}

static void put_transforms(sono_replay_packet *packet, sono_igtl_writer *writer,
                           const sono_replay_frame *frame, uint16_t version, uint64_t timestamp,
                           uint32_t message_id)
{
    for (int32_t i = 0; i < frame->n_transforms; i++) {
        const sono_replay_transform *from = &frame->transforms[i];
        sono_igtl_transform transform;
        if (!from->is_valid)
            continue;
        memcpy(transform.matrix, from->matrix, sizeof transform.matrix);
        sono_igtl_message_begin(writer, version, "TRANSFORM", from->name, timestamp);
        sono_igtl_transform_encode(writer, &transform);
        sono_igtl_message_end(writer, message_id, NULL, 0);
        part_end(packet, writer, from->name)->is_transform = 1;
    }
}

/* The fields as metadata, allocated; NULL = none, or out of memory. */
static sono_igtl_metadata *make_metadata(const sono_replay_frame *frame, size_t *n)
{
    *n = 0;
    sono_igtl_metadata *metadata = malloc((size_t)(frame->n_fields + 1) * sizeof *metadata);
    for (int32_t i = 0; metadata && i < frame->n_fields; i++) {
        const sono_replay_field *field = &frame->fields[i];
        metadata[(*n)++] = (sono_igtl_metadata){.key = field->name,
                                                .key_bytes = strlen(field->name),
                                                .value = field->value,
                                                .value_bytes = strlen(field->value),
                                                .encoding = 106};
    }
    return metadata;
}

static void put_image(sono_replay_packet *packet, sono_igtl_writer *writer, const sono_replay_frame *frame,
                      const char *device, uint16_t version, uint64_t timestamp, uint32_t message_id)
{
    const uint16_t size[3] = {(uint16_t)frame->width_px, (uint16_t)frame->height_px, 1};
    sono_igtl_image image = {.version = 1,
                             .n_components = frame->n_components,
                             .scalar = frame->scalar,
                             .endian = 2,
                             .coordinates = 1};
    size_t n_metadata = 0;
    sono_igtl_metadata *metadata = version > 1 ? make_metadata(frame, &n_metadata) : NULL;
    memcpy(image.matrix, frame->matrix, sizeof image.matrix);
    memcpy(image.size, size, sizeof size);
    memcpy(image.subsize, size, sizeof size);
    sono_igtl_message_begin(writer, version, "IMAGE", device, timestamp);
    sono_igtl_image_head_encode(writer, &image);
    sono_igtl_write(writer, frame->pixels, frame->n_bytes);
    sono_igtl_message_end(writer, message_id, metadata, n_metadata);
    part_end(packet, writer, device)->is_image = 1;
    free(metadata);
}

sono_replay_packet *sono_replay_packet_frame(const sono_replay_frame *frame, const char *device,
                                             uint16_t version, uint64_t timestamp, uint32_t message_id)
{
    sono_igtl_writer writer;
    const size_t n_bytes = frame_bytes(frame, version);
    sono_replay_packet *packet = packet_new(frame->n_transforms + 1, n_bytes);
    if (!packet)
        return NULL;
    packet->is_frame = 1;
    sono_igtl_writer_init(&writer, packet->bytes, n_bytes);
    put_transforms(packet, &writer, frame, version, timestamp, message_id);
    if (frame->pixels)
        put_image(packet, &writer, frame, device, version, timestamp, message_id);
    if (!writer.is_full)
        return packet;
    sono_replay_packet_release(packet);
    return NULL;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static sono_replay_packet *reply_end(sono_replay_packet *packet, sono_igtl_writer *writer)
{
    if (sono_igtl_message_end(writer, 0, NULL, 0) == SONO_IGTL_OK) {
        part_end(packet, writer, SERVER_NAME);
        return packet;
    }
    sono_replay_packet_release(packet);
    return NULL;
}

static sono_replay_packet *reply_begin(sono_igtl_writer *writer, const char *type, uint16_t version,
                                       uint64_t timestamp)
{
    sono_replay_packet *packet = packet_new(1, REPLY_BYTES);
    if (!packet)
        return NULL;
    sono_igtl_writer_init(writer, packet->bytes, REPLY_BYTES);
    sono_igtl_message_begin(writer, version, type, SERVER_NAME, timestamp);
    return packet;
}

sono_replay_packet *sono_replay_packet_status(uint16_t version, uint64_t timestamp)
{
    sono_igtl_writer writer;
    const sono_igtl_state state = {.code = SONO_IGTL_CODE_OK, .text = ""};
    sono_replay_packet *packet = reply_begin(&writer, "STATUS", version, timestamp);
    if (!packet)
        return NULL;
    sono_igtl_status_encode(&writer, &state);
    return reply_end(packet, &writer);
}

sono_replay_packet *sono_replay_packet_capability(uint16_t version, uint64_t timestamp)
{
    static const char *const types[] = {"IMAGE", "TRANSFORM", "STATUS", "CAPABILITY"};
    sono_igtl_writer writer;
    sono_replay_packet *packet = reply_begin(&writer, "CAPABILITY", version, timestamp);
    if (!packet)
        return NULL;
    sono_igtl_capability_encode(&writer, types, sizeof types / sizeof types[0]);
    return reply_end(packet, &writer);
}

sono_replay_packet *sono_replay_packet_refusal(uint16_t version, uint64_t timestamp,
                                               const sono_igtl_command *command)
{
    static const char text[] = "<CommandReply Status=\"FAIL\" Message=\"a replay takes no commands\" />";
    sono_igtl_writer writer;
    sono_igtl_command answer = *command;
    sono_replay_packet *packet = reply_begin(&writer, "RTS_COMMAND", version, timestamp);
    if (!packet)
        return NULL;
    answer.encoding = 3;
    answer.text = text;
    answer.n_bytes = sizeof text - 1;
    sono_igtl_command_encode(&writer, &answer);
    return reply_end(packet, &writer);
}
