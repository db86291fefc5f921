// SPDX-License-Identifier: Apache-2.0
/* The files that the given paths stand for, in order. */
#ifndef SONO_IO_PATHS_H
#define SONO_IO_PATHS_H

#include "base/status.h"

#define SONO_PATHS_KINDS      8  /* different suffixes that are kept by name */
#define SONO_PATHS_KIND_BYTES 12 /* longest of them, with its dot and the end */

typedef enum sono_path_kind {
    SONO_PATH_OTHER, /* none of these, or a folder */
    SONO_PATH_IMAGE,
    SONO_PATH_SEQUENCE,
    SONO_PATH_DICOM,
    SONO_PATH_VIDEO
} sono_path_kind;

/* Zero-initialised = empty. */
typedef struct sono_paths {
    int takes_all; /* of folders not images alone, but every kind of file that is read; and lists, patterns */
    char **items;  /* owned */
    size_t count;
    size_t capacity;
    int64_t n_left_out;                                  /* files in folders that are no images */
    char kinds[SONO_PATHS_KINDS][SONO_PATHS_KIND_BYTES]; /* their suffixes, sorted; "" = none */
    int32_t n_kinds;
    int has_more_kinds; /* than fit */
} sono_paths;

/* Appends path itself, or, when it is a folder, the image files in it in natural order: those with an image's
 * suffix, and those without a suffix (or with a number for one) whose first bytes are an image's; with
 * takes_all also the others that sono_paths_kind() knows. Other files are counted as left out; hidden ones
 * and folders are not looked at. A folder that has none or cannot be listed is appended as itself: reading it
 * gives the error.
 *
 * With takes_all a path that does not exist may also be "@FILE", a list (list.h), or a pattern with *, ? or
 * [...] (glob(7)): what it matches is added in natural order, folders as folders; a pattern that matches
 * nothing is appended as itself.
 *
 * Errors: OUT_OF_MEMORY; of a list also IO, FORMAT, LIMIT. */
sono_status sono_paths_add(sono_paths *paths, const char *path, sono_error *error);

/* The same, but a list is none. */
sono_status sono_paths_add_entry(sono_paths *paths, const char *path, sono_error *error);

/* Appends item, an allocated text (NULL = out of memory already), and owns it from then on, also after an
 * error. Errors: OUT_OF_MEMORY. */
sono_status sono_paths_keep(sono_paths *paths, char *item, sono_error *error);

void sono_paths_reset(sono_paths *paths);

/* strcmp() with runs of digits compared as numbers: "a2" < "a10", "a02" beside "a2". */
int sono_paths_compare(const char *left, const char *right);

/* Whether the name ends in an image format's suffix, in any case. */
int sono_paths_is_image(const char *name);

/* What a path leads to: by its suffix in any case; without one that says it DICOM by its first bytes. */
sono_path_kind sono_paths_kind(const char *path);

/* The suffixes of what was left out, ".bmp, .dcm"; "no suffix" for none, "..." for those that did not fit. */
#define SONO_PATHS_KINDS_BYTES (SONO_PATHS_KINDS * (SONO_PATHS_KIND_BYTES + 2) + 24)
void sono_paths_describe_left_out(const sono_paths *paths, char out[SONO_PATHS_KINDS_BYTES]);

#endif
