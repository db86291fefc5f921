// SPDX-License-Identifier: Apache-2.0
/*
 * Content of any message type through its struct and back to bytes, for the tests and fuzz targets of the
 * codec. No byte is passed on that no struct has named; only pixels, compressed frames and texts are copied,
 * and messages of an unknown type within a BIND.
 */
#ifndef SONO_TESTS_SUPPORT_IGTL_RECODE_H
#define SONO_TESTS_SUPPORT_IGTL_RECODE_H

#include "igtl/arrays.h"
#include "igtl/bind.h"
#include "igtl/lists.h"
#include "igtl/polydata.h"
#include "igtl/query.h"
#include "igtl/tracking.h"
#include "igtl/video.h"

#include <stdlib.h>
#include <string.h>

/* Content in, content out. */
typedef struct recode_job {
    const char *type;
    const uint8_t *bytes;
    size_t n_bytes;
    sono_igtl_writer *writer;
    sono_igtl_fault *fault;
} recode_job;

static sono_igtl_status recode(const char *type, const uint8_t *bytes, size_t n_bytes,
                               sono_igtl_writer *writer, sono_igtl_fault *fault);

/* Zeroed memory of n > 0 things; the programs here end when there is none. */
static void *recode_memory(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory)
        abort();
    return memory;
}

static sono_igtl_status recode_image(const recode_job *job)
{
    sono_igtl_image image;
    const uint8_t *pixels;
    const sono_igtl_status status =
        sono_igtl_image_decode(job->bytes, job->n_bytes, &image, &pixels, job->fault);
    if (status == SONO_IGTL_OK) {
        sono_igtl_image_head_encode(job->writer, &image);
        sono_igtl_write(job->writer, pixels, (size_t)sono_igtl_image_pixel_bytes(&image));
    }
    return status;
}

/* A type whose content is one struct. */
#define RECODE_STRUCT(name, type)                                                                            \
    static sono_igtl_status recode_##name(const recode_job *job)                                             \
    {                                                                                                        \
        type value;                                                                                          \
        const sono_igtl_status status =                                                                      \
            sono_igtl_##name##_decode(job->bytes, job->n_bytes, &value, job->fault);                         \
        if (status == SONO_IGTL_OK)                                                                          \
            sono_igtl_##name##_encode(job->writer, &value);                                                  \
        return status;                                                                                       \
    }

RECODE_STRUCT(transform, sono_igtl_transform)
RECODE_STRUCT(status, sono_igtl_state)
RECODE_STRUCT(string, sono_igtl_string)
RECODE_STRUCT(command, sono_igtl_command)
RECODE_STRUCT(position, sono_igtl_position)
RECODE_STRUCT(sensor, sono_igtl_sensor)
RECODE_STRUCT(video, sono_igtl_video)

/* A type whose content is a list of structs. */
#define RECODE_LIST(many, one, type)                                                                         \
    static sono_igtl_status recode_##many(const recode_job *job)                                             \
    {                                                                                                        \
        sono_igtl_list list;                                                                                 \
        const sono_igtl_status status =                                                                      \
            sono_igtl_##many##_decode(job->bytes, job->n_bytes, &list, job->fault);                          \
        type *values = recode_memory(status == SONO_IGTL_OK ? list.n : 0, sizeof *values);                   \
        if (status == SONO_IGTL_OK) {                                                                        \
            for (size_t i = 0; sono_igtl_##one##_at(&list, i, &values[i]); i++) {                            \
                if (i + 1 == list.n)                                                                         \
                    break;                                                                                   \
            }                                                                                                \
            sono_igtl_##many##_encode(job->writer, values, list.n);                                          \
        }                                                                                                    \
        free(values);                                                                                        \
        return status;                                                                                       \
    }

RECODE_LIST(labels, label, sono_igtl_label)
RECODE_LIST(image_metas, image_meta, sono_igtl_image_meta)
RECODE_LIST(video_metas, video_meta, sono_igtl_video_meta)
RECODE_LIST(landmarks, landmark, sono_igtl_landmark)
RECODE_LIST(trajectories, trajectory, sono_igtl_trajectory)
RECODE_LIST(tools, tool, sono_igtl_tool)
RECODE_LIST(quaternion_tools, quaternion_tool, sono_igtl_quaternion_tool)

static sono_igtl_status recode_capability(const recode_job *job)
{
    sono_igtl_capability capability;
    const sono_igtl_status status =
        sono_igtl_capability_decode(job->bytes, job->n_bytes, &capability, job->fault);
    char type[SONO_IGTL_TYPE_CHARS + 1];
    const char *types[] = {type};
    for (size_t i = 0; status == SONO_IGTL_OK && sono_igtl_capability_at(&capability, i, type); i++)
        sono_igtl_capability_encode(job->writer, types, 1);
    return status;
}

static sono_igtl_status recode_ndarray(const recode_job *job)
{
    sono_igtl_ndarray array;
    uint16_t sizes[255] = {0};
    const sono_igtl_status status = sono_igtl_ndarray_decode(job->bytes, job->n_bytes, &array, job->fault);
    if (status != SONO_IGTL_OK)
        return status;
    void *values = recode_memory(array.n, sono_igtl_scalar_bytes(array.scalar));
    for (uint8_t i = 0; i < array.n_dimensions; i++)
        (void)sono_igtl_ndarray_size_at(&array, i, &sizes[i]);
    if (sono_igtl_ndarray_values(&array, 0, array.n, values))
        sono_igtl_ndarray_encode(job->writer, array.scalar, sizes, array.n_dimensions, values);
    free(values);
    return status;
}

static sono_igtl_status recode_colortable(const recode_job *job)
{
    sono_igtl_colortable table;
    const sono_igtl_status status = sono_igtl_colortable_decode(job->bytes, job->n_bytes, &table, job->fault);
    if (status != SONO_IGTL_OK)
        return status;
    sono_igtl_color *colors = recode_memory(table.n, sizeof *colors);
    for (uint32_t i = 0; i < table.n; i++)
        (void)sono_igtl_color_at(&table, i, &colors[i]);
    sono_igtl_colortable_encode(job->writer, table.index, table.map, colors);
    free(colors);
    return status;
}

/* The cells as a list; its arrays are the caller's to free. */
static sono_igtl_cell_list recode_cells(const sono_igtl_cells *cells)
{
    uint32_t *n_indices = recode_memory(cells->n_cells, sizeof *n_indices);
    uint32_t *indices = recode_memory(cells->n_bytes / 4, sizeof *indices);
    uint32_t n_cells = 0;
    uint32_t n = 0;
    uint32_t at = 0;
    sono_igtl_cell cell;
    while (sono_igtl_cell_next(cells, &at, &cell)) {
        n_indices[n_cells++] = cell.n_indices;
        for (uint32_t i = 0; i < cell.n_indices; i++)
            indices[n++] = sono_igtl_cell_index(&cell, i);
    }
    return (sono_igtl_cell_list){n_indices, indices, n_cells};
}

static sono_igtl_attribute recode_attribute(const sono_igtl_polydata *polydata, uint32_t index)
{
    sono_igtl_attribute_view view = {0};
    (void)sono_igtl_attribute_at(polydata, index, &view);
    const uint64_t n = (uint64_t)view.n * view.n_components;
    float *values = recode_memory((size_t)n, sizeof *values);
    for (uint64_t i = 0; i < n; i++)
        values[i] = sono_igtl_attribute_value(&view, i);
    return (sono_igtl_attribute){view.type, view.n_components, view.n, view.name, values};
}

static sono_igtl_status recode_polydata(const recode_job *job)
{
    sono_igtl_polydata polydata;
    const sono_igtl_status status =
        sono_igtl_polydata_decode(job->bytes, job->n_bytes, &polydata, job->fault);
    if (status != SONO_IGTL_OK)
        return status;
    float(*points)[3] = recode_memory(polydata.n_points, sizeof *points);
    sono_igtl_attribute *attributes = recode_memory(polydata.n_attributes, sizeof *attributes);
    for (uint32_t i = 0; i < polydata.n_points; i++)
        (void)sono_igtl_point_at(&polydata, i, points[i]);
    for (uint32_t i = 0; i < polydata.n_attributes; i++)
        attributes[i] = recode_attribute(&polydata, i);
    const sono_igtl_mesh mesh = {
        .points = (const float(*)[3])points,
        .n_points = polydata.n_points,
        .vertices = recode_cells(&polydata.vertices),
        .lines = recode_cells(&polydata.lines),
        .polygons = recode_cells(&polydata.polygons),
        .strips = recode_cells(&polydata.strips),
        .attributes = attributes,
        .n_attributes = polydata.n_attributes,
    };
    sono_igtl_polydata_encode(job->writer, &mesh);
    const sono_igtl_cell_list lists[] = {mesh.vertices, mesh.lines, mesh.polygons, mesh.strips};
    for (size_t i = 0; i < 4; i++) {
        free((void *)(uintptr_t)lists[i].n_indices);
        free((void *)(uintptr_t)lists[i].indices);
    }
    for (uint32_t i = 0; i < polydata.n_attributes; i++)
        free((void *)(uintptr_t)attributes[i].values);
    free(attributes);
    free(points);
    return status;
}

static sono_igtl_status recode_bind(const recode_job *job)
{
    sono_igtl_bind bind;
    const sono_igtl_status status = sono_igtl_bind_decode(job->bytes, job->n_bytes, &bind, job->fault);
    if (status != SONO_IGTL_OK)
        return status;
    sono_igtl_child *children = recode_memory(bind.n, sizeof *children);
    uint8_t *memory = recode_memory(job->n_bytes, 1);
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, memory, job->n_bytes);
    for (uint16_t i = 0; i < bind.n; i++) {
        (void)sono_igtl_child_at(&bind, i, &children[i]);
        const size_t before = writer.n_bytes;
        if (recode(children[i].type, children[i].content, children[i].content_bytes, &writer, NULL) ==
                SONO_IGTL_OK &&
            !writer.is_full) {
            children[i].content = memory + before;
            children[i].content_bytes = writer.n_bytes - before;
        } else {
            writer.n_bytes = before;
            writer.is_full = 0;
        }
    }
    sono_igtl_bind_encode(job->writer, children, bind.n);
    free(memory);
    free(children);
    return status;
}

static sono_igtl_status recode_bind_query(const recode_job *job)
{
    sono_igtl_bind_query query;
    const sono_igtl_status status = sono_igtl_bind_query_decode(strcmp(job->type, "STT_BIND") == 0,
                                                                job->bytes, job->n_bytes, &query, job->fault);
    if (status != SONO_IGTL_OK)
        return status;
    sono_igtl_child *children = recode_memory(query.n, sizeof *children);
    for (uint16_t i = 0; i < query.n; i++)
        (void)sono_igtl_bind_query_at(&query, i, &children[i]);
    sono_igtl_bind_query_encode(job->writer, query.is_start, query.interval, children, query.n);
    free(children);
    return status;
}

static sono_igtl_status recode_query(const recode_job *job)
{
    sono_igtl_query query;
    const sono_igtl_status status =
        sono_igtl_query_decode(job->type, job->bytes, job->n_bytes, &query, job->fault);
    if (status == SONO_IGTL_OK)
        sono_igtl_query_encode(job->writer, &query);
    return status;
}

static const struct {
    const char *type;
    sono_igtl_status (*recode)(const recode_job *job);
} recode_types[] = {
    {"BIND", recode_bind},
    {"CAPABILITY", recode_capability},
    {"COLORT", recode_colortable},
    {"COLORTABLE", recode_colortable},
    {"COMMAND", recode_command},
    {"GET_BIND", recode_bind_query},
    {"IMAGE", recode_image},
    {"IMGMETA", recode_image_metas},
    {"LBMETA", recode_labels},
    {"NDARRAY", recode_ndarray},
    {"POINT", recode_landmarks},
    {"POLYDATA", recode_polydata},
    {"POSITION", recode_position},
    {"QTDATA", recode_quaternion_tools},
    {"QTRANS", recode_position},
    {"RTS_COMMAND", recode_command},
    {"SENSOR", recode_sensor},
    {"STATUS", recode_status},
    {"STRING", recode_string},
    {"STT_BIND", recode_bind_query},
    {"TDATA", recode_tools},
    {"TRAJ", recode_trajectories},
    {"TRANSFORM", recode_transform},
    {"VIDEO", recode_video},
    {"VIDEOMETA", recode_video_metas},
};
#define RECODE_N_TYPES (sizeof recode_types / sizeof recode_types[0])

/* Appends the content to the writer. UNSUPPORTED for a type that nothing here decodes; else as the decoder.
 */
static sono_igtl_status recode(const char *type, const uint8_t *bytes, size_t n_bytes,
                               sono_igtl_writer *writer, sono_igtl_fault *fault)
{
    const recode_job job = {type, bytes, n_bytes, writer, fault};
    for (size_t i = 0; i < RECODE_N_TYPES; i++) {
        if (strcmp(type, recode_types[i].type) == 0)
            return recode_types[i].recode(&job);
    }
    return recode_query(&job);
}

#endif
