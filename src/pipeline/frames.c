// SPDX-License-Identifier: Apache-2.0
/* One frame through the flow. */
#include "base/clock.h"
#include "pipeline/pipeline_private.h"
#include "state/state.h"

#include <string.h>

static uint8_t *in_block(const sono_pipeline *p, uint8_t *block, sono_tid tensor)
{
    return tensor ? block + p->choice.ops->plan(p->executor)->offset_bytes[tensor] : NULL;
}

static sono_packet_outputs outputs_of(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    const sono_flow *flow = &p->flow;
    return (sono_packet_outputs){
        .detections = (const sono_detection *)in_block(p, s->outputs, flow->detections),
        .iou = (const float *)in_block(p, s->outputs, flow->iou),
        .area_px = (const int32_t *)in_block(p, s->outputs, flow->area),
        .mask = in_block(p, s->outputs, flow->mask),
        .edge = (const float *)in_block(p, s->outputs, flow->weights.edge),
        .inside = (const float *)in_block(p, s->outputs, flow->weights.inside),
        .outside = (const float *)in_block(p, s->outputs, flow->weights.outside),
        .iou_stride = sono_program_tensor(flow->program, flow->iou)->c,
        .max_objects = p->config.max_objects,
        .max_pixels = (int64_t)p->config.max_width_px * p->config.max_height_px,
    };
}

void sono_pipeline_store(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame)
{
    sono_frame_store(frame, p->config.threshold, p->config.gray16_white,
                     (sono_frame_header *)in_block(p, s->inputs, p->flow.frame.header),
                     in_block(p, s->inputs, p->flow.frame.pixels));
    sono_packet_begin(&s->storage, frame);
    s->status = SONO_STATUS_OK;
}

static void finish_packet(sono_pipeline *p, sono_pipeline_slot *s, const int64_t *stage_ns)
{
    sono_packet *packet = &s->storage.packet;
    if (s->status != SONO_STATUS_OK) {
        sono_event_emit(&p->events, "device_error", "frame=%llu status=%s",
                        (unsigned long long)packet->frame_id, sono_status_name(s->status));
        return;
    }
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

static void emit_segmenter_start(sono_pipeline *p, const sono_pipeline_slot *s)
{
    sono_event_emit(&p->events, "sam_call_start", "frame=%llu bbox_device=%s image_device=%s",
                    (unsigned long long)s->storage.packet.frame_id, p->choice.device_name,
                    p->choice.device_name);
}

static void emit_segmenter_end(sono_pipeline *p, const sono_pipeline_slot *s)
{
    sono_event_emit(&p->events, "sam_call_end", "frame=%llu mask_device=%s",
                    (unsigned long long)s->storage.packet.frame_id, p->choice.device_name);
}

/* ---- backends that run ops ---- */

/* Runs the ops in [first, last) and keeps the first failure in the slot. */
static void run_ops(sono_pipeline *p, sono_pipeline_slot *s, int32_t first, int32_t last, int64_t *stage_ns)
{
    if (s->status == SONO_STATUS_OK)
        s->status = p->choice.ops->run(p->executor, first, last, stage_ns, &s->error);
}

static void run_flow(sono_pipeline *p, int32_t index, int skip_when_lost, int64_t *stage_ns)
{
    const sono_flow *flow = &p->flow;
    sono_pipeline_slot *s = &p->slots[index];
    p->choice.ops->select_slot(p->executor, index);
    run_ops(p, s, 0, flow->first_segment_op, stage_ns);
    const sono_detection *best = (const sono_detection *)in_block(p, s->outputs, flow->detections);
    /* The rows are ordered by score: when the first is gated, all are, and the mask ops only write zeros. */
    const int lost = sono_state_of(best) == SONO_STATE_LOST;
    if (!lost || !skip_when_lost) {
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
        int64_t stage_ns[SONO_STAGE_COUNT] = {0};
        run_flow(p, index, 1, stage_ns);
        finish_packet(p, &p->slots[index], stage_ns);
        sono_slots_finish(&p->ring, index);
    }
}

static void store_black_frames(sono_pipeline *p)
{
    static const uint8_t black[16];
    const sono_frame frame = {.pixels = black, .width_px = 1, .height_px = 1, .format = SONO_PIXEL_GRAY8};
    for (int32_t i = 0; i < p->config.n_slots; i++)
        sono_pipeline_store(p, &p->slots[i], &frame);
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

/* Bytes at the start of the output block that hold this frame's results. Where the mask is the last thing and
 * there is one object, only the rows that the frame has. */
static size_t used_output_bytes(const sono_pipeline *p, const sono_frame *frame)
{
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    if (p->config.max_objects > 1 || p->config.want_weight_maps)
        return plan->block_bytes[SONO_BLOCK_OUTPUTS];
    return plan->offset_bytes[p->flow.mask] + (size_t)frame->width_px * (size_t)frame->height_px;
}

sono_status sono_pipeline_start(sono_pipeline *p, int32_t slot, const sono_frame *frame, sono_error *error)
{
    const sono_plan *plan = p->choice.ops->plan(p->executor);
    const size_t input_bytes = plan->offset_bytes[p->flow.frame.pixels] + (size_t)frame->width_px *
                                                                              (size_t)frame->height_px *
                                                                              sono_pixel_bytes(frame->format);
    return p->choice.ops->submit(p->executor, slot, input_bytes, used_output_bytes(p, frame), error);
}

void sono_pipeline_complete(sono_pipeline *p, int32_t slot)
{
    sono_pipeline_slot *s = &p->slots[slot];
    sono_frame_cost cost = {0};
    emit_segmenter_start(p, s);
    s->status = p->choice.ops->wait(p->executor, slot, &cost, &s->error);
    emit_segmenter_end(p, s);
    s->storage.packet.ledger = cost.ledger;
    finish_packet(p, s, cost.stage_ns);
}
