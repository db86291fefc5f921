// SPDX-License-Identifier: Apache-2.0
/*
 * A network as a list of ops on shaped tensors: record once, plan, run on any backend.
 *
 * Layout. Every tensor is channels-last: n maps of h x w positions with c channels each. Tokens are maps too
 * ([1, 1, tokens, channels] or [1, h, w, channels]: flattening costs nothing). Two strides, in elements,
 * place it in its storage: `pitch` from one position to the next and `batch_stride` from one map to the next.
 * A view shares the storage of a root tensor, so that concatenation and chunking are no ops at all: producers
 * write into channel or token slices of the larger tensor. batch_stride 0 makes one map serve every n
 * (broadcast, read only).
 *
 * A program is built by one thread and read-only afterwards; then any number of threads may read it.
 */
#ifndef SONO_GRAPH_PROGRAM_H
#define SONO_GRAPH_PROGRAM_H

#include "base/dtype.h"
#include "base/status.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

typedef struct sono_params sono_params; /* see params.h */

typedef int32_t sono_tid; /* index of a tensor in its program; 0 = none */

typedef enum sono_tensor_kind {
    SONO_TENSOR_ACTIVATION, /* written by an op; its storage is reused once nobody reads it any more */
    SONO_TENSOR_PARAM,      /* float32 constant made at record time */
    SONO_TENSOR_INPUT,      /* written by the caller before a run */
    SONO_TENSOR_OUTPUT,     /* written by an op, read by the caller after a run: never reused */
    SONO_TENSOR_KEPT        /* keeps its bytes from one run to the next, for every slot; zero at open */
} sono_tensor_kind;

typedef struct sono_tensor {
    char name[96]; /* module path in the official code where there is one */
    sono_tensor_kind kind;
    sono_dtype dtype;
    int32_t n, h, w, c;
    int64_t pitch;        /* elements between positions; c when dense */
    int64_t batch_stride; /* elements between maps; h * w * pitch when dense, 0 = broadcast */
    sono_tid root;        /* itself, or the tensor whose storage this one shares */
    int64_t offset;       /* elements from the root's first */
    const float *param;   /* PARAM roots: the values, the program's params' */
    int32_t param_index;  /* PARAM roots: which of them */
    int32_t precise;      /* ACTIVATION roots: float32 even where a backend stores the others as float16 */
} sono_tensor;

typedef enum sono_act {
    SONO_ACT_NONE,
    SONO_ACT_RELU,
    SONO_ACT_GELU, /* x * Phi(x), exact: by erf */
    SONO_ACT_SILU, /* x * sigmoid(x) */
    SONO_ACT_SIGMOID
} sono_act;

/* What a product does to its result before it is stored, in this order:
 * + bias; + residual if add_before_act; activation; * post_scale + post_bias; + residual if add_after_act;
 * clamp to [-clamp, clamp] if clamp > 0. */
typedef struct sono_epilogue {
    sono_act act;
    float post_scale; /* LearnableAffineBlock; 1 */
    float post_bias;  /* 0 */
    float clamp;      /* 0 = none */
    int32_t add_before_act;
    int32_t add_after_act;
} sono_epilogue;

/* CONV, LINEAR, DWCONV. Output h = (in.h + pad_top + pad_bottom - kernel_h) / stride + 1; padding is zero. */
typedef struct sono_conv_args {
    int32_t kernel_h, kernel_w, stride;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
    sono_epilogue epilogue;
} sono_conv_args;

typedef struct sono_pool_args {
    int32_t kernel, stride, pad_bottom, pad_right; /* padding counts as 0 */
} sono_pool_args;

typedef struct sono_norm_args {
    float eps;
    sono_act act; /* after the affine part */
    float clamp;  /* of the sum before the norm, 0 = none */
} sono_norm_args;

typedef enum sono_unary_fn {
    SONO_UNARY_INVERSE_SIGMOID, /* log(max(x, 1e-5) / max(1 - x, 1e-5)), x clipped to [0, 1] */
    SONO_UNARY_GELU
} sono_unary_fn;

typedef struct sono_unary_args {
    sono_unary_fn fn;
} sono_unary_args;

typedef struct sono_attention_args {
    int32_t n_heads, head_dim;
    float scale;
    int32_t window; /* 0 = every query sees every key; else windows of window x window positions of the h x w
                       map */
} sono_attention_args;

#define SONO_MAX_LEVELS 4

typedef struct sono_deform_args {
    int32_t n_heads, head_dim, n_levels;
    int32_t level_h[SONO_MAX_LEVELS], level_w[SONO_MAX_LEVELS], level_points[SONO_MAX_LEVELS];
    float offset_scale;
} sono_deform_args;

typedef struct sono_topk_args {
    int32_t k;
} sono_topk_args;

typedef struct sono_bins_args {
    int32_t reg_max; /* bins 0..reg_max: reg_max + 1 a side */
    float reg_scale; /* FDR_BOX */
    int32_t top_k;   /* LQE_STAT */
} sono_bins_args;

typedef enum sono_fit {
    SONO_FIT_STRETCH,  /* to width x height, aspect ratio not kept */
    SONO_FIT_LETTERBOX /* longest side to that of a square, zero (after normalisation) right and below */
} sono_fit;

typedef struct sono_preprocess_args {
    sono_fit fit;
    int32_t width_px, height_px; /* of the output; LETTERBOX: equal */
    int32_t is_luma; /* one channel out: a colour pixel's luma (engine/luma.h); mean[0], inv_std[0] */
    float mean[3];   /* out = (value - mean) * inv_std, value in 0..255 */
    float inv_std[3];
    int32_t max_width_px, max_height_px; /* frames: no side above the longer, no area above the product */
} sono_preprocess_args;

typedef struct sono_region_args {
    int32_t max_width_px, max_height_px; /* frames: as above */
} sono_region_args;

typedef struct sono_select_args {
    int32_t max_objects;
} sono_select_args;

typedef struct sono_segment_args {
    int32_t image_size;                      /* 1024: side of the segmenter's input */
    int32_t max_width_px, max_height_px;     /* UPSAMPLE_MASK, WEIGHT_MAPS: likewise */
    int32_t edge_width_px, outside_width_px; /* WEIGHT_MAPS */
    int32_t
        map_element_bytes; /* edge, inside, outside: 1 = uint8, 4 = float32; 0 = there is no WEIGHT_MAPS */
    int32_t min_piece_permille; /* CLEAN_MASK: of the largest piece's pixels; [0, 1000] */
    int32_t bridge_permille;    /* BRIDGE_MASK: of the box's width; [0, 1000] */
} sono_segment_args;

/* The parts that make up a frame's quality, in the order of their weights; see sono_parts in sonoseg.h. */
enum {
    SONO_QUALITY_SCORE,
    SONO_QUALITY_IOU,
    SONO_QUALITY_SHARPNESS,
    SONO_QUALITY_CONTRAST,
    SONO_QUALITY_SHADOW,
    SONO_QUALITY_CONTINUITY,
    SONO_QUALITY_AGREEMENT,
    SONO_QUALITY_SURFACE,
    SONO_QUALITY_PARTS
};

/* STATE, FOLLOW_BOX: sono_state_rules of sonoseg.h without its size, and the mode. */
typedef struct sono_machine_rules {
    int32_t mode; /* sono_state_mode */
    int32_t on, off, agree_on, agree_off;
    int32_t found_after_ms, visible_after_ms, lost_after_ms, frozen_after_ms, gap_ms, default_dt_ms;
    int32_t weight[SONO_QUALITY_PARTS];
    int32_t bias, unknown_part;
} sono_machine_rules;

/* SCHEDULE: when a frame goes without the detector. */
typedef struct sono_schedule_args {
    sono_machine_rules rules; /* BY_STREAM */
    int32_t detect_every;     /* of so many frames at least one has the detector; at least 1 */
    int32_t side;             /* of the kept profile */
} sono_schedule_args;

/* What changes from frame to frame; the INPUT tensor "frame_header" holds one for each of N frames: U8
 * [N, 1, 1, sizeof(sono_frame_header)]. */
typedef struct sono_frame_header {
    int32_t width_px, height_px;
    uint64_t device_pixels; /* CUDA: address of the first pixel in device memory; 0 = in the INPUT tensor */
    int32_t pitch_bytes;
    uint8_t format;       /* sono_pixel_format */
    uint8_t has_pose;     /* 0 or 1 */
    uint8_t stream;       /* SONO_STREAM_* */
    uint8_t reserved;     /* 0 */
    int32_t gray16_white; /* GRAY16: this sample and those above it are 255 */
    float threshold;
    int64_t pixels_at_bytes; /* where the first pixel lies in the tensor of all frames' pixels */
    int64_t maps_at_bytes;   /* where the first mask goes in the tensor of all frames' maps (map_layout.h) */
    int64_t timestamp_ns;    /* as the source said; 0 = unknown */
    float spacing_mm[2];     /* from pixel to pixel, x and y; 0 = unknown */
    float
        image_to_reference[12]; /* pose as in sono_frame_info, axes of length 1; counts when has_pose is 1 */
    uint16_t region[4]; /* x, y, width, height in pixels of what the networks see, within the frame; all 0 =
                           the whole frame (engine/region.h) */
} sono_frame_header;

/* What a frame is to the frames before it. */
enum {
    SONO_STREAM_GOES_ON = 0,
    SONO_STREAM_BEGINS = 1,  /* nothing that was kept of earlier frames counts */
    SONO_STREAM_NO_FRAME = 2 /* a placeholder in a batch: it changes nothing that is kept */
};

/* Host and device read the same bytes. */
static_assert(sizeof(sono_frame_header) == 120 && offsetof(sono_frame_header, device_pixels) == 8 &&
                  offsetof(sono_frame_header, pixels_at_bytes) == 32 &&
                  offsetof(sono_frame_header, timestamp_ns) == 48 &&
                  offsetof(sono_frame_header, region) == 112,
              "a frame's header has no padding");

/* One found box, as SELECT_BOXES writes it: a row of 8 float32 of its output. */
typedef struct sono_detection {
    float x1, y1, x2, y2; /* source pixels; all 0 when not valid */
    float score;          /* [0, 1] */
    float class_id;
    float query; /* row of the decoder's output it came from; -1: recalled from the mask before */
    float valid; /* 1: score >= threshold; 0: gated */
} sono_detection;

/* The row as float32: how many, and which of them says whether it is valid. */
#define SONO_DETECTION_FLOATS 8
#define SONO_DETECTION_SCORE  4
#define SONO_DETECTION_CLASS  5
#define SONO_DETECTION_QUERY  6
#define SONO_DETECTION_VALID  7
static_assert(sizeof(sono_detection) == SONO_DETECTION_FLOATS * sizeof(float) &&
                  offsetof(sono_detection, score) == SONO_DETECTION_SCORE * sizeof(float) &&
                  offsetof(sono_detection, class_id) == SONO_DETECTION_CLASS * sizeof(float) &&
                  offsetof(sono_detection, query) == SONO_DETECTION_QUERY * sizeof(float) &&
                  offsetof(sono_detection, valid) == SONO_DETECTION_VALID * sizeof(float),
              "a row of SELECT_BOXES is a sono_detection");

/* One point that an object is pointed at with: a row of 4 float32. */
typedef struct sono_point_row {
    float x, y;   /* source pixels */
    float label;  /* 1: on the object, 0: not on it, -1: no point */
    float unused; /* 0 */
} sono_point_row;

#define SONO_POINT_FLOATS 4

/* What MASK_PROFILE says of a frame's first object: rows of `side` int32, side being the longer one of the
 * largest frame's. 0 where the frame ends earlier. */
enum {
    SONO_PROFILE_COLUMNS, /* mask pixels of each column */
    SONO_PROFILE_HEIGHTS, /* the sum of their y, below 2^31 up to SONO_PROFILE_MAX_SIDE_PX */
    SONO_PROFILE_ROWS,    /* mask pixels of each row */
    SONO_PROFILE_COUNT
};
#define SONO_PROFILE_MAX_SIDE_PX 65535
#define SONO_PROFILE_MAX_PIXELS  (1 << 28) /* sums over them fit into 64 bits: engine/echo_parts.h */

/* int32 of a frame in which the ops of the state add up, zeroed by MASK_PROFILE. Working memory of the
 * backend. */
#define SONO_STATE_SUMS 1024

/* How an image looks where its mask lies: a row of ECHO_PARTS. The first four are permille, larger is better,
 * and -1 where there is no mask or nothing to compare with. */
enum {
    SONO_ECHO_SHARPNESS,
    SONO_ECHO_CONTRAST,        /* against what lies above the mask */
    SONO_ECHO_SHADOW,          /* against what lies below it */
    SONO_ECHO_CONTINUITY,      /* share of the box's columns that hang together; -1: the mask is empty */
    SONO_ECHO_FINGERPRINT_LOW, /* 64 bits that change when any pixel does */
    SONO_ECHO_FINGERPRINT_HIGH,
    SONO_ECHO_AREA_PX, /* of the mask; what follows is 0 */
    SONO_ECHO_INTS = 16
};

/* How a mask goes with the one before: a row of AGREEMENT. Permille, larger is better; -1 = unknown. */
enum {
    SONO_AGREEMENT_IOU,     /* of the mask before, moved, and this one */
    SONO_AGREEMENT_SURFACE, /* 1000: their centre lines lie on one another; 500: 1 % of the height apart */
    SONO_AGREEMENT_MOVED_X, /* how the mask before was moved, in 1/8 px: of the frame's centre; 0 = unknown */
    SONO_AGREEMENT_MOVED_Y, /* what follows is 0 */
    SONO_AGREEMENT_INTS = 8
};

/* What STATE finds out about a frame, and what it keeps of a stream: engine/state_machine.h. */
#define SONO_VERDICT_INTS 24
#define SONO_MEMORY_BYTES 256

/* What a step of the schedule says, SCHEDULE and DOUBT: an int32 that is 1 where the ops that depend on it
 * run; what follows is 0. */
#define SONO_STEP_INTS 4

/* What FOLLOW_BOX keeps of a stream: engine/follow.h. */
#define SONO_FOLLOWED_BYTES 64

/* SURFACE looks at columns 0, step, 2 step ..., step = ceil(width / this); of each column's runs of mask it
 * keeps so many. */
#define SONO_SURFACE_COLUMNS 1024
#define SONO_SURFACE_RUNS    4

/* FIND_REGION: the frame lies under at most so many squares a side; what it keeps of a stream, and what it
 * counts in a square: engine/find_region.h. */
#define SONO_REGION_CELLS       64
#define SONO_REGION_MAX_SIDE_PX 16384 /* of a frame */
#define SONO_REGION_COUNTS      3
#define SONO_REGION_BYTES       64
#define SONO_REGION_INTS        4 /* x, y, width, height in pixels */

/* KIND, text, inputs ('?' = may be none) -> outputs. Shapes: T = tokens, Q = queries, N = frames, K = objects
 * of a frame, NK = of all frames, those of one frame together.
 * Sizes that depend on the frame are read from the frame's header when the op runs. */
#define SONO_OP_MAP(X)                                                                                        \
    X(FIND_REGION, "find_region") /* pixels, header, kept? U8 [1,1,1,64] -> header, the same with the region  \
                                     that the networks are to see, region I32 [N,1,1,4], counts I32           \
                                     [N,1,1,..], the same kept; see engine/find_region.h */                   \
    X(PREPROCESS, "preprocess")   /* pixels, header -> image [N,H,W,3 or 1]; antialiased bilinear resize */   \
    X(CONV, "conv")               /* x, weight [kh,kw,cin,cout], bias? [1,1,1,cout], residual? -> y */        \
    X(LINEAR, "linear")           /* the same with a 1 x 1 kernel and stride 1 */                             \
    X(DWCONV, "dwconv")           /* x, weight [1,kh,kw,c], bias?, residual? -> y; one filter a channel */    \
    X(MAX_POOL, "max_pool")       /* x -> y */                                                                \
    X(UPSAMPLE2, "upsample2")     /* x [n,h,w,c] -> y [n,2h,2w,c], nearest */                                 \
    X(LAYER_NORM, "layer_norm")   /* x, gamma, beta, residual? -> act(norm(clamp(x + residual))) over c */    \
    X(ADD, "add")                 /* a, b -> a + b; b may have c = 1 */                                       \
    X(SCALE_ROWS, "scale_rows")   /* x, s [1,h,w,1] -> x * s */                                               \
    X(UNARY, "unary")             /* x -> fn(x) */                                                            \
    X(ATTENTION, "attention")     /* q, k, v, bias? [1,1,heads,window^2], pad_k? [1,1,1,c], pad_v? -> out */  \
    X(DEFORM_ATTENTION, "deform") /* value [n,1,T,c], offsets [n,1,Q,heads*points*2],                         \
                                     logits [n,1,Q,heads*points], boxes [n,1,Q,4] -> out [n,1,Q,c] */         \
    X(GATED_NORM, "gated_norm")   /* gates [n,1,Q,2c], x1, x2, gamma, beta                                    \
                                     -> norm(sigmoid(g1) * x1 + sigmoid(g2) * x2) */                          \
    X(TOPK_ROWS, "topk_rows")     /* logits [n,1,T,classes], memory [n,1,T,c], anchors [1,1,T,4]              \
                                     -> memory [n,1,K,c], anchors [n,1,K,4], indices I32 [n,1,K,1] */         \
    X(FDR_BOX, "fdr_box")     /* corners [n,1,Q,4*bins], boxes [n,1,Q,4], project [1,1,1,bins] -> boxes */    \
    X(LQE_STAT, "lqe_stat")   /* corners -> [n,1,Q,4*(top_k+1)]: top_k probabilities and their mean */        \
    X(SELECT_BOXES, "select") /* logits [N,1,Q,classes], boxes [N,1,Q,4], header -> detections [N,1,K,8] */   \
    X(FOLLOW_BOX, "follow")   /* logits, boxes, header, detections, followed U8 [1,1,1,64] -> the same        \
                                 detections, first the one that was first in the frame before, the same       \
                                 followed; see engine/follow.h */                                             \
    X(PROMPT, "prompt")       /* detections, header, gaussian [1,1,2,128], embeddings [1,1,E,256],            \
                                 tokens [1,1,5,256], points? [N,1,KP,4] -> tokens [NK,1,5+..,256]. E = 2:     \
                                 a box's corners; 3: no point, background, object; 5: corners, then these.    \
                                 Behind the tokens come P points, then two corners, or where there is no      \
                                 box one row of no point */                                                   \
    X(HYPER_MASK, "hyper_mask") /* up [NK,1,65536,32], hyper [NK,1,1,32] -> logits [NK,256,256,1] */          \
    X(UPSAMPLE_MASK, "mask")    /* logits [NK,256,256,1], detections, header                                  \
                                   -> mask U8 [NK,1,1,room], area I32 [NK,1,1,1],                             \
                                   source logits? [NK,1,1,maxH*maxW]; mask: packed, see map_layout.h */       \
    X(CLEAN_MASK, "clean_mask") /* mask, detections, header -> the same mask without small pieces and those   \
                                   far from the box, area I32 [NK,1,1,1], pieces I32 [NK,1,2,room] */         \
    X(BRIDGE_MASK, "bridge_mask")   /* pixels, header, detections, mask -> the same mask with gaps bridged    \
                                       where there is an echo, area I32 [NK,1,1,1], runs I32 [NK,1,2,side] */ \
    X(MASK_PROFILE, "mask_profile") /* mask, header -> profile I32 [N,1,3,side], sums I32 [N,1,1,1024] */     \
    X(ECHO_PARTS,                                                                                             \
      "echo_parts") /* pixels, header, mask, profile, detections -> echo I32 [N,1,1,16], the same sums */     \
    X(AGREEMENT, "agreement") /* mask, profile, header, kept -> agreement I32 [N,1,1,8], the same sums;       \
                                 kept: U8 [1,1,1,kept_bytes()], see kept_layout.h */                          \
    X(STATE, "state")         /* detections, iou? [NK,1,1,4], echo I32 [N,1,1,16], agreement? I32             \
                                 [N,1,1,8], header, memory? U8 [1,1,1,256] -> verdict I32 [N,1,1,24], the     \
                                 same memory; see engine/state_machine.h */                                   \
    X(SCHEDULE, "schedule")   /* memory U8 [1,1,1,256], kept, header -> step I32 [1,1,1,4]: 1 = the           \
                                 detector runs, detections [1,1,1,8]: the box of the mask before where it     \
                                 does not, else none; memory, followed; see engine/schedule.h */              \
    X(DOUBT, "doubt")         /* detections, iou?, echo, agreement, header, memory -> step I32 [1,1,1,4]:     \
                                 1 = the box is recalled, and with it the frame is not a good one */          \
    X(SHOW_MASK, "show_mask") /* verdict I32 [N,1,1,24], profile, header -> mask, area and detections,        \
                                 emptied where the state is LOST; kept? */                                    \
    X(SURFACE, "surface")     /* pixels, header, mask -> rows I32 [N,1,1,SONO_SURFACE_COLUMNS] in             \
                                 1 / 256 px, -1 = none, runs I32 [N,1,SONO_SURFACE_RUNS, likewise] */         \
    X(WEIGHT_MAPS, "weight_maps") /* mask, header -> edge, inside, outside U8 [NK,1,P-1,room], packed behind  \
                                     each mask: planes of one tensor with it */

typedef enum sono_op_kind {
#define SONO_OP_ENUM(name, text) SONO_OP_##name,
    SONO_OP_MAP(SONO_OP_ENUM)
#undef SONO_OP_ENUM
        SONO_OP_COUNT
} sono_op_kind;

const char *sono_op_name(sono_op_kind kind);

#define SONO_OP_MAX_IN  6
#define SONO_OP_MAX_OUT 4

typedef struct sono_op {
    sono_op_kind kind;
    sono_stage stage;
    sono_tid in[SONO_OP_MAX_IN]; /* in the order of SONO_OP_MAP; 0 = not given */
    sono_tid out[SONO_OP_MAX_OUT];
    double flops;   /* multiplications and additions counted apart */
    int32_t lane;   /* 0, or 1: may run side by side with the lane 0 ops recorded before lane 1's last */
    int32_t strand; /* behind lane 1's last op: 0, or 1: may run beside ops of strand 0, wherever what both
                       touch allows it */
    int32_t is_absorbed; /* 1: another op does its work (lower.h), and it is not run; 0 as recorded */
    int32_t leader;      /* 1 + the last op of the chain that it is run with, at that one's place (lower.h);
                            0 as recorded: run by itself */
    union {
        sono_conv_args conv;
        sono_pool_args pool;
        sono_norm_args norm;
        sono_unary_args unary;
        sono_attention_args attention;
        sono_deform_args deform;
        sono_topk_args topk;
        sono_bins_args bins;
        sono_preprocess_args preprocess;
        sono_region_args region;
        sono_select_args select;
        sono_segment_args segment;
        sono_machine_rules state; /* DOUBT, too */
        sono_schedule_args schedule;
    } args;
} sono_op;

typedef struct sono_program {
    sono_tensor *tensors; /* [0] is unused: id 0 means none */
    size_t n_tensors, tensors_capacity;
    sono_op *ops;
    size_t n_ops, ops_capacity;
    int64_t params_bytes;
    sono_params *params; /* its own, or shared with other programs */
    size_t n_params;     /* of them recorded so far */
} sono_program;

sono_status sono_program_open(sono_program **out, sono_error *error);
/* The same on params that other programs may use too; one user more. */
sono_status sono_program_open_on(sono_params *params, sono_program **out, sono_error *error);
void sono_program_close(sono_program *program); /* NULL is allowed */

static inline const sono_tensor *sono_program_tensor(const sono_program *program, sono_tid id)
{
    return &program->tensors[id];
}

/* Element type in memory under a precision: the recorded one, but F16 for F32 activations that are not
 * precise. */
sono_dtype sono_tensor_stored_dtype(const sono_program *program, sono_tid id, sono_precision precision);

/* Elements of the tensor itself (n * h * w * c), whatever its strides. */
int64_t sono_tensor_count(const sono_tensor *tensor);

/* First tensor of that name, 0 when there is none. For tests and dumps. */
sono_tid sono_program_find(const sono_program *program, const char *name);

double sono_program_flops(const sono_program *program, sono_stage stage);

/* The first op behind lane 1's last: ops of lane 0 before it may run beside lane 1. 0 = nothing is on lane 1.
 */
size_t sono_program_join(const sono_program *program);

/* One behind the last op of lane 0 whose result an op of lane 1 reads: lane 1 begins behind it. 0 = it waits
 * for none. */
size_t sono_program_fork(const sono_program *program);

/* What of a frame runs as one: lane 0 up to the join, lane 1, and what waits for both. */
typedef enum sono_part { SONO_PART_LANE_0, SONO_PART_LANE_1, SONO_PART_TAIL, SONO_PART_COUNT } sono_part;

sono_part sono_program_part(const sono_program *program, size_t op);

/* Bytes that an op reads and writes at least, each element of its tensors once, as a backend stores them. */
double sono_program_op_bytes(const sono_program *program, const sono_op *op, sono_precision precision);

/* What an engine calls the kernel that it runs an op with. */
typedef struct sono_kernel_name {
    char text[40];
} sono_kernel_name;

/* One line an op, then totals a stage and a kind. plan may be NULL; kernels, [n_ops], too. */
struct sono_plan;
void sono_program_print(const sono_program *program, const struct sono_plan *plan,
                        const sono_kernel_name *kernels, FILE *stream);

#endif
