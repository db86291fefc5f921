// SPDX-License-Identifier: Apache-2.0
#include "element.h"

#include "draw.h"
#include "failure.h"
#include "result.h"
#include "settings.h"

#include "sonoseg/sonoseg.h"

#include <gst/video/video.h>

GST_DEBUG_CATEGORY_STATIC(sono_gst_debug);
#define GST_CAT_DEFAULT sono_gst_debug

#define FORMATS     "{ GRAY8, RGB, RGBA, RGBx, " GST_VIDEO_NE(GRAY16) " }"
#define MAX_SIDE_PX 16384 /* of the library's limits at open */

/* GLib's way of naming: objects get their names from the type's. */
typedef struct Sonoseg {
    GstBaseTransform parent;
    sono_gst_settings settings; /* under the object's lock */
    /* From here on the streaming thread's, or that of start and stop. */
    sono_pipeline_config config; /* of the pipeline that is open, or will be */
    sono_gst_output output;
    gboolean posts_messages;
    sono_model_set *models;
    sono_pipeline *pipeline;
    GstVideoInfo in, out;
    guint64 n_frames;
    GstClockTime latency; /* what a latency query is told; under the object's lock */
} Sonoseg;

typedef struct SonosegClass {
    GstBaseTransformClass parent_class;
} SonosegClass;

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));

GType sono_gst_element_get_type(void);
G_DEFINE_TYPE(Sonoseg, sono_gst_element, GST_TYPE_BASE_TRANSFORM)
#define ELEMENT(object) ((Sonoseg *)(object))
#define PARENT          GST_BASE_TRANSFORM_CLASS(sono_gst_element_parent_class)

static sono_gst_output output_of(Sonoseg *self)
{
    GST_OBJECT_LOCK(self);
    const sono_gst_output output = (sono_gst_output)self->settings.output;
    GST_OBJECT_UNLOCK(self);
    return output;
}

/* ---- properties ---------------------------------------------------------------------------------------- */

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    Sonoseg *self = ELEMENT(object);
    GST_OBJECT_LOCK(self);
    const gboolean is_known = sono_gst_settings_set(&self->settings, id, value);
    GST_OBJECT_UNLOCK(self);
    if (!is_known)
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    Sonoseg *self = ELEMENT(object);
    GST_OBJECT_LOCK(self);
    const gboolean is_known = sono_gst_settings_get(&self->settings, id, value);
    GST_OBJECT_UNLOCK(self);
    if (!is_known)
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void finalize(GObject *object)
{
    sono_gst_settings_clear(&ELEMENT(object)->settings);
    G_OBJECT_CLASS(sono_gst_element_parent_class)->finalize(object);
}

/* ---- models and pipeline ------------------------------------------------------------------------------- */

static void close_all(Sonoseg *self)
{
    sono_pipeline_close(self->pipeline);
    sono_model_set_close(self->models);
    self->pipeline = NULL;
    self->models = NULL;
}

/* READY to PAUSED: reads the files. */
static gboolean start(GstBaseTransform *base)
{
    Sonoseg *self = ELEMENT(base);
    sono_pipeline_config models;
    sono_error error;
    GST_OBJECT_LOCK(self);
    sono_status status = sono_gst_settings_configure(&self->settings, &models, &self->config, &error);
    if (status == SONO_STATUS_OK)
        status = sono_model_set_open_config(&models, &self->models, &error);
    self->output = (sono_gst_output)self->settings.output;
    self->posts_messages = self->settings.post_messages;
    self->latency = 0;
    GST_OBJECT_UNLOCK(self);
    self->n_frames = 0;
    if (status != SONO_STATUS_OK)
        sono_gst_fail(GST_ELEMENT(self), "models", &error);
    return status == SONO_STATUS_OK;
}

static gboolean stop(GstBaseTransform *base)
{
    close_all(ELEMENT(base));
    return TRUE;
}

static gboolean fits(const Sonoseg *self, int width_px, int height_px)
{
    return self->pipeline && width_px <= self->config.max_width_px && height_px <= self->config.max_height_px;
}

/* A pipeline for frames of that size: the one that there is, or another. */
static gboolean open_for(Sonoseg *self, int width_px, int height_px)
{
    if (fits(self, width_px, height_px)) {
        sono_pipeline_reset_stream(self->pipeline);
        return TRUE;
    }
    sono_error error;
    sono_pipeline_close(self->pipeline);
    self->pipeline = NULL;
    self->config.models = self->models;
    self->config.max_width_px = width_px;
    self->config.max_height_px = height_px;
    if (sono_pipeline_open(&self->config, &self->pipeline, &error) == SONO_STATUS_OK)
        return TRUE;
    sono_gst_fail(GST_ELEMENT(self), "pipeline", &error);
    return FALSE;
}

/* ---- caps ---------------------------------------------------------------------------------------------- */

/* With output=mask the frame becomes GRAY8, and GRAY8 comes from any format; else nothing changes. */
static GstCaps *transform_caps(GstBaseTransform *base, GstPadDirection direction, GstCaps *caps,
                               GstCaps *filter)
{
    GstCaps *other = gst_caps_copy(caps);
    if (output_of(ELEMENT(base)) == SONO_GST_MASK) {
        GstStaticPadTemplate *template = direction == GST_PAD_SRC ? &sink_template : &src_template;
        GstCaps *all = gst_static_pad_template_get_caps(template);
        const GValue *formats = gst_structure_get_value(gst_caps_get_structure(all, 0), "format");
        for (guint i = 0; i < gst_caps_get_size(other); i++) {
            GstStructure *structure = gst_caps_get_structure(other, i);
            gst_structure_remove_fields(structure, "colorimetry", "chroma-site", NULL);
            if (direction == GST_PAD_SINK)
                gst_structure_set(structure, "format", G_TYPE_STRING, "GRAY8", NULL);
            else
                gst_structure_set_value(structure, "format", formats);
        }
        gst_caps_unref(all);
    }
    if (filter) {
        GstCaps *both = gst_caps_intersect_full(filter, other, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(other);
        other = both;
    }
    return other;
}

static gboolean set_caps(GstBaseTransform *base, GstCaps *in_caps, GstCaps *out_caps)
{
    Sonoseg *self = ELEMENT(base);
    if (!gst_video_info_from_caps(&self->in, in_caps) || !gst_video_info_from_caps(&self->out, out_caps)) {
        GST_ERROR_OBJECT(self, "caps that are no raw video");
        return FALSE;
    }
    const int width_px = GST_VIDEO_INFO_WIDTH(&self->in), height_px = GST_VIDEO_INFO_HEIGHT(&self->in);
    if (width_px > MAX_SIDE_PX || height_px > MAX_SIDE_PX) {
        GST_ELEMENT_ERROR(
            self, STREAM, FORMAT,
            ("frames of %d x %d pixels: the longest side is %d", width_px, height_px, MAX_SIDE_PX), (NULL));
        return FALSE;
    }
    return open_for(self, width_px, height_px);
}

static gboolean get_unit_size(GstBaseTransform *base, GstCaps *caps, gsize *size)
{
    GstVideoInfo info;
    (void)base;
    if (!gst_video_info_from_caps(&info, caps))
        return FALSE;
    *size = GST_VIDEO_INFO_SIZE(&info);
    return TRUE;
}

/* A frame becomes a frame, however far apart the rows of a buffer are. */
static gboolean transform_size(GstBaseTransform *base, GstPadDirection direction, GstCaps *caps, gsize size,
                               GstCaps *other_caps, gsize *other_size)
{
    (void)direction;
    (void)caps;
    (void)size;
    return get_unit_size(base, other_caps, other_size);
}

/* Rows may be apart: frames are mapped with their video meta. */
static gboolean propose_allocation(GstBaseTransform *base, GstQuery *decided, GstQuery *query)
{
    if (!PARENT->propose_allocation(base, decided, query))
        return FALSE;
    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
    return TRUE;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

/* The mask is a buffer of its own. Else the frame goes on: its memory is copied only where something is drawn
 * into it that somebody else holds, too. */
static GstFlowReturn prepare_output_buffer(GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
    if (ELEMENT(base)->output == SONO_GST_MASK)
        return PARENT->prepare_output_buffer(base, in, out);
    *out = gst_buffer_is_writable(in) ? in : gst_buffer_copy(in);
    return *out ? GST_FLOW_OK : GST_FLOW_ERROR;
}

static sono_pixel_format format_of(const GstVideoInfo *info)
{
    switch (GST_VIDEO_INFO_FORMAT(info)) {
    case GST_VIDEO_FORMAT_GRAY8:
        return SONO_PIXEL_GRAY8;
    case GST_VIDEO_FORMAT_RGB:
        return SONO_PIXEL_RGB8;
    case GST_VIDEO_FORMAT_RGBA:
    case GST_VIDEO_FORMAT_RGBx:
        return SONO_PIXEL_RGBA8;
    default:
        return SONO_PIXEL_GRAY16;
    }
}

static sono_status submit(Sonoseg *self, GstBuffer *buffer, const GstVideoFrame *frame, sono_error *error)
{
    sono_image image;
    sono_frame_info info;
    sono_image_init(&image);
    sono_frame_info_init(&info);
    image.pixels = GST_VIDEO_FRAME_PLANE_DATA(frame, 0);
    image.pitch_bytes = (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);
    image.width_px = GST_VIDEO_FRAME_WIDTH(frame);
    image.height_px = GST_VIDEO_FRAME_HEIGHT(frame);
    image.format = format_of(&frame->info);
    info.frame_id = self->n_frames++;
    /* 0 is a time here, and none in the library: all are one nanosecond later there. */
    if (GST_BUFFER_PTS_IS_VALID(buffer))
        info.timestamp_ns = (int64_t)GST_BUFFER_PTS(buffer) + 1;
    return sono_pipeline_submit(self->pipeline, &image, &info, error);
}

static void post(Sonoseg *self, GstBuffer *buffer, const GstStructure *result)
{
    const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
    const GstClockTime pts = GST_BUFFER_PTS(buffer);
    GstStructure *structure = gst_structure_copy(result);
    gst_structure_set_name(structure, "sonoseg");
    gst_structure_set(structure, "timestamp", G_TYPE_UINT64, pts, "stream-time", G_TYPE_UINT64,
                      gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts), "running-time",
                      G_TYPE_UINT64, gst_segment_to_running_time(segment, GST_FORMAT_TIME, pts), NULL);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), structure));
}

/* Lets live pipelines wait as long as frames take: told anew when one took half as long again. */
static void learn_latency(Sonoseg *self, const sono_packet *packet)
{
    const GstClockTime taken = (GstClockTime)(packet->latency_ms * (double)GST_MSECOND);
    GST_OBJECT_LOCK(self);
    const gboolean is_longer = taken > self->latency + self->latency / 2;
    if (is_longer)
        self->latency = taken;
    GST_OBJECT_UNLOCK(self);
    if (is_longer)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

/* Draws, or writes the mask, and attaches what was found. FALSE: out cannot be written. */
static gboolean deliver(Sonoseg *self, const sono_packet *packet, GstBuffer *out)
{
    GstVideoFrame frame;
    if (self->output != SONO_GST_NONE &&
        (self->output == SONO_GST_MASK || packet->state != SONO_STATE_LOST)) {
        const GstMapFlags flags = self->output == SONO_GST_MASK ? GST_MAP_WRITE : GST_MAP_READWRITE;
        if (!gst_video_frame_map(&frame, &self->out, out, flags))
            return FALSE;
        if (self->output == SONO_GST_MASK)
            sono_gst_draw_mask(&frame, packet);
        else
            sono_gst_draw_overlay(&frame, packet, self->config.gray16_white);
        gst_video_frame_unmap(&frame);
    }
    const GstStructure *result = sono_gst_result_attach(out, packet);
    if (self->posts_messages)
        post(self, out, result);
    learn_latency(self, packet);
    return TRUE;
}

static GstFlowReturn transform(GstBaseTransform *base, GstBuffer *in, GstBuffer *out)
{
    Sonoseg *self = ELEMENT(base);
    GstVideoFrame frame;
    const sono_packet *packet = NULL;
    sono_error error;
    if (GST_BUFFER_IS_DISCONT(in))
        sono_pipeline_reset_stream(self->pipeline);
    if (!gst_video_frame_map(&frame, &self->in, in, GST_MAP_READ)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("a buffer that does not hold a frame of its caps"), (NULL));
        return GST_FLOW_ERROR;
    }
    sono_status status = submit(self, in, &frame, &error); /* copies the pixels */
    gst_video_frame_unmap(&frame);
    if (status == SONO_STATUS_OK)
        status = sono_pipeline_receive(self->pipeline, &packet, &error);
    if (status != SONO_STATUS_OK) {
        sono_gst_fail(GST_ELEMENT(self), "frame", &error);
        return GST_FLOW_ERROR;
    }
    const gboolean is_delivered = deliver(self, packet, out);
    sono_packet_release(self->pipeline, packet);
    if (!is_delivered) {
        GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("the output buffer cannot be written"), (NULL));
        return GST_FLOW_ERROR;
    }
    return GST_FLOW_OK;
}

/* ---- events and queries -------------------------------------------------------------------------------- */

static gboolean sink_event(GstBaseTransform *base, GstEvent *event)
{
    Sonoseg *self = ELEMENT(base);
    const GstEventType type = GST_EVENT_TYPE(event);
    /* Both come in the streaming thread's order, where no frame is in flight. */
    if ((type == GST_EVENT_FLUSH_STOP || type == GST_EVENT_SEGMENT) && self->pipeline)
        sono_pipeline_reset_stream(self->pipeline);
    return PARENT->sink_event(base, event);
}

static gboolean query(GstBaseTransform *base, GstPadDirection direction, GstQuery *query)
{
    Sonoseg *self = ELEMENT(base);
    if (!PARENT->query(base, direction, query))
        return FALSE;
    if (direction == GST_PAD_SRC && GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
        gboolean is_live;
        GstClockTime least, most;
        gst_query_parse_latency(query, &is_live, &least, &most);
        GST_OBJECT_LOCK(self);
        const GstClockTime own = self->latency;
        GST_OBJECT_UNLOCK(self);
        if (GST_CLOCK_TIME_IS_VALID(most))
            most += own;
        gst_query_set_latency(query, is_live, least + own, most);
    }
    return TRUE;
}

/* ---- the class ----------------------------------------------------------------------------------------- */

static void sono_gst_element_class_init(SonosegClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(sono_gst_debug, "sonoseg", 0, "sonoseg");
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    sono_gst_settings_install(object_class);
    gst_element_class_set_static_metadata(
        element_class, "Ultrasound outline", "Filter/Analyzer/Effect/Video",
        "Finds one structure in each ultrasound frame (D-FINE), outlines it (MobileSAM), and draws the "
        "outline "
        "or gives the mask. Every buffer carries a custom meta " SONO_GST_META
        " and regions of interest of type sonoseg; element messages sonoseg say the same on the bus. "
        "Research "
        "use only: not a medical device",
        "sonoseg maintainers");
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    base_class->start = start;
    base_class->stop = stop;
    base_class->transform_caps = transform_caps;
    base_class->set_caps = set_caps;
    base_class->get_unit_size = get_unit_size;
    base_class->transform_size = transform_size;
    base_class->propose_allocation = propose_allocation;
    base_class->prepare_output_buffer = prepare_output_buffer;
    base_class->transform = transform;
    base_class->sink_event = sink_event;
    base_class->query = query;
}

static void sono_gst_element_init(Sonoseg *self)
{
    sono_gst_settings_init(&self->settings);
    sono_pipeline_config_init(&self->config);
    gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), TRUE);
}
