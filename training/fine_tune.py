#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fine-tunes the networks of the product on a few labelled frames of your own: one command from frames to figures.

    python training/fine_tune.py --data my_set --output out/mine
    python training/fine_tune.py --coco my.json --images my_images --output out/mine --held-out others

It goes on from the networks that come with sonoseg, writes both as .safetensors (float16) into OUTPUT/models, and
prints figures before and after, which the command `sonoseg` has measured on frames that nothing was trained on: those
of --held-out, else the last share of the set by name. A set is a folder with images/ and masks/, or a COCO file.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import export
import train
from checkpoints import CheckpointError, read_tensors, size_of
from data import DataError, Labelled, find_in_coco, find_in_folder
from models.dfine import INPUT_SIZE_PX
from stages.detector import LEARNING_RATES
from trainer import TrainingError

REPOSITORY = Path(__file__).resolve().parents[1]
DETECTORS = {"cpu": "dfine_n_bone.safetensors", "cuda": "dfine_s_bone.safetensors"}
SEGMENTER = "mobile_sam_bone.safetensors"
BUILT = REPOSITORY / "build" / "release" / "bin" / "sonoseg"
LR_SHARE = 0.35  # of the rate that trains the detector from scratch
SEGMENTER_LR = 2e-4
HELD_DETECTOR = ("backbone.stem", "backbone.stages.0")
HELD_SEGMENTER = ("image_encoder.patch_embed", "image_encoder.layers.0")
BATCHES = {"cpu": (4, 2), "cuda": (16, 8)}
WINDOWS = {"cpu": "224:0.9,448", "cuda": "1024"}
LEAST_INPUT_PX = 256  # below it D-FINE-N has fewer places than queries
DETECTOR_SHARE = 0.6  # of --minutes
FEW_FRAMES = 20
FIGURES = (("ap50", "boxes: AP at IoU 0.50", 1, 3), ("ap50_95", "boxes: AP at IoU 0.50 to 0.95", 1, 3),
           ("found_share", "found, % of frames with a structure", 100, 1),
           ("false_alarm_share", "false alarms, % of empty frames", 100, 1),
           ("iou_mean", "masks: mean IoU", 1, 3), ("dice_mean", "masks: mean Dice", 1, 3),
           ("surface95_px", "masks: surface distance, 95 %, px", 1, 1))


class FineTuneError(Exception):
    """What ends the command, in words for its user."""


@dataclass(frozen=True)
class Counts:
    """Of a set: its frames, and those with a structure."""
    n_frames: int
    n_positive: int


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    frames = parser.add_argument_group("frames")
    frames.add_argument("--data", type=Path, metavar="SET", help="folder with images/ and masks/")
    frames.add_argument("--coco", type=Path, metavar="JSON", help="COCO instance file; needs --images")
    frames.add_argument("--images", type=Path, metavar="DIR", help="folder of the COCO files' images")
    frames.add_argument("--held-out", type=Path, metavar="SET",
                        help="other labelled frames, which only measure: a folder, or a COCO file (.json) whose images "
                             "are in --images too")
    frames.add_argument("--validation-share", type=float, default=0.2, metavar="SHARE",
                        help="last share of the frames, by name, that chooses the best parameters "
                             "(default %(default)s)")
    frames.add_argument("--mix", type=float, default=0.25, metavar="SHARE",
                        help="share of phantoms in each batch beside your frames (default %(default)s)")
    frames.add_argument("--phantom", choices=train.PHANTOMS, default="wide", help="which (default %(default)s)")
    run = parser.add_argument_group("training")
    run.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for everything it writes")
    run.add_argument("--part", choices=("both", "detector", "segmenter"), default="both")
    length = run.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20.0, help="both networks together (default %(default)s)")
    length.add_argument("--steps", type=int, help="steps of each network, instead of --minutes")
    run.add_argument("--detector", type=Path, metavar="FILE",
                     help="start from it (default: D-FINE-N of models/ on a CPU, D-FINE-S on cuda)")
    run.add_argument("--segmenter", type=Path, metavar="FILE", help="start from it (default: that of models/)")
    run.add_argument("--input-px", type=int, default=INPUT_SIZE_PX, metavar="N",
                     help="side of the detector's input, in training and in sonoseg: 320 costs a fourth "
                          "(default %(default)s)")
    run.add_argument("--lr", type=float,
                     help="learning rate of the detector (default: a third of that from scratch, less on a CPU)")
    run.add_argument("--seed", type=int, default=1, help="of frames and noise (default %(default)s)")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--threads", type=int, help="CPU threads (default: every core)")
    run.add_argument("--validations", type=int, default=8, metavar="N",
                     help="how often to measure and keep the best (default %(default)s)")
    run.add_argument("--resume", action="store_true", help="go on after an interruption; repeat the other options")
    measure = parser.add_argument_group("measuring")
    measure.add_argument("--sonoseg", type=Path, metavar="FILE",
                         help="the command (default: build/release/bin/sonoseg, else the one in PATH)")
    measure.add_argument("--segmenter-px", type=int, default=1024, metavar="N",
                         help="side of the segmenter's input while measuring (default %(default)s)")
    options = parser.parse_args(arguments)
    if bool(options.data) == bool(options.coco):
        parser.error("give --data or --coco")
    if options.coco and not options.images:
        parser.error("--coco needs --images")
    if not 0 < options.validation_share < 1:
        parser.error("--validation-share lies between 0 and 1")
    if options.input_px < LEAST_INPUT_PX or options.input_px % 32:
        parser.error(f"--input-px is a multiple of 32, {LEAST_INPUT_PX} or more")
    return options


def find_command(given: Path | None) -> Path:
    found = given or (BUILT if BUILT.is_file() else shutil.which("sonoseg"))
    if not found or not os.access(found, os.X_OK):
        raise FineTuneError(f"{found or 'sonoseg'}: no such command, so nothing could be measured; build it with "
                            "`make`, or give --sonoseg")
    return Path(found)


def find_set(path: Path, images: Path | None, part: str) -> Labelled:
    if path.suffix.lower() != ".json":
        return find_in_folder(path)
    if not images:
        raise FineTuneError(f"{path}: a COCO file needs --images")
    return find_in_coco(path, images, boxes_allowed=part == "detector")


def write_set(labelled: Labelled, rows: range, folder: Path) -> Counts:
    """Frames of a set as images/ and masks/ of a folder, in the same order by name."""
    for name in ("images", "masks"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    n_positive = 0
    for i in rows:
        image, labels = labelled.read(i)
        name = f"{i:06d}_{Path(labelled.names[i]).stem}.png"
        Image.fromarray(image).save(folder / "images" / name)
        Image.fromarray(labels).save(folder / "masks" / name)
        n_positive += bool(labels.any())
    return Counts(len(rows), n_positive)


def split(options: argparse.Namespace) -> tuple[Counts, Counts, Counts]:
    """Writes OUTPUT/set, whose last frames choose, and OUTPUT/held_out. Gives the counts of the frames to train on, to
    choose by and to measure with."""
    path = options.data or options.coco
    own = find_set(path, options.images, options.part)
    n_last = min(max(1, round(options.validation_share * len(own))), len(own) - 1)
    if n_last < 1:
        raise FineTuneError(f"{path}: one labelled frame; there must be two or more, and 30 are a beginning")
    held_out = options.output / "held_out"
    chosen = write_set(own, range(len(own) - n_last, len(own)), held_out)
    whole = write_set(own, range(len(own)), options.output / "set")
    trained = Counts(whole.n_frames - chosen.n_frames, whole.n_positive - chosen.n_positive)
    measured = chosen
    if options.held_out:
        others = find_set(options.held_out, options.images, options.part)
        measured = write_set(others, range(len(others)), held_out)
    for counts, which in ((trained, "to train on"), (chosen, "to choose by, the last of the set by name,"),
                          (measured, "to measure with")):
        if not counts.n_positive:
            raise FineTuneError(f"{path}: none of the {counts.n_frames} frames {which} has a structure; label more, or "
                                "rename the files so that sweeps with one are on both sides (--validation-share)")
    return trained, chosen, measured


def cautions(trained: Counts, chosen: Counts, is_apart: bool) -> list[str]:
    """What the counts say about how far the figures are to be believed."""
    found = []
    if trained.n_frames < FEW_FRAMES:
        found.append(f"{trained.n_frames} frames to train on are few: check every overlay; training/README.md says "
                     "what 5, 10 and 30 did")
    if trained.n_positive == trained.n_frames:
        found.append("every frame to train on has a structure: nothing teaches the detector to keep silent on frames "
                     "of this kind without one; add some")
    if not is_apart:
        found.append(f"the {chosen.n_frames} frames that measure have chosen the parameters, too, so the figures after "
                     "are somewhat too good; --held-out takes other frames")
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, command: Path, detector: Path, segmenter: Path, name: str) -> dict:
    """Figures by the C command on OUTPUT/held_out, also as OUTPUT/<name>.json."""
    say(f"sonoseg evaluates {detector.name} and {segmenter.name}")
    path = options.output / f"{name}.json"
    device = "cpu" if options.device == "cpu" else "auto"
    threads = ["--threads", str(options.threads)] if options.threads else []
    done = subprocess.run([command, "evaluate", "--input", options.output / "held_out", "--device", device,
                           "--detector", detector, "--segmenter", segmenter,
                           "--detector-size", f"{options.input_px}x{options.input_px}",
                           "--segmenter-size", str(options.segmenter_px), "--output", options.output / name,
                           "--json", path, *threads], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise FineTuneError(f"{command} evaluate ended with status {done.returncode} on {detector} and {segmenter}")
    return json.loads(path.read_text(encoding="utf-8"))


def training_arguments(options: argparse.Namespace, stage: str, start: Path) -> list[str]:
    """Of train.py, for one network."""
    output, is_detector = options.output / stage, stage == "detector"
    batch = BATCHES[options.device][0 if is_detector else 1]
    share = {"both": DETECTOR_SHARE if is_detector else 1 - DETECTOR_SHARE}.get(options.part, 1.0)
    length = ["--steps", options.steps] if options.steps else ["--minutes", options.minutes * share]
    given = [stage, "--output", output, *length, "--data", options.output / "set", "--mix", options.mix,
             "--phantom", options.phantom, "--validation-share", options.validation_share, "--batch", batch,
             "--seed", options.seed, "--device", options.device, "--validations", options.validations,
             "--hold-statistics"]
    given += ["--resume"] if options.resume and (output / "last.pt").exists() else ["--init", start]
    given += ["--threads", options.threads] if options.threads else []
    for part in HELD_DETECTOR if is_detector else HELD_SEGMENTER:
        given += ["--hold", part]
    if is_detector:
        size = size_of(start, read_tensors(start))[0]
        lr = options.lr or LR_SHARE * LEARNING_RATES[size] * min(1.0, batch / 16) ** 0.5
        given += ["--size", size, "--lr", lr, "--denoising", 50, "--input-sizes", options.input_px]
    else:
        given += ["--lr", SEGMENTER_LR, "--windows", WINDOWS[options.device]]
    return [str(part) for part in given]


def export_model(options: argparse.Namespace, stage: str, start: Path, trained: Counts, metrics: Path) -> Path:
    """The best checkpoint of a stage as OUTPUT/models/<name>_mine.safetensors, with the figures of `metrics`. It is
    written before it is measured and once more with what was measured, which changes its metadata alone."""
    checkpoint = options.output / stage / ("detector.pth" if stage == "detector" else "segmenter.pt")
    name = "mobile_sam" if stage == "segmenter" else f"dfine_{size_of(checkpoint, read_tensors(checkpoint))[0]}"
    output = options.output / "models" / f"{name}_mine.safetensors"
    try:
        commit = export.recipe_commit()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown: not a git checkout"
    export.export(argparse.Namespace(
        checkpoint=checkpoint, output=output, seed=options.seed, metrics=metrics, calibration=None,
        recipe_commit=commit,
        training_set=f"{trained.n_frames} labelled frames of a user, a share of {options.mix:g} phantoms "
                     f"({options.phantom}) beside them, from {start.name}",
        input_px=options.input_px if stage == "detector" and options.input_px != INPUT_SIZE_PX else None,
        note="Research use only; not a medical device. Fine-tuned by training/fine_tune.py."))
    return output


def table(before: dict, after: dict) -> str:
    lines = [f"{after['n_positive']} frames with a structure, {after['n_empty']} empty; by `sonoseg evaluate`",
             f"{'':<38}{'before':>9}{'after':>9}"]
    for key, text, factor, digits in FIGURES:
        values = ["-" if figures[key] is None else f"{factor * figures[key]:.{digits}f}"
                  for figures in (before, after)]
        lines.append(f"{text:<38}{values[0]:>9}{values[1]:>9}")
    return "\n".join(lines)


def worse_figures(before: dict, after: dict, part: str) -> list[str]:
    """Of those that the trained networks should have raised, the names of the ones that they have not."""
    wanted = {"detector": ("ap50_95",), "segmenter": ("iou_mean",)}.get(part, ("ap50_95", "iou_mean"))
    worse = [key for key in wanted if (after[key] or 0.0) <= (before[key] or 0.0)]
    if (after["false_alarm_share"] or 0.0) > (before["false_alarm_share"] or 0.0):
        worse.append("false_alarm_share")
    return worse


def find_starts(options: argparse.Namespace) -> dict[str, Path]:
    """What each network goes on from. An error for an output that holds another training."""
    models = REPOSITORY / "models"
    starts = {"detector": options.detector or models / DETECTORS[options.device],
              "segmenter": options.segmenter or models / SEGMENTER}
    for stage, path in starts.items():
        if not path.is_file():
            raise FineTuneError(f"{path}: no such model to start from; give --detector and --segmenter")
        if not options.resume and (options.output / stage / "last.pt").exists():
            raise FineTuneError(f"{options.output}: holds a training; give --resume, or another --output")
    return starts


def begin(options: argparse.Namespace) -> tuple[Counts, dict]:
    """Writes the sets and says how large they are. Gives the counts of what is trained on, and the summary's head."""
    options.output.mkdir(parents=True, exist_ok=True)
    trained, chosen, measured = split(options)
    say(f"{trained.n_frames} frames to train on ({trained.n_positive} with a structure), {chosen.n_frames} to choose "
        f"by, {measured.n_frames} to measure with{'' if options.held_out else ' (the same)'}")
    notes = cautions(trained, chosen, bool(options.held_out))
    for note in notes:
        say(f"note: {note}")
    frames = {"train": vars(trained), "choose": vars(chosen), "measure": vars(measured)}
    return trained, {"frames": frames, "notes": notes}


def finish(options: argparse.Namespace, summary: dict) -> None:
    """Prints the figures and what to do, and writes OUTPUT/fine_tune.json."""
    summary["not_better"] = worse_figures(summary["before"], summary["after"], options.part)
    text = json.dumps(summary, indent=1) + "\n"
    (options.output / "fine_tune.json").write_text(text, encoding="utf-8")
    print(table(summary["before"], summary["after"]))
    for key in summary["not_better"]:
        print(f"not better: {key}; look at the frames before you use these models")
    print("use: sonoseg run " + " ".join(f"--{stage} {path}" for stage, path in summary["models"].items()))


def fine_tune(options: argparse.Namespace) -> int:
    options.device = train.choose_device(options.device)
    command, starts = find_command(options.sonoseg), find_starts(options)
    trained, summary = begin(options)
    summary["before"] = measure(options, command, *starts.values(), "before")
    ends = dict(starts)
    stages = ("detector", "segmenter") if options.part == "both" else (options.part,)
    for stage in stages:
        say(f"training the {stage}: {options.output / stage}")
        status = train.train(train.parse_arguments(training_arguments(options, stage, starts[stage])))
        if status:
            return status
        ends[stage] = export_model(options, stage, starts[stage], trained, options.output / "before.json")
    summary["after"] = measure(options, command, *ends.values(), "after")
    for stage in stages:
        export_model(options, stage, starts[stage], trained, options.output / "after.json")
    summary["models"] = {stage: str(ends[stage]) for stage in stages}
    finish(options, summary)
    return 0


def main() -> int:
    try:
        return fine_tune(parse_arguments())
    except (CheckpointError, DataError, FineTuneError, TrainingError, OSError) as error:
        print(f"fine_tune.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
