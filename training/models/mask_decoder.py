# SPDX-License-Identifier: Apache-2.0
"""The mask decoder of MobileSAM: a two-way transformer between prompt tokens and the image, and its heads.

Mathematics and names after ChaoningZhang/MobileSAM mobile_sam/modeling/mask_decoder.py:16-169 and
mobile_sam/modeling/transformer.py:16-240 @ 34bbbfdface3c18e5221aa7de6032d7220c6c6a1.
"""
import torch
from torch import nn
from torch.nn import functional as F

from .layers import ChannelNorm, Mlp

N_CHANNELS = 256
N_HEADS = 8
N_LAYERS = 2
N_FEEDFORWARD = 2048
N_MASKS = 4


class Attention(nn.Module):
    """Multi-head attention whose inner width is `n_inner`."""

    def __init__(self, n_inner):
        super().__init__()
        self.q_proj = nn.Linear(N_CHANNELS, n_inner)
        self.k_proj = nn.Linear(N_CHANNELS, n_inner)
        self.v_proj = nn.Linear(N_CHANNELS, n_inner)
        self.out_proj = nn.Linear(n_inner, N_CHANNELS)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        heads = [project(x).unflatten(-1, (N_HEADS, -1)).transpose(1, 2)
                 for project, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))]
        return self.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self):
        super().__init__()
        self.lin1 = nn.Linear(N_CHANNELS, N_FEEDFORWARD)
        self.lin2 = nn.Linear(N_FEEDFORWARD, N_CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin2(torch.relu(self.lin1(x)))


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves and to the image, pass a feed-forward, then the image attends to the tokens.

    The first layer's self-attention replaces the tokens and leaves their position out.
    """

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.self_attn = Attention(N_CHANNELS)
        self.norm1 = nn.LayerNorm(N_CHANNELS)
        self.cross_attn_token_to_image = Attention(N_CHANNELS // 2)
        self.norm2 = nn.LayerNorm(N_CHANNELS)
        self.mlp = FeedForward()
        self.norm3 = nn.LayerNorm(N_CHANNELS)
        self.norm4 = nn.LayerNorm(N_CHANNELS)
        self.cross_attn_image_to_token = Attention(N_CHANNELS // 2)

    def forward(self, tokens, image, token_position, image_position):
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_position
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_image = image + image_position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_position, placed_image, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(placed_image, tokens + token_position, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Tokens [P, n, C] and image [P, HW, C] -> both, after two layers and a last look of the tokens at the image."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(first=i == 0) for i in range(N_LAYERS))
        self.final_attn_token_to_image = Attention(N_CHANNELS // 2)
        self.norm_final_attn = nn.LayerNorm(N_CHANNELS)

    def forward(self, tokens, image, image_position):
        token_position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_position, image_position)
        seen = self.final_attn_token_to_image(tokens + token_position, image + image_position, image)
        return self.norm_final_attn(tokens + seen), image


class MaskDecoder(nn.Module):
    """Gives N_MASKS masks per prompt: 0 for an unambiguous prompt such as a box, 1..3 for the others."""

    def __init__(self):
        super().__init__()
        self.transformer = TwoWayTransformer()
        self.iou_token = nn.Embedding(1, N_CHANNELS)
        self.mask_tokens = nn.Embedding(N_MASKS, N_CHANNELS)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(N_CHANNELS, N_CHANNELS // 4, 2, 2), ChannelNorm(N_CHANNELS // 4), nn.GELU(),
            nn.ConvTranspose2d(N_CHANNELS // 4, N_CHANNELS // 8, 2, 2), nn.GELU())
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp(N_CHANNELS, N_CHANNELS, N_CHANNELS // 8, 3) for _ in range(N_MASKS))
        self.iou_prediction_head = Mlp(N_CHANNELS, N_CHANNELS, N_MASKS, 3)

    def forward(self, image: torch.Tensor, image_position: torch.Tensor, sparse: torch.Tensor,
                dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """image and dense [P, 256, H, W], sparse [P, n, 256] -> mask logits [P, 4, 4H, 4W], predicted IoU [P, 4]."""
        n_prompts, _, height, width = image.shape
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(n_prompts, -1, -1), sparse), 1)
        flat = (image + dense).flatten(2).transpose(1, 2)
        tokens, flat = self.transformer(tokens, flat, image_position.flatten(2).transpose(1, 2))
        pixels = self.output_upscaling(flat.transpose(1, 2).unflatten(2, (height, width)))
        filters = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1)
        logits = (filters @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return logits, self.iou_prediction_head(tokens[:, 0])
