// SPDX-License-Identifier: Apache-2.0
/* What the readers of the two containers share: how a checkpoint is filled. For src/checkpoint and src/nets.
 */
#ifndef SONO_CHECKPOINT_CHECKPOINT_PRIVATE_H
#define SONO_CHECKPOINT_CHECKPOINT_PRIVATE_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/sort.h"
#include "checkpoint/zip.h"

typedef struct sono_checkpoint_pair {
    char *key;
    char *value;
} sono_checkpoint_pair;

enum { SONO_CHECKPOINT_NOTE_BYTES = 64, SONO_CHECKPOINT_KEYS_BYTES = 240 };

/* What a torch archive holds beside the tensors that were taken. Printable, cut to length. */
typedef struct sono_checkpoint_notes {
    char wrapper[SONO_CHECKPOINT_NOTE_BYTES]; /* "ema.module": where the state dict was; "" = at the top */
    char keys[SONO_CHECKPOINT_KEYS_BYTES];    /* at the top, each in quotes; "" when they are the tensors' */
    int32_t n_ignored;                        /* entries of the state dict that are no tensors, ... */
    char ignored[SONO_CHECKPOINT_NOTE_BYTES]; /* ... and the first one's name */
    int64_t n_inert;                          /* objects of classes off the list, ... */
    char inert[SONO_CHECKPOINT_NOTE_BYTES];   /* ... and the first one's class */
} sono_checkpoint_notes;

struct sono_checkpoint {
    char *path;
    const uint8_t *bytes;
    size_t n_bytes;
    void *mapping; /* NULL = bytes are the caller's */
    int32_t file;  /* that is mapped; -1 = none */
    const char *container;
    sono_zip zip; /* of a torch archive: owns the tensors that had to be unpacked */
    sono_checkpoint_notes notes;
    sono_checkpoint_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    uint32_t *by_name;
    uint64_t n_elements; /* of all tensors */
    sono_checkpoint_pair *metadata;
    size_t n_metadata, metadata_capacity;
};

/* Takes a tensor over; `name` is copied. tensor->name is set here. Errors: FORMAT (a name that is empty,
 * longer than 512 bytes or holds control characters; more elements than the file can mean), UNSUPPORTED (too
 * many tensors), OUT_OF_MEMORY. */
sono_status sono_checkpoint_add(sono_checkpoint *checkpoint, sono_text name,
                                const sono_checkpoint_tensor *tensor, sono_error *error);

sono_status sono_checkpoint_read_torch(sono_checkpoint *checkpoint, sono_error *error);
/* Bytes that the header of a safetensors file may have (safetensors/src/tensor.rs, MAX_HEADER_SIZE). */
enum { SONO_SAFETENSORS_MAX_HEADER = 100000000 };
sono_status sono_checkpoint_read_safetensors(sono_checkpoint *checkpoint, sono_error *error);

/* Product of dims[n_dims] in *out. Returns 0, or -1 when a dim is outside [0, 2^40] or the product overflows.
 */
int sono_checkpoint_count_elements(int32_t n_dims, const int64_t *dims, int64_t *out);

/* "[32, 3, 3, 3]"; "[]" for a scalar. Returns text. */
enum { SONO_CHECKPOINT_SHAPE_BYTES = 200 };
const char *sono_checkpoint_shape_text(int32_t n_dims, const int64_t *dims, char *text);

#endif
