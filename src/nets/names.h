// SPDX-License-Identifier: Apache-2.0
/*
 * A checkpoint's tensors under their official names. Files in another naming scheme of a network are
 * translated: modules renamed, q, k and v joined to in_proj, tensors that are stored twice taken once.
 * What wrappers of a module put in front of every name (DataParallel's "module.", torch.compile's
 * "_orig_mod.", a LightningModule's "model.", ...) is taken off before.
 */
#ifndef SONO_NETS_NAMES_H
#define SONO_NETS_NAMES_H

#include "checkpoint/checkpoint.h"

enum { SONO_NAME_MAX_PARTS = 3 };

/* Names that others than the official code give a network's tensors. */
typedef struct sono_naming {
    const char *name; /* "transformers" */
    const char *stem; /* a tensor that every such file has, by its name there */
    /* Official name of a name in out[out_bytes]; *part is 0, 1, 2 for q, k, v, else -1. A name that no rule
     * knows is copied. */
    void (*rename)(const char *name, char *out, size_t out_bytes, int32_t *part);
} sono_naming;

/* A tensor of the network: one of the file, or q, k and v stacked along the first dimension. */
typedef struct sono_name_entry {
    const char *name;                                         /* official; owned by the table */
    const sono_checkpoint_tensor *parts[SONO_NAME_MAX_PARTS]; /* of one dtype and shape */
    int32_t n_parts;
    sono_dtype dtype;
    int32_t n_dims;
    int64_t dims[SONO_CHECKPOINT_MAX_DIMS]; /* of all parts together */
    int32_t used;                           /* bound or ignored: the binder's mark */
} sono_name_entry;

typedef struct sono_name_table {
    const sono_checkpoint *checkpoint;
    sono_name_entry *entries; /* sorted by name */
    size_t n_entries;
    char *text;         /* all names */
    const char *prefix; /* of every name in the file, its first prefix_bytes; not ended by a 0 byte */
    size_t prefix_bytes;
    const sono_naming *naming; /* NULL = official */
} sono_name_table;

/* checkpoint must outlive the table. On failure it needs no close. Errors: MODEL_MISMATCH (two tensors stand
 * for one and differ, one of q, k, v is missing or misshapen), OUT_OF_MEMORY. */
sono_status sono_name_table_open(const sono_checkpoint *checkpoint, sono_name_table *out, sono_error *error);
void sono_name_table_close(sono_name_table *table);

/* NULL when absent. */
sono_name_entry *sono_name_table_find(const sono_name_table *table, const char *name);

/* All elements, row-major, as float32. Errors: those of sono_checkpoint_read_f32(). */
sono_status sono_name_entry_read_f32(const sono_name_entry *entry, float *out, sono_error *error);

int64_t sono_name_entry_count(const sono_name_entry *entry);

/* Dimension of a tensor, 0 when there is no such tensor or dimension. */
int64_t sono_name_table_dim(const sono_name_table *table, const char *name, int32_t dim);

/* Whether the glob pattern ('*' = any run of characters) is the name. */
int sono_name_matches(const char *pattern, const char *name);

#endif
