// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes through every image decoder, as luma and in colour, with and without a range for
 * floats, and through the pages of a TIFF. */
#include "io/formats.h"
#include "io/images/image.h"
#include "io/images/tiff.h"

#define MAX_PAGES 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void decode_pages(const sono_image_job *job)
{
    const sono_tiff_input input = {job->bytes, -1, job->n_bytes};
    sono_tiff tiff = {0};
    if (sono_format_of(job->bytes, job->n_bytes) != SONO_FORMAT_TIFF)
        return;
    if (sono_tiff_open(&tiff, &input, job) == SONO_STATUS_OK) {
        const int64_t n = sono_tiff_count(&tiff);
        for (int64_t page = 1; page < n && page < MAX_PAGES; page++)
            sono_image_finish(job, sono_tiff_decode(&tiff, page, job));
        sono_image_finish(job, sono_tiff_decode(&tiff, n - 1, job));
    }
    sono_tiff_reset(&tiff);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    sono_decoded_image image = {0};
    sono_source_options options;
    sono_source_options_init(&options);
    options.max_pixels = 1 << 16;
    for (int32_t keep_colour = 0; keep_colour < 2; keep_colour++) {
        sono_error error;
        const sono_image_job job = {bytes, n_bytes, "fuzz", &options, &image, &error, 0};
        options.keep_colour = keep_colour;
        options.float_high = keep_colour;
        sono_image_decode(bytes, n_bytes, "fuzz", &options, &image, &error);
        decode_pages(&job);
        sono_format_foreign(bytes, n_bytes);
    }
    sono_image_reset(&image);
    return 0;
}
