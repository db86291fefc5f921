// SPDX-License-Identifier: Apache-2.0
#include "serve/lines.h"
#include "error/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES  (256 * 1024)
#define CHUNK_BYTES (16 * 1024)
#define LINGER_MS   100 /* lines that come in between are written at once */
#define CLOSE_MS    500

struct sono_serve_lines {
    char path[512]; /* "" = standard error */
    char head[256];
    int fd; /* the thread's */
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* on the monotonic clock; told of lines, of the end, and by the thread of its own */
    pthread_t thread;
    size_t from, n_bytes; /* of the ring */
    uint64_t n_dropped;
    int is_over, is_ended, is_abandoned, wants_reopen, wants_sync;
    sono_serve_rotation rotation; /* n_kept 0 = none */
    pthread_t packer;             /* the thread's: of the file that was put aside last */
    int has_packer;
    char ring[RING_BYTES];
};

static void deadline_after(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    int64_t ns = t->tv_nsec + ms * 1000000;
    t->tv_sec += ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
}

/* A failure (disk full, reader gone) loses the lines, nothing else. */
static void write_all(int fd, const char *bytes, size_t n_bytes)
{
    while (n_bytes) {
        ssize_t n = write(fd, bytes, n_bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        bytes += n;
        n_bytes -= (size_t)n;
    }
}

static int open_file(const sono_serve_lines *lines)
{
    struct stat facts;
    if (!lines->path[0]) {
        return STDERR_FILENO;
    }
    int fd = open(lines->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd >= 0 && lines->head[0] && !fstat(fd, &facts) && facts.st_size == 0) {
        write_all(fd, lines->head, strlen(lines->head));
    }
    return fd;
}

static void close_file(int fd)
{
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

static void destroy(sono_serve_lines *lines)
{
    close_file(lines->fd);
    pthread_mutex_destroy(&lines->mutex);
    pthread_cond_destroy(&lines->cond);
    free(lines);
}

/* Out of the ring into chunk, as much as fits; its length. */
static size_t take(sono_serve_lines *lines, char *chunk)
{
    size_t n = lines->n_bytes < CHUNK_BYTES ? lines->n_bytes : CHUNK_BYTES;
    size_t first = RING_BYTES - lines->from < n ? RING_BYTES - lines->from : n;
    memcpy(chunk, lines->ring + lines->from, first);
    memcpy(chunk + first, lines->ring, n - first);
    lines->from = (lines->from + n) % RING_BYTES;
    lines->n_bytes -= n;
    return n;
}

static void reopen(sono_serve_lines *lines)
{
    int fd = open_file(lines);
    if (fd >= 0) {
        close_file(lines->fd);
        lines->fd = fd;
    }
}

static void *pack(void *user)
{
    sono_serve_rotate_compress(((const sono_serve_lines *)user)->path);
    return NULL;
}

static void join_packer(sono_serve_lines *lines)
{
    if (lines->has_packer) {
        pthread_join(lines->packer, NULL);
        lines->has_packer = 0;
    }
}

/* A file that is full or old is put aside, and a new one begun. */
static void rotate(sono_serve_lines *lines, const sono_serve_rotation *rotation)
{
    struct stat facts;
    const int64_t now_s = time(NULL);
    if (rotation->n_kept < 1 || !lines->path[0] || fstat(lines->fd, &facts) ||
        !sono_serve_rotate_is_due(rotation, facts.st_size, sono_serve_rotate_made(lines->fd, now_s), now_s)) {
        return;
    }
    join_packer(lines);
    if (!sono_serve_rotate_aside(lines->path, rotation->n_kept)) {
        reopen(lines);
        lines->has_packer = !pthread_create(&lines->packer, NULL, pack, lines);
    }
}

static void *work(void *user)
{
    sono_serve_lines *lines = user;
    char chunk[CHUNK_BYTES];
    struct timespec linger;
    pthread_mutex_lock(&lines->mutex);
    while (!lines->is_over || lines->n_bytes) {
        if (!lines->n_bytes && !lines->wants_reopen) {
            pthread_cond_wait(&lines->cond, &lines->mutex);
            continue;
        }
        int wants_reopen = lines->wants_reopen, wants_sync = lines->wants_sync;
        const sono_serve_rotation rotation = lines->rotation;
        lines->wants_reopen = 0;
        size_t n = take(lines, chunk);
        pthread_mutex_unlock(&lines->mutex);
        if (wants_reopen) {
            reopen(lines);
        }
        rotate(lines, &rotation);
        write_all(lines->fd, chunk, n);
        if (wants_sync && lines->path[0]) {
            fdatasync(lines->fd); /* fails where a failed write did */
        }
        pthread_mutex_lock(&lines->mutex);
        deadline_after(&linger, LINGER_MS);
        while (!lines->is_over && lines->n_bytes < RING_BYTES / 2 &&
               pthread_cond_timedwait(&lines->cond, &lines->mutex, &linger) == 0) {
        }
    }
    pthread_mutex_unlock(&lines->mutex);
    join_packer(lines);
    pthread_mutex_lock(&lines->mutex);
    lines->is_ended = 1;
    int is_abandoned = lines->is_abandoned;
    pthread_cond_broadcast(&lines->cond);
    pthread_mutex_unlock(&lines->mutex);
    if (is_abandoned) {
        destroy(lines);
    }
    return NULL;
}

static void make_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

sono_status sono_serve_lines_open(const char *path, const char *head, sono_serve_lines **out,
                                  sono_error *error)
{
    sono_serve_lines *lines = calloc(1, sizeof *lines);
    if (!lines) {
        return sono_live_fail(error, SONO_STATUS_OUT_OF_MEMORY, 0, "log", "out of memory");
    }
    memset(lines->ring, ' ', sizeof lines->ring); /* the pages are there: the process does not grow later */
    size_t n_path = strnlen(path, sizeof lines->path - 1), n_head = head ? strlen(head) : 0;
    memcpy(lines->path, path, n_path);
    if (n_head && n_head + 1 < sizeof lines->head) {
        memcpy(lines->head, head, n_head);
        lines->head[n_head] = '\n';
    }
    lines->fd = open_file(lines);
    if (lines->fd < 0) {
        sono_live_fail(error, SONO_STATUS_IO, errno, "log", "%s", path);
        free(lines);
        return SONO_STATUS_IO;
    }
    pthread_mutex_init(&lines->mutex, NULL);
    make_cond(&lines->cond);
    errno = pthread_create(&lines->thread, NULL, work, lines);
    if (errno) {
        sono_live_fail(error, SONO_STATUS_IO, errno, "log", "a thread");
        destroy(lines);
        return SONO_STATUS_IO;
    }
    *out = lines;
    return SONO_STATUS_OK;
}

void sono_serve_lines_put(sono_serve_lines *lines, const char *text)
{
    if (!lines) {
        return;
    }
    size_t n = strlen(text) + 1;
    pthread_mutex_lock(&lines->mutex);
    if (lines->n_bytes + n > RING_BYTES) {
        ++lines->n_dropped;
    } else {
        size_t at = (lines->from + lines->n_bytes) % RING_BYTES;
        for (size_t i = 0; i < n; ++i) {
            unsigned char c = (unsigned char)text[i];
            lines->ring[(at + i) % RING_BYTES] = (char)(i == n - 1 ? '\n' : c < 0x20 || c == 0x7f ? '_' : c);
        }
        if (!lines->n_bytes || lines->n_bytes + n >= RING_BYTES / 2) {
            pthread_cond_broadcast(&lines->cond);
        }
        lines->n_bytes += n;
    }
    pthread_mutex_unlock(&lines->mutex);
}

void sono_serve_lines_rotate(sono_serve_lines *lines, const sono_serve_rotation *rotation)
{
    if (lines) {
        pthread_mutex_lock(&lines->mutex);
        lines->rotation = *rotation;
        pthread_mutex_unlock(&lines->mutex);
    }
}

void sono_serve_lines_sync(sono_serve_lines *lines)
{
    if (lines) {
        pthread_mutex_lock(&lines->mutex);
        lines->wants_sync = 1;
        pthread_mutex_unlock(&lines->mutex);
    }
}

void sono_serve_lines_reopen(sono_serve_lines *lines)
{
    if (!lines || !lines->path[0]) {
        return;
    }
    pthread_mutex_lock(&lines->mutex);
    lines->wants_reopen = 1;
    pthread_cond_broadcast(&lines->cond);
    pthread_mutex_unlock(&lines->mutex);
}

uint64_t sono_serve_lines_dropped(sono_serve_lines *lines)
{
    if (!lines) {
        return 0;
    }
    pthread_mutex_lock(&lines->mutex);
    uint64_t n = lines->n_dropped;
    pthread_mutex_unlock(&lines->mutex);
    return n;
}

void sono_serve_lines_close(sono_serve_lines *lines)
{
    struct timespec deadline;
    if (!lines) {
        return;
    }
    deadline_after(&deadline, CLOSE_MS);
    pthread_mutex_lock(&lines->mutex);
    lines->is_over = 1;
    pthread_cond_broadcast(&lines->cond);
    while (!lines->is_ended && pthread_cond_timedwait(&lines->cond, &lines->mutex, &deadline) == 0) {
    }
    int is_ended = lines->is_ended;
    lines->is_abandoned = !is_ended;
    pthread_t thread = lines->thread; /* what is abandoned may be gone once the mutex is free */
    pthread_mutex_unlock(&lines->mutex);
    if (is_ended) {
        pthread_join(thread, NULL);
        destroy(lines);
    } else {
        pthread_detach(thread);
    }
}
