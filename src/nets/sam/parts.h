// SPDX-License-Identifier: Apache-2.0
/* What the segmenter's files hand to each other. Every function latches failures in rec. */
#ifndef SONO_NETS_SAM_PARTS_H
#define SONO_NETS_SAM_PARTS_H

#include "nets/sam/mobilesam.h"

#define SONO_MOBILESAM_STEP_PX   64  /* the input's side is a multiple of it */
#define SONO_MOBILESAM_STRIDE_PX 16  /* of the image embedding, on S/16 x S/16 positions */
#define SONO_MOBILESAM_CHANNELS  256 /* of the embedding and of a token */
#define SONO_MOBILESAM_TOKENS    5   /* IoU, four masks; the prompt's follow: T in all, 7 with a box */

#define SONO_LAYER_NORM_2D_EPS 1e-6f /* LayerNorm2d's, mobile_sam/modeling/common.py:32 @ 34bbbfd */

/* The checkpoint's tensor `name` of shape dims[n_dims], row-major, in memory of its own; freed by the caller
 * with sono_free(). NULL after a failure, and where nothing is to be read (sono_record_adopts()). */
float *sono_mobilesam_take(sono_recorder *rec, const char *name, int32_t n_dims, const int64_t *dims);

/* The output tokens and the embedded prompt of each object: [NK, 1, T, 256]. input_px: S. */
sono_tid sono_prompt_encoder_record(sono_recorder *rec, const sono_prompt_tensors *prompts, sono_tid header,
                                    int32_t input_px);

/* Position encoding of the embedding's grid, a param [1, side, side, 256]. */
sono_tid sono_prompt_encoder_dense_pe(sono_recorder *rec, int32_t side);

/* embedding [N, S/16, S/16, 256] plus the vector that stands for "no mask given", same shape. */
sono_tid sono_prompt_encoder_add_no_mask(sono_recorder *rec, sono_tid embedding);

/* The mask decoder between its steps: the two-way transformer's state. K objects, T tokens each. */
typedef struct sono_mask_decoder {
    int32_t n_objects;
    sono_tid tokens;              /* [K, 1, T, 256]: the queries' position encoding */
    sono_tid dense_pe;            /* [1, side, side, 256]: the keys' */
    sono_tid queries;             /* [K, 1, T, 256] */
    sono_tid keys;                /* [1 or K, side, side, 256] */
    sono_tid k_and_q[2], v;       /* of a layer's keys: each [1 or K, side, side, 128] */
    sono_tid q, token_k, token_v; /* of its tokens: [K, 1, T, 128] */
} sono_mask_decoder;

/* In this order: what needs the prompt alone, tokens [K, 1, T, 256]; what needs the image alone, src [1 or K,
 * side, side, 256] and dense_pe [1, side, side, 256]; the rest, which needs both. */
void sono_mask_decoder_begin(sono_recorder *rec, sono_tid tokens, sono_mask_decoder *decoder);
void sono_mask_decoder_add_image(sono_recorder *rec, sono_tid src, sono_tid dense_pe,
                                 sono_mask_decoder *decoder);
void sono_mask_decoder_finish(sono_recorder *rec, sono_mask_decoder *decoder, sono_segmenter_outputs *out);

#endif
