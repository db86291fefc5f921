# SPDX-License-Identifier: Apache-2.0
# labels: slow timeout=600 cost=13
"""`sonoseg evaluate --suite` with networks (the synthetic checkpoints that the build makes): every set, the figures again in
plain Python from the frames' lines, real frames from a folder that the test makes, what is skipped, and what is refused."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("SONO_COMMAND", "")
DETECTOR, SEGMENTER = os.environ.get("SONO_TEST_DETECTOR", ""), os.environ.get("SONO_TEST_SEGMENTER", "")
PHANTOMS = ("linear", "curvilinear", "endocavity", "screen", "hard-negatives")


def run(*words, shared=None):
    environment = {key: value for key, value in os.environ.items() if key != "SONO_SHARED"}
    if shared:
        environment["SONO_SHARED"] = str(shared)
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=500, check=False,
                          env=environment)


def suite(names, *words, shared=None):
    return run("evaluate", "--suite", names, "--detector", DETECTOR, "--detector-family", "dfine", "--segmenter", SEGMENTER,
               "--device", "cpu", "--threshold", "0.3", "--detector-size", "320x320", "--segmenter-size", "256", *words,
               shared=shared)


def share(flags):
    return sum(flags) / len(flags) if flags else None


def naive(frames, threshold):
    """Some figures of docs/evaluation.md, from their definitions."""
    positive = [frame for frame in frames if frame["positive"]]
    empty = [frame for frame in frames if not frame["positive"]]
    tenths = {}
    for frame in frames:
        tenths.setdefault(min(int(10 * frame["score"]), 9), []).append(frame)
    gap = {"iou": 0.0, "right": 0.0}
    for part in tenths.values():
        gap["iou"] += abs(sum(frame["score"] - frame["box_iou"] for frame in part))
        gap["right"] += abs(sum(frame["score"] - (frame["positive"] and frame["box_iou"] >= 0.5) for frame in part))
    return {"n_frames": len(frames), "n_positive": len(positive),
            "found_share": share([frame["score"] >= threshold for frame in positive]),
            "false_alarm_share": share([frame["score"] >= threshold for frame in empty]),
            "iou_mean": sum(frame["mask_iou"] for frame in positive) / len(positive) if positive else None,
            "ece": gap["iou"] / len(frames), "ece_right": gap["right"] / len(frames)}


def near(actual, wanted):
    return actual is None and wanted is None or math.isclose(actual, wanted, abs_tol=2e-6)


def test_phantoms(folder):
    result = folder / "suite.json"
    done = suite(",".join(PHANTOMS), "--frames", 2, "--json", result, "--output", folder / "frames", "--precision", "both")
    assert done.returncode == 0, done
    assert "fp32 alone: float16 is for GPUs" in done.stdout and "difference" not in done.stdout, done
    sets = json.loads(result.read_text(encoding="utf-8"))["sets"]
    assert tuple(row["name"] for row in sets) == PHANTOMS
    for row in sets:
        assert row["name"] in done.stdout
        lines = (folder / "frames" / f"{row['name']}.fp32.jsonl").read_text(encoding="utf-8").splitlines()
        frames = [json.loads(line) for line in lines]
        figures = row["fp32"]
        for key, wanted in naive(frames, 0.3).items():
            assert near(figures[key], wanted), (row["name"], key, figures[key], wanted)
        again = naive(frames, 0.55)
        choice = figures["thresholds"][10]
        assert near(choice["threshold"], 0.55) and near(choice["found_share"], again["found_share"]), choice
    assert sets[-1]["fp32"]["n_positive"] == 0 and len(sets[-1]["inputs"]) == 2


def write_recording(path, n_frames):
    width, height = 64, 48
    head = (f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {width} {height} {n_frames}\nkinds: domain domain list\n"
            "encoding: raw\n\n")
    path.write_bytes(head.encode() + bytes(i % 251 for i in range(width * height * n_frames)))


def test_real(folder):
    """The first of 24 frames, and one frame of the first recording: --frames ends both sets there."""
    assert run("phantom", "phantom:seed=5,frames=1,size=422x558", "--output", folder / "set", "--quiet").returncode == 0
    for name in ("real/frames", "real/sequences"):
        (folder / name).mkdir(parents=True)
    shutil.copy(next((folder / "set/images").iterdir()), folder / "real/frames/00001.jpg")
    write_recording(folder / "real/sequences/NwirePhantomFreehand.igs.nrrd", 2)
    results, events = folder / "real.json", folder / "events.txt"
    done = suite("linear,real-bone,real-no-bone", "--frames", 1, "--real", folder / "real", "--json", results, "--threshold",
                 "0", "--events", events)
    assert done.returncode == 0 and done.stderr.split() == "sonoseg: linear sonoseg: real-bone sonoseg: real-no-bone".split(), done
    assert events.read_text(encoding="utf-8").count("event=init_models") == 2, "one file for both pipelines"
    _, bone, no_bone = json.loads(results.read_text(encoding="utf-8"))["sets"]
    assert bone["fp32"]["n_flanks"] == 2 and bone["fp32"]["flank_worst_px"] >= bone["fp32"]["flank_median_px"] >= 0, bone
    assert bone["fp32"]["worst"][0]["source"] == "00001.jpg"
    assert no_bone["fp32"]["n_frames"] == 1 and no_bone["fp32"]["flank_median_px"] is None, no_bone
    assert no_bone["fp32"]["visible_share"] == 1, "every score reaches a threshold of 0"
    done = suite("real-no-bone", "--frames", 2, "--state", "frame", shared=folder / "real")
    assert done.returncode == 0 and "VISIBLE by frame" in done.stdout, done
    assert "NwirePhantomFreehand_f0002.nrrd" in done.stdout


def test_folds(folder):
    """A fold has other frames, the ones of a phantom with that seed."""
    assert suite("linear", "--frames", 2, "--fold", 1, "--output", folder / "fold", "--json", folder / "f.json").returncode == 0
    assert json.loads((folder / "f.json").read_text(encoding="utf-8"))["fold"] == 1
    done = run("evaluate", "phantom:seed=21261123,sweep=1,frames=2", "--detector", DETECTOR, "--detector-family", "dfine",
               "--segmenter", SEGMENTER, "--device", "cpu", "--threshold", "0.3", "--detector-size", "320x320",
               "--segmenter-size", "256", "--output", folder / "plain", "--quiet")
    assert done.returncode == 0, done
    assert (folder / "fold/linear.fp32.jsonl").read_bytes() == (folder / "plain/frames.jsonl").read_bytes()


def test_skipped(folder):
    done = suite("linear,real-bone", "--frames", 1, "--json", folder / "skipped.json")
    assert done.returncode == 0 and "SKIP real-bone: no folder of real frames" in done.stderr, done
    row = json.loads((folder / "skipped.json").read_text(encoding="utf-8"))["sets"][1]
    assert "no folder of real frames" in row["not_measured"] and "fp32" not in row
    done = suite("real-bone", "--real", folder / "nothing")
    assert done.returncode == 1 and "SKIP real-bone: no folder frames in" in done.stderr, done


def test_refused(_folder):
    for words, text in ((("--suite", "linear,convex"), "'convex' is none of all, linear"),
                        (("--frames", "3"), "need --suite"), (("--precision", "both"), "needs --suite"),
                        (("--suite", "all", "--input", "phantom:"), "no --input"),
                        (("--suite", "all", "--sequence"), "two evaluations")):
        done = run("evaluate", *words)
        assert done.returncode == 2 and text in done.stderr, done


def main():
    if not all(os.access(path, os.R_OK) for path in (COMMAND, DETECTOR, SEGMENTER)):
        print("skipped: no checkpoints (SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)")
        return 77
    for test in (test_phantoms, test_real, test_folds, test_skipped, test_refused):
        with tempfile.TemporaryDirectory() as name:
            test(pathlib.Path(name))
        print(f"{test.__name__}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
