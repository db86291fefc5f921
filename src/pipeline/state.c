// SPDX-License-Identifier: Apache-2.0
#include "pipeline/state.h"

sono_state sono_state_of(const sono_detection *best)
{
    return best->valid > 0.0f ? SONO_STATE_VISIBLE : SONO_STATE_LOST;
}
