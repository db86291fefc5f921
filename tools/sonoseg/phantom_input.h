// SPDX-License-Identifier: Apache-2.0
/* The input "phantom:[key=value,...]": the synthetic scanner instead of files. */
#ifndef SONOSEG_TOOL_PHANTOM_INPUT_H
#define SONOSEG_TOOL_PHANTOM_INPUT_H

#include "sonoseg/phantom.h"

/* Whether an input names the phantom. */
int phantom_input_matches(const char *input);

/* Reads seed=N, frames=N, sweep=N, size=WxH, rate=HZ, depth=MM, shape=NAME, events=none|held-out|tuning (or
 * 0, 1, 2), only=EVENT (may be repeated; only these kinds), geometry=NAME, orientation=NAME,
 * look_alikes=none|any|NAME (may be repeated), screen=0|1, hard=0|1 and degrade=0|1 over the defaults.
 * 0, -1 after report_error(). What is out of range is left to sono_source_open_phantom(). */
int phantom_input_parse(const char *input, sono_phantom_options *options);

#endif
