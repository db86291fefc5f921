// SPDX-License-Identifier: Apache-2.0
/*
 * How fast the OpenIGTLink codec is: its checksum both ways, an IMAGE of 640 x 480 with metadata encoded,
 * decoded and read from a stream, checksum included. Prints JSON: medians of many rounds by the processor
 * time of one thread, so that what else runs on the machine counts little. Status 1 when the codec is below 2
 * GB/s or the checksum, where the CPU multiplies without carry, below 5 GB/s.
 *
 *     cmake --build --preset release --target igtl_bench && build/release/bin/igtl_bench [COMMIT]
 */
#include "igtl/crc.h"
#include "igtl/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIDTH         640
#define HEIGHT        480
#define N_PIXELS      (WIDTH * HEIGHT)
#define MESSAGE_BYTES (N_PIXELS + 4096)
#define LARGE_BYTES   (64 << 20) /* larger than caches: memory decides */
#define N_ROUNDS      41
#define N_REPEATS     200 /* of a round */
#define PIECE_BYTES   65536

#define MIN_CODEC_GB_S 2 /* issue 14 */
#define MIN_CRC_GB_S   5

static uint8_t pixels[N_PIXELS];
static uint8_t received[N_PIXELS];
static uint8_t message[MESSAGE_BYTES];
static uint8_t scratch[8192];
static uint8_t *large;
static size_t n_message;
static uint64_t sink; /* what is computed must be used */

/* Processor time of this thread. */
static double now_s(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of one call of `work`, in seconds. */
static double median_s(void (*work)(void), int n_repeats)
{
    double times[N_ROUNDS];
    work();
    for (int round = 0; round < N_ROUNDS; round++) {
        const double begin = now_s();
        for (int i = 0; i < n_repeats; i++)
            work();
        times[round] = (now_s() - begin) / n_repeats;
    }
    qsort(times, N_ROUNDS, sizeof times[0], compare);
    return times[N_ROUNDS / 2];
}

static void fold_frame(void)
{
    sink ^= sono_igtl_crc64_by_folding(sink, pixels, sizeof pixels);
}

static void look_up_frame(void)
{
    sink ^= sono_igtl_crc64_by_tables(sink, pixels, sizeof pixels);
}

static void check_large(void)
{
    sink ^= sono_igtl_crc64(sink, large, LARGE_BYTES);
}

static void encode(void)
{
    static const sono_igtl_metadata metadata[] = {
        {.key = "FrameNumber", .key_bytes = 11, .value = "123456", .value_bytes = 6, .encoding = 3},
        {.key = "Timestamp", .key_bytes = 9, .value = "1762345678.123456", .value_bytes = 17, .encoding = 3},
        {.key = "ProbeToReferenceTransform",
         .key_bytes = 25,
         .value = "1 0 0 10 0 1 0 20 0 0 1 30 0 0 0 1",
         .value_bytes = 34,
         .encoding = 3},
        {.key = "ProbeToReferenceTransformStatus",
         .key_bytes = 31,
         .value = "OK",
         .value_bytes = 2,
         .encoding = 3},
    };
    static const sono_igtl_image image = {
        .version = 1,
        .n_components = 1,
        .scalar = SONO_IGTL_UINT8,
        .endian = 2,
        .coordinates = 1,
        .size = {WIDTH, HEIGHT, 1},
        .matrix = {0.1f, 0, 0, 0, 0.1f, 0, 0, 0, 1, 32, 24, 0},
        .subsize = {WIDTH, HEIGHT, 1},
    };
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, message, sizeof message);
    sono_igtl_message_begin(&writer, 2, "IMAGE", "Image_Reference", sink);
    sono_igtl_image_head_encode(&writer, &image);
    sono_igtl_write(&writer, pixels, sizeof pixels);
    sink ^= sono_igtl_message_end(&writer, 1, metadata, 4) != SONO_IGTL_OK;
    n_message = writer.n_bytes;
}

static void decode(void)
{
    sono_igtl_header header;
    sono_igtl_body body;
    sono_igtl_image image;
    const uint8_t *at = NULL;
    const uint8_t *bytes = message + SONO_IGTL_HEADER_BYTES;
    if (sono_igtl_header_decode(message, n_message, sizeof message, &header, NULL) != SONO_IGTL_OK ||
        sono_igtl_body_decode(&header, bytes, n_message - SONO_IGTL_HEADER_BYTES, &body, NULL) !=
            SONO_IGTL_OK ||
        sono_igtl_crc64(0, bytes, (size_t)header.body_bytes) != header.crc ||
        sono_igtl_image_decode(body.content, body.content_bytes, &image, &at, NULL) != SONO_IGTL_OK)
        abort();
    sink ^= header.timestamp + at[0];
}

/* As from a socket: bytes are copied to where the reader wants them. */
static void read_stream(void)
{
    static const sono_igtl_limits limits = {.max_body_bytes = MESSAGE_BYTES, .max_metadata_bytes = 4096};
    sono_igtl_reader reader;
    sono_igtl_read read = SONO_IGTL_READ_MORE;
    sono_igtl_reader_init(&reader, &limits, scratch, sizeof scratch);
    for (size_t at = 0; at < n_message;) {
        uint8_t *where;
        size_t n = sono_igtl_reader_want(&reader, &where);
        n = n < PIECE_BYTES ? n : PIECE_BYTES;
        memcpy(where, message + at, n);
        at += n;
        read = sono_igtl_reader_take(&reader, n);
        if (read == SONO_IGTL_READ_IMAGE)
            sono_igtl_reader_place(&reader, received);
    }
    if (read != SONO_IGTL_READ_MESSAGE)
        abort();
}

/* "AMD EPYC" of the first processor. */
static void machine(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    (void)snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            (void)snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n\""), colon + 2);
            break;
        }
    }
    if (file)
        (void)fclose(file);
}

int main(int argc, char **argv)
{
    char name[128];
    large = malloc(LARGE_BYTES);
    if (!large)
        return 1;
    for (size_t i = 0; i < LARGE_BYTES; i++)
        large[i] = (uint8_t)(i * 2654435761u >> 24);
    memcpy(pixels, large, sizeof pixels);
    machine(name, sizeof name);
    const double encode_s = median_s(encode, N_REPEATS);
    const double decode_s = median_s(decode, N_REPEATS);
    const double read_s = median_s(read_stream, N_REPEATS);
    const double n_bytes = (double)n_message;
    const double codec_gb_s = 1e-9 * n_bytes / (encode_s + decode_s);
    const int can_fold = sono_igtl_crc64_can_fold();
    const double fold_gb_s = can_fold ? 1e-9 * N_PIXELS / median_s(fold_frame, N_REPEATS) : 0;
    printf("{\n  \"commit\": \"%s\",\n  \"machine\": \"%s\",\n  \"message_bytes\": %zu,\n",
           argc > 1 ? argv[1] : "", name, n_message);
    printf("  \"encode_gb_s\": %.2f,\n  \"decode_gb_s\": %.2f,\n  \"codec_gb_s\": %.2f,\n",
           1e-9 * n_bytes / encode_s, 1e-9 * n_bytes / decode_s, codec_gb_s);
    printf("  \"read_stream_gb_s\": %.2f,\n  \"crc_folding_gb_s\": %.2f,\n", 1e-9 * n_bytes / read_s,
           fold_gb_s);
    printf("  \"crc_tables_gb_s\": %.2f,\n", 1e-9 * N_PIXELS / median_s(look_up_frame, N_REPEATS / 4));
    printf("  \"crc_64_mib_gb_s\": %.2f\n}\n", 1e-9 * LARGE_BYTES / median_s(check_large, 1));
    free(large);
    return codec_gb_s < MIN_CODEC_GB_S || (can_fold && fold_gb_s < MIN_CRC_GB_S);
}
