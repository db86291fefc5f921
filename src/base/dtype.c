// SPDX-License-Identifier: Apache-2.0
#include "base/dtype.h"

static const struct {
    size_t bytes;
    const char *name;
} dtypes[] = {
#define X(name, bytes, text) {bytes, text},
    SONO_DTYPE_MAP(X)
#undef X
};

size_t sono_dtype_bytes(sono_dtype type)
{
    return (unsigned)type < SONO_DTYPE_COUNT ? dtypes[type].bytes : 0;
}

const char *sono_dtype_name(sono_dtype type)
{
    return (unsigned)type < SONO_DTYPE_COUNT ? dtypes[type].name : "?";
}
