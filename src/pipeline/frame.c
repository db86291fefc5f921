// SPDX-License-Identifier: Apache-2.0
#include "pipeline/frame.h"

#include <math.h>
#include <string.h>

size_t sono_frame_max_bytes(int32_t max_width_px, int32_t max_height_px)
{
    return (size_t)max_width_px * (size_t)max_height_px * sono_pixel_bytes(SONO_PIXEL_RGBA8);
}

sono_status sono_frame_check(const sono_image *image, int32_t max_width_px, int32_t max_height_px,
                             sono_error *error)
{
    if (!image || !image->pixels)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the frame has no pixels");
    const size_t pixel_bytes = sono_pixel_bytes(image->format);
    if (!pixel_bytes)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pixel format %d does not exist", (int)image->format);
    if (image->width_px < 1 || image->height_px < 1)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a frame of %d x %d pixels is empty", image->width_px,
                         image->height_px);
    const int32_t longest_px = max_width_px > max_height_px ? max_width_px : max_height_px;
    if (image->width_px > longest_px || image->height_px > longest_px ||
        (int64_t)image->width_px * image->height_px > (int64_t)max_width_px * max_height_px)
        return SONO_FAIL(
            error, LIMIT,
            "the frame is %d x %d pixels, larger than max_width_px x max_height_px, %d x %d: its "
            "longer side and its area count",
            image->width_px, image->height_px, max_width_px, max_height_px);
    if (image->gray16_white < 0 || image->gray16_white > 65535)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the frame's gray16_white is %d, not within 0..65535",
                         image->gray16_white);
    const size_t row_bytes = (size_t)image->width_px * pixel_bytes;
    if (image->pitch_bytes && image->pitch_bytes < row_bytes)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a pitch of %zu bytes is shorter than a row of %zu",
                         image->pitch_bytes, row_bytes);
    if (image->pitch_bytes > INT32_MAX)
        return SONO_FAIL(error, LIMIT, "a pitch of %zu bytes is more than %d", image->pitch_bytes, INT32_MAX);
    return SONO_STATUS_OK;
}

const sono_region *sono_frame_region(const sono_frame *frame, const sono_pipeline_config *config)
{
    return config->region.width_px || config->find_region ? &config->region : &frame->info.region;
}

static int is_within(const sono_region *r, int32_t width_px, int32_t height_px)
{
    return r->x_px >= 0 && r->y_px >= 0 && r->width_px > 0 && r->height_px > 0 &&
           (int64_t)r->x_px + r->width_px <= width_px && (int64_t)r->y_px + r->height_px <= height_px;
}

sono_status sono_frame_check_region(const sono_image *image, const sono_region *r, sono_error *error)
{
    const int is_none = !r->width_px && !r->height_px && !r->x_px && !r->y_px;
    if (is_none || is_within(r, image->width_px, image->height_px))
        return SONO_STATUS_OK;
    return SONO_FAIL(error, INVALID_ARGUMENT,
                     "the region %d,%d,%d,%d (x, y, width, height) does not lie within the frame of %d x %d "
                     "pixels: give one that does, or none",
                     r->x_px, r->y_px, r->width_px, r->height_px, image->width_px, image->height_px);
}

void sono_frame_put_region(sono_frame_header *header, const sono_region *r)
{
    if (!r->width_px || !is_within(r, header->width_px, header->height_px))
        return;
    header->region[0] = (uint16_t)r->x_px;
    header->region[1] = (uint16_t)r->y_px;
    header->region[2] = (uint16_t)r->width_px;
    header->region[3] = (uint16_t)r->height_px;
}

int64_t sono_frame_bytes(const sono_image *image)
{
    return (int64_t)image->width_px * image->height_px * (int64_t)sono_pixel_bytes(image->format);
}

static size_t row_bytes_of(const sono_image *image)
{
    return (size_t)image->width_px * sono_pixel_bytes(image->format);
}

static size_t pitch_bytes_of(const sono_image *image)
{
    return image->pitch_bytes ? image->pitch_bytes : row_bytes_of(image);
}

static int is_near(double a, double b)
{
    return fabs(a - b) <= 0.01 * b;
}

/* A pose whose axes are a pixel long, as PLUS's ImageToReference is, becomes one of axes of length 1 and
 * pixels of that spacing. Axes that fit neither stay as they are: who compares frames takes them for no pose.
 */
static void split_scale(sono_frame_header *header)
{
    float *pose = header->image_to_reference;
    for (int axis = 0; axis < 3; axis++) {
        const double x = (double)pose[axis], y = (double)pose[4 + axis], z = (double)pose[8 + axis];
        const double length = sqrt(x * x + y * y + z * z);
        float *spacing_mm = axis < 2 ? &header->spacing_mm[axis] : NULL;
        if (!(length >= 1e-4 && length <= 64) || is_near(length, 1))
            continue;
        if (spacing_mm && *spacing_mm > 0.0f && !is_near(length, (double)*spacing_mm))
            continue;
        if (spacing_mm && !(*spacing_mm > 0.0f))
            *spacing_mm = (float)length;
        pose[axis] = (float)(x / length);
        pose[4 + axis] = (float)(y / length);
        pose[8 + axis] = (float)(z / length);
    }
}

void sono_frame_describe(const sono_frame *frame, float threshold, int32_t gray16_white,
                         sono_frame_header *header)
{
    const sono_image *image = &frame->image;
    const sono_frame_info *info = &frame->info;
    *header = (sono_frame_header){.width_px = image->width_px,
                                  .height_px = image->height_px,
                                  .pitch_bytes = (int32_t)pitch_bytes_of(image),
                                  .format = (uint8_t)image->format,
                                  .gray16_white = image->gray16_white ? image->gray16_white : gray16_white,
                                  .threshold = threshold,
                                  .timestamp_ns = info->timestamp_ns,
                                  .spacing_mm = {(float)info->spacing_mm[0], (float)info->spacing_mm[1]},
                                  .has_pose = (uint8_t)(info->has_pose == 1)};
    memcpy(header->image_to_reference, info->image_to_reference, sizeof header->image_to_reference);
    if (header->has_pose)
        split_scale(header);
}

void sono_frame_store(const sono_frame *frame, float threshold, int32_t gray16_white,
                      sono_frame_header *header, void *pixels, int64_t at_bytes)
{
    const sono_image *image = &frame->image;
    const size_t row_bytes = row_bytes_of(image), pitch_bytes = pitch_bytes_of(image);
    sono_frame_describe(frame, threshold, gray16_white, header);
    header->pixels_at_bytes = at_bytes;
    if (!pixels) {
        header->device_pixels = (uint64_t)(uintptr_t)image->pixels;
        return;
    }
    header->pitch_bytes = (int32_t)row_bytes;
    for (int32_t y = 0; y < image->height_px; y++)
        memcpy((uint8_t *)pixels + (size_t)at_bytes + (size_t)y * row_bytes,
               (const uint8_t *)image->pixels + (size_t)y * pitch_bytes, row_bytes);
}

void sono_frame_store_none(sono_frame_header *header)
{
    *header = (sono_frame_header){.width_px = 1,
                                  .height_px = 1,
                                  .pitch_bytes = 1,
                                  .format = SONO_PIXEL_GRAY8,
                                  .gray16_white = 255,
                                  .threshold = 2.0f, /* above every score */
                                  .stream = SONO_STREAM_NO_FRAME};
}

void sono_frame_record(sono_recorder *rec, int32_t n_frames, int32_t max_width_px, int32_t max_height_px,
                       sono_frame_tensors *out)
{
    const int32_t n_bytes = (int32_t)sono_frame_max_bytes(max_width_px, max_height_px);
    out->header = sono_record_input(rec, "frame_header", SONO_DTYPE_U8, n_frames, 1, 1,
                                    (int32_t)sizeof(sono_frame_header));
    out->pixels = sono_record_input(rec, "frame_pixels", SONO_DTYPE_U8, n_frames, 1, 1, n_bytes);
}
