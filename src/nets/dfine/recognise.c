// SPDX-License-Identifier: Apache-2.0
/* Which D-FINE a file holds: its size, input, channels, family; and the descriptor. */
#include "nets/dfine/dfine_parts.h"

#include "base/alloc.h"
#include "nets/dfine/anchors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIRST_WEIGHT "backbone.stem.stem1.conv.weight"

enum { MOST_PX = 4096, MOST_ANCHORS = 1 << 20 };

static const sono_dfine_size *find_size(const sono_name_table *table, sono_error *error)
{
    const int64_t stem = sono_name_table_dim(table, "backbone.stem.stem4.conv.weight", 0);
    const int64_t encoder = sono_name_table_dim(table, "encoder.lateral_convs.0.conv.weight", 0);
    int64_t n_layers = 0;
    char name[64];
    do
        snprintf(name, sizeof name, "decoder.decoder.layers.%" PRId64 ".norm1.weight", n_layers);
    while (sono_name_table_dim(table, name, 0) && ++n_layers < 100);
    const sono_dfine_size *size = sono_dfine_sizes;
    while (size->architecture && (size->backbone->c_stem_out != stem || size->c_encoder != encoder ||
                                  size->n_decoder_layers != n_layers))
        size++;
    if (size->architecture)
        return size;
    (void)SONO_FAIL(error, UNSUPPORTED,
                    "looks like D-FINE, but is not of size n, s, m, l or x: stem of %" PRId64
                    " channels, encoder of %" PRId64 ", %" PRId64 " decoder layers",
                    stem, encoder, n_layers);
    return NULL;
}

/* The decoder's num_points_scale repeats 1/n for each of a level's n points: no other tensor's shape tells 3,
 * 6, 3 from 4, 4, 4. A file may lack it. */
static sono_status check_points(const sono_name_table *table, const sono_dfine_size *size, sono_error *error)
{
    const sono_name_entry *entry =
        sono_name_table_find(table, "decoder.decoder.layers.0.cross_attn.num_points_scale");
    const int32_t *n_points = size->level_points;
    float scale[SONO_DFINE_N_POINTS];
    if (!entry)
        return SONO_STATUS_OK;
    if (entry->n_dims != 1 || entry->dims[0] != SONO_DFINE_N_POINTS)
        return SONO_FAIL(error, UNSUPPORTED, "%s that samples other than %d points", size->architecture,
                         SONO_DFINE_N_POINTS);
    SONO_TRY(sono_name_entry_read_f32(entry, scale, error));
    int32_t point = 0;
    for (int32_t level = 0; level < size->n_levels; level++)
        for (int32_t i = 0; i < n_points[level]; i++, point++)
            if (fabsf(scale[point] * (float)n_points[level] - 1) > 0.01f) /* bfloat16 has 1/3 to 0.002 */
                return SONO_FAIL(error, UNSUPPORTED,
                                 "%s with other numbers of points than %d, %d, %d on its levels",
                                 size->architecture, (int)n_points[0], (int)n_points[1], (int)n_points[2]);
    return SONO_STATUS_OK;
}

/* What training/ exports says "architecture", and is D-FINE's. */
static sono_status read_family(const sono_checkpoint *checkpoint, sono_detector_family *out,
                               sono_error *error)
{
    const char *named = sono_checkpoint_metadata(checkpoint, SONO_FAMILY_KEY);
    const char *trained = sono_checkpoint_metadata(checkpoint, "architecture");
    if (!named) {
        *out = trained && strncmp(trained, "dfine-", 6) == 0 ? SONO_FAMILY_DFINE : SONO_FAMILY_AUTO;
        return SONO_STATUS_OK;
    }
    for (int family = SONO_FAMILY_DFINE; family <= SONO_FAMILY_DEIM; family++)
        if (strcmp(named, sono_detector_family_name((sono_detector_family)family)) == 0) {
            *out = (sono_detector_family)family;
            return SONO_STATUS_OK;
        }
    return SONO_FAIL(error, UNSUPPORTED,
                     "the metadata " SONO_FAMILY_KEY " is '%.40s': dfine and deim are known", named);
}

/* ---- the input's size ---- */

static sono_anchor_grid grid_of(const sono_dfine_size *size, int32_t width_px, int32_t height_px)
{
    return (sono_anchor_grid){height_px, width_px, SONO_DFINE_STEP_PX >> (size->n_levels - 1),
                              size->n_levels};
}

/* The anchors of a file, freed by the caller; NULL where they are of no known layout. */
static sono_status read_anchors(const sono_name_entry *entry, float **out, sono_error *error)
{
    *out = NULL;
    if (entry->n_dims != 3 || entry->dims[0] != 1 || entry->dims[2] != 4 || entry->dims[1] > MOST_ANCHORS)
        return SONO_STATUS_OK;
    float *anchors = sono_alloc_array(4 * (size_t)entry->dims[1], sizeof *anchors);
    if (!anchors)
        return SONO_FAIL(error, OUT_OF_MEMORY, "no memory for decoder.anchors");
    if (sono_checkpoint_read_any_f32(entry->parts[0], anchors, NULL) == SONO_STATUS_OK)
        *out = anchors;
    else
        sono_free(anchors);
    return SONO_STATUS_OK;
}

/* The size that the anchors are for goes into grid, which has the one that is expected. is_stated: the file
 * says so itself. Values that fit no size are left to the recorder, where their number does. */
static sono_status settle_size(const sono_dfine_size *size, int64_t n_anchors, const float *anchors,
                               int is_stated, sono_anchor_grid *grid, sono_error *error)
{
    sono_anchor_grid found = *grid;
    const int fits_number = n_anchors == sono_anchors_count(grid);
    if (fits_number && (!anchors || sono_anchors_fit(anchors, grid)))
        return SONO_STATUS_OK;
    if (!anchors || !sono_anchors_find_size(anchors, n_anchors, &found))
        return fits_number ? SONO_STATUS_OK
                           : SONO_FAIL(error, UNSUPPORTED,
                                       "%s for another input size: %" PRId64
                                       " anchors that tell none, %d x %d has %" PRId64,
                                       size->architecture, n_anchors, grid->width_px, grid->height_px,
                                       sono_anchors_count(grid));
    if (is_stated)
        return SONO_FAIL(error, MODEL_MISMATCH,
                         "%s: the metadata " SONO_INPUT_SIZE_KEY
                         " says %d wide and %d high, decoder.anchors are those of %d and %d",
                         size->architecture, grid->width_px, grid->height_px, found.width_px,
                         found.height_px);
    *grid = found;
    return SONO_STATUS_OK;
}

/* By the file's anchors and metadata; where it has neither, the network's own. */
static sono_status find_input(const sono_name_table *table, const sono_dfine_size *size,
                              sono_model_info *info, sono_error *error)
{
    const sono_name_entry *entry = sono_name_table_find(table, "decoder.anchors");
    const int64_t n_anchors = sono_name_table_dim(table, "decoder.anchors", 1);
    int is_stated = 0;
    float *anchors = NULL;
    SONO_TRY(sono_network_stated_size(&sono_dfine_network, table, &info->input_width_px,
                                      &info->input_height_px, &is_stated, error));
    if (!n_anchors)
        return SONO_STATUS_OK;
    sono_anchor_grid grid = grid_of(size, info->input_width_px, info->input_height_px);
    SONO_TRY(read_anchors(entry, &anchors, error));
    const sono_status status = settle_size(size, n_anchors, anchors, is_stated, &grid, error);
    sono_free(anchors);
    SONO_TRY(status);
    info->input_width_px = grid.width_px;
    info->input_height_px = grid.height_px;
    return sono_network_check_size(&sono_dfine_network, grid.width_px, grid.height_px, error);
}

static sono_status recognise(const sono_name_table *table, sono_model_info *info, sono_error *error)
{
    const sono_dfine_size *size = find_size(table, error);
    if (!size)
        return SONO_STATUS_UNSUPPORTED;
    SONO_TRY(find_input(table, size, info, error));
    const int64_t n_classes = sono_name_table_dim(table, "decoder.enc_score_head.weight", 0);
    if (n_classes < 1 || n_classes > 65535)
        return SONO_FAIL(error, UNSUPPORTED, "%s with %" PRId64 " classes in decoder.enc_score_head.weight",
                         size->architecture, n_classes);
    SONO_TRY(check_points(table, size, error));
    info->n_classes = (int32_t)n_classes;
    info->n_channels =
        sono_name_table_dim(table, FIRST_WEIGHT, 1) == 1 && sono_name_table_dim(table, FIRST_WEIGHT, 3) ? 1
                                                                                                        : 3;
    snprintf(info->architecture, sizeof info->architecture, "%s", size->architecture);
    return read_family(table->checkpoint, &info->family, error);
}

static const sono_naming namings[] = {
    {"transformers", "model.backbone.model.embedder.stem1.convolution.weight", sono_dfine_official_name},
    {NULL, NULL, NULL},
};
/* What training needs, and what is made anew here; what depends on the size, see dfine.c. */
static const char *const ignored[] = {"*.num_batches_tracked",     "decoder.denoising_class_embed.weight",
                                      "decoder.valid_mask",        "decoder.decoder.up",
                                      "decoder.decoder.reg_scale", NULL};
static const char *const derived[] = {"decoder.anchors", "decoder.valid_mask", "*.num_points_scale", NULL};

const sono_network sono_dfine_network = {
    .name = "D-FINE",
    .role = SONO_ROLE_DETECTOR,
    .stems = {FIRST_WEIGHT},
    .namings = namings,
    .ignored = ignored,
    .derived = derived,
    .recognise = recognise,
    .input = {.width_px = 640,
              .height_px = 640,
              .step_px = SONO_DFINE_STEP_PX,
              .most_px = MOST_PX,
              .fit = SONO_FIT_STRETCH,
              .inv_std = {1.0f / 255.0f, 1.0f / 255.0f, 1.0f / 255.0f}},
    .detect = sono_dfine_record,
};
