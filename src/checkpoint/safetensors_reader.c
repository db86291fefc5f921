// SPDX-License-Identifier: Apache-2.0
/*
 * safetensors: 8 bytes of header length, a JSON header, the tensors' bytes without holes
 * (safetensors/src/tensor.rs, SafeTensors::read_metadata(), 0.4).
 */
#include "checkpoint/checkpoint_private.h"

#include "base/alloc.h"
#include "checkpoint/bytes.h"
#include "checkpoint/json.h"

#include <inttypes.h>
#include <string.h>

static const size_t max_metadata_pairs = 1u << 16;

enum { ENTRY_DEPTH = 2 }; /* of a tensor's fields in the JSON text */

/* One entry of the header as it is read. */
typedef struct entry {
    char *name;
    sono_checkpoint_tensor tensor;
    int64_t begin, end; /* relative to the data */
    int has_dtype, has_shape, has_offsets;
} entry;

typedef struct reader {
    sono_checkpoint *checkpoint;
    sono_json json;
    const uint8_t *data;
    uint64_t data_bytes;
    sono_error *error;
} reader;

#define FAIL_ENTRY(r, name, ...)                                                                             \
    SONO_FAIL_AT((r)->error, name, (r)->json.base_offset + (r)->json.at, __VA_ARGS__)

static sono_status read_dtype(reader *r, entry *e)
{
    static const char *const foreign[] = {"U16",     "U32",         "U64",         "F8_E4M3",
                                          "F8_E5M2", "F8_E8M0",     "F6_E2M3",     "F6_E3M2",
                                          "F4",      "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"};
    char *text = NULL;
    SONO_TRY(sono_json_string(&r->json, &text, r->error));
    for (int type = 0; type < SONO_DTYPE_COUNT && !e->has_dtype; type++)
        if (strcmp(text, sono_dtype_name((sono_dtype)type)) == 0) {
            e->tensor.dtype = (sono_dtype)type;
            e->has_dtype = 1;
        }
    sono_status status = SONO_STATUS_OK;
    if (!e->has_dtype) {
        int known = 0;
        for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
            known |= strcmp(text, foreign[i]) == 0;
        status = known ? FAIL_ENTRY(r, UNSUPPORTED,
                                    "tensor '%s' has dtype %s, which is not supported: save it as F32",
                                    e->name, text)
                       : FAIL_ENTRY(r, FORMAT, "tensor '%s' has the unknown dtype '%.40s'", e->name, text);
    }
    sono_free(text);
    return status;
}

/* An array of at most max_n integers. */
static sono_status read_integers(reader *r, const char *name, int32_t max_n, int64_t *out, int32_t *n)
{
    int first = 1, more = 0;
    SONO_TRY(sono_json_take(&r->json, '[', r->error));
    for (*n = 0;; (*n)++) {
        SONO_TRY(sono_json_next(&r->json, ']', &first, &more, r->error));
        if (!more)
            return SONO_STATUS_OK;
        if (*n >= max_n)
            return FAIL_ENTRY(r, UNSUPPORTED, "tensor '%s': more than %d numbers in a list", name, max_n);
        SONO_TRY(sono_json_integer(&r->json, &out[*n], r->error));
    }
}

static sono_status read_field(reader *r, entry *e, const char *key)
{
    if (strcmp(key, "dtype") == 0 && !e->has_dtype)
        return read_dtype(r, e);
    if (strcmp(key, "shape") == 0 && !e->has_shape) {
        e->has_shape = 1;
        return read_integers(r, e->name, SONO_CHECKPOINT_MAX_DIMS, e->tensor.dims, &e->tensor.n_dims);
    }
    if (strcmp(key, "data_offsets") == 0 && !e->has_offsets) {
        int64_t offsets[2] = {0, 0};
        int32_t n = 0;
        SONO_TRY(read_integers(r, e->name, 2, offsets, &n));
        e->has_offsets = n == 2;
        e->begin = offsets[0];
        e->end = offsets[1];
        return SONO_STATUS_OK;
    }
    if (strcmp(key, "dtype") == 0 || strcmp(key, "shape") == 0 || strcmp(key, "data_offsets") == 0)
        return FAIL_ENTRY(r, FORMAT, "tensor '%s': key '%.40s' is there twice", e->name, key);
    return sono_json_skip(&r->json, ENTRY_DEPTH, r->error);
}

static sono_status check_entry(reader *r, entry *e)
{
    sono_checkpoint_tensor *tensor = &e->tensor;
    if (!e->has_dtype || !e->has_shape || !e->has_offsets)
        return FAIL_ENTRY(r, FORMAT, "tensor '%s' has no %s", e->name,
                          !e->has_dtype   ? "dtype"
                          : !e->has_shape ? "shape"
                                          : "pair of data_offsets");
    if (e->begin > e->end || (uint64_t)e->end > r->data_bytes)
        return FAIL_ENTRY(
            r, FORMAT, "tensor '%s' at [%" PRId64 ", %" PRId64 ") lies outside the data of %" PRIu64 " bytes",
            e->name, e->begin, e->end, r->data_bytes);
    int64_t count = 0, n_bytes = 0;
    if (sono_checkpoint_count_elements(tensor->n_dims, tensor->dims, &count) ||
        __builtin_mul_overflow(count, (int64_t)sono_dtype_bytes(tensor->dtype), &n_bytes) ||
        n_bytes != e->end - e->begin) {
        char shape[SONO_CHECKPOINT_SHAPE_BYTES];
        return FAIL_ENTRY(r, FORMAT, "tensor '%s' %s %s does not fill its %" PRId64 " bytes", e->name,
                          sono_dtype_name(tensor->dtype),
                          sono_checkpoint_shape_text(tensor->n_dims, tensor->dims, shape), e->end - e->begin);
    }
    int64_t stride = 1;
    for (int32_t i = tensor->n_dims; i-- > 0;) {
        tensor->strides[i] = stride;
        stride *= count ? tensor->dims[i] : 1;
    }
    tensor->data = r->data + e->begin;
    return SONO_STATUS_OK;
}

static sono_status read_entry(reader *r, char *name)
{
    entry e = {.name = name};
    int first = 1, more = 0;
    SONO_TRY(sono_json_take(&r->json, '{', r->error));
    for (;;) {
        SONO_TRY(sono_json_next(&r->json, '}', &first, &more, r->error));
        if (!more)
            break;
        char *key = NULL;
        SONO_TRY(sono_json_string(&r->json, &key, r->error));
        sono_status status = sono_json_take(&r->json, ':', r->error);
        if (status == SONO_STATUS_OK)
            status = read_field(r, &e, key);
        sono_free(key);
        SONO_TRY(status);
    }
    SONO_TRY(check_entry(r, &e));
    return sono_checkpoint_add(r->checkpoint, sono_text_of(name), &e.tensor, r->error);
}

static sono_text pair_key(const void *context, uint32_t item)
{
    return sono_text_of(((const sono_checkpoint_pair *)context)[item].key);
}

/* Of the pairs that share a key the last one stays, as with the reference reader. */
static sono_status drop_repeated_keys(reader *r)
{
    sono_checkpoint_pair *pairs = r->checkpoint->metadata;
    const size_t n = r->checkpoint->n_metadata;
    uint32_t *order = sono_alloc_array(n, sizeof *order);
    if (!order)
        return FAIL_ENTRY(r, OUT_OF_MEMORY, "out of memory for the metadata");
    const int64_t repeated = sono_sort_names(order, n, pair_key, pairs);
    for (size_t i = repeated < 0 ? n : (size_t)repeated; i + 1 < n; i++)
        if (strcmp(pairs[order[i]].key, pairs[order[i + 1]].key) == 0) {
            sono_free(pairs[order[i]].value);
            pairs[order[i]].value = NULL;
        }
    sono_free(order);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value)
            pairs[n_kept++] = pairs[i];
        else
            sono_free(pairs[i].key);
    }
    r->checkpoint->n_metadata = n_kept;
    return SONO_STATUS_OK;
}

static sono_status read_metadata(reader *r)
{
    sono_checkpoint *checkpoint = r->checkpoint;
    int first = 1, more = 0;
    if (sono_json_peek(&r->json) == 'n')
        return sono_json_skip(&r->json, 1, r->error);
    SONO_TRY(sono_json_take(&r->json, '{', r->error));
    for (;;) {
        SONO_TRY(sono_json_next(&r->json, '}', &first, &more, r->error));
        if (!more)
            return drop_repeated_keys(r);
        if (checkpoint->n_metadata >= max_metadata_pairs)
            return FAIL_ENTRY(r, UNSUPPORTED, "more than %zu metadata keys: save the file with fewer",
                              max_metadata_pairs);
        if (sono_alloc_grow((void **)&checkpoint->metadata, &checkpoint->metadata_capacity,
                            checkpoint->n_metadata + 1, sizeof *checkpoint->metadata))
            return FAIL_ENTRY(r, OUT_OF_MEMORY, "out of memory for the metadata");
        sono_checkpoint_pair *pair = &checkpoint->metadata[checkpoint->n_metadata];
        SONO_TRY(sono_json_string(&r->json, &pair->key, r->error));
        checkpoint->n_metadata++;
        SONO_TRY(sono_json_take(&r->json, ':', r->error));
        SONO_TRY(sono_json_string(&r->json, &pair->value, r->error));
    }
}

static sono_status read_header(reader *r)
{
    int first = 1, more = 0, seen_metadata = 0;
    SONO_TRY(sono_json_take(&r->json, '{', r->error));
    for (;;) {
        SONO_TRY(sono_json_next(&r->json, '}', &first, &more, r->error));
        if (!more)
            break;
        char *name = NULL;
        SONO_TRY(sono_json_string(&r->json, &name, r->error));
        const int is_metadata = strcmp(name, "__metadata__") == 0;
        sono_status status = sono_json_take(&r->json, ':', r->error);
        if (status == SONO_STATUS_OK && is_metadata && seen_metadata)
            status = FAIL_ENTRY(r, FORMAT, "__metadata__ is there twice");
        if (status == SONO_STATUS_OK)
            status = is_metadata ? read_metadata(r) : read_entry(r, name);
        seen_metadata |= is_metadata;
        sono_free(name);
        SONO_TRY(status);
    }
    if (sono_json_peek(&r->json) || r->json.at < r->json.n_bytes) /* a NUL is no blank */
        return FAIL_ENTRY(r, FORMAT, "JSON: something follows the header's '}'");
    return SONO_STATUS_OK;
}

static int64_t tensor_bytes(const sono_checkpoint_tensor *tensor)
{
    return sono_checkpoint_tensor_count(tensor) * (int64_t)sono_dtype_bytes(tensor->dtype);
}

static int compare_places(const void *context, uint32_t a, uint32_t b)
{
    const sono_checkpoint_tensor *x = (const sono_checkpoint_tensor *)context + a;
    const sono_checkpoint_tensor *y = (const sono_checkpoint_tensor *)context + b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (tensor_bytes(x) > tensor_bytes(y)) - (tensor_bytes(x) < tensor_bytes(y));
}

/* The tensors must follow one another from the first data byte to the last. */
static sono_status check_places(const reader *r, uint32_t *order)
{
    const sono_checkpoint_tensor *tensors = r->checkpoint->tensors;
    const size_t n = r->checkpoint->n_tensors;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    sono_sort(order, n, compare_places, tensors);
    const uint8_t *expected = r->data;
    for (size_t i = 0; i < n; i++) {
        const sono_checkpoint_tensor *tensor = &tensors[order[i]];
        if (tensor->data != expected)
            return SONO_FAIL_AT(
                r->error, FORMAT, tensor->data - r->checkpoint->bytes, "tensor '%s' %s", tensor->name,
                tensor->data < expected ? "overlaps the one before it" : "follows a hole in the data");
        expected += tensor_bytes(tensor);
    }
    if (expected != r->data + r->data_bytes)
        return SONO_FAIL_AT(r->error, FORMAT, expected - r->checkpoint->bytes,
                            "%" PRId64 " bytes behind the last tensor belong to none",
                            (int64_t)(r->data + r->data_bytes - expected));
    return SONO_STATUS_OK;
}

sono_status sono_checkpoint_read_safetensors(sono_checkpoint *checkpoint, sono_error *error)
{
    checkpoint->container = "safetensors";
    const uint64_t header_bytes = sono_le64(checkpoint->bytes);
    if (header_bytes > SONO_SAFETENSORS_MAX_HEADER || header_bytes > checkpoint->n_bytes - 8)
        return SONO_FAIL_AT(error, FORMAT, 0,
                            "header of %" PRIu64 " bytes in a file of %zu bytes (truncated?)", header_bytes,
                            checkpoint->n_bytes);
    reader r = {.checkpoint = checkpoint,
                .json = {(const char *)checkpoint->bytes + 8, (size_t)header_bytes, 0, 8},
                .data = checkpoint->bytes + 8 + header_bytes,
                .data_bytes = checkpoint->n_bytes - 8 - header_bytes,
                .error = error};
    SONO_TRY(read_header(&r));
    if (!checkpoint->n_tensors)
        return SONO_FAIL(error, UNSUPPORTED, "the file holds no tensors: save model.state_dict() in it");
    uint32_t *order = sono_alloc_array(checkpoint->n_tensors, sizeof *order);
    if (!order)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the tensor list");
    const sono_status status = check_places(&r, order);
    sono_free(order);
    return status;
}
