// SPDX-License-Identifier: Apache-2.0
/* Element types of tensors, in files and in programs. */
#ifndef SONO_BASE_DTYPE_H
#define SONO_BASE_DTYPE_H

#include <stddef.h>

/* NAME, bytes, text as safetensors spells it */
#define SONO_DTYPE_MAP(X)                                                                                    \
    X(F32, 4, "F32")                                                                                         \
    X(F16, 2, "F16")                                                                                         \
    X(BF16, 2, "BF16")                                                                                       \
    X(F64, 8, "F64")                                                                                         \
    X(I64, 8, "I64")                                                                                         \
    X(I32, 4, "I32")                                                                                         \
    X(I16, 2, "I16")                                                                                         \
    X(I8, 1, "I8")                                                                                           \
    X(U8, 1, "U8")                                                                                           \
    X(BOOL, 1, "BOOL")

typedef enum sono_dtype {
#define SONO_DTYPE_ENUM(name, bytes, text) SONO_DTYPE_##name,
    SONO_DTYPE_MAP(SONO_DTYPE_ENUM)
#undef SONO_DTYPE_ENUM
        SONO_DTYPE_COUNT
} sono_dtype;

size_t sono_dtype_bytes(sono_dtype type);     /* bytes of one element */
const char *sono_dtype_name(sono_dtype type); /* "F32", ... ; static storage */

#endif
