#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/metrics.json: random truths and predictions with the figures that training/metrics.py finds.

    python3 scripts/golden/metrics.py --out tests/golden/metrics.json

Pixels are stored as runs: value, length, value, length ... in row-major order. Scores are multiples of 1/64, so that
some are equal and float32 holds them. Needs numpy and scipy.
"""
import argparse
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "training"))
import metrics  # noqa: E402

N_FRAMES = 40
SEED = 20261123
THRESHOLD = 0.25
LABELS = (1, 7, 255)


def ellipse(shape, centre, radii):
    y, x = np.indices(shape)
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1


def draw(rng):
    """Labels with up to three structures, some of them cut by the border, and a prediction near one of them."""
    shape = tuple(rng.integers(12, 40, 2))
    size = np.array(shape[::-1])
    labels = np.zeros(shape, dtype=np.uint8)
    for label in LABELS[:rng.integers(0, 4)]:
        labels[ellipse(shape, rng.random(2) * size, 2 + rng.random(2) * size / 4)] = label
    masks = metrics.structures(labels)
    near = masks[rng.integers(len(masks))] if masks else ellipse(shape, size / 2, size / 5)
    mask = np.roll(near, rng.integers(-3, 4, 2), (0, 1)) ^ (rng.random(shape) < rng.choice([0, 0.02]))
    if rng.random() < 0.1:
        mask[:] = False
    box = metrics.box_of(near) + np.round(rng.normal(0, 1.5, 4) * 4) / 4
    score = rng.integers(0, 65) / 64
    return labels, metrics.Prediction(float(score), box, mask, float(rng.integers(0, 65) / 64))


def runs(pixels):
    flat = pixels.reshape(-1)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]))
    return [int(number) for start, end in zip(starts, starts[1:]) for number in (flat[start], end - start)]


def describe(labels, prediction, frame):
    found = {name: getattr(frame, name) for name in ("box_iou", "mask_iou", "dice", "surface95_px")}
    return {"height_px": labels.shape[0], "width_px": labels.shape[1], "labels": runs(labels),
            "mask": runs(prediction.mask.astype(np.uint8) * 255), "box": prediction.box.tolist(),
            "score": prediction.score, "iou_predicted": prediction.iou_predicted, **metrics.without_nan(found)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    rng = np.random.default_rng(SEED)
    drawn = [draw(rng) for _ in range(N_FRAMES)]
    frames = [metrics.measure(prediction, labels, THRESHOLD) for labels, prediction in drawn]
    rows = [describe(*pair, frame) for pair, frame in zip(drawn, frames)]
    summary = metrics.without_nan(metrics.summarise(frames, THRESHOLD))
    lines = ",\n".join(json.dumps(row) for row in rows)
    out.write_text(f'{{"summary": {json.dumps(summary)},\n"frames": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
