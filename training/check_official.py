#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the modules in models/ are the official networks: same names, same shapes, same numbers.

    training/check_official.py [--shared FOLDER] [--all]

1. Every manifest of tests/golden must list exactly the names, types and shapes of our modules' state dict.
2. The checkpoints under FOLDER/checkpoints must load strictly.
3. FOLDER/reference/outputs_00100.safetensors and frames24.safetensors must be reproduced: a number x may differ by
   1e-4 * max(1, |x|), plus half a unit in the last place where the reference was stored as float16. Masks may differ
   in 1e-4 of their pixels, where the logit is zero but for rounding.

Prints the worst difference of each tensor; exit status 1 beyond the tolerance, 2 when an input is missing.
Runs on the CPU in float32: about 2 s a frame.
"""
import argparse
import dataclasses
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from models import mobilesam
from models.decoder import make_anchors
from models.dfine import INPUT_SIZE_PX, Dfine
from models.mobilesam import MobileSam

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = 1e-4
LARGEST_ANCHOR_ROUNDING = 2.0 ** -9
FEW_FRAMES = ("00001.jpg", "00100.jpg", "00208.jpg")
TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}


class Report:
    """Counts failures and keeps the worst difference of each named tensor over all frames."""

    def __init__(self):
        self.n_failed = 0
        self.worst = {}

    def say(self, good: bool, text: str):
        self.n_failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {text}", flush=True)

    def compare(self, name: str, ours: torch.Tensor, reference: torch.Tensor):
        ours, wanted = ours.double().reshape(-1), reference.double().reshape(-1)
        allowed = TOLERANCE * wanted.abs().clamp(min=1.0)
        if reference.dtype == torch.float16:
            allowed = allowed + 0.5 * spacing_float16(wanted)
        difference = (ours - wanted).abs()
        self.keep(name, difference.max().item(), (difference / allowed).max().item())

    def keep(self, name: str, difference: float, of_allowed: float):
        before = self.worst.get(name, (0.0, 0.0))
        self.worst[name] = (nan_max(before[0], difference), nan_max(before[1], of_allowed))

    def tell_worst(self):
        for name, (difference, of_allowed) in self.worst.items():
            text = f"{name:32} worst difference {difference:.3g}, {of_allowed:.3f} of the tolerance"
            self.say(of_allowed <= 1.0, text)


def nan_max(first: float, second: float) -> float:
    return second if not second <= first else first


def spacing_float16(x: torch.Tensor) -> torch.Tensor:
    """Distance between neighbouring float16 numbers at |x|."""
    exponent = torch.frexp(x.abs().clamp(min=2.0 ** -14)).exponent - 11
    return torch.ldexp(torch.ones_like(x), exponent)


def read_manifest(path: pathlib.Path) -> tuple[str, dict[str, tuple[str, str]]]:
    """The title and {name: (type, shape)} of a manifest; a shape reads 32x3x3x3, that of a scalar `-`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines if line and not line.startswith(("#", "checksum "))]
    return lines[1].removeprefix("# "), {row[0]: (row[1], row[2]) for row in fields}


def module_of(title: str) -> torch.nn.Module:
    """The module that a manifest's title names: `D-FINE-S, 1 classes` or `MobileSAM vit_t`."""
    if title.startswith("MobileSAM"):
        return MobileSam()
    size, n_classes = title.removeprefix("D-FINE-").split(",")
    return Dfine(size.lower(), int(n_classes.split()[0]), n_denoising=100)


def check_manifests(report: Report):
    for path in sorted((ROOT / "tests" / "golden").glob("*.manifest")):
        title, wanted = read_manifest(path)
        state = module_of(title).state_dict()
        ours = {name: (TYPES[value.dtype], "x".join(map(str, value.shape)) or "-") for name, value in state.items()}
        wrong = sorted(name for name in wanted.keys() | ours.keys() if wanted.get(name) != ours.get(name))
        text = f", first difference {wrong[0]}: {wanted.get(wrong[0])}, ours {ours.get(wrong[0])}" if wrong else ""
        report.say(not wrong, f"{path.name}: {len(wanted)} tensors, {len(wrong)} differ{text}")


def load_models(shared: pathlib.Path, report: Report) -> tuple[Dfine, MobileSam]:
    detector, segmenter = Dfine("s", 1).eval(), MobileSam().eval()
    for model, name in ((detector, "dfine_s_bone.pth"), (segmenter, "mobile_sam_bone.pt")):
        state = torch.load(shared / "checkpoints" / name, map_location="cpu", weights_only=True)
        state = state.get("model", state)
        model.load_state_dict(state, strict=True)
        report.say(True, f"{name}: {len(state)} tensors loaded strictly")
    anchors, valid = make_anchors(detector.decoder.shapes)
    same_valid = torch.equal(valid, detector.decoder.valid_mask)
    difference = (anchors - detector.decoder.anchors)[valid.expand_as(anchors)].abs().max().item()
    report.say(same_valid and difference <= LARGEST_ANCHOR_ROUNDING,
               f"the checkpoint's anchors are ours, rounded to float16 (worst {difference:.2g})")
    return detector, segmenter


@dataclasses.dataclass
class Result:
    """Every tensor of one frame, under the names of outputs_00100.safetensors."""
    dfine_input: torch.Tensor
    pred_logits: torch.Tensor
    pred_boxes: torch.Tensor
    score: torch.Tensor
    box_xyxy_px: torch.Tensor
    image_embedding: torch.Tensor
    low_res_logits: torch.Tensor
    iou: torch.Tensor
    mask_logits: torch.Tensor


def best_box(logits: torch.Tensor, boxes: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Score of the best query, and its box x1 y1 x2 y2 in source pixels, clamped to the frame."""
    score, query = logits[0].amax(-1).sigmoid().max(0)
    centre, half = boxes[0, query].view(2, 2)[0], boxes[0, query].view(2, 2)[1] / 2
    corners = torch.cat((centre - half, centre + half)) * torch.tensor((width, height, width, height))
    limit = torch.tensor((width - 1.0, height - 1.0) * 2)
    return score, corners.clamp(min=0.0).minimum(limit)


@torch.inference_mode()
def run_frame(detector: Dfine, segmenter: MobileSam, luma: torch.Tensor) -> Result:
    """The whole pipeline of one frame, uint8 [H, W]."""
    height, width = luma.shape
    pixels = luma[None, None].float()
    resized = torch.nn.functional.interpolate(pixels, (INPUT_SIZE_PX,) * 2, mode="bilinear", antialias=True,
                                              align_corners=False) / 255
    found = detector(resized.expand(-1, 3, -1, -1))
    score, box = best_box(found.logits, found.boxes, height, width)
    embedding = segmenter.image_encoder(mobilesam.prepare(pixels))
    prompt = box[None] * mobilesam.input_scale(height, width)
    low, iou = segmenter.segment(embedding, prompt, torch.zeros(1, dtype=torch.long))
    low, iou = low[:, :1], iou[:, :1]
    return Result(resized, found.logits, found.boxes, score, box, embedding, low, iou,
                  mobilesam.restore(low, height, width))


def check_one(shared, detector, segmenter, report):
    reference = load_file(shared / "reference" / "outputs_00100.safetensors")
    decoded = read_luma(shared / "frames" / "00100.jpg")
    report.say(torch.equal(decoded, reference["image"]), "00100.jpg decodes to the reference image")
    result = run_frame(detector, segmenter, reference["image"])
    for field in dataclasses.fields(Result):
        report.compare(f"00100 {field.name}", getattr(result, field.name), reference[field.name])


def read_luma(path: pathlib.Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("L")))


def check_frames(shared, detector, segmenter, report, every):
    path = shared / "reference" / "frames24.safetensors"
    with safe_open(path, "pt") as file:
        names = file.metadata()["frames"].split(",")
    reference = load_file(path)
    for row, name in enumerate(names):
        if not every and name not in FEW_FRAMES:
            continue
        result = run_frame(detector, segmenter, read_luma(shared / "frames" / name))
        report.compare("frames boxes_xyxy_px", result.box_xyxy_px, reference["boxes_xyxy_px"][row])
        report.compare("frames scores", result.score, reference["scores"][row])
        report.compare("frames iou", result.iou, reference["iou"][row])
        mask = result.mask_logits[0, 0] > 0
        wanted = np.unpackbits(reference["masks_packed"][row].numpy(), axis=1)[:, :mask.shape[1]]
        n_wrong = int((mask.numpy() != wanted.astype(bool)).sum())
        report.keep("frames masks, pixels that differ", n_wrong, n_wrong / (TOLERANCE * mask.numel()))
        print(f"     {name}: score {result.score:.6f}, {int(mask.sum())} px of mask, {n_wrong} differ", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared",
                        help="folder with checkpoints/, frames/ and reference/ (default: beside the repository)")
    parser.add_argument("--all", action="store_true", help="all frames of frames24.safetensors, not a few")
    arguments = parser.parse_args()
    report = Report()
    check_manifests(report)
    if not (arguments.shared / "reference").is_dir():
        print(f"no reference/ in {arguments.shared}: the numbers were not checked", file=sys.stderr)
        return 2
    detector, segmenter = load_models(arguments.shared, report)
    check_one(arguments.shared, detector, segmenter, report)
    check_frames(arguments.shared, detector, segmenter, report, arguments.all)
    report.tell_worst()
    return 1 if report.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
