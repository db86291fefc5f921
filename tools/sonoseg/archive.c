// SPDX-License-Identifier: Apache-2.0
#include "archive_private.h"

#include "args.h"
#include "commands.h"
#include "stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_NS        100000000 /* how often the main thread looks at the terminal and for a wish to stop */
#define NS_PER_S       1000000000
#define BATCHES_QUEUED 5 /* of each pipeline: computed, submitted, copied, and two to come */

job *archive_job(archive_flow *flow, int64_t number)
{
    return &flow->jobs[number % flow->window];
}

void job_queue_add(job_queue *queue, int64_t number)
{
    queue->numbers[(queue->first + queue->count++) % queue->capacity] = number;
}

void job_queue_add_first(job_queue *queue, int64_t number)
{
    queue->first = (queue->first + queue->capacity - 1) % queue->capacity;
    queue->count++;
    queue->numbers[queue->first] = number;
}

int64_t job_queue_take(job_queue *queue)
{
    if (!queue->count)
        return -1;
    const int64_t number = queue->numbers[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return number;
}

/* ---- numbers ---- */

static void give_number(archive_flow *flow)
{
    job *next = archive_job(flow, flow->n_given);
    next->error = next->shot->error;
    next->wants_overlay = next->is_breaking = 0;
    next->state = next->shot->status                   ? JOB_FAILED
                  : next->shot->want == REEL_DONE      ? JOB_KEPT
                  : next->shot->want == REEL_ELSEWHERE ? JOB_ELSEWHERE
                                                       : JOB_READ;
    next->shot->info.frame_id = (uint64_t)flow->n_given;
    if (next->state == JOB_READ)
        job_queue_add(&flow->ready, flow->n_given);
    flow->n_given++;
}

static void give_numbers(archive_flow *flow)
{
    int n = 0;
    while (!flow->is_stopping && flow->n_given - flow->n_committed < flow->window &&
           reel_take(&flow->out->reel, &archive_job(flow, flow->n_given)->shot)) {
        give_number(flow);
        n++;
    }
    if (n || reel_is_done(&flow->out->reel))
        pthread_cond_broadcast(&flow->for_drivers);
    if (n)
        pthread_cond_signal(&flow->for_workers); /* there is room to read */
}

int archive_expects_more(const archive_flow *flow)
{
    return !flow->is_stopping && !reel_is_done(&flow->out->reel) &&
           flow->n_given - flow->n_committed < flow->window;
}

/* ---- names ---- */

static int is_wanted(archive_flow *flow, sono_state state)
{
    const int has_changed = !flow->has_state || state != flow->state;
    flow->has_state = 1;
    flow->state = state;
    return flow->out->overlays == OVERLAYS_ALL || (flow->out->overlays == OVERLAYS_CHANGED && has_changed);
}

static void name_computed(archive_flow *flow, job *at, int64_t number)
{
    at->wants_overlay = is_wanted(flow, at->packet->state);
    if (sono_sink_name(flow->out->sink, at->entry, at->shot->name, at->packet->n_objects, &at->error)) {
        archive_break(flow, at);
        return;
    }
    at->state = JOB_WRITING;
    job_queue_add(&flow->to_write, number);
    pthread_cond_signal(&flow->for_workers);
}

/* Its name is that of the first time, or the inputs are others. */
static void name_kept(archive_flow *flow, job *at)
{
    archive *out = flow->out;
    archive_done done = {0};
    if (!out->recall(out->user, at->shot->info.frame_id, &done) &&
        !sono_sink_name(out->sink, at->entry, at->shot->name, done.n_objects, NULL) &&
        !strcmp(done.stem, sono_sink_entry_stem(at->entry))) {
        (void)is_wanted(flow, done.state);
        return;
    }
    report_error("%s: was done as '%s' before, and would be '%s' this time: the inputs are others; leave "
                 "--resume out, or choose another folder",
                 at->shot->name, done.stem ? done.stem : "", sono_sink_entry_stem(at->entry));
    at->state = JOB_DROPPED;
    archive_stop(flow, 1);
}

static void give_names(archive_flow *flow)
{
    for (; flow->n_named < flow->n_given; flow->n_named++) {
        job *at = archive_job(flow, flow->n_named);
        if (at->state == JOB_READ || at->state == JOB_FLYING)
            return;
        if (at->state == JOB_COMPUTED && flow->is_broken)
            at->state = JOB_DROPPED;
        else if (at->state == JOB_COMPUTED)
            name_computed(flow, at, flow->n_named);
        else if (at->state == JOB_KEPT && !flow->is_stopping)
            name_kept(flow, at);
        else if (at->state == JOB_ELSEWHERE) /* its name is taken, as where it is done */
            sono_sink_name(flow->out->sink, at->entry, at->shot->name, 1, NULL);
    }
}

/* ---- lines ---- */

static void say_failure(archive_flow *flow, const job *at)
{
    const char *hint = at->error.status == SONO_STATUS_LIMIT ? " (see --max-size)" : "";
    pthread_mutex_lock(&flow->print);
    progress_clear(&flow->bar);
    if (strstr(at->error.text, at->shot->name))
        report_error("%s%s", at->error.text, hint);
    else
        report_error("%s: %s%s", at->shot->name, at->error.text, hint);
    pthread_mutex_unlock(&flow->print);
}

static void look_at_depth(archive_flow *flow, const job *at)
{
    if (at->shot->want || at->shot->status || !deep_look(&flow->deep, &at->shot->image) ||
        flow->out->has_no_hints)
        return;
    pthread_mutex_lock(&flow->print);
    progress_clear(&flow->bar);
    deep_hint(&flow->deep);
    pthread_mutex_unlock(&flow->print);
}

/* Returns the job's last state. What comes behind the first that was dropped, or that ended the run, is not
 * in the results. */
static job_state commit(archive_flow *flow, job *at)
{
    look_at_depth(flow, at);
    job_state state = at->state;
    if (flow->is_past_end) {
        if (state == JOB_WRITTEN)
            sono_sink_discard(flow->out->sink, at->entry);
        return state == JOB_KEPT || state == JOB_ELSEWHERE ? state : JOB_DROPPED;
    }
    if (state == JOB_WRITTEN && sono_sink_commit(flow->out->sink, at->entry, &at->error)) {
        state = JOB_FAILED;
        at->is_breaking = 1;
    }
    if (state == JOB_FAILED)
        say_failure(flow, at);
    flow->is_past_end = state == JOB_DROPPED || (state == JOB_FAILED && at->is_breaking);
    return state;
}

static void count(archive_flow *flow, const job *at, job_state state)
{
    archive *out = flow->out;
    out->n_failed += state == JOB_FAILED;
    out->n_kept += state == JOB_KEPT;
    out->n_elsewhere += state == JOB_ELSEWHERE;
    if (state != JOB_WRITTEN)
        return;
    out->n_frames++;
    out->n_lost += at->packet->state == SONO_STATE_LOST;
    samples_add(&out->latencies_ms, at->packet->latency_ms);
    snprintf(flow->last_state, sizeof flow->last_state, "%s %.2f", sono_state_name(at->packet->state),
             (double)sono_packet_object(at->packet, 0)->score);
}

static int is_over(job_state state)
{
    return state == JOB_WRITTEN || state == JOB_KEPT || state == JOB_ELSEWHERE || state == JOB_FAILED ||
           state == JOB_DROPPED;
}

/* One thread at a time: files are written without the mutex. */
static void commit_all(archive_flow *flow)
{
    if (flow->is_committing)
        return;
    flow->is_committing = 1;
    while (flow->n_committed < flow->n_named) {
        job *at = archive_job(flow, flow->n_committed);
        if (!is_over(at->state))
            break;
        pthread_mutex_unlock(&flow->mutex);
        const job_state state = commit(flow, at);
        pthread_mutex_lock(&flow->mutex);
        if (state == JOB_FAILED && at->is_breaking)
            archive_stop(flow, 1);
        count(flow, at, state);
        flow->n_committed++;
        give_numbers(flow);
        give_names(flow);
    }
    flow->is_committing = 0;
}

void archive_stop(archive_flow *flow, int is_broken)
{
    flow->is_stopping = 1;
    flow->is_broken |= is_broken;
    for (int64_t number; (number = job_queue_take(&flow->ready)) >= 0;)
        archive_job(flow, number)->state = JOB_DROPPED;
    pthread_cond_broadcast(&flow->for_drivers);
    pthread_cond_broadcast(&flow->for_workers);
}

void archive_break(archive_flow *flow, job *at)
{
    at->state = JOB_FAILED;
    at->is_breaking = 1;
    archive_stop(flow, 1);
}

int archive_end(archive_flow *flow)
{
    if (flow->n_committed < flow->n_given || !(flow->is_stopping || reel_is_done(&flow->out->reel)))
        return flow->is_done;
    flow->is_done = 1;
    pthread_cond_broadcast(&flow->for_workers);
    pthread_cond_broadcast(&flow->for_drivers);
    pthread_cond_broadcast(&flow->for_main);
    return 1;
}

void archive_advance(archive_flow *flow)
{
    give_numbers(flow);
    give_names(flow);
    commit_all(flow);
    archive_end(flow);
}

/* ---- the whole ---- */

static int open_jobs(archive_flow *flow)
{
    const archive *out = flow->out;
    flow->window = BATCHES_QUEUED * out->batch * out->n_pipelines + 4 * out->n_workers;
    const size_t n = (size_t)flow->window;
    flow->jobs = calloc(n, sizeof *flow->jobs);
    flow->ready = (job_queue){.numbers = calloc(n, sizeof(int64_t)), .capacity = flow->window};
    flow->to_write = (job_queue){.numbers = calloc(n, sizeof(int64_t)), .capacity = flow->window};
    if (!flow->jobs || !flow->ready.numbers || !flow->to_write.numbers)
        return -1;
    for (int32_t i = 0; i < flow->window; i++) {
        job *at = &flow->jobs[i];
        at->shot = shot_open();
        if (!at->shot || sono_sink_entry_open(&at->entry, NULL))
            return -1;
    }
    return 0;
}

static int open_drivers(archive_flow *flow)
{
    for (int32_t i = 0; i < flow->out->n_pipelines; i++) {
        const size_t batch = (size_t)flow->out->batch;
        driver *at = &flow->drivers[i];
        *at = (driver){.flow = flow,
                       .which = &flow->out->pipelines[i],
                       .flying = calloc(4 * batch, sizeof *at->flying),
                       .taken = calloc(batch, sizeof *at->taken),
                       .again = calloc(5 * batch, sizeof *at->again),
                       .packets = calloc(batch, sizeof *at->packets)};
        if (!at->flying || !at->taken || !at->again || !at->packets)
            return -1;
    }
    flow->n_alive = flow->out->n_pipelines;
    return 0;
}

static void close_flow(archive_flow *flow)
{
    for (int32_t i = 0; flow->jobs && i < flow->window; i++) {
        shot_close(flow->jobs[i].shot);
        sono_packet_free(flow->jobs[i].packet);
        sono_sink_entry_close(flow->jobs[i].entry);
    }
    for (int32_t i = 0; i < flow->out->n_pipelines; i++) {
        free(flow->drivers[i].flying);
        free(flow->drivers[i].taken);
        free(flow->drivers[i].again);
        free(flow->drivers[i].packets);
    }
    free(flow->jobs);
    free(flow->ready.numbers);
    free(flow->to_write.numbers);
    reel_close(&flow->out->reel);
    pthread_cond_destroy(&flow->for_main);
    pthread_cond_destroy(&flow->for_drivers);
    pthread_cond_destroy(&flow->for_workers);
    pthread_mutex_destroy(&flow->print);
    pthread_mutex_destroy(&flow->mutex);
}

static int open_flow(archive_flow *flow)
{
    pthread_mutex_init(&flow->mutex, NULL);
    pthread_mutex_init(&flow->print, NULL);
    pthread_cond_init(&flow->for_workers, NULL);
    pthread_cond_init(&flow->for_drivers, NULL);
    pthread_cond_init(&flow->for_main, NULL);
    flow->out->reel.n_units = 2 * flow->out->n_workers;
    return reel_open(&flow->out->reel) || open_jobs(flow) || open_drivers(flow);
}

static void wait_a_while(archive_flow *flow)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_cond_timedwait(&flow->for_main, &flow->mutex, &until);
}

static void show_progress(archive_flow *flow)
{
    char state[sizeof flow->last_state];
    const archive *out = flow->out;
    const int64_t total = reel_count(&out->reel), done = archive_count(out);
    const int64_t n_failed = out->n_failed;
    memcpy(state, flow->last_state, sizeof state);
    pthread_mutex_unlock(&flow->mutex);
    pthread_mutex_lock(&flow->print);
    flow->bar.total = total;
    flow->bar.n_failed = n_failed;
    progress_update(&flow->bar, done, state);
    pthread_mutex_unlock(&flow->print);
    pthread_mutex_lock(&flow->mutex);
}

/* Until everything is done: what the user sees, and wants. */
static void watch(archive_flow *flow)
{
    pthread_mutex_lock(&flow->mutex);
    archive_advance(flow); /* nothing may be there to read */
    while (!flow->is_done) {
        show_progress(flow);
        if (!flow->is_done)
            wait_a_while(flow);
        if (stop_status() && !flow->is_stopping) {
            archive_stop(flow, 0);
            archive_advance(flow);
        }
    }
    show_progress(flow);
    pthread_mutex_unlock(&flow->mutex);
}

/* Returns how many workers there are. */
static int32_t start(archive_flow *flow, pthread_t *workers)
{
    int32_t n_workers = 0, n_drivers = 0;
    while (n_workers < flow->out->n_workers &&
           !pthread_create(&workers[n_workers], NULL, archive_worker, flow))
        n_workers++;
    for (int32_t i = 0; i < flow->out->n_pipelines; i++) {
        driver *at = &flow->drivers[i];
        at->has_thread = !pthread_create(&at->thread, NULL, archive_driver, at);
        n_drivers += at->has_thread;
    }
    if (n_workers && n_drivers == flow->out->n_pipelines)
        return n_workers;
    report_error("cannot start the threads of a run (see ulimit -v and -u)");
    pthread_mutex_lock(&flow->mutex);
    archive_stop(flow, 1);
    flow->out->has_stopped = flow->is_done = 1;
    pthread_cond_broadcast(&flow->for_workers);
    pthread_cond_broadcast(&flow->for_drivers);
    pthread_mutex_unlock(&flow->mutex);
    return n_workers;
}

static void run_threads(archive_flow *flow, pthread_t *workers)
{
    archive *out = flow->out;
    const double started_s = now_s();
    progress_start(&flow->bar, reel_count(&out->reel), !out->is_quiet);
    progress_allow_lines(&flow->bar, !out->is_quiet);
    const int32_t n_workers = start(flow, workers);
    watch(flow);
    for (int32_t i = 0; i < n_workers; i++)
        pthread_join(workers[i], NULL);
    for (int32_t i = 0; i < out->n_pipelines; i++)
        if (flow->drivers[i].has_thread)
            pthread_join(flow->drivers[i].thread, NULL);
    progress_clear(&flow->bar);
    if (!out->has_no_hints)
        deep_hint(&flow->deep);
    out->elapsed_s = now_s() - started_s;
    out->has_stopped |= flow->is_broken;
    double computing_s = 0;
    for (int32_t i = 0; i < out->n_pipelines; i++)
        computing_s += flow->drivers[i].busy_s;
    const double s = out->elapsed_s > 0 ? out->elapsed_s : 1;
    out->busy_share[PART_READING] = flow->reading_s / (s * out->n_workers);
    out->busy_share[PART_WRITING] = flow->writing_s / (s * out->n_workers);
    out->busy_share[PART_COMPUTING] = computing_s / (s * out->n_pipelines);
}

int archive_run(archive *self)
{
    archive_flow *flow = calloc(1, sizeof *flow);
    pthread_t *workers = calloc((size_t)self->n_workers, sizeof *workers);
    int status = STATUS_FAILED;
    stop_watch();
    if (flow)
        flow->out = self;
    if (!flow || !workers || open_flow(flow)) {
        report_error("out of memory for the frames under way");
        self->has_stopped = 1;
    } else {
        run_threads(flow, workers);
        const int has_failed = self->n_failed || (self->has_stopped && !stop_status());
        status = stop_status() ? stop_status() : has_failed ? STATUS_FAILED : STATUS_DONE;
    }
    if (flow)
        close_flow(flow);
    free(workers);
    free(flow);
    return status;
}

const char *archive_part_name(archive_part part)
{
    static const char *const names[PART_COUNT] = {"reading", "computing", "writing"};
    return names[part];
}

archive_part archive_slowest(const archive *self)
{
    const double *share = self->busy_share;
    if (share[PART_COMPUTING] >= share[PART_READING] + share[PART_WRITING])
        return PART_COMPUTING;
    return share[PART_READING] > share[PART_WRITING] ? PART_READING : PART_WRITING;
}

int64_t archive_count(const archive *self)
{
    return self->n_frames + self->n_failed + self->n_kept + self->n_elsewhere;
}

void archive_free(archive *self)
{
    samples_free(&self->latencies_ms);
}
