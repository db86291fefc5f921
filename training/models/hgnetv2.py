# SPDX-License-Identifier: Apache-2.0
"""HGNetV2, the backbone of D-FINE: a stem and four stages of densely aggregated convolutions.

Mathematics and names after Peterande/D-FINE src/nn/backbone/hgnetv2.py:41-331 (blocks), :350-427 (variants) and
src/nn/backbone/common.py:28 (frozen normalisation) @ 4a1f73a8bcfac736a88abde9596d87f116d780a7.
"""
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Stage:
    """One stage: channels inside a block, channels out, blocks, convolutions a block, their size, separable or not."""
    n_mid: int
    n_out: int
    n_blocks: int
    n_layers: int
    kernel: int
    separable: bool


@dataclass(frozen=True)
class Variant:
    """Channels of the stem (inside, out) and the four stages."""
    stem: tuple[int, int]
    stages: tuple[Stage, Stage, Stage, Stage]


def _variant(stem, mids, outs, blocks, n_layers):
    kernels, separable = (3, 3, 5, 5), (False, False, True, True)
    stages = (Stage(*row) for row in zip(mids, outs, blocks, (n_layers,) * 4, kernels, separable))
    return Variant(stem, tuple(stages))


VARIANTS = {
    "B0": _variant((16, 16), (16, 32, 64, 128), (64, 256, 512, 1024), (1, 1, 2, 1), 3),
    "B2": _variant((24, 32), (32, 64, 128, 256), (96, 384, 768, 1536), (1, 1, 3, 1), 4),
    "B4": _variant((32, 48), (48, 96, 192, 384), (128, 512, 1024, 2048), (1, 1, 3, 1), 6),
    "B5": _variant((32, 64), (64, 128, 256, 512), (128, 512, 1024, 2048), (1, 2, 5, 2), 6),
}


class FrozenBatchNorm(nn.Module):
    """Batch normalisation whose four vectors are buffers: training never changes them."""

    def __init__(self, n_channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((n_channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


class Affine(nn.Module):
    """One learnt scale and one learnt offset for a whole tensor, in the tensor's type, as autocast treats weights."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale.to(x.dtype) + self.bias.to(x.dtype)


@dataclass(frozen=True)
class Flavour:
    """What all convolutions of one backbone share: an Affine after each ReLU, frozen normalisation."""
    affine: bool
    frozen_norm: bool


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, and if `relu` a ReLU and perhaps an Affine."""

    def __init__(self, n_in, n_out, kernel, flavour, stride=1, groups=1, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn = FrozenBatchNorm(n_out) if flavour.frozen_norm else nn.BatchNorm2d(n_out)
        self.relu = relu
        self.lab = Affine() if relu and flavour.affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(x))
        if self.relu:
            x = torch.relu(x)
        return x if self.lab is None else self.lab(x)


class SeparableUnit(nn.Module):
    """A 1x1 convolution without activation, then a depthwise one."""

    def __init__(self, n_in, n_out, kernel, flavour):
        super().__init__()
        self.conv1 = ConvUnit(n_in, n_out, 1, flavour, relu=False)
        self.conv2 = ConvUnit(n_out, n_out, kernel, flavour, groups=n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


class Stem(nn.Module):
    """[B, 3, H, W] -> [B, n_out, H/4, W/4]: a strided convolution, a pooled and a convolved branch, joined."""

    def __init__(self, n_mid, n_out, flavour):
        super().__init__()
        self.stem1 = ConvUnit(3, n_mid, 3, flavour, stride=2)
        self.stem2a = ConvUnit(n_mid, n_mid // 2, 2, flavour)
        self.stem2b = ConvUnit(n_mid // 2, n_mid, 2, flavour)
        self.stem3 = ConvUnit(2 * n_mid, n_mid, 3, flavour, stride=2)
        self.stem4 = ConvUnit(n_mid, n_out, 1, flavour)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(self.stem1(x), (0, 1, 0, 1))
        convolved = self.stem2b(F.pad(self.stem2a(padded), (0, 1, 0, 1)))
        pooled = F.max_pool2d(padded, 2, stride=1)
        return self.stem4(self.stem3(torch.cat((pooled, convolved), 1)))


class Block(nn.Module):
    """A chain of convolutions; the input and every link are concatenated, then squeezed by two 1x1 convolutions."""

    def __init__(self, n_in, stage: Stage, flavour, residual):
        super().__init__()
        self.residual = residual
        unit = SeparableUnit if stage.separable else ConvUnit
        widths = [n_in] + [stage.n_mid] * stage.n_layers
        self.layers = nn.ModuleList(unit(a, b, stage.kernel, flavour) for a, b in zip(widths, widths[1:]))
        self.aggregation = nn.Sequential(ConvUnit(sum(widths), stage.n_out // 2, 1, flavour),
                                         ConvUnit(stage.n_out // 2, stage.n_out, 1, flavour))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        links = [x]
        for layer in self.layers:
            links.append(layer(links[-1]))
        out = self.aggregation(torch.cat(links, 1))
        return out + x if self.residual else out


class StageModule(nn.Module):
    """Halves the size by a depthwise convolution (not in the first stage), then runs the blocks."""

    def __init__(self, n_in, stage: Stage, flavour, halve):
        super().__init__()
        self.downsample = nn.Identity()
        if halve:
            self.downsample = ConvUnit(n_in, n_in, 3, flavour, stride=2, groups=n_in, relu=False)
        self.blocks = nn.Sequential(*(Block(n_in if i == 0 else stage.n_out, stage, flavour, residual=i > 0)
                                      for i in range(stage.n_blocks)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.downsample(x))


class HGNetV2(nn.Module):
    """[B, 3, H, W] -> one map per stage named in `returned` (0..3, strides 4, 8, 16, 32)."""

    def __init__(self, variant: str, returned: tuple[int, ...], affine: bool, frozen: bool):
        super().__init__()
        flavour = Flavour(affine, frozen)
        config = VARIANTS[variant]
        self.returned = returned
        self.stem = Stem(*config.stem, flavour)
        inputs = (config.stem[1], *(stage.n_out for stage in config.stages))
        self.stages = nn.ModuleList(StageModule(n_in, stage, flavour, halve=i > 0)
                                    for i, (n_in, stage) in enumerate(zip(inputs, config.stages)))
        if frozen:
            self.stem.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.returned:
                maps.append(x)
        return maps
