// SPDX-License-Identifier: Apache-2.0
/*
 * POLYDATA: points, cells that join them, values that hang on either; what VTK calls poly data. Conventions
 * are those of messages.h.
 */
#ifndef SONO_IGTL_POLYDATA_H
#define SONO_IGTL_POLYDATA_H

#include "igtl/messages.h"

/* Of a value that hangs on points; plus SONO_IGTL_ON_CELLS where it hangs on cells. */
typedef enum sono_igtl_attribute_type {
    SONO_IGTL_SCALARS = 0,
    SONO_IGTL_VECTORS = 1, /* 3 components */
    SONO_IGTL_NORMALS = 2, /* 3 components */
    SONO_IGTL_TENSORS = 3, /* 9 components */
    SONO_IGTL_RGBA = 4,    /* 4 components in [0, 1] */
    SONO_IGTL_TEXTURE = 5,
    SONO_IGTL_ON_CELLS = 0x10
} sono_igtl_attribute_type;

#define SONO_IGTL_ATTRIBUTE_NAME_CHARS 255

/* ---- decoding ---- */

/* Cells of one kind on the wire: each is its number of points and their indices. */
typedef struct sono_igtl_cells {
    const uint8_t *words;
    uint32_t n_bytes;
    uint32_t n_cells;
} sono_igtl_cells;

typedef struct sono_igtl_cell {
    const uint8_t *indices; /* wire */
    uint32_t n_indices;
} sono_igtl_cell;

typedef struct sono_igtl_polydata {
    const uint8_t *points; /* wire: 3 float32 each, mm */
    uint32_t n_points;
    sono_igtl_cells vertices;
    sono_igtl_cells lines;
    sono_igtl_cells polygons;
    sono_igtl_cells strips;    /* of triangles */
    const uint8_t *attributes; /* wire: 6 bytes each */
    const uint8_t *names;      /* wire: each ends with 0, the last one padded to an even sum */
    const uint8_t *values;     /* wire */
    uint32_t n_attributes;
} sono_igtl_polydata;

/* Every cell and attribute is walked. Errors: MALFORMED (parts that do not add up, cells that do not have
 * their part's size, an index that is no point's, an attribute without components or with another number than
 * its type has, a name above 255 characters). */
sono_igtl_status sono_igtl_polydata_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_polydata *out,
                                           sono_igtl_fault *fault);

/* 1, or 0 behind the last. */
int sono_igtl_point_at(const sono_igtl_polydata *polydata, uint32_t index, float out[3]);

/* The cell that begins *at bytes into the cells, and moves *at behind it: 1, or 0 behind the last. Begin with
 * 0.
 */
int sono_igtl_cell_next(const sono_igtl_cells *cells, uint32_t *at, sono_igtl_cell *out);
/* index below n_indices; what it returns is below n_points. */
uint32_t sono_igtl_cell_index(const sono_igtl_cell *cell, uint32_t index);

typedef struct sono_igtl_attribute_view {
    uint8_t type; /* sono_igtl_attribute_type, others too */
    uint8_t n_components;
    uint32_t n;
    const char *name;      /* ends with 0 */
    const uint8_t *values; /* wire: n times n_components float32 */
} sono_igtl_attribute_view;

/* 1, or 0 behind the last. Walks from the first. */
int sono_igtl_attribute_at(const sono_igtl_polydata *polydata, uint32_t index, sono_igtl_attribute_view *out);
/* Number [0, n * n_components) of the values. */
float sono_igtl_attribute_value(const sono_igtl_attribute_view *attribute, uint64_t index);

/* ---- encoding ---- */

/* Cells of one kind: cell c joins the next n_indices[c] entries of `indices`. No cells: all 0. */
typedef struct sono_igtl_cell_list {
    const uint32_t *n_indices;
    const uint32_t *indices;
    uint32_t n_cells;
} sono_igtl_cell_list;

typedef struct sono_igtl_attribute {
    uint8_t type;
    uint8_t n_components;
    uint32_t n;
    const char *name;    /* cut to 255 characters */
    const float *values; /* n times n_components */
} sono_igtl_attribute;

typedef struct sono_igtl_mesh {
    const float (*points)[3]; /* mm */
    uint32_t n_points;
    sono_igtl_cell_list vertices;
    sono_igtl_cell_list lines; /* a closed contour is one line that ends in its first point */
    sono_igtl_cell_list polygons;
    sono_igtl_cell_list strips;
    const sono_igtl_attribute *attributes;
    uint32_t n_attributes;
} sono_igtl_mesh;

/* A kind of cells above 4 GiB does not fit the wire: the writer is full then. */
void sono_igtl_polydata_encode(sono_igtl_writer *writer, const sono_igtl_mesh *mesh);

#endif
