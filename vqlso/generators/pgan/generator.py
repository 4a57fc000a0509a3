"""A trained progressive GAN as an immutable generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.checkpoints import load_state, read_checkpoint, save_checkpoint
from vqlso.errors import ConfigError, LatentSpaceError
from vqlso.generators.network_generators import weights_version
from vqlso.generators.pgan.class_space import NAME, ClassConditional, ClassValues
from vqlso.generators.pgan.network import PGANNetwork
from vqlso.generators.pgan.settings import PGANSettings
from vqlso.generators.style_based import BYTES, IMAGES_HELD, MIB
from vqlso.hardware import bfloat16_pays
from vqlso.spaces import RealVectors

KIND = "pgan"


class PGAN:
    """A trained PGAN, perhaps conditioned on classes.

    Where it is, space "z x class" holds z and the class part. A held class adds space "z": the
    "conditioned" strategy of paper 001, section III-C5.

    Args:
        network: the trained network; it is put into evaluation mode.
        held: the index of a class in each group, held fixed in space "z"; only for networks with
            classes.
        class_values: what the class part of "z x class" may be, see `ClassConditional`.
        searched: the space that is searched unless another is named; None for "z" where there is
            one.
        memory_mib: bound on the memory that `decode` takes for activations, in MiB.
        mixed_precision: convolutions in bf16 where the hardware has it.

    Attributes:
        space: the searched one.
        chunk: images that `decode` makes at once.

    Raises:
        ConfigError: a held class that the network does not have.
        LatentSpaceError: it has no space of that name to be searched.
    """

    def __init__(
        self,
        network: PGANNetwork,
        *,
        held: Sequence[int] | None = None,
        class_values: ClassValues = "one-hot",
        searched: str | None = None,
        memory_mib: int = 256,
        mixed_precision: bool = False,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = network.settings
        self.dtype = torch.bfloat16 if mixed_precision and bfloat16_pays() else torch.float32
        self.chunk = max(
            1, memory_mib * MIB // (IMAGES_HELD * BYTES * _largest_layer(self.settings))
        )
        self.held = None if held is None else tuple(held)
        self._class_part = self._held_part()
        self._spaces = self._make_spaces(class_values)
        self.space: RealVectors = self._require(searched or next(iter(self._spaces)))

    @property
    def spaces(self) -> Mapping[str, RealVectors]:
        """ "z", where nothing else is needed to decode it, and "z x class" of a conditioned one."""
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

    def decode(self, z: NDArray[np.floating[Any]], space: str | None = None) -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1], in chunks.

        Args:
            z: latents.
            space: that they belong to; None for the searched one.

        Raises:
            LatentSpaceError: an unknown space, "z" of a conditioned network without a held class,
                or latents that the space does not allow.
        """
        space = self.space.name if space is None else space
        latents = torch.from_numpy(self._require(space).validate(z)).float()
        with torch.inference_mode():
            images = [
                self.decode_tensor(chunk, space).cpu() for chunk in torch.split(latents, self.chunk)
            ]
        # Outside the inference mode, so that the images may enter a graph.
        return torch.cat(images)

    def decode_tensor(self, z: Tensor, space: str | None = None) -> Tensor:
        """(n, d) latents -> (n, 3, H, W) float32 in [0, 1], differentiable in `z`.

        Whether the class part is one-hot is not looked at: a gradient passes through mixtures.

        Raises:
            LatentSpaceError: as in `decode`, but for the values of the class part.
        """
        wanted = self._require(self.space.name if space is None else space)
        if tuple(z.shape[1:]) != wanted.shape:
            raise LatentSpaceError(
                f"Latents of space '{wanted.name}' have shape (n, {wanted.shape[0]}); got "
                f"{tuple(z.shape)}."
            )
        latent = z.to(self._class_part)
        if isinstance(wanted, ClassConditional):
            latent = wanted.given(latent)
        else:
            latent = torch.cat([latent, self._class_part.expand(len(z), -1)], dim=1)
        pixels: Tensor = self.network(latent, dtype=self.dtype)
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
    def load(cls, path: Path, **options: Any) -> PGAN:
        """A PGAN from its file.

        Args:
            path: what `save` wrote.
            options: keywords of the constructor, such as `held`.

        Raises:
            CheckpointError: the file is missing, damaged or of another architecture.
            ConfigError, LatentSpaceError: as in the constructor.
        """
        settings, state = read_checkpoint(path, KIND, PGANSettings.from_dict)
        with torch.device("meta"):
            network = PGANNetwork(settings)
        load_state(network, state, str(path), "the PGAN that its settings describe", assign=True)
        return cls(network.float(), **options)

    def _make_spaces(self, values: ClassValues) -> dict[str, RealVectors]:
        s, spaces = self.settings, dict[str, RealVectors]()
        if self.held is not None or not s.classes:
            spaces["z"] = RealVectors("z", (s.z_dim,))
        if s.classes:
            spaces[NAME] = ClassConditional(NAME, (s.latent_dim,), classes=s.classes, values=values)
        return spaces

    def _held_part(self) -> Tensor:
        """(class_dim,) on the network's device; empty where no class is held."""
        weight = self.network.format.weight
        if self.held is None:
            return weight.new_empty(0)
        classes = self.settings.classes
        known = len(self.held) == len(classes) and all(
            0 <= chosen < count for chosen, count in zip(self.held, classes, strict=True)
        )
        if not classes or not known:
            raise ConfigError(
                f"The PGAN's groups have {classes or 'no'} classes; held = {self.held} does not "
                "name one of each, counted from 0."
            )
        parts = [np.eye(count)[chosen] for chosen, count in zip(self.held, classes, strict=True)]
        return weight.new_tensor(np.concatenate(parts))

    def _require(self, space: str) -> RealVectors:
        if space in self._spaces:
            return self._spaces[space]
        hint = " Hold a class to search z alone: `held=(2,)`." if space == "z" else ""
        raise LatentSpaceError(
            f"This PGAN decodes latents of {' and '.join(map(repr, self._spaces))}, not of "
            f"'{space}'.{hint}"
        )


def _largest_layer(settings: PGANSettings) -> int:
    """Floats of one image in the largest layer: what a block's first convolution is given."""
    inputs = (settings.channels[0], *settings.channels[:-1])
    return max(channels * settings.side(level) ** 2 for level, channels in enumerate(inputs))
