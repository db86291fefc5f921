// SPDX-License-Identifier: Apache-2.0
/* The phantom's arithmetic: random numbers from integer hashes, smooth noise, decibels. */
#ifndef SONO_IO_PHANTOM_PHANTOM_MATH_H
#define SONO_IO_PHANTOM_PHANTOM_MATH_H

#include "io/phantom/phantom.h"

#include <math.h>
#include <string.h>

#define PHANTOM_TURN 6.2831853f /* 2 pi */

/* The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t phantom_hash(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A sequence of draws; `n` counts them. */
typedef struct phantom_dice {
    uint64_t key, n;
} phantom_dice;

/* Uniform in [0, 1), 24 bits. */
static inline float phantom_unit(uint64_t hash)
{
    return (float)(hash >> 40) * (1.0f / 16777216.0f);
}

static inline float phantom_draw(phantom_dice *dice, float low, float high)
{
    dice->n++;
    return low + (high - low) * phantom_unit(phantom_hash(dice->key + dice->n * 0x9e3779b97f4a7c15u));
}

static inline float phantom_level(float decibel)
{
    return powf(10.0f, decibel * 0.05f);
}

static inline float phantom_wave_at(const sono_phantom_wave *wave, double time_s)
{
    const double turns = (double)wave->rate_hz * time_s + (double)wave->phase;
    return wave->mean + wave->swing * sinf(PHANTOM_TURN * (float)(turns - floor(turns)));
}

/* Lateral place of the probe. */
static inline float phantom_probe_mm(const sono_phantom_scene *scene, const sono_phantom_work *work,
                                     double time_s)
{
    return phantom_wave_at(&scene->probe_mm, time_s) + work->effects.slide_mm;
}

/* Where a view puts the picture's pixel x, y in a frame of bytes. */
static inline size_t phantom_index(const sono_phantom_view *view, int32_t x, int32_t y)
{
    const int32_t column = view->x + (view->is_mirrored ? view->width_px - 1 - x : x);
    const int32_t row = view->y + (view->is_flipped ? view->height_px - 1 - y : y);
    return (size_t)row * (size_t)view->frame_width_px + (size_t)column;
}

static inline uint8_t *phantom_pixel(const sono_phantom_view *view, int32_t x, int32_t y, uint8_t *frame)
{
    return frame + phantom_index(view, x, y);
}

/* 0 below a, 1 above b, 3 t^2 - 2 t^3 between. */
static inline float phantom_step(float a, float b, float x)
{
    const float t = fminf(fmaxf((x - a) / (b - a), 0.0f), 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

static inline int32_t phantom_floor(float x)
{
    const int32_t whole = (int32_t)x;
    return whole - (x < (float)whole);
}

/* Value noise in [0, 1) with period SONO_PHANTOM_LATTICE: the lattice, interpolated by phantom_step(). */
static inline float phantom_noise(const float *lattice, float x, float y)
{
    const int32_t x0 = phantom_floor(x), y0 = phantom_floor(y);
    const float u = x - (float)x0, v = y - (float)y0;
    const float s = u * u * (3.0f - 2.0f * u), t = v * v * (3.0f - 2.0f * v);
    const uint32_t last = SONO_PHANTOM_LATTICE - 1;
    const uint32_t left = (uint32_t)x0 & last, right = ((uint32_t)x0 + 1) & last;
    const float *top = lattice + (((uint32_t)y0 & last) * SONO_PHANTOM_LATTICE);
    const float *bottom = lattice + ((((uint32_t)y0 + 1) & last) * SONO_PHANTOM_LATTICE);
    const float above = top[left] + s * (top[right] - top[left]);
    const float below = bottom[left] + s * (bottom[right] - bottom[left]);
    return above + t * (below - above);
}

/* log2 of a positive normal number, error 1e-4 at most: exponent and a quartic in the mantissa. */
static inline float phantom_log2(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const float exponent = (float)((int32_t)(bits >> 23) - 127);
    bits = (bits & 0x007fffffu) | 0x3f800000u;
    float m;
    memcpy(&m, &bits, sizeof m);
    return exponent + (((-0.08001168f * m + 0.63551733f) * m - 2.09941926f) * m + 4.04963655f) * m -
           2.50562285f;
}

#endif
