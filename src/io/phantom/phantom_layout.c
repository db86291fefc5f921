// SPDX-License-Identifier: Apache-2.0
/* The probe of a sweep, and where its picture lies in the frame. docs/phantom.md has the ranges. */
#include "io/phantom/phantom_math.h"

#define LAYOUT_KEY    0x9e0be7u
#define RADIAN        0.017453293f
#define LEAST_COLUMNS 96
#define MOST_SHOWN    0.72f /* of a fan's width, at least, stays in a picture that cuts its sides off */
#define FLAT_FROM     0.4f  /* draws in [-0.8, 1] above which the picture's lower edge cuts the fan off */
#define FLAT_CUT      0.12f /* by how much, at most */
#define VIEW_AT       0.45f /* of the depth, where the nominal width of a fan is taken */
#define VIEW_RAD      0.9f  /* half the field of view that counts for it, at most */

typedef struct range {
    float low, high;
} range;

/* Per geometry; lengths in mm, angles in degrees, levels in dB. */
typedef struct probe {
    range radius, degrees, depth, flatten, angular;
    float ring_share;
    range ring_db;
} probe;

static const probe convex = {
    {40, 65}, {50, 72}, {75, 180}, {0.1f, 0.7f}, {0.25f, 0.6f}, 0.4f, {-16, -2},
};
static const probe infant = {
    {11, 18}, {70, 95}, {45, 90}, {0.1f, 0.6f}, {0.3f, 0.7f}, 0.4f, {-16, -2},
};
static const probe phased = {
    {0.5f, 2.5f}, {65, 88}, {70, 165}, {0.4f, 1}, {0.5f, 1.1f}, 0.3f, {-16, -4},
};
static const probe cavity = {
    {9, 13}, {105, 165}, {45, 110}, {0, 0.3f}, {0.35f, 0.8f}, 0.85f, {-8, 8},
};

static float draw(phantom_dice *dice, range r)
{
    return phantom_draw(dice, r.low, r.high);
}

static int draw_chance(phantom_dice *dice, float share)
{
    return phantom_draw(dice, 0, 1) < share;
}

static void set_plane(sono_phantom_work *work, int32_t width_px, int32_t height_px)
{
    const int32_t block = SONO_PHANTOM_BLOCK_PX;
    work->width_px = width_px;
    work->height_px = height_px;
    work->stride = (width_px + block - 1) / block * block;
}

static sono_phantom_geometry draw_geometry(phantom_dice *dice, sono_phantom_geometry wanted)
{
    const float kind = phantom_draw(dice, 0, 1);
    if (wanted != SONO_PHANTOM_ANY_GEOMETRY)
        return wanted;
    return kind < 0.25f   ? SONO_PHANTOM_LINEAR
           : kind < 0.55f ? SONO_PHANTOM_CURVILINEAR
           : kind < 0.7f  ? SONO_PHANTOM_PHASED
                          : SONO_PHANTOM_ENDOCAVITY;
}

static void draw_orientation(phantom_dice *dice, sono_phantom_orientation wanted, sono_phantom_view *view)
{
    const int is_mirrored = draw_chance(dice, 0.5f), is_flipped = draw_chance(dice, 0.3f);
    view->is_mirrored = wanted == SONO_PHANTOM_ANY_ORIENTATION
                            ? is_mirrored
                            : wanted == SONO_PHANTOM_UP_MIRRORED || wanted == SONO_PHANTOM_DOWN_MIRRORED;
    view->is_flipped = wanted == SONO_PHANTOM_ANY_ORIENTATION
                           ? is_flipped
                           : wanted == SONO_PHANTOM_DOWN || wanted == SONO_PHANTOM_DOWN_MIRRORED;
}

/* What lies beside a fan: black, or now and then dark grey, with a border or none. */
static void draw_outside(phantom_dice *dice, sono_phantom_fan *fan)
{
    const int is_grey = draw_chance(dice, 0.12f), has_border = draw_chance(dice, 0.08f);
    const float grey = phantom_draw(dice, 6, 30), border = phantom_draw(dice, 60, 160);
    fan->outside = is_grey ? (uint8_t)grey : 0;
    fan->border = has_border ? (uint8_t)border : 0;
}

static void draw_rings(phantom_dice *dice, const probe *p, float finer, sono_phantom_fan *fan)
{
    const int has_rings = draw_chance(dice, p->ring_share);
    const float n = phantom_draw(dice, 2, 5.99f);
    fan->ring_db = draw(dice, p->ring_db);
    fan->ring_fall_db = phantom_draw(dice, 4, 12);
    fan->ring_mm = phantom_draw(dice, 0.15f, 0.5f) * finer;
    fan->ring_period_mm = fan->ring_mm * phantom_draw(dice, 3, 5);
    fan->n_rings = has_rings ? (int32_t)n : 0;
}

/* The scale at which the fan fills the picture, or is cut off at its sides or below. */
static float scale_of(phantom_dice *dice, const sono_phantom_fan *fan, const sono_phantom_view *view,
                      float depth_mm)
{
    const float width_mm = 2 * (fan->radius_mm + depth_mm) * sinf(fan->half_rad);
    const float height_mm = fan->radius_mm * (1 - cosf(fan->half_rad)) + depth_mm;
    const float by_width = (float)view->width_px / width_mm;
    const float by_height = (float)(view->height_px - 1) / height_mm;
    const float fill = phantom_draw(dice, 0.92f, 1), cut = phantom_draw(dice, -0.8f, 1);
    if (by_width >= by_height)
        return by_height * (cut > FLAT_FROM ? 1 + FLAT_CUT * cut : fill);
    const float most = fminf(by_height, by_width / MOST_SHOWN);
    return cut < 0 ? by_width * fill : by_width + cut * (most - by_width);
}

static void place_picture(phantom_dice *dice, const sono_phantom_view *view, sono_phantom_scene *scene)
{
    sono_phantom_fan *fan = &scene->fan;
    const float rim_mm = fan->has_flat_face ? 0 : fan->radius_mm * (1 - cosf(fan->half_rad));
    const float height_mm = (float)(view->height_px - 1) / scene->px_per_mm;
    const float free_mm = fmaxf(height_mm - rim_mm - scene->depth_mm, 0);
    const float width_mm = (float)view->width_px / scene->px_per_mm;
    fan->top_mm = -rim_mm - free_mm * phantom_draw(dice, 0.1f, 0.7f);
    fan->left_mm = -0.5f * width_mm + 0.5f / scene->px_per_mm +
                   (fan->has_flat_face ? 0 : phantom_draw(dice, -0.03f, 0.03f) * width_mm);
}

static void lay_fan(phantom_dice *dice, const sono_phantom_options *options, const probe *p,
                    sono_phantom_scene *scene, sono_phantom_work *work)
{
    sono_phantom_fan *fan = &scene->fan;
    const sono_phantom_view *view = &work->view;
    fan->is_fan = 1;
    fan->radius_mm = draw(dice, p->radius);
    fan->half_rad = 0.5f * RADIAN * draw(dice, p->degrees);
    const float depth_mm = draw(dice, p->depth);
    scene->depth_mm = options->depth_mm > 0 ? options->depth_mm : depth_mm;
    fan->flatten = draw(dice, p->flatten);
    fan->angular_rad = RADIAN * draw(dice, p->angular);
    fan->finer = fminf(fmaxf(sqrtf(scene->depth_mm / 45), 1), 2);
    draw_outside(dice, fan);
    draw_rings(dice, p, fan->finer, fan);
    scene->px_per_mm = scale_of(dice, fan, view, scene->depth_mm);
    place_picture(dice, view, scene);
    const float arc_px = 2 * fan->half_rad * (fan->radius_mm + 0.6f * scene->depth_mm) * scene->px_per_mm;
    const int32_t most = view->width_px;
    const int32_t n_columns = (int32_t)fmaxf(fminf(arc_px, (float)most), fminf(LEAST_COLUMNS, (float)most));
    const int32_t n_rows = (int32_t)(scene->depth_mm * scene->px_per_mm) + 1;
    set_plane(work, n_columns, n_rows < view->height_px ? n_rows : view->height_px);
    fan->per_column = 2 * fan->half_rad / (float)n_columns;
    fan->half_columns = 0.5f * (float)n_columns;
    scene->view_mm = 2 * (fan->radius_mm + VIEW_AT * scene->depth_mm) * sinf(fminf(fan->half_rad, VIEW_RAD));
    scene->columns_per_mm = (float)n_columns / scene->view_mm;
}

/* A linear probe whose outer beams are steered outwards. */
static void lay_trapezoid(phantom_dice *dice, sono_phantom_scene *scene, sono_phantom_work *work)
{
    sono_phantom_fan *fan = &scene->fan;
    const float width_mm = (float)work->width_px / scene->px_per_mm;
    const float wanted = tanf(RADIAN * phantom_draw(dice, 4, 14));
    const float tangent = fminf(wanted, 0.25f * width_mm / scene->depth_mm);
    const float face_mm = width_mm - 2 * scene->depth_mm * tangent;
    fan->is_fan = fan->has_flat_face = 1;
    fan->radius_mm = 0.5f * face_mm / tangent;
    fan->half_rad = atanf(tangent);
    fan->finer = 1;
    fan->flatten = 0;
    draw_outside(dice, fan);
    fan->left_mm = 0.5f / scene->px_per_mm - 0.5f * width_mm;
    fan->per_column = 2 * tangent / (float)work->width_px;
    fan->half_columns = 0.5f * (float)work->width_px;
}

/* The picture's place on a larger screen. */
static void draw_region(phantom_dice *dice, sono_phantom_view *view)
{
    const float width = (float)view->frame_width_px, height = (float)view->frame_height_px;
    view->height_px = (int32_t)(phantom_draw(dice, 0.5f, 0.9f) * height);
    const float wide = phantom_draw(dice, 0.42f, 0.9f) * width;
    view->width_px = (int32_t)fminf(wide, 1.8f * (float)view->height_px);
    view->x = (int32_t)(phantom_draw(dice, 0, 1) * (float)(view->frame_width_px - view->width_px));
    view->y = (int32_t)(phantom_draw(dice, 0.2f, 1) * (float)(view->frame_height_px - view->height_px));
}

void sono_phantom_layout(sono_phantom_scene *scene, const sono_phantom_options *options, float depth_mm,
                         sono_phantom_work *work)
{
    sono_phantom_view *view = &work->view;
    phantom_dice dice = {phantom_hash(scene->key ^ LAYOUT_KEY), 0};
    view->x = view->y = 0;
    view->width_px = view->frame_width_px;
    view->height_px = view->frame_height_px;
    draw_orientation(&dice, options->orientation, view);
    if (options->screen)
        draw_region(&dice, view);
    const int32_t region_px[4] = {view->x, view->y, view->width_px, view->height_px};
    memcpy(view->region_px, region_px, sizeof region_px);
    scene->fan.is_clear = options->screen && draw_chance(&dice, 0.6f);
    scene->fan.geometry = draw_geometry(&dice, options->geometry);
    const int is_steered = draw_chance(&dice, 0.35f) && options->geometry == SONO_PHANTOM_ANY_GEOMETRY;
    const int is_infant = draw_chance(&dice, 0.25f);
    if (scene->fan.geometry == SONO_PHANTOM_LINEAR) {
        scene->depth_mm = depth_mm;
        set_plane(work, view->width_px, view->height_px);
        scene->px_per_mm = scene->columns_per_mm = (float)view->height_px / depth_mm;
        scene->view_mm = (float)view->width_px / scene->px_per_mm;
        if (is_steered)
            lay_trapezoid(&dice, scene, work);
        return;
    }
    const probe *p = scene->fan.geometry == SONO_PHANTOM_PHASED       ? &phased
                     : scene->fan.geometry == SONO_PHANTOM_ENDOCAVITY ? &cavity
                     : is_infant                                      ? &infant
                                                                      : &convex;
    lay_fan(&dice, options, p, scene, work);
}
