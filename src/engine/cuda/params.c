// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/params.h"

#include "engine/cuda/kernels/pack.h"
#include "base/alloc.h"
#include "graph/params.h"

int sono_cuda_takes_packed(const sono_program *program, sono_precision precision, const sono_op *op, int k)
{
    if (k != 1 || (op->kind != SONO_OP_CONV && op->kind != SONO_OP_LINEAR))
        return 0;
    return sono_tensor_stored_dtype(program, op->in[0], precision) == SONO_DTYPE_F16;
}

static size_t packed_bytes(const sono_param *p)
{
    return sono_cuda_packed_bytes((int64_t)p->n * p->h * p->w, p->c);
}

static size_t plain_bytes(const sono_param *p)
{
    return (size_t)p->n * (size_t)p->h * (size_t)p->w * (size_t)p->c * sizeof(float);
}

/* Calls visit for every use of a parameter by an op until one fails. */
typedef sono_status (*visit_fn)(sono_engine_params *params, const sono_program *program, sono_tid input,
                                int packed, sono_error *error);

static sono_status visit_uses(sono_engine_params *params, const sono_program *program, visit_fn visit,
                              sono_error *error)
{
    for (size_t i = 0; i < program->n_ops; i++) {
        const sono_op *op = &program->ops[i];
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            if (op->in[k] && program->tensors[program->tensors[op->in[k]].root].kind == SONO_TENSOR_PARAM)
                SONO_TRY(visit(params, program, op->in[k],
                               sono_cuda_takes_packed(program, params->precision, op, k), error));
    }
    return SONO_STATUS_OK;
}

/* Gives a parameter its place in the form its reader wants. */
static sono_status place(sono_engine_params *params, const sono_program *program, sono_tid input, int packed,
                         sono_error *error)
{
    const sono_tid root = program->tensors[input].root;
    const int32_t index = program->tensors[root].param_index;
    const sono_param *param = &program->params->list[index];
    size_t *at = packed ? &params->places[index].packed : &params->places[index].plain;
    if (packed && root != input)
        return SONO_FAIL(error, UNSUPPORTED,
                         "%s: a parameter that is packed must be a whole tensor, not a view", param->name);
    if (*at == SIZE_MAX) {
        *at = params->n_bytes;
        params->n_bytes += sono_gpu_round_up(packed ? packed_bytes(param) : plain_bytes(param));
    }
    return SONO_STATUS_OK;
}

/* Uploads one parameter; a packed one goes through its plain form, or through staging when nobody reads that.
 */
static sono_status upload(sono_gpu *gpu, const sono_engine_params *params, const sono_param *param,
                          const sono_cuda_param *at, uint8_t *staging, sono_error *error)
{
    uint8_t *plain = at->plain == SIZE_MAX ? staging : params->block + at->plain;
    SONO_TRY(sono_gpu_upload(gpu, NULL, plain, param->values, plain_bytes(param), SONO_PLACE_OPEN, error));
    if (at->packed != SIZE_MAX)
        SONO_GPU_TRY(gpu, "open", error,
                     sono_cuda_pack_weight((const float *)plain, (int64_t)param->n * param->h * param->w,
                                           param->c, params->block + at->packed, gpu->stream));
    return SONO_STATUS_OK;
}

static sono_status upload_all(sono_gpu *gpu, const sono_engine_params *params, const sono_params *values,
                              sono_error *error)
{
    size_t staging_bytes = 0;
    for (size_t i = 0; i < params->n; i++)
        if (params->places[i].packed != SIZE_MAX && params->places[i].plain == SIZE_MAX &&
            plain_bytes(&values->list[i]) > staging_bytes)
            staging_bytes = plain_bytes(&values->list[i]);
    uint8_t *staging = NULL;
    if (staging_bytes)
        SONO_TRY(sono_gpu_allocate_device(gpu, staging_bytes, &staging, error));
    sono_status status = SONO_STATUS_OK;
    for (size_t i = 0; i < params->n && status == SONO_STATUS_OK; i++)
        if (params->places[i].packed != SIZE_MAX || params->places[i].plain != SIZE_MAX)
            status = upload(gpu, params, &values->list[i], &params->places[i], staging, error);
    const sono_status drained = sono_gpu_drain(gpu, NULL, SONO_PLACE_OPEN, error);
    cudaFree(staging);
    return status != SONO_STATUS_OK ? status : drained;
}

sono_status sono_cuda_params_make(sono_gpu *gpu, const sono_program *program, sono_precision precision,
                                  sono_engine_params **out, sono_error *error)
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
        params->places[i] = (sono_cuda_param){SIZE_MAX, SIZE_MAX};
    sono_status status = visit_uses(params, program, place, error);
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
                                int packed, sono_error *error)
{
    const int32_t index = program->tensors[program->tensors[input].root].param_index;
    if ((size_t)index < params->n &&
        (packed ? params->places[index].packed : params->places[index].plain) != SIZE_MAX)
        return SONO_STATUS_OK;
    return SONO_FAIL(error, STATE, "the model set has no parameter %s: it was opened for other networks",
                     program->tensors[input].name);
}

sono_status sono_cuda_params_share(sono_engine_params *params, const sono_program *program, int32_t device,
                                   sono_precision precision, sono_error *error)
{
    if (params->device != device || params->precision != precision)
        return SONO_FAIL(error, STATE,
                         "the model set's parameters are %s on cuda:%d, which is not what is opened",
                         sono_precision_name(params->precision), params->device);
    SONO_TRY(visit_uses(params, program, expect_place, error));
    atomic_fetch_add(&params->n_users, 1);
    return SONO_STATUS_OK;
}

sono_status sono_cuda_params_open(const sono_program *program, const sono_engine_options *options,
                                  sono_engine_params **out, sono_error *error)
{
    sono_gpu gpu = {0};
    sono_status status = sono_gpu_open(&gpu, options->device, error);
    if (status == SONO_STATUS_OK)
        status = sono_cuda_params_make(&gpu, program, options->precision, out, error);
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
