// SPDX-License-Identifier: Apache-2.0
/*
 * PROMPT: a box as the mask decoder's tokens.
 *
 * detections [N, 1, K, 8], header, gaussian [1, 1, 2, c/2], corners [1, 1, 2, c], tokens [1, 1, T, c]
 * -> [NK, 1, T + 2, c]: the output tokens, then the top left and the bottom right corner. A corner is sin |
 * cos of 2 pi (point @ gaussian), point in -1..1, plus its learned embedding. Order of operations as in the
 * official code: MobileSAM mobile_sam/modeling/prompt_encoder.py:96-103, 187-218 @ 34bbbfd.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/frames.h"
#include "engine/letterbox.h"

#include <math.h>
#include <string.h>

static const float two_pi = 6.28318530717958647692f;

static float normalised(float source_px, float scale, float size_px)
{
    return 2.0f * ((source_px * scale + 0.5f) / size_px) - 1.0f;
}

static void encode_corner(const sono_cpu_tensor *gaussian, const float *corner, float x, float y, float *out)
{
    const float *gx = gaussian->data, *gy = (const float *)gaussian->data + gaussian->pitch;
    const int32_t half = gaussian->c;
    for (int32_t i = 0; i < half; i++) {
        const float angle = two_pi * (x * gx[i] + y * gy[i]);
        out[i] = sinf(angle) + corner[i];
        out[half + i] = cosf(angle) + corner[half + i];
    }
}

void SONO_KERNEL(sono_cpu_prompt)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *detections = &call->in[0], *gaussian = &call->in[2], *corners = &call->in[3];
    const sono_cpu_tensor *tokens = &call->in[4], *out = &call->out[0];
    const int32_t n_tokens = tokens->h * tokens->w;
    const float size = (float)call->op->args.segment.image_size;
    const int32_t n_objects = detections->w;
    for (int32_t k = 0; k < out->n; k++) {
        sono_frame_header header;
        memcpy(&header, (const sono_frame_header *)call->in[1].data + frame_of_object(k, n_objects),
               sizeof header);
        const float scale = (float)(call->op->args.segment.image_size /
                                    (double)longest_side_px(header.width_px, header.height_px));
        float *row = (float *)out->data + k * out->batch_stride;
        for (int32_t t = 0; t < n_tokens; t++, row += out->pitch)
            memcpy(row, (const float *)tokens->data + t * tokens->pitch, (size_t)tokens->c * sizeof *row);
        const float *box = (const float *)detections->data + /* x1 y1 x2 y2 */
                           detection_at(k, n_objects, detections->pitch, detections->batch_stride);
        for (int corner = 0; corner < 2; corner++, row += out->pitch)
            encode_corner(gaussian, (const float *)corners->data + corner * corners->pitch,
                          normalised(box[2 * corner], scale, size),
                          normalised(box[2 * corner + 1], scale, size), row);
    }
}
