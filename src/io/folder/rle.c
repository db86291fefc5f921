// SPDX-License-Identifier: Apache-2.0
#include "io/folder/rle.h"

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
