// SPDX-License-Identifier: Apache-2.0
/*
 * Writes checkpoint files as torch.save() lays them out (zip + pickle), for tests: whole ones of any size,
 * and ones with a single structure broken. The bytes are our own making; no Python is involved.
 */
#ifndef SONO_TESTS_TORCH_FILE_H
#define SONO_TESTS_TORCH_FILE_H

#include "base/dtype.h"
#include "base/status.h"

#define TORCH_FILE_MAX_DIMS 8

/* One entry of the state dict. */
typedef struct torch_file_tensor {
    const char *name;
    sono_dtype dtype;
    int32_t n_dims; /* 0 = scalar */
    int64_t dims[TORCH_FILE_MAX_DIMS];
    const void
        *data; /* the whole storage, in file order; borrowed during the call; unused when storage_of is set */
    int64_t storage_count; /* elements of data; 0 = product of dims */
    int32_t storage_of;    /* 1 + index of an earlier tensor whose storage this one shares; 0 = its own */
    int64_t offset;        /* first element inside the storage */
    int32_t has_strides;   /* 0 = row-major */
    int64_t strides[TORCH_FILE_MAX_DIMS]; /* elements */
} torch_file_tensor;

typedef enum torch_file_wrapping {
    TORCH_FILE_BARE = 0, /* {name: tensor} */
    TORCH_FILE_MODEL,    /* {"model": state, "last_epoch": 0} */
    TORCH_FILE_EMA, /* {"model": {"decoy": the first tensor}, "ema": {"module": state, "updates": 7}, ...} */
    TORCH_FILE_TRAINING /* the same with optimizer, scheduler and scaler states beside it */
} torch_file_wrapping;

/* One structure to break. Offsets and sizes are those of the entry or tensor options->victim. */
typedef enum torch_file_fault {
    TORCH_FILE_WHOLE = 0,
    /* zip */
    TORCH_FILE_NO_END_RECORD,       /* the end-of-central-directory signature is zeroed */
    TORCH_FILE_DIRECTORY_OUTSIDE,   /* central directory offset beyond the file */
    TORCH_FILE_DIRECTORY_SIGNATURE, /* a central header's signature is wrong */
    TORCH_FILE_DIRECTORY_COUNT,     /* the end record counts one entry too many */
    TORCH_FILE_ENTRY_DEFLATED,      /* the victim entry claims method 8 */
    TORCH_FILE_ENTRY_ENCRYPTED,     /* flag bit 0 */
    TORCH_FILE_ENTRY_OUTSIDE,       /* local header offset beyond the file */
    TORCH_FILE_ENTRY_HUGE,          /* the victim entry's sizes are 0xfffffff0 */
    TORCH_FILE_ENTRY_OVERLAP,       /* the victim entry's data starts inside the entry before it */
    TORCH_FILE_ENTRY_TWICE,         /* the victim entry is listed twice */
    TORCH_FILE_LOCAL_SIGNATURE,     /* a local header's signature is wrong */
    TORCH_FILE_LOCAL_NAME,          /* a local header's name differs from the central one */
    TORCH_FILE_NO_PICKLE,           /* data.pkl is called data.pkx */
    TORCH_FILE_BIG_ENDIAN,          /* byteorder says "big" */
    TORCH_FILE_SCRIPT,              /* a TorchScript archive: constants.pkl and code/ */
    /* pickle */
    TORCH_FILE_PICKLE_TRUNCATED, /* data.pkl ends in mid-opcode */
    TORCH_FILE_UNKNOWN_OPCODE,
    TORCH_FILE_UNKNOWN_CLASS, /* posix system, called with a command */
    TORCH_FILE_CYCLE,         /* a dict that holds itself */
    TORCH_FILE_DEEP,          /* 100000 nested lists */
    TORCH_FILE_STACK_UNDERFLOW,
    TORCH_FILE_MEMO_MISSING,  /* BINGET of a number never put */
    TORCH_FILE_MEMO_HUGE,     /* LONG_BINPUT 0xffffffff */
    TORCH_FILE_NOT_A_DICT,    /* the pickle is a list */
    TORCH_FILE_NO_TENSORS,    /* the pickle is an empty dict */
    TORCH_FILE_NAME_TWICE,    /* the victim tensor is there twice */
    TORCH_FILE_NAME_NOT_TEXT, /* the victim tensor's key is a number */
    TORCH_FILE_STRING_HUGE,   /* a BINUNICODE of 0xfffffff0 bytes */
    /* tensors */
    TORCH_FILE_STORAGE_MISSING, /* the victim's storage entry is not in the zip */
    TORCH_FILE_STORAGE_SHORT,   /* the pickle claims one element more than the entry holds */
    TORCH_FILE_OFFSET_OUTSIDE,
    TORCH_FILE_STRIDE_OUTSIDE, /* the last element lies beyond the storage */
    TORCH_FILE_STRIDE_NEGATIVE,
    TORCH_FILE_STRIDE_OVERFLOW, /* 2^62 */
    TORCH_FILE_DIMS_OVERFLOW,   /* product of the dims above 2^63 */
    TORCH_FILE_DIMS_NEGATIVE,
    TORCH_FILE_DIMS_TOO_MANY,       /* 9 */
    TORCH_FILE_DIMS_STRIDES_DIFFER, /* more dims than strides */
    /* compressed entries */
    TORCH_FILE_ENTRY_METHOD,   /* the victim entry claims method 12 */
    TORCH_FILE_UNPACKED_LONG,  /* deflate: the victim entry unpacks to a byte more than it is listed with */
    TORCH_FILE_UNPACKED_SHORT, /* deflate: to a byte less */
    TORCH_FILE_UNPACKED_CRC,   /* deflate: to other bytes */
    TORCH_FILE_UNPACKED_BOMB,  /* deflate: listed with 0x7fffffff bytes */
    TORCH_FILE_DEFLATE_BROKEN, /* deflate: the victim entry is no deflated data */
    /* types that are not ours */
    TORCH_FILE_STORAGE_FOREIGN, /* the victim's storage is a ComplexFloatStorage */
    TORCH_FILE_DTYPE_FOREIGN,   /* TORCH_FILE_TENSOR_V3: the victim is of float8_e4m3fn */
    TORCH_FILE_FAULT_COUNT
} torch_file_fault;

/* How a tensor is written. */
typedef enum torch_file_rebuild {
    TORCH_FILE_TENSOR = 0,           /* _rebuild_tensor_v2 */
    TORCH_FILE_PARAMETER,            /* the same in _rebuild_parameter */
    TORCH_FILE_PARAMETER_WITH_STATE, /* the same in _rebuild_parameter_with_state */
    TORCH_FILE_FROM_TYPE,            /* _rebuild_tensor_v2 through _rebuild_from_type_v2 */
    TORCH_FILE_TENSOR_V3,            /* _rebuild_tensor_v3: a storage without a type, and the type */
    TORCH_FILE_REBUILD_COUNT
} torch_file_rebuild;

/* Objects that TORCH_FILE extras bring with them, as inspect counts them. */
#define TORCH_FILE_N_INERT 16
/* Entries that TORCH_FILE loose brings, the first one's name. */
#define TORCH_FILE_N_LOOSE     3
#define TORCH_FILE_FIRST_LOOSE "epoch"

/* All zero is a plain, whole, bare protocol-2 file. */
typedef struct torch_file_options {
    torch_file_wrapping wrapping;
    int32_t protocol; /* 2 (0 means 2), 4 or 5 */
    int32_t zip64;    /* 1: zip64 end records and extra fields */
    torch_file_rebuild rebuild;
    const char *wrapper[2]; /* {"a", "b"}: {"a": {"b": state}, "epoch": 3} instead of wrapping; NULL = none */
    int32_t extras;         /* 1, with a wrapper: numpy scalars, a Namespace, ... beside the state dict */
    int32_t loose;          /* 1: entries of the state dict that are no tensors */
    int32_t deflate;        /* 1: every entry is deflated */
    int32_t n_bytes_trailing; /* of noise behind the archive */
    torch_file_fault fault;
    int32_t victim; /* index of the tensor that the fault hits */
} torch_file_options;

/* options NULL = all zero. Streams tensor data straight to the file, so that size costs no memory.
 * Errors: IO, INVALID_ARGUMENT, OUT_OF_MEMORY. */
sono_status torch_file_write(const char *path, const torch_file_tensor *tensors, int n_tensors,
                             const torch_file_options *options);

#endif
