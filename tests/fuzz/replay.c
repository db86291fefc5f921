// SPDX-License-Identifier: Apache-2.0
/* Runs a fuzz target over the files of a corpus folder, for builds without libFuzzer. */
#include "base/alloc.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0) {
        perror(path);
        return -1;
    }
    /* No byte more than the file has, so that a sanitizer sees every read behind its end. */
    uint8_t *bytes = sono_alloc((size_t)info.st_size);
    const size_t n_read = bytes ? fread(bytes, 1, (size_t)info.st_size, file) : 0;
    const int whole = bytes && n_read == (size_t)info.st_size;
    (void)fclose(file);
    if (whole)
        LLVMFuzzerTestOneInput(bytes, n_read);
    else
        perror(path);
    sono_free(bytes);
    return whole ? 0 : -1;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    int n_files = 0;
    int status = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        status |= replay(path);
        n_files++;
    }
    (void)closedir(folder);
    printf("%d inputs replayed\n", n_files);
    return status || n_files == 0;
}
