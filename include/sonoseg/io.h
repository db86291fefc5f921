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
    char architecture[32]; /* "dfine-n" ... "dfine-x", "mobilesam-vit_t" */
    char container[32];    /* "pytorch zip", "safetensors" */
    char naming[32];       /* "official", "transformers" */
    char dtype[32];        /* "F32"; "F32+F16" when mixed; integer buffers do not count */
    int32_t n_classes;     /* detector; 0 for the segmenter */
    int32_t input_px;      /* side of the square input: 640 or 1024 */
    int32_t n_tensors;
    int64_t n_params; /* elements of the floating-point tensors that inference uses or training left, all */
    int64_t file_bytes;
    char sha256[65]; /* of the file, lower-case hex */
} sono_model_info;

/* Reads a checkpoint's directory, recognises it and hashes the file. Thread-safe. */
SONO_API sono_status sono_model_inspect(const char *path, sono_model_info *out, sono_error *error);

/* Writes one line a tensor ("name  F32 [32, 3, 3, 3]") to stream. */
SONO_API sono_status sono_model_list_tensors(const char *path, FILE *stream, sono_error *error);

/* Writes path_in's tensors under their official names to a safetensors file with metadata (architecture,
 * classes, input size, source hash). precision FP16 stores floating-point tensors as F16 and fails with
 * UNSUPPORTED when a value does not fit (above 65504). path_out is written beside and renamed: an existing
 * file is whole or untouched. Checks the whole network's shapes first. */
SONO_API sono_status sono_model_convert(const char *path_in, const char *path_out, sono_precision precision,
                                        sono_error *error);

/* Prints the network's op list: one line an op with shapes, bytes and FLOPs, then totals. */
SONO_API sono_status sono_model_print_program(const char *path, FILE *stream, sono_error *error);

/* ---- sources ------------------------------------------------------------------------------------------- */

typedef struct sono_source sono_source;

typedef struct sono_source_options {
    size_t struct_size;
    int32_t keep_colour; /* 0 (default): colour images become 8-bit luma (Rec. 601); 1: RGB8 stays RGB8 */
    int64_t max_pixels;  /* larger images are refused before they are decoded; default 1920 x 1200 x 4 */
    int32_t n_held;      /* the newest n frames keep their pixels (one in flight each); [1, 16], default 1 */
} sono_source_options;

SONO_API void sono_source_options_init(sono_source_options *options);

/* Image files: PNG, JPEG, TIFF (first image), binary PGM/PPM, recognised by content. A folder stands for the
 * image files in it (by suffix, hidden ones left out, folders below left out) in natural order ("2.png"
 * before "10.png"). frame_id counts the entries from 0. A path that does not exist, or a folder without
 * images, is an entry that fails in sono_source_next(), so that the others can still be read. Errors:
 * INVALID_ARGUMENT (no path, an option outside its range), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_images(const char *const *paths, int32_t n_paths,
                                             const sono_source_options *options, sono_source **out,
                                             sono_error *error);

/* Number of frames known beforehand, -1 = unknown. */
SONO_API int64_t sono_source_count(const sono_source *source);

/* Reads the next frame. frame->pixels is borrowed until n_held further frames were read; *name (the file's
 * path) until close; both are set to NULL at END. A file that cannot be read is an error for this frame only,
 * *name says which and frame->frame_id has its number: call again for the next one. Errors: END, IO, FORMAT
 * (also for files cut short), UNSUPPORTED, LIMIT (larger than max_pixels), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_next(sono_source *source, sono_frame *frame, const char **name,
                                      sono_error *error);

SONO_API void sono_source_close(sono_source *source); /* NULL is allowed */

/* ---- sinks --------------------------------------------------------------------------------------------- */

typedef struct sono_sink sono_sink;

typedef struct sono_sink_options {
    size_t struct_size;
    int32_t write_masks;    /* 1 (default): DIR/masks/<stem>.png */
    int32_t write_overlays; /* 1 (default): DIR/overlays/<stem>.png */
    int32_t write_weights;  /* 0 (default); 1: DIR/weights/<stem>_{edge,inside,outside}.png, 0 / 255 */
    int32_t gray16_white;   /* the 16-bit value that the overlay shows as white; default 65535 */
} sono_sink_options;

SONO_API void sono_sink_options_init(sono_sink_options *options);

/* A folder (made when missing, with its parents) that takes results.jsonl, masks and overlays; an existing
 * results.jsonl is overwritten, pictures of the same name too. Errors: INVALID_ARGUMENT, IO, OUT_OF_MEMORY.
 */
SONO_API sono_status sono_sink_open_folder(const char *path, const sono_sink_options *options,
                                           sono_sink **out, sono_error *error);

/* Writes one result: its pictures, then its line, flushed. On failure nothing of this result stays behind.
 * frame: the pixels the packet was made from, for the overlay; may be NULL when no overlays are written.
 * source: where it came from; its stem names the pictures ("a/b.png" -> "b"; a second "b" becomes "b_2").
 * With several objects masks/<stem>.png is their union and masks/<stem>_obj<k>.png (k from 0) each one's own.
 * Errors: IO (disk full, ...), INVALID_ARGUMENT (frame and packet differ in size), OUT_OF_MEMORY. */
SONO_API sono_status sono_sink_write(sono_sink *sink, const sono_packet *packet, const sono_frame *frame,
                                     const char *source, sono_error *error);

/* Flushes and closes; what could not be written is reported here at the latest. NULL is allowed. */
SONO_API sono_status sono_sink_close(sono_sink *sink, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
