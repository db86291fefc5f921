// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/element.h"

#include <string.h>

#define MAX_DEPTH  16
#define HEAD_BYTES 8
#define LONG_BYTES 12

#define TAG_ITEM         SONO_DICOM_TAG(0xfffe, 0xe000)
#define TAG_END_ITEM     SONO_DICOM_TAG(0xfffe, 0xe00d)
#define TAG_END_SEQUENCE SONO_DICOM_TAG(0xfffe, 0xe0dd)

/* Types whose length has four bytes, behind two that are reserved (PS3.5, 7.1.2). */
static int has_long_length(const char *vr)
{
    static const char types[] = "OB OD OF OL OV OW SQ SV UC UN UR UT UV ";
    for (const char *type = types; *type; type += 3)
        if (!memcmp(type, vr, 2))
            return 1;
    return 0;
}

static uint32_t tag_at(const uint8_t *bytes)
{
    return SONO_DICOM_TAG(sono_dicom_u16(bytes), sono_dicom_u16(bytes + 2));
}

static sono_status fail_tag(const sono_dicom_cursor *cursor, uint32_t tag, const char *reason,
                            sono_error *error)
{
    return SONO_FAIL_AT(error, FORMAT, cursor->at, "%s: DICOM element (%04X,%04X): %s", cursor->file->path,
                        tag >> 16, tag & 0xffff, reason);
}

static int is_delimiter(uint32_t tag)
{
    return tag == TAG_ITEM || tag == TAG_END_ITEM || tag == TAG_END_SEQUENCE;
}

/* Bytes of the head at `bytes`; 0 = there is no type. */
static size_t read_head(const sono_dicom_cursor *cursor, const uint8_t *bytes, size_t n_bytes,
                        sono_dicom_element *out)
{
    out->tag = tag_at(bytes);
    out->vr[0] = out->vr[1] = out->vr[2] = 0;
    if (cursor->is_implicit || is_delimiter(out->tag)) {
        out->n_bytes = sono_dicom_u32(bytes + 4);
        return HEAD_BYTES;
    }
    for (int i = 0; i < 2; i++)
        if (bytes[4 + i] < 'A' || bytes[4 + i] > 'Z')
            return 0;
    memcpy(out->vr, bytes + 4, 2);
    if (!has_long_length(out->vr)) {
        out->n_bytes = sono_dicom_u16(bytes + 6);
        return HEAD_BYTES;
    }
    if (n_bytes < LONG_BYTES)
        return n_bytes + 1;
    out->n_bytes = sono_dicom_u32(bytes + 8);
    return LONG_BYTES;
}

sono_status sono_dicom_next(sono_dicom_cursor *cursor, sono_dicom_element *out, sono_error *error)
{
    const uint8_t *bytes;
    const uint64_t n_left = cursor->end - cursor->at;
    if (!n_left)
        return SONO_STATUS_END;
    const size_t n_bytes = n_left < LONG_BYTES ? (size_t)n_left : LONG_BYTES;
    if (n_bytes < HEAD_BYTES)
        return SONO_FAIL_AT(error, FORMAT, cursor->at, "%s: the DICOM file is cut short", cursor->file->path);
    SONO_TRY(sono_dicom_file_peek(cursor->file, cursor->at, n_bytes, &bytes, error));
    const size_t n_head = read_head(cursor, bytes, n_bytes, out);
    if (!n_head)
        return fail_tag(cursor, out->tag, "no type (VR) of two letters: the file is damaged", error);
    if (n_head > n_left || (out->n_bytes != SONO_DICOM_UNDEFINED && out->n_bytes > n_left - n_head))
        return fail_tag(cursor, out->tag, "cut short: its value ends beyond what holds it", error);
    out->at = cursor->at;
    cursor->at += n_head;
    out->value_at = cursor->at;
    return SONO_STATUS_OK;
}

sono_status sono_dicom_next_item(sono_dicom_cursor *cursor, uint32_t *n_bytes, sono_error *error)
{
    const uint8_t *bytes;
    if (cursor->at == cursor->end)
        return SONO_STATUS_END;
    if (cursor->end - cursor->at < HEAD_BYTES)
        return SONO_FAIL_AT(error, FORMAT, cursor->at, "%s: the DICOM file is cut short within a sequence",
                            cursor->file->path);
    SONO_TRY(sono_dicom_file_peek(cursor->file, cursor->at, HEAD_BYTES, &bytes, error));
    const uint32_t tag = tag_at(bytes), length = sono_dicom_u32(bytes + 4);
    if (tag == TAG_END_SEQUENCE) {
        cursor->at += HEAD_BYTES;
        return SONO_STATUS_END;
    }
    if (tag != TAG_ITEM)
        return fail_tag(cursor, tag, "an item of a sequence was expected", error);
    if (length != SONO_DICOM_UNDEFINED && length > cursor->end - cursor->at - HEAD_BYTES)
        return fail_tag(cursor, tag, "cut short: the item ends beyond its sequence", error);
    cursor->at += HEAD_BYTES;
    *n_bytes = length;
    return SONO_STATUS_OK;
}

static sono_status skip_value(sono_dicom_cursor *cursor, const sono_dicom_element *element, int depth,
                              sono_error *error);

/* Moves behind the delimiter of an item of undefined length. */
static sono_status skip_open_item(sono_dicom_cursor *cursor, int depth, sono_error *error)
{
    sono_dicom_element element;
    sono_status status;
    while ((status = sono_dicom_next(cursor, &element, error)) == SONO_STATUS_OK) {
        if (element.tag == TAG_END_ITEM)
            return SONO_STATUS_OK;
        SONO_TRY(skip_value(cursor, &element, depth, error));
    }
    return status == SONO_STATUS_END ? fail_tag(cursor, TAG_END_ITEM, "missing: the file is cut short", error)
                                     : status;
}

static sono_status skip_value(sono_dicom_cursor *cursor, const sono_dicom_element *element, int depth,
                              sono_error *error)
{
    uint32_t n_bytes;
    sono_status status;
    if (element->n_bytes != SONO_DICOM_UNDEFINED) {
        cursor->at = element->value_at + element->n_bytes;
        return SONO_STATUS_OK;
    }
    if (depth == MAX_DEPTH)
        return SONO_FAIL_AT(error, LIMIT, element->at, "%s: sequences lie more than %d deep in each other",
                            cursor->file->path, MAX_DEPTH);
    /* What is of unknown type and undefined length is a sequence in implicit VR (PS3.5, 6.2.2, note 2). */
    sono_dicom_cursor inner = *cursor;
    inner.is_implicit |= !strcmp(element->vr, "UN");
    inner.at = element->value_at;
    while ((status = sono_dicom_next_item(&inner, &n_bytes, error)) == SONO_STATUS_OK)
        if (n_bytes != SONO_DICOM_UNDEFINED)
            inner.at += n_bytes;
        else
            SONO_TRY(skip_open_item(&inner, depth + 1, error));
    cursor->at = inner.at;
    return status == SONO_STATUS_END ? SONO_STATUS_OK : status;
}

sono_status sono_dicom_skip(sono_dicom_cursor *cursor, const sono_dicom_element *element, sono_error *error)
{
    return skip_value(cursor, element, 0, error);
}
