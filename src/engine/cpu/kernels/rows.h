// SPDX-License-Identifier: Apache-2.0
/* Rows (the channels of one position) of tensors, and how kernels cut them into tasks. */
#ifndef SONO_ENGINE_CPU_KERNELS_ROWS_H
#define SONO_ENGINE_CPU_KERNELS_ROWS_H

#include "engine/cpu/kernels/kernels.h"

static inline int64_t sono_rows_of(const sono_cpu_tensor *tensor)
{
    return (int64_t)tensor->h * tensor->w;
}

/* Channels of position i of map n, NULL for a tensor that is not given. */
static inline float *sono_row_at(const sono_cpu_tensor *tensor, int64_t n, int64_t i)
{
    return tensor->data ? (float *)tensor->data + n * tensor->batch_stride + i * tensor->pitch : NULL;
}

/* n_maps * n_rows rows, cut inside each map; a task is rows [first, last) of one map. */
typedef struct sono_row_tasks {
    int64_t n_rows, rows_per_task, tasks_per_map, n_tasks;
} sono_row_tasks;

typedef struct sono_row_range {
    int64_t map, first, last;
} sono_row_range;

static inline sono_row_tasks sono_row_tasks_make(int64_t n_maps, int64_t n_rows, int64_t rows_per_task)
{
    sono_row_tasks tasks = {.n_rows = n_rows};
    tasks.rows_per_task = rows_per_task < 1 ? 1 : rows_per_task > n_rows ? n_rows : rows_per_task;
    tasks.tasks_per_map = (n_rows + tasks.rows_per_task - 1) / tasks.rows_per_task;
    tasks.n_tasks = n_maps * tasks.tasks_per_map;
    return tasks;
}

static inline sono_row_range sono_row_tasks_get(const sono_row_tasks *tasks, int64_t task)
{
    sono_row_range range = {.map = task / tasks->tasks_per_map};
    range.first = task % tasks->tasks_per_map * tasks->rows_per_task;
    range.last = range.first + tasks->rows_per_task;
    if (range.last > tasks->n_rows)
        range.last = tasks->n_rows;
    return range;
}

/* For work of a few operations an element: about 16 K elements a task. */
static inline sono_row_tasks sono_row_tasks_light(const sono_cpu_tensor *y)
{
    return sono_row_tasks_make(y->n, sono_rows_of(y), 16384 / y->c);
}

/* What a product does to rows it has just made: see sono_epilogue in program.h. */
typedef struct sono_finish_rows {
    float *y;
    int64_t y_pitch;
    const float *bias;     /* c, or NULL */
    const float *residual; /* n_rows x c, or NULL */
    int64_t residual_pitch;
    int64_t n_rows;
    int32_t c;
} sono_finish_rows;

void SONO_KERNEL(sono_cpu_finish)(const sono_epilogue *epilogue, const sono_finish_rows *rows);

#endif
