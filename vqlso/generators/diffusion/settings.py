"""The architecture of a diffusion model, and how images are drawn from it, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vqlso.errors import ConfigError, DataError

# Channels that are normalised together.
GROUP = 8


@dataclass(frozen=True)
class DDIMSettings:
    """The architecture of the U-Net.

    Attributes:
        image_size: H = W in pixels, a multiple of `downsampling`.
        width: channels at the finest resolution, a multiple of 8.
        multipliers: channels at each resolution, each half the one before, in widths.
        patch: squares of so many pixels a side are one position of the finest resolution: at 64
            pixels the first convolutions would else take most of the time.

    Raises:
        DataError: an image size that cannot be cut and halved so often.
        ConfigError: no resolution, a width that is no multiple of 8, or a number below 1.
    """

    image_size: int = 64
    width: int = 48
    multipliers: tuple[int, ...] = (1, 2, 3)
    patch: int = 2

    def __post_init__(self) -> None:
        if not self.multipliers or min(self.width, self.patch, *self.multipliers) < 1:
            raise ConfigError(
                "A diffusion model needs at least one resolution, and width, patch and "
                f"multipliers of at least 1; got {self}."
            )
        if self.width % GROUP:
            raise ConfigError(
                f"A diffusion model normalises {GROUP} channels together: its width must be a "
                f"multiple of {GROUP}, got {self.width}."
            )
        if self.image_size < 1 or self.image_size % self.downsampling:
            raise DataError(
                f"This diffusion model divides the image's size by {self.downsampling}: it must "
                f"be a multiple of that, got {self.image_size}."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DDIMSettings:
        """The settings that `dataclasses.asdict` wrote, perhaps by way of JSON."""
        return cls(**{**values, "multipliers": tuple(values["multipliers"])})

    @property
    def downsampling(self) -> int:
        """Pixels a side of one position at the coarsest resolution."""
        halved: int = 2 ** (len(self.multipliers) - 1)
        return self.patch * halved

    @property
    def channels(self) -> list[int]:
        """Channels at each resolution, from the finest on."""
        return [self.width * multiplier for multiplier in self.multipliers]


@dataclass(frozen=True)
class Sampling:
    """How a latent becomes an image; part of the generator's version.

    Attributes:
        steps: S, evaluations of the network an image.
        coarse_side: h = w of the latents of space "coarse"; it divides the image's size.
        fine_seed: of the noise that space "coarse" leaves fixed.

    Raises:
        ConfigError: fewer than one step or cell, or a negative seed.
    """

    steps: int = 20
    coarse_side: int = 8
    fine_seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.coarse_side) < 1 or self.fine_seed < 0:
            raise ConfigError(
                "Sampling needs steps and coarse_side of at least 1 and a fine_seed of at least "
                f"0; got {self}."
            )
