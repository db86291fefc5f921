// SPDX-License-Identifier: Apache-2.0
/* The engine that analyses: a sono_pipeline. */
#include "serve/engine_kind.h"
#include "error/error.h"

#include "sonoseg/diagnostics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SLOTS 16

typedef struct pipeline_engine {
    sono_pipeline *pipeline;
    sono_pipeline_info info;
    int32_t fd;
    int with_maps;
    double residency_percent;
    uint64_t queue[MAX_SLOTS]; /* frames in the pipeline, in order: a lost one is told without its number */
    int32_t n_queued;
    sono_event_fn on_event;
    void *user;
    pthread_mutex_t mutex; /* the hashes come from the events' thread */
    char detector_sha256[65], segmenter_sha256[65];
} pipeline_engine;

static void copy_text(char *out, size_t n_bytes, const char *text)
{
    size_t n = strnlen(text, n_bytes - 1);
    memcpy(out, text, n);
    out[n] = 0;
}

static void take_hash(const sono_event *event, const char *key, char out[65])
{
    const sono_event_field *field = sono_event_find(event, key);
    if (field && field->type == SONO_EVENT_TEXT) {
        copy_text(out, 65, field->text);
    }
}

static void on_event(void *user, const sono_event *event)
{
    pipeline_engine *engine = user;
    if (event->kind == SONO_EVENT_MODELS_HASHED) {
        pthread_mutex_lock(&engine->mutex);
        take_hash(event, "detector_sha256", engine->detector_sha256);
        take_hash(event, "segmenter_sha256", engine->segmenter_sha256);
        pthread_mutex_unlock(&engine->mutex);
    }
    if (engine->on_event) {
        engine->on_event(engine->user, event);
    }
}

static void pipeline_close(void *state)
{
    pipeline_engine *engine = state;
    sono_pipeline_close(engine->pipeline);
    pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

/* Of the keys of state: all but the mode are named as the rules are. */
static void set_rule(sono_state_rules *rules, const char *section, const char *name, int32_t value)
{
    if (!strcmp(section, "state")) {
        sono_state_rules_set(rules, name, value, NULL);
    }
}

static void state_rules(const sono_serve_config *config, sono_state_rules *out)
{
    sono_state_rules_init(out);
#define IGNORE(section, name, ...)
#define RULE(section, name, ...) set_rule(out, #section, #name, config->section##_##name);
    SONO_SERVE_KEY_MAP(IGNORE, IGNORE, IGNORE, RULE, IGNORE)
#undef IGNORE
#undef RULE
}

static void configure(const sono_serve_engine_setup *setup, pipeline_engine *engine, sono_state_rules *rules,
                      sono_pipeline_config *out)
{
    const sono_serve_config *config = setup->config;
    state_rules(config, rules);
    sono_pipeline_config_init(out);
    out->detector_path = config->engine_detector;
    out->segmenter_path = config->engine_segmenter;
    out->device = config->engine_device;
    out->precision = (sono_precision)(config->engine_precision - 1); /* auto|fp32|fp16 */
    out->detector_family = (sono_detector_family)config->engine_detector_family;
    out->n_threads = config->engine_threads;
    out->threshold = (float)setup->threshold;
    out->min_piece_share = config->engine_min_piece > 0 ? (float)config->engine_min_piece : 0;
    out->state_mode = (sono_state_mode)config->state_mode; /* score|frame|stream */
    out->state_rules = rules;
    out->bridge_share = config->engine_bridge > 0 ? (float)config->engine_bridge : 0;
    out->want_surface = config->engine_surface == SONO_SERVE_SURFACE_ON;
    out->detect_every = config->engine_detect_every;
    sono_pipeline_config_set_region(out, config->engine_region, NULL); /* it was checked */
    out->max_width_px = config->engine_max_width_px;
    out->max_height_px = config->engine_max_height_px;
    out->gray16_white = config->engine_gray16_white;
    out->n_slots = setup->n_slots;
    out->want_weight_maps = config->sink_maps;
    out->time_stages = 0;
    out->on_event = on_event;
    out->on_event_user = engine;
}

/* Share of operations whose data stay in device memory; asked once, before any frame. -1 = unknown. */
static double residency_percent(sono_pipeline *pipeline)
{
    sono_audit_counts counts;
    int64_t n_ops = 0, n_resident = 0;
    if (sono_pipeline_audit(pipeline, &counts) != SONO_STATUS_OK) {
        return -1;
    }
    for (int i = 0; i < SONO_MAX_STAGES; ++i) {
        n_ops += counts.n_ops[i];
        n_resident += counts.n_resident[i];
    }
    return n_ops ? 100.0 * (double)n_resident / (double)n_ops : -1;
}

static sono_status pipeline_open(const sono_serve_engine_setup *setup, void **out, sono_error *error)
{
    sono_pipeline_config config;
    sono_state_rules rules;
    if (!setup->config->engine_detector[0] || !setup->config->engine_segmenter[0]) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "engine",
                              "engine.%s names no checkpoint",
                              setup->config->engine_detector[0] ? "segmenter" : "detector");
    }
    pipeline_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "engine", "out of memory");
    }
    pthread_mutex_init(&engine->mutex, NULL);
    engine->with_maps = setup->config->sink_maps;
    engine->on_event = setup->on_event;
    engine->user = setup->user;
    configure(setup, engine, &rules, &config);
    sono_status status = sono_pipeline_open(&config, &engine->pipeline, error);
    if (status == SONO_STATUS_OK) {
        sono_pipeline_info_init(&engine->info);
        sono_pipeline_query(engine->pipeline, &engine->info);
        engine->residency_percent =
            engine->info.backend == SONO_BACKEND_CUDA ? residency_percent(engine->pipeline) : -1;
        status = sono_pipeline_event_fd(engine->pipeline, &engine->fd, error);
    }
    if (status != SONO_STATUS_OK) {
        pipeline_close(engine);
        return status;
    }
    *out = engine;
    return SONO_STATUS_OK;
}

static int pipeline_fd(void *state)
{
    return ((pipeline_engine *)state)->fd;
}

static const uint8_t *map_of(const sono_packet *packet, sono_map which)
{
    sono_map_view view;
    return sono_packet_map(packet, 0, which, &view) == SONO_STATUS_OK ? view.data : NULL;
}

static void fill_result(const pipeline_engine *engine, const sono_packet *packet, sono_serve_result *result)
{
    const sono_object *object = sono_packet_object(packet, 0);
    *result = (sono_serve_result){.frame = packet->info->frame_id,
                                  .state = packet->state,
                                  .score = object->score,
                                  .iou_predicted = object->iou_predicted,
                                  .mask_area_px = object->mask_area_px,
                                  .width_px = packet->width_px,
                                  .height_px = packet->height_px,
                                  .mask = map_of(packet, SONO_MAP_MASK),
                                  .latency_ms = packet->latency_ms,
                                  .has_ledger = engine->info.backend == SONO_BACKEND_CUDA,
                                  .ledger = packet->ledger,
                                  .lent = packet};
    const sono_state_report *report = sono_packet_report(packet);
    if (report) {
        result->is_judged = 1;
        result->quality = report->quality;
        result->agreement = report->agreement;
        result->reasons = report->reasons;
        result->parts = *sono_packet_parts(packet);
    }
    sono_region region;
    if (sono_packet_region(packet, &region) == SONO_STATUS_OK &&
        (region.width_px != packet->width_px || region.height_px != packet->height_px)) {
        result->region = region;
    }
    result->has_surface = sono_packet_surface(packet, &result->surface) == SONO_STATUS_OK;
    memcpy(result->bbox_xyxy_px, object->bbox_xyxy_px, sizeof result->bbox_xyxy_px);
    for (int i = 0; engine->with_maps && i < 3; ++i) {
        result->maps[i] = map_of(packet, (sono_map)(SONO_MAP_EDGE + i));
    }
}

static sono_serve_engine_news pipeline_next(void *state, sono_serve_result *result, sono_error *error)
{
    pipeline_engine *engine = state;
    sono_wait_result wait;
    const sono_packet *packet;
    if (sono_pipeline_wait(engine->pipeline, 0, &wait, NULL) != SONO_STATUS_OK || wait != SONO_WAIT_READY) {
        return SONO_SERVE_ENGINE_NOTHING;
    }
    sono_status status = sono_pipeline_receive(engine->pipeline, &packet, error);
    if (status == SONO_STATUS_END) {
        return SONO_SERVE_ENGINE_NOTHING;
    }
    uint64_t frame = engine->queue[0];
    if (engine->n_queued) {
        --engine->n_queued;
        memmove(engine->queue, engine->queue + 1, (size_t)engine->n_queued * sizeof engine->queue[0]);
    }
    if (status != SONO_STATUS_OK) {
        *result = (sono_serve_result){.frame = frame};
        return SONO_SERVE_ENGINE_LOSS;
    }
    fill_result(engine, packet, result);
    return SONO_SERVE_ENGINE_RESULT;
}

static uint8_t *pipeline_lend(void *state, size_t *n_bytes, void **input)
{
    pipeline_engine *engine = state;
    const sono_input *lent;
    if (sono_pipeline_lend_input(engine->pipeline, &lent, NULL) != SONO_STATUS_OK) {
        return NULL;
    }
    *n_bytes = lent->n_bytes;
    *input = (void *)(uintptr_t)lent;
    return lent->pixels;
}

static void pipeline_give_back(void *state, void *input)
{
    sono_input_return(((pipeline_engine *)state)->pipeline, input);
}

static sono_status pipeline_submit(void *state, void *input, const sono_image *image,
                                   const sono_frame_info *info, sono_error *error)
{
    pipeline_engine *engine = state;
    sono_status status = sono_input_submit(engine->pipeline, input, image, info, error);
    if (status == SONO_STATUS_OK) {
        engine->queue[engine->n_queued++] = info->frame_id;
    }
    return status;
}

static void pipeline_release(void *state, const sono_serve_result *result)
{
    sono_packet_release(((pipeline_engine *)state)->pipeline, result->lent);
}

static void pipeline_query(void *state, sono_serve_engine_info *out)
{
    pipeline_engine *engine = state;
    copy_text(out->backend, sizeof out->backend, sono_backend_name(engine->info.backend));
    copy_text(out->precision, sizeof out->precision, sono_precision_name(engine->info.precision));
    copy_text(out->detector, sizeof out->detector, engine->info.detector);
    copy_text(out->segmenter, sizeof out->segmenter, engine->info.segmenter);
    out->residency_percent = engine->residency_percent;
    pthread_mutex_lock(&engine->mutex);
    memcpy(out->detector_sha256, engine->detector_sha256, sizeof out->detector_sha256);
    memcpy(out->segmenter_sha256, engine->segmenter_sha256, sizeof out->segmenter_sha256);
    pthread_mutex_unlock(&engine->mutex);
}

const sono_serve_engine_kind sono_serve_engine_pipeline = {
    .name = "pipeline",
    .open = pipeline_open,
    .close = pipeline_close,
    .fd = pipeline_fd,
    .next = pipeline_next,
    .lend = pipeline_lend,
    .give_back = pipeline_give_back,
    .submit = pipeline_submit,
    .release = pipeline_release,
    .query = pipeline_query,
};
