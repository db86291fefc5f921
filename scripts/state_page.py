#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills in the figures of docs/state.md from what was measured: scripts/state_page.py [--check]

Reads bench/results/h200_state.json (scripts/gpu_check.sh --only state) and replaces what is between the two comments
"figures, by scripts/state_page.py" and "end of figures". --check: exit status 1 when the page is not what would be written.
Standard library only.
"""
import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/state.md"
RESULT = ROOT / "bench/results/h200_state.json"
BEGIN, END = "<!-- figures, by scripts/state_page.py -->\n", "<!-- end of figures -->\n"

# Key, what the table calls it, bar ("" = none), factor, decimals, unit.
ROWS = (
    ("false_share", "false VISIBLE", 1.0, 100, 2, "%"),
    ("stale_share", "... frozen for more than 250 ms", None, 100, 2, "%"),
    ("false_settled_share", "... truth settled", None, 100, 2, "%"),
    ("missed_share", "missed VISIBLE", 3.0, 100, 2, "%"),
    ("missed_settled_share", "... truth settled", None, 100, 2, "%"),
    ("to_hidden_median_ms", "loss to not VISIBLE, median", None, 1, 0, "ms"),
    ("to_hidden_p95_ms", "... 95 %", 200, 1, 0, "ms"),
    ("to_hidden_worst_ms", "... worst", None, 1, 0, "ms"),
    ("to_lost_median_ms", "loss to LOST, median", None, 1, 0, "ms"),
    ("to_lost_p95_ms", "... 95 %", 200, 1, 0, "ms"),
    ("to_lost_worst_ms", "... worst", None, 1, 0, "ms"),
    ("to_visible_median_ms", "return to VISIBLE, median", None, 1, 0, "ms"),
    ("to_visible_p95_ms", "... 95 %", 300, 1, 0, "ms"),
    ("to_visible_worst_ms", "... worst", None, 1, 0, "ms"),
    ("flicker_per_min", "changes of state, truth settled", 1, 1, 2, "a minute"),
    ("visible_flicker_per_min", "... from or to VISIBLE", None, 1, 2, "a minute"),
    ("surface_median_mm", "surface error, median", 0.25, 1, 3, "mm"),
    ("surface95_mm", "... 95 %", 1.0, 1, 3, "mm"),
    ("surface_coverage", "... columns that have one", None, 100, 1, "%"),
    ("box_jitter_px", "jitter of the box, median", None, 1, 2, "px"),
    ("box_jitter95_px", "... 95 %", None, 1, 2, "px"),
    ("surface_jitter_mm", "jitter of the surface, median", None, 1, 3, "mm"),
    ("surface_jitter95_mm", "... 95 %", None, 1, 3, "mm"),
)
EVENT_ROWS = (("false_share", 100, 2), ("missed_share", 100, 2), ("to_hidden_p95_ms", 1, 0), ("to_lost_p95_ms", 1, 0),
              ("to_visible_p95_ms", 1, 0))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def figure(value, factor, decimals):
    return "-" if value is None else f"{factor * value:.{decimals}f}"


def main_rows(result):
    states, single = result["states"], result["single_threshold"]
    for key, name, bar, factor, decimals, unit in ROWS:
        left, right = states.get(key), single.get(key)
        if left is None and right is None:
            continue
        kept = ""
        if bar is not None and left is not None:
            kept = "yes" if factor * left <= bar else "no"
        part = f"{left / right:.2f}" if left is not None and right else "-"
        yield (name, figure(left, factor, decimals), figure(right, factor, decimals), unit, part,
               "" if bar is None else f"{bar:g}", kept)


def event_rows(result):
    for name, both in result["by_event"].items():
        states, single = both["states"], both["single_threshold"]
        cells = [f"{figure(states.get(key), factor, decimals)} / {figure(single.get(key), factor, decimals)}"
                 for key, factor, decimals in EVENT_ROWS]
        yield (name.replace("_", " "), states["n_frames"], states["n_losses"], *cells)


def block(result):
    states, roc = result["states"], result["roc"]
    rules = ", ".join(f"{name} {value}" for name, value in result["rules"].items())
    lines = [
        f"{result.get('device', 'unknown device')}, {result.get('precision', '-')}, commit {result.get('commit', '-')}, "
        f"{result.get('date', '-')}:", f"{states['n_sweeps']} sweeps, {states['n_frames']} frames of `{result['input']}`: "
        f"{states['n_wanted']} want VISIBLE, {states['n_unwanted']}", f"do not ({states['n_stale']} of them frozen), "
        f"{states['n_borderline']} are borderline; {states['n_losses']} losses, {states['n_returns']} returns.", "",
        *table(["figure", "states", f"score >= {result['threshold']:.2f}", "unit", "ratio", "bar", "kept"], main_rows(result)), "",
        f"Area under the ROC curve: {figure(roc['quality']['area'], 1, 4)} of the quality, "
        f"{figure(roc['score']['area'], 1, 4)} of the score.", "",
        "By event, of each pair the states first and the single threshold second; times are 95th percentiles in ms:", "",
        *table(["event", "frames", "losses", "false %", "missed %", "to not VISIBLE", "to LOST", "to VISIBLE"],
               event_rows(result)), "", f"Rules: {rules}.", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        print(f"{PAGE.name}: the two comments around the figures are missing", file=sys.stderr)
        return 1
    figures = block(json.loads(RESULT.read_text(encoding="utf-8"))) if RESULT.exists() else ""
    text = page[:page.index(BEGIN) + len(BEGIN)] + figures + page[page.index(END):]
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
    elif text != page:
        print("docs/state.md is out of date: run scripts/state_page.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
