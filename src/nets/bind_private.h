// SPDX-License-Identifier: Apache-2.0
/* A binder's table of tensors, for the rest of src/nets. */
#ifndef SONO_NETS_BIND_PRIVATE_H
#define SONO_NETS_BIND_PRIVATE_H

#include "nets/bind.h"
#include "nets/names.h"

const sono_name_table *sono_binder_names(const sono_binder *binder);

#endif
