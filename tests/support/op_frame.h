// SPDX-License-Identifier: Apache-2.0
/* Frame headers for the tests of ops that read one. */
#ifndef SONO_TESTS_SUPPORT_OP_FRAME_H
#define SONO_TESTS_SUPPORT_OP_FRAME_H

#include "op_test.h"

/* An INPUT with the header of a width x height frame; pitch, format and grey scale 0. */
static inline sono_tid op_frame_header(sono_op_test *t, int32_t width_px, int32_t height_px, float threshold)
{
    const sono_frame_header header = {.width_px = width_px, .height_px = height_px, .threshold = threshold};
    return sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof header, &header);
}

#endif
