// SPDX-License-Identifier: Apache-2.0
/* The sink of files: DIR/results.jsonl, DIR/masks, DIR/overlays, DIR/weights. */
#include "io/folder/jsonl.h"
#include "io/folder/overlay.h"
#include "io/folder/scratch.h"
#include "io/sink.h"
#include "io/folder/stems.h"

#include "base/alloc.h"
#include "base/frame.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PICTURES 66 /* of one frame: overlay, union, and for each of 16 objects a mask and three maps */
#define LINE_BYTES   65536
#define SUFFIX_BYTES 32

typedef struct picture_name {
    const char *folder; /* "masks", "overlays", "weights" */
    char suffix[SUFFIX_BYTES];
} picture_name;

struct sono_sink_entry {
    char stem[SONO_STEM_BYTES];
    sono_text line;
    picture_name written[MAX_PICTURES]; /* pictures so far, to be taken back on failure */
    int32_t n_written;
};

typedef struct folder_sink {
    sono_sink base;
    sono_sink_options options;
    char *path;
    int32_t lock; /* of the folder */
    FILE *results;
    char line[LINE_BYTES]; /* results' buffer */
    sono_stems stems;
    sono_scratches scratches; /* three bytes a pixel of a frame, one a thread that draws */
    sono_sink_entry entry;    /* of sono_sink_write() */
} folder_sink;

/* What a thread needs to write one result's pictures. */
typedef struct drawing {
    const folder_sink *sink;
    sono_sink_entry *entry;
    const sono_packet *packet;
    uint8_t *scratch;
    sono_error *error;
} drawing;

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

static sono_status picture_path(const folder_sink *self, char out[PATH_MAX], const char *stem,
                                const picture_name *name, sono_error *error)
{
    char file[SONO_STEM_BYTES + 64];
    snprintf(file, sizeof file, "%s/%s%s.png", name->folder, stem, name->suffix);
    return join(self, out, file, error);
}

static sono_status write_picture(drawing *d, const char *folder, const char *suffix, const uint8_t *pixels,
                                 int32_t channels)
{
    char path[PATH_MAX];
    picture_name *name = &d->entry->written[d->entry->n_written];
    name->folder = folder;
    snprintf(name->suffix, sizeof name->suffix, "%s", suffix);
    SONO_TRY(picture_path(d->sink, path, d->entry->stem, name, d->error));
    SONO_TRY(sono_png_write(path, pixels, d->packet->width_px, d->packet->height_px, channels, d->error));
    d->entry->n_written++;
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

static sono_status write_masks(drawing *d)
{
    const sono_packet *packet = d->packet;
    if (packet->n_objects == 1)
        return write_picture(d, "masks", "", mask_of(packet, 0), 1);
    memset(d->scratch, 0, pixel_count(packet));
    for (int32_t k = 0; k < packet->n_objects; k++) {
        char suffix[SUFFIX_BYTES];
        snprintf(suffix, sizeof suffix, "_obj%d", k);
        const uint8_t *mask = mask_of(packet, k);
        SONO_TRY(write_picture(d, "masks", suffix, mask, 1));
        for (size_t i = 0; i < pixel_count(packet); i++)
            d->scratch[i] |= mask[i];
    }
    return write_picture(d, "masks", "", d->scratch, 1);
}

static sono_status write_map(drawing *d, const char *suffix, const sono_map_view *map)
{
    const uint8_t *bytes = map->data;
    const float *floats = map->data;
    for (size_t i = 0; i < pixel_count(d->packet); i++)
        d->scratch[i] = (map->dtype == SONO_MAP_DTYPE_U8 ? bytes[i] > 0 : floats[i] > 0) ? 255 : 0;
    return write_picture(d, "weights", suffix, d->scratch, 1);
}

static sono_status write_weights(drawing *d)
{
    static const char *const names[] = {"edge", "inside", "outside"};
    for (int32_t k = 0; k < d->packet->n_objects; k++)
        for (int i = 0; i < 3; i++) {
            char suffix[SUFFIX_BYTES];
            sono_map_view map;
            if (sono_packet_map(d->packet, k, (sono_map)(SONO_MAP_EDGE + i), &map) != SONO_STATUS_OK)
                return SONO_FAIL(d->error, INVALID_ARGUMENT,
                                 "%s: no weight maps in the packet: ask for them at open", d->entry->stem);
            snprintf(suffix, sizeof suffix, "_%s", names[i]);
            if (d->packet->n_objects > 1)
                snprintf(suffix, sizeof suffix, "_obj%d_%s", k, names[i]);
            SONO_TRY(write_map(d, suffix, &map));
        }
    return SONO_STATUS_OK;
}

static sono_status write_pictures(drawing *d, const sono_image *image)
{
    const sono_sink_options *options = &d->sink->options;
    if ((options->write_masks || options->write_rle) && !mask_of(d->packet, 0))
        return SONO_FAIL(d->error, INVALID_ARGUMENT, "%s: the packet's mask is not in host memory",
                         d->entry->stem);
    if (options->write_masks)
        SONO_TRY(write_masks(d));
    if (options->write_weights)
        SONO_TRY(write_weights(d));
    if (!image)
        return SONO_STATUS_OK;
    sono_overlay_draw(d->packet, image, options->gray16_white, d->scratch);
    return write_picture(d, "overlays", "", d->scratch, 3);
}

static sono_status make_line(const drawing *d, const char *source)
{
    const sono_jsonl_style style = {d->sink->options.write_rle, d->sink->options.without_times};
    sono_text *line = &d->entry->line;
    sono_text_clear(line);
    sono_jsonl_packet(line, d->packet, source, d->entry->stem, &style);
    if (line->is_short)
        return SONO_FAIL(d->error, OUT_OF_MEMORY, "%s: out of memory for its line", source);
    return SONO_STATUS_OK;
}

static void discard(const folder_sink *self, sono_sink_entry *entry)
{
    char path[PATH_MAX];
    while (entry->n_written > 0)
        if (picture_path(self, path, entry->stem, &entry->written[--entry->n_written], NULL) ==
            SONO_STATUS_OK)
            unlink(path);
}

static sono_status check(const folder_sink *self, const sono_packet *packet, const sono_image *image,
                         const char *source, sono_error *error)
{
    if (packet->n_objects < 1 || packet->n_objects > 16)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the packet has %d objects, not within 1..16", source,
                         packet->n_objects);
    if (self->options.write_overlays && image &&
        (image->width_px != packet->width_px || image->height_px != packet->height_px))
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the frame and its packet differ in size", source);
    return SONO_STATUS_OK;
}

static sono_status draw(folder_sink *self, sono_sink_entry *entry, const sono_packet *packet,
                        const sono_image *image, const char *source, sono_error *error)
{
    SONO_TRY(check(self, packet, image, source, error));
    sono_scratch scratch = sono_scratch_take(&self->scratches, pixel_count(packet) * 3);
    if (!scratch.bytes)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory for its pictures", source);
    drawing d = {self, entry, packet, scratch.bytes, error};
    entry->n_written = 0;
    sono_status status = write_pictures(&d, self->options.write_overlays ? image : NULL);
    if (status == SONO_STATUS_OK)
        status = make_line(&d, source);
    if (status != SONO_STATUS_OK)
        discard(self, entry);
    sono_scratch_give(&self->scratches, &scratch);
    return status;
}

/* A line that did not get out whole (disk full) is cut off again. */
static sono_status commit(folder_sink *self, sono_sink_entry *entry, sono_error *error)
{
    if (self->options.keep_results)
        fseeko(self->results, 0, SEEK_END);
    const off_t start = ftello(self->results);
    errno = 0;
    const size_t n = fwrite(entry->line.bytes, 1, entry->line.n_bytes, self->results);
    if (n == entry->line.n_bytes && !fflush(self->results)) {
        entry->n_written = 0;
        return SONO_STATUS_OK;
    }
    const int code = errno ? errno : EIO;
    clearerr(self->results);
    if (start >= 0 && !ftruncate(fileno(self->results), start))
        fseeko(self->results, start, SEEK_SET);
    discard(self, entry);
    return SONO_FAIL_NATIVE(error, IO, code, "%s/results.jsonl: cannot be written: %s", self->path,
                            strerror(code));
}

static sono_status write_result(sono_sink *sink, const sono_packet *packet, const sono_image *image,
                                const char *source, sono_error *error)
{
    folder_sink *self = (void *)sink;
    if (self->options.write_overlays && !image)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s: the overlay needs the frame", source);
    SONO_TRY(check(self, packet, image, source, error));
    SONO_TRY(sono_stems_take(&self->stems, source, packet->n_objects, self->entry.stem, error));
    SONO_TRY(draw(self, &self->entry, packet, image, source, error));
    return commit(self, &self->entry, error);
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
    sono_scratches_close(&self->scratches);
    sono_text_reset(&self->entry.line);
    sono_free(self->path);
    sono_free(self);
    return status;
}

static const sono_sink_ops folder_ops = {write_result, close_folder};

static sono_status open_results(folder_sink *self, sono_error *error)
{
    char results[PATH_MAX];
    SONO_TRY(join(self, results, "results.jsonl", error));
    self->results = fopen(results, self->options.keep_results ? "ae" : "we");
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
    sono_scratches_open(&self->scratches);
    const sono_status status = fill(self, path, options, error);
    if (status != SONO_STATUS_OK) {
        close_folder(&self->base, NULL);
        return status;
    }
    *out = &self->base;
    return SONO_STATUS_OK;
}

/* ---- several threads ---- */

static folder_sink *folder_of(sono_sink *sink, const void *entry, sono_error *error)
{
    folder_sink *self = sink && entry && sink->ops == &folder_ops ? (void *)sink : NULL;
    if (!self)
        (void)SONO_FAIL(error, INVALID_ARGUMENT, "an entry is needed, and a sink that is a folder");
    return self;
}

sono_status sono_sink_entry_open(sono_sink_entry **out, sono_error *error)
{
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    sono_sink_entry *entry = sono_alloc(sizeof *entry);
    if (!entry)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for a result");
    *out = entry;
    return SONO_STATUS_OK;
}

void sono_sink_entry_close(sono_sink_entry *entry)
{
    if (!entry)
        return;
    sono_text_reset(&entry->line);
    sono_free(entry);
}

const char *sono_sink_entry_stem(const sono_sink_entry *entry)
{
    return entry ? entry->stem : "";
}

sono_status sono_sink_name(sono_sink *sink, sono_sink_entry *entry, const char *source, int32_t n_objects,
                           sono_error *error)
{
    folder_sink *self = folder_of(sink, entry, error);
    if (!self || !source)
        return SONO_STATUS_INVALID_ARGUMENT;
    entry->n_written = 0;
    return sono_stems_take(&self->stems, source, n_objects, entry->stem, error);
}

sono_status sono_sink_draw(sono_sink *sink, sono_sink_entry *entry, const sono_packet *packet,
                           const sono_image *image, const char *source, sono_error *error)
{
    sono_frame frame;
    folder_sink *self = folder_of(sink, entry, error);
    if (!self || !packet || !source)
        return SONO_STATUS_INVALID_ARGUMENT;
    if (image)
        SONO_TRY(sono_frame_read(image, NULL, &frame, error));
    return draw(self, entry, packet, image ? &frame.image : NULL, source, error);
}

sono_status sono_sink_commit(sono_sink *sink, sono_sink_entry *entry, sono_error *error)
{
    folder_sink *self = folder_of(sink, entry, error);
    return self ? commit(self, entry, error) : SONO_STATUS_INVALID_ARGUMENT;
}

void sono_sink_discard(sono_sink *sink, sono_sink_entry *entry)
{
    const folder_sink *self = folder_of(sink, entry, NULL);
    if (self)
        discard(self, entry);
}
