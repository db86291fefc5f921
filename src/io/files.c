// SPDX-License-Identifier: Apache-2.0
/* Images and sequences as one source: children that take their turns, each closed with the whole, so that
 * what they lent stays. */
#include "io/source.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define LEFT_OUT_BYTES 256

typedef struct child {
    sono_source *source; /* NULL: a sequence that has not had its turn, or could not be opened */
    char *path;          /* of a sequence; NULL = images */
    int has_failed;
} child;

typedef struct files {
    sono_source base;
    sono_source_options options;
    char *pose_transform;
    child *children;
    int32_t n_children, at;
    uint64_t n_given;
    char left_out[LEFT_OUT_BYTES];
} files;

static int is_sequence(const char *path)
{
    static const char *const suffixes[] = {".mha", ".mhd", ".nrrd", ".nhdr"};
    struct stat facts;
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!strcasecmp(dot, suffixes[i]))
            return stat(path, &facts) || !S_ISDIR(facts.st_mode);
    return 0;
}

static int64_t count(const sono_source *source)
{
    const files *self = (const void *)source;
    int64_t n = 0;
    for (int32_t i = 0; i < self->n_children; i++)
        n += self->children[i].source ? sono_source_count(self->children[i].source) : 1;
    return n;
}

static const char *path_at(const sono_source *source, int64_t index)
{
    const files *self = (const void *)source;
    for (int32_t i = 0; i < self->n_children; i++) {
        const child *one = &self->children[i];
        const char *path = one->path && !index ? one->path : NULL;
        int64_t n = 1;
        if (!one->path) {
            path = sono_source_path(one->source, index);
            n = path ? 0 : sono_source_count(one->source);
        }
        if (path)
            return path;
        index -= n;
    }
    return NULL;
}

static int64_t left_out(const sono_source *source, const char **suffixes)
{
    const files *self = (const void *)source;
    int64_t n = 0;
    for (int32_t i = 0; i < self->n_children; i++)
        n += sono_source_left_out(self->children[i].source, NULL);
    *suffixes = self->left_out;
    return n;
}

/* The next frame of one child; END when it has no more. */
static sono_status next_of(const files *self, child *current, sono_frame *frame, const char **name,
                           sono_error *error)
{
    if (current->has_failed)
        return SONO_STATUS_END;
    if (!current->source) {
        *name = current->path;
        const sono_status status =
            sono_source_open_sequence(current->path, &self->options, &current->source, error);
        current->has_failed = status != SONO_STATUS_OK;
        SONO_TRY(status);
    }
    return sono_source_next(current->source, &frame->image, &frame->info, name, error);
}

static sono_status next(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    files *self = (void *)source;
    sono_status status = SONO_STATUS_END;
    while (self->at < self->n_children &&
           (status = next_of(self, &self->children[self->at], frame, name, error)) == SONO_STATUS_END)
        self->at++;
    frame->info.frame_id = self->n_given;
    self->n_given += status != SONO_STATUS_END;
    return status;
}

/* The child whose frame was given last. */
static const sono_source *current_of(const files *self)
{
    return self->at < self->n_children ? self->children[self->at].source : NULL;
}

static int32_t count_fields(const sono_source *source)
{
    return sono_source_field_count(current_of((const void *)source));
}

static void get_field(const sono_source *source, int32_t number, sono_source_field *out)
{
    (void)sono_source_field_at(current_of((const void *)source), number, out, NULL);
}

static void close_all(sono_source *source)
{
    files *self = (void *)source;
    for (int32_t i = 0; i < self->n_children; i++) {
        sono_source_close(self->children[i].source);
        sono_free(self->children[i].path);
    }
    sono_free(self->children);
    sono_free(self->pose_transform);
    sono_free(self);
}

static void note_left_out(files *self, const sono_source *images)
{
    const char *suffixes;
    const size_t n = strlen(self->left_out);
    if (sono_source_left_out(images, &suffixes) && *suffixes)
        snprintf(self->left_out + n, LEFT_OUT_BYTES - n, "%s%s", n ? ", " : "", suffixes);
}

static sono_status fill(files *self, const char *const *paths, int32_t n_paths,
                        const sono_source_options *options, sono_error *error)
{
    SONO_TRY(sono_source_options_read(options, &self->options, error));
    self->children = sono_alloc_array((size_t)n_paths, sizeof *self->children);
    self->pose_transform = self->options.pose_transform ? sono_strdup(self->options.pose_transform) : NULL;
    if (!self->children || (self->options.pose_transform && !self->pose_transform))
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    self->options.pose_transform = self->pose_transform;
    for (int32_t i = 0; i < n_paths;) {
        child *next_child = &self->children[self->n_children++];
        int32_t n = 0;
        while (i + n < n_paths && (!paths[i + n] || !is_sequence(paths[i + n])))
            n++;
        if (n) {
            SONO_TRY(sono_source_open_images(paths + i, n, &self->options, &next_child->source, error));
            note_left_out(self, next_child->source);
        } else {
            n = 1;
            next_child->path = sono_strdup(paths[i]);
            if (!next_child->path)
                return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
        }
        i += n;
    }
    return SONO_STATUS_OK;
}

static const sono_source_ops files_ops = {.count = count,
                                          .next = next,
                                          .close = close_all,
                                          .left_out = left_out,
                                          .path = path_at,
                                          .field_count = count_fields,
                                          .field_at = get_field};

sono_status sono_source_open_files(const char *const *paths, int32_t n_paths,
                                   const sono_source_options *options, sono_source **out, sono_error *error)
{
    if (!paths || n_paths < 1 || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "at least one input path is needed");
    files *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    self->base.ops = &files_ops;
    const sono_status status = fill(self, paths, n_paths, options, error);
    if (status != SONO_STATUS_OK) {
        close_all(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
