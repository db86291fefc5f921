// SPDX-License-Identifier: Apache-2.0
/* Frames in: from buffers, with prompts, and as DLPack tensors. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

struct CUstream_st *core_stream(unsigned long long number)
{
    return number <= 1 ? NULL : (struct CUstream_st *)(uintptr_t)number;
}

/* Keeps an object until the frame's packet is received, under the number that the library hands through. */
static int keep(core_pipeline *self, PyObject *kept, sono_frame_info *info)
{
    info->user = (uint64_t)(uintptr_t)kept;
    PyObject *key = PyLong_FromUnsignedLongLong(info->user);
    const int status = key && self->kept ? PyDict_SetItem(self->kept, key, kept) : -1;
    Py_XDECREF(key);
    return status;
}

/* Leaves an exception that is set as it is. */
static void forget(core_pipeline *self, const sono_frame_info *info)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *key = PyLong_FromUnsignedLongLong(info->user);
    if (!key || !self->kept || PyDict_DelItem(self->kept, key) < 0)
        PyErr_Clear();
    Py_XDECREF(key);
    PyErr_Restore(type, value, traceback);
}

/* ---- prompts ---- */

typedef struct prompts {
    sono_prompt *prompt; /* NULL: a pipeline with a detector */
    sono_point *points;  /* of all of them */
    int32_t n;
} prompts;

static void free_prompts(prompts *p)
{
    free(p->prompt);
    free(p->points);
}

static int read_points(PyObject *list, sono_point *out, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *point = PyTuple_GetItem(list, i);
        int label = 1;
        if (!point || !PyArg_ParseTuple(point, "ffi", &out[i].x_px, &out[i].y_px, &label))
            return -1;
        out[i].label = label;
    }
    return 0;
}

/* One ((x1, y1, x2, y2), ((x, y, label), ...)). */
static int read_prompt(PyObject *item, sono_prompt *out, sono_point **points, Py_ssize_t *room)
{
    PyObject *box, *list;
    float *b = out->bbox_xyxy_px;
    if (!PyArg_ParseTuple(item, "O!O!", &PyTuple_Type, &box, &PyTuple_Type, &list) ||
        !PyArg_ParseTuple(box, "ffff", &b[0], &b[1], &b[2], &b[3]))
        return -1;
    const Py_ssize_t n = PyTuple_Size(list);
    if (n > *room) {
        core_fail(SONO_STATUS_INVALID_ARGUMENT, "a prompt of %zd points: 16 are the most", n);
        return -1;
    }
    if (read_points(list, *points, n) < 0)
        return -1;
    out->points = n ? *points : NULL;
    out->n_points = (int32_t)n;
    *points += n;
    *room -= n;
    return 0;
}

#define MAX_PROMPTS 16
#define MAX_POINTS  16

static int read_prompts(PyObject *list, prompts *out)
{
    memset(out, 0, sizeof *out);
    if (list == Py_None)
        return 0;
    const Py_ssize_t n = PyTuple_Size(list);
    if (n < 0)
        return -1;
    if (n > MAX_PROMPTS) {
        core_fail(SONO_STATUS_INVALID_ARGUMENT, "%zd prompts: %d are the most", n, MAX_PROMPTS);
        return -1;
    }
    out->prompt = calloc((size_t)n + 1, sizeof *out->prompt);
    out->points = calloc((size_t)n * MAX_POINTS + 1, sizeof *out->points);
    if (!out->prompt || !out->points) {
        PyErr_NoMemory();
        return -1;
    }
    for (sono_point *points = out->points; out->n < n; out->n++) {
        Py_ssize_t room = MAX_POINTS;
        if (read_prompt(PyTuple_GetItem(list, out->n), &out->prompt[out->n], &points, &room) < 0)
            return -1;
    }
    return 0;
}

/* ---- buffers ---- */

static int submit_image(core_pipeline *self, const core_image *image, const sono_frame_info *info,
                        const prompts *p)
{
    sono_status status;
    sono_error error;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return -1;
    Py_BEGIN_ALLOW_THREADS status =
        p->prompt ? sono_pipeline_submit_prompts(handle, &image->image, info, p->prompt, p->n, &error)
                  : sono_pipeline_submit(handle, &image->image, info, &error);
    Py_END_ALLOW_THREADS core_pipeline_leave(self);
    if (status != SONO_STATUS_OK)
        core_raise(&error);
    return status == SONO_STATUS_OK ? 0 : -1;
}

/* submit(image, info: tuple, white of 16-bit pixels, prompts: tuple or None, kept) */
PyObject *core_pipeline_submit(PyObject *object, PyObject *args)
{
    core_pipeline *self = (core_pipeline *)object;
    PyObject *pixels, *facts, *list, *kept;
    int white = 0;
    core_image image;
    sono_frame_info info;
    prompts p;
    if (!PyArg_ParseTuple(args, "OOiOO", &pixels, &facts, &white, &list, &kept) ||
        core_info_take(facts, &info) < 0 || core_image_take(pixels, &image) < 0)
        return NULL;
    image.image.gray16_white = white;
    int status = read_prompts(list, &p) < 0 || keep(self, kept, &info) < 0 ? -1 : 0;
    if (status == 0 && (status = submit_image(self, &image, &info, &p)) < 0)
        forget(self, &info);
    free_prompts(&p);
    core_image_release(&image);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- DLPack tensors ---- */

static int submit_tensor(core_pipeline *self, PyObject *capsule, int is_versioned,
                         const sono_frame_info *info, struct CUstream_st *stream)
{
    const char *const name = is_versioned ? "dltensor_versioned" : "dltensor";
    void *tensor = PyCapsule_GetPointer(capsule, name);
    sono_status status;
    sono_error error;
    sono_pipeline *handle = tensor ? core_pipeline_enter(self) : NULL;
    if (!handle)
        return -1;
    /* It is the library's from here on, which may delete it at once; on failure it is the capsule's again. */
    PyCapsule_SetName(capsule, is_versioned ? "used_dltensor_versioned" : "used_dltensor");
    Py_BEGIN_ALLOW_THREADS status =
        is_versioned ? sono_pipeline_submit_dlpack_versioned(handle, tensor, info, stream, &error)
                     : sono_pipeline_submit_dlpack(handle, tensor, info, stream, &error);
    Py_END_ALLOW_THREADS core_pipeline_leave(self);
    if (status == SONO_STATUS_OK)
        return 0;
    PyCapsule_SetName(capsule, name);
    core_raise(&error);
    return -1;
}

/* submit_dlpack(capsule, info: tuple, stream: int, kept) */
PyObject *core_pipeline_submit_dlpack(PyObject *object, PyObject *args)
{
    core_pipeline *self = (core_pipeline *)object;
    PyObject *capsule, *facts, *kept;
    unsigned long long stream = 0;
    sono_frame_info info;
    if (!PyArg_ParseTuple(args, "OOKO", &capsule, &facts, &stream, &kept) || core_info_take(facts, &info) < 0)
        return NULL;
    const int is_versioned = PyCapsule_IsValid(capsule, "dltensor_versioned");
    if (!is_versioned && !PyCapsule_IsValid(capsule, "dltensor")) {
        PyErr_SetString(PyExc_TypeError,
                        "__dlpack__() returned no DLPack capsule, or one that was used before");
        return NULL;
    }
    if (keep(self, kept, &info) < 0)
        return NULL;
    if (submit_tensor(self, capsule, is_versioned, &info, core_stream(stream)) < 0) {
        forget(self, &info);
        return NULL;
    }
    Py_RETURN_NONE;
}
