// SPDX-License-Identifier: Apache-2.0
/* `sonoseg top`: what /api/metrics/latest says, as lines for a terminal. */
#ifndef SONOSEG_TOOL_TOP_VIEW_H
#define SONOSEG_TOOL_TOP_VIEW_H

#include <stdio.h>

/* metrics: the answer's JSON; has_colour: with escapes for colour and bold. What is not known is a dash. */
void top_view_write(FILE *stream, const char *metrics, const char *address, int has_colour);

#endif
