#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/: what the official D-FINE (n, s, m, l, x; n also with one input channel; n and s also at other
input sizes), DEIM (n) and MobileSAM (at two input sizes) compute on parameters and images that anybody can make again
from integer hashes (golden/synthetic.py, tests/support/synthetic.c).

    python3 scripts/make_golden.py --dfine CHECKOUT_OF_D-FINE --deim CHECKOUT_OF_DEIM \\
        --mobile-sam CHECKOUT_OF_MOBILESAM --out tests/golden

golden/official.py names the repositories and commits. Needs torch, torchvision, timm, numpy, safetensors, pyyaml.

For each network two files: NAME.manifest (the state dict and its fill, see golden/synthetic.py) and
NAME.safetensors. The scale of each weight is the power of two that brings the layer's output, measured on the
test image in the order of execution, nearest to its target; the manifest records it, so nothing has to be
measured again. A large tensor T is stored as every stride-th element of its flat, row-major self, from 0 on;
the metadata keys "T.stride" and "T.count" say which, and "T.rms" is the root mean square of all of T.
"""
import argparse
import json
import math
import os
import struct
from typing import NamedTuple

import numpy as np
import torch

from golden import official, synthetic


class Detector(NamedTuple):
    name: str
    family: str
    size: str
    n_classes: int
    n_channels: int = 3
    input_px: tuple = synthetic.IMAGE_SIZE  # width, height


DETECTORS = {"n": Detector("dfine_n", "dfine", "n", 3), "s": Detector("dfine_s", "dfine", "s", 1),
             "m": Detector("dfine_m", "dfine", "m", 80), "l": Detector("dfine_l", "dfine", "l", 2),
             "x": Detector("dfine_x", "dfine", "x", 7), "grey": Detector("dfine_n_grey", "dfine", "n", 2, n_channels=1),
             "wide": Detector("dfine_n_wide", "dfine", "n", 2, input_px=(512, 384)),
             "tall": Detector("dfine_s_tall", "dfine", "s", 2, input_px=(352, 544)),
             "deim": Detector("deim_n", "deim", "n", 2)}
SEGMENTERS = {"sam": ("mobile_sam", 1024), "sam_small": ("mobile_sam_448", 448),
              "sam_points": ("mobile_sam_points", 448)}  # file, side of the input
DFINE_POINTS = {"n": (6, 6)}
DFINE_STRIDES = {"n": (16, 32)}
POINTS = (((300.5, 420.0), (700.25, 120.0)), ((512.0, 650.75), (40.0, 40.0)))
LABELS = ((1, 0), (1, -1))
BOXES = ((211.25, 180.5, 640.75, 700.0), (30.0, 500.5, 1003.25, 900.75))
SAMPLES = 2000
TOPK_GAP = 1.5e-4             # relative, between the 300th and the 301st best query
NORM_SCALES = ("-2", "-3", "-1", "-4", "-5")  # of enc_output's norm: the first that leaves this gap

# Root mean square wanted of a layer's output, first match; others 1. "spread" measures it about the mean over
# the tokens instead, so that queries differ.
TARGETS = (
    ("enc_score_head", 1.5, True),
    ("dec_score_head", 2.5, False),
    ("enc_bbox_head.layers.2", 0.5, False),
    ("pre_bbox_head.layers.2", 0.5, False),
    ("reg_conf.layers.1", 0.5, False),
    ("dec_bbox_head", 2.0, False),
    (".q_proj", 2.0, False),
    (".k_proj", 2.0, False),
)
# (part of the name, base, log2 of the scale), first match, for parameters that no layer's output decides.
FIXED = (
    ("running_var", 1.0, -1),
    ("running_mean", 0.0, -2),
    ("lab.scale", 1.0, -2),
    ("lab.bias", 0.0, -3),
    ("decoder.up", 0.5, None),
    ("enc_score_head.bias", -1.0, -2),
    ("dec_score_head", -1.0, -2),
    ("sampling_offsets.bias", 0.0, 2),
    ("attention_biases", 0.0, 0),
    ("in_proj_weight", 0.0, -2),
    ("denoising_class_embed", 0.0, 0),
    ("gaussian_matrix", 0.0, 0),
    ("embed", 0.0, 0),
    ("_token", 0.0, 0),
)


def fixed_rule(name, dims):
    for part, base, scale in FIXED:
        if part in name and (part != "dec_score_head" or name.endswith("bias")):
            return ("uniform", (str(base), "-" if scale is None else str(scale)))
    if len(dims) > 1:
        return ("uniform", ("0.0", str(round(math.log2(math.sqrt(3 / np.prod(dims[1:])))))))
    return ("uniform", ("1.0" if name.endswith("weight") else "0.0", "-2"))


def rules_of(model, size, input_px=synthetic.IMAGE_SIZE):
    """{name: (rule, arguments)} in the order of the state dict, weights by fan-in to begin with."""
    strides = (",".join(map(str, DFINE_STRIDES.get(size, (8, 16, 32)))),)
    if input_px != synthetic.IMAGE_SIZE:
        strides += ("x".join(map(str, input_px)),)
    points = ",".join(map(str, DFINE_POINTS.get(size, (3, 6, 3))))
    special = {"num_batches_tracked": ("integer", ("0",)), "num_points_scale": ("reciprocals", (points,)),
               "anchors": ("anchors", strides), "valid_mask": ("valid", strides)}
    if size:
        special["reg_scale"] = ("integer", (str(int(model.decoder.reg_scale)),))
    rules = {}
    for name, value in model.state_dict().items():
        last = name.rsplit(".", 1)[-1]
        rules[name] = special.get(last) or fixed_rule(name, tuple(value.shape))
    return rules


def fill(model, rules):
    state = {name: synthetic.tensor_values(name, tuple(value.shape), *rules[name])
             for name, value in model.state_dict().items()}
    for name, value in model.state_dict().items():
        assert state[name].dtype == value.dtype, name
    model.load_state_dict(state, strict=True)
    if hasattr(model, "image_encoder"):
        model.image_encoder.train(False)  # gathers the attention biases again
    return state


def calibrate(model, rules, run):
    """Runs once; each convolution and linear layer picks its weight's scale on its first call."""
    layers = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
    handles = []

    def choose(name, module, args):
        key = name + ".weight"
        if key in done:
            return
        done.add(key)
        target, spread = next(((t, s) for part, t, s in TARGETS if part in name), (1.0, False))
        bias, module.bias = module.bias, None
        weight = synthetic.unit(key, module.weight.numel()).reshape(module.weight.shape)
        module.weight.data.copy_(torch.from_numpy(weight))
        output = module.forward(*args)
        if spread:
            output = output - output.mean(1, keepdim=True)
        scale = round(math.log2(target / output.pow(2).mean().sqrt().item()))
        module.weight.data.mul_(2.0**scale)
        module.bias = bias
        rules[key] = ("uniform", ("0.0", str(scale)))

    done = set()
    for name, module in model.named_modules():
        if isinstance(module, layers) and not name.endswith("out_proj"):
            handles.append(module.register_forward_pre_hook(lambda m, a, name=name: choose(name, m, a)))
    run()
    for handle in handles:
        handle.remove()


class Output:
    """A safetensors file in the making."""

    def __init__(self):
        self.tensors, self.metadata = {}, {}

    def whole(self, name, value):
        self.tensors[name] = value.contiguous()

    def sampled(self, name, value):
        flat = value.contiguous().reshape(-1)
        stride = max(1, flat.numel() // SAMPLES) | 1
        self.tensors[name] = flat[::stride].clone()
        self.metadata[name + ".stride"] = str(stride)
        self.metadata[name + ".count"] = str(flat.numel())
        self.metadata[name + ".rms"] = f"{flat.double().pow(2).mean().sqrt().item():.9g}"

    def write(self, path):
        """Written here because the order of the library's metadata differs from run to run."""
        types = {torch.float32: "F32", torch.int32: "I32"}
        header, data = {"__metadata__": dict(sorted(self.metadata.items()))}, b""
        for name, value in self.tensors.items():
            raw = value.numpy().tobytes()
            header[name] = {"dtype": types[value.dtype], "shape": list(value.shape),
                            "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)


def write_manifest(path, title, state, rules):
    names = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}
    checksum = 0
    with open(path, "w") as file:
        file.write(f"# SPDX-License-Identifier: Apache-2.0\n# {title}\n")
        for name, value in state.items():
            dims = "x".join(map(str, value.shape)) or "-"
            rule, arguments = rules[name]
            file.write(" ".join([name, names[value.dtype], dims, rule, *arguments]) + "\n")
            checksum += synthetic.bits_sum(value)
        file.write(f"checksum {checksum % 2**64}\n")


def report(title, recorder):
    rms = {name: value.float().pow(2).mean().sqrt().item() for name, value in recorder.values.items()
           if value.is_floating_point() and value.isfinite().all()}
    low, high = min(rms, key=rms.get), max(rms, key=rms.get)
    print(f"{title}: rms from {rms[low]:.3g} ({low}) to {rms[high]:.3g} ({high})")


def spread(value):
    """How much rows (..., tokens, channels) differ from their mean, against their size."""
    return ((value - value.mean(-2, keepdim=True)).norm() / value.norm()).item()


def title_of(detector):
    network = {"dfine": "D-FINE", "deim": "DEIM-D-FINE"}[detector.family]
    channels = ", one input channel" if detector.n_channels == 1 else ""
    size = ", {} x {} pixels".format(*detector.input_px) if detector.input_px != synthetic.IMAGE_SIZE else ""
    return f"{network}-{detector.size.upper()}, {detector.n_classes} classes{channels}{size}"


def make_detector(checkout, detector, folder):
    model = official.load_detector(checkout, detector.family, detector.size, detector.n_classes, detector.n_channels,
                                   detector.input_px)
    title = title_of(detector)
    image = synthetic.detector_input(detector.n_channels, detector.input_px)
    rules = rules_of(model, detector.size, detector.input_px)
    fill(model, rules)
    calibrate(model, rules, lambda: model(image))
    recorder, out = official.Recorder(), Output()
    recorder.watch(model)
    official.watch_dfine_functions(recorder, model)
    seen = recorder.values
    for scale in NORM_SCALES:
        rules["decoder.enc_output.norm.weight"] = ("uniform", ("1.0", scale))
        state = fill(model, rules)
        recorder.clear()
        result = model(image)
        logits = seen["decoder.enc_score_head"][0].max(-1).values.sort(descending=True).values[:301]
        if logits[299] - logits[300] > TOPK_GAP * logits[299].abs():
            break
    else:
        raise SystemExit(f"{title}: no fill leaves a gap behind the 300 best")
    for name in ("pred_logits", "pred_boxes"):
        out.whole(name, result[name][0])
    out.whole("decoder.topk_index", seen["decoder.topk_index"][0].to(torch.int32))
    out.whole("decoder.topk_logit", logits)  # best class of the 300, and the 301st
    for name, value in seen.items():
        part = name.split(".")
        layer = name.startswith("decoder.decoder.layers.") and len(part) == 4
        if name.rsplit(".", 1)[0] in ("backbone", "encoder") and part[-1].isdigit() or layer or name in (
                "backbone.stem", "backbone.stages.0", "decoder.enc_output.input", "decoder.enc_output") \
                or name.startswith(("decoder.decoder.inter_ref_bbox", "encoder.encoder.0")) and len(part) == 3:
            out.sampled(name, value)
    out.metadata["input.bits_sum"] = str(synthetic.bits_sum(image))
    out.write(os.path.join(folder, f"{detector.name}.safetensors"))
    write_manifest(os.path.join(folder, f"{detector.name}.manifest"), title, state, rules)
    report(title, recorder)
    score, boxes = result["pred_logits"][0], result["pred_boxes"][0]
    order = score.max(-1).values.sort(descending=True).values
    print(f"  token spread {[round(spread(seen[f'encoder.{i}'].flatten(2).mT), 3) for i in range(len(model.encoder.out_channels))]}"
          f" enc_output {spread(seen['decoder.enc_output']):.3f}; top-k gap at 300 {logits[299] - logits[300]:.2e}"
          f" of {logits[0]:.2f}..{logits[299]:.2f}; logits {score.min():.2f}..{score.max():.2f} std over queries"
          f" {score.std(0).mean():.2f}, best gap {order[0] - order[1]:.2e}; boxes std {boxes.std(0).tolist()}")


def read_rules(path):
    """{name: (rule, arguments)} of a manifest."""
    with open(path) as file:
        lines = [line.split() for line in file if line[0] != "#" and not line.startswith("checksum ")]
    return {name: (rule, tuple(arguments)) for name, _, _, rule, *arguments in lines}


def make_mobile_sam(checkout, folder, file, side):
    """The parameters are those that suit the full input; a smaller one has no manifest of its own."""
    model = official.load_mobile_sam(checkout, side)
    image, manifest = synthetic.segmenter_input(side), os.path.join(folder, "mobile_sam.manifest")
    prompts = torch.tensor(BOXES) * (side / 1024)
    parts = (model.image_encoder, model.prompt_encoder, model.mask_decoder)

    def run():
        embedding, results = parts[0](image), []
        for box in prompts:
            sparse, dense = parts[1](points=None, boxes=box[None], masks=None)
            results.append(parts[2](image_embeddings=embedding, image_pe=parts[1].get_dense_pe(),
                                    sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
                                    multimask_output=False))
        return [torch.cat(x) for x in zip(*results)]

    if side == 1024:
        rules = rules_of(model, None)
        fill(model, rules)
        calibrate(model, rules, run)
        write_manifest(manifest, "MobileSAM vit_t", fill(model, rules), rules)
    fill(model, read_rules(manifest))
    recorder, out = official.Recorder(), Output()
    recorder.watch(model)
    masks, iou = run()
    out.whole("boxes", prompts)
    out.whole("iou", iou[:, 0])
    out.sampled("low_res_logits", masks[:, 0])
    block = ("image_encoder.layers.", "mask_decoder.transformer.layers.", "mask_decoder.output_hypernetworks_mlps.0")
    for name, value in recorder.values.items():
        depth = name.split("#")[0].count(".")
        if name in ("image_encoder", "image_encoder.patch_embed") or name.startswith((
                "mask_decoder.output_upscaling", "prompt_encoder.0", "mask_decoder.transformer.0",
                "mask_decoder.transformer.1")) and depth <= 2 and "upscaling." not in name \
                or name.startswith(block) and (depth == 2 or ".blocks." in name and depth == 4
                                               or "transformer.layers" in name and depth == 4
                                               and name.split("#")[0][-2:] in (".0", ".1")):
            out.sampled(name, value)
    out.metadata["input.bits_sum"] = str(synthetic.bits_sum(image))
    out.write(os.path.join(folder, f"{file}.safetensors"))
    report(f"MobileSAM, {side} x {side} pixels", recorder)
    embedding = recorder.values["image_encoder"].flatten(2).mT
    print(f"  spread of the embedding {spread(embedding):.3f}; logits rms {masks.pow(2).mean().sqrt():.2f}, positive"
          f" {[round((m > 0).float().mean().item(), 3) for m in masks]}, between boxes"
          f" {(masks[0] - masks[1]).pow(2).mean().sqrt():.2f}; iou {iou[:, 0].tolist()}")


def make_points(checkout, folder, file, side):
    """Points with and without a box, object by object; the parameters are those of mobile_sam.manifest."""
    model = official.load_mobile_sam(checkout, side)
    fill(model, read_rules(os.path.join(folder, "mobile_sam.manifest")))
    image, out = synthetic.segmenter_input(side), Output()
    boxes, points = torch.tensor(BOXES) * (side / 1024), torch.tensor(POINTS) * (side / 1024)
    labels, embedding = torch.tensor(LABELS), model.image_encoder(image)
    for mode in ("points", "both"):
        results = []
        for k, box in enumerate(boxes):
            sparse, dense = model.prompt_encoder(points=(points[k][None], labels[k][None]), masks=None,
                                                 boxes=box[None] if mode == "both" else None)
            masks, iou = model.mask_decoder(image_embeddings=embedding, image_pe=model.prompt_encoder.get_dense_pe(),
                                            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
                                            multimask_output=False)
            results.append((sparse, masks[:, 0], iou[:, 0]))
        sparse, masks, iou = (torch.cat(x) for x in zip(*results))
        out.whole(f"{mode}.tokens", sparse)
        out.sampled(f"{mode}.low_res_logits", masks)
        out.whole(f"{mode}.iou", iou)
    out.whole("boxes", boxes)
    out.whole("points", points)
    out.whole("labels", labels.float())
    out.metadata["input.bits_sum"] = str(synthetic.bits_sum(image))
    out.write(os.path.join(folder, f"{file}.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dfine", metavar="CHECKOUT")
    parser.add_argument("--deim", metavar="CHECKOUT")
    parser.add_argument("--mobile-sam", metavar="CHECKOUT")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--only", nargs="*", metavar="NAME", help=" ".join([*DETECTORS, *SEGMENTERS]) + "; default all")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    wanted = options.only or [*DETECTORS, *SEGMENTERS]
    checkouts = {"dfine": options.dfine, "deim": options.deim, "sam": options.mobile_sam}
    for name in wanted:
        family = DETECTORS[name].family if name in DETECTORS else "sam" if name in SEGMENTERS else name
        if not checkouts.get(family):
            parser.error(f"{name}: no such network" if family not in checkouts else f"{name} needs a checkout: {family}")
    with torch.no_grad():
        for name in wanted:
            if name in DETECTORS:
                make_detector(checkouts[DETECTORS[name].family], DETECTORS[name], options.out)
        for name in wanted:
            if name == "sam_points":
                make_points(options.mobile_sam, options.out, *SEGMENTERS[name])
            elif name in SEGMENTERS:
                make_mobile_sam(options.mobile_sam, options.out, *SEGMENTERS[name])


if __name__ == "__main__":
    main()
