// SPDX-License-Identifier: Apache-2.0
/*
 * CONV and LINEAR: y [positions, N] = A [positions, K] x weight [K, N], then the epilogue.
 * K = kernel_h * kernel_w * c_in in the order of the weight [kh, kw, c_in, c_out]. LINEAR reads A where it
 * is; CONV gathers it: per position and kernel row one run of kernel_w * c_in values (they are neighbours in
 * memory). A task is a block of positions small enough that its part of A and y stay in the second-level
 * cache between gathering, the product (OpenBLAS, on the task's own thread) and the epilogue. Numbers:
 * float32 sums in OpenBLAS's order. Test: tests/ops/test_conv.c.
 */
#include "engine/cpu/blas.h"
#include "engine/cpu/kernels/rows.h"

#include <string.h>

#define BLOCK_BYTES    (1 << 20) /* of A and y in one task: half of a usual second-level cache */
#define BLOCK_ROWS_MIN 256       /* with fewer, packing the weight of a deep product costs 10 % and more */
#define BLOCK_ROWS_MAX 1024
#define SHARE_ROWS_MIN 128       /* how small blocks become to give every thread some */
#define SMALL_FLOPS    (1 << 20) /* a task below this is not worth a thread's wake-up */

typedef struct conv {
    const sono_cpu_call *call;
    sono_cpu_tensor x, weight, bias, residual, y;
    int32_t depth; /* K */
    int gathers;
    sono_row_tasks tasks;
} conv;

static int maps_touch(const sono_cpu_tensor *t)
{
    return t->n <= 1 || t->batch_stride == sono_rows_of(t) * t->pitch;
}

static void merge_maps(sono_cpu_tensor *t)
{
    t->w *= t->h * t->n;
    t->h = t->n = 1;
}

static int64_t clamped(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t divided_up(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit;
}

/* Blocks that fit the cache; when those are few, smaller ones, as many as give each thread its share. */
static int64_t rows_per_task(const conv *p, int64_t n_rows, int32_t n_threads)
{
    const int64_t row_bytes = (int64_t)sizeof(float) * (p->depth + p->y.c);
    const int64_t row_flops = 2 * (int64_t)p->depth * p->y.c, n_all = n_rows * p->y.n;
    int64_t n_tasks = divided_up(n_all, clamped(BLOCK_BYTES / row_bytes, BLOCK_ROWS_MIN, BLOCK_ROWS_MAX));
    if (n_tasks < 4 * n_threads)
        n_tasks = clamped(divided_up(n_all, SHARE_ROWS_MIN), n_tasks, 4 * n_threads);
    n_tasks = divided_up(n_tasks, n_threads) * n_threads;
    const int64_t least = clamped(SMALL_FLOPS / row_flops, 1, BLOCK_ROWS_MAX);
    return divided_up(clamped(divided_up(n_all, n_tasks), least, BLOCK_ROWS_MAX), 16) * 16;
}

static conv make_conv(const sono_cpu_call *call)
{
    conv p = {.call = call,
              .x = call->in[0],
              .weight = call->in[1],
              .bias = call->in[2],
              .residual = call->in[3],
              .y = call->out[0]};
    p.depth = p.weight.n * p.weight.h * p.weight.w;
    p.gathers = call->op->kind == SONO_OP_CONV;
    if (!p.gathers && maps_touch(&p.x) && maps_touch(&p.y) && maps_touch(&p.residual)) {
        merge_maps(&p.x);
        merge_maps(&p.y);
        merge_maps(&p.residual);
    }
    const int64_t n_rows = sono_rows_of(&p.y);
    p.tasks = sono_row_tasks_make(p.y.n, n_rows, rows_per_task(&p, n_rows, sono_pool_n_threads(call->pool)));
    return p;
}

size_t SONO_KERNEL(sono_cpu_conv_scratch)(const sono_cpu_call *call)
{
    const conv p = make_conv(call);
    return p.gathers ? (size_t)p.tasks.rows_per_task * (size_t)p.depth * sizeof(float) : 0;
}

static inline void copy_run(float *restrict to, const float *restrict from, int64_t count)
{
    if (count >= 32) {
        memcpy(to, from, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i];
}

static inline void zero_run(float *to, int64_t count)
{
    memset(to, 0, (size_t)count * sizeof(float));
}

/* One kernel row at input row `row`, columns from x0: c_in values for each of its taps, 0 outside of the map.
 */
static void gather_taps(const sono_cpu_tensor *x, const float *row, int32_t x0, int32_t kernel_w, float *to)
{
    for (int32_t kx = 0; kx < kernel_w; kx++, to += x->c) {
        const int32_t ix = x0 + kx;
        if (ix < 0 || ix >= x->w)
            zero_run(to, x->c);
        else
            copy_run(to, row + ix * x->pitch, x->c);
    }
}

/* Rows [first, last) of A for map n. */
static void gather(const conv *p, const sono_row_range *range, float *a)
{
    const sono_conv_args *args = &p->call->op->args.conv;
    const sono_cpu_tensor *x = &p->x;
    const int64_t run = (int64_t)args->kernel_w * x->c;
    int32_t oy = (int32_t)(range->first / p->y.w), ox = (int32_t)(range->first % p->y.w);
    for (int64_t i = range->first; i < range->last; i++) {
        const int32_t y0 = oy * args->stride - args->pad_top, x0 = ox * args->stride - args->pad_left;
        const int whole = x->pitch == x->c && x0 >= 0 && x0 + args->kernel_w <= x->w;
        for (int32_t ky = 0; ky < args->kernel_h; ky++, a += run) {
            const int32_t iy = y0 + ky;
            if (iy < 0 || iy >= x->h) {
                zero_run(a, run);
                continue;
            }
            const float *row = sono_row_at(x, range->map, (int64_t)iy * x->w);
            if (whole)
                copy_run(a, row + x0 * x->pitch, run);
            else
                gather_taps(x, row, x0, args->kernel_w, a);
        }
        if (++ox == p->y.w) {
            ox = 0;
            oy++;
        }
    }
}

static void conv_task(void *context, int64_t task, int32_t thread)
{
    const conv *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    const int64_t n_rows = range.last - range.first;
    const float *a = sono_row_at(&p->x, range.map, range.first);
    int64_t a_pitch = p->x.pitch;
    if (p->gathers) {
        float *gathered = (float *)(void *)(p->call->scratch + (size_t)thread * p->call->scratch_bytes);
        gather(p, &range, gathered);
        a = gathered;
        a_pitch = p->depth;
    }
    float *y = sono_row_at(&p->y, range.map, range.first);
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n_rows, p->y.c, p->depth, 1.0f, a,
               (blasint)a_pitch, p->weight.data, (blasint)p->weight.pitch, 0.0f, y, (blasint)p->y.pitch);
    const sono_finish_rows rows = {.y = y,
                                   .y_pitch = p->y.pitch,
                                   .bias = p->bias.data,
                                   .residual = sono_row_at(&p->residual, range.map, range.first),
                                   .residual_pitch = p->residual.pitch,
                                   .n_rows = n_rows,
                                   .c = p->y.c};
    SONO_KERNEL(sono_cpu_finish)(&p->call->op->args.conv.epilogue, &rows);
}

void SONO_KERNEL(sono_cpu_conv)(const sono_cpu_call *call)
{
    conv p = make_conv(call);
    sono_pool_run(call->pool, conv_task, &p, p.tasks.n_tasks);
}
