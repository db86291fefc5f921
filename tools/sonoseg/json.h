// SPDX-License-Identifier: Apache-2.0
/* Writing JSON text. */
#ifndef SONOSEG_TOOL_JSON_H
#define SONOSEG_TOOL_JSON_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

/* text as a JSON string; bytes that may be a file name's are escaped as sono_json_write_name() does. */
void json_string(FILE *stream, const char *text);

/* Opens an object and writes its first members: version, detector, segmenter, backend, precision. */
void json_begin_report(FILE *stream, const sono_pipeline_info *info);

#endif
