// SPDX-License-Identifier: Apache-2.0
/* A thread for each pipeline: batches of ready frames in, packets out, copied so that their slot is free. */
#include "archive_private.h"

#include "args.h"

#include <stdlib.h>
#include <string.h>

/* Batches in flight: with single frames one, so that a frame's latency holds no waiting for another. */
static int32_t most_batches(const archive *out)
{
    return out->batch > 1 ? 2 : 1;
}

/* Under the mutex: the next batch; 0 = there is none yet. Less than a full one where no more can come. */
static int32_t take_batch(driver *self)
{
    archive_flow *flow = self->flow;
    const int32_t batch = flow->out->batch, n_ready = flow->ready.count;
    if (self->n_batches >= most_batches(flow->out) || !n_ready ||
        (n_ready < batch && archive_expects_more(flow)))
        return 0;
    const int32_t n = n_ready < batch ? n_ready : batch;
    for (int32_t i = 0; i < n; i++) {
        self->taken[i] = job_queue_take(&flow->ready);
        archive_job(flow, self->taken[i])->state = JOB_FLYING;
    }
    flow->n_flying += n;
    return n;
}

static sono_status submit_one(const driver *self, job *at)
{
    const archive *out = self->flow->out;
    const shot *from = at->shot;
    return out->prompts ? sono_pipeline_submit_prompts(self->which->pipeline, &from->image, &from->info,
                                                       out->prompts, out->n_prompts, &at->error)
                        : sono_pipeline_submit(self->which->pipeline, &from->image, &from->info, &at->error);
}

/* Without the mutex. Those that cannot be submitted stay in taken[0..return value), their errors in their
 * jobs. *is_lost: the pipeline failed, and what of this batch was taken is not in flight. */
static int32_t submit_batch(driver *self, int32_t n, int *is_lost)
{
    int32_t n_refused = 0, n_in = 0;
    sono_status status = SONO_STATUS_OK;
    for (int32_t i = 0; i < n; i++) {
        const int64_t number = self->taken[i];
        if (!status)
            status = submit_one(self, archive_job(self->flow, number));
        if (!status)
            self->flying[self->n_flying + n_in++] = number;
        else
            self->taken[n_refused++] = number;
        if (status != SONO_STATUS_DEVICE && status != SONO_STATUS_STATE)
            status = SONO_STATUS_OK;
    }
    sono_error error = {0};
    if (!status && n_in)
        status = sono_pipeline_flush(self->which->pipeline, &error);
    if (status && n_refused)
        error = archive_job(self->flow, self->taken[n_refused - 1])->error;
    *is_lost = status != SONO_STATUS_OK;
    if (status) {
        for (int32_t i = 0; i < n_in; i++) {
            self->taken[n_refused] = self->flying[self->n_flying + i];
            archive_job(self->flow, self->taken[n_refused++])->error = error;
        }
        return n_refused;
    }
    self->n_flying += n_in;
    if (n_in)
        self->batch_sizes[self->n_batches++] = n_in;
    return n_refused;
}

static int compare_numbers(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The last pipeline failed: the first of the frames that wait cannot be done, and the run ends with it. */
static void end_without(archive_flow *flow, const sono_error *why)
{
    int64_t first = -1;
    for (int32_t i = 0; i < flow->ready.count; i++) {
        const int64_t number = flow->ready.numbers[(flow->ready.first + i) % flow->ready.capacity];
        first = first < 0 || number < first ? number : first;
    }
    archive_stop(flow, 1);
    if (first < 0)
        return;
    archive_job(flow, first)->error = *why;
    archive_break(flow, archive_job(flow, first));
}

/* Under the mutex: the pipeline failed. Its frames, those in flight and lost[n_lost], wait again. */
static int32_t put_back(driver *self, const int64_t *lost, int32_t n_lost)
{
    archive_flow *flow = self->flow;
    const int32_t n_again = self->n_flying + n_lost;
    memcpy(self->again, self->flying, (size_t)self->n_flying * sizeof *self->again);
    if (n_lost)
        memcpy(self->again + self->n_flying, lost, (size_t)n_lost * sizeof *self->again);
    qsort(self->again, (size_t)n_again, sizeof *self->again, compare_numbers);
    for (int32_t i = n_again - 1; i >= 0; i--) {
        archive_job(flow, self->again[i])->state = JOB_READ;
        job_queue_add_first(&flow->ready, self->again[i]);
    }
    flow->n_flying -= n_again;
    self->n_flying = self->n_batches = 0;
    return n_again;
}

static void leave_out(driver *self, const int64_t *lost, int32_t n_lost, const sono_error *why)
{
    archive_flow *flow = self->flow;
    const int32_t n_again = put_back(self, lost, n_lost);
    self->which->has_failed = 1;
    const int has_others = --flow->n_alive > 0;
    if (!has_others)
        end_without(flow, why);
    else if (flow->is_stopping)
        archive_stop(flow, 0); /* what waits again is dropped, too */
    pthread_cond_broadcast(&flow->for_drivers);
    if (!has_others)
        return;
    pthread_mutex_unlock(&flow->mutex);
    pthread_mutex_lock(&flow->print);
    progress_clear(&flow->bar);
    report_warning("%s failed and is left out; the others do %d frame%s again: %s", self->which->device,
                   n_again, n_again == 1 ? "" : "s", why->text);
    if (flow->out->on_left_out)
        flow->out->on_left_out(flow->out->user, self->which, n_again);
    pthread_mutex_unlock(&flow->print);
    pthread_mutex_lock(&flow->mutex);
}

/* Without the mutex: the oldest batch's packets. Returns how many there are; less than its size: the rest was
 * lost, and why. */
static int32_t receive_batch(driver *self, sono_error *why)
{
    for (int32_t i = 0; i < self->batch_sizes[0]; i++)
        if (sono_pipeline_receive(self->which->pipeline, &self->packets[i], why))
            return i;
    return self->batch_sizes[0];
}

/* Without the mutex. */
static void copy_packets(driver *self, const int64_t *numbers, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        job *at = archive_job(self->flow, numbers[i]);
        at->error.status = SONO_STATUS_OK;
        if (sono_packet_copy(self->packets[i], &at->packet, &at->error))
            at->error.status = SONO_STATUS_OUT_OF_MEMORY;
        sono_packet_release(self->which->pipeline, self->packets[i]);
    }
}

static void forget_batch(driver *self, int32_t n)
{
    self->n_flying -= n;
    memmove(self->flying, self->flying + n, (size_t)self->n_flying * sizeof *self->flying);
    self->n_batches--;
    memmove(self->batch_sizes, self->batch_sizes + 1, (size_t)self->n_batches * sizeof *self->batch_sizes);
}

/* Under the mutex. */
static void hand_on(driver *self, const int64_t *numbers, int32_t n)
{
    archive_flow *flow = self->flow;
    for (int32_t i = 0; i < n; i++) {
        job *at = archive_job(flow, numbers[i]);
        if (at->error.status)
            archive_break(flow, at);
        else
            at->state = JOB_COMPUTED;
    }
    self->which->n_frames += n;
    flow->n_flying -= n;
    pthread_cond_broadcast(&flow->for_drivers);
}

/* Under the mutex: submits a batch, if there is one. */
static void submit(driver *self)
{
    archive_flow *flow = self->flow;
    int is_lost = 0;
    const int32_t n = take_batch(self);
    if (!n)
        return;
    pthread_mutex_unlock(&flow->mutex);
    if (!self->n_batches)
        self->busy_from_s = now_s();
    const int32_t n_refused = submit_batch(self, n, &is_lost);
    pthread_mutex_lock(&flow->mutex);
    if (is_lost) {
        const sono_error why = archive_job(flow, self->taken[n_refused - 1])->error;
        leave_out(self, self->taken, n_refused, &why);
        return;
    }
    for (int32_t i = 0; i < n_refused; i++)
        archive_job(flow, self->taken[i])->state = JOB_FAILED;
    flow->n_flying -= n_refused;
    if (n_refused)
        archive_advance(flow);
}

/* Under the mutex: takes the oldest batch. The next one is submitted before it is copied. */
static void receive(driver *self)
{
    archive_flow *flow = self->flow;
    sono_error why = {0};
    const int32_t size = self->batch_sizes[0];
    pthread_mutex_unlock(&flow->mutex);
    const int32_t n = receive_batch(self, &why);
    if (self->n_batches == 1)
        self->busy_s += now_s() - self->busy_from_s;
    int64_t numbers[32];
    memcpy(numbers, self->flying, (size_t)n * sizeof *numbers);
    pthread_mutex_lock(&flow->mutex);
    if (n < size) {
        memmove(self->flying, self->flying + n, (size_t)(self->n_flying - n) * sizeof *self->flying);
        self->n_flying -= n;
        leave_out(self, NULL, 0, &why);
    } else {
        forget_batch(self, n);
        submit(self);
    }
    pthread_mutex_unlock(&flow->mutex);
    copy_packets(self, numbers, n);
    pthread_mutex_lock(&flow->mutex);
    hand_on(self, numbers, n);
    archive_advance(flow);
}

void *archive_driver(void *user)
{
    driver *self = user;
    archive_flow *flow = self->flow;
    pthread_mutex_lock(&flow->mutex);
    while (!self->which->has_failed) {
        submit(self);
        if (self->which->has_failed)
            break;
        if (self->n_batches)
            receive(self);
        else if (flow->is_done)
            break;
        else if (!flow->ready.count || archive_expects_more(flow))
            pthread_cond_wait(&flow->for_drivers, &flow->mutex);
    }
    archive_advance(flow);
    pthread_mutex_unlock(&flow->mutex);
    return NULL;
}
