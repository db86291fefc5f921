// SPDX-License-Identifier: Apache-2.0
/* What a frame's header says of its time, spacing and pose. */
#include "pipeline/frame.h"
#include "test.h"

#include <math.h>

static const uint8_t pixels[6];

/* Turned by 30 degrees about z; axes that long. */
static sono_frame make_frame(const double lengths[3], const double spacing_mm[2])
{
    sono_frame frame;
    const double c = cos(M_PI / 6), s = sin(M_PI / 6);
    const double axes[3][3] = {{c, s, 0}, {-s, c, 0}, {0, 0, 1}};
    sono_frame_init(&frame);
    frame.image.pixels = pixels;
    frame.image.width_px = 3;
    frame.image.height_px = 2;
    frame.image.format = SONO_PIXEL_GRAY8;
    frame.info.timestamp_ns = 1234567890123456789;
    frame.info.has_pose = 1;
    for (int axis = 0; axis < 3; axis++)
        for (int row = 0; row < 3; row++)
            frame.info.image_to_reference[4 * row + axis] = (float)(lengths[axis] * axes[axis][row]);
    for (int row = 0; row < 3; row++)
        frame.info.image_to_reference[4 * row + 3] = (float)(10 + row);
    for (int axis = 0; axis < 2; axis++)
        frame.info.spacing_mm[axis] = spacing_mm[axis];
    return frame;
}

static double axis_length(const sono_frame_header *header, int axis)
{
    double sum = 0;
    for (int row = 0; row < 3; row++)
        sum += (double)header->image_to_reference[4 * row + axis] *
               (double)header->image_to_reference[4 * row + axis];
    return sqrt(sum);
}

static sono_frame_header describe(double x, double y, double z, double spacing_x, double spacing_y)
{
    const double lengths[3] = {x, y, z}, spacing_mm[2] = {spacing_x, spacing_y};
    const sono_frame frame = make_frame(lengths, spacing_mm);
    sono_frame_header header;
    sono_frame_describe(&frame, 0.3f, 65535, &header);
    assert_int_equal(header.timestamp_ns, 1234567890123456789);
    assert_int_equal(header.has_pose, 1);
    for (int row = 0; row < 3; row++)
        assert_true(header.image_to_reference[4 * row + 3] == (float)(10 + row));
    return header;
}

static void expect(const sono_frame_header *header, double spacing_x, double spacing_y, double length)
{
    assert_true(fabs((double)header->spacing_mm[0] - spacing_x) < 1e-6);
    assert_true(fabs((double)header->spacing_mm[1] - spacing_y) < 1e-6);
    for (int axis = 0; axis < 2; axis++)
        assert_true(fabs(axis_length(header, axis) - length) < 1e-6);
}

static void test_axes_of_length_1_stay(void **state)
{
    (void)state;
    const sono_frame_header header = describe(1, 1, 1, 0.09, 0.1);
    expect(&header, 0.09, 0.1, 1);
    const sono_frame_header unknown = describe(1, 1, 1, 0, 0);
    expect(&unknown, 0, 0, 1);
}

/* As PLUS writes poses: axes a pixel long, with the spacing said as well or not. */
static void test_scale_becomes_spacing(void **state)
{
    (void)state;
    const sono_frame_header said = describe(0.09, 0.1, 0.1, 0.09, 0.1);
    expect(&said, 0.09, 0.1, 1);
    assert_true(fabs(axis_length(&said, 2) - 1) < 1e-6);
    const sono_frame_header unsaid = describe(0.09, 0.1, 1, 0, 0);
    expect(&unsaid, 0.09, 0.1, 1);
    assert_true(fabs((double)unsaid.image_to_reference[0] - cos(M_PI / 6)) < 1e-6);
}

static void test_what_fits_neither_stays(void **state)
{
    (void)state;
    const sono_frame_header header = describe(0.5, 0.5, 1, 0.09, 0.1);
    expect(&header, 0.09, 0.1, 0.5);
    const sono_frame_header nothing = describe(0, 0, 0, 0, 0);
    expect(&nothing, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axes_of_length_1_stay),
        cmocka_unit_test(test_scale_becomes_spacing),
        cmocka_unit_test(test_what_fits_neither_stays),
    };
    return sono_test_run("pipeline/frame", tests, sizeof tests / sizeof tests[0]);
}
