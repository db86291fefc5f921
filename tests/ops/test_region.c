// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* The ops that read a frame's region: what they make of it is what they make of the region as a frame of its
 * own, put where it lies. */
#include "op_test.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

#define FRAME_W   90
#define FRAME_H   70
#define MAX_BYTES (FRAME_W * FRAME_H * 4)
#define N_OBJECTS 2
#define N_QUERIES 12
#define CHANNELS  16
#define LOW_PX    16
#define SIZE_PX   64

typedef struct outputs {
    sono_tid letterbox, stretched, luma, detections, tokens, mask, area, logits;
} outputs;

typedef struct inputs {
    sono_tid pixels, logits, boxes, low, gaussian, corners, tokens;
} inputs;

static inputs make_inputs(sono_op_test *t)
{
    static uint8_t bytes[MAX_BYTES];
    inputs in = {0};
    for (int32_t i = 0; i < MAX_BYTES; i++)
        bytes[i] = (uint8_t)sono_op_test_int(t, 0, 255);
    in.pixels = sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, MAX_BYTES, bytes);
    t->rec.precise = 1; /* as in the networks */
    in.logits = sono_op_test_input(t, 1, 1, N_QUERIES, 1, NULL);
    in.boxes = sono_op_test_input(t, 1, 1, N_QUERIES, 4, NULL);
    in.low = sono_op_test_input(t, N_OBJECTS, LOW_PX, LOW_PX, 1, NULL);
    t->rec.precise = 0;
    in.gaussian = sono_op_test_param(t, 1, 1, 2, CHANNELS / 2, 1);
    in.corners = sono_op_test_param(t, 1, 1, 2, CHANNELS, 1);
    in.tokens = sono_op_test_param(t, 1, 1, 5, CHANNELS, 1);
    return in;
}

static outputs record_ops(sono_op_test *t, const inputs *in, const sono_frame_header *frame)
{
    sono_preprocess_args preprocess = {.fit = SONO_FIT_LETTERBOX,
                                       .width_px = SIZE_PX,
                                       .height_px = SIZE_PX,
                                       .mean = {100, 110, 120},
                                       .inv_std = {0.02f, 0.03f, 0.04f},
                                       .max_width_px = FRAME_W,
                                       .max_height_px = FRAME_H};
    const sono_segment_args segment = {SIZE_PX, FRAME_W, FRAME_H, 3, 5, 0, 0, 0};
    const sono_tid header =
        sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof *frame, frame);
    outputs o = {0};
    sono_tid mask[3];
    o.letterbox = sono_record_preprocess(&t->rec, "letterbox", in->pixels, header, &preprocess);
    preprocess.fit = SONO_FIT_STRETCH;
    o.stretched = sono_record_preprocess(&t->rec, "stretched", in->pixels, header, &preprocess);
    preprocess.is_luma = 1;
    o.luma = sono_record_preprocess(&t->rec, "luma", in->pixels, header, &preprocess);
    o.detections = sono_record_select(&t->rec, "detections", in->logits, in->boxes, header, N_OBJECTS, 0);
    o.tokens = sono_record_prompt(&t->rec, "tokens", o.detections, header, in->gaussian, in->corners,
                                  in->tokens, 0, &segment);
    sono_record_upsample_mask(&t->rec, "mask", in->low, o.detections, header, &segment, 1, mask);
    o.mask = mask[0];
    o.area = mask[1];
    o.logits = mask[2];
    return o;
}

static void *read_all(sono_op_test *t, sono_engine *engine, sono_tid tensor, size_t *n_bytes)
{
    const sono_tensor *s = sono_program_tensor(t->program, tensor);
    *n_bytes = (size_t)sono_tensor_count(s) * sono_dtype_bytes(s->dtype);
    void *values = sono_alloc(*n_bytes);
    assert_non_null(values);
    assert_ok(t->backend->inspect->read(engine, tensor, values, &t->error), &t->error);
    return values;
}

static void expect_equal(sono_op_test *t, sono_engine *engine, sono_tid a, sono_tid b)
{
    size_t n_a, n_b;
    void *x = read_all(t, engine, a, &n_a), *y = read_all(t, engine, b, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(x, y, n_a);
    sono_free(x);
    sono_free(y);
}

/* Corners by the region's origin; everything else as it is. At least one box passes the gate, one does not.
 */
static void check_detections(sono_op_test *t, sono_engine *engine, sono_tid a, sono_tid b,
                             const int32_t at[2])
{
    size_t n;
    sono_detection *in_frame = read_all(t, engine, a, &n), *in_region = read_all(t, engine, b, &n);
    assert_true(in_region[0].valid == 1.0f && in_region[1].valid == 0.0f);
    for (int k = 0; k < N_OBJECTS; k++) {
        if (in_region[k].valid == 1.0f) {
            in_region[k].x1 += (float)at[0];
            in_region[k].x2 += (float)at[0];
            in_region[k].y1 += (float)at[1];
            in_region[k].y2 += (float)at[1];
        }
        assert_memory_equal(&in_frame[k], &in_region[k], sizeof *in_frame);
    }
    sono_free(in_frame);
    sono_free(in_region);
}

/* Of the object that is there. Its box is moved by the region's origin and back, in float32: to 1e-5 px. */
static void check_tokens(sono_op_test *t, sono_engine *engine, sono_tid a, sono_tid b, double tolerance)
{
    size_t n;
    float *x = read_all(t, engine, a, &n), *y = read_all(t, engine, b, &n);
    for (size_t i = 0; i < n / sizeof *x / N_OBJECTS; i++)
        assert_true(fabs((double)x[i] - (double)y[i]) <= tolerance);
    sono_free(x);
    sono_free(y);
}

/* 0 where the frame is not the region. */
static void check_masks(sono_op_test *t, sono_engine *engine, const outputs *a, const outputs *b,
                        const sono_frame_header *region, const int32_t at[2])
{
    size_t n, n_logits;
    uint8_t *in_frame = read_all(t, engine, a->mask, &n), *in_region = read_all(t, engine, b->mask, &n);
    float *frame_logits = read_all(t, engine, a->logits, &n_logits),
          *region_logits = read_all(t, engine, b->logits, &n_logits);
    int32_t n_set = 0;
    for (int32_t y = 0; y < FRAME_H; y++)
        for (int32_t x = 0; x < FRAME_W; x++) {
            const int32_t rx = x - at[0], ry = y - at[1], i = ry * region->width_px + rx;
            const int inside = rx >= 0 && ry >= 0 && rx < region->width_px && ry < region->height_px;
            assert_int_equal(in_frame[y * FRAME_W + x], inside ? in_region[i] : 0);
            assert_true(frame_logits[y * FRAME_W + x] == (inside ? region_logits[i] : 0.0f));
            n_set += in_frame[y * FRAME_W + x] != 0;
        }
    assert_in_range(n_set, 1, region->width_px * region->height_px - 1);
    sono_free(in_frame);
    sono_free(in_region);
    sono_free(frame_logits);
    sono_free(region_logits);
}

static void check(sono_pixel_format format, const uint16_t region[4], uint64_t seed)
{
    sono_op_test t;
    sono_frame_header frame = {.width_px = FRAME_W,
                               .height_px = FRAME_H,
                               .pitch_bytes = FRAME_W * (int32_t)format,
                               .format = (uint8_t)format,
                               .gray16_white = 5000};
    const int32_t at[2] = {region[0], region[1]};
    sono_op_test_open(&t, seed);
    const inputs in = make_inputs(&t);
    /* The gate lies between the two best boxes. */
    for (int32_t q = 0; q < N_QUERIES; q++)
        sono_op_test_set(&t, in.logits, 0, 0, q, 0, q == 5 ? 2.0f : q == 3 ? -1.0f : -2.0f);
    for (int i = 0; i < 4; i++)
        sono_op_test_set(&t, in.boxes, 0, 0, 5, i, i < 2 ? 0.5f : 0.375f);
    frame.threshold = 0.5f;
    sono_frame_header alone = frame;
    memcpy(frame.region, region, sizeof frame.region);
    alone.width_px = region[2];
    alone.height_px = region[3];
    alone.pixels_at_bytes = region[1] * alone.pitch_bytes + region[0] * (int32_t)format;
    const outputs a = record_ops(&t, &in, &frame), b = record_ops(&t, &in, &alone);
    assert_ok(sono_record_finish(&t.rec), &t.error);
    const sono_precision last = t.backend == &sono_cpu_engine ? SONO_PRECISION_FP32 : SONO_PRECISION_FP16;
    for (sono_precision precision = SONO_PRECISION_FP32; precision <= last; precision++) {
        const sono_engine_options options = {
            .plan_mode = SONO_PLAN_KEEP, .n_threads = 3, .precision = precision};
        sono_engine *engine = NULL;
        assert_ok(t.backend->open(t.program, &options, &engine, &t.error), &t.error);
        for (sono_tid i = 1; i < SONO_OP_TEST_MAX_TENSORS && (size_t)i < t.program->n_tensors; i++)
            if (t.host[i])
                assert_ok(t.backend->inspect->write(engine, i, t.host[i], &t.error), &t.error);
        assert_ok(t.backend->inspect->run(engine, 0, -1, &t.error), &t.error);
        expect_equal(&t, engine, a.letterbox, b.letterbox);
        expect_equal(&t, engine, a.stretched, b.stretched);
        expect_equal(&t, engine, a.luma, b.luma);
        expect_equal(&t, engine, a.area, b.area);
        check_detections(&t, engine, a.detections, b.detections, at);
        check_tokens(&t, engine, a.tokens, b.tokens, precision == SONO_PRECISION_FP16 ? 2e-3 : 2e-5);
        check_masks(&t, engine, &a, &b, &alone, at);
        t.backend->close(engine);
    }
    sono_op_test_close(&t);
}

static void a_region_is_a_frame_of_its_own(void **state)
{
    static const uint16_t regions[][4] = {
        {0, 0, FRAME_W, FRAME_H}, {13, 9, 61, 40}, {1, 0, 33, 70}, {40, 33, 50, 37}, {17, 50, 70, 5}};
    static const sono_pixel_format formats[] = {SONO_PIXEL_GRAY8, SONO_PIXEL_GRAY16, SONO_PIXEL_RGB8,
                                                SONO_PIXEL_RGBA8};
    (void)state;
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++)
        for (int f = 0; f < 4; f++)
            check(formats[f], regions[i], 10 * i + (uint64_t)f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_region_is_a_frame_of_its_own)};
    return sono_test_run("ops/region", tests, sizeof tests / sizeof tests[0]);
}
