// SPDX-License-Identifier: Apache-2.0
/* Pickles made to take memory or time: bounded, and no deeper on the stack than any other. */
#include "base/alloc.h"
#include "checkpoint/pickle.h"
#include "test.h"

#include <string.h>

typedef struct pickle_bytes {
    uint8_t *bytes;
    size_t n, capacity;
} pickle_bytes;

static void put(pickle_bytes *b, const char *bytes, size_t n)
{
    assert_int_equal(sono_alloc_grow((void **)&b->bytes, &b->capacity, b->n + n, 1), 0);
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

static void put_times(pickle_bytes *b, size_t times, const char *bytes, size_t n)
{
    for (size_t i = 0; i < times; i++)
        put(b, bytes, n);
}

#define PUT(b, text)              put((b), (text), sizeof(text) - 1)
#define PUT_TIMES(b, times, text) put_times((b), (times), (text), sizeof(text) - 1)

static sono_status read_it(const pickle_bytes *b, sono_pickle *out, sono_error *error)
{
    return sono_pickle_read(b->bytes, b->n, 0, out, error);
}

/* Objects in objects, calls of what calls made, attributes that hold one another: values without contents. */
static void inert_objects_nest(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    pickle_bytes b = {0};
    sono_pickle pickle;
    sono_error error = {0};
    PUT(&b, "\x80\x02"
            "ca\nB\nq\0)\x81");
    PUT_TIMES(&b, DEPTH, "h\0q\1)\x81h\1b)R");
    PUT_TIMES(&b, DEPTH, "\x85");
    PUT(&b, ".");
    assert_ok(read_it(&b, &pickle, &error), &error);
    char name[8];
    assert_string_equal(sono_pickle_foreign_name(&pickle, pickle.first_inert, name, sizeof name), "a.B");
    assert_int_equal(pickle.n_inert, DEPTH + 1);
    sono_pickle_close(&pickle);
    sono_free(b.bytes);
}

/* Each level holds the one below twice: 2^1000 leaves for whoever walks them. */
static void doubling_costs_a_value_a_level(void **state)
{
    (void)state;
    enum { LEVELS = 1000 };
    pickle_bytes b = {0};
    sono_pickle pickle;
    sono_error error = {0};
    PUT(&b, "\x80\x02)q\1");
    PUT_TIMES(&b, LEVELS, "h\1\x86q\1");
    PUT(&b, ".");
    assert_ok(read_it(&b, &pickle, &error), &error);
    assert_true(pickle.n_values < LEVELS + 10);
    sono_pickle_close(&pickle);
    sono_free(b.bytes);
}

static void limits_hold(void **state)
{
    (void)state;
    pickle_bytes b = {0};
    sono_pickle pickle;
    sono_error error = {0};
    PUT(&b, "\x80\x02");
    PUT_TIMES(&b, 5000000, "N0");
    PUT(&b, "N.");
    assert_status(SONO_STATUS_UNSUPPORTED, read_it(&b, &pickle, &error), &error);
    assert_non_null(strstr(error.text, "more than 4194304 values; save only model.state_dict()"));
    b.n = 0;
    PUT(&b, "\x80\x02");
    PUT_TIMES(&b, 2200000, "N0");
    PUT(&b, "Nr\xff\xff\x3f\0"
            "Nr\0\0\x40\0.");
    assert_status(SONO_STATUS_FORMAT, read_it(&b, &pickle, &error), &error);
    assert_non_null(strstr(error.text, "memo number 4194304 is out of range"));
    sono_free(b.bytes);
}

static void calls_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n_bytes;
        sono_status status;
        const char *reason;
    } cases[] = {
#define CASE(bytes, status, reason) {"\x80\x02" bytes, sizeof("\x80\x02" bytes) - 1, status, reason}
        CASE("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN)tR.",
             SONO_STATUS_FORMAT, "_rebuild_from_type_v2 calls something"),
        CASE("ctorch._tensor\n_rebuild_from_type_v2\n(NN)tR.", SONO_STATUS_FORMAT, "calls something"),
        CASE("ctorch._tensor\n_rebuild_from_type_v2\n)R.", SONO_STATUS_FORMAT, "wrong arguments"),
        CASE("ctorch._utils\n_rebuild_tensor_v3\n)R.", SONO_STATUS_FORMAT, "v3 has wrong arguments"),
        CASE("ctorch\nfloat32\n)R.", SONO_STATUS_FORMAT, "no function"),
        CASE("ca\nB\nNR.", SONO_STATUS_FORMAT, "arguments that are no tuple"),
        CASE("K\1)R.", SONO_STATUS_FORMAT, "no class"),
        CASE("(ca\nB\n)R1N.", SONO_STATUS_OK, ""),
        CASE("ca\nB\n)}\x92.", SONO_STATUS_OK, ""),
        CASE("cos\nsystem\n.", SONO_STATUS_UNSUPPORTED, "'os.system', which no weights need"),
        CASE("cnt\nsystem\n.", SONO_STATUS_UNSUPPORTED, "do not trust this file"),
        CASE("(X\7\0\0\0storageca\nB\nX\1\0\0\0"
             "0X\3\0\0\0cpuK\1tQ.",
             SONO_STATUS_OK, ""),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sono_pickle pickle;
        sono_error error = {0};
        const sono_status status =
            sono_pickle_read((const uint8_t *)cases[i].bytes, cases[i].n_bytes, 0, &pickle, &error);
        assert_status(cases[i].status, status, &error);
        assert_non_null(strstr(error.text, cases[i].reason));
        if (status == SONO_STATUS_OK)
            sono_pickle_close(&pickle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inert_objects_nest),
        cmocka_unit_test(doubling_costs_a_value_a_level),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(calls_that_make_no_sense),
    };
    return sono_test_run("model/pickle", tests, sizeof tests / sizeof *tests);
}
