// SPDX-License-Identifier: Apache-2.0
/*
 * ADD: a + b, b with the channels of a or one channel for all of them. SCALE_ROWS: x times one value a
 * position. UNARY: inverse sigmoid, GELU. Rows that lie back to back are treated as one long row. Test:
 * tests/ops/test_elementwise.c.
 */
#include "engine/cpu/kernels/math_inline.h"
#include "engine/cpu/kernels/rows.h"

#include <math.h>

typedef struct elementwise {
    const sono_cpu_call *call;
    sono_row_tasks tasks;
} elementwise;

static int is_packed(const sono_cpu_tensor *t)
{
    return t->pitch == t->c;
}

static void add_row(float *restrict y, const float *restrict a, const float *restrict b, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

static void add_value(float *restrict y, const float *restrict a, float b, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = a[i] + b;
}

static void scale_row(float *restrict y, const float *restrict x, float scale, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] * scale;
}

static void gelu_row(float *restrict y, const float *restrict x, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = sono_math_gelu(x[i]);
}

/* A few hundred elements a frame: libm's logarithm. */
static void inverse_sigmoid_row(float *restrict y, const float *restrict x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float low = x[i] < 0.0f ? 0.0f : x[i];
        const float p = low > 1.0f ? 1.0f : low;
        const float odds = p < 1e-5f ? 1e-5f : p, against = 1.0f - p;
        y[i] = logf(odds / (against < 1e-5f ? 1e-5f : against));
    }
}

static void add_task(void *context, int64_t task, int32_t thread)
{
    const elementwise *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *a = &p->call->in[0], *b = &p->call->in[1], *y = &p->call->out[0];
    (void)thread;
    if (is_packed(a) && is_packed(b) && is_packed(y) && b->c == y->c) {
        add_row(sono_row_at(y, range.map, range.first), sono_row_at(a, range.map, range.first),
                sono_row_at(b, range.map, range.first), (range.last - range.first) * y->c);
        return;
    }
    for (int64_t i = range.first; i < range.last; i++) {
        float *to = sono_row_at(y, range.map, i);
        const float *left = sono_row_at(a, range.map, i), *right = sono_row_at(b, range.map, i);
        if (b->c == y->c)
            add_row(to, left, right, y->c);
        else
            add_value(to, left, right[0], y->c);
    }
}

static void scale_rows_task(void *context, int64_t task, int32_t thread)
{
    const elementwise *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *x = &p->call->in[0], *scale = &p->call->in[1], *y = &p->call->out[0];
    (void)thread;
    for (int64_t i = range.first; i < range.last; i++)
        scale_row(sono_row_at(y, range.map, i), sono_row_at(x, range.map, i), sono_row_at(scale, 0, i)[0],
                  y->c);
}

static void unary_task(void *context, int64_t task, int32_t thread)
{
    const elementwise *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const sono_cpu_tensor *x = &p->call->in[0], *y = &p->call->out[0];
    const int packed = is_packed(x) && is_packed(y);
    const int64_t step = packed ? range.last - range.first : 1;
    (void)thread;
    for (int64_t i = range.first; i < range.last; i += step) {
        float *to = sono_row_at(y, range.map, i);
        const float *from = sono_row_at(x, range.map, i);
        if (p->call->op->args.unary.fn == SONO_UNARY_GELU)
            gelu_row(to, from, step * y->c);
        else
            inverse_sigmoid_row(to, from, step * y->c);
    }
}

void SONO_KERNEL(sono_cpu_add)(const sono_cpu_call *call)
{
    elementwise p = {call, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, add_task, &p, p.tasks.n_tasks);
}

void SONO_KERNEL(sono_cpu_scale_rows)(const sono_cpu_call *call)
{
    elementwise p = {call, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, scale_rows_task, &p, p.tasks.n_tasks);
}

void SONO_KERNEL(sono_cpu_unary)(const sono_cpu_call *call)
{
    elementwise p = {call, sono_row_tasks_light(&call->out[0])};
    sono_pool_run(call->pool, unary_task, &p, p.tasks.n_tasks);
}
