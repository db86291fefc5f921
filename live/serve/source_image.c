// SPDX-License-Identifier: Apache-2.0
#include "serve/source_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Whether the image is of the device that is analysed. */
static int is_ours(sono_serve_source *source)
{
    const char *name = source->reader.header.device;
    if (source->config.source_device[0]) {
        return !strcmp(name, source->config.source_device);
    }
    if (!source->device[0]) {
        snprintf(source->device, sizeof source->device, "%s", name);
        sono_serve_source_log(source, "image_device", "device=\"%s\"", name);
    }
    return !strcmp(name, source->device);
}

static void refuse(sono_serve_under_way *image, sono_session_drop drop, const char *why)
{
    image->is_refused = 1;
    image->drop = drop;
    image->why = why;
}

/* As sono_pipeline_config has it: by the longer side and by the area. */
static int is_too_large(const sono_serve_config *config, const sono_serve_pixels_plan *plan)
{
    int32_t w = plan->width_px, h = plan->height_px;
    int32_t max_w = config->engine_max_width_px, max_h = config->engine_max_height_px;
    int32_t side = w > h ? w : h, max_side = max_w > max_h ? max_w : max_h;
    return side > max_side || (int64_t)w * h > (int64_t)max_w * max_h;
}

/* Where its pixels go, n_bytes of them as they are on the wire. */
static void place(sono_serve_source *source, uint64_t n_bytes)
{
    sono_serve_under_way *image = &source->under_way;
    size_t room = 0;
    uint8_t *pixels = sono_serve_engine_lend(source->engine, &room, &image->input);
    if (!pixels) {
        image->input = NULL;
        pixels = source->staging;
        room = source->staging_bytes;
    }
    if (!pixels) {
        refuse(image, SONO_SESSION_DROP_NO_ENGINE, "the engine has no place for it");
    } else if (n_bytes > room) {
        sono_serve_source_image_forget(source);
        refuse(image, SONO_SESSION_DROP_TOO_LARGE,
               "its samples need more memory than engine.max_width_px x max_height_px x 4 bytes: raise them");
    } else {
        image->pixels = pixels;
        sono_igtl_reader_place(&source->reader, pixels);
    }
}

void sono_serve_source_image_begin(sono_serve_source *source)
{
    sono_serve_under_way *image = &source->under_way;
    const sono_igtl_image *head = &source->reader.image;
    *image = (sono_serve_under_way){.is_frame = is_ours(source)};
    if (!image->is_frame) {
        return;
    }
    const char *why = sono_serve_pixels_check(head, &source->window, &image->plan);
    if (why) {
        refuse(image, SONO_SESSION_DROP_UNSUPPORTED, why);
    } else if (is_too_large(&source->config, &image->plan)) {
        refuse(image, SONO_SESSION_DROP_TOO_LARGE,
               "larger than engine.max_width_px x engine.max_height_px: raise them");
    } else {
        place(source, sono_igtl_image_pixel_bytes(head));
    }
}

void sono_serve_source_image_forget(sono_serve_source *source)
{
    if (source->under_way.input) {
        sono_serve_engine_return(source->engine, source->under_way.input);
        source->under_way.input = NULL;
    }
}

void sono_serve_source_image_fail(sono_serve_source *source, sono_session_drop drop, const char *why)
{
    sono_serve_source_image_forget(source);
    source->under_way = (sono_serve_under_way){0};
    source->listener.refused(source->listener.user, ++source->n_frames, drop, why);
}

/* The long-term rate is bounded; a frame may come half a period early. */
static int is_above_rate(sono_serve_source *source, int64_t now_ns)
{
    double rate_hz = source->config.source_max_rate_hz;
    if (rate_hz <= 0) {
        return 0;
    }
    int64_t period_ns = (int64_t)(1e9 / rate_hz);
    if (now_ns < source->rate_at_ns - period_ns / 2) {
        return 1;
    }
    int64_t from_ns = source->rate_at_ns > now_ns ? source->rate_at_ns : now_ns;
    source->rate_at_ns = from_ns + period_ns;
    return 0;
}

static double length(const float axis[3])
{
    double x = axis[0], y = axis[1], z = axis[2];
    double mm = sqrt(x * x + y * y + z * z);
    return isfinite(mm) ? mm : 0;
}

static void fill_frame(sono_serve_source *source, int64_t now_ns)
{
    const sono_igtl_reader *reader = &source->reader;
    const sono_serve_under_way *image = &source->under_way;
    sono_serve_frame *frame = &source->frame;
    frame->id = ++source->n_frames;
    frame->timestamp = reader->header.timestamp;
    frame->message_id = reader->body.message_id;
    memcpy(frame->image_head, reader->image_head, sizeof frame->image_head);
    frame->image = reader->image;
    memcpy(frame->device, reader->header.device, sizeof frame->device);
    frame->received_ns = now_ns;
    frame->submitted_ns = frame->done_ns = 0;
    sono_image_init(&frame->pixels);
    frame->pixels.pixels = image->pixels;
    frame->pixels.width_px = image->plan.width_px;
    frame->pixels.height_px = image->plan.height_px;
    frame->pixels.format = image->plan.format;
    frame->input = image->input;
    sono_frame_info_init(&frame->info);
    frame->info.frame_id = frame->id;
    frame->info.timestamp_ns = sono_igtl_timestamp_ns(frame->timestamp);
    frame->info.user = frame->timestamp;
    frame->info.spacing_mm[0] = length(reader->image.matrix);
    frame->info.spacing_mm[1] = length(reader->image.matrix + 3);
    memcpy(frame->info.device_name, frame->device, sizeof frame->device);
    sono_serve_transforms_apply(&source->transforms, &reader->body, source->config.source_transform, frame);
}

void sono_serve_source_image_end(sono_serve_source *source, int has_crc)
{
    sono_serve_under_way *image = &source->under_way;
    int64_t now_ns = sono_serve_now_ns();
    if (!image->is_frame) {
        return;
    }
    if (image->is_refused) {
        sono_serve_source_image_fail(source, image->drop, image->why);
        return;
    }
    if (!has_crc && !source->config.source_checksum) {
        sono_serve_source_image_fail(source, SONO_SESSION_DROP_CHECKSUM, "its checksum does not fit");
        return;
    }
    if (!image->pixels) {
        sono_serve_source_image_fail(source, SONO_SESSION_DROP_NO_ENGINE, "the engine closed meanwhile");
        return;
    }
    if (is_above_rate(source, now_ns)) {
        sono_serve_source_image_fail(source, SONO_SESSION_DROP_RATE, "above source.max_rate_hz");
        return;
    }
    sono_serve_pixels_convert(&image->plan, image->pixels);
    fill_frame(source, now_ns);
    *image = (sono_serve_under_way){0};
    source->unsettled_ns = source->unsettled_ns ? source->unsettled_ns : now_ns;
    source->listener.frame(source->listener.user, &source->frame);
}
