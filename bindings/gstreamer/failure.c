// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <errno.h>

typedef struct meaning {
    GQuark domain;
    int code;
} meaning;

static meaning meaning_of(const sono_error *error)
{
    const gboolean is_missing = error->native_code == ENOENT;
    switch (error->status) {
    case SONO_STATUS_IO:
        return (meaning){GST_RESOURCE_ERROR,
                         is_missing ? GST_RESOURCE_ERROR_NOT_FOUND : GST_RESOURCE_ERROR_READ};
    case SONO_STATUS_OUT_OF_MEMORY:
        return (meaning){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case SONO_STATUS_NO_DEVICE:
        return (meaning){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case SONO_STATUS_DEVICE:
        return (meaning){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED};
    case SONO_STATUS_FORMAT:
    case SONO_STATUS_MODEL_MISMATCH:
        return (meaning){GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ};
    case SONO_STATUS_INVALID_ARGUMENT:
    case SONO_STATUS_UNSUPPORTED:
        return (meaning){GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case SONO_STATUS_LIMIT:
        return (meaning){GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT};
    default:
        return (meaning){GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED};
    }
}

void sono_gst_fail(GstElement *element, const char *what, const sono_error *error)
{
    const meaning m = meaning_of(error);
    char *text = g_strdup(error->text);
    char *debug = g_strdup_printf("%s: %s in %s", what, sono_status_name(error->status), error->where);
    gst_element_message_full(element, GST_MESSAGE_ERROR, m.domain, m.code, text, debug, __FILE__, __func__,
                             __LINE__);
}
