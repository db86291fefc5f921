// SPDX-License-Identifier: Apache-2.0
/* The best few of many values in a defined order: larger first, equal ones by lower index, NaN after every
 * number. */
#ifndef SONO_ENGINE_CPU_KERNELS_RANK_H
#define SONO_ENGINE_CPU_KERNELS_RANK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define RANK_LANES 8

/* One comparable number: above it the value in the order of its bits (NaN lowest), below it the index upside
 * down. */
static inline uint64_t rank_key(float value, int32_t index)
{
    const float folded = value + 0.0f; /* -0 and +0 are equal */
    uint32_t bits;
    memcpy(&bits, &folded, sizeof bits);
    bits = (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
    if (value != value)
        bits = 0;
    return ((uint64_t)bits << 32) | (0xffffffffu - (uint32_t)index);
}

static inline int32_t rank_index(uint64_t key)
{
    return (int32_t)(0xffffffffu - (uint32_t)key);
}

/* Keeps the best `capacity` keys in `best`, descending; *n_best are there so far. */
static inline void rank_insert(uint64_t *best, int32_t *n_best, int32_t capacity, uint64_t key)
{
    if (*n_best == capacity && key < best[capacity - 1])
        return;
    int32_t low = 0, high = *n_best;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (best[middle] > key)
            low = middle + 1;
        else
            high = middle;
    }
    if (*n_best < capacity)
        (*n_best)++;
    memmove(best + low + 1, best + low, (size_t)(*n_best - 1 - low) * sizeof *best);
    best[low] = key;
}

/* Largest number of a row; NaN when there is none. */
static inline float rank_row_max(const float *row, int32_t n)
{
    float lanes[RANK_LANES];
    for (int l = 0; l < RANK_LANES; l++)
        lanes[l] = -INFINITY;
    int32_t i = 0;
    for (; i + RANK_LANES <= n; i += RANK_LANES) {
        for (int l = 0; l < RANK_LANES; l++)
            lanes[l] = row[i + l] > lanes[l] ? row[i + l] : lanes[l];
    }
    float best = -INFINITY;
    for (; i < n; i++)
        best = row[i] > best ? row[i] : best;
    for (int l = 0; l < RANK_LANES; l++)
        best = lanes[l] > best ? lanes[l] : best;
    if (best > -INFINITY)
        return best;
    for (i = 0; i < n; i++) {
        if (row[i] == best)
            return best;
    }
    return NAN;
}

/* First place of a value in a row; 0 when it is not there. */
static inline int32_t rank_row_find(const float *row, int32_t n, float value)
{
    for (int32_t i = 0; i < n; i++) {
        if (row[i] == value)
            return i;
    }
    return 0;
}

#endif
