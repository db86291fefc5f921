// SPDX-License-Identifier: Apache-2.0
/* Looking into JSON text without taking it apart: one value at a time, by its path. Text that is no JSON
 * finds nothing, and nothing behind its terminating zero is read. */
#ifndef SONOSEG_TOOL_JSON_FIND_H
#define SONOSEG_TOOL_JSON_FIND_H

#include <stddef.h>

/* The value behind the keys of an object: "frames.drops.age"; "" = the text's own. Points into text at the
 * value's first byte; NULL where there is none. Keys with escapes are not found. */
const char *json_find(const char *text, const char *path);

/* A member of an object. */
typedef struct json_member {
    const char *key; /* in the text, not ended by a 0; escapes as they are */
    size_t n_key;
    const char *value; /* its first byte */
} json_member;

/* The first members of the object at text, at most `most`, in one look. Returns their number; 0 where there
 * is no object. */
int json_members(const char *text, json_member *out, int most);

/* The value of the first of n members with this key; NULL = there is none. */
const char *json_value(const json_member *members, int n, const char *key);

/* The i-th element of the array at value, or value of the i-th member of the object there, whose key then
 * goes to `key`; NULL behind the last. key may be NULL. */
const char *json_element(const char *value, int i, char *key, size_t n_key);

/* Calls take with each member of the object that the text is, in their order; key is not ended by a 0. 0, or
 * -1 where the text is no whole object: what came before the fault has been taken then. */
int json_each_member(const char *text,
                     void (*take)(void *user, const char *key, size_t n_key, const char *value), void *user);

/* A number; NAN where there is none, or another kind of value. */
double json_number(const char *text, const char *path);

/* 1 = there is `true`. */
int json_is_true(const char *text, const char *path);

/* A string, its escapes undone but \u (as '?') and control characters as '?': fit for a terminal. "" where
 * there is none; cut to n_bytes with its end. Returns out. */
const char *json_text(const char *text, const char *path, char *out, size_t n_bytes);

#endif
