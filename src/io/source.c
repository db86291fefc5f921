// SPDX-License-Identifier: Apache-2.0
#include "io/source.h"

#include "base/alloc.h"
#include "base/sized.h"

#include <math.h>
#include <string.h>

#define MAX_HELD 16

static const sono_source_options source_defaults = {
    .struct_size = sizeof source_defaults,
    .max_pixels = (int64_t)1920 * 1200 * 4,
    .n_held = 1,
};

void sono_source_options_init_sized(void *options, size_t struct_size)
{
    sono_sized_init(options, struct_size, &source_defaults, sizeof source_defaults);
}

sono_status sono_source_options_read(const sono_source_options *given, sono_source_options *out,
                                     sono_error *error)
{
    sono_source_options options = source_defaults;
    if (given)
        SONO_TRY(sono_sized_read(given, sizeof given->struct_size, &options, sizeof options,
                                 "sono_source_options", error));
    if (options.max_pixels < 1)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: max_pixels is %lld, at least 1 is needed",
                         (long long)options.max_pixels);
    if (options.gray16_white < SONO_GRAY16_AUTO || options.gray16_white > 65535)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "source options: gray16_white is %d, neither SONO_GRAY16_AUTO nor within 0..65535",
                         options.gray16_white);
    if (options.n_held < 1 || options.n_held > MAX_HELD)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: n_held is %d, not within 1..%d",
                         options.n_held, MAX_HELD);
    if (options.max_side_px < 0)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: max_side_px is %d, below 0",
                         options.max_side_px);
    if (options.burned_in < SONO_BURNED_IN_REFUSE || options.burned_in > SONO_BURNED_IN_KEEP)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: burned_in is %d, no sono_burned_in",
                         options.burned_in);
    const int has_range = options.float_low != 0 || options.float_high != 0;
    if (!isfinite(options.float_low) || !isfinite(options.float_high) ||
        (has_range && !(options.float_low < options.float_high)))
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: float_low %g is not below float_high %g",
                         options.float_low, options.float_high);
    *out = options;
    return SONO_STATUS_OK;
}

int64_t sono_source_left_out(const sono_source *source, const char **suffixes)
{
    const char *ignored = "";
    const int64_t n = source && source->ops->left_out ? source->ops->left_out(source, &ignored) : 0;
    if (suffixes)
        *suffixes = ignored;
    return n;
}

int64_t sono_source_count(const sono_source *source)
{
    return source ? source->ops->count(source) : -1;
}

static sono_status next_frame(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    sono_frame_init(frame);
    if (!source->at_end) {
        const sono_status status = source->ops->next(source, frame, name, error);
        if (status != SONO_STATUS_END)
            return status;
        source->at_end = 1;
    }
    sono_frame_init(frame);
    *name = NULL;
    return SONO_STATUS_END;
}

sono_status sono_source_next(sono_source *source, sono_image *image, sono_frame_info *info, const char **name,
                             sono_error *error)
{
    sono_frame frame;
    if (!source || !name)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source and name must not be NULL");
    SONO_TRY(sono_frame_read(image, info, &frame, error)); /* whether they can take one, before it is read */
    const sono_status status = next_frame(source, &frame, name, error);
    (void)sono_frame_write(&frame, image, info, NULL);
    return status;
}

sono_status sono_source_truth_sized(const sono_source *source, void *out, size_t truth_bytes,
                                    sono_error *error)
{
    sono_truth truth;
    if (!source || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source and truth must not be NULL");
    if (!source->ops->truth)
        return SONO_FAIL(error, UNSUPPORTED, "this source knows no truth");
    SONO_TRY(source->ops->truth(source, &truth, error));
    memset(out, 0, truth_bytes);
    memcpy(out, &truth, truth_bytes < sizeof truth ? truth_bytes : sizeof truth);
    return SONO_STATUS_OK;
}

const sono_sequence_info *sono_source_sequence(const sono_source *source)
{
    return source && source->ops->sequence ? source->ops->sequence(source) : NULL;
}

sono_status sono_source_samples(const sono_source *source, sono_samples *out, sono_error *error)
{
    if (!source || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source and samples must not be NULL");
    if (!source->ops->samples)
        return SONO_FAIL(error, UNSUPPORTED, "this source is no sequence");
    return source->ops->samples(source, out, error);
}

int32_t sono_source_field_count(const sono_source *source)
{
    return source && source->ops->field_count ? source->ops->field_count(source) : 0;
}

sono_status sono_source_field_at(const sono_source *source, int32_t number, sono_source_field *out,
                                 sono_error *error)
{
    if (!out || number < 0 || number >= sono_source_field_count(source))
        return SONO_FAIL(error, INVALID_ARGUMENT, "the frame has %d fields, none with number %d",
                         sono_source_field_count(source), number);
    source->ops->field_at(source, number, out);
    return SONO_STATUS_OK;
}

const char *sono_source_path(const sono_source *source, int64_t index)
{
    return source && index >= 0 && source->ops->path ? source->ops->path(source, index) : NULL;
}

void sono_source_close(sono_source *source)
{
    if (source)
        source->ops->close(source);
}

void sono_source_free_held(uint8_t **images, char **names, int32_t n_held)
{
    for (int32_t i = 0; i < n_held; i++) {
        if (images)
            sono_free(images[i]);
        if (names)
            sono_free(names[i]);
    }
    sono_free(images);
    sono_free(names);
}
