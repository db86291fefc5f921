// SPDX-License-Identifier: Apache-2.0
/*
 * What the threads of an archive share. Everything below is under the mutex, but for what a job's state gives
 * to one thread: READ and NAMED are queued, FLYING is a driver's, WRITING a worker's, and of the jobs in
 * front of the window the one committer's.
 */
#ifndef SONOSEG_TOOL_ARCHIVE_PRIVATE_H
#define SONOSEG_TOOL_ARCHIVE_PRIVATE_H

#include "archive.h"
#include "deep.h"
#include "progress.h"

#include <pthread.h>

typedef enum job_state {
    JOB_READ,      /* waits for a driver */
    JOB_FLYING,    /* a driver's */
    JOB_COMPUTED,  /* has its packet, waits for those before it */
    JOB_WRITING,   /* waits for a worker, or is one's */
    JOB_WRITTEN,   /* its pictures are there */
    JOB_KEPT,      /* was done before */
    JOB_ELSEWHERE, /* another run's */
    JOB_FAILED,    /* error says why */
    JOB_DROPPED    /* the run ends before it */
} job_state;

typedef struct job {
    job_state state;
    shot *shot;
    sono_packet *packet; /* a copy */
    sono_sink_entry *entry;
    sono_error error;
    int wants_overlay;
    int is_breaking; /* its failure ends the run */
} job;

/* Jobs by their numbers, first in first out; capacity: the window's. */
typedef struct job_queue {
    int64_t *numbers;
    int32_t capacity, first, count;
} job_queue;

typedef struct archive_flow archive_flow;

typedef struct driver {
    archive_flow *flow;
    archive_pipeline *which;
    pthread_t thread;
    int has_thread;
    int64_t *flying; /* [n_flying], in order of submission */
    int32_t n_flying, n_batches;
    int32_t batch_sizes[4]; /* of those in flight, in order */
    int64_t *taken;         /* [batch] */
    int64_t *again;         /* [5 * batch]: of a pipeline that failed */
    const sono_packet **packets;
    double busy_from_s, busy_s; /* with a batch in flight */
} driver;

struct archive_flow {
    archive *out;
    pthread_mutex_t mutex;
    pthread_cond_t for_workers, for_drivers, for_main;
    job *jobs; /* job k lies in jobs[k % window] */
    int32_t window;
    int64_t n_given, n_named, n_committed; /* jobs that were given a number, a name, and are done with */
    job_queue ready, to_write;
    int is_stopping; /* nothing more is read */
    int is_broken;   /* ... and not because the user wants it so */
    int is_past_end; /* the committer's: no further line is added */
    int is_committing, is_done;
    int32_t n_alive;  /* pipelines */
    int32_t n_flying; /* jobs of all drivers */
    int has_state;
    sono_state state; /* of the frame named last */
    deep deep;        /* the hint at 16-bit samples of fewer bits */
    double reading_s, writing_s;
    driver drivers[ARCHIVE_MAX_PIPELINES];
    /* What is on the terminal; never taken while the other is held. */
    pthread_mutex_t print;
    progress bar;
    char last_state[48];
};

job *archive_job(archive_flow *flow, int64_t number);

void job_queue_add(job_queue *queue, int64_t number);
void job_queue_add_first(job_queue *queue, int64_t number);
int64_t job_queue_take(job_queue *queue); /* -1 = empty */

/* Under the mutex: moves on whatever can be: gives numbers to frames that were read, names to what was
 * computed, and commits what was written, for which it lets go of the mutex for a while. */
void archive_advance(archive_flow *flow);

/* Under the mutex: nothing more is read, and what waits for a driver is dropped. */
void archive_stop(archive_flow *flow, int is_broken);

/* Under the mutex: the same, for a job that fails in a way that ends the run. */
void archive_break(archive_flow *flow, job *at);

/* Under the mutex: whether everything is done; tells all threads. */
int archive_end(archive_flow *flow);

/* Whether drivers may see further frames. */
int archive_expects_more(const archive_flow *flow);

/* Threads. user: archive_flow, and driver. */
void *archive_worker(void *user);
void *archive_driver(void *user);

#endif
