"""A trained StyleGAN2 as an immutable generator over its four latent spaces."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import LatentSpaceError
from vqlso.generators.network_generators import weights_version
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings
from vqlso.hardware import bfloat16_pays
from vqlso.spaces import RealVectors

KIND = "stylegan2"
NoiseChoice = Literal["const", "none"] | int

# A layer holds its input, its output and two steps between them at once.
IMAGES_HELD = 4
MIB = 2**20


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


class StyleGAN2:
    """A trained StyleGAN2.

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
        self.network = network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = network.settings
        self.truncation_psi = truncation_psi
        self.label = label
        self.dtype = torch.bfloat16 if mixed_precision and bfloat16_pays() else torch.float32
        self.chunk = _chunk(self.settings, memory_mib)
        self._spaces = self._make_spaces()
        self.space: RealVectors = self._require(searched)

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """z, w, w+ (a w for each layer) and s (the layers' styles)."""
        return self._spaces

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
        """(n, *shape) latents of a space -> (n, 3, H, W) float32 in [0, 1], with constant noise.

        Latents of "z" are mapped without truncation.

        Raises:
            LatentSpaceError: an unknown space, or latents of another shape than its own.
        """
        latents = torch.from_numpy(self._require(space).validate(z)).float()
        render: Callable[[Tensor], Tensor] = {
            "z": lambda chunk: self.synthesize(self.map(chunk)),
            "w": lambda chunk: self.synthesize(self._repeated(chunk)),
            "w+": self.synthesize,
            "s": self.synthesize_styles,
        }[space]
        with torch.inference_mode():
            images = [render(chunk).cpu() for chunk in torch.split(latents, self.chunk)]
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
        w = self.network.mapping(self._rows(z, "z"), self._labels(len(z), label))
        ws = self._repeated(w)
        truncated = self.network.mapping.truncated(ws[:, :cutoff], truncation_psi)
        return torch.cat([truncated, ws[:, truncated.shape[1] :]], dim=1)

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
        network = copy.deepcopy(self.network).half() if half else self.network
        save_checkpoint(path, KIND, asdict(self.settings), network)

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

    @property
    def _style_space(self) -> StyleSpace:
        space = self._spaces["s"]
        assert isinstance(space, StyleSpace)
        return space

    @property
    def _device(self) -> torch.device:
        return self.network.mapping.w_avg.device

    def _make_spaces(self) -> dict[str, RealVectors]:
        s = self.settings
        layers = tuple(
            (name, layer.weight.shape[1])
            for name, _, layer in self.network.synthesis.styled_layers()
        )
        width = sum(inputs for _, inputs in layers)
        return {
            "z": RealVectors("z", (s.z_dim,)),
            "w": RealVectors("w", (s.w_dim,), self._drawn(lambda ws: ws[:, 0])),
            "w+": RealVectors("w+", (s.num_ws, s.w_dim), self._drawn(lambda ws: ws)),
            "s": StyleSpace("s", (width,), self._drawn(self.styles), layers=layers),
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
                f"A StyleGAN2 decodes latents of the spaces {', '.join(self._spaces)}, not "
                f"'{space}'."
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
        return w.unsqueeze(1).expand(-1, self.settings.num_ws, -1)

    def _labels(self, n: int, label: NDArray[np.floating[Any]] | None) -> Tensor | None:
        chosen = self.label if label is None else label
        if chosen is None:
            return None
        rows = torch.as_tensor(np.asarray(chosen), dtype=torch.float32, device=self._device)
        return rows.expand(n, -1)


def _chunk(settings: StyleGAN2Settings, memory_mib: int) -> int:
    widest = max(settings.channels(r // 2) * r**2 for r in settings.block_resolutions[1:])
    return max(1, memory_mib * MIB // (IMAGES_HELD * 4 * widest))
