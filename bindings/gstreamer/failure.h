// SPDX-License-Identifier: Apache-2.0
/* The library's errors as GStreamer's. */
#ifndef SONO_GST_FAILURE_H
#define SONO_GST_FAILURE_H

#include <gst/gst.h>

#include "sonoseg/sonoseg.h"

/* Posts an error with the library's text; the debug text has status and place. Domain and code by status:
 * files RESOURCE, settings LIBRARY SETTINGS, devices RESOURCE, frames STREAM. what: "models", "pipeline",
 * "frame". */
void sono_gst_fail(GstElement *element, const char *what, const sono_error *error);

#endif
