// SPDX-License-Identifier: Apache-2.0
/*
 * Reads a pickle as torch.save() writes it (protocols 2 to 5) into a table of values. It is a reader, not an
 * interpreter: opcodes are a closed set, calls only label data, and nothing is looked up or executed. What
 * classes off the list make (numpy scalars, configurations, whole modules) becomes an inert value without
 * contents. Opcodes after CPython's Lib/pickletools.py; what torch puts in after torch/serialization.py,
 * torch/_utils.py and torch/_tensor.py.
 *
 * Values refer to one another by number, and a value may contain itself; whoever walks them must not recurse.
 */
#ifndef SONO_CHECKPOINT_PICKLE_H
#define SONO_CHECKPOINT_PICKLE_H

#include "base/dtype.h"
#include "base/status.h"
#include "checkpoint/sort.h"

enum { SONO_PICKLE_MAX_BYTES = 256 << 20 };

typedef enum sono_pickle_kind {
    SONO_PICKLE_NONE,
    SONO_PICKLE_BOOL,
    SONO_PICKLE_INT, /* fits int64 */
    SONO_PICKLE_FLOAT,
    SONO_PICKLE_TEXT, /* str or bytes */
    SONO_PICKLE_TUPLE,
    SONO_PICKLE_LIST,
    SONO_PICKLE_DICT,
    SONO_PICKLE_CLASS,
    SONO_PICKLE_FOREIGN, /* a class or function that is not on the list */
    SONO_PICKLE_STORAGE, /* a persistent id: entry data/<key> of the archive */
    SONO_PICKLE_TENSOR,
    SONO_PICKLE_OTHER /* of no use here: sets, big integers, inert objects */
} sono_pickle_kind;

typedef struct sono_pickle_value {
    sono_pickle_kind kind;
    union {
        int64_t integer; /* BOOL, INT; CLASS: number in the table of classes */
        sono_text text;
        struct {
            uint32_t first; /* TUPLE: in refs */
            uint32_t n;
        } tuple;
        struct {
            uint32_t first; /* LIST, DICT: batches, 0 = empty */
            uint32_t last;
        } items;
        struct {
            uint32_t module; /* TEXT */
            uint32_t name;   /* TEXT */
            int32_t called;
        } foreign;
        uint32_t maker; /* OTHER: the FOREIGN that was called for it, 0 = none */
        struct {
            uint32_t key;   /* TEXT; with dtype SONO_DTYPE_COUNT the FOREIGN that says what it holds */
            uint32_t dtype; /* SONO_DTYPE_COUNT = none of ours */
            int64_t n_elements;
        } storage;
        struct {
            uint32_t storage; /* STORAGE */
            uint32_t offset;  /* INT, elements */
            uint32_t dims;    /* TUPLE */
            uint32_t strides; /* TUPLE */
        } tensor;
    } as;
} sono_pickle_value;

/* Items added to a list or a dict in one go: n refs from first on; keys and values alternate in a dict. */
typedef struct sono_pickle_batch {
    uint32_t first;
    uint32_t n;
    uint32_t next; /* 0 = last */
} sono_pickle_batch;

typedef struct sono_pickle {
    sono_pickle_value *values; /* number 0 is unused */
    uint32_t *refs;
    sono_pickle_batch *batches; /* number 0 is unused */
    size_t n_values, n_refs, n_batches;
    size_t values_capacity, refs_capacity, batches_capacity;
    uint32_t root;
    int64_t n_inert;      /* objects of classes off the list, and such classes themselves */
    uint32_t first_inert; /* the FOREIGN of the first */
} sono_pickle;

/* base_offset: position of bytes in the file, for errors. bytes must outlive the pickle. On failure it needs
 * no close. Errors: FORMAT (truncated, stack or memo misused), UNSUPPORTED (an unknown opcode, a class that
 * torch never allows, or more than the limits allow: 256 MiB, 4 million values, 1024 levels),
 * OUT_OF_MEMORY. */
sono_status sono_pickle_read(const uint8_t *bytes, size_t n_bytes, uint64_t base_offset, sono_pickle *out,
                             sono_error *error);
void sono_pickle_close(sono_pickle *pickle);

/* Walks a dict's pairs in the order of the file: start with {0}; returns 0 at the end. */
typedef struct sono_pickle_cursor {
    uint32_t batch;
    uint32_t item;
    int started;
} sono_pickle_cursor;

int sono_pickle_next_pair(const sono_pickle *pickle, uint32_t dict, sono_pickle_cursor *cursor, uint32_t *key,
                          uint32_t *value);

/* "module.name" of a FOREIGN in out, cut to out_bytes. Returns out. */
const char *sono_pickle_foreign_name(const sono_pickle *pickle, uint32_t foreign, char *out,
                                     size_t out_bytes);

/* Value of the last pair with that key, 0 when absent or when `dict` is no dict. */
uint32_t sono_pickle_get(const sono_pickle *pickle, uint32_t dict, const char *key);

#endif
