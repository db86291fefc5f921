// SPDX-License-Identifier: Apache-2.0
#include "op_scene.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <math.h>
#include <string.h>

#define BONE_FIRST 0.2 /* columns, as shares of the width */
#define BONE_LAST  0.8
#define THICKNESS  0.012 /* half of the mask's, as a share of the height */
#define BLUR_STEPS 15

sono_frame_header op_scene_header(int32_t width_px, int32_t height_px, sono_pixel_format format,
                                  int32_t padding)
{
    return (sono_frame_header){.width_px = width_px,
                               .height_px = height_px,
                               .pitch_bytes = width_px * (int32_t)format + padding,
                               .format = (uint8_t)format,
                               .gray16_white = 5000,
                               .threshold = 0.3f};
}

static int64_t n_pixels_of(const op_scene *s, int32_t frame)
{
    return (int64_t)s->headers[frame].width_px * s->headers[frame].height_px;
}

void op_scene_open(op_scene *s, sono_op_test *t)
{
    int64_t pixels_at = 0, maps_at = 0;
    for (int32_t i = 0; i < s->n_frames; i++) {
        s->headers[i].pixels_at_bytes = pixels_at;
        s->headers[i].maps_at_bytes = maps_at;
        pixels_at += (int64_t)s->headers[i].pitch_bytes * s->headers[i].height_px;
        maps_at += s->n_objects * object_maps_bytes(n_pixels_of(s, i), s->map_element_bytes);
    }
    s->pixels_bytes = (size_t)pixels_at;
    s->maps_bytes = (size_t)(s->n_frames * s->n_objects * (1 + 3 * s->map_element_bytes) *
                             map_bytes((int64_t)s->max_width_px * s->max_height_px, 1));
    s->pixels = sono_alloc(s->pixels_bytes);
    s->maps = sono_alloc(s->maps_bytes);
    assert_non_null(s->pixels);
    assert_non_null(s->maps);
    assert_true((size_t)maps_at <= s->maps_bytes);
    for (size_t i = 0; i < s->pixels_bytes; i++)
        s->pixels[i] = (uint8_t)sono_op_test_int(t, 0, 255);
    memset(s->maps, SONO_OP_TEST_UNTOUCHED_U8, s->maps_bytes);
    for (int32_t i = 0; i < s->n_frames; i++)
        for (int32_t k = 0; k < s->n_objects; k++)
            memset(op_scene_mask(s, i, k), k ? 255 : 0, (size_t)n_pixels_of(s, i));
}

void op_scene_close(op_scene *s)
{
    sono_free(s->pixels);
    sono_free(s->maps);
    s->pixels = s->maps = NULL;
}

uint8_t *op_scene_mask(const op_scene *s, int32_t frame, int32_t object)
{
    return s->maps + s->headers[frame].maps_at_bytes +
           object * object_maps_bytes(n_pixels_of(s, frame), s->map_element_bytes);
}

int op_scene_is_set(const op_scene *s, int32_t frame, int32_t x, int32_t y)
{
    return op_scene_mask(s, frame, 0)[(int64_t)y * s->headers[frame].width_px + x] != 0;
}

void op_scene_set(op_scene *s, int32_t frame, int32_t x, int32_t y, int set)
{
    op_scene_mask(s, frame, 0)[(int64_t)y * s->headers[frame].width_px + x] = set ? 255 : 0;
}

static uint8_t *pixel_of(const op_scene *s, int32_t frame, int32_t x, int32_t y)
{
    const sono_frame_header *h = &s->headers[frame];
    return s->pixels + h->pixels_at_bytes + (int64_t)y * h->pitch_bytes + (int64_t)x * h->format;
}

int32_t op_scene_grey(const op_scene *s, int32_t frame, int32_t x, int32_t y)
{
    const uint8_t *p = pixel_of(s, frame, x, y);
    const int32_t white = s->headers[frame].gray16_white;
    switch (s->headers[frame].format) {
    case SONO_PIXEL_GRAY8:
        return p[0];
    case SONO_PIXEL_GRAY16: {
        const int32_t sample = p[0] + 256 * p[1];
        return sample > white ? 255 : (2 * 255 * sample + white - white % 2) / (2 * white);
    }
    default:
        return (19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) / 65536;
    }
}

void op_scene_set_grey(op_scene *s, int32_t frame, int32_t x, int32_t y, int32_t grey)
{
    uint8_t *p = pixel_of(s, frame, x, y);
    const int32_t sample = grey * s->headers[frame].gray16_white / 255;
    for (int32_t i = 0; i < s->headers[frame].format && i < 3; i++)
        p[i] = (uint8_t)grey;
    if (s->headers[frame].format == SONO_PIXEL_GRAY16) {
        p[0] = (uint8_t)(sample % 256);
        p[1] = (uint8_t)(sample / 256);
    }
}

op_scene_tensors op_scene_record(const op_scene *s, sono_op_test *t)
{
    const int32_t n_maps = s->n_frames * s->n_objects, n_planes = 1 + 3 * s->map_element_bytes;
    sono_detection found[OP_SCENE_MAX_FRAMES * 2] = {{0}};
    op_scene_tensors x;
    for (int32_t i = 0; i < s->n_frames; i++) {
        memcpy(&found[i * s->n_objects], s->boxes[i], sizeof s->boxes[i]);
        for (int32_t k = 0; k < s->n_objects; k++) {
            found[i * s->n_objects + k].score = 0.75f;
            found[i * s->n_objects + k].class_id = 1.0f;
            found[i * s->n_objects + k].query = 5.0f;
            found[i * s->n_objects + k].valid = 1.0f;
        }
    }
    x.pixels = sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)s->pixels_bytes, s->pixels);
    x.header = sono_op_test_input_values(t, SONO_DTYPE_U8, s->n_frames, 1, 1, (int32_t)sizeof s->headers[0],
                                         s->headers);
    x.maps = sono_op_test_inout_values(t, SONO_DTYPE_U8, n_maps, 1, n_planes,
                                       (int32_t)map_bytes((int64_t)s->max_width_px * s->max_height_px, 1),
                                       s->maps);
    x.mask = sono_view_rows(&t->rec, x.maps, 0, 1, 1);
    x.detections = sono_op_test_inout_values(t, SONO_DTYPE_F32, s->n_frames, 1, s->n_objects,
                                             SONO_DETECTION_FLOATS, found);
    return x;
}

sono_segment_args op_scene_args(const op_scene *s)
{
    return (sono_segment_args){.image_size = 1024,
                               .max_width_px = s->max_width_px,
                               .max_height_px = s->max_height_px,
                               .map_element_bytes = s->map_element_bytes};
}

int32_t op_scene_side(const op_scene *s)
{
    return s->max_width_px > s->max_height_px ? s->max_width_px : s->max_height_px;
}

/* In [0, 1), the same for the same cell. */
static double cell_noise(int32_t x, int32_t y)
{
    uint64_t z = (uint64_t)(uint32_t)x * 0x9e3779b97f4a7c15u ^ (uint64_t)(uint32_t)y * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(z >> 40) * 0x1p-24;
}

/* Speckle of about one cell of 1 / 140 of the image. */
static double speckle(double u, double v)
{
    const double x = u * 140, y = v * 140, px = x - floor(x), py = y - floor(y);
    const int32_t x0 = (int32_t)floor(x), y0 = (int32_t)floor(y);
    const double top = cell_noise(x0, y0) * (1 - px) + cell_noise(x0 + 1, y0) * px;
    const double bottom = cell_noise(x0, y0 + 1) * (1 - px) + cell_noise(x0 + 1, y0 + 1) * px;
    return top * (1 - py) + bottom * py;
}

static double ridge_at(double u)
{
    return 0.4 + 0.3 * (u - 0.5) * (u - 0.5);
}

static double brightness_at(double u, double v)
{
    const double from = (v - ridge_at(u)) / THICKNESS, noise = speckle(u, v);
    const int is_bone = u >= BONE_FIRST && u <= BONE_LAST;
    const double tissue = is_bone && from > 1 ? 0.02 + 0.1 * noise : 0.1 + 0.35 * noise;
    return is_bone ? fmin(tissue + (0.4 + 0.5 * noise) * exp(-from * from), 1.0) : tissue;
}

static int is_in_bone(const op_bone *bone, double u, double v)
{
    return u >= BONE_FIRST && u <= BONE_LAST && fabs(u - 0.5) >= bone->gap / 2 &&
           fabs(v - bone->mask_off - ridge_at(u)) <= THICKNESS;
}

void op_scene_draw_bone(op_scene *s, int32_t frame, const op_bone *bone)
{
    const int32_t width = s->headers[frame].width_px, height = s->headers[frame].height_px;
    const int32_t n = bone->blur > 0 ? BLUR_STEPS : 1;
    float *box = s->boxes[frame];
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            const double u = (x + 0.5) / width - bone->move_x, v = (y + 0.5) / height - bone->move_y;
            double sum = 0;
            for (int32_t i = 0; i < n; i++)
                sum += brightness_at(u + bone->blur * ((i + 0.5) / n - 0.5), v);
            const double grey = 255 * pow(fmin(bone->gain * sum / n, 1), bone->gamma);
            op_scene_set_grey(s, frame, x, y, (int32_t)lrint(grey));
            op_scene_set(s, frame, x, y, is_in_bone(bone, u, v));
        }
    box[0] = (float)((BONE_FIRST + bone->move_x) * width);
    box[1] = (float)((0.4 - THICKNESS + bone->move_y) * height);
    box[2] = (float)((BONE_LAST + bone->move_x) * width);
    box[3] = (float)((ridge_at(BONE_FIRST) + THICKNESS + bone->move_y) * height);
}

void op_scene_mirror(op_scene *s, int32_t from, int32_t to)
{
    const int32_t width = s->headers[from].width_px, height = s->headers[from].height_px;
    assert_int_equal(s->headers[to].width_px, width);
    assert_int_equal(s->headers[to].height_px, height);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            op_scene_set_grey(s, to, width - 1 - x, y, op_scene_grey(s, from, x, y));
            op_scene_set(s, to, width - 1 - x, y, op_scene_is_set(s, from, x, y));
        }
    s->boxes[to][0] = (float)width - s->boxes[from][2];
    s->boxes[to][1] = s->boxes[from][1];
    s->boxes[to][2] = (float)width - s->boxes[from][0];
    s->boxes[to][3] = s->boxes[from][3];
}

int32_t *op_scene_run(sono_op_test *t, sono_tid tensor)
{
    const sono_engine_options options = {.plan_mode = SONO_PLAN_KEEP, .n_threads = 2};
    const size_t n = (size_t)sono_tensor_count(sono_program_tensor(t->program, tensor));
    int32_t *values = sono_alloc_array(n, sizeof *values);
    sono_engine *engine = NULL;
    assert_non_null(values);
    assert_ok(t->backend->open(t->program, &options, &engine, &t->error), &t->error);
    for (sono_tid i = 1; (size_t)i < t->program->n_tensors; i++)
        if (t->host[i])
            assert_ok(t->backend->inspect->write(engine, i, t->host[i], &t->error), &t->error);
    assert_ok(t->backend->inspect->run(engine, 0, -1, &t->error), &t->error);
    assert_ok(t->backend->inspect->read(engine, tensor, values, &t->error), &t->error);
    t->backend->close(engine);
    return values;
}
