// SPDX-License-Identifier: Apache-2.0
// labels: shared timeout=300 cost=35
/*
 * MobileSAM against the official code: hashed weights with two boxes (tests/golden), and a trained checkpoint
 * on a real frame (reference material). SONO_TEST_DEVICE names the device (default cpu). `test_mobilesam
 * --bench` times the latter on two threads of the CPU.
 */
#include "engine/engine.h"
#include "base/alloc.h"
#include "nets/sam/mobilesam.h"
#include "support/engine_fixture.h"
#include "support/golden.h"
#include "support/op_test.h"
#include "support/synthetic.h"
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN_TOLERANCE    1e-4 /* relative L2; float32 against float32, through the whole network */
#define REFERENCE_TOLERANCE 1e-3 /* the reference's activations are float16 */
#define OUTPUT_TOLERANCE    1e-5 /* float32 on the CPU */
#define CUDA_TOLERANCE      1e-4 /* the same there: sums in another order */
#define MAX_OBJECTS         2
#define MAX_SIDE_PX         640
#define STRIDE_PX           16 /* of the embedding; four of its positions' logits a side */
#define N_BENCH_FRAMES      15

typedef struct run {
    sono_checkpoint *checkpoint;
    sono_binder *binder;
    sono_program *program;
    const sono_engine_ops *backend; /* engine_to_test(), in float32 */
    sono_engine *engine;
    int32_t n_objects;
    sono_tid image;          /* [1, S, S, 3]: INPUT, or what PREPROCESS makes of pixels */
    sono_tid pixels, header; /* pixels 0 without preprocessing */
    sono_tid detections;     /* INPUT [1, 1, K, 8] */
    int32_t n_points, is_callers, has_boxes;
    sono_tid points; /* INPUT [1, 1, KP, 4], 0 without points */
    sono_segmenter_outputs outputs;
    sono_tid mask[3]; /* with preprocessing: mask, area, logits of the source's size */
} run;

/* Records from the frame's pixels to the mask (from_frame), or from a normalised image to the low-resolution
 * logits. */
static sono_status record(run *r, int from_frame, sono_error *error)
{
    sono_recorder rec;
    sono_record_start(&rec, r->program, r->binder, error);
    const sono_model_info *info = sono_binder_info(r->binder);
    const int32_t side = info->input_width_px;
    r->header =
        sono_record_input(&rec, "frame_header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    r->detections = sono_record_input(&rec, "detections", SONO_DTYPE_F32, 1, 1, r->n_objects, 8);
    if (r->n_points)
        r->points = sono_record_input(&rec, "points", SONO_DTYPE_F32, 1, 1, r->n_objects * r->n_points,
                                      SONO_POINT_FLOATS);
    rec.stage = SONO_STAGE_PREPROCESS;
    if (from_frame) {
        const sono_preprocess_args args =
            sono_network_preprocess(&sono_mobilesam_network, info, MAX_SIDE_PX, MAX_SIDE_PX);
        r->pixels =
            sono_record_input(&rec, "frame_pixels", SONO_DTYPE_U8, 1, 1, 1, MAX_SIDE_PX * MAX_SIDE_PX);
        r->image = sono_record_preprocess(&rec, "sam_input", r->pixels, r->header, &args);
    } else {
        r->image = sono_record_input(&rec, "sam_input", SONO_DTYPE_F32, 1, side, side, 3);
    }
    rec.stage = SONO_STAGE_ENCODE;
    const sono_tid embedding = sono_tiny_vit_record(&rec, r->image);
    rec.stage = SONO_STAGE_DECODE;
    const sono_prompt_tensors prompts = {r->detections, r->points, r->is_callers, r->has_boxes};
    sono_mobilesam_record_decoder(&rec, embedding, &prompts, r->header, &r->outputs);
    rec.stage = SONO_STAGE_MASK;
    if (from_frame) {
        const sono_segment_args args = {
            .image_size = side, .max_width_px = MAX_SIDE_PX, .max_height_px = MAX_SIDE_PX};
        sono_record_upsample_mask(&rec, "mask", r->outputs.low_res, r->detections, r->header, &args, 1,
                                  r->mask);
        for (int i = 0; i < 3; i++)
            sono_record_output(&rec, r->mask[i]);
    }
    sono_record_output(&rec, r->outputs.low_res);
    sono_record_output(&rec, r->outputs.iou);
    return sono_record_finish(&rec);
}

/* Opens the checkpoint and an empty program. */
static void open_model(run *r, const char *checkpoint_path, int32_t n_objects)
{
    sono_error error = {0};
    memset(r, 0, sizeof *r);
    r->backend = engine_to_test();
    r->n_objects = n_objects;
    assert_ok(sono_checkpoint_open(checkpoint_path, &r->checkpoint, &error), &error);
    assert_ok(sono_binder_open(r->checkpoint, &r->binder, &error), &error);
    assert_ok(sono_program_open(&r->program, &error), &error);
}

static void close_model(run *r)
{
    r->backend->close(r->engine);
    sono_program_close(r->program);
    sono_binder_close(r->binder);
    sono_checkpoint_close(r->checkpoint);
    memset(r, 0, sizeof *r);
}

static void record_checked(run *r, const char *checkpoint_path, int32_t n_objects, int from_frame)
{
    sono_error error = {0};
    open_model(r, checkpoint_path, n_objects);
    assert_ok(record(r, from_frame, &error), &error);
    assert_ok(sono_bind_finish(r->binder, &error), &error);
}

static sono_tid find(const run *r, const char *name)
{
    const sono_tid tensor = sono_program_find(r->program, name);
    if (!tensor)
        fail_msg("no tensor %s in the program", name);
    return tensor;
}

/* Keeps a tensor, to be read after the run. */
static void keep(run *r, const char *name)
{
    sono_error error = {0};
    sono_recorder rec;
    sono_record_start(&rec, r->program, r->binder, &error);
    sono_record_output(&rec, find(r, name));
    assert_ok(sono_record_finish(&rec), &error);
}

static void open_engine(run *r, int32_t n_threads, int32_t poison)
{
    sono_error error = {0};
    const sono_engine_options options = {
        .plan_mode = SONO_PLAN_REUSE, .n_threads = n_threads, .poison = poison};
    assert_ok(r->backend->open(r->program, &options, &r->engine, &error), &error);
}

static void write_tensor(run *r, sono_tid tensor, const void *values)
{
    sono_error error = {0};
    assert_ok(r->backend->inspect->write(r->engine, tensor, values, &error), &error);
}

static void run_frame(run *r)
{
    sono_error error = {0};
    assert_ok(r->backend->inspect->run(r->engine, 0, -1, &error), &error);
}

/* Dense, channels last; freed by the caller with sono_free(). */
static void *read_tensor(const run *r, sono_tid tensor, sono_tensor *shape)
{
    sono_error error = {0};
    *shape = *sono_program_tensor(r->program, tensor);
    void *values = sono_alloc_array((size_t)sono_tensor_count(shape), sono_dtype_bytes(shape->dtype));
    assert_non_null(values);
    assert_ok(r->backend->inspect->read(r->engine, tensor, values, &error), &error);
    return values;
}

static void write_header(run *r, int32_t width_px, int32_t height_px)
{
    const sono_frame_header header = {.width_px = width_px,
                                      .height_px = height_px,
                                      .pitch_bytes = width_px,
                                      .format = SONO_PIXEL_GRAY8,
                                      .gray16_white = 65535};
    write_tensor(r, r->header, &header);
}

/* boxes [K][4]: x1 y1 x2 y2 in source pixels */
static void write_boxes(run *r, const float *boxes)
{
    sono_detection found[MAX_OBJECTS] = {{0}};
    for (int32_t k = 0; k < r->n_objects; k++) {
        memcpy(&found[k].x1, boxes + 4 * k, 4 * sizeof *boxes);
        found[k].score = 0.9f;
        found[k].valid = 1;
    }
    write_tensor(r, r->detections, found);
}

/* ---- golden data ---- */

typedef enum layout_kind {
    MAP,      /* official [1, C, H, W] */
    TOKENS,   /* official [1, N, C] */
    UPSCALED, /* official [1, C, S/4, S/4], ours in nested order */
    CORNERS   /* official [1, 2, C], ours behind the five output tokens */
} layout_kind;

typedef struct pair {
    const char *official, *ours; /* ours NULL: the same name */
    layout_kind kind;
    int32_t per_object; /* 1: the official code ran once an object, "#1" is the second time */
} pair;

#define LAYER(i)    "image_encoder.layers." #i
#define BLOCK(i, b) "image_encoder.layers." #i ".blocks." #b
#define TWO_WAY     "mask_decoder.transformer."

static const pair pairs[] = {
    {"image_encoder.patch_embed", NULL, MAP, 0},
    {BLOCK(0, 0), NULL, MAP, 0},
    {BLOCK(0, 1), NULL, MAP, 0},
    {LAYER(0), NULL, TOKENS, 0},
    {BLOCK(1, 0), NULL, TOKENS, 0},
    {BLOCK(1, 1), NULL, TOKENS, 0},
    {LAYER(1), NULL, TOKENS, 0},
    {BLOCK(2, 0), NULL, TOKENS, 0},
    {BLOCK(2, 5), NULL, TOKENS, 0},
    {LAYER(2), NULL, TOKENS, 0},
    {BLOCK(3, 0), NULL, TOKENS, 0},
    {LAYER(3), BLOCK(3, 1), TOKENS, 0},
    {"image_encoder", "image_encoder.neck.3", MAP, 0},
    {"prompt_encoder.0", NULL, CORNERS, 1},
    {TWO_WAY "layers.0.0", TWO_WAY "layers.0.norm3", TOKENS, 1},
    {TWO_WAY "layers.0.1", TWO_WAY "layers.0.norm4", TOKENS, 1},
    {TWO_WAY "layers.1.0", TWO_WAY "layers.1.norm3", TOKENS, 1},
    {TWO_WAY "layers.1.1", TWO_WAY "layers.1.norm4", TOKENS, 1},
    {TWO_WAY "0", TWO_WAY "norm_final_attn", TOKENS, 1},
    {"mask_decoder.output_upscaling", "mask_decoder.output_upscaling.3", UPSCALED, 1},
    {"mask_decoder.output_hypernetworks_mlps.0", "mask_decoder.output_hypernetworks_mlps.0.layers.2", TOKENS,
     1},
};
#define N_PAIRS (sizeof pairs / sizeof pairs[0])

static const char *our_name(const pair *p)
{
    return p->ours ? p->ours : p->official;
}

/* [side * side][dy1 dx1][dy2 dx2][32] -> [4 side, 4 side][32]; freed by the caller. */
static float *unnest(const float *nested, int32_t side)
{
    enum { C = 32 };
    float *map = sono_alloc_array((size_t)side * (size_t)side * 16 * C, sizeof *map);
    assert_non_null(map);
    for (int32_t i = 0; i < side * side * 16; i++) {
        const int32_t y = i / 16 / side * 4 + (i >> 3 & 1) * 2 + (i >> 1 & 1);
        const int32_t x = i / 16 % side * 4 + (i >> 2 & 1) * 2 + (i & 1);
        memcpy(map + (size_t)(y * 4 * side + x) * C, nested + (size_t)i * C, C * sizeof *map);
    }
    return map;
}

static double distance_of(const golden *file, const pair *p, const char *official, const sono_tensor *shape,
                          const float *ours, int32_t side)
{
    const int64_t n_positions = (int64_t)shape->h * shape->w;
    golden_layout layout = {.n_rows = n_positions, .n_columns = shape->c};
    if (p->kind == MAP)
        layout = (golden_layout){.n_rows = shape->c, .n_columns = n_positions, .transposed = 1};
    if (p->kind == CORNERS) {
        layout.n_rows = 2;
        ours += 5 * shape->c;
    }
    if (p->kind != UPSCALED)
        return golden_distance(file, official, ours, &layout, 0);
    /* The product's 128 columns are the four positions of 32 channels. */
    layout = (golden_layout){.n_rows = 32, .n_columns = 16 * side * side, .transposed = 1};
    float *map = unnest(ours, side);
    const double distance = golden_distance(file, official, map, &layout, 0);
    sono_free(map);
    return distance;
}

static void compare_pair(const run *r, const golden *file, const pair *p, double *worst)
{
    sono_tensor shape;
    float *values = read_tensor(r, find(r, our_name(p)), &shape);
    const int32_t n_objects = p->per_object ? r->n_objects : 1;
    const int32_t side = sono_binder_info(r->binder)->input_width_px / STRIDE_PX;
    assert_int_equal(shape.n, n_objects);
    for (int32_t k = 0; k < n_objects; k++) {
        char official[96];
        snprintf(official, sizeof official, k ? "%s#%d" : "%s", p->official, (int)k);
        const float *ours = values + k * (sono_tensor_count(&shape) / shape.n);
        const double distance = distance_of(file, p, official, &shape, ours, side);
        *worst = fmax(*worst, distance);
        if (!(distance <= GOLDEN_TOLERANCE))
            fail_msg("%s: relative distance %.3g", official, distance);
    }
    sono_free(values);
}

static void compare_outputs(const run *r, const golden *file, double *worst)
{
    sono_tensor shape;
    float *low_res = read_tensor(r, r->outputs.low_res, &shape);
    const int64_t n_pixels = (int64_t)shape.h * shape.w;
    float *iou = read_tensor(r, r->outputs.iou, &shape);
    float first_iou[MAX_OBJECTS];
    const golden_layout map = {.n_rows = 1, .n_columns = n_pixels};
    const golden_layout scalars = {.n_rows = 1, .n_columns = r->n_objects};
    assert_int_equal(shape.c, 4);
    for (int32_t k = 0; k < r->n_objects; k++) {
        first_iou[k] = iou[4 * k];
        *worst = fmax(*worst, golden_distance(file, "low_res_logits", low_res + k * n_pixels, &map, k));
    }
    *worst = fmax(*worst, golden_distance(file, "iou", first_iou, &scalars, 0));
    if (!(*worst <= GOLDEN_TOLERANCE))
        fail_msg("outputs: relative distance %.3g", *worst);
    sono_free(low_res);
    sono_free(iou);
}

static void read_reference(const sono_checkpoint *file, const char *name, float *values, int64_t count)
{
    sono_error error = {0};
    const sono_checkpoint_tensor *tensor = sono_checkpoint_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(count, sono_checkpoint_tensor_count(tensor));
    assert_ok(sono_checkpoint_read_f32(tensor, values, &error), &error);
}

/* The checkpoint of hashed weights, in the test's folder. */
static void make_synthetic(char path[SONO_TEST_PATH_BYTES])
{
    char manifest[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_test_source(manifest, sizeof manifest, "tests/golden/mobile_sam.manifest");
    sono_test_path(path, SONO_TEST_PATH_BYTES, "mobile_sam.pth");
    if (access(path, R_OK) != 0)
        assert_ok(synthetic_write(manifest, path, &error), &error);
}

static void write_synthetic_input(run *r, const golden *file)
{
    const int32_t side = sono_binder_info(r->binder)->input_width_px;
    const size_t count = (size_t)side * (size_t)side * 3;
    float boxes[4 * MAX_OBJECTS];
    float *image = sono_alloc_array(count, sizeof *image);
    assert_non_null(image);
    assert_int_equal(0, synthetic_segmenter_input(side, image));
    assert_true(synthetic_bits_sum(image, count, sizeof *image) == golden_input_bits_sum(file));
    write_tensor(r, r->image, image);
    write_header(r, side, side);
    read_reference(file->file, "boxes", boxes, 4 * MAX_OBJECTS);
    write_boxes(r, boxes);
    sono_free(image);
}

/* side_px: of the input; 0 = the file's. */
static void check_golden(const char *name, int32_t side_px)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    double worst = 0;
    golden file;
    run r;
    make_synthetic(path);
    golden_open(&file, name);
    open_model(&r, path, 2);
    assert_ok(sono_binder_set_size(r.binder, side_px, side_px, &error), &error);
    assert_ok(record(&r, 0, &error), &error);
    assert_ok(sono_bind_finish(r.binder, &error), &error);
    for (size_t i = 0; i < N_PAIRS; i++)
        keep(&r, our_name(&pairs[i]));
    open_engine(&r, 0, 1);
    write_synthetic_input(&r, &file);
    run_frame(&r);
    for (size_t i = 0; i < N_PAIRS; i++)
        compare_pair(&r, &file, &pairs[i], &worst);
    compare_outputs(&r, &file, &worst);
    print_message("%s, hashed weights: worst relative distance %.2e\n", name, worst);
    close_model(&r);
    golden_close(&file);
}

static void test_two_boxes_agree_with_the_official_code(void **state)
{
    (void)state;
    check_golden("mobile_sam", 0);
}

/* Where every window is whole, while at 1024 the last ones reach past the border. */
static void test_another_size_agrees_with_the_official_code(void **state)
{
    (void)state;
    check_golden("mobile_sam_448", 448);
}

/* ---- points ---- */

#define N_POINTS 2 /* of a prompt in the golden data */
#define N_TOKENS 5 /* in front of the prompt's */

static void write_points(run *r, const golden *file)
{
    float at[2 * MAX_OBJECTS * N_POINTS], labels[MAX_OBJECTS * N_POINTS];
    sono_point_row rows[MAX_OBJECTS * N_POINTS];
    read_reference(file->file, "points", at, sizeof at / sizeof *at);
    read_reference(file->file, "labels", labels, sizeof labels / sizeof *labels);
    for (int i = 0; i < MAX_OBJECTS * N_POINTS; i++)
        rows[i] = (sono_point_row){.x = at[2 * i], .y = at[2 * i + 1], .label = labels[i]};
    write_tensor(r, r->points, rows);
}

static double compare_mode(const run *r, const golden *file, const char *mode)
{
    char name[3][64];
    sono_tensor shape;
    double worst = 0;
    float first_iou[MAX_OBJECTS];
    static const char *const parts[3] = {"tokens", "low_res_logits", "iou"};
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%s.%s", mode, parts[i]);
    float *tokens = read_tensor(r, find(r, "prompt_encoder.0"), &shape);
    const golden_layout rows = {.n_rows = shape.w - N_TOKENS, .n_columns = shape.c};
    for (int32_t k = 0; k < MAX_OBJECTS; k++)
        worst = fmax(worst,
                     golden_distance(file, name[0], tokens + (k * shape.w + N_TOKENS) * shape.c, &rows, k));
    sono_free(tokens);
    float *low_res = read_tensor(r, r->outputs.low_res, &shape);
    const golden_layout map = {.n_rows = 1, .n_columns = (int64_t)shape.h * shape.w};
    for (int32_t k = 0; k < MAX_OBJECTS; k++)
        worst = fmax(worst, golden_distance(file, name[1], low_res + k * map.n_columns, &map, k));
    sono_free(low_res);
    float *iou = read_tensor(r, r->outputs.iou, &shape);
    const golden_layout scalars = {.n_rows = 1, .n_columns = MAX_OBJECTS};
    for (int32_t k = 0; k < MAX_OBJECTS; k++)
        first_iou[k] = iou[shape.c * k];
    worst = fmax(worst, golden_distance(file, name[2], first_iou, &scalars, 0));
    sono_free(iou);
    return worst;
}

/* Two objects: a point on it and one beside it; a point on it and "no point". */
static void check_points(const char *mode, int32_t has_boxes)
{
    enum { SIDE_PX = 448 };
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    golden file;
    run r;
    make_synthetic(path);
    golden_open(&file, "mobile_sam_points");
    open_model(&r, path, MAX_OBJECTS);
    r.is_callers = 1;
    r.has_boxes = has_boxes;
    r.n_points = N_POINTS;
    assert_ok(sono_binder_set_size(r.binder, SIDE_PX, SIDE_PX, &error), &error);
    assert_ok(record(&r, 0, &error), &error);
    assert_ok(sono_bind_finish(r.binder, &error), &error);
    keep(&r, "prompt_encoder.0");
    open_engine(&r, 0, 1);
    write_synthetic_input(&r, &file);
    write_points(&r, &file);
    run_frame(&r);
    const double worst = compare_mode(&r, &file, mode);
    print_message("MobileSAM, %s: worst relative distance %.2e\n", mode, worst);
    if (!(worst <= GOLDEN_TOLERANCE))
        fail_msg("%s: relative distance %.3g", mode, worst);
    close_model(&r);
    golden_close(&file);
}

static void test_points_agree_with_the_official_code(void **state)
{
    (void)state;
    check_points("points", 0);
    check_points("both", 1);
}

static void test_other_sizes_are_refused(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1000, 1000}, {1024, 512}, {32, 32}, {4096, 4096}};
    char path[SONO_TEST_PATH_BYTES];
    run r;
    make_synthetic(path);
    open_model(&r, path, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        sono_error error = {0};
        assert_status(SONO_STATUS_UNSUPPORTED,
                      sono_binder_set_size(r.binder, sizes[i][0], sizes[i][1], &error), &error);
        assert_non_null(strstr(error.text, "give two equal multiples of 64 up to 2048"));
    }
    close_model(&r);
}

static void test_recording_without_memory(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    make_synthetic(path);
    for (uint64_t n = 1;; n += 1 + n / 2) {
        run r;
        sono_error error = {0};
        open_model(&r, path, 1);
        sono_alloc_fail_from(n);
        const sono_status status = record(&r, 1, &error);
        sono_alloc_fail_from(0);
        close_model(&r);
        if (status == SONO_STATUS_OK) {
            assert_true(n > 500);
            return;
        }
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
    }
}

/* ---- the trained checkpoint on frame 00100 ---- */

/* The reference kept every step_rows-th row and every step_columns-th column of our map. */
static const struct {
    const char *reference, *ours;
    int32_t transposed; /* 1: [1, C, H, W] there, 0: [1, N, C] with every step-th token */
    int32_t step;
} activations[] = {
    {"sam.patch_embed.every4px", "image_encoder.patch_embed", 1, 4},
    {"sam.layers.0.every16tok", "image_encoder.layers.0", 0, 16},
    {"sam.layers.1.every4tok", "image_encoder.layers.1", 0, 4},
    {"sam.layers.2.every4tok", "image_encoder.layers.2", 0, 4},
    {"sam.layers.3.every4tok", "image_encoder.layers.3.blocks.1", 0, 4},
};
#define N_ACTIVATIONS (sizeof activations / sizeof activations[0])

typedef struct reference {
    sono_checkpoint *outputs, *activations;
    int32_t width_px, height_px;
} reference;

static sono_checkpoint *open_shared(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *file = NULL;
    sono_test_need_shared(path, sizeof path, name);
    assert_ok(sono_checkpoint_open(path, &file, &error), &error);
    return file;
}

/* Reads a float tensor of the reference; freed by the caller. */
static float *read_all(const sono_checkpoint *file, const char *name, int64_t *count)
{
    const sono_checkpoint_tensor *tensor = sono_checkpoint_find(file, name);
    assert_non_null(tensor);
    *count = sono_checkpoint_tensor_count(tensor);
    float *values = sono_alloc_array((size_t)*count, sizeof *values);
    assert_non_null(values);
    read_reference(file, name, values, *count);
    return values;
}

static double relative_l2(const float *ours, const float *theirs, int64_t count)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)ours[i] - (double)theirs[i]) * ((double)ours[i] - (double)theirs[i]);
        norm += (double)theirs[i] * (double)theirs[i];
    }
    return difference >= 0 ? sqrt(difference / norm) : (double)INFINITY;
}

static void check_distance(const char *name, double distance, double tolerance)
{
    print_message("  %-28s relative distance %.2e\n", name, distance);
    if (!(distance <= tolerance))
        fail_msg("%s: relative distance %.3g", name, distance);
}

/* Our map in the reference's order, with what the reference left out left out. */
static float *thinned(const float *ours, const sono_tensor *shape, int32_t transposed, int32_t step)
{
    float *out = sono_alloc_array((size_t)sono_tensor_count(shape), sizeof *out);
    assert_non_null(out);
    size_t at = 0;
    if (!transposed) {
        for (int64_t i = 0; i < (int64_t)shape->h * shape->w; i += step, at += (size_t)shape->c)
            memcpy(out + at, ours + i * shape->c, (size_t)shape->c * sizeof *out);
        return out;
    }
    for (int32_t c = 0; c < shape->c; c++)
        for (int32_t y = 0; y < shape->h; y += step)
            for (int32_t x = 0; x < shape->w; x += step)
                out[at++] = ours[((int64_t)y * shape->w + x) * shape->c + c];
    return out;
}

static void compare_map(const run *r, const sono_checkpoint *file, const char *name, sono_tid tensor,
                        int32_t transposed, int32_t step, double tolerance)
{
    int64_t count;
    sono_tensor shape;
    float *theirs = read_all(file, name, &count), *values = read_tensor(r, tensor, &shape);
    float *ours = thinned(values, &shape, transposed, step);
    const int64_t n_kept =
        transposed ? sono_tensor_count(&shape) / step / step : sono_tensor_count(&shape) / step;
    assert_int_equal(count, n_kept);
    check_distance(name, relative_l2(ours, theirs, count), tolerance);
    sono_free(ours);
    sono_free(values);
    sono_free(theirs);
}

static void write_frame(run *r, reference *ref)
{
    int64_t count;
    float box[4];
    const sono_checkpoint_tensor *image = sono_checkpoint_find(ref->outputs, "image");
    float *values = read_all(ref->outputs, "image", &count);
    uint8_t *pixels = sono_alloc(MAX_SIDE_PX * MAX_SIDE_PX);
    assert_non_null(pixels);
    assert_true(count <= MAX_SIDE_PX * MAX_SIDE_PX);
    for (int64_t i = 0; i < count; i++)
        pixels[i] = (uint8_t)values[i];
    ref->height_px = (int32_t)image->dims[0];
    ref->width_px = (int32_t)image->dims[1];
    write_tensor(r, r->pixels, pixels);
    write_header(r, ref->width_px, ref->height_px);
    read_reference(ref->outputs, "box_xyxy_px", box, 4);
    write_boxes(r, box);
    sono_free(pixels);
    sono_free(values);
}

/* The mask is where our logits are positive; against the reference's logits, its IoU and the logits'
 * distance. */
static void compare_mask(const run *r, const reference *ref)
{
    int64_t count, n_both = 0, n_either = 0, n_set = 0;
    sono_tensor shape;
    float *theirs = read_all(ref->outputs, "mask_logits", &count);
    float *logits = read_tensor(r, r->mask[2], &shape);
    uint8_t *mask = read_tensor(r, r->mask[0], &shape);
    int32_t *area = read_tensor(r, r->mask[1], &shape);
    assert_int_equal(count, (int64_t)ref->width_px * ref->height_px);
    check_distance("mask_logits", relative_l2(logits, theirs, count), REFERENCE_TOLERANCE);
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(mask[i], logits[i] > 0 ? 255 : 0);
        n_both += logits[i] > 0 && theirs[i] > 0;
        n_either += logits[i] > 0 || theirs[i] > 0;
        n_set += logits[i] > 0;
    }
    assert_int_equal(area[0], n_set);
    print_message("  mask: %d px, IoU %.6f\n", (int)area[0], (double)n_both / (double)n_either);
    assert_true((double)n_both >= 0.999 * (double)n_either && n_either > 0);
    sono_free(area);
    sono_free(mask);
    sono_free(logits);
    sono_free(theirs);
}

static void open_trained(run *r, reference *ref, int keep_activations, int32_t n_threads, int32_t poison)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(path, sizeof path, "checkpoints/mobile_sam_bone.pt");
    ref->outputs = open_shared("reference/outputs_00100.safetensors");
    ref->activations = open_shared("reference/activations.safetensors");
    record_checked(r, path, 1, 1);
    for (size_t i = 0; keep_activations && i < N_ACTIVATIONS; i++)
        keep(r, activations[i].ours);
    if (keep_activations)
        keep(r, "image_encoder.neck.3");
    open_engine(r, n_threads, poison);
    write_frame(r, ref);
}

static void close_trained(run *r, reference *ref)
{
    sono_checkpoint_close(ref->outputs);
    sono_checkpoint_close(ref->activations);
    close_model(r);
}

static double output_tolerance(const run *r)
{
    return r->backend == &sono_cpu_engine ? OUTPUT_TOLERANCE : CUDA_TOLERANCE;
}

static void test_a_real_frame_agrees_with_the_official_code(void **state)
{
    (void)state;
    reference ref;
    run r;
    sono_tensor shape;
    float iou;
    open_trained(&r, &ref, 1, 0, 1);
    run_frame(&r);
    for (size_t i = 0; i < N_ACTIVATIONS; i++)
        compare_map(&r, ref.activations, activations[i].reference, find(&r, activations[i].ours),
                    activations[i].transposed, activations[i].step, REFERENCE_TOLERANCE);
    compare_map(&r, ref.outputs, "image_embedding", find(&r, "image_encoder.neck.3"), 1, 1,
                REFERENCE_TOLERANCE);
    compare_map(&r, ref.outputs, "low_res_logits", r.outputs.low_res, 1, 1, output_tolerance(&r));
    float *ours = read_tensor(&r, r.outputs.iou, &shape);
    read_reference(ref.outputs, "iou", &iou, 1);
    check_distance("iou", relative_l2(ours, &iou, 1), output_tolerance(&r));
    sono_free(ours);
    compare_mask(&r, &ref);
    close_trained(&r, &ref);
}

/* ---- benchmark ---- */

static int by_time(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void bench_a_real_frame(void **state)
{
    (void)state;
    static const sono_stage stages[] = {SONO_STAGE_PREPROCESS, SONO_STAGE_ENCODE, SONO_STAGE_DECODE,
                                        SONO_STAGE_MASK};
    int64_t times_ns[SONO_STAGE_COUNT][N_BENCH_FRAMES];
    reference ref;
    run r;
    sono_error error = {0};
    open_trained(&r, &ref, 0, 2, 0);
    if (r.backend != &sono_cpu_engine)
        sono_test_skip("only the CPU times stages so: leave SONO_TEST_DEVICE out");
    run_frame(&r);
    for (int i = 0; i < N_BENCH_FRAMES; i++) {
        sono_frame_cost cost = {0};
        if (i == 0)
            assert_ok(r.backend->prepare(r.engine, &error), &error);
        assert_ok(r.backend->submit(r.engine, 0, 0, 0, &error), &error);
        assert_ok(r.backend->wait(r.engine, 0, &cost, &error), &error);
        for (int s = 0; s < SONO_STAGE_COUNT; s++)
            times_ns[s][i] = cost.stage_ns[s];
    }
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        qsort(times_ns[stages[i]], N_BENCH_FRAMES, sizeof(int64_t), by_time);
        const double ns = (double)times_ns[stages[i]][N_BENCH_FRAMES / 2];
        const double flops = sono_program_flops(r.program, stages[i]);
        print_message("%-10s %8.2f ms  %7.3f GFLOP  %6.1f GFLOP/s\n", sono_stage_name(stages[i]), 1e-6 * ns,
                      1e-9 * flops, flops / ns);
    }
    close_trained(&r, &ref);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_boxes_agree_with_the_official_code),
        cmocka_unit_test(test_another_size_agrees_with_the_official_code),
        cmocka_unit_test(test_points_agree_with_the_official_code),
        cmocka_unit_test(test_other_sizes_are_refused),
        cmocka_unit_test(test_recording_without_memory),
        cmocka_unit_test(test_a_real_frame_agrees_with_the_official_code),
    };
    const struct CMUnitTest bench[] = {cmocka_unit_test(bench_a_real_frame)};
    if (sono_op_test_wants_bench(argc, argv))
        return sono_test_run("golden/mobilesam (bench)", bench, 1);
    return sono_test_run("golden/mobilesam", tests, sizeof(tests) / sizeof(tests[0]));
}
