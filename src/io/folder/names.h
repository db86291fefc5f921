// SPDX-License-Identifier: Apache-2.0
/*
 * Names of files as text. A name is any bytes but '/' and 0; JSON and other systems want UTF-8 without
 * control characters. The escape: such a byte becomes '%' and two upper-case hex digits, and so does a '%'
 * that would read as one; all else stays as it is. So every name comes back from its escape, and no two have
 * the same.
 */
#ifndef SONO_IO_FOLDER_NAMES_H
#define SONO_IO_FOLDER_NAMES_H

#include <stddef.h>

#define SONO_NAME_UNIT_BYTES 4 /* most that a character, or one byte's escape, takes */

/* Escapes the character at name, which is not at its end, or the byte there where it is not UTF-8. Writes
 * *n_out bytes, without a 0 behind them, and returns how many of name's bytes they stand for. */
size_t sono_name_unit(const char *name, char out[SONO_NAME_UNIT_BYTES], size_t *n_out);

#endif
