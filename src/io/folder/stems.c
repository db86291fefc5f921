// SPDX-License-Identifier: Apache-2.0
#include "io/folder/stems.h"

#include "io/folder/names.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_OWN_BYTES 200 /* leaves room for "_<number>" and "_obj<k>" */

void sono_stem_of(const char *source, char out[SONO_STEM_BYTES])
{
    const char *slash = strrchr(source, '/');
    const char *name = slash ? slash + 1 : source;
    const char *dot = strrchr(name, '.');
    const char *end = dot && dot != name ? dot : name + strlen(name);
    size_t n = 0;
    while (name < end) {
        char unit[SONO_NAME_UNIT_BYTES];
        size_t n_unit = 0;
        name += sono_name_unit(name, unit, &n_unit);
        if (n + n_unit > LONGEST_OWN_BYTES)
            break;
        memcpy(out + n, unit, n_unit);
        n += n_unit;
    }
    out[n] = 0;
    if (!n)
        memcpy(out, "frame", sizeof "frame");
}

/* FNV-1a */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* The place of text, or the free place where it belongs. capacity > count. */
static sono_stem_entry *place_of(sono_stem_entry *entries, size_t capacity, const char *text)
{
    size_t i = hash_of(text) & (capacity - 1);
    while (entries[i].text && strcmp(entries[i].text, text) != 0)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static int is_taken(const sono_stems *stems, const char *text)
{
    return stems->capacity && place_of(stems->entries, stems->capacity, text)->text;
}

static int grow(sono_stems *stems)
{
    const size_t capacity = stems->capacity ? stems->capacity * 2 : 64;
    sono_stem_entry *entries = sono_alloc_array(capacity, sizeof *entries);
    if (!entries)
        return -1;
    for (size_t i = 0; i < stems->capacity; i++)
        if (stems->entries[i].text)
            *place_of(entries, capacity, stems->entries[i].text) = stems->entries[i];
    sono_free(stems->entries);
    stems->entries = entries;
    stems->capacity = capacity;
    return 0;
}

static sono_status insert(sono_stems *stems, const char *text, sono_error *error)
{
    char *copy = NULL;
    if ((stems->count + 1) * 2 > stems->capacity && grow(stems))
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the names of the pictures");
    copy = sono_strdup(text);
    if (!copy)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the names of the pictures");
    *place_of(stems->entries, stems->capacity, text) = (sono_stem_entry){copy, 2};
    stems->count++;
    return SONO_STATUS_OK;
}

static void object_name(char out[SONO_STEM_BYTES], const char *stem, int32_t index)
{
    snprintf(out, SONO_STEM_BYTES, "%.212s_obj%d", stem, index);
}

static int is_free(const sono_stems *stems, const char *stem, int32_t n_objects)
{
    char name[SONO_STEM_BYTES];
    if (is_taken(stems, stem))
        return 0;
    for (int32_t k = 0; n_objects > 1 && k < n_objects; k++) {
        object_name(name, stem, k);
        if (is_taken(stems, name))
            return 0;
    }
    return 1;
}

sono_status sono_stems_take(sono_stems *stems, const char *source, int32_t n_objects,
                            char out[SONO_STEM_BYTES], sono_error *error)
{
    char own[SONO_STEM_BYTES], stem[SONO_STEM_BYTES];
    sono_stem_of(source, own);
    memcpy(stem, own, sizeof stem);
    uint32_t number = is_taken(stems, own) ? place_of(stems->entries, stems->capacity, own)->next : 2;
    while (!is_free(stems, stem, n_objects))
        snprintf(stem, sizeof stem, "%.200s_%u", own, number++);
    SONO_TRY(insert(stems, stem, error));
    place_of(stems->entries, stems->capacity, is_taken(stems, own) ? own : stem)->next = number;
    char name[SONO_STEM_BYTES];
    for (int32_t k = 0; n_objects > 1 && k < n_objects; k++) {
        object_name(name, stem, k);
        SONO_TRY(insert(stems, name, error));
    }
    memcpy(out, stem, sizeof stem);
    return SONO_STATUS_OK;
}

void sono_stems_reset(sono_stems *stems)
{
    for (size_t i = 0; i < stems->capacity; i++)
        sono_free(stems->entries[i].text);
    sono_free(stems->entries);
    *stems = (sono_stems){0};
}
