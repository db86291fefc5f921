# SPDX-License-Identifier: Apache-2.0
"""What a stage of the product needs to be trained: its module, its losses, its measure."""
import argparse
from typing import Any, Protocol

import torch
from torch import nn

from samples import Samples


class Stage(Protocol):
    """One network of the product, as training/trainer.py sees it. An instance may keep state between calls."""
    name: str
    """Of the command line and of the curves."""
    checkpoint_name: str
    """File that the result is written to."""
    learning_rate: float
    """That of the flat part of the schedule, for a batch of the default size."""
    batch: int
    """Frames a step."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Adds the options that only this stage has; build() gets them with the common ones."""

    def set_up(self, options: argparse.Namespace) -> None:
        """Before anything below."""

    def build(self, options: argparse.Namespace) -> nn.Module:
        """The module with fresh parameters, drawn from torch's default generator, on the CPU."""

    def inputs(self, samples: Samples, progress: float) -> Any:
        """What losses() takes: the frames augmented, in the network's form, with their targets. progress: share of the
        training, 0..1. With a GPU it is called in a process of its own, on another instance than losses(), and what
        it gives travels: few tensors, rather than many."""

    def losses(self, module: nn.Module, inputs: Any) -> dict[str, torch.Tensor]:
        """Weighted losses as `kind` or `kind.place`; their sum is minimised."""

    def evaluate(self, module: nn.Module, samples: Samples) -> dict[str, float]:
        """Figures of the module, which is in eval mode, on frames that it has not been trained on."""

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        """What orders checkpoints by the figures of evaluate(): the larger, the better."""

    def parameter_groups(self, module: nn.Module, lr: float) -> list[dict[str, Any]]:
        """For AdamW; each group has its own "lr"."""

    def checkpoint(self, state: dict[str, torch.Tensor]) -> Any:
        """The state dict in the layout of the official checkpoints, ready for torch.save()."""


def decay_groups(module: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices and filters, which decay, and vectors (norms, biases, scales), which do not."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [{"params": [p for p in trained if p.ndim > 1], "lr": lr, "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "lr": lr, "weight_decay": 0.0}]
