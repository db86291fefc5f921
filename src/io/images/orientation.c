// SPDX-License-Identifier: Apache-2.0
#include "io/images/orientation.h"

#include "base/alloc.h"
#include "base/pixel.h"

#include <string.h>

#define TAG_ORIENTATION 274
#define TYPE_SHORT      3

static uint32_t number_at(const uint8_t *bytes, int n, int is_big_endian)
{
    uint32_t value = 0;
    for (int i = 0; i < n; i++)
        value = value << 8 | bytes[is_big_endian ? i : n - 1 - i];
    return value;
}

int32_t sono_orientation_of_exif(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
        return 1;
    const int is_big_endian = bytes[0] == 'M';
    const size_t at = number_at(bytes + 4, 4, is_big_endian);
    if (at > n_bytes - 2)
        return 1;
    const size_t n_entries = number_at(bytes + at, 2, is_big_endian);
    for (size_t i = 0; i < n_entries && at + 2 + 12 * (i + 1) <= n_bytes; i++) {
        const uint8_t *entry = bytes + at + 2 + 12 * i;
        if (number_at(entry, 2, is_big_endian) != TAG_ORIENTATION ||
            number_at(entry + 2, 2, is_big_endian) != TYPE_SHORT)
            continue;
        const uint32_t value = number_at(entry + 8, 2, is_big_endian);
        return value >= 1 && value <= 8 ? (int32_t)value : 1;
    }
    return 1;
}

/* from: the source of the result's first pixel; step_x, step_y: bytes to its neighbours' sources. */
static void copy_pixels(uint8_t *out, const uint8_t *from, int32_t width_px, int32_t height_px,
                        ptrdiff_t step_x, ptrdiff_t step_y, size_t pixel_bytes)
{
    for (int32_t y = 0; y < height_px; y++)
        for (int32_t x = 0; x < width_px; x++, out += pixel_bytes)
            memcpy(out, from + y * step_y + x * step_x, pixel_bytes);
}

sono_status sono_orientation_apply(const sono_image_job *job)
{
    sono_decoded_image *image = job->image;
    const int32_t n = image->orientation;
    if (n < 2 || n > 8)
        return SONO_STATUS_OK;
    const int is_swapped = n >= 5;
    const int flips_x = n == 2 || n == 3 || n == 7 || n == 8;
    const int flips_y = n == 3 || n == 4 || n == 6 || n == 7;
    const size_t pixel_bytes = sono_pixel_bytes(image->format);
    const size_t n_bytes = image->pitch_bytes * (size_t)image->height_px;
    uint8_t *turned = sono_alloc(n_bytes);
    if (!turned)
        return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
    const ptrdiff_t pitch = (ptrdiff_t)image->pitch_bytes;
    const ptrdiff_t along = flips_x ? -(ptrdiff_t)pixel_bytes : (ptrdiff_t)pixel_bytes;
    const ptrdiff_t down = flips_y ? -pitch : pitch;
    const uint8_t *from = image->pixels + (flips_x ? pitch - (ptrdiff_t)pixel_bytes : 0) +
                          (flips_y ? pitch * (image->height_px - 1) : 0);
    const int32_t width_px = is_swapped ? image->height_px : image->width_px;
    const int32_t height_px = is_swapped ? image->width_px : image->height_px;
    copy_pixels(turned, from, width_px, height_px, is_swapped ? down : along, is_swapped ? along : down,
                pixel_bytes);
    sono_free(image->pixels);
    image->pixels = turned;
    image->capacity_bytes = n_bytes;
    image->width_px = width_px;
    image->height_px = height_px;
    image->pitch_bytes = (size_t)width_px * pixel_bytes;
    image->orientation = 1;
    return SONO_STATUS_OK;
}
