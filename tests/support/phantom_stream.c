// SPDX-License-Identifier: Apache-2.0
#include "phantom_stream.h"

#include "test.h"

#include <string.h>

void phantom_stream_read(sono_phantom_shape shape, int32_t n_frames,
                         uint8_t (*pictures)[PHANTOM_STREAM_PIXELS], sono_frame *frames)
{
    sono_phantom_options options;
    sono_source *source = NULL;
    sono_error error = {0};
    sono_phantom_options_init(&options);
    options.seed = 4711;
    options.shape = shape;
    options.rate_hz = 10.0;
    options.n_frames = n_frames;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int32_t i = 0; i < n_frames; i++) {
        const char *name = NULL;
        sono_frame_init(&frames[i]);
        assert_ok(sono_source_next(source, &frames[i].image, &frames[i].info, &name, &error), &error);
        memcpy(pictures[i], frames[i].image.pixels, PHANTOM_STREAM_PIXELS);
        frames[i].image.pixels = pictures[i];
    }
    sono_source_close(source);
}

void phantom_stream_mirror(uint8_t picture[PHANTOM_STREAM_PIXELS])
{
    for (uint8_t *row = picture; row < picture + PHANTOM_STREAM_PIXELS; row += PHANTOM_STREAM_WIDTH_PX)
        for (int32_t x = 0; x < PHANTOM_STREAM_WIDTH_PX / 2; x++) {
            const uint8_t left = row[x];
            row[x] = row[PHANTOM_STREAM_WIDTH_PX - 1 - x];
            row[PHANTOM_STREAM_WIDTH_PX - 1 - x] = left;
        }
}

double phantom_stream_iou(const uint8_t a[PHANTOM_STREAM_PIXELS], const uint8_t b[PHANTOM_STREAM_PIXELS])
{
    int64_t both = 0, any = 0;
    for (int32_t i = 0; i < PHANTOM_STREAM_PIXELS; i++) {
        both += a[i] && b[i];
        any += a[i] || b[i];
    }
    return any ? (double)both / (double)any : 1;
}
