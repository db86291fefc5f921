// SPDX-License-Identifier: Apache-2.0
#include "suite_sets.h"

#include "args.h"

#include <string.h>

typedef struct suite_row {
    const char *name;
    const char *parts[SUITE_MAX_PARTS];
} suite_row;

#define SCREEN   "geometry=any,orientation=any,screen=1,degrade=1"
#define NEGATIVE "geometry=any,shape=empty,look_alikes=any"

/* Each frame is a sweep of its own. The first is the default of `sonoseg evaluate`. */
static const suite_row rows[SUITE_SET_COUNT] = {
    [SUITE_LINEAR] = {"linear", {"phantom:seed=20261123,sweep=1"}},
    [SUITE_CURVILINEAR] = {"curvilinear",
                           {"phantom:seed=20261201,sweep=1,size=640x480,geometry=curvilinear"}},
    [SUITE_ENDOCAVITY] = {"endocavity", {"phantom:seed=20261202,sweep=1,size=640x480,geometry=endocavity"}},
    [SUITE_SCREEN] = {"screen",
                      {"phantom:seed=20261203,sweep=1,size=1024x768," SCREEN,
                       "phantom:seed=20261204,sweep=1,size=640x480," SCREEN}},
    [SUITE_HARD_NEGATIVES] = {"hard-negatives",
                              {"phantom:seed=20261205,sweep=1,size=640x480," NEGATIVE,
                               "phantom:seed=20261206,sweep=1,size=1024x768,screen=1," NEGATIVE}},
    [SUITE_REAL_BONE] = {"real-bone", {NULL}},
    [SUITE_REAL_NO_BONE] = {"real-no-bone", {NULL}},
};

const char *suite_set_name(suite_set set)
{
    return rows[set].name;
}

int suite_set_is_real(suite_set set)
{
    return !rows[set].parts[0];
}

const char *suite_set_part(suite_set set, int part)
{
    return part < SUITE_MAX_PARTS ? rows[set].parts[part] : NULL;
}

int32_t suite_set_share(suite_set set, int part, int32_t n_frames)
{
    int32_t n_parts = 0;
    while (suite_set_part(set, n_parts))
        n_parts++;
    return n_parts ? (n_frames + n_parts - 1 - part) / n_parts : n_frames;
}

static int find_set(const char *name, size_t n)
{
    for (int set = 0; set < SUITE_SET_COUNT; set++)
        if (strlen(rows[set].name) == n && !strncmp(rows[set].name, name, n))
            return set;
    return -1;
}

int suite_names_take(const char *names, uint32_t *out)
{
    uint32_t sets = 0;
    for (const char *at = names; *at;) {
        const size_t n = strcspn(at, ",");
        const int set = find_set(at, n);
        if (set < 0 && !(n == 3 && !strncmp(at, "all", n))) {
            report_error("--suite: '%.*s' is none of all, " SUITE_NAMES, (int)n, at);
            return -1;
        }
        sets |= set < 0 ? SUITE_ALL : UINT32_C(1) << set;
        at += n + (at[n] == ',');
    }
    *out = sets;
    return 0;
}
