// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes as a list of files, in a folder that is empty but for a few. */
#include "io/list.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/sono_fuzz_list_XXXXXX";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void path_of(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void clean(void)
{
    static const char *const names[] = {"list", "a1.png", "a2.png", "a10.png"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(path, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void make(void)
{
    static const char *const names[] = {"a1.png", "a2.png", "a10.png"};
    char path[128];
    if (!mkdtemp(folder))
        abort();
    atexit(clean);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(path, names[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
}

/* What leads out of the folder would make the result depend on the machine, and take its time. */
static int stays(const uint8_t *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (bytes[i] == '/' || (bytes[i] == '.' && i + 1 < n_bytes && bytes[i + 1] == '.'))
            return 0;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static int is_made;
    char path[128];
    sono_paths paths = {.takes_all = 1};
    sono_error error;
    if (!is_made)
        make();
    is_made = 1;
    if (!stays(bytes, n_bytes))
        return 0;
    path_of(path, "list");
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(bytes, 1, n_bytes, file) != n_bytes || fclose(file))
        abort();
    const sono_status status = sono_paths_add_list(&paths, path, &error);
    if (status == SONO_STATUS_OK && !paths.count)
        abort();
    for (size_t i = 0; i < paths.count; i++)
        if (strncmp(paths.items[i], folder, sizeof folder - 1) != 0)
            abort();
    sono_paths_reset(&paths);
    return 0;
}
