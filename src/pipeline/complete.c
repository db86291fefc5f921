// SPDX-License-Identifier: Apache-2.0
/* Batches that are done: waits for them in order and makes their packets. The thread that receives does so
 * itself while it waits anyway, else the pipeline's own thread does. */
#include "pipeline/pipeline_private.h"

/* Host memory of a frame's maps, which do not always come there, if there are any. */
static const uint8_t *maps_of_frame(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i)
{
    const int is_here = p->flow.mask && (p->config.host_maps || !p->choice.ops->device);
    return is_here ? s->outputs + sono_pipeline_maps_at(p, s, i) : NULL;
}

static sono_packet_outputs outputs_of(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i)
{
    const sono_flow *flow = &p->flow;
    sono_packet_outputs outputs = {
        .detections = flow->prompts.is_callers
                          ? sono_pipeline_prompts(p, s, i)
                          : (const sono_detection *)sono_pipeline_of_frame(p, s, flow->detections, i),
        .maps = maps_of_frame(p, s, i),
        .map_element_bytes = flow->map_element_bytes,
        .max_objects = p->config.max_objects,
    };
    if (flow->verdict)
        outputs.verdict = (const sono_verdict *)sono_pipeline_of_frame(p, s, flow->verdict, i);
    if (flow->surface)
        outputs.surface = (const int32_t *)sono_pipeline_of_frame(p, s, flow->surface, i);
    if (flow->region)
        outputs.region = (const int32_t *)sono_pipeline_of_frame(p, s, flow->region, i);
    if (flow->mask) {
        outputs.iou = (const float *)sono_pipeline_of_frame(p, s, flow->iou, i);
        outputs.iou_stride = sono_program_tensor(flow->program, flow->iou)->c;
        outputs.area_px = (const int32_t *)sono_pipeline_of_frame(p, s, flow->area, i);
    }
    return outputs;
}

/* best: of the frame's detections; the segmenter's results count only where it passed the gate. */
static void announce_result(sono_pipeline *p, const sono_packet *packet, const sono_detection *best)
{
    if (p->flow.mask && best->valid > 0.0f) {
        SONO_EMIT(&p->events, SAM_CALL_START, &packet->info->frame_id,
                  sono_event_text("bbox_device", p->places.boxes),
                  sono_event_text("image_device", p->places.image));
        SONO_EMIT(&p->events, SAM_CALL_END, &packet->info->frame_id,
                  sono_event_text("mask_device", p->places.masks));
    }
    SONO_EMIT(&p->events, INFER_FRAME, &packet->info->frame_id,
              sono_event_number("latency_ms", 3, packet->latency_ms),
              sono_event_number("conf", 4, (double)best->score),
              sono_event_text("state", sono_state_name(packet->state)));
}

static void finish_packet(sono_pipeline *p, sono_pipeline_slot *s, int32_t index, const sono_frame_cost *cost)
{
    sono_packet *packet = &s->frames[index].storage.packet;
    if (s->status != SONO_STATUS_OK) {
        sono_pipeline_announce_loss(p, &s->frames[index], s->status);
        return;
    }
    const sono_packet_outputs outputs = outputs_of(p, s, index);
    sono_packet_fill(&s->frames[index].storage, &outputs);
    packet->backend = p->choice.backend;
    packet->precision = p->choice.precision;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        s->frames[index].storage.stage_ms[i] = 1e-6 * (double)cost->stage_ns[i];
    packet->device_ms = 1e-6 * (double)cost->device_ns;
    packet->latency_ms = 1e-6 * (double)(cost->done_ns - s->frames[index].submitted_ns);
    announce_result(p, packet, outputs.detections);
}

static void finish_batch(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame_cost *cost)
{
    for (int32_t i = 0; i < s->n_frames; i++)
        finish_packet(p, s, i, cost);
}

void sono_pipeline_complete(void *pipeline, int32_t slot)
{
    sono_pipeline *p = pipeline;
    sono_pipeline_slot *s = &p->slots[slot];
    sono_frame_cost cost = {0};
    s->status = p->choice.ops->wait(p->engine, slot, &cost, &s->error);
    s->frames[0].storage.packet.ledger = cost.ledger;
    finish_batch(p, s, &cost);
}

void *sono_pipeline_main(void *pipeline)
{
    sono_pipeline *p = pipeline;
    int32_t slot;
    while ((slot = sono_slots_take(&p->ring)) >= 0) {
        sono_pipeline_complete(p, slot);
        sono_slots_finish(&p->ring, slot);
    }
    return NULL;
}
