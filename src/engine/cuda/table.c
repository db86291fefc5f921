// SPDX-License-Identifier: Apache-2.0
/* The launchers of every candidate. */
#include "engine/cuda/kernels/kernels.h"

#define TILE(id, ...)                                                                                        \
    [SONO_CUDA_CONV_##id] = {.prepare = sono_cuda_conv_tile_prepare, .run = sono_cuda_conv_tile},

/* clang-format off */
const sono_cuda_kernel sono_cuda_kernels[SONO_CUDA_CANDIDATE_COUNT] = {
    [SONO_CUDA_FIND_REGION] = {.run = sono_cuda_find_region},
    [SONO_CUDA_PREPROCESS] = {.run = sono_cuda_preprocess},
    [SONO_CUDA_CONV_THIN] = {.run = sono_cuda_conv_thin},
    SONO_CONV_HALF_TILES(TILE)
    SONO_CONV_FLOAT_TILES(TILE)
    [SONO_CUDA_DWCONV_STRIP] = {.run = sono_cuda_dwconv},
    [SONO_CUDA_DWCONV_VECTOR] = {.run = sono_cuda_dwconv},
    [SONO_CUDA_DWCONV_SCALAR] = {.run = sono_cuda_dwconv},
    [SONO_CUDA_MAX_POOL] = {.run = sono_cuda_max_pool},
    [SONO_CUDA_UPSAMPLE2] = {.run = sono_cuda_upsample2},
    [SONO_CUDA_LAYER_NORM] = {.run = sono_cuda_layer_norm},
    [SONO_CUDA_ADD] = {.run = sono_cuda_add},
    [SONO_CUDA_SCALE_ROWS] = {.run = sono_cuda_scale_rows},
    [SONO_CUDA_UNARY] = {.run = sono_cuda_unary},
    [SONO_CUDA_ATTENTION_NARROW] = {.run = sono_cuda_attention_narrow},
    [SONO_CUDA_ATTENTION_TENSOR] = {.prepare = sono_cuda_attention_tensor_prepare,
                                    .run = sono_cuda_attention_tensor},
    [SONO_CUDA_ATTENTION_PLAIN] = {.run = sono_cuda_attention_plain},
    [SONO_CUDA_DEFORM] = {.run = sono_cuda_deform},
    [SONO_CUDA_GATED_NORM] = {.run = sono_cuda_gated_norm},
    [SONO_CUDA_TOPK_ROWS] = {.run = sono_cuda_topk_rows},
    [SONO_CUDA_FDR_BOX] = {.run = sono_cuda_fdr_box},
    [SONO_CUDA_LQE_STAT] = {.run = sono_cuda_lqe_stat},
    [SONO_CUDA_SELECT] = {.run = sono_cuda_select},
    [SONO_CUDA_FOLLOW] = {.run = sono_cuda_follow},
    [SONO_CUDA_PROMPT] = {.run = sono_cuda_prompt},
    [SONO_CUDA_HYPER_MASK] = {.run = sono_cuda_hyper_mask},
    [SONO_CUDA_UPSAMPLE_MASK] = {.run = sono_cuda_upsample_mask},
    [SONO_CUDA_CLEAN_MASK] = {.run = sono_cuda_clean_mask},
    [SONO_CUDA_MASK_PROFILE] = {.run = sono_cuda_mask_profile},
    [SONO_CUDA_ECHO_PARTS] = {.run = sono_cuda_echo_parts},
    [SONO_CUDA_AGREEMENT] = {.run = sono_cuda_agreement},
    [SONO_CUDA_SHOW_MASK] = {.run = sono_cuda_show_mask},
    [SONO_CUDA_BRIDGE_MASK] = {.run = sono_cuda_bridge_mask},
    [SONO_CUDA_STATE] = {.run = sono_cuda_state},
    [SONO_CUDA_SCHEDULE] = {.run = sono_cuda_schedule},
    [SONO_CUDA_DOUBT] = {.run = sono_cuda_doubt},
    [SONO_CUDA_SURFACE] = {.run = sono_cuda_surface},
    [SONO_CUDA_WEIGHT_MAPS] = {.run = sono_cuda_weight_maps},
    [SONO_CUDA_MBCONV] = {.prepare = sono_cuda_mbconv_prepare, .run = sono_cuda_mbconv},
#ifdef SONO_HAVE_SM90
    [SONO_CUDA_ATTENTION_FEW] = {.run = sono_cuda_attention_few},
    [SONO_CUDA_CHAIN_LINEAR] = {.prepare = sono_cuda_chain_prepare, .run = sono_cuda_chain},
    [SONO_CUDA_CHAIN_ROWS] = {.prepare = sono_cuda_chain_prepare, .run = sono_cuda_chain},
    [SONO_CUDA_NORM_LINEAR] = {.prepare = sono_cuda_norm_linear_prepare, .run = sono_cuda_norm_linear},
    [SONO_CUDA_MLP] = {.prepare = sono_cuda_mlp_prepare, .run = sono_cuda_mlp},
#endif
};
/* clang-format on */
