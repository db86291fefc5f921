// SPDX-License-Identifier: Apache-2.0
/*
 * Reading frames from files, writing results. In libsonoseg-io. Unstable: may change
 * with every release. C11 and C++11. Conventions (ownership, errors) are those of sonoseg.h.
 */
#ifndef SONOSEG_IO_H
#define SONOSEG_IO_H

#include "sonoseg/sonoseg.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sources ------------------------------------------------------------------------------------------- */

typedef struct sono_source sono_source;

typedef struct sono_source_options {
    size_t struct_size;
    int32_t keep_colour; /* 0 (default): colour images become 8-bit luma (Rec. 601); 1: RGB8 stays RGB8 */
    int64_t max_pixels;  /* larger images are refused before they are decoded; default 1920 x 1200 x 4 */
    int32_t n_held;      /* the newest n frames keep their pixels (one in flight each); [1, 16], default 1 */
    double float_low;    /* float TIFF: this value and those below it become black, ... */
    double
        float_high; /* ... this and those above it white; low < high, 0 and 0 (default) = refuse such files */
    int32_t max_side_px;  /* images with a longer side are refused likewise; 0 (default) = none is */
    int32_t gray16_white; /* the 16-bit value that means white; 0 (default) = the file's own word, else
                             unknown; or SONO_GRAY16_AUTO */
    int32_t
        as_stored; /* of sequences: 1 = frames come without an image, whatever their type, also those whose
                      image is missing; sono_source_samples() has the pixels. 0 (default): as images */
    const char *pose_transform; /* of sequences: the transform that info->image_to_reference is taken from,
                                   without "Transform" at its end; NULL (default) = "ImageToReference" */
    int32_t burned_in;          /* of DICOM: a sono_burned_in */
    int32_t wants_region; /* of DICOM: 1 = info->region is the ultrasound region that the file names, so that
                             the networks see that alone; 0 (default) = all of the image */
} sono_source_options;

/* What becomes of a DICOM file's text that is part of its pixels: names, dates, menus. */
typedef enum sono_burned_in {
    SONO_BURNED_IN_REFUSE = 0, /* for who shows or keeps pictures: a file whose BurnedInAnnotation is YES, or
                                  that names no ultrasound region, is refused; of others all pixels outside
                                  of the regions are black */
    SONO_BURNED_IN_UNSEEN = 1, /* for who shows none: nothing is refused, and those pixels are black, too */
    SONO_BURNED_IN_KEEP = 2    /* every file, every pixel, as stored */
} sono_burned_in;

/* What image->gray16_white becomes with 16-bit grey images:
 * - gray16_white above 0: that, in the file's own units (those of a PGM's maxval).
 * - else by the file: MaxSampleValue of a TIFF, when it is 2^n - 1 and no sample is above it; 2^n - 1 for a
 * PNG with sBIT n, when every sample fits and one cannot have been scaled up to 16 bits as PNG asks for, else
 *   65535; 65535 for a PGM with a maxval of its own (its samples come scaled).
 * - else 0; with SONO_GRAY16_AUTO the smallest of 255, 1023, 4095, 16383 and 65535 that held every sample of
 *   this frame and of those before it. The same files in the same order give the same values. */
#define SONO_GRAY16_AUTO (-1)

SONO_API void sono_source_options_init_sized(void *options, size_t struct_size);
static inline void sono_source_options_init(sono_source_options *options)
{
    sono_source_options_init_sized(options, sizeof *options);
}

/* Image files: PNG, JPEG, TIFF, PBM/PGM/PPM, recognised by content. A folder stands for the image files in it
 * (by suffix, without one by content, hidden ones left out, folders below left out) in natural order ("2.png"
 * before "10.png"). Every page of a TIFF is a frame; reduced images and masks in it are not. With several
 * pages their names count from 1: "a/b.tif" gives "a/b_p0001.tif". Pictures are turned as their EXIF or TIFF
 * orientation asks for. frame_id counts the entries from 0. A path that does not exist, or a folder without
 * images, is an entry that fails in sono_source_next(), so that the others can still be read. Errors:
 * INVALID_ARGUMENT (no path, an option outside its range), OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_images(const char *const *paths, int32_t n_paths,
                                             const sono_source_options *options, sono_source **out,
                                             sono_error *error);

/* Number of frames as far as it is known, -1 = unknown. A file counts as one until it is opened; from then on
 * its pages count. Never below the number of frames given so far. */
SONO_API int64_t sono_source_count(const sono_source *source);

/* Number of files that the given folders hold beside images; hidden files and folders do not count. suffixes
 * (optional): theirs, ".bmp, .dcm", borrowed until close; "" when there are none. */
SONO_API int64_t sono_source_left_out(const sono_source *source, const char **suffixes);

/* Reads the next frame. image, info (NULL = not wanted): set up by their _init functions. image->pixels is
 * borrowed until n_held further frames were read; *name (the file's path, or its page's name) until close,
 * unless the source says otherwise; both are set to NULL at END. A file that cannot be read is an error for
 * this frame only, *name says which and info->frame_id has its number: call again for the next one. Errors:
 * END, IO, FORMAT (also for files cut short), UNSUPPORTED, LIMIT (larger than max_pixels or max_side_px),
 * OUT_OF_MEMORY. */
SONO_API sono_status sono_source_next(sono_source *source, sono_image *image, sono_frame_info *info,
                                      const char **name, sono_error *error);

/* The path that is read as number `index`, from 0, of a source over files (folders stand for the images in
 * them); it may hold several frames. NULL behind the last, and for sources of another kind. Borrowed until
 * close. Reading each by itself gives the same frames, but for SONO_GRAY16_AUTO, which looks at those before.
 */
SONO_API const char *sono_source_path(const sono_source *source, int64_t index);

/* Whether a file is an image of a kind that holds one frame (PNG, JPEG, PBM/PGM/PPM), by its first bytes. 0
 * also for what cannot be read. Thread-safe. */
SONO_API int32_t sono_source_is_one_frame(const char *path);

SONO_API void sono_source_close(sono_source *source); /* NULL is allowed */

/* ---- sequences ----------------------------------------------------------------------------------------- */

/* What a pixel's component is; the numbers are those of OpenIGTLink's IMAGE. */
typedef enum sono_element {
    SONO_ELEMENT_I8 = 2,
    SONO_ELEMENT_U8 = 3,
    SONO_ELEMENT_I16 = 4,
    SONO_ELEMENT_U16 = 5,
    SONO_ELEMENT_I32 = 6,
    SONO_ELEMENT_U32 = 7,
    SONO_ELEMENT_F32 = 10,
    SONO_ELEMENT_F64 = 11
} sono_element;

/* A recorded sequence of frames: MetaIO (.mha, .mhd with its .raw or .zraw) or NRRD (.nrrd, .nhdr), plain or
 * compressed, also with the fields of PLUS and 3D Slicer for each frame (.igs.mha, ...); recognised by
 * content. The last dimension counts the frames. Read frame by frame: memory depends on the header and on one
 * frame, not on the length.
 *
 * Images. 1, 3 or 4 components of 8 bits, unsigned, become GRAY8, RGB8 or RGBA8; the latter two luma without
 * keep_colour. 1 component of 16 bits, unsigned, becomes GRAY16. Other single components (signed, 32 bits,
 * float) are UNSUPPORTED unless float_low and float_high give a window, which becomes 0 to 65535 (GRAY16); a
 * NaN becomes 0. Rows and columns stay as they are stored.
 *
 * What is known. info->timestamp_ns is sono_sequence_info's start_ns plus the frame's Timestamp, or
 * UnfilteredTimestamp without one: exact, digits below a nanosecond cut off. info->spacing_mm is the
 * header's; 1 x 1 in a file with fields for each frame, which PLUS writes whatever the image, is taken as
 * unknown. info->has_pose is 1 when the transform is there and its status is OK. info->orientation,
 * info->device_name (the file's DeviceName) and info->user (the frame's SourceTimestamp, 64 bits in hex) are
 * what the file says. info->frame_id counts from 0. Names are
 * "<stem>_f0001.<suffix>" without ".igs", counted from 1; valid as long as the pixels, with an error until
 * the next call.
 *
 * A frame whose ImageStatus is not OK has no image: UNSUPPORTED for this frame alone, with info and fields
 * all the same. A file of transforms alone is UNSUPPORTED. as_stored takes both. After IO, or FORMAT in the
 * pixels, there is nothing more to read: END.
 *
 * Errors: IO, FORMAT, UNSUPPORTED, LIMIT (max_pixels, max_side_px, a header above 128 MiB), INVALID_ARGUMENT,
 * OUT_OF_MEMORY; the text names the file, the place and the reason. */
SONO_API sono_status sono_source_open_sequence(const char *path, const sono_source_options *options,
                                               sono_source **out, sono_error *error);

/* A DICOM file (Part 10: "DICM" behind 128 bytes) of one or more ultrasound images, little endian:
 * uncompressed in implicit or explicit VR, or JPEG (baseline, extended with 8 bits). MONOCHROME1, MONOCHROME2
 * (8 bits, or 16 of which 8 to 16 are stored), RGB, YBR_FULL, YBR_FULL_422, in pixels or in planes;
 * docs/formats.md names what is not read. Read frame by frame: memory depends on one frame.
 *
 * Images. Grey becomes GRAY8, or GRAY16 with gray16_white 2^BitsStored - 1; of MONOCHROME1 the negative, so
 * that the largest sample is white. Colour becomes luma, which of Y Cb Cr is Y, or with keep_colour RGB8.
 * Whether three components are RGB or Y Cb Cr is judged by the pixels of the first frame, which are grey
 * nearly everywhere; where they do not tell by the JPEG's markers; else by PhotometricInterpretation.
 *
 * What is known. info->spacing_mm: of the main ultrasound region (the largest image of tissue, else the
 * largest image) where its units are centimetres, else PixelSpacing; unknown where there are images of
 * different scale and wants_region is 0. info->timestamp_ns counts from 0, the first frame, by
 * FrameTimeVector, FrameTime or CineRate: no date is taken over. Names are "dicom_<hash>.dcm", or
 * "dicom_<hash>_f0001.dcm" with several frames, counted from 1; <hash> are the first 16 digits of the
 * SHA-256 of the file's bytes. So neither a tag nor the file's own name, which may say who was examined,
 * goes into what is written. Valid as long as the pixels; with an error *name is the path.
 *
 * Errors: IO, FORMAT, UNSUPPORTED (also pictures that burned_in refuses), LIMIT (max_pixels, max_side_px),
 * INVALID_ARGUMENT, OUT_OF_MEMORY; the text names the file, the place and the reason. A frame that is damaged
 * is an error for this frame alone. */
SONO_API sono_status sono_source_open_dicom(const char *path, const sono_source_options *options,
                                            sono_source **out, sono_error *error);

/* A video, read by the command ffmpeg (5.1 or later; of Debian the package ffmpeg), which runs as a child
 * process until the video has ended or the source is closed: without a shell, with this file alone to open,
 * and in these formats: AVI, MP4 and QuickTime, Matroska and WebM, MPEG, ASF, FLV, Ogg, and bare streams
 * (.mjpeg, .mjpg, .h264, .264); of them the first video stream, whatever its codec, that this ffmpeg decodes.
 *
 * Images. As ffmpeg converts them, in the orientation that the file asks for: luma as GRAY8, of more than 8
 * bits as GRAY16 with gray16_white 65535; with keep_colour what is in colour as RGB8. Luma that is not
 * labelled as of full range counts as 16 to 235, and is widened to 0 to 255. A frame is given once, none is
 * repeated or left out.
 *
 * What is known. info->timestamp_ns counts from the video's start, as the file says it; 0 in a bare stream.
 * Names are "<stem>_f0001.<suffix>", counted from 1; valid as long as the pixels; with an error *name is the
 * path. sono_source_count() is -1 until the end.
 *
 * Errors: IO, UNSUPPORTED (no ffmpeg; frames of several sizes), FORMAT (ffmpeg cannot read it; damaged or cut
 * short: the frames before it are given, then this error with what ffmpeg said, then END), LIMIT (max_pixels,
 * max_side_px, no more processes), INVALID_ARGUMENT, OUT_OF_MEMORY. */
SONO_API sono_status sono_source_open_video(const char *path, const sono_source_options *options,
                                            sono_source **out, sono_error *error);

/* Image files, sequences (what ends in .mha, .mhd, .nrrd or .nhdr), DICOM files (.dcm, .dicom, or by
 * content), videos (by suffix: .mp4, .avi, ..., docs/formats.md), and folders of them, in any order, as one
 * source: each as its own function says; frame_id counts through. A sequence, a DICOM file or a video is
 * opened when its turn comes: one that cannot be is an error for this entry alone. A folder stands for all of
 * these in it, in natural order; folders below it are left out. A path that does not exist may be
 * - a pattern with *, ? or [...] (as of glob(7)): what it matches, in natural order;
 * - "@FILE": the text FILE names paths, folders or patterns, one a line, in this order; empty lines and those
 * that begin with # say nothing; relative paths start at FILE's folder. Errors: as of
 * sono_source_open_images(); of a list also IO, FORMAT, LIMIT. */
SONO_API sono_status sono_source_open_files(const char *const *paths, int32_t n_paths,
                                            const sono_source_options *options, sono_source **out,
                                            sono_error *error);

/* What a sequence says of itself. Made by the library, grows at its end. */
typedef struct sono_sequence_info {
    size_t struct_size;
    int64_t n_frames;
    int32_t width_px;
    int32_t height_px;
    sono_element element;
    int32_t components; /* [1, 4] */
    int64_t start_ns; /* what timestamps are counted from, ns since 1970 UTC: a recording of sonoseg says it;
                         else 0: PLUS counts from its own start, which no file names */
    int32_t is_compressed;
    int32_t has_images; /* 0: a recording of transforms alone */
} sono_sequence_info;

/* Borrowed until close; NULL for a source of another kind. */
SONO_API const sono_sequence_info *sono_source_sequence(const sono_source *source);

/* The pixels of the frame last given, as the file has them, but in host byte order. */
typedef struct sono_samples {
    const void *data; /* rows contiguous, components interleaved; NULL: the frame has no image */
    size_t n_bytes;
    int32_t width_px;
    int32_t height_px;
    sono_element element;
    int32_t components;
} sono_samples;

/* out: borrowed until the next frame is read. Errors: STATE (no frame was given), UNSUPPORTED (not a
 * sequence), INVALID_ARGUMENT. */
SONO_API sono_status sono_source_samples(const sono_source *source, sono_samples *out, sono_error *error);

/* Fields of the frame last given, in the file's order: Seq_FrameNNNN_<name> = <value>; then those of the file
 * that describe no format ("UltrasoundImageOrientation"). */
typedef struct sono_source_field {
    const char *name; /* without Seq_FrameNNNN_ */
    const char *value;
    int32_t is_of_frame; /* 0: of the file */
} sono_source_field;

/* Number of fields, 0 for a source without any. */
SONO_API int32_t sono_source_field_count(const sono_source *source);
/* Texts borrowed until the next frame is read. Errors: INVALID_ARGUMENT (no such number). */
SONO_API sono_status sono_source_field_at(const sono_source *source, int32_t number, sono_source_field *out,
                                          sono_error *error);

/* ---- sinks --------------------------------------------------------------------------------------------- */

/* What may be written without a loss, and by whom. */
typedef enum sono_output_kind {
    SONO_OUTPUT_FILE,    /* one file */
    SONO_OUTPUT_RESULTS, /* a folder, written as sono_sink_open_folder() does */
    SONO_OUTPUT_SET      /* a folder, written as `sonoseg phantom` does: images/ and masks/ */
} sono_output_kind;

typedef struct sono_output {
    const char *path;
    sono_output_kind kind;
} sono_output;

/* Decides whether outputs may be written by somebody who reads inputs: to be asked before anything is
 * written. inputs: files, and folders for the images in them; what does not exist is passed over. Nothing is
 * changed. Files are told apart by device and inode, through symbolic and hard links. Refused with
 * INVALID_ARGUMENT, in a text that names both paths and the way out:
 * - an output, or a picture in a folder of outputs, that is one of the inputs; two outputs that are one file;
 * - RESULTS where a labelled set is: with images/, or with pictures in masks/ that no results.jsonl explains;
 * - SET where results are, or pictures that `sonoseg phantom` did not make.
 * Other errors: STATE (somebody is writing it, see sono_folder_lock()), OUT_OF_MEMORY. Thread-safe. */
SONO_API sono_status sono_output_check(const char *const *inputs, int32_t n_inputs,
                                       const sono_output *outputs, int32_t n_outputs, sono_error *error);

/* Makes this process the only one to write into an existing folder, until sono_folder_unlock() or its end,
 * whatever ends it; then removes the half-written pictures of a writer that was killed.
 * sono_sink_open_folder() does it itself. On a network file system only processes of one machine see each
 * other; where a folder cannot be locked at all, *out_lock is -1. Errors: STATE (another has it),
 * INVALID_ARGUMENT. Thread-safe. */
SONO_API sono_status sono_folder_lock(const char *path, int32_t *out_lock, sono_error *error);
SONO_API void sono_folder_unlock(int32_t lock); /* -1 is allowed */

/* Writes a file's name or path as a JSON string of valid UTF-8. What is not UTF-8 and control characters are
 * written as '%' and two upper-case hex digits, and so is a '%' before such digits: every name comes back,
 * and no two are written alike. "b\xf6.png" is "b%F6.png". Write errors stay in the stream (ferror). */
SONO_API void sono_json_write_name(FILE *stream, const char *name);

/* Writes an event as one JSON object without a newline: {"schema": 1, "ts": <epoch seconds>, "event":
 * "<name>", "frame": <frame_id>, "key": value, ...}. Texts are written as by sono_json_write_name(), a number
 * that is not finite as null. Write errors stay in the stream (ferror). */
SONO_API void sono_event_write_json(FILE *stream, const sono_event *event);

typedef struct sono_sink sono_sink;

typedef struct sono_sink_options {
    size_t struct_size;
    int32_t write_masks;    /* 1 (default): DIR/masks/<stem>.png */
    int32_t write_overlays; /* 1 (default): DIR/overlays/<stem>.png */
    int32_t write_weights;  /* 0 (default); 1: DIR/weights/<stem>_{edge,inside,outside}.png, 0 / 255 */
    int32_t
        gray16_white;  /* what the overlay shows as white in 16-bit frames that do not say; default 65535 */
    int32_t write_rle; /* 1: each object's line has its mask as COCO's run lengths, "mask_rle"; default 0 */
    int32_t without_times; /* 1: lines without latency_ms and ledger, so that the same inputs give the same
                              bytes; default 0 */
    int32_t keep_results;  /* 1: a results.jsonl that is there is added to; 0 (default) = overwritten */
    int32_t reserved;      /* 0 */
} sono_sink_options;

SONO_API void sono_sink_options_init_sized(void *options, size_t struct_size);
static inline void sono_sink_options_init(sono_sink_options *options)
{
    sono_sink_options_init_sized(options, sizeof *options);
}

/* A folder (made when missing, with its parents) that takes results.jsonl, masks and overlays; an existing
 * results.jsonl is overwritten, pictures of the same name too. It is locked until close, also against a
 * second sink of this process. Errors: INVALID_ARGUMENT (also a labelled set, as of sono_output_check()),
 * STATE (another writes into it), IO, OUT_OF_MEMORY. */
SONO_API sono_status sono_sink_open_folder(const char *path, const sono_sink_options *options,
                                           sono_sink **out, sono_error *error);

/* Writes one result: its pictures, each whole or not at all, then its line, flushed. On failure nothing of
 * this result stays behind; a process that is killed leaves the pictures of at most one frame without a line.
 * image: the pixels the packet was made from, for the overlay; may be NULL when no overlays are written.
 * source: where it came from; its stem, escaped as by sono_json_write_name(), names the pictures ("a/b.png"
 * -> "b"; a second "b" becomes "b_2"). With several objects masks/<stem>.png is their union and
 * masks/<stem>_obj<k>.png (k from 0) each one's own. Errors: IO (disk full, ...), INVALID_ARGUMENT (frame and
 * packet differ in size), OUT_OF_MEMORY. */
SONO_API sono_status sono_sink_write(sono_sink *sink, const sono_packet *packet, const sono_image *image,
                                     const char *source, sono_error *error);

/* Flushes and closes; what could not be written is reported here at the latest. NULL is allowed. */
SONO_API sono_status sono_sink_close(sono_sink *sink, sono_error *error);

/* One result on its way into a folder's sink, for several threads: names are given in input order by one
 * thread at a time, pictures are drawn by any thread, each its own entry's, and lines are added in input
 * order by one thread at a time; these three may go on at once. The folder is then, byte for byte, what
 * sono_sink_write() makes of the same results. */
typedef struct sono_sink_entry sono_sink_entry;

/* out: to be closed by the caller; of use again and again. Errors: OUT_OF_MEMORY, INVALID_ARGUMENT. */
SONO_API sono_status sono_sink_entry_open(sono_sink_entry **out, sono_error *error);
SONO_API void sono_sink_entry_close(sono_sink_entry *entry); /* NULL is allowed */

/* Gives the result of `source` its name; n_objects: the packet's. Errors: OUT_OF_MEMORY, INVALID_ARGUMENT
 * (also: not a folder's sink). */
SONO_API sono_status sono_sink_name(sono_sink *sink, sono_sink_entry *entry, const char *source,
                                    int32_t n_objects, sono_error *error);
SONO_API const char *sono_sink_entry_stem(const sono_sink_entry *entry); /* that name; the entry's */

/* Writes the pictures and makes the line. image: NULL = no overlay of this one. Errors: as of
 * sono_sink_write(); nothing stays behind then. */
SONO_API sono_status sono_sink_draw(sono_sink *sink, sono_sink_entry *entry, const sono_packet *packet,
                                    const sono_image *image, const char *source, sono_error *error);

/* Adds the line, flushed. Errors: IO: the pictures were removed. */
SONO_API sono_status sono_sink_commit(sono_sink *sink, sono_sink_entry *entry, sono_error *error);

/* Removes the pictures of a result that is not to be in the folder. Thread-safe, for different entries. */
SONO_API void sono_sink_discard(sono_sink *sink, sono_sink_entry *entry);

/* Writes one picture as a PNG file. pixels: height_px rows of width_px * channels bytes, contiguous; channels
 * 1 (grey) or 3 (RGB). It is written beside its place and renamed: an existing file is whole or untouched, a
 * symbolic link is replaced; a pipe or a device is written as it is. Thread-safe. Errors: INVALID_ARGUMENT
 * (NULL, an empty size, other channels), IO, OUT_OF_MEMORY; the text names path. */
SONO_API sono_status sono_png_write(const char *path, const uint8_t *pixels, int32_t width_px,
                                    int32_t height_px, int32_t channels, sono_error *error);

/* Whether a PNG file is whole: every chunk's checksum, down to the last one, and the size that its header
 * names. Pixels are not unpacked. Thread-safe. Errors: IO (also: not there), FORMAT (damaged, cut short,
 * another size), INVALID_ARGUMENT; the text names path and place. */
SONO_API sono_status sono_png_check(const char *path, int32_t width_px, int32_t height_px, sono_error *error);

/* An RGB picture to draw into; what lies outside of it is left out. */
typedef struct sono_picture {
    uint8_t *pixels; /* height_px rows of width_px * 3 bytes, contiguous; the caller's */
    int32_t width_px;
    int32_t height_px;
} sono_picture;

typedef struct sono_colour {
    uint8_t r, g, b;
} sono_colour;

/* Mixes ink into columns x0_px..x1_px - 1 of rows y0_px..y1_px - 1; weight: [0, 256], 256 covers. */
SONO_API void sono_picture_fill(const sono_picture *picture, int32_t x0_px, int32_t y0_px, int32_t x1_px,
                                int32_t y1_px, sono_colour ink, int32_t weight);

/* One line of text with its top left corner at x_px, y_px. A letter is SONO_TEXT_DOTS dots high, a dot dot_px
 * pixels. Letters, digits and . , # % : - + / ( ); anything else is a blank. */
#define SONO_TEXT_DOTS 7
SONO_API void sono_picture_draw_text(const sono_picture *picture, int32_t x_px, int32_t y_px, int32_t dot_px,
                                     const char *text, sono_colour ink);
SONO_API int32_t sono_picture_text_width(const char *text, int32_t dot_px);

#ifdef __cplusplus
}
#endif
#endif
