// SPDX-License-Identifier: Apache-2.0
/* Where a bone's surface lies along each beam, and how strong its echo is there. */
#include "io/phantom/phantom_math.h"

#define MIN_COSINE 0.12f
#define SOFT_END   0.14f /* of a bone's half width */
#define N_STEPS    160   /* along a beam of a fan, in search of the surface */
#define N_REFINED  4     /* Newton steps from there */
#define PRESENT    0.01f /* presence below which sound goes on */

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

/* With its bumps; *u as above. */
static float rough_surface_mm(const sono_phantom_work *work, const sono_phantom_bone *bone, int32_t index,
                              float x_mm, float probe_mm, float *u)
{
    const float bump = phantom_noise(work->lattice, (x_mm + probe_mm) * 0.2f + 31.0f * (float)index, 7.5f);
    const float fine = phantom_noise(work->lattice, (x_mm + probe_mm) * 1.1f, 11.5f + (float)index);
    return surface_mm(bone, work->posed[index], x_mm, u) + 0.8f * (bump - 0.5f) + 0.22f * (fine - 0.5f) -
           work->effects.press_mm;
}

float sono_phantom_surface_mm(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t index,
                              float x_mm, float probe_mm)
{
    float u = 0;
    return rough_surface_mm(work, &scene->bones[index], index, x_mm, probe_mm, &u);
}

static float slope_at(const sono_phantom_bone *bone, const float *at, float x_mm, float step_mm)
{
    float ignored;
    return (surface_mm(bone, at, x_mm + step_mm, &ignored) - surface_mm(bone, at, x_mm - step_mm, &ignored)) *
           0.5f / step_mm;
}

/* The surface in column x: range along the beam in mm, cosine of the angle to its normal, presence. */
typedef struct hit {
    float range_mm, cosine, present;
    float u; /* its place on the bone: -1 and 1 are the ends */
} hit;

static hit hit_parallel(const sono_phantom_scene *scene, int32_t index, int32_t x, float probe_mm,
                        const sono_phantom_work *work)
{
    const sono_phantom_bone *bone = &scene->bones[index];
    const float step_mm = 1 / scene->px_per_mm;
    const float x_mm = ((float)x + 0.5f - 0.5f * (float)work->width_px) * step_mm;
    hit h = {.u = 0};
    h.range_mm = rough_surface_mm(work, bone, index, x_mm, probe_mm, &h.u);
    const float slope = slope_at(bone, work->posed[index], x_mm, step_mm);
    h.cosine = fmaxf(1 / sqrtf(1 + slope * slope), MIN_COSINE);
    h.present = presence(bone, h.u);
    return h;
}

/* The range at which a beam first goes below the smooth surface where there is bone; else where it first does
 * so at all; else `deepest`. */
static float first_crossing(const sono_phantom_scene *scene, int32_t index, const float ray[4],
                            const sono_phantom_work *work)
{
    const sono_phantom_bone *bone = &scene->bones[index];
    const float step = scene->depth_mm / N_STEPS;
    float before = -1, first = -1, u = 0;
    for (int32_t i = 0; i <= N_STEPS + N_STEPS / 8; i++) {
        const float s = (float)i * step;
        const float inside =
            ray[1] + s * ray[3] - surface_mm(bone, work->posed[index], ray[0] + s * ray[2], &u);
        if (inside >= 0 && before < 0) {
            const float at = i ? s - step * inside / (inside - before) : 0;
            if (presence(bone, u) > PRESENT)
                return at;
            first = first < 0 ? at : first;
        }
        before = inside;
    }
    return first;
}

static hit hit_fan(const sono_phantom_scene *scene, int32_t index, int32_t x, float probe_mm,
                   const sono_phantom_work *work)
{
    const sono_phantom_bone *bone = &scene->bones[index];
    const sono_phantom_columns *c = &work->columns;
    const float ray[4] = {c->face_x_mm[x], c->face_y_mm[x], c->sine[x], c->along[x]};
    const float step_mm = 1 / scene->px_per_mm;
    hit h = {4 * scene->depth_mm, 1, 0, 0};
    float s = first_crossing(scene, index, ray, work), slope = 0, towards = 1;
    if (s < 0)
        return h;
    for (int32_t i = 0; i < N_REFINED; i++) {
        const float x_mm = ray[0] + s * ray[2];
        slope = slope_at(bone, work->posed[index], x_mm, step_mm);
        towards = ray[3] - slope * ray[2];
        const float inside = ray[1] + s * ray[3] - rough_surface_mm(work, bone, index, x_mm, probe_mm, &h.u);
        s -= fminf(fmaxf(inside / fmaxf(towards, MIN_COSINE), -1), 1);
    }
    h.range_mm = fmaxf(s, 0);
    h.cosine = fmaxf(fabsf(towards) / sqrtf(1 + slope * slope), MIN_COSINE);
    h.present = presence(bone, h.u);
    return h;
}

void sono_phantom_pose_bone(const sono_phantom_scene *scene, int32_t index, double time_s, float probe_mm,
                            sono_phantom_work *work)
{
    const sono_phantom_bone *bone = &scene->bones[index];
    const sono_phantom_columns *c = &work->columns;
    float *at = work->posed[index];
    at[0] = phantom_wave_at(&bone->centre_mm, time_s) - probe_mm;
    at[1] = phantom_wave_at(&bone->top_mm, time_s);
    at[2] = phantom_wave_at(&bone->half_mm, time_s);
    at[3] = phantom_wave_at(&bone->rise_mm, time_s);
    at[4] = phantom_wave_at(&bone->tilt, time_s);
    const float deepest_mm = 4 * scene->depth_mm;
    const float level = phantom_level(bone->level_db + scene->loss_db_mm * at[1]);
    for (int32_t x = 0; x < work->stride; x++) {
        const hit h = scene->fan.is_fan ? hit_fan(scene, index, x, probe_mm, work)
                                        : hit_parallel(scene, index, x, probe_mm, work);
        c->bone[index][x] = fmaxf(fminf(h.range_mm, deepest_mm), 1.0f) * scene->px_per_mm;
        c->cosine[index][x] = h.cosine;
        c->opacity[index][x] = h.present;
        c->echo[index][x] = h.present * level * powf(h.cosine, scene->incidence_power) *
                            sono_phantom_hard_level(&bone->hard, h.u, at[2]);
        c->wide[index][x] = sono_phantom_hard_width(&bone->hard, h.u);
        c->gain_at_bone[index][x] = 0;
        c->columns_a_px[index][x] =
            scene->fan.is_fan ? sono_phantom_columns_at(scene, c->bone[index][x]) / scene->px_per_mm : 1;
    }
}
