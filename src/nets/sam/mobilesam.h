// SPDX-License-Identifier: Apache-2.0
/* The segmenter: MobileSAM vit_t. Follows ChaoningZhang/MobileSAM @ 34bbbfd. */
#ifndef SONO_NETS_SAM_MOBILESAM_H
#define SONO_NETS_SAM_MOBILESAM_H

#include "nets/bind.h"
#include "graph/record.h"

#define SONO_MOBILESAM_INPUT_PX 1024
#define SONO_MOBILESAM_MASK_PX  256

extern const float sono_mobilesam_mean[3]; /* of pixels in 0..255 */
extern const float sono_mobilesam_inv_std[3];

/* The TinyViT image encoder with its neck: image [N, 1024, 1024, 3] (normalised, zero-padded)
 * -> embedding [N, 64, 64, 256]. Latches failures in rec. */
sono_tid sono_tiny_vit_record(sono_recorder *rec, sono_tid image);

typedef struct sono_mobilesam_outputs {
    sono_tid low_res; /* [NK, 256, 256, 1] mask logits */
    sono_tid
        iou; /* [NK, 1, 1, 4]: predicted IoU of the four mask tokens; the single-mask output is channel 0 */
} sono_mobilesam_outputs;

/* Prompt encoder and mask decoder for the K boxes of each of N frames, detections [N, 1, K, 8]; N or K must
 * be 1. header: the frames' headers, for the scale from source pixels to the input. Marks what inference does
 * not use. Latches failures in rec. */
void sono_mobilesam_record_decoder(sono_recorder *rec, sono_tid embedding, sono_tid detections,
                                   sono_tid header, sono_mobilesam_outputs *out);

#endif
