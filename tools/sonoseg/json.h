// SPDX-License-Identifier: Apache-2.0
/* Writing JSON text. */
#ifndef SONOSEG_TOOL_JSON_H
#define SONOSEG_TOOL_JSON_H

#include <stdio.h>

/* text as a JSON string; ASCII quotes, backslashes and control characters escaped, other bytes as they are.
 */
void json_string(FILE *stream, const char *text);

#endif
