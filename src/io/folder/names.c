// SPDX-License-Identifier: Apache-2.0
#include "io/folder/names.h"

#include <string.h>

/* Length of the UTF-8 character at text, 0 when what is there is not UTF-8 (overlong forms, surrogates, cut
 * short). */
static size_t utf8_length(const unsigned char *text)
{
    const unsigned char lead = text[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
        (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f))
        return 0;
    return n;
}

static int digit_value(unsigned char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

/* Whether text, "%HH", is what some byte is escaped to. */
static int is_escape(const unsigned char *text)
{
    const int high = digit_value(text[1]);
    const int low = high < 0 ? -1 : digit_value(text[2]);
    const int byte = high * 16 + low;
    return low >= 0 && (byte < 0x20 || byte == '%' || byte >= 0x7f);
}

size_t sono_name_unit(const char *name, char out[SONO_NAME_UNIT_BYTES], size_t *n_out)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *at = (const unsigned char *)name;
    const size_t n = utf8_length(at);
    if (n && *at >= 0x20 && *at != 0x7f && !(*at == '%' && is_escape(at))) {
        memcpy(out, at, n);
        *n_out = n;
        return n;
    }
    out[0] = '%';
    out[1] = digits[*at >> 4];
    out[2] = digits[*at & 15];
    *n_out = 3;
    return 1;
}
