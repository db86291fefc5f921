// SPDX-License-Identifier: Apache-2.0
#include "io/paths.h"

#include "base/alloc.h"
#include "io/formats.h"
#include "io/list.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffixes[] = {".png",  ".jpg", ".jpeg", ".jpe", ".jfif", ".tif",
                                       ".tiff", ".pgm", ".ppm",  ".pbm", ".pnm"};

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

/* Whether the file's first bytes are those of DICOM. */
static int holds_dicom(const char *path)
{
    char magic[4];
    struct stat facts;
    if (stat(path, &facts) || !S_ISREG(facts.st_mode))
        return 0;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    const ssize_t n = pread(descriptor, magic, sizeof magic, 128);
    close(descriptor);
    return n == sizeof magic && !memcmp(magic, "DICM", sizeof magic);
}

sono_path_kind sono_paths_kind(const char *path)
{
    static const struct {
        const char *suffix;
        sono_path_kind kind;
    } known[] = {{".mha", SONO_PATH_SEQUENCE},  {".mhd", SONO_PATH_SEQUENCE}, {".nrrd", SONO_PATH_SEQUENCE},
                 {".nhdr", SONO_PATH_SEQUENCE}, {".dcm", SONO_PATH_DICOM},    {".dicom", SONO_PATH_DICOM},
                 {".mp4", SONO_PATH_VIDEO},     {".m4v", SONO_PATH_VIDEO},    {".mov", SONO_PATH_VIDEO},
                 {".avi", SONO_PATH_VIDEO},     {".mkv", SONO_PATH_VIDEO},    {".webm", SONO_PATH_VIDEO},
                 {".mpg", SONO_PATH_VIDEO},     {".mpeg", SONO_PATH_VIDEO},   {".wmv", SONO_PATH_VIDEO},
                 {".asf", SONO_PATH_VIDEO},     {".flv", SONO_PATH_VIDEO},    {".ogv", SONO_PATH_VIDEO},
                 {".mts", SONO_PATH_VIDEO},     {".m2ts", SONO_PATH_VIDEO},   {".3gp", SONO_PATH_VIDEO},
                 {".mjpeg", SONO_PATH_VIDEO},   {".mjpg", SONO_PATH_VIDEO},   {".h264", SONO_PATH_VIDEO},
                 {".264", SONO_PATH_VIDEO}};
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    struct stat facts;
    if (!stat(path, &facts) && S_ISDIR(facts.st_mode))
        return SONO_PATH_OTHER;
    if (sono_paths_is_image(path))
        return SONO_PATH_IMAGE;
    for (size_t i = 0; dot && i < sizeof known / sizeof known[0]; i++)
        if (!strcasecmp(dot, known[i].suffix))
            return known[i].kind;
    return holds_dicom(path) ? SONO_PATH_DICOM : SONO_PATH_OTHER;
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

sono_status sono_paths_keep(sono_paths *paths, char *item, sono_error *error)
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

/* The suffix with its dot, or "" where there is none that says anything. */
static const char *suffix_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || !dot[1] || strlen(dot) >= SONO_PATHS_KIND_BYTES ||
        dot[1 + strspn(dot + 1, "0123456789")] == 0)
        return "";
    for (const char *letter = dot + 1; *letter; letter++)
        if (!isalnum((unsigned char)*letter))
            return "";
    return dot;
}

static void leave_out(sono_paths *paths, const char *name)
{
    const char *kind = suffix_of(name);
    int32_t at = 0;
    paths->n_left_out++;
    while (at < paths->n_kinds && strcasecmp(paths->kinds[at], kind) < 0)
        at++;
    if (at < paths->n_kinds && !strcasecmp(paths->kinds[at], kind))
        return;
    if (paths->n_kinds == SONO_PATHS_KINDS) {
        paths->has_more_kinds = 1;
        return;
    }
    memmove(paths->kinds[at + 1], paths->kinds[at], (size_t)(paths->n_kinds - at) * SONO_PATHS_KIND_BYTES);
    snprintf(paths->kinds[at], SONO_PATHS_KIND_BYTES, "%s", kind);
    paths->n_kinds++;
}

void sono_paths_describe_left_out(const sono_paths *paths, char out[SONO_PATHS_KINDS_BYTES])
{
    size_t n = 0;
    out[0] = 0;
    for (int32_t i = 0; i < paths->n_kinds; i++)
        n += (size_t)snprintf(out + n, SONO_PATHS_KINDS_BYTES - n, "%s%s", i ? ", " : "",
                              paths->kinds[i][0] ? paths->kinds[i] : "no suffix");
    if (paths->has_more_kinds)
        snprintf(out + n, SONO_PATHS_KINDS_BYTES - n, ", ...");
}

static int holds_image(const char *path)
{
    uint8_t bytes[8];
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    const ssize_t n = read(descriptor, bytes, sizeof bytes);
    close(descriptor);
    return n > 0 && sono_format_of(bytes, (size_t)n) != SONO_FORMAT_NONE;
}

/* Takes path over. */
static sono_status add_found(sono_paths *paths, char *path, const char *name, sono_error *error)
{
    struct stat facts;
    const int is_known = !stat(path, &facts);
    if (is_known && S_ISDIR(facts.st_mode)) {
        sono_free(path);
        return SONO_STATUS_OK;
    }
    if (sono_paths_is_image(name) ||
        (is_known && S_ISREG(facts.st_mode) && !*suffix_of(name) && holds_image(path)) ||
        (paths->takes_all && sono_paths_kind(path) != SONO_PATH_OTHER))
        return sono_paths_keep(paths, path, error);
    leave_out(paths, name);
    sono_free(path);
    return SONO_STATUS_OK;
}

static sono_status add_entries(sono_paths *paths, const char *folder, DIR *stream, sono_error *error)
{
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = join(folder, entry->d_name);
        if (!path)
            return sono_paths_keep(paths, NULL, error);
        SONO_TRY(add_found(paths, path, entry->d_name, error));
    }
    return SONO_STATUS_OK;
}

/* A file or a folder. */
static sono_status add_existing(sono_paths *paths, const char *path, sono_error *error)
{
    const size_t first = paths->count;
    DIR *stream = opendir(path);
    if (stream) {
        const sono_status status = add_entries(paths, path, stream, error);
        closedir(stream);
        SONO_TRY(status);
    }
    if (paths->count == first)
        return sono_paths_keep(paths, sono_strdup(path), error);
    qsort(paths->items + first, paths->count - first, sizeof *paths->items, compare_items);
    return SONO_STATUS_OK;
}

static sono_status add_pattern(sono_paths *paths, const char *pattern, sono_error *error)
{
    glob_t found = {0};
    const int code = glob(pattern, GLOB_NOSORT, NULL, &found);
    sono_status status = SONO_STATUS_OK;
    if (code == GLOB_NOSPACE)
        status = SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    else if (code)
        status = sono_paths_keep(paths, sono_strdup(pattern), error);
    else
        qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_items);
    for (size_t i = 0; !code && i < found.gl_pathc && status == SONO_STATUS_OK; i++)
        status = add_existing(paths, found.gl_pathv[i], error);
    globfree(&found);
    return status;
}

sono_status sono_paths_add_entry(sono_paths *paths, const char *path, sono_error *error)
{
    struct stat facts;
    const int is_pattern = paths->takes_all && strpbrk(path, "*?[") && lstat(path, &facts);
    return is_pattern ? add_pattern(paths, path, error) : add_existing(paths, path, error);
}

sono_status sono_paths_add(sono_paths *paths, const char *path, sono_error *error)
{
    struct stat facts;
    if (paths->takes_all && path[0] == '@' && lstat(path, &facts))
        return sono_paths_add_list(paths, path + 1, error);
    return sono_paths_add_entry(paths, path, error);
}

void sono_paths_reset(sono_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        sono_free(paths->items[i]);
    sono_free(paths->items);
    *paths = (sono_paths){0};
}
