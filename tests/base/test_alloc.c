// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "test.h"

#include <string.h>

static void test_memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 4096, 100001};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *memory = sono_alloc(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % SONO_ALIGN_BYTES, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(memory[k], 0);
        memset(memory, 0xa5, sizes[i]);
        sono_free(memory);
    }
}

static void test_nothing_asked_for_is_a_pointer_of_its_own(void **state)
{
    (void)state;
    void *a = sono_alloc(0), *b = sono_alloc_array(0, 8), *c = sono_alloc_array(8, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_ptr_not_equal(a, b);
    assert_ptr_not_equal(b, c);
    sono_free(a);
    sono_free(b);
    sono_free(c);
    sono_free(NULL);
}

static void test_impossible_sizes_are_null(void **state)
{
    (void)state;
    assert_null(sono_alloc(SIZE_MAX));
    assert_null(sono_alloc(SIZE_MAX - SONO_ALIGN_BYTES + 1));
    assert_null(sono_alloc_array(SIZE_MAX / 2, 3));
    assert_null(sono_alloc_array((size_t)1 << 33, (size_t)1 << 33));
}

static void test_growing_keeps_what_was_there(void **state)
{
    (void)state;
    int32_t *items = NULL;
    size_t capacity = 0;
    for (int32_t i = 0; i < 1000; i++) {
        const size_t before = capacity;
        assert_int_equal(sono_alloc_grow((void **)&items, &capacity, (size_t)i + 1, sizeof *items), 0);
        assert_true(capacity > (size_t)i);
        assert_true(capacity == before || capacity >= 2 * before);
        items[i] = i;
    }
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    for (size_t i = 1000; i < capacity; i++)
        assert_int_equal(items[i], 0);
    const size_t before = capacity;
    assert_int_equal(sono_alloc_grow((void **)&items, &capacity, 1, sizeof *items), 0);
    assert_int_equal(capacity, before);
    sono_free(items);
}

static void test_failed_growth_changes_nothing(void **state)
{
    (void)state;
    int32_t *items = NULL;
    size_t capacity = 0;
    assert_int_equal(sono_alloc_grow((void **)&items, &capacity, 1, sizeof *items), 0);
    items[0] = 42;
    int32_t *const before = items;
    const size_t capacity_before = capacity;
    sono_alloc_fail_from(1);
    assert_int_equal(sono_alloc_grow((void **)&items, &capacity, capacity + 1, sizeof *items), -1);
    sono_alloc_fail_from(0);
    assert_int_equal(sono_alloc_grow((void **)&items, &capacity, SIZE_MAX / 2, sizeof *items), -1);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, capacity_before);
    assert_int_equal(items[0], 42);
    sono_free(items);
}

static void test_injected_failures(void **state)
{
    (void)state;
    const uint64_t count = sono_alloc_count();
    sono_alloc_fail_from(3);
    void *first = sono_alloc(8);
    char *second = sono_strdup("text");
    assert_non_null(first);
    assert_string_equal(second, "text");
    assert_null(sono_alloc(8));
    assert_null(sono_strdup("text"));
    assert_null(sono_alloc_array(1, 8));
    sono_alloc_fail_from(0);
    void *third = sono_alloc(8);
    assert_non_null(third);
    assert_int_equal(sono_alloc_count() - count, 6);
    sono_free(first);
    sono_free(second);
    sono_free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_nothing_asked_for_is_a_pointer_of_its_own),
        cmocka_unit_test(test_impossible_sizes_are_null),
        cmocka_unit_test(test_growing_keeps_what_was_there),
        cmocka_unit_test(test_failed_growth_changes_nothing),
        cmocka_unit_test(test_injected_failures),
    };
    return sono_test_run("base/alloc", tests, sizeof(tests) / sizeof(tests[0]));
}
