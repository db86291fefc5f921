// SPDX-License-Identifier: Apache-2.0
/* Models that several pipelines share: see sonoseg.h. */
#ifndef SONO_PIPELINE_MODEL_SET_H
#define SONO_PIPELINE_MODEL_SET_H

#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "pipeline/hashes.h"
#include "telemetry/events.h"

#include <pthread.h>

struct sono_model_set {
    atomic_int n_users;
    pthread_mutex_t mutex; /* of recording from models */
    sono_flow_models models;
    sono_backend_choice choice;
    sono_engine_params *stored; /* NULL where the backend reads the program's own */
    sono_model_hashes hashes;
    char detector_file[SONO_EVENT_PATH_BYTES],
        segmenter_file[SONO_EVENT_PATH_BYTES]; /* as events name them */
};

sono_model_set *sono_model_set_share(sono_model_set *set); /* one user more; returns set */

/* sono_flow_open() on the set's models, one thread after the other. */
sono_status sono_model_set_record(sono_model_set *set, const sono_pipeline_config *config, sono_flow *out,
                                  sono_error *error);

#endif
