# SPDX-License-Identifier: Apache-2.0
"""What the effects of augment.py and grabber.py share."""
import torch
from torch import Tensor
from torch.nn import functional


def uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """One number a frame. [n, 1, 1, 1]"""
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device)


def filtered(images: Tensor, sigma_px: Tensor, dim: int) -> Tensor:
    """Each frame under its own Gaussian along dim; sigma_px [n, 1, 1, 1]."""
    radius = int(2.5 * sigma_px.max()) + 1
    offset = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.exp(-0.5 * (offset / sigma_px) ** 2)  # [n, 1, 1, taps]
    kernels = kernels / kernels.sum(dim=-1, keepdim=True)
    pad = (radius, radius, 0, 0) if dim == -1 else (0, 0, radius, radius)
    padded = functional.pad(images, pad, mode="replicate").transpose(0, 1)
    return functional.conv2d(padded, kernels.transpose(dim, -1), groups=len(images)).transpose(0, 1)
