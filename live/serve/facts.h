// SPDX-License-Identifier: Apache-2.0
/* The metadata of masks and of what goes with them (header version 2); docs/live-messages.md lists it. Pure.
 */
#ifndef SONO_SERVE_FACTS_H
#define SONO_SERVE_FACTS_H

#include "serve/masks.h"

#define SONO_SERVE_MAX_FACTS 20

typedef struct sono_serve_facts {
    size_t n;
    sono_igtl_metadata list[SONO_SERVE_MAX_FACTS]; /* point into text, and into what was passed in */
    size_t n_bytes;
    char text[1024];
} sono_serve_facts;

/* Points into set and info, too. */
void sono_serve_facts_collect(sono_serve_facts *facts, const sono_serve_set *set,
                              const sono_serve_engine_info *info);

/* "1700000000.1234567890": seconds of a raw timestamp with ten decimals, which name its fraction of 2^-32 s
 * uniquely: raw = seconds << 32 | round(decimals * 2^32). */
#define SONO_SERVE_SECONDS_BYTES 24
void sono_serve_seconds_text(uint64_t raw, char out[SONO_SERVE_SECONDS_BYTES]);

#endif
