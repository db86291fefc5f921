// SPDX-License-Identifier: Apache-2.0
#include "io/export/gzip.h"

#include "base/alloc.h"

#include <limits.h>

#define LEVEL       6
#define WINDOW_BITS (15 + 16) /* + 16: gzip, without a name or a time */
#define MEMORY      8

static void *take(void *unused, unsigned count, unsigned n_bytes)
{
    (void)unused;
    return sono_alloc_array(count, n_bytes);
}

static void give(void *unused, void *memory)
{
    (void)unused;
    sono_free(memory);
}

int sono_gzip_open(sono_gzip *self, FILE *stream)
{
    self->packer = (z_stream){.zalloc = take, .zfree = give};
    if (deflateInit2(&self->packer, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    self->stream = stream;
    return 0;
}

/* Packs what is there; with Z_FINISH to the end. */
static int pack(sono_gzip *self, int flush)
{
    do {
        self->packer.next_out = self->piece;
        self->packer.avail_out = sizeof self->piece;
        deflate(&self->packer, flush);
        const size_t n = sizeof self->piece - self->packer.avail_out;
        if (fwrite(self->piece, 1, n, self->stream) != n)
            return -1;
    } while (!self->packer.avail_out);
    return 0;
}

int sono_gzip_write(sono_gzip *self, const void *bytes, size_t n_bytes)
{
    const uint8_t *at = bytes;
    while (n_bytes) {
        const size_t n = n_bytes < INT_MAX ? n_bytes : INT_MAX;
        self->packer.next_in = (uint8_t *)at;
        self->packer.avail_in = (unsigned)n;
        if (pack(self, Z_NO_FLUSH))
            return -1;
        at += n;
        n_bytes -= n;
    }
    return 0;
}

int sono_gzip_close(sono_gzip *self, int keep)
{
    if (!self->stream)
        return 0;
    self->packer.next_in = NULL;
    self->packer.avail_in = 0;
    const int status = keep ? pack(self, Z_FINISH) : 0;
    deflateEnd(&self->packer);
    self->stream = NULL;
    return status;
}
