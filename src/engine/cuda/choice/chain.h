// SPDX-License-Identifier: Apache-2.0
/*
 * Chains: runs of ops in which a row of the results depends on the same row of the inputs alone (the queries
 * of D-FINE's decoder, the tokens of the mask decoder: linear layers, norms, sums, boxes), done by one launch
 * instead of one each. A cluster of blocks takes a tile of rows through all steps; what one step leaves for
 * the next lies in the shared memory of every block (kernels/sm90/chain.cu). Here is decided which ops those
 * are, and where in that memory each tensor lies while it is needed. Plain C without CUDA; pure functions.
 *
 * Between two barriers of the cluster (an epoch) a block must neither read what others have written since the
 * last one, nor write to others where they may still read.
 */
#ifndef SONO_ENGINE_CUDA_CHOICE_CHAIN_H
#define SONO_ENGINE_CUDA_CHOICE_CHAIN_H

#include "engine/cuda/choice/call.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONO_CHAIN_CLUSTER    8 /* blocks that share a tile */
#define SONO_CHAIN_THREADS    512
#define SONO_CHAIN_MAX_STEPS  48
#define SONO_CHAIN_MAX_ROWS   32  /* of a tile */
#define SONO_CHAIN_MAX_TOKENS 512 /* of a map */
#define SONO_CHAIN_WARP_TILES 4   /* of 8 columns that a warp makes at most */
#define SONO_CHAIN_TILES      32  /* of partial sums, slices of the depth times tiles, that a block holds */
#define SONO_CHAIN_BYTES      (227 << 10) /* shared memory of a block of compute capability 9.0 */

#ifdef __CUDACC__
#define SONO_CHAIN_FN static inline __host__ __device__
#else
#define SONO_CHAIN_FN static inline
#endif

/* Floats from row to row of partial sums: rows begin 8 banks apart. */
SONO_CHAIN_FN int32_t sono_chain_part_pitch(int32_t n_tiles)
{
    return 8 * n_tiles + 8;
}

/* How many slices of the depth a block makes at once of so many tiles of columns. */
SONO_CHAIN_FN int32_t sono_chain_slices(int32_t n_tiles)
{
    return n_tiles <= SONO_CHAIN_TILES / 8   ? 8
           : n_tiles <= SONO_CHAIN_TILES / 4 ? 4
           : n_tiles <= SONO_CHAIN_TILES / 2 ? 2
                                             : 1;
}

/* Where a tensor's first row lies in a block's area, in floats; at -1: not there. */
typedef struct sono_chain_place {
    int32_t at, pitch, rows; /* rows: that may be read from there on */
} sono_chain_place;

/* What a step does: an op's work, or bring a tensor in, or out. */
typedef enum sono_chain_role { SONO_CHAIN_OP, SONO_CHAIN_LOAD, SONO_CHAIN_STORE } sono_chain_role;

typedef struct sono_chain_step {
    sono_chain_role role;
    int32_t op;      /* in the program; of a STORE: whose result it is; -1: LOAD */
    sono_tid tensor; /* LOAD, STORE: which; OP: the result goes to device memory at once; 0: it does not */
    sono_chain_place in[SONO_OP_MAX_IN], out; /* STORE: in[0] */
    int32_t constants_at;                     /* floats: bias of a block's columns; gamma and beta; project */
    int32_t waits;        /* 1: a barrier of the cluster comes first, else one of the block */
    int32_t is_local_out; /* LINEAR: each block keeps the columns that it made, side by side */
    int32_t is_local_in;  /* LINEAR: x is what such a step left */
} sono_chain_step;

typedef struct sono_chain {
    int32_t first_op, last_op;
    int32_t n_maps, n_rows; /* of a map */
    int32_t tile_rows, tiles_per_map;
    int32_t part_at;     /* partial sums of a block: floats */
    int32_t steps_at;    /* what the kernel keeps of the steps */
    int32_t area_floats; /* in all */
    int32_t n_steps;
    sono_chain_step steps[SONO_CHAIN_MAX_STEPS];
} sono_chain;

/* Whether a device runs chains at all. */
int sono_chain_has_kernel(const sono_cuda_facts *facts, sono_precision precision);

/* Joins ops of a lowered program into chains. */
void sono_chain_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts);

/* Whether op i is part of one; other kernels also do several ops at once (mbconv.h, normed.h). */
int sono_chain_is(const sono_program *program, int32_t i);
size_t sono_chain_count(const sono_program *program);

/* How the chain of ops [first, last] runs; 0 where it cannot. keeps_all: every result is also stored. */
int sono_chain_plan(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts,
                    int32_t first, int32_t last, int keeps_all, sono_chain *out);

#ifdef __cplusplus
}
#endif
#endif
