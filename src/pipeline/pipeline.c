// SPDX-License-Identifier: Apache-2.0
/* The public calls. */
#include "base/alloc.h"
#include "base/clock.h"
#include "pipeline/pipeline_private.h"

#include <stdio.h>
#include <string.h>

/* ---- open and close ---- */

static void announce_models(sono_pipeline *p, const sono_pipeline_config *config, double ms)
{
    char detector[160], segmenter[160];
    if (p->choice.fallback)
        sono_event_emit(&p->events, "backend_fallback", "wanted=cuda device=%s reason=%s",
                        p->choice.device_name, p->choice.fallback);
    if (p->flow.detector.family == SONO_FAMILY_AUTO)
        sono_event_emit(&p->events, "family_assumed", "family=%s detector_file=%s",
                        sono_detector_family_name(SONO_FAMILY_DFINE),
                        sono_event_value(detector, sizeof detector,
                                         p->models ? p->models->detector_path : config->detector_path));
    sono_event_emit(
        &p->events, "init_models",
        "detector=%s segmenter=%s detector_file=%s segmenter_file=%s device=%s precision=%s ms=%.1f",
        p->flow.detector.architecture, p->flow.segmenter.architecture,
        sono_event_value(detector, sizeof detector,
                         p->models ? p->models->detector_path : config->detector_path),
        sono_event_value(segmenter, sizeof segmenter,
                         p->models ? p->models->segmenter_path : config->segmenter_path),
        p->choice.device_name, sono_precision_name(p->choice.precision), ms);
}

/* From the pipeline's own reading of the checkpoints, or from models that were read before. */
static sono_status record_flow(sono_pipeline *p, const sono_pipeline_config *config, sono_error *error)
{
    if (p->models)
        return sono_model_set_record(p->models, config, &p->flow, error);
    sono_flow_models models;
    SONO_TRY(sono_flow_models_open(config, &models, error));
    const sono_status status = sono_flow_open(config, &models, &p->flow, error);
    sono_flow_models_close(&models);
    return status;
}

static sono_status start_thread(sono_pipeline *p, sono_error *error)
{
    const int code = pthread_create(&p->thread, NULL, sono_pipeline_main, p);
    if (code != 0)
        return SONO_FAIL_NATIVE(
            error, IO, code, "cannot start the pipeline's thread: %s (see ulimit -v and -u)", strerror(code));
    p->thread_started = 1;
    return SONO_STATUS_OK;
}

static sono_status open_slots(sono_pipeline *p, sono_error *error)
{
    const int32_t n_slots = p->config.n_slots, batch = p->config.batch;
    p->frames = sono_alloc_array((size_t)n_slots * (size_t)batch, sizeof *p->frames);
    if (!p->frames)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for %d slots of %d packets", n_slots, batch);
    for (int32_t i = 0; i < n_slots; i++) {
        p->slots[i].inputs = p->choice.ops->slot_memory(p->executor, i, SONO_BLOCK_INPUTS);
        p->slots[i].outputs = p->choice.ops->slot_memory(p->executor, i, SONO_BLOCK_OUTPUTS);
        p->slots[i].frames = p->frames + (size_t)i * (size_t)batch;
    }
    p->filling = p->handing = -1;
    sono_slots_init(&p->ring, n_slots);
    p->ring_ready = 1;
    return SONO_STATUS_OK;
}

static sono_status open_parts(sono_pipeline *p, const sono_pipeline_config *config, sono_error *error)
{
    const int64_t start_ns = sono_clock_ns();
    const sono_executor_ops *ops = p->choice.ops;
    sono_executor_options options = {.n_slots = config->n_slots,
                                     .n_threads = config->n_threads,
                                     .device = p->choice.device,
                                     .precision = p->choice.precision,
                                     .params = p->models ? p->models->stored : NULL,
                                     .time_stages = config->time_stages,
                                     .time_device = config->time_device};
    SONO_TRY(sono_events_open(&p->events, config->on_event, config->on_event_user, error));
    SONO_TRY(record_flow(p, config, error));
    if (config->skip_decoder_when_lost)
        options.gated = (sono_gated_ops){p->flow.first_decode_op, p->flow.first_mask_op, p->flow.detections};
    SONO_TRY(ops->open(p->flow.program, &options, &p->executor, error));
    SONO_TRY(open_slots(p, error));
    announce_models(p, config, 1e-6 * (double)(sono_clock_ns() - start_ns));
    SONO_TRY(sono_pipeline_warm_up(p, error));
    sono_pipeline_warn(p);
    return ops->submit ? SONO_STATUS_OK : start_thread(p, error);
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
    sono_pipeline *p = sono_alloc(sizeof *p);
    if (!p)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the pipeline");
    p->config = resolved;
    p->config.detector_path = p->config.segmenter_path = p->config.device = NULL;
    p->choice = choice;
    p->models = resolved.models ? sono_model_set_share(resolved.models) : NULL;
    const sono_status status = open_parts(p, &resolved, error);
    if (status != SONO_STATUS_OK) {
        sono_pipeline_close(p);
        return status;
    }
    *out = p;
    return SONO_STATUS_OK;
}

void sono_pipeline_close(sono_pipeline *p)
{
    if (!p)
        return;
    if (p->ring_ready)
        sono_slots_stop(&p->ring);
    if (p->thread_started)
        pthread_join(p->thread, NULL);
    if (p->ring_ready)
        sono_slots_destroy(&p->ring);
    if (p->executor)
        p->choice.ops->close(p->executor);
    for (int32_t i = 0; p->frames && i < p->config.n_slots; i++)
        sono_pipeline_release_pixels(&p->slots[i]);
    sono_events_close(&p->events);
    sono_flow_close(&p->flow);
    sono_model_set_close(p->models);
    sono_free(p->frames);
    sono_free(p);
}

/* ---- frames in, packets out ---- */

/* Starts the batch that is being filled; frames it lacks are none. On failure its frames are lost, and all
 * their sources are told so but that of the last `n_kept`. */
static sono_status start_batch(sono_pipeline *p, int32_t n_kept, sono_error *error)
{
    const int32_t index = p->filling;
    p->filling = -1;
    sono_pipeline_pad(p, &p->slots[index]);
    const sono_status status = p->choice.ops->submit ? sono_pipeline_start(p, index, error) : SONO_STATUS_OK;
    if (status != SONO_STATUS_OK) {
        p->slots[index].n_frames -= n_kept;
        sono_pipeline_release_pixels(&p->slots[index]);
        sono_slots_cancel(&p->ring, index);
        return status;
    }
    sono_slots_queue(&p->ring, index);
    return SONO_STATUS_OK;
}

/* Finds a slot with room for one more frame. */
static sono_status find_room(sono_pipeline *p, const sono_frame *frame, sono_error *error)
{
    if (p->filling >= 0)
        return SONO_STATUS_OK;
    p->filling = sono_slots_acquire(&p->ring);
    if (p->filling < 0) {
        sono_event_emit(&p->events, "drop", "frame=%llu reason=no_free_slot",
                        (unsigned long long)frame->frame_id);
        return SONO_FAIL(error, AGAIN, "all %d slots are in flight or lent", p->config.n_slots);
    }
    sono_pipeline_begin(&p->slots[p->filling]);
    return SONO_STATUS_OK;
}

/* Lets what is submitted next wait for the frame's pixels. */
static sono_status order_after(sono_pipeline *p, const sono_frame *frame, const sono_pixel_source *source,
                               sono_error *error)
{
    const sono_status status = p->choice.ops->order_after(p->executor, frame->pixels, source->stream, error);
    if (status != SONO_STATUS_OK && p->slots[p->filling].n_frames == 0) {
        sono_slots_cancel(&p->ring, p->filling);
        p->filling = -1;
    }
    return status;
}

sono_status sono_pipeline_submit_from(sono_pipeline *p, const sono_frame *frame,
                                      const sono_pixel_source *source, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    if (source->on_device && !p->choice.ops->submit_resident)
        return SONO_FAIL(error, UNSUPPORTED, "the %s backend cannot take pixels in device memory",
                         p->choice.ops->name);
    SONO_TRY(sono_frame_check(frame, p->config.max_width_px, p->config.max_height_px, error));
    SONO_TRY(find_room(p, frame, error));
    if (source->on_device)
        SONO_TRY(order_after(p, frame, source, error));
    sono_pipeline_slot *s = &p->slots[p->filling];
    sono_pipeline_store(p, s, frame, source);
    sono_event_emit(&p->events, "frame_in", "frame=%llu width=%d height=%d format=%d device=%s",
                    (unsigned long long)frame->frame_id, frame->width_px, frame->height_px,
                    (int)frame->format, source->on_device ? p->choice.device_name : "cpu");
    if (s->n_frames == p->config.batch)
        SONO_TRY(start_batch(p, 1, error));
    if (!source->on_device && source->release)
        source->release(source->tensor); /* they were copied */
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_submit(sono_pipeline *p, const sono_frame *frame, sono_error *error)
{
    static const sono_pixel_source host;
    return sono_pipeline_submit_from(p, frame, &host, error);
}

sono_status sono_pipeline_flush(sono_pipeline *p, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    return p->filling < 0 ? SONO_STATUS_OK : start_batch(p, 0, error);
}

/* The slot with the next packet, waiting for its batch; -1 = nothing is in flight. */
static int32_t next_slot(sono_pipeline *p)
{
    if (p->handing >= 0)
        return p->handing;
    const int32_t oldest = p->choice.ops->submit ? sono_slots_take_now(&p->ring) : -1;
    if (oldest >= 0) {
        sono_pipeline_complete(p, oldest);
        sono_slots_finish(&p->ring, oldest);
    }
    return sono_slots_receive(&p->ring);
}

void sono_pipeline_give_back(sono_pipeline *p, sono_pipeline_frame *f)
{
    const int32_t index = (int32_t)(f - p->frames) / p->config.batch;
    sono_pipeline_slot *s = &p->slots[index];
    const int32_t n_frames = s->n_frames; /* the slot may be another thread's after the last one */
    if (atomic_fetch_sub(&f->n_uses, 1) == 1 && atomic_fetch_add(&s->n_released, 1) + 1 == n_frames)
        sono_slots_release(&p->ring, index);
}

sono_status sono_pipeline_receive(sono_pipeline *p, const sono_packet **out, sono_error *error)
{
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    const int32_t index = next_slot(p);
    if (index < 0)
        return SONO_FAIL(error, END, "no frame is in flight");
    sono_pipeline_slot *s = &p->slots[index];
    sono_pipeline_frame *f = &s->frames[s->n_received++];
    p->handing = s->n_received < s->n_frames ? index : -1;
    atomic_store(&f->n_uses, 1);
    if (s->status != SONO_STATUS_OK) {
        const sono_status status = s->status;
        if (error)
            *error = s->error;
        sono_pipeline_give_back(p, f);
        return status;
    }
    f->lent = 1;
    *out = &f->storage.packet;
    return SONO_STATUS_OK;
}

sono_pipeline_frame *sono_pipeline_find_lent(sono_pipeline *p, const sono_packet *packet)
{
    const int32_t n = p->config.n_slots * p->config.batch;
    for (int32_t i = 0; i < n; i++)
        if (packet == &p->frames[i].storage.packet && p->frames[i].lent)
            return &p->frames[i];
    return NULL;
}

sono_status sono_packet_release(sono_pipeline *p, const sono_packet *packet)
{
    sono_pipeline_frame *f = p && packet ? sono_pipeline_find_lent(p, packet) : NULL;
    if (!f)
        return SONO_STATUS_INVALID_ARGUMENT;
    f->lent = 0;
    sono_pipeline_give_back(p, f);
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_query(const sono_pipeline *p, sono_pipeline_info *out)
{
    if (!p || !out)
        return SONO_STATUS_INVALID_ARGUMENT;
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    memset(out, 0, sizeof *out);
    out->backend = p->choice.backend;
    out->precision = p->choice.precision;
    out->n_threads = p->choice.ops->n_threads(p->executor);
    out->params_bytes = p->choice.ops->params_bytes(p->executor);
    out->planned_bytes = p->choice.ops->planned_bytes(p->executor);
    out->slot_bytes =
        (int64_t)(plan->block_bytes[SONO_BLOCK_INPUTS] + plan->block_bytes[SONO_BLOCK_OUTPUTS]) *
        p->config.n_slots;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        out->stage_flops[i] = sono_program_flops(p->flow.program, (sono_stage)i) / p->config.batch;
    snprintf(out->detector, sizeof out->detector, "%s, %d class%s%s", p->flow.detector.architecture,
             p->flow.detector.n_classes, p->flow.detector.n_classes == 1 ? "" : "es",
             p->flow.detector.family == SONO_FAMILY_DEIM ? ", deim" : "");
    snprintf(out->segmenter, sizeof out->segmenter, "%s", p->flow.segmenter.architecture);
    return SONO_STATUS_OK;
}

sono_detector_family sono_pipeline_family(const sono_pipeline *p)
{
    return p ? p->flow.detector.family : SONO_FAMILY_AUTO;
}
