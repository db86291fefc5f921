# SPDX-License-Identifier: Apache-2.0
"""A twin of the state machine and of the figures over time, for scripts/fit_state.py, which tries many rules.

The machine is src/engine/state_machine.h, the figures are tools/sonoseg/sequence.c; tests/cli/test_evaluate_sequence.py holds
both equal to `sonoseg evaluate --sequence --replay`. Standard library only.
"""
import json
import math

LOST, VISIBLE, RELOCALIZING = range(3)
STATES = ("LOST", "VISIBLE", "RELOCALIZING")
BAD, FAIR, GOOD = range(3)
PARTS = ("score", "iou", "sharpness", "contrast", "shadow", "continuity", "agreement", "surface")
STALE_MS, SETTLE_MS = 250, 500


class Frame:
    """One line of a parts file."""
    __slots__ = ("sweep", "timestamp_ns", "time_ns", "size", "has_truth", "kind", "visible", "borderline", "stale_ms", "score",
                 "state", "quality", "parts", "is_repeat", "has_box", "begins")

    def __init__(self, line, last):
        self.sweep, self.timestamp_ns, self.time_ns = line["sweep"], line["timestamp_ns"], line["time_ns"]
        self.size = (line["width_px"], line["height_px"])
        self.has_truth, self.kind, self.visible = line["has_truth"], line["event"], line["visible"]
        self.borderline, self.stale_ms = line["borderline"], line["stale_ms"]
        self.score, self.quality = line["detector_score"], round(1000 * line["quality"])
        self.state = STATES.index(line["state"])
        self.parts = tuple(line["parts"][name] for name in PARTS)
        self.is_repeat, self.has_box = line["parts"]["is_repeat"], line["parts"]["has_box"]
        self.begins = last is None or last.sweep != self.sweep

    @property
    def has_outline(self):
        return self.has_box and self.parts[PARTS.index("continuity")] >= 0

    @property
    def is_stale(self):
        return bool(self.has_truth and self.visible and not self.borderline and self.stale_ms > STALE_MS)

    @property
    def want(self):
        """1: VISIBLE, 0: not VISIBLE, -1: nothing."""
        if not self.has_truth or self.borderline:
            return -1
        return int(self.visible and self.stale_ms <= STALE_MS)


def read(path):
    """The head and the frames of a parts file."""
    frames = []
    with open(path, encoding="utf-8") as stream:
        head = json.loads(stream.readline())
        for line in stream:
            frames.append(Frame(json.loads(line), frames[-1] if frames else None))
    return head, frames


def quality_of(rules, weights, frame, parts):
    if not frame.has_outline:
        return 0
    unknown = rules["unknown_part"]
    total = rules["bias"] + sum(weight * (part if part >= 0 else unknown) for weight, part in zip(weights, parts))
    return max(0, min(1000, total // 1000))


def both_qualities(rules, frames):
    """Of each frame: its quality, and the one it has while nothing is believed, when agreement counts as unknown."""
    weights = [rules["weight_" + name] for name in PARTS]
    return [(quality_of(rules, weights, frame, frame.parts), quality_of(rules, weights, frame, frame.parts[:6] + (-1, -1)))
            for frame in frames]


def time_since(rules, last, frame):
    """In ns; None where the stream begins (anew)."""
    if frame.begins or last is None or last.size != frame.size:
        return None
    if not frame.timestamp_ns or not last.timestamp_ns:
        return rules["default_dt_ms"] * 1000000
    dt = frame.timestamp_ns - last.timestamp_ns
    return dt if 0 <= dt <= rules["gap_ms"] * 1000000 else None


class Machine:
    """BY_STREAM."""

    def __init__(self, rules):
        self.rules = rules
        self.begin()

    def begin(self):
        self.state, self.grade = LOST, BAD
        self.trust = self.doubt = self.repeat = 0
        self.is_trusted = self.has_agreed = False

    def forget_trust(self):
        self.trust, self.is_trusted, self.has_agreed = 0, False, False

    def grade_of(self, frame, quality, agreement):
        rules = self.rules
        if not frame.has_outline or quality < rules["off"] or 0 <= agreement < rules["agree_off"]:
            return BAD
        return FAIR if quality < rules["on"] or 0 <= agreement < rules["agree_on"] else GOOD

    def count_doubt(self, grade, dt):
        if grade == GOOD:
            self.doubt = 0
        elif grade == FAIR:
            self.doubt = max(0, self.doubt - dt)
        elif self.grade == BAD:
            self.doubt = min(self.doubt + dt, self.rules["lost_after_ms"] * 1000000)

    def count_trust(self, grade, agreement, is_repeat, is_frozen, dt):
        if self.state == LOST:
            is_bad = grade == BAD or self.grade == BAD
            self.trust = 0 if is_bad else min(self.trust + dt, self.rules["found_after_ms"] * 1000000)
        elif grade == BAD or is_frozen:
            self.forget_trust()
        elif grade == GOOD:
            if self.is_trusted:
                self.trust = min(self.trust + dt, self.rules["visible_after_ms"] * 1000000)
            self.is_trusted = True
            self.has_agreed |= not is_repeat and agreement >= self.rules["agree_on"]

    def move(self, grade, is_frozen):
        if self.state == LOST:
            if grade != BAD and self.trust >= self.rules["found_after_ms"] * 1000000:
                self.state = RELOCALIZING
                self.forget_trust()
                self.is_trusted = grade == GOOD and not is_frozen
                self.doubt = 0
        elif self.state == VISIBLE:
            if grade == BAD or is_frozen:
                self.state = RELOCALIZING
        elif grade == BAD:
            if self.doubt >= self.rules["lost_after_ms"] * 1000000:
                self.state = LOST
        elif grade == GOOD and not is_frozen and self.has_agreed and self.trust >= self.rules["visible_after_ms"] * 1000000:
            self.state = VISIBLE

    def step(self, frame, qualities, dt):
        """qualities: of both_qualities(). Returns the quality that was judged."""
        begins = dt is None
        if begins:
            self.begin()
            dt = 0
        is_lost = self.state == LOST
        quality, agreement = (qualities[1], -1) if is_lost else (qualities[0], max(frame.parts[6:]))
        is_repeat = frame.is_repeat and not begins
        frozen = self.rules["frozen_after_ms"] * 1000000
        self.repeat = min(self.repeat + dt, frozen) if is_repeat else 0
        is_frozen = is_repeat and self.repeat >= frozen
        grade = self.grade_of(frame, quality, agreement)
        self.count_doubt(grade, dt)
        self.count_trust(grade, agreement, is_repeat, is_frozen, dt)
        self.move(grade, is_frozen)
        self.grade = grade
        return quality


def states_of(rules, frames, qualities=None):
    machine, states, last = Machine(rules), [], None
    for frame, both in zip(frames, qualities or both_qualities(rules, frames)):
        machine.step(frame, both, time_since(rules, last, frame))
        states.append(machine.state)
        last = frame
    return states


class Truth:
    """What does not depend on the rules: what each frame wants, where truth has settled, losses and returns."""

    def __init__(self, frames):
        self.frames = frames
        self.want = [frame.want for frame in frames]
        self.is_settled = []
        self.runs = []  # (want, first frame, end, is a loss by a frozen image), those that a loss or return begins
        begin = 0
        while begin < len(frames):
            end = begin
            while end < len(frames) and frames[end].sweep == frames[begin].sweep:
                end += 1
            self.add_sweep(begin, end)
            begin = end
        self.times = [frame.time_ns / 1e6 for frame in frames]

    def add_sweep(self, begin, end):
        last, changed = None, 0
        at = None  # first frame of the run
        for i in range(begin, end):
            want = self.want[i]
            if want < 0 or want != last:
                changed = self.frames[i].time_ns
            last = want
            self.is_settled.append(want >= 0 and self.frames[i].time_ns - changed >= SETTLE_MS * 1000000)
            if want >= 0 and (at is None or want != self.want[at]):
                if at is not None and self.runs and self.runs[-1][1] == at:
                    self.runs[-1][2] = i
                if at is not None:
                    self.runs.append([want, i, end, self.frames[i].is_stale, begin, end])
                at = i

    def time_ms(self, i, begin, end):
        if i < end:
            return self.times[i]
        return self.times[end - 1] + (self.times[end - 1] - self.times[end - 2] if end - begin > 1 else 0)


def percentile(values, percent):
    if not values:
        return math.nan
    values = sorted(values)
    place = percent / 100 * (len(values) - 1)
    below = int(place)
    share = place - below
    return values[below] * (1 - share) + values[min(below + 1, len(values) - 1)] * share


def share(part, whole):
    return part / whole if whole else math.nan


def figures_of(truth, states):
    """The figures that have bars, under the keys of evaluate's JSON."""
    count = {"n_wanted": 0, "n_unwanted": 0, "false": 0, "missed": 0, "changes": 0}
    settled_ms = 0
    for i, want in enumerate(truth.want):
        is_shown = states[i] == VISIBLE
        if want == 1:
            count["n_wanted"] += 1
            count["missed"] += not is_shown
        elif want == 0:
            count["n_unwanted"] += 1
            count["false"] += is_shown
        if truth.is_settled[i] and not truth.frames[i].begins:
            settled_ms += truth.times[i] - truth.times[i - 1]
            count["changes"] += states[i] != states[i - 1]
    delays = {"to_hidden": [], "to_lost": [], "to_visible": []}
    for want, at, run_end, is_stale, begin, end in truth.runs:
        asked = [("to_visible", lambda s: s == VISIBLE)] if want else [("to_hidden", lambda s: s != VISIBLE)]
        if not want and not is_stale:
            asked.append(("to_lost", lambda s: s == LOST))
        for key, is_there in asked:
            found = next((i for i in range(at, run_end) if is_there(states[i])), run_end)
            delays[key].append(truth.time_ms(found, begin, end) - truth.times[at])
    figures = {"false_share": share(count["false"], count["n_unwanted"]),
               "missed_share": share(count["missed"], count["n_wanted"]),
               "flicker_per_min": share(count["changes"], settled_ms / 60e3)}
    for key, values in delays.items():
        figures[key + "_median_ms"] = percentile(values, 50)
        figures[key + "_p95_ms"] = percentile(values, 95)
    return figures
