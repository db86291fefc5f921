// SPDX-License-Identifier: Apache-2.0
/* The bytes of other probes and screens: what a seed gives stays, in every build that docs/phantom.md
 * promises it for. Skipped where the C library's functions differ in a last bit from those of the digests. */
#include "test.h"

#include "sonoseg/phantom.h"

#include <math.h>

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
        const float found[] = {expf(-x), powf(10.0f, x - 4), powf(x / 8, 0.7f), sinf(x),     cosf(x),
                               exp2f(x), atanf(x - 4),       atan2f(x - 4, 2),  tanf(x / 8), fmodf(x, 0.3f)};
        sum = digest(sum, found, sizeof found);
    }
    return sum;
}

static const struct {
    sono_phantom_geometry geometry;
    sono_phantom_orientation orientation;
    int32_t screen, width_px, height_px, n_frames, n_sweep_frames;
    uint64_t seed, digest;
} sweeps[] = {
    {SONO_PHANTOM_CURVILINEAR, SONO_PHANTOM_UP, 0, 240, 200, 4, 2, 1, 0xd620b44ea6a91ad4u},
    {SONO_PHANTOM_PHASED, SONO_PHANTOM_UP, 0, 240, 200, 4, 2, 2, 0xb0e0ffd55a5936d6u},
    {SONO_PHANTOM_ENDOCAVITY, SONO_PHANTOM_DOWN, 0, 240, 200, 4, 2, 3, 0xbac5d1f9097c4f2eu},
    {SONO_PHANTOM_ANY_GEOMETRY, SONO_PHANTOM_ANY_ORIENTATION, 0, 170, 190, 16, 1, 4, 0x6df369152eebc80eu},
    {SONO_PHANTOM_LINEAR, SONO_PHANTOM_UP_MIRRORED, 1, 320, 240, 4, 1, 5, 0xab60579b2f158641u},
    {SONO_PHANTOM_ANY_GEOMETRY, SONO_PHANTOM_ANY_ORIENTATION, 1, 480, 360, 12, 1, 6, 0x2ba5162cdb53538au},
};
#define LIBRARY 0x3cd38be19e073e66u /* digest_of_library() */

static uint64_t digest_of_sweep(size_t index)
{
    sono_phantom_options options;
    sono_phantom_options_init(&options);
    options.geometry = sweeps[index].geometry;
    options.orientation = sweeps[index].orientation;
    options.screen = sweeps[index].screen;
    options.width_px = sweeps[index].width_px;
    options.height_px = sweeps[index].height_px;
    options.n_frames = sweeps[index].n_frames;
    options.n_sweep_frames = sweeps[index].n_sweep_frames;
    options.seed = sweeps[index].seed;
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
        sum = digest(sum, truth.labels, n);
        sum = digest(sum, truth.region_px, sizeof truth.region_px);
        sum = digest(sum, truth.surface_px[0], sizeof(float) * (size_t)options.width_px);
    }
    sono_source_close(source);
    return sum;
}

static void test_bytes(void **state)
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes)};
    const uint64_t library = digest_of_library();
    if (library != LIBRARY) {
        print_message("the C library's functions are others than those of the digests: 0x%016llx\n",
                      (unsigned long long)library);
        return SONO_TEST_SKIPPED;
    }
    return sono_test_run("source/phantom_wide_bytes", tests, sizeof(tests) / sizeof(tests[0]));
}
