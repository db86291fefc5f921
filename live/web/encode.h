// SPDX-License-Identifier: Apache-2.0
/* Pictures as pages carry them. */
#ifndef SONO_WEB_ENCODE_H
#define SONO_WEB_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* rgb: height_px rows of 3 * width_px bytes, contiguous. A JPEG, and a PNG in a build without libjpeg-turbo;
 * *type: "image/jpeg" or "image/png". To be freed; NULL: out of memory, or the encoder refuses the size.
 * Thread-safe. */
uint8_t *sono_web_encode(const uint8_t *rgb, int32_t width_px, int32_t height_px, size_t *n_bytes,
                         const char **type);

/* A PNG likewise. */
uint8_t *sono_web_png(const uint8_t *rgb, int32_t width_px, int32_t height_px, size_t *n_bytes);

#endif
