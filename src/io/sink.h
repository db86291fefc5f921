// SPDX-License-Identifier: Apache-2.0
/*
 * What every sink is behind sono_sink: a table of two calls. An implementation embeds sono_sink as its first
 * member, fills in `ops` at open, and gets that pointer back. One thread at a time.
 */
#ifndef SONO_IO_SINK_H
#define SONO_IO_SINK_H

#include "base/status.h"
#include "sonoseg/io.h"

typedef struct sono_sink_ops {
    sono_status (*write)(sono_sink *sink, const sono_packet *packet, const sono_image *image,
                         const char *source, sono_error *error);
    sono_status (*close)(sono_sink *sink, sono_error *error); /* frees the sink itself, also on failure */
} sono_sink_ops;

struct sono_sink {
    const sono_sink_ops *ops;
};

/* Copies caller options over the defaults as far as struct_size says they reach; NULL = defaults.
 * Errors: INVALID_ARGUMENT (a field outside its range). */
sono_status sono_sink_options_read(const sono_sink_options *given, sono_sink_options *out, sono_error *error);

#endif
