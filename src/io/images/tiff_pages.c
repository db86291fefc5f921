// SPDX-License-Identifier: Apache-2.0
/* The list of a TIFF's directories, walked without libtiff, which reads all tags of each. */
#include "io/images/tiff_private.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_PAGES     (1 << 20) /* as libtiff */
#define ENTRIES_READ  32        /* at once */
#define TAG_SUBFILE   254
#define TAG_OLD_KIND  255
#define SUBFILE_NO    5 /* bits of NewSubfileType: reduced, mask */
#define OLD_REDUCED   2
#define TYPE_SHORT    3
#define ENTRY_CLASSIC 12
#define ENTRY_BIG     20

typedef struct walk {
    const sono_tiff_input *input;
    int is_big_endian;
    int is_big_tiff;
} walk;

size_t sono_tiff_input_read(const sono_tiff_input *input, uint64_t at, void *out, size_t n)
{
    if (at >= input->n_bytes)
        return 0;
    if (n > input->n_bytes - at)
        n = (size_t)(input->n_bytes - at);
    if (input->bytes) {
        memcpy(out, input->bytes + at, n);
        return n;
    }
    size_t done = 0;
    while (done < n) {
        const ssize_t got = pread(input->descriptor, (uint8_t *)out + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

static uint64_t number_at(const walk *w, const uint8_t *bytes, int n)
{
    uint64_t value = 0;
    for (int i = 0; i < n; i++)
        value = value << 8 | bytes[w->is_big_endian ? i : n - 1 - i];
    return value;
}

/* Returns 0 when the file has no such number. */
static int read_number(const walk *w, uint64_t at, int n, uint64_t *out)
{
    uint8_t bytes[8];
    if (sono_tiff_input_read(w->input, at, bytes, (size_t)n) != (size_t)n)
        return 0;
    *out = number_at(w, bytes, n);
    return 1;
}

/* Whether an entry says that its directory is no frame. */
static int excludes(const walk *w, const uint8_t *entry)
{
    const uint64_t tag = number_at(w, entry, 2), type = number_at(w, entry + 2, 2);
    const uint64_t value = number_at(w, entry + (w->is_big_tiff ? 12 : 8), type == TYPE_SHORT ? 2 : 4);
    return (tag == TAG_SUBFILE && (value & SUBFILE_NO)) || (tag == TAG_OLD_KIND && value == OLD_REDUCED);
}

/* Looks through the directory at `at`. Returns 0 when it does not lie in the file. */
static int read_directory(const walk *w, uint64_t at, int *is_frame, uint64_t *next)
{
    const int n_count = w->is_big_tiff ? 8 : 2;
    const uint64_t entry_bytes = w->is_big_tiff ? ENTRY_BIG : ENTRY_CLASSIC;
    uint8_t entries[ENTRIES_READ * ENTRY_BIG];
    uint64_t n_entries = 0;
    *is_frame = 1;
    if (!read_number(w, at, n_count, &n_entries) || n_entries > w->input->n_bytes / entry_bytes)
        return 0;
    at += (uint64_t)n_count;
    for (uint64_t i = 0; i < n_entries; i += ENTRIES_READ) {
        const uint64_t n = n_entries - i < ENTRIES_READ ? n_entries - i : ENTRIES_READ;
        const size_t n_bytes = (size_t)(n * entry_bytes);
        if (sono_tiff_input_read(w->input, at + i * entry_bytes, entries, n_bytes) != n_bytes)
            return 0;
        for (uint64_t k = 0; k < n; k++)
            if (excludes(w, entries + k * entry_bytes))
                *is_frame = 0;
    }
    return read_number(w, at + n_entries * entry_bytes, w->is_big_tiff ? 8 : 4, next);
}

/* A list that runs in a circle: keeps each directory of it once. all[repeat] == all[i] for an earlier i. */
static size_t cut_circle(const uint64_t *all, size_t repeat, size_t earlier)
{
    const size_t length = repeat - earlier;
    size_t first = 0;
    while (all[first] != all[first + length])
        first++;
    return first + length;
}

typedef struct listing {
    uint64_t *all;  /* offsets */
    uint8_t *kinds; /* 1 = it counts */
    size_t count, all_capacity, kinds_capacity;
} listing;

static int append(listing *list, uint64_t at)
{
    void *all = list->all, *kinds = list->kinds;
    const int failed = sono_alloc_grow(&all, &list->all_capacity, list->count + 1, sizeof *list->all) ||
                       sono_alloc_grow(&kinds, &list->kinds_capacity, list->count + 1, 1);
    list->all = all;
    list->kinds = kinds;
    if (!failed)
        list->all[list->count++] = at;
    return failed;
}

/* Walks the list from the directory at `at` on. Returns 0 without memory. */
static int walk_list(const walk *w, uint64_t at, listing *list, const char **fault)
{
    size_t marked = 0; /* a directory that later ones are compared with: Brent's search for a circle */
    while (at) {
        uint64_t next = 0;
        int is_frame = 0;
        if (list->count == MAX_PAGES) {
            *fault = "there are more pages than 1048576";
            break;
        }
        if (!read_directory(w, at, &is_frame, &next)) {
            *fault = "the file is cut short: its list of pages goes on behind its end";
            break;
        }
        if (append(list, at))
            return 0;
        const size_t last = list->count - 1;
        list->kinds[last] = (uint8_t)is_frame;
        if (last > marked && list->all[last] == list->all[marked]) {
            list->count = cut_circle(list->all, last, marked);
            *fault = "damaged TIFF: the list of its pages runs in a circle";
            break;
        }
        if (last >= 2 * marked + 1)
            marked = last;
        at = next;
    }
    return 1;
}

static void keep_frames(sono_tiff *tiff, const listing *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->kinds[i])
            list->all[n++] = list->all[i];
    tiff->directories = list->all;
    tiff->n_directories = n ? n : list->count > 0;
    tiff->capacity = list->all_capacity;
}

sono_status sono_tiff_list(sono_tiff *tiff, const sono_image_job *job)
{
    uint8_t start[4] = {0};
    uint64_t first = 0;
    listing list = {0};
    walk w = {.input = &tiff->input};
    sono_tiff_input_read(&tiff->input, 0, start, sizeof start);
    w.is_big_endian = start[0] == 'M';
    w.is_big_tiff = start[w.is_big_endian ? 3 : 2] == '+';
    if (!read_number(&w, w.is_big_tiff ? 8 : 4, w.is_big_tiff ? 8 : 4, &first))
        return SONO_STATUS_OK;
    const int is_done = walk_list(&w, first, &list, &tiff->fault);
    keep_frames(tiff, &list);
    sono_free(list.kinds);
    if (!is_done)
        return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory for its list of pages", job->name);
    return SONO_STATUS_OK;
}
