#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What leaving the detector out saves and costs: schedule.py FOLDER, with what gpu_check.sh's section "schedule" left there.

Prints a table of pipelines that detect in every frame and in every K-th. Frames are "free" (one after the other) or
"paced" (25 a second, as a scanner makes them); energy is the GPU's whole counter over the timed frames, idle time too.
"""
import json
import pathlib
import sys

WAYS = ("free", "paced")
STATES = (("false_share", 100, "false VISIBLE, %"), ("missed_share", 100, "missed VISIBLE, %"),
          ("to_hidden_p95_ms", 1, "loss to not VISIBLE, 95 %, ms"), ("to_visible_p95_ms", 1, "return to VISIBLE, 95 %, ms"),
          ("surface_median_mm", 1, "surface error, median, mm"), ("surface95_mm", 1, "surface error, 95 %, mm"))


def read(path):
    return json.loads(path.read_text()) if path.is_file() else None


def cells(values, decimals=3):
    return "".join(f"{'-' if value is None else format(value, f'.{decimals}f'):>12}" for value in values)


def find(tree, key):
    """The first value of that key, whatever it lies in."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        return next((found for child in tree.values() if (found := find(child, key)) is not None), None)
    return None


def main():
    folder = pathlib.Path(sys.argv[1])
    every = sorted({int(path.name.split("_")[1]) for path in folder.glob("schedule_*_*.json")})
    print(f"{'detector in every ... frame':<46}" + "".join(f"{k:>12}" for k in every))
    for way in WAYS:
        runs = [read(folder / f"schedule_{k}_{way}.json") or {} for k in every]
        print(f"{way + ', p50 latency, ms':<46}" + cells(run.get("latency_ms", {}).get("p50") for run in runs))
        print(f"{way + ', p50 on the GPU, ms':<46}" + cells(run.get("gpu_ms", {}).get("p50") for run in runs))
        print(f"{way + ', GPU energy a frame, J':<46}" + cells(run.get("gpu_frame_j") for run in runs))
        print(f"{way + ', frames with the detector, %':<46}" +
              cells(100 * run["detector_frames"] / run["frames"] if run else None for run in runs))
    runs = [read(folder / f"schedule_{k}_states.json") for k in every]
    print(f"{'held-out sweeps, frames with the detector, %':<46}" +
          cells(run and 100 * run["detector_frames"] / find(run, "n_frames") for run in runs))
    for key, scale, label in STATES:
        values = [run and find(run, key) for run in runs]
        print(f"{label:<46}" + cells((None if value is None else scale * value for value in values), 2))


if __name__ == "__main__":
    main()
