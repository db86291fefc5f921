// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "output_file.h"
#include "output_folder.h"
#include "phantom_input.h"
#include "progress.h"
#include "stop.h"
#include "truth_line.h"

#include "sonoseg/io.h"
#include "sonoseg/phantom.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { ID_INPUT = 'i', ID_OUTPUT = 'o', ID_QUIET = 'q' };

typedef struct phantom_set {
    const char *input;
    const char *output;
    int is_quiet;
    int has_lines;
    FILE *lines; /* frames.jsonl; NULL without events and screen */
    sono_source *source;
    int64_t n_frames;
    int64_t n_empty;
    progress bar;
} phantom_set;

static int take(void *user, int id, const char *value)
{
    phantom_set *self = user;
    if (id == ID_OUTPUT) {
        self->output = value;
    } else if (id == ID_QUIET) {
        self->is_quiet = 1;
    } else if (self->input) {
        report_error("'%s' is too many: one phantom at a time", value);
        return -1;
    } else {
        self->input = value;
    }
    return 0;
}

static const args_option options[] = {
    {"input", ID_INPUT, "SPEC", "phantom:[key=value,...], as of 'run'; a bare word is one, too"},
    {"output", ID_OUTPUT, "DIR",
     "folder for the set, made when missing; an earlier phantom's files of\nthe same name are overwritten"},
    {"quiet", ID_QUIET, NULL, "no progress line, no summary; errors only"},
};

static const args_spec spec = {
    .command = "phantom",
    .usage = "phantom [SPEC] --output DIR [options]",
    .intro =
        "Writes frames of the synthetic scanner with their truth, as 'evaluate' and training read them:\n"
        "  DIR/images/<stem>.png   8 bits grey\n"
        "  DIR/masks/<stem>.png    0 = background, 1, 2 ... = one structure each\n"
        "  DIR/frames.jsonl        with events or a screen: what goes on in each frame, where the picture "
        "is,\n"
        "                          and the bone's surface\n"
        "SPEC is phantom:seed=N,frames=N,sweep=N,size=WxH,rate=HZ,depth=MM,shape=NAME,events=SET, each part\n"
        "optional; sweep is how many frames share one anatomy, shape one of any, flat, arched, ridge, "
        "broken,\n"
        "pair, empty, events one of none, held-out, tuning; only=EVENT draws these events only: "
        "contact_lost,\n"
        "probe_leaves, shadow, gain_jump, motion_blur, freeze, other_bone. More parts: geometry=linear,\n"
        "curvilinear, phased, endocavity, any; orientation=up, up-mirrored, down, down-mirrored, any;\n"
        "screen=1 for a whole screen; look_alikes=none, any, face, air, tank, wires, needle, pleura,\n"
        "diaphragm, gas, stone, fascia, speckle; hard=1 for bones that are hard to outline; degrade=1 for\n"
        "effects of other scanners and grabbers.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples =
        "examples\n"
        "  sonoseg phantom --output set\n"
        "  sonoseg phantom phantom:seed=7,frames=200,sweep=1 --output set\n\n"
        "exit status\n"
        "  0 all done   1 the output failed   2 usage   130, 143, 129 stopped by Ctrl-C, SIGTERM, SIGHUP",
    .take = take,
};

static int open_source(phantom_set *self)
{
    sono_error error;
    sono_phantom_options phantom;
    const char *input = self->input ? self->input : "phantom:";
    if (!phantom_input_matches(input)) {
        report_error("'%s' is no phantom: give 'phantom:' or 'phantom:key=value,...'", input);
        return STATUS_USAGE;
    }
    if (phantom_input_parse(input, &phantom))
        return STATUS_USAGE;
    self->has_lines = phantom.events != SONO_PHANTOM_EVENTS_NONE || phantom.screen;
    if (!sono_source_open_phantom(&phantom, &self->source, &error))
        return STATUS_DONE;
    report_error("%s", error.text);
    return error.status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
}

/* SET/folder/name.png. Returns 0, or -1 after report_error(). */
static int join(const phantom_set *self, const char *folder, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s/%s.png", self->output, folder, name) < PATH_MAX)
        return 0;
    report_error("%s: the path is too long", self->output);
    return -1;
}

/* Whenever this ends, an image has its own mask: one without would be an empty frame, one with an older mask
 * a lie; a mask without image is neither. */
static int write_pair(const phantom_set *self, const char *name, const sono_image *frame,
                      const sono_truth *truth)
{
    char image[PATH_MAX], mask[PATH_MAX];
    sono_error error;
    if (join(self, "images", name, image) || join(self, "masks", name, mask))
        return -1;
    unlink(image);
    sono_status status = sono_png_write(mask, truth->labels, frame->width_px, frame->height_px, 1, &error);
    if (!status)
        status = sono_png_write(image, frame->pixels, frame->width_px, frame->height_px, 1, &error);
    if (!status)
        return 0;
    unlink(mask);
    report_error("%s", error.text);
    return -1;
}

static int make_folders(const phantom_set *self)
{
    static const char *const names[] = {"images", "masks"};
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", self->output, names[i]) >= PATH_MAX) {
            report_error("%s: the path is too long", self->output);
            return -1;
        }
        if (output_folder_make(path))
            return -1;
    }
    return 0;
}

static int write_frames(phantom_set *self)
{
    sono_image image;
    sono_frame_info info;
    sono_truth truth;
    const char *name = NULL;
    sono_error error;
    sono_image_init(&image);
    sono_frame_info_init(&info);
    while (!stop_status() && !sono_source_next(self->source, &image, &info, &name, &error)) {
        sono_status status = sono_source_truth(self->source, &truth, &error);
        if (status) {
            report_error("%s", error.text);
            return -1;
        }
        if (write_pair(self, name, &image, &truth))
            return -1;
        if (self->lines)
            truth_line_write(self->lines, &info, name, &truth);
        self->n_frames++;
        self->n_empty += !truth.is_visible;
        progress_update(&self->bar, self->n_frames, truth.is_visible ? "" : "empty");
    }
    return 0;
}

/* Frames and, with events or a screen, their lines; lines of an earlier phantom are gone either way. */
static int write_all(phantom_set *self)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/frames.jsonl", self->output) >= PATH_MAX) {
        report_error("%s: the path is too long", self->output);
        return -1;
    }
    if (!self->has_lines) {
        unlink(path);
        return write_frames(self);
    }
    self->lines = output_file_open(path);
    if (!self->lines)
        return -1;
    const int has_failed = write_frames(self);
    return output_file_close(self->lines, path) || has_failed ? -1 : 0;
}

/* The folder is this run's own meanwhile: frames of two phantoms must not mix. */
static int fill_folder(phantom_set *self)
{
    sono_error error;
    int32_t lock = -1;
    const sono_output output = {self->output, SONO_OUTPUT_SET};
    if (sono_output_check(NULL, 0, &output, 1, &error)) {
        report_error("%s", error.text);
        return -1;
    }
    if (make_folders(self))
        return -1;
    if (sono_folder_lock(self->output, &lock, &error)) {
        report_error("%s", error.text);
        return -1;
    }
    stop_watch();
    progress_start(&self->bar, sono_source_count(self->source), !self->is_quiet);
    const int has_failed = write_all(self);
    progress_clear(&self->bar);
    sono_folder_unlock(lock);
    return has_failed;
}

static int write_set(phantom_set *self)
{
    const int status = open_source(self);
    if (status)
        return status;
    if (fill_folder(self))
        return STATUS_FAILED;
    if (!self->is_quiet)
        printf("%lld frame%s, %lld of them empty, in %s/images and %s/masks\n", (long long)self->n_frames,
               self->n_frames == 1 ? "" : "s", (long long)self->n_empty, self->output, self->output);
    return stop_status();
}

int cmd_phantom(int argc, char **argv)
{
    phantom_set self = {0};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    int status = parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (parsed == ARGS_GO && !self.output) {
        report_error("no output folder: pass --output DIR");
        report_see_help("phantom");
        status = STATUS_USAGE;
    } else if (parsed == ARGS_GO) {
        status = write_set(&self);
    }
    sono_source_close(self.source);
    return status;
}
