// SPDX-License-Identifier: Apache-2.0
/* The kernels of one instruction set. */
#include "engine/cpu/kernels/kernels.h"

#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

/* clang-format off */
#define RUN(kind, name)         [SONO_OP_##kind] = {#name, SONO_KERNEL(sono_cpu_##name), 0}
#define RUN_SCRATCH(kind, name) [SONO_OP_##kind] = {#name, SONO_KERNEL(sono_cpu_##name), SONO_KERNEL(sono_cpu_##name##_scratch)}
/* clang-format on */

const sono_cpu_table SONO_KERNEL(sono_cpu_table) = {
    .isa = TEXT(SONO_ISA),
    .kernels =
        {
            RUN(FIND_REGION, find_region),
            RUN_SCRATCH(PREPROCESS, preprocess),
            RUN_SCRATCH(CONV, conv),
            RUN_SCRATCH(LINEAR, conv),
            RUN(DWCONV, dwconv),
            RUN(MAX_POOL, max_pool),
            RUN(UPSAMPLE2, upsample2),
            RUN(LAYER_NORM, layer_norm),
            RUN(ADD, add),
            RUN(SCALE_ROWS, scale_rows),
            RUN(UNARY, unary),
            RUN_SCRATCH(ATTENTION, attention),
            RUN(DEFORM_ATTENTION, deform),
            RUN(GATED_NORM, gated_norm),
            RUN_SCRATCH(TOPK_ROWS, topk_rows),
            RUN(FDR_BOX, fdr_box),
            RUN(LQE_STAT, lqe_stat),
            RUN_SCRATCH(SELECT_BOXES, select),
            RUN(FOLLOW_BOX, follow),
            RUN(PROMPT, prompt),
            RUN(HYPER_MASK, hyper_mask),
            RUN_SCRATCH(UPSAMPLE_MASK, upsample_mask),
            RUN(CLEAN_MASK, clean_mask),
            RUN(MASK_PROFILE, mask_profile),
            RUN(ECHO_PARTS, echo_parts),
            RUN(AGREEMENT, agreement),
            RUN(SHOW_MASK, show_mask),
            RUN(BRIDGE_MASK, bridge_mask),
            RUN(STATE, state),
            RUN(SCHEDULE, schedule),
            RUN(DOUBT, doubt),
            RUN(SURFACE, surface),
            RUN_SCRATCH(WEIGHT_MAPS, weight_maps),
        },
};
