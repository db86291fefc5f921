// SPDX-License-Identifier: Apache-2.0
#include "base/pixel.h"

size_t sono_pixel_bytes(sono_pixel_format format)
{
    switch (format) {
    case SONO_PIXEL_GRAY8:
        return 1;
    case SONO_PIXEL_GRAY16:
        return 2;
    case SONO_PIXEL_RGB8:
        return 3;
    case SONO_PIXEL_RGBA8:
        return 4;
    }
    return 0;
}
