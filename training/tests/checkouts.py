# SPDX-License-Identifier: Apache-2.0
"""The official code, from checkouts named by the environment: DFINE_CHECKOUT and MOBILESAM_CHECKOUT."""
import importlib
import os
import pathlib
import sys
import types
import unittest

import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "golden"))
official = importlib.import_module("official")

needs_dfine = unittest.skipUnless(os.environ.get("DFINE_CHECKOUT"), "DFINE_CHECKOUT names no checkout")
needs_mobile_sam = unittest.skipUnless(os.environ.get("MOBILESAM_CHECKOUT"), "MOBILESAM_CHECKOUT names no checkout")


def official_dfine(size: str, n_classes: int) -> torch.nn.Module:
    return official.load_dfine(os.environ["DFINE_CHECKOUT"], size, n_classes)


def official_criterion(n_classes: int) -> torch.nn.Module:
    """DFINECriterion with its matcher as the configuration has them; load official_dfine first."""
    config = importlib.import_module("src.core.yaml_utils").load_config(
        os.path.join(os.environ["DFINE_CHECKOUT"], "configs/dfine/dfine_hgnetv2_s_coco.yml"), {})["DFINECriterion"]
    if "src.misc.dist_utils" not in sys.modules:
        official.empty_package("src.misc", os.path.join(os.environ["DFINE_CHECKOUT"], "src", "misc"))
        alone = types.ModuleType("src.misc.dist_utils")
        alone.get_world_size = lambda: 1
        alone.is_dist_available_and_initialized = lambda: False
        sys.modules["src.misc.dist_utils"] = alone
    matcher = importlib.import_module("src.zoo.dfine.matcher").HungarianMatcher
    criterion = importlib.import_module("src.zoo.dfine.dfine_criterion").DFINECriterion
    arguments = {key: value for key, value in config["matcher"].items() if key != "type"}
    return criterion(matcher(**arguments, use_focal_loss=True), config["weight_dict"], config["losses"],
                     alpha=config["alpha"], gamma=config["gamma"], num_classes=n_classes, reg_max=config["reg_max"])


def official_mobile_sam() -> torch.nn.Module:
    return official.load_mobile_sam(os.environ["MOBILESAM_CHECKOUT"])


def perturb(model: torch.nn.Module, seed: int):
    """Moves every float parameter a little, so that heads which start at zero say something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point() and not name.endswith((".up", "reg_scale")):
                parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
