// SPDX-License-Identifier: Apache-2.0
/* POLYDATA. Layout: Documents/Protocol/polydata.md of the reference library (@ 94244fe). */
#include "igtl/polydata.h"
#include "igtl/wire.h"

#define HEAD_BYTES      40
#define POINT_BYTES     12
#define ATTRIBUTE_BYTES 6
#define N_KINDS         4

/* Words of the head: points, then number and size of each kind of cells, then attributes. */
#define KIND_AT(kind) (4 + 8 * (size_t)(kind))
#define ATTRIBUTES_AT 36

/* What is left of the content; offsets of faults are computed from it. */
typedef struct cursor {
    const uint8_t *at;
    size_t n_left;
} cursor;

static const uint8_t *cut(cursor *rest, uint64_t n_bytes)
{
    const uint8_t *part = rest->at;
    if (n_bytes > rest->n_left)
        return NULL;
    rest->at += n_bytes;
    rest->n_left -= (size_t)n_bytes;
    return part;
}

/* The fault's offset is the head's field of that kind: the reason says whether number, size or index is
 * wrong. */
static sono_igtl_status check_cells(const sono_igtl_cells *cells, uint32_t n_points, uint64_t field_at,
                                    sono_igtl_fault *fault)
{
    const uint32_t n_words = cells->n_bytes / 4;
    uint32_t at = 0;
    for (uint32_t cell = 0; cell < cells->n_cells; cell++) {
        if (at == n_words)
            return WIRE_MALFORMED(field_at, "a POLYDATA with more cells than their size has");
        const uint32_t n_indices = wire_u32(cells->words + 4 * (size_t)at);
        at++;
        if (n_indices > n_words - at)
            return WIRE_MALFORMED(field_at, "a POLYDATA with a cell that reaches beyond the cells' size");
        for (const uint32_t end = at + n_indices; at < end; at++) {
            if (wire_u32(cells->words + 4 * (size_t)at) >= n_points)
                return WIRE_MALFORMED(field_at, "a POLYDATA with a cell of a point that there is not");
        }
    }
    if (at != n_words)
        return WIRE_MALFORMED(field_at + 4, "a POLYDATA with less cells than their size has");
    return SONO_IGTL_OK;
}

static sono_igtl_status decode_cells(const uint8_t *head, size_t kind, uint32_t n_points, cursor *rest,
                                     sono_igtl_cells *out, sono_igtl_fault *fault)
{
    const size_t field_at = KIND_AT(kind);
    out->n_cells = wire_u32(head + field_at);
    out->n_bytes = wire_u32(head + field_at + 4);
    if (out->n_bytes % 4)
        return WIRE_MALFORMED(field_at + 4, "a POLYDATA whose cells' size is not a multiple of 4");
    out->words = cut(rest, out->n_bytes);
    if (!out->words)
        return WIRE_MALFORMED(field_at + 4, "a POLYDATA whose cells reach beyond the content");
    return check_cells(out, n_points, field_at, fault);
}

/* Number of components that the protocol demands of a type; 0 = any. */
static unsigned components_of(unsigned type)
{
    switch (type & ~(unsigned)SONO_IGTL_ON_CELLS) {
    case SONO_IGTL_VECTORS:
    case SONO_IGTL_NORMALS:
        return 3;
    case SONO_IGTL_TENSORS:
        return 9;
    case SONO_IGTL_RGBA:
        return 4;
    default:
        return 0;
    }
}

/* rest: what follows the cells; nothing may be left of it. */
static sono_igtl_status decode_attributes(cursor *rest, sono_igtl_polydata *out, sono_igtl_fault *fault)
{
    uint64_t names_bytes = 0;
    out->attributes = cut(rest, ATTRIBUTE_BYTES * (uint64_t)out->n_attributes);
    if (!out->attributes)
        return WIRE_MALFORMED(ATTRIBUTES_AT, "a POLYDATA whose attributes reach beyond the content");
    out->names = rest->at;
    for (uint32_t i = 0; i < out->n_attributes; i++) {
        const size_t longest = SONO_IGTL_ATTRIBUTE_NAME_CHARS + 1;
        const uint8_t *end = memchr(rest->at, 0, rest->n_left < longest ? rest->n_left : longest);
        if (!end)
            return WIRE_MALFORMED(ATTRIBUTES_AT, "a POLYDATA with an attribute whose name does not end");
        names_bytes += (uint64_t)(end + 1 - rest->at);
        (void)cut(rest, (uint64_t)(end + 1 - rest->at));
    }
    if (!cut(rest, names_bytes % 2))
        return WIRE_MALFORMED(ATTRIBUTES_AT, "a POLYDATA whose attributes' names have no padding");
    out->values = rest->at;
    for (uint32_t i = 0; i < out->n_attributes; i++) {
        const uint8_t *head = out->attributes + ATTRIBUTE_BYTES * (size_t)i;
        const unsigned expected = components_of(head[0]);
        if (head[1] == 0 || (expected && head[1] != expected))
            return WIRE_MALFORMED(ATTRIBUTES_AT,
                                  "a POLYDATA with an attribute of a wrong number of components");
        if (!cut(rest, (uint64_t)wire_u32(head + 2) * head[1] * sizeof(float)))
            return WIRE_MALFORMED(ATTRIBUTES_AT,
                                  "a POLYDATA whose attributes' values reach beyond the content");
    }
    if (rest->n_left)
        return WIRE_MALFORMED(ATTRIBUTES_AT, "a POLYDATA with more content than its parts have");
    return SONO_IGTL_OK;
}

sono_igtl_status sono_igtl_polydata_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_polydata *out,
                                           sono_igtl_fault *fault)
{
    sono_igtl_polydata polydata = {0};
    if (n_bytes < HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a POLYDATA that ends within its first 40 bytes");
    cursor rest = {bytes + HEAD_BYTES, n_bytes - HEAD_BYTES};
    sono_igtl_cells *kinds[N_KINDS] = {&polydata.vertices, &polydata.lines, &polydata.polygons,
                                       &polydata.strips};
    polydata.n_points = wire_u32(bytes);
    polydata.points = cut(&rest, POINT_BYTES * (uint64_t)polydata.n_points);
    if (!polydata.points)
        return WIRE_MALFORMED(0, "a POLYDATA whose points reach beyond the content");
    sono_igtl_status status = SONO_IGTL_OK;
    for (size_t kind = 0; kind < N_KINDS && status == SONO_IGTL_OK; kind++)
        status = decode_cells(bytes, kind, polydata.n_points, &rest, kinds[kind], fault);
    polydata.n_attributes = wire_u32(bytes + ATTRIBUTES_AT);
    if (status == SONO_IGTL_OK)
        status = decode_attributes(&rest, &polydata, fault);
    if (status == SONO_IGTL_OK)
        *out = polydata;
    return status;
}

int sono_igtl_point_at(const sono_igtl_polydata *polydata, uint32_t index, float out[3])
{
    if (index >= polydata->n_points)
        return 0;
    wire_f32s(polydata->points + POINT_BYTES * (size_t)index, out, 3);
    return 1;
}

int sono_igtl_cell_next(const sono_igtl_cells *cells, uint32_t *at, sono_igtl_cell *out)
{
    if (*at >= cells->n_bytes)
        return 0;
    out->n_indices = wire_u32(cells->words + *at);
    out->indices = cells->words + *at + 4;
    *at += 4 + 4 * out->n_indices;
    return 1;
}

uint32_t sono_igtl_cell_index(const sono_igtl_cell *cell, uint32_t index)
{
    return wire_u32(cell->indices + 4 * (size_t)index);
}

int sono_igtl_attribute_at(const sono_igtl_polydata *polydata, uint32_t index, sono_igtl_attribute_view *out)
{
    const char *name = (const char *)polydata->names;
    const uint8_t *values = polydata->values;
    if (index >= polydata->n_attributes)
        return 0;
    const uint8_t *head = polydata->attributes;
    for (uint32_t i = 0; i < index; i++, head += ATTRIBUTE_BYTES) {
        name += strlen(name) + 1;
        values += (size_t)wire_u32(head + 2) * head[1] * sizeof(float);
    }
    *out = (sono_igtl_attribute_view){head[0], head[1], wire_u32(head + 2), name, values};
    return 1;
}

float sono_igtl_attribute_value(const sono_igtl_attribute_view *attribute, uint64_t index)
{
    return wire_f32(attribute->values + sizeof(float) * (size_t)index);
}

static uint64_t words_of(const sono_igtl_cell_list *list)
{
    uint64_t n_words = list->n_cells;
    for (uint32_t cell = 0; cell < list->n_cells; cell++)
        n_words += list->n_indices[cell];
    return n_words;
}

static void encode_cells(sono_igtl_writer *writer, const sono_igtl_cell_list *list)
{
    const uint32_t *index = list->indices;
    for (uint32_t cell = 0; cell < list->n_cells; cell++) {
        const uint32_t n = list->n_indices[cell];
        uint8_t *room = sono_igtl_write_room(writer, 4 + 4 * (size_t)n);
        if (!room)
            return;
        wire_put_u32(room, n);
        for (uint32_t i = 0; i < n; i++)
            wire_put_u32(room + 4 + 4 * (size_t)i, *index++);
    }
}

static void encode_floats(sono_igtl_writer *writer, const float *values, uint64_t n)
{
    uint8_t *room = sono_igtl_write_room(writer, sizeof(float) * (size_t)n);
    if (room)
        wire_put_f32s(room, values, (size_t)n);
}

static void encode_attributes(sono_igtl_writer *writer, const sono_igtl_mesh *mesh)
{
    size_t names_bytes = 0;
    for (uint32_t i = 0; i < mesh->n_attributes; i++) {
        uint8_t *head = sono_igtl_write_room(writer, ATTRIBUTE_BYTES);
        if (!head)
            return;
        head[0] = mesh->attributes[i].type;
        head[1] = mesh->attributes[i].n_components;
        wire_put_u32(head + 2, mesh->attributes[i].n);
    }
    for (uint32_t i = 0; i < mesh->n_attributes; i++) {
        const size_t n = strnlen(mesh->attributes[i].name, SONO_IGTL_ATTRIBUTE_NAME_CHARS);
        sono_igtl_write(writer, mesh->attributes[i].name, n);
        sono_igtl_write(writer, "", 1);
        names_bytes += n + 1;
    }
    sono_igtl_write(writer, "", names_bytes % 2);
    for (uint32_t i = 0; i < mesh->n_attributes; i++) {
        const sono_igtl_attribute *attribute = &mesh->attributes[i];
        encode_floats(writer, attribute->values, (uint64_t)attribute->n * attribute->n_components);
    }
}

void sono_igtl_polydata_encode(sono_igtl_writer *writer, const sono_igtl_mesh *mesh)
{
    const sono_igtl_cell_list *kinds[N_KINDS] = {&mesh->vertices, &mesh->lines, &mesh->polygons,
                                                 &mesh->strips};
    uint8_t *head = sono_igtl_write_room(writer, HEAD_BYTES);
    if (!head)
        return;
    wire_put_u32(head, mesh->n_points);
    for (size_t kind = 0; kind < N_KINDS; kind++) {
        const uint64_t n_words = words_of(kinds[kind]);
        if (n_words > UINT32_MAX / 4) {
            writer->is_full = 1;
            return;
        }
        wire_put_u32(head + KIND_AT(kind), kinds[kind]->n_cells);
        wire_put_u32(head + KIND_AT(kind) + 4, (uint32_t)(4 * n_words));
    }
    wire_put_u32(head + ATTRIBUTES_AT, mesh->n_attributes);
    for (uint32_t i = 0; i < mesh->n_points; i++)
        encode_floats(writer, mesh->points[i], 3);
    for (size_t kind = 0; kind < N_KINDS; kind++)
        encode_cells(writer, kinds[kind]);
    encode_attributes(writer, mesh);
}
