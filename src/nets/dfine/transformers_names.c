// SPDX-License-Identifier: Apache-2.0
/*
 * The names that Hugging Face transformers gives D-FINE's tensors, back into the official ones. Read off
 * src/transformers/models/d_fine/convert_d_fine_original_pytorch_checkpoint_to_hf.py:170-310 @ 1e98d0019e71
 * (which maps the other way) and conversion_mapping.py:1611-1616 of release 5.23.0 (aifi, o_proj, mlp: names
 * in memory that some tools save as they are).
 */
#include "nets/dfine/dfine_parts.h"

#include <stdio.h>
#include <string.h>

/* What the rest of a name, behind its prefix, is made of. */
typedef enum rest_kind {
    REST_SAME,
    REST_BACKBONE,
    REST_ENCODER_LAYER,
    REST_DECODER_LAYER,
    REST_BLOCK,
    REST_DOWN,
    REST_PROJ
} rest_kind;

static const struct {
    const char *from;
    const char *to;
    rest_kind rest;
} prefixes[] = {
    {"model.backbone.model.embedder.", "backbone.stem.", REST_BACKBONE},
    {"model.backbone.model.encoder.stages.", "backbone.stages.", REST_BACKBONE},
    {"model.encoder_input_proj.", "encoder.input_proj.", REST_PROJ},
    {"model.encoder.encoder.", "encoder.encoder.", REST_ENCODER_LAYER},
    {"model.encoder.aifi.", "encoder.encoder.", REST_ENCODER_LAYER},
    {"model.encoder.lateral_convs.", "encoder.lateral_convs.", REST_SAME},
    {"model.encoder.fpn_blocks.", "encoder.fpn_blocks.", REST_BLOCK},
    {"model.encoder.pan_blocks.", "encoder.pan_blocks.", REST_BLOCK},
    {"model.encoder.downsample_convs.", "encoder.downsample_convs.", REST_DOWN},
    {"model.decoder_input_proj.", "decoder.input_proj.", REST_PROJ},
    {"model.decoder.layers.", "decoder.decoder.layers.", REST_DECODER_LAYER},
    {"model.decoder.lqe_layers.", "decoder.decoder.lqe_layers.", REST_SAME},
    {"model.decoder.class_embed.", "decoder.dec_score_head.", REST_SAME},
    {"model.decoder.bbox_embed.", "decoder.dec_bbox_head.", REST_SAME},
    {"class_embed.", "decoder.dec_score_head.", REST_SAME},
    {"bbox_embed.", "decoder.dec_bbox_head.", REST_SAME},
    {"model.decoder.", "decoder.", REST_SAME},
    {"model.denoising_class_embed.", "decoder.denoising_class_embed.", REST_SAME},
    {"model.enc_output.0.", "decoder.enc_output.proj.", REST_SAME},
    {"model.enc_output.1.", "decoder.enc_output.norm.", REST_SAME},
    {"model.enc_score_head.", "decoder.enc_score_head.", REST_SAME},
    {"model.enc_bbox_head.", "decoder.enc_bbox_head.", REST_SAME},
};

/* The first that occurs in the rest replaces once. */
static const struct {
    rest_kind rest;
    const char *from;
    const char *to;
} replacements[] = {
    {REST_BACKBONE, ".convolution.", ".conv."},
    {REST_BACKBONE, ".normalization.", ".bn."},
    {REST_PROJ, ".0.", ".conv."},
    {REST_PROJ, ".1.", ".norm."},
    {REST_ENCODER_LAYER, ".self_attn_layer_norm.", ".norm1."},
    {REST_ENCODER_LAYER, ".final_layer_norm.", ".norm2."},
    {REST_DECODER_LAYER, ".self_attn_layer_norm.", ".norm1."},
    {REST_DECODER_LAYER, ".encoder_attn_layer_norm.", ".norm2."},
    {REST_DECODER_LAYER, ".final_layer_norm.", ".norm3."},
    {REST_DECODER_LAYER, ".encoder_attn.", ".cross_attn."},
    {REST_BLOCK, ".csp_rep1.", ".cv2.0."},
    {REST_BLOCK, ".csp_rep2.", ".cv3.0."},
    {REST_BLOCK, ".conv1.", ".cv1."},
    {REST_BLOCK, ".conv2.", ".cv2.1."},
    {REST_BLOCK, ".conv3.", ".cv3.1."},
    {REST_BLOCK, ".conv4.", ".cv4."},
    {REST_DOWN, ".conv1.", ".0.cv1."},
    {REST_DOWN, ".conv2.", ".0.cv2."},
};

/* The same for the layers of both transformers. */
static const struct {
    int32_t part;
    const char *from;
    const char *to;
} layer_replacements[] = {
    {-1, ".self_attn.o_proj.", ".self_attn.out_proj."},
    {-1, ".fc1.", ".linear1."},
    {-1, ".fc2.", ".linear2."},
    {-1, ".mlp.layers.0.", ".linear1."},
    {-1, ".mlp.layers.1.", ".linear2."},
    {0, ".self_attn.q_proj.", ".self_attn.in_proj_"},
    {1, ".self_attn.k_proj.", ".self_attn.in_proj_"},
    {2, ".self_attn.v_proj.", ".self_attn.in_proj_"},
};

/* Writes prefix, then rest with `from` replaced by `to` once. Returns 0 when `from` does not occur. */
static int write_replaced(const char *prefix, const char *rest, const char *from, const char *to, char *out,
                          size_t out_bytes)
{
    const char *found = strstr(rest, from);
    if (!found)
        return 0;
    snprintf(out, out_bytes, "%s%.*s%s%s", prefix, (int)(found - rest), rest, to, found + strlen(from));
    return 1;
}

void sono_dfine_official_name(const char *name, char *out, size_t out_bytes, int32_t *part)
{
    *part = -1;
    size_t i = 0;
    const size_t n = sizeof prefixes / sizeof *prefixes;
    while (i < n && strncmp(name, prefixes[i].from, strlen(prefixes[i].from)) != 0)
        i++;
    if (i == n) {
        snprintf(out, out_bytes, "%s", name);
        return;
    }
    const char *rest = name + strlen(prefixes[i].from), *prefix = prefixes[i].to;
    const rest_kind kind = prefixes[i].rest;
    for (size_t k = 0; k < sizeof replacements / sizeof *replacements; k++)
        if (replacements[k].rest == kind &&
            write_replaced(prefix, rest, replacements[k].from, replacements[k].to, out, out_bytes))
            return;
    const int is_layer = kind == REST_ENCODER_LAYER || kind == REST_DECODER_LAYER;
    for (size_t k = 0; is_layer && k < sizeof layer_replacements / sizeof *layer_replacements; k++)
        if (write_replaced(prefix, rest, layer_replacements[k].from, layer_replacements[k].to, out,
                           out_bytes)) {
            *part = layer_replacements[k].part;
            return;
        }
    snprintf(out, out_bytes, "%s%s", prefix, rest);
}
