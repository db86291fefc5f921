// SPDX-License-Identifier: Apache-2.0
/* Memory for a picture that is being drawn, as many pieces as threads draw at once; kept for the next. */
#ifndef SONO_IO_FOLDER_SCRATCH_H
#define SONO_IO_FOLDER_SCRATCH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define SONO_SCRATCHES_KEPT 64

typedef struct sono_scratch {
    uint8_t *bytes; /* NULL = no memory */
    size_t capacity_bytes;
} sono_scratch;

typedef struct sono_scratches {
    pthread_mutex_t mutex;
    sono_scratch kept[SONO_SCRATCHES_KEPT];
    int32_t n_kept;
} sono_scratches;

void sono_scratches_open(sono_scratches *self);
void sono_scratches_close(sono_scratches *self);

/* At least n_bytes, contents undefined; to be given back. Thread-safe, both. */
sono_scratch sono_scratch_take(sono_scratches *self, size_t n_bytes);
void sono_scratch_give(sono_scratches *self, const sono_scratch *scratch);

#endif
