// SPDX-License-Identifier: Apache-2.0
/*
 * Boxes and points -> tokens, and the constants that go with the image embedding.
 * Follows mobile_sam/modeling/prompt_encoder.py @ 34bbbfd: PromptEncoder:16, _embed_points:72,
 * _embed_boxes:93, forward:128, PositionEmbeddingRandom:171; the output tokens in front of the corners are
 * MaskDecoder.predict_masks' (mask_decoder.py:121).
 */
#include "nets/sam/parts.h"

#include "base/alloc.h"
#include "nets/layers.h"

#include <math.h>

#define N_FREQUENCIES (SONO_MOBILESAM_CHANNELS / 2)
#define GAUSSIAN_NAME "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

/* Fills rows [first_row, first_row + n_rows) of a table of 256 channels from the checkpoint. */
static void fill_rows(sono_recorder *rec, const char *name, int32_t n_rows, float *table, int32_t first_row)
{
    const int64_t dims[2] = {n_rows, SONO_MOBILESAM_CHANNELS};
    if (rec->status == SONO_STATUS_OK && table)
        sono_record_latch(rec,
                          sono_bind_f32(rec->binder, name, 2, dims,
                                        table + (size_t)first_row * SONO_MOBILESAM_CHANNELS, rec->error));
}

enum { N_CORNERS = 2, N_LABELS = 3 };

/* What is added to a position: of the box's corners; where the caller may give points, also of what they
 * mean, of which a view has what is needed. [1, 1, 2, 3 or 5, 256] as PROMPT takes it. */
static sono_tid record_embeddings(sono_recorder *rec, const sono_prompt_tensors *prompts)
{
    const int32_t n_rows = prompts->is_callers ? N_CORNERS + N_LABELS : N_CORNERS;
    float *values;
    const sono_tid all = sono_record_param(rec, "prompt_encoder.point_embeddings", 1, 1, n_rows,
                                           SONO_MOBILESAM_CHANNELS, &values);
    fill_rows(rec, "prompt_encoder.point_embeddings.2.weight", 1, values, 0);
    fill_rows(rec, "prompt_encoder.point_embeddings.3.weight", 1, values, 1);
    if (!prompts->is_callers)
        return all;
    fill_rows(rec, "prompt_encoder.not_a_point_embed.weight", 1, values, N_CORNERS);
    fill_rows(rec, "prompt_encoder.point_embeddings.0.weight", 1, values, N_CORNERS + 1);
    fill_rows(rec, "prompt_encoder.point_embeddings.1.weight", 1, values, N_CORNERS + 2);
    const int32_t first = prompts->has_boxes ? 0 : N_CORNERS;
    const int32_t end = prompts->points ? n_rows : N_CORNERS;
    return sono_view_rows(rec, all, first, 1, end - first);
}

sono_tid sono_prompt_encoder_record(sono_recorder *rec, const sono_prompt_tensors *prompts, sono_tid header,
                                    int32_t input_px)
{
    const int64_t gaussian_dims[2] = {2, N_FREQUENCIES};
    const sono_tid gaussian = sono_layer_param(rec, GAUSSIAN_NAME, 2, gaussian_dims, 1, 1, 2, N_FREQUENCIES);
    const sono_tid embeddings = record_embeddings(rec, prompts);
    float *values;
    const sono_tid tokens = sono_record_param(rec, "mask_decoder.output_tokens", 1, 1, // [1, 1, 5, 256]
                                              SONO_MOBILESAM_TOKENS, SONO_MOBILESAM_CHANNELS, &values);
    fill_rows(rec, "mask_decoder.iou_token.weight", 1, values, 0);
    fill_rows(rec, "mask_decoder.mask_tokens.weight", SONO_MOBILESAM_TOKENS - 1, values, 1);
    const sono_segment_args args = {.image_size = input_px};
    rec->precise = 1; /* seven tokens cost nothing; the image side stays as it is */
    const sono_tid out = sono_record_prompt(rec, "prompt_encoder.0", prompts->detections, header, gaussian,
                                            embeddings, tokens, prompts->points, &args);
    rec->precise = 0;
    return out;
}

/* One position (x, y in [0, 1]) in the official order of float32 operations: sines, then cosines. */
static void encode_position(const float *gaussian, float x, float y, float *out)
{
    const float two_pi = 6.283185307179586f;
    for (int32_t i = 0; i < N_FREQUENCIES; i++) {
        const float angle = two_pi * ((2 * x - 1) * gaussian[i] + (2 * y - 1) * gaussian[N_FREQUENCIES + i]);
        out[i] = sinf(angle);
        out[N_FREQUENCIES + i] = cosf(angle);
    }
}

sono_tid sono_prompt_encoder_dense_pe(sono_recorder *rec, int32_t side)
{
    const int64_t dims[2] = {2, N_FREQUENCIES};
    float *gaussian = sono_mobilesam_take(rec, GAUSSIAN_NAME, 2, dims);
    float *values;
    const sono_tid dense_pe =
        sono_record_param(rec, "prompt_encoder.dense_pe", 1, side, side, // [1, side, side, 256]
                          SONO_MOBILESAM_CHANNELS, &values);
    if (gaussian && values)
        for (int32_t i = 0; i < side * side; i++)
            encode_position(gaussian, ((float)(i % side) + 0.5f) / (float)side,
                            ((float)(i / side) + 0.5f) / (float)side,
                            values + (size_t)i * SONO_MOBILESAM_CHANNELS);
    sono_free(gaussian);
    return dense_pe;
}

sono_tid sono_prompt_encoder_add_no_mask(sono_recorder *rec, sono_tid embedding)
{
    const sono_tensor map = sono_record_shape(rec, embedding);
    const int64_t dims[2] = {1, SONO_MOBILESAM_CHANNELS};
    const sono_tid vector = sono_layer_param(rec, "prompt_encoder.no_mask_embed.weight", 2, dims, 1, 1, 1,
                                             SONO_MOBILESAM_CHANNELS);
    return sono_record_add(rec, "prompt_encoder.src", embedding,
                           sono_view_spread(rec, vector, map.n, map.h, map.w), 0);
}
