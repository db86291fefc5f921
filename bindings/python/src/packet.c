// SPDX-License-Identifier: Apache-2.0
/* A lent packet and what it says. */
#include "core.h"

PyObject *core_packet_make(core_pipeline *pipeline, sono_pipeline *handle, const sono_packet *packet,
                           PyObject *kept)
{
    core_packet *self = (core_packet *)PyType_GenericAlloc(core_packet_type, 0);
    if (!self) {
        (void)sono_packet_release(handle, packet);
        Py_XDECREF(kept);
        return NULL;
    }
    Py_INCREF((PyObject *)pipeline);
    self->pipeline = pipeline;
    self->handle = handle;
    self->packet = packet;
    self->kept = kept;
    return (PyObject *)self;
}

const sono_packet *core_packet_get(core_packet *self)
{
    if (self->is_released || !self->packet) {
        core_fail(SONO_STATUS_STATE, "the packet was released: what it showed of its frame is gone");
        return NULL;
    }
    return self->packet;
}

static void give_back(core_packet *self)
{
    const sono_packet *packet = self->packet;
    self->packet = NULL;
    if (packet)
        (void)sono_packet_release(self->handle, packet);
}

void core_packet_map_ended(core_packet *self)
{
    if (--self->n_maps == 0 && self->is_released)
        give_back(self);
}

static PyObject *release(PyObject *object, PyObject *unused)
{
    core_packet *self = (core_packet *)object;
    (void)unused;
    self->is_released = 1;
    if (self->n_maps == 0)
        give_back(self);
    Py_RETURN_NONE;
}

static void dealloc(PyObject *object)
{
    core_packet *self = (core_packet *)object;
    give_back(self);
    Py_XDECREF(self->kept);
    Py_XDECREF((PyObject *)self->pipeline);
    core_free(object);
}

/* ---- facts ---- */

static PyObject *objects_of(const sono_packet *packet)
{
    PyObject *list = PyTuple_New(packet->n_objects);
    for (int32_t i = 0; list && i < packet->n_objects; i++) {
        const sono_object *o = sono_packet_object(packet, i);
        const float *b = o->bbox_xyxy_px;
        PyObject *item = Py_BuildValue("(ffff)fifL", b[0], b[1], b[2], b[3], o->score, (int)o->class_id,
                                       o->iou_predicted, (long long)o->mask_area_px);
        if (!item || PyTuple_SetItem(list, i, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *stages_of(const sono_packet *packet)
{
    const int32_t n = sono_stage_count();
    PyObject *list = PyTuple_New(n);
    for (int32_t i = 0; list && i < n; i++) {
        PyObject *ms = PyFloat_FromDouble(sono_packet_stage_ms(packet, (sono_stage)i));
        if (!ms || PyTuple_SetItem(list, i, ms) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* None where states go by the score alone. */
static PyObject *parts_of(const sono_packet *packet)
{
    const sono_parts *p = sono_packet_parts(packet);
    if (!p)
        return Py_BuildValue("");
    return Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "score", (int)p->score,
                         "iou", (int)p->iou, "sharpness", (int)p->sharpness, "contrast", (int)p->contrast,
                         "shadow", (int)p->shadow, "continuity", (int)p->continuity, "agreement",
                         (int)p->agreement, "surface", (int)p->surface, "is_repeat", (int)p->is_repeat,
                         "moved_x", (int)p->moved_x, "moved_y", (int)p->moved_y, "has_box", (int)p->has_box,
                         "is_recalled", (int)p->is_recalled);
}

static PyObject *report_of(const sono_packet *packet)
{
    const sono_state_report *r = sono_packet_report(packet);
    if (!r)
        return Py_BuildValue("");
    return Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "quality", (int)r->quality, "agreement",
                         (int)r->agreement, "reasons", (int)r->reasons, "dt_us", (int)r->dt_us, "trust_us",
                         (int)r->trust_us, "doubt_us", (int)r->doubt_us, "repeat_us", (int)r->repeat_us);
}

static PyObject *region_of(const sono_packet *packet)
{
    sono_region r;
    if (sono_packet_region(packet, &r) != SONO_STATUS_OK)
        return Py_BuildValue("");
    return Py_BuildValue("iiii", (int)r.x_px, (int)r.y_px, (int)r.width_px, (int)r.height_px);
}

static PyObject *ledger_of(const sono_packet *packet)
{
    const sono_ledger_totals *l = &packet->ledger;
    return Py_BuildValue("iiiiiLL", (int)l->n_allocations, (int)l->n_h2d, (int)l->n_launches, (int)l->n_d2h,
                         (int)l->n_waits, (long long)l->bytes_h2d, (long long)l->bytes_d2h);
}

/* Everything but maps and surface, as Python's own: it stays when the packet is given back. */
static PyObject *facts(PyObject *object, PyObject *unused)
{
    core_packet *self = (core_packet *)object;
    const sono_packet *p = core_packet_get(self);
    (void)unused;
    if (!p)
        return NULL;
    return Py_BuildValue("{s:N,s:s,s:i,s:i,s:s,s:s,s:d,s:d,s:N,s:N,s:N,s:N,s:N,s:N}", "info",
                         core_info_facts(p->info), "state", sono_state_name(p->state), "width_px",
                         (int)p->width_px, "height_px", (int)p->height_px, "backend",
                         sono_backend_name(p->backend), "precision", sono_precision_name(p->precision),
                         "latency_ms", p->latency_ms, "device_ms", p->device_ms, "ledger", ledger_of(p),
                         "objects", objects_of(p), "stages", stages_of(p), "region", region_of(p), "parts",
                         parts_of(p), "report", report_of(p));
}

/* (points as bytes of float32 x, y; starts as bytes of int32) */
static PyObject *surface(PyObject *object, PyObject *unused)
{
    core_packet *self = (core_packet *)object;
    const sono_packet *packet = core_packet_get(self);
    sono_surface_view view;
    (void)unused;
    if (!packet)
        return NULL;
    if (sono_packet_surface(packet, &view) != SONO_STATUS_OK)
        return core_fail(SONO_STATUS_UNSUPPORTED,
                         "the surface was not asked for: open the pipeline with surface=True");
    return Py_BuildValue(
        "y#y#", (const char *)view.points_px, (Py_ssize_t)view.n_points * 2 * (Py_ssize_t)sizeof(float),
        (const char *)view.line_starts, ((Py_ssize_t)view.n_lines + 1) * (Py_ssize_t)sizeof(int32_t));
}

/* ---- maps ---- */

/* map(object, which) -> Map in host memory */
static PyObject *map(PyObject *object, PyObject *args)
{
    int index = 0, which = 0;
    if (!PyArg_ParseTuple(args, "ii", &index, &which))
        return NULL;
    return core_map_make((core_packet *)object, index, (sono_map)which);
}

/* dlpack(object, which, stream, versioned) -> capsule of a tensor on the GPU */
static PyObject *dlpack(PyObject *object, PyObject *args)
{
    int index = 0, which = 0, is_versioned = 0;
    unsigned long long stream = 0;
    if (!PyArg_ParseTuple(args, "iiKp", &index, &which, &stream, &is_versioned))
        return NULL;
    return core_device_map((core_packet *)object, index, (sono_map)which, core_stream(stream), is_versioned);
}

/* device() -> the ordinal of the GPU that has the maps */
static PyObject *device(PyObject *object, PyObject *unused)
{
    core_packet *self = (core_packet *)object;
    const sono_packet *packet = core_packet_get(self);
    sono_device_maps maps;
    sono_error error;
    (void)unused;
    if (!packet)
        return NULL;
    const sono_status status = sono_packet_device_maps(self->handle, packet, 0, &maps, &error);
    return status == SONO_STATUS_OK ? PyLong_FromLong(maps.device) : core_raise(&error);
}

static PyObject *kept(PyObject *object, void *unused)
{
    core_packet *self = (core_packet *)object;
    PyObject *out = self->kept ? self->kept : Py_None;
    (void)unused;
    Py_INCREF(out);
    return out;
}

static PyObject *released(PyObject *object, void *unused)
{
    core_packet *self = (core_packet *)object;
    (void)unused;
    return PyBool_FromLong(self->is_released || !self->packet);
}

static PyMethodDef methods[] = {
    {"facts", facts, METH_NOARGS, "facts() -> dict"},
    {"surface", surface, METH_NOARGS, "surface() -> (points, starts)"},
    {"map", map, METH_VARARGS, "map(object, which) -> Map"},
    {"dlpack", dlpack, METH_VARARGS, "dlpack(object, which, stream, versioned) -> capsule"},
    {"device", device, METH_NOARGS, "device() -> int"},
    {"release", release, METH_NOARGS, "release()"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"kept", kept, NULL, "what was submitted with the frame", NULL},
    {"released", released, NULL, "whether it was given back", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec core_packet_spec = {
    .name = "sonoseg._core.Packet",
    .basicsize = sizeof(core_packet),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
