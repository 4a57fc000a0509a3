"""The U-Net that tells image from noise (Ho et al. 2020, "Denoising diffusion models", app. B)."""

from __future__ import annotations

import math
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.diffusion.settings import GROUP, DDIMSettings

# Sinusoids tell steps of a thousand apart, and their frequencies fall by nearly this factor.
STEPS = 1000
FREQUENCIES = 10_000
# The time's embedding is wider than the finest resolution by this factor.
EMBEDDING = 4

Layer = TypeVar("Layer", bound=nn.Module)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; the time scales and shifts what is between them.

    Dhariwal & Nichol 2021, "Diffusion models beat GANs", section 3.1 (adaptive group norm).
    """

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm0 = _normalisation(inputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm1 = _normalisation(outputs)
        self.conv1 = _silent(nn.Conv2d(outputs, outputs, 3, 1, 1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """(n, inputs, h, w) and (n, embedding) -> (n, outputs, h, w)."""
        scale, shift = self.modulation(embedded)[:, :, None, None].chunk(2, dim=1)
        h = self.norm1(self.conv0(F.silu(self.norm0(x)))) * (1 + scale) + shift
        return cast(Tensor, self.shortcut(x) + self.conv1(F.silu(h)))


class SelfAttention(nn.Module):
    """Every position looks at all others; added to what was there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _normalisation(channels)
        self.queries_keys_values = nn.Conv2d(channels, 3 * channels, 1)
        self.output = _silent(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same shape."""
        positions = self.queries_keys_values(self.norm(x)).flatten(2).transpose(1, 2)
        seen = F.scaled_dot_product_attention(*positions.chunk(3, dim=2))
        return x + cast(Tensor, self.output(seen.transpose(1, 2).reshape(x.shape)))


class DDIMNetwork(nn.Module):
    """Noisy images and their times -> velocities.

    One block a resolution on the way down and one on the way up, with attention at the coarsest.

    Much of a velocity is the noisy image itself, times a number that the time decides. It is added
    at the end, as in the preconditioning of Karras et al. 2022, "Elucidating the design space of
    diffusion-based generative models", eq. 7, but with learnt numbers: blocks that normalise what
    they see are slow to learn to pass it on.
    """

    def __init__(self, settings: DDIMSettings) -> None:
        super().__init__()
        self.settings = settings
        channels, embedding = settings.channels, EMBEDDING * settings.width
        pixels = 3 * settings.patch**2
        self.embedding = nn.Sequential(
            nn.Linear(settings.width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.first = nn.Conv2d(pixels, channels[0], 3, 1, 1)
        self.down = nn.ModuleList(
            ResidualBlock(inputs, outputs, embedding)
            for inputs, outputs in zip([channels[0], *channels], channels, strict=False)
        )
        self.attention = SelfAttention(channels[-1])
        self.middle = ResidualBlock(channels[-1], channels[-1], embedding)
        # The coarsest first; each takes what the way down found at its resolution beside.
        self.up = nn.ModuleList(
            ResidualBlock(inputs + outputs, outputs, embedding)
            for inputs, outputs in reversed(
                list(zip([*channels[1:], channels[-1]], channels, strict=True))
            )
        )
        self.norm = _normalisation(channels[0])
        self.last = _silent(nn.Conv2d(channels[0], pixels, 3, 1, 1))
        self.gain = _silent(nn.Linear(embedding, 3))
        # The layout of a fit, so that a loaded network rounds as the trained one.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """(n, 3, H, W) at times (n,) in [0, 1] -> velocities (n, 3, H, W) of the same dtype."""
        embedded = F.silu(self.embedding(sinusoids(t, self.settings.width)))
        x = self.first(cut(noisy, self.settings.patch))
        skipped: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if level else x, embedded)
            skipped.append(x)
        x = self.middle(self.attention(x), embedded)
        for level, block in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") if level else x
            x = block(torch.cat([x, skipped.pop()], dim=1), embedded)
        made = joined(self.last(F.silu(self.norm(x))), self.settings.patch)
        velocity: Tensor = made + self.gain(embedded)[:, :, None, None] * noisy
        return velocity.to(noisy.dtype)


def sinusoids(t: Tensor, width: int) -> Tensor:
    """(n,) times in [0, 1] -> (n, width), the sines and cosines of Ho et al. 2020.

    Args:
        t: times, in thousands of steps.
        width: an even number.
    """
    octaves = torch.arange(width // 2, dtype=t.dtype, device=t.device) / (width // 2)
    angles = STEPS * t[:, None] * torch.exp(-math.log(FREQUENCIES) * octaves)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def cut(images: Tensor, patch: int) -> Tensor:
    """(n, C, h p, w p) -> (n, C p^2, h, w), squares of p x p pixels as positions.

    As torch's pixel_unshuffle, which however returns an empty batch as it is.
    """
    n, channels, height, width = images.shape
    h, w = height // patch, width // patch
    squares = images.reshape(n, channels, h, patch, w, patch).permute(0, 1, 3, 5, 2, 4)
    return squares.reshape(n, channels * patch**2, h, w)


def joined(squares: Tensor, patch: int) -> Tensor:
    """(n, C p^2, h, w) -> (n, C, h p, w p), the inverse of `cut`."""
    n, wide, h, w = squares.shape
    channels = wide // patch**2
    images = squares.reshape(n, channels, patch, patch, h, w).permute(0, 1, 4, 2, 5, 3)
    return images.reshape(n, channels, h * patch, w * patch)


def _normalisation(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP, channels)


def _silent(layer: Layer) -> Layer:
    """The layer, adding nothing before it has learnt to (Ho et al.'s code, and most since)."""
    for weights in layer.parameters():
        nn.init.zeros_(weights)
    return layer
