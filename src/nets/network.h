// SPDX-License-Identifier: Apache-2.0
/*
 * What the rest of the house knows of a network. Each has a folder with one descriptor and a row in
 * registry.c; nothing else names it. Descriptors are constants: any thread may read them.
 */
#ifndef SONO_NETS_NETWORK_H
#define SONO_NETS_NETWORK_H

#include "graph/record.h"
#include "nets/bind.h"
#include "nets/names.h"

/* Queries in the order of the network. */
typedef struct sono_detector_outputs {
    sono_tid logits; /* [N, 1, Q, classes], before the sigmoid */
    sono_tid boxes;  /* [N, 1, Q, 4], cx cy w h in units of the input, about [0, 1] */
} sono_detector_outputs;

/* Objects of all frames, those of one frame together. */
typedef struct sono_segmenter_outputs {
    sono_tid low_res; /* [NK, h, w, 1]: mask logits of the whole input, padding included */
    sono_tid iou;     /* [NK, 1, 1, c]: the predicted IoU of the mask in channel 0 */
} sono_segmenter_outputs;

/* What a segmenter can be pointed with, as bits. */
enum { SONO_PROMPT_BOX = 1, SONO_PROMPT_POINTS = 2 };

/* What the objects of N frames are pointed at with. */
typedef struct sono_prompt_tensors {
    sono_tid detections; /* [N, 1, K, SONO_DETECTION_FLOATS]: boxes, and which objects there are */
    sono_tid points;     /* [N, 1, KP, SONO_POINT_FLOATS]: P an object; 0 = none */
    int32_t is_callers;  /* 0: boxes of a detector. 1: whatever the caller of the pipeline says, and then */
    int32_t has_boxes;   /* whether boxes count */
} sono_prompt_tensors;

/* What a network's image is made of. The number of channels is the file's (sono_model_info). */
typedef struct sono_network_input {
    int32_t width_px, height_px; /* where neither the file nor the caller says otherwise */
    int32_t step_px;             /* both sides are multiples of it, ... */
    int32_t most_px;             /* ... at most this, ... */
    int32_t is_square;           /* ... and equal where this is 1 */
    sono_fit fit;
    float mean[3], inv_std[3]; /* of values in 0..255 */
} sono_network_input;

#define SONO_NETWORK_STEMS 2

/* Metadata that says a detector's family: "dfine" or "deim"; the input size: "640", or "800x512". */
#define SONO_FAMILY_KEY     "sonoseg.detector_family"
#define SONO_INPUT_SIZE_KEY "sonoseg.input_px"

typedef struct sono_network {
    const char *name; /* as messages call it: "D-FINE" */
    sono_role role;
    int32_t prompts; /* segmenter: SONO_PROMPT_ bits */

    /* Official names of tensors. A file of this network, or of one that only looks like it, has one of these;
     * the first is the one that messages name. Unused ones are NULL. */
    const char *stems[SONO_NETWORK_STEMS];
    /* Other naming schemes, ended by a row without a name; NULL = none. */
    const sono_naming *namings;
    /* Patterns ('*' = any run of characters), each list ended by NULL. ignored: what files carry and
     * inference does not read. derived: constants that the network makes anew, which may hold infinities and
     * keep their precision in a conversion. */
    const char *const *ignored, *const *derived;

    /* Fills architecture, n_classes, n_channels, family and the input size of info from the tensors of a file
     * that has a stem. Errors: UNSUPPORTED, MODEL_MISMATCH (says what it looked at). */
    sono_status (*recognise)(const sono_name_table *table, sono_model_info *info, sono_error *error);

    sono_network_input input;

    /* Detector: records the network on image [N, height, width, channels]. Latches failures in rec. */
    void (*detect)(sono_recorder *rec, sono_tid image, sono_detector_outputs *out);
    /* Segmenter: image -> its embedding; then, for the K objects of each of N frames (one of the two is 1)
     * and the frames' headers, the masks. */
    sono_tid (*encode)(sono_recorder *rec, sono_tid image);
    void (*decode)(sono_recorder *rec, sono_tid embedding, const sono_prompt_tensors *prompts,
                   sono_tid header, sono_segmenter_outputs *out);
} sono_network;

/* The networks, in the order in which they are tried; NULL behind the last. */
const sono_network *sono_network_at(size_t i);

/* Whether the network runs at that size. Errors: UNSUPPORTED (says which sizes there are). */
sono_status sono_network_check_size(const sono_network *network, int32_t width_px, int32_t height_px,
                                    sono_error *error);

/* The input size that the file's metadata says (width x height),
 * else the network's; *is_stated says which. Errors: UNSUPPORTED (no size, or none of the network's). */
sono_status sono_network_stated_size(const sono_network *network, const sono_name_table *table,
                                     int32_t *width_px, int32_t *height_px, int *is_stated,
                                     sono_error *error);

/* What PREPROCESS does for the network: channels and size are the file's, limits the frames'. */
sono_preprocess_args sono_network_preprocess(const sono_network *network, const sono_model_info *info,
                                             int32_t max_width_px, int32_t max_height_px);

/* Whether a pattern of a NULL-ended list matches the name; NULL = an empty list. */
int sono_network_lists(const char *const *patterns, const char *name);

#endif
