// SPDX-License-Identifier: Apache-2.0
/* Bytes as a configuration file: it is refused with one line that names a line of the file, or taken; then
 * what is written of it reads back the same. */
#include "serve/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    sono_error error = {0};
    sono_serve_config config, again;
    char *text = NULL;
    size_t n_text = 0;
    sono_serve_config_init(&config);
    if (sono_serve_config_parse(&config, "f", bytes, n_bytes, &error) != SONO_STATUS_OK) {
        const int32_t line =
            error.text[0] == 'f' && error.text[1] == ':' ? (int32_t)strtol(error.text + 2, NULL, 10) : 0;
        if (line < 1 || strchr(error.text, '\n'))
            abort();
        return 0;
    }
    FILE *stream = open_memstream(&text, &n_text);
    if (!stream)
        abort();
    sono_serve_config_write(&config, stream);
    fclose(stream);
    sono_serve_config_init(&again);
    if (sono_serve_config_parse(&again, "f", text, n_text, &error) != SONO_STATUS_OK ||
        memcmp(&config, &again, offsetof(sono_serve_config, line)) != 0)
        abort();
    sono_serve_config_check(&config, &error);
    free(text);
    return 0;
}
