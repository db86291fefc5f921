// SPDX-License-Identifier: Apache-2.0
/* Comma-separated values (RFC 4180, lines end with a newline alone): a row for each point of a surface. */
#include "io/export/export.h"

#include "io/folder/values.h"

#include <inttypes.h>

#define MM_DECIMALS 3
#define PX_DECIMALS 2

static sono_status csv_open(sono_export *self, sono_error *error)
{
    (void)error;
    sono_text_format(&self->text, "frame,time_s,line,point,%s\n",
                     self->options.in_mm ? "x_mm,y_mm" : "x_px,y_px");
    return SONO_STATUS_OK;
}

static sono_status csv_add(sono_export *self, const sono_export_frame *frame,
                           const sono_export_object *objects, int32_t n_objects,
                           const sono_export_surface *surface, sono_error *error)
{
    (void)objects;
    (void)n_objects;
    (void)error;
    sono_text *text = &self->text;
    const int n_decimals = self->options.in_mm ? MM_DECIMALS : PX_DECIMALS;
    for (int32_t k = 0; surface && k < surface->n_lines; k++)
        for (int32_t i = surface->line_starts[k]; i < surface->line_starts[k + 1]; i++) {
            sono_text_format(text, "%" PRIu64 ",", frame->info->frame_id);
            if (frame->info->timestamp_ns)
                sono_text_add_seconds(text, frame->info->timestamp_ns);
            sono_text_format(text, ",%d,%d,", k, i - surface->line_starts[k]);
            sono_text_add_fixed(text, surface->points[2 * i], n_decimals);
            sono_text_add(text, ",");
            sono_text_add_fixed(text, surface->points[2 * i + 1], n_decimals);
            sono_text_add(text, "\n");
        }
    return SONO_STATUS_OK;
}

const sono_export_ops sono_export_csv = {.open = csv_open, .add = csv_add};
