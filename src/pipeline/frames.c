// SPDX-License-Identifier: Apache-2.0
/* Frames through the flow, a batch at a time. */
#include "base/clock.h"
#include "pipeline/pipeline_private.h"
#include "pipeline/state.h"

#include <string.h>

static uint8_t *in_block(const sono_pipeline *p, uint8_t *block, sono_tid tensor)
{
    return tensor ? block + p->choice.ops->plan(p->executor)->offset_bytes[tensor] : NULL;
}

size_t sono_pipeline_output_at(const sono_pipeline *p, sono_tid tensor, int32_t frame, int32_t object)
{
    const sono_tensor *t = sono_program_tensor(p->flow.program, tensor);
    const size_t map_bytes = (size_t)t->batch_stride * sono_dtype_bytes(t->dtype);
    const int64_t map = (int64_t)frame * (t->n / p->config.batch) + object;
    return p->choice.ops->plan(p->executor)->offset_bytes[tensor] + (size_t)map * map_bytes;
}

/* The first of a tensor's maps that belong to frame number i of the batch. */
static uint8_t *of_frame(const sono_pipeline *p, const sono_pipeline_slot *s, sono_tid tensor, int32_t i)
{
    return tensor ? s->outputs + sono_pipeline_output_at(p, tensor, i, 0) : NULL;
}

/* The same for maps, which do not always come to the host. */
static uint8_t *map_of_frame(const sono_pipeline *p, const sono_pipeline_slot *s, sono_tid tensor, int32_t i)
{
    return p->config.host_maps || !p->choice.ops->device_memory ? of_frame(p, s, tensor, i) : NULL;
}

static sono_packet_outputs outputs_of(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i)
{
    const sono_flow *flow = &p->flow;
    return (sono_packet_outputs){
        .detections = (const sono_detection *)of_frame(p, s, flow->detections, i),
        .iou = (const float *)of_frame(p, s, flow->iou, i),
        .area_px = (const int32_t *)of_frame(p, s, flow->area, i),
        .mask = map_of_frame(p, s, flow->mask, i),
        .edge = (const float *)map_of_frame(p, s, flow->weights.edge, i),
        .inside = (const float *)map_of_frame(p, s, flow->weights.inside, i),
        .outside = (const float *)map_of_frame(p, s, flow->weights.outside, i),
        .iou_stride = sono_program_tensor(flow->program, flow->iou)->c,
        .max_objects = p->config.max_objects,
        .max_pixels = (int64_t)p->config.max_width_px * p->config.max_height_px,
    };
}

sono_frame_header *sono_pipeline_headers(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    return (sono_frame_header *)in_block(p, s->inputs, p->flow.frame.header);
}

void sono_pipeline_begin(sono_pipeline_slot *s)
{
    s->n_frames = s->n_received = 0;
    atomic_store(&s->n_released, 0);
    s->pixels_bytes = 0;
    s->status = SONO_STATUS_OK;
}

void sono_pipeline_store(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame,
                         const sono_pixel_source *source)
{
    static const sono_pixel_source none;
    sono_pipeline_frame *f = &s->frames[s->n_frames];
    f->source = source->on_device ? *source : none;
    f->submitted_ns = sono_clock_ns();
    sono_frame_store(
        frame, p->config.threshold, p->config.gray16_white, sono_pipeline_headers(p, s) + s->n_frames,
        source->on_device ? NULL : in_block(p, s->inputs, p->flow.frame.pixels), s->pixels_bytes);
    sono_packet_begin(&f->storage, frame);
    s->pixels_bytes += source->on_device ? 0 : sono_frame_bytes(frame);
    s->n_frames++;
}

void sono_pipeline_pad(sono_pipeline *p, sono_pipeline_slot *s)
{
    for (int32_t i = s->n_frames; i < p->config.batch; i++)
        sono_frame_store_none(sono_pipeline_headers(p, s) + i);
}

void sono_pipeline_release_pixels(sono_pipeline_slot *s)
{
    for (int32_t i = 0; i < s->n_frames; i++) {
        const sono_pixel_source source = s->frames[i].source;
        memset(&s->frames[i].source, 0, sizeof source);
        if (source.release)
            source.release(source.tensor);
    }
}

static void finish_packet(sono_pipeline *p, sono_pipeline_slot *s, int32_t index, const sono_frame_cost *cost)
{
    sono_packet *packet = &s->frames[index].storage.packet;
    if (s->status != SONO_STATUS_OK) {
        sono_event_emit(&p->events, "device_error", "frame=%llu status=%s",
                        (unsigned long long)packet->frame_id, sono_status_name(s->status));
        return;
    }
    const sono_packet_outputs outputs = outputs_of(p, s, index);
    sono_packet_fill(&s->frames[index].storage, &outputs, sono_state_of(outputs.detections));
    packet->backend = p->choice.backend;
    packet->precision = p->choice.precision;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        packet->stage_ms[i] = 1e-6 * (double)cost->stage_ns[i];
    packet->device_ms = 1e-6 * (double)cost->device_ns;
    packet->latency_ms = 1e-6 * (double)(sono_clock_ns() - s->frames[index].submitted_ns);
    sono_event_emit(&p->events, "infer_frame", "frame=%llu latency_ms=%.3f conf=%.4f state=%s",
                    (unsigned long long)packet->frame_id, packet->latency_ms,
                    (double)packet->objects[0].score, sono_state_name(packet->state));
}

static void finish_batch(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame_cost *cost)
{
    for (int32_t i = 0; i < s->n_frames; i++)
        finish_packet(p, s, i, cost);
}

/* One call of the segmenter serves the whole batch; it bears the number of the first frame. */
static unsigned long long first_frame_id(const sono_pipeline_slot *s)
{
    return s->frames[0].storage.packet.frame_id;
}

static void emit_segmenter_start(sono_pipeline *p, const sono_pipeline_slot *s)
{
    sono_event_emit(&p->events, "sam_call_start", "frame=%llu bbox_device=%s image_device=%s",
                    first_frame_id(s), p->choice.device_name, p->choice.device_name);
}

static void emit_segmenter_end(sono_pipeline *p, const sono_pipeline_slot *s)
{
    sono_event_emit(&p->events, "sam_call_end", "frame=%llu mask_device=%s", first_frame_id(s),
                    p->choice.device_name);
}

/* ---- backends that run ops ---- */

/* Runs the ops in [first, last) and keeps the first failure in the slot. */
static void run_ops(sono_pipeline *p, sono_pipeline_slot *s, int32_t first, int32_t last, int64_t *stage_ns)
{
    if (s->status == SONO_STATUS_OK)
        s->status = p->choice.ops->run(p->executor, first, last, stage_ns, &s->error);
}

/* Whether every frame is LOST. A frame's rows are ordered by score: when the first is gated, all are, and the
 * mask ops only write zeros. */
static int all_lost(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    for (int32_t i = 0; i < s->n_frames; i++) {
        const sono_detection *best = (const sono_detection *)of_frame(p, s, p->flow.detections, i);
        if (sono_state_of(best) != SONO_STATE_LOST)
            return 0;
    }
    return 1;
}

static void run_flow(sono_pipeline *p, int32_t index, int skip_when_lost, int64_t *stage_ns)
{
    const sono_flow *flow = &p->flow;
    sono_pipeline_slot *s = &p->slots[index];
    p->choice.ops->select_slot(p->executor, index);
    run_ops(p, s, 0, flow->first_segment_op, stage_ns);
    if (!skip_when_lost || !all_lost(p, s)) {
        emit_segmenter_start(p, s);
        run_ops(p, s, flow->first_segment_op, flow->first_mask_op, stage_ns);
        emit_segmenter_end(p, s);
    }
    run_ops(p, s, flow->first_mask_op, -1, stage_ns);
}

void *sono_pipeline_main(void *pipeline)
{
    sono_pipeline *p = pipeline;
    for (;;) {
        const int32_t index = sono_slots_take(&p->ring);
        if (index < 0)
            return NULL;
        sono_frame_cost cost = {0};
        run_flow(p, index, 1, cost.stage_ns);
        finish_batch(p, &p->slots[index], &cost);
        sono_slots_finish(&p->ring, index);
    }
}

static void store_black_frames(sono_pipeline *p)
{
    static const uint8_t black[16];
    const sono_frame frame = {.pixels = black, .width_px = 1, .height_px = 1, .format = SONO_PIXEL_GRAY8};
    const sono_pixel_source host = {0};
    for (int32_t i = 0; i < p->config.n_slots; i++) {
        sono_pipeline_begin(&p->slots[i]);
        for (int32_t k = 0; k < p->config.batch; k++)
            sono_pipeline_store(p, &p->slots[i], &frame, &host);
    }
}

static sono_status run_black_frame(sono_pipeline *p, sono_error *error)
{
    const sono_events listener = p->events;
    p->events.ring = NULL;
    run_flow(p, 0, 0, NULL);
    p->events = listener;
    if (p->slots[0].status != SONO_STATUS_OK && error)
        *error = p->slots[0].error;
    return p->slots[0].status;
}

sono_status sono_pipeline_warm_up(sono_pipeline *p, sono_error *error)
{
    const int64_t start_ns = sono_clock_ns();
    store_black_frames(p);
    if (p->choice.ops->prepare)
        SONO_TRY(p->choice.ops->prepare(p->executor, error));
    else
        SONO_TRY(run_black_frame(p, error));
    sono_event_emit(&p->events, "warmup", "ms=%.1f", 1e-6 * (double)(sono_clock_ns() - start_ns));
    return SONO_STATUS_OK;
}

/* ---- backends that run whole frames ---- */

/* Bytes at the start of the output block that hold this batch's results; the maps come last. Where the masks
 * are the last thing and there is one object a frame, only up to the last row that the last frame has. */
static size_t used_output_bytes(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    if (!p->config.host_maps)
        return plan->offset_bytes[p->flow.mask];
    if (p->config.max_objects > 1 || p->config.want_weight_maps)
        return plan->block_bytes[SONO_BLOCK_OUTPUTS];
    const sono_packet *last = &s->frames[s->n_frames - 1].storage.packet;
    return (size_t)(of_frame(p, s, p->flow.mask, s->n_frames - 1) - s->outputs) +
           (size_t)last->width_px * (size_t)last->height_px;
}

sono_status sono_pipeline_start(sono_pipeline *p, int32_t slot, sono_error *error)
{
    const sono_pipeline_slot *s = &p->slots[slot];
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    if (s->pixels_bytes == 0)
        return p->choice.ops->submit_resident(p->executor, slot,
                                              plan->offset_bytes[p->flow.frame.header] +
                                                  (size_t)p->config.batch * sizeof(sono_frame_header),
                                              used_output_bytes(p, s), error);
    const size_t input_bytes = plan->offset_bytes[p->flow.frame.pixels] + (size_t)s->pixels_bytes;
    return p->choice.ops->submit(p->executor, slot, input_bytes, used_output_bytes(p, s), error);
}

void sono_pipeline_complete(sono_pipeline *p, int32_t slot)
{
    sono_pipeline_slot *s = &p->slots[slot];
    sono_frame_cost cost = {0};
    emit_segmenter_start(p, s);
    s->status = p->choice.ops->wait(p->executor, slot, &cost, &s->error);
    sono_pipeline_release_pixels(s);
    emit_segmenter_end(p, s);
    s->frames[0].storage.packet.ledger = cost.ledger;
    finish_batch(p, s, &cost);
}
