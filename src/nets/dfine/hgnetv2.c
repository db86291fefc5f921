// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE's backbone. Follows Peterande/D-FINE @ 4a1f73a:
 *   src/nn/backbone/hgnetv2.py:47 ConvBNAct, :95 LightConvBNAct, :127 StemBlock, :201 HG_Block, :290
 * HG_Stage, :357 arch_configs. torch.cat is no op here: each block's input and layers write into channel
 * slices of one tensor.
 */
#include "nets/dfine/dfine_parts.h"
#include "nets/layers.h"

// clang-format off
const sono_hgnetv2_arch sono_hgnetv2_b0 = {16, 16, {
    {  16,  16,   64, 1, 3, 3, 0},
    {  64,  32,  256, 1, 3, 3, 0},
    { 256,  64,  512, 2, 3, 5, 1},
    { 512, 128, 1024, 1, 3, 5, 1}}};
const sono_hgnetv2_arch sono_hgnetv2_b2 = {24, 32, {
    {  32,  32,   96, 1, 4, 3, 0},
    {  96,  64,  384, 1, 4, 3, 0},
    { 384, 128,  768, 3, 4, 5, 1},
    { 768, 256, 1536, 1, 4, 5, 1}}};
const sono_hgnetv2_arch sono_hgnetv2_b4 = {32, 48, {
    {  48,  48,  128, 1, 6, 3, 0},
    { 128,  96,  512, 1, 6, 3, 0},
    { 512, 192, 1024, 3, 6, 5, 1},
    {1024, 384, 2048, 1, 6, 5, 1}}};
const sono_hgnetv2_arch sono_hgnetv2_b5 = {32, 64, {
    {  64,  64,  128, 1, 6, 3, 0},
    { 128, 128,  512, 2, 6, 3, 0},
    { 512, 256, 1024, 5, 6, 5, 1},
    {1024, 512, 2048, 2, 6, 5, 1}}};
// clang-format on

/* A convolution, its batch norm, and where is_active ReLU and the learnable affine block. */
typedef struct unit {
    int32_t c_out, kernel, stride;
    int32_t is_depthwise, is_active;
} unit;

/* An even kernel's map is padded by one row below and one column to the right (StemBlock, hgnetv2.py:170). */
static sono_tid record_unit(sono_recorder *rec, const sono_dfine_size *size, const char *name, sono_tid x,
                            const unit *u, sono_tid residual, sono_tid out)
{
    char conv[96], norm[96], lab[96];
    const int32_t before = (u->kernel - 1) / 2, after = u->kernel / 2;
    sono_conv_args args = {u->kernel, u->kernel, u->stride, before,
                           before,    after,     after,     sono_epilogue_none()};
    if (u->is_active)
        args.epilogue.act = SONO_ACT_RELU;
    if (u->is_active && size->use_lab) {
        args.epilogue.post_scale = sono_layer_scalar(rec, sono_layer_path(rec, lab, "%s.lab.scale", name));
        args.epilogue.post_bias = sono_layer_scalar(rec, sono_layer_path(rec, lab, "%s.lab.bias", name));
    }
    args.epilogue.add_after_act = residual != 0;
    return sono_layer_conv_bn(rec, sono_layer_path(rec, conv, "%s.conv", name),
                              sono_layer_path(rec, norm, "%s.bn", name), x, u->c_out,
                              u->is_depthwise ? u->c_out : 1, &args, residual, out);
}

/* image -> out [N, h/4, w/4, c_stem_out] */
static void record_stem(sono_recorder *rec, const sono_dfine_size *size, sono_tid image, sono_tid out)
{
    const int32_t c_mid = size->backbone->c_stem_mid, c_out = size->backbone->c_stem_out;
    const sono_tid x = record_unit(rec, size, "backbone.stem.stem1", image, &(unit){c_mid, 3, 2, 0, 1}, 0, 0);
    const sono_tensor map = sono_record_shape(rec, x);
    const sono_tid cat =
        sono_record_tensor(rec, "backbone.stem.cat", SONO_DTYPE_F32, map.n, map.h, map.w, 2 * c_mid);

    const sono_pool_args pool = {.kernel = 2, .stride = 1, .pad_bottom = 1, .pad_right = 1};
    sono_record_max_pool(rec, "backbone.stem.pool", x, &pool, sono_view_channels(rec, cat, 0, c_mid));
    const sono_tid half =
        record_unit(rec, size, "backbone.stem.stem2a", x, &(unit){c_mid / 2, 2, 1, 0, 1}, 0, 0);
    record_unit(rec, size, "backbone.stem.stem2b", half, &(unit){c_mid, 2, 1, 0, 1}, 0,
                sono_view_channels(rec, cat, c_mid, c_mid));
    const sono_tid y = record_unit(rec, size, "backbone.stem.stem3", cat, &(unit){c_mid, 3, 2, 0, 1}, 0, 0);
    record_unit(rec, size, "backbone.stem.stem4", y, &(unit){c_out, 1, 1, 0, 1}, 0, out);
}

/* The tensor that a block's input [0, c_in) and its layers' results write into side by side. */
static sono_tid new_cat(sono_recorder *rec, const sono_hgnetv2_stage *stage, int32_t stage_index,
                        int32_t block, int32_t n, int32_t h, int32_t w)
{
    char name[96];
    const int32_t c_in = block ? stage->c_out : stage->c_in;
    sono_layer_path(rec, name, "backbone.stages.%d.blocks.%d.cat", (int)stage_index, (int)block);
    return sono_record_tensor(rec, name, SONO_DTYPE_F32, n, h, w, c_in + stage->n_layers * stage->c_mid);
}

/* cat holds the block's input in its first c_in channels. */
static void record_block(sono_recorder *rec, const sono_dfine_size *size, const sono_hgnetv2_stage *stage,
                         const char *name, sono_tid cat, int32_t c_in, int is_residual, sono_tid out)
{
    char part[96];
    const sono_tid input = sono_view_channels(rec, cat, 0, c_in);
    const unit pointwise = {stage->c_mid, 1, 1, 0, 0};
    const unit layer = {stage->c_mid, stage->kernel, 1, stage->is_light, 1};
    sono_tid x = input;
    for (int32_t i = 0; i < stage->n_layers; i++) {
        const sono_tid slice = sono_view_channels(rec, cat, c_in + i * stage->c_mid, stage->c_mid);
        if (stage->is_light)
            x = record_unit(rec, size, sono_layer_path(rec, part, "%s.layers.%d.conv1", name, (int)i), x,
                            &pointwise, 0, 0);
        sono_layer_path(rec, part, stage->is_light ? "%s.layers.%d.conv2" : "%s.layers.%d", name, (int)i);
        x = record_unit(rec, size, part, x, &layer, 0, slice);
    }
    sono_layer_path(rec, part, "%s.aggregation.0", name);
    x = record_unit(rec, size, part, cat, &(unit){stage->c_out / 2, 1, 1, 0, 1}, 0, 0);
    sono_layer_path(rec, part, "%s.aggregation.1", name);
    record_unit(rec, size, part, x, &(unit){stage->c_out, 1, 1, 0, 1}, is_residual ? input : 0, out);
}

/* cat: the first block's, its input already written. Returns the stage's map. */
static sono_tid record_stage(sono_recorder *rec, const sono_dfine_size *size, int32_t index, sono_tid cat)
{
    char name[96];
    const sono_hgnetv2_stage *stage = &size->backbone->stages[index];
    const sono_tensor map = sono_record_shape(rec, cat);
    sono_layer_path(rec, name, "backbone.stages.%d", (int)index);
    const sono_tid result = sono_record_tensor(rec, name, SONO_DTYPE_F32, map.n, map.h, map.w, stage->c_out);
    for (int32_t b = 0; b < stage->n_blocks; b++) {
        sono_tid next = 0, out = result;
        if (b + 1 < stage->n_blocks) {
            next = new_cat(rec, stage, index, b + 1, map.n, map.h, map.w);
            out = sono_view_channels(rec, next, 0, stage->c_out);
        }
        sono_layer_path(rec, name, "backbone.stages.%d.blocks.%d", (int)index, (int)b);
        record_block(rec, size, stage, name, cat, b ? stage->c_out : stage->c_in, b > 0, out);
        cat = next;
    }
    return result;
}

void sono_hgnetv2_record(sono_recorder *rec, const sono_dfine_size *size, sono_tid image,
                         sono_tid levels[SONO_DFINE_MAX_LEVELS])
{
    const sono_hgnetv2_stage *stages = size->backbone->stages;
    const sono_tensor map = sono_record_shape(rec, image);
    sono_tid cat = new_cat(rec, &stages[0], 0, 0, map.n, map.h / 4, map.w / 4), x = 0;
    record_stem(rec, size, image, sono_view_channels(rec, cat, 0, stages[0].c_in));
    for (int32_t i = 0; i < SONO_DFINE_N_STAGES; i++) {
        if (i > 0) {
            char name[96];
            cat = new_cat(rec, &stages[i], i, 0, map.n, map.h / 4 >> i, map.w / 4 >> i);
            record_unit(rec, size, sono_layer_path(rec, name, "backbone.stages.%d.downsample", (int)i), x,
                        &(unit){stages[i].c_in, 3, 2, 1, 0}, 0,
                        sono_view_channels(rec, cat, 0, stages[i].c_in));
        }
        x = record_stage(rec, size, i, cat);
        const int32_t level = i - (SONO_DFINE_N_STAGES - size->n_levels);
        if (level >= 0)
            levels[level] = x;
    }
}
