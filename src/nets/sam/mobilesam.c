// SPDX-License-Identifier: Apache-2.0
/* MobileSAM vit_t as built by mobile_sam/build_sam.py:47-95 @ 34bbbfd: its descriptor, and the decoder's two
 * halves. */
#include "nets/sam/mobilesam.h"

#include "base/alloc.h"
#include "nets/sam/parts.h"

#include <inttypes.h>
#include <stdio.h>

float *sono_mobilesam_take(sono_recorder *rec, const char *name, int32_t n_dims, const int64_t *dims)
{
    if (rec->status != SONO_STATUS_OK || sono_record_adopts(rec))
        return NULL;
    size_t count = 1;
    for (int32_t i = 0; i < n_dims; i++)
        count *= (size_t)dims[i];
    float *values = sono_alloc_array(count, sizeof *values);
    if (!values) {
        sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "%s: out of memory", name));
        return NULL;
    }
    const sono_status status = sono_bind_f32(rec->binder, name, n_dims, dims, values, rec->error);
    if (status != SONO_STATUS_OK) {
        sono_free(values);
        sono_record_latch(rec, status);
        return NULL;
    }
    return values;
}

void sono_mobilesam_record_decoder(sono_recorder *rec, sono_tid embedding, const sono_prompt_tensors *prompts,
                                   sono_tid header, sono_segmenter_outputs *out)
{
    const int32_t side = sono_record_shape(rec, embedding).h, lane = rec->lane;
    const sono_stage stage = rec->stage;
    const sono_op made =
        rec->status == SONO_STATUS_OK ? rec->program->ops[rec->program->n_ops - 1] : (sono_op){0};
    sono_mask_decoder decoder;
    const sono_tid tokens = // [NK, 1, T, 256]
        sono_prompt_encoder_record(rec, prompts, header, side * SONO_MOBILESAM_STRIDE_PX);
    sono_mask_decoder_begin(rec, tokens, &decoder);
    rec->lane = made.lane; /* what waits for no prompt goes on where the embedding was made */
    rec->stage = made.stage;
    const sono_tid dense_pe = sono_prompt_encoder_dense_pe(rec, side);    // [1, side, side, 256]
    const sono_tid src = sono_prompt_encoder_add_no_mask(rec, embedding); // [N, side, side, 256]
    sono_mask_decoder_add_image(rec, src, dense_pe, &decoder);
    rec->lane = lane;
    rec->stage = stage;
    sono_mask_decoder_finish(rec, &decoder, out);
}

/* ---- descriptor ---- */

#define FIRST_WEIGHT "image_encoder.patch_embed.seq.0.c.weight"
#define POSITIONS    "image_encoder.pos_embed" /* of a ViT */

enum { MOST_PX = 2048 };

static sono_status recognise(const sono_name_table *table, sono_model_info *info, sono_error *error)
{
    if (!sono_name_table_find(table, FIRST_WEIGHT))
        return SONO_FAIL(error, UNSUPPORTED,
                         "SAM with a ViT image encoder: only MobileSAM (vit_t) is supported");
    const int64_t stem = sono_name_table_dim(table, FIRST_WEIGHT, 0);
    const int64_t top = sono_name_table_dim(table, "image_encoder.layers.3.blocks.1.attn.qkv.weight", 0);
    const int64_t masks = sono_name_table_dim(table, "mask_decoder.mask_tokens.weight", 0);
    int is_stated = 0;
    if (stem != 32 || top != 960 || masks != 4)
        return SONO_FAIL(error, UNSUPPORTED,
                         "looks like MobileSAM, but is not vit_t: stem of %" PRId64
                         " channels, last stage's qkv of %" PRId64 ", %" PRId64 " mask tokens",
                         stem, top, masks);
    info->n_classes = 0;
    info->n_channels = 3;
    snprintf(info->architecture, sizeof info->architecture, "mobilesam-vit_t");
    return sono_network_stated_size(&sono_mobilesam_network, table, &info->input_width_px,
                                    &info->input_height_px, &is_stated, error);
}

/* Points (where only boxes are given), mask prompts, the three masks of the multi-mask output, the indices of
 * attention biases (made anew) and the classifier of TinyViT's pre-training. */
static const char *const ignored[] = {"prompt_encoder.point_embeddings.0.weight",
                                      "prompt_encoder.point_embeddings.1.weight",
                                      "prompt_encoder.not_a_point_embed.weight",
                                      "prompt_encoder.mask_downscaling.*",
                                      "mask_decoder.output_hypernetworks_mlps.1.*",
                                      "mask_decoder.output_hypernetworks_mlps.2.*",
                                      "mask_decoder.output_hypernetworks_mlps.3.*",
                                      "*.num_batches_tracked",
                                      "*.attention_bias_idxs",
                                      "image_encoder.norm_head.*",
                                      "image_encoder.head.*",
                                      NULL};

const sono_network sono_mobilesam_network = {
    .name = "MobileSAM",
    .role = SONO_ROLE_SEGMENTER,
    .prompts = SONO_PROMPT_BOX | SONO_PROMPT_POINTS,
    .stems = {FIRST_WEIGHT, POSITIONS},
    .ignored = ignored,
    .recognise = recognise,
    .input = {.width_px = 1024,
              .height_px = 1024,
              .step_px = SONO_MOBILESAM_STEP_PX,
              .most_px = MOST_PX,
              .is_square = 1,
              .fit = SONO_FIT_LETTERBOX,
              .mean = {123.675f, 116.28f, 103.53f},
              .inv_std = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f}},
    .encode = sono_tiny_vit_record,
    .decode = sono_mobilesam_record_decoder,
};
