#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/performance.md from what was measured: scripts/performance.py [--check]

Reads bench/results/h200.json (scripts/gpu_check.sh, with the sections bench, roofline, throughput and paced) and
bench/steps.json (what was tried, with prediction and verdict). --check: exit status 1 when the page is not what would
be written. Standard library only.
"""
import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def figure(value, decimals=3):
    return "-" if value is None else f"{value:.{decimals}f}"


def latency_rows(result):
    keys = ("p50", "p99", "p99_9", "max")
    rows = [["back to back"] + [figure(result["latency_ms"].get(key)) for key in keys]]
    for rate, values in (result.get("paced_ms") or {}).items():
        rows.append([f"paced at {rate} Hz"] + [figure(values.get(key)) for key in keys])
    return table(["frames", "p50 ms", "p99 ms", "p99.9 ms", "max ms"], rows)


def parts(result):
    roofline = result.get("roofline") or {}
    rows = [["lane 0 up to the join: preprocess, detect, select", figure(roofline.get("lane_0_ms"))],
            ["lane 1: preprocess, encode", figure(roofline.get("lane_1_ms"))],
            ["the rest: decode, mask", figure(roofline.get("tail_ms"))]]
    return table(["part, nothing beside it", "ms"], rows)


def worst(result):
    roofline = result.get("roofline") or {}
    rows = [[row["op"], row["stage"], row["kind"], f"`{row['shape']}`", f"{row['us']:.1f}", f"{row['floor_us']:.1f}",
             row["bound"], f"{row['loss_us']:.1f}", f"`{row['name']}`"] for row in roofline.get("worst", [])]
    return table(["op", "stage", "kind", "shape", "us", "floor us", "bound by", "loss us", "name"], rows)


def throughput(result):
    values = result.get("throughput") or {}
    return table(["batch", "frames/s"], [[key.removeprefix("batch_"), figure(value, 0)] for key, value in values.items()])


def page(result, steps):
    roofline = result.get("roofline") or {}
    lines = ["# Performance on one GPU", "",
             "Written by `scripts/performance.py` from [what was measured](../bench/results/h200.json) and",
             "[what was tried](../bench/steps.json): change those, not this page.", "",
             f"{result['device']}, commit {result['commit']}, {result['date']}: D-FINE-S and MobileSAM in float16 on a "
             "422 x 558 frame, host", "memory to host memory.", "", "## Latency", "", *latency_rows(result), "",
             *parts(result), "", "## Throughput", "", "Reading the JPEG included, on one thread.", "", *throughput(result), "", "## Where the time is", "",
             f"{roofline.get('ops', '-')} ops, each by itself among runs of the same op, take {figure(roofline.get('ops_us'), 0)} us; "
             f"their floors are {figure(roofline.get('floors_us'), 0)} us. A floor is the larger of an op's arithmetic",
             "and its bytes over what kernels that do nothing else reach on the same GPU: "
             f"{figure(roofline.get('half_tflops'), 0)} TFLOP/s in float16 (`mma.sync`), "
             f"{figure(roofline.get('float_tflops'), 1)} in float32,",
             f"{figure(roofline.get('cache_tb_per_s'), 2)} TB/s within the second-level cache, "
             f"{figure(roofline.get('memory_tb_per_s'), 2)} within memory. The largest losses:", "", *worst(result), "",
             "All of them: `sonoseg bench --device cuda --roofline`.", "", "## What was tried", ""]
    for step in steps:
        lines += [f"### Step {step['step']} ({step['commit']})", "", step["change"], "",
                  f"- Predicted: {step['prediction']}", f"- Measured: {step['measured']}",
                  f"- Verdict: {step['verdict']}", ""]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    result = json.loads((ROOT / "bench/results/h200.json").read_text(encoding="utf-8"))
    steps = json.loads((ROOT / "bench/steps.json").read_text(encoding="utf-8"))
    text = page(result, steps)
    if options.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("docs/performance.md is out of date: run scripts/performance.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
