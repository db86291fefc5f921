// SPDX-License-Identifier: Apache-2.0
/* A trace as the JSON that Chrome's and Perfetto's viewers read. */
#ifndef SONOSEG_TOOL_TRACE_FILE_H
#define SONOSEG_TOOL_TRACE_FILE_H

#include "sonoseg/diagnostics.h"

/* Records ordered by start. Returns 0, or -1 after report_error(). */
int trace_file_write(const char *path, const sono_trace_record *records, int64_t n_records);

#endif
