// SPDX-License-Identifier: Apache-2.0
/* The CPU engine: one block for the activations, one scratch area a thread, the kernels of the best
 * instruction set. frames.c runs whole frames. */
#include "engine/cpu/cpu_private.h"

#include "engine/cpu/blas.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_PROFILE_RUNS 3 /* of an op; the fastest counts */

static int supports_v3(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
#else
    return 0;
#endif
}

static int supports_v4(void)
{
#if defined(__x86_64__)
    return supports_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

/* The best table this processor can run; SONO_CPU_ISA=baseline|v3|v4 asks for a lesser one. */
static const sono_cpu_table *choose_table(void)
{
    const char *wish = getenv("SONO_CPU_ISA");
    int level = supports_v4() ? 4 : supports_v3() ? 3 : 1;
    if (wish && strcmp(wish, "baseline") == 0)
        level = 1;
    if (wish && strcmp(wish, "v3") == 0 && level > 3)
        level = 3;
#ifdef SONO_HAVE_ISA_V4
    if (level >= 4)
        return &sono_cpu_table_v4;
#endif
#ifdef SONO_HAVE_ISA_V3
    if (level >= 3)
        return &sono_cpu_table_v3;
#endif
    return &sono_cpu_table_baseline;
}

static uint8_t *cpu_slot_memory(sono_engine *cpu, int32_t slot, sono_block block)
{
    return cpu->io[2 * slot + (block == SONO_BLOCK_OUTPUTS)];
}

static uint8_t *root_memory(sono_engine *cpu, sono_tid root)
{
    const sono_tensor *tensor = &cpu->program->tensors[root];
    if (tensor->kind == SONO_TENSOR_PARAM)
        return (uint8_t *)(uintptr_t)tensor->param;
    if (!cpu->io || cpu->plan.offset_bytes[root] == SIZE_MAX)
        return NULL;
    const sono_block block = sono_tensor_block(tensor);
    uint8_t *memory =
        block == SONO_BLOCK_ACTIVATIONS ? cpu->activations : cpu_slot_memory(cpu, cpu->slot, block);
    return memory ? memory + cpu->plan.offset_bytes[root] : NULL;
}

void *sono_cpu_data(sono_engine *cpu, sono_tid id)
{
    const sono_tensor *tensor = &cpu->program->tensors[id];
    uint8_t *memory = root_memory(cpu, tensor->root);
    return memory ? memory + (size_t)tensor->offset * sono_dtype_bytes(tensor->dtype) : NULL;
}

static void cpu_select_slot(sono_engine *cpu, int32_t slot)
{
    cpu->slot = slot;
}

static sono_cpu_tensor resolve(sono_engine *cpu, sono_tid id)
{
    if (!id)
        return (sono_cpu_tensor){0};
    const sono_tensor *t = &cpu->program->tensors[id];
    return (sono_cpu_tensor){.data = sono_cpu_data(cpu, id),
                             .dtype = t->dtype,
                             .n = t->n,
                             .h = t->h,
                             .w = t->w,
                             .c = t->c,
                             .pitch = t->pitch,
                             .batch_stride = t->batch_stride};
}

static sono_cpu_call make_call(sono_engine *cpu, const sono_op *op)
{
    sono_cpu_call call = {.op = op, .pool = cpu->pool, .scratch = cpu->scratch};
    for (int i = 0; i < SONO_OP_MAX_IN; i++)
        call.in[i] = resolve(cpu, op->in[i]);
    for (int i = 0; i < SONO_OP_MAX_OUT; i++)
        call.out[i] = resolve(cpu, op->out[i]);
    return call;
}

static size_t scratch_of(sono_engine *cpu, const sono_op *op)
{
    const sono_cpu_scratch_fn scratch = cpu->table->kernels[op->kind].scratch;
    if (!scratch || op->is_absorbed)
        return 0;
    const sono_cpu_call call = make_call(cpu, op);
    return (scratch(&call) + SONO_ALIGN_BYTES - 1) / SONO_ALIGN_BYTES * SONO_ALIGN_BYTES;
}

static void cpu_close(sono_engine *cpu)
{
    if (!cpu)
        return;
    sono_cpu_worker_close(&cpu->worker);
    sono_pool_close(cpu->pool);
    sono_blas_release(cpu->n_reserved);
    sono_plan_free(&cpu->plan);
    sono_free(cpu->activations);
    for (int32_t i = 0; cpu->io && i < 2 * cpu->n_slots; i++)
        sono_free(cpu->io[i]);
    sono_free(cpu->io);
    sono_free(cpu->scratch);
    sono_lower_free(&cpu->lowered);
    sono_free(cpu);
}

static sono_status allocate_slots(sono_engine *cpu, int32_t n_slots, sono_error *error)
{
    cpu->n_slots = n_slots ? n_slots : 1;
    cpu->io = sono_alloc_array(2 * (size_t)cpu->n_slots, sizeof *cpu->io);
    int complete = cpu->io != NULL;
    for (int32_t i = 0; complete && i < cpu->n_slots; i++) {
        cpu->io[2 * i] = sono_alloc(cpu->plan.block_bytes[SONO_BLOCK_INPUTS]);
        cpu->io[2 * i + 1] = sono_alloc(cpu->plan.block_bytes[SONO_BLOCK_OUTPUTS]);
        complete = cpu->io[2 * i] && cpu->io[2 * i + 1];
    }
    if (!complete)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory: %d slots need %.1f MB each", cpu->n_slots,
                         1e-6 * (double)(cpu->plan.block_bytes[SONO_BLOCK_INPUTS] +
                                         cpu->plan.block_bytes[SONO_BLOCK_OUTPUTS]));
    return SONO_STATUS_OK;
}

/* All cores: as many as OpenBLAS can serve. */
static sono_status open_pool(sono_engine *cpu, int32_t n_threads, sono_error *error)
{
    int32_t most = 0;
    SONO_TRY(sono_blas_load(&most, error));
    if (n_threads == 0 && most > 0 && sono_pool_n_cores() > most)
        n_threads = most;
    return sono_pool_open(n_threads, &cpu->pool, error);
}

static sono_status allocate(sono_engine *cpu, const sono_engine_options *options, sono_error *error)
{
    const sono_program *program = cpu->program;
    SONO_TRY(open_pool(cpu, options->n_threads, error));
    const sono_plan_options plan_options = {.mode = options->plan_mode, .align_bytes = SONO_ALIGN_BYTES};
    SONO_TRY(sono_plan_make(program, &plan_options, &cpu->plan, error));
    for (size_t i = 0; i < program->n_ops; i++) {
        const size_t n_bytes = scratch_of(cpu, &program->ops[i]);
        if (n_bytes > cpu->scratch_bytes)
            cpu->scratch_bytes = n_bytes;
    }
    const size_t n_threads = (size_t)sono_pool_n_threads(cpu->pool);
    cpu->activations = sono_alloc(cpu->plan.block_bytes[SONO_BLOCK_ACTIVATIONS]);
    cpu->scratch = sono_alloc_array(n_threads, cpu->scratch_bytes);
    if (!cpu->activations || !cpu->scratch)
        return SONO_FAIL(error, OUT_OF_MEMORY,
                         "out of memory: the plan needs %.1f MB and %zu threads %.1f MB of scratch",
                         1e-6 * (double)cpu->plan.block_bytes[SONO_BLOCK_ACTIVATIONS], n_threads,
                         1e-6 * (double)n_threads * (double)cpu->scratch_bytes);
    SONO_TRY(allocate_slots(cpu, options->n_slots, error));
    SONO_TRY(sono_blas_reserve((int32_t)n_threads, error));
    cpu->n_reserved = (int32_t)n_threads;
    return SONO_STATUS_OK;
}

static sono_status cpu_open(const sono_program *program, const sono_engine_options *options,
                            sono_engine **out, sono_error *error)
{
    sono_engine *cpu = sono_alloc(sizeof *cpu);
    if (!cpu)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for the CPU engine");
    cpu->program = &cpu->lowered;
    cpu->table = choose_table();
    cpu->gate = options->gate;
    cpu->n_branches = options->n_branches;
    for (int32_t i = 0; i < options->n_branches; i++)
        cpu->branches[i] = options->branches[i];
    cpu->poison = options->poison;
    sono_status status =
        sono_lower(program, options->rewrites, (size_t)options->n_rewrites, &cpu->lowered, error);
    if (status == SONO_STATUS_OK)
        status = sono_cpu_check(cpu->program, error);
    if (status == SONO_STATUS_OK)
        status = allocate(cpu, options, error);
    if (status != SONO_STATUS_OK) {
        cpu_close(cpu);
        return status;
    }
    *out = cpu;
    return SONO_STATUS_OK;
}

sono_status sono_cpu_name_kernels(const sono_program *program, sono_kernel_name *out, sono_error *error)
{
    const sono_cpu_table *table = choose_table();
    SONO_TRY(sono_cpu_check(program, error));
    for (size_t i = 0; i < program->n_ops; i++)
        snprintf(out[i].text, sizeof out[i].text, "%s %s", table->kernels[program->ops[i].kind].name,
                 table->isa);
    return SONO_STATUS_OK;
}

/* Fills the activations that are born at `op` or died before it with NaN, so that whoever reads a dead or
 * unwritten one is found out. */
static void poison_dead(sono_engine *cpu, int32_t op)
{
    for (size_t i = 1; i < cpu->program->n_tensors; i++) {
        if (cpu->plan.offset_bytes[i] == SIZE_MAX || cpu->program->tensors[i].kind != SONO_TENSOR_ACTIVATION)
            continue;
        if (cpu->plan.first_op[i] == op || cpu->plan.last_op[i] == op - 1)
            memset(cpu->activations + cpu->plan.offset_bytes[i], 0xff, cpu->plan.n_bytes[i]);
    }
}

void sono_cpu_run_ops(sono_engine *cpu, int32_t first_op, int32_t last_op, int64_t *stage_ns)
{
    int64_t before_ns = stage_ns ? sono_clock_ns() : 0;
    for (int32_t i = first_op; i < last_op; i++) {
        const sono_op *op = &cpu->program->ops[i];
        if (op->is_absorbed)
            continue;
        sono_cpu_call call = make_call(cpu, op);
        call.scratch_bytes = cpu->scratch_bytes;
        if (cpu->poison)
            poison_dead(cpu, i);
        cpu->table->kernels[op->kind].run(&call);
        if (stage_ns) {
            const int64_t after_ns = sono_clock_ns();
            stage_ns[op->stage] += after_ns - before_ns;
            before_ns = after_ns;
        }
    }
}

static sono_status cpu_run(sono_engine *cpu, int32_t first_op, int32_t last_op, sono_error *error)
{
    const int32_t n_ops = (int32_t)cpu->program->n_ops;
    if (last_op < 0)
        last_op = n_ops;
    if (first_op < 0 || first_op > last_op || last_op > n_ops)
        return SONO_FAIL(error, INVALID_ARGUMENT, "cannot run ops %d up to %d: there are %d", first_op,
                         last_op, n_ops);
    sono_cpu_run_ops(cpu, first_op, last_op, NULL);
    return SONO_STATUS_OK;
}

/* Op after op, each finds what the ops before it made. */
static sono_status cpu_profile(sono_engine *cpu, sono_engine_profile *out, sono_error *error)
{
    (void)error;
    for (int32_t i = 0; i < (int32_t)cpu->program->n_ops; i++)
        for (int run = 0; run < N_PROFILE_RUNS; run++) {
            const int64_t start_ns = sono_clock_ns();
            sono_cpu_run_ops(cpu, i, i + 1, NULL);
            const double ns = (double)(sono_clock_ns() - start_ns);
            out->op_ns[i] = run == 0 || ns < out->op_ns[i] ? ns : out->op_ns[i];
        }
    return SONO_STATUS_OK;
}

/* Copies between a tensor, whatever its strides, and dense memory. */
static sono_status copy_tensor(sono_engine *cpu, sono_tid id, uint8_t *dense, const uint8_t *from,
                               sono_error *error)
{
    const sono_tensor *t = &cpu->program->tensors[id];
    uint8_t *memory = sono_cpu_data(cpu, id);
    if (!memory)
        return SONO_FAIL(error, INVALID_ARGUMENT, "tensor %s has no memory: no op touches it", t->name);
    const size_t element = sono_dtype_bytes(t->dtype);
    const size_t row_bytes = (size_t)t->c * element;
    size_t at = 0;
    for (int32_t n = 0; n < t->n; n++) {
        for (int64_t i = 0; i < (int64_t)t->h * t->w; i++, at += row_bytes) {
            uint8_t *place = memory + (size_t)(n * t->batch_stride + i * t->pitch) * element;
            if (from)
                memcpy(place, from + at, row_bytes);
            else
                memcpy(dense + at, place, row_bytes);
        }
    }
    return SONO_STATUS_OK;
}

static sono_status cpu_write(sono_engine *cpu, sono_tid tensor, const void *values, sono_error *error)
{
    return copy_tensor(cpu, tensor, NULL, values, error);
}

static sono_status cpu_read(sono_engine *cpu, sono_tid tensor, void *values, sono_error *error)
{
    return copy_tensor(cpu, tensor, values, NULL, error);
}

static const void *cpu_address(const sono_engine *cpu, sono_tid tensor)
{
    return sono_cpu_data((sono_engine *)(uintptr_t)cpu, tensor);
}

static void cpu_info(const sono_engine *cpu, sono_engine_info *out)
{
    const int32_t n_threads = sono_pool_n_threads(cpu->pool);
    *out = (sono_engine_info){.params_bytes = cpu->program->params_bytes,
                              .planned_bytes = (int64_t)cpu->plan.block_bytes[SONO_BLOCK_ACTIVATIONS] +
                                               (int64_t)cpu->scratch_bytes * n_threads,
                              .n_threads = n_threads,
                              .plan = &cpu->plan};
}

static const sono_engine_inspect_ops inspect_ops = {
    .select_slot = cpu_select_slot,
    .run = cpu_run,
    .write = cpu_write,
    .read = cpu_read,
    .address = cpu_address,
    .profile = cpu_profile,
};

const sono_engine_ops sono_cpu_engine = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .slot_memory = cpu_slot_memory,
    .prepare = sono_cpu_prepare,
    .submit = sono_cpu_submit,
    .wait = sono_cpu_wait,
    .inspect = &inspect_ops,
};
