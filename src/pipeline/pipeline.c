// SPDX-License-Identifier: Apache-2.0
/* The public calls. submit copies a frame into a slot; the pipeline's thread runs slots in order; receive
 * lends the packet. A slot owns its input block and its output block, so frames in flight never share bytes.
 */
#include "backend/executor.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "frame/slots.h"
#include "monitor/events.h"
#include "packet/packet.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "state/state.h"

#include <stdio.h>
#include <string.h>

typedef struct slot {
    uint8_t *inputs;  /* plan->block_bytes[SONO_BLOCK_INPUTS] */
    uint8_t *outputs; /* plan->block_bytes[SONO_BLOCK_OUTPUTS] */
    int64_t submitted_ns;
    sono_packet_storage storage;
    sono_status status; /* of the run */
    sono_error error;
} slot;

struct sono_pipeline {
    sono_pipeline_config config; /* its paths are NULL: they were the caller's */
    sono_backend_choice choice;
    sono_flow flow;
    sono_executor *executor;
    sono_events events;
    sono_slots ring;
    int32_t ring_ready;
    slot slots[SONO_MAX_SLOTS];
    pthread_t thread;
    int32_t thread_started;
};

/* ---- one frame ---- */

static uint8_t *in_block(const sono_pipeline *p, uint8_t *block, sono_tid tensor)
{
    return tensor ? block + p->choice.ops->plan(p->executor)->offset_bytes[tensor] : NULL;
}

static sono_packet_outputs outputs_of(const sono_pipeline *p, const slot *s)
{
    const sono_flow *flow = &p->flow;
    uint8_t *block = s->outputs;
    return (sono_packet_outputs){
        .detections = (const sono_detection *)in_block(p, block, flow->detections),
        .iou = (const float *)in_block(p, block, flow->iou),
        .area_px = (const int32_t *)in_block(p, block, flow->area),
        .mask = in_block(p, block, flow->mask),
        .edge = (const float *)in_block(p, block, flow->weights.edge),
        .inside = (const float *)in_block(p, block, flow->weights.inside),
        .outside = (const float *)in_block(p, block, flow->weights.outside),
        .iou_stride = sono_program_tensor(flow->program, flow->iou)->c,
        .max_objects = p->config.max_objects,
        .max_pixels = (int64_t)p->config.max_width_px * p->config.max_height_px,
    };
}

/* Runs the ops in [first, last) and keeps the first failure in the slot. */
static void run_ops(sono_pipeline *p, slot *s, int32_t first, int32_t last, int64_t *stage_ns)
{
    if (s->status == SONO_STATUS_OK)
        s->status = p->choice.ops->run(p->executor, first, last, stage_ns, &s->error);
}

static void run_flow(sono_pipeline *p, slot *s, int skip_when_lost, int64_t *stage_ns)
{
    const sono_flow *flow = &p->flow;
    s->status = SONO_STATUS_OK;
    sono_cpu_executor_place_io(p->executor, s->inputs, s->outputs);
    run_ops(p, s, 0, flow->first_segment_op, stage_ns);
    const sono_detection *best = (const sono_detection *)in_block(p, s->outputs, flow->detections);
    /* The rows are ordered by score: when the first is gated, all are, and the mask ops only write zeros. */
    const int lost = sono_state_of(best) == SONO_STATE_LOST;
    if (!lost || !skip_when_lost) {
        sono_event_emit(&p->events, "sam_call_start", "frame=%llu bbox_device=%s image_device=%s",
                        (unsigned long long)s->storage.packet.frame_id, p->choice.ops->name,
                        p->choice.ops->name);
        run_ops(p, s, flow->first_segment_op, flow->first_mask_op, stage_ns);
        sono_event_emit(&p->events, "sam_call_end", "frame=%llu mask_device=%s",
                        (unsigned long long)s->storage.packet.frame_id, p->choice.ops->name);
    }
    run_ops(p, s, flow->first_mask_op, -1, stage_ns);
}

static void finish_packet(sono_pipeline *p, slot *s, const int64_t *stage_ns)
{
    sono_packet *packet = &s->storage.packet;
    const sono_packet_outputs outputs = outputs_of(p, s);
    sono_packet_fill(&s->storage, &outputs, sono_state_of(outputs.detections));
    packet->backend = p->choice.backend;
    packet->precision = p->choice.precision;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        packet->stage_ms[i] = 1e-6 * (double)stage_ns[i];
    packet->latency_ms = 1e-6 * (double)(sono_clock_ns() - s->submitted_ns);
    sono_event_emit(&p->events, "infer_frame", "frame=%llu latency_ms=%.3f conf=%.4f state=%s",
                    (unsigned long long)packet->frame_id, packet->latency_ms,
                    (double)packet->objects[0].score, sono_state_name(packet->state));
}

static void *pipeline_main(void *argument)
{
    sono_pipeline *p = argument;
    for (;;) {
        const int32_t index = sono_slots_take(&p->ring);
        if (index < 0)
            return NULL;
        slot *s = &p->slots[index];
        int64_t stage_ns[SONO_STAGE_COUNT] = {0};
        run_flow(p, s, 1, stage_ns);
        if (s->status == SONO_STATUS_OK)
            finish_packet(p, s, stage_ns);
        else
            sono_event_emit(&p->events, "device_error", "frame=%llu status=%s",
                            (unsigned long long)s->storage.packet.frame_id, sono_status_name(s->status));
        sono_slots_finish(&p->ring, index);
    }
}

/* ---- open and close ---- */

static sono_status open_slots(sono_pipeline *p, sono_error *error)
{
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    for (int32_t i = 0; i < p->config.n_slots; i++) {
        p->slots[i].inputs = sono_alloc(plan->block_bytes[SONO_BLOCK_INPUTS]);
        p->slots[i].outputs = sono_alloc(plan->block_bytes[SONO_BLOCK_OUTPUTS]);
        if (!p->slots[i].inputs || !p->slots[i].outputs)
            return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory: %d slots need %.1f MB each",
                             p->config.n_slots,
                             1e-6 * (double)(plan->block_bytes[SONO_BLOCK_INPUTS] +
                                             plan->block_bytes[SONO_BLOCK_OUTPUTS]));
    }
    sono_slots_init(&p->ring, p->config.n_slots);
    p->ring_ready = 1;
    return SONO_STATUS_OK;
}

static void store_frame(sono_pipeline *p, slot *s, const sono_frame *frame)
{
    sono_frame_store(frame, p->config.threshold, p->config.gray16_white,
                     (sono_frame_header *)in_block(p, s->inputs, p->flow.frame.header),
                     in_block(p, s->inputs, p->flow.frame.pixels));
    sono_packet_begin(&s->storage, frame);
}

/* Runs every op once, so that what libraries set up on first use is set up now. */
static sono_status warm_up(sono_pipeline *p, sono_error *error)
{
    static const uint8_t black[16];
    const sono_frame frame = {.pixels = black, .width_px = 1, .height_px = 1, .format = SONO_PIXEL_GRAY8};
    const int64_t start_ns = sono_clock_ns();
    const sono_events listener = p->events;
    slot *s = &p->slots[0];
    store_frame(p, s, &frame);
    p->events.fn = NULL;
    run_flow(p, s, 0, NULL);
    p->events = listener;
    if (s->status != SONO_STATUS_OK) {
        if (error)
            *error = s->error;
        return s->status;
    }
    sono_event_emit(&p->events, "warmup", "ms=%.1f", 1e-6 * (double)(sono_clock_ns() - start_ns));
    return SONO_STATUS_OK;
}

static void announce_models(sono_pipeline *p, const sono_pipeline_config *config, double ms)
{
    char detector[160], segmenter[160];
    if (p->choice.fallback)
        sono_event_emit(&p->events, "backend_fallback", "wanted=cuda device=%s reason=%s",
                        p->choice.ops->name, p->choice.fallback);
    sono_event_emit(
        &p->events, "init_models",
        "detector=%s segmenter=%s detector_file=%s segmenter_file=%s device=%s precision=%s ms=%.1f",
        p->flow.detector.architecture, p->flow.segmenter.architecture,
        sono_event_value(detector, sizeof detector, config->detector_path),
        sono_event_value(segmenter, sizeof segmenter, config->segmenter_path), p->choice.ops->name,
        sono_precision_name(p->choice.precision), ms);
}

static sono_status open_parts(sono_pipeline *p, const sono_pipeline_config *config, sono_error *error)
{
    const int64_t start_ns = sono_clock_ns();
    SONO_TRY(sono_flow_open(config, &p->flow, error));
    const sono_executor_options options = {
        .plan_mode = SONO_PLAN_REUSE, .n_threads = config->n_threads, .external_io = 1};
    SONO_TRY(p->choice.ops->open(p->flow.program, &options, &p->executor, error));
    SONO_TRY(open_slots(p, error));
    announce_models(p, config, 1e-6 * (double)(sono_clock_ns() - start_ns));
    SONO_TRY(warm_up(p, error));
    const int code = pthread_create(&p->thread, NULL, pipeline_main, p);
    if (code != 0)
        return SONO_FAIL_NATIVE(error, IO, code, "cannot start the pipeline's thread: %s", strerror(code));
    p->thread_started = 1;
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_open(const sono_pipeline_config *config, sono_pipeline **out, sono_error *error)
{
    sono_pipeline_config resolved;
    sono_backend_choice choice;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(sono_config_resolve(config, &resolved, error));
    SONO_TRY(sono_config_choose_backend(&resolved, &choice, error));
    sono_pipeline *p = sono_alloc(sizeof *p);
    if (!p)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the pipeline");
    p->config = resolved;
    p->config.detector_path = p->config.segmenter_path = p->config.device = NULL;
    p->choice = choice;
    p->events = (sono_events){resolved.on_event, resolved.on_event_user};
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
    for (int32_t i = 0; i < SONO_MAX_SLOTS; i++) {
        sono_free(p->slots[i].inputs);
        sono_free(p->slots[i].outputs);
    }
    if (p->executor)
        p->choice.ops->close(p->executor);
    sono_flow_close(&p->flow);
    sono_free(p);
}

/* ---- frames in, packets out ---- */

sono_status sono_pipeline_submit(sono_pipeline *p, const sono_frame *frame, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    SONO_TRY(sono_frame_check(frame, p->config.max_width_px, p->config.max_height_px, error));
    const int32_t index = sono_slots_acquire(&p->ring);
    if (index < 0) {
        sono_event_emit(&p->events, "drop", "frame=%llu reason=no_free_slot",
                        (unsigned long long)frame->frame_id);
        return SONO_FAIL(error, AGAIN, "all %d slots are in flight or lent", p->config.n_slots);
    }
    slot *s = &p->slots[index];
    s->submitted_ns = sono_clock_ns();
    store_frame(p, s, frame);
    sono_event_emit(&p->events, "frame_in", "frame=%llu width=%d height=%d format=%d device=cpu",
                    (unsigned long long)frame->frame_id, frame->width_px, frame->height_px,
                    (int)frame->format);
    sono_slots_queue(&p->ring, index);
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_receive(sono_pipeline *p, const sono_packet **out, sono_error *error)
{
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    const int32_t index = sono_slots_receive(&p->ring);
    if (index < 0)
        return SONO_FAIL(error, END, "no frame is in flight");
    slot *s = &p->slots[index];
    if (s->status != SONO_STATUS_OK) {
        const sono_status status = s->status;
        if (error)
            *error = s->error;
        sono_slots_release(&p->ring, index);
        return status;
    }
    *out = &s->storage.packet;
    return SONO_STATUS_OK;
}

sono_status sono_packet_release(sono_pipeline *p, const sono_packet *packet)
{
    if (!p || !packet)
        return SONO_STATUS_INVALID_ARGUMENT;
    for (int32_t i = 0; i < p->config.n_slots; i++)
        if (packet == &p->slots[i].storage.packet)
            return sono_slots_release(&p->ring, i) ? SONO_STATUS_OK : SONO_STATUS_INVALID_ARGUMENT;
    return SONO_STATUS_INVALID_ARGUMENT;
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
    out->params_bytes = p->flow.program->params_bytes;
    out->planned_bytes = p->choice.ops->planned_bytes(p->executor);
    out->slot_bytes =
        (int64_t)(plan->block_bytes[SONO_BLOCK_INPUTS] + plan->block_bytes[SONO_BLOCK_OUTPUTS]) *
        p->config.n_slots;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        out->stage_flops[i] = sono_program_flops(p->flow.program, (sono_stage)i);
    snprintf(out->detector, sizeof out->detector, "%s, %d class%s", p->flow.detector.architecture,
             p->flow.detector.n_classes, p->flow.detector.n_classes == 1 ? "" : "es");
    snprintf(out->segmenter, sizeof out->segmenter, "%s", p->flow.segmenter.architecture);
    return SONO_STATUS_OK;
}
