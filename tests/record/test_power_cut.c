// SPDX-License-Identifier: Apache-2.0
/*
 * Power that goes off after any step. A disk is simulated that keeps nothing but what was synced: contents of
 * a file at its last sync, names of a folder at the folder's last sync; a new name may or may not have got
 * there. After each step of a recording every state that it could leave is laid out in a folder, and read.
 */
#include "recording.h"
#include "test.h"

#include "base/alloc.h"
#include "record/record.h"
#include "record/record_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define W         16
#define H         9
#define BYTES     (W * H)
#define MAX_FILES 64

/* What is on the platter of one file. */
typedef struct kept {
    char path[PATH_MAX]; /* its name now */
    ino_t inode;
    size_t n_bytes; /* at its last sync */
    uint8_t *bytes;
} kept;

/* A name in the folder at its last sync, or one that was given since. */
typedef struct entry {
    char path[PATH_MAX];
    ino_t inode;
} entry;

static kept files[MAX_FILES];
static int n_files;
static entry names[MAX_FILES], newer[MAX_FILES];
static int n_names, n_newer;
static uint64_t n_promised; /* frames that a returned sync has promised */
static int n_states, n_steps;
static const char *cut_folder; /* where a state is laid out */

static kept *file_of(int descriptor)
{
    struct stat facts;
    assert_int_equal(fstat(descriptor, &facts), 0);
    for (int i = 0; i < n_files; i++)
        if (files[i].inode == facts.st_ino)
            return &files[i];
    assert_true(n_files < MAX_FILES);
    files[n_files].inode = facts.st_ino;
    return &files[n_files++];
}

/* The contents reach the platter. */
static void keep(int descriptor)
{
    kept *file = file_of(descriptor);
    struct stat facts;
    assert_int_equal(fstat(descriptor, &facts), 0);
    sono_free(file->bytes);
    file->n_bytes = (size_t)facts.st_size;
    file->bytes = sono_alloc(file->n_bytes + 1);
    assert_non_null(file->bytes);
    assert_int_equal(pread(descriptor, file->bytes, file->n_bytes, 0), file->n_bytes);
}

static void lay_out(const entry *list, int n_list)
{
    for (int i = 0; i < n_list; i++) {
        const kept *file = NULL;
        char path[PATH_MAX];
        for (int k = 0; k < n_files; k++)
            if (files[k].inode == list[i].inode)
                file = &files[k];
        assert_true(snprintf(path, sizeof path, "%s%s", cut_folder, strrchr(list[i].path, '/')) < PATH_MAX);
        sono_test_write_file(path, file ? file->bytes : (const uint8_t *)"", file ? file->n_bytes : 0);
    }
}

static void clear_folder(void)
{
    DIR *stream = opendir(cut_folder);
    assert_non_null(stream);
    for (const struct dirent *found; (found = readdir(stream));)
        if (found->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(stream), found->d_name, 0), 0);
    closedir(stream);
}

/* Reads what would be there, with the first `n_landed` of the newer names. */
static void check_state(int n_landed)
{
    int64_t n_all = 0;
    clear_folder();
    lay_out(names, n_names);
    lay_out(newer, n_landed);
    for (int number = 1;; number++) {
        char path[PATH_MAX];
        assert_true(snprintf(path, sizeof path, "%s/rec_%04d.igs.mhd", cut_folder, number) < PATH_MAX);
        if (access(path, F_OK))
            break;
        const int64_t n = recording_check(path, (uint64_t)n_all);
        if (n < 1)
            fail_msg("step %d: a header that is ahead of its pixels, or broken", n_steps);
        n_all += n;
    }
    if (n_all < (int64_t)n_promised)
        fail_msg("step %d: %llu frames were promised, %lld are there", n_steps,
                 (unsigned long long)n_promised, (long long)n_all);
    n_states++;
}

static void check_states(void)
{
    n_steps++;
    for (int n_landed = 0; n_landed <= n_newer; n_landed++)
        check_state(n_landed);
}

static ssize_t watch_write(int file, const struct iovec *pieces, int n_pieces, off_t at)
{
    const ssize_t n = sono_record_real_disk.write_at(file, pieces, n_pieces, at);
    (void)file_of(file); /* known, but nothing of it is on the platter */
    check_states();
    return n;
}

static int watch_sync_data(int file)
{
    keep(file);
    check_states();
    return 0;
}

static void add_entry(entry *list, int *n_list, const char *path)
{
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    int at = 0;
    while (at < *n_list && strcmp(list[at].path, path) != 0)
        at++;
    assert_true(at < MAX_FILES);
    *n_list += at == *n_list;
    snprintf(list[at].path, sizeof list[at].path, "%s", path);
    list[at].inode = facts.st_ino;
}

static int watch_publish(const char *from, const char *to, int replace)
{
    const int status = sono_record_real_disk.publish(from, to, replace);
    add_entry(newer, &n_newer, to);
    check_states();
    return status;
}

/* All names of the folder reach the platter; inodes stay theirs as no file goes while its name is kept. */
static int watch_sync_folder(const char *path)
{
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (const struct dirent *found; (found = readdir(stream));) {
        char full[PATH_MAX];
        assert_true(snprintf(full, sizeof full, "%s/%s", path, found->d_name) < PATH_MAX);
        if (found->d_name[0] != '.')
            add_entry(names, &n_names, full);
    }
    closedir(stream);
    n_newer = 0;
    check_states();
    return 0;
}

static const sono_record_disk watched = {watch_write, watch_sync_data, watch_sync_data, watch_publish,
                                         watch_sync_folder};

static void test_power_cut(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], cut[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    uint8_t pixels[BYTES];
    sono_record_options options;
    sono_record *record = NULL;
    sono_error error = {0};
    sono_test_path(folder, sizeof folder, "power");
    sono_test_path(cut, sizeof cut, "cut");
    assert_true(!mkdir(folder, 0700) && !mkdir(cut, 0700));
    cut_folder = cut;
    assert_true(snprintf(prefix, sizeof prefix, "%s/rec", folder) < (int)sizeof prefix);
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.max_segment_frames = 8;
    assert_ok(sono_record_open(&options, &record, &error), &error);
    sono_record_set_disk(record, &watched);
    for (uint64_t id = 0; id < 20; id++) {
        sono_record_info info;
        recording_fill(pixels, sizeof pixels, id);
        const sono_record_frame frame = {.pixels = pixels,
                                         .width_px = W,
                                         .height_px = H,
                                         .element = SONO_ELEMENT_U8,
                                         .components = 1,
                                         .id = id,
                                         .timestamp_ns = (int64_t)id};
        assert_ok(sono_record_frame_add(record, &frame, &error), &error);
        if (id % 3 == 2)
            assert_ok(sono_record_sync(record, &error), &error);
        sono_record_query(record, &info);
        n_promised = info.n_synced;
        check_states();
    }
    assert_ok(sono_record_close(record, 0, &error), &error);
    n_promised = 20;
    check_states();
    print_message("%d states after %d steps\n", n_states, n_steps);
    assert_true(n_states > n_steps && n_steps > 60);
    for (int i = 0; i < n_files; i++)
        sono_free(files[i].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_cut)};
    return sono_test_run("record/power_cut", tests, 1);
}
