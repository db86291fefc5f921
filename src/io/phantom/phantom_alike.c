// SPDX-License-Identifier: Apache-2.0
/* What looks like bone and is not: which kinds a sweep shows. */
#include "io/phantom/phantom_math.h"

#define ALIKE_KEY 0xa11cebu
#define TWO_KINDS 0.4f  /* share of sweeps with a second kind */
#define NARROW    0.06f /* of the view: half of a clean shadow at most */

/* Sizes were drawn for a linear probe. */
static void enlarge(float scale, sono_phantom_alikes *out)
{
    for (int32_t i = 0; i < out->n_sheets; i++) {
        sono_phantom_sheet *s = &out->sheets[i];
        float *const sizes[] = {&s->lead_mm, &s->tail_mm,   &s->wave_mm,
                                &s->fine_mm, &s->repeat_mm, &s->haze_mm};
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            *sizes[k] *= scale;
        s->wave_per_mm /= scale;
        s->fine_per_mm /= scale;
    }
    for (int32_t i = 0; i < out->n_spots; i++) {
        sono_phantom_spot *s = &out->spots[i];
        float *const sizes[] = {&s->half_mm, &s->thick_mm, &s->lobe_mm, &s->tail_mm};
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            *sizes[k] *= scale;
        s->wing_per_mm /= scale;
    }
    for (int32_t i = 0; i < out->n_discs; i++)
        out->discs[i].radius_mm *= scale;
    for (int k = 0; k < 2; k++)
        out->ring_period_mm[k] *= scale;
}

/* One of the kinds in `from`, which is not 0. */
static int32_t draw_kind(phantom_dice *dice, uint32_t from)
{
    int32_t kinds[SONO_PHANTOM_ALIKE_COUNT], n = 0;
    for (int32_t k = 0; k < SONO_PHANTOM_ALIKE_COUNT; k++)
        if (from >> k & 1)
            kinds[n++] = k;
    const int32_t place = (int32_t)phantom_draw(dice, 0, (float)n);
    return kinds[place < n ? place : n - 1];
}

/* Stones and gas that a bone's shadow would hide lie above it instead, where theirs falls on it. */
static void lift_above_bones(const sono_phantom_scene *scene, float view_mm, sono_phantom_alikes *out)
{
    for (int32_t b = 0; b < scene->n_bones; b++) {
        const sono_phantom_bone *bone = &scene->bones[b];
        const float place = bone->centre_mm.mean / view_mm, half = 1.2f * bone->half_mm.mean / view_mm;
        const float most_mm = 0.7f * bone->top_mm.mean;
        for (int32_t i = 0; i < out->n_spots; i++)
            if (out->spots[i].shade_db > 0 && fabsf(out->spots[i].place - place) < half)
                out->spots[i].depth_mm = fminf(out->spots[i].depth_mm, most_mm);
        for (int32_t i = 0; i < out->n_sheets; i++)
            if (out->sheets[i].shade_db > 0 && out->sheets[i].half_mm < 0.5f * view_mm &&
                fabsf(out->sheets[i].place - place) < half)
                out->sheets[i].depth_mm = fminf(out->sheets[i].depth_mm, most_mm);
    }
}

/* Near the face of a fan a stone's shadow would be as wide as a bone's. */
static void keep_narrow(const sono_phantom_scene *scene, float view_mm, sono_phantom_alikes *out)
{
    const float n_columns = view_mm * scene->columns_per_mm;
    for (int32_t i = 0; i < out->n_spots; i++) {
        const float columns_a_mm = sono_phantom_columns_at(scene, out->spots[i].depth_mm * scene->px_per_mm);
        if (out->spots[i].shade_db > 0)
            out->spots[i].half_mm = fminf(out->spots[i].half_mm, NARROW * n_columns / columns_a_mm);
    }
}

void sono_phantom_alike_init(sono_phantom_scene *scene, uint32_t kinds, float view_mm)
{
    const uint64_t key = phantom_hash(scene->key ^ ALIKE_KEY);
    phantom_dice dice = {key, 0};
    sono_phantom_alikes *out = &scene->alikes;
    const float scale = scene->fan.is_fan ? scene->fan.finer : 1;
    const int32_t first = draw_kind(&dice, kinds);
    const uint32_t others = kinds & ~(1u << first);
    out->kinds = 1u << first;
    const int has_two = phantom_draw(&dice, 0, 1) < TWO_KINDS;
    if (has_two && others)
        out->kinds |= 1u << draw_kind(&dice, others);
    for (int32_t k = 0; k < SONO_PHANTOM_ALIKE_COUNT; k++)
        if (out->kinds >> k & 1)
            sono_phantom_alike_draw(scene, k, phantom_hash(key + (uint64_t)k + 1), view_mm, scale);
    enlarge(scale, out);
    lift_above_bones(scene, view_mm, out);
    keep_narrow(scene, view_mm, out);
}
