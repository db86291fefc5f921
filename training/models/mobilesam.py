# SPDX-License-Identifier: Apache-2.0
"""MobileSAM (vit_t): image encoder, prompt encoder and mask decoder, with the resizing before and after.

Assembly after ChaoningZhang/MobileSAM mobile_sam/modeling/sam.py:19-180 and mobile_sam/build_sam.py:44-88 @
34bbbfdface3c18e5221aa7de6032d7220c6c6a1.
"""
import torch
from torch import nn
from torch.nn import functional as F

from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .tiny_vit import TinyViT

INPUT_SIZE_PX = 1024
MAP_STRIDE = 16
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def input_scale(height_px: int, width_px: int) -> float:
    """Factor from source pixels to pixels of the network's input."""
    return INPUT_SIZE_PX / max(height_px, width_px)


def scaled_size(height_px: int, width_px: int) -> tuple[int, int]:
    """(height, width) of the frame inside the network's input; the rest is padding."""
    scale = input_scale(height_px, width_px)
    return int(height_px * scale + 0.5), int(width_px * scale + 0.5)


def prepare(luma: torch.Tensor) -> torch.Tensor:
    """[B, 1, H, W] in 0..255 -> [B, 3, 1024, 1024], normalised, padded right and below with zeros."""
    height, width = scaled_size(*luma.shape[2:])
    x = F.interpolate(luma, (height, width), mode="bilinear", antialias=True, align_corners=False)
    mean = torch.tensor(PIXEL_MEAN, device=luma.device).view(1, 3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=luma.device).view(1, 3, 1, 1)
    return F.pad((x - mean) / std, (0, INPUT_SIZE_PX - width, 0, INPUT_SIZE_PX - height))


def restore(logits: torch.Tensor, height_px: int, width_px: int) -> torch.Tensor:
    """Mask logits [P, n, 256, 256] -> [P, n, H, W] of the source frame."""
    height, width = scaled_size(height_px, width_px)
    square = F.interpolate(logits, (INPUT_SIZE_PX,) * 2, mode="bilinear", align_corners=False)
    return F.interpolate(square[..., :height, :width], (height_px, width_px), mode="bilinear", align_corners=False)


class MobileSam(nn.Module):
    """Prepared images and box prompts -> mask logits and predicted IoU."""

    def __init__(self):
        super().__init__()
        self.image_encoder = TinyViT()
        self.prompt_encoder = PromptEncoder(INPUT_SIZE_PX, INPUT_SIZE_PX // MAP_STRIDE)
        self.mask_decoder = MaskDecoder()

    def segment(self, embedding: torch.Tensor, boxes: torch.Tensor,
                image_index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings [B, 256, 64, 64]; P boxes x1 y1 x2 y2 in input pixels, box p on image image_index[p].

        Returns logits [P, 4, 256, 256] and predicted IoU [P, 4]; mask 0 is the one for boxes.
        """
        return self.mask_decoder(embedding[image_index], self.prompt_encoder.dense_position(),
                                 self.prompt_encoder.boxes(boxes), self.prompt_encoder.no_mask(len(boxes)))

    def forward(self, images: torch.Tensor, boxes: torch.Tensor,
                image_index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.segment(self.image_encoder(images), boxes, image_index)
