// SPDX-License-Identifier: Apache-2.0
/* Pixels that compress badly and differ from place to place, for tests that write a picture and read it. */
#ifndef SONO_TESTS_NOISE_H
#define SONO_TESTS_NOISE_H

#include "image_writer.h"

#define WIDTH        37
#define HEIGHT       29
#define COUNT        (WIDTH * HEIGHT)
#define MAX_CHANNELS 5

static uint8_t bytes8[COUNT * MAX_CHANNELS];
static uint16_t words16[COUNT * MAX_CHANNELS];

static inline int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT * MAX_CHANNELS; i++) {
        bytes8[i] = (uint8_t)(i * 2654435761u >> 21);
        words16[i] = (uint16_t)(i * 2654435761u >> 13);
    }
    return 0;
}

static inline test_picture picture_of(int channels, int bits)
{
    return (test_picture){WIDTH, HEIGHT, channels, bits, bits == 16 ? (const void *)words16 : bytes8};
}

#endif
