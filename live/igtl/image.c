// SPDX-License-Identifier: Apache-2.0
/* IMAGE. Layout: Documents/Protocol/image.md of the reference library (@ 94244fe). */
#include "igtl/messages.h"
#include "igtl/wire.h"

#define BIG_ENDIAN_PIXELS    1
#define LITTLE_ENDIAN_PIXELS 2
#define RAS                  1
#define LPS                  2

size_t sono_igtl_scalar_bytes(int scalar)
{
    switch (scalar) {
    case SONO_IGTL_INT8:
    case SONO_IGTL_UINT8:
        return 1;
    case SONO_IGTL_INT16:
    case SONO_IGTL_UINT16:
        return 2;
    case SONO_IGTL_INT32:
    case SONO_IGTL_UINT32:
    case SONO_IGTL_FLOAT32:
        return 4;
    case SONO_IGTL_FLOAT64:
        return 8;
    case SONO_IGTL_COMPLEX:
        return 16;
    default:
        return 0;
    }
}

uint64_t sono_igtl_image_pixel_bytes(const sono_igtl_image *image)
{
    return (uint64_t)image->n_components * sono_igtl_scalar_bytes(image->scalar) * image->subsize[0] *
           image->subsize[1] * image->subsize[2];
}

static sono_igtl_status check(const sono_igtl_image *image, sono_igtl_fault *fault)
{
    if (image->version != 1)
        return wire_fail(fault, SONO_IGTL_UNSUPPORTED, 0, "an IMAGE head of another version than 1");
    if (image->n_components == 0)
        return WIRE_MALFORMED(2, "an IMAGE without components");
    if (image->scalar == SONO_IGTL_COMPLEX || sono_igtl_scalar_bytes(image->scalar) == 0)
        return WIRE_MALFORMED(3, "an IMAGE of an unknown scalar type");
    if (image->endian != BIG_ENDIAN_PIXELS && image->endian != LITTLE_ENDIAN_PIXELS)
        return WIRE_MALFORMED(4, "an IMAGE whose byte order is neither 1 nor 2");
    if (image->coordinates != RAS && image->coordinates != LPS)
        return WIRE_MALFORMED(5, "an IMAGE whose coordinates are neither 1 (RAS) nor 2 (LPS)");
    for (unsigned axis = 0; axis < 3; axis++) {
        if (image->size[axis] == 0)
            return WIRE_MALFORMED(6 + 2 * axis, "an IMAGE without pixels along an axis");
        if (image->subsize[axis] == 0)
            return WIRE_MALFORMED(66 + 2 * axis, "an IMAGE whose subvolume is empty");
        if (image->offset[axis] + image->subsize[axis] > image->size[axis])
            return WIRE_MALFORMED(60 + 2 * axis, "an IMAGE whose subvolume reaches beyond its size");
    }
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_image_head_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_image *out,
                                             sono_igtl_fault *fault)
{
    sono_igtl_image image;
    if (n_bytes < SONO_IGTL_IMAGE_HEAD_BYTES)
        return wire_fail(fault, SONO_IGTL_SHORT, n_bytes, "the bytes end within the 72-byte IMAGE head");
    image.version = wire_u16(bytes);
    image.n_components = bytes[2];
    image.scalar = bytes[3];
    image.endian = bytes[4];
    image.coordinates = bytes[5];
    wire_u16s(bytes + 6, image.size, 3);
    wire_f32s(bytes + 12, image.matrix, 12);
    wire_u16s(bytes + 60, image.offset, 3);
    wire_u16s(bytes + 66, image.subsize, 3);
    const sono_igtl_status status = check(&image, fault);
    if (status == SONO_IGTL_OK)
        *out = image;
    return status;
}

sono_igtl_status sono_igtl_image_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_image *out,
                                        const uint8_t **pixels, sono_igtl_fault *fault)
{
    sono_igtl_image image;
    if (n_bytes < SONO_IGTL_IMAGE_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "an IMAGE that ends within its 72-byte head");
    const sono_igtl_status status = sono_igtl_image_head_decode(bytes, n_bytes, &image, fault);
    if (status != SONO_IGTL_OK)
        return status;
    if (n_bytes - SONO_IGTL_IMAGE_HEAD_BYTES != sono_igtl_image_pixel_bytes(&image))
        return WIRE_MALFORMED(SONO_IGTL_IMAGE_HEAD_BYTES,
                              "an IMAGE with more or less pixels than its head says");
    *out = image;
    *pixels = bytes + SONO_IGTL_IMAGE_HEAD_BYTES;
    return SONO_IGTL_OK;
}

void sono_igtl_image_head_encode(sono_igtl_writer *writer, const sono_igtl_image *image)
{
    uint8_t *room = sono_igtl_write_room(writer, SONO_IGTL_IMAGE_HEAD_BYTES);
    if (!room)
        return;
    wire_put_u16(room, image->version);
    room[2] = image->n_components;
    room[3] = image->scalar;
    room[4] = image->endian;
    room[5] = image->coordinates;
    wire_put_u16s(room + 6, image->size, 3);
    wire_put_f32s(room + 12, image->matrix, 12);
    wire_put_u16s(room + 60, image->offset, 3);
    wire_put_u16s(room + 66, image->subsize, 3);
}
