// SPDX-License-Identifier: Apache-2.0
/*
 * Recording ops. A recorder latches the first failure: after it every call returns 0 and does nothing, and
 * sono_record_finish() returns the status, so that a network reads as straight lines.
 * Where `out` is 0 a new dense tensor named `name` is made; else the op writes into that tensor or view,
 * whose shape is checked. Tensor ids given as 0 mean "not given" where SONO_OP_MAP says '?', and an error
 * elsewhere.
 */
#ifndef SONO_GRAPH_RECORD_H
#define SONO_GRAPH_RECORD_H

#include "graph/program.h"

struct sono_binder;

typedef struct sono_recorder {
    sono_program *program;
    struct sono_binder *binder; /* where layers take their parameters from; NULL in op tests */
    sono_stage stage;           /* of the ops recorded from now on */
    int32_t lane;               /* likewise: 0, or 1 for ops that may run beside lane 0's; see sono_op */
    int32_t strand;             /* likewise: 0, or 1 for ops that may run beside strand 0's; see sono_op */
    int32_t precise;    /* 1: activations made from now on, and what is made from them, stay float32 */
    int32_t coarse;     /* 1: what is made from now on need not, whatever it is made from */
    sono_status status; /* the first failure */
    sono_error *error;
} sono_recorder;

void sono_record_start(sono_recorder *rec, sono_program *program, struct sono_binder *binder,
                       sono_error *error);
sono_status sono_record_finish(sono_recorder *rec);
/* Latches a failure found by a caller (its text already in rec->error); returns 0. */
sono_tid sono_record_latch(sono_recorder *rec, sono_status status);

/* ---- tensors ---- */

sono_tid sono_record_input(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                           int32_t w, int32_t c);
/* An activation for others to write into through views. */
sono_tid sono_record_tensor(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                            int32_t w, int32_t c);
/* What ops keep from one run to the next. Whoever touches it is on lane 0. */
sono_tid sono_record_kept(sono_recorder *rec, const char *name, sono_dtype dtype, int32_t n, int32_t h,
                          int32_t w, int32_t c);
/* A zeroed float32 constant; *values (not NULL) is where the caller puts it. *values is NULL on failure, and
 * where the program takes over params that are complete: then there is nothing to fill in. */
sono_tid sono_record_param(sono_recorder *rec, const char *name, int32_t n, int32_t h, int32_t w, int32_t c,
                           float **values);
/* Whether it does: then no param's values are to be read from the checkpoint. */
int sono_record_adopts(const sono_recorder *rec);
/* Keeps a tensor for the caller to read after the run. */
void sono_record_output(sono_recorder *rec, sono_tid tensor);

/* Shape of a tensor; all zero after a failure. Borrowed until the next tensor is made: copy it. */
sono_tensor sono_record_shape(const sono_recorder *rec, sono_tid tensor);

/* ---- views: no data moves ---- */

sono_tid sono_view_channels(sono_recorder *rec, sono_tid x, int32_t first, int32_t count);
/* Positions [first, first + h * w) of each map of x, seen as an h x w map. */
sono_tid sono_view_rows(sono_recorder *rec, sono_tid x, int32_t first, int32_t h, int32_t w);
/* The same elements in another shape. Where c changes x must be dense. */
sono_tid sono_view_reshape(sono_recorder *rec, sono_tid x, int32_t n, int32_t h, int32_t w, int32_t c);
/* One map (n = 1) seen n times; read only. */
sono_tid sono_view_broadcast(sono_recorder *rec, sono_tid x, int32_t n);
/* One position [1, 1, 1, c] seen at every position of n maps of h x w; read only. */
sono_tid sono_view_spread(sono_recorder *rec, sono_tid x, int32_t n, int32_t h, int32_t w);

/* ---- ops, in the order of SONO_OP_MAP ---- */

sono_epilogue sono_epilogue_none(void); /* no activation, post_scale 1 */
sono_epilogue sono_epilogue_act(sono_act act);

/* Returns the headers with what was found, for all ops that read one; region: I32 [N, 1, 1, 4], where that
 * goes besides. kept: of one stream, U8 [1, 1, 1, SONO_REGION_BYTES]; 0 = of each frame alone. */
sono_tid sono_record_find_region(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                 sono_tid kept, const sono_region_args *args, sono_tid region);
sono_tid sono_record_preprocess(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                const sono_preprocess_args *args);
/* Records LINEAR when the kernel is 1 x 1 with stride 1 and no padding, else CONV. */
sono_tid sono_record_conv(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                          sono_tid residual, const sono_conv_args *args, sono_tid out);
sono_tid sono_record_linear(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                            sono_tid residual, const sono_epilogue *epilogue, sono_tid out);
sono_tid sono_record_dwconv(sono_recorder *rec, const char *name, sono_tid x, sono_tid weight, sono_tid bias,
                            sono_tid residual, const sono_conv_args *args, sono_tid out);
sono_tid sono_record_max_pool(sono_recorder *rec, const char *name, sono_tid x, const sono_pool_args *args,
                              sono_tid out);
sono_tid sono_record_upsample2(sono_recorder *rec, const char *name, sono_tid x, sono_tid out);
sono_tid sono_record_layer_norm(sono_recorder *rec, const char *name, sono_tid x, sono_tid gamma,
                                sono_tid beta, sono_tid residual, const sono_norm_args *args, sono_tid out);
sono_tid sono_record_add(sono_recorder *rec, const char *name, sono_tid a, sono_tid b, sono_tid out);
sono_tid sono_record_scale_rows(sono_recorder *rec, const char *name, sono_tid x, sono_tid scale,
                                sono_tid out);
sono_tid sono_record_unary(sono_recorder *rec, const char *name, sono_tid x, sono_unary_fn fn, sono_tid out);
/* q [n,h,w,heads*head_dim]; k, v likewise (n may be broadcast). Windowed: q, k, v are maps of one size, the
 * last windows reach past the border and see pad_k / pad_v there, which are then required. */
sono_tid sono_record_attention(sono_recorder *rec, const char *name, sono_tid q, sono_tid k, sono_tid v,
                               sono_tid bias, sono_tid pad_k, sono_tid pad_v, const sono_attention_args *args,
                               sono_tid out);
sono_tid sono_record_deform(sono_recorder *rec, const char *name, sono_tid value, sono_tid offsets,
                            sono_tid logits, sono_tid boxes, const sono_deform_args *args, sono_tid out);
sono_tid sono_record_gated_norm(sono_recorder *rec, const char *name, sono_tid gates, sono_tid x1,
                                sono_tid x2, sono_tid gamma, sono_tid beta, float eps, sono_tid out);
/* outs: memory, anchors, indices; order: best first, ties by lower index. */
void sono_record_topk_rows(sono_recorder *rec, const char *name, sono_tid logits, sono_tid memory,
                           sono_tid anchors, int32_t k, sono_tid outs[3]);
sono_tid sono_record_fdr_box(sono_recorder *rec, const char *name, sono_tid corners, sono_tid boxes,
                             sono_tid project, const sono_bins_args *args);
sono_tid sono_record_lqe_stat(sono_recorder *rec, const char *name, sono_tid corners,
                              const sono_bins_args *args);
sono_tid sono_record_select(sono_recorder *rec, const char *name, sono_tid logits, sono_tid boxes,
                            sono_tid header, int32_t max_objects, sono_tid out);
/* Reorders detections where they lie, so that the frame's first one is where it was in the frame before.
 * followed: kept, U8 [1, 1, 1, SONO_FOLLOWED_BYTES], read and written; rules: of a stream. */
void sono_record_follow(sono_recorder *rec, const char *name, sono_tid logits, sono_tid boxes,
                        sono_tid header, sono_tid detections, sono_tid followed,
                        const sono_machine_rules *rules);
/* points 0: boxes alone. embeddings: see SONO_OP_MAP. */
sono_tid sono_record_prompt(sono_recorder *rec, const char *name, sono_tid detections, sono_tid header,
                            sono_tid gaussian, sono_tid embeddings, sono_tid tokens, sono_tid points,
                            const sono_segment_args *args);
sono_tid sono_record_hyper_mask(sono_recorder *rec, const char *name, sono_tid up, sono_tid hyper);
/* outs: mask, area, and source logits if want_logits. The mask is the first plane of a tensor with room for
 * what args say that record_weight_maps() adds. */
void sono_record_upsample_mask(sono_recorder *rec, const char *name, sono_tid logits, sono_tid detections,
                               sono_tid header, const sono_segment_args *args, int want_logits,
                               sono_tid outs[3]);
/* Removes pieces of a mask where it lies. area: what sono_record_upsample_mask() gave; it becomes that of
 * what stays. */
void sono_record_clean_mask(sono_recorder *rec, const char *name, sono_tid mask, sono_tid area,
                            sono_tid detections, sono_tid header, const sono_segment_args *args);
/* outs: the profile of each frame's first mask, and the sums that later ops of the state add up in. */
void sono_record_mask_profile(sono_recorder *rec, const char *name, sono_tid mask, sono_tid header,
                              const sono_segment_args *args, sono_tid outs[2]);
/* profile, sums: what sono_record_mask_profile() gave. Returns the echo, a row of SONO_ECHO_INTS a frame. */
sono_tid sono_record_echo_parts(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                                sono_tid mask, sono_tid profile, sono_tid sums, sono_tid detections,
                                const sono_segment_args *args);
/* What is kept of a stream's last frame: for sono_record_agreement() and sono_record_show_mask(). */
sono_tid sono_record_kept_frame(sono_recorder *rec, const char *name, const sono_segment_args *args);
/* Returns the agreement, a row of SONO_AGREEMENT_INTS a frame. */
sono_tid sono_record_agreement(sono_recorder *rec, const char *name, sono_tid mask, sono_tid profile,
                               sono_tid sums, sono_tid header, sono_tid kept, const sono_segment_args *args);
/* verdict: a row of SONO_VERDICT_INTS a frame. Empties masks, areas and detections of LOST frames where
 * they lie, and keeps the last frame in `kept`; 0 = nothing is kept. */
void sono_record_show_mask(sono_recorder *rec, const char *name, sono_tid verdict, sono_tid profile,
                           sono_tid header, sono_tid mask, sono_tid area, sono_tid detections, sono_tid kept,
                           const sono_segment_args *args);
/* Bridges gaps of a mask where it lies, likewise. */
void sono_record_bridge_mask(sono_recorder *rec, const char *name, sono_tid mask, sono_tid area,
                             sono_tid pixels, sono_tid header, sono_tid detections,
                             const sono_segment_args *args);
/* The first object's state in each frame. iou, agreement, memory: 0 = there is none; memory goes with states
 * BY_STREAM, and is read and written. Returns the verdicts (sono_verdict). */
sono_tid sono_record_state(sono_recorder *rec, const char *name, sono_tid detections, sono_tid iou,
                           sono_tid echo, sono_tid agreement, sono_tid header, sono_tid memory,
                           const sono_machine_rules *rules, sono_tid out);
/* Whether a stream's next frame, alone in its batch, goes without the detector (engine/schedule.h). sizes: as
 * for sono_record_kept_frame(); followed: as for sono_record_follow(), told of a box that is recalled. outs:
 * the step, and the detection of the frame, for the detector to overwrite where it runs. */
void sono_record_schedule(sono_recorder *rec, const char *name, sono_tid memory, sono_tid kept,
                          sono_tid header, sono_tid followed, const sono_segment_args *sizes,
                          const sono_schedule_args *args, sono_tid outs[2]);
/* Whether such a frame needs the detector after all; what it is judged by is what STATE will get. Returns the
 * step. */
sono_tid sono_record_doubt(sono_recorder *rec, const char *name, sono_tid detections, sono_tid iou,
                           sono_tid echo, sono_tid agreement, sono_tid header, sono_tid memory,
                           const sono_machine_rules *rules);
/* Records those of ops [first_op, last_op) that are on lane 0 a second time. What lives within them alone
 * gets storage of its own; all else, and what shares storage with `shared` tensors, is read and written where
 * it lies: what they read from outside must not be overwritten before the last of them. Parameters are the
 * same. Operations are not counted a second time. */
void sono_record_again(sono_recorder *rec, int32_t first_op, int32_t last_op, const sono_tid *shared,
                       int32_t n_shared);
/* Returns the rows of the echo's ridge in each frame's first mask. */
sono_tid sono_record_surface(sono_recorder *rec, const char *name, sono_tid pixels, sono_tid header,
                             sono_tid mask, const sono_segment_args *args, sono_tid out);
/* mask: the first plane of its tensor. Returns the planes behind it: edge, inside, outside. */
sono_tid sono_record_weight_maps(sono_recorder *rec, const char *name, sono_tid mask, sono_tid header,
                                 const sono_segment_args *args);

#endif
