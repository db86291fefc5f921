// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "export_output.h"
#include "progress.h"
#include "stop.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NAMED 20 /* masks that cannot be read: more are counted */

enum { ID_FORMAT = 'f', ID_SPACING = 256, ID_CATEGORY, ID_SPLIT, ID_FORCE, ID_QUIET = 'q' };

typedef struct format {
    const char *name, *ending;
} format;

static const format formats[] = {
    [EXPORT_COCO] = {"coco", ".json"},        [EXPORT_NIFTI] = {"nifti", ".nii.gz"},
    [EXPORT_NRRD] = {"nrrd", ".nrrd"},        [EXPORT_CSV] = {"csv", ".csv"},
    [EXPORT_SEQUENCE] = {"sequence", ".mha"},
};

#define N_FORMATS ((int)(sizeof formats / sizeof formats[0]))

typedef struct exporting {
    const char **paths; /* array owned, texts borrowed from argv; the last one is the output */
    int32_t n_paths;
    int kind; /* -1 = by the output's name */
    const char *category;
    double spacing_mm[2];
    int may_split, may_replace, is_quiet;
    export_input input;
    export_output output;
    progress bar;
    int64_t n_frames, n_broken;
    int64_t n_surfaces, n_points, n_in_mm; /* frames where one was looked for, found, and is in mm */
    int64_t n_without_masks, n_without_spacing;
} exporting;

static int take_format(exporting *self, const char *value)
{
    for (int i = 0; i < N_FORMATS; i++)
        if (!strcmp(value, formats[i].name)) {
            self->kind = i;
            return 0;
        }
    report_error("--format: '%s' is none of coco, nifti, nrrd, csv, sequence", value);
    return -1;
}

static int take_spacing(exporting *self, const char *value)
{
    char *end;
    self->spacing_mm[0] = self->spacing_mm[1] = strtod(value, &end);
    if (*end == ',')
        self->spacing_mm[1] = strtod(end + 1, &end);
    for (int axis = 0; axis < 2; axis++)
        if (*end || !(self->spacing_mm[axis] >= 1e-6 && self->spacing_mm[axis] <= 1e3)) {
            report_error("--spacing: '%s' is not X,Y in millimetres, such as 0.12,0.12", value);
            return -1;
        }
    return 0;
}

static int take_path(exporting *self, const char *value)
{
    const char **paths = realloc(self->paths, ((size_t)self->n_paths + 1) * sizeof *paths);
    if (!paths || !*value) {
        report_error(paths ? "a path is empty" : "out of memory");
        self->paths = paths ? paths : self->paths;
        return -1;
    }
    paths[self->n_paths++] = value;
    self->paths = paths;
    return 0;
}

static int take(void *user, int id, const char *value)
{
    exporting *self = user;
    switch (id) {
    case ID_FORMAT:
        return take_format(self, value);
    case ID_SPACING:
        return take_spacing(self, value);
    case ID_CATEGORY:
        self->category = value;
        return 0;
    case ID_SPLIT:
        self->may_split = 1;
        return 0;
    case ID_FORCE:
        self->may_replace = 1;
        return 0;
    case ID_QUIET:
        self->is_quiet = 1;
        return 0;
    default:
        return take_path(self, value);
    }
}

static const args_option options[] = {
    {"format", ID_FORMAT, "F",
     "coco      .json: images, annotations (compressed run lengths, box, area, score)\n"
     "nifti     .nii.gz: a stack of labels, width x height x 1 x frames\n"
     "nrrd      .nrrd: the same, width x height x frames; times and poses kept\n"
     "csv       .csv: a row for each point of the surfaces, in mm\n"
     "sequence  .mha: masks of 0 and 255 as PLUS, 3D Slicer and ITK read them\n"
     "default: as OUTPUT ends"},
    {"spacing", ID_SPACING, "X,Y", "mm from pixel to pixel, in place of what the results say"},
    {"category", ID_CATEGORY, "NAME", "of COCO's annotations; default structure"},
    {"split", ID_SPLIT, NULL,
     "frames of several sizes: a file for each, OUTPUT_640x480 and so on; of NIfTI\n"
     "also one for every 32767 frames"},
    {"force", ID_FORCE, NULL, "replace an OUTPUT that is there"},
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
};

static const args_spec spec = {
    .command = "export",
    .usage = "export RESULTS... OUTPUT [--format F] [options]",
    .intro =
        "Writes results as a file of another program. RESULTS: a folder that 'run' wrote, with masks (png or "
        "rle) or\nsurfaces, or a recording of masks that 'serve --record' wrote (also by the name of its "
        "images); "
        "several follow\neach other. OUTPUT appears whole or not at all. A mask that is missing or damaged "
        "is "
        "named, and nothing is\nwritten then: 'sonoseg run ... --resume' makes it again.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg run sweep.igs.mha --output out\n"
                "  sonoseg export out masks.nii.gz\n"
                "  sonoseg export out coco.json --category bone\n"
                "  sonoseg export out surface.csv --spacing 0.12,0.12\n"
                "  sonoseg export recordings/sonoseg_0001.igs.mha masks.nrrd\n\n"
                "exit status\n"
                "  0 all done   1 results or output failed: nothing is written   2 usage   130 Ctrl-C, 143 "
                "SIGTERM",
    .take = take,
};

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n > n_end && !strcmp(text + n - n_end, end);
}

static int find_kind(exporting *self, const char *output)
{
    for (int i = 0; self->kind < 0 && i < N_FORMATS; i++)
        if (ends_with(output, formats[i].ending))
            self->kind = i;
    if (self->kind < 0) {
        report_error("%s: pass --format, or end it in .json, .nii.gz, .nrrd, .csv or .mha", output);
        return -1;
    }
    if (ends_with(output, formats[self->kind].ending))
        return 0;
    report_error("%s: --format %s writes a file that ends in %s", output, formats[self->kind].name,
                 formats[self->kind].ending);
    return -1;
}

/* What the first pass must see; what the others need not. */
static int plan_frame(exporting *self, export_frame *frame)
{
    const int has_points = frame->surface.n_lines > 0;
    self->n_frames++;
    self->n_surfaces += frame->has_surface;
    self->n_points += has_points;
    self->n_in_mm += has_points && frame->surface_is_mm;
    self->n_without_masks += frame->masks == EXPORT_MASKS_NONE;
    self->n_without_spacing += !(frame->info.spacing_mm[0] > 0);
    return export_output_plan(&self->output, frame);
}

/* A broken mask is named and counted; the others are looked at all the same. */
static int add_frame(exporting *self, export_frame *frame)
{
    if (self->kind != EXPORT_CSV && frame->masks != EXPORT_MASKS_NONE && self->n_broken < MAX_NAMED) {
        if (export_input_masks(&self->input, frame)) {
            progress_clear(&self->bar);
            report_error("%s", self->input.reason);
            self->n_broken++;
            return 0;
        }
    }
    return self->n_broken ? 0 : export_output_add(&self->output, frame);
}

static int describe_frame(exporting *self, export_frame *frame)
{
    return export_output_describe(&self->output, frame);
}

/* All frames once. An exit status. */
static int pass(exporting *self, int (*each)(exporting *self, export_frame *frame), const char *what)
{
    static export_frame frame; /* 10 KB */
    int64_t n = 0;
    int found = 0, status = 0;
    export_input_rewind(&self->input);
    export_output_rewind(&self->output);
    progress_start(&self->bar, self->n_frames ? self->n_frames : -1, !self->is_quiet);
    progress_allow_lines(&self->bar, !self->is_quiet);
    while (!status && !stop_status() && (found = export_input_next(&self->input, &frame)) > 0) {
        status = each(self, &frame);
        self->bar.n_failed = self->n_broken;
        progress_update(&self->bar, ++n, what);
    }
    progress_clear(&self->bar);
    return status || found < 0 ? STATUS_FAILED : stop_status();
}

/* Whether the results have what the format needs. */
static int check_contents(exporting *self)
{
    if (!self->n_frames) {
        report_error("%s: no frames in it", self->paths[0]);
        return STATUS_FAILED;
    }
    if (self->kind == EXPORT_CSV && !self->n_surfaces) {
        report_error("%s: no surfaces in it: 'sonoseg run --surface on' finds them%s", self->paths[0],
                     self->input.n_paths == 1 && strstr(self->paths[0], ".m") ? "; recordings have none"
                                                                              : "");
        return STATUS_FAILED;
    }
    if (self->kind == EXPORT_COCO && self->n_without_masks == self->n_frames) {
        report_warning("%s: no masks in it: annotations are boxes alone", self->paths[0]);
    } else if (self->kind != EXPORT_CSV && self->n_without_masks) {
        report_error("%s: no masks of %lld of %lld frames in it: 'sonoseg run --masks png', or rle, writes "
                     "them",
                     self->paths[0], (long long)self->n_without_masks, (long long)self->n_frames);
        return STATUS_FAILED;
    }
    self->output.in_mm = self->n_in_mm == self->n_points && self->n_points;
    self->input.wants_px = !self->output.in_mm;
    if (self->kind == EXPORT_CSV && self->n_points > self->n_in_mm)
        report_warning(
            "spacing is not known for %lld of %lld surfaces: all points are in pixels; --spacing X,Y "
            "gives it",
            (long long)(self->n_points - self->n_in_mm), (long long)self->n_points);
    if (self->kind != EXPORT_CSV && self->kind != EXPORT_COCO && self->n_without_spacing)
        report_warning("spacing is not known: a pixel counts as 1 mm; --spacing X,Y gives it");
    return 0;
}

static int write_all(exporting *self)
{
    int status = export_output_open(&self->output) ? STATUS_FAILED : pass(self, describe_frame, "describing");
    if (!status)
        status = pass(self, add_frame, "writing");
    if (!status && self->n_broken) {
        report_error(
            "%s%lld masks of %lld frames cannot be read: nothing is written; 'sonoseg run ... --resume' "
            "makes them again",
            self->n_broken < MAX_NAMED ? "" : "at least ", (long long)self->n_broken,
            (long long)self->n_frames);
        status = STATUS_FAILED;
    }
    return status;
}

static void print_summary(const exporting *self)
{
    for (int32_t i = 0; i < self->output.n_files; i++) {
        const export_file *file = &self->output.files[i];
        const char *plural = file->n_frames == 1 ? "" : "s";
        if (self->kind == EXPORT_COCO || self->kind == EXPORT_CSV)
            printf("%s: %lld frame%s\n", file->path, (long long)file->n_frames, plural);
        else
            printf("%s: %lld frame%s of %d x %d\n", file->path, (long long)file->n_frames, plural,
                   file->width_px, file->height_px);
    }
}

static int export_results(exporting *self)
{
    const int32_t n_inputs = self->n_paths - 1;
    if (n_inputs < 1) {
        report_error("results and an output are expected");
        report_see_help(spec.command);
        return STATUS_USAGE;
    }
    if (find_kind(self, self->paths[n_inputs]))
        return STATUS_USAGE;
    stop_watch();
    export_input_init(&self->input, self->paths, n_inputs);
    memcpy(self->input.spacing_mm, self->spacing_mm, sizeof self->spacing_mm);
    self->input.wants_surfaces = self->kind == EXPORT_CSV;
    self->output.kind = (export_kind)self->kind;
    self->output.path = self->paths[n_inputs];
    self->output.category = self->category;
    self->output.may_split = self->may_split;
    self->output.may_replace = self->may_replace;
    int status = pass(self, plan_frame, "reading");
    if (!status)
        status = check_contents(self);
    if (!status && export_output_check(&self->output, self->paths, n_inputs))
        status = STATUS_FAILED;
    if (!status)
        status = write_all(self);
    if (export_output_close(&self->output, !status) && !status)
        status = STATUS_FAILED;
    export_input_close(&self->input);
    if (!status && !self->is_quiet)
        print_summary(self);
    return status;
}

int cmd_export(int argc, char **argv)
{
    static exporting self; /* 300 KB of paths */
    self.kind = -1;
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    const int status = parsed == ARGS_WRONG ? STATUS_USAGE
                       : parsed == ARGS_GO  ? export_results(&self)
                                            : STATUS_DONE;
    free(self.paths);
    return status;
}
