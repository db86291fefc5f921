#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts together what the sections of scripts/gpu_check.sh left behind: one JSON file, and a table on request.

    scripts/gpu/report.py WORK --out FILE [--before FILE] [--device NAME] [--commit ID] [--table]

Reads WORK/{accuracy_*,audit,bench,roofline,paced_*,live,batch_*,memory,cold_start,peers,models_*,soak,skip_*}.json, WORK/run_fp16/results.jsonl
and WORK/sections.txt (name, passed, failed, skipped), any of which may be missing: what is not known is taken from the
report BEFORE if that is of the same commit and device, else null. Standard library only.
"""
import argparse
import datetime
import json
import os
import sys

ACCURACY = ("box_median_px", "box_worst_px", "score_worst", "iou_median", "iou_worst")
MODELS = ("ap50", "ap50_95", "iou_mean", "dice_mean", "surface95_px", "found_share", "false_alarm_share")
AUDIT = ("critical", "medium", "minor", "chains", "residency", "trace_agrees")
PARTS = ("lane_0_ms", "lane_1_ms", "tail_ms", "ops_us", "floors_us")
PACES = ("25", "60", "200")
BATCHES = ("1", "2", "4", "8", "16", "32")
KINDS = ("found", "lost")
PER_FRAME = ("allocations", "h2d", "launches", "d2h", "waits", "bytes_h2d", "bytes_d2h")


def load(folder, name):
    try:
        with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def find(tree, key):
    """The first value under that key at any depth; None when there is none."""
    if not isinstance(tree, dict):
        return None
    if key in tree and not isinstance(tree[key], dict):
        return tree[key]
    return next((value for value in (find(child, key) for child in tree.values()) if value is not None), None)


def ledger_of_runs(folder):
    """The largest totals that any frame of the accuracy run had."""
    try:
        with open(os.path.join(folder, "run_fp16", "results.jsonl"), encoding="utf-8") as file:
            rows = [json.loads(line)["ledger"] for line in file]
    except (OSError, ValueError, KeyError):
        return {}
    return {key: max(row.get(key, row.get("n_" + key, 0)) for row in rows) for key in PER_FRAME} if rows else {}


def decoder_skipping(folder):
    """Median latency by what the frames hold, with the mask decoder always run and left out where LOST."""
    return {way: {kind: load(folder, f"skip_{way}_{kind}").get("latency_ms", {}).get("p50") for kind in KINDS}
            for way in ("always", "when_found")}


def sections(folder):
    """How many checks of each section passed, failed and were skipped."""
    try:
        with open(os.path.join(folder, "sections.txt"), encoding="utf-8") as file:
            rows = [line.split() for line in file]
    except OSError:
        return {}
    return {name: dict(zip(("passed", "failed", "skipped"), map(int, counts))) for name, *counts in rows}


def completed(new, old):
    """`new` with what it does not know taken from `old`."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: completed(new.get(key), old.get(key)) for key in new | old}
    return old if new is None or new == {} else new


def with_before(result, path):
    try:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
    except (OSError, ValueError):
        return result
    same = all(before.get(key) == result[key] for key in ("commit", "device"))
    return completed(result, before) if same else result


def gather(folder, options):
    audit, bench, comparison = load(folder, "audit"), load(folder, "bench"), load(folder, "peers")
    latency, ours = bench.get("latency_ms", {}), comparison.get("ours") or {}
    peers = comparison.get("peers", {})
    per_frame = audit.get("per_frame") or ledger_of_runs(folder)
    gpu_ms = bench.get("gpu_ms")
    return {
        "commit": options.commit,
        "device": options.device,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        "accuracy": {p: {key: load(folder, "accuracy_" + p).get(key) for key in ACCURACY} for p in ("fp16", "fp32")},
        "audit": {key: find(audit, key) for key in AUDIT},
        "per_frame": {key: per_frame.get(key, per_frame.get("n_" + key)) for key in PER_FRAME},
        "latency_ms": {**{key: latency.get(key) for key in ("p50", "p99", "p99_9", "max")},
                       "frames": bench.get("frames")},
        "gpu_ms": {"p50": gpu_ms.get("p50") if isinstance(gpu_ms, dict) else gpu_ms},
        "stages_ms": {name: stage.get("p50_ms") for name, stage in bench.get("stages", {}).items()},
        "peers_ms": {"pytorch_" + name: row.get("p50") for name, row in peers.items()},
        "beside_peers": {"p50_ms": ours.get("p50"), "turns_ms": ours.get("turns"), "ratio": comparison.get("ratio")},
        "decoder_ms": decoder_skipping(folder),
        "paced_ms": {rate: {key: load(folder, "paced_" + rate).get("latency_ms", {}).get(key)
                            for key in ("p50", "p99", "p99_9", "max")} for rate in PACES},
        "live": {f"{row['rate_hz']}_hz": {"engine_ms": row["engine_ms"], "latency_ms": row["latency_ms"]}
                 for row in load(folder, "live").get("pipeline", {}).get("at", [])},
        "throughput": {"batch_" + n: load(folder, "batch_" + n).get("frames_per_s") for n in BATCHES},
        "roofline": load(folder, "roofline").get("roofline"),
        "gaps": audit.get("gaps"),
        "memory_mb": load(folder, "memory").get("memory_mb"),
        "cold_start_s": load(folder, "cold_start").get("cold_start_s"),
        "models": {p: {key: load(folder, "models_" + p).get(key) for key in MODELS} for p in ("fp16", "fp32")},
        "soak": load(folder, "soak") or None,
        "sections": sections(folder),
    }


def text(value):
    if value is None:
        return "-"
    if isinstance(value, list):
        return "/".join(map(text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_row(name, values):
    print(f"  {name:18} " + "  ".join(f"{key} {text(value)}" for key, value in values.items()))


def print_table(result):
    print(f"{result['device']}, commit {result['commit']}, {result['date']}")
    for precision, values in result["accuracy"].items():
        print_row("accuracy " + precision, values)
    for key in ("audit", "per_frame", "latency_ms", "gpu_ms", "stages_ms", "peers_ms"):
        print_row(key, result[key])
    print_row("beside_peers", result["beside_peers"])
    print_row("throughput", result["throughput"])
    for rate, values in result["paced_ms"].items():
        print_row(f"paced {rate} Hz", values)
    for rate, values in result["live"].items():
        print_row(f"live {rate}", values)
    print_row("parts alone", {key: (result["roofline"] or {}).get(key) for key in PARTS})
    for way, values in result["decoder_ms"].items():
        print_row("decoder " + way, values)
    print_row("", {key: result[key] for key in ("memory_mb", "cold_start_s")})
    for precision, values in result["models"].items():
        print_row("models " + precision, values)
    print_row("soak", result["soak"] or {})
    for name, counts in result["sections"].items():
        print_row(name, counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", metavar="WORK")
    parser.add_argument("--out", metavar="FILE", required=True)
    parser.add_argument("--before", metavar="FILE")
    parser.add_argument("--device", default="unknown")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    result = with_before(gather(options.work, options), options.before or "")
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    if options.table:
        print_table(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
