// SPDX-License-Identifier: Apache-2.0
/* A batch of frames with masks, as the ops that judge a frame see it, and plain ways to look at it. */
#ifndef SONO_TESTS_SUPPORT_OP_SCENE_H
#define SONO_TESTS_SUPPORT_OP_SCENE_H

#include "op_test.h"

#define OP_SCENE_MAX_FRAMES 4

typedef struct op_scene {
    int32_t n_frames, n_objects; /* objects of a frame; those behind the first are there to be left alone */
    int32_t max_width_px, max_height_px, map_element_bytes;
    sono_frame_header headers[OP_SCENE_MAX_FRAMES]; /* what the caller sets before op_scene_open() */
    float boxes[OP_SCENE_MAX_FRAMES][4];            /* likewise, of the first object; all 0 = no box */
    uint8_t *pixels, *maps;                         /* of all frames, as the tensors hold them */
    size_t pixels_bytes, maps_bytes;
} op_scene;

/* A header for a frame of that size and format, its rows padded by `padding` bytes. */
sono_frame_header op_scene_header(int32_t width_px, int32_t height_px, sono_pixel_format format,
                                  int32_t padding);

/* Places the frames behind one another; pixels are noise, masks untouched. Freed by op_scene_close(). */
void op_scene_open(op_scene *s, sono_op_test *t);
void op_scene_close(op_scene *s);

uint8_t *op_scene_mask(const op_scene *s, int32_t frame, int32_t object);
int op_scene_is_set(const op_scene *s, int32_t frame, int32_t x, int32_t y); /* of the first object */
void op_scene_set(op_scene *s, int32_t frame, int32_t x, int32_t y, int set);

/* The grey value 0..255 of a pixel, by the rules of engine/luma.h and of 16-bit frames, written out. */
int32_t op_scene_grey(const op_scene *s, int32_t frame, int32_t x, int32_t y);
/* Makes a pixel grey; colour frames get a colour of that luma, 16-bit ones the sample. */
void op_scene_set_grey(op_scene *s, int32_t frame, int32_t x, int32_t y, int32_t grey);

typedef struct op_scene_tensors {
    sono_tid pixels, header, maps, mask, detections;
} op_scene_tensors;

/* What the scene holds as inputs; maps and detections as outputs that hold it before each run. */
op_scene_tensors op_scene_record(const op_scene *s, sono_op_test *t);
sono_segment_args op_scene_args(const op_scene *s);
int32_t op_scene_side(const op_scene *s);

/* A drawn scan of a bone, in shares of the image, so that it may be drawn at any size. */
typedef struct op_bone {
    double move_x, move_y; /* of everything, to the right and down */
    double blur;           /* length of the probe's way while the image was made, sideways; 0 = still */
    double gain, gamma;    /* grey = 255 (gain * brightness)^gamma; brightness in [0, 1] */
    double mask_off;       /* the mask lies that much too low */
    double gap;            /* width of a gap in the middle of the mask; 0 = none */
} op_bone;

/* Draws a bone from 0.2 to 0.8 of the width: speckled tissue above it, a bright echo, a dark shadow below;
 * its mask; and its box. The same bone gives the same frame. */
void op_scene_draw_bone(op_scene *s, int32_t frame, const op_bone *bone);
/* Frame `to` becomes the mirror image of frame `from`, which has its size and format. */
void op_scene_mirror(op_scene *s, int32_t from, int32_t to);

/* Runs the finished program once and reads an int32 output, [sono_tensor_count()]. Freed by the caller with
 * sono_free(). */
int32_t *op_scene_run(sono_op_test *t, sono_tid tensor);

#endif
