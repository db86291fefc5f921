// SPDX-License-Identifier: Apache-2.0
/* Bones that are hard to see or to outline: faint, fading, blurred, broken up, crossed, cut off, near the
 * probe, beside what looks like one. */
#include "io/phantom/phantom_math.h"

#define HARD_KEY     0x4a2dbeefu
#define DROP_SOFT    0.4f /* half the width of a drop-out's edge, in its own halves */
#define BRIDGE_THERE 0.5f /* presence of the bone below which a gap is real */

static float draw(phantom_dice *dice, float low, float high)
{
    return phantom_draw(dice, low, high);
}

static int chance(phantom_dice *dice, float share)
{
    return phantom_draw(dice, 0, 1) < share;
}

static void draw_fading(phantom_dice *dice, sono_phantom_hardness *hard)
{
    hard->fade_from = draw(dice, 0.1f, 0.55f);
    const int both = chance(dice, 0.6f), side = chance(dice, 0.5f);
    for (int i = 0; i < 2; i++) {
        const float db = draw(dice, 16, 42);
        hard->fade_db[i] = both || i == side ? db : 0;
    }
}

static void draw_crest(phantom_dice *dice, sono_phantom_hardness *hard)
{
    hard->crest_half = draw(dice, 0.1f, 0.3f);
    hard->crest_wide = draw(dice, 1.5f, 2.4f);
    hard->crest_db = draw(dice, 2, 9);
}

static void draw_drops(phantom_dice *dice, sono_phantom_hardness *hard)
{
    hard->n_drops = (int32_t)draw(dice, 1, SONO_PHANTOM_DROPS + 0.99f);
    for (int32_t i = 0; i < hard->n_drops; i++) {
        hard->drop_at[i] = draw(dice, -0.85f, 0.85f);
        hard->drop_half_mm[i] = draw(dice, 0.45f, 1.8f);
        hard->drop_db[i] = draw(dice, 24, 48);
    }
}

/* A second bone that touches the end of the first, or lies across it. */
static void draw_partner(phantom_dice *dice, sono_phantom_scene *scene)
{
    sono_phantom_bone *first = &scene->bones[0], *second = &scene->bones[1];
    const int crosses = chance(dice, 0.5f);
    const float side = first->centre_mm.mean > 0 ? -1.0f : 1.0f;
    *second = *first;
    second->half_mm.mean *= draw(dice, 0.6f, 1);
    second->level_db += draw(dice, -4, 2);
    second->bend = draw(dice, 0.5f, 2);
    second->break_at = 9;
    second->top_mm.phase = draw(dice, 0, 1);
    const float reach = first->half_mm.mean + second->half_mm.mean;
    second->centre_mm.mean += side * reach * (crosses ? draw(dice, 0.25f, 0.6f) : draw(dice, 0.9f, 1.05f));
    second->top_mm.mean *= crosses ? draw(dice, 0.9f, 1.25f) : draw(dice, 0.95f, 1.05f);
    const float tilt = crosses ? draw(dice, 0.12f, 0.4f) : draw(dice, 0, 0.1f);
    first->tilt.mean += side * tilt;
    second->tilt.mean -= side * tilt;
    scene->n_bones = 2;
}

static void move_to_edge(phantom_dice *dice, float view_mm, sono_phantom_scene *scene)
{
    const float side = chance(dice, 0.5f) ? 1.0f : -1.0f, inside = draw(dice, -0.35f, 0.5f);
    sono_phantom_bone *bone = &scene->bones[side > 0 ? scene->n_bones - 1 : 0];
    const float columns_a_mm = sono_phantom_columns_at(scene, bone->top_mm.mean * scene->px_per_mm);
    const float there_mm = view_mm * scene->columns_per_mm / columns_a_mm;
    bone->centre_mm.mean = side * (0.5f * there_mm - inside * bone->half_mm.mean);
}

/* What is drawn for a bone alone. Returns how many effects it got. */
static int draw_bone(phantom_dice *dice, sono_phantom_bone *bone)
{
    const int fades = chance(dice, 0.5f), blurs = chance(dice, 0.3f), drops = chance(dice, 0.35f);
    const int is_faint = chance(dice, 0.15f), is_near = chance(dice, 0.15f);
    if (fades)
        draw_fading(dice, &bone->hard);
    if (blurs)
        draw_crest(dice, &bone->hard);
    if (drops)
        draw_drops(dice, &bone->hard);
    const float weaker_db = draw(dice, 8, 18), near_mm = draw(dice, 1.8f, 4.5f);
    if (is_faint)
        bone->level_db -= weaker_db;
    if (is_near) {
        bone->top_mm.mean = near_mm;
        bone->top_mm.swing = fminf(bone->top_mm.swing, 0.4f);
    }
    return fades + blurs + drops + is_faint + is_near;
}

void sono_phantom_hard_init(sono_phantom_scene *scene, const sono_phantom_options *options, float view_mm)
{
    static const uint32_t beside = 1u << SONO_PHANTOM_ALIKE_NEEDLE | 1u << SONO_PHANTOM_ALIKE_GAS |
                                   1u << SONO_PHANTOM_ALIKE_STONE | 1u << SONO_PHANTOM_ALIKE_FASCIA;
    phantom_dice dice = {phantom_hash(scene->key ^ HARD_KEY), 0};
    const int has_partner = chance(&dice, 0.2f), at_edge = chance(&dice, 0.25f);
    const int has_alike = chance(&dice, 0.3f);
    if (!scene->n_bones)
        return;
    scene->bridge_mm = SONO_PHANTOM_BRIDGE_MM;
    int n = has_partner + at_edge + has_alike;
    if (has_partner && scene->n_bones == 1)
        draw_partner(&dice, scene);
    if (at_edge)
        move_to_edge(&dice, view_mm, scene);
    for (int32_t b = 0; b < scene->n_bones; b++)
        n += draw_bone(&dice, &scene->bones[b]);
    if (!n)
        draw_fading(&dice, &scene->bones[0].hard);
    if (has_alike && !options->look_alikes)
        sono_phantom_alike_init(scene, beside, view_mm);
}

float sono_phantom_hard_level(const sono_phantom_hardness *hard, float u, float half_mm)
{
    float db = 0;
    if (hard->fade_from > 0)
        db -= hard->fade_db[u > 0] * fmaxf(fabsf(u) - hard->fade_from, 0) / (1 - hard->fade_from);
    if (hard->crest_half > 0)
        db -= hard->crest_db * expf(-0.5f * u * u / (hard->crest_half * hard->crest_half));
    for (int32_t i = 0; i < hard->n_drops; i++) {
        const float outside_mm = fabsf(u - hard->drop_at[i]) * half_mm - hard->drop_half_mm[i];
        const float soft_mm = DROP_SOFT * hard->drop_half_mm[i];
        db -= hard->drop_db[i] * (1 - phantom_step(-soft_mm, soft_mm, outside_mm));
    }
    return db < 0 ? phantom_level(db) : 1;
}

float sono_phantom_hard_width(const sono_phantom_hardness *hard, float u)
{
    if (!(hard->crest_half > 0))
        return 1;
    return 1 + (hard->crest_wide - 1) * expf(-0.5f * u * u / (hard->crest_half * hard->crest_half));
}

int sono_phantom_is_shown(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                          int32_t x)
{
    if (sono_phantom_level_at(scene, work, b, x) >= SONO_PHANTOM_SHOWN)
        return 1;
    if (!(scene->bridge_mm > 0))
        return 0;
    const int32_t most =
        (int32_t)(scene->bridge_mm * sono_phantom_columns_at(scene, work->columns.bone[b][x]));
    int32_t found[2] = {0, 0};
    for (int32_t side = 0; side < 2; side++)
        for (int32_t i = 1; i <= most && !found[side]; i++) {
            const int32_t at = side ? x + i : x - i;
            if (at < 0 || at >= work->width_px || work->columns.opacity[b][at] < BRIDGE_THERE)
                break;
            if (sono_phantom_level_at(scene, work, b, at) >= SONO_PHANTOM_SHOWN)
                found[side] = i;
        }
    return found[0] && found[1] && found[0] + found[1] - 1 <= most;
}
