// SPDX-License-Identifier: Apache-2.0
#include "export_sequence.h"

#include "args.h"

#include "record/record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME     "masks"
#define N_FIELDS 5

struct export_sequence {
    const char *path;
    char folder[PATH_MAX]; /* hidden */
    sono_record *record;
    uint8_t *mask; /* of all objects */
    size_t mask_bytes;
};

export_sequence *export_sequence_open(const char *path, sono_orientation orientation)
{
    sono_error error;
    char prefix[PATH_MAX];
    sono_record_options options;
    const char *slash = strrchr(path, '/');
    export_sequence *self = calloc(1, sizeof *self);
    if (!self) {
        report_error("out of memory");
        return NULL;
    }
    self->path = path;
    if (snprintf(self->folder, sizeof self->folder, "%.*s.sonoseg-part-XXXXXX",
                 slash ? (int)(slash + 1 - path) : 0, path) >= (int)sizeof self->folder - 32 ||
        !mkdtemp(self->folder)) {
        report_error("%s: cannot be created: %s", path, strerror(errno));
        free(self);
        return NULL;
    }
    snprintf(prefix, sizeof prefix, "%.*s/" NAME, PATH_MAX - 16, self->folder);
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.orientation = orientation;
    if (!sono_record_open(&options, &self->record, &error))
        return self;
    report_error("%s: %s", path, error.text);
    export_sequence_close(self, 0, 0);
    return NULL;
}

/* 0 and 255, as the service records them: of every object. */
static int unite(export_sequence *self, const export_frame *frame)
{
    const size_t n = (size_t)frame->frame.width_px * (size_t)frame->frame.height_px;
    if (n > self->mask_bytes) {
        uint8_t *mask = realloc(self->mask, n);
        if (!mask) {
            report_error("out of memory");
            return -1;
        }
        self->mask = mask;
        self->mask_bytes = n;
    }
    memset(self->mask, 0, n);
    for (int32_t k = 0; k < frame->n_objects; k++)
        for (size_t i = 0; i < n; i++)
            self->mask[i] |= frame->objects[k].mask[i] ? 255 : 0;
    return 0;
}

static void set_pose(sono_record_transform *transform, const sono_frame_info *info)
{
    *transform = (sono_record_transform){.name = "ImageToReference", .is_valid = 1};
    memcpy(transform->matrix, info->image_to_reference, sizeof info->image_to_reference);
    transform->matrix[15] = 1;
}

int export_sequence_add(export_sequence *self, const export_frame *frame)
{
    sono_error error;
    char score[32], box[128], area[32];
    int64_t area_px = 0;
    sono_record_transform pose;
    const sono_export_object *object = &frame->objects[0];
    const float *b = object->bbox_xyxy_px;
    if (unite(self, frame))
        return -1;
    for (size_t i = 0; i < (size_t)frame->frame.width_px * (size_t)frame->frame.height_px; i++)
        area_px += self->mask[i] != 0;
    snprintf(score, sizeof score, "%.9g", (double)object->score);
    snprintf(box, sizeof box, "%.9g %.9g %.9g %.9g", (double)b[0], (double)b[1], (double)b[2], (double)b[3]);
    snprintf(area, sizeof area, "%lld", (long long)area_px);
    const sono_record_field fields[N_FIELDS] = {{"State", sono_state_name(frame->frame.state)},
                                                {"Score", score},
                                                {"BBox", box},
                                                {"AreaPx", area},
                                                {"Source", frame->name}};
    set_pose(&pose, &frame->info);
    const sono_record_frame record = {
        .pixels = self->mask,
        .width_px = frame->frame.width_px,
        .height_px = frame->frame.height_px,
        .element = SONO_ELEMENT_U8,
        .components = 1,
        .id = frame->info.frame_id,
        .timestamp_ns = frame->info.timestamp_ns,
        .spacing_mm = {frame->info.spacing_mm[0], frame->info.spacing_mm[1]},
        .transforms = &pose,
        .n_transforms = frame->info.has_pose,
        .fields = fields,
        .n_fields = N_FIELDS,
    };
    if (!sono_record_frame_add(self->record, &record, &error))
        return 0;
    report_error("%s: %s", self->path, error.text);
    return -1;
}

/* Where file number n of n_all goes: PATH itself, or NAME_0002.igs.mha. */
static int place_of(const export_sequence *self, int32_t n, int32_t n_all, char out[PATH_MAX])
{
    const char *path = self->path;
    const size_t n_path = strlen(path);
    const char *end =
        n_path > 8 && !strcmp(path + n_path - 8, ".igs.mha") ? path + n_path - 8 : path + n_path - 4;
    const int n_out = n_all == 1 ? snprintf(out, PATH_MAX, "%s", path)
                                 : snprintf(out, PATH_MAX, "%.*s_%04d%s", (int)(end - path), path, n, end);
    return n_out < PATH_MAX ? 0 : -1;
}

static int move(const export_sequence *self, int32_t n_all, int may_replace)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (int32_t n = 1; n <= n_all; n++) {
        if (snprintf(from, sizeof from, "%.*s/" NAME "_%04d.igs.mha", PATH_MAX - 32, self->folder, n) >=
                (int)sizeof from ||
            place_of(self, n, n_all, to)) {
            report_error("%s: the path is too long", self->path);
            return -1;
        }
        if (!may_replace && !access(to, F_OK)) {
            report_error("%s: is there already: choose another path, or --force", to);
            return -1;
        }
        if (rename(from, to)) {
            report_error("%s: cannot be put in its place: %s", to, strerror(errno));
            return -1;
        }
    }
    return 0;
}

static void remove_folder(const char *folder)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return;
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
    rmdir(folder);
}

int export_sequence_close(export_sequence *self, int keep, int may_replace)
{
    sono_error error;
    sono_record_info info = {0};
    if (!self)
        return 0;
    if (self->record)
        sono_record_query(self->record, &info);
    int status = 0;
    if (sono_record_close(self->record, keep, &error) && keep) {
        report_error("%s: %s", self->path, error.text);
        status = -1;
    }
    if (keep && !status)
        status = move(self, info.n_segments, may_replace);
    remove_folder(self->folder);
    free(self->mask);
    free(self);
    return status;
}
