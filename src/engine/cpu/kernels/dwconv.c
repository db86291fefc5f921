// SPDX-License-Identifier: Apache-2.0
/*
 * DWCONV: y[p][c] = sum over taps of weight[tap][c] * x[p * stride + tap][c], then the epilogue. The vector
 * runs over the channels. Where the whole kernel lies inside the map a few neighbouring outputs are made at
 * once, so that their common inputs and the weights are loaded once; at the border the taps inside are added
 * one by one. Sizes 3 and 5 with stride 1 and 2 have loops of their own. Test: tests/ops/test_dwconv.c.
 */
#include "engine/cpu/kernels/math_inline.h"
#include "engine/cpu/kernels/rows.h"

#include <string.h>

/* The loops inside of a vector loop must be gone before it is one. With a sanitizer's checks in them that
 * takes clang a minute, and no vector loop comes of it. */
#if defined(SONO_SANITIZED)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define SEGMENT 16 /* positions between two epilogues: they stay in the first-level cache */

typedef struct dwconv {
    const sono_cpu_call *call;
    const sono_cpu_tensor *x, *weight, *bias, *residual, *y;
    const sono_conv_args *args;
    sono_row_tasks tasks; /* rows here are lines of the map */
} dwconv;

/* n_out outputs side by side, whose top left tap is at x; k, stride and n_out are constants where it is
 * called. */
SONO_ALWAYS_INLINE void inside(const float *restrict x, int64_t pitch, int64_t line,
                               const float *restrict weight, int64_t weight_pitch, float *restrict y,
                               int64_t y_pitch, int32_t n_channels, const int k, const int stride,
                               const int n_out)
{
#pragma omp simd
    for (int32_t c = 0; c < n_channels; c++) {
        float sum[4] = {0, 0, 0, 0};
        UNROLL
        for (int ky = 0; ky < k; ky++) {
            UNROLL
            for (int kx = 0; kx < k; kx++) {
                const float w = weight[(ky * k + kx) * weight_pitch + c];
                UNROLL
                for (int o = 0; o < n_out; o++)
                    sum[o] += w * x[ky * line + (kx + o * stride) * pitch + c];
            }
        }
        UNROLL
        for (int o = 0; o < n_out; o++)
            y[o * y_pitch + c] = sum[o];
    }
}

/* count outputs in line oy from column ox, all of whose taps lie inside. Returns 0 when there is no loop for
 * it. */
static int run_inside(const dwconv *p, int64_t map, int32_t oy, int32_t ox, int32_t count)
{
    const sono_conv_args *args = p->args;
    const sono_cpu_tensor *x = p->x, *y = p->y;
    const int64_t line = x->w * x->pitch, step = args->stride * x->pitch;
    const int64_t at =
        (int64_t)(oy * args->stride - args->pad_top) * x->w + ox * args->stride - args->pad_left;
    const float *from = sono_row_at(x, map, at), *weight = p->weight->data;
    float *to = sono_row_at(y, map, (int64_t)oy * y->w + ox);
    int32_t i = 0;
#define LOOP(k, stride)                                                                                      \
    case (k)*4 + (stride):                                                                                   \
        for (; i + 4 <= count; i += 4)                                                                       \
            inside(from + i * step, x->pitch, line, weight, p->weight->pitch, to + i * y->pitch, y->pitch,   \
                   y->c, (k), (stride), 4);                                                                  \
        for (; i < count; i++)                                                                               \
            inside(from + i * step, x->pitch, line, weight, p->weight->pitch, to + i * y->pitch, y->pitch,   \
                   y->c, (k), (stride), 1);                                                                  \
        return 1;
    if (args->kernel_h != args->kernel_w || args->stride > 2)
        return 0;
    switch (args->kernel_h * 4 + args->stride) {
        LOOP(3, 1)
        LOOP(3, 2)
        LOOP(5, 1)
        LOOP(5, 2)
    }
#undef LOOP
    return 0;
}

static void add_tap(float *restrict y, const float *restrict x, const float *restrict weight,
                    int32_t n_channels)
{
#pragma omp simd
    for (int32_t c = 0; c < n_channels; c++)
        y[c] += weight[c] * x[c];
}

/* One output, any kernel, any position. */
static void run_anywhere(const dwconv *p, int64_t map, int32_t oy, int32_t ox)
{
    const sono_conv_args *args = p->args;
    const sono_cpu_tensor *x = p->x;
    float *y = sono_row_at(p->y, map, (int64_t)oy * p->y->w + ox);
    memset(y, 0, (size_t)p->y->c * sizeof(float));
    for (int32_t ky = 0; ky < args->kernel_h; ky++) {
        const int32_t iy = oy * args->stride - args->pad_top + ky;
        if (iy < 0 || iy >= x->h)
            continue;
        for (int32_t kx = 0; kx < args->kernel_w; kx++) {
            const int32_t ix = ox * args->stride - args->pad_left + kx;
            if (ix >= 0 && ix < x->w)
                add_tap(y, sono_row_at(x, map, (int64_t)iy * x->w + ix),
                        sono_row_at(p->weight, 0, ky * args->kernel_w + kx), p->y->c);
        }
    }
}

/* First output column (or line) whose taps are all >= 0, and the first behind it where one is not inside any
 * more. */
static void whole_range(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t pad, int32_t *first,
                        int32_t *last)
{
    *first = (pad + stride - 1) / stride;
    const int32_t room = in + pad - kernel;
    *last = room < 0 ? 0 : room / stride + 1;
    if (*last > out)
        *last = out;
}

/* Columns [first, last) of line oy. */
static void run_columns(const dwconv *p, int64_t map, int32_t oy, int32_t first, int32_t last)
{
    const sono_conv_args *args = p->args;
    int32_t whole_y[2], whole_x[2];
    whole_range(p->x->h, p->y->h, args->kernel_h, args->stride, args->pad_top, &whole_y[0], &whole_y[1]);
    whole_range(p->x->w, p->y->w, args->kernel_w, args->stride, args->pad_left, &whole_x[0], &whole_x[1]);
    int32_t ox = first;
    if (oy >= whole_y[0] && oy < whole_y[1]) {
        for (; ox < last && ox < whole_x[0]; ox++)
            run_anywhere(p, map, oy, ox);
        const int32_t end = last < whole_x[1] ? last : whole_x[1];
        if (ox < end && run_inside(p, map, oy, ox, end - ox))
            ox = end;
    }
    for (; ox < last; ox++)
        run_anywhere(p, map, oy, ox);
}

static void dwconv_task(void *context, int64_t task, int32_t thread)
{
    const dwconv *p = context;
    const sono_row_range range = sono_row_tasks_get(&p->tasks, task);
    (void)thread;
    for (int32_t oy = (int32_t)range.first; oy < range.last; oy++) {
        for (int32_t ox = 0; ox < p->y->w; ox += SEGMENT) {
            const int32_t end = ox + SEGMENT < p->y->w ? ox + SEGMENT : p->y->w;
            const int64_t at = (int64_t)oy * p->y->w + ox;
            run_columns(p, range.map, oy, ox, end);
            const sono_finish_rows rows = {.y = sono_row_at(p->y, range.map, at),
                                           .y_pitch = p->y->pitch,
                                           .bias = p->bias->data,
                                           .residual = sono_row_at(p->residual, range.map, at),
                                           .residual_pitch = p->residual->pitch,
                                           .n_rows = end - ox,
                                           .c = p->y->c};
            SONO_KERNEL(sono_cpu_finish)(&p->args->epilogue, &rows);
        }
    }
}

void SONO_KERNEL(sono_cpu_dwconv)(const sono_cpu_call *call)
{
    const sono_cpu_tensor *y = &call->out[0];
    dwconv p = {.call = call,
                .x = &call->in[0],
                .weight = &call->in[1],
                .bias = &call->in[2],
                .residual = &call->in[3],
                .y = y,
                .args = &call->op->args.conv,
                .tasks = sono_row_tasks_make(y->n, y->h, 65536 / ((int64_t)y->w * y->c))};
    sono_pool_run(call->pool, dwconv_task, &p, p.tasks.n_tasks);
}
