// SPDX-License-Identifier: Apache-2.0
/*
 * MAX_POOL: the largest value of each kernel x kernel window, padding counts as 0. UPSAMPLE2: every position
 * four times. Both copy or compare whole rows of channels. Test: tests/ops/test_pool.c.
 */
#include "engine/cpu/kernels/rows.h"

#include <string.h>

typedef struct map_op {
    const sono_cpu_call *call;
    sono_row_tasks tasks;
} map_op;

/* y = max(y, x); NaN wins, as in torch. */
static void take_larger(float *restrict y, const float *restrict x, int32_t n_channels)
{
#pragma omp simd
    for (int32_t c = 0; c < n_channels; c++)
        y[c] = x[c] > y[c] || x[c] != x[c] ? x[c] : y[c];
}

static void take_padding(float *y, int32_t n_channels)
{
#pragma omp simd
    for (int32_t c = 0; c < n_channels; c++)
        y[c] = y[c] < 0.0f ? 0.0f : y[c];
}

static void pool_position(const sono_cpu_call *call, int64_t map, int32_t oy, int32_t ox)
{
    const sono_pool_args *args = &call->op->args.pool;
    const sono_cpu_tensor *x = &call->in[0], *y = &call->out[0];
    float *to = sono_row_at(y, map, (int64_t)oy * y->w + ox);
    const int32_t y0 = oy * args->stride, x0 = ox * args->stride;
    int padded = 0;
    memcpy(to, sono_row_at(x, map, (int64_t)y0 * x->w + x0), (size_t)y->c * sizeof(float));
    for (int32_t ky = 0; ky < args->kernel; ky++)
        for (int32_t kx = 0; kx < args->kernel; kx++) {
            if (y0 + ky >= x->h || x0 + kx >= x->w)
                padded = 1;
            else if (ky || kx)
                take_larger(to, sono_row_at(x, map, (int64_t)(y0 + ky) * x->w + x0 + kx), y->c);
        }
    if (padded)
        take_padding(to, y->c);
}

static void max_pool_task(void *context, int64_t task, int32_t thread)
{
    const map_op *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const int32_t width = p->call->out[0].w;
    (void)thread;
    for (int64_t i = range.first; i < range.last; i++)
        pool_position(p->call, range.map, (int32_t)(i / width), (int32_t)(i % width));
}

static void upsample2_task(void *context, int64_t task, int32_t thread)
{
    const map_op *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *x = &p->call->in[0], *y = &p->call->out[0];
    (void)thread;
    for (int64_t i = range.first; i < range.last; i++) {
        const int64_t oy = i / y->w, ox = i % y->w;
        memcpy(sono_row_at(y, range.map, i), sono_row_at(x, range.map, oy / 2 * x->w + ox / 2),
               (size_t)y->c * sizeof(float));
    }
}

void SONO_KERNEL(sono_cpu_max_pool)(const sono_cpu_call *call)
{
    map_op p = {call, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, max_pool_task, &p, p.tasks.n_tasks);
}

void SONO_KERNEL(sono_cpu_upsample2)(const sono_cpu_call *call)
{
    map_op p = {call, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, upsample2_task, &p, p.tasks.n_tasks);
}
