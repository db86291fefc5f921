// SPDX-License-Identifier: Apache-2.0
/* Which network a table of tensors is. */
#ifndef SONO_NETS_RECOGNISE_H
#define SONO_NETS_RECOGNISE_H

#include "nets/names.h"
#include "sonoseg/models.h"

/* Fills network, architecture, naming, dtype, n_classes, input_px, n_channels and n_params of info.
 * Errors: UNSUPPORTED (neither D-FINE n/s/m/l/x nor MobileSAM vit_t; says what it looked at). */
sono_status sono_recognise(const sono_name_table *table, sono_model_info *info, sono_error *error);

#endif
