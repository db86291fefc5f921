// SPDX-License-Identifier: Apache-2.0
/* The phantom's anatomy and settings: what is drawn once a sweep, and where it lies at a moment. */
#include "io/phantom/phantom_math.h"

#define LAYER_SOFT_MM 1.5f
#define LIFT_SOFT     0.12f /* of the view: half the zone in which contact fades while the probe lifts */
#define LAYER_GAP_MM  0.6f  /* soft tissue that stays above a bone */
#define LEAST_ALONG   0.6f  /* cosine of the steepest beam to which layers may flatten */
#define ADULT_MM      25.0f /* a convex probe's bones are no nearer, but for infants */
#define NEAR_SHARE    0.1f  /* of the depth, likewise for other fans */
#define ADULT_RADIUS  25.0f
#define DEEPEST_SHARE 0.7f /* of the depth: tops are no deeper */

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

/* Coarser resolution and thicker echoes with depth; no bone where such a probe has none. */
static void suit_fan(sono_phantom_scene *scene)
{
    const sono_phantom_fan *fan = &scene->fan;
    const float echo = fminf(fan->finer, 1.8f);
    scene->sigma_axial_mm *= fan->finer;
    scene->sigma_lateral_mm *= fan->finer;
    scene->near_mm *= fan->finer;
    scene->near_period_mm *= fan->finer;
    scene->septa_mm *= fan->finer;
    scene->band_mm *= echo;
    const int is_adult = fan->geometry == SONO_PHANTOM_CURVILINEAR && fan->radius_mm > ADULT_RADIUS;
    const float least = is_adult ? ADULT_MM : NEAR_SHARE * scene->depth_mm;
    for (int32_t b = 0; b < scene->n_bones; b++) {
        sono_phantom_wave *top = &scene->bones[b].top_mm;
        top->mean = fminf(fmaxf(top->mean, least + top->swing), DEEPEST_SHARE * scene->depth_mm);
    }
}

/* Lateral place, in nominal mm, of the beam that meets x_mm at a bone's top. */
static float nominal_mm(const sono_phantom_scene *scene, float x_mm, float top_mm)
{
    const sono_phantom_fan *fan = &scene->fan;
    if (!fan->is_fan)
        return x_mm;
    const float tangent = x_mm / (fan->radius_mm + top_mm);
    return (fan->has_flat_face ? tangent : atanf(tangent)) / fan->per_column / scene->columns_per_mm;
}

/* Poor contact may hide a part of the first and last bone, never its middle. */
static void keep_visible(sono_phantom_scene *scene)
{
    for (int32_t side = 0; side < 2 && scene->n_bones; side++) {
        const sono_phantom_bone *bone = &scene->bones[side ? scene->n_bones - 1 : 0];
        const float top_mm = bone->top_mm.mean;
        const float centre = nominal_mm(scene, bone->centre_mm.mean, top_mm);
        const float inner = side ? -centre : centre;
        const float most =
            inner - 0.25f * nominal_mm(scene, bone->half_mm.mean, top_mm) - scene->contact_soft_mm;
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
    sono_phantom_layout(scene, options, options->depth_mm > 0 ? options->depth_mm : depth_mm, work);
    const float view_mm = scene->view_mm;
    const sono_phantom_shape shape = draw_shape(&dice, options);
    draw_tissue(&dice, scene);
    draw_settings(&dice, options, view_mm, scene);
    if (options->degrade)
        sono_phantom_degrade_init(scene);
    draw_bones(&dice, shape, view_mm, scene);
    if (options->hard)
        sono_phantom_hard_init(scene, options, view_mm);
    if (scene->fan.is_fan)
        suit_fan(scene);
    keep_visible(scene);
    if (options->look_alikes)
        sono_phantom_alike_init(scene, options->look_alikes, view_mm);
    sono_phantom_map(scene, work);
    for (uint64_t i = 0; i < (uint64_t)SONO_PHANTOM_LATTICE * SONO_PHANTOM_LATTICE; i++)
        work->lattice[i] = phantom_unit(phantom_hash(scene->key ^ ((i + 1) << 32)));
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
            const float x_mm = ((float)x - 0.5f * (float)work->width_px) / scene->columns_per_mm + probe_mm;
            const float wave = phantom_noise(work->lattice, x_mm * 0.07f, 40.5f + (float)k) - 0.5f;
            float y = scene->layer_mm[k] + scene->layer_tilt[k] * x_mm + scene->layer_wave_mm[k] * wave;
            y -= work->effects.press_mm * (float)k / SONO_PHANTOM_LAYERS;
            if (scene->fan.is_fan)
                y += scene->fan.flatten * (scene->fan.radius_mm + y) *
                     (1 / fmaxf(work->columns.along[x], LEAST_ALONG) - 1);
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
    const float half_view_mm = 0.5f * (float)work->width_px / scene->columns_per_mm;
    work->probe_mm = probe_mm;
    for (int32_t b = 0; b < scene->n_bones; b++)
        sono_phantom_pose_bone(scene, b, time_s, probe_mm, work);
    pose_layers(scene, probe_mm, work);
    float edge[2];
    for (int32_t side = 0; side < 2; side++)
        edge[side] = half_view_mm + phantom_wave_at(&scene->contact_mm[side], time_s);
    for (int32_t x = 0; x < work->stride; x++) {
        const float left_mm = ((float)x + 0.5f) / scene->columns_per_mm;
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
    if (scene->alikes.n_sheets)
        sono_phantom_alike_pose(scene, time_s, probe_mm, work);
}
