// SPDX-License-Identifier: Apache-2.0
#include "io/video/child.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMES_DESCRIPTOR 3 /* of the child */
#define PIPE_BYTES       (1 << 20)

extern char **environ;

/* ---- starting ------------------------------------------------------------------------------------------ */

typedef struct ends {
    int read, write;
} ends;

static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

/* The child's ends must not be numbers that it gives another meaning. */
static int make_pipe(ends *made)
{
    int both[2];
    if (pipe2(both, O_CLOEXEC))
        return -1;
    const int moved = fcntl(both[1], F_DUPFD_CLOEXEC, TIMES_DESCRIPTOR + 1);
    const int code = errno;
    close(both[1]);
    *made = (ends){both[0], moved};
    errno = code;
    return moved < 0 ? -1 : 0;
}

static int make_pipes(ends pipes[SONO_VIDEO_PIPES])
{
    for (int i = 0; i < SONO_VIDEO_PIPES; i++)
        pipes[i] = (ends){-1, -1};
    for (int i = 0; i < SONO_VIDEO_PIPES; i++)
        if (make_pipe(&pipes[i]))
            return -1;
    (void)fcntl(pipes[SONO_VIDEO_PIXELS].read, F_SETPIPE_SZ, PIPE_BYTES); /* a smaller one does as well */
    return 0;
}

/* A group of its own, so that Ctrl-C is for us alone; signals as a program starts with them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigemptyset(&all);
    sigaddset(&all, SIGPIPE);
    sigaddset(&all, SIGINT);
    sigaddset(&all, SIGTERM);
    int code = posix_spawnattr_setflags(
        attributes, (short)(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    code = code ? code : posix_spawnattr_setpgroup(attributes, 0);
    code = code ? code : posix_spawnattr_setsigmask(attributes, &none);
    return code ? code : posix_spawnattr_setsigdefault(attributes, &all);
}

static int set_actions(posix_spawn_file_actions_t *actions, const ends pipes[SONO_VIDEO_PIPES])
{
    static const int numbers[SONO_VIDEO_PIPES] = {STDOUT_FILENO, TIMES_DESCRIPTOR, STDERR_FILENO};
    int code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < SONO_VIDEO_PIPES && !code; i++)
        code = posix_spawn_file_actions_adddup2(actions, pipes[i].write, numbers[i]);
    return code;
}

/* Returns errno's code. */
static int spawn(sono_video_child *child, const char *const *words, const ends pipes[SONO_VIDEO_PIPES])
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    pid_t id;
    int code = posix_spawnattr_init(&attributes);
    if (code)
        return code;
    code = posix_spawn_file_actions_init(&actions);
    if (!code) {
        code = set_attributes(&attributes);
        code = code ? code : set_actions(&actions, pipes);
        code = code ? code
                    : posix_spawnp(&id, words[0], &actions, &attributes, (char *const *)(uintptr_t)words,
                                   environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    if (!code)
        child->id = id;
    return code;
}

static sono_status fail_start(int code, const char *path, sono_error *error)
{
    if (code == ENOENT)
        return SONO_FAIL_NATIVE(error, UNSUPPORTED, code,
                                "%s: a video is read by the command ffmpeg, which is not there: install the "
                                "Debian package ffmpeg (apt-get install ffmpeg)",
                                path);
    if (code == ENOMEM)
        return SONO_FAIL_NATIVE(error, OUT_OF_MEMORY, code, "%s: out of memory for starting ffmpeg", path);
    if (code == EMFILE || code == ENFILE || code == EAGAIN)
        return SONO_FAIL_NATIVE(error, LIMIT, code, "%s: ffmpeg cannot be started: %s", path, strerror(code));
    return SONO_FAIL_NATIVE(error, IO, code, "%s: ffmpeg cannot be started: %s", path, strerror(code));
}

/* words: see below. All that ffmpeg is told: to open this file and nothing else, in a format of our list; to
 * stop at the first error; to decode the first video stream to grey (or colour), every frame once, in its own
 * size; and to write the frames to one pipe, what it knows of them to another. */
static int start(sono_video_child *child, const sono_video_wish *wish, const char *file,
                 const ends pipes[SONO_VIDEO_PIPES])
{
    static const char containers[] = "avi,mov,matroska,mpeg,mpegts,asf,flv,ogg";
    static const char streams[] = "mjpeg,jpeg_pipe,h264";
    static const char grey[] = "[0:V:0]format=pix_fmts=gray|gray16le,settb=1/1000000000,split[said][seen]";
    static const char colour[] =
        "[0:V:0]format=pix_fmts=gray|gray16le|rgb24,settb=1/1000000000,split[said][seen]";
    const char *const words[] = {"ffmpeg",
                                 "-nostdin",
                                 "-hide_banner",
                                 "-loglevel",
                                 "error",
                                 "-xerror",
                                 "-err_detect",
                                 "explode",
                                 "-protocol_whitelist",
                                 "file",
                                 "-format_whitelist",
                                 wish->has_no_container ? streams : containers,
                                 "-i",
                                 file,
                                 "-filter_complex",
                                 wish->keep_colour ? colour : grey,
                                 "-map",
                                 "[said]",
                                 "-c:v",
                                 "rawvideo",
                                 "-fps_mode",
                                 "passthrough",
                                 "-autoscale",
                                 "0",
                                 "-enc_time_base",
                                 "1:1000000000",
                                 "-flush_packets",
                                 "1",
                                 "-f",
                                 "framecrc",
                                 "pipe:3",
                                 "-map",
                                 "[seen]",
                                 "-c:v",
                                 "rawvideo",
                                 "-fps_mode",
                                 "passthrough",
                                 "-autoscale",
                                 "0",
                                 "-enc_time_base",
                                 "1:1000000000",
                                 "-flush_packets",
                                 "1",
                                 "-f",
                                 "rawvideo",
                                 "pipe:1",
                                 NULL};
    return spawn(child, words, pipes);
}

sono_status sono_video_child_start(sono_video_child *child, const sono_video_wish *wish, sono_error *error)
{
    static const char scheme[] = "file:"; /* so that no path is taken for an option or a protocol */
    ends pipes[SONO_VIDEO_PIPES];
    const size_t n_bytes = sizeof scheme + strlen(wish->path);
    char *file = sono_alloc(n_bytes);
    *child = (sono_video_child){.pipes = {-1, -1, -1}};
    if (!file)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", wish->path);
    snprintf(file, n_bytes, "%s%s", scheme, wish->path);
    const int code = make_pipes(pipes) ? errno : start(child, wish, file, pipes);
    sono_free(file);
    for (int i = 0; i < SONO_VIDEO_PIPES; i++) {
        close_one(&pipes[i].write);
        if (code)
            close_one(&pipes[i].read);
        child->pipes[i] = pipes[i].read;
    }
    return code ? fail_start(code, wish->path, error) : SONO_STATUS_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* What does not fit is read and forgotten, so that ffmpeg never waits for us. */
static sono_status read_reason(sono_video_child *child, const char *path, sono_error *error)
{
    char piece[512];
    size_t n;
    SONO_TRY(sono_video_child_read(child, SONO_VIDEO_REASON, piece, sizeof piece, &n, path, error));
    const size_t room = sizeof child->reason - 1 - child->n_reason, kept = n < room ? n : room;
    memcpy(child->reason + child->n_reason, piece, kept);
    child->n_reason += kept;
    return SONO_STATUS_OK;
}

sono_status sono_video_child_wait(sono_video_child *child, int wants_pixels, sono_video_pipe *ready,
                                  const char *path, sono_error *error)
{
    for (;;) {
        struct pollfd polled[SONO_VIDEO_PIPES];
        int n_open = 0;
        for (int i = 0; i < SONO_VIDEO_PIPES; i++) {
            const int is_wanted = i != SONO_VIDEO_PIXELS || wants_pixels;
            polled[i] = (struct pollfd){.fd = is_wanted ? child->pipes[i] : -1, .events = POLLIN};
            n_open += polled[i].fd >= 0;
        }
        if (!n_open)
            return SONO_STATUS_END;
        if (poll(polled, SONO_VIDEO_PIPES, -1) < 0) {
            if (errno == EINTR)
                continue;
            return SONO_FAIL_NATIVE(error, IO, errno, "%s: ffmpeg's pipes cannot be watched: %s", path,
                                    strerror(errno));
        }
        if (polled[SONO_VIDEO_REASON].revents)
            SONO_TRY(read_reason(child, path, error));
        for (int i = SONO_VIDEO_TIMES; i >= SONO_VIDEO_PIXELS; i--)
            if (polled[i].revents) {
                *ready = (sono_video_pipe)i;
                return SONO_STATUS_OK;
            }
    }
}

sono_status sono_video_child_read(sono_video_child *child, sono_video_pipe which, void *out, size_t n_bytes,
                                  size_t *n, const char *path, sono_error *error)
{
    ssize_t got;
    do
        got = read(child->pipes[which], out, n_bytes);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: ffmpeg's pipe cannot be read: %s", path,
                                strerror(errno));
    *n = (size_t)got;
    if (!got)
        close_one(&child->pipes[which]);
    return SONO_STATUS_OK;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

void sono_video_child_close(sono_video_child *child, int has_ended)
{
    int state = 0;
    pid_t got;
    if (!child->id)
        return;
    if (!has_ended)
        kill(-child->id, SIGKILL); /* its group: also what it may have started */
    for (int i = 0; i < SONO_VIDEO_PIPES; i++)
        close_one(&child->pipes[i]);
    do
        got = waitpid(child->id, &state, 0);
    while (got < 0 && errno == EINTR);
    /* A program that ignores SIGCHLD lets nobody know how its children ended. */
    child->has_failed = got == child->id && !(WIFEXITED(state) && !WEXITSTATUS(state));
    child->id = 0;
}

/* "[h264 @ 0x55d0] what" -> "what" */
static const char *behind_address(const char *line, const char *end)
{
    const char *bracket = *line == '[' ? memchr(line, ']', (size_t)(end - line)) : NULL;
    return bracket && bracket + 1 < end && bracket[1] == ' ' ? bracket + 2 : line;
}

void sono_video_child_reason(const sono_video_child *child, char *out, size_t out_bytes)
{
    const char *line = child->reason, *all = child->reason + child->n_reason;
    size_t n_out = 0;
    out[0] = 0;
    while (line < all && n_out < out_bytes) {
        const char *end = memchr(line, '\n', (size_t)(all - line));
        end = end ? end : all;
        const char *text = behind_address(line, end);
        if (end > text)
            n_out += (size_t)snprintf(out + n_out, out_bytes - n_out, "%s%.*s", n_out ? "; " : "",
                                      (int)(end - text), text);
        line = end + 1;
    }
}
