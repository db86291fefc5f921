// SPDX-License-Identifier: Apache-2.0
/* NDARRAY, SENSOR, COLORTABLE. Layouts: Documents/Protocol/{ndarray,sensordata,unit,colortable}.md of the
 * reference library (@ 94244fe). */
#include "igtl/arrays.h"
#include "igtl/wire.h"

#define SENSOR_HEAD_BYTES 10
#define N_UNITS           6

/* Numbers of an array; SIZE_MAX for more than `most`. */
static size_t product(const uint8_t *sizes, uint8_t n_dimensions, size_t most)
{
    size_t n = 1;
    for (uint8_t i = 0; i < n_dimensions; i++) {
        if (wire_u16(sizes + 2 * (size_t)i) == 0)
            return 0;
    }
    for (uint8_t i = 0; i < n_dimensions; i++) {
        const uint16_t size = wire_u16(sizes + 2 * (size_t)i);
        if (n > most / size)
            return SIZE_MAX;
        n *= size;
    }
    return n;
}

sono_igtl_status sono_igtl_ndarray_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_ndarray *out,
                                          sono_igtl_fault *fault)
{
    if (n_bytes < 2)
        return WIRE_MALFORMED(n_bytes, "an NDARRAY that ends within its first 2 bytes");
    const size_t scalar_bytes = sono_igtl_scalar_bytes(bytes[0]);
    const uint8_t n_dimensions = bytes[1];
    const size_t sizes_bytes = 2 * (size_t)n_dimensions;
    if (scalar_bytes == 0)
        return WIRE_MALFORMED(0, "an NDARRAY of an unknown scalar type");
    if (n_dimensions == 0)
        return WIRE_MALFORMED(1, "an NDARRAY without dimensions");
    if (sizes_bytes > n_bytes - 2)
        return WIRE_MALFORMED(1, "an NDARRAY that ends within its sizes");
    const size_t data_bytes = n_bytes - 2 - sizes_bytes;
    const size_t n = product(bytes + 2, n_dimensions, data_bytes);
    if (n > data_bytes / scalar_bytes || n * scalar_bytes != data_bytes)
        return WIRE_MALFORMED(2, "an NDARRAY with more or less numbers than its sizes say");
    *out = (sono_igtl_ndarray){bytes[0], n_dimensions, bytes + 2, bytes + 2 + sizes_bytes, n};
    return SONO_IGTL_OK;
}

int sono_igtl_ndarray_size_at(const sono_igtl_ndarray *array, uint8_t dimension, uint16_t *out)
{
    if (dimension >= array->n_dimensions)
        return 0;
    *out = wire_u16(array->sizes + 2 * (size_t)dimension);
    return 1;
}

/* Between host and network order, either way: in a word of 2^k bytes, byte i comes from byte i ^ (2^k - 1). A
 * complex number is two words. */
static void swap_words(uint8_t *to, const uint8_t *from, size_t n_bytes, uint8_t scalar)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    const size_t word_bytes = scalar == SONO_IGTL_COMPLEX ? sizeof(double) : sono_igtl_scalar_bytes(scalar);
    const size_t mask = first ? word_bytes - 1 : 0;
    for (size_t i = 0; i < n_bytes; i++)
        to[i] = from[i ^ mask];
}

int sono_igtl_ndarray_values(const sono_igtl_ndarray *array, size_t first, size_t n, void *out)
{
    const size_t scalar_bytes = sono_igtl_scalar_bytes(array->scalar);
    if (first > array->n || n > array->n - first)
        return 0;
    swap_words(out, array->data + first * scalar_bytes, n * scalar_bytes, array->scalar);
    return 1;
}

void sono_igtl_ndarray_encode(sono_igtl_writer *writer, uint8_t scalar, const uint16_t *sizes,
                              uint8_t n_dimensions, const void *values)
{
    const size_t scalar_bytes = sono_igtl_scalar_bytes(scalar);
    uint8_t *head = sono_igtl_write_room(writer, 2 + 2 * (size_t)n_dimensions);
    if (!head)
        return;
    head[0] = scalar;
    head[1] = n_dimensions;
    wire_put_u16s(head + 2, sizes, n_dimensions);
    const size_t n = product(head + 2, n_dimensions, scalar_bytes ? (SIZE_MAX - 1) / scalar_bytes : 0);
    if (n == SIZE_MAX) {
        writer->is_full = 1;
        return;
    }
    uint8_t *data = sono_igtl_write_room(writer, n * scalar_bytes);
    if (data)
        swap_words(data, values, n * scalar_bytes, scalar);
}

/* Prefix in the highest 4 bits, then six times 6 bits of unit and 4 of exponent. */
static sono_igtl_unit unit_of(uint64_t word)
{
    sono_igtl_unit unit = {.prefix = (uint8_t)(word >> 60)};
    for (unsigned i = 0; i < N_UNITS; i++) {
        const unsigned shift = 50 - 10 * i;
        const unsigned exponent = (unsigned)(word >> shift) & 15;
        unit.unit[i] = (word >> (shift + 4)) & 63;
        unit.exponent[i] = (int8_t)(exponent < 8 ? (int)exponent : (int)exponent - 16);
    }
    return unit;
}

static uint64_t word_of(const sono_igtl_unit *unit)
{
    uint64_t word = (uint64_t)(unit->prefix & 15) << 60;
    for (unsigned i = 0; i < N_UNITS; i++) {
        const uint64_t pair = (uint64_t)(unit->unit[i] & 63) << 4 | ((uint64_t)unit->exponent[i] & 15);
        word |= pair << (50 - 10 * i);
    }
    return word;
}

sono_igtl_status sono_igtl_sensor_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_sensor *out,
                                         sono_igtl_fault *fault)
{
    if (n_bytes < SENSOR_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a SENSOR that ends within its first 10 bytes");
    if (n_bytes != SENSOR_HEAD_BYTES + sizeof(double) * bytes[0])
        return WIRE_MALFORMED(0, "a SENSOR with more or less values than it says");
    out->n = bytes[0];
    out->status = bytes[1];
    out->unit = unit_of(wire_u64(bytes + 2));
    for (size_t i = 0; i < out->n; i++)
        out->values[i] = wire_f64(bytes + SENSOR_HEAD_BYTES + sizeof(double) * i);
    return SONO_IGTL_OK;
}

void sono_igtl_sensor_encode(sono_igtl_writer *writer, const sono_igtl_sensor *sensor)
{
    uint8_t *room = sono_igtl_write_room(writer, SENSOR_HEAD_BYTES + sizeof(double) * sensor->n);
    if (!room)
        return;
    room[0] = sensor->n;
    room[1] = sensor->status;
    wire_put_u64(room + 2, word_of(&sensor->unit));
    for (size_t i = 0; i < sensor->n; i++)
        wire_put_f64(room + SENSOR_HEAD_BYTES + sizeof(double) * i, sensor->values[i]);
}

/* Bytes of an entry; 0 for what is no map. */
static size_t color_bytes(uint8_t map)
{
    switch (map) {
    case SONO_IGTL_MAP_UINT8:
        return 1;
    case SONO_IGTL_MAP_UINT16:
        return 2;
    case SONO_IGTL_MAP_RGB:
        return 3;
    default:
        return 0;
    }
}

/* Number of entries; 0 for what is no index. */
static uint32_t n_colors(uint8_t index)
{
    return index == SONO_IGTL_UINT8 ? 256 : index == SONO_IGTL_UINT16 ? 65536 : 0;
}

sono_igtl_status sono_igtl_colortable_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_colortable *out,
                                             sono_igtl_fault *fault)
{
    if (n_bytes < 2)
        return WIRE_MALFORMED(n_bytes, "a COLORTABLE that ends within its first 2 bytes");
    if (n_colors(bytes[0]) == 0)
        return WIRE_MALFORMED(0, "a COLORTABLE whose index is neither uint8 (3) nor uint16 (5)");
    if (color_bytes(bytes[1]) == 0)
        return WIRE_MALFORMED(1, "a COLORTABLE whose map is neither uint8 (3), uint16 (5) nor RGB (19)");
    if (n_bytes - 2 != n_colors(bytes[0]) * color_bytes(bytes[1]))
        return WIRE_MALFORMED(2, "a COLORTABLE of another length than its types say");
    *out = (sono_igtl_colortable){bytes[0], bytes[1], bytes + 2, n_colors(bytes[0])};
    return SONO_IGTL_OK;
}

int sono_igtl_color_at(const sono_igtl_colortable *table, uint32_t index, sono_igtl_color *out)
{
    if (index >= table->n)
        return 0;
    const uint8_t *at = table->table + color_bytes(table->map) * index;
    *out = (sono_igtl_color){.value = 0};
    if (table->map == SONO_IGTL_MAP_RGB)
        memcpy(out->rgb, at, 3);
    else
        out->value = table->map == SONO_IGTL_MAP_UINT16 ? wire_u16(at) : *at;
    return 1;
}

void sono_igtl_colortable_encode(sono_igtl_writer *writer, uint8_t index, uint8_t map,
                                 const sono_igtl_color *colors)
{
    const uint32_t n = n_colors(index);
    const size_t entry_bytes = color_bytes(map);
    uint8_t *room = sono_igtl_write_room(writer, 2 + n * entry_bytes);
    if (!room)
        return;
    room[0] = index;
    room[1] = map;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *at = room + 2 + entry_bytes * i;
        if (map == SONO_IGTL_MAP_RGB)
            memcpy(at, colors[i].rgb, 3);
        else if (map == SONO_IGTL_MAP_UINT16)
            wire_put_u16(at, colors[i].value);
        else if (map == SONO_IGTL_MAP_UINT8)
            *at = (uint8_t)colors[i].value;
    }
}
