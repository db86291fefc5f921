// SPDX-License-Identifier: Apache-2.0
/* A binder's table of tensors, for the rest of src/model. */
#ifndef SONO_MODEL_BIND_PRIVATE_H
#define SONO_MODEL_BIND_PRIVATE_H

#include "model/bind.h"
#include "model/names.h"

/* Metadata that says a detector's family: "dfine" or "deim". */
#define SONO_FAMILY_KEY "sonoseg.detector_family"

const sono_name_table *sono_binder_names(const sono_binder *binder);

#endif
