# SPDX-License-Identifier: Apache-2.0
"""Arithmetic that every part of the phantom shares: levels, smooth steps, value noise."""
import torch
from torch import Tensor
from torch.nn import functional

LATTICE = 256
LARGE = 1e9


def level(decibel):
    """Amplitude of a level in dB."""
    return torch.pow(10.0, decibel * 0.05)


def smooth(q: Tensor) -> Tensor:
    return q * q * (3 - 2 * q)


def step(a, b, x: Tensor) -> Tensor:
    """0 below a, 1 above b, 3 q^2 - 2 q^3 between."""
    return smooth(((x - a) / (b - a)).clamp(0, 1))


def make_lattice(n: int, generator: torch.Generator) -> Tensor:
    """Periodic: the first row and column come again at the end. [n, 1, 257, 257]"""
    lattice = torch.rand(n, 1, LATTICE, LATTICE, generator=generator, device=generator.device)
    return functional.pad(lattice, (0, 1, 0, 1), mode="circular")


def noise(lattice: Tensor, x, y) -> Tensor:
    """N(x, y) in [0, 1), one lattice a frame; x and y broadcast to [n, rows, columns]."""
    grid = torch.stack(torch.broadcast_tensors(_place(x, lattice), _place(y, lattice)), dim=-1)
    grid = grid.expand(len(lattice), *grid.shape[1:])
    return functional.grid_sample(lattice, grid, mode="bilinear", align_corners=True)[:, 0]


def _place(x, lattice: Tensor) -> Tensor:
    """Where bilinear interpolation between the neighbours gives the smooth one, in [-1, 1] across the lattice."""
    x = torch.as_tensor(x, dtype=torch.float32, device=lattice.device)
    x = x.reshape((1,) * (3 - x.dim()) + x.shape)
    whole = x.floor()
    return (whole.remainder(LATTICE) + smooth(x - whole)) * (2 / LATTICE) - 1
