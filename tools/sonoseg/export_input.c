// SPDX-License-Identifier: Apache-2.0
#include "export_input.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void export_input_init(export_input *self, const char *const *paths, int32_t n_paths)
{
    *self = (export_input){.paths = paths, .n_paths = n_paths};
}

static void close_one(export_input *self)
{
    if (self->lines)
        fclose(self->lines);
    self->lines = NULL;
    sono_source_close(self->source);
    self->source = NULL;
    free(self->file);
    self->file = NULL;
}

static int open_one(export_input *self)
{
    struct stat facts;
    const char *path = self->paths[self->at];
    if (!stat(path, &facts) && S_ISDIR(facts.st_mode))
        return export_results_open(self, path);
    return export_recording_open(self, path);
}

int export_input_next(export_input *self, export_frame *out)
{
    for (; self->at < self->n_paths; self->at++) {
        memset(out, 0, sizeof *out);
        sono_frame_info_init(&out->info);
        out->frame.info = &out->info;
        out->frame.name = out->name;
        if (!self->lines && !self->source && open_one(self))
            return -1;
        const int found = self->lines ? export_results_next(self, out) : export_recording_next(self, out);
        if (found > 0 && self->spacing_mm[0] > 0)
            memcpy(out->info.spacing_mm, self->spacing_mm, sizeof self->spacing_mm);
        if (found)
            return found;
        close_one(self);
    }
    return 0;
}

int export_input_masks(export_input *self, export_frame *frame)
{
    return self->lines ? export_results_masks(self, frame) : export_recording_masks(self, frame);
}

void export_input_rewind(export_input *self)
{
    close_one(self);
    self->at = 0;
}

void export_input_close(export_input *self)
{
    close_one(self);
    free(self->text);
    free(self->pixels);
    free(self->points);
    free(self->starts);
    free(self->counts);
    *self = (export_input){0};
}

int export_input_fail(export_input *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(self->reason, sizeof self->reason, format, args);
    va_end(args);
    return -1;
}

uint8_t *export_input_room(export_input *self, const export_frame *frame, int32_t n)
{
    const size_t wanted = (size_t)frame->frame.width_px * (size_t)frame->frame.height_px * (size_t)n;
    if (wanted > self->pixels_bytes) {
        uint8_t *pixels = realloc(self->pixels, wanted);
        if (!pixels) {
            export_input_fail(self, "out of memory for %d masks of %d x %d pixels", n, frame->frame.width_px,
                              frame->frame.height_px);
            return NULL;
        }
        self->pixels = pixels;
        self->pixels_bytes = wanted;
    }
    return self->pixels;
}

int64_t export_time_ns(const char *seconds)
{
    const int is_negative = *seconds == '-';
    int64_t ns = 0, unit_ns = 100000000;
    const char *at = seconds + is_negative;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(ns, 10, &ns) || __builtin_add_overflow(ns, *at - '0', &ns))
            return 0;
    if (__builtin_mul_overflow(ns, 1000000000, &ns))
        return 0;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, unit_ns /= 10)
            if (__builtin_add_overflow(ns, unit_ns * (*at - '0'), &ns))
                return 0;
    return is_negative ? -ns : ns;
}

static int grow(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return 0;
    const size_t larger = needed > 2 * *capacity ? needed : 2 * *capacity;
    void *memory = realloc(*items, larger * item_bytes);
    if (!memory)
        return -1;
    *items = memory;
    *capacity = larger;
    return 0;
}

/* One [x, y] at *at, which goes behind it. */
static int take_point(export_input *self, const char **at, const double scale[2], size_t n_points)
{
    char *end;
    void *items = self->points;
    if (grow(&items, &self->points_capacity, 2 * n_points + 2, sizeof *self->points))
        return -1;
    self->points = items;
    for (int axis = 0; axis < 2; axis++) {
        (*at)++; /* the bracket, the comma */
        self->points[2 * n_points + (size_t)axis] = scale[axis] * strtod(*at, &end);
        if (end == *at || *end != (axis ? ']' : ','))
            return -1;
        *at = end;
    }
    (*at)++;
    return 0;
}

int export_surface_read(export_input *self, const char *value, const double scale[2], export_frame *out)
{
    size_t n_points = 0, n_lines = 0;
    const char *at = value;
    if (*at++ != '[')
        return -1;
    for (at += strspn(at, ", "); *at == '['; at += strspn(at, ", ")) {
        void *items = self->starts;
        if (grow(&items, &self->starts_capacity, n_lines + 2, sizeof *self->starts))
            return -1;
        self->starts = items;
        self->starts[n_lines++] = (int32_t)n_points;
        at++;
        for (at += strspn(at, ", "); *at == '['; at += strspn(at, ", "), n_points++)
            if (n_points >= INT32_MAX / 2 || take_point(self, &at, scale, n_points))
                return -1;
        if (*at++ != ']')
            return -1;
        self->starts[n_lines] = (int32_t)n_points;
    }
    out->surface = (sono_export_surface){self->points, self->starts, (int32_t)n_lines};
    return *at == ']' ? 0 : -1;
}
