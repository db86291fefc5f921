// SPDX-License-Identifier: Apache-2.0
#include "report_walk.h"

#include <stdlib.h>
#include <string.h>

/* One of a recording's two streams: files one behind the other. */
typedef struct stream {
    const report_walk *walk;
    int is_mask;
    size_t file; /* the open one's number, or the next's */
    sono_source *source;
    int64_t index; /* of the frame in its file */
    sono_image image;
    int has_image;
    sono_frame_info info;
    uint64_t id;
    int64_t time_ns;
} stream;

static const char *file_name(const stream *self, size_t i)
{
    const struct report_text *pair = &self->walk->series->files.items[i];
    return self->is_mask ? pair->value : pair->key;
}

static void note(const stream *self, const sono_error *error)
{
    if (self->walk->notes)
        report_texts_add(self->walk->notes, file_name(self, self->file), "%s", error->text);
}

static int open_next(stream *self)
{
    char path[PATH_MAX];
    sono_error error;
    sono_source_options options;
    sono_source_options_init(&options);
    options.as_stored = self->walk->as_stored;
    options.float_low = 0;
    options.float_high = 255;
    const char *name = file_name(self, self->file);
    if (!*name || snprintf(path, sizeof path, "%s/%s", self->walk->folder, name) >= PATH_MAX)
        return -1;
    if (!sono_source_open_sequence(path, &options, &self->source, &error)) {
        self->index = -1;
        return 0;
    }
    note(self, &error);
    return -1;
}

static void close_file(stream *self)
{
    sono_source_close(self->source);
    self->source = NULL;
    self->file++;
}

/* FrameNumber of the frame that was given. */
static uint64_t frame_number(const stream *self)
{
    const int32_t n = sono_source_field_count(self->source);
    for (int32_t i = 0; i < n; i++) {
        sono_source_field field;
        if (!sono_source_field_at(self->source, i, &field, NULL) && field.is_of_frame &&
            !strcmp(field.name, "FrameNumber"))
            return strtoull(field.value, NULL, 10);
    }
    return (uint64_t)self->index;
}

/* 1 = a frame, 0 = the stream's end. */
static int next_frame(stream *self)
{
    while (self->file < self->walk->series->files.n) {
        const char *name;
        sono_error error;
        if (!self->source && open_next(self)) {
            self->file++;
            continue;
        }
        const sono_status status = sono_source_next(self->source, &self->image, &self->info, &name, &error);
        if (status == SONO_STATUS_END) {
            close_file(self);
            continue;
        }
        if (status == SONO_STATUS_IO || status == SONO_STATUS_FORMAT) {
            note(self, &error); /* its end: nothing more can be read */
            close_file(self);
            continue;
        }
        self->has_image = status == SONO_STATUS_OK && !self->walk->as_stored;
        self->index++;
        self->id = frame_number(self);
        self->time_ns = self->info.timestamp_ns;
        return 1;
    }
    return 0;
}

void report_walk_all(const report_walk *walk, void (*take)(void *user, const report_step *step), void *user)
{
    stream images = {.walk = walk}, masks = {.walk = walk, .is_mask = 1};
    sono_image_init(&images.image);
    sono_image_init(&masks.image);
    sono_frame_info_init(&images.info);
    sono_frame_info_init(&masks.info);
    int has_mask = next_frame(&masks);
    while (next_frame(&images)) {
        /* In the same order; a mask that was passed over belongs to an image that is not there. */
        while (has_mask && masks.id < images.id)
            has_mask = next_frame(&masks);
        const int is_pair = has_mask && masks.id == images.id;
        const report_step step = {.id = images.id,
                                  .time_ns = images.time_ns,
                                  .file = (int32_t)images.file,
                                  .index = images.index,
                                  .images = images.source,
                                  .masks = is_pair ? masks.source : NULL,
                                  .image = images.has_image ? &images.image : NULL,
                                  .mask = is_pair && masks.has_image ? &masks.image : NULL};
        take(user, &step);
        if (is_pair)
            has_mask = next_frame(&masks);
    }
    sono_source_close(images.source);
    sono_source_close(masks.source);
}
