// SPDX-License-Identifier: Apache-2.0
/* A pipeline: open, wait, receive, close. Submitting is in submit.c. */
#include "core.h"

#include <string.h>

/* Waits are cut into these, so that Ctrl-C is seen and close() can end them; a frame ends one at once. */
#define SLICE_NS 100000000

/* ---- calls under way ---- */

sono_pipeline *core_pipeline_enter(core_pipeline *self)
{
    sono_pipeline *handle = NULL;
    pthread_mutex_lock(&self->mutex);
    if (self->handle && !self->is_closing) {
        handle = self->handle;
        self->n_calls++;
    }
    pthread_mutex_unlock(&self->mutex);
    if (!handle)
        core_fail(SONO_STATUS_STATE, "the pipeline is closed");
    return handle;
}

void core_pipeline_leave(core_pipeline *self)
{
    pthread_mutex_lock(&self->mutex);
    if (--self->n_calls == 0)
        pthread_cond_broadcast(&self->is_idle);
    pthread_mutex_unlock(&self->mutex);
}

/* Takes the handle for whoever closes it, once no call uses it; NULL: it is closed, or another thread does.
 */
static sono_pipeline *take_handle(core_pipeline *self)
{
    sono_pipeline *handle = NULL;
    pthread_mutex_lock(&self->mutex);
    if (self->handle && !self->is_closing) {
        self->is_closing = 1;
        (void)sono_pipeline_wake(self->handle);
        while (self->n_calls > 0)
            pthread_cond_wait(&self->is_idle, &self->mutex);
        handle = self->handle;
        self->handle = NULL;
    }
    pthread_mutex_unlock(&self->mutex);
    return handle;
}

static PyObject *close_pipeline(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS sono_pipeline_close(take_handle(self));
    Py_END_ALLOW_THREADS if (self->kept) PyDict_Clear(self->kept);
    Py_CLEAR(self->on_event);
    Py_RETURN_NONE;
}

/* ---- events ---- */

static PyObject *event_dict(const sono_event *event)
{
    const sono_event_field *field;
    PyObject *out = Py_BuildValue("{s:s,s:d}", "event", sono_event_name(event->kind), "ts",
                                  (double)event->timestamp_ns / 1e9);
    PyObject *value =
        event->has_frame ? PyLong_FromUnsignedLongLong(event->frame_id) : (Py_INCREF(Py_None), Py_None);
    if (!out || !value || PyDict_SetItemString(out, "frame", value) < 0)
        Py_CLEAR(out);
    Py_XDECREF(value);
    for (int32_t i = 0; out && (field = sono_event_field_at(event, i)); i++) {
        if (field->type == SONO_EVENT_INTEGER)
            value = PyLong_FromLongLong(field->integer);
        else if (field->type == SONO_EVENT_NUMBER)
            value = PyFloat_FromDouble(field->number);
        else
            value = PyUnicode_DecodeUTF8(field->text, (Py_ssize_t)strlen(field->text), "replace");
        if (!value || PyDict_SetItemString(out, field->key, value) < 0)
            Py_CLEAR(out);
        Py_XDECREF(value);
    }
    return out;
}

/* On the library's thread. An exception there is nobody's: Python prints it. */
static void tell(void *user, const sono_event *event)
{
    PyObject *listener = user;
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject *dict = event_dict(event);
    PyObject *result = dict ? PyObject_CallFunctionObjArgs(listener, dict, NULL) : NULL;
    if (!result)
        PyErr_WriteUnraisable(listener);
    Py_XDECREF(result);
    Py_XDECREF(dict);
    PyGILState_Release(state);
}

/* ---- open ---- */

/* Pipeline(settings: dict, on_event: callable or None) */
static PyObject *open_pipeline(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *settings, *on_event;
    core_config config;
    sono_error error;
    sono_status status;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "OO", &settings, &on_event) || core_config_fill(&config, settings) < 0)
        return NULL;
    core_pipeline *self = (core_pipeline *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->is_idle, NULL);
    self->kept = PyDict_New();
    if (on_event != Py_None) {
        Py_INCREF(on_event);
        self->on_event = on_event;
        config.config.on_event = tell;
        config.config.on_event_user = on_event;
    }
    Py_BEGIN_ALLOW_THREADS status = sono_pipeline_open(&config.config, &self->handle, &error);
    Py_END_ALLOW_THREADS if (status == SONO_STATUS_OK && self->kept) return (PyObject *)self;
    if (status != SONO_STATUS_OK)
        core_raise(&error);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    core_pipeline *self = (core_pipeline *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->kept);
    Py_VISIT(self->on_event);
    return 0;
}

static int clear(PyObject *object)
{
    Py_XDECREF(close_pipeline(object, NULL));
    return 0;
}

static void dealloc(PyObject *object)
{
    core_pipeline *self = (core_pipeline *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    Py_CLEAR(self->kept);
    pthread_cond_destroy(&self->is_idle);
    pthread_mutex_destroy(&self->mutex);
    PyObject_GC_Del(object);
    Py_DECREF((PyObject *)type);
}

/* ---- streams ---- */

static int is_closing(core_pipeline *self)
{
    pthread_mutex_lock(&self->mutex);
    const int closing = self->is_closing;
    pthread_mutex_unlock(&self->mutex);
    return closing;
}

/* Waits until there is a packet, the time is over, or it is woken. The call has been left when an exception
 * is set. */
static PyObject *wait_in_slices(core_pipeline *self, sono_pipeline *handle, long long timeout_ns)
{
    for (;;) {
        const int64_t slice = timeout_ns < 0 || timeout_ns > SLICE_NS ? SLICE_NS : timeout_ns;
        sono_wait_result result = SONO_WAIT_TIMEOUT;
        sono_status status;
        sono_error error;
        Py_BEGIN_ALLOW_THREADS status = sono_pipeline_wait(handle, slice, &result, &error);
        Py_END_ALLOW_THREADS const int closing = is_closing(self);
        core_pipeline_leave(self);
        if (status != SONO_STATUS_OK)
            return core_raise(&error);
        if (closing)
            return core_fail(SONO_STATUS_STATE, "the pipeline was closed");
        timeout_ns -= timeout_ns < 0 ? 0 : slice;
        if (result != SONO_WAIT_TIMEOUT || timeout_ns == 0)
            return PyLong_FromLong((long)result);
        /* A signal's handler may do anything: close the pipeline, too. */
        if (PyErr_CheckSignals() < 0 || !(handle = core_pipeline_enter(self)))
            return NULL;
    }
}

/* wait(timeout in ns, negative = for ever) -> 1 ready, 2 woken, 3 timeout */
static PyObject *wait_for_packet(PyObject *object, PyObject *args)
{
    core_pipeline *self = (core_pipeline *)object;
    long long timeout_ns = 0;
    if (!PyArg_ParseTuple(args, "L", &timeout_ns))
        return NULL;
    sono_pipeline *handle = core_pipeline_enter(self);
    return handle ? wait_in_slices(self, handle, timeout_ns) : NULL;
}

static PyObject *take_kept(core_pipeline *self, uint64_t address)
{
    PyObject *key = PyLong_FromUnsignedLongLong(address);
    PyObject *kept = key && self->kept ? PyDict_GetItemWithError(self->kept, key) : NULL;
    if (kept) {
        Py_INCREF(kept);
        if (PyDict_DelItem(self->kept, key) < 0)
            Py_CLEAR(kept);
    }
    Py_XDECREF(key);
    return kept;
}

static PyObject *receive(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    const sono_packet *packet = NULL;
    sono_status status;
    sono_error error;
    (void)unused;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    Py_BEGIN_ALLOW_THREADS status = sono_pipeline_receive(handle, &packet, &error);
    Py_END_ALLOW_THREADS PyObject *made =
        status == SONO_STATUS_OK ? core_packet_make(self, handle, packet, take_kept(self, packet->info->user))
                                 : core_raise(&error);
    core_pipeline_leave(self);
    return made;
}

static PyObject *wake(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    (void)unused;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    (void)sono_pipeline_wake(handle);
    core_pipeline_leave(self);
    Py_RETURN_NONE;
}

/* A call that takes nothing but an error. */
static PyObject *call(PyObject *object, sono_status (*function)(sono_pipeline *, sono_error *))
{
    core_pipeline *self = (core_pipeline *)object;
    sono_status status;
    sono_error error;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    Py_BEGIN_ALLOW_THREADS status = function(handle, &error);
    Py_END_ALLOW_THREADS core_pipeline_leave(self);
    if (status != SONO_STATUS_OK)
        return core_raise(&error);
    Py_RETURN_NONE;
}

static PyObject *flush(PyObject *object, PyObject *unused)
{
    (void)unused;
    return call(object, sono_pipeline_flush);
}

static PyObject *shut_down(PyObject *object, PyObject *unused)
{
    (void)unused;
    return call(object, sono_pipeline_shutdown);
}

static PyObject *reset_stream(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    (void)unused;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    (void)sono_pipeline_reset_stream(handle);
    core_pipeline_leave(self);
    Py_RETURN_NONE;
}

static PyObject *event_fd(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    int32_t out = -1;
    sono_error error;
    (void)unused;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    const sono_status status = sono_pipeline_event_fd(handle, &out, &error);
    core_pipeline_leave(self);
    return status == SONO_STATUS_OK ? PyLong_FromLong(out) : core_raise(&error);
}

/* ---- facts ---- */

static PyObject *facts(PyObject *object, PyObject *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    sono_pipeline_info info;
    (void)unused;
    sono_pipeline *handle = core_pipeline_enter(self);
    if (!handle)
        return NULL;
    sono_pipeline_info_init(&info);
    const sono_status status = sono_pipeline_query(handle, &info);
    const sono_detector_family family = sono_pipeline_family(handle);
    core_pipeline_leave(self);
    if (status != SONO_STATUS_OK)
        return core_raise_status(status, "sono_pipeline_query");
    return Py_BuildValue("{s:s,s:s,s:i,s:L,s:L,s:L,s:s,s:s,s:s}", "backend", sono_backend_name(info.backend),
                         "precision", sono_precision_name(info.precision), "n_threads", (int)info.n_threads,
                         "params_bytes", (long long)info.params_bytes, "planned_bytes",
                         (long long)info.planned_bytes, "slot_bytes", (long long)info.slot_bytes, "detector",
                         info.detector, "segmenter", info.segmenter, "detector_family",
                         sono_detector_family_name(family));
}

static PyObject *closed(PyObject *object, void *unused)
{
    core_pipeline *self = (core_pipeline *)object;
    (void)unused;
    return PyBool_FromLong(!self->handle || is_closing(self));
}

static PyMethodDef methods[] = {
    {"submit", core_pipeline_submit, METH_VARARGS, "submit(image, info, white, prompts, kept)"},
    {"submit_dlpack", core_pipeline_submit_dlpack, METH_VARARGS,
     "submit_dlpack(capsule, info, stream, kept)"},
    {"receive", receive, METH_NOARGS, "receive() -> Packet"},
    {"wait", wait_for_packet, METH_VARARGS, "wait(timeout_ns) -> 1 ready, 2 woken, 3 timeout"},
    {"wake", wake, METH_NOARGS, "wake()"},
    {"flush", flush, METH_NOARGS, "flush()"},
    {"shutdown", shut_down, METH_NOARGS, "shutdown()"},
    {"reset_stream", reset_stream, METH_NOARGS, "reset_stream()"},
    {"event_fd", event_fd, METH_NOARGS, "event_fd() -> int"},
    {"facts", facts, METH_NOARGS, "facts() -> dict"},
    {"close", close_pipeline, METH_NOARGS, "close()"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"closed", closed, NULL, "whether it is closed", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, open_pipeline},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec core_pipeline_spec = {
    .name = "sonoseg._core.Pipeline",
    .basicsize = sizeof(core_pipeline),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
