// SPDX-License-Identifier: Apache-2.0
/* VIDEO: a compressed frame. The head only is read; the frame is the codec's. Conventions are those of
 * messages.h. */
#ifndef SONO_IGTL_VIDEO_H
#define SONO_IGTL_VIDEO_H

#include "igtl/messages.h"

#define SONO_IGTL_VIDEO_HEAD_BYTES 76

typedef struct sono_igtl_video {
    uint16_t version;    /* of the VIDEO head: 1 */
    uint8_t endian;      /* of the decompressed pixels: 1 = big, 2 = little */
    char codec[5];       /* "H264", "VP90", ... */
    uint16_t frame_type; /* 1 = key frame; above 0xff: grey */
    uint8_t coordinates; /* 1 = RAS, 2 = LPS */
    uint16_t size[3];
    float matrix[12]; /* as in IMAGE */
    uint16_t offset[3];
    uint16_t subsize[3];
    const uint8_t *frame; /* compressed; depends on the ones before, unless it is a key frame */
    size_t frame_bytes;
} sono_igtl_video;

/* Errors: MALFORMED (below 76 bytes, unknown endian or coordinates, a subvolume beyond the size), UNSUPPORTED
 * (version of the head other than 1). */
sono_igtl_status sono_igtl_video_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_video *out,
                                        sono_igtl_fault *fault);
void sono_igtl_video_encode(sono_igtl_writer *writer, const sono_igtl_video *video);

#endif
