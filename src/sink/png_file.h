// SPDX-License-Identifier: Apache-2.0
/* Writes 8-bit grey and RGB pictures as PNG files. */
#ifndef SONO_SINK_PNG_FILE_H
#define SONO_SINK_PNG_FILE_H

#include "base/status.h"

/* pixels: height_px rows of width_px * channels bytes, contiguous; channels 1 (grey) or 3 (RGB). A file that
 * could not be written whole is removed. Errors: IO, OUT_OF_MEMORY; the text names path. */
sono_status sono_png_write(const char *path, const uint8_t *pixels, int32_t width_px, int32_t height_px,
                           int32_t channels, sono_error *error);

#endif
