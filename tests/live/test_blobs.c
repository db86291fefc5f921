// SPDX-License-Identifier: Apache-2.0
/* Message memory: counted users, memory used again without an allocation, a bound that holds. */
#include "serve/blobs.h"
#include "test.h"

#include <string.h>

static void the_last_user_gives_it_back(void **state)
{
    (void)state;
    sono_serve_blobs blobs;
    sono_serve_blobs_init(&blobs, 1 << 20);
    sono_serve_blob *blob = sono_serve_blobs_take(&blobs, 5000);
    assert_non_null(blob);
    assert_true(blob->capacity >= 5000);
    memset(blob->bytes, 1, blob->capacity);
    assert_ptr_equal(sono_serve_blob_share(blob), blob);
    sono_serve_blobs_give(&blobs, blob);
    assert_int_equal(blobs.n_lent, 1);
    sono_serve_blob *other = sono_serve_blobs_take(&blobs, 5000);
    assert_ptr_not_equal(other, blob);
    sono_serve_blobs_give(&blobs, blob);
    assert_ptr_equal(sono_serve_blobs_take(&blobs, 8192), blob);
    sono_serve_blobs_give(&blobs, blob);
    sono_serve_blobs_give(&blobs, other);
    sono_serve_blobs_give(&blobs, NULL);
    assert_int_equal(blobs.n_lent, 0);
    assert_int_equal(blobs.n_allocations, 2);
    sono_serve_blobs_trim(&blobs);
    assert_int_equal(blobs.held_bytes, 0);
}

static void steady_use_allocates_nothing(void **state)
{
    (void)state;
    sono_serve_blobs blobs;
    sono_serve_blobs_init(&blobs, 64 << 20);
    sono_serve_blob *queue[8] = {0};
    uint64_t warm = 0;
    for (int n = 0; n < 1000; n++) {
        sono_serve_blobs_give(&blobs, queue[n % 8]);
        queue[n % 8] = sono_serve_blobs_take(&blobs, n % 2 ? 307330 : 300 + (size_t)n);
        assert_non_null(queue[n % 8]);
        if (n == 7)
            warm = blobs.n_allocations;
    }
    assert_int_equal(blobs.n_allocations, warm);
    for (int i = 0; i < 8; i++)
        sono_serve_blobs_give(&blobs, queue[i]);
    sono_serve_blobs_trim(&blobs);
}

/* What is free in another size makes room; what is lent does not. */
static void the_bound_holds(void **state)
{
    (void)state;
    sono_serve_blobs blobs;
    sono_serve_blobs_init(&blobs, 65536);
    sono_serve_blob *large = sono_serve_blobs_take(&blobs, 65536);
    assert_non_null(large);
    assert_null(sono_serve_blobs_take(&blobs, 1));
    assert_int_equal(blobs.n_refused, 1);
    sono_serve_blobs_give(&blobs, large);
    sono_serve_blob *small = sono_serve_blobs_take(&blobs, 1);
    assert_non_null(small);
    assert_int_equal(blobs.held_bytes, 4096);
    assert_null(sono_serve_blobs_take(&blobs, 65536));
    assert_null(sono_serve_blobs_take(&blobs, SIZE_MAX));
    assert_int_equal(blobs.n_refused, 3);
    sono_serve_blobs_give(&blobs, small);
    sono_serve_blobs_trim(&blobs);
    assert_int_equal(blobs.held_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_user_gives_it_back),
        cmocka_unit_test(steady_use_allocates_nothing),
        cmocka_unit_test(the_bound_holds),
    };
    return sono_test_run("live/blobs", tests, sizeof(tests) / sizeof(tests[0]));
}
