// SPDX-License-Identifier: Apache-2.0
// labels: threads timeout=300
/*
 * PREPROCESS against a dense filter matrix an axis in double precision, and against numbers that torch gave.
 */
#include "op_frame.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct frame {
    int32_t width_px, height_px, pitch_bytes;
    sono_pixel_format format;
    uint8_t *bytes;
} frame;

typedef struct sizes {
    const char *what;
    int32_t width_px, height_px, pitch_extra_bytes;
    sono_pixel_format format;
    sono_fit fit;
    int32_t size;
    int32_t room_px;      /* how far the limits lie above the frame's size */
    int32_t size_high_px; /* STRETCH: the image's height where it is not `size` too */
} sizes;

/* as room_px: the limits are those of the frame turned by a quarter */
#define TURNED (-1)

static int32_t max_width_px(const sizes *s)
{
    return s->room_px == TURNED ? s->height_px : s->width_px + s->room_px;
}

static int32_t max_height_px(const sizes *s)
{
    return s->room_px == TURNED ? s->width_px : s->height_px + s->room_px;
}

static int32_t height_of(const sizes *s)
{
    return s->size_high_px ? s->size_high_px : s->size;
}

static const float sam_mean[3] = {123.675f, 116.28f, 103.53f};
static const float sam_inv_std[3] = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f};

static int32_t pixel_bytes(sono_pixel_format format)
{
    static const int32_t bytes[] = {
        [SONO_PIXEL_GRAY8] = 1, [SONO_PIXEL_GRAY16] = 2, [SONO_PIXEL_RGB8] = 3, [SONO_PIXEL_RGBA8] = 4};
    return bytes[format];
}

static frame random_frame(sono_op_test *t, const sizes *s)
{
    frame f = {s->width_px, s->height_px, s->width_px * pixel_bytes(s->format) + s->pitch_extra_bytes,
               s->format, NULL};
    const size_t n = (size_t)f.pitch_bytes * (size_t)f.height_px;
    f.bytes = sono_alloc(n);
    assert_non_null(f.bytes);
    for (size_t i = 0; i < n; i++)
        f.bytes[i] = (uint8_t)sono_op_test_int(t, 0, 255);
    return f;
}

#define LUMA (-1) /* for the number of a channel */

static double sample(const frame *f, int32_t x, int32_t y, int32_t c, int32_t white)
{
    const uint8_t *row = f->bytes + (size_t)y * (size_t)f->pitch_bytes;
    uint16_t wide;
    switch (f->format) {
    case SONO_PIXEL_GRAY8:
        return row[x];
    case SONO_PIXEL_GRAY16:
        memcpy(&wide, row + 2 * (size_t)x, sizeof wide);
        return (wide < white ? wide : white) * 255.0 / white;
    default:
        row += x * pixel_bytes(f->format);
        return c == LUMA ? (19595 * row[0] + 38470 * row[1] + 7471 * row[2] + 0x8000) >> 16 : row[c];
    }
}

/* [n_out][n_in] weights of the antialiased triangle, and the first and last that are not 0. */
typedef struct matrix {
    double *weights;
    int32_t *first, *last;
} matrix;

static matrix make_matrix(int32_t n_in, int32_t n_out)
{
    matrix m = {sono_alloc_array((size_t)n_in * (size_t)n_out, sizeof(double)),
                sono_alloc_array((size_t)n_out, sizeof(int32_t)),
                sono_alloc_array((size_t)n_out, sizeof(int32_t))};
    assert_true(m.weights && m.first && m.last);
    const double scale = (double)n_in / n_out, reach = fmax(scale, 1);
    for (int32_t i = 0; i < n_out; i++) {
        double *row = m.weights + (size_t)i * (size_t)n_in, sum = 0;
        m.first[i] = n_in;
        for (int32_t j = 0; j < n_in; j++) {
            row[j] = fmax(0, 1 - fabs((j + 0.5) - (i + 0.5) * scale) / reach);
            sum += row[j];
            if (row[j] > 0) {
                m.first[i] = j < m.first[i] ? j : m.first[i];
                m.last[i] = j;
            }
        }
        for (int32_t j = 0; j < n_in; j++)
            row[j] /= sum;
    }
    return m;
}

static void free_matrix(matrix *m)
{
    sono_free(m->weights);
    sono_free(m->first);
    sono_free(m->last);
}

/* One channel, resized to width x height at stride 3 (luma: 1) in rows of size pixels. */
static void resize_channel(const frame *f, int32_t c, int32_t white, int32_t width, int32_t height,
                           int32_t size, double mean, double inv_std, double *out)
{
    matrix columns = make_matrix(f->width_px, width), rows = make_matrix(f->height_px, height);
    const size_t stride = c == LUMA ? 1 : 3;
    double *middle = sono_alloc_array((size_t)f->height_px * (size_t)width, sizeof *middle);
    assert_non_null(middle);
    for (int32_t y = 0; y < f->height_px; y++)
        for (int32_t x = 0; x < width; x++)
            for (int32_t j = columns.first[x]; j <= columns.last[x]; j++)
                middle[(size_t)y * (size_t)width + (size_t)x] +=
                    columns.weights[(size_t)x * (size_t)f->width_px + (size_t)j] * sample(f, j, y, c, white);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            double sum = 0;
            for (int32_t j = rows.first[y]; j <= rows.last[y]; j++)
                sum += rows.weights[(size_t)y * (size_t)f->height_px + (size_t)j] *
                       middle[(size_t)j * (size_t)width + (size_t)x];
            out[((size_t)y * (size_t)size + (size_t)x) * stride] = (sum - mean) * inv_std;
        }
    sono_free(middle);
    free_matrix(&columns);
    free_matrix(&rows);
}

static sono_tid record(sono_op_test *t, const sizes *s, const frame *f, const sono_preprocess_args *args,
                       int32_t white)
{
    const sono_frame_header header = {.width_px = f->width_px,
                                      .height_px = f->height_px,
                                      .pitch_bytes = f->pitch_bytes,
                                      .format = (int32_t)f->format,
                                      .gray16_white = white};
    const int32_t n_bytes = f->pitch_bytes * s->height_px;
    const sono_tid pixels = sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, n_bytes, f->bytes);
    const sono_tid head =
        sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof header, &header);
    const sono_tid image = sono_record_preprocess(&t->rec, "image", pixels, head, args);
    sono_op_test_finish(t);
    return image;
}

static sono_preprocess_args make_args(const sizes *s)
{
    sono_preprocess_args args = {
        .fit = s->fit,
        .width_px = s->size,
        .height_px = height_of(s),
        .max_width_px = max_width_px(s),
        .max_height_px = max_height_px(s),
    };
    for (int c = 0; c < 3; c++) {
        args.mean[c] = s->fit == SONO_FIT_LETTERBOX ? sam_mean[c] : 0.0f;
        args.inv_std[c] = s->fit == SONO_FIT_LETTERBOX ? sam_inv_std[c] : 1 / 255.0f;
    }
    return args;
}

/* is_luma: one channel out. */
static void check_channels(const sizes *s, int32_t is_luma, uint64_t seed)
{
    const int32_t white = 40000; /* many samples are above it */
    sono_op_test t;
    sono_op_test_open(&t, seed);
    sono_preprocess_args args = make_args(s);
    args.is_luma = is_luma;
    frame f = random_frame(&t, s);
    const sono_tid image = record(&t, s, &f, &args, white);
    double *want = sono_op_test_want(&t, image, sono_op_test_tolerance(SONO_OP_PREPROCESS));
    int32_t width = s->size, height = height_of(s);
    if (s->fit == SONO_FIT_LETTERBOX) {
        const double scale = s->size * 1.0 / (s->width_px > s->height_px ? s->width_px : s->height_px);
        width = (int32_t)fmax(1, (int32_t)(s->width_px * scale + 0.5));
        height = (int32_t)fmax(1, (int32_t)(s->height_px * scale + 0.5));
    }
    for (int32_t c = 0; c < (is_luma ? 1 : 3); c++)
        resize_channel(&f, is_luma ? LUMA : c, white, width, height, s->size, args.mean[c], args.inv_std[c],
                       want + c);
    sono_op_test_run(&t);
    sono_free(f.bytes);
    sono_op_test_close(&t);
}

static void check_sizes(const sizes *s, uint64_t seed)
{
    check_channels(s, 0, seed);
}

static const sizes odd_cases[] = {
    {"1 x 1", 1, 1, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 20, 0, 0},
    {"1 x 1", 1, 1, 3, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 20, 30, 0},
    {"one column", 1, 40, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 32, 0, 0},
    {"one column", 1, 40, 5, SONO_PIXEL_GRAY16, SONO_FIT_STRETCH, 32, 7, 0},
    {"one row", 50, 1, 0, SONO_PIXEL_RGBA8, SONO_FIT_LETTERBOX, 33, 0, 0},
    {"less than half a row", 90, 1, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 32, 0, 0},
    {"1.49 rows", 100, 4, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 37, 0, 0},
    {"same size", 64, 64, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 64, 0, 0},
    {"same size", 64, 64, 0, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 64, 100, 0},
    {"enlarged", 23, 31, 0, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 70, 0, 0},
    {"enlarged", 23, 31, 9, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 130, 0, 0},
    {"shrunk by 2", 64, 128, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 64, 0, 0},
    {"shrunk by a little", 67, 66, 0, SONO_PIXEL_RGBA8, SONO_FIT_STRETCH, 65, 0, 0},
    {"shrunk by a lot", 300, 170, 1, SONO_PIXEL_GRAY16, SONO_FIT_LETTERBOX, 16, 0, 0},
    {"to one pixel", 41, 17, 0, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 1, 5, 0},
    {"16 bits", 55, 44, 3, SONO_PIXEL_GRAY16, SONO_FIT_STRETCH, 48, 20, 0},
    {"wide", 130, 20, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 96, 0, 0},
    {"turned", 300, 20, 0, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 24, TURNED, 0},
    {"turned", 20, 300, 0, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 24, TURNED, 0},
    {"to a wide image", 61, 44, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 96, 0, 32},
    {"to a tall image", 61, 44, 3, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 32, 9, 160},
    {"to a row", 130, 70, 0, SONO_PIXEL_RGBA8, SONO_FIT_STRETCH, 65, 0, 1},
    {"to a column", 130, 70, 0, SONO_PIXEL_GRAY16, SONO_FIT_STRETCH, 1, TURNED, 65},
};

static void odd_sizes_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof odd_cases / sizeof odd_cases[0]; i++) {
        print_message("%s: %d x %d -> %d\n", odd_cases[i].what, odd_cases[i].width_px, odd_cases[i].height_px,
                      odd_cases[i].size);
        check_sizes(&odd_cases[i], 100 + i);
    }
}

static void luma_agrees(void **state)
{
    static const sizes cases[] = {
        {"grey", 61, 44, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 70, 0, 0},
        {"16 bits", 55, 44, 3, SONO_PIXEL_GRAY16, SONO_FIT_STRETCH, 48, 20, 0},
        {"colour, enlarged", 23, 31, 9, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 130, 0, 0},
        {"colour, shrunk", 167, 96, 0, SONO_PIXEL_RGBA8, SONO_FIT_LETTERBOX, 65, 5, 0},
        {"detector", 422, 558, 2, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 640, 0, 0},
        {"wide detector", 422, 558, 2, SONO_PIXEL_RGB8, SONO_FIT_STRETCH, 320, 0, 224},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_channels(&cases[i], 1, 400 + i);
}

static void real_sizes_agree(void **state)
{
    static const sizes cases[] = {
        {"detector", 422, 558, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 640, 0, 0},
        {"segmenter", 422, 558, 2, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 1024, 1400, 0},
        {"large colour frame", 1920, 1200, 64, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 1024, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_sizes(&cases[i], 200 + i);
}

static void largest_size_agrees(void **state)
{
    static const sizes large = {"4000 x 3000", 4000, 3000, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 640, 0, 0};
    (void)state;
    check_sizes(&large, 300);
}

static void check_golden(const sizes *s, int32_t width, int32_t height, const double *golden)
{
    sono_op_test t;
    sono_op_test_open(&t, 1);
    sono_preprocess_args args = make_args(s);
    for (int c = 0; c < 3; c++) {
        args.mean[c] = 0.0f;
        args.inv_std[c] = 1.0f;
    }
    frame f = random_frame(&t, s);
    for (int32_t y = 0; y < s->height_px; y++)
        for (int32_t x = 0; x < s->width_px; x++)
            f.bytes[y * s->width_px + x] = (uint8_t)((37 * x + 91 * y + 13 * x * y) % 256);
    const sono_tid image = record(&t, s, &f, &args, 255);
    double *want = sono_op_test_want(&t, image, 1e-6);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            for (int32_t c = 0; c < 3; c++)
                want[(y * s->size + x) * 3 + c] = golden[y * width + x];
    sono_op_test_run(&t);
    sono_free(f.bytes);
    sono_op_test_close(&t);
}

/* torch 2.15:
 * def px(w, h): return torch.tensor([[(37*x + 91*y + 13*x*y) % 256 for x in range(w)] for y in
 * range(h)]).double() F.interpolate(px(W, H)[None, None], (height, width), mode="bilinear", antialias=True)
 */
static void torch_agrees(void **state)
{
    static const sizes shrunk = {"7 x 5", 7, 5, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 4, 0, 0};
    static const double shrunk_golden[] = {
        43.8333333, 106.47, 134.45, 179.166667, 152.865079, 158.85, 131.963333, 120.515873,
        117.642857, 147.23, 148.25, 160.404762, 121.02381,  110.01, 144.91,     115.97619};
    static const sizes enlarged = {"3 x 2", 3, 2, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 5, 0, 0};
    static const double enlarged_golden[] = {0,      14.8,  37,   59.2, 74,    9.1,   24.42, 47.4,   70.38,
                                             85.7,   45.5,  62.9, 89,   115.1, 132.5, 81.9,  101.38, 130.6,
                                             159.82, 179.3, 91,   111,  141,   171,   191};
    static const sizes letterbox = {"13 x 9", 13, 9, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 8, 0, 0};
    static const double letterbox_golden[] = {
        51.5729167, 116.013889, 132.075,    153.343023, 113.77907,  86.675,     102.736111, 167.177083,
        158.37963,  143.42716,  144.933333, 143.27907,  127.656331, 168.933333, 88.582716,  146.953704,
        98.537037,  133.97284,  151.266667, 135.077519, 123.98708,  133.133333, 103.335802, 126.12963,
        132.37037,  115.962963, 164.377778, 123.242894, 142.322997, 144.466667, 144.604938, 103.703704,
        119.935185, 112.82963,  177.822222, 165.315245, 152.54522,  147.066667, 132.809877, 118.435185,
        171.927083, 183.541667, 119.125,    132.098837, 146.081395, 154.125,    160.375,    169.322917};
    (void)state;
    check_golden(&shrunk, 4, 4, shrunk_golden);
    check_golden(&enlarged, 5, 5, enlarged_golden);
    check_golden(&letterbox, 8, 6, letterbox_golden);
}

static void bench(void)
{
    static const sizes cases[] = {
        {"preprocess 422x558 gray8 -> 640", 422, 558, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 640, 0, 0},
        {"preprocess 422x558 gray8 -> 1024", 422, 558, 0, SONO_PIXEL_GRAY8, SONO_FIT_LETTERBOX, 1024, 0, 0},
        {"preprocess 1920x1200 rgb8 -> 1024", 1920, 1200, 0, SONO_PIXEL_RGB8, SONO_FIT_LETTERBOX, 1024, 0, 0},
        {"preprocess 4000x3000 gray8 -> 640", 4000, 3000, 0, SONO_PIXEL_GRAY8, SONO_FIT_STRETCH, 640, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sono_op_test t;
        sono_op_test_open(&t, i);
        const sono_preprocess_args args = make_args(&cases[i]);
        frame f = random_frame(&t, &cases[i]);
        record(&t, &cases[i], &f, &args, 255);
        sono_op_test_bench(&t, cases[i].what);
        sono_free(f.bytes);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_sizes_agree),  cmocka_unit_test(luma_agrees),
        cmocka_unit_test(real_sizes_agree), cmocka_unit_test(largest_size_agrees),
        cmocka_unit_test(torch_agrees),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/preprocess", tests, sizeof tests / sizeof tests[0]);
}
