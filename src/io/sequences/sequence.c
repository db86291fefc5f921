// SPDX-License-Identifier: Apache-2.0
/* The source of a recorded sequence. */
#include "io/source.h"

#include "base/alloc.h"
#include "io/sequences/convert.h"
#include "io/numbers.h"
#include "io/sequences/pixels.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct sequence {
    sono_source base;
    sono_source_options options; /* pose_transform: owned */
    char *path, *data_path;
    sono_sequence_header header;
    sono_sequence_layout layout;
    sono_sequence_pixels pixels;
    sono_sequence_way way;
    sono_pixel_format format;
    sono_sequence_info info;
    sono_frame_info common;    /* what all frames have in common */
    int64_t next;              /* frame */
    int64_t n_lent;            /* frames without an error: those take a place in the rings */
    size_t first_row, end_row; /* of the frame last given; both 0 = none */
    size_t n_notes;
    uint8_t **images; /* ring of n_held, made when a frame needs them */
    void *stored;     /* one frame's samples, where they are not the pixels */
    char **names;     /* ring of n_held */
    size_t name_bytes;
    sono_samples samples;
    int32_t widest_white; /* with SONO_GRAY16_AUTO */
    int has_failed;       /* in the pixels: nothing more can be read */
} sequence;

static int64_t count_frames(const sono_source *source)
{
    return ((const sequence *)(const void *)source)->layout.n_frames;
}

/* ---- what a frame's fields say ------------------------------------------------------------------------- */

/* Where the next frame goes in the rings. */
static size_t slot_of(const sequence *self)
{
    return (size_t)(self->n_lent % self->options.n_held);
}

static const sono_sequence_row *find_own(const sequence *self, const char *name)
{
    return sono_sequence_find(&self->header, self->first_row, self->end_row, name);
}

/* The file's name without its folder. */
static const char *file_name(const sequence *self)
{
    const char *slash = strrchr(self->path, '/');
    return slash ? slash + 1 : self->path;
}

static sono_status fail_field(const sequence *self, const sono_sequence_row *row, const char *reason,
                              sono_error *error)
{
    return SONO_FAIL_AT(error, FORMAT, row->name_at, "%s (Seq_Frame%04lld of %s): %s \"%.60s\" %s",
                        self->names[slot_of(self)], (long long)self->next, file_name(self),
                        sono_sequence_name(&self->header, row), sono_sequence_value(&self->header, row),
                        reason);
}

static sono_status read_time(const sequence *self, sono_frame_info *info, sono_error *error)
{
    int64_t since;
    const sono_sequence_row *row = find_own(self, "Timestamp");
    if (!row)
        row = find_own(self, "UnfilteredTimestamp");
    if (!row)
        return SONO_STATUS_OK;
    if (sono_numbers_ns(sono_sequence_value(&self->header, row), &since) ||
        __builtin_add_overflow(since, self->info.start_ns, &info->timestamp_ns))
        return fail_field(self, row, "is not a time in seconds", error);
    return SONO_STATUS_OK;
}

static int is_ok(const sequence *self, const sono_sequence_row *row)
{
    return !row || !strcasecmp(sono_sequence_value(&self->header, row), "OK");
}

static sono_status read_pose(const sequence *self, sono_frame_info *info, sono_error *error)
{
    char name[256];
    float matrix[16];
    const int n = snprintf(name, sizeof name, "%sTransformStatus", self->options.pose_transform);
    if (n < 0 || (size_t)n >= sizeof name)
        return SONO_STATUS_OK;
    const sono_sequence_row *status = find_own(self, name);
    name[n - (int)strlen("Status")] = 0;
    const sono_sequence_row *row = find_own(self, name);
    if (!row || !is_ok(self, status))
        return SONO_STATUS_OK;
    if (sono_numbers_float(sono_sequence_value(&self->header, row), 16, matrix))
        return fail_field(self, row, "is not a matrix of 16 numbers", error);
    memcpy(info->image_to_reference, matrix, sizeof info->image_to_reference);
    info->has_pose = 1;
    return SONO_STATUS_OK;
}

static sono_status read_fields(const sequence *self, sono_frame_info *info, sono_error *error)
{
    const sono_sequence_row *stamp = find_own(self, "SourceTimestamp");
    if (stamp && sono_numbers_hex(sono_sequence_value(&self->header, stamp), &info->user))
        return fail_field(self, stamp, "is not a number of 16 hex digits", error);
    SONO_TRY(read_time(self, info, error));
    return read_pose(self, info, error);
}

/* IGSIO's NRRD writer calls it Status. */
static const sono_sequence_row *image_status(const sono_sequence_header *header, size_t first, size_t end)
{
    const sono_sequence_row *row = sono_sequence_find(header, first, end, "ImageStatus");
    return row ? row : sono_sequence_find(header, first, end, "Status");
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static size_t pixel_bytes(sono_pixel_format format)
{
    return format == SONO_PIXEL_GRAY8    ? 1
           : format == SONO_PIXEL_GRAY16 ? 2
           : format == SONO_PIXEL_RGB8   ? 3
                                         : 4;
}

static sono_status need(void **memory, size_t n_bytes, const char *path, sono_error *error)
{
    if (!*memory)
        *memory = sono_alloc(n_bytes);
    return *memory ? SONO_STATUS_OK : SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for a frame", path);
}

/* Reads the next frame's samples to where they belong; wanted 0: passes over them. After a failure nothing
 * more can be read: the pixels are not where they should be. */
static sono_status read_samples(sequence *self, size_t slot, int wanted, sono_error *error)
{
    const sono_sequence_layout *layout = &self->layout;
    const int is_direct = !self->options.as_stored && self->way == SONO_SEQUENCE_AS_IT_IS;
    const size_t image_bytes =
        (size_t)layout->width_px * (size_t)layout->height_px * pixel_bytes(self->format);
    void *image = self->images[slot];
    self->samples.data = NULL;
    if (!layout->frame_bytes)
        return SONO_STATUS_OK;
    if (wanted && !self->options.as_stored) {
        SONO_TRY(need(&image, image_bytes, self->path, error));
        self->images[slot] = image;
    }
    if (wanted && !is_direct)
        SONO_TRY(need(&self->stored, layout->frame_bytes, self->path, error));
    void *samples = is_direct ? image : self->stored;
    const sono_status status = sono_sequence_pixels_next(&self->pixels, wanted ? samples : NULL, error);
    if (status != SONO_STATUS_OK || !wanted)
        return status;
    if (layout->is_big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))
        sono_sequence_swap(samples, layout->frame_bytes, layout->element);
    if (!self->options.as_stored && !is_direct)
        sono_sequence_convert(layout, self->way, &self->options, samples, image);
    self->samples.data = samples;
    return SONO_STATUS_OK;
}

static int32_t white_of(sequence *self, const uint16_t *pixels)
{
    const int32_t given = self->options.gray16_white;
    if (self->format != SONO_PIXEL_GRAY16)
        return 0;
    if (self->way == SONO_SEQUENCE_WINDOW)
        return 65535;
    if (given != SONO_GRAY16_AUTO)
        return given;
    const int32_t white =
        sono_sequence_white(pixels, (size_t)self->layout.width_px * (size_t)self->layout.height_px);
    if (white > self->widest_white)
        self->widest_white = white;
    return self->widest_white;
}

static void lend(sequence *self, size_t slot, sono_image *image)
{
    image->pixels = self->images[slot];
    image->width_px = self->layout.width_px;
    image->height_px = self->layout.height_px;
    image->pitch_bytes = (size_t)self->layout.width_px * pixel_bytes(self->format);
    image->format = self->format;
    image->gray16_white = white_of(self, (const void *)self->images[slot]);
}

/* "a/b.igs.mha" -> "a/b_f0001.mha" */
static const char *name_frame(sequence *self, size_t slot)
{
    const char *file = file_name(self), *dot = strrchr(file, '.'),
               *suffix = dot && dot != file ? dot : file + strlen(file);
    size_t n_stem = (size_t)(suffix - self->path);
    if (suffix - file > 4 && !strncasecmp(suffix - 4, ".igs", 4))
        n_stem -= 4;
    snprintf(self->names[slot], self->name_bytes, "%.*s_f%04lld%s", (int)n_stem, self->path,
             (long long)self->next + 1, suffix);
    return self->names[slot];
}

static sono_status next_frame(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    sequence *self = (void *)source;
    if (self->next >= self->layout.n_frames || self->has_failed)
        return SONO_STATUS_END;
    const size_t slot = slot_of(self);
    self->end_row = sono_sequence_rows_of(&self->header, (int32_t)self->next, &self->first_row);
    frame->info = self->common;
    frame->info.frame_id = (uint64_t)self->next;
    *name = name_frame(self, slot);
    const sono_sequence_row *found = image_status(&self->header, self->first_row, self->end_row);
    const int has_image = self->info.has_images && is_ok(self, found);
    sono_status status = read_samples(self, slot, has_image, error);
    self->has_failed = status != SONO_STATUS_OK;
    if (status == SONO_STATUS_OK)
        status = read_fields(self, &frame->info, error);
    if (status == SONO_STATUS_OK && !has_image && !self->options.as_stored)
        status = SONO_FAIL(error, UNSUPPORTED,
                           "%s (Seq_Frame%04lld of %s): no image: its status is \"%.20s\"", *name,
                           (long long)self->next, file_name(self), sono_sequence_value(&self->header, found));
    if (status == SONO_STATUS_OK && !self->options.as_stored)
        lend(self, slot, &frame->image);
    self->next++;
    self->n_lent += status == SONO_STATUS_OK;
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void close_sequence(sono_source *source)
{
    sequence *self = (void *)source;
    sono_source_free_held(self->images, self->names, self->options.n_held);
    sono_free(self->stored);
    sono_free((char *)(uintptr_t)self->options.pose_transform);
    sono_sequence_pixels_close(&self->pixels);
    sono_sequence_header_reset(&self->header);
    sono_free(self->path);
    sono_free(self->data_path);
    sono_free(self);
}

/* Not even a pipe makes it wait. */
static sono_status open_file(const char *path, int *out, sono_error *error)
{
    *out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*out < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be opened: %s", path, strerror(errno));
    return SONO_STATUS_OK;
}

static sono_status open_pixels(sequence *self, int file, sono_error *error)
{
    const char *slash = strrchr(self->path, '/');
    const size_t n_folder = slash ? (size_t)(slash + 1 - self->path) : 0;
    if (!self->layout.data_file)
        return sono_sequence_pixels_open(&self->pixels, file, self->path, self->header.end, &self->layout,
                                         error);
    const size_t n_bytes = n_folder + strlen(self->layout.data_file) + 1;
    close(file);
    self->data_path = sono_alloc(n_bytes);
    if (!self->data_path)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
    snprintf(self->data_path, n_bytes, "%.*s%s", (int)n_folder, self->path, self->layout.data_file);
    SONO_TRY(open_file(self->data_path, &file, error));
    return sono_sequence_pixels_open(&self->pixels, file, self->data_path, 0, &self->layout, error);
}

/* PLUS writes 1 x 1 pixels when it records transforms alone, and then no status of images. */
static int has_images(const sequence *self)
{
    const sono_sequence_header *header = &self->header;
    size_t first;
    const int has_frames = header->n_rows && header->rows[header->n_rows - 1].frame >= 0;
    if (!self->layout.frame_bytes)
        return 0;
    if (self->layout.width_px > 1 || self->layout.height_px > 1 || !has_frames)
        return 1;
    (void)sono_sequence_rows_of(header, 0, &first);
    return image_status(header, first, header->n_rows) != NULL;
}

static sono_orientation orientation_of(const sono_sequence_header *header)
{
    static const struct {
        const char *letters;
        sono_orientation orientation;
    } known[] = {{"MF", SONO_ORIENTATION_MF},
                 {"MN", SONO_ORIENTATION_MN},
                 {"UF", SONO_ORIENTATION_UF},
                 {"UN", SONO_ORIENTATION_UN}};
    const sono_sequence_row *row = sono_sequence_find_note(header, "UltrasoundImageOrientation");
    if (!row)
        row = sono_sequence_find_note(header, "ultrasound image orientation");
    for (size_t i = 0; row && i < sizeof known / sizeof known[0]; i++)
        if (!strncasecmp(sono_sequence_value(header, row), known[i].letters, 2))
            return known[i].orientation;
    return SONO_ORIENTATION_UNKNOWN;
}

/* Recordings of sonoseg have values of any bytes. */
static void read_escapes(sequence *self)
{
    const sono_sequence_row *row = sono_sequence_find_note(&self->header, "RecordedBy");
    if (row && !strncmp(sono_sequence_value(&self->header, row), "sonoseg ", 8))
        sono_sequence_unescape(&self->header);
}

static sono_status describe(sequence *self, sono_error *error)
{
    const sono_sequence_header *header = &self->header;
    const sono_sequence_layout *layout = &self->layout;
    const sono_sequence_row *start = sono_sequence_find_note(header, "RecordingStartTime");
    const sono_sequence_row *device = sono_sequence_find_note(header, "DeviceName");
    const int has_frames = header->n_rows && header->rows[header->n_rows - 1].frame >= 0;
    const int is_placeholder = has_frames && layout->spacing_mm[0] == 1 && layout->spacing_mm[1] == 1;
    size_t first;
    self->n_notes = sono_sequence_rows_of(header, SONO_SEQUENCE_NOTE, &first);
    self->info = (sono_sequence_info){.struct_size = sizeof self->info,
                                      .n_frames = layout->n_frames,
                                      .width_px = layout->width_px,
                                      .height_px = layout->height_px,
                                      .element = layout->element,
                                      .components = layout->components,
                                      .is_compressed = layout->is_compressed,
                                      .has_images = has_images(self)};
    self->common = (sono_frame_info){.struct_size = sizeof self->common};
    for (int axis = 0; axis < 2; axis++)
        self->common.spacing_mm[axis] = is_placeholder ? 0 : layout->spacing_mm[axis];
    self->common.orientation = orientation_of(header);
    if (device)
        snprintf(self->common.device_name, sizeof self->common.device_name, "%s",
                 sono_sequence_value(header, device));
    self->samples = (sono_samples){.n_bytes = layout->frame_bytes,
                                   .width_px = layout->width_px,
                                   .height_px = layout->height_px,
                                   .element = layout->element,
                                   .components = layout->components};
    if (start && sono_numbers_ns(sono_sequence_value(header, start), &self->info.start_ns))
        return SONO_SEQUENCE_FAIL(header, start, error, FORMAT, "RecordingStartTime",
                                  "not a time in seconds");
    return SONO_STATUS_OK;
}

static sono_status check_limits(const sequence *self, sono_error *error)
{
    const sono_sequence_layout *layout = &self->layout;
    const int64_t n_pixels = (int64_t)layout->width_px * layout->height_px;
    const int32_t side = layout->width_px > layout->height_px ? layout->width_px : layout->height_px;
    if (n_pixels > self->options.max_pixels)
        return SONO_FAIL(error, LIMIT, "%s: frames of %d x %d pixels, more than the %lld that are allowed",
                         self->path, layout->width_px, layout->height_px,
                         (long long)self->options.max_pixels);
    if (self->options.max_side_px && side > self->options.max_side_px)
        return SONO_FAIL(error, LIMIT, "%s: frames of %d x %d pixels, more than %d on a side", self->path,
                         layout->width_px, layout->height_px, self->options.max_side_px);
    return SONO_STATUS_OK;
}

static sono_status make_rings(sequence *self, sono_error *error)
{
    self->images = sono_alloc_array((size_t)self->options.n_held, sizeof *self->images);
    self->names = sono_alloc_array((size_t)self->options.n_held, sizeof *self->names);
    self->name_bytes = strlen(self->path) + 32;
    int is_whole = self->images && self->names;
    for (int32_t i = 0; is_whole && i < self->options.n_held; i++) {
        self->names[i] = sono_alloc(self->name_bytes);
        is_whole = self->names[i] != NULL;
    }
    return is_whole ? SONO_STATUS_OK : SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", self->path);
}

/* Takes over file. */
static sono_status read_file(sequence *self, int file, sono_error *error)
{
    sono_status status = sono_sequence_header_read(&self->header, file, self->path, error);
    if (status == SONO_STATUS_OK)
        status = sono_sequence_read_layout(&self->header, &self->layout, error);
    if (status == SONO_STATUS_OK) {
        read_escapes(self);
        status = describe(self, error);
    }
    if (status == SONO_STATUS_OK)
        status = check_limits(self, error);
    if (status == SONO_STATUS_OK && !self->info.has_images && !self->options.as_stored)
        status = SONO_FAIL(error, UNSUPPORTED, "%s: a recording of transforms alone: it has no images",
                           self->path);
    if (status == SONO_STATUS_OK && !self->options.as_stored)
        status = sono_sequence_choose(&self->header, &self->layout, &self->options, &self->way, &self->format,
                                      error);
    if (status != SONO_STATUS_OK) {
        close(file);
        return status;
    }
    return open_pixels(self, file, error);
}

static sono_status fill(sequence *self, const char *path, const sono_source_options *options,
                        sono_error *error)
{
    int file;
    SONO_TRY(sono_source_options_read(options, &self->options, error));
    const char *pose = self->options.pose_transform ? self->options.pose_transform : "ImageToReference";
    self->options.pose_transform = sono_strdup(pose);
    self->path = sono_strdup(path);
    if (!self->path || !self->options.pose_transform)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    SONO_TRY(make_rings(self, error));
    SONO_TRY(open_file(path, &file, error));
    return read_file(self, file, error);
}

/* ---- what it says of itself ---------------------------------------------------------------------------- */

static const sono_sequence_info *get_info(const sono_source *source)
{
    return &((const sequence *)(const void *)source)->info;
}

static sono_status get_samples(const sono_source *source, sono_samples *out, sono_error *error)
{
    const sequence *self = (const void *)source;
    if (!self->next)
        return SONO_FAIL(error, STATE, "%s: no frame was read yet", self->path);
    *out = self->samples;
    if (!out->data)
        out->n_bytes = 0;
    return SONO_STATUS_OK;
}

static int32_t count_fields(const sono_source *source)
{
    const sequence *self = (const void *)source;
    const size_t n = self->n_notes + (self->end_row - self->first_row);
    return n < INT32_MAX ? (int32_t)n : INT32_MAX;
}

static void get_field(const sono_source *source, int32_t number, sono_source_field *out)
{
    const sequence *self = (const void *)source;
    const size_t n_own = self->end_row - self->first_row, at = (size_t)number;
    const sono_sequence_row *row =
        &self->header.rows[at < n_own ? self->first_row + at : at - n_own]; /* notes come first */
    *out = (sono_source_field){sono_sequence_name(&self->header, row),
                               sono_sequence_value(&self->header, row), at < n_own};
}

static const sono_source_ops sequence_ops = {.count = count_frames,
                                             .next = next_frame,
                                             .close = close_sequence,
                                             .sequence = get_info,
                                             .samples = get_samples,
                                             .field_count = count_fields,
                                             .field_at = get_field};

sono_status sono_source_open_sequence(const char *path, const sono_source_options *options, sono_source **out,
                                      sono_error *error)
{
    if (!path || !*path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a sequence's path and out must be given");
    sequence *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    self->base.ops = &sequence_ops;
    self->pixels.file = -1;
    const sono_status status = fill(self, path, options, error);
    if (status != SONO_STATUS_OK) {
        close_sequence(&self->base);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
