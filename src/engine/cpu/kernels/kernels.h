// SPDX-License-Identifier: Apache-2.0
/*
 * The CPU's kernels: one function an op kind, one file an op family (the CUDA twins bear the same base
 * names). The folder is compiled once for each instruction set with SONO_ISA set to its suffix; cpu.c takes
 * the best table the processor can run.
 */
#ifndef SONO_ENGINE_CPU_KERNELS_KERNELS_H
#define SONO_ENGINE_CPU_KERNELS_KERNELS_H

#include "base/pool.h"
#include "graph/program.h"

#ifndef SONO_ISA
#define SONO_ISA baseline
#endif
#define SONO_ISA_PASTE_(name, isa) name##_##isa
#define SONO_ISA_PASTE(name, isa)  SONO_ISA_PASTE_(name, isa)
#define SONO_KERNEL(name)          SONO_ISA_PASTE(name, SONO_ISA) /* sono_cpu_conv -> sono_cpu_conv_v4 */

#define SONO_CPU_NARROW_KEYS 16 /* ATTENTION without windows up to here multiplies without OpenBLAS */

/* A tensor with its memory: element (n, y, x, c) lies at data + n * batch_stride + (y * w + x) * pitch + c.
 */
typedef struct sono_cpu_tensor {
    void *data; /* float unless dtype says otherwise; NULL = not given */
    sono_dtype dtype;
    int32_t n, h, w, c;
    int64_t pitch, batch_stride;
} sono_cpu_tensor;

typedef struct sono_cpu_call {
    const sono_op *op;
    sono_cpu_tensor in[SONO_OP_MAX_IN];
    sono_cpu_tensor out[SONO_OP_MAX_OUT];
    sono_pool *pool;
    uint8_t *scratch;     /* n_threads areas of scratch_bytes each, 64-byte aligned; contents undefined */
    size_t scratch_bytes; /* of one thread: what the op's scratch function asked for */
} sono_cpu_call;

typedef void (*sono_cpu_kernel_fn)(const sono_cpu_call *call);
/* Bytes of scratch one thread needs for this op; tensors have data NULL. */
typedef size_t (*sono_cpu_scratch_fn)(const sono_cpu_call *call);

typedef struct sono_cpu_kernel {
    const char *name;
    sono_cpu_kernel_fn run;
    sono_cpu_scratch_fn scratch; /* NULL = none */
} sono_cpu_kernel;

typedef struct sono_cpu_table {
    const char *isa; /* "baseline", "v3" (AVX2), "v4" (AVX-512) */
    sono_cpu_kernel kernels[SONO_OP_COUNT];
} sono_cpu_table;

extern const sono_cpu_table sono_cpu_table_baseline;
extern const sono_cpu_table sono_cpu_table_v3;
extern const sono_cpu_table sono_cpu_table_v4;

/* NAME, op kinds are bound to in table.c: run and, where it ends in _scratch, its scratch. */
void SONO_KERNEL(sono_cpu_find_region)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_preprocess)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_preprocess_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_conv)(const sono_cpu_call *call); /* CONV and LINEAR */
size_t SONO_KERNEL(sono_cpu_conv_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_dwconv)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_max_pool)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_upsample2)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_layer_norm)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_gated_norm)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_add)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_scale_rows)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_unary)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_attention)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_attention_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_deform)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_topk_rows)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_topk_rows_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_fdr_box)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_lqe_stat)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_select)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_select_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_follow)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_prompt)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_hyper_mask)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_upsample_mask)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_upsample_mask_scratch)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_clean_mask)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_mask_profile)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_echo_parts)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_agreement)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_show_mask)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_bridge_mask)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_state)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_schedule)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_doubt)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_surface)(const sono_cpu_call *call);
void SONO_KERNEL(sono_cpu_weight_maps)(const sono_cpu_call *call);
size_t SONO_KERNEL(sono_cpu_weight_maps_scratch)(const sono_cpu_call *call);

#endif
