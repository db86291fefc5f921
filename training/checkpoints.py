# SPDX-License-Identifier: Apache-2.0
"""Reads checkpoints in the official layout or as safetensors, and finds out which network they are of."""
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from models.dfine import SIZES, Dfine
from models.mobilesam import MobileSam

Tensors = dict[str, torch.Tensor]
COUNTER = "num_batches_tracked"
DERIVED = ("decoder.anchors", "decoder.valid_mask")
FAMILY_KEY = "sonoseg.detector_family"  # "dfine", or "deim": SiLU for ReLU in the decoder
ONLY_TRAINING = "decoder.denoising_class_embed.weight"


class CheckpointError(Exception):
    """What is wrong with a checkpoint, and in which file."""


def read_tensors(path: Path) -> Tensors:
    """The tensors of a .safetensors, .pth or .pt file; of a file of train.py the averaged ones."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                family = (file.metadata() or {}).get(FAMILY_KEY, "dfine")
            if family != "dfine":
                raise CheckpointError(f"{path}: a detector of the family {family}: only dfine is trained here")
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: not a table of tensors, nor one under the key model")
    return content


def size_of(path: Path, tensors: Tensors) -> tuple[str, int]:
    """Size of D-FINE and number of classes, by the names and shapes of all tensors."""
    if "decoder.enc_score_head.bias" not in tensors:
        raise CheckpointError(f"{path}: not of a D-FINE: it lacks decoder.enc_score_head.bias")
    n_classes = len(tensors["decoder.enc_score_head.bias"])
    for size in SIZES:
        with torch.device("meta"):
            wanted = Dfine(size, n_classes).state_dict()
        if not differences(wanted, tensors):
            return size, n_classes
    raise CheckpointError(f"{path}: of none of D-FINE's sizes {' '.join(SIZES)}")


def differences(wanted: Tensors, given: Tensors) -> list[str]:
    """Names of tensors that lack, are too many or have another shape; counters and derived ones may lack."""
    may_lack = {name for name in wanted if name.endswith(COUNTER) or name in DERIVED}
    missing = wanted.keys() - given.keys() - may_lack
    extra = given.keys() - wanted.keys() - {ONLY_TRAINING}
    other = {name for name in wanted.keys() & given.keys() if wanted[name].shape != given[name].shape}
    return sorted(missing | extra | other)


def fill(module: nn.Module, path: Path, tensors: Tensors) -> None:
    """In eval mode, with every parameter from the checkpoint."""
    wrong = differences(module.state_dict(), tensors)
    if wrong:
        raise CheckpointError(f"{path}: {len(wrong)} tensors lack or do not fit, first {wrong[0]}")
    module.load_state_dict({name: value for name, value in tensors.items() if name != ONLY_TRAINING}, strict=False)
    module.eval()


def load_detector(path: Path) -> Dfine:
    tensors = read_tensors(path)
    module = Dfine(*size_of(path, tensors))
    fill(module, path, tensors)
    return module


def load_segmenter(path: Path) -> MobileSam:
    module = MobileSam()
    fill(module, path, read_tensors(path))
    return module
