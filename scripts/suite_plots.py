#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what `sonoseg evaluate --suite all --json SUITE.json` says of the scores:

    scripts/venv.sh scripts/plots-requirements.txt build/plots
    build/plots/bin/python scripts/suite_plots.py SUITE.json [--precision fp32] [--output out.png]

Left and middle, one point for each tenth of the score with 5 frames or more: its mean score against the mean box IoU and
against the share of right boxes (IoU of 0.5 or more); on the dashed line a score means just that. Right: what each threshold
finds of the frames with a bone, and its false alarms on those without.
"""
import argparse
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

MIN_FRAMES = 5
COLOURS = ("#1f5fa8", "#c0392b", "#2a9d5c", "#8e44ad", "#e08e0b")


def draw_reliability(axes, sets, key, ece, title):
    axes.plot((0, 1), (0, 1), "--", color="#b0b0b0", linewidth=1)
    for colour, (name, figures) in zip(COLOURS, sets):
        points = [(row["score"], row[key], row["n"]) for row in figures["bins"] if row["n"] >= MIN_FRAMES]
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, linewidth=1,
                  label=f"{name}, ECE {figures[ece]:.3f}")
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], [6 + n / 4 for _, _, n in points], color=colour)
    axes.set(xlabel="score, mean of a tenth", ylabel=title, xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)


def draw_thresholds(axes, sets, threshold):
    axes.axvline(threshold, color="#b0b0b0", linestyle="--", linewidth=1)
    for colour, (name, figures) in zip(COLOURS, sets):
        for key, style in (("found_share", "-"), ("false_alarm_share", ":")):
            points = [(row["threshold"], row[key]) for row in figures["thresholds"] if row[key] is not None]
            axes.plot([x for x, _ in points], [100 * y for _, y in points], style, color=colour,
                      label=name if key == "found_share" and points else None)
    axes.set(xlabel="threshold", ylabel="found (lines), false alarms (dots), %", xlim=(0, 1), ylim=(-2, 102))
    axes.grid(alpha=0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=pathlib.Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("suite.png"))
    options = parser.parse_args()
    result = json.loads(options.suite.read_text(encoding="utf-8"))
    sets = [(row["name"], row[options.precision]) for row in result["sets"] if "bins" in row.get(options.precision, {})]
    if not sets:
        parser.error(f"{options.suite}: no set of phantoms in {options.precision}")
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(14, 4.4), dpi=100)
    draw_reliability(left, sets, "iou", "ece", "box IoU, mean")
    draw_reliability(middle, sets, "right", "ece_right", "share of right boxes")
    draw_thresholds(right, sets, result["threshold"])
    figure.suptitle(f"{result['detector']}, {options.precision}")
    figure.tight_layout()
    figure.savefig(options.output, metadata={"Software": None})


if __name__ == "__main__":
    main()
