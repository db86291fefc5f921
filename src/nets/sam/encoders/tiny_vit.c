// SPDX-License-Identifier: Apache-2.0
/*
 * The image encoder: TinyViT 5m with SAM's neck, shapes as at 1024 x 1024.
 * Follows mobile_sam/modeling/tiny_vit_sam.py @ 34bbbfd: PatchEmbed:57, MBConv:77, PatchMerging:118,
 * Attention:212, TinyViTBlock:287, neck:536, forward_features:600; sizes from mobile_sam/build_sam.py:53-65.
 *
 * Two things are settled when the network is recorded:
 * - The rows of an attention's qkv are stored per head as q, k, v; they are regrouped to all q, all k, all v,
 * so that the three are channel views of one product.
 * - A map is padded with zeros to whole windows BEFORE the norm (:350-359), so that a padded position leaves
 * the norm as beta and its key and value are constants: W beta + b.
 */
#include "nets/sam/parts.h"

#include "base/alloc.h"
#include "nets/layers.h"

#include <math.h>

#define N_STAGES  4
#define N_BLOCKS  2 /* of stage 0 */
#define MLP_RATIO 4

typedef struct stage {
    int32_t c, n_blocks, n_heads, window;
} stage;

static const stage stages[N_STAGES] = {
    {64, N_BLOCKS, 0, 0}, {128, 2, 4, 7}, {160, 6, 5, 14}, {320, 2, 10, 7}};

/* A tensor for the result of a block, named after it: x's map with c channels. */
static sono_tid result_like(sono_recorder *rec, const char *name, sono_tid x, int32_t c)
{
    const sono_tensor shape = sono_record_shape(rec, x);
    return sono_record_tensor(rec, name, SONO_DTYPE_F32, shape.n, shape.h, shape.w, c);
}

/* Conv2d_BN: name.c and name.bn; kernel 1 or 3, "same" padding. */
static sono_tid conv_bn(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out, int32_t kernel,
                        int32_t stride, int32_t groups, const sono_epilogue *epilogue, sono_tid residual,
                        sono_tid out)
{
    char conv[96], norm[96];
    const int32_t pad = kernel / 2;
    const sono_conv_args args = {kernel, kernel, stride, pad, pad, pad, pad, *epilogue};
    return sono_layer_conv_bn(rec, sono_layer_path(rec, conv, "%s.c", name),
                              sono_layer_path(rec, norm, "%s.bn", name), x, c_out, groups, &args, residual,
                              out);
}

static sono_tid record_patch_embed(sono_recorder *rec, sono_tid image)
{
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), none = sono_epilogue_none();
    const sono_tensor map = sono_record_shape(rec, image);
    const int32_t c = stages[0].c;
    const sono_tid half = conv_bn(rec, "image_encoder.patch_embed.seq.0", image, // [N, 512, 512, 32]
                                  c / 2, 3, 2, 1, &gelu, 0, 0);
    const sono_tid out = sono_record_tensor(rec, "image_encoder.patch_embed", SONO_DTYPE_F32, map.n,
                                            map.h / 4, map.w / 4, c); // [N, 256, 256, 64]
    return conv_bn(rec, "image_encoder.patch_embed.seq.2", half, c, 3, 2, 1, &none, 0, out);
}

static sono_tid record_mb_conv(sono_recorder *rec, const char *name, sono_tid x)
{
    char path[96];
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU);
    sono_epilogue add_gelu = gelu;
    add_gelu.add_before_act = 1;
    const int32_t c = stages[0].c, hidden = c * MLP_RATIO;
    sono_tid y = conv_bn(rec, sono_layer_path(rec, path, "%s.conv1", name), x, hidden, 1, 1, 1, &gelu, 0, 0);
    y = conv_bn(rec, sono_layer_path(rec, path, "%s.conv2", name), y, hidden, 3, 1, hidden, &gelu, 0, 0);
    const sono_tid out = result_like(rec, name, x, c);
    return conv_bn(rec, sono_layer_path(rec, path, "%s.conv3", name), y, c, 1, 1, 1, &add_gelu, x, out);
}

/* The end of a stage. Halves the map, except before the last stage (:129). */
static sono_tid record_patch_merging(sono_recorder *rec, const char *layer, sono_tid x, int32_t c_out)
{
    char path[96];
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), none = sono_epilogue_none();
    const int32_t stride = c_out == stages[N_STAGES - 1].c ? 1 : 2;
    sono_tid y = conv_bn(rec, sono_layer_path(rec, path, "%s.downsample.conv1", layer), x, c_out, 1, 1, 1,
                         &gelu, 0, 0);
    y = conv_bn(rec, sono_layer_path(rec, path, "%s.downsample.conv2", layer), y, c_out, 3, stride, c_out,
                &gelu, 0, 0);
    const sono_tid out = result_like(rec, layer, y, c_out);
    return conv_bn(rec, sono_layer_path(rec, path, "%s.downsample.conv3", layer), y, c_out, 1, 1, 1, &none, 0,
                   out);
}

/* What an attention's qkv product needs; the params' values as far as they were made. */
typedef struct qkv_params {
    sono_tid weight;       /* [1, 1, c, 3c] */
    sono_tid bias;         /* [1, 1, 1, 3c] */
    sono_tid pad_k, pad_v; /* [1, 1, 1, c] */
    float *weight_values, *bias_values, *pad_values[2];
} qkv_params;

/* rows [3c][c] and bias [3c] as stored, beta [c] of the norm before. */
static void fill_qkv(const stage *s, const float *rows, const float *bias, const float *beta, qkv_params *p)
{
    const int32_t c = s->c, head_dim = c / s->n_heads;
    for (int32_t to = 0; to < 3 * c; to++) {
        const int32_t part = to / c, head = to % c / head_dim, i = to % head_dim;
        const int32_t from = (3 * head + part) * head_dim + i;
        double padded = bias[from];
        for (int32_t ci = 0; ci < c; ci++) {
            const float w = rows[(size_t)from * (size_t)c + (size_t)ci];
            p->weight_values[(size_t)ci * 3 * (size_t)c + (size_t)to] = w;
            padded += (double)w * beta[ci];
        }
        p->bias_values[to] = bias[from];
        if (part > 0)
            p->pad_values[part - 1][to % c] = (float)padded;
    }
}

static void bind_qkv(sono_recorder *rec, const stage *s, const char *attn, qkv_params *p)
{
    char path[96];
    const int32_t c = s->c;
    const int64_t dims[2] = {3 * c, c}, beta_dims[1] = {c};
    float *rows = sono_mobilesam_take(rec, sono_layer_path(rec, path, "%s.qkv.weight", attn), 2, dims);
    float *bias = sono_mobilesam_take(rec, sono_layer_path(rec, path, "%s.qkv.bias", attn), 1, dims);
    float *beta = sono_mobilesam_take(rec, sono_layer_path(rec, path, "%s.norm.bias", attn), 1, beta_dims);
    p->weight = sono_record_param(rec, sono_layer_path(rec, path, "%s.qkv.weight", attn), 1, 1, c, 3 * c,
                                  &p->weight_values);
    p->bias = sono_record_param(rec, sono_layer_path(rec, path, "%s.qkv.bias", attn), 1, 1, 1, 3 * c,
                                &p->bias_values);
    p->pad_k =
        sono_record_param(rec, sono_layer_path(rec, path, "%s.pad_k", attn), 1, 1, 1, c, &p->pad_values[0]);
    p->pad_v =
        sono_record_param(rec, sono_layer_path(rec, path, "%s.pad_v", attn), 1, 1, 1, c, &p->pad_values[1]);
    if (rec->status == SONO_STATUS_OK && rows)
        fill_qkv(s, rows, bias, beta, p);
    sono_free(rows);
    sono_free(bias);
    sono_free(beta);
}

/* Attention in windows, its result before the projection. The biases are numbered as the offsets come up
 * (:233-243), which is |dy| * window + |dx|, since the first point's partners are all of them in row order.
 */
static sono_tid record_attention(sono_recorder *rec, const stage *s, const char *attn, sono_tid x)
{
    char path[96];
    const int32_t c = s->c, head_dim = c / s->n_heads, n_offsets = s->window * s->window;
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_EPS};
    const sono_epilogue none = sono_epilogue_none();
    qkv_params p;
    bind_qkv(rec, s, attn, &p);
    const int64_t bias_dims[2] = {s->n_heads, n_offsets};
    const sono_tid bias = sono_layer_param(rec, sono_layer_path(rec, path, "%s.attention_biases", attn), 2,
                                           bias_dims, 1, 1, s->n_heads, n_offsets);
    const sono_tid y = sono_layer_norm(rec, sono_layer_path(rec, path, "%s.norm", attn), x, 0, &norm, 0);
    const sono_tid qkv =
        sono_record_linear(rec, sono_layer_path(rec, path, "%s.qkv", attn), y, // [N, h, w, 3c]
                           p.weight, p.bias, 0, &none, 0);
    const sono_attention_args args = {s->n_heads, head_dim, 1 / sqrtf((float)head_dim), s->window};
    return sono_record_attention(rec, sono_layer_path(rec, path, "%s.heads", attn),
                                 sono_view_channels(rec, qkv, 0, c), sono_view_channels(rec, qkv, c, c),
                                 sono_view_channels(rec, qkv, 2 * c, c), bias, p.pad_k, p.pad_v, &args, 0);
}

static sono_tid record_block(sono_recorder *rec, const stage *s, const char *name, sono_tid x)
{
    char path[96];
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_EPS};
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), none = sono_epilogue_none();
    sono_epilogue add = none;
    add.add_after_act = 1;
    const sono_tid heads = record_attention(rec, s, sono_layer_path(rec, path, "%s.attn", name), x);
    x = sono_layer_linear(rec, sono_layer_path(rec, path, "%s.attn.proj", name), heads, s->c, &add, x, 0);
    x = conv_bn(rec, sono_layer_path(rec, path, "%s.local_conv", name), x, s->c, 3, 1, s->c, &none, 0, 0);
    sono_tid y = sono_layer_norm(rec, sono_layer_path(rec, path, "%s.mlp.norm", name), x, 0, &norm, 0);
    y = sono_layer_linear(rec, sono_layer_path(rec, path, "%s.mlp.fc1", name), y, s->c * MLP_RATIO, &gelu, 0,
                          0);
    const sono_tid out = result_like(rec, name, x, s->c);
    return sono_layer_linear(rec, sono_layer_path(rec, path, "%s.mlp.fc2", name), y, s->c, &add, x, out);
}

static sono_tid record_neck(sono_recorder *rec, sono_tid x)
{
    const int32_t c = SONO_MOBILESAM_CHANNELS;
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_2D_EPS};
    const sono_epilogue none = sono_epilogue_none();
    const sono_conv_args conv1 = {1, 1, 1, 0, 0, 0, 0, none}, conv3 = {3, 3, 1, 1, 1, 1, 1, none};
    x = sono_layer_conv(rec, "image_encoder.neck.0", x, c, 0, &conv1, 0); // [N, 64, 64, 256]
    x = sono_layer_norm(rec, "image_encoder.neck.1", x, 0, &norm, 0);
    x = sono_layer_conv(rec, "image_encoder.neck.2", x, c, 0, &conv3, 0);
    return sono_layer_norm(rec, "image_encoder.neck.3", x, 0, &norm, 0);
}

sono_tid sono_tiny_vit_record(sono_recorder *rec, sono_tid image)
{
    char layer[96], block[96];
    const sono_tensor map = sono_record_shape(rec, image);
    if (map.h % SONO_MOBILESAM_STEP_PX || map.w % SONO_MOBILESAM_STEP_PX || map.h != map.w)
        return sono_record_latch(
            rec,
            SONO_FAIL(rec->error, UNSUPPORTED, "%s: TinyViT at %d x %d pixels: give a multiple of %d, square",
                      sono_binder_path(rec->binder), map.w, map.h, SONO_MOBILESAM_STEP_PX));
    sono_tid x = record_patch_embed(rec, image); // [N, 256, 256, 64]
    for (int32_t i = 0; i < N_STAGES; i++) {
        sono_layer_path(rec, layer, "image_encoder.layers.%d", i);
        for (int32_t b = 0; b < stages[i].n_blocks; b++) {
            sono_layer_path(rec, block, "%s.blocks.%d", layer, b);
            x = i == 0 ? record_mb_conv(rec, block, x) : record_block(rec, &stages[i], block, x);
        }
        if (i < N_STAGES - 1)
            x = record_patch_merging(rec, layer, x,
                                     stages[i + 1].c); // [N, 128 or 64, ., c of the next stage]
    }
    return record_neck(rec, x);
}
