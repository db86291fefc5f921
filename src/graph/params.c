// SPDX-License-Identifier: Apache-2.0
#include "graph/params.h"

#include "base/alloc.h"

#include <stdio.h>

sono_status sono_params_open(sono_params **out, sono_error *error)
{
    sono_params *params = sono_alloc(sizeof *params);
    if (!params)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for parameters");
    atomic_init(&params->n_users, 1);
    *out = params;
    return SONO_STATUS_OK;
}

sono_params *sono_params_share(sono_params *params)
{
    atomic_fetch_add(&params->n_users, 1);
    return params;
}

void sono_params_close(sono_params *params)
{
    if (!params || atomic_fetch_sub(&params->n_users, 1) > 1)
        return;
    for (size_t i = 0; i < params->n; i++)
        sono_free(params->list[i].values);
    sono_free(params->list);
    sono_free(params);
}

float *sono_params_add(sono_params *params, const char *name, int32_t n, int32_t h, int32_t w, int32_t c)
{
    if (sono_alloc_grow((void **)&params->list, &params->capacity, params->n + 1, sizeof *params->list) != 0)
        return NULL;
    float *values = sono_alloc_array((size_t)n * (size_t)h * (size_t)w * (size_t)c, sizeof *values);
    if (!values)
        return NULL;
    sono_param *param = &params->list[params->n++];
    *param = (sono_param){.n = n, .h = h, .w = w, .c = c, .values = values};
    snprintf(param->name, sizeof param->name, "%s", name);
    return values;
}
