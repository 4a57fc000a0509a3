"""Small random ensembles of every kind of split, and the brute force they are checked against."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from solvers.trees import TreeEnsemble
from solvers.trees.bitsets import packed
from solvers.trees.features import Categorical, Continuous, Feature, Integer

MIXED: tuple[Feature, ...] = (
    Categorical(4),
    Integer(-2, 3),
    Continuous(-1.0, 2.0),
    Categorical(3),
    Continuous(),
)


def random_ensemble(
    seed: int, *, cells: int = 4, categories: int = 4, trees: int = 8, depth: int = 2
) -> TreeEnsemble:
    """Trees whose splits are categorical or numeric, sometimes useless or repeated on a path."""
    return _grown(seed, (Categorical(categories),) * cells, trees, depth)


def mixed_ensemble(
    seed: int, *, features: tuple[Feature, ...] = MIXED, trees: int = 8, depth: int = 2
) -> TreeEnsemble:
    """Trees over features of every kind; ordered ones are split in and outside their range."""
    return _grown(seed, features, trees, depth)


def neighbourhood(ensemble: TreeEnsemble, free, reference) -> NDArray[np.float64]:
    """(n, cells) every distinct region of the free cells, by one point; the rest as given.

    A Continuous cell is represented by its bounds and by every threshold in it and the next
    number above, which is one point of each interval on which the ensemble is constant.
    """
    choices = [_values(ensemble, cell) for cell in free]
    points = np.array(list(product(*choices)))
    reference = np.asarray(reference)
    z = np.repeat(reference[None], len(points), axis=0)
    if not np.issubdtype(z.dtype, np.integer) or (points % 1).any():
        z = z.astype(np.float64)
    z[:, free] = points
    return z


def _values(ensemble: TreeEnsemble, cell: int) -> list[float]:
    feature = ensemble.features[cell]
    if isinstance(feature, Categorical):
        return list(range(feature.categories))
    if isinstance(feature, Integer):
        return list(range(int(feature.lower), int(feature.upper) + 1))
    at = ensemble.threshold[(ensemble.feature == cell) & (ensemble.subset < 0)]
    ends = [end for end in (feature.lower, feature.upper) if np.isfinite(end)]
    values = np.unique([*at, *np.nextafter(at, np.inf), *(ends or [0.0])])
    return values[(values >= feature.lower) & (values <= feature.upper)].tolist()


def _grown(seed: int, features: tuple[Feature, ...], trees: int, depth: int) -> TreeEnsemble:
    rng = np.random.default_rng(seed)
    nodes: list[tuple[int, float, int, int, int, float]] = []
    subsets: list[NDArray[np.bool_]] = []
    most = max([f.categories for f in features if isinstance(f, Categorical)], default=1)

    def grow(level: int) -> int:
        node = len(nodes)
        if level == depth or rng.random() < 0.15:
            nodes.append((-1, 0.0, -1, node, node, float(rng.normal())))
            return node
        nodes.append((0, 0.0, -1, node, node, 0.0))
        left, right = grow(level + 1), grow(level + 1)
        cell = int(rng.integers(len(features)))
        feature, subset = features[cell], -1
        if isinstance(feature, Categorical) and rng.random() < 0.7:
            subset = len(subsets)
            subsets.append(rng.random(most) < rng.choice([0.2, 0.5, 1.0]))
        nodes[node] = (cell, _threshold(rng, feature), subset, left, right, 0.0)
        return node

    roots = [grow(0) for _ in range(trees)]
    feature, threshold, subset, left, right, value = (np.array(c) for c in zip(*nodes, strict=True))
    return TreeEnsemble(
        feature=feature,
        threshold=threshold,
        subset=subset,
        subsets=packed(np.array(subsets, dtype=bool).reshape(-1, most)),
        unknown_left=np.zeros(len(nodes), dtype=bool),
        left=left,
        right=right,
        missing_left=np.zeros(len(nodes), dtype=bool),
        zero_is_missing=np.zeros(len(nodes), dtype=bool),
        value=value,
        roots=np.array(roots),
        base=float(rng.normal()),
        n_features=len(features),
        features=features,
    )


def _threshold(rng: np.random.Generator, feature: Feature) -> float:
    if isinstance(feature, Categorical):
        lower, upper = 0.0, feature.categories - 1.0
    else:
        lower, upper = max(feature.lower, -3.0), min(feature.upper, 3.0)
    if isinstance(feature, Continuous) and rng.random() < 0.7:
        return float(rng.uniform(lower, upper))
    # Whole numbers, and those just above and between, where an off-by-one would show.
    return float(np.floor(rng.uniform(lower - 1, upper + 1))) + rng.choice([0.0, 0.5, 1e-9])
