// SPDX-License-Identifier: Apache-2.0
/*
 * Queries: GET_ asks for one message of a type, STT_ and STP_ start and stop a stream of them, RTS_ answers.
 * Most are empty. Conventions are those of messages.h. COMMAND's RTS_COMMAND is in messages.h, the lists that
 * GET_BIND and STT_BIND carry are in bind.h.
 */
#ifndef SONO_IGTL_QUERY_H
#define SONO_IGTL_QUERY_H

#include "igtl/messages.h"

typedef enum sono_igtl_verb {
    SONO_IGTL_NO_QUERY = 0,
    SONO_IGTL_GET,
    SONO_IGTL_START, /* STT_ */
    SONO_IGTL_STOP,  /* STP_ */
    SONO_IGTL_ANSWER /* RTS_ */
} sono_igtl_verb;

typedef struct sono_igtl_query {
    sono_igtl_verb verb;
    char of[SONO_IGTL_TYPE_CHARS + 1]; /* the type asked for, in full: "TRANSFORM", "CAPABILITY" */
    uint8_t status;                    /* of an answer: 0 = success, 1 = error */
    int has_interval;                  /* of STT_POLYDATA: it may lack it */
    uint64_t interval;                 /* of STT_POLYDATA: least time between messages, as a raw timestamp */
    int32_t interval_ms;  /* of STT_TDATA, STT_QTDATA, STT_VIDEO: the same in ms; 0 = as fast as it goes */
    char coordinates[33]; /* of STT_TDATA, STT_QTDATA: name of the coordinate system; may be empty */
    char codec[5];        /* of STT_VIDEO: "VP90" */
} sono_igtl_query;

/* Verb and type of a message type: "STT_TRANSFOR" and "STT_TRANS" are START of "TRANSFORM". Types are cut to
 * 12 characters on the wire, and peers cut differently. NO_QUERY, `of` empty, for any other. */
sono_igtl_verb sono_igtl_query_verb(const char *type, char of[SONO_IGTL_TYPE_CHARS + 1]);

/* The message type of a query as the reference library says it: START of "TRANSFORM" is "STT_TRANS". */
void sono_igtl_query_type(sono_igtl_verb verb, const char *of, char type[SONO_IGTL_TYPE_CHARS + 1]);

/* type: the message's. Errors: UNSUPPORTED (no query, or one that other headers decode: RTS_COMMAND, and
 * GET_BIND and STT_BIND with content), MALFORMED (content of another length than that query has). */
sono_igtl_status sono_igtl_query_decode(const char *type, const uint8_t *bytes, size_t n_bytes,
                                        sono_igtl_query *out, sono_igtl_fault *fault);
/* The content; the message's type is that of sono_igtl_query_type(). */
void sono_igtl_query_encode(sono_igtl_writer *writer, const sono_igtl_query *query);

#endif
