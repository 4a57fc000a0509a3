"""The continuous VAE of paper 003 (tables 5 and 6), as a network and as a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, DataError
from vqlso.generators.network_generators import require_images, require_space, weights_version
from vqlso.portions import BatchNorm2d, portion_of
from vqlso.spaces import RealVectors

KIND = "vae"
STAGES = 5
DOWNSAMPLING = 2**STAGES
LEAK = 0.01


@dataclass(frozen=True)
class VAESettings:
    """The architecture; the defaults are the paper's (003, tables 5-7).

    Attributes:
        image_size: H = W in pixels, a multiple of 32.
        width: filters of the first stage; each of the other four is twice as wide as the last.
        dimension: d, length of a latent.

    Raises:
        DataError: an image size that cannot be halved five times.
        ConfigError: a number of filters or dimensions below 1.
    """

    image_size: int = 64
    width: int = 32
    dimension: int = 64

    def __post_init__(self) -> None:
        if self.image_size <= 0 or self.image_size % DOWNSAMPLING:
            raise DataError(
                f"The VAE halves the image five times: its size must be a multiple of "
                f"{DOWNSAMPLING}, got {self.image_size}."
            )
        if min(self.width, self.dimension) < 1:
            raise ConfigError(f"A VAE needs width and dimension of at least 1; got {self}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VAESettings:
        """The settings that `dataclasses.asdict` wrote."""
        return cls(**values)

    @property
    def widths(self) -> list[int]:
        """Filters of the encoder's stages."""
        return [self.width * 2**stage for stage in range(STAGES)]

    @property
    def innermost(self) -> tuple[int, int, int]:
        """(filters, h, w) between the convolutions and the dense layers."""
        side = self.image_size // DOWNSAMPLING
        return (self.widths[-1], side, side)


class Posterior(NamedTuple):
    """q(z | x), a normal distribution with independent coordinates.

    Attributes:
        mean: (n, d).
        log_scale: (n, d), logarithms of the standard deviations.
    """

    mean: Tensor
    log_scale: Tensor

    def sample(self) -> Tensor:
        """(n, d), one latent of each image, differentiable in mean and scale."""
        latent, like = self.mean.shape[1:], self.mean
        noise = portion_of(len(like)).drawn(
            lambda n: torch.randn(n, *latent, dtype=like.dtype, device=like.device)
        )
        return self.mean + self.log_scale.exp() * noise

    def divergence(self) -> Tensor:
        """(n,) nats, KL(q(z | x) || N(0, I))."""
        variance = torch.exp(2 * self.log_scale)
        return 0.5 * (variance + self.mean.square() - 1 - 2 * self.log_scale).sum(1)


def _encoder(s: VAESettings) -> nn.Sequential:
    stages = [
        layer
        for inputs, outputs in pairwise([3, *s.widths])
        for layer in (
            nn.Conv2d(inputs, outputs, 3, 2, 1),
            nn.LeakyReLU(LEAK),
            BatchNorm2d(outputs),
        )
    ]
    features = int(np.prod(s.innermost))
    return nn.Sequential(*stages, nn.Flatten(), nn.Linear(features, 2 * s.dimension))


def _decoder(s: VAESettings) -> nn.Sequential:
    stages = [
        layer
        for inputs, outputs in pairwise([*reversed(s.widths), s.width])
        for layer in (
            nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1),
            nn.LeakyReLU(LEAK),
            BatchNorm2d(outputs),
        )
    ]
    features = int(np.prod(s.innermost))
    return nn.Sequential(
        nn.Linear(s.dimension, features),
        nn.LeakyReLU(LEAK),
        # As images of one pixel, for each feature is normalised by itself here.
        nn.Unflatten(1, (features, 1, 1)),
        BatchNorm2d(features),
        nn.Flatten(),
        nn.Unflatten(1, s.innermost),
        *stages,
        nn.Conv2d(s.width, 3, 3, 1, 1),
    )


class VAENetwork(nn.Module):
    """Encoder and decoder on pixels in [-1, 1].

    Table 6 ends in a convolution; the authors' code applies a sigmoid to it, which keeps pixels in
    range without a clamp that would stop gradients.
    """

    def __init__(self, settings: VAESettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = _encoder(settings)
        self.decoder = _decoder(settings)
        # The layout of a fit: in another one a loaded network would round otherwise than the
        # trained one, and a resumed run would leave the uninterrupted one's path.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Posterior]:
        """(n, 3, H, W) in [-1, 1] -> reconstruction of the same shape, and the posterior.

        A sample of the posterior is decoded in training, its mean in evaluation.
        """
        posterior = self.posterior(pixels)
        z = posterior.sample() if self.training else posterior.mean
        return self.unit_images(z) * 2 - 1, posterior

    def posterior(self, pixels: Tensor) -> Posterior:
        """(n, 3, H, W) in [-1, 1] -> q(z | x)."""
        encoded = self.encoder(pixels.contiguous(memory_format=torch.channels_last))
        return Posterior(*encoded.to(pixels.dtype).chunk(2, dim=1))

    def unit_images(self, z: Tensor) -> Tensor:
        """(n, d) -> (n, 3, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(z).to(z.dtype))


class VAE:
    """A trained VAE as an immutable generator over real vectors.

    Unlike training, it always computes in float32: latents are real numbers, and bf16's three
    digits would be noise to whatever learns from them.

    Args:
        network: the trained network; it is put into evaluation mode, so that batch normalisation
            decodes each latent by itself.
        batch_size: images per forward pass.
    """

    def __init__(self, network: VAENetwork, batch_size: int = 256) -> None:
        self.network = network.eval().requires_grad_(False)
        self.settings = network.settings
        self.space = RealVectors("z", (self.settings.dimension,))
        self.batch_size = batch_size

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """One space, "z"."""
        return {self.space.name: self.space}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        return (3, self.settings.image_size, self.settings.image_size)

    @cached_property
    def version(self) -> str:
        """Hash of all weights, 12 hexadecimal digits."""
        return weights_version(asdict(self.settings), self.network)

    def encode(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float in [0, 1] -> (n, d) float64 posterior means.

        Raises:
            DataError: images of another size.
        """
        require_images(images, self.image_shape, "VAE")
        with torch.inference_mode():
            means = [self._encode_batch(batch) for batch in torch.split(images, self.batch_size)]
        return torch.cat(means).double().cpu().numpy()

    def decode(self, z: NDArray[np.floating[Any]], space: str = "z") -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1].

        Raises:
            LatentSpaceError: `z` is not a batch of finite real vectors of length d, or is meant
                for another latent space.
        """
        latents = torch.from_numpy(self.space.validate(z))
        with torch.inference_mode():
            images = [
                self.decode_tensor(batch, space).cpu()
                for batch in torch.split(latents, self.batch_size)
            ]
        return torch.cat(images)

    def decode_tensor(self, z: Tensor, space: str = "z") -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1], differentiable in `z`.

        All in one forward pass, on the generator's device; the weights get no gradients.

        Raises:
            LatentSpaceError: `z` is meant for another latent space.
        """
        require_space(space, self.space.name, "VAE")
        return self.network.unit_images(z.to(self._device, torch.float32))

    def save(self, path: Path) -> None:
        """Write weights and settings; the file replaces an older one as a whole."""
        save_checkpoint(path, KIND, asdict(self.settings), self.network)

    @classmethod
    def load(cls, path: Path) -> VAE:
        """A VAE from its file.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        settings, state = read_checkpoint(path, KIND, VAESettings.from_dict)
        network = VAENetwork(settings)
        load_state(network, state, str(path), "the VAE that its settings describe")
        return cls(network)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _encode_batch(self, images: Tensor) -> Tensor:
        return self.network.posterior(images.to(self._device).mul(2).sub(1)).mean
