#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the state machine's rules to a tuning set: scripts/fit_state.py PARTS.jsonl [options]

PARTS.jsonl is what `sonoseg evaluate --sequence --parts` wrote of sweeps that show what a user would meet. It must have
been recorded with --state-rule lost_after_ms=600000: while LOST, agreement with the frame before is not measured, and
other rules would want it. Two steps:

1. Weights of the quality: a logistic regression of "this frame may be called VISIBLE" on the parts of frames with an
   outline, scaled so that half the probability is 500 permille, and rounded to whole numbers.
2. Thresholds and times: one after another is moved through a list of values for as long as that lowers the cost, which is
   0 where every figure keeps MARGIN of its bar (docs/state.md), from several starts.

Prints the rules as options for `sonoseg evaluate` and as JSON (--json FILE). What is fitted here must be reported on other
sweeps: other seeds, and events=held-out. Needs numpy (scripts/venv.sh).
"""
import argparse
import json
import math
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import state_twin as twin  # noqa: E402

BARS = {"false_share": 0.01, "missed_share": 0.03, "to_hidden_p95_ms": 200, "to_lost_p95_ms": 200, "to_visible_p95_ms": 300,
        "flicker_per_min": 1}
MARGIN = 0.8
# Quality is judged within one frame; agreement has thresholds of its own.
FITTED = ("score", "iou", "sharpness", "contrast", "shadow", "continuity")
LADDERS = {
    "on": range(200, 960, 20), "off": range(60, 900, 20), "agree_on": range(0, 960, 40), "agree_off": range(0, 900, 40),
    "found_after_ms": (0, 40, 80), "visible_after_ms": range(0, 321, 40), "lost_after_ms": range(0, 321, 40),
    "frozen_after_ms": (80, 120, 160, 200, 240),
}
STARTS = ({}, {"on": 500, "off": 300, "visible_after_ms": 40, "lost_after_ms": 80, "agree_on": 300, "agree_off": 200},
          {"on": 800, "off": 600, "visible_after_ms": 80, "lost_after_ms": 120, "agree_on": 600, "agree_off": 400})


def logistic(values, wanted, ridge):
    """Coefficients and constant by Newton's method; both classes weigh the same. values [n, k] are about 0..1."""
    ones = numpy.hstack([values, numpy.ones((len(values), 1))])
    weight = numpy.where(wanted, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean())) / len(wanted)
    penalty = numpy.diag([ridge] * values.shape[1] + [0])
    beta = numpy.zeros(ones.shape[1])
    for _ in range(50):
        chance = 1 / (1 + numpy.exp(-numpy.clip(ones @ beta, -40, 40)))
        gradient = ones.T @ (weight * (chance - wanted)) + penalty @ beta
        curvature = (ones * (weight * chance * (1 - chance))[:, None]).T @ ones + penalty + 1e-12 * numpy.eye(len(beta))
        step = numpy.linalg.solve(curvature, gradient)
        beta -= step
        if numpy.abs(step).max() < 1e-9:
            break
    return beta


def fit_weights(frames, rules, ridge):
    """Weights and bias of the quality, in whole numbers; an area of 1 under the ROC curve would be a perfect one."""
    used = [frame for frame in frames if frame.want >= 0 and frame.has_outline]
    wanted = numpy.array([frame.want == 1 for frame in used])
    if not used or wanted.all() or not wanted.any():
        sys.exit("fit_state.py: frames with an outline are all of one kind: nothing to fit; more sweeps or a lower --threshold")
    places = [twin.PARTS.index(name) for name in FITTED]
    parts = numpy.array([[frame.parts[place] for place in places] for frame in used], dtype=float)
    parts[parts < 0] = rules["unknown_part"]
    kept = list(range(len(places)))
    while True:  # a part that would speak against what it measures is left out
        beta = logistic(parts[:, kept] / 1000, wanted, ridge)
        against = [place for place, value in zip(kept, beta) if value < 0]
        if not against:
            break
        kept = [place for place in kept if place not in against]
        if not kept:
            sys.exit("fit_state.py: no part of the quality rises with the truth: is the parts file what it should be?")
    logit = parts[:, kept] / 1000 @ beta[:-1] + beta[-1]
    scale = 500 / max(1e-6, numpy.abs(numpy.percentile(logit, [2, 98])).max())  # permille a unit of logit
    found = dict.fromkeys(("weight_" + name for name in twin.PARTS), 0)
    for place, value in zip(kept, beta):
        found["weight_" + FITTED[place]] = round(scale * value)
    found["bias"] = round(1000 * (500 + scale * beta[-1]))
    return found, area(logit, wanted), len(used), int((~wanted).sum())


def area(values, wanted):
    order = numpy.argsort(values, kind="stable")
    ranks = numpy.empty(len(values))
    ordered = values[order]
    start = numpy.searchsorted(ordered, ordered, "left")
    end = numpy.searchsorted(ordered, ordered, "right")
    ranks[order] = (start + end + 1) / 2
    n = int(wanted.sum())
    return (ranks[wanted].sum() - n * (n + 1) / 2) / (n * (len(values) - n))


def cost_of(figures):
    """0 where every bar is kept with its margin; below that, what still is better counts a little."""
    over, rest = 0.0, 0.0
    for key, bar in BARS.items():
        ratio = figures[key] / bar
        if not math.isnan(ratio):
            over += max(0.0, ratio - MARGIN)
            rest += ratio
    return over + 0.01 * rest


def is_allowed(rules):
    return rules["off"] <= rules["on"] and rules["agree_off"] <= rules["agree_on"]


class Search:
    def __init__(self, frames):
        self.frames, self.truth = frames, twin.Truth(frames)
        self.known, self.qualities, self.weights = {}, None, None

    def rate(self, rules):
        weights = tuple(value for key, value in sorted(rules.items()) if key.startswith(("weight", "bias", "unknown")))
        if weights != self.weights:
            self.weights, self.qualities = weights, twin.both_qualities(rules, self.frames)
        key = tuple(sorted(rules.items()))
        if key not in self.known:
            figures = twin.figures_of(self.truth, twin.states_of(rules, self.frames, self.qualities))
            self.known[key] = (cost_of(figures), figures)
        return self.known[key]

    def descend(self, rules, n_rounds):
        best = self.rate(rules)[0]
        for _ in range(n_rounds):
            before = best
            for name, ladder in LADDERS.items():
                place = min(range(len(ladder)), key=lambda i: abs(ladder[i] - rules[name]))
                for stride in (4, 2, 1, -1, -2, -4):
                    while 0 <= place + stride < len(ladder):
                        tried = {**rules, name: ladder[place + stride]}
                        if not is_allowed(tried) or self.rate(tried)[0] >= best:
                            break
                        rules, best, place = tried, self.rate(tried)[0], place + stride
            if best > before - 1e-6:
                break
        return rules, best


def thinned(frames, n_sweeps):
    """The frames of at most so many sweeps, spread over the set."""
    sweeps = sorted({frame.sweep for frame in frames})
    chosen = set(sweeps[:: max(1, len(sweeps) // n_sweeps)][:n_sweeps])
    return [frame for frame in frames if frame.sweep in chosen]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts")
    parser.add_argument("--ridge", type=float, default=1e-4, help="penalty on the regression's coefficients; default 1e-4")
    parser.add_argument("--sweeps", type=int, default=40, help="sweeps that thresholds are sought on; default 40")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--keep-weights", action="store_true", help="seek thresholds only, with the file's weights")
    parser.add_argument("--json", metavar="FILE", help="write the rules and the figures on the tuning set")
    options = parser.parse_args()
    head, frames = twin.read(options.parts)
    base = dict(head["rules"])
    if base["lost_after_ms"] < 10000:
        print("fit_state.py: the file was recorded with lost_after_ms=%d: agreement is missing where it was LOST; record with "
              "--state-rule lost_after_ms=600000" % base["lost_after_ms"], file=sys.stderr)
    base.update(lost_after_ms=160, frozen_after_ms=160)
    if not options.keep_weights:
        weights, roc, n, n_unwanted = fit_weights(frames, base, options.ridge)
        base.update(weights)
        print(f"quality from {n} frames with an outline, {n_unwanted} of which are not to be VISIBLE: area {roc:.4f}")
    search = Search(thinned(frames, options.sweeps))
    found = [search.descend({**base, **start}, options.rounds) for start in STARTS]
    rules, cost = min(found, key=lambda pair: pair[1])
    _, figures = Search(frames).rate(rules)
    print(f"cost {cost:.4f} on {options.sweeps} sweeps at most; on the whole tuning set:")
    for key, bar in BARS.items():
        print(f"  {key:20} {figures[key]:10.4f}  bar {bar}")
    changed = [f"--state-rule {key}={value}" for key, value in rules.items()]
    print(" ".join(changed))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"rules": rules, "tuning": figures}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
