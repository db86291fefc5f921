// SPDX-License-Identifier: Apache-2.0
/*
 * What `sonoseg report` knows of a folder before it writes its page. Nothing is made up: what a file does not
 * say is absent here (NAN, -1, an empty list), and shown as absent.
 *
 * Bounded: REPORT_MAX_FRAMES frames a series, REPORT_MAX_TEXTS entries a list; how many there were beyond is
 * counted. One thread.
 */
#ifndef SONOSEG_TOOL_REPORT_H
#define SONOSEG_TOOL_REPORT_H

#include "sonoseg/sonoseg.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_MAX_FRAMES  1000000
#define REPORT_MAX_TEXTS   200
#define REPORT_MAX_SERIES  16
#define REPORT_MAX_REASONS 32
#define REPORT_STAGES      9 /* those of SONO_STAGE_MAP */

/* ---- texts --------------------------------------------------------------------------------------------- */

/* A list of pairs of texts, in their order. */
typedef struct report_texts {
    struct report_text {
        char *key, *value;
    } * items;
    size_t n, n_beyond; /* n_beyond: found no room */
} report_texts;

/* Copies; key may be "". */
void report_texts_add(report_texts *list, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_texts_free(report_texts *list);

/* ---- frames -------------------------------------------------------------------------------------------- */

/* NAME, heading, unit, decimals on the page */
#define REPORT_VALUE_MAP(X)                                                                                  \
    X(SCORE, "Score", "", 3)                                                                                 \
    X(IOU, "Predicted IoU", "", 3)                                                                           \
    X(AREA, "Area", "px", 0)                                                                                 \
    X(SURFACE, "Length of the surface", "mm", 2)                                                             \
    X(QUALITY, "Quality", "thousandths", 0)                                                                  \
    X(AGREEMENT, "Agreement", "thousandths", 0)                                                              \
    X(TRUE_BOX, "Box IoU with the truth", "", 3)                                                             \
    X(TRUE_MASK, "Mask IoU with the truth", "", 3)                                                           \
    X(DICE, "Dice with the truth", "", 3)                                                                    \
    X(LATENCY, "Latency", "ms", 2)                                                                           \
    X(STAGE, "", "ms", 3)

typedef enum report_value {
#define REPORT_VALUE_ENUM(name, heading, unit, decimals) REPORT_##name,
    REPORT_VALUE_MAP(REPORT_VALUE_ENUM)
#undef REPORT_VALUE_ENUM
        REPORT_N_VALUES = REPORT_STAGE + REPORT_STAGES /* REPORT_STAGE + a sono_stage */
} report_value;

/* "Latency", "detect"; "ms"; decimals. */
const char *report_value_heading(int value);
const char *report_value_unit(int value);
int report_value_decimals(int value);

enum { REPORT_UNKNOWN = -1 };

typedef struct report_frame {
    uint64_t id;
    double time_s; /* NAN = unknown */
    int64_t place; /* where its line begins in bytes, or its number in the file; of what it was read from */
    int32_t file;  /* recordings: of report_series.files */
    int8_t state;  /* a sono_state, or REPORT_UNKNOWN */
    int8_t reason; /* of report_series.reasons, or REPORT_UNKNOWN */
    int8_t is_processed;           /* 0, 1, or REPORT_UNKNOWN */
    float values[REPORT_N_VALUES]; /* NAN = absent */
} report_frame;

typedef enum report_kind { REPORT_RESULTS, REPORT_EVALUATION, REPORT_RECORDING } report_kind;

/* Frames that belong together: results.jsonl, frames.jsonl, or one recording with all its files. */
typedef struct report_series {
    report_kind kind;
    char name[256];     /* of the file or the recording */
    report_texts files; /* recordings: key = the images' file, value = the masks' or "" */
    report_frame *frames;
    size_t n_frames, capacity;
    uint64_t n_beyond;  /* frames beyond REPORT_MAX_FRAMES */
    uint64_t n_damaged; /* lines that could not be read */
    report_texts damages, facts;
    char reasons[REPORT_MAX_REASONS][40];
    int n_reasons;
    int is_out_of_memory;
} report_series;

/* An absent frame to be filled in; NULL when there is no room, which is counted. */
report_frame *report_series_add(report_series *series);
/* The number of a reason. */
int8_t report_series_reason(report_series *series, const char *name);
/* A sono_state by its name, or REPORT_UNKNOWN. */
int8_t report_state(const char *name);
int report_has(const report_series *series, int value); /* 1 = some frame has it */

/* ---- events -------------------------------------------------------------------------------------------- */

typedef struct report_event {
    double time_s;
    char name[40], file[100];
    char *text;
    int level; /* sono_serve_level */
} report_event;

typedef struct report_counts {
    struct {
        char name[40];
        uint64_t n;
    } items[64];
    int n;
} report_counts;

void report_count(report_counts *counts, const char *name); /* beyond the 64th name: "others" */

typedef struct report_events {
    int has_any;                         /* a file of events was there */
    report_event list[REPORT_MAX_TEXTS]; /* warnings and errors, the first of them */
    int n;
    uint64_t n_warnings, n_errors, n_lines, n_damaged;
    report_counts names, drops; /* all events; event=drop by its reason */
} report_events;

/* ---- all of it ----------------------------------------------------------------------------------------- */

typedef struct report {
    const char *folder;
    report_series series[REPORT_MAX_SERIES];
    int n_series;
    report_events events;
    report_texts facts;    /* key = file, value = "name\tvalue" */
    report_texts notes;    /* what is damaged or missing; key = file */
    report_texts left_out; /* files that the report does not read; key = file, value = why */
    report_texts commands; /* how to do it again; key = what, value = command */
} report;

void report_free(report *self);

/* Reads all that is in self->folder. 0, or -1 after report_error(): it is no folder, or cannot be read. */
int report_read(report *self);

/* Each reads one file (or the files of a recording) into the report; what cannot be read becomes a note. */
void report_read_results(report *self, const char *name, report_kind kind);
void report_read_events(report *self, const char *name);
void report_read_facts(report *self, const char *name); /* a small JSON file of figures or counters */
void report_read_recording(report *self, report_series *series);

/* ---- lines --------------------------------------------------------------------------------------------- */

#define REPORT_LINE_BYTES (1 << 20)

typedef struct report_lines {
    FILE *stream;
    char *text;      /* the line without its end; REPORT_LINE_BYTES at most */
    int64_t number;  /* from 1 */
    int64_t place;   /* where it begins, bytes */
    const char *why; /* NULL, or what is wrong with it: too long, a zero byte, or no end */
} report_lines;

/* 0, or -1 with errno. A file that is no regular one is refused: EINVAL. */
int report_lines_open(report_lines *lines, const char *folder, const char *name);
int report_lines_next(report_lines *lines); /* 1, or 0 at the end */
void report_lines_close(report_lines *lines);

#endif
