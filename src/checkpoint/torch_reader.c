// SPDX-License-Identifier: Apache-2.0
/*
 * torch.save() archives: <name>/data.pkl, <name>/byteorder, <name>/data/<key>
 * (torch/serialization.py, _save() and _load(), PyTorch 2.x).
 */
#include "checkpoint/checkpoint_private.h"
#include "checkpoint/pickle.h"
#include "checkpoint/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PREFIX_BYTES = 512, MAX_KEY_BYTES = 64, MAX_PATH_BYTES = MAX_PREFIX_BYTES + MAX_KEY_BYTES + 16 };

typedef struct archive {
    sono_checkpoint *checkpoint;
    sono_zip *zip; /* the checkpoint's */
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
    return sono_zip_find(a->zip, (sono_text){path, (size_t)n});
}

static sono_status find_pickle(archive *a, const sono_zip_entry **out, sono_error *error)
{
    const sono_zip_entry *found = NULL;
    for (uint32_t i = 0; i < a->zip->n_entries; i++) {
        const sono_zip_entry *entry = &a->zip->entries[i];
        const char *slash = memchr(entry->name.start, '/', entry->name.length);
        if (slash && ends_with(entry->name, "/data.pkl") &&
            (size_t)(slash - entry->name.start) + strlen("/data.pkl") == entry->name.length)
            found = entry;
    }
    if (!found || found->name.length > MAX_PREFIX_BYTES)
        return SONO_FAIL(error, FORMAT,
                         "a zip archive without data.pkl in its folder: not made by torch.save");
    a->prefix = (sono_text){found->name.start, found->name.length - strlen("data.pkl")};
    *out = found;
    return SONO_STATUS_OK;
}

static sono_status check_kind(const archive *a, sono_error *error)
{
    const uint8_t *text = NULL;
    if (find_entry(a, "", sono_text_of("constants.pkl")))
        return SONO_FAIL(error, UNSUPPORTED, "a TorchScript archive: save only model.state_dict() instead");
    const sono_zip_entry *order = find_entry(a, "", sono_text_of("byteorder"));
    if (!order)
        return SONO_STATUS_OK;
    if (order->n_bytes < 16)
        SONO_TRY(sono_zip_unpack(a->zip, order, &text, error));
    if (order->n_bytes != 6 || memcmp(text, "little", 6) != 0)
        return SONO_FAIL_AT(error, UNSUPPORTED, order->start,
                            "byte order '%.*s': only little-endian files; save it again on such a machine",
                            text ? (int)order->n_bytes : 0, text ? (const char *)text : "");
    return SONO_STATUS_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static sono_status find_storage(const archive *a, const sono_pickle_value *storage, sono_text name,
                                const sono_zip_entry **out, sono_error *error)
{
    if (storage->as.storage.dtype == SONO_DTYPE_COUNT) {
        char type[80];
        return SONO_FAIL(error, UNSUPPORTED, "tensor '%.*s' is of %s, which is not read: save it as float32",
                         (int)name.length, name.start,
                         sono_pickle_foreign_name(&a->pickle, storage->as.storage.key, type, sizeof type));
    }
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
        return SONO_FAIL(
            error, UNSUPPORTED,
            "tensor '%.*s' has %u dimensions, at most %d are supported: save only model.state_dict()", shown,
            name.start, dims->as.tuple.n, SONO_CHECKPOINT_MAX_DIMS);
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
    const uint8_t *data = NULL;
    SONO_TRY(sono_zip_unpack(a->zip, entry, &data, error));
    tensor.data = data + (uint64_t)offset * sono_dtype_bytes(tensor.dtype);
    return sono_checkpoint_add(a->checkpoint, name, &tensor, error);
}

/* ---- state dict ---------------------------------------------------------------------------------------- */

/* Where training code keeps a state dict, in the order in which they are tried. */
static const char *const wrappers[][2] = {
    {"ema", "module"},          {"model", NULL},      {"ema", NULL}, {"ema_state_dict", NULL},
    {"model_state_dict", NULL}, {"state_dict", NULL}, {"net", NULL}, {"weights", NULL}};
static const char *const inner_wrappers[] = {
    "ema_state_dict", "model_state_dict", "state_dict", "model", "ema", "module", "net", "weights"};
enum {
    N_WRAPPERS = sizeof wrappers / sizeof *wrappers,
    N_INNER = sizeof inner_wrappers / sizeof *inner_wrappers
};

/* Whether a value is a dict with a tensor right in it. */
static int holds_tensors(const sono_pickle *pickle, uint32_t dict)
{
    sono_pickle_cursor cursor = {0};
    uint32_t key = 0, value = 0;
    if (pickle->values[dict].kind != SONO_PICKLE_DICT)
        return 0;
    while (sono_pickle_next_pair(pickle, dict, &cursor, &key, &value))
        if (pickle->values[value].kind == SONO_PICKLE_TENSOR)
            return 1;
    return 0;
}

/* Number of the dict at root[outer][inner] when it holds tensors, else 0; inner may be NULL. */
static uint32_t try_wrapper(archive *a, const char *outer, const char *inner)
{
    uint32_t dict = sono_pickle_get(&a->pickle, a->pickle.root, outer);
    if (inner)
        dict = sono_pickle_get(&a->pickle, dict, inner);
    if (!dict || !holds_tensors(&a->pickle, dict))
        return 0;
    char *wrapper = a->checkpoint->notes.wrapper;
    snprintf(wrapper, SONO_CHECKPOINT_NOTE_BYTES, "%s%s%s", outer, inner ? "." : "", inner ? inner : "");
    return dict;
}

/* Number of the dict that holds the tensors, 0 when there is none. */
static uint32_t find_state(archive *a)
{
    uint32_t found = 0;
    for (size_t i = 0; i < N_WRAPPERS && !found; i++)
        found = try_wrapper(a, wrappers[i][0], wrappers[i][1]);
    for (size_t i = 1; i < N_WRAPPERS && !found; i++)
        for (size_t k = 0; k < N_INNER && !found; k++)
            found = try_wrapper(a, wrappers[i][0], inner_wrappers[k]);
    if (!found && holds_tensors(&a->pickle, a->pickle.root))
        found = a->pickle.root;
    return found;
}

/* ---- notes --------------------------------------------------------------------------------------------- */

static void copy_printable(char *out, size_t out_bytes, sono_text text)
{
    size_t n = text.length < out_bytes ? text.length : out_bytes - 1;
    memcpy(out, text.start, n);
    out[n] = 0;
    while (n-- > 0)
        if ((unsigned char)out[n] < 0x20 || out[n] == 0x7f)
            out[n] = '?';
}

/* Class of an inert value in text, or NULL. */
static const char *maker_of(const sono_pickle *pickle, uint32_t value, char *text, size_t text_bytes)
{
    const sono_pickle_value *made = &pickle->values[value];
    if (made->kind != SONO_PICKLE_OTHER || !made->as.maker)
        return NULL;
    char name[SONO_CHECKPOINT_NOTE_BYTES];
    sono_pickle_foreign_name(pickle, made->as.maker, name, sizeof name);
    copy_printable(text, text_bytes, sono_text_of(name));
    return text;
}

/* "'epoch', 'model' (models.DFINE)": the keys at the top, as many as fit. */
static void note_keys(archive *a)
{
    const sono_pickle *pickle = &a->pickle;
    char *keys = a->checkpoint->notes.keys;
    size_t n = 0;
    sono_pickle_cursor cursor = {0};
    uint32_t key = 0, value = 0;
    while (sono_pickle_next_pair(pickle, pickle->root, &cursor, &key, &value)) {
        char name[40], class[SONO_CHECKPOINT_NOTE_BYTES], item[sizeof name + sizeof class + 16];
        if (pickle->values[key].kind != SONO_PICKLE_TEXT)
            continue;
        copy_printable(name, sizeof name, pickle->values[key].as.text);
        const char *maker = maker_of(pickle, value, class, sizeof class);
        const int length = snprintf(item, sizeof item, "%s'%s'%s%s%s", n ? ", " : "", name, maker ? " (" : "",
                                    maker ? maker : "", maker ? ")" : "");
        if (n + (size_t)length + sizeof ", ..." > SONO_CHECKPOINT_KEYS_BYTES) {
            snprintf(keys + n, SONO_CHECKPOINT_KEYS_BYTES - n, ", ...");
            return;
        }
        memcpy(keys + n, item, (size_t)length + 1);
        n += (size_t)length;
    }
}

static void note_inert(archive *a)
{
    sono_checkpoint_notes *notes = &a->checkpoint->notes;
    char name[SONO_CHECKPOINT_NOTE_BYTES];
    notes->n_inert = a->pickle.n_inert;
    if (!notes->n_inert)
        return;
    sono_pickle_foreign_name(&a->pickle, a->pickle.first_inert, name, sizeof name);
    copy_printable(notes->inert, sizeof notes->inert, sono_text_of(name));
}

static void note_ignored(archive *a, const sono_pickle_value *key)
{
    sono_checkpoint_notes *notes = &a->checkpoint->notes;
    if (!notes->n_ignored++)
        copy_printable(notes->ignored, sizeof notes->ignored,
                       key->kind == SONO_PICKLE_TEXT ? key->as.text : sono_text_of("a key that is no text"));
}

/* ---- whole archives ------------------------------------------------------------------------------------ */

static sono_status refuse_root(const archive *a, sono_error *error)
{
    char class[SONO_CHECKPOINT_NOTE_BYTES];
    const char *maker = maker_of(&a->pickle, a->pickle.root, class, sizeof class);
    return SONO_FAIL(error, UNSUPPORTED, "the archive holds no dict but %s%s: save only model.state_dict()",
                     maker ? "a whole " : "something else", maker ? maker : "");
}

static sono_status refuse_keys(const archive *a, sono_error *error)
{
    const char *keys = a->checkpoint->notes.keys;
    return SONO_FAIL(error, UNSUPPORTED,
                     "no state dict: no tensors at the top, in ema, model, ema_state_dict, model_state_dict, "
                     "state_dict, net or weights; save only model.state_dict(); at the top %s%s",
                     *keys ? "are " : "is nothing", keys);
}

static sono_status add_state(archive *a, sono_error *error)
{
    const sono_pickle *pickle = &a->pickle;
    if (pickle->values[pickle->root].kind != SONO_PICKLE_DICT)
        return refuse_root(a, error);
    const uint32_t state = find_state(a);
    if (state != pickle->root)
        note_keys(a);
    if (!state)
        return refuse_keys(a, error);
    note_inert(a);
    sono_pickle_cursor cursor = {0};
    uint32_t key = 0, value = 0;
    while (sono_pickle_next_pair(pickle, state, &cursor, &key, &value)) {
        if (pickle->values[value].kind != SONO_PICKLE_TENSOR) {
            note_ignored(a, &pickle->values[key]);
            continue;
        }
        if (pickle->values[key].kind != SONO_PICKLE_TEXT)
            return SONO_FAIL(error, FORMAT, "state dict has a tensor under a key that is no text");
        SONO_TRY(add_tensor(a, pickle->values[key].as.text, &pickle->values[value], error));
    }
    if (state == pickle->root && a->checkpoint->notes.n_ignored)
        note_keys(a);
    return SONO_STATUS_OK;
}

static sono_status read_archive(archive *a, sono_error *error)
{
    const sono_zip_entry *entry = NULL;
    const uint8_t *bytes = NULL;
    SONO_TRY(find_pickle(a, &entry, error));
    SONO_TRY(check_kind(a, error));
    if (entry->n_bytes <= SONO_PICKLE_MAX_BYTES)
        SONO_TRY(sono_zip_unpack(a->zip, entry, &bytes, error));
    const uint64_t offset = entry->is_deflated ? 0 : (uint64_t)(entry->data - a->checkpoint->bytes);
    sono_status status = sono_pickle_read(bytes, entry->n_bytes, offset, &a->pickle, error);
    if (status != SONO_STATUS_OK && entry->is_deflated)
        sono_error_prefix(error, "unpacked data.pkl");
    SONO_TRY(status);
    status = add_state(a, error);
    sono_pickle_close(&a->pickle);
    return status;
}

sono_status sono_checkpoint_read_torch(sono_checkpoint *checkpoint, sono_error *error)
{
    archive a = {.checkpoint = checkpoint, .zip = &checkpoint->zip};
    checkpoint->container = "pytorch zip";
    SONO_TRY(sono_zip_open(checkpoint->bytes, checkpoint->n_bytes, &checkpoint->zip, error));
    return read_archive(&a, error);
}
