#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a detector and a segmenter, or the output of `sonoseg run`, on labelled frames.

    python training/evaluate.py --detector D --segmenter S --data SET [--json FILE] [--overlays DIR]
    python training/evaluate.py --results DIR --data SET

SET is a folder with images/ and masks/, as `sonoseg phantom` writes it: 0 = background, each other value a structure, a
frame without mask shows none. The networks run in PyTorch, float32, with the steps of the product around them.
The figures are defined in docs/evaluation.md; `sonoseg evaluate` gives the same ones.

DIR of --results holds results.jsonl and masks/. A frame that is LOST there has no box, so below the run's threshold
the figures that look at all boxes (AP, calibration) see none: run with --threshold 0 to have them complete.
"""
import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from checkpoints import CheckpointError, load_detector, load_segmenter
from data import DataError, pictures_of, read_grey, read_labels
from metrics import DEFAULT_THRESHOLD, Prediction, measure, structures, summarise, surface, table, without_nan
from models import mobilesam
from models.dfine import INPUT_SIZE_PX, Dfine
from models.mobilesam import MobileSam
from stages.detector import prepare

TRUTH_COLOUR, FOUND_COLOUR, BOX_COLOUR = (60, 220, 90), (255, 70, 60), (255, 210, 60)


class Pipeline:
    """The product in PyTorch: the best box of a frame, and the mask in it."""

    def __init__(self, detector: Dfine, segmenter: MobileSam, threshold: float, device: str):
        self.detector, self.segmenter = detector.to(device), segmenter.to(device)
        self.threshold, self.device = threshold, device

    @torch.inference_mode()
    def run(self, image: np.ndarray) -> Prediction:
        """Luma uint8 [H, W]. Below the threshold the mask is empty, and the segmenter does not run."""
        pixels = torch.tensor(image, device=self.device)[None, None].float()
        found = self.detector(prepare(pixels, INPUT_SIZE_PX))
        score, query = found.logits[0].amax(-1).sigmoid().max(0)
        box = source_box(found.boxes[0, query], *image.shape)
        mask, iou = np.zeros(image.shape, bool), 0.0
        if score.item() >= self.threshold:
            logits, predicted = self.segmenter(mobilesam.prepare(pixels), box[None] * mobilesam.input_scale(*image.shape),
                                               torch.zeros(1, dtype=torch.long, device=self.device))
            mask = (mobilesam.restore(logits[:, :1], *image.shape)[0, 0] > 0).cpu().numpy()
            iou = predicted[0, 0].item()
        return Prediction(score.item(), box.double().cpu().numpy(), mask, iou)


def source_box(box: torch.Tensor, height_px: int, width_px: int) -> torch.Tensor:
    """cx cy w h in [0, 1] -> x1 y1 x2 y2 in pixels, clamped to the frame as the product does."""
    centre, half = box[:2], box[2:] / 2
    corners = torch.cat((centre - half, centre + half))
    corners = corners * torch.tensor((width_px, height_px) * 2, device=box.device)
    return corners.clamp(min=0.0).minimum(torch.tensor((width_px - 1.0, height_px - 1.0) * 2, device=box.device))


ESCAPE = re.compile(rb"%([01][0-9A-F]|25|7F|[89A-F][0-9A-F])")


def unescaped(name: str) -> str:
    """A file's name as Path has it, out of results.jsonl: the escape of bytes that are no UTF-8 undone."""
    return os.fsdecode(ESCAPE.sub(lambda digits: bytes([int(digits[1], 16)]), name.encode()))


class Results:
    """The output of `sonoseg run` in the place of the networks."""

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            lines = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
            self.of_stem = {Path(unescaped(line["source"])).stem: line for line in lines}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / 'results.jsonl'}: cannot be read: {error!r}") from error

    def of(self, stem: str, shape: tuple[int, int]) -> Prediction:
        if stem not in self.of_stem:
            raise DataError(f"{self.folder / 'results.jsonl'}: no result for {stem}")
        line = self.of_stem[stem]
        if line["bbox_xyxy_px"] is None:
            return Prediction(line["score"] or 0.0, np.zeros(4), np.zeros(shape, bool), 0.0)
        mask_path = self.folder / "masks" / f"{line.get('stem', stem)}.png"
        mask = read_labels(mask_path) > 0
        if mask.shape != shape:
            raise DataError(f"{mask_path}: {mask.shape[1]} x {mask.shape[0]} px, its image has {shape[1]} x {shape[0]}")
        return Prediction(line["score"], np.array(line["bbox_xyxy_px"], dtype=np.float64), mask, line["iou_predicted"])


def labelled_frames(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Stem, luma uint8 [H, W], labels uint8 [H, W] of each frame, in the order of the names and at its own size."""
    masks = pictures_of(folder / "masks")
    for stem, path in pictures_of(folder / "images").items():
        image = read_grey(path)
        labels = read_labels(masks[stem]) if stem in masks else np.zeros_like(image)
        if labels.shape != image.shape:
            raise DataError(f"{masks[stem]}: {labels.shape[1]} x {labels.shape[0]} px, its image has "
                            f"{image.shape[1]} x {image.shape[0]}")
        yield stem, image, labels


def draw_overlay(image: np.ndarray, labels: np.ndarray, prediction: Prediction, is_found: bool) -> Image.Image:
    """The frame with the outlines of the truth and of what was found, and the box."""
    picture = np.repeat(image[..., None], 3, axis=2)
    for mask in structures(labels):
        picture[surface(mask)] = TRUTH_COLOUR
    if is_found:
        picture[surface(prediction.mask)] = FOUND_COLOUR
    overlay = Image.fromarray(picture)
    if is_found and (prediction.box[2:] > prediction.box[:2]).all():
        ImageDraw.Draw(overlay).rectangle(tuple(prediction.box), outline=BOX_COLOUR)
    return overlay


def check_overlays(overlays: Path, data: Path, results: Path | None) -> None:
    """Pictures of the frames' own names must not replace what is read."""
    read = [data / "images", data / "masks"] + ([results / "masks"] if results else [])
    for folder in read:
        if overlays.exists() and folder.exists() and overlays.samefile(folder):
            raise DataError(f"{overlays}: overlays would replace the pictures in {folder}: choose another folder")


def evaluate(options: argparse.Namespace) -> dict:
    if options.results:
        results = Results(options.results)
    else:
        pipeline = Pipeline(load_detector(options.detector), load_segmenter(options.segmenter), options.threshold,
                            options.device)
    if options.overlays:
        check_overlays(options.overlays, options.data, options.results)
        options.overlays.mkdir(parents=True, exist_ok=True)
    frames = []
    for stem, image, labels in labelled_frames(options.data):
        prediction = results.of(stem, image.shape) if options.results else pipeline.run(image)
        frames.append(measure(prediction, labels, options.threshold))
        if options.overlays:
            overlay = draw_overlay(image, labels, prediction, frames[-1].is_found)
            overlay.save(options.overlays / f"{stem}.png")
        if sys.stderr.isatty():
            print(f"\r{len(frames)} frames", end="", file=sys.stderr, flush=True)
    if not frames:
        raise DataError(f"{options.data / 'images'}: no frames")
    return summarise(frames, options.threshold)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="SET", help="folder with images/ and masks/")
    parser.add_argument("--detector", type=Path, metavar="FILE", help=".pth, .pt or .safetensors of D-FINE, any size")
    parser.add_argument("--segmenter", type=Path, metavar="FILE", help=".pth, .pt or .safetensors of MobileSAM")
    parser.add_argument("--results", type=Path, metavar="DIR", help="output of `sonoseg run`, instead of networks")
    parser.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD, help="default %(default)s")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--overlays", type=Path, metavar="DIR", help="draw every frame: truth green, found red")
    options = parser.parse_args()
    if bool(options.results) == bool(options.detector and options.segmenter):
        parser.error("give --detector and --segmenter, or --results")
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    return options


def main() -> int:
    options = parse_arguments()
    try:
        summary = evaluate(options)
        if options.json:
            options.json.write_text(json.dumps(without_nan(summary), indent=2) + "\n", encoding="utf-8")
    except (DataError, CheckpointError, OSError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    print(("\r" if sys.stderr.isatty() else "") + table(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
