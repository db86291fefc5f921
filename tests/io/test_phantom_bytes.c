// SPDX-License-Identifier: Apache-2.0
/* The phantom's bytes: frames, masks and labels without events are those from before it knew events. The
 * digests were taken at commit 9522fae. Skipped where the C library's expf, powf, sinf or cosf differ in a
 * last bit from the one they were taken with (docs/phantom.md). */
#include "test.h"

#include "sonoseg/phantom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FNV_START 0xcbf29ce484222325u /* FNV-1a, 64 bits */
#define FNV_PRIME 0x00000100000001b3u

static uint64_t digest(uint64_t sum, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ at[i]) * FNV_PRIME;
    return sum;
}

static uint64_t digest_of_library(void)
{
    uint64_t sum = FNV_START;
    for (int i = 0; i < 4096; i++) {
        const float x = (float)i / 512.0f;
        const float found[] = {expf(-x), powf(10.0f, x - 4), powf(x / 8, 0.7f), sinf(x), cosf(x), exp2f(x)};
        sum = digest(sum, found, sizeof found);
    }
    return sum;
}

static const struct {
    int32_t width_px, height_px, n_frames, n_sweep_frames;
    uint64_t seed;
    sono_phantom_shape shape;
    uint64_t digest;
} sweeps[] = {
    {422, 558, 2, 1, 1, SONO_PHANTOM_ANY, 0x1d4da0da747be3e3u},
    {211, 279, 6, 3, 20261123, SONO_PHANTOM_ANY, 0x390af911a57c8be6u},
    {160, 120, 4, 1, 2, SONO_PHANTOM_FLAT, 0xabd7dd434cbc5337u},
    {160, 120, 4, 1, 3, SONO_PHANTOM_ARCHED, 0x8799650297e6da23u},
    {160, 120, 4, 1, 4, SONO_PHANTOM_RIDGE, 0x9f3f3d479ba5cd63u},
    {160, 120, 4, 1, 5, SONO_PHANTOM_BROKEN, 0xc732afeed787f0cdu},
    {160, 120, 4, 1, 6, SONO_PHANTOM_PAIR, 0x3de5c4d933e60b40u},
    {160, 120, 4, 1, 7, SONO_PHANTOM_EMPTY, 0xff8b3228296fedc7u},
    {97, 131, 40, 0, 8, SONO_PHANTOM_PAIR, 0xae824d2d82e2a300u},
};
#define LIBRARY 0xc20ddb4097559699u /* digest_of_library() */

static uint64_t digest_of_sweep(size_t index)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.width_px = sweeps[index].width_px;
    options.height_px = sweeps[index].height_px;
    options.n_frames = sweeps[index].n_frames;
    options.n_sweep_frames = sweeps[index].n_sweep_frames;
    options.seed = sweeps[index].seed;
    options.shape = sweeps[index].shape;
    const size_t n = (size_t)options.width_px * (size_t)options.height_px;
    sono_error error = {0};
    sono_source *source = NULL;
    uint64_t sum = FNV_START;
    assert_ok(sono_source_open_phantom(&options, &source, &error), &error);
    for (int32_t i = 0; i < options.n_frames; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        sono_truth truth;
        const char *name = NULL;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_ok(sono_source_truth(source, &truth, &error), &error);
        sum = digest(sum, frame.image.pixels, n);
        sum = digest(sum, truth.mask, n);
        sum = digest(sum, truth.labels, n);
        sum = digest(sum, truth.bbox_xyxy_px, sizeof truth.bbox_xyxy_px);
        sum = digest(sum, &frame.info.timestamp_ns, sizeof frame.info.timestamp_ns);
        sum = digest(sum, frame.info.image_to_reference, sizeof frame.info.image_to_reference);
    }
    sono_source_close(source);
    return sum;
}

static void test_bytes_without_events(void **state)
{
    (void)state;
    int n_other = 0;
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        const uint64_t found = digest_of_sweep(i);
        if (found != sweeps[i].digest)
            print_message("sweep %zu: 0x%016llx, expected 0x%016llx\n", i, (unsigned long long)found,
                          (unsigned long long)sweeps[i].digest);
        n_other += found != sweeps[i].digest;
    }
    assert_int_equal(n_other, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_without_events)};
    const uint64_t library = digest_of_library();
    if (library != LIBRARY) {
        print_message("the C library's functions are others than those of the digests: 0x%016llx\n",
                      (unsigned long long)library);
        return SONO_TEST_SKIPPED;
    }
    return sono_test_run("source/phantom_bytes", tests, sizeof(tests) / sizeof(tests[0]));
}
