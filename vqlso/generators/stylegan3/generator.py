"""A trained StyleGAN3 as an immutable generator over its latent spaces z, w and w+."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import kind_of, load_state, read_checkpoint
from vqlso.errors import CheckpointError
from vqlso.generators.style_based import StyleBasedGenerator
from vqlso.generators.stylegan3.network import StyleGAN3Network
from vqlso.generators.stylegan3.settings import StyleGAN3Settings
from vqlso.hardware import bfloat16_pays

KINDS = ("stylegan3-t", "stylegan3-r")


class StyleGAN3(StyleBasedGenerator):
    """A trained StyleGAN3, of either configuration, over z, w and w+ (a w a layer and the input).

    Args:
        network: the trained network; it is put into evaluation mode.
        truncation_psi: how far samples of "w" and "w+" are drawn towards the mean of w.
        label: (c_dim,) what images are conditioned on where no label is given; only for networks
            with labels.
        memory_mib: bound on the memory that `decode` takes for activations, in MiB.
        mixed_precision: convolutions in bf16 where the hardware has it, filters in float32; pixels
            of random networks then differ from those of float32 by about 0.001, at most by 0.01.
        searched: the space that is searched unless another is named.

    Attributes:
        space: the searched one.
        chunk: images that `decode` makes at once.
    """

    def __init__(
        self,
        network: StyleGAN3Network,
        *,
        truncation_psi: float = 1.0,
        label: NDArray[np.floating[Any]] | None = None,
        memory_mib: int = 256,
        mixed_precision: bool = False,
        searched: str = "w",
    ) -> None:
        self.network = network
        self.settings = network.settings
        self.dtype = torch.bfloat16 if mixed_precision and bfloat16_pays() else torch.float32
        super().__init__(
            network,
            network.mapping,
            network.settings,
            truncation_psi=truncation_psi,
            label=label,
            largest_layer=max(
                layer.out_channels * layer.out_size**2 for layer in network.settings.layers
            ),
            memory_mib=memory_mib,
            searched=searched,
        )

    @property
    def kind(self) -> str:
        """ "stylegan3-r" where downsampling treats all directions alike, else "stylegan3-t"."""
        return KINDS[self.settings.radial_filters]

    def synthesize(self, ws: Tensor) -> Tensor:
        """(n, num_ws, w_dim) -> (n, 3, H, W) float32 in [0, 1], differentiable in `ws`.

        Raises:
            LatentSpaceError: `ws` is not of this shape; a w is given as one for each layer.
        """
        pixels: Tensor = self.network.synthesis(self._rows(ws, "w+"), self.dtype)
        return pixels.add(1).div(2).clamp(0, 1)

    @classmethod
    def load(cls, path: Path, **options: Any) -> StyleGAN3:
        """A StyleGAN3 from its file.

        Args:
            path: what `save` or `vqlso import-gan` wrote.
            options: keywords of the constructor, such as `truncation_psi`.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        kind = kind_of(path)
        if kind not in KINDS:
            raise CheckpointError(
                f"{path} holds a network of kind '{kind}', where {' or '.join(KINDS)} is needed."
            )
        settings, state = read_checkpoint(path, kind, StyleGAN3Settings.from_dict)
        with torch.device("meta"):
            network = StyleGAN3Network(settings)
        architecture = "the StyleGAN3 that its settings describe"
        load_state(network, state, str(path), architecture, assign=True)
        return cls(network, **options)
