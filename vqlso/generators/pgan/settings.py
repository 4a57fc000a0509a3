"""The architecture of a progressive GAN as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vqlso.errors import ConfigError

COARSEST = 4


@dataclass(frozen=True)
class PGANSettings:
    """The architecture; the defaults are those of Karras et al. 2018 up to 64 pixels.

    Attributes:
        z_dim: length of z.
        classes: how many classes each group has, such as (7, 7) for shapes and fabrics; none for
            a network without labels.
        channels: of the blocks at 4, 8, ... pixels: as many numbers as there are resolutions.
        image_channels: 3 for RGB.

    Raises:
        ConfigError: no resolution, a number below 1, or a group of fewer than two classes.
    """

    z_dim: int = 512
    classes: tuple[int, ...] = ()
    channels: tuple[int, ...] = (512, 512, 512, 512, 256)
    image_channels: int = 3

    def __post_init__(self) -> None:
        if not self.channels or min(self.z_dim, self.image_channels, *self.channels) < 1:
            raise ConfigError(
                "A PGAN needs at least one resolution, and dimensions and channels of at least "
                f"1; got {self}."
            )
        if any(count < 2 for count in self.classes):
            raise ConfigError(
                f"A group of classes has at least two of them; got {self.classes}. Leave groups "
                "of one class out: there is nothing to choose."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PGANSettings:
        """The settings that `dataclasses.asdict` wrote, perhaps by way of JSON."""
        tuples = {name: tuple(values[name]) for name in ("classes", "channels")}
        return cls(**{**values, **tuples})

    @property
    def levels(self) -> int:
        """How many resolutions there are."""
        return len(self.channels)

    @property
    def resolution(self) -> int:
        """H = W of the finest images, in pixels."""
        return self.side(self.levels - 1)

    @property
    def class_dim(self) -> int:
        """Length of the class part, one column a class of each group."""
        return sum(self.classes)

    @property
    def latent_dim(self) -> int:
        """Length of what the network takes: z and the class part."""
        return self.z_dim + self.class_dim

    def side(self, level: int) -> int:
        """Pixels of a level's images, counted from 0 for 4 pixels."""
        return COARSEST << level
