// SPDX-License-Identifier: Apache-2.0
#include "nets/names.h"

#include "base/alloc.h"
#include "checkpoint/checkpoint_private.h"
#include "checkpoint/number.h"
#include "nets/network.h"

#include <stdio.h>
#include <string.h>

enum { MAX_OFFICIAL_BYTES = 768 }; /* a name of 512 bytes grows by less than 32 */

/* A tensor of the file with its official name. */
typedef struct item {
    size_t name; /* offset in text */
    int32_t part;
} item;

typedef struct builder {
    const sono_checkpoint *checkpoint;
    item *items; /* one a tensor */
    uint32_t *order;
    char *text;
    size_t text_bytes, text_capacity;
} builder;

static const char *const parts_text[] = {"q_proj", "k_proj", "v_proj"};

/* ---- prefixes ------------------------------------------------------------------------------------------ */

static const char *const prefix_parts[] = {"module.", "_orig_mod.", "model.", "sam.", "net."};

static int has_stem(const sono_checkpoint *checkpoint, const char *prefix, size_t prefix_bytes,
                    const char *stem)
{
    char name[MAX_OFFICIAL_BYTES];
    snprintf(name, sizeof name, "%.*s%s", (int)prefix_bytes, prefix, stem);
    return sono_checkpoint_find(checkpoint, name) != NULL;
}

/* Length of the part that all names have at offset `at`, 0 when they have none. */
static size_t common_part(const sono_checkpoint *checkpoint, size_t at)
{
    const int32_t n = sono_checkpoint_n_tensors(checkpoint);
    for (size_t i = 0; i < sizeof prefix_parts / sizeof *prefix_parts; i++) {
        const size_t n_bytes = strlen(prefix_parts[i]);
        int32_t k = 0;
        while (k < n &&
               strncmp(sono_checkpoint_tensor_at(checkpoint, k)->name + at, prefix_parts[i], n_bytes) == 0)
            k++;
        if (k == n)
            return n_bytes;
    }
    return 0;
}

/* The naming of a network whose stem the file has behind that prefix; NULL when there is none. */
static const sono_naming *find_naming(const sono_checkpoint *checkpoint, const char *prefix,
                                      size_t prefix_bytes)
{
    const sono_network *network = NULL;
    for (size_t i = 0; (network = sono_network_at(i)); i++)
        for (const sono_naming *naming = network->namings; naming && naming->name; naming++)
            if (has_stem(checkpoint, prefix, prefix_bytes, naming->stem))
                return naming;
    return NULL;
}

/* Whether a network's names, official or not, are left without that prefix. */
static int leaves_a_network(const sono_checkpoint *checkpoint, const char *prefix, size_t prefix_bytes)
{
    const sono_network *network = NULL;
    for (size_t i = 0; (network = sono_network_at(i)); i++)
        for (size_t k = 0; k < SONO_NETWORK_STEMS; k++)
            if (network->stems[k] && has_stem(checkpoint, prefix, prefix_bytes, network->stems[k]))
                return 1;
    return find_naming(checkpoint, prefix, prefix_bytes) != NULL;
}

/* Length of the longest prefix made of those parts that all names have and that leaves names of a network we
 * know: "model." alone is a part of transformers' names. 0 when there is none. */
static size_t find_prefix(const sono_checkpoint *checkpoint)
{
    if (!sono_checkpoint_n_tensors(checkpoint))
        return 0;
    const char *first = sono_checkpoint_tensor_at(checkpoint, 0)->name;
    size_t found = 0, at = 0, part = 0;
    do {
        if (leaves_a_network(checkpoint, first, at))
            found = at;
        part = common_part(checkpoint, at);
        at += part;
    } while (part);
    return found;
}

/* ---- table --------------------------------------------------------------------------------------------- */

static sono_text item_name(const void *context, uint32_t number)
{
    const builder *b = context;
    return sono_text_of(b->text + b->items[number].name);
}

static sono_status name_items(builder *b, size_t prefix_bytes, const sono_naming *naming, sono_error *error)
{
    const int32_t n = sono_checkpoint_n_tensors(b->checkpoint);
    for (int32_t i = 0; i < n; i++) {
        const char *name = sono_checkpoint_tensor_at(b->checkpoint, i)->name + prefix_bytes;
        char official[MAX_OFFICIAL_BYTES];
        b->items[i] = (item){b->text_bytes, -1};
        if (naming) {
            naming->rename(name, official, sizeof official, &b->items[i].part);
            name = official;
        }
        const size_t n_bytes = strlen(name) + 1;
        if (sono_alloc_grow((void **)&b->text, &b->text_capacity, b->text_bytes + n_bytes, 1))
            return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the tensors' names");
        memcpy(b->text + b->text_bytes, name, n_bytes);
        b->text_bytes += n_bytes;
    }
    sono_sort_names(b->order, (size_t)n, item_name, b);
    return SONO_STATUS_OK;
}

static int same_shape(const sono_checkpoint_tensor *a, const sono_checkpoint_tensor *b)
{
    return a->dtype == b->dtype && a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims) == 0;
}

/* Whether both hold the same bytes; only contiguous ones are compared, as transformers writes them. */
static int same_values(const sono_checkpoint_tensor *a, const sono_checkpoint_tensor *b)
{
    sono_tensor_rows rows_a, rows_b;
    if (!same_shape(a, b))
        return 0;
    sono_tensor_rows_start(&rows_a, a);
    sono_tensor_rows_start(&rows_b, b);
    if (rows_a.done || rows_b.done)
        return 1;
    const size_t n_bytes = (size_t)sono_checkpoint_tensor_count(a) * sono_dtype_bytes(a->dtype);
    const int contiguous = !rows_a.n_outer && !rows_b.n_outer && rows_a.stride == 1 && rows_b.stride == 1;
    return contiguous && memcmp(a->data, b->data, n_bytes) == 0;
}

static sono_status add_part(sono_name_entry *entry, int32_t part, const sono_checkpoint_tensor *tensor,
                            sono_error *error)
{
    const sono_checkpoint_tensor **slot = &entry->parts[part < 0 ? 0 : part];
    if (*slot && !same_values(*slot, tensor))
        return SONO_FAIL(error, MODEL_MISMATCH, "tensors '%s' and '%s' stand for the same tensor and differ",
                         (*slot)->name, tensor->name);
    *slot = tensor;
    entry->n_parts = part < 0 ? 1 : SONO_NAME_MAX_PARTS;
    return SONO_STATUS_OK;
}

/* Fills dtype and shape once all parts are there. */
static sono_status finish_entry(sono_name_entry *entry, sono_error *error)
{
    char shape[SONO_CHECKPOINT_SHAPE_BYTES], other[SONO_CHECKPOINT_SHAPE_BYTES];
    for (int32_t i = 0; i < entry->n_parts; i++)
        if (!entry->parts[i])
            return SONO_FAIL(error, MODEL_MISMATCH, "tensor '%s' cannot be joined: its %s is missing",
                             entry->name, parts_text[i]);
    const sono_checkpoint_tensor *first = entry->parts[0];
    for (int32_t i = 1; i < entry->n_parts; i++)
        if (!first->n_dims || !same_shape(first, entry->parts[i]))
            return SONO_FAIL(
                error, MODEL_MISMATCH, "tensors '%s' %s and '%s' %s cannot be joined", first->name,
                sono_checkpoint_shape_text(first->n_dims, first->dims, shape), entry->parts[i]->name,
                sono_checkpoint_shape_text(entry->parts[i]->n_dims, entry->parts[i]->dims, other));
    entry->dtype = first->dtype;
    entry->n_dims = first->n_dims;
    memcpy(entry->dims, first->dims, sizeof entry->dims);
    if (entry->n_parts > 1)
        entry->dims[0] *= entry->n_parts;
    return SONO_STATUS_OK;
}

static sono_status build_entries(const builder *b, sono_name_table *table, sono_error *error)
{
    const size_t n = (size_t)sono_checkpoint_n_tensors(b->checkpoint);
    for (size_t i = 0; i < n; i++) {
        const item *named = &b->items[b->order[i]];
        const char *name = b->text + named->name;
        sono_name_entry *entry = table->n_entries ? &table->entries[table->n_entries - 1] : NULL;
        if (!entry || strcmp(entry->name, name) != 0) {
            if (entry)
                SONO_TRY(finish_entry(entry, error));
            entry = &table->entries[table->n_entries++];
            entry->name = name;
        }
        SONO_TRY(add_part(entry, named->part, sono_checkpoint_tensor_at(b->checkpoint, (int32_t)b->order[i]),
                          error));
    }
    return n ? finish_entry(&table->entries[table->n_entries - 1], error) : SONO_STATUS_OK;
}

sono_status sono_name_table_open(const sono_checkpoint *checkpoint, sono_name_table *out, sono_error *error)
{
    const size_t n = (size_t)sono_checkpoint_n_tensors(checkpoint);
    builder b = {.checkpoint = checkpoint};
    *out = (sono_name_table){.checkpoint = checkpoint, .prefix_bytes = find_prefix(checkpoint)};
    out->prefix = n ? sono_checkpoint_tensor_at(checkpoint, 0)->name : "";
    out->naming = find_naming(checkpoint, out->prefix, out->prefix_bytes);
    b.items = sono_alloc_array(n, sizeof *b.items);
    b.order = sono_alloc_array(n, sizeof *b.order);
    out->entries = sono_alloc_array(n, sizeof *out->entries);
    sono_status status = SONO_STATUS_OK;
    if (!b.items || !b.order || !out->entries)
        status = SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the tensors' names");
    if (status == SONO_STATUS_OK)
        status = name_items(&b, out->prefix_bytes, out->naming, error);
    out->text = b.text;
    if (status == SONO_STATUS_OK)
        status = build_entries(&b, out, error);
    sono_free(b.items);
    sono_free(b.order);
    if (status != SONO_STATUS_OK)
        sono_name_table_close(out);
    return status;
}

void sono_name_table_close(sono_name_table *table)
{
    sono_free(table->entries);
    sono_free(table->text);
    *table = (sono_name_table){0};
}

sono_name_entry *sono_name_table_find(const sono_name_table *table, const char *name)
{
    size_t low = 0, high = table->n_entries;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(table->entries[middle].name, name);
        if (order == 0)
            return &table->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int64_t sono_name_table_dim(const sono_name_table *table, const char *name, int32_t dim)
{
    const sono_name_entry *entry = sono_name_table_find(table, name);
    return entry && dim < entry->n_dims ? entry->dims[dim] : 0;
}

int sono_name_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++resume;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

int64_t sono_name_entry_count(const sono_name_entry *entry)
{
    return entry->n_parts * sono_checkpoint_tensor_count(entry->parts[0]);
}

sono_status sono_name_entry_read_f32(const sono_name_entry *entry, float *out, sono_error *error)
{
    const int64_t part_count = sono_checkpoint_tensor_count(entry->parts[0]);
    for (int32_t i = 0; i < entry->n_parts; i++)
        SONO_TRY(sono_checkpoint_read_f32(entry->parts[i], out + i * part_count, error));
    return SONO_STATUS_OK;
}
