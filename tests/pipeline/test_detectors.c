// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600 cost=35
/* What a detector is beyond names and shapes: the input size it was saved for, its family, its channels.
 * Files are the synthetic ones of tests/golden, changed. SONO_TEST_DEVICE names the device (default cpu). */
#include "sonoseg/models.h"
#include "support/anchors.h"
#include "support/pipeline_fixture.h"
#include "support/safetensors_file.h"
#include "support/synthetic.h"
#include "test.h"

#include "base/alloc.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/number.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define W 320
#define H 240

static void open_state(synthetic_state *state, const char *name)
{
    char relative[64], manifest[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    snprintf(relative, sizeof relative, "tests/golden/%s.manifest", name);
    sono_test_source(manifest, sizeof manifest, relative);
    assert_ok(synthetic_open(manifest, state, &error), &error);
}

static torch_file_tensor *find(const synthetic_state *state, const char *name)
{
    for (int32_t i = 0; i < state->n_tensors; i++)
        if (strcmp(state->tensors[i].name, name) == 0)
            return &state->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void write_state(const synthetic_state *state, char path[SONO_TEST_PATH_BYTES])
{
    sono_test_path(path, SONO_TEST_PATH_BYTES, "detector.pth");
    assert_ok(torch_file_write(path, state->tensors, state->n_tensors, NULL), NULL);
}

/* ---- the input size ---- */

typedef struct anchor_case {
    anchors_size size;
    int is_half;
} anchor_case;

/* The file's anchors are those of the case's size; the rest is as it was. */
static void write_sized(synthetic_state *state, int32_t n_levels, const anchor_case *k,
                        char path[SONO_TEST_PATH_BYTES])
{
    torch_file_tensor *tensor = find(state, "decoder.anchors");
    const torch_file_tensor before = *tensor;
    static float anchors[4 * 16384];
    static uint16_t halves[4 * 16384];
    const int64_t n = anchors_fill(&k->size, 32 >> (n_levels - 1), n_levels, anchors);
    for (int64_t i = 0; i < 4 * n; i++)
        halves[i] = sono_half_from_float(anchors[i]);
    tensor->dims[1] = n;
    tensor->dtype = k->is_half ? SONO_DTYPE_F16 : SONO_DTYPE_F32;
    tensor->data = k->is_half ? (const void *)halves : anchors;
    write_state(state, path);
    *tensor = before;
}

static void check_anchors(synthetic_state *state, int32_t n_levels, const anchor_case *k)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_model_info info;
    write_sized(state, n_levels, k, path);
    assert_ok(sono_model_inspect(path, &info, &error), &error);
    assert_int_equal(info.input_width_px, k->size.width_px);
    assert_int_equal(info.input_height_px, k->size.height_px);
    assert_ok(sono_model_verify(path, SONO_FAMILY_DFINE, &error), &error);
    unlink(path);
}

/* Sizes that have as many anchors as 640 x 640, and others. */
static void check_sizes(const char *name, int32_t n_levels)
{
    static const anchor_case cases[] = {
        {{640, 640}, 0},  {{640, 640}, 1}, {{800, 512}, 0}, {{800, 512}, 1}, {{512, 800}, 0},
        {{1280, 320}, 0}, {{640, 480}, 0}, {{800, 800}, 1}, {{416, 672}, 0},
    };
    synthetic_state state;
    open_state(&state, name);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_anchors(&state, n_levels, &cases[i]);
    synthetic_close(&state);
}

static void the_files_size_is_taken(void **unused)
{
    (void)unused;
    check_sizes("dfine_n", 2);
    check_sizes("dfine_s", 3);
}

/* The sizes whose files are large. In the short form not at the usual size, which tests/golden has. */
static void every_size_is_told(void **unused)
{
    (void)unused;
    static const char *const names[] = {"dfine_m", "dfine_l", "dfine_x"};
    static const anchor_case usual = {{640, 640}, 0}, wide = {{800, 512}, 0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        synthetic_state state;
        open_state(&state, names[i]);
        if (sono_test_is_long())
            check_anchors(&state, 3, &usual);
        check_anchors(&state, 3, &wide);
        synthetic_close(&state);
    }
}

static void refuse_file(const char *path, sono_status status, const char *says)
{
    sono_error error = {0};
    assert_status(status, sono_model_verify(path, SONO_FAMILY_DFINE, &error), &error);
    if (!strstr(error.text, says) || !strstr(error.text, "detector.pth: "))
        fail_msg("'%s' does not say '%s'", error.text, says);
    unlink(path);
}

/* Fewer tokens than queries; a side that is no multiple of 32; values that are nobody's anchors. */
static void impossible_sizes_are_refused(void **unused)
{
    (void)unused;
    static const anchor_case tiny = {{128, 160}, 0}, huge = {{12800, 32}, 0};
    static float zeroes[4 * 2000];
    char path[SONO_TEST_PATH_BYTES];
    synthetic_state state;
    open_state(&state, "dfine_n");
    write_sized(&state, 2, &tiny, path);
    refuse_file(path, SONO_STATUS_UNSUPPORTED, "dfine-n at 128 x 160 pixels: give multiples of 32");
    write_sized(&state, 2, &huge, path);
    refuse_file(path, SONO_STATUS_UNSUPPORTED, "D-FINE takes no input of 12800 x 32 pixels");
    torch_file_tensor *tensor = find(&state, "decoder.anchors");
    const torch_file_tensor before = *tensor;
    tensor->data = zeroes;
    write_state(&state, path);
    refuse_file(path, SONO_STATUS_UNSUPPORTED, "those of no input size at all");
    tensor->dims[1] = 1999;
    write_state(&state, path);
    refuse_file(path, SONO_STATUS_UNSUPPORTED, "1999 anchors that tell none, 640 x 640 has 2000");
    *tensor = before;
    synthetic_close(&state);
}

/* A conversion writes the size down; a file without anchors is then run at it. */
static void convert_keeps_the_size(void **unused)
{
    (void)unused;
    static const anchor_case wide = {{416, 672}, 0}, usual = {{640, 640}, 0};
    char path[SONO_TEST_PATH_BYTES], out[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    const anchor_case *cases[] = {&wide, &usual};
    static const char *const stated[] = {"416x672", "640"};
    for (size_t i = 0; i < 2; i++) {
        synthetic_state state;
        open_state(&state, "dfine_n");
        write_sized(&state, 2, cases[i], path);
        sono_test_path(out, sizeof out, "sized.safetensors");
        assert_ok(sono_model_convert(path, out, SONO_PRECISION_FP32, SONO_FAMILY_AUTO, &error), &error);
        assert_ok(sono_checkpoint_open(out, &checkpoint, &error), &error);
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.input_px"), stated[i]);
        sono_checkpoint_close(checkpoint);
        assert_ok(sono_model_verify(out, SONO_FAMILY_AUTO, &error), &error);
        synthetic_close(&state);
    }
}

/* Metadata where there are no anchors; beside anchors of another size; that is no size. */
static void metadata_say_the_size(void **unused)
{
    (void)unused;
    static const struct {
        const char *value;
        int keeps_anchors;
        anchors_size size;
        sono_status status;
        const char *says;
    } cases[] = {
        {"416x672", 0, {416, 672}, SONO_STATUS_OK, NULL},
        {"512", 0, {512, 512}, SONO_STATUS_OK, NULL},
        {"640", 1, {640, 640}, SONO_STATUS_OK, NULL},
        {"512", 1, {0, 0}, SONO_STATUS_MODEL_MISMATCH, "says 512 wide and 512 high, decoder.anchors"},
        {"500", 0, {0, 0}, SONO_STATUS_UNSUPPORTED, "takes no input of 500 x 500 pixels"},
        {"99999999999999999999", 0, {0, 0}, SONO_STATUS_UNSUPPORTED, "takes no input of 2147483647"},
        {"512x", 0, {0, 0}, SONO_STATUS_UNSUPPORTED, "is '512x': a size is 640, or 800x512"},
        {"", 0, {0, 0}, SONO_STATUS_UNSUPPORTED, "is ''"},
    };
    char path[SONO_TEST_PATH_BYTES];
    synthetic_state state;
    open_state(&state, "dfine_n");
    torch_file_tensor *anchors = find(&state, "decoder.anchors"), *last = &state.tensors[state.n_tensors - 1];
    const torch_file_tensor kept = *anchors;
    sono_test_path(path, sizeof path, "stated.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sono_error error = {0};
        sono_model_info info;
        *anchors = cases[i].keeps_anchors ? kept : *last;
        assert_ok(safetensors_write_with(path, state.tensors, state.n_tensors - !cases[i].keeps_anchors,
                                         "sonoseg.input_px", cases[i].value),
                  NULL);
        assert_status(cases[i].status, sono_model_inspect(path, &info, &error), &error);
        if (cases[i].says && !strstr(error.text, cases[i].says))
            fail_msg("'%s' does not say '%s'", error.text, cases[i].says);
        if (cases[i].says)
            continue;
        assert_int_equal(info.input_width_px, cases[i].size.width_px);
        assert_int_equal(info.input_height_px, cases[i].size.height_px);
    }
    *anchors = kept;
    synthetic_close(&state);
}

static void files_without_anchors_are_taken(void **unused)
{
    (void)unused;
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    synthetic_state state;
    open_state(&state, "dfine_n");
    torch_file_tensor *anchors = find(&state, "decoder.anchors"), *last = &state.tensors[state.n_tensors - 1];
    const torch_file_tensor kept = *anchors;
    *anchors = *last;
    state.n_tensors--;
    write_state(&state, path);
    *anchors = kept;
    state.n_tensors++;
    assert_ok(sono_model_verify(path, SONO_FAMILY_AUTO, &error), &error);
    synthetic_close(&state);
}

static void refuse_config(const sono_pipeline_config *config, sono_status status, const char *says)
{
    sono_error error = {0};
    sono_pipeline *pipeline = NULL;
    assert_status(status, sono_pipeline_open(config, &pipeline, &error), &error);
    if (!strstr(error.text, says))
        fail_msg("'%s' does not say '%s'", error.text, says);
}

static float best_score(const sono_pipeline_config *config)
{
    const sono_frame frame = pipeline_fixture_frame();
    sono_pipeline *pipeline = pipeline_fixture_open(config);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const float score = sono_packet_object(packet, 0)->score;
    assert_true(sono_packet_object(packet, 0)->mask_area_px > 0);
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    return score;
}

/* Both networks at other sizes, by themselves and from a model set, which has its own. */
static void sizes_can_be_asked_for(void **unused)
{
    (void)unused;
    sono_pipeline_config config, on_set;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    const float usual = best_score(&config);
    sono_pipeline_config_init(&on_set);
    on_set.threshold = 0;
    config.detector_width_px = 416;
    config.detector_height_px = 320;
    config.segmenter_size_px = 320;
    const float wide = best_score(&config);
    assert_true(wide != usual);
    assert_ok(sono_model_set_open_config(&config, &on_set.models, &error), &error);
    assert_true(best_score(&on_set) == wide);
    on_set.segmenter_size_px = 320;
    refuse_config(&on_set, SONO_STATUS_INVALID_ARGUMENT, "a model set brings checkpoints");
    sono_model_set_close(on_set.models);
    config.detector_height_px = 0;
    refuse_config(&config, SONO_STATUS_UNSUPPORTED, "D-FINE takes no input of 416 x 0 pixels");
    config.detector_height_px = 300;
    refuse_config(&config, SONO_STATUS_UNSUPPORTED, "give multiples of 32 up to 4096");
    config.detector_width_px = config.detector_height_px = 96;
    refuse_config(&config, SONO_STATUS_UNSUPPORTED, "300 tokens or more");
    config.detector_width_px = -32;
    refuse_config(&config, SONO_STATUS_INVALID_ARGUMENT, "detector_width_px is -32");
    config.detector_width_px = config.detector_height_px = 0;
    config.segmenter_size_px = 500;
    refuse_config(&config, SONO_STATUS_UNSUPPORTED, "give two equal multiples of 64 up to 2048");
}

/* ---- the family ---- */

typedef struct heard {
    pthread_mutex_t mutex;
    int n_assumed;
} heard;

static void listen_to(void *user, const sono_event *event)
{
    heard *h = user;
    pthread_mutex_lock(&h->mutex);
    h->n_assumed += event->kind == SONO_EVENT_FAMILY_ASSUMED &&
                    strcmp(sono_event_find(event, "family")->text, "dfine") == 0;
    pthread_mutex_unlock(&h->mutex);
}

/* The best score of one frame, and what was heard of an assumption. */
static float score_of(sono_pipeline_config config, sono_detector_family expected)
{
    heard h = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    const sono_frame frame = pipeline_fixture_frame();
    config.on_event = listen_to;
    config.on_event_user = &h;
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    assert_int_equal(sono_pipeline_family(pipeline), expected);
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    const float score = sono_packet_object(packet, 0)->score;
    assert_ok(sono_packet_release(pipeline, packet), NULL);
    sono_pipeline_close(pipeline);
    assert_int_equal(h.n_assumed, expected == SONO_FAMILY_AUTO);
    return score;
}

static void write_synthetic(const char *name, char path[SONO_TEST_PATH_BYTES])
{
    char file[64], manifest[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    snprintf(file, sizeof file, "tests/golden/%s.manifest", name);
    sono_test_source(manifest, sizeof manifest, file);
    snprintf(file, sizeof file, "%s.pth", name);
    sono_test_path(path, SONO_TEST_PATH_BYTES, file);
    assert_ok(synthetic_write(manifest, path, &error), &error);
}

static void family_decides(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    char path[SONO_TEST_PATH_BYTES];
    pipeline_fixture_synthetic(&config);
    write_synthetic("deim_n", path);
    config.detector_path = path;
    const float assumed = score_of(config, SONO_FAMILY_AUTO);
    config.detector_family = SONO_FAMILY_DFINE;
    assert_true(score_of(config, SONO_FAMILY_DFINE) == assumed);
    config.detector_family = SONO_FAMILY_DEIM;
    assert_true(fabsf(score_of(config, SONO_FAMILY_DEIM) - assumed) > 1e-3f);
}

static void expect_contradiction(const char *path)
{
    sono_error error = {0};
    sono_model_info info;
    char out[SONO_TEST_PATH_BYTES];
    sono_test_path(out, sizeof out, "not_written.safetensors");
    assert_ok(sono_model_inspect(path, &info, &error), &error);
    assert_int_equal(info.family, SONO_FAMILY_DEIM);
    assert_status(SONO_STATUS_MODEL_MISMATCH, sono_model_verify(path, SONO_FAMILY_DFINE, &error), &error);
    assert_non_null(strstr(error.text, "family deim, but dfine was asked for"));
    assert_non_null(strstr(error.text, path));
    assert_status(SONO_STATUS_MODEL_MISMATCH,
                  sono_model_convert(path, out, SONO_PRECISION_FP32, SONO_FAMILY_DFINE, &error), &error);
    assert_int_not_equal(access(out, F_OK), 0);
}

/* What is said once is kept; what is only assumed is not written. */
static void convert_keeps_the_family(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_model_info info;
    sono_error error = {0};
    char in[SONO_TEST_PATH_BYTES], out[SONO_TEST_PATH_BYTES], again[SONO_TEST_PATH_BYTES];
    pipeline_fixture_synthetic(&config);
    write_synthetic("deim_n", in);
    sono_test_path(out, sizeof out, "converted.safetensors");
    sono_test_path(again, sizeof again, "again.safetensors");
    assert_ok(sono_model_convert(in, out, SONO_PRECISION_FP32, SONO_FAMILY_AUTO, &error), &error);
    assert_ok(sono_model_inspect(out, &info, &error), &error);
    assert_int_equal(info.family, SONO_FAMILY_AUTO);

    assert_ok(sono_model_convert(in, out, SONO_PRECISION_FP32, SONO_FAMILY_DEIM, &error), &error);
    assert_ok(sono_model_convert(out, again, SONO_PRECISION_FP32, SONO_FAMILY_AUTO, &error), &error);
    expect_contradiction(out);
    expect_contradiction(again);
    config.detector_path = in;
    config.detector_family = SONO_FAMILY_DEIM;
    const float wanted = score_of(config, SONO_FAMILY_DEIM);
    config.detector_path = again;
    config.detector_family = SONO_FAMILY_AUTO;
    assert_true(score_of(config, SONO_FAMILY_DEIM) == wanted);
    assert_status(SONO_STATUS_MODEL_MISMATCH,
                  sono_model_verify(config.segmenter_path, SONO_FAMILY_DEIM, &error), &error);
    assert_non_null(strstr(error.text, "only a detector has a family"));
}

static void model_sets_carry_it(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_model_set *models = NULL;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    char path[SONO_TEST_PATH_BYTES];
    pipeline_fixture_synthetic(&config);
    write_synthetic("deim_n", path);
    config.detector_path = path;
    config.detector_family = SONO_FAMILY_DEIM;
    const float wanted = score_of(config, SONO_FAMILY_DEIM);
    assert_ok(sono_model_set_open_config(&config, &models, &error), &error);
    config.models = models;
    config.detector_path = config.segmenter_path = config.device = NULL;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_open(&config, &pipeline, &error), &error);
    config.detector_family = SONO_FAMILY_AUTO;
    config.segmenter_size_px = 0;
    assert_true(score_of(config, SONO_FAMILY_DEIM) == wanted);
    sono_model_set *more = NULL;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_model_set_open_config(&config, &more, &error), &error);
    assert_non_null(strstr(error.text, "models is set"));
    sono_model_set_close(models);
}

static void unknown_families_are_refused(void **unused)
{
    (void)unused;
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.detector_family = (sono_detector_family)3;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_pipeline_open(&config, &pipeline, &error), &error);
    assert_non_null(strstr(error.text, "detector_family is 3"));
    assert_int_equal(sono_pipeline_family(NULL), SONO_FAMILY_AUTO);
    assert_string_equal(sono_detector_family_name((sono_detector_family)3), "unknown");
}

/* ---- one channel ---- */

/* A frame of colours and its luma: the detector of one channel finds the same in both, to the bit. */
static void colour_is_seen_as_luma(void **unused)
{
    (void)unused;
    static uint8_t rgb[W * H * 3], rgba[W * H * 4], grey[W * H];
    const void *pixels[] = {grey, rgb, rgba};
    const sono_pixel_format formats[] = {SONO_PIXEL_GRAY8, SONO_PIXEL_RGB8, SONO_PIXEL_RGBA8};
    sono_pipeline_config config;
    sono_object seen = {0};
    char path[SONO_TEST_PATH_BYTES];
    pipeline_fixture_synthetic(&config);
    write_synthetic("dfine_n_grey", path);
    config.detector_path = path;
    synthetic_image(W * 3, H, rgb);
    for (size_t i = 0; i < sizeof grey; i++) {
        const uint8_t *p = rgb + 3 * i;
        memcpy(rgba + 4 * i, p, 3);
        rgba[4 * i + 3] = (uint8_t)i;
        grey[i] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
    }
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    for (int i = 0; i < 3; i++) {
        const sono_frame frame = {.image = {.struct_size = sizeof(sono_image),
                                            .pixels = pixels[i],
                                            .width_px = W,
                                            .height_px = H,
                                            .format = formats[i]},
                                  .info = {.struct_size = sizeof(sono_frame_info)}};
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        if (i == 0)
            seen = *sono_packet_object(packet, 0);
        assert_true(sono_packet_object(packet, 0)->score == seen.score && seen.score > 0);
        assert_memory_equal(sono_packet_object(packet, 0)->bbox_xyxy_px, seen.bbox_xyxy_px,
                            sizeof seen.bbox_xyxy_px);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_pipeline_close(pipeline);
}

static void channels_are_told(void **unused)
{
    (void)unused;
    static const float zeroes[16 * 4 * 9];
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_model_info info;
    synthetic_state state;
    write_synthetic("dfine_n_grey", path);
    assert_ok(sono_model_inspect(path, &info, &error), &error);
    assert_int_equal(info.n_channels, 1);
    open_state(&state, "dfine_n");
    torch_file_tensor *first = find(&state, "backbone.stem.stem1.conv.weight");
    const torch_file_tensor kept = *first;
    first->dims[1] = 4;
    first->data = zeroes;
    write_state(&state, path);
    *first = kept;
    synthetic_close(&state);
    assert_ok(sono_model_inspect(path, &info, &error), &error);
    assert_int_equal(info.n_channels, 3);
    assert_status(SONO_STATUS_MODEL_MISMATCH, sono_model_verify(path, SONO_FAMILY_AUTO, &error), &error);
    assert_non_null(strstr(error.text, "is [16, 4, 3, 3], dfine-n needs [16, 3, 3, 3]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_size_is_taken),
        cmocka_unit_test(every_size_is_told),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(convert_keeps_the_size),
        cmocka_unit_test(metadata_say_the_size),
        cmocka_unit_test(files_without_anchors_are_taken),
        cmocka_unit_test(sizes_can_be_asked_for),
        cmocka_unit_test(family_decides),
        cmocka_unit_test(convert_keeps_the_family),
        cmocka_unit_test(model_sets_carry_it),
        cmocka_unit_test(unknown_families_are_refused),
        cmocka_unit_test(colour_is_seen_as_luma),
        cmocka_unit_test(channels_are_told),
    };
    return sono_test_run("pipeline/detectors", tests, sizeof tests / sizeof tests[0]);
}
