// SPDX-License-Identifier: Apache-2.0
/* TRANSFORM. Layout: Documents/Protocol/transform.md of the reference library (@ 94244fe). */
#include "igtl/messages.h"
#include "igtl/wire.h"

#define TRANSFORM_BYTES 48

sono_igtl_status sono_igtl_transform_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_transform *out,
                                            sono_igtl_fault *fault)
{
    if (n_bytes != TRANSFORM_BYTES)
        return WIRE_MALFORMED(n_bytes, "a TRANSFORM of another length than 48 bytes");
    wire_f32s(bytes, out->matrix, 12);
    return SONO_IGTL_OK;
}

void sono_igtl_transform_encode(sono_igtl_writer *writer, const sono_igtl_transform *transform)
{
    uint8_t *room = sono_igtl_write_room(writer, TRANSFORM_BYTES);
    if (room)
        wire_put_f32s(room, transform->matrix, 12);
}
