// SPDX-License-Identifier: Apache-2.0
/* JPEG through libjpeg-turbo: memory in, errors by longjmp. Damage that libjpeg would only warn about and
 * paint over in grey is an error here: half a frame is never analysed. */
#include "io/images/image.h"
#include "io/images/orientation.h"

#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <string.h>

/* A progressive file of many empty scans costs time without bound; libjpeg-turbo's own tools advise this cap.
 */
#define MAX_SCANS  500
#define EXIF_START 6 /* "Exif", two zero bytes */

enum { SOF_LOSSLESS = 0xc3, SOF_JPEG_LS = 0xf7 };

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf target;
    int code; /* libjpeg's message code of what went wrong */
    char text[JMSG_LENGTH_MAX];
} reader;

static void leave(j_common_ptr jpeg)
{
    reader *state = jpeg->client_data;
    state->code = jpeg->err->msg_code;
    jpeg->err->format_message(jpeg, state->text);
    longjmp(state->target, 1);
}

/* Warnings about headers are harmless, and those about bytes that belong to nothing; those about the
 * compressed data mean lost pixels. */
static int is_harmless(int code)
{
    return code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC ||
           code == JWRN_EXTRANEOUS_DATA;
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && !is_harmless(jpeg->err->msg_code))
        leave(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS)
        ERREXIT(jpeg, JERR_BAD_PROGRESSION);
}

static int32_t orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->data_length > EXIF_START && !memcmp(marker->data, "Exif\0", EXIF_START))
            return sono_orientation_of_exif(marker->data + EXIF_START, marker->data_length - EXIF_START);
    return 1;
}

static sono_status read_image(reader *state, const sono_image_job *job)
{
    j_decompress_ptr jpeg = &state->jpeg;
    jpeg_mem_src(jpeg, job->bytes, (unsigned long)job->n_bytes);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK)
        return SONO_FAIL(job->error, UNSUPPORTED,
                         "%s: a JPEG of printing inks (CMYK) is not supported: save it as RGB", job->name);
    const int keeps = job->keeps_components && jpeg->num_components == 3;
    const int wants_colour = keeps || (job->options->keep_colour && jpeg->num_components > 1);
    jpeg->out_color_space = keeps ? JCS_YCbCr : wants_colour ? JCS_RGB : JCS_GRAYSCALE;
    if (keeps)
        jpeg->jpeg_color_space = JCS_YCbCr; /* the same on both sides: nothing is converted */
    SONO_TRY(sono_image_shape(job, jpeg->image_width, jpeg->image_height,
                              wants_colour ? SONO_PIXEL_RGB8 : SONO_PIXEL_GRAY8));
    job->image->orientation = orientation_of(jpeg);
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = job->image->pixels + (size_t)jpeg->output_scanline * job->image->pitch_bytes;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return SONO_STATUS_OK;
}

/* What kind of JPEG libjpeg could not take; number: the parameter of its message. */
static sono_status fail_kind(const reader *state, const sono_image_job *job, int number)
{
    const char *text = state->text;
    char bits[32];
    if (number == SOF_JPEG_LS)
        text = "JPEG-LS";
    else if (state->code == JERR_SOF_UNSUPPORTED && number == SOF_LOSSLESS)
        text = "lossless";
    else if (state->code == JERR_BAD_PRECISION) {
        snprintf(bits, sizeof bits, "%d bits a sample", number);
        text = bits;
    }
    return SONO_FAIL(job->error, UNSUPPORTED,
                     "%s: this kind of JPEG is not supported: %s: save it as PNG or as 8-bit baseline JPEG",
                     job->name, text);
}

static sono_status fail(const reader *state, const sono_image_job *job)
{
    const int number = state->errors.msg_parm.i[0];
    if (state->code == JERR_UNKNOWN_MARKER && number == SOF_JPEG_LS)
        return fail_kind(state, job, number);
    switch (state->code) {
    case JERR_OUT_OF_MEMORY:
        return SONO_FAIL(job->error, OUT_OF_MEMORY, "%s: out of memory", job->name);
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOTIMPL:
        return fail_kind(state, job, number);
    case JERR_IMAGE_TOO_BIG:
        return SONO_FAIL(job->error, LIMIT, "%s: %s", job->name, state->text);
    case JERR_EMPTY_IMAGE:
        return SONO_FAIL(job->error, FORMAT, "%s: the image has zero size: empty", job->name);
    case JERR_INPUT_EOF:
    case JWRN_JPEG_EOF:
        return SONO_FAIL_AT(job->error, FORMAT, job->n_bytes, "%s: the JPEG file is cut short", job->name);
    default:
        return SONO_FAIL(job->error, FORMAT, "%s: damaged JPEG: %s", job->name, state->text);
    }
}

static sono_status read_guarded(reader *state, const sono_image_job *job)
{
    if (setjmp(state->target))
        return fail(state, job);
    jpeg_create_decompress(&state->jpeg);
    state->jpeg.progress = &state->progress;
    return read_image(state, job);
}

sono_status sono_image_decode_jpeg(const sono_image_job *job)
{
    reader state;
    memset(&state, 0, sizeof state);
    state.jpeg.err = jpeg_std_error(&state.errors);
    state.jpeg.client_data = &state;
    state.errors.error_exit = leave;
    state.errors.emit_message = on_message;
    state.errors.output_message = on_output;
    state.progress.progress_monitor = on_progress;
    const sono_status status = read_guarded(&state, job);
    jpeg_destroy_decompress(&state.jpeg);
    return status;
}
