// SPDX-License-Identifier: Apache-2.0
/*
 * sonoseg's tools: reading frames from files, writing results, looking into checkpoints. Unstable: may change
 * with every release. C11 and C++11. Conventions (ownership, errors) are those of sonoseg.h.
 */
#ifndef SONOSEG_IO_H
#define SONOSEG_IO_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- models -------------------------------------------------------------------------------------------- */

typedef enum sono_network { SONO_NETWORK_DFINE = 1, SONO_NETWORK_MOBILESAM = 2 } sono_network;

typedef struct sono_model_info {
    sono_network network;
    char architecture[32];       /* "dfine-n" ... "dfine-x", "mobilesam-vit_t" */
    char container[32];          /* "pytorch zip", "safetensors" */
    char naming[32];             /* "official", "transformers" */
    char dtype[32];              /* "F32"; "F32+F16" when mixed; integer buffers do not count */
    int32_t n_classes;           /* detector; 0 for the segmenter */
    int32_t input_px;            /* side of the square input: 640 or 1024 */
    int32_t n_channels;          /* of the input: 3; 1 for a detector of luma */
    sono_detector_family family; /* detector: as the metadata says; AUTO where it says nothing */
    int32_t n_tensors;
    int64_t n_params; /* elements of the floating-point tensors that inference uses or training left, all */
    int64_t file_bytes;
    char sha256[65]; /* of the file, lower-case hex */
    /* What was left out on the way to the tensors; names are cut to fit. */
    char prefix[64];   /* taken off every name, such as "module."; "" = nothing */
    char wrapper[64];  /* where in a PyTorch file the state dict was, such as "ema.module"; "" = at the top */
    int32_t n_ignored; /* entries of the state dict that are no tensors, ... */
    char ignored[64];  /* ... and the first one's name */
    int64_t n_inert;   /* objects of other classes in a PyTorch file; nothing in it is executed, ... */
    char inert[64];    /* ... and the first one's class */
} sono_model_info;

/* Reads a checkpoint's directory, recognises it and hashes the file. Thread-safe. */
SONO_API sono_status sono_model_inspect(const char *path, sono_model_info *out, sono_error *error);

/* Whether sono_pipeline_open() would take the checkpoint in its place: every tensor there and of its shape,
 * none too many, all that is used finite. family: see sono_pipeline_config; of a segmenter AUTO. Errors:
 * those of sono_pipeline_open(), with its text. Thread-safe. */
SONO_API sono_status sono_model_verify(const char *path, sono_detector_family family, sono_error *error);

/* Writes one line a tensor ("name  F32 [32, 3, 3, 3]") to stream. */
SONO_API sono_status sono_model_list_tensors(const char *path, FILE *stream, sono_error *error);

/* Writes the metadata of a safetensors file to stream, one line a key in the file's order ("key value");
 * control characters come out as '?'. Other files have none. */
SONO_API sono_status sono_model_list_metadata(const char *path, FILE *stream, sono_error *error);

/* Writes path_in's tensors under their official names to a safetensors file with metadata (architecture,
 * classes, input size, source hash, a detector's family where path_in or the caller says it: what is only
 * assumed is not written). precision FP16 stores floating-point tensors as F16 and fails with UNSUPPORTED
 * when a value does not fit (above 65504). family: see sono_pipeline_config; of a segmenter AUTO. path_out is
 * written beside and renamed: an existing file is whole or untouched. Checks the whole network's shapes
 * first.
 */
SONO_API sono_status sono_model_convert(const char *path_in, const char *path_out, sono_precision precision,
                                        sono_detector_family family, sono_error *error);

/* Prints the network's op list: one line an op with shapes, bytes and FLOPs, then totals. */
SONO_API sono_status sono_model_print_program(const char *path, FILE *stream, sono_error *error);

/* The backend that a device name of sono_pipeline_config takes on this machine, so that a model can be chosen
 * for it. NULL = "auto". Errors: INVALID_ARGUMENT (no such name), NO_DEVICE. Thread-safe. */
SONO_API sono_status sono_device_backend(const char *device, sono_backend *out, sono_error *error);

/* ---- sources ------------------------------------------------------------------------------------------- */

typedef struct sono_source sono_source;

typedef struct sono_source_options {
    size_t struct_size;
    int32_t keep_colour; /* 0 (default): colour images become 8-bit luma (Rec. 601); 1: RGB8 stays RGB8 */
    int64_t max_pixels;  /* larger images are refused before they are decoded; default 1920 x 1200 x 4 */
    int32_t n_held;      /* the newest n frames keep their pixels (one in flight each); [1, 16], default 1 */
    double float_low;    /* float TIFF: this value and those below it become black, ... */
    double
        float_high; /* ... this and those above it white; low < high, 0 and 0 (default) = refuse such files */
    int32_t max_side_px;  /* images with a longer side are refused likewise; 0 (default) = none is */
    int32_t gray16_white; /* the 16-bit value that means white; 0 (default) = the file's own word, else
                             unknown; or SONO_GRAY16_AUTO */
} sono_source_options;

/* What frame.gray16_white becomes with 16-bit grey images:
 * - gray16_white above 0: that, in the file's own units (those of a PGM's maxval).
 * - else by the file: MaxSampleValue of a TIFF, when it is 2^n - 1 and no sample is above it; 2^n - 1 for a
 * PNG with sBIT n, when every sample fits and one cannot have been scaled up to 16 bits as PNG asks for, else
 *   65535; 65535 for a PGM with a maxval of its own (its samples come scaled).
 * - else 0; with SONO_GRAY16_AUTO the smallest of 255, 1023, 4095, 16383 and 65535 that held every sample of
 *   this frame and of those before it. The same files in the same order give the same values. */
#define SONO_GRAY16_AUTO (-1)

SONO_API void sono_source_options_init(sono_source_options *options);

/* Image files: PNG, JPEG, TIFF, PBM/PGM/PPM, recognised by content. A folder stands for the image files in it
 * (by suffix, without one by content, hidden ones left out, folders below left out) in natural order ("2.png"
 * before "10.png"). Every page of a TIFF is a frame; reduced images and masks in it are not. With several
 * pages their names count from 1: "a/b.tif" gives "a/b_p0001.tif". Pictures are turned as their EXIF or TIFF
 * orientation asks for. frame_id counts the entries from 0. A path that does not exist, or a folder without
 * images, is an entry that fails in sono_source_next(), so that the others can still be read. Errors:
 * INVALID_ARGUMENT (no path, an option outside its range), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_images(const char *const *paths, int32_t n_paths,
                                             const sono_source_options *options, sono_source **out,
                                             sono_error *error);

/* What the phantom shows. */
typedef enum sono_phantom_shape {
    SONO_PHANTOM_ANY = 0, /* drawn by the seed, empty sweeps included */
    SONO_PHANTOM_FLAT,
    SONO_PHANTOM_ARCHED,
    SONO_PHANTOM_RIDGE,  /* narrow, with steep flanks */
    SONO_PHANTOM_BROKEN, /* one bone with a gap and a step */
    SONO_PHANTOM_PAIR,   /* two bones side by side */
    SONO_PHANTOM_EMPTY,  /* soft tissue only */
    SONO_PHANTOM_SHAPE_COUNT
} sono_phantom_shape;

typedef struct sono_phantom_options {
    size_t struct_size;
    int32_t width_px;       /* [16, 4096], default 422 */
    int32_t height_px;      /* [16, 4096], default 558 */
    int32_t n_frames;       /* [1, 100000000], default 120 */
    int32_t n_sweep_frames; /* a new sweep, with new anatomy and settings, every so many frames; 0 (default) =
                               one sweep only */
    double rate_hz; /* frames a second of the phantom's time, [0.1, 1000], default 25; nothing waits */
    uint64_t seed;  /* default 1 */
    sono_phantom_shape shape; /* default ANY */
    float empty_share;        /* share of empty sweeps with ANY; [0, 1], default 0.1 */
    float depth_mm;           /* of the image, [10, 300]; 0 (default) = drawn for each sweep from 35 to 65 */
    int32_t no_marks;         /* 1: no text, callipers or scales; default 0 = on some sweeps */
    int32_t n_held;           /* as in sono_source_options */
} sono_phantom_options;

SONO_API void sono_phantom_options_init(sono_phantom_options *options);

/* A synthetic scanner: B-mode sweeps over bones (docs/phantom.md), 8 bits grey. The same options give the
 * same frames, in whatever order other sources run. Frames carry spacing_mm, timestamp_s ((frame_id + 1) /
 * rate_hz) and the name "phantom_<frame_id>", which is borrowed as the pixels are. Nothing is allocated after
 * open. Errors: INVALID_ARGUMENT (an option outside its range), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_phantom(const sono_phantom_options *options, sono_source **out,
                                              sono_error *error);

#define SONO_TRUTH_STRUCTURES 2 /* most in one frame */

/* What a frame really shows. */
typedef struct sono_truth {
    int32_t width_px, height_px;
    int32_t is_visible;    /* 0: no structure, all below is zero */
    const uint8_t *mask;   /* height_px rows of width_px bytes, 0 / 255; never NULL */
    const uint8_t *labels; /* likewise; k + 1 where structures[k] is, else 0 */
    float bbox_xyxy_px[4]; /* first and last column and row of the mask */
    int64_t mask_area_px;
    int32_t n_structures;
    struct {
        float bbox_xyxy_px[4];
        int64_t area_px;
    } structures[SONO_TRUTH_STRUCTURES];
} sono_truth;

/* The truth of the frame that sono_source_next() gave last; what it points to is borrowed as that frame's
 * pixels are. Errors: INVALID_ARGUMENT, STATE (no frame yet), UNSUPPORTED (this source knows no truth). */
SONO_API sono_status sono_source_truth(const sono_source *source, sono_truth *out, sono_error *error);

/* Number of frames as far as it is known, -1 = unknown. A file counts as one until it is opened; from then on
 * its pages count. Never below the number of frames given so far. */
SONO_API int64_t sono_source_count(const sono_source *source);

/* Number of files that the given folders hold beside images; hidden files and folders do not count. suffixes
 * (optional): theirs, ".bmp, .dcm", borrowed until close; "" when there are none. */
SONO_API int64_t sono_source_left_out(const sono_source *source, const char **suffixes);

/* Reads the next frame. frame->pixels is borrowed until n_held further frames were read; *name (the file's
 * path, or its page's name) until close, unless the source says otherwise; both are set to NULL at END. A
 * file that cannot be read is an error for this frame only, *name says which and frame->frame_id has its
 * number: call again for the next one. Errors: END, IO, FORMAT (also for files cut short), UNSUPPORTED, LIMIT
 * (larger than max_pixels or max_side_px), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_next(sono_source *source, sono_frame *frame, const char **name,
                                      sono_error *error);

SONO_API void sono_source_close(sono_source *source); /* NULL is allowed */

/* ---- sinks --------------------------------------------------------------------------------------------- */

/* What may be written without a loss, and by whom. */
typedef enum sono_output_kind {
    SONO_OUTPUT_FILE,    /* one file */
    SONO_OUTPUT_RESULTS, /* a folder, written as sono_sink_open_folder() does */
    SONO_OUTPUT_SET      /* a folder, written as `sonoseg phantom` does: images/ and masks/ */
} sono_output_kind;

typedef struct sono_output {
    const char *path;
    sono_output_kind kind;
} sono_output;

/* Decides whether outputs may be written by somebody who reads inputs: to be asked before anything is
 * written. inputs: files, and folders for the images in them; what does not exist is passed over. Nothing is
 * changed. Files are told apart by device and inode, through symbolic and hard links. Refused with
 * INVALID_ARGUMENT, in a text that names both paths and the way out:
 * - an output, or a picture in a folder of outputs, that is one of the inputs; two outputs that are one file;
 * - RESULTS where a labelled set is: with images/, or with pictures in masks/ that no results.jsonl explains;
 * - SET where results are, or pictures that `sonoseg phantom` did not make.
 * Other errors: STATE (somebody is writing it, see sono_folder_lock()), OUT_OF_MEMORY. Thread-safe. */
SONO_API sono_status sono_output_check(const char *const *inputs, int32_t n_inputs,
                                       const sono_output *outputs, int32_t n_outputs, sono_error *error);

/* Makes this process the only one to write into an existing folder, until sono_folder_unlock() or its end,
 * whatever ends it; then removes the half-written pictures of a writer that was killed.
 * sono_sink_open_folder() does it itself. On a network file system only processes of one machine see each
 * other; where a folder cannot be locked at all, *out_lock is -1. Errors: STATE (another has it),
 * INVALID_ARGUMENT. Thread-safe. */
SONO_API sono_status sono_folder_lock(const char *path, int32_t *out_lock, sono_error *error);
SONO_API void sono_folder_unlock(int32_t lock); /* -1 is allowed */

/* Writes a file's name or path as a JSON string of valid UTF-8. What is not UTF-8 and control characters are
 * written as '%' and two upper-case hex digits, and so is a '%' before such digits: every name comes back,
 * and no two are written alike. "b\xf6.png" is "b%F6.png". Write errors stay in the stream (ferror). */
SONO_API void sono_json_write_name(FILE *stream, const char *name);

typedef struct sono_sink sono_sink;

typedef struct sono_sink_options {
    size_t struct_size;
    int32_t write_masks;    /* 1 (default): DIR/masks/<stem>.png */
    int32_t write_overlays; /* 1 (default): DIR/overlays/<stem>.png */
    int32_t write_weights;  /* 0 (default); 1: DIR/weights/<stem>_{edge,inside,outside}.png, 0 / 255 */
    int32_t
        gray16_white; /* what the overlay shows as white in 16-bit frames that do not say; default 65535 */
} sono_sink_options;

SONO_API void sono_sink_options_init(sono_sink_options *options);

/* A folder (made when missing, with its parents) that takes results.jsonl, masks and overlays; an existing
 * results.jsonl is overwritten, pictures of the same name too. It is locked until close, also against a
 * second sink of this process. Errors: INVALID_ARGUMENT (also a labelled set, as of sono_output_check()),
 * STATE (another writes into it), IO, OUT_OF_MEMORY. */
SONO_API sono_status sono_sink_open_folder(const char *path, const sono_sink_options *options,
                                           sono_sink **out, sono_error *error);

/* Writes one result: its pictures, each whole or not at all, then its line, flushed. On failure nothing of
 * this result stays behind; a process that is killed leaves the pictures of at most one frame without a line.
 * frame: the pixels the packet was made from, for the overlay; may be NULL when no overlays are written.
 * source: where it came from; its stem, escaped as by sono_json_write_name(), names the pictures ("a/b.png"
 * -> "b"; a second "b" becomes "b_2"). With several objects masks/<stem>.png is their union and
 * masks/<stem>_obj<k>.png (k from 0) each one's own. Errors: IO (disk full, ...), INVALID_ARGUMENT (frame and
 * packet differ in size), OUT_OF_MEMORY. */
SONO_API sono_status sono_sink_write(sono_sink *sink, const sono_packet *packet, const sono_frame *frame,
                                     const char *source, sono_error *error);

/* Flushes and closes; what could not be written is reported here at the latest. NULL is allowed. */
SONO_API sono_status sono_sink_close(sono_sink *sink, sono_error *error);

/* Writes one picture as a PNG file. pixels: height_px rows of width_px * channels bytes, contiguous; channels
 * 1 (grey) or 3 (RGB). It is written beside its place and renamed: an existing file is whole or untouched, a
 * symbolic link is replaced; a pipe or a device is written as it is. Thread-safe. Errors: INVALID_ARGUMENT
 * (NULL, an empty size, other channels), IO, OUT_OF_MEMORY; the text names path. */
SONO_API sono_status sono_png_write(const char *path, const uint8_t *pixels, int32_t width_px,
                                    int32_t height_px, int32_t channels, sono_error *error);

/* An RGB picture to draw into; what lies outside of it is left out. */
typedef struct sono_picture {
    uint8_t *pixels; /* height_px rows of width_px * 3 bytes, contiguous; the caller's */
    int32_t width_px;
    int32_t height_px;
} sono_picture;

typedef struct sono_colour {
    uint8_t r, g, b;
} sono_colour;

/* Mixes ink into columns x0_px..x1_px - 1 of rows y0_px..y1_px - 1; weight: [0, 256], 256 covers. */
SONO_API void sono_picture_fill(const sono_picture *picture, int32_t x0_px, int32_t y0_px, int32_t x1_px,
                                int32_t y1_px, sono_colour ink, int32_t weight);

/* One line of text with its top left corner at x_px, y_px. A letter is SONO_TEXT_DOTS dots high, a dot dot_px
 * pixels. Letters, digits and . , # % : - + / ( ); anything else is a blank. */
#define SONO_TEXT_DOTS 7
SONO_API void sono_picture_draw_text(const sono_picture *picture, int32_t x_px, int32_t y_px, int32_t dot_px,
                                     const char *text, sono_colour ink);
SONO_API int32_t sono_picture_text_width(const char *text, int32_t dot_px);

/* ---- audit --------------------------------------------------------------------------------------------- */

/* What is booked: every crossing between host and device, and launches beside them. */
typedef enum sono_crossing {
    SONO_CROSSING_ALLOCATION, /* of device or pinned memory */
    SONO_CROSSING_H2D,        /* copy from host to device */
    SONO_CROSSING_LAUNCH,     /* of a graph, or of a kernel outside of one */
    SONO_CROSSING_D2H,        /* copy from device to host */
    SONO_CROSSING_WAIT,       /* the host waits for the device */
    SONO_CROSSING_COUNT
} sono_crossing;

/* When it happened. FRAME: between the start of a frame's upload and the end of its packet's download. */
typedef enum sono_phase {
    SONO_PHASE_OPEN,
    SONO_PHASE_LOOP, /* in the frame loop, outside of any frame */
    SONO_PHASE_FRAME,
    SONO_PHASE_CLOSE,
    SONO_PHASE_COUNT
} sono_phase;

/* Where on a frame's way it happened, as the errors of the device name it. */
#define SONO_PLACE_MAP(X)                                                                                    \
    X(OPEN, "open")         /* parameters, memory, and what is tried out */                                  \
    X(UPLOAD, "upload")     /* of a frame, in front of its first stage */                                    \
    X(LAUNCH, "launch")     /* of its stages */                                                              \
    X(DOWNLOAD, "download") /* of its packet, behind its last stage */                                       \
    X(OTHER, "other")       /* none of these: tests */

typedef enum sono_place {
#define SONO_PLACE_ENUM(name, text) SONO_PLACE_##name,
    SONO_PLACE_MAP(SONO_PLACE_ENUM)
#undef SONO_PLACE_ENUM
        SONO_PLACE_COUNT
} sono_place;

SONO_API const char *sono_crossing_name(sono_crossing crossing); /* "allocation", "h2d", ... */
SONO_API const char *sono_phase_name(sono_phase phase);          /* "open", "loop", "frame", "close" */
SONO_API const char *sono_place_name(sono_place place);

/* Everything a pipeline booked since it was opened. All zero on the CPU. */
typedef struct sono_audit_counts {
    int64_t n[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    int64_t bytes[SONO_PHASE_COUNT][SONO_CROSSING_COUNT];
    int64_t n_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT]; /* the same by place, all phases together */
    int64_t bytes_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    int64_t n_chains;                     /* uploads behind a download within one frame */
    int32_t n_ops[SONO_STAGE_COUNT];      /* ops of each stage, ... */
    int32_t n_resident[SONO_STAGE_COUNT]; /* ... and those whose every input and output is device memory */
} sono_audit_counts;

/* Not in the frame path: it asks the driver where every tensor lies. Call it when no frame is in flight.
 * Errors: INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_audit(sono_pipeline *pipeline, sono_audit_counts *out);

/* The judgement of a run of frames. */
typedef struct sono_audit {
    sono_audit_counts before;
    int64_t n_frames;
    int64_t n_critical;             /* crossings within a frame beyond 1 h2d, 1 d2h and 1 wait */
    int64_t n_medium;               /* crossings between frames, launches beyond 1 a frame */
    int64_t n_minor;                /* crossings at open */
    int64_t n_chains;               /* data downloaded and uploaded again within one frame */
    sono_ledger_totals most;        /* of each figure the most that a frame had */
    int64_t n[SONO_CROSSING_COUNT]; /* sums over the frames' ledgers */
    int64_t bytes[SONO_CROSSING_COUNT];
    int64_t n_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT]; /* between start and finish, by place */
    int64_t bytes_at[SONO_PLACE_COUNT][SONO_CROSSING_COUNT];
    double residency[SONO_STAGE_COUNT]; /* share of resident ops; 1 for a stage without ops */
    double residency_all;
} sono_audit;

/* Arithmetic only. start: what was booked before the frames; frame: one packet's ledger; finish: what is
 * booked after them. finish returns whether it is within the budget: critical 0, medium 0, chains 0,
 * residency 1, and no frame above 0 allocations, 1 h2d, 1 launch, 1 d2h, 1 wait. */
SONO_API void sono_audit_start(sono_audit *audit, const sono_audit_counts *before);
SONO_API void sono_audit_frame(sono_audit *audit, const sono_ledger_totals *frame);
SONO_API int32_t sono_audit_finish(sono_audit *audit, const sono_audit_counts *after);

/* ---- trace --------------------------------------------------------------------------------------------- */

/* An independent witness of the ledger: what CUPTI, the driver's own tracing, saw. One a process. */
typedef struct sono_trace sono_trace;

typedef enum sono_trace_kind {
    SONO_TRACE_KERNEL,
    SONO_TRACE_H2D,
    SONO_TRACE_D2H,
    SONO_TRACE_COPY,       /* any other copy, and memory sets */
    SONO_TRACE_WAIT,       /* host: a synchronising call */
    SONO_TRACE_LAUNCH,     /* host: a launching call */
    SONO_TRACE_ALLOCATION, /* host: an allocating call */
    SONO_TRACE_KIND_COUNT
} sono_trace_kind;

typedef struct sono_trace_record {
    sono_trace_kind kind;
    int32_t stream;           /* CUPTI's number of it; 0 for the host */
    int64_t start_ns, end_ns; /* CUPTI's clock */
    int64_t bytes;            /* of copies */
    uint64_t graph_node;      /* CUPTI's number of the graph's node; 0 = outside of a graph */
    char name[64];            /* of the kernel or the call */
} sono_trace_record;

/* What was seen between start and stop. */
typedef struct sono_trace_totals {
    int64_t n[SONO_CROSSING_COUNT];
    int64_t bytes[SONO_CROSSING_COUNT];
    int64_t n_kernels;
    int64_t n_wait_calls, n_wait_records; /* two accounts of the waits; n has the larger */
    int64_t n_dropped;                    /* records lost: nothing can be concluded */
    int32_t version;                      /* of CUPTI, as it gives it */
} sono_trace_totals;

/* Loads CUPTI. To be called before the pipeline is opened, so that its graphs are known. Errors: UNSUPPORTED
 * (built without CUPTI, no library found: the text says where it was looked for), DEVICE (CUPTI refuses: no
 * driver, no permission), STATE (there is one already), OUT_OF_MEMORY. */
SONO_API sono_status sono_trace_open(sono_trace **out, sono_error *error);

/* Records count from here, to there; no frame may be in flight at either. Errors: DEVICE. */
SONO_API sono_status sono_trace_start(sono_trace *trace, sono_error *error);
SONO_API sono_status sono_trace_stop(sono_trace *trace, sono_trace_totals *out, sono_error *error);

/* What the last stop found, ordered by start; the trace's, until the next start or close. */
SONO_API const sono_trace_record *sono_trace_records(const sono_trace *trace, int64_t *n_records);

SONO_API void sono_trace_close(sono_trace *trace); /* NULL is allowed */

/* Compares with what was booked between two audits; names every difference in text, one line each, and
 * returns how many there are. Arithmetic only. */
SONO_API int32_t sono_trace_compare(const sono_trace_totals *seen, const sono_audit_counts *before,
                                    const sono_audit_counts *after, char *text, size_t n_bytes);

/* ---- profile ------------------------------------------------------------------------------------------- */

/* One op of a pipeline's program. */
typedef struct sono_op_profile {
    char name[96];  /* of what it writes first: a module's path in the official code where there is one */
    char kind[16];  /* "conv", "attention", ... */
    char shape[64]; /* "3x3/2 [1,640,640,3] -> [1,320,320,16]" */
    sono_stage stage;
    int32_t lane;    /* ops of lane 1 may run beside those of lane 0 */
    int32_t is_half; /* its products are float16 */
    double flops;    /* of the whole batch; multiplications and additions counted apart */
    double bytes;    /* read and written at least, what a frame of the profile's size uses */
    double ns;       /* one run among runs of the same op, its inputs in the caches */
} sono_op_profile;

/* Where a frame's time could go. */
typedef struct sono_profile {
    sono_op_profile *ops; /* [n_ops], in the program's order; until sono_profile_free() */
    int32_t n_ops;
    int32_t width_px, height_px; /* of the frame it was measured with */
    double lane_ms[2];           /* CUDA: each lane up to where they join, nothing beside it; 0 on the CPU */
    double tail_ms;              /* CUDA: what waits for both */
    double cache_bytes_per_s;    /* CUDA: of a copy within the second-level cache, ... */
    double memory_bytes_per_s;   /* ... and within memory; read and written bytes */
    double half_flops_per_s;     /* CUDA: float16 matrix instructions; 0 on the CPU, as the next */
    double float_flops_per_s;
} sono_profile;

/* Times every op by itself with the frame that the first slot held last (before any: a black one). Call it
 * when no frame is in flight and no packet is lent: it overwrites the slot's outputs. Takes seconds. out: to
 * be freed by sono_profile_free(). Errors: INVALID_ARGUMENT, OUT_OF_MEMORY (on CUDA it takes 1 GB), DEVICE.
 */
SONO_API sono_status sono_pipeline_profile(sono_pipeline *pipeline, sono_profile *out, sono_error *error);
SONO_API void sono_profile_free(sono_profile *profile); /* a zeroed one is allowed */

#ifdef __cplusplus
}
#endif
#endif
