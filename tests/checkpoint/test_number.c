// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/number.h"
#include "base/sha256.h"
#include "test.h"

#include <math.h>
#include <string.h>

/* Value of a half by its definition (IEEE 754-2008, 3.4). */
static double half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return exponent ? sign * ldexp(1024 + fraction, exponent - 25) : sign * ldexp(fraction, -24);
}

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = sono_half_to_float((uint16_t)bits);
        const double expected = half_value((uint16_t)bits);
        if (isnan(expected)) {
            assert_true(isnan(value));
            assert_true(isnan(half_value(sono_half_from_float(value))));
            continue;
        }
        assert_true((double)value == expected && !signbit(value) == !(bits >> 15));
        assert_int_equal(sono_half_from_float(value), bits);
    }
}

/* Between every two neighbours: below, at and above the middle. */
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        const float low = (float)half_value(bits), high = (float)half_value((uint16_t)(bits + 1));
        const float middle = (low + high) / 2;
        assert_int_equal(sono_half_from_float(nextafterf(middle, low)), bits);
        assert_int_equal(sono_half_from_float(nextafterf(middle, high)), bits + 1);
        assert_int_equal(sono_half_from_float(middle), bits + (bits & 1));
        assert_int_equal(sono_half_from_float(-middle), 0x8000 | (bits + (bits & 1)));
    }
    assert_int_equal(sono_half_from_float(65519.996f), 0x7bff);
    assert_int_equal(sono_half_from_float(65520.0f), 0x7c00);
    assert_int_equal(sono_half_from_float(1e-10f), 0);
}

static void every_dtype_becomes_a_float(void **state)
{
    (void)state;
    static const struct {
        sono_dtype dtype;
        uint8_t bytes[8];
        float expected;
    } cases[] = {
        {SONO_DTYPE_F32, {0, 0, 0xc0, 0xbf}, -1.5f},
        {SONO_DTYPE_F32, {1, 0, 0, 0}, 0x1p-149f},
        {SONO_DTYPE_F16, {0, 0xbe}, -1.5f},
        {SONO_DTYPE_F16, {1, 0}, 0x1p-24f},
        {SONO_DTYPE_BF16, {0xc0, 0xbf}, -1.5f},
        {SONO_DTYPE_BF16, {1, 0}, 0x1p-133f},
        {SONO_DTYPE_F64, {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, -1.5f},
        {SONO_DTYPE_I64, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2.0f},
        {SONO_DTYPE_I32, {0, 0, 0, 0x80}, -2147483648.0f},
        {SONO_DTYPE_I16, {0, 0x80}, -32768.0f},
        {SONO_DTYPE_I8, {0x80}, -128.0f},
        {SONO_DTYPE_U8, {0x80}, 128.0f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float value = 0;
        sono_number_to_f32(cases[i].dtype, cases[i].bytes, 1, 1, &value);
        assert_true(value == cases[i].expected);
    }
}

static void hashes_are_sha256(void **state)
{
    (void)state;
    static char many[1000];
    static const struct {
        size_t n_bytes;
        const char *text;
        const char *expected;
    } cases[] = {
        /* FIPS 180-4's examples; 1000 times 'a' by sha256sum */
        {0, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {3, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {56, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {1000, many, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"},
    };
    memset(many, 'a', sizeof many);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char hash[65];
        sono_sha256_hex(cases[i].text, cases[i].n_bytes, hash);
        assert_string_equal(hash, cases[i].expected);
        for (size_t piece = 1; piece <= 130; piece++) {
            sono_sha256 pieces;
            sono_sha256_begin(&pieces);
            for (size_t at = 0; at < cases[i].n_bytes; at += piece)
                sono_sha256_add(&pieces, cases[i].text + at,
                                piece < cases[i].n_bytes - at ? piece : cases[i].n_bytes - at);
            sono_sha256_end(&pieces, hash);
            assert_string_equal(hash, cases[i].expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(every_dtype_becomes_a_float),
        cmocka_unit_test(hashes_are_sha256),
    };
    return sono_test_run("model/number", tests, sizeof tests / sizeof *tests);
}
