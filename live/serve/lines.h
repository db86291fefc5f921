// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of text to a file or to standard error, by a thread of their own: a disk or a reader that is slow
 * holds up nobody. What finds no room in the memory between is dropped and counted. Thread-safe but for open
 * and close.
 */
#ifndef SONO_SERVE_LINES_H
#define SONO_SERVE_LINES_H

#include "serve/rotate.h"

#include "sonoseg/sonoseg.h"

typedef struct sono_serve_lines sono_serve_lines;

/* path: "" = standard error; a file is appended to, 0640. head: optional, the first line of an empty file.
 * Errors: IO, OUT_OF_MEMORY. */
sono_status sono_serve_lines_open(const char *path, const char *head, sono_serve_lines **out,
                                  sono_error *error);
/* One line, without its newline; control characters become '_'. NULL is allowed, and does nothing. */
void sono_serve_lines_put(sono_serve_lines *lines, const char *text);
/* From now on the file is put aside when it is full or old, looked at with each line; a thread of its own
 * compresses it. Of a file alone. */
void sono_serve_lines_rotate(sono_serve_lines *lines, const sono_serve_rotation *rotation);
/* From now on what was written is on the disk before more is. Of a file alone. */
void sono_serve_lines_sync(sono_serve_lines *lines);
/* Opens the file anew, for those who rotate it by renaming. */
void sono_serve_lines_reopen(sono_serve_lines *lines);
uint64_t sono_serve_lines_dropped(sono_serve_lines *lines);
/* Waits half a second at most for what is not written yet. */
void sono_serve_lines_close(sono_serve_lines *lines);

#endif
