// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes through every image decoder, as luma and in colour. */
#include "source/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    sono_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    options.max_pixels = 1 << 16;
    for (int32_t keep_colour = 0; keep_colour < 2; keep_colour++) {
        sono_error error;
        options.keep_colour = keep_colour;
        sono_image_decode(bytes, n_bytes, "fuzz", &options, &image, &error);
    }
    sono_image_reset(&image);
    return 0;
}
