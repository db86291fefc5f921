// SPDX-License-Identifier: Apache-2.0
#include "web/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- shared bytes ---------------------------------------------------------------------------------------
 */

sono_web_blob *sono_web_blob_new(const void *bytes, size_t n_bytes)
{
    sono_web_blob *blob = malloc(sizeof *blob + n_bytes + 1);
    if (blob) {
        atomic_init(&blob->n_users, 1);
        blob->n_bytes = n_bytes;
        memcpy(blob->bytes, bytes, n_bytes);
        blob->bytes[n_bytes] = 0;
    }
    return blob;
}

void sono_web_blob_drop(sono_web_blob *blob)
{
    if (blob && atomic_fetch_sub(&blob->n_users, 1) == 1) {
        free(blob);
    }
}

sono_web_picture *sono_web_picture_new(size_t n_jpeg, size_t n_png)
{
    sono_web_picture *picture = calloc(1, sizeof *picture + n_jpeg + n_png);
    if (picture) {
        atomic_init(&picture->n_users, 1);
        picture->n_jpeg = n_jpeg;
        picture->n_png = n_png;
    }
    return picture;
}

void sono_web_picture_drop(sono_web_picture *picture)
{
    if (picture && atomic_fetch_sub(&picture->n_users, 1) == 1) {
        free(picture);
    }
}

/* ---- streams --------------------------------------------------------------------------------------------
 */

int sono_web_hub_init(sono_web_hub *hub)
{
    pthread_condattr_t attributes;
    memset(hub, 0, sizeof *hub);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const int failed = pthread_mutex_init(&hub->mutex, NULL) || pthread_cond_init(&hub->painted, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed ? -1 : 0;
}

void sono_web_hub_free(sono_web_hub *hub)
{
    for (int i = 0; i < SONO_WEB_EVENTS; i++) {
        sono_web_blob_drop(hub->events[i].json);
    }
    sono_web_blob_drop(hub->metrics);
    sono_web_picture_drop(hub->picture);
    pthread_cond_destroy(&hub->painted);
    pthread_mutex_destroy(&hub->mutex);
}

/* With the mutex. */
static void wake_all(sono_web_hub *hub)
{
    const uint64_t one = 1;
    for (int32_t i = 0; i < hub->n_waiters; i++) {
        const ssize_t n = write(hub->waiters[i], &one, sizeof one); /* full: it is awake already */
        (void)n;
    }
}

/* With the mutex. */
static void count_eager(sono_web_hub *hub)
{
    double hz = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < hub->n_waiters; i++) {
        hz = hub->hz[i] > hz ? hub->hz[i] : hz;
        n += hub->hz[i] > 0;
    }
    atomic_store(&hub->interval_ns, hz > 0 ? (int64_t)(1e9 / hz) : 0);
    atomic_store(&hub->n_frame_streams, n);
}

void sono_web_hub_end(sono_web_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    hub->is_over = 1;
    wake_all(hub);
    pthread_cond_broadcast(&hub->painted);
    pthread_mutex_unlock(&hub->mutex);
}

int sono_web_hub_is_over(sono_web_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    const int is_over = hub->is_over;
    pthread_mutex_unlock(&hub->mutex);
    return is_over;
}

int sono_web_hub_join(sono_web_hub *hub, int fd, double hz)
{
    int failed = -1;
    pthread_mutex_lock(&hub->mutex);
    if (hub->n_waiters < SONO_WEB_STREAMS && !hub->is_over) {
        hub->waiters[hub->n_waiters] = fd;
        hub->hz[hub->n_waiters++] = hz;
        count_eager(hub);
        failed = 0;
    }
    pthread_mutex_unlock(&hub->mutex);
    return failed;
}

void sono_web_hub_leave(sono_web_hub *hub, int fd)
{
    pthread_mutex_lock(&hub->mutex);
    for (int32_t i = 0; i < hub->n_waiters; i++) {
        if (hub->waiters[i] == fd) {
            hub->waiters[i] = hub->waiters[--hub->n_waiters];
            hub->hz[i] = hub->hz[hub->n_waiters];
            break;
        }
    }
    count_eager(hub);
    pthread_mutex_unlock(&hub->mutex);
}

/* ---- news -----------------------------------------------------------------------------------------------
 */

void sono_web_hub_event(sono_web_hub *hub, const char *name, const char *members)
{
    char json[2048];
    pthread_mutex_lock(&hub->mutex);
    const uint64_t seq = hub->n_events + 1;
    const int n =
        snprintf(json, sizeof json, "{\"schema\":1,\"seq\":%llu,%s", (unsigned long long)seq, members);
    sono_web_blob *blob = n > 0 && (size_t)n < sizeof json ? sono_web_blob_new(json, (size_t)n) : NULL;
    if (blob) {
        sono_web_event *event = &hub->events[hub->n_events++ % SONO_WEB_EVENTS];
        sono_web_blob_drop(event->json);
        event->seq = seq;
        event->json = blob;
        snprintf(event->name, sizeof event->name, "%s", name);
        wake_all(hub);
    }
    pthread_mutex_unlock(&hub->mutex);
}

void sono_web_hub_metrics(sono_web_hub *hub, sono_web_blob *message)
{
    pthread_mutex_lock(&hub->mutex);
    sono_web_blob *old = hub->metrics;
    hub->metrics = message;
    hub->n_metrics++;
    wake_all(hub);
    pthread_mutex_unlock(&hub->mutex);
    sono_web_blob_drop(old);
}

void sono_web_hub_picture(sono_web_hub *hub, sono_web_picture *picture)
{
    sono_web_picture *old = picture;
    pthread_mutex_lock(&hub->mutex);
    if (picture->head.is_empty || picture->head.frame > hub->emptied_through) {
        old = hub->picture;
        hub->picture = picture;
        hub->n_pictures++;
        if (picture->head.is_empty) {
            hub->emptied_through = picture->head.frame;
        }
        wake_all(hub);
        pthread_cond_broadcast(&hub->painted);
    }
    pthread_mutex_unlock(&hub->mutex);
    sono_web_picture_drop(old);
}

void sono_web_hub_now(sono_web_hub *hub, sono_web_place *place)
{
    pthread_mutex_lock(&hub->mutex);
    place->event = hub->n_events;
    place->metrics = hub->n_metrics - (hub->metrics != NULL);
    place->picture = hub->n_pictures - (hub->picture != NULL);
    pthread_mutex_unlock(&hub->mutex);
}

int sono_web_hub_next_event(sono_web_hub *hub, sono_web_place *place, sono_web_event *out)
{
    int is_there = 0;
    pthread_mutex_lock(&hub->mutex);
    if (place->event + SONO_WEB_EVENTS < hub->n_events) { /* too far behind */
        place->event = hub->n_events - SONO_WEB_EVENTS;
    }
    if (!hub->is_over && place->event < hub->n_events) {
        *out = hub->events[place->event++ % SONO_WEB_EVENTS];
        atomic_fetch_add(&out->json->n_users, 1);
        is_there = 1;
    }
    pthread_mutex_unlock(&hub->mutex);
    return is_there;
}

int sono_web_hub_next_metrics(sono_web_hub *hub, sono_web_place *place, sono_web_blob **out)
{
    int is_there = 0;
    pthread_mutex_lock(&hub->mutex);
    if (!hub->is_over && place->metrics < hub->n_metrics) {
        place->metrics = hub->n_metrics;
        *out = hub->metrics;
        atomic_fetch_add(&hub->metrics->n_users, 1);
        is_there = 1;
    }
    pthread_mutex_unlock(&hub->mutex);
    return is_there;
}

int sono_web_hub_next_picture(sono_web_hub *hub, sono_web_place *place, int only_empty,
                              sono_web_picture **out)
{
    int is_there = 0;
    pthread_mutex_lock(&hub->mutex);
    if (!hub->is_over && place->picture < hub->n_pictures && (!only_empty || hub->picture->head.is_empty)) {
        place->picture = hub->n_pictures;
        *out = hub->picture;
        atomic_fetch_add(&hub->picture->n_users, 1);
        is_there = 1;
    }
    pthread_mutex_unlock(&hub->mutex);
    return is_there;
}

static int is_wanted(const sono_web_picture *picture, int64_t since_ns, int wants_png)
{
    return picture && (picture->head.is_empty ||
                       (picture->head.shown_ns >= since_ns && (!wants_png || picture->n_png > 0)));
}

sono_web_picture *sono_web_hub_wait_picture(sono_web_hub *hub, int64_t since_ns, int wants_png,
                                            int64_t deadline_ns)
{
    const struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    pthread_mutex_lock(&hub->mutex);
    while (!hub->is_over && !is_wanted(hub->picture, since_ns, wants_png) &&
           pthread_cond_timedwait(&hub->painted, &hub->mutex, &until) == 0) {
    }
    sono_web_picture *picture = hub->picture;
    if (picture) {
        atomic_fetch_add(&picture->n_users, 1);
    }
    pthread_mutex_unlock(&hub->mutex);
    return picture;
}
