// SPDX-License-Identifier: Apache-2.0
// labels: slow shared timeout=600 cost=30
/* End to end against the official PyTorch code on real frames: boxes, scores, masks, predicted IoU. The short
 * form takes every fourth frame. */
#include "checkpoint/checkpoint.h"
#include "sonoseg/io.h"
#include "support/pipeline_fixture.h"
#include "packet_maps.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FRAMES   24
#define STRIDE     4 /* of the frames in the short form */
#define WIDTH_PX   422
#define HEIGHT_PX  558
#define PACKED_ROW 53 /* ceil(422 / 8) */

/* What one precision may cost. */
typedef struct limits {
    sono_precision precision;
    double box_median_px, box_worst_px, score_worst, iou_predicted_worst, mask_iou_median, mask_iou_worst;
} limits;

static const limits fp32_limits = {SONO_PRECISION_FP32, 0.05, 0.05, 0.001, 0.001, 0.999, 0.999};
/* What float16 autocast cost the official code on these frames. */
static const limits fp16_limits = {SONO_PRECISION_FP16, 0.05, 1.1, 0.033, 0.02, 0.9985, 0.995};

typedef struct reference {
    sono_checkpoint *file;
    const float *boxes, *iou, *scores;
    const uint8_t *masks;
} reference;

static const void *tensor_data(const reference *r, const char *name)
{
    const sono_checkpoint_tensor *tensor = sono_checkpoint_find(r->file, name);
    assert_non_null(tensor);
    return tensor->data;
}

static void reference_open(reference *r)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_test_need_shared(path, sizeof path, "reference/frames24.safetensors");
    assert_ok(sono_checkpoint_open(path, &r->file, &error), &error);
    r->boxes = tensor_data(r, "boxes_xyxy_px");
    r->iou = tensor_data(r, "iou");
    r->scores = tensor_data(r, "scores");
    r->masks = tensor_data(r, "masks_packed");
}

static double mask_iou(const uint8_t *mask, const uint8_t *packed)
{
    int64_t both = 0, either = 0;
    for (int y = 0; y < HEIGHT_PX; y++) {
        for (int x = 0; x < WIDTH_PX; x++) {
            const int ours = mask[y * WIDTH_PX + x] != 0;
            const int theirs = packed[y * PACKED_ROW + x / 8] >> (7 - x % 8) & 1;
            both += ours & theirs;
            either += ours | theirs;
        }
    }
    return either ? (double)both / (double)either : 1.0;
}

typedef struct found {
    int n;
    double box_px[N_FRAMES], score[N_FRAMES], iou_predicted[N_FRAMES], mask_iou[N_FRAMES];
} found;

static void compare(const sono_packet *packet, const reference *r, int row, found *f)
{
    assert_int_equal(packet->state, SONO_STATE_VISIBLE);
    assert_int_equal(packet->n_objects, 1);
    const sono_object *object = sono_packet_object(packet, 0);
    for (int i = 0; i < 4; i++) {
        float want;
        memcpy(&want, r->boxes + 4 * row + i, sizeof want);
        f->box_px[f->n] = fmax(f->box_px[f->n], fabs((double)object->bbox_xyxy_px[i] - (double)want));
    }
    float score, iou;
    memcpy(&score, r->scores + row, sizeof score);
    memcpy(&iou, r->iou + row, sizeof iou);
    f->score[f->n] = fabs((double)object->score - (double)score);
    f->iou_predicted[f->n] = fabs((double)object->iou_predicted - (double)iou);
    f->mask_iou[f->n] = mask_iou(packet_mask(packet, 0), r->masks + (size_t)row * HEIGHT_PX * PACKED_ROW);
    int64_t area = 0;
    for (int i = 0; i < WIDTH_PX * HEIGHT_PX; i++)
        area += packet_mask(packet, 0)[i] != 0;
    assert_int_equal(object->mask_area_px, area);
    f->n++;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check(found *f, const limits *l)
{
    const size_t n = (size_t)f->n, middle = n / 2, last = n - 1;
    qsort(f->box_px, n, sizeof(double), ascending);
    qsort(f->score, n, sizeof(double), ascending);
    qsort(f->iou_predicted, n, sizeof(double), ascending);
    qsort(f->mask_iou, n, sizeof(double), ascending);
    printf("%s, %d frames: box median %.6f worst %.6f px, score worst %.7f, predicted IoU worst %.7f, mask "
           "IoU median "
           "%.6f worst "
           "%.6f\n",
           sono_precision_name(l->precision), f->n, f->box_px[middle], f->box_px[last], f->score[last],
           f->iou_predicted[last], f->mask_iou[middle], f->mask_iou[0]);
    assert_true(f->box_px[middle] <= l->box_median_px);
    assert_true(f->box_px[last] <= l->box_worst_px);
    assert_true(f->score[last] <= l->score_worst);
    assert_true(f->iou_predicted[last] <= l->iou_predicted_worst);
    assert_true(f->mask_iou[middle] >= l->mask_iou_median);
    assert_true(f->mask_iou[0] >= l->mask_iou_worst);
}

static void run_frames(const limits *l)
{
    reference r;
    sono_pipeline_config config;
    char frames[SONO_TEST_PATH_BYTES];
    reference_open(&r);
    pipeline_fixture_real(&config);
    config.threshold = 0.0f; /* the reference has no gate; frame 00118's score is 0.265 */
    config.precision = l->precision;
    sono_test_need_shared(frames, sizeof frames, "frames");
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_source *source = NULL;
    sono_error error = {0};
    const char *const paths[] = {frames};
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    assert_int_equal(sono_source_count(source), N_FRAMES);
    found f = {0};
    for (int row = 0; row < N_FRAMES; row++) {
        sono_frame frame = SONO_TEST_FRAME;
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_int_equal(frame.image.width_px, WIDTH_PX);
        assert_int_equal(frame.image.height_px, HEIGHT_PX);
        if (row % STRIDE && !pipeline_fixture_is_long())
            continue;
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        compare(packet, &r, row, &f);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
    sono_checkpoint_close(r.file);
    check(&f, l);
}

static void test_fp32(void **state)
{
    (void)state;
    run_frames(&fp32_limits);
}

static void test_fp16(void **state)
{
    (void)state;
    const char *device = getenv("SONO_TEST_DEVICE");
    if (!device || strncmp(device, "cuda", 4) != 0)
        sono_test_skip("float16 is for CUDA: SONO_TEST_DEVICE names no such device");
    run_frames(&fp16_limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp32), cmocka_unit_test(test_fp16)};
    return sono_test_run("pipeline/reference", tests, sizeof tests / sizeof tests[0]);
}
