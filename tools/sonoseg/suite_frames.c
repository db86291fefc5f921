// SPDX-License-Identifier: Apache-2.0
#include "suite_frames.h"

#include "args.h"
#include "json.h"
#include "metrics_report.h"
#include "output_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_CAPACITY 256

int suite_folder_exists(const char *path)
{
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

int suite_frames_open_lines(suite_frames *self, int precision, const char *path)
{
    self->paths[precision] = strdup(path);
    if (!self->paths[precision]) {
        report_error("out of memory");
        return -1;
    }
    self->lists[precision].lines = output_file_open(path);
    return self->lists[precision].lines ? 0 : -1;
}

static int reserve(suite_list *list, int is_real)
{
    if (list->n < list->capacity)
        return 0;
    const size_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
    void *grown = is_real ? realloc(list->real, capacity * sizeof *list->real)
                          : realloc(list->phantom, capacity * sizeof *list->phantom);
    if (!grown)
        return -1;
    if (is_real)
        list->real = grown;
    else
        list->phantom = grown;
    list->capacity = capacity;
    return 0;
}

static void write_flanks(FILE *stream, const suite_frame *frame)
{
    if (frame->has_marks)
        fprintf(stream, ", \"flanks_px\": [%.3f, %.3f]", frame->flank_px[FLANK_LEFT],
                frame->flank_px[FLANK_RIGHT]);
    fputs("}\n", stream);
}

/* Those of the frame of that name; NULL = it has none. */
static const flank_marks *find_marks(const char *name)
{
    for (size_t i = 0; i < real_mark_count; i++)
        if (!strcmp(real_marks[i].file, name))
            return &real_marks[i];
    return NULL;
}

static void add_real(const suite_frames *self, suite_list *list, const flight *current,
                     const sono_packet *packet)
{
    const char *slash = strrchr(current->name, '/');
    const uint8_t *mask = flights_best_mask(packet);
    suite_frame *frame = &list->real[list->n++];
    const char *name = slash ? slash + 1 : current->name;
    const flank_marks *marks = find_marks(name);
    *frame = (suite_frame){
        .is_visible = packet->state == SONO_STATE_VISIBLE,
        .score = (double)sono_packet_object(packet, 0)->score,
        .has_marks = marks && mask,
    };
    snprintf(frame->name, sizeof frame->name, "%s", name);
    if (frame->has_marks)
        flanks_measure(mask, packet->width_px, packet->height_px, marks, frame->flank_px);
    if (!list->lines)
        return;
    fputs("{\"source\": ", list->lines);
    json_string(list->lines, frame->name);
    fprintf(list->lines, ", \"positive\": %s, \"state\": \"%s\", \"score\": %.6f",
            self->has_bone ? "true" : "false", sono_state_name(packet->state), frame->score);
    write_flanks(list->lines, frame);
}

int suite_frames_add(suite_frames *self, int precision, const flight *current, const sono_packet *packet)
{
    suite_list *list = &self->lists[precision];
    if (list->n == self->n_most)
        return 0;
    if (reserve(list, self->is_real))
        return -1;
    if (self->is_real) {
        add_real(self, list, current, packet);
        return 0;
    }
    metrics_frame *frame = &list->phantom[list->n];
    const metrics_truth truth = {current->truth.labels, current->image.width_px, current->image.height_px};
    if (metrics_measure(sono_packet_object(packet, 0), flights_best_mask(packet), &truth, self->threshold,
                        frame))
        return -1;
    list->n++;
    if (list->lines)
        metrics_report_line(list->lines, packet, current->name, frame);
    return 0;
}

int suite_frames_written(const suite_frames *self, int precision)
{
    return !self->lists[precision].lines || !fflush(self->lists[precision].lines);
}

size_t suite_frames_count(const suite_frames *self)
{
    return self->lists[0].n;
}

int suite_frames_summarise(suite_frames *self, int n_precisions, suite_result *out)
{
    for (int p = 0; p < n_precisions; p++) {
        suite_list *list = &self->lists[p];
        const int result = self->is_real
                               ? suite_real_summarise(list->real, list->n, self->has_bone, &out->real[p])
                               : metrics_summarise(list->phantom, list->n, self->threshold, &out->phantom[p]);
        if (result)
            return -1;
    }
    out->is_measured = 1;
    return 0;
}

int suite_frames_close_lines(suite_frames *self)
{
    int result = 0;
    for (int p = 0; p < SUITE_PRECISIONS; p++) {
        if (self->lists[p].lines && output_file_close(self->lists[p].lines, self->paths[p]))
            result = -1;
        self->lists[p].lines = NULL;
        free(self->paths[p]);
        self->paths[p] = NULL;
    }
    return result;
}

void suite_frames_free(suite_frames *self)
{
    for (int p = 0; p < SUITE_PRECISIONS; p++) {
        free(self->lists[p].phantom);
        free(self->lists[p].real);
    }
    *self = (suite_frames){0};
}
