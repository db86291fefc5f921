// SPDX-License-Identifier: Apache-2.0
/* Packets' maps as plain pointers: rows are contiguous. */
#ifndef SONO_TESTS_PACKET_MAPS_H
#define SONO_TESTS_PACKET_MAPS_H

#include "sonoseg/sonoseg.h"

/* NULL where it is not in host memory. */
static inline const void *packet_map(const sono_packet *packet, int32_t object, sono_map which)
{
    sono_map_view view;
    return sono_packet_map(packet, object, which, &view) == SONO_STATUS_OK ? view.data : NULL;
}

static inline const uint8_t *packet_mask(const sono_packet *packet, int32_t object)
{
    return (const uint8_t *)packet_map(packet, object, SONO_MAP_MASK);
}

#endif
