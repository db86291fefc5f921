// SPDX-License-Identifier: Apache-2.0
#include "output_folder.h"

#include "args.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int make_one(const char *path)
{
    struct stat facts;
    if (!mkdir(path, 0777))
        return 0;
    const int code = errno;
    if (code == EEXIST && !stat(path, &facts) && S_ISDIR(facts.st_mode))
        return 0;
    report_error("%s: the folder cannot be made: %s", path,
                 code == EEXIST ? "a file of that name is there" : strerror(code));
    return -1;
}

int output_folder_make(const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= PATH_MAX) {
        report_error("%s: the path is too long", path);
        return -1;
    }
    for (char *slash = part; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        const int has_failed = make_one(part);
        *slash = '/';
        if (has_failed)
            return -1;
    }
    return make_one(part);
}
