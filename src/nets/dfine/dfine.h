// SPDX-License-Identifier: Apache-2.0
/* The detector: D-FINE n, s, m, l, x. Follows Peterande/D-FINE @ 4a1f73a. */
#ifndef SONO_NETS_DFINE_DFINE_H
#define SONO_NETS_DFINE_DFINE_H

#include "nets/bind.h"
#include "graph/record.h"

#define SONO_DFINE_INPUT_PX  640
#define SONO_DFINE_N_QUERIES 300

/* Queries in the decoder's order. */
typedef struct sono_dfine_outputs {
    sono_tid logits; /* [N, 1, 300, classes], before the sigmoid */
    sono_tid boxes;  /* [N, 1, 300, 4], cx cy w h in units of the input, about [0, 1] */
} sono_dfine_outputs;

/* Records the whole network on image [N, 640, 640, 3] (0..1, no mean or deviation), taking its size from the
 * recorder's binder, and marks the tensors inference does not use. Latches failures in rec. */
void sono_dfine_record(sono_recorder *rec, sono_tid image, sono_dfine_outputs *out);

#endif
