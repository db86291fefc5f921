// SPDX-License-Identifier: Apache-2.0
// labels: shared timeout=600 cost=25
/*
 * D-FINE against the official code: n (with one input channel too), s, both at other input sizes, and DEIM's
 * n on hashed weights (tests/golden), s with a trained checkpoint on a real frame (reference material).
 * SONO_TEST_DEVICE names the device (default cpu). `test_dfine --bench` times D-FINE-S with the trained
 * checkpoint on two threads.
 */
#include "support/dfine_run.h"
#include "support/test.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_TOLERANCE 1e-3 /* relative L2; the reference's activations are float16 */
#define OUTPUT_TOLERANCE    1e-5 /* float32 on the CPU */
#define CUDA_TOLERANCE      1e-4 /* the same there: sums in another order */
#define MAX_SIDE_PX         640
#define N_BENCH_FRAMES      21

static void dfine_n_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_n", SONO_FAMILY_AUTO);
}

/* The same tensors as dfine_n has, with SiLU wherever the decoder has ReLU. */
static void deim_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("deim_n", SONO_FAMILY_DEIM);
}

static void one_channel_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_n_grey", SONO_FAMILY_DFINE);
}

static void dfine_s_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_s", SONO_FAMILY_AUTO);
}

/* Inputs that are not square: 512 x 384, 352 x 544. */
static void other_sizes_agree_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_n_wide", SONO_FAMILY_AUTO);
    dfine_run_check_golden("dfine_s_tall", SONO_FAMILY_AUTO);
}

/* The same sizes asked for: the file's anchors are not used. */
static void a_file_of_another_size_agrees_too(void **state)
{
    (void)state;
    static const anchors_size wide = {512, 384}, tall = {352, 544};
    dfine_run_check_resized("dfine_n_wide", 2, &wide);
    dfine_run_check_resized("dfine_s_tall", 3, &tall);
}

/* ---- the trained checkpoint on frame 00100 ---- */

static const struct {
    const char *reference, *ours;
} activations[] = {
    {"dfine.backbone.0", "backbone.stages.1"},       {"dfine.backbone.1", "backbone.stages.2"},
    {"dfine.backbone.2", "backbone.stages.3"},       {"dfine.encoder.0", "encoder.fpn_blocks.1.cv4"},
    {"dfine.encoder.1", "encoder.pan_blocks.0.cv4"}, {"dfine.encoder.2", "encoder.pan_blocks.1.cv4"},
};

static sono_checkpoint *open_reference(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *file = NULL;
    sono_test_need_shared(path, sizeof path, name);
    assert_ok(sono_checkpoint_open(path, &file, &error), &error);
    return file;
}

/* All elements as float32, freed by the caller. */
static float *read_reference(const sono_checkpoint *file, const char *name,
                             const sono_checkpoint_tensor **tensor)
{
    sono_error error = {0};
    *tensor = sono_checkpoint_find(file, name);
    assert_non_null(*tensor);
    float *values = sono_alloc_array((size_t)sono_checkpoint_tensor_count(*tensor), sizeof *values);
    assert_non_null(values);
    assert_ok(sono_checkpoint_read_f32(*tensor, values, &error), &error);
    return values;
}

static void write_frame(dfine_run *run, const sono_checkpoint *outputs)
{
    const sono_checkpoint_tensor *image = NULL;
    float *values = read_reference(outputs, "image", &image);
    uint8_t *pixels = sono_alloc(MAX_SIDE_PX * MAX_SIDE_PX);
    assert_non_null(pixels);
    for (int64_t i = 0; i < sono_checkpoint_tensor_count(image); i++)
        pixels[i] = (uint8_t)values[i];
    const sono_frame_header header = {.width_px = (int32_t)image->dims[1],
                                      .height_px = (int32_t)image->dims[0],
                                      .pitch_bytes = (int32_t)image->dims[1],
                                      .format = SONO_PIXEL_GRAY8};
    dfine_run_write(run, run->pixels, pixels);
    dfine_run_write(run, run->header, &header);
    sono_free(pixels);
    sono_free(values);
}

static void check_distance(const char *name, double difference, double norm, double tolerance)
{
    const double distance = sqrt(difference / norm);
    print_message("%-18s relative distance %.2e\n", name, distance);
    if (!(distance <= tolerance))
        fail_msg("%s: relative distance %.3g", name, distance);
}

/* Compares the first C channels of a kept map with a reference tensor [1, C, H, W]. */
static void compare_map(dfine_run *run, const char *ours, const sono_checkpoint *file, const char *reference)
{
    const sono_checkpoint_tensor *tensor = NULL;
    sono_tensor shape;
    float *want = read_reference(file, reference, &tensor), *got = dfine_run_read(run, ours, &shape);
    const int64_t area = (int64_t)shape.h * shape.w, count = sono_checkpoint_tensor_count(tensor);
    assert_true(tensor->dims[1] <= shape.c && count == area * tensor->dims[1]);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        const double w = (double)want[i], d = (double)got[i % area * shape.c + i / area] - w;
        difference += d * d;
        norm += w * w;
    }
    sono_free(got);
    sono_free(want);
    check_distance(reference, difference, norm, REFERENCE_TOLERANCE);
}

/* Compares logits and boxes, each reference query with the nearest of ours that no other has: two tokens
 * whose scores differ by less than float32 can tell may change places. */
static void compare_outputs(dfine_run *run, const sono_checkpoint *file)
{
    const sono_checkpoint_tensor *tensor = NULL;
    sono_tensor shape;
    float *logits = read_reference(file, "pred_logits", &tensor),
          *boxes = read_reference(file, "pred_boxes", &tensor);
    float *our_logits = dfine_run_read(run, "pred_logits", &shape);
    float *our_boxes = dfine_run_read(run, "pred_boxes", &shape);
    int is_taken[SONO_DFINE_N_QUERIES] = {0};
    double difference[2] = {0, 0}, norm[2] = {0, 0};
    for (int r = 0; r < SONO_DFINE_N_QUERIES; r++) {
        double best[2] = {(double)INFINITY, 0};
        int nearest = 0;
        for (int q = 0; q < SONO_DFINE_N_QUERIES; q++) {
            double d[2] = {pow((double)our_logits[q] - (double)logits[r], 2), 0};
            for (int i = 0; i < 4; i++)
                d[1] += pow((double)our_boxes[4 * q + i] - (double)boxes[4 * r + i], 2);
            if (!is_taken[q] && d[0] + d[1] < best[0] + best[1]) {
                memcpy(best, d, sizeof best);
                nearest = q;
            }
        }
        is_taken[nearest] = 1;
        difference[0] += best[0];
        difference[1] += best[1];
        norm[0] += pow((double)logits[r], 2);
        for (int i = 0; i < 4; i++)
            norm[1] += pow((double)boxes[4 * r + i], 2);
    }
    sono_free(logits);
    sono_free(boxes);
    sono_free(our_logits);
    sono_free(our_boxes);
    const double tolerance = run->backend == &sono_cpu_engine ? OUTPUT_TOLERANCE : CUDA_TOLERANCE;
    check_distance("pred_logits", difference[0], norm[0], tolerance);
    check_distance("pred_boxes", difference[1], norm[1], tolerance);
}

static void trained_checkpoint_agrees_on_a_real_frame(void **state)
{
    (void)state;
    const size_t n = sizeof activations / sizeof activations[0];
    char path[SONO_TEST_PATH_BYTES];
    dfine_run run;
    sono_test_need_shared(path, sizeof path, "checkpoints/dfine_s_bone.pth");
    sono_checkpoint *outputs = open_reference("reference/outputs_00100.safetensors");
    sono_checkpoint *inner = open_reference("reference/activations.safetensors");
    dfine_run_record(&run, path, SONO_FAMILY_AUTO, NULL, MAX_SIDE_PX);
    for (size_t i = 0; i < n; i++)
        dfine_run_keep(&run, activations[i].ours);
    dfine_run_keep(&run, "dfine_input");
    dfine_run_open(&run, 0, 1);
    write_frame(&run, outputs);
    dfine_run_frame(&run);
    compare_map(&run, "dfine_input", outputs, "dfine_input");
    for (size_t i = 0; i < n; i++)
        compare_map(&run, activations[i].ours, inner, activations[i].reference);
    compare_outputs(&run, outputs);
    dfine_run_close(&run);
    sono_checkpoint_close(inner);
    sono_checkpoint_close(outputs);
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void bench(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    int64_t ns[N_BENCH_FRAMES];
    dfine_run run;
    sono_test_need_shared(path, sizeof path, "checkpoints/dfine_s_bone.pth");
    sono_checkpoint *outputs = open_reference("reference/outputs_00100.safetensors");
    dfine_run_record(&run, path, SONO_FAMILY_AUTO, NULL, MAX_SIDE_PX);
    sono_program_print(run.program, NULL, NULL, stdout);
    dfine_run_open(&run, 2, 0);
    write_frame(&run, outputs);
    dfine_run_frame(&run);
    for (int i = 0; i < N_BENCH_FRAMES; i++) {
        const int64_t start_ns = sono_clock_ns();
        dfine_run_frame(&run);
        ns[i] = sono_clock_ns() - start_ns;
    }
    qsort(ns, N_BENCH_FRAMES, sizeof ns[0], by_value);
    print_message("D-FINE-S on 2 threads: median %.1f ms, best %.1f ms a frame\n",
                  1e-6 * (double)ns[N_BENCH_FRAMES / 2], 1e-6 * (double)ns[0]);
    dfine_run_close(&run);
    sono_checkpoint_close(outputs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dfine_n_agrees_with_the_official_code),
        cmocka_unit_test(deim_agrees_with_the_official_code),
        cmocka_unit_test(one_channel_agrees_with_the_official_code),
        cmocka_unit_test(dfine_s_agrees_with_the_official_code),
        cmocka_unit_test(other_sizes_agree_with_the_official_code),
        cmocka_unit_test(a_file_of_another_size_agrees_too),
        cmocka_unit_test(trained_checkpoint_agrees_on_a_real_frame),
    };
    const struct CMUnitTest benches[] = {cmocka_unit_test(bench)};
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return sono_test_run("golden/dfine", benches, 1);
    return sono_test_run("golden/dfine", tests, sizeof(tests) / sizeof(tests[0]));
}
