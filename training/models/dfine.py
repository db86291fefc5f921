# SPDX-License-Identifier: Apache-2.0
"""D-FINE in its five sizes.

Assembly after Peterande/D-FINE src/zoo/dfine/dfine.py:15-37, sizes after
configs/dfine/dfine_hgnetv2_{n,s,m,l,x}_coco.yml and configs/dfine/include/dfine_hgnetv2.yml @
4a1f73a8bcfac736a88abde9596d87f116d780a7.
"""
from dataclasses import dataclass

import torch
from torch import nn

from .decoder import DecoderConfig, DecoderOutput, DfineDecoder
from .hgnetv2 import VARIANTS, HGNetV2
from .hybrid_encoder import HybridEncoder

INPUT_SIZE_PX = 640


@dataclass(frozen=True)
class Size:
    """One published size: backbone, its stages used, frozen or not; encoder; decoder."""
    backbone: str
    stages: tuple[int, ...]
    frozen: bool
    encoder_channels: int
    encoder_feedforward: int
    expansion: float
    n_blocks: int
    decoder_channels: int
    decoder_feedforward: int
    n_layers: int
    n_points: tuple[int, ...]
    reg_scale: int


SIZES = {
    "n": Size("B0", (2, 3), False, 128, 512, 0.34, 2, 128, 512, 3, (6, 6), 4),
    "s": Size("B0", (1, 2, 3), False, 256, 1024, 0.5, 1, 256, 1024, 3, (3, 6, 3), 4),
    "m": Size("B2", (1, 2, 3), False, 256, 1024, 1.0, 2, 256, 1024, 4, (3, 6, 3), 4),
    "l": Size("B4", (1, 2, 3), True, 256, 1024, 1.0, 3, 256, 1024, 6, (3, 6, 3), 4),
    "x": Size("B5", (1, 2, 3), True, 384, 2048, 1.0, 3, 256, 1024, 6, (3, 6, 3), 8),
}


class Dfine(nn.Module):
    """Images [B, 3, 640, 640] in [0, 1] -> DecoderOutput; boxes are cx cy w h in [0, 1].

    `n_denoising` > 0 adds the class embedding that training with denoising queries needs; checkpoints for inference
    may lack it. In training mode `targets` is a list of {"labels": int64 [n], "boxes": [n, 4]}, one per image.
    """

    def __init__(self, size: str, n_classes: int, n_denoising: int = 0):
        super().__init__()
        config = SIZES[size]
        stages = VARIANTS[config.backbone].stages
        self.backbone = HGNetV2(config.backbone, config.stages, affine=not config.frozen, frozen=config.frozen)
        self.encoder = HybridEncoder([stages[i].n_out for i in config.stages], config.encoder_channels,
                                     config.encoder_feedforward, config.expansion, config.n_blocks)
        self.decoder = DfineDecoder(DecoderConfig(
            n_classes=n_classes, n_in=config.encoder_channels, n_channels=config.decoder_channels,
            n_feedforward=config.decoder_feedforward, n_layers=config.n_layers, n_points=config.n_points,
            strides=tuple(4 << i for i in config.stages), reg_scale=config.reg_scale,
            input_size_px=INPUT_SIZE_PX, n_denoising=n_denoising))

    def forward(self, images: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None) -> DecoderOutput:
        return self.decoder(self.encoder(self.backbone(images)), targets)
