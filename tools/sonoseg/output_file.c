// SPDX-License-Identifier: Apache-2.0
#include "output_file.h"

#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes the file for this run and empties it. 0, or -1 after report_error(). */
static int take(int file, const char *path)
{
    struct stat facts;
    if (fstat(file, &facts) || !S_ISREG(facts.st_mode))
        return 0;
    if (flock(file, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        report_error("%s: another run is writing there: wait for its end, or choose another path", path);
        return -1;
    }
    if (!ftruncate(file, 0))
        return 0;
    report_error("%s: cannot be emptied: %s", path, strerror(errno));
    return -1;
}

FILE *output_file_open(const char *path)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        report_error("%s: cannot be created: %s", path, strerror(errno));
        return NULL;
    }
    if (take(file, path)) {
        close(file);
        return NULL;
    }
    FILE *stream = fdopen(file, "w");
    if (stream)
        return stream;
    report_error("%s: cannot be opened: %s", path, strerror(errno));
    close(file);
    return NULL;
}

int output_file_close(FILE *stream, const char *path)
{
    const int has_failed = ferror(stream);
    if (!fclose(stream) && !has_failed)
        return 0;
    report_error("%s: cannot be written: %s", path, strerror(errno));
    return -1;
}
