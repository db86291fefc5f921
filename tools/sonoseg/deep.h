// SPDX-License-Identifier: Apache-2.0
/* 16-bit samples that are only of 8, 10 or 12 bits, of which nobody says so, are nearly black: a hint, once.
 */
#ifndef SONOSEG_TOOL_DEEP_H
#define SONOSEG_TOOL_DEEP_H

#include "sonoseg/sonoseg.h"

#define DEEP_FRAMES 8 /* so many are looked at */

/* Zero-initialised = nothing seen. */
typedef struct deep {
    int32_t n_frames; /* 16-bit ones of which nobody says what means white */
    int32_t largest;  /* sample of the first DEEP_FRAMES of them */
    int is_over;      /* the hint was given, or there is none to give */
} deep;

/* Returns whether it is time for the hint. */
int deep_look(deep *self, const sono_image *image);

/* The hint; nothing where there is none to give, or once it is over. */
void deep_hint(deep *self);

#endif
