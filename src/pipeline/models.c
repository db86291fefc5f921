// SPDX-License-Identifier: Apache-2.0
/* The public calls about checkpoints that need the networks: checking one, printing its program, converting
 * it. */
#include "base/alloc.h"
#include "nets/model.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "graph/plan.h"

#include <sys/stat.h>

sono_status sono_model_verify(const char *path, sono_detector_family family, sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_program *program = NULL;
    if (!path)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path is NULL");
    SONO_TRY(sono_checkpoint_open(path, &checkpoint, error));
    const sono_status status = sono_flow_record_network(checkpoint, family, &program, error);
    sono_program_close(program);
    sono_checkpoint_close(checkpoint);
    return status;
}

/* Names the kernels, and says of which device they are. */
static sono_status name_kernels(const sono_program *program, const char *device, sono_kernel_name *out,
                                FILE *stream, sono_error *error)
{
    sono_backend backend;
    sono_cuda_facts facts;
    sono_error why;
    SONO_TRY(sono_config_facts(device, &backend, &facts, &why, error));
    if (backend == SONO_BACKEND_CPU) {
        SONO_TRY(sono_cpu_name_kernels(program, out, error));
        fprintf(stream, "kernels of the CPU, fp32\n");
        return SONO_STATUS_OK;
    }
    SONO_TRY(sono_cuda_name_kernels(program, SONO_PRECISION_FP16, &facts, out, error));
    fprintf(stream, "kernels for %s (%d multiprocessors, compute capability %d.%d), fp16", facts.name,
            facts.n_multiprocessors, facts.compute_capability / 10, facts.compute_capability % 10);
    fprintf(stream, *why.text ? ": assumed, %s\n" : "\n", why.text);
    return SONO_STATUS_OK;
}

static sono_status print_program(const sono_program *program, const char *device, FILE *stream,
                                 sono_error *error)
{
    const sono_plan_options options = {.mode = SONO_PLAN_REUSE, .align_bytes = 64};
    sono_plan plan = {0};
    sono_kernel_name *kernels = device ? sono_alloc_array(program->n_ops, sizeof *kernels) : NULL;
    if (device && !kernels)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the kernels of %zu ops", program->n_ops);
    sono_status status = device ? name_kernels(program, device, kernels, stream, error) : SONO_STATUS_OK;
    if (status == SONO_STATUS_OK)
        status = sono_plan_make(program, &options, &plan, error);
    if (status == SONO_STATUS_OK)
        sono_program_print(program, &plan, kernels, stream);
    sono_plan_free(&plan);
    sono_free(kernels);
    return status;
}

sono_status sono_model_print_program(const char *path, const char *device, FILE *stream, sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_program *program = NULL;
    if (!path || !stream)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path or stream is NULL");
    SONO_TRY(sono_checkpoint_open(path, &checkpoint, error));
    sono_status status = sono_flow_record_network(checkpoint, SONO_FAMILY_AUTO, &program, error);
    sono_checkpoint_close(checkpoint);
    if (status == SONO_STATUS_OK)
        status = print_program(program, device, stream, error);
    sono_program_close(program);
    return status;
}

/* Also through links. */
static int is_same_file(const char *a, const char *b)
{
    struct stat first, second;
    return !stat(a, &first) && !stat(b, &second) && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

sono_status sono_model_convert(const char *path_in, const char *path_out, sono_precision precision,
                               sono_detector_family family, sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_program *program = NULL;
    if (!path_in || !path_out || (precision != SONO_PRECISION_FP32 && precision != SONO_PRECISION_FP16))
        return SONO_FAIL(error, INVALID_ARGUMENT, "paths must not be NULL, precision must be FP32 or FP16");
    if (is_same_file(path_in, path_out))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%.180s: writing it would overwrite the input %.180s: choose another path", path_out,
                         path_in);
    SONO_TRY(sono_checkpoint_open(path_in, &checkpoint, error));
    sono_status status = sono_flow_record_network(checkpoint, family, &program, error);
    sono_program_close(program);
    if (status == SONO_STATUS_OK)
        status = sono_model_write(checkpoint, path_out, precision, family, error);
    sono_checkpoint_close(checkpoint);
    return status;
}
