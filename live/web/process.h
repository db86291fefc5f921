// SPDX-License-Identifier: Apache-2.0
/* What this process takes of the machine, from /proc. One thread. */
#ifndef SONO_WEB_PROCESS_H
#define SONO_WEB_PROCESS_H

#include <stdint.h>

typedef struct sono_web_process {
    int32_t pid;
    double cpu_seconds; /* user and system, since it began */
    double cpu_percent; /* of one core, since the last sample */
    double start_utc_s;
    uint64_t resident_bytes, virtual_bytes;
    int64_t n_threads, n_open_fds, max_fds;
    int64_t sampled_ns; /* monotonic; 0 = never */
} sono_web_process;

/* now_ns: monotonic. What is not there stays 0. */
void sono_web_process_sample(sono_web_process *process, int64_t now_ns);

#endif
