// SPDX-License-Identifier: Apache-2.0
/* The detector: D-FINE n, s, m, l, x. Follows Peterande/D-FINE @ 4a1f73a. */
#ifndef SONO_NETS_DFINE_DFINE_H
#define SONO_NETS_DFINE_DFINE_H

#include "nets/network.h"

#define SONO_DFINE_N_QUERIES 300

extern const sono_network sono_dfine_network;

/* Records the whole network on image [N, height, width, channels] (0..1, no mean or deviation), whose sides
 * are multiples of 32, taking the network's size from the recorder's binder, and marks the tensors inference
 * does not use. The file's anchors are used where the image is of the size that they are for, and made anew
 * where it is of another. Latches failures in rec. */
void sono_dfine_record(sono_recorder *rec, sono_tid image, sono_detector_outputs *out);

#endif
