// SPDX-License-Identifier: Apache-2.0
/* How many stages this library has: programs ask sono_stage_count(). */
#ifndef SONO_BASE_STAGES_H
#define SONO_BASE_STAGES_H

#include "sonoseg/sonoseg.h"

enum {
#define SONO_STAGE_ONE(name, text) +1
    SONO_STAGE_COUNT = 0 SONO_STAGE_MAP(SONO_STAGE_ONE)
#undef SONO_STAGE_ONE
};

#endif
