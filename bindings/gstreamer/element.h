// SPDX-License-Identifier: Apache-2.0
/*
 * The element: a transform that hands each buffer to the pipeline and waits for its packet. Files are read
 * from READY to PAUSED; the pipeline itself is opened for the size of the first caps, and again when larger
 * frames come. A new segment, a flush, a gap (DISCONT) or other caps begin a new stream for state=stream.
 */
#ifndef SONO_GST_ELEMENT_H
#define SONO_GST_ELEMENT_H

#include <gst/base/gstbasetransform.h>

/* The element's type. */
GType sono_gst_element_get_type(void);

#endif
