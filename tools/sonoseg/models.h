// SPDX-License-Identifier: Apache-2.0
/*
 * The models that come with sonoseg, for when none are named. Looked for in this order, and a folder that has
 * one is not passed over for a better one further on:
 *   1. the folder $SONO_MODELS
 *   2. share/sonoseg/models of the installation that the command belongs to
 *   3. models/ of the source tree, for a command in its build folder
 */
#ifndef SONOSEG_TOOL_MODELS_H
#define SONOSEG_TOOL_MODELS_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

typedef enum model_role { MODEL_DETECTOR, MODEL_SEGMENTER, MODEL_ROLE_COUNT } model_role;

/* The path of the model for that backend, to be freed by the caller: the small detector on the CPU, the
 * larger one on a GPU, the other where that one is missing. NULL when there is none, or no memory. */
char *models_find(model_role role, sono_backend backend);

/* Says what is looked for, and where. */
void models_print_places(FILE *stream);

#endif
