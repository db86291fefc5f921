// SPDX-License-Identifier: Apache-2.0
#include "serve/nearest.h"

#include <string.h>

#define MAX_WORD 48

/* Levenshtein distance of words of at most MAX_WORD letters. */
static size_t distance(const char *left, const char *right)
{
    size_t row[MAX_WORD + 1];
    const size_t n_left = strlen(left), n_right = strlen(right);
    if (n_left > MAX_WORD || n_right > MAX_WORD)
        return MAX_WORD;
    for (size_t j = 0; j <= n_right; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_left; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_right; j++) {
            const size_t replaced = diagonal + (left[i - 1] != right[j - 1]);
            const size_t shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[n_right];
}

const char *sono_serve_nearest(const char *word, const char *const *names)
{
    const size_t length = strlen(word);
    size_t best = (length < 6 ? 2 : length / 3) + 1;
    const char *nearest = NULL;
    for (; *names; names++) {
        const size_t d = length >= 3 && !strncmp(word, *names, length) ? 1 : distance(word, *names);
        if (d < best) {
            best = d;
            nearest = *names;
        }
    }
    return nearest;
}
