#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a network of the product, on phantoms or on frames of your own.

    python training/train.py detector  --output out/detector  --minutes 25 --size s
    python training/train.py segmenter --output out/segmenter --minutes 25
    python training/train.py detector  --output out/mine --data my_set --mix 0.3 --size s --init models/dfine_s_bone.safetensors

Without --data or --coco it trains on phantoms, which need no file. A set of your own is a folder with images/ and
masks/ (8-bit grey PNG, 0 = background, each other value a structure; a frame without mask shows none), or a COCO
instance file with its folder of images. The result is the folder's detector.pth or segmenter.pt: sonoseg reads it.
"""
import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ahead import Ahead, AheadError
from augment import PLAIN_SHARE
from checkpoints import COUNTER, DERIVED, CheckpointError, read_tensors
from data import DataError, FormatSource, MixedSource, PhantomSource, Store, StoreSource, read_coco, read_folder
from phantom import LINEAR_FORMATS, TRAINING, WIDE, WIDE_FORMATS
from samples import Samples
from stages.detector import DetectorStage
from stages.segmenter import SegmenterStage
from team import Team, run_team
from trainer import Settings, Trainer, TrainingError, read_saved, seed_everything

PHANTOMS = {"linear": TRAINING, "wide": WIDE}
FORMATS = {"linear": LINEAR_FORMATS, "wide": WIDE_FORMATS}
STAGES = {stage.name: stage for stage in (DetectorStage, SegmenterStage)}
VALIDATION_SEED_OFFSET = 1_000_003
SEEDS_APART = 10_007  # of the processes of a training
INTERRUPTED = 130
LEAST_FITTING = 0.9


def common_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for everything it writes")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="how long to train; the schedule fits itself to it")
    length.add_argument("--steps", type=int, help="how many steps to train, instead of --minutes")
    frames = parser.add_argument_group("frames of your own")
    frames.add_argument("--data", type=Path, metavar="SET", help="folder with images/ and masks/")
    frames.add_argument("--coco", type=Path, metavar="JSON", help="COCO instance file; needs --images")
    frames.add_argument("--images", type=Path, metavar="DIR", help="folder of the COCO file's images")
    frames.add_argument("--mix", type=float, default=0.0, metavar="SHARE",
                        help="share of phantoms in each batch beside your frames (default %(default)s)")
    frames.add_argument("--validation-share", type=float, default=0.1, metavar="SHARE",
                        help="last share of your frames, by name, that only measures (default %(default)s)")
    run = parser.add_argument_group("training")
    run.add_argument("--init", type=Path, metavar="CHECKPOINT", help="start from these parameters: .pth .pt .safetensors")
    run.add_argument("--resume", action="store_true", help="go on from DIR/last.pt; repeat the other options")
    run.add_argument("--batch", type=int, help="frames a step (default: the stage's)")
    run.add_argument("--lr", type=float, help="learning rate (default: the stage's, less for a smaller batch)")
    run.add_argument("--seed", type=int, default=1, help="of parameters, frames and noise (default %(default)s)")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on cuda")
    run.add_argument("--threads", type=int, help="CPU threads of each process (default: its share of the cores)")
    run.add_argument("--processes", type=int, default=1, metavar="N",
                     help="processes, each with a batch of its own and, on cuda, with a GPU of its own (default %(default)s)")
    run.add_argument("--phantom", choices=PHANTOMS, default="wide",
                     help="linear: linear probes alone; wide: every kind of probe, whole screens as well "
                          "(default %(default)s)")
    run.add_argument("--reuse", type=float, metavar="N",
                     help="how often a phantom is handed out on average (default 3 on cuda, 4 on a CPU)")
    run.add_argument("--plain-share", type=float, default=PLAIN_SHARE, metavar="SHARE",
                     help="share of the frames that augmentation leaves as they are (default %(default)s)")
    run.add_argument("--hold", action="append", default=[], metavar="PART",
                     help="a part of the network that keeps its parameters and statistics, such as backbone or "
                          "image_encoder.layers.0; may come more than once")
    run.add_argument("--hold-statistics", action="store_true",
                     help="batch norms keep their means and variances: for small batches from --init")
    run.add_argument("--validation-frames", type=int, default=128, metavar="N",
                     help="phantoms that only measure, when there are no own frames (default %(default)s)")
    run.add_argument("--validations", type=int, default=25, metavar="N",
                     help="how often to measure (default %(default)s)")
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="stage", required=True, metavar="detector|segmenter")
    for name, stage in STAGES.items():
        command = commands.add_parser(name, parents=[common_arguments()], help=stage.__doc__.splitlines()[0])
        stage.add_arguments(command.add_argument_group(f"only {name}"))
    options = parser.parse_args(arguments)
    if bool(options.coco) != bool(options.images):
        parser.error("--coco and --images go together")
    if options.coco and options.data:
        parser.error("give --data or --coco, not both")
    if options.init and options.resume:
        parser.error("--resume goes on from last.pt; --init has no place beside it")
    for name in ("mix", "validation_share"):
        if not 0 <= getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} lies in 0 .. 1, without 1")
    if not 0 <= options.plain_share <= 1:
        parser.error("--plain-share lies in 0 .. 1")
    return options


def choose_device(wanted: str) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no usable GPU")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def own_frames(options: argparse.Namespace) -> Store | None:
    if options.data:
        return read_folder(options.data)
    if options.coco:
        return read_coco(options.coco, options.images, boxes_allowed=options.stage == DetectorStage.name)
    return None


def settle(options: argparse.Namespace, team: Team) -> None:
    """The first thing in each process of a training. Processes that each start a thread per core halt each other."""
    if options.device == "cuda":
        torch.cuda.set_device(team.rank)
    n_python = options.processes * (2 if options.device == "cuda" else 1)
    if options.threads or n_python > 1:
        torch.set_num_threads(options.threads or max(1, n_cores() // n_python))


def n_cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0))


def input_maker(options: argparse.Namespace, store: Store | None, n_done: int, batch: int,
                team: Team) -> Callable[[float], Any]:
    """What makes the inputs of a step, in the process that it is called in."""
    settle(options, team)
    stage = STAGES[options.stage]()
    stage.set_up(options)
    source = training_frames(options, store, n_done)
    return lambda share: stage.inputs(source.draw(batch).to(options.device), share)


def training_frames(options: argparse.Namespace, store: Store | None, n_done: int) -> Any:
    """A source of frames to train on, others than those of the steps already done."""
    seed, reuse = options.seed + n_done, options.reuse or (3 if options.device == "cuda" else 4)
    if store is None:
        return FormatSource(FORMATS[options.phantom], seed, options.device, reuse)
    source = StoreSource(store.split(options.validation_share)[0], seed)
    if options.mix:
        phantoms = PhantomSource(seed, options.device, reuse, *store.labels.shape[1:], PHANTOMS[options.phantom])
        source = MixedSource(phantoms, source, options.mix, options.device)
    return source


def validation_frames(options: argparse.Namespace, store: Store | None) -> list[Samples]:
    """Frames to measure with, an element for each size."""
    if store is None:
        phantoms = FormatSource(FORMATS[options.phantom], options.seed + VALIDATION_SEED_OFFSET, options.device)
        fixed = phantoms.draw_each(options.validation_frames)
        if not any(samples.labels.any() for samples in fixed):
            raise DataError("no structure in the frames that measure; --validation-frames")
        return fixed
    validation = store.split(options.validation_share)[1]
    if not validation.labels.any():
        raise DataError("no structure in the frames that measure, the last of the set by name; --validation-share")
    return [validation.samples(slice(None))]


def load_parameters(module: torch.nn.Module, path: Path) -> None:
    """Every tensor of the checkpoint whose name and shape fit; the others, a tenth at most, start afresh, by name."""
    given, own = read_tensors(path), module.state_dict()
    wanted = {name for name in own if not name.endswith(COUNTER) and name not in DERIVED}
    fitting = {name: given[name] for name in wanted & given.keys() if own[name].shape == given[name].shape}
    if len(fitting) < LEAST_FITTING * len(wanted):
        raise TrainingError(f"{path}: {len(fitting)} of {len(wanted)} tensors fit; is it of another network or size?")
    module.load_state_dict(fitting, strict=False)
    for name in sorted(wanted - fitting.keys()):
        print(f"{path}: starts afresh: {name}", file=sys.stderr)


def hold(module: torch.nn.Module, parts: list[str], is_statistics_held: bool) -> None:
    """Parts by name keep parameters and statistics, and so do, if wished, the statistics of all batch norms: their
    train() leaves them in eval mode."""
    known = dict(module.named_modules())
    for name in parts:
        if name not in known:
            raise TrainingError(f"--hold {name}: no such part; the parts are {' '.join(dict(module.named_children()))}, "
                                "and their parts after a dot")
        known[name].requires_grad_(False)
    held = [known[name] for name in parts]
    held += [part for part in known.values() if is_statistics_held and isinstance(part, torch.nn.BatchNorm2d)]
    for part in held:
        part.eval()
        part.train = lambda mode=True, part=part: part
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise TrainingError("--hold: nothing is left to train")


def make_settings(options: argparse.Namespace, stage) -> Settings:
    batch = options.batch or stage.batch
    lr = options.lr or stage.learning_rate * min(1.0, (batch / stage.batch) ** 0.5)
    bfloat16 = options.precision == "bf16" or (options.precision == "auto" and options.device == "cuda")
    return Settings(options.output, lr, batch, options.minutes, options.steps, options.device, bfloat16,
                    options.validations)


def train(options: argparse.Namespace) -> int:
    options.device = choose_device(options.device)
    if options.processes > 1 and (options.data or options.coco):
        raise TrainingError("--processes: only for phantoms")
    if options.device == "cuda" and options.processes > torch.cuda.device_count():
        raise TrainingError(f"--processes {options.processes}: there are {torch.cuda.device_count()} GPUs")
    if options.resume:
        read_saved(options.output)
    elif (options.output / "last.pt").exists():
        raise TrainingError(f"{options.output}: holds a training; give --resume, or another --output")
    return run_team(options.processes, partial(train_together, options))


def train_together(options: argparse.Namespace, team: Team) -> int:
    """In each process of the team: the same parameters, other frames."""
    settle(options, team)
    saved = read_saved(options.output) if options.resume else None
    seed_everything(options.seed)
    options.seed += SEEDS_APART * team.rank
    stage = STAGES[options.stage]()
    stage.set_up(options)
    module = stage.build(options)
    if options.init:
        load_parameters(module, options.init)
    hold(module, options.hold, options.hold_statistics)
    n_done = saved["progress"]["step"] if saved else 0
    settings = make_settings(options, stage)
    store = own_frames(options)
    validation = validation_frames(options, store)
    get_maker = partial(input_maker, options, store, n_done, settings.batch, team)
    ahead = Ahead(get_maker) if options.device == "cuda" else None
    trainer = Trainer(stage, module, ahead.take if ahead else get_maker(), validation, settings, team)
    if saved:
        trainer.resume(saved)
    try:
        is_done = trainer.run()
    finally:
        if ahead:
            ahead.close()
    if not is_done:
        if team.leads:
            print(f"\nstopped; --resume goes on from {options.output / 'last.pt'}", file=sys.stderr)
        return INTERRUPTED
    return 0


def main() -> int:
    try:
        return train(parse_arguments())
    except (AheadError, CheckpointError, DataError, TrainingError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
