// SPDX-License-Identifier: Apache-2.0
/*
 * The element's properties, and the configuration that they make. Every property is taken when the element
 * goes from READY to PAUSED. Thread-safety: the caller's lock.
 */
#ifndef SONO_GST_SETTINGS_H
#define SONO_GST_SETTINGS_H

#include <gst/gst.h>

#include "sonoseg/sonoseg.h"

typedef enum sono_gst_output {
    SONO_GST_OVERLAY, /* the frame with outline and box drawn into it */
    SONO_GST_MASK,    /* GRAY8, 0 / 255, as large as the frame */
    SONO_GST_NONE     /* the frame, untouched */
} sono_gst_output;

typedef struct sono_gst_settings {
    char *detector; /* NULL = SONO_DETECTOR, else the model of sonoseg */
    char *segmenter;
    char *device;
    char *region;
    int family;    /* sono_detector_family */
    int precision; /* sono_precision */
    int state;     /* sono_state_mode */
    int output;    /* sono_gst_output */
    float threshold;
    float min_piece; /* -1: 0.02 with the segmenter of sonoseg, else 0 */
    float bridge;    /* -1: 0.15 likewise */
    int n_threads;
    int max_objects;
    int gray16_white;
    int detect_every;
    int detector_width_px; /* 0: as the file says */
    int detector_height_px;
    int segmenter_size_px;
    gboolean post_messages;
} sono_gst_settings;

/* The defaults; strings are the settings' own. */
void sono_gst_settings_init(sono_gst_settings *settings);
void sono_gst_settings_clear(sono_gst_settings *settings);

/* Declares the properties, 1 to their number. */
void sono_gst_settings_install(GObjectClass *class);
/* Property number id; FALSE = there is none of that number. */
gboolean sono_gst_settings_set(sono_gst_settings *settings, guint id, const GValue *value);
gboolean sono_gst_settings_get(const sono_gst_settings *settings, guint id, GValue *value);

/* The folder of the models that come with sonoseg, seen from the plugin's file; NULL = unknown. To be called
 * once, when the plugin is loaded. */
void sono_gst_settings_locate(const char *plugin_file);

/* The configuration that the settings ask for, in two parts, as the library takes it with a model set:
 * `models` has files and device, `pipeline` all else but sizes and the set. Both borrow strings from the
 * settings and from this module. Errors: INVALID_ARGUMENT (region, no detector, a mask without a
 * segmenter). */
sono_status sono_gst_settings_configure(const sono_gst_settings *settings, sono_pipeline_config *models,
                                        sono_pipeline_config *pipeline, sono_error *error);

#endif
