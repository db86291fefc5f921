// SPDX-License-Identifier: Apache-2.0
#include "source/paths.h"

#include "base/alloc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const suffixes[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"};

int sono_paths_is_image(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot)
        return 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!strcasecmp(dot, suffixes[i]))
            return 1;
    return 0;
}

/* Compares the digit runs that both start with, leading zeros aside, and moves behind them. */
static int compare_numbers(const char **left, const char **right)
{
    const char *a = *left, *b = *right;
    while (*a == '0')
        a++;
    while (*b == '0')
        b++;
    size_t n_a = 0, n_b = 0;
    while (isdigit((unsigned char)a[n_a]))
        n_a++;
    while (isdigit((unsigned char)b[n_b]))
        n_b++;
    *left = a + n_a;
    *right = b + n_b;
    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    return memcmp(a, b, n_a);
}

int sono_paths_compare(const char *left, const char *right)
{
    const char *a = left, *b = right;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            const int order = compare_numbers(&a, &b);
            if (order)
                return order;
        } else {
            if (*a != *b)
                return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
        }
    }
    if (*a || *b)
        return *a ? 1 : -1;
    return strcmp(left, right);
}

static int compare_items(const void *left, const void *right)
{
    return sono_paths_compare(*(char *const *)left, *(char *const *)right);
}

/* Takes item over. */
static sono_status append(sono_paths *paths, char *item, sono_error *error)
{
    void *items = paths->items;
    if (!item || sono_alloc_grow(&items, &paths->capacity, paths->count + 1, sizeof *paths->items)) {
        sono_free(item);
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    }
    paths->items = items;
    paths->items[paths->count++] = item;
    return SONO_STATUS_OK;
}

static char *join(const char *folder, const char *name)
{
    const size_t n_folder = strlen(folder);
    const char *slash = n_folder && folder[n_folder - 1] == '/' ? "" : "/";
    const size_t n_bytes = n_folder + strlen(name) + 2;
    char *path = sono_alloc(n_bytes);
    if (path)
        snprintf(path, n_bytes, "%s%s%s", folder, slash, name);
    return path;
}

static sono_status add_entries(sono_paths *paths, const char *folder, DIR *stream, sono_error *error)
{
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || !sono_paths_is_image(entry->d_name))
            continue;
        char *path = join(folder, entry->d_name);
        struct stat facts;
        if (path && !stat(path, &facts) && S_ISDIR(facts.st_mode)) {
            sono_free(path);
            continue;
        }
        SONO_TRY(append(paths, path, error));
    }
    return SONO_STATUS_OK;
}

sono_status sono_paths_add(sono_paths *paths, const char *path, sono_error *error)
{
    const size_t first = paths->count;
    DIR *stream = opendir(path);
    if (stream) {
        const sono_status status = add_entries(paths, path, stream, error);
        closedir(stream);
        SONO_TRY(status);
    }
    if (paths->count == first)
        return append(paths, sono_strdup(path), error);
    qsort(paths->items + first, paths->count - first, sizeof *paths->items, compare_items);
    return SONO_STATUS_OK;
}

void sono_paths_reset(sono_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        sono_free(paths->items[i]);
    sono_free(paths->items);
    *paths = (sono_paths){0};
}
