// SPDX-License-Identifier: Apache-2.0
#include "io/sequences/layout.h"

#include "base/status.h"

#include <string.h>
#include <strings.h>

#define MAX_TOTAL_BYTES ((int64_t)1 << 62)

void sono_sequence_fail(const sono_sequence_header *header, const sono_sequence_row *row, sono_error *error,
                        sono_status status, const char *name, const char *reason, const char *where)
{
    if (!row)
        sono_error_set(error, status, 0, -1, where, "%s: the header has no \"%s\"", header->path, name);
    else
        sono_error_set(error, status, 0, row->name_at, where, "%s: %s \"%.60s\": %s", header->path, name,
                       sono_sequence_value(header, row), reason);
}

size_t sono_sequence_element_bytes(sono_element element)
{
    switch (element) {
    case SONO_ELEMENT_I8:
    case SONO_ELEMENT_U8:
        return 1;
    case SONO_ELEMENT_I16:
    case SONO_ELEMENT_U16:
        return 2;
    case SONO_ELEMENT_I32:
    case SONO_ELEMENT_U32:
    case SONO_ELEMENT_F32:
        return 4;
    case SONO_ELEMENT_F64:
        return 8;
    }
    return 0;
}

const char *sono_sequence_word(const char *text, int index, size_t *n)
{
    for (;; index--) {
        text += strspn(text, " \t");
        *n = strcspn(text, " \t");
        if (!*n)
            return NULL;
        if (!index)
            return text;
        text += *n;
    }
}

/* Whether the kind of axis `index` is that of a place in an image; what is not said is. */
static int is_place(const char *kinds, int index)
{
    size_t n;
    const char *kind = kinds ? sono_sequence_word(kinds, index, &n) : NULL;
    return !kind || (n == 6 && !strncasecmp(kind, "domain", n)) ||
           (n == 5 && !strncasecmp(kind, "space", n)) || (n == 3 && !strncmp(kind, "???", n)) ||
           (n == 4 && !strncasecmp(kind, "none", n));
}

sono_status sono_sequence_take_axes(const sono_sequence_header *header, const sono_sequence_row *row,
                                    const int64_t *sizes, int n_axes, const char *kinds, int n_before,
                                    sono_sequence_layout *out, sono_error *error)
{
    const char *name = sono_sequence_name(header, row);
    if (n_axes < 2 || n_axes > 4)
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, name,
                                  "a sequence of 2D images has 2 to 4 dimensions");
    for (int axis = 0; axis < n_axes; axis++)
        if (!is_place(kinds, n_before + axis) && (axis < 2 || axis + 1 < n_axes))
            return SONO_SEQUENCE_FAIL(
                header, row, error, UNSUPPORTED, name,
                "the frames must be the last dimension: each image's pixels are together");
    if (n_axes == 4 && sizes[2] > 1)
        return SONO_SEQUENCE_FAIL(header, row, error, UNSUPPORTED, name,
                                  "frames that are volumes are not supported, only 2D images");
    out->n_frames = n_axes == 2 ? 1 : sizes[n_axes - 1];
    out->width_px = (int32_t)sizes[0];
    out->height_px = (int32_t)sizes[1];
    if (out->width_px == 0 || out->height_px == 0)
        out->width_px = out->height_px = 0;
    return SONO_STATUS_OK;
}

sono_status sono_sequence_read_layout(const sono_sequence_header *header, sono_sequence_layout *out,
                                      sono_error *error)
{
    *out = (sono_sequence_layout){.components = 1, .stored_bytes = -1};
    SONO_TRY(header->is_nrrd ? sono_sequence_read_nrrd(header, out, error)
                             : sono_sequence_read_metaio(header, out, error));
    int64_t frame_bytes, total;
    const int64_t pixel_bytes = out->components * (int64_t)sono_sequence_element_bytes(out->element);
    if (__builtin_mul_overflow((int64_t)out->width_px * out->height_px, pixel_bytes, &frame_bytes) ||
        __builtin_mul_overflow(frame_bytes, out->n_frames, &total) || total > MAX_TOTAL_BYTES ||
        (uint64_t)frame_bytes > SIZE_MAX / 16)
        return SONO_FAIL(error, FORMAT, "%s: %d x %d pixels in %lld frames are more than a file can hold",
                         header->path, out->width_px, out->height_px, (long long)out->n_frames);
    out->frame_bytes = (size_t)frame_bytes;
    if (out->data_file &&
        (out->data_file[0] == '/' || !strcmp(out->data_file, "..") || !strncmp(out->data_file, "../", 3) ||
         strstr(out->data_file, "/../") || strchr(out->data_file, '%')))
        return SONO_FAIL(
            error, UNSUPPORTED,
            "%s: the pixels must be in one file in the header's folder or below it, not in \"%.100s\"",
            header->path, out->data_file);
    return SONO_STATUS_OK;
}
