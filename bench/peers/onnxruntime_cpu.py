#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times ONNX Runtime on the CPU on the three networks sonoseg runs, exported from the official code in float32.

    python3 bench/peers/onnxruntime_cpu.py --dfine CHECKOUT --detector FILE.pth --size s --classes 1 \\
        --mobile-sam CHECKOUT --segmenter FILE.pt --out FOLDER --threads 2

Exports to FOLDER once (delete a file to export it again), checks each against PyTorch on a fixed random input,
and prints one line a network: median and best milliseconds, and the largest difference. scripts/golden/
official.py names the commits of the checkouts. Needs torch, torchvision, timm, onnx, onnxruntime, pyyaml.
"""
import argparse
import os
import statistics
import sys
import time

import onnxruntime
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
from golden import official  # noqa: E402


class Detector(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        result = self.model(image)
        return result["pred_logits"], result["pred_boxes"]


class Decoder(torch.nn.Module):
    """Prompt encoder and mask decoder for one box, one mask."""

    def __init__(self, sam):
        super().__init__()
        self.prompt, self.mask = sam.prompt_encoder, sam.mask_decoder
        self.register_buffer("position", self.prompt.get_dense_pe())

    def forward(self, embedding, box):
        sparse, dense = self.prompt(points=None, boxes=box, masks=None)
        return self.mask(image_embeddings=embedding, image_pe=self.position, sparse_prompt_embeddings=sparse,
                         dense_prompt_embeddings=dense, multimask_output=False)


def state_of(path):
    state = torch.load(path, map_location="cpu")
    return state.get("model", state)


def networks(options):
    """(name, module, inputs) of each network with the checkpoint's parameters."""
    detector = official.load_dfine(options.dfine, options.size, options.classes)
    missing = detector.load_state_dict(state_of(options.detector), strict=False)
    if missing.unexpected_keys or set(missing.missing_keys) - {"decoder.denoising_class_embed.weight"}:
        raise SystemExit(f"{options.detector}: {missing}")
    sam = official.load_mobile_sam(options.mobile_sam)
    sam.load_state_dict(state_of(options.segmenter))
    sam.eval()
    random = torch.Generator().manual_seed(1)
    yield f"dfine_{options.size}", Detector(detector.deploy()).eval(), (torch.rand(1, 3, 640, 640, generator=random),)
    image = torch.randn(1, 3, 1024, 1024, generator=random)
    yield "tiny_vit", sam.image_encoder, (image,)
    box = torch.tensor([[200.0, 180.0, 640.0, 700.0]])
    yield "mask_decoder", Decoder(sam).eval(), (sam.image_encoder(image), box)


def measure(run, repeat):
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return f"{statistics.median(times[1:]):8.1f} ms median {min(times[1:]):8.1f} ms best"


def compare(name, module, inputs, options):
    path = os.path.join(options.out, name + ".onnx")
    names = [f"input_{index}" for index in range(len(inputs))]
    if not os.path.exists(path):
        torch.onnx.export(module, inputs, path, input_names=names, opset_version=18, dynamo=options.dynamo)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    feed = {key.name: value.numpy() for key, value in zip(session.get_inputs(), inputs)}
    expected, actual = module(*inputs), session.run(None, feed)
    expected = expected if isinstance(expected, tuple) else (expected,)
    worst = max((torch.from_numpy(a) - e).abs().max().item() for a, e in zip(actual, expected))
    print(f"{name:13} onnxruntime {measure(lambda: session.run(None, feed), options.repeat)}"
          f"   worst difference {worst:.2e}", flush=True)
    print(f"{name:13} pytorch     {measure(lambda: module(*inputs), options.repeat)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dfine", required=True, metavar="CHECKOUT")
    parser.add_argument("--detector", required=True, metavar="FILE")
    parser.add_argument("--size", choices=official.DFINE_SIZES, default="s")
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--mobile-sam", required=True, metavar="CHECKOUT")
    parser.add_argument("--segmenter", required=True, metavar="FILE")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--dynamo", action="store_true", help="export with torch.export instead of tracing")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    torch.set_num_threads(options.threads)
    with torch.no_grad():
        for name, module, inputs in networks(options):
            compare(name, module, inputs, options)


if __name__ == "__main__":
    main()
