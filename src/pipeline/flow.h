// SPDX-License-Identifier: Apache-2.0
/* The flow from frame to packet as one program. */
#ifndef SONO_PIPELINE_FLOW_H
#define SONO_PIPELINE_FLOW_H

#include "pipeline/frame.h"
#include "engine/engine.h"
#include "nets/network.h"
#include "graph/params.h"
#include "pipeline/maps.h"

typedef struct sono_flow {
    sono_program *program;
    sono_model_info detector, segmenter; /* all 0 where the flow goes without */
    sono_frame_tensors frame;            /* INPUT */
    sono_tid header; /* what the ops read: the frame's own or, with find_region, those with what was found */
    sono_tid region; /* OUTPUT I32 [N, 1, 1, 4] x, y, width, height in pixels; 0 = nobody looks for one */
    sono_prompt_tensors prompts; /* what the segmenter is pointed at with: detections, or INPUTs */
    sono_tid detections; /* OUTPUT, without a detector INPUT, F32 [N, 1, K, 8]; N = frames of a batch, K =
                            objects of a frame */
    sono_tid segmenter_input; /* F32 [N, S, S, 3]; this and what follows 0 without a segmenter */
    sono_tid iou;             /* OUTPUT F32 [NK, 1, 1, 4] */
    sono_tid area;            /* OUTPUT I32 [NK, 1, 1, 1] */
    sono_tid mask, weights;   /* OUTPUT U8, planes of one tensor (graph/map_layout.h); weights may be 0 */
    sono_tid verdict; /* OUTPUT I32 [N, 1, 1, SONO_VERDICT_INTS]; 0 = states are those of the scores */
    sono_tid surface; /* OUTPUT I32 [N, 1, 1, SONO_SURFACE_COLUMNS]; 0 = none */
    int32_t map_element_bytes; /* of a weight map; 0 = there are none */
    /* Ops [first_segment_op, first_mask_op) only matter when a box passed the gate: the image encoder's, then
     * from first_decode_op on those that wait for the detector. */
    int32_t first_segment_op, first_decode_op, first_mask_op;
    int32_t first_prompt_op; /* lane 0's from here on wait for detections, or for what does */
    sono_branch
        branches[SONO_MAX_BRANCHES]; /* with detect_every above 1: the detector; and all that depends on
                                        it once more, for frames in which it was left out too boldly */
    int32_t n_branches;
    sono_tid memory, kept, followed; /* KEPT, of states by stream; 0 = none */
} sono_flow;

/* All 0 where there is none. */
typedef struct sono_flow_network {
    sono_checkpoint *checkpoint;
    sono_binder *binder;
} sono_flow_network;

/* What flows are recorded from, by one thread at a time. The first flow reads the parameters. */
typedef struct sono_flow_models {
    sono_flow_network detector, segmenter;
    sono_params *params;
} sono_flow_models;

/* Of config the paths (NULL: without that network), the detector's family and the inputs' sizes. Errors: IO,
 * FORMAT, UNSUPPORTED, MODEL_MISMATCH (not the network or the family that is meant), OUT_OF_MEMORY. */
sono_status sono_flow_models_open(const sono_pipeline_config *config, sono_flow_models *out,
                                  sono_error *error);
void sono_flow_models_close(sono_flow_models *models); /* zeroed ones are allowed */

/* Records everything. models: may be closed when it returns. config: with its defaults filled in and checked.
 * Errors: those of sono_pipeline_open(). */
sono_status sono_flow_open(const sono_pipeline_config *config, sono_flow_models *models, sono_flow *out,
                           sono_error *error);
void sono_flow_close(sono_flow *flow); /* a zeroed flow is allowed */

/* One network by itself, on made-up inputs, every tensor of its checkpoint bound: for inspection and for
 * checking a checkpoint as a whole. The caller closes *out. */
sono_status sono_flow_record_network(const sono_checkpoint *checkpoint, sono_detector_family family,
                                     sono_program **out, sono_error *error);

#endif
