// SPDX-License-Identifier: Apache-2.0
/*
 * NRRD (teem's definition of the format, NRRD0005): a text, an empty line, the pixels as gzip. What is known
 * of each frame is in key/value lines as 3D Slicer's and PLUS's sequences have them (Seq_Frame0000_...).
 */
#include "io/export/export.h"

#include "io/folder/names.h"
#include "io/folder/values.h"

#include <inttypes.h>

#define MAX_HEADER_BYTES ((int64_t)128 << 20) /* what our own reader takes */

/* A spacing, which "nan" leaves open. */
static void add_spacing(sono_text *text, double value)
{
    sono_text_add(text, " ");
    if (value > 0)
        sono_text_add_double(text, value);
    else
        sono_text_add(text, "nan");
}

static sono_status nrrd_open(sono_export *self, sono_error *error)
{
    (void)error;
    sono_text *text = &self->text;
    const sono_export_options *options = &self->options;
    const int has_spacing = options->spacing_mm[0] > 0 && options->spacing_mm[1] > 0;
    sono_text_format(text,
                     "NRRD0005\n# labels by sonoseg %s: 0 = nothing, 1 = the first object, ...\n"
                     "type: uint8\ndimension: 3\nsizes: %d %d %" PRId64 "\nkinds: domain domain time\n",
                     sono_version(), options->width_px, options->height_px, options->n_frames);
    sono_text_add(text, "spacings:");
    add_spacing(text, has_spacing ? options->spacing_mm[0] : 0);
    add_spacing(text, has_spacing ? options->spacing_mm[1] : 0);
    add_spacing(text, options->interval_s);
    sono_text_format(text, "\nunits: %s %s\nencoding: gzip\n", has_spacing ? "\"mm\" \"mm\"" : "\"\" \"\"",
                     options->interval_s > 0 ? "\"s\"" : "\"\"");
    return SONO_STATUS_OK;
}

static void add_key(sono_export *self, const char *key)
{
    sono_text_format(&self->text, "Seq_Frame%04" PRId64 "_%s:=", self->n_described, key);
}

static void add_pose(sono_export *self, const float pose[12])
{
    add_key(self, "ImageToReferenceTransform");
    for (int i = 0; i < 12; i++) {
        sono_text_add_float(&self->text, pose[i]);
        sono_text_add(&self->text, " ");
    }
    sono_text_add(&self->text, "0 0 0 1\n");
    add_key(self, "ImageToReferenceTransformStatus");
    sono_text_add(&self->text, "OK\n");
}

static sono_status nrrd_describe(sono_export *self, const sono_export_frame *frame, sono_error *error)
{
    sono_text *text = &self->text;
    const sono_frame_info *info = frame->info;
    if (ftello(self->part.stream) > MAX_HEADER_BYTES)
        return SONO_FAIL(error, LIMIT,
                         "%s: what is known of %lld frames is more than the %lld MiB that a header may have: "
                         "export fewer frames at once",
                         self->path, (long long)self->options.n_frames, (long long)(MAX_HEADER_BYTES >> 20));
    add_key(self, "FrameNumber");
    sono_text_format(text, "%" PRIu64 "\n", info->frame_id);
    if (info->timestamp_ns) {
        add_key(self, "Timestamp");
        sono_text_add_seconds(text, info->timestamp_ns);
        sono_text_add(text, "\n");
    }
    if (info->has_pose)
        add_pose(self, info->image_to_reference);
    add_key(self, "State");
    sono_text_format(text, "%s\n", sono_state_name(frame->state));
    add_key(self, "Source");
    for (const char *name = frame->name; *name;) {
        char unit[SONO_NAME_UNIT_BYTES];
        size_t n_unit = 0;
        name += sono_name_unit(name, unit, &n_unit);
        if (unit[0] == '\\') /* begins an escape in a value */
            sono_text_add(text, "\\");
        sono_text_add_bytes(text, unit, n_unit);
    }
    sono_text_add(text, "\n");
    return SONO_STATUS_OK;
}

static sono_status nrrd_described(sono_export *self, sono_error *error)
{
    SONO_TRY(sono_export_write(self, "\n", 1, error));
    if (sono_gzip_open(&self->gzip, self->part.stream))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    return SONO_STATUS_OK;
}

const sono_export_ops sono_export_nrrd = {
    .is_stack = 1,
    .open = nrrd_open,
    .describe = nrrd_describe,
    .described = nrrd_described,
    .add = sono_export_add_labels,
};
