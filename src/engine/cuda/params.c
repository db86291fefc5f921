// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/params.h"

#include "engine/cuda/choice/chain.h"
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/pack.h"
#include "base/alloc.h"
#include "graph/params.h"

#include <stdio.h>

sono_cuda_facts sono_cuda_facts_from(const sono_gpu *gpu)
{
    sono_cuda_facts facts = {.n_multiprocessors = gpu->n_multiprocessors,
                             .compute_capability = gpu->compute_capability};
#ifndef SONO_HAVE_SM90
    facts.lacks_sm90 = 1;
#endif
    snprintf(facts.name, sizeof facts.name, "%s", gpu->name);
    return facts;
}

static size_t plain_bytes(const sono_param *p)
{
    return (size_t)p->n * (size_t)p->h * (size_t)p->w * (size_t)p->c * sizeof(float);
}

static size_t form_bytes(const sono_param *p, sono_cuda_form form)
{
    return form == SONO_CUDA_FORM_PACKED ? sono_cuda_packed_bytes((int64_t)p->n * p->h * p->w, p->c)
                                         : plain_bytes(p);
}

/* Calls visit for every use of a parameter by an op until one fails. */
typedef sono_status (*visit_fn)(sono_engine_params *params, const sono_program *program, sono_tid input,
                                sono_cuda_form form, sono_error *error);

static sono_status visit_uses(sono_engine_params *params, const sono_program *program,
                              const sono_cuda_choice *choices, visit_fn visit, sono_error *error)
{
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        for (int k = 0; k < SONO_OP_MAX_IN && !op->is_absorbed; k++)
            if (op->in[k] && program->tensors[program->tensors[op->in[k]].root].kind == SONO_TENSOR_PARAM)
                SONO_TRY(visit(params, program, op->in[k], sono_cuda_form_of(&choices[i], k), error));
    }
    return SONO_STATUS_OK;
}

/* Gives a parameter its place in the form its reader wants. */
static sono_status place(sono_engine_params *params, const sono_program *program, sono_tid input,
                         sono_cuda_form form, sono_error *error)
{
    const int32_t index = program->tensors[program->tensors[input].root].param_index;
    size_t *at = &params->places[index].at[form];
    (void)error;
    if (*at == SIZE_MAX) {
        *at = params->n_bytes;
        params->n_bytes += sono_gpu_round_up(form_bytes(&program->params->list[index], form));
    }
    return SONO_STATUS_OK;
}

/* Queries of one frame are run in chains, those of several an op at a time (choice/chain.h), and engines of
 * both may share parameters: the weights of float32 products on many rows have a place in either form. */
static sono_status place_both(sono_engine_params *params, const sono_program *program, sono_error *error)
{
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        const sono_tensor *y = &program->tensors[op->out[0]];
        if (op->kind != SONO_OP_LINEAR || y->h * y->w <= SONO_ATTENTION_NARROW_KEYS ||
            sono_tensor_stored_dtype(program, op->in[0], params->precision) != SONO_DTYPE_F32 ||
            program->tensors[op->in[1]].kind != SONO_TENSOR_PARAM)
            continue;
        SONO_TRY(place(params, program, op->in[1], SONO_CUDA_FORM_PLAIN, error));
        SONO_TRY(place(params, program, op->in[1], SONO_CUDA_FORM_PACKED, error));
    }
    return SONO_STATUS_OK;
}

/* Uploads one parameter; a packed one goes through its plain form, or through staging when nobody reads that.
 */
static sono_status upload(sono_gpu *gpu, const sono_engine_params *params, const sono_param *param,
                          const sono_cuda_param *at, uint8_t *staging, sono_error *error)
{
    uint8_t *plain =
        at->at[SONO_CUDA_FORM_PLAIN] == SIZE_MAX ? staging : params->block + at->at[SONO_CUDA_FORM_PLAIN];
    SONO_TRY(sono_gpu_upload(gpu, NULL, plain, param->values, plain_bytes(param), SONO_PLACE_OPEN, error));
    if (at->at[SONO_CUDA_FORM_PACKED] != SIZE_MAX)
        SONO_GPU_TRY(gpu, "open", error,
                     sono_cuda_pack_weight((const float *)plain, (int64_t)param->n * param->h * param->w,
                                           param->c, params->block + at->at[SONO_CUDA_FORM_PACKED],
                                           gpu->stream));
    return SONO_STATUS_OK;
}

static sono_status upload_all(sono_gpu *gpu, const sono_engine_params *params, const sono_params *values,
                              sono_error *error)
{
    size_t staging_bytes = 0;
    for (size_t i = 0; i < params->n; i++)
        if (params->places[i].at[SONO_CUDA_FORM_PACKED] != SIZE_MAX &&
            params->places[i].at[SONO_CUDA_FORM_PLAIN] == SIZE_MAX &&
            plain_bytes(&values->list[i]) > staging_bytes)
            staging_bytes = plain_bytes(&values->list[i]);
    uint8_t *staging = NULL;
    if (staging_bytes)
        SONO_TRY(sono_gpu_allocate_device(gpu, staging_bytes, &staging, error));
    sono_status status = SONO_STATUS_OK;
    for (size_t i = 0; i < params->n && status == SONO_STATUS_OK; i++)
        if (params->places[i].at[SONO_CUDA_FORM_PACKED] != SIZE_MAX ||
            params->places[i].at[SONO_CUDA_FORM_PLAIN] != SIZE_MAX)
            status = upload(gpu, params, &values->list[i], &params->places[i], staging, error);
    const sono_status drained = sono_gpu_drain(gpu, NULL, SONO_PLACE_OPEN, error);
    cudaFree(staging);
    return status != SONO_STATUS_OK ? status : drained;
}

sono_status sono_cuda_params_make(sono_gpu *gpu, const sono_program *program, const sono_cuda_choice *choices,
                                  sono_precision precision, sono_engine_params **out, sono_error *error)
{
    const size_t n = program->params->n;
    sono_engine_params *params = sono_alloc(sizeof *params + n * sizeof *params->places);
    if (!params)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the places of %zu parameters", n);
    atomic_init(&params->n_users, 1);
    params->device = gpu->device;
    params->precision = precision;
    params->n = n;
    for (size_t i = 0; i < n; i++)
        for (int form = 0; form < SONO_CUDA_FORM_COUNT; form++)
            params->places[i].at[form] = SIZE_MAX;
    const sono_cuda_facts facts = sono_cuda_facts_from(gpu);
    sono_status status = visit_uses(params, program, choices, place, error);
    if (status == SONO_STATUS_OK && sono_chain_has_kernel(&facts, precision))
        status = place_both(params, program, error);
    if (status == SONO_STATUS_OK && params->n_bytes)
        status = sono_gpu_allocate_device(gpu, params->n_bytes, &params->block, error);
    if (status == SONO_STATUS_OK)
        status = upload_all(gpu, params, program->params, error);
    if (status != SONO_STATUS_OK) {
        sono_cuda_params_close(params);
        return status;
    }
    *out = params;
    return SONO_STATUS_OK;
}

static sono_status expect_place(sono_engine_params *params, const sono_program *program, sono_tid input,
                                sono_cuda_form form, sono_error *error)
{
    const int32_t index = program->tensors[program->tensors[input].root].param_index;
    if ((size_t)index < params->n && params->places[index].at[form] != SIZE_MAX)
        return SONO_STATUS_OK;
    return SONO_FAIL(error, STATE, "the model set has no parameter %s: it was opened for other networks",
                     program->tensors[input].name);
}

sono_status sono_cuda_params_share(sono_engine_params *params, const sono_program *program,
                                   const sono_cuda_choice *choices, int32_t device, sono_precision precision,
                                   sono_error *error)
{
    if (params->device != device || params->precision != precision)
        return SONO_FAIL(error, STATE,
                         "the model set's parameters are %s on cuda:%d, which is not what is opened",
                         sono_precision_name(params->precision), params->device);
    SONO_TRY(visit_uses(params, program, choices, expect_place, error));
    atomic_fetch_add(&params->n_users, 1);
    return SONO_STATUS_OK;
}

static sono_status make_chosen(sono_gpu *gpu, const sono_program *program, sono_precision precision,
                               sono_engine_params **out, sono_error *error)
{
    const sono_cuda_facts facts = sono_cuda_facts_from(gpu);
    sono_cuda_choice *choices = sono_alloc_array(program->n_ops, sizeof *choices);
    if (!choices)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the kernels of %zu ops", program->n_ops);
    sono_status status = sono_cuda_choose(program, precision, &facts, choices, error);
    if (status == SONO_STATUS_OK)
        status = sono_cuda_params_make(gpu, program, choices, precision, out, error);
    sono_free(choices);
    return status;
}

/* Lowers the program and chooses the kernels, as an engine of it will, and forgets both again. */
static sono_status make_lowered(sono_gpu *gpu, const sono_program *program,
                                const sono_engine_options *options, sono_engine_params **out,
                                sono_error *error)
{
    const sono_cuda_facts facts = sono_cuda_facts_from(gpu);
    sono_program lowered;
    SONO_TRY(sono_lower(program, options->rewrites, (size_t)options->n_rewrites, &lowered, error));
    if (!options->unfused)
        sono_cuda_fuse(&lowered, options->precision, &facts, options->plan_mode == SONO_PLAN_KEEP);
    const sono_status status = make_chosen(gpu, &lowered, options->precision, out, error);
    sono_lower_free(&lowered);
    return status;
}

sono_status sono_cuda_params_open(const sono_program *program, const sono_engine_options *options,
                                  sono_engine_params **out, sono_error *error)
{
    sono_gpu gpu = {0};
    sono_status status = sono_gpu_open(&gpu, options->device, error);
    if (status == SONO_STATUS_OK)
        status = make_lowered(&gpu, program, options, out, error);
    sono_gpu_close(&gpu);
    return status;
}

void sono_cuda_params_close(sono_engine_params *params)
{
    if (!params || atomic_fetch_sub(&params->n_users, 1) > 1)
        return;
    /* Nothing can be done about a failure here: the device may be gone. */
    if (params->block && cudaSetDevice(params->device) == cudaSuccess)
        cudaFree(params->block);
    sono_free(params);
}
