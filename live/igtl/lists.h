// SPDX-License-Identifier: Apache-2.0
/*
 * Messages that are a list of entries of one size: LBMETA, IMGMETA, VIDEOMETA, POINT, TRAJ, TDATA, QTDATA.
 * Conventions are those of messages.h. For each: _decode() looks at the length only, _at() reads one entry,
 * _encode() appends entries. Bytes that the protocol reserves are not kept and written as 0; strings end with
 * 0 and are cut to their fields.
 */
#ifndef SONO_IGTL_LISTS_H
#define SONO_IGTL_LISTS_H

#include "igtl/messages.h"

/* Entries on the wire. Which type they are of follows from entry_bytes: an _at() of another type returns 0.
 */
typedef struct sono_igtl_list {
    const uint8_t *entries;
    size_t n;
    size_t entry_bytes;
} sono_igtl_list;

/* ---- LBMETA: what the values of a label map mean ---- */

typedef struct sono_igtl_label {
    char name[65];
    char device[21]; /* of the IMAGE */
    uint8_t label;   /* its value in the image; 0 = unused */
    uint8_t rgba[4];
    uint16_t size[3]; /* columns, rows, slices */
    char owner[21];   /* device name of the image that it was found in */
} sono_igtl_label;

/* Errors of every _decode() here: MALFORMED (not a multiple of the entry's size). */
sono_igtl_status sono_igtl_labels_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                         sono_igtl_fault *fault);
int sono_igtl_label_at(const sono_igtl_list *list, size_t index,
                       sono_igtl_label *out); /* 0 behind the last */
void sono_igtl_labels_encode(sono_igtl_writer *writer, const sono_igtl_label *labels, size_t n);

/* ---- IMGMETA: which images a device has ---- */

typedef struct sono_igtl_image_meta {
    char name[65];
    char device[21];
    char modality[33];
    char patient_name[65];
    char patient_id[65];
    uint64_t timestamp; /* raw */
    uint16_t size[3];
    uint8_t scalar; /* sono_igtl_scalar */
} sono_igtl_image_meta;

sono_igtl_status sono_igtl_image_metas_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                              sono_igtl_fault *fault);
int sono_igtl_image_meta_at(const sono_igtl_list *list, size_t index, sono_igtl_image_meta *out);
void sono_igtl_image_metas_encode(sono_igtl_writer *writer, const sono_igtl_image_meta *metas, size_t n);

/* ---- VIDEOMETA: which videos a device has ---- */

typedef struct sono_igtl_video_meta {
    char name[65];
    char device[65];
    char patient_name[65];
    char patient_id[65];
    int16_t zoom_level;
    double focal_length_mm;
    uint16_t size[3];
    float matrix[12]; /* as in IMAGE */
    uint8_t scalar;
} sono_igtl_video_meta;

sono_igtl_status sono_igtl_video_metas_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                              sono_igtl_fault *fault);
int sono_igtl_video_meta_at(const sono_igtl_list *list, size_t index, sono_igtl_video_meta *out);
void sono_igtl_video_metas_encode(sono_igtl_writer *writer, const sono_igtl_video_meta *metas, size_t n);

/* ---- POINT: landmarks ---- */

typedef struct sono_igtl_landmark {
    char name[65];
    char group[33]; /* "Landmark", "Fiducial", "Labeled point", ... */
    uint8_t rgba[4];
    float position_mm[3];
    float diameter_mm; /* 0 = none */
    char owner[21];    /* device name of the image */
} sono_igtl_landmark;

sono_igtl_status sono_igtl_landmarks_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                            sono_igtl_fault *fault);
int sono_igtl_landmark_at(const sono_igtl_list *list, size_t index, sono_igtl_landmark *out);
void sono_igtl_landmarks_encode(sono_igtl_writer *writer, const sono_igtl_landmark *landmarks, size_t n);

/* ---- TRAJ: paths of a needle ---- */

typedef struct sono_igtl_trajectory {
    char name[65];
    char group[33];
    uint8_t type; /* 1 = entry only, 2 = target only, 3 = both */
    uint8_t rgba[4];
    float entry_mm[3];
    float target_mm[3];
    float diameter_mm;
    char owner[21];
} sono_igtl_trajectory;

sono_igtl_status sono_igtl_trajectories_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                               sono_igtl_fault *fault);
int sono_igtl_trajectory_at(const sono_igtl_list *list, size_t index, sono_igtl_trajectory *out);
void sono_igtl_trajectories_encode(sono_igtl_writer *writer, const sono_igtl_trajectory *trajectories,
                                   size_t n);

/* ---- TDATA, QTDATA: tracked tools ---- */

typedef struct sono_igtl_tool {
    char name[21];
    uint8_t type;     /* 1 = tracker, 2 = 6D, 3 = 3D (the tip), 4 = 5D instrument */
    float matrix[12]; /* as in TRANSFORM */
} sono_igtl_tool;

sono_igtl_status sono_igtl_tools_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                        sono_igtl_fault *fault);
int sono_igtl_tool_at(const sono_igtl_list *list, size_t index, sono_igtl_tool *out);
void sono_igtl_tools_encode(sono_igtl_writer *writer, const sono_igtl_tool *tools, size_t n);

typedef struct sono_igtl_quaternion_tool {
    char name[21];
    uint8_t type;
    float position_mm[3];
    float quaternion[4]; /* x, y, z, w */
} sono_igtl_quaternion_tool;

sono_igtl_status sono_igtl_quaternion_tools_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_list *out,
                                                   sono_igtl_fault *fault);
int sono_igtl_quaternion_tool_at(const sono_igtl_list *list, size_t index, sono_igtl_quaternion_tool *out);
void sono_igtl_quaternion_tools_encode(sono_igtl_writer *writer, const sono_igtl_quaternion_tool *tools,
                                       size_t n);

#endif
