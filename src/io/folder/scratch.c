// SPDX-License-Identifier: Apache-2.0
#include "io/folder/scratch.h"

#include "base/alloc.h"

void sono_scratches_open(sono_scratches *self)
{
    *self = (sono_scratches){.n_kept = 0};
    pthread_mutex_init(&self->mutex, NULL);
}

void sono_scratches_close(sono_scratches *self)
{
    while (self->n_kept > 0)
        sono_free(self->kept[--self->n_kept].bytes);
    pthread_mutex_destroy(&self->mutex);
}

sono_scratch sono_scratch_take(sono_scratches *self, size_t n_bytes)
{
    sono_scratch found = {0};
    pthread_mutex_lock(&self->mutex);
    if (self->n_kept > 0)
        found = self->kept[--self->n_kept];
    pthread_mutex_unlock(&self->mutex);
    if (n_bytes <= found.capacity_bytes)
        return found;
    sono_free(found.bytes);
    found.bytes = sono_alloc(n_bytes);
    found.capacity_bytes = found.bytes ? n_bytes : 0;
    return found;
}

void sono_scratch_give(sono_scratches *self, const sono_scratch *scratch)
{
    pthread_mutex_lock(&self->mutex);
    const int is_kept = self->n_kept < SONO_SCRATCHES_KEPT;
    if (is_kept)
        self->kept[self->n_kept++] = *scratch;
    pthread_mutex_unlock(&self->mutex);
    if (!is_kept)
        sono_free(scratch->bytes);
}
