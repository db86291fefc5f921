// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/colour.h"

#include <stdlib.h>
#include <string.h>

#define NEAR 8 /* levels; what compression leaves of a grey pixel */

sono_dicom_colour sono_dicom_judge(const uint8_t *pixels, size_t n)
{
    size_t n_rgb = 0, n_ybr = 0;
    for (size_t i = 0; i < n; i++, pixels += 3) {
        const int is_rgb = abs(pixels[0] - pixels[1]) <= NEAR && abs(pixels[0] - pixels[2]) <= NEAR;
        const int is_ybr = abs(pixels[1] - 128) <= NEAR && abs(pixels[2] - 128) <= NEAR;
        n_rgb += is_rgb && !is_ybr;
        n_ybr += is_ybr && !is_rgb;
    }
    if (n_rgb >= n - n / 2 && n_ybr < n / 10)
        return SONO_DICOM_COLOUR_RGB;
    if (n_ybr >= n - n / 2 && n_rgb < n / 10)
        return SONO_DICOM_COLOUR_YBR;
    return SONO_DICOM_COLOUR_UNKNOWN;
}

/* segment: of SOF, behind its length. */
static sono_dicom_colour judge_components(const uint8_t *segment, size_t n)
{
    if (n < 6 || segment[5] != 3 || n < 6 + 9)
        return SONO_DICOM_COLOUR_UNKNOWN;
    const uint8_t *part = segment + 6; /* of each component: name, sampling, table */
    if (part[0] == 'R' && part[3] == 'G' && part[6] == 'B')
        return SONO_DICOM_COLOUR_RGB;
    return part[4] != part[1] || part[7] != part[1] ? SONO_DICOM_COLOUR_YBR : SONO_DICOM_COLOUR_UNKNOWN;
}

static int is_start_of_frame(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

sono_dicom_colour sono_dicom_judge_jpeg(const uint8_t *bytes, size_t n_bytes)
{
    sono_dicom_colour found = SONO_DICOM_COLOUR_UNKNOWN;
    for (size_t at = 2; at + 4 <= n_bytes && bytes[at] == 0xff && bytes[at + 1] != 0xda;) {
        const uint8_t marker = bytes[at + 1];
        if (marker == 0xff) { /* padding */
            at++;
            continue;
        }
        const size_t n = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (n < 2 || n > n_bytes - at - 2)
            break;
        const uint8_t *segment = bytes + at + 4;
        if (marker == 0xe0 && n >= 7 && !memcmp(segment, "JFIF", 5))
            found = SONO_DICOM_COLOUR_YBR;
        if (marker == 0xee && n >= 14 && !memcmp(segment, "Adobe", 5))
            found = segment[11] ? SONO_DICOM_COLOUR_YBR : SONO_DICOM_COLOUR_RGB;
        if (is_start_of_frame(marker) && found == SONO_DICOM_COLOUR_UNKNOWN)
            found = judge_components(segment, n - 2);
        at += 2 + n;
    }
    return found;
}

static uint8_t clamp(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Rec. ITU-T T.871, 7: R = Y + 1.402 (Cr - 128), and so on, in units of 1 / 65536. */
void sono_dicom_to_rgb(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++, pixels += 3) {
        const int32_t y = pixels[0] * 65536 + 32768, cb = pixels[1] - 128, cr = pixels[2] - 128;
        pixels[0] = clamp((y + 91881 * cr) >> 16);
        pixels[1] = clamp((y - 22554 * cb - 46802 * cr) >> 16);
        pixels[2] = clamp((y + 116130 * cb) >> 16);
    }
}

void sono_dicom_to_luma(uint8_t *pixels, size_t n)
{
    for (size_t i = 1; i < n; i++)
        pixels[i] = pixels[3 * i];
}
