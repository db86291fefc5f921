// SPDX-License-Identifier: Apache-2.0
#include "serve/snapshot_file.h"
#include "error/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 65536

struct sono_serve_snapshot_file {
    char path[512], part[520];
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_t thread;
    int is_over;
    uint64_t n_failures;
    size_t n_bytes; /* 0 = nothing new */
    char text[TEXT_BYTES], taken[TEXT_BYTES];
};

/* A line end behind it, as text files have. */
static int write_whole(const sono_serve_snapshot_file *file, size_t n_bytes)
{
    const int fd = open(file->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        return -1;
    }
    size_t at = 0;
    while (at < n_bytes) {
        const ssize_t n = write(fd, file->taken + at, n_bytes - at);
        if (n <= 0 && errno != EINTR) {
            break;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    const int failed = close(fd) || at < n_bytes || rename(file->part, file->path);
    return failed ? -1 : 0;
}

static void *work(void *user)
{
    sono_serve_snapshot_file *file = user;
    pthread_mutex_lock(&file->mutex);
    while (!file->is_over || file->n_bytes) {
        if (!file->n_bytes) {
            pthread_cond_wait(&file->cond, &file->mutex);
            continue;
        }
        const size_t n_bytes = file->n_bytes;
        memcpy(file->taken, file->text, n_bytes);
        file->n_bytes = 0;
        pthread_mutex_unlock(&file->mutex);
        const int failed = write_whole(file, n_bytes);
        pthread_mutex_lock(&file->mutex);
        file->n_failures += failed != 0;
    }
    pthread_mutex_unlock(&file->mutex);
    return NULL;
}

sono_status sono_serve_snapshot_file_open(const char *path, sono_serve_snapshot_file **out, sono_error *error)
{
    sono_serve_snapshot_file *file = calloc(1, sizeof *file);
    if (!file) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "snapshot", "out of memory");
    }
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->part, sizeof file->part, "%s.part", file->path);
    pthread_mutex_init(&file->mutex, NULL);
    pthread_cond_init(&file->cond, NULL);
    errno = pthread_create(&file->thread, NULL, work, file);
    if (errno) {
        sono_live_fail(error, SONO_STATUS_IO, errno, "snapshot", "a thread");
        free(file);
        return SONO_STATUS_IO;
    }
    *out = file;
    return SONO_STATUS_OK;
}

void sono_serve_snapshot_file_put(sono_serve_snapshot_file *file, const char *text, size_t n_bytes)
{
    if (!file || n_bytes + 1 > TEXT_BYTES) {
        return;
    }
    pthread_mutex_lock(&file->mutex);
    memcpy(file->text, text, n_bytes);
    file->text[n_bytes] = '\n';
    file->n_bytes = n_bytes + 1;
    pthread_cond_signal(&file->cond);
    pthread_mutex_unlock(&file->mutex);
}

uint64_t sono_serve_snapshot_file_failures(sono_serve_snapshot_file *file)
{
    if (!file) {
        return 0;
    }
    pthread_mutex_lock(&file->mutex);
    const uint64_t n = file->n_failures;
    pthread_mutex_unlock(&file->mutex);
    return n;
}

void sono_serve_snapshot_file_close(sono_serve_snapshot_file *file)
{
    if (!file) {
        return;
    }
    pthread_mutex_lock(&file->mutex);
    file->is_over = 1;
    pthread_cond_signal(&file->cond);
    pthread_mutex_unlock(&file->mutex);
    pthread_join(file->thread, NULL);
    pthread_cond_destroy(&file->cond);
    pthread_mutex_destroy(&file->mutex);
    free(file);
}
