// SPDX-License-Identifier: Apache-2.0
#include "io/list.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE_BYTES ((size_t)64 << 10)

/* *text: with a zero byte behind it, *n_text long; to be freed, also after an error. */
static sono_status read_text(FILE *file, const char *list, char **text, size_t *n_text, sono_error *error)
{
    void *grown = NULL;
    size_t capacity = 0, n;
    *n_text = 0;
    do {
        if (*n_text > SONO_LIST_MAX_BYTES)
            return SONO_FAIL(error, LIMIT, "%s: longer than the %zu bytes that a list of files may have",
                             list, SONO_LIST_MAX_BYTES);
        if (sono_alloc_grow(&grown, &capacity, *n_text + PIECE_BYTES + 1, 1))
            return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the list of files", list);
        *text = grown;
        n = fread(*text + *n_text, 1, PIECE_BYTES, file);
        *n_text += n;
    } while (n);
    if (ferror(file))
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: the list of files cannot be read: %s", list,
                                strerror(errno));
    (*text)[*n_text] = 0;
    const char *zero = memchr(*text, 0, *n_text);
    if (zero)
        return SONO_FAIL_AT(error, FORMAT, zero - *text,
                            "%s: a zero byte: a list of files is a text with a path a line", list);
    return SONO_STATUS_OK;
}

static sono_status add_line(sono_paths *paths, const char *list, const char *line, sono_error *error)
{
    const char *slash = line[0] == '/' ? NULL : strrchr(list, '/');
    const size_t n_folder = slash ? (size_t)(slash + 1 - list) : 0, n_bytes = n_folder + strlen(line) + 1;
    char *path = sono_alloc(n_bytes);
    if (!path)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for the list of files", list);
    snprintf(path, n_bytes, "%.*s%s", (int)n_folder, list, line);
    const sono_status status = sono_paths_add_entry(paths, path, error);
    sono_free(path);
    return status;
}

static sono_status add_lines(sono_paths *paths, const char *list, char *text, sono_error *error)
{
    const size_t before = paths->count;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        size_t n = strlen(line);
        if (n && line[n - 1] == '\r')
            line[--n] = 0;
        if (n && line[0] != '#')
            SONO_TRY(add_line(paths, list, line, error));
    }
    return paths->count > before
               ? SONO_STATUS_OK
               : SONO_FAIL(error, FORMAT, "%s: the list names no file: a path a line is expected", list);
}

sono_status sono_paths_add_list(sono_paths *paths, const char *list, sono_error *error)
{
    char *text = NULL;
    size_t n_text;
    struct stat facts;
    FILE *file = NULL;
    if (!stat(list, &facts) && !S_ISREG(facts.st_mode))
        return SONO_FAIL(error, IO, "%s: a list of files must be a regular file: it is read more than once",
                         list);
    file = fopen(list, "rbe");
    if (!file)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: the list of files cannot be opened: %s", list,
                                strerror(errno));
    sono_status status = read_text(file, list, &text, &n_text, error);
    fclose(file);
    if (status == SONO_STATUS_OK)
        status = add_lines(paths, list, text, error);
    sono_free(text);
    return status;
}
