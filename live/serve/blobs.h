// SPDX-License-Identifier: Apache-2.0
/*
 * Messages on their way to clients: encoded once, shared by every client's queue, counted, given back by the
 * last. Memory that is given back is kept and used again, so that after the first frames nothing is
 * allocated; all of it together stays below a bound. Thread-safety: one thread.
 */
#ifndef SONO_SERVE_BLOBS_H
#define SONO_SERVE_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#define SONO_SERVE_BLOB_CLASSES 20 /* capacities: 4 KiB, doubled from class to class, up to 2 GiB */

typedef struct sono_serve_blob {
    uint8_t *bytes;
    size_t capacity;
    size_t n_bytes;  /* the user's: of the message */
    int32_t n_users; /* above 0 while it is lent */
    int32_t size_class;
    struct sono_serve_blob *next; /* the pool's: free ones of its class */
} sono_serve_blob;

typedef struct sono_serve_blobs {
    sono_serve_blob *free[SONO_SERVE_BLOB_CLASSES];
    uint64_t max_bytes;
    uint64_t held_bytes;    /* lent and free */
    uint64_t n_lent;        /* blobs */
    uint64_t n_allocations; /* since init */
    uint64_t n_refused;     /* the bound was reached, or the system had no memory */
} sono_serve_blobs;

void sono_serve_blobs_init(sono_serve_blobs *blobs, uint64_t max_bytes);
/* A blob for at least n_bytes with one user; NULL: no memory below the bound. Contents are what they were. */
sono_serve_blob *sono_serve_blobs_take(sono_serve_blobs *blobs, size_t n_bytes);
/* One more user. Returns blob. */
sono_serve_blob *sono_serve_blob_share(sono_serve_blob *blob);
/* One user less; NULL is allowed. */
void sono_serve_blobs_give(sono_serve_blobs *blobs, sono_serve_blob *blob);
/* Frees what is not lent. At the end: nothing is lent any more. */
void sono_serve_blobs_trim(sono_serve_blobs *blobs);

#endif
