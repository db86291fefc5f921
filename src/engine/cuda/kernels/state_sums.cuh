// SPDX-License-Identifier: Apache-2.0
/* What the ops of the state add up in for a frame: the tensor `sums`, which MASK_PROFILE has zeroed. */
#ifndef SONO_ENGINE_CUDA_KERNELS_STATE_SUMS_CUH
#define SONO_ENGINE_CUDA_KERNELS_STATE_SUMS_CUH

#include "engine/agreement.h"
#include "engine/echo_parts.h"

/* What two frames' masks are compared by. */
enum { SONO_AGREE_BY_NOTHING, SONO_AGREE_BY_SHIFT, SONO_AGREE_BY_POSE };

typedef struct state_sums {
    sono_echo_sums echo;
    uint64_t fingerprint;
    int32_t histograms[SONO_ECHO_BANDS][SONO_ECHO_LEVELS];
    int32_t n_echo_blocks; /* of ECHO_PARTS that are done */
    int32_t n_agree_blocks;
    int32_t agree_by; /* one of the SONO_AGREE_BY_ */
    uint64_t
        ranks[2]; /* of the best shifts in x and y, all bits turned round, so that the most is the best */
    sono_agree_move pose;
    uint64_t counts[SONO_AGREE_MOVES];   /* pixels of both masks << 32 | pixels of one of them */
    uint64_t surfaces[SONO_AGREE_MOVES]; /* sum << 32 | columns of a sono_agree_surface */
} state_sums;

static_assert(sizeof(state_sums) <= SONO_STATE_SUMS * sizeof(int32_t), "the sums of a frame fit");

#endif
