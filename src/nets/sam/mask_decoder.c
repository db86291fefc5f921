// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens and image embedding -> mask logits and predicted IoU, for K objects at once: all of one frame, or
 * one of each of K frames. Follows mobile_sam/modeling/mask_decoder.py @ 34bbbfd (predict_masks:112, MLP:154)
 * and transformer.py (TwoWayTransformer:16, TwoWayAttentionBlock:109, Attention:185).
 *
 * The image side of one frame is one map for all its objects until the first layer has changed it: what
 * depends on it alone is computed once and broadcast. Ops on tokens are recorded in a row as far as they can
 * be, so that an engine may run them as one. Only the single-mask output is made: mask token 0 with its
 * hypernetwork.
 */
#include "nets/sam/parts.h"

#include "base/alloc.h"
#include "nets/layers.h"

#include <math.h>

#define DIM     SONO_MOBILESAM_CHANNELS
#define CROSS   (DIM / 2) /* channels inside a cross attention */
#define MLP_DIM 2048
#define N_HEADS 8

/* x for every object. */
static sono_tid widen(sono_recorder *rec, sono_tid x, int32_t n)
{
    return sono_record_shape(rec, x).n == n ? x : sono_view_broadcast(rec, x, n);
}

/* An attention from its projected inputs on: the heads, out_proj, plus the residual unless 0. */
static sono_tid record_attend(sono_recorder *rec, const char *name, sono_tid q, sono_tid k, sono_tid v,
                              sono_tid residual)
{
    char path[96];
    const int32_t head_dim = sono_record_shape(rec, q).c / N_HEADS;
    const sono_attention_args args = {N_HEADS, head_dim, 1 / sqrtf((float)head_dim), 0};
    sono_epilogue epilogue = sono_epilogue_none();
    epilogue.add_after_act = residual != 0;
    const sono_tid heads =
        sono_record_attention(rec, sono_layer_path(rec, path, "%s.heads", name), q, k, v, 0, 0, 0, &args, 0);
    return sono_layer_linear(rec, sono_layer_path(rec, path, "%s.out_proj", name), heads, DIM, &epilogue,
                             residual, 0);
}

static sono_tid record_norm(sono_recorder *rec, const char *layer, const char *norm, sono_tid x)
{
    char path[96];
    const sono_norm_args args = {.eps = SONO_LAYER_NORM_EPS};
    return sono_layer_norm(rec, sono_layer_path(rec, path, "%s.%s", layer, norm), x, 0, &args, 0);
}

static sono_tid record_projection(sono_recorder *rec, const char *attention, const char *which, sono_tid x)
{
    char path[96];
    const sono_epilogue none = sono_epilogue_none();
    return sono_layer_linear(rec, sono_layer_path(rec, path, "%s.%s", attention, which), x, CROSS, &none, 0,
                             0);
}

static sono_tid record_queries_pe(sono_recorder *rec, const sono_mask_decoder *t, const char *name)
{
    char path[96];
    return sono_record_add(rec, sono_layer_path(rec, path, "%s.queries_pe", name), t->queries, t->tokens, 0);
}

static sono_tid record_keys_pe(sono_recorder *rec, const sono_mask_decoder *t, const char *name)
{
    char path[96];
    const sono_tid pe = widen(rec, t->dense_pe, sono_record_shape(rec, t->keys).n);
    return sono_record_add(rec, sono_layer_path(rec, path, "%s.keys_pe", name), t->keys, pe, 0);
}

/* Two layers of c channels on one x as one product; parts: views of their results. */
static void record_pair(sono_recorder *rec, const char *first, const char *second, sono_tid x, int32_t c,
                        sono_tid parts[2])
{
    const sono_tid both = sono_layer_linear_pair(rec, first, second, x, c, c, NULL);
    parts[0] = sono_view_channels(rec, both, 0, c);
    parts[1] = sono_view_channels(rec, both, c, c);
}

/* The first layer has no position encoding here and no residual (transformer.py:155). */
static void record_self_attention(sono_recorder *rec, sono_mask_decoder *t, const char *layer, int is_first)
{
    char name[96], q_proj[96], k_proj[96], v_proj[96];
    const sono_epilogue none = sono_epilogue_none();
    sono_layer_path(rec, name, "%s.self_attn", layer);
    sono_layer_path(rec, q_proj, "%s.q_proj", name);
    sono_layer_path(rec, k_proj, "%s.k_proj", name);
    sono_layer_path(rec, v_proj, "%s.v_proj", name);
    const sono_tid x = is_first ? t->queries : record_queries_pe(rec, t, name);
    sono_tid q_and_k[2]; // each [K, 1, T, 256]
    record_pair(rec, q_proj, k_proj, x, DIM, q_and_k);
    const sono_tid v = sono_layer_linear(rec, v_proj, t->queries, DIM, &none, 0, 0);
    t->queries = record_attend(rec, name, q_and_k[0], q_and_k[1], v, is_first ? 0 : t->queries);
    t->queries = record_norm(rec, layer, "norm1", t->queries);
}

static void record_mlp(sono_recorder *rec, sono_mask_decoder *t, const char *layer)
{
    char path[96];
    const sono_epilogue relu = sono_epilogue_act(SONO_ACT_RELU);
    sono_epilogue add = sono_epilogue_none();
    add.add_after_act = 1;
    const sono_tid hidden = sono_layer_linear(rec, sono_layer_path(rec, path, "%s.mlp.lin1", layer),
                                              t->queries, MLP_DIM, &relu, 0, 0);
    t->queries = sono_layer_linear(rec, sono_layer_path(rec, path, "%s.mlp.lin2", layer), hidden, DIM, &add,
                                   t->queries, 0);
    t->queries = record_norm(rec, layer, "norm3", t->queries);
}

static void layer_name(sono_recorder *rec, char *name, int32_t index)
{
    sono_layer_path(rec, name, "mask_decoder.transformer.layers.%d", index);
}

/* What a layer's two cross attentions need of the keys alone. Token-to-image takes its k and image-to-token
 * its q from the same ones. */
static void record_image_side(sono_recorder *rec, sono_mask_decoder *t, int32_t index)
{
    char layer[96], to_image[96], k_proj[96], q_proj[96];
    layer_name(rec, layer, index);
    sono_layer_path(rec, to_image, "%s.cross_attn_token_to_image", layer);
    sono_layer_path(rec, k_proj, "%s.k_proj", to_image);
    sono_layer_path(rec, q_proj, "%s.cross_attn_image_to_token.q_proj", layer);
    record_pair(rec, k_proj, q_proj, record_keys_pe(rec, t, layer), CROSS, t->k_and_q);
    rec->strand = 1;
    t->v = record_projection(rec, to_image, "v_proj", t->keys);
    rec->strand = 0;
}

/* A layer's tokens up to the q of their cross attention. */
static void record_tokens_before(sono_recorder *rec, sono_mask_decoder *t, int32_t index)
{
    char layer[96], to_image[96];
    layer_name(rec, layer, index);
    sono_layer_path(rec, to_image, "%s.cross_attn_token_to_image", layer);
    record_self_attention(rec, t, layer, index == 0);
    t->q = record_projection(rec, to_image, "q_proj", record_queries_pe(rec, t, to_image));
}

/* The rest of a layer's tokens, to the k and v of the image's cross attention. */
static void record_tokens_behind(sono_recorder *rec, sono_mask_decoder *t, int32_t index)
{
    char layer[96], to_image[96], to_token[96];
    layer_name(rec, layer, index);
    sono_layer_path(rec, to_image, "%s.cross_attn_token_to_image", layer);
    sono_layer_path(rec, to_token, "%s.cross_attn_image_to_token", layer);
    t->queries = record_attend(rec, to_image, t->q, widen(rec, t->k_and_q[0], t->n_objects),
                               widen(rec, t->v, t->n_objects), t->queries);
    t->queries = record_norm(rec, layer, "norm2", t->queries);
    record_mlp(rec, t, layer);
    const sono_tid queries_pe = record_queries_pe(rec, t, to_token);
    t->token_k = record_projection(rec, to_token, "k_proj", queries_pe); // [K, 1, T, 128]
    t->token_v = record_projection(rec, to_token, "v_proj", t->queries);
}

/* A layer's new keys. */
static void record_keys(sono_recorder *rec, sono_mask_decoder *t, int32_t index)
{
    char layer[96], to_token[96];
    layer_name(rec, layer, index);
    sono_layer_path(rec, to_token, "%s.cross_attn_image_to_token", layer);
    t->keys = record_attend(rec, to_token, widen(rec, t->k_and_q[1], t->n_objects), t->token_k, t->token_v,
                            widen(rec, t->keys, t->n_objects)); // [K, 64, 64, 256]
    t->keys = record_norm(rec, layer, "norm4", t->keys);
}

#define FINAL "mask_decoder.transformer.final_attn_token_to_image"

static sono_tid record_final_q(sono_recorder *rec, const sono_mask_decoder *t)
{
    return record_projection(rec, FINAL, "q_proj", record_queries_pe(rec, t, FINAL));
}

/* What the tokens have become: [K, 1, T, 256]. */
static sono_tid record_final_attention(sono_recorder *rec, const sono_mask_decoder *t, sono_tid q)
{
    const sono_tid k = record_projection(rec, FINAL, "k_proj", record_keys_pe(rec, t, FINAL));
    rec->strand = 1;
    const sono_tid v = record_projection(rec, FINAL, "v_proj", t->keys);
    rec->strand = 0;
    return record_norm(rec, "mask_decoder.transformer", "norm_final_attn",
                       record_attend(rec, FINAL, q, k, v, t->queries));
}

/* ConvTranspose2d, 2 x 2 with stride 2: a product whose columns are (dy * 2 + dx) * c_out + co. The four new
 * positions of each old one stay side by side: [n, 1, 4 * h * w, c_out], sorted out only in the final map
 * (HYPER_MASK). */
static sono_tid record_upscale(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out,
                               const sono_epilogue *epilogue)
{
    char path[96];
    const sono_tensor in = sono_record_shape(rec, x);
    const int64_t dims[4] = {in.c, c_out, 2, 2}, bias_dims[1] = {c_out};
    float *kernel = sono_mobilesam_take(rec, sono_layer_path(rec, path, "%s.weight", name), 4, dims);
    float *offsets = sono_mobilesam_take(rec, sono_layer_path(rec, path, "%s.bias", name), 1, bias_dims);
    float *weight_values, *bias_values;
    const sono_tid weight = sono_record_param(rec, sono_layer_path(rec, path, "%s.weight", name), 1, 1, in.c,
                                              4 * c_out, &weight_values);
    const sono_tid bias =
        sono_record_param(rec, sono_layer_path(rec, path, "%s.bias", name), 1, 1, 1, 4 * c_out, &bias_values);
    if (rec->status == SONO_STATUS_OK && weight_values && bias_values) {
        for (int32_t ci = 0; ci < in.c; ci++)
            for (int32_t i = 0; i < 4 * c_out; i++) // i = co * 4 + dy * 2 + dx
                weight_values[(size_t)ci * 4 * (size_t)c_out + (size_t)(i % 4 * c_out + i / 4)] =
                    kernel[(size_t)ci * 4 * (size_t)c_out + (size_t)i];
        for (int32_t i = 0; i < 4 * c_out; i++)
            bias_values[i] = offsets[i % c_out];
    }
    sono_free(kernel);
    sono_free(offsets);
    const sono_tid y = sono_record_linear(rec, name, x, weight, bias, 0, epilogue, 0);
    return sono_view_reshape(rec, y, in.n, 1, 4 * in.h * in.w, c_out);
}

void sono_mask_decoder_begin(sono_recorder *rec, sono_tid tokens, sono_mask_decoder *t)
{
    *t = (sono_mask_decoder){
        .n_objects = sono_record_shape(rec, tokens).n, .tokens = tokens, .queries = tokens};
    record_tokens_before(rec, t, 0);
}

void sono_mask_decoder_add_image(sono_recorder *rec, sono_tid src, sono_tid dense_pe, sono_mask_decoder *t)
{
    t->keys = src;
    t->dense_pe = dense_pe;
    record_image_side(rec, t, 0);
}

void sono_mask_decoder_finish(sono_recorder *rec, sono_mask_decoder *t, sono_segmenter_outputs *out)
{
    const sono_norm_args norm_gelu = {.eps = SONO_LAYER_NORM_2D_EPS, .act = SONO_ACT_GELU};
    const sono_epilogue gelu = sono_epilogue_act(SONO_ACT_GELU), none = sono_epilogue_none();
    record_tokens_behind(rec, t, 0);
    rec->strand = 1; /* beside the keys */
    record_tokens_before(rec, t, 1);
    rec->strand = 0;
    record_keys(rec, t, 0);
    record_image_side(rec, t, 1);
    record_tokens_behind(rec, t, 1);
    const sono_tid final_q = record_final_q(rec, t);
    record_keys(rec, t, 1);
    const sono_tid final = record_final_attention(rec, t, final_q); // [K, 1, T, 256]
    const sono_tid iou_token = sono_view_rows(rec, final, 0, 1, 1); // [K, 1, 1, 256]
    const sono_tid mask_token = sono_view_rows(rec, final, 1, 1, 1);
    out->iou = sono_layer_mlp(rec, "mask_decoder.iou_prediction_head", iou_token, DIM, 4, 3, SONO_ACT_RELU,
                              &none, 0);
    const sono_tid hyper = sono_layer_mlp(rec, "mask_decoder.output_hypernetworks_mlps.0", mask_token, DIM,
                                          DIM / 8, 3, SONO_ACT_RELU, &none, 0); // [K, 1, 1, 32]
    rec->strand = 1; /* beside the last attention and its heads */
    sono_tid up = record_upscale(rec, "mask_decoder.output_upscaling.0", t->keys, DIM / 4, &none);
    up = sono_layer_norm(rec, "mask_decoder.output_upscaling.1", up, 0, &norm_gelu, 0); // [K, 1, 16384, 64]
    up = record_upscale(rec, "mask_decoder.output_upscaling.3", up, DIM / 8, &gelu);    // [K, 1, 65536, 32]
    rec->strand = 0;
    rec->precise = 1;
    out->low_res = sono_record_hyper_mask(rec, "mask_decoder.0", up, hyper); // [K, 256, 256, 1]
    rec->precise = 0;
}
