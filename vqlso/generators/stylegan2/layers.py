"""The layers of StyleGAN2 (Karras et al. 2020, "Analyzing and Improving the Image Quality")."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
# Restores the variance that the leaky ReLU takes.
GAIN = math.sqrt(2)
EPSILON = 1e-8
FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


class FullyConnected(nn.Module):
    """A linear layer whose weights are scaled at run time ("equalised learning rate").

    Karras et al. 2018, "Progressive Growing of GANs", section 4.1: Adam then moves all weights at
    the same relative speed.

    Args:
        inputs: columns in.
        outputs: columns out.
        activated: whether a leaky ReLU follows.
        learning_rate: factor on the speed at which the layer learns.
        bias: at the start.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activated: bool = False,
        learning_rate: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.activated = activated
        self.weight_gain = learning_rate / math.sqrt(inputs)
        self.bias_gain = learning_rate

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        y = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return F.leaky_relu(y, LEAK) * GAIN if self.activated else y


class Convolution(nn.Module):
    """A convolution with equalised learning rate, as the discriminator uses it.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: height and width of the kernel, 1 or 3.
        biased: whether a bias is added.
        activated: whether a leaky ReLU follows.
        halved: whether the output has half the resolution, low-passed first.
        clamp: bound on the result before `gain`; None for none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        biased: bool = True,
        activated: bool = True,
        halved: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if biased else None
        self.register_buffer("resample_filter", fir_filter())
        self.resample_filter: Tensor
        self.activated = activated
        self.halved = halved
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w) or half of it, in the dtype of x.

        Args:
            x: any floating dtype.
            gain: factor on the result.
        """
        # Leaky ReLU commutes with positive factors, so every gain goes into the weights, which
        # are far smaller than the images.
        factor = gain * GAIN if self.activated else gain
        weight = (self.weight * (self.weight_gain * factor)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * factor).to(x.dtype)
        if self.halved:
            padding = weight.shape[-1] // 2 + 1
            x = filtered(x, self.resample_filter, padding)
            y = F.conv2d(x, weight, bias, stride=2)
        else:
            y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        if self.activated:
            y = F.leaky_relu(y, LEAK)
        return y if self.clamp is None else y.clamp(-self.clamp * gain, self.clamp * gain)


def modulated_convolution(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    fir: Tensor | None = None,
) -> Tensor:
    """Convolution whose input channels are scaled by each image's style, not yet demodulated.

    Scaling the input is equal to scaling the weights for each image (Karras et al. 2020,
    section 2.2), without a kernel per image, which processors handle slowly.

    Args:
        x: (n, in, h, w), any floating dtype.
        weight: (out, in, k, k).
        style: (n, in).
        fir: low-pass filter of an output of twice the resolution; None keeps the resolution.

    Returns:
        (n, out, h, w) or (n, out, 2h, 2w) in the dtype of x.
    """
    x = x * style.to(x.dtype)[:, :, None, None]
    weight = weight.to(x.dtype)
    if fir is None:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return filtered(y, fir * 4, padding=1)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """(n, out) factors that bring each output channel back to unit variance.

    Karras et al. 2020, eq. 3: 1 / sqrt(sum over inputs and kernel of (style * weight)^2 + eps).
    """
    energy = style.square() @ weight.square().sum(dim=(2, 3)).T
    return (energy + EPSILON).rsqrt()


def fir_filter() -> Tensor:
    """The (4, 4) low-pass filter of all resampling; it sums to 1."""
    taps = torch.tensor(FIR_TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2


def filtered(x: Tensor, fir: Tensor, padding: int) -> Tensor:
    """Each channel of (n, C, h, w) padded with zeros on all sides and low-passed."""
    channels = x.shape[1]
    kernel = fir.flip(0, 1).to(x.dtype).expand(channels, 1, *fir.shape)
    return F.conv2d(x, kernel, padding=padding, groups=channels)


def doubled(image: Tensor, fir: Tensor) -> Tensor:
    """(n, C, h, w) -> (n, C, 2h, 2w): zeros in between, then the low-pass filter."""
    n, channels, h, w = image.shape
    spread = image.new_zeros(n, channels, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = image
    padded = F.pad(spread.view(n, channels, 2 * h, 2 * w), (2, 1, 2, 1))
    return filtered(padded, fir * 4, padding=0)


def normalised(x: Tensor) -> Tensor:
    """(n, d) rows scaled to a mean square of 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def with_minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """(n, C, h, w) -> (n, C + 1, h, w); the new channel tells how much images differ.

    Karras et al. 2018, section 3, in groups as StyleGAN2 has it: a group's deviation, averaged
    over channels and pixels, is given to each of its images. Images i, i + n / size, ... form a
    group.

    Args:
        x: the features.
        group: images compared with each other; the largest divisor of n up to it is taken.
    """
    n, _, h, w = x.shape
    size = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    groups = x.float().reshape(size, n // size, -1)
    deviation = (groups.var(dim=0, unbiased=False) + EPSILON).sqrt().mean(dim=1)
    channel = deviation.repeat(size).view(n, 1, 1, 1).expand(n, 1, h, w)
    return torch.cat([x, channel.to(x.dtype)], dim=1)
