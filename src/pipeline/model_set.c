// SPDX-License-Identifier: Apache-2.0
#include "pipeline/model_set.h"

#include "base/alloc.h"

#include <stdio.h>

sono_model_set *sono_model_set_share(sono_model_set *set)
{
    atomic_fetch_add(&set->n_users, 1);
    return set;
}

sono_status sono_model_set_record(sono_model_set *set, const sono_pipeline_config *config, sono_flow *out,
                                  sono_error *error)
{
    pthread_mutex_lock(&set->mutex);
    const sono_status status = sono_flow_open(config, &set->models, out, error);
    pthread_mutex_unlock(&set->mutex);
    return status;
}

static sono_status store_params(sono_model_set *set, const sono_program *program, sono_error *error)
{
    const sono_engine_options options = {.device = set->choice.device, .precision = set->choice.precision};
    const sono_engine_ops *ops = set->choice.ops;
    return ops->params_open ? ops->params_open(program, &options, &set->stored, error) : SONO_STATUS_OK;
}

/* Records one flow, which reads the parameters, and stores them; its own ops are not kept. */
static sono_status fill_set(sono_model_set *set, const sono_pipeline_config *config, sono_error *error)
{
    sono_flow flow;
    SONO_TRY(sono_flow_models_open(config, &set->models, error));
    sono_model_hashes_open(&set->hashes, &set->models);
    SONO_TRY(sono_flow_open(config, &set->models, &flow, error));
    const sono_status status = store_params(set, flow.program, error);
    sono_flow_close(&flow);
    return status;
}

/* What else a configuration holds is for pipelines. */
static sono_status resolve_models(const sono_pipeline_config *config, sono_pipeline_config *out,
                                  sono_error *error)
{
    sono_pipeline_config given, models;
    SONO_TRY(sono_config_resolve(config, &given, error));
    if (given.models)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "models is set, but a model set is opened from checkpoints: leave models NULL");
    sono_pipeline_config_init(&models);
    models.detector_path = given.detector_path;
    models.segmenter_path = given.segmenter_path;
    models.detector_family = given.detector_family;
    models.detector_width_px = given.detector_width_px;
    models.detector_height_px = given.detector_height_px;
    models.segmenter_size_px = given.segmenter_size_px;
    models.device = given.device;
    models.precision = given.precision;
    *out = models;
    return SONO_STATUS_OK;
}

sono_status sono_model_set_open(const char *detector_path, const char *segmenter_path, const char *device,
                                sono_precision precision, sono_model_set **out, sono_error *error)
{
    sono_pipeline_config config;
    sono_pipeline_config_init(&config);
    config.detector_path = detector_path;
    config.segmenter_path = segmenter_path;
    config.device = device;
    config.precision = precision;
    return sono_model_set_open_config(&config, out, error);
}

sono_status sono_model_set_open_config(const sono_pipeline_config *config, sono_model_set **out,
                                       sono_error *error)
{
    sono_pipeline_config resolved;
    sono_backend_choice choice;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(resolve_models(config, &resolved, error));
    SONO_TRY(sono_config_choose_backend(&resolved, &choice, error));
    sono_model_set *set = sono_alloc(sizeof *set);
    if (!set)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for models");
    atomic_init(&set->n_users, 1);
    pthread_mutex_init(&set->mutex, NULL);
    set->choice = choice;
    snprintf(set->detector_file, sizeof set->detector_file, "%s", resolved.detector_path);
    snprintf(set->segmenter_file, sizeof set->segmenter_file, "%s",
             resolved.segmenter_path ? resolved.segmenter_path : "none");
    const sono_status status = fill_set(set, &resolved, error);
    if (status != SONO_STATUS_OK) {
        sono_model_set_close(set);
        return status;
    }
    *out = set;
    return SONO_STATUS_OK;
}

void sono_model_set_close(sono_model_set *set)
{
    if (!set || atomic_fetch_sub(&set->n_users, 1) > 1)
        return;
    if (set->choice.ops->params_close)
        set->choice.ops->params_close(set->stored);
    sono_model_hashes_close(&set->hashes);
    sono_flow_models_close(&set->models);
    pthread_mutex_destroy(&set->mutex);
    sono_free(set);
}
