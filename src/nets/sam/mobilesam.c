// SPDX-License-Identifier: Apache-2.0
/* MobileSAM vit_t as built by mobile_sam/build_sam.py:47-93 @ 34bbbfd: its constants and the decoder's two
 * halves. */
#include "nets/sam/mobilesam.h"

#include "base/alloc.h"
#include "nets/sam/parts.h"

const float sono_mobilesam_mean[3] = {123.675f, 116.28f, 103.53f};
const float sono_mobilesam_inv_std[3] = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f};

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

/* Points, mask prompts and the three masks of the multi-mask output are not part of this pipeline. */
static void ignore_unused(sono_recorder *rec)
{
    static const char *const patterns[] = {
        "prompt_encoder.point_embeddings.0.weight",   "prompt_encoder.point_embeddings.1.weight",
        "prompt_encoder.not_a_point_embed.weight",    "prompt_encoder.mask_downscaling.*",
        "mask_decoder.output_hypernetworks_mlps.1.*", "mask_decoder.output_hypernetworks_mlps.2.*",
        "mask_decoder.output_hypernetworks_mlps.3.*",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        sono_bind_ignore(rec->binder, patterns[i]);
}

void sono_mobilesam_record_decoder(sono_recorder *rec, sono_tid embedding, sono_tid detections,
                                   sono_tid header, sono_mobilesam_outputs *out)
{
    const sono_tid tokens = sono_prompt_encoder_record(rec, detections, header); // [NK, 1, 7, 256]
    const sono_tid dense_pe = sono_prompt_encoder_dense_pe(rec);                 // [1, 64, 64, 256]
    const sono_tid src = sono_prompt_encoder_add_no_mask(rec, embedding);        // [N, 64, 64, 256]
    sono_mask_decoder_record(rec, src, dense_pe, tokens, out);
    ignore_unused(rec);
}
