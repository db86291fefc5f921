// SPDX-License-Identifier: Apache-2.0
/*
 * D-FINE's sizes after configs/dfine/dfine_hgnetv2_{n,s,m,l,x}_coco.yml and
 * src/nn/backbone/hgnetv2.py:345-425
 * @ 4a1f73a (Peterande/D-FINE); MobileSAM after mobile_sam/build_sam.py:48-95 @ 34bbbfd
 * (ChaoningZhang/MobileSAM).
 */
#include "nets/recognise.h"

#include "base/alloc.h"
#include "nets/anchors.h"
#include "checkpoint/checkpoint_private.h"
#include "checkpoint/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIRST_WEIGHT "backbone.stem.stem1.conv.weight"

/* What tells D-FINE's sizes apart. */
typedef struct dfine_facts {
    int64_t stem_channels;    /* backbone.stem.stem4 */
    int64_t encoder_channels; /* encoder.lateral_convs.0 */
    int64_t n_layers;         /* of the decoder */
} dfine_facts;

static const struct {
    const char *architecture;
    dfine_facts facts;
    sono_anchor_grid grid; /* levels of stride 8, 16, 32 (n: 16, 32) */
    int32_t n_points[3];   /* sampled on each level */
} dfine_sizes[] = {
    {"dfine-n", {16, 128, 3}, {640, 640, 16, 2}, {6, 6, 0}},
    {"dfine-s", {16, 256, 3}, {640, 640, 8, 3}, {3, 6, 3}},
    {"dfine-m", {32, 256, 4}, {640, 640, 8, 3}, {3, 6, 3}},
    {"dfine-l", {48, 256, 6}, {640, 640, 8, 3}, {3, 6, 3}},
    {"dfine-x", {64, 384, 6}, {640, 640, 8, 3}, {3, 6, 3}},
};

/* Dimension of a tensor, 0 when there is no such tensor or dimension. */
static int64_t dim_of(const sono_name_table *table, const char *name, int32_t dim)
{
    const sono_name_entry *entry = sono_name_table_find(table, name);
    return entry && dim < entry->n_dims ? entry->dims[dim] : 0;
}

/* The decoder's num_points_scale repeats 1/n for each of a level's n points: no other tensor's shape tells 3,
 * 6, 3 from 4, 4, 4. A file may lack it. */
static sono_status check_points(const sono_name_table *table, const char *architecture,
                                const int32_t n_points[3], sono_error *error)
{
    const sono_name_entry *entry =
        sono_name_table_find(table, "decoder.decoder.layers.0.cross_attn.num_points_scale");
    if (!entry)
        return SONO_STATUS_OK;
    enum { N_POINTS = 12 };
    float scale[N_POINTS];
    if (entry->n_dims != 1 || entry->dims[0] != N_POINTS)
        return SONO_FAIL(error, UNSUPPORTED, "%s that samples other than 12 points", architecture);
    SONO_TRY(sono_name_entry_read_f32(entry, scale, error));
    int32_t point = 0;
    for (int32_t level = 0; level < 3; level++)
        for (int32_t i = 0; i < n_points[level]; i++, point++)
            if (fabsf(scale[point] * (float)n_points[level] - 1) > 0.01f) /* bfloat16 has 1/3 to 0.002 */
                return SONO_FAIL(error, UNSUPPORTED,
                                 "%s with other numbers of points than %d, %d, %d on its levels",
                                 architecture, (int)n_points[0], (int)n_points[1], (int)n_points[2]);
    return SONO_STATUS_OK;
}

/* The file has another number of anchors than `wanted`. Says which input they are for where their values
 * tell. */
static sono_status refuse_anchors(const sono_name_table *table, const char *architecture,
                                  const sono_anchor_grid *wanted, sono_error *error)
{
    enum { MOST_ANCHORS = 1 << 20 };
    const sono_name_entry *entry = sono_name_table_find(table, "decoder.anchors");
    const int64_t n_anchors = entry->dims[1];
    sono_anchor_grid grid = *wanted;
    int found = 0;
    if (entry->n_dims == 3 && entry->dims[0] == 1 && entry->dims[2] == 4 && n_anchors <= MOST_ANCHORS) {
        float *anchors = sono_alloc_array(4 * (size_t)n_anchors, sizeof *anchors);
        if (!anchors)
            return SONO_FAIL(error, OUT_OF_MEMORY, "no memory for decoder.anchors");
        found = sono_checkpoint_read_any_f32(entry->parts[0], anchors, NULL) == SONO_STATUS_OK &&
                sono_anchors_find_size(anchors, n_anchors, &grid);
        sono_free(anchors);
    }
    char size[48] = "";
    if (found)
        snprintf(size, sizeof size, ", %d wide and %d high", grid.width_px, grid.height_px);
    return SONO_FAIL(error, UNSUPPORTED,
                     "%s for another input size%s: %" PRId64 " anchors, %d x %d has %" PRId64, architecture,
                     size, n_anchors, wanted->width_px, wanted->height_px, sono_anchors_count(wanted));
}

static sono_status recognise_dfine(const sono_name_table *table, sono_model_info *info, sono_error *error)
{
    dfine_facts seen = {dim_of(table, "backbone.stem.stem4.conv.weight", 0),
                        dim_of(table, "encoder.lateral_convs.0.conv.weight", 0), 0};
    char name[64];
    do
        snprintf(name, sizeof name, "decoder.decoder.layers.%" PRId64 ".norm1.weight", seen.n_layers);
    while (dim_of(table, name, 0) && ++seen.n_layers < 100);
    size_t i = 0;
    const size_t n = sizeof dfine_sizes / sizeof *dfine_sizes;
    while (i < n && memcmp(&dfine_sizes[i].facts, &seen, sizeof seen) != 0)
        i++;
    if (i == n)
        return SONO_FAIL(error, UNSUPPORTED,
                         "looks like D-FINE, but is not of size n, s, m, l or x: stem of %" PRId64
                         " channels, encoder of %" PRId64 ", %" PRId64 " decoder layers",
                         seen.stem_channels, seen.encoder_channels, seen.n_layers);
    const int64_t n_anchors = dim_of(table, "decoder.anchors", 1);
    if (n_anchors && n_anchors != sono_anchors_count(&dfine_sizes[i].grid))
        return refuse_anchors(table, dfine_sizes[i].architecture, &dfine_sizes[i].grid, error);
    const int64_t n_classes = dim_of(table, "decoder.enc_score_head.weight", 0);
    if (n_classes < 1 || n_classes > 65535)
        return SONO_FAIL(error, UNSUPPORTED, "%s with %" PRId64 " classes in decoder.enc_score_head.weight",
                         dfine_sizes[i].architecture, n_classes);
    SONO_TRY(check_points(table, dfine_sizes[i].architecture, dfine_sizes[i].n_points, error));
    info->network = SONO_NETWORK_DFINE;
    info->n_classes = (int32_t)n_classes;
    info->input_px = 640;
    info->n_channels = dim_of(table, FIRST_WEIGHT, 1) == 1 && dim_of(table, FIRST_WEIGHT, 3) ? 1 : 3;
    snprintf(info->architecture, sizeof info->architecture, "%s", dfine_sizes[i].architecture);
    return SONO_STATUS_OK;
}

static sono_status recognise_mobilesam(const sono_name_table *table, sono_model_info *info, sono_error *error)
{
    const int64_t stem = dim_of(table, "image_encoder.patch_embed.seq.0.c.weight", 0);
    const int64_t top = dim_of(table, "image_encoder.layers.3.blocks.1.attn.qkv.weight", 0);
    const int64_t masks = dim_of(table, "mask_decoder.mask_tokens.weight", 0);
    if (stem != 32 || top != 960 || masks != 4)
        return SONO_FAIL(error, UNSUPPORTED,
                         "looks like MobileSAM, but is not vit_t: stem of %" PRId64
                         " channels, last stage's qkv of %" PRId64 ", %" PRId64 " mask tokens",
                         stem, top, masks);
    info->network = SONO_NETWORK_MOBILESAM;
    info->n_classes = 0;
    info->input_px = 1024;
    info->n_channels = 3;
    snprintf(info->architecture, sizeof info->architecture, "mobilesam-vit_t");
    return SONO_STATUS_OK;
}

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
    snprintf(info->naming, sizeof info->naming, "%s", table->is_transformers ? "transformers" : "official");
    snprintf(info->prefix, sizeof info->prefix, "%.*s", (int)table->prefix_bytes, table->prefix);
}

/* Names the first tensors, and where they were taken from when the file has more than them. */
static sono_status refuse(const sono_name_table *table, sono_error *error)
{
    if (sono_name_table_find(table, "image_encoder.pos_embed"))
        return SONO_FAIL(error, UNSUPPORTED,
                         "SAM with a ViT image encoder: only MobileSAM (vit_t) is supported");
    if (!table->n_entries)
        return SONO_FAIL(error, UNSUPPORTED, "no tensors");
    const sono_checkpoint_notes *notes = &table->checkpoint->notes;
    char shape[SONO_CHECKPOINT_SHAPE_BYTES], names[224] = "";
    size_t n = 0;
    for (size_t i = 1; i < table->n_entries && i < 5; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, ", '%.48s'", table->entries[i].name);
    const sono_name_entry *first = &table->entries[0];
    return SONO_FAIL(error, UNSUPPORTED,
                     "neither D-FINE (no backbone.stem.stem1.conv.weight) nor MobileSAM (no "
                     "image_encoder.patch_embed.seq.0.c.weight): %zu tensors such as '%.60s' %s%s%s%.120s",
                     table->n_entries, first->name,
                     sono_checkpoint_shape_text(first->n_dims, first->dims, shape), names,
                     *notes->keys ? "; at the top of the file are " : "", notes->keys);
}

sono_status sono_recognise(const sono_name_table *table, sono_model_info *info, sono_error *error)
{
    if (sono_name_table_find(table, FIRST_WEIGHT))
        SONO_TRY(recognise_dfine(table, info, error));
    else if (sono_name_table_find(table, "image_encoder.patch_embed.seq.0.c.weight"))
        SONO_TRY(recognise_mobilesam(table, info, error));
    else
        return refuse(table, error);
    describe_tensors(table, info);
    return SONO_STATUS_OK;
}
