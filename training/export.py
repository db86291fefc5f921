#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the file that ships of a checkpoint, and lists the folder's checksums.

    python training/export.py out/detector/detector.pth --output models/dfine_s_bone.safetensors --seed 1 \\
        --training-set "phantoms of training/phantom, TRAINING" --metrics held_out.json --note "..."

Matrices and kernels become float16. Vectors (norms, biases, batch statistics), the Fourier matrix of the prompts and the
detector's derived tensors stay float32: together they are small, and float16 would lose small variances and move
boxes. Counters of batch norms and the class embedding of the denoising queries are left out, as inference needs
neither. The same input gives the same bytes. --metrics is what `evaluate.py --json` or `sonoseg evaluate --json` wrote.
--calibration is what `calibrate.py --output` wrote: its a z + b for the logit z goes into the last layers of the class head,
and into the metadata. SHA256SUMS of the folder is written anew for all of its .safetensors files.
"""
import argparse
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import torch

from checkpoints import (COUNTER, DERIVED, FAMILY_KEY, ONLY_TRAINING, CheckpointError, Tensors, load_segmenter,
                         read_tensors, size_of)

KEPT_FLOAT32 = (*DERIVED, "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")
LARGEST_FLOAT16 = 65504.0
TYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bool: "BOOL", torch.int64: "I64"}
ALIGNMENT_BYTES = 8
LICENSE = "Apache-2.0"
LISTS = ("bins", "thresholds")
SCORE_HEAD, QUALITY = "decoder.dec_score_head.", "decoder.decoder.lqe_layers."
CALIBRATION_KEY = "calibration"
INPUT_SIZE_KEY = "sonoseg.input_px"


def shipped(tensors: Tensors) -> Tensors:
    """What inference needs, in the types that ship."""
    kept = {}
    for name, value in tensors.items():
        if name.endswith(COUNTER) or name == ONLY_TRAINING:
            continue
        small = value.ndim <= 1 or name in KEPT_FLOAT32 or not value.is_floating_point()
        if not small and not (value.abs() <= LARGEST_FLOAT16).all():
            raise CheckpointError(f"{name}: holds numbers that float16 has not, or none")
        kept[name] = (value if small else value.half()).contiguous()
    return kept


def calibrated(tensors: Tensors, a: float, b: float) -> Tensors:
    """The tensors of a D-FINE whose logits are a z + b in place of z. They are the sum of two linear layers of the last
    decoder layer, so both are scaled and one gets b. The order of the boxes stays, as a > 0."""
    if not (a > 0 and math.isfinite(a) and math.isfinite(b)):
        raise CheckpointError(f"no calibration: a = {a}, b = {b}; a must be above 0")
    heads = {int(name.removeprefix(SCORE_HEAD).split(".")[0]) for name in tensors if name.startswith(SCORE_HEAD)}
    if not heads:
        raise CheckpointError("a calibration is for a D-FINE detector, which this is not")
    last = max(heads)
    scaled = [f"{layer}.{part}" for layer in (f"{SCORE_HEAD}{last}", f"{QUALITY}{last}.reg_conf.layers.1")
              for part in ("weight", "bias")]
    changed = dict(tensors) | {name: tensors[name] * a for name in scaled}
    changed[f"{SCORE_HEAD}{last}.bias"] = changed[f"{SCORE_HEAD}{last}.bias"] + b
    return changed


def read_calibration(path: Path) -> dict:
    content = json.loads(path.read_text(encoding="utf-8"))
    try:
        return {"a": float(content["a"]), "b": float(content["b"]), "target": str(content["target"])}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not written by calibrate.py: {error!r}") from error


def architecture_of(path: Path, tensors: Tensors) -> str:
    """As `sonoseg inspect` calls it; an error for a checkpoint that is neither network's."""
    if any(name.startswith("mask_decoder.") for name in tensors):
        load_segmenter(path)
        return "mobilesam-vit_t"
    return f"dfine-{size_of(path, tensors)[0]}"


def write_safetensors(tensors: Tensors, metadata: dict[str, str], path: Path) -> None:
    """Tensors by falling width, then by name, so that all are aligned; metadata in its own order."""
    header, end = {"__metadata__": metadata}, 0
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    for name in order:
        value = tensors[name]
        begin, end = end, end + value.numel() * value.element_size()
        header[name] = {"dtype": TYPE_NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    content = b"".join(tensors[name].numpy().tobytes() for name in order)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def write_checksums(folder: Path) -> None:
    """For `sha256sum --check`."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
             for path in sorted(folder.glob("*.safetensors"))]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def recipe_commit() -> str:
    """The commit of this checkout, marked when training/ differs from it."""
    folder = Path(__file__).resolve().parent
    git = ["git", "-C", str(folder)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "."], check=False).returncode
    return commit + ("-changed" if changed else "")


def figures(path: Path) -> str:
    """The figures of an evaluation as one line of JSON, without its lists."""
    content = json.loads(path.read_text(encoding="utf-8"))
    rounded = {name: round(value, 4) if isinstance(value, float) and math.isfinite(value) else value
               for name, value in content.items() if name not in LISTS}
    return json.dumps(rounded, separators=(",", ":"))


def export(options: argparse.Namespace) -> None:
    tensors = read_tensors(options.checkpoint)
    metadata = {"architecture": architecture_of(options.checkpoint, tensors),
                "recipe_commit": options.recipe_commit or recipe_commit(), "seed": str(options.seed),
                "training_set": options.training_set, "metrics": figures(options.metrics), "license": LICENSE,
                "note": options.note}
    if metadata["architecture"].startswith("dfine-"):
        metadata[FAMILY_KEY] = "dfine"
    if options.input_px:
        metadata[INPUT_SIZE_KEY] = f"{options.input_px}x{options.input_px}"
        tensors = {name: value for name, value in tensors.items() if name not in DERIVED}  # of another size
    if options.calibration:
        calibration = read_calibration(options.calibration)
        tensors = calibrated(tensors, calibration["a"], calibration["b"])
        metadata[CALIBRATION_KEY] = json.dumps(calibration, separators=(",", ":"))
    kept = shipped(tensors)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(kept, metadata, options.output)
    write_checksums(options.output.parent)
    n_half = sum(value.dtype == torch.float16 for value in kept.values())
    print(f"{options.output}: {metadata['architecture']}, {len(kept)} tensors, {n_half} of them float16, "
          f"{options.output.stat().st_size / 1e6:.1f} MB")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="what train.py wrote: .pth, .pt or .safetensors")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    parser.add_argument("--seed", type=int, required=True, help="that of the training")
    parser.add_argument("--training-set", required=True, metavar="TEXT", help="what it was trained on")
    parser.add_argument("--metrics", type=Path, required=True, metavar="JSON", help="figures on held-out frames")
    parser.add_argument("--calibration", type=Path, metavar="JSON", help="of the scores, from calibrate.py")
    parser.add_argument("--input-px", type=int, metavar="N",
                        help="side of the input that sonoseg gives it, where that is not the network's usual one")
    parser.add_argument("--note", default="Research use only; not a medical device.", metavar="TEXT")
    parser.add_argument("--recipe-commit", metavar="COMMIT", help="of the recipe (default: this checkout's)")
    return parser.parse_args()


def main() -> int:
    try:
        export(parse_arguments())
    except (CheckpointError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"export.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
