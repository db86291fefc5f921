# SPDX-License-Identifier: Apache-2.0
"""`sonoseg evaluate --sequence --replay` on parts files made here: figures with known answers, the same states and figures
as the twin in scripts/state_twin.py under many rules, and clear words where something is wrong."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("SONO_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
sys.path.insert(0, str(ROOT / "scripts"))
import state_twin as twin  # noqa: E402

COMMAND = os.environ.get("SONO_COMMAND") or str(ROOT / "build/release/bin/sonoseg")
STEP_NS = 40_000_000
RULES = {"on": 600, "off": 400, "agree_on": 500, "agree_off": 400, "found_after_ms": 0, "visible_after_ms": 120,
         "lost_after_ms": 160, "frozen_after_ms": 160, "gap_ms": 500, "default_dt_ms": 40, "weight_score": 1000, "weight_iou": 0,
         "weight_sharpness": 0, "weight_contrast": 0, "weight_shadow": 0, "weight_continuity": 0, "weight_agreement": 0,
         "weight_surface": 0, "bias": 0, "unknown_part": 500}


def frame_line(index, sweep, time_ns, visible, score, **other):
    parts = {"score": score, "iou": 500, "sharpness": 500, "contrast": 500, "shadow": 500, "continuity": 900, "agreement": 800,
             "surface": 800, "is_repeat": 0, "moved_x": 0, "moved_y": 0, "has_box": int(score >= 300)}
    parts.update(other.pop("parts", {}))
    line = {"sweep": sweep, "frame": index, "timestamp_ns": time_ns, "time_ns": time_ns, "width_px": 422, "height_px": 558,
            "has_truth": 1, "event": "quiet", "visible": visible, "borderline": 0, "stale_ms": 0,
            "true_bbox_xyxy_px": [1, 2, 3, 4], "state": "LOST", "quality": 0.0, "detector_score": score / 1000,
            "has_outline": parts["has_box"], "bbox_xyxy_px": [1, 2, 3, 4], "still": 0, "true_columns": 10,
            "surface_bins": [5, 5], "surface_jitter_mm": None}
    return {**line, **other, "parts": parts}


def write(path, lines, **rules):
    head = {"parts_file": 1, "version": "test", "threshold": 0.3, "mode": 2, "rules": {**RULES, **rules}, "input": "made up"}
    path.write_text("".join(json.dumps(line) + "\n" for line in [head, *lines]), encoding="utf-8")


def command(*words):
    return subprocess.run([COMMAND, "evaluate", *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def replay(folder, path, **rules):
    figures, again = folder / "figures.json", folder / "again.jsonl"
    settings = [word for name, value in rules.items() for word in ("--state-rule", f"{name}={value}")]
    done = command("--sequence", "--replay", path, "--quiet", "--json", figures, "--parts", again, *settings)
    assert done.returncode == 0 and done.stderr == "" and done.stdout == "", done
    return json.loads(figures.read_text(encoding="utf-8")), twin.read(again)[1]


def expect(actual, expected, what):
    assert actual is not None and abs(actual - expected) < 1e-5, f"{what}: {actual} is not {expected}"


def test_known_answers(folder):
    """VISIBLE 120 ms after the first good frame; gone in the frame of the loss, LOST 160 ms later."""
    lines = [frame_line(i, 0, (i + 1) * STEP_NS, int(not 50 <= i < 75), 100 if 50 <= i < 75 else 900) for i in range(100)]
    path = folder / "known.jsonl"
    write(path, lines)
    figures, _ = replay(folder, path)
    states = figures["states"]
    expect(states["to_hidden_p95_ms"], 0, "to_hidden")
    expect(states["to_lost_p95_ms"], 160, "to_lost")
    expect(states["to_visible_p95_ms"], 120, "to_visible")
    expect(states["false_share"], 0, "false")
    expect(states["missed_share"], 6 / 75, "missed")
    expect(states["flicker_per_min"], 0, "flicker")
    expect(states["surface_median_mm"], 0.02, "surface")
    assert states["n_losses"] == states["n_returns"] == 1
    expect(figures["single_threshold"]["to_lost_p95_ms"], 0, "single threshold")
    expect(figures["roc"]["quality"]["area"], 1, "area")
    assert figures["rules"] == RULES
    slower, _ = replay(folder, path, visible_after_ms=200, lost_after_ms=80)
    expect(slower["states"]["to_visible_p95_ms"], 200, "to_visible")
    expect(slower["states"]["to_lost_p95_ms"], 80, "to_lost")
    table = command("--sequence", "--replay", path)
    assert table.returncode == 0 and "100 frames of 1 sweep: 75 want VISIBLE, 25 do not" in table.stdout, table


def random_lines(draw):
    """Sweeps with events of all kinds, frozen images, gaps, unknown times, and another size now and then."""
    lines = []
    for sweep in range(6):
        time_ns, stale_ms, visible = STEP_NS, 0, 1
        for index in range(150):
            visible = draw.choice([0, 1]) if draw.random() < 0.04 else visible
            frozen = draw.random() < (0.9 if stale_ms else 0.02)
            stale_ms = stale_ms + 40 if frozen else 0
            score = min(999, max(0, int(draw.gauss(800 if visible else 250, 200))))
            parts = {name: min(1000, max(-1, int(draw.gauss(700 if visible else 400, 300)))) for name in twin.PARTS[1:]}
            parts["is_repeat"] = int(frozen)
            lines.append(frame_line(index, sweep, time_ns, visible, score, parts=parts, stale_ms=stale_ms,
                                    borderline=int(draw.random() < 0.05), width_px=422 if draw.random() > 0.01 else 400,
                                    event=draw.choice(["quiet", "freeze", "shadow"])))
            if draw.random() < 0.01:
                lines[-1]["timestamp_ns"] = 0
            time_ns += draw.choice([STEP_NS, STEP_NS, STEP_NS + draw.randrange(1000), 2 * STEP_NS, STEP_NS // 2])
            time_ns += 600_000_000 if draw.random() < 0.01 else 0
    return lines


def random_rules(draw):
    rules = {name: draw.randrange(-200, 600) for name in RULES if name.startswith("weight")}
    rules.update(on=draw.randrange(300, 800), agree_on=draw.randrange(0, 900), bias=draw.randrange(-300000, 300000),
                 unknown_part=draw.randrange(0, 1001))
    rules.update(off=draw.randrange(0, rules["on"] + 1), agree_off=draw.randrange(0, rules["agree_on"] + 1))
    rules.update({name: draw.choice([0, 40, 80, 120, 200]) for name in RULES if name.endswith("_after_ms")})
    return rules


def test_as_twin(folder):
    """Every state, and the figures, under 40 sets of rules."""
    draw = random.Random(15)
    lines = random_lines(draw)
    path = folder / "random.jsonl"
    write(path, lines)
    _, frames = twin.read(path)
    truth = twin.Truth(frames)
    n_seen = [0, 0, 0]
    for _ in range(40):
        rules = {**RULES, **random_rules(draw)}
        figures, again = replay(folder, path, **rules)
        states = twin.states_of(rules, frames)
        n_seen = [n + states.count(state) for state, n in enumerate(n_seen)]
        assert [frame.state for frame in again] == states, rules
        for key, value in twin.figures_of(truth, states).items():
            expect(figures["states"][key], value, f"{key} under {rules}")
    assert min(n_seen) > 500, n_seen


def test_wrong(folder):
    path = folder / "wrong.jsonl"
    lines = [frame_line(i, 0, (i + 1) * STEP_NS, 1, 900) for i in range(3)]
    cases = [(1, lambda line: line.pop("stale_ms"), ":2: 'stale_ms' is missing"),
             (3, lambda line: line["parts"].pop("has_box"), ":4: 'has_box' is missing"),
             (2, lambda line: line.update(event="picnic"), ":3: 'event' is missing")]
    for place, spoil, text in cases:
        spoiled = json.loads(json.dumps(lines))
        spoil(spoiled[place - 1])
        write(path, spoiled)
        done = command("--sequence", "--replay", path)
        assert done.returncode == 1 and text in done.stderr and done.stdout == "", done
    write(path, [])
    assert "no frames in it" in command("--sequence", "--replay", path).stderr
    write(path, [{**lines[0], "parts": {**lines[0]["parts"], "score": 1001}}])
    assert "score" in command("--sequence", "--replay", path).stderr
    write(path, lines, off=700)
    assert command("--sequence", "--replay", path).returncode == 1
    usages = [(("--sequence", "--replay", path, "--state-rule", "of=3"), "of"),
              (("--sequence", "--replay", path, "--state-rule", "on"), "not a rule and a whole number"),
              (("--sequence", "--replay", path, "--state-rule", "on=x"), "not a rule and a whole number"),
              (("--sequence", "--replay", path, "phantom:"), "--replay takes everything"),
              (("--sweeps", "3"), "need --sequence"), (("--sequence", "--sweeps", "0"), "sweeps")]
    for words, text in usages:
        done = command(*words)
        assert done.returncode == 2 and text in done.stderr, done
    assert command("--sequence", "--replay", folder / "none.jsonl").returncode == 1


def main():
    with tempfile.TemporaryDirectory() as name:
        for test in (test_known_answers, test_as_twin, test_wrong):
            test(pathlib.Path(name))
            print("ok", test.__name__)


if __name__ == "__main__":
    main()
