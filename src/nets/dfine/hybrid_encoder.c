// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE's encoder: self-attention on the coarsest level, then a top-down and a bottom-up fusion of the
 * levels. Follows Peterande/D-FINE @ 4a1f73a, src/zoo/dfine/hybrid_encoder.py: :22 ConvNormLayer_fuse, :97
 * SCDown, :107 VGGBlock, :183 RepNCSPELAN4, :210 CSPLayer, :244 TransformerEncoderLayer, :313 HybridEncoder,
 * :428 build_2d_sincos_position_embedding. Every concatenation is a tensor whose producers write into channel
 * slices of it.
 */
#include "nets/dfine/dfine_parts.h"
#include "nets/layers.h"

#include <math.h>

/* ConvNormLayer_fuse: a k x k convolution with its batch norm. */
static sono_tid conv_norm(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out, int32_t kernel,
                          sono_act act, sono_tid out)
{
    char conv[96], norm[96];
    const int32_t pad = kernel / 2;
    const sono_conv_args args = {kernel, kernel, 1, pad, pad, pad, pad, sono_epilogue_act(act)};
    return sono_layer_conv_bn(rec, sono_layer_path(rec, conv, "%s.conv", name),
                              sono_layer_path(rec, norm, "%s.norm", name), x, c_out, 1, &args, 0, out);
}

/* VGGBlock */
static sono_tid record_bottleneck(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out)
{
    char conv3[96], norm3[96], conv1[96], norm1[96];
    return sono_layer_rep_conv_bn(rec, sono_layer_path(rec, conv3, "%s.conv1.conv", name),
                                  sono_layer_path(rec, norm3, "%s.conv1.norm", name),
                                  sono_layer_path(rec, conv1, "%s.conv2.conv", name),
                                  sono_layer_path(rec, norm1, "%s.conv2.norm", name), x, c_out, SONO_ACT_SILU,
                                  0);
}

/* cv2 or cv3 of a fusion block: a CSPLayer (its two branches are added by the second's epilogue), a 3 x 3
 * convolution. */
static sono_tid record_branch(sono_recorder *rec, const sono_dfine_size *size, const char *name, sono_tid x,
                              sono_tid out)
{
    char part[96], norm[96];
    sono_layer_path(rec, part, "%s.0.conv1", name);
    sono_tid deep = conv_norm(rec, part, x, size->c_csp, 1, SONO_ACT_SILU, 0);
    for (int32_t i = 0; i < size->csp_depth; i++) {
        sono_layer_path(rec, part, "%s.0.bottlenecks.%d", name, (int)i);
        deep = record_bottleneck(rec, part, deep, size->c_csp);
    }
    sono_conv_args args = {
        .kernel_h = 1, .kernel_w = 1, .stride = 1, .epilogue = sono_epilogue_act(SONO_ACT_SILU)};
    args.epilogue.add_after_act = 1;
    const sono_tid sum = sono_layer_conv_bn(rec, sono_layer_path(rec, part, "%s.0.conv2.conv", name),
                                            sono_layer_path(rec, norm, "%s.0.conv2.norm", name), x,
                                            size->c_csp, 1, &args, deep, 0);
    sono_layer_path(rec, part, "%s.1", name);
    return conv_norm(rec, part, sum, size->c_csp, 3, SONO_ACT_SILU, out);
}

/* RepNCSPELAN4: x [N, h, w, 2 c] -> out [N, h, w, c]; out 0 = a new tensor. */
static sono_tid record_fusion(sono_recorder *rec, const sono_dfine_size *size, const char *name, sono_tid x,
                              sono_tid out)
{
    char part[96];
    const int32_t c = size->c_encoder, c_csp = size->c_csp;
    const sono_tensor map = sono_record_shape(rec, x);
    const sono_tid cat = sono_record_tensor(rec, sono_layer_path(rec, part, "%s.cat", name), SONO_DTYPE_F32,
                                            map.n, map.h, map.w, 2 * c + 2 * c_csp);
    conv_norm(rec, sono_layer_path(rec, part, "%s.cv1", name), x, 2 * c, 1, SONO_ACT_SILU,
              sono_view_channels(rec, cat, 0, 2 * c));
    const sono_tid y =
        record_branch(rec, size, sono_layer_path(rec, part, "%s.cv2", name),
                      sono_view_channels(rec, cat, c, c), sono_view_channels(rec, cat, 2 * c, c_csp));
    record_branch(rec, size, sono_layer_path(rec, part, "%s.cv3", name), y,
                  sono_view_channels(rec, cat, 2 * c + c_csp, c_csp));
    return conv_norm(rec, sono_layer_path(rec, part, "%s.cv4", name), cat, c, 1, SONO_ACT_SILU, out);
}

/* SCDown: a 1 x 1 convolution, then a depthwise 3 x 3 of stride 2, each with its batch norm. */
static void record_downsample(sono_recorder *rec, const sono_dfine_size *size, const char *name, sono_tid x,
                              sono_tid out)
{
    char part[96], norm[96];
    const int32_t c = size->c_encoder;
    const sono_tid y =
        conv_norm(rec, sono_layer_path(rec, part, "%s.0.cv1", name), x, c, 1, SONO_ACT_NONE, 0);
    const sono_conv_args args = {3, 3, 2, 1, 1, 1, 1, sono_epilogue_none()};
    sono_layer_conv_bn(rec, sono_layer_path(rec, part, "%s.0.cv2.conv", name),
                       sono_layer_path(rec, norm, "%s.0.cv2.norm", name), y, c, c, &args, 0, out);
}

/* Sines and cosines of both coordinates, a quarter of the channels each. The official grid counts along
 * columns while the tokens run along rows, so the two coordinates change places; the networks were trained
 * like that. */
static sono_tid position_embedding(sono_recorder *rec, int32_t h, int32_t w, int32_t c)
{
    float *values = NULL;
    const sono_tid param = sono_record_param(rec, "encoder.pos_embed", 1, h, w, c, &values);
    const int32_t quarter = c / 4;
    for (int32_t t = 0; values && t < h * w; t++) {
        const float across = (float)(t / h), down = (float)(t % h);
        float *row = values + (int64_t)t * c;
        for (int32_t i = 0; i < quarter; i++) {
            const float omega = 1.0f / powf(10000.0f, (float)i / (float)quarter);
            row[i] = sinf(across * omega);
            row[quarter + i] = cosf(across * omega);
            row[2 * quarter + i] = sinf(down * omega);
            row[3 * quarter + i] = cosf(down * omega);
        }
    }
    return param;
}

/* TransformerEncoder with its one layer. */
static sono_tid record_transformer(sono_recorder *rec, const sono_dfine_size *size, sono_tid x)
{
    const sono_tensor map = sono_record_shape(rec, x);
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_EPS};
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), none = sono_epilogue_none();
    const sono_tid position = sono_view_broadcast(rec, position_embedding(rec, map.h, map.w, map.c), map.n);
    const sono_tid x_qk = sono_record_add(rec, "encoder.encoder.0.layers.0.qk", x, position, 0);
    const sono_tid attended =
        sono_layer_self_attention(rec, "encoder.encoder.0.layers.0.self_attn", x_qk, x, SONO_DFINE_N_HEADS);
    const sono_tid y = sono_layer_norm(rec, "encoder.encoder.0.layers.0.norm1", attended, x, &norm, 0);
    const sono_tid hidden = sono_layer_linear(rec, "encoder.encoder.0.layers.0.linear1", y,
                                              size->c_encoder_feedforward, &gelu, 0, 0);
    const sono_tid z =
        sono_layer_linear(rec, "encoder.encoder.0.layers.0.linear2", hidden, map.c, &none, 0, 0);
    return sono_layer_norm(rec, "encoder.encoder.0.layers.0.norm2", z, y, &norm, 0);
}

/* Channels [first, first + count) of cats[i]. */
static sono_tid half_of(sono_recorder *rec, sono_tid cat, int is_second, int32_t c)
{
    return sono_view_channels(rec, cat, is_second ? c : 0, c);
}

/* top_down[i] = (upsampled lateral of level i + 1 | projection of level i), bottom_up[i] = (downsampled
 * result of level i | lateral of level i + 1), both [.., 2 c]: each lateral is written once, as the second
 * half of bottom_up. */
void sono_hybrid_encoder_record(sono_recorder *rec, const sono_dfine_size *size,
                                const sono_tid levels[SONO_DFINE_MAX_LEVELS],
                                sono_tid outs[SONO_DFINE_MAX_LEVELS])
{
    char name[96];
    const int32_t n = size->n_levels, c = size->c_encoder;
    sono_tid top_down[SONO_DFINE_MAX_LEVELS] = {0}, bottom_up[SONO_DFINE_MAX_LEVELS] = {0}, x = 0;
    for (int32_t i = 0; i < n; i++) {
        const sono_tensor map = sono_record_shape(rec, levels[i]);
        if (i + 1 < n)
            top_down[i] = sono_record_tensor(rec, sono_layer_path(rec, name, "encoder.top_down.%d", (int)i),
                                             SONO_DTYPE_F32, map.n, map.h, map.w, 2 * c);
        if (i > 0)
            bottom_up[i - 1] =
                sono_record_tensor(rec, sono_layer_path(rec, name, "encoder.bottom_up.%d", (int)i - 1),
                                   SONO_DTYPE_F32, map.n, map.h, map.w, 2 * c);
        sono_layer_path(rec, name, "encoder.input_proj.%d", (int)i);
        x = conv_norm(rec, name, levels[i], c, 1, SONO_ACT_NONE,
                      i + 1 < n ? half_of(rec, top_down[i], 1, c) : 0);
    }
    x = record_transformer(rec, size, x);
    for (int32_t i = n - 2; i >= 0; i--) {
        const int32_t step = n - 2 - i;
        sono_layer_path(rec, name, "encoder.lateral_convs.%d", (int)step);
        const sono_tid lateral =
            conv_norm(rec, name, x, c, 1, SONO_ACT_NONE, half_of(rec, bottom_up[i], 1, c));
        sono_layer_path(rec, name, "encoder.fpn_blocks.%d.upsampled", (int)step);
        sono_record_upsample2(rec, name, lateral, half_of(rec, top_down[i], 0, c));
        sono_layer_path(rec, name, "encoder.fpn_blocks.%d", (int)step);
        x = record_fusion(rec, size, name, top_down[i], i == 0 ? outs[0] : 0);
    }
    outs[0] = x;
    for (int32_t i = 0; i + 1 < n; i++) {
        sono_layer_path(rec, name, "encoder.downsample_convs.%d", (int)i);
        record_downsample(rec, size, name, outs[i], half_of(rec, bottom_up[i], 0, c));
        sono_layer_path(rec, name, "encoder.pan_blocks.%d", (int)i);
        outs[i + 1] = record_fusion(rec, size, name, bottom_up[i], outs[i + 1]);
    }
}
