// SPDX-License-Identifier: Apache-2.0
/*
 * Parameters and images from integer hashes: what scripts/golden/synthetic.py makes, bit for bit, so that the
 * outputs of the official code in tests/golden can be compared without shipping a checkpoint or an image.
 *
 * Parameter i of a tensor is base + scale * u, u in [-1, 1) a multiple of 2^-23 hashed from the tensor's name
 * and i, scale a power of two. A manifest (tests/golden/NAME.manifest) lists a whole state dict, one
 * "NAME DTYPE DIMS RULE ARGUMENTS" a line, and ends with the sum of all elements' bit patterns.
 */
#ifndef SONO_TESTS_SYNTHETIC_H
#define SONO_TESTS_SYNTHETIC_H

#include "support/torch_file.h"

#define SYNTHETIC_DETECTOR_PX 640 /* where a manifest's anchors say no size */

/* A filled state dict in the official order. */
typedef struct synthetic_state {
    torch_file_tensor *tensors; /* names and data belong to the state */
    int32_t n_tensors;
    int32_t capacity;
    uint64_t checksum; /* of the manifest; synthetic_open() has checked it */
} synthetic_state;

/* Reads a manifest and fills every tensor. Errors: IO, OUT_OF_MEMORY, FORMAT (a line that cannot be
 * understood, or values whose checksum is not the manifest's). On failure nothing is left to close. */
sono_status synthetic_open(const char *manifest_path, synthetic_state *state, sono_error *error);
void synthetic_close(synthetic_state *state);

/* Writes the state dict as an official file: {"model": ...} for D-FINE, bare for MobileSAM. */
sono_status synthetic_write(const char *manifest_path, const char *checkpoint_path, sono_error *error);

/* A grey image of width x height px, row-major: soft blobs, a ramp, speckle. Integer arithmetic only. */
void synthetic_image(int32_t width_px, int32_t height_px, uint8_t *out);

/* The networks' inputs for the golden data, [height, width, 3 or n_channels]: synthetic_image() / 255 for the
 * detector, and less the mean, divided by the deviation for the segmenter, which is square. Returns 0, or -1
 * when out of memory. */
int synthetic_detector_input(int32_t width_px, int32_t height_px, int32_t n_channels, float *out);
int synthetic_segmenter_input(int32_t side_px, float *out);

/* Sum of the bit patterns of count elements of 1, 4 or 8 bytes, modulo 2^64. The order does not matter. */
uint64_t synthetic_bits_sum(const void *data, size_t count, size_t element_bytes);

#endif
