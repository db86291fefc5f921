// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer entry: any text as a mask's run lengths. What is taken is a mask that packs and unpacks to
 * itself. Input: width and height less 1, a byte each, then the text.
 */
#include "io/folder/rle.h"
#include "sonoseg/export.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

/* The letters of {"size": ..., "counts": "..."}, in place. */
static char *counts_of(sono_text *packed)
{
    sono_text_add_bytes(packed, "", 1);
    char *counts = strrchr(packed->bytes, ' ') + 2, *out = counts;
    for (const char *at = counts; *at != '"'; at++)
        *out++ = *at == '\\' ? *++at : *at;
    *out = 0;
    return counts;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static uint8_t mask[256 * 256], back[256 * 256];
    char text[4096];
    if (n_bytes < 2 || n_bytes - 2 >= sizeof text)
        return 0;
    const int32_t width_px = bytes[0] + 1, height_px = bytes[1] + 1;
    memcpy(text, bytes + 2, n_bytes - 2);
    text[n_bytes - 2] = 0;
    if (sono_export_unpack_rle(text, width_px, height_px, mask, NULL) != SONO_STATUS_OK)
        return 0;
    sono_text packed = {0};
    sono_rle_write(&packed, mask, width_px, height_px);
    if (sono_export_unpack_rle(counts_of(&packed), width_px, height_px, back, NULL) != SONO_STATUS_OK ||
        memcmp(mask, back, (size_t)width_px * (size_t)height_px) != 0)
        abort();
    sono_text_reset(&packed);
    return 0;
}
