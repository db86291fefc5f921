// SPDX-License-Identifier: Apache-2.0
/* Images and recordings as one source: children that take their turns. A recording that has ended is closed
 * as soon as nothing that it lent is held, images with the whole. */
#include "io/paths.h"
#include "io/source.h"

#include "base/alloc.h"

typedef struct child {
    sono_source *source; /* NULL: a recording that has not had its turn, was closed, or could not be opened */
    char *path;          /* of a recording; NULL = images */
    sono_path_kind kind; /* likewise */
    int has_failed;
    int64_t n_frames;          /* of a recording that is not open; 1 before its turn */
    int64_t n_lent_at_its_end; /* by all */
} child;

typedef struct files {
    sono_source base;
    sono_source_options options;
    char *pose_transform;
    child *children;
    int32_t n_children, at;
    int32_t first_open; /* recordings before it are closed */
    uint64_t n_given;
    int64_t n_lent; /* frames without an error */
    int64_t n_left_out;
    char left_out[SONO_PATHS_KINDS_BYTES];
} files;

/* Whether such a file is a source of its own. */
static int is_recording(sono_path_kind kind)
{
    return kind == SONO_PATH_SEQUENCE || kind == SONO_PATH_DICOM || kind == SONO_PATH_VIDEO;
}

static int64_t count(const sono_source *source)
{
    const files *self = (const void *)source;
    int64_t n = 0;
    for (int32_t i = 0; i < self->n_children; i++) {
        const child *one = &self->children[i];
        const int64_t more = one->source ? sono_source_count(one->source) : one->n_frames;
        if (more < 0)
            return -1;
        n += more;
    }
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
    *suffixes = self->left_out;
    return self->n_left_out;
}

static sono_status open_recording(const files *self, child *one, sono_error *error)
{
    switch (one->kind) {
    case SONO_PATH_DICOM:
        return sono_source_open_dicom(one->path, &self->options, &one->source, error);
    case SONO_PATH_VIDEO:
        return sono_source_open_video(one->path, &self->options, &one->source, error);
    default:
        return sono_source_open_sequence(one->path, &self->options, &one->source, error);
    }
}

/* The next frame of one child; END when it has no more. */
static sono_status next_of(const files *self, child *current, sono_frame *frame, const char **name,
                           sono_error *error)
{
    if (current->has_failed)
        return SONO_STATUS_END;
    if (!current->source) {
        *name = current->path;
        const sono_status status = open_recording(self, current, error);
        current->has_failed = status != SONO_STATUS_OK;
        SONO_TRY(status);
    }
    return sono_source_next(current->source, &frame->image, &frame->info, name, error);
}

/* Closes the recordings that have ended n_held frames ago. */
static void close_ended(files *self)
{
    for (; self->first_open < self->at; self->first_open++) {
        child *one = &self->children[self->first_open];
        if (!one->path || !one->source)
            continue;
        if (self->n_lent - one->n_lent_at_its_end < self->options.n_held)
            return;
        one->n_frames = sono_source_count(one->source);
        sono_source_close(one->source);
        one->source = NULL;
    }
}

static sono_status next(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    files *self = (void *)source;
    sono_status status = SONO_STATUS_END;
    while (self->at < self->n_children &&
           (status = next_of(self, &self->children[self->at], frame, name, error)) == SONO_STATUS_END)
        self->children[self->at++].n_lent_at_its_end = self->n_lent;
    self->n_lent += status == SONO_STATUS_OK;
    close_ended(self);
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

/* Adds a child for path number `first`, and for the images behind it; *n: so many paths. */
static sono_status add_child(files *self, const sono_paths *paths, size_t first, size_t *n, sono_error *error)
{
    child *added = &self->children[self->n_children++];
    *n = 0;
    while (first + *n < paths->count && !is_recording(sono_paths_kind(paths->items[first + *n])))
        ++*n;
    if (*n)
        return sono_source_open_images((const char *const *)&paths->items[first], (int32_t)*n, &self->options,
                                       &added->source, error);
    *n = 1;
    added->n_frames = 1;
    added->kind = sono_paths_kind(paths->items[first]);
    added->path = sono_strdup(paths->items[first]);
    return added->path ? SONO_STATUS_OK
                       : SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
}

static sono_status add_children(files *self, const sono_paths *paths, sono_error *error)
{
    if (paths->count > INT32_MAX)
        return SONO_FAIL(error, LIMIT, "%zu input files are too many", paths->count);
    self->children = sono_alloc_array(paths->count, sizeof *self->children);
    if (!self->children)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    for (size_t i = 0, n; i < paths->count; i += n)
        SONO_TRY(add_child(self, paths, i, &n, error));
    self->n_left_out = paths->n_left_out;
    sono_paths_describe_left_out(paths, self->left_out);
    return SONO_STATUS_OK;
}

static sono_status fill(files *self, const char *const *given, int32_t n_given,
                        const sono_source_options *options, sono_error *error)
{
    sono_paths paths = {.takes_all = 1};
    sono_status status = sono_source_options_read(options, &self->options, error);
    SONO_TRY(status);
    self->pose_transform = self->options.pose_transform ? sono_strdup(self->options.pose_transform) : NULL;
    if (self->options.pose_transform && !self->pose_transform)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of files");
    self->options.pose_transform = self->pose_transform;
    for (int32_t i = 0; i < n_given && status == SONO_STATUS_OK; i++)
        status = given[i] && *given[i] ? sono_paths_add(&paths, given[i], error)
                                       : SONO_FAIL(error, INVALID_ARGUMENT, "input path %d is empty", i + 1);
    if (status == SONO_STATUS_OK)
        status = add_children(self, &paths, error);
    sono_paths_reset(&paths);
    return status;
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
