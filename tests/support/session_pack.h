// SPDX-License-Identifier: Apache-2.0
/*
 * A session and its surroundings in few bytes, for the explorer. Two states that differ in nothing that
 * matters later have the same bytes: times are kept as spans from now, up to the limit that they are compared
 * with; frame numbers as ranks among the frames under way; counters not at all.
 */
#ifndef SONO_TESTS_SESSION_PACK_H
#define SONO_TESTS_SESSION_PACK_H

#include "session_model.h"

#define SESSION_PACK_BYTES 128
#define SESSION_PACK_FAR   1000000 /* limits from here on never end, smaller ones are 100 at most */

typedef struct session_world {
    sono_session session;
    session_model model;
} session_world;

/* Fails the test where the state does not fit. */
void session_pack(const session_world *world, int8_t bytes[SESSION_PACK_BYTES]);
void session_unpack(const sono_session_limits *limits, const int8_t bytes[SESSION_PACK_BYTES],
                    session_world *world);

#endif
