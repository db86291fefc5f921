// SPDX-License-Identifier: Apache-2.0
#include "io/dicom/frames.h"

#include "base/alloc.h"
#include "io/numbers.h"

#include <string.h>

#define MAX_TIMES_BYTES ((uint32_t)16 << 20) /* a million frames */
#define MAX_TIME_BYTES  32                   /* of one of them */

/* ---- plain --------------------------------------------------------------------------------------------- */

/* Pixels labelled YBR_FULL_422 are often whole ones: the length tells. */
static sono_status find_plain(const sono_dicom_file *file, const sono_dicom_dataset *d,
                              sono_dicom_frames *out, sono_error *error)
{
    const uint64_t pixels = (uint64_t)d->width_px * (uint64_t)d->height_px, n = (uint64_t)d->n_frames;
    uint64_t frame_bytes = pixels * (uint64_t)d->samples * (uint64_t)d->bits_allocated / 8;
    if (d->photometric == SONO_DICOM_YBR_FULL_422 && !d->is_planar && d->width_px % 2 == 0 &&
        d->pixels_bytes < n * frame_bytes) {
        out->is_half_chroma = 1;
        frame_bytes = 2 * pixels;
    }
    out->frame_bytes = (size_t)frame_bytes;
    if (d->pixels_bytes / frame_bytes < n)
        return SONO_FAIL_AT(error, FORMAT, d->pixels_at,
                            "%s: PixelData has %u bytes, %d frames of %d x %d pixels take %llu", file->path,
                            d->pixels_bytes, d->n_frames, d->width_px, d->height_px,
                            (unsigned long long)(n * frame_bytes));
    if (d->pixels_bytes / frame_bytes > n)
        return SONO_FAIL_AT(error, FORMAT, d->pixels_at,
                            "%s: PixelData has %u bytes, more than the %d frames of NumberOfFrames take",
                            file->path, d->pixels_bytes, d->n_frames);
    return SONO_STATUS_OK;
}

/* ---- JPEG ---------------------------------------------------------------------------------------------- */

static sono_status keep_fragment(sono_dicom_frames *out, uint64_t at, uint32_t n_bytes, const char *path,
                                 sono_error *error)
{
    void *fragments = out->fragments;
    if (sono_alloc_grow(&fragments, &out->capacity, out->n_fragments + 1, sizeof *out->fragments))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the list of its fragments", path);
    out->fragments = fragments;
    out->fragments[out->n_fragments++] = (sono_dicom_fragment){at, n_bytes};
    return SONO_STATUS_OK;
}

static sono_status list_fragments(sono_dicom_file *file, const sono_dicom_dataset *d, sono_dicom_frames *out,
                                  sono_error *error)
{
    sono_dicom_cursor cursor = {.file = file, .at = d->pixels_at, .end = file->n_bytes};
    uint32_t n_bytes;
    sono_status status;
    int is_table = 1; /* the first item is that of offsets */
    while ((status = sono_dicom_next_item(&cursor, &n_bytes, error)) == SONO_STATUS_OK) {
        if (n_bytes == SONO_DICOM_UNDEFINED)
            return SONO_FAIL_AT(error, FORMAT, cursor.at, "%s: a fragment of pixels without a length",
                                file->path);
        if (!is_table)
            SONO_TRY(keep_fragment(out, cursor.at, n_bytes, file->path, error));
        is_table = 0;
        cursor.at += n_bytes;
    }
    return status == SONO_STATUS_END ? SONO_STATUS_OK : status;
}

/* Whether a frame begins with this fragment. */
static sono_status is_start(sono_dicom_file *file, const sono_dicom_fragment *fragment, int *out,
                            sono_error *error)
{
    const uint8_t *bytes;
    *out = 0;
    if (fragment->n_bytes < 2)
        return SONO_STATUS_OK;
    SONO_TRY(sono_dicom_file_peek(file, fragment->at, 2, &bytes, error));
    *out = bytes[0] == 0xff && bytes[1] == 0xd8;
    return SONO_STATUS_OK;
}

static sono_status find_starts(sono_dicom_file *file, const sono_dicom_dataset *d, sono_dicom_frames *out,
                               sono_error *error)
{
    int64_t n = 0;
    if (out->n_fragments < (size_t)d->n_frames)
        return SONO_FAIL_AT(error, FORMAT, d->pixels_at, "%s: %zu fragments of pixels for %d frames",
                            file->path, out->n_fragments, d->n_frames);
    out->starts = sono_alloc_array((size_t)d->n_frames + 1, sizeof *out->starts);
    if (!out->starts)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the list of its frames", file->path);
    for (size_t i = 0; i < out->n_fragments; i++) {
        int begins;
        SONO_TRY(is_start(file, &out->fragments[i], &begins, error));
        if (!begins && i == 0)
            return SONO_FAIL_AT(error, FORMAT, out->fragments[i].at, "%s: the first frame is no JPEG",
                                file->path);
        if (begins && n++ < d->n_frames)
            out->starts[n - 1] = i;
    }
    if (n != d->n_frames)
        return SONO_FAIL_AT(error, FORMAT, d->pixels_at, "%s: %lld JPEG frames, NumberOfFrames is %d",
                            file->path, (long long)n, d->n_frames);
    out->starts[n] = out->n_fragments;
    return SONO_STATUS_OK;
}

static sono_status check_bytes(const sono_dicom_file *file, const sono_dicom_dataset *d,
                               const sono_dicom_frames *frames, size_t max_bytes, sono_error *error)
{
    const int64_t n = frames->starts ? d->n_frames : 1;
    for (int64_t i = 0; i < n; i++)
        if (sono_dicom_frame_bytes(frames, i) > max_bytes)
            return SONO_FAIL(error, LIMIT, "%s: frame %lld is stored in more than %zu bytes", file->path,
                             (long long)i + 1, max_bytes);
    return SONO_STATUS_OK;
}

/* ---- times --------------------------------------------------------------------------------------------- */

/* text: steps in milliseconds with backslashes between them, the first of which is that to the first frame.
 */
static int add_times(char *text, int32_t n_frames, int64_t *out)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < n_frames; i++) {
        const size_t n = strcspn(text, "\\");
        const int is_last = !text[n];
        int64_t step;
        text[n] = 0;
        if (n >= MAX_TIME_BYTES || sono_numbers_ns(text, &step) || step < 0 ||
            __builtin_add_overflow(sum, i ? step / 1000 : 0, &sum) || is_last != (i == n_frames - 1))
            return -1;
        out[i] = sum;
        text += n + !is_last;
    }
    return 0;
}

static sono_status read_times(sono_dicom_file *file, const sono_dicom_dataset *d, sono_dicom_frames *out,
                              sono_error *error)
{
    if (!d->times_bytes)
        return SONO_STATUS_OK;
    if (d->times_bytes > MAX_TIMES_BYTES)
        return SONO_FAIL_AT(error, LIMIT, d->times_at, "%s: FrameTimeVector of %u bytes", file->path,
                            d->times_bytes);
    if (d->times_bytes < (uint32_t)d->n_frames)
        return SONO_FAIL_AT(error, FORMAT, d->times_at, "%s: FrameTimeVector of %u bytes for %d frames",
                            file->path, d->times_bytes, d->n_frames);
    char *text = sono_alloc((size_t)d->times_bytes + 1);
    out->times_ns = sono_alloc_array((size_t)d->n_frames, sizeof *out->times_ns);
    sono_status status = text && out->times_ns
                             ? sono_dicom_file_read(file, d->times_at, text, d->times_bytes, error)
                             : SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for its times", file->path);
    if (status == SONO_STATUS_OK && add_times(text, d->n_frames, out->times_ns))
        status =
            SONO_FAIL_AT(error, FORMAT, d->times_at,
                         "%s: FrameTimeVector does not have a time in milliseconds for each of %d frames",
                         file->path, d->n_frames);
    sono_free(text);
    return status;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

sono_status sono_dicom_find_frames(sono_dicom_file *file, const sono_dicom_dataset *dataset, size_t max_bytes,
                                   sono_dicom_frames *out, sono_error *error)
{
    const int is_plain = dataset->syntax->packing == SONO_DICOM_PLAIN;
    if (is_plain != (dataset->pixels_bytes != SONO_DICOM_UNDEFINED))
        return SONO_FAIL_AT(error, FORMAT, dataset->pixels_at,
                            "%s: the pixels are%s in fragments, which %s does not go with", file->path,
                            is_plain ? "" : " not", dataset->syntax->name);
    if (is_plain) {
        SONO_TRY(find_plain(file, dataset, out, error));
    } else {
        SONO_TRY(list_fragments(file, dataset, out, error));
        SONO_TRY(find_starts(file, dataset, out, error));
    }
    SONO_TRY(check_bytes(file, dataset, out, max_bytes, error));
    return read_times(file, dataset, out, error);
}

size_t sono_dicom_frame_bytes(const sono_dicom_frames *frames, int64_t frame)
{
    size_t n = 0;
    if (!frames->starts)
        return frames->frame_bytes;
    for (size_t i = frames->starts[frame]; i < frames->starts[frame + 1]; i++)
        n += frames->fragments[i].n_bytes;
    return n;
}

sono_status sono_dicom_read_frame(sono_dicom_file *file, const sono_dicom_dataset *dataset,
                                  const sono_dicom_frames *frames, int64_t frame, uint8_t *out,
                                  sono_error *error)
{
    if (!frames->starts)
        return sono_dicom_file_read(file, dataset->pixels_at + (uint64_t)frame * frames->frame_bytes, out,
                                    frames->frame_bytes, error);
    for (size_t i = frames->starts[frame]; i < frames->starts[frame + 1]; i++) {
        const sono_dicom_fragment *fragment = &frames->fragments[i];
        SONO_TRY(sono_dicom_file_read(file, fragment->at, out, fragment->n_bytes, error));
        out += fragment->n_bytes;
    }
    return SONO_STATUS_OK;
}

void sono_dicom_frames_reset(sono_dicom_frames *frames)
{
    sono_free(frames->fragments);
    sono_free(frames->starts);
    sono_free(frames->times_ns);
    *frames = (sono_dicom_frames){0};
}
