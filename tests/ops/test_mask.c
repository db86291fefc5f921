// SPDX-License-Identifier: Apache-2.0
// labels: threads
/*
 * HYPER_MASK against the order of two pixel shuffles, UPSAMPLE_MASK against its two bilinear steps done one
 * after the other in double precision, and against numbers that torch gave.
 */
#include "op_frame.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <math.h>
#include <string.h>

/* In the networks hyper and logits are precise and up is not; with views none is. */
static void check_hyper(int32_t k, int32_t side, int32_t c, int views)
{
    static const sono_op_test_layout layout = {.channels_before = 1, .channels_after = 4, .rows_before = 2};
    sono_op_test t;
    sono_op_test_open(&t, 5);
    const sono_tid up = sono_op_test_input(&t, k, 1, side * side, c, views ? &layout : NULL);
    t.rec.precise = !views;
    const sono_tid hyper = sono_op_test_input(&t, k, 1, 1, c, views ? &layout : NULL);
    const sono_tid out = sono_record_hyper_mask(&t.rec, "logits", up, hyper);
    sono_op_test_finish(&t);
    double *want = sono_op_test_want(&t, out, sono_op_test_tolerance(SONO_OP_HYPER_MASK));
    for (int32_t i = 0; i < k; i++)
        for (int32_t y = 0; y < side; y++)
            for (int32_t x = 0; x < side; x++) {
                const int32_t position = y / 4 * (side / 4) + x / 4;
                const int32_t first = y / 2 % 2 * 2 + x / 2 % 2, second = y % 2 * 2 + x % 2;
                double sum = 0;
                for (int32_t j = 0; j < c; j++)
                    sum += sono_op_test_at(&t, up, i, 0, (position * 4 + first) * 4 + second, j) *
                           sono_op_test_at(&t, hyper, i, 0, 0, j);
                want[(i * side + y) * side + x] = sum;
            }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void hyper_mask_agrees(void **state)
{
    (void)state;
    check_hyper(1, 64, 32, 0);
    check_hyper(3, 8, 32, 1);
    check_hyper(2, 4, 19, 0);
}

/* ---- UPSAMPLE_MASK ---- */

#define MAX_OBJECTS 4

/* One axis of torch's bilinear (align_corners=False): [n_out][n_in] weights. */
static double *bilinear_matrix(int32_t n_in, int32_t n_used, int32_t n_out)
{
    double *m = sono_alloc_array((size_t)n_in * (size_t)n_out, sizeof *m);
    assert_non_null(m);
    for (int32_t i = 0; i < n_out; i++) {
        const double at = fmax(0, (i + 0.5) * n_used / n_out - 0.5);
        const int32_t low = (int32_t)fmin(floor(at), n_used - 1), high = low + 1 < n_used ? low + 1 : low;
        m[i * n_in + low] += 1 - (at - low);
        m[i * n_in + high] += at - low;
    }
    return m;
}

/* [rows][columns] = a [rows][inner] * b [inner][columns] */
static double *product(const double *a, const double *b, int32_t rows, int32_t inner, int32_t columns)
{
    double *out = sono_alloc_array((size_t)rows * (size_t)columns, sizeof *out);
    assert_non_null(out);
    for (int32_t i = 0; i < rows; i++)
        for (int32_t k = 0; k < inner; k++) {
            const double factor = a[i * inner + k];
            for (int32_t j = 0; factor != 0 && j < columns; j++)
                out[i * columns + j] += factor * b[k * columns + j];
        }
    return out;
}

static double *transposed(const double *a, int32_t rows, int32_t columns)
{
    double *out = sono_alloc_array((size_t)rows * (size_t)columns, sizeof *out);
    assert_non_null(out);
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < columns; j++)
            out[j * rows + i] = a[i * columns + j];
    return out;
}

/* [n_out][n_low]: low resolution -> size, crop, -> n_out */
static double *two_steps(int32_t n_low, int32_t size, int32_t n_crop, int32_t n_out)
{
    double *up = bilinear_matrix(n_low, n_low, size), *down = bilinear_matrix(size, n_crop, n_out);
    double *both = product(down, up, n_out, size, n_low);
    sono_free(up);
    sono_free(down);
    return both;
}

static int32_t cropped(int32_t length, int32_t longest, int32_t size)
{
    return (int32_t)fmax(1, floor(length * (size * 1.0 / longest) + 0.5));
}

typedef struct sizes {
    int32_t k, n_low, size, width, height;
    int32_t room_px; /* how far the limits lie above the frame's size */
    int32_t invalid; /* this object is not valid; -1 = none */
    int want_logits;
    int32_t map_element_bytes; /* room for weight maps of such elements behind each mask */
} sizes;

/* as room_px: the limits are those of the frame turned by a quarter */
#define TURNED (-1)

static int32_t max_width_px(const sizes *s)
{
    return s->room_px == TURNED ? s->height : s->width + s->room_px;
}

static int32_t max_height_px(const sizes *s)
{
    return s->room_px == TURNED ? s->width : s->height + s->room_px;
}

typedef struct tensors {
    sono_tid low, outs[3];
} tensors;

/* Of full precision, so that hardly any sum of them lies near 0. */
static sono_tid random_logits(sono_op_test *t, const sizes *s)
{
    const int32_t count = s->k * s->n_low * s->n_low;
    float *values = sono_alloc_array((size_t)count, sizeof *values);
    assert_non_null(values);
    for (int32_t i = 0; i < count; i++)
        values[i] = (float)sono_op_test_uniform(t, -2, 2);
    const sono_tid low = sono_op_test_input_values(t, SONO_DTYPE_F32, s->k, s->n_low, s->n_low, 1, values);
    sono_free(values);
    return low;
}

static tensors record(sono_op_test *t, const sizes *s)
{
    const sono_segment_args args = {.image_size = s->size,
                                    .max_width_px = max_width_px(s),
                                    .max_height_px = max_height_px(s),
                                    .edge_width_px = 3,
                                    .outside_width_px = 5,
                                    .map_element_bytes = s->map_element_bytes};
    float found[MAX_OBJECTS][8] = {{0}};
    assert_true(s->k <= MAX_OBJECTS);
    for (int32_t i = 0; i < s->k; i++)
        found[i][7] = i == s->invalid ? 0.0f : 1.0f;
    t->rec.precise = 1; /* what is made from the mask decoder's logits */
    tensors x = {.low = random_logits(t, s)};
    const sono_tid detections = sono_op_test_input_values(t, SONO_DTYPE_F32, 1, 1, s->k, 8, found);
    const sono_tid header = op_frame_header(t, s->width, s->height, 0.3f);
    sono_record_upsample_mask(&t->rec, "mask", x.low, detections, header, &args, s->want_logits, x.outs);
    return x;
}

static double *want_logits(const sono_op_test *t, const sizes *s, sono_tid low, int32_t k)
{
    const int32_t longest = s->width > s->height ? s->width : s->height, n = s->n_low;
    double *values = sono_alloc_array((size_t)n * (size_t)n, sizeof *values);
    assert_non_null(values);
    for (int32_t i = 0; i < n * n; i++)
        values[i] = sono_op_test_at(t, low, k, i / n, i % n, 0);
    double *rows = two_steps(n, s->size, cropped(s->height, longest, s->size), s->height);
    double *columns = two_steps(n, s->size, cropped(s->width, longest, s->size), s->width);
    double *turned = transposed(columns, s->width, n);
    double *tall = product(rows, values, s->height, n, n);
    double *out = product(tall, turned, s->height, n, s->width);
    sono_free(values);
    sono_free(rows);
    sono_free(columns);
    sono_free(turned);
    sono_free(tall);
    return out;
}

/* The whole tensor of maps is wanted: what no mask takes stays as it was. */
static double *want_maps(sono_op_test *t, sono_tid mask)
{
    const sono_tid maps = sono_program_tensor(t->program, mask)->root;
    double *want = sono_op_test_want(t, maps, 0);
    const int64_t count = sono_tensor_count(sono_program_tensor(t->program, maps));
    for (int64_t i = 0; i < count; i++)
        want[i] = SONO_OP_TEST_UNTOUCHED_U8;
    return want;
}

/* Masks are packed by the frame's size. Of the logits only the frame's own pixels are wanted, through a view;
 * the harness sees to it that nothing behind them is written. */
static void check_upsample(const sizes *s, uint64_t seed)
{
    const int32_t n_pixels = s->width * s->height;
    sono_op_test t;
    sono_op_test_open(&t, seed);
    const tensors x = record(&t, s);
    const sono_tid logits = s->want_logits ? sono_view_channels(&t.rec, x.outs[2], 0, n_pixels) : 0;
    sono_op_test_finish(&t);
    double *mask_want = want_maps(&t, x.outs[0]), *area_want = sono_op_test_want(&t, x.outs[1], 0);
    double *logits_want =
        logits ? sono_op_test_want(&t, logits, sono_op_test_tolerance(SONO_OP_UPSAMPLE_MASK)) : NULL;
    for (int32_t k = 0; k < s->k; k++) {
        double *want = want_logits(&t, s, x.low, k);
        double *mask = mask_want + k * object_maps_bytes(n_pixels, s->map_element_bytes);
        for (int32_t i = 0; i < n_pixels; i++) {
            mask[i] = want[i] > 0 && k != s->invalid ? 255 : 0;
            if (k == s->invalid)
                continue;
            area_want[k] += want[i] > 0;
            if (logits)
                logits_want[k * n_pixels + i] = want[i];
            if (fabs(want[i]) < 1e-6)
                fail_msg("seed %d leaves the sign of pixel %d to rounding: take another", (int)seed, i);
        }
        sono_free(want);
    }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void upsample_mask_agrees(void **state)
{
    static const sizes cases[] = {
        {1, 16, 64, 1, 1, 0, -1, 1, 0},         {1, 16, 64, 1, 37, 5, -1, 1, 0},
        {2, 16, 64, 37, 1, 0, 0, 1, 0},         {3, 16, 64, 64, 64, 9, 1, 1, 0},
        {1, 16, 64, 15, 16, 0, -1, 0, 0},       {2, 16, 64, 150, 97, 3, -1, 1, 0},
        {1, 16, 64, 200, 1, 0, -1, 1, 0},       {1, 3, 12, 29, 31, 0, -1, 1, 0},
        {1, 4, 4, 9, 5, 0, -1, 1, 0},           {1, 256, 1024, 422, 558, 0, -1, 1, 0},
        {2, 256, 1024, 640, 480, 40, 1, 0, 0},  {2, 16, 64, 150, 20, TURNED, -1, 1, 0},
        {1, 16, 64, 20, 150, TURNED, -1, 1, 0}, {3, 16, 64, 37, 5, 3, 1, 0, 1},
        {2, 16, 64, 61, 70, 0, -1, 1, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%d x %d -> %d x %d\n", cases[i].n_low, cases[i].n_low, cases[i].width,
                      cases[i].height);
        check_upsample(&cases[i], 800 + i);
    }
}

/* torch 2.15, double precision:
 * low = torch.tensor([[math.sin(.7*x + .3*y) + ((x*5 + y*3) % 7)/7 - .5 for x in range(16)] for y in
 * range(16)]) up = F.interpolate(low[None, None], (64, 64), mode="bilinear", align_corners=False) o =
 * F.interpolate(up[..., :int(H*s + .5), :int(W*s + .5)], (H, W), mode="bilinear", align_corners=False) with s
 * = 64 / max(W, H); (o > 0).sum() and o at (0, 0), (0, W-1), (H-1, 0), (H-1, W-1), (H//2, W//2), (H//3, W//4)
 */
static void torch_agrees(void **state)
{
    static const struct {
        int32_t width, height, area;
        double at[6];
    } golden[] = {
        {21, 13, 130, {-0.49249134, -0.669230394, 0.677689591, 0.615855486, 0.325081559, -0.538979658}},
        {5, 90, 270, {-0.5, 0.00943877557, -1.04895869, -1.12082325, 0.475963229, 0.701212844}},
        {1, 1, 1, {0.692665996, 0.692665996, 0.692665996, 0.692665996, 0.692665996, 0.692665996}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        const int32_t w = golden[i].width, h = golden[i].height;
        const int32_t at[6] = {0, w - 1, (h - 1) * w, h * w - 1, h / 2 * w + w / 2, h / 3 * w + w / 4};
        const sizes s = {1, 16, 64, w, h, 0, -1, 1, 0};
        sono_op_test t;
        sono_op_test_open(&t, 1);
        const tensors x = record(&t, &s);
        for (int32_t p = 0; p < 256; p++)
            sono_op_test_set(
                &t, x.low, 0, p / 16, p % 16, 0,
                (float)(sin(.7 * (p % 16) + .3 * (p / 16)) + (p % 16 * 5 + p / 16 * 3) % 7 / 7.0 - .5));
        sono_op_test_finish(&t);
        *sono_op_test_want(&t, x.outs[1], 0) = golden[i].area;
        double *want = sono_op_test_want(&t, x.outs[2], 2e-6), *composed = want_logits(&t, &s, x.low, 0);
        memcpy(want, composed, (size_t)(w * h) * sizeof *want);
        for (int j = 0; j < 6; j++)
            want[at[j]] = golden[i].at[j];
        sono_op_test_run(&t);
        sono_free(composed);
        sono_op_test_close(&t);
    }
}

/* A NaN sets no pixel and spoils only its own surroundings; infinity is larger than 0. */
static void nan_is_not_inside(void **state)
{
    static const sizes s = {1, 16, 64, 64, 64, 0, -1, 0, 0};
    sono_op_test t;
    (void)state;
    sono_op_test_open(&t, 8);
    const tensors x = record(&t, &s);
    for (int32_t p = 0; p < 256; p++)
        sono_op_test_set(&t, x.low, 0, p / 16, p % 16, 0, p / 16 < 4 ? NAN : p / 16 < 11 ? -1.0f : 3.0f);
    sono_op_test_finish(&t);
    double *mask = sono_op_test_want(&t, x.outs[0], 0), *area = sono_op_test_want(&t, x.outs[1], 0);
    for (int32_t y = 0; y < 64; y++) {
        const double low =
            fmin((y + 0.5) / 4 - 0.5, 15); /* rows 10 and 11 are -1 and 3: 0 is a quarter between them */
        for (int32_t c = 0; c < 64; c++) {
            mask[y * 64 + c] = low > 10.25 ? 255 : 0;
            *area += low > 10.25;
        }
    }
    sono_op_test_run(&t);
    sono_op_test_close(&t);
}

static void bench(void)
{
    static const sizes frame = {1, 256, 1024, 422, 558, 0, -1, 0, 0},
                       large = {1, 256, 1024, 1920, 1200, 0, -1, 0, 0};
    sono_op_test t;
    sono_op_test_open(&t, 1);
    const sono_tid up = sono_op_test_input(&t, 1, 1, 65536, 32, NULL);
    t.rec.precise = 1;
    sono_record_hyper_mask(&t.rec, "logits", up, sono_op_test_input(&t, 1, 1, 1, 32, NULL));
    sono_op_test_finish(&t);
    sono_op_test_bench(&t, "hyper_mask");
    sono_op_test_close(&t);
    for (int i = 0; i < 2; i++) {
        sono_op_test_open(&t, 1);
        record(&t, i ? &large : &frame);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "upsample_mask 1920x1200" : "upsample_mask 422x558");
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hyper_mask_agrees),
        cmocka_unit_test(upsample_mask_agrees),
        cmocka_unit_test(torch_agrees),
        cmocka_unit_test(nan_is_not_inside),
    };
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/mask", tests, sizeof tests / sizeof tests[0]);
}
