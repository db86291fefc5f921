// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t n_requests;
static atomic_uint_fast64_t fail_from; /* absolute request number, 0 = off */

void *sono_alloc(size_t n_bytes)
{
    const uint64_t number = atomic_fetch_add(&n_requests, 1) + 1;
    const uint64_t limit = atomic_load(&fail_from);
    if (limit && number >= limit)
        return NULL;
    if (n_bytes > SIZE_MAX - SONO_ALIGN_BYTES)
        return NULL;
    size_t rounded = (n_bytes + SONO_ALIGN_BYTES - 1) / SONO_ALIGN_BYTES * SONO_ALIGN_BYTES;
    if (!rounded)
        rounded = SONO_ALIGN_BYTES;
    void *memory = aligned_alloc(SONO_ALIGN_BYTES, rounded);
    if (memory)
        memset(memory, 0, rounded);
    return memory;
}

void *sono_alloc_array(size_t count, size_t element_bytes)
{
    if (element_bytes && count > SIZE_MAX / element_bytes)
        return NULL;
    return sono_alloc(count * element_bytes);
}

int sono_alloc_grow(void **items, size_t *capacity, size_t needed, size_t element_bytes)
{
    if (needed <= *capacity)
        return 0;
    size_t grown = *capacity ? *capacity * 2 : 16;
    if (grown < needed)
        grown = needed;
    void *larger = sono_alloc_array(grown, element_bytes);
    if (!larger)
        return -1;
    if (*items)
        memcpy(larger, *items, *capacity * element_bytes);
    sono_free(*items);
    *items = larger;
    *capacity = grown;
    return 0;
}

char *sono_strdup(const char *text)
{
    const size_t n_bytes = strlen(text) + 1;
    char *copy = sono_alloc(n_bytes);
    if (copy)
        memcpy(copy, text, n_bytes);
    return copy;
}

void sono_free(void *memory)
{
    free(memory);
}

uint64_t sono_alloc_count(void)
{
    return atomic_load(&n_requests);
}

void sono_alloc_fail_from(uint64_t n)
{
    atomic_store(&fail_from, n ? atomic_load(&n_requests) + n : 0);
}
