// SPDX-License-Identifier: Apache-2.0
#include "fleet.h"

#include "commands.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICE_BYTES 16

/* One pipeline that is being opened. */
typedef struct opening {
    sono_pipeline_config config;
    char device[DEVICE_BYTES];
    sono_pipeline *pipeline;
    sono_status status;
    sono_error error;
    pthread_t thread;
    int has_thread;
} opening;

int fleet_take_device(fleet *self, const char *value)
{
    const char *list = strncmp(value, "cuda:", 5) ? NULL : value + 5;
    if (!list || (strcmp(list, "all") && !strchr(list, ',')))
        return 0;
    int n = 1;
    for (const char *at = list; strcmp(list, "all") && *at; at++) {
        const int is_first = at == list || at[-1] == ',';
        n += *at == ',';
        if ((*at == ',' && (is_first || !at[1])) || (*at != ',' && (*at < '0' || *at > '9'))) {
            report_error("--device: '%s' is no list like cuda:0,1, and not cuda:all", value);
            return -1;
        }
    }
    if (n > ARCHIVE_MAX_PIPELINES) {
        report_error("--device: '%s' names %d devices: %d are taken", value, n, ARCHIVE_MAX_PIPELINES);
        return -1;
    }
    self->device = value;
    return 1;
}

int fleet_is_many(const fleet *self)
{
    return self->device || self->n_each > 1;
}

/* The ordinals that a list names; how many, or -1 after report_error(). */
static int32_t list_devices(const fleet *self, int32_t out[ARCHIVE_MAX_PIPELINES])
{
    sono_error error;
    int32_t n = 0;
    if (!strcmp(self->device, "cuda:all")) {
        if (sono_device_count(&n, &error)) {
            report_error("--device cuda:all: %s", error.text);
            return -1;
        }
        n = n > ARCHIVE_MAX_PIPELINES ? ARCHIVE_MAX_PIPELINES : n;
        for (int32_t i = 0; i < n; i++)
            out[i] = i;
        return n;
    }
    for (const char *at = self->device + 5; at; at = strchr(at, ',')) {
        at += *at == ',';
        out[n] = (int32_t)strtol(at, NULL, 10);
        for (int32_t i = 0; i < n; i++)
            if (out[i] == out[n]) {
                report_error("--device: '%s' names device %d twice", self->device, out[n]);
                return -1;
            }
        n++;
    }
    return n;
}

void fleet_hide_gpus(const fleet *self, const pipeline_args *args)
{
    char visible[128] = "";
    const char *device = self->device ? self->device : args->config.device;
    if (!device || strncmp(device, "cuda", 4) || !strcmp(device, "cuda:all"))
        return;
    long last = 0;
    for (const char *at = strchr(device, ':'); at; at = strchr(at, ',')) {
        at++;
        const long ordinal = strtol(at, NULL, 10);
        last = ordinal > last ? ordinal : last;
    }
    for (long i = 0; i <= last && i < 16; i++)
        snprintf(visible + strlen(visible), sizeof visible - strlen(visible), "%s%ld", i ? "," : "", i);
    if (last < 16)
        setenv("CUDA_VISIBLE_DEVICES", visible, 0);
}

static void *open_one(void *user)
{
    opening *self = user;
    self->status = sono_pipeline_open(&self->config, &self->pipeline, &self->error);
    return NULL;
}

/* How many threads each of the pipelines on the CPU computes with. */
static int32_t share_of_threads(const pipeline_args *args, int32_t n)
{
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int32_t n_all = args->config.n_threads ? args->config.n_threads : (int32_t)n_cores;
    return n == 1 ? args->config.n_threads : n_all > n ? n_all / n : 1;
}

static void describe(fleet *self, pipeline_args *args, opening *openings, const int32_t *devices,
                     int32_t n_each)
{
    for (int32_t i = 0; i < self->n; i++) {
        opening *at = &openings[i];
        at->config = args->config;
        at->config.n_threads = share_of_threads(args, self->n);
        const char *device = args->config.device ? args->config.device : "auto";
        if (self->device) {
            snprintf(at->device, sizeof at->device, "cuda:%d", devices[i / n_each]);
            at->config.device = device = at->device;
        }
        if (n_each > 1)
            snprintf(self->names[i], FLEET_NAME_BYTES, "%.15s#%d", device, i % n_each + 1);
        else
            snprintf(self->names[i], FLEET_NAME_BYTES, "%.15s", device);
    }
}

/* Pipelines on the CPU one after the other: each takes all cores to get ready. */
static void open_all(opening *openings, int32_t n, int at_once)
{
    for (int32_t i = 0; i < n; i++) {
        opening *at = &openings[i];
        at->has_thread = at_once && i > 0 && !pthread_create(&at->thread, NULL, open_one, at);
        if (!at->has_thread && i > 0)
            open_one(at);
    }
    open_one(&openings[0]);
    for (int32_t i = 0; i < n; i++)
        if (openings[i].has_thread)
            pthread_join(openings[i].thread, NULL);
}

static int report(const fleet *self, const opening *openings)
{
    for (int32_t i = 0; i < self->n; i++)
        if (openings[i].status) {
            if (self->n > 1)
                report_error("%s: %s", self->names[i], openings[i].error.text);
            else
                report_error("%s", openings[i].error.text);
            return openings[i].status == SONO_STATUS_INVALID_ARGUMENT ? STATUS_USAGE : STATUS_FAILED;
        }
    return STATUS_DONE;
}

int fleet_open(fleet *self, pipeline_args *args)
{
    int32_t devices[ARCHIVE_MAX_PIPELINES] = {0}, n_devices = 1;
    const int32_t n_each = self->n_each ? self->n_each : 1;
    if (pipeline_args_open_events(args))
        return STATUS_FAILED;
    if (self->device)
        n_devices = list_devices(self, devices);
    if (n_devices < 0)
        return STATUS_FAILED;
    if (n_devices * n_each > ARCHIVE_MAX_PIPELINES) {
        report_error("%d pipelines on each of %d devices: %d in all are taken", n_each, n_devices,
                     ARCHIVE_MAX_PIPELINES);
        return STATUS_USAGE;
    }
    opening *openings = calloc(ARCHIVE_MAX_PIPELINES, sizeof *openings);
    if (!openings) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    self->n = n_devices * n_each;
    describe(self, args, openings, devices, n_each);
    open_all(openings, self->n, self->device != NULL);
    for (int32_t i = 0; i < self->n; i++)
        self->pipelines[i] = openings[i].pipeline;
    const int status = report(self, openings);
    free(openings);
    if (!status)
        pipeline_args_warn(args, self->pipelines[0]);
    return status;
}

void fleet_close(fleet *self)
{
    for (int32_t i = 0; i < self->n; i++)
        sono_pipeline_close(self->pipelines[i]);
}
