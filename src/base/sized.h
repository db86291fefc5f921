// SPDX-License-Identifier: Apache-2.0
/*
 * Structs that begin with their own size (size_t struct_size), so that a caller and a library that know them
 * in different lengths understand each other (docs/abi.md). Whichever is longer, the rest has its defaults.
 */
#ifndef SONO_BASE_SIZED_H
#define SONO_BASE_SIZED_H

#include "base/status.h"

/* Gives the caller's struct of out_bytes the defaults, which are n_bytes long, zeros behind them, and its
 * size. NULL, or a size that does not even hold itself, is left alone. */
void sono_sized_init(void *out, size_t out_bytes, const void *defaults, size_t n_bytes);

/* Copies the caller's struct over *out, n_bytes long, which holds the defaults; out's struct_size becomes
 * n_bytes. least: what the first release had. `name` stands for the struct in errors. Errors:
 * INVALID_ARGUMENT (NULL, or a size that no struct has: it was not initialised), UNSUPPORTED (it is longer,
 * and what is beyond the known is not zero). */
sono_status sono_sized_read(const void *given, size_t least, void *out, size_t n_bytes, const char *name,
                            sono_error *error);

/* Copies *found, n_bytes long, into the caller's struct as far as that reaches, zeros behind it. Errors:
 * INVALID_ARGUMENT as above. */
sono_status sono_sized_write(void *out, size_t least, const void *found, size_t n_bytes, const char *name,
                             sono_error *error);

#endif
