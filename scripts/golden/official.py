# SPDX-License-Identifier: Apache-2.0
"""Builds the official networks from checkouts of their repositories, and records what their modules compute.

D-FINE:    Peterande/D-FINE @ 4a1f73a8bcfac736a88abde9596d87f116d780a7
DEIM:      ShihuaHuang95/DEIM @ a9aa4adce6b5e97b2a6ca9452bf01b7c35440913
MobileSAM: ChaoningZhang/MobileSAM @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1
Only the modules of the networks are imported; packages whose __init__ would pull in training code are
replaced by empty ones, and the two names that timm has moved since are put back.
"""
import importlib
import os
import sys
import types
from typing import NamedTuple

import torch

DFINE_SIZES = ("n", "s", "m", "l", "x")

def empty_package(name, folder):
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


class Family(NamedTuple):
    """Where a repository that trains D-FINE's network has its modules and configurations."""
    package: str
    backbone: str
    network: str
    model: str
    config: str


FAMILIES = {"dfine": Family("src", "nn.backbone", "zoo.dfine", "dfine.DFINE", "configs/dfine/dfine_hgnetv2_{}_coco.yml"),
            "deim": Family("engine", "backbone", "deim", "deim.DEIM", "configs/deim_dfine/deim_hgnetv2_{}_coco.yml")}


def load_detector(checkout, family, size, n_classes, n_channels=3, input_px=(640, 640)):
    """The official model of one size in eval mode, for an input of that width and height, with the parameters its
    constructor gives it."""
    where = FAMILIES[family]
    root = os.path.join(checkout, where.package)
    if where.package not in sys.modules:
        packages = ["", "core"]
        for path in (where.backbone.split("."), where.network.split(".")):
            packages += [".".join(path[:depth + 1]) for depth in range(len(path))]
        for name in packages:
            empty_package(".".join(filter(None, (where.package, name))), os.path.join(root, *name.split(".")))
        core = sys.modules[where.package + ".core"]
        core.register = importlib.import_module(where.package + ".core.workspace").register

    def module(name):
        return importlib.import_module(f"{where.package}.{name}")

    config = module("core.yaml_utils").load_config(os.path.join(checkout, where.config.format(size)), {})
    share = {"eval_spatial_size": [input_px[1], input_px[0]]}
    backbone = module(where.backbone + ".hgnetv2").HGNetv2
    settings = {**config["HGNetv2"], "pretrained": False}
    backbone.arch_configs[settings["name"]]["stem_channels"][0] = n_channels
    encoder = module(where.network + ".hybrid_encoder").HybridEncoder
    decoder = module(where.network + ".dfine_decoder").DFINETransformer
    file, name = where.model.split(".")
    model = getattr(module(f"{where.network}.{file}"), name)(
        backbone(**settings),
        encoder(**config["HybridEncoder"], **share),
        decoder(**config["DFINETransformer"], **share, num_classes=n_classes))
    return model.eval()


def load_dfine(checkout, size, n_classes):
    return load_detector(checkout, "dfine", size, n_classes)


def load_mobile_sam(checkout, side=1024):
    """The official Sam with the TinyViT encoder in eval mode, for an input of that side.

    build_sam.py:51-74 writes 1024 into the parts it builds, and tiny_vit_sam.py:611 the embedding's 64 x 64 into a
    view: those are replaced, nothing else."""
    layers = importlib.import_module("timm.layers")
    registry = types.ModuleType("timm.models.registry")
    registry.register_model = lambda function: function
    sys.modules["timm.models.layers"] = layers
    sys.modules["timm.models.registry"] = registry
    package = os.path.join(checkout, "mobile_sam")
    if "mobile_sam" not in sys.modules:
        empty_package("mobile_sam", package)
    build = importlib.import_module("mobile_sam.build_sam")
    encoder = importlib.import_module("mobile_sam.modeling").TinyViT

    class SizedTinyViT(encoder):
        def __init__(self, **settings):
            super().__init__(**{**settings, "img_size": side})

        def forward_features(self, x):
            x = self.patch_embed(x)
            for layer in self.layers:
                x = layer(x)
            x = x.view(x.shape[0], side // 16, side // 16, x.shape[2]).permute(0, 3, 1, 2)
            return self.neck(x)

    build.TinyViT = encoder if side == 1024 else SizedTinyViT
    model = build.build_sam_vit_t().eval()
    model.prompt_encoder.image_embedding_size = (side // 16, side // 16)
    model.prompt_encoder.input_image_size = (side, side)
    return model


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
    functions = sys.modules[type(model.decoder).__module__]
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
