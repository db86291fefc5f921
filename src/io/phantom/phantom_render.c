// SPDX-License-Identifier: Apache-2.0
/* From echoes to grey values: shadow, contact, gain, artefacts, log compression. */
#include "base/alloc.h"
#include "io/phantom/phantom_math.h"

#define MARGIN        SONO_PHANTOM_MARGIN_PX
#define SHADOW_STARTS 0.6f /* bands below the surface */
#define COVER_SOFT_MM 2.5f /* depth over which the shadow of an event sets in */
#define LOOK_KEY      0x9e3779b97f4a7c15u
#define NEAR_FREE_MM  1.5f /* depth to which poor contact does not reach: the echoes of the probe's face */

static float *take(float **cursor, size_t n)
{
    float *taken = *cursor;
    *cursor += n;
    return taken;
}

sono_status sono_phantom_work_init(sono_phantom_work *work, int32_t width_px, int32_t height_px,
                                   sono_error *error)
{
    const int32_t block = SONO_PHANTOM_BLOCK_PX;
    const int32_t stride = (width_px + block - 1) / block * block;
    const size_t row = (size_t)stride, plane = row * (size_t)height_px, padded = row + 2 * MARGIN;
    const size_t lattice = (size_t)SONO_PHANTOM_LATTICE * SONO_PHANTOM_LATTICE;
    const size_t n_rows = 4 + 5 + 4 + SONO_PHANTOM_LAYERS + 7 * SONO_PHANTOM_BONES + 4 * SONO_PHANTOM_SHEETS;
    float *cursor = sono_alloc_array(lattice + 4 * plane + 3 * padded + n_rows * row, sizeof(float));
    if (!cursor)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for a phantom of %d x %d pixels", width_px,
                         height_px);
    *work = (sono_phantom_work){.width_px = width_px, .height_px = height_px, .stride = stride};
    work->view = (sono_phantom_view){.frame_width_px = width_px, .frame_height_px = height_px};
    work->block = cursor;
    work->lattice = take(&cursor, lattice);
    work->amplitude = take(&cursor, plane);
    work->specular = take(&cursor, plane);
    work->real = take(&cursor, plane);
    work->imaginary = take(&cursor, plane);
    work->row_real = take(&cursor, padded);
    work->row_imaginary = take(&cursor, padded);
    work->occlusion = take(&cursor, padded);
    work->envelope_real = take(&cursor, row);
    work->envelope_imaginary = take(&cursor, row);
    work->gain = take(&cursor, row);
    work->extra = take(&cursor, row);
    work->columns.contact = take(&cursor, row);
    work->columns.streak = take(&cursor, row);
    work->columns.rough = take(&cursor, row);
    work->columns.air = take(&cursor, row);
    work->columns.cover_mm = take(&cursor, row);
    work->columns.face_x_mm = take(&cursor, row);
    work->columns.face_y_mm = take(&cursor, row);
    work->columns.sine = take(&cursor, row);
    work->columns.along = take(&cursor, row);
    for (int32_t k = 0; k < SONO_PHANTOM_LAYERS; k++)
        work->columns.layer[k] = take(&cursor, row);
    for (int32_t b = 0; b < SONO_PHANTOM_BONES; b++) {
        work->columns.bone[b] = take(&cursor, row);
        work->columns.cosine[b] = take(&cursor, row);
        work->columns.echo[b] = take(&cursor, row);
        work->columns.opacity[b] = take(&cursor, row);
        work->columns.wide[b] = take(&cursor, row);
        work->columns.columns_a_px[b] = take(&cursor, row);
        work->columns.gain_at_bone[b] = take(&cursor, row);
    }
    for (int32_t i = 0; i < SONO_PHANTOM_SHEETS; i++) {
        work->columns.sheet[i] = take(&cursor, row);
        work->columns.sheet_cover[i] = take(&cursor, row);
        work->columns.sheet_echo[i] = take(&cursor, row);
        work->columns.sheet_sound[i] = take(&cursor, row);
    }
    sono_phantom_kernels(work);
    return SONO_STATUS_OK;
}

sono_status sono_phantom_work_add_fans(sono_phantom_work *work, sono_error *error)
{
    const sono_phantom_view *view = &work->view;
    const size_t n = (size_t)view->frame_width_px * (size_t)view->frame_height_px;
    work->map = sono_alloc_array(n, sizeof *work->map);
    if (!work->map)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the map of a phantom of %d x %d pixels",
                         view->frame_width_px, view->frame_height_px);
    return SONO_STATUS_OK;
}

sono_status sono_phantom_work_add_looks(sono_phantom_work *work, sono_error *error)
{
    const sono_phantom_view *view = &work->view;
    work->looks = sono_alloc_array((size_t)work->stride * (size_t)work->height_px, sizeof *work->looks);
    work->scratch = sono_alloc(sono_phantom_scratch_bytes(view->frame_width_px, view->frame_height_px));
    if (!work->looks || !work->scratch)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory to degrade a phantom of %d x %d pixels",
                         view->frame_width_px, view->frame_height_px);
    return SONO_STATUS_OK;
}

void sono_phantom_work_reset(sono_phantom_work *work)
{
    sono_free(work->block);
    sono_free(work->map);
    sono_free(work->looks);
    sono_free(work->scratch);
    *work = (sono_phantom_work){0};
}

float sono_phantom_band_px(const sono_phantom_scene *scene)
{
    return fmaxf(scene->band_mm * scene->px_per_mm, 2);
}

/* work->occlusion[i] = the opacity above row y of the columns left of i - MARGIN, outermost ones repeated;
 * work->extra = the haze under each column's own bone. */
static void occlude_row(const sono_phantom_scene *scene, int32_t y, sono_phantom_work *work)
{
    const sono_phantom_columns *c = &work->columns;
    const float band = sono_phantom_band_px(scene), haze = phantom_level(scene->haze_db);
    const float fade = 1 / fmaxf(scene->haze_mm * scene->px_per_mm, 1);
    float sum = 0;
    for (int32_t i = 0; i < work->stride + 2 * MARGIN; i++) {
        const int32_t x = i < MARGIN ? 0 : i - MARGIN < work->width_px ? i - MARGIN : work->width_px - 1;
        float opaque = 0, glow = 0;
        for (int32_t b = 0; b < scene->n_bones; b++) {
            const float below =
                (float)y - c->bone[b][x] - SHADOW_STARTS * band * c->wide[b][x] / c->cosine[b][x];
            if (below > 0) {
                opaque = fmaxf(opaque, c->opacity[b][x]);
                glow = fmaxf(glow, haze / (1 + below * fade * (1 + below * fade)));
            }
        }
        work->occlusion[i] = sum;
        sum += opaque;
        if (i >= MARGIN && i < MARGIN + work->stride)
            work->extra[i - MARGIN] = glow;
    }
}

/* Below what casts a shadow it is darker, with edges that soften with depth. */
static void cover_row(float y_mm, sono_phantom_work *work)
{
    const sono_phantom_effects *e = &work->effects;
    const float reached = phantom_step(e->cover_top_mm, e->cover_top_mm + COVER_SOFT_MM, y_mm);
    const float dark = phantom_level(-e->cover_db);
    const float soft_mm = e->cover_soft_mm * (0.6f + 0.04f * fmaxf(y_mm - e->cover_top_mm, 0));
    for (int32_t x = 0; x < work->stride && reached > 0; x++) {
        const float covered = phantom_step(-soft_mm, soft_mm, work->columns.cover_mm[x]);
        work->gain[x] *= 1 - reached * covered * (1 - dark);
    }
}

/* Gain of row y: attenuation and time-gain compensation, contact, shadow with its penumbra. */
static void gain_row(const sono_phantom_scene *scene, int32_t y, sono_phantom_work *work)
{
    const sono_phantom_columns *c = &work->columns;
    const float y_mm = (float)y / scene->px_per_mm;
    const float ripple = scene->ripple_db * (2 * phantom_noise(work->lattice, 3.5f, y_mm * 0.12f) - 1);
    const float depth_gain = phantom_level(ripple - scene->loss_db_mm * y_mm);
    const float reached = phantom_step(0.3f * NEAR_FREE_MM, 2 * NEAR_FREE_MM, y_mm);
    const float dark = phantom_level(-scene->shadow_db);
    const float columns_a_px =
        scene->fan.is_fan ? sono_phantom_columns_at(scene, (float)y) / scene->px_per_mm : 1;
    const float spread = fminf(1 + scene->penumbra * (float)y * columns_a_px, MARGIN - 1);
    const int32_t half = (int32_t)spread;
    const float share = 1 / (float)(2 * half + 1);
    if (scene->n_bones)
        occlude_row(scene, y, work);
    for (int32_t x = 0; x < work->stride; x++) {
        float gain = depth_gain * c->streak[x] * (1 + reached * (c->contact[x] - 1));
        if (scene->n_bones) {
            const int32_t first = x + MARGIN - half, last = x + MARGIN + half + 1;
            const float end =
                work->occlusion[last < work->stride + 2 * MARGIN ? last : work->stride + 2 * MARGIN - 1];
            const float shade = (end - work->occlusion[first]) * share;
            gain *= 1 - fminf(shade, 1) * (1 - fminf(dark + work->extra[x], 1));
        }
        work->gain[x] = gain;
    }
    if (work->effects.cover_db > 0)
        cover_row(y_mm, work);
    if (scene->alikes.kinds)
        sono_phantom_alike_gain(scene, y, work->probe_mm, work);
    for (int32_t b = 0; b < scene->n_bones; b++)
        for (int32_t x = 0; x < work->stride; x++)
            if ((int32_t)c->bone[b][x] == y)
                work->columns.gain_at_bone[b][x] = work->gain[x];
}

/* Sound that goes to and fro in the probe's face where there is air below: even lines that fade with depth.
 */
static void air_row(float y_mm, float probe_mm, float columns_per_mm, sono_phantom_work *work)
{
    const sono_phantom_effects *e = &work->effects;
    const float wave = 0.5f + 0.5f * cosf(PHANTOM_TURN * y_mm / e->air_period_mm);
    const float level =
        phantom_level(e->air_db) * expf(-y_mm / e->air_mm) * (0.05f + wave * wave * wave * wave);
    for (int32_t x = 0; x < work->stride && level > 1e-4f; x++) {
        const float x_mm = (float)x / columns_per_mm + probe_mm;
        const float uneven = 0.6f + 0.8f * phantom_noise(work->lattice, x_mm * 0.15f, y_mm * 1.7f + 170);
        work->extra[x] += level * uneven * work->columns.air[x];
    }
}

/* Even echoes of a cover over the probe's face. */
static void ring_row(const sono_phantom_scene *scene, float y_mm, float probe_mm, sono_phantom_work *work)
{
    const sono_phantom_fan *fan = &scene->fan;
    float level = 0;
    for (int32_t k = 0; k < fan->n_rings; k++) {
        const float q = (y_mm - ((float)k + 0.4f) * fan->ring_period_mm) / fan->ring_mm;
        if (q > -3 && q < 3)
            level += phantom_level(fan->ring_db - fan->ring_fall_db * (float)k) * expf(-0.5f * q * q);
    }
    for (int32_t x = 0; x < work->stride && level > 1e-4f; x++) {
        const float x_mm = (float)x / scene->columns_per_mm + probe_mm;
        work->extra[x] += level * (0.7f + 0.6f * phantom_noise(work->lattice, x_mm * 0.1f, y_mm + 180));
    }
}

/* Echoes that no shadow hides, into work->extra: the probe's ringing near the surface, and the bone once more
 * at twice its depth. */
static void artefact_row(const sono_phantom_scene *scene, int32_t y, float probe_mm, sono_phantom_work *work)
{
    const sono_phantom_columns *c = &work->columns;
    const float y_mm = (float)y / scene->px_per_mm, band = sono_phantom_band_px(scene);
    const float again = phantom_level(scene->reverb_db);
    const float ringing = phantom_level(scene->near_db) * expf(-y_mm / scene->near_mm) *
                          (0.55f + 0.45f * cosf(PHANTOM_TURN * y_mm / scene->near_period_mm));
    for (int32_t x = 0; x < work->stride; x++) {
        float echo = 0;
        if (ringing > 1e-4f) {
            const float x_mm = (float)x / scene->columns_per_mm + probe_mm;
            echo = ringing * (0.4f + 1.2f * phantom_noise(work->lattice, x_mm * 0.08f, y_mm * 2.3f));
        }
        for (int32_t b = 0; b < scene->n_bones; b++) {
            const float d = ((float)y - 2 * c->bone[b][x]) * c->cosine[b][x] / (0.5f * band);
            if (d > -3 && d < 3)
                echo += again * c->cosine[b][x] * c->rough[x] * c->streak[x] * c->echo[b][x] *
                        c->gain_at_bone[b][x] * expf(-0.5f * d * d);
        }
        work->extra[x] = echo;
    }
    if (work->effects.lift > 0)
        air_row(y_mm, probe_mm, scene->columns_per_mm, work);
    if (scene->fan.n_rings)
        ring_row(scene, y_mm, probe_mm, work);
    if (scene->alikes.kinds)
        sono_phantom_alike_extra(scene, y, probe_mm, work);
}

/* Level on the screen, 1 = white. */
static float displayed(const sono_phantom_scene *scene, float squared)
{
    const float db = 3.0103f * phantom_log2(squared + 1e-12f);
    const float v = fminf(fmaxf(1 + db / scene->range_db, 0), 1);
    const float curved = v * (1 - scene->curve + scene->curve * v);
    return scene->gamma > 0 ? powf(curved, scene->gamma) : curved;
}

/* Squared envelope of row y into its row of the plane `intensity`, is_more: on top of what is there. It may
 * be work->amplitude, whose row has done its work. */
static void detect_row(const sono_phantom_scene *scene, int32_t y, uint64_t frame_key,
                       const sono_phantom_work *work, int is_more, float *intensity)
{
    const size_t row = (size_t)y * (size_t)work->stride;
    const float noise = phantom_level(scene->noise_db) * (2.4494897f / 65536.0f);
    for (int32_t x = 0; x < work->stride; x++) {
        const uint64_t hash = phantom_hash(frame_key + ((uint64_t)(uint32_t)y << 32 | (uint32_t)x));
        const int32_t hiss = (int32_t)(hash & 0xffff) + (int32_t)(hash >> 16 & 0xffff) - 65535;
        const int32_t hiss_too = (int32_t)(hash >> 32 & 0xffff) + (int32_t)(hash >> 48) - 65535;
        const float re = work->gain[x] * (work->envelope_real[x] + work->specular[row + (size_t)x]) +
                         work->extra[x] + noise * (float)hiss;
        const float im = work->gain[x] * work->envelope_imaginary[x] + noise * (float)hiss_too;
        const float before = is_more ? intensity[row + (size_t)x] : 0;
        intensity[row + (size_t)x] = before + (re * re + im * im);
    }
}

/* The gain of the scanner and of an event, squared. */
static float jump_of(const sono_phantom_scene *scene, const sono_phantom_work *work)
{
    const float db = work->effects.gain_db + scene->gain_db;
    const float gain = db != 0 ? phantom_level(db) : 1;
    return gain * gain;
}

/* The filter behind the detector, 1 2 1 in both directions, and log compression. */
static void grey_row(const sono_phantom_scene *scene, int32_t y, sono_phantom_work *work, uint8_t *grey)
{
    const float jump = jump_of(scene, work);
    const size_t stride = (size_t)work->stride;
    const float *here = work->amplitude + (size_t)y * stride;
    const float *above = y ? here - stride : here, *below = y + 1 < work->height_px ? here + stride : here;
    for (int32_t x = 0; x < work->stride; x++)
        work->extra[x] = above[x] + 2 * here[x] + below[x];
    for (int32_t x = 0; x < work->width_px; x++) {
        const float left = work->extra[x ? x - 1 : 0];
        const float right = work->extra[x + 1 < work->width_px ? x + 1 : x];
        const float smooth = (left + 2 * work->extra[x] + right) * 0.0625f;
        const float intensity = here[x] + scene->smoothing * (smooth - here[x]);
        grey[x] = (uint8_t)(displayed(scene, intensity * jump) * 255 + 0.5f);
    }
}

void sono_phantom_render(const sono_phantom_scene *scene, double time_s, uint64_t frame_key,
                         sono_phantom_work *work, uint8_t *grey)
{
    const float probe_mm = phantom_probe_mm(scene, work, time_s);
    const int32_t n_looks = work->looks && scene->n_looks > 1 ? scene->n_looks : 1;
    float *intensity = n_looks > 1 ? work->looks : work->amplitude;
    sono_phantom_tissue(scene, time_s, work);
    for (int32_t look = 0; look < n_looks; look++) {
        work->look = look;
        sono_phantom_scatter(scene, time_s, work);
        for (int32_t y = 0; y < work->height_px; y++) {
            sono_phantom_axial_row(scene, y, work);
            gain_row(scene, y, work);
            artefact_row(scene, y, probe_mm, work);
            detect_row(scene, y, frame_key + (uint64_t)look * LOOK_KEY, work, look > 0, intensity);
        }
    }
    for (size_t i = 0; n_looks > 1 && i < (size_t)work->height_px * (size_t)work->stride; i++)
        work->amplitude[i] = intensity[i] / (float)n_looks;
    work->look = 0;
    for (int32_t y = 0; y < work->height_px; y++)
        grey_row(scene, y, work, grey + (size_t)y * (size_t)work->width_px);
}

void sono_phantom_gains(const sono_phantom_scene *scene, sono_phantom_work *work)
{
    for (int32_t y = 0; y < work->height_px; y++)
        gain_row(scene, y, work);
}

float sono_phantom_level_at(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t b,
                            int32_t x)
{
    const float level = work->columns.echo[b][x] * work->columns.gain_at_bone[b][x];
    return displayed(scene, level * level * jump_of(scene, work));
}

int32_t sono_phantom_shown(const sono_phantom_scene *scene, const sono_phantom_work *work, int32_t n_bones,
                           float least)
{
    int32_t n = 0;
    for (int32_t b = 0; b < n_bones; b++)
        for (int32_t x = 0; x < work->width_px; x++)
            n += sono_phantom_level_at(scene, work, b, x) >= least;
    return n;
}
