// SPDX-License-Identifier: Apache-2.0
/* What the newest frame says about the structure. A later release adds memory between frames (RELOCALIZING).
 */
#ifndef SONO_PIPELINE_STATE_H
#define SONO_PIPELINE_STATE_H

#include "graph/program.h"

/* best: the first row of SELECT_BOXES. The gate was applied where that op ran; nothing is decided again here.
 */
sono_state sono_state_of(const sono_detection *best);

#endif
