"""What StyleGAN2 and StyleGAN3 share: their latent spaces, truncation, and decoding in chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.checkpoints import save_checkpoint
from vqlso.errors import LatentSpaceError
from vqlso.generators.network_generators import weights_version
from vqlso.generators.stylegan2.mapping import MappingNetwork
from vqlso.spaces import RealVectors

# A layer holds its input, its output and two steps between them at once.
IMAGES_HELD = 4
BYTES = 4
MIB = 2**20

Render = Callable[[Tensor], Tensor]


class StyleSettings(Protocol):
    """What is known of every architecture; each is a dataclass besides."""

    @property
    def resolution(self) -> int:
        """H = W in pixels."""

    @property
    def image_channels(self) -> int:
        """3 for RGB."""

    @property
    def z_dim(self) -> int:
        """Length of z."""

    @property
    def w_dim(self) -> int:
        """Length of w."""

    @property
    def num_ws(self) -> int:
        """Latents that the synthesis network takes."""


class StyleBasedGenerator(ABC):
    """A mapping network from z to w, and a synthesis network that takes a w for each layer.

    Args:
        network: both networks; put into evaluation mode.
        mapping: the first of them.
        settings: the architecture, a dataclass.
        truncation_psi: how far samples of "w" and "w+" are drawn towards the mean of w.
        label: (c_dim,) what images are conditioned on where no label is given.
        largest_layer: floats of one image in the largest layer.
        memory_mib: bound on the memory that `decode` takes for activations, in MiB.
        searched: the space that is searched unless another is named.
    """

    def __init__(
        self,
        network: nn.Module,
        mapping: MappingNetwork,
        settings: Any,
        *,
        truncation_psi: float,
        label: NDArray[np.floating[Any]] | None,
        largest_layer: int,
        memory_mib: int,
        searched: str,
    ) -> None:
        network.eval().requires_grad_(False)
        self._network, self._mapping, self._style = network, mapping, settings
        self.truncation_psi = truncation_psi
        self.label = label
        self.chunk = max(1, memory_mib * MIB // (IMAGES_HELD * BYTES * largest_layer))
        self._spaces = self._make_spaces()
        self.space: RealVectors = self._require(searched)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What its file is called inside."""

    @abstractmethod
    def synthesize(self, ws: Tensor) -> Tensor:
        """(n, num_ws, w_dim) -> (n, 3, H, W) float32 in [0, 1], differentiable in `ws`."""

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """The latent spaces that it decodes from, by name."""
        return self._spaces

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, H, W)."""
        s: StyleSettings = self._style
        return (s.image_channels, s.resolution, s.resolution)

    @cached_property
    def version(self) -> str:
        """Hash of all weights, 12 hexadecimal digits."""
        return weights_version(asdict(self._style), self._network)

    def decode(self, z: NDArray[np.floating[Any]], space: str = "w") -> Tensor:
        """(n, *shape) latents of a space -> (n, 3, H, W) float32 in [0, 1], in chunks.

        Latents of "z" are mapped without truncation.

        Raises:
            LatentSpaceError: an unknown space, or latents of another shape than its own.
        """
        latents = torch.from_numpy(self._require(space).validate(z)).float()
        with torch.inference_mode():
            images = [
                self.decode_tensor(each, space).cpu() for each in torch.split(latents, self.chunk)
            ]
        # Outside the inference mode, so that the images may enter a graph.
        return torch.cat(images)

    def decode_tensor(self, z: Tensor, space: str = "w") -> Tensor:
        """As `decode`, but all at once and differentiable in `z`.

        Raises:
            LatentSpaceError: as `decode`.
        """
        self._require(space)
        return self._renders()[space](self._rows(z, space))

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
        ws = self._repeated(self._mapping(self._rows(z, "z"), self._labels(len(z), label)))
        truncated = self._mapping.truncated(ws[:, :cutoff], truncation_psi)
        return torch.cat([truncated, ws[:, truncated.shape[1] :]], dim=1)

    def save(self, path: Path) -> None:
        """Write weights and settings; the file replaces an older one as a whole."""
        save_checkpoint(path, self.kind, asdict(self._style), self._network)

    def _renders(self) -> dict[str, Render]:
        """How latents of each space become images."""
        return {
            "z": lambda z: self.synthesize(self.map(z)),
            "w": lambda w: self.synthesize(self._repeated(w)),
            "w+": self.synthesize,
        }

    def _make_spaces(self) -> dict[str, RealVectors]:
        s: StyleSettings = self._style
        return {
            "z": RealVectors("z", (s.z_dim,)),
            "w": RealVectors("w", (s.w_dim,), self._drawn(lambda ws: ws[:, 0])),
            "w+": RealVectors("w+", (s.num_ws, s.w_dim), self._drawn(lambda ws: ws)),
        }

    def _drawn(self, made_of: Render) -> Callable[[int, np.random.Generator], NDArray[np.float64]]:
        def draw(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
            z = rng.standard_normal((n, self._style.z_dim))
            return made_of(self.map(z, self.truncation_psi)).double().cpu().numpy()

        return draw

    def _require(self, space: str) -> RealVectors:
        if space not in self._spaces:
            raise LatentSpaceError(
                f"A {type(self).__name__} decodes latents of the spaces "
                f"{', '.join(self._spaces)}, not '{space}'."
            )
        return self._spaces[space]

    def _rows(self, latents: Tensor | NDArray[np.floating[Any]], space: str) -> Tensor:
        rows = torch.as_tensor(latents, dtype=torch.float32, device=self._device)
        wanted = self._spaces[space].shape
        if tuple(rows.shape[1:]) != wanted or rows.ndim != 1 + len(wanted):
            raise LatentSpaceError(
                f"Latents of space '{space}' have shape ({', '.join(map(str, ('n', *wanted)))}); "
                f"got {tuple(rows.shape)}. The shapes of all spaces: "
                f"{', '.join(f'{name} {own.shape}' for name, own in self._spaces.items())}."
            )
        return rows

    def _repeated(self, w: Tensor) -> Tensor:
        return w.unsqueeze(1).expand(-1, self._style.num_ws, -1)

    def _labels(self, n: int, label: NDArray[np.floating[Any]] | None) -> Tensor | None:
        chosen = self.label if label is None else label
        if chosen is None:
            return None
        rows = torch.as_tensor(np.asarray(chosen), dtype=torch.float32, device=self._device)
        return rows.expand(n, -1)

    @property
    def _device(self) -> torch.device:
        return self._mapping.w_avg.device
