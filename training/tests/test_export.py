# SPDX-License-Identifier: Apache-2.0
"""checkpoints.py, export.py, and the half of evaluate.py that needs no networks."""
import argparse
import contextlib
import io
import json
import math
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from checkpoints import FAMILY_KEY, CheckpointError, load_detector, read_tensors, size_of
from data import DataError
from evaluate import evaluate, source_box, unescaped
from export import INPUT_SIZE_KEY, calibrated, export, shipped
from models.dfine import Dfine

N_DENOISING = 100


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Checkpoints(InFolder):
    def test_knows_every_size(self):
        for size in "nsmlx":
            with torch.device("meta"):
                state = Dfine(size, 2, N_DENOISING).state_dict()
            self.assertEqual(size_of(Path("a"), state), (size, 2))

    def test_refuses(self):
        path = self.folder / "a.pth"
        for content in ({"model": 3}, [1], {"model": {"a": torch.zeros(1)}}):
            torch.save(content, path)
            with self.assertRaises(CheckpointError):
                load_detector(path)
        path.write_bytes(b"no checkpoint")
        with self.assertRaises(CheckpointError):
            read_tensors(path)


class Export(InFolder):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.state = Dfine("n", 1, N_DENOISING).state_dict()
        torch.save({"model": self.state}, self.folder / "detector.pth")
        (self.folder / "metrics.json").write_text('{"ap50": 0.98765432, "surface95_px": null, "bins": []}')

    def export(self, name: str, calibration: Path | None = None, input_px: int | None = None) -> Path:
        options = argparse.Namespace(
            checkpoint=self.folder / "detector.pth", output=self.folder / name, seed=7, training_set="phantoms",
            metrics=self.folder / "metrics.json", note="none", recipe_commit="abc", calibration=calibration,
            input_px=input_px)
        with contextlib.redirect_stdout(io.StringIO()):
            export(options)
        return options.output

    def test_loads_as_the_same_network(self):
        loaded = load_detector(self.export("a.safetensors")).state_dict()
        for name, value in loaded.items():
            wanted = self.state[name]
            exact = wanted.ndim <= 1 or name.startswith(("decoder.anchors", "decoder.valid"))
            torch.testing.assert_close(value, wanted if exact else wanted.half().float(), rtol=0, atol=0)

    def test_leaves_out_what_inference_does_not_need(self):
        kept = load_file(self.export("a.safetensors"))
        self.assertFalse([name for name in kept if "num_batches_tracked" in name or "denoising" in name])

    def test_same_bytes_and_checksum(self):
        first, second = self.export("a.safetensors"), self.export("b.safetensors")
        self.assertEqual(first.read_bytes(), second.read_bytes())
        sums = (self.folder / "SHA256SUMS").read_text().split()
        self.assertEqual((sums[0], sums[1], sums[3]), (sums[2], "a.safetensors", "b.safetensors"))

    def test_metadata(self):
        with safe_open(self.export("a.safetensors"), "pt") as file:
            metadata = file.metadata()
        self.assertEqual(json.loads(metadata["metrics"]), {"ap50": 0.9877, "surface95_px": None})
        self.assertEqual((metadata["architecture"], metadata["seed"], metadata["recipe_commit"]), ("dfine-n", "7", "abc"))
        self.assertEqual(metadata[FAMILY_KEY], "dfine")
        self.assertNotIn(INPUT_SIZE_KEY, metadata)

    def test_other_input_leaves_out_the_anchors_of_the_usual_one(self):
        path = self.export("a.safetensors", input_px=320)
        with safe_open(path, "pt") as file:
            self.assertEqual(file.metadata()[INPUT_SIZE_KEY], "320x320")
        self.assertEqual(set(load_file(self.export("b.safetensors"))) - set(load_file(path)),
                         {"decoder.anchors", "decoder.valid_mask"})

    def test_calibration(self):
        """Logits become a z + b, boxes and their order stay; the metadata say so."""
        path = self.folder / "calibration.json"
        path.write_text('{"a": 1.5, "b": -0.25, "target": "iou", "report": {}}')
        head = "decoder.decoder.lqe_layers.2.reg_conf.layers.1.weight"
        self.state[head].normal_(std=0.1)  # drawn as zero, which would hide what is not scaled
        torch.save({"model": self.state}, self.folder / "detector.pth")
        image = torch.rand(1, 3, 640, 640)
        with torch.inference_mode():
            plain, changed = (load_detector(self.export(name, which)).eval()(image)
                              for name, which in (("a.safetensors", None), ("b.safetensors", path)))
        torch.testing.assert_close(changed.logits, 1.5 * plain.logits - 0.25, rtol=0, atol=5e-3)
        torch.testing.assert_close(changed.boxes, plain.boxes, rtol=0, atol=0)
        with safe_open(self.folder / "b.safetensors", "pt") as file:
            self.assertEqual(json.loads(file.metadata()["calibration"]), {"a": 1.5, "b": -0.25, "target": "iou"})

    def test_refuses_a_calibration(self):
        for tensors, a in ((self.state, 0.0), (self.state, math.nan), ({"x": torch.zeros(1)}, 1.0)):
            with self.assertRaises(CheckpointError):
                calibrated(tensors, a, 0.0)
        path = self.folder / "calibration.json"
        path.write_text('{"a": 1.5}')
        with self.assertRaisesRegex(CheckpointError, "not written by calibrate.py"):
            self.export("a.safetensors", path)

    def test_refuses_another_family(self):
        path = self.folder / "deim.safetensors"
        save_file({"a": torch.zeros(1)}, path, {FAMILY_KEY: "deim"})
        with self.assertRaisesRegex(CheckpointError, "family deim"):
            read_tensors(path)

    def test_refuses_what_float16_has_not(self):
        for value in (1e6, float("nan")):
            with self.assertRaises(CheckpointError):
                shipped({"a": torch.full((2, 2), value)})


class Evaluate(InFolder):
    def options(self) -> argparse.Namespace:
        return argparse.Namespace(results=self.folder, data=self.folder, threshold=0.3, overlays=self.folder / "drawn")

    def write(self, mask_shape=(20, 30)):
        for name in ("images", "masks"):
            (self.folder / name).mkdir(exist_ok=True)
        labels = np.zeros((20, 30), np.uint8)
        labels[5:10, 10:20] = 255
        for stem in ("a", "b"):
            Image.fromarray(np.full((20, 30), 50, np.uint8)).save(self.folder / "images" / f"{stem}.png")
            Image.fromarray(np.resize(labels, mask_shape)).save(self.folder / "masks" / f"{stem}.png")
        lines = [{"source": "a.png", "score": 0.9, "bbox_xyxy_px": [10, 5, 20, 10], "iou_predicted": 0.9},
                 {"source": "b.png", "score": 0.1, "bbox_xyxy_px": None, "iou_predicted": 0}]
        (self.folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def test_output_of_a_run(self):
        """Frame a is perfect, frame b is lost; the folder's masks are truth and result at once."""
        self.write()
        figures = evaluate(self.options())
        self.assertEqual((figures["n_positive"], figures["found_share"], figures["iou_mean"]), (2, 0.5, 0.5))
        self.assertAlmostEqual(figures["ap50"], 51 / 101)
        self.assertEqual((figures["surface95_px"], figures["n_surface"]), (0.0, 1))
        self.assertEqual(sorted(path.name for path in (self.folder / "drawn").iterdir()), ["a.png", "b.png"])

    def test_escaped_names(self):
        """A frame whose name is no UTF-8: its line and its mask are found by the escape."""
        self.write()
        os.rename(self.folder / "images" / "a.png", os.fsencode(self.folder / "images") + b"/k\xf6.png")
        os.rename(self.folder / "masks" / "a.png", os.fsencode(self.folder / "masks") + b"/k\xf6.png")
        (self.folder / "masks" / "k%F6.png").write_bytes(Path(self.folder, "masks", "b.png").read_bytes())
        lines = (self.folder / "results.jsonl").read_text()
        lines = lines.replace('"source": "a.png"', '"schema": 1, "source": "k%F6.png", "stem": "k%F6"')
        (self.folder / "results.jsonl").write_text(lines)
        options = self.options()
        options.overlays = None
        self.assertEqual(evaluate(options)["found_share"], 0.5)
        self.assertEqual(unescaped("50% a%20b %2541 %0A"), "50% a%20b %41 \n")

    def test_overlays_replace_nothing(self):
        self.write()
        for name in ("images", "masks"):
            options = self.options()
            options.overlays = self.folder / name
            with self.assertRaisesRegex(DataError, "would replace"):
                evaluate(options)

    def test_names_the_wrong_file(self):
        self.write(mask_shape=(10, 30))
        with self.assertRaisesRegex(DataError, "masks/a.png: 30 x 10 px"):
            evaluate(self.options())

    def test_boxes_are_clamped_as_in_the_product(self):
        self.assertEqual(source_box(torch.tensor([0.5, 0.5, 1.0, 0.5]), 20, 30).tolist(), [0, 5, 29, 15])


if __name__ == "__main__":
    unittest.main()
