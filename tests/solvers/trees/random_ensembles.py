"""Small random ensembles of every kind of split, and the brute force they are checked against."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from solvers.trees import TreeEnsemble


def random_ensemble(
    seed: int, *, cells: int = 4, categories: int = 4, trees: int = 8, depth: int = 2
) -> TreeEnsemble:
    """Trees whose splits are categorical or numeric, sometimes useless or repeated on a path."""
    rng = np.random.default_rng(seed)
    nodes: list[tuple[int, float, int, int, int, float]] = []
    subsets: list[NDArray[np.bool_]] = []

    def grow(level: int) -> int:
        node = len(nodes)
        if level == depth or rng.random() < 0.15:
            nodes.append((-1, 0.0, -1, node, node, float(rng.normal())))
            return node
        nodes.append((0, 0.0, -1, node, node, 0.0))
        left, right = grow(level + 1), grow(level + 1)
        subset = -1
        if rng.random() < 0.7:
            subset = len(subsets)
            subsets.append(rng.random(categories) < rng.choice([0.2, 0.5, 1.0]))
        threshold = float(rng.integers(-1, categories)) + rng.choice([0.0, 0.5, 1e-9])
        nodes[node] = (int(rng.integers(cells)), threshold, subset, left, right, 0.0)
        return node

    roots = [grow(0) for _ in range(trees)]
    feature, threshold, subset, left, right, value = (np.array(c) for c in zip(*nodes, strict=True))
    return TreeEnsemble(
        feature=feature,
        threshold=threshold,
        subset=subset,
        subsets=np.array(subsets, dtype=bool).reshape(-1, categories),
        left=left,
        right=right,
        missing_left=np.zeros(len(nodes), dtype=bool),
        zero_is_missing=np.zeros(len(nodes), dtype=bool),
        value=value,
        roots=np.array(roots),
        base=float(rng.normal()),
        n_features=cells,
        categories=(categories,) * cells,
    )


def neighbourhood(ensemble: TreeEnsemble, free, reference) -> NDArray[np.int64]:
    """(n, cells) every code grid that equals the reference outside the free cells."""
    choices = [range(ensemble.categories[cell]) for cell in free]
    codes = np.array(list(product(*choices)))
    z = np.repeat(np.asarray(reference)[None], len(codes), axis=0)
    z[:, free] = codes
    return z
