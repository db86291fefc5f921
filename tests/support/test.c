// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t n_skipped;
static char folder[SONO_TEST_PATH_BYTES];
static pid_t folder_owner;

int sono_test_run(const char *group, const struct CMUnitTest *tests, size_t n_tests)
{
    return sono_test_run_with(group, tests, n_tests, NULL, NULL);
}

int sono_test_run_with(const char *group, const struct CMUnitTest *tests, size_t n_tests,
                       CMFixtureFunction setup, CMFixtureFunction teardown)
{
    n_skipped = 0;
    const int n_failed = _cmocka_run_group_tests(group, tests, n_tests, setup, teardown);
    if (n_failed)
        return 1;
    return n_tests && n_skipped == n_tests ? SONO_TEST_SKIPPED : 0;
}

int sono_test_is_long(void)
{
    const char *form = getenv("SONO_TEST_FORM");
    return form && strcmp(form, "long") == 0;
}

void sono_test_skip_at(const char *reason, const char *file, int line)
{
    print_message("skipped: %s\n", reason);
    n_skipped++;
    _skip(file, line);
}

void sono_test_assert_status(sono_status expected, sono_status actual, const sono_error *error,
                             const char *text, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("%s\n  is %s, not %s\n  error: %s\n", text, sono_status_name(actual),
                sono_status_name(expected), error ? error->text : "(not asked for)");
    _fail(file, line);
}

static void join(char *path, size_t path_bytes, const char *parent, const char *relative)
{
    const int n = snprintf(path, path_bytes, "%s/%s", parent, relative);
    if (n < 0 || (size_t)n >= path_bytes)
        fail_msg("path too long: %s/%s", parent, relative);
}

/* The source tree: where it was built, unless the binaries have moved. */
static const char *source_folder(void)
{
    const char *moved = getenv("SONO_SOURCE_DIR");
    return moved && *moved ? moved : SONO_SOURCE_DIR;
}

int sono_test_shared(char *path, size_t path_bytes, const char *relative)
{
    const char *shared = getenv("SONO_SHARED");
    char beside[SONO_TEST_PATH_BYTES];
    join(beside, sizeof beside, source_folder(), "../shared");
    join(path, path_bytes, shared && *shared ? shared : beside, relative);
    if (access(path, R_OK) == 0)
        return 1;
    path[0] = '\0';
    return 0;
}

void sono_test_need_shared(char *path, size_t path_bytes, const char *relative)
{
    if (!sono_test_shared(path, path_bytes, relative))
        sono_test_skip("no reference material (SONO_SHARED)");
}

void sono_test_source(char *path, size_t path_bytes, const char *relative)
{
    join(path, path_bytes, source_folder(), relative);
    if (access(path, R_OK) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info;
    (void)position;
    if (type == FTW_DNR)
        (void)chmod(path, S_IRWXU);
    return remove(path);
}

static void remove_folder(void)
{
    if (folder_owner == getpid())
        (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *sono_test_folder(void)
{
    if (folder[0])
        return folder;
    const char *parent = getenv("TMPDIR");
    join(folder, sizeof folder, parent && *parent ? parent : "/tmp", "sonoseg-test-XXXXXX");
    if (!mkdtemp(folder)) {
        print_error("%s: %s\n", folder, strerror(errno));
        exit(EXIT_FAILURE);
    }
    folder_owner = getpid();
    (void)atexit(remove_folder);
    return folder;
}

int sono_test_count_parts(void)
{
    int n = 0;
    DIR *stream = opendir(sono_test_folder());
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));)
        n += !strncmp(entry->d_name, ".sonoseg-part-", 14);
    closedir(stream);
    return n;
}

void sono_test_path(char *path, size_t path_bytes, const char *name)
{
    join(path, path_bytes, sono_test_folder(), name);
}

void sono_test_write_file(const char *path, const void *bytes, size_t n_bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    const size_t n_written = n_bytes ? fwrite(bytes, 1, n_bytes, file) : 0;
    if (fclose(file) != 0 || n_written != n_bytes)
        fail_msg("%s: %s", path, strerror(errno));
}

uint8_t *sono_test_read_file(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    uint8_t *bytes = sono_alloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    const size_t n_read = fread(bytes, 1, (size_t)info.st_size, file);
    (void)fclose(file);
    assert_int_equal(n_read, info.st_size);
    if (n_bytes)
        *n_bytes = n_read;
    return bytes;
}
