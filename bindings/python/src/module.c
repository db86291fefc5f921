// SPDX-License-Identifier: Apache-2.0
/* The module: its functions, its types, and how an error becomes an exception. */
#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PyTypeObject *core_pipeline_type, *core_packet_type, *core_map_type, *core_source_type, *core_pixels_type;

/* What makes an exception of (status, text, where, native code, offset). */
static PyObject *make_error;

PyObject *core_raise(const sono_error *error)
{
    if (!make_error)
        return PyErr_Format(PyExc_RuntimeError, "%s", error->text);
    /* Paths in it are any bytes. */
    PyObject *text = PyUnicode_DecodeUTF8(error->text, (Py_ssize_t)strlen(error->text), "replace");
    PyObject *made = text ? PyObject_CallFunction(make_error, "iOsiL", (int)error->status, text, error->where,
                                                  (int)error->native_code, (long long)error->offset_bytes)
                          : NULL;
    Py_XDECREF(text);
    if (made)
        PyErr_SetObject((PyObject *)Py_TYPE(made), made);
    Py_XDECREF(made);
    return NULL;
}

PyObject *core_raise_status(sono_status status, const char *where)
{
    return core_fail(status, "%s: %s", where, sono_status_text(status));
}

PyObject *core_fail(sono_status status, const char *format, ...)
{
    sono_error error = {.status = status, .offset_bytes = -1, .where = "python"};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.text, sizeof error.text, format, arguments);
    va_end(arguments);
    return core_raise(&error);
}

void core_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

static PyObject *set_error(PyObject *module, PyObject *factory)
{
    (void)module;
    PyObject *before = make_error;
    Py_INCREF(factory);
    make_error = factory;
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyObject *status_name(PyObject *module, PyObject *number)
{
    (void)module;
    const long status = PyLong_AsLong(number);
    if (status == -1 && PyErr_Occurred())
        return NULL;
    return Py_BuildValue("ss", sono_status_name((sono_status)status), sono_status_text((sono_status)status));
}

/* "cpu" or "cuda": the backend that a device's name, as bytes, takes on this machine. */
static PyObject *device_backend(PyObject *module, PyObject *args)
{
    (void)module;
    const char *device = NULL;
    sono_backend backend = SONO_BACKEND_CPU;
    sono_error error;
    sono_status status;
    if (!PyArg_ParseTuple(args, "y", &device))
        return NULL;
    Py_BEGIN_ALLOW_THREADS status = sono_device_backend(device, &backend, &error);
    Py_END_ALLOW_THREADS return status == SONO_STATUS_OK ? PyUnicode_FromString(sono_backend_name(backend))
                                                         : core_raise(&error);
}

static PyObject *stage_names(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    const int32_t n = sono_stage_count();
    PyObject *names = PyTuple_New(n);
    for (int32_t i = 0; names && i < n; i++) {
        PyObject *name = PyUnicode_FromString(sono_stage_name((sono_stage)i));
        if (!name || PyTuple_SetItem(names, i, name) < 0)
            Py_CLEAR(names);
    }
    return names;
}

static PyMethodDef functions[] = {
    {"set_error", set_error, METH_O, "set_error(factory): what makes exceptions"},
    {"status_name", status_name, METH_O, "status_name(number) -> (name, text)"},
    {"device_backend", device_backend, METH_VARARGS, "device_backend(name: bytes) -> str"},
    {"phantom", core_phantom, METH_VARARGS, "phantom(...) -> Source"},
    {"stage_names", stage_names, METH_NOARGS, "stage_names() -> tuple of str"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "sonoseg._core",
    .m_doc = "libsonoseg for the package sonoseg; not to be used by itself.",
    .m_size = -1,
    .m_methods = functions,
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec, PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromSpec(spec);
    return *out ? PyModule_AddObjectRef(module, name, (PyObject *)*out) : -1;
}

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (add_type(module, "Pipeline", &core_pipeline_spec, &core_pipeline_type) < 0 ||
        add_type(module, "Packet", &core_packet_spec, &core_packet_type) < 0 ||
        add_type(module, "Map", &core_map_spec, &core_map_type) < 0 ||
        add_type(module, "Source", &core_source_spec, &core_source_type) < 0 ||
        add_type(module, "Pixels", &core_pixels_spec, &core_pixels_type) < 0 ||
        PyModule_AddStringConstant(module, "version", sono_version()) < 0 ||
        PyModule_AddStringConstant(module, "backends", sono_backends()) < 0)
        Py_CLEAR(module);
    return module;
}
