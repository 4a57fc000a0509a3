"""How well the codes of neighbouring cells go together, as a term of the exact acquisition.

The trees know which codes score high, but not which make an image: leaves are sums, and a cell
that no leaf ties to its neighbours may take a code that never occurs beside theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.terms import LinearTerm, PairTerm, Term
from vqlso.errors import SolverError
from vqlso.spaces import CodeGrid

Codes = NDArray[np.int64]
Tables = NDArray[np.float64]


@dataclass(frozen=True)
class Plausibility:
    """What is asked of codes beside a high prediction.

    Attributes:
        weight: lambda, score given up per nat of log-probability; 0 leaves the prediction alone.
        least: a free cell takes only codes that occurred there at least so often in the training
            grids, and not beside a neighbour's code that it occurred with less often; 0 allows
            all.
        smoothing: virtual grids, > 0, in which neighbours are independent.

    Raises:
        SolverError: a setting outside its range.
    """

    weight: float = 0.0
    least: int = 0
    smoothing: float = 100.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.least < 0 or not self.smoothing > 0:
            raise SolverError(
                "Plausibility has a weight and a least count of at least 0 and a smoothing above "
                f"0; got {self}."
            )

    @property
    def asked(self) -> bool:
        """Whether anything is asked at all."""
        return self.weight > 0 or self.least > 0


class NeighbourPrior:
    """log p(z) = sum_i log p_i(z_i) + sum_(i,j) log [p_ij(z_i, z_j) / (p_i(z_i) p_j(z_j))].

    The second sum is over horizontal and vertical neighbours: the Bethe form of a Markov random
    field whose pair marginals are those of the training grids (Yedidia, Freeman and Weiss 2005),
    exact on a tree and unnormalised on a grid. Pairs are smoothed towards independence, so that
    what never occurred together is improbable, not impossible.

    Args:
        z: (n, h, w) training grids.
        space: their space.
        smoothing: virtual grids with independent neighbours, > 0.
    """

    def __init__(self, z: Codes, space: CodeGrid, smoothing: float = 100.0) -> None:
        self.space = space
        self.smoothing = smoothing
        self._flat = z.reshape(len(z), -1)
        uniform = np.full(space.categories, 1 / space.categories)
        counts = [np.bincount(cell, minlength=space.categories) for cell in self._flat.T]
        self._counts = np.array(counts)
        self._single = (self._counts + uniform) / (len(z) + 1)

    def log_probability(self, z: Codes) -> Tables:
        """(n, h, w) -> (n,) float64, unnormalised natural logarithms."""
        flat = z.reshape(len(z), -1)
        cells = np.arange(self.space.cells)
        total = np.log(self._single[cells, flat]).sum(axis=1)
        for first, second in neighbours(self.space):
            total += self._affinity(first, second)[flat[:, first], flat[:, second]]
        return np.asarray(total)

    def sides(
        self,
        ensemble: TreeEnsemble,
        wanted: Plausibility,
        free: Codes,
        reference: Codes,
        beside: float = 0.0,
    ) -> tuple[list[Term], dict[int, list[float]] | None]:
        """Terms and allowed codes for `solvers.trees.maximize`.

        Pairs that are not allowed cost more than all trees and terms can give: then the optimum
        has none, for the reference has none.

        Args:
            ensemble: that is maximised.
            wanted: of the codes.
            free: (t,) cells.
            reference: (cells,) codes.
            beside: how much terms of others can raise the objective above the reference's.
        """
        terms = self.terms(free, wanted.weight) if wanted.weight else []
        if not wanted.least:
            return terms, None
        leaves = 2 * ensemble.n_trees * ensemble.exact.largest_leaf
        most = 1.0 + beside + leaves + sum(map(_range, terms))
        for pairs in self.unseen_pairs(free, wanted.least, reference):
            terms.append(PairTerm(pairs.first, pairs.second, most * pairs.table))
        return terms, self.allowed(free, wanted.least, reference)

    def terms(self, free: Codes, weight: float) -> list[Term]:
        """weight times all parts of log p(z) that the free cells decide, around any reference.

        Args:
            free: (t,) cells.
            weight: > 0.
        """
        cells = set(free.tolist())
        single = {cell: weight * np.log(self._single[cell]) for cell in sorted(cells)}
        return [
            LinearTerm(single),
            *(
                PairTerm(first, second, weight * self._affinity(first, second))
                for first, second in neighbours(self.space)
                if first in cells or second in cells
            ),
        ]

    def allowed(self, free: Codes, least: int, reference: Codes) -> dict[int, list[float]]:
        """The codes of each free cell that occurred there at least `least` times.

        Also none that occurred less often beside the code of a neighbour that is not free. The
        reference's own code is always allowed, so that there is a solution.

        Args:
            free: (t,) cells.
            least: >= 1.
            reference: (cells,) codes.
        """
        cells = set(free.tolist())
        often = {cell: self._counts[cell] >= least for cell in sorted(cells)}
        for first, second in neighbours(self.space):
            together = self._together(first, second)
            if first in cells and second not in cells:
                often[first] &= together[:, reference[second]] >= least
            if second in cells and first not in cells:
                often[second] &= together[reference[first]] >= least
        for cell, known in often.items():
            known[reference[cell]] = True
        return {cell: [float(c) for c in np.flatnonzero(known)] for cell, known in often.items()}

    def unseen_pairs(self, free: Codes, least: int, reference: Codes) -> list[PairTerm]:
        """Tables over free neighbours: -1 for codes that occurred together less often, else 0.

        The reference's own pairs always have 0.
        """
        cells = set(free.tolist())
        tables = []
        for first, second in neighbours(self.space):
            if first in cells and second in cells:
                seldom = self._together(first, second) < least
                seldom[reference[first], reference[second]] = False
                tables.append(PairTerm(first, second, -seldom.astype(np.float64)))
        return tables

    def _together(self, first: int, second: int) -> NDArray[np.int64]:
        """(K, K) how often two cells' codes occurred together."""
        categories = self.space.categories
        pairs = self._flat[:, first] * categories + self._flat[:, second]
        counted = np.bincount(pairs, minlength=categories**2)
        return counted.reshape(categories, categories)

    def _affinity(self, first: int, second: int) -> Tables:
        """(K, K) log [p_ij / (p_i p_j)]."""
        independent = np.outer(self._single[first], self._single[second])
        virtual = self.smoothing * independent
        joint = (self._together(first, second) + virtual) / (len(self._flat) + self.smoothing)
        return np.asarray(np.log(joint) - np.log(independent))


def _range(term: Term) -> float:
    """How much a term can change the objective."""
    tables = [term.table] if isinstance(term, PairTerm) else cast(LinearTerm, term).coefficients
    values = tables if isinstance(tables, list) else tables.values()
    return float(sum(np.ptp(np.asarray(each)) for each in values))


def neighbours(space: CodeGrid) -> Iterator[tuple[int, int]]:
    """Row-major indices of cells beside or above each other, the lower index first."""
    for cell in range(space.cells):
        row, column = divmod(cell, space.width)
        if column + 1 < space.width:
            yield cell, cell + 1
        if row + 1 < space.height:
            yield cell, cell + space.width
