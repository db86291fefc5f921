// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* AGREEMENT against shifts tried one by one and lists of pixels; moves that are known are found; poses. */
#include "op_scene.h"

#include "base/alloc.h"
#include "engine/agreement.h"
#include "graph/kept_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Frame `kept` of the scene is what was kept, and is not in the batch: the frames before it are. -1 = nothing
 * was kept. */
typedef struct tensors {
    sono_tid agreement;
    int32_t n_frames;
} tensors;

static uint8_t *kept_of(const op_scene *s, int32_t frame, int64_t *n_bytes)
{
    const int32_t side = op_scene_side(s);
    *n_bytes = kept_bytes(side, (int64_t)s->max_width_px * s->max_height_px);
    uint8_t *kept = sono_alloc((size_t)*n_bytes);
    int32_t *profile = sono_alloc_array((size_t)side * 3, sizeof *profile);
    assert_non_null(kept);
    assert_non_null(profile);
    for (int32_t y = 0; frame >= 0 && y < s->headers[frame].height_px; y++)
        for (int32_t x = 0; x < s->headers[frame].width_px; x++) {
            if (!op_scene_is_set(s, frame, x, y))
                continue;
            const int32_t at = y * s->headers[frame].width_px + x;
            kept[kept_bits_at(side) + at / 8] |= (uint8_t)(1 << at % 8);
            profile[x]++;
            profile[side + x] += y;
            profile[2 * side + y]++;
        }
    if (frame >= 0)
        memcpy(kept, &s->headers[frame], sizeof s->headers[frame]);
    memcpy(kept + SONO_KEPT_PROFILE, profile, (size_t)side * 3 * sizeof *profile);
    sono_free(profile);
    return kept;
}

static tensors record(op_scene *s, sono_op_test *t, int32_t kept_frame)
{
    const sono_segment_args args = op_scene_args(s);
    const int32_t n_all = s->n_frames;
    int64_t n_bytes;
    sono_tid outs[2];
    uint8_t *bytes = kept_of(s, kept_frame, &n_bytes);
    tensors x = {.n_frames = kept_frame < 0 ? n_all : kept_frame};
    const sono_tid kept = sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)n_bytes, bytes);
    sono_free(bytes);
    s->n_frames = x.n_frames;
    const op_scene_tensors in = op_scene_record(s, t);
    s->n_frames = n_all;
    sono_record_mask_profile(&t->rec, "profile", in.mask, in.header, &args, outs);
    x.agreement =
        sono_record_agreement(&t->rec, "agreement", in.mask, outs[0], outs[1], in.header, kept, &args);
    return x;
}

/* ---- the reference ---- */

/* How often a column or a row has mask. */
static int32_t count_line(const op_scene *s, int32_t frame, int is_column, int32_t i)
{
    const int32_t n = is_column ? s->headers[frame].height_px : s->headers[frame].width_px;
    int32_t count = 0;
    for (int32_t k = 0; k < n; k++)
        count += is_column ? op_scene_is_set(s, frame, i, k) : op_scene_is_set(s, frame, k, i);
    return count;
}

/* The shift with the smallest mean difference, short ones first. */
static int32_t shift_of(const op_scene *s, int32_t was, int32_t is, int along_x)
{
    const int32_t n = along_x ? s->headers[is].width_px : s->headers[is].height_px;
    const int32_t reach = (int32_t)floor(n * 0.06 + 1e-9);
    int32_t *before = sono_alloc_array((size_t)n, sizeof *before), best = 0;
    int32_t *now = sono_alloc_array((size_t)n, sizeof *now);
    double least = INFINITY;
    assert_non_null(before);
    assert_non_null(now);
    for (int32_t i = 0; i < n; i++) {
        before[i] = count_line(s, was, along_x, i);
        now[i] = count_line(s, is, along_x, i);
    }
    for (int32_t k = 0; k <= 2 * reach; k++) { /* 0, -1, 1, -2, 2, ... */
        const int32_t shift = k % 2 ? -(k + 1) / 2 : k / 2;
        double sum = 0;
        for (int32_t i = 0; i < n; i++)
            if (i + shift >= 0 && i + shift < n)
                sum += abs(before[i] - now[i + shift]);
        if (sum / (n - abs(shift)) < least) {
            least = sum / (n - abs(shift));
            best = shift;
        }
    }
    sono_free(before);
    sono_free(now);
    return best;
}

static double middle_of(const op_scene *s, int32_t frame, int32_t x)
{
    int32_t n = 0, sum = 0;
    for (int32_t y = 0; y < s->headers[frame].height_px; y++)
        if (op_scene_is_set(s, frame, x, y)) {
            n++;
            sum += y;
        }
    return n ? floor(256.0 * sum / n) : -1;
}

typedef struct worth {
    int32_t both, either, surface;
} worth;

/* Of the old mask moved by whole pixels. */
static worth worth_of_shift(const op_scene *s, int32_t was, int32_t is, int32_t dx, int32_t dy)
{
    const int32_t width = s->headers[is].width_px, height = s->headers[is].height_px;
    const double h = height < 100 ? 256 : floor(height * 2.56 + 1e-9);
    worth w = {0, 0, -1};
    double sum = 0;
    int32_t n = 0;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) { /* of the old mask */
            const int32_t to_x = x + dx, to_y = y + dy;
            if (to_x < 0 || to_y < 0 || to_x >= width || to_y >= height)
                continue;
            const int a = op_scene_is_set(s, was, x, y), b = op_scene_is_set(s, is, to_x, to_y);
            w.both += a * b;
            w.either += a + b - a * b;
        }
    for (int32_t x = 0; x < width; x++) {
        if (x + dx < 0 || x + dx >= width)
            continue;
        const double a = middle_of(s, was, x), b = middle_of(s, is, x + dx);
        n += a >= 0 || b >= 0;
        if (a >= 0 && b >= 0)
            sum += floor(1000 * h / (h + fabs(a + 256 * dy - b)) + 1e-9);
    }
    w.surface = n ? (int32_t)floor(sum / n + 1e-9) : -1;
    return w;
}

static int is_better(const worth *a, const worth *b)
{
    const double x = (double)a->both / a->either, y = (double)b->both / b->either;
    return x != y ? x > y : a->surface > b->surface;
}

static int is_empty(const op_scene *s, int32_t frame)
{
    for (int32_t x = 0; x < s->headers[frame].width_px; x++)
        if (count_line(s, frame, 1, x))
            return 0;
    return 1;
}

/* was: -1 = there is no frame before. */
static void want_agreement(const op_scene *s, int32_t was, int32_t is, double *row)
{
    row[0] = row[1] = -1;
    if (was < 0 || s->headers[is].stream != SONO_STREAM_GOES_ON || is_empty(s, was) || is_empty(s, is) ||
        s->headers[was].width_px != s->headers[is].width_px ||
        s->headers[was].height_px != s->headers[is].height_px)
        return;
    const int32_t dx = shift_of(s, was, is, 1), dy = shift_of(s, was, is, 0);
    worth best = {0};
    for (int k = 0; k < 4; k++) {
        const int32_t x = k % 2 ? dx : 0, y = k / 2 ? dy : 0;
        const worth w = worth_of_shift(s, was, is, x, y);
        if (!w.either || (best.either && !is_better(&w, &best)))
            continue;
        best = w;
        row[2] = 8 * x;
        row[3] = 8 * y;
    }
    if (!best.either)
        return;
    row[0] = 1000 * best.both / best.either;
    row[1] = best.surface;
}

static void check(op_scene *s, sono_op_test *t, int32_t kept)
{
    const tensors x = record(s, t, kept);
    sono_op_test_finish(t);
    double *want = sono_op_test_want(t, x.agreement, sono_op_test_tolerance(SONO_OP_AGREEMENT));
    int32_t before = kept;
    for (int32_t i = 0; i < x.n_frames; i++) {
        want_agreement(s, before, i, want + (int64_t)i * SONO_AGREEMENT_INTS);
        if (s->headers[i].stream != SONO_STREAM_NO_FRAME)
            before = i;
    }
    sono_op_test_run(t);
}

/* ---- masks of all kinds ---- */

typedef enum fill { EMPTY, FULL, NOISE, BLOB, LINE, BORDER, FIRST_EMPTY } fill;

static int is_set(sono_op_test *t, fill what, int32_t frame, const sono_frame_header *h, int32_t x, int32_t y)
{
    switch (what) {
    case EMPTY:
        return 0;
    case FULL:
        return 1;
    case NOISE:
        return sono_op_test_int(t, 0, 99) < 10;
    case BLOB: /* wanders */
        return abs(x - 30 - 2 * frame) < 9 && abs(y - 20 - frame) < 5;
    case LINE:
        return x % 19 < 15 && abs(y - h->height_px / 2 - x % 5 + frame) < 2;
    case BORDER:
        return x < 4 - frame || y > h->height_px - 3;
    default:
        return frame != 0 && x == y;
    }
}

static void check_fill(op_scene s, fill what, int32_t kept)
{
    sono_op_test t;
    sono_op_test_open(&t, 40 + (uint64_t)what);
    op_scene_open(&s, &t);
    for (int32_t i = 0; i < s.n_frames; i++)
        for (int32_t y = 0; y < s.headers[i].height_px; y++)
            for (int32_t x = 0; x < s.headers[i].width_px; x++)
                op_scene_set(&s, i, x, y, is_set(&t, what, i, &s.headers[i], x, y));
    check(&s, &t, kept);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

static op_scene four_frames(int32_t width_px, int32_t height_px)
{
    op_scene s = {4, 2, 90, 70, 1, .boxes = {{0}}};
    for (int32_t i = 0; i < 4; i++)
        s.headers[i] = op_scene_header(width_px, height_px, SONO_PIXEL_GRAY8, 0);
    return s;
}

static void every_case_agrees(void **state)
{
    (void)state;
    for (int what = EMPTY; what <= FIRST_EMPTY; what++) {
        for (int32_t kept = -1; kept <= 3; kept += 4) {
            check_fill(four_frames(61, 70), (fill)what, kept);
            check_fill(four_frames(70, 90), (fill)what, kept);
            check_fill(four_frames(1, 1), (fill)what, kept);
            op_scene s = four_frames(81, 66);
            s.headers[1].stream = SONO_STREAM_NO_FRAME;
            check_fill(s, (fill)what, kept);
            s.headers[0].stream = SONO_STREAM_NO_FRAME;
            check_fill(s, (fill)what, kept);
            s.headers[2].stream = SONO_STREAM_BEGINS;
            check_fill(s, (fill)what, kept);
            s = four_frames(50, 60);
            s.headers[1] = op_scene_header(60, 50, SONO_PIXEL_RGB8, 0);
            check_fill(s, (fill)what, kept);
        }
    }
}

static const op_bone plain = {.gain = 1, .gamma = 1};

/* Two bones, or one and its mirror images; the first is what was kept. row: [SONO_AGREEMENT_INTS] */
static void agreement_of(const op_bone *before, const op_bone *now, const sono_frame_header *was,
                         const sono_frame_header *is, int mirrored, int32_t row[SONO_AGREEMENT_INTS])
{
    op_scene s = {mirrored ? 4 : 2, 1, was->width_px, was->height_px, 0, .boxes = {{0}}};
    sono_op_test t;
    s.headers[0] = *is;
    s.headers[1] = *was;
    s.headers[2] = *was;
    s.headers[3] = *is;
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    op_scene_draw_bone(&s, 0, now);
    op_scene_draw_bone(&s, 1, before);
    if (mirrored) {
        op_scene_mirror(&s, 0, 3);
        op_scene_mirror(&s, 1, 2);
        s.headers[2].stream = SONO_STREAM_BEGINS;
        s.headers[1].stream = SONO_STREAM_NO_FRAME;
    }
    const tensors x = record(&s, &t, mirrored ? -1 : 1);
    sono_op_test_finish(&t);
    int32_t *values = op_scene_run(&t, x.agreement);
    memcpy(row, values + (mirrored ? 3 * SONO_AGREEMENT_INTS : 0), SONO_AGREEMENT_INTS * sizeof *row);
    sono_free(values);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

static sono_frame_header usual(void)
{
    return op_scene_header(422, 558, SONO_PIXEL_GRAY8, 0);
}

static void real_size_agrees(void **state)
{
    (void)state;
    op_scene s = {3, 1, 422, 558, 0, .boxes = {{0}}};
    sono_op_test t;
    for (int32_t i = 0; i < 3; i++)
        s.headers[i] = usual();
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    op_scene_draw_bone(&s, 0, &(op_bone){.gain = 1, .gamma = 1, .move_x = 0.03, .move_y = -0.02});
    op_scene_draw_bone(&s, 1, &(op_bone){.gain = 1, .gamma = 1, .move_x = 0.11, .gap = 0.1});
    op_scene_draw_bone(&s, 2, &plain);
    check(&s, &t, 2);
    op_scene_close(&s);
    sono_op_test_close(&t);
}

/* ---- what is known ---- */

static void known_translation_is_found(void **state)
{
    static const int32_t ways[][2] = {{0, 0}, {5, 0}, {0, -7}, {-11, 9}, {25, 33}, {-25, -33}};
    const sono_frame_header h = usual();
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const op_bone moved = {
            .gain = 1, .gamma = 1, .move_x = ways[i][0] / 422.0, .move_y = ways[i][1] / 558.0};
        int32_t row[SONO_AGREEMENT_INTS];
        agreement_of(&plain, &moved, &h, &h, 0, row);
        assert_int_equal(row[SONO_AGREEMENT_MOVED_X], 8 * ways[i][0]);
        assert_int_equal(row[SONO_AGREEMENT_MOVED_Y], 8 * ways[i][1]);
        assert_in_range(row[SONO_AGREEMENT_IOU], 990, 1000);
        assert_in_range(row[SONO_AGREEMENT_SURFACE], 990, 1000);
    }
}

/* Another structure, or one that jumps further than it is looked for, does not agree. */
static void other_masks_disagree(void **state)
{
    static const op_bone far = {.gain = 1, .gamma = 1, .move_y = 0.2},
                         broken = {.gain = 1, .gamma = 1, .gap = 0.3};
    const sono_frame_header h = usual();
    int32_t row[SONO_AGREEMENT_INTS];
    (void)state;
    agreement_of(&plain, &far, &h, &h, 0, row);
    assert_int_equal(row[SONO_AGREEMENT_IOU], 0);
    assert_in_range(row[SONO_AGREEMENT_SURFACE], 0, 100);
    agreement_of(&plain, &broken, &h, &h, 0, row);
    assert_in_range(row[SONO_AGREEMENT_IOU], 400, 600); /* half of it is there */
    assert_in_range(row[SONO_AGREEMENT_SURFACE], 400, 600);
}

/* A thin mask that is 1 % of the height away has no IoU left, but half of the surface. */
static void surface_stands_beside_iou(void **state)
{
    sono_frame_header was = usual(), is = usual();
    int32_t row[SONO_AGREEMENT_INTS];
    (void)state;
    for (int i = 0; i < 2; i++) { /* both poses say that nothing moved */
        sono_frame_header *h = i ? &is : &was;
        h->has_pose = 1;
        h->spacing_mm[0] = h->spacing_mm[1] = 0.1f;
        h->image_to_reference[0] = h->image_to_reference[5] = h->image_to_reference[10] = 1;
    }
    agreement_of(&plain, &(op_bone){.gain = 1, .gamma = 1, .move_y = 0.01}, &was, &is, 0, row);
    assert_in_range(row[SONO_AGREEMENT_IOU], 350, 450);
    assert_in_range(row[SONO_AGREEMENT_SURFACE], 480, 520);
    assert_int_equal(row[SONO_AGREEMENT_MOVED_Y], 0);
}

static void mirrors_are_equal(void **state)
{
    static const op_bone before = {.gain = 1, .gamma = 1, .move_x = -0.03, .gap = 0.05},
                         now = {.gain = 1, .gamma = 1, .move_x = 0.01, .move_y = 0.02};
    const sono_frame_header h = usual();
    int32_t row[SONO_AGREEMENT_INTS], mirrored[SONO_AGREEMENT_INTS];
    (void)state;
    agreement_of(&before, &now, &h, &h, 0, row);
    agreement_of(&before, &now, &h, &h, 1, mirrored);
    assert_int_equal(mirrored[SONO_AGREEMENT_IOU], row[SONO_AGREEMENT_IOU]);
    assert_int_equal(mirrored[SONO_AGREEMENT_SURFACE], row[SONO_AGREEMENT_SURFACE]);
    assert_int_equal(mirrored[SONO_AGREEMENT_MOVED_X], -row[SONO_AGREEMENT_MOVED_X]);
    assert_int_equal(mirrored[SONO_AGREEMENT_MOVED_Y], row[SONO_AGREEMENT_MOVED_Y]);
    assert_true(row[SONO_AGREEMENT_MOVED_X] != 0);
}

static void size_does_not_matter(void **state)
{
    static const op_bone now = {.gain = 1, .gamma = 1, .move_x = 10 / 422.0, .move_y = 4 / 558.0, .gap = 0.1};
    int32_t rows[3][SONO_AGREEMENT_INTS];
    (void)state;
    for (int i = 0; i < 3; i++) {
        const sono_frame_header h = op_scene_header(211 << i, 279 << i, SONO_PIXEL_GRAY8, 0);
        agreement_of(&plain, &now, &h, &h, 0, rows[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(abs(rows[i][SONO_AGREEMENT_IOU] - rows[1][SONO_AGREEMENT_IOU]), 0, 30);
        assert_in_range(abs(rows[i][SONO_AGREEMENT_SURFACE] - rows[1][SONO_AGREEMENT_SURFACE]), 0, 30);
        assert_int_equal(rows[i][SONO_AGREEMENT_MOVED_X] * 2, rows[1][SONO_AGREEMENT_MOVED_X] << i);
        assert_int_equal(rows[i][SONO_AGREEMENT_MOVED_Y] * 2, rows[1][SONO_AGREEMENT_MOVED_Y] << i);
    }
}

/* ---- poses ---- */

/* A probe turned by Euler angles (radians), at a place in millimetres. */
static void set_pose(sono_frame_header *h, const double angles[3], const double at_mm[3])
{
    const double a = angles[0], b = angles[1], c = angles[2];
    const double r[3][3] = {{cos(b) * cos(c), sin(a) * sin(b) * cos(c) - cos(a) * sin(c),
                             cos(a) * sin(b) * cos(c) + sin(a) * sin(c)},
                            {cos(b) * sin(c), sin(a) * sin(b) * sin(c) + cos(a) * cos(c),
                             cos(a) * sin(b) * sin(c) - sin(a) * cos(c)},
                            {-sin(b), sin(a) * cos(b), cos(a) * cos(b)}};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            h->image_to_reference[4 * i + j] = (float)r[i][j];
        h->image_to_reference[4 * i + 3] = (float)at_mm[i];
    }
    h->has_pose = 1;
    h->spacing_mm[0] = 0.11f;
    h->spacing_mm[1] = 0.09f;
}

/* Where a pixel of `from` lies in the image plane of `to`, by inverting the whole matrix of `to`. */
static void project(const sono_frame_header *from, const sono_frame_header *to, double x, double y,
                    double out[2])
{
    const float *a = from->image_to_reference, *b = to->image_to_reference;
    double p[3], m[3][3];
    for (int i = 0; i < 3; i++)
        p[i] = (double)a[4 * i] * x * (double)from->spacing_mm[0] +
               (double)a[4 * i + 1] * y * (double)from->spacing_mm[1] + (double)a[4 * i + 3] -
               (double)b[4 * i + 3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            m[i][j] = (double)b[4 * i + j];
    const double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                       m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                       m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    for (int j = 0; j < 2; j++) { /* Cramer's rule */
        double c[3][3];
        memcpy(c, m, sizeof c);
        for (int i = 0; i < 3; i++)
            c[i][j] = p[i];
        const double with = c[0][0] * (c[1][1] * c[2][2] - c[1][2] * c[2][1]) -
                            c[0][1] * (c[1][0] * c[2][2] - c[1][2] * c[2][0]) +
                            c[0][2] * (c[1][0] * c[2][1] - c[1][1] * c[2][0]);
        out[j] = with / det / (double)to->spacing_mm[j];
    }
}

static void maps_by_pose_are_right(void **state)
{
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 12);
    for (int round = 0; round < 200; round++) {
        sono_frame_header from = usual(), to = usual();
        double angles[3], at[3];
        sono_agree_map map;
        for (int i = 0; i < 3; i++) {
            angles[i] = sono_op_test_uniform(&t, -3, 3);
            at[i] = sono_op_test_uniform(&t, -500, 500);
        }
        set_pose(&to, angles, at);
        for (int i = 0; i < 3; i++) {
            angles[i] += sono_op_test_uniform(&t, -0.05, 0.05);
            at[i] += sono_op_test_uniform(&t, -5, 5);
        }
        set_pose(&from, angles, at);
        assert_true(agree_has_pose(&from) && agree_has_pose(&to));
        assert_true(agree_map_by_pose(&from, &to, &map));
        for (int corner = 0; corner < 4; corner++) {
            const int32_t x = corner % 2 * 1919, y = corner / 2 * 1199;
            double want[2];
            project(&from, &to, x, y, want);
            for (int i = 0; i < 2; i++) {
                const int64_t got = map.m[3 * i] * x + map.m[3 * i + 1] * y + map.m[3 * i + 2];
                assert_true(fabs((double)got / SONO_AGREE_ONE - want[i]) < 0.06);
            }
        }
    }
    sono_op_test_close(&t);
}

/* A pose says how the image moved, whatever the masks look like; the same on every backend: the map of
 * engine/agreement.h, and pixels counted one by one. */
static void known_pose_moves_the_mask(void **state)
{
    static const double still[3] = {0}, turned[3] = {0, 0.02, 0.01}, home[3] = {100, -20, 30},
                        moved[3] = {101.1, -20.9, 30.2};
    sono_frame_header was = usual(), is = usual();
    int32_t row[SONO_AGREEMENT_INTS];
    (void)state;
    set_pose(&was, still, home);
    set_pose(&is, still, moved); /* the probe goes 10 px to the right and 10 px up: the image the other way */
    const op_bone bone = {.gain = 1, .gamma = 1, .move_x = -10 / 422.0, .move_y = 10 / 558.0};
    agreement_of(&plain, &bone, &was, &is, 0, row);
    assert_in_range(row[SONO_AGREEMENT_IOU], 980, 1000);
    assert_in_range(row[SONO_AGREEMENT_SURFACE], 980, 1000);
    assert_in_range(row[SONO_AGREEMENT_MOVED_X], -81, -79);
    assert_in_range(row[SONO_AGREEMENT_MOVED_Y], 79, 81);
    agreement_of(&plain, &plain, &was, &is, 0, row); /* the probe moved, the mask did not */
    assert_in_range(row[SONO_AGREEMENT_IOU], 0, 300);
    set_pose(&is, turned, home);
    op_scene s = {2, 1, 422, 558, 0, .headers = {is, was}};
    sono_op_test t;
    sono_op_test_open(&t, 1);
    op_scene_open(&s, &t);
    op_scene_draw_bone(&s, 0, &plain);
    op_scene_draw_bone(&s, 1, &plain);
    sono_agree_map map;
    assert_true(agree_map_by_pose(&is, &was, &map));
    int64_t both = 0, either = 0;
    for (int32_t x = 0; x < 422; x++)
        for (int32_t y = 0; y < 558; y++) {
            const double at_x = (double)(map.m[0] * x + map.m[1] * y + map.m[2]) / SONO_AGREE_ONE;
            const double at_y = (double)(map.m[3] * x + map.m[4] * y + map.m[5]) / SONO_AGREE_ONE;
            const int32_t old_x = (int32_t)floor(at_x + 0.5), old_y = (int32_t)floor(at_y + 0.5);
            if (old_x < 0 || old_y < 0 || old_x > 421 || old_y > 557)
                continue;
            both += op_scene_is_set(&s, 0, x, y) && op_scene_is_set(&s, 1, old_x, old_y);
            either += op_scene_is_set(&s, 0, x, y) || op_scene_is_set(&s, 1, old_x, old_y);
        }
    op_scene_close(&s);
    sono_op_test_close(&t);
    agreement_of(&plain, &plain, &was, &is, 0, row);
    assert_in_range(both, 1000, either - 500);
    assert_int_equal(row[SONO_AGREEMENT_IOU], 1000 * both / either);
}

/* Poses that cannot be used leave it to the masks; those that are too far apart leave nothing to compare. */
static void odd_poses(void **state)
{
    static const double still[3] = {0}, across[3] = {0, 0, 1.5}, home[3] = {0}, far[3] = {2000, 0, 0},
                        beside[3] = {900, 0, 0};
    sono_frame_header was = usual(), is = usual();
    int32_t row[SONO_AGREEMENT_INTS];
    (void)state;
    set_pose(&was, still, home);
    for (int i = 0; i < 5; i++) { /* as if there were none: the same mask is found where it was */
        set_pose(&is, across, far);
        if (i == 0)
            is.has_pose = 0;
        else if (i == 1)
            is.spacing_mm[1] = 0;
        else if (i == 2)
            is.image_to_reference[3] = NAN;
        else if (i == 3)
            is.image_to_reference[4] = INFINITY;
        else
            is.image_to_reference[0] += 0.1f; /* no rotation */
        agreement_of(&plain, &plain, &was, &is, 0, row);
        assert_int_equal(row[SONO_AGREEMENT_IOU], 1000);
    }
    const double *const angles[] = {across, still, still}, *const places[] = {home, far, beside};
    for (int i = 0; i < 3; i++) {
        set_pose(&is, angles[i], places[i]);
        agreement_of(&plain, &plain, &was, &is, 0, row);
        assert_int_equal(row[SONO_AGREEMENT_IOU], -1);
        assert_int_equal(row[SONO_AGREEMENT_SURFACE], -1);
        assert_int_equal(row[SONO_AGREEMENT_MOVED_X], 0);
    }
}

/* ---- a stream ---- */

/* The ops of a state on a scene of n frames; a verdict that hides every second frame. */
typedef struct stream {
    op_scene_tensors in;
    sono_tid agreement, kept;
} stream;

static stream record_stream(op_scene *s, sono_op_test *t, int32_t first)
{
    const sono_segment_args args = op_scene_args(s);
    const int32_t areas[OP_SCENE_MAX_FRAMES] = {1, 1, 1, 1};
    int32_t verdicts[OP_SCENE_MAX_FRAMES][SONO_VERDICT_INTS] = {{0}};
    sono_tid outs[2];
    stream x = {.in = op_scene_record(s, t)};
    for (int32_t i = 0; i < s->n_frames; i++)
        verdicts[i][0] = (first + i) % 2 ? SONO_STATE_LOST : SONO_STATE_VISIBLE;
    const sono_tid area = sono_op_test_inout_values(t, SONO_DTYPE_I32, s->n_frames, 1, 1, 1, areas);
    const sono_tid verdict =
        sono_op_test_input_values(t, SONO_DTYPE_I32, s->n_frames, 1, 1, SONO_VERDICT_INTS, verdicts);
    x.kept = sono_record_kept_frame(&t->rec, "kept", &args);
    sono_record_mask_profile(&t->rec, "profile", x.in.mask, x.in.header, &args, outs);
    x.agreement =
        sono_record_agreement(&t->rec, "agreement", x.in.mask, outs[0], outs[1], x.in.header, x.kept, &args);
    sono_record_output(&t->rec, x.agreement);
    sono_record_show_mask(&t->rec, "shown", verdict, outs[0], x.in.header, x.in.mask, area, x.in.detections,
                          x.kept, &args);
    sono_op_test_finish(t);
    return x;
}

static sono_engine *open_stream(sono_op_test *t)
{
    const sono_engine_options options = {.plan_mode = SONO_PLAN_REUSE, .n_threads = 2};
    sono_engine *engine = NULL;
    assert_ok(t->backend->open(t->program, &options, &engine, &t->error), &t->error);
    return engine;
}

static void run_stream(sono_op_test *t, sono_engine *engine, const stream *x, int32_t *rows)
{
    for (sono_tid i = 1; (size_t)i < t->program->n_tensors; i++)
        if (t->host[i])
            assert_ok(t->backend->inspect->write(engine, i, t->host[i], &t->error), &t->error);
    assert_ok(t->backend->inspect->run(engine, 0, -1, &t->error), &t->error);
    assert_ok(t->backend->inspect->read(engine, x->agreement, rows, &t->error), &t->error);
}

static void draw_stream(op_scene *s, sono_op_test *t)
{
    op_scene_open(s, t);
    for (int32_t i = 0; i < s->n_frames; i++)
        op_scene_draw_bone(s, i,
                           &(op_bone){.gain = 1, .gamma = 1, .move_x = 0.01 * i, .move_y = 0.01 * i * i});
}

/* Four frames in one batch, and one by one with what was kept in between: the same rows. A second round in a
 * pipeline's own order goes on where the first ended. */
static void stream_equals_batch(void **state)
{
    op_scene all = {4, 1, 90, 110, 0, .boxes = {{0}}}, one = {1, 1, 90, 110, 0, .boxes = {{0}}};
    int32_t batch[2][4 * SONO_AGREEMENT_INTS], row[SONO_AGREEMENT_INTS];
    sono_op_test t, single;
    (void)state;
    for (int32_t i = 0; i < 4; i++)
        all.headers[i] = op_scene_header(90, 110, SONO_PIXEL_GRAY8, 0);
    one.headers[0] = all.headers[0];
    sono_op_test_open(&t, 1);
    sono_op_test_open(&single, 1);
    draw_stream(&all, &t);
    draw_stream(&one, &single);
    const stream x = record_stream(&all, &t, 0), y = record_stream(&one, &single, 0);
    sono_engine *engine = open_stream(&t), *engine_of_one = open_stream(&single);
    for (int round = 0; round < 2; round++) {
        run_stream(&t, engine, &x, batch[round]);
        for (int32_t i = 0; i < 4; i++) {
            memcpy(single.host[y.in.maps], op_scene_mask(&all, i, 0), 90 * 110);
            run_stream(&single, engine_of_one, &y, row);
            assert_memory_equal(row, batch[round] + i * SONO_AGREEMENT_INTS, sizeof row);
        }
    }
    assert_int_equal(batch[0][SONO_AGREEMENT_IOU], -1);
    assert_in_range(batch[1][SONO_AGREEMENT_SURFACE], 0, 1000);
    assert_memory_equal(batch[0] + SONO_AGREEMENT_INTS, batch[1] + SONO_AGREEMENT_INTS,
                        3 * SONO_AGREEMENT_INTS * sizeof(int32_t));
    t.backend->close(engine);
    single.backend->close(engine_of_one);
    op_scene_close(&all);
    op_scene_close(&one);
    sono_op_test_close(&t);
    sono_op_test_close(&single);
}

static void bench(void)
{
    static const int32_t sizes[][2] = {{422, 558}, {1920, 1200}};
    for (int i = 0; i < 2; i++) {
        op_scene s = {2, 1, sizes[i][0], sizes[i][1], 0, .boxes = {{0}}};
        sono_op_test t;
        s.headers[0] = s.headers[1] = op_scene_header(sizes[i][0], sizes[i][1], SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        op_scene_draw_bone(&s, 0, &plain);
        op_scene_draw_bone(&s, 1, &(op_bone){.gain = 1, .gamma = 1, .move_x = 0.01, .move_y = 0.01});
        record(&s, &t, 1);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "mask_profile, agreement 1920x1200" : "mask_profile, agreement 422x558");
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_agrees),          cmocka_unit_test(real_size_agrees),
        cmocka_unit_test(known_translation_is_found), cmocka_unit_test(other_masks_disagree),
        cmocka_unit_test(surface_stands_beside_iou),  cmocka_unit_test(mirrors_are_equal),
        cmocka_unit_test(size_does_not_matter),       cmocka_unit_test(maps_by_pose_are_right),
        cmocka_unit_test(known_pose_moves_the_mask),  cmocka_unit_test(odd_poses),
        cmocka_unit_test(stream_equals_batch)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/agreement", tests, sizeof tests / sizeof tests[0]);
}
