"""The architecture of a StyleGAN2 as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vqlso.errors import ConfigError

COARSEST = 4


@dataclass(frozen=True)
class StyleGAN2Settings:
    """The architecture; the defaults are those of Karras et al. 2020 for 1024 pixels, at 64.

    Attributes:
        resolution: H = W in pixels, a power of two from 8.
        z_dim: length of z.
        w_dim: length of w.
        c_dim: length of the label that images are conditioned on; 0 for none.
        mapping_layers: fully connected layers from z to w.
        channel_base: a block at resolution r has channel_base / r channels ...
        channel_max: ... but at most so many.
        image_channels: 3 for RGB.
        conv_clamp: bound on every activation; None for none.

    Raises:
        ConfigError: a resolution that is no power of two from 8, or a number below 1.
    """

    resolution: int = 64
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    image_channels: int = 3
    conv_clamp: float | None = None

    def __post_init__(self) -> None:
        if self.resolution < 2 * COARSEST or self.resolution & (self.resolution - 1):
            raise ConfigError(
                "A StyleGAN2 doubles its resolution from 4 on: it must be a power of two from 8, "
                f"got {self.resolution}."
            )
        least = min(
            self.z_dim,
            self.w_dim,
            self.mapping_layers,
            self.channel_max,
            self.image_channels,
            self.channel_base // self.resolution,
        )
        if least < 1 or self.c_dim < 0:
            raise ConfigError(
                "A StyleGAN2 needs dimensions, layers and channels of at least 1, at the full "
                f"resolution too, and no negative c_dim; got {self}."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StyleGAN2Settings:
        """The settings that `dataclasses.asdict` wrote."""
        return cls(**values)

    def with_channel_base(self, channel_base: int) -> StyleGAN2Settings:
        """The same architecture at another width."""
        return replace(self, channel_base=channel_base)

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """4, 8, ..., resolution."""
        exponents = range(COARSEST.bit_length() - 1, self.resolution.bit_length())
        return tuple(2**exponent for exponent in exponents)

    @property
    def num_ws(self) -> int:
        """Latents that the synthesis network takes, 2 log2(resolution) - 2."""
        return 2 * len(self.block_resolutions)

    def channels(self, resolution: int) -> int:
        """C(r), channels of the block at this resolution."""
        return min(self.channel_base // resolution, self.channel_max)
