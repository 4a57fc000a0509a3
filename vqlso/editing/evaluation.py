"""How well an edit direction edits (Meißner et al. 2022, section 4.2; Zhuang et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import Generator
from vqlso.editing.edits import Vector, towards
from vqlso.randomness import stream

BUCKETS = ((0.0, 0.3), (0.3, 0.6), (0.6, 0.9))
SMALL = 0.3


@dataclass(frozen=True)
class Spread:
    """A mean and a standard deviation over single values; NaN where there are none."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Spread:
        """Over all values of an array of any shape."""
        if not values.size:
            return cls(np.nan, np.nan)
        return cls(float(values.mean()), float(values.std()))


@dataclass(frozen=True)
class Bucket:
    """The edits that changed the target attribute by so much.

    Attributes:
        low, high: the change lies in (low, high], up or down.
        count: edits.
        others: absolute changes of all other attributes; lower is better.
        identity: cosines of face embeddings before and after; higher is better. NaN without one.
    """

    low: float
    high: float
    count: int
    others: Spread
    identity: Spread


@dataclass(frozen=True)
class EditQuality:
    """What a direction changed in all edits.

    Attributes:
        buckets: by the change of the target attribute.
        small: edits that changed it by at most 0.3, also not at all: the measure of equal change.
        edits: all of them.
        length: |d|.
    """

    buckets: tuple[Bucket, ...]
    small: int
    edits: int
    length: float


@dataclass(frozen=True)
class EditEvaluation:
    """Many originals, each edited towards evenly spaced levels of the target attribute.

    Preservation alone says little: the null vector preserves everything. So it is told by
    buckets of change, with their counts, and directions are compared after they were scaled to
    change the target by as much (`vqlso.editing.scaling`).

    Attributes:
        generator: decodes latents.
        space: the edited space's name.
        attributes: (n, 3, H, W) in [0, 1] -> (n, k) levels.
        target: the column of the edited attribute.
        identity: (n, 3, H, W) in [0, 1] -> (n, d) unit vectors; None leaves it out.
        originals: 1,000 in the paper.
        strengths: levels that each is edited towards, from 0 to 1; 10 in the paper.
        seed: of the originals: evaluations of one seed share them.
        batch_size: images at once.
    """

    generator: Generator
    space: str
    attributes: Callable[[Tensor], NDArray[np.float64]]
    target: int
    identity: Callable[[Tensor], Tensor] | None = None
    originals: int = 1000
    strengths: int = 10
    seed: int = 0
    batch_size: int = 100

    def quality(self, d: Vector) -> EditQuality:
        """All edits by (*shape) d, in buckets."""
        levels, embeddings = self._before
        changes, cosines = [], []
        for rows, images in self._edits(d):
            changes.append(self.attributes(images) - levels[rows])
            if self.identity is not None:
                cosines.append((self.identity(images) * embeddings[rows]).sum(1).numpy())
        change = np.concatenate(changes)
        same = np.concatenate(cosines) if cosines else np.full(len(change), np.nan)
        amount = np.abs(change[:, self.target])
        others = np.abs(np.delete(change, self.target, axis=1))
        return EditQuality(
            buckets=tuple(
                Bucket(
                    low, high, int(inside.sum()), Spread.of(others[inside]), Spread.of(same[inside])
                )
                for low, high in BUCKETS
                for inside in [(amount > low) & (amount <= high)]
            ),
            small=int((amount <= SMALL).sum()),
            edits=len(amount),
            length=float(np.linalg.norm(d)),
        )

    def small_changes(self, d: Vector) -> int:
        """Edits that change the target by at most 0.3; the embedding is spared."""
        levels, _ = self._before
        return sum(
            int((np.abs(self.attributes(images) - levels[rows])[:, self.target] <= SMALL).sum())
            for rows, images in self._edits(d)
        )

    @cached_property
    def latents(self) -> Vector:
        """(originals, *shape), what is edited."""
        rng = stream(self.seed, "edited originals")
        return np.asarray(self.generator.spaces[self.space].sample(self.originals, rng))

    @cached_property
    def _before(self) -> tuple[NDArray[np.float64], Tensor]:
        """Of the originals the levels, and the embeddings or none."""
        levels, embeddings = [], [torch.empty(0)]
        for start in range(0, self.originals, self.batch_size):
            images = self.generator.decode(
                self.latents[start : start + self.batch_size], self.space
            )
            levels.append(self.attributes(images))
            if self.identity is not None:
                embeddings.append(self.identity(images))
        return np.concatenate(levels), torch.cat(embeddings)

    def _edits(self, d: Vector) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Images of all edits, and the rows of their originals."""
        levels, _ = self._before
        for wanted in np.linspace(0, 1, self.strengths):
            edited = towards(self.latents, d, levels[:, self.target], float(wanted))
            for start in range(0, self.originals, self.batch_size):
                rows = np.arange(start, min(start + self.batch_size, self.originals))
                yield rows, self.generator.decode(edited[rows], self.space)
