"""Latent -> image and image -> verdict: the two networks of a progressive GAN.

Karras et al. 2018, "Progressive Growing of GANs". All resolutions exist from the beginning; those
that training has not reached yet are passed by.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.pgan.settings import COARSEST, PGANSettings
from vqlso.generators.stylegan2.layers import (
    Convolution,
    FullyConnected,
    normalised,
    with_minibatch_deviation,
)

# Images that are compared with each other at the end of the discriminator.
GROUP = 4


class GeneratorBlock(nn.Module):
    """Two convolutions at one resolution, each followed by pixel norm (section 4.2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Convolution(inputs, outputs, 3)
        self.conv1 = Convolution(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, r / 2, r / 2) -> (n, outputs, r, r)."""
        x = normalised(self.conv0(doubled(x)))
        return normalised(self.conv1(x))


class PGANNetwork(nn.Module):
    """Latents of z and class -> images, at any of its resolutions."""

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        self.settings = settings
        first = settings.channels[0]
        self.format = FullyConnected(settings.latent_dim, first * COARSEST**2, activated=True)
        self.conv = Convolution(first, first, 3)
        self.blocks = nn.ModuleList(
            GeneratorBlock(coarser, finer) for coarser, finer in pairwise(settings.channels)
        )
        self.torgb = nn.ModuleList(
            Convolution(channels, settings.image_channels, 1, activated=False)
            for channels in settings.channels
        )

    def forward(
        self,
        latent: Tensor,
        level: int | None = None,
        alpha: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """(n, latent_dim) -> (n, colours, r, r) float32 in about [-1, 1].

        Args:
            latent: z and the class part, scaled together to a mean square of 1.
            level: of the images, 0 for 4 pixels; None for the finest.
            alpha: how far this level's block is faded in: 0 shows the coarser level's image
                enlarged, 1 the block's own (section 3).
            dtype: of the convolutions.
        """
        level = self.settings.levels - 1 if level is None else level
        x = normalised(self.format(normalised(latent)).unflatten(1, (-1, COARSEST, COARSEST)))
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        x = normalised(self.conv(x))
        coarser = x
        for block in self.blocks[:level]:
            coarser, x = x, block(x)
        image: Tensor = self.torgb[level](x).float()
        if alpha == 1 or level == 0:
            return image
        return doubled(self.torgb[level - 1](coarser).float()).lerp(image, alpha)

    def up_to(self, level: int) -> PGANNetwork:
        """A copy that ends at this level, counted from 0 for 4 pixels."""
        coarser = copy.deepcopy(self)
        coarser.settings = replace(self.settings, channels=self.settings.channels[: level + 1])
        coarser.blocks = coarser.blocks[:level]
        coarser.torgb = coarser.torgb[: level + 1]
        return coarser


class DiscriminatorBlock(nn.Module):
    """Two convolutions at one resolution, which is then halved."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Convolution(inputs, inputs, 3)
        self.conv1 = Convolution(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, r, r) -> (n, outputs, r / 2, r / 2)."""
        return F.avg_pool2d(self.conv1(self.conv0(x)), 2)


class PGANDiscriminator(nn.Module):
    """Images of any of its resolutions -> how real they look, and which class they seem to be."""

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        self.settings = settings
        first = settings.channels[0]
        self.fromrgb = nn.ModuleList(
            Convolution(settings.image_channels, channels, 1) for channels in settings.channels
        )
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(finer, coarser) for coarser, finer in pairwise(settings.channels)
        )
        self.conv = Convolution(first + 1, first, 3)
        self.dense = FullyConnected(first * COARSEST**2, first, activated=True)
        self.decision = FullyConnected(first, 1 + settings.class_dim)

    def forward(
        self, images: Tensor, alpha: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """(n, colours, r, r) in [-1, 1] -> (n,) scores and (n, class_dim) logits, float32.

        The higher a score, the more real. Images of a batch are compared with each other.

        Args:
            images: of any level; their size tells which.
            alpha: how far this level's block is faded in, as in the generator.
            dtype: of the convolutions; the coarsest are computed in float32 always.
        """
        level = (images.shape[-1] // COARSEST).bit_length() - 1
        pixels = images.to(dtype).contiguous(memory_format=torch.channels_last)
        x = self.fromrgb[level](pixels)
        if level > 0:
            x = self.blocks[level - 1](x)
            if alpha < 1:
                x = self.fromrgb[level - 1](F.avg_pool2d(pixels, 2)).lerp(x, alpha)
        for block in reversed(self.blocks[: max(level - 1, 0)]):
            x = block(x)
        x = self.conv(with_minibatch_deviation(x.float(), GROUP))
        verdict: Tensor = self.decision(self.dense(x.flatten(1)))
        return verdict[:, 0], verdict[:, 1:]


def doubled(x: Tensor) -> Tensor:
    """(n, C, h, w) -> (n, C, 2h, 2w), every pixel four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
