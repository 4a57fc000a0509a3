"""Low-pass filters of StyleGAN3 and the resampling they allow (Karras et al. 2021, appendix C)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal, special
from torch import Tensor
from torch.nn import functional as F

from vqlso.generators.stylegan3.settings import LayerGeometry

# The jinc is continuous at 0, where its formula is not defined.
NEAREST = 1e-9


def up_filter(layer: LayerGeometry) -> Tensor | None:
    """The (taps,) filter before the nonlinearity; None where nothing is upsampled."""
    if layer.up_taps == 1:
        return None
    return sinc(layer.up_taps, layer.in_cutoff, layer.in_half_width, layer.inner_rate)


def down_filter(layer: LayerGeometry) -> Tensor | None:
    """The (taps,) or radial (taps, taps) filter after it; None where nothing is downsampled."""
    if layer.down_taps == 1:
        return None
    design = jinc if layer.radial else sinc
    return design(layer.down_taps, layer.out_cutoff, layer.out_half_width, layer.inner_rate)


def sinc(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Kaiser-windowed sinc, for each axis in turn.

    Args:
        taps: its length, at least 2.
        cutoff: in cycles per unit.
        half_width: of the transition band.
        rate: samples per unit.

    Returns:
        (taps,) float32 of sum 1.
    """
    window = ("kaiser", _kaiser_beta(taps, half_width, rate))
    return torch.as_tensor(signal.firwin(taps, cutoff, window=window, fs=rate)).float()


def jinc(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Kaiser-windowed jinc, the same in all directions (appendix C.2); arguments as in `sinc`.

    Returns:
        (taps, taps) float32 of sum 1.
    """
    axis = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.maximum(np.hypot(axis[:, None], axis[None, :]), NEAREST)
    ideal = special.j1(2 * cutoff * np.pi * radius) / (np.pi * radius)
    window = np.kaiser(taps, _kaiser_beta(taps, half_width, rate))
    fir = ideal * np.outer(window, window)
    return torch.as_tensor(fir / fir.sum()).float()


def _kaiser_beta(taps: int, half_width: float, rate: float) -> float:
    attenuation = signal.kaiser_atten(taps, 2 * half_width / (rate / 2))
    return float(signal.kaiser_beta(attenuation))


def upsampled(x: Tensor, fir: Tensor, factor: int, padding: tuple[int, int]) -> Tensor:
    """Zeros in between, then a filter along each axis; the mean stays.

    Args:
        x: (n, C, h, w).
        fir: (taps,).
        factor: how many samples take the place of one.
        padding: zeros before and after, at the new rate; negative ones crop.

    Returns:
        (n, C, h', w') with h' = factor h + padding - taps + 1.
    """
    channels, taps = x.shape[1], len(fir)
    kernel = fir * factor
    for axis in (0, 1):
        shape, stride = ((taps, 1), (factor, 1)) if axis == 0 else ((1, taps), (1, factor))
        each = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        x = F.conv_transpose2d(x, each, stride=stride, groups=channels)
    # The transposed convolution gives all samples that the filter reaches.
    before, after = padding[0] - (taps - 1), padding[1] - (taps - factor)
    return F.pad(x, (before, after, before, after))


def downsampled(x: Tensor, fir: Tensor, factor: int) -> Tensor:
    """A filter, without padding, and every `factor`-th sample of the result.

    Args:
        x: (n, C, h, w).
        fir: (taps,) for each axis in turn, or (taps, taps).
        factor: how many samples one takes the place of.

    Returns:
        (n, C, h', w') with h' = (h - taps) // factor + 1.
    """
    channels, taps = x.shape[1], len(fir)
    if fir.ndim == 2:
        each = fir.flip(0, 1).expand(channels, 1, taps, taps)
        return F.conv2d(x, each, stride=factor, groups=channels)
    kernel = fir.flip(0)
    for shape, stride in (((taps, 1), (factor, 1)), ((1, taps), (1, factor))):
        each = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        x = F.conv2d(x, each, stride=stride, groups=channels)
    return x
