"""Looking at a GAN while it is trained: grids of samples, and their distance from real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline import pictures
from pipeline.report.gan_page import sample_file
from pipeline.runs.folder import RunFolder
from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError
from vqlso.metrics.frechet import FeatureNetwork, features, frechet_distance
from vqlso.metrics.random_features import RandomFeatures
from vqlso.randomness import stream
from vqlso.records import FitReport
from vqlso.training.watching import Snapshot


class Saves(Protocol):
    """What is looked at can be kept, too."""

    def save(self, path: Path) -> None:
        """Write everything that loading needs."""


Made = TypeVar("Made", bound=Saves)


@dataclass(frozen=True)
class Looked:
    """What a generator makes of the same latents as ever.

    Attributes:
        samples: (n, 3, H, W) uint8, compared with as many real images.
        shown: (m, 3, h, w) uint8, the grid, row by row.
        figures: whatever else is measured on them, by name; part of the journal.
    """

    samples: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Watcher(Generic[Made]):
    """Looks at samples: a grid as a picture, and their distance from real images.

    Attributes:
        folder: of the run.
        real: (n, 3, H, W) uint8.
        made: what a generator makes.
        network: in whose features they are compared; untrained, so that any images will do.
    """

    folder: RunFolder
    real: NDArray[np.uint8]
    made: Callable[[Made], Looked]
    network: FeatureNetwork = field(default_factory=RandomFeatures)

    def look(self, now: Snapshot[Made]) -> None:
        """Write a grid, the generator and a journal line, unless that was done before a kill."""
        if any(event["kimg"] == now.kimg for event in self.folder.journal.events("look")):
            return
        began, looked = perf_counter(), self.made(now.generator)
        grid = pictures.png(pictures.grid(looked.shown, columns=8))
        self.folder.write(sample_file(now.kimg), grid)
        now.generator.save(self.folder.path / "networks" / "latest.safetensors")
        facts = {
            "kimg": now.kimg,
            "frechet": self.distance(looked.samples),
            "frechet_network": self.network.name,
            "measures": dict(now.measures),
            **looked.figures,
        }
        self.folder.journal.append("look", facts, {"look": perf_counter() - began})

    def distance(self, images: NDArray[np.uint8]) -> float:
        """The squared Frechet distance of (n, 3, H, W) uint8 images from the real ones."""
        return frechet_distance(features(self.network, images), self._real_features)

    @cached_property
    def _real_features(self) -> NDArray[np.float64]:
        return features(self.network, self.real)


def halvings(report: FitReport) -> dict[str, int]:
    """How often a training diverged and went on with half its step sizes; empty if it did not."""
    times = int(report.measures.get("halvings", 0))
    return {"halvings": times} if times else {}


def compared_rows(data: ImageSet, samples: int, seed: int, key: str) -> NDArray[np.int64]:
    """Rows of the real images that samples are compared with, in their order.

    Args:
        data: all images.
        samples: how many are wanted.
        seed: of the choice.
        key: the setting that says how many, for the error message.

    Raises:
        DataError: there are fewer.
    """
    if len(data) < samples:
        raise DataError(
            f"'{data.name}' has {len(data)} images, fewer than the {samples} that samples are "
            f"compared with: set {key}={len(data)} or less."
        )
    return np.sort(stream(seed, "real images").permutation(len(data))[:samples])
