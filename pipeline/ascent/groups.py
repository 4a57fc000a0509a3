"""Groups of images, measured alike: how high they score, how real, how different they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ascent.problem import Ascended
from pipeline.evaluation import JudgeFeatures
from pipeline.scoring import scores_of
from vqlso.contracts import Generator
from vqlso.images import to_bytes, to_unit
from vqlso.metrics.diversity import mean_pairwise_distance, mean_pixel_distance
from vqlso.metrics.frechet import features, frechet_distance
from vqlso.randomness import stream

# Equally many everywhere, since a Frechet distance falls with the number of images.
SIZE = 50
BEST = "best_of_all"
BEFORE = "before"
AFTER = "after"
REAL = "real"


@dataclass(frozen=True)
class Group:
    """Images that are looked at together.

    Attributes:
        images: (n, 3, H, W) uint8.
        scores: (n,) by the scorer; NaN where it fails.
        judged: (n,) by the judge; empty without one.
    """

    images: NDArray[np.uint8]
    scores: NDArray[np.float64]
    judged: NDArray[np.float64]

    def only(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Group:
        """Some of them, in the order of these rows."""
        judged = self.judged[rows] if len(self.judged) else self.judged
        return Group(self.images[rows], self.scores[rows], judged)


def best_of(asked: Group) -> Group:
    """The best by the scorer: what a user would keep of everything that was scored."""
    return asked.only(np.argsort(-asked.scores, kind="stable")[:SIZE])


def sampled(generator: Generator, known: Ascended, seed: int) -> Group:
    """What a generator makes of the same latents as ever; measured, not paid for by the budget."""
    space = generator.spaces.get("z", generator.space)
    z = space.sample(SIZE, stream(seed, "measured samples"))
    return scored(to_bytes(generator.decode(z, space.name)), known)


def scored(images: NDArray[np.uint8], known: Ascended) -> Group:
    """Images with what both scorers say of them."""
    unit = to_unit(images)
    judged = known.judge(unit) if known.judge else np.empty(0)
    return Group(images, scores_of(known.objective, unit)[0], judged)


def real_ones(known: Ascended, seed: int) -> Group | None:
    """Real images that the data label highest: what a perfect ascent would find."""
    if len(known.target) < 2 * SIZE:
        return None
    return scored(known.target[_halves(known, seed)[0]], known)


def facts(group: Group, known: Ascended, seed: int) -> dict[str, Any]:
    """The figures of a group, for `summary.json`; distances in features need a judge.

    `frechet` is to the real images that score highest. At 50 images most of it is bias, so it only
    compares groups of this size, the real one among them.
    """
    figures: dict[str, Any] = {
        "images": len(group.images),
        "score": float(np.nanmean(group.scores)),
        "judge": float(group.judged.mean()) if len(group.judged) else None,
        "pixel_distance": mean_pixel_distance(group.images) if len(group.images) > 1 else None,
        "feature_distance": None,
        "frechet": None,
    }
    if known.judge is None or len(group.images) < 2:
        return figures
    network = JudgeFeatures(known.judge)
    own = features(network, group.images)
    figures["feature_distance"] = mean_pairwise_distance(own)
    if len(known.target) >= 2 * SIZE:
        target = features(network, known.target[_halves(known, seed)[1]])
        figures["frechet"] = frechet_distance(own, target)
    return figures


def _halves(known: Ascended, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the target that are compared, and those that all are compared with."""
    rows = stream(seed, "ascent target").permutation(len(known.target))
    return rows[:SIZE], rows[SIZE:]
