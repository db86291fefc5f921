// SPDX-License-Identifier: Apache-2.0
/*
 * A cursor over JSON text (RFC 8259) for the safetensors header: no tree, integers kept exact, memory through
 * sono_alloc(), an error names its byte.
 */
#ifndef SONO_CHECKPOINT_JSON_H
#define SONO_CHECKPOINT_JSON_H

#include "base/status.h"

typedef struct sono_json {
    const char *text; /* not ended by a 0 byte */
    size_t n_bytes;
    size_t at;
    uint64_t base_offset; /* of text in the file, for errors */
} sono_json;

/* Skips white space; returns the next byte without taking it, 0 at the end. */
char sono_json_peek(sono_json *json);

/* Takes that one byte. Errors: FORMAT. */
sono_status sono_json_take(sono_json *json, char wanted, sono_error *error);

/* Inside an array or object: 1 when another item follows, after taking the ',' before it unless *first is set
 * (which it clears); 0 after taking `end`. */
sono_status sono_json_next(sono_json *json, char end, int *first, int *more, sono_error *error);

/* Takes a string; *out is the caller's to sono_free(), UTF-8, ended by a 0 byte. Errors: FORMAT (also for
 * \u0000), OUT_OF_MEMORY. */
sono_status sono_json_string(sono_json *json, char **out, sono_error *error);

/* Takes an integer in [0, 2^53]: what every JSON reader keeps exact. Errors: FORMAT. */
sono_status sono_json_integer(sono_json *json, int64_t *out, sono_error *error);

/* Takes any value and checks its grammar. depth: of the arrays and objects around it; more than
 * SONO_JSON_MAX_DEPTH levels in all are too many, as for serde_json. Errors: FORMAT, OUT_OF_MEMORY. */
enum { SONO_JSON_MAX_DEPTH = 127 };
sono_status sono_json_skip(sono_json *json, int depth, sono_error *error);

#endif
