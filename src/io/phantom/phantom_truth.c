// SPDX-License-Identifier: Apache-2.0
/* The outline that a clinician would draw: masks, boxes and surfaces in the frame's pixels. */
#include "io/phantom/phantom_math.h"

#define OUTLINE_ABOVE 0.42f /* of the band, above the surface */
#define OUTLINE_BELOW 0.55f
#define OUTLINE_LEAST 8 /* pixels of a structure that counts as visible */

/* Where the band of bone b begins and ends along the beam of column x, in rows. */
static void find_band(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b, int32_t x,
                      float ends[2])
{
    const sono_phantom_columns *c = &work->columns;
    const float band = sono_phantom_band_px(scene);
    ends[0] = fmaxf(c->bone[b][x] - OUTLINE_ABOVE * band / c->cosine[b][x],
                    sono_phantom_crest(work, b, x, band) - OUTLINE_ABOVE * band);
    ends[1] = c->bone[b][x] + OUTLINE_BELOW * band / c->cosine[b][x];
}

/* Row of the frame of the picture's row. */
static float row_in_frame(const sono_phantom_view *view, float y)
{
    return (float)view->y + (view->is_flipped ? (float)(view->height_px - 1) - y : y);
}

static int32_t column_in_frame(const sono_phantom_view *view, int32_t x)
{
    return view->x + (view->is_mirrored ? view->width_px - 1 - x : x);
}

/* Parallel beams: labels bone b's band and fills in surface_px where its echo is displayed. */
static void draw_structure(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                           uint8_t *labels, float *surface_px)
{
    const sono_phantom_view *view = &work->view;
    const float deepest = (float)(work->height_px - 1);
    for (int32_t x = 0; x < work->width_px; x++) {
        float ends[2];
        if (!sono_phantom_is_shown(scene, work, b, x))
            continue;
        find_band(scene, work, b, x, ends);
        const int32_t first = (int32_t)fmaxf(ends[0] + 0.5f, 0);
        const int32_t last = (int32_t)fminf(ends[1] + 0.5f, deepest);
        for (int32_t y = first; y <= last; y++)
            labels[phantom_index(view, x, y)] = (uint8_t)(b + 1);
        if (work->columns.bone[b][x] <= deepest)
            surface_px[column_in_frame(view, x)] = row_in_frame(view, work->columns.bone[b][x]);
    }
}

/* Whether beams x and x + 1 meet one surface, so that what is between can be interpolated. */
static int is_joined(const sono_phantom_work *work, int32_t b, int32_t x, float band)
{
    const sono_phantom_columns *c = &work->columns;
    const float least = fminf(c->cosine[b][x], c->cosine[b][x + 1]);
    return x + 1 < work->width_px && fabsf(c->bone[b][x + 1] - c->bone[b][x]) < band + 2 / least;
}

/* A fan: the band's ends along every beam are in ends[0] and ends[1], -1 where no echo is displayed. */
static int is_in_band(const sono_phantom_work *work, int32_t b, sono_phantom_place place, float band,
                      float *const ends[2])
{
    const int32_t x = (int32_t)place.column, nearest = (int32_t)(place.column + 0.5f);
    float first = ends[0][nearest], last = ends[1][nearest];
    if (last < 0)
        return 0;
    if (x + 1 < work->width_px && ends[1][x] >= 0 && ends[1][x + 1] >= 0 && is_joined(work, b, x, band)) {
        const float t = place.column - (float)x;
        first = ends[0][x] + t * (ends[0][x + 1] - ends[0][x]);
        last = ends[1][x] + t * (ends[1][x + 1] - ends[1][x]);
    }
    return place.row + 0.5f >= first && place.row - 0.5f <= last;
}

/* Rows of the surface in the picture's columns, where the beam through it meets it first and it shows: within
 * the band. */
static void find_surface(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                         float probe_mm, float *const ends[2], float *surface_px)
{
    const sono_phantom_view *view = &work->view;
    const float band = sono_phantom_band_px(scene);
    for (int32_t x = 0; x < view->width_px; x++) {
        const float x_mm = scene->fan.left_mm + (float)x / scene->px_per_mm;
        const float y_mm = sono_phantom_surface_mm(scene, work, b, x_mm, probe_mm);
        const float y = (y_mm - scene->fan.top_mm) * scene->px_per_mm;
        const sono_phantom_place place = sono_phantom_find(scene, work, x_mm, y_mm);
        if (place.column < 0 || y < 0 || y > (float)(view->height_px - 1))
            continue;
        const int32_t nearest = (int32_t)(place.column + 0.5f), row = (int32_t)(y + 0.5f);
        const sono_phantom_place pixel = work->map[(size_t)row * (size_t)view->width_px + (size_t)x];
        const float off = (place.row - work->columns.bone[b][nearest]) * work->columns.cosine[b][nearest];
        if (pixel.column >= 0 && is_in_band(work, b, pixel, band, ends) &&
            fabsf(off) < fmaxf(OUTLINE_ABOVE * band, 2))
            surface_px[column_in_frame(view, x)] = row_in_frame(view, y);
    }
}

/* A fan: likewise, in the picture's pixels. */
static void draw_in_fan(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                        float probe_mm, uint8_t *labels, float *surface_px)
{
    const sono_phantom_view *view = &work->view;
    float *const ends[2] = {work->gain, work->extra}; /* rendering is over */
    const float band = sono_phantom_band_px(scene);
    float highest = (float)work->height_px, lowest = -1;
    for (int32_t x = 0; x < work->width_px; x++) {
        float pair[2] = {-1, -1};
        if (sono_phantom_is_shown(scene, work, b, x))
            find_band(scene, work, b, x, pair);
        ends[0][x] = pair[0];
        ends[1][x] = pair[1];
        highest = pair[1] >= 0 ? fminf(highest, pair[0] - 1) : highest;
        lowest = fmaxf(lowest, pair[1] + 1);
    }
    for (int32_t y = 0; y < view->height_px; y++) {
        const sono_phantom_place *places = work->map + (size_t)y * (size_t)view->width_px;
        for (int32_t x = 0; x < view->width_px; x++)
            if (places[x].column >= 0 && places[x].row >= highest && places[x].row <= lowest &&
                is_in_band(work, b, places[x], band, ends))
                labels[phantom_index(view, x, y)] = (uint8_t)(b + 1);
    }
    find_surface(scene, work, b, probe_mm, ends, surface_px);
}

static void grow_box(float *box, float x, float y, int is_first)
{
    box[0] = is_first ? x : fminf(box[0], x);
    box[1] = is_first ? y : fminf(box[1], y);
    box[2] = is_first ? x : fmaxf(box[2], x);
    box[3] = is_first ? y : fmaxf(box[3], y);
}

/* Numbers what is large enough from 1 on, drops the rest. */
static void number_structures(const int64_t *areas, int32_t n_bones, uint8_t *numbers)
{
    uint8_t next = 0;
    for (int32_t b = 0; b < n_bones; b++)
        numbers[b + 1] = areas[b + 1] >= OUTLINE_LEAST ? ++next : 0;
}

/* Surfaces of what has a number first, in that order; the others without any. */
static void order_surfaces(const uint8_t *numbers, int32_t width_px, float *surfaces_px, sono_truth *truth)
{
    int32_t next = 0;
    for (int32_t b = 0; b < SONO_PHANTOM_BONES; b++)
        if (numbers[b + 1])
            truth->surface_px[next++] = surfaces_px + (size_t)b * (size_t)width_px;
    for (int32_t b = 0; b < SONO_PHANTOM_BONES; b++)
        if (!numbers[b + 1]) {
            float *none = surfaces_px + (size_t)b * (size_t)width_px;
            for (int32_t x = 0; x < width_px; x++)
                none[x] = -1;
            truth->surface_px[next++] = none;
        }
}

void sono_phantom_outline(const sono_phantom_scene *scene, const sono_phantom_work *work, float probe_mm,
                          uint8_t *mask, uint8_t *labels, float *surfaces_px, sono_truth *truth)
{
    const sono_phantom_view *view = &work->view;
    const int32_t width_px = view->frame_width_px;
    const size_t n = (size_t)width_px * (size_t)view->frame_height_px;
    int64_t areas[SONO_PHANTOM_BONES + 1] = {0};
    uint8_t numbers[SONO_PHANTOM_BONES + 1] = {0};
    memset(labels, 0, n);
    for (int32_t i = 0; i < SONO_PHANTOM_BONES * width_px; i++)
        surfaces_px[i] = -1;
    for (int32_t b = 0; b < scene->n_bones; b++) {
        float *surface_px = surfaces_px + (size_t)b * (size_t)width_px;
        if (scene->fan.is_fan)
            draw_in_fan(scene, work, b, probe_mm, labels, surface_px);
        else
            draw_structure(scene, work, b, labels, surface_px);
    }
    for (size_t i = 0; i < n; i++)
        areas[labels[i]]++;
    number_structures(areas, scene->n_bones, numbers);
    *truth = (sono_truth){
        .width_px = width_px, .height_px = view->frame_height_px, .mask = mask, .labels = labels};
    memcpy(truth->region_px, view->region_px, sizeof truth->region_px);
    order_surfaces(numbers, width_px, surfaces_px, truth);
    for (size_t i = 0; i < n; i++) {
        labels[i] = numbers[labels[i]];
        mask[i] = labels[i] ? 255 : 0;
        if (!labels[i])
            continue;
        const float x = (float)(i % (size_t)width_px), y = (float)(i / (size_t)width_px);
        const int32_t k = labels[i] - 1;
        grow_box(truth->structures[k].bbox_xyxy_px, x, y, !truth->structures[k].area_px++);
        grow_box(truth->bbox_xyxy_px, x, y, !truth->mask_area_px++);
        if (k >= truth->n_structures)
            truth->n_structures = k + 1;
    }
    truth->is_visible = truth->is_trustworthy = truth->n_structures > 0;
    truth->visible_share = truth->is_visible ? 1.0f : 0.0f;
}
