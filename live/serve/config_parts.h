// SPDX-License-Identifier: Apache-2.0
/* What the files of the configuration share among themselves. */
#ifndef SONO_SERVE_CONFIG_PARTS_H
#define SONO_SERVE_CONFIG_PARTS_H

#include "serve/config.h"

/* Fills error (optional) and returns status. */
sono_status sono_serve_config_fail(sono_error *error, sono_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes a value as text. 0, or -1 with what is wrong in `why`; then nothing has changed. */
int sono_serve_key_take(sono_serve_config *config, int index, const char *value, char *why, size_t n_bytes);

#endif
