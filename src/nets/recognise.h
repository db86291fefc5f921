// SPDX-License-Identifier: Apache-2.0
/* Which network a table of tensors is. */
#ifndef SONO_NETS_RECOGNISE_H
#define SONO_NETS_RECOGNISE_H

#include "nets/network.h"

/* Finds the registered network whose stem the table has, and fills role, network, architecture, naming,
 * prefix, dtype, n_classes, the input's size and channels, family and n_params of info.
 * Errors: UNSUPPORTED (no network that is known; says what it looked at), and those of the network's
 * recognise. */
sono_status sono_recognise(const sono_name_table *table, const sono_network **network, sono_model_info *info,
                           sono_error *error);

#endif
