// SPDX-License-Identifier: Apache-2.0
/* The networks there are, and what is the same for all of them. */
#include "nets/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row a network, which defines `const sono_network <row>_network` in its folder. */
#define NETWORKS(X)                                                                                          \
    X(sono_dfine)                                                                                            \
    X(sono_mobilesam)

#define DECLARE(row) extern const sono_network row##_network;
NETWORKS(DECLARE)
#define ADDRESS(row) &row##_network,
static const sono_network *const networks[] = {NETWORKS(ADDRESS) NULL};

const sono_network *sono_network_at(size_t i)
{
    return networks[i];
}

static int is_side(const sono_network_input *input, int32_t side_px)
{
    return side_px >= input->step_px && side_px <= input->most_px && side_px % input->step_px == 0;
}

sono_status sono_network_check_size(const sono_network *network, int32_t width_px, int32_t height_px,
                                    sono_error *error)
{
    const sono_network_input *input = &network->input;
    if (is_side(input, width_px) && is_side(input, height_px) && (!input->is_square || width_px == height_px))
        return SONO_STATUS_OK;
    return SONO_FAIL(error, UNSUPPORTED,
                     "%s takes no input of %d x %d pixels: give %smultiples of %d up to %d", network->name,
                     width_px, height_px, input->is_square ? "two equal " : "", input->step_px,
                     input->most_px);
}

/* "640" or "800x512". Returns 0 for anything else. */
static int read_size(const char *text, int32_t *width_px, int32_t *height_px)
{
    char *end = NULL;
    if (*text < '1' || *text > '9')
        return 0;
    const long width = strtol(text, &end, 10);
    long height = width;
    if (*end == 'x' && end[1] >= '1' && end[1] <= '9')
        height = strtol(end + 1, &end, 10);
    *width_px = width > INT32_MAX ? INT32_MAX : (int32_t)width;
    *height_px = height > INT32_MAX ? INT32_MAX : (int32_t)height;
    return !*end;
}

sono_status sono_network_stated_size(const sono_network *network, const sono_name_table *table,
                                     int32_t *width_px, int32_t *height_px, int *is_stated, sono_error *error)
{
    const char *text = sono_checkpoint_metadata(table->checkpoint, SONO_INPUT_SIZE_KEY);
    *width_px = network->input.width_px;
    *height_px = network->input.height_px;
    *is_stated = text != NULL;
    if (!text)
        return SONO_STATUS_OK;
    if (!read_size(text, width_px, height_px))
        return SONO_FAIL(error, UNSUPPORTED,
                         "the metadata " SONO_INPUT_SIZE_KEY
                         " is '%.40s': a size is 640, or 800x512 (width x height)",
                         text);
    return sono_network_check_size(network, *width_px, *height_px, error);
}

sono_preprocess_args sono_network_preprocess(const sono_network *network, const sono_model_info *info,
                                             int32_t max_width_px, int32_t max_height_px)
{
    sono_preprocess_args args = {.fit = network->input.fit,
                                 .width_px = info->input_width_px,
                                 .height_px = info->input_height_px,
                                 .is_luma = info->n_channels == 1,
                                 .max_width_px = max_width_px,
                                 .max_height_px = max_height_px};
    memcpy(args.mean, network->input.mean, sizeof args.mean);
    memcpy(args.inv_std, network->input.inv_std, sizeof args.inv_std);
    return args;
}

int sono_network_lists(const char *const *patterns, const char *name)
{
    for (; patterns && *patterns; patterns++)
        if (sono_name_matches(*patterns, name))
            return 1;
    return 0;
}
