# SPDX-License-Identifier: Apache-2.0
"""The decoder of D-FINE: queries chosen among the encoder's tokens, refined layer by layer.

Mathematics and names after Peterande/D-FINE src/zoo/dfine/dfine_decoder.py:33-959 and src/zoo/dfine/utils.py:17-152 @
4a1f73a8bcfac736a88abde9596d87f116d780a7. Every layer refines four distributions over edge offsets from one common
reference box; a box is the mean of its distributions.
"""
import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from .boxes import N_BINS, bin_offsets, logit, move_edges
from .denoising import DenoisingQueries, make_denoising
from .hybrid_encoder import ConvNorm
from .layers import Mlp

N_HEADS = 8
N_QUERIES = 300
N_TOP_BINS = 4
ANCHOR_SIZE = 0.05
ANCHOR_MARGIN = 0.01
LARGEST_FLOAT16 = 65504
PRIOR_LOGIT = -math.log(99)


@dataclass(frozen=True)
class DecoderConfig:
    """Channels and counts of one size; `n_points` and `strides` have one entry per level, fine to coarse."""
    n_classes: int
    n_in: int
    n_channels: int
    n_feedforward: int
    n_layers: int
    n_points: tuple[int, ...]
    strides: tuple[int, ...]
    reg_scale: int
    input_size_px: int
    n_denoising: int


@dataclass
class Prediction:
    """What one head says about Q queries."""
    logits: torch.Tensor
    """[B, Q, n_classes]"""
    boxes: torch.Tensor
    """[B, Q, 4] cx cy w h in [0, 1]"""
    edges: torch.Tensor | None = None
    """[B, Q, 4 * 33] logits of the bins of the left, top, right and bottom edge"""
    reference: torch.Tensor | None = None
    """[B, Q, 4] the box that the edges are offsets from, without gradient"""

    def split(self, n_first: int) -> "tuple[Prediction, Prediction]":
        """The first `n_first` queries and the others."""
        parts = [None if value is None else (value[:, :n_first], value[:, n_first:])
                 for value in (self.logits, self.boxes, self.edges, self.reference)]
        return tuple(Prediction(*(part and part[side] for part in parts)) for side in (0, 1))


@dataclass
class DecoderOutput:
    """`layers` holds every layer's prediction in training mode and the last one's otherwise; the rest is for losses."""
    layers: list[Prediction]
    up: torch.Tensor
    reg_scale: torch.Tensor
    initial: Prediction | None = None
    selected: Prediction | None = None
    denoising: DenoisingQueries | None = None
    denoising_layers: list[Prediction] = field(default_factory=list)
    denoising_initial: Prediction | None = None

    @property
    def logits(self) -> torch.Tensor:
        return self.layers[-1].logits

    @property
    def boxes(self) -> torch.Tensor:
        return self.layers[-1].boxes


class DeformableAttention(nn.Module):
    """Each head of a query reads a few points of every level, placed relative to the query's box."""

    def __init__(self, n_channels, n_points):
        super().__init__()
        n_total = sum(n_points)
        self.n_points = n_points
        self.register_buffer("num_points_scale", torch.tensor([1 / n for n in n_points for _ in range(n)]))
        self.sampling_offsets = nn.Linear(n_channels, N_HEADS * n_total * 2)
        self.attention_weights = nn.Linear(n_channels, N_HEADS * n_total)
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self._spread_points()

    def _spread_points(self):
        """Head h starts looking in direction h, its k-th point of a level k steps out."""
        angle = torch.arange(N_HEADS) * (2 * math.pi / N_HEADS)
        direction = torch.stack((angle.cos(), angle.sin()), -1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        steps = torch.cat([torch.arange(1, n + 1) for n in self.n_points])
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((direction[:, None] * steps[:, None]).flatten())

    def forward(self, query: torch.Tensor, boxes: torch.Tensor, levels: list[torch.Tensor]) -> torch.Tensor:
        """query [B, Q, C], boxes [B, Q, 4], levels [B*heads, C/heads, H, W] -> [B, Q, C]."""
        n_images, n_queries, n_channels = query.shape
        shape = (n_images, n_queries, N_HEADS, sum(self.n_points))
        weights = self.attention_weights(query).view(shape).softmax(-1)
        offsets = self.sampling_offsets(query).view(*shape, 2)
        offsets = offsets * self.num_points_scale[:, None] * boxes[:, :, None, None, 2:] * 0.5
        places = 2 * (boxes[:, :, None, None, :2] + offsets) - 1
        places = places.transpose(1, 2).flatten(0, 1).split(self.n_points, 2)
        samples = [F.grid_sample(level, place, mode="bilinear", padding_mode="zeros", align_corners=False)
                   for level, place in zip(levels, places)]
        weights = weights.transpose(1, 2).flatten(0, 1)[:, None]
        out = (torch.cat(samples, -1) * weights).sum(-1)
        return out.view(n_images, n_channels, n_queries).transpose(1, 2)


class Gate(nn.Module):
    """Normalised sum of two tensors, each weighted by a gate that sees both."""

    def __init__(self, n_channels):
        super().__init__()
        self.gate = nn.Linear(2 * n_channels, 2 * n_channels)
        self.norm = nn.LayerNorm(n_channels)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        gates = self.gate(torch.cat((first, second), -1)).sigmoid().chunk(2, -1)
        return self.norm(gates[0] * first + gates[1] * second)


class DecoderLayer(nn.Module):
    """Self-attention of the queries, deformable attention to the maps behind a gate, feed-forward."""

    def __init__(self, n_channels, n_feedforward, n_points):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(n_channels, N_HEADS, batch_first=True)
        self.norm1 = nn.LayerNorm(n_channels)
        self.cross_attn = DeformableAttention(n_channels, n_points)
        self.gateway = Gate(n_channels)
        self.linear1 = nn.Linear(n_channels, n_feedforward)
        self.linear2 = nn.Linear(n_feedforward, n_channels)
        self.norm3 = nn.LayerNorm(n_channels)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, x, position, boxes, levels, blocked):
        placed = x + position
        x = self.norm1(x + self.self_attn(placed, placed, x, attn_mask=blocked, need_weights=False)[0])
        x = self.gateway(x, self.cross_attn(x + position, boxes, levels))
        x = x + self.linear2(torch.relu(self.linear1(x)))
        return self.norm3(x.clamp(-LARGEST_FLOAT16, LARGEST_FLOAT16))


class LocationQuality(nn.Module):
    """Adds to the class logits what the sharpness of the four edge distributions says."""

    def __init__(self):
        super().__init__()
        self.reg_conf = Mlp(4 * (N_TOP_BINS + 1), 64, 1, 2)
        nn.init.zeros_(self.reg_conf.layers[-1].weight)
        nn.init.zeros_(self.reg_conf.layers[-1].bias)

    def forward(self, logits: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        top = edges.unflatten(-1, (4, N_BINS)).softmax(-1).topk(N_TOP_BINS, -1).values
        return logits + self.reg_conf(torch.cat((top, top.mean(-1, keepdim=True)), -1).flatten(-2))


class LayerStack(nn.Module):
    """The layers, and a second name for the two constants, as the checkpoints have it."""

    def __init__(self, config: DecoderConfig, up, reg_scale):
        super().__init__()
        self.up, self.reg_scale = up, reg_scale
        self.layers = nn.ModuleList(DecoderLayer(config.n_channels, config.n_feedforward, config.n_points)
                                    for _ in range(config.n_layers))
        self.lqe_layers = nn.ModuleList(LocationQuality() for _ in range(config.n_layers))


class TokenHead(nn.Sequential):
    """Linear layer and normalisation, named `proj` and `norm`."""

    def __init__(self, n_channels):
        super().__init__()
        self.proj = nn.Linear(n_channels, n_channels)
        self.norm = nn.LayerNorm(n_channels)


def make_anchors(shapes: list[tuple[int, int]], device=None) -> tuple[torch.Tensor, torch.Tensor]:
    """For levels of (height, width): boxes before the sigmoid [1, L, 4], infinite where invalid; valid [1, L, 1]."""
    levels = []
    for level, (height, width) in enumerate(shapes):
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        size = torch.full((height * width,), ANCHOR_SIZE * 2.0 ** level, device=device)
        levels.append(torch.stack((x.repeat(height), y.repeat_interleave(width), size, size), -1))
    anchors = torch.cat(levels)[None]
    valid = ((anchors > ANCHOR_MARGIN) & (anchors < 1 - ANCHOR_MARGIN)).all(-1, keepdim=True)
    return torch.where(valid, (anchors / (1 - anchors)).log(), torch.inf), valid


class DfineDecoder(nn.Module):
    """Maps of the encoder, fine to coarse -> DecoderOutput."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        n_channels = config.n_channels
        self.input_proj = nn.ModuleList(
            nn.Identity() if config.n_in == n_channels else ConvNorm(config.n_in, n_channels, 1)
            for _ in config.strides)
        self.up = nn.Parameter(torch.tensor([0.5]), requires_grad=False)
        self.reg_scale = nn.Parameter(torch.tensor([config.reg_scale]), requires_grad=False)
        self.decoder = LayerStack(config, self.up, self.reg_scale)
        if config.n_denoising > 0:
            self.denoising_class_embed = nn.Embedding(config.n_classes + 1, n_channels, config.n_classes)
        self.query_pos_head = Mlp(4, 2 * n_channels, n_channels, 2)
        self.enc_output = TokenHead(n_channels)
        self.enc_score_head = nn.Linear(n_channels, config.n_classes)
        self.enc_bbox_head = Mlp(n_channels, n_channels, 4, 3)
        self.dec_score_head = nn.ModuleList(nn.Linear(n_channels, config.n_classes) for _ in range(config.n_layers))
        self.pre_bbox_head = Mlp(n_channels, n_channels, 4, 3)
        self.dec_bbox_head = nn.ModuleList(Mlp(n_channels, n_channels, 4 * N_BINS, 3) for _ in range(config.n_layers))
        self.shapes = [(config.input_size_px // stride,) * 2 for stride in config.strides]
        anchors, valid = make_anchors(self.shapes)
        self.register_buffer("anchors", anchors)
        self.register_buffer("valid_mask", valid)
        self._reset()

    def _reset(self):
        """Scores start at 0.01, boxes at their anchors, distributions flat."""
        for head in (self.enc_score_head, *self.dec_score_head):
            nn.init.constant_(head.bias, PRIOR_LOGIT)
        for head in (self.enc_bbox_head, self.pre_bbox_head, *self.dec_bbox_head):
            nn.init.zeros_(head.layers[-1].weight)
            nn.init.zeros_(head.layers[-1].bias)
        nn.init.xavier_uniform_(self.enc_output.proj.weight)
        for layer in self.query_pos_head.layers:
            nn.init.xavier_uniform_(layer.weight)
        for projection in self.input_proj:
            if isinstance(projection, ConvNorm):
                nn.init.xavier_uniform_(projection.conv.weight)

    def forward(self, maps: list[torch.Tensor], targets=None) -> DecoderOutput:
        maps = [project(level) for project, level in zip(self.input_proj, maps)]
        memory = torch.cat([level.flatten(2) for level in maps], 2).transpose(1, 2)
        content, boxes_unact, selected = self._select(memory, [tuple(level.shape[2:]) for level in maps])
        levels = [level.reshape(-1, level.shape[1] // N_HEADS, *level.shape[2:]) for level in maps]
        if not self.training:
            layers, _ = self._refine(content, boxes_unact, levels, None)
            return DecoderOutput(layers, self.up, self.reg_scale)

        denoising = None
        if targets is not None:
            denoising = make_denoising(targets, self.config.n_classes, content.shape[1], self.config.n_denoising)
        if denoising is None:
            layers, initial = self._refine(content, boxes_unact, levels, None)
            return DecoderOutput(layers, self.up, self.reg_scale, initial, selected)

        content = torch.cat((self.denoising_class_embed(denoising.classes), content), 1)
        boxes_unact = torch.cat((denoising.boxes_unact, boxes_unact), 1)
        layers, initial = self._refine(content, boxes_unact, levels, denoising.blocked)
        noisy, proper = zip(*(layer.split(denoising.n_queries) for layer in layers))
        noisy_initial, initial = initial.split(denoising.n_queries)
        return DecoderOutput(list(proper), self.up, self.reg_scale, initial, selected, denoising, list(noisy),
                             noisy_initial)

    def _select(self, memory, shapes):
        """The 300 tokens of highest score: content, box before the sigmoid, and their prediction for the losses.

        Of small inputs, which training may begin with, all tokens.
        A checkpoint may hold NaN for invalid anchors; one such query would poison all others by self-attention.
        """
        known = shapes == self.shapes
        anchors, valid = (self.anchors, self.valid_mask) if known else make_anchors(shapes, memory.device)
        anchors = torch.where(valid, anchors, torch.inf)
        tokens = self.enc_output(valid.to(memory.dtype) * memory)
        logits = self.enc_score_head(tokens)
        index = logits.amax(-1).topk(min(N_QUERIES, logits.shape[1]), -1).indices[..., None]
        content = tokens.take_along_dim(index, 1)
        boxes_unact = self.enc_bbox_head(content) + anchors.take_along_dim(index, 1)
        selected = Prediction(logits.take_along_dim(index, 1), boxes_unact.sigmoid())
        return content.detach(), boxes_unact.detach(), selected

    def _refine(self, x, boxes_unact, levels, blocked):
        """Runs the layers; returns their predictions (in eval mode the last one's) and the first layer's plain box."""
        offsets = bin_offsets(self.up, self.reg_scale)
        boxes = boxes_unact.sigmoid()
        predictions, initial, previous, edges = [], None, 0, 0
        for index, layer in enumerate(self.decoder.layers):
            position = self.query_pos_head(boxes).clamp(-10, 10)
            x = layer(x, position, boxes, levels, blocked)
            if index == 0:
                plain = (self.pre_bbox_head(x) + logit(boxes)).sigmoid()
                initial = Prediction(self.dec_score_head[0](x), plain)
                reference = plain.detach()
            edges = self.dec_bbox_head[index](x + previous) + edges
            means = edges.unflatten(-1, (4, N_BINS)).softmax(-1) @ offsets
            refined = move_edges(reference, means, self.reg_scale)
            if self.training or index + 1 == len(self.decoder.layers):
                logits = self.decoder.lqe_layers[index](self.dec_score_head[index](x), edges)
                predictions.append(Prediction(logits, refined, edges, reference))
            boxes, previous = refined.detach(), x.detach()
        return predictions, initial
