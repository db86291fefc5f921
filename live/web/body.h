// SPDX-License-Identifier: Apache-2.0
/* The body of a request: one flat JSON object of known keys, such as {"value": 0.4}. Pure. */
#ifndef SONO_WEB_BODY_H
#define SONO_WEB_BODY_H

#include <stddef.h>

#define SONO_WEB_BODY_BYTES  4096
#define SONO_WEB_VALUE_BYTES 512

typedef enum sono_web_value_kind {
    SONO_WEB_NOTHING, /* the key is not there */
    SONO_WEB_STRING,
    SONO_WEB_NUMBER,
    SONO_WEB_BOOLEAN
} sono_web_value_kind;

typedef struct sono_web_value {
    const char *key; /* the one that is wanted */
    sono_web_value_kind kind;
    char text[SONO_WEB_VALUE_BYTES]; /* STRING, in UTF-8 */
    double number;                   /* NUMBER; BOOLEAN: 0 or 1 */
} sono_web_value;

/* Reads the object's one member, named value->key by the caller; `{}` and nothing at all are allowed, too. 0,
 * or -1 with what is wrong in `why`: other or repeated keys, arrays, objects, null, bad UTF-8, anything
 * behind the end. */
int sono_web_body_read(const char *bytes, size_t n_bytes, sono_web_value *value, char *why, size_t n_why);

#endif
