// SPDX-License-Identifier: Apache-2.0
#include "record/record_private.h"

#include "record/fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_BYTES       ((size_t)64 << 10) /* of SONO_RECORD_MAX_FIELDS fields and the file's own lines */
#define MIN_HEADER_BYTES ((int64_t)512 << 10)
#define MAX_HEADER_BYTES ((int64_t)128 << 20)
#define MAX_LINE_BYTES   1000      /* header.c: a value has at most 800, a matrix about 300 */
#define FILE_LIMIT_BYTES INT32_MAX /* the offsets of IGSIO's reader have 32 bits */

_Static_assert(SONO_RECORD_MAX_FIELDS *MAX_LINE_BYTES < (int)HEAD_BYTES, "all fields of a file fit");
_Static_assert((3 * SONO_RECORD_MAX_FIELDS + 8) * MAX_LINE_BYTES < MIN_HEADER_BYTES - (int64_t)HEAD_BYTES,
               "the lines of any frame fit");

void sono_record_options_init(sono_record_options *options)
{
    *options = (sono_record_options){.max_header_bytes = (int64_t)8 << 20, .max_segment_frames = 100000};
}

void sono_record_set_disk(sono_record *record, const sono_record_disk *disk)
{
    record->disk = disk;
}

void sono_record_query(const sono_record *record, sono_record_info *out)
{
    *out = record->info;
}

/* The header names the other file, and MetaIO gives some characters a meaning there. */
static sono_status check_prefix(const char *prefix, sono_error *error)
{
    const char *slash = prefix ? strrchr(prefix, '/') : NULL, *name = slash ? slash + 1 : prefix;
    if (!name || !*name || *name == '.' || *name == '-')
        return RECORD_FAIL(error, INVALID_ARGUMENT,
                           "recording: \"%.200s\" has no name that begins with a letter or a digit",
                           prefix ? prefix : "");
    for (const char *letter = name; *letter; letter++)
        if (!((*letter >= 'a' && *letter <= 'z') || (*letter >= 'A' && *letter <= 'Z') ||
              (*letter >= '0' && *letter <= '9') || strchr("_-.", *letter)))
            return RECORD_FAIL(
                error, INVALID_ARGUMENT,
                "recording: \"%.200s\": letters, digits, '_', '-' and '.' alone can be in a name", name);
    return SONO_STATUS_OK;
}

static sono_status check_options(sono_record_options *options, sono_error *error)
{
    if (options->max_header_bytes < MIN_HEADER_BYTES || options->max_header_bytes > MAX_HEADER_BYTES)
        return RECORD_FAIL(
            error, INVALID_ARGUMENT, "recording: max_header_bytes is %lld, not within %lld..%lld",
            (long long)options->max_header_bytes, (long long)MIN_HEADER_BYTES, (long long)MAX_HEADER_BYTES);
    const int64_t limit = FILE_LIMIT_BYTES - options->max_header_bytes;
    if (options->max_segment_bytes < 0)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: max_segment_bytes is %lld, below 0",
                           (long long)options->max_segment_bytes);
    if (!options->max_segment_bytes || options->max_segment_bytes > limit)
        options->max_segment_bytes = limit;
    if (options->max_segment_frames < 1)
        return RECORD_FAIL(error, INVALID_ARGUMENT,
                           "recording: max_segment_frames is %d, at least 1 is needed",
                           options->max_segment_frames);
    RECORD_TRY(check_prefix(options->prefix, error));
    return sono_record_fields_check(options->fields, options->n_fields, error);
}

static void free_record(sono_record *record)
{
    sono_record_segment_close(record);
    for (int32_t i = 0; record->fields && i < record->options.n_fields; i++) {
        free((char *)(uintptr_t)record->fields[i].name);
        free((char *)(uintptr_t)record->fields[i].value);
    }
    free(record->fields);
    free((char *)(uintptr_t)record->options.prefix);
    free(record->head.bytes);
    free(record->rows.bytes);
    free(record->numbers);
    free(record);
}

/* Makes the texts of the options its own. -1 without memory. */
static int copy_options(sono_record *record, const sono_record_options *options)
{
    record->options = *options;
    record->options.fields = NULL;
    record->options.prefix = strdup(options->prefix);
    record->fields = calloc((size_t)options->n_fields + 1, sizeof *record->fields);
    record->options.fields = record->fields;
    if (!record->options.prefix || !record->fields)
        return -1;
    for (int32_t i = 0; i < options->n_fields; i++) {
        record->fields[i].name = strdup(options->fields[i].name);
        record->fields[i].value = strdup(options->fields[i].value);
        if (!record->fields[i].name || !record->fields[i].value)
            return -1;
    }
    return 0;
}

static int reserve(sono_record_text *text, size_t n_bytes)
{
    text->bytes = malloc(n_bytes);
    text->capacity_bytes = n_bytes;
    return text->bytes ? 0 : -1;
}

static sono_status fill(sono_record *record, const sono_record_options *options, sono_error *error)
{
    if (copy_options(record, options) || reserve(&record->head, HEAD_BYTES) ||
        reserve(&record->rows, (size_t)options->max_header_bytes - HEAD_BYTES))
        return RECORD_FAIL(error, OUT_OF_MEMORY, "recording: out of memory");
    RECORD_TRY(sono_record_folder_of(options->prefix, record->folder, sizeof record->folder, error));
    if (access(record->folder, W_OK | X_OK))
        return RECORD_FAIL_IO(error, errno, "%s: nothing can be recorded there", record->folder);
    return SONO_STATUS_OK;
}

sono_status sono_record_open(const sono_record_options *options, sono_record **out, sono_error *error)
{
    if (!options || !out)
        return RECORD_FAIL(error, INVALID_ARGUMENT, "recording: options and out must not be NULL");
    sono_record_options checked = *options;
    RECORD_TRY(check_options(&checked, error));
    sono_record *record = calloc(1, sizeof *record);
    if (!record)
        return RECORD_FAIL(error, OUT_OF_MEMORY, "recording: out of memory");
    record->disk = &sono_record_real_disk;
    record->segment.file = -1;
    record->info.header_path = record->segment.header_path;
    record->start_ns = options->start_ns;
    record->has_start = options->start_ns != 0;
    const sono_status status = fill(record, &checked, error);
    if (status != SONO_STATUS_OK) {
        free_record(record);
        return status;
    }
    *out = record;
    return SONO_STATUS_OK;
}

/* Ends the recording. What is whole in the file may still get its header: a full disk may have room for that.
 */
static void latch(sono_record *record, const sono_error *found)
{
    record->latched = *found;
    (void)sono_record_segment_sync(record, NULL);
    if (record->segment.file >= 0 && !record->segment.n_frames)
        (void)unlink(record->segment.raw_path);
    sono_record_segment_close(record);
}

static sono_status give_latched(const sono_record *record, sono_error *error)
{
    if (error && record->latched.status != SONO_STATUS_OK)
        *error = record->latched;
    return record->latched.status;
}

/* Whether both times, where they are known, can be told from the start. */
static sono_status check_times(const sono_record *record, const sono_record_frame *frame, sono_error *error)
{
    int64_t since;
    const int64_t start_ns = record->has_start ? record->start_ns : frame->timestamp_ns;
    if ((frame->timestamp_ns && __builtin_sub_overflow(frame->timestamp_ns, start_ns, &since)) ||
        (frame->unfiltered_ns && __builtin_sub_overflow(frame->unfiltered_ns, start_ns, &since)))
        return RECORD_FAIL(error, INVALID_ARGUMENT,
                           "recording: timestamp %lld is too far from the start %lld",
                           (long long)frame->timestamp_ns, (long long)start_ns);
    return SONO_STATUS_OK;
}

static int fits(const sono_record *record, const sono_record_shape *shape)
{
    const sono_record_segment *segment = &record->segment;
    return segment->file >= 0 && sono_record_shape_is_same(&segment->shape, shape) &&
           segment->n_frames < record->options.max_segment_frames &&
           (segment->n_frames + 1) * segment->frame_bytes <= record->options.max_segment_bytes;
}

/* Puts the frame's lines behind the others. Returns where they begin, -1 when they do not fit. */
static int64_t add_rows(sono_record *record, const sono_record_frame *frame, int64_t index)
{
    const size_t mark = record->rows.n_bytes;
    sono_record_write_frame(&record->rows, frame, index, record->start_ns);
    if (!record->rows.is_full)
        return (int64_t)mark;
    record->rows.n_bytes = mark;
    record->rows.is_full = 0;
    return -1;
}

/* Takes the frame into the open segment or a new one; *found is what ends the recording. */
static sono_status append(sono_record *record, const sono_record_frame *frame, const sono_record_shape *shape,
                          sono_error *found)
{
    int64_t mark = fits(record, shape) ? add_rows(record, frame, record->segment.n_frames) : -1;
    if (mark < 0) {
        RECORD_TRY(sono_record_segment_sync(record, found));
        sono_record_segment_close(record);
        RECORD_TRY(sono_record_segment_open(record, shape, found));
        mark = add_rows(record, frame, 0);
    }
    const sono_status status = sono_record_segment_write(record, frame, found);
    if (status != SONO_STATUS_OK)
        record->rows.n_bytes = (size_t)mark;
    return status;
}

/* One frame must fit into a segment of its own. */
static sono_status check_limits(const sono_record *record, const sono_record_shape *shape, sono_error *error)
{
    const int64_t frame_bytes = (int64_t)shape->width_px * shape->height_px * shape->components *
                                (int64_t)sono_record_element_bytes(shape->element);
    if (frame_bytes > record->options.max_segment_bytes)
        return RECORD_FAIL(error, LIMIT, "recording: a frame of %lld bytes, a segment has at most %lld",
                           (long long)frame_bytes, (long long)record->options.max_segment_bytes);
    return SONO_STATUS_OK;
}

sono_status sono_record_frame_add(sono_record *record, const sono_record_frame *frame, sono_error *error)
{
    sono_error found = {.status = SONO_STATUS_OK};
    RECORD_TRY(give_latched(record, error));
    RECORD_TRY(sono_record_frame_check(frame, error));
    RECORD_TRY(check_times(record, frame, error));
    const sono_record_shape shape = {frame->width_px,
                                     frame->height_px,
                                     frame->element,
                                     frame->components,
                                     {frame->spacing_mm[0], frame->spacing_mm[1]}};
    RECORD_TRY(check_limits(record, &shape, error));
    if (!record->has_start && frame->timestamp_ns) {
        record->start_ns = frame->timestamp_ns;
        record->has_start = 1;
    }
    sono_status status = append(record, frame, &shape, &found);
    if (status != SONO_STATUS_OK) {
        latch(record, &found);
        return give_latched(record, error);
    }
    record->info.n_frames++;
    record->info.n_bytes += record->segment.frame_bytes;
    return record->segment.n_synced ? SONO_STATUS_OK : sono_record_sync(record, error);
}

sono_status sono_record_sync(sono_record *record, sono_error *error)
{
    sono_error found = {.status = SONO_STATUS_OK};
    RECORD_TRY(give_latched(record, error));
    if (sono_record_segment_sync(record, &found) != SONO_STATUS_OK)
        latch(record, &found);
    return give_latched(record, error);
}

static sono_status join_all(const sono_record *record, sono_error *error)
{
    sono_status first = SONO_STATUS_OK;
    char path[PATH_MAX];
    for (int32_t i = 0; i < record->info.n_segments; i++) {
        snprintf(path, sizeof path, "%s_%04d.igs.mhd", record->options.prefix, record->numbers[i]);
        if (access(path, F_OK)) /* somebody else has joined it */
            continue;
        const sono_status status = sono_record_join(path, NULL, 0, first == SONO_STATUS_OK ? error : NULL);
        if (first == SONO_STATUS_OK)
            first = status;
    }
    return first;
}

sono_status sono_record_close(sono_record *record, int join, sono_error *error)
{
    if (!record)
        return SONO_STATUS_OK;
    sono_status status = sono_record_sync(record, error);
    sono_record_segment_close(record);
    if (status == SONO_STATUS_OK && join)
        status = join_all(record, error);
    free_record(record);
    return status;
}
