// SPDX-License-Identifier: Apache-2.0
/*
 * torch.save() archives: <name>/data.pkl, <name>/byteorder, <name>/data/<key>
 * (torch/serialization.py, _save() and _load(), PyTorch 2.x).
 */
#include "model/checkpoint_private.h"
#include "model/pickle.h"
#include "model/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PREFIX_BYTES = 512, MAX_KEY_BYTES = 64, MAX_PATH_BYTES = MAX_PREFIX_BYTES + MAX_KEY_BYTES + 16 };

typedef struct archive {
    sono_checkpoint *checkpoint;
    sono_zip zip;
    sono_pickle pickle;
    sono_text prefix; /* with its '/' */
} archive;

static int ends_with(sono_text text, const char *end)
{
    const size_t n = strlen(end);
    return text.length >= n && memcmp(text.start + text.length - n, end, n) == 0;
}

/* Entry <prefix><folder><key>, or NULL. */
static const sono_zip_entry *find_entry(const archive *a, const char *folder, sono_text key)
{
    char path[MAX_PATH_BYTES];
    if (key.length > MAX_KEY_BYTES)
        return NULL;
    const int n = snprintf(path, sizeof path, "%.*s%s%.*s", (int)a->prefix.length, a->prefix.start, folder,
                           (int)key.length, key.start);
    return sono_zip_find(&a->zip, (sono_text){path, (size_t)n});
}

static sono_status find_pickle(archive *a, const sono_zip_entry **out, sono_error *error)
{
    const sono_zip_entry *found = NULL;
    for (uint32_t i = 0; i < a->zip.n_entries; i++) {
        const sono_zip_entry *entry = &a->zip.entries[i];
        const char *slash = memchr(entry->name.start, '/', entry->name.length);
        if (slash && ends_with(entry->name, "/data.pkl") &&
            (size_t)(slash - entry->name.start) + strlen("/data.pkl") == entry->name.length)
            found = entry;
    }
    if (!found || found->name.length > MAX_PREFIX_BYTES)
        return SONO_FAIL(error, FORMAT, "a zip archive without data.pkl: not made by torch.save");
    a->prefix = (sono_text){found->name.start, found->name.length - strlen("data.pkl")};
    *out = found;
    return SONO_STATUS_OK;
}

static sono_status check_kind(const archive *a, sono_error *error)
{
    if (find_entry(a, "", sono_text_of("constants.pkl")))
        return SONO_FAIL(error, UNSUPPORTED, "a TorchScript archive: save the model's state_dict instead");
    const sono_zip_entry *order = find_entry(a, "", sono_text_of("byteorder"));
    if (order && (order->n_bytes != 6 || memcmp(order->data, "little", 6) != 0))
        return SONO_FAIL_AT(error, UNSUPPORTED, order->start, "byte order '%.*s': only little-endian files",
                            order->n_bytes < 16 ? (int)order->n_bytes : 16, (const char *)order->data);
    return SONO_STATUS_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static sono_status find_storage(const archive *a, const sono_pickle_value *storage, sono_text name,
                                const sono_zip_entry **out, sono_error *error)
{
    const sono_text key = a->pickle.values[storage->as.storage.key].as.text;
    const int shown = key.length < 32 ? (int)key.length : 32;
    const sono_zip_entry *entry = find_entry(a, "data/", key);
    if (!entry)
        return SONO_FAIL(error, FORMAT, "tensor '%.*s': its storage data/%.*s is not in the archive",
                         (int)name.length, name.start, shown, key.start);
    uint64_t n_bytes = 0;
    if (__builtin_mul_overflow((uint64_t)storage->as.storage.n_elements,
                               sono_dtype_bytes((sono_dtype)storage->as.storage.dtype), &n_bytes) ||
        n_bytes != entry->n_bytes)
        return SONO_FAIL_AT(
            error, FORMAT, entry->start,
            "tensor '%.*s': storage data/%.*s holds %" PRIu64 " bytes instead of %" PRId64 " %s",
            (int)name.length, name.start, shown, key.start, entry->n_bytes, storage->as.storage.n_elements,
            sono_dtype_name((sono_dtype)storage->as.storage.dtype));
    *out = entry;
    return SONO_STATUS_OK;
}

static sono_status read_dims(const archive *a, const sono_pickle_value *value, sono_text name,
                             sono_checkpoint_tensor *out, sono_error *error)
{
    const sono_pickle_value *values = a->pickle.values;
    const sono_pickle_value *dims = &values[value->as.tensor.dims],
                            *strides = &values[value->as.tensor.strides];
    const int shown = (int)name.length;
    if (dims->as.tuple.n != strides->as.tuple.n)
        return SONO_FAIL(error, FORMAT, "tensor '%.*s' has %u dimensions but %u strides", shown, name.start,
                         dims->as.tuple.n, strides->as.tuple.n);
    if (dims->as.tuple.n > SONO_CHECKPOINT_MAX_DIMS)
        return SONO_FAIL(error, UNSUPPORTED, "tensor '%.*s' has %u dimensions, at most %d are supported",
                         shown, name.start, dims->as.tuple.n, SONO_CHECKPOINT_MAX_DIMS);
    out->n_dims = (int32_t)dims->as.tuple.n;
    for (int32_t i = 0; i < out->n_dims; i++) {
        const sono_pickle_value *dim = &values[a->pickle.refs[dims->as.tuple.first + (uint32_t)i]];
        const sono_pickle_value *stride = &values[a->pickle.refs[strides->as.tuple.first + (uint32_t)i]];
        if (dim->kind != SONO_PICKLE_INT || stride->kind != SONO_PICKLE_INT || dim->as.integer < 0 ||
            stride->as.integer < 0)
            return SONO_FAIL(error, FORMAT, "tensor '%.*s': dimension %d is negative or no number", shown,
                             name.start, i);
        out->dims[i] = dim->as.integer;
        out->strides[i] = dim->as.integer > 1 ? stride->as.integer : 1;
    }
    return SONO_STATUS_OK;
}

/* Whether offset + sum((dims - 1) * strides) is an element of the storage. */
static int fits_storage(const sono_checkpoint_tensor *tensor, int64_t offset, int64_t n_elements)
{
    int64_t count = 0, last = offset;
    if (sono_checkpoint_count_elements(tensor->n_dims, tensor->dims, &count))
        return 0;
    if (!count)
        return offset >= 0 && offset <= n_elements;
    for (int32_t i = 0; i < tensor->n_dims; i++) {
        int64_t span = 0;
        if (__builtin_mul_overflow(tensor->dims[i] - 1, tensor->strides[i], &span) ||
            __builtin_add_overflow(last, span, &last))
            return 0;
    }
    return offset >= 0 && last < n_elements;
}

static sono_status add_tensor(archive *a, sono_text name, const sono_pickle_value *value, sono_error *error)
{
    if (value->kind != SONO_PICKLE_TENSOR)
        return SONO_FAIL(error, FORMAT, "state dict entry '%.*s' is no tensor", (int)name.length, name.start);
    const sono_pickle_value *storage = &a->pickle.values[value->as.tensor.storage];
    const int64_t offset = a->pickle.values[value->as.tensor.offset].as.integer;
    const sono_zip_entry *entry = NULL;
    sono_checkpoint_tensor tensor = {.dtype = (sono_dtype)storage->as.storage.dtype};
    SONO_TRY(find_storage(a, storage, name, &entry, error));
    SONO_TRY(read_dims(a, value, name, &tensor, error));
    if (!fits_storage(&tensor, offset, storage->as.storage.n_elements)) {
        char shape[SONO_CHECKPOINT_SHAPE_BYTES], strides[SONO_CHECKPOINT_SHAPE_BYTES];
        return SONO_FAIL_AT(error, FORMAT, entry->start,
                            "tensor '%.*s' %s with strides %s from element %" PRId64
                            " reaches outside its storage of %" PRId64 " elements",
                            (int)name.length, name.start,
                            sono_checkpoint_shape_text(tensor.n_dims, tensor.dims, shape),
                            sono_checkpoint_shape_text(tensor.n_dims, tensor.strides, strides), offset,
                            storage->as.storage.n_elements);
    }
    tensor.data = entry->data + (uint64_t)offset * sono_dtype_bytes(tensor.dtype);
    return sono_checkpoint_add(a->checkpoint, name, &tensor, error);
}

/* ---- state dict ---------------------------------------------------------------------------------------- */

/* Number of the dict at {"ema": {"module": dict}} or {"model": dict}; else the root itself. */
static uint32_t find_state(const sono_pickle *pickle)
{
    const uint32_t ema = sono_pickle_get(pickle, pickle->root, "ema");
    const uint32_t module = ema ? sono_pickle_get(pickle, ema, "module") : 0;
    if (module && pickle->values[module].kind == SONO_PICKLE_DICT)
        return module;
    const uint32_t model = sono_pickle_get(pickle, pickle->root, "model");
    if (model && pickle->values[model].kind == SONO_PICKLE_DICT)
        return model;
    return pickle->root;
}

static sono_status add_state(archive *a, sono_error *error)
{
    const sono_pickle *pickle = &a->pickle;
    if (pickle->values[pickle->root].kind != SONO_PICKLE_DICT)
        return SONO_FAIL(error, UNSUPPORTED, "the archive holds no dict: save the model's state_dict");
    const uint32_t state = find_state(pickle);
    sono_pickle_cursor cursor = {0};
    uint32_t key = 0, value = 0, n_tensors = 0;
    while (sono_pickle_next_pair(pickle, state, &cursor, &key, &value))
        n_tensors += pickle->values[value].kind == SONO_PICKLE_TENSOR;
    if (!n_tensors)
        return SONO_FAIL(error, UNSUPPORTED,
                         "no state dict: looked for tensors at the top, in 'model' and in "
                         "'ema.module'");
    cursor = (sono_pickle_cursor){0};
    while (sono_pickle_next_pair(pickle, state, &cursor, &key, &value)) {
        if (pickle->values[key].kind != SONO_PICKLE_TEXT)
            return SONO_FAIL(error, FORMAT, "state dict has a key that is no text");
        SONO_TRY(add_tensor(a, pickle->values[key].as.text, &pickle->values[value], error));
    }
    return SONO_STATUS_OK;
}

static sono_status read_archive(archive *a, sono_error *error)
{
    const sono_zip_entry *entry = NULL;
    SONO_TRY(find_pickle(a, &entry, error));
    SONO_TRY(check_kind(a, error));
    const uint64_t offset = (uint64_t)(entry->data - a->checkpoint->bytes);
    SONO_TRY(sono_pickle_read(entry->data, entry->n_bytes, offset, &a->pickle, error));
    const sono_status status = add_state(a, error);
    sono_pickle_close(&a->pickle);
    return status;
}

sono_status sono_checkpoint_read_torch(sono_checkpoint *checkpoint, sono_error *error)
{
    archive a = {.checkpoint = checkpoint};
    checkpoint->container = "pytorch zip";
    SONO_TRY(sono_zip_open(checkpoint->bytes, checkpoint->n_bytes, &a.zip, error));
    const sono_status status = read_archive(&a, error);
    sono_zip_close(&a.zip);
    return status;
}
