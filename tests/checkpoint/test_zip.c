// SPDX-License-Identifier: Apache-2.0
/* Deflated entries below the level of checkpoints: unpacked once, and never without bounds. */
#include "base/alloc.h"
#include "checkpoint/zip.h"
#include "support/torch_file.h"
#include "test.h"

#include <string.h>

enum { N_VALUES = 1 << 20 };

static uint32_t noise[N_VALUES]; /* which no packer makes smaller */

static const torch_file_tensor tensor = {.name = "a", .n_dims = 1, .dims = {N_VALUES}, .data = noise};

/* The bytes of a deflated archive; the caller's to sono_free(). */
static uint8_t *write_deflated(torch_file_fault fault, size_t *n_bytes)
{
    char path[SONO_TEST_PATH_BYTES];
    const torch_file_options options = {.deflate = 1, .fault = fault};
    sono_test_path(path, sizeof path, "deflated.pt");
    assert_ok(torch_file_write(path, &tensor, 1, &options), NULL);
    return sono_test_read_file(path, n_bytes);
}

static void unpacked_once(void **state)
{
    (void)state;
    size_t n = 0;
    sono_zip zip;
    sono_error error = {0};
    uint8_t *bytes = write_deflated(TORCH_FILE_WHOLE, &n);
    assert_ok(sono_zip_open(bytes, n, &zip, &error), &error);
    const sono_zip_entry *entry = sono_zip_find(&zip, sono_text_of("archive/data/0"));
    const uint8_t *first = NULL, *second = NULL;
    assert_ok(sono_zip_unpack(&zip, entry, &first, &error), &error);
    assert_int_equal(zip.unpacked_bytes, sizeof noise);
    assert_memory_equal(first, noise, sizeof noise);
    const uint64_t n_requests = sono_alloc_count();
    assert_ok(sono_zip_unpack(&zip, entry, &second, &error), &error);
    assert_ptr_equal(first, second);
    assert_int_equal(sono_alloc_count(), n_requests);
    sono_zip_close(&zip);
    sono_free(bytes);
}

/* 4 MiB that say they were 2 GiB, which deflate could do: refused before memory is asked for. */
static void above_the_limit(void **state)
{
    (void)state;
    size_t n = 0;
    sono_zip zip;
    sono_error error = {0};
    uint8_t *bytes = write_deflated(TORCH_FILE_UNPACKED_BOMB, &n);
    assert_ok(sono_zip_open(bytes, n, &zip, &error), &error);
    const sono_zip_entry *entry = sono_zip_find(&zip, sono_text_of("archive/data/0"));
    const uint8_t *data = NULL;
    const uint64_t n_requests = sono_alloc_count();
    assert_status(SONO_STATUS_UNSUPPORTED, sono_zip_unpack(&zip, entry, &data, &error), &error);
    assert_non_null(strstr(error.text, "more than 1 GiB: save the file again"));
    assert_int_equal(sono_alloc_count(), n_requests);
    assert_null(data);
    sono_zip_close(&zip);
    sono_free(bytes);
}

int main(void)
{
    uint32_t random = 1;
    for (int i = 0; i < N_VALUES; i++)
        noise[i] = random = random * 1664525u + 1013904223u;
    const struct CMUnitTest tests[] = {cmocka_unit_test(unpacked_once), cmocka_unit_test(above_the_limit)};
    return sono_test_run("model/zip", tests, sizeof tests / sizeof *tests);
}
