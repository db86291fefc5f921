// SPDX-License-Identifier: Apache-2.0
#include "json.h"

void json_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(stream, "\\u%04x", (unsigned char)*text);
        else
            fputc(*text, stream);
    fputc('"', stream);
}
