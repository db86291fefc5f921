// SPDX-License-Identifier: Apache-2.0
#include "io/sink.h"

#include <string.h>

void sono_sink_options_init(sono_sink_options *options)
{
    *options = (sono_sink_options){
        .struct_size = sizeof *options,
        .write_masks = 1,
        .write_overlays = 1,
        .write_weights = 0,
        .gray16_white = 65535,
    };
}

sono_status sono_sink_options_read(const sono_sink_options *given, sono_sink_options *out, sono_error *error)
{
    sono_sink_options options;
    sono_sink_options_init(&options);
    if (given) {
        if (given->struct_size < sizeof given->struct_size || given->struct_size > sizeof options)
            return SONO_FAIL(error, INVALID_ARGUMENT, "sink options: not set up by sono_sink_options_init()");
        memcpy(&options, given, given->struct_size);
    }
    if (options.gray16_white < 1 || options.gray16_white > 65535)
        return SONO_FAIL(error, INVALID_ARGUMENT, "sink options: gray16_white is %d, not within 1..65535",
                         options.gray16_white);
    *out = options;
    return SONO_STATUS_OK;
}

sono_status sono_sink_write(sono_sink *sink, const sono_packet *packet, const sono_frame *frame,
                            const char *source, sono_error *error)
{
    if (!sink || !packet || !source)
        return SONO_FAIL(error, INVALID_ARGUMENT, "sink, packet and source must not be NULL");
    return sink->ops->write(sink, packet, frame, source, error);
}

sono_status sono_sink_close(sono_sink *sink, sono_error *error)
{
    return sink ? sink->ops->close(sink, error) : SONO_STATUS_OK;
}
