// SPDX-License-Identifier: Apache-2.0
/* Several pipelines of one configuration: on the devices of a list, some on each. */
#ifndef SONOSEG_TOOL_FLEET_H
#define SONOSEG_TOOL_FLEET_H

#include "archive.h"
#include "pipeline_args.h"

#define FLEET_NAME_BYTES 40

typedef struct fleet {
    const char *device; /* "cuda:all" or "cuda:0,2"; NULL = the configuration's one device */
    int32_t n_each;     /* pipelines a device; 0 = 1 */
    /* Filled in by fleet_open(). */
    char names[ARCHIVE_MAX_PIPELINES]
              [FLEET_NAME_BYTES]; /* "cuda:1", "cuda:1#2" for the second of several there */
    sono_pipeline *pipelines[ARCHIVE_MAX_PIPELINES];
    int32_t n;
} fleet;

/* Takes --device: what names several devices; returns 1, 0 where it names one, -1 after report_error(). */
int fleet_take_device(fleet *self, const char *value);

/* Whether there will be more than one pipeline. */
int fleet_is_many(const fleet *self);

/* Where GPUs are named: shows the driver, which sets up every GPU that it sees, those up to the last that is
 * used, so that they keep their numbers; an environment that has CUDA_VISIBLE_DEVICES already decides for
 * itself. To be called before the driver is asked anything, and while there is one thread. */
void fleet_hide_gpus(const fleet *self, const pipeline_args *args);

/* Opens all of them, those on GPUs at the same time. n_slots, batch and all else are args' configuration's;
 * its CPU threads are shared out. Returns an exit status after reporting. */
int fleet_open(fleet *self, pipeline_args *args);

void fleet_close(fleet *self);

#endif
