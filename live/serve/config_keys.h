// SPDX-License-Identifier: Apache-2.0
/*
 * Every key of the service's configuration, once. From this table come the struct (config.h), the YAML schema
 * and its messages, the flags of `sonoseg serve`, its help, the manual page and the commented example file.
 *
 * TEXT(section, name, default, reload, help)
 * CHOICE(section, name, default, choices, reload, help)        choices: "a|b"; the default is one of them
 * FLAG(section, name, default, reload, help)                   0 or 1; YAML true, false
 * INTEGER(section, name, default, low, high, reload, help)     unit: by the name's ending
 * NUMBER(section, name, default, low, high, reload, help)
 *
 * reload: 1 = taken at SIGHUP, 0 = needs a restart. Field: <section>.<name>. Flag: --<section>-<name>.
 */
#ifndef SONO_SERVE_CONFIG_KEYS_H
#define SONO_SERVE_CONFIG_KEYS_H

#define SONO_SERVE_KEY_MAP(TEXT, CHOICE, FLAG, INTEGER, NUMBER)                                              \
    TEXT(source, address, "127.0.0.1:18944", 0,                                                              \
         "host and port of the image source, a PlusServer for instance")                                     \
    TEXT(source, device, "", 1, "name of the IMAGE to analyse; empty = the first that comes")                \
    TEXT(source, transform, "ImageToReference", 1,                                                           \
         "the pose: metadata or TRANSFORM of this name; empty = none")                                       \
    FLAG(source, ask_plus, 0, 0,                                                                             \
         "send Plus a CLIENTINFO that narrows what it sends to the image and the pose")                      \
    CHOICE(source, checksum, "drop", "drop|accept", 1, "images whose CRC does not fit are dropped or taken") \
    CHOICE(source, order, "newest", "newest|all", 0,                                                         \
           "the newest image wins; or all, in order, for recordings: the source has to wait")                \
    TEXT(source, window, "", 1,                                                                              \
         "LOW,HIGH: samples of signed, 32-bit and float images that become black and white; empty = such "   \
         "images are refused")                                                                               \
    NUMBER(source, max_rate_hz, 0, 0, 10000, 1, "images above this rate are dropped; 0 = no limit")          \
    INTEGER(source, max_message_mb, 64, 1, 2047, 0, "a larger message ends the connection")                  \
    INTEGER(source, connect_ms, 2000, 10, 600000, 1, "an attempt to connect may take so long")               \
    INTEGER(source, backoff_min_ms, 100, 10, 600000, 1,                                                      \
            "pause before the next attempt, doubled from one to the next")                                   \
    INTEGER(source, backoff_max_ms, 5000, 10, 600000, 1, "the longest pause between attempts")               \
    INTEGER(source, read_ms, 3000, 0, 600000, 1,                                                             \
            "nothing at all from the source for so long: the link is cut and made again; 0 = never")         \
    INTEGER(source, stall_ms, 1000, 0, 600000, 1, "no image for so long: the mask is emptied; 0 = never")    \
    INTEGER(                                                                                                 \
        mailbox, max_age_ms, -1, -1, 600000, 1,                                                              \
        "an image that waited longer is dropped; 0 = no limit, -1 = 500 on CUDA and no limit on the CPU")    \
    INTEGER(mailbox, n_waiting, 8, 1, 64, 0, "with source.order all: so many images may wait")               \
    CHOICE(engine, kind, "pipeline", "pipeline|null", 0,                                                     \
           "null analyses nothing: it marks pixels of 128 and above, to measure the service itself")         \
    INTEGER(engine, null_delay_ms, 0, 0, 60000, 0, "null: a frame takes so long")                            \
    INTEGER(engine, null_fail_every, 0, 0, 1000000, 0,                                                       \
            "null, for tests of recovery: every so many images one is lost; 0 = none")                       \
    INTEGER(engine, null_open_ms, 0, 0, 3600000, 0, "null, for tests of recovery: opening takes so long")    \
    INTEGER(engine, null_unsure_px, 0, 0, 100000000, 0,                                                      \
            "null, for tests of what is shown: images with fewer marked pixels are RELOCALIZING; 0 = none")  \
    TEXT(engine, detector, "", 0, "D-FINE checkpoint; empty = $SONO_DETECTOR, else the model of sonoseg")    \
    CHOICE(engine, detector_family, "auto", "auto|dfine|deim", 0, "whose training the detector comes from")  \
    TEXT(engine, segmenter, "", 0,                                                                           \
         "MobileSAM checkpoint; empty = $SONO_SEGMENTER, else the model of sonoseg")                         \
    TEXT(engine, device, "auto", 0, "auto, cpu, cuda or cuda:N")                                             \
    CHOICE(engine, precision, "auto", "auto|fp32|fp16", 0, "auto = fp32 on the CPU, fp16 on CUDA")           \
    INTEGER(engine, threads, 0, 0, 256, 0, "CPU threads; 0 = every core")                                    \
    NUMBER(engine, threshold, 0.30, 0, 1, 0, "a best score below it is LOST")                                \
    NUMBER(                                                                                                  \
        engine, min_piece, -1, -1, 1, 0,                                                                     \
        "pieces of the mask with less than this share of its largest one, and those far from the box, are "  \
        "removed; 0 = none, -1 = 0.02 with the segmenter of sonoseg and 0 with others")                      \
    NUMBER(engine, bridge, -1, -1, 1, 0,                                                                     \
           "gaps in the mask up to this share of the box's width are closed where the image has an echo; 0 " \
           "= none, -1 = 0.15 with the segmenter of sonoseg and 0 with others")                              \
    CHOICE(engine, surface, "auto", "auto|on|off", 0,                                                        \
           "on: the ridge of the echo is found and sent as POLYDATA <mask_name>Surface; auto = on with the " \
           "segmenter of sonoseg")                                                                           \
    INTEGER(engine, detect_every, 1, 1, 100, 0,                                                              \
            "with state.mode stream: while VISIBLE the detector runs in every so manyth image only, else "   \
            "the box is that of the mask before")                                                            \
    TEXT(                                                                                                    \
        engine, region, "none", 0,                                                                           \
        "what the networks see of an image: none = all of it, find = the ultrasound image that is found on " \
        "a screen, or x,y,w,h in pixels")                                                                    \
    INTEGER(engine, max_width_px, 1920, 16, 8192, 0, "larger images are refused")                            \
    INTEGER(engine, max_height_px, 1200, 16, 8192, 0, "larger images are refused")                           \
    INTEGER(engine, gray16_white, 65535, 1, 65535, 0, "the 16-bit sample that means white")                  \
    INTEGER(engine, depth, 1, 1, 12, 0, "images in the engine at once; 1 = the lowest latency")              \
    INTEGER(engine, max_latency_ms, 0, 0, 600000, 1,                                                         \
            "a result that comes later after its image is not shown, the mask is emptied; 0 = no limit")     \
    INTEGER(                                                                                                 \
        engine, hang_ms, -1, -1, 600000, 1,                                                                  \
        "an image in the engine for longer: it is reopened; 0 = never, -1 = 10000 on CUDA and 120000 on "    \
        "the CPU")                                                                                           \
    INTEGER(engine, open_ms, 600000, 0, 3600000, 1,                                                          \
            "loading the models may take so long, then the engine hangs; 0 = however long")                  \
    INTEGER(engine, close_ms, 10000, 100, 600000, 1,                                                         \
            "a hanging engine may take so long to close; then exit 1")                                       \
    INTEGER(engine, error_limit, 3, 1, 1000, 1, "so many device errors in a row reopen the engine")          \
    CHOICE(state, mode, "stream", "score|frame|stream", 0,                                                   \
           "score: VISIBLE where a score reaches engine.threshold; frame: by the quality of each image; "    \
           "stream: by that of the images before it, too (docs/state.md)")                                   \
    INTEGER(state, on, 720, 0, 1000, 0, "quality in thousandths from which an image is good")                \
    INTEGER(state, off, 600, 0, 1000, 0, "quality below which it is bad")                                    \
    INTEGER(state, agree_on, 300, 0, 1000, 0, "agreement with the image before from which an image is good") \
    INTEGER(state, agree_off, 0, 0, 1000, 0, "agreement below which it is bad")                              \
    INTEGER(state, found_after_ms, 40, 0, 600000, 0,                                                         \
            "LOST ends with images that are not bad for so long; 0 = with the first")                        \
    INTEGER(state, visible_after_ms, 80, 0, 600000, 0, "good images for so long are VISIBLE")                \
    INTEGER(state, lost_after_ms, 120, 0, 600000, 0, "bad images for so long are LOST")                      \
    INTEGER(state, frozen_after_ms, 250, 0, 600000, 0,                                                       \
            "an image with the same pixels for so long is frozen, and not VISIBLE")                          \
    INTEGER(state, gap_ms, 500, 0, 600000, 0,                                                                \
            "a longer pause between two timestamps, and the stream begins anew")                             \
    INTEGER(state, default_dt_ms, 40, 0, 600000, 0, "from image to image where timestamps are unknown")      \
    INTEGER(state, weight_score, 600, -100000, 100000, 0,                                                    \
            "weight of the detector's score in the quality; 1000 = all of it")                               \
    INTEGER(state, weight_iou, 200, -100000, 100000, 0,                                                      \
            "weight of the segmenter's own estimate in the quality; 1000 = all of it")                       \
    INTEGER(state, weight_sharpness, 0, -100000, 100000, 0,                                                  \
            "weight of sharpness in the quality; 1000 = all of it")                                          \
    INTEGER(state, weight_contrast, 0, -100000, 100000, 0,                                                   \
            "weight of contrast in the quality; 1000 = all of it")                                           \
    INTEGER(state, weight_shadow, 100, -100000, 100000, 0,                                                   \
            "weight of the shadow below in the quality; 1000 = all of it")                                   \
    INTEGER(state, weight_continuity, 100, -100000, 100000, 0,                                               \
            "weight of continuity in the quality; 1000 = all of it")                                         \
    INTEGER(state, weight_agreement, 0, -100000, 100000, 0,                                                  \
            "weight of IoU with the mask before in the quality; 1000 = all of it")                           \
    INTEGER(state, weight_surface, 0, -100000, 100000, 0,                                                    \
            "weight of nearness to the surface before in the quality; 1000 = all of it")                     \
    INTEGER(state, bias, 0, -100000000, 100000000, 0,                                                        \
            "added to the weighted sum; 1000 = a thousandth of quality")                                     \
    INTEGER(state, unknown_part, 500, 0, 1000, 0, "what an unknown part counts as in the quality")           \
    TEXT(sink, listen, "127.0.0.1:18945", 0,                                                                 \
         "address and port for 3D Slicer and other clients; any other address than loopback must be named")  \
    TEXT(sink, mask_name, "BoneMask", 0, "device name of the mask, 20 characters at most")                   \
    INTEGER(sink, mask_value, 1, 1, 255, 1, "value of a pixel in the mask: 1 for label maps, or 255")        \
    FLAG(sink, outline, 1, 1, "send the outline as POLYDATA")                                                \
    TEXT(sink, outline_name, "BoneOutline", 0, "device name of the outline")                                 \
    FLAG(sink, text, 1, 1, "send KPI JSON as STRING once a second")                                          \
    TEXT(sink, text_name, "sonosegKPI", 0, "device name of the KPI text")                                    \
    TEXT(sink, status_name, "sonoseg", 0, "device name of STATUS")                                           \
    FLAG(sink, maps, 0, 0, "send edge, inside and outside maps as IMAGEs <mask_name>Edge, ...")              \
    FLAG(sink, overlay, 0, 1, "send the image with its outline as IMAGE <mask_name>Overlay")                 \
    INTEGER(sink, max_clients, 8, 1, 64, 0, "further ones are refused")                                      \
    INTEGER(sink, queue_frames, 2, 1, 64, 1,                                                                 \
            "a client may be so many frames behind, then it loses the oldest")                               \
    INTEGER(sink, stuck_ms, 5000, 100, 600000, 1, "a client that takes nothing for so long is disconnected") \
    INTEGER(sink, keep_alive_ms, 1000, 10, 600000, 1, "STATUS at least so often")                            \
    FLAG(control, commands, 0, 0, "take COMMANDs that change something: start, stop, threshold")             \
    TEXT(control, peers, "127.0.0.1", 1, "addresses, with commas, that may send them")                       \
    TEXT(control, token_file, "", 0,                                                                         \
         "file with the secret for changes, by the web page and by COMMAND; empty = no control by the page") \
    TEXT(web, listen, "", 0,                                                                                 \
         "address and port of the web page, its API and metrics, as 127.0.0.1:8080; empty = none (--demo: "  \
         "127.0.0.1:8080, or the next port that is free)")                                                   \
    TEXT(web, allowed_hosts, "", 0,                                                                          \
         "names, with commas, by which it may be reached beside localhost and the address itself")           \
    INTEGER(web, max_sockets, 128, 4, 128, 0, "further connections are answered 503")                        \
    NUMBER(web, warning_rate_hz, 0, 0, 10000, 0, "fewer masks a second: WARNING; 0 = no limit")              \
    NUMBER(web, critical_rate_hz, 0, 0, 10000, 0, "fewer masks a second: CRITICAL; 0 = no limit")            \
    NUMBER(web, warning_latency_ms, -1, -1, 600000, 0,                                                       \
           "5 % of a minute's images take longer: WARNING; 0 = no limit, -1 = 50 on CUDA, none on the CPU")  \
    NUMBER(web, critical_latency_ms, -1, -1, 600000, 0,                                                      \
           "the same: CRITICAL; 0 = no limit, -1 = 100 on CUDA, none on the CPU")                            \
    NUMBER(web, warning_drop_percent, 1, 0, 100, 0,                                                          \
           "more of a minute's images lost, those overtaken not counted: WARNING; 0 = no limit")             \
    NUMBER(web, critical_drop_percent, 10, 0, 100, 0, "the same: CRITICAL; 0 = no limit")                    \
    NUMBER(web, warning_gpu_percent, 95, 0, 100, 0, "the GPU is busier: WARNING; 0 = no limit")              \
    NUMBER(web, critical_gpu_percent, 0, 0, 100, 0, "the same: CRITICAL; 0 = no limit")                      \
    NUMBER(web, warning_gpu_memory_percent, 90, 0, 100, 0,                                                   \
           "more of the GPU's memory is taken: WARNING; 0 = no limit")                                       \
    NUMBER(web, critical_gpu_memory_percent, 97, 0, 100, 0, "the same: CRITICAL; 0 = no limit")              \
    NUMBER(web, warning_gpu_celsius, 85, 0, 150, 0, "the GPU is hotter: WARNING; 0 = no limit")              \
    NUMBER(web, critical_gpu_celsius, 92, 0, 150, 0, "the same: CRITICAL; 0 = no limit")                     \
    TEXT(record, folder, "", 0, "record images and masks into this folder; empty = no recording")            \
    TEXT(record, name, "sonoseg", 0, "files begin with this")                                                \
    FLAG(record, masks, 1, 0, "record masks and states beside the images")                                   \
    FLAG(record, join, 1, 0, "at a clean stop make one .igs.mha of each pair")                               \
    INTEGER(record, max_segment_mb, 2000, 1, 2047, 0,                                                        \
            "a new segment begins before a file of pixels grows beyond this")                                \
    INTEGER(record, queue_mb, 256, 8, 65536, 0, "memory for images on their way to the disk")                \
    TEXT(log, events, "", 0, "file for events; empty = standard error")                                      \
    CHOICE(log, format, "text", "text|json", 0, "of the events")                                             \
    TEXT(log, latency, "", 0, "CSV file: each frame's received, submitted, done, first and last byte out")   \
    TEXT(log, audit, "", 0, "file for who changed what by COMMAND; empty = with the events")                 \
    TEXT(log, errors, "", 0, "file for warnings and errors alone, once more; empty = none")                  \
    TEXT(log, levels, "info", 0,                                                                             \
         "which events: error, warning or info, then others by area, as info,frames=warning")                \
    TEXT(log, snapshot, "", 0,                                                                               \
         "file that always holds the newest KPI JSON as a whole, as kpi_snapshot.json; empty = none")        \
    INTEGER(log, max_mb, 64, 0, 65536, 0,                                                                    \
            "a larger log file is put aside and compressed; 0 = whatever its size")                          \
    INTEGER(log, max_age_h, 168, 0, 87600, 0, "likewise an older one; 0 = whatever its age")                 \
    INTEGER(log, keep, 8, 0, 1000, 0,                                                                        \
            "so many files of each log are kept aside, of the audit log all; 0 = none is put aside")         \
    INTEGER(service, drain_ms, 2000, 0, 600000, 1, "at SIGTERM images in the engine are waited for so long")

#endif
