// SPDX-License-Identifier: Apache-2.0
/*
 * CRC-64/ECMA-182 (ECMA-182, annex B): the remainder of message(x) * x^64 by P(x), most significant bit
 * first.
 *
 * Tables: entry b of table k is b(x) * x^(64 + 8k) mod P, so that eight bytes at once become eight look-ups.
 *
 * Folding: a block A of 128 bits that stands d bits before another one is A(x) * x^d, which by halves is
 * A_high * (x^(d+64) mod P) + A_low * (x^d mod P): two carry-less products of at most 127 bits, added to the
 * other block without changing the remainder (V. Gopal et al., "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ Instruction", Intel, 2009; here in the bit order that is not reflected). Four blocks are
 * folded side by side, since one product waits for the one before; the last block goes through the tables.
 */
#include "igtl/crc.h"
#include "igtl/wire.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define WITH_FOLDING 1
#else
#define WITH_FOLDING 0
#endif

#define POLYNOMIAL UINT64_C(0x42f0e1eba9ea3693)
#define N_TABLES   8
#define MIN_FOLDED 64 /* bytes; folding starts with four blocks */

typedef uint64_t crc_function(uint64_t crc, const void *bytes, size_t n_bytes);

static uint64_t tables[N_TABLES][256];
static crc_function *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void)
{
    for (uint64_t byte = 0; byte < 256; byte++) {
        uint64_t rest = byte << 56;
        for (int bit = 0; bit < 8; bit++)
            rest = rest >> 63 ? rest << 1 ^ POLYNOMIAL : rest << 1;
        tables[0][byte] = rest;
    }
    for (int k = 1; k < N_TABLES; k++) {
        for (int byte = 0; byte < 256; byte++) {
            const uint64_t before = tables[k - 1][byte];
            tables[k][byte] = before << 8 ^ tables[0][before >> 56];
        }
    }
    chosen = sono_igtl_crc64_can_fold() ? sono_igtl_crc64_by_folding : sono_igtl_crc64_by_tables;
}

static uint64_t look_up(uint64_t crc, const uint8_t *at, size_t n_bytes)
{
    for (; n_bytes >= 8; at += 8, n_bytes -= 8) {
        crc ^= wire_u64(at);
        crc = tables[7][crc >> 56] ^ tables[6][crc >> 48 & 255] ^ tables[5][crc >> 40 & 255] ^
              tables[4][crc >> 32 & 255] ^ tables[3][crc >> 24 & 255] ^ tables[2][crc >> 16 & 255] ^
              tables[1][crc >> 8 & 255] ^ tables[0][crc & 255];
    }
    for (; n_bytes; at++, n_bytes--)
        crc = crc << 8 ^ tables[0][crc >> 56 ^ *at];
    return crc;
}

uint64_t sono_igtl_crc64_by_tables(uint64_t crc, const void *bytes, size_t n_bytes)
{
    (void)pthread_once(&once, choose);
    return look_up(crc, bytes, n_bytes);
}

#if WITH_FOLDING

#define FOLDS __attribute__((target("pclmul,ssse3")))

/* x^(d+64) mod P and x^d mod P. */
#define FOLD_BY_512_HIGH (int64_t) UINT64_C(0xddf4b6981205b83f)
#define FOLD_BY_512_LOW  INT64_C(0x5f6843ca540df020)
#define FOLD_BY_128_HIGH INT64_C(0x4eb938a7d257740e)
#define FOLD_BY_128_LOW  INT64_C(0x05f5c3c7eb52fab6)

/* 16 bytes as one number, the first byte the most significant. */
FOLDS static inline __m128i load_block(const uint8_t *at)
{
    const __m128i backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), backwards);
}

FOLDS static inline __m128i fold(__m128i block, __m128i by, __m128i onto)
{
    const __m128i high = _mm_clmulepi64_si128(block, by, 0x11);
    const __m128i low = _mm_clmulepi64_si128(block, by, 0x00);
    return _mm_xor_si128(_mm_xor_si128(high, low), onto);
}

FOLDS uint64_t sono_igtl_crc64_by_folding(uint64_t crc, const void *bytes, size_t n_bytes)
{
    const __m128i by_512 = _mm_set_epi64x(FOLD_BY_512_HIGH, FOLD_BY_512_LOW);
    const __m128i by_128 = _mm_set_epi64x(FOLD_BY_128_HIGH, FOLD_BY_128_LOW);
    const uint8_t *at = bytes;
    uint8_t last[16];
    (void)pthread_once(&once, choose);
    if (n_bytes < MIN_FOLDED)
        return look_up(crc, at, n_bytes);
    __m128i a = _mm_xor_si128(load_block(at), _mm_set_epi64x((int64_t)crc, 0));
    __m128i b = load_block(at + 16);
    __m128i c = load_block(at + 32);
    __m128i d = load_block(at + 48);
    for (at += 64, n_bytes -= 64; n_bytes >= 64; at += 64, n_bytes -= 64) {
        a = fold(a, by_512, load_block(at));
        b = fold(b, by_512, load_block(at + 16));
        c = fold(c, by_512, load_block(at + 32));
        d = fold(d, by_512, load_block(at + 48));
    }
    a = fold(fold(fold(a, by_128, b), by_128, c), by_128, d);
    for (; n_bytes >= 16; at += 16, n_bytes -= 16)
        a = fold(a, by_128, load_block(at));
    const __m128i backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm_storeu_si128((__m128i *)(void *)last, _mm_shuffle_epi8(a, backwards));
    return look_up(look_up(0, last, sizeof last), at, n_bytes);
}

int sono_igtl_crc64_can_fold(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("ssse3");
}

#else

uint64_t sono_igtl_crc64_by_folding(uint64_t crc, const void *bytes, size_t n_bytes)
{
    return sono_igtl_crc64_by_tables(crc, bytes, n_bytes);
}

int sono_igtl_crc64_can_fold(void)
{
    return 0;
}

#endif

uint64_t sono_igtl_crc64(uint64_t crc, const void *bytes, size_t n_bytes)
{
    (void)pthread_once(&once, choose);
    return chosen(crc, bytes, n_bytes);
}
