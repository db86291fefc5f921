// SPDX-License-Identifier: Apache-2.0
/* The named sets of `sonoseg evaluate --suite` (docs/evaluation.md, "The suite"). */
#ifndef SONOSEG_TOOL_SUITE_SETS_H
#define SONOSEG_TOOL_SUITE_SETS_H

#include <stddef.h>
#include <stdint.h>

typedef enum suite_set {
    SUITE_LINEAR,
    SUITE_CURVILINEAR,
    SUITE_ENDOCAVITY,
    SUITE_SCREEN,
    SUITE_HARD_NEGATIVES,
    SUITE_REAL_BONE,    /* DIR/frames */
    SUITE_REAL_NO_BONE, /* DIR/sequences */
    SUITE_SET_COUNT
} suite_set;

#define SUITE_MAX_PARTS 2
#define SUITE_ALL       ((UINT32_C(1) << SUITE_SET_COUNT) - 1)
#define SUITE_NAMES     "linear, curvilinear, endocavity, screen, hard-negatives, real-bone, real-no-bone"

const char *suite_set_name(suite_set set);

int suite_set_is_real(suite_set set);

/* The phantom of that part of a set, without its frames=; NULL = there is no such part. */
const char *suite_set_part(suite_set set, int part);

/* How many of the set's frames the part has: the parts share them, the first has the odd one. */
int32_t suite_set_share(suite_set set, int part, int32_t n_frames);

/* names: "all", or names with commas between. out: a bit for each set. Returns 0, or -1 after
 * report_error(). */
int suite_names_take(const char *names, uint32_t *out);

#endif
