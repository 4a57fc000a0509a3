"""A trained StyleGAN2 as an immutable generator over its four latent spaces."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.generators.style_based import Render, StyleBasedGenerator
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.hardware import bfloat16_pays
from vqlso.spaces import RealVectors

KIND = "stylegan2"
NoiseChoice = Literal["const", "none"] | int


@dataclass(frozen=True)
class StyleSpace(RealVectors):
    """S-space: the styles of all layers, one after the other (Wu et al. 2021, "StyleSpace").

    Attributes:
        layers: name and width of each styled layer, such as ("b4.conv1", 512).
    """

    layers: tuple[tuple[str, int], ...] = field(kw_only=True)

    @property
    def widths(self) -> list[int]:
        """Columns of each layer."""
        return [width for _, width in self.layers]


class StyleGAN2(StyleBasedGenerator):
    """A trained StyleGAN2, over z, w, w+ (a w for each layer) and s (the layers' styles).

    Args:
        network: the trained network; it is put into evaluation mode.
        truncation_psi: how far samples of "w", "w+" and "s" are drawn towards the mean of w.
        label: (c_dim,) what images are conditioned on where no label is given; only for networks
            with labels.
        memory_mib: bound on the memory that `decode` takes for activations, in MiB.
        mixed_precision: convolutions in bf16 where the hardware has it; pixels then differ from
            those of float32 by about 0.001, a few by 0.04.
        searched: the space that is searched unless another is named.

    Attributes:
        space: the searched one.
        chunk: images that `decode` makes at once.
    """

    def __init__(
        self,
        network: StyleGAN2Network,
        *,
        truncation_psi: float = 1.0,
        label: NDArray[np.floating[Any]] | None = None,
        memory_mib: int = 256,
        mixed_precision: bool = False,
        searched: str = "w",
    ) -> None:
        self.network = network
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings = network.settings
        self.dtype = torch.bfloat16 if mixed_precision and bfloat16_pays() else torch.float32
        super().__init__(
            network,
            network.mapping,
            settings,
            truncation_psi=truncation_psi,
            label=label,
            largest_layer=max(
                settings.channels(r // 2) * r**2 for r in settings.block_resolutions[1:]
            ),
            memory_mib=memory_mib,
            searched=searched,
        )

    @property
    def kind(self) -> str:
        """What its file is called inside."""
        return KIND

    def synthesize(self, ws: Tensor, noise: NoiseChoice = "const") -> Tensor:
        """(n, num_ws, w_dim) -> (n, 3, H, W) float32 in [0, 1], differentiable in `ws`.

        Args:
            ws: latents of "w+".
            noise: the network's own, none, or the seed of drawn noise.

        Raises:
            LatentSpaceError: `ws` is not of this shape; a w is given as one for each layer.
        """
        return self.synthesize_styles(self.styles(ws), noise)

    def styles(self, ws: Tensor) -> Tensor:
        """(n, num_ws, w_dim) -> (n, S) latents of "s", differentiable in `ws`.

        Raises:
            LatentSpaceError: as in `synthesize`.
        """
        return torch.cat(self.network.synthesis.styles(self._rows(ws, "w+")), dim=1)

    def synthesize_styles(self, s: Tensor, noise: NoiseChoice = "const") -> Tensor:
        """(n, S) latents of "s" -> (n, 3, H, W) float32 in [0, 1], differentiable in `s`.

        Raises:
            LatentSpaceError: `s` is not of this shape.
        """
        styles = torch.split(self._rows(s, "s"), self._style_space.widths, dim=1)
        if isinstance(noise, str):
            pixels = self.network.synthesis.render(styles, noise, self.dtype)
        else:
            with torch.random.fork_rng():
                torch.manual_seed(noise)
                pixels = self.network.synthesis.render(styles, "random", self.dtype)
        return pixels.add(1).div(2).clamp(0, 1)

    def save(self, path: Path, *, half: bool = False) -> None:
        """Write weights and settings; the file replaces an older one as a whole.

        Args:
            path: the file.
            half: keep weights as float16, at half the size. They are rounded: what is loaded has
                another version.
        """
        save_checkpoint(path, KIND, asdict(self.settings), self.network, half=half)

    @classmethod
    def load(cls, path: Path, **options: Any) -> StyleGAN2:
        """A StyleGAN2 from its file.

        Args:
            path: what `save` wrote.
            options: keywords of the constructor, such as `truncation_psi`.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
        """
        settings, state = read_checkpoint(path, KIND, StyleGAN2Settings.from_dict)
        with torch.device("meta"):
            network = StyleGAN2Network(settings)
        architecture = "the StyleGAN2 that its settings describe"
        load_state(network, state, str(path), architecture, assign=True)
        return cls(network.float(), **options)

    def _renders(self) -> dict[str, Render]:
        return {**super()._renders(), "s": self.synthesize_styles}

    def _make_spaces(self) -> dict[str, RealVectors]:
        layers = tuple(
            (name, layer.weight.shape[1])
            for name, _, layer in self.network.synthesis.styled_layers()
        )
        width = sum(inputs for _, inputs in layers)
        drawn = self._drawn(self.styles)
        return {
            **super()._make_spaces(),
            "s": StyleSpace("s", (width,), drawn, layers=layers),
        }

    @property
    def _style_space(self) -> StyleSpace:
        space = self._spaces["s"]
        assert isinstance(space, StyleSpace)
        return space
