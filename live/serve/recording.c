// SPDX-License-Identifier: Apache-2.0
#include "serve/recording.h"
#include "error/error.h"

#include "serve/recording_item.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SYNC_NS      1000000000
#define GIVE_UP_NS   60000000000
#define PREFIX_BYTES (2 * SONO_SERVE_TEXT_BYTES + 16)
#define MAX_PENDING  128 /* images whose mask has not come: more than an engine and a mailbox hold */

typedef enum phase { WRITING, JOINING, DONE } phase;

/* A recorded image, oldest first; its mask waits for those before it. */
typedef struct pending {
    sono_serve_frame frame; /* its pixels are not to be read */
    sono_serve_item *mask;  /* NULL = it has not come */
} pending;

struct sono_serve_recording {
    char prefix[2][PREFIX_BYTES]; /* images, masks */
    int64_t max_segment_bytes;
    size_t max_queued_bytes;
    char mask_name[SONO_SERVE_TEXT_BYTES];
    int has_masks, joins, descriptor;
    pthread_t thread;
    /* The loop's. */
    pending pending[MAX_PENDING];
    int32_t n_pending, first_pending;
    /* The thread's. */
    sono_record *record[2];
    int64_t start_ns, synced_at_ns;
    uint8_t *zeros;
    size_t n_zeros;
    /* Of both, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t work, ended;
    sono_serve_item *head, **tail;
    size_t queued_bytes;
    uint64_t recorded, dropped, written_bytes;
    int64_t moved_ns; /* the thread got on */
    int is_closing, is_stopped, is_abandoned;
    phase phase;
    sono_error error;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct timespec when(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static void free_items(sono_serve_item *item)
{
    while (item) {
        sono_serve_item *next = item->next;
        free(item);
        item = next;
    }
}

static void free_all(sono_serve_recording *self)
{
    free_items(self->head);
    for (int32_t i = 0; i < self->n_pending; i++)
        free(self->pending[(self->first_pending + i) % MAX_PENDING].mask);
    free(self->zeros);
    if (self->descriptor >= 0)
        close(self->descriptor);
    pthread_mutex_destroy(&self->mutex);
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->ended);
    free(self);
}

/* ---- the end before its time --------------------------------------------------------------------------- */

/* With the mutex. Nothing is taken from now on; the first error counts. */
static void stop(sono_serve_recording *self, const sono_error *error)
{
    const uint64_t one = 1;
    if (self->is_stopped)
        return;
    self->is_stopped = 1;
    self->error = *error;
    if (write(self->descriptor, &one, sizeof one) < 0)
        self->error.native_code = errno; /* cannot be: its counter is 0 */
    pthread_cond_signal(&self->work);
}

/* With the mutex. The disk has failed: what is queued is lost. */
static void fail(sono_serve_recording *self, const sono_error *error)
{
    stop(self, error);
    free_items(self->head);
    self->head = NULL;
    self->tail = &self->head;
    self->queued_bytes = 0;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static sono_status open_one(sono_serve_recording *self, const sono_serve_item *item, sono_error *error)
{
    sono_record_options options;
    const sono_record_field fields[] = {{"DeviceName", item->is_mask ? self->mask_name : item->device},
                                        {"SonosegVersion", sono_version()}};
    sono_record_options_init(&options);
    options.prefix = self->prefix[item->is_mask];
    options.max_segment_bytes = self->max_segment_bytes;
    options.orientation = item->orientation;
    options.start_ns = self->start_ns = self->start_ns ? self->start_ns : item->frame.timestamp_ns;
    options.fields = fields;
    options.n_fields = 2;
    return sono_record_open(&options, &self->record[item->is_mask], error);
}

static sono_status lend_zeros(sono_serve_recording *self, sono_serve_item *item, sono_error *error)
{
    const size_t n_bytes = (size_t)item->frame.width_px * (size_t)item->frame.height_px;
    if (n_bytes > self->n_zeros) {
        free(self->zeros);
        self->zeros = calloc(n_bytes, 1);
        self->n_zeros = self->zeros ? n_bytes : 0;
    }
    item->frame.pixels = self->zeros;
    return self->zeros ? SONO_STATUS_OK
                       : sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "recording", "out of memory");
}

static sono_status write_item(sono_serve_recording *self, sono_serve_item *item, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    if (item->is_empty)
        status = lend_zeros(self, item, error);
    if (status == SONO_STATUS_OK && !self->record[item->is_mask])
        status = open_one(self, item, error);
    if (status == SONO_STATUS_OK)
        status = sono_record_frame_add(self->record[item->is_mask], &item->frame, error);
    return status;
}

static sono_status sync_both(sono_serve_recording *self, sono_error *error)
{
    sono_status status = SONO_STATUS_OK;
    for (int i = 0; i < 2; i++)
        if (self->record[i] && status == SONO_STATUS_OK)
            status = sono_record_sync(self->record[i], error);
    self->synced_at_ns = now_ns();
    return status;
}

/* Waits for work or until a sync is due. With the mutex. NULL = sync, or the end. */
static sono_serve_item *take_item(sono_serve_recording *self)
{
    const struct timespec until = when(self->synced_at_ns + SYNC_NS);
    int code = 0;
    self->moved_ns = now_ns();
    while (!self->head && !self->is_closing && !self->is_stopped && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&self->work, &self->mutex, &until);
    sono_serve_item *item = self->head;
    if (!item || now_ns() - self->synced_at_ns >= SYNC_NS)
        return NULL;
    self->head = item->next;
    if (!self->head)
        self->tail = &self->head;
    return item;
}

static void count_written(sono_serve_recording *self, const sono_serve_item *item)
{
    self->queued_bytes -= item->n_bytes;
    if (!item->is_mask)
        self->written_bytes += (uint64_t)item->frame.width_px * (uint64_t)item->frame.height_px *
                               (uint64_t)item->frame.components *
                               (item->frame.element == SONO_ELEMENT_U16 ? 2 : 1);
}

static void write_all(sono_serve_recording *self)
{
    sono_error error = {0};
    pthread_mutex_lock(&self->mutex);
    while (self->head || (!self->is_closing && !self->is_stopped)) {
        sono_serve_item *item = take_item(self);
        pthread_mutex_unlock(&self->mutex);
        const sono_status status = item ? write_item(self, item, &error) : sync_both(self, &error);
        pthread_mutex_lock(&self->mutex);
        if (status != SONO_STATUS_OK)
            fail(self, &error);
        else if (item)
            count_written(self, item);
        free(item);
    }
    pthread_mutex_unlock(&self->mutex);
}

/* Closing syncs. Only a clean stop joins. */
static void close_both(sono_serve_recording *self)
{
    pthread_mutex_lock(&self->mutex);
    const int joins = self->joins && self->is_closing && !self->is_stopped;
    self->phase = joins ? JOINING : WRITING;
    pthread_mutex_unlock(&self->mutex);
    for (int i = 0; i < 2; i++) {
        sono_error error = {0};
        const sono_status status = sono_record_close(self->record[i], joins, &error);
        pthread_mutex_lock(&self->mutex);
        if (status != SONO_STATUS_OK)
            fail(self, &error);
        self->moved_ns = now_ns();
        pthread_mutex_unlock(&self->mutex);
    }
}

static void *run(void *user)
{
    sono_serve_recording *self = user;
    self->synced_at_ns = now_ns();
    write_all(self);
    close_both(self);
    pthread_mutex_lock(&self->mutex);
    self->phase = DONE;
    const int is_abandoned = self->is_abandoned;
    pthread_cond_signal(&self->ended);
    pthread_mutex_unlock(&self->mutex);
    if (is_abandoned)
        free_all(self);
    return NULL;
}

/* ---- the loop's side ----------------------------------------------------------------------------------- */

/* What cannot be recorded at all is told at once: a folder, a name. The folder is made where its parent is
 * there, for its owner alone as the files are. */
static sono_status try_prefix(const sono_serve_recording *self, const char *folder, sono_error *error)
{
    sono_record_options options;
    sono_record *record = NULL;
    if (mkdir(folder, 0700) && errno != EEXIST)
        return sono_live_fail(error, SONO_STATUS_IO, errno, "recording", "%s: cannot be made", folder);
    sono_record_options_init(&options);
    options.prefix = self->prefix[0];
    options.max_segment_bytes = self->max_segment_bytes;
    const sono_status status = sono_record_open(&options, &record, error);
    return status == SONO_STATUS_OK ? sono_record_close(record, 0, error) : status;
}

static int64_t segment_bytes(const sono_serve_config *config)
{
    sono_record_options options;
    sono_record_options_init(&options);
    const int64_t most = INT32_MAX - options.max_header_bytes;
    const int64_t wanted = (int64_t)config->record_max_segment_mb << 20;
    return wanted < most ? wanted : most;
}

sono_status sono_serve_recording_open(const sono_serve_config *config, sono_serve_recording **out,
                                      sono_error *error)
{
    pthread_condattr_t clock;
    sono_serve_recording *self = calloc(1, sizeof *self);
    if (!self)
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "recording", "out of memory");
    for (int i = 0; i < 2; i++)
        snprintf(self->prefix[i], PREFIX_BYTES, "%s/%s%s", config->record_folder, config->record_name,
                 i ? "_masks" : "");
    snprintf(self->mask_name, sizeof self->mask_name, "%s", config->sink_mask_name);
    self->max_segment_bytes = segment_bytes(config);
    self->max_queued_bytes = (size_t)config->record_queue_mb << 20;
    self->has_masks = config->record_masks;
    self->joins = config->record_join;
    self->tail = &self->head;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->work, &clock);
    pthread_cond_init(&self->ended, &clock);
    pthread_condattr_destroy(&clock);
    self->descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sono_status status = try_prefix(self, config->record_folder, error);
    if (status == SONO_STATUS_OK &&
        (self->descriptor < 0 || pthread_create(&self->thread, NULL, run, self) != 0))
        status = sono_live_fail(error, SONO_STATUS_IO, 0, "recording", "no thread for the recording");
    if (status != SONO_STATUS_OK) {
        free_all(self);
        return status;
    }
    *out = self;
    return SONO_STATUS_OK;
}

/* With the mutex. Takes item over. */
static void queue(sono_serve_recording *self, sono_serve_item *item)
{
    if (self->is_stopped) {
        free(item);
        return;
    }
    item->next = NULL;
    *self->tail = item;
    self->tail = &item->next;
    self->queued_bytes += item->n_bytes;
    pthread_cond_signal(&self->work);
}

/* Those of the masks whose turn it is. With the mutex. Masks are queued whatever the room: their images were.
 */
static void queue_masks(sono_serve_recording *self)
{
    while (self->n_pending && self->pending[self->first_pending].mask) {
        queue(self, self->pending[self->first_pending].mask);
        self->pending[self->first_pending].mask = NULL;
        self->first_pending = (self->first_pending + 1) % MAX_PENDING;
        self->n_pending--;
    }
}

/* With the mutex. All but the n_left newest images get a mask now. Without memory for one the pairs end. */
static void fill_pending(sono_serve_recording *self, int32_t n_left)
{
    for (int32_t i = 0; i < self->n_pending - n_left; i++) {
        pending *place = &self->pending[(self->first_pending + i) % MAX_PENDING];
        if (!place->mask)
            place->mask = sono_serve_item_mask(&place->frame, NULL, "stopped");
    }
    queue_masks(self);
}

/* With the mutex. Without room, or memory, the recording ends with what is queued. */
static void end_early(sono_serve_recording *self, sono_status status, const char *text)
{
    sono_error error;
    sono_live_fail(&error, status, 0, "recording", "%s: %s; what came before is recorded", self->prefix[0],
                   text);
    fill_pending(self, 0);
    stop(self, &error);
}

static int has_room(sono_serve_recording *self, size_t n_bytes)
{
    char text[128];
    if (self->is_stopped)
        return 0;
    if (self->queued_bytes + n_bytes <= self->max_queued_bytes)
        return 1;
    snprintf(text, sizeof text, "the disk is too slow: %llu of record.queue_mb %llu MiB wait for it",
             (unsigned long long)(self->queued_bytes >> 20),
             (unsigned long long)(self->max_queued_bytes >> 20));
    end_early(self, SONO_STATUS_IO, text);
    return 0;
}

static void expect_mask(sono_serve_recording *self, const sono_serve_frame *frame)
{
    if (self->n_pending == MAX_PENDING)
        fill_pending(self, MAX_PENDING - 1);
    if (self->n_pending == MAX_PENDING)
        return;
    pending *place = &self->pending[(self->first_pending + self->n_pending++) % MAX_PENDING];
    place->frame = *frame;
    place->mask = NULL;
}

void sono_serve_recording_image(sono_serve_recording *self, const sono_serve_frame *frame)
{
    pthread_mutex_lock(&self->mutex);
    const int is_wanted = has_room(self, sono_serve_item_image_bytes(frame));
    pthread_mutex_unlock(&self->mutex);
    sono_serve_item *item = is_wanted ? sono_serve_item_image(frame) : NULL;
    pthread_mutex_lock(&self->mutex);
    if (is_wanted && !item && !self->is_stopped)
        end_early(self, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    if (!item || self->is_stopped) {
        self->dropped++;
        free(item);
    } else {
        queue(self, item);
        self->recorded++;
        if (self->has_masks)
            expect_mask(self, frame);
    }
    pthread_mutex_unlock(&self->mutex);
}

void sono_serve_recording_mask(sono_serve_recording *self, const sono_serve_frame *frame,
                               const sono_serve_result *result, const char *reason)
{
    pending *place = NULL;
    for (int32_t i = 0; i < self->n_pending && !place; i++) {
        pending *at = &self->pending[(self->first_pending + i) % MAX_PENDING];
        if (at->frame.id == frame->id && !at->mask)
            place = at;
    }
    if (!place)
        return;
    place->mask = sono_serve_item_mask(frame, result, reason);
    pthread_mutex_lock(&self->mutex);
    if (!place->mask && !self->is_stopped)
        end_early(self, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    queue_masks(self);
    pthread_mutex_unlock(&self->mutex);
}

int sono_serve_recording_fd(const sono_serve_recording *self)
{
    return self->descriptor;
}

void sono_serve_recording_query(sono_serve_recording *self, sono_serve_recording_facts *out)
{
    pthread_mutex_lock(&self->mutex);
    *out = (sono_serve_recording_facts){.is_on = !self->is_stopped,
                                        .recorded = self->recorded,
                                        .dropped = self->dropped,
                                        .queued_bytes = self->queued_bytes,
                                        .written_bytes = self->written_bytes};
    if (self->is_stopped)
        snprintf(out->error, sizeof out->error, "%.*s", (int)sizeof out->error - 1, self->error.text);
    pthread_mutex_unlock(&self->mutex);
}

/* Until the thread has ended: 1; 0 = the disk takes nothing. With the mutex. */
static int wait_end(sono_serve_recording *self)
{
    while (self->phase != DONE) {
        const int64_t now = now_ns();
        const struct timespec until = when(now + SYNC_NS);
        if (self->phase == WRITING && now - self->moved_ns > GIVE_UP_NS)
            return 0;
        pthread_cond_timedwait(&self->ended, &self->mutex, &until);
    }
    return 1;
}

sono_status sono_serve_recording_close(sono_serve_recording *self, sono_error *error)
{
    if (!self)
        return SONO_STATUS_OK;
    pthread_mutex_lock(&self->mutex);
    fill_pending(self, 0);
    self->is_closing = 1;
    self->moved_ns = now_ns();
    pthread_cond_signal(&self->work);
    const int has_ended = wait_end(self);
    self->is_abandoned = !has_ended;
    const sono_error stopped = self->error;
    const int is_stopped = self->is_stopped;
    const pthread_t thread = self->thread;
    pthread_mutex_unlock(&self->mutex);
    if (!has_ended) { /* it frees itself should it ever get on */
        pthread_detach(thread);
        return sono_live_fail(error, SONO_STATUS_IO, 0, "recording",
                              "the disk took nothing for a minute: what was synced is there");
    }
    pthread_join(thread, NULL);
    free_all(self);
    if (is_stopped && error)
        *error = stopped;
    return is_stopped ? stopped.status : SONO_STATUS_OK;
}
