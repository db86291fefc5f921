// SPDX-License-Identifier: Apache-2.0
/* TRANSFORM and POSITION. Layouts: Documents/Protocol/{transform,position}.md of the reference library (@
 * 94244fe). */
#include "igtl/tracking.h"
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

sono_igtl_status sono_igtl_position_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_position *out,
                                           sono_igtl_fault *fault)
{
    sono_igtl_position position = {.n_quaternion = 0};
    if (n_bytes != 12 && n_bytes != 24 && n_bytes != 28)
        return WIRE_MALFORMED(n_bytes, "a POSITION of another length than 12, 24 or 28 bytes");
    position.n_quaternion = (uint8_t)(n_bytes / sizeof(float) - 3);
    wire_f32s(bytes, position.position_mm, 3);
    wire_f32s(bytes + 12, position.quaternion, position.n_quaternion);
    *out = position;
    return SONO_IGTL_OK;
}

void sono_igtl_position_encode(sono_igtl_writer *writer, const sono_igtl_position *position)
{
    uint8_t *room = sono_igtl_write_room(writer, 12 + sizeof(float) * position->n_quaternion);
    if (!room)
        return;
    wire_put_f32s(room, position->position_mm, 3);
    wire_put_f32s(room + 12, position->quaternion, position->n_quaternion);
}
