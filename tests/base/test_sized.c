// SPDX-License-Identifier: Apache-2.0
/* Sized structs between callers and libraries of different ages, with canaries behind the caller's. */
#include "test.h"

#include "base/sized.h"

#include <string.h>

typedef struct small {
    size_t struct_size;
    int32_t a, b;
} small;

typedef struct large {
    size_t struct_size;
    int32_t a, b;
    int64_t c;
} large;

#define CANARY 0x5a

typedef struct guarded {
    union {
        small small;
        large large;
    } is;
    uint8_t canary[32];
} guarded;

static guarded fresh(void)
{
    guarded g;
    memset(&g, CANARY, sizeof g);
    return g;
}

/* Nothing from the struct's end on was written to. */
static void expect_canary(const guarded *g, size_t n_bytes)
{
    const uint8_t *bytes = (const void *)g;
    for (size_t i = n_bytes; i < sizeof *g; i++)
        assert_int_equal(bytes[i], CANARY);
}

static void test_init(void **state)
{
    (void)state;
    const large newer = {sizeof newer, 1, 2, 3};
    const small older = {sizeof older, 1, 2};
    guarded g = fresh();
    sono_sized_init(&g, sizeof(small), &newer, sizeof newer);
    expect_canary(&g, sizeof(small));
    assert_int_equal(g.is.small.struct_size, sizeof(small));
    assert_int_equal(g.is.small.b, 2);
    g = fresh();
    sono_sized_init(&g, sizeof(large), &older, sizeof older);
    expect_canary(&g, sizeof(large));
    assert_int_equal(g.is.large.struct_size, sizeof(large));
    assert_int_equal(g.is.large.b, 2);
    assert_int_equal(g.is.large.c, 0);
    g = fresh();
    sono_sized_init(&g, 4, &older, sizeof older);
    expect_canary(&g, 0);
    sono_sized_init(NULL, sizeof(small), &older, sizeof older);
}

static void test_read(void **state)
{
    (void)state;
    sono_error error = {0};
    const small older = {sizeof older, 5, 6};
    large out = {sizeof out, 1, 2, 3};
    assert_ok(sono_sized_read(&older, sizeof(small), &out, sizeof out, "small", &error), &error);
    assert_true(out.struct_size == sizeof out && out.a == 5 && out.b == 6 && out.c == 3);

    large newer = {sizeof newer, 7, 8, 0};
    small known = {sizeof known, 1, 2};
    assert_ok(sono_sized_read(&newer, sizeof(small), &known, sizeof known, "large", &error), &error);
    assert_true(known.struct_size == sizeof known && known.a == 7 && known.b == 8);
    newer.c = 1;
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_sized_read(&newer, sizeof(small), &known, sizeof known, "large", &error), &error);
    assert_non_null(strstr(error.text, "large has 24 bytes, this library knows 16"));
}

static void test_not_initialised(void **state)
{
    (void)state;
    sono_error error = {0};
    const size_t sizes[] = {0, 8, 15, 65537, SIZE_MAX};
    small known = {sizeof known, 1, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const large given = {sizes[i], 7, 8, 9};
        guarded g = fresh();
        g.is.large = given;
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      sono_sized_read(&given, sizeof(small), &known, sizeof known, "sono_thing", &error),
                      &error);
        assert_non_null(strstr(error.text, "sono_thing_init()"));
        assert_status(SONO_STATUS_INVALID_ARGUMENT,
                      sono_sized_write(&g, sizeof(small), &known, sizeof known, "sono_thing", &error),
                      &error);
        expect_canary(&g, sizeof(large));
        assert_int_equal(g.is.large.c, 9);
    }
    assert_true(known.a == 1 && known.b == 2);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_sized_read(NULL, sizeof(small), &known, sizeof known, "sono_thing", &error), &error);
}

static void test_write(void **state)
{
    (void)state;
    sono_error error = {0};
    const large found = {sizeof found, 1, 2, 3};
    guarded g = fresh();
    g.is.small.struct_size = sizeof(small);
    assert_ok(sono_sized_write(&g, sizeof(small), &found, sizeof found, "small", &error), &error);
    expect_canary(&g, sizeof(small));
    assert_true(g.is.small.struct_size == sizeof(small) && g.is.small.b == 2);
    const small little = {sizeof little, 4, 5};
    g = fresh();
    g.is.large.struct_size = sizeof(large);
    assert_ok(sono_sized_write(&g, sizeof(small), &little, sizeof little, "large", &error), &error);
    expect_canary(&g, sizeof(large));
    assert_true(g.is.large.struct_size == sizeof(large) && g.is.large.b == 5 && g.is.large.c == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_not_initialised),
        cmocka_unit_test(test_write),
    };
    return sono_test_run("base/sized", tests, sizeof tests / sizeof tests[0]);
}
