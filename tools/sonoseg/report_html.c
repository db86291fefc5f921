// SPDX-License-Identifier: Apache-2.0
#include "report_html.h"

#include "sonoseg/io.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void put(FILE *stream, char c)
{
    switch (c) {
    case '&':
        fputs("&amp;", stream);
        break;
    case '<':
        fputs("&lt;", stream);
        break;
    case '>':
        fputs("&gt;", stream);
        break;
    case '"':
        fputs("&quot;", stream);
        break;
    case '\'':
        fputs("&#39;", stream);
        break;
    default:
        fputc(c, stream);
    }
}

void html_text(FILE *stream, const char *text)
{
    char *quoted = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&quoted, &n);
    if (!memory)
        return;
    sono_json_write_name(memory, text);
    if (!fclose(memory))
        for (size_t i = 1; i + 1 < n; i++) { /* without its quotes */
            i += quoted[i] == '\\';
            put(stream, quoted[i]);
        }
    free(quoted);
}

void html_format(FILE *stream, const char *format, ...)
{
    char text[4000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    html_text(stream, text);
}

void html_number(FILE *stream, double value, int n_decimals)
{
    if (isnan(value))
        fputs(HTML_ABSENT, stream);
    else
        fprintf(stream, "%.*f", n_decimals, value);
}

void html_count(FILE *stream, uint64_t value)
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            fputs("&#8239;", stream);
        fputc(digits[i], stream);
    }
}

void html_time(FILE *stream, double epoch_s)
{
    char text[40];
    struct tm parts;
    const time_t second = isnan(epoch_s) || epoch_s > 4e11 ? 0 : (time_t)epoch_s;
    if (second < 365 * 86400 || !gmtime_r(&second, &parts) ||
        !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts))
        fputs(HTML_ABSENT, stream);
    else
        fprintf(stream, "%s UTC", text);
}
