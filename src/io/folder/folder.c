// SPDX-License-Identifier: Apache-2.0
/* The sink of files: DIR/results.jsonl, DIR/masks, DIR/overlays, DIR/weights. */
#include "io/folder/jsonl.h"
#include "io/folder/overlay.h"
#include "io/sink.h"
#include "io/folder/stems.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PICTURES 66 /* of one frame: overlay, union, and for each of 16 objects a mask and three maps */
#define LINE_BYTES   65536

typedef struct folder_sink {
    sono_sink base;
    sono_sink_options options;
    char *path;
    int32_t lock; /* of the folder */
    FILE *results;
    char line[LINE_BYTES]; /* results' buffer: a line goes out in one piece */
    sono_stems stems;
    uint8_t *scratch; /* three bytes a pixel of the largest frame so far */
    size_t scratch_bytes;
    char written[MAX_PICTURES][PATH_MAX]; /* the frame's pictures so far, to be taken back on failure */
    int32_t n_written;
} folder_sink;

static sono_status make_folder(const char *path, sono_error *error)
{
    struct stat facts;
    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &facts) && S_ISDIR(facts.st_mode)))
        return SONO_STATUS_OK;
    const int code = errno;
    return SONO_FAIL_NATIVE(error, IO, code, "%s: the folder cannot be made: %s", path,
                            code == EEXIST ? "a file of that name is there" : strerror(code));
}

/* path is changed on the way and restored. */
static sono_status make_parents(char *path, sono_error *error)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        const sono_status status = make_folder(path, error);
        *slash = '/';
        SONO_TRY(status);
    }
    return make_folder(path, error);
}

static sono_status join(const folder_sink *self, char out[PATH_MAX], const char *name, sono_error *error)
{
    if (snprintf(out, PATH_MAX, "%s/%s", self->path, name) >= PATH_MAX)
        return SONO_FAIL(error, IO, "%s/%s: the path is too long", self->path, name);
    return SONO_STATUS_OK;
}

static sono_status make_subfolder(const folder_sink *self, const char *name, int is_wanted, sono_error *error)
{
    char path[PATH_MAX];
    if (!is_wanted)
        return SONO_STATUS_OK;
    SONO_TRY(join(self, path, name, error));
    return make_folder(path, error);
}

static sono_status write_picture(folder_sink *self, const char *folder, const char *stem, const char *suffix,
                                 const sono_packet *packet, const uint8_t *pixels, int32_t channels,
                                 sono_error *error)
{
    char name[SONO_STEM_BYTES + 64];
    snprintf(name, sizeof name, "%s/%s%s.png", folder, stem, suffix);
    char *path = self->written[self->n_written];
    SONO_TRY(join(self, path, name, error));
    SONO_TRY(sono_png_write(path, pixels, packet->width_px, packet->height_px, channels, error));
    self->n_written++;
    return SONO_STATUS_OK;
}

static size_t pixel_count(const sono_packet *packet)
{
    return (size_t)packet->width_px * (size_t)packet->height_px;
}

/* NULL where it is not in host memory. */
static const uint8_t *mask_of(const sono_packet *packet, int32_t object)
{
    sono_map_view view;
    return sono_packet_map(packet, object, SONO_MAP_MASK, &view) == SONO_STATUS_OK ? view.data : NULL;
}

static sono_status write_masks(folder_sink *self, const sono_packet *packet, const char *stem,
                               sono_error *error)
{
    if (packet->n_objects == 1)
        return write_picture(self, "masks", stem, "", packet, mask_of(packet, 0), 1, error);
    memset(self->scratch, 0, pixel_count(packet));
    for (int32_t k = 0; k < packet->n_objects; k++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "_obj%d", k);
        const uint8_t *mask = mask_of(packet, k);
        SONO_TRY(write_picture(self, "masks", stem, suffix, packet, mask, 1, error));
        for (size_t i = 0; i < pixel_count(packet); i++)
            self->scratch[i] |= mask[i];
    }
    return write_picture(self, "masks", stem, "", packet, self->scratch, 1, error);
}

static sono_status write_map(folder_sink *self, const sono_packet *packet, const char *stem,
                             const char *suffix, const sono_map_view *map, sono_error *error)
{
    const uint8_t *bytes = map->data;
    const float *floats = map->data;
    for (size_t i = 0; i < pixel_count(packet); i++)
        self->scratch[i] = (map->dtype == SONO_MAP_DTYPE_U8 ? bytes[i] > 0 : floats[i] > 0) ? 255 : 0;
    return write_picture(self, "weights", stem, suffix, packet, self->scratch, 1, error);
}

static sono_status write_weights(folder_sink *self, const sono_packet *packet, const char *stem,
                                 sono_error *error)
{
    static const char *const names[] = {"edge", "inside", "outside"};
    for (int32_t k = 0; k < packet->n_objects; k++)
        for (int i = 0; i < 3; i++) {
            char suffix[32];
            sono_map_view map;
            if (sono_packet_map(packet, k, (sono_map)(SONO_MAP_EDGE + i), &map) != SONO_STATUS_OK)
                return SONO_FAIL(error, INVALID_ARGUMENT,
                                 "%s: no weight maps in the packet: ask for them at open", stem);
            snprintf(suffix, sizeof suffix, "_%s", names[i]);
            if (packet->n_objects > 1)
                snprintf(suffix, sizeof suffix, "_obj%d_%s", k, names[i]);
            SONO_TRY(write_map(self, packet, stem, suffix, &map, error));
        }
    return SONO_STATUS_OK;
}

static sono_status write_pictures(folder_sink *self, const sono_packet *packet, const sono_image *image,
                                  const char *stem, sono_error *error)
{
    if (self->options.write_masks && !mask_of(packet, 0))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the packet's mask is not in host memory", stem);
    if (self->options.write_masks)
        SONO_TRY(write_masks(self, packet, stem, error));
    if (self->options.write_weights)
        SONO_TRY(write_weights(self, packet, stem, error));
    if (!self->options.write_overlays)
        return SONO_STATUS_OK;
    sono_overlay_draw(packet, image, self->options.gray16_white, self->scratch);
    return write_picture(self, "overlays", stem, "", packet, self->scratch, 3, error);
}

/* A line that did not get out whole (disk full) is cut off again. */
static sono_status write_line(folder_sink *self, const sono_packet *packet, const char *source,
                              const char *stem, sono_error *error)
{
    const off_t start = ftello(self->results);
    errno = 0;
    sono_jsonl_packet(self->results, packet, source, stem);
    if (!fflush(self->results) && !ferror(self->results))
        return SONO_STATUS_OK;
    const int code = errno ? errno : EIO;
    clearerr(self->results);
    if (start >= 0 && !ftruncate(fileno(self->results), start))
        fseeko(self->results, start, SEEK_SET);
    return SONO_FAIL_NATIVE(error, IO, code, "%s/results.jsonl: cannot be written: %s", self->path,
                            strerror(code));
}

static sono_status check(folder_sink *self, const sono_packet *packet, const sono_image *image,
                         const char *source, sono_error *error)
{
    if (packet->n_objects < 1 || packet->n_objects > 16)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the packet has %d objects, not within 1..16", source,
                         packet->n_objects);
    if (self->options.write_overlays &&
        (!image || image->width_px != packet->width_px || image->height_px != packet->height_px))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the frame and its packet differ in size", source);
    const size_t needed = pixel_count(packet) * 3;
    if (needed <= self->scratch_bytes)
        return SONO_STATUS_OK;
    uint8_t *scratch = sono_alloc(needed);
    if (!scratch)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for its pictures", source);
    sono_free(self->scratch);
    self->scratch = scratch;
    self->scratch_bytes = needed;
    return SONO_STATUS_OK;
}

static sono_status write_result(sono_sink *sink, const sono_packet *packet, const sono_image *image,
                                const char *source, sono_error *error)
{
    folder_sink *self = (void *)sink;
    char stem[SONO_STEM_BYTES];
    SONO_TRY(check(self, packet, image, source, error));
    SONO_TRY(sono_stems_take(&self->stems, source, packet->n_objects, stem, error));
    self->n_written = 0;
    sono_status status = write_pictures(self, packet, image, stem, error);
    if (status == SONO_STATUS_OK)
        status = write_line(self, packet, source, stem, error);
    for (int32_t i = 0; status != SONO_STATUS_OK && i < self->n_written; i++)
        unlink(self->written[i]);
    return status;
}

static sono_status close_folder(sono_sink *sink, sono_error *error)
{
    folder_sink *self = (void *)sink;
    sono_status status = SONO_STATUS_OK;
    errno = 0;
    if (self->results && fclose(self->results)) {
        const int code = errno ? errno : EIO;
        status = SONO_FAIL_NATIVE(error, IO, code, "%s/results.jsonl: cannot be written: %s", self->path,
                                  strerror(code));
    }
    sono_folder_unlock(self->lock);
    sono_stems_reset(&self->stems);
    sono_free(self->scratch);
    sono_free(self->path);
    sono_free(self);
    return status;
}

static const sono_sink_ops folder_ops = {write_result, close_folder};

static sono_status open_results(folder_sink *self, sono_error *error)
{
    char results[PATH_MAX];
    SONO_TRY(join(self, results, "results.jsonl", error));
    self->results = fopen(results, "we");
    if (!self->results)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: cannot be created: %s", results, strerror(errno));
    setvbuf(self->results, self->line, _IOFBF, sizeof self->line);
    return SONO_STATUS_OK;
}

static sono_status fill(folder_sink *self, const char *path, const sono_sink_options *options,
                        sono_error *error)
{
    const sono_output output = {path, SONO_OUTPUT_RESULTS};
    SONO_TRY(sono_sink_options_read(options, &self->options, error));
    SONO_TRY(sono_output_check(NULL, 0, &output, 1, error));
    self->path = sono_strdup(path);
    if (!self->path)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the sink");
    SONO_TRY(make_parents(self->path, error));
    SONO_TRY(sono_folder_lock(path, &self->lock, error));
    SONO_TRY(open_results(self, error));
    SONO_TRY(make_subfolder(self, "masks", self->options.write_masks, error));
    SONO_TRY(make_subfolder(self, "overlays", self->options.write_overlays, error));
    SONO_TRY(make_subfolder(self, "weights", self->options.write_weights, error));
    return SONO_STATUS_OK;
}

sono_status sono_sink_open_folder(const char *path, const sono_sink_options *options, sono_sink **out,
                                  sono_error *error)
{
    if (!path || !*path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the sink needs a folder's path");
    folder_sink *self = sono_alloc(sizeof *self);
    if (!self)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the sink");
    self->base.ops = &folder_ops;
    self->lock = -1;
    const sono_status status = fill(self, path, options, error);
    if (status != SONO_STATUS_OK) {
        close_folder(&self->base, NULL);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}
