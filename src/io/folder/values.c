// SPDX-License-Identifier: Apache-2.0
#include "io/folder/values.h"

#include "io/folder/names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sono_text_add_words(sono_text *text, const char *words)
{
    sono_text_add(text, "\"");
    for (; *words; words++) {
        if (*words == '"' || *words == '\\')
            sono_text_add(text, "\\");
        sono_text_add_bytes(text, words, 1);
    }
    sono_text_add(text, "\"");
}

void sono_text_add_name(sono_text *text, const char *name)
{
    sono_text_add(text, "\"");
    while (*name) {
        char unit[SONO_NAME_UNIT_BYTES];
        size_t n_unit = 0;
        if (*name == '"' || *name == '\\')
            sono_text_add(text, "\\");
        name += sono_name_unit(name, unit, &n_unit);
        sono_text_add_bytes(text, unit, n_unit);
    }
    sono_text_add(text, "\"");
}

/* What snprintf wrote, with a point even where the locale has a comma. */
static void write_decimal(sono_text *text, char *digits)
{
    char *comma = strchr(digits, ',');
    if (comma)
        *comma = '.';
    sono_text_add(text, digits);
}

void sono_text_add_seconds(sono_text *text, int64_t ns)
{
    char digits[32];
    const int64_t second_ns = 1000000000, whole = ns / second_ns;
    int64_t rest = ns % second_ns;
    if (rest < 0)
        rest = -rest;
    int n = snprintf(digits, sizeof digits, "%s%lld.%09lld", ns < 0 && !whole ? "-" : "", (long long)whole,
                     (long long)rest);
    while (digits[n - 1] == '0')
        n--;
    n -= digits[n - 1] == '.';
    sono_text_add_bytes(text, digits, (size_t)n);
}

void sono_text_add_number(sono_text *text, double value, int n_digits)
{
    char digits[40] = "null";
    if (isfinite(value))
        snprintf(digits, sizeof digits, "%.*g", n_digits, value);
    write_decimal(text, digits);
}

void sono_text_add_float(sono_text *text, float value)
{
    char digits[40] = "null";
    for (int n_digits = 6; isfinite(value) && n_digits <= 9; n_digits++) {
        snprintf(digits, sizeof digits, "%.*g", n_digits, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    write_decimal(text, digits);
}

void sono_text_add_double(sono_text *text, double value)
{
    char digits[40] = "null";
    for (int n_digits = 6; isfinite(value) && n_digits <= 17; n_digits++) {
        snprintf(digits, sizeof digits, "%.*g", n_digits, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    write_decimal(text, digits);
}

void sono_text_add_fixed(sono_text *text, double value, int n_decimals)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.*f", n_decimals, value);
    write_decimal(text, digits);
}

void sono_text_add_place(sono_text *text, const sono_frame_info *info)
{
    if (info->spacing_mm[0] > 0 && info->spacing_mm[1] > 0) {
        sono_text_add(text, ", \"spacing_mm\": [");
        sono_text_add_double(text, info->spacing_mm[0]);
        sono_text_add(text, ", ");
        sono_text_add_double(text, info->spacing_mm[1]);
        sono_text_add(text, "]");
    }
    for (int i = 0; info->has_pose && i < 12; i++) {
        sono_text_add(text, i ? ", " : ", \"image_to_reference\": [");
        sono_text_add_float(text, info->image_to_reference[i]);
        sono_text_add(text, i == 11 ? "]" : "");
    }
}
