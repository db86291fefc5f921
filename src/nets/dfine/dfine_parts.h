// SPDX-License-Identifier: Apache-2.0
/* What the parts of D-FINE share: the table of sizes, and one recorder a part. All latch failures in rec. */
#ifndef SONO_NETS_DFINE_DFINE_PARTS_H
#define SONO_NETS_DFINE_DFINE_PARTS_H

#include "nets/dfine/dfine.h"

#define SONO_DFINE_MAX_LEVELS 3
#define SONO_DFINE_N_STAGES   4  /* of the backbone; strides 4, 8, 16, 32 */
#define SONO_DFINE_N_HEADS    8  /* encoder and decoder */
#define SONO_DFINE_N_POINTS   12 /* that each head samples, all levels together */
#define SONO_DFINE_STEP_PX    32 /* stride of the coarsest level */

typedef struct sono_hgnetv2_stage {
    int32_t c_in, c_mid, c_out;
    int32_t n_blocks, n_layers, kernel;
    int32_t is_light; /* layers are a 1 x 1 and a depthwise convolution */
} sono_hgnetv2_stage;

typedef struct sono_hgnetv2_arch {
    int32_t c_stem_mid, c_stem_out;
    sono_hgnetv2_stage stages[SONO_DFINE_N_STAGES];
} sono_hgnetv2_arch;

extern const sono_hgnetv2_arch sono_hgnetv2_b0, sono_hgnetv2_b2, sono_hgnetv2_b4, sono_hgnetv2_b5;

/* One size of the network; levels are the feature maps between the parts, finest first, the last of
 * stride 32. */
typedef struct sono_dfine_size {
    const char *architecture; /* as sono_model_info has it */
    const sono_hgnetv2_arch *backbone;
    int32_t use_lab; /* a learnable affine block follows each of the backbone's activations */
    int32_t n_levels;
    int32_t c_encoder, c_encoder_feedforward;
    int32_t c_csp;     /* channels of a fusion block's bottlenecks */
    int32_t csp_depth; /* bottlenecks in a row */
    int32_t c_decoder, c_decoder_feedforward;
    int32_t n_decoder_layers;
    int32_t level_points[SONO_DFINE_MAX_LEVELS]; /* sampling points a head */
    float reg_scale;                             /* where the checkpoint has none of its own */
} sono_dfine_size;

extern const sono_dfine_size sono_dfine_sizes[]; /* ended by one without an architecture */

/* Official name of a name in transformers' layout; see sono_naming. */
void sono_dfine_official_name(const char *name, char *out, size_t out_bytes, int32_t *part);

/* image -> the last n_levels stages' maps. */
void sono_hgnetv2_record(sono_recorder *rec, const sono_dfine_size *size, sono_tid image,
                         sono_tid levels[SONO_DFINE_MAX_LEVELS]);

/* The backbone's levels -> fused ones of c_encoder channels. outs: where to write each level; 0 = a new
 * tensor. */
void sono_hybrid_encoder_record(sono_recorder *rec, const sono_dfine_size *size,
                                const sono_tid levels[SONO_DFINE_MAX_LEVELS],
                                sono_tid outs[SONO_DFINE_MAX_LEVELS]);

/* memory [N, 1, tokens, c_decoder]: all levels one after the other, maps of shapes[i].h x shapes[i].w
 * positions. */
void sono_dfine_decoder_record(sono_recorder *rec, const sono_dfine_size *size, int32_t n_classes,
                               sono_tid memory, const sono_tensor shapes[SONO_DFINE_MAX_LEVELS],
                               sono_detector_outputs *out);

#endif
