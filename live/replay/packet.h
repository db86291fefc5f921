// SPDX-License-Identifier: Apache-2.0
/* What is sent, encoded once for each header version and shared by all clients. */
#ifndef SONO_REPLAY_PACKET_H
#define SONO_REPLAY_PACKET_H

#include "igtl/messages.h"
#include "replay/frames.h"

/* One message of a packet; it ends where the next begins. */
typedef struct sono_replay_part {
    size_t end;
    int32_t is_image, is_transform;
    char device[SONO_IGTL_DEVICE_CHARS + 1];
} sono_replay_part;

typedef struct sono_replay_packet {
    int32_t n_users; /* freed by the last */
    int32_t is_frame;
    int32_t n_parts;
    sono_replay_part *parts;
    uint8_t *bytes;
} sono_replay_packet;

/* A frame: its valid transforms, then its IMAGE with the fields as metadata (version 2). NULL: out of memory,
 * or a message beyond the protocol's limits. One user. */
sono_replay_packet *sono_replay_packet_frame(const sono_replay_frame *frame, const char *device,
                                             uint16_t version, uint64_t timestamp, uint32_t message_id);
/* STATUS OK, also the keep-alive. */
sono_replay_packet *sono_replay_packet_status(uint16_t version, uint64_t timestamp);
/* What it can send. */
sono_replay_packet *sono_replay_packet_capability(uint16_t version, uint64_t timestamp);
/* The refusal of a COMMAND. */
sono_replay_packet *sono_replay_packet_refusal(uint16_t version, uint64_t timestamp,
                                               const sono_igtl_command *command);
void sono_replay_packet_release(sono_replay_packet *packet); /* NULL is allowed */

#endif
