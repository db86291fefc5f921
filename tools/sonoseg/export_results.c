// SPDX-License-Identifier: Apache-2.0
#include "export_input.h"

#include "args.h"
#include "json_find.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_SIDE_PX 65535
#define MAX_ID      9e15
#define MAX_CLASSES 4096
#define MAX_MEMBERS 64 /* of a line; those behind it are not seen */
#define RUN_BYTES   65536
#define AGAIN       "finish it with 'sonoseg run ... --resume'"

/* "masks" of run.json; 1 where it does not say that there are no pictures. */
static int may_have_pictures(const char *folder)
{
    char path[PATH_MAX], kind[16];
    char *text = calloc(1, RUN_BYTES);
    FILE *stream = NULL;
    if (text && snprintf(path, sizeof path, "%s/run.json", folder) < (int)sizeof path)
        stream = fopen(path, "re");
    if (stream) {
        text[fread(text, 1, RUN_BYTES - 1, stream)] = 0;
        fclose(stream);
    }
    json_text(text, "masks", kind, sizeof kind);
    free(text);
    return !*kind || !strcmp(kind, "png");
}

static int has_folder(const char *folder, const char *name)
{
    struct stat facts;
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && !stat(path, &facts) &&
           S_ISDIR(facts.st_mode);
}

int export_results_open(export_input *self, const char *folder)
{
    const size_t n_bytes = strlen(folder) + sizeof "/results.jsonl";
    self->file = malloc(n_bytes);
    if (!self->file) {
        report_error("out of memory");
        return -1;
    }
    snprintf(self->file, n_bytes, "%s/results.jsonl", folder);
    self->lines = fopen(self->file, "re");
    if (!self->lines) {
        report_error("%s: cannot be read: %s%s", self->file, strerror(errno),
                     errno == ENOENT ? ": 'sonoseg run --output DIR' writes it into DIR" : "");
        return -1;
    }
    self->number = 0;
    self->last_id = -1;
    self->has_pictures = has_folder(folder, "masks") && may_have_pictures(folder);
    return 0;
}

static int is_line_wrong(const export_input *self, const char *reason)
{
    report_error("%s:%lld: %s", self->file, (long long)self->number, reason);
    return -1;
}

/* A line, or one of its objects, by its members. */
typedef struct row {
    json_member members[MAX_MEMBERS];
    int n;
} row;

static void read_row(row *out, const char *text)
{
    out->n = json_members(text, out->members, MAX_MEMBERS);
}

static const char *value_of(const row *self, const char *key)
{
    return json_value(self->members, self->n, key);
}

/* A whole number within [low, high], else low - 1. */
static double whole(const row *self, const char *key, double low, double high)
{
    const double value = json_number(value_of(self, key), "");
    return value >= low && value <= high && value == floor(value) ? value : low - 1;
}

/* Numbers of an array; 0 when there are not so many. */
static int read_array(const char *value, int n, double *out)
{
    if (!value || *value != '[')
        return 0;
    for (int i = 0; i < n; i++) {
        const char *element = json_element(value, i, NULL, 0);
        char *end;
        if (!element)
            return 0;
        out[i] = strtod(element, &end);
        if (end == element || !isfinite(out[i]))
            return 0;
    }
    return 1;
}

/* Undoes the escapes of names: '%' and two upper-case hex digits, of the bytes that have one. */
static void unescape(char *name)
{
    char *out = name;
    for (const char *at = name; *at; out++) {
        static const char digits[] = "0123456789ABCDEF";
        const char *high = at[0] == '%' && at[1] ? strchr(digits, at[1]) : NULL;
        const char *low = high && at[2] ? strchr(digits, at[2]) : NULL;
        const int byte = low ? (int)(high - digits) * 16 + (int)(low - digits) : 0;
        const int is_escape = low && byte && (byte < 0x20 || byte == '%' || byte >= 0x7f);
        *out = is_escape ? (char)byte : *at;
        at += is_escape ? 3 : 1;
    }
    *out = 0;
}

static sono_state state_of(const row *line)
{
    char name[32];
    json_text(value_of(line, "state"), "", name, sizeof name);
    for (int i = SONO_STATE_LOST; i <= SONO_STATE_RELOCALIZING; i++)
        if (!strcmp(name, sono_state_name((sono_state)i)))
            return (sono_state)i;
    return SONO_STATE_LOST;
}

static void read_info(const row *line, sono_frame_info *info)
{
    static const char *const orientations[] = {"", "MF", "MN", "UF", "UN"};
    double values[12];
    char orientation[8];
    const char *time = value_of(line, "timestamp_s");
    info->timestamp_ns = time ? export_time_ns(time) : 0;
    if (read_array(value_of(line, "spacing_mm"), 2, values) && values[0] > 0 && values[1] > 0)
        memcpy(info->spacing_mm, values, sizeof info->spacing_mm);
    info->has_pose = read_array(value_of(line, "image_to_reference"), 12, values);
    for (int i = 0; info->has_pose && i < 12; i++)
        info->image_to_reference[i] = (float)values[i];
    json_text(value_of(line, "orientation"), "", orientation, sizeof orientation);
    for (int i = SONO_ORIENTATION_MF; i <= SONO_ORIENTATION_UN; i++)
        if (!strcmp(orientation, orientations[i]))
            info->orientation = (sono_orientation)i;
}

static int read_object(export_frame *out, const row *object)
{
    const int32_t k = out->n_objects;
    double box[4] = {0};
    const double score = json_number(value_of(object, "score"), "");
    const double class_id = value_of(object, "class_id") ? whole(object, "class_id", 0, MAX_CLASSES - 1) : 0;
    const double area_px = whole(object, "mask_area_px", 0, (double)MAX_SIDE_PX * MAX_SIDE_PX);
    if (class_id < 0 || area_px < 0)
        return -1;
    read_array(value_of(object, "bbox_xyxy_px"), 4, box);
    for (int i = 0; i < 4; i++)
        out->objects[k].bbox_xyxy_px[i] = (float)box[i];
    out->objects[k].score = isfinite(score) ? (float)score : 0;
    out->objects[k].class_id = (int32_t)class_id;
    out->area_px[k] = (int64_t)area_px;
    out->n_objects++;
    return 0;
}

static int read_objects(export_frame *out, const row *line)
{
    const char *objects = value_of(line, "objects");
    if (!objects)
        return read_object(out, line);
    for (int i = 0; i < EXPORT_MAX_OBJECTS; i++) {
        row one;
        const char *text = json_element(objects, i, NULL, 0);
        if (!text)
            return i ? 0 : -1;
        read_row(&one, text);
        if (read_object(out, &one))
            return -1;
    }
    return json_element(objects, EXPORT_MAX_OBJECTS, NULL, 0) ? -1 : 0;
}

/* In millimetres where the results or the caller know them. */
static int read_surface(export_input *self, const row *line, export_frame *out)
{
    static const double one[2] = {1, 1};
    const char *px = value_of(line, "surface_px"), *mm = value_of(line, "surface_mm");
    const double *spacing_mm = self->spacing_mm[0] > 0 ? self->spacing_mm : out->info.spacing_mm;
    out->has_surface = px != NULL;
    if (!px || !self->wants_surfaces)
        return 0;
    out->surface_is_mm = !self->wants_px && (mm || spacing_mm[0] > 0);
    if (out->surface_is_mm && mm && spacing_mm != self->spacing_mm)
        return export_surface_read(self, mm, one, out);
    return export_surface_read(self, px, out->surface_is_mm ? spacing_mm : one, out);
}

static int read_line(export_input *self, const row *line, export_frame *out)
{
    const double id = whole(line, "frame_id", 0, MAX_ID);
    const double width_px = whole(line, "width_px", 1, MAX_SIDE_PX);
    const double height_px = whole(line, "height_px", 1, MAX_SIDE_PX);
    if (whole(line, "schema", 1, 1) < 1 || id < 0 || width_px < 1 || height_px < 1)
        return is_line_wrong(self, "not a line of results: schema 1, frame_id, width_px and height_px are "
                                   "needed");
    if ((int64_t)id <= self->last_id)
        return is_line_wrong(
            self, "its frame_id is not above that of the line before: the run did not end: " AGAIN);
    self->last_id = (int64_t)id;
    out->info.frame_id = (uint64_t)id;
    out->frame.width_px = (int32_t)width_px;
    out->frame.height_px = (int32_t)height_px;
    out->frame.state = state_of(line);
    unescape((char *)json_text(value_of(line, "source"), "", out->name, sizeof out->name));
    read_info(line, &out->info);
    if (read_objects(out, line))
        return is_line_wrong(self, "an object lacks mask_area_px, or has a class that cannot be");
    if (read_surface(self, line, out))
        return is_line_wrong(self, "surface_px or surface_mm is no list of lines of points");
    out->masks = value_of(line, "mask_rle") ? EXPORT_MASKS_RLE
                 : self->has_pictures       ? EXPORT_MASKS_PNG
                                            : EXPORT_MASKS_NONE;
    return 1;
}

int export_results_next(export_input *self, export_frame *out)
{
    row line;
    const ssize_t n = getline(&self->text, &self->text_bytes, self->lines);
    self->number++;
    if (n <= 0 && ferror(self->lines)) {
        report_error("%s: cannot be read: %s", self->file, strerror(errno));
        return -1;
    }
    if (n <= 0)
        return 0;
    if (self->text[n - 1] != '\n')
        return is_line_wrong(self, "ends in the middle of the line: the run did not end: " AGAIN);
    if (strlen(self->text) != (size_t)n)
        return is_line_wrong(self, "holds a byte 0: the file is damaged");
    read_row(&line, self->text);
    return read_line(self, &line, out);
}

static int64_t count(const uint8_t *mask, size_t n)
{
    int64_t n_set = 0;
    for (size_t i = 0; i < n; i++)
        n_set += mask[i] != 0;
    return n_set;
}

static int is_mask_wrong(export_input *self, const char *reason)
{
    return export_input_fail(self, "%s:%lld: %s", self->file, (long long)self->number, reason);
}

/* The picture's pixels into mask. */
static int read_png(export_input *self, const export_frame *frame, const char *path, uint8_t *mask)
{
    sono_error error = {0};
    sono_image image;
    sono_source *source = NULL;
    sono_source_options options;
    const char *name = NULL;
    const int32_t width_px = frame->frame.width_px, height_px = frame->frame.height_px;
    sono_source_options_init(&options);
    options.max_pixels = (int64_t)MAX_SIDE_PX * MAX_SIDE_PX;
    sono_image_init(&image);
    sono_status status = sono_source_open_images(&path, 1, &options, &source, &error);
    if (status == SONO_STATUS_OK)
        status = sono_source_next(source, &image, NULL, &name, &error);
    if (status != SONO_STATUS_OK) {
        export_input_fail(self, "%s", error.text);
    } else if (image.width_px != width_px || image.height_px != height_px ||
               image.format != SONO_PIXEL_GRAY8) {
        export_input_fail(
            self, "%s: has %d x %d pixels%s, the frame %d x %d", path, image.width_px, image.height_px,
            image.format == SONO_PIXEL_GRAY8 ? "" : ", which are not grey of 8 bits", width_px, height_px);
        status = SONO_STATUS_FORMAT;
    }
    const size_t pitch = image.pitch_bytes ? image.pitch_bytes : (size_t)width_px;
    for (int32_t y = 0; status == SONO_STATUS_OK && y < height_px; y++)
        memcpy(mask + (size_t)y * (size_t)width_px, (const uint8_t *)image.pixels + (size_t)y * pitch,
               (size_t)width_px);
    sono_source_close(source);
    return status == SONO_STATUS_OK ? 0 : -1;
}

static int read_picture(export_input *self, const export_frame *frame, int32_t k, char *path, uint8_t *mask)
{
    char stem[EXPORT_NAME_BYTES], suffix[16] = "";
    const char *folder = self->paths[self->at];
    json_text(self->text, "stem", stem, sizeof stem);
    if (frame->n_objects > 1)
        snprintf(suffix, sizeof suffix, "_obj%d", k);
    if (!*stem || strchr(stem, '/'))
        return is_mask_wrong(self, "stem is no name of a picture");
    if (snprintf(path, PATH_MAX, "%s/masks/%s%s.png", folder, stem, suffix) >= PATH_MAX)
        return is_mask_wrong(self, "its mask's path is too long");
    return read_png(self, frame, path, mask);
}

static int read_rle(export_input *self, const export_frame *frame, int32_t k, uint8_t *mask)
{
    const char *objects = json_find(self->text, "objects");
    const char *one = objects ? json_element(objects, k, NULL, 0) : self->text;
    const double height_px = frame->frame.height_px, width_px = frame->frame.width_px;
    double size[2];
    sono_error error;
    if (self->counts_bytes < self->text_bytes) {
        char *counts = realloc(self->counts, self->text_bytes);
        if (!counts)
            return is_mask_wrong(self, "out of memory for its run lengths");
        self->counts = counts;
        self->counts_bytes = self->text_bytes;
    }
    if (!read_array(json_find(one, "mask_rle.size"), 2, size) || size[0] != height_px || size[1] != width_px)
        return is_mask_wrong(self, "mask_rle.size is not the frame's height and width");
    json_text(one, "mask_rle.counts", self->counts, self->counts_bytes);
    if (!sono_export_unpack_rle(self->counts, frame->frame.width_px, frame->frame.height_px, mask, &error))
        return 0;
    export_input_fail(self, "%s:%lld: mask_rle: %s", self->file, (long long)self->number, error.text);
    return -1;
}

int export_results_masks(export_input *self, export_frame *frame)
{
    const size_t n = (size_t)frame->frame.width_px * (size_t)frame->frame.height_px;
    uint8_t *room = export_input_room(self, frame, frame->n_objects);
    if (!room)
        return -1;
    for (int32_t k = 0; k < frame->n_objects; k++) {
        char path[PATH_MAX] = "";
        uint8_t *mask = room + (size_t)k * n;
        if (frame->masks == EXPORT_MASKS_RLE ? read_rle(self, frame, k, mask)
                                             : read_picture(self, frame, k, path, mask))
            return -1;
        const int64_t n_set = count(mask, n);
        if (n_set != frame->area_px[k]) {
            export_input_fail(self, "%s:%lld: mask_area_px is %lld, but %s has %lld", self->file,
                              (long long)self->number, (long long)frame->area_px[k],
                              *path ? path : "mask_rle", (long long)n_set);
            return -1;
        }
        frame->objects[k].mask = mask;
    }
    return 0;
}
