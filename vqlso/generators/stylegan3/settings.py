"""The architecture of a StyleGAN3 as numbers (Karras et al. 2021, "Alias-Free GANs", section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vqlso.errors import ConfigError


@dataclass(frozen=True)
class LayerGeometry:
    """One layer of the synthesis network: what it takes, what it gives and how it resamples.

    Rates are in samples per unit of length, cutoffs and half widths in cycles per unit; the image
    is one unit wide.

    Attributes:
        in_channels: channels taken.
        out_channels: channels given.
        in_size: height and width taken, in samples, with the margin around the image.
        out_size: height and width given.
        in_rate: sampling rate of what is taken.
        out_rate: sampling rate of what is given.
        inner_rate: sampling rate at which the nonlinearity acts.
        in_cutoff: cutoff of the filter that upsamples.
        out_cutoff: cutoff of the filter that downsamples.
        in_half_width: half width of the first filter's transition band.
        out_half_width: half width of the second filter's transition band.
        kernel: height and width of the convolution.
        radial: whether the second filter is the same in all directions.
        to_image: whether this is the last layer, which has neither nonlinearity nor filters.
        up_taps: taps of the first filter; 1 for none.
        down_taps: taps of the second filter; 1 for none.
    """

    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    in_rate: int
    out_rate: int
    inner_rate: int
    in_cutoff: float
    out_cutoff: float
    in_half_width: float
    out_half_width: float
    kernel: int
    radial: bool
    to_image: bool
    up_taps: int
    down_taps: int

    @property
    def up_factor(self) -> int:
        """From the rate of what is taken to that of the nonlinearity."""
        return self.inner_rate // self.in_rate

    @property
    def down_factor(self) -> int:
        """From the rate of the nonlinearity to that of what is given."""
        return self.inner_rate // self.out_rate

    @property
    def padding(self) -> tuple[int, int]:
        """Samples at the inner rate before and after, for `out_size` to come out.

        The filters' taps are even in number and delay by half a sample of the slower side, which
        the `up_factor` in the first of the two makes up for.
        """
        given = (self.out_size - 1) * self.down_factor + self.down_taps
        taken = (self.in_size + self.kernel - 1) * self.up_factor
        total = given - taken + self.up_taps - 1
        before = (total + self.up_factor) // 2
        return before, total - before


@dataclass(frozen=True)
class StyleGAN3Settings:
    """The architecture; the defaults are those of StyleGAN3-T at 256 pixels.

    Attributes:
        resolution: H = W in pixels, a power of two from 16.
        z_dim: length of z.
        w_dim: length of w.
        c_dim: length of the label that images are conditioned on; 0 for none.
        mapping_layers: fully connected layers from z to w.
        channel_base: a layer of cutoff f has channel_base / (2 f) channels ...
        channel_max: ... but at most so many.
        image_channels: 3 for RGB.
        num_layers: layers of the synthesis network before the one that gives the image.
        num_critical: how many of the last are critically sampled.
        first_cutoff: cutoff of the first layer.
        first_stopband: end of the first layer's transition band.
        last_stopband_rel: end of the last layer's, as a factor on its cutoff.
        margin_size: samples around the image on each side.
        output_scale: factor on the image before it counts as -1 to 1.
        conv_kernel: height and width of the convolutions; 1 in StyleGAN3-R.
        filter_size: taps of a filter for each sample of its slower side.
        lrelu_upsampling: how much faster the nonlinearity is sampled than what it gives.
        radial_filters: whether downsampling treats all directions alike; so in StyleGAN3-R.
        conv_clamp: bound on every activation; None for none.

    Raises:
        ConfigError: numbers with which the layers cannot be laid out.
    """

    resolution: int = 256
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 2
    channel_base: int = 32768
    channel_max: int = 512
    image_channels: int = 3
    num_layers: int = 14
    num_critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3
    margin_size: int = 10
    output_scale: float = 0.25
    conv_kernel: int = 3
    filter_size: int = 6
    lrelu_upsampling: int = 2
    radial_filters: bool = False
    conv_clamp: float | None = 256.0

    def __post_init__(self) -> None:
        if self.resolution < 16 or self.resolution & (self.resolution - 1):
            raise ConfigError(
                f"A StyleGAN3 needs a resolution that is a power of two from 16, got "
                f"{self.resolution}."
            )
        dimensions = min(self.z_dim, self.w_dim, self.mapping_layers, self.image_channels)
        channels = min(self.channel_base // self.resolution, self.channel_max)
        filters = min(self.conv_kernel, self.filter_size, self.lrelu_upsampling)
        if min(dimensions, channels, filters) < 1 or min(self.c_dim, self.margin_size) < 0:
            raise ConfigError(
                "A StyleGAN3 needs dimensions, layers, channels and filters of at least 1, and no "
                f"negative c_dim or margin; got {self}."
            )
        if not 0 <= self.num_critical < self.num_layers:
            raise ConfigError(
                f"A StyleGAN3 of {self.num_layers} layers cannot have {self.num_critical} that are "
                "critically sampled."
            )
        if not (
            0 < self.first_cutoff < self.first_stopband
            and self.first_cutoff < self.resolution / 2
            and 1 < self.last_stopband_rel <= 2
        ):
            raise ConfigError(
                "A StyleGAN3 needs 0 < first_cutoff < first_stopband, a first_cutoff below half "
                f"the resolution and a last_stopband_rel in (1, 2]; got {self}."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StyleGAN3Settings:
        """The settings that `dataclasses.asdict` wrote."""
        return cls(**values)

    @property
    def num_ws(self) -> int:
        """Latents that the synthesis network takes: for the input, each layer and the image."""
        return self.num_layers + 2

    @property
    def layers(self) -> tuple[LayerGeometry, ...]:
        """All num_layers + 1 layers, by the progression of section 3.2.

        Cutoffs and stopbands grow geometrically up to the critically sampled layers; each rate is
        the least power of two that holds the stopband.
        """
        steps = np.arange(self.num_layers + 1) / (self.num_layers - self.num_critical)
        progress = np.minimum(steps, 1)
        last_cutoff = self.resolution / 2
        last_stopband = last_cutoff * self.last_stopband_rel
        cutoffs = self.first_cutoff * (last_cutoff / self.first_cutoff) ** progress
        stopbands = self.first_stopband * (last_stopband / self.first_stopband) ** progress
        rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, self.resolution)))).astype(int)
        half_widths = np.maximum(stopbands, rates / 2) - cutoffs
        sizes = rates + 2 * self.margin_size
        sizes[-2:] = self.resolution
        channels = np.rint(np.minimum(self.channel_base / 2 / cutoffs, self.channel_max))
        channels[-1] = self.image_channels
        return tuple(
            self._layer(i, channels.astype(int), sizes, rates, cutoffs, half_widths)
            for i in range(self.num_layers + 1)
        )

    def _layer(
        self,
        i: int,
        channels: np.ndarray[Any, np.dtype[np.int64]],
        sizes: np.ndarray[Any, np.dtype[np.int64]],
        rates: np.ndarray[Any, np.dtype[np.int64]],
        cutoffs: np.ndarray[Any, np.dtype[np.float64]],
        half_widths: np.ndarray[Any, np.dtype[np.float64]],
    ) -> LayerGeometry:
        before, to_image = max(i - 1, 0), i == self.num_layers
        in_rate, out_rate = int(rates[before]), int(rates[i])
        inner_rate = max(in_rate, out_rate) * (1 if to_image else self.lrelu_upsampling)
        up, down = inner_rate // in_rate, inner_rate // out_rate
        return LayerGeometry(
            in_channels=int(channels[before]),
            out_channels=int(channels[i]),
            in_size=int(sizes[before]),
            out_size=int(sizes[i]),
            in_rate=in_rate,
            out_rate=out_rate,
            inner_rate=inner_rate,
            in_cutoff=float(cutoffs[before]),
            out_cutoff=float(cutoffs[i]),
            in_half_width=float(half_widths[before]),
            out_half_width=float(half_widths[i]),
            kernel=1 if to_image else self.conv_kernel,
            radial=self.radial_filters and i < self.num_layers - self.num_critical,
            to_image=to_image,
            up_taps=self.filter_size * up if up > 1 and not to_image else 1,
            down_taps=self.filter_size * down if down > 1 and not to_image else 1,
        )
