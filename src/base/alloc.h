// SPDX-License-Identifier: Apache-2.0
/* The only door to the heap. Counts, and lets a test fail the n-th request. Thread-safe. */
#ifndef SONO_BASE_ALLOC_H
#define SONO_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#define SONO_ALIGN_BYTES 64 /* of every sono_alloc(): a cache line, and the widest CPU vector */

/* Zeroed, SONO_ALIGN_BYTES-aligned memory, or NULL. n_bytes 0 gives a unique pointer. */
void *sono_alloc(size_t n_bytes);

/* The same for count elements of element_bytes each; NULL also when the product overflows. */
void *sono_alloc_array(size_t count, size_t element_bytes);

/* Grows (never shrinks) an array made by sono_alloc_array() to hold at least `needed` elements, doubling.
 * *items and *capacity change only on success. Returns 0, or -1 when out of memory. */
int sono_alloc_grow(void **items, size_t *capacity, size_t needed, size_t element_bytes);

char *sono_strdup(const char *text); /* NULL when out of memory */

void sono_free(void *memory); /* NULL is allowed */

/* Number of requests so far in this process. */
uint64_t sono_alloc_count(void);

/* Test hook: the n-th request from now (1 = the next) and every later one fail; 0 switches it off. */
void sono_alloc_fail_from(uint64_t n);

#endif
