// SPDX-License-Identifier: Apache-2.0
#include "sweeps.h"

#include "stop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_LENT   2 /* sweeps that the reader may hold */
#define NS_PER_S 1000000000
#define WAIT_NS  50000000

/* Sweep k is made in place k modulo n_places, once sweep k - n_places was read and is not lent any more. */
typedef struct place {
    int32_t number; /* of the sweep */
    sweep_frame *frames;
    uint8_t *pixels;    /* of all frames */
    float *surfaces_px; /* likewise, SONO_TRUTH_STRUCTURES rows of width_px each */
    /* Under the mutex. */
    int32_t n_frames;   /* made so far */
    int is_done;        /* nothing more is made */
    sono_status status; /* not OK: why that is before the end, and error says it in words */
    sono_error error;
} place;

struct sweeps {
    sono_phantom_options options;
    int32_t n_sweeps, n_threads, n_places;
    size_t frame_bytes;
    place *places;
    pthread_t *threads;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    int32_t n_begun;    /* sweeps that a thread has taken */
    int32_t n_given;    /* sweeps that the reader has begun */
    int32_t next_frame; /* of the last of these */
    int has_failed;
    int is_closing;
};

static int32_t n_returned(const sweeps *self)
{
    return self->n_given > N_LENT ? self->n_given - N_LENT : 0;
}

static int64_t place_bytes(const sono_phantom_options *options)
{
    const int64_t width_px = options->width_px;
    const int64_t frame = width_px * options->height_px + (int64_t)sizeof(sweep_frame) +
                          width_px * SONO_TRUTH_STRUCTURES * (int64_t)sizeof(float);
    return frame * options->n_frames;
}

/* Copies the frame that the source gave last. */
static void keep_frame(const sweeps *self, place *out, const sono_image *image, const sono_frame_info *info,
                       const sono_truth *truth)
{
    const size_t width_px = (size_t)image->width_px, index = (size_t)out->n_frames;
    sweep_frame *frame = &out->frames[index];
    uint8_t *pixels = out->pixels + index * self->frame_bytes;
    *frame = (sweep_frame){.sweep = out->number, .image = *image, .info = *info, .truth = *truth};
    for (size_t y = 0; y < (size_t)image->height_px; y++)
        memcpy(pixels + y * width_px, (const uint8_t *)image->pixels + y * image->pitch_bytes, width_px);
    frame->image.pixels = pixels;
    frame->image.pitch_bytes = width_px;
    frame->truth.mask = frame->truth.labels = NULL;
    for (int k = 0; k < SONO_TRUTH_STRUCTURES; k++) {
        float *row = out->surfaces_px + (index * SONO_TRUTH_STRUCTURES + (size_t)k) * width_px;
        memcpy(row, truth->surface_px[k], width_px * sizeof *row);
        frame->truth.surface_px[k] = row;
    }
    snprintf(frame->name, sizeof frame->name, "sweep %d, frame %zu", out->number, index);
}

/* Shows the reader one frame more. Returns whether others are wanted. */
static int publish(sweeps *self, place *out)
{
    pthread_mutex_lock(&self->mutex);
    out->n_frames++;
    const int goes_on = !self->is_closing;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    return goes_on;
}

static sono_status render_frames(sweeps *self, sono_source *source, place *out, sono_error *error)
{
    for (int32_t i = 0; i < self->options.n_frames; i++) {
        sono_image image;
        sono_frame_info info;
        sono_truth truth;
        const char *name = NULL;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        sono_status status = sono_source_next(source, &image, &info, &name, error);
        if (!status)
            status = sono_source_truth(source, &truth, error);
        if (status)
            return status;
        keep_frame(self, out, &image, &info, &truth);
        if (!publish(self, out))
            break;
    }
    return SONO_STATUS_OK;
}

static void render(sweeps *self, place *out)
{
    sono_source *source = NULL;
    sono_error error = {0};
    sono_phantom_options options = self->options;
    options.seed += (uint64_t)out->number;
    options.n_held = 1;
    sono_status status = sono_source_open_phantom(&options, &source, &error);
    if (!status)
        status = render_frames(self, source, out, &error);
    sono_source_close(source);
    pthread_mutex_lock(&self->mutex);
    out->status = status;
    out->error = error;
    out->is_done = 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

/* Waits for a sweep that has a place; NULL when there is nothing left to do. */
static place *take_place(sweeps *self)
{
    place *found = NULL;
    pthread_mutex_lock(&self->mutex);
    while (!self->is_closing && self->n_begun < self->n_sweeps &&
           self->n_begun >= n_returned(self) + self->n_places)
        pthread_cond_wait(&self->changed, &self->mutex);
    if (!self->is_closing && self->n_begun < self->n_sweeps) {
        found = &self->places[self->n_begun % self->n_places];
        found->number = self->n_begun++;
        found->n_frames = found->is_done = 0;
    }
    pthread_mutex_unlock(&self->mutex);
    return found;
}

static void *work(void *user)
{
    sweeps *self = user;
    for (place *at; (at = take_place(self));)
        render(self, at);
    return NULL;
}

static int open_places(sweeps *self)
{
    const size_t n = (size_t)self->options.n_frames, width_px = (size_t)self->options.width_px;
    self->places = calloc((size_t)self->n_places, sizeof *self->places);
    for (int32_t i = 0; self->places && i < self->n_places; i++) {
        place *made = &self->places[i];
        made->frames = malloc(n * sizeof *made->frames);
        made->pixels = malloc(n * self->frame_bytes);
        made->surfaces_px = malloc(n * SONO_TRUTH_STRUCTURES * width_px * sizeof *made->surfaces_px);
        if (!made->frames || !made->pixels || !made->surfaces_px)
            return -1;
    }
    return self->places ? 0 : -1;
}

static int open_threads(sweeps *self)
{
    const int32_t n_wanted = self->n_threads;
    self->threads = calloc((size_t)n_wanted, sizeof *self->threads);
    self->n_threads = 0;
    while (self->threads && self->n_threads < n_wanted &&
           !pthread_create(&self->threads[self->n_threads], NULL, work, self))
        self->n_threads++;
    return self->n_threads ? 0 : -1;
}

static int32_t least(int64_t left, int64_t right)
{
    return (int32_t)(left < right ? left : right);
}

sono_status sweeps_open(const sono_phantom_options *options, int32_t n_sweeps, int32_t n_threads,
                        sweeps **out, sono_error *error)
{
    sono_source *source = NULL;
    const sono_status status = sono_source_open_phantom(options, &source, error);
    if (status)
        return status;
    sono_source_close(source);
    sweeps *self = calloc(1, sizeof *self);
    if (self) {
        const int64_t n_fitting = SWEEPS_MAX_BYTES / place_bytes(options) - N_LENT;
        pthread_mutex_init(&self->mutex, NULL);
        pthread_cond_init(&self->changed, NULL);
        self->options = *options;
        self->n_sweeps = n_sweeps;
        self->n_threads = least(least(n_threads, n_sweeps), n_fitting > 1 ? n_fitting : 1);
        self->n_places = least(self->n_threads + N_LENT, n_sweeps);
        self->frame_bytes = (size_t)options->width_px * (size_t)options->height_px;
    }
    if (!self || open_places(self) || open_threads(self)) {
        sweeps_close(self);
        *error = (sono_error){.status = SONO_STATUS_OUT_OF_MEMORY, .offset_bytes = -1};
        snprintf(error->text, sizeof error->text,
                 "no memory to render sweeps ahead (fewer --jobs need less)");
        return SONO_STATUS_OUT_OF_MEMORY;
    }
    *out = self;
    return SONO_STATUS_OK;
}

int32_t sweeps_threads(const sweeps *self)
{
    return self->n_threads;
}

int64_t sweeps_bytes(const sweeps *self)
{
    return self->n_places * place_bytes(&self->options);
}

/* Until something changes, but not for long, so that a wish to stop is seen. */
static void wait_a_while(sweeps *self)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_cond_timedwait(&self->changed, &self->mutex, &until);
}

/* Whether the sweep that is being read has a frame for the reader, or else nothing to wait for. */
static int has_news(const sweeps *self, const place *at)
{
    return at->number == self->n_given - 1 && self->n_begun >= self->n_given &&
           (self->next_frame < at->n_frames || at->is_done);
}

/* Under the mutex: the place of the next frame; NULL = there is none. */
static place *find_next(sweeps *self)
{
    while (!self->has_failed) {
        place *at = self->n_given ? &self->places[(self->n_given - 1) % self->n_places] : NULL;
        while (at && !has_news(self, at) && !stop_status())
            wait_a_while(self);
        if (at && !has_news(self, at))
            return NULL;
        if (at && (self->next_frame < at->n_frames || at->status))
            return at;
        if (self->n_given == self->n_sweeps)
            return NULL;
        self->n_given++;
        self->next_frame = 0;
        pthread_cond_broadcast(&self->changed);
    }
    return NULL;
}

sono_status sweeps_next(sweeps *self, const sweep_frame **out, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    pthread_mutex_lock(&self->mutex);
    place *at = find_next(self);
    if (!at) {
        status = SONO_STATUS_END;
    } else if (self->next_frame < at->n_frames) {
        *out = &at->frames[self->next_frame++];
    } else {
        self->has_failed = 1;
        status = at->status;
        *error = at->error;
    }
    pthread_mutex_unlock(&self->mutex);
    return status;
}

static void free_places(sweeps *self)
{
    for (int32_t i = 0; self->places && i < self->n_places; i++) {
        free(self->places[i].frames);
        free(self->places[i].pixels);
        free(self->places[i].surfaces_px);
    }
    free(self->places);
}

void sweeps_close(sweeps *self)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->is_closing = 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    for (int32_t i = 0; self->threads && i < self->n_threads; i++)
        pthread_join(self->threads[i], NULL);
    free(self->threads);
    free_places(self);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}
