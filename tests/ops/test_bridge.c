// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* BRIDGE_MASK against a reference that paints what a gap is judged by into a picture and counts it, and on
 * true masks of the phantom with gaps cut into them. */
#include "mask_frames.h"

#include "base/alloc.h"
#include "sonoseg/phantom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MASKS (MASK_FRAMES_MAX * MASK_FRAMES_MAX_OBJECTS)

/* ---- the reference ---- */

typedef enum paint { NOTHING, END, BAND, AROUND } paint;

typedef struct picture {
    const mask_frames *f;
    int32_t frame, w, h;
    const uint8_t *before; /* the mask */
    uint8_t *paints;       /* [h][w] */
} picture;

/* The longest run of column x; 0 = it has none. */
static int32_t longest_run(const picture *p, int32_t x, int32_t *first)
{
    int32_t length = 0, best = 0;
    for (int32_t y = 0; y <= p->h; y++) {
        if (y < p->h && p->before[(int64_t)y * p->w + x]) {
            length++;
            continue;
        }
        if (length > best) {
            best = length;
            *first = y - length;
        }
        length = 0;
    }
    return best;
}

static void put(const picture *p, int32_t x, int32_t first, int32_t n, paint what)
{
    for (int32_t y = first; y < first + n; y++)
        if (y >= 0 && y < p->h)
            p->paints[(int64_t)y * p->w + x] = (uint8_t)what;
}

static void put_with_around(const picture *p, int32_t x, int32_t first, int32_t n, paint what)
{
    const int32_t away = n / 4 + 1;
    put(p, x, first, n, what);
    put(p, x, first - away - n, n, AROUND);
    put(p, x, first + n + away, n, AROUND);
}

/* Mean grey in sixteenths of what is painted so in columns [from, to]. */
static int64_t mean(const picture *p, paint what, int32_t from, int32_t to)
{
    int64_t sum = 0, n = 0;
    for (int64_t i = 0; i < (int64_t)p->w * p->h; i++) {
        const int32_t x = (int32_t)(i % p->w);
        if (p->paints[i] != what || x < from || x > to)
            continue;
        sum += mask_frames_grey(p->f, p->frame, x, (int32_t)(i / p->w));
        n++;
    }
    return n ? (32 * sum + n) / (2 * n) : 0;
}

/* Mean first and last rows of up to 8 columns from x on, and their mean column, times 256. */
typedef struct side {
    int64_t at, top, bottom;
} side;

static side side_of(const picture *p, int32_t x, int32_t direction)
{
    int64_t at = 0, top = 0, bottom = 0;
    int32_t n = 0, first = 0, length;
    for (; n < 8 && x >= 0 && x < p->w && (length = longest_run(p, x, &first)) > 0; n++, x += direction) {
        at += x;
        top += first;
        bottom += first + length - 1;
        put_with_around(p, x, first, length, END);
    }
    return (side){256 * at / n, 256 * top / n, 256 * bottom / n};
}

static int32_t between(const side *a, const side *b, int64_t from, int64_t to, int32_t x)
{
    return (int32_t)((from + lldiv((to - from) * (256 * x - a->at), b->at - a->at).quot + 128) / 256);
}

/* Whether it stays open: columns (left, right). mask: what becomes of it. Returns the pixels added. */
static int32_t close_gap(const picture *p, int32_t left, int32_t right, uint8_t *mask)
{
    int32_t n_bright = 0, added = 0;
    memset(p->paints, NOTHING, (size_t)p->w * (size_t)p->h);
    const side a = side_of(p, left, -1), b = side_of(p, right, 1);
    const int64_t thick = a.bottom - a.top + b.bottom - b.top;
    if (llabs(b.top + b.bottom - a.top - a.bottom) > 512 * (int64_t)(right - left) + thick)
        return 0;
    for (int32_t x = left + 1; x < right; x++) {
        const int32_t first = between(&a, &b, a.top, b.top, x), last = between(&a, &b, a.bottom, b.bottom, x);
        put_with_around(p, x, first, last - first + 1, BAND);
    }
    const int64_t ends = mean(p, END, 0, p->w), around = mean(p, AROUND, 0, p->w);
    if (ends - around < 256 || 4 * mean(p, BAND, 0, p->w) <= 3 * ends + around)
        return 0;
    for (int32_t x = left + 1; x < right; x++)
        n_bright += 4 * mean(p, BAND, x - 1, x + 1) > 3 * ends + around;
    if (n_bright * 4 < 3 * (right - left - 1))
        return 0;
    for (int64_t i = 0; i < (int64_t)p->w * p->h; i++)
        if (p->paints[i] == BAND) {
            mask[i] = 255;
            added++;
        }
    return added;
}

static int32_t reference(const mask_frames *f, int32_t frame, int32_t object, int32_t most, uint8_t *mask)
{
    picture p = {f, frame, f->frames[frame].width_px, f->frames[frame].height_px, NULL, NULL};
    int32_t added = 0, left = -1, first;
    p.before = mask_frames_mask(f, f->maps, frame, object);
    p.paints = sono_alloc((size_t)p.w * (size_t)p.h);
    assert_non_null(p.paints);
    for (int32_t x = 0; x < p.w; x++) {
        if (!longest_run(&p, x, &first))
            continue;
        if (left >= 0 && x - left > 1 && x - left - 1 <= most)
            added += close_gap(&p, left, x, mask);
        left = x;
    }
    sono_free(p.paints);
    return added;
}

/* ---- drawings ---- */

static int32_t arch(const mask_frame *frame, int32_t x)
{
    const double u = 2.0 * x / frame->width_px - 1;
    return (int32_t)(frame->height_px * (0.4 + 0.2 * u * u));
}

/* An echo with a shadow in [0.2, 0.3) of the width. */
static int32_t echo(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    const double d = y - arch(frame, x), u = (double)x / frame->width_px;
    const double v = (u >= 0.2 && u < 0.3 ? 10 : 190) * exp(-d * d / 18) + sono_op_test_int(t, 0, 60);
    return v > 255 ? 255 : (int32_t)v;
}

static int32_t noise(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    (void)frame;
    (void)x;
    (void)y;
    return sono_op_test_int(t, 0, 255);
}

static int is_outlined(const mask_frame *frame, int32_t x, int32_t y)
{
    return abs(y - arch(frame, x)) <= 4;
}

/* Open in the shadow and in [0.5, 0.6) of the width; the second object wherever three columns are over. */
static int gaps(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    const double u = (double)x / frame->width_px;
    (void)t;
    if (object > 0)
        return x % 7 < 4 && is_outlined(frame, x, y);
    return !(u >= 0.2 && u < 0.3) && !(u >= 0.5 && u < 0.6) && is_outlined(frame, x, y);
}

static int steps(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    const int32_t row = arch(frame, x) + x / 9 % 3 * 7 * (object + 1);
    (void)t;
    return x % 9 < 6 && y >= row && y < row + 5;
}

static int columns(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)t;
    (void)frame;
    (void)object;
    (void)y;
    return x % 5 != 3;
}

static int specks(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)frame;
    (void)object;
    (void)y;
    return x % 3 != 1 && sono_op_test_int(t, 0, 99) < 10;
}

static int nothing(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)t;
    (void)frame;
    (void)object;
    (void)x;
    (void)y;
    return 0;
}

static const mask_drawing drawings[] = {{echo, gaps},    {echo, steps},  {noise, columns},
                                        {noise, specks}, {echo, specks}, {echo, nothing}};

/* ---- the op ---- */

typedef struct tensors {
    sono_tid area;
    int32_t areas[MAX_MASKS]; /* before */
} tensors;

/* boxes: of every object; width 0 = none. */
static tensors record(sono_op_test *t, const mask_frames *f, float box_width, int32_t permille)
{
    const sono_segment_args args = {.image_size = 1024,
                                    .max_width_px = f->max_width_px,
                                    .max_height_px = f->max_height_px,
                                    .map_element_bytes = f->element_bytes,
                                    .bridge_permille = permille};
    float found[MAX_MASKS][SONO_DETECTION_FLOATS] = {{0}};
    tensors x = {.areas = {0}};
    for (int32_t i = 0; i < f->n_frames * f->n_objects; i++) {
        found[i][0] = 3;
        found[i][2] = 3 + box_width;
        x.areas[i] = 100 * i;
    }
    x.area = sono_op_test_inout_values(t, SONO_DTYPE_I32, f->n_frames * f->n_objects, 1, 1, 1, x.areas);
    const sono_tid detections = sono_op_test_input_values(t, SONO_DTYPE_F32, f->n_frames, 1, f->n_objects,
                                                          SONO_DETECTION_FLOATS, found);
    sono_record_bridge_mask(&t->rec, "bridge", f->mask_id, x.area, f->pixels_id, f->headers_id, detections,
                            &args);
    return x;
}

static int32_t most_of(const mask_frame *frame, float box_width, int32_t permille)
{
    const int32_t width =
        box_width > 0 && box_width < (float)frame->width_px ? (int32_t)box_width : frame->width_px;
    return width * permille / 1000;
}

/* Runs the op against the reference. after: [maps_bytes], what becomes of all maps; the caller's. Returns the
 * pixels added. */
static int32_t check(mask_frames *f, const mask_drawing *drawing, float box_width, int32_t permille,
                     uint8_t **after)
{
    sono_op_test t;
    int32_t added = 0;
    sono_op_test_open(&t, 77);
    mask_frames_open(f, &t, drawing);
    const tensors x = record(&t, f, box_width, permille);
    sono_op_test_finish(&t);
    *after = sono_alloc((size_t)f->maps_bytes);
    assert_non_null(*after);
    memcpy(*after, f->maps, (size_t)f->maps_bytes);
    double *want = sono_op_test_want(&t, f->maps_id, sono_op_test_tolerance(SONO_OP_BRIDGE_MASK));
    double *area = sono_op_test_want(&t, x.area, 0);
    for (int32_t i = 0; i < f->n_frames; i++)
        for (int32_t k = 0; k < f->n_objects; k++) {
            const int32_t n = reference(f, i, k, most_of(&f->frames[i], box_width, permille),
                                        mask_frames_mask(f, *after, i, k));
            area[i * f->n_objects + k] = x.areas[i * f->n_objects + k] + n;
            added += n;
        }
    for (int64_t i = 0; i < f->maps_bytes; i++)
        want[i] = (*after)[i];
    sono_op_test_run(&t);
    sono_op_test_close(&t);
    return added;
}

static void every_case_agrees(void **state)
{
    static const mask_frame grey = {97, 130, SONO_PIXEL_GRAY8, 0}, dot = {1, 1, SONO_PIXEL_GRAY8, 0},
                            line = {70, 1, SONO_PIXEL_GRAY8, 0}, deep = {60, 128, SONO_PIXEL_GRAY16, 1023},
                            wide = {300, 70, SONO_PIXEL_RGBA8, 0};
    static const mask_frame batch[] = {
        {97, 100, SONO_PIXEL_GRAY16, 65535}, {130, 97, SONO_PIXEL_RGB8, 0}, {33, 31, SONO_PIXEL_GRAY8, 0}};
    mask_frames cases[] = {
        {.n_frames = 1, .n_objects = 1, .max_width_px = 97, .max_height_px = 130, .frames = &grey},
        {.n_frames = 1, .n_objects = 2, .max_width_px = 5, .max_height_px = 7, .frames = &dot},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 70, .max_height_px = 1, .frames = &line},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 128, .max_height_px = 70, .frames = &deep},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 70, .max_height_px = 300, .frames = &wide},
        {.n_frames = 3,
         .n_objects = 2,
         .element_bytes = 1,
         .max_width_px = 130,
         .max_height_px = 110,
         .frames = batch},
    };
    static const float boxes[] = {0, 90.5f, 40};
    int32_t added = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < sizeof drawings / sizeof drawings[0]; k++) {
            uint8_t *after;
            added += check(&cases[i], &drawings[k], boxes[(i + k) % 3], k % 2 ? 1000 : 150, &after);
            sono_free(after);
            mask_frames_close(&cases[i]);
        }
    assert_in_range(added, 1000, 100000); /* else nothing was bridged, and nothing was shown */
}

/* Of two gaps the one with an echo is closed, row by row where the echo is; the one in shadow stays. */
static void shadows_stay_open(void **state)
{
    static const mask_frame frame = {200, 150, SONO_PIXEL_GRAY8, 0};
    mask_frames f = {
        .n_frames = 1, .n_objects = 1, .max_width_px = 200, .max_height_px = 150, .frames = &frame};
    uint8_t *after;
    (void)state;
    const int32_t added = check(&f, &drawings[0], 180, 150, &after);
    assert_in_range(added, 9 * 20, 11 * 20);
    for (int32_t y = 0; y < 150; y++)
        for (int32_t x = 0; x < 200; x++) {
            const int is_shadow = x >= 40 && x < 60, is_edge = abs(abs(y - arch(&frame, x)) - 4) <= 1;
            if (is_shadow)
                assert_int_equal(after[y * 200 + x], 0);
            else if (!is_edge)
                assert_int_equal(after[y * 200 + x], is_outlined(&frame, x, y) ? 255 : 0);
        }
    sono_free(after);
    mask_frames_close(&f);
    assert_int_equal(check(&f, &drawings[0], 180, 100, &after), 0); /* 20 columns are too many now */
    sono_free(after);
    mask_frames_close(&f);
}

/* ---- the phantom ---- */

static struct {
    const uint8_t *grey;
    sono_truth truth;
    int32_t from, to; /* columns that are cut out */
} phantom;

static int32_t phantom_grey(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    (void)t;
    return phantom.grey[(int64_t)y * frame->width_px + x];
}

static int phantom_mask(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)t;
    (void)object;
    return phantom.truth.mask[(int64_t)y * frame->width_px + x] && (x < phantom.from || x >= phantom.to);
}

/* Pixels of the true mask's columns that are missing, and that are too many, in a mask of its size. */
static int32_t wrong_pixels(const uint8_t *mask)
{
    const int64_t n = (int64_t)phantom.truth.width_px * phantom.truth.height_px;
    int32_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong += (mask[i] != 0) != (phantom.truth.mask[i] != 0);
    return wrong;
}

/* A cut of a tenth of the box. Returns 1 when it was bridged; then the mask must be nearer to the truth. */
static int cut_is_bridged(float share)
{
    static const mask_drawing drawing = {phantom_grey, phantom_mask};
    const mask_frame frame = {phantom.truth.width_px, phantom.truth.height_px, SONO_PIXEL_GRAY8, 0};
    mask_frames f = {.n_frames = 1,
                     .n_objects = 1,
                     .max_width_px = frame.width_px,
                     .max_height_px = frame.height_px,
                     .frames = &frame};
    const float *box = phantom.truth.bbox_xyxy_px, width = box[2] - box[0];
    uint8_t *after;
    phantom.from = (int32_t)(box[0] + share * width);
    phantom.to = phantom.from + (int32_t)(0.1f * width);
    const int32_t added = check(&f, &drawing, width, 150, &after);
    const int32_t before_wrong = wrong_pixels(f.maps), after_wrong = wrong_pixels(after);
    assert_true(added ? after_wrong < before_wrong : after_wrong == before_wrong);
    sono_free(after);
    mask_frames_close(&f);
    return added > 0;
}

static void phantom_masks_gain(void **state)
{
    sono_phantom_options options;
    sono_source *source = NULL;
    sono_error error;
    sono_image image;
    const char *name;
    int32_t n_cut = 0, n_bridged = 0;
    (void)state;
    sono_phantom_options_init(&options);
    sono_image_init(&image);
    options.seed = 311;
    options.n_frames = 6;
    options.n_sweep_frames = 1;
    options.empty_share = 0;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int32_t i = 0; i < options.n_frames; i++) {
        assert_ok(sono_source_next(source, &image, NULL, &name, &error), &error);
        assert_ok(sono_source_truth(source, &phantom.truth, &error), &error);
        if (!phantom.truth.is_visible)
            continue;
        phantom.grey = image.pixels;
        n_bridged += cut_is_bridged(0.3f);
        n_bridged += cut_is_bridged(0.6f);
        n_cut += 2;
    }
    assert_true(n_cut >= 8 && n_bridged >= n_cut / 2);
    sono_source_close(source);
}

static void bench(void)
{
    static const mask_frame frames[] = {{422, 558, SONO_PIXEL_GRAY8, 0}, {1920, 1200, SONO_PIXEL_GRAY8, 0}};
    for (int32_t i = 0; i < 2; i++) {
        mask_frames f = {.n_frames = 1,
                         .n_objects = 1,
                         .max_width_px = frames[i].width_px,
                         .max_height_px = frames[i].height_px,
                         .frames = &frames[i]};
        sono_op_test t;
        sono_op_test_open(&t, 1);
        mask_frames_open(&f, &t, &drawings[0]);
        record(&t, &f, 0, 150);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "bridge_mask 1920x1200" : "bridge_mask 422x558");
        mask_frames_close(&f);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shadows_stay_open),
                                       cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(phantom_masks_gain)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/bridge", tests, sizeof tests / sizeof tests[0]);
}
