// SPDX-License-Identifier: Apache-2.0
/*
 * BIND: several messages as one, under one header; and the queries that ask for it, GET_BIND and STT_BIND.
 * Conventions are those of messages.h.
 */
#ifndef SONO_IGTL_BIND_H
#define SONO_IGTL_BIND_H

#include "igtl/messages.h"

/* ---- BIND ---- */

/* A message within: its content without header, extended header or metadata. */
typedef struct sono_igtl_child {
    char type[SONO_IGTL_TYPE_CHARS + 1];
    char device[SONO_IGTL_DEVICE_CHARS + 1];
    const uint8_t *content;
    size_t content_bytes;
} sono_igtl_child;

typedef struct sono_igtl_bind {
    const uint8_t *entries; /* wire: type and size of each, 20 bytes */
    const uint8_t *names;   /* wire: device names, each ends with 0 */
    const uint8_t *bodies;  /* wire: contents, each padded to an even size */
    uint16_t n;
} sono_igtl_bind;

/* Errors: MALFORMED (parts that do not add up, a table of names that is odd, has more or less names than
 * there are children or one above 20 characters). */
sono_igtl_status sono_igtl_bind_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_bind *out,
                                       sono_igtl_fault *fault);
/* 1, or 0 behind the last. Walks from the first. */
int sono_igtl_child_at(const sono_igtl_bind *bind, uint16_t index, sono_igtl_child *out);

/* The names take at most 65534 bytes (3120 children at least); with more the writer is full. */
void sono_igtl_bind_encode(sono_igtl_writer *writer, const sono_igtl_child *children, uint16_t n);

/* ---- GET_BIND, STT_BIND ---- */

/* What is asked for. No types at all (an empty GET_BIND): everything there is. */
typedef struct sono_igtl_bind_query {
    int is_start;         /* STT_BIND */
    uint64_t interval;    /* of STT_BIND: the least time between messages, as a raw timestamp */
    const uint8_t *types; /* wire, 12 bytes each */
    const uint8_t *names; /* wire: device names, each ends with 0 */
    uint16_t n;
} sono_igtl_bind_query;

/* Errors: MALFORMED, as above. */
sono_igtl_status sono_igtl_bind_query_decode(int is_start, const uint8_t *bytes, size_t n_bytes,
                                             sono_igtl_bind_query *out, sono_igtl_fault *fault);
/* Type and device of entry `index`; no content. 1, or 0 behind the last. */
int sono_igtl_bind_query_at(const sono_igtl_bind_query *query, uint16_t index, sono_igtl_child *out);
/* Of `children` type and device count. */
void sono_igtl_bind_query_encode(sono_igtl_writer *writer, int is_start, uint64_t interval,
                                 const sono_igtl_child *children, uint16_t n);

#endif
