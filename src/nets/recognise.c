// SPDX-License-Identifier: Apache-2.0
#include "nets/recognise.h"

#include "checkpoint/checkpoint_private.h"
#include "checkpoint/number.h"

#include <stdio.h>
#include <string.h>

static void describe_tensors(const sono_name_table *table, sono_model_info *info)
{
    int seen[SONO_DTYPE_COUNT] = {0};
    info->n_params = 0;
    for (size_t i = 0; i < table->n_entries; i++) {
        const sono_name_entry *entry = &table->entries[i];
        if (!sono_dtype_is_float(entry->dtype))
            continue;
        info->n_params += sono_name_entry_count(entry);
        seen[entry->dtype] = 1;
    }
    size_t n = 0;
    for (int type = 0; type < SONO_DTYPE_COUNT; type++)
        if (seen[type])
            n += (size_t)snprintf(info->dtype + n, sizeof info->dtype - n, "%s%s", n ? "+" : "",
                                  sono_dtype_name((sono_dtype)type));
    snprintf(info->naming, sizeof info->naming, "%s", table->naming ? table->naming->name : "official");
    snprintf(info->prefix, sizeof info->prefix, "%.*s", (int)table->prefix_bytes, table->prefix);
}

/* "neither A (no x) nor B (no y)" */
static void list_networks(char *text, size_t n_bytes)
{
    const sono_network *network = NULL;
    size_t n = 0;
    *text = 0;
    for (size_t i = 0; (network = sono_network_at(i)) && n < n_bytes; i++)
        n += (size_t)snprintf(text + n, n_bytes - n, "%s%s (no %s)", i ? " nor " : "neither ", network->name,
                              network->stems[0]);
}

/* Names the first tensors, and where they were taken from when the file has more than them. */
static sono_status refuse(const sono_name_table *table, sono_error *error)
{
    if (!table->n_entries)
        return SONO_FAIL(error, UNSUPPORTED, "no tensors");
    const sono_checkpoint_notes *notes = &table->checkpoint->notes;
    char shape[SONO_CHECKPOINT_SHAPE_BYTES], names[224] = "", networks[256];
    size_t n = 0;
    list_networks(networks, sizeof networks);
    for (size_t i = 1; i < table->n_entries && i < 5; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, ", '%.48s'", table->entries[i].name);
    const sono_name_entry *first = &table->entries[0];
    return SONO_FAIL(error, UNSUPPORTED, "%s: %zu tensors such as '%.60s' %s%s%s%.120s", networks,
                     table->n_entries, first->name,
                     sono_checkpoint_shape_text(first->n_dims, first->dims, shape), names,
                     *notes->keys ? "; at the top of the file are " : "", notes->keys);
}

static int has_stem(const sono_name_table *table, const sono_network *network)
{
    for (size_t i = 0; i < SONO_NETWORK_STEMS; i++)
        if (network->stems[i] && sono_name_table_find(table, network->stems[i]))
            return 1;
    return 0;
}

sono_status sono_recognise(const sono_name_table *table, const sono_network **network, sono_model_info *info,
                           sono_error *error)
{
    size_t i = 0;
    while (sono_network_at(i) && !has_stem(table, sono_network_at(i)))
        i++;
    const sono_network *found = sono_network_at(i);
    if (!found)
        return refuse(table, error);
    SONO_TRY(found->recognise(table, info, error));
    info->role = found->role;
    snprintf(info->network, sizeof info->network, "%s", found->name);
    describe_tensors(table, info);
    *network = found;
    return SONO_STATUS_OK;
}
