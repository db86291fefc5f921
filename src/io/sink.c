// SPDX-License-Identifier: Apache-2.0
#include "io/sink.h"

#include "base/frame.h"
#include "base/sized.h"

static const sono_sink_options sink_defaults = {
    .struct_size = sizeof sink_defaults,
    .write_masks = 1,
    .write_overlays = 1,
    .gray16_white = 65535,
};

void sono_sink_options_init_sized(void *options, size_t struct_size)
{
    sono_sized_init(options, struct_size, &sink_defaults, sizeof sink_defaults);
}

sono_status sono_sink_options_read(const sono_sink_options *given, sono_sink_options *out, sono_error *error)
{
    sono_sink_options options = sink_defaults;
    if (given)
        SONO_TRY(sono_sized_read(given, sizeof given->struct_size, &options, sizeof options,
                                 "sono_sink_options", error));
    if (options.gray16_white < 1 || options.gray16_white > 65535)
        return SONO_FAIL(error, INVALID_ARGUMENT, "sink options: gray16_white is %d, not within 1..65535",
                         options.gray16_white);
    *out = options;
    return SONO_STATUS_OK;
}

sono_status sono_sink_write(sono_sink *sink, const sono_packet *packet, const sono_image *image,
                            const char *source, sono_error *error)
{
    if (!sink || !packet || !source)
        return SONO_FAIL(error, INVALID_ARGUMENT, "sink, packet and source must not be NULL");
    sono_frame frame;
    if (image)
        SONO_TRY(sono_frame_read(image, NULL, &frame, error));
    return sink->ops->write(sink, packet, image ? &frame.image : NULL, source, error);
}

sono_status sono_sink_close(sono_sink *sink, sono_error *error)
{
    return sink ? sink->ops->close(sink, error) : SONO_STATUS_OK;
}
