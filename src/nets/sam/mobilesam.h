// SPDX-License-Identifier: Apache-2.0
/* The segmenter: MobileSAM vit_t. Follows ChaoningZhang/MobileSAM @ 34bbbfd. */
#ifndef SONO_NETS_SAM_MOBILESAM_H
#define SONO_NETS_SAM_MOBILESAM_H

#include "nets/network.h"

extern const sono_network sono_mobilesam_network;

/* The TinyViT image encoder with its neck: image [N, S, S, 3] (normalised, zero-padded), S a multiple of 64
 * -> embedding [N, S/16, S/16, 256]. Latches failures in rec. */
sono_tid sono_tiny_vit_record(sono_recorder *rec, sono_tid image);

/* Prompt encoder and mask decoder for the K objects of each of N frames; N or K must be 1. header: the
 * frames' headers, for the scale from source pixels to the input. out: logits [NK, S/4, S/4, 1]; the IoU of
 * all four mask tokens, of which the single-mask output is channel 0. Latches failures in rec. */
void sono_mobilesam_record_decoder(sono_recorder *rec, sono_tid embedding, const sono_prompt_tensors *prompts,
                                   sono_tid header, sono_segmenter_outputs *out);

#endif
