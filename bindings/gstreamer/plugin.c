// SPDX-License-Identifier: Apache-2.0
/* The plugin: one element, one meta. */
#include "element.h"
#include "result.h"
#include "settings.h"

#include "sonoseg/sonoseg.h"

static gboolean begin(GstPlugin *plugin)
{
    sono_gst_settings_locate(gst_plugin_get_filename(plugin));
    sono_gst_result_register();
    return gst_element_register(plugin, "sonoseg", GST_RANK_NONE, sono_gst_element_get_type());
}

#define VERSION            SONO_PLUGIN_VERSION
#define PACKAGE            "sonoseg"
#define GST_PACKAGE_NAME   "sonoseg"
#define GST_PACKAGE_ORIGIN "unknown"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, sonoseg,
                  "Finds one structure in ultrasound frames and outlines it", begin, VERSION, "Apache 2.0",
                  GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
