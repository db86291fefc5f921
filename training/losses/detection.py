# SPDX-License-Identifier: Apache-2.0
"""The losses of D-FINE: classes (VFL), boxes (L1, GIoU), edge distributions (FGL) and self-distillation (DDF).

Mathematics after Peterande/D-FINE src/zoo/dfine/dfine_criterion.py:88-460 and src/zoo/dfine/matcher.py:52-133, weights
after configs/dfine/include/dfine_hgnetv2.yml:71-82 @ 4a1f73a8bcfac736a88abde9596d87f116d780a7.

Class losses use each prediction's own assignment. Box and edge losses use one assignment for all predictions: every
query that some prediction gave a target, with the target it was given most often.
"""
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F

from models.boxes import N_BINS, edge_targets, overlaps, to_corners
from models.decoder import DecoderOutput, Prediction

WEIGHTS = {"vfl": 1.0, "l1": 5.0, "giou": 2.0, "fgl": 0.15, "ddf": 1.5}
COST_CLASS, COST_L1, COST_GIOU = 2.0, 5.0, 2.0
COST_ALPHA, COST_GAMMA = 0.25, 2.0
VFL_ALPHA, VFL_GAMMA = 0.75, 2.0
TEMPERATURE = 5.0
ON_NOTHING = 0.1

Targets = list[dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Truth:
    """The boxes of all images one after another; those of image i start at first[i]."""
    labels: torch.Tensor
    boxes: torch.Tensor
    first: list[int]

    @staticmethod
    def of(targets: Targets) -> "Truth":
        counts = [len(target["labels"]) for target in targets]
        return Truth(torch.cat([target["labels"] for target in targets]),
                     torch.cat([target["boxes"] for target in targets]).float(),
                     [0, *np.cumsum(counts).tolist()])


@dataclass(frozen=True)
class Matches:
    """Pairs of a query (image, index) and a target (index into Truth), three int64 tensors of equal length."""
    image: torch.Tensor
    query: torch.Tensor
    target: torch.Tensor

    def __len__(self) -> int:
        return len(self.image)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The rows of [B, Q, ...] that are matched."""
        return values[self.image, self.query]

    @staticmethod
    def on(device: torch.device, rows: np.ndarray) -> "Matches":
        """From int64 [n, 3] rows of image, query, target."""
        return Matches(*torch.from_numpy(rows.reshape(-1, 3)).to(device).unbind(1))


@torch.no_grad()
def match_costs(prediction: Prediction, truth: Truth) -> torch.Tensor:
    """[B, Q, T]: what it costs to give each query each target of the batch."""
    p = prediction.logits.float().sigmoid()[..., truth.labels]
    if_present = COST_ALPHA * (1 - p) ** COST_GAMMA * -(p + 1e-8).log()
    if_absent = (1 - COST_ALPHA) * p ** COST_GAMMA * -(1 - p + 1e-8).log()
    boxes = prediction.boxes.float()
    l1 = (boxes[:, :, None] - truth.boxes).abs().sum(-1)
    giou = overlaps(to_corners(boxes)[:, :, None], to_corners(truth.boxes))[1]
    return COST_CLASS * (if_present - if_absent) + COST_L1 * l1 - COST_GIOU * giou


def match(predictions: list[Prediction], truth: Truth) -> list[np.ndarray]:
    """Per prediction the cheapest one-to-one assignment: int64 rows of image, query, target."""
    costs = torch.stack([match_costs(prediction, truth) for prediction in predictions])
    costs = costs.nan_to_num(nan=1.0).cpu().numpy()
    assignments = []
    for cost in costs:
        rows = [np.zeros((0, 3), np.int64)]
        for image, (start, end) in enumerate(zip(truth.first, truth.first[1:])):
            query, target = linear_sum_assignment(cost[image, :, start:end])
            rows.append(np.stack((np.full_like(query, image), query, target + start), 1))
        assignments.append(np.concatenate(rows))
    return assignments


def unite(assignments: list[np.ndarray]) -> np.ndarray:
    """Every query of any assignment, with the target that it has most often (the first one of equals)."""
    rows, counts = np.unique(np.concatenate(assignments), axis=0, return_counts=True)
    rows = rows[np.argsort(-counts, kind="stable")]
    _, first = np.unique(rows[:, :2], axis=0, return_index=True)
    return rows[first]


def matched_iou(prediction: Prediction, matches: Matches, truth: Truth) -> torch.Tensor:
    """[n] without gradient."""
    found = to_corners(matches.of(prediction.boxes).detach().float())
    return overlaps(found, to_corners(truth.boxes[matches.target]))[0]


def class_loss(prediction: Prediction, matches: Matches, truth: Truth, n_boxes: float) -> torch.Tensor:
    """Varifocal loss: a matched query's score should be its IoU; other scores weigh by how wrong they are."""
    logits = prediction.logits.float()
    wanted, positive = torch.zeros_like(logits), torch.zeros_like(logits)
    place = (matches.image, matches.query, truth.labels[matches.target])
    wanted[place] = matched_iou(prediction, matches, truth)
    positive[place] = 1.0
    weight = VFL_ALPHA * logits.detach().sigmoid() ** VFL_GAMMA * (1 - positive) + wanted
    return F.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="sum") / n_boxes


def box_losses(prediction: Prediction, matches: Matches, truth: Truth, n_boxes: float) -> dict[str, torch.Tensor]:
    boxes, wanted = matches.of(prediction.boxes).float(), truth.boxes[matches.target]
    giou = overlaps(to_corners(boxes), to_corners(wanted))[1]
    return {"l1": (boxes - wanted).abs().sum() / n_boxes, "giou": (1 - giou).sum() / n_boxes}


def edge_loss(prediction: Prediction, matches: Matches, truth: Truth, n_boxes: float, output: DecoderOutput):
    """Fine-grained localisation: cross entropy with the two bins around each true edge, weighted by the IoU."""
    wanted = to_corners(truth.boxes[matches.target])
    lower, of_upper, of_lower = edge_targets(matches.of(prediction.reference).float(), wanted,
                                             output.up.float(), output.reg_scale)
    edges = matches.of(prediction.edges).float().view(-1, N_BINS)
    entropy = (F.cross_entropy(edges, lower, reduction="none") * of_lower
               + F.cross_entropy(edges, lower + 1, reduction="none") * of_upper)
    return (entropy * matched_iou(prediction, matches, truth).repeat_interleave(4)).sum() / n_boxes


def distillation_shares(n_images: int, n_queries: int, n_matched: int) -> tuple[float, float]:
    """Shares of the matched and of the other queries in the distillation loss: as the roots of their numbers."""
    matched, others = n_matched ** 0.5, (n_images * n_queries - n_matched) ** 0.5
    return matched / (matched + others), others / (matched + others)


def distillation_loss(prediction: Prediction, teacher: Prediction, matches: Matches, truth: Truth,
                      shares: tuple[float, float]) -> torch.Tensor:
    """Divergence of every query's edges from the last layer's; weighted by IoU if matched, else by its score there."""
    student = prediction.edges.float().unflatten(-1, (4, N_BINS)) / TEMPERATURE
    wanted = teacher.edges.detach().float().unflatten(-1, (4, N_BINS)) / TEMPERATURE
    divergence = F.kl_div(student.log_softmax(-1), wanted.softmax(-1), reduction="none").sum(-1).mean(-1)
    weight = teacher.logits.detach().float().sigmoid().amax(-1)
    matched = torch.zeros_like(weight)
    weight[matches.image, matches.query] = matched_iou(prediction, matches, truth)
    matched[matches.image, matches.query] = 1.0
    loss = weight * divergence * TEMPERATURE ** 2
    mean_matched = (loss * matched).sum() / max(len(matches), 1)
    mean_others = (loss * (1 - matched)).sum() / max(matched.numel() - len(matches), 1)
    return shares[0] * mean_matched + shares[1] * mean_others


def layer_losses(prediction: Prediction, own: Matches, common: Matches, truth: Truth, n_own: float,
                 n_common: float) -> dict[str, torch.Tensor]:
    """Class and box losses of one prediction, not yet weighted."""
    return {"vfl": class_loss(prediction, own, truth, n_own), **box_losses(prediction, common, truth, n_common)}


def detection_losses(output: DecoderOutput, targets: Targets) -> dict[str, torch.Tensor]:
    """Every loss, weighted, as `kind.place`; their sum is what training minimises.

    output: of a Dfine in training mode. targets: per image {"labels": int64 [n], "boxes": [n, 4] cx cy w h}; an
    image may have none. Places: layer0 ... (the last one is the result), initial, selected, and noisy. before each for
    the denoising queries.
    """
    truth = Truth.of(targets)
    device = output.logits.device
    n_layers = len(output.layers)
    predictions = [*output.layers, output.initial, output.selected]
    names = [f"layer{i}" for i in range(n_layers)] + ["initial", "selected"]
    assignments = match(predictions, truth)
    common = Matches.on(device, unite(assignments))
    n_boxes, n_common = max(len(truth.labels), 1), max(len(common), 1)
    shares = distillation_shares(*output.logits.shape[:2], len(common))

    losses = {}
    for index, (name, prediction) in enumerate(zip(names, predictions)):
        own = Matches.on(device, assignments[index])
        parts = layer_losses(prediction, own, common, truth, n_boxes, n_common)
        if index < n_layers:
            parts["fgl"] = edge_loss(prediction, common, truth, n_common, output)
        if index < n_layers - 1:
            parts["ddf"] = distillation_loss(prediction, output.layers[-1], common, truth, shares)
        losses |= {f"{kind}.{name}": WEIGHTS[kind] * value for kind, value in parts.items()}
    if output.denoising is not None:
        losses |= denoising_losses(output, truth, n_boxes, shares)
    return {name: value.nan_to_num(nan=0.0) for name, value in losses.items()}


def silence_loss(output: DecoderOutput, targets: Targets) -> torch.Tensor:
    """The result's highest score in each image among the boxes that lie on nothing (IoU with each target below
    ON_NOTHING), as cross entropy with 0; mean over the images.

    Of D-FINE's losses the varifocal one forgives a score of 0.3 on nothing (its weight is 0.75 times the square), and
    shares what is left among 300 queries. Here the best box alone is used, so its score on a frame that shows nothing is
    a false alarm.
    """
    highest = []
    for logits, boxes, target in zip(output.logits.float(), output.boxes.detach().float(), targets):
        scores = logits.amax(-1)
        if len(target["boxes"]):
            iou = overlaps(to_corners(boxes)[:, None], to_corners(target["boxes"].float()))[0]
            scores = scores.masked_fill(iou.amax(-1) >= ON_NOTHING, -torch.inf)
        highest.append(scores.amax())
    return F.softplus(torch.stack(highest)).mean()


def denoising_losses(output: DecoderOutput, truth: Truth, n_boxes: float, shares) -> dict[str, torch.Tensor]:
    """The same losses of the denoising queries, whose assignment is known."""
    rows = [torch.stack((torch.full_like(query, image), query, target + truth.first[image]), 1)
            for image, (query, target) in enumerate(output.denoising.matches)]
    matches = Matches(*torch.cat(rows).unbind(1))
    n_boxes = n_boxes * output.denoising.n_groups
    layers = output.denoising_layers
    losses = {}
    for index, prediction in enumerate([*layers, output.denoising_initial]):
        parts = layer_losses(prediction, matches, matches, truth, n_boxes, n_boxes)
        if index < len(layers):
            parts["fgl"] = edge_loss(prediction, matches, truth, n_boxes, output)
        if index < len(layers) - 1:
            parts["ddf"] = distillation_loss(prediction, layers[-1], matches, truth, shares)
        name = f"layer{index}" if index < len(layers) else "initial"
        losses |= {f"{kind}.noisy.{name}": WEIGHTS[kind] * value for kind, value in parts.items()}
    return losses
