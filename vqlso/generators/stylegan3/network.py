"""The two halves of a StyleGAN3 generator as one network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqlso.generators.stylegan2.mapping import MappingNetwork
from vqlso.generators.stylegan3.layers import FourierInput, SynthesisLayer
from vqlso.generators.stylegan3.settings import StyleGAN3Settings


class SynthesisNetwork(nn.Module):
    """Waves, then layers named L0_{size}_{channels}, ... as in the official checkpoints."""

    def __init__(self, settings: StyleGAN3Settings) -> None:
        super().__init__()
        layers = settings.layers
        self.output_scale = settings.output_scale
        first = layers[0]
        self.input = FourierInput(
            first.in_channels, first.in_size, first.in_rate, first.in_cutoff, settings.w_dim
        )
        self.layer_names = [
            f"L{i}_{layer.out_size}_{layer.out_channels}" for i, layer in enumerate(layers)
        ]
        for name, layer in zip(self.layer_names, layers, strict=True):
            self.add_module(name, SynthesisLayer(layer, settings.w_dim, settings.conv_clamp))

    def forward(self, ws: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """(n, num_ws, w_dim) -> (n, colours, H, W) images in about [-1, 1].

        Args:
            ws: latents.
            dtype: of the convolutions; None for that of the weights.
        """
        first, *others = ws.unbind(dim=1)
        x: Tensor = self.input(first)
        x = x.to(dtype or x.dtype)
        for name, w in zip(self.layer_names, others, strict=True):
            x = self.get_submodule(name)(x, w)
        return x.to(ws.dtype) * self.output_scale


class StyleGAN3Network(nn.Module):
    """Mapping and synthesis; the state's names are those of the official checkpoints.

    Attributes:
        settings: the architecture.
        mapping: z -> w, as in StyleGAN2.
        synthesis: w -> image.
    """

    def __init__(self, settings: StyleGAN3Settings) -> None:
        super().__init__()
        self.settings = settings
        self.mapping = MappingNetwork(
            settings.z_dim, settings.c_dim, settings.w_dim, settings.mapping_layers
        )
        self.synthesis = SynthesisNetwork(settings)
