// SPDX-License-Identifier: Apache-2.0
/* What lossy compression leaves of a frame: 8 x 8 blocks through a cosine transform, quantised, and back
 * (ITU-T T.81, A.3.3 and A.3.4). Nothing is coded, as coding loses nothing. */
#include "io/phantom/phantom_math.h"

#define SIDE 8

/* Luminance steps of ITU-T T.81, table K.1. */
static const uint8_t steps[SIDE * SIDE] = {
    16, 11,  10,  16, 24, 40, 51, 61, 12,  12,  14,  19,  26, 58, 60, 55,  14,  13,  16,  24, 40, 57,
    69, 56,  14,  17, 22, 29, 51, 87, 80,  62,  18,  22,  37, 56, 68, 109, 103, 77,  24,  35, 55, 64,
    81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,  112, 100, 103, 99,
};

typedef struct transform {
    float wave[SIDE][SIDE]; /* [frequency, place], orthonormal */
    float step[SIDE * SIDE];
} transform;

/* Steps are those of the table at quality 50, none at 100, and grow as 1 / quality below 50. */
static void prepare(int32_t quality, transform *t)
{
    const float scale = quality < 50 ? 50.0f / (float)quality : 2 - 0.02f * (float)quality;
    for (int32_t i = 0; i < SIDE * SIDE; i++)
        t->step[i] = fminf(fmaxf((float)steps[i] * scale, 1), 255);
    for (int32_t k = 0; k < SIDE; k++)
        for (int32_t x = 0; x < SIDE; x++)
            t->wave[k][x] = (k ? 0.5f : 0.35355339f) * cosf(PHANTOM_TURN / 32 * (float)((2 * x + 1) * k));
}

/* out = wave in transposed, or with is_back its inverse: two calls transform a block in both directions. */
static void turn(const transform *t, int is_back, const float *in, float *out)
{
    for (int32_t i = 0; i < SIDE; i++)
        for (int32_t k = 0; k < SIDE; k++) {
            float sum = 0;
            for (int32_t x = 0; x < SIDE; x++)
                sum += (is_back ? t->wave[x][k] : t->wave[k][x]) * in[i * SIDE + x];
            out[k * SIDE + i] = sum;
        }
}

static void quantise(const transform *t, float *block)
{
    for (int32_t i = 0; i < SIDE * SIDE; i++)
        block[i] = floorf(block[i] / t->step[i] + 0.5f) * t->step[i];
}

void sono_phantom_blocks(int32_t quality, int32_t width_px, int32_t height_px, uint8_t *grey)
{
    transform t;
    prepare(quality, &t);
    for (int32_t top = 0; top < height_px; top += SIDE)
        for (int32_t left = 0; left < width_px; left += SIDE) {
            float a[SIDE * SIDE], b[SIDE * SIDE];
            for (int32_t i = 0; i < SIDE * SIDE; i++) {
                const int32_t y = top + i / SIDE < height_px ? top + i / SIDE : height_px - 1;
                const int32_t x = left + i % SIDE < width_px ? left + i % SIDE : width_px - 1;
                a[i] = (float)grey[(size_t)y * (size_t)width_px + (size_t)x] - 128;
            }
            turn(&t, 0, a, b);
            turn(&t, 0, b, a);
            quantise(&t, a);
            turn(&t, 1, a, b);
            turn(&t, 1, b, a);
            for (int32_t i = 0; i < SIDE * SIDE; i++) {
                const int32_t y = top + i / SIDE, x = left + i % SIDE;
                if (y < height_px && x < width_px)
                    grey[(size_t)y * (size_t)width_px + (size_t)x] =
                        (uint8_t)(fminf(fmaxf(a[i] + 128, 0), 255) + 0.5f);
            }
        }
}
