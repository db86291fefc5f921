// SPDX-License-Identifier: Apache-2.0
/* What the ops of the state add up in for a frame: the tensor `sums`, which MASK_PROFILE has zeroed. */
#ifndef SONO_ENGINE_CUDA_KERNELS_STATE_SUMS_CUH
#define SONO_ENGINE_CUDA_KERNELS_STATE_SUMS_CUH

#include "engine/agreement.h"
#include "engine/echo_parts.h"

typedef struct state_sums {
    sono_echo_sums echo;
    uint64_t fingerprint;
    int32_t histograms[SONO_ECHO_BANDS][SONO_ECHO_LEVELS];
    int32_t n_echo_blocks; /* of ECHO_PARTS that are done */
    int32_t n_agree_blocks;
    uint64_t
        counts[SONO_AGREE_MOVES]; /* pixels of both masks in the upper half, of one of them in the lower */
    sono_agree_move moves[SONO_AGREE_MOVES];
    int32_t surfaces[SONO_AGREE_MOVES];
    int32_t n_moves;
    int32_t first_row, last_row; /* of the mask before */
} state_sums;

static_assert(sizeof(state_sums) <= SONO_STATE_SUMS * sizeof(int32_t), "the sums of a frame fit");

#endif
