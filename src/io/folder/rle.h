// SPDX-License-Identifier: Apache-2.0
/*
 * Masks as run lengths, as COCO's tools read them: runs of 0 and 1 in turn down the columns, beginning with
 * 0, each written as the difference to the run before the last (from the fourth on), in groups of 5 bits from
 * the lowest on, 32 added while more follow, 48 to all, as a letter
 * (common/maskApi.c:204-230 @ 8c9bcc3cf640524c4c20a9c40e89cb6a2f2fa0e9 of cocodataset/cocoapi).
 */
#ifndef SONO_IO_FOLDER_RLE_H
#define SONO_IO_FOLDER_RLE_H

#include "io/folder/text.h"

#include <stdint.h>

/* Thread-safe, both.
 *
 * Adds {"size": [height, width], "counts": "..."}. mask: rows contiguous; what is not 0 is set. */
void sono_rle_write(sono_text *text, const uint8_t *mask, int32_t width_px, int32_t height_px);

/* Unpacks counts, 0 behind them, into mask: rows contiguous, 1 where it is set, else 0. NULL, or what is
 * wrong with them; mask is undefined then. */
const char *sono_rle_read(const char *counts, int32_t width_px, int32_t height_px, uint8_t *mask);

#endif
