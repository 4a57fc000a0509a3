"""Stand-ins that a loop can run through in milliseconds, and whose truth is known."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from solvers.free_cells import FreeCells
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from vqlso.archive import Archive
from vqlso.images import to_bytes
from vqlso.records import FitReport
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=4, height=2, width=2)
WEIGHTS = np.array([[1.0, 2.0], [3.0, -1.0]])


@dataclass(frozen=True)
class Mosaic:
    """Decodes each code into a 2 x 2 block of grey; a turn gives every grey another code."""

    turn: int = 0

    @property
    def space(self) -> CodeGrid:
        return SPACE

    @property
    def spaces(self) -> Mapping[str, CodeGrid]:
        return {"codes": SPACE}

    @property
    def version(self) -> str:
        return f"turned {self.turn}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return (3, 4, 4)

    def decode(self, z: NDArray[Any], space: str = "codes") -> Tensor:
        level = (self.spaces[space].validate(z) + self.turn) % SPACE.categories
        grey = np.repeat(np.repeat(level / (SPACE.categories - 1), 2, axis=1), 2, axis=2)
        return torch.from_numpy(np.repeat(grey[:, None], 3, axis=1).astype(np.float32))

    def encode(self, images: Tensor) -> NDArray[np.int64]:
        level = np.rint(images[:, 0, ::2, ::2].numpy() * (SPACE.categories - 1)).astype(np.int64)
        return (level - self.turn) % SPACE.categories

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.turn))

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(json.loads(path.read_text()))


@dataclass(frozen=True)
class WeightedGrey:
    """Scores an image by a weighted sum of its blocks' grey."""

    name: str = "weighted grey"

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        grey = images[:, 0, ::2, ::2].double().numpy()
        return np.asarray((grey * WEIGHTS).sum(axis=(1, 2)))


@dataclass(frozen=True)
class TurnEvery:
    """Turns the mosaic at every so many queries, before the first one too."""

    every: int = 3

    def due(self, queries: int) -> bool:
        return queries % self.every == 0

    def weights(self, archive: Archive) -> NDArray[np.float64]:
        return np.full(len(archive), 1 / len(archive))

    def retrain(
        self, generator: Mosaic, archive: Archive, *, seed: int, round_: int
    ) -> tuple[Mosaic, FitReport]:
        return Mosaic(generator.turn + 1), FitReport(0.0, len(archive), {"turn": float(round_)})


def training_set(n: int = 40, seed: int = 0) -> Archive:
    """n dark mosaics under the generator that is not turned, with their scores."""
    z = np.random.default_rng(seed).integers(0, 3, (n, *SPACE.shape))
    images = to_bytes(Mosaic().decode(z))
    return Archive(images, WeightedGrey()(Mosaic().decode(z)), z, Mosaic().version)


def search(seed: int = 0, t: int = 2) -> SurrogateSolver:
    """The surrogate-based search with a few small trees."""
    surrogate = LightGBM(SPACE.categories, trees=10, min_samples_leaf=2)
    return SurrogateSolver(SPACE, surrogate, free_cells=FreeCells(t), seed=seed)
