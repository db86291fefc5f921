// SPDX-License-Identifier: Apache-2.0
/* A dict of settings -> a pipeline's configuration. */
#include "core.h"

#include <stddef.h>
#include <string.h>

typedef enum kind { INTEGER, NUMBER, TEXT } kind;

typedef struct field {
    const char *name;
    kind kind;
    size_t at; /* in sono_pipeline_config */
} field;

#define FIELD(name, kind)                                                                                    \
    {                                                                                                        \
#name, kind, offsetof(sono_pipeline_config, name)                                                    \
    }

static const field fields[] = {
    FIELD(detector_path, TEXT),
    FIELD(segmenter_path, TEXT),
    FIELD(device, TEXT),
    FIELD(precision, INTEGER),
    FIELD(n_threads, INTEGER),
    FIELD(threshold, NUMBER),
    FIELD(max_objects, INTEGER),
    FIELD(max_width_px, INTEGER),
    FIELD(max_height_px, INTEGER),
    FIELD(n_slots, INTEGER),
    FIELD(edge_width_px, INTEGER),
    FIELD(outside_width_px, INTEGER),
    FIELD(want_weight_maps, INTEGER),
    FIELD(gray16_white, INTEGER),
    FIELD(time_stages, INTEGER),
    FIELD(batch, INTEGER),
    FIELD(host_maps, INTEGER),
    FIELD(skip_decoder_when_lost, INTEGER),
    FIELD(time_device, INTEGER),
    FIELD(detector_family, INTEGER),
    FIELD(map_dtype, INTEGER),
    FIELD(detector_width_px, INTEGER),
    FIELD(detector_height_px, INTEGER),
    FIELD(segmenter_size_px, INTEGER),
    FIELD(prompt_points, INTEGER),
    FIELD(prompt_boxes, INTEGER),
    FIELD(min_piece_share, NUMBER),
    FIELD(state_mode, INTEGER),
    FIELD(bridge_share, NUMBER),
    FIELD(want_surface, INTEGER),
    FIELD(detect_every, INTEGER),
    FIELD(find_region, INTEGER),
};

_Static_assert(sizeof(sono_precision) == sizeof(int32_t) && sizeof(sono_state_mode) == sizeof(int32_t) &&
                   sizeof(sono_map_dtype) == sizeof(int32_t) &&
                   sizeof(sono_detector_family) == sizeof(int32_t),
               "enumerations are set as int32_t");

static int set_integer(void *at, const char *name, PyObject *value)
{
    const long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number < INT32_MIN || number > INT32_MAX) {
        core_fail(SONO_STATUS_INVALID_ARGUMENT, "%s = %ld is beyond 32 bits", name, number);
        return -1;
    }
    const int32_t small = (int32_t)number;
    memcpy(at, &small, sizeof small);
    return 0;
}

static int set_number(void *at, PyObject *value)
{
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred())
        return -1;
    const float small = (float)number;
    memcpy(at, &small, sizeof small);
    return 0;
}

static int set_text(void *at, PyObject *value)
{
    const char *text = PyBytes_AsString(value);
    if (!text)
        return -1;
    memcpy(at, &text, sizeof text);
    return 0;
}

static int set_rules(core_config *config, PyObject *rules)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    sono_error error;
    sono_state_rules_init(&config->rules);
    while (PyDict_Next(rules, &at, &key, &value)) {
        const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
        const long long number = name ? PyLong_AsLongLong(value) : -1;
        if (!name || (number == -1 && PyErr_Occurred()))
            return -1;
        if (sono_state_rules_set(&config->rules, name, number, &error) != SONO_STATUS_OK) {
            core_raise(&error);
            return -1;
        }
    }
    config->config.state_rules = &config->rules;
    return 0;
}

static int set_field(core_config *config, const char *name, PyObject *value)
{
    sono_region *region = &config->config.region;
    if (!strcmp(name, "state_rules"))
        return set_rules(config, value);
    if (!strcmp(name, "region"))
        return PyArg_ParseTuple(value, "iiii", &region->x_px, &region->y_px, &region->width_px,
                                &region->height_px)
                   ? 0
                   : -1;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        void *at = (char *)&config->config + fields[i].at;
        if (strcmp(fields[i].name, name) != 0)
            continue;
        switch (fields[i].kind) {
        case INTEGER:
            return set_integer(at, name, value);
        case NUMBER:
            return set_number(at, value);
        case TEXT:
            return set_text(at, value);
        }
    }
    PyErr_Format(PyExc_TypeError, "a pipeline has no setting '%s'", name);
    return -1;
}

int core_config_fill(core_config *out, PyObject *settings)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    sono_pipeline_config_init(&out->config);
    while (PyDict_Next(settings, &at, &key, &value)) {
        const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
        if (!name || set_field(out, name, value) < 0)
            return -1;
    }
    return 0;
}
