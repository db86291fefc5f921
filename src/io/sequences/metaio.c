// SPDX-License-Identifier: Apache-2.0
/* MetaIO's rows, as ITK's MetaImage and IGSIO write them (SequenceIO/vtkIGSIOMetaImageSequenceIO.cxx @
 * 9caba694). */
#include "io/sequences/layout.h"
#include "io/numbers.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    sono_element element;
} elements[] = {{"MET_CHAR", SONO_ELEMENT_I8},   {"MET_UCHAR", SONO_ELEMENT_U8},
                {"MET_SHORT", SONO_ELEMENT_I16}, {"MET_USHORT", SONO_ELEMENT_U16},
                {"MET_INT", SONO_ELEMENT_I32},   {"MET_UINT", SONO_ELEMENT_U32},
                {"MET_LONG", SONO_ELEMENT_I32},  {"MET_ULONG", SONO_ELEMENT_U32},
                {"MET_FLOAT", SONO_ELEMENT_F32}, {"MET_DOUBLE", SONO_ELEMENT_F64}};

/* *out: `otherwise` without the row. */
static sono_status read_flag(const sono_sequence_header *header, const char *name, int otherwise, int *out,
                             sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, name);
    const char *value = row ? sono_sequence_value(header, row) : "";
    const int is_true = !strcasecmp(value, "True") || !strcmp(value, "1");
    if (row && !is_true && strcasecmp(value, "False") != 0 && strcmp(value, "0") != 0)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, name, "neither True nor False");
    *out = row ? is_true : otherwise;
    return SONO_STATUS_OK;
}

/* One whole number; *out is left alone without the row. */
static sono_status read_whole(const sono_sequence_header *header, const char *name, int64_t low, int64_t high,
                              int64_t *out, sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, name);
    if (row && sono_numbers_whole(sono_sequence_value(header, row), low, high, 1, out))
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, name, "not a whole number, or out of range");
    return SONO_STATUS_OK;
}

static sono_status read_element(const sono_sequence_header *header, sono_sequence_layout *out,
                                sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, "ElementType");
    if (!row)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "ElementType", "");
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
        if (!strcmp(sono_sequence_value(header, row), elements[i].name)) {
            out->element = elements[i].element;
            return SONO_STATUS_OK;
        }
    return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "ElementType", "this type is not supported");
}

static sono_status read_axes(const sono_sequence_header *header, sono_sequence_layout *out, sono_error *error)
{
    int64_t n_axes = 0, components = 1, sizes[SONO_SEQUENCE_MAX_AXES];
    const sono_sequence_row *row = sono_sequence_find_format(header, "NDims");
    const sono_sequence_row *kinds = sono_sequence_find_format(header, "Kinds");
    if (!row)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "NDims", "");
    SONO_TRY(read_whole(header, "NDims", 1, 100, &n_axes, error));
    if (n_axes < 2 || n_axes > 4)
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "NDims",
                                  "a sequence of 2D images has 2 to 4 dimensions");
    row = sono_sequence_find_format(header, "DimSize");
    if (!row)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "DimSize", "");
    if (sono_numbers_whole(sono_sequence_value(header, row), 0, INT32_MAX, (int)n_axes, sizes))
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "DimSize", "not NDims whole numbers from 0 on");
    SONO_TRY(sono_sequence_take_axes(header, row, sizes, (int)n_axes,
                                     kinds ? sono_sequence_value(header, kinds) : NULL, 0, out, error));
    row = sono_sequence_find_format(header, "ElementNumberOfChannels");
    SONO_TRY(read_whole(header, "ElementNumberOfChannels", 1, INT32_MAX, &components, error));
    if (components > 4)
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "ElementNumberOfChannels",
                                  "more than 4 are not supported");
    out->components = (int32_t)components;
    return SONO_STATUS_OK;
}

/* As many numbers as there are dimensions; the first two count. */
static sono_status read_spacing(const sono_sequence_header *header, sono_sequence_layout *out,
                                sono_error *error)
{
    double spacing[4];
    int64_t n_axes = 0;
    const sono_sequence_row *row = sono_sequence_find_format(header, "ElementSpacing");
    if (!row)
        row = sono_sequence_find_format(header, "ElementSize");
    if (!row)
        return SONO_STATUS_OK;
    SONO_TRY(read_whole(header, "NDims", 2, 4, &n_axes, error));
    if (sono_numbers_double(sono_sequence_value(header, row), (int)n_axes, spacing) || spacing[0] <= 0 ||
        spacing[1] <= 0)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, sono_sequence_name(header, row),
                                  "not NDims numbers above 0");
    out->spacing_mm[0] = spacing[0];
    out->spacing_mm[1] = spacing[1];
    return SONO_STATUS_OK;
}

static sono_status read_place(const sono_sequence_header *header, sono_sequence_layout *out,
                              sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, "ElementDataFile");
    const char *value = sono_sequence_value(header, row); /* the header ends with it */
    if (!*value)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "ElementDataFile", "no name");
    if (!strncmp(value, "LIST", 4) && (!value[4] || value[4] == ' '))
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "ElementDataFile",
                                  "one file for each slice is not supported");
    out->data_file = strcasecmp(value, "LOCAL") != 0 ? value : NULL;
    SONO_TRY(read_whole(header, "HeaderSize", -1, INT64_MAX / 2, &out->skip_bytes, error));
    SONO_TRY(read_whole(header, "CompressedDataSize", 0, INT64_MAX / 2, &out->stored_bytes, error));
    if (out->is_compressed && out->skip_bytes)
        return SONO_SEQUENCE_FAIL(header, sono_sequence_find_format(header, "HeaderSize"), error, UNSUPPORTED,
                                  "HeaderSize", "not supported with compressed pixels");
    if (!out->data_file && out->skip_bytes > 0)
        out->skip_bytes = 0; /* they are behind this header, whatever its size */
    return SONO_STATUS_OK;
}

sono_status sono_sequence_read_metaio(const sono_sequence_header *header, sono_sequence_layout *out,
                                      sono_error *error)
{
    int is_binary;
    const sono_sequence_row *type = sono_sequence_find_format(header, "ObjectType");
    if (type && strcasecmp(sono_sequence_value(header, type), "Image") != 0)
        return SONO_SEQUENCE_FAIL(header, type, error, UNSUPPORTED, "ObjectType", "only images are");
    SONO_TRY(read_flag(header, "BinaryData", 1, &is_binary, error));
    if (!is_binary)
        return SONO_SEQUENCE_FAIL(header, sono_sequence_find_format(header, "BinaryData"), error, UNSUPPORTED,
                                  "BinaryData", "pixels written as text are not supported");
    SONO_TRY(read_flag(header, "ElementByteOrderMSB", 0, &out->is_big_endian, error));
    SONO_TRY(read_flag(header, "BinaryDataByteOrderMSB", out->is_big_endian, &out->is_big_endian, error));
    SONO_TRY(read_flag(header, "CompressedData", 0, &out->is_compressed, error));
    SONO_TRY(read_element(header, out, error));
    SONO_TRY(read_axes(header, out, error));
    SONO_TRY(read_spacing(header, out, error));
    return read_place(header, out, error);
}
