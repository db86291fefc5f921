// SPDX-License-Identifier: Apache-2.0
/*
 * A frame and its result as messages to clients: mask, outline, surface, maps and overlay, each encoded when
 * it is first asked for, once for each header version. Geometry and time are those of the frame, bit for bit:
 * the IMAGE's first 72 bytes are copied and only components and scalar type are set, the header's timestamp
 * is copied. So the byte that says RAS or LPS is the source's, too: 3D Slicer ignores it and takes every
 * matrix as RAS, and mask and image lie on each other whatever it says. docs/live-messages.md has the
 * metadata.
 *
 * An empty set stands for "what was shown is not to be believed any more": the geometry of the last frame
 * that was shown, pixels of 0, outline and surface without points, a reason, and a time of its own that is
 * later than that of everything sent before. Thread-safety: one thread.
 */
#ifndef SONO_SERVE_MASKS_H
#define SONO_SERVE_MASKS_H

#include "serve/blobs.h"
#include "serve/config.h"
#include "serve/engine.h"
#include "serve/frame.h"
#include "serve/outline.h"

typedef enum sono_serve_output {
    SONO_SERVE_OUTPUT_MASK = 0,
    SONO_SERVE_OUTPUT_OUTLINE, /* POLYDATA, as the next; the others are IMAGEs */
    SONO_SERVE_OUTPUT_SURFACE, /* the ridge of the echo */
    SONO_SERVE_OUTPUT_EDGE,
    SONO_SERVE_OUTPUT_INSIDE,
    SONO_SERVE_OUTPUT_OUTSIDE,
    SONO_SERVE_OUTPUT_OVERLAY, /* RGB: the image with the outline in it */
    SONO_SERVE_OUTPUT_COUNT
} sono_serve_output;

static inline int sono_serve_output_is_image(sono_serve_output output)
{
    return output != SONO_SERVE_OUTPUT_OUTLINE && output != SONO_SERVE_OUTPUT_SURFACE;
}

typedef struct sono_serve_masks {
    char names[SONO_SERVE_OUTPUT_COUNT][SONO_IGTL_DEVICE_CHARS + 1]; /* of devices */
    uint8_t mask_value;
    int32_t gray16_white;
    sono_serve_engine_info info;
    uint64_t n_unsent; /* messages for which there was no memory, or whose sizes do not fit */
    /* Its own. */
    sono_serve_blobs *blobs;
    sono_serve_outline outline;
    float (*points_mm)[3]; /* of the outline, or of the surface */
    uint32_t *n_indices;   /* of each line */
    uint32_t *indices;     /* of the lines' points, back to back */
    uint32_t message_id;
    int32_t has_last;
    uint8_t last_head[SONO_IGTL_IMAGE_HEAD_BYTES];
    sono_igtl_image last_image;
    uint64_t last_timestamp; /* raw; the latest sent */
} sono_serve_masks;

/* One frame's messages, or an empty set's: lives from a _begin() to _end(). */
typedef struct sono_serve_set {
    const sono_serve_frame *frame; /* NULL = an empty set */
    const sono_serve_result *result;
    const char *reason, *text; /* of an empty set */
    uint64_t timestamp;        /* raw, of each message */
    const uint8_t *head;       /* 72 bytes */
    const sono_igtl_image *image;
    double latency_ms; /* from the frame's last byte in to here */
    int32_t is_traced;
    sono_serve_blob *messages[SONO_SERVE_OUTPUT_COUNT][2]; /* by header version - 1; NULL = not yet */
} sono_serve_set;

/* config: names, values, and sizes that memory is taken for. blobs outlives masks. Returns 0, or -1: out of
 * memory. */
int sono_serve_masks_open(sono_serve_masks *masks, const sono_serve_config *config, sono_serve_blobs *blobs);
void sono_serve_masks_reload(sono_serve_masks *masks, const sono_serve_config *config);
void sono_serve_masks_close(sono_serve_masks *masks);

/* The output with that device name, or -1. */
int sono_serve_masks_output(const sono_serve_masks *masks, const char *device);

/* frame, result: the caller's until _end(). now_ns: monotonic. */
void sono_serve_masks_begin(sono_serve_masks *masks, sono_serve_set *set, const sono_serve_frame *frame,
                            const sono_serve_result *result, int64_t now_ns);
/* Returns 0, or -1 where no frame was shown yet: then there is nothing to empty and no set. utc_ns: now. */
int sono_serve_masks_begin_empty(sono_serve_masks *masks, sono_serve_set *set, const char *reason,
                                 const char *text, int64_t utc_ns);
/* Lent until _end(); to keep it longer, share it. version: 1 or 2. NULL: the engine does not make it (maps,
 * surface), or n_unsent was counted up. */
sono_serve_blob *sono_serve_masks_message(sono_serve_masks *masks, sono_serve_set *set,
                                          sono_serve_output output, int32_t version);
void sono_serve_masks_end(sono_serve_masks *masks, sono_serve_set *set);

#endif
