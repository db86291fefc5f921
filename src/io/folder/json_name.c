// SPDX-License-Identifier: Apache-2.0
#include "io/folder/names.h"
#include "sonoseg/io.h"

#include <stdio.h>

void sono_json_write_name(FILE *stream, const char *name)
{
    fputc('"', stream);
    while (*name) {
        char unit[SONO_NAME_UNIT_BYTES];
        size_t n_unit = 0;
        if (*name == '"' || *name == '\\')
            fputc('\\', stream);
        name += sono_name_unit(name, unit, &n_unit);
        fwrite(unit, 1, n_unit, stream);
    }
    fputc('"', stream);
}
