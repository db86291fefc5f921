// SPDX-License-Identifier: Apache-2.0
#include "io/numbers.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBERS      16
#define MAX_NUMBER_BYTES 64 /* of one; more digits say nothing that a double can hold */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

int sono_numbers_whole(const char *text, int64_t low, int64_t high, int n, int64_t *out)
{
    int64_t found[MAX_NUMBERS];
    for (int i = 0; i < n; i++) {
        text = skip_blanks(text);
        const int is_negative = *text == '-';
        const char *digit = text + (is_negative || *text == '+');
        if (!isdigit((unsigned char)*digit))
            return -1;
        int64_t value = 0;
        for (; isdigit((unsigned char)*digit); digit++)
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, *digit - '0', &value))
                return -1;
        found[i] = is_negative ? -value : value;
        if (found[i] < low || found[i] > high || (*digit && !strchr(" \t", *digit)))
            return -1;
        text = digit;
    }
    if (*skip_blanks(text))
        return -1;
    memcpy(out, found, (size_t)n * sizeof *out);
    return 0;
}

/* One number, as double and as float; -1 = there is none. */
static int parse(const char **text, locale_t locale, double *out, float *narrow)
{
    char *end;
    const char *begin = skip_blanks(*text);
    const size_t n = strcspn(begin, " \t");
    if (!n || n >= MAX_NUMBER_BYTES || strspn(begin, "+-.0123456789eE") < n)
        return -1;
    *out = strtod_l(begin, &end, locale);
    if (end != begin + n || !isfinite(*out))
        return -1;
    *narrow = strtof_l(begin, &end, locale);
    if (!isfinite(*narrow))
        return -1;
    *text = end;
    return 0;
}

static int parse_all(const char *text, int n, double *out, float *narrow)
{
    const locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    int status = locale ? 0 : -1;
    for (int i = 0; i < n && !status; i++)
        status = parse(&text, locale, &out[i], &narrow[i]);
    if (locale)
        freelocale(locale);
    return status || *skip_blanks(text) ? -1 : 0;
}

int sono_numbers_double(const char *text, int n, double *out)
{
    double found[MAX_NUMBERS];
    float narrow[MAX_NUMBERS];
    if (parse_all(text, n, found, narrow))
        return -1;
    memcpy(out, found, (size_t)n * sizeof *out);
    return 0;
}

int sono_numbers_float(const char *text, int n, float *out)
{
    double found[MAX_NUMBERS];
    float narrow[MAX_NUMBERS];
    if (parse_all(text, n, found, narrow))
        return -1;
    memcpy(out, narrow, (size_t)n * sizeof *out);
    return 0;
}

/* digits * 10^power, cut off; -1 = beyond 64 bits */
static int scale(uint64_t digits, int64_t power, uint64_t *out)
{
    for (; power < 0 && digits; power++)
        digits /= 10;
    for (; power > 0 && digits; power--)
        if (__builtin_mul_overflow(digits, 10u, &digits))
            return -1;
    *out = digits;
    return 0;
}

int sono_numbers_ns(const char *text, int64_t *out)
{
    uint64_t digits = 0, ns;
    int64_t power = 9, exponent = 0;
    int n_digits = 0, is_after_point = 0;
    text = skip_blanks(text);
    const int is_negative = *text == '-';
    text += is_negative || *text == '+';
    for (; isdigit((unsigned char)*text) || (*text == '.' && !is_after_point); text++) {
        if (*text == '.') {
            is_after_point = 1;
            continue;
        }
        n_digits++;
        if (is_after_point && digits > UINT64_MAX / 20)
            continue; /* far below a nanosecond, or the number is out of range */
        if (__builtin_mul_overflow(digits, 10u, &digits) ||
            __builtin_add_overflow(digits, (uint64_t)(*text - '0'), &digits))
            return -1;
        power -= is_after_point;
    }
    if (!n_digits)
        return -1;
    if (*text == 'e' || *text == 'E') {
        if (sono_numbers_whole(text + 1, -400, 400, 1, &exponent))
            return -1;
    } else if (*skip_blanks(text)) {
        return -1;
    }
    if (scale(digits, power + exponent, &ns) || ns > INT64_MAX)
        return -1;
    *out = is_negative ? -(int64_t)ns : (int64_t)ns;
    return 0;
}

int sono_numbers_hex(const char *text, uint64_t *out)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
        return -1;
    *out = strtoull(text, NULL, 16);
    return 0;
}
