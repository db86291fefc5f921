// SPDX-License-Identifier: Apache-2.0
/* The phantom's anatomy and settings: what is drawn once a sweep, and where it lies at a moment. */
#include "io/phantom/phantom_math.h"

#define MIN_COSINE    0.12f
#define SOFT_END      0.14f /* of a bone's half width */
#define LAYER_SOFT_MM 1.5f
#define LIFT_SOFT     0.12f /* of the view: half the zone in which contact fades while the probe lifts */
#define LAYER_GAP_MM  0.6f  /* soft tissue that stays above a bone */

typedef struct range {
    float low, high;
} range;

/* Per shape: half width in widths of the view, rise in image depths, roundness, tilt, skew. */
static const struct {
    range half, rise, bend, tilt, skew;
} shapes[SONO_PHANTOM_SHAPE_COUNT] = {
    [SONO_PHANTOM_FLAT] = {{0.28f, 0.6f}, {0.0f, 0.03f}, {2.0f, 3.0f}, {-0.25f, 0.25f}, {0.9f, 1.1f}},
    [SONO_PHANTOM_ARCHED] = {{0.2f, 0.42f}, {0.08f, 0.28f}, {0.5f, 2.5f}, {-0.15f, 0.15f}, {0.7f, 1.3f}},
    [SONO_PHANTOM_RIDGE] = {{0.12f, 0.28f}, {0.25f, 0.42f}, {0.12f, 0.6f}, {-0.2f, 0.2f}, {0.45f, 1.4f}},
    [SONO_PHANTOM_BROKEN] = {{0.25f, 0.5f}, {0.0f, 0.12f}, {1.0f, 3.0f}, {-0.15f, 0.15f}, {0.8f, 1.2f}},
    [SONO_PHANTOM_PAIR] = {{0.11f, 0.2f}, {0.05f, 0.2f}, {0.4f, 2.0f}, {-0.1f, 0.1f}, {0.7f, 1.3f}},
};

static float draw_range(phantom_dice *dice, range r)
{
    return phantom_draw(dice, r.low, r.high);
}

static int draw_chance(phantom_dice *dice, float share)
{
    return phantom_draw(dice, 0, 1) < share;
}

/* The swing is drawn from a fifth of the given one up to all of it. */
static sono_phantom_wave draw_wave(phantom_dice *dice, float mean, float swing)
{
    sono_phantom_wave wave = {.mean = mean};
    wave.swing = phantom_draw(dice, 0.2f, 1.0f) * swing;
    wave.rate_hz = phantom_draw(dice, 0.08f, 0.4f);
    wave.phase = phantom_draw(dice, 0, 1);
    return wave;
}

static sono_phantom_shape draw_shape(phantom_dice *dice, const sono_phantom_options *options)
{
    const int is_empty = draw_chance(dice, options->empty_share);
    const float kind = phantom_draw(dice, 0, 1);
    if (options->shape != SONO_PHANTOM_ANY)
        return options->shape;
    if (is_empty)
        return SONO_PHANTOM_EMPTY;
    return kind < 0.15f   ? SONO_PHANTOM_FLAT
           : kind < 0.4f  ? SONO_PHANTOM_ARCHED
           : kind < 0.72f ? SONO_PHANTOM_RIDGE
           : kind < 0.85f ? SONO_PHANTOM_BROKEN
                          : SONO_PHANTOM_PAIR;
}

static void draw_bone(phantom_dice *dice, sono_phantom_shape shape, float centre, float view_mm,
                      float depth_mm, sono_phantom_bone *bone)
{
    const float half = draw_range(dice, shapes[shape].half) * view_mm;
    const float rise = draw_range(dice, shapes[shape].rise) * depth_mm;
    const float top = phantom_draw(dice, 0.1f, shape == SONO_PHANTOM_RIDGE ? 0.3f : 0.45f) * depth_mm;
    bone->centre_mm = draw_wave(dice, centre * view_mm, 0.04f * view_mm);
    bone->top_mm = draw_wave(dice, top, 0.1f * top);
    bone->half_mm = draw_wave(dice, half, 0.12f * half);
    bone->rise_mm = draw_wave(dice, rise, 0.2f * rise);
    bone->tilt = draw_wave(dice, draw_range(dice, shapes[shape].tilt), 0.06f);
    bone->bend = draw_range(dice, shapes[shape].bend);
    bone->skew = draw_range(dice, shapes[shape].skew);
    const float break_at = phantom_draw(dice, -0.5f, 0.5f);
    bone->break_half = phantom_draw(dice, 0.02f, 0.1f);
    bone->break_step_mm = phantom_draw(dice, -2.5f, 2.5f);
    bone->break_at = shape == SONO_PHANTOM_BROKEN ? break_at : 9.0f;
    bone->level_db = phantom_draw(dice, -6, 6);
}

static void draw_bones(phantom_dice *dice, sono_phantom_shape shape, float view_mm, sono_phantom_scene *scene)
{
    const float middle = phantom_draw(dice, -0.24f, 0.24f);
    const float apart = phantom_draw(dice, 0.2f, 0.28f);
    if (shape == SONO_PHANTOM_EMPTY)
        return;
    scene->n_bones = shape == SONO_PHANTOM_PAIR ? 2 : 1;
    for (int32_t k = 0; k < scene->n_bones; k++) {
        const float centre = scene->n_bones == 1 ? middle : 0.2f * middle + (k ? apart : -apart);
        draw_bone(dice, shape, centre, view_mm, scene->depth_mm, &scene->bones[k]);
    }
    scene->band_mm = phantom_draw(dice, 0.9f, 1.7f);
    scene->incidence_power = phantom_draw(dice, 0.4f, 1.3f);
    scene->roughness_db = phantom_draw(dice, 1, 5);
    scene->shadow_db = phantom_draw(dice, 28, 50);
    scene->haze_db = phantom_draw(dice, -32, -15);
    scene->haze_mm = phantom_draw(dice, 1.5f, 7);
    scene->penumbra = phantom_draw(dice, 0.01f, 0.06f);
    scene->reverb_db = phantom_draw(dice, -58, -34);
}

static void draw_tissue(phantom_dice *dice, sono_phantom_scene *scene)
{
    const float depth = scene->depth_mm;
    scene->layer_mm[0] = phantom_draw(dice, 0.8f, 2.2f);
    scene->layer_mm[1] = scene->layer_mm[0] + phantom_draw(dice, 0.03f, 0.16f) * depth;
    scene->layer_mm[2] = scene->layer_mm[1] + phantom_draw(dice, 0.1f, 0.4f) * depth;
    for (int32_t k = 0; k < SONO_PHANTOM_LAYERS; k++) {
        scene->layer_tilt[k] = (float)k * phantom_draw(dice, -0.06f, 0.06f);
        scene->layer_wave_mm[k] = phantom_draw(dice, 0.1f, 0.8f) * (float)(k + 1);
    }
    scene->line_db[0] = phantom_draw(dice, -20, -6);
    scene->line_db[1] = phantom_draw(dice, -10, 3);
    scene->line_db[2] = phantom_draw(dice, -18, -1);
    scene->skin_db = phantom_draw(dice, -14, 0);
    scene->fat_db = phantom_draw(dice, -26, -9);
    scene->muscle_db = phantom_draw(dice, -34, -17);
    scene->near_db = phantom_draw(dice, -14, 4);
    scene->near_mm = phantom_draw(dice, 0.3f, 1.0f);
    scene->near_period_mm = phantom_draw(dice, 0.5f, 1.1f);
    scene->fibre_angle[0] = phantom_draw(dice, -0.45f, 0.45f);
    scene->fibre_angle[1] = phantom_draw(dice, -0.6f, 0.6f);
    scene->fibre_share = phantom_draw(dice, 0.3f, 1.0f);
    scene->septa_share = phantom_draw(dice, 0.5f, 4.0f);
    scene->septa_mm = phantom_draw(dice, 2.5f, 6.0f);
}

static void draw_settings(phantom_dice *dice, const sono_phantom_options *options, float view_mm,
                          sono_phantom_scene *scene)
{
    const float depth = scene->depth_mm;
    scene->probe_mm = draw_wave(dice, 0, 0.07f * view_mm);
    scene->slices_hz = phantom_draw(dice, 0.5f, 4);
    scene->loss_db_mm = phantom_draw(dice, 10, 55) / depth;
    scene->ripple_db = phantom_draw(dice, 0, 3);
    scene->sigma_axial_mm = phantom_draw(dice, 0.05f, 0.1f);
    scene->sigma_lateral_mm = phantom_draw(dice, 0.11f, 0.26f);
    scene->focus_mm = phantom_draw(dice, 0.2f, 0.6f) * depth;
    scene->focus_length_mm = phantom_draw(dice, 0.25f, 0.6f) * depth;
    scene->edge_widening = phantom_draw(dice, 0.1f, 0.8f);
    const float open_at = 0.5f * view_mm;
    for (int32_t side = 0; side < 2; side++) {
        const int is_poor = draw_chance(dice, side ? 0.3f : 0.5f);
        const float width = phantom_draw(dice, 0.05f, 0.32f) * view_mm;
        scene->contact_db[side] = phantom_draw(dice, -50, -20);
        scene->contact_mm[side] = draw_wave(dice, is_poor ? width - open_at : -2 * view_mm, 0.03f * view_mm);
    }
    scene->contact_soft_mm = phantom_draw(dice, 1, 5);
    scene->noise_db = phantom_draw(dice, -75, -52);
    scene->range_db = phantom_draw(dice, 46, 62);
    scene->smoothing = phantom_draw(dice, 0.2f, 1);
    scene->curve = phantom_draw(dice, 0, 0.6f);
    scene->has_text = draw_chance(dice, 0.4f) && !options->no_marks;
    scene->has_calliper = draw_chance(dice, 0.2f) && !options->no_marks;
    scene->has_scale = draw_chance(dice, 0.5f) && !options->no_marks;
}

/* Poor contact may hide a part of the first and last bone, never its middle. */
static void keep_visible(sono_phantom_scene *scene)
{
    for (int32_t side = 0; side < 2 && scene->n_bones; side++) {
        const sono_phantom_bone *bone = &scene->bones[side ? scene->n_bones - 1 : 0];
        const float inner = side ? -bone->centre_mm.mean : bone->centre_mm.mean;
        const float most = inner - 0.25f * bone->half_mm.mean - scene->contact_soft_mm;
        scene->contact_mm[side].mean = fminf(scene->contact_mm[side].mean, most);
    }
}

void sono_phantom_scene_init(sono_phantom_scene *scene, const sono_phantom_options *options, uint64_t sweep,
                             sono_phantom_work *work)
{
    *scene = (sono_phantom_scene){0};
    scene->key = phantom_hash(phantom_hash(options->seed + 0x9e3779b97f4a7c15u) + sweep);
    phantom_dice dice = {scene->key, 0};
    const float depth_mm = phantom_draw(&dice, 35, 65);
    scene->depth_mm = options->depth_mm > 0 ? options->depth_mm : depth_mm;
    scene->px_per_mm = (float)work->height_px / scene->depth_mm;
    const float view_mm = (float)work->width_px / scene->px_per_mm;
    const sono_phantom_shape shape = draw_shape(&dice, options);
    draw_tissue(&dice, scene);
    draw_settings(&dice, options, view_mm, scene);
    draw_bones(&dice, shape, view_mm, scene);
    keep_visible(scene);
    for (uint64_t i = 0; i < (uint64_t)SONO_PHANTOM_LATTICE * SONO_PHANTOM_LATTICE; i++)
        work->lattice[i] = phantom_unit(phantom_hash(scene->key ^ ((i + 1) << 32)));
}

/* Depth of the surface in mm at x_mm from the middle; *u becomes the place on it, -1 and 1 its ends. */
static float surface_mm(const sono_phantom_bone *bone, const float *at, float x_mm, float *u)
{
    const float dx = x_mm - at[0];
    *u = dx / (dx < 0 ? at[2] * bone->skew : at[2]);
    const float bend = bone->bend;
    const float rise = (sqrtf(*u * *u + bend * bend) - bend) / (sqrtf(1 + bend * bend) - bend);
    const float step = bone->break_step_mm * phantom_step(-0.01f, 0.01f, *u - bone->break_at);
    return at[1] + at[4] * dx + at[3] * rise + (bone->break_at < 1 ? step : 0);
}

static float presence(const sono_phantom_bone *bone, float u)
{
    const float side = fabsf(u), gap = fabsf(u - bone->break_at);
    return (1 - phantom_step(1 - SOFT_END, 1 + SOFT_END, side)) *
           phantom_step(bone->break_half, bone->break_half + SOFT_END * 0.5f, gap);
}

static void pose_bone(const sono_phantom_scene *scene, int32_t index, double time_s, float probe_mm,
                      sono_phantom_work *work)
{
    const sono_phantom_bone *bone = &scene->bones[index];
    const float at[5] = {phantom_wave_at(&bone->centre_mm, time_s) - probe_mm,
                         phantom_wave_at(&bone->top_mm, time_s), phantom_wave_at(&bone->half_mm, time_s),
                         phantom_wave_at(&bone->rise_mm, time_s), phantom_wave_at(&bone->tilt, time_s)};
    const float deepest_mm = 4 * scene->depth_mm, step_mm = 1 / scene->px_per_mm;
    const float level = phantom_level(bone->level_db + scene->loss_db_mm * at[1]);
    for (int32_t x = 0; x < work->stride; x++) {
        float u = 0, ignored;
        const float x_mm = ((float)x + 0.5f - 0.5f * (float)work->width_px) * step_mm;
        const float bump =
            phantom_noise(work->lattice, (x_mm + probe_mm) * 0.2f + 31.0f * (float)index, 7.5f);
        const float fine = phantom_noise(work->lattice, (x_mm + probe_mm) * 1.1f, 11.5f + (float)index);
        const float depth = surface_mm(bone, at, x_mm, &u) + 0.8f * (bump - 0.5f) + 0.22f * (fine - 0.5f) -
                            work->effects.press_mm;
        const float slope = (surface_mm(bone, at, x_mm + step_mm, &ignored) -
                             surface_mm(bone, at, x_mm - step_mm, &ignored)) *
                            0.5f / step_mm;
        const float cosine = fmaxf(1 / sqrtf(1 + slope * slope), MIN_COSINE);
        const float present = presence(bone, u);
        work->columns.bone[index][x] = fmaxf(fminf(depth, deepest_mm), 1.0f) * scene->px_per_mm;
        work->columns.cosine[index][x] = cosine;
        work->columns.opacity[index][x] = present;
        work->columns.echo[index][x] = present * level * powf(cosine, scene->incidence_power);
        work->columns.gain_at_bone[index][x] = 0;
    }
}

/* The smaller of both, rounded off over soft. */
static float soft_min(float a, float b, float soft)
{
    return 0.5f * (a + b - sqrtf((a - b) * (a - b) + soft * soft));
}

static void pose_layers(const sono_phantom_scene *scene, float probe_mm, sono_phantom_work *work)
{
    for (int32_t k = 0; k < SONO_PHANTOM_LAYERS; k++)
        for (int32_t x = 0; x < work->stride; x++) {
            const float x_mm = ((float)x - 0.5f * (float)work->width_px) / scene->px_per_mm + probe_mm;
            const float wave = phantom_noise(work->lattice, x_mm * 0.07f, 40.5f + (float)k) - 0.5f;
            float y = scene->layer_mm[k] + scene->layer_tilt[k] * x_mm + scene->layer_wave_mm[k] * wave;
            y -= work->effects.press_mm * (float)k / SONO_PHANTOM_LAYERS;
            for (int32_t b = 0; b < scene->n_bones && k; b++)
                y = soft_min(y, work->columns.bone[b][x] / scene->px_per_mm - LAYER_GAP_MM * (float)(3 - k),
                             LAYER_SOFT_MM);
            if (k)
                y = fmaxf(y, work->columns.layer[k - 1][x] / scene->px_per_mm + 0.2f);
            work->columns.layer[k][x] = y * scene->px_per_mm;
        }
}

/* From one side on the probe's face leaves the skin: what is below it gets no sound. */
static void lift_off(sono_phantom_work *work)
{
    const sono_phantom_effects *e = &work->effects;
    for (int32_t x = 0; x < work->stride; x++) {
        const float place = ((float)x + 0.5f) / (float)work->width_px;
        const float from = e->lift_side ? 1 - place : place;
        const float edge = -LIFT_SOFT + e->lift * (1 + 2 * LIFT_SOFT);
        work->columns.air[x] = 1 - phantom_step(edge - LIFT_SOFT, edge + LIFT_SOFT, from);
        work->columns.streak[x] *= phantom_level(-e->lift_db * work->columns.air[x]);
    }
}

static void cover_columns(float px_per_mm, sono_phantom_work *work)
{
    const sono_phantom_effects *e = &work->effects;
    for (int32_t x = 0; x < work->stride; x++) {
        const float x_mm = ((float)x + 0.5f - 0.5f * (float)work->width_px) / px_per_mm;
        const float ragged = e->cover_soft_mm * (phantom_noise(work->lattice, x_mm * 1.3f, 210.5f) - 0.5f);
        work->columns.cover_mm[x] = fminf(x_mm - e->cover_mm[0], e->cover_mm[1] - x_mm) + ragged;
    }
}

void sono_phantom_pose(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work)
{
    const float probe_mm = phantom_probe_mm(scene, work, time_s);
    const float half_view_mm = 0.5f * (float)work->width_px / scene->px_per_mm;
    for (int32_t b = 0; b < scene->n_bones; b++)
        pose_bone(scene, b, time_s, probe_mm, work);
    pose_layers(scene, probe_mm, work);
    float edge[2];
    for (int32_t side = 0; side < 2; side++)
        edge[side] = half_view_mm + phantom_wave_at(&scene->contact_mm[side], time_s);
    for (int32_t x = 0; x < work->stride; x++) {
        const float left_mm = ((float)x + 0.5f) / scene->px_per_mm;
        const float from[2] = {left_mm, 2 * half_view_mm - left_mm};
        const float ragged = 1.5f * (phantom_noise(work->lattice, left_mm * 1.7f, 90.5f) - 0.5f);
        float db = 0;
        for (int32_t side = 0; side < 2; side++)
            db += scene->contact_db[side] *
                  (1 - phantom_step(edge[side] - scene->contact_soft_mm, edge[side] + scene->contact_soft_mm,
                                    from[side] + ragged));
        work->columns.contact[x] = phantom_level(db);
        work->columns.streak[x] =
            phantom_level(4 * (phantom_noise(work->lattice, left_mm * 0.9f, 120.5f) - 0.5f));
        const float along = left_mm + probe_mm;
        const float rough = phantom_noise(work->lattice, along * 0.8f, 150.5f) +
                            phantom_noise(work->lattice, along * 3.1f, 160.5f) - 1;
        work->columns.rough[x] = phantom_level(scene->roughness_db * rough);
    }
    if (work->effects.lift > 0)
        lift_off(work);
    if (work->effects.cover_db > 0)
        cover_columns(scene->px_per_mm, work);
}
