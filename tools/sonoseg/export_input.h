// SPDX-License-Identifier: Apache-2.0
/*
 * Results to export, one frame after the other: folders that `run` wrote, and recordings of masks that
 * `serve` or `export` wrote. Memory depends on one frame. One thread at a time.
 */
#ifndef SONOSEG_TOOL_EXPORT_INPUT_H
#define SONOSEG_TOOL_EXPORT_INPUT_H

#include "sonoseg/export.h"
#include "sonoseg/io.h"

#include <stdio.h>

#define EXPORT_MAX_OBJECTS 16
#define EXPORT_NAME_BYTES  1024

typedef enum export_masks {
    EXPORT_MASKS_NONE, /* there are none, nor is it said that there should be */
    EXPORT_MASKS_PNG,
    EXPORT_MASKS_RLE,
    EXPORT_MASKS_PIXELS /* the frames of a recording */
} export_masks;

typedef struct export_frame {
    sono_export_frame frame; /* its info and name are these: */
    sono_frame_info info;
    char name[EXPORT_NAME_BYTES];
    int32_t n_objects;
    sono_export_object objects[EXPORT_MAX_OBJECTS]; /* masks: of export_input_masks(), until the next call */
    int64_t area_px[EXPORT_MAX_OBJECTS];            /* what the results say; -1 = nothing */
    export_masks masks;
    int has_surface;             /* one was looked for */
    int surface_is_mm;           /* its points are millimetres */
    sono_export_surface surface; /* until the next frame */
} export_frame;

typedef struct export_input {
    const char *const *paths; /* borrowed */
    int32_t n_paths, at;      /* the one that is open */
    double spacing_mm[2];     /* for every frame; 0 = as the results say */
    /* A folder of results. */
    FILE *lines;
    char *file; /* results.jsonl, or the recording */
    char *text; /* the line */
    size_t text_bytes;
    int64_t number, last_id;
    int has_pictures; /* masks/ is there, and run.json does not say that it is another run's */
    /* A recording. */
    sono_source *source;
    /* What frames point to. */
    uint8_t *pixels;
    size_t pixels_bytes;
    double *points;
    int32_t *starts;
    size_t points_capacity, starts_capacity;
    char *counts; /* run lengths */
    size_t counts_bytes;
    int wants_surfaces; /* 1: frames have their surface, not only whether there is one */
    int wants_px;       /* surfaces in pixels, whatever is known of the spacing */
    char reason[1024];  /* of export_input_masks() */
} export_input;

/* paths: borrowed, in the order in which their frames follow. */
void export_input_init(export_input *self, const char *const *paths, int32_t n_paths);

/* The next frame, without masks. Returns 1, 0 behind the last one, or -1 after report_error(): nothing can be
 * read from here on. */
int export_input_next(export_input *self, export_frame *out);

/* Reads the masks of the frame last given. 0, or -1 with `reason`, which names the file and what is wrong
 * with it; the next frame can be read all the same. */
int export_input_masks(export_input *self, export_frame *frame);

/* To the first frame again. */
void export_input_rewind(export_input *self);

void export_input_close(export_input *self);

/* ---- between its files; open: 0, or -1 after report_error(), the others as above ---- */

int export_results_open(export_input *self, const char *folder);
int export_results_next(export_input *self, export_frame *out);
int export_results_masks(export_input *self, export_frame *frame);
int export_recording_open(export_input *self, const char *path);
int export_recording_next(export_input *self, export_frame *out);
int export_recording_masks(export_input *self, export_frame *frame);

/* Sets the reason. Returns -1. */
int export_input_fail(export_input *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The frame's pixels: room for n masks. NULL with a reason. */
uint8_t *export_input_room(export_input *self, const export_frame *frame, int32_t n);

/* A time in seconds to nanoseconds, exactly; 0 where it is none. */
int64_t export_time_ns(const char *seconds);

/* Reads [[[x, y], ...], ...] at value, each times scale, into the frame's surface. 0, or -1: it is none, or
 * there is no memory. */
int export_surface_read(export_input *self, const char *value, const double scale[2], export_frame *out);

#endif
