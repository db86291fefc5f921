# SPDX-License-Identifier: Apache-2.0
"""The losses of MobileSAM (focal, dice, regression of the IoU), and prompts with jitter.

After "Segment Anything", arxiv.org/abs/2304.02643, appendix A: focal and dice loss in the ratio 20 : 1, mean squared
error of the predicted IoU with weight 1, box prompts with noise of a tenth of the box's side, at most 20 px. The
official MobileSAM repository has no code that trains MobileSAM. Other than there, the focal loss weighs both classes
alike: with a quarter for the mask, outlines of bones came out 3 % small.
"""
import torch
from torch.nn import functional as F

WEIGHTS = {"focal": 20.0, "dice": 1.0, "iou": 1.0}
FOCAL_ALPHA, FOCAL_GAMMA = 0.5, 2.0
JITTER_OF_SIDE = 0.1
LARGEST_JITTER_PX = 20.0
SMALLEST_SIDE_PX = 1.0


def focal_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Logits and masks (0 or 1) [P, H, W] -> [P], mean over the pixels."""
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    p = logits.sigmoid()
    p_wrong = p + masks - 2 * p * masks
    alpha = FOCAL_ALPHA * masks + (1 - FOCAL_ALPHA) * (1 - masks)
    return (alpha * p_wrong ** FOCAL_GAMMA * entropy).mean((-2, -1))


def dice_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """[P, H, W] -> [P]; one pixel is added to both sides, so that an empty mask has a gradient."""
    p = logits.sigmoid()
    common = (p * masks).sum((-2, -1))
    return 1 - (2 * common + 1) / (p.sum((-2, -1)) + masks.sum((-2, -1)) + 1)


@torch.no_grad()
def true_iou(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """[P, H, W] -> [P]; 0 where the true mask is empty, so that a box on nothing should be reported as such."""
    found, wanted = logits > 0, masks > 0.5
    common = (found & wanted).sum((-2, -1))
    return common / (found | wanted).sum((-2, -1)).clamp(min=1)


def segmentation_losses(logits: torch.Tensor, iou: torch.Tensor, masks: torch.Tensor) -> dict[str, torch.Tensor]:
    """Weighted means over P prompts: mask logits [P, H, W], predicted IoU [P], true masks (0 or 1) [P, H, W]."""
    logits, iou, masks = logits.float(), iou.float(), masks.float()
    parts = {"focal": focal_loss(logits, masks), "dice": dice_loss(logits, masks),
             "iou": (iou - true_iou(logits, masks)) ** 2}
    return {name: WEIGHTS[name] * value.mean() for name, value in parts.items()}


def jitter_boxes(boxes: torch.Tensor, height_px: int, width_px: int,
                 generator: torch.Generator | None = None) -> torch.Tensor:
    """Boxes x1 y1 x2 y2 [P, 4] px with each edge moved at random, inside the frame and at least 1 px wide and high."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn(boxes.shape, generator=generator, device=boxes.device) * JITTER_OF_SIDE * sides
    moved = boxes + noise.clamp(-LARGEST_JITTER_PX, LARGEST_JITTER_PX)
    low = torch.minimum(moved[:, :2], moved[:, 2:])
    high = torch.maximum(moved[:, :2], moved[:, 2:])
    limit = torch.tensor((width_px - 1.0, height_px - 1.0), device=boxes.device)
    low = low.clamp(min=0.0).minimum(limit - SMALLEST_SIDE_PX)
    return torch.cat((low, high.minimum(limit).maximum(low + SMALLEST_SIDE_PX)), 1)
