# SPDX-License-Identifier: Apache-2.0
"""Small modules that both networks use."""
import torch
from torch import nn


class Mlp(nn.Module):
    """Linear layers `layers.0` ... with a ReLU between them.

    Peterande/D-FINE src/zoo/dfine/dfine_decoder.py:33 @ 4a1f73a8bcfac736a88abde9596d87f116d780a7 and
    ChaoningZhang/MobileSAM mobile_sam/modeling/mask_decoder.py:146 @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1.
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int, n_layers: int):
        super().__init__()
        widths = [n_in] + [n_hidden] * (n_layers - 1) + [n_out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of a [B, C, H, W] tensor, eps 1e-6.

    ChaoningZhang/MobileSAM mobile_sam/modeling/common.py:31 @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1.
    """

    def __init__(self, n_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = x.permute(0, 2, 3, 1)
        normed = nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, 1e-6)
        return normed.permute(0, 3, 1, 2).contiguous()
