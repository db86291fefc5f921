// SPDX-License-Identifier: Apache-2.0
/* Frames of files, each in memory of its own. */
#include "core.h"

#include "sonoseg/phantom.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- pixels: memory with a buffer ---- */

typedef struct core_pixels {
    PyObject ob_base; /* PyObject_HEAD */
    void *memory;
    Py_ssize_t n_bytes;
    Py_ssize_t shape[3], strides[3];
    int ndim;
    int element_bytes;
} core_pixels;

static void free_pixels(PyObject *object)
{
    free(((core_pixels *)object)->memory);
    core_free(object);
}

static int get_buffer(PyObject *object, Py_buffer *out, int flags)
{
    core_pixels *self = (core_pixels *)object;
    Py_INCREF(object);
    out->obj = object;
    out->buf = self->memory;
    out->itemsize = self->element_bytes;
    out->len = self->n_bytes;
    out->readonly = 0;
    out->ndim = self->ndim;
    out->format = NULL;
    if (flags & PyBUF_FORMAT)
        out->format = (char *)(uintptr_t)(self->element_bytes == 2 ? "H" : "B");
    out->shape = (flags & PyBUF_ND) == PyBUF_ND ? self->shape : NULL;
    out->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->strides : NULL;
    out->suboffsets = NULL;
    out->internal = NULL;
    return 0;
}

static PyType_Slot pixels_slots[] = {
    {Py_tp_dealloc, free_pixels},
    {Py_bf_getbuffer, get_buffer},
    {0, NULL},
};

PyType_Spec core_pixels_spec = {
    .name = "sonoseg._core.Pixels",
    .basicsize = sizeof(core_pixels),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = pixels_slots,
};

static Py_ssize_t channels_of(sono_pixel_format format)
{
    return format == SONO_PIXEL_RGB8 ? 3 : format == SONO_PIXEL_RGBA8 ? 4 : 1;
}

/* Memory of the image's size; its pixels are still to come. */
static core_pixels *make_pixels(const sono_image *image)
{
    core_pixels *self = (core_pixels *)PyType_GenericAlloc(core_pixels_type, 0);
    if (!self)
        return NULL;
    const Py_ssize_t channels = channels_of(image->format);
    self->element_bytes = image->format == SONO_PIXEL_GRAY16 ? 2 : 1;
    self->ndim = channels > 1 ? 3 : 2;
    self->shape[0] = image->height_px;
    self->shape[1] = image->width_px;
    self->shape[2] = channels;
    self->strides[2] = self->element_bytes;
    self->strides[1] = channels * self->element_bytes;
    self->strides[0] = image->width_px * self->strides[1];
    self->n_bytes = image->height_px * self->strides[0];
    self->memory = malloc((size_t)self->n_bytes);
    if (self->memory)
        return self;
    PyErr_NoMemory();
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void copy_rows(core_pixels *to, const sono_image *from)
{
    const size_t row_bytes = (size_t)to->strides[0];
    const size_t pitch_bytes = from->pitch_bytes ? from->pitch_bytes : row_bytes;
    for (int32_t y = 0; y < from->height_px; y++)
        memcpy((char *)to->memory + (size_t)y * row_bytes,
               (const char *)from->pixels + (size_t)y * pitch_bytes, row_bytes);
}

/* ---- sources ---- */

typedef struct core_source {
    PyObject ob_base;    /* PyObject_HEAD */
    sono_source *source; /* NULL: closed */
    int is_phantom;
    int is_busy; /* a thread is reading */
} core_source;

/* (colour, white of 16-bit pixels, most pixels or 0, longest side, float that is black, float that is white,
 * pose's transform or None) */
static int read_options(PyObject *tuple, sono_source_options *options)
{
    int keep_colour = 0, gray16_white = 0, max_side_px = 0;
    long long max_pixels = 0;
    sono_source_options_init(options);
    if (!PyArg_ParseTuple(tuple, "iiLiddz", &keep_colour, &gray16_white, &max_pixels, &max_side_px,
                          &options->float_low, &options->float_high, &options->pose_transform))
        return -1;
    options->keep_colour = keep_colour;
    options->gray16_white = gray16_white;
    options->max_pixels = max_pixels ? max_pixels : options->max_pixels;
    options->max_side_px = max_side_px;
    return 0;
}

/* The paths as C strings, borrowed from the tuple; to be freed. */
static const char **read_paths(PyObject *tuple, int32_t *n)
{
    const Py_ssize_t size = PyTuple_Size(tuple);
    if (size < 0 || size > INT_MAX)
        return NULL;
    const char **paths = calloc((size_t)size + 1, sizeof *paths);
    if (!paths)
        return PyErr_NoMemory(), NULL;
    for (Py_ssize_t i = 0; i < size; i++)
        if (!(paths[i] = PyBytes_AsString(PyTuple_GetItem(tuple, i)))) {
            free(paths);
            return NULL;
        }
    *n = (int32_t)size;
    return paths;
}

/* Source(paths: tuple of bytes, options: tuple) */
static PyObject *open_source(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *tuple, *chosen;
    sono_source_options options;
    sono_status status;
    sono_error error;
    int32_t n = 0;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "OO", &tuple, &chosen) || read_options(chosen, &options) < 0)
        return NULL;
    const char **paths = read_paths(tuple, &n);
    core_source *self = paths ? (core_source *)PyType_GenericAlloc(type, 0) : NULL;
    if (!self) {
        free(paths);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status = sono_source_open_files(paths, n, &options, &self->source, &error);
    Py_END_ALLOW_THREADS free(paths);
    if (status == SONO_STATUS_OK)
        return (PyObject *)self;
    core_raise(&error);
    Py_DECREF((PyObject *)self);
    return NULL;
}

/* core_phantom(width, height, frames, frames of a sweep, seed, shape, geometry, orientation, rate, depth or
 * 0) */
PyObject *core_phantom(PyObject *module, PyObject *args)
{
    int width_px, height_px, n_frames, n_sweep_frames, shape, geometry, orientation;
    unsigned long long seed;
    sono_phantom_options options;
    sono_status status;
    sono_error error;
    (void)module;
    sono_phantom_options_init(&options);
    if (!PyArg_ParseTuple(args, "iiiiKiiidf", &width_px, &height_px, &n_frames, &n_sweep_frames, &seed,
                          &shape, &geometry, &orientation, &options.rate_hz, &options.depth_mm))
        return NULL;
    options.width_px = width_px;
    options.height_px = height_px;
    options.n_frames = n_frames;
    options.n_sweep_frames = n_sweep_frames;
    options.seed = seed;
    options.shape = (sono_phantom_shape)shape;
    options.geometry = (sono_phantom_geometry)geometry;
    options.orientation = (sono_phantom_orientation)orientation;
    core_source *self = (core_source *)PyType_GenericAlloc(core_source_type, 0);
    if (!self)
        return NULL;
    self->is_phantom = 1;
    Py_BEGIN_ALLOW_THREADS status = sono_source_open_phantom(&options, &self->source, &error);
    Py_END_ALLOW_THREADS if (status == SONO_STATUS_OK) return (PyObject *)self;
    core_raise(&error);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void free_source(PyObject *object)
{
    sono_source_close(((core_source *)object)->source);
    core_free(object);
}

/* 0 where nobody else reads; -1 with an exception. */
static int take(core_source *self)
{
    if (self->source && !self->is_busy)
        return self->is_busy = 1, 0;
    core_fail(SONO_STATUS_STATE,
              self->source ? "another thread is reading from this source" : "the source is closed");
    return -1;
}

static PyObject *fields_of(const sono_source *source)
{
    const int32_t n = sono_source_field_count(source);
    PyObject *list = PyList_New(0);
    sono_source_field field;
    for (int32_t i = 0; list && i < n; i++) {
        if (sono_source_field_at(source, i, &field, NULL) != SONO_STATUS_OK)
            continue;
        PyObject *item = Py_BuildValue("yyi", field.name, field.value, (int)field.is_of_frame);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* The mask of what a phantom's frame really shows; None for frames of files. */
static PyObject *truth_of(const core_source *self)
{
    sono_truth truth;
    sono_image mask;
    if (!self->is_phantom)
        return Py_BuildValue("");
    const sono_status status = sono_source_truth(self->source, &truth, NULL);
    if (status != SONO_STATUS_OK)
        return core_raise_status(status, "sono_source_truth");
    sono_image_init(&mask);
    mask.pixels = truth.mask;
    mask.width_px = truth.width_px;
    mask.height_px = truth.height_px;
    mask.format = SONO_PIXEL_GRAY8;
    core_pixels *pixels = make_pixels(&mask);
    if (pixels)
        copy_rows(pixels, &mask);
    return (PyObject *)pixels;
}

static PyObject *frame_of(core_source *self, const sono_image *image, const sono_frame_info *info,
                          const char *name)
{
    core_pixels *pixels = make_pixels(image);
    if (!pixels)
        return NULL;
    Py_BEGIN_ALLOW_THREADS copy_rows(pixels, image);
    Py_END_ALLOW_THREADS return Py_BuildValue("NNyiNN", pixels, core_info_facts(info), name,
                                              (int)image->gray16_white, fields_of(self->source),
                                              truth_of(self));
}

/* next() -> (pixels, info, name, white of 16-bit pixels, fields, truth or None), or None at the end */
static PyObject *next_frame(PyObject *object, PyObject *unused)
{
    core_source *self = (core_source *)object;
    const char *name = NULL;
    PyObject *out = NULL;
    sono_image image;
    sono_frame_info info;
    sono_status status;
    sono_error error;
    (void)unused;
    if (take(self) < 0)
        return NULL;
    sono_image_init(&image);
    sono_frame_info_init(&info);
    Py_BEGIN_ALLOW_THREADS status = sono_source_next(self->source, &image, &info, &name, &error);
    Py_END_ALLOW_THREADS if (status == SONO_STATUS_OK) out = frame_of(self, &image, &info, name ? name : "");
    else if (status == SONO_STATUS_END) out = Py_BuildValue("");
    else core_raise(&error);
    self->is_busy = 0;
    return out;
}

static PyObject *count(PyObject *object, PyObject *unused)
{
    core_source *self = (core_source *)object;
    (void)unused;
    if (take(self) < 0)
        return NULL;
    const int64_t n = sono_source_count(self->source);
    self->is_busy = 0;
    return PyLong_FromLongLong(n);
}

static PyObject *close_source(PyObject *object, PyObject *unused)
{
    core_source *self = (core_source *)object;
    (void)unused;
    if (!self->source)
        Py_RETURN_NONE;
    if (take(self) < 0)
        return NULL;
    sono_source_close(self->source);
    self->source = NULL;
    self->is_busy = 0;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"next", next_frame, METH_NOARGS, "next() -> tuple or None"},
    {"count", count, METH_NOARGS, "count() -> int, -1 = unknown"},
    {"close", close_source, METH_NOARGS, "close()"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, open_source},
    {Py_tp_dealloc, free_source},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec core_source_spec = {
    .name = "sonoseg._core.Source",
    .basicsize = sizeof(core_source),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
