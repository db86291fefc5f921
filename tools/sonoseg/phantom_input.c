// SPDX-License-Identifier: Apache-2.0
#include "phantom_input.h"

#include "args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX      "phantom:"
#define MAX_SETTING 64

static const char *const shapes[SONO_PHANTOM_SHAPE_COUNT] = {
    [SONO_PHANTOM_ANY] = "any",     [SONO_PHANTOM_FLAT] = "flat",     [SONO_PHANTOM_ARCHED] = "arched",
    [SONO_PHANTOM_RIDGE] = "ridge", [SONO_PHANTOM_BROKEN] = "broken", [SONO_PHANTOM_PAIR] = "pair",
    [SONO_PHANTOM_EMPTY] = "empty",
};

int phantom_input_matches(const char *input)
{
    return !strncmp(input, PREFIX, strlen(PREFIX));
}

static int is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Reads a count; *end is behind it. */
static int read_count(const char *text, int32_t *out, char **end)
{
    errno = 0;
    const long value = strtol(text, end, 10);
    if (!is_digit(*text) || errno || value > INT32_MAX)
        return -1;
    *out = (int32_t)value;
    return 0;
}

static int take_count(const char *value, int32_t *out)
{
    char *end = NULL;
    return read_count(value, out, &end) || *end ? -1 : 0;
}

static int take_size(const char *value, sono_phantom_options *options)
{
    char *end = NULL;
    if (read_count(value, &options->width_px, &end) || *end != 'x')
        return -1;
    return take_count(end + 1, &options->height_px);
}

static int take_seed(const char *value, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoull(value, &end, 10);
    return is_digit(*value) && !*end && !errno ? 0 : -1;
}

static int take_number(const char *value, double *out)
{
    char *end = NULL;
    *out = strtod(value, &end);
    return is_digit(*value) && !*end ? 0 : -1;
}

static int take_shape(const char *value, sono_phantom_shape *out)
{
    for (int i = 0; i < SONO_PHANTOM_SHAPE_COUNT; i++)
        if (!strcmp(value, shapes[i])) {
            *out = (sono_phantom_shape)i;
            return 0;
        }
    return -1;
}

static int take_events(const char *value, sono_phantom_event_set *out)
{
    static const char *const names[][SONO_PHANTOM_EVENTS_SET_COUNT] = {{"none", "held-out", "tuning"},
                                                                       {"0", "1", "2"}};
    for (int i = 0; i < SONO_PHANTOM_EVENTS_SET_COUNT; i++)
        if (!strcmp(value, names[0][i]) || !strcmp(value, names[1][i])) {
            *out = (sono_phantom_event_set)i;
            return 0;
        }
    return -1;
}

/* May come more than once. */
static int take_kind(const char *value, uint32_t *out)
{
    for (int i = SONO_PHANTOM_QUIET + 1; i < SONO_PHANTOM_EVENT_COUNT; i++)
        if (!strcmp(value, sono_phantom_event_name((sono_phantom_event)i))) {
            *out |= 1u << i;
            return 0;
        }
    return -1;
}

static int take_flag(const char *value, int32_t *out)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return -1;
    *out = *value == '1';
    return 0;
}

static int take_geometry(const char *value, sono_phantom_geometry *out)
{
    for (int i = 0; i < SONO_PHANTOM_GEOMETRY_COUNT; i++)
        if (!strcmp(value, sono_phantom_geometry_name((sono_phantom_geometry)i))) {
            *out = (sono_phantom_geometry)i;
            return 0;
        }
    return -1;
}

static int take_orientation(const char *value, sono_phantom_orientation *out)
{
    for (int i = 0; i < SONO_PHANTOM_ORIENTATION_COUNT; i++)
        if (!strcmp(value, sono_phantom_orientation_name((sono_phantom_orientation)i))) {
            *out = (sono_phantom_orientation)i;
            return 0;
        }
    return -1;
}

/* May come more than once. */
static int take_look_alike(const char *value, uint32_t *out)
{
    if (!strcmp(value, "none"))
        return 0;
    if (!strcmp(value, "any")) {
        *out = SONO_PHANTOM_ANY_LOOK_ALIKE;
        return 0;
    }
    for (int i = 0; i < SONO_PHANTOM_ALIKE_COUNT; i++)
        if (!strcmp(value, sono_phantom_look_alike_name((sono_phantom_look_alike)i))) {
            *out |= 1u << i;
            return 0;
        }
    return -1;
}

/* Keys of what is beside the plain picture of a linear probe. */
static int take_wide(const char *key, const char *value, sono_phantom_options *options)
{
    if (!strcmp(key, "geometry"))
        return take_geometry(value, &options->geometry);
    if (!strcmp(key, "orientation"))
        return take_orientation(value, &options->orientation);
    if (!strcmp(key, "look_alikes"))
        return take_look_alike(value, &options->look_alikes);
    if (!strcmp(key, "screen"))
        return take_flag(value, &options->screen);
    if (!strcmp(key, "hard"))
        return take_flag(value, &options->hard);
    if (!strcmp(key, "degrade"))
        return take_flag(value, &options->degrade);
    return -1;
}

static int take(const char *key, const char *value, sono_phantom_options *options)
{
    if (!strcmp(key, "seed"))
        return take_seed(value, &options->seed);
    if (!strcmp(key, "frames"))
        return take_count(value, &options->n_frames);
    if (!strcmp(key, "sweep"))
        return take_count(value, &options->n_sweep_frames);
    if (!strcmp(key, "size"))
        return take_size(value, options);
    if (!strcmp(key, "rate"))
        return take_number(value, &options->rate_hz);
    if (!strcmp(key, "shape"))
        return take_shape(value, &options->shape);
    if (!strcmp(key, "events"))
        return take_events(value, &options->events);
    if (!strcmp(key, "only"))
        return take_kind(value, &options->event_kinds);
    if (strcmp(key, "depth") != 0)
        return take_wide(key, value, options);
    double depth_mm = 0;
    if (take_number(value, &depth_mm))
        return -1;
    options->depth_mm = (float)depth_mm;
    return 0;
}

int phantom_input_parse(const char *input, sono_phantom_options *options)
{
    sono_phantom_options_init(options);
    const char *at = input + strlen(PREFIX);
    while (*at) {
        char setting[MAX_SETTING];
        const size_t n = strcspn(at, ",");
        char *value = NULL;
        if (n < sizeof setting) {
            memcpy(setting, at, n);
            setting[n] = 0;
            value = strchr(setting, '=');
        }
        if (value)
            *value++ = 0;
        if (!value || take(setting, value, options)) {
            report_error("%s: '%.*s' is not understood: phantom:seed=N,frames=N,sweep=N,size=WxH,rate=HZ,"
                         "depth=MM,shape=any|flat|arched|ridge|broken|pair|empty,events=none|held-out|tuning,"
                         "only=EVENT,geometry=linear|curvilinear|phased|endocavity|any,"
                         "orientation=up|up-mirrored|down|down-mirrored|any,look_alikes=none|any|NAME,"
                         "screen=0|1,hard=0|1,degrade=0|1",
                         input, (int)n, at);
            return -1;
        }
        at += n + (at[n] == ',');
    }
    return 0;
}
