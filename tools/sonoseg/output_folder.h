// SPDX-License-Identifier: Apache-2.0
/* A folder that the command writes into. */
#ifndef SONOSEG_TOOL_OUTPUT_FOLDER_H
#define SONOSEG_TOOL_OUTPUT_FOLDER_H

/* Makes it with its parents where they are missing. Returns 0, or -1 after report_error(). */
int output_folder_make(const char *path);

#endif
