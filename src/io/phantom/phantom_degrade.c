// SPDX-License-Identifier: Apache-2.0
/* Other scanners' settings, and what a frame grabber does to the finished frame. */
#include "io/phantom/phantom_math.h"

#define DEGRADE_KEY 0xdeb1a5edu
#define BLUR_RADIUS 4
#define RING_RADIUS 2
#define MOST_HISS   4.0f

static int chance(phantom_dice *dice, float share)
{
    return phantom_draw(dice, 0, 1) < share;
}

/* Every draw is made, whatever becomes of it, so that one share changes nothing else. */
static float draw_or_none(phantom_dice *dice, float share, float low, float high)
{
    const int has = chance(dice, share);
    const float drawn = phantom_draw(dice, low, high);
    return has ? drawn : 0;
}

void sono_phantom_degrade_init(sono_phantom_scene *scene)
{
    phantom_dice dice = {phantom_hash(scene->key ^ DEGRADE_KEY), 0};
    sono_phantom_grabber *g = &scene->grabber;
    scene->bridge_mm = SONO_PHANTOM_BRIDGE_MM;
    scene->range_db = phantom_draw(&dice, 38, 78);
    scene->gain_db = draw_or_none(&dice, 0.7f, -8, 11);
    scene->gamma = draw_or_none(&dice, 0.6f, 0.7f, 1.45f);
    scene->n_looks = (int32_t)draw_or_none(&dice, 0.5f, 2, SONO_PHANTOM_LOOKS + 0.99f);
    g->comb_px = draw_or_none(&dice, 0.25f, 0.4f, 1.6f);
    g->comb_hz = phantom_draw(&dice, 0.2f, 1.5f);
    g->comb_phase = phantom_draw(&dice, 0, 1);
    g->resample = draw_or_none(&dice, 0.4f, 0.65f, SONO_PHANTOM_RESAMPLE);
    g->blur_px = draw_or_none(&dice, 0.4f, 0.5f, 1.3f);
    g->ringing = draw_or_none(&dice, 0.3f, 0.15f, 0.6f);
    g->hiss = draw_or_none(&dice, 0.5f, 0.6f, MOST_HISS);
    g->quality = (int32_t)draw_or_none(&dice, 0.5f, 30, 88);
}

static uint8_t as_grey(float value)
{
    return (uint8_t)(fminf(fmaxf(value, 0), 255) + 0.5f);
}

/* Odd lines, shifted; what comes from outside is what is at the edge. */
static void comb(float shift_px, int32_t width, int32_t height, uint8_t *grey, uint8_t *line)
{
    for (int32_t y = 1; y < height; y += 2) {
        uint8_t *row = grey + (size_t)y * (size_t)width;
        memcpy(line, row, (size_t)width);
        for (int32_t x = 0; x < width; x++) {
            const float from = fminf(fmaxf((float)x - shift_px, 0), (float)(width - 1));
            const int32_t left = (int32_t)from, right = left + 1 < width ? left + 1 : left;
            const float t = from - (float)left;
            row[x] = as_grey((float)line[left] + t * (float)(line[right] - line[left]));
        }
    }
}

/* Bilinear, middles of the outermost pixels' outer edges on each other. */
static void scale_plane(const uint8_t *in, int32_t in_width, int32_t in_height, uint8_t *out,
                        int32_t out_width, int32_t out_height)
{
    const float sx = (float)in_width / (float)out_width, sy = (float)in_height / (float)out_height;
    for (int32_t y = 0; y < out_height; y++) {
        const float v = fminf(fmaxf(((float)y + 0.5f) * sy - 0.5f, 0), (float)(in_height - 1));
        const int32_t top = (int32_t)v, bottom = top + 1 < in_height ? top + 1 : top;
        const uint8_t *above = in + (size_t)top * (size_t)in_width;
        const uint8_t *below = in + (size_t)bottom * (size_t)in_width;
        const float t = v - (float)top;
        for (int32_t x = 0; x < out_width; x++) {
            const float u = fminf(fmaxf(((float)x + 0.5f) * sx - 0.5f, 0), (float)(in_width - 1));
            const int32_t left = (int32_t)u, right = left + 1 < in_width ? left + 1 : left;
            const float s = u - (float)left;
            const float a = (float)above[left] + s * (float)(above[right] - above[left]);
            const float b = (float)below[left] + s * (float)(below[right] - below[left]);
            out[(size_t)y * (size_t)out_width + (size_t)x] = as_grey(a + t * (b - a));
        }
    }
}

static int32_t scaled(int32_t side, float scale)
{
    const int32_t n = (int32_t)((float)side * scale + 0.5f);
    return n > 1 ? n : 1;
}

static int32_t inside(int32_t x, int32_t width)
{
    return x < 0 ? 0 : x < width ? x : width - 1;
}

static void blur_lines(float sigma_px, int32_t width, int32_t height, uint8_t *grey, uint8_t *line)
{
    float kernel[BLUR_RADIUS + 1], sum = 0;
    for (int32_t i = 0; i <= BLUR_RADIUS; i++) {
        kernel[i] = expf(-0.5f * (float)(i * i) / (sigma_px * sigma_px));
        sum += kernel[i] * (i ? 2 : 1);
    }
    for (int32_t y = 0; y < height; y++) {
        uint8_t *row = grey + (size_t)y * (size_t)width;
        memcpy(line, row, (size_t)width);
        for (int32_t x = 0; x < width; x++) {
            float value = kernel[0] * (float)line[x];
            for (int32_t i = 1; i <= BLUR_RADIUS; i++)
                value += kernel[i] * (float)(line[inside(x - i, width)] + line[inside(x + i, width)]);
            row[x] = as_grey(value / sum);
        }
    }
}

/* Lines overshoot beside edges. */
static void ring_lines(float share, int32_t width, int32_t height, uint8_t *grey, uint8_t *line)
{
    for (int32_t y = 0; y < height; y++) {
        uint8_t *row = grey + (size_t)y * (size_t)width;
        memcpy(line, row, (size_t)width);
        for (int32_t x = 0; x < width; x++) {
            int32_t sum = 0;
            for (int32_t i = -RING_RADIUS; i <= RING_RADIUS; i++)
                sum += line[inside(x + i, width)];
            const float mean = (float)sum / (2 * RING_RADIUS + 1);
            row[x] = as_grey((float)line[x] + share * ((float)line[x] - mean));
        }
    }
}

static void hiss_over(float spread, uint64_t key, size_t n, uint8_t *grey)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t hash = phantom_hash(key + i);
        const int32_t sum = (int32_t)(hash & 0xffff) + (int32_t)(hash >> 16 & 0xffff) - 65535;
        grey[i] = as_grey((float)grey[i] + spread * (float)sum * (2.4494897f / 65536.0f));
    }
}

uint64_t sono_phantom_scratch_bytes(int32_t width_px, int32_t height_px)
{
    return (uint64_t)scaled(width_px, SONO_PHANTOM_RESAMPLE) *
           (uint64_t)scaled(height_px, SONO_PHANTOM_RESAMPLE);
}

void sono_phantom_grab(const sono_phantom_grabber *grabber, uint64_t frame_key, double time_s,
                       int32_t width_px, int32_t height_px, uint8_t *grey, uint8_t *scratch)
{
    const sono_phantom_grabber *g = grabber;
    if (g->comb_px > 0) {
        const double turns = (double)g->comb_hz * time_s + (double)g->comb_phase;
        comb(g->comb_px * sinf(PHANTOM_TURN * (float)(turns - floor(turns))), width_px, height_px, grey,
             scratch);
    }
    if (g->resample > 0) {
        const int32_t width = scaled(width_px, g->resample), height = scaled(height_px, g->resample);
        scale_plane(grey, width_px, height_px, scratch, width, height);
        scale_plane(scratch, width, height, grey, width_px, height_px);
    }
    if (g->blur_px > 0)
        blur_lines(g->blur_px, width_px, height_px, grey, scratch);
    if (g->ringing > 0)
        ring_lines(g->ringing, width_px, height_px, grey, scratch);
    if (g->hiss > 0)
        hiss_over(g->hiss, phantom_hash(frame_key ^ DEGRADE_KEY), (size_t)width_px * (size_t)height_px, grey);
    if (g->quality > 0)
        sono_phantom_blocks(g->quality, width_px, height_px, grey);
}
