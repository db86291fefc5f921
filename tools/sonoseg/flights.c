// SPDX-License-Identifier: Apache-2.0
#include "flights.h"

#include "args.h"
#include "commands.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>

static int64_t n_to_read(const flights *self)
{
    return self->read ? self->n_to_read : sono_source_count(self->source);
}

static void show_progress(flights *self, const char *state)
{
    self->bar.total = n_to_read(self); /* grows as files turn out to hold pages */
    progress_update(&self->bar, self->n_frames + self->n_failed, state);
}

static void fail_input(flights *self, const char *name, const sono_error *error)
{
    const char *hint = error->status == SONO_STATUS_LIMIT ? " (see --max-size)" : "";
    self->n_failed++;
    progress_clear(&self->bar);
    if (strstr(error->text, name))
        report_error("%s%s", error->text, hint);
    else
        report_error("%s: %s%s", name, error->text, hint);
    show_progress(self, "");
}

static void hint_at_depth(flights *self)
{
    if (self->has_no_hints)
        return;
    progress_clear(&self->bar);
    deep_hint(&self->deep);
    show_progress(self, "");
}

static sono_status read_source(flights *self, flight *next, sono_error *error)
{
    const sono_status status = sono_source_next(self->source, &next->image, &next->info, &next->name, error);
    return status || !self->wants_truth ? status : sono_source_truth(self->source, &next->truth, error);
}

/* Reads the next frame that can be read, naming those that cannot. Returns whether there is one. */
static int read_next(flights *self, flight *next)
{
    sono_error error;
    *next = (flight){0};
    sono_image_init(&next->image);
    sono_frame_info_init(&next->info);
    while (!self->at_end && !stop_status()) {
        const sono_status status =
            self->read ? self->read(self->user, next, &error) : read_source(self, next, &error);
        if (status == SONO_STATUS_END)
            break;
        if (status == SONO_STATUS_OK) {
            if (deep_look(&self->deep, &next->image))
                hint_at_depth(self);
            return 1;
        }
        fail_input(self, next->name, &error);
    }
    if (!self->at_end)
        hint_at_depth(self);
    self->at_end = 1;
    return 0;
}

/* Returns whether the frame is in flight now. */
static int submit(flights *self, const flight *next)
{
    sono_error error;
    if (stop_status() || self->has_stopped)
        return 0;
    const sono_status status = self->prompts
                                   ? sono_pipeline_submit_prompts(self->pipeline, &next->image, &next->info,
                                                                  self->prompts, self->n_prompts, &error)
                                   : sono_pipeline_submit(self->pipeline, &next->image, &next->info, &error);
    if (status == SONO_STATUS_OK)
        return 1;
    fail_input(self, next->name, &error);
    self->has_stopped = status == SONO_STATUS_DEVICE;
    return 0;
}

const uint8_t *flights_best_mask(const sono_packet *packet)
{
    sono_map_view view;
    return sono_packet_map(packet, 0, SONO_MAP_MASK, &view) == SONO_STATUS_OK ? view.data : NULL;
}

static void count_packet(flights *self, const sono_packet *packet)
{
    char state[48];
    self->n_frames++;
    self->n_lost += packet->state == SONO_STATE_LOST;
    samples_add(&self->latencies_ms, packet->latency_ms);
    snprintf(state, sizeof state, "%s %.2f", sono_state_name(packet->state),
             (double)sono_packet_object(packet, 0)->score);
    show_progress(self, state);
}

/* Waits for the frame in flight; NULL when there is no packet. */
static const sono_packet *receive(flights *self, const flight *current)
{
    sono_error error;
    const sono_packet *packet = NULL;
    if (sono_pipeline_receive(self->pipeline, &packet, &error) == SONO_STATUS_OK)
        return packet;
    fail_input(self, current->name, &error);
    self->has_stopped = 1;
    return NULL;
}

static void hand_on(flights *self, const flight *current, const sono_packet *packet)
{
    sono_error error;
    if (self->take(self->user, current, packet, &error) == SONO_STATUS_OK) {
        count_packet(self, packet);
    } else {
        fail_input(self, current->name, &error);
        self->has_stopped = 1;
    }
    sono_packet_release(self->pipeline, packet);
}

/* A frame's latency holds no waiting for another: it is submitted when the one before it has been received.
 */
static void fly(flights *self)
{
    flight current = {0}, next = {0};
    int is_flying = 0;
    while (!self->has_stopped) {
        const int has_next = read_next(self, &next);
        if (!is_flying && !has_next)
            break;
        const sono_packet *packet = is_flying ? receive(self, &current) : NULL;
        is_flying = has_next && submit(self, &next);
        if (packet)
            hand_on(self, &current, packet);
        current = next;
    }
}

int flights_run(flights *self)
{
    stop_watch();
    const double started_s = now_s();
    progress_start(&self->bar, n_to_read(self), !self->is_quiet);
    show_progress(self, "");
    fly(self);
    progress_clear(&self->bar);
    self->elapsed_s = now_s() - started_s;
    if (stop_status())
        return stop_status();
    return self->n_failed ? STATUS_FAILED : STATUS_DONE;
}

void flights_free(flights *self)
{
    samples_free(&self->latencies_ms);
}
