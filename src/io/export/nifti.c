// SPDX-License-Identifier: Apache-2.0
/*
 * NIfTI-1 (.nii.gz): a header of 348 bytes, one extension, the labels, little endian. The header's fields and
 * where they stand: nifti1.h of the NIfTI data format working group. Frames are the fourth dimension, time.
 * The header has one place for all frames, so what is known of each (id, time, name, state, pose) is in the
 * extension, a comment (code 6) of JSON text.
 *
 * x and y count to the left and to the back, as in our NRRD and in DICOM: both files lie on each other.
 */
#include "io/export/export.h"

#include "io/folder/values.h"

#include <inttypes.h>
#include <string.h>

#define HEADER_BYTES    348
#define EXTENSION_AT    352
#define EXTENSION_HEAD  8
#define EXTENSION_UNIT  16 /* an extension's size is a multiple of it */
#define CODE_COMMENT    6
#define INTENT_LABEL    1002
#define TYPE_UINT8      2
#define UNITS_MM        2
#define UNITS_S         8
#define COORDS_OF_IMAGE 2 /* "aligned": with the image that was analysed */
#define MAX_EXTENSION                                                                                        \
    ((size_t)1 << 27) /* vox_offset is a float, which has each multiple of 16 up to 2^28                     \
                       */

static void put_i16(uint8_t *at, int32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void put_f32(uint8_t *at, double value)
{
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_u32(at, bits);
}

static void put_place(uint8_t *header, const double size_mm[3])
{
    put_i16(header + 252, COORDS_OF_IMAGE); /* qform_code */
    put_i16(header + 254, COORDS_OF_IMAGE); /* sform_code */
    put_f32(header + 264, 1);               /* quatern_d: half a turn about z */
    put_f32(header + 280, -size_mm[0]);     /* srow_x[0] */
    put_f32(header + 300, -size_mm[1]);     /* srow_y[1] */
    put_f32(header + 320, size_mm[2]);      /* srow_z[2] */
}

static void put_header(const sono_export *self, size_t extension_bytes, uint8_t header[EXTENSION_AT])
{
    const sono_export_options *options = &self->options;
    const int has_spacing = options->spacing_mm[0] > 0 && options->spacing_mm[1] > 0;
    const double size_mm[3] = {has_spacing ? options->spacing_mm[0] : 1,
                               has_spacing ? options->spacing_mm[1] : 1, 1};
    const int32_t dimensions[8] = {
        4, options->width_px, options->height_px, 1, (int32_t)options->n_frames, 1, 1, 1};
    memset(header, 0, EXTENSION_AT);
    put_u32(header, HEADER_BYTES);
    header[38] = 'r';
    for (int i = 0; i < 8; i++)
        put_i16(header + 40 + 2 * i, dimensions[i]);
    put_i16(header + 68, INTENT_LABEL);
    put_i16(header + 70, TYPE_UINT8);
    put_i16(header + 72, 8); /* bitpix */
    put_f32(header + 76, 1); /* pixdim[0] */
    for (int i = 0; i < 3; i++)
        put_f32(header + 80 + 4 * i, size_mm[i]);
    put_f32(header + 92, options->interval_s > 0 ? options->interval_s : 1);
    put_f32(header + 108, (double)(EXTENSION_AT + extension_bytes)); /* vox_offset */
    put_f32(header + 112, 1);                                        /* scl_slope */
    header[123] =
        (uint8_t)((has_spacing ? UNITS_MM : 0) | (options->interval_s > 0 ? UNITS_S : 0)); /* xyzt_units */
    snprintf((char *)header + 148, 80, "labels by sonoseg %s%s", sono_version(),
             has_spacing ? "" : "; spacing unknown");
    put_place(header, size_mm);
    memcpy(header + 344, "n+1", 4);
    header[348] = 1; /* extensions follow */
}

static sono_status nifti_open(sono_export *self, sono_error *error)
{
    const sono_export_options *options = &self->options;
    if (options->n_frames > SONO_EXPORT_NIFTI_MOST || options->width_px > SONO_EXPORT_NIFTI_MOST ||
        options->height_px > SONO_EXPORT_NIFTI_MOST)
        return SONO_FAIL(error, LIMIT,
                         "%s: %d x %d pixels in %lld frames, NIfTI-1 holds %d of each: take NRRD", self->path,
                         options->width_px, options->height_px, (long long)options->n_frames,
                         SONO_EXPORT_NIFTI_MOST);
    sono_text_format(&self->kept, "{\"schema\": 1, \"by\": \"sonoseg %s\", \"frames\": [", sono_version());
    return SONO_STATUS_OK;
}

static sono_status nifti_describe(sono_export *self, const sono_export_frame *frame, sono_error *error)
{
    sono_text *text = &self->kept;
    const sono_frame_info *info = frame->info;
    sono_text_format(text, "%s{\"frame_id\": %" PRIu64 ", \"name\": ", self->n_described ? ",\n" : "\n",
                     info->frame_id);
    sono_text_add_name(text, frame->name);
    sono_text_format(text, ", \"state\": \"%s\"", sono_state_name(frame->state));
    if (info->timestamp_ns) {
        sono_text_add(text, ", \"timestamp_s\": ");
        sono_text_add_seconds(text, info->timestamp_ns);
    }
    for (int i = 0; info->has_pose && i < 12; i++) {
        sono_text_add(text, i ? ", " : ", \"image_to_reference\": [");
        sono_text_add_float(text, info->image_to_reference[i]);
        sono_text_add(text, i == 11 ? "]" : "");
    }
    sono_text_add(text, "}");
    if (text->n_bytes > MAX_EXTENSION - 1024)
        return SONO_FAIL(error, LIMIT,
                         "%s: what is known of %lld frames is more than a NIfTI-1 header can point behind: "
                         "take NRRD",
                         self->path, (long long)self->options.n_frames);
    return SONO_STATUS_OK;
}

static sono_status nifti_described(sono_export *self, sono_error *error)
{
    uint8_t header[EXTENSION_AT], head[EXTENSION_HEAD];
    static const uint8_t nothing[EXTENSION_UNIT] = {0};
    sono_text_add(&self->kept, "\n]}\n");
    if (self->kept.is_short)
        return SONO_STATUS_OK; /* the caller says so */
    const size_t n = EXTENSION_HEAD + self->kept.n_bytes;
    const size_t n_padding = (EXTENSION_UNIT - n % EXTENSION_UNIT) % EXTENSION_UNIT;
    put_header(self, n + n_padding, header);
    put_u32(head, (uint32_t)(n + n_padding));
    put_u32(head + 4, CODE_COMMENT);
    if (sono_gzip_open(&self->gzip, self->part.stream))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    SONO_TRY(sono_export_write(self, header, sizeof header, error));
    SONO_TRY(sono_export_write(self, head, sizeof head, error));
    SONO_TRY(sono_export_write(self, self->kept.bytes, self->kept.n_bytes, error));
    return sono_export_write(self, nothing, n_padding, error);
}

const sono_export_ops sono_export_nifti = {
    .is_stack = 1,
    .open = nifti_open,
    .describe = nifti_describe,
    .described = nifti_described,
    .add = sono_export_add_labels,
};
