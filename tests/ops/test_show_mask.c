// SPDX-License-Identifier: Apache-2.0
// labels: threads
/* SHOW_MASK: what LOST frames lose, what is kept of the last one, and that nothing else is touched. */
#include "op_scene.h"

#include "base/alloc.h"
#include "graph/kept_layout.h"
#include "graph/map_layout.h"

#include <string.h>

#define KEPT_BEFORE 0x77 /* what the kept bytes hold before a run */

typedef struct tensors {
    sono_tid maps, area, detections, kept, profile;
} tensors;

/* A scene whose first masks are noise; states: of each frame. */
static tensors record(op_scene *s, sono_op_test *t, const int32_t *states, int keeps)
{
    const sono_segment_args args = op_scene_args(s);
    const int64_t n_kept = kept_bytes(op_scene_side(s), (int64_t)s->max_width_px * s->max_height_px);
    int32_t verdicts[OP_SCENE_MAX_FRAMES][SONO_VERDICT_INTS], areas[OP_SCENE_MAX_FRAMES * 2];
    sono_tid outs[2];
    tensors x = {0};
    memset(verdicts, 0x3f, sizeof verdicts);
    for (int32_t i = 0; i < s->n_frames; i++) {
        verdicts[i][0] = states[i];
        for (int32_t y = 0; y < s->headers[i].height_px; y++)
            for (int32_t c = 0; c < s->headers[i].width_px; c++)
                op_scene_set(s, i, c, y, sono_op_test_int(t, 0, 9) < 4);
    }
    for (int32_t i = 0; i < OP_SCENE_MAX_FRAMES * 2; i++)
        areas[i] = 100 + i;
    const op_scene_tensors in = op_scene_record(s, t);
    x.maps = in.maps;
    x.detections = in.detections;
    x.area = sono_op_test_inout_values(t, SONO_DTYPE_I32, s->n_frames * s->n_objects, 1, 1, 1, areas);
    const sono_tid verdict =
        sono_op_test_input_values(t, SONO_DTYPE_I32, s->n_frames, 1, 1, SONO_VERDICT_INTS, verdicts);
    if (keeps) {
        uint8_t *before = sono_alloc((size_t)n_kept);
        assert_non_null(before);
        memset(before, KEPT_BEFORE, (size_t)n_kept);
        x.kept = sono_op_test_inout_values(t, SONO_DTYPE_U8, 1, 1, 1, (int32_t)n_kept, before);
        sono_free(before);
    }
    sono_record_mask_profile(&t->rec, "profile", in.mask, in.header, &args, outs);
    x.profile = outs[0];
    sono_record_show_mask(&t->rec, "shown", verdict, outs[0], in.header, in.mask, x.area, in.detections,
                          x.kept, &args);
    return x;
}

static int is_lost(const op_scene *s, const int32_t *states, int32_t frame)
{
    return states[frame] == SONO_STATE_LOST && s->headers[frame].stream != SONO_STREAM_NO_FRAME;
}

static void want_shown(const op_scene *s, sono_op_test *t, const tensors *x, const int32_t *states)
{
    double *maps = sono_op_test_want(t, x->maps, 0), *areas = sono_op_test_want(t, x->area, 0);
    double *found = sono_op_test_want(t, x->detections, 0);
    for (size_t i = 0; i < s->maps_bytes; i++)
        maps[i] = s->maps[i];
    for (int32_t i = 0; i < s->n_frames * s->n_objects; i++) {
        const int32_t frame = i / s->n_objects, lost = is_lost(s, states, frame);
        const int64_t n_pixels = (int64_t)s->headers[frame].width_px * s->headers[frame].height_px;
        const int64_t at = op_scene_mask(s, frame, i % s->n_objects) - s->maps;
        for (int64_t k = 0; k < n_pixels && lost; k++)
            maps[at + k] = 0;
        areas[i] = lost ? 0 : 100 + i;
        for (int32_t k = 0; k < 4 && i % s->n_objects == 0; k++)
            found[i * 8 + k] = lost ? 0 : (double)s->boxes[frame][k];
        found[i * 8 + 4] = 0.75;
        found[i * 8 + 5] = 1;
        found[i * 8 + 6] = 5;
        found[i * 8 + 7] = !lost;
    }
}

/* last: the frame that is kept; -1 = none. */
static void want_kept(const op_scene *s, sono_op_test *t, const tensors *x, int32_t last)
{
    const int32_t side = op_scene_side(s);
    double *kept = sono_op_test_want(t, x->kept, 0);
    for (int64_t i = 0; i < sono_tensor_count(sono_program_tensor(t->program, x->kept)); i++)
        kept[i] = KEPT_BEFORE;
    if (last < 0)
        return;
    const int32_t width = s->headers[last].width_px, height = s->headers[last].height_px;
    int32_t *profile = sono_alloc_array((size_t)side * 3, sizeof *profile);
    assert_non_null(profile);
    double *bits = kept + kept_bits_at(side);
    for (int32_t i = 0; i < (width * height + 7) / 8; i++)
        bits[i] = 0;
    for (int32_t x_px = 0; x_px < width; x_px++)
        for (int32_t y = 0; y < height; y++) {
            if (!op_scene_is_set(s, last, x_px, y))
                continue;
            const int32_t at = y * width + x_px;
            bits[at / 8] += 1 << at % 8;
            profile[x_px]++;
            profile[side + x_px] += y;
            profile[2 * side + y]++;
        }
    for (size_t i = 0; i < sizeof(sono_frame_header); i++)
        kept[i] = ((const uint8_t *)&s->headers[last])[i];
    for (size_t i = 0; i < (size_t)side * 3 * sizeof(int32_t); i++)
        kept[SONO_KEPT_PROFILE + i] = ((const uint8_t *)profile)[i];
    sono_free(profile);
}

static void check(op_scene *s, const int32_t *states, int keeps, int32_t last)
{
    sono_op_test t;
    sono_op_test_open(&t, 5);
    op_scene_open(s, &t);
    const tensors x = record(s, &t, states, keeps);
    sono_op_test_finish(&t);
    want_shown(s, &t, &x, states);
    if (keeps)
        want_kept(s, &t, &x, last);
    sono_op_test_run(&t);
    op_scene_close(s);
    sono_op_test_close(&t);
}

static op_scene turned(void)
{
    op_scene s = {4, 2, 90, 70, 1, .boxes = {{10, 3, 44, 60}, {1, 2, 3, 4}, {5, 6, 7, 8}, {9, 9, 12, 12}}};
    s.headers[0] = op_scene_header(61, 70, SONO_PIXEL_GRAY8, 0);
    s.headers[1] = op_scene_header(70, 90, SONO_PIXEL_RGB8, 0);
    s.headers[2] = op_scene_header(33, 47, SONO_PIXEL_GRAY16, 0);
    s.headers[3] = op_scene_header(1, 1, SONO_PIXEL_GRAY8, 0);
    s.headers[2].timestamp_ns = 123456789;
    s.headers[2].has_pose = 1;
    return s;
}

static void lost_frames_are_emptied(void **state)
{
    static const int32_t mixed[4] = {SONO_STATE_LOST, SONO_STATE_VISIBLE, SONO_STATE_RELOCALIZING,
                                     SONO_STATE_LOST};
    static const int32_t all_lost[4] = {SONO_STATE_LOST, SONO_STATE_LOST, SONO_STATE_LOST, SONO_STATE_LOST};
    (void)state;
    op_scene s = turned();
    check(&s, mixed, 0, -1);
    check(&s, all_lost, 0, -1);
}

/* As it was found, also where it is hidden; placeholders are passed over, and are never emptied. */
static void last_frame_is_kept(void **state)
{
    static const int32_t mixed[4] = {SONO_STATE_VISIBLE, SONO_STATE_LOST, SONO_STATE_LOST, SONO_STATE_LOST};
    (void)state;
    op_scene s = turned();
    check(&s, mixed, 1, 3);
    s.headers[3].stream = SONO_STREAM_NO_FRAME;
    check(&s, mixed, 1, 2);
    s.headers[2].stream = SONO_STREAM_NO_FRAME;
    check(&s, mixed, 1, 1);
    s.headers[1].stream = SONO_STREAM_NO_FRAME;
    check(&s, mixed, 1, 0);
    s.headers[0].stream = SONO_STREAM_NO_FRAME;
    check(&s, mixed, 1, -1);
}

static void real_size_agrees(void **state)
{
    static const int32_t lost[1] = {SONO_STATE_LOST}, visible[1] = {SONO_STATE_VISIBLE};
    (void)state;
    op_scene s = {1, 1, 422, 558, 0, .boxes = {{1, 2, 3, 4}}};
    s.headers[0] = op_scene_header(422, 558, SONO_PIXEL_GRAY8, 0);
    check(&s, lost, 1, 0);
    check(&s, visible, 1, 0);
}

static void bench(void)
{
    static const int32_t sizes[][2] = {{422, 558}, {1920, 1200}}, visible[1] = {SONO_STATE_VISIBLE};
    for (int i = 0; i < 2; i++) {
        op_scene s = {1, 1, sizes[i][0], sizes[i][1], 0, .boxes = {{0}}};
        sono_op_test t;
        s.headers[0] = op_scene_header(sizes[i][0], sizes[i][1], SONO_PIXEL_GRAY8, 0);
        sono_op_test_open(&t, 1);
        op_scene_open(&s, &t);
        record(&s, &t, visible, 1);
        sono_op_test_finish(&t);
        sono_op_test_bench(&t, i ? "mask_profile, show_mask 1920x1200" : "mask_profile, show_mask 422x558");
        op_scene_close(&s);
        sono_op_test_close(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lost_frames_are_emptied),
                                       cmocka_unit_test(last_frame_is_kept),
                                       cmocka_unit_test(real_size_agrees)};
    if (sono_op_test_wants_bench(argc, argv)) {
        bench();
        return 0;
    }
    return sono_test_run("ops/show_mask", tests, sizeof tests / sizeof tests[0]);
}
