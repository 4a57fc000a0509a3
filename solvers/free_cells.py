"""Which cells of a grid the inner optimiser may change: those that matter most to the surrogate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from solvers.contracts import TreeSurrogate
from solvers.history import History
from solvers.trees import TreeEnsemble
from vqlso.contracts import Surrogate
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.spaces import CodeGrid

Importance = Literal["gain", "split", "permutation", "shap"]

# For measures that look at data: more rows cost time and hardly change the order of the cells.
MOST_ROWS = 2000
# Of one leaf: the weights of the Shapley values are tables of 4^cells entries a cell.
MOST_CELLS = 8


@dataclass(frozen=True)
class FreeCells:
    """Which cells of the reference the inner optimiser may change.

    Attributes:
        t: how many; the most important ones under the surrogate (paper 003, appendix A.2: 8).
            As many as there are cells frees them all.
        importance: what the fit says, "gain", the loss reduction of all splits on a cell, or
            "split", their number; or what predictions say of at most 2,000 known grids,
            "permutation" (`permutation_importance`) or "shap", the mean |SHAP value|
            (`shap_values`). The paper names no measure.
        fixed_choice: row-major cell indices to use instead, whatever the surrogate says.
    """

    t: int = 8
    importance: Importance = "gain"
    fixed_choice: tuple[int, ...] | None = None

    def choose(
        self, surrogate: TreeSurrogate, history: History, seed: int = 0
    ) -> NDArray[np.int64]:
        """(t,) cell indices, ascending; ties go to the lower index.

        Args:
            surrogate: fitted to the history.
            history: the known grids and scores.
            seed: of the rows that are looked at, and of permutations.

        Raises:
            SolverError: SHAP values of leaves that depend on more than 8 cells.
        """
        if self.fixed_choice is not None:
            return np.array(sorted(self.fixed_choice), dtype=np.int64)
        importance = self._measured(surrogate, history, seed)
        return np.sort(np.argsort(-importance, kind="stable")[: self.t])

    def check(self, space: CodeGrid) -> None:
        """Raise SolverError where the grid has no such cells, or there is no such measure."""
        if self.importance not in get_args(Importance):
            known = ", ".join(get_args(Importance))
            raise SolverError(f"solver.importance is one of {known}; got '{self.importance}'.")
        wanted = self.fixed_choice if self.fixed_choice is not None else range(self.t)
        if isinstance(wanted, range) and self.t > space.cells:
            raise SolverError(
                f"The code grid has {space.cells} cells ({space.height} x {space.width}); "
                f"{self.t} free cells were asked for. Lower solver.t."
            )
        if not len(wanted):
            raise SolverError("No cell is free: solver.t must be at least 1.")
        if len(wanted) > space.cells or max(wanted) >= space.cells or min(wanted) < 0:
            raise SolverError(
                f"The code grid has {space.cells} cells ({space.height} x {space.width}); "
                f"{len(wanted)} free cells up to index {max(wanted)} were asked for. "
                "Lower solver.t or correct solver.cells."
            )
        if len(set(wanted)) != len(wanted):
            raise SolverError(f"solver.cells names a cell twice: {sorted(wanted)}.")

    def _measured(
        self, surrogate: TreeSurrogate, history: History, seed: int
    ) -> NDArray[np.float64]:
        if self.importance in ("gain", "split"):
            return surrogate.importance(self.importance)
        rng = stream(seed, "importance", len(history))
        rows = np.sort(rng.permutation(len(history))[:MOST_ROWS])
        codes = history.z[rows].reshape(len(rows), -1)
        if self.importance == "permutation":
            return permutation_importance(surrogate, codes, history.y[rows], rng)
        return np.asarray(np.abs(shap_values(surrogate.ensemble(), codes)).mean(axis=0))


def permutation_importance(
    surrogate: Surrogate,
    codes: NDArray[np.int64],
    y: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(cells,) by how much the mean squared error grows when a cell's codes are permuted.

    Breiman (Random Forests, Machine Learning 45, 2001, section 10) permutes samples outside the
    bag; boosted trees have none, so these are the samples of the fit.

    Args:
        surrogate: fitted.
        codes: (n, cells) grids.
        y: (n,) their scores.
        rng: of the permutations, one a cell.
    """
    error = np.mean((surrogate.predict(codes) - y) ** 2)
    increase = np.empty(codes.shape[1])
    for cell in range(codes.shape[1]):
        permuted = codes.copy()
        permuted[:, cell] = rng.permutation(codes[:, cell])
        increase[cell] = np.mean((surrogate.predict(permuted) - y) ** 2) - error
    return increase


def shap_values(ensemble: TreeEnsemble, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, cells) codes -> (n, cells) exact interventional Shapley values of the predicted sums.

    A cell that is left out of a coalition takes the codes of another row, averaged over all n
    (Lundberg et al., Nature Machine Intelligence 2, 2020, interventional TreeSHAP). A row counts
    in a leaf only through which of the leaf's cells it agrees with, so that rows are counted by
    these patterns instead of being paired.

    Raises:
        SolverError: a leaf depends on more than 8 cells.
    """
    columns = np.ascontiguousarray(codes.T)
    values = np.zeros(columns.shape)
    for leaf, accepted in _leaves(ensemble, int(codes.max()) + 1):
        cells = list(accepted)
        if len(cells) > MOST_CELLS:
            raise SolverError(
                f"A leaf of the surrogate depends on {len(cells)} cells; SHAP values are computed "
                f"for at most {MOST_CELLS}. Use solver.importance=permutation, or trees of depth "
                f"{MOST_CELLS}."
            )
        pattern = np.zeros(len(codes), dtype=np.int64)
        for bit, cell in enumerate(cells):
            pattern |= accepted[cell][columns[cell]].astype(np.int64) << bit
        share = np.bincount(pattern, minlength=2 ** len(cells)) / len(codes)
        parts = ensemble.value[leaf] * (_shapley_weights(len(cells)) @ share)
        values[cells] += parts[:, pattern]
    return values.T


def _leaves(
    ensemble: TreeEnsemble, categories: int
) -> Iterator[tuple[int, dict[int, NDArray[np.bool_]]]]:
    """Each leaf, and of each cell that it depends on which codes (K,) can reach it."""
    split = np.flatnonzero(ensemble.feature >= 0)
    left = np.zeros((len(ensemble.feature), categories), dtype=np.bool_)
    left[split] = ensemble.left_table(split, np.arange(categories, dtype=np.float64))
    open_: list[tuple[int, dict[int, NDArray[np.bool_]]]] = [
        (root, {}) for root in ensemble.roots.tolist()
    ]
    while open_:
        node, accepted = open_.pop()
        cell = int(ensemble.feature[node])
        if cell < 0:
            yield node, accepted
            continue
        before = accepted.get(cell, np.ones(categories, dtype=np.bool_))
        open_.append((int(ensemble.left[node]), {**accepted, cell: before & left[node]}))
        open_.append((int(ensemble.right[node]), {**accepted, cell: before & ~left[node]}))


@lru_cache
def _shapley_weights(m: int) -> NDArray[np.float64]:
    """(m, 2^m, 2^m) the Shapley value of each cell in the game of one leaf of value 1.

    The second axis is the pattern of the row that is explained, bit j set if its cell j agrees
    with the leaf, the third that of the other row. With u cells that only the one agrees with
    and v that only the other does, coalitions win that have all of the u and none of the v:
    (u - 1)! v! / (u + v)! for each of the u, -u! (v - 1)! / (u + v)! for each of the v.
    """
    agrees = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
    u = agrees @ (1 - agrees).T
    v = u.T
    reachable = (1 - agrees) @ (1 - agrees).T == 0
    orders = np.where(reachable, 1 / comb(u + v, u), 0.0)
    here, there = agrees.T[:, :, None], agrees.T[:, None, :]
    gained, lost = here * (1 - there), there * (1 - here)
    return np.asarray(orders * (gained / np.maximum(u, 1) - lost / np.maximum(v, 1)))
