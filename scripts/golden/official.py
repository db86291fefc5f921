# SPDX-License-Identifier: Apache-2.0
"""Builds the official networks from checkouts of their repositories, and records what their modules compute.

D-FINE:    Peterande/D-FINE @ 4a1f73a8bcfac736a88abde9596d87f116d780a7
MobileSAM: ChaoningZhang/MobileSAM @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1
Only the modules of the networks are imported; packages whose __init__ would pull in training code are
replaced by empty ones, and the two names that timm has moved since are put back.
"""
import importlib
import os
import sys
import types

import torch

DFINE_SIZES = ("n", "s", "m", "l", "x")


def empty_package(name, folder):
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


def load_dfine(checkout, size, n_classes):
    """The official model of one size in eval mode, with the parameters its constructor gives it."""
    source = os.path.join(checkout, "src")
    if "src" not in sys.modules:
        for name in ("", ".core", ".nn", ".nn.backbone", ".zoo", ".zoo.dfine"):
            empty_package("src" + name, os.path.join(source, *name.split(".")[1:]))
        sys.modules["src.core"].register = importlib.import_module("src.core.workspace").register
    load_config = importlib.import_module("src.core.yaml_utils").load_config
    config = load_config(os.path.join(checkout, f"configs/dfine/dfine_hgnetv2_{size}_coco.yml"), {})
    share = {"eval_spatial_size": config["eval_spatial_size"]}
    backbone = importlib.import_module("src.nn.backbone.hgnetv2").HGNetv2
    encoder = importlib.import_module("src.zoo.dfine.hybrid_encoder").HybridEncoder
    decoder = importlib.import_module("src.zoo.dfine.dfine_decoder").DFINETransformer
    model = importlib.import_module("src.zoo.dfine.dfine").DFINE(
        backbone(**{**config["HGNetv2"], "pretrained": False}),
        encoder(**config["HybridEncoder"], **share),
        decoder(**config["DFINETransformer"], **share, num_classes=n_classes))
    return model.eval()


def load_mobile_sam(checkout):
    """The official Sam with the TinyViT encoder in eval mode."""
    layers = importlib.import_module("timm.layers")
    registry = types.ModuleType("timm.models.registry")
    registry.register_model = lambda function: function
    sys.modules["timm.models.layers"] = layers
    sys.modules["timm.models.registry"] = registry
    package = os.path.join(checkout, "mobile_sam")
    if "mobile_sam" not in sys.modules:
        empty_package("mobile_sam", package)
    return importlib.import_module("mobile_sam.build_sam").build_sam_vit_t().eval()


class Recorder:
    """Clones what modules and wrapped functions return: {official module path: float32 tensor}.

    A second call of the same module appends "#1", and so on; tuples get ".0", ".1".
    """

    def __init__(self, skip_types=()):
        self.values = {}
        self.calls = {}
        self.skip_types = tuple(skip_types)

    def clear(self):
        self.values.clear()
        self.calls.clear()

    def put(self, name, value):
        if isinstance(value, (tuple, list)):
            for index, item in enumerate(value):
                self.put(f"{name}.{index}", item)
        elif torch.is_tensor(value):
            call = self.calls.get(name, 0)
            self.calls[name] = call + 1
            self.values[name if call == 0 else f"{name}#{call}"] = value.detach().clone().contiguous()

    def watch(self, model, wanted=lambda name, module: True):
        for name, module in model.named_modules():
            if name and not isinstance(module, self.skip_types) and wanted(name, module):
                module.register_forward_hook(lambda m, i, o, name=name: self.put(name, o))

    def wrap(self, owner, attribute, name):
        """Records what the function owner.attribute returns from now on."""
        function = getattr(owner, attribute)

        def recorded(*args, **kwargs):
            result = function(*args, **kwargs)
            self.put(name, result)
            return result
        setattr(owner, attribute, recorded)


def watch_dfine_functions(recorder, model):
    """What the decoder computes outside modules: memory, top-k indices, projection, boxes of each layer."""
    functions = sys.modules["src.zoo.dfine.dfine_decoder"]
    recorder.wrap(functions, "weighting_function", "decoder.decoder.project")
    recorder.wrap(functions, "distance2bbox", "decoder.decoder.inter_ref_bbox")
    decoder = model.decoder
    select = decoder._select_topk

    def select_topk(memory, logits, anchors, topk):
        recorder.put("decoder.topk_index", torch.topk(logits.max(-1).values, topk, dim=-1)[1])
        return select(memory, logits, anchors, topk)
    decoder._select_topk = select_topk
    decoder.enc_output.register_forward_pre_hook(
        lambda module, args: recorder.put("decoder.enc_output.input", args[0]))
