// SPDX-License-Identifier: Apache-2.0
/* What a slot holds: where its frames' inputs and outputs lie, and frames going in. */
#include "base/clock.h"
#include "base/pixel.h"
#include "pipeline/pipeline_private.h"

#include <string.h>

static uint8_t *in_block(const sono_pipeline *p, uint8_t *block, sono_tid tensor)
{
    return tensor ? block + p->plan->offset_bytes[tensor] : NULL;
}

size_t sono_pipeline_output_at(const sono_pipeline *p, sono_tid tensor, int32_t frame, int32_t object)
{
    const sono_tensor *t = sono_program_tensor(p->flow.program, tensor);
    const size_t map_bytes = (size_t)t->batch_stride * sono_dtype_bytes(t->dtype);
    const int64_t map = (int64_t)frame * (t->n / p->config.batch) + object;
    return p->plan->offset_bytes[tensor] + (size_t)map * map_bytes;
}

uint8_t *sono_pipeline_of_frame(const sono_pipeline *p, const sono_pipeline_slot *s, sono_tid tensor,
                                int32_t i)
{
    return tensor ? s->outputs + sono_pipeline_output_at(p, tensor, i, 0) : NULL;
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
        &frame->image, p->config.threshold, p->config.gray16_white, sono_pipeline_headers(p, s) + s->n_frames,
        source->on_device ? NULL : in_block(p, s->inputs, p->flow.frame.pixels), s->pixels_bytes);
    sono_packet_begin(&f->storage, frame);
    s->pixels_bytes += source->on_device ? 0 : sono_frame_bytes(&frame->image);
    s->n_frames++;
}

void sono_pipeline_store_lent(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame)
{
    static const sono_pixel_source none;
    sono_pipeline_frame *f = &s->frames[s->n_frames++];
    sono_frame_header *header = sono_pipeline_headers(p, s);
    f->source = none;
    f->submitted_ns = sono_clock_ns();
    sono_frame_describe(&frame->image, p->config.threshold, p->config.gray16_white, header);
    header->pixels_at_bytes = (const uint8_t *)frame->image.pixels - s->input.pixels;
    sono_packet_begin(&f->storage, frame);
    s->pixels_bytes = header->pixels_at_bytes + (int64_t)header->pitch_bytes * (frame->image.height_px - 1) +
                      (int64_t)frame->image.width_px * (int64_t)sono_pixel_bytes(frame->image.format);
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
