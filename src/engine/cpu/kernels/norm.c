// SPDX-License-Identifier: Apache-2.0
/*
 * LAYER_NORM: y = act((v - mean(v)) / sqrt(var(v) + eps) * gamma + beta), v = clamp(x + residual), over the
 * channels of each position; var is the biased one. GATED_NORM: the same of v = sigmoid(g1) * x1 +
 * sigmoid(g2) * x2. The mean is subtracted before squaring. v waits in y. Test: tests/ops/test_norm.c.
 */
#include "engine/cpu/kernels/math_inline.h"
#include "engine/cpu/kernels/rows.h"

#include <math.h>

typedef struct norm {
    const sono_cpu_call *call;
    const float *gamma, *beta;
    sono_row_tasks tasks;
} norm;

/* y = clamp(x + residual); returns the sum. */
static float load_sum(float *restrict y, const float *restrict x, const float *restrict residual, float limit,
                      int32_t n_channels)
{
    float sum = 0;
    if (!residual) {
#pragma omp simd reduction(+ : sum)
        for (int32_t c = 0; c < n_channels; c++) {
            y[c] = sono_math_clamp(x[c], limit);
            sum += y[c];
        }
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int32_t c = 0; c < n_channels; c++) {
        y[c] = sono_math_clamp(x[c] + residual[c], limit);
        sum += y[c];
    }
    return sum;
}

static float gate_sum(float *restrict y, const float *restrict gates, const float *restrict x1,
                      const float *restrict x2, int32_t n_channels)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int32_t c = 0; c < n_channels; c++) {
        y[c] = sono_math_sigmoid(gates[c]) * x1[c] + sono_math_sigmoid(gates[n_channels + c]) * x2[c];
        sum += y[c];
    }
    return sum;
}

SONO_ALWAYS_INLINE void scale_row(float *restrict y, float mean, float inv_std, const float *restrict gamma,
                                  const float *restrict beta, int32_t n_channels, const sono_act act)
{
#pragma omp simd
    for (int32_t c = 0; c < n_channels; c++)
        y[c] = sono_math_act((y[c] - mean) * inv_std * gamma[c] + beta[c], act);
}

/* Normalises y, whose sum is known. */
static void normalise(const norm *p, float *restrict y, float sum, int32_t n_channels)
{
    const sono_norm_args *args = &p->call->op->args.norm;
    const float rough = sum / (float)n_channels;
    float squares = 0, deviations = 0;
#pragma omp simd reduction(+ : squares, deviations)
    for (int32_t c = 0; c < n_channels; c++) {
        const float deviation = y[c] - rough;
        deviations += deviation;
        squares += deviation * deviation;
    }
    const float correction = deviations / (float)n_channels, mean = rough + correction;
    const float inv_std = 1.0f / sqrtf(squares / (float)n_channels - correction * correction + args->eps);
    switch (args->act) {
#define LOOP(act)                                                                                            \
    case act:                                                                                                \
        scale_row(y, mean, inv_std, p->gamma, p->beta, n_channels, (act));                                   \
        break;
        LOOP(SONO_ACT_NONE)
        LOOP(SONO_ACT_RELU)
        LOOP(SONO_ACT_GELU)
        LOOP(SONO_ACT_SILU)
        LOOP(SONO_ACT_SIGMOID)
#undef LOOP
    }
}

static void layer_norm_task(void *context, int64_t task, int32_t thread)
{
    const norm *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *x = &p->call->in[0], *residual = &p->call->in[3], *y = &p->call->out[0];
    const float clamp = p->call->op->args.norm.clamp;
    (void)thread;
    for (int64_t i = range.first; i < range.last; i++) {
        float *row = sono_row_at(y, range.map, i);
        const float sum = load_sum(row, sono_row_at(x, range.map, i), sono_row_at(residual, range.map, i),
                                   clamp > 0 ? clamp : INFINITY, y->c);
        normalise(p, row, sum, y->c);
    }
}

static void gated_norm_task(void *context, int64_t task, int32_t thread)
{
    const norm *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *in = p->call->in, *y = &p->call->out[0];
    (void)thread;
    for (int64_t i = range.first; i < range.last; i++) {
        float *row = sono_row_at(y, range.map, i);
        const float sum = gate_sum(row, sono_row_at(&in[0], range.map, i), sono_row_at(&in[1], range.map, i),
                                   sono_row_at(&in[2], range.map, i), y->c);
        normalise(p, row, sum, y->c);
    }
}

void SONO_KERNEL(sono_cpu_layer_norm)(const sono_cpu_call *call)
{
    norm p = {call, call->in[1].data, call->in[2].data, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, layer_norm_task, &p, p.tasks.n_tasks);
}

void SONO_KERNEL(sono_cpu_gated_norm)(const sono_cpu_call *call)
{
    norm p = {call, call->in[3].data, call->in[4].data, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, gated_norm_task, &p, p.tasks.n_tasks);
}
