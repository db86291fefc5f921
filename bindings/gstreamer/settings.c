// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <string.h>

/* What the command does with the segmenter of sonoseg (tools/sonoseg/pipeline_args.c). */
#define SHIPPED_MIN_PIECE 0.02f
#define SHIPPED_BRIDGE    0.15f

enum {
    ID_NONE,
    ID_DETECTOR,
    ID_SEGMENTER,
    ID_DEVICE,
    ID_REGION,
    ID_FAMILY,
    ID_PRECISION,
    ID_STATE,
    ID_OUTPUT,
    ID_THRESHOLD,
    ID_MIN_PIECE,
    ID_BRIDGE,
    ID_THREADS,
    ID_MAX_OBJECTS,
    ID_GRAY16_WHITE,
    ID_DETECT_EVERY,
    ID_DETECTOR_WIDTH,
    ID_DETECTOR_HEIGHT,
    ID_SEGMENTER_SIZE,
    ID_POST_MESSAGES
};

#define FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)

/* Where the models that come with sonoseg are; NULL = unknown. Set once, when the plugin is loaded. */
static char *shipped_folder;

static GType enum_type(const char *name, const GEnumValue *values)
{
    const GType known = g_type_from_name(name);
    if (known)
        return known;
    const GType made = g_enum_register_static(name, values);
    gst_type_mark_as_plugin_api(made, 0);
    return made;
}

static GType output_type(void)
{
    static const GEnumValue values[] = {
        {SONO_GST_OVERLAY, "The frame with outline and box drawn into it", "overlay"},
        {SONO_GST_MASK, "The mask: GRAY8, 0 or 255, as large as the frame", "mask"},
        {SONO_GST_NONE, "The frame, untouched, with metadata", "none"},
        {0, NULL, NULL}};
    return enum_type("SonosegOutput", values);
}

static GType state_type(void)
{
    static const GEnumValue values[] = {
        {SONO_STATE_BY_SCORE, "VISIBLE where the score reaches the threshold, else LOST", "score"},
        {SONO_STATE_BY_FRAME, "By the quality of each frame", "frame"},
        {SONO_STATE_BY_STREAM, "By the frames before it, too", "stream"},
        {0, NULL, NULL}};
    return enum_type("SonosegState", values);
}

static GType precision_type(void)
{
    static const GEnumValue values[] = {{SONO_PRECISION_AUTO, "fp32 on the CPU, fp16 on a GPU", "auto"},
                                        {SONO_PRECISION_FP32, "32-bit floating point", "fp32"},
                                        {SONO_PRECISION_FP16, "16-bit floating point, GPU only", "fp16"},
                                        {0, NULL, NULL}};
    return enum_type("SonosegPrecision", values);
}

static GType family_type(void)
{
    static const GEnumValue values[] = {
        {SONO_FAMILY_AUTO, "As the file says; where it says nothing, dfine", "auto"},
        {SONO_FAMILY_DFINE, "D-FINE", "dfine"},
        {SONO_FAMILY_DEIM, "DEIM's D-FINE", "deim"},
        {0, NULL, NULL}};
    return enum_type("SonosegDetectorFamily", values);
}

void sono_gst_settings_init(sono_gst_settings *settings)
{
    sono_pipeline_config defaults;
    sono_pipeline_config_init(&defaults);
    *settings = (sono_gst_settings){.device = g_strdup("auto"),
                                    .region = g_strdup("none"),
                                    .precision = SONO_PRECISION_AUTO,
                                    .threshold = defaults.threshold,
                                    .min_piece = -1,
                                    .bridge = -1,
                                    .max_objects = defaults.max_objects,
                                    .gray16_white = defaults.gray16_white,
                                    .detect_every = 1,
                                    .post_messages = TRUE};
}

void sono_gst_settings_clear(sono_gst_settings *settings)
{
    g_free(settings->detector);
    g_free(settings->segmenter);
    g_free(settings->device);
    g_free(settings->region);
    *settings = (sono_gst_settings){0};
}

static void add_text(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                     const char *value)
{
    g_object_class_install_property(class, id, g_param_spec_string(name, nick, blurb, value, FLAGS));
}

static void add_choice(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                       GType type, int value)
{
    g_object_class_install_property(class, id, g_param_spec_enum(name, nick, blurb, type, value, FLAGS));
}

static void add_float(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                      float low, float value)
{
    g_object_class_install_property(class, id, g_param_spec_float(name, nick, blurb, low, 1, value, FLAGS));
}

static void add_int(GObjectClass *class, guint id, const char *name, const char *nick, const char *blurb,
                    int low, int high, int value)
{
    g_object_class_install_property(class, id, g_param_spec_int(name, nick, blurb, low, high, value, FLAGS));
}

void sono_gst_settings_install(GObjectClass *class)
{
    sono_gst_settings d;
    sono_gst_settings_init(&d);
    add_text(class, ID_DETECTOR, "detector", "Detector",
             "Checkpoint of the detector (D-FINE: .pth, .pt, .safetensors); null: $SONO_DETECTOR, else the "
             "model that comes with sonoseg",
             NULL);
    add_text(class, ID_SEGMENTER, "segmenter", "Segmenter",
             "Checkpoint of the segmenter (MobileSAM); null: $SONO_SEGMENTER, else the model that comes with "
             "sonoseg; none: boxes only",
             NULL);
    add_text(class, ID_DEVICE, "device", "Device", "auto, cpu, cuda or cuda:N", d.device);
    add_text(
        class, ID_REGION, "region", "Region",
        "What the networks see of a frame: none (all of it), find (the ultrasound image on a screen), or "
        "x,y,width,height in pixels",
        d.region);
    add_choice(class, ID_FAMILY, "detector-family", "Detector family",
               "Whose training the detector comes from, where the file does not say it", family_type(),
               d.family);
    add_choice(class, ID_PRECISION, "precision", "Precision", "Of the networks' products", precision_type(),
               d.precision);
    add_choice(class, ID_STATE, "state", "State", "What a frame's state is decided by", state_type(),
               d.state);
    add_choice(class, ID_OUTPUT, "output", "Output", "What comes out of the source pad", output_type(),
               d.output);
    add_float(class, ID_THRESHOLD, "threshold", "Threshold", "A best score below it is LOST", 0, d.threshold);
    add_float(class, ID_MIN_PIECE, "min-piece", "Smallest piece",
              "Pieces of a mask with less than this share of its largest one are removed; 0: none; -1: 0.02 "
              "with the segmenter that comes with sonoseg, else 0",
              -1, d.min_piece);
    add_float(class, ID_BRIDGE, "bridge", "Bridge",
              "Gaps in a mask up to this share of its box are closed where the image has an echo; 0: none; "
              "-1: 0.15 with the segmenter that comes with sonoseg, else 0",
              -1, d.bridge);
    add_int(class, ID_THREADS, "threads", "Threads", "CPU threads; 0: every core", 0, G_MAXINT, d.n_threads);
    add_int(class, ID_MAX_OBJECTS, "max-objects", "Objects", "Boxes that are segmented in a frame", 1, 16,
            d.max_objects);
    add_int(class, ID_GRAY16_WHITE, "gray16-white", "White of GRAY16",
            "The 16-bit value that means white, as do those above it", 1, 65535, d.gray16_white);
    add_int(class, ID_DETECT_EVERY, "detect-every", "Detect every",
            "With state=stream: while VISIBLE the detector runs in every so manyth frame only", 1, 100,
            d.detect_every);
    add_int(class, ID_DETECTOR_WIDTH, "detector-width", "Width of the detector's input",
            "A multiple of 32; 0: as the file says, else 640", 0, 4096, 0);
    add_int(class, ID_DETECTOR_HEIGHT, "detector-height", "Height of the detector's input",
            "A multiple of 32; 0: as the file says, else 640", 0, 4096, 0);
    add_int(class, ID_SEGMENTER_SIZE, "segmenter-size", "Side of the segmenter's input",
            "A multiple of 64; 0: as the file says, else 1024", 0, 2048, 0);
    g_object_class_install_property(
        class, ID_POST_MESSAGES,
        g_param_spec_boolean("post-messages", "Post messages",
                             "Post an element message named sonoseg for every frame", d.post_messages,
                             FLAGS));
    sono_gst_settings_clear(&d);
}

/* Where each property lies. */
typedef enum kind { TEXT, CHOICE, FLOAT, INT, SWITCH } kind;

typedef struct place {
    size_t offset;
    kind kind;
    const char *otherwise; /* TEXT: what "" and null stand for */
} place;

#define AT(field) offsetof(sono_gst_settings, field)

static const place places[] = {
    [ID_DETECTOR] = {AT(detector), TEXT, NULL},
    [ID_SEGMENTER] = {AT(segmenter), TEXT, NULL},
    [ID_DEVICE] = {AT(device), TEXT, "auto"},
    [ID_REGION] = {AT(region), TEXT, "none"},
    [ID_FAMILY] = {AT(family), CHOICE, NULL},
    [ID_PRECISION] = {AT(precision), CHOICE, NULL},
    [ID_STATE] = {AT(state), CHOICE, NULL},
    [ID_OUTPUT] = {AT(output), CHOICE, NULL},
    [ID_THRESHOLD] = {AT(threshold), FLOAT, NULL},
    [ID_MIN_PIECE] = {AT(min_piece), FLOAT, NULL},
    [ID_BRIDGE] = {AT(bridge), FLOAT, NULL},
    [ID_THREADS] = {AT(n_threads), INT, NULL},
    [ID_MAX_OBJECTS] = {AT(max_objects), INT, NULL},
    [ID_GRAY16_WHITE] = {AT(gray16_white), INT, NULL},
    [ID_DETECT_EVERY] = {AT(detect_every), INT, NULL},
    [ID_DETECTOR_WIDTH] = {AT(detector_width_px), INT, NULL},
    [ID_DETECTOR_HEIGHT] = {AT(detector_height_px), INT, NULL},
    [ID_SEGMENTER_SIZE] = {AT(segmenter_size_px), INT, NULL},
    [ID_POST_MESSAGES] = {AT(post_messages), SWITCH, NULL},
};

static void take_text(char **text, const GValue *value, const char *otherwise)
{
    const char *given = g_value_get_string(value);
    g_free(*text);
    *text = g_strdup(given && *given ? given : otherwise);
}

gboolean sono_gst_settings_set(sono_gst_settings *settings, guint id, const GValue *value)
{
    if (id == ID_NONE || id >= G_N_ELEMENTS(places))
        return FALSE;
    void *field = (char *)settings + places[id].offset;
    switch (places[id].kind) {
    case TEXT:
        take_text(field, value, places[id].otherwise);
        break;
    case CHOICE:
        *(int *)field = g_value_get_enum(value);
        break;
    case FLOAT:
        *(float *)field = g_value_get_float(value);
        break;
    case INT:
        *(int *)field = g_value_get_int(value);
        break;
    case SWITCH:
        *(gboolean *)field = g_value_get_boolean(value);
        break;
    }
    return TRUE;
}

gboolean sono_gst_settings_get(const sono_gst_settings *settings, guint id, GValue *value)
{
    if (id == ID_NONE || id >= G_N_ELEMENTS(places))
        return FALSE;
    const void *field = (const char *)settings + places[id].offset;
    switch (places[id].kind) {
    case TEXT:
        g_value_set_string(value, *(char *const *)field);
        break;
    case CHOICE:
        g_value_set_enum(value, *(const int *)field);
        break;
    case FLOAT:
        g_value_set_float(value, *(const float *)field);
        break;
    case INT:
        g_value_set_int(value, *(const int *)field);
        break;
    case SWITCH:
        g_value_set_boolean(value, *(const gboolean *)field);
        break;
    }
    return TRUE;
}

void sono_gst_settings_locate(const char *plugin_file)
{
    const char *named = g_getenv("SONO_MODELS");
    if (named && *named) {
        shipped_folder = g_strdup(named);
    } else if (plugin_file) {
        char *folder = g_path_get_dirname(plugin_file);
        shipped_folder = g_build_filename(folder, SONO_PLUGIN_TO_MODELS, NULL);
        g_free(folder);
    }
}

/* A model that comes with sonoseg, if it is there; its path lives as long as the process. */
static const char *shipped(const char *name)
{
    if (!shipped_folder)
        return NULL;
    char *path = g_build_filename(shipped_folder, name, NULL);
    const char *kept = g_file_test(path, G_FILE_TEST_EXISTS) ? g_intern_string(path) : NULL;
    g_free(path);
    return kept;
}

/* The first of what was set, the environment's, and the model that comes with sonoseg; NULL where there is
 * none. */
static const char *pick(const char *set, const char *variable, const char *name, const char *other,
                        gboolean *is_shipped)
{
    const char *environment = g_getenv(variable);
    *is_shipped = FALSE;
    if (set)
        return set;
    if (environment && *environment)
        return environment;
    const char *path = shipped(name);
    if (!path && other)
        path = shipped(other);
    *is_shipped = path != NULL;
    return path;
}

static sono_status refuse(sono_error *error, const char *text)
{
    *error = (sono_error){.status = SONO_STATUS_INVALID_ARGUMENT, .offset_bytes = -1};
    g_strlcpy(error->where, "sonoseg", sizeof error->where);
    g_strlcpy(error->text, text, sizeof error->text);
    return error->status;
}

sono_status sono_gst_settings_configure(const sono_gst_settings *s, sono_pipeline_config *models,
                                        sono_pipeline_config *pipeline, sono_error *error)
{
    static const char small[] = "dfine_n_bone.safetensors", large[] = "dfine_s_bone.safetensors";
    const gboolean wants_large = g_str_has_prefix(s->device, "cuda");
    const gboolean wants_segmenter = !s->segmenter || strcmp(s->segmenter, "none") != 0;
    gboolean is_shipped = FALSE;
    sono_pipeline_config_init(models);
    sono_pipeline_config_init(pipeline);
    models->device = s->device;
    models->precision = (sono_precision)s->precision;
    models->detector_family = (sono_detector_family)s->family;
    models->detector_width_px = s->detector_width_px;
    models->detector_height_px = s->detector_height_px;
    models->segmenter_size_px = s->segmenter_size_px;
    models->detector_path = pick(s->detector, "SONO_DETECTOR", wants_large ? large : small,
                                 wants_large ? small : large, &is_shipped);
    if (!models->detector_path)
        return refuse(error, "no detector: set the property detector, or $SONO_DETECTOR, or install "
                             "the models that come with sonoseg");
    is_shipped = FALSE;
    if (wants_segmenter)
        models->segmenter_path =
            pick(s->segmenter, "SONO_SEGMENTER", "mobile_sam_bone.safetensors", NULL, &is_shipped);
    if (wants_segmenter && !models->segmenter_path)
        return refuse(error, "no segmenter: set the property segmenter (none = boxes only), or "
                             "$SONO_SEGMENTER, or install the models that come with sonoseg");
    if (!wants_segmenter && s->output == SONO_GST_MASK)
        return refuse(error, "output=mask needs a segmenter: set another one than none");
    pipeline->threshold = s->threshold;
    pipeline->max_objects = s->max_objects;
    pipeline->n_threads = s->n_threads;
    pipeline->gray16_white = s->gray16_white;
    pipeline->state_mode = (sono_state_mode)s->state;
    pipeline->detect_every = s->detect_every;
    pipeline->time_stages = 0;
    pipeline->n_slots = 1;
    pipeline->min_piece_share = s->min_piece >= 0 ? s->min_piece : is_shipped ? SHIPPED_MIN_PIECE : 0;
    pipeline->bridge_share = s->bridge >= 0 ? s->bridge : is_shipped ? SHIPPED_BRIDGE : 0;
    return sono_pipeline_config_set_region(pipeline, s->region, error);
}
