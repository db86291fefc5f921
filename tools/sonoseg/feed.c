// SPDX-License-Identifier: Apache-2.0
#include "feed.h"

#include "stop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_BYTES 64
#define NS_PER_S   1000000000
#define WAIT_NS    50000000

typedef struct slot {
    sono_image image;
    sono_frame_info info;
    char name[NAME_BYTES];
    uint8_t *pixels, *labels; /* of width_px * height_px; grown to the largest frame so far */
    size_t capacity;
} slot;

/* Frame k lies in slot k modulo n_slots. */
struct feed {
    sono_source *source;
    int64_t n_frames;
    int32_t n_slots;
    slot *slots;
    pthread_t thread;
    int has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    int64_t n_made, n_taken;
    int is_closing, is_done; /* done: nothing more is made */
    sono_status status;      /* not OK: why that is before the end, and error says it in words */
    sono_error error;
};

static sono_status fail_memory(sono_error *error)
{
    *error = (sono_error){.status = SONO_STATUS_OUT_OF_MEMORY, .offset_bytes = -1};
    snprintf(error->text, sizeof error->text, "no memory to render frames ahead");
    return SONO_STATUS_OUT_OF_MEMORY;
}

static int reserve(slot *out, size_t n_pixels)
{
    if (n_pixels <= out->capacity)
        return 0;
    uint8_t *pixels = realloc(out->pixels, n_pixels);
    out->pixels = pixels ? pixels : out->pixels;
    uint8_t *labels = realloc(out->labels, n_pixels);
    out->labels = labels ? labels : out->labels;
    if (!pixels || !labels)
        return -1;
    out->capacity = n_pixels;
    return 0;
}

/* The source's next frame, copied. */
static sono_status make_frame(feed *self, slot *out, sono_error *error)
{
    sono_truth truth;
    const char *name = NULL;
    sono_image *image = &out->image;
    sono_image_init(image);
    sono_frame_info_init(&out->info);
    sono_status status = sono_source_next(self->source, image, &out->info, &name, error);
    if (!status)
        status = sono_source_truth(self->source, &truth, error);
    if (status)
        return status;
    const size_t width_px = (size_t)image->width_px, height_px = (size_t)image->height_px;
    if (reserve(out, width_px * height_px))
        return fail_memory(error);
    for (size_t y = 0; y < height_px; y++)
        memcpy(out->pixels + y * width_px, (const uint8_t *)image->pixels + y * image->pitch_bytes, width_px);
    memcpy(out->labels, truth.labels, width_px * height_px);
    image->pixels = out->pixels;
    image->pitch_bytes = width_px;
    snprintf(out->name, sizeof out->name, "%s", name);
    return SONO_STATUS_OK;
}

/* Waits until there is a free slot; those of the frames that the reader may still hold are not. */
static slot *take_slot(feed *self)
{
    pthread_mutex_lock(&self->mutex);
    while (!self->is_closing && self->n_made - self->n_taken >= self->n_slots - FLIGHTS_HELD)
        pthread_cond_wait(&self->changed, &self->mutex);
    slot *found = self->is_closing ? NULL : &self->slots[self->n_made % self->n_slots];
    pthread_mutex_unlock(&self->mutex);
    return found;
}

static void *work(void *user)
{
    feed *self = user;
    sono_error error = {0};
    sono_status status = SONO_STATUS_OK;
    slot *at;
    for (int64_t i = 0; !status && i < self->n_frames && (at = take_slot(self)); i++) {
        status = make_frame(self, at, &error);
        pthread_mutex_lock(&self->mutex);
        self->n_made += !status;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->mutex);
    }
    pthread_mutex_lock(&self->mutex);
    self->is_done = 1;
    self->status = status;
    self->error = error;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

sono_status feed_open(const sono_phantom_options *options, int64_t ahead_bytes, feed **out, sono_error *error)
{
    const int64_t frame_bytes = 2 * (int64_t)options->width_px * options->height_px;
    const int64_t n_most = ahead_bytes / frame_bytes, n_least = FLIGHTS_HELD + 1;
    sono_phantom_options one = *options;
    one.n_held = 1;
    feed *self = calloc(1, sizeof *self);
    if (!self)
        return fail_memory(error);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    const sono_status status = sono_source_open_phantom(&one, &self->source, error);
    if (status) {
        feed_close(self);
        return status;
    }
    self->n_frames = options->n_frames;
    const int64_t n_wanted = self->n_frames + FLIGHTS_HELD < n_most ? self->n_frames + FLIGHTS_HELD : n_most;
    self->n_slots = (int32_t)(n_wanted > n_least ? n_wanted : n_least);
    self->slots = calloc((size_t)self->n_slots, sizeof *self->slots);
    self->has_thread = self->slots && !pthread_create(&self->thread, NULL, work, self);
    if (!self->has_thread) {
        feed_close(self);
        return fail_memory(error);
    }
    *out = self;
    return SONO_STATUS_OK;
}

/* Until something changes, but not for long, so that a wish to stop is seen. */
static void wait_a_while(feed *self)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_cond_timedwait(&self->changed, &self->mutex, &until);
}

sono_status feed_next(feed *self, flight *out, sono_error *error)
{
    sono_status status = SONO_STATUS_END;
    out->name = "phantom";
    pthread_mutex_lock(&self->mutex);
    while (self->n_taken == self->n_made && !self->is_done && !stop_status())
        wait_a_while(self);
    if (self->n_taken < self->n_made) {
        const slot *at = &self->slots[self->n_taken++ % self->n_slots];
        out->image = at->image;
        out->info = at->info;
        out->name = at->name;
        out->truth.labels = at->labels;
        status = SONO_STATUS_OK;
        pthread_cond_broadcast(&self->changed);
    } else if (self->is_done && self->status) {
        status = self->status;
        *error = self->error;
        self->status = SONO_STATUS_OK; /* told once, then the end */
    }
    pthread_mutex_unlock(&self->mutex);
    return status;
}

void feed_close(feed *self)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->is_closing = 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    for (int32_t i = 0; self->slots && i < self->n_slots; i++) {
        free(self->slots[i].pixels);
        free(self->slots[i].labels);
    }
    free(self->slots);
    sono_source_close(self->source);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}
