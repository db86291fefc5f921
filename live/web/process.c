// SPDX-License-Identifier: Apache-2.0
#include "web/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t count_fds(void)
{
    int64_t n = -1; /* the folder's own */
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(folder);
    return n;
}

/* Seconds since 1970 when the process began: its ticks since the machine's start. */
static double start_of(unsigned long long ticks, double ticks_a_second)
{
    struct timespec utc, since_boot;
    clock_gettime(CLOCK_REALTIME, &utc);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return (double)(utc.tv_sec - since_boot.tv_sec) + (double)(utc.tv_nsec - since_boot.tv_nsec) * 1e-9 +
           (double)ticks / ticks_a_second;
}

void sono_web_process_sample(sono_web_process *process, int64_t now_ns)
{
    char text[1024];
    unsigned long long user = 0, system = 0, start = 0, virtual_bytes = 0;
    long long threads = 0, pages = 0;
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    struct rlimit limit;
    FILE *file = fopen("/proc/self/stat", "re");
    const size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) {
        fclose(file);
    }
    text[n] = 0;
    const char *fields = strrchr(text, ')'); /* the name before may hold anything */
    process->pid = (int32_t)getpid();
    if (fields &&
        sscanf(fields + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %lld %*d %llu "
               "%llu %lld",
               &user, &system, &threads, &start, &virtual_bytes, &pages) == 6) {
        const double seconds = (double)(user + system) / ticks;
        const double span_s = (double)(now_ns - process->sampled_ns) * 1e-9;
        if (process->sampled_ns && span_s > 0) {
            process->cpu_percent = 100 * (seconds - process->cpu_seconds) / span_s;
        }
        process->cpu_seconds = seconds;
        process->n_threads = threads;
        process->resident_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
        process->virtual_bytes = virtual_bytes;
        process->start_utc_s = process->start_utc_s > 0 ? process->start_utc_s : start_of(start, ticks);
    }
    process->n_open_fds = count_fds();
    process->max_fds = getrlimit(RLIMIT_NOFILE, &limit) ? 0 : (int64_t)limit.rlim_cur;
    process->sampled_ns = now_ns;
}
