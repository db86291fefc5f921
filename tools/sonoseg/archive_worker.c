// SPDX-License-Identifier: Apache-2.0
#include "archive_private.h"

/* Without the mutex. */
static int write_pictures(const archive *out, job *at)
{
    return !sono_sink_draw(out->sink, at->entry, at->packet, at->wants_overlay ? &at->shot->image : NULL,
                           at->shot->name, &at->error);
}

static void write_one(archive_flow *flow, int64_t number)
{
    job *at = archive_job(flow, number);
    pthread_mutex_unlock(&flow->mutex);
    const double from_s = now_s();
    const int is_written = write_pictures(flow->out, at);
    const double took_s = now_s() - from_s;
    pthread_mutex_lock(&flow->mutex);
    flow->writing_s += took_s;
    if (is_written)
        at->state = JOB_WRITTEN;
    else
        archive_break(flow, at);
}

static void read_one(archive_flow *flow, reel_unit *unit)
{
    pthread_mutex_unlock(&flow->mutex);
    const double from_s = now_s();
    reel_read(&flow->out->reel, unit);
    const double took_s = now_s() - from_s;
    pthread_mutex_lock(&flow->mutex);
    flow->reading_s += took_s;
    reel_settle(&flow->out->reel, unit);
}

/* Who finds work wakes the next, who may find more. */
void *archive_worker(void *user)
{
    archive_flow *flow = user;
    pthread_mutex_lock(&flow->mutex);
    while (!flow->is_done) {
        const int64_t number = job_queue_take(&flow->to_write);
        reel_unit *unit = number < 0 && !flow->is_stopping ? reel_claim(&flow->out->reel) : NULL;
        if (number < 0 && !unit) {
            /* The inputs may have turned out to be at their end. */
            pthread_cond_broadcast(&flow->for_drivers);
            if (!archive_end(flow))
                pthread_cond_wait(&flow->for_workers, &flow->mutex);
            continue;
        }
        pthread_cond_signal(&flow->for_workers);
        if (unit)
            read_one(flow, unit);
        else
            write_one(flow, number);
        archive_advance(flow);
    }
    pthread_mutex_unlock(&flow->mutex);
    return NULL;
}
