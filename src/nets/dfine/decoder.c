// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE's decoder in eval mode: the 300 best tokens become queries, whose boxes every layer refines by
 * distributions of the distances of their sides. Follows Peterande/D-FINE @ 4a1f73a, src/zoo/dfine/:
 *   dfine_decoder.py:49 MSDeformableAttention, :181 TransformerDecoderLayer, :258 Gate, :298 LQE,
 *   :372 TransformerDecoder.forward, :731 _generate_anchors, :756 _get_decoder_input; dfine_utils.py:10
 *   weighting_function.
 * DEIM trains the same network with SiLU for ReLU (ShihuaHuang95/DEIM @ a9aa4ad, configs/base/deim.yml:34):
 * engine/deim/dfine_decoder.py:180 the layers' feed-forward, :308 LQE (both `activation`), :481
 * query_pos_head, :497 enc_bbox_head, :504 pre_bbox_head, :506 dec_bbox_head (all `mlp_act`).
 * Shapes: N = frames, T = tokens of all levels, Q = 300 queries, c = c_decoder.
 */
#include "nets/dfine/dfine_parts.h"
#include "nets/dfine/anchors.h"
#include "nets/layers.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>

#define REG_MAX     32 /* bins 0 .. 32 a side */
#define N_BINS      (REG_MAX + 1)
#define LQE_TOP_K   4
#define LQE_HIDDEN  64
#define POS_CLAMP   10.0f
#define NORM_CLAMP  65504.0f
#define ANCHOR_EPS  0.01f /* closer to the border than this a token's anchor is not valid */
#define ANCHOR_SIDE 0.05f /* of the finest level's anchors, doubled with every level */

/* What every layer needs. */
typedef struct decoder {
    sono_recorder *rec;
    const sono_dfine_size *size;
    sono_act act;     /* of the feed-forward layers and of every MLP */
    sono_tid memory;  /* [N,1,T,c] */
    sono_tid project; /* [1,1,1,33] */
    sono_deform_args deform;
    sono_bins_args bins;
} decoder;

/* ---- constants ---- */

/* Whether the checkpoint's anchors are those of the size that is recorded; those of another size are left
 * alone. Latches a failure when they are those of none. */
static int are_anchors_ours(sono_recorder *rec, const sono_anchor_grid *grid, const float *anchors)
{
    sono_anchor_grid file = *grid;
    if (sono_anchors_fit(anchors, grid))
        return 1;
    if (!sono_anchors_find_size(anchors, sono_anchors_count(grid), &file))
        sono_record_latch(rec, SONO_FAIL(rec->error, UNSUPPORTED,
                                         "%s: its decoder.anchors are those of no input size at all, but it "
                                         "would be run at %d x %d: save it at that size",
                                         sono_binder_path(rec->binder), grid->width_px, grid->height_px));
    return 0;
}

/* Puts the checkpoint's own anchors in the place of the computed ones where it has them and they are valid:
 * the official code uses them, and a file may hold them rounded, or NaN for infinity. A file that was saved
 * for another input size has others; nothing else in it depends on that. */
static void take_anchors(sono_recorder *rec, const sono_anchor_grid *grid, int32_t n_tokens,
                         const float *valid, float *anchors)
{
    if (rec->status != SONO_STATUS_OK)
        return;
    sono_bind_ignore(rec->binder, "decoder.anchors");
    if (sono_bind_count(rec->binder, "decoder.anchors") != 4 * (int64_t)n_tokens)
        return;
    const size_t count = 4 * (size_t)n_tokens;
    float *file = sono_alloc_array(count, sizeof *file);
    if (!file) {
        sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "no memory for decoder.anchors"));
        return;
    }
    const sono_status status = sono_bind_any_f32(rec->binder, "decoder.anchors", 3,
                                                 (const int64_t[]){1, n_tokens, 4}, file, rec->error);
    int is_ours = 0;
    if (status != SONO_STATUS_OK)
        sono_record_latch(rec, status);
    else
        is_ours = are_anchors_ours(rec, grid, file);
    for (size_t i = 0; is_ours && i < count; i++)
        if (valid[i / 4] != 0 && isfinite(file[i]))
            anchors[i] = file[i];
    sono_free(file);
}

/* anchors [1,1,T,4]: log-odds of cx cy w h, +inf where not valid; valid [1,1,T,1]: 1 or 0. */
static void record_anchors(sono_recorder *rec, const sono_dfine_size *size, int32_t n_tokens,
                           const sono_tensor *shapes, sono_tid *anchors, sono_tid *valid)
{
    float *anchor_values = NULL, *valid_values = NULL;
    *anchors = sono_record_param(rec, "decoder.anchors", 1, 1, n_tokens, 4, &anchor_values);
    *valid = sono_record_param(rec, "decoder.valid_mask", 1, 1, n_tokens, 1, &valid_values);
    if (!anchor_values || !valid_values)
        return;
    float side = ANCHOR_SIDE, *anchor = anchor_values, *is_valid = valid_values;
    for (int32_t level = 0; level < size->n_levels; level++, side *= 2.0f) {
        const int32_t h = shapes[level].h, w = shapes[level].w;
        for (int32_t t = 0; t < h * w; t++, anchor += 4, is_valid++) {
            const float box[4] = {((float)(t % w) + 0.5f) / (float)w, ((float)(t / w) + 0.5f) / (float)h,
                                  side, side};
            *is_valid = 1.0f;
            for (int i = 0; i < 4; i++)
                if (box[i] <= ANCHOR_EPS || box[i] >= 1.0f - ANCHOR_EPS)
                    *is_valid = 0.0f;
            for (int i = 0; i < 4; i++)
                anchor[i] = *is_valid != 0 ? logf(box[i] / (1.0f - box[i])) : INFINITY;
        }
    }
    const sono_anchor_grid grid = {
        .height_px = shapes[size->n_levels - 1].h * SONO_DFINE_STEP_PX,
        .width_px = shapes[size->n_levels - 1].w * SONO_DFINE_STEP_PX,
        .finest_stride_px = SONO_DFINE_STEP_PX >> (size->n_levels - 1),
        .n_levels = size->n_levels,
    };
    take_anchors(rec, &grid, n_tokens, valid_values, anchor_values);
}

/* A constant of the checkpoint where it has one. */
static float scalar_or(sono_recorder *rec, const char *name, float otherwise)
{
    if (rec->status != SONO_STATUS_OK || !sono_bind_has(rec->binder, name))
        return otherwise;
    return sono_layer_scalar(rec, name);
}

/* W(n) [1,1,1,33]: the distance that each bin stands for, dense near 0. */
static sono_tid record_project(sono_recorder *rec, float up, float reg_scale)
{
    float *values = NULL;
    const sono_tid param = sono_record_param(rec, "decoder.decoder.project", 1, 1, 1, N_BINS, &values);
    if (!values)
        return param;
    const float bound = fabsf(up) * fabsf(reg_scale);
    const float step = powf(bound + 1.0f, 2.0f / (REG_MAX - 2));
    for (int i = 1; i < REG_MAX / 2; i++) {
        const float distance = powf(step, (float)i) - 1.0f;
        values[REG_MAX / 2 - i] = -distance;
        values[REG_MAX / 2 + i] = distance;
    }
    values[0] = -2.0f * bound;
    values[REG_MAX] = 2.0f * bound;
    return param;
}

/* ---- queries ---- */

/* The best tokens: contents [N,1,Q,c] and boxes [N,1,Q,4]. */
static void record_queries(decoder *d, int32_t n_classes, const sono_tensor *shapes, sono_tid *contents,
                           sono_tid *boxes)
{
    sono_recorder *rec = d->rec;
    sono_tid anchors, valid, best[3] = {0};
    const int32_t c = d->size->c_decoder;
    const sono_epilogue none = sono_epilogue_none();
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_EPS};
    record_anchors(rec, d->size, sono_record_shape(rec, d->memory).w, shapes, &anchors, &valid);
    const sono_tid masked = sono_record_scale_rows(rec, "decoder.enc_output.input", d->memory, valid, 0);
    const sono_tid projected = sono_layer_linear(rec, "decoder.enc_output.proj", masked, c, &none, 0, 0);
    const sono_tid output = sono_layer_norm(rec, "decoder.enc_output.norm", projected, 0, &norm, 0);
    rec->precise = 1; /* ranks, boxes and scores: from here on everything is made from these */
    const sono_tid logits = sono_layer_linear(rec, "decoder.enc_score_head", output, n_classes, &none, 0, 0);
    rec->precise = 0;
    sono_record_topk_rows(rec, "decoder.topk", logits, output, anchors, SONO_DFINE_N_QUERIES, best);

    sono_epilogue sigmoid = sono_epilogue_act(SONO_ACT_SIGMOID);
    sigmoid.add_before_act = 1;
    *contents = best[0];
    *boxes = sono_layer_mlp(rec, "decoder.enc_bbox_head", best[0], c, 4, 3, d->act, &sigmoid, best[1]);
}

/* ---- layers ---- */

/* The op divides offsets by a level's number of points; the checkpoint's own num_points_scale takes the place
 * of that: scale [heads][points][2] is what is between the two (1 unless the file is rounded). Returns 0
 * where it has none. */
static int offset_scale(const decoder *d, const char *name, int32_t n_points, float *scale)
{
    char path[96];
    float points[SONO_DFINE_N_POINTS];
    sono_layer_path(d->rec, path, "%s.num_points_scale", name);
    if (d->rec->status != SONO_STATUS_OK || !sono_bind_has(d->rec->binder, path))
        return 0;
    const sono_status status =
        sono_bind_f32(d->rec->binder, path, 1, (const int64_t[]){n_points}, points, d->rec->error);
    if (status != SONO_STATUS_OK)
        return sono_record_latch(d->rec, status);
    int32_t p = 0;
    for (int32_t level = 0; level < d->deform.n_levels; level++)
        for (int32_t i = 0; i < d->deform.level_points[level]; i++, p++)
            points[p] *= (float)d->deform.level_points[level];
    for (int32_t i = 0; i < d->deform.n_heads * n_points * 2; i++)
        scale[i] = points[i / 2 % n_points];
    return 1;
}

/* cross_attn: query (with its position) samples the memory around its box -> out [N,1,Q,c]. */
static sono_tid record_cross_attention(const decoder *d, const char *name, sono_tid query, sono_tid boxes,
                                       sono_tid out)
{
    char offsets[96], weights[96];
    float scale[SONO_DFINE_N_HEADS * SONO_DFINE_N_POINTS * 2];
    int32_t n_points = 0;
    for (int32_t i = 0; i < d->deform.n_levels; i++)
        n_points += d->deform.level_points[i];
    const int has_scale = offset_scale(d, name, n_points, scale);
    const int32_t c_weights = d->deform.n_heads * n_points, c_offsets = 2 * c_weights;
    sono_layer_path(d->rec, offsets, "%s.sampling_offsets", name);
    sono_layer_path(d->rec, weights, "%s.attention_weights", name);
    const sono_tid both = sono_layer_linear_pair(d->rec, offsets, weights, query, c_offsets, c_weights,
                                                 has_scale ? scale : NULL);
    return sono_record_deform(d->rec, name, d->memory, sono_view_channels(d->rec, both, 0, c_offsets),
                              sono_view_channels(d->rec, both, c_offsets, c_weights), boxes, &d->deform, out);
}

/* TransformerDecoderLayer: contents, position [N,1,Q,c], boxes [N,1,Q,4] -> contents. The gate's input is the
 * tensor that the first norm and the cross attention write side by side. */
static sono_tid record_layer(const decoder *d, int32_t index, sono_tid contents, sono_tid position,
                             sono_tid boxes)
{
    char layer[96], part[96];
    sono_recorder *rec = d->rec;
    const int32_t n = sono_record_shape(rec, contents).n, c = d->size->c_decoder;
    const sono_norm_args norm = {.eps = SONO_LAYER_NORM_EPS};
    const sono_norm_args clamped_norm = {.eps = SONO_LAYER_NORM_EPS, .clamp = NORM_CLAMP};
    const sono_epilogue none = sono_epilogue_none(), active = sono_epilogue_act(d->act);
    sono_layer_path(rec, layer, "decoder.decoder.layers.%d", (int)index);
    const sono_tid gate_input = sono_record_tensor(rec, sono_layer_path(rec, part, "%s.gateway.input", layer),
                                                   SONO_DTYPE_F32, n, 1, SONO_DFINE_N_QUERIES, 2 * c);

    sono_tid query = sono_record_add(rec, sono_layer_path(rec, part, "%s.qk", layer), contents, position, 0);
    const sono_tid attended = sono_layer_self_attention(
        rec, sono_layer_path(rec, part, "%s.self_attn", layer), query, contents, SONO_DFINE_N_HEADS);
    const sono_tid x1 = sono_layer_norm(rec, sono_layer_path(rec, part, "%s.norm1", layer), attended,
                                        contents, &norm, sono_view_channels(rec, gate_input, 0, c));

    query = sono_record_add(rec, sono_layer_path(rec, part, "%s.query", layer), x1, position, 0);
    const sono_tid x2 = record_cross_attention(d, sono_layer_path(rec, part, "%s.cross_attn", layer), query,
                                               boxes, sono_view_channels(rec, gate_input, c, c));

    const sono_tid gates = sono_layer_linear(rec, sono_layer_path(rec, part, "%s.gateway.gate", layer),
                                             gate_input, 2 * c, &none, 0, 0);
    const sono_tid gated = sono_layer_gated_norm(rec, sono_layer_path(rec, part, "%s.gateway.norm", layer),
                                                 gates, x1, x2, SONO_LAYER_NORM_EPS);

    const sono_tid hidden = sono_layer_linear(rec, sono_layer_path(rec, part, "%s.linear1", layer), gated,
                                              d->size->c_decoder_feedforward, &active, 0, 0);
    const sono_tid fed =
        sono_layer_linear(rec, sono_layer_path(rec, part, "%s.linear2", layer), hidden, c, &none, 0, 0);
    const sono_tid out = sono_record_tensor(rec, layer, SONO_DTYPE_F32, n, 1, SONO_DFINE_N_QUERIES, c);
    return sono_layer_norm(rec, sono_layer_path(rec, part, "%s.norm3", layer), fed, gated, &clamped_norm,
                           out);
}

/* pre_bbox_head: the box that all layers' distributions refine. */
static sono_tid record_first_box(const decoder *d, sono_tid contents, sono_tid boxes)
{
    sono_epilogue sigmoid = sono_epilogue_act(SONO_ACT_SIGMOID);
    sigmoid.add_before_act = 1;
    const sono_tid unact =
        sono_record_unary(d->rec, "decoder.pre_bbox_head.input", boxes, SONO_UNARY_INVERSE_SIGMOID, 0);
    return sono_layer_mlp(d->rec, "decoder.pre_bbox_head", contents, d->size->c_decoder, 4, 3, d->act,
                          &sigmoid, unact);
}

/* dec_bbox_head.index: contents -> corners [N,1,Q,4*33], added to the layer's before. */
static sono_tid record_corners(const decoder *d, int32_t index, sono_tid contents, sono_tid before,
                               sono_tid corners)
{
    char name[96];
    sono_epilogue sum = sono_epilogue_none();
    sum.add_before_act = corners != 0;
    if (before)
        contents = sono_record_add(
            d->rec, sono_layer_path(d->rec, name, "decoder.dec_bbox_head.%d.input", (int)index), contents,
            before, 0);
    return sono_layer_mlp(d->rec, sono_layer_path(d->rec, name, "decoder.dec_bbox_head.%d", (int)index),
                          contents, d->size->c_decoder, 4 * N_BINS, 3, d->act, &sum, corners);
}

/* dec_score_head and the location quality estimate of the last layer. */
static sono_tid record_logits(const decoder *d, int32_t n_classes, sono_tid contents, sono_tid corners)
{
    char name[96];
    const int last = (int)d->size->n_decoder_layers - 1;
    const sono_epilogue none = sono_epilogue_none();
    sono_layer_path(d->rec, name, "decoder.dec_score_head.%d", last);
    const sono_tid scores = sono_layer_linear(d->rec, name, contents, n_classes, &none, 0, 0);
    sono_layer_path(d->rec, name, "decoder.decoder.lqe_layers.%d.stat", last);
    const sono_tid stat = sono_record_lqe_stat(d->rec, name, corners, &d->bins);
    sono_layer_path(d->rec, name, "decoder.decoder.lqe_layers.%d.reg_conf", last);
    const sono_tid quality = sono_layer_mlp(d->rec, name, stat, LQE_HIDDEN, 1, 2, d->act, &none, 0);
    return sono_record_add(d->rec, "pred_logits", scores, quality, 0);
}

static decoder decoder_of(sono_recorder *rec, const sono_dfine_size *size, sono_tid memory,
                          const sono_tensor *shapes)
{
    const float reg_scale = scalar_or(rec, "decoder.reg_scale", size->reg_scale);
    const float up = scalar_or(rec, "decoder.up", 0.5f);
    const int is_deim = sono_binder_info(rec->binder)->family == SONO_FAMILY_DEIM;
    decoder d = {.rec = rec, .size = size, .act = is_deim ? SONO_ACT_SILU : SONO_ACT_RELU, .memory = memory};
    d.project = record_project(rec, up, reg_scale);
    d.bins = (sono_bins_args){.reg_max = REG_MAX, .reg_scale = fabsf(reg_scale), .top_k = LQE_TOP_K};
    d.deform = (sono_deform_args){.n_heads = SONO_DFINE_N_HEADS,
                                  .head_dim = size->c_decoder / SONO_DFINE_N_HEADS,
                                  .n_levels = size->n_levels,
                                  .offset_scale = 0.5f};
    for (int32_t i = 0; i < size->n_levels; i++) {
        d.deform.level_h[i] = shapes[i].h;
        d.deform.level_w[i] = shapes[i].w;
        d.deform.level_points[i] = size->level_points[i];
    }
    return d;
}

void sono_dfine_decoder_record(sono_recorder *rec, const sono_dfine_size *size, int32_t n_classes,
                               sono_tid memory, const sono_tensor shapes[SONO_DFINE_MAX_LEVELS],
                               sono_detector_outputs *out)
{
    decoder d = decoder_of(rec, size, memory, shapes);
    sono_epilogue clamped = sono_epilogue_none();
    clamped.clamp = POS_CLAMP;
    sono_tid contents, boxes, before = 0, corners = 0, first_box = 0;
    record_queries(&d, n_classes, shapes, &contents, &boxes);
    for (int32_t i = 0; i < size->n_decoder_layers; i++) {
        char name[96];
        const sono_tid position = sono_layer_mlp(rec, "decoder.query_pos_head", boxes, 2 * size->c_decoder,
                                                 size->c_decoder, 2, d.act, &clamped, 0);
        contents = record_layer(&d, i, contents, position, boxes);
        if (i == 0)
            first_box = record_first_box(&d, contents, boxes);
        corners = record_corners(&d, i, contents, before, corners);
        if (i + 1 < size->n_decoder_layers)
            sono_layer_path(rec, name, "decoder.decoder.inter_ref_bbox.%d", (int)i);
        else
            sono_layer_path(rec, name, "pred_boxes");
        boxes = sono_record_fdr_box(rec, name, corners, first_box, d.project, &d.bins);
        before = contents;
    }
    out->boxes = boxes;
    out->logits = record_logits(&d, n_classes, contents, corners);
}
