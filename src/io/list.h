// SPDX-License-Identifier: Apache-2.0
/* A text file that names input files: a path, folder or pattern a line, in the order in which they are read.
 */
#ifndef SONO_IO_LIST_H
#define SONO_IO_LIST_H

#include "io/paths.h"

#define SONO_LIST_MAX_BYTES ((size_t)256 << 20)

/* Appends what the list names, each as sono_paths_add_entry() does. Empty lines and those that begin with #
 * are passed over; a line may end in CR LF; relative paths start at the list's folder. Errors: IO (also: a
 * pipe), FORMAT (a zero byte: not a text; no path in it), LIMIT (longer than SONO_LIST_MAX_BYTES),
 * OUT_OF_MEMORY; the text names the list. */
sono_status sono_paths_add_list(sono_paths *paths, const char *list, sono_error *error);

#endif
