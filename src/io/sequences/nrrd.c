// SPDX-License-Identifier: Apache-2.0
/* NRRD's rows: NRRD0001 to NRRD0005, attached or detached, encodings raw and gzip. */
#include "io/sequences/layout.h"
#include "io/numbers.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define MAX_TYPE_NAMES 5

static const struct {
    sono_element element;
    const char *names[MAX_TYPE_NAMES];
} elements[] = {{SONO_ELEMENT_I8, {"signed char", "int8", "int8_t"}},
                {SONO_ELEMENT_U8, {"uchar", "unsigned char", "uint8", "uint8_t"}},
                {SONO_ELEMENT_I16, {"short", "short int", "signed short", "int16", "int16_t"}},
                {SONO_ELEMENT_U16, {"ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"}},
                {SONO_ELEMENT_I32, {"int", "signed int", "int32", "int32_t"}},
                {SONO_ELEMENT_U32, {"uint", "unsigned int", "uint32", "uint32_t"}},
                {SONO_ELEMENT_F32, {"float"}},
                {SONO_ELEMENT_F64, {"double"}}};

static const char *const component_kinds[] = {"vector",  "RGB-color", "3-color",  "RGBA-color", "4-color",
                                              "complex", "2-vector",  "3-vector", "4-vector"};

static const sono_sequence_row *find_either(const sono_sequence_header *header, const char *name,
                                            const char *other)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, name);
    return row ? row : sono_sequence_find_format(header, other);
}

static sono_status read_element(const sono_sequence_header *header, sono_sequence_layout *out,
                                sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, "type");
    if (!row)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "type", "");
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
        for (int k = 0; k < MAX_TYPE_NAMES && elements[i].names[k]; k++)
            if (!strcasecmp(sono_sequence_value(header, row), elements[i].names[k])) {
                out->element = elements[i].element;
                return SONO_STATUS_OK;
            }
    return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "type", "this type is not supported");
}

/* Whether the first axis counts components; the sequences of 3D Slicer itself have frames there, as a "list".
 */
static int has_components(const char *kinds)
{
    size_t n;
    const char *kind = kinds ? sono_sequence_word(kinds, 0, &n) : NULL;
    for (size_t i = 0; kind && i < sizeof component_kinds / sizeof component_kinds[0]; i++)
        if (n == strlen(component_kinds[i]) && !strncasecmp(kind, component_kinds[i], n))
            return 1;
    return 0;
}

/* *n_before: 1 when the first axis counts components, else 0. */
static sono_status read_axes(const sono_sequence_header *header, sono_sequence_layout *out, int *n_before,
                             sono_error *error)
{
    int64_t n_axes, sizes[SONO_SEQUENCE_MAX_AXES];
    const sono_sequence_row *dimension = sono_sequence_find_format(header, "dimension");
    const sono_sequence_row *row = sono_sequence_find_format(header, "sizes");
    const sono_sequence_row *kinds_row = sono_sequence_find_format(header, "kinds");
    const char *kinds = kinds_row ? sono_sequence_value(header, kinds_row) : NULL;
    if (!dimension || !row)
        return SONO_SEQUENCE_FAIL(header, NULL, error, FORMAT, dimension ? "sizes" : "dimension", "");
    if (sono_numbers_whole(sono_sequence_value(header, dimension), 1, 16, 1, &n_axes))
        return SONO_SEQUENCE_FAIL(header, dimension, error, FORMAT, "dimension", "not a number within 1..16");
    if (n_axes < 2 || n_axes > SONO_SEQUENCE_MAX_AXES)
        return SONO_SEQUENCE_FAIL(header, dimension, error, UNSUPPORTED, "dimension",
                                  "a sequence of 2D images has 2 to 5 dimensions");
    if (sono_numbers_whole(sono_sequence_value(header, row), 0, INT32_MAX, (int)n_axes, sizes))
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "sizes",
                                  "not as many whole numbers from 0 on as dimension says");
    *n_before = has_components(kinds);
    if (*n_before && (sizes[0] < 1 || sizes[0] > 4))
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, "sizes",
                                  "more than 4 components are not supported");
    out->components = *n_before ? (int32_t)sizes[0] : 1;
    return sono_sequence_take_axes(header, row, sizes + *n_before, (int)n_axes - *n_before, kinds, *n_before,
                                   out, error);
}

/* The length of the vector "(a,b,c)" at *text, which moves behind it; 0 for "none"; -1 = neither. */
static double vector_length(const char **text)
{
    char copy[128];
    double numbers[3];
    const char *begin = *text + strspn(*text, " \t");
    if (!strncmp(begin, "none", 4)) {
        *text = begin + 4;
        return 0;
    }
    const char *end = *begin == '(' ? strchr(begin, ')') : NULL;
    if (!end || (size_t)(end - begin) > sizeof copy)
        return -1;
    const size_t n = (size_t)(end - begin - 1);
    int n_numbers = 1;
    memcpy(copy, begin + 1, n);
    copy[n] = 0;
    for (char *letter = copy; *letter; letter++)
        if (*letter == ',') {
            *letter = ' ';
            n_numbers++;
        }
    if (n_numbers > 3 || sono_numbers_double(copy, n_numbers, numbers))
        return -1;
    double sum = 0;
    for (int i = 0; i < n_numbers; i++)
        sum += numbers[i] * numbers[i];
    *text = end + 1;
    return sqrt(sum);
}

/* A number at *text, which moves behind it; 0 for NaN, which says "none"; -1 = neither. */
static double plain_length(const char **text)
{
    char copy[64];
    double number;
    const char *begin = *text + strspn(*text, " \t");
    const size_t n = strcspn(begin, " \t");
    if (!n || n >= sizeof copy)
        return -1;
    memcpy(copy, begin, n);
    copy[n] = 0;
    *text = begin + n;
    if (!strcasecmp(copy, "nan"))
        return 0;
    return sono_numbers_double(copy, 1, &number) ? -1 : fabs(number);
}

/* Millimetres in word number `index` of quoted units; 0 for what is no length. No word, or an empty one: as
 * usual, millimetres. */
static double unit_mm(const char *units, int index)
{
    static const struct {
        const char *name;
        double mm;
    } known[] = {{"\"\"", 1},     {"\"mm\"", 1},     {"\"millimeter\"", 1},    {"\"cm\"", 10},
                 {"\"m\"", 1000}, {"\"um\"", 0.001}, {"\"\xc2\xb5m\"", 0.001}, {"\"micron\"", 0.001}};
    size_t n;
    const char *word = units ? sono_sequence_word(units, index, &n) : NULL;
    for (size_t i = 0; word && i < sizeof known / sizeof known[0]; i++)
        if (n == strlen(known[i].name) && !strncmp(word, known[i].name, n))
            return known[i].mm;
    return word ? 0 : 1;
}

static sono_status read_spacing(const sono_sequence_header *header, int n_before, sono_sequence_layout *out,
                                sono_error *error)
{
    const sono_sequence_row *said = sono_sequence_find_format(
        header, sono_sequence_find_format(header, "space directions") ? "space units" : "units");
    const char *units = said ? sono_sequence_value(header, said) : NULL;
    const sono_sequence_row *directions = sono_sequence_find_format(header, "space directions");
    const sono_sequence_row *row = directions ? directions : sono_sequence_find_format(header, "spacings");
    const char *text = row ? sono_sequence_value(header, row) : NULL;
    for (int axis = -n_before; text && axis < 2; axis++) {
        const double length = directions ? vector_length(&text) : plain_length(&text);
        if (!(length >= 0) || !isfinite(length))
            return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, sono_sequence_name(header, row),
                                      directions ? "not a vector \"(a,b)\" or \"none\" for each dimension"
                                                 : "not a number for each dimension");
        if (axis >= 0) /* directions are vectors of one space, whose units are taken to be the same */
            out->spacing_mm[axis] = length * unit_mm(units, directions ? 0 : n_before + axis);
    }
    return SONO_STATUS_OK;
}

static sono_status read_encoding(const sono_sequence_header *header, sono_sequence_layout *out,
                                 sono_error *error)
{
    const sono_sequence_row *row = sono_sequence_find_format(header, "encoding");
    const sono_sequence_row *endian = sono_sequence_find_format(header, "endian");
    if (!row)
        return SONO_SEQUENCE_FAIL(header, row, error, FORMAT, "encoding", "");
    const char *value = sono_sequence_value(header, row);
    out->is_compressed = !strcasecmp(value, "gzip") || !strcasecmp(value, "gz");
    if (!out->is_compressed && strcasecmp(value, "raw") != 0)
        return SONO_SEQUENCE_FAIL(
            header, row, error, UNSUPPORTED, "encoding",
            "only raw and gzip are supported: write the file with one of them (unu save -e gzip)");
    if (!endian && sono_sequence_element_bytes(out->element) > 1)
        return SONO_SEQUENCE_FAIL(header, endian, error, FORMAT, "endian", "");
    out->is_big_endian = endian && !strcasecmp(sono_sequence_value(header, endian), "big");
    if (endian && !out->is_big_endian && strcasecmp(sono_sequence_value(header, endian), "little") != 0)
        return SONO_SEQUENCE_FAIL(header, endian, error, FORMAT, "endian", "neither little nor big");
    return SONO_STATUS_OK;
}

static sono_status read_place(const sono_sequence_header *header, sono_sequence_layout *out,
                              sono_error *error)
{
    int64_t n_lines = 0;
    const sono_sequence_row *file = find_either(header, "data file", "datafile");
    const sono_sequence_row *lines = find_either(header, "line skip", "lineskip");
    const sono_sequence_row *bytes = find_either(header, "byte skip", "byteskip");
    const char *value = file ? sono_sequence_value(header, file) : NULL;
    if (value && (!*value || (!strncmp(value, "LIST", 4) && (!value[4] || value[4] == ' '))))
        return SONO_SEQUENCE_FAIL(header, file, error, UNSUPPORTED, "data file",
                                  "several files are not supported, one must be named");
    out->data_file = value;
    if (lines && (sono_numbers_whole(sono_sequence_value(header, lines), 0, 0, 1, &n_lines)))
        return SONO_SEQUENCE_FAIL(header, lines, error, UNSUPPORTED, "line skip", "only 0 is supported");
    if (bytes &&
        sono_numbers_whole(sono_sequence_value(header, bytes), -1, INT64_MAX / 2, 1, &out->skip_bytes))
        return SONO_SEQUENCE_FAIL(header, bytes, error, FORMAT, "byte skip", "not a whole number from -1 on");
    if (out->is_compressed && out->skip_bytes < 0)
        return SONO_SEQUENCE_FAIL(header, bytes, error, UNSUPPORTED, "byte skip", "-1 is for encoding raw");
    return SONO_STATUS_OK;
}

sono_status sono_sequence_read_nrrd(const sono_sequence_header *header, sono_sequence_layout *out,
                                    sono_error *error)
{
    int n_before = 0;
    SONO_TRY(read_element(header, out, error));
    SONO_TRY(read_encoding(header, out, error));
    SONO_TRY(read_axes(header, out, &n_before, error));
    SONO_TRY(read_spacing(header, n_before, out, error));
    return read_place(header, out, error);
}
