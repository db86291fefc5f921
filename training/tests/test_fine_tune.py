# SPDX-License-Identifier: Apache-2.0
"""fine_tune.py from labelled frames to figures that the command `sonoseg` has measured, in a few steps."""
import contextlib
import io
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"no PyTorch, so nothing can be trained: {error}") from error

from safetensors import safe_open

import fine_tune
from data import DataError, read_grey, read_labels
from fine_tune import BUILT, DETECTORS, REPOSITORY, FineTuneError, cautions, find_set, parse_arguments, write_set

FRAMES = "phantom:seed={seed},frames={n},sweep=1,size=96x128,shape=flat"
needs_command = unittest.skipUnless(BUILT.is_file(), f"no {BUILT.relative_to(REPOSITORY)}: `make` builds it")
needs_models = unittest.skipUnless((REPOSITORY / "models" / DETECTORS["cpu"]).is_file() and
                                   (REPOSITORY / "models" / fine_tune.SEGMENTER).is_file(),
                                   "models/ lacks the networks to start from")


def run_lengths(mask: np.ndarray) -> dict:
    """COCO's uncompressed form of bool [H, W]."""
    down = mask.T.flatten()
    edges = np.flatnonzero(np.diff(down)) + 1
    ends = [0, *edges.tolist(), down.size]
    counts = np.diff(ends).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if down[0] else counts}


def coco_of(folder: Path, path: Path, with_masks: bool = True) -> Path:
    """A COCO instance file of a folder's frames."""
    images, annotations = [], []
    for i, image in enumerate(sorted((folder / "images").iterdir())):
        images.append({"id": i, "file_name": image.name})
        labels = read_labels(folder / "masks" / image.name)
        for number in range(1, labels.max() + 1):
            rows, columns = np.nonzero(labels == number)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            annotation = {"id": len(annotations), "image_id": i, "category_id": 1, "bbox": list(map(int, box))}
            annotations.append(annotation | ({"segmentation": run_lengths(labels == number)} if with_masks else {}))
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return path


class Folder(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.root = Path(held.name)
        self.addCleanup(torch.set_num_threads, torch.get_num_threads())

    def put_phantoms(self, name: str, seed: int, n: int) -> Path:
        subprocess.run([BUILT, "phantom", FRAMES.format(seed=seed, n=n), "--output", self.root / name], check=True,
                       capture_output=True)
        return self.root / name

    def put_frames(self, name: str, n: int, n_empty: int = 0) -> Path:
        for part in ("images", "masks"):
            (self.root / name / part).mkdir(parents=True)
        for i in range(n):
            image, mask = np.full((40, 60), 10 * i, np.uint8), np.zeros((40, 60), np.uint8)
            if i >= n_empty:
                mask[20:25, 10:50], mask[:5, i:i + 5] = 90, 200
            Image.fromarray(image).save(self.root / name / "images" / f"{i:03d}.png")
            Image.fromarray(mask).save(self.root / name / "masks" / f"{i:03d}.png")
        return self.root / name

    def fine_tune(self, *arguments) -> tuple[dict, str]:
        """What it wrote to fine_tune.json, and what it printed."""
        options = parse_arguments([str(part) for part in (
            *arguments, "--output", self.root / "out", "--threads", 1, "--validations", 1, "--segmenter-px", 128,
            "--device", "cpu")])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(fine_tune.fine_tune(options), 0)
        return json.loads((self.root / "out" / "fine_tune.json").read_text()), printed.getvalue()

    def expect(self, message: str, *arguments):
        with self.assertRaisesRegex((FineTuneError, DataError), message):
            self.fine_tune(*arguments)


@needs_command
@needs_models
class WholeWay(Folder):
    def test_folder_to_both_networks_that_run_in_c(self):
        data, others = self.put_phantoms("mine", 3, 4), self.put_phantoms("others", 4, 2)
        summary, printed = self.fine_tune("--data", data, "--held-out", others, "--steps", 2, "--input-px", 256)
        self.assertEqual(summary["frames"], {"train": {"n_frames": 3, "n_positive": 3},
                                             "choose": {"n_frames": 1, "n_positive": 1},
                                             "measure": {"n_frames": 2, "n_positive": 2}})
        for figures in (summary["before"], summary["after"]):
            self.assertEqual((figures["n_frames"], figures["n_positive"]), (2, 2))
            self.assertTrue(0 <= figures["ap50"] <= 1)
        self.assertNotEqual(summary["before"]["ece"], summary["after"]["ece"])
        self.assertIn("boxes: AP at IoU 0.50", printed)
        for stage, architecture in (("detector", "dfine-n"), ("segmenter", "mobilesam-vit_t")):
            path = Path(summary["models"][stage])
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
            self.assertEqual(metadata["architecture"], architecture)
            self.assertEqual(json.loads(metadata["metrics"])["n_frames"], 2)
            self.assertIn("3 labelled frames", metadata["training_set"])
            shown = subprocess.run([BUILT, "inspect", path], check=True, capture_output=True, text=True).stdout
            self.assertIn("F16", shown)
            self.assertIn("256 x 256" if stage == "detector" else "1024 x 1024", shown)

    def test_coco_boxes_to_a_detector(self):
        data = self.put_phantoms("mine", 3, 4)
        coco = coco_of(data, self.root / "mine.json", with_masks=False)
        summary, printed = self.fine_tune("--coco", coco, "--images", data / "images", "--part", "detector",
                                          "--steps", 1, "--input-px", 256)
        self.assertEqual(list(summary["models"]), ["detector"])
        self.assertTrue(any("have chosen the parameters" in note for note in summary["notes"]))
        self.assertIn("--detector", printed)


class Sets(Folder):
    def test_coco_and_folder_are_the_same_frames(self):
        data = self.put_frames("mine", 3, n_empty=1)
        coco = coco_of(data, self.root / "mine.json")
        for name, path in (("a", data), ("b", coco)):
            counts = write_set(find_set(path, data / "images", "both"), range(3), self.root / name)
            self.assertEqual((counts.n_frames, counts.n_positive), (3, 2))
        for part, read in (("images", read_grey), ("masks", read_labels)):
            written = sorted((self.root / "a" / part).iterdir())
            self.assertEqual(len(written), 3)
            for path in written:
                np.testing.assert_array_equal(read(path), read(self.root / "b" / part / path.name))
        self.assertEqual(read_labels(written[2]).max(), 2)

    def test_cautions_say_what_few_frames_do(self):
        few, many, empty_too = (fine_tune.Counts(*counts) for counts in ((5, 5), (40, 40), (40, 30)))
        self.assertTrue(any("5 frames to train on are few" in note for note in cautions(few, few, True)))
        self.assertEqual(len(cautions(many, few, True)), 1)
        self.assertEqual(cautions(empty_too, few, True), [])

    @needs_models
    def test_errors_say_what_is_wrong(self):
        self.expect("nothing: no such command", "--data", self.root, "--sonoseg", self.root / "nothing")
        any_command = ("--sonoseg", "/bin/true")
        self.expect("images: no such folder", "--data", self.root / "none", *any_command)
        self.expect("one labelled frame", "--data", self.put_frames("one", 1), *any_command)
        self.expect("none of the 2 frames to train on has a structure", "--data", self.put_frames("two", 3, n_empty=2),
                    *any_command)
        coco = coco_of(self.root / "two", self.root / "boxes.json", with_masks=False)
        self.expect("no segmentation; a box is enough", "--coco", coco, "--images", self.root / "two" / "images",
                    *any_command)

    def test_a_worse_model_is_called_that(self):
        before = {"ap50_95": 0.5, "iou_mean": 0.4, "false_alarm_share": None}
        after = {"ap50_95": 0.6, "iou_mean": 0.3, "false_alarm_share": 0.1}
        self.assertEqual(fine_tune.worse_figures(before, after, "both"), ["iou_mean", "false_alarm_share"])
        self.assertEqual(fine_tune.worse_figures(before, after, "detector"), ["false_alarm_share"])


if __name__ == "__main__":
    unittest.main()
