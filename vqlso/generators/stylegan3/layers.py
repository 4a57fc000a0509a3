"""The layers of StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial Networks")."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.stylegan2.layers import EPSILON, GAIN, LEAK, FullyConnected
from vqlso.generators.stylegan3.filters import down_filter, downsampled, up_filter, upsampled
from vqlso.generators.stylegan3.settings import LayerGeometry

# At the inner rate at once; fewer take longer, more do not take less.
CHANNELS = 16


class FourierInput(nn.Module):
    """Sines and cosines over the plane, which w translates and rotates (section 3.2, config T).

    Args:
        channels: how many waves.
        size: height and width given, in samples.
        rate: samples per unit of length.
        bandwidth: the largest frequency at the start, in cycles per unit.
        w_dim: length of w.
    """

    def __init__(self, channels: int, size: int, rate: int, bandwidth: float, w_dim: int) -> None:
        super().__init__()
        self.size, self.rate, self.bandwidth = size, rate, bandwidth
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnected(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        # The user's own transform of the image, after that of w.
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", _frequencies(channels) * bandwidth)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        self.transform: Tensor
        self.freqs: Tensor
        self.phases: Tensor

    def forward(self, w: Tensor) -> Tensor:
        """(n, w_dim) -> (n, channels, size, size)."""
        transform = rotation_and_translation(self.affine(w)) @ self.transform
        phases = self.phases + (self.freqs @ transform[:, :2, 2:]).squeeze(2)
        freqs = self.freqs @ transform[:, :2, :2]
        # A wave that a scaling pushes beyond the band fades out instead of aliasing.
        above = freqs.norm(dim=2) - self.bandwidth
        amplitudes = (1 - above / (self.rate / 2 - self.bandwidth)).clamp(0, 1)
        axis = (torch.arange(self.size, device=w.device) + 0.5 - self.size / 2) / self.rate
        angle = freqs[:, :, 0, None, None] * axis + freqs[:, :, 1, None, None] * axis[:, None]
        waves = torch.sin(2 * math.pi * (angle + phases[:, :, None, None]))
        waves = waves * amplitudes[:, :, None, None]
        mixing = self.weight / math.sqrt(len(self.weight))
        return torch.einsum("nchw,dc->ndhw", waves, mixing)


def rotation_and_translation(t: Tensor) -> Tensor:
    """(n, 4) of cosine, sine, x and y -> (n, 3, 3); the first two are scaled to unit length."""
    cosine, sine, x, y = (t / t[:, :2].norm(dim=1, keepdim=True)).unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
    translation = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1)
    return rotation.view(-1, 3, 3) @ translation.view(-1, 3, 3)


def _frequencies(channels: int) -> Tensor:
    """(channels, 2) frequencies spread evenly over the unit disc."""
    freqs = torch.randn(channels, 2)
    squared = freqs.square().sum(dim=1, keepdim=True)
    return freqs / (squared.sqrt() * squared.exp().pow(0.25))


class SynthesisLayer(nn.Module):
    """Modulated convolution, then a leaky ReLU between an upsampling and a downsampling.

    At the higher rate between them the nonlinearity aliases less (section 3.1).

    Args:
        geometry: sizes, rates and filters.
        w_dim: length of w.
        clamp: bound on the result of the nonlinearity; None for none.
    """

    def __init__(self, geometry: LayerGeometry, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.geometry, self.clamp = geometry, clamp
        inputs, outputs, kernel = geometry.in_channels, geometry.out_channels, geometry.kernel
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # Mean square of the input in training, by which it is normalised.
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.register_buffer("up_filter", up_filter(geometry))
        self.register_buffer("down_filter", down_filter(geometry))
        self.magnitude_ema: Tensor
        self.up_filter: Tensor | None
        self.down_filter: Tensor | None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(n, in_channels, in_size, in_size) and (n, w_dim) -> (n, out_channels, out_size, ...).

        The result has the dtype of x.
        """
        y = self._convolved(x, self.affine(w)) + self.bias.to(x.dtype)[:, None, None]
        # A few channels at a time, since at the inner rate all of them are many times the output.
        some = torch.split(y, CHANNELS, dim=1)
        # Depthwise filters have no matrix hardware: on a CPU bf16 makes them slower, not faster.
        filtered = [self._activated(each.to(self.weight.dtype)).to(x.dtype) for each in some]
        return torch.cat(filtered, dim=1)

    def _activated(self, y: Tensor) -> Tensor:
        if not self.geometry.to_image:
            # Leaky ReLU commutes with positive factors, and here there are fewer samples.
            y = F.leaky_relu(self._upsampled(y * GAIN), LEAK)
        if self.clamp is not None:
            y = y.clamp(-self.clamp, self.clamp)
        if self.down_filter is None:
            return y
        return downsampled(y, self.down_filter, self.geometry.down_factor)

    def _convolved(self, x: Tensor, style: Tensor) -> Tensor:
        kernel, pad = self.geometry.kernel, self.geometry.kernel - 1
        weight: Tensor = self.weight
        gain = self.magnitude_ema.rsqrt()
        if self.geometry.to_image:
            scale = style * (gain / math.sqrt(self.geometry.in_channels * kernel**2))
            return F.conv2d(x * _factors(scale, x), weight.to(x.dtype), padding=pad)
        # Both are normalised first, so that products stay small; demodulation undoes it.
        weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
        style = style * style.square().mean(dim=1, keepdim=True).rsqrt()
        energy = style.square() @ weight.square().sum(dim=(2, 3)).T
        y = F.conv2d(x * _factors(style * gain, x), weight.to(x.dtype), padding=pad)
        return y * _factors((energy + EPSILON).rsqrt(), x)

    def _upsampled(self, y: Tensor) -> Tensor:
        padding = self.geometry.padding
        if self.up_filter is None:
            return F.pad(y, (*padding, *padding))
        return upsampled(y, self.up_filter, self.geometry.up_factor, padding)


def _factors(values: Tensor, x: Tensor) -> Tensor:
    """(n, channels) -> (n, channels, 1, 1) in the dtype of x."""
    return values.to(x.dtype)[:, :, None, None]
