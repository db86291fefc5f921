// SPDX-License-Identifier: Apache-2.0
/* The checksum: both ways to compute it against one bit at a time, at every alignment and length, whole and
 * in pieces. */
#include "igtl/crc.h"
#include "test.h"

#include <string.h>

#define N_ALIGNMENTS 16
#define MAX_LENGTH   400 /* several rounds of four blocks, every remainder */

typedef uint64_t crc_function(uint64_t crc, const void *bytes, size_t n_bytes);

static uint8_t bytes[N_ALIGNMENTS + 4096];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t bit_by_bit(uint64_t crc, const uint8_t *at, size_t n_bytes)
{
    for (size_t i = 0; i < 8 * n_bytes; i++) {
        const uint64_t bit = (crc >> 63) ^ (at[i / 8] >> (7 - i % 8) & 1);
        crc = crc << 1 ^ (bit ? UINT64_C(0x42f0e1eba9ea3693) : 0);
    }
    return crc;
}

static int fill(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(next_random(&random) >> 32);
    return 0;
}

static void assert_every_length(crc_function *crc64)
{
    for (size_t from = 0; from < N_ALIGNMENTS; from++) {
        for (size_t n = 0; n <= MAX_LENGTH; n++) {
            const uint64_t before = n * 0x9e3779b97f4a7c15u;
            const uint64_t crc = crc64(before, bytes + from, n);
            if (crc != bit_by_bit(before, bytes + from, n))
                fail_msg("%zu bytes from %zu give %016llx", n, from, (unsigned long long)crc);
        }
    }
}

/* Cut anywhere, the pieces must give what the whole gives. */
static void assert_continues(crc_function *crc64)
{
    uint64_t random = 1;
    const uint64_t whole = bit_by_bit(0, bytes, sizeof bytes);
    assert_true(crc64(0, bytes, sizeof bytes) == whole);
    for (int round = 0; round < 200; round++) {
        uint64_t crc = 0;
        for (size_t at = 0; at < sizeof bytes;) {
            size_t n = next_random(&random) % 300;
            n = n < sizeof bytes - at ? n : sizeof bytes - at;
            crc = crc64(crc, bytes + at, n);
            at += n;
        }
        assert_true(crc == whole);
    }
}

static void test_known(void **state)
{
    (void)state;
    assert_true(sono_igtl_crc64(0, "123456789", 9) == UINT64_C(0x6c40df5f0b497347));
    assert_true(sono_igtl_crc64(0, NULL, 0) == 0);
    assert_true(sono_igtl_crc64(7, NULL, 0) == 7);
}

static void test_chosen(void **state)
{
    (void)state;
    assert_every_length(sono_igtl_crc64);
    assert_continues(sono_igtl_crc64);
}

static void test_tables(void **state)
{
    (void)state;
    assert_every_length(sono_igtl_crc64_by_tables);
    assert_continues(sono_igtl_crc64_by_tables);
}

static void test_folding(void **state)
{
    (void)state;
    if (!sono_igtl_crc64_can_fold())
        sono_test_skip("this CPU does not multiply without carry");
    assert_every_length(sono_igtl_crc64_by_folding);
    assert_continues(sono_igtl_crc64_by_folding);
}

/* One bit more or less in each position changes the result. */
static void test_every_bit_counts(void **state)
{
    (void)state;
    uint8_t copy[130];
    memcpy(copy, bytes, sizeof copy);
    const uint64_t crc = sono_igtl_crc64(0, copy, sizeof copy);
    for (size_t i = 0; i < 8 * sizeof copy; i++) {
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(sono_igtl_crc64(0, copy, sizeof copy) != crc);
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_every_bit_counts),
    };
    return sono_test_run_with("igtl/crc", tests, sizeof(tests) / sizeof(tests[0]), fill, NULL);
}
