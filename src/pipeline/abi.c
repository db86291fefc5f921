// SPDX-License-Identifier: Apache-2.0
/*
 * What the binary interface promises about its structs, held by the compiler (docs/abi.md): a struct that
 * grows has no padding at its end, where a new field would lie inside the size that older callers state.
 */
#include "sonoseg/cuda.h"
#include "sonoseg/models.h"
#include "sonoseg/sonoseg.h"

#define ENDS_WITH(type, last)                                                                                \
    _Static_assert(sizeof(type) == offsetof(type, last) + sizeof(((type *)0)->last),                         \
                   #type " has padding behind its last field: add a reserved one")

ENDS_WITH(sono_image, gray16_white);
ENDS_WITH(sono_frame_info, region);
ENDS_WITH(sono_pipeline_config, region);
ENDS_WITH(sono_pipeline_info, segmenter);
ENDS_WITH(sono_input, n_bytes);
ENDS_WITH(sono_parts, reserved);
ENDS_WITH(sono_state_rules, unknown_part);
ENDS_WITH(sono_state_report, repeat_us);
