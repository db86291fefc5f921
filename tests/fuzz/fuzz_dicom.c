// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes as a DICOM file, with and without its pictures, in grey and in colour. */
#include "memory_file.h"
#include "sonoseg/io.h"

#define MAX_FRAMES 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void read_frames(const char *path, const sono_source_options *options)
{
    sono_source *source = NULL;
    sono_error error;
    volatile size_t sum = 0;
    if (sono_source_open_dicom(path, options, &source, &error) != SONO_STATUS_OK)
        return;
    for (int i = 0; i < MAX_FRAMES; i++) {
        sono_image image;
        sono_frame_info info;
        const char *name;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        if (sono_source_next(source, &image, &info, &name, &error) == SONO_STATUS_END)
            break;
        if (image.pixels)
            sum += ((const uint8_t *)image.pixels)[image.pitch_bytes * (size_t)image.height_px - 1];
    }
    (void)sum;
    sono_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    char path[64];
    const int file = memory_file(bytes, n_bytes, path);
    if (file < 0)
        return 0;
    sono_source_options options;
    sono_source_options_init(&options);
    options.max_pixels = 1 << 16;
    options.keep_colour = n_bytes & 1;
    options.burned_in = (int32_t)(n_bytes % 3);
    options.wants_region = n_bytes >> 1 & 1;
    read_frames(path, &options);
    close(file);
    return 0;
}
