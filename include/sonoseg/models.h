// SPDX-License-Identifier: Apache-2.0
/*
 * Looking into checkpoints, checking and converting them. In libsonoseg. Unstable: may change
 * with every release. C11 and C++11. Conventions (ownership, errors) are those of sonoseg.h.
 */
#ifndef SONOSEG_MODELS_H
#define SONOSEG_MODELS_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a network does: a detector finds boxes in a frame, a segmenter outlines what it is pointed at. */
typedef enum sono_role {
    SONO_ROLE_DETECTOR = 1,
    SONO_ROLE_SEGMENTER = 2,
    SONO_ROLE_BOTH = 3 /* both in one: the bits of the two */
} sono_role;

typedef struct sono_model_info {
    sono_role role;
    char network[32];        /* "D-FINE", "MobileSAM" */
    char architecture[32];   /* "dfine-n" ... "dfine-x", "mobilesam-vit_t" */
    char container[32];      /* "pytorch zip", "safetensors" */
    char naming[32];         /* "official", "transformers" */
    char dtype[32];          /* "F32"; "F32+F16" when mixed; integer buffers do not count */
    int32_t n_classes;       /* detector; 0 for the segmenter */
    int32_t input_width_px;  /* of the network's input, as the file says or its network has it: 640, ... */
    int32_t input_height_px; /* ... 1024 */
    int32_t n_channels;      /* of the input: 3; 1 for a detector of luma */
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

/* Prints the network's program: one line an op with shapes, bytes and FLOPs, then totals. device: also the
 * kernel that each op would run there, as a pipeline chooses it ("cpu", "cuda", "cuda:N" as in
 * sono_pipeline_config; a CUDA device that this machine does not have is taken for an H200, and a line says
 * so); NULL = without. Errors: INVALID_ARGUMENT, UNSUPPORTED (an op that cannot run there), and those of
 * opening a checkpoint. */
SONO_API sono_status sono_model_print_program(const char *path, const char *device, FILE *stream,
                                              sono_error *error);

/* The backend that a device name of sono_pipeline_config takes on this machine, so that a model can be chosen
 * for it. NULL = "auto". Errors: INVALID_ARGUMENT (no such name), NO_DEVICE. Thread-safe. */
SONO_API sono_status sono_device_backend(const char *device, sono_backend *out, sono_error *error);

/* Number of CUDA devices that a pipeline could be opened on, as "cuda:0" and so on.
 * Errors: INVALID_ARGUMENT, NO_DEVICE (there is none that can be used: the text says why). Thread-safe. */
SONO_API sono_status sono_device_count(int32_t *out, sono_error *error);

#ifdef __cplusplus
}
#endif
#endif
