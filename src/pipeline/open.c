// SPDX-License-Identifier: Apache-2.0
/* Opening a pipeline: checkpoints, program, engine, slots, one trial frame; and what it is then. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/sized.h"
#include "pipeline/pipeline_private.h"

#include <stdio.h>
#include <string.h>

/* Of a network, "none" where there is none. */
static const char *or_none(const char *text)
{
    return text && *text ? text : "none";
}

static void announce_models(sono_pipeline *p, double ms)
{
    if (p->choice.fallback)
        SONO_EMIT(&p->events, BACKEND_FALLBACK, NULL, sono_event_text("wanted", "cuda"),
                  sono_event_text("device", p->choice.device_name),
                  sono_event_text("reason", p->choice.fallback));
    if (p->flow.detector.role && p->flow.detector.family == SONO_FAMILY_AUTO)
        SONO_EMIT(&p->events, FAMILY_ASSUMED, NULL,
                  sono_event_text("family", sono_detector_family_name(SONO_FAMILY_DFINE)),
                  sono_event_text("detector_file", p->detector_file));
    SONO_EMIT(&p->events, INIT_MODELS, NULL,
              sono_event_text("detector", or_none(p->flow.detector.architecture)),
              sono_event_text("segmenter", or_none(p->flow.segmenter.architecture)),
              sono_event_text("detector_file", p->detector_file),
              sono_event_text("segmenter_file", p->segmenter_file),
              sono_event_text("device", p->choice.device_name),
              sono_event_text("precision", sono_precision_name(p->choice.precision)),
              sono_event_number("ms", 1, ms));
}

/* A thread: it would make open longer. */
static void *hash_models(void *pipeline)
{
    sono_pipeline *p = pipeline;
    const int64_t start_ns = sono_clock_ns();
    sono_model_hashes_read(p->hashes);
    SONO_EMIT(&p->events, MODELS_HASHED, NULL, sono_event_text("detector_file", p->detector_file),
              sono_event_text("detector_sha256", p->hashes->hex[0]),
              sono_event_text("segmenter_file", p->segmenter_file),
              sono_event_text("segmenter_sha256", p->hashes->hex[1]),
              sono_event_number("ms", 1, 1e-6 * (double)(sono_clock_ns() - start_ns)));
    return NULL;
}

/* From the pipeline's own reading of the checkpoints, or from models that were read before. */
static sono_status record_flow(sono_pipeline *p, const sono_pipeline_config *config, sono_error *error)
{
    if (p->models) {
        p->hashes = p->events.ring ? &p->models->hashes : NULL;
        return sono_model_set_record(p->models, config, &p->flow, error);
    }
    sono_flow_models models;
    SONO_TRY(sono_flow_models_open(config, &models, error));
    if (p->events.ring) {
        sono_model_hashes_open(&p->own_hashes, &models);
        p->hashes = &p->own_hashes;
    }
    const sono_status status = sono_flow_open(config, &models, &p->flow, error);
    sono_flow_models_close(&models);
    return status;
}

static sono_status start_thread(sono_pipeline *p, void *(*run)(void *), pthread_t *thread, int32_t *started,
                                sono_error *error)
{
    const int code = pthread_create(thread, NULL, run, p);
    if (code != 0)
        return SONO_FAIL_NATIVE(
            error, IO, code, "cannot start the pipeline's thread: %s (see ulimit -v and -u)", strerror(code));
    *started = 1;
    return SONO_STATUS_OK;
}

static sono_status open_slots(sono_pipeline *p, sono_error *error)
{
    const int32_t n_slots = p->config.n_slots, batch = p->config.batch;
    p->frames = sono_alloc_array((size_t)n_slots * (size_t)batch, sizeof *p->frames);
    if (!p->frames)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for %d slots of %d packets", n_slots, batch);
    for (int32_t i = 0; i < n_slots; i++) {
        p->slots[i].inputs = p->choice.ops->slot_memory(p->engine, i, SONO_BLOCK_INPUTS);
        p->slots[i].outputs = p->choice.ops->slot_memory(p->engine, i, SONO_BLOCK_OUTPUTS);
        p->slots[i].frames = p->frames + (size_t)i * (size_t)batch;
    }
    p->filling = -1;
    return SONO_STATUS_OK;
}

static void store_black_frames(sono_pipeline *p)
{
    static const uint8_t black[16];
    sono_frame frame;
    sono_frame_init(&frame);
    frame.image.pixels = black;
    frame.image.width_px = frame.image.height_px = 1;
    frame.image.format = SONO_PIXEL_GRAY8;
    const sono_pixel_source host = {0};
    for (int32_t i = 0; i < p->config.n_slots; i++) {
        sono_pipeline_begin(&p->slots[i]);
        for (int32_t k = 0; k < p->config.batch; k++)
            sono_pipeline_store(p, &p->slots[i], &frame, &host);
    }
}

/* Runs every op once on black frames, so that what is set up on first use is set up now. */
static sono_status warm_up(sono_pipeline *p, sono_error *error)
{
    const int64_t start_ns = sono_clock_ns();
    store_black_frames(p);
    SONO_TRY(p->choice.ops->prepare(p->engine, error));
    SONO_EMIT(&p->events, WARMUP, NULL,
              sono_event_number("ms", 1, 1e-6 * (double)(sono_clock_ns() - start_ns)));
    return SONO_STATUS_OK;
}

/* What is asked for by the caller is computed: there is nothing to gate. */
static sono_gate gate_of(const sono_flow *flow)
{
    if (flow->prompts.is_callers)
        return (sono_gate){.detections = flow->detections};
    return (sono_gate){flow->first_segment_op, flow->first_decode_op, flow->first_mask_op, flow->detections};
}

static sono_status open_engine(sono_pipeline *p, const sono_pipeline_config *config, sono_error *error)
{
    sono_engine_info info;
    const sono_flow *flow = &p->flow;
    sono_engine_options options = {.n_slots = config->n_slots,
                                   .n_threads = config->n_threads,
                                   .device = p->choice.device,
                                   .precision = p->choice.precision,
                                   .params = p->models ? p->models->stored : NULL,
                                   .time_stages = config->time_stages,
                                   .time_device = config->time_device,
                                   .without_graph = config->without_graph,
                                   .gate = gate_of(flow),
                                   .gate_on_device = config->skip_decoder_when_lost,
                                   .n_branches = flow->n_branches};
    memcpy(options.branches, flow->branches, sizeof options.branches);
    SONO_TRY(p->choice.ops->open(flow->program, &options, &p->engine, error));
    p->choice.ops->info(p->engine, &info);
    p->plan = info.plan;
    return SONO_STATUS_OK;
}

/* flow: recorded already, and the pipeline's now; NULL = not yet. */
static sono_status open_parts(sono_pipeline *p, const sono_pipeline_config *config, const sono_flow *flow,
                              sono_error *error)
{
    const int64_t start_ns = sono_clock_ns();
    if (flow)
        p->flow = *flow;
    SONO_TRY(sono_events_open(&p->events, config->on_event, config->on_event_user, error));
    if (!flow)
        SONO_TRY(record_flow(p, config, error));
    SONO_TRY(open_engine(p, config, error));
    SONO_TRY(open_slots(p, error));
    announce_models(p, 1e-6 * (double)(sono_clock_ns() - start_ns));
    SONO_TRY(warm_up(p, error));
    p->stream_begins = 1;
    sono_pipeline_locate(p);
    sono_pipeline_warn(p);
    SONO_TRY(start_thread(p, sono_pipeline_main, &p->thread, &p->thread_started, error));
    return p->hashes ? start_thread(p, hash_models, &p->hash_thread, &p->hash_thread_started, error)
                     : SONO_STATUS_OK;
}

sono_status sono_pipeline_open(const sono_pipeline_config *config, sono_pipeline **out, sono_error *error)
{
    sono_pipeline_config resolved;
    sono_backend_choice choice;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(sono_config_resolve(config, &resolved, error));
    if (resolved.models)
        choice = resolved.models->choice;
    else
        SONO_TRY(sono_config_choose_backend(&resolved, &choice, error));
    return sono_pipeline_open_on(&resolved, &choice, NULL, out, error);
}

sono_status sono_pipeline_open_on(const sono_pipeline_config *config, const sono_backend_choice *choice,
                                  const sono_flow *flow, sono_pipeline **out, sono_error *error)
{
    sono_pipeline *p = sono_alloc(sizeof *p);
    if (!p)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the pipeline");
    atomic_init(&p->n_users, 1);
    pthread_mutex_init(&p->submit_mutex, NULL);
    sono_slots_init(&p->ring, config->n_slots);
    p->config = *config;
    p->config.detector_path = p->config.segmenter_path = p->config.device = NULL;
    p->config.state_rules = NULL;
    p->choice = *choice;
    p->models = config->models ? sono_model_set_share(config->models) : NULL;
    snprintf(p->detector_file, sizeof p->detector_file, "%s",
             p->models ? p->models->detector_file : config->detector_path);
    snprintf(p->segmenter_file, sizeof p->segmenter_file, "%s",
             p->models ? p->models->segmenter_file : or_none(config->segmenter_path));
    const sono_status status = open_parts(p, config, flow, error);
    if (status != SONO_STATUS_OK) {
        sono_pipeline_close(p);
        return status;
    }
    *out = p;
    return SONO_STATUS_OK;
}

void sono_pipeline_info_init_sized(void *info, size_t struct_size)
{
    const sono_pipeline_info defaults = {.struct_size = sizeof defaults};
    sono_sized_init(info, struct_size, &defaults, sizeof defaults);
}

sono_status sono_pipeline_query(const sono_pipeline *p, sono_pipeline_info *caller)
{
    sono_pipeline_info info, *out = &info;
    if (!p || !caller)
        return SONO_STATUS_INVALID_ARGUMENT;
    sono_engine_info engine;
    p->choice.ops->info(p->engine, &engine);
    sono_pipeline_info_init(out);
    out->backend = p->choice.backend;
    out->precision = p->choice.precision;
    out->n_threads = engine.n_threads;
    out->params_bytes = engine.params_bytes;
    out->planned_bytes = engine.planned_bytes;
    out->slot_bytes =
        (int64_t)(p->plan->block_bytes[SONO_BLOCK_INPUTS] + p->plan->block_bytes[SONO_BLOCK_OUTPUTS]) *
        p->config.n_slots;
    const sono_model_info *detector = &p->flow.detector;
    snprintf(out->detector, sizeof out->detector, "none");
    if (detector->role)
        snprintf(out->detector, sizeof out->detector, "%s, %d class%s%s", detector->architecture,
                 detector->n_classes, detector->n_classes == 1 ? "" : "es",
                 detector->family == SONO_FAMILY_DEIM ? ", deim" : "");
    snprintf(out->segmenter, sizeof out->segmenter, "%s", or_none(p->flow.segmenter.architecture));
    return sono_sized_write(caller, offsetof(sono_pipeline_info, n_threads), out, sizeof *out,
                            "sono_pipeline_info", NULL);
}

double sono_pipeline_stage_flops(const sono_pipeline *p, sono_stage stage)
{
    return p ? sono_program_flops(p->flow.program, stage) / p->config.batch : 0.0;
}

sono_detector_family sono_pipeline_family(const sono_pipeline *p)
{
    return p ? p->flow.detector.family : SONO_FAMILY_AUTO;
}
