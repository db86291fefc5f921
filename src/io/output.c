// SPDX-License-Identifier: Apache-2.0
/* The one decision whether outputs may be written. */
#include "sonoseg/io.h"

#include "io/paths.h"

#include "base/alloc.h"
#include "base/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_PICTURE_FOLDERS 3

typedef struct file_id {
    dev_t device;
    ino_t inode;
    const char *path;
} file_id;

typedef struct inputs {
    sono_paths paths;
    file_id *files; /* the regular ones, sorted */
    size_t n_files;
} inputs;

static int compare(const void *left, const void *right)
{
    const file_id *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->inode == b->inode ? 0 : a->inode < b->inode ? -1 : 1;
}

/* Whether path leads to a regular file. */
static int identify(const char *path, file_id *out)
{
    struct stat facts;
    if (stat(path, &facts) || !S_ISREG(facts.st_mode))
        return 0;
    *out = (file_id){facts.st_dev, facts.st_ino, path};
    return 1;
}

static sono_status collect(inputs *self, const char *const *paths, int32_t n_paths, sono_error *error)
{
    self->paths.takes_all = 1;
    for (int32_t i = 0; i < n_paths; i++)
        if (paths[i] && *paths[i])
            SONO_TRY(sono_paths_add(&self->paths, paths[i], error));
    self->files = sono_alloc_array(self->paths.count + 1, sizeof *self->files);
    if (!self->files)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the list of inputs");
    for (size_t i = 0; i < self->paths.count; i++)
        self->n_files += (size_t)identify(self->paths.items[i], &self->files[self->n_files]);
    qsort(self->files, self->n_files, sizeof *self->files, compare);
    return SONO_STATUS_OK;
}

/* The input that is the file at path; NULL when none is. */
static const char *input_at(const inputs *self, const char *path)
{
    file_id id;
    if (!self->n_files || !identify(path, &id))
        return NULL;
    const file_id *found = bsearch(&id, self->files, self->n_files, sizeof id, compare);
    return found ? found->path : NULL;
}

static sono_status join(char out[PATH_MAX], const char *folder, const char *name, sono_error *error)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return SONO_FAIL(error, IO, "%.300s/%.100s: the path is too long", folder, name);
    return SONO_STATUS_OK;
}

static int is_folder(const char *path)
{
    struct stat facts;
    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

/* Calls judge with each entry of a folder that is not hidden, until one is not OK. */
static sono_status each_entry(const char *folder, const void *user,
                              sono_status (*judge)(const void *user, const char *path, const char *name,
                                                   sono_error *error),
                              sono_error *error)
{
    DIR *stream = opendir(folder);
    sono_status status = SONO_STATUS_OK;
    for (const struct dirent *entry; stream && !status && (entry = readdir(stream));) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        status = join(path, folder, entry->d_name, error);
        if (!status)
            status = judge(user, path, entry->d_name, error);
    }
    if (stream)
        closedir(stream);
    return status;
}

typedef struct results {
    const char *folder;
    const inputs *in;
} results;

static sono_status judge_input(const void *user, const char *path, const char *name, sono_error *error)
{
    const results *self = user;
    const char *input = input_at(self->in, path);
    (void)name;
    if (!input)
        return SONO_STATUS_OK;
    return SONO_FAIL(error, INVALID_ARGUMENT,
                     "%.180s: results in %.180s would replace this input: choose another folder", input,
                     self->folder);
}

static sono_status judge_picture(const void *user, const char *path, const char *name, sono_error *error)
{
    const char *folder = user;
    (void)name;
    return SONO_FAIL(
        error, INVALID_ARGUMENT,
        "%.150s: no results.jsonl there explains %.150s; results would mix with it, perhaps with "
        "a truth: choose another folder",
        folder, path);
}

static sono_status judge_phantom(const void *user, const char *path, const char *name, sono_error *error)
{
    static const char prefix[] = "phantom_";
    const char *folder = user, *number = name + strlen(prefix);
    if (!strncmp(name, prefix, strlen(prefix))) {
        const size_t n_digits = strspn(number, "0123456789");
        if (n_digits && !strcmp(number + n_digits, ".png"))
            return SONO_STATUS_OK;
    }
    return SONO_FAIL(
        error, INVALID_ARGUMENT,
        "%.150s: %.150s was not made by `sonoseg phantom`, and a phantom's frames would mix with "
        "it: choose another folder",
        folder, path);
}

/* Whether path is a results.jsonl that a sink wrote, a frames.jsonl of a phantom, or is no file to look into.
 */
static int is_of_sink(const char *path)
{
    static const char *const starts[] = {"{\"schema\": ", "{\"frame_id\": "};
    char bytes[16];
    struct stat facts;
    if (stat(path, &facts))
        return 0;
    if (!S_ISREG(facts.st_mode) || facts.st_size == 0)
        return 1;
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return 0;
    const ssize_t n = read(file, bytes, sizeof bytes);
    close(file);
    for (int i = 0; i < 2; i++)
        if (n >= (ssize_t)strlen(starts[i]) && !memcmp(bytes, starts[i], strlen(starts[i])))
            return 1;
    return 0;
}

/* Asks with a shared lock, so that two who ask at once do not get in each other's way. */
static sono_status check_free(const char *path, sono_error *error)
{
    struct stat facts;
    if (stat(path, &facts) || (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)))
        return SONO_STATUS_OK;
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int is_taken = file >= 0 && flock(file, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    if (is_taken)
        return SONO_FAIL(error, STATE,
                         "%.300s: another run is writing there: wait for its end, or choose another %s", path,
                         S_ISDIR(facts.st_mode) ? "folder" : "path");
    return SONO_STATUS_OK;
}

static sono_status check_file(const inputs *in, const char *path, sono_error *error)
{
    const char *input = input_at(in, path);
    if (input)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%.180s: writing it would overwrite the input %.180s: choose another path", path,
                         input);
    return check_free(path, error);
}

static sono_status check_results(const inputs *in, const char *folder, sono_error *error)
{
    static const char *const names[N_PICTURE_FOLDERS] = {"masks", "overlays", "weights"};
    const results user = {folder, in};
    char path[PATH_MAX];
    for (int i = 0; in->n_files && i < N_PICTURE_FOLDERS; i++) {
        SONO_TRY(join(path, folder, names[i], error));
        SONO_TRY(each_entry(path, &user, judge_input, error));
    }
    SONO_TRY(join(path, folder, "images", error));
    if (is_folder(path))
        return SONO_FAIL(
            error, INVALID_ARGUMENT,
            "%.150s: there is a labelled set (%.150s), whose masks results would replace: choose "
            "another folder",
            folder, path);
    SONO_TRY(check_free(folder, error));
    SONO_TRY(join(path, folder, "results.jsonl", error));
    SONO_TRY(check_file(in, path, error));
    if (is_of_sink(path))
        return SONO_STATUS_OK;
    SONO_TRY(join(path, folder, "masks", error));
    return each_entry(path, folder, judge_picture, error);
}

static sono_status check_set(const inputs *in, const char *folder, sono_error *error)
{
    static const char *const names[] = {"images", "masks"};
    const results user = {folder, in};
    char path[PATH_MAX];
    SONO_TRY(join(path, folder, "results.jsonl", error));
    if (!access(path, F_OK))
        return SONO_FAIL(
            error, INVALID_ARGUMENT,
            "%.150s: there are results (%.150s), whose masks a set would replace: choose another "
            "folder",
            folder, path);
    for (int i = 0; i < 2; i++) {
        SONO_TRY(join(path, folder, names[i], error));
        SONO_TRY(each_entry(path, &user, judge_input, error));
        SONO_TRY(each_entry(path, folder, judge_phantom, error));
    }
    SONO_TRY(join(path, folder, "frames.jsonl", error));
    SONO_TRY(check_file(in, path, error));
    if (!access(path, F_OK) && !is_of_sink(path))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%.150s: %.150s was not made by `sonoseg phantom`, and would be replaced: choose "
                         "another folder",
                         folder, path);
    return check_free(folder, error);
}

/* The file that an output begins with. */
static sono_status first_file(const sono_output *output, char out[PATH_MAX], sono_error *error)
{
    if (output->kind == SONO_OUTPUT_RESULTS)
        return join(out, output->path, "results.jsonl", error);
    if (snprintf(out, PATH_MAX, "%s", output->path) >= PATH_MAX)
        return SONO_FAIL(error, IO, "%.400s: the path is too long", output->path);
    return SONO_STATUS_OK;
}

/* Cuts path behind its folder; returns the name. */
static const char *cut_name(char path[PATH_MAX], struct stat *folder, int *has_folder)
{
    char *slash = strrchr(path, '/');
    if (!slash) {
        *has_folder = !stat(".", folder);
        return path;
    }
    *slash = 0;
    *has_folder = !stat(slash == path ? "/" : path, folder);
    return slash + 1;
}

static sono_status check_pair(const sono_output *left, const sono_output *right, sono_error *error)
{
    char paths[2][PATH_MAX];
    struct stat folders[2];
    file_id ids[2];
    int has_folder[2];
    SONO_TRY(first_file(left, paths[0], error));
    SONO_TRY(first_file(right, paths[1], error));
    int is_one = identify(paths[0], &ids[0]) && identify(paths[1], &ids[1]) && !compare(&ids[0], &ids[1]);
    const int is_special = !access(paths[0], F_OK) && !identify(paths[0], &ids[0]);
    const char *first = cut_name(paths[0], &folders[0], &has_folder[0]);
    const char *second = cut_name(paths[1], &folders[1], &has_folder[1]);
    if (!is_special && has_folder[0] && has_folder[1] && !strcmp(first, second))
        is_one = is_one || (folders[0].st_dev == folders[1].st_dev && folders[0].st_ino == folders[1].st_ino);
    if (is_one)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%.180s and %.180s would write one file: give each output a path of its own",
                         left->path, right->path);
    return SONO_STATUS_OK;
}

static sono_status check_all(const inputs *in, const sono_output *outputs, int32_t n_outputs,
                             sono_error *error)
{
    for (int32_t i = 0; i < n_outputs; i++) {
        const char *path = outputs[i].path;
        if (!path || !*path)
            return SONO_FAIL(error, INVALID_ARGUMENT, "the path of an output is empty");
        for (int32_t k = 0; k < i; k++)
            SONO_TRY(check_pair(&outputs[k], &outputs[i], error));
        if (outputs[i].kind == SONO_OUTPUT_RESULTS)
            SONO_TRY(check_results(in, path, error));
        else if (outputs[i].kind == SONO_OUTPUT_SET)
            SONO_TRY(check_set(in, path, error));
        else
            SONO_TRY(check_file(in, path, error));
    }
    return SONO_STATUS_OK;
}

sono_status sono_output_check(const char *const *inputs_given, int32_t n_inputs, const sono_output *outputs,
                              int32_t n_outputs, sono_error *error)
{
    if ((n_inputs > 0 && !inputs_given) || (n_outputs > 0 && !outputs))
        return SONO_FAIL(error, INVALID_ARGUMENT, "inputs and outputs must not be NULL");
    inputs in = {0};
    sono_status status = collect(&in, inputs_given, n_inputs, error);
    if (status == SONO_STATUS_OK)
        status = check_all(&in, outputs, n_outputs, error);
    sono_free(in.files);
    sono_paths_reset(&in.paths);
    return status;
}
