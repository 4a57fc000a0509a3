"""w -> image: StyleGAN2's synthesis network with skip connections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqlso.generators.stylegan2.layers import (
    GAIN,
    LEAK,
    FullyConnected,
    demodulation,
    doubled,
    fir_filter,
    modulated_convolution,
)
from vqlso.generators.stylegan2.settings import COARSEST, StyleGAN2Settings

Noise = Literal["const", "none", "random"]


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        w_dim: length of w.
        resolution: of the output.
        upsampling: whether the input has half of it.
        clamp: bound on the result; None for none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        *,
        upsampling: bool,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())
        self.noise_const: Tensor
        self.resample_filter: Tensor

    def forward(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        """(n, inputs, h, w) and (n, inputs) -> (n, outputs, r, r) in the dtype of x."""
        fir = self.resample_filter if self.upsampling else None
        y = modulated_convolution(x, self.weight, style, fir)
        # The gain of the leaky ReLU goes before it, into factors that are small.
        scale = (demodulation(self.weight, style) * GAIN)[:, :, None, None].to(x.dtype)
        shift = self.bias.view(1, -1, 1, 1)
        if noise == "const":
            shift = shift + self.noise_const * self.noise_strength
        y = torch.addcmul((shift * GAIN).to(x.dtype), y, scale)
        if noise == "random":
            drawn = torch.randn(len(y), 1, *y.shape[2:], device=y.device)
            y = y + (drawn * (self.noise_strength * GAIN)).to(x.dtype)
        y = F.leaky_relu(y, LEAK)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to colours, not demodulated."""

    def __init__(self, inputs: int, colours: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colours))
        self.weight_gain = inputs**-0.5

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(n, inputs, r, r) and (n, inputs) -> (n, colours, r, r) float32."""
        y = modulated_convolution(x, self.weight, style * self.weight_gain).float()
        y = y + self.bias.view(1, -1, 1, 1)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """All layers of one resolution; the coarsest begins with a learnt constant."""

    def __init__(self, resolution: int, settings: StyleGAN2Settings) -> None:
        super().__init__()
        outputs, w_dim, clamp = settings.channels(resolution), settings.w_dim, settings.conv_clamp
        self.register_buffer("resample_filter", fir_filter())
        self.resample_filter: Tensor
        self.coarsest = resolution == COARSEST
        if self.coarsest:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            inputs = settings.channels(resolution // 2)
            self.conv0 = SynthesisLayer(
                inputs, outputs, w_dim, resolution, upsampling=True, clamp=clamp
            )
        self.conv1 = SynthesisLayer(
            outputs, outputs, w_dim, resolution, upsampling=False, clamp=clamp
        )
        self.torgb = ToRGB(outputs, settings.image_channels, w_dim, clamp)

    def styled_layers(self) -> list[tuple[str, SynthesisLayer | ToRGB]]:
        """The layers that take a style, in order."""
        first = [] if self.coarsest else [("conv0", self.conv0)]
        return [*first, ("conv1", self.conv1), ("torgb", self.torgb)]

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Iterator[Tensor], noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Features and image at half the resolution -> features and image at this one."""
        if not self.coarsest:
            x = self.conv0(x, next(styles), noise)
        x = self.conv1(x, next(styles), noise)
        colours: Tensor = self.torgb(x, next(styles))
        return x, colours if image is None else doubled(image, self.resample_filter) + colours


class SynthesisNetwork(nn.Module):
    """Blocks of doubling resolution, named b4, b8, ... as in the official checkpoints."""

    def __init__(self, settings: StyleGAN2Settings) -> None:
        super().__init__()
        self.settings = settings
        for resolution in settings.block_resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, settings))

    def styled_layers(self) -> list[tuple[str, int, SynthesisLayer | ToRGB]]:
        """(name, index of its w, layer) of all layers that take a style, in order.

        A block's `torgb` shares its w with the next block's `conv0`.
        """
        found, index = [], 0
        for resolution, block in self._blocks():
            layers = block.styled_layers()
            for offset, (name, layer) in enumerate(layers):
                found.append((f"b{resolution}.{name}", index + offset, layer))
            index += len(layers) - 1
        return found

    def styles(self, ws: Tensor) -> list[Tensor]:
        """(n, num_ws, w_dim) -> for each styled layer (n, its inputs): the latents of S-space."""
        return [layer.affine(ws[:, index]) for _, index, layer in self.styled_layers()]

    def render(
        self, styles: Sequence[Tensor], noise: Noise = "const", dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Styles -> (n, colours, H, W) float32 images in about [-1, 1].

        Args:
            styles: of every styled layer.
            noise: the learnt network's own, none, or drawn from torch's global stream.
            dtype: of the convolutions.
        """
        each = iter(styles)
        constant: Tensor = self.get_parameter(f"b{COARSEST}.const").to(dtype)
        x = constant.expand(len(styles[0]), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for _, block in self._blocks():
            x, image = block(x, image, each, noise)
        assert image is not None
        return image

    def forward(
        self, ws: Tensor, noise: Noise = "const", dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """(n, num_ws, w_dim) -> (n, colours, H, W) float32 images in about [-1, 1]."""
        return self.render(self.styles(ws), noise, dtype)

    def _blocks(self) -> Iterator[tuple[int, SynthesisBlock]]:
        for resolution in self.settings.block_resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            yield resolution, block
