# SPDX-License-Identifier: Apache-2.0
"""The picture of a training: its log as curves."""
import json
from pathlib import Path

from matplotlib.figure import Figure


def read_log(path: Path) -> tuple[list[dict], list[dict]]:
    """The lines of log.jsonl with losses, and those with validations."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "losses" in line], [line for line in lines if "validation" in line]


def draw_curves(log_path: Path, picture_path: Path, title: str) -> None:
    """Left the losses by kind, right those figures of the validations that are shares, both over the steps."""
    losses, validations = read_log(log_path)
    figure = Figure(figsize=(13, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind in losses[-1]["losses"] if losses else ():
        known = [line for line in losses if kind in line["losses"]]
        left.plot([line["step"] for line in known], [line["losses"][kind] for line in known], label=kind, linewidth=1)
    left.plot([line["step"] for line in losses], [line["loss"] for line in losses], "k", label="sum", linewidth=1)
    left.set(title=f"{title}: weighted losses", xlabel="step", yscale="log" if losses else "linear")
    for name in validations[-1]["validation"] if validations else ():
        points = [(line["step"], line["validation"][name]) for line in validations if name in line["validation"]]
        if max(value for _, value in points) <= 1.0:
            right.plot(*zip(*points), marker=".", label=name)
    right.set(title=f"{title}: validation of the average", xlabel="step", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    figure.savefig(picture_path, dpi=100)
