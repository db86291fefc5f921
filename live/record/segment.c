// SPDX-License-Identifier: Apache-2.0
/* One pair of files. What makes it readable at any moment is the order in sono_record_segment_sync(). */
#include "record/record_private.h"

#include "record/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NUMBER 9999
#define MAX_PIECES 64 /* of one write */
#define ZERO_BYTES 4096

void sono_record_segment_close(sono_record *record)
{
    if (record->segment.file >= 0)
        close(record->segment.file);
    record->segment.file = -1;
}

/* 1: nothing has the names of this number, 0: something has, -1: they are too long. */
static int name_segment(const sono_record *record, int32_t number, sono_record_segment *out,
                        sono_error *error)
{
    char joined[PATH_MAX];
    const char *prefix = record->options.prefix;
    struct stat facts;
    out->number = number;
    if (snprintf(out->raw_path, PATH_MAX, "%s_%04d.raw", prefix, number) >= PATH_MAX ||
        snprintf(out->header_path, PATH_MAX, "%s_%04d.igs.mhd", prefix, number) >= PATH_MAX ||
        snprintf(joined, PATH_MAX, "%s_%04d.igs.mha", prefix, number) >= PATH_MAX ||
        sono_record_part_path(out->header_path, out->part_path, PATH_MAX, error))
        return -1;
    return lstat(out->header_path, &facts) && lstat(joined, &facts);
}

sono_status sono_record_segment_open(sono_record *record, const sono_record_shape *shape, sono_error *error)
{
    sono_record_segment *segment = &record->segment;
    for (int32_t number = segment->number + 1; number <= MAX_NUMBER; number++) {
        const int is_free = name_segment(record, number, segment, error);
        if (is_free < 0)
            return RECORD_FAIL(error, INVALID_ARGUMENT, "%s: the path is too long", record->options.prefix);
        if (!is_free)
            continue;
        segment->file = sono_record_create(segment->raw_path);
        if (segment->file < 0 && errno == EEXIST)
            continue;
        if (segment->file < 0)
            return RECORD_FAIL_IO(error, errno, "%s: cannot be made", segment->raw_path);
        (void)flock(segment->file, LOCK_EX | LOCK_NB); /* so that nobody joins it yet */
        segment->shape = *shape;
        segment->frame_bytes = (int64_t)shape->width_px * shape->height_px * shape->components *
                               (int64_t)sono_record_element_bytes(shape->element);
        segment->n_frames = segment->n_synced = 0;
        record->rows.n_bytes = 0;
        record->rows.is_full = 0;
        if (record->disk->sync_folder(record->folder))
            return RECORD_FAIL_IO(error, errno, "%s: cannot be synced", record->folder);
        return SONO_STATUS_OK;
    }
    return RECORD_FAIL(error, IO, "%s: all numbers up to %d are taken: choose another name",
                       record->options.prefix, MAX_NUMBER);
}

/* Writes n_rows pieces of row_bytes, piece i from pixels + i * pitch_bytes. Returns 0 or errno. */
static int write_rows(const sono_record *record, const uint8_t *pixels, size_t pitch_bytes, size_t row_bytes,
                      size_t n_rows, int64_t at)
{
    struct iovec pieces[MAX_PIECES];
    for (size_t row = 0; row < n_rows;) {
        int n_pieces = 0;
        while (n_pieces < MAX_PIECES && row + (size_t)n_pieces < n_rows) {
            const uint8_t *piece = pixels + (row + (size_t)n_pieces) * pitch_bytes;
            pieces[n_pieces++] = (struct iovec){(void *)(uintptr_t)piece, row_bytes};
        }
        const size_t n_bytes = (size_t)n_pieces * row_bytes;
        const int code =
            sono_record_write_all(record->disk, record->segment.file, pieces, n_pieces, n_bytes, at);
        if (code)
            return code;
        row += (size_t)n_pieces;
        at += (int64_t)n_bytes;
    }
    return 0;
}

sono_status sono_record_segment_write(sono_record *record, const sono_record_frame *frame, sono_error *error)
{
    static const uint8_t zeros[ZERO_BYTES];
    sono_record_segment *segment = &record->segment;
    const int64_t at = segment->n_frames * segment->frame_bytes;
    const size_t frame_bytes = (size_t)segment->frame_bytes, n_rows = (size_t)segment->shape.height_px;
    const size_t row_bytes = frame_bytes / n_rows;
    int code;
    if (!frame->pixels) {
        const size_t n_blocks = frame_bytes / ZERO_BYTES, rest = frame_bytes % ZERO_BYTES;
        code = write_rows(record, zeros, 0, ZERO_BYTES, n_blocks, at);
        if (!code && rest)
            code = write_rows(record, zeros, 0, rest, 1, at + (int64_t)(n_blocks * ZERO_BYTES));
    } else if (!frame->pitch_bytes || frame->pitch_bytes == row_bytes) {
        code = write_rows(record, frame->pixels, 0, frame_bytes, 1, at);
    } else {
        code = write_rows(record, frame->pixels, frame->pitch_bytes, row_bytes, n_rows, at);
    }
    if (code)
        return RECORD_FAIL_IO(error, code, "%s: cannot be written", segment->raw_path);
    segment->n_frames++;
    return SONO_STATUS_OK;
}

static sono_status write_part(const sono_record *record, sono_error *error)
{
    const sono_record_segment *segment = &record->segment;
    const char *raw_name = strrchr(segment->raw_path, '/');
    char line[PATH_MAX + 32];
    const int n_line =
        snprintf(line, sizeof line, "ElementDataFile = %s\n", raw_name ? raw_name + 1 : segment->raw_path);
    struct iovec pieces[] = {{record->head.bytes, record->head.n_bytes},
                             {record->rows.bytes, record->rows.n_bytes},
                             {line, (size_t)n_line}};
    (void)unlink(segment->part_path); /* of a recorder that was killed */
    const int file = sono_record_create(segment->part_path);
    if (file < 0)
        return RECORD_FAIL_IO(error, errno, "%s: cannot be made", segment->part_path);
    int code = sono_record_write_all(record->disk, file, pieces, 3,
                                     record->head.n_bytes + record->rows.n_bytes + (size_t)n_line, 0);
    if (!code && record->disk->sync(file))
        code = errno;
    if (close(file) && !code)
        code = errno;
    if (!code && record->disk->publish(segment->part_path, segment->header_path, segment->n_synced > 0))
        code = errno;
    if (!code)
        return SONO_STATUS_OK;
    (void)unlink(segment->part_path);
    return RECORD_FAIL_IO(error, code, "%s: cannot be written", segment->header_path);
}

/* Keeps the number, for joining at close. */
static sono_status note_number(sono_record *record, sono_error *error)
{
    const size_t n = (size_t)record->info.n_segments;
    if (n == record->numbers_capacity) {
        const size_t capacity = n ? 2 * n : 16;
        int32_t *numbers = realloc(record->numbers, capacity * sizeof *numbers);
        if (!numbers)
            return RECORD_FAIL(error, OUT_OF_MEMORY, "recording: out of memory for a segment's number");
        record->numbers = numbers;
        record->numbers_capacity = capacity;
    }
    record->numbers[n] = record->segment.number;
    record->info.n_segments++;
    return SONO_STATUS_OK;
}

static sono_status sync_open_segment(sono_record *record, sono_error *error)
{
    sono_record_segment *segment = &record->segment;
    if (record->disk->sync_data(segment->file))
        return RECORD_FAIL_IO(error, errno, "%s: cannot be synced", segment->raw_path);
    record->head.n_bytes = 0;
    sono_record_write_head(&record->head, &segment->shape, segment->n_frames, record->start_ns,
                           &record->options);
    RECORD_TRY(write_part(record, error));
    const int is_first = !segment->n_synced;
    record->info.n_synced += (uint64_t)(segment->n_frames - segment->n_synced);
    segment->n_synced = segment->n_frames;
    if (is_first)
        RECORD_TRY(note_number(record, error));
    if (record->disk->sync_folder(record->folder))
        return RECORD_FAIL_IO(error, errno, "%s: cannot be synced", record->folder);
    return SONO_STATUS_OK;
}

/* Never twice after a failure: the kernel forgets which pages it could not write, so the second would
 * succeed. */
sono_status sono_record_segment_sync(sono_record *record, sono_error *error)
{
    if (record->segment.file < 0 || record->segment.n_synced == record->segment.n_frames)
        return SONO_STATUS_OK;
    const sono_status status = sync_open_segment(record, error);
    if (status != SONO_STATUS_OK)
        sono_record_segment_close(record);
    return status;
}
