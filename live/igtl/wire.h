// SPDX-License-Identifier: Apache-2.0
/* What the files of this room share: numbers in network byte order, fixed strings, faults. Not for other
 * rooms. */
#ifndef SONO_IGTL_WIRE_H
#define SONO_IGTL_WIRE_H

#include "igtl/igtl.h"

#include <string.h>

#define WIRE_EXTENDED_FIELDS_BYTES 12 /* of the extended header that protocol 3 defines */

/* ---- numbers, any alignment ---- */

static inline uint16_t wire_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t wire_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t wire_u64(const uint8_t *at)
{
    return (uint64_t)wire_u32(at) << 32 | wire_u32(at + 4);
}

/* Bit for bit: a signalling NaN stays one. */
static inline float wire_f32(const uint8_t *at)
{
    const uint32_t bits = wire_u32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double wire_f64(const uint8_t *at)
{
    const uint64_t bits = wire_u64(at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void wire_put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void wire_put_u32(uint8_t *at, uint32_t value)
{
    wire_put_u16(at, (uint16_t)(value >> 16));
    wire_put_u16(at + 2, (uint16_t)value);
}

static inline void wire_put_u64(uint8_t *at, uint64_t value)
{
    wire_put_u32(at, (uint32_t)(value >> 32));
    wire_put_u32(at + 4, (uint32_t)value);
}

static inline void wire_put_f32(uint8_t *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    wire_put_u32(at, bits);
}

static inline void wire_put_f64(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    wire_put_u64(at, bits);
}

static inline void wire_u16s(const uint8_t *at, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = wire_u16(at + 2 * i);
}

static inline void wire_f32s(const uint8_t *at, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = wire_f32(at + 4 * i);
}

static inline void wire_put_u16s(uint8_t *at, const uint16_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wire_put_u16(at + 2 * i, values[i]);
}

static inline void wire_put_f32s(uint8_t *at, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wire_put_f32(at + 4 * i, values[i]);
}

/* ---- strings in fields of a fixed size: 0 bytes fill them, a full one has none ---- */

/* out: n_chars + 1 bytes. What follows the first 0 is left behind. */
static inline void wire_chars(const uint8_t *at, char *out, size_t n_chars)
{
    size_t n = 0;
    while (n < n_chars && at[n])
        n++;
    memcpy(out, at, n);
    memset(out + n, 0, n_chars + 1 - n);
}

/* Cuts text to n_chars; NULL is empty. */
static inline void wire_put_chars(uint8_t *at, const char *text, size_t n_chars)
{
    const size_t n = text ? strnlen(text, n_chars) : 0;
    if (n)
        memcpy(at, text, n);
    memset(at + n, 0, n_chars - n);
}

/* ---- faults ---- */

static inline sono_igtl_status wire_fail(sono_igtl_fault *fault, sono_igtl_status status,
                                         uint64_t offset_bytes, const char *reason)
{
    if (fault)
        *fault = (sono_igtl_fault){status, (int64_t)offset_bytes, reason};
    return status;
}

#define WIRE_MALFORMED(offset_bytes, reason) wire_fail(fault, SONO_IGTL_MALFORMED, (offset_bytes), (reason))

/* ---- the parts of a version-2 body ---- */

typedef struct wire_extended {
    uint16_t own_bytes;      /* of the extended header, 12 or more */
    uint16_t index_bytes;    /* of the metadata's index with its count; 0 = there is none */
    uint32_t metadata_bytes; /* keys and values */
    uint32_t message_id;
    uint64_t content_bytes;
} wire_extended;

/* fields: the first 12 bytes of a body of body_bytes. Errors: MALFORMED (a body below 12 bytes, parts that do
 * not fit the body). */
sono_igtl_status wire_extended_decode(const uint8_t *fields, uint64_t body_bytes, wire_extended *out,
                                      sono_igtl_fault *fault);

/* index: index_bytes of it, above 0. Every entry's sizes are added up and must be metadata_bytes. Faults
 * count from the index. Errors: MALFORMED. */
sono_igtl_status wire_metadata_check(const uint8_t *index, uint16_t index_bytes, uint32_t metadata_bytes,
                                     sono_igtl_fault *fault);

#endif
