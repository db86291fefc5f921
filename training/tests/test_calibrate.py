# SPDX-License-Identifier: Apache-2.0
"""calibrate.py on frames whose truth is drawn from a known mapping."""
import contextlib
import io
import json
import math
import random
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from calibrate import (CalibrationError, Frame, calibration_error, choose, fit, logit, main, mapped, read_frames, sigmoid,
                       thresholds)


def drawn(a: float, b: float, n: int, seed: int) -> list[Frame]:
    """Scores of all sizes; a box is right, with IoU 1, as often as sigmoid(a z + b) says, else its IoU is 0."""
    dice = random.Random(seed)
    frames = []
    for _ in range(n):
        score = dice.uniform(0.02, 0.98)
        is_right = dice.random() < sigmoid(a * logit(score) + b)
        frames.append(Frame(score, float(is_right), True))
    return frames


class Fit(unittest.TestCase):
    def test_finds_the_mapping(self):
        frames = drawn(1.7, -0.6, 20000, 1)
        for target in ("iou", "right"):
            a, b = fit([frames], target)
            self.assertAlmostEqual(a, 1.7, delta=0.08)
            self.assertAlmostEqual(b, -0.6, delta=0.08)
        self.assertGreater(calibration_error(frames, "iou"), 0.08)
        held_out = drawn(1.7, -0.6, 20000, 2)
        self.assertLess(calibration_error(mapped(held_out, a, b), "iou"), 0.015)

    def test_is_the_least(self):
        """No neighbour has a smaller cross entropy, found by brute force."""
        frames = drawn(0.6, 0.9, 300, 3)

        def entropy(a, b):
            return -sum(f.box_iou * math.log(sigmoid(a * logit(f.score) + b)) +
                        (1 - f.box_iou) * math.log(1 - sigmoid(a * logit(f.score) + b)) for f in frames)
        a, b = fit([frames], "iou")
        best = entropy(a, b)
        for step_a in (-0.01, 0, 0.01):
            for step_b in (-0.01, 0, 0.01):
                self.assertGreaterEqual(entropy(a + step_a, b + step_b), best - 1e-9)

    def test_sets_weigh_the_same(self):
        small, large = drawn(1, 1, 500, 4), drawn(1, -1, 5000, 5)
        self.assertAlmostEqual(fit([small, large], "iou")[1], fit([small * 10, large], "iou")[1], places=6)

    def test_refuses(self):
        for frames in ([Frame(0.5, 1.0, True)], [Frame(0.9, 0.0, False), Frame(0.1, 1.0, True)]):
            with self.assertRaisesRegex(CalibrationError, "no rising mapping"):
                fit([frames], "iou")


class Errors(unittest.TestCase):
    def test_by_hand(self):
        frames = [Frame(0.95, 0.9, True), Frame(1.0, 0.4, True), Frame(0.1, 0.0, False)]
        self.assertAlmostEqual(calibration_error(frames, "iou"), (0.65 + 0.1) / 3)
        self.assertAlmostEqual(calibration_error(frames, "right"), (0.95 + 0.1) / 3)

    def test_thresholds(self):
        sets = {"a": [Frame(0.9, 1, True), Frame(0.2, 1, True), Frame(0.32, 0, False)], "b": [Frame(0.4, 1, True)]}
        rows = thresholds(sets)
        cell = rows[5]["sets"]["a"]
        self.assertEqual((rows[5]["threshold"], cell["found"], cell["alarms"]), (0.3, 0.5, 1.0))
        self.assertTrue(math.isnan(rows[5]["sets"]["b"]["alarms"]))
        self.assertEqual(choose(rows), 0.35)
        self.assertIsNone(choose(thresholds({"a": [Frame(0.99, 0, False)]})))


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, frames):
        path = self.folder / name
        path.write_text("".join(json.dumps({"score": f.score, "box_iou": f.box_iou, "positive": f.is_positive}) + "\n"
                                for f in frames), encoding="utf-8")
        return str(path)

    def run_main(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
                mock.patch.object(sys, "argv", ["calibrate.py", *words]):
            return main(), out.getvalue(), err.getvalue()

    def test_all(self):
        fitted, held = self.write("fit.jsonl", drawn(1.7, -0.6, 3000, 6)), self.write("held.jsonl", drawn(1.7, -0.6, 3000, 7))
        status, out, err = self.run_main(fitted, "--report", held, "--output", str(self.folder / "c.json"))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("held", out)
        content = json.loads((self.folder / "c.json").read_text())
        self.assertAlmostEqual(content["a"], 1.7, delta=0.2)
        self.assertLess(content["report"]["held"]["ece_after"], content["report"]["held"]["ece"])

    def test_bad_files(self):
        path = self.write("a.jsonl", [Frame(0.5, 1, True)])
        with open(path, "a", encoding="utf-8") as stream:
            stream.write('{"score": 1}\n')
        for words, error in (((path,), "a.jsonl:2: no frame"), ((self.write("b.jsonl", []),), "no frame in it"),
                             ((str(self.folder / "none.jsonl"),), "none.jsonl")):
            status, _, err = self.run_main(*words)
            self.assertEqual(status, 1)
            self.assertIn(error, err)

    def test_reads_what_evaluate_writes(self):
        path = self.folder / "x.jsonl"
        path.write_text('{"frame_id": 0, "source": "a", "positive": true, "found": true, "bbox_xyxy_px": [0, 0, 1, 1], '
                        '"score": 0.5, "box_iou": 0.25, "mask_iou": 0.1, "dice": 0.2, "surface95_px": null}\n')
        self.assertEqual(read_frames(path), [Frame(0.5, 0.25, True)])

    def test_real_frames(self):
        """Without a box IoU they count for the thresholds alone."""
        (self.folder / "bone.jsonl").write_text('{"source": "a", "positive": true, "state": "VISIBLE", "score": 0.9}\n')
        (self.folder / "none.jsonl").write_text('{"source": "b", "positive": false, "state": "LOST", "score": 0.2}\n')
        fitted = self.write("fit.jsonl", drawn(1, 0, 500, 8))
        bone, none, output = (str(self.folder / name) for name in ("bone.jsonl", "none.jsonl", "c.json"))
        status, out, err = self.run_main(fitted, "--report", bone, none, "--output", output)
        self.assertEqual((status, err), (0, ""))
        report = json.loads(Path(output).read_text())["report"]
        self.assertIsNone(report["bone"]["ece"])
        self.assertGreater(report["none"]["ece"], 0.1)
        status, _, err = self.run_main(bone)
        self.assertEqual(status, 1)
        self.assertIn("no box IoU to fit to", err)


if __name__ == "__main__":
    unittest.main()
