// SPDX-License-Identifier: Apache-2.0
#include "report_pictures.h"

#include "json_find.h"
#include "report_walk.h"

#include "serve/overlay.h"
#include "sonoseg/io.h"
#include "web/encode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- encoding ------------------------------------------------------------------------------------------ */

/* RGB, averaged to width_px at most; never larger than it was. */
static uint8_t *shrink(const uint8_t *rgb, int32_t *width_px, int32_t *height_px, int32_t most_px)
{
    const int32_t w = *width_px, h = *height_px;
    const int32_t to_w = w < most_px ? w : most_px;
    const int32_t wanted_h = (int32_t)((int64_t)h * to_w / w), to_h = wanted_h > 0 ? wanted_h : 1;
    uint8_t *out = malloc((size_t)to_w * (size_t)to_h * 3);
    for (int32_t y = 0; out && y < to_h; y++) {
        const int32_t y0 = (int32_t)((int64_t)y * h / to_h), y1 = (int32_t)((int64_t)(y + 1) * h / to_h);
        for (int32_t x = 0; x < to_w; x++) {
            const int32_t x0 = (int32_t)((int64_t)x * w / to_w), x1 = (int32_t)((int64_t)(x + 1) * w / to_w);
            uint64_t sums[3] = {0, 0, 0}, n = 0;
            for (int32_t v = y0; v < y1; v++)
                for (int32_t u = x0; u < x1; u++, n++)
                    for (int c = 0; c < 3; c++)
                        sums[c] += rgb[3 * ((size_t)v * (size_t)w + (size_t)u) + (size_t)c];
            for (int c = 0; c < 3; c++)
                out[3 * ((size_t)y * (size_t)to_w + (size_t)x) + (size_t)c] =
                    (uint8_t)(sums[c] / (n ? n : 1));
        }
    }
    *width_px = to_w;
    *height_px = to_h;
    return out;
}

static char *to_url(const char *type, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc(n / 3 * 4 + 64);
    if (!out)
        return NULL;
    size_t at = (size_t)snprintf(out, 40, "data:%s;base64,", type);
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (left > 2 ? bytes[i + 2] : 0u);
        for (int k = 0; k < 4; k++)
            out[at++] = (size_t)k <= left ? digits[three >> (18 - 6 * k) & 63] : '=';
    }
    out[at] = 0;
    return out;
}

/* The outline is drawn into the small picture, so that it stays a whole pixel wide. mask: NULL = none is to
 * be drawn. */
static char *make_url(const uint8_t *rgb, const uint8_t *mask, int32_t width_px, int32_t height_px,
                      int32_t most_px)
{
    int32_t w = width_px, h = height_px;
    size_t n = 0;
    const char *type = "";
    char *url = NULL;
    uint8_t *small = shrink(rgb, &w, &h, most_px), *small_mask = NULL, *drawn = NULL, *bytes;
    if (small && mask) {
        const size_t n_px = (size_t)w * (size_t)h;
        small_mask = malloc(n_px);
        drawn = malloc(3 * n_px);
        for (int32_t y = 0; small_mask && y < h; y++)
            for (int32_t x = 0; x < w; x++)
                small_mask[(size_t)y * (size_t)w + (size_t)x] =
                    mask[(size_t)((2 * y + 1) * (int64_t)height_px / (2 * h)) * (size_t)width_px +
                         (size_t)((2 * x + 1) * (int64_t)width_px / (2 * w))];
        sono_image image;
        sono_image_init(&image);
        image = (sono_image){.struct_size = sizeof image,
                             .pixels = small,
                             .width_px = w,
                             .height_px = h,
                             .format = SONO_PIXEL_RGB8};
        if (small_mask && drawn)
            sono_serve_overlay_draw(&image, 65535, small_mask, drawn);
    }
    const uint8_t *shown = mask ? drawn : small;
    bytes = shown && (!mask || small_mask) ? sono_web_encode(shown, w, h, &n, &type) : NULL;
    if (bytes)
        url = to_url(type, bytes, n);
    free(bytes);
    free(small);
    free(small_mask);
    free(drawn);
    return url;
}

static void encode(report_picture *picture, const uint8_t *rgb, const uint8_t *mask, int32_t width_px,
                   int32_t height_px)
{
    picture->large = make_url(rgb, mask, width_px, height_px, REPORT_LARGE_PX);
    picture->small = make_url(rgb, mask, width_px, height_px, REPORT_SMALL_PX);
    picture->why = picture->large && picture->small ? NULL : "it could not be encoded";
}

/* RGB of an image, whatever its format; to be freed. */
static uint8_t *to_rgb(const sono_image *image)
{
    const size_t n_px = (size_t)image->width_px * (size_t)image->height_px;
    uint8_t *rgb = malloc(3 * n_px), *none = calloc(1, n_px);
    if (rgb && none)
        sono_serve_overlay_draw(image, 65535, none, rgb);
    free(none);
    return rgb;
}

/* ---- results ------------------------------------------------------------------------------------------- */

static void read_overlay(report_picture *picture, const char *path)
{
    sono_source *source = NULL;
    sono_source_options options;
    sono_image image;
    sono_frame_info info;
    const char *name;
    struct stat facts;
    sono_source_options_init(&options);
    sono_image_init(&image);
    sono_frame_info_init(&info);
    options.keep_colour = 1;
    picture->why = "there is no picture of it in overlays/";
    if (stat(path, &facts) || !S_ISREG(facts.st_mode))
        return;
    picture->why = "its picture in overlays/ cannot be read";
    if (sono_source_open_images(&path, 1, &options, &source, NULL))
        return;
    if (!sono_source_next(source, &image, &info, &name, NULL)) {
        uint8_t *rgb = to_rgb(&image);
        if (rgb)
            encode(picture, rgb, NULL, image.width_px, image.height_px);
        free(rgb);
    }
    sono_source_close(source);
}

/* A string of JSON without escapes of its own; NULL where it holds any, or is longer: its bytes are then not
 * known. */
static int plain_text(const char *line, const char *key, char *out, size_t n_bytes)
{
    const char *value = json_find(line, key);
    size_t n = 0;
    if (!value || *value != '"')
        return -1;
    for (value++; *value != '"'; value++) {
        if (*value == '\\' && (value[1] == '"' || value[1] == '\\'))
            value++;
        else if (*value == '\\')
            return -1;
        if (!*value || n + 1 >= n_bytes)
            return -1;
        out[n++] = *value;
    }
    out[n] = 0;
    return 0;
}

static void picture_of_line(const report *self, const report_series *series, const char *line,
                            report_picture *picture)
{
    char stem[512], path[PATH_MAX], name[1024];
    if (!plain_text(line, "source", name, sizeof name))
        picture->name = strdup(name);
    picture->why = "evaluate keeps no pictures";
    if (series->kind != REPORT_RESULTS)
        return;
    picture->why = "its line names no picture";
    if (plain_text(line, "stem", stem, sizeof stem) || !*stem || strchr(stem, '/') ||
        snprintf(path, sizeof path, "%s/overlays/%s.png", self->folder, stem) >= PATH_MAX)
        return;
    read_overlay(picture, path);
}

static int read_lines(const report *self, const report_series *series, report_pictures *out)
{
    report_lines lines;
    if (report_lines_open(&lines, self->folder, series->name)) {
        for (int i = 0; i < out->n; i++)
            out->items[i].why = "its line could not be read again";
        return 0;
    }
    for (int i = 0; i < out->n; i++)
        if (!fseeko(lines.stream, (off_t)series->frames[out->items[i].frame].place, SEEK_SET) &&
            report_lines_next(&lines))
            picture_of_line(self, series, lines.text, &out->items[i]);
    report_lines_close(&lines);
    return 0;
}

/* ---- recordings ---------------------------------------------------------------------------------------- */

typedef struct drawing {
    report_pictures *pictures;
    int at;       /* the next picture */
    size_t frame; /* of the series */
} drawing;

/* 8 bits a pixel, as masks are. */
static int is_mask(const sono_image *mask, const sono_image *image)
{
    return mask && mask->format == SONO_PIXEL_GRAY8 && mask->width_px == image->width_px &&
           mask->height_px == image->height_px &&
           (!mask->pitch_bytes || mask->pitch_bytes == (size_t)mask->width_px);
}

static void draw(void *user, const report_step *step)
{
    drawing *self = user;
    const size_t frame = self->frame++;
    if (self->at == self->pictures->n || self->pictures->items[self->at].frame != frame)
        return;
    report_picture *picture = &self->pictures->items[self->at++];
    picture->why = "its image cannot be shown";
    uint8_t *rgb = step->image ? to_rgb(step->image) : NULL;
    if (rgb)
        encode(picture, rgb, is_mask(step->mask, step->image) ? step->mask->pixels : NULL,
               step->image->width_px, step->image->height_px);
    free(rgb);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const size_t a = ((const report_picture *)left)->frame, b = ((const report_picture *)right)->frame;
    return (a > b) - (a < b);
}

int report_pictures_make(const report *self, const report_series *series, const report_picks *picks,
                         report_pictures *out)
{
    int n = 0;
    for (int i = 0; i < REPORT_N_CRITERIA; i++)
        n += picks->n[i];
    *out = (report_pictures){.items = calloc((size_t)n + 1, sizeof *out->items)};
    if (!out->items)
        return -1;
    n = 0;
    for (int i = 0; i < REPORT_N_CRITERIA; i++)
        for (int k = 0; k < picks->n[i]; k++)
            out->items[n++].frame = picks->frames[i][k];
    qsort(out->items, (size_t)n, sizeof *out->items, compare);
    for (int i = 0; i < n; i++)
        if (!out->n || out->items[out->n - 1].frame != out->items[i].frame)
            out->items[out->n++] = out->items[i];
    if (series->kind != REPORT_RECORDING)
        return read_lines(self, series, out);
    drawing user = {.pictures = out};
    const report_walk walk = {.folder = self->folder, .series = series};
    for (int i = 0; i < out->n; i++)
        out->items[i].why = "its image could not be read again";
    report_walk_all(&walk, draw, &user);
    return 0;
}

const report_picture *report_pictures_find(const report_pictures *pictures, size_t frame)
{
    const report_picture key = {.frame = frame};
    return bsearch(&key, pictures->items, (size_t)pictures->n, sizeof key, compare);
}

void report_pictures_free(report_pictures *pictures)
{
    for (int i = 0; i < pictures->n; i++) {
        free(pictures->items[i].name);
        free(pictures->items[i].large);
        free(pictures->items[i].small);
    }
    free(pictures->items);
    *pictures = (report_pictures){0};
}
