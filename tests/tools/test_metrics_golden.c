// SPDX-License-Identifier: Apache-2.0
/* The same figures as training/metrics.py: tests/golden/metrics.json, made by scripts/golden/metrics.py. */
#include "metrics.h"
#include "test.h"

#include "base/alloc.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PIXELS 1600
#define MAX_FRAMES 64

static cJSON *golden;

static int read_golden(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_test_source(path, sizeof path, "tests/golden/metrics.json");
    uint8_t *text = sono_test_read_file(path, NULL);
    golden = cJSON_Parse((const char *)text);
    sono_free(text);
    return golden ? 0 : -1;
}

static int drop_golden(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        fail_msg("no %s", key);
    return item;
}

/* null stands for NAN. */
static void expect(const cJSON *object, const char *key, double actual)
{
    const cJSON *item = get(object, key);
    if (cJSON_IsNull(item) ? !isnan(actual) : !(fabs(actual - item->valuedouble) <= 1e-9))
        fail_msg("%s is %.12f, not %.12f", key, actual, item->valuedouble);
}

static void expand(const cJSON *runs, size_t n_pixels, uint8_t *out)
{
    size_t n = 0;
    for (const cJSON *run = runs->child; run; run = run->next->next) {
        const size_t length = (size_t)run->next->valueint;
        assert_true(n + length <= n_pixels);
        memset(out + n, run->valueint, length);
        n += length;
    }
    assert_int_equal(n, n_pixels);
}

static void measure(const cJSON *row, float threshold, metrics_frame *out)
{
    uint8_t labels[MAX_PIXELS], mask[MAX_PIXELS];
    const metrics_truth truth = {labels, get(row, "width_px")->valueint, get(row, "height_px")->valueint};
    const size_t n_pixels = (size_t)truth.width_px * (size_t)truth.height_px;
    assert_true(n_pixels <= MAX_PIXELS);
    expand(get(row, "labels"), n_pixels, labels);
    expand(get(row, "mask"), n_pixels, mask);
    sono_object best = {.score = (float)get(row, "score")->valuedouble,
                        .iou_predicted = (float)get(row, "iou_predicted")->valuedouble};
    for (int i = 0; i < 4; i++)
        best.bbox_xyxy_px[i] = (float)cJSON_GetArrayItem(get(row, "box"), i)->valuedouble;
    for (size_t i = 0; i < n_pixels; i++)
        best.mask_area_px += mask[i] != 0;
    assert_int_equal(metrics_measure(&best, mask, &truth, threshold, out), 0);
    expect(row, "box_iou", out->box_iou);
    expect(row, "mask_iou", out->mask_iou);
    expect(row, "dice", out->dice);
    expect(row, "surface95_px", out->surface95_px);
}

static void test_golden(void **state)
{
    (void)state;
    static metrics_frame frames[MAX_FRAMES];
    const cJSON *wanted = get(golden, "summary");
    const float threshold = (float)get(wanted, "threshold")->valuedouble;
    size_t n_frames = 0;
    for (const cJSON *row = get(golden, "frames")->child; row; row = row->next) {
        assert_true(n_frames < MAX_FRAMES);
        measure(row, threshold, &frames[n_frames++]);
    }
    metrics_summary summary;
    assert_int_equal(metrics_summarise(frames, n_frames, threshold, &summary), 0);
    expect(wanted, "n_frames", (double)summary.n_frames);
    expect(wanted, "n_positive", (double)summary.n_positive);
    expect(wanted, "n_empty", (double)summary.n_empty);
    expect(wanted, "ap50", summary.ap50);
    expect(wanted, "ap50_95", summary.ap50_95);
    expect(wanted, "iou_mean", summary.iou_mean);
    expect(wanted, "dice_mean", summary.dice_mean);
    expect(wanted, "surface95_px", summary.surface95_px);
    expect(wanted, "n_surface", (double)summary.n_surface);
    expect(wanted, "found_share", summary.found_share);
    expect(wanted, "false_alarm_share", summary.false_alarm_share);
    expect(wanted, "ece", summary.ece);
    expect(wanted, "ece_right", summary.ece_right);
    expect(wanted, "iou_error", summary.iou_error);
    for (int i = 0; i < METRICS_BINS; i++) {
        const cJSON *bin = cJSON_GetArrayItem(get(wanted, "bins"), i);
        expect(bin, "n", (double)summary.bins[i].n);
        expect(bin, "score", summary.bins[i].score);
        expect(bin, "iou", summary.bins[i].iou);
        expect(bin, "right", summary.bins[i].right);
    }
    for (int i = 0; i < METRICS_THRESHOLDS; i++) {
        const cJSON *choice = cJSON_GetArrayItem(get(wanted, "thresholds"), i);
        assert_true(fabs(get(choice, "threshold")->valuedouble - summary.choices[i].threshold) < 1e-6);
        expect(choice, "found_share", summary.choices[i].found_share);
        expect(choice, "false_alarm_share", summary.choices[i].false_alarm_share);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return sono_test_run_with("tools/metrics_golden", tests, sizeof tests / sizeof tests[0], read_golden,
                              drop_golden);
}
