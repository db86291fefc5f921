// SPDX-License-Identifier: Apache-2.0
/* Each op's time against the least that its arithmetic and its bytes take on this device. */
#ifndef SONOSEG_TOOL_ROOFLINE_H
#define SONOSEG_TOOL_ROOFLINE_H

#include "sonoseg/diagnostics.h"

#include <stdio.h>

/* One op; rows are sorted by loss_us, the largest first. */
typedef struct roofline_row {
    const sono_op_profile *op; /* the profile's */
    int32_t index;             /* in the program */
    double floor_us;           /* the larger of its FLOPs and its bytes over what the device does at best */
    double loss_us;            /* measured less floor */
    int is_compute_bound;
} roofline_row;

typedef struct roofline {
    roofline_row *rows; /* [profile->n_ops]; NULL = out of memory */
    const sono_profile *profile;
    double sum_us, floor_sum_us; /* of all ops */
    double lane_us[2];           /* of the ops by lane */
} roofline;

/* On a device without ceilings (the CPU) floors are 0, so that rows are sorted by time. Bytes of an op that
 * fit into cache_bytes count at the cache's rate, others at the memory's. profile: borrowed. 0, or -1 when
 * out of memory. */
int roofline_make(roofline *self, const sono_profile *profile, double cache_bytes);

void roofline_print(const roofline *self, FILE *stream, int32_t n_rows);

/* "roofline": {...}, without a comma behind it; the n_rows worst ops. */
void roofline_write_json(const roofline *self, FILE *stream, int32_t n_rows);

void roofline_free(roofline *self);

#endif
