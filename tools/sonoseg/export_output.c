// SPDX-License-Identifier: Apache-2.0
#include "export_output.h"

#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_stack(export_kind kind)
{
    return kind != EXPORT_COCO && kind != EXPORT_CSV;
}

static int is_near(double left, double right)
{
    return fabs(left - right) <= 1e-4 * fmax(fabs(left), fabs(right));
}

static int is_of(const export_output *self, const export_file *file, const export_frame *frame)
{
    return !is_stack(self->kind) ||
           (file->width_px == frame->frame.width_px && file->height_px == frame->frame.height_px &&
            is_near(file->spacing_mm[0], frame->info.spacing_mm[0]) &&
            is_near(file->spacing_mm[1], frame->info.spacing_mm[1]));
}

static int64_t most_frames(const export_output *self)
{
    return self->kind == EXPORT_NIFTI && self->may_split ? SONO_EXPORT_NIFTI_MOST : INT64_MAX;
}

/* The newest file of the frame's kind; NULL when it is full, or there is none. */
static export_file *find_open(export_output *self, const export_frame *frame)
{
    for (int32_t i = self->n_files - 1; i >= 0; i--)
        if (is_of(self, &self->files[i], frame))
            return self->files[i].n_frames < most_frames(self) ? &self->files[i] : NULL;
    return NULL;
}

int export_output_plan(export_output *self, const export_frame *frame)
{
    const int64_t now_ns = frame->info.timestamp_ns;
    export_file *file = find_open(self, frame);
    if (!file) {
        if (self->n_files == EXPORT_MAX_FILES) {
            report_error("the frames have more than %d sizes and spacings, or need as many files: export "
                         "fewer of them at once",
                         EXPORT_MAX_FILES);
            return -1;
        }
        file = &self->files[self->n_files++];
        *file = (export_file){.width_px = frame->frame.width_px,
                              .height_px = frame->frame.height_px,
                              .spacing_mm = {frame->info.spacing_mm[0], frame->info.spacing_mm[1]},
                              .first_ns = now_ns,
                              .has_times = 1};
    }
    file->has_times &= now_ns && (!file->n_frames || now_ns > file->last_ns);
    file->last_ns = now_ns;
    file->n_frames++;
    return 0;
}

static int refuse_sizes(const export_output *self)
{
    const export_file *one = &self->files[0], *other = &self->files[1];
    report_error(
        "frames differ: %lld have %d x %d pixels of %g x %g mm, %lld have %d x %d of %g x %g: one file "
        "holds one size and spacing; --split writes a file for each%s",
        (long long)one->n_frames, one->width_px, one->height_px, one->spacing_mm[0], one->spacing_mm[1],
        (long long)other->n_frames, other->width_px, other->height_px, other->spacing_mm[0],
        other->spacing_mm[1], self->kind == EXPORT_SEQUENCE ? "" : ", --format coco takes all in one");
    return -1;
}

/* OUT_640x480.nii.gz, and OUT_640x480_2.nii.gz for the second of that size. */
static int name_file(export_output *self, int32_t index)
{
    export_file *file = &self->files[index];
    char number[16] = "";
    int32_t n_before = 0;
    const char *slash = strrchr(self->path, '/'), *base = slash ? slash + 1 : self->path;
    static const char *const endings[] = {".nii.gz", ".igs.mha"};
    const char *end = strrchr(base, '.');
    const size_t n_base = strlen(base);
    for (size_t i = 0; i < 2; i++)
        if (n_base > strlen(endings[i]) && !strcmp(base + n_base - strlen(endings[i]), endings[i]))
            end = base + n_base - strlen(endings[i]);
    for (int32_t i = 0; i < index; i++)
        n_before += self->files[i].width_px == file->width_px && self->files[i].height_px == file->height_px;
    if (n_before)
        snprintf(number, sizeof number, "_%d", n_before + 1);
    const int n = self->n_files == 1
                      ? snprintf(file->path, sizeof file->path, "%s", self->path)
                      : snprintf(file->path, sizeof file->path, "%.*s_%dx%d%s%s", (int)(end - self->path),
                                 self->path, file->width_px, file->height_px, number, end);
    return n < (int)sizeof file->path ? 0 : -1;
}

int export_output_check(export_output *self, const char *const *inputs, int32_t n_inputs)
{
    sono_error error;
    if (self->n_files > 1 && !self->may_split)
        return refuse_sizes(self);
    for (int32_t i = 0; i < self->n_files; i++) {
        const export_file *file = &self->files[i];
        if (name_file(self, i)) {
            report_error("%s: the path is too long", self->path);
            return -1;
        }
        const sono_output output = {file->path, SONO_OUTPUT_FILE};
        if (sono_output_check(inputs, n_inputs, &output, 1, &error)) {
            report_error("%s", error.text);
            return -1;
        }
        if (!self->may_replace && !access(file->path, F_OK)) {
            report_error("%s: is there already: choose another path, or --force", file->path);
            return -1;
        }
        if (self->kind == EXPORT_NIFTI && file->n_frames > SONO_EXPORT_NIFTI_MOST) {
            report_error(
                "%s: NIfTI-1 holds %d frames, these are %lld: --split writes several files, --format "
                "nrrd one",
                file->path, SONO_EXPORT_NIFTI_MOST, (long long)file->n_frames);
            return -1;
        }
    }
    return 0;
}

static int open_file(export_output *self, export_file *file)
{
    sono_error error;
    sono_export_options options;
    sono_export_options_init(&options);
    options.format = (sono_export_format)self->kind;
    options.width_px = file->width_px;
    options.height_px = file->height_px;
    options.n_frames = file->n_frames;
    memcpy(options.spacing_mm, file->spacing_mm, sizeof options.spacing_mm);
    if (file->has_times && file->n_frames > 1)
        options.interval_s = (double)(file->last_ns - file->first_ns) / 1e9 / (double)(file->n_frames - 1);
    options.in_mm = self->in_mm;
    options.category = self->category;
    if (!sono_export_open(file->path, &options, &file->writer, &error))
        return 0;
    report_error("%s", error.text);
    return -1;
}

int export_output_open(export_output *self)
{
    for (int32_t i = 0; i < self->n_files && self->kind != EXPORT_SEQUENCE; i++)
        if (open_file(self, &self->files[i]))
            return -1;
    return 0;
}

/* The file that the plan has put the frame into; NULL when the input is not what it was. */
static export_file *next_file(export_output *self, const export_frame *frame)
{
    for (int32_t i = 0; i < self->n_files; i++)
        if (is_of(self, &self->files[i], frame) && self->files[i].n_seen < self->files[i].n_frames) {
            self->files[i].n_seen++;
            return &self->files[i];
        }
    report_error("%s: was changed while it was read: export it again", frame->name);
    return NULL;
}

static int is_done(sono_status status, const sono_error *error)
{
    if (status == SONO_STATUS_OK)
        return 0;
    report_error("%s", error->text);
    return -1;
}

int export_output_describe(export_output *self, const export_frame *frame)
{
    sono_error error;
    const export_file *file = next_file(self, frame);
    if (!file)
        return -1;
    return file->writer ? is_done(sono_export_describe(file->writer, &frame->frame, &error), &error) : 0;
}

int export_output_add(export_output *self, const export_frame *frame)
{
    sono_error error;
    export_file *file = next_file(self, frame);
    if (!file)
        return -1;
    if (file->writer)
        return is_done(sono_export_add(file->writer, &frame->frame, frame->objects, frame->n_objects,
                                       frame->has_surface ? &frame->surface : NULL, &error),
                       &error);
    if (!file->sequence)
        file->sequence = export_sequence_open(file->path, frame->info.orientation);
    return file->sequence ? export_sequence_add(file->sequence, frame) : -1;
}

void export_output_rewind(export_output *self)
{
    for (int32_t i = 0; i < self->n_files; i++)
        self->files[i].n_seen = 0;
}

int export_output_close(export_output *self, int keep)
{
    int status = 0;
    for (int32_t i = 0; i < self->n_files; i++) {
        sono_error error;
        export_file *file = &self->files[i];
        if (keep && file->n_seen != file->n_frames) {
            report_error("%s: has fewer frames than before: were the results changed? Export them again",
                         file->path);
            keep = 0;
            status = -1;
        }
        if (keep && file->writer && !self->may_replace && !access(file->path, F_OK)) {
            report_error("%s: is there already: choose another path, or --force", file->path);
            keep = 0;
            status = -1;
        }
        if (is_done(sono_export_close(file->writer, keep, &error), &error) ||
            export_sequence_close(file->sequence, keep, self->may_replace)) {
            keep = 0;
            status = -1;
        }
        file->writer = NULL;
        file->sequence = NULL;
    }
    return status;
}
