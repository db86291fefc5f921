// SPDX-License-Identifier: Apache-2.0
/*
 * Sorted lists of item numbers: the lookup tables of this room. Sorting and binary search cost n log n
 * whatever a hostile file puts in, which no hash table with a fixed function can say.
 */
#ifndef SONO_CHECKPOINT_SORT_H
#define SONO_CHECKPOINT_SORT_H

#include <stddef.h>
#include <stdint.h>

/* < 0, 0, > 0 as item a comes before, with or after item b. */
typedef int (*sono_sort_compare)(const void *context, uint32_t a, uint32_t b);

/* Sorts numbers[n] in place, without memory; equal items end up in the order of their numbers. */
void sono_sort(uint32_t *numbers, size_t n, sono_sort_compare compare, const void *context);

/* Text of a given length, not ended by a 0 byte. */
typedef struct sono_text {
    const char *start;
    size_t length;
} sono_text;

sono_text sono_text_of(const char *string);
int sono_text_compare(sono_text a, sono_text b); /* as bytes */

/* Name of an item. */
typedef sono_text (*sono_sort_name)(const void *context, uint32_t item);

/* Fills numbers[n] with 0..n-1 sorted by name. Returns the position p of the first item whose name equals
 * that of position p + 1, or -1 when all names differ. */
int64_t sono_sort_names(uint32_t *numbers, size_t n, sono_sort_name name, const void *context);

/* Item of that name, or -1. */
int64_t sono_sort_find(const uint32_t *numbers, size_t n, sono_sort_name name, const void *context,
                       sono_text wanted);

#endif
