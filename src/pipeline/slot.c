// SPDX-License-Identifier: Apache-2.0
/* What a slot holds: where its frames' inputs and outputs lie, and frames going in. */
#include "base/clock.h"
#include "base/pixel.h"
#include "graph/map_layout.h"
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
    return s->outputs + sono_pipeline_output_at(p, tensor, i, 0);
}

size_t sono_pipeline_all_maps_at(const sono_pipeline *p)
{
    return p->flow.mask ? p->plan->offset_bytes[sono_program_tensor(p->flow.program, p->flow.mask)->root]
                        : p->plan->block_bytes[SONO_BLOCK_OUTPUTS];
}

size_t sono_pipeline_maps_at(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i)
{
    return sono_pipeline_all_maps_at(p) + (size_t)sono_pipeline_headers(p, s)[i].maps_at_bytes;
}

/* Gives a frame's maps the place at *at_bytes, and moves that behind them. */
static void place_maps(const sono_pipeline *p, sono_frame_header *header, int64_t *at_bytes)
{
    const int64_t n_pixels = (int64_t)header->width_px * header->height_px;
    header->maps_at_bytes = *at_bytes;
    if (p->flow.mask)
        *at_bytes += p->config.max_objects * object_maps_bytes(n_pixels, p->flow.map_element_bytes);
}

sono_frame_header *sono_pipeline_headers(const sono_pipeline *p, const sono_pipeline_slot *s)
{
    return (sono_frame_header *)in_block(p, s->inputs, p->flow.frame.header);
}

void sono_pipeline_begin(sono_pipeline_slot *s)
{
    s->n_frames = s->n_received = 0;
    atomic_store(&s->n_released, 0);
    s->pixels_bytes = s->maps_bytes = 0;
    s->status = SONO_STATUS_OK;
}

/* Under the submit mutex: says whether the frame is the first of its stream. */
static void begin_stream(sono_pipeline *p, sono_frame_header *header)
{
    header->stream = p->stream_begins ? SONO_STREAM_BEGINS : SONO_STREAM_GOES_ON;
    p->stream_begins = 0;
}

void sono_pipeline_store(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame,
                         const sono_pixel_source *source)
{
    static const sono_pixel_source none;
    sono_pipeline_frame *f = &s->frames[s->n_frames];
    sono_frame_header *header = sono_pipeline_headers(p, s) + s->n_frames;
    f->source = source->on_device ? *source : none;
    f->submitted_ns = sono_clock_ns();
    sono_frame_store(frame, p->config.threshold, p->config.gray16_white, header,
                     source->on_device ? NULL : in_block(p, s->inputs, p->flow.frame.pixels),
                     s->pixels_bytes);
    sono_frame_put_region(header, sono_frame_region(frame, &p->config));
    begin_stream(p, header);
    place_maps(p, header, &s->maps_bytes);
    sono_pipeline_store_prompts(p, s, s->n_frames, source);
    sono_packet_begin(&f->storage, frame, sono_frame_region(frame, &p->config));
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
    sono_frame_describe(frame, p->config.threshold, p->config.gray16_white, header);
    sono_frame_put_region(header, sono_frame_region(frame, &p->config));
    begin_stream(p, header);
    header->pixels_at_bytes = (const uint8_t *)frame->image.pixels - s->input.pixels;
    place_maps(p, header, &s->maps_bytes);
    sono_packet_begin(&f->storage, frame, sono_frame_region(frame, &p->config));
    s->pixels_bytes = header->pixels_at_bytes + (int64_t)header->pitch_bytes * (frame->image.height_px - 1) +
                      (int64_t)frame->image.width_px * (int64_t)sono_pixel_bytes(frame->image.format);
}

void sono_pipeline_pad(sono_pipeline *p, sono_pipeline_slot *s)
{
    static const sono_pixel_source none;
    int64_t maps_bytes = s->maps_bytes; /* theirs are made, too, and read by nobody */
    for (int32_t i = s->n_frames; i < p->config.batch; i++) {
        sono_frame_header *header = sono_pipeline_headers(p, s) + i;
        sono_frame_store_none(header);
        place_maps(p, header, &maps_bytes);
        sono_pipeline_store_prompts(p, s, i, &none);
    }
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
