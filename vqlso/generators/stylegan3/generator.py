"""A trained StyleGAN3 as an immutable generator over its latent spaces z, w and w+."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import kind_of, load_state, read_checkpoint, save_checkpoint
from vqlso.errors import CheckpointError, LatentSpaceError
from vqlso.generators.network_generators import weights_version
from vqlso.generators.stylegan3.network import StyleGAN3Network
from vqlso.generators.stylegan3.settings import StyleGAN3Settings
from vqlso.spaces import RealVectors

KINDS = ("stylegan3-t", "stylegan3-r")

# A layer holds its input, its convolution and its output at once, and a copy of one of them.
IMAGES_HELD = 4
MIB = 2**20


class StyleGAN3:
    """A trained StyleGAN3, of either configuration.

    Args:
        network: the trained network; it is put into evaluation mode.
        truncation_psi: how far samples of "w" and "w+" are drawn towards the mean of w.
        label: (c_dim,) what images are conditioned on where no label is given; only for networks
            with labels.
        memory_mib: bound on the memory that `decode` takes for activations, in MiB.
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
        searched: str = "w",
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.settings = network.settings
        self.truncation_psi = truncation_psi
        self.label = label
        self.chunk = _chunk(self.settings, memory_mib)
        self._spaces = self._make_spaces()
        self.space = self._require(searched)

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """z, w and w+ (a w for the input and for each layer)."""
        return self._spaces

    @property
    def kind(self) -> str:
        """ "stylegan3-r" where downsampling treats all directions alike, else "stylegan3-t"."""
        return KINDS[self.settings.radial_filters]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        side = self.settings.resolution
        return (self.settings.image_channels, side, side)

    @cached_property
    def version(self) -> str:
        """Hash of all weights, 12 hexadecimal digits."""
        return weights_version(asdict(self.settings), self.network)

    def decode(self, z: NDArray[np.floating[Any]], space: str = "w") -> Tensor:
        """(n, *shape) latents of a space -> (n, 3, H, W) float32 in [0, 1].

        Latents of "z" are mapped without truncation.

        Raises:
            LatentSpaceError: an unknown space, or latents of another shape than its own.
        """
        latents = torch.from_numpy(self._require(space).validate(z)).float()
        repeated: Callable[[Tensor], Tensor] = {
            "z": lambda chunk: self.map(chunk),
            "w": lambda chunk: self._repeated(chunk),
            "w+": lambda chunk: chunk,
        }[space]
        with torch.inference_mode():
            images = [
                self.synthesize(repeated(chunk)).cpu() for chunk in torch.split(latents, self.chunk)
            ]
        # Outside the inference mode, so that the images may enter a graph.
        return torch.cat(images)

    def map(
        self,
        z: Tensor | NDArray[np.floating[Any]],
        truncation_psi: float = 1.0,
        cutoff: int | None = None,
        label: NDArray[np.floating[Any]] | None = None,
    ) -> Tensor:
        """(n, z_dim) latents of "z" -> (n, num_ws, w_dim) float32.

        Args:
            z: latents.
            truncation_psi: 1 leaves w as it is, 0 makes it the mean.
            cutoff: layers that are truncated, counted from the coarsest; None for all.
            label: (c_dim,) for all or (n, c_dim); None takes the generator's own.

        Raises:
            LatentSpaceError: `z` is not of this space, or a label is missing or misshapen.
        """
        ws = self._repeated(self.network.mapping(self._rows(z, "z"), self._labels(len(z), label)))
        truncated = self.network.mapping.truncated(ws[:, :cutoff], truncation_psi)
        return torch.cat([truncated, ws[:, truncated.shape[1] :]], dim=1)

    def synthesize(self, ws: Tensor) -> Tensor:
        """(n, num_ws, w_dim) -> (n, 3, H, W) float32 in [0, 1], differentiable in `ws`.

        Raises:
            LatentSpaceError: `ws` is not of this shape; a w is given as one for each layer.
        """
        pixels: Tensor = self.network.synthesis(self._rows(ws, "w+"))
        return pixels.add(1).div(2).clamp(0, 1)

    def save(self, path: Path) -> None:
        """Write weights and settings; the file replaces an older one as a whole."""
        save_checkpoint(path, self.kind, asdict(self.settings), self.network)

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

    @property
    def _device(self) -> torch.device:
        return self.network.mapping.w_avg.device

    def _make_spaces(self) -> dict[str, RealVectors]:
        s = self.settings
        return {
            "z": RealVectors("z", (s.z_dim,)),
            "w": RealVectors("w", (s.w_dim,), self._drawn(lambda ws: ws[:, 0])),
            "w+": RealVectors("w+", (s.num_ws, s.w_dim), self._drawn(lambda ws: ws)),
        }

    def _drawn(
        self, made_of: Callable[[Tensor], Tensor]
    ) -> Callable[[int, np.random.Generator], NDArray[np.float64]]:
        def draw(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
            z = rng.standard_normal((n, self.settings.z_dim))
            return made_of(self.map(z, self.truncation_psi)).double().cpu().numpy()

        return draw

    def _require(self, space: str) -> RealVectors:
        if space not in self._spaces:
            raise LatentSpaceError(
                f"A StyleGAN3 decodes latents of the spaces {', '.join(self._spaces)}, not "
                f"'{space}'."
            )
        return self._spaces[space]

    def _rows(self, latents: Tensor | NDArray[np.floating[Any]], space: str) -> Tensor:
        rows = torch.as_tensor(latents, dtype=torch.float32, device=self._device)
        wanted = self._spaces[space].shape
        if tuple(rows.shape[1:]) != wanted or rows.ndim != 1 + len(wanted):
            raise LatentSpaceError(
                f"Latents of space '{space}' have shape ({', '.join(map(str, ('n', *wanted)))}); "
                f"got {tuple(rows.shape)}."
            )
        return rows

    def _repeated(self, w: Tensor) -> Tensor:
        return w.to(self._device).unsqueeze(1).expand(-1, self.settings.num_ws, -1)

    def _labels(self, n: int, label: NDArray[np.floating[Any]] | None) -> Tensor | None:
        chosen = self.label if label is None else label
        if chosen is None:
            return None
        rows = torch.as_tensor(np.asarray(chosen), dtype=torch.float32, device=self._device)
        return rows.expand(n, -1)


def _chunk(settings: StyleGAN3Settings, memory_mib: int) -> int:
    widest = max(layer.out_channels * layer.out_size**2 for layer in settings.layers)
    return max(1, memory_mib * MIB // (IMAGES_HELD * 4 * widest))
