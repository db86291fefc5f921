// SPDX-License-Identifier: Apache-2.0
/* Pictures' names: unique whatever the inputs are called. */
#include "test.h"

#include "io/folder/stems.h"

#include <stdio.h>
#include <string.h>

static void expect_stem(const char *source, const char *expected)
{
    char stem[SONO_STEM_BYTES];
    sono_stem_of(source, stem);
    assert_string_equal(stem, expected);
}

static void test_stem_of(void **state)
{
    (void)state;
    expect_stem("b.png", "b");
    expect_stem("a/b.png", "b");
    expect_stem("a.b/c", "c");
    expect_stem("x.tar.gz", "x.tar");
    expect_stem(".png", ".png");
    expect_stem("a/", "frame");
    expect_stem("", "frame");
}

/* Bytes that are no text are spelled out, and what is spelled so already is told apart. */
static void test_escapes(void **state)
{
    (void)state;
    expect_stem("in/k\xf6rper.png", "k%F6rper");
    expect_stem("k%F6rper.png", "k%25F6rper");
    expect_stem("k\xc3\xb6rper.png", "k\xc3\xb6rper");
    expect_stem("a\nb.png", "a%0Ab");
    expect_stem("a%20b.png", "a%20b");
    expect_stem("\xff", "%FF");
}

/* Undoes the escape as io.h words it. */
static void unescape(const char *text, char out[64])
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text; text++) {
        const char *high = text[0] == '%' && text[1] ? strchr(digits, text[1]) : NULL;
        const char *low = high && text[2] ? strchr(digits, text[2]) : NULL;
        const int byte = low ? (int)(16 * (high - digits) + (low - digits)) : 'a';
        const int is_escape = byte < 0x20 || byte == '%' || byte >= 0x7f;
        *out++ = is_escape ? (char)byte : *text;
        text += is_escape ? 2 : 0;
    }
    *out = 0;
}

/* Every name of up to five of these bytes comes back, so no two have one escape. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char bytes[] = "%025AFa\n\x7f\xc3\xb6\xf6";
    const int n_bytes = (int)sizeof bytes - 1;
    for (int code = 1, n_codes = n_bytes * n_bytes * n_bytes * n_bytes * n_bytes; code < n_codes; code++) {
        char name[8], stem[SONO_STEM_BYTES], back[64];
        int n = 0;
        for (int rest = code; rest; rest /= n_bytes)
            name[n++] = bytes[rest % n_bytes];
        name[n] = 0;
        sono_stem_of(name, stem);
        unescape(stem, back);
        assert_string_equal(back, name);
    }
}

/* 100 letters of two bytes: cut between letters. */
static void test_long_names(void **state)
{
    (void)state;
    char source[400] = "x", stem[SONO_STEM_BYTES];
    for (int i = 0; i < 150; i++)
        memcpy(source + 1 + 2 * i, "\xc3\xb6", 2);
    sono_stem_of(source, stem);
    assert_int_equal(strlen(stem), 199);
    assert_int_equal((unsigned char)stem[198], 0xb6);
    memset(source, 0xff, 300);
    source[300] = 0;
    sono_stem_of(source, stem);
    assert_int_equal(strlen(stem), 198);
    assert_string_equal(stem + 195, "%FF");
}

static void expect_take(sono_stems *stems, const char *source, int32_t n_objects, const char *expected)
{
    char stem[SONO_STEM_BYTES];
    sono_error error = {0};
    assert_ok(sono_stems_take(stems, source, n_objects, stem, &error), &error);
    assert_string_equal(stem, expected);
}

static void test_unique(void **state)
{
    (void)state;
    sono_stems stems = {0};
    expect_take(&stems, "b.png", 1, "b");
    expect_take(&stems, "x/b.jpg", 1, "b_2");
    expect_take(&stems, "b_2.png", 1, "b_2_2");
    expect_take(&stems, "b.png", 1, "b_3");
    expect_take(&stems, "c_obj1.png", 1, "c_obj1");
    expect_take(&stems, "c.png", 2, "c_2");
    expect_take(&stems, "c_2_obj0.png", 1, "c_2_obj0_2");
    expect_take(&stems, "c.png", 1, "c");
    sono_stems_reset(&stems);
    expect_take(&stems, "b.png", 1, "b");
    sono_stems_reset(&stems);
}

/* Ten thousand frames of one name: each found at once, not by counting up from 2. */
static void test_many(void **state)
{
    (void)state;
    sono_stems stems = {0};
    char expected[32];
    expect_take(&stems, "b.png", 1, "b");
    for (int i = 2; i < 10000; i++) {
        snprintf(expected, sizeof expected, "b_%d", i);
        expect_take(&stems, "b.png", 1, expected);
    }
    sono_stems_reset(&stems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_of),    cmocka_unit_test(test_escapes), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_unique),  cmocka_unit_test(test_many),
    };
    return sono_test_run("sink/stems", tests, sizeof tests / sizeof tests[0]);
}
