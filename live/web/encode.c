// SPDX-License-Identifier: Apache-2.0
#include "web/encode.h"

#include <stdlib.h>
#include <turbojpeg.h>

#define QUALITY 85

uint8_t *sono_web_encode(const uint8_t *rgb, int32_t width_px, int32_t height_px, size_t *n_bytes,
                         const char **type)
{
    unsigned long n = tjBufSize(width_px, height_px, TJSAMP_444);
    tjhandle encoder = tjInitCompress();
    unsigned char *out = encoder && n != (unsigned long)-1 ? malloc(n) : NULL;
    if (out && tjCompress2(encoder, rgb, width_px, 0, height_px, TJPF_RGB, &out, &n, TJSAMP_444, QUALITY,
                           TJFLAG_NOREALLOC)) {
        free(out);
        out = NULL;
    }
    if (encoder) {
        tjDestroy(encoder);
    }
    *n_bytes = n;
    *type = "image/jpeg";
    return out;
}
