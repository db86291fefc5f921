// SPDX-License-Identifier: Apache-2.0
/*
 * Any checkpoint into safetensors under official names. The bytes depend on the input alone: tensors are
 * sorted by element size, widest first (so that all are aligned), then by name, and the header is padded to 8
 * bytes.
 */
#include "sonoseg/models.h"

#include "base/alloc.h"
#include "nets/bind_private.h"
#include "checkpoint/checkpoint_private.h"
#include "checkpoint/file_writer.h"
#include "nets/model.h"
#include "nets/network.h"
#include "checkpoint/number.h"
#include "base/sha256.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 16384 }; /* elements converted at a time */
static const float half_largest = 65504.0f;

typedef struct text_buffer {
    char *text;
    size_t n_bytes, capacity;
    int failed;
} text_buffer;

typedef struct converter {
    const sono_checkpoint *checkpoint;
    const sono_name_table *names;
    const sono_network *network;
    const sono_model_info *info;
    sono_precision precision;
    uint32_t *order; /* of the entries in the file */
    float *values;   /* CHUNK */
    sono_file_writer writer;
    sono_error *error;
} converter;

/* ---- header -------------------------------------------------------------------------------------------- */

static void put(text_buffer *buffer, const char *text)
{
    const size_t n = strlen(text);
    if (buffer->failed ||
        sono_alloc_grow((void **)&buffer->text, &buffer->capacity, buffer->n_bytes + n + 1, 1)) {
        buffer->failed = 1;
        return;
    }
    memcpy(buffer->text + buffer->n_bytes, text, n + 1);
    buffer->n_bytes += n;
}

/* Names hold no control characters: sono_checkpoint_add() refuses them. */
static void put_string(text_buffer *buffer, const char *string)
{
    put(buffer, "\"");
    for (; *string; string++) {
        if (*string == '"' || *string == '\\')
            put(buffer, "\\");
        put(buffer, (const char[]){*string, 0});
    }
    put(buffer, "\"");
}

static void put_pair(text_buffer *buffer, const char *before, const char *key, const char *value)
{
    put(buffer, before);
    put_string(buffer, key);
    put(buffer, ":");
    put_string(buffer, value);
}

static sono_dtype stored_dtype(const converter *c, const sono_name_entry *entry)
{
    if (!sono_dtype_is_float(entry->dtype))
        return entry->dtype;
    /* Derived tensors place boxes: half precision would move them by up to 0.1 px of the source. */
    const int halved =
        c->precision == SONO_PRECISION_FP16 && !sono_network_lists(c->network->derived, entry->name);
    return halved ? SONO_DTYPE_F16 : SONO_DTYPE_F32;
}

static int compare_entries(const void *context, uint32_t a, uint32_t b)
{
    const converter *c = context;
    const size_t bytes_a = sono_dtype_bytes(stored_dtype(c, &c->names->entries[a]));
    const size_t bytes_b = sono_dtype_bytes(stored_dtype(c, &c->names->entries[b]));
    return (bytes_a < bytes_b) - (bytes_a > bytes_b); /* equal ones stay sorted by name */
}

static void put_entry(text_buffer *buffer, const converter *c, const sono_name_entry *entry, int64_t *offset)
{
    const sono_dtype type = stored_dtype(c, entry);
    const int64_t end = *offset + sono_name_entry_count(entry) * (int64_t)sono_dtype_bytes(type);
    char number[64];
    put(buffer, ",");
    put_string(buffer, entry->name);
    put(buffer, ":{\"dtype\":\"");
    put(buffer, sono_dtype_name(type));
    put(buffer, "\",\"shape\":[");
    for (int32_t i = 0; i < entry->n_dims; i++) {
        snprintf(number, sizeof number, "%s%" PRId64, i ? "," : "", entry->dims[i]);
        put(buffer, number);
    }
    snprintf(number, sizeof number, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", *offset, end);
    put(buffer, number);
    *offset = end;
}

static sono_status write_header(converter *c)
{
    text_buffer buffer = {0};
    char classes[16], size[32], hash[65];
    snprintf(classes, sizeof classes, "%d", (int)c->info->n_classes);
    if (c->info->input_width_px == c->info->input_height_px)
        snprintf(size, sizeof size, "%d", (int)c->info->input_width_px);
    else
        snprintf(size, sizeof size, "%dx%d", (int)c->info->input_width_px, (int)c->info->input_height_px);
    sono_sha256_hex(c->checkpoint->bytes, c->checkpoint->n_bytes, hash);
    put_pair(&buffer, "{\"__metadata__\":{", "format", "pt");
    put_pair(&buffer, ",", "sonoseg.architecture", c->info->architecture);
    put_pair(&buffer, ",", "sonoseg.classes", classes);
    put_pair(&buffer, ",", SONO_INPUT_SIZE_KEY, size);
    if (c->info->family != SONO_FAMILY_AUTO)
        put_pair(&buffer, ",", SONO_FAMILY_KEY, sono_detector_family_name(c->info->family));
    put_pair(&buffer, ",", "sonoseg.precision", sono_precision_name(c->precision));
    put_pair(&buffer, ",", "sonoseg.source_sha256", hash);
    put(&buffer, "}");
    int64_t offset = 0;
    for (size_t i = 0; i < c->names->n_entries; i++)
        put_entry(&buffer, c, &c->names->entries[c->order[i]], &offset);
    put(&buffer, "}");
    while (buffer.n_bytes % 8 && !buffer.failed)
        put(&buffer, " ");
    sono_status status = SONO_STATUS_OK;
    if (buffer.failed) {
        status = SONO_FAIL(c->error, OUT_OF_MEMORY, "out of memory for the header");
    } else {
        uint8_t length[8];
        for (size_t i = 0; i < 8; i++)
            length[i] = (uint8_t)(buffer.n_bytes >> 8 * i);
        status = sono_file_writer_write(&c->writer, length, sizeof length, c->error);
        if (status == SONO_STATUS_OK)
            status = sono_file_writer_write(&c->writer, buffer.text, buffer.n_bytes, c->error);
    }
    sono_free(buffer.text);
    return status;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

static sono_status write_floats(converter *c, const sono_name_entry *entry, int64_t n)
{
    if (stored_dtype(c, entry) != SONO_DTYPE_F16)
        return sono_file_writer_write(&c->writer, c->values, (size_t)n * sizeof *c->values, c->error);
    uint16_t halves[CHUNK];
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(c->values[i]) > half_largest)
            return SONO_FAIL(c->error, UNSUPPORTED,
                             "%.250s: tensor '%s' holds %g, which does not fit F16 (65504)",
                             c->checkpoint->path, entry->name, (double)c->values[i]);
        halves[i] = sono_half_from_float(c->values[i]);
    }
    return sono_file_writer_write(&c->writer, halves, (size_t)n * sizeof *halves, c->error);
}

static sono_status write_row(converter *c, const sono_name_entry *entry, const sono_tensor_rows *rows)
{
    const size_t element_bytes = sono_dtype_bytes(entry->dtype);
    const uint8_t *data = rows->data;
    if (!sono_dtype_is_float(entry->dtype)) {
        for (int64_t i = 0; i < rows->n; i++, data += (size_t)rows->stride * element_bytes)
            SONO_TRY(sono_file_writer_write(&c->writer, data, element_bytes, c->error));
        return SONO_STATUS_OK;
    }
    for (int64_t i = 0; i < rows->n; i += CHUNK) {
        const int64_t n = rows->n - i < CHUNK ? rows->n - i : CHUNK;
        sono_number_to_f32(entry->dtype, data + (size_t)(i * rows->stride) * element_bytes, n, rows->stride,
                           c->values);
        SONO_TRY(write_floats(c, entry, n));
    }
    return SONO_STATUS_OK;
}

static sono_status write_file(converter *c)
{
    SONO_TRY(write_header(c));
    for (size_t i = 0; i < c->names->n_entries; i++) {
        const sono_name_entry *entry = &c->names->entries[c->order[i]];
        for (int32_t part = 0; part < entry->n_parts; part++) {
            sono_tensor_rows rows;
            for (sono_tensor_rows_start(&rows, entry->parts[part]); !rows.done; sono_tensor_rows_next(&rows))
                SONO_TRY(write_row(c, entry, &rows));
        }
    }
    return SONO_STATUS_OK;
}

static sono_status convert(converter *c, const char *path_out)
{
    const size_t n = c->names->n_entries;
    c->order = sono_alloc_array(n, sizeof *c->order);
    c->values = sono_alloc_array(CHUNK, sizeof *c->values);
    sono_status status = SONO_STATUS_OK;
    if (!c->order || !c->values) {
        status = SONO_FAIL(c->error, OUT_OF_MEMORY, "out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            c->order[i] = (uint32_t)i;
        sono_sort(c->order, n, compare_entries, c);
        status = sono_file_writer_open(&c->writer, path_out, c->error);
        if (status == SONO_STATUS_OK)
            status = write_file(c);
        if (status == SONO_STATUS_OK)
            status = sono_file_writer_commit(&c->writer, c->error);
        else
            sono_file_writer_abandon(&c->writer);
    }
    sono_free(c->order);
    sono_free(c->values);
    return status;
}

sono_status sono_model_write(const sono_checkpoint *checkpoint, const char *path_out,
                             sono_precision precision, sono_detector_family family, sono_error *error)
{
    sono_binder *binder = NULL;
    SONO_TRY(sono_model_check(checkpoint, error));
    SONO_TRY(sono_binder_open(checkpoint, &binder, error));
    sono_status status = sono_binder_set_family(binder, family, error);
    converter c = {.checkpoint = checkpoint,
                   .names = sono_binder_names(binder),
                   .network = sono_binder_network(binder),
                   .info = sono_binder_info(binder),
                   .precision = precision,
                   .error = error};
    if (status == SONO_STATUS_OK)
        status = convert(&c, path_out);
    sono_binder_close(binder);
    return status;
}
