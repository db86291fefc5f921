// SPDX-License-Identifier: Apache-2.0
/* Beams that spread: where each place of the plane of beams lies in the picture, and scan conversion. */
#include "io/phantom/phantom_math.h"

#define LEAST_RADIUS 4.0f /* mm from the apex, below which beams count as far apart as there */

float sono_phantom_columns_at(const sono_phantom_scene *scene, float y)
{
    const sono_phantom_fan *fan = &scene->fan;
    if (!fan->is_fan)
        return scene->px_per_mm;
    return 1 / (fmaxf(fan->radius_mm + y / scene->px_per_mm, LEAST_RADIUS) * fan->per_column);
}

sono_phantom_place sono_phantom_find(const sono_phantom_scene *scene, const sono_phantom_work *work,
                                     float x_mm, float y_mm)
{
    const sono_phantom_fan *fan = &scene->fan;
    const sono_phantom_place outside = {-1, -1};
    const float from_apex = fan->radius_mm + y_mm;
    sono_phantom_place place;
    if (fan->has_flat_face) {
        const float tangent = x_mm / from_apex;
        place.column = fan->half_columns + tangent / fan->per_column - 0.5f;
        place.row = y_mm * sqrtf(1 + tangent * tangent) * scene->px_per_mm;
    } else {
        const float far_mm = sqrtf(x_mm * x_mm + from_apex * from_apex);
        place.column = fan->half_columns + atan2f(x_mm, from_apex) / fan->per_column - 0.5f;
        place.row = (far_mm - fan->radius_mm) * scene->px_per_mm;
    }
    const float last = (float)(work->width_px - 1);
    if (from_apex < 0 || place.row < 0 || place.row > (float)(work->height_px - 1) || place.column < -0.5f ||
        place.column > last + 0.5f)
        return outside;
    place.column = fminf(fmaxf(place.column, 0), last);
    return place;
}

static void aim_beams(const sono_phantom_scene *scene, sono_phantom_work *work)
{
    const sono_phantom_fan *fan = &scene->fan;
    sono_phantom_columns *c = &work->columns;
    for (int32_t x = 0; x < work->stride; x++) {
        const float off = ((float)x + 0.5f - fan->half_columns) * fan->per_column;
        const float angle = fan->has_flat_face ? atanf(off) : off;
        c->sine[x] = sinf(angle);
        c->along[x] = cosf(angle);
        c->face_x_mm[x] = fan->radius_mm * (fan->has_flat_face ? off : c->sine[x]);
        c->face_y_mm[x] = fan->has_flat_face ? 0 : fan->radius_mm * (c->along[x] - 1);
    }
}

/* The smallest rectangle of the frame around the fan. */
static void find_region(sono_phantom_work *work)
{
    sono_phantom_view *view = &work->view;
    int32_t first[2] = {view->width_px, view->height_px}, last[2] = {-1, -1};
    for (int32_t y = 0; y < view->height_px; y++)
        for (int32_t x = 0; x < view->width_px; x++)
            if (work->map[(size_t)y * (size_t)view->width_px + (size_t)x].column >= 0) {
                first[0] = x < first[0] ? x : first[0];
                last[0] = x > last[0] ? x : last[0];
                first[1] = y < first[1] ? y : first[1];
                last[1] = y;
            }
    if (last[0] < 0)
        return;
    view->region_px[0] = view->x + (view->is_mirrored ? view->width_px - 1 - last[0] : first[0]);
    view->region_px[1] = view->y + (view->is_flipped ? view->height_px - 1 - last[1] : first[1]);
    view->region_px[2] = last[0] - first[0] + 1;
    view->region_px[3] = last[1] - first[1] + 1;
}

void sono_phantom_map(const sono_phantom_scene *scene, sono_phantom_work *work)
{
    const sono_phantom_view *view = &work->view;
    if (!scene->fan.is_fan)
        return;
    aim_beams(scene, work);
    for (int32_t y = 0; y < view->height_px; y++)
        for (int32_t x = 0; x < view->width_px; x++)
            work->map[(size_t)y * (size_t)view->width_px + (size_t)x] =
                sono_phantom_find(scene, work, scene->fan.left_mm + (float)x / scene->px_per_mm,
                                  scene->fan.top_mm + (float)y / scene->px_per_mm);
    if (view->width_px != view->frame_width_px || view->height_px != view->frame_height_px)
        find_region(work);
}

/* Whether a pixel outside the fan touches it. */
static int is_border(const sono_phantom_work *work, int32_t x, int32_t y)
{
    const sono_phantom_view *view = &work->view;
    for (int32_t dy = -1; dy <= 1; dy++)
        for (int32_t dx = -1; dx <= 1; dx++) {
            const int32_t u = x + dx, v = y + dy;
            if (u >= 0 && v >= 0 && u < view->width_px && v < view->height_px &&
                work->map[(size_t)v * (size_t)view->width_px + (size_t)u].column >= 0)
                return 1;
        }
    return 0;
}

static uint8_t between(const sono_phantom_work *work, sono_phantom_place place, const uint8_t *plane)
{
    const int32_t x = (int32_t)place.column, y = (int32_t)place.row;
    const int32_t right = x + 1 < work->width_px, below = y + 1 < work->height_px ? work->width_px : 0;
    const float u = place.column - (float)x, v = place.row - (float)y;
    const uint8_t *at = plane + (size_t)y * (size_t)work->width_px + (size_t)x;
    const float above = (float)at[0] + u * (float)(at[right] - at[0]);
    const float under = (float)at[below] + u * (float)(at[below + right] - at[below]);
    return (uint8_t)(above + v * (under - above) + 0.5f);
}

static void convert_row(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t y,
                        const uint8_t *plane, uint8_t *frame)
{
    const sono_phantom_view *view = &work->view;
    const sono_phantom_fan *fan = &scene->fan;
    const sono_phantom_place *places = work->map + (size_t)y * (size_t)view->width_px;
    const int32_t step = view->is_mirrored ? -1 : 1;
    uint8_t *out = phantom_pixel(view, 0, y, frame);
    for (int32_t x = 0; x < view->width_px; x++, out += step) {
        if (places[x].column >= 0)
            *out = between(work, places[x], plane);
        else if (!fan->is_clear)
            *out = fan->border && is_border(work, x, y) ? fan->border : fan->outside;
    }
}

void sono_phantom_convert(const sono_phantom_scene *scene, const sono_phantom_work *work,
                          const uint8_t *plane, uint8_t *frame)
{
    const sono_phantom_view *view = &work->view;
    for (int32_t y = 0; y < view->height_px; y++) {
        if (scene->fan.is_fan) {
            convert_row(scene, work, y, plane, frame);
            continue;
        }
        const uint8_t *in = plane + (size_t)y * (size_t)work->width_px;
        const int32_t step = view->is_mirrored ? -1 : 1;
        uint8_t *out = phantom_pixel(view, 0, y, frame);
        for (int32_t x = 0; x < view->width_px; x++, out += step)
            *out = in[x];
    }
}
