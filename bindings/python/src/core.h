// SPDX-License-Identifier: Apache-2.0
/*
 * The C half of the Python package: the objects of sonoseg.h with Python's reference counts, and no policy.
 * What is pleasant to use is written in Python, in bindings/python/sonoseg. Built against the limited API of
 * CPython 3.11, the first that has buffers: one file runs on that version and all later ones.
 *
 * Rules of every function here: it is called with the GIL held, gives it up around calls of the library that
 * may wait or compute, and returns NULL or -1 with an exception set on failure.
 */
#ifndef SONOSEG_PYTHON_CORE_H
#define SONOSEG_PYTHON_CORE_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sonoseg/cuda.h"
#include "sonoseg/io.h"
#include "sonoseg/models.h"
#include "sonoseg/sonoseg.h"

#include <pthread.h>

/* ---- errors (module.c) ---- */

/* Sets the exception that Python made of an error; always returns NULL. */
PyObject *core_raise(const sono_error *error);
/* The same for calls that report nothing but a status. */
PyObject *core_raise_status(sono_status status, const char *where);
/* The same in words of our own. */
PyObject *core_fail(sono_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- images (image.c) ---- */

/* An object's pixels as the library takes them; to be ended by core_image_release(). */
typedef struct core_image {
    Py_buffer view;
    sono_image image;
} core_image;

/* object: anything with a buffer of uint8 [H, W], [1, H, W], [H, W, 1], [H, W, 3], [H, W, 4] or uint16 in one
 * channel; rows may be apart, a row's pixels must be contiguous. Returns 0, or -1 with TypeError or the
 * package's error. */
int core_image_take(PyObject *object, core_image *out);
void core_image_release(core_image *image);

/* The metadata of a frame from the tuple (frame_id, timestamp_ns, spacing x, spacing y, pose or None,
 * orientation, coordinates, device name as bytes). */
int core_info_take(PyObject *facts, sono_frame_info *out);
PyObject *core_info_facts(const sono_frame_info *info);

/* ---- pipelines (pipeline.c, config.c, submit.c) ---- */

typedef struct core_pipeline {
    PyObject ob_base;      /* PyObject_HEAD */
    sono_pipeline *handle; /* NULL before open and after close */
    pthread_mutex_t mutex; /* of the next three */
    pthread_cond_t is_idle;
    int32_t n_calls; /* of the handle, under way */
    int32_t is_closing;
    PyObject
        *kept; /* dict: address -> what belongs to a frame in flight; the library hands the address through */
    PyObject *on_event; /* NULL = nobody listens */
} core_pipeline;

/* Between these two the handle stays open. enter: NULL with an exception where it is closed. Any thread. */
sono_pipeline *core_pipeline_enter(core_pipeline *pipeline);
void core_pipeline_leave(core_pipeline *pipeline);

/* A configuration, and what its pointers point to. */
typedef struct core_config {
    sono_pipeline_config config;
    sono_state_rules rules;
} core_config;

/* settings: dict of field name -> int, float or bytes; `region` a tuple of 4, `state_rules` a dict of ints.
 * What it points to is borrowed from settings. */
int core_config_fill(core_config *out, PyObject *settings);

PyObject *core_pipeline_submit(PyObject *self, PyObject *args);
PyObject *core_pipeline_submit_dlpack(PyObject *self, PyObject *args);

/* The stream of DLPack's protocol for a number of Python's: 0 and 1 are the default stream. */
struct CUstream_st *core_stream(unsigned long long number);

/* ---- packets and their maps (packet.c, map.c) ---- */

typedef struct core_packet {
    PyObject ob_base;          /* PyObject_HEAD */
    core_pipeline *pipeline;   /* a reference */
    sono_pipeline *handle;     /* that lent it, maybe closed since: what is lent keeps it */
    const sono_packet *packet; /* NULL: given back */
    PyObject *kept;
    int32_t n_maps;      /* alive: they read the packet's memory */
    int32_t is_released; /* to be given back with the last map */
} core_packet;

/* Takes over the packet, and the reference in kept. */
PyObject *core_packet_make(core_pipeline *pipeline, sono_pipeline *handle, const sono_packet *packet,
                           PyObject *kept);
/* The packet, or NULL with an exception when it was released. */
const sono_packet *core_packet_get(core_packet *packet);
/* A map less; gives the packet back if it was the last one that somebody waited for. */
void core_packet_map_ended(core_packet *packet);

/* A host map with a buffer and __dlpack__, which keeps the packet lent. */
PyObject *core_map_make(core_packet *packet, int32_t object, sono_map which);
/* A capsule that holds what the library lent. */
PyObject *core_device_map(core_packet *packet, int32_t object, sono_map which, struct CUstream_st *stream,
                          int is_versioned);

/* ---- sources (source.c) ---- */

PyObject *core_phantom(PyObject *module, PyObject *args);

/* ---- types ---- */

extern PyType_Spec core_pipeline_spec, core_packet_spec, core_map_spec, core_source_spec, core_pixels_spec;
extern PyTypeObject *core_pipeline_type, *core_packet_type, *core_map_type, *core_source_type,
    *core_pixels_type;

/* What Python calls to import the module. */
PyMODINIT_FUNC PyInit__core(void);

/* For tp_dealloc of the heap types: frees the object and gives up its type. */
void core_free(PyObject *self);

#endif
