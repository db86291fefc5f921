// SPDX-License-Identifier: Apache-2.0
/* POSITION (QTRANS is the same under another name): where something is. Conventions are those of messages.h.
 */
#ifndef SONO_IGTL_TRACKING_H
#define SONO_IGTL_TRACKING_H

#include "igtl/messages.h"

typedef struct sono_igtl_position {
    float position_mm[3];
    float quaternion[4];  /* x, y, z, w; what was not sent is 0 */
    uint8_t n_quaternion; /* sent: 0, 3 or 4 numbers */
} sono_igtl_position;

/* 12, 24 or 28 bytes. Errors: MALFORMED (any other length). */
sono_igtl_status sono_igtl_position_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_position *out,
                                           sono_igtl_fault *fault);
void sono_igtl_position_encode(sono_igtl_writer *writer, const sono_igtl_position *position);

#endif
