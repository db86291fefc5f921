// SPDX-License-Identifier: Apache-2.0
/* What a frame of the phantom really shows, as a line of frames.jsonl (docs/phantom.md). */
#ifndef SONOSEG_TOOL_TRUTH_LINE_H
#define SONOSEG_TOOL_TRUTH_LINE_H

#include "sonoseg/phantom.h"

#include <stdio.h>

/* Errors are left to ferror(). */
void truth_line_write(FILE *stream, const sono_frame_info *info, const char *name, const sono_truth *truth);

#endif
