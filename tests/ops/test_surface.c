// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* SURFACE against a reference that goes from whole images of levels to pieces by their labels. */
#include "mask_frames.h"

#include "base/alloc.h"
#include "sonoseg/phantom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS SONO_SURFACE_COLUMNS
#define RUNS    SONO_SURFACE_RUNS
#define NONE    (-1)

/* ---- the reference ---- */

/* Runs of a column, as they come. */
typedef struct run {
    int64_t mass;
    int32_t row; /* 1 / 256 px */
    int32_t place;
} run;

static int heavier(const void *a, const void *b)
{
    const run *x = a, *y = b;
    return x->mass != y->mass ? (x->mass < y->mass ? 1 : -1) : x->place - y->place;
}

static int32_t clamped(int32_t i, int32_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* [height][width] of 5 x 5 binomial-like sums: one box of 3 after another, each weight of 1 2 3 2 1 from two.
 */
static int64_t *levels_of(const mask_frames *f, int32_t frame)
{
    const int32_t w = f->frames[frame].width_px, h = f->frames[frame].height_px;
    int64_t *levels = sono_alloc((size_t)w * (size_t)h * sizeof *levels);
    assert_non_null(levels);
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++)
            for (int32_t i = 0; i < 81; i++) { /* 3 x 3 x 3 x 3 steps of -1, 0, 1 */
                const int32_t dx = i % 3 + i / 3 % 3 - 2, dy = i / 9 % 3 + i / 27 - 2;
                levels[(int64_t)y * w + x] +=
                    mask_frames_grey(f, frame, clamped(x + dx, w), clamped(y + dy, h));
            }
    return levels;
}

static run measure(const int64_t *column, int32_t stride, int32_t first, int32_t n, int32_t place)
{
    int64_t low = INT64_MAX, high = INT64_MIN, sum = 0, moment = 0;
    run r = {.row = first * 256 + (n - 1) * 128, .place = place};
    int32_t peak = 0, from, to;
    for (int32_t i = 0; i < n; i++) {
        const int64_t v = column[(int64_t)(first + i) * stride];
        r.mass += v;
        low = v < low ? v : low;
        if (v > high) {
            high = v;
            peak = i;
        }
    }
    if (high == low)
        return r;
    for (from = peak; from > 0 && 3 * (column[(int64_t)(first + from - 1) * stride] - low) > high - low;)
        from--;
    for (to = peak; to < n - 1 && 3 * (column[(int64_t)(first + to + 1) * stride] - low) > high - low;)
        to++;
    for (int32_t i = from; i <= to; i++) {
        const int64_t e = 3 * (column[(int64_t)(first + i) * stride] - low) - (high - low);
        sum += e;
        moment += e * (i - from);
    }
    r.row = (first + from) * 256 + (int32_t)floor((double)(512 * moment + sum) / (double)(2 * sum));
    return r;
}

/* Returns how many runs the column has; the heaviest come first. */
static int32_t runs_of(const mask_frames *f, int32_t frame, const int64_t *levels, int32_t x, run *runs)
{
    const int32_t w = f->frames[frame].width_px, h = f->frames[frame].height_px;
    const uint8_t *mask = mask_frames_mask(f, f->maps, frame, 0);
    int32_t n = 0;
    for (int32_t y = 0; y < h; y++) {
        const int begins = mask[(int64_t)y * w + x] && (y == 0 || !mask[(int64_t)(y - 1) * w + x]);
        int32_t length = 0;
        if (!begins)
            continue;
        while (y + length < h && mask[(int64_t)(y + length) * w + x])
            length++;
        runs[n] = measure(levels + x, w, y, length, n);
        n++;
    }
    qsort(runs, (size_t)n, sizeof *runs, heavier);
    return n < RUNS ? n : RUNS;
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int32_t median_near(const int32_t *line, int32_t n, int32_t i, int32_t reach)
{
    int32_t there[COLUMNS], count = 0;
    for (int32_t j = 0; j < n; j++)
        if (abs(j - i) <= reach && line[j] != NONE)
            there[count++] = line[j];
    qsort(there, (size_t)count, sizeof *there, ascending);
    return there[(count - 1) / 2];
}

/* label[i]: number of the piece that column i belongs to; size[label]: its columns. */
static void label_pieces(const int32_t *line, int32_t n, int32_t jump, int32_t *label, int32_t *size)
{
    int32_t next = -1;
    for (int32_t i = 0; i < n; i++) {
        label[i] = NONE;
        if (line[i] == NONE)
            continue;
        if (i == 0 || line[i - 1] == NONE || abs(line[i] - line[i - 1]) > jump)
            size[++next] = 0;
        label[i] = next;
        size[next]++;
    }
}

static void average(const int32_t *line, const int32_t *label, int32_t n, int32_t reach, int32_t *out)
{
    for (int32_t i = 0; i < n; i++) {
        double sum = 0, weights = 0;
        int32_t half = 0;
        if (label[i] == NONE)
            continue;
        while (half < reach && i - half - 1 >= 0 && i + half + 1 < n && label[i - half - 1] == label[i] &&
               label[i + half + 1] == label[i])
            half++;
        for (int32_t j = i - half; j <= i + half; j++) {
            sum += (double)(reach + 1 - abs(j - i)) * line[j];
            weights += reach + 1 - abs(j - i);
        }
        out[i] = (int32_t)floor((sum + floor(weights / 2)) / weights);
    }
}

static void reference(const mask_frames *f, int32_t frame, int32_t *out)
{
    const int32_t w = f->frames[frame].width_px, h = f->frames[frame].height_px;
    const int32_t step = (w + COLUMNS - 1) / COLUMNS, n = (w + step - 1) / step;
    const int32_t jump = 256 * (6 * step + h / 100), least = n / 64 + 1;
    static int32_t heaviest[COLUMNS], line[COLUMNS], even[COLUMNS], label[COLUMNS], size[COLUMNS];
    static run all[COLUMNS][4096];
    int32_t n_runs[COLUMNS];
    int64_t *levels = levels_of(f, frame);
    assert_true(h <= 4096);
    for (int32_t i = 0; i < COLUMNS; i++)
        out[i] = NONE;
    for (int32_t i = 0; i < n; i++) {
        n_runs[i] = runs_of(f, frame, levels, i * step, all[i]);
        heaviest[i] = n_runs[i] ? all[i][0].row : NONE;
    }
    for (int32_t i = 0; i < n; i++) {
        line[i] = heaviest[i];
        for (int32_t k = 1; k < n_runs[i]; k++) {
            const int32_t around = median_near(heaviest, n, i, n / 48 + 1);
            if (abs(all[i][k].row - around) < abs(line[i] - around))
                line[i] = all[i][k].row;
        }
    }
    for (int32_t i = 0; i < n; i++)
        even[i] = line[i] == NONE ? NONE : median_near(line, n, i, 2);
    label_pieces(even, n, jump, label, size);
    for (int32_t i = 0; i < n; i++)
        if (label[i] != NONE && size[label[i]] < least)
            label[i] = NONE;
    average(even, label, n, n / 64 + 1, out);
    sono_free(levels);
}

/* ---- drawings ---- */

static int32_t arch(const mask_frame *frame, int32_t x)
{
    const double u = 2.0 * x / frame->width_px - 1;
    return (int32_t)(frame->height_px * (0.35 + 0.3 * u * u));
}

/* An echo on an arch, its ghost at twice the depth, and noise. */
static int32_t echo(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    const double a = y - arch(frame, x), b = y - 2.0 * arch(frame, x);
    const double v = 190 * exp(-a * a / 8) + 90 * exp(-b * b / 18) + sono_op_test_int(t, 0, 60);
    return v > 255 ? 255 : (int32_t)v;
}

static int32_t noise(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    (void)frame;
    (void)x;
    (void)y;
    return sono_op_test_int(t, 0, 255);
}

static int32_t white(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    (void)t;
    (void)x;
    (void)y;
    (void)frame;
    return 250;
}

static int nothing(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)t;
    (void)x;
    (void)y;
    (void)frame;
    return object > 0; /* of the second object nothing may be seen */
}

static int everything(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)t;
    (void)x;
    (void)y;
    (void)frame;
    return object == 0;
}

static int specks(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    (void)x;
    (void)y;
    (void)frame;
    (void)object;
    return sono_op_test_int(t, 0, 99) < 35;
}

/* The arch, ragged, with a gap of a tenth, its ghost below in some columns, and few columns that jump. */
static int outline(sono_op_test *t, const mask_frame *frame, int32_t object, int32_t x, int32_t y)
{
    const int32_t w = frame->width_px, top = arch(frame, x) - 4 - (x * 7) % 3, bottom = arch(frame, x) + 6;
    (void)t;
    if (object > 0 || (x > 0.6 * w && x < 0.7 * w))
        return 0;
    if (x % 29 == 3)
        return y < 3;
    if (x % 5 < 3 && x > 0.2 * w && x < 0.4 * w && abs(y - 2 * arch(frame, x)) < 9)
        return 1;
    return y >= top && y <= bottom;
}

static const mask_drawing drawings[] = {{echo, outline}, {echo, nothing},     {noise, everything},
                                        {noise, specks}, {white, everything}, {noise, outline}};

/* want: of the last frame, as the reference has them. */
static void check_rows(mask_frames *f, const mask_drawing *drawing, uint64_t seed, int32_t want[COLUMNS])
{
    const sono_segment_args args = {.image_size = 1024,
                                    .max_width_px = f->max_width_px,
                                    .max_height_px = f->max_height_px,
                                    .map_element_bytes = f->element_bytes};
    sono_op_test t;
    sono_op_test_open(&t, seed);
    mask_frames_open(f, &t, drawing);
    const sono_tid rows =
        sono_record_surface(&t.rec, "surface", f->pixels_id, f->headers_id, f->mask_id, &args, 0);
    sono_record_output(&t.rec, rows);
    sono_op_test_finish(&t);
    double *wanted = sono_op_test_want(&t, rows, sono_op_test_tolerance(SONO_OP_SURFACE));
    for (int32_t i = 0; i < f->n_frames; i++) {
        reference(f, i, want);
        for (int32_t c = 0; c < COLUMNS; c++)
            wanted[i * COLUMNS + c] = want[c];
    }
    sono_op_test_run(&t);
    mask_frames_close(f);
    sono_op_test_close(&t);
}

static void check(mask_frames *f, const mask_drawing *drawing, uint64_t seed)
{
    int32_t rows[COLUMNS];
    check_rows(f, drawing, seed, rows);
}

static void every_case_agrees(void **state)
{
    static const mask_frame grey = {97, 130, SONO_PIXEL_GRAY8, 0}, dot = {1, 1, SONO_PIXEL_GRAY8, 0},
                            line = {70, 1, SONO_PIXEL_GRAY8, 0}, column = {1, 128, SONO_PIXEL_RGB8, 0},
                            wide = {1030, 64, SONO_PIXEL_GRAY8, 0}, wider = {2300, 40, SONO_PIXEL_RGBA8, 0},
                            deep = {40, 300, SONO_PIXEL_GRAY16, 1023};
    static const mask_frame batch[] = {{97, 130, SONO_PIXEL_GRAY16, 65535},
                                       {130, 97, SONO_PIXEL_RGB8, 0},
                                       {33, 31, SONO_PIXEL_GRAY8, 0},
                                       {90, 128, SONO_PIXEL_RGBA8, 0}};
    mask_frames cases[] = {
        {.n_frames = 1, .n_objects = 1, .max_width_px = 97, .max_height_px = 130, .frames = &grey},
        {.n_frames = 1, .n_objects = 2, .max_width_px = 5, .max_height_px = 7, .frames = &dot},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 70, .max_height_px = 1, .frames = &line},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 128, .max_height_px = 20, .frames = &column},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 1030, .max_height_px = 64, .frames = &wide},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 2300, .max_height_px = 40, .frames = &wider},
        {.n_frames = 1, .n_objects = 1, .max_width_px = 40, .max_height_px = 300, .frames = &deep},
        {.n_frames = 4,
         .n_objects = 2,
         .element_bytes = 1,
         .max_width_px = 130,
         .max_height_px = 130,
         .frames = batch},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < sizeof drawings / sizeof drawings[0]; k++)
            check(&cases[i], &drawings[k], 10 * i + k);
}

/* The rule itself: an echo with its peak between two rows is found there, to a hundredth of a pixel. */
static int32_t slope(sono_op_test *t, const mask_frame *frame, int32_t x, int32_t y)
{
    const double d = y - (20.25 + 0.5 * x);
    (void)t;
    (void)frame;
    return (int32_t)(240 * exp(-d * d / 18) + 0.5);
}

static void known_ridge_is_found(void **state)
{
    static const mask_frame frame = {200, 150, SONO_PIXEL_GRAY8, 0};
    mask_frames f = {
        .n_frames = 1, .n_objects = 1, .max_width_px = 200, .max_height_px = 150, .frames = &frame};
    const mask_drawing drawing = {slope, everything};
    int32_t rows[COLUMNS];
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 1);
    mask_frames_open(&f, &t, &drawing);
    reference(&f, 0, rows);
    for (int32_t x = 10; x < 190; x++)
        assert_in_range(abs(rows[x] - (int32_t)((20.25 + 0.5 * x) * 256)), 0, 6);
    assert_int_equal(rows[200], NONE);
    mask_frames_close(&f);
    sono_op_test_close(&t);
}

/* ---- the phantom ---- */

#define PHANTOMS 8

static struct {
    const uint8_t *grey;
    sono_truth truth;
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
    return phantom.truth.mask[(int64_t)y * frame->width_px + x] != 0;
}

/* Along the beam, in mm, downwards, to the nearer of the true surfaces; NAN where there is none. */
static double distance_mm(int32_t x, int32_t row, double mm)
{
    double best = NAN;
    for (int32_t k = 0; k < phantom.truth.n_structures; k++) {
        const double truth = (double)phantom.truth.surface_px[k][x], d = mm * (row / 256.0 - truth);
        if (truth >= 0 && !(fabs(d) >= fabs(best)))
            best = d;
    }
    return best;
}

static int by_size(const void *a, const void *b)
{
    const double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
    return (x > y) - (x < y);
}

/* The ridge in true masks. It lies a little below the surface, as the phantom's echo reaches further down
 * from it than up. */
static void phantom_surface_is_found(void **state)
{
    static const mask_drawing drawing = {phantom_grey, phantom_mask};
    static double errors[PHANTOMS * COLUMNS];
    sono_phantom_options options;
    sono_source *source = NULL;
    sono_error error;
    int32_t n = 0, n_true = 0, rows[COLUMNS];
    double sum = 0;
    (void)state;
    sono_phantom_options_init(&options);
    options.seed = 905;
    options.n_frames = PHANTOMS;
    options.n_sweep_frames = 1;
    options.empty_share = 0;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int32_t i = 0; i < PHANTOMS; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        const char *name;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_ok(sono_source_truth(source, &phantom.truth, &error), &error);
        phantom.grey = frame.image.pixels;
        const mask_frame size = {frame.image.width_px, frame.image.height_px, SONO_PIXEL_GRAY8, 0};
        mask_frames f = {.n_frames = 1,
                         .n_objects = 1,
                         .max_width_px = size.width_px,
                         .max_height_px = size.height_px,
                         .frames = &size};
        check_rows(&f, &drawing, 1, rows);
        for (int32_t x = 0; x < size.width_px; x++) {
            n_true += isfinite(distance_mm(x, 0, 1));
            if (rows[x] == NONE || !isfinite(distance_mm(x, 0, 1)))
                continue;
            errors[n] = distance_mm(x, rows[x], frame.info.spacing_mm[1]);
            sum += errors[n++];
        }
    }
    sono_source_close(source);
    assert_true(n > 500);
    qsort(errors, (size_t)n, sizeof *errors, by_size);
    print_message("%d of %d columns, distance to the surface: median %.3f mm, 95 %% %.3f mm, mean %+.3f mm\n",
                  n, n_true, fabs(errors[n / 2]), fabs(errors[n * 95 / 100]), sum / n);
    assert_true(n >= 0.95 * n_true);
    assert_true(fabs(errors[n / 2]) <= 0.15 && fabs(errors[n * 95 / 100]) <= 0.4);
    assert_true(fabs(sum / n) <= 0.15);
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
        const sono_segment_args args = {
            .image_size = 1024, .max_width_px = f.max_width_px, .max_height_px = f.max_height_px};
        sono_op_test t;
        sono_op_test_open(&t, 1);
        mask_frames_open(&f, &t, &drawings[0]);
        sono_record_output(
            &t.rec, sono_record_surface(&t.rec, "surface", f.pixels_id, f.headers_id, f.mask_id, &args, 0));
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "surface 1920x1200" : "surface 422x558");
        mask_frames_close(&f);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_ridge_is_found),
                                       cmocka_unit_test(every_case_agrees),
                                       cmocka_unit_test(phantom_surface_is_found)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/surface", tests, sizeof tests / sizeof tests[0]);
}
