// SPDX-License-Identifier: Apache-2.0
#include "truth_line.h"

#include "json.h"

static void write_surface(FILE *stream, const float *rows_px, int32_t width_px)
{
    fputc('[', stream);
    for (int32_t x = 0; x < width_px; x++) {
        fputs(x ? "," : "", stream);
        if (rows_px[x] < 0)
            fputs("null", stream);
        else
            fprintf(stream, "%.2f", (double)rows_px[x]);
    }
    fputc(']', stream);
}

void truth_line_write(FILE *stream, const sono_frame_info *info, const char *name, const sono_truth *truth)
{
    fprintf(stream, "{\"frame_id\": %llu, \"name\": ", (unsigned long long)info->frame_id);
    json_string(stream, name);
    fprintf(stream, ", \"timestamp_ns\": %lld, \"spacing_mm\": %.9g, \"probe_mm\": %.9g",
            (long long)info->timestamp_ns, info->spacing_mm[1], info->image_to_reference[3]);
    fprintf(stream, ", \"event\": \"%s\", \"event_s\": %.6f", sono_phantom_event_name(truth->event),
            truth->event_s);
    fprintf(stream, ", \"is_visible\": %s, \"is_borderline\": %s, \"is_trustworthy\": %s",
            truth->is_visible ? "true" : "false", truth->is_borderline ? "true" : "false",
            truth->is_trustworthy ? "true" : "false");
    fprintf(stream, ", \"visible_share\": %.4f, \"stale_s\": %.6f, \"blur_px\": %.2f",
            (double)truth->visible_share, truth->stale_s, (double)truth->blur_px);
    fprintf(stream, ", \"region_px\": [%d, %d, %d, %d], \"surfaces_px\": [", truth->region_px[0],
            truth->region_px[1], truth->region_px[2], truth->region_px[3]);
    for (int32_t k = 0; k < truth->n_structures; k++) {
        fputs(k ? ", " : "", stream);
        write_surface(stream, truth->surface_px[k], truth->width_px);
    }
    fputs("]}\n", stream);
}
