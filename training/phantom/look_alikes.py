# SPDX-License-Identifier: Apache-2.0
"""What looks like bone and is not (docs/phantom.md): which frames have what, and laying it into them.

What tells bone from all of it stays true: only bone is a bright rough band whose echo depends on incidence AND which
hides everything below it over more than a tenth of the view.
"""
import torch
from torch import Tensor

from .alike_grounds import air, face, speckle, tank
from .alike_points import needle, stone, wires
from .alike_ranges import NAMES, LookAlikes
from .alike_surfaces import diaphragm, fascia, gas, pleura
from .plane import Layers, lay_back, part_of
from .scene import Scene

DRAWN_BY = {"speckle": speckle, "tank": tank, "air": air, "diaphragm": diaphragm, "pleura": pleura, "gas": gas,
            "fascia": fascia, "wires": wires, "needle": needle, "stone": stone, "face": face}
AIR, FACE = NAMES.index("air"), NAMES.index("face")


def draw_kinds(has_bone: Tensor, ranges: LookAlikes, generator: torch.Generator) -> Tensor:
    """Which of NAMES each frame has; has_bone [n]. Without coupling there is nothing but the face. bool [n, 11]"""
    device = has_bone.device

    def pick(empty: tuple[float, ...], at_bone: tuple[float, ...]) -> Tensor:
        length = max(len(empty), len(at_bone))
        both = [torch.tensor([v + (0,) * (length - len(v))], dtype=torch.float32, device=device)
                for v in (empty, at_bone)]
        return torch.where(has_bone[:, None], both[1], both[0])

    weights = pick(ranges.weights, ranges.weights_at_bone)
    n_most = max(len(ranges.numbers), len(ranges.numbers_at_bone)) - 1
    n_most = min(n_most, min(sum(w > 0 for w in v) for v in (ranges.weights, ranges.weights_at_bone)))
    order = torch.multinomial(weights + 1e-9, n_most, generator=generator)
    probabilities = pick(ranges.numbers, ranges.numbers_at_bone)
    number = torch.multinomial(probabilities, 1, generator=generator).clamp(max=n_most)
    chosen = torch.arange(n_most, device=device) < number
    kinds = torch.zeros(len(has_bone), len(NAMES), dtype=torch.bool, device=device).scatter(1, order, chosen)
    only = torch.zeros_like(kinds)
    only[:, AIR] = True
    only[:, FACE] = kinds[:, FACE]
    return torch.where(kinds[:, AIR:AIR + 1], only, kinds)


def lay_look_alikes(scene: Scene, tissue: Tensor, echoes: Tensor, generator: torch.Generator) -> Layers:
    """The planes with what the frames have, each kind drawn for its own frames only. Fills scene.kinds if it is None.
    """
    layers = Layers(tissue, echoes, scene.scanner.noise_db)
    if scene.look_alikes is None:
        return layers
    if scene.kinds is None:
        scene.kinds = draw_kinds(scene.bone.exists.flatten(1).any(dim=1), scene.look_alikes, generator)
    for k, name in enumerate(NAMES):
        rows = scene.kinds[:, k].nonzero().flatten()
        if len(rows):
            plane = part_of(scene, layers, rows, generator)
            DRAWN_BY[name](plane, scene.look_alikes)
            lay_back(layers, plane, rows)
    return layers
