// SPDX-License-Identifier: Apache-2.0
#include "nets/bind.h"

#include "base/alloc.h"
#include "nets/bind_private.h"
#include "checkpoint/checkpoint_private.h"
#include "nets/recognise.h"

#include <stdio.h>
#include <string.h>

struct sono_binder {
    const sono_checkpoint *checkpoint;
    sono_name_table names;
    const sono_network *network;
    sono_model_info info;
};

static sono_status fill_binder(sono_binder *binder, sono_error *error)
{
    const sono_checkpoint *checkpoint = binder->checkpoint;
    sono_model_info *info = &binder->info;
    SONO_TRY(sono_name_table_open(checkpoint, &binder->names, error));
    SONO_TRY(sono_recognise(&binder->names, &binder->network, info, error));
    for (const char *const *pattern = binder->network->ignored; pattern && *pattern; pattern++)
        sono_bind_ignore(binder, *pattern);
    snprintf(info->container, sizeof info->container, "%s", sono_checkpoint_container(checkpoint));
    info->n_tensors = sono_checkpoint_n_tensors(checkpoint);
    info->file_bytes = (int64_t)checkpoint->n_bytes;
    return SONO_STATUS_OK;
}

sono_status sono_binder_open(const sono_checkpoint *checkpoint, sono_binder **out, sono_error *error)
{
    sono_binder *binder = sono_alloc(sizeof *binder);
    if (!binder)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory");
    binder->checkpoint = checkpoint;
    const sono_status status = fill_binder(binder, error);
    if (status != SONO_STATUS_OK) {
        sono_error_prefix(error, checkpoint->path);
        sono_binder_close(binder);
        return status;
    }
    *out = binder;
    return SONO_STATUS_OK;
}

void sono_binder_close(sono_binder *binder)
{
    if (!binder)
        return;
    sono_name_table_close(&binder->names);
    sono_free(binder);
}

const sono_model_info *sono_binder_info(const sono_binder *binder)
{
    return &binder->info;
}

const char *sono_binder_path(const sono_binder *binder)
{
    return binder->checkpoint->path;
}

sono_status sono_binder_set_family(sono_binder *binder, sono_detector_family family, sono_error *error)
{
    sono_model_info *info = &binder->info;
    const char *path = binder->checkpoint->path;
    if (family == SONO_FAMILY_AUTO)
        return SONO_STATUS_OK;
    if (!(info->role & SONO_ROLE_DETECTOR))
        return SONO_FAIL(error, MODEL_MISMATCH, "%s: this is %s: only a detector has a family (%s)", path,
                         info->architecture, sono_detector_family_name(family));
    if (info->family != SONO_FAMILY_AUTO && info->family != family)
        return SONO_FAIL(
            error, MODEL_MISMATCH,
            "%s: its metadata says that it is of the family %s, but %s was asked for: leave that "
            "out, or give the file that was meant",
            path, sono_detector_family_name(info->family), sono_detector_family_name(family));
    info->family = family;
    return SONO_STATUS_OK;
}

sono_status sono_binder_set_size(sono_binder *binder, int32_t width_px, int32_t height_px, sono_error *error)
{
    if (width_px == 0 && height_px == 0)
        return SONO_STATUS_OK;
    const sono_status status = sono_network_check_size(binder->network, width_px, height_px, error);
    if (status != SONO_STATUS_OK) {
        sono_error_prefix(error, binder->checkpoint->path);
        return status;
    }
    binder->info.input_width_px = width_px;
    binder->info.input_height_px = height_px;
    return SONO_STATUS_OK;
}

const sono_network *sono_binder_network(const sono_binder *binder)
{
    return binder->network;
}

const sono_name_table *sono_binder_names(const sono_binder *binder)
{
    return &binder->names;
}

int sono_bind_has(const sono_binder *binder, const char *name)
{
    return sono_name_table_find(&binder->names, name) != NULL;
}

int64_t sono_bind_count(const sono_binder *binder, const char *name)
{
    const sono_name_entry *entry = sono_name_table_find(&binder->names, name);
    return entry ? sono_name_entry_count(entry) : 0;
}

static sono_status read_exactly(sono_binder *binder, const char *name, int32_t n_dims, const int64_t *dims,
                                int must_be_finite, float *out, sono_error *error)
{
    char wanted[SONO_CHECKPOINT_SHAPE_BYTES], found[SONO_CHECKPOINT_SHAPE_BYTES];
    sono_name_entry *entry = sono_name_table_find(&binder->names, name);
    if (!entry)
        return SONO_FAIL(error, MODEL_MISMATCH, "tensor '%s' %s of %s is missing", name,
                         sono_checkpoint_shape_text(n_dims, dims, wanted), binder->info.architecture);
    if (entry->n_dims != n_dims || (n_dims && memcmp(entry->dims, dims, (size_t)n_dims * sizeof *dims) != 0))
        return SONO_FAIL(error, MODEL_MISMATCH, "tensor '%s' is %s, %s needs %s", name,
                         sono_checkpoint_shape_text(entry->n_dims, entry->dims, found),
                         binder->info.architecture, sono_checkpoint_shape_text(n_dims, dims, wanted));
    SONO_TRY(must_be_finite ? sono_name_entry_read_f32(entry, out, error)
                            : sono_checkpoint_read_any_f32(entry->parts[0], out, error));
    entry->used = 1;
    return SONO_STATUS_OK;
}

sono_status sono_bind_f32(sono_binder *binder, const char *name, int32_t n_dims, const int64_t *dims,
                          float *out, sono_error *error)
{
    const sono_status status = read_exactly(binder, name, n_dims, dims, 1, out, error);
    if (status != SONO_STATUS_OK)
        sono_error_prefix(error, binder->checkpoint->path);
    return status;
}

sono_status sono_bind_any_f32(sono_binder *binder, const char *name, int32_t n_dims, const int64_t *dims,
                              float *out, sono_error *error)
{
    const sono_status status = read_exactly(binder, name, n_dims, dims, 0, out, error);
    if (status != SONO_STATUS_OK)
        sono_error_prefix(error, binder->checkpoint->path);
    return status;
}

void sono_bind_ignore(sono_binder *binder, const char *pattern)
{
    for (size_t i = 0; i < binder->names.n_entries; i++)
        if (sono_name_matches(pattern, binder->names.entries[i].name))
            binder->names.entries[i].used = 1;
}

sono_status sono_bind_finish(sono_binder *binder, sono_error *error)
{
    const sono_name_entry *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < binder->names.n_entries; i++) {
        const sono_name_entry *entry = &binder->names.entries[i];
        if (entry->used)
            continue;
        if (!n++)
            first = entry;
    }
    if (!n)
        return SONO_STATUS_OK;
    char shape[SONO_CHECKPOINT_SHAPE_BYTES], more[48] = "";
    if (n > 1)
        snprintf(more, sizeof more, ", nor are %zu others", n - 1);
    return SONO_FAIL(error, MODEL_MISMATCH, "%s: tensor '%.200s' %s is no part of %s%s",
                     binder->checkpoint->path, first->name,
                     sono_checkpoint_shape_text(first->n_dims, first->dims, shape), binder->info.architecture,
                     more);
}
