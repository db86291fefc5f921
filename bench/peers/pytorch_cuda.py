#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times the official PyTorch code on a GPU on sonoseg's work: one grey frame in host memory -> D-FINE -> best box ->
MobileSAM -> mask -> three weight maps, the mask back in host memory.

    python3 bench/peers/pytorch_cuda.py DFINE_CHECKOUT MOBILESAM_CHECKOUT DETECTOR SEGMENTER FRAME --json FILE

Variants, each measured alone, one frame in flight:
  eager               float16 autocast; the host reads score and box, the mask goes down, weight maps on the CPU
  graph               float16 channels-last in one CUDA graph; one replay and one wait a frame
  compiled_2_streams  torch.compile with frozen weights in one CUDA graph, detector and encoder side by side on two streams
  compiled            the same on one stream
Each is compared with float32 eager (TF32 off) on the same frame. The JSON file is written after each variant, so that
a time limit costs only what had not been measured. Compiling comes last and is left out once --limit-s is used up.
--device cpu runs the same code without graphs (it tests this script; the figures say nothing).
scripts/golden/official.py names the commits of the checkouts. Needs torch, torchvision, timm, numpy, pillow, pyyaml;
OpenCV where it is there.
"""
import argparse
import contextlib
import json
import os
import sys
import time
import traceback

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
from golden import official  # noqa: E402

try:
    import cv2
except ImportError:
    cv2 = None

DETECTOR_PX, SEGMENTER_PX = 640, 1024
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
VARIANTS = ("eager", "graph", "compiled_2_streams", "compiled")


def read_state(path):
    """A state dict of a torch.save archive or a safetensors file, in float32."""
    with open(path, "rb") as file:
        is_archive = file.read(2) == b"PK"
    if is_archive:
        state = torch.load(path, map_location="cpu")
        state = state.get("model", state)
    else:
        from safetensors.torch import load_file
        state = load_file(path)
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def read_frame(path):
    image = Image.open(path)
    image.draft("L", image.size)
    return numpy.array(image.convert("L"))


class Networks:
    """The official networks, and the arithmetic between them, on one device."""

    def __init__(self, options, shape, half):
        self.device, self.half = torch.device(options.device), half
        self.height, self.width = shape
        self.scale = SEGMENTER_PX / max(shape)
        self.inner = [int(side * self.scale + 0.5) for side in shape]
        self.detector = self.load_detector(options)
        self.sam = official.load_mobile_sam(options.mobile_sam)
        self.sam.load_state_dict(read_state(options.segmenter))
        self.sam.to(self.device).train().eval()  # train() drops, eval() makes the cached attention biases
        self.mean = torch.tensor(MEAN, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(STD, device=self.device).view(1, 3, 1, 1)
        limit = [self.width - 1, self.height - 1] * 2
        self.limit = torch.tensor(limit, dtype=torch.float32, device=self.device)
        self.size = torch.tensor([self.width, self.height] * 2, dtype=torch.float32, device=self.device)
        with torch.no_grad():
            self.position = self.sam.prompt_encoder.get_dense_pe()

    def load_detector(self, options):
        model = official.load_dfine(options.dfine, options.size, options.classes)
        result = model.load_state_dict(read_state(options.detector), strict=False)
        unexpected = [key for key in result.unexpected_keys if not key.endswith(("anchors", "valid_mask"))]
        missing = [key for key in result.missing_keys
                   if not key.endswith(("anchors", "valid_mask", "denoising_class_embed.weight", "num_batches_tracked"))]
        if unexpected or missing:
            raise SystemExit(f"{options.detector}: unexpected {unexpected}, missing {missing}")
        model = model.to(self.device).deploy()
        for module in model.modules():  # position encodings are no buffers: a capture could not copy them
            for name, value in vars(module).items():
                if isinstance(value, torch.Tensor):
                    setattr(module, name, value.to(self.device))
        return model

    def convert(self):
        """Weights of products and the cached attention biases to float16, channels last."""
        products = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
        for model in (self.detector, self.sam):
            for module in model.modules():
                if isinstance(module, products):
                    module.half()
                if isinstance(getattr(module, "ab", None), torch.Tensor):
                    module.ab = module.ab.half()
            model.to(memory_format=torch.channels_last)

    def autocast(self):
        if not self.half:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.float16, cache_enabled=False)

    def detect(self, pixels):
        """Grey [1, 1, H, W] in 0..255 -> score [1], box x1 y1 x2 y2 in source pixels [1, 4]."""
        image = F.interpolate(pixels, (DETECTOR_PX, DETECTOR_PX), mode="bilinear", antialias=True) / 255
        result = self.detector(image.repeat(1, 3, 1, 1).contiguous(memory_format=torch.channels_last))
        score, index = result["pred_logits"].float().sigmoid().amax(-1).max(-1)
        box = result["pred_boxes"].float()[0].index_select(0, index)
        corners = torch.cat((box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2), 1) * self.size
        return score, torch.minimum(corners.clamp(min=0), self.limit)

    def encode(self, pixels):
        image = F.interpolate(pixels, self.inner, mode="bilinear", antialias=True)
        image = (image.repeat(1, 3, 1, 1) - self.mean) / self.std
        image = F.pad(image, (0, SEGMENTER_PX - self.inner[1], 0, SEGMENTER_PX - self.inner[0]))
        return self.sam.image_encoder(image.contiguous(memory_format=torch.channels_last))

    def decode(self, embedding, box):
        """-> mask [H, W] of 0 / 255, predicted IoU [1]."""
        sparse, dense = self.sam.prompt_encoder(points=None, boxes=box * self.scale, masks=None)
        logits, iou = self.sam.mask_decoder(image_embeddings=embedding, image_pe=self.position,
                                            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
                                            multimask_output=False)
        logits = F.interpolate(logits.float(), (SEGMENTER_PX, SEGMENTER_PX), mode="bilinear", align_corners=False)
        logits = logits[..., :self.inner[0], :self.inner[1]]
        logits = F.interpolate(logits, (self.height, self.width), mode="bilinear", align_corners=False)
        return (logits[0, 0] > 0).to(torch.uint8) * 255, iou.float()[0]

    def maps(self, mask):
        """edge, inside, outside; what lies beyond the border counts for neither side."""
        mask = (mask > 0).float()[None, None]
        inside = -F.max_pool2d(-mask, 3, 1, 1)
        return F.max_pool2d(mask, 3, 1, 1) - inside, inside, F.max_pool2d(mask, 5, 1, 2) - mask


def maps_on_the_cpu(mask, networks):
    if cv2 is None:
        return networks.maps(torch.from_numpy(mask))
    inside = cv2.erode(mask, numpy.ones((3, 3), numpy.uint8), borderValue=255)
    wide = cv2.dilate(mask, numpy.ones((3, 3), numpy.uint8))
    outside = cv2.dilate(mask, numpy.ones((5, 5), numpy.uint8)) - mask
    return (wide - inside) / numpy.float32(255), inside / numpy.float32(255), outside / numpy.float32(255)


class Eager:
    """As one writes it first: the host looks at every intermediate result."""

    def __init__(self, networks):
        self.networks = networks

    def run(self, frame):
        networks = self.networks
        with networks.autocast():
            pixels = torch.from_numpy(frame).to(networks.device).float()[None, None]
            if pixels.max().item() <= 1:
                pixels = pixels * 255
            score, box = networks.detect(pixels)
            number, corners = score.item(), box[0].tolist()
            mask, iou = networks.decode(networks.encode(pixels),
                                        torch.tensor([corners], device=networks.device))
        mask = mask.cpu().numpy()
        maps_on_the_cpu(mask, networks)
        return number, corners, mask, iou.item()


class Graph:
    """One replay a frame, from pinned memory to pinned memory. On the CPU the same calls, one by one."""

    def __init__(self, networks, functions, two_streams):
        self.networks, self.on_gpu = networks, networks.device.type == "cuda"
        self.detect, self.encode, self.decode, self.maps = functions
        shape = (networks.height, networks.width)
        self.host_pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self.on_gpu)
        self.host_mask = torch.empty(shape, dtype=torch.uint8, pin_memory=self.on_gpu)
        self.host_numbers = torch.empty(6, pin_memory=self.on_gpu)
        self.pixels = torch.empty(shape, dtype=torch.uint8, device=networks.device)
        self.side = torch.cuda.Stream() if self.on_gpu and two_streams else None

    def step(self):
        self.pixels.copy_(self.host_pixels, non_blocking=True)
        with self.networks.autocast():
            pixels = self.pixels.float()[None, None]
            if self.side:
                here = torch.cuda.current_stream()
                self.side.wait_stream(here)
                with torch.cuda.stream(self.side):
                    embedding = self.encode(pixels)
                score, box = self.detect(pixels)
                here.wait_stream(self.side)
            else:
                score, box = self.detect(pixels)
                embedding = self.encode(pixels)
            mask, iou = self.decode(embedding, box)
            self.kept = pixels, embedding, box, mask, self.maps(mask)  # the graph writes here in every replay
        self.host_mask.copy_(mask, non_blocking=True)
        self.host_numbers.copy_(torch.cat((score, box[0], iou)), non_blocking=True)

    def capture(self, frame):
        self.host_pixels.numpy()[:] = frame
        if not self.on_gpu:
            return
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step()

    def run(self, frame):
        self.host_pixels.numpy()[:] = frame
        if self.on_gpu:
            self.graph.replay()
            torch.cuda.current_stream().synchronize()
        else:
            self.step()
        numbers = self.host_numbers.tolist()
        return numbers[0], numbers[1:5], self.host_mask.numpy(), numbers[5]


def compile_functions(functions, options):
    import torch._inductor.config
    torch._inductor.config.freezing = True
    settings = {"backend": options.backend, "dynamic": False}
    if options.backend == "inductor" and options.mode != "default":
        settings["mode"] = options.mode
    return [torch.compile(function, **settings) for function in functions]


class Runners:
    """What runs each variant; the two compiled ones share what was compiled."""

    def __init__(self, options, frame):
        self.options, self.frame, self.compiled = options, frame, None

    def prepare(self, name):
        if name == "eager":
            return Eager(Networks(self.options, self.frame.shape, half=True))
        if name == "graph" or not self.compiled:
            networks = Networks(self.options, self.frame.shape, half=True)
            networks.convert()
            functions = [networks.detect, networks.encode, networks.decode, networks.maps]
            if name != "graph":
                functions = compile_functions(functions, self.options)
                self.compiled = networks, functions
        else:
            networks, functions = self.compiled
        runner = Graph(networks, functions, name.endswith("2_streams"))
        runner.capture(self.frame)
        return runner


def compare(result, reference):
    both = numpy.logical_and(result[2] > 0, reference[2] > 0).sum()
    either = numpy.logical_or(result[2] > 0, reference[2] > 0).sum()
    return {"score": result[0],
            "box_px": max(abs(a - b) for a, b in zip(result[1], reference[1])),
            "iou": float(both / either) if either else 1.0}


def measure(runner, frame, options):
    for _ in range(options.warmup):
        runner.run(frame)
    times_ms = numpy.empty(options.frames)
    for i in range(options.frames):
        start = time.perf_counter()
        runner.run(frame)
        times_ms[i] = (time.perf_counter() - start) * 1e3
    values = {f"p{text.replace('.', '_')}": float(numpy.percentile(times_ms, float(text)))
              for text in ("50", "90", "99", "99.9")}
    return {**values, "max": float(times_ms.max()), "mean": float(times_ms.mean()), "frames": options.frames}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dfine", metavar="DFINE_CHECKOUT")
    parser.add_argument("mobile_sam", metavar="MOBILESAM_CHECKOUT")
    parser.add_argument("detector", metavar="DETECTOR")
    parser.add_argument("segmenter", metavar="SEGMENTER")
    parser.add_argument("frame", metavar="FRAME")
    parser.add_argument("--size", choices=official.DFINE_SIZES, default="s")
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--variants", default=",".join(VARIANTS), help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", default="default", help="torch.compile's, e.g. max-autotune-no-cudagraphs (slow)")
    parser.add_argument("--backend", default="inductor", help="torch.compile's")
    parser.add_argument("--limit-s", type=float, default=1e9, help="start no variant after that many seconds")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    options = parse()
    begin = time.perf_counter()
    frame = read_frame(options.frame)
    torch.backends.cudnn.benchmark = True
    on_gpu = options.device.startswith("cuda")
    report = {"device": torch.cuda.get_device_name() if on_gpu else "cpu", "torch": torch.__version__,
              "mode": options.mode, "opencv": cv2 is not None, "peers": {}}
    n_failed, runners = 0, Runners(options, frame)
    with torch.no_grad():
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        reference = Eager(Networks(options, frame.shape, half=False)).run(frame)
        print(f"float32: score {reference[0]:.4f} box {' '.join(f'{x:.2f}' for x in reference[1])} "
              f"iou {reference[3]:.4f}", flush=True)
        for name in options.variants.split(","):
            start = time.perf_counter()
            if start - begin > options.limit_s:
                print(f"{name:20} left out: {start - begin:.0f} s used", flush=True)
                continue
            try:
                runner = runners.prepare(name)
                runner.run(frame)
                open_s = time.perf_counter() - start
                row = {**measure(runner, frame, options), "open_s": open_s,
                       **compare(runner.run(frame), reference)}
            except Exception:  # another variant may still work
                traceback.print_exc()
                n_failed += 1
                continue
            report["peers"][name] = row
            print(f"{name:20} p50 {row['p50']:8.3f} p99 {row['p99']:8.3f} max {row['max']:8.3f} ms   "
                  f"box {row['box_px']:.3f} px, IoU {row['iou']:.4f}, ready after {open_s:.1f} s", flush=True)
            if options.json:
                with open(options.json, "w", encoding="utf-8") as file:
                    json.dump(report, file, indent=2)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
