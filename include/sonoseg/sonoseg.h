// SPDX-License-Identifier: Apache-2.0
/*
 * sonoseg: find one structure in an ultrasound frame, outline it, and hand the outline on.
 *
 *     frame -> detect (D-FINE) -> best box -> segment (MobileSAM) -> mask -> weight maps -> packet
 *
 * This header is the stable API. It holds no CUDA type and can be included from C11 and C++11.
 *
 * Ownership: every pointer that a function hands out says in its comment who owns it. Strings passed in are
 * copied. On failure a function leaves its outputs untouched. The library never prints, exits or aborts.
 *
 * Thread-safety: functions without a handle are thread-safe. Of a pipeline, any thread may submit, lend
 * inputs, wake and shut down at any time, and give packets back; one at a time waits or receives. Open and
 * close, and calls that say so, need the caller's own exclusion. Two pipelines share no state, but may share
 * the constant parameters of a sono_model_set.
 */
#ifndef SONOSEG_SONOSEG_H
#define SONOSEG_SONOSEG_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SONO_API
#else
#define SONO_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes. A struct that the caller makes begins with struct_size and is set up by its _init function, which is
 * compiled into the caller and so knows the caller's size; bindings call _init_sized(). The library reads and
 * writes as much as that, and takes the rest for its default. A struct that the library makes is read-only
 * and grows at its end. Frozen structs, which say so, never change. docs/abi.md has the rules. */
#ifdef __cplusplus
#define SONO_FROZEN(type, n_bytes) static_assert(sizeof(type) == (n_bytes), #type " is frozen")
#else
#define SONO_FROZEN(type, n_bytes) _Static_assert(sizeof(type) == (n_bytes), #type " is frozen")
#endif

#define SONO_VERSION_MAJOR 0
#define SONO_VERSION_MINOR 2
#define SONO_VERSION_PATCH 0

/* ---- status -------------------------------------------------------------------------------------------- */

/* One line a status: NAME, text. "No structure found" is a result (SONO_STATE_LOST), not a status. */
#define SONO_STATUS_MAP(X)                                                                                   \
    X(OK, "ok")                                                                                              \
    X(AGAIN, "no free slot, or no result yet: try again")                                                    \
    X(END, "nothing left to receive")                                                                        \
    X(INVALID_ARGUMENT, "invalid argument")                                                                  \
    X(OUT_OF_MEMORY, "out of memory")                                                                        \
    X(IO, "input or output failed")                                                                          \
    X(FORMAT, "malformed file")                                                                              \
    X(UNSUPPORTED, "well-formed, but not supported")                                                         \
    X(MODEL_MISMATCH, "tensors do not fit the network")                                                      \
    X(LIMIT, "larger than the limit given at open")                                                          \
    X(NO_DEVICE, "no usable device")                                                                         \
    X(DEVICE, "device error")                                                                                \
    X(STATE, "call not allowed in this state")

typedef enum sono_status {
#define SONO_STATUS_ENUM(name, text) SONO_STATUS_##name,
    SONO_STATUS_MAP(SONO_STATUS_ENUM)
#undef SONO_STATUS_ENUM
        SONO_STATUS_COUNT
} sono_status;

/* Name ("SONO_STATUS_IO") and text ("input or output failed") of a status; static storage, never NULL. */
SONO_API const char *sono_status_name(sono_status status);
SONO_API const char *sono_status_text(sono_status status);

/* What went wrong, in full. A caller passes the address of one (NULL = not interested), which need not be set
 * up; it is written only on failure. Frozen. `text` is one line without a newline and already names the file
 * and the offset where one applies.
 */
typedef struct sono_error {
    sono_status status;
    int32_t native_code;  /* errno or a device's error code; 0 = none */
    int64_t offset_bytes; /* position in the file named in text; -1 = none */
    char where[64];       /* function or stage that found it */
    char text[512];
} sono_error;
SONO_FROZEN(sono_error, 592);

/* "0.2.0"; static storage. */
SONO_API const char *sono_version(void);

/* The backends of this build, "cpu" or "cpu cuda"; static storage. Whether a device is there shows at open.
 */
SONO_API const char *sono_backends(void);

/* ---- frame --------------------------------------------------------------------------------------------- */

typedef enum sono_pixel_format {
    SONO_PIXEL_GRAY8 = 1,  /* 1 byte a pixel */
    SONO_PIXEL_GRAY16 = 2, /* 2 bytes a pixel, host byte order; see gray16_white in the configuration */
    SONO_PIXEL_RGB8 = 3,   /* 3 bytes a pixel */
    SONO_PIXEL_RGBA8 = 4   /* 4 bytes a pixel, alpha ignored */
} sono_pixel_format;

/* One image as it came from the source. The pixels stay the caller's; submit copies them. */
typedef struct sono_image {
    size_t struct_size;
    const void *pixels; /* first pixel of the top row; not NULL */
    size_t pitch_bytes; /* from one row to the next; 0 (default) = rows are contiguous */
    int32_t width_px;   /* at least 1; see max_width_px in the configuration */
    int32_t height_px;  /* likewise */
    sono_pixel_format format;
    int32_t gray16_white; /* GRAY16: the sample that means white, those above it do too; [1, 65535], 0
                             (default) = the pipeline's */
} sono_image;

/* All zero but for the size. */
SONO_API void sono_image_init_sized(void *image, size_t struct_size);
static inline void sono_image_init(sono_image *image)
{
    sono_image_init_sized(image, sizeof *image);
}

/* A part of a frame: pixels [x_px, x_px + width_px) x [y_px, y_px + height_px). Frozen. */
typedef struct sono_region {
    int32_t x_px, y_px; /* of its top left pixel */
    int32_t width_px, height_px;
} sono_region;
SONO_FROZEN(sono_region, 16);

/* Where the marks of an ultrasound image point: the transducer's marked side is on the left (x = 0), the
 * transducer at the top (near side up, "far" counts downwards), and so on. Handed through. */
typedef enum sono_orientation {
    SONO_ORIENTATION_UNKNOWN = 0,
    SONO_ORIENTATION_MF = 1, /* x from the marked side on, y from the transducer on: as B-mode is shown */
    SONO_ORIENTATION_MN = 2, /* x from the marked side on, y towards the transducer */
    SONO_ORIENTATION_UF = 3, /* x from the unmarked side on, y from the transducer on */
    SONO_ORIENTATION_UN = 4
} sono_orientation;

/* The axes that a pose is given in. Handed through. */
typedef enum sono_coordinates {
    SONO_COORDINATES_UNKNOWN = 0,
    SONO_COORDINATES_RAS = 1, /* x to the right, y to the front, z to the head */
    SONO_COORDINATES_LPS = 2  /* x to the left, y to the back, z to the head */
} sono_coordinates;

/* What a source knows of an image. Handed through to the packet. Nothing of it but the region changes what is
 * found; states BY_STREAM go by timestamp, spacing and pose. */
typedef struct sono_frame_info {
    size_t struct_size;
    uint64_t frame_id;
    int64_t timestamp_ns;         /* when the image was made, in nanoseconds since 1970 UTC; 0 = unknown */
    uint64_t user;                /* the caller's: a number, a pointer, a source's own 64-bit timestamp */
    double spacing_mm[2];         /* from pixel to pixel, x and y; 0 = unknown */
    float image_to_reference[12]; /* pose: 3 x 4, row-major, mm; axes of length 1, or a pixel long where they
                                     map pixels; counts when has_pose is 1 */
    int32_t has_pose;             /* 0 (default) or 1 */
    sono_orientation orientation;
    sono_coordinates coordinates; /* of image_to_reference */
    int32_t reserved;             /* 0 */
    char device_name[64];         /* of the source, UTF-8, ends with 0; "" = unknown */
    sono_region region; /* what the networks see of the image, where the configuration neither finds nor gives
                           a region; it must lie within the image; all 0 (default) = all of it */
} sono_frame_info;

/* All zero but for the size: nothing is known. */
SONO_API void sono_frame_info_init_sized(void *info, size_t struct_size);
static inline void sono_frame_info_init(sono_frame_info *info)
{
    sono_frame_info_init_sized(info, sizeof *info);
}

/* ---- packet -------------------------------------------------------------------------------------------- */

typedef enum sono_state {
    SONO_STATE_LOST = 0,        /* nothing is believed to be there; masks are empty */
    SONO_STATE_VISIBLE = 1,     /* the structure was found in this frame, and the outline can be believed */
    SONO_STATE_RELOCALIZING = 2 /* the outline, where there is one, is uncertain; see "states" below */
} sono_state;

typedef enum sono_backend { SONO_BACKEND_CPU = 0, SONO_BACKEND_CUDA = 1 } sono_backend;
typedef enum sono_precision {
    SONO_PRECISION_AUTO = -1, /* in a configuration only: FP32 on the CPU, FP16 on CUDA */
    SONO_PRECISION_FP32 = 0,
    SONO_PRECISION_FP16 = 1
} sono_precision;

/* Whose training a detector comes from: its tensors are D-FINE's in name and shape either way, and nothing in
 * them tells what its decoder computes between them. */
typedef enum sono_detector_family {
    SONO_FAMILY_AUTO = 0,  /* what the file's metadata says; where it says nothing, as SONO_FAMILY_DFINE */
    SONO_FAMILY_DFINE = 1, /* D-FINE: ReLU in the decoder */
    SONO_FAMILY_DEIM = 2   /* DEIM's D-FINE (configs/base/deim.yml): SiLU there */
} sono_detector_family;

SONO_API const char *sono_detector_family_name(sono_detector_family family); /* "auto", "dfine", "deim" */

/* Rooms of the flow whose time is reported apart. */
#define SONO_STAGE_MAP(X)                                                                                    \
    X(PREPROCESS, "preprocess") /* frame -> both networks' inputs */                                         \
    X(DETECT, "detect")         /* D-FINE -> queries' boxes and logits */                                    \
    X(SELECT, "select")         /* best boxes, gate */                                                       \
    X(ENCODE, "encode")         /* TinyViT image encoder */                                                  \
    X(DECODE, "decode")         /* prompt encoder and mask decoder */                                        \
    X(MASK, "mask")             /* logits -> mask at source resolution */                                    \
    X(WEIGHTS, "weights")       /* mask -> edge, inside, outside maps */                                     \
    X(STATE, "state")           /* parts of quality, agreement with the frame before, state */               \
    X(SURFACE, "surface")       /* ridge of the echo */

typedef enum sono_stage {
#define SONO_STAGE_ENUM(name, text) SONO_STAGE_##name,
    SONO_STAGE_MAP(SONO_STAGE_ENUM)
#undef SONO_STAGE_ENUM
} sono_stage;

SONO_API const char *sono_stage_name(sono_stage stage); /* "preprocess"; "unknown" for what is no stage */
/* Stages are [0, count): a later library may have more than this header. */
SONO_API int32_t sono_stage_count(void);
SONO_API const char *sono_state_name(sono_state state);             /* "VISIBLE", "RELOCALIZING", "LOST" */
SONO_API const char *sono_backend_name(sono_backend backend);       /* "cpu", "cuda" */
SONO_API const char *sono_precision_name(sono_precision precision); /* "fp32", "fp16" */

/* What crossed between host and device for one frame. All zero on the CPU backend. Frozen. */
typedef struct sono_ledger_totals {
    int32_t n_allocations;
    int32_t n_h2d;
    int32_t n_launches;
    int32_t n_d2h;
    int32_t n_waits;
    int32_t reserved; /* 0 */
    int64_t bytes_h2d;
    int64_t bytes_d2h;
} sono_ledger_totals;
SONO_FROZEN(sono_ledger_totals, 40);

/* One found structure. Read-only, never to be copied by value: later releases append fields. */
typedef struct sono_object {
    size_t struct_size;    /* as large as the library knows it */
    float bbox_xyxy_px[4]; /* x1 y1 x2 y2 in source pixels, x in [0, W-1], y in [0, H-1] */
    float score;           /* [0, 1] */
    int32_t class_id;      /* [0, classes) */
    float iou_predicted;   /* the segmenter's own estimate of the mask's IoU, about [0, 1] */
    int64_t mask_area_px;  /* pixels set in the mask */
} sono_object;

/* The result of one frame. Read-only, never to be copied by value: later releases append fields, and the
 * functions below find more than it shows. Borrowed from the pipeline: it and everything that it leads to are
 * valid until sono_packet_release(). When LOST, n_objects is 1, the object holds the best score there was,
 * its box is all zero, its mask is all zero and mask_area_px is 0: never an earlier frame's. */
typedef struct sono_packet {
    size_t struct_size;          /* as large as the library knows it */
    const sono_frame_info *info; /* as it was submitted; never NULL */
    sono_state state;
    int32_t width_px;
    int32_t height_px;
    int32_t n_objects; /* [1, max_objects], best first */
    sono_backend backend;
    sono_precision precision;
    double latency_ms; /* this frame's submit to the result, waiting for the rest of its batch included */
    sono_ledger_totals ledger; /* of the whole batch in its first frame's packet, zero in the others */
    double device_ms; /* of the whole batch on the GPU, from before the upload to after the download; 0 on the
                         CPU and unless time_device was set at open */
} sono_packet;

/* Object number [0, n_objects) of a packet, borrowed with it; NULL for any other number. Thread-safety: the
 * receiving thread's, as for all functions of a packet. */
SONO_API const sono_object *sono_packet_object(const sono_packet *packet, int32_t object);

/* What a stage took, of the whole batch; 0 unless time_stages was set at open, and for what is no stage. */
SONO_API double sono_packet_stage_ms(const sono_packet *packet, sono_stage stage);

/* The region of the frame that the networks saw: as it was given, as it was found, or the whole frame; see
 * find_region in the configuration. out: untouched on failure. Errors: INVALID_ARGUMENT (NULL). */
SONO_API sono_status sono_packet_region(const sono_packet *packet, sono_region *out);

/* An object's maps, all as large as the frame and aligned with it. */
typedef enum sono_map {
    SONO_MAP_MASK = 0,   /* 0 / 255 */
    SONO_MAP_EDGE = 1,   /* 0 / 1, and so are the next two; only if want_weight_maps was set at open */
    SONO_MAP_INSIDE = 2, /* see edge_width_px and outside_width_px in the configuration */
    SONO_MAP_OUTSIDE = 3
} sono_map;

typedef enum sono_map_dtype {
    SONO_MAP_DTYPE_U8 = 0, /* one byte; every mask */
    SONO_MAP_DTYPE_F32 = 1 /* edge, inside and outside if map_dtype said so at open */
} sono_map_dtype;

/* Where a map is: height_px rows of width_px elements. This struct never changes. */
typedef struct sono_map_view {
    const void *data;     /* the first element of the top row, on a multiple of 16 bytes; read-only */
    size_t pitch_bytes;   /* from one row to the next: rows are contiguous */
    sono_map_dtype dtype; /* of an element */
    int32_t width_px;
    int32_t height_px;
    int32_t reserved; /* 0 */
} sono_map_view;

/* Where one of an object's maps is in host memory, borrowed with the packet. out: untouched on failure.
 * Errors: INVALID_ARGUMENT (NULL, no such object, no such map), UNSUPPORTED (not here: weight maps that were
 * not asked for at open; on CUDA with host_maps 0, all: see cuda.h). */
SONO_API sono_status sono_packet_map(const sono_packet *packet, int32_t object, sono_map which,
                                     sono_map_view *out);

/* The ridge of the echo in the first object's mask, as polylines from left to right: a point a column or, in
 * frames that are wider than 1024 pixels, every second, third ... one. Where columns have none, or the ridge
 * jumps, a line ends and another begins. On phantoms it lies within 0.12 mm of the true surface in the
 * median, 0.26 mm in 95 % of the points, on average 0.10 mm too deep. Pixel (0, 0) has its middle at (0, 0);
 * times spacing_mm these are millimetres. This struct never changes. */
typedef struct sono_surface_view {
    const float *points_px;     /* n_points times x, y */
    const int32_t *line_starts; /* n_lines + 1 indices of points: line k has those from line_starts[k] to
                                   line_starts[k + 1] - 1, one at least */
    int32_t n_points;           /* 0: there is no surface */
    int32_t n_lines;
} sono_surface_view;
SONO_FROZEN(sono_surface_view, 8 + 2 * sizeof(void *));

/* The surface, borrowed with the packet. out: untouched on failure. Errors: INVALID_ARGUMENT (NULL),
 * UNSUPPORTED (want_surface was not set at open). */
SONO_API sono_status sono_packet_surface(const sono_packet *packet, sono_surface_view *out);

/* ---- states -------------------------------------------------------------------------------------------- */

/* How a frame's state is decided. docs/state.md draws the machine and says what each part measures. */
typedef enum sono_state_mode {
    SONO_STATE_BY_SCORE = 0, /* VISIBLE where the score reaches the threshold, else LOST */
    SONO_STATE_BY_FRAME = 1, /* each frame by its own parts, whatever came before it */
    SONO_STATE_BY_STREAM = 2 /* in the order of submission, with memory */
} sono_state_mode;

/* What decides a state, measured in one frame. Permille are [0, 1000], -1 = unknown. Made by the library,
 * read-only, never to be copied by value: later releases append fields. Who replays parts from a file begins
 * with sono_parts_init(). */
typedef struct sono_parts {
    size_t struct_size;
    int32_t score;      /* the detector's, permille */
    int32_t iou;        /* the segmenter's own estimate of the mask's IoU, permille */
    int32_t sharpness;  /* of the echo's edge against the speckle around it, permille */
    int32_t contrast;   /* of the echo against what is above it, permille */
    int32_t shadow;     /* of the echo against what is below it, permille */
    int32_t continuity; /* columns of the box in which the outline goes on, permille; -1 = no mask */
    int32_t agreement;  /* IoU with the mask of the frame before, moved along, permille; -1 = there is none */
    int32_t surface;    /* nearness of both masks' centre lines, permille; -1 = there is none before */
    int32_t is_repeat;  /* 1: the same pixels as the frame before */
    int32_t moved_x;    /* by how much the mask before was moved for the comparison, in 1/8 pixel */
    int32_t moved_y;
    int32_t has_box;     /* 1: the score reached the threshold */
    int32_t is_recalled; /* 1: the detector did not run (detect_every): the box is that of the mask before,
                            and the score that of the detector's last one */
    int32_t reserved;    /* 0 */
} sono_parts;

/* Nothing is known: permille -1, the rest 0. */
SONO_API void sono_parts_init_sized(void *parts, size_t struct_size);
static inline void sono_parts_init(sono_parts *parts)
{
    sono_parts_init_sized(parts, sizeof *parts);
}

/* The machine's rules. Quality and agreement are permille [0, 1000]; times are [0, 600000] ms.
 * quality = (bias + the sum of each part times its weight) / 1000, rounded towards zero and held within
 * [0, 1000]. agreement = the larger of the parts agreement and surface. */
typedef struct sono_state_rules {
    size_t struct_size;
    int32_t on;                /* quality from which a frame is good; default 720 */
    int32_t off;               /* quality below which a frame is bad; at most `on`, default 600 */
    int32_t agree_on;          /* agreement from which a frame is good; default 300 */
    int32_t agree_off;         /* agreement below which a frame is bad; at most `agree_on`, default 0 */
    int32_t found_after_ms;    /* frames that are not bad, until LOST ends; default 40 */
    int32_t visible_after_ms;  /* good frames, until VISIBLE; default 80 */
    int32_t lost_after_ms;     /* bad frames since the first one, until LOST; default 120 */
    int32_t frozen_after_ms;   /* the same pixels, until the image counts as frozen; default 250 */
    int32_t gap_ms;            /* from frame to frame: beyond it the stream begins anew; default 500 */
    int32_t default_dt_ms;     /* from frame to frame, where timestamps are unknown; default 40 */
    int32_t weight_score;      /* of the parts in the quality; [-100000, 100000]. Default 600 */
    int32_t weight_iou;        /* default 200 */
    int32_t weight_sharpness;  /* default 0 */
    int32_t weight_contrast;   /* default 0 */
    int32_t weight_shadow;     /* default 100 */
    int32_t weight_continuity; /* default 100 */
    int32_t weight_agreement;  /* default 0 */
    int32_t weight_surface;    /* default 0 */
    int32_t bias;              /* 1000 = a permille of quality; [-100000000, 100000000], default 0 */
    int32_t unknown_part;      /* what an unknown part counts as in the quality, permille; default 500 */
} sono_state_rules;

/* Fills in the defaults named above. */
SONO_API void sono_state_rules_init_sized(void *rules, size_t struct_size);
static inline void sono_state_rules_init(sono_state_rules *rules)
{
    sono_state_rules_init_sized(rules, sizeof *rules);
}

/* Sets the rule of that name, as the field is called; for command lines and configuration files. rules: set
 * up by sono_state_rules_init(). Errors: INVALID_ARGUMENT (NULL, not initialised, no such rule, a value
 * outside its range). */
SONO_API sono_status sono_state_rules_set(sono_state_rules *rules, const char *name, int64_t value,
                                          sono_error *error);

/* Name of rule number `index`, from 0; NULL behind the last. Static storage. */
SONO_API const char *sono_state_rule_name(int32_t index);

/* Why a frame is not VISIBLE; bits of sono_state_report.reasons. */
typedef enum sono_state_reason {
    SONO_STATE_NO_BOX = 1,      /* the score did not reach the threshold */
    SONO_STATE_NO_MASK = 2,     /* there is a box, but its mask is empty */
    SONO_STATE_LOW_QUALITY = 4, /* below `on`; while VISIBLE, below `off` */
    SONO_STATE_DISAGREES = 8,   /* likewise with the frame before: agree_on, agree_off */
    SONO_STATE_FROZEN = 16,     /* the same pixels for frozen_after_ms or longer */
    SONO_STATE_TOO_SOON = 32,   /* good, but not for long enough, or no frame has agreed with another yet */
    SONO_STATE_BEGAN = 64       /* the stream began (anew) with this frame: also set when nothing else is */
} sono_state_reason;

/* What the machine says about one frame. */
typedef struct sono_state_report {
    size_t struct_size;
    sono_state state;
    int32_t quality;   /* permille; 0 without box or mask */
    int32_t agreement; /* permille; -1 = unknown, or nothing was believed before */
    int32_t reasons;   /* bits of sono_state_reason */
    int32_t dt_us;     /* since the frame before, as the machine took it; 0 where a stream begins */
    int32_t trust_us;  /* how long frames have been good (LOST: not bad) */
    int32_t doubt_us;  /* how long frames have been bad */
    int32_t repeat_us; /* how long the pixels have been the same */
} sono_state_report;

SONO_API void sono_state_report_init_sized(void *report, size_t struct_size);
static inline void sono_state_report_init(sono_state_report *report)
{
    sono_state_report_init_sized(report, sizeof *report);
}

/* The pipeline's machine by itself. Whole numbers only: the parts, timestamps and sizes of a stream's packets
 * give the states of those packets to the bit, on any machine. Thread-safety: one thread at a time. */
typedef struct sono_state_machine sono_state_machine;

/* rules: copied; NULL = the defaults. out: to be closed by the caller. Errors: INVALID_ARGUMENT (NULL, no
 * such mode, a rule outside its range: error says which), UNSUPPORTED (rules of a newer release),
 * OUT_OF_MEMORY. */
SONO_API sono_status sono_state_machine_open(const sono_state_rules *rules, sono_state_mode mode,
                                             sono_state_machine **out, sono_error *error);

/* The next frame of the stream. timestamp_ns: as in sono_frame_info, 0 = unknown; width_px, height_px: the
 * frame's, at least 1. out: set up by sono_state_report_init(); untouched on failure. Errors:
 * INVALID_ARGUMENT (NULL, not initialised, a part or size outside its range), UNSUPPORTED (parts of a newer
 * release). */
SONO_API sono_status sono_state_machine_step(sono_state_machine *machine, const sono_parts *parts,
                                             int64_t timestamp_ns, int32_t width_px, int32_t height_px,
                                             sono_state_report *out, sono_error *error);

/* The next frame begins a stream. NULL is allowed. */
SONO_API void sono_state_machine_reset(sono_state_machine *machine);

/* NULL is allowed. */
SONO_API void sono_state_machine_close(sono_state_machine *machine);

/* What a packet's state was decided by, borrowed with it. NULL: the pipeline was opened with
 * SONO_STATE_BY_SCORE. */
SONO_API const sono_parts *sono_packet_parts(const sono_packet *packet);
SONO_API const sono_state_report *sono_packet_report(const sono_packet *packet);

/* ---- models that pipelines share ----------------------------------------------------------------------- */

/* Both networks' parameters on one device: read once, uploaded once, however many pipelines use them. A
 * pipeline shares nothing else: it has its own streams, slots and activations, and its own ops, which depend
 * on its configuration. Reference counted. Thread-safety: pipelines may be opened on one set, run and closed
 * from different threads at the same time; the set itself is closed by one, once. */
typedef struct sono_model_set sono_model_set;

/* Reads both checkpoints (one of them may be NULL), checks every shape and, on CUDA, uploads the
 * parameters. The files must not change while the set is open: they stay mapped. device, precision: as in
 * sono_pipeline_config; NULL = "auto". out: to be closed by the caller. Errors: those of
 * sono_pipeline_open(). */
SONO_API sono_status sono_model_set_open(const char *detector_path, const char *segmenter_path,
                                         const char *device, sono_precision precision, sono_model_set **out,
                                         sono_error *error);

/* Gives up the caller's use; what is in it stays until the last pipeline that uses it is closed. NULL is
 * allowed.
 */
SONO_API void sono_model_set_close(sono_model_set *models);

/* ---- pipeline ------------------------------------------------------------------------------------------ */

typedef struct sono_event sono_event; /* see "events" below */

/* Told of each KPI event, from a thread that does nothing else, in order, some milliseconds after it
 * happened; the last ones during sono_pipeline_close(). A listener that is slow holds up no frame: what it
 * misses is counted in an event EVENTS_DROPPED. It must not call back into the pipeline. `event` and what it
 * points to are valid during the call. */
typedef void (*sono_event_fn)(void *user, const sono_event *event);

typedef struct sono_pipeline_config {
    size_t struct_size;
    const char *detector_path; /* D-FINE checkpoint: .pth, .pt or .safetensors; NULL = the caller says what to
                                  outline, see sono_pipeline_submit_prompts() */
    const char *segmenter_path; /* MobileSAM vit_t checkpoint; NULL = boxes only: packets have no masks, their
                                   areas and predicted IoU are 0 */
    const char *device;         /* "auto" (default), "cpu", "cuda" or "cuda:N" */
    sono_precision precision;   /* default AUTO; FP16 is UNSUPPORTED on the CPU */
    int32_t n_threads;     /* CPU threads; 0 (default) = every core this process may use, as far as OpenBLAS
                              has buffers */
    float threshold;       /* score below it is LOST; [0, 1], default 0.30 */
    int32_t max_objects;   /* boxes segmented in a frame; [1, 16], default 1 */
    int32_t max_width_px;  /* largest frame, by its longer side and its area; default 1920 */
    int32_t max_height_px; /* default 1200: 1200 x 1920 fits, too */
    int32_t n_slots;       /* frames in flight; [1, 16], default 2 */
    int32_t edge_width_px; /* odd, default 3: structuring element of edge and inside */
    int32_t outside_width_px; /* odd, default 5: structuring element of outside */
    int32_t want_weight_maps; /* 1: edge, inside and outside are made; 0 (default): there is only the mask */
    int32_t gray16_white;     /* the 16-bit value that means white in frames that do not say; default 65535 */
    int32_t time_stages;      /* 1 (default): packets carry their stages' times; 0 spares CUDA the timing
                                 events */
    sono_event_fn on_event;   /* optional: if NULL, no events */
    void *on_event_user;
    int32_t batch;     /* frames computed at once; [1, 32], default 1; above 1 max_objects must be 1 */
    int32_t host_maps; /* 1 (default): packets' maps are in host memory; 0: on CUDA they stay in the GPU's
                          and are lent by the functions of cuda.h */
    /* Optional: parameters that are there already. Then detector_path, segmenter_path, device, precision,
     * detector_family and the inputs' sizes are its, and must be left at their defaults here. */
    sono_model_set *models;
    int32_t skip_decoder_when_lost; /* CUDA 12.4 or later: 1 = the mask decoder does not run where no frame of
                                       a batch passes the gate (decided on the GPU); 0 (default) = it runs
                                       always. Packets are the same. The CPU never runs it then. */
    int32_t time_device; /* CUDA: 1 = packets carry device_ms; 0 (default) spares two events a batch */
    sono_detector_family detector_family; /* default AUTO; MODEL_MISMATCH when the file says another one */
    sono_map_dtype map_dtype; /* of edge, inside and outside, in host and device memory; default U8 */
    /* The detector's input; 0 x 0 (default) = as the file says (anchors, metadata), else 640 x 640. D-FINE:
     * multiples of 32, at least 300 tokens, up to 4096. */
    int32_t detector_width_px;
    int32_t detector_height_px;
    /* Side of the segmenter's input; 0 (default) = as the file says, else 1024. MobileSAM: a multiple of 64,
     * up to 2048. */
    int32_t segmenter_size_px;
    int32_t prompt_points; /* without a detector: points of each prompt; [0, 16], default 0 */
    int32_t prompt_boxes;  /* likewise: 1 (default) = each prompt has a box */
    int32_t without_graph; /* CUDA, for profilers that replay kernels but not graphs: 1 = each op is launched
                              by itself; packets are the same, but later, and their ledger counts a launch an
                              op; not with skip_decoder_when_lost or detect_every. 0 (default) = one launch a
                              batch */
    /* Of each mask only pieces stay (pixels that touch, corners too) that have at least this share of the
     * pixels of its largest one, and a pixel in the object's box, grown by a quarter on every side. [0, 1],
     * in steps of 0.001; 0 (default) = masks are as the network made them. */
    float min_piece_share;
    sono_state_mode state_mode; /* how a frame's state is found; default BY_SCORE */
    const sono_state_rules
        *state_rules; /* of BY_FRAME and BY_STREAM, copied; NULL (default) = the defaults */
    /* Gaps in a mask that are no wider than this share of its box are closed where the image has an echo
     * along the way. [0, 1], in steps of 0.001; 0 (default) = masks are not bridged. */
    float bridge_share;
    int32_t want_surface; /* 1: packets carry the ridge of the echo as polylines; 0 (default): they do not */
    /* While frames are VISIBLE and good the detector runs in every so manyth only, and the box of the others
     * is that of the mask before; one that would not be VISIBLE and good with it has the detector after all.
     * Decided where the networks run. [1, 100], default 1 = it runs in every frame. Above 1 state_mode must
     * be BY_STREAM, batch and max_objects 1, and on CUDA it takes CUDA 12.4 or later and without_graph 0; the
     * detector's time is that of the stage `detect` there, its input's and the choice of the box included. */
    int32_t detect_every;

    /* What of a frame the networks see. Boxes, masks, maps and surfaces are in the frame's pixels all the
     * same; beyond the region masks are empty. find_region 1: on a screen, or a fan on black, the ultrasound
     * image is found where the networks run (docs/region.md says how, and where it fails); the whole frame
     * where nothing looks like one for certain, or it is nearly all of the frame. With state_mode BY_STREAM
     * the region stays where it is until another one was found in several frames in a row. Needs a detector
     * (UNSUPPORTED). [0, 1], default 0. */
    int32_t find_region;
    /* ... or it is given, for every frame: one that it does not lie within is refused (INVALID_ARGUMENT).
     * All 0 (default) = the whole frame. Not with find_region. */
    sono_region region;
} sono_pipeline_config;

/* Fills in the defaults named above. */
SONO_API void sono_pipeline_config_init_sized(void *config, size_t struct_size);
static inline void sono_pipeline_config_init(sono_pipeline_config *config)
{
    sono_pipeline_config_init_sized(config, sizeof *config);
}

/* Sets find_region and region from a text: "none" (the whole frame), "find", or "x,y,w,h", whole pixels. On
 * failure config is left alone. Errors: INVALID_ARGUMENT (another text, a side of 0, NULL). */
SONO_API sono_status sono_pipeline_config_set_region(sono_pipeline_config *config, const char *text,
                                                     sono_error *error);

/* sono_model_set_open() from the fields detector_path, segmenter_path, device, precision, detector_family
 * and the networks' input sizes of a configuration; models must be NULL, and what the rest says is for
 * pipelines. Errors: those of sono_pipeline_open(). */
SONO_API sono_status sono_model_set_open_config(const sono_pipeline_config *config, sono_model_set **out,
                                                sono_error *error);

typedef struct sono_pipeline sono_pipeline;

/* Reads both checkpoints, records the networks, plans and allocates everything and runs one warm-up frame.
 * On the CPU this concerns the whole process: OpenBLAS is loaded where it is not yet, and set to one thread
 * (openblas_set_num_threads(1)), since the pipeline's threads share the work out: a program that uses
 * OpenBLAS for itself may raise the number for a product of its own between frames. For each of n_threads of
 * all open pipelines together OpenBLAS gets 128 MiB of address space (memory only where it is used), checked
 * here, and keeps it until the process ends. A program that linked OpenBLAS has its threads and their buffers
 * besides, for which OpenBLAS waits for ever where it cannot have them: OPENBLAS_NUM_THREADS=1 spares them.
 * config: copied. out: the new handle, to be closed by the caller. error: optional.
 * Errors: INVALID_ARGUMENT (a field outside its range), IO, FORMAT, UNSUPPORTED, MODEL_MISMATCH
 * (checkpoints), NO_DEVICE (device "cuda" without a usable one), UNSUPPORTED (skip_decoder_when_lost or
 * detect_every before CUDA 12.4), OUT_OF_MEMORY, LIMIT (more threads in all than OpenBLAS has buffers: 128 as
 * Debian builds it).
 */
SONO_API sono_status sono_pipeline_open(const sono_pipeline_config *config, sono_pipeline **out,
                                        sono_error *error);

/* Takes a frame: copies its pixels into a slot; returns at once. info: NULL = nothing is known. Thread-safe.
 * A slot starts when it has `batch` frames: with the default of 1, now. Of frames of different sizes in one
 * batch each gets its own result's size. Errors: AGAIN (every slot is in flight or has a packet that is lent
 * or to be received: receive or release first), INVALID_ARGUMENT, LIMIT (frame larger than max_width_px x
 * max_height_px), STATE (after sono_pipeline_shutdown()), DEVICE (latched: close and open again; the frames
 * of the batch are lost).
 */
SONO_API sono_status sono_pipeline_submit(sono_pipeline *pipeline, const sono_image *image,
                                          const sono_frame_info *info, sono_error *error);

/* A point in a frame that an object is pointed at with. Frozen. */
typedef struct sono_point {
    float x_px, y_px; /* source pixels, within the frame */
    int32_t label;    /* 1: on the object; 0: not on it; -1: no point, for prompts with fewer than others */
} sono_point;
SONO_FROZEN(sono_point, 12);

/* What one object is pointed at with: a box, points, or both, as the pipeline was opened for. Frozen. */
typedef struct sono_prompt {
    float bbox_xyxy_px[4];    /* x1 y1 x2 y2, within the frame; left alone where prompt_boxes is 0 */
    const sono_point *points; /* n_points of them, copied; may be NULL when there are none */
    int32_t n_points;         /* at most prompt_points; the rest are "no point" */
} sono_prompt;
SONO_FROZEN(sono_prompt, 24 + sizeof(void *));

/* sono_pipeline_submit() for a pipeline without a detector: outlines what the prompts point at. The packet
 * has an object for each, in their order: VISIBLE, score 1, the prompt's box (all zero without boxes).
 * prompts: [n_prompts], copied; n_prompts: [1, max_objects]. Thread-safe. Errors: those of
 * sono_pipeline_submit(); INVALID_ARGUMENT (a pipeline with a detector, prompts out of the frame or other
 * than asked for at open). Without prompts such a pipeline takes no frames. */
SONO_API sono_status sono_pipeline_submit_prompts(sono_pipeline *pipeline, const sono_image *image,
                                                  const sono_frame_info *info, const sono_prompt *prompts,
                                                  int32_t n_prompts, sono_error *error);

/* Lets the next frame that is submitted begin a new stream: nothing of the frames before it counts for its
 * state (SONO_STATE_BY_STREAM). Thread-safe. Errors: INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_reset_stream(sono_pipeline *pipeline);

/* Starts a batch that is not full, for the end of a stream or before a pause. It takes as long as a full one.
 * Does nothing where no frame waits for others. To be called by the thread that submits.
 * Errors: INVALID_ARGUMENT, DEVICE (as above). */
SONO_API sono_status sono_pipeline_flush(sono_pipeline *pipeline, sono_error *error);

/* Waits for the oldest frame in flight and lends its packet, in submission order. A frame is in flight from
 * the start of its batch on. out: borrowed until sono_packet_release(). Errors: END (no frame is in flight: a
 * consumer that should wait for the next one calls sono_pipeline_wait() first), DEVICE (once for each frame
 * of a batch that failed), STATE (another thread waits or receives). */
SONO_API sono_status sono_pipeline_receive(sono_pipeline *pipeline, const sono_packet **out,
                                           sono_error *error);

/* Gives a packet back: once all of a slot's are, it can take new frames. Also after sono_pipeline_close():
 * what is lent keeps its memory. Errors: INVALID_ARGUMENT (not lent). */
SONO_API sono_status sono_packet_release(sono_pipeline *pipeline, const sono_packet *packet);

/* Copies a packet, with its maps as far as they are in host memory, into memory of its own, so that it can be
 * given back at once and looked at later, by any thread; every function of a packet takes the copy. *out:
 * NULL, or a copy made before, which is written over and whose memory is used again; to be freed by
 * sono_packet_free(). On failure *out is as it was. packet: lent, or a copy other than *out. Thread-safe.
 * Errors: INVALID_ARGUMENT, OUT_OF_MEMORY. */
SONO_API sono_status sono_packet_copy(const sono_packet *packet, sono_packet **out, sono_error *error);
SONO_API void sono_packet_free(sono_packet *copy); /* NULL is allowed */

/* ---- streams: waiting without polling ------------------------------------------------------------------ */

typedef enum sono_wait_result {
    SONO_WAIT_READY = 1, /* sono_pipeline_receive() has a packet, or a frame's failure, and will not wait */
    SONO_WAIT_WOKEN = 2, /* sono_pipeline_wake() was called since the last WOKEN */
    SONO_WAIT_TIMEOUT = 3
} sono_wait_result;

/* Waits until there is something to do for the thread that receives; whatever comes first in the list above
 * is told first. timeout_ns: on the monotonic clock; negative = for ever, 0 = only looks. Never returns
 * without a reason. Thread-safety: one thread at a time waits or receives. Errors: END (after a shutdown,
 * once every packet was received), STATE (another thread waits or receives), INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_wait(sono_pipeline *pipeline, int64_t timeout_ns, sono_wait_result *out,
                                        sono_error *error);

/* Lets the thread that waits, or the next that does, return WOKEN, once, however often this was called
 * before. Does not disturb sono_pipeline_receive(). Thread-safe. Errors: INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_wake(sono_pipeline *pipeline);

/* The end of a stream, from any thread: starts a batch that is not full, and refuses frames from then on
 * (STATE). Frames in flight are finished and received as always; then wait and receive return END. May be
 * called again. Errors: INVALID_ARGUMENT, DEVICE (the last batch could not be started: its frames are lost;
 * it is shut down all the same). */
SONO_API sono_status sono_pipeline_shutdown(sono_pipeline *pipeline, sono_error *error);

/* A file descriptor for poll(), epoll and event loops: readable exactly while sono_pipeline_wait() would
 * return at once. It is the pipeline's: not to be read, written or closed, and gone with the pipeline. Asked
 * for once, it costs a system call a frame. Errors: INVALID_ARGUMENT, IO (too many are open). */
SONO_API sono_status sono_pipeline_event_fd(sono_pipeline *pipeline, int32_t *out, sono_error *error);

/* ---- input memory that the caller fills -----------------------------------------------------------------
 */

/* Memory of a slot, page-locked on CUDA, for a socket or a decoder to write a frame's pixels into, so that
 * nobody copies them. */
typedef struct sono_input {
    size_t struct_size; /* as large as this library knows it */
    uint8_t *pixels;    /* aligned to 64 bytes; contents undefined */
    size_t n_bytes;     /* enough for a frame of the largest size and 4 bytes a pixel */
} sono_input;

/* Lends an input. Ended by sono_input_submit() or sono_input_return(); several may be lent, one a slot, and
 * are submitted in any order. out: borrowed until then. Thread-safe. Errors: AGAIN (every slot is in flight,
 * filled or lent), UNSUPPORTED (batch above 1), STATE (after a shutdown), INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_lend_input(sono_pipeline *pipeline, const sono_input **out,
                                              sono_error *error);

/* Submits what was written: image->pixels lies within the input, as do all its rows; everything else is as in
 * sono_pipeline_submit(). On failure the input stays lent. Thread-safe. Errors: INVALID_ARGUMENT (not lent,
 * pixels outside of it, 16-bit pixels at an odd address), and those of sono_pipeline_submit() but AGAIN. */
SONO_API sono_status sono_input_submit(sono_pipeline *pipeline, const sono_input *input,
                                       const sono_image *image, const sono_frame_info *info,
                                       sono_error *error);

/* Gives an input back unused. Also after a shutdown. Thread-safe. Errors: INVALID_ARGUMENT (not lent). */
SONO_API sono_status sono_input_return(sono_pipeline *pipeline, const sono_input *input);

/* ---- events -------------------------------------------------------------------------------------------- */

/* NAME, number, name as text, and its fields in their order: append only, the fields too. An event states
 * what was seen when it was made, never what was only configured. Of files the first 159 bytes of the path.
 *
 * INIT_MODELS: both networks were recorded, and the device has them; `ms` since open began.
 * MODELS_HASHED: SHA-256 of the files that were opened, lower-case hex, "unknown" where one could not be read
 *   again. Comes once, while frames run or at close at the latest.
 * FAMILY_ASSUMED: neither file nor configuration says whose detector it is.
 * BACKEND_FALLBACK: device "auto" did not take CUDA, and why.
 * WARMUP: every op has run once, and how long that took.
 * DEVICE_MISMATCH: after the warm-up the driver says of some ops of a stage that not all of their tensors lie
 *   on the device that was expected. HOST_MAPS: weight maps are downloaded with every frame.
 * FRAME_IN: a frame's pixels were taken; `device` is where they lay then.
 * DROP: submit refused a frame with AGAIN.
 * SAM_CALL_START, SAM_CALL_END: a frame's results came back and say that its box passed the gate, so the
 *   segmenter ran on it; never for a LOST frame. The devices are where the engine's memory for boxes, for the
 *   segmenter's input and for masks lies, as the driver said at open. Both are made when the results are
 *   there: from one to the other no time passes.
 * INFER_FRAME: a frame's results came back; comes behind its SAM_CALL_*.
 * DEVICE_ERROR: a frame is lost because its batch could not be started or failed.
 * EVENTS_DROPPED: so many events since the last one found no room. */
#define SONO_EVENT_MAP(X)                                                                                    \
    X(INIT_MODELS, 1, "init_models")       /* detector, segmenter, detector_file, segmenter_file, device,    \
                                              precision, ms */                                               \
    X(WARMUP, 2, "warmup")                 /* ms */                                                          \
    X(FRAME_IN, 3, "frame_in")             /* frame: width, height, format, device */                        \
    X(SAM_CALL_START, 4, "sam_call_start") /* frame: bbox_device, image_device */                            \
    X(SAM_CALL_END, 5, "sam_call_end")     /* frame: mask_device */                                          \
    X(INFER_FRAME, 6, "infer_frame")       /* frame: latency_ms, conf, state */                              \
    X(DROP, 7, "drop")                     /* frame: reason */                                               \
    X(BACKEND_FALLBACK, 8, "backend_fallback") /* wanted, device, reason */                                  \
    X(DEVICE_ERROR, 9, "device_error")         /* frame: status */                                           \
    X(FAMILY_ASSUMED, 10, "family_assumed")    /* family, detector_file */                                   \
    X(DEVICE_MISMATCH, 11, "device_mismatch")  /* stage, expected, ops, resident */                          \
    X(HOST_MAPS, 12, "host_maps")              /* device, max_bytes_per_frame */                             \
    X(EVENTS_DROPPED, 13, "events_dropped")    /* n */                                                       \
    X(MODELS_HASHED, 14, "models_hashed")      /* detector_file, detector_sha256, segmenter_file,            \
                                                  segmenter_sha256, ms */

typedef enum sono_event_kind {
#define SONO_EVENT_ENUM(name, number, text) SONO_EVENT_##name = number,
    SONO_EVENT_MAP(SONO_EVENT_ENUM)
#undef SONO_EVENT_ENUM
} sono_event_kind;

/* One event. Made by the library, read-only, never copied by value: later releases append to it. */
struct sono_event {
    size_t struct_size;
    sono_event_kind kind;
    int32_t has_frame;    /* whether it is about one frame, ... */
    uint64_t frame_id;    /* ... and which */
    int64_t timestamp_ns; /* since 1970 UTC */
};

typedef enum sono_event_type {
    SONO_EVENT_INTEGER = 1,
    SONO_EVENT_NUMBER = 2,
    SONO_EVENT_TEXT = 3
} sono_event_type;

/* One field of an event. Made by the library, read-only, never copied by value: later releases append to it.
 */
typedef struct sono_event_field {
    size_t struct_size;
    const char *key;
    sono_event_type type; /* which of the last three counts; the others are 0 */
    int32_t n_decimals;   /* of a NUMBER: how many mean something */
    int64_t integer;
    double number;
    const char *text; /* never NULL in a TEXT; any bytes, as of a file's name */
} sono_event_field;

SONO_API const char *
sono_event_name(sono_event_kind kind); /* "frame_in", ...; "" for a kind of a later release */

/* The event's field number `index`, from 0; NULL behind the last. */
SONO_API const sono_event_field *sono_event_field_at(const sono_event *event, int32_t index);
/* The field of that key; NULL = it has none. */
SONO_API const sono_event_field *sono_event_find(const sono_event *event, const char *key);

/* Writes "ts=<epoch seconds> event=<name> frame=<frame_id> key=value ..." without a newline; blanks and
 * control characters in values become '_'. What does not fit into n_bytes is cut, a 0 byte always fits.
 * Returns how many bytes, without the 0 byte, the whole of it has; 1024 hold every event of this release. */
SONO_API size_t sono_event_format(const sono_event *event, char *out, size_t n_bytes);

/* ---- facts, and the end ---------------------------------------------------------------------------------
 */

/* Static facts of an open pipeline. */
typedef struct sono_pipeline_info {
    size_t struct_size;
    sono_backend backend;
    sono_precision precision;
    int32_t n_threads;
    int64_t params_bytes;  /* both networks, as the backend stores them */
    int64_t planned_bytes; /* the one block of all activations */
    int64_t slot_bytes;    /* all slots */
    char detector[64];     /* e.g. "dfine-s, 1 class"; "none" */
    char segmenter[64];    /* e.g. "mobilesam-vit_t"; "none" */
} sono_pipeline_info;

SONO_API void sono_pipeline_info_init_sized(void *info, size_t struct_size);
static inline void sono_pipeline_info_init(sono_pipeline_info *info)
{
    sono_pipeline_info_init_sized(info, sizeof *info);
}

/* out: set up by sono_pipeline_info_init(). Errors: INVALID_ARGUMENT. */
SONO_API sono_status sono_pipeline_query(const sono_pipeline *pipeline, sono_pipeline_info *out);

/* Multiplications and additions, counted apart, of a stage for one frame; 0 for what is no stage. */
SONO_API double sono_pipeline_stage_flops(const sono_pipeline *pipeline, sono_stage stage);

/* The detector's family as the configuration or the file says; SONO_FAMILY_AUTO when neither does, and it was
 * taken for D-FINE's (and for NULL). */
SONO_API sono_detector_family sono_pipeline_family(const sono_pipeline *pipeline);

/* Waits for frames in flight, drops their results and ends the pipeline: no other call may be under way, and
 * none but giving back what is lent may follow. Packets and tensors that are lent stay valid: the memory goes
 * with the last of them. Lent inputs are gone. NULL is allowed. */
SONO_API void sono_pipeline_close(sono_pipeline *pipeline);

#ifdef __cplusplus
}
#endif
#endif
