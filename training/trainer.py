# SPDX-License-Identifier: Apache-2.0
"""The training loop, the same for every stage: schedule, averaging, resuming, what it writes.

Everything follows progress, the share of the training that is done, so one recipe fits a number of steps as well as a
number of minutes. Folder: last.pt (to resume), the stage's checkpoint (the best average so far), log.jsonl, curves.png.
"""
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from curves import draw_curves
from samples import Samples
from stages import Stage
from team import Team

WARM_UP = 0.03
FLAT_UNTIL = 0.4
LAST_LR_SHARE = 0.02
AVERAGED_SHARE = 0.05
LONGEST_AVERAGE_STEPS = 5000
LARGEST_GRADIENT_NORM = 0.1
BETAS = (0.9, 0.999)
LOG_STEPS = 20
SAVE_SECONDS = 300
LARGEST_SKIPPED_IN_ROW = 20


class TrainingError(Exception):
    """What ends a training, in words for its user."""


@dataclass(frozen=True)
class Settings:
    """How long, on what, how often: exactly one of `minutes` and `steps` is given."""
    output: Path
    lr: float
    batch: int
    minutes: float | None = None
    steps: int | None = None
    device: str = "cpu"
    bfloat16: bool = False
    n_validations: int = 25


@dataclass
class Progress:
    """What a resumed training goes on from."""
    step: int = 0
    elapsed_s: float = 0.0
    n_validations: int = 0
    n_skipped: int = 0
    n_skipped_in_row: int = 0
    best: tuple[float, ...] | None = None

    def share(self, settings: Settings) -> float:
        done = self.step / settings.steps if settings.steps else self.elapsed_s / (60 * settings.minutes)
        return min(done, 1.0)


def lr_share(progress: float) -> float:
    """Linear warm-up, flat, then half a cosine; 1 is the stage's learning rate."""
    if progress < FLAT_UNTIL:
        return min(1.0, (progress + 1e-3) / WARM_UP)
    fall = 0.5 * (1 + math.cos(math.pi * (progress - FLAT_UNTIL) / (1 - FLAT_UNTIL)))
    return LAST_LR_SHARE + (1 - LAST_LR_SHARE) * fall


class Average:
    """Exponential moving average of parameters and statistics over the last twentieth of the steps, at most 5000."""

    def __init__(self, module: nn.Module):
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        weight = 1 / (1 + min(AVERAGED_SHARE * step, LONGEST_AVERAGE_STEPS))
        now = module.state_dict()
        moving = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in moving], [now[name] for name in moving], weight)
        for name in now.keys() - set(moving):
            self.state[name].copy_(now[name])

    @contextmanager
    def in_place_of(self, module: nn.Module):
        """The module in eval mode with the averaged values."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.state)
        module.eval()
        try:
            yield module
        finally:
            module.load_state_dict(own)
            module.train()


class Interrupt:
    """Within `with`, SIGINT and SIGTERM only set `caught`, so that a step is finished before the training stops."""

    def __init__(self):
        self.caught = False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._catch) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, *_):
        self.caught = True


def write_atomically(content, path: Path) -> None:
    """torch.save() that never leaves half a file under `path`."""
    part = path.with_suffix(".part")
    torch.save(content, part)
    os.replace(part, path)


def read_saved(output: Path) -> dict:
    """What Trainer.save() wrote to last.pt in the output folder."""
    path = output / "last.pt"
    if not path.is_file():
        raise TrainingError(f"{path}: nothing to resume from")
    return torch.load(path, map_location="cpu", weights_only=True)


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2 ** 32)
    torch.manual_seed(seed)


@dataclass
class Window:
    """Sums since the last line of the log, and that line."""
    n: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)

    def add(self, losses: dict[str, float]) -> None:
        """Places of a kind (`kind.place`) are added up."""
        self.n += 1
        for name, value in losses.items():
            kind = name.split(".")[0]
            self.losses[kind] = self.losses.get(kind, 0.0) + value

    def line(self) -> dict:
        means = {kind: value / self.n for kind, value in self.losses.items()}
        return {"loss": sum(means.values()), "losses": means,
                "s_per_step": (time.monotonic() - self.started_s) / self.n}


class Trainer:
    """Trains `module` for `stage` on inputs(share), what its losses take at that share of the training."""

    def __init__(self, stage: Stage, module: nn.Module, inputs: Callable[[float], Any], validation: Sequence[Samples],
                 settings: Settings, team: Team = Team()):
        self.stage, self.inputs, self.settings, self.team = stage, inputs, settings, team
        self.device = torch.device(settings.device)
        self.module = module.to(self.device, memory_format=torch.channels_last).train()
        self.validation = [samples.to(self.device) for samples in validation]
        self.groups = stage.parameter_groups(self.module, settings.lr)
        self.optimizer = torch.optim.AdamW(self.groups, lr=settings.lr, betas=BETAS, fused=True)
        self.full_lr = [group["lr"] for group in self.optimizer.param_groups]
        self.average = Average(self.module)
        self.progress = Progress()
        self.log_path = settings.output / "log.jsonl"
        settings.output.mkdir(parents=True, exist_ok=True)

    def resume(self, saved: dict) -> None:
        """Goes on from what read_saved() gave; the frames that follow are new ones, not a repetition."""
        if saved["stage"] != self.stage.name:
            raise TrainingError(f"last.pt is of the stage {saved['stage']}, not {self.stage.name}")
        self.module.load_state_dict(saved["module"])
        self.average.state = {name: value.to(self.device) for name, value in saved["average"].items()}
        self.optimizer.load_state_dict(saved["optimizer"])
        self.progress = Progress(**saved["progress"])
        torch.set_rng_state(saved["generator"])
        if self.device.type == "cuda" and saved["generator_cuda"] is not None:
            torch.cuda.set_rng_state(saved["generator_cuda"])

    def save(self) -> None:
        if not self.team.leads:
            return
        on_cuda = self.device.type == "cuda"
        write_atomically({"stage": self.stage.name, "module": self.module.state_dict(), "average": self.average.state,
                          "optimizer": self.optimizer.state_dict(), "progress": vars(self.progress),
                          "generator": torch.get_rng_state(),
                          "generator_cuda": torch.cuda.get_rng_state() if on_cuda else None},
                         self.settings.output / "last.pt")

    def run(self) -> bool:
        """Until the limit, or a signal; True when the training is complete."""
        begun_s = time.monotonic() - self.progress.elapsed_s
        saved_s, window = time.monotonic(), Window()
        with Interrupt() as interrupt:
            while True:
                share, caught = self.team.from_leader(self.progress.share(self.settings), interrupt.caught)
                if share >= 1.0 or caught:
                    break
                window.add(self._step(share))
                self.progress.elapsed_s = time.monotonic() - begun_s
                if window.n == LOG_STEPS:
                    self._log(window.line())
                    window = Window()
                if self._validation_due():
                    self.validate()
                    window, saved_s = Window(), time.monotonic()
                elif time.monotonic() - saved_s > SAVE_SECONDS:
                    self.save()
                    saved_s = time.monotonic()
                self.progress.elapsed_s = time.monotonic() - begun_s
        if caught:
            self.save()
        return not caught

    def _validation_due(self) -> bool:
        if not self.team.leads:
            return False
        share = self.progress.share(self.settings)
        return share * self.settings.n_validations >= self.progress.n_validations + 1 or share >= 1.0

    def _step(self, share: float) -> dict[str, float]:
        """One step; the losses' values, none when the step was skipped. Waits for the device once, while it holds the
        inputs, whose memory may be another process's."""
        for group, full_lr in zip(self.optimizer.param_groups, self.full_lr):
            group["lr"] = full_lr * lr_share(share)
        inputs = self.inputs(share)
        with self._autocast():
            losses = self.stage.losses(self.module, inputs)
        total = torch.stack([value.float() for value in losses.values()])
        total.sum().backward()
        total = total.detach()
        self.team.average([total, *(p.grad for p in self.module.parameters() if p.grad is not None)])
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT_NORM)
        *values, norm_value = torch.cat((total, norm.reshape(1))).tolist()
        finite = all(map(math.isfinite, (*values, norm_value)))
        if finite:
            self.optimizer.step()
            self.average.update(self.module, self.progress.step)
        self.optimizer.zero_grad()
        self.progress.step += 1
        self._count_skipped(finite)
        return dict(zip(losses, values)) if finite else {}

    def _count_skipped(self, finite: bool) -> None:
        self.progress.n_skipped += not finite
        self.progress.n_skipped_in_row = 0 if finite else self.progress.n_skipped_in_row + 1
        if self.progress.n_skipped_in_row >= LARGEST_SKIPPED_IN_ROW:
            raise TrainingError(f"step {self.progress.step}: loss or gradient not finite {LARGEST_SKIPPED_IN_ROW} times "
                                "in a row; resume from last.pt with a lower --lr, or check the frames")

    def validate(self) -> dict[str, float]:
        """Measures the averaged module, keeps it when it is the best so far, draws the curves, saves."""
        state = torch.get_rng_state()
        with self.average.in_place_of(self.module) as module, torch.inference_mode(), self._autocast():
            figures = self.stage.evaluate(module, self.validation)
        torch.set_rng_state(state)
        share = self.progress.share(self.settings)
        self.progress.n_validations = math.floor(share * self.settings.n_validations)
        rank = self.stage.rank(figures)
        if self.progress.best is None or rank >= self.progress.best:
            self.progress.best = rank
            write_atomically(self.stage.checkpoint(self.average.state),
                             self.settings.output / self.stage.checkpoint_name)
        self._log({"validation": figures})
        self.save()
        draw_curves(self.log_path, self.settings.output / "curves.png", self.stage.name)
        return figures

    def _autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16)

    def _log(self, line: dict) -> None:
        if not self.team.leads:
            return
        share = self.progress.share(self.settings)
        line = {"step": self.progress.step, "progress": share, "elapsed_s": self.progress.elapsed_s,
                "lr": self.optimizer.param_groups[0]["lr"], "n_skipped": self.progress.n_skipped, **line}
        with open(self.log_path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._show(line, share)

    def _show(self, line: dict, share: float) -> None:
        """On a terminal one line that is written over; elsewhere only the validations."""
        left_s = self.progress.elapsed_s * (1 - share) / max(share, 1e-6)
        head = f"{100 * share:5.1f} %  step {line['step']}"
        if "validation" in line:
            figures = "  ".join(f"{name} {value:.4g}" for name, value in line["validation"].items())
            start = "\r\033[K" if sys.stderr.isatty() else ""
            print(f"{start}{head}  {figures}  {left_s / 60:.0f} min left", file=sys.stderr, flush=True)
        elif sys.stderr.isatty():
            bar = ("#" * int(20 * share)).ljust(20, ".")
            print(f"\r\033[K[{bar}] {head}  loss {line['loss']:.3f}  {line['s_per_step']:.2f} s/step  "
                  f"{left_s / 60:.0f} min left", end="", file=sys.stderr, flush=True)
