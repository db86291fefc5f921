// SPDX-License-Identifier: Apache-2.0
#include "mask_frames.h"

#include "base/alloc.h"
#include "base/pixel.h"
#include "engine/luma.h"
#include "graph/map_layout.h"

#include <math.h>
#include <string.h>

static void put_pixel(sono_op_test *t, const mask_frame *frame, uint8_t *row, int32_t x, int32_t grey)
{
    if (frame->format == SONO_PIXEL_GRAY8) {
        row[x] = (uint8_t)grey;
    } else if (frame->format == SONO_PIXEL_GRAY16) {
        const int32_t value = grey * frame->white / 250 + sono_op_test_int(t, 0, 3); /* some above white */
        const uint16_t sample = (uint16_t)(value > 65535 ? 65535 : value);
        memcpy(row + 2 * x, &sample, sizeof sample);
    } else {
        const int32_t n = (int32_t)sono_pixel_bytes(frame->format);
        for (int32_t c = 0; c < n; c++) {
            const int32_t value = grey + sono_op_test_int(t, -20, 20);
            row[n * x + c] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

static void lay_out(mask_frames *f)
{
    f->pixels_bytes = f->maps_bytes = 0;
    for (int32_t i = 0; i < f->n_frames; i++) {
        const mask_frame *frame = &f->frames[i];
        const int32_t pitch =
            frame->width_px * (int32_t)sono_pixel_bytes(frame->format) + (frame->format == SONO_PIXEL_GRAY16);
        f->headers[i] = (sono_frame_header){.width_px = frame->width_px,
                                            .height_px = frame->height_px,
                                            .pitch_bytes = pitch,
                                            .format = frame->format,
                                            .gray16_white = frame->white,
                                            .threshold = 0.3f,
                                            .pixels_at_bytes = f->pixels_bytes,
                                            .maps_at_bytes = f->maps_bytes};
        f->pixels_bytes += (int64_t)pitch * frame->height_px;
        f->maps_bytes +=
            f->n_objects * object_maps_bytes((int64_t)frame->width_px * frame->height_px, f->element_bytes);
    }
}

uint8_t *mask_frames_mask(const mask_frames *f, uint8_t *maps, int32_t frame, int32_t object)
{
    const mask_frame *size = &f->frames[frame];
    return maps + f->headers[frame].maps_at_bytes +
           object * object_maps_bytes((int64_t)size->width_px * size->height_px, f->element_bytes);
}

static void draw(mask_frames *f, sono_op_test *t, const mask_drawing *drawing, int32_t i)
{
    const mask_frame *frame = &f->frames[i];
    const sono_frame_header *header = &f->headers[i];
    for (int32_t y = 0; y < frame->height_px; y++)
        for (int32_t x = 0; x < frame->width_px; x++) {
            put_pixel(t, frame, f->pixels + header->pixels_at_bytes + (int64_t)y * header->pitch_bytes, x,
                      drawing->grey(t, frame, x, y));
            for (int32_t k = 0; k < f->n_objects; k++)
                mask_frames_mask(f, f->maps, i, k)[(int64_t)y * frame->width_px + x] =
                    drawing->is_set(t, frame, k, x, y) ? 255 : 0;
        }
}

void mask_frames_open(mask_frames *f, sono_op_test *t, const mask_drawing *drawing)
{
    const int64_t n_pixels = (int64_t)f->max_width_px * f->max_height_px, pixel_bytes = 4 * n_pixels + 1;
    const int32_t n_planes = 1 + 3 * f->element_bytes, room = (int32_t)map_bytes(n_pixels, 1);
    const int64_t pixels_room = f->n_frames * (pixel_bytes + f->max_height_px);
    const int64_t maps_room = (int64_t)f->n_frames * f->n_objects * n_planes * room;
    lay_out(f);
    f->pixels = sono_alloc((size_t)pixels_room);
    f->maps = sono_alloc((size_t)maps_room);
    assert_true(f->pixels && f->maps && f->pixels_bytes <= pixels_room && f->maps_bytes <= maps_room);
    memset(f->maps, SONO_OP_TEST_UNTOUCHED_U8, (size_t)maps_room);
    for (int32_t i = 0; i < f->n_frames; i++)
        draw(f, t, drawing, i);
    f->headers_id = sono_op_test_input_values(t, SONO_DTYPE_U8, f->n_frames, 1, 1,
                                              (int32_t)sizeof f->headers[0], f->headers);
    f->pixels_id = sono_op_test_input_values(t, SONO_DTYPE_U8, f->n_frames, 1, 1,
                                             (int32_t)(pixels_room / f->n_frames), f->pixels);
    f->maps_id =
        sono_op_test_inout_values(t, SONO_DTYPE_U8, f->n_frames * f->n_objects, 1, n_planes, room, f->maps);
    f->mask_id = sono_view_rows(&t->rec, f->maps_id, 0, 1, 1);
    f->maps_bytes = maps_room;
}

void mask_frames_close(mask_frames *f)
{
    sono_free(f->pixels);
    sono_free(f->maps);
}

int32_t mask_frames_grey(const mask_frames *f, int32_t frame, int32_t x, int32_t y)
{
    const sono_frame_header *h = &f->headers[frame];
    const uint8_t *row = f->pixels + h->pixels_at_bytes + (int64_t)y * h->pitch_bytes;
    if (h->format == SONO_PIXEL_GRAY8)
        return row[x];
    if (h->format == SONO_PIXEL_GRAY16) {
        uint16_t sample;
        memcpy(&sample, row + 2 * x, sizeof sample);
        return (int32_t)floor(255.0 * fmin(sample, h->gray16_white) / h->gray16_white + 0.5);
    }
    return (int32_t)luma_of(row + x * (h->format == SONO_PIXEL_RGB8 ? 3 : 4));
}
