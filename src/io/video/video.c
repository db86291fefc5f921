// SPDX-License-Identifier: Apache-2.0
/* A video as frames, by the ffmpeg command. Debian's libraries of ffmpeg are under the GPL: a command beside
 * us is not part of this library. */
#include "io/source.h"

#include "base/alloc.h"
#include "io/video/child.h"
#include "io/video/times.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define PIECE_BYTES ((size_t)64 << 10)

typedef struct video {
    sono_source base;
    sono_source_options options;
    char *path;
    int has_no_container;
    sono_video_child child;
    sono_video_times times;
    uint8_t *pending; /* pixels that were read, and not given */
    size_t n_pending, pending_capacity;
    size_t frame_bytes; /* of the first and so of all frames; 0 = none was announced yet */
    uint8_t **images;   /* [n_held] */
    char **names;       /* [n_held] */
    size_t name_bytes;
    int64_t n_given;
    int has_failed; /* with an entry of its own */
    int has_ended;  /* likewise, or there are no more */
} video;

/* ---- frames -------------------------------------------------------------------------------------------- */

static int64_t count_frames(const sono_source *source)
{
    const video *self = (const void *)source;
    return self->has_ended ? self->n_given + self->has_failed : -1;
}

static size_t pixel_count(const video *self)
{
    return (size_t)self->times.width_px * (size_t)self->times.height_px;
}

/* Pixels that are read ahead of their announcement are few, but ffmpeg decides how many. */
static size_t pending_limit(const video *self)
{
    const int64_t most = self->options.max_pixels < INT64_MAX / 8 ? self->options.max_pixels : INT64_MAX / 8;
    return self->frame_bytes ? self->frame_bytes : (size_t)most * 3;
}

static sono_status read_pixels(video *self, sono_error *error)
{
    const size_t left = pending_limit(self) - self->n_pending,
                 wanted = left < PIECE_BYTES ? left : PIECE_BYTES;
    void *pending = self->pending;
    size_t n;
    if (sono_alloc_grow(&pending, &self->pending_capacity, self->n_pending + wanted, 1))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    self->pending = pending;
    SONO_TRY(sono_video_child_read(&self->child, SONO_VIDEO_PIXELS, self->pending + self->n_pending,
                                   self->frame_bytes ? left : wanted, &n, self->path, error));
    self->n_pending += n;
    return SONO_STATUS_OK;
}

static sono_status read_times(video *self, sono_error *error)
{
    char text[4096];
    size_t n;
    SONO_TRY(sono_video_child_read(&self->child, SONO_VIDEO_TIMES, text, sizeof text, &n, self->path, error));
    return sono_video_times_take(&self->times, text, n, self->path, error);
}

static sono_status read_some(video *self, sono_error *error)
{
    sono_video_pipe ready;
    SONO_TRY(sono_video_child_wait(&self->child, self->n_pending < pending_limit(self), &ready, self->path,
                                   error));
    return ready == SONO_VIDEO_PIXELS ? read_pixels(self, error) : read_times(self, error);
}

/* All of ffmpeg's pipes have ended: why? */
static sono_status finish(video *self, sono_error *error)
{
    char reason[300];
    sono_video_child_close(&self->child, 1);
    sono_video_child_reason(&self->child, reason, sizeof reason);
    if (!self->child.has_failed && !*reason && !self->n_pending && self->n_given)
        return SONO_STATUS_END;
    if (!self->n_given)
        return SONO_FAIL(error, FORMAT, "%s: no frame can be read: ffmpeg says: %s", self->path,
                         *reason ? reason : "nothing");
    return SONO_FAIL(error, FORMAT, "%s: damaged or cut short behind frame %lld: ffmpeg says: %s", self->path,
                     (long long)self->n_given, *reason ? reason : "nothing");
}

static sono_status check_size(const video *self, int64_t n_bytes, sono_error *error)
{
    const int64_t width = self->times.width_px, height = self->times.height_px;
    const int64_t side = width > height ? width : height, most = self->options.keep_colour ? 3 : 2;
    if (width * height > self->options.max_pixels)
        return SONO_FAIL(error, LIMIT,
                         "%s: frames of %lld x %lld pixels, more than the %lld that are allowed", self->path,
                         (long long)width, (long long)height, (long long)self->options.max_pixels);
    if (self->options.max_side_px && side > self->options.max_side_px)
        return SONO_FAIL(error, LIMIT, "%s: frames of %lld x %lld pixels, more than %d on a side", self->path,
                         (long long)width, (long long)height, self->options.max_side_px);
    if (!width || n_bytes % (width * height) || n_bytes < width * height || n_bytes > most * width * height)
        return SONO_FAIL(error, FORMAT, "%s: ffmpeg gives %lld bytes for a frame of %lld x %lld pixels",
                         self->path, (long long)n_bytes, (long long)width, (long long)height);
    return SONO_STATUS_OK;
}

/* The first frame was announced: its size is that of all. */
static sono_status make_images(video *self, int64_t n_bytes, sono_error *error)
{
    SONO_TRY(check_size(self, n_bytes, error));
    for (int32_t i = 0; i < self->options.n_held; i++)
        if (!(self->images[i] = sono_alloc((size_t)n_bytes)))
            return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    void *pending = self->pending;
    if (sono_alloc_grow(&pending, &self->pending_capacity, (size_t)n_bytes, 1))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    self->pending = pending;
    self->frame_bytes = (size_t)n_bytes;
    return SONO_STATUS_OK;
}

static sono_status announce(video *self, sono_video_time *out, sono_error *error)
{
    const sono_video_time *item;
    while (!(item = sono_video_times_next(&self->times))) {
        const sono_status status = read_some(self, error);
        if (status != SONO_STATUS_OK)
            return status == SONO_STATUS_END ? finish(self, error) : status;
    }
    *out = *item;
    if (!self->frame_bytes)
        SONO_TRY(make_images(self, item->n_bytes, error));
    if ((size_t)out->n_bytes != self->frame_bytes)
        return SONO_FAIL(
            error, UNSUPPORTED,
            "%s: frame %lld has another size than those before it: cut the video there, or bring "
            "its frames to one size (ffmpeg -i IN OUT does)",
            self->path, (long long)self->n_given + 1);
    return SONO_STATUS_OK;
}

static sono_status read_frame(video *self, sono_video_time *time, sono_error *error)
{
    SONO_TRY(announce(self, time, error));
    while (self->n_pending < self->frame_bytes) {
        const sono_status status = read_some(self, error);
        if (status != SONO_STATUS_OK)
            return status == SONO_STATUS_END ? finish(self, error) : status;
    }
    uint8_t *image = self->images[self->n_given % self->options.n_held];
    memcpy(image, self->pending, self->frame_bytes);
    self->n_pending -= self->frame_bytes;
    memmove(self->pending, self->pending + self->frame_bytes, self->n_pending);
    return SONO_STATUS_OK;
}

static void lend(const video *self, int64_t slot, sono_image *image)
{
    const size_t pixel_bytes = self->frame_bytes / pixel_count(self);
    image->pixels = self->images[slot];
    image->width_px = self->times.width_px;
    image->height_px = self->times.height_px;
    image->pitch_bytes = (size_t)self->times.width_px * pixel_bytes;
    image->format = pixel_bytes == 1   ? SONO_PIXEL_GRAY8
                    : pixel_bytes == 2 ? SONO_PIXEL_GRAY16
                                       : SONO_PIXEL_RGB8;
    image->gray16_white = pixel_bytes == 2 ? 65535 : 0;
}

/* "a/b.mp4" -> "a/b_f0001.mp4" */
static const char *name_frame(video *self, int64_t slot)
{
    const char *slash = strrchr(self->path, '/'), *file = slash ? slash + 1 : self->path,
               *dot = strrchr(file, '.'), *suffix = dot && dot != file ? dot : file + strlen(file);
    snprintf(self->names[slot], self->name_bytes, "%.*s_f%04lld%s", (int)(suffix - self->path), self->path,
             (long long)self->n_given + 1, suffix);
    return self->names[slot];
}

/* What a finished video needs no more; what it lent stays. */
static void stop(video *self)
{
    sono_video_child_close(&self->child, 0);
    sono_video_times_reset(&self->times);
    sono_free(self->pending);
    self->pending = NULL;
    self->n_pending = self->pending_capacity = 0;
    self->has_ended = 1;
}

static sono_status next_frame(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    video *self = (void *)source;
    sono_video_time time = {0};
    if (self->has_ended)
        return SONO_STATUS_END;
    const int64_t slot = self->n_given % self->options.n_held;
    frame->info.frame_id = (uint64_t)self->n_given;
    const sono_status status = read_frame(self, &time, error);
    if (status != SONO_STATUS_OK) {
        *name = self->path;
        self->has_failed = status != SONO_STATUS_END;
        stop(self);
        return status;
    }
    *name = name_frame(self, slot);
    frame->info.timestamp_ns = self->has_no_container ? 0 : time.time_ns;
    lend(self, slot, &frame->image);
    self->n_given++;
    return SONO_STATUS_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void close_video(sono_source *source)
{
    video *self = (void *)source;
    stop(self);
    sono_source_free_held(self->images, self->names, self->options.n_held);
    sono_free(self->path);
    sono_free(self);
}

/* A bare stream has no times: those that ffmpeg makes up are not taken over. */
static int is_bare(const char *path)
{
    static const char *const suffixes[] = {".mjpeg", ".mjpg", ".h264", ".264"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!strcasecmp(dot, suffixes[i]))
            return 1;
    return 0;
}

static sono_status make_rings(video *self, sono_error *error)
{
    const size_t n_held = (size_t)self->options.n_held;
    self->images = sono_alloc_array(n_held, sizeof *self->images);
    self->names = sono_alloc_array(n_held, sizeof *self->names);
    self->name_bytes = strlen(self->path) + 32;
    int is_whole = self->images && self->names;
    for (size_t i = 0; is_whole && i < n_held; i++) {
        self->names[i] = sono_alloc(self->name_bytes);
        is_whole = self->names[i] != NULL;
    }
    return is_whole ? SONO_STATUS_OK : SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
}

static sono_status fill(video *self, const char *path, const sono_source_options *options, sono_error *error)
{
    struct stat facts;
    SONO_TRY(sono_source_options_read(options, &self->options, error));
    self->path = sono_strdup(path);
    if (!self->path)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    SONO_TRY(make_rings(self, error));
    if (stat(path, &facts))
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return SONO_FAIL(error, IO, "%s: not a regular file: a video cannot come from a pipe or a device",
                         path);
    self->has_no_container = is_bare(path);
    const sono_video_wish wish = {self->path, self->options.keep_colour, self->has_no_container};
    return sono_video_child_start(&self->child, &wish, error);
}

static const sono_source_ops video_ops = {.count = count_frames, .next = next_frame, .close = close_video};

sono_status sono_source_open_video(const char *path, const sono_source_options *options, sono_source **out,
                                   sono_error *error)
{
    if (!path || !*path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a video's path and out must be given");
    video *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    self->base.ops = &video_ops;
    const sono_status status = fill(self, path, options, error);
    if (status != SONO_STATUS_OK) {
        close_video(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
