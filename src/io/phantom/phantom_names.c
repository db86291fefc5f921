// SPDX-License-Identifier: Apache-2.0
/* Names of the phantom's enumerations, as its callers write and read them. */
#include "sonoseg/phantom.h"

static const char *const events[SONO_PHANTOM_EVENT_COUNT] = {
    [SONO_PHANTOM_QUIET] = "quiet",
    [SONO_PHANTOM_CONTACT_LOST] = "contact_lost",
    [SONO_PHANTOM_PROBE_LEAVES] = "probe_leaves",
    [SONO_PHANTOM_SHADOW] = "shadow",
    [SONO_PHANTOM_GAIN_JUMP] = "gain_jump",
    [SONO_PHANTOM_MOTION_BLUR] = "motion_blur",
    [SONO_PHANTOM_FREEZE] = "freeze",
    [SONO_PHANTOM_OTHER_BONE] = "other_bone",
};

static const char *const geometries[SONO_PHANTOM_GEOMETRY_COUNT] = {
    [SONO_PHANTOM_LINEAR] = "linear",    [SONO_PHANTOM_CURVILINEAR] = "curvilinear",
    [SONO_PHANTOM_PHASED] = "phased",    [SONO_PHANTOM_ENDOCAVITY] = "endocavity",
    [SONO_PHANTOM_ANY_GEOMETRY] = "any",
};

static const char *const orientations[SONO_PHANTOM_ORIENTATION_COUNT] = {
    [SONO_PHANTOM_UP] = "up",
    [SONO_PHANTOM_UP_MIRRORED] = "up-mirrored",
    [SONO_PHANTOM_DOWN] = "down",
    [SONO_PHANTOM_DOWN_MIRRORED] = "down-mirrored",
    [SONO_PHANTOM_ANY_ORIENTATION] = "any",
};

static const char *const look_alikes[SONO_PHANTOM_ALIKE_COUNT] = {
    [SONO_PHANTOM_ALIKE_FACE] = "face",           [SONO_PHANTOM_ALIKE_AIR] = "air",
    [SONO_PHANTOM_ALIKE_TANK] = "tank",           [SONO_PHANTOM_ALIKE_WIRES] = "wires",
    [SONO_PHANTOM_ALIKE_NEEDLE] = "needle",       [SONO_PHANTOM_ALIKE_PLEURA] = "pleura",
    [SONO_PHANTOM_ALIKE_DIAPHRAGM] = "diaphragm", [SONO_PHANTOM_ALIKE_GAS] = "gas",
    [SONO_PHANTOM_ALIKE_STONE] = "stone",         [SONO_PHANTOM_ALIKE_FASCIA] = "fascia",
    [SONO_PHANTOM_ALIKE_SPECKLE] = "speckle",
};

const char *sono_phantom_event_name(sono_phantom_event event)
{
    return (int)event >= 0 && event < SONO_PHANTOM_EVENT_COUNT ? events[event] : "unknown";
}

const char *sono_phantom_geometry_name(sono_phantom_geometry geometry)
{
    return (int)geometry >= 0 && geometry < SONO_PHANTOM_GEOMETRY_COUNT ? geometries[geometry] : "unknown";
}

const char *sono_phantom_orientation_name(sono_phantom_orientation orientation)
{
    return (int)orientation >= 0 && orientation < SONO_PHANTOM_ORIENTATION_COUNT ? orientations[orientation]
                                                                                 : "unknown";
}

const char *sono_phantom_look_alike_name(sono_phantom_look_alike look_alike)
{
    return (int)look_alike >= 0 && look_alike < SONO_PHANTOM_ALIKE_COUNT ? look_alikes[look_alike]
                                                                         : "unknown";
}
