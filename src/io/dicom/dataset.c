// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/dataset.h"

#include "io/numbers.h"

#include <stdio.h>
#include <string.h>

#define PREAMBLE_BYTES 128
#define MAX_TEXT_BYTES 64 /* of the texts that are read; UIDs are the longest */

#define TAG_SYNTAX        SONO_DICOM_TAG(0x0002, 0x0010)
#define TAG_CINE_RATE     SONO_DICOM_TAG(0x0018, 0x0040)
#define TAG_FRAME_TIME    SONO_DICOM_TAG(0x0018, 0x1063)
#define TAG_FRAME_TIMES   SONO_DICOM_TAG(0x0018, 0x1065)
#define TAG_REGIONS       SONO_DICOM_TAG(0x0018, 0x6011)
#define TAG_PHOTOMETRIC   SONO_DICOM_TAG(0x0028, 0x0004)
#define TAG_N_FRAMES      SONO_DICOM_TAG(0x0028, 0x0008)
#define TAG_PIXEL_SPACING SONO_DICOM_TAG(0x0028, 0x0030)
#define TAG_BURNED_IN     SONO_DICOM_TAG(0x0028, 0x0301)
#define TAG_PIXELS        SONO_DICOM_TAG(0x7fe0, 0x0010)

/* Numbers as the file has them; -1 = it does not say. */
typedef struct numbers {
    int32_t samples, planar, rows, columns, allocated, stored, high_bit, is_signed;
    char photometric[MAX_TEXT_BYTES + 1];
    int64_t cine_rate_us; /* the time of a frame by CineRate */
} numbers;

static const struct {
    uint32_t tag;
    size_t at;
} whole[] = {
    {SONO_DICOM_TAG(0x0028, 0x0002), offsetof(numbers, samples)},
    {SONO_DICOM_TAG(0x0028, 0x0006), offsetof(numbers, planar)},
    {SONO_DICOM_TAG(0x0028, 0x0010), offsetof(numbers, rows)},
    {SONO_DICOM_TAG(0x0028, 0x0011), offsetof(numbers, columns)},
    {SONO_DICOM_TAG(0x0028, 0x0100), offsetof(numbers, allocated)},
    {SONO_DICOM_TAG(0x0028, 0x0101), offsetof(numbers, stored)},
    {SONO_DICOM_TAG(0x0028, 0x0102), offsetof(numbers, high_bit)},
    {SONO_DICOM_TAG(0x0028, 0x0103), offsetof(numbers, is_signed)},
};

sono_status sono_dicom_read_u16(sono_dicom_file *file, const sono_dicom_element *element, int32_t *out,
                                sono_error *error)
{
    uint8_t bytes[2];
    if (element->n_bytes != sizeof bytes)
        return SONO_FAIL_AT(error, FORMAT, element->at,
                            "%s: DICOM element (%04X,%04X): %u bytes, where a number has 2", file->path,
                            element->tag >> 16, element->tag & 0xffff, element->n_bytes);
    SONO_TRY(sono_dicom_file_read(file, element->value_at, bytes, sizeof bytes, error));
    *out = (int32_t)sono_dicom_u16(bytes);
    return SONO_STATUS_OK;
}

/* Without the blanks and zero bytes around it; backslashes, between several values, become blanks. */
static sono_status read_text(sono_dicom_file *file, const sono_dicom_element *element,
                             char out[MAX_TEXT_BYTES + 1], sono_error *error)
{
    if (element->n_bytes > MAX_TEXT_BYTES)
        return SONO_FAIL_AT(error, FORMAT, element->at,
                            "%s: DICOM element (%04X,%04X): a text of %u bytes, at most %d make sense",
                            file->path, element->tag >> 16, element->tag & 0xffff, element->n_bytes,
                            MAX_TEXT_BYTES);
    size_t n = element->n_bytes, first = 0;
    SONO_TRY(sono_dicom_file_read(file, element->value_at, out, n, error));
    while (n && (out[n - 1] == ' ' || out[n - 1] == 0))
        n--;
    while (first < n && out[first] == ' ')
        first++;
    memmove(out, out + first, n - first);
    out[n - first] = 0;
    for (char *letter = out; *letter; letter++)
        *letter = *letter == '\\' ? ' ' : *letter;
    return SONO_STATUS_OK;
}

static sono_status fail_value(const sono_dicom_file *file, const sono_dicom_element *element,
                              const char *name, const char *text, const char *reason, sono_error *error)
{
    return SONO_FAIL_AT(error, FORMAT, element->at, "%s: %s is \"%s\": %s", file->path, name, text, reason);
}

/* Milliseconds, exact to the nanosecond. An empty text says nothing. */
static sono_status read_frame_time(sono_dicom_file *file, const sono_dicom_element *element, int64_t *out_ns,
                                   sono_error *error)
{
    char text[MAX_TEXT_BYTES + 1];
    int64_t thousandfold;
    SONO_TRY(read_text(file, element, text, error));
    if (!*text)
        return SONO_STATUS_OK;
    if (sono_numbers_ns(text, &thousandfold) || thousandfold < 0)
        return fail_value(file, element, "FrameTime", text, "no time in milliseconds", error);
    *out_ns = thousandfold / 1000;
    return SONO_STATUS_OK;
}

/* Frames a second. */
static sono_status read_cine_rate(sono_dicom_file *file, const sono_dicom_element *element, int64_t *out_us,
                                  sono_error *error)
{
    char text[MAX_TEXT_BYTES + 1];
    int64_t rate;
    SONO_TRY(read_text(file, element, text, error));
    if (*text && !sono_numbers_whole(text, 1, 1000000, 1, &rate))
        *out_us = 1000000 / rate;
    return SONO_STATUS_OK;
}

static sono_status read_n_frames(sono_dicom_file *file, const sono_dicom_element *element, int32_t *out,
                                 sono_error *error)
{
    char text[MAX_TEXT_BYTES + 1];
    int64_t n;
    SONO_TRY(read_text(file, element, text, error));
    if (sono_numbers_whole(text, 1, INT32_MAX, 1, &n))
        return fail_value(file, element, "NumberOfFrames", text, "no number of frames", error);
    *out = (int32_t)n;
    return SONO_STATUS_OK;
}

/* Rows first, then columns. */
static sono_status read_spacing(sono_dicom_file *file, const sono_dicom_element *element, double out_mm[2],
                                sono_error *error)
{
    char text[MAX_TEXT_BYTES + 1];
    double mm[2];
    SONO_TRY(read_text(file, element, text, error));
    if (!*text)
        return SONO_STATUS_OK;
    if (sono_numbers_double(text, 2, mm) || mm[0] <= 0 || mm[1] <= 0)
        return fail_value(file, element, "PixelSpacing", text, "not two distances in millimetres", error);
    out_mm[0] = mm[1];
    out_mm[1] = mm[0];
    return SONO_STATUS_OK;
}

static sono_status take(const sono_dicom_cursor *cursor, const sono_dicom_element *element, numbers *found,
                        sono_dicom_dataset *out, sono_error *error)
{
    sono_dicom_file *file = cursor->file;
    char text[MAX_TEXT_BYTES + 1];
    if (element->n_bytes == SONO_DICOM_UNDEFINED && element->tag != TAG_REGIONS)
        return SONO_STATUS_OK;
    switch (element->tag) {
    case TAG_CINE_RATE:
        return read_cine_rate(file, element, &found->cine_rate_us, error);
    case TAG_FRAME_TIME:
        return read_frame_time(file, element, &out->frame_time_ns, error);
    case TAG_FRAME_TIMES:
        out->times_at = element->value_at;
        out->times_bytes = element->n_bytes;
        return SONO_STATUS_OK;
    case TAG_REGIONS:
        return sono_dicom_read_regions(cursor, element, out, error);
    case TAG_PHOTOMETRIC:
        return read_text(file, element, found->photometric, error);
    case TAG_N_FRAMES:
        return read_n_frames(file, element, &out->n_frames, error);
    case TAG_PIXEL_SPACING:
        return read_spacing(file, element, out->spacing_mm, error);
    case TAG_BURNED_IN:
        SONO_TRY(read_text(file, element, text, error));
        out->says_burned_in = strcmp(text, "NO") != 0 && *text;
        return SONO_STATUS_OK;
    default:
        for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
            if (whole[i].tag == element->tag)
                return sono_dicom_read_u16(file, element, (int32_t *)(void *)((char *)found + whole[i].at),
                                           error);
        return SONO_STATUS_OK;
    }
}

/* Whether an element of group 2 is next. */
static int is_meta(const sono_dicom_cursor *cursor)
{
    const uint8_t *group;
    return sono_dicom_file_peek(cursor->file, cursor->at, 2, &group, NULL) == SONO_STATUS_OK &&
           sono_dicom_u16(group) == 2;
}

/* The group of elements in front of the others, in explicit VR whatever the syntax. */
static sono_status read_meta(sono_dicom_cursor *cursor, sono_dicom_dataset *out, sono_error *error)
{
    const uint8_t *magic;
    sono_dicom_element element;
    sono_dicom_file *file = cursor->file;
    char uid[MAX_TEXT_BYTES + 1] = "";
    if (file->n_bytes < PREAMBLE_BYTES + 4)
        return SONO_FAIL(error, FORMAT, "%s: no DICOM file: \"DICM\" is missing behind 128 bytes",
                         file->path);
    SONO_TRY(sono_dicom_file_peek(file, PREAMBLE_BYTES, 4, &magic, error));
    if (memcmp(magic, "DICM", 4) != 0)
        return SONO_FAIL(error, FORMAT, "%s: no DICOM file: \"DICM\" is missing behind 128 bytes",
                         file->path);
    for (cursor->at = PREAMBLE_BYTES + 4; is_meta(cursor);) {
        SONO_TRY(sono_dicom_next(cursor, &element, error));
        if (element.tag == TAG_SYNTAX)
            SONO_TRY(read_text(file, &element, uid, error));
        SONO_TRY(sono_dicom_skip(cursor, &element, error));
    }
    if (!*uid)
        return SONO_FAIL(error, FORMAT, "%s: TransferSyntaxUID (0002,0010) is missing", file->path);
    out->syntax = sono_dicom_find_syntax(uid);
    if (!out->syntax)
        return SONO_FAIL(error, UNSUPPORTED,
                         "%s: transfer syntax %s is not known here: unpack the file with `dcmconv +te` or "
                         "`gdcmconv --raw`",
                         file->path, uid);
    if (out->syntax->advice)
        return SONO_FAIL(error, UNSUPPORTED, "%s: transfer syntax %s (%s) is not read: %s", file->path,
                         out->syntax->name, uid, out->syntax->advice);
    return SONO_STATUS_OK;
}

static sono_status read_elements(sono_dicom_cursor *cursor, numbers *found, sono_dicom_dataset *out,
                                 sono_error *error)
{
    sono_dicom_element element;
    sono_status status;
    while ((status = sono_dicom_next(cursor, &element, error)) == SONO_STATUS_OK) {
        if (element.tag == TAG_PIXELS) {
            out->pixels_at = element.value_at;
            out->pixels_bytes = element.n_bytes;
            return SONO_STATUS_OK;
        }
        SONO_TRY(take(cursor, &element, found, out, error));
        SONO_TRY(sono_dicom_skip(cursor, &element, error));
    }
    if (status == SONO_STATUS_END)
        return SONO_FAIL(error, FORMAT, "%s: no pixels (7FE0,0010): the file holds no image",
                         cursor->file->path);
    return status;
}

static sono_status find_photometric(const sono_dicom_file *file, const char *name,
                                    sono_dicom_photometric *out, sono_error *error)
{
    static const char *const names[] = {[SONO_DICOM_MONOCHROME1] = "MONOCHROME1",
                                        [SONO_DICOM_MONOCHROME2] = "MONOCHROME2",
                                        [SONO_DICOM_RGB] = "RGB",
                                        [SONO_DICOM_YBR_FULL] = "YBR_FULL",
                                        [SONO_DICOM_YBR_FULL_422] = "YBR_FULL_422"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], name)) {
            *out = (sono_dicom_photometric)i;
            return SONO_STATUS_OK;
        }
    if (!*name)
        return SONO_FAIL(error, FORMAT, "%s: PhotometricInterpretation (0028,0004) is missing", file->path);
    return SONO_FAIL(error, UNSUPPORTED,
                     "%s: PhotometricInterpretation %s is not read: save it as RGB or MONOCHROME2",
                     file->path, name);
}

static sono_status check_depth(const sono_dicom_file *file, const numbers *n, const sono_dicom_dataset *out,
                               sono_error *error)
{
    if (n->is_signed == 1)
        return SONO_FAIL(error, UNSUPPORTED, "%s: signed pixels are not read: they are no ultrasound image",
                         file->path);
    if (out->bits_allocated != 8 && (out->bits_allocated != 16 || out->samples != 1))
        return SONO_FAIL(
            error, UNSUPPORTED,
            "%s: pixels of %d samples of %d bits are not read: grey of 8 or 16 and colour of 8 are",
            file->path, out->samples, out->bits_allocated);
    if (out->bits_stored < 8 || out->bits_stored > out->bits_allocated)
        return SONO_FAIL(error, UNSUPPORTED,
                         "%s: BitsStored is %d of %d: at least 8 and at most all are read", file->path,
                         out->bits_stored, out->bits_allocated);
    if (n->high_bit >= 0 && n->high_bit != out->bits_stored - 1)
        return SONO_FAIL(error, UNSUPPORTED, "%s: HighBit is %d: with %d bits stored only %d is read",
                         file->path, n->high_bit, out->bits_stored, out->bits_stored - 1);
    if (out->syntax->packing == SONO_DICOM_JPEG && out->bits_allocated != 8)
        return SONO_FAIL(error, UNSUPPORTED, "%s: JPEG of %d bits is not read: unpack it with `dcmdjpeg`",
                         file->path, out->bits_allocated);
    return SONO_STATUS_OK;
}

static sono_status settle(const sono_dicom_file *file, const numbers *n, sono_dicom_dataset *out,
                          sono_error *error)
{
    if (n->rows < 1 || n->columns < 1)
        return SONO_FAIL(error, FORMAT, "%s: Rows (0028,0010) or Columns (0028,0011) are missing or 0",
                         file->path);
    if (n->allocated < 0)
        return SONO_FAIL(error, FORMAT, "%s: BitsAllocated (0028,0100) is missing", file->path);
    SONO_TRY(find_photometric(file, n->photometric, &out->photometric, error));
    const int is_colour = out->photometric >= SONO_DICOM_RGB;
    out->samples = n->samples < 0 ? (is_colour ? 3 : 1) : n->samples;
    if (out->samples != (is_colour ? 3 : 1))
        return SONO_FAIL(error, FORMAT, "%s: SamplesPerPixel is %d, which %s does not go with", file->path,
                         out->samples, n->photometric);
    out->width_px = n->columns;
    out->height_px = n->rows;
    out->is_planar = is_colour && n->planar == 1;
    out->bits_allocated = n->allocated;
    out->bits_stored = n->stored < 0 ? n->allocated : n->stored;
    if (!out->frame_time_ns)
        out->frame_time_ns = n->cine_rate_us * 1000;
    sono_dicom_cut_regions(out);
    return check_depth(file, n, out, error);
}

sono_status sono_dicom_read_dataset(sono_dicom_file *file, sono_dicom_dataset *out, sono_error *error)
{
    sono_dicom_cursor cursor = {.file = file, .end = file->n_bytes};
    numbers found = {-1, -1, -1, -1, -1, -1, -1, -1, "", 0};
    *out = (sono_dicom_dataset){.n_frames = 1};
    SONO_TRY(read_meta(&cursor, out, error));
    cursor.is_implicit = out->syntax->is_implicit;
    SONO_TRY(read_elements(&cursor, &found, out, error));
    return settle(file, &found, out, error);
}
