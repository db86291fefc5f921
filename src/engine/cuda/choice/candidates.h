// SPDX-License-Identifier: Apache-2.0
/*
 * Which kernel computes which op: every kernel is a candidate for one kind of op, and the cheapest of those
 * that support an op is chosen, once, at open. What is asked of the device are two numbers. prepare and run
 * of each candidate, which need CUDA, are in kernels/kernels.h by the same id. Pure functions: thread-safe.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_CANDIDATES_H
#define SONO_ENGINE_CUDA_CHOICE_CANDIDATES_H

#include "engine/cuda/choice/call.h"
#include "engine/cuda/choice/tiles.h"
#include "engine/engine.h"
#include "engine/supports.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sono_cuda_candidate_id {
    SONO_CUDA_FIND_REGION,
    SONO_CUDA_PREPROCESS,
    SONO_CUDA_CONV_THIN,
#define SONO_CUDA_TILE_ENUM(id, ...) SONO_CUDA_CONV_##id,
    SONO_CONV_HALF_TILES(SONO_CUDA_TILE_ENUM) SONO_CONV_FLOAT_TILES(SONO_CUDA_TILE_ENUM)
#undef SONO_CUDA_TILE_ENUM
        SONO_CUDA_DWCONV_STRIP,
    SONO_CUDA_DWCONV_VECTOR,
    SONO_CUDA_DWCONV_SCALAR,
    SONO_CUDA_MAX_POOL,
    SONO_CUDA_UPSAMPLE2,
    SONO_CUDA_LAYER_NORM,
    SONO_CUDA_ADD,
    SONO_CUDA_SCALE_ROWS,
    SONO_CUDA_UNARY,
    SONO_CUDA_ATTENTION_NARROW,
    SONO_CUDA_ATTENTION_FEW,
    SONO_CUDA_ATTENTION_TENSOR,
    SONO_CUDA_ATTENTION_PLAIN,
    SONO_CUDA_DEFORM,
    SONO_CUDA_GATED_NORM,
    SONO_CUDA_TOPK_ROWS,
    SONO_CUDA_FDR_BOX,
    SONO_CUDA_LQE_STAT,
    SONO_CUDA_SELECT,
    SONO_CUDA_FOLLOW,
    SONO_CUDA_PROMPT,
    SONO_CUDA_HYPER_MASK,
    SONO_CUDA_UPSAMPLE_MASK,
    SONO_CUDA_CLEAN_MASK,
    SONO_CUDA_MASK_PROFILE,
    SONO_CUDA_ECHO_PARTS,
    SONO_CUDA_AGREEMENT,
    SONO_CUDA_SHOW_MASK,
    SONO_CUDA_BRIDGE_MASK,
    SONO_CUDA_STATE,
    SONO_CUDA_SCHEDULE,
    SONO_CUDA_DOUBT,
    SONO_CUDA_SURFACE,
    SONO_CUDA_WEIGHT_MAPS,
    SONO_CUDA_CHAIN_LINEAR,
    SONO_CUDA_CHAIN_ROWS,
    SONO_CUDA_MBCONV,
    SONO_CUDA_MBCONV_FILTER,
    SONO_CUDA_MLP,
    SONO_CUDA_NORM_LINEAR,
    SONO_CUDA_NORM_FIRST,
    SONO_CUDA_CANDIDATE_COUNT
} sono_cuda_candidate_id;

/* How a parameter lies in device memory. */
typedef enum sono_cuda_form {
    SONO_CUDA_FORM_PLAIN,  /* float32, as recorded */
    SONO_CUDA_FORM_PACKED, /* float16, K-major and padded: kernels/kernels.h */
    SONO_CUDA_FORM_COUNT
} sono_cuda_form;

typedef struct sono_cuda_candidate sono_cuda_candidate;

/* A kernel for one op, and what it was chosen with. */
typedef struct sono_cuda_choice {
    const sono_cuda_candidate *candidate;
    float clocks;            /* estimated; 0 where candidates are in order of preference */
    size_t scratch_bytes;    /* that the op needs while it runs */
    int32_t steps, n_splits; /* CONV, LINEAR: of a tile's depth that one split takes; splits of the depth */
    int32_t strip_height;    /* DWCONV: lines of a thread of the strip kernel */
} sono_cuda_choice;

struct sono_cuda_candidate {
    sono_cuda_candidate_id id;
    sono_op_kind kind; /* CONV stands for LINEAR, too; COUNT: for no op by itself, only in chains */
    const char *name;
    sono_cuda_form pack; /* of the weight, input 1, where the kind has one */
    /* Of an op that no limit of its kind refuses (families.h). NULL: all of them. */
    int (*supports)(const sono_cuda_call *call, const sono_cuda_candidate *self);
    /* Fills in out->clocks and what the kernel is to be told; INFINITY: it does not fit. NULL: 0. */
    void (*cost)(const sono_cuda_call *call, const sono_cuda_candidate *self, sono_cuda_choice *out);
    size_t (*scratch)(const sono_cuda_call *call, const sono_cuda_choice *choice); /* NULL: none */
    const sono_conv_tile *tile;                                                    /* of a CONV; else NULL */
};

extern const sono_cuda_candidate sono_cuda_candidates[SONO_CUDA_CANDIDATE_COUNT];

/* Tensors, and an op's call, as they will be when there is memory. */
sono_cuda_tensor sono_cuda_describe(const sono_program *program, sono_precision precision, sono_tid id);
sono_cuda_call sono_cuda_describe_call(const sono_program *program, sono_precision precision,
                                       const sono_cuda_facts *facts, const sono_op *op);

/* The choice for every op, [n_ops]. Errors: UNSUPPORTED (names op, tensor, shape and reason). */
sono_status sono_cuda_choose(const sono_program *program, sono_precision precision,
                             const sono_cuda_facts *facts, sono_cuda_choice *out, sono_error *error);

/* Joins ops of a lowered program that kernels can do at once (chain.h, mbconv.h, normed.h). keeps_all: every
 * result is wanted in memory. */
void sono_cuda_fuse(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts,
                    int keeps_all);

/* In what form an op reads the parameter that is its input k. */
static inline sono_cuda_form sono_cuda_form_of(const sono_cuda_choice *choice, int k)
{
    return k == 1 ? choice->candidate->pack : SONO_CUDA_FORM_PLAIN;
}

#ifdef __cplusplus
}
#endif
#endif
