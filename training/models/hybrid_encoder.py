# SPDX-License-Identifier: Apache-2.0
"""The hybrid encoder of D-FINE: self-attention on the coarsest map, then a top-down and a bottom-up pyramid.

Mathematics and names after Peterande/D-FINE src/zoo/dfine/hybrid_encoder.py:23-477 @
4a1f73a8bcfac736a88abde9596d87f116d780a7. As there, the position embedding is laid out for a map read column by
column while the map is flattened row by row; for the square maps of the checkpoints this exchanges x and y.
"""
import torch
from torch import nn
from torch.nn import functional as F

TEMPERATURE = 10000.0
N_HEADS = 8


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation, and if `silu` a SiLU."""

    def __init__(self, n_in, n_out, kernel, stride=1, groups=1, silu=False):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.silu = silu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return F.silu(x) if self.silu else x


class TwoKernels(nn.Module):
    """SiLU of the sum of a 3x3 and a 1x1 convolution of the same input."""

    def __init__(self, n_channels):
        super().__init__()
        self.conv1 = ConvNorm(n_channels, n_channels, 3)
        self.conv2 = ConvNorm(n_channels, n_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.silu(self.conv1(x) + self.conv2(x))


class CrossStage(nn.Module):
    """A chain of TwoKernels beside a 1x1 convolution; the sum of both."""

    def __init__(self, n_in, n_out, n_blocks):
        super().__init__()
        self.conv1 = ConvNorm(n_in, n_out, 1, silu=True)
        self.conv2 = ConvNorm(n_in, n_out, 1, silu=True)
        self.bottlenecks = nn.Sequential(*(TwoKernels(n_out) for _ in range(n_blocks)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bottlenecks(self.conv1(x)) + self.conv2(x)


class Fusion(nn.Module):
    """[B, 2C, H, W] -> [B, C, H, W]: halves of a projection and two further steps of the second half, concatenated."""

    def __init__(self, n_channels, n_mid, n_blocks):
        super().__init__()
        n_wide = 2 * n_channels
        self.cv1 = ConvNorm(n_wide, n_wide, 1, silu=True)
        self.cv2 = nn.Sequential(CrossStage(n_channels, n_mid, n_blocks), ConvNorm(n_mid, n_mid, 3, silu=True))
        self.cv3 = nn.Sequential(CrossStage(n_mid, n_mid, n_blocks), ConvNorm(n_mid, n_mid, 3, silu=True))
        self.cv4 = ConvNorm(n_wide + 2 * n_mid, n_channels, 1, silu=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.cv1(x).chunk(2, 1)
        third = self.cv2(second)
        return self.cv4(torch.cat((first, second, third, self.cv3(third)), 1))


class Halve(nn.Module):
    """A 1x1 convolution, then a strided depthwise one."""

    def __init__(self, n_channels):
        super().__init__()
        self.cv1 = ConvNorm(n_channels, n_channels, 1)
        self.cv2 = ConvNorm(n_channels, n_channels, 3, stride=2, groups=n_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv2(self.cv1(x))


class AttentionLayer(nn.Module):
    """Post-norm transformer layer on tokens [B, N, C]; the position embedding enters queries and keys only."""

    def __init__(self, n_channels, n_feedforward):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(n_channels, N_HEADS, batch_first=True)
        self.linear1 = nn.Linear(n_channels, n_feedforward)
        self.linear2 = nn.Linear(n_feedforward, n_channels)
        self.norm1 = nn.LayerNorm(n_channels)
        self.norm2 = nn.LayerNorm(n_channels)

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        placed = x + position
        x = self.norm1(x + self.self_attn(placed, placed, x, need_weights=False)[0])
        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))


class AttentionStack(nn.Module):
    """One AttentionLayer under the name `layers.0`."""

    def __init__(self, n_channels, n_feedforward):
        super().__init__()
        self.layers = nn.ModuleList([AttentionLayer(n_channels, n_feedforward)])

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x, position)
        return x


def position_embedding(height: int, width: int, n_channels: int, device=None) -> torch.Tensor:
    """[1, H*W, C]: sin and cos of x, then of y, at C/4 frequencies; x changes slowest (see the head comment)."""
    n_frequencies = n_channels // 4
    steps = torch.arange(n_frequencies, dtype=torch.float32, device=device) / n_frequencies
    omega = 1.0 / TEMPERATURE ** steps
    x = torch.arange(width, dtype=torch.float32, device=device).repeat_interleave(height)[:, None] * omega
    y = torch.arange(height, dtype=torch.float32, device=device).repeat(width)[:, None] * omega
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), 1)[None]


class HybridEncoder(nn.Module):
    """Maps of the backbone, fine to coarse -> as many maps of `n_channels` channels each."""

    def __init__(self, in_channels, n_channels, n_feedforward, expansion, n_blocks):
        super().__init__()
        n_levels = len(in_channels)
        n_mid = round(expansion * n_channels // 2)
        self.n_channels = n_channels
        self.input_proj = nn.ModuleList(ConvNorm(n_in, n_channels, 1) for n_in in in_channels)
        self.encoder = nn.ModuleList([AttentionStack(n_channels, n_feedforward)])
        self.lateral_convs = nn.ModuleList(ConvNorm(n_channels, n_channels, 1) for _ in range(n_levels - 1))
        self.fpn_blocks = nn.ModuleList(Fusion(n_channels, n_mid, n_blocks) for _ in range(n_levels - 1))
        self.downsample_convs = nn.ModuleList(nn.Sequential(Halve(n_channels)) for _ in range(n_levels - 1))
        self.pan_blocks = nn.ModuleList(Fusion(n_channels, n_mid, n_blocks) for _ in range(n_levels - 1))

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        levels = [project(level) for project, level in zip(self.input_proj, maps)]
        levels[-1] = self._attend(levels[-1])

        top_down = [levels[-1]]
        for lateral, fuse, finer in zip(self.lateral_convs, self.fpn_blocks, reversed(levels[:-1])):
            top_down[0] = lateral(top_down[0])
            enlarged = F.interpolate(top_down[0], scale_factor=2.0, mode="nearest")
            top_down.insert(0, fuse(torch.cat((enlarged, finer), 1)))

        bottom_up = [top_down[0]]
        for halve, fuse, coarser in zip(self.downsample_convs, self.pan_blocks, top_down[1:]):
            bottom_up.append(fuse(torch.cat((halve(bottom_up[-1]), coarser), 1)))
        return bottom_up

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        position = position_embedding(height, width, self.n_channels, x.device)
        tokens = self.encoder[0](x.flatten(2).transpose(1, 2), position)
        return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()
