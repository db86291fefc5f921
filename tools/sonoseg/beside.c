// SPDX-License-Identifier: Apache-2.0
#include "beside.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *beside_command(const char *relative)
{
    char command[PATH_MAX], *path = NULL;
    const ssize_t n = readlink("/proc/self/exe", command, sizeof command - 1);
    if (n < 1)
        return NULL;
    command[n] = 0;
    char *slash = strrchr(command, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    return asprintf(&path, "%s/%s", command, relative) < 0 ? NULL : path;
}

int beside_is_build_tree(void)
{
    char *cache = beside_command("../CMakeCache.txt");
    const int is_there = cache && !access(cache, F_OK);
    free(cache);
    return is_there;
}
