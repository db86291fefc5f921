// SPDX-License-Identifier: Apache-2.0
/* Which models made a result: SHA-256 of the files that were opened, read again off the open path. */
#ifndef SONO_PIPELINE_HASHES_H
#define SONO_PIPELINE_HASHES_H

#include "pipeline/flow.h"

#include <pthread.h>

typedef struct sono_model_hashes {
    int32_t is_open;
    pthread_mutex_t mutex; /* of what follows, until they were read */
    int32_t files[2];      /* the detector's and the segmenter's; -1 = none, or read already */
    char hex[2][65];       /* likewise; "" = not read yet */
} sono_model_hashes;

/* Keeps the files of open checkpoints, whatever comes under their names later. Where one cannot be kept (too
 * many are open) its hash will be "unknown". */
void sono_model_hashes_open(sono_model_hashes *hashes, const sono_flow_models *models);
void sono_model_hashes_close(sono_model_hashes *hashes); /* a zeroed one is allowed */

/* Fills in hex, once: tens of megabytes are read. Thread-safe. */
void sono_model_hashes_read(sono_model_hashes *hashes);

#endif
