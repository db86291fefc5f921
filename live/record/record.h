// SPDX-License-Identifier: Apache-2.0
/*
 * Recording frames into pairs of files that are readable at any moment, with or without power. Pure file
 * code: no threads, no clock; the caller says when to sync. docs/recording.md describes the files and what
 * survives what.
 *
 *     NAME_0001.raw      pixels, frame after frame; only ever appended to
 *     NAME_0001.igs.mhd  the MetaIO header of the frames on the disk; every sync replaces it as a whole
 *
 * A new segment (0002, ...) begins when the size, the type or the spacing changes and below 2 GiB. Numbers
 * that exist already are passed over; nothing is ever overwritten. All files are 0600.
 *
 * Ownership: everything passed in is the caller's and may go when the call returns. Memory is taken at open
 * alone, but for a segment's number. Thread-safety: one thread at a time per handle; handles share nothing.
 *
 * Errors of input or output (disk full, ...) latch: the recording has ended, every later call gives the same
 * error, and what was synced stays readable. INVALID_ARGUMENT and LIMIT of a frame do not: the frame is not
 * in the recording, the next one may be.
 */
#ifndef SONOSEG_LIVE_RECORD_RECORD_H
#define SONOSEG_LIVE_RECORD_RECORD_H

#include "sonoseg/io.h"
#include "sonoseg/sonoseg.h"

typedef struct sono_record sono_record;

/* A line of text beside a frame or a file: Seq_FrameNNNN_<name> = <value>, or <name> = <value>. Control
 * characters and blanks at either end of the value are written as '%' and two upper-case hex digits, and so
 * is a '%' before such digits: every value comes back. */
typedef struct sono_record_field {
    const char *name;
    const char *value; /* "" is allowed */
} sono_record_field;

#define SONO_RECORD_MAX_NAME_BYTES 64
#define SONO_RECORD_MAX_VALUE_BYTES                                                                          \
    800                           /* as it is written: the lines that PLUS reads have less than 1000 bytes */
#define SONO_RECORD_MAX_FIELDS 64 /* of a frame; as many transforms; as many of the file */

/* 1 when a field or a transform can have this name: a letter, then letters, digits, '_', '-' and '.', at most
 * SONO_RECORD_MAX_NAME_BYTES; none of those that the recorder writes itself (Timestamp, ImageStatus, NDims,
 * ...). */
int sono_record_name_is_valid(const char *name);

/* 1 when the name is valid and the value not too long. */
int sono_record_field_is_valid(const sono_record_field *field);

/* Seq_FrameNNNN_<name>Transform and ...TransformStatus. */
typedef struct sono_record_transform {
    const char *name; /* "ImageToReference" */
    float matrix[16]; /* 4 x 4, row-major, mm; written so that reading gives the same floats; all must be
                         finite */
    int32_t is_valid; /* 1: OK, 0: INVALID; the matrix is written either way */
} sono_record_transform;

typedef struct sono_record_options {
    const char *prefix;           /* folder and NAME; the folder exists */
    int64_t max_segment_bytes;    /* of pixels in a segment; 0 (default), and more than that, is 2 GiB less
                                     max_header_bytes and a byte: a joined file stays below 2 GiB, too */
    int64_t max_header_bytes;     /* of a segment's header, which every sync writes; default 8 MiB */
    int32_t max_segment_frames;   /* default 100,000 */
    sono_orientation orientation; /* of the pixels as they are given; UNKNOWN is written as MF */
    int64_t start_ns; /* nanoseconds since 1970 UTC from which Timestamp counts; 0 (default) = the first
                         frame's. Pairs of one recording are given the same */
    const sono_record_field *fields; /* of every file: device, model hash, version, ... */
    int32_t n_fields;
} sono_record_options;

/* Sets the defaults. */
void sono_record_options_init(sono_record_options *options);

typedef struct sono_record_frame {
    const void *pixels; /* first pixel of the top row, host byte order, components interleaved; NULL = no
                           image: its place is filled with zeros and ImageStatus says INVALID */
    size_t pitch_bytes; /* 0 = rows are contiguous */
    int32_t width_px, height_px; /* [1, 65535] */
    sono_element element;
    int32_t components;   /* [1, 4] */
    uint64_t id;          /* FrameNumber */
    int64_t timestamp_ns; /* since 1970 UTC; Timestamp is this less start_ns, in seconds, exact to the ns; 0 =
                             unknown: left out */
    int64_t unfiltered_ns; /* likewise UnfilteredTimestamp; 0 = timestamp_ns */
    uint64_t
        raw_timestamp;    /* the OpenIGTLink header's 64 bits: SourceTimestamp, 16 hex digits; 0 = left out */
    double spacing_mm[2]; /* ElementSpacing; 0 = unknown, written as 1 */
    const sono_record_transform *transforms;
    int32_t n_transforms;
    const sono_record_field *fields;
    int32_t n_fields;
} sono_record_frame;

/* Prepares a recording; files appear with the first frame. Errors: INVALID_ARGUMENT (an option or a name), IO
 * (the folder is not there or cannot be written), OUT_OF_MEMORY. */
sono_status sono_record_open(const sono_record_options *options, sono_record **out, sono_error *error);

/* Appends one frame. The first of a segment is synced at once, so that the header is there. Errors:
 * INVALID_ARGUMENT (a size, a type, a name, a matrix), LIMIT (one frame is beyond a segment's limits),
 * OUT_OF_MEMORY; latched: IO. */
sono_status sono_record_frame_add(sono_record *record, const sono_record_frame *frame, sono_error *error);

/* Makes all frames so far survive a power cut: pixels to the disk, then a header for them under a temporary
 * name to the disk, renamed, the folder to the disk. To be called once a second; nothing is done when no
 * frame came. Takes as long as the disk does. Errors (latched): IO. */
sono_status sono_record_sync(sono_record *record, sono_error *error);

typedef struct sono_record_info {
    uint64_t n_frames; /* taken so far, all segments */
    uint64_t n_synced; /* of them: what a power cut leaves */
    int64_t n_bytes;   /* of pixels, all segments */
    int32_t n_segments;
    const char
        *header_path; /* of the newest segment, borrowed until the next frame or close; "" before the first */
} sono_record_info;
void sono_record_query(const sono_record *record, sono_record_info *out);

/* Syncs, closes and frees. join: 1 = every pair of this recording becomes one .igs.mha (sono_record_join()),
 * which takes as long as copying it; pairs that cannot be joined stay as they are. NULL is allowed. Errors:
 * the latched one, IO. */
sono_status sono_record_close(sono_record *record, int join, sono_error *error);

/* Makes one NAME_0001.igs.mha of the pair that header_path (NAME_0001.igs.mhd, written by this recorder)
 * names, and then removes the pair; not before the joined file is complete and on the disk. Copies in pieces:
 * memory does not depend on the size, the disk must hold both for a while. Pixels behind those that the
 * header names (a recorder that was killed) are dropped. out_path (optional, out_bytes long): the joined
 * file. Errors: STATE (it is being recorded right now), IO (also: NAME_0001.igs.mha exists; it is left
 * alone), FORMAT (no such header, or less pixels than it names); the pair stays. Thread-safe on different
 * pairs. */
sono_status sono_record_join(const char *header_path, char *out_path, size_t out_bytes, sono_error *error);

#endif
