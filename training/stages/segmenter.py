# SPDX-License-Identifier: Apache-2.0
"""The training of MobileSAM: prompts with their masks, windows of the network's input, what is left as it was.

A prompt is a jittered box around one structure, whose mask is that structure alone; or around a part of one, between two
columns, whose mask is that part; or a box on nothing, whose mask is empty and whose IoU is 0. Where a window shows one
structure the first kind alone would teach nothing about the box: the parts give one image several answers. Only what
the product uses is trained: mask 0 and its predicted IoU. The filters of masks 1..3, the classifier head, and the
encodings of points and masks keep their initial values.

The encoder costs most of a step, so training may begin with windows: it sees a part of the 1024 x 1024 input at full
scale, its tokens are encoded at their true places, boxes stay in pixels of the whole input, and the loss looks at the
window. A multiple of 224 px fits TinyViT's attention windows (14 tokens of 16 px): 256 px would cost three times as
much for a third more pixels, as attention pads. Small windows hold little padding, so the last part of a schedule
should be the whole input, for the batch norms' sake too.
"""
import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from augment import augment
from losses.segmentation import jitter_boxes, segmentation_losses, true_iou
from models.mobilesam import INPUT_SIZE_PX, MAP_STRIDE, MobileSam, input_scale, prepare, restore
from samples import Samples, boxes_of
from stages import decay_groups

TARGET_STRIDE = 2  # input pixels per pixel of the masks that the loss compares, close to one source pixel
LOGIT_STRIDE = 4
SMALL_WINDOW_PX = INPUT_SIZE_PX // 4  # up to this size two windows are cut from an augmented frame
MOST_PROMPTS = 3  # on structures, per window
SHARE_OF_PARTS = 0.7  # of the prompts on structures that come with one on a part of it as well
PART_WIDTH = (0.15, 0.7)  # range of the width of such a part, as a share of its structure's
LEAST_PART_PX = 8  # its least width in source pixels
FEWEST_PIXELS = 8  # of a structure in a window for a prompt; in target pixels
SHARE_ON_NOTHING = 0.25  # of the windows on frames with structures that get a box on nothing as well, but only
NOTHING_FROM = 0.35  # after this share of the training: before it can use boxes, a network learns to doubt from them
NOTHING_SIDE = (0.06, 0.7)  # range of the sides of such a box, as a share of the frame's sides
N_TRIES = 8
WEIGHT_DECAY = 0.01
UNUSED = ("image_encoder.norm_head", "image_encoder.head", "prompt_encoder.not_a_point_embed",
          "prompt_encoder.point_embeddings.0", "prompt_encoder.point_embeddings.1", "prompt_encoder.mask_downscaling",
          "mask_decoder.output_hypernetworks_mlps.1", "mask_decoder.output_hypernetworks_mlps.2",
          "mask_decoder.output_hypernetworks_mlps.3")


@dataclass(frozen=True)
class Phase:
    """Windows of `size_px` until the share `until` of the training is done."""
    size_px: int
    until: float


def parse_phases(text: str) -> list[Phase]:
    """`224:0.6,448:0.9,1024`, or `1024` for the whole training."""
    rows = [part.partition(":") for part in text.split(",")]
    try:
        phases = [Phase(int(size), float(until or 1)) for size, _, until in rows]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: expected SIZE:UNTIL,...,SIZE, such as 224:0.6,1024") from None
    untils = [phase.until for phase in phases]
    if untils != sorted(set(untils)) or untils[0] <= 0 or untils[-1] != 1:
        raise argparse.ArgumentTypeError(f"{text}: shares must rise from above 0 to 1")
    if any(phase.size_px % MAP_STRIDE or not MAP_STRIDE <= phase.size_px <= INPUT_SIZE_PX for phase in phases):
        raise argparse.ArgumentTypeError(f"{text}: sizes must be multiples of {MAP_STRIDE} up to {INPUT_SIZE_PX}")
    return phases


@dataclass(frozen=True)
class Prompts:
    """P boxes [P, 4] in input pixels, the window that each looks at [P], masks uint8 [P, size/2, size/2]."""
    boxes: torch.Tensor
    window: torch.Tensor
    masks: torch.Tensor


def labels_of_input(labels: torch.Tensor) -> torch.Tensor:
    """Labels [B, H, W] of frames -> [B, 512, 512], the label at the middle of each 2 x 2 pixels of the input."""
    height, width = labels.shape[1:]
    n_target = INPUT_SIZE_PX // TARGET_STRIDE
    middle = (torch.arange(n_target, device=labels.device) + 0.5) * (TARGET_STRIDE / input_scale(height, width))
    row, column = middle.long(), middle.long()
    found = labels[:, row.clamp(max=height - 1)][:, :, column.clamp(max=width - 1)]
    return found * ((row < height)[:, None] & (column < width))


class SegmenterStage:
    """MobileSAM from scratch, without a teacher."""

    name = "segmenter"
    checkpoint_name = "segmenter.pt"
    learning_rate = 1e-3
    batch = 32

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser):
        parser.add_argument(
            "--windows", type=parse_phases, default=[Phase(INPUT_SIZE_PX, 1.0)], metavar="SIZE:UNTIL,...,SIZE",
            help="sides in px of the windows of the input that it trains on, each until that share of the training, "
                 "for slow machines: 224:0.6,448:0.9,1024 (default 1024, the whole input)")

    def set_up(self, options: argparse.Namespace) -> None:
        self.phases = options.windows
        self.generator = torch.Generator(options.device).manual_seed(options.seed)
        self.dice = torch.Generator().manual_seed(options.seed)
        self.plain_share = options.plain_share
        self.share_on_nothing, self.share_of_parts = SHARE_ON_NOTHING, SHARE_OF_PARTS

    def build(self, options: argparse.Namespace) -> MobileSam:
        module = MobileSam()
        for name in UNUSED:
            module.get_submodule(name).requires_grad_(False)
        return module

    def parameter_groups(self, module: MobileSam, lr: float) -> list[dict]:
        return decay_groups(module, lr, WEIGHT_DECAY)

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return (figures["iou"],)

    def checkpoint(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return state

    def inputs(self, samples: Samples, progress: float) -> tuple[torch.Tensor, torch.Tensor, Prompts]:
        """Windows, corners, prompts. Later phases take fewer of the frames, so that a step costs about the same (at
        least one whole frame)."""
        self.share_on_nothing = SHARE_ON_NOTHING if progress >= NOTHING_FROM else 0.0
        size_px = next((phase.size_px for phase in self.phases if progress < phase.until), self.phases[-1].size_px)
        n_frames = round(len(samples) * pixels_a_frame(self.phases[0].size_px) / pixels_a_frame(size_px))
        frames = samples.rows(slice(max(1, n_frames)))
        return self._windows(augment(frames, self.generator, self.plain_share), size_px)

    def losses(self, module: MobileSam, inputs: tuple[torch.Tensor, torch.Tensor, Prompts]) -> dict[str, torch.Tensor]:
        images, corners, prompts = inputs
        logits, iou = segment_windows(module, images, corners, prompts)
        return segmentation_losses(logits, iou, prompts.masks)

    @torch.no_grad()
    def evaluate(self, module: MobileSam, sets: Sequence[Samples]) -> dict[str, float]:
        """Over all structures, with jittered true boxes and the whole input, the same jitter each time."""
        generator, judged = torch.Generator().manual_seed(0), []
        for samples in sets:
            judged += self._judge(module, samples, generator)
        ious, predicted = (torch.cat(values) for values in zip(*judged))
        return {"iou": ious.mean().item(), "iou_error": (predicted - ious).abs().mean().item()}

    @staticmethod
    def _judge(module: MobileSam, samples: Samples, generator: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """True and predicted IoU of the structures of each frame that has any."""
        height, width = samples.labels.shape[1:]
        device, judged = samples.labels.device, []
        for i, boxes in enumerate(boxes_of(samples.labels)):
            if not len(boxes):
                continue
            jittered = jitter_boxes(boxes, height, width, generator) * input_scale(height, width)
            first = torch.zeros(len(boxes), dtype=torch.long, device=device)
            logits, predicted = module(prepare(samples.images[i:i + 1]), jittered.to(device), first)
            frame = samples.labels[i]
            masks = torch.stack([frame == label for label in present_labels(frame)])
            judged.append((true_iou(restore(logits[:, :1].float(), height, width)[:, 0], masks), predicted[:, 0]))
        return judged

    def _windows(self, samples: Samples, size_px: int) -> tuple[torch.Tensor, torch.Tensor, Prompts]:
        """Prepared windows [B, 3, size, size], their corners [B, 2] (x, y) px on the CPU, and the prompts on them.

        Prompts are many small decisions: made on a GPU each would wait for whatever the training is at there.
        """
        device, images = samples.labels.device, prepare(samples.images)
        labels, frame_labels = labels_of_input(samples.labels).cpu(), samples.labels.cpu()
        parts, corners, boxes, masks = [], [], [], []
        for i, frame_boxes in enumerate(boxes_of(samples.labels)):
            for _ in range(windows_a_frame(size_px)):
                corner = self._place(labels[i], frame_labels.shape[1:], size_px)
                x, y = corner.tolist()
                seen = cut(labels[i], x // TARGET_STRIDE, y // TARGET_STRIDE, size_px // TARGET_STRIDE)
                prompts = self._prompts(frame_labels[i], frame_boxes, seen, x)
                parts.append(cut(images[i], x, y, size_px))
                corners.append(corner)
                boxes.append(prompts[0])
                masks += prompts[1]
        n_prompts = torch.tensor([len(of_window) for of_window in boxes])
        window = torch.arange(len(boxes)).repeat_interleave(n_prompts)
        scale = input_scale(*frame_labels.shape[1:])
        return (torch.stack(parts).contiguous(memory_format=torch.channels_last), torch.stack(corners),
                Prompts((torch.cat(boxes) * scale).to(device), window.to(device), torch.stack(masks).to(device)))

    def _place(self, labels, frame_size, size_px):
        """Corner x, y of a window, on the grid of tokens: near a structure, anywhere in an empty frame."""
        if size_px == INPUT_SIZE_PX:
            return torch.zeros(2, dtype=torch.long)
        hits = labels.nonzero()
        if len(hits):
            middle = hits[self._below(len(hits))].flip(0) * TARGET_STRIDE
        else:
            height, width = frame_size
            middle = self._uniform(2) * torch.tensor((width, height)) * input_scale(height, width)
        corner = middle + (self._uniform(2) - 0.5) * (size_px / 1.5) - size_px / 2
        return ((corner / MAP_STRIDE).round() * MAP_STRIDE).clamp(0, INPUT_SIZE_PX - size_px).long()

    def _prompts(self, labels, boxes, window, window_x):
        """Boxes [n, 4] in source pixels and n masks [h, w] for the `window` of one frame's labels, whose left edge is
        at window_x in input pixels."""
        height, width = labels.shape
        numbers = present_labels(labels)
        order = torch.randperm(len(numbers), generator=self.dice).tolist()
        seen = [i for i in order if int((window == numbers[i]).sum()) >= FEWEST_PIXELS][:MOST_PROMPTS]
        masks = [(window == numbers[i]).to(torch.uint8) for i in seen]
        around = [boxes[i] for i in seen]
        for i in seen:
            if self._uniform(1).item() < self.share_of_parts:
                part = self._part(labels == numbers[i], boxes[i], window == numbers[i], window_x)
                around += part[:1]
                masks += part[1:]
        chosen = jitter_boxes(torch.stack(around) if around else boxes[:0], height, width, self.dice)
        if not seen or self._uniform(1).item() < self.share_on_nothing:
            nothing = self._box_on_nothing(labels)
            chosen = torch.cat((chosen, nothing))
            masks += [torch.zeros_like(window)] * len(nothing)
        return chosen, masks

    def _part(self, structure, box, seen, window_x):
        """[box [4] in source pixels, mask like `seen`] of the part of a structure between two columns, around a pixel
        that the window shows; [] for a structure that is too narrow."""
        low, high = PART_WIDTH
        side_px = (box[2] - box[0]).item() * (low + (high - low) * self._uniform(1).item())
        if side_px < LEAST_PART_PX:
            return []
        source_px = TARGET_STRIDE / input_scale(*structure.shape)  # per pixel of `seen`
        columns = (window_x / TARGET_STRIDE + torch.arange(seen.shape[1]) + 0.5) * source_px
        middle = columns[seen.any(0).nonzero().flatten()[self._below(int(seen.any(0).sum()))]].item()
        first = round(middle - side_px * self._uniform(1).item())
        end = first + round(side_px)
        inside = structure.clone()
        inside[:, :max(first, 0)] = False
        inside[:, end:] = False
        mask = seen & ((columns >= first) & (columns < end))
        if not inside.any() or int(mask.sum()) < FEWEST_PIXELS:
            return []
        return [boxes_of(inside[None].to(torch.uint8))[0][0], mask.to(torch.uint8)]

    def _box_on_nothing(self, labels):
        """[1, 4] px, or [0, 4] when each try hit a structure."""
        height, width = labels.shape
        size = torch.tensor((width, height))
        low, high = NOTHING_SIDE
        for _ in range(N_TRIES):
            sides = size * low * (high / low) ** self._uniform(2)
            corner = self._uniform(2) * (size - sides)
            x1, y1, x2, y2 = torch.cat((corner, corner + sides)).round().long().tolist()
            if not labels[y1:y2 + 1, x1:x2 + 1].any():
                return torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32)
        return torch.zeros((0, 4))

    def _uniform(self, n):
        return torch.rand(n, generator=self.dice)

    def _below(self, n):
        return torch.randint(n, (), generator=self.dice)


def present_labels(labels: torch.Tensor) -> list[int]:
    """Of one frame, in ascending order, without the background."""
    return [label for label in labels.flatten().bincount().nonzero().flatten().tolist() if label]


def windows_a_frame(size_px: int) -> int:
    return 2 if size_px <= SMALL_WINDOW_PX else 1


def pixels_a_frame(size_px: int) -> int:
    """What the encoder sees of each frame."""
    return windows_a_frame(size_px) * size_px ** 2


def cut(image: torch.Tensor, x: int, y: int, size: int) -> torch.Tensor:
    """A square of the last two dimensions."""
    return image[..., y:y + size, x:x + size]


def segment_windows(module: MobileSam, images: torch.Tensor, corners: torch.Tensor,
                    prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [P, size/2, size/2] of mask 0 and its predicted IoU [P], for windows [B, 3, size, size]."""
    embedding = module.image_encoder(images)
    n_tokens = embedding.shape[-1]
    with torch.autocast(images.device.type, enabled=False):
        everywhere = module.prompt_encoder.dense_position()[0]
        position = torch.stack([cut(everywhere, x, y, n_tokens) for x, y in (corners // MAP_STRIDE).tolist()])
        sparse = module.prompt_encoder.boxes(prompts.boxes)
    dense = module.prompt_encoder.no_mask(len(prompts.boxes))[..., :n_tokens, :n_tokens]
    logits, iou = module.mask_decoder(embedding[prompts.window], position[prompts.window], sparse, dense)
    finer = F.interpolate(logits[:, :1], scale_factor=LOGIT_STRIDE // TARGET_STRIDE, mode="bilinear")
    return finer[:, 0], iou[:, 0]
