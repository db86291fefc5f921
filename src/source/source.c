// SPDX-License-Identifier: Apache-2.0
#include "source/source.h"

#include <string.h>

#define MAX_HELD 16

void sono_source_options_init(sono_source_options *options)
{
    *options = (sono_source_options){
        .struct_size = sizeof *options,
        .keep_colour = 0,
        .max_pixels = (int64_t)1920 * 1200 * 4,
        .n_held = 1,
    };
}

sono_status sono_source_options_read(const sono_source_options *given, sono_source_options *out,
                                     sono_error *error)
{
    sono_source_options options;
    sono_source_options_init(&options);
    if (given) {
        if (given->struct_size < sizeof given->struct_size || given->struct_size > sizeof options)
            return SONO_FAIL(error, INVALID_ARGUMENT,
                             "source options: not set up by sono_source_options_init()");
        memcpy(&options, given, given->struct_size);
    }
    if (options.max_pixels < 1)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: max_pixels is %lld, at least 1 is needed",
                         (long long)options.max_pixels);
    if (options.n_held < 1 || options.n_held > MAX_HELD)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source options: n_held is %d, not within 1..%d",
                         options.n_held, MAX_HELD);
    *out = options;
    return SONO_STATUS_OK;
}

int64_t sono_source_count(const sono_source *source)
{
    return source ? source->ops->count(source) : -1;
}

sono_status sono_source_next(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    if (!source || !frame || !name)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source, frame and name must not be NULL");
    if (!source->at_end) {
        const sono_status status = source->ops->next(source, frame, name, error);
        if (status != SONO_STATUS_END)
            return status;
        source->at_end = 1;
    }
    *frame = (sono_frame){0};
    *name = NULL;
    return SONO_STATUS_END;
}

sono_status sono_source_truth(const sono_source *source, sono_truth *out, sono_error *error)
{
    if (!source || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "source and truth must not be NULL");
    if (!source->ops->truth)
        return SONO_FAIL(error, UNSUPPORTED, "this source knows no truth");
    return source->ops->truth(source, out, error);
}

void sono_source_close(sono_source *source)
{
    if (source)
        source->ops->close(source);
}
