// SPDX-License-Identifier: Apache-2.0
#include "io/sequences/pixels.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *take_memory(void *user, unsigned count, unsigned bytes)
{
    (void)user;
    return sono_alloc_array(count, bytes);
}

static void give_memory(void *user, void *memory)
{
    (void)user;
    sono_free(memory);
}

void sono_sequence_pixels_close(sono_sequence_pixels *pixels)
{
    if (pixels->is_inflating)
        (void)inflateEnd(&pixels->stream);
    if (pixels->file >= 0)
        close(pixels->file);
    sono_free(pixels->packed);
    sono_free(pixels->skipped);
    *pixels = (sono_sequence_pixels){.file = -1};
}

/* Up to n_bytes at `at`; *n_read less only at the end of the file. */
static sono_status read_at(const sono_sequence_pixels *pixels, void *out, size_t n_bytes, int64_t at,
                           size_t *n_read, sono_error *error)
{
    *n_read = 0;
    while (*n_read < n_bytes) {
        const ssize_t n =
            pread(pixels->file, (uint8_t *)out + *n_read, n_bytes - *n_read, (off_t)(at + (int64_t)*n_read));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", pixels->path,
                                    strerror(errno));
        if (n == 0)
            break;
        *n_read += (size_t)n;
    }
    return SONO_STATUS_OK;
}

static sono_status fail_cut(const sono_sequence_pixels *pixels, int64_t at, sono_error *error)
{
    return SONO_FAIL_AT(error, FORMAT, at, "%s: cut short: the pixels end in frame %lld of %lld",
                        pixels->path, (long long)pixels->n_given + 1, (long long)pixels->n_frames);
}

static sono_status fail_damaged(const sono_sequence_pixels *pixels, int code, sono_error *error)
{
    if (code == Z_MEM_ERROR)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for unpacking", pixels->path);
    return SONO_FAIL_AT(error, FORMAT, pixels->at - pixels->stream.avail_in,
                        "%s: the compressed pixels are damaged in frame %lld of %lld: %s", pixels->path,
                        (long long)pixels->n_given + 1, (long long)pixels->n_frames,
                        pixels->stream.msg ? pixels->stream.msg : "not zlib or gzip data");
}

static sono_status refill(sono_sequence_pixels *pixels, sono_error *error)
{
    size_t n_read;
    const int64_t left = pixels->end - pixels->at;
    const size_t wanted =
        left < (int64_t)SONO_SEQUENCE_PIECE_BYTES ? (size_t)left : SONO_SEQUENCE_PIECE_BYTES;
    SONO_TRY(read_at(pixels, pixels->packed, wanted, pixels->at, &n_read, error));
    if (!n_read)
        return fail_cut(pixels, pixels->at, error);
    pixels->at += (int64_t)n_read;
    pixels->stream.next_in = pixels->packed;
    pixels->stream.avail_in = (unsigned)n_read;
    return SONO_STATUS_OK;
}

/* One call of inflate() with input there; a gzip file may be several, one behind the other. */
static sono_status inflate_some(sono_sequence_pixels *pixels, sono_error *error)
{
    z_stream *stream = &pixels->stream;
    if (!stream->avail_in)
        SONO_TRY(refill(pixels, error));
    int code = pixels->has_ended ? inflateReset(stream) : Z_OK;
    pixels->has_ended = 0;
    if (code == Z_OK)
        code = inflate(stream, Z_NO_FLUSH);
    pixels->has_ended = code == Z_STREAM_END;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ? SONO_STATUS_OK
                                                                       : fail_damaged(pixels, code, error);
}

/* The next n_bytes unpacked; out NULL = passed over. */
static sono_status unpack(sono_sequence_pixels *pixels, uint8_t *out, int64_t n_bytes, sono_error *error)
{
    z_stream *stream = &pixels->stream;
    if (!out && n_bytes > 0 && !pixels->skipped && !(pixels->skipped = sono_alloc(SONO_SEQUENCE_PIECE_BYTES)))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for unpacking", pixels->path);
    while (n_bytes > 0) {
        const size_t most = out ? (size_t)1 << 30 : SONO_SEQUENCE_PIECE_BYTES;
        const size_t wanted = n_bytes < (int64_t)most ? (size_t)n_bytes : most;
        stream->next_out = out ? out : pixels->skipped;
        stream->avail_out = (unsigned)wanted;
        while (stream->avail_out)
            SONO_TRY(inflate_some(pixels, error));
        n_bytes -= (int64_t)wanted;
        out = out ? out + wanted : NULL;
    }
    return SONO_STATUS_OK;
}

static sono_status open_packed(sono_sequence_pixels *pixels, const sono_sequence_layout *layout,
                               sono_error *error)
{
    if (layout->stored_bytes > pixels->end - pixels->at)
        return SONO_FAIL_AT(error, FORMAT, pixels->at,
                            "%s: cut short: the header names %lld bytes of compressed pixels, %lld are there",
                            pixels->path, (long long)layout->stored_bytes,
                            (long long)(pixels->end - pixels->at));
    if (layout->stored_bytes > 0)
        pixels->end = pixels->at + layout->stored_bytes;
    pixels->packed = sono_alloc(SONO_SEQUENCE_PIECE_BYTES);
    pixels->stream = (z_stream){.zalloc = take_memory, .zfree = give_memory};
    if (!pixels->packed || inflateInit2(&pixels->stream, MAX_WBITS + 32) != Z_OK)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for unpacking", pixels->path);
    pixels->is_inflating = 1;
    return unpack(pixels, NULL, layout->skip_bytes, error);
}

static sono_status open_plain(sono_sequence_pixels *pixels, const sono_sequence_layout *layout,
                              sono_error *error)
{
    const int64_t total = (int64_t)layout->frame_bytes * layout->n_frames; /* below 2^62 */
    if (layout->skip_bytes < 0)
        pixels->at = total < pixels->end - pixels->at ? pixels->end - total : pixels->at;
    else
        pixels->at += layout->skip_bytes;
    if (total > pixels->end - pixels->at)
        return SONO_FAIL_AT(
            error, FORMAT, pixels->end,
            "%s: cut short: the header names %lld bytes of pixels from byte %lld on, the file has "
            "%lld in all",
            pixels->path, (long long)total, (long long)pixels->at, (long long)pixels->end);
    return SONO_STATUS_OK;
}

sono_status sono_sequence_pixels_open(sono_sequence_pixels *pixels, int file, const char *path,
                                      int64_t header_end, const sono_sequence_layout *layout,
                                      sono_error *error)
{
    struct stat facts;
    *pixels = (sono_sequence_pixels){.path = path,
                                     .file = file,
                                     .at = header_end,
                                     .frame_bytes = layout->frame_bytes,
                                     .n_frames = layout->n_frames,
                                     .is_compressed = layout->is_compressed};
    if (fstat(file, &facts))
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return SONO_FAIL(error, IO, "%s: not a regular file: a sequence cannot come from a pipe or a device",
                         path);
    pixels->end = facts.st_size;
    if (!layout->frame_bytes || !layout->n_frames)
        return SONO_STATUS_OK;
    return pixels->is_compressed ? open_packed(pixels, layout, error) : open_plain(pixels, layout, error);
}

sono_status sono_sequence_pixels_next(sono_sequence_pixels *pixels, void *out, sono_error *error)
{
    size_t n_read = pixels->frame_bytes;
    if (pixels->is_compressed) {
        SONO_TRY(unpack(pixels, out, (int64_t)pixels->frame_bytes, error));
    } else {
        if (out)
            SONO_TRY(read_at(pixels, out, pixels->frame_bytes, pixels->at, &n_read, error));
        if (n_read < pixels->frame_bytes) /* the file has become shorter since */
            return fail_cut(pixels, pixels->at + (int64_t)n_read, error);
        pixels->at += (int64_t)pixels->frame_bytes;
    }
    pixels->n_given++;
    return SONO_STATUS_OK;
}
