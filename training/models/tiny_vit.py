# SPDX-License-Identifier: Apache-2.0
"""TinyViT, the image encoder of MobileSAM: convolutions, then window attention, then a neck to 256 channels.

Mathematics and names after ChaoningZhang/MobileSAM mobile_sam/modeling/tiny_vit_sam.py:23-615 and
mobile_sam/build_sam.py:49-60 @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1. Windows are padded with zeros before the
normalisation, and padding is attended to like any other token. The classifier head is in the checkpoints and unused.
"""
import torch
from torch import nn
from torch.nn import functional as F

from .layers import ChannelNorm

CHANNELS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
STRIDES = (2, 2, 1)
EXPANSION = 4
N_CLASSES = 1000
N_OUT = 256


class ConvNorm(nn.Module):
    """Convolution `c` without bias and batch normalisation `bn`."""

    def __init__(self, n_in, n_out, kernel=1, stride=1, groups=1, scale=1.0):
        super().__init__()
        self.c = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(n_out)
        nn.init.constant_(self.bn.weight, scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.c(x))


class PatchEmbed(nn.Module):
    """[B, 3, H, W] -> [B, C, H/4, W/4]."""

    def __init__(self, n_channels):
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, n_channels // 2, 3, 2), nn.GELU(),
                                 ConvNorm(n_channels // 2, n_channels, 3, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.seq(x)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, contract, add."""

    def __init__(self, n_channels):
        super().__init__()
        n_hidden = EXPANSION * n_channels
        self.conv1 = ConvNorm(n_channels, n_hidden)
        self.conv2 = ConvNorm(n_hidden, n_hidden, 3, groups=n_hidden)
        self.conv3 = ConvNorm(n_hidden, n_channels, scale=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class Merge(nn.Module):
    """Changes channels and size between two stages."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = ConvNorm(n_in, n_out)
        self.conv2 = ConvNorm(n_out, n_out, 3, stride, groups=n_out)
        self.conv3 = ConvNorm(n_out, n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Softmax of q k^T / sqrt(C) + bias, times v. PyTorch's own function takes 2.6 times as long on a CPU here."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
    near = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)) + bias
    return torch.matmul(near.softmax(-1).to(v.dtype), v)


class WindowAttention(nn.Module):
    """Attention among the tokens of a window [N, window^2, C], with a learnt bias per head and distance in y and x."""

    def __init__(self, n_channels, n_heads, window):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(n_channels)
        self.qkv = nn.Linear(n_channels, 3 * n_channels)
        self.proj = nn.Linear(n_channels, n_channels)
        self.attention_biases = nn.Parameter(torch.zeros(n_heads, window * window))
        along = torch.arange(window)
        apart = (along[:, None] - along).abs()
        index = apart[:, None, :, None] * window + apart[None, :, None, :]
        self.register_buffer("bias_index", index.reshape(window * window, window * window), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (self.n_heads, 3, -1)).transpose(1, 2).unbind(3)
        bias = self.attention_biases[:, self.bias_index]
        return self.proj(attend(q, k, v, bias).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Normalisation and two linear layers."""

    def __init__(self, n_channels):
        super().__init__()
        self.norm = nn.LayerNorm(n_channels)
        self.fc1 = nn.Linear(n_channels, EXPANSION * n_channels)
        self.fc2 = nn.Linear(EXPANSION * n_channels, n_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class WindowBlock(nn.Module):
    """Window attention, a depthwise convolution, feed-forward; [B, C, H, W] in and out."""

    def __init__(self, n_channels, n_heads, window):
        super().__init__()
        self.window = window
        self.attn = WindowAttention(n_channels, n_heads, window)
        self.local_conv = ConvNorm(n_channels, n_channels, 3, groups=n_channels)
        self.mlp = FeedForward(n_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.local_conv(x + self._attend(x))
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _attend(self, x):
        height, width = x.shape[2:]
        size = self.window
        padded = F.pad(x, (0, -width % size, 0, -height % size))
        n_images, n_channels, tall, wide = padded.shape
        tiles = padded.view(n_images, n_channels, tall // size, size, wide // size, size)
        tokens = tiles.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, n_channels)
        tiles = self.attn(tokens).view(n_images, tall // size, wide // size, size, size, n_channels)
        return tiles.permute(0, 5, 1, 3, 2, 4).reshape(padded.shape)[..., :height, :width]


class StageModule(nn.Module):
    """The blocks of a stage, and the Merge to the next one if there is one."""

    def __init__(self, blocks, downsample):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """[B, 3, H, W], normalised -> [B, 256, H/16, W/16]."""

    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed(CHANNELS[0])
        merges = [Merge(*row) for row in zip(CHANNELS, CHANNELS[1:], STRIDES)] + [None]
        stages = [[InvertedBottleneck(CHANNELS[0]) for _ in range(DEPTHS[0])]]
        for n_channels, depth, n_heads, window in list(zip(CHANNELS, DEPTHS, HEADS, WINDOWS))[1:]:
            stages.append([WindowBlock(n_channels, n_heads, window) for _ in range(depth)])
        self.layers = nn.ModuleList(StageModule(*row) for row in zip(stages, merges))
        self.norm_head = nn.LayerNorm(CHANNELS[-1])
        self.head = nn.Linear(CHANNELS[-1], N_CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.neck = nn.Sequential(nn.Conv2d(CHANNELS[-1], N_OUT, 1, bias=False), ChannelNorm(N_OUT),
                                  nn.Conv2d(N_OUT, N_OUT, 3, padding=1, bias=False), ChannelNorm(N_OUT))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(images)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)
