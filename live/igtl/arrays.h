// SPDX-License-Identifier: Apache-2.0
/* NDARRAY, SENSOR, COLORTABLE (and COLORT, the same): arrays of numbers. Conventions are those of messages.h.
 */
#ifndef SONO_IGTL_ARRAYS_H
#define SONO_IGTL_ARRAYS_H

#include "igtl/messages.h"

/* ---- NDARRAY ---- */

typedef struct sono_igtl_ndarray {
    uint8_t scalar;       /* sono_igtl_scalar, SONO_IGTL_COMPLEX (two float64) too */
    uint8_t n_dimensions; /* 1 to 255 */
    const uint8_t *sizes; /* wire */
    const uint8_t *data;  /* wire: numbers in network byte order, the last dimension fastest */
    size_t n;             /* numbers: the product of the sizes, 0 where one is 0 */
} sono_igtl_ndarray;

/* Errors: MALFORMED (unknown scalar, no dimensions, more or less numbers than the sizes say). */
sono_igtl_status sono_igtl_ndarray_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_ndarray *out,
                                          sono_igtl_fault *fault);
int sono_igtl_ndarray_size_at(const sono_igtl_ndarray *array, uint8_t dimension,
                              uint16_t *out); /* 0 behind the last */
/* Numbers [first, first + n) as the host has them, bit for bit, to `out`, which has room for n of that scalar
 * type. 1, or 0 when there are not so many. */
int sono_igtl_ndarray_values(const sono_igtl_ndarray *array, size_t first, size_t n, void *out);

/* values: as the host has them, as many as the sizes multiply to. */
void sono_igtl_ndarray_encode(sono_igtl_writer *writer, uint8_t scalar, const uint16_t *sizes,
                              uint8_t n_dimensions, const void *values);

/* ---- SENSOR ---- */

/* A unit: 10^prefix times the product of unit[i]^exponent[i]. Codes: Documents/Protocol/unit.md. */
typedef struct sono_igtl_unit {
    uint8_t prefix;     /* code, 4 bits: 3 = kilo, 11 = milli, ... */
    uint8_t unit[6];    /* codes, 6 bits: 0 = none, 1 = metre, 2 = gram, 3 = second, ... */
    int8_t exponent[6]; /* -8 to 7 */
} sono_igtl_unit;

typedef struct sono_igtl_sensor {
    uint8_t n;
    uint8_t status; /* reserved by the protocol; kept */
    sono_igtl_unit unit;
    double values[255]; /* n of them */
} sono_igtl_sensor;

/* Errors: MALFORMED (another length than n says). */
sono_igtl_status sono_igtl_sensor_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_sensor *out,
                                         sono_igtl_fault *fault);
void sono_igtl_sensor_encode(sono_igtl_writer *writer, const sono_igtl_sensor *sensor);

/* ---- COLORTABLE, COLORT ---- */

typedef enum sono_igtl_color_map {
    SONO_IGTL_MAP_UINT8 = 3,
    SONO_IGTL_MAP_UINT16 = 5,
    SONO_IGTL_MAP_RGB = 19
} sono_igtl_color_map;

typedef struct sono_igtl_colortable {
    uint8_t index;        /* of what is mapped: 3 = uint8, 5 = uint16 */
    uint8_t map;          /* sono_igtl_color_map */
    const uint8_t *table; /* wire */
    uint32_t n;           /* 256 or 65536 */
} sono_igtl_colortable;

typedef struct sono_igtl_color {
    uint16_t value; /* of the maps UINT8 and UINT16 */
    uint8_t rgb[3]; /* of the map RGB */
} sono_igtl_color;

/* Errors: MALFORMED (unknown types, a table of another length than they say). */
sono_igtl_status sono_igtl_colortable_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_colortable *out,
                                             sono_igtl_fault *fault);
int sono_igtl_color_at(const sono_igtl_colortable *table, uint32_t index,
                       sono_igtl_color *out); /* 0 behind the last */
/* colors: 256 of them for index 3, 65536 for index 5. */
void sono_igtl_colortable_encode(sono_igtl_writer *writer, uint8_t index, uint8_t map,
                                 const sono_igtl_color *colors);

#endif
