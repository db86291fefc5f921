// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* FIND_REGION against a plain reference, and against the truth of drawn screens. */
#include "drawn_screen.h"
#include "op_scene.h"

#include "base/alloc.h"
#include "engine/find_region.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 64 /* cells */

typedef struct rect {
    int32_t x, y, w, h;
} rect;

/* ---- the reference: pixel by pixel, from greys alone ---- */

typedef struct greys {
    int32_t w, h, s, nx, ny;
    uint8_t *grain, *fine, *steep; /* [h][w] */
} greys;

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static greys look(const op_scene *scene, int32_t frame)
{
    greys v = {.w = scene->headers[frame].width_px, .h = scene->headers[frame].height_px, .s = 8};
    const size_t n = (size_t)v.w * (size_t)v.h;
    v.grain = sono_alloc(n);
    v.fine = sono_alloc(n);
    v.steep = sono_alloc(n);
    assert_true(v.grain && v.fine && v.steep);
    for (int32_t y = 0; y < v.h; y++)
        for (int32_t x = 0; x < v.w; x++) {
            const int32_t here = op_scene_grey(scene, frame, x, y);
            const int32_t dx = abs(op_scene_grey(scene, frame, least(x + 1, v.w - 1), y) - here);
            const int32_t dy = abs(op_scene_grey(scene, frame, x, least(y + 1, v.h - 1)) - here);
            const int64_t at = (int64_t)y * v.w + x;
            v.grain[at] = dx > 0 && dy > 0;
            v.fine[at] = v.grain[at] && dx <= 32 && dy <= 32;
            v.steep[at] = dx > 48 || dy > 48;
        }
    while (v.s * MAX_SIDE < v.w || v.s * MAX_SIDE < v.h)
        v.s *= 2;
    v.nx = (v.w + v.s - 1) / v.s;
    v.ny = (v.h + v.s - 1) / v.s;
    return v;
}

static void close_screen(greys *v)
{
    sono_free(v->grain);
    sono_free(v->fine);
    sono_free(v->steep);
}

/* Set pixels of a rectangle, cut off at the frame. */
static int32_t count(const greys *v, const uint8_t *what, int32_t x0, int32_t y0, int32_t x1, int32_t y1)
{
    int32_t n = 0;
    for (int32_t y = y0; y < least(y1, v->h); y++)
        for (int32_t x = x0; x < least(x1, v->w); x++)
            n += what[(int64_t)y * v->w + x];
    return n;
}

static int32_t count_cell(const greys *v, const uint8_t *what, int32_t x, int32_t y)
{
    return count(v, what, x * v->s, y * v->s, (x + 1) * v->s, (y + 1) * v->s);
}

static int32_t area_of(const greys *v, int32_t x, int32_t y)
{
    return (least((x + 1) * v->s, v->w) - x * v->s) * (least((y + 1) * v->s, v->h) - y * v->s);
}

static int textured(const greys *v, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= v->nx || y >= v->ny)
        return 0;
    const int32_t fine = count_cell(v, v->fine, x, y);
    return fine * 5 >= area_of(v, x, y) && count_cell(v, v->steep, x, y) * 8 < fine;
}

/* Labels of components in cells [ny][nx], 1 + the first cell in raster order; 0 = none. By sweeping until
 * nothing changes. */
static void label_cells(const greys *v, const uint8_t *t, int32_t *labels)
{
    for (int32_t y = 0; y < v->ny; y++)
        for (int32_t x = 0; x < v->nx; x++) {
            int closed = 1;
            for (int32_t i = 0; i < 9; i++) {
                int any = 0;
                for (int32_t k = 0; k < 9; k++) {
                    const int32_t ax = x + i % 3 + k % 3 - 2, ay = y + i / 3 + k / 3 - 2;
                    any |= ax >= 0 && ay >= 0 && ax < v->nx && ay < v->ny && t[ay * v->nx + ax];
                }
                closed &= any;
            }
            const int is_dense = count_cell(v, v->grain, x, y) * 8 >= area_of(v, x, y) * 7;
            labels[y * v->nx + x] = closed || is_dense ? 1 + y * v->nx + x : 0;
        }
    for (int changed = 1; changed;) {
        changed = 0;
        for (int32_t i = 0; i < v->nx * v->ny; i++) {
            const int32_t right = i % v->nx + 1 < v->nx ? i + 1 : i,
                          below = i + v->nx < v->nx * v->ny ? i + v->nx : i;
            const int32_t pair[2] = {right, below};
            for (int k = 0; k < 2; k++)
                if (labels[i] && labels[pair[k]] && labels[i] != labels[pair[k]]) {
                    labels[i] = labels[pair[k]] = least(labels[i], labels[pair[k]]);
                    changed = 1;
                }
        }
    }
}

/* Whether pixel row or column `at` of the box has the grain of an image. */
static int is_image(const greys *v, const rect *box, int along_y, int32_t at)
{
    const int32_t x1 = box->x + box->w, y1 = box->y + box->h;
    const int32_t here =
        along_y ? count(v, v->grain, box->x, at, x1, at + 1) : count(v, v->grain, at, box->y, at + 1, y1);
    return here >= 2 &&
           (int64_t)here * 20 * (along_y ? box->h : box->w) >= count(v, v->grain, box->x, box->y, x1, y1);
}

/* The border before (step -1) or behind the box along one axis. */
static int32_t border(const greys *v, const rect *box, int along_y, int step)
{
    const int32_t low = along_y ? box->y : box->x, high = low + (along_y ? box->h : box->w);
    const int32_t middle = (low + high) / 2, n = along_y ? v->h : v->w;
    int32_t at;
    if (step < 0) {
        const int32_t last = least(low + 2 * v->s, middle) - (middle > low);
        for (at = low; at < last && !is_image(v, box, along_y, at); at++)
            ;
        if (!is_image(v, box, along_y, at))
            at = low;
        for (int gap = 0; gap < 2; gap++)
            while (at - 1 - gap >= 0 && at - 1 - gap >= low - 3 * v->s &&
                   is_image(v, box, along_y, at - 1 - gap)) {
                at -= 1 + gap;
                gap = 0;
            }
        return at;
    }
    const int32_t first = high - 2 * v->s > middle ? high - 2 * v->s : middle;
    for (at = high - 1; at > first && !is_image(v, box, along_y, at); at--)
        ;
    if (!is_image(v, box, along_y, at))
        at = high - 1;
    for (int gap = 0; gap < 2; gap++)
        while (at + 1 + gap < n && at + 1 + gap < high + 3 * v->s &&
               is_image(v, box, along_y, at + 1 + gap)) {
            at += 1 + gap;
            gap = 0;
        }
    return at;
}

/* Fine pixels of the textured cells with a label. */
static int64_t mass_of(const greys *v, const uint8_t *t, const int32_t *labels, int32_t label)
{
    int64_t mass = 0;
    for (int32_t k = 0; k < v->nx * v->ny; k++)
        if (labels[k] == label && t[k])
            mass += count_cell(v, v->fine, k % v->nx, k / v->nx);
    return mass;
}

/* The rectangle around all cells with a label, and how many there are. */
static rect around(const greys *v, const int32_t *labels, int32_t label, int32_t *n_cells)
{
    int32_t x0 = v->nx, y0 = v->ny, x1 = 0, y1 = 0;
    *n_cells = 0;
    for (int32_t k = 0; k < v->nx * v->ny; k++) {
        if (labels[k] != label)
            continue;
        x0 = least(x0, k % v->nx);
        y0 = least(y0, k / v->nx);
        x1 = -least(-x1, -(k % v->nx + 1));
        y1 = -least(-y1, -(k / v->nx + 1));
        ++*n_cells;
    }
    return (rect){x0, y0, x1 - x0, y1 - y0};
}

/* The component with the most fine pixels, which those beside it with half of them or more join: its box
 * in cells, its cells, whether it has six tenths of all fine pixels; 0 = there is none. */
static int32_t heaviest(const greys *v, const uint8_t *t, int32_t *labels, rect *box, int32_t *n_cells,
                        int *dominates)
{
    int64_t best = 0, all = 0;
    int32_t label = 0;
    for (int32_t i = 0; i < v->nx * v->ny; i++) {
        const int64_t mass = labels[i] == i + 1 ? mass_of(v, t, labels, i + 1) : 0;
        all += mass;
        if (mass > best) {
            best = mass;
            label = i + 1;
        }
    }
    *box = around(v, labels, label, n_cells);
    for (int32_t k = 0; k < v->nx * v->ny && label; k++) {
        const int32_t x = k % v->nx - box->x, y = k / v->nx - box->y, other = labels[k];
        if (!other || other == label || x < -2 || y < -2 || x > box->w + 1 || y > box->h + 1 ||
            mass_of(v, t, labels, other) * 2 < best)
            continue;
        for (int32_t i = 0; i < v->nx * v->ny; i++)
            labels[i] = labels[i] == other ? label : labels[i];
    }
    if (label)
        *box = around(v, labels, label, n_cells);
    *dominates = label && mass_of(v, t, labels, label) * 10 >= all * 6;
    return label;
}

/* 1 with the region. */
static int find(const greys *v, rect *out)
{
    uint8_t t[MAX_SIDE * MAX_SIDE];
    int32_t labels[MAX_SIDE * MAX_SIDE], n_cells, n_outside = 0;
    int dominates;
    rect cells;
    for (int32_t i = 0; i < v->nx * v->ny; i++)
        t[i] = (uint8_t)textured(v, i % v->nx, i / v->nx);
    label_cells(v, t, labels);
    if (!heaviest(v, t, labels, &cells, &n_cells, &dominates))
        return 0;
    for (int32_t i = 0; i < v->nx * v->ny; i++) {
        const int32_t x = i % v->nx - cells.x, y = i / v->nx - cells.y;
        n_outside += t[i] && (x < 0 || y < 0 || x >= cells.w || y >= cells.h);
    }
    const rect box = {cells.x * v->s, cells.y * v->s,
                      least((cells.x + cells.w) * v->s, v->w) - cells.x * v->s,
                      least((cells.y + cells.h) * v->s, v->h) - cells.y * v->s};
    const int32_t x0 = border(v, &box, 0, -1), y0 = border(v, &box, 1, -1);
    const int32_t x1 = border(v, &box, 0, 1) + 1, y1 = border(v, &box, 1, 1) + 1;
    *out = (rect){x0, y0, x1 - x0, y1 - y0};
    if (out->w * 6 < v->w || out->h * 6 < v->h || n_cells * 5 < cells.w * cells.h || !dominates)
        return 0;
    const int32_t near_x = -least(-v->s, -(v->w / 32)), near_y = -least(-v->s, -(v->h / 32));
    const int touched =
        (out->x <= near_x) + (out->y <= near_y) + (v->w - x1 <= near_x) + (v->h - y1 <= near_y);
    if ((int64_t)out->w * out->h * 10 >= (int64_t)v->w * v->h * 9 ||
        (touched >= 3 && n_outside * 16 <= v->nx * v->ny - cells.w * cells.h))
        *out = (rect){0, 0, v->w, v->h};
    return 1;
}

/* ---- running the op ---- */

typedef struct run {
    sono_op_test t;
    sono_tid region, header;
} run;

static void open_run(run *r, op_scene *s, int with_stream)
{
    const sono_region_args args = {s->max_width_px, s->max_height_px};
    const op_scene_tensors x = op_scene_record(s, &r->t);
    const sono_tid kept =
        with_stream ? sono_record_kept(&r->t.rec, "kept", SONO_DTYPE_U8, 1, 1, 1, SONO_REGION_BYTES) : 0;
    r->region = sono_record_tensor(&r->t.rec, "region", SONO_DTYPE_I32, s->n_frames, 1, 1, 4);
    r->header = sono_record_find_region(&r->t.rec, "find", x.pixels, x.header, kept, &args, r->region);
    sono_record_output(&r->t.rec, r->header);
    sono_record_output(&r->t.rec, r->region);
    sono_op_test_finish(&r->t);
}

/* Wants these regions, and headers that are the same but for them. */
static void want(run *r, const op_scene *s, const rect *regions)
{
    double *region = sono_op_test_want(&r->t, r->region, sono_op_test_tolerance(SONO_OP_FIND_REGION));
    double *bytes = sono_op_test_want(&r->t, r->header, 0);
    for (int32_t i = 0; i < s->n_frames; i++) {
        sono_frame_header header = s->headers[i];
        const int32_t values[4] = {regions[i].x, regions[i].y, regions[i].w, regions[i].h};
        for (int k = 0; k < 4; k++) {
            region[4 * i + k] = values[k];
            header.region[k] = (uint16_t)values[k];
        }
        for (size_t k = 0; k < sizeof header; k++)
            bytes[(size_t)i * sizeof header + k] = ((const uint8_t *)&header)[k];
    }
}

/* What is drawn in a frame of the random scenes. */
typedef enum content { NOTHING, NOISE, SCREEN, FAN, SPECKLE, PATCHES, CONTENTS } content;

static void draw(op_scene *s, sono_op_test *t, int32_t frame, content what)
{
    const sono_frame_header *header = &s->headers[frame];
    const int32_t w = header->width_px, h = header->height_px;
    const uint32_t seed = (uint32_t)sono_op_test_int(t, 0, 1 << 30);
    drawn_screen screen = {.width_px = w, .height_px = h, .grey = sono_alloc((size_t)w * (size_t)h)};
    assert_non_null(screen.grey);
    if ((what == SCREEN || what == FAN) && w >= 320 && h >= 320)
        drawn_screen_make(&screen, seed, what == FAN ? DRAWN_FAN : DRAWN_RECTANGLE);
    for (int32_t i = 0; i < w * h; i++) {
        if (what == NOISE)
            screen.grey[i] = (uint8_t)sono_op_test_int(t, 0, 255);
        if (what == SPECKLE)
            screen.grey[i] = (uint8_t)drawn_speckle(seed, i % w, i / w, 40);
        if (what == PATCHES && (i % w / 23 * 7 + i / w / 19 * 5 + (int32_t)(seed % 7)) % 3)
            screen.grey[i] = (uint8_t)drawn_speckle(seed, i % w, i / w, 10 + i / w % 64);
        op_scene_set_grey(s, frame, i % w, i / w, screen.grey[i]);
    }
    sono_free(screen.grey);
}

static void check_scene(op_scene *s, const content *contents, uint64_t seed)
{
    run r;
    rect wanted[OP_SCENE_MAX_FRAMES];
    sono_op_test_open(&r.t, seed);
    op_scene_open(s, &r.t);
    for (int32_t i = 0; i < s->n_frames; i++) {
        draw(s, &r.t, i, contents[i]);
        greys v = look(s, i);
        if (!find(&v, &wanted[i]))
            wanted[i] = (rect){0, 0, v.w, v.h};
        close_screen(&v);
    }
    open_run(&r, s, 0);
    want(&r, s, wanted);
    sono_op_test_run(&r.t);
    op_scene_close(s);
    sono_op_test_close(&r.t);
}

static void agrees_with_the_reference(void **state)
{
    static const int32_t sizes[][2] = {{422, 558}, {97, 33}, {9, 300}, {1, 1}, {520, 400}, {200, 200}};
    static const sono_pixel_format formats[] = {SONO_PIXEL_GRAY8, SONO_PIXEL_RGB8, SONO_PIXEL_RGBA8,
                                                SONO_PIXEL_GRAY16};
    (void)state;
    for (int what = NOTHING; what < CONTENTS; what++)
        for (int32_t first = 0; first < 6; first += 3) {
            op_scene s = {3, 1, 600, 560, 0, .headers = {{0}}};
            content contents[3];
            for (int32_t i = 0; i < 3; i++) {
                s.headers[i] = op_scene_header(sizes[first + i][0], sizes[first + i][1],
                                               formats[(what + first + i) % 4], i * 3);
                contents[i] = (content)((what + i) % CONTENTS);
            }
            check_scene(&s, contents, (uint64_t)(100 * what + first));
        }
}

/* Cells of 32 and of 64 pixels, wider than half a warp and than a whole one. */
static void agrees_on_large_frames(void **state)
{
    (void)state;
    op_scene s = {1, 1, 1300, 900, 0, .headers = {{0}}};
    s.headers[0] = op_scene_header(1300, 900, SONO_PIXEL_GRAY8, 1);
    check_scene(&s, (const content[]){FAN}, 7);
    op_scene wide = {1, 1, 2100, 330, 0, .headers = {{0}}};
    wide.headers[0] = op_scene_header(2100, 330, SONO_PIXEL_GRAY8, 0);
    check_scene(&wide, (const content[]){SCREEN}, 8);
    op_scene strip = {1, 1, 16384, 40, 0, .headers = {{0}}};
    strip.headers[0] = op_scene_header(16384, 40, SONO_PIXEL_GRAY8, 0);
    check_scene(&strip, (const content[]){PATCHES}, 9);
}

/* ---- drawn screens ---- */

static double iou(rect a, rect b)
{
    const int32_t w = least(a.x + a.w, b.x + b.w) + least(-a.x, -b.x);
    const int32_t h = least(a.y + a.h, b.y + b.h) + least(-a.y, -b.y);
    const double both = w > 0 && h > 0 ? (double)w * h : 0;
    return both / ((double)a.w * a.h + (double)b.w * b.h - both);
}

static rect find_on(const drawn_screen *screen)
{
    op_scene s = {1, 1, screen->width_px, screen->height_px, 0, .headers = {{0}}};
    run r;
    s.headers[0] = op_scene_header(screen->width_px, screen->height_px, SONO_PIXEL_GRAY8, 0);
    sono_op_test_open(&r.t, 1);
    op_scene_open(&s, &r.t);
    memcpy(s.pixels, screen->grey, s.pixels_bytes);
    open_run(&r, &s, 0);
    int32_t *region = op_scene_run(&r.t, r.region);
    const rect found = {region[0], region[1], region[2], region[3]};
    sono_free(region);
    op_scene_close(&s);
    sono_op_test_close(&r.t);
    return found;
}

static void finds_the_image_on_drawn_screens(void **state)
{
    static const int32_t sizes[][2] = {{640, 480}, {800, 600}, {1024, 768}, {1280, 720}};
    (void)state;
    for (uint32_t seed = 0; seed < 24; seed++) {
        const int32_t *size = sizes[seed % 4];
        drawn_screen screen = {.width_px = size[0], .height_px = size[1]};
        screen.grey = sono_alloc((size_t)size[0] * (size_t)size[1]);
        assert_non_null(screen.grey);
        drawn_screen_make(&screen, seed, seed / 4 % 2 ? DRAWN_FAN : DRAWN_RECTANGLE);
        const rect truth = {screen.x, screen.y, screen.w, screen.h}, found = find_on(&screen);
        if (iou(truth, found) < 0.95)
            fail_msg("screen %u: %d,%d,%d,%d is at %d,%d,%d,%d: IoU %.3f", seed, truth.x, truth.y, truth.w,
                     truth.h, found.x, found.y, found.w, found.h, iou(truth, found));
        sono_free(screen.grey);
    }
}

/* No image, and nothing but an image: the whole frame. */
static void leaves_whole_what_is_no_screen(void **state)
{
    enum { EMPTY, LETTERS, IMAGE, SHALLOW, KINDS };
    (void)state;
    for (int kind = EMPTY; kind < KINDS; kind++) {
        drawn_screen screen = {.width_px = 640, .height_px = 480, .grey = sono_alloc(640 * 480)};
        assert_non_null(screen.grey);
        if (kind == LETTERS)
            drawn_screen_surround(&screen, 5);
        /* SHALLOW: nothing comes back from below two thirds of the depth. */
        for (int32_t i = 0; i < 640 * 480 && kind >= IMAGE; i++)
            screen.grey[i] =
                (uint8_t)(kind == SHALLOW && i / 640 > 320 ? 0 : drawn_speckle(3, i % 640, i / 640, 50));
        const rect found = find_on(&screen);
        assert_true(found.x == 0 && found.y == 0 && found.w == 640 && found.h == 480);
        sono_free(screen.grey);
    }
}

/* ---- a stream ---- */

static rect settle(region_kept *kept, int32_t stream, const rect *found)
{
    const sono_frame_header header = {.width_px = 800, .height_px = 600, .stream = (uint8_t)stream};
    const region_rect f =
        found ? (region_rect){found->x, found->y, found->w, found->h} : (region_rect){0, 0, 0, 0};
    const region_rect r = region_settle(&header, found != NULL, f, kept);
    return (rect){r.x, r.y, r.w, r.h};
}

static int is_equal(rect a, rect b)
{
    return a.x == b.x && a.y == b.y && a.w == b.w && a.h == b.h;
}

static void keeps_its_place_through_a_stream(void **state)
{
    static const rect whole = {0, 0, 800, 600}, first = {100, 50, 500, 400}, near_it = {102, 50, 498, 404},
                      larger = {100, 50, 500, 500}, part = {100, 50, 500, 200};
    region_kept kept = {0};
    (void)state;
    assert_true(is_equal(settle(&kept, SONO_STREAM_BEGINS, NULL), whole));
    assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &first), first));
    assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &near_it), first)); /* does not jitter */
    assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, NULL), first));
    for (int i = 0; i < REGION_GROWS_AFTER - 1; i++)
        assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &larger), first));
    assert_true(
        is_equal(settle(&kept, SONO_STREAM_GOES_ON, &first), first)); /* not in a row: from the start */
    for (int i = 0; i < REGION_GROWS_AFTER - 1; i++)
        assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &larger), first));
    assert_true(
        is_equal(settle(&kept, SONO_STREAM_NO_FRAME, NULL), whole)); /* a placeholder changes nothing */
    assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &larger), larger));
    for (int i = 0; i < REGION_SHRINKS_AFTER - 1; i++)
        assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &part), larger));
    assert_true(is_equal(settle(&kept, SONO_STREAM_GOES_ON, &part), part));
    assert_true(is_equal(settle(&kept, SONO_STREAM_BEGINS, &first), first)); /* a new stream */
}

/* Through the op: the second frame of a batch stays where the first one was, the third is of another size. */
static void keeps_it_through_a_batch(void **state)
{
    op_scene s = {3, 1, 700, 520, 0, .headers = {{0}}};
    run r;
    rect wanted[3];
    (void)state;
    for (int32_t i = 0; i < 3; i++)
        s.headers[i] = op_scene_header(i < 2 ? 640 : 700, i < 2 ? 480 : 520, SONO_PIXEL_GRAY8, 0);
    s.headers[0].stream = SONO_STREAM_BEGINS;
    sono_op_test_open(&r.t, 11);
    op_scene_open(&s, &r.t);
    for (int32_t i = 0; i < 3; i++) {
        draw(&s, &r.t, i, i == 1 ? FAN : SCREEN);
        greys v = look(&s, i);
        assert_true(find(&v, &wanted[i]));
        close_screen(&v);
    }
    assert_false(is_equal(wanted[0], wanted[1]));
    wanted[1] = wanted[0];
    open_run(&r, &s, 1);
    want(&r, &s, wanted);
    sono_op_test_run(&r.t);
    op_scene_close(&s);
    sono_op_test_close(&r.t);
}

static void refuses_what_does_not_fit(void **state)
{
    static const sono_region_args none = {0, 480}, huge = {16385, 4}, fits = {640, 480};
    (void)state;
    for (int i = 0; i < 4; i++) {
        sono_op_test t;
        op_scene s = {2, 1, 8, 4, 0, .headers = {{0}}};
        s.headers[0] = s.headers[1] = op_scene_header(8, 4, SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        const op_scene_tensors x = op_scene_record(&s, &t);
        const sono_tid short_one = sono_record_kept(&t.rec, "kept", SONO_DTYPE_U8, 1, 1, 1, 32);
        const sono_tid out = sono_record_find_region(&t.rec, "find", i == 2 ? x.detections : x.pixels,
                                                     x.header, i == 3 ? short_one : 0,
                                                     i == 0   ? &none
                                                     : i == 1 ? &huge
                                                              : &fits,
                                                     0);
        assert_int_equal(out, 0);
        assert_int_equal(sono_record_finish(&t.rec), SONO_STATUS_INVALID_ARGUMENT);
        assert_non_null(strstr(t.error.text, "find: "));
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

static void bench(void)
{
    static const int32_t sizes[][2] = {{422, 558}, {1920, 1080}};
    for (int i = 0; i < 2; i++) {
        op_scene s = {1, 1, sizes[i][0], sizes[i][1], 0, .headers = {{0}}};
        run r;
        s.headers[0] = op_scene_header(sizes[i][0], sizes[i][1], SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&r.t, 3);
        op_scene_open(&s, &r.t);
        draw(&s, &r.t, 0, FAN);
        open_run(&r, &s, 0);
        sono_op_test_bench(&r.t, i ? "find_region 1920x1080" : "find_region 422x558");
        op_scene_close(&s);
        sono_op_test_close(&r.t);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_reference),        cmocka_unit_test(agrees_on_large_frames),
        cmocka_unit_test(finds_the_image_on_drawn_screens), cmocka_unit_test(leaves_whole_what_is_no_screen),
        cmocka_unit_test(keeps_its_place_through_a_stream), cmocka_unit_test(keeps_it_through_a_batch),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/find_region", tests, sizeof tests / sizeof tests[0]);
}
