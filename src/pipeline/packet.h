// SPDX-License-Identifier: Apache-2.0
/* The result of a frame, made from the tensors its run left in the output block. */
#ifndef SONO_PIPELINE_PACKET_H
#define SONO_PIPELINE_PACKET_H

#include "base/frame.h"
#include "base/stages.h"
#include "graph/program.h"
#include "pipeline/state_machine.h"

#define SONO_MAX_OBJECTS 16

/* Host pointers into one slot's output block; K objects one after the other. */
typedef struct sono_packet_outputs {
    const sono_detection *detections;
    const float *iou;       /* [K][iou_stride], channel 0 counts; NULL without a segmenter, as the next */
    const int32_t *area_px; /* [K] */
    const sono_verdict *verdict; /* NULL = the state is that of the score */
    const int32_t *surface;      /* [SONO_SURFACE_COLUMNS]; NULL = nobody wants it */
    const int32_t *region;       /* [SONO_REGION_INTS]; NULL = nobody looked for one */
    const uint8_t *maps; /* as graph/map_layout.h says, from the frame's first mask on; NULL = not here */
    int32_t map_element_bytes; /* of a weight map; 0 = there are none */
    int32_t iou_stride;
    int32_t max_objects;
} sono_packet_outputs;

/* A packet with what its functions find: they are given its first field. */
typedef struct sono_packet_storage {
    sono_packet packet;
    sono_frame_info info;
    sono_region region; /* what the networks saw */
    sono_object objects[SONO_MAX_OBJECTS];
    double stage_ms[SONO_STAGE_COUNT];
    const uint8_t *maps;       /* as in the outputs */
    int32_t map_element_bytes; /* likewise */
    int32_t is_judged;         /* 1: the next two say by what */
    sono_parts parts;
    sono_state_report report;
    int32_t has_surface; /* 1: the rest was asked for */
    int32_t n_points, n_lines;
    float points_px[SONO_SURFACE_COLUMNS][2];
    int32_t line_starts[SONO_SURFACE_COLUMNS + 1];
} sono_packet_storage;

/* Copies what the source said about the frame. region: as given; width 0 = the whole frame. */
void sono_packet_begin(sono_packet_storage *storage, const sono_frame *frame, const sono_region *region);

/* Fills in objects and state: the verdict's or, without one, VISIBLE where the best box passed the gate. A
 * gated object's box, IoU and area are zero. */
void sono_packet_fill(sono_packet_storage *storage, const sono_packet_outputs *outputs);

#endif
