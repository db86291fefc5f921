// SPDX-License-Identifier: Apache-2.0
#include "io/folder/rle.h"

#include <string.h>

/* A letter may be the backslash, which JSON wants twice. */
static void add_count(sono_text *text, int64_t value)
{
    int has_more = 1;
    while (has_more) {
        int letter = (int)(value & 0x1f);
        value >>= 5;
        has_more = letter & 0x10 ? value != -1 : value != 0;
        letter = (has_more ? letter | 0x20 : letter) + 48;
        const char letters[2] = {'\\', (char)letter};
        sono_text_add_bytes(text, letter == '\\' ? letters : letters + 1, letter == '\\' ? 2 : 1);
    }
}

void sono_rle_write(sono_text *text, const uint8_t *mask, int32_t width_px, int32_t height_px)
{
    int64_t runs[3] = {0}; /* this one and the two before it */
    int64_t n_runs = 0;
    int is_set = 0;
    sono_text_format(text, "{\"size\": [%d, %d], \"counts\": \"", height_px, width_px);
    for (int32_t x = 0; x < width_px; x++)
        for (int32_t y = 0; y < height_px; y++) {
            const int is_next = mask[(size_t)y * (size_t)width_px + (size_t)x] != 0;
            if (is_next != is_set) {
                add_count(text, n_runs > 2 ? runs[0] - runs[2] : runs[0]);
                runs[2] = runs[1];
                runs[1] = runs[0];
                runs[0] = 0;
                n_runs++;
                is_set = is_next;
            }
            runs[0]++;
        }
    add_count(text, n_runs > 2 ? runs[0] - runs[2] : runs[0]);
    sono_text_add(text, "\"}");
}

/* The number at *at, which goes behind it. Returns -1 where there is none. */
static int take_count(const char **at, int64_t *out)
{
    int64_t value = 0;
    for (int shift = 0; shift <= 40; shift += 5) {
        const int letter = (unsigned char)**at - 48;
        if (letter < 0 || letter > 63)
            return -1;
        ++*at;
        value |= (int64_t)(letter & 0x1f) << shift;
        if (letter & 0x20)
            continue;
        *out = letter & 0x10 ? value - ((int64_t)32 << shift) : value;
        return 0;
    }
    return -1;
}

/* Sets n pixels from number `first` on, counted down the columns. */
static void set_run(uint8_t *mask, int64_t first, int64_t n, int32_t width_px, int32_t height_px)
{
    size_t x = (size_t)(first / height_px), y = (size_t)(first % height_px);
    for (; n > 0; n--) {
        mask[y * (size_t)width_px + x] = 1;
        if (++y == (size_t)height_px) {
            y = 0;
            x++;
        }
    }
}

const char *sono_rle_read(const char *counts, int32_t width_px, int32_t height_px, uint8_t *mask)
{
    const int64_t n_pixels = (int64_t)width_px * height_px;
    int64_t before[2] = {0}, at = 0, n = 0; /* before: the last run and the one before it */
    memset(mask, 0, (size_t)n_pixels);
    for (int64_t i = 0; *counts; i++) {
        if (take_count(&counts, &n))
            return "its run lengths hold a letter that cannot be there";
        n += i > 2 ? before[1] : 0;
        if (n < 0 || n > n_pixels - at)
            return "its run lengths are more than the picture's pixels";
        if (i % 2)
            set_run(mask, at, n, width_px, height_px);
        at += n;
        before[1] = before[0];
        before[0] = n;
    }
    return at == n_pixels ? NULL : "its run lengths are fewer than the picture's pixels";
}
