// SPDX-License-Identifier: Apache-2.0
#include "nets/model.h"

#include "base/alloc.h"
#include "nets/bind_private.h"
#include "nets/network.h"
#include "checkpoint/number.h"

static sono_status check_values(const sono_binder *binder, sono_error *error)
{
    const sono_name_table *names = sono_binder_names(binder);
    const char *const *derived = sono_binder_network(binder)->derived;
    int64_t largest = 0;
    for (size_t i = 0; i < names->n_entries; i++) {
        const int64_t count = sono_name_entry_count(&names->entries[i]);
        largest = count > largest ? count : largest;
    }
    float *values = sono_alloc_array((size_t)largest, sizeof *values);
    if (!values)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the largest tensor");
    sono_status status = SONO_STATUS_OK;
    for (size_t i = 0; i < names->n_entries && status == SONO_STATUS_OK; i++) {
        const sono_name_entry *entry = &names->entries[i];
        if (sono_dtype_is_float(entry->dtype) && !sono_network_lists(derived, entry->name))
            status = sono_name_entry_read_f32(entry, values, error);
    }
    sono_free(values);
    return status;
}

sono_status sono_model_check(const sono_checkpoint *checkpoint, sono_error *error)
{
    sono_binder *binder = NULL;
    SONO_TRY(sono_binder_open(checkpoint, &binder, error));
    const sono_status status = check_values(binder, error);
    if (status != SONO_STATUS_OK)
        sono_error_prefix(error, sono_checkpoint_path(checkpoint));
    sono_binder_close(binder);
    return status;
}
