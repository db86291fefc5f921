// SPDX-License-Identifier: Apache-2.0
/* What the state machine must say, told from the whole history of a stream instead of a memory. */
#ifndef SONO_TESTS_SUPPORT_STATE_REFERENCE_H
#define SONO_TESTS_SUPPORT_STATE_REFERENCE_H

#include "engine/state_machine.h"

typedef struct state_reference_frame {
    sono_frame_parts parts;
    sono_state_frame when;
} state_reference_frame;

/* verdicts: [n]. rules: BY_STREAM. frames[0] begins the stream. */
void state_reference(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t n,
                     sono_verdict *verdicts);

/* Rules to test with; not the library's defaults, which are fitted anew now and then. */
sono_machine_rules state_reference_rules(void);

#endif
