// SPDX-License-Identifier: Apache-2.0
#include "serve/blobs.h"

#include <stdlib.h>

#define LEAST_BYTES 4096

void sono_serve_blobs_init(sono_serve_blobs *blobs, uint64_t max_bytes)
{
    *blobs = (sono_serve_blobs){.max_bytes = max_bytes};
}

static size_t bytes_of(int32_t size_class)
{
    return (size_t)LEAST_BYTES << size_class;
}

/* A new blob within the bound, at the cost of those that nobody uses. */
static sono_serve_blob *allocate(sono_serve_blobs *blobs, int32_t size_class)
{
    const size_t n_bytes = bytes_of(size_class);
    if (blobs->held_bytes + n_bytes > blobs->max_bytes)
        sono_serve_blobs_trim(blobs);
    if (blobs->held_bytes + n_bytes > blobs->max_bytes)
        return NULL;
    sono_serve_blob *blob = calloc(1, sizeof *blob);
    uint8_t *bytes = malloc(n_bytes);
    if (!blob || !bytes) {
        free(blob);
        free(bytes);
        return NULL;
    }
    blob->bytes = bytes;
    blob->capacity = n_bytes;
    blob->size_class = size_class;
    blobs->held_bytes += n_bytes;
    blobs->n_allocations++;
    return blob;
}

sono_serve_blob *sono_serve_blobs_take(sono_serve_blobs *blobs, size_t n_bytes)
{
    int32_t size_class = 0;
    while (size_class < SONO_SERVE_BLOB_CLASSES && bytes_of(size_class) < n_bytes)
        size_class++;
    sono_serve_blob *blob = NULL;
    if (size_class < SONO_SERVE_BLOB_CLASSES) {
        blob = blobs->free[size_class];
        if (blob)
            blobs->free[size_class] = blob->next;
        else
            blob = allocate(blobs, size_class);
    }
    if (!blob) {
        blobs->n_refused++;
        return NULL;
    }
    blob->next = NULL;
    blob->n_bytes = 0;
    blob->n_users = 1;
    blobs->n_lent++;
    return blob;
}

sono_serve_blob *sono_serve_blob_share(sono_serve_blob *blob)
{
    blob->n_users++;
    return blob;
}

void sono_serve_blobs_give(sono_serve_blobs *blobs, sono_serve_blob *blob)
{
    if (!blob || --blob->n_users > 0)
        return;
    blob->next = blobs->free[blob->size_class];
    blobs->free[blob->size_class] = blob;
    blobs->n_lent--;
}

void sono_serve_blobs_trim(sono_serve_blobs *blobs)
{
    for (int32_t i = 0; i < SONO_SERVE_BLOB_CLASSES; i++) {
        while (blobs->free[i]) {
            sono_serve_blob *blob = blobs->free[i];
            blobs->free[i] = blob->next;
            blobs->held_bytes -= blob->capacity;
            free(blob->bytes);
            free(blob);
        }
    }
}
