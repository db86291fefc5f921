// SPDX-License-Identifier: Apache-2.0
/* How strongly each point scatters (amplitude) and reflects (specular), before beam, shadow and gain. */
#include "io/phantom/phantom_math.h"

#define LINE_MM       0.16f /* spread of a fascia's echo */
#define BONE_LEAD     0.22f /* spread of a bone's echo above its surface, in bands */
#define BONE_TAIL     0.42f /* and below */
#define COHERENT      0.7f
#define DIFFUSE       0.4f
#define FREE_MM       3.0f  /* distance from a bone at which a fascia is whole */
#define DRIFT_A_SLICE 0.06f /* texture's way through the lattice for a slice of speckle */

typedef struct muscle {
    float level, cosine, sine, drift, fibre, septa, scale;
} muscle;

/* Fibres: fine noise stretched along their direction. Septa: the ridges of coarse noise. Patches: mean. */
static float muscle_at(const muscle *m, const float *lattice, float x_mm, float y_mm)
{
    const float along = x_mm * m->cosine + y_mm * m->sine;
    const float across = y_mm * m->cosine - x_mm * m->sine;
    const float fine = phantom_noise(lattice, along * 0.22f, across * 2.1f + m->drift);
    const float patch = phantom_noise(lattice, x_mm * 0.16f + 17, y_mm * 0.2f + m->drift);
    const float bent_along = along + 5 * patch, bent_across = across + 0.75f * fine - 3 * patch;
    const float coarse =
        phantom_noise(lattice, bent_along * m->scale + m->drift, bent_across * 2 * m->scale + 64);
    const float ridge = 1 - fabsf(2 * coarse - 1);
    const float sharp = ridge * ridge * ridge * ridge;
    const float texture =
        0.15f + m->fibre * 4 * fine * fine * fine * fine + m->septa * 2 * sharp * sharp * patch;
    return m->level * texture * (0.1f + 3 * patch * patch);
}

/* Depth for the texture of what lies below layer k: from that layer, and in a fan, whose beams cross it at
 * any angle, from where it lies on the whole. */
static float below_mm(const sono_phantom_scene *scene, const sono_phantom_columns *c, int32_t x, float y_px,
                      int32_t k)
{
    const float mm = 1 / scene->px_per_mm;
    if (!scene->fan.is_fan)
        return (y_px - c->layer[k][x]) * mm;
    return c->face_y_mm[x] + y_px * mm * c->along[x] - scene->layer_mm[k];
}

static void tissue_row(const sono_phantom_scene *scene, int32_t y, float probe_mm, const muscle muscles[2],
                       sono_phantom_work *work)
{
    const sono_phantom_columns *c = &work->columns;
    const float *lattice = work->lattice;
    const float skin = phantom_level(scene->skin_db), fat = phantom_level(scene->fat_db);
    const float mm = 1 / scene->px_per_mm, y_px = (float)y, y_mm = y_px * mm;
    float *row = work->amplitude + (size_t)y * (size_t)work->stride;
    const int is_fan = scene->fan.is_fan;
    for (int32_t x = 0; x < work->stride; x++) {
        const float x_mm = is_fan ? c->face_x_mm[x] + y_mm * c->sine[x] + probe_mm : (float)x * mm + probe_mm;
        if (y_px >= c->layer[1][x]) {
            const int deep = y_px >= c->layer[2][x];
            row[x] = muscle_at(&muscles[deep], lattice, x_mm, below_mm(scene, c, x, y_px, 1 + deep));
        } else if (y_px >= c->layer[0][x]) {
            const float lobule =
                phantom_noise(lattice, x_mm * 0.13f, below_mm(scene, c, x, y_px, 1) * 1.5f + 77);
            row[x] = fat * (0.3f + 2.2f * lobule * lobule * lobule);
        } else {
            row[x] = skin * (0.5f + phantom_noise(lattice, x_mm * 0.05f, y_mm * 3));
        }
    }
}

/* A surface's echo: a part that is the same over the beam's width, and a part that speckles. */
static void add_echo(sono_phantom_work *work, int32_t x, int32_t y, float level)
{
    const size_t i = (size_t)y * (size_t)work->stride + (size_t)x;
    work->specular[i] = fmaxf(work->specular[i], COHERENT * level);
    work->amplitude[i] = fmaxf(work->amplitude[i], DIFFUSE * level);
}

static void draw_line(const sono_phantom_scene *scene, int32_t k, float probe_mm, sono_phantom_work *work)
{
    const float level = phantom_level(scene->line_db[k]);
    const float spread = fmaxf(LINE_MM * scene->px_per_mm * (k ? 1.0f : 0.7f), 0.6f);
    for (int32_t x = 0; x < work->width_px; x++) {
        const float centre = work->columns.layer[k][x], x_mm = (float)x / scene->columns_per_mm + probe_mm;
        const float patchy = phantom_noise(work->lattice, x_mm * 0.25f, 200.5f + (float)k);
        float strength = level * (0.15f + 1.5f * patchy * patchy);
        for (int32_t b = 0; b < scene->n_bones && k == 2; b++)
            strength *= phantom_step(1, FREE_MM, (work->columns.bone[b][x] - centre) / scene->px_per_mm);
        const int32_t first = (int32_t)fmaxf(centre - 3 * spread, 0);
        const int32_t last = (int32_t)fminf(centre + 3 * spread, (float)(work->height_px - 1));
        for (int32_t y = first; y <= last; y++) {
            const float d = ((float)y - centre) / spread;
            add_echo(work, x, y, strength * expf(-0.5f * d * d));
        }
    }
}

float sono_phantom_crest(const sono_phantom_work *work, int32_t b, int32_t x, float band_px)
{
    const int32_t reach = (int32_t)(band_px * work->columns.columns_a_px[b][x]);
    const int32_t first = x > reach ? x - reach : 0;
    const int32_t last = x + reach < work->width_px ? x + reach : work->width_px - 1;
    float crest = work->columns.bone[b][x];
    for (int32_t i = first; i <= last; i++)
        if (work->columns.echo[b][i] > 0)
            crest = fminf(crest, work->columns.bone[b][i]);
    return crest;
}

static void draw_bone(const sono_phantom_scene *scene, int32_t b, sono_phantom_work *work)
{
    const sono_phantom_columns *c = &work->columns;
    const float even = fmaxf(scene->band_mm * scene->px_per_mm, 2);
    for (int32_t x = 0; x < work->width_px; x++) {
        const float band = even * c->wide[b][x];
        const float level = c->echo[b][x] * c->rough[x], cosine = c->cosine[b][x], centre = c->bone[b][x];
        const float crest = sono_phantom_crest(work, b, x, band);
        const int32_t first = (int32_t)fmaxf(centre - 3 * BONE_LEAD * band / cosine, 0);
        const int32_t last =
            (int32_t)fminf(centre + 3 * BONE_TAIL * band / cosine, (float)(work->height_px - 1));
        for (int32_t y = first; level > 0 && y <= last; y++) {
            const float below = ((float)y - centre) * cosine;
            const float away = (below < 0 ? fminf(below, (float)y - crest) : below) / band;
            const float d = away / (away < 0 ? BONE_LEAD : BONE_TAIL);
            add_echo(work, x, y, level * expf(-0.5f * d * d));
        }
    }
}

void sono_phantom_tissue(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work)
{
    const float probe_mm = phantom_probe_mm(scene, work, time_s);
    const float drift = DRIFT_A_SLICE * scene->slices_hz * (float)time_s;
    muscle muscles[2];
    for (int32_t k = 0; k < 2; k++) {
        const float angle = scene->fibre_angle[k];
        muscles[k] = (muscle){
            .level = phantom_level(scene->muscle_db - 3 * (float)k),
            .cosine = cosf(angle),
            .sine = sinf(angle),
            .drift = fmodf(drift, SONO_PHANTOM_LATTICE) + 100 * (float)k,
            .fibre = scene->fibre_share,
            .septa = scene->septa_share,
            .scale = 1 / scene->septa_mm,
        };
    }
    memset(work->specular, 0, sizeof(float) * (size_t)work->height_px * (size_t)work->stride);
    for (int32_t y = 0; y < work->height_px; y++)
        tissue_row(scene, y, probe_mm, muscles, work);
    for (int32_t k = 0; k < SONO_PHANTOM_LAYERS; k++)
        draw_line(scene, k, probe_mm, work);
    if (scene->alikes.medium != SONO_PHANTOM_TISSUE || scene->alikes.flatness > 0)
        sono_phantom_alike_medium(scene, time_s, probe_mm, work);
    for (int32_t b = 0; b < scene->n_bones; b++)
        draw_bone(scene, b, work);
    if (scene->alikes.kinds)
        sono_phantom_alike_echoes(scene, probe_mm, work);
}
