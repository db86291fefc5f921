// SPDX-License-Identifier: Apache-2.0
/* The ops that depend on frames, on a batch of three frames of different sizes and formats: bit by bit what
 * each frame gets alone. */
#include "op_frame.h"

#include "base/alloc.h"
#include "graph/map_layout.h"

#include <string.h>

#define N_FRAMES  3
#define N_OBJECTS 2 /* of a frame */
#define N_QUERIES 20
#define N_CLASSES 3
#define CHANNELS  16
#define LOW_PX    16
#define SIZE_PX   64
#define MAX_W     90
#define MAX_H     70
#define MAX_BYTES (MAX_W * MAX_H * 4)
#define N_OUTS    4
#define UNTOUCHED 0x5a /* no mask and no map holds it */

static const sono_frame_header sizes[N_FRAMES] = {
    {.width_px = 61, .height_px = 70, .pitch_bytes = 61, .format = SONO_PIXEL_GRAY8, .threshold = 0.4f},
    {.width_px = 90, .height_px = 33, .pitch_bytes = 270, .format = SONO_PIXEL_RGB8, .threshold = 0.9f},
    {.width_px = 7, .height_px = 19, .pitch_bytes = 14, .format = SONO_PIXEL_GRAY16, .threshold = 0.0f}};

/* Inputs of the batch, and of each frame where it needs its own. */
typedef struct inputs {
    sono_tid headers, pixels, logits, boxes, low, gaussian, corners, tokens;
    sono_tid header[N_FRAMES], frame_pixels[N_FRAMES];
} inputs;

/* What the ops make: image, detections, tokens, area; and all maps. */
typedef struct outputs {
    sono_tid out[N_OUTS];
    sono_tid maps;
} outputs;

static sono_tid header_input(sono_op_test *t, const sono_frame_header *headers, int32_t n)
{
    return sono_op_test_input_values(t, SONO_DTYPE_U8, n, 1, 1, (int32_t)sizeof *headers, headers);
}

static int64_t n_pixels_of(int32_t frame)
{
    return (int64_t)sizes[frame].width_px * sizes[frame].height_px;
}

/* Of one frame's maps. */
static int64_t maps_bytes_of(int32_t frame, int32_t element_bytes)
{
    return N_OBJECTS * object_maps_bytes(n_pixels_of(frame), element_bytes);
}

static inputs make_inputs(sono_op_test *t, int32_t element_bytes)
{
    static uint8_t packed[N_FRAMES * MAX_BYTES], single[MAX_BYTES];
    inputs in = {0};
    sono_frame_header headers[N_FRAMES];
    int64_t at = 0, maps_at = 0;
    for (int32_t i = 0; i < N_FRAMES; i++) {
        const int32_t n_bytes = sizes[i].pitch_bytes * sizes[i].height_px;
        for (int32_t b = 0; b < n_bytes; b++)
            packed[at + b] = single[b] = (uint8_t)sono_op_test_int(t, 0, 255);
        headers[i] = sizes[i];
        headers[i].gray16_white = 65535;
        in.header[i] = header_input(t, &headers[i], 1);
        in.frame_pixels[i] = sono_op_test_input_values(t, SONO_DTYPE_U8, 1, 1, 1, MAX_BYTES, single);
        headers[i].pixels_at_bytes = at;
        headers[i].maps_at_bytes = maps_at;
        at += n_bytes;
        maps_at += maps_bytes_of(i, element_bytes);
    }
    in.headers = header_input(t, headers, N_FRAMES);
    in.pixels = sono_op_test_input_values(t, SONO_DTYPE_U8, N_FRAMES, 1, 1, MAX_BYTES, packed);
    t->rec.precise = 1; /* as in the networks */
    in.logits = sono_op_test_input(t, N_FRAMES, 1, N_QUERIES, N_CLASSES, NULL);
    in.boxes = sono_op_test_input(t, N_FRAMES, 1, N_QUERIES, 4, NULL);
    in.low = sono_op_test_input(t, N_FRAMES * N_OBJECTS, LOW_PX, LOW_PX, 1, NULL);
    t->rec.precise = 0;
    in.gaussian = sono_op_test_param(t, 1, 1, 2, CHANNELS / 2, 1);
    in.corners = sono_op_test_param(t, 1, 1, 2, CHANNELS, 1);
    in.tokens = sono_op_test_param(t, 1, 1, 5, CHANNELS, 1);
    return in;
}

static outputs record_ops(sono_op_test *t, const inputs *in, sono_tid pixels, sono_tid header,
                          sono_tid logits, sono_tid boxes, sono_tid low, int32_t element_bytes)
{
    const sono_preprocess_args preprocess = {.fit = SONO_FIT_LETTERBOX,
                                             .width_px = SIZE_PX,
                                             .height_px = SIZE_PX,
                                             .mean = {100, 110, 120},
                                             .inv_std = {0.02f, 0.03f, 0.04f},
                                             .max_width_px = MAX_W,
                                             .max_height_px = MAX_H};
    const sono_segment_args segment = {SIZE_PX, MAX_W, MAX_H, 3, 5, element_bytes, 0, 0};
    outputs o = {0};
    sono_tid mask[3] = {0};
    o.out[0] = sono_record_preprocess(&t->rec, "image", pixels, header, &preprocess);
    o.out[1] = sono_record_select(&t->rec, "detections", logits, boxes, header, N_OBJECTS, 0);
    o.out[2] = sono_record_prompt(&t->rec, "tokens", o.out[1], header, in->gaussian, in->corners, in->tokens,
                                  0, &segment);
    sono_record_upsample_mask(&t->rec, "mask", low, o.out[1], header, &segment, 0, mask);
    sono_record_weight_maps(&t->rec, "weights", mask[0], header, &segment);
    o.maps = sono_record_shape(&t->rec, mask[0]).root;
    o.out[3] = mask[1];
    return o;
}

/* Maps [first, first + n) of a dense tensor as a tensor of their own. */
static sono_tid maps_of(sono_op_test *t, sono_tid x, int32_t first, int32_t n)
{
    const sono_tensor s = sono_record_shape(&t->rec, x);
    const sono_tid rows = sono_view_reshape(&t->rec, x, 1, s.n * s.h, s.w, s.c);
    const sono_tid some = sono_view_rows(&t->rec, rows, first * s.h * s.w, n * s.h, s.w);
    return sono_view_reshape(&t->rec, some, n, s.h, s.w, s.c);
}

static sono_engine *open_engine(sono_op_test *t, sono_precision precision)
{
    const sono_engine_options options = {.plan_mode = SONO_PLAN_KEEP, .n_threads = 3, .precision = precision};
    sono_engine *engine = NULL;
    assert_ok(t->backend->open(t->program, &options, &engine, &t->error), &t->error);
    for (sono_tid i = 1; i < SONO_OP_TEST_MAX_TENSORS && (size_t)i < t->program->n_tensors; i++)
        if (t->host[i])
            assert_ok(t->backend->inspect->write(engine, i, t->host[i], &t->error), &t->error);
    return engine;
}

/* The tensor of maps has room for the largest frames; what no frame uses of it stays as it was. */
static void fill_room(sono_op_test *t, sono_engine *engine, sono_tid maps)
{
    const size_t n_bytes = (size_t)sono_tensor_count(sono_program_tensor(t->program, maps));
    uint8_t *values = sono_alloc(n_bytes);
    assert_non_null(values);
    memset(values, UNTOUCHED, n_bytes);
    assert_ok(t->backend->inspect->write(engine, maps, values, &t->error), &t->error);
    sono_free(values);
}

static uint8_t *read_all(sono_op_test *t, sono_engine *engine, sono_tid tensor)
{
    const sono_tensor *s = sono_program_tensor(t->program, tensor);
    uint8_t *values = sono_alloc((size_t)sono_tensor_count(s) * sono_dtype_bytes(s->dtype));
    assert_non_null(values);
    assert_ok(t->backend->inspect->read(engine, tensor, values, &t->error), &t->error);
    return values;
}

/* Compares frame number i's rows of one output. */
static void compare(sono_op_test *t, sono_engine *engine, sono_tid all, sono_tid alone, int32_t i)
{
    const sono_tensor *s = sono_program_tensor(t->program, alone);
    const size_t n_bytes = (size_t)sono_tensor_count(s) * sono_dtype_bytes(s->dtype);
    uint8_t *got = read_all(t, engine, all), *want = read_all(t, engine, alone);
    if (memcmp(got + (size_t)i * n_bytes, want, n_bytes) != 0)
        fail_msg("frame %d: %s differs from the frame's alone", i, s->name);
    sono_free(got);
    sono_free(want);
}

static void expect_untouched(const uint8_t *bytes, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        assert_int_equal(bytes[i], UNTOUCHED);
}

/* Behind the pixels of each of an object's maps. */
static void expect_gaps(const uint8_t *object, int64_t n_pixels, int32_t element_bytes)
{
    expect_untouched(object, n_pixels, map_bytes(n_pixels, 1));
    for (int32_t m = 0; m < 3; m++)
        expect_untouched(object + weight_map_at(n_pixels, element_bytes, m), n_pixels * element_bytes,
                         map_bytes(n_pixels, element_bytes));
}

/* The batch's maps are its frames' own, back to back; nothing else is written. */
static void compare_maps(sono_op_test *t, sono_engine *engine, const outputs *all, const outputs *alone,
                         int32_t element_bytes)
{
    const int64_t room = sono_tensor_count(sono_program_tensor(t->program, all->maps));
    uint8_t *got = read_all(t, engine, all->maps);
    int64_t at = 0;
    for (int32_t i = 0; i < N_FRAMES; i++) {
        const int64_t used = maps_bytes_of(i, element_bytes);
        uint8_t *want = read_all(t, engine, alone[i].maps);
        assert_memory_equal(got + at, want, used);
        expect_untouched(want, used, room / N_FRAMES);
        for (int32_t k = 0; k < N_OBJECTS; k++)
            expect_gaps(want + k * (used / N_OBJECTS), n_pixels_of(i), element_bytes);
        at += used;
        sono_free(want);
    }
    expect_untouched(got, at, room);
    sono_free(got);
}

/* At least one object is there and one is not, or the masks would say nothing. */
static void check_gates(sono_op_test *t, sono_engine *engine, sono_tid detections)
{
    sono_detection *found = (sono_detection *)(void *)read_all(t, engine, detections);
    int32_t n_valid = 0;
    for (int32_t i = 0; i < N_FRAMES * N_OBJECTS; i++)
        n_valid += found[i].valid == 1.0f;
    assert_in_range(n_valid, 1, N_FRAMES * N_OBJECTS - 1);
    sono_free(found);
}

static void check_type(int32_t element_bytes)
{
    sono_op_test t;
    outputs alone[N_FRAMES];
    sono_op_test_open(&t, 7);
    const inputs in = make_inputs(&t, element_bytes);
    const outputs all =
        record_ops(&t, &in, in.pixels, in.headers, in.logits, in.boxes, in.low, element_bytes);
    for (int32_t i = 0; i < N_FRAMES; i++)
        alone[i] = record_ops(&t, &in, in.frame_pixels[i], in.header[i], maps_of(&t, in.logits, i, 1),
                              maps_of(&t, in.boxes, i, 1), maps_of(&t, in.low, i * N_OBJECTS, N_OBJECTS),
                              element_bytes);
    assert_ok(sono_record_finish(&t.rec), &t.error);
    const int is_cpu = t.backend == &sono_cpu_engine;
    const sono_precision last = is_cpu ? SONO_PRECISION_FP32 : SONO_PRECISION_FP16;
    for (sono_precision precision = SONO_PRECISION_FP32; precision <= last; precision++) {
        sono_engine *engine = open_engine(&t, precision);
        fill_room(&t, engine, all.maps);
        for (int32_t i = 0; i < N_FRAMES; i++)
            fill_room(&t, engine, alone[i].maps);
        assert_ok(t.backend->inspect->run(engine, 0, -1, &t.error), &t.error);
        check_gates(&t, engine, all.out[1]);
        for (int32_t i = 0; i < N_FRAMES; i++)
            for (int32_t k = 0; k < N_OUTS; k++)
                compare(&t, engine, all.out[k], alone[i].out[k], i);
        compare_maps(&t, engine, &all, alone, element_bytes);
        t.backend->close(engine);
    }
    sono_op_test_close(&t);
}

static void test_batch_equals_frames(void **state)
{
    (void)state;
    check_type(1);
    check_type(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch_equals_frames)};
    return sono_test_run("ops/frames", tests, sizeof tests / sizeof tests[0]);
}
