// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/checkpoint_private.h"

#include "base/alloc.h"
#include "checkpoint/bytes.h"
#include "checkpoint/number.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t max_tensors = 1u << 16, max_name_bytes = 512;
static const int64_t max_dim = (int64_t)1 << 40;
/* A state dict may list a storage more than once (tied weights), but not without end. */
static const uint64_t max_elements_per_byte = 8;

int sono_checkpoint_count_elements(int32_t n_dims, const int64_t *dims, int64_t *out)
{
    int64_t count = 1;
    int overflow = 0, empty = 0;
    for (int32_t i = 0; i < n_dims; i++) {
        if (dims[i] < 0 || dims[i] > max_dim)
            return -1;
        empty |= dims[i] == 0;
        overflow |= __builtin_mul_overflow(count, dims[i], &count);
    }
    *out = empty ? 0 : count;
    return overflow && !empty ? -1 : 0;
}

const char *sono_checkpoint_shape_text(int32_t n_dims, const int64_t *dims, char *text)
{
    size_t n = 0;
    text[n++] = '[';
    for (int32_t i = 0; i < n_dims && i < SONO_CHECKPOINT_MAX_DIMS; i++)
        n +=
            (size_t)snprintf(text + n, SONO_CHECKPOINT_SHAPE_BYTES - n, "%s%" PRId64, i ? ", " : "", dims[i]);
    text[n++] = ']';
    text[n] = 0;
    return text;
}

sono_status sono_checkpoint_add(sono_checkpoint *checkpoint, sono_text name,
                                const sono_checkpoint_tensor *tensor, sono_error *error)
{
    const int shown = name.length < 100 ? (int)name.length : 100;
    if (!name.length || name.length > max_name_bytes)
        return SONO_FAIL(error, FORMAT, "tensor name of %zu bytes ('%.*s')", name.length, shown, name.start);
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)name.start[i] < 0x20 || name.start[i] == 0x7f)
            return SONO_FAIL(error, FORMAT, "tensor name holds a control character");
    if (checkpoint->n_tensors >= max_tensors)
        return SONO_FAIL(error, UNSUPPORTED, "more than %zu tensors: save only model.state_dict()",
                         max_tensors);
    int64_t count = 0;
    if (sono_checkpoint_count_elements(tensor->n_dims, tensor->dims, &count) ||
        (uint64_t)count > (checkpoint->n_bytes + checkpoint->zip.unpacked_bytes) * max_elements_per_byte -
                              checkpoint->n_elements)
        return SONO_FAIL(error, FORMAT, "tensor '%.*s' has more elements than a file of this size can hold",
                         shown, name.start);
    if (sono_alloc_grow((void **)&checkpoint->tensors, &checkpoint->tensors_capacity,
                        checkpoint->n_tensors + 1, sizeof *checkpoint->tensors))
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the tensor list");
    char *copy = sono_alloc(name.length + 1);
    if (!copy)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for a tensor name");
    memcpy(copy, name.start, name.length);
    checkpoint->tensors[checkpoint->n_tensors] = *tensor;
    checkpoint->tensors[checkpoint->n_tensors++].name = copy;
    checkpoint->n_elements += (uint64_t)count;
    return SONO_STATUS_OK;
}

static sono_text tensor_name(const void *context, uint32_t item)
{
    return sono_text_of(((const sono_checkpoint_tensor *)context)[item].name);
}

static sono_status index_names(sono_checkpoint *checkpoint, sono_error *error)
{
    const size_t n = checkpoint->n_tensors;
    checkpoint->by_name = sono_alloc_array(n, sizeof *checkpoint->by_name);
    if (!checkpoint->by_name)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the tensor index");
    const int64_t twice = sono_sort_names(checkpoint->by_name, n, tensor_name, checkpoint->tensors);
    if (twice >= 0)
        return SONO_FAIL(error, FORMAT, "tensor '%s' is there twice",
                         checkpoint->tensors[checkpoint->by_name[twice]].name);
    return SONO_STATUS_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static const struct {
    const char *start;
    size_t n_bytes;
    sono_status status;
    const char *text;
} strangers[] = {
    {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14, SONO_STATUS_UNSUPPORTED,
     "PyTorch's format from before 1.6: load it and save it again with torch.save of a current PyTorch"},
    {"\x80", 1, SONO_STATUS_UNSUPPORTED,
     "a bare pickle, not a torch.save archive: load it and save model.state_dict() with torch.save"},
    {"version https://git-lfs", 23, SONO_STATUS_FORMAT,
     "a Git LFS pointer: the file itself was not downloaded (git lfs pull)"},
    {"\x89HDF", 4, SONO_STATUS_UNSUPPORTED,
     "an HDF5 file, neither a torch.save archive nor safetensors: give the PyTorch checkpoint"},
    {"GGUF", 4, SONO_STATUS_UNSUPPORTED,
     "a GGUF file, neither a torch.save archive nor safetensors: give the PyTorch checkpoint"},
    {"\x1f\x8b", 2, SONO_STATUS_UNSUPPORTED, "a gzip file: unpack it first"},
    {"\xfd"
     "7zXZ",
     5, SONO_STATUS_UNSUPPORTED, "an xz file: unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, SONO_STATUS_UNSUPPORTED, "a zstd file: unpack it first"},
    {"<", 1, SONO_STATUS_FORMAT,
     "a web page or XML, neither a torch.save archive nor safetensors: download the file itself"},
};

/* Adds to the text what can be done. error may be NULL. */
static void advise(sono_error *error, const char *advice)
{
    if (!error)
        return;
    const size_t n = strlen(error->text);
    snprintf(error->text + n, sizeof error->text - n, "; %s", advice);
}

/* Length of the header that a safetensors file begins with. */
static uint64_t header_bytes_of(const sono_checkpoint *checkpoint)
{
    return checkpoint->n_bytes < 8 ? UINT64_MAX : sono_le64(checkpoint->bytes);
}

/* A text file that begins with '{': as a length that is far too much. */
static sono_status refuse_json(const sono_checkpoint *checkpoint, sono_error *error)
{
    static const char key[] = "\"weight_map\"";
    if (memmem(checkpoint->bytes, checkpoint->n_bytes, key, sizeof key - 1))
        return SONO_FAIL(
            error, UNSUPPORTED,
            "the index of a sharded checkpoint, whose tensors lie in several files: save the model "
            "in one file (save_pretrained with a larger max_shard_size)");
    return SONO_FAIL(error, UNSUPPORTED,
                     "a JSON file, not the weights: give the model.safetensors or the .pth beside it");
}

/* Blanks may stand before the header's '{'; with one there a length that cannot be right is no header's. */
static int looks_like_safetensors(const sono_checkpoint *checkpoint)
{
    const uint8_t *bytes = checkpoint->bytes;
    if (checkpoint->n_bytes < 9)
        return 0;
    return bytes[8] == '{' || (bytes[8] && strchr(" \t\r\n", bytes[8]) &&
                               header_bytes_of(checkpoint) <= SONO_SAFETENSORS_MAX_HEADER);
}

static sono_status read_container(sono_checkpoint *checkpoint, sono_error *error)
{
    const uint8_t *bytes = checkpoint->bytes;
    const size_t n_bytes = checkpoint->n_bytes;
    sono_status status = SONO_STATUS_OK;
    if (!n_bytes)
        return SONO_FAIL(error, FORMAT, "the file is empty: copy or download it again");
    if (bytes[0] == '{' && header_bytes_of(checkpoint) > SONO_SAFETENSORS_MAX_HEADER)
        return refuse_json(checkpoint, error);
    if (n_bytes >= 4 && memcmp(bytes, "PK", 2) == 0 && bytes[2] < 0x20) {
        status = sono_checkpoint_read_torch(checkpoint, error);
    } else if (looks_like_safetensors(checkpoint)) {
        status = sono_checkpoint_read_safetensors(checkpoint, error);
    } else {
        for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
            if (n_bytes >= strangers[i].n_bytes &&
                memcmp(bytes, strangers[i].start, strangers[i].n_bytes) == 0)
                return sono_error_set(error, strangers[i].status, 0, 0, __func__, "%s", strangers[i].text);
        return SONO_FAIL_AT(
            error, FORMAT, 0,
            "neither a torch.save archive nor safetensors: give a .pth, .pt or .safetensors file");
    }
    if (status == SONO_STATUS_FORMAT)
        advise(error, "copy, download or save the file again");
    return status;
}

/* ---- folders ------------------------------------------------------------------------------------------- */

/* What a folder of Hugging Face transformers, or an unpacked archive, has in it. */
static const struct {
    const char *file;
    int is_checkpoint;
    const char *text;
} folder_files[] = {
    {"model.safetensors", 1, NULL},
    {"pytorch_model.bin", 1, NULL},
    {"model.safetensors.index.json", 0,
     "its checkpoint is sharded: save the model in one file (save_pretrained with a larger max_shard_size)"},
    {"pytorch_model.bin.index.json", 0,
     "its checkpoint is sharded: save the model in one file (save_pretrained with a larger max_shard_size)"},
    {"data.pkl", 0, "an unpacked torch.save archive: give the .pth or .pt file that it came from"},
};

static sono_status refuse_folder(int folder, sono_error *error)
{
    for (size_t i = 0; i < sizeof folder_files / sizeof *folder_files; i++) {
        struct stat facts;
        if (fstatat(folder, folder_files[i].file, &facts, 0))
            continue;
        if (folder_files[i].is_checkpoint)
            return SONO_FAIL_NATIVE(error, IO, EISDIR, "is a directory: give %s in it", folder_files[i].file);
        return SONO_FAIL_NATIVE(error, IO, EISDIR, "is a directory: %s", folder_files[i].text);
    }
    return SONO_FAIL_NATIVE(error, IO, EISDIR, "is a directory: give the checkpoint file in it");
}

static sono_status map_file(sono_checkpoint *checkpoint, sono_error *error)
{
    const int file = open(checkpoint->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "cannot open: %s", strerror(errno));
    struct stat facts;
    sono_status status = SONO_STATUS_OK;
    if (fstat(file, &facts)) {
        status = SONO_FAIL_NATIVE(error, IO, errno, "cannot read: %s", strerror(errno));
    } else if (!S_ISREG(facts.st_mode)) {
        status = S_ISDIR(facts.st_mode)
                     ? refuse_folder(file, error)
                     : SONO_FAIL_NATIVE(error, IO, EINVAL, "cannot read: not a regular file");
    } else if (facts.st_size > 0) {
        void *mapping = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping == MAP_FAILED) {
            status = SONO_FAIL_NATIVE(error, IO, errno, "cannot map: %s", strerror(errno));
        } else {
            checkpoint->mapping = mapping;
            checkpoint->bytes = mapping;
            checkpoint->n_bytes = (size_t)facts.st_size;
        }
    }
    checkpoint->file = file;
    return status;
}

static sono_status open_checkpoint(const char *path, const void *bytes, size_t n_bytes, sono_checkpoint **out,
                                   sono_error *error)
{
    sono_checkpoint *checkpoint = sono_alloc(sizeof *checkpoint);
    if (checkpoint) {
        checkpoint->file = -1;
        checkpoint->path = sono_strdup(path);
    }
    sono_status status = SONO_STATUS_OK;
    if (!checkpoint || !checkpoint->path) {
        status = SONO_FAIL(error, OUT_OF_MEMORY, "out of memory");
    } else {
        checkpoint->bytes = bytes;
        checkpoint->n_bytes = n_bytes;
        if (!bytes)
            status = map_file(checkpoint, error);
    }
    if (status == SONO_STATUS_OK)
        status = read_container(checkpoint, error);
    if (status == SONO_STATUS_OK)
        status = index_names(checkpoint, error);
    if (status != SONO_STATUS_OK) {
        sono_error_prefix(error, path);
        sono_checkpoint_close(checkpoint);
        return status;
    }
    *out = checkpoint;
    return SONO_STATUS_OK;
}

sono_status sono_checkpoint_open(const char *path, sono_checkpoint **out, sono_error *error)
{
    if (!path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path and out must not be NULL");
    return open_checkpoint(path, NULL, 0, out, error);
}

sono_status sono_checkpoint_open_memory(const void *bytes, size_t n_bytes, const char *name,
                                        sono_checkpoint **out, sono_error *error)
{
    if (!bytes || !name || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "bytes, name and out must not be NULL");
    return open_checkpoint(name, bytes, n_bytes, out, error);
}

void sono_checkpoint_close(sono_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    if (checkpoint->mapping)
        munmap(checkpoint->mapping, checkpoint->n_bytes);
    if (checkpoint->file >= 0)
        close(checkpoint->file);
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        sono_free((char *)(uintptr_t)checkpoint->tensors[i].name);
    for (size_t i = 0; i < checkpoint->n_metadata; i++) {
        sono_free(checkpoint->metadata[i].key);
        sono_free(checkpoint->metadata[i].value);
    }
    sono_zip_close(&checkpoint->zip);
    sono_free(checkpoint->tensors);
    sono_free(checkpoint->by_name);
    sono_free(checkpoint->metadata);
    sono_free(checkpoint->path);
    sono_free(checkpoint);
}

int32_t sono_checkpoint_keep_file(const sono_checkpoint *checkpoint)
{
    return fcntl(checkpoint->file, F_DUPFD_CLOEXEC, 0);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

const char *sono_checkpoint_path(const sono_checkpoint *checkpoint)
{
    return checkpoint->path;
}

const char *sono_checkpoint_container(const sono_checkpoint *checkpoint)
{
    return checkpoint->container;
}

int32_t sono_checkpoint_n_tensors(const sono_checkpoint *checkpoint)
{
    return (int32_t)checkpoint->n_tensors;
}

const sono_checkpoint_tensor *sono_checkpoint_tensor_at(const sono_checkpoint *checkpoint, int32_t index)
{
    return index >= 0 && (size_t)index < checkpoint->n_tensors ? &checkpoint->tensors[index] : NULL;
}

const sono_checkpoint_tensor *sono_checkpoint_find(const sono_checkpoint *checkpoint, const char *name)
{
    const int64_t found = sono_sort_find(checkpoint->by_name, checkpoint->n_tensors, tensor_name,
                                         checkpoint->tensors, sono_text_of(name));
    return found < 0 ? NULL : &checkpoint->tensors[found];
}

const char *sono_checkpoint_metadata(const sono_checkpoint *checkpoint, const char *key)
{
    for (size_t i = 0; i < checkpoint->n_metadata; i++)
        if (strcmp(checkpoint->metadata[i].key, key) == 0)
            return checkpoint->metadata[i].value;
    return NULL;
}

int64_t sono_checkpoint_tensor_count(const sono_checkpoint_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->n_dims; i++)
        count *= tensor->dims[i];
    return count;
}

/* ---- elements ------------------------------------------------------------------------------------------ */

sono_status sono_checkpoint_read_any_f32(const sono_checkpoint_tensor *tensor, float *out, sono_error *error)
{
    if (tensor->dtype == SONO_DTYPE_BOOL)
        return SONO_FAIL(error, UNSUPPORTED, "tensor '%s' is %s, not a number", tensor->name,
                         sono_dtype_name(tensor->dtype));
    sono_tensor_rows rows;
    for (sono_tensor_rows_start(&rows, tensor); !rows.done; sono_tensor_rows_next(&rows))
        sono_number_to_f32(tensor->dtype, rows.data, rows.n, rows.stride, out + rows.first);
    return SONO_STATUS_OK;
}

sono_status sono_checkpoint_read_f32(const sono_checkpoint_tensor *tensor, float *out, sono_error *error)
{
    const int64_t count = sono_checkpoint_tensor_count(tensor);
    SONO_TRY(sono_checkpoint_read_any_f32(tensor, out, error));
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(out[i]))
            return SONO_FAIL(error, FORMAT, "tensor '%s' holds %s at index %" PRId64, tensor->name,
                             isnan(out[i]) ? "NaN" : "an infinite value", i);
    return SONO_STATUS_OK;
}
