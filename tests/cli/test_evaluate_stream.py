# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=600 cost=11
"""`sonoseg evaluate --sequence` with networks (the synthetic checkpoints that the build makes): what it records is replayed to
the byte, whatever the number of threads that render, and a recording without truth has figures, too."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("SONO_COMMAND", "")
DETECTOR, SEGMENTER = os.environ.get("SONO_TEST_DETECTOR", ""), os.environ.get("SONO_TEST_SEGMENTER", "")
INPUT = "phantom:frames=3,size=96x128,seed=5,events=held-out"


def command(*words):
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0 and "error" not in done.stderr, done
    return done


def evaluate(*words):
    return command("evaluate", "--sequence", "--detector", DETECTOR, "--detector-family", "dfine", "--segmenter", SEGMENTER,
                   "--device", "cpu", "--threshold", "0.01", "--segmenter-size", "256", *words)


def test_replayed_to_the_byte(folder):
    first, second, again = (folder / f"{name}.jsonl" for name in ("first", "second", "again"))
    figures = folder / "figures.json"
    done = evaluate("--input", INPUT, "--sweeps", "2", "--jobs", "1", "--parts", first, "--json", figures)
    assert "6 frames of 2 sweeps" in done.stdout and "1 thread renders" in done.stderr, done
    evaluate("--input", INPUT, "--sweeps", "2", "--jobs", "3", "--parts", second, "--quiet")
    assert first.read_bytes() == second.read_bytes()
    command("evaluate", "--sequence", "--replay", first, "--parts", again, "--quiet")
    lines, replayed = (path.read_text(encoding="utf-8").splitlines()[1:] for path in (first, again))
    assert lines == replayed and len(lines) == 6
    frames = [json.loads(line) for line in lines]
    assert [frame["sweep"] for frame in frames] == [0, 0, 0, 1, 1, 1]
    assert [frame["timestamp_ns"] for frame in frames] == 2 * [40000000, 80000000, 120000000]
    assert all(frame["parts"]["agreement"] == -1 for frame in frames[::3]), "a stream's first frame has none before it"
    assert json.loads(figures.read_text(encoding="utf-8"))["states"]["n_sweeps"] == 2


def test_without_truth(folder):
    figures = folder / "figures.json"
    command("phantom", "phantom:seed=5,frames=3,size=96x128", "--output", folder / "set", "--quiet")
    done = evaluate("--input", folder / "set/images", "--json", figures)
    assert "3 frames of 1 sweep\n" in done.stdout, done
    states = json.loads(figures.read_text(encoding="utf-8"))["states"]
    assert states["n_frames"] == 3 and states["false_share"] is None and states["flicker_per_min"] is not None
    assert abs(states["lost_share"] + states["visible_share"] + states["relocalizing_share"] - 1) < 1e-5


def main():
    if not all(os.access(path, os.R_OK) for path in (COMMAND, DETECTOR, SEGMENTER)):
        print("skipped: no checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)")
        return 77
    with tempfile.TemporaryDirectory() as name:
        for test in (test_replayed_to_the_byte, test_without_truth):
            test(pathlib.Path(name))
            print("ok", test.__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
