// SPDX-License-Identifier: Apache-2.0
#include "io/part.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX ".sonoseg-part-" /* hidden, and no image's suffix: no source takes one for a frame */

static atomic_uint n_opened; /* two threads may write into one folder */

int sono_part_open(sono_part *part, const char *path)
{
    struct stat facts;
    const char *slash = strrchr(path, '/');
    part->path = path;
    part->temporary[0] = 0;
    const int in_place = !stat(path, &facts) && !S_ISREG(facts.st_mode);
    if (!in_place && snprintf(part->temporary, sizeof part->temporary, "%.*s" PREFIX "%ld-%u",
                              slash ? (int)(slash + 1 - path) : 0, path, (long)getpid(),
                              atomic_fetch_add(&n_opened, 1)) >= (int)sizeof part->temporary)
        return ENAMETOOLONG;
    part->stream = in_place ? fopen(path, "wbe") : fopen(part->temporary, "wbxe");
    return part->stream ? 0 : errno;
}

int sono_part_close(sono_part *part, int keep)
{
    errno = 0;
    int code = fclose(part->stream) ? (errno ? errno : EIO) : 0;
    if (!part->temporary[0])
        return code;
    if (keep && !code && rename(part->temporary, part->path))
        code = errno;
    if (!keep || code)
        unlink(part->temporary);
    return code;
}

void sono_parts_sweep(const char *folder)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return;
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}
