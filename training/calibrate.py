#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a detector's scores mean what they say, and prints what a threshold costs. Standard library only.

    sonoseg evaluate --suite linear,curvilinear,endocavity,screen,hard-negatives --fold 1 --output fit
    sonoseg evaluate --suite all --real DIR --output held
    python training/calibrate.py fit/*.fp32.jsonl --report held/*.fp32.jsonl --output calibration.json

Real frames (real-bone, real-no-bone) can be reported on as well: they count for the thresholds.
    python training/export.py out/detector.pth --calibration calibration.json --output models/dfine_s_bone.safetensors ...

Each file is one set of frames, as `sonoseg evaluate --output` writes them; all sets weigh the same. With the logit z of a
frame's best score, a z + b is fitted so that sigmoid(a z + b) is the box IoU to be expected (--target iou, what the ECE
of docs/evaluation.md compares with) or the share of right boxes, IoU of 0.5 or more (--target right). a > 0, so that no
box changes its place in the order; export.py folds a and b into the last layers of the class head, and inference has
nothing more to compute. Without --output nothing is written: the tables alone.
"""
import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

RIGHT_IOU = 0.5
N_BINS = 10
N_STEPS = 100
DAMPING = 1e-9
CLAMP = 1e-6  # scores are written with six decimals
ALARMS_AT_MOST = 0.02


class CalibrationError(Exception):
    """A file that cannot be used, or frames that fix no mapping."""


@dataclass(frozen=True)
class Frame:
    """The best box of a frame. Of a real frame with a bone the box IoU is not known, NaN."""
    score: float
    box_iou: float
    is_positive: bool

    @property
    def is_right(self) -> bool:
        return self.is_positive and self.box_iou >= RIGHT_IOU


def read_frames(path: Path) -> list[Frame]:
    """What `sonoseg evaluate --output` wrote of one set."""
    frames = []
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                row = json.loads(line)
                unknown = math.nan if row["positive"] else 0.0
                frames.append(Frame(float(row["score"]), float(row.get("box_iou", unknown)), bool(row["positive"])))
            except (ValueError, KeyError, TypeError) as error:
                raise CalibrationError(f"{path}:{number}: no frame of `sonoseg evaluate --output`: {error!r}") from error
    if not frames:
        raise CalibrationError(f"{path}: no frame in it")
    return frames


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def logit(score: float) -> float:
    inside = min(max(score, CLAMP), 1 - CLAMP)
    return math.log(inside / (1 - inside))


def wanted(frame: Frame, target: str) -> float:
    return frame.box_iou if target == "iou" or math.isnan(frame.box_iou) else float(frame.is_right)


def fit(sets: list[list[Frame]], target: str) -> tuple[float, float]:
    """a and b with the least mean cross entropy between the target and sigmoid(a z + b): convex, by Newton's method."""
    rows = [(logit(frame.score), wanted(frame, target), 1 / len(frames) / len(sets)) for frames in sets for frame in frames]
    if any(math.isnan(y) for _, y, _ in rows):
        raise CalibrationError("real frames with a bone have no box IoU to fit to: they are for --report")
    a, b = 1.0, 0.0
    for _ in range(N_STEPS):
        slope_a = slope_b = aa = ab = bb = 0.0
        for z, y, weight in rows:
            p = sigmoid(a * z + b)
            slope_a, slope_b = slope_a + weight * (p - y) * z, slope_b + weight * (p - y)
            curve = weight * p * (1 - p)
            aa, ab, bb = aa + curve * z * z, ab + curve * z, bb + curve
        determinant = (aa + DAMPING) * (bb + DAMPING) - ab * ab
        step_a = ((bb + DAMPING) * slope_a - ab * slope_b) / determinant
        step_b = ((aa + DAMPING) * slope_b - ab * slope_a) / determinant
        longest = max(abs(step_a), abs(step_b))
        share = min(1.0, 1.0 / longest) if longest > 0 else 1.0  # no step beyond 1, where the curve bends
        a, b = a - share * step_a, b - share * step_b
        if longest < 1e-10:
            break
    else:
        a = math.nan
    if not a > 0:
        raise CalibrationError("the frames fix no rising mapping: they need boxes that are right and boxes that are wrong, with "
                               "lower scores in the mean")
    return a, b


def mapped(frames: list[Frame], a: float, b: float) -> list[Frame]:
    return [Frame(sigmoid(a * logit(frame.score) + b), frame.box_iou, frame.is_positive) for frame in frames]


def calibration_error(frames: list[Frame], target: str) -> float:
    """ECE of docs/evaluation.md: over ten bins of the score, n / n_frames * abs(mean score - mean target)."""
    bins: dict[int, float] = {}
    for frame in frames:
        place = min(int(frame.score * N_BINS), N_BINS - 1)
        bins[place] = bins.get(place, 0.0) + frame.score - wanted(frame, target)
    return sum(abs(value) for value in bins.values()) / len(frames)


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else math.nan


def text(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def figures(frames: list[Frame], a: float, b: float) -> dict:
    after = mapped(frames, a, b)
    return {"n_frames": len(frames), "ece": calibration_error(frames, "iou"), "ece_after": calibration_error(after, "iou"),
            "ece_right": calibration_error(frames, "right"), "ece_right_after": calibration_error(after, "right")}


def thresholds(sets: dict[str, list[Frame]]) -> list[dict]:
    """For thresholds 0.05, 0.10 ... 0.95 the shares of found frames and of false alarms in each set."""
    rows = []
    for k in range(1, 20):
        limit = k / 20
        rows.append({"threshold": limit, "sets": {
            name: {"found": share([frame.score >= limit for frame in frames if frame.is_positive]),
                   "alarms": share([frame.score >= limit for frame in frames if not frame.is_positive])}
            for name, frames in sets.items()}})
    return rows


def choose(rows: list[dict]) -> float | None:
    """The lowest threshold with at most 2 % false alarms in each set: it finds the most of those that have."""
    kept = [row["threshold"] for row in rows
            if all(not cell["alarms"] > ALARMS_AT_MOST for cell in row["sets"].values())]
    return min(kept) if kept else None


def print_errors(report: dict[str, dict]) -> None:
    print(f"{'set':28} {'frames':>7} {'ECE':>7} {'after':>7} {'ECE right':>10} {'after':>7}")
    for name, row in report.items():
        print(f"{name:28} {row['n_frames']:7d} {text(row['ece'], '.3f'):>7} {text(row['ece_after'], '.3f'):>7} "
              f"{text(row['ece_right'], '.3f'):>10} {text(row['ece_right_after'], '.3f'):>7}")


def print_thresholds(rows: list[dict], names: list[str]) -> None:
    print("\nfound % / false alarms % by threshold (scores after the mapping)")
    print("threshold " + " ".join(f"{name[:17]:>17}" for name in names))
    for row in rows:
        cells = (row["sets"][name] for name in names)
        print(f"{row['threshold']:9.2f} " + " ".join(
            f"{text(100 * cell['found'], '.1f'):>9} / {text(100 * cell['alarms'], '.1f'):>5}" for cell in cells))


def calibrate(options: argparse.Namespace) -> None:
    a, b = fit([read_frames(path) for path in options.frames], options.target)
    names = options.report or options.frames
    sets = {path.name.removesuffix(".jsonl"): read_frames(path) for path in names}
    if len(sets) < len(names):
        raise CalibrationError("two files to report on have the same name")
    report = {name: figures(frames, a, b) for name, frames in sets.items()}
    rows = thresholds({name: mapped(frames, a, b) for name, frames in sets.items()})
    chosen = choose(rows)
    print(f"sigmoid(a z + b) with a = {a:.4f}, b = {b:.4f}, fitted to the {options.target} of {len(options.frames)} sets"
          + ("" if options.report else ", and reported on the same frames"))
    print_errors(report)
    print_thresholds(rows, list(sets))
    print(f"\nlowest threshold with false alarms of 2 % or less in each set: {'none' if chosen is None else chosen}")
    report = {name: {key: None if math.isnan(value) else value for key, value in row.items()} for name, row in report.items()}
    if options.output:
        content = {"a": a, "b": b, "target": options.target, "fitted_on": [path.name for path in options.frames],
                   "reported_on": [path.name for path in names], "report": report, "lowest_threshold": chosen}
        options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, nargs="+", metavar="FRAMES", help="sets to fit on, one .jsonl each")
    parser.add_argument("--report", type=Path, nargs="+", metavar="FRAMES", help="sets to report on (default: the same)")
    parser.add_argument("--target", choices=("iou", "right"), default="iou", help="what a score shall mean (default: iou)")
    parser.add_argument("--output", type=Path, metavar="JSON", help="for export.py --calibration")
    try:
        calibrate(parser.parse_args())
    except (CalibrationError, OSError) as error:
        print(f"calibrate.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
