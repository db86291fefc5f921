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

void json_begin_report(FILE *stream, const sono_pipeline_info *info)
{
    fprintf(stream, "{\n  \"version\": \"%s\",\n  \"detector\": ", sono_version());
    json_string(stream, info->detector);
    fputs(",\n  \"segmenter\": ", stream);
    json_string(stream, info->segmenter);
    fprintf(stream, ",\n  \"backend\": \"%s\",\n  \"precision\": \"%s\",\n", sono_backend_name(info->backend),
            sono_precision_name(info->precision));
}
