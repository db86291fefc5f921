// SPDX-License-Identifier: Apache-2.0
#include "export_input.h"

#include "args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The recording of masks beside one of images: NAME_0001.igs.mha -> NAME_masks_0001.igs.mha, or as a pair.
 * "" = there is none. */
static void find_masks(const char *path, char out[PATH_MAX])
{
    static const char *const suffixes[] = {".igs.mha", ".igs.mhd"};
    const size_t n_path = strlen(path), n_suffix = strlen(suffixes[0]);
    const char *number = strrchr(path, '_');
    out[0] = 0;
    if (!number || n_path < n_suffix || path + n_path - n_suffix < number)
        return;
    for (size_t i = 0; i < 2; i++) {
        if (snprintf(out, PATH_MAX, "%.*s_masks%.*s%s", (int)(number - path), path,
                     (int)(path + n_path - n_suffix - number), number, suffixes[i]) >= PATH_MAX ||
            access(out, F_OK))
            out[0] = 0;
        else
            return;
    }
}

static int open_source(export_input *self, const char *path)
{
    sono_error error;
    sono_source_options options;
    sono_source_options_init(&options);
    options.as_stored = 1;
    options.max_pixels = INT64_MAX;
    if (!sono_source_open_sequence(path, &options, &self->source, &error))
        return 0;
    report_error("%s", error.text);
    return -1;
}

static const char *field(const export_input *self, const char *name)
{
    sono_source_field found;
    const int32_t n = sono_source_field_count(self->source);
    for (int32_t i = 0; i < n; i++)
        if (!sono_source_field_at(self->source, i, &found, NULL) && found.is_of_frame &&
            !strcasecmp(found.name, name))
            return found.value;
    return NULL;
}

static int refuse(const char *path)
{
    report_error("%s: has images, no masks: 'sonoseg run %s --output DIR' finds them, 'sonoseg export DIR' "
                 "takes them",
                 path, path);
    return -1;
}

/* Whether the first frame says that it is a mask. -1 after report_error(). */
static int is_of_masks(export_input *self)
{
    sono_error error;
    sono_image image;
    const char *name;
    sono_image_init(&image);
    const sono_status status = sono_source_next(self->source, &image, NULL, &name, &error);
    if (status == SONO_STATUS_END) {
        report_error("%s: has no frames", self->file);
        return -1;
    }
    if (status != SONO_STATUS_OK && status != SONO_STATUS_UNSUPPORTED) {
        report_error("%s", error.text);
        return -1;
    }
    return field(self, "State") != NULL;
}

int export_recording_open(export_input *self, const char *path)
{
    char masks[PATH_MAX];
    self->file = strdup(path);
    if (!self->file) {
        report_error("out of memory");
        return -1;
    }
    if (access(path, F_OK)) {
        report_error("%s: %s: a folder of results or a recording is expected", path, strerror(errno));
        return -1;
    }
    if (open_source(self, path))
        return -1;
    const int found = is_of_masks(self);
    if (found < 0)
        return -1;
    sono_source_close(self->source);
    self->source = NULL;
    if (!found) {
        find_masks(path, masks);
        if (!*masks)
            return refuse(path);
        free(self->file);
        self->file = strdup(masks);
        if (!self->file) {
            report_error("out of memory");
            return -1;
        }
    }
    return open_source(self, self->file);
}

static sono_state state_of(const char *name)
{
    for (int i = SONO_STATE_LOST; i <= SONO_STATE_RELOCALIZING; i++)
        if (name && !strcmp(name, sono_state_name((sono_state)i)))
            return (sono_state)i;
    return SONO_STATE_LOST;
}

static void read_object(const export_input *self, export_frame *out)
{
    const char *score = field(self, "Score"), *box = field(self, "BBox"), *area = field(self, "AreaPx");
    out->n_objects = 1;
    out->objects[0].score = score ? strtof(score, NULL) : 0;
    out->area_px[0] = area ? strtoll(area, NULL, 10) : -1;
    for (int i = 0; box && i < 4; i++) {
        char *end;
        out->objects[0].bbox_xyxy_px[i] = strtof(box, &end);
        box = end == box ? NULL : end;
    }
}

int export_recording_next(export_input *self, export_frame *out)
{
    sono_error error = {0};
    sono_samples samples;
    const char *name = NULL;
    const sono_sequence_info *sequence = sono_source_sequence(self->source);
    sono_image image;
    sono_image_init(&image);
    const sono_status status = sono_source_next(self->source, &image, &out->info, &name, &error);
    if (status == SONO_STATUS_END)
        return 0;
    if (status != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return -1;
    }
    const char *id = field(self, "FrameNumber"), *origin = field(self, "Source");
    const char *slash = name ? strrchr(name, '/') : NULL;
    snprintf(out->name, sizeof out->name, "%s", origin ? origin : slash ? slash + 1 : name ? name : "");
    if (id)
        out->info.frame_id = strtoull(id, NULL, 10);
    out->frame.width_px = sequence->width_px;
    out->frame.height_px = sequence->height_px;
    out->frame.state = state_of(field(self, "State"));
    out->masks = EXPORT_MASKS_PIXELS;
    read_object(self, out);
    if (sono_source_samples(self->source, &samples, &error)) {
        report_error("%s", error.text);
        return -1;
    }
    if (sequence->element == SONO_ELEMENT_U8 && sequence->components == 1)
        return 1;
    report_error("%s: its pixels are no masks of 8 bits", self->file);
    return -1;
}

/* A frame whose mask was not shown has no image, or zeros. */
int export_recording_masks(export_input *self, export_frame *frame)
{
    sono_error error;
    sono_samples samples;
    const size_t n = (size_t)frame->frame.width_px * (size_t)frame->frame.height_px;
    if (sono_source_samples(self->source, &samples, &error))
        return export_input_fail(self, "%s", error.text);
    if (!samples.data) {
        uint8_t *room = export_input_room(self, frame, 1);
        if (!room)
            return -1;
        memset(room, 0, n);
        frame->objects[0].mask = room;
        return 0;
    }
    frame->objects[0].mask = samples.data;
    return 0;
}
