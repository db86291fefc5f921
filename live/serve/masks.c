// SPDX-License-Identifier: Apache-2.0
#include "serve/masks.h"

#include "igtl/polydata.h"
#include "serve/facts.h"
#include "serve/overlay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLYDATA_HEAD_BYTES 40
#define METADATA_BYTES      4096 /* room for all of it */

/* ---- names ----------------------------------------------------------------------------------------------
 */

static void name_output(char out[SONO_IGTL_DEVICE_CHARS + 1], const char *name, const char *suffix)
{
    const int room = SONO_IGTL_DEVICE_CHARS - (int)strlen(suffix);
    snprintf(out, SONO_IGTL_DEVICE_CHARS + 1, "%.*s%s", room, name, suffix);
}

int sono_serve_masks_open(sono_serve_masks *masks, const sono_serve_config *config, sono_serve_blobs *blobs)
{
    static const char *const suffixes[SONO_SERVE_OUTPUT_COUNT] = {"",       "",        "Surface", "Edge",
                                                                  "Inside", "Outside", "Overlay"};
    *masks = (sono_serve_masks){.blobs = blobs, .gray16_white = config->engine_gray16_white};
    for (int i = 0; i < SONO_SERVE_OUTPUT_COUNT; i++)
        name_output(masks->names[i],
                    i == SONO_SERVE_OUTPUT_OUTLINE ? config->sink_outline_name : config->sink_mask_name,
                    suffixes[i]);
    sono_serve_masks_reload(masks, config);
    masks->points_mm = calloc(SONO_SERVE_OUTLINE_POINTS, sizeof *masks->points_mm);
    masks->n_indices = calloc(SONO_SERVE_OUTLINE_LINES, sizeof *masks->n_indices);
    masks->indices = calloc(SONO_SERVE_OUTLINE_POINTS + SONO_SERVE_OUTLINE_LINES, sizeof *masks->indices);
    const uint64_t max_pixels =
        (uint64_t)config->engine_max_width_px * (uint64_t)config->engine_max_height_px;
    if (masks->points_mm && masks->n_indices && masks->indices &&
        sono_serve_outline_open(&masks->outline, max_pixels, SONO_SERVE_OUTLINE_POINTS,
                                SONO_SERVE_OUTLINE_LINES) == 0)
        return 0;
    sono_serve_masks_close(masks);
    return -1;
}

void sono_serve_masks_reload(sono_serve_masks *masks, const sono_serve_config *config)
{
    masks->mask_value = (uint8_t)config->sink_mask_value;
}

void sono_serve_masks_close(sono_serve_masks *masks)
{
    sono_serve_outline_close(&masks->outline);
    free(masks->points_mm);
    free(masks->n_indices);
    free(masks->indices);
    masks->points_mm = NULL;
    masks->n_indices = masks->indices = NULL;
}

int sono_serve_masks_output(const sono_serve_masks *masks, const char *device)
{
    for (int i = 0; i < SONO_SERVE_OUTPUT_COUNT; i++)
        if (strcmp(masks->names[i], device) == 0)
            return i;
    return -1;
}

/* ---- sets -----------------------------------------------------------------------------------------------
 */

void sono_serve_masks_begin(sono_serve_masks *masks, sono_serve_set *set, const sono_serve_frame *frame,
                            const sono_serve_result *result, int64_t now_ns)
{
    *set = (sono_serve_set){.frame = frame,
                            .result = result,
                            .timestamp = frame->timestamp,
                            .head = frame->image_head,
                            .image = &frame->image,
                            .latency_ms = (double)(now_ns - frame->received_ns) / 1e6};
    masks->has_last = 1;
    memcpy(masks->last_head, frame->image_head, sizeof masks->last_head);
    masks->last_image = frame->image;
    if (frame->timestamp > masks->last_timestamp)
        masks->last_timestamp = frame->timestamp;
}

int sono_serve_masks_begin_empty(sono_serve_masks *masks, sono_serve_set *set, const char *reason,
                                 const char *text, int64_t utc_ns)
{
    if (!masks->has_last)
        return -1;
    const uint64_t now = sono_igtl_timestamp_raw(utc_ns);
    if (now > masks->last_timestamp)
        masks->last_timestamp = now;
    else if (masks->last_timestamp < UINT64_MAX)
        masks->last_timestamp++;
    *set = (sono_serve_set){.reason = reason,
                            .text = text,
                            .timestamp = masks->last_timestamp,
                            .head = masks->last_head,
                            .image = &masks->last_image};
    return 0;
}

void sono_serve_masks_end(sono_serve_masks *masks, sono_serve_set *set)
{
    for (int i = 0; i < SONO_SERVE_OUTPUT_COUNT; i++)
        for (int version = 0; version < 2; version++)
            sono_serve_blobs_give(masks->blobs, set->messages[i][version]);
    memset(set, 0, sizeof *set);
}

/* ---- IMAGE ----------------------------------------------------------------------------------------------
 */

/* What is set becomes value; in: 0 / `set`, which is 255 or 1. Eight pixels at once: neither an AND nor a
 * product of 0 or 1 leaves its byte. */
static void put_values(uint8_t *out, const uint8_t *in, size_t n, uint8_t set, uint8_t value)
{
    const uint64_t values = value * UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        word = set == 255 ? word & values : word * value;
        memcpy(out + i, &word, 8);
    }
    for (; i < n; i++)
        out[i] = (uint8_t)(in[i] ? value : 0);
}

static void put_pixels(const sono_serve_masks *masks, const sono_serve_set *set, sono_serve_output output,
                       uint8_t *out, size_t n_bytes)
{
    const sono_serve_result *result = set->result;
    if (!result)
        memset(out, 0, n_bytes);
    else if (output == SONO_SERVE_OUTPUT_OVERLAY)
        sono_serve_overlay_draw(&set->frame->pixels, masks->gray16_white, result->mask, out);
    else if (output == SONO_SERVE_OUTPUT_MASK)
        put_values(out, result->mask, n_bytes, 255, masks->mask_value);
    else
        put_values(out, result->maps[output - SONO_SERVE_OUTPUT_EDGE], n_bytes, 1, masks->mask_value);
}

static void write_image(sono_serve_masks *masks, sono_serve_set *set, sono_serve_output output,
                        sono_igtl_writer *writer, size_t n_pixel_bytes)
{
    uint8_t *room = sono_igtl_write_room(writer, SONO_IGTL_IMAGE_HEAD_BYTES + n_pixel_bytes);
    if (!room)
        return;
    memcpy(room, set->head, SONO_IGTL_IMAGE_HEAD_BYTES);
    room[2] = output == SONO_SERVE_OUTPUT_OVERLAY ? 3 : 1; /* components */
    room[3] = SONO_IGTL_UINT8;
    put_pixels(masks, set, output, room + SONO_IGTL_IMAGE_HEAD_BYTES, n_pixel_bytes);
}

/* ---- POLYDATA -------------------------------------------------------------------------------------------
 */

/* What is sent: line l has points [begins[l], begins[l + 1]). */
typedef struct lines {
    const float (*points_px)[2];
    const uint32_t *begins;
    uint32_t n_points, n_lines;
    uint32_t is_closed; /* 1: each ends where it begins */
} lines;

static size_t lines_bytes(const lines *in)
{
    return POLYDATA_HEAD_BYTES + 12 * (size_t)in->n_points +
           4 * ((size_t)in->n_points + (1 + in->is_closed) * (size_t)in->n_lines);
}

/* Without points all of it is the head of zeros, which the reference library unpacks to a mesh of nothing
 * (Source/igtlPolyDataMessage.cxx:795 @ 94244fe). */
static void write_lines(const sono_serve_masks *masks, const lines *in, const sono_igtl_image *image,
                        sono_igtl_writer *writer)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->n_points; i++)
        sono_serve_outline_to_mm(image, in->points_px[i], masks->points_mm[i]);
    for (uint32_t line = 0; line < in->n_lines; line++) {
        const uint32_t begin = in->begins[line], end = in->begins[line + 1];
        masks->n_indices[line] = end - begin + in->is_closed;
        for (uint32_t i = begin; i < end; i++)
            masks->indices[n++] = i;
        if (in->is_closed)
            masks->indices[n++] = begin;
    }
    const sono_igtl_mesh mesh = {.points = (const float(*)[3])masks->points_mm,
                                 .n_points = in->n_points,
                                 .lines = {masks->n_indices, masks->indices, in->n_lines}};
    sono_igtl_polydata_encode(writer, &mesh);
}

static void trace_once(sono_serve_masks *masks, sono_serve_set *set)
{
    if (set->is_traced)
        return;
    set->is_traced = 1;
    sono_serve_outline_clear(&masks->outline);
    if (set->result && set->result->mask_area_px > 0)
        sono_serve_outline_trace(&masks->outline, set->result->mask, set->result->width_px,
                                 set->result->height_px);
}

static lines lines_of(sono_serve_masks *masks, sono_serve_set *set, sono_serve_output output)
{
    lines out = {.is_closed = output == SONO_SERVE_OUTPUT_OUTLINE};
    if (output == SONO_SERVE_OUTPUT_OUTLINE) {
        trace_once(masks, set);
        out.points_px = (const float(*)[2])masks->outline.points_px;
        out.begins = masks->outline.begins;
        out.n_points = masks->outline.n_points;
        out.n_lines = masks->outline.n_lines;
    } else if (set->result) {
        const sono_surface_view *surface = &set->result->surface;
        out.points_px = (const float(*)[2])(const void *)surface->points_px;
        out.begins = (const uint32_t *)surface->line_starts;
        out.n_points = (uint32_t)surface->n_points;
        out.n_lines = (uint32_t)surface->n_lines;
    }
    return out;
}

/* ---- messages -------------------------------------------------------------------------------------------
 */

static int is_made(const sono_serve_set *set, sono_serve_output output)
{
    if (!set->result || output < SONO_SERVE_OUTPUT_SURFACE)
        return 1;
    if (output == SONO_SERVE_OUTPUT_SURFACE)
        return set->result->has_surface;
    return output == SONO_SERVE_OUTPUT_OVERLAY ? set->frame->pixels.pixels != NULL
                                               : set->result->maps[output - SONO_SERVE_OUTPUT_EDGE] != NULL;
}

/* The result must be as large as its frame's image: its geometry is the image's. */
static int fits(const sono_serve_set *set)
{
    return !set->result ||
           (set->result->width_px == set->image->size[0] && set->result->height_px == set->image->size[1]);
}

static sono_serve_blob *encode(sono_serve_masks *masks, sono_serve_set *set, sono_serve_output output,
                               int32_t version)
{
    const int is_image = sono_serve_output_is_image(output);
    lines sent = {.n_points = 0};
    size_t n_bytes = (size_t)set->image->size[0] * set->image->size[1];
    if (output == SONO_SERVE_OUTPUT_OVERLAY)
        n_bytes *= 3;
    if (!is_image) {
        sent = lines_of(masks, set, output);
        n_bytes = lines_bytes(&sent);
    }
    sono_serve_blob *blob =
        sono_serve_blobs_take(masks->blobs, SONO_IGTL_HEADER_BYTES + SONO_IGTL_EXTENDED_BYTES +
                                                SONO_IGTL_IMAGE_HEAD_BYTES + n_bytes + METADATA_BYTES);
    if (!blob)
        return NULL;
    sono_igtl_writer writer;
    sono_serve_facts facts;
    sono_igtl_writer_init(&writer, blob->bytes, blob->capacity);
    sono_igtl_message_begin(&writer, (uint16_t)version, is_image ? "IMAGE" : "POLYDATA", masks->names[output],
                            set->timestamp);
    if (is_image)
        write_image(masks, set, output, &writer, n_bytes);
    else
        write_lines(masks, &sent, set->image, &writer);
    sono_serve_facts_collect(&facts, set, &masks->info);
    if (sono_igtl_message_end(&writer, ++masks->message_id, facts.list, facts.n) != SONO_IGTL_OK) {
        sono_serve_blobs_give(masks->blobs, blob);
        return NULL;
    }
    blob->n_bytes = writer.n_bytes;
    return blob;
}

sono_serve_blob *sono_serve_masks_message(sono_serve_masks *masks, sono_serve_set *set,
                                          sono_serve_output output, int32_t version)
{
    sono_serve_blob **message = &set->messages[output][version - 1];
    if (*message || !is_made(set, output))
        return *message;
    if (fits(set))
        *message = encode(masks, set, output, version);
    if (!*message)
        masks->n_unsent++;
    return *message;
}
