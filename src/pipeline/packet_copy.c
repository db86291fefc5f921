// SPDX-License-Identifier: Apache-2.0
/* Packets that outlive their slot: the storage, and behind it the maps. */
#include "pipeline/packet.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <string.h>

typedef struct packet_copy {
    sono_packet_storage storage; /* first: programs hold a pointer to its first field */
    uint8_t *maps;
    size_t capacity_bytes; /* of maps */
} packet_copy;

static size_t maps_bytes_of(const sono_packet_storage *from)
{
    const sono_packet *packet = &from->packet;
    const int64_t n_pixels = (int64_t)packet->width_px * packet->height_px;
    return from->maps
               ? (size_t)packet->n_objects * (size_t)object_maps_bytes(n_pixels, from->map_element_bytes)
               : 0;
}

static int reserve(packet_copy *copy, size_t n_bytes)
{
    if (n_bytes <= copy->capacity_bytes)
        return 0;
    uint8_t *maps = sono_alloc(n_bytes);
    if (!maps)
        return -1;
    sono_free(copy->maps);
    copy->maps = maps;
    copy->capacity_bytes = n_bytes;
    return 0;
}

/* Of the surface only the points that there are. */
static void fill(packet_copy *copy, const sono_packet_storage *from, size_t n_maps_bytes)
{
    sono_packet_storage *to = &copy->storage;
    memcpy(to, from, offsetof(sono_packet_storage, points_px));
    if (from->has_surface) {
        memcpy(to->points_px, from->points_px, (size_t)from->n_points * sizeof *from->points_px);
        memcpy(to->line_starts, from->line_starts, ((size_t)from->n_lines + 1) * sizeof *from->line_starts);
    }
    if (n_maps_bytes)
        memcpy(copy->maps, from->maps, n_maps_bytes);
    to->packet.info = &to->info;
    to->maps = n_maps_bytes ? copy->maps : NULL;
}

sono_status sono_packet_copy(const sono_packet *packet, sono_packet **out, sono_error *error)
{
    if (!packet || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "packet or out is NULL");
    const sono_packet_storage *from = (const sono_packet_storage *)packet;
    const size_t n_maps_bytes = maps_bytes_of(from);
    packet_copy *copy = *out ? (packet_copy *)*out : sono_alloc(sizeof *copy);
    if (!copy || reserve(copy, n_maps_bytes)) {
        if (copy != (packet_copy *)*out)
            sono_free(copy);
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the copy of a packet");
    }
    fill(copy, from, n_maps_bytes);
    *out = &copy->storage.packet;
    return SONO_STATUS_OK;
}

void sono_packet_free(sono_packet *packet_of_copy)
{
    packet_copy *copy = (packet_copy *)packet_of_copy;
    if (!copy)
        return;
    sono_free(copy->maps);
    sono_free(copy);
}
