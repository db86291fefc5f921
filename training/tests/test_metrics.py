# SPDX-License-Identifier: Apache-2.0
"""metrics.py by hand-worked cases, and its distances by brute force."""
import math
import unittest

import numpy as np

from metrics import (Frame, Prediction, average_precision, box_of, box_overlap, measure, summarise, surface,
                     surface_distance_px, without_nan)


def frame(score=0.9, box_iou=1.0, positive=True, found=True, mask_iou=0.8, predicted=0.7, distance_px=1.0):
    return Frame(positive, found, score, predicted, box_iou, mask_iou, 2 * mask_iou / (1 + mask_iou), distance_px)


def square(x1, y1, x2, y2, value=1, size=12):
    labels = np.zeros((size, size), np.uint8)
    labels[y1:y2, x1:x2] = value
    return labels


class Boxes(unittest.TestCase):
    def test_box_in_edges(self):
        self.assertEqual(box_of(square(2, 3, 5, 4) > 0).tolist(), [2, 3, 5, 4])

    def test_overlap(self):
        self.assertAlmostEqual(box_overlap(np.array([0, 0, 2, 2.0]), np.array([1, 0, 3, 2.0])), 1 / 3)
        self.assertEqual(box_overlap(np.array([0, 0, 2, 2.0]), np.array([5, 5, 6, 6.0])), 0)
        self.assertEqual(box_overlap(np.array([1, 1, 1, 1.0]), np.array([1, 1, 1, 1.0])), 0)


class Precision(unittest.TestCase):
    def test_perfect(self):
        self.assertEqual(average_precision([frame(), frame(0.5)], 0.5), 1.0)

    def test_false_alarm_between(self):
        """Precision 1 up to recall 1/2 (51 of the 101 recalls), then 2/3."""
        frames = [frame(0.9), frame(0.8, 0.0, positive=False), frame(0.7)]
        self.assertAlmostEqual(average_precision(frames, 0.5), (51 + 50 * 2 / 3) / 101)

    def test_missed_frame(self):
        self.assertAlmostEqual(average_precision([frame(0.9), frame(0.8, 0.4)], 0.5), 51 / 101)

    def test_without_positives(self):
        self.assertTrue(math.isnan(average_precision([frame(0.2, 0.0, positive=False)], 0.5)))

    def test_equal_scores_keep_their_order(self):
        good, bad = frame(0.5), frame(0.5, 0.0)
        self.assertAlmostEqual(average_precision([good, bad], 0.5), 51 / 101)
        self.assertAlmostEqual(average_precision([bad, good], 0.5), 51 * 0.5 / 101)


class Surfaces(unittest.TestCase):
    def test_surface_of_a_square(self):
        self.assertEqual(surface(square(2, 2, 6, 6) > 0).sum(), 12)

    def test_image_border_is_outside(self):
        self.assertEqual(surface(np.ones((4, 4), bool)).sum(), 12)

    def test_distances_by_brute_force(self):
        dice = np.random.default_rng(3)
        first, second = dice.random((2, 9, 11)) < 0.4
        places = [np.argwhere(surface(mask)).astype(float) for mask in (first, second)]
        apart = np.hypot(*(places[0][:, None] - places[1][None]).transpose(2, 0, 1))
        wanted = np.percentile(np.concatenate((apart.min(1), apart.min(0))), 95)
        self.assertAlmostEqual(surface_distance_px(first, second), wanted)

    def test_shift_by_two(self):
        self.assertEqual(surface_distance_px(square(2, 2, 4, 4) > 0, square(4, 2, 6, 4) > 0), 2.0)


class Measure(unittest.TestCase):
    def test_takes_the_structure_that_overlaps_most(self):
        labels = square(0, 0, 4, 4) + square(6, 6, 10, 10, 5)
        result = measure(Prediction(0.8, np.array([6, 6, 10, 8.0]), square(6, 6, 10, 8) > 0, 0.6), labels, 0.3)
        self.assertEqual((result.box_iou, result.mask_iou), (0.5, 0.5))
        self.assertAlmostEqual(result.dice, 2 / 3)
        self.assertEqual(result.surface95_px, 2.0)

    def test_lost(self):
        labels = square(0, 0, 4, 4)
        result = measure(Prediction(0.29, np.array([0, 0, 4, 4.0]), labels > 0, 0.9), labels, 0.3)
        self.assertEqual((result.is_found, result.box_iou, result.mask_iou, result.dice), (False, 1.0, 0.0, 0.0))
        self.assertTrue(math.isnan(result.surface95_px))

    def test_empty_mask(self):
        labels = square(0, 0, 4, 4)
        result = measure(Prediction(0.9, np.array([0, 0, 4, 4.0]), np.zeros_like(labels, bool), 0.9), labels, 0.3)
        self.assertEqual(result.mask_iou, 0.0)
        self.assertTrue(math.isnan(result.surface95_px))

    def test_empty_frame(self):
        labels = np.zeros((12, 12), np.uint8)
        result = measure(Prediction(0.9, np.array([0, 0, 4, 4.0]), square(0, 0, 4, 4) > 0, 0.9), labels, 0.3)
        self.assertEqual((result.is_positive, result.is_found, result.box_iou, result.mask_iou), (False, True, 0, 0))


class Summary(unittest.TestCase):
    def test_figures(self):
        frames = [frame(0.96, 0.9, mask_iou=0.8, predicted=0.7, distance_px=2.0),
                  frame(1.0, 0.7, mask_iou=0.6, predicted=0.9, distance_px=4.0),
                  frame(0.11, 0.5, found=False, mask_iou=0.0, distance_px=math.nan),
                  frame(0.41, 0.0, positive=False, mask_iou=0.0, distance_px=math.nan),
                  frame(0.06, 0.0, positive=False, found=False, mask_iou=0.0, distance_px=math.nan)]
        found = summarise(frames, 0.3)
        wanted = {"n_frames": 5, "n_positive": 3, "n_empty": 2, "iou_mean": 1.4 / 3, "surface95_px": 3.0, "n_surface": 2,
                  "found_share": 2 / 3, "false_alarm_share": 0.5, "iou_error": 0.2,
                  "ece": (abs(1.96 - 1.6) + 0.39 + 0.41 + 0.06) / 5, "ece_right": (0.04 + 0.89 + 0.41 + 0.06) / 5}
        for name, value in wanted.items():
            self.assertAlmostEqual(found[name], value, msg=name)
        self.assertEqual([row["n"] for row in found["bins"]], [1, 1, 0, 0, 1, 0, 0, 0, 0, 2])
        self.assertEqual([found["bins"][i]["right"] for i in (0, 1, 4, 9)], [0.0, 1.0, 0.0, 1.0])
        shares = {round(row["threshold"], 2): (row["found_share"], row["false_alarm_share"]) for row in found["thresholds"]}
        self.assertEqual((len(shares), shares[0.05], shares[0.1], shares[0.4], shares[0.95]),
                         (19, (1.0, 1.0), (1.0, 0.5), (2 / 3, 0.5), (2 / 3, 0.0)))

    def test_json_has_null(self):
        plain = without_nan(summarise([frame(0.2, 0.0, positive=False, found=False)], 0.3))
        self.assertIsNone(plain["ap50"])
        self.assertIsNone(plain["bins"][0]["score"])
        self.assertEqual(plain["false_alarm_share"], 0.0)


if __name__ == "__main__":
    unittest.main()
