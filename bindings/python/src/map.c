// SPDX-License-Identifier: Apache-2.0
/* Maps of a packet, lent on: in host memory as a buffer and a DLPack tensor, on a GPU as a DLPack tensor. */
#include "core.h"

#include <stdlib.h>

typedef struct core_map {
    PyObject ob_base;    /* PyObject_HEAD */
    core_packet *packet; /* a reference */
    sono_map_view view;
    Py_ssize_t shape[2], strides[2];
} core_map;

PyObject *core_map_make(core_packet *packet, int32_t object, sono_map which)
{
    const sono_packet *lent = core_packet_get(packet);
    sono_map_view view;
    if (!lent)
        return NULL;
    const sono_status status = sono_packet_map(lent, object, which, &view);
    if (status == SONO_STATUS_INVALID_ARGUMENT)
        return core_fail(status,
                         "there is no object %d, or no map %d: the packet has %d objects, counted from 0",
                         object, (int)which, (int)lent->n_objects);
    if (status != SONO_STATUS_OK)
        return core_fail(status,
                         "that map is not in host memory: open the pipeline with weight_maps=True for edge, "
                         "inside and outside; with a segmenter for masks; and without host_maps=False");
    core_map *self = (core_map *)PyType_GenericAlloc(core_map_type, 0);
    if (!self)
        return NULL;
    const Py_ssize_t element_bytes = view.dtype == SONO_MAP_DTYPE_F32 ? (Py_ssize_t)sizeof(float) : 1;
    Py_INCREF((PyObject *)packet);
    packet->n_maps++;
    self->packet = packet;
    self->view = view;
    self->shape[0] = view.height_px;
    self->shape[1] = view.width_px;
    self->strides[0] = (Py_ssize_t)view.pitch_bytes;
    self->strides[1] = element_bytes;
    return (PyObject *)self;
}

static void dealloc(PyObject *object)
{
    core_map *self = (core_map *)object;
    if (self->packet) {
        core_packet_map_ended(self->packet);
        Py_DECREF((PyObject *)self->packet);
    }
    core_free(object);
}

static int get_buffer(PyObject *object, Py_buffer *out, int flags)
{
    core_map *self = (core_map *)object;
    if (flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError, "maps are read-only: copy one to change it");
        out->obj = NULL;
        return -1;
    }
    Py_INCREF(object);
    out->obj = object;
    out->buf = (void *)(uintptr_t)self->view.data;
    out->itemsize = self->strides[1];
    out->len = self->shape[0] * self->shape[1] * out->itemsize;
    out->readonly = 1;
    out->ndim = 2;
    out->format = NULL;
    if (flags & PyBUF_FORMAT)
        out->format = (char *)(uintptr_t)(self->view.dtype == SONO_MAP_DTYPE_F32 ? "f" : "B");
    out->shape = (flags & PyBUF_ND) == PyBUF_ND ? self->shape : NULL;
    out->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? self->strides : NULL;
    out->suboffsets = NULL;
    out->internal = NULL;
    return 0;
}

/* ---- capsules of DLPack ---- */

/* Whoever takes a tensor out of a capsule renames it; one that nobody took is deleted with it. */
static void destroy_plain(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, "dltensor"))
        return;
    DLManagedTensor *tensor = PyCapsule_GetPointer(capsule, "dltensor");
    if (tensor->deleter)
        tensor->deleter(tensor);
}

static void destroy_versioned(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, "dltensor_versioned"))
        return;
    DLManagedTensorVersioned *tensor = PyCapsule_GetPointer(capsule, "dltensor_versioned");
    if (tensor->deleter)
        tensor->deleter(tensor);
}

static PyObject *wrap_plain(DLManagedTensor *tensor)
{
    PyObject *capsule = PyCapsule_New(tensor, "dltensor", destroy_plain);
    if (!capsule)
        tensor->deleter(tensor);
    return capsule;
}

static PyObject *wrap_versioned(DLManagedTensorVersioned *tensor)
{
    PyObject *capsule = PyCapsule_New(tensor, "dltensor_versioned", destroy_versioned);
    if (!capsule)
        tensor->deleter(tensor);
    return capsule;
}

/* A host map as a tensor; owner is a reference. */
typedef struct host_tensor {
    DLManagedTensor plain;
    DLManagedTensorVersioned versioned;
    int64_t shape[2], strides[2];
    PyObject *owner;
} host_tensor;

/* On any thread, and when Python has ended: then its objects are gone. */
static void end_tensor(host_tensor *tensor)
{
    if (Py_IsInitialized()) {
        const PyGILState_STATE state = PyGILState_Ensure();
        Py_DECREF(tensor->owner);
        PyGILState_Release(state);
    }
    free(tensor);
}

static void delete_plain(DLManagedTensor *self)
{
    end_tensor(self->manager_ctx);
}

static void delete_versioned(DLManagedTensorVersioned *self)
{
    end_tensor(self->manager_ctx);
}

/* dlpack(versioned) -> capsule */
static PyObject *dlpack(PyObject *object, PyObject *args)
{
    core_map *self = (core_map *)object;
    const int is_float = self->view.dtype == SONO_MAP_DTYPE_F32;
    int is_versioned = 0;
    if (!PyArg_ParseTuple(args, "p", &is_versioned))
        return NULL;
    host_tensor *tensor = calloc(1, sizeof *tensor);
    if (!tensor)
        return PyErr_NoMemory();
    Py_INCREF(object);
    tensor->owner = object;
    for (int i = 0; i < 2; i++) {
        tensor->shape[i] = self->shape[i];
        tensor->strides[i] = self->strides[i] / self->strides[1];
    }
    const DLTensor view = {.data = (void *)(uintptr_t)self->view.data,
                           .device = {kDLCPU, 0},
                           .ndim = 2,
                           .dtype = {is_float ? kDLFloat : kDLUInt, is_float ? 32 : 8, 1},
                           .shape = tensor->shape,
                           .strides = tensor->strides};
    tensor->plain = (DLManagedTensor){view, tensor, delete_plain};
    tensor->versioned = (DLManagedTensorVersioned){.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
                                                   .manager_ctx = tensor,
                                                   .deleter = delete_versioned,
                                                   .flags = DLPACK_FLAG_BITMASK_READ_ONLY,
                                                   .dl_tensor = view};
    return is_versioned ? wrap_versioned(&tensor->versioned) : wrap_plain(&tensor->plain);
}

PyObject *core_device_map(core_packet *packet, int32_t object, sono_map which, struct CUstream_st *stream,
                          int is_versioned)
{
    const sono_packet *lent = core_packet_get(packet);
    DLManagedTensor *plain = NULL;
    DLManagedTensorVersioned *versioned = NULL;
    sono_status status;
    sono_error error;
    if (!lent)
        return NULL;
    if (is_versioned)
        status =
            sono_packet_map_dlpack_versioned(packet->handle, lent, object, which, stream, &versioned, &error);
    else
        status = sono_packet_map_dlpack(packet->handle, lent, object, which, stream, &plain, &error);
    if (status != SONO_STATUS_OK)
        return core_raise(&error);
    return is_versioned ? wrap_versioned(versioned) : wrap_plain(plain);
}

static PyMethodDef methods[] = {
    {"dlpack", dlpack, METH_VARARGS, "dlpack(versioned) -> capsule"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_bf_getbuffer, get_buffer},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec core_map_spec = {
    .name = "sonoseg._core.Map",
    .basicsize = sizeof(core_map),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
