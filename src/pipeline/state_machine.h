// SPDX-License-Identifier: Apache-2.0
/* The machine's rules and parts, as the public header has them and as the engines do. */
#ifndef SONO_PIPELINE_STATE_MACHINE_H
#define SONO_PIPELINE_STATE_MACHINE_H

#include "engine/state_machine.h"

/* rules: NULL = the defaults. Errors: INVALID_ARGUMENT (not initialised, no such mode, a rule outside its
 * range, off above on, agree_off above agree_on), UNSUPPORTED (of a newer release). */
sono_status sono_state_rules_resolve(const sono_state_rules *rules, sono_state_mode mode,
                                     sono_machine_rules *out, sono_error *error);

/* What a packet shows of a verdict. */
void sono_state_show(const sono_verdict *verdict, sono_parts *parts, sono_state_report *report);

#endif
