// SPDX-License-Identifier: Apache-2.0
/* What each command asks before it writes anything: sono_output_check() with all that it reads and writes. */
#ifndef SONOSEG_TOOL_OUTPUT_CHECK_H
#define SONOSEG_TOOL_OUTPUT_CHECK_H

#include "pipeline_args.h"

/* inputs: what is read beside the checkpoints; outputs: what is written beside the events; a NULL path is
 * passed over. Returns an exit status (0 = go on) after report_error(). */
int output_check(const pipeline_args *args, const char *const *inputs, int32_t n_inputs,
                 const sono_output *outputs, int32_t n_outputs);

#endif
