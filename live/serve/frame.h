// SPDX-License-Identifier: Apache-2.0
/* What is kept of a frame while it is under way, by its number: what its mask is sent with, copied from the
 * wire, never computed. */
#ifndef SONO_SERVE_FRAME_H
#define SONO_SERVE_FRAME_H

#include "igtl/reader.h"
#include "sonoseg/sonoseg.h"

#define SONO_SERVE_MAX_TRANSFORMS 64
#define SONO_SERVE_NAME_BYTES     64

typedef struct sono_serve_transform {
    char name[SONO_SERVE_NAME_BYTES];
    float matrix[12];   /* as TRANSFORM has it: by columns */
    int32_t is_valid;   /* 0: the source said INVALID */
    uint64_t timestamp; /* raw, of its own message; 0 = unknown */
} sono_serve_transform;

typedef struct sono_serve_frame {
    uint64_t id;        /* counts from 1 */
    uint64_t timestamp; /* raw, from the header */
    uint32_t message_id;
    uint8_t image_head[SONO_IGTL_IMAGE_HEAD_BYTES]; /* as it came */
    sono_igtl_image image;                          /* the same, decoded */
    char device[SONO_IGTL_DEVICE_CHARS + 1];
    int64_t received_ns; /* monotonic: last byte came */
    int64_t submitted_ns, done_ns;
    sono_image pixels; /* as submitted; pixels.pixels may be read while the frame is in the engine */
    sono_frame_info info;
    void *input; /* what the engine lent for it; NULL = given back */
    int32_t n_transforms;
    sono_serve_transform transforms[SONO_SERVE_MAX_TRANSFORMS];
} sono_serve_frame;

#endif
