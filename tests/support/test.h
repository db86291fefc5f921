// SPDX-License-Identifier: Apache-2.0
/*
 * What every test shares: cmocka, skipping that ctest can see, the reference material, a folder that goes
 * away.
 *
 * A test file is tests/<area>/test_<name>.c with a main() that ends in
 *     return sono_test_run("<area>/<name>", tests, sizeof(tests) / sizeof(tests[0]));
 * It is linked with the static library (every internal symbol) and with all of tests/support.
 * A line `// labels: slow shared threads timeout=300` within its first 20 lines sets ctest labels and the
 * time limit in seconds (default 120): slow = left out under the sanitizers, threads = run under the thread
 * sanitizer, shared = needs the reference material, serial = runs alone (it measures time or memory),
 * cost=50 = seconds of CPU time: tests with most of it begin first, so that none is left over at the end.
 */
#ifndef SONO_TESTS_SUPPORT_TEST_H
#define SONO_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/frame.h"

#define SONO_TEST_PATH_BYTES 1024 /* enough for every path that these helpers make */
#define SONO_TEST_SKIPPED    77   /* exit status: nothing could be tested */

/* Runs the tests; the result is main()'s. 0 = passed, SONO_TEST_SKIPPED = every one was skipped, else failed.
 */
int sono_test_run(const char *group, const struct CMUnitTest *tests, size_t n_tests);

/* The same with a set-up and a tear-down for the whole group; either may be NULL. */
int sono_test_run_with(const char *group, const struct CMUnitTest *tests, size_t n_tests,
                       CMFixtureFunction setup, CMFixtureFunction teardown);

/* Whether SONO_TEST_FORM=long asks for a test's long form (scripts/check_long.sh). */
int sono_test_is_long(void);

/* Initialises a sono_frame: both structs set up, nothing in them. */
#define SONO_TEST_FRAME                                                                                      \
    {                                                                                                        \
        .image = {.struct_size = sizeof(sono_image)}, .info = {.struct_size = sizeof(sono_frame_info) }      \
    }

/* Ends the test as skipped and says why. cmocka's own skip() does the same without a reason. */
#define sono_test_skip(reason) sono_test_skip_at((reason), __FILE__, __LINE__)
void sono_test_skip_at(const char *reason, const char *file, int line);
#undef skip
#define skip() sono_test_skip("no reason given")

/* Fails the test unless actual == expected, with both names and the error's text; error may be NULL. */
#define assert_status(expected, actual, error)                                                               \
    sono_test_assert_status((expected), (actual), (error), #actual, __FILE__, __LINE__)
#define assert_ok(actual, error) assert_status(SONO_STATUS_OK, actual, error)
void sono_test_assert_status(sono_status expected, sono_status actual, const sono_error *error,
                             const char *text, const char *file, int line);

/* Path of `relative` (e.g. "frames/00100.jpg") in the folder of reference material: $SONO_SHARED, or
 * ../shared beside the source tree. Returns 1, or 0 with an empty path when it is not there (then skip). */
int sono_test_shared(char *path, size_t path_bytes, const char *relative);

/* The same, and skips the test when it is not there. */
void sono_test_need_shared(char *path, size_t path_bytes, const char *relative);

/* Path of a file of the source tree ($SONO_SOURCE_DIR, else where the test was built), e.g.
 * "tests/golden/dfine_n.txt". Fails the test when it is not there. */
void sono_test_source(char *path, size_t path_bytes, const char *relative);

/* An empty folder of this process, made on the first call and removed with everything in it at exit. Not
 * NULL. */
const char *sono_test_folder(void);

/* Files in that folder that io/part.h began and did not finish. */
int sono_test_count_parts(void);

/* sono_test_folder() "/" name. */
void sono_test_path(char *path, size_t path_bytes, const char *name);

/* Writes a whole file; fails the test when it cannot. */
void sono_test_write_file(const char *path, const void *bytes, size_t n_bytes);

/* Reads a whole file and puts a 0 byte behind it; fails the test when it cannot. Freed by the caller with
 * sono_free(). n_bytes may be NULL. */
uint8_t *sono_test_read_file(const char *path, size_t *n_bytes);

#endif
