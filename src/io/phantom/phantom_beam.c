// SPDX-License-Identifier: Apache-2.0
/* Fully developed speckle: complex Gaussian scatterers under a point spread function that widens with depth
 * and towards the outer beams. */
#include "io/phantom/phantom_math.h"

#define MARGIN        SONO_PHANTOM_MARGIN_PX
#define BLOCK         SONO_PHANTOM_BLOCK_PX
#define LEAST_SIGMA   0.5f
#define SLICES_A_LOOK 1e6 /* apart, so that looks share none within a sweep */
#define WIDTHS_TWICE  16  /* kernels until the width has doubled */

void sono_phantom_kernels(sono_phantom_work *work)
{
    for (int32_t i = 0; i < SONO_PHANTOM_WIDTHS; i++) {
        const float sigma = LEAST_SIGMA * exp2f((float)i / WIDTHS_TWICE);
        const int32_t wanted = (int32_t)(2.5f * sigma + 1);
        const int32_t radius = wanted < SONO_PHANTOM_RADIUS ? wanted : SONO_PHANTOM_RADIUS;
        float energy = 0;
        for (int32_t t = 0; t <= radius; t++) {
            work->kernels[i][t] = expf(-0.5f * (float)(t * t) / (sigma * sigma));
            energy += work->kernels[i][t] * work->kernels[i][t] * (t ? 2 : 1);
        }
        for (int32_t t = 0; t <= radius; t++)
            work->kernels[i][t] /= sqrtf(energy);
        work->radii[i] = radius;
    }
}

static int32_t kernel_of(float sigma_px)
{
    const float place = phantom_log2(fmaxf(sigma_px, LEAST_SIGMA) / LEAST_SIGMA) * WIDTHS_TWICE + 0.5f;
    return place < SONO_PHANTOM_WIDTHS - 1 ? (int32_t)place : SONO_PHANTOM_WIDTHS - 1;
}

typedef struct slices {
    uint64_t key[2];
    float share[2];
    float probe_mm;
} slices;

/* Two neighbouring slices, mixed so that the variance stays: 1 in each part. */
static slices slices_at(const sono_phantom_scene *scene, const sono_phantom_work *work, double time_s)
{
    const double place = (double)scene->slices_hz * time_s + SLICES_A_LOOK * work->look;
    const uint64_t slice = (uint64_t)place;
    const float turn = (float)(place - (double)slice) * 0.25f * PHANTOM_TURN;
    slices s = {.share = {cosf(turn), sinf(turn)}};
    for (uint64_t k = 0; k < 2; k++)
        s.key[k] = phantom_hash(scene->key ^ (0x5ca77e5u + ((slice + k) << 24)));
    s.probe_mm = phantom_probe_mm(scene, work, time_s);
    return s;
}

/* A part of variance 1: the sum of two uniform numbers of 16 bits. The filters make it Gaussian. */
static float part(uint64_t hash, int shift)
{
    const int32_t sum = (int32_t)(hash >> shift & 0xffff) + (int32_t)(hash >> (shift + 16) & 0xffff);
    return (float)(sum - 65535) * (2.4494897f / 65536.0f);
}

static void scatter_row(const slices *s, int32_t y, float columns_per_mm, sono_phantom_work *work)
{
    const int32_t shift = phantom_floor(s->probe_mm * columns_per_mm + 0.5f); /* of the tissue */
    const float *amplitude = work->amplitude + (size_t)y * (size_t)work->stride;
    for (int32_t i = 0; i < work->stride + 2 * MARGIN; i++) {
        const int32_t x = i < MARGIN ? 0 : i - MARGIN < work->stride ? i - MARGIN : work->stride - 1;
        const uint64_t place = (uint64_t)(uint32_t)(i + shift) << 32 | (uint32_t)y;
        const uint64_t first = phantom_hash(s->key[0] + place), second = phantom_hash(s->key[1] + place);
        work->row_real[i] = amplitude[x] * (s->share[0] * part(first, 0) + s->share[1] * part(second, 0));
        work->row_imaginary[i] =
            amplitude[x] * (s->share[0] * part(first, 32) + s->share[1] * part(second, 32));
    }
}

static void filter_block(const float *kernel, int32_t radius, const float *in, float *out)
{
    float sum[BLOCK];
    for (int32_t x = 0; x < BLOCK; x++)
        sum[x] = kernel[0] * in[x];
    for (int32_t t = 1; t <= radius; t++)
        for (int32_t x = 0; x < BLOCK; x++)
            sum[x] += kernel[t] * (in[x - t] + in[x + t]);
    memcpy(out, sum, sizeof sum);
}

void sono_phantom_scatter(const sono_phantom_scene *scene, double time_s, sono_phantom_work *work)
{
    const slices s = slices_at(scene, work, time_s);
    const float angular = scene->fan.is_fan ? scene->fan.angular_rad / scene->fan.per_column : 0;
    for (int32_t y = 0; y < work->height_px; y++) {
        const float off_mm = ((float)y / scene->px_per_mm - scene->focus_mm) / scene->focus_length_mm;
        const float columns_per_mm =
            scene->fan.is_fan ? sono_phantom_columns_at(scene, (float)y) : scene->px_per_mm;
        const float spread = scene->sigma_lateral_mm * columns_per_mm * sqrtf(1 + off_mm * off_mm);
        const float at_depth = scene->fan.is_fan ? fmaxf(spread, angular) : spread;
        const size_t row = (size_t)y * (size_t)work->stride;
        scatter_row(&s, y, columns_per_mm, work);
        for (int32_t x = 0; x < work->stride; x += BLOCK) {
            const float side = (2 * (float)x + BLOCK) / (float)work->width_px - 1;
            const int32_t k = kernel_of(at_depth * (1 + scene->edge_widening * side * side * side * side));
            filter_block(work->kernels[k], work->radii[k], work->row_real + MARGIN + x, work->real + row + x);
            filter_block(work->kernels[k], work->radii[k], work->row_imaginary + MARGIN + x,
                         work->imaginary + row + x);
        }
    }
}

static void add_row(float factor, const float *in, int32_t stride, float *out)
{
    for (int32_t x = 0; x < stride; x += BLOCK)
        for (int32_t i = 0; i < BLOCK; i++)
            out[x + i] += factor * in[x + i];
}

void sono_phantom_axial_row(const sono_phantom_scene *scene, int32_t y, sono_phantom_work *work)
{
    const float at_depth = 1 + 0.4f * (float)y / (float)work->height_px;
    const int32_t k = kernel_of(scene->sigma_axial_mm * scene->px_per_mm * at_depth);
    memset(work->envelope_real, 0, sizeof(float) * (size_t)work->stride);
    memset(work->envelope_imaginary, 0, sizeof(float) * (size_t)work->stride);
    for (int32_t t = -work->radii[k]; t <= work->radii[k]; t++) {
        const int32_t from = y + t;
        if (from < 0 || from >= work->height_px)
            continue;
        const float factor = work->kernels[k][t < 0 ? -t : t];
        const size_t row = (size_t)from * (size_t)work->stride;
        add_row(factor, work->real + row, work->stride, work->envelope_real);
        add_row(factor, work->imaginary + row, work->stride, work->envelope_imaginary);
    }
}
