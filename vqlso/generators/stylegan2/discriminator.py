"""Image -> how real it looks: StyleGAN2's residual discriminator."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError
from vqlso.generators.network_generators import require_images, weights_version
from vqlso.generators.stylegan2.layers import (
    Convolution,
    FullyConnected,
    fir_filter,
    with_minibatch_deviation,
)
from vqlso.generators.stylegan2.mapping import MappingNetwork
from vqlso.generators.stylegan2.settings import COARSEST, StyleGAN2Settings

# Keeps the variance of the sum of the two branches of a residual block.
BRANCH_GAIN = math.sqrt(0.5)
GROUP = 4
KIND = "stylegan2-discriminator"


class DiscriminatorBlock(nn.Module):
    """Two convolutions beside a skip connection; the resolution is halved."""

    def __init__(self, resolution: int, settings: StyleGAN2Settings) -> None:
        super().__init__()
        inputs, outputs = settings.channels(resolution), settings.channels(resolution // 2)
        clamp = settings.conv_clamp
        self.register_buffer("resample_filter", fir_filter())
        self.finest = resolution == settings.resolution
        if self.finest:
            self.fromrgb = Convolution(settings.image_channels, inputs, 1, clamp=clamp)
        self.conv0 = Convolution(inputs, inputs, 3, clamp=clamp)
        self.conv1 = Convolution(inputs, outputs, 3, halved=True, clamp=clamp)
        self.skip = Convolution(inputs, outputs, 1, biased=False, activated=False, halved=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs or colours, r, r) -> (n, outputs, r / 2, r / 2)."""
        if self.finest:
            x = self.fromrgb(x)
        passed: Tensor = self.skip(x, BRANCH_GAIN)
        changed: Tensor = self.conv1(self.conv0(x), BRANCH_GAIN)
        return passed + changed


class DiscriminatorEpilogue(nn.Module):
    """The coarsest features and their deviation over the minibatch -> one row an image."""

    def __init__(self, settings: StyleGAN2Settings, outputs: int) -> None:
        super().__init__()
        channels = settings.channels(COARSEST)
        self.group = GROUP
        self.conv = Convolution(channels + 1, channels, 3, clamp=settings.conv_clamp)
        self.fc = FullyConnected(channels * COARSEST**2, channels, activated=True)
        self.out = FullyConnected(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C(4), 4, 4) -> (n, outputs) float32."""
        features = self.conv(with_minibatch_deviation(x.float(), self.group))
        result: Tensor = self.out(self.fc(features.flatten(1)))
        return result


class Discriminator(nn.Module):
    """Blocks b{resolution}, ..., b8 and the epilogue b4, named as in the official checkpoints.

    Where images have labels, the score is the inner product with the label's mapped embedding
    (Miyato and Koyama 2018, "cGANs with Projection Discriminator").
    """

    def __init__(self, settings: StyleGAN2Settings) -> None:
        super().__init__()
        self.settings = settings
        for resolution in reversed(settings.block_resolutions[1:]):
            self.add_module(f"b{resolution}", DiscriminatorBlock(resolution, settings))
        embedded = settings.channels(COARSEST) if settings.c_dim else 0
        self.b4 = DiscriminatorEpilogue(settings, embedded or 1)
        self.mapping: MappingNetwork | None = None
        if embedded:
            self.mapping = MappingNetwork(0, settings.c_dim, embedded, 8, averaged=False)

    def forward(
        self, images: Tensor, label: Tensor | None = None, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """(n, colours, H, W) in [-1, 1] -> (n,) float32; the higher, the more real.

        Args:
            images: the pixels.
            label: (n, c_dim), where the network is conditioned on labels.
            dtype: of the convolutions; the coarsest are computed in float32 always.
        """
        x = images.to(dtype).contiguous(memory_format=torch.channels_last)
        for resolution in reversed(self.settings.block_resolutions[1:]):
            x = self.get_submodule(f"b{resolution}")(x)
        score: Tensor = self.b4(x)
        if self.mapping is None:
            return score[:, 0]
        embedding: Tensor = self.mapping(None, label)
        return (score * embedding).sum(dim=1) / math.sqrt(embedding.shape[1])


class StyleGAN2Discriminator:
    """A trained discriminator, frozen, as a score of single images.

    In training it sees how much the images of a group differ. Here each image is a group of its
    own, so that its score does not depend on its neighbours. Scores of real images and of fakes
    come a little closer to each other by that.

    Args:
        network: the trained network; it is put into evaluation mode.

    Raises:
        ConfigError: it is conditioned on labels.
    """

    def __init__(self, network: Discriminator) -> None:
        if network.mapping is not None:
            raise ConfigError(
                "This discriminator judges images by their labels, which single images do not "
                "have: give one that was trained without labels."
            )
        self.network = network.eval().requires_grad_(False)
        self.network.b4.group = 1
        self.settings = network.settings

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        side = self.settings.resolution
        return (self.settings.image_channels, side, side)

    @cached_property
    def version(self) -> str:
        """Hash of all weights, 12 hexadecimal digits."""
        return weights_version(asdict(self.settings), self.network)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n,) float32, differentiable; the higher, the more real.

        0 is undecided: the score is the logit of "real" (Goodfellow et al. 2014).

        Raises:
            DataError: images of another shape.
        """
        require_images(images, self.image_shape, "StyleGAN2 discriminator")
        score: Tensor = self.network(images)
        return score

    def save(self, path: Path, *, half: bool = False) -> None:
        """Write weights and settings; the file replaces an older one as a whole.

        Args:
            path: the file.
            half: keep weights as float16, at half the size. They are rounded: what is loaded has
                another version.
        """
        save_checkpoint(path, KIND, asdict(self.settings), self.network, half=half)

    @classmethod
    def load(cls, path: Path) -> StyleGAN2Discriminator:
        """The discriminator that was saved.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        settings, state = read_checkpoint(path, KIND, StyleGAN2Settings.from_dict)
        with torch.device("meta"):
            network = Discriminator(settings)
        architecture = "the StyleGAN2 discriminator that its settings describe"
        load_state(network, state, str(path), architecture, assign=True)
        return cls(network.float())
