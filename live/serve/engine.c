// SPDX-License-Identifier: Apache-2.0
#include "serve/engine_kind.h"
#include "error/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_SLOTS 16 /* of a sono_pipeline */

/* What the thread is asked to do. */
typedef enum job { JOB_NONE, JOB_OPEN, JOB_CLOSE, JOB_QUIT } job;

typedef enum phase { CLOSED, OPENING, OPEN, CLOSING } phase;

struct sono_serve_engine {
    const sono_serve_engine_kind *kind;
    sono_serve_config config;
    double threshold;
    sono_event_fn on_event;
    void *user;
    /* The loop's thread's. */
    phase phase;
    int close_follows; /* asked to close while it opens */
    int epoll, done_fd;
    int kind_fd; /* in epoll; -1 = none */
    /* Shared, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_t thread;
    job job;
    int is_done;
    sono_status status; /* of the job that is done */
    sono_error error;
    /* The thread's while a job runs, else the loop's. */
    void *state;
};

int32_t sono_serve_engine_slots(const sono_serve_config *config)
{
    int32_t waiting = config->source_order ? config->mailbox_n_waiting : 2;
    return config->engine_depth + waiting + 1 + 1;
}

/* ---- the thread -----------------------------------------------------------------------------------------
 */

static sono_status run_job(sono_serve_engine *engine, job what, double threshold, sono_error *error)
{
    if (what == JOB_CLOSE) {
        engine->kind->close(engine->state);
        engine->state = NULL;
        return SONO_STATUS_OK;
    }
    sono_serve_engine_setup setup = {.config = &engine->config,
                                     .threshold = threshold,
                                     .n_slots = sono_serve_engine_slots(&engine->config),
                                     .on_event = engine->on_event,
                                     .user = engine->user};
    return engine->kind->open(&setup, &engine->state, error);
}

static void *work(void *user)
{
    sono_serve_engine *engine = user;
    pthread_mutex_lock(&engine->mutex);
    for (;;) {
        while (engine->job == JOB_NONE) {
            pthread_cond_wait(&engine->cond, &engine->mutex);
        }
        job what = engine->job;
        if (what == JOB_QUIT) {
            break;
        }
        double threshold = engine->threshold;
        pthread_mutex_unlock(&engine->mutex);
        sono_error error = {.offset_bytes = -1};
        sono_status status = run_job(engine, what, threshold, &error);
        pthread_mutex_lock(&engine->mutex);
        engine->job = JOB_NONE;
        engine->is_done = 1;
        engine->status = status;
        engine->error = error;
        eventfd_write(engine->done_fd, 1);
    }
    pthread_mutex_unlock(&engine->mutex);
    return NULL;
}

static void ask(sono_serve_engine *engine, job what)
{
    pthread_mutex_lock(&engine->mutex);
    engine->job = what;
    pthread_cond_signal(&engine->cond);
    pthread_mutex_unlock(&engine->mutex);
}

/* 1 = the job is done; what came of it goes to the arguments. */
static int take_done(sono_serve_engine *engine, sono_status *status, sono_error *error)
{
    eventfd_t count;
    pthread_mutex_lock(&engine->mutex);
    int is_done = engine->is_done;
    if (is_done) {
        eventfd_read(engine->done_fd, &count);
        engine->is_done = 0;
        *status = engine->status;
        if (error && engine->status != SONO_STATUS_OK) {
            *error = engine->error;
        }
    }
    pthread_mutex_unlock(&engine->mutex);
    return is_done;
}

/* ---- made and freed -------------------------------------------------------------------------------------
 */

static int watch(sono_serve_engine *engine, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void free_parts(sono_serve_engine *engine)
{
    if (engine->epoll >= 0) {
        close(engine->epoll);
    }
    if (engine->done_fd >= 0) {
        close(engine->done_fd);
    }
    pthread_mutex_destroy(&engine->mutex);
    pthread_cond_destroy(&engine->cond);
    free(engine);
}

sono_status sono_serve_engine_new(const sono_serve_config *config, sono_event_fn on_event, void *user,
                                  sono_serve_engine **out, sono_error *error)
{
    int32_t n_slots = sono_serve_engine_slots(config);
    if (n_slots > MAX_SLOTS) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "engine",
                              "engine.depth %d and mailbox.n_waiting %d need %d places for images in the "
                              "engine, there are %d: lower one of them by %d",
                              config->engine_depth, config->mailbox_n_waiting, n_slots, MAX_SLOTS,
                              n_slots - MAX_SLOTS);
    }
    sono_serve_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "engine", "out of memory");
    }
    engine->kind = config->engine_kind ? &sono_serve_engine_null : &sono_serve_engine_pipeline;
    engine->config = *config;
    engine->threshold = config->engine_threshold;
    engine->on_event = on_event;
    engine->user = user;
    engine->kind_fd = -1;
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_cond_init(&engine->cond, NULL);
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    engine->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = engine->epoll < 0 || engine->done_fd < 0 || watch(engine, engine->done_fd);
    if (!failure) {
        errno = pthread_create(&engine->thread, NULL, work, engine);
        failure = errno != 0;
    }
    if (failure) {
        sono_live_fail(error, SONO_STATUS_IO, errno, "engine", "the engine's thread or descriptors");
        free_parts(engine);
        return SONO_STATUS_IO;
    }
    *out = engine;
    return SONO_STATUS_OK;
}

/* Waits for a job under way. Only at the end: the loop's thread never waits before. */
static void wait_done(sono_serve_engine *engine)
{
    sono_status status;
    struct epoll_event event;
    while (!take_done(engine, &status, NULL)) {
        epoll_wait(engine->epoll, &event, 1, -1);
    }
    engine->phase = engine->phase == OPENING && status == SONO_STATUS_OK ? OPEN : CLOSED;
}

void sono_serve_engine_free(sono_serve_engine *engine)
{
    if (!engine) {
        return;
    }
    if (engine->phase == OPENING) {
        wait_done(engine);
    }
    if (engine->phase == OPEN) {
        sono_serve_engine_close(engine);
    }
    if (engine->phase == CLOSING) {
        wait_done(engine);
    }
    ask(engine, JOB_QUIT);
    pthread_join(engine->thread, NULL);
    free_parts(engine);
}

/* ---- the loop's thread ----------------------------------------------------------------------------------
 */

int sono_serve_engine_fd(const sono_serve_engine *engine)
{
    return engine->epoll;
}

void sono_serve_engine_set_threshold(sono_serve_engine *engine, double threshold)
{
    pthread_mutex_lock(&engine->mutex);
    engine->threshold = threshold;
    pthread_mutex_unlock(&engine->mutex);
}

void sono_serve_engine_open(sono_serve_engine *engine)
{
    if (engine->phase == CLOSED) {
        engine->phase = OPENING;
        ask(engine, JOB_OPEN);
    }
}

int sono_serve_engine_is_opening(const sono_serve_engine *engine)
{
    return engine->phase == OPENING;
}

static void begin_close(sono_serve_engine *engine)
{
    if (engine->kind_fd >= 0) {
        epoll_ctl(engine->epoll, EPOLL_CTL_DEL, engine->kind_fd, NULL);
        engine->kind_fd = -1;
    }
    engine->close_follows = 0;
    engine->phase = CLOSING;
    ask(engine, JOB_CLOSE);
}

void sono_serve_engine_close(sono_serve_engine *engine)
{
    if (engine->phase == OPENING) {
        engine->close_follows = 1;
    } else if (engine->phase == OPEN) {
        begin_close(engine);
    }
}

/* Opening succeeded: its descriptor joins ours. */
static sono_serve_engine_news opened(sono_serve_engine *engine, sono_error *error)
{
    if (engine->close_follows) {
        begin_close(engine);
        return SONO_SERVE_ENGINE_NOTHING;
    }
    int fd = engine->kind->fd(engine->state);
    if (fd < 0 || watch(engine, fd)) {
        sono_live_fail(error, SONO_STATUS_IO, errno, "engine", "the engine's descriptor");
        begin_close(engine);
        return SONO_SERVE_ENGINE_NOTHING;
    }
    engine->kind_fd = fd;
    engine->phase = OPEN;
    return SONO_SERVE_ENGINE_UP;
}

sono_serve_engine_news sono_serve_engine_next(sono_serve_engine *engine, sono_serve_result *result,
                                              sono_error *error)
{
    sono_status status;
    if (engine->phase == OPEN) {
        return engine->kind->next(engine->state, result, error);
    }
    if (engine->phase == CLOSED || !take_done(engine, &status, error)) {
        return SONO_SERVE_ENGINE_NOTHING;
    }
    if (engine->phase == OPENING && status == SONO_STATUS_OK) {
        return opened(engine, error);
    }
    if (engine->phase == CLOSING && error) {
        error->status = SONO_STATUS_OK;
    }
    engine->phase = CLOSED;
    engine->close_follows = 0;
    return SONO_SERVE_ENGINE_DOWN;
}

uint8_t *sono_serve_engine_lend(sono_serve_engine *engine, size_t *n_bytes, void **input)
{
    return engine->phase == OPEN ? engine->kind->lend(engine->state, n_bytes, input) : NULL;
}

void sono_serve_engine_return(sono_serve_engine *engine, void *input)
{
    if (engine->phase == OPEN) {
        engine->kind->give_back(engine->state, input);
    }
}

sono_status sono_serve_engine_submit(sono_serve_engine *engine, void *input, const sono_image *image,
                                     const sono_frame_info *info, sono_error *error)
{
    if (engine->phase != OPEN) {
        return sono_live_fail(error, SONO_STATUS_STATE, 0, "engine", "the engine is not open");
    }
    sono_status status = engine->kind->submit(engine->state, input, image, info, error);
    if (status != SONO_STATUS_OK) {
        engine->kind->give_back(engine->state, input);
    }
    return status;
}

void sono_serve_engine_release(sono_serve_engine *engine, const sono_serve_result *result)
{
    if (engine->phase == OPEN) {
        engine->kind->release(engine->state, result);
    }
}

void sono_serve_engine_query(const sono_serve_engine *engine, sono_serve_engine_info *out)
{
    memset(out, 0, sizeof *out);
    strncpy(out->kind, engine->kind->name, sizeof out->kind - 1);
    if (engine->phase == OPEN) {
        engine->kind->query(engine->state, out);
    } else {
        strncpy(out->backend, "none", sizeof out->backend - 1);
        out->residency_percent = -1;
    }
}
