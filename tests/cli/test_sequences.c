// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=600
/* `run` on recorded sequences, alone and between images. */
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define W 24
#define H 16

static char detector[SONO_TEST_PATH_BYTES];

/* Boxes are enough to see which frames came. */
#define WORDS(...)                                                                                           \
    ((const char *const[]){"run", "--detector-family", "dfine", "--detector", detector, "--detector-only",   \
                           "--device", "cpu", "--max-size", "24x16", __VA_ARGS__, NULL})

static void need_checkpoint(void)
{
    const char *path = getenv("SONO_TEST_DETECTOR");
    if (!path || access(path, R_OK))
        sono_test_skip("no checkpoint (SONO_TEST_DETECTOR)");
    snprintf(detector, sizeof detector, "%s", path);
}

/* A header and as many bytes as two frames of 16 bits need. */
static void make_input(const char *name, const char *header, char path[SONO_TEST_PATH_BYTES])
{
    static char bytes[512 + 4 * W * H];
    size_t n = (size_t)snprintf(bytes, 512, "%s", header);
    for (size_t i = 0; i < 4 * W * H; i++)
        bytes[n + i] = (char)(i * 37);
    sono_test_path(path, SONO_TEST_PATH_BYTES, name);
    sono_test_write_file(path, bytes, n + 4 * W * H);
}

static void expect_result(const char *folder, const char *stem, int is_there)
{
    char path[SONO_TEST_PATH_BYTES], relative[256];
    snprintf(relative, sizeof relative, "%s/overlays/%s.png", folder, stem);
    sono_test_path(path, sizeof path, relative);
    assert_int_equal(!access(path, F_OK), is_there);
}

static void test_run(void **state)
{
    (void)state;
    char image[SONO_TEST_PATH_BYTES], sequence[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    need_checkpoint();
    make_input("first.pgm", "P5 24 16 255\n", image);
    make_input("sweep.igs.mha",
               "NDims = 3\nDimSize = 24 16 3\nElementType = MET_UCHAR\nSeq_Frame0000_Timestamp = 1.5\n"
               "Seq_Frame0001_ImageStatus = INVALID\nElementDataFile = LOCAL\n",
               sequence);
    sono_test_path(output, sizeof output, "out");
    command_result result = command_run(WORDS(sequence, image, "-o", output));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "sweep_f0002.mha (Seq_Frame0001 of sweep.igs.mha): no image"));
    assert_non_null(strstr(result.out, "3 frames: "));
    assert_non_null(strstr(result.out, "1 failed"));
    command_free(&result);
    expect_result("out", "sweep_f0001", 1);
    expect_result("out", "sweep_f0002", 0);
    expect_result("out", "sweep_f0003", 1);
    expect_result("out", "first", 1);
}

static void test_window(void **state)
{
    (void)state;
    char sequence[SONO_TEST_PATH_BYTES], output[SONO_TEST_PATH_BYTES];
    need_checkpoint();
    make_input("signed.nrrd",
               "NRRD0004\ntype: int16\ndimension: 3\nsizes: 24 16 2\nendian: little\nencoding: raw\n\n",
               sequence);
    sono_test_path(output, sizeof output, "window");
    command_expect(1, "signed 16-bit samples: say which values are black and white (--float-range LO,HI",
                   WORDS(sequence, "-o", output));
    command_expect(0, NULL, WORDS(sequence, "-o", output, "--float-range", "-100,32767"));
    expect_result("window", "signed_f0002", 1);
    command_expect(1, "--max-size", WORDS(sequence, "-o", output, "--max-size", "16x16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_window)};
    return sono_test_run("cli/sequences", tests, sizeof tests / sizeof tests[0]);
}
