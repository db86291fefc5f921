// SPDX-License-Identifier: Apache-2.0
/* Whole frames on the CPU: a thread that takes them in order and leaves out what does not matter. */
#include "engine/cpu/cpu_private.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

/* Whether any frame of the slot has a detection that passed the gate. A frame's rows are ordered by score. */
static int found_any(sono_engine *cpu)
{
    const sono_tensor *t = &cpu->program->tensors[cpu->gate.detections];
    const sono_detection *rows = sono_cpu_data(cpu, cpu->gate.detections);
    for (int32_t n = 0; n < t->n; n++)
        if (rows[n * t->w].valid > 0.0f)
            return 1;
    return 0;
}

/* Ops [first, last) that a frame may leave out; first == last: there are none. */
typedef struct span {
    int32_t first, last;
    const sono_branch *branch; /* NULL = those of the gate */
} span;

/* The next such ops from op i on. */
static span next_span(const sono_engine *cpu, int32_t i)
{
    const int32_t n_ops = (int32_t)cpu->program->n_ops;
    span next = {n_ops, n_ops, NULL};
    if (cpu->gate.first_op < cpu->gate.last_op && cpu->gate.first_op >= i)
        next = (span){cpu->gate.first_op, cpu->gate.last_op, NULL};
    for (int32_t k = 0; k < cpu->n_branches; k++) {
        const sono_branch *branch = &cpu->branches[k];
        if (branch->first_op >= i && branch->first_op < next.first)
            next = (span){branch->first_op, branch->last_op, branch};
    }
    return next;
}

static int is_needed(sono_engine *cpu, const span *s)
{
    return s->branch ? *(const int32_t *)sono_cpu_data(cpu, s->branch->step) != 0 : found_any(cpu);
}

static void run_frame(sono_engine *cpu, int32_t slot, sono_frame_cost *cost)
{
    const int32_t n_ops = (int32_t)cpu->program->n_ops;
    cpu->slot = slot;
    memset(cost, 0, sizeof *cost);
    for (int32_t i = 0; i < n_ops;) {
        const span s = next_span(cpu, i);
        sono_cpu_run_ops(cpu, i, s.first, cost->stage_ns);
        if (s.first < s.last && is_needed(cpu, &s))
            sono_cpu_run_ops(cpu, s.first, s.last, cost->stage_ns);
        i = s.last;
    }
    cost->done_ns = sono_clock_ns();
}

/* Under the mutex: the slot whose frame is next; -1 = none is queued. */
static int32_t next_slot(const sono_cpu_worker *worker)
{
    for (int32_t i = 0; i < worker->n_frames; i++)
        if (worker->frames[i].state == SONO_CPU_FRAME_QUEUED && worker->frames[i].order == worker->n_run)
            return i;
    return -1;
}

static void *work(void *engine)
{
    sono_engine *cpu = engine;
    sono_cpu_worker *worker = &cpu->worker;
    pthread_mutex_lock(&worker->mutex);
    for (;;) {
        const int32_t slot = next_slot(worker);
        if (slot >= 0) {
            pthread_mutex_unlock(&worker->mutex);
            run_frame(cpu, slot, &worker->frames[slot].cost);
            pthread_mutex_lock(&worker->mutex);
            worker->frames[slot].state = SONO_CPU_FRAME_DONE;
            worker->n_run++;
            pthread_cond_broadcast(&worker->done);
        } else if (worker->is_stopped) {
            break;
        } else {
            pthread_cond_wait(&worker->queued, &worker->mutex);
        }
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* Every op, whatever the gate says. */
sono_status sono_cpu_prepare(sono_engine *cpu, sono_error *error)
{
    sono_cpu_worker *worker = &cpu->worker;
    cpu->slot = 0;
    sono_cpu_run_ops(cpu, 0, (int32_t)cpu->program->n_ops, NULL);
    worker->frames = sono_alloc_array((size_t)cpu->n_slots, sizeof *worker->frames);
    if (!worker->frames)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the frames of %d slots", cpu->n_slots);
    worker->n_frames = cpu->n_slots;
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->queued, NULL);
    pthread_cond_init(&worker->done, NULL);
    const int code = pthread_create(&worker->thread, NULL, work, cpu);
    worker->is_started = code == 0;
    if (code == 0)
        return SONO_STATUS_OK;
    pthread_cond_destroy(&worker->done);
    pthread_cond_destroy(&worker->queued);
    pthread_mutex_destroy(&worker->mutex);
    return SONO_FAIL_NATIVE(error, IO, code,
                            "cannot start the thread that runs frames: %s (see ulimit -v and -u)",
                            strerror(code));
}

sono_status sono_cpu_submit(sono_engine *cpu, int32_t slot, size_t input_bytes, size_t output_bytes,
                            sono_error *error)
{
    sono_cpu_worker *worker = &cpu->worker;
    (void)input_bytes;
    (void)output_bytes;
    (void)error;
    pthread_mutex_lock(&worker->mutex);
    worker->frames[slot].state = SONO_CPU_FRAME_QUEUED;
    worker->frames[slot].order = worker->n_queued++;
    pthread_cond_signal(&worker->queued);
    pthread_mutex_unlock(&worker->mutex);
    return SONO_STATUS_OK;
}

sono_status sono_cpu_wait(sono_engine *cpu, int32_t slot, sono_frame_cost *cost, sono_error *error)
{
    sono_cpu_worker *worker = &cpu->worker;
    (void)error;
    pthread_mutex_lock(&worker->mutex);
    while (worker->frames[slot].state != SONO_CPU_FRAME_DONE)
        pthread_cond_wait(&worker->done, &worker->mutex);
    *cost = worker->frames[slot].cost;
    pthread_mutex_unlock(&worker->mutex);
    return SONO_STATUS_OK;
}

void sono_cpu_worker_close(sono_cpu_worker *worker)
{
    if (worker->is_started) {
        pthread_mutex_lock(&worker->mutex);
        worker->is_stopped = 1;
        pthread_cond_signal(&worker->queued);
        pthread_mutex_unlock(&worker->mutex);
        pthread_join(worker->thread, NULL);
        pthread_cond_destroy(&worker->done);
        pthread_cond_destroy(&worker->queued);
        pthread_mutex_destroy(&worker->mutex);
    }
    sono_free(worker->frames);
    memset(worker, 0, sizeof *worker);
}
