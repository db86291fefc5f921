// SPDX-License-Identifier: Apache-2.0
/* Values in JSON text by their paths, and text that is cut or broken. */
#include "json_find.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "{\"a\":1.5,\"b\":{\"c\":[10,{\"d\":-2e1},\"x,]}\"],\"e\":null,\"f\":true},\n "
                           "\"g\" : \"q\\\"\\\\ \\u0041\\n\\u001b[1m\", \"h\":{},\"i\":[]}";

static void test_values(void **state)
{
    (void)state;
    char word[32], key[4];
    assert_true(json_number(text, "a") == 1.5);
    assert_true(isnan(json_number(text, "b")) && isnan(json_number(text, "b.e")) &&
                isnan(json_number(text, "b.f")));
    assert_true(isnan(json_number(text, "c")) && isnan(json_number(text, "a.c")) &&
                isnan(json_number(text, "h.a")));
    assert_true(json_is_true(text, "b.f") && !json_is_true(text, "b.e") && !json_is_true(text, "no"));
    const char *list = json_find(text, "b.c");
    assert_true(json_number(json_element(list, 0, NULL, 0), "") == 10);
    assert_true(json_number(json_element(list, 1, NULL, 0), "d") == -20);
    assert_string_equal(json_text(json_element(list, 2, NULL, 0), "", word, sizeof word), "x,]}");
    assert_null(json_element(list, 3, NULL, 0));
    assert_null(json_element(json_find(text, "i"), 0, NULL, 0));
    assert_null(json_element(json_find(text, "a"), 0, NULL, 0));
    assert_non_null(json_element(text, 1, key, sizeof key));
    assert_string_equal(key, "b");
    assert_non_null(json_element(json_find("{\"longer\":7}", ""), 0, key, sizeof key));
    assert_string_equal(key, "lon");
}

static void test_members(void **state)
{
    (void)state;
    json_member members[8];
    const int n = json_members(text, members, 8);
    assert_int_equal(n, 5);
    assert_true(json_number(json_value(members, n, "a"), "") == 1.5);
    assert_true(json_number(json_element(json_find(json_value(members, n, "b"), "c"), 0, NULL, 0), "") == 10);
    assert_ptr_equal(json_value(members, n, "i"), json_find(text, "i"));
    assert_null(json_value(members, n, "c"));
    assert_int_equal(json_members(text, members, 2), 2);
    assert_int_equal(json_members("[1]", members, 8), 0);
    assert_int_equal(json_members("{}", members, 8), 0);
    assert_int_equal(json_members(NULL, members, 8), 0);
    assert_int_equal(json_members("{\"a\":1,\"b\":", members, 8), 1);
}

static void test_text(void **state)
{
    (void)state;
    char word[32], small[4];
    assert_string_equal(json_text(text, "g", word, sizeof word), "q\"\\ ?0041??001b[1m");
    assert_string_equal(json_text(text, "g", small, sizeof small), "q\"\\");
    assert_string_equal(json_text(text, "a", word, sizeof word), "");
    assert_string_equal(json_text("{\"a\":\"\x1b\x7f\"}", "a", word, sizeof word), "??");
}

static void count_member(void *user, const char *key, size_t n_key, const char *value)
{
    char *names = user;
    snprintf(names + strlen(names), 64 - strlen(names), "%.*s%c ", (int)n_key, key, *value);
}

static void test_each_member(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",          "[1]",    "{\"a\": 1", "{\"a\": 1,", "{\"a\": 1,}", "{\"a\": 1} x",
        "{\"a\" 1}", "{a: 1}", "{\"a\":}",  "{} {}"};
    char names[64] = "";
    assert_int_equal(json_each_member(" {\"a\": [1, {\"b\": 2}], \"c\":{\"d\":3} , \"e}\": \"}\"} \n",
                                      count_member, names),
                     0);
    assert_string_equal(names, "a[ c{ e}\" ");
    assert_int_equal(json_each_member(" { } ", count_member, names), 0);
    assert_string_equal(names, "a[ c{ e}\" ");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        names[0] = 0;
        assert_int_equal(json_each_member(broken[i], count_member, names), -1);
    }
}

/* Each text in a block of its own, so that a sanitizer sees what is read behind its end. */
static void look(const char *bytes, size_t n_bytes)
{
    char *copy = malloc(n_bytes + 1), word[8];
    assert_non_null(copy);
    memcpy(copy, bytes, n_bytes);
    copy[n_bytes] = 0;
    char names[64] = "";
    json_each_member(copy, count_member, names);
    json_member members[8];
    json_members(copy, members, 8);
    json_number(copy, "b.c.d");
    json_text(copy, "g", word, sizeof word);
    for (int i = 0; i < 5; i++)
        json_element(json_find(copy, "b"), i, word, sizeof word);
    assert_true(isnan(json_number(copy, "nowhere")));
    free(copy);
}

static void test_broken(void **state)
{
    (void)state;
    static const char *const broken[] = {"",       " ",       "{",        "[",    "]",   "{]",  "{\"", "{\"a",
                                         "{\"a\"", "{\"a\":", "{\"a\":}", "{:1}", "{,}", "[,]", "\"\\"};
    for (size_t n = 0; n <= strlen(text); n++)
        look(text, n);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        look(broken[i], strlen(broken[i]));
    char deep[400];
    memset(deep, '[', sizeof deep);
    look(deep, sizeof deep);
    assert_null(json_find(NULL, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_members),
                                       cmocka_unit_test(test_each_member), cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_broken)};
    return sono_test_run("tools/json_find", tests, sizeof tests / sizeof tests[0]);
}
