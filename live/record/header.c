// SPDX-License-Identifier: Apache-2.0
#include "record/header.h"

#include "record/fail.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define MAX_SIDE_PX 65535

/* Rows of the header that describe the file, and of a frame: nobody else may write them. */
static const char *const own_names[] = {"ObjectType",
                                        "NDims",
                                        "AnatomicalOrientation",
                                        "BinaryData",
                                        "BinaryDataByteOrderMSB",
                                        "CenterOfRotation",
                                        "CompressedData",
                                        "CompressedDataSize",
                                        "DimSize",
                                        "ElementByteOrderMSB",
                                        "ElementDataFile",
                                        "ElementMax",
                                        "ElementMin",
                                        "ElementNumberOfChannels",
                                        "ElementSize",
                                        "ElementSpacing",
                                        "ElementType",
                                        "HeaderSize",
                                        "ImagePositionPatient",
                                        "Kinds",
                                        "Modality",
                                        "Name",
                                        "ID",
                                        "ParentID",
                                        "Color",
                                        "Comment",
                                        "ObjectSubType",
                                        "TransformType",
                                        "Offset",
                                        "Origin",
                                        "Position",
                                        "Orientation",
                                        "Rotation",
                                        "SequenceID",
                                        "TransformMatrix",
                                        "UltrasoundImageOrientation",
                                        "UltrasoundImageType",
                                        "RecordedBy",
                                        "RecordingStartTime",
                                        "Timestamp",
                                        "UnfilteredTimestamp",
                                        "FrameNumber",
                                        "ImageStatus",
                                        "SourceTimestamp"};

static const struct {
    sono_element element;
    size_t n_bytes;
    const char *name;
} elements[] = {{SONO_ELEMENT_I8, 1, "MET_CHAR"},   {SONO_ELEMENT_U8, 1, "MET_UCHAR"},
                {SONO_ELEMENT_I16, 2, "MET_SHORT"}, {SONO_ELEMENT_U16, 2, "MET_USHORT"},
                {SONO_ELEMENT_I32, 4, "MET_INT"},   {SONO_ELEMENT_U32, 4, "MET_UINT"},
                {SONO_ELEMENT_F32, 4, "MET_FLOAT"}, {SONO_ELEMENT_F64, 8, "MET_DOUBLE"}};

size_t sono_record_element_bytes(sono_element element)
{
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
        if (elements[i].element == element)
            return elements[i].n_bytes;
    return 0;
}

const char *sono_record_element_name(sono_element element)
{
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
        if (elements[i].element == element)
            return elements[i].name;
    return "";
}

static int is_near(double left, double right)
{
    return fabs(left - right) <= 1e-4 * fmax(fabs(left), fabs(right));
}

int sono_record_shape_is_same(const sono_record_shape *left, const sono_record_shape *right)
{
    return left->width_px == right->width_px && left->height_px == right->height_px &&
           left->element == right->element && left->components == right->components &&
           is_near(left->spacing_mm[0], right->spacing_mm[0]) &&
           is_near(left->spacing_mm[1], right->spacing_mm[1]);
}

static int is_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

static int ends_with(const char *text, size_t n_text, const char *end)
{
    const size_t n = strlen(end);
    return n_text >= n && !strcasecmp(text + n_text - n, end);
}

int sono_record_name_is_valid(const char *name)
{
    if (!name || !is_letter(name[0]) || !strncasecmp(name, "Seq_Frame", 9))
        return 0;
    size_t n = 0;
    for (; name[n]; n++)
        if (n == SONO_RECORD_MAX_NAME_BYTES ||
            (!is_letter(name[n]) && !(name[n] >= '0' && name[n] <= '9') && !strchr("_-.", name[n])))
            return 0;
    for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++)
        if (!strcasecmp(name, own_names[i]))
            return 0;
    return !ends_with(name, n, "Transform") && !ends_with(name, n, "TransformStatus");
}

int sono_record_field_is_valid(const sono_record_field *field)
{
    char bytes[SONO_RECORD_MAX_VALUE_BYTES];
    sono_record_text text = {.bytes = bytes, .capacity_bytes = sizeof bytes};
    if (!field || !field->value || !sono_record_name_is_valid(field->name))
        return 0;
    sono_record_text_add_value(&text, field->value);
    return !text.is_full;
}

sono_status sono_record_fields_check(const sono_record_field *fields, int32_t n_fields, sono_error *error)
{
    if (n_fields < 0 || n_fields > SONO_RECORD_MAX_FIELDS || (n_fields && !fields))
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: %d fields, not within 0..%d", n_fields,
                           SONO_RECORD_MAX_FIELDS);
    for (int32_t i = 0; i < n_fields; i++)
        if (!sono_record_field_is_valid(&fields[i]))
            return RECORD_FAIL(
                error, INVALID_ARGUMENT,
                "recording: field \"%.80s\" has a name that cannot be used, or a value longer than %d "
                "bytes",
                fields[i].name ? fields[i].name : "", SONO_RECORD_MAX_VALUE_BYTES);
    return SONO_STATUS_OK;
}

static sono_status check_transforms(const sono_record_frame *frame, sono_error *error)
{
    if (frame->n_transforms < 0 || frame->n_transforms > SONO_RECORD_MAX_FIELDS ||
        (frame->n_transforms && !frame->transforms))
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: %d transforms, not within 0..%d",
                           frame->n_transforms, SONO_RECORD_MAX_FIELDS);
    for (int32_t i = 0; i < frame->n_transforms; i++)
        if (!sono_record_name_is_valid(frame->transforms[i].name))
            return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: a transform cannot be called \"%.80s\"",
                               frame->transforms[i].name ? frame->transforms[i].name : "");
    return SONO_STATUS_OK;
}

sono_status sono_record_frame_check(const sono_record_frame *frame, sono_error *error)
{
    const size_t element_bytes = sono_record_element_bytes(frame->element);
    if (frame->width_px < 1 || frame->width_px > MAX_SIDE_PX || frame->height_px < 1 ||
        frame->height_px > MAX_SIDE_PX)
        return RECORD_FAIL(error, INVALID_ARGUMENT,
                           "recording: frame of %d x %d, each within 1..%d is needed", frame->width_px,
                           frame->height_px, MAX_SIDE_PX);
    if (!element_bytes || frame->components < 1 || frame->components > 4)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: element type %d with %d components",
                           (int)frame->element, frame->components);
    const size_t row_bytes = (size_t)frame->width_px * (size_t)frame->components * element_bytes;
    if (frame->pixels && frame->pitch_bytes && frame->pitch_bytes < row_bytes)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: pitch of %zu bytes, a row has %zu",
                           frame->pitch_bytes, row_bytes);
    for (int axis = 0; axis < 2; axis++)
        if (!isfinite(frame->spacing_mm[axis]) || frame->spacing_mm[axis] < 0)
            return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: spacing of %g mm",
                               frame->spacing_mm[axis]);
    RECORD_TRY(check_transforms(frame, error));
    return sono_record_fields_check(frame->fields, frame->n_fields, error);
}

static const char *orientation_name(sono_orientation orientation)
{
    switch (orientation) {
    case SONO_ORIENTATION_MN:
        return "MNA";
    case SONO_ORIENTATION_UF:
        return "UFA";
    case SONO_ORIENTATION_UN:
        return "UNA";
    default:
        return "MFA";
    }
}

static void write_field(sono_record_text *text, const sono_record_field *field)
{
    sono_record_text_add(text, "%s = ", field->name);
    sono_record_text_add_value(text, field->value);
    sono_record_text_add(text, "\n");
}

void sono_record_write_head(sono_record_text *text, const sono_record_shape *shape, int64_t n_frames,
                            int64_t start_ns, const sono_record_options *options)
{
    const int is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    sono_record_text_add(text,
                         "ObjectType = Image\nNDims = 3\nAnatomicalOrientation = RAI\nBinaryData = True\n"
                         "BinaryDataByteOrderMSB = %s\nCenterOfRotation = 0 0 0\nCompressedData = False\n",
                         is_big_endian ? "True" : "False");
    sono_record_text_add(text, "DimSize = %d %d %" PRId64 "\nElementNumberOfChannels = %d\nElementSpacing = ",
                         shape->width_px, shape->height_px, n_frames, shape->components);
    for (int axis = 0; axis < 2; axis++) {
        sono_record_text_add_double(text, shape->spacing_mm[axis] > 0 ? shape->spacing_mm[axis] : 1);
        sono_record_text_add(text, " ");
    }
    sono_record_text_add(text,
                         "1\nElementType = %s\nKinds = domain domain list\nOffset = 0 0 0\n"
                         "TransformMatrix = 1 0 0 0 1 0 0 0 1\nUltrasoundImageOrientation = %s\n"
                         "UltrasoundImageType = %s\nRecordedBy = sonoseg %s\nRecordingStartTime = ",
                         sono_record_element_name(shape->element), orientation_name(options->orientation),
                         shape->components >= 3 ? "RGB_COLOR" : "BRIGHTNESS", sono_version());
    sono_record_text_add_seconds(text, start_ns);
    sono_record_text_add(text, "\n");
    for (int32_t i = 0; i < options->n_fields; i++)
        write_field(text, &options->fields[i]);
}

/* What is not a number is no pose. */
static void write_transform(sono_record_text *text, const sono_record_transform *transform, int64_t index)
{
    int is_finite = 1;
    for (int i = 0; i < 16; i++)
        is_finite = is_finite && isfinite(transform->matrix[i]);
    sono_record_text_add(text, "Seq_Frame%04" PRId64 "_%sTransform =", index, transform->name);
    for (int i = 0; i < 16; i++) {
        sono_record_text_add(text, " ");
        sono_record_text_add_float(text, is_finite ? transform->matrix[i] : (float)(i % 5 == 0));
    }
    sono_record_text_add(text, "\nSeq_Frame%04" PRId64 "_%sTransformStatus = %s\n", index, transform->name,
                         transform->is_valid && is_finite ? "OK" : "INVALID");
}

static void write_time(sono_record_text *text, const char *name, int64_t index, int64_t ns)
{
    sono_record_text_add(text, "Seq_Frame%04" PRId64 "_%s = ", index, name);
    sono_record_text_add_seconds(text, ns);
    sono_record_text_add(text, "\n");
}

void sono_record_write_frame(sono_record_text *text, const sono_record_frame *frame, int64_t index,
                             int64_t start_ns)
{
    for (int32_t i = 0; i < frame->n_transforms; i++)
        write_transform(text, &frame->transforms[i], index);
    const int64_t unfiltered_ns = frame->unfiltered_ns ? frame->unfiltered_ns : frame->timestamp_ns;
    if (frame->timestamp_ns)
        write_time(text, "Timestamp", index, frame->timestamp_ns - start_ns);
    if (unfiltered_ns)
        write_time(text, "UnfilteredTimestamp", index, unfiltered_ns - start_ns);
    sono_record_text_add(text, "Seq_Frame%04" PRId64 "_FrameNumber = %" PRIu64 "\n", index, frame->id);
    if (frame->raw_timestamp)
        sono_record_text_add(text, "Seq_Frame%04" PRId64 "_SourceTimestamp = %016" PRIx64 "\n", index,
                             frame->raw_timestamp);
    for (int32_t i = 0; i < frame->n_fields; i++) {
        sono_record_text_add(text, "Seq_Frame%04" PRId64 "_", index);
        write_field(text, &frame->fields[i]);
    }
    sono_record_text_add(text, "Seq_Frame%04" PRId64 "_ImageStatus = %s\n", index,
                         frame->pixels ? "OK" : "INVALID");
}
