// SPDX-License-Identifier: Apache-2.0
#include "io/sequences/convert.h"

#include <string.h>

static const char *element_text(sono_element element)
{
    switch (element) {
    case SONO_ELEMENT_I8:
        return "signed 8-bit";
    case SONO_ELEMENT_U8:
        return "8-bit";
    case SONO_ELEMENT_I16:
        return "signed 16-bit";
    case SONO_ELEMENT_U16:
        return "16-bit";
    case SONO_ELEMENT_I32:
        return "signed 32-bit";
    case SONO_ELEMENT_U32:
        return "32-bit";
    case SONO_ELEMENT_F32:
        return "32-bit float";
    case SONO_ELEMENT_F64:
        return "64-bit float";
    }
    return "unknown";
}

sono_status sono_sequence_choose(const sono_sequence_header *header, const sono_sequence_layout *layout,
                                 const sono_source_options *options, sono_sequence_way *way,
                                 sono_pixel_format *format, sono_error *error)
{
    const int n = layout->components, is_byte = layout->element == SONO_ELEMENT_U8;
    *way = SONO_SEQUENCE_AS_IT_IS;
    if (is_byte && n != 2) {
        *format = n == 1 ? SONO_PIXEL_GRAY8 : n == 3 ? SONO_PIXEL_RGB8 : SONO_PIXEL_RGBA8;
        if (n > 1 && !options->keep_colour) {
            *way = SONO_SEQUENCE_LUMA;
            *format = SONO_PIXEL_GRAY8;
        }
        return SONO_STATUS_OK;
    }
    *format = SONO_PIXEL_GRAY16;
    if (n == 1 && layout->element == SONO_ELEMENT_U16)
        return SONO_STATUS_OK;
    if (n > 1)
        return SONO_FAIL(error, UNSUPPORTED, "%s: pixels of %d %s components cannot be taken as an image",
                         header->path, n, element_text(layout->element));
    if (!(options->float_low < options->float_high))
        return SONO_FAIL(error, UNSUPPORTED,
                         "%s: a sequence with %s samples: say which values are black and white "
                         "(--float-range LO,HI; float_low and float_high of the source)",
                         header->path, element_text(layout->element));
    *way = SONO_SEQUENCE_WINDOW;
    return SONO_STATUS_OK;
}

void sono_sequence_swap(void *samples, size_t n_bytes, sono_element element)
{
    uint8_t *bytes = samples;
    const size_t step = sono_sequence_element_bytes(element);
    for (size_t at = 0; at + step <= n_bytes; at += step)
        for (size_t i = 0; i < step / 2; i++) {
            const uint8_t byte = bytes[at + i];
            bytes[at + i] = bytes[at + step - 1 - i];
            bytes[at + step - 1 - i] = byte;
        }
}

#define SAMPLE(type)                                                                                         \
    {                                                                                                        \
        type sample;                                                                                         \
        memcpy(&sample, (const uint8_t *)samples + index * sizeof sample, sizeof sample);                    \
        return (double)sample;                                                                               \
    }

static double sample_at(const void *samples, size_t index, sono_element element)
{
    switch (element) {
    case SONO_ELEMENT_I8:
        SAMPLE(int8_t)
    case SONO_ELEMENT_U8:
        SAMPLE(uint8_t)
    case SONO_ELEMENT_I16:
        SAMPLE(int16_t)
    case SONO_ELEMENT_U16:
        SAMPLE(uint16_t)
    case SONO_ELEMENT_I32:
        SAMPLE(int32_t)
    case SONO_ELEMENT_U32:
        SAMPLE(uint32_t)
    case SONO_ELEMENT_F32:
        SAMPLE(float)
    case SONO_ELEMENT_F64:
        SAMPLE(double)
    }
    return 0;
}

/* low -> 0, high -> 65535; NaN -> 0 */
static uint16_t through_window(double value, double low, double high)
{
    if (!(value > low))
        return 0;
    return value < high ? (uint16_t)((value - low) / (high - low) * 65535 + 0.5) : 65535;
}

void sono_sequence_convert(const sono_sequence_layout *layout, sono_sequence_way way,
                           const sono_source_options *options, const void *samples, void *out)
{
    const size_t count = (size_t)layout->width_px * (size_t)layout->height_px;
    if (way == SONO_SEQUENCE_WINDOW) {
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)out)[i] = through_window(sample_at(samples, i, layout->element), options->float_low,
                                                  options->float_high);
        return;
    }
    const uint8_t *pixel = samples;
    for (size_t i = 0; i < count; i++, pixel += layout->components)
        ((uint8_t *)out)[i] =
            (uint8_t)((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 0x8000u) >> 16);
}

int32_t sono_sequence_white(const uint16_t *samples, size_t n)
{
    uint16_t all = 0; /* of all ones, only the highest matters */
    int32_t white = 255;
    for (size_t i = 0; i < n; i++)
        all |= samples[i];
    while (white < all)
        white = 4 * white + 3;
    return white;
}
