// SPDX-License-Identifier: Apache-2.0
#include "json.h"

#include "sonoseg/io.h"

void json_string(FILE *stream, const char *text)
{
    sono_json_write_name(stream, text);
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
