// SPDX-License-Identifier: Apache-2.0
#include "io/formats.h"

#include "sonoseg/io.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct signature {
    const char *name;
    int at; /* offset of the magic bytes */
    int n;
    const char *magic;
} signature;

/* The first that matches counts. */
static const signature signatures[] = {
    {"a BMP file", 0, 2, "BM"},
    {"a WebP file", 8, 4, "WEBP"},
    {"a GIF file", 0, 4, "GIF8"},
    {"a JPEG 2000 file", 0, 12, "\0\0\0\x0cjP  \r\n\x87\n"},
    {"a JPEG 2000 file", 0, 4, "\xff\x4f\xff\x51"},
    {"a JPEG XL file", 0, 12, "\0\0\0\x0cJXL \r\n\x87\n"},
    {"a JPEG XL file", 0, 2, "\xff\x0a"},
    {"a JPEG XR file", 0, 3, "II\xbc"},
    {"a HEIF file", 4, 6, "ftyphe"},
    {"a HEIF file", 4, 8, "ftypmif1"},
    {"an AVIF file", 4, 7, "ftypavi"},
    {"a video", 4, 4, "ftyp"},
    {"a video", 8, 4, "AVI "},
    {"a video", 0, 4, "\x1a\x45\xdf\xa3"},
    {"a DICOM file", 128, 4, "DICM"},
    {"a PDF file", 0, 5, "%PDF-"},
    {"a Photoshop file", 0, 4, "8BPS"},
    {"an OpenEXR file", 0, 4, "\x76\x2f\x31\x01"},
    {"a NumPy file", 0, 6, "\x93NUMPY"},
    {"an HDF5 file", 0, 8, "\x89HDF\r\n\x1a\n"},
    {"a zip archive", 0, 4, "PK\x03\x04"},
    {"a gzip archive", 0, 3, "\x1f\x8b\x08"},
};

static int starts_with(const uint8_t *bytes, size_t n_bytes, const char *magic, size_t n)
{
    return n_bytes >= n && !memcmp(bytes, magic, n);
}

sono_format sono_format_of(const uint8_t *bytes, size_t n_bytes)
{
    if (starts_with(bytes, n_bytes, "\x89PNG\r\n\x1a\n", 8))
        return SONO_FORMAT_PNG;
    if (starts_with(bytes, n_bytes, "\xff\xd8\xff", 3))
        return SONO_FORMAT_JPEG;
    if (starts_with(bytes, n_bytes, "II*\0", 4) || starts_with(bytes, n_bytes, "MM\0*", 4) ||
        starts_with(bytes, n_bytes, "II+\0", 4) || starts_with(bytes, n_bytes, "MM\0+", 4))
        return SONO_FORMAT_TIFF;
    if (n_bytes >= 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
        (n_bytes == 2 || isspace(bytes[2]) || bytes[2] == '#'))
        return SONO_FORMAT_PNM;
    return SONO_FORMAT_NONE;
}

/* "<svg" near the start of a text. */
static int is_svg(const uint8_t *bytes, size_t n_bytes)
{
    const size_t n = n_bytes < SONO_FORMAT_BYTES ? n_bytes : SONO_FORMAT_BYTES;
    for (size_t i = 0; i + 4 <= n && bytes[i]; i++)
        if (!memcmp(bytes + i, "<svg", 4))
            return 1;
    return 0;
}

const char *sono_format_foreign(const uint8_t *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        const signature *s = &signatures[i];
        if (n_bytes >= (size_t)(s->at + s->n) && !memcmp(bytes + s->at, s->magic, (size_t)s->n))
            return s->name;
    }
    return is_svg(bytes, n_bytes) ? "an SVG drawing" : NULL;
}

int32_t sono_source_is_one_frame(const char *path)
{
    uint8_t start[16];
    const int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (descriptor < 0)
        return 0;
    const ssize_t n = pread(descriptor, start, sizeof start, 0);
    close(descriptor);
    const sono_format format = n > 0 ? sono_format_of(start, (size_t)n) : SONO_FORMAT_NONE;
    return format == SONO_FORMAT_PNG || format == SONO_FORMAT_JPEG || format == SONO_FORMAT_PNM;
}
