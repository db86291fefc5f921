// SPDX-License-Identifier: Apache-2.0
#ifndef SONO_BASE_PIXEL_H
#define SONO_BASE_PIXEL_H

#include "sonoseg/sonoseg.h"

/* Bytes of one pixel; 0 for a format that does not exist. */
size_t sono_pixel_bytes(sono_pixel_format format);

#endif
