// SPDX-License-Identifier: Apache-2.0
#include "reel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

shot *shot_open(void)
{
    return calloc(1, sizeof(shot));
}

void shot_close(shot *at)
{
    if (!at)
        return;
    free(at->name);
    free(at->pixels);
    free(at);
}

static int grow(void **memory, size_t *capacity_bytes, size_t n_bytes)
{
    if (n_bytes <= *capacity_bytes)
        return 0;
    void *larger = realloc(*memory, n_bytes);
    if (!larger)
        return -1;
    *memory = larger;
    *capacity_bytes = n_bytes;
    return 0;
}

static void fail_memory(shot *at)
{
    at->status = SONO_STATUS_OUT_OF_MEMORY;
    at->error = (sono_error){.status = SONO_STATUS_OUT_OF_MEMORY, .offset_bytes = -1};
    snprintf(at->error.text, sizeof at->error.text, "out of memory for a frame");
}

static void keep_name(shot *at, const char *name)
{
    void *memory = at->name;
    const size_t n_bytes = strlen(name) + 1;
    if (grow(&memory, &at->name_capacity_bytes, n_bytes)) {
        fail_memory(at);
        return;
    }
    at->name = memory;
    memcpy(at->name, name, n_bytes);
}

static size_t row_bytes_of(const sono_image *image)
{
    static const size_t pixel_bytes[] = {1, 1, 2, 3, 4};
    return (size_t)image->width_px * pixel_bytes[image->format];
}

/* The image's pixels, which are the source's for a moment, become the shot's. */
static void keep_pixels(shot *at)
{
    sono_image *image = &at->image;
    const size_t row_bytes = row_bytes_of(image), height_px = (size_t)image->height_px;
    const size_t pitch_bytes = image->pitch_bytes ? image->pitch_bytes : row_bytes;
    void *memory = at->pixels;
    if (grow(&memory, &at->capacity_bytes, row_bytes * height_px)) {
        fail_memory(at);
        return;
    }
    at->pixels = memory;
    for (size_t y = 0; y < height_px; y++)
        memcpy(at->pixels + y * row_bytes, (const uint8_t *)image->pixels + y * pitch_bytes, row_bytes);
    image->pixels = at->pixels;
    image->pitch_bytes = row_bytes;
}

int reel_open(reel *self)
{
    if (self->is_whole)
        self->n_units = 1;
    self->units = calloc((size_t)self->n_units, sizeof *self->units);
    if (!self->units)
        return -1;
    for (int32_t i = 0; i < self->n_units; i++)
        for (int32_t k = 0; k < REEL_AHEAD; k++)
            if (!(self->units[i].shots[k] = shot_open()))
                return -1;
    return 0;
}

static void close_source(const reel *self, reel_unit *unit)
{
    if (!self->is_whole)
        sono_source_close(unit->source);
    unit->source = NULL;
}

void reel_close(reel *self)
{
    for (int32_t i = 0; self->units && i < self->n_units; i++) {
        close_source(self, &self->units[i]);
        for (int32_t k = 0; k < REEL_AHEAD; k++)
            shot_close(self->units[i].shots[k]);
    }
    free(self->units);
    self->units = NULL;
}

static reel_unit *unit_at(const reel *self, int64_t number)
{
    return &self->units[number % self->n_units];
}

/* Whether the number of the frame behind the units that were begun is known. */
static int knows_next_id(const reel *self, uint64_t *out)
{
    *out = 0;
    if (self->n_opened == 0)
        return 1;
    const reel_unit *last = unit_at(self, self->n_opened - 1);
    if (!last->is_single && (last->is_busy || !last->is_ended))
        return 0;
    *out = last->first_id + (last->is_single ? 1 : (uint64_t)last->n_read);
    return 1;
}

static reel_unit *begin_unit(reel *self)
{
    uint64_t first_id = 0;
    if (self->is_at_end || self->n_opened - self->n_taken_up >= self->n_units ||
        (self->wants && !knows_next_id(self, &first_id)))
        return NULL;
    const char *path = self->is_whole ? NULL : sono_source_path(self->source, self->n_opened);
    if (!path && (!self->is_whole || self->n_opened > 0)) {
        self->is_at_end = 1;
        return NULL;
    }
    reel_unit *unit = unit_at(self, self->n_opened++);
    shot *shots[REEL_AHEAD];
    memcpy(shots, unit->shots, sizeof shots);
    *unit = (reel_unit){.path = path, .first_id = first_id, .n_counted = 1};
    unit->is_single = self->wants && path && sono_source_is_one_frame(path);
    memcpy(unit->shots, shots, sizeof shots);
    return unit;
}

reel_unit *reel_claim(reel *self)
{
    reel_unit *found = NULL;
    for (int64_t u = self->n_taken_up; !found && u < self->n_opened; u++) {
        reel_unit *unit = unit_at(self, u);
        if (!unit->is_busy && !unit->is_ended && unit->n_waiting < REEL_AHEAD)
            found = unit;
    }
    if (!found)
        found = begin_unit(self);
    if (found) {
        found->is_busy = 1;
        found->place = (found->first + found->n_waiting) % REEL_AHEAD;
    }
    return found;
}

static sono_status open_source(const reel *self, reel_unit *unit, sono_error *error)
{
    if (self->is_whole)
        unit->source = self->source;
    if (unit->source)
        return SONO_STATUS_OK;
    return sono_source_open_files(&unit->path, 1, self->options, &unit->source, error);
}

/* A file that holds one frame, which nobody wants: nothing of it is read. */
static int is_passed_over(const reel *self, const reel_unit *unit, shot *at)
{
    if (!unit->is_single || unit->n_read)
        return 0;
    at->want = self->wants(self->user, unit->first_id, unit->path);
    if (at->want == REEL_WANTED)
        return 0;
    keep_name(at, unit->path);
    return 1;
}

/* Returns whether the unit has ended instead. */
static int read_frame(const reel *self, reel_unit *unit, shot *at)
{
    const char *name = NULL;
    at->status = open_source(self, unit, &at->error);
    if (!at->status)
        at->status = sono_source_next(unit->source, &at->image, &at->info, &name, &at->error);
    if (at->status == SONO_STATUS_END)
        return 1;
    keep_name(at, name ? name : unit->path ? unit->path : "input");
    if (self->wants && !unit->is_single) /* that one is wanted: it was not passed over */
        at->want = self->wants(self->user, unit->first_id + (uint64_t)unit->n_read, at->name);
    if (at->status && at->want == REEL_ELSEWHERE)
        at->status = SONO_STATUS_OK; /* whose it is says so */
    if (!at->status && at->want == REEL_WANTED)
        keep_pixels(at);
    return 0;
}

void reel_read(const reel *self, reel_unit *unit)
{
    shot *at = unit->shots[unit->place];
    at->status = SONO_STATUS_OK;
    at->want = REEL_WANTED;
    sono_image_init(&at->image);
    sono_frame_info_init(&at->info);
    unit->has_frame = is_passed_over(self, unit, at) || !read_frame(self, unit, at);
    /* A path that was not opened failed, or was passed over: it is one. */
    unit->n_found = unit->source ? sono_source_count(unit->source) : 1;
}

void reel_settle(reel *self, reel_unit *unit)
{
    unit->is_busy = 0;
    unit->n_read += unit->has_frame;
    unit->n_waiting += unit->has_frame;
    self->n_extra -= unit->n_counted - 1;
    unit->n_counted = unit->n_found > unit->n_read ? unit->n_found : unit->n_read;
    self->n_extra += unit->n_counted - 1;
    unit->is_ended = !unit->has_frame || unit->n_found == unit->n_read;
}

int reel_take(reel *self, shot **spare)
{
    while (self->n_taken_up < self->n_opened) {
        reel_unit *unit = unit_at(self, self->n_taken_up);
        if (unit->n_waiting > 0) {
            shot **place = &unit->shots[unit->first];
            shot *taken = *place;
            *place = *spare;
            *spare = taken;
            unit->first = (unit->first + 1) % REEL_AHEAD;
            unit->n_waiting--;
            return 1;
        }
        if (unit->is_busy || !unit->is_ended)
            return 0;
        close_source(self, unit);
        self->n_taken_up++;
    }
    return 0;
}

int reel_is_done(const reel *self)
{
    return self->is_at_end && self->n_taken_up == self->n_opened;
}

int64_t reel_count(const reel *self)
{
    if (self->is_whole)
        return self->n_opened ? self->units[0].n_counted : -1;
    return sono_source_count(self->source) + self->n_extra;
}
