// SPDX-License-Identifier: Apache-2.0
/* Pipelines for tests, on the synthetic checkpoints that ctest makes, and on the real ones where they are. */
#ifndef SONO_TESTS_PIPELINE_FIXTURE_H
#define SONO_TESTS_PIPELINE_FIXTURE_H

#include "base/frame.h"

/* Defaults, the checkpoints of SONO_TEST_DETECTOR and SONO_TEST_SEGMENTER, the device that
 * SONO_TEST_DEVICE names (cpu when unset), frames up to 640 x 640
 * and threshold 0 (random networks find something in every frame). Skips the test when the checkpoints are
 * not there. */
void pipeline_fixture_synthetic(sono_pipeline_config *config);

/* The same on checkpoints/ of the reference material, threshold 0.30. Skips the test when it is not there. */
void pipeline_fixture_real(sono_pipeline_config *config);

/* The same on the shipped models that the command takes on that device. Skips the test without them. */
void pipeline_fixture_shipped(sono_pipeline_config *config);

/* The same, in the short form with masks of half the side, where a frame takes a third of the time: for tests
 * that ask what a pipeline does with what it found, not how well the models find it. */
void pipeline_fixture_shipped_half(sono_pipeline_config *config);

/* Whether all frames are to be run, at full size: in the long form (sono_test_is_long), and on a GPU. Else a
 * test takes a part of them. */
int pipeline_fixture_is_long(void);

/* Opens, and fails the test when that fails. */
sono_pipeline *pipeline_fixture_open(const sono_pipeline_config *config);

/* Submits one frame and receives its packet; fails the test when either fails. The caller releases it. */
const sono_packet *pipeline_fixture_run(sono_pipeline *pipeline, const sono_frame *frame);

/* A 320 x 240 grey picture of hashed blobs, and the frame that shows it; valid until the process ends. */
sono_frame pipeline_fixture_frame(void);

#endif
