// SPDX-License-Identifier: Apache-2.0
/* The frame that `bench` times without inputs: speckle, a bright arc like a bone's surface, and its shadow.
 */
#ifndef SONOSEG_TOOL_PHANTOM_FRAME_H
#define SONOSEG_TOOL_PHANTOM_FRAME_H

#include "sonoseg/sonoseg.h"

#define PHANTOM_WIDTH_PX  640
#define PHANTOM_HEIGHT_PX 480

typedef struct phantom_frame {
    uint8_t pixels[PHANTOM_WIDTH_PX * PHANTOM_HEIGHT_PX];
} phantom_frame;

/* The same pixels in every run, by integer arithmetic only. */
void phantom_frame_draw(phantom_frame *phantom);

/* The pixels stay phantom's. */
sono_image phantom_frame_view(const phantom_frame *phantom);

#endif
