// SPDX-License-Identifier: Apache-2.0
/* The source of synthetic frames: options, sweeps, the frames and truths that callers hold. */
#include "io/phantom/phantom_math.h"
#include "io/source.h"

#include "base/alloc.h"
#include "base/sized.h"

#include <stddef.h>
#include <stdio.h>

#define MIN_SIDE_PX     16
#define MAX_SIDE_PX     4096
#define LEAST_SCREEN_PX 200
#define MAX_FRAMES      100000000
#define MAX_HELD        16
#define NAME_BYTES      32

#define VISIBLE_FROM    0.25f /* share of the bone's columns */
#define BORDERLINE_FROM 0.1f
#define BORDERLINE_TO   0.4f
#define TRACE           (0.5f * SONO_PHANTOM_SHOWN) /* displayed level at which an eye still finds a bone */

#define MOST_EXPOSURE_S 0.04
#define BLUR_STEP_PX    1.5f /* of tissue from one pose within an exposure to the next */
#define MOST_POSES      9    /* odd, so that one is in the middle */

/* docs/abi.md: no padding behind the last field. */
_Static_assert(sizeof(sono_phantom_options) == offsetof(sono_phantom_options, degrade) + sizeof(int32_t),
               "sono_phantom_options has padding behind its last field");
_Static_assert(sizeof(sono_truth) == offsetof(sono_truth, region_px) + 4 * sizeof(int32_t),
               "sono_truth has padding behind its last field");

typedef struct held {
    uint8_t *grey, *mask, *labels;
    float *surfaces_px; /* [SONO_TRUTH_STRUCTURES, width] */
    char name[NAME_BYTES];
    float probe_mm; /* lateral place, of the image */
    sono_truth truth;
} held;

typedef struct phantom {
    sono_source base;
    sono_phantom_options options;
    sono_phantom_scene scene;
    sono_phantom_work work;
    held *ring;      /* of n_held */
    uint8_t *pixels; /* all of the ring's */
    float *surfaces_px;
    uint8_t *plane;     /* the plane of beams, rendered; NULL where that is the frame */
    uint8_t *screen;    /* around the picture, of the sweep; NULL without a screen */
    uint16_t *exposure; /* one frame, summed over the poses within its exposure; NULL without events */
    sono_phantom_timetable table;
    int64_t imaged; /* the sweep's frame that was drawn last, not repeated */
    int64_t next;
} phantom;

static const sono_phantom_options phantom_defaults = {
    .struct_size = sizeof phantom_defaults,
    .width_px = 422,
    .height_px = 558,
    .n_frames = 120,
    .rate_hz = 25,
    .seed = 1,
    .empty_share = 0.1f,
    .n_held = 1,
};

void sono_phantom_options_init_sized(void *options, size_t struct_size)
{
    sono_sized_init(options, struct_size, &phantom_defaults, sizeof phantom_defaults);
}

static sono_status check_numbers(const sono_phantom_options *o, sono_error *error)
{
    if (o->n_frames < 1 || o->n_frames > MAX_FRAMES || o->n_sweep_frames < 0)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: %d frames, %d a sweep: not within 1..%d, 0..",
                         o->n_frames, o->n_sweep_frames, MAX_FRAMES);
    if (!(o->rate_hz >= 0.1 && o->rate_hz <= 1000))
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: rate_hz is %g, not within 0.1..1000", o->rate_hz);
    if (!(o->empty_share >= 0 && o->empty_share <= 1))
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: empty_share is %g, not within 0..1",
                         (double)o->empty_share);
    if (o->depth_mm != 0 && !(o->depth_mm >= 10 && o->depth_mm <= 300))
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: depth_mm is %g, neither 0 nor within 10..300",
                         (double)o->depth_mm);
    return SONO_STATUS_OK;
}

/* What is beside the plain picture of a linear probe. */
static sono_status check_wide(const sono_phantom_options *o, sono_error *error)
{
    if ((int)o->geometry < 0 || (int)o->geometry >= SONO_PHANTOM_GEOMETRY_COUNT)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: there is no geometry %d", (int)o->geometry);
    if ((int)o->orientation < 0 || (int)o->orientation >= SONO_PHANTOM_ORIENTATION_COUNT)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: there is no orientation %d", (int)o->orientation);
    if (o->look_alikes & ~SONO_PHANTOM_ANY_LOOK_ALIKE)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: look_alikes is 0x%x, bits 0..%d are kinds",
                         (unsigned)o->look_alikes, SONO_PHANTOM_ALIKE_COUNT - 1);
    if ((o->screen | o->hard | o->degrade) & ~1)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "phantom: screen is %d, hard %d, degrade %d: each must be 0 or 1", o->screen,
                         o->hard, o->degrade);
    if (o->screen && (o->width_px < LEAST_SCREEN_PX || o->height_px < LEAST_SCREEN_PX))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "phantom: a screen of %d x %d pixels is too small, sides must be %d at least",
                         o->width_px, o->height_px, LEAST_SCREEN_PX);
    if (o->geometry && o->event_kinds && !(o->event_kinds & ~SONO_PHANTOM_LINEAR_EVENTS))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "phantom: probe_leaves, shadow and other_bone come with geometry linear alone");
    return SONO_STATUS_OK;
}

static sono_status read_options(const sono_phantom_options *given, sono_phantom_options *out,
                                sono_error *error)
{
    *out = phantom_defaults;
    if (!given)
        return SONO_STATUS_OK;
    SONO_TRY(
        sono_sized_read(given, sizeof given->struct_size, out, sizeof *out, "sono_phantom_options", error));
    if (out->width_px < MIN_SIDE_PX || out->width_px > MAX_SIDE_PX || out->height_px < MIN_SIDE_PX ||
        out->height_px > MAX_SIDE_PX)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: %d x %d pixels, sides must be within %d..%d",
                         out->width_px, out->height_px, MIN_SIDE_PX, MAX_SIDE_PX);
    if ((int)out->shape < SONO_PHANTOM_ANY || (int)out->shape >= SONO_PHANTOM_SHAPE_COUNT)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: there is no shape %d", (int)out->shape);
    if ((int)out->events < 0 || (int)out->events >= SONO_PHANTOM_EVENTS_SET_COUNT)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: there is no set of events %d", (int)out->events);
    if (out->event_kinds >> SONO_PHANTOM_EVENT_COUNT || out->event_kinds & 1u << SONO_PHANTOM_QUIET)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: event_kinds is 0x%x, bits 1..%d are kinds",
                         (unsigned)out->event_kinds, SONO_PHANTOM_EVENT_COUNT - 1);
    if (out->n_held < 1 || out->n_held > MAX_HELD)
        return SONO_FAIL(error, INVALID_ARGUMENT, "phantom: n_held is %d, not within 1..%d", out->n_held,
                         MAX_HELD);
    SONO_TRY(check_numbers(out, error));
    return check_wide(out, error);
}

static int64_t count_frames(const sono_source *source)
{
    return ((const phantom *)(const void *)source)->options.n_frames;
}

/* Pose of the frame's first pixel and its axes, from the middle of the probe's face but for a constant. */
static void describe_pose(const sono_phantom_view *view, float probe_mm, float spacing_mm,
                          sono_frame_info *info)
{
    static const sono_orientation orientations[2][2] = {{SONO_ORIENTATION_MF, SONO_ORIENTATION_MN},
                                                        {SONO_ORIENTATION_UF, SONO_ORIENTATION_UN}};
    const int32_t first[2] = {view->is_mirrored ? view->x + view->width_px - 1 : -view->x,
                              view->is_flipped ? view->y + view->height_px - 1 : -view->y};
    info->image_to_reference[0] = view->is_mirrored ? -1 : 1;
    info->image_to_reference[5] = view->is_flipped ? -1 : 1;
    info->image_to_reference[10] = view->is_mirrored != view->is_flipped ? -1 : 1;
    info->image_to_reference[3] = probe_mm + (float)first[0] * spacing_mm;
    info->image_to_reference[7] = (float)first[1] * spacing_mm;
    info->has_pose = 1;
    info->orientation = orientations[view->is_mirrored][view->is_flipped];
}

static void describe(const phantom *self, const held *out, sono_frame *frame)
{
    const double spacing_mm = 1 / (double)self->scene.px_per_mm;
    frame->image.pixels = out->grey;
    frame->image.width_px = self->options.width_px;
    frame->image.height_px = self->options.height_px;
    frame->image.pitch_bytes = (size_t)self->options.width_px;
    frame->image.format = SONO_PIXEL_GRAY8;
    sono_frame_info *info = &frame->info;
    info->frame_id = (uint64_t)self->next;
    info->timestamp_ns = llround(1e9 * (double)(self->next + 1) / self->options.rate_hz);
    info->spacing_mm[0] = info->spacing_mm[1] = spacing_mm;
    describe_pose(&self->work.view, out->probe_mm, (float)spacing_mm, info);
}

/* Where the plane of beams is rendered to. */
static uint8_t *plane_of(const phantom *self, const held *out)
{
    return self->plane ? self->plane : out->grey;
}

static uint64_t frame_key_of(const phantom *self)
{
    return phantom_hash(self->scene.key + 0x401e5eu + (uint64_t)self->next);
}

static void render(phantom *self, held *out, double time_s)
{
    sono_phantom_pose(&self->scene, time_s, &self->work);
    sono_phantom_render(&self->scene, time_s, frame_key_of(self), &self->work, plane_of(self, out));
}

/* Image and truth, as the event's effects in self->work are; marks are still to come. */
static void finish(phantom *self, held *out, double time_s)
{
    out->probe_mm = phantom_probe_mm(&self->scene, &self->work, time_s);
    if (self->screen)
        memcpy(out->grey, self->screen, (size_t)self->options.width_px * (size_t)self->options.height_px);
    if (self->plane)
        sono_phantom_convert(&self->scene, &self->work, self->plane, out->grey);
    sono_phantom_outline(&self->scene, &self->work, out->probe_mm, out->mask, out->labels, out->surfaces_px,
                         &out->truth);
}

/* How far tissue moves within an exposure around a frame. */
static float find_blur_px(phantom *self, int64_t frame, double exposure_s)
{
    sono_phantom_effects ends[2];
    for (int i = 0; i < 2; i++)
        sono_phantom_timetable_apply(&self->table, frame, (i - 0.5) * exposure_s, &self->scene, &ends[i]);
    const float slide_mm = ends[1].slide_mm - ends[0].slide_mm,
                press_mm = ends[1].press_mm - ends[0].press_mm;
    return sqrtf(slide_mm * slide_mm + press_mm * press_mm) * self->scene.px_per_mm;
}

/* The mean over poses within the exposure, the middle one rendered last: truth is of that. */
static void render_blurred(phantom *self, held *out, int64_t frame, double time_s)
{
    const size_t n = (size_t)self->work.width_px * (size_t)self->work.height_px;
    const double exposure_s = fmin(1 / self->options.rate_hz, MOST_EXPOSURE_S);
    const float blur_px = find_blur_px(self, frame, exposure_s);
    const int half = (int)fminf(ceilf(0.5f * blur_px / BLUR_STEP_PX), MOST_POSES / 2);
    const int n_poses = 2 * half + 1;
    uint8_t *plane = plane_of(self, out);
    memset(self->exposure, 0, n * sizeof *self->exposure);
    for (int i = 1; i <= n_poses; i++) {
        const int pose = (half + i) % n_poses;
        sono_phantom_timetable_apply(&self->table, frame, exposure_s * (pose - half) / n_poses, &self->scene,
                                     &self->work.effects);
        render(self, out, time_s);
        for (size_t k = 0; k < n; k++)
            self->exposure[k] = (uint16_t)(self->exposure[k] + plane[k]);
    }
    for (size_t k = 0; k < n; k++)
        plane[k] = (uint8_t)((self->exposure[k] + half) / n_poses);
    finish(self, out, time_s);
    out->truth.blur_px = blur_px;
}

/* The image before once more. */
static void repeat(phantom *self, held *out, int64_t frame)
{
    const int32_t n_held = self->options.n_held;
    const held *last = &self->ring[(self->next + n_held - 1) % n_held];
    const int32_t width_px = self->options.width_px;
    const size_t plane = (size_t)width_px * (size_t)self->options.height_px;
    if (last != out) {
        memcpy(out->grey, last->grey, 3 * plane); /* mask and labels follow */
        memcpy(out->surfaces_px, last->surfaces_px, sizeof(float) * SONO_TRUTH_STRUCTURES * (size_t)width_px);
        out->truth = last->truth;
        out->truth.mask = out->mask;
        out->truth.labels = out->labels;
        for (int k = 0; k < SONO_TRUTH_STRUCTURES; k++)
            out->truth.surface_px[k] = out->surfaces_px + (last->truth.surface_px[k] - last->surfaces_px);
        out->probe_mm = last->probe_mm;
    }
    out->truth.is_trustworthy = 0;
    out->truth.stale_s = (double)(frame - self->imaged) / self->options.rate_hz;
}

/* What shows of the bone, against the n_usual columns that would show without the event. */
static void judge(const phantom *self, int32_t n_usual, sono_truth *truth)
{
    float shares[2] = {0, 0};
    for (int i = 0; i < 2 && n_usual; i++) {
        const int32_t n_shown = sono_phantom_shown(&self->scene, &self->work, self->table.n_bones,
                                                   i ? TRACE : SONO_PHANTOM_SHOWN);
        shares[i] = fminf((float)n_shown / (float)n_usual, 1);
    }
    truth->visible_share = shares[0];
    truth->is_visible = truth->is_trustworthy = truth->n_structures > 0 && shares[0] >= VISIBLE_FROM;
    truth->is_borderline = (shares[0] >= BORDERLINE_FROM && shares[0] < BORDERLINE_TO) ||
                           (shares[0] < VISIBLE_FROM && shares[1] >= VISIBLE_FROM);
}

static void draw_event(phantom *self, sono_phantom_event event, held *out, int64_t frame, double time_s)
{
    sono_phantom_pose(&self->scene, time_s, &self->work);
    sono_phantom_gains(&self->scene, &self->work);
    const int32_t n_usual =
        sono_phantom_shown(&self->scene, &self->work, self->table.n_bones, SONO_PHANTOM_SHOWN);
    if (event == SONO_PHANTOM_MOTION_BLUR) {
        render_blurred(self, out, frame, time_s);
    } else {
        sono_phantom_timetable_apply(&self->table, frame, 0, &self->scene, &self->work.effects);
        render(self, out, time_s);
        finish(self, out, time_s);
    }
    judge(self, n_usual, &out->truth);
}

/* Image and truth of the sweep's frame. */
static void draw(phantom *self, held *out, int64_t frame)
{
    const double time_s = (double)frame / self->options.rate_hz;
    sono_phantom_event event = SONO_PHANTOM_QUIET;
    if (self->options.events) {
        self->work.effects = (sono_phantom_effects){0};
        self->scene.n_bones = self->table.n_bones;
        event = sono_phantom_timetable_go(&self->table, &self->scene, frame);
    }
    if (event == SONO_PHANTOM_FREEZE) {
        repeat(self, out, frame);
    } else {
        if (event != SONO_PHANTOM_QUIET) {
            draw_event(self, event, out, frame, time_s);
        } else {
            render(self, out, time_s);
            finish(self, out, time_s);
        }
        sono_phantom_mark(&self->scene, (uint64_t)self->next, &self->work.view, out->grey);
        if (self->plane && !self->options.no_marks)
            sono_phantom_overlay(&self->scene, &self->work, (uint64_t)self->next, self->options.screen,
                                 out->labels, out->grey);
        if (self->options.degrade)
            sono_phantom_grab(&self->scene.grabber, frame_key_of(self), time_s, self->options.width_px,
                              self->options.height_px, out->grey, self->work.scratch);
        self->imaged = frame;
    }
    out->truth.event = event;
    out->truth.event_s =
        event == SONO_PHANTOM_QUIET ? 0 : (double)(frame - self->table.first) / self->options.rate_hz;
}

static sono_status next_frame(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    phantom *self = (void *)source;
    (void)error;
    if (self->next == self->options.n_frames)
        return SONO_STATUS_END;
    const int64_t n_sweep = self->options.n_sweep_frames ? self->options.n_sweep_frames : MAX_FRAMES;
    if (self->next % n_sweep == 0) {
        sono_phantom_scene_init(&self->scene, &self->options, (uint64_t)(self->next / n_sweep), &self->work);
        if (self->options.events)
            sono_phantom_timetable_init(&self->table, &self->scene, &self->options);
        if (self->screen)
            sono_phantom_screen(&self->scene, &self->work, self->screen);
    }
    held *out = &self->ring[self->next % self->options.n_held];
    draw(self, out, self->next % n_sweep);
    snprintf(out->name, sizeof out->name, "phantom_%06lld", (long long)self->next);
    describe(self, out, frame);
    *name = out->name;
    self->next++;
    return SONO_STATUS_OK;
}

static sono_status last_truth(const sono_source *source, sono_truth *out, sono_error *error)
{
    const phantom *self = (const void *)source;
    if (!self->next)
        return SONO_FAIL(error, STATE, "phantom: no frame was read yet");
    *out = self->ring[(self->next - 1) % self->options.n_held].truth;
    return SONO_STATUS_OK;
}

static void close_phantom(sono_source *source)
{
    phantom *self = (void *)source;
    sono_phantom_work_reset(&self->work);
    sono_free(self->ring);
    sono_free(self->pixels);
    sono_free(self->surfaces_px);
    sono_free(self->plane);
    sono_free(self->screen);
    sono_free(self->exposure);
    sono_free(self);
}

static const sono_source_ops phantom_ops = {
    .count = count_frames, .next = next_frame, .close = close_phantom, .truth = last_truth};

static sono_status fill(phantom *self, const sono_phantom_options *options, sono_error *error)
{
    SONO_TRY(read_options(options, &self->options, error));
    const size_t n_held = (size_t)self->options.n_held;
    const size_t plane = (size_t)self->options.width_px * (size_t)self->options.height_px;
    const int is_turned = self->options.orientation || self->options.geometry || self->options.screen;
    SONO_TRY(sono_phantom_work_init(&self->work, self->options.width_px, self->options.height_px, error));
    if (self->options.geometry)
        SONO_TRY(sono_phantom_work_add_fans(&self->work, error));
    if (self->options.degrade)
        SONO_TRY(sono_phantom_work_add_looks(&self->work, error));
    self->ring = sono_alloc_array(n_held, sizeof *self->ring);
    self->pixels = sono_alloc_array(n_held * 3, plane);
    const size_t n_columns = SONO_TRUTH_STRUCTURES * (size_t)self->options.width_px;
    self->surfaces_px = sono_alloc_array(n_held * n_columns, sizeof *self->surfaces_px);
    if (is_turned)
        self->plane = sono_alloc_array(plane, 1);
    if (self->options.screen)
        self->screen = sono_alloc_array(plane, 1);
    if (self->options.events)
        self->exposure = sono_alloc_array(plane, sizeof *self->exposure);
    if (!self->ring || !self->pixels || !self->surfaces_px || (is_turned && !self->plane) ||
        (self->options.screen && !self->screen) || (self->options.events && !self->exposure))
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the phantom's frames");
    for (size_t i = 0; i < n_held; i++) {
        self->ring[i].grey = self->pixels + 3 * i * plane;
        self->ring[i].mask = self->ring[i].grey + plane;
        self->ring[i].labels = self->ring[i].mask + plane;
        self->ring[i].surfaces_px = self->surfaces_px + i * n_columns;
    }
    return SONO_STATUS_OK;
}

sono_status sono_source_open_phantom(const sono_phantom_options *options, sono_source **out,
                                     sono_error *error)
{
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out must not be NULL");
    phantom *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the phantom");
    self->base.ops = &phantom_ops;
    const sono_status status = fill(self, options, error);
    if (status != SONO_STATUS_OK) {
        close_phantom(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
