"""The VQ-VAE of paper 003 (tables 2 and 3), as a network and as a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, DataError
from vqlso.generators.network_generators import require_images, require_space, weights_version
from vqlso.generators.quantizer import CodebookSettings, Quantized, VectorQuantizer
from vqlso.hardware import autocast
from vqlso.spaces import CodeGrid

KIND = "vqvae"
LEAK = 0.01


@dataclass(frozen=True)
class VQVAESettings:
    """The architecture; the defaults are the paper's (003, tables 2-4).

    Attributes:
        image_size: H = W in pixels, a multiple of `downsampling`.
        width: filters of the first stage; each other is twice as wide as the one before.
        categories: K, number of codes.
        dimension: D, length of each code vector.
        residual_blocks: blocks in the encoder and in the decoder.
        codebook: how the codebook learns.
        downsampling: pixels along a side of a cell, a power of two: as many stages halve the
            image. The code grid is H / downsampling x W / downsampling.

    Raises:
        DataError: an image size that is no multiple of `downsampling`.
        ConfigError: a number of filters, codes or dimensions below 1, or of blocks below 0; a
            cell that halving does not make.
    """

    image_size: int = 64
    width: int = 64
    categories: int = 256
    dimension: int = 64
    residual_blocks: int = 2
    codebook: CodebookSettings = CodebookSettings()
    downsampling: int = 8

    def __post_init__(self) -> None:
        if self.downsampling < 2 or self.downsampling.bit_count() != 1:
            raise ConfigError(
                "A VQ-VAE's generator.downsampling is the side of a cell in pixels, 2, 4, 8, 16 "
                f"...; got {self.downsampling}."
            )
        if self.image_size <= 0 or self.image_size % self.downsampling:
            raise DataError(
                f"The VQ-VAE makes cells of {self.downsampling} pixels: the image's size must be "
                f"a multiple of it, got {self.image_size}."
            )
        if min(self.width, self.categories, self.dimension) < 1 or self.residual_blocks < 0:
            raise ConfigError(
                "A VQ-VAE needs width, categories and dimension of at least 1 and no negative "
                f"number of residual blocks; got {self}."
            )

    @property
    def side(self) -> int:
        """Cells along a side of the code grid."""
        return self.image_size // self.downsampling

    @property
    def widths(self) -> list[int]:
        """Filters of the stages that halve the image."""
        return [self.width << stage for stage in range(self.downsampling.bit_length() - 1)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VQVAESettings:
        """The settings that `dataclasses.asdict` wrote."""
        return cls(**{**values, "codebook": CodebookSettings(**values["codebook"])})


class _Residual(nn.Module):
    """x + conv1x1(ReLU(conv3x3(ReLU(x)))), the block of van den Oord et al. 2017, section 4.1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(F.relu(self.spatial(F.relu(x))))
        return x + mixed


def _encoder(s: VQVAESettings) -> nn.Sequential:
    widest = s.widths[-1]
    return nn.Sequential(
        *_halvings([3, *s.widths]),
        nn.Conv2d(widest, widest, 3, 1, 1),
        nn.LeakyReLU(LEAK),
        *(_Residual(widest) for _ in range(s.residual_blocks)),
        nn.Conv2d(widest, s.dimension, 1),
        nn.LeakyReLU(LEAK),
    )


def _halvings(channels: Sequence[int]) -> Iterator[nn.Module]:
    for before, after in pairwise(channels):
        yield nn.Conv2d(before, after, 4, 2, 1)
        yield nn.LeakyReLU(LEAK)


def _decoder(s: VQVAESettings) -> nn.Sequential:
    widest = s.widths[-1]
    return nn.Sequential(
        nn.Conv2d(s.dimension, widest, 3, 1, 1),
        nn.LeakyReLU(LEAK),
        *(_Residual(widest) for _ in range(s.residual_blocks)),
        *_doublings(s.widths[::-1]),
        nn.ConvTranspose2d(s.width, 3, 4, 2, 1),
    )


def _doublings(channels: Sequence[int]) -> Iterator[nn.Module]:
    for before, after in pairwise(channels):
        yield nn.ConvTranspose2d(before, after, 4, 2, 1)
        yield nn.LeakyReLU(LEAK)


class VQVAENetwork(nn.Module):
    """Encoder, codebook and decoder on pixels in [-1, 1]."""

    def __init__(self, settings: VQVAESettings = VQVAESettings()) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = _encoder(settings)
        self.quantizer = VectorQuantizer(settings.categories, settings.dimension, settings.codebook)
        self.decoder = _decoder(settings)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Quantized]:
        """(n, 3, H, W) in [-1, 1] -> reconstruction of the same shape, and the quantisation."""
        quantized = self.quantizer(self.encoder(pixels))
        return self.decoder(quantized.vectors), quantized


class VQVAE:
    """A trained VQ-VAE as an immutable generator over code grids.

    Args:
        network: the trained network; it is put into evaluation mode.
        batch_size: images per forward pass.
    """

    def __init__(self, network: VQVAENetwork, batch_size: int = 256) -> None:
        self.network = network.eval().requires_grad_(False)
        self.settings = network.settings
        self.space = CodeGrid(self.settings.categories, self.settings.side, self.settings.side)
        self.batch_size = batch_size

    @property
    def spaces(self) -> Mapping[str, CodeGrid]:
        """One space, "codes"."""
        return {self.space.name: self.space}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        return (3, self.settings.image_size, self.settings.image_size)

    @cached_property
    def version(self) -> str:
        """Hash of all weights, 12 hexadecimal digits."""
        return weights_version(asdict(self.settings), self.network)

    def encode(self, images: Tensor) -> NDArray[np.int64]:
        """(n, 3, H, W) float in [0, 1] -> (n, h, w) int64 codes.

        Raises:
            DataError: images of another size.
        """
        require_images(images, self.image_shape, "VQ-VAE")
        with torch.inference_mode():
            codes = [self._encode_batch(batch) for batch in torch.split(images, self.batch_size)]
        return torch.cat(codes).cpu().numpy()

    def decode(self, z: NDArray[np.int64], space: str = "codes") -> Tensor:
        """(n, h, w) codes -> (n, 3, H, W) float32 in [0, 1].

        Raises:
            LatentSpaceError: `z` is not a batch of code grids of this generator, or is meant for
                another latent space.
        """
        require_space(space, self.space.name, "VQ-VAE")
        codes = torch.from_numpy(self.space.validate(z))
        with torch.inference_mode():
            images = [self._decode_batch(batch) for batch in torch.split(codes, self.batch_size)]
        return torch.cat(images)

    def save(self, path: Path) -> None:
        """Write weights and settings; the file replaces an older one as a whole."""
        save_checkpoint(path, KIND, asdict(self.settings), self.network)

    @classmethod
    def load(cls, path: Path) -> VQVAE:
        """A VQ-VAE from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        settings, state = read_checkpoint(path, KIND, VQVAESettings.from_dict)
        network = VQVAENetwork(settings)
        load_state(network, state, str(path), "the VQ-VAE that its settings describe")
        return cls(network)

    @property
    def _device(self) -> torch.device:
        return self.network.quantizer.embedding.device

    def _encode_batch(self, images: Tensor) -> Tensor:
        pixels = images.to(self._device).mul(2).sub(1)
        with autocast(self._device):
            encoded = self.network.encoder(pixels.contiguous(memory_format=torch.channels_last))
        flat = encoded.float().permute(0, 2, 3, 1)
        codes = self.network.quantizer.nearest(flat.reshape(-1, flat.shape[-1]))
        return codes.view(flat.shape[:3])

    def _decode_batch(self, codes: Tensor) -> Tensor:
        vectors = self.network.quantizer.lookup(codes.to(self._device))
        with autocast(self._device):
            pixels = self.network.decoder(vectors.contiguous(memory_format=torch.channels_last))
        image: Tensor = pixels.float().add(1).div(2).clamp(0, 1).cpu()
        return image
