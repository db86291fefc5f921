// SPDX-License-Identifier: Apache-2.0
/* VIDEO. Layout: Documents/Protocol/video.md of the reference library (@ 94244fe), whose table swaps the
 * number of bytes of coordinates and size. */
#include "igtl/video.h"
#include "igtl/wire.h"

#define CODEC_CHARS 4

static sono_igtl_status check(const sono_igtl_video *video, sono_igtl_fault *fault)
{
    if (video->version != 1)
        return wire_fail(fault, SONO_IGTL_UNSUPPORTED, 0, "a VIDEO head of another version than 1");
    if (video->endian < 1 || video->endian > 2)
        return WIRE_MALFORMED(2, "a VIDEO whose byte order is neither 1 nor 2");
    if (video->coordinates < 1 || video->coordinates > 2)
        return WIRE_MALFORMED(9, "a VIDEO whose coordinates are neither 1 (RAS) nor 2 (LPS)");
    for (unsigned axis = 0; axis < 3; axis++) {
        if (video->offset[axis] + video->subsize[axis] > video->size[axis])
            return WIRE_MALFORMED(64 + 2 * axis, "a VIDEO whose subvolume reaches beyond its size");
    }
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_video_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_video *out,
                                        sono_igtl_fault *fault)
{
    sono_igtl_video video;
    if (n_bytes < SONO_IGTL_VIDEO_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a VIDEO that ends within its 76-byte head");
    video.version = wire_u16(bytes);
    video.endian = bytes[2];
    wire_chars(bytes + 3, video.codec, CODEC_CHARS);
    video.frame_type = wire_u16(bytes + 7);
    video.coordinates = bytes[9];
    wire_u16s(bytes + 10, video.size, 3);
    wire_f32s(bytes + 16, video.matrix, 12);
    wire_u16s(bytes + 64, video.offset, 3);
    wire_u16s(bytes + 70, video.subsize, 3);
    video.frame = bytes + SONO_IGTL_VIDEO_HEAD_BYTES;
    video.frame_bytes = n_bytes - SONO_IGTL_VIDEO_HEAD_BYTES;
    const sono_igtl_status status = check(&video, fault);
    if (status == SONO_IGTL_OK)
        *out = video;
    return status;
}

void sono_igtl_video_encode(sono_igtl_writer *writer, const sono_igtl_video *video)
{
    uint8_t *room = sono_igtl_write_room(writer, SONO_IGTL_VIDEO_HEAD_BYTES);
    if (!room)
        return;
    wire_put_u16(room, video->version);
    room[2] = video->endian;
    wire_put_chars(room + 3, video->codec, CODEC_CHARS);
    wire_put_u16(room + 7, video->frame_type);
    room[9] = video->coordinates;
    wire_put_u16s(room + 10, video->size, 3);
    wire_put_f32s(room + 16, video->matrix, 12);
    wire_put_u16s(room + 64, video->offset, 3);
    wire_put_u16s(room + 70, video->subsize, 3);
    sono_igtl_write(writer, video->frame, video->frame_bytes);
}
