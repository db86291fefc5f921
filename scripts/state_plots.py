#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what docs/state.md shows of an evaluation over time:

    scripts/venv.sh scripts/plots-requirements.txt build/plots
    build/plots/bin/python scripts/state_plots.py FIGURES.json PARTS.jsonl [--sweep N] [--output docs]

FIGURES.json and PARTS.jsonl (or .jsonl.gz) are what `sonoseg evaluate --sequence --json --parts` wrote. Makes state-roc.png,
how well quality and score tell frames apart, and state-timeline.png, one sweep from its start to its end: truth, states, and
the single threshold in three strips, quality and score below. --sweep: default the one with most kinds of events.
"""
import argparse
import gzip
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

COLOURS = {"LOST": "#b0b0b0", "RELOCALIZING": "#f0a030", "VISIBLE": "#2a9d5c"}
TRUTH = {0: "#b0b0b0", 1: "#2a9d5c", -1: "#ffffff"}
STALE_MS = 250


def read_parts(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as stream:
        head = json.loads(stream.readline())
        return head, [json.loads(line) for line in stream]


def draw_roc(result, path):
    figure, axes = pyplot.subplots(figsize=(5, 4.2), dpi=110)
    for key, colour, style in (("quality", "#1f5fa8", "-"), ("score", "#c0392b", "--")):
        roc = result["roc"][key]
        points = [point for point in roc["points"] if point[1] is not None and point[2] is not None]
        axes.plot([100 * point[2] for point in points], [100 * point[1] for point in points], style, color=colour,
                  label=f"{key}, area {roc['area']:.4f}" if roc["area"] is not None else key)
    axes.set(xlabel="frames that want no VISIBLE, %", ylabel="frames that want VISIBLE, %", xlim=(-1, 40), ylim=(60, 101),
             title="above a threshold of one frame's own value")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def most_eventful(lines):
    kinds = {}
    for line in lines:
        if line["event"] != "quiet":
            kinds.setdefault(line["sweep"], set()).add(line["event"])
    return max(kinds, key=lambda sweep: len(kinds[sweep])) if kinds else lines[0]["sweep"]


def stretches(values):
    """(first, end, value) of equal neighbours."""
    begin = 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] != values[begin]:
            yield begin, i, values[begin]
            begin = i


def draw_strip(axes, times, values, colours, place):
    for begin, end, value in stretches(values):
        until = times[end] if end < len(times) else times[-1]
        axes.barh(place, until - times[begin], left=times[begin], height=0.8, color=colours[value], edgecolor="none")


def draw_timeline(head, lines, sweep, path):
    lines = [line for line in lines if line["sweep"] == sweep]
    times = [(line["time_ns"] - lines[0]["time_ns"]) / 1e9 for line in lines]
    wants = [-1 if line["borderline"] else int(line["visible"] and line["stale_ms"] <= STALE_MS) for line in lines]
    states = [line["state"] for line in lines]
    single = ["VISIBLE" if line["detector_score"] >= head["threshold"] else "LOST" for line in lines]
    figure, (strips, curves) = pyplot.subplots(2, 1, figsize=(10, 4.6), dpi=110, sharex=True, height_ratios=(1, 1.6))
    draw_strip(strips, times, wants, TRUTH, 2)
    draw_strip(strips, times, states, COLOURS, 1)
    draw_strip(strips, times, single, COLOURS, 0)
    strips.set(yticks=(2, 1, 0), yticklabels=("truth", "state", f"score >= {head['threshold']:.2f}"), ylim=(-0.5, 3.2))
    for begin, end, event in stretches([line["event"] for line in lines]):
        if event != "quiet":
            strips.text(times[begin], 2.55, event.replace("_", " "), fontsize=7)
            for axes in (strips, curves):
                axes.axvspan(times[begin], times[end - 1], color="#4060a0", alpha=0.08)
    strips.legend(handles=[pyplot.Rectangle((0, 0), 1, 1, color=colour, label=name) for name, colour in COLOURS.items()],
                  loc="upper center", bbox_to_anchor=(0.5, 1.45), ncols=3, fontsize=8, frameon=False)
    curves.plot(times, [line["quality"] for line in lines], color="#1f5fa8", label="quality")
    curves.plot(times, [line["detector_score"] for line in lines], color="#c0392b", lw=0.8, label="score")
    for name in ("on", "off"):
        curves.axhline(head["rules"][name] / 1000, color="#1f5fa8", lw=0.6, ls=":")
    curves.set(xlabel=f"s, sweep {sweep}", ylim=(-0.02, 1.02))
    curves.legend(loc="lower left", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=pathlib.Path)
    parser.add_argument("parts", type=pathlib.Path)
    parser.add_argument("--sweep", type=int)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("docs"))
    options = parser.parse_args()
    head, lines = read_parts(options.parts)
    draw_roc(json.loads(options.figures.read_text(encoding="utf-8")), options.output / "state-roc.png")
    sweep = most_eventful(lines) if options.sweep is None else options.sweep
    draw_timeline(head, lines, sweep, options.output / "state-timeline.png")


if __name__ == "__main__":
    main()
