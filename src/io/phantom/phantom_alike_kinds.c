// SPDX-License-Identifier: Apache-2.0
/* What looks like bone and is not: what each kind is made of. */
#include "io/phantom/phantom_math.h"

#define WHOLE_VIEW 1e4f /* half length, in mm, of what has no end in view */

/* What a kind is drawn into. */
typedef struct canvas {
    phantom_dice dice;
    sono_phantom_scene *scene;
    sono_phantom_alikes *out;
    float view_mm, depth_mm;
    float scale; /* how many times larger than for a linear probe echoes and gaps are */
} canvas;

static float draw(canvas *c, float low, float high)
{
    return phantom_draw(&c->dice, low, high);
}

static int chance(canvas *c, float share)
{
    return phantom_draw(&c->dice, 0, 1) < share;
}

/* A further sheet at a depth, along the whole view and even until the caller says otherwise. NULL when there
 * is no room. */
static sono_phantom_sheet *add_sheet(canvas *c, float depth_mm, float level_db)
{
    if (c->out->n_sheets == SONO_PHANTOM_SHEETS)
        return NULL;
    sono_phantom_sheet *sheet = &c->out->sheets[c->out->n_sheets++];
    *sheet = (sono_phantom_sheet){.half_mm = WHOLE_VIEW, .depth_mm = depth_mm, .level_db = level_db};
    sheet->soft = draw(c, 0.3f, 0.8f);
    sheet->swing_mm = draw(c, 0.1f, 0.6f);
    sheet->swing_hz = draw(c, 0.1f, 0.35f);
    sheet->swing_phase = draw(c, 0, 1);
    return sheet;
}

static sono_phantom_spot *add_spot(canvas *c, float place, float depth_mm, float level_db)
{
    if (c->out->n_spots == SONO_PHANTOM_SPOTS)
        return NULL;
    sono_phantom_spot *spot = &c->out->spots[c->out->n_spots++];
    *spot = (sono_phantom_spot){.place = place, .depth_mm = depth_mm, .level_db = level_db};
    return spot;
}

/* The first kind that has a medium decides. */
static void set_medium(canvas *c, sono_phantom_medium medium, float level_db, float cloud, float flatness)
{
    if (c->out->medium != SONO_PHANTOM_TISSUE)
        return;
    c->out->medium = medium;
    c->out->medium_db = level_db;
    c->out->cloud = cloud;
    c->out->flatness = flatness;
}

static void set_water(canvas *c)
{
    set_medium(c, SONO_PHANTOM_WATER, draw(c, -74, -50), draw(c, 0.3f, 1), 0);
}

/* Tissue that is not black further down: what tells a bright layer from a bone is what shows below it. */
static void set_seen_through(canvas *c)
{
    c->out->flatness = fmaxf(c->out->flatness, draw(c, 0.5f, 0.85f));
}

static void repeat(canvas *c, sono_phantom_sheet *sheet, float most, float low_mm, float high_mm)
{
    sheet->n_repeats = (int32_t)draw(c, 1, most);
    sheet->repeat_mm = draw(c, low_mm, high_mm);
    sheet->repeat_db = draw(c, -12, -5);
}

static void draw_face(canvas *c)
{
    sono_phantom_sheet *rings = add_sheet(c, draw(c, 0.4f, 1.3f), draw(c, -3, 4));
    rings->lead_mm = draw(c, 0.1f, 0.3f);
    rings->tail_mm = draw(c, 0.1f, 0.5f);
    rings->patchy_db = draw(c, 0, 2.5f);
    rings->is_still = 1;
    repeat(c, rings, 5.99f, 0.7f, 2.0f);
    if (chance(c, 0.6f)) { /* the cover of the transducer */
        sono_phantom_sheet *cover = add_sheet(c, rings->depth_mm + draw(c, 0.5f, 2.5f), draw(c, 0, 6));
        cover->lead_mm = draw(c, 0.3f, 0.7f);
        cover->tail_mm = draw(c, 0.3f, 1.0f);
        cover->patchy_db = draw(c, 0, 2);
        cover->is_still = 1;
    }
    if (chance(c, 0.35f)) { /* a sheath or balloon around it */
        sono_phantom_sheet *sheath = add_sheet(c, draw(c, 4, 10), draw(c, -18, -5));
        sheath->lead_mm = draw(c, 0.1f, 0.25f);
        sheath->tail_mm = draw(c, 0.1f, 0.4f);
        sheath->patchy_db = draw(c, 3, 8);
        sheath->wave_mm = draw(c, 0.2f, 0.8f);
        sheath->wave_per_mm = draw(c, 0.05f, 0.15f);
    }
    if (chance(c, 0.35f))
        set_water(c);
}

static void draw_air(canvas *c)
{
    sono_phantom_alikes *out = c->out;
    out->air_db = draw(c, 0.95f, 1.3f) * c->scene->range_db;
    out->ring_db = draw(c, -1, 7);
    out->ring_mm = draw(c, 0.02f, 0.09f) * c->depth_mm;
    out->ring_period_mm[0] = draw(c, 0.7f, 2.0f);
    out->ring_period_mm[1] = out->ring_period_mm[0] * draw(c, 2.2f, 3.6f);
    out->ring_sharpness = draw(c, 1, 4);
    c->scene->noise_db = -draw(c, 0.68f, 1.05f) * c->scene->range_db;
}

static void draw_tank(canvas *c)
{
    set_water(c);
    const float bottom_mm = draw(c, 0.45f, 0.9f) * c->depth_mm;
    sono_phantom_sheet *bottom = add_sheet(c, bottom_mm, draw(c, -4, 5));
    bottom->tilt = draw(c, -0.12f, 0.12f);
    bottom->lead_mm = draw(c, 0.15f, 0.4f);
    bottom->tail_mm = draw(c, 0.25f, 0.9f);
    bottom->patchy_db = draw(c, 3, 9);
    if (chance(c, 0.25f)) { /* a thick wall */
        bottom->lead_mm = draw(c, 0.6f, 1.3f);
        bottom->tail_mm = draw(c, 0.8f, 1.6f);
    }
    bottom->fine_mm = draw(c, 0, 0.3f);
    bottom->fine_per_mm = draw(c, 0.3f, 0.9f);
    bottom->is_straight = chance(c, 0.65f);
    repeat(c, bottom, 3.99f, 2.5f, 8.0f);
    if (chance(c, 0.4f)) { /* the table below it */
        sono_phantom_sheet *table = add_sheet(c, bottom_mm + draw(c, 4, 14), draw(c, -14, 0));
        table->tilt = bottom->tilt;
        table->lead_mm = draw(c, 0.15f, 0.35f);
        table->tail_mm = draw(c, 0.3f, 0.9f);
        table->patchy_db = draw(c, 3, 8);
        table->is_straight = bottom->is_straight;
    }
    if (chance(c, 0.45f)) { /* a membrane */
        sono_phantom_sheet *film = add_sheet(c, draw(c, 0.1f, 0.35f) * c->depth_mm, draw(c, -22, -8));
        film->place = draw(c, -0.3f, 0.3f);
        film->half_mm = draw(c, 0.25f, 0.8f) * c->view_mm;
        film->lead_mm = film->tail_mm = draw(c, 0.1f, 0.25f);
        film->bow_mm = draw(c, -2, 3);
        film->patchy_db = draw(c, 4, 10);
        film->is_straight = 1;
    }
    const int32_t n_specks = (int32_t)draw(c, 3, 24);
    for (int32_t i = 0; i < n_specks; i++) {
        const float place = draw(c, -0.5f, 0.5f), depth_mm = draw(c, 0.06f, 1) * bottom_mm;
        sono_phantom_spot *speck = add_spot(c, place, depth_mm, draw(c, -58, -16));
        if (!speck)
            return;
        speck->half_mm = draw(c, 0.05f, 0.3f);
        speck->thick_mm = draw(c, 0.05f, 0.15f);
    }
}

/* What one wire looks like; those of a phantom are of a kind, so that `like` gives most of it. */
static void draw_wire(canvas *c, const sono_phantom_spot *like, float place, float depth_mm)
{
    const float level_db = like->level_db + draw(c, -3, 3) - (chance(c, 0.12f) ? draw(c, 6, 20) : 0);
    sono_phantom_spot *wire = add_spot(c, place, depth_mm, level_db);
    if (!wire)
        return;
    wire->half_mm = like->half_mm * draw(c, 0.6f, 1.5f);
    wire->thick_mm = like->thick_mm * draw(c, 0.8f, 1.3f);
    wire->lean = draw(c, -0.3f, 0.3f);
    wire->wing_per_mm = like->wing_per_mm;
    wire->lobe_db = like->lobe_db;
    wire->lobe_mm = like->lobe_mm;
    wire->tail_db = like->tail_db;
    wire->tail_mm = like->tail_mm;
}

/* Depth along the beam at `place` of what lies y_mm below the face's middle. */
static float along_beam(const canvas *c, float place, float y_mm)
{
    const sono_phantom_fan *fan = &c->scene->fan;
    if (!fan->is_fan || fan->has_flat_face)
        return y_mm;
    const float angle = place * c->view_mm * c->scene->columns_per_mm * fan->per_column;
    return (fan->radius_mm + y_mm) / cosf(fminf(fabsf(angle), 1)) - fan->radius_mm;
}

static void draw_wires(canvas *c)
{
    if (chance(c, 0.6f))
        set_water(c);
    else
        set_medium(c, SONO_PHANTOM_UNIFORM, draw(c, -40, -22), draw(c, 0, 0.4f), draw(c, 0.6f, 1));
    sono_phantom_spot like = {.level_db = draw(c, -4, 7)};
    like.half_mm = draw(c, 0.4f, 1.3f);
    like.thick_mm = draw(c, 0.18f, 0.45f);
    like.wing_per_mm = draw(c, -0.12f, 0.12f);
    const int has_lobes = chance(c, 0.5f), has_tails = chance(c, 0.5f);
    like.lobe_db = draw(c, -30, -15);
    like.lobe_mm = has_lobes ? draw(c, 3, 12) : 0;
    like.tail_db = draw(c, -16, -7);
    like.tail_mm = has_tails ? draw(c, 0.4f, 1.5f) : 0;
    const int32_t n_rows = (int32_t)draw(c, 1.3f, 4.99f), n_across = (int32_t)draw(c, 2, 7.99f);
    const float apart = fminf(c->scale * draw(c, 4, 11) / c->view_mm, 0.9f / (float)n_across);
    const float down_mm = fminf(c->scale * draw(c, 4, 11), 0.7f * c->depth_mm / (float)n_rows);
    like.half_mm = fminf(like.half_mm, 0.16f * apart * c->view_mm / c->scale);
    const float first_mm = draw(c, 0.15f, 0.85f) * (c->depth_mm - (float)n_rows * down_mm) + 2;
    const float middle = draw(c, -0.12f, 0.12f), slant = draw(c, -0.1f, 0.1f);
    const int is_straight = chance(c, 0.7f);
    for (int32_t row = 0; row < n_rows; row++) {
        const float zigzag = draw(c, -0.35f, 0.35f); /* where the oblique wire of an N crosses the plane */
        for (int32_t i = 0; i < n_across; i++) {
            const float off = ((float)i - 0.5f * (float)(n_across - 1) + (i % 3 == 1 ? zigzag : 0)) * apart;
            const float depth_mm =
                first_mm + (float)row * down_mm + slant * off * c->view_mm + draw(c, -0.4f, 0.4f);
            draw_wire(c, &like, middle + off, is_straight ? along_beam(c, middle + off, depth_mm) : depth_mm);
        }
    }
}

static void draw_needle(canvas *c)
{
    const int32_t from_right = chance(c, 0.5f);
    const float tilt = draw(c, 0.25f, 0.95f), half_mm = c->scale * draw(c, 8, 17),
                top_mm = draw(c, 0.06f, 0.25f) * c->depth_mm;
    const float reach = fminf(half_mm / c->view_mm, 0.4f); /* it enters at the side */
    sono_phantom_sheet *needle = add_sheet(c, top_mm + tilt * half_mm, draw(c, -4, 5));
    needle->place = from_right ? 0.5f - 0.9f * reach : -0.5f + 0.9f * reach;
    needle->half_mm = half_mm;
    needle->soft = draw(c, 0.03f, 0.1f);
    needle->tilt = from_right ? -tilt : tilt;
    needle->lead_mm = draw(c, 0.1f, 0.2f);
    needle->tail_mm = draw(c, 0.1f, 0.25f);
    needle->patchy_db = draw(c, 2, 6);
    needle->is_straight = 1;
    repeat(c, needle, 4.99f, 1.3f, 3.2f);
    set_seen_through(c);
}

static void draw_pleura(canvas *c)
{
    sono_phantom_sheet *pleura = add_sheet(c, draw(c, 0.18f, 0.42f) * c->depth_mm, draw(c, -2, 5));
    pleura->place = draw(c, -0.15f, 0.15f);
    pleura->half_mm = draw(c, 0.55f, 1.1f) * c->view_mm;
    pleura->tilt = draw(c, -0.08f, 0.08f);
    pleura->bow_mm = draw(c, -2, 4);
    pleura->lead_mm = draw(c, 0.18f, 0.4f);
    pleura->tail_mm = draw(c, 0.3f, 0.8f);
    pleura->patchy_db = draw(c, 2, 5);
    pleura->fine_mm = draw(c, 0.1f, 0.4f);
    pleura->fine_per_mm = draw(c, 0.4f, 1);
    pleura->n_repeats = (int32_t)draw(c, 1, 4.99f);
    pleura->repeat_db = draw(c, -15, -7);
    pleura->shade_db = draw(c, 18, 40);
    pleura->haze_db = draw(c, -38, -22);
    pleura->haze_mm = draw(c, 10, 30);
    pleura->is_straight = 1;
}

static void draw_diaphragm(canvas *c)
{
    set_medium(c, SONO_PHANTOM_UNIFORM, draw(c, -32, -18), draw(c, 0.2f, 0.7f), draw(c, 0.8f, 1));
    sono_phantom_sheet *dome = add_sheet(c, draw(c, 0.5f, 0.8f) * c->depth_mm, draw(c, -5, 2));
    dome->place = draw(c, -0.25f, 0.25f);
    dome->half_mm = draw(c, 0.35f, 0.75f) * c->view_mm;
    dome->tilt = draw(c, -0.3f, 0.3f);
    dome->bow_mm = draw(c, 0.06f, 0.2f) * c->depth_mm * (chance(c, 0.5f) ? 1.0f : -1.0f);
    dome->lead_mm = draw(c, 0.3f, 0.7f);
    dome->tail_mm = draw(c, 0.4f, 1.0f);
    dome->patchy_db = draw(c, 3, 8);
    dome->wave_mm = draw(c, 0.4f, 1.5f);
    dome->wave_per_mm = draw(c, 0.08f, 0.2f);
    dome->swing_mm = draw(c, 1, 4);
    dome->is_straight = 1;
}

static void draw_gas(canvas *c)
{
    sono_phantom_sheet *front = add_sheet(c, draw(c, 0.15f, 0.5f) * c->depth_mm, draw(c, -2, 5));
    front->place = draw(c, -0.32f, 0.32f);
    front->half_mm = draw(c, 5, 14);
    front->soft = draw(c, 0.35f, 0.8f);
    front->tilt = draw(c, -0.15f, 0.15f);
    front->bow_mm = draw(c, -0.5f, 4);
    front->wave_mm = draw(c, 2, 5);
    front->wave_per_mm = draw(c, 0.18f, 0.4f);
    front->fine_mm = draw(c, 0.6f, 1.6f);
    front->fine_per_mm = draw(c, 0.8f, 1.6f);
    front->lead_mm = draw(c, 0.2f, 0.45f);
    front->tail_mm = draw(c, 0.4f, 1.1f);
    front->patchy_db = draw(c, 7, 14);
    if (chance(c, 0.6f))
        repeat(c, front, 3.99f, 0.9f, 3.0f);
    front->shade_db = draw(c, 16, 34);
    front->haze_db = draw(c, -24, -12);
    front->haze_mm = draw(c, 5, 18);
    front->is_straight = 1;
    set_seen_through(c);
}

static void draw_stone(canvas *c)
{
    const int32_t n = (int32_t)draw(c, 1, 3.99f);
    for (int32_t i = 0; i < n; i++) {
        const float place = draw(c, -0.4f, 0.4f), depth_mm = draw(c, 0.15f, 0.6f) * c->depth_mm;
        sono_phantom_spot *stone = add_spot(c, place, depth_mm, draw(c, -3, 4));
        if (!stone)
            break;
        stone->half_mm = draw(c, 0.9f, 2.6f);
        stone->thick_mm = draw(c, 0.2f, 0.5f);
        stone->lean = draw(c, -0.25f, 0.25f);
        stone->wing_per_mm = draw(c, 0.05f, 0.3f);
        stone->shade_db = draw(c, 22, 40);
    }
    set_seen_through(c);
}

static void draw_fascia(canvas *c)
{
    const int32_t n = (int32_t)draw(c, 2, 5.99f);
    for (int32_t i = 0; i < n; i++) {
        sono_phantom_sheet *layer = add_sheet(c, draw(c, 0.1f, 0.55f) * c->depth_mm, draw(c, -7, 4));
        if (!layer)
            break;
        layer->place = draw(c, -0.4f, 0.4f);
        layer->half_mm = draw(c, 0.25f, 1) * c->view_mm;
        layer->tilt = draw(c, -0.15f, 0.15f);
        layer->bow_mm = draw(c, -2.5f, 2.5f);
        layer->wave_mm = draw(c, 0.4f, 1.6f);
        layer->wave_per_mm = draw(c, 0.05f, 0.12f);
        layer->lead_mm = draw(c, 0.1f, 0.3f);
        layer->tail_mm = draw(c, 0.12f, 0.4f);
        layer->patchy_db = draw(c, 5, 12);
        layer->is_straight = chance(c, 0.5f);
    }
    set_seen_through(c);
}

static void draw_speckle(canvas *c)
{
    set_medium(c, SONO_PHANTOM_UNIFORM, draw(c, -30, -10), draw(c, 0, 0.5f), draw(c, 0.6f, 1));
    if (!chance(c, 0.65f))
        return;
    c->out->n_discs = (int32_t)draw(c, 1, SONO_PHANTOM_DISCS + 0.99f);
    const int is_row = chance(c, 0.5f); /* targets of a phantom lie in a row, of one size */
    const float row_mm = draw(c, 0.2f, 0.7f) * c->depth_mm, size_mm = draw(c, 1.5f, 4);
    for (int32_t i = 0; i < c->out->n_discs; i++) {
        sono_phantom_disc *disc = &c->out->discs[i];
        const float place = draw(c, -0.5f, 0.5f), depth_mm = draw(c, 0.1f, 0.9f) * c->depth_mm;
        disc->place = is_row ? ((float)i + 0.5f) / (float)c->out->n_discs - 0.5f : place;
        disc->depth_mm = is_row ? row_mm : depth_mm;
        disc->radius_mm = is_row ? fminf(size_mm, 0.4f * c->view_mm / (float)c->out->n_discs) : draw(c, 1, 5);
        disc->contrast_db = chance(c, 0.65f) ? draw(c, -45, -5) : draw(c, 3, 11);
    }
}

static void (*const drawers[SONO_PHANTOM_ALIKE_COUNT])(canvas *c) = {
    [SONO_PHANTOM_ALIKE_FACE] = draw_face,           [SONO_PHANTOM_ALIKE_AIR] = draw_air,
    [SONO_PHANTOM_ALIKE_TANK] = draw_tank,           [SONO_PHANTOM_ALIKE_WIRES] = draw_wires,
    [SONO_PHANTOM_ALIKE_NEEDLE] = draw_needle,       [SONO_PHANTOM_ALIKE_PLEURA] = draw_pleura,
    [SONO_PHANTOM_ALIKE_DIAPHRAGM] = draw_diaphragm, [SONO_PHANTOM_ALIKE_GAS] = draw_gas,
    [SONO_PHANTOM_ALIKE_STONE] = draw_stone,         [SONO_PHANTOM_ALIKE_FASCIA] = draw_fascia,
    [SONO_PHANTOM_ALIKE_SPECKLE] = draw_speckle,
};

void sono_phantom_alike_draw(sono_phantom_scene *scene, int32_t kind, uint64_t key, float view_mm,
                             float scale)
{
    canvas c = {{key, 0}, scene, &scene->alikes, view_mm, scene->depth_mm, scale};
    drawers[kind](&c);
}
