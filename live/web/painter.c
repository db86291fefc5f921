// SPDX-License-Identifier: Apache-2.0
#include "web/painter.h"
#include "web/parts.h"

#include "error/error.h"
#include "sonoseg/io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <turbojpeg.h>
#include <unistd.h>

#define N_BUFFERS 3
#define FRESH     4 /* beside the number of the middle buffer: the painter has not seen it */
#define QUALITY   85
#define KEEP_NS   INT64_C(1000000000) /* a frame a second is kept though nobody looks */
#define ASKED_NS  INT64_C(1000000000) /* who asks once wants the frames of so long */

typedef struct buffer {
    uint8_t *pixels, *mask;
    sono_image image;
    sono_web_head head;
} buffer;

struct sono_web_painter {
    sono_web_hub *hub;
    sono_web_setup setup; /* its texts are not kept */
    size_t max_px;
    pthread_t thread;
    int wake; /* eventfd */
    atomic_int is_over;
    _Atomic int64_t asked_until_ns;
    _Atomic int64_t png_ns; /* since when a PNG is wanted; 0 = none is */
    _Atomic uint64_t n_painted;
    buffer buffers[N_BUFFERS];
    atomic_int middle;  /* the buffer between both threads, with FRESH */
    int written, shown; /* the loop's buffer, the painter's */
    int64_t given_ns;   /* the loop's: when it last copied a frame */
    /* The painter's. */
    tjhandle encoder;
    uint8_t *rgb;
    unsigned char *jpeg;
    unsigned long jpeg_room;
    int has_frame, is_painted;
    atomic_int keeps; /* the next frame is to be kept, as prefix says */
    char prefix[600];
};

/* ---- the loop's thread ----------------------------------------------------------------------------------
 */

int sono_web_painter_wants(const sono_web_painter *painter, int64_t now_ns)
{
    int64_t interval_ns = atomic_load(&painter->hub->interval_ns);
    if (atomic_load(&painter->asked_until_ns) > now_ns || atomic_load(&painter->keeps)) {
        return 1;
    }
    /* A stream's own pace is kept by the stream; here a frame that comes a little early is not lost. */
    interval_ns = interval_ns && interval_ns < KEEP_NS ? interval_ns / 2 : KEEP_NS;
    return now_ns - painter->given_ns >= interval_ns;
}

static void copy_surface(const sono_surface_view *surface, sono_web_head *head)
{
    head->n_points = head->n_lines = 0;
    head->has_surface = surface != NULL;
    for (int32_t line = 0; surface && line < surface->n_lines && line < SONO_WEB_SURFACE_LINES; line++) {
        const int32_t from = surface->line_starts[line], n = surface->line_starts[line + 1] - from;
        if (head->n_points + n > SONO_WEB_SURFACE_POINTS) {
            return;
        }
        memcpy(head->points_px[head->n_points], surface->points_px + 2 * from,
               (size_t)n * sizeof head->points_px[0]);
        head->line_starts[line] = head->n_points;
        head->n_points += n;
        head->n_lines = line + 1;
        head->line_starts[line + 1] = head->n_points;
    }
}

static void copy_head(const sono_web_frame *frame, int64_t shown_utc_ns, sono_web_head *head)
{
    const sono_web_trip *trip = &frame->trip;
    head->frame = trip->frame;
    head->timestamp = frame->timestamp;
    head->is_empty = 0;
    snprintf(head->state, sizeof head->state, "%s", sono_state_name((sono_state)trip->state));
    snprintf(head->fault, sizeof head->fault, "OK");
    head->fault_text[0] = 0;
    snprintf(head->device, sizeof head->device, "%s", frame->device);
    head->width_px = frame->image.width_px;
    head->height_px = frame->image.height_px;
    head->received_utc_ns = trip->received_utc_ns;
    head->shown_utc_ns = shown_utc_ns;
    head->received_ns = trip->received_ns;
    head->shown_ns = trip->shown_ns;
    head->score = frame->score;
    head->iou_predicted = frame->iou_predicted;
    memcpy(head->bbox_xyxy_px, frame->bbox_xyxy_px, sizeof head->bbox_xyxy_px);
    head->has_box = frame->bbox_xyxy_px[2] > frame->bbox_xyxy_px[0];
    head->area_px = frame->mask_area_px;
    head->is_judged = frame->is_judged;
    head->quality = frame->quality;
    head->agreement = frame->agreement;
    head->reasons = frame->reasons;
    head->latency_ms = (double)(trip->shown_ns - trip->received_ns) * 1e-6;
    head->engine_ms = frame->engine_ms;
    copy_surface(frame->surface, head);
}

void sono_web_painter_give(sono_web_painter *painter, const sono_web_frame *frame, int64_t shown_utc_ns)
{
    static const uint8_t pixel_bytes[] = {1, 1, 2, 3, 4}; /* by sono_pixel_format */
    const sono_image *image = &frame->image;
    buffer *to = &painter->buffers[painter->written];
    const size_t n_px = (size_t)image->width_px * (size_t)image->height_px;
    const size_t row_bytes = (size_t)image->width_px * pixel_bytes[image->format];
    const size_t pitch_bytes = image->pitch_bytes ? image->pitch_bytes : row_bytes;
    const uint64_t one = 1;
    if (n_px > painter->max_px) {
        return;
    }
    if (pitch_bytes == row_bytes) {
        memcpy(to->pixels, image->pixels, row_bytes * (size_t)image->height_px);
    } else {
        for (int32_t y = 0; y < image->height_px; y++) {
            memcpy(to->pixels + (size_t)y * row_bytes,
                   (const uint8_t *)image->pixels + (size_t)y * pitch_bytes, row_bytes);
        }
    }
    memcpy(to->mask, frame->mask, n_px);
    to->image = *image;
    to->image.pixels = to->pixels;
    to->image.pitch_bytes = row_bytes;
    copy_head(frame, shown_utc_ns, &to->head);
    painter->given_ns = frame->trip.shown_ns;
    painter->written = atomic_exchange(&painter->middle, painter->written | FRESH) & ~FRESH;
    const ssize_t n = write(painter->wake, &one, sizeof one);
    (void)n;
}

/* ---- drawing --------------------------------------------------------------------------------------------
 */

static void dot(uint8_t *rgb, const sono_web_head *head, int32_t x, int32_t y, const uint8_t ink[3])
{
    if (x >= 0 && y >= 0 && x < head->width_px && y < head->height_px) {
        memcpy(rgb + 3 * ((size_t)y * (size_t)head->width_px + (size_t)x), ink, 3);
    }
}

static int32_t nearest(float value)
{
    return (int32_t)(value + (value < 0 ? -0.5f : 0.5f));
}

static float bounded(float value, float low, float high)
{
    return value >= low ? value <= high ? value : high : low; /* NaN is low */
}

/* Corners of the box: its sides a quarter from each corner, so that they hide little. */
static void draw_box(uint8_t *rgb, const sono_web_head *head)
{
    static const uint8_t ink[3] = {255, 214, 0};
    const float w = (float)head->width_px - 1, h = (float)head->height_px - 1;
    const int32_t x1 = nearest(bounded(head->bbox_xyxy_px[0], 0, w)),
                  y1 = nearest(bounded(head->bbox_xyxy_px[1], 0, h)),
                  x2 = nearest(bounded(head->bbox_xyxy_px[2], 0, w)),
                  y2 = nearest(bounded(head->bbox_xyxy_px[3], 0, h));
    for (int32_t x = x1; x <= x2; x++) {
        if (4 * (x - x1) <= x2 - x1 || 4 * (x2 - x) <= x2 - x1) {
            dot(rgb, head, x, y1, ink);
            dot(rgb, head, x, y2, ink);
        }
    }
    for (int32_t y = y1; y <= y2; y++) {
        if (4 * (y - y1) <= y2 - y1 || 4 * (y2 - y) <= y2 - y1) {
            dot(rgb, head, x1, y, ink);
            dot(rgb, head, x2, y, ink);
        }
    }
}

static void draw_step(uint8_t *rgb, const sono_web_head *head, const float from[2], const float to[2])
{
    static const uint8_t ink[3] = {41, 182, 246};
    const float w = (float)head->width_px, h = (float)head->height_px;
    const float x0 = bounded(from[0], -1, w), y0 = bounded(from[1], -1, h), dx = bounded(to[0], -1, w) - x0,
                dy = bounded(to[1], -1, h) - y0;
    const float far = dx * dx > dy * dy ? dx : dy;
    const int32_t n = nearest(far < 0 ? -far : far) + 1;
    for (int32_t i = 0; i <= n; i++) {
        const float share = (float)i / (float)n;
        dot(rgb, head, nearest(x0 + share * dx), nearest(y0 + share * dy), ink);
    }
}

static void draw_all(sono_web_painter *painter, const buffer *from)
{
    const sono_web_head *head = &from->head;
    painter->setup.draw(&from->image, painter->setup.gray16_white, from->mask, painter->rgb);
    for (int32_t line = 0; line < head->n_lines; line++) {
        for (int32_t i = head->line_starts[line]; i + 1 < head->line_starts[line + 1]; i++) {
            draw_step(painter->rgb, head, head->points_px[i], head->points_px[i + 1]);
        }
    }
    if (head->has_box && strcmp(head->state, "LOST") != 0) {
        draw_box(painter->rgb, head);
    }
}

/* ---- the painter's thread -------------------------------------------------------------------------------
 */

static void paint(sono_web_painter *painter)
{
    const buffer *from = &painter->buffers[painter->shown];
    const int32_t w = from->head.width_px, h = from->head.height_px;
    unsigned long n_jpeg = painter->jpeg_room;
    size_t n_png = 0;
    if (tjBufSize(w, h, TJSAMP_444) > painter->jpeg_room) { /* what the encoder takes for granted */
        return;
    }
    draw_all(painter, from);
    if (tjCompress2(painter->encoder, painter->rgb, w, 0, h, TJPF_RGB, &painter->jpeg, &n_jpeg, TJSAMP_444,
                    QUALITY, TJFLAG_NOREALLOC | TJFLAG_FASTDCT)) {
        return;
    }
    int64_t png_ns = atomic_load(&painter->png_ns);
    uint8_t *png = png_ns ? sono_web_png(painter->rgb, w, h, &n_png) : NULL;
    if (from->head.shown_ns >= png_ns) { /* of an older frame: the next one's is wanted, too */
        atomic_compare_exchange_strong(&painter->png_ns, &png_ns, 0);
    }
    sono_web_picture *picture = sono_web_picture_new(n_jpeg, n_png);
    if (picture) {
        picture->head = from->head;
        memcpy(picture->bytes, painter->jpeg, n_jpeg);
        if (png) {
            memcpy(picture->bytes + n_jpeg, png, n_png);
        }
        atomic_fetch_add(&painter->n_painted, 1);
        painter->is_painted = 1;
        sono_web_hub_picture(painter->hub, picture);
    }
    free(png);
}

static sono_status keep_pictures(sono_web_painter *painter, sono_error *error)
{
    const buffer *from = &painter->buffers[painter->shown];
    const sono_web_head *head = &from->head;
    const size_t n_px = (size_t)head->width_px * (size_t)head->height_px;
    const unsigned long long frame = head->frame;
    char path[700];
    uint8_t *no_mask = calloc(1, n_px);
    if (!no_mask) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "web", "out of memory");
    }
    painter->setup.draw(&from->image, painter->setup.gray16_white, no_mask, painter->rgb);
    free(no_mask);
    snprintf(path, sizeof path, "%s_%llu.png", painter->prefix, frame);
    sono_status status = sono_png_write(path, painter->rgb, head->width_px, head->height_px, 3, error);
    if (status == SONO_STATUS_OK) {
        draw_all(painter, from);
        snprintf(path, sizeof path, "%s_%llu_outline.png", painter->prefix, frame);
        status = sono_png_write(path, painter->rgb, head->width_px, head->height_px, 3, error);
    }
    if (status == SONO_STATUS_OK) {
        snprintf(path, sizeof path, "%s_%llu_mask.png", painter->prefix, frame);
        status = sono_png_write(path, from->mask, head->width_px, head->height_px, 1, error);
    }
    return status;
}

static void keep(sono_web_painter *painter)
{
    sono_error error;
    char line[900];
    const int failed = keep_pictures(painter, &error) != SONO_STATUS_OK;
    snprintf(line, sizeof line, "frame=%llu %s=\"%.700s\"",
             (unsigned long long)painter->buffers[painter->shown].head.frame, failed ? "text" : "files",
             failed ? error.text : painter->prefix);
    painter->setup.log(painter->setup.user, failed ? "snapshot_failed" : "snapshot", line);
    atomic_store(&painter->keeps, 0);
}

int sono_web_painter_keep(sono_web_painter *painter, const char *prefix)
{
    if (atomic_load(&painter->keeps)) {
        return -1;
    }
    snprintf(painter->prefix, sizeof painter->prefix, "%s", prefix);
    atomic_store(&painter->keeps, 1);
    return 0;
}

static void *work(void *user)
{
    sono_web_painter *painter = user;
    struct pollfd wake = {.fd = painter->wake, .events = POLLIN};
    uint64_t n;
    while (!atomic_load(&painter->is_over)) {
        if (poll(&wake, 1, -1) < 0 && errno != EINTR) {
            break;
        }
        if (read(painter->wake, &n, sizeof n) < 0) {
            continue;
        }
        if (atomic_load(&painter->middle) & FRESH) {
            painter->shown = atomic_exchange(&painter->middle, painter->shown) & ~FRESH;
            painter->has_frame = 1;
            painter->is_painted = 0;
            if (atomic_load(&painter->keeps)) {
                keep(painter);
            }
        }
        const int is_watched = atomic_load(&painter->hub->n_frame_streams) > 0 ||
                               atomic_load(&painter->asked_until_ns) > sono_web_now_ns();
        const int wants_png = atomic_load(&painter->png_ns) != 0;
        if (painter->has_frame && (wants_png || (is_watched && !painter->is_painted))) {
            paint(painter);
        }
    }
    return NULL;
}

void sono_web_painter_ask(sono_web_painter *painter, int wants_png, int64_t now_ns)
{
    const uint64_t one = 1;
    if (wants_png) {
        atomic_store(&painter->png_ns, now_ns);
    }
    atomic_store(&painter->asked_until_ns, now_ns + ASKED_NS);
    const ssize_t n = write(painter->wake, &one, sizeof one);
    (void)n;
}

uint64_t sono_web_painter_count(const sono_web_painter *painter)
{
    return atomic_load(&painter->n_painted);
}

/* ---- made and ended -------------------------------------------------------------------------------------
 */

static void free_all(sono_web_painter *painter)
{
    for (int i = 0; i < N_BUFFERS; i++) {
        free(painter->buffers[i].pixels);
        free(painter->buffers[i].mask);
    }
    if (painter->encoder) {
        tjDestroy(painter->encoder);
    }
    if (painter->wake >= 0) {
        close(painter->wake);
    }
    free(painter->jpeg);
    free(painter->rgb);
    free(painter);
}

/* Memory is the system's until a frame touches it. */
static int make_buffers(sono_web_painter *painter)
{
    int is_whole = 1;
    for (int i = 0; i < N_BUFFERS; i++) {
        painter->buffers[i].pixels = malloc(4 * painter->max_px);
        painter->buffers[i].mask = malloc(painter->max_px);
        is_whole &= painter->buffers[i].pixels && painter->buffers[i].mask;
    }
    painter->jpeg_room = 6 * painter->max_px + 65536; /* of any but the narrowest shapes */
    painter->jpeg = malloc(painter->jpeg_room);
    painter->rgb = malloc(3 * painter->max_px);
    return is_whole && painter->jpeg && painter->rgb ? 0 : -1;
}

sono_status sono_web_painter_open(sono_web_hub *hub, const sono_web_setup *setup, sono_web_painter **out,
                                  sono_error *error)
{
    sono_web_painter *painter = calloc(1, sizeof *painter);
    if (!painter) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "web", "out of memory");
    }
    painter->hub = hub;
    painter->setup = *setup;
    painter->max_px = (size_t)setup->max_px;
    painter->written = 0;
    atomic_init(&painter->middle, 1);
    painter->shown = 2;
    painter->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    painter->encoder = tjInitCompress();
    sono_status status = SONO_STATUS_OK;
    if (make_buffers(painter)) {
        status = sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "web", "out of memory");
    } else if (painter->wake < 0) {
        status = sono_live_fail(error, SONO_STATUS_IO, errno, "web", "a descriptor");
    } else if (!painter->encoder) {
        status = sono_live_fail(error, SONO_STATUS_UNSUPPORTED, 0, "web", "JPEG: %s", tjGetErrorStr());
    } else if ((errno = pthread_create(&painter->thread, NULL, work, painter)) != 0) {
        status = sono_live_fail(error, SONO_STATUS_IO, errno, "web", "a thread");
    }
    if (status != SONO_STATUS_OK) {
        free_all(painter);
        return status;
    }
    *out = painter;
    return SONO_STATUS_OK;
}

void sono_web_painter_close(sono_web_painter *painter)
{
    const uint64_t one = 1;
    if (!painter) {
        return;
    }
    atomic_store(&painter->is_over, 1);
    const ssize_t n = write(painter->wake, &one, sizeof one);
    (void)n;
    pthread_join(painter->thread, NULL);
    free_all(painter);
}
