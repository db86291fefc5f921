// SPDX-License-Identifier: Apache-2.0
#include "sonoseg/io.h"

#include "io/part.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static void sweep(const char *path)
{
    static const char *const names[] = {"images", "masks", "overlays", "weights"};
    sono_parts_sweep(path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char part[PATH_MAX];
        if (snprintf(part, sizeof part, "%s/%s", path, names[i]) < PATH_MAX)
            sono_parts_sweep(part);
    }
}

/* The lock is the folder's own: it makes no file, and the kernel lets go of it when the process ends. */
sono_status sono_folder_lock(const char *path, int32_t *out_lock, sono_error *error)
{
    if (!path || !*path || !out_lock)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a lock needs a folder's path");
    int lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB)) {
        const int code = errno;
        close(lock);
        lock = -1;
        if (code == EWOULDBLOCK)
            return SONO_FAIL(
                error, STATE,
                "%.300s: another run is writing there: wait for its end, or choose another folder", path);
    }
    if (lock >= 0)
        sweep(path);
    *out_lock = lock;
    return SONO_STATUS_OK;
}

void sono_folder_unlock(int32_t lock)
{
    if (lock >= 0)
        close(lock);
}
