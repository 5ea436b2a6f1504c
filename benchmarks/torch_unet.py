"""The MedSymmFlow UNet in plain PyTorch, for side-by-side timings; official tensor names,
channels_last, no checkpointing.

Written from the published architecture (Dhariwal and Nichol 2021, arXiv 2105.05233, without
scale-shift norm), with the library's own layers: ``nn.GroupNorm``, ``nn.Conv2d``,
``F.scaled_dot_product_attention``.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResBlock(nn.Module):
    """Norm, SiLU, conv; embedding added; norm, SiLU, conv; skip."""

    def __init__(self, inputs: int, embedding: int, outputs: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs),
            nn.SiLU(),
            nn.Dropout(0.0),
            zeroed(nn.Conv2d(outputs, outputs, 3, padding=1)),
        )
        same = inputs == outputs
        self.skip_connection = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, H, W] and [B, E] to [B, outputs, H, W]."""
        h = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class AttentionBlock(nn.Module):
    """Residual self-attention over the pixels; channels in the order head, (q, k, v), width."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        batch, channels, height, width = x.shape
        # Tokens before channels: a view of a channels_last image, so both products are plain matrix
        # products.
        h = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        h = F.linear(h, self.qkv.weight[:, :, 0], self.qkv.bias)
        h = h.reshape(batch, height * width, self.heads, 3, -1).permute(3, 0, 2, 1, 4)
        h = F.scaled_dot_product_attention(h[0], h[1], h[2])
        h = h.transpose(1, 2).reshape(batch, height * width, channels)
        h = F.linear(h, self.proj_out.weight[:, :, 0], self.proj_out.bias)
        return x + h.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class Downsample(nn.Module):
    """Convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H / 2, W / 2]."""
        return self.op(x)


class Upsample(nn.Module):
    """Nearest enlargement, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, 2 H, 2 W]."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    """The network; arguments as ``msflow_jax.nets.UNet``, images NCHW."""

    def __init__(
        self,
        channels: int,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 2, 2),
        blocks: int = 2,
        attention: Sequence[int] = (2,),
        head_channels: int = 64,
    ) -> None:
        super().__init__()
        self.width = width
        embedding = 4 * width
        self.time_embed = nn.Sequential(
            nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(channels, width, 3, padding=1)])]
        )
        skips, now = [width], width
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                parts: list[nn.Module] = [ResBlock(now, embedding, multiplier * width)]
                now = multiplier * width
                if 2**level in attention:
                    parts.append(AttentionBlock(now, head_channels))
                self.input_blocks.append(nn.ModuleList(parts))
                skips.append(now)
            if level < len(multipliers) - 1:
                self.input_blocks.append(nn.ModuleList([Downsample(now)]))
                skips.append(now)
        self.middle_block = nn.ModuleList(
            [
                ResBlock(now, embedding, now),
                AttentionBlock(now, head_channels),
                ResBlock(now, embedding, now),
            ]
        )
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for i in range(blocks + 1):
                parts = [ResBlock(now + skips.pop(), embedding, multiplier * width)]
                now = multiplier * width
                if 2**level in attention:
                    parts.append(AttentionBlock(now, head_channels))
                if level and i == blocks:
                    parts.append(Upsample(now))
                self.output_blocks.append(nn.ModuleList(parts))
        self.out = nn.Sequential(
            nn.GroupNorm(32, now), nn.SiLU(), zeroed(nn.Conv2d(now, channels, 3, padding=1))
        )

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """[B, C, H, W] and times [B] to velocities [B, C, H, W]."""
        embedding = self.time_embed(time_embedding(u, self.width))
        skips = []
        for block in self.input_blocks:
            x = run(block, x, embedding)
            skips.append(x)
        x = run(self.middle_block, x, embedding)
        for block in self.output_blocks:
            x = run(block, torch.cat([x, skips.pop()], dim=1), embedding)
        return self.out(x)


def run(parts: nn.ModuleList, x: Tensor, embedding: Tensor) -> Tensor:
    """Applies modules in turn; residual blocks see the embedding."""
    for part in parts:
        x = part(x, embedding) if isinstance(part, ResBlock) else part(x)
    return x


def zeroed(module: nn.Module) -> nn.Module:
    """Sets all parameters to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def time_embedding(u: Tensor, width: int) -> Tensor:
    """Half cosines, then half sines, of the raw time: [B, width]."""
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) * torch.arange(half, dtype=torch.float32) / half)
    angles = u[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
