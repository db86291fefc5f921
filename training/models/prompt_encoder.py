# SPDX-License-Identifier: Apache-2.0
"""The prompt encoder of MobileSAM: points, boxes and masks -> tokens and a map.

Mathematics and names after ChaoningZhang/MobileSAM mobile_sam/modeling/prompt_encoder.py:16-214 @
34bbbfdface3c18e5221aa7de6032d7220c6c6a1.
"""
import math

import torch
from torch import nn

from .layers import ChannelNorm

N_CHANNELS = 256
N_MASK_CHANNELS = 16


class RandomFourier(nn.Module):
    """Places in [0, 1]^2 -> sin and cos of random projections."""

    def __init__(self, n_channels):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, n_channels // 2))

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        phase = 2 * math.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((phase.sin(), phase.cos()), -1)


class PromptEncoder(nn.Module):
    """Coordinates are pixels of the segmenter's input, a square of `input_size_px` with maps of `map_size`."""

    def __init__(self, input_size_px: int, map_size: int):
        super().__init__()
        self.input_size_px, self.map_size = input_size_px, map_size
        quarter = N_MASK_CHANNELS // 4
        self.pe_layer = RandomFourier(N_CHANNELS)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, N_CHANNELS) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, N_CHANNELS)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, quarter, 2, 2), ChannelNorm(quarter), nn.GELU(),
            nn.Conv2d(quarter, N_MASK_CHANNELS, 2, 2), ChannelNorm(N_MASK_CHANNELS), nn.GELU(),
            nn.Conv2d(N_MASK_CHANNELS, N_CHANNELS, 1))
        self.no_mask_embed = nn.Embedding(1, N_CHANNELS)

    def dense_position(self) -> torch.Tensor:
        """[1, 256, map, map]: the encoding of every place of the image embedding."""
        along = (torch.arange(self.map_size, device=self.no_mask_embed.weight.device) + 0.5) / self.map_size
        y, x = torch.meshgrid(along, along, indexing="ij")
        return self.pe_layer(torch.stack((x, y), -1)).permute(2, 0, 1)[None]

    def points(self, coordinates: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """[P, n, 2] px and [P, n] labels (1 on the object, 0 off it, -1 none) -> [P, n, 256]."""
        kinds = torch.cat([self.not_a_point_embed.weight] + [e.weight for e in self.point_embeddings])
        encoded = self.pe_layer((coordinates + 0.5) / self.input_size_px)
        encoded = torch.where(labels[..., None] == -1, 0.0, encoded)
        return encoded + kinds[labels.long() + 1]

    def boxes(self, corners: torch.Tensor) -> torch.Tensor:
        """[P, 4] x1 y1 x2 y2 px -> [P, 2, 256]."""
        labels = torch.tensor((2, 3), device=corners.device).expand(len(corners), 2)
        return self.points(corners.view(-1, 2, 2), labels)

    def masks(self, logits: torch.Tensor) -> torch.Tensor:
        """[P, 1, 4 map, 4 map] -> [P, 256, map, map]."""
        return self.mask_downscaling(logits)

    def no_mask(self, n_prompts: int) -> torch.Tensor:
        """[P, 256, map, map] when there is no mask prompt."""
        return self.no_mask_embed.weight.view(1, -1, 1, 1).expand(n_prompts, -1, self.map_size, self.map_size)
