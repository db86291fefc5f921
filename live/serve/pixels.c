// SPDX-License-Identifier: Apache-2.0
#include "serve/pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LITTLE 2

int sono_serve_window_parse(const char *text, sono_serve_window *out)
{
    sono_serve_window window = {0};
    char *end;
    if (text[0]) {
        window.is_set = 1;
        window.low = strtod(text, &end);
        if (end == text || *end != ',') {
            return -1;
        }
        text = end + 1;
        window.high = strtod(text, &end);
        if (end == text || *end || !isfinite(window.low) || !isfinite(window.high) ||
            !(window.low < window.high)) {
            return -1;
        }
    }
    *out = window;
    return 0;
}

static const char *check_shape(const sono_igtl_image *image)
{
    if (image->size[2] != 1) {
        return "more than one slice: have the source send slices one by one";
    }
    for (int i = 0; i < 3; ++i) {
        if (image->offset[i] || image->subsize[i] != image->size[i]) {
            return "a part of a volume: have the source send whole images";
        }
    }
    return NULL;
}

static const char *check_samples(const sono_igtl_image *image, const sono_serve_window *window,
                                 sono_serve_pixels_plan *plan)
{
    int n = image->n_components;
    if (image->scalar == SONO_IGTL_UINT8 && (n == 1 || n == 3 || n == 4)) {
        plan->rule = SONO_SERVE_PIXELS_AS_IS;
        plan->format = n == 1 ? SONO_PIXEL_GRAY8 : n == 3 ? SONO_PIXEL_RGB8 : SONO_PIXEL_RGBA8;
        return NULL;
    }
    if (n != 1) {
        return image->scalar == SONO_IGTL_UINT8
                   ? "neither 1, 3 nor 4 components: have the source send grey or RGB"
                   : "several components that are not 8 bits without a sign: have the source send grey or "
                     "RGB";
    }
    if (image->scalar == SONO_IGTL_UINT16) {
        plan->rule = image->endian == LITTLE ? SONO_SERVE_PIXELS_AS_IS : SONO_SERVE_PIXELS_SWAP16;
        plan->format = SONO_PIXEL_GRAY16;
        return NULL;
    }
    if (!window->is_set) {
        return "signed, 32-bit or float samples: set source.window to the LOW,HIGH that are black and white";
    }
    plan->rule = SONO_SERVE_PIXELS_WINDOW;
    plan->format = SONO_PIXEL_GRAY8;
    return NULL;
}

const char *sono_serve_pixels_check(const sono_igtl_image *image, const sono_serve_window *window,
                                    sono_serve_pixels_plan *out)
{
    sono_serve_pixels_plan plan = {.width_px = image->size[0],
                                   .height_px = image->size[1],
                                   .scalar = image->scalar,
                                   .endian = image->endian,
                                   .window = *window};
    const char *why = check_shape(image);
    if (!why) {
        why = check_samples(image, window, &plan);
    }
    if (!why) {
        *out = plan;
    }
    return why;
}

static uint64_t load(const uint8_t *at, size_t n_bytes, int is_little)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n_bytes; ++i) {
        bits |= (uint64_t)at[i] << (8 * (is_little ? i : n_bytes - 1 - i));
    }
    return bits;
}

static double sample(int scalar, uint64_t bits)
{
    float single;
    double real;
    uint32_t low = (uint32_t)bits;
    switch (scalar) {
    case SONO_IGTL_INT8:
        return (int8_t)bits;
    case SONO_IGTL_INT16:
        return (int16_t)bits;
    case SONO_IGTL_INT32:
        return (int32_t)low;
    case SONO_IGTL_FLOAT32:
        memcpy(&single, &low, sizeof single);
        return single;
    case SONO_IGTL_FLOAT64:
        memcpy(&real, &bits, sizeof real);
        return real;
    default:
        return (double)bits;
    }
}

static uint8_t grey(double value, const sono_serve_window *window)
{
    double scaled = 255.0 * (value - window->low) / (window->high - window->low);
    if (!(scaled > 0)) { /* NaN, too */
        return 0;
    }
    return scaled >= 255 ? 255 : (uint8_t)(scaled + 0.5);
}

void sono_serve_pixels_convert(const sono_serve_pixels_plan *plan, uint8_t *pixels)
{
    size_t n = (size_t)plan->width_px * (size_t)plan->height_px;
    if (plan->rule == SONO_SERVE_PIXELS_SWAP16) {
        for (size_t i = 0; i < n; ++i) {
            uint8_t high = pixels[2 * i];
            pixels[2 * i] = pixels[2 * i + 1];
            pixels[2 * i + 1] = high;
        }
    } else if (plan->rule == SONO_SERVE_PIXELS_WINDOW) {
        size_t size = sono_igtl_scalar_bytes(plan->scalar);
        for (size_t i = 0; i < n; ++i) { /* a sample is never narrower than its byte: nothing is overtaken */
            pixels[i] = grey(sample(plan->scalar, load(pixels + i * size, size, plan->endian == LITTLE)),
                             &plan->window);
        }
    }
}
