// SPDX-License-Identifier: Apache-2.0
/* Analyses nothing: after null_delay_ms, frame after frame, a mask of the pixels whose first component is at
 * least half. Shows what the service alone costs, and which frame a mask was made from. */
#include "serve/engine_kind.h"
#include "error/error.h"
#include "serve/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_SLOTS 16

typedef struct slot {
    uint8_t *pixels;
    uint8_t *mask;
    int is_taken;
    sono_image image;
    uint64_t frame;
    int64_t submitted_ns, done_at_ns;
} slot;

typedef struct null_engine {
    int timer;
    int32_t n_slots;
    slot slots[MAX_SLOTS];
    int32_t queue[MAX_SLOTS]; /* slots in the order of their submission */
    int32_t n_queued;
    size_t input_bytes, max_px;
    int64_t delay_ns, last_done_ns;
    int32_t fail_every, unsure_px;
    uint64_t n_done;
} null_engine;

static void null_close(void *state)
{
    null_engine *engine = state;
    for (int32_t i = 0; i < engine->n_slots; ++i) {
        free(engine->slots[i].pixels);
        free(engine->slots[i].mask);
    }
    if (engine->timer >= 0) {
        close(engine->timer);
    }
    free(engine);
}

static size_t round_up(size_t n)
{
    return (n + 63) / 64 * 64;
}

static sono_status null_open(const sono_serve_engine_setup *setup, void **out, sono_error *error)
{
    const sono_serve_config *config = setup->config;
    null_engine *engine = calloc(1, sizeof *engine);
    int is_whole = engine != NULL;
    if (!engine) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "null engine", "out of memory");
    }
    engine->max_px = (size_t)config->engine_max_width_px * (size_t)config->engine_max_height_px;
    engine->input_bytes = round_up(4 * engine->max_px);
    engine->delay_ns = (int64_t)config->engine_null_delay_ms * 1000000;
    engine->fail_every = config->engine_null_fail_every;
    engine->unsure_px = config->engine_null_unsure_px;
    const struct timespec pause = {config->engine_null_open_ms / 1000,
                                   (long)(config->engine_null_open_ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
    engine->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    for (engine->n_slots = 0; is_whole && engine->n_slots < setup->n_slots; ++engine->n_slots) {
        slot *s = &engine->slots[engine->n_slots];
        s->pixels = aligned_alloc(64, engine->input_bytes);
        s->mask = aligned_alloc(64, round_up(engine->max_px));
        is_whole = s->pixels && s->mask;
        if (is_whole) { /* as a pipeline's: the process does not grow later */
            memset(s->pixels, 0, engine->input_bytes);
            memset(s->mask, 0, round_up(engine->max_px));
        }
    }
    if (engine->timer < 0 || !is_whole) {
        sono_status status = engine->timer < 0 ? SONO_STATUS_IO : SONO_STATUS_OUT_OF_MEMORY;
        sono_live_fail(error, status, 0, "null engine", "%s",
                       engine->timer < 0 ? strerror(errno) : "out of memory");
        null_close(engine);
        return status;
    }
    *out = engine;
    return SONO_STATUS_OK;
}

static int null_fd(void *state)
{
    return ((null_engine *)state)->timer;
}

static uint8_t *null_lend(void *state, size_t *n_bytes, void **input)
{
    null_engine *engine = state;
    for (int32_t i = 0; i < engine->n_slots; ++i) {
        slot *s = &engine->slots[i];
        if (!s->is_taken) {
            s->is_taken = 1;
            *n_bytes = engine->input_bytes;
            *input = s;
            return s->pixels;
        }
    }
    return NULL;
}

static void null_give_back(void *state, void *input)
{
    (void)state;
    ((slot *)input)->is_taken = 0;
}

/* Readable when the oldest frame is done; never with none. */
static void set_timer(null_engine *engine)
{
    struct itimerspec spec = {0};
    if (engine->n_queued) {
        int64_t at = engine->slots[engine->queue[0]].done_at_ns;
        spec.it_value.tv_sec = at / 1000000000;
        spec.it_value.tv_nsec = at % 1000000000;
    }
    timerfd_settime(engine->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static sono_status null_submit(void *state, void *input, const sono_image *image, const sono_frame_info *info,
                               sono_error *error)
{
    null_engine *engine = state;
    slot *s = input;
    size_t n_px = (size_t)image->width_px * (size_t)image->height_px;
    if (n_px > engine->max_px) {
        return sono_live_fail(error, SONO_STATUS_LIMIT, 0, "null engine", "%d x %d is too large",
                              image->width_px, image->height_px);
    }
    int64_t now = sono_serve_now_ns();
    int64_t begins = engine->last_done_ns > now ? engine->last_done_ns : now;
    s->image = *image;
    s->frame = info->frame_id;
    s->submitted_ns = now;
    s->done_at_ns = engine->last_done_ns = begins + engine->delay_ns;
    engine->queue[engine->n_queued++] = (int32_t)(s - engine->slots);
    if (engine->n_queued == 1) {
        set_timer(engine);
    }
    return SONO_STATUS_OK;
}

/* Marks what is at least half of white; returns how many pixels. */
static int64_t mark(const sono_image *image, uint8_t *mask)
{
    static const int32_t components[] = {0, 1, 1, 3, 4};
    const uint8_t *in = image->pixels;
    size_t n = (size_t)image->width_px * (size_t)image->height_px;
    size_t step = (size_t)components[image->format];
    int64_t area = 0;
    if (image->format == SONO_PIXEL_GRAY16) { /* host order is little endian: the high byte decides */
        ++in;
        step = 2;
    }
    for (size_t i = 0; i < n; ++i) {
        mask[i] = in[i * step] >= 128 ? 255 : 0;
        area += in[i * step] >> 7;
    }
    return area;
}

static void bounds(const uint8_t *mask, int32_t width, int32_t height, float box[4])
{
    int32_t x1 = width, y1 = height, x2 = -1, y2 = -1;
    for (int32_t y = 0; y < height; ++y) {
        const uint8_t *row = mask + (size_t)y * (size_t)width;
        const uint8_t *first = memchr(row, 255, (size_t)width);
        if (first) {
            const uint8_t *last = memrchr(row, 255, (size_t)width);
            x1 = first - row < x1 ? (int32_t)(first - row) : x1;
            x2 = last - row > x2 ? (int32_t)(last - row) : x2;
            y1 = y < y1 ? y : y1;
            y2 = y;
        }
    }
    box[0] = (float)x1;
    box[1] = (float)y1;
    box[2] = (float)x2;
    box[3] = (float)y2;
}

static void fill_result(const null_engine *engine, slot *s, int64_t now, sono_serve_result *result)
{
    *result = (sono_serve_result){.frame = s->frame,
                                  .width_px = s->image.width_px,
                                  .height_px = s->image.height_px,
                                  .mask = s->mask,
                                  .latency_ms = (double)(now - s->submitted_ns) * 1e-6,
                                  .lent = s};
    result->mask_area_px = mark(&s->image, s->mask);
    result->state = !result->mask_area_px                      ? SONO_STATE_LOST
                    : result->mask_area_px < engine->unsure_px ? SONO_STATE_RELOCALIZING
                                                               : SONO_STATE_VISIBLE;
    if (result->mask_area_px) {
        result->score = result->iou_predicted = 1;
        bounds(s->mask, s->image.width_px, s->image.height_px, result->bbox_xyxy_px);
    }
}

static sono_serve_engine_news null_next(void *state, sono_serve_result *result, sono_error *error)
{
    null_engine *engine = state;
    int64_t now = sono_serve_now_ns();
    slot *s = engine->n_queued ? &engine->slots[engine->queue[0]] : NULL;
    if (!s || s->done_at_ns > now) {
        return SONO_SERVE_ENGINE_NOTHING;
    }
    --engine->n_queued;
    memmove(engine->queue, engine->queue + 1, (size_t)engine->n_queued * sizeof engine->queue[0]);
    set_timer(engine);
    ++engine->n_done;
    if (engine->fail_every && engine->n_done % (uint64_t)engine->fail_every == 0) {
        *result = (sono_serve_result){.frame = s->frame};
        s->is_taken = 0;
        sono_live_fail(error, SONO_STATUS_DEVICE, 0, "null engine", "engine.null_fail_every asked for this");
        return SONO_SERVE_ENGINE_LOSS;
    }
    fill_result(engine, s, now, result);
    return SONO_SERVE_ENGINE_RESULT;
}

static void null_release(void *state, const sono_serve_result *result)
{
    (void)state;
    slot *s = (slot *)(uintptr_t)result->lent;
    s->is_taken = 0;
}

static void null_query(void *state, sono_serve_engine_info *out)
{
    (void)state;
    strncpy(out->backend, "none", sizeof out->backend - 1);
    strncpy(out->precision, "none", sizeof out->precision - 1);
    strncpy(out->detector, "none", sizeof out->detector - 1);
    strncpy(out->segmenter, "none", sizeof out->segmenter - 1);
    out->residency_percent = -1;
}

const sono_serve_engine_kind sono_serve_engine_null = {
    .name = "null",
    .open = null_open,
    .close = null_close,
    .fd = null_fd,
    .next = null_next,
    .lend = null_lend,
    .give_back = null_give_back,
    .submit = null_submit,
    .release = null_release,
    .query = null_query,
};
