// SPDX-License-Identifier: Apache-2.0
/* What looks like bone and is not, in a frame: where it lies, its echoes, its shadow, its artefacts. */
#include "io/phantom/phantom_math.h"

#define COHERENT      0.7f /* as a bone's echo */
#define DIFFUSE       0.4f
#define DRIFT_A_SLICE 0.06f /* as that of tissue */
#define ROOT_STEPS    4     /* of Newton's method along a beam */
#define SHADE_SOFT_MM 0.8f  /* depth over which a shadow sets in */
#define EDGE_A_MM     0.02f /* how much softer a shadow's edge is, mm a mm of depth */
#define LEAST_PX      0.6f

/* Where a beam begins in the picture, and how it goes on with each mm: mm right of the middle, mm below the
 * probe's face. */
static void aim(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t x, float from[2],
                float way[2])
{
    const sono_phantom_columns *c = &work->columns;
    const int is_fan = scene->fan.is_fan;
    from[0] = is_fan ? c->face_x_mm[x] : ((float)x + 0.5f - 0.5f * (float)work->width_px) / scene->px_per_mm;
    from[1] = is_fan ? c->face_y_mm[x] : 0;
    way[0] = is_fan ? c->sine[x] : 0;
    way[1] = is_fan ? c->along[x] : 1;
}

static float loss_gain(const sono_phantom_scene *scene, float depth_mm)
{
    return phantom_level(scene->loss_db_mm * depth_mm);
}

static float drift_at(const sono_phantom_scene *scene, double time_s)
{
    return fmodf(DRIFT_A_SLICE * scene->slices_hz * (float)time_s, SONO_PHANTOM_LATTICE);
}

/* Lateral mm a column spans at a depth. */
static float column_mm(const sono_phantom_scene *scene, float depth_mm)
{
    return 1 / sono_phantom_columns_at(scene, depth_mm * scene->px_per_mm);
}

/* Column in which something lies that tissue carries along. */
static float column_of(const sono_phantom_scene *scene, const sono_phantom_work *work, float place,
                       float carried_mm)
{
    return (0.5f + place) * (float)work->width_px - 0.5f - carried_mm * scene->columns_per_mm;
}

/* Depth of a sheet at `along` mm from its middle. */
static float curve(const sono_phantom_sheet *s, int32_t index, const sono_phantom_work *work, float along,
                   float depth_mm)
{
    const float row = 44.5f + 7 * (float)index;
    const float u = along / s->half_mm;
    float y = depth_mm + s->tilt * along + s->bow_mm * u * u;
    if (s->wave_mm > 0)
        y += s->wave_mm * (phantom_noise(work->lattice, along * s->wave_per_mm + 9, row) - 0.5f);
    if (s->fine_mm > 0)
        y += s->fine_mm * (phantom_noise(work->lattice, along * s->fine_per_mm + 5, row + 1) - 0.5f);
    return y;
}

/* Where the beam of column x meets a sheet that is straight in the picture: mm along the beam; *along becomes
 * the place on the sheet. */
static float meet(const sono_phantom_scene *scene, int32_t index, const sono_phantom_work *work, int32_t x,
                  float middle_mm, float depth_mm, float *along)
{
    const sono_phantom_sheet *s = &scene->alikes.sheets[index];
    float from[2], way[2];
    aim(scene, work, x, from, way);
    float r = depth_mm;
    for (int i = 0; i < ROOT_STEPS; i++) {
        *along = from[0] + r * way[0] - middle_mm;
        const float slope = s->tilt + 2 * s->bow_mm * *along / (s->half_mm * s->half_mm);
        const float off = curve(s, index, work, *along, depth_mm) - (from[1] + r * way[1]);
        r = fminf(fmaxf(r + off / fmaxf(way[1] - slope * way[0], 0.2f), -50), 4 * scene->depth_mm);
    }
    return r;
}

static void pose_sheet(const sono_phantom_scene *scene, int32_t index, double time_s, float probe_mm,
                       sono_phantom_work *work)
{
    const sono_phantom_sheet *s = &scene->alikes.sheets[index];
    const double turns = (double)s->swing_hz * time_s + (double)s->swing_phase;
    const float swing = s->is_still ? 0 : s->swing_mm * sinf(PHANTOM_TURN * (float)(turns - floor(turns)));
    const float depth_mm = s->depth_mm + swing - (s->is_still ? 0 : work->effects.press_mm);
    const float middle = column_of(scene, work, s->place, s->is_still ? 0 : probe_mm);
    const float across_mm = column_mm(scene, depth_mm);
    const float row = 80.5f + 7 * (float)index + (s->is_still ? 0 : drift_at(scene, time_s));
    const float middle_mm = (middle + 0.5f - 0.5f * (float)work->width_px) * across_mm;
    for (int32_t x = 0; x < work->stride; x++) {
        float along = ((float)x - middle) * across_mm;
        const float r = s->is_straight ? meet(scene, index, work, x, middle_mm, depth_mm, &along)
                                       : curve(s, index, work, along, depth_mm);
        const float uneven = phantom_noise(work->lattice, along * 0.3f, row) +
                             phantom_noise(work->lattice, along * 1.4f, row + 3) - 1;
        const float present = 1 - phantom_step(1 - s->soft, 1, fabsf(along) / s->half_mm);
        work->columns.sheet[index][x] = r * scene->px_per_mm;
        work->columns.sheet_sound[index][x] = 0;
        work->columns.sheet_cover[index][x] = r > 0 ? present : 0;
        work->columns.sheet_echo[index][x] =
            r > 0 ? present * phantom_level(s->level_db + s->patchy_db * uneven) : 0;
    }
}

void sono_phantom_alike_pose(const sono_phantom_scene *scene, double time_s, float probe_mm,
                             sono_phantom_work *work)
{
    for (int32_t i = 0; i < scene->alikes.n_sheets; i++)
        pose_sheet(scene, i, time_s, probe_mm, work);
}

/* Gain of the cysts and targets at a place. */
static float disc_gain(const sono_phantom_scene *scene, const sono_phantom_work *work, float x, float y_mm,
                       float across_mm, float probe_mm)
{
    float gain = 1;
    for (int32_t i = 0; i < scene->alikes.n_discs; i++) {
        const sono_phantom_disc *d = &scene->alikes.discs[i];
        const float dx = (x - column_of(scene, work, d->place, probe_mm)) * across_mm,
                    dy = y_mm - d->depth_mm;
        if (dx * dx + dy * dy < d->radius_mm * d->radius_mm)
            gain = phantom_level(d->contrast_db);
    }
    return gain;
}

void sono_phantom_alike_medium(const sono_phantom_scene *scene, double time_s, float probe_mm,
                               sono_phantom_work *work)
{
    const sono_phantom_alikes *a = &scene->alikes;
    const float level = phantom_level(a->medium_db), drift = drift_at(scene, time_s);
    for (int32_t y = 0; y < work->height_px; y++) {
        const float y_mm = (float)y / scene->px_per_mm, across_mm = column_mm(scene, y_mm);
        const float seen = phantom_level(a->flatness * scene->loss_db_mm * y_mm);
        float *row = work->amplitude + (size_t)y * (size_t)work->stride;
        float *specular = work->specular + (size_t)y * (size_t)work->stride;
        for (int32_t x = 0; x < work->stride; x++) {
            if (a->medium == SONO_PHANTOM_TISSUE) {
                row[x] *= seen;
                continue;
            }
            const float x_mm = ((float)x - 0.5f * (float)work->width_px) * across_mm + probe_mm;
            const float cloud = phantom_noise(work->lattice, x_mm * 0.09f + 3, y_mm * 0.11f + 130 + drift);
            row[x] = level * seen * (1 - a->cloud + 2 * a->cloud * cloud);
            if (a->n_discs)
                row[x] *= disc_gain(scene, work, (float)x, y_mm, across_mm, probe_mm);
            specular[x] = 0;
        }
    }
}

static void reflect(sono_phantom_work *work, int32_t x, int32_t y, float level)
{
    const size_t i = (size_t)y * (size_t)work->stride + (size_t)x;
    work->specular[i] = fmaxf(work->specular[i], COHERENT * level);
    work->amplitude[i] = fmaxf(work->amplitude[i], DIFFUSE * level);
}

static void draw_sheet(const sono_phantom_scene *scene, int32_t index, sono_phantom_work *work)
{
    const sono_phantom_sheet *s = &scene->alikes.sheets[index];
    const float steep = sqrtf(1 + s->tilt * s->tilt) * scene->px_per_mm;
    const float lead = fmaxf(s->lead_mm * steep, LEAST_PX), tail = fmaxf(s->tail_mm * steep, LEAST_PX);
    const float deepest = (float)(work->height_px - 1);
    for (int32_t x = 0; x < work->width_px; x++) {
        const float centre = work->columns.sheet[index][x];
        const float level =
            work->columns.sheet_echo[index][x] * loss_gain(scene, fmaxf(centre, 0) / scene->px_per_mm);
        const int32_t first = (int32_t)fmaxf(centre - 3 * lead, 0);
        const int32_t last = (int32_t)fminf(centre + 3 * tail, deepest);
        for (int32_t y = first; level > 0 && y <= last; y++) {
            const float away = (float)y - centre, d = away / (away < 0 ? lead : tail);
            reflect(work, x, y, level * expf(-0.5f * d * d));
        }
    }
}

/* What is seen of a spot `dx` mm beside its middle: a stone is even and has ends, a wire swells. Below a
 * stone the edges of its shadow soften. */
static float spot_across(const sono_phantom_spot *s, float dx, float below_mm)
{
    const float u = fabsf(dx) / s->half_mm, soft = 0.15f + EDGE_A_MM * below_mm / s->half_mm;
    return s->shade_db > 0 ? 1 - phantom_step(0.95f - soft, 0.95f + soft, u) : expf(-0.5f * u * u);
}

static void draw_spot(const sono_phantom_scene *scene, const sono_phantom_spot *s, float middle,
                      sono_phantom_work *work)
{
    const float across_mm = column_mm(scene, s->depth_mm);
    const float reach_mm = fmaxf(3 * s->half_mm, s->lobe_mm);
    const float level = phantom_level(s->level_db) * loss_gain(scene, s->depth_mm);
    const float thick = fmaxf(s->thick_mm * scene->px_per_mm, LEAST_PX),
                deepest = (float)(work->height_px - 1);
    const int32_t left = (int32_t)fmaxf(middle - reach_mm / across_mm, 0);
    const int32_t right = (int32_t)fminf(middle + reach_mm / across_mm, (float)(work->width_px - 1));
    for (int32_t x = left; x <= right; x++) {
        const float dx = ((float)x - middle) * across_mm;
        const float body = level * spot_across(s, dx, 0);
        const float lobe = s->lobe_mm > 0 ? level * phantom_level(s->lobe_db * (1 + fabsf(dx) / s->lobe_mm)) *
                                                (1 - phantom_step(0.6f, 1, fabsf(dx) / s->lobe_mm))
                                          : 0;
        const float level_row = s->depth_mm * scene->px_per_mm;
        const float bent = level_row + (s->lean * dx + s->wing_per_mm * dx * dx) * scene->px_per_mm;
        const int32_t first = (int32_t)fmaxf(fminf(bent, level_row) - 3 * thick, 0);
        const int32_t last = (int32_t)fminf(fmaxf(bent, level_row) + 3 * thick, deepest);
        for (int32_t y = first; y <= last; y++) {
            const float d = ((float)y - bent) / thick, e = ((float)y - level_row) / (0.6f * thick);
            reflect(work, x, y, fmaxf(body * expf(-0.5f * d * d), lobe * expf(-0.5f * e * e)));
        }
    }
}

void sono_phantom_alike_echoes(const sono_phantom_scene *scene, float probe_mm, sono_phantom_work *work)
{
    for (int32_t i = 0; i < scene->alikes.n_sheets; i++)
        draw_sheet(scene, i, work);
    for (int32_t i = 0; i < scene->alikes.n_spots; i++) {
        const sono_phantom_spot *s = &scene->alikes.spots[i];
        draw_spot(scene, s, column_of(scene, work, s->place, probe_mm), work);
    }
}

static void shade_by_spot(const sono_phantom_scene *scene, const sono_phantom_spot *s, float y_mm,
                          float middle, sono_phantom_work *work)
{
    const float across_mm = column_mm(scene, s->depth_mm);
    const float below_mm = y_mm - s->depth_mm - s->thick_mm,
                set_in = phantom_step(0, SHADE_SOFT_MM, below_mm);
    const float dark = phantom_level(-s->shade_db);
    for (int32_t x = 0; x < work->stride && set_in > 0; x++)
        work->gain[x] *= 1 - set_in * spot_across(s, ((float)x - middle) * across_mm, below_mm) * (1 - dark);
}

void sono_phantom_alike_gain(const sono_phantom_scene *scene, int32_t y, float probe_mm,
                             sono_phantom_work *work)
{
    const sono_phantom_alikes *a = &scene->alikes;
    const float y_mm = (float)y / scene->px_per_mm, coupled = phantom_level(-a->air_db);
    for (int32_t x = 0; x < work->stride && a->air_db > 0; x++)
        work->gain[x] *= coupled;
    for (int32_t i = 0; i < a->n_sheets; i++) {
        const sono_phantom_sheet *s = &a->sheets[i];
        const float dark = phantom_level(-s->shade_db), made_up = loss_gain(scene, y_mm);
        for (int32_t x = 0; x < work->stride; x++) {
            if ((int32_t)work->columns.sheet[i][x] == y) /* what follows is as strong as what arrives */
                work->columns.sheet_sound[i][x] = fminf(work->gain[x] * made_up, 1);
            const float below_mm = y_mm - work->columns.sheet[i][x] / scene->px_per_mm - s->tail_mm;
            if (s->shade_db > 0 && below_mm > 0)
                work->gain[x] *= 1 - work->columns.sheet_cover[i][x] *
                                         phantom_step(0, SHADE_SOFT_MM, below_mm) * (1 - dark);
        }
    }
    for (int32_t i = 0; i < a->n_spots; i++)
        if (a->spots[i].shade_db > 0)
            shade_by_spot(scene, &a->spots[i], y_mm, column_of(scene, work, a->spots[i].place, probe_mm),
                          work);
}

/* Two parts of smooth noise as an envelope: grain that no scatterer makes, mean about 1. Both are turned,
 * each its own way, so that the lattice does not show. */
static float grain(const sono_phantom_work *work, float x_mm, float y_mm)
{
    const float a = 1.7f * x_mm + 1.9f * y_mm, b = 2.9f * y_mm - 1.1f * x_mm;
    const float c = 1.5f * x_mm - 2.1f * y_mm + 57, d = 2.7f * y_mm + 1.3f * x_mm + 91;
    const float re = phantom_noise(work->lattice, a, b) - 0.5f,
                im = phantom_noise(work->lattice, c, d) - 0.5f;
    return 0.2f + 3.2f * sqrtf(re * re + im * im);
}

/* Lines of sound to and fro in the probe's face. */
static void ring_row(const sono_phantom_scene *scene, float y_mm, sono_phantom_work *work)
{
    const sono_phantom_alikes *a = &scene->alikes;
    float lines = 0.1f;
    for (int k = 0; k < 2; k++) {
        const float wave = 0.5f + 0.5f * cosf(PHANTOM_TURN * y_mm / a->ring_period_mm[k]);
        lines += (k ? 0.8f : 1) * powf(wave, a->ring_sharpness);
    }
    const float level = phantom_level(a->ring_db) * expf(-y_mm / a->ring_mm) * lines;
    for (int32_t x = 0; x < work->stride && level > 1e-4f; x++) {
        const float x_mm = (float)x / scene->columns_per_mm;
        const float uneven = 0.6f + 0.8f * phantom_noise(work->lattice, x_mm * 0.12f, y_mm * 1.6f + 20);
        work->extra[x] += level * uneven * (0.75f + 0.25f * grain(work, x_mm, y_mm));
    }
}

/* Copies of a sheet further down, and the haze that fills its shadow. */
static void trail_row(const sono_phantom_scene *scene, int32_t index, float y, float probe_mm,
                      sono_phantom_work *work)
{
    const sono_phantom_sheet *s = &scene->alikes.sheets[index];
    const float mm = 1 / scene->px_per_mm, haze = phantom_level(s->haze_db);
    const float spread = fmaxf(0.5f * (s->lead_mm + s->tail_mm) * scene->px_per_mm, 1);
    const float carried_mm = s->is_still ? 0 : probe_mm, soft = phantom_level(s->repeat_db);
    for (int32_t x = 0; x < work->stride; x++) {
        const float level = work->columns.sheet_echo[index][x] * work->columns.sheet_sound[index][x];
        const float centre = work->columns.sheet[index][x];
        if (!(level > 0) || y < centre)
            continue;
        const float x_mm = (float)x / scene->columns_per_mm + carried_mm,
                    below_mm = (y - centre) * mm - s->tail_mm;
        float echo = 0, fade = 1;
        for (int32_t k = 1; k <= s->n_repeats; k++) {
            const float row = s->repeat_mm > 0 ? centre + (float)k * s->repeat_mm * scene->px_per_mm
                                               : (float)(k + 1) * centre;
            const float d = (y - row) / spread;
            fade *= soft;
            if (fabsf(d) < 3)
                echo += fade * expf(-0.5f * d * d);
        }
        if (s->shade_db > 0 && below_mm > 0) {
            const float column = phantom_noise(work->lattice, x_mm * 0.7f, 190.5f + 0.02f * below_mm);
            const float reach = s->haze_mm * (0.25f + 2.2f * column * column * column);
            echo += haze * phantom_step(0, SHADE_SOFT_MM, below_mm) * expf(-below_mm / reach);
        }
        if (echo > 1e-4f)
            work->extra[x] += level * echo * grain(work, x_mm, y * mm);
    }
}

static void tail_row(const sono_phantom_scene *scene, const sono_phantom_spot *s, float y_mm, float probe_mm,
                     sono_phantom_work *work)
{
    const float middle = column_of(scene, work, s->place, probe_mm), below_mm = y_mm - s->depth_mm;
    if (below_mm < 0 || below_mm > 6 * s->tail_mm)
        return;
    const float across_mm = column_mm(scene, s->depth_mm);
    const float level = phantom_level(s->level_db + s->tail_db) * expf(-below_mm / s->tail_mm) *
                        phantom_step(0, 2 * s->thick_mm, below_mm);
    const float reach = 3 * s->half_mm / across_mm;
    const int32_t left = (int32_t)fmaxf(middle - reach, 0);
    const int32_t right = (int32_t)fminf(middle + reach, (float)(work->stride - 1));
    for (int32_t x = left; x <= right; x++) {
        const float u = ((float)x - middle) * across_mm / (0.7f * s->half_mm);
        const float arrives = fminf(work->gain[x] * loss_gain(scene, y_mm), 1);
        work->extra[x] +=
            level * arrives * expf(-0.5f * u * u) * grain(work, (float)x / scene->columns_per_mm, y_mm);
    }
}

void sono_phantom_alike_extra(const sono_phantom_scene *scene, int32_t y, float probe_mm,
                              sono_phantom_work *work)
{
    const sono_phantom_alikes *a = &scene->alikes;
    const float y_mm = (float)y / scene->px_per_mm;
    if (a->ring_mm > 0)
        ring_row(scene, y_mm, work);
    for (int32_t i = 0; i < a->n_sheets; i++)
        if (a->sheets[i].n_repeats || a->sheets[i].shade_db > 0)
            trail_row(scene, i, (float)y, probe_mm, work);
    for (int32_t i = 0; i < a->n_spots; i++)
        if (a->spots[i].tail_mm > 0)
            tail_row(scene, &a->spots[i], y_mm, probe_mm, work);
}
