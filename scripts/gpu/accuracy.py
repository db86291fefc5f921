#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what `sonoseg run --threshold 0` wrote with the float32 reference of the official code.

    scripts/gpu/accuracy.py RESULTS REFERENCE.safetensors --precision fp16 [--json FILE]

RESULTS is the output folder; REFERENCE holds boxes_xyxy_px [N, 4], scores [N], masks_packed [N, H, ceil(W / 8)] and in
its metadata the frames' names. A frame's box error is that of its worst coordinate. Exit status 1 beyond the limits
below, or when a frame is missing. Needs numpy and pillow.
"""
import argparse
import json
import os
import struct
import sys

import numpy
from PIL import Image

# What float16 may cost is what it costs the official code under PyTorch's autocast, over the whole sweep.
LIMITS = {"fp16": {"box_median_px": 0.05, "box_worst_px": 1.1, "score_worst": 0.033, "iou_median": 0.9985,
                   "iou_worst": 0.995},
          "fp32": {"box_median_px": 0.05, "box_worst_px": 0.05, "score_worst": 0.001, "iou_median": 0.999,
                   "iou_worst": 0.999}}
DTYPES = {"F32": numpy.float32, "U8": numpy.uint8}


def read_safetensors(path):
    """{name: array} of the float32 and uint8 tensors, and the metadata."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]])
               .reshape(entry["shape"]) for name, entry in header.items() if entry["dtype"] in DTYPES}
    return tensors, metadata


def mask_iou(path, packed):
    ours = numpy.array(Image.open(path)) > 0
    theirs = numpy.unpackbits(packed, axis=1)[:, :ours.shape[1]] > 0
    either = numpy.logical_or(ours, theirs).sum()
    return numpy.logical_and(ours, theirs).sum() / either if either else 1.0


def compare(folder, reference_path):
    tensors, metadata = read_safetensors(reference_path)
    with open(os.path.join(folder, "results.jsonl"), encoding="utf-8") as file:
        results = {os.path.basename(row["source"]): row for row in map(json.loads, file)}
    boxes, scores, ious = [], [], []
    for i, name in enumerate(metadata["frames"].split(",")):
        row = results.get(name)
        if row is None or row["bbox_xyxy_px"] is None:
            raise SystemExit(f"accuracy: {name}: {'no result' if row is None else row['state']}")
        boxes.append(numpy.abs(numpy.array(row["bbox_xyxy_px"]) - tensors["boxes_xyxy_px"][i]).max())
        scores.append(abs(row["score"] - tensors["scores"][i]))
        ious.append(mask_iou(os.path.join(folder, "masks", row["stem"] + ".png"), tensors["masks_packed"][i]))
    return {"box_median_px": float(numpy.median(boxes)), "box_worst_px": float(max(boxes)),
            "score_worst": float(max(scores)), "iou_median": float(numpy.median(ious)),
            "iou_worst": float(min(ious)), "frames": len(boxes)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="RESULTS")
    parser.add_argument("reference", metavar="REFERENCE")
    parser.add_argument("--precision", choices=LIMITS, required=True)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    figures = compare(options.results, options.reference)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)
    beyond = [name for name, limit in LIMITS[options.precision].items()
              if (figures[name] < limit if name.startswith("iou") else not figures[name] <= limit)]
    print(f"{options.precision}, {figures['frames']} frames: box median {figures['box_median_px']:.4f} px, worst "
          f"{figures['box_worst_px']:.4f} px; score worst {figures['score_worst']:.5f}; IoU median "
          f"{figures['iou_median']:.5f}, worst {figures['iou_worst']:.5f}")
    for name in beyond:
        print(f"    {name} is {figures[name]:.5f}, the limit is {LIMITS[options.precision][name]}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
