// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE from end to end, and the table of its sizes. Follows Peterande/D-FINE @ 4a1f73a:
 * configs/dfine/include/ dfine_hgnetv2.yml with dfine_hgnetv2_{n,s,m,l,x}_coco.yml,
 * src/zoo/dfine/hybrid_encoder.py:375 (c_csp and csp_depth are Python's round(expansion * hidden // 2) and
 * round(3 * depth_mult), halves to even), src/zoo/dfine/ dfine_decoder.py:661 (input_proj where encoder and
 * decoder differ in channels), :706 (the memory).
 */
#include "nets/dfine/dfine.h"

#include "nets/dfine/dfine_parts.h"
#include "nets/layers.h"

#include <string.h>

const sono_dfine_size sono_dfine_sizes[] = {
    {"dfine-n", &sono_hgnetv2_b0, 1, 2, 128, 512, 21, 2, 128, 512, 3, {6, 6, 0}, 4.0f},
    {"dfine-s", &sono_hgnetv2_b0, 1, 3, 256, 1024, 64, 1, 256, 1024, 3, {3, 6, 3}, 4.0f},
    {"dfine-m", &sono_hgnetv2_b2, 1, 3, 256, 1024, 128, 2, 256, 1024, 4, {3, 6, 3}, 4.0f},
    {"dfine-l", &sono_hgnetv2_b4, 0, 3, 256, 1024, 128, 3, 256, 1024, 6, {3, 6, 3}, 4.0f},
    {"dfine-x", &sono_hgnetv2_b5, 0, 3, 384, 2048, 192, 3, 256, 1024, 6, {3, 6, 3}, 8.0f},
    {.architecture = NULL},
};

static const sono_dfine_size *find_size(sono_recorder *rec, const sono_model_info *info)
{
    for (const sono_dfine_size *size = sono_dfine_sizes; size->architecture; size++)
        if (strcmp(info->architecture, size->architecture) == 0)
            return size;
    sono_record_latch(
        rec, SONO_FAIL(rec->error, UNSUPPORTED, "\"%s\" is no D-FINE of a known size", info->architecture));
    return NULL;
}

/* Heads of layers before the last: training's. */
static void ignore_unused(struct sono_binder *binder, const sono_dfine_size *size)
{
    for (int32_t i = 0; i + 1 < size->n_decoder_layers; i++) {
        char pattern[96];
        snprintf(pattern, sizeof pattern, "decoder.dec_score_head.%d.*", (int)i);
        sono_bind_ignore(binder, pattern);
        snprintf(pattern, sizeof pattern, "decoder.decoder.lqe_layers.%d.*", (int)i);
        sono_bind_ignore(binder, pattern);
    }
}

/* The encoder's levels, written one after the other into one tensor of tokens; through the decoder's
 * projections where the numbers of channels differ. */
static sono_tid record_memory(sono_recorder *rec, const sono_dfine_size *size,
                              const sono_tid levels[SONO_DFINE_MAX_LEVELS],
                              sono_tensor shapes[SONO_DFINE_MAX_LEVELS])
{
    const int has_projection = size->c_encoder != size->c_decoder;
    sono_tid rows[SONO_DFINE_MAX_LEVELS] = {0}, fused[SONO_DFINE_MAX_LEVELS] = {0};
    int32_t n_tokens = 0, first = 0;
    for (int32_t i = 0; i < size->n_levels; i++) {
        shapes[i] = sono_record_shape(rec, levels[i]);
        n_tokens += shapes[i].h * shapes[i].w;
    }
    const sono_tid memory =
        sono_record_tensor(rec, "decoder.memory", SONO_DTYPE_F32, shapes[0].n, 1, n_tokens, size->c_decoder);
    for (int32_t i = 0; i < size->n_levels; i++) {
        rows[i] = sono_view_rows(rec, memory, first, shapes[i].h, shapes[i].w);
        first += shapes[i].h * shapes[i].w;
        fused[i] = has_projection ? 0 : rows[i];
    }
    sono_hybrid_encoder_record(rec, size, levels, fused);
    for (int32_t i = 0; has_projection && i < size->n_levels; i++) {
        char conv[96], norm[96];
        const sono_conv_args args = {
            .kernel_h = 1, .kernel_w = 1, .stride = 1, .epilogue = sono_epilogue_none()};
        sono_layer_conv_bn(rec, sono_layer_path(rec, conv, "decoder.input_proj.%d.conv", (int)i),
                           sono_layer_path(rec, norm, "decoder.input_proj.%d.norm", (int)i), fused[i],
                           size->c_decoder, 1, &args, 0, rows[i]);
    }
    return memory;
}

/* Whole strides, and at least as many tokens as queries; latches a failure where it is not so. */
static int fits_input(sono_recorder *rec, const sono_dfine_size *size, sono_tid image)
{
    const sono_tensor map = sono_record_shape(rec, image);
    int32_t n_tokens = 0;
    for (int32_t i = 0, stride = SONO_DFINE_STEP_PX; i < size->n_levels; i++, stride /= 2)
        n_tokens += (map.h / stride) * (map.w / stride);
    if (map.h % SONO_DFINE_STEP_PX == 0 && map.w % SONO_DFINE_STEP_PX == 0 &&
        n_tokens >= SONO_DFINE_N_QUERIES)
        return 1;
    sono_record_latch(rec, SONO_FAIL(rec->error, UNSUPPORTED,
                                     "%s: %s at %d x %d pixels: give multiples of %d with %d tokens or "
                                     "more, these are %d",
                                     sono_binder_path(rec->binder), size->architecture, map.w, map.h,
                                     SONO_DFINE_STEP_PX, SONO_DFINE_N_QUERIES, n_tokens));
    return 0;
}

void sono_dfine_record(sono_recorder *rec, sono_tid image, sono_detector_outputs *out)
{
    *out = (sono_detector_outputs){0, 0};
    if (rec->status != SONO_STATUS_OK)
        return;
    const sono_model_info *info = sono_binder_info(rec->binder);
    const sono_dfine_size *size = find_size(rec, info);
    if (!size)
        return;
    if (!fits_input(rec, size, image))
        return;
    sono_tid levels[SONO_DFINE_MAX_LEVELS] = {0};
    sono_tensor shapes[SONO_DFINE_MAX_LEVELS] = {0};
    sono_hgnetv2_record(rec, size, image, levels);
    const sono_tid memory = record_memory(rec, size, levels, shapes);
    sono_dfine_decoder_record(rec, size, info->n_classes, memory, shapes, out);
    ignore_unused(rec->binder, size);
}
