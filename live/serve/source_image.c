// SPDX-License-Identifier: Apache-2.0
#include "igtl/bind.h"
#include "serve/source_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_CHILDREN 256 /* of a BIND that are looked at */

/* Whether the image is of the device that is analysed. */
static int is_ours(sono_serve_source *source, const char *name)
{
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
    }
}

void sono_serve_source_image_begin(sono_serve_source *source, const sono_serve_arrival *arrival)
{
    sono_serve_under_way *image = &source->under_way;
    const sono_igtl_image *head = arrival->image;
    *image = (sono_serve_under_way){.is_frame = is_ours(source, arrival->device)};
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

static void fill_frame(sono_serve_source *source, const sono_serve_arrival *arrival, int64_t now_ns)
{
    const sono_serve_under_way *image = &source->under_way;
    sono_serve_frame *frame = &source->frame;
    frame->id = ++source->n_frames;
    frame->timestamp = arrival->header->timestamp;
    frame->message_id = arrival->body->message_id;
    memcpy(frame->image_head, arrival->image_head, sizeof frame->image_head);
    frame->image = *arrival->image;
    snprintf(frame->device, sizeof frame->device, "%s", arrival->device);
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
    frame->info.spacing_mm[0] = length(arrival->image->matrix);
    frame->info.spacing_mm[1] = length(arrival->image->matrix + 3);
    memcpy(frame->info.device_name, frame->device, sizeof frame->device);
    sono_serve_transforms_apply(&source->transforms, arrival->body, source->config.source_transform, frame);
}

void sono_serve_source_image_end(sono_serve_source *source, const sono_serve_arrival *arrival, int has_crc)
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
    fill_frame(source, arrival, now_ns);
    *image = (sono_serve_under_way){0};
    source->unsettled_ns = source->unsettled_ns ? source->unsettled_ns : now_ns;
    source->listener.frame(source->listener.user, &source->frame);
}

/* ---- BIND ------------------------------------------------------------------------------------------------
 */

static void take_child(sono_serve_source *source, const sono_igtl_child *child)
{
    const sono_igtl_body none = {.message_id = source->reader.body.message_id};
    sono_igtl_image image;
    const uint8_t *pixels;
    sono_igtl_fault fault;
    sono_serve_arrival arrival = {.header = &source->reader.header,
                                  .device = child->device,
                                  .image = &image,
                                  .image_head = child->content,
                                  .body = &none};
    if (sono_igtl_image_decode(child->content, child->content_bytes, &image, &pixels, &fault) !=
        SONO_IGTL_OK) {
        ++source->n_refused;
        if (is_ours(source, child->device)) {
            sono_serve_source_image_fail(source, SONO_SESSION_DROP_MALFORMED, fault.reason);
        }
        return;
    }
    sono_serve_source_image_begin(source, &arrival);
    if (source->under_way.pixels) {
        memcpy(source->under_way.pixels, pixels, (size_t)sono_igtl_image_pixel_bytes(&image));
    }
    sono_serve_source_image_end(source, &arrival, 1);
}

void sono_serve_source_bind(sono_serve_source *source)
{
    const sono_igtl_body *body = &source->reader.body;
    uint32_t generation = source->generation;
    sono_igtl_bind bind;
    sono_igtl_child child;
    if (sono_igtl_bind_decode(body->content, body->content_bytes, &bind, NULL) != SONO_IGTL_OK) {
        ++source->n_refused;
        return;
    }
    uint16_t n = bind.n < MAX_CHILDREN ? bind.n : MAX_CHILDREN;
    for (uint16_t i = 0; i < n && sono_igtl_child_at(&bind, i, &child); ++i) {
        if (!strcmp(child.type, "TRANSFORM")) {
            sono_igtl_header header = source->reader.header;
            sono_igtl_body content = {.content = child.content, .content_bytes = child.content_bytes};
            snprintf(header.device, sizeof header.device, "%s", child.device);
            sono_serve_transforms_message(&source->transforms, &header, &content);
        }
    }
    for (uint16_t i = 0; i < n && sono_igtl_child_at(&bind, i, &child); ++i) {
        if (!strcmp(child.type, "IMAGE") && source->generation == generation) {
            take_child(source, &child);
        }
    }
}
