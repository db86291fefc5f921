// SPDX-License-Identifier: Apache-2.0
/* Private to the recorder: what a handle holds. */
#ifndef SONOSEG_LIVE_RECORD_RECORD_PRIVATE_H
#define SONOSEG_LIVE_RECORD_RECORD_PRIVATE_H

#include "record/disk.h"
#include "record/header.h"

#include <limits.h>

typedef struct sono_record_segment {
    int32_t number;
    int file; /* the pixels', locked; -1 = no segment is open */
    sono_record_shape shape;
    int64_t frame_bytes;
    int64_t n_frames; /* whose pixels are in the file */
    int64_t n_synced; /* that the header on the disk names */
    char raw_path[PATH_MAX];
    char header_path[PATH_MAX];
    char part_path[PATH_MAX];
} sono_record_segment;

struct sono_record {
    sono_record_options options; /* texts owned */
    char folder[PATH_MAX];
    sono_record_field *fields;
    const sono_record_disk *disk;
    sono_record_segment segment;
    sono_record_text head; /* made anew by each sync */
    sono_record_text rows; /* of the frames of the open segment */
    sono_record_info info;
    int32_t *numbers; /* of the segments that have a header, n_segments of them */
    size_t numbers_capacity;
    int64_t start_ns;
    int has_start;
    sono_error latched; /* status OK = none */
};

/* Test hook: another disk from now on. */
void sono_record_set_disk(sono_record *record, const sono_record_disk *disk);

/* Closes the open segment, if any, whose frames are synced. */
void sono_record_segment_close(sono_record *record);

/* Makes the files of the next free number. Errors: IO. */
sono_status sono_record_segment_open(sono_record *record, const sono_record_shape *shape, sono_error *error);

/* Appends the pixels of one frame of the segment's shape; NULL: zeros. Errors: IO; nothing of the frame
 * counts. */
sono_status sono_record_segment_write(sono_record *record, const sono_record_frame *frame, sono_error *error);

/* Puts all frames of the segment on the disk, then a header that names them. Errors: IO. */
sono_status sono_record_segment_sync(sono_record *record, sono_error *error);

#endif
