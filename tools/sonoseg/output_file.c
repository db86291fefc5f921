// SPDX-License-Identifier: Apache-2.0
#include "output_file.h"

#include "args.h"

#include <errno.h>
#include <string.h>

FILE *output_file_open(const char *path)
{
    FILE *stream = fopen(path, "we");
    if (!stream)
        report_error("%s: cannot be created: %s", path, strerror(errno));
    return stream;
}

int output_file_close(FILE *stream, const char *path)
{
    const int has_failed = ferror(stream);
    if (!fclose(stream) && !has_failed)
        return 0;
    report_error("%s: cannot be written: %s", path, strerror(errno));
    return -1;
}
