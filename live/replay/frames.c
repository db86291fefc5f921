// SPDX-License-Identifier: Apache-2.0
/* Pass after pass over a source; frames that fit into memory are read once. */
#include "replay/frames.h"

#include "error/error.h"
#include "replay/frame.h"

#include <stdio.h>
#include <stdlib.h>

struct sono_replay_frames {
    const sono_replay_options *options;
    sono_source *source; /* NULL = it ended, or the cache serves */
    sono_replay_frame **cache;
    size_t n_cached, capacity;
    int64_t cached_bytes;
    int is_cached;            /* every frame is in the cache */
    int is_overflown;         /* they do not fit */
    sono_replay_frame *given; /* not in the cache: freed by the next call */
    size_t at;                /* of the cache: next to be given */
    uint64_t n_in_pass, n_unreadable;
    int32_t pass;
};

static void drop_cache(sono_replay_frames *self)
{
    for (size_t i = 0; i < self->n_cached; i++)
        free(self->cache[i]);
    free(self->cache);
    self->cache = NULL;
    self->n_cached = self->capacity = 0;
    self->cached_bytes = 0;
}

/* Takes a frame's memory over: the cache's, or the one that is given and then freed. */
static sono_status take_over(sono_replay_frames *self, sono_replay_frame *frame, size_t n_bytes)
{
    self->cached_bytes += (int64_t)n_bytes;
    if (self->cached_bytes > self->options->cache_bytes && !self->is_overflown) {
        self->is_overflown = 1;
        drop_cache(self);
    }
    if (self->is_overflown) {
        self->given = frame;
        return SONO_STATUS_OK;
    }
    if (self->n_cached == self->capacity) {
        const size_t capacity = self->capacity ? 2 * self->capacity : 64;
        sono_replay_frame **cache = realloc(self->cache, capacity * sizeof(sono_replay_frame *));
        if (!cache) {
            free(frame);
            return SONO_STATUS_OUT_OF_MEMORY;
        }
        self->cache = cache;
        self->capacity = capacity;
    }
    self->cache[self->n_cached++] = frame;
    return SONO_STATUS_OK;
}

static void say_unreadable(sono_replay_frames *self, const char *name, const sono_error *error)
{
    char text[1024];
    self->n_unreadable++;
    if (!self->options->log)
        return;
    snprintf(text, sizeof text, "left out: %s", error->text[0] ? error->text : name ? name : "a frame");
    self->options->log(self->options->user, text);
}

/* One frame from the source. A recording's frame without an image has its transforms all the same. */
static sono_status read_frame(sono_replay_frames *self, const sono_replay_frame **out, sono_error *error)
{
    for (;;) {
        sono_image image;
        sono_frame_info info;
        const char *name = NULL;
        sono_error own = {0};
        sono_image_init(&image);
        sono_frame_info_init(&info);
        const sono_status status = sono_source_next(self->source, &image, &info, &name, &own);
        if (status == SONO_STATUS_END)
            return status;
        if (status == SONO_STATUS_OUT_OF_MEMORY)
            return sono_live_fail(error, status, 0, "replay", "%s", own.text);
        if (status != SONO_STATUS_OK) {
            say_unreadable(self, name, &own);
            continue;
        }
        sono_replay_frame *frame = NULL;
        size_t n_bytes = 0;
        const sono_status made =
            sono_replay_frame_make(self->source, &image, &info, self->options->pose, &frame, &n_bytes, error);
        if (made != SONO_STATUS_OK)
            return made;
        *out = frame;
        self->n_in_pass++;
        if (take_over(self, frame, n_bytes) == SONO_STATUS_OK)
            return SONO_STATUS_OK;
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "replay", "out of memory for frames");
    }
}

static sono_status end_pass(sono_replay_frames *self, sono_error *error)
{
    if (!self->n_in_pass)
        return sono_live_fail(error, SONO_STATUS_FORMAT, 0, "replay", "no frame could be read");
    self->is_cached = !self->is_overflown;
    sono_source_close(self->source);
    self->source = NULL;
    return SONO_STATUS_OK;
}

/* All into the cache; `at` is still its begin. */
static sono_status preload(sono_replay_frames *self, sono_error *error)
{
    const sono_replay_frame *frame = NULL;
    sono_status status = SONO_STATUS_OK;
    while (status == SONO_STATUS_OK) {
        if (self->options->is_stopped && self->options->is_stopped(self->options->user))
            return SONO_STATUS_END;
        status = read_frame(self, &frame, error);
        if (status == SONO_STATUS_OK && self->is_overflown)
            return sono_live_fail(error, SONO_STATUS_LIMIT, 0, "replay",
                                  "the frames take more than %lld MiB of memory: replay fewer, or without "
                                  "reading them first",
                                  (long long)(self->options->cache_bytes >> 20));
    }
    return status == SONO_STATUS_END ? end_pass(self, error) : status;
}

sono_status sono_replay_frames_open(const sono_replay_options *options, sono_replay_frames **out,
                                    sono_error *error)
{
    sono_replay_frames *self = calloc(1, sizeof *self);
    if (!self)
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "replay", "out of memory");
    self->options = options;
    self->is_overflown = !options->is_loop && !options->is_preloaded;
    sono_status status = options->open_source(options->user, &self->source, error);
    if (status == SONO_STATUS_OK && options->is_preloaded)
        status = preload(self, error);
    if (status != SONO_STATUS_OK)
        sono_replay_frames_close(self);
    else
        *out = self;
    return status;
}

/* The next pass begins, or all is over. */
static sono_status begin_pass(sono_replay_frames *self, sono_error *error)
{
    if (!self->options->is_loop)
        return SONO_STATUS_END;
    self->pass++;
    self->at = 0;
    if (self->is_cached)
        return SONO_STATUS_OK;
    self->n_in_pass = 0;
    return self->options->open_source(self->options->user, &self->source, error);
}

sono_status sono_replay_frames_next(sono_replay_frames *self, const sono_replay_frame **out, int32_t *pass,
                                    sono_error *error)
{
    free(self->given);
    self->given = NULL;
    for (;;) {
        sono_status status = SONO_STATUS_END;
        *pass = self->pass;
        if (self->is_cached && self->at < self->n_cached) {
            *out = self->cache[self->at++];
            return SONO_STATUS_OK;
        }
        if (self->source)
            status = read_frame(self, out, error);
        if (status != SONO_STATUS_END)
            return status;
        if (self->source)
            status = end_pass(self, error);
        else
            status = SONO_STATUS_OK;
        if (status == SONO_STATUS_OK)
            status = begin_pass(self, error);
        if (status != SONO_STATUS_OK)
            return status;
    }
}

uint64_t sono_replay_frames_unreadable(const sono_replay_frames *self)
{
    return self->n_unreadable;
}

void sono_replay_frames_close(sono_replay_frames *self)
{
    if (!self)
        return;
    drop_cache(self);
    free(self->given);
    sono_source_close(self->source);
    free(self);
}
