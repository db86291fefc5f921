// SPDX-License-Identifier: Apache-2.0
/* Buffers of Python objects as images, and what is known of a frame. */
#include "core.h"

#include <stdio.h>
#include <string.h>

/* Extents and strides (bytes) of rows, columns and channels. */
typedef struct layout {
    Py_ssize_t h, w, c;
    Py_ssize_t row_bytes, column_bytes, channel_bytes;
} layout;

/* "[480, 640, 2]", cut to what fits. */
static void print_extents(const Py_buffer *view, const Py_ssize_t *extents, char *out, size_t n_bytes)
{
    size_t at = 0;
    for (int i = 0; i < view->ndim && at < n_bytes; i++)
        at += (size_t)snprintf(out + at, n_bytes - at, i ? ", %zd" : "[%zd", extents[i]);
    if (at < n_bytes)
        snprintf(out + at, n_bytes - at, view->ndim ? "]" : "[]");
}

static int read_layout(const Py_buffer *view, layout *out)
{
    const int n = view->ndim;
    char shape[96];
    print_extents(view, view->shape, shape, sizeof shape);
    const Py_ssize_t last = n ? view->shape[n - 1] : 0;
    const int has_channels = n == 3 && (last == 1 || last == 3 || last == 4);
    if (n != 2 && !has_channels && !(n == 3 && view->shape[0] == 1)) {
        core_fail(SONO_STATUS_UNSUPPORTED,
                  "an array of shape %s is no image: [H, W], [1, H, W], [H, W, 1], [H, W, 3] (RGB) and [H, "
                  "W, 4] are",
                  shape);
        return -1;
    }
    const int rows = n == 3 && !has_channels;
    *out = (layout){.h = view->shape[rows],
                    .w = view->shape[rows + 1],
                    .c = has_channels ? last : 1,
                    .row_bytes = view->strides[rows],
                    .column_bytes = view->strides[rows + 1],
                    .channel_bytes = has_channels ? view->strides[2] : view->itemsize};
    if (out->h < 1 || out->w < 1) {
        core_fail(SONO_STATUS_INVALID_ARGUMENT, "an array of shape %s has no pixels", shape);
        return -1;
    }
    if (out->h > INT32_MAX || out->w > INT32_MAX) {
        core_fail(SONO_STATUS_LIMIT, "an array of shape %s is larger than any frame", shape);
        return -1;
    }
    return 0;
}

/* Strides of extents of 1 mean nothing. */
static int check_strides(const Py_buffer *view, const layout *l)
{
    const Py_ssize_t pixel_bytes = l->c * view->itemsize;
    if ((l->c == 1 || l->channel_bytes == view->itemsize) && (l->w == 1 || l->column_bytes == pixel_bytes) &&
        (l->h == 1 || l->row_bytes >= l->w * pixel_bytes))
        return 0;
    char strides[96];
    print_extents(view, view->strides, strides, sizeof strides);
    core_fail(SONO_STATUS_UNSUPPORTED,
              "the pixels of a row must be contiguous and its rows one below the other, but the array's "
              "strides are %s "
              "bytes: pass numpy.ascontiguousarray(image)",
              strides);
    return -1;
}

static int read_format(const Py_buffer *view, Py_ssize_t n_channels, sono_pixel_format *out)
{
    const char *format = view->format ? view->format : "B";
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const char *kind = format + (*format == '@' || *format == '=' || *format == '<' || *format == '|');
#else
    const char *kind = format + (*format == '@' || *format == '=' || *format == '>' || *format == '|');
#endif
    if (!strcmp(kind, "B") && view->itemsize == 1)
        *out = n_channels == 4 ? SONO_PIXEL_RGBA8 : n_channels == 3 ? SONO_PIXEL_RGB8 : SONO_PIXEL_GRAY8;
    else if (!strcmp(kind, "H") && view->itemsize == 2 && n_channels == 1)
        *out = SONO_PIXEL_GRAY16;
    else {
        core_fail(
            SONO_STATUS_UNSUPPORTED,
            "elements of format '%s' (%zd bytes) in %zd channels: uint8, and uint16 in one channel and this "
            "machine's byte order, are pixels",
            format, view->itemsize, n_channels);
        return -1;
    }
    return 0;
}

int core_image_take(PyObject *object, core_image *out)
{
    layout l;
    if (PyObject_GetBuffer(object, &out->view, PyBUF_RECORDS_RO) < 0)
        return -1;
    sono_image_init(&out->image);
    if (read_layout(&out->view, &l) < 0 || read_format(&out->view, l.c, &out->image.format) < 0 ||
        check_strides(&out->view, &l) < 0) {
        core_image_release(out);
        return -1;
    }
    out->image.pixels = out->view.buf;
    out->image.width_px = (int32_t)l.w;
    out->image.height_px = (int32_t)l.h;
    out->image.pitch_bytes = (size_t)(l.h > 1 ? l.row_bytes : l.w * l.c * out->view.itemsize);
    return 0;
}

void core_image_release(core_image *image)
{
    PyBuffer_Release(&image->view);
}

int core_info_take(PyObject *facts, sono_frame_info *out)
{
    PyObject *pose = NULL;
    const char *name = NULL;
    Py_ssize_t n_name = 0;
    unsigned long long frame_id = 0;
    long long timestamp_ns = 0;
    int orientation = 0, coordinates = 0;
    float *m = out->image_to_reference;
    sono_frame_info_init(out);
    if (!PyArg_ParseTuple(facts, "KLddOiiy#", &frame_id, &timestamp_ns, &out->spacing_mm[0],
                          &out->spacing_mm[1], &pose, &orientation, &coordinates, &name, &n_name))
        return -1;
    if (pose != Py_None && !PyArg_ParseTuple(pose, "ffffffffffff", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5],
                                             &m[6], &m[7], &m[8], &m[9], &m[10], &m[11]))
        return -1;
    if ((size_t)n_name >= sizeof out->device_name) {
        core_fail(SONO_STATUS_INVALID_ARGUMENT, "a device name of %zd bytes: %zu are the most", n_name,
                  sizeof out->device_name - 1);
        return -1;
    }
    memcpy(out->device_name, name, (size_t)n_name);
    out->frame_id = frame_id;
    out->timestamp_ns = timestamp_ns;
    out->has_pose = pose != Py_None;
    out->orientation = (sono_orientation)orientation;
    out->coordinates = (sono_coordinates)coordinates;
    return 0;
}

PyObject *core_info_facts(const sono_frame_info *info)
{
    const float *m = info->image_to_reference;
    PyObject *pose = Py_None;
    if (info->has_pose)
        pose = Py_BuildValue("(ffffffffffff)", m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9],
                             m[10], m[11]);
    else
        Py_INCREF(pose);
    if (!pose)
        return NULL;
    return Py_BuildValue("KLddNiiy", (unsigned long long)info->frame_id, (long long)info->timestamp_ns,
                         info->spacing_mm[0], info->spacing_mm[1], pose, (int)info->orientation,
                         (int)info->coordinates, info->device_name);
}
