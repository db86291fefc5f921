// SPDX-License-Identifier: Apache-2.0
/* Frames in: into a slot, and a full slot to the engine. */
#include "base/sized.h"
#include "pipeline/pipeline_private.h"

void sono_image_init_sized(void *image, size_t struct_size)
{
    const sono_image defaults = {.struct_size = sizeof defaults};
    sono_sized_init(image, struct_size, &defaults, sizeof defaults);
}

void sono_frame_info_init_sized(void *info, size_t struct_size)
{
    const sono_frame_info defaults = {.struct_size = sizeof defaults};
    sono_sized_init(info, struct_size, &defaults, sizeof defaults);
}

/* Bytes at the start of the output block that hold this batch's results; its maps come last, packed. */
static size_t used_output_bytes(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    const size_t maps_at = sono_pipeline_all_maps_at(p);
    return p->config.host_maps || !p->choice.ops->device ? maps_at + (size_t)s->maps_bytes : maps_at;
}

/* Hands a slot's batch to the engine. */
static sono_status launch(sono_pipeline *p, int32_t slot, sono_error *error)
{
    const sono_pipeline_slot *s = &p->slots[slot];
    const sono_engine_ops *ops = p->choice.ops;
    const size_t output_bytes = used_output_bytes(p, s);
    if (s->pixels_bytes == 0)
        return ops->device->submit_resident(p->engine, slot,
                                            p->plan->offset_bytes[p->flow.frame.header] +
                                                (size_t)p->config.batch * sizeof(sono_frame_header),
                                            output_bytes, error);
    const size_t input_bytes = p->plan->offset_bytes[p->flow.frame.pixels] + (size_t)s->pixels_bytes;
    return ops->submit(p->engine, slot, input_bytes, output_bytes, error);
}

sono_status sono_pipeline_start(sono_pipeline *p, int32_t index, int32_t n_kept, sono_error *error)
{
    sono_pipeline_slot *s = &p->slots[index];
    sono_pipeline_pad(p, s);
    const sono_status status = launch(p, index, error);
    if (status != SONO_STATUS_OK) {
        for (int32_t i = 0; i < s->n_frames; i++)
            sono_pipeline_announce_loss(p, &s->frames[i], status);
        s->n_frames -= n_kept;
        sono_pipeline_release_pixels(s);
        sono_slots_cancel(&p->ring, index);
        return status;
    }
    sono_slots_queue(&p->ring, index);
    return SONO_STATUS_OK;
}

static sono_status start_filling(sono_pipeline *p, int32_t n_kept, sono_error *error)
{
    const int32_t index = p->filling;
    p->filling = -1;
    return sono_pipeline_start(p, index, n_kept, error);
}

sono_status sono_pipeline_take_slot(sono_pipeline *p, int32_t *out, sono_error *error)
{
    const int32_t index = sono_slots_acquire(&p->ring);
    if (index < 0)
        return SONO_FAIL(error, AGAIN, "all %d slots are in flight or lent", p->config.n_slots);
    sono_pipeline_begin(&p->slots[index]);
    *out = index;
    return SONO_STATUS_OK;
}

/* Lets what is submitted next wait for the frame's pixels. */
static sono_status order_after(sono_pipeline *p, const sono_frame *frame, const sono_pixel_source *source,
                               sono_error *error)
{
    const sono_status status =
        p->choice.ops->device->order_after(p->engine, frame->image.pixels, source->stream, error);
    if (status != SONO_STATUS_OK && p->slots[p->filling].n_frames == 0) {
        sono_slots_cancel(&p->ring, p->filling);
        p->filling = -1;
    }
    return status;
}

sono_status sono_pipeline_check_open(sono_pipeline *p, sono_error *error)
{
    return sono_slots_is_shut(&p->ring)
               ? SONO_FAIL(error, STATE, "the pipeline was shut down: it takes no frames")
               : SONO_STATUS_OK;
}

void sono_pipeline_announce_frame(sono_pipeline *p, const sono_frame *frame, const char *device_name)
{
    SONO_EMIT(&p->events, FRAME_IN, &frame->info.frame_id, sono_event_integer("width", frame->image.width_px),
              sono_event_integer("height", frame->image.height_px),
              sono_event_integer("format", frame->image.format), sono_event_text("device", device_name));
}

void sono_pipeline_announce_loss(sono_pipeline *p, const sono_pipeline_frame *f, sono_status status)
{
    SONO_EMIT(&p->events, DEVICE_ERROR, &f->storage.info.frame_id,
              sono_event_text("status", sono_status_name(status)));
}

/* Under the submit mutex. */
static sono_status submit(sono_pipeline *p, const sono_frame *frame, const sono_pixel_source *source,
                          sono_error *error)
{
    SONO_TRY(sono_pipeline_check_open(p, error));
    if (p->filling < 0 && sono_pipeline_take_slot(p, &p->filling, error) != SONO_STATUS_OK) {
        SONO_EMIT(&p->events, DROP, &frame->info.frame_id, sono_event_text("reason", "no_free_slot"));
        return SONO_STATUS_AGAIN;
    }
    if (source->on_device)
        SONO_TRY(order_after(p, frame, source, error));
    sono_pipeline_slot *s = &p->slots[p->filling];
    sono_pipeline_store(p, s, frame, source);
    sono_pipeline_announce_frame(p, frame, source->on_device ? p->choice.device_name : "cpu");
    return s->n_frames == p->config.batch ? start_filling(p, 1, error) : SONO_STATUS_OK;
}

sono_status sono_pipeline_submit_from(sono_pipeline *p, const sono_frame *frame,
                                      const sono_pixel_source *source, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    if (source->on_device && !p->choice.ops->device)
        return SONO_FAIL(error, UNSUPPORTED, "the %s backend cannot take pixels in device memory",
                         p->choice.ops->name);
    SONO_TRY(sono_frame_check(&frame->image, p->config.max_width_px, p->config.max_height_px, error));
    SONO_TRY(sono_frame_check_region(&frame->image, sono_frame_region(frame, &p->config), error));
    SONO_TRY(sono_pipeline_check_prompts(p, frame, source, error));
    pthread_mutex_lock(&p->submit_mutex);
    const sono_status status = submit(p, frame, source, error);
    pthread_mutex_unlock(&p->submit_mutex);
    if (status == SONO_STATUS_OK && !source->on_device && source->release)
        source->release(source->tensor); /* they were copied */
    return status;
}

sono_status sono_pipeline_submit(sono_pipeline *p, const sono_image *image, const sono_frame_info *info,
                                 sono_error *error)
{
    static const sono_pixel_source host;
    sono_frame frame;
    SONO_TRY(sono_frame_read(image, info, &frame, error));
    return sono_pipeline_submit_from(p, &frame, &host, error);
}

sono_status sono_pipeline_reset_stream(sono_pipeline *p)
{
    if (!p)
        return SONO_STATUS_INVALID_ARGUMENT;
    pthread_mutex_lock(&p->submit_mutex);
    p->stream_begins = 1;
    pthread_mutex_unlock(&p->submit_mutex);
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_flush(sono_pipeline *p, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    pthread_mutex_lock(&p->submit_mutex);
    const sono_status status = p->filling < 0 ? SONO_STATUS_OK : start_filling(p, 0, error);
    pthread_mutex_unlock(&p->submit_mutex);
    return status;
}

sono_status sono_pipeline_shutdown(sono_pipeline *p, sono_error *error)
{
    if (!p)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the pipeline is NULL");
    const sono_status status = sono_pipeline_flush(p, error);
    pthread_mutex_lock(&p->submit_mutex); /* no frame is between its check and the ring */
    sono_slots_shut(&p->ring);
    pthread_mutex_unlock(&p->submit_mutex);
    return status;
}
