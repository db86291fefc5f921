// SPDX-License-Identifier: Apache-2.0
// labels: slow shared serial timeout=600
/* End to end against the official PyTorch code on real frames: boxes, scores, masks, predicted IoU. */
#include "model/checkpoint.h"
#include "sonoseg/io.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_FRAMES        24
#define WIDTH_PX        422
#define HEIGHT_PX       558
#define PACKED_ROW      53 /* ceil(422 / 8) */
#define MAX_BOX_PX      0.05
#define MAX_SCORE       0.001
#define MIN_IOU         0.999
#define MAX_IOU_PREDICT 0.001

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

typedef struct worst {
    double box_px, score, iou_predicted, mask_iou, latency_ms;
} worst;

static void compare(const sono_packet *packet, const reference *r, int row, worst *w)
{
    assert_int_equal(packet->state, SONO_STATE_VISIBLE);
    assert_int_equal(packet->n_objects, 1);
    const sono_object *object = packet->objects;
    for (int i = 0; i < 4; i++) {
        float want;
        memcpy(&want, r->boxes + 4 * row + i, sizeof want);
        w->box_px = fmax(w->box_px, fabs((double)object->bbox_xyxy_px[i] - (double)want));
    }
    float score, iou;
    memcpy(&score, r->scores + row, sizeof score);
    memcpy(&iou, r->iou + row, sizeof iou);
    w->score = fmax(w->score, fabs((double)object->score - (double)score));
    w->iou_predicted = fmax(w->iou_predicted, fabs((double)object->iou_predicted - (double)iou));
    w->mask_iou = fmin(w->mask_iou, mask_iou(object->mask, r->masks + (size_t)row * HEIGHT_PX * PACKED_ROW));
    w->latency_ms = fmax(w->latency_ms, packet->latency_ms);
    int64_t area = 0;
    for (int i = 0; i < WIDTH_PX * HEIGHT_PX; i++)
        area += object->mask[i] != 0;
    assert_int_equal(object->mask_area_px, area);
}

static void test_24_frames(void **state)
{
    (void)state;
    reference r;
    sono_pipeline_config config;
    char frames[SONO_TEST_PATH_BYTES];
    reference_open(&r);
    pipeline_fixture_real(&config);
    config.threshold = 0.0f; /* the reference has no gate; frame 00118's score is 0.265 */
    sono_test_need_shared(frames, sizeof frames, "frames");
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_source *source = NULL;
    sono_error error = {0};
    const char *const paths[] = {frames};
    assert_ok(sono_source_open_images(paths, 1, NULL, &source, &error), &error);
    assert_int_equal(sono_source_count(source), N_FRAMES);
    worst w = {.mask_iou = 1.0};
    for (int row = 0; row < N_FRAMES; row++) {
        sono_frame frame;
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame, &name, &error), &error);
        assert_int_equal(frame.width_px, WIDTH_PX);
        assert_int_equal(frame.height_px, HEIGHT_PX);
        const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
        compare(packet, &r, row, &w);
        assert_ok(sono_packet_release(pipeline, packet), NULL);
    }
    sono_source_close(source);
    sono_pipeline_close(pipeline);
    sono_checkpoint_close(r.file);
    printf(
        "worst of %d frames: box %.6f px, score %.7f, predicted IoU %.7f, mask IoU %.6f, latency %.0f ms\n",
        N_FRAMES, w.box_px, w.score, w.iou_predicted, w.mask_iou, w.latency_ms);
    assert_true(w.box_px <= MAX_BOX_PX);
    assert_true(w.score <= MAX_SCORE);
    assert_true(w.iou_predicted <= MAX_IOU_PREDICT);
    assert_true(w.mask_iou >= MIN_IOU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_24_frames)};
    return sono_test_run("pipeline/reference", tests, sizeof tests / sizeof tests[0]);
}
